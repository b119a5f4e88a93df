"""The life of a seal and its separated duties, exhaustively."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ledger.core.errors import ConflictError, ForbiddenError
from signing.seal_rules import (
    CHARGED,
    DUTY_HOLDERS_MAX,
    TRANSITIONS,
    Act,
    Duty,
    Seal,
    State,
    change,
    grant,
    require_usable,
    withdraw,
)

AT = datetime(2026, 11, 23, tzinfo=UTC)
SEAL = Seal(
    id="sea_x",
    state=State.ENABLED,
    duties={"manager": Duty.MANAGE, "user": Duty.USE, "auditor": Duty.AUDIT},
    valid_from=AT,
    valid_to=AT + timedelta(days=1),
)


def test_a_seal_lives_from_making_to_destruction() -> None:
    state = State.MADE
    for act, by in (
        (Act.APPROVE, "auditor"),
        (Act.ENABLE, "manager"),
        (Act.SUSPEND, "auditor"),
        (Act.ENABLE, "manager"),
        (Act.SUSPEND, "manager"),
        (Act.DESTROY, "manager"),
    ):
        state = change(replace(SEAL, state=state), act, by=by)
    assert state is State.DESTROYED


@pytest.mark.parametrize(("act", "state"), list(itertools.product(Act, State)))
def test_every_other_step_is_refused(act: Act, state: State) -> None:
    by = {Duty.MANAGE: "manager", Duty.AUDIT: "auditor"}[min(CHARGED[act])]
    seal = replace(SEAL, state=state)
    if state in TRANSITIONS[act]:
        assert change(seal, act, by=by) is TRANSITIONS[act][state]
        return
    with pytest.raises(ConflictError) as caught:
        change(seal, act, by=by)
    assert caught.value.error_code == "seal.state"


@pytest.mark.parametrize(("act", "duty"), list(itertools.product(Act, [*Duty, None])))
def test_a_step_needs_its_own_duty(act: Act, duty: Duty | None) -> None:
    seal = replace(
        SEAL,
        state=next(iter(TRANSITIONS[act])),
        duties={} if duty is None else {"somebody": duty},
    )
    if duty in CHARGED[act]:
        change(seal, act, by="somebody")
        return
    with pytest.raises(ForbiddenError) as caught:
        change(seal, act, by="somebody")
    assert caught.value.error_code == "seal.duty"


@pytest.mark.parametrize(("held", "wanted"), list(itertools.product(Duty, Duty)))
def test_nobody_holds_two_duties_for_one_seal(held: Duty, wanted: Duty) -> None:
    seal = replace(SEAL, duties={"manager": Duty.MANAGE, "somebody": held})
    if held is wanted:
        grant(seal, wanted, to="somebody", by="manager")
        return
    with pytest.raises(ConflictError) as caught:
        grant(seal, wanted, to="somebody", by="manager")
    assert caught.value.error_code == "seal.two_duties"


def test_only_the_manager_charges_people() -> None:
    grant(SEAL, Duty.USE, to="new", by="manager")
    for by in ("user", "auditor", "stranger"):
        with pytest.raises(ForbiddenError):
            grant(SEAL, Duty.USE, to="new", by=by)
        with pytest.raises(ForbiddenError):
            withdraw(SEAL, of="user", by=by)


def test_a_manager_cannot_make_themselves_the_user() -> None:
    with pytest.raises(ConflictError):
        grant(SEAL, Duty.USE, to="manager", by="manager")


def test_a_seal_keeps_a_manager_and_an_auditor() -> None:
    withdraw(SEAL, of="user", by="manager")
    for last in ("manager", "auditor"):
        with pytest.raises(ConflictError) as caught:
            withdraw(SEAL, of=last, by="manager")
        assert caught.value.error_code == "seal.last_holder"
    more = replace(SEAL, duties={**SEAL.duties, "second": Duty.AUDIT})
    withdraw(more, of="auditor", by="manager")


def test_nobody_without_a_duty_can_lose_one() -> None:
    with pytest.raises(ConflictError) as caught:
        withdraw(SEAL, of="stranger", by="manager")
    assert caught.value.error_code == "seal.no_duty"


def test_a_destroyed_seal_charges_nobody() -> None:
    with pytest.raises(ConflictError) as caught:
        grant(replace(SEAL, state=State.DESTROYED), Duty.USE, to="new", by="manager")
    assert caught.value.error_code == "seal.state"


def test_the_number_of_holders_is_bounded() -> None:
    many = {f"user{n}": Duty.USE for n in range(DUTY_HOLDERS_MAX - 1)} | {"manager": Duty.MANAGE}
    with pytest.raises(ConflictError) as caught:
        grant(replace(SEAL, duties=many), Duty.USE, to="one more", by="manager")
    assert caught.value.error_code == "seal.holders"


@pytest.mark.parametrize(
    ("seal", "person", "at", "code"),
    [
        (SEAL, "user", AT, ""),
        (SEAL, "manager", AT, "seal.duty"),
        (SEAL, "auditor", AT, "seal.duty"),
        (replace(SEAL, state=State.MADE), "user", AT, "seal.not_enabled"),
        (replace(SEAL, state=State.APPROVED), "user", AT, "seal.not_enabled"),
        (replace(SEAL, state=State.SUSPENDED), "user", AT, "seal.not_enabled"),
        (replace(SEAL, state=State.DESTROYED), "user", AT, "seal.not_enabled"),
        (SEAL, "user", AT - timedelta(seconds=1), "seal.not_valid_at"),
        (SEAL, "user", AT + timedelta(days=1), "seal.not_valid_at"),
    ],
)
def test_a_seal_is_used_by_its_user_while_enabled_and_valid(
    seal: Seal, person: str, at: datetime, code: str
) -> None:
    if not code:
        require_usable(seal, person=person, at=at)
        return
    with pytest.raises((ForbiddenError, ConflictError)) as caught:
        require_usable(seal, person=person, at=at)
    assert caught.value.error_code == code
