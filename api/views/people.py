"""Who may sign: handlers of my organisation, and a counterpart's handler found by login or party id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from api.access import roles_from_text
from api.callers import Role
from ledger.core.errors import InputError, NotFoundError
from ledger.queries import access as access_queries
from ledger.queries import parties as party_queries
from ledger.tables.access import AccountRow
from ledger.tables.parties import AuthorisationRow, PartyRow

HANDLERS_SHOWN: Final = 100
PARTY_PREFIX: Final = "pty_"


@dataclass(frozen=True, slots=True)
class Signatory:
    """A natural person who can sign for an organisation."""

    organisation: PartyRow
    person: PartyRow
    login: str


def handlers_of(session: Session, organisation_id: str) -> list[Signatory]:
    """Active handlers of an organisation, oldest account first."""
    accounts = access_queries.accounts_of(session, organisation_id, limit=HANDLERS_SHOWN)
    return _signatories(session, accounts)


def find_signatory(session: Session, text: str, *, field: str) -> Signatory:
    """The handler that `text` names: a login name, a person's party id, or the party id of an
    organisation that has exactly one handler.

    Raises:
        NotFoundError: `signer.unknown`.
        InputError: `signer.ambiguous` (the organisation has several handlers: name one).
    """
    wanted = text.strip().lower()
    accounts: Sequence[AccountRow]
    if wanted.startswith(PARTY_PREFIX):
        accounts = access_queries.accounts_of_person(session, wanted, limit=HANDLERS_SHOWN)
        accounts = accounts or access_queries.accounts_of(session, wanted, limit=HANDLERS_SHOWN)
    else:
        account = access_queries.account_by_login(session, wanted)
        accounts = [] if account is None else [account]
    found = _signatories(session, accounts)
    if not found:
        raise NotFoundError("there is no such handler", code="signer.unknown", field=field)
    if len({one.person.id for one in found}) > 1 or len({one.organisation.id for one in found}) > 1:
        raise InputError(
            "several handlers fit; name one by login", code="signer.ambiguous", field=field
        )
    return found[0]


def newest_authorisation(session: Session, one: Signatory) -> AuthorisationRow | None:
    """The newest authorisation of a handler that is not revoked."""
    held = party_queries.authorisations_of(
        session, organisation_id=one.organisation.id, person_id=one.person.id
    )
    return next((row for row in held if row.revoked_at is None), None)


def _signatories(session: Session, accounts: Sequence[AccountRow]) -> list[Signatory]:
    ids = [one for a in accounts for one in (a.person_id, a.organisation_id) if one is not None]
    people = party_queries.parties_by_ids(session, ids)
    return [
        Signatory(people[a.organisation_id], people[a.person_id], a.login)
        for a in accounts
        if a.active
        and a.person_id in people
        and a.organisation_id in people
        and Role.HANDLER in roles_from_text(a.roles)
    ]
