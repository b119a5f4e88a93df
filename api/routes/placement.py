"""Placing signature fields: keep an upload, look at its pages, try anchors; the page to drag them on."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Request, Response, UploadFile
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse

from api.callers import Caller
from api.deps import AtDep, Handler, PortsDep, SessionDep
from api.flows import drafts
from api.ports import Ports
from api.routes.agreement_forms import UPLOAD_FIELDS, read_upload_form
from api.routes.agreements import AgreementId, read_upload
from api.routes.forms import form_page
from api.schemas.placement import FIELDS, BoxOut, DraftOut, FieldIn, PageOut, PlacementIn
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import ConflictError, FuqiError, InputError, NotFoundError
from ledger.queries import parties as party_queries
from ledger.tables.seals import UploadDraftRow
from signing.placement import place_boxes, require_clear
from signing.render import Document, page_png

router = APIRouter(tags=["agreements"])
pages = APIRouter(include_in_schema=False)


@router.post("/api/v1/placement/{draft_id}", status_code=201)
def keep_draft(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    draft_id: AgreementId,
    file: Annotated[UploadFile, File(description="the PDF")],
) -> DraftOut:
    """Keep a PDF for a day while its signature fields are placed."""
    data = read_upload(file, bytes_max=ports.settings.upload_bytes_max)
    row = drafts.keep_draft(session, ports, caller, draft_id, data=data, request={}, at=at)
    return _facts(ports, row)


@router.get("/api/v1/placement/{draft_id}")
def get_draft(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, draft_id: AgreementId
) -> DraftOut:
    """The pages of a kept upload."""
    return _facts(ports, drafts.draft_for(session, caller, draft_id, at=at))


@router.get("/api/v1/placement/{draft_id}/pages/{page}", response_class=Response)
def get_draft_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    draft_id: AgreementId,
    page: Annotated[int, Path(ge=1, le=2000)],
) -> Response:
    """One page of a kept upload as a PNG."""
    row = drafts.draft_for(session, caller, draft_id, at=at)
    if page > row.pages:
        raise NotFoundError("there is no such page", code="placement.no_such_page")
    tag = f'"{row.sha256[:32]}-{page}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    picture = page_png(ports.blobs.get(row.sha256), page=page - 1, side_px=drafts.PAGE_SIDE_PX)
    return Response(picture, media_type="image/png", headers=headers)


@router.post("/api/v1/placement/{draft_id}/boxes")
def try_boxes(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    draft_id: AgreementId,
    body: PlacementIn,
) -> list[BoxOut]:
    """Where these fields would stand; anchors are looked up, and what cannot be is refused."""
    row = drafts.draft_for(session, caller, draft_id, at=at)
    data = ports.blobs.get(row.sha256)
    found = place_boxes(data, [one.place() for one in body.fields])
    require_clear(data, found)
    return [
        BoxOut(
            name=one.name,
            page=one.page + 1,
            x=one.x,
            y=one.y,
            width=one.width,
            height=one.height,
        )
        for one in found
    ]


@pages.get("/agreements/place/{draft_id}", response_class=HTMLResponse)
def place_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    draft_id: AgreementId,
) -> Response:
    """The pages of a kept upload, and a box for each signer to be put on them."""
    row = drafts.draft_for(session, caller, draft_id, at=at)
    return _page(request, session, ports, caller, row)


@pages.post("/agreements/place/{draft_id}", response_class=HTMLResponse)
def publish(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    draft_id: AgreementId,
    fields: Annotated[str, Form(max_length=20_000)] = "",
) -> Response:
    """Publish the upload with its fields where they were put."""
    row = drafts.draft_for(session, caller, draft_id, at=at)
    try:
        wanted = _fields(fields)
        new = read_upload_form(FormReader(json.loads(row.request)), session)
        if new is None:
            raise ConflictError("fill in the form of the upload again", code="placement.form")
        with session.begin_nested():
            drafts.publish_draft(
                session, ports, caller, new, places=[one.place() for one in wanted], at=at
            )
    except FuqiError as error:
        return _page(request, session, ports, caller, row, error=error)
    return go(f"/agreements/{draft_id}")


def _fields(text: str) -> list[FieldIn]:
    try:
        return list(FIELDS.validate_json(text))
    except ValidationError as exc:
        where = ".".join(str(part) for part in exc.errors()[0]["loc"])
        raise InputError("the fields are malformed", code="input.invalid", field=where) from exc


def _facts(ports: Ports, row: UploadDraftRow) -> DraftOut:
    with Document(ports.blobs.get(row.sha256)) as document:
        sizes = document.page_sizes(at_most=row.pages)
    return DraftOut(
        id=row.id,
        sha256=row.sha256,
        pages=[PageOut(width=width, height=height) for width, height in sizes],
    )


def _page(
    request: Request,
    session: Session,
    ports: Ports,
    caller: Caller,
    row: UploadDraftRow,
    *,
    error: FuqiError | None = None,
) -> Response:
    typed: dict[str, Any] = json.loads(row.request)
    new = read_upload_form(FormReader(typed), session)
    signing = () if new is None else new.signing
    names = party_queries.parties_by_ids(
        session, [one for s in signing for one in (s.organisation_id, s.person_id)]
    )
    return form_page(
        request,
        "place.html",
        caller=caller,
        values={"fields": ""},
        error=error,
        fields=UPLOAD_FIELDS,
        draft=_facts(ports, row),
        title_typed=typed.get("title", ""),
        signers=[
            {
                "organisation": names[one.organisation_id].name,
                "person": names[one.person_id].name,
            }
            for one in signing
        ],
    )
