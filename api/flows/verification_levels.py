"""Real-name levels: ask, record what was answered, compute the level from what stands recorded.

A level is never set: it follows from the rows of `identity_check`, each with its entry on the log, and it
is computed anew wherever it decides, because a check ends in time. `no_record` accuses nobody: the same or
another kind is asked again under a new id.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role
from api.flows.idempotency import fingerprint, require_same
from api.ports import Ports
from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import ConflictError, InputError, NotFoundError
from ledger.core.ids import new_id, require_id
from ledger.core.units import digest32, utc_text
from ledger.log import NewEntry, record
from ledger.queries import identity as queries
from ledger.store import transaction
from ledger.tables.parties import IdentityCheckRow, PartyRow
from signing.identity import (
    KINDS,
    Answered,
    DerivedLevel,
    MockProvider,
    Status,
    VerificationRequest,
    VerificationResult,
    derive_level,
    require_attempts_left,
)
from signing.identity_policy import Need, require_levels
from signing.providers.identity_http import HttpProvider
from signing.providers.identity_manual import ManualReviewProvider
from signing.verification import EVIDENCE_TAG, require_request

FROM_RECORD: Final = frozenset({"name", "number", "uscc"})
"""Taken from the party's own record: nobody is checked under another name than the registered one."""
FILLED_LATER: Final = frozenset({"code", "amount", "documents", "letter"})
DAY: Final = timedelta(hours=24)
ASKED_PER_DAY_MAX: Final = 20
"""A person tries a few ways; each look-up costs money and shows data to somebody."""
PURPOSE: Final = "real_name_level"
REASON_CHARS_MAX: Final = 200
REVIEWS: Final = ManualReviewProvider()
OUTSIDE_ANSWERS: Final = (Status.MATCH, Status.MISMATCH, Status.NO_RECORD, Status.SOURCE_DOWN)


@dataclass(frozen=True, slots=True)
class NewCheck:
    """A check to ask for.

    Attributes:
        id: `chk_…`, made by the caller.
        factors: what the kind needs beyond the registered name and number.
        consent_id: id of the separate consent to this check.
    """

    id: str
    party_id: str
    kind: str
    factors: Mapping[str, str]
    consent_id: str


def level_of(session: Session, ports: Ports, party_id: str, *, at: datetime) -> DerivedLevel:
    """The level of a party now."""
    return levels_of(session, ports, [party_id], at=at)[party_id]


def levels_of(
    session: Session, ports: Ports, party_ids: Sequence[str], *, at: datetime
) -> dict[str, DerivedLevel]:
    """The levels of these parties now, by id."""
    results = [result_of(row) for row in queries.checks_of(session, party_ids)]
    return {
        one: derive_level(results, subject=one, allow_mock=not ports.settings.production, at=at)
        for one in party_ids
    }


def require_publishable(
    session: Session,
    ports: Ports,
    *,
    matter: str,
    amount: int | None,
    signers: Sequence[tuple[str, str]],
    at: datetime,
) -> Need:
    """Refuse to publish to somebody whose name is not known well enough.

    Args:
        signers: (organisation, person) of every place.

    Raises:
        ForbiddenError: `identity.level_too_low`.
    """
    need = ports.levels.need(matter=matter, amount=amount)
    found = levels_of(session, ports, [one for pair in signers for one in pair], at=at)
    levels = {party: int(one.level) for party, one in found.items()}
    for organisation, person in signers:
        require_levels(need, person=person, organisation=organisation, levels=levels)
    return need


def offered(ports: Ports, about: str) -> tuple[str, ...]:
    """Kinds that can be asked here about a `person` or an `organisation`, in a fixed order."""
    provider = ports.provider
    if isinstance(provider, HttpProvider):
        sources = provider.kinds
    else:
        sources = frozenset(KINDS) if isinstance(provider, MockProvider) else frozenset()
    reachable = {
        Answered.SOURCE: sources,
        Answered.CODE: frozenset(KINDS) if ports.messenger is not None else frozenset(),
        Answered.TRANSFER: frozenset(KINDS),
        Answered.REVIEW: frozenset(KINDS),
        Answered.LETTER: frozenset[str](),
    }
    return tuple(
        kind
        for kind, rule in KINDS.items()
        if rule.about == about and kind in reachable[rule.answered]
    )


def require_own(session: Session, caller: Caller, party_id: str) -> PartyRow:
    """A party whose real name the caller may have checked: itself, or as administrator the organisation.

    Raises:
        NotFoundError: anybody else.
    """
    administers = caller.organisation_id == party_id and caller.has(Role.ADMIN)
    party = session.get(PartyRow, party_id)
    if party is None or not (caller.person_id == party_id or administers):
        raise NotFoundError("there is no such record")
    return party


