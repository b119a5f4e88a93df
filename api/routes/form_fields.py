"""Pages: the author leaves fields of an uploaded form to signers, before publication."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import AtDep, Handler, PortsDep, SessionDep
from api.examining import examiner
from api.flows import drafts
from api.flows.agreements import limits_of
from api.ports import Ports
from api.routes.agreement_forms import UPLOAD_FIELDS, read_upload_form
from api.routes.agreements import AgreementId
from api.routes.forms import form_page
from api.views.annexes import form_field_facts
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, FuqiError, InputError
from ledger.queries import parties as party_queries
from ledger.tables.seals import UploadDraftRow
from signing.annexes import NAME_CHARS_MAX
from signing.form_fields import LISTED_MAX

router = APIRouter(include_in_schema=False)

NOBODY: Final = "0"
FILLER_DIGITS_MAX: Final = 3
"""A list has fewer signers; Python refuses to read numbers of thousands of digits."""
Column = Annotated[list[str], Form(max_length=LISTED_MAX)]


@router.get("/agreements/fields/{draft_id}", response_class=HTMLResponse)
def fields_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    draft_id: AgreementId,
) -> Response:
    """The fields of the uploaded form: each is left to one signer, or to nobody."""
    row = drafts.draft_for(session, caller, draft_id, at=at)
    return _page(request, session, ports, caller, row)


@router.post("/agreements/fields/{draft_id}", response_class=HTMLResponse)
def choose(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    draft_id: AgreementId,
    name: Column = [],  # noqa: B006 - FastAPI copies it
    filler: Column = [],  # noqa: B006
    label: Column = [],  # noqa: B006
    required: Column = [],  # noqa: B006
) -> Response:
    """Keep the choice; then publish, or go on to placing the signature fields."""
    row = drafts.draft_for(session, caller, draft_id, at=at)
    try:
        fields = _chosen(name, filler, label, required)
        with session.begin_nested():
            row = drafts.plan_fields(session, caller, draft_id, fields, at=at)
            typed = json.loads(row.request)
            if typed.get("place") == "yes":
                return go(f"/agreements/place/{draft_id}")
            new = read_upload_form(FormReader(typed), session)
            if new is None:
                raise ConflictError("fill in the form of the upload again", code="placement.form")
            drafts.publish_draft(session, ports, caller, new, places=(), at=at)
    except FuqiError as error:
        session.refresh(row)
        typed_now = {
            one: {"filler": by, "label": said, "required": one in required}
            for one, by, said in zip(name, filler, label, strict=False)
        }
        return _page(request, session, ports, caller, row, typed=typed_now, error=error)
    return go(f"/agreements/{draft_id}")


def _chosen(
    names: list[str], fillers: list[str], labels: list[str], required: list[str]
) -> list[dict[str, Json]]:
    """The fields that somebody may fill.

    Raises:
        InputError: `form.filler`, `input.invalid`.
    """
    if not len(names) == len(fillers) == len(labels):
        raise InputError("the form is malformed", code="input.invalid", field="name")
    found: list[dict[str, Json]] = []
    for name, filler, label in zip(names, fillers, labels, strict=True):
        if filler == NOBODY:
            continue
        if not filler.isascii() or not filler.isdigit() or len(filler) > FILLER_DIGITS_MAX:
            raise InputError("a field is filled by a signer of the list", code="form.filler")
        found.append(
            {
                "name": name,
                "signer": int(filler),
                "label": label.strip() or name,
                "required": name in required,
            }
        )
    return found


def _page(
    request: Request,
    session: Session,
    ports: Ports,
    caller: Caller,
    row: UploadDraftRow,
    *,
    typed: dict[str, dict[str, Any]] | None = None,
    error: FuqiError | None = None,
) -> Response:
    kept: dict[str, Any] = json.loads(row.request)
    new = read_upload_form(FormReader(kept), session)
    signing = () if new is None else new.signing
    names = party_queries.parties_by_ids(
        session, [one for s in signing for one in (s.organisation_id, s.person_id)]
    )
    # A stranger's file: in a child process, with limits on time and memory.
    found = examiner().form_fields(ports.blobs.get(row.sha256), limits=limits_of(ports))
    return form_page(
        request,
        "form_fields.html",
        caller=caller,
        values={},
        error=error,
        fields=UPLOAD_FIELDS,
        draft_id=row.id,
        title_typed=kept.get("title", ""),
        places=kept.get("place") == "yes",
        form_fields=[form_field_facts(one) for one in found],
        typed={
            one.name: (typed or {}).get(
                one.name, {"filler": NOBODY, "label": one.name, "required": True}
            )
            for one in found
        },
        label_max=NAME_CHARS_MAX,
        signers=[
            f"{names[one.organisation_id].name} · {names[one.person_id].name}" for one in signing
        ],
    )
