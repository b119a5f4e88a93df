"""What a round produces: the plan, its objective and the certificate of optimality. Data only.

Formats `fuqi/plan/v1` and `fuqi/certificate/v1`; both are canonical JSON and digested under their tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeAlias

from ledger.core.canonical import INTEGER_MAX, Json, canonical_bytes, sha256, tagged_digest
from ledger.core.errors import InputError
from ledger.core.units import Digest32

PLAN_TAG: Final = "fuqi/plan/v1"
CERTIFICATE_TAG: Final = "fuqi/certificate/v1"

Price: TypeAlias = tuple[int, int, int]
"""A dual price at the levels (unserved, transport, expiry), compared in that order."""
Group: TypeAlias = tuple[str, str, int]
"""(hospital, item class, tier): the unit inside which evenness is counted."""


@dataclass(frozen=True, slots=True)
class Flow:
    """`quantity` units of a lot go to a need."""

    need: str
    lot: str
    quantity: int

    def packed_row(self) -> bytes:
        """How it stands in a packed plan."""
        return canonical_bytes([self.need, self.lot, self.quantity])


@dataclass(frozen=True, slots=True)
class Objective:
    """The value of a plan, most important level first.

    Attributes:
        unserved_by_tier: units, critical first.
        unserved_by_rank: units unserved at each rank 1..tiers*segments; the highest rank is the last
            segment of a critical need, that is: nothing served at all.
        transport: sum of units * (km + 1 + substitution penalty).
        expiry: sum of units * days of life left on the round's day.
    """

    unserved_by_tier: tuple[int, ...]
    unserved_by_rank: tuple[int, ...]
    transport: int
    expiry: int

    def weight(self) -> int:
        """Level 1 as one number: units times rank."""
        return sum(rank * units for rank, units in enumerate(self.unserved_by_rank, start=1))

    def vector(self) -> Price:
        """(weight, transport, expiry)."""
        return (self.weight(), self.transport, self.expiry)

    def tiers_first(self) -> tuple[int, ...]:
        """What plans are compared by: no number of less urgent units outweighs one that is more urgent.

        In a pure flow the smallest `vector` has the smallest of these, too. With limits it need not: a line
        that makes one unit for a critical need may instead make a hundred for normal ones.
        """
        return (*self.unserved_by_tier, *self.vector())

    def as_json(self) -> dict[str, Json]:
        """For plans, entries and pages."""
        return {
            "unserved_by_tier": list(self.unserved_by_tier),
            "unserved_by_rank": list(self.unserved_by_rank),
            "transport": self.transport,
            "expiry": self.expiry,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """A proposal: flows sorted by (need, lot), and the objective it claims."""

    problem: str
    flows: tuple[Flow, ...]
    objective: Objective
    solver: str
    _packed: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)
    """As in `Problem`."""

    def as_json(self) -> dict[str, Json]:
        """`fuqi/plan/v1`."""
        return {
            "v": PLAN_TAG,
            "problem": self.problem,
            "flows": [[flow.need, flow.lot, flow.quantity] for flow in self.flows],
            "objective": self.objective.as_json(),
            "solver": self.solver,
        }

    def packed(self) -> bytes:
        """The canonical bytes of `as_json`; nothing in a plan ever changes."""
        if not self._packed:
            self._packed.append(canonical_bytes(self.as_json()))
        return self._packed[0]

    def keep_packed(self, lines: Iterable[bytes]) -> Self:
        """This plan, its canonical bytes put together from those of its flows in their order.

        Args:
            lines: of every flow its `packed_row`.
        """
        rest = canonical_bytes(replace(self, flows=()).as_json()).removeprefix(b'{"flows":[]')
        self._packed[:] = [b'{"flows":[' + b",".join(lines) + b"]" + rest]
        return self

    def digest(self) -> Digest32:
        """SHA-256 over tag and canonical bytes."""
        return sha256(PLAN_TAG.encode("ascii") + b"\x00" + self.packed())


@dataclass(frozen=True, slots=True)
class Certificate:
    """Dual prices of every node; with the plan they prove that no better plan exists.

    Attributes:
        roots: by item class.  groups, needs, lots: one price each, nothing missing, nothing more.
        gap: None where the prices prove the plan optimal. Where a limit ended the work before that: the plan's
            value minus the value of the prices, level by level; no plan is better by more than that.
        resources: of a round with shared resources, the price of one unit of each.
        scale: prices and gap are in this fraction of a unit of cost; 1 unless rows need finer prices.
        donors: of a round with donors that split to few hospitals, the price of one hospital more of each.
    """

    plan: str
    roots: Mapping[str, Price]
    groups: Mapping[Group, Price]
    needs: Mapping[str, Price]
    lots: Mapping[str, Price]
    gap: Price | None = None
    resources: Mapping[str, Price] = field(default_factory=dict)
    scale: int = 1
    donors: Mapping[str, int] = field(default_factory=dict)
    _packed: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)
    """As in `Problem`."""

    def as_json(self) -> dict[str, Json]:
        """`fuqi/certificate/v1`; gap, resources, donors and scale stand in it only where there are such."""
        value: dict[str, Json] = {
            "v": CERTIFICATE_TAG,
            "plan": self.plan,
            "roots": [[name, *self.roots[name]] for name in sorted(self.roots)],
            "groups": [[*key, *self.groups[key]] for key in sorted(self.groups)],
            "needs": [[name, *self.needs[name]] for name in sorted(self.needs)],
            "lots": [[name, *self.lots[name]] for name in sorted(self.lots)],
        }
        if self.resources:
            value["resources"] = [[name, *self.resources[name]] for name in sorted(self.resources)]
        if self.donors:
            value["donors"] = [[name, self.donors[name]] for name in sorted(self.donors)]
        if self.resources or self.donors:
            value["scale"] = self.scale
        return value if self.gap is None else value | {"gap": list(self.gap)}

    def packed(self) -> bytes:
        """The canonical bytes of `as_json`; nothing in a certificate ever changes."""
        if not self._packed:
            self._packed.append(canonical_bytes(self.as_json()))
        return self._packed[0]

    def keep_packed(
        self, *, groups: Iterable[bytes], lots: Iterable[bytes], needs: Iterable[bytes]
    ) -> Self:
        """This certificate, its canonical bytes put together from those of its prices; no gap, no resources.

        Args:
            groups, lots, needs: of every price its `packed_price`, in the order of `as_json`.
        """
        assert self.gap is None
        assert not self.resources
        assert not self.donors
        head = b'{"groups":[' + b",".join(groups) + b'],"lots":[' + b",".join(lots)
        head += b'],"needs":[' + b",".join(needs) + b"],"
        rest: dict[str, Json] = {
            "plan": self.plan,
            "roots": [[name, *self.roots[name]] for name in sorted(self.roots)],
            "v": CERTIFICATE_TAG,
        }
        self._packed[:] = [head + canonical_bytes(rest).removeprefix(b"{")]
        return self

    def digest(self) -> Digest32:
        """SHA-256 over tag and canonical bytes."""
        return sha256(CERTIFICATE_TAG.encode("ascii") + b"\x00" + self.packed())


def packed_price(key: Sequence[str | int], price: Price) -> bytes:
    """How a price stands in a packed certificate.

    Args:
        key: (name,) of a need or lot, or a group.
    """
    return canonical_bytes([*key, *price])


def plan_from_json(value: Mapping[str, Any]) -> Plan:
    """Read `fuqi/plan/v1`.

    Raises:
        InputError: `matching.plan_malformed`.
    """
    try:
        _require(value["v"] == PLAN_TAG)
        objective = value["objective"]
        plan = Plan(
            problem=_text(value["problem"]),
            flows=tuple(
                Flow(_text(need), _text(lot), _integer(quantity))
                for need, lot, quantity in value["flows"]
            ),
            objective=Objective(
                unserved_by_tier=tuple(_integer(item) for item in objective["unserved_by_tier"]),
                unserved_by_rank=tuple(_integer(item) for item in objective["unserved_by_rank"]),
                transport=_integer(objective["transport"]),
                expiry=_integer(objective["expiry"]),
            ),
            solver=_text(value["solver"]),
        )
        _require(plan.digest() == tagged_digest(PLAN_TAG, value))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InputError("this is not a fuqi/plan/v1", code="matching.plan_malformed") from exc
    return plan


def certificate_from_json(value: Mapping[str, Any]) -> Certificate:
    """Read `fuqi/certificate/v1`.

    Raises:
        InputError: `matching.certificate_malformed`.
    """
    try:
        _require(value["v"] == CERTIFICATE_TAG)
        certificate = Certificate(
            plan=_text(value["plan"]),
            roots={_text(row[0]): _price(row[1:]) for row in value["roots"]},
            groups={
                (_text(row[0]), _text(row[1]), _integer(row[2])): _price(row[3:])
                for row in value["groups"]
            },
            needs={_text(row[0]): _price(row[1:]) for row in value["needs"]},
            lots={_text(row[0]): _price(row[1:]) for row in value["lots"]},
            gap=_price(value["gap"]) if "gap" in value else None,
            resources={_text(row[0]): _price(row[1:]) for row in value.get("resources", ())},
            scale=_integer(value.get("scale", 1)),
            donors={_text(name): _integer(price) for name, price in value.get("donors", ())},
        )
        _require(certificate.digest() == tagged_digest(CERTIFICATE_TAG, value))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as exc:
        raise InputError(
            "this is not a fuqi/certificate/v1", code="matching.certificate_malformed"
        ) from exc
    return certificate


def _price(row: Any) -> Price:
    first, second, third = row
    return (_integer(first), _integer(second), _integer(third))


def _integer(value: Any) -> int:
    # bool is an int in Python; JSON true must not pass for 1.
    _require(type(value) is int and abs(value) <= INTEGER_MAX)
    return int(value)


def _text(value: Any) -> str:
    _require(isinstance(value, str))
    return str(value)


def _require(condition: object) -> None:
    if not condition:
        raise ValueError("malformed")
