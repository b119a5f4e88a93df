"""Pages: letters of authority, and acts beyond an authority."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Path, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller, require_organisation
from api.deps import Admin, AtDep, Handler, PortsDep, SessionDep, Tenant
from api.errors import problem_of, request_id_of
from api.flows import authority, ratification
from api.flows.parties import APPROVE, AUTHORISATION_DAYS_MAX, MATTERS, POWERS
from api.flows.registration import EPOCH
from api.ports import Ports
from api.routes.authority import letter_out
from api.routes.base import pages_of
from api.routes.forms import form_page
from api.schemas.base import ID_CHARACTERS_MAX
from api.views.people import handlers_of
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import derived_id, new_id, require_id
from ledger.queries import identity as queries
from ledger.queries import notices as notice_queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow
from ledger.tables.parties import PartyRow

router = APIRouter(include_in_schema=False)

RecordId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]
YUAN_MAX: Final = 10**13
SHOWN: Final = 50
FIELDS: Final = {"party.not_found": "person", "authorisation.period": "days"}


class LetterForm(BaseModel):
    """The form of a letter as typed."""

    attempt: str = ""
    person: str = ""
    matter: str = ""
    amount_yuan: str = ""
    seals: str = ""
    days: str = "365"
    approve: str = ""


class AskForm(BaseModel):
    """A handler asks for ratification."""

    attempt: str = ""
    signer: str = ""
    reason: str = ""


@router.get("/me/letters", response_class=HTMLResponse)
def letters_page(
    request: Request, session: SessionDep, ports: PortsDep, at: AtDep, caller: Tenant
) -> Response:
    """Letters of authority, and for the administrator the form of a new one."""
    values = LetterForm(attempt=new_id("aut", at=at)).model_dump()
    return _letters(request, session, ports, caller, values=values, error=None, faults={})


@router.post("/me/letters", response_class=HTMLResponse)
def propose_letter(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Admin,
    form: Annotated[LetterForm, Form()],
) -> Response:
    """Draw up a letter; sending the form twice makes one."""
    typed = form.model_dump()
    reader = FormReader(typed)
    person = reader.text("person", characters_max=ID_CHARACTERS_MAX)
    matter = reader.choice("matter", ("all", *sorted(MATTERS)))
    yuan = reader.integer("amount_yuan", low=0, high=YUAN_MAX, required=False)
    days = reader.integer("days", low=1, high=AUTHORISATION_DAYS_MAX) or 1
    seals = reader.text("seals", required=False)
    error: FuqiError | None = None
    if not reader.faults:
        try:
            require_id(form.attempt, prefix="aut")
            start = at.replace(microsecond=0)
            # A savepoint: what was begun before a refusal is taken back.
            with session.begin_nested():
                authority.propose_letter(
                    session,
                    ports,
                    caller,
                    authority.NewLetter(
                        id=form.attempt,
                        agreement_id=derived_id("agr", at=EPOCH, seed=form.attempt),
                        person_id=person,
                        matters=MATTERS if matter == "all" else frozenset({matter}),
                        powers=POWERS | ({APPROVE} if form.approve else frozenset()),
                        valid_from=start,
                        valid_to=start + timedelta(days=days),
                        amount_max=None if yuan is None else yuan * 100,
                        seal_scope=frozenset(re.split(r"[,，、\s]+", seals)) - {""},
                    ),
                    at=at,
                )
        except FuqiError as caught:
            error = caught
    if error is not None or reader.faults:
        return _letters(
            request, session, ports, caller, values=typed, error=error, faults=reader.faults
        )
    return go("/me/letters")


@router.get("/me/ratifications", response_class=HTMLResponse)
def ratifications_page(
    request: Request, session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler
) -> Response:
    """What the organisation was asked to ratify, and where the caller's own authority falls short."""
    return _ratifications(request, session, ports, caller, at=at, error=None)


@router.post("/me/ratifications", response_class=HTMLResponse)
def ask_ratification(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[AskForm, Form()],
) -> Response:
    """Ask for it."""
    try:
        with session.begin_nested():
            ratification.ask_ratification(
                session,
                ports,
                caller,
                form.signer[:ID_CHARACTERS_MAX],
                ratification_id=form.attempt,
                reason=form.reason,
                at=at,
            )
    except FuqiError as error:
        return _ratifications(request, session, ports, caller, at=at, error=error)
    return go("/me/ratifications")


def _letters(
    request: Request,
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    values: dict[str, str],
    error: FuqiError | None,
    faults: Any,
) -> Response:
    organisation = session.get_one(PartyRow, require_organisation(caller))
    rows = party_queries.letters_of(session, organisation.id)
    people = party_queries.parties_by_ids(session, [row.person_id for row in rows])
    representative = (
        None
        if organisation.representative_id is None
        else session.get(PartyRow, organisation.representative_id)
    )
    return form_page(
        request,
        "letters.html",
        caller=caller,
        values=values,
        faults=faults,
        error=error,
        fields=FIELDS,
        letters=[letter_out(session, row) for row in rows],
        names={key: one.name for key, one in people.items()},
        representative=representative,
        handlers=handlers_of(session, organisation.id),
        matters=sorted(MATTERS),
        policy=ports.levels,
    )


def _ratifications(
    request: Request,
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    at: datetime,
    error: FuqiError | None,
) -> Response:
    organisation_id = require_organisation(caller)
    rows = list(queries.ratifications_for(session, organisation_id, limit=SHOWN))
    agreements = {one.agreement_id: session.get_one(AgreementRow, one.agreement_id) for one in rows}
    people = party_queries.parties_by_ids(session, [one.asked_by for one in rows])
    problem = None if error is None else problem_of(error, request_id=request_id_of(request))
    return pages_of(request).page(
        request,
        "ratifications.html",
        caller=caller,
        status=200 if problem is None else problem.status,
        problem=problem,
        rows=rows,
        titles={key: one.title for key, one in agreements.items()},
        names={key: one.name for key, one in people.items()},
        beyond=_beyond(session, ports, caller, organisation_id, at=at),
        attempt=new_id("rat", at=at),
    )


def _beyond(
    session: Session, ports: Ports, caller: Caller, organisation_id: str, *, at: datetime
) -> list[tuple[str, str, str]]:
    """(place, title, what is lacking) of the caller's open places beyond their authority."""
    found = []
    places = notice_queries.open_places_of(
        session, organisation_id=organisation_id, person_id=caller.person_id or ""
    )
    for place in places[:SHOWN]:
        agreement = session.get_one(AgreementRow, place.agreement_id)
        asked = queries.ratification_of_signer(session, place.id)
        if place.signed_at is not None or asked is not None:
            continue
        try:
            lack = ratification.lack_of(session, ports, place, agreement, at=at)
        except FuqiError:
            continue
        if lack is not None:
            found.append((place.id, agreement.title, lack))
    return found
