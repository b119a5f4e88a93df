"""The agreement as a pure state machine: every transition returns a new agreement and its events.

    draft ──publish──▶ published ──first signature──▶ signing ──last signature──▶ formed
      └─────────┴──────────┬─────────────────────────────┘
                           ├─▶ withdrawn (initiator, with reason)
                           ├─▶ declined  (a signer who has not signed, with reason)
                           └─▶ expired   (its time has come)

Invariants:
    - the document is fixed at publication; another document is another agreement (Civil Code 488).
    - every party consents to electronic form before anybody signs (Electronic Signature Law 3).
    - formed exactly when every required signature stands, at the time of the last one (Civil Code
      490), not when anchored.
    - formed, declined, withdrawn and expired are final.

A signature's cryptography, intent and authority are checked by the caller before `sign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from ledger.core.errors import ConflictError, ForbiddenError, InputError
from ledger.core.units import Digest32

SIGNERS_MAX: Final = 50
"""Each adds a PDF revision, and validating n revisions grows with n squared."""
REASON_CHARS_MAX: Final = 500
FIELD_CHARS_MAX: Final = 64

EVENT_PUBLISHED: Final = "document.finalised"
EVENT_CONSENTED: Final = "intent.expressed"
EVENT_SIGNED: Final = "signature.applied"
EVENT_FORMED: Final = "agreement.formed"
EVENT_DECLINED: Final = "agreement.declined"
EVENT_WITHDRAWN: Final = "agreement.withdrawn"
EVENT_EXPIRED: Final = "agreement.expired"
"""Names of ledger/entry_types.py, in the order in which one transition yields them."""


class State(StrEnum):
    """Where an agreement stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    SIGNING = "signing"
    FORMED = "formed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


