"""Who may do what with a seal, and when: a life from making to destruction, under separated duties.

States: made → approved → enabled ⇄ suspended → destroyed; from every state but the last it may be destroyed.
Duties: manage, use, audit. Nobody holds two of them for one seal, so that whoever uses a seal neither
enables it nor looks over its ledger. Approval belongs to audit: the maker holds manage and cannot approve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ledger.core.errors import ConflictError, ForbiddenError

DUTY_HOLDERS_MAX: Final = 50
"""People with a duty for one seal; more would be nobody's responsibility."""


class State(StrEnum):
    """Where a seal stands in its life."""

    MADE = "made"
    APPROVED = "approved"
    ENABLED = "enabled"
    SUSPENDED = "suspended"
    DESTROYED = "destroyed"


class Duty(StrEnum):
    """What a person is charged with for one seal."""

    MANAGE = "manage"
    USE = "use"
    AUDIT = "audit"


class Act(StrEnum):
    """What changes a seal's state."""

    APPROVE = "approve"
    ENABLE = "enable"
    SUSPEND = "suspend"
    DESTROY = "destroy"


TRANSITIONS: Final[Mapping[Act, Mapping[State, State]]] = {
    Act.APPROVE: {State.MADE: State.APPROVED},
    Act.ENABLE: {State.APPROVED: State.ENABLED, State.SUSPENDED: State.ENABLED},
    Act.SUSPEND: {State.ENABLED: State.SUSPENDED},
    Act.DESTROY: {
        State.MADE: State.DESTROYED,
        State.APPROVED: State.DESTROYED,
        State.ENABLED: State.DESTROYED,
        State.SUSPENDED: State.DESTROYED,
    },
}
CHARGED: Final[Mapping[Act, frozenset[Duty]]] = {
    Act.APPROVE: frozenset({Duty.AUDIT}),
    Act.ENABLE: frozenset({Duty.MANAGE}),
    # Whoever sees misuse stops it at once, without asking the manager.
    Act.SUSPEND: frozenset({Duty.MANAGE, Duty.AUDIT}),
    Act.DESTROY: frozenset({Duty.MANAGE}),
}
EVENTS: Final[Mapping[Act, str]] = {
    Act.APPROVE: "seal.approved",
    Act.ENABLE: "seal.enabled",
    Act.SUSPEND: "seal.suspended",
    Act.DESTROY: "seal.destroyed",
}


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as the rules see it.

    Attributes:
        duties: person -> duty, those that stand now.
        valid_from, valid_to: aware UTC; the end is excluded.
    """

    id: str
    state: State
    duties: Mapping[str, Duty]
    valid_from: datetime
    valid_to: datetime


def change(seal: Seal, act: Act, *, by: str) -> State:
    """The state after `act` by the person `by`.

    Raises:
        ForbiddenError: `seal.duty`: the person does not hold a duty for this act.
        ConflictError: `seal.state`: the seal's state does not allow it.
    """
    require_duty(seal, by, *CHARGED[act])
    after = TRANSITIONS[act].get(seal.state)
    if after is None:
        raise ConflictError(
            f"a seal that is {seal.state} cannot be changed so", code="seal.state", state=seal.state
        )
    return after


def require_duty(seal: Seal, person: str, *duties: Duty) -> None:
    """Refuse a person who holds none of `duties` for this seal.

    Raises:
        ForbiddenError: `seal.duty`.
    """
    if seal.duties.get(person) not in duties:
        raise ForbiddenError(
            f"this needs the duty {' or '.join(duties)} for this seal", code="seal.duty"
        )


def grant(seal: Seal, duty: Duty, *, to: str, by: str) -> None:
    """Whether `by` may charge `to` with a duty.

    Raises:
        ForbiddenError: `seal.duty`: only who manages the seal charges people.
        ConflictError: `seal.state`, `seal.two_duties`, `seal.holders`.
    """
    require_duty(seal, by, Duty.MANAGE)
    _require_alive(seal)
    held = seal.duties.get(to)
    if held is not None and held is not duty:
        raise ConflictError(
            "this person holds another duty for this seal: duties are kept apart",
            code="seal.two_duties",
            held=held,
        )
    if held is None and len(seal.duties) >= DUTY_HOLDERS_MAX:
        raise ConflictError("too many people hold a duty for this seal", code="seal.holders")


def withdraw(seal: Seal, *, of: str, by: str) -> None:
    """Whether `by` may take the duty of `of` back; one manager and one auditor always remain.

    Raises:
        ForbiddenError: `seal.duty`.
        ConflictError: `seal.state`, `seal.no_duty`, `seal.last_holder`.
    """
    require_duty(seal, by, Duty.MANAGE)
    _require_alive(seal)
    duty = seal.duties.get(of)
    if duty is None:
        raise ConflictError("this person holds no duty for this seal", code="seal.no_duty")
    alone = sum(1 for held in seal.duties.values() if held is duty) == 1
    if duty is not Duty.USE and alone:
        raise ConflictError(
            "a seal keeps at least one manager and one auditor: charge another one first",
            code="seal.last_holder",
            duty=duty,
        )


def require_usable(seal: Seal, *, person: str, at: datetime) -> None:
    """Refuse a seal that this person may not put on a document now.

    Raises:
        ForbiddenError: `seal.duty`.
        ConflictError: `seal.not_enabled`, `seal.not_valid_at`.
    """
    require_duty(seal, person, Duty.USE)
    if seal.state is not State.ENABLED:
        raise ConflictError(
            f"this seal is {seal.state}, not enabled", code="seal.not_enabled", state=seal.state
        )
    if not seal.valid_from <= at < seal.valid_to:
        raise ConflictError("this seal is outside its period", code="seal.not_valid_at")


def _require_alive(seal: Seal) -> None:
    if seal.state is State.DESTROYED:
        raise ConflictError("this seal is destroyed", code="seal.state", state=seal.state)
