"""The public verifier: upload a PDF or a bundle, get numbered checks. Failing is a result, not an error."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Request, UploadFile
from starlette.responses import HTMLResponse, Response

from api.deps import AtDep, PortsDep, Visitor, limit_attempts
from api.edge import verify_bytes_max
from api.errors import Problem, problem_of, request_id_of
from api.flows.verifying import turn_to_verify, verify_upload
from api.ports import Ports
from api.routes.agreements import read_upload
from api.routes.base import pages_of
from api.schemas.base import ReportOut
from ledger.core.errors import FuqiError

router = APIRouter(tags=["public"])

Upload = Annotated[UploadFile, File(description="a PDF or an evidence bundle (zip)")]
NAME_SHOWN_MAX = 120


@router.post("/api/v1/verify")
def verify(
    request: Request, ports: PortsDep, at: AtDep, caller: Visitor, file: Upload
) -> ReportOut:
    """Verify a PDF or an evidence bundle. Answers 200 with a report, whatever its verdict."""
    del caller
    facts = _examine(request, ports, file, at=at)
    return ReportOut.model_validate(facts["report"])


@router.get("/verify", response_class=HTMLResponse, include_in_schema=False)
def verify_page(request: Request, caller: Visitor) -> Response:
    """The form."""
    return _page(request, caller)


@router.post("/verify", response_class=HTMLResponse, include_in_schema=False)
def verify_form(
    request: Request, ports: PortsDep, at: AtDep, caller: Visitor, file: Upload
) -> Response:
    """The report. It answers the POST itself: nothing is stored that a redirect could show."""
    try:
        facts = _examine(request, ports, file, at=at)
    except FuqiError as error:
        problem = problem_of(error, request_id=request_id_of(request))
        return _page(request, caller, status=problem.status, problem=problem)
    return _page(request, caller, **facts)


def _examine(request: Request, ports: Ports, file: UploadFile, *, at: datetime) -> dict[str, Any]:
    """Count the attempt, wait for a turn, check.

    Raises:
        RateLimitError: `rate.limited`.  UnavailableError: `verify.busy`.
        LimitError: `upload.too_large`.  InputError: `verify.unknown_kind`.
    """
    limit_attempts(request, "verify.address")
    with turn_to_verify():
        data = read_upload(file, bytes_max=verify_bytes_max(ports.settings.upload_bytes_max))
        report = verify_upload(ports, data, at=at)
    return {
        "report": report.as_json(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "file_name": PurePath(file.filename or "file").name[:NAME_SHOWN_MAX],
    }


def _page(
    request: Request,
    caller: Visitor,
    *,
    status: int = 200,
    problem: Problem | None = None,
    report: dict[str, Any] | None = None,
    sha256: str = "",
    size_bytes: int = 0,
    file_name: str = "",
) -> Response:
    pages = pages_of(request)
    return pages.page(
        request,
        "verify.html",
        caller=caller,
        status=status,
        problem=problem,
        report=report,
        sha256=sha256,
        size_bytes=size_bytes,
        file_name=file_name,
        bytes_max=verify_bytes_max(pages.settings.upload_bytes_max),
    )
