"""One door to every kind of check, and what its party sees of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from api.callers import Caller, Role
from api.flows.authority import REPRESENTATIVE_KIND, know_representative
from api.flows.verification_levels import NewCheck, ask_source, level_of, offered
from api.flows.verification_levels_codes import Asked, ask_code, open_challenge
from api.flows.verification_levels_reviews import ask_review
from api.ports import Ports
from ledger.core.errors import InputError
from ledger.queries import identity as queries
from ledger.store import transaction
from ledger.tables.parties import IdentityCheckRow, IdentityDocumentRow, PartyRow
from signing.identity import KINDS, Answered, DerivedLevel, Status


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check as its party sees it.

    Attributes:
        asked: the code or transfer behind it, or None.
        documents: what was uploaded for a review.
    """

    check: IdentityCheckRow
    asked: Asked | None
    documents: tuple[IdentityDocumentRow, ...]

    @property
    def answered(self) -> str:
        """Who answers: `source`, `code`, `transfer`, `review`, `letter`."""
        return KINDS[self.check.kind].answered.value


@dataclass(frozen=True, slots=True)
class PartyView:
    """A party's real name as far as it is known.

    Attributes:
        level: computed now from the recorded checks.
        offered: kinds that can be asked.
        checks: newest first.
    """

    party: PartyRow
    level: DerivedLevel
    offered: tuple[str, ...]
    checks: tuple[CheckView, ...]


def ask(ports: Ports, caller: Caller, new: NewCheck, *, at: datetime) -> CheckView:
    """Ask for a check of any kind; see the flow of each.

    Raises:
        As `ask_source`, `ask_code`, `ask_review`.
    """
    rule = KINDS.get(new.kind)
    if rule is None:
        raise InputError("no such kind of verification", code="identity.kind", field="kind")
    if rule.answered in (Answered.CODE, Answered.TRANSFER):
        asked = ask_code(ports, caller, new, at=at)
        return CheckView(asked.check, asked, ())
    if rule.answered is Answered.REVIEW:
        with transaction(ports.sessions) as session:
            return CheckView(ask_review(session, ports, caller, new, at=at), None, ())
    row = ask_source(ports, caller, new, at=at)
    if row.kind == REPRESENTATIVE_KIND and row.status == Status.MATCH.value:
        # A crash before this line: the same check sent again comes here too.
        know_representative(ports, caller, row.id, new.factors["representative_number"], at=at)
    return CheckView(row, None, ())


def parties_of(
    session: Session, ports: Ports, caller: Caller, *, at: datetime
) -> tuple[PartyView, ...]:
    """The caller's own person, and as administrator the organisation."""
    ids = [caller.person_id, caller.organisation_id if caller.has(Role.ADMIN) else None]
    found = [session.get(PartyRow, one) for one in ids if one is not None]
    return tuple(
        PartyView(
            party,
            level_of(session, ports, party.id, at=at),
            offered(ports, party.kind),
            _checks(session, ports, party.id),
        )
        for party in found
        if party is not None
    )


def view_of(session: Session, ports: Ports, row: IdentityCheckRow) -> CheckView:
    """One check with what stands behind it."""
    challenge = queries.challenges_of(session, [row.id]).get(row.id)
    asked = None if challenge is None else open_challenge(session, ports, row, challenge)
    return CheckView(row, asked, tuple(queries.documents_of(session, [row.id])))


def _checks(session: Session, ports: Ports, party_id: str) -> tuple[CheckView, ...]:
    rows = queries.checks_of(session, [party_id])[: queries.PAGE_MAX]
    ids = [row.id for row in rows]
    challenges = queries.challenges_of(session, ids)
    documents = queries.documents_of(session, ids)
    return tuple(
        CheckView(
            row,
            open_challenge(session, ports, row, challenges[row.id])
            if row.id in challenges
            else None,
            tuple(one for one in documents if one.check_id == row.id),
        )
        for row in rows
    )
