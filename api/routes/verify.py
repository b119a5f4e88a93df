"""The public verifier: upload a PDF or a bundle, get numbered checks. Failing is a result, not an error."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Query, Request, UploadFile
from starlette.responses import HTMLResponse, JSONResponse, Response

from api.deps import AtDep, PortsDep, Visitor, limit_attempts
from api.edge import verify_bytes_max
from api.errors import Problem, problem_of, request_id_of
from api.flows.verifying import turn_to_verify, verify_upload
from api.ports import Ports
from api.routes.agreements import read_upload
from api.routes.base import pages_of
from api.schemas.base import ReportOut
from ledger.core.errors import FuqiError
from signing.report_ts119102 import as_ts119102, as_xml

router = APIRouter(tags=["public"])

Upload = Annotated[UploadFile, File(description="a PDF or an evidence bundle (zip)")]
ReportFormat = Annotated[
    Literal["fuqi", "ts119102", "ts119102-xml"],
    Query(alias="format", description="shape of the report"),
]
NAME_SHOWN_MAX = 120


@router.post("/api/v1/verify", response_model=ReportOut)
def verify(
    request: Request,
    ports: PortsDep,
    at: AtDep,
    caller: Visitor,
    file: Upload,
    form: ReportFormat = "fuqi",
) -> ReportOut | Response:
    """Verify a PDF or an evidence bundle. Answers 200 with a report, whatever its verdict.

    `format` chooses the report: `fuqi` (every check, numbered), or the same in the shape of ETSI
    TS 119 102-2 with main and sub-indications for each signature: `ts119102` (JSON), `ts119102-xml`.
    """
    del caller
    facts = _examine(request, ports, file, at=at)
    if form == "ts119102":
        return JSONResponse(facts["etsi"])
    if form == "ts119102-xml":
        return Response(facts["etsi_xml"], media_type="application/xml")
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
    sha256 = hashlib.sha256(data).digest()
    return {
        "report": report.as_json(),
        "etsi": as_ts119102(report, sha256=sha256, at=at),
        "etsi_xml": as_xml(report, sha256=sha256, at=at),
        "sha256": sha256.hex(),
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
    etsi: dict[str, Any] | None = None,
    etsi_xml: bytes = b"",
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
        etsi=etsi,
        etsi_json_link=_link("application/json", _json(etsi)),
        etsi_xml_link=_link("application/xml", etsi_xml),
        sha256=sha256,
        size_bytes=size_bytes,
        file_name=file_name,
        bytes_max=verify_bytes_max(pages.settings.upload_bytes_max),
    )


def _json(value: dict[str, Any] | None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8") if value else b""


def _link(media_type: str, body: bytes) -> str:
    """The report inside the page itself: nothing is stored that a later request could fetch."""
    return f"data:{media_type};base64,{base64.b64encode(body).decode('ascii')}"
