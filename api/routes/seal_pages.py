"""Pages of seals: the organisation's seals, making one, its life, duties and usage ledger."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Request, UploadFile
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller, require_organisation
from api.deps import Admin, AtDep, PortsDep, SessionDep, Tenant
from api.flows import seals
from api.routes.agreements import read_upload
from api.routes.base import pages_of
from api.routes.forms import form_page
from api.routes.seals import SealId, facts
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id
from ledger.queries import parties as party_queries
from ledger.queries import seals as queries
from ledger.tables.parties import PartyRow
from signing.seal_pictures import BYTES_MAX
from signing.seal_rules import CHARGED, TRANSITIONS, Act, Duty, State
from signing.seals import SIZES_MM, Kind, Shape

router = APIRouter(include_in_schema=False)

TextField = Annotated[str, Form(max_length=400)]
USES_SHOWN: Final = 50
FIELDS: Final = {
    "seal.other_name": "name",
    "seal.name": "name",
    "font.": "name",
    "seal.shape": "shape",
    "seal.size": "width_mm",
    "seal.text": "number",
    "seal.period": "valid_days",
    "seal.two_duties": "auditor_id",
    "seal.person_unknown": "auditor_id",
    "seal.picture": "file",
    "upload.": "file",
}


@router.get("/me/seals", response_class=HTMLResponse)
def seals_page(request: Request, session: SessionDep, at: AtDep, caller: Tenant) -> Response:
    """Every seal of my organisation."""
    rows = queries.seals_of(session, require_organisation(caller))
    return pages_of(request).page(
        request, "seals.html", caller=caller, seals=[facts(session, row) for row in rows], at=at
    )


@router.get("/me/seals/new", response_class=HTMLResponse)
def seal_form(request: Request, session: SessionDep, at: AtDep, caller: Admin) -> Response:
    """The form to make a seal with; it carries the id of this attempt."""
    values = {
        "attempt": new_id("sea", at=at),
        "kind": "contract",
        "shape": "",
        "name": session.get_one(PartyRow, require_organisation(caller)).name,
        "number": "",
        "width_mm": "",
        "auditor_id": "",
        "valid_days": "365",
        "file": "",
    }
    return _form(request, session, caller, values, at=at)


@router.post("/me/seals", response_class=HTMLResponse)
def make_seal(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Admin,
    attempt: TextField = "",
    kind: TextField = "",
    shape: TextField = "",
    name: TextField = "",
    number: TextField = "",
    width_mm: TextField = "",
    auditor_id: TextField = "",
    valid_days: TextField = "",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Make a seal, drawn here or from the chosen picture."""
    values = {
        "attempt": attempt,
        "kind": kind,
        "shape": shape,
        "name": name,
        "number": number,
        "width_mm": width_mm,
        "auditor_id": auditor_id,
        "valid_days": valid_days,
        "file": "",
    }
    reader = FormReader(values)
    reader.choice("kind", [one.value for one in Kind])
    reader.text("name", characters_max=60)
    reader.text("auditor_id")
    width = reader.integer("width_mm", low=1, high=100, required=False)
    days = reader.integer("valid_days", low=1, high=seals.VALID_DAYS_MAX)
    if reader.faults or days is None:
        return _form(request, session, caller, values, at=at, reader=reader)
    try:
        picture = None
        if file is not None and file.filename:
            picture = read_upload(file, bytes_max=BYTES_MAX)
        new = seals.NewSeal(
            id=attempt,
            kind=kind,
            name=name,
            auditor_id=auditor_id,
            valid_days=days,
            shape=shape,
            number=number,
            width_mm=width,
            picture=picture,
        )
        with session.begin_nested():
            seals.make_seal(session, ports, caller, new, at=at)
    except FuqiError as error:
        return _form(request, session, caller, values, at=at, reader=reader, error=error)
    return go(f"/me/seals/{attempt}")


@router.get("/me/seals/{seal_id}", response_class=HTMLResponse)
def seal_page(
    request: Request, session: SessionDep, at: AtDep, caller: Tenant, seal_id: SealId
) -> Response:
    """One seal: its picture, state, duties, and its usage ledger for manager and auditor."""
    row = seals.seal_for(session, caller, seal_id)
    rule = seals.rules_of(session, row)
    mine = rule.duties.get(caller.person_id or "")
    acts = [
        act.value for act in Act if mine in CHARGED[act] and State(row.state) in TRANSITIONS[act]
    ]
    reads = mine in (Duty.MANAGE, Duty.AUDIT)
    people = party_queries.handlers_of(session, row.organisation_id, at=at)
    named = [*rule.duties, row.made_by, *([row.approved_by] if row.approved_by else [])]
    uses = queries.uses_of(session, row.id, limit=USES_SHOWN) if reads else []
    named += [one.person_id for one in uses]
    return pages_of(request).page(
        request,
        "seal.html",
        caller=caller,
        seal=facts(session, row),
        mine=None if mine is None else mine.value,
        acts=acts,
        reads=reads,
        uses=uses,
        free=[one for one in people if one.id not in rule.duties],
        scoped={
            one.person_id
            for one in party_queries.authorisations_of(session, organisation_id=row.organisation_id)
            if one.revoked_at is None
            and one.valid_from <= at < one.valid_to
            and row.kind in one.seal_scope.split(",")
        },
        attempt=new_id("aut", at=at),
        names={key: one.name for key, one in party_queries.parties_by_ids(session, named).items()},
        at=at,
    )


@router.post("/me/seals/{seal_id}/change")
def change_seal(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    seal_id: SealId,
    act: TextField,
    reason: TextField = "",
) -> Response:
    """Approve, enable, suspend or destroy."""
    seals.change_seal(session, ports, caller, seal_id, act=act, reason=reason, at=at)
    return go(f"/me/seals/{seal_id}")


@router.post("/me/seals/{seal_id}/duties")
def grant_duty(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    seal_id: SealId,
    person_id: TextField,
    duty: TextField,
) -> Response:
    """Charge a person with a duty."""
    seals.grant_duty(session, ports, caller, seal_id, person_id=person_id, duty=duty, at=at)
    return go(f"/me/seals/{seal_id}#duties")


@router.post("/me/seals/{seal_id}/duties/withdraw")
def withdraw_duty(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    seal_id: SealId,
    person_id: TextField,
) -> Response:
    """Take a duty back."""
    seals.withdraw_duty(session, ports, caller, seal_id, person_id=person_id, at=at)
    return go(f"/me/seals/{seal_id}#duties")


@router.post("/me/seals/{seal_id}/authorise")
def authorise_use(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Admin,
    seal_id: SealId,
    person_id: TextField,
    attempt: TextField,
) -> Response:
    """Give the user of the seal an authorisation whose seal scope covers it."""
    seals.authorise_use(
        session, ports, caller, seal_id, person_id=person_id, authorisation_id=attempt, at=at
    )
    return go(f"/me/seals/{seal_id}#duties")


def _form(
    request: Request,
    session: Session,
    caller: Caller,
    values: dict[str, str],
    *,
    at: AtDep,
    reader: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    people = party_queries.handlers_of(session, require_organisation(caller), at=at)
    return form_page(
        request,
        "seal_form.html",
        caller=caller,
        values=values,
        faults=None if reader is None else reader.faults,
        error=error,
        fields=FIELDS,
        kinds=[one.value for one in Kind],
        shapes=[one.value for one in Shape],
        sizes={one.value: SIZES_MM[one] for one in Shape},
        people=[one for one in people if one.id != caller.person_id],
        megabytes=BYTES_MAX // 1048576,
    )
