"""Batches (批量签署): a handler reads many documents one by one and affirms them with one statement.

The statement lists a digest for each document (signing/batch_intent.py). Affirming it records consent and
the will to sign for each agreement in one transaction: all of them, or none. The signatures then follow one
by one over the ordinary two steps, so that a lost connection leaves whole agreements only.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import record_step, signer_for, state_of
from api.flows.annexes import annex_of, require_annexed
from api.flows.authority import grounds_of
from api.flows.idempotency import fingerprint, require_same
from api.flows.signatures import held_certificate
from api.ports import Ports
from ledger.core.canonical import Json, canonical_bytes, canonical_parse
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    FuqiError,
    InputError,
    LimitError,
    NotFoundError,
    VerificationError,
)
from ledger.core.ids import require_id
from ledger.queries import batches as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.batches import BatchItemRow, BatchRow
from signing import agreement as rules
from signing.batch_intent import (
    ACTS,
    ITEMS_MAX,
    batch_digest,
    batch_item,
    batch_statement,
    verify_batch,
)
from signing.certificates import certificate_spki
from signing.intent import require_fresh
from signing.keys.algorithms import PROOF_BYTES_MAX

NOT_TO_SIGN: Final = "batch.not_to_sign"
NAMED_MAX: Final = 20
"""As many places an error names; the page shows the state of each."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one document of a batch is.

    Attributes:
        code: `unread`, `ready`, `affirmed`, `awaiting` (affirmed; another party has not consented yet),
            `signed`, or why it cannot be in the batch any more.
    """

    number: int
    signer: SignerRow
    agreement: AgreementRow
    code: str


def open_batch(
    session: Session, caller: Caller, batch_id: str, *, signers: Sequence[str], at: datetime
) -> BatchRow:
    """Put the caller's own open places together; the same request again returns the batch.

    Raises:
        LimitError: `batch.items`.  InputError: `batch.twice`.
        NotFoundError: a place that is absent or another person's.
        ConflictError: `batch.not_ready` (`context["places"]`: place and reason of the first twenty).
        ExistsWithDifferentFieldError: same id, other places.
    """
    require_id(batch_id, prefix="bat")
    organisation = require_organisation(caller)
    fields: dict[str, Json] = {"signers": list(signers)}
    earlier = session.get(BatchRow, batch_id)
    if earlier is not None:
        _require_own(caller, earlier)
        require_same(earlier.fingerprint, fields, id=batch_id)
        return earlier
    if not 1 <= len(signers) <= ITEMS_MAX:
        raise LimitError(f"a batch has 1 to {ITEMS_MAX} documents", code="batch.items")
    if len(set(signers)) != len(signers):
        raise InputError("a document stands in a batch once", code="batch.twice")
    if caller.person_id is None:
        raise ForbiddenError("a batch is read and signed by a person", code="auth.role")
    places = _own_places(session, caller, signers)
    _require_none(
        [
            (signer.id, fault)
            for row, signer in places
            if (fault := _fault(session, row, signer, at=at)) is not None
        ]
    )
    made = BatchRow(
        id=batch_id,
        organisation_id=organisation,
        person_id=caller.person_id,
        fingerprint=fingerprint(fields),
        created_at=at,
    )
    session.add(made)
    session.flush()
    by_id = {signer.id: row for row, signer in places}
    session.add_all(
        BatchItemRow(
            batch_id=batch_id, number=number, signer_id=one, agreement_id=by_id[one].id, salt=None
        )
        for number, one in enumerate(signers, start=1)
    )
    session.flush()
    return made


def batch_for(session: Session, caller: Caller, batch_id: str) -> BatchRow:
    """The caller's own batch.

    Raises:
        NotFoundError: absent, or another person's.
    """
    row = session.get(BatchRow, batch_id)
    if row is None:
        raise NotFoundError("there is no such record")
    _require_own(caller, row)
    return row


def standing_of(session: Session, batch: BatchRow, *, at: datetime) -> list[Standing]:
    """How far each document is, in the order of the list."""
    found = []
    for item in queries.items_of(session, batch.id):
        signer = session.get_one(SignerRow, item.signer_id)
        row = session.get_one(AgreementRow, item.agreement_id)
        if signer.signed_at is not None:
            code = "signed"
        elif (fault := _fault(session, row, signer, at=at)) is not None:
            code = fault
        elif signer.intent_at is not None:
            value = state_of(session, row)
            code = "affirmed" if set(value.parties) <= set(value.consents) else "awaiting"
        else:
            code = "unread" if signer.read_at is None else "ready"
        found.append(Standing(number=item.number, signer=signer, agreement=row, code=code))
    return found


def make_batch_statement(
    session: Session, caller: Caller, batch_id: str, *, at: datetime
) -> BatchRow:
    """The exact sentence and the list of digests, with a fresh nonce; an earlier one is void.

    Raises:
        NotFoundError: no such batch of this caller.
        ConflictError: `batch.affirmed`, `batch.not_read`, `batch.not_ready`.
    """
    batch = _locked(session, caller, batch_id)
    if batch.affirmed_at is not None:
        raise ConflictError(
            "this batch is affirmed; sign what is left of it", code="batch.affirmed"
        )
    items = queries.items_of(session, batch_id)
    places = _own_places(session, caller, [one.signer_id for one in items])
    _require_readable(session, places, at=at)
    people = party_queries.parties_by_ids(session, [batch.organisation_id, batch.person_id])
    by_id = {signer.id: (row, signer) for row, signer in places}
    listed = []
    for one in items:
        row, signer = by_id[one.signer_id]
        one.salt = secrets.token_hex(16)
        annex = annex_of(session, row, signer)
        one.annex = None if annex is None else canonical_bytes(annex).decode()
        listed.append(_opened(one, row, signer))
    batch.statement = canonical_bytes(
        batch_statement(
            listed,
            person=batch.person_id,
            person_name=people[batch.person_id].name,
            organisation=batch.organisation_id,
            organisation_name=people[batch.organisation_id].name,
            at=at,
            nonce=secrets.token_hex(16),
        )
    ).decode()
    session.flush()
    return batch


def express_batch(
    session: Session, ports: Ports, caller: Caller, batch_id: str, *, proof: bytes, at: datetime
) -> BatchRow:
    """Record consent and the will to sign for every document of the batch, or for none.

    The same proof again returns the batch as recorded.

    Raises:
        NotFoundError: no such batch of this caller; `certificate.none`.
        VerificationError: `intent.*`.  ForbiddenError: `authority.*`.
        ConflictError: `batch.no_statement`, `batch.affirmed`, `batch.not_read`, `batch.not_ready`.
    """
    batch = _locked(session, caller, batch_id)
    if batch.affirmed_at is not None:
        if batch.proof == proof.hex():
            return batch
        raise ConflictError(
            "this batch is affirmed; sign what is left of it", code="batch.affirmed"
        )
    if batch.statement is None:
        raise ConflictError("ask for the statement first", code="batch.no_statement")
    if len(proof) > PROOF_BYTES_MAX:
        raise InputError("this is too long for a signature", code="intent.proof_size")
    value = canonical_parse(batch.statement.encode())
    assert isinstance(value, dict)
    items = queries.items_of(session, batch_id)
    places = _own_places(session, caller, [one.signer_id for one in items])
    _require_readable(session, places, at=at)
    by_id = {signer.id: (row, signer) for row, signer in places}
    certificate = held_certificate(session, places[0][1], at=at)
    verify_batch(value, signature=proof, public_spki=certificate_spki(certificate.der))
    require_fresh(value, at=at)
    common: dict[str, Json] = {
        "statement": value,
        "statement_sha256": batch_digest(value).hex(),
        "method": "device_key",
        "proof": proof.hex(),
        "certificate": certificate.id,
        "serial": certificate.serial,
    }
    for one in items:
        row, signer = by_id[one.signer_id]
        _affirm(
            session,
            ports,
            caller,
            row,
            signer,
            item=_opened(one, row, signer),
            annex=_annex(one),
            common=common,
            at=at,
        )
    batch.proof = proof.hex()
    batch.certificate_id = certificate.id
    batch.affirmed_at = at
    session.flush()
    return batch


def _affirm(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    signer: SignerRow,
    *,
    item: dict[str, Json],
    annex: dict[str, Json] | None,
    common: dict[str, Json],
    at: datetime,
) -> None:
    if annex != annex_of(session, row, signer):
        raise VerificationError(
            "files of a document have changed: ask for the statement again",
            code="intent.other_annex",
            agreement=row.id,
        )
    for act in ACTS:
        grounds = grounds_of(session, ports, signer, row, act=act, at=at)
        record_step(
            session,
            ports,
            caller,
            row,
            "intent.expressed",
            {
                "signer": signer.id,
                "act": act,
                **common,
                "authorisation": grounds.authorisation.id,
                "item": item,
                **({} if annex is None else {"annex": annex}),
            },
            at=at,
        )
    signer.consented_at = signer.consented_at or at
    signer.intent_at = at


def opened_items(session: Session, batch: BatchRow) -> list[dict[str, Json]]:
    """The items of the current statement, for the signer to compare with the list; [] before one is made."""
    if batch.statement is None:
        return []
    return [
        _opened(
            one,
            session.get_one(AgreementRow, one.agreement_id),
            session.get_one(SignerRow, one.signer_id),
        )
        for one in queries.items_of(session, batch.id)
    ]


def _opened(one: BatchItemRow, row: AgreementRow, signer: SignerRow) -> dict[str, Json]:
    assert one.salt is not None
    return batch_item(
        agreement=row.id,
        document_sha256=bytes.fromhex(row.document_sha256),
        field=signer.field,
        salt=bytes.fromhex(one.salt),
        annex=_annex(one),
    )


def _annex(one: BatchItemRow) -> dict[str, Json] | None:
    if one.annex is None:
        return None
    value = canonical_parse(one.annex.encode())
    assert isinstance(value, dict)
    return value


def _locked(session: Session, caller: Caller, batch_id: str) -> BatchRow:
    row = queries.lock_batch(session, batch_id)
    if row is None:
        raise NotFoundError("there is no such record")
    _require_own(caller, row)
    return row


def _require_own(caller: Caller, row: BatchRow) -> None:
    if (caller.person_id, caller.organisation_id) != (row.person_id, row.organisation_id):
        raise NotFoundError("there is no such record")


def _own_places(
    session: Session, caller: Caller, signers: Sequence[str]
) -> list[tuple[AgreementRow, SignerRow]]:
    """Locked in one order whatever the list says, so that two batches cannot wait for each other."""
    return [signer_for(session, caller, one) for one in _lock_order(session, signers)]


def _lock_order(session: Session, signers: Sequence[str]) -> list[str]:
    known: dict[str, Any] = {one: session.get(SignerRow, one) for one in signers}
    return sorted(
        signers, key=lambda one: ("" if known[one] is None else known[one].agreement_id, one)
    )


def _require_readable(
    session: Session, places: Sequence[tuple[AgreementRow, SignerRow]], *, at: datetime
) -> None:
    unread = [signer.id for _, signer in places if signer.read_at is None]
    if unread:
        raise ConflictError(
            f"{len(unread)} documents are not read yet",
            code="batch.not_read",
            places=unread[:NAMED_MAX],
        )
    _require_none(
        [
            (signer.id, "batch.signed" if signer.signed_at else fault)
            for row, signer in places
            if (fault := _fault(session, row, signer, at=at)) is not None or signer.signed_at
        ]
    )


def _require_none(faults: Sequence[tuple[str, str | None]]) -> None:
    if faults:
        raise ConflictError(
            f"{len(faults)} documents cannot be in the batch; start one without them",
            code="batch.not_ready",
            places=[f"{one}: {fault}" for one, fault in faults[:NAMED_MAX]],
        )


def _fault(session: Session, row: AgreementRow, signer: SignerRow, *, at: datetime) -> str | None:
    """Why this place cannot be affirmed now, or None."""
    if signer.act != rules.Act.SIGN:
        # An approval is a decision of its own, read and given on the agreement's page; the waiting list
        # leads there.
        return NOT_TO_SIGN
    value = state_of(session, row)
    try:
        rules.consent(value, party=signer.organisation_id, at=at)
    except FuqiError as exc:
        return exc.error_code
    if signer.signed_at is None:
        # The batch lists what its reader has decided on; these are decided on each agreement's own page.
        try:
            require_annexed(session, row, signer)
        except ConflictError as exc:
            return exc.error_code
    if signer.signed_at is None and signer.field not in {one.field for one in value.waiting}:
        return "agreement.not_your_turn"
    return None
