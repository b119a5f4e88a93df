"""Batches (批量签署、用印审批): a handler reads many documents one by one and affirms them with one statement.

The statement lists a digest for each document (signing/batch_intent.py). Affirming it records, in one
transaction, consent and the will to sign for each agreement, or an approval for each: all of them, or none.
Signatures then follow one by one over the ordinary two steps, so that a lost connection leaves whole
agreements only. A document that cannot be in the batch is left out with its reason, which stays with the batch.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import record_step, stated_amount
from api.flows.annexes import annex_of
from api.flows.approvals import named_seal, own_seal, record_approval
from api.flows.authority import grounds_of
from api.flows.batch_places import (
    NAMED_MAX,
    Place,
    fault_of,
    own_places,
    require_count,
    require_none,
    waiting_ids,
)
from api.flows.idempotency import fingerprint, require_same
from api.flows.signatures import held_certificate
from api.ports import Ports
from ledger.core.canonical import Json, canonical_bytes, canonical_parse
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    VerificationError,
)
from ledger.core.ids import require_id
from ledger.queries import batches as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.batches import BatchItemRow, BatchRow
from ledger.tables.seals import SealRow
from signing import agreement as rules
from signing.amounts import amount_text
from signing.batch_intent import (
    ACTS,
    approval_item,
    batch_digest,
    batch_item,
    batch_statement,
    verify_batch,
)
from signing.certificates import certificate_spki
from signing.intent import require_fresh
from signing.keys.algorithms import PROOF_BYTES_MAX


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What is put together.

    Attributes:
        signers: places in the order of the list; None for every one that waits for the caller.
        act: `sign` or `approve`.
        seal: of approvals, the seal that each allows; None for any.
        seals: place -> another seal for it.
        leave_out: whether a place that cannot be in it is left out, or the whole refused.
    """

    id: str
    signers: tuple[str, ...] | None
    act: str = "sign"
    seal: str | None = None
    seals: Mapping[str, str] = field(default_factory=dict)
    leave_out: bool = False


def open_batch(session: Session, caller: Caller, new: NewBatch, *, at: datetime) -> BatchRow:
    """Put the caller's own open places together; the same request again returns the batch.

    Raises:
        LimitError: `batch.items`.  InputError: `batch.twice`, `batch.seal`.
        NotFoundError: a place that is absent or another person's; a seal of another organisation.
        ConflictError: `batch.not_ready` (`context["places"]`: place and reason of the first twenty);
            `seal.not_enabled`.
        ExistsWithDifferentFieldError: same id, other places.
    """
    require_id(new.id, prefix="bat")
    organisation = require_organisation(caller)
    if caller.person_id is None:
        raise ForbiddenError("a batch is read and signed by a person", code="auth.role")
    earlier = session.get(BatchRow, new.id)
    if earlier is not None:
        _require_own(caller, earlier)
        require_same(earlier.fingerprint, _request(new), id=new.id)
        return earlier
    signers = _chosen(session, caller, new)
    seals = {
        one: own_seal(session, caller, seal, at=at)
        for one in signers
        if (seal := new.seals.get(one, new.seal)) is not None
    }
    places = own_places(session, caller, signers)
    faults = _faults(session, places, seals, act=new.act, at=at)
    fit = [one for one in signers if faults[one] is None]
    if not (new.leave_out and fit):
        require_none(faults)
    made = BatchRow(
        id=new.id,
        act=new.act,
        organisation_id=organisation,
        person_id=caller.person_id,
        fingerprint=fingerprint(_request(new)),
        left_out=_left_out([], places, faults),
        created_at=at,
    )
    session.add(made)
    session.flush()
    session.add_all(
        BatchItemRow(
            batch_id=new.id,
            number=number,
            signer_id=one,
            agreement_id=places[one].agreement.id,
            seal_id=seals.get(one),
            salt=None,
        )
        for number, one in enumerate(fit, start=1)
    )
    session.flush()
    return made


