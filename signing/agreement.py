"""The agreement as a pure state machine: every transition returns a new agreement and its events.

    draft ──publish──▶ published ──first signature──▶ signing ──last stage done──▶ formed ──▶ released
      └─────────┴──────────┬─────────────────────────────┘
                           ├─▶ withdrawn (initiator, with reason)
                           ├─▶ declined  (refused so that a stage can no longer be completed)
                           └─▶ expired   (its time has come)

Signers stand in stages. Stages follow one another; the members of one act in any sequence. A stage is
done when all of them have acted (会签), or as many as its quorum says: one of them (或签), k of n.
A stage signs or approves: an approval (用印审批) leaves no signature in the file and must come before
the signatures of later stages. It is given again where form fields of the file say something else by then.

Invariants:
    - the document is fixed at publication; another document is another agreement (Civil Code 488).
    - every party consents to electronic form before anybody signs (Electronic Signature Law 3).
    - formed exactly when every stage is done, at the time of the last required signature (Civil Code
      490), not when anchored; the last stage signs.
    - nobody acts for a stage that is done: whoever is not needed any more leaves an empty field.
    - declined, withdrawn, expired and released are final; formed can only become released, by an
      agreement of the same parties.

A signature's cryptography, intent and authority are checked by the caller before `sign`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
EVENT_APPROVED: Final = "approval.given"
EVENT_REFUSED: Final = "signer.refused"
EVENT_FORWARDED: Final = "signer.forwarded"
EVENT_RELEASED: Final = "agreement.released"
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
    RELEASED = "released"


class Act(StrEnum):
    """What a member of a stage does."""

    SIGN = "sign"
    APPROVE = "approve"


FINAL_STATES: Final = frozenset(
    {State.FORMED, State.DECLINED, State.WITHDRAWN, State.EXPIRED, State.RELEASED}
)
_COMPLETE: Final = frozenset({State.FORMED, State.RELEASED})


@dataclass(frozen=True, slots=True)
class Signer:
    """One member of a stage.

    Attributes:
        person: id of the natural person who acts.
        organisation: id of the organisation bound, or None for a person in their own name.
        field: name of the signature field, one per signer; an approver's is only a name.
        order: 1.. : the stage; lower stages come first, equal ones act in any sequence.
        act: `sign`, or `approve` for an internal approval before a seal is used.
    """

    person: str
    organisation: str | None
    field: str
    order: int
    act: Act = Act.SIGN

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
class Approval:
    """An internal approval that was given."""

    signer: Signer
    at: datetime


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
        quorums: (stage, how many of its members must act); a stage that is not named needs all.
        approvals: in the order in which they were given.
        refusals: fields of members who refused while their stage could still be done.
        ended_at: when a final state was reached; for `formed`, the last required signature.
        ended_by: person or party that declined or withdrew.
        end_reason: their words; private, never in an entry in clear.
        released_at: when an agreement of the same parties released it.
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
    quorums: tuple[tuple[int, int], ...] = ()
    approvals: tuple[Approval, ...] = ()
    refusals: frozenset[str] = frozenset()
    released_at: datetime | None = None

    def __post_init__(self) -> None:
        acted = [one.field for one in self._acted]
        complete = all(self.needed(stage) == 0 for stage in self.stages)
        assert len(set(acted)) == len(acted), "one field signed twice"
        assert not self.refusals & set(acted), "who refused has not acted"
        assert (self.state in _COMPLETE) == complete, "formed means every stage is done"
        assert (self.state in FINAL_STATES) == (self.ended_at is not None), "final states end"
        assert self.state is not State.SIGNING or self.signatures, "signing without a signature"
        assert (self.state is State.RELEASED) == (self.released_at is not None), "released"

    @property
    def formed_at(self) -> datetime | None:
        """Time of the last required signature, or None."""
        return self.ended_at if self.state in _COMPLETE else None

    @property
    def parties(self) -> tuple[str, ...]:
        """Everybody bound, in order of signing, without repeats. An approver alone is not bound."""
        return tuple(
            dict.fromkeys(signer.party for signer in self.signers if signer.act is Act.SIGN)
        )

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the stages, in their order."""
        return tuple(dict.fromkeys(signer.order for signer in self.signers))

    def members(self, stage: int) -> tuple[Signer, ...]:
        """Who stands in a stage."""
        return tuple(signer for signer in self.signers if signer.order == stage)

    def needed(self, stage: int) -> int:
        """How many more members of a stage must act."""
        members = self.members(stage)
        quorum = dict(self.quorums).get(stage, len(members))
        return max(0, quorum - sum(self.has_acted(one) for one in members))

    def has_acted(self, signer: Signer) -> bool:
        """Whether this member has signed or approved."""
        return signer in self._acted

    @property
    def _acted(self) -> tuple[Signer, ...]:
        signed = tuple(one.signer for one in self.signatures)
        return signed + tuple(one.signer for one in self.approvals)

    @property
    def head_sha256(self) -> Digest32 | None:
        """The latest revision: what the next signature is put on."""
        return self.signatures[-1].revision_sha256 if self.signatures else self.document_sha256

    @property
    def waiting(self) -> tuple[Signer, ...]:
        """Members whose turn it is, whether or not all consents are in; empty when none can act."""
        if self.state not in (State.PUBLISHED, State.SIGNING):
            return ()
        stage = next(one for one in self.stages if self.needed(one))
        return tuple(
            one
            for one in self.members(stage)
            if not self.has_acted(one) and one.field not in self.refusals
        )


