"""What an order allows: a table of steps, who may take each, from which states, to which. Pure.

manufacture  requested > quoted > ordered > sample_sent > sample_approved > producing > inspecting > accepted
lease        requested > quoted > ordered > handed > in_use > returned > closed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger.core.errors import ConflictError, ForbiddenError, InputError

BUYER: Final = "buyer"
MAKER: Final = "maker"
EITHER: Final = "either"


@dataclass(frozen=True, slots=True)
class Rule:
    """A step: who takes it, from where, to where (one target for each of its outcomes)."""

    side: str
    sources: tuple[str, ...]
    targets: Mapping[str, str]
    needs: tuple[str, ...] = ()
    """Kinds of documents that must stand in the order before."""


OPEN: Final = ("requested", "quoted", "ordered")
STEPS: Final[Mapping[str, Mapping[str, Rule]]] = {
    "manufacture": {
        "quote": Rule(MAKER, ("requested", "quoted"), {"": "quoted"}),
        "place": Rule(BUYER, ("quoted",), {"": "ordered"}),
        "sample": Rule(MAKER, ("ordered", "sample_rejected"), {"": "sample_sent"}, ("sample",)),
        "judge": Rule(BUYER, ("sample_sent",), {"yes": "sample_approved", "no": "sample_rejected"}),
        "produce": Rule(MAKER, ("sample_approved", "rework"), {"": "producing"}, ("process",)),
        "finish": Rule(MAKER, ("producing",), {"": "inspecting"}, ("inspection",)),
        "accept": Rule(BUYER, ("inspecting",), {"yes": "accepted", "no": "rework"}),
        "decline": Rule(EITHER, ("requested", "quoted"), {"": "declined"}),
    },
    "lease": {
        "quote": Rule(MAKER, ("requested", "quoted"), {"": "quoted"}),
        "place": Rule(BUYER, ("quoted",), {"": "ordered"}),
        "hand": Rule(MAKER, ("ordered",), {"": "handed"}, ("condition",)),
        "take": Rule(BUYER, ("handed",), {"": "in_use"}),
        "return": Rule(BUYER, ("in_use",), {"": "returned"}, ("return",)),
        "close": Rule(MAKER, ("returned",), {"": "closed"}),
        "decline": Rule(EITHER, ("requested", "quoted"), {"": "declined"}),
    },
}
DOCUMENTS: Final = ("drawing", "sample", "process", "inspection", "condition", "return", "other")
ENDS: Final = frozenset({"declined", "accepted", "closed"})


def next_state(
    kind: str,
    step: str,
    *,
    state: str,
    side: str,
    outcome: str,
    documents: frozenset[str],
) -> str:
    """Where a step leads.

    Raises:
        InputError: `order.step`: this kind of order has no such step, or the step no such outcome.
        ForbiddenError: `order.other_side`.
        ConflictError: `order.state`, `order.document_missing`.
    """
    rule = STEPS[kind].get(step)
    if rule is None or outcome not in rule.targets:
        raise InputError("this order has no such step", code="order.step")
    if rule.side not in (EITHER, side):
        raise ForbiddenError("the other side takes this step", code="order.other_side")
    if state not in rule.sources:
        raise ConflictError(
            "the order is not that far, or is past it: reload the page",
            code="order.state",
            state=state,
        )
    missing = [one for one in rule.needs if one not in documents]
    if missing:
        raise ConflictError(
            f"this step needs a document first: {missing[0]}; after a rejection a new one",
            code="order.document_missing",
            document=missing[0],
        )
    return rule.targets[outcome]


def possible(kind: str, *, state: str, side: str) -> tuple[str, ...]:
    """Steps that a side can take now, in the order of the table."""
    return tuple(
        name
        for name, rule in STEPS[kind].items()
        if state in rule.sources and rule.side in (EITHER, side)
    )