def leave_out(session: Session, caller: Caller, batch_id: str, *, at: datetime) -> BatchRow:
    """Take out what cannot be affirmed any more, with its reason; the rest is affirmed as it was read.

    A statement made before is void. Where everything can be affirmed, nothing changes.

    Raises:
        NotFoundError: no such batch of this caller.
        ConflictError: `batch.affirmed`; `batch.not_ready` where nothing would be left.
    """
    batch = _open_batch(session, caller, batch_id)
    items = {one.signer_id: one for one in queries.items_of(session, batch_id)}
    places = own_places(session, caller, list(items))
    seals = {one: item.seal_id for one, item in items.items()}
    faults = _faults(session, places, seals, act=batch.act, at=at)
    if all(fault is not None for fault in faults.values()):
        require_none(faults)
    if any(fault is not None for fault in faults.values()):
        batch.left_out = _left_out(json.loads(batch.left_out), places, faults)
        batch.statement = None
        for one, item in items.items():
            if faults[one] is not None:
                session.delete(item)
        session.flush()
    return batch


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


def make_batch_statement(
    session: Session, caller: Caller, batch_id: str, *, at: datetime
) -> BatchRow:
    """The exact sentence and the list of digests, with a fresh nonce; an earlier one is void.

    Raises:
        NotFoundError: no such batch of this caller.
        ConflictError: `batch.affirmed`, `batch.not_read`, `batch.not_ready`.
    """
    batch = _open_batch(session, caller, batch_id)
    items = queries.items_of(session, batch_id)
    places = own_places(session, caller, [one.signer_id for one in items])
    _require_readable(session, batch, items, places, at=at)
    people = party_queries.parties_by_ids(session, [batch.organisation_id, batch.person_id])
    listed = []
    for one in items:
        place = places[one.signer_id]
        one.salt = secrets.token_hex(16)
        annex = annex_of(session, place.agreement, place.signer)
        one.annex = None if annex is None else canonical_bytes(annex).decode()
        listed.append(_opened(session, batch, one, place))
    batch.statement = canonical_bytes(
        batch_statement(
            listed,
            person=batch.person_id,
            person_name=people[batch.person_id].name,
            organisation=batch.organisation_id,
            organisation_name=people[batch.organisation_id].name,
            at=at,
            nonce=secrets.token_hex(16),
            approve=batch.act == rules.Act.APPROVE,
        )
    ).decode()
    session.flush()
    return batch


def express_batch(
    session: Session, ports: Ports, caller: Caller, batch_id: str, *, proof: bytes, at: datetime
) -> BatchRow:
    """Record consent and the will to sign, or the approval, for every document of the batch, or for none.

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
    places = own_places(session, caller, [one.signer_id for one in items])
    _require_readable(session, batch, items, places, at=at)
    certificate = held_certificate(session, places[items[0].signer_id].signer, at=at)
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
    affirm = _approve if batch.act == rules.Act.APPROVE else _affirm
    for one in items:
        affirm(session, ports, caller, batch, one, places[one.signer_id], common=common, at=at)
    batch.proof = proof.hex()
    batch.certificate_id = certificate.id
    batch.affirmed_at = at
    session.flush()
    return batch


def _affirm(
    session: Session,
    ports: Ports,
    caller: Caller,
    batch: BatchRow,
    one: BatchItemRow,
    place: Place,
    *,
    common: Mapping[str, Json],
    at: datetime,
) -> None:
    row, signer = place.agreement, place.signer
    annex = _annex_still(session, one, place)
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
                "item": _opened(session, batch, one, place),
                **({} if annex is None else {"annex": annex}),
            },
            at=at,
        )
    signer.consented_at = signer.consented_at or at
    signer.intent_at = at


def _approve(
    session: Session,
    ports: Ports,
    caller: Caller,
    batch: BatchRow,
    one: BatchItemRow,
    place: Place,
    *,
    common: Mapping[str, Json],
    at: datetime,
) -> None:
    row, signer = place.agreement, place.signer
    annex = _annex_still(session, one, place)
    act = rules.Act.APPROVE.value
    authorisation = grounds_of(session, ports, signer, row, act=act, at=at).authorisation.id
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
            "authorisation": authorisation,
            "item": _opened(session, batch, one, place),
            **({} if annex is None else {"annex": annex}),
        },
        at=at,
    )
    record_approval(
        session,
        ports,
        caller,
        row,
        signer,
        statement_sha256=str(common["statement_sha256"]),
        certificate=str(common["certificate"]),
        authorisation=authorisation,
        seal=one.seal_id,
        annex=annex,
        at=at,
    )


def opened_items(session: Session, batch: BatchRow) -> list[dict[str, Json]]:
    """The items of the current statement, for the signer to compare with the list; [] before one is made.

    An item whose agreement was erased has no random bytes any more and is left out.
    """
    if batch.statement is None:
        return []
    return [
        _opened(
            session,
            batch,
            one,
            Place(
                session.get_one(AgreementRow, one.agreement_id),
                session.get_one(SignerRow, one.signer_id),
            ),
        )
        for one in queries.items_of(session, batch.id)
        if one.salt is not None
    ]


def _opened(session: Session, batch: BatchRow, one: BatchItemRow, place: Place) -> dict[str, Json]:
    assert one.salt is not None
    row = place.agreement
    if batch.act == rules.Act.APPROVE:
        return approval_item(
            agreement=row.id,
            document_sha256=bytes.fromhex(row.document_sha256),
            field=place.signer.field,
            amount=amount_text(row.amount_minor, none=row.no_amount),
            seal=named_seal(session, one.seal_id),
            salt=bytes.fromhex(one.salt),
            annex=_annex(one),
        )
    return batch_item(
        agreement=row.id,
        document_sha256=bytes.fromhex(row.document_sha256),
        field=place.signer.field,
        salt=bytes.fromhex(one.salt),
        annex=_annex(one),
        amount=stated_amount(row),
    )


def _annex_still(session: Session, one: BatchItemRow, place: Place) -> dict[str, Json] | None:
    """What the statement names beside the document, as it still stands.

    Raises:
        VerificationError: `intent.other_annex`.
    """
    annex = _annex(one)
    if annex != annex_of(session, place.agreement, place.signer):
        raise VerificationError(
            "files or form fields of a document have changed: ask for the statement again",
            code="intent.other_annex",
            agreement=place.agreement.id,
        )
    return annex


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


def _open_batch(session: Session, caller: Caller, batch_id: str) -> BatchRow:
    batch = _locked(session, caller, batch_id)
    if batch.affirmed_at is not None:
        raise ConflictError(
            "this batch is affirmed; sign what is left of it", code="batch.affirmed"
        )
    return batch


def _request(new: NewBatch) -> dict[str, Json]:
    """The request's fields; what is as it always was is left out, so that old retries are the same."""
    return {
        "signers": None if new.signers is None else list(new.signers),
        **({} if new.act == rules.Act.SIGN else {"act": new.act, "seal": new.seal}),
        **({"seals": dict(new.seals)} if new.seals else {}),
        **({"leave_out": True} if new.leave_out else {}),
    }


