"""Register an organisation with its first handler and account; later add more handlers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy.orm import Session

from api import access
from api.callers import Caller, Role, require_organisation, require_role
from api.flows.access import create_account
from api.flows.parties import (
    MATTERS,
    POWERS,
    NewAuthorisation,
    NewParty,
    grant_authorisation,
    verify_and_register,
)
from api.flows.verification_levels import NewCheck
from api.flows.verification_levels_asking import ask
from api.ports import Ports
from ledger.core.errors import ConflictError, InputError, UnavailableError
from ledger.core.ids import require_id
from ledger.queries import access as queries
from ledger.store import transaction
from ledger.tables.access import AccountRow
from ledger.tables.parties import PartyRow

RETRY_WINDOW: Final = timedelta(hours=1)
"""How long a registration that stopped half-way may be taken up again with the same ids."""
FIRST_AUTHORISATION: Final = timedelta(days=365)
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)

OrganisationCategory = Literal["donor", "manufacturer", "hospital", "arbitration", "carrier"]
CATEGORIES: Final[tuple[OrganisationCategory, ...]] = (
    "donor",
    "manufacturer",
    "hospital",
    "arbitration",
    "carrier",
)


@dataclass(frozen=True, slots=True)
class NewHandler:
    """A natural person who will act for an organisation, and how it logs in."""

    person_id: str
    account_id: str
    authorisation_id: str
    name: str
    number: str
    consent_id: str
    login: str
    password: str
    invented: bool
    temporary: bool = False
    """Whether somebody else chose the password."""


@dataclass(frozen=True, slots=True)
class Registration:
    """An organisation and its first handler, who also administers it.

    Attributes:
        representative: the handler says that they are the legal representative; a source is asked, and after
            a match they act by law. Everybody else acts on what they declared, as far as the policy table lets
            them, until the representative signs a letter.
    """

    organisation_id: str
    category: OrganisationCategory
    name: str
    number: str
    place: str
    receiving_system: str
    handler: NewHandler
    representative: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration made."""

    organisation: PartyRow
    person: PartyRow
    account: AccountRow