@dataclass(frozen=True, slots=True)
class Step:
    """A transition: the agreement after it and the entry types it must be recorded under."""

    agreement: Agreement
    events: tuple[str, ...]


def draft(
    agreement_id: str,
    *,
    initiator: str,
    signers: Sequence[Signer],
    quorums: Mapping[int, int] | None = None,
) -> Agreement:
    """A new agreement without a document.

    Args:
        quorums: stage -> how many of its members must act; without one all must.

    Raises:
        InputError: `agreement.signers` (none, more than 50, an order below 1), `agreement.fields`
            (a field missing, too long or used twice), `agreement.signer_twice` (one person for
            the same party twice), `agreement.stages` (a stage that both signs and approves, that
            approves last, or whose approver belongs to no party), `agreement.quorum` (for no stage,
            below 1, or above the number of its members).
    """
    if not 1 <= len(signers) <= SIGNERS_MAX or any(signer.order < 1 for signer in signers):
        raise InputError(
            f"1 to {SIGNERS_MAX} signers with an order from 1", code="agreement.signers"
        )
    fields = [signer.field for signer in signers]
    if len(set(fields)) != len(fields) or not all(0 < len(f) <= FIELD_CHARS_MAX for f in fields):
        raise InputError("each signer has a field of their own", code="agreement.fields")
    who = {(signer.person, signer.party, signer.act) for signer in signers}
    if len(who) != len(signers):
        raise InputError("one person signs once for the same party", code="agreement.signer_twice")
    _require_stages(signers, quorums or {})
    ordered = tuple(sorted(signers, key=lambda signer: signer.order))
    return Agreement(
        id=agreement_id,
        initiator=initiator,
        signers=ordered,
        quorums=tuple(sorted((quorums or {}).items())),
    )