def ask_source(ports: Ports, caller: Caller, new: NewCheck, *, at: datetime) -> IdentityCheckRow:
    """Ask the provider about a name, and record its answer; `pending` where it answers later.

    Raises:
        NotFoundError: not the caller's own party.
        InputError: `id.malformed`, `identity.kind`, `identity.factors`, `identity.consent_missing`.
        ConflictError: `identity.attempts_exhausted`, `identity.asked_too_often`, `vault.restricted`.
        ExistsWithDifferentFieldError: same id, other body.
    """
    with transaction(ports.readers) as session:
        existing = known_check(session, ports, caller, new)
        if existing is not None:
            return existing
        request = question(session, ports, caller, new, at=at)
    if KINDS[new.kind].answered is not Answered.SOURCE:
        raise InputError("this kind is not answered by a register", code="identity.kind")
    # Asked outside the transaction: a slow provider must hold no lock. A crash here leaves nothing;
    # the same id asks again, and the provider answers the same question once.
    result = ports.provider.verify(request)
    with transaction(ports.sessions) as session:
        existing = known_check(session, ports, caller, new)
        if existing is not None:
            return existing
        row = add_check(session, ports, caller, new, request, result, at=at)
        if result.status is not Status.PENDING:
            settle(session, ports, row, result, actor=caller.account_id, at=at)
        session.flush()
        return row


