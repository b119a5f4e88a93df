"""The log as static files (C2SP tlog-tiles), for stock log tools and witnesses; any CDN may serve them too.

They hold only what the log holds: canonical entries with salted commitments, hashes and signed checkpoints.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Depends, Response

from api.deps import PUBLIC, PortsDep
from api.worker import tiles_folder
from ledger.core.errors import NotFoundError

router = APIRouter(tags=["log"])

_TILE: Final = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])(/x[0-9]{3}){0,6}/[0-9]{3}(\.p/([1-9][0-9]{0,2}))?"
)
"""Nothing but the names of the specification: no other file can be asked for."""
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@router.get(
    "/log/checkpoint",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
    dependencies=[Depends(PUBLIC)],
)
def log_checkpoint(ports: PortsDep) -> Response:
    """The newest published checkpoint, a C2SP signed note with its cosignatures."""
    return _file(ports, "checkpoint", media_type="text/plain; charset=utf-8", cache="no-cache")


@router.get(
    "/log/tile/{rest:path}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
    dependencies=[Depends(PUBLIC)],
)
def log_tile(ports: PortsDep, rest: str) -> Response:
    """A tile of hashes or of entries, by its name in the specification."""
    name = f"tile/{rest}"
    if _TILE.fullmatch(name) is None:
        raise NotFoundError("there is no such tile")
    return _file(ports, name, media_type="application/octet-stream", cache=_FOR_EVER)


def _file(ports: PortsDep, name: str, *, media_type: str, cache: str) -> Response:
    try:
        data = (tiles_folder(ports) / name).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
        raise NotFoundError("there is no such tile") from exc
    return Response(data, media_type=media_type, headers={"Cache-Control": cache})