def register(ports: Ports, new: Registration, *, at: datetime) -> Registered:
    """Check both real names, then make the account with its authority.

    Repeating it with the same ids continues where it stopped. An organisation that already has an
    account, or that was registered by somebody else earlier, is not given away: its own
    administrator adds handlers.

    Raises:
        InputError: `identity.*`, `party.*`, `account.*`, `id.malformed`.
        ConflictError: `account.login_taken`, `account.organisation_taken`, `party.number_taken`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    _precheck(ports, new, at=at)
    handler = new.handler
    organisation = verify_and_register(
        ports,
        NewParty(
            id=new.organisation_id,
            kind="organisation",
            category=new.category,
            name=new.name,
            number=new.number,
            place=new.place,
            receiving_system=new.receiving_system,
            consent_id=handler.consent_id,
            invented=handler.invented,
        ),
        at=at,
    )
    person = _register_person(ports, handler, place=new.place, at=at)
    with transaction(ports.sessions) as session:
        account = _account(
            session,
            handler,
            organisation_id=organisation.id,
            roles=frozenset({Role.HANDLER, Role.ADMIN}),
            invented=organisation.invented or person.invented,
            at=at,
        )
        admin = Caller(
            account_id=account.id,
            person_id=person.id,
            organisation_id=organisation.id,
            roles=frozenset({Role.ADMIN}),
        )
        _grant(session, ports, admin, handler, at=account.created_at, now=at)
    if new.representative:
        _ask_representative(ports, admin, new, at=at)
    return Registered(organisation=organisation, person=person, account=account)


def _ask_representative(ports: Ports, admin: Caller, new: Registration, *, at: datetime) -> None:
    """Whether the handler is the legal representative. Not a condition of registering: whatever the answer
    is, it stands at `/me/identity`, where the check can be asked again."""
    check = NewCheck(
        id="chk_" + new.handler.authorisation_id.partition("_")[2],
        party_id=new.organisation_id,
        kind="organisation_representative",
        factors={
            "representative": new.handler.name,
            "representative_number": new.handler.number,
        },
        consent_id=new.handler.consent_id,
    )
    # A source that is away or does not answer this kind leaves a registration without the authority by law.
    with contextlib.suppress(UnavailableError, InputError, ConflictError):
        ask(ports, admin, check, at=at)


def add_handler(ports: Ports, caller: Caller, handler: NewHandler, *, at: datetime) -> AccountRow:
    """Give another natural person an account and an authority for the caller's organisation.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
        InputError, ConflictError: as `register`.
    """
    require_role(caller, Role.ADMIN)
    organisation_id = require_organisation(caller)
    access.normal_login(handler.login)
    with transaction(ports.readers) as session:
        organisation = session.get(PartyRow, organisation_id)
    assert organisation is not None
    person = _register_person(ports, handler, place=organisation.place or "", at=at)
    with transaction(ports.sessions) as session:
        account = _account(
            session,
            handler,
            organisation_id=organisation_id,
            roles=frozenset({Role.HANDLER}),
            invented=organisation.invented or person.invented,
            at=at,
        )
        _grant(session, ports, caller, handler, at=account.created_at, now=at)
    return account


def _precheck(ports: Ports, new: Registration, *, at: datetime) -> None:
    """Refuse what can be refused before anything is recorded or anybody outside is asked."""
    login = access.normal_login(new.handler.login)
    access.require_password(new.handler.password, login=login)
    with transaction(ports.readers) as session:
        own = session.get(AccountRow, new.handler.account_id)
        taken = queries.account_by_login(session, login)
        others = queries.accounts_of(session, new.organisation_id, limit=1)
        organisation = session.get(PartyRow, new.organisation_id)
    if own is not None:
        return
    if taken is not None:
        raise ConflictError("this login name is taken", code="account.login_taken", field="login")
    stale = organisation is not None and at - organisation.created_at > RETRY_WINDOW
    if others or stale:
        raise ConflictError(
            "this organisation is registered; its administrator adds handlers",
            code="account.organisation_taken",
        )


def _register_person(ports: Ports, handler: NewHandler, *, place: str, at: datetime) -> PartyRow:
    return verify_and_register(
        ports,
        NewParty(
            id=handler.person_id,
            kind="person",
            category="person",
            name=handler.name,
            number=handler.number,
            place=place,
            receiving_system="",
            consent_id=handler.consent_id,
            invented=handler.invented,
        ),
        at=at,
    )


def _account(
    session: Session,
    handler: NewHandler,
    *,
    organisation_id: str,
    roles: frozenset[Role],
    invented: bool,
    at: datetime,
) -> AccountRow:
    return create_account(
        session,
        account_id=handler.account_id,
        login=handler.login,
        password=handler.password,
        roles=roles,
        person_id=handler.person_id,
        organisation_id=organisation_id,
        invented=invented,
        at=at,
        temporary=handler.temporary,
    )


def _grant(
    session: Session,
    ports: Ports,
    caller: Caller,
    handler: NewHandler,
    *,
    at: datetime,
    now: datetime,
) -> None:
    """The written authority. Its period starts with the account, so that a retry asks for the same."""
    assert caller.organisation_id is not None
    start = at.replace(microsecond=0)
    grant_authorisation(
        session,
        ports,
        caller,
        NewAuthorisation(
            id=handler.authorisation_id,
            organisation_id=caller.organisation_id,
            person_id=handler.person_id,
            matters=MATTERS,
            powers=POWERS,
            valid_from=start,
            valid_to=start + FIRST_AUTHORISATION,
        ),
        at=now,
    )


def require_category(text: str) -> OrganisationCategory:
    """The category, if it is one.

    Raises:
        InputError: `party.category`.
    """
    for known in CATEGORIES:
        if text == known:
            return known
    raise InputError("no such category of organisation", code="party.category", field="category")


def attempt_time(attempt: str) -> datetime:
    """A fixed time for the ids derived from one form: only their random part need differ.

    Raises:
        InputError: `id.malformed`.
    """
    require_id(attempt, prefix="reg")
    return EPOCH
