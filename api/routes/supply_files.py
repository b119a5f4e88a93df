"""Offers and needs out of a file: template, upload with a report for each line, and taking all of it back."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse

from api.callers import Caller
from api.deps import (
    AtDep,
    Handler,
    HandlerOrOperator,
    Limit,
    PortsDep,
    SessionDep,
    TenantOrOperator,
)
from api.flows import supply_files as flows
from api.routes.agreements import read_upload
from api.routes.base import pages_of
from api.routes.forms import form_page
from api.routes.supply import RecordId, own_organisation
from api.routes.supply_file_reading import CHINESE, COLUMNS, read_requests, template_text
from api.schemas.agreements import ReasonIn
from api.schemas.supply import SupplyFileFaultOut, SupplyFileOut, SupplyFileSentOut
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.queries import supply_limits as queries

router = APIRouter(prefix="/api/v1", tags=["supply"])
pages = APIRouter(include_in_schema=False)

Kind = Literal["offers", "needs"]
Csv = Annotated[
    UploadFile, File(description="CSV in UTF-8 or GB 18030, columns as in the template")
]
FAULTY_STATUS: Final = 422
WITHDRAWN_BY_OWNER: Final = "withdrawn with its file"
ROWS: Final = 20


@router.get("/supply-files/{kind}/template", response_class=Response)
def get_template(
    caller: Handler, kind: Kind, lang: Annotated[Literal["zh", "en"], Query()] = "zh"
) -> Response:
    """The columns, and an invented line as a comment, ready for a spreadsheet."""
    del caller
    return template_of(kind, lang=lang)


@router.post("/supply-files/{kind}")
def send_file(
    response: Response,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    kind: Kind,
    file: Csv,
    check: Annotated[bool, Query(description="only try, store nothing")] = False,
) -> SupplyFileSentOut:
    """Store every line of the file, or none and say why; the same file again stores nothing anew."""
    data = read_upload(file, bytes_max=flows.FILE_BYTES_MAX)
    sent = flows.send_file(
        session,
        ports,
        caller,
        kind=kind,
        data=data,
        read=lambda inner: read_requests(inner, caller, kind=kind, data=data),
        check=check,
        at=at,
    )
    if sent.faults:
        response.status_code = FAULTY_STATUS
    return sent_facts(sent)


@router.get("/supply-files")
def list_files(
    session: SessionDep, caller: TenantOrOperator, limit: Limit = ROWS
) -> list[SupplyFileOut]:
    """Files that the caller's organisation sent, newest first."""
    rows = queries.files_page(session, organisation_id=own_organisation(caller), limit=limit)
    return [SupplyFileOut.model_validate(row) for row in rows]


@router.post("/supply-files/{file_id}/withdraw")
def withdraw_file(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: HandlerOrOperator,
    file_id: RecordId,
    body: ReasonIn,
) -> SupplyFileOut:
    """Withdraw whatever of this file is still open. What is allocated stays."""
    row = flows.withdraw_file(session, ports, caller, file_id=file_id, reason=body.reason, at=at)
    return SupplyFileOut.model_validate(row)


@pages.get("/supply/files", response_class=HTMLResponse)
def files_page(request: Request, session: SessionDep, caller: Handler) -> Response:
    """Send a file, and the files sent so far."""
    return _page(request, session, caller)


@pages.post("/supply/files", response_class=HTMLResponse)
def send_file_form(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    file: Csv,
    kind: Annotated[Kind, Form()],
) -> Response:
    """Send a file from the page: its report, line by line, or back to what it made."""
    try:
        data = read_upload(file, bytes_max=flows.FILE_BYTES_MAX)
        sent = flows.send_file(
            session,
            ports,
            caller,
            kind=kind,
            data=data,
            read=lambda inner: read_requests(inner, caller, kind=kind, data=data),
            check=False,
            at=at,
        )
    except FuqiError as error:
        return _page(request, session, caller, error=error)
    if sent.faults:
        return _page(request, session, caller, sent=sent_facts(sent))
    return go("/supply/files#sent")


@pages.get("/supply/files/{kind}.csv", response_class=Response)
def template_page(request: Request, caller: Handler, kind: Kind) -> Response:
    """The template in the reader's language."""
    del caller
    return template_of(kind, lang=pages_of(request).language(request))


@pages.post("/supply/files/{file_id}/withdraw")
def withdraw_file_form(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, file_id: RecordId
) -> Response:
    """Take a file back."""
    flows.withdraw_file(session, ports, caller, file_id=file_id, reason=WITHDRAWN_BY_OWNER, at=at)
    return go("/supply/files#sent")


def template_of(kind: Kind, *, lang: str) -> Response:
    """The template as a download; the mark in front makes spreadsheets read it as UTF-8."""
    return Response(
        "\ufeff" + template_text(kind, lang=lang),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="fuqi-{kind}.csv"'},
    )


def sent_facts(sent: flows.Sent) -> SupplyFileSentOut:
    """What became of a file."""
    return SupplyFileSentOut(
        file=None if sent.row is None else SupplyFileOut.model_validate(sent.row),
        lines=sent.lines,
        faults=[SupplyFileFaultOut.model_validate(fault) for fault in sent.faults],
    )


def _page(
    request: Request,
    session: Session,
    caller: Caller,
    *,
    sent: SupplyFileSentOut | None = None,
    error: FuqiError | None = None,
) -> Response:
    answer = form_page(
        request,
        "supply_files.html",
        caller=caller,
        values={"kind": "offers"},
        error=error,
        sent=sent,
        files=queries.files_page(session, organisation_id=own_organisation(caller), limit=ROWS),
        kinds=flows.KINDS,
        chinese=CHINESE,
        columns=COLUMNS,
        lines_max=flows.LINES_MAX,
    )
    if sent is not None:
        answer.status_code = FAULTY_STATUS
    return answer
