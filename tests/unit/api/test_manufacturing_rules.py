"""Orders and leases: every step, side and state against the table, and no way around it."""

from __future__ import annotations

import itertools

import pytest

from api.flows.manufacturing_rules import (
    BUYER,
    DOCUMENTS,
    EITHER,
    ENDS,
    MAKER,
    STEPS,
    next_state,
    possible,
)
from ledger.core.errors import FuqiError

ALL = frozenset(DOCUMENTS)
STATES = sorted(
    {"requested"}
    | {
        state
        for rules in STEPS.values()
        for rule in rules.values()
        for state in rule.targets.values()
    }
)
WAY = {
    "manufacture": [
        ("quote", MAKER, ""), ("place", BUYER, ""), ("sample", MAKER, ""), ("judge", BUYER, "no"),
        ("sample", MAKER, ""), ("judge", BUYER, "yes"), ("produce", MAKER, ""), ("finish", MAKER, ""),
        ("accept", BUYER, "no"), ("produce", MAKER, ""), ("finish", MAKER, ""), ("accept", BUYER, "yes"),
    ],
    "lease": [
        ("quote", MAKER, ""), ("quote", MAKER, ""), ("place", BUYER, ""), ("hand", MAKER, ""),
        ("take", BUYER, ""), ("return", BUYER, ""), ("close", MAKER, ""),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", WAY)
def test_the_whole_way_ends_where_nothing_more_is_possible(kind: str) -> None:
    state = "requested"
    for step, side, outcome in WAY[kind]:
        assert step in possible(kind, state=state, side=side)
        state = next_state(kind, step, state=state, side=side, outcome=outcome, documents=ALL)
    assert state in ENDS
    assert possible(kind, state=state, side=BUYER) == possible(kind, state=state, side=MAKER) == ()


@pytest.mark.parametrize("kind", WAY)
def test_every_other_combination_is_refused(kind: str) -> None:
    for step, side, state, outcome in itertools.product(
        STEPS[kind], (BUYER, MAKER), STATES, ("", "yes", "no")
    ):
        rule = STEPS[kind][step]
        allowed = rule.side in (EITHER, side) and state in rule.sources and outcome in rule.targets
        given = {"state": state, "side": side, "outcome": outcome, "documents": ALL}
        if allowed:
            assert next_state(kind, step, **given) == rule.targets[outcome]
        else:
            with pytest.raises(FuqiError) as fault:
                next_state(kind, step, **given)
            assert fault.value.error_code in ("order.step", "order.other_side", "order.state")


def test_a_step_waits_for_its_document() -> None:
    with pytest.raises(FuqiError) as fault:
        next_state(
            "manufacture",
            "finish",
            state="producing",
            side=MAKER,
            outcome="",
            documents=frozenset({"process"}),
        )
    assert fault.value.error_code == "order.document_missing"