def _require_stages(signers: Sequence[Signer], quorums: Mapping[int, int]) -> None:
    acts: dict[int, set[Act]] = {}
    for signer in signers:
        acts.setdefault(signer.order, set()).add(signer.act)
    bound = {signer.party for signer in signers if signer.act is Act.SIGN}
    outsiders = [s for s in signers if s.act is Act.APPROVE and s.party not in bound]
    if any(len(kinds) > 1 for kinds in acts.values()) or acts[max(acts)] != {Act.SIGN} or outsiders:
        raise InputError(
            "a stage signs or approves, the last one signs, and who approves belongs to a party",
            code="agreement.stages",
        )
    for stage, quorum in quorums.items():
        count = sum(signer.order == stage for signer in signers)
        if not 1 <= quorum <= count:
            raise InputError(
                "a quorum lies between one and the number of the stage's members",
                code="agreement.quorum",
                stage=stage,
            )


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
            `agreement.consent_missing`, `agreement.stage_done`, `agreement.not_your_turn`,
            `agreement.stale_revision`.
    """
    signer = _require_member(agreement, person=person, field=field, act=Act.SIGN, at=at)
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
    _require_turn(agreement, signer)
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
    last = agreement.needed(signer.order) == 1 and signer.order == agreement.stages[-1]
    if not last:
        after = replace(agreement, state=State.SIGNING, signatures=signatures)
        return Step(after, (EVENT_SIGNED,))
    # Clocks of two machines may differ by a little: the latest time counts, not the latest call.
    formed_at = max(one.at for one in signatures)
    after = replace(agreement, state=State.FORMED, signatures=signatures, ended_at=formed_at)
    return Step(after, (EVENT_SIGNED, EVENT_FORMED))


def approve(
    agreement: Agreement, *, person: str, field: str, document_sha256: Digest32, at: datetime
) -> Step:
    """An internal approval before a seal is used; it needs no consent and leaves no signature.

    Raises:
        ForbiddenError: `agreement.not_a_signer`.
        ConflictError: `agreement.already_signed`, `agreement.closed`, `agreement.not_published`,
            `agreement.expired`, `agreement.other_document`, `agreement.stage_done`,
            `agreement.not_your_turn`.
    """
    signer = _require_member(agreement, person=person, field=field, act=Act.APPROVE, at=at)
    if document_sha256 != agreement.document_sha256:
        raise ConflictError(
            "the published document is another one", code="agreement.other_document"
        )
    _require_turn(agreement, signer)
    after = replace(agreement, approvals=(*agreement.approvals, Approval(signer, at)))
    return Step(after, (EVENT_APPROVED,))


def approve_again(
    agreement: Agreement, *, person: str, field: str, document_sha256: Digest32, at: datetime
) -> Step:
    """An approval is given anew, for what its side is about to sign is no longer what it was given for.

    Whoever approved may, and whoever stands in a stage that was done without them. The caller has seen that
    it is needed: for the same values the first approval stands.

    Raises:
        ForbiddenError: `agreement.not_a_signer`.
        ConflictError: `agreement.closed`, `agreement.not_published`, `agreement.expired`,
            `agreement.already_refused`, `agreement.other_document`, `agreement.stage_done` (its side
            has signed); where a first approval is still awaited here, those of `approve`.
    """
    _require_published(agreement, at=at)
    earlier = tuple(one for one in agreement.approvals if one.signer.field == field)
    before = replace(
        agreement, approvals=tuple(one for one in agreement.approvals if one not in earlier)
    )
    signer = _require_member(before, person=person, field=field, act=Act.APPROVE, at=at)
    if document_sha256 != agreement.document_sha256:
        raise ConflictError(
            "the published document is another one", code="agreement.other_document"
        )
    if not earlier and agreement.needed(signer.order):
        return approve(
            agreement, person=person, field=field, document_sha256=document_sha256, at=at
        )
    left = [
        one
        for one in agreement.signers
        if (one.act, one.party) == (Act.SIGN, signer.party) and not agreement.has_acted(one)
    ]
    if not any(one.order > signer.order and agreement.needed(one.order) for one in left):
        raise ConflictError(
            "your side has signed: there is nothing left to approve", code="agreement.stage_done"
        )
    after = replace(agreement, approvals=(*before.approvals, Approval(signer, at)))
    return Step(after, (EVENT_APPROVED,))


def approvals_needed(*, given: int, need: int, others: int) -> int:
    """How many approvals of one side in a stage must list what that side signs.

    Args:
        given: approvals of that side that stand in the stage.
        need: how many members of the stage must act.
        others: members of the stage who belong to other sides.
    """
    return min(given, max(1, need - others))


def decline(
    agreement: Agreement, *, person: str, reason: str, at: datetime, field: str | None = None
) -> Step:
    """A member who has not acted refuses.

    Where the stage can still be done without them, only they step aside; else the agreement is
    declined and nobody can act any more.

    Args:
        field: whose place; needed only where one person holds several.

    Raises:
        ForbiddenError: `agreement.not_a_signer`.
        ConflictError: `agreement.closed`, `agreement.not_published`, `agreement.expired`,
            `agreement.already_signed`, `agreement.already_refused`, `agreement.stage_done`.
        InputError: `agreement.reason`.
    """
    mine = [
        signer
        for signer in agreement.signers
        if signer.person == person and field in (None, signer.field)
    ]
    if not mine:
        raise ForbiddenError("not a signer of this agreement", code="agreement.not_a_signer")
    _require_published(agreement, at=at)
    open_ones = [signer for signer in mine if not agreement.has_acted(signer)]
    if not open_ones:
        raise ConflictError(
            "who has signed cannot decline any more", code="agreement.already_signed"
        )
    signer = open_ones[0]
    if signer.field in agreement.refusals:
        raise ConflictError("you have refused already", code="agreement.already_refused")
    if agreement.needed(signer.order) == 0:
        raise ConflictError(
            "enough others have acted: you are not needed any more", code="agreement.stage_done"
        )
    _require_reason(reason)
    left = [
        one
        for one in agreement.members(signer.order)
        if one != signer and not agreement.has_acted(one) and one.field not in agreement.refusals
    ]
    if len(left) >= agreement.needed(signer.order):
        after = replace(agreement, refusals=agreement.refusals | {signer.field})
        return Step(after, (EVENT_REFUSED,))
    after = replace(
        agreement, state=State.DECLINED, ended_at=at, ended_by=person, end_reason=reason
    )
    return Step(after, (EVENT_DECLINED,))


def forward(
    agreement: Agreement, *, field: str, person: str, to: str, reason: str, at: datetime
) -> Step:
    """A member hands their place to another person of the same party (转交).

    Whether `to` holds authority is asked when they act, as for everybody.

    Raises:
        ForbiddenError: `agreement.not_a_signer`.
        ConflictError: `agreement.closed`, `agreement.not_published`, `agreement.expired`,
            `agreement.already_signed`, `agreement.already_refused`, `agreement.stage_done`.
        InputError: `agreement.reason`, `agreement.signer_twice` (that person has a place already).
    """
    signer = next((one for one in agreement.signers if one.field == field), None)
    if signer is None or signer.person != person:
        raise ForbiddenError("this place is not yours", code="agreement.not_a_signer")
    signer = _require_member(agreement, person=person, field=field, act=signer.act, at=at)
    if agreement.needed(signer.order) == 0:
        raise ConflictError(
            "enough others have acted: you are not needed any more", code="agreement.stage_done"
        )
    _require_reason(reason)
    if any(
        (one.person, one.party, one.act) == (to, signer.party, signer.act)
        for one in agreement.signers
    ):
        raise InputError(
            "that person has a place in this agreement already", code="agreement.signer_twice"
        )
    signers = tuple(replace(one, person=to) if one == signer else one for one in agreement.signers)
    return Step(replace(agreement, signers=signers), (EVENT_FORWARDED,))


def release(agreement: Agreement, *, by: Agreement, at: datetime) -> Step:
    """A formed agreement of the same parties ends this one (解约); what was done stays recorded.

    Raises:
        ConflictError: `agreement.not_formed` (either), `agreement.already_released`.
        ForbiddenError: `agreement.other_parties`.
    """
    if agreement.state is State.RELEASED:
        raise ConflictError("it is released already", code="agreement.already_released")
    if agreement.state is not State.FORMED or by.state is not State.FORMED:
        raise ConflictError(
            "a formed agreement is released by a formed one", code="agreement.not_formed"
        )
    if set(agreement.parties) != set(by.parties):
        raise ForbiddenError(
            "an agreement is released by its own parties, all of them",
            code="agreement.other_parties",
        )
    return Step(replace(agreement, state=State.RELEASED, released_at=at), (EVENT_RELEASED,))


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


def _require_member(
    agreement: Agreement, *, person: str, field: str, act: Act, at: datetime
) -> Signer:
    """The member at `field`, who is `person`, does `act` and has neither acted nor refused."""
    signer = next((one for one in agreement.signers if one.field == field), None)
    if signer is None or signer.person != person or signer.act is not act:
        raise ForbiddenError(
            "this place belongs to nobody or to somebody else", code="agreement.not_a_signer"
        )
    if agreement.has_acted(signer):
        raise ConflictError("this signer has signed already", code="agreement.already_signed")
    _require_published(agreement, at=at)
    if field in agreement.refusals:
        raise ConflictError(
            "you have refused; somebody else of this stage may act",
            code="agreement.already_refused",
        )
    return signer


def _require_turn(agreement: Agreement, signer: Signer) -> None:
    if agreement.needed(signer.order) == 0:
        raise ConflictError(
            "enough others have acted: you are not needed any more", code="agreement.stage_done"
        )
    if signer not in agreement.waiting:
        raise ConflictError(
            "an earlier stage comes first",
            code="agreement.not_your_turn",
            order=signer.order,
        )