def known_check(
    session: Session, ports: Ports, caller: Caller, new: NewCheck
) -> IdentityCheckRow | None:
    """The check that an earlier attempt with this id made.

    Raises:
        InputError: `id.malformed`.  NotFoundError: not the caller's own party.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_id(new.id, prefix="chk")
    require_own(session, caller, new.party_id)
    row = session.get(IdentityCheckRow, new.id)
    if row is not None:
        require_same(row.fingerprint, _fields(ports, new), id=new.id)
    return row


def question(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewCheck,
    *,
    at: datetime,
    later: Mapping[str, str] | None = None,
) -> VerificationRequest:
    """The complete question, with name and number out of the party's record.

    Args:
        later: stands for what is filled in later (`code`, `amount`, `documents`).

    Raises:
        InputError, ConflictError, NotFoundError: as `ask_source`.
    """
    party = require_own(session, caller, new.party_id)
    rule = KINDS.get(new.kind)
    if rule is None or rule.about != party.kind or new.kind not in offered(ports, party.kind):
        raise InputError(
            "this kind is not offered here for this party", code="identity.kind", field="kind"
        )
    if queries.asked_since(session, party.id, since=at - DAY) >= ASKED_PER_DAY_MAX:
        raise ConflictError(
            f"at most {ASKED_PER_DAY_MAX} checks of one party a day",
            code="identity.asked_too_often",
        )
    earlier = [result_of(row) for row in queries.checks_of(session, [party.id])]
    require_attempts_left(new.kind, subject=party.id, earlier=earlier, at=at)
    if set(new.factors) & (FROM_RECORD | FILLED_LATER):
        raise InputError(
            "name and number are taken from the record, codes and documents are sent later",
            code="identity.factors",
        )
    sealed = (
        {}
        if party.number_sealed is None
        else ports.vault.open_value(session, party.number_sealed, subject=party.id, name="number")
    )
    number = str(sealed.get("number", ""))
    own = {"name": party.name, "number": number, "uscc": number}
    factors = {name: text for name, text in own.items() if name in rule.factors}
    request = VerificationRequest(
        request_id=new.id,
        kind=new.kind,
        subject=party.id,
        factors={**factors, **new.factors, **(later or {})},
        purpose=PURPOSE,
        consent_id=new.consent_id,
        nonce=secrets.token_hex(16),
        at=at,
    )
    require_request(request)
    return request


def add_check(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewCheck,
    request: VerificationRequest,
    result: VerificationResult,
    *,
    at: datetime,
) -> IdentityCheckRow:
    """The row of a question, pending; `settle` records its answer."""
    row = pending_row(request, result, asked_by=caller.account_id, at=at)
    row.fingerprint = fingerprint(_fields(ports, new))
    session.add(row)
    session.flush()
    return row


def pending_row(
    request: VerificationRequest, result: VerificationResult, *, asked_by: str, at: datetime
) -> IdentityCheckRow:
    """A row that says what was asked of whom and nothing of the answer."""
    return IdentityCheckRow(
        id=request.request_id,
        party_id=request.subject,
        kind=request.kind,
        status=Status.PENDING.value,
        provider=result.provider,
        label_en=result.label_en,
        label_zh=result.label_zh,
        mock=result.mock,
        purpose=request.purpose,
        consent_id=request.consent_id,
        nonce=request.nonce,
        asked_by=asked_by,
        created_at=at,
    )


def settle(
    session: Session,
    ports: Ports,
    row: IdentityCheckRow,
    result: VerificationResult,
    *,
    actor: str,
    at: datetime,
) -> DerivedLevel:
    """Record an answer with its entry, and the level that the party has from now on."""
    assert row.status == Status.PENDING.value, "an answer stands for good"
    row.status = result.status.value
    row.checked_at = result.checked_at
    row.evidence_sha256 = result.evidence_digest.hex()
    session.flush()
    level = level_of(session, ports, row.party_id, at=at)
    party = session.get_one(PartyRow, row.party_id)
    party.level = int(level.level)
    party.level_reason = reason_of(level)
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="identity.checked",
            at=at,
            subject=party.id,
            actor=actor,
            body={
                **result.as_json(),
                "level": party.level,
                "level_reason": party.level_reason,
            },
        ),
    )
    return level


def take_callback(ports: Ports, data: bytes, *, at: datetime) -> IdentityCheckRow:
    """Record what an outside service answers later. The same answer again changes nothing.

    Raises:
        VerificationError: `identity.answer_malformed`, `identity.answer_mac`, `identity.answer_stale`.
        NotFoundError: no such question, or none of this service.
        ConflictError: `identity.answer_differs`.
        InputError: `identity.decision`: an answer that decides nothing.
    """
    provider = ports.provider
    if not isinstance(provider, HttpProvider):
        raise NotFoundError("no service is connected here")
    answer = provider.read_callback(data, at=at)
    facts = json.dumps(answer.facts, sort_keys=True)
    with transaction(ports.sessions) as session:
        row = queries.lock_check(session, answer.request_id)
        if row is None or (row.provider, row.nonce) != (provider.name, answer.nonce):
            raise NotFoundError("there is no such question")
        if row.answer == facts:
            return row
        if row.status != Status.PENDING.value:
            raise ConflictError(
                "another answer to this question is recorded", code="identity.answer_differs"
            )
        if answer.status not in OUTSIDE_ANSWERS:
            raise InputError("this answer decides nothing", code="identity.decision")
        row.answer = facts
        settle(
            session,
            ports,
            row,
            provider.result_of(request_of(row), answer),
            actor="system",
            at=at,
        )
        session.flush()
        return row


def request_of(row: IdentityCheckRow) -> VerificationRequest:
    """The question as far as it is kept: its factors are not."""
    return VerificationRequest(
        request_id=row.id,
        kind=row.kind,
        subject=row.party_id,
        factors={},
        purpose=row.purpose,
        consent_id=row.consent_id,
        nonce=row.nonce,
        at=row.created_at,
    )


def result_of(row: IdentityCheckRow) -> VerificationResult:
    """The rule-side value of a row."""
    evidence = bytes(32) if row.evidence_sha256 is None else bytes.fromhex(row.evidence_sha256)
    return VerificationResult(
        status=Status(row.status),
        provider=row.provider,
        label_en=row.label_en,
        label_zh=row.label_zh,
        mock=row.mock,
        request_id=row.id,
        kind=row.kind,
        subject=row.party_id,
        checked_at=row.checked_at or row.created_at,
        evidence_digest=digest32(evidence),
    )


def local_result(
    row: IdentityCheckRow, status: Status, *, at: datetime, **facts: Json
) -> VerificationResult:
    """The result of a check that is answered here, with a digest of what it rests on."""
    kept: dict[str, Json] = {
        "request": row.id,
        "kind": row.kind,
        "nonce": row.nonce,
        "status": status.value,
        "provider": row.provider,
        "at": utc_text(at),
        **facts,
    }
    return VerificationResult(
        status=status,
        provider=row.provider,
        label_en=row.label_en,
        label_zh=row.label_zh,
        mock=row.mock,
        request_id=row.id,
        kind=row.kind,
        subject=row.party_id,
        checked_at=at,
        evidence_digest=tagged_digest(EVIDENCE_TAG, kept),
    )


def reason_of(level: DerivedLevel) -> str:
    """Why the level is what it is: labels of the answers that count, codes of what is missing."""
    return ("; ".join((*level.labels, *level.reasons)) or "checked")[:REASON_CHARS_MAX]


def _fields(ports: Ports, new: NewCheck) -> dict[str, Json]:
    # Telephone and card numbers are few enough to be guessed from a plain digest.
    keyed = {name: ports.keyed_digest(text) for name, text in sorted(new.factors.items())}
    return {
        "party": new.party_id,
        "kind": new.kind,
        "factors": dict(keyed),
        "consent": new.consent_id,
    }