def _chosen(session: Session, caller: Caller, new: NewBatch) -> Sequence[str]:
    """Ids of the places, in the order of the list."""
    if new.act == rules.Act.SIGN and (new.seal is not None or new.seals):
        raise InputError(
            "a seal is named by an approval; who signs chooses it with each signature",
            code="batch.seal",
        )
    if new.signers is None:
        signers: Sequence[str] = waiting_ids(session, caller, act=new.act)
    else:
        signers = new.signers
    require_count(len(signers))
    if len(set(signers)) != len(signers):
        raise InputError("a document stands in a batch once", code="batch.twice")
    if set(new.seals) - set(signers):
        raise InputError("a seal is named for a document of the list", code="batch.seal")
    return signers


def _faults(
    session: Session,
    places: Mapping[str, Place],
    seals: Mapping[str, str | None],
    *,
    act: str,
    at: datetime,
) -> dict[str, str | None]:
    """Place -> why it cannot be affirmed now, or None."""
    rows: dict[str, SealRow] = {
        one: session.get_one(SealRow, one) for one in seals.values() if one is not None
    }
    return {
        one: "batch.signed"
        if place.signer.signed_at is not None
        else fault_of(session, place, act=act, seal=rows.get(seals.get(one) or ""), at=at)
        for one, place in places.items()
    }


def _left_out(
    earlier: Sequence[Json], places: Mapping[str, Place], faults: Mapping[str, str | None]
) -> str:
    more = [
        [one, places[one].agreement.id, fault] for one, fault in faults.items() if fault is not None
    ]
    return json.dumps([*earlier, *more])


def _require_readable(
    session: Session,
    batch: BatchRow,
    items: Sequence[BatchItemRow],
    places: Mapping[str, Place],
    *,
    at: datetime,
) -> None:
    # What cannot be affirmed is said first: nobody reads a document that was taken back.
    seals = {one.signer_id: one.seal_id for one in items}
    require_none(_faults(session, places, seals, act=batch.act, at=at))
    unread = [one for one, place in places.items() if place.signer.read_at is None]
    if unread:
        raise ConflictError(
            f"{len(unread)} documents are not read yet",
            code="batch.not_read",
            places=unread[:NAMED_MAX],
        )