FINAL_STATES: Final = frozenset({State.FORMED, State.DECLINED, State.WITHDRAWN, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Signer:
    """One required signature.

    Attributes:
        person: id of the natural person who signs.
        organisation: id of the organisation bound, or None for a person in their own name.
        field: name of the signature field, one per signer.
        order: 1.. ; all signatures of lower orders come first, equal orders sign in any sequence.
    """

    person: str
    organisation: str | None
    field: str
    order: int

    @property
    def party(self) -> str:
        """Id of whoever is bound by this signature."""
        return self.person if self.organisation is None else self.organisation


@dataclass(frozen=True, slots=True)
class AppliedSignature:
    """A signature that stands.

    Attributes:
        signer: whose it is.
        at: when it was accepted.
        base_sha256: the revision it was put on; the document itself for the first.
        revision_sha256: the revision it made.
    """

    signer: Signer
    at: datetime
    base_sha256: Digest32
    revision_sha256: Digest32


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement at one moment; made by `draft`, changed only by the functions below.

    Attributes:
        id: random id.
        initiator: party that drew it up and may withdraw it.
        signers: sorted by order, then as given.
        state: see `State`.
        document_sha256: set at publication.
        expires_at: from then on nobody can sign; set at publication.
        consents: parties that consented to electronic form.
        signatures: in the order in which they were applied.
        ended_at: when a final state was reached; for `formed`, the last required signature.
        ended_by: person or party that declined or withdrew.
        end_reason: their words; private, never in an entry in clear.
    """

    id: str
    initiator: str
    signers: tuple[Signer, ...]
    state: State = State.DRAFT
    document_sha256: Digest32 | None = None
    expires_at: datetime | None = None
    consents: frozenset[str] = frozenset()
    signatures: tuple[AppliedSignature, ...] = ()
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str | None = None

    def __post_init__(self) -> None:
        signed = {one.signer.field for one in self.signatures}
        complete = signed == {signer.field for signer in self.signers}
        assert len(signed) == len(self.signatures), "one field signed twice"
        assert (self.state is State.FORMED) == complete, "formed means all have signed"
        assert (self.state in FINAL_STATES) == (self.ended_at is not None), "final states end"
        assert self.state is not State.SIGNING or self.signatures, "signing without a signature"

    @property
    def formed_at(self) -> datetime | None:
        """Time of the last required signature, or None."""
        return self.ended_at if self.state is State.FORMED else None

    @property
    def parties(self) -> tuple[str, ...]:
        """Everybody bound, in order of signing, without repeats."""
        return tuple(dict.fromkeys(signer.party for signer in self.signers))

    @property
    def head_sha256(self) -> Digest32 | None:
        """The latest revision: what the next signature is put on."""
        return self.signatures[-1].revision_sha256 if self.signatures else self.document_sha256

    @property
    def waiting(self) -> tuple[Signer, ...]:
        """Signers whose turn it is, whether or not all consents are in; empty when none can sign."""
        if self.state not in (State.PUBLISHED, State.SIGNING):
            return ()
        signed = {one.signer.field for one in self.signatures}
        missing = [signer for signer in self.signers if signer.field not in signed]
        return tuple(signer for signer in missing if signer.order == missing[0].order)


@dataclass(frozen=True, slots=True)
class Step:
    """A transition: the agreement after it and the entry types it must be recorded under."""

    agreement: Agreement
    events: tuple[str, ...]


def draft(agreement_id: str, *, initiator: str, signers: Sequence[Signer]) -> Agreement:
    """A new agreement without a document.

    Raises:
        InputError: `agreement.signers` (none, more than 50, an order below 1), `agreement.fields`
            (a field missing, too long or used twice), `agreement.signer_twice` (one person for
            the same party twice).
    """
    if not 1 <= len(signers) <= SIGNERS_MAX or any(signer.order < 1 for signer in signers):
        raise InputError(
            f"1 to {SIGNERS_MAX} signers with an order from 1", code="agreement.signers"
        )
    fields = [signer.field for signer in signers]
    if len(set(fields)) != len(fields) or not all(0 < len(f) <= FIELD_CHARS_MAX for f in fields):
        raise InputError("each signer has a field of their own", code="agreement.fields")
    who = {(signer.person, signer.party) for signer in signers}
    if len(who) != len(signers):
        raise InputError("one person signs once for the same party", code="agreement.signer_twice")
    ordered = tuple(sorted(signers, key=lambda signer: signer.order))
    return Agreement(id=agreement_id, initiator=initiator, signers=ordered)


def publish(
    agreement: Agreement, *, document_sha256: Digest32, expires_at: datetime, at: datetime
) -> Step:
    """Fix the document and open it for consent and signatures until, not including, `expires_at`.

    Raises:
        ConflictError: `agreement.closed`, `agreement.already_published`.
        InputError: `agreement.expiry` (not after `at`).
    """
    _require_open(agreement)
    if agreement.state is not State.DRAFT:
        raise ConflictError("it is published already", code="agreement.already_published")
    if expires_at <= at:
        raise InputError("it would expire before it opens", code="agreement.expiry")
    after = replace(
        agreement,
        state=State.PUBLISHED,
        document_sha256=document_sha256,
        expires_at=expires_at,
    )
    return Step(after, (EVENT_PUBLISHED,))


def consent(agreement: Agreement, *, party: str, at: datetime) -> Step:
    """Record a party's consent to electronic form; again it changes nothing and yields no event.

    Raises:
        ConflictError: `agreement.closed`, `agreement.not_published`, `agreement.expired`.
        ForbiddenError: `agreement.not_a_party`.
    """
    _require_published(agreement, at=at)
    if party not in agreement.parties:
        raise ForbiddenError("not a party to this agreement", code="agreement.not_a_party")
    if party in agreement.consents:
        return Step(agreement, ())
    after = replace(agreement, consents=agreement.consents | {party})
    return Step(after, (EVENT_CONSENTED,))


def require_can_sign(
    agreement: Agreement,
    *,
    person: str,
    field: str,
    document_sha256: Digest32,
    base_sha256: Digest32,
    at: datetime,
) -> Signer:
    """The signer, if they may sign now; ask it before preparing a revision, `sign` asks it again.

    Args:
        document_sha256: what the signer read and expressed intent on.
        base_sha256: the revision the signature is put on.

    Raises:
        ForbiddenError: `agreement.not_a_signer`.
        ConflictError: the first of `agreement.already_signed`, `agreement.closed`,
            `agreement.not_published`, `agreement.expired`, `agreement.other_document`,
            `agreement.consent_missing`, `agreement.not_your_turn`, `agreement.stale_revision`.
    """
    signer = next((one for one in agreement.signers if one.field == field), None)
    if signer is None or signer.person != person:
        raise ForbiddenError(
            "this signature field belongs to nobody or to somebody else",
            code="agreement.not_a_signer",
        )
    if any(one.signer == signer for one in agreement.signatures):
        raise ConflictError("this signer has signed already", code="agreement.already_signed")
    _require_published(agreement, at=at)
    if document_sha256 != agreement.document_sha256:
        raise ConflictError(
            "the published document is another one", code="agreement.other_document"
        )
    missing = [party for party in agreement.parties if party not in agreement.consents]
    if missing:
        raise ConflictError(
            "a party has not consented to electronic form",
            code="agreement.consent_missing",
            party=missing[0],
        )
    if signer not in agreement.waiting:
        raise ConflictError(
            "signatures of a lower order come first",
            code="agreement.not_your_turn",
            order=signer.order,
        )
    if base_sha256 != agreement.head_sha256:
        raise ConflictError(
            "somebody signed in between: prepare again on the latest revision",
            code="agreement.stale_revision",
        )
    return signer


def sign(
    agreement: Agreement,
    *,
    person: str,
    field: str,
    document_sha256: Digest32,
    base_sha256: Digest32,
    revision_sha256: Digest32,
    at: datetime,
) -> Step:
    """Apply a signature; the last required one forms the agreement at `at`.

    Args:
        revision_sha256: the file with the signature in it.

    Raises:
        ForbiddenError, ConflictError: those of `require_can_sign`.
        InputError: `agreement.same_revision` (a signature changes the file).
    """
    signer = require_can_sign(
        agreement,
        person=person,
        field=field,
        document_sha256=document_sha256,
        base_sha256=base_sha256,
        at=at,
    )
    if revision_sha256 == base_sha256:
        raise InputError("the signed revision is the unsigned one", code="agreement.same_revision")
    applied = AppliedSignature(
        signer=signer, at=at, base_sha256=base_sha256, revision_sha256=revision_sha256
    )
    signatures = (*agreement.signatures, applied)
    if len(signatures) < len(agreement.signers):
        after = replace(agreement, state=State.SIGNING, signatures=signatures)
        return Step(after, (EVENT_SIGNED,))
    # Clocks of two machines may differ by a little: the latest time counts, not the latest call.
    formed_at = max(one.at for one in signatures)
    after = replace(agreement, state=State.FORMED, signatures=signatures, ended_at=formed_at)
    return Step(after, (EVENT_SIGNED, EVENT_FORMED))


def decline(agreement: Agreement, *, person: str, reason: str, at: datetime) -> Step:
    """A signer who has not signed refuses; nobody can sign any more.

    Raises:
        ForbiddenError: `agreement.not_a_signer`.
        ConflictError: `agreement.closed`, `agreement.not_published`, `agreement.expired`,
            `agreement.already_signed`.
        InputError: `agreement.reason`.
    """
    fields = {signer.field for signer in agreement.signers if signer.person == person}
    if not fields:
        raise ForbiddenError("not a signer of this agreement", code="agreement.not_a_signer")
    _require_published(agreement, at=at)
    if fields <= {one.signer.field for one in agreement.signatures}:
        raise ConflictError(
            "who has signed cannot decline any more", code="agreement.already_signed"
        )
    _require_reason(reason)
    after = replace(
        agreement, state=State.DECLINED, ended_at=at, ended_by=person, end_reason=reason
    )
    return Step(after, (EVENT_DECLINED,))


def withdraw(agreement: Agreement, *, party: str, reason: str, at: datetime) -> Step:
    """The initiator takes it back before it is formed.

    Raises:
        ForbiddenError: `agreement.not_initiator`.
        ConflictError: `agreement.closed`.
        InputError: `agreement.reason`.
    """
    if party != agreement.initiator:
        raise ForbiddenError("only the initiator can withdraw it", code="agreement.not_initiator")
    _require_open(agreement)
    _require_reason(reason)
    after = replace(
        agreement, state=State.WITHDRAWN, ended_at=at, ended_by=party, end_reason=reason
    )
    return Step(after, (EVENT_WITHDRAWN,))


def expire(agreement: Agreement, *, at: datetime) -> Step:
    """Close an agreement whose time has come; for the worker.

    Raises:
        ConflictError: `agreement.closed`, `agreement.not_published`, `agreement.not_due`.
    """
    _require_open(agreement)
    if agreement.expires_at is None:
        raise ConflictError("it is not published", code="agreement.not_published")
    if at < agreement.expires_at:
        raise ConflictError("its time has not come", code="agreement.not_due")
    after = replace(agreement, state=State.EXPIRED, ended_at=agreement.expires_at)
    return Step(after, (EVENT_EXPIRED,))


def _require_open(agreement: Agreement) -> None:
    if agreement.state in FINAL_STATES:
        raise ConflictError(
            "the agreement is closed", code="agreement.closed", state=agreement.state.value
        )


def _require_published(agreement: Agreement, *, at: datetime) -> None:
    _require_open(agreement)
    if agreement.expires_at is None:
        raise ConflictError("it is not published", code="agreement.not_published")
    # Also before the worker has moved it to `expired`.
    if at >= agreement.expires_at:
        raise ConflictError("its time is over", code="agreement.expired")


def _require_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= REASON_CHARS_MAX:
        raise InputError(f"a reason of 1 to {REASON_CHARS_MAX} characters", code="agreement.reason")
