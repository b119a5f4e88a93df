"""The problem of one round: needs, lots, lanes and the published policy, all integers and all bounded.

A capacity window is a lot that exists from the day it is finished. Days are counted from 1970-01-01 (UTC).
The JSON form `fuqi/problem/v1` carries the catalogue, so that a stranger can recompute everything from it. A
round with whole packs, smallest lines, donors' limits or shared resources is `fuqi/problem/v2`: such a round is
no longer a pure flow, and its plan carries a certified gap where those limits bind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from ledger.core.canonical import Json, canonical_bytes, sha256, tagged_digest
from ledger.core.errors import InputError, LimitError
from ledger.core.units import QUANTITY_MAX, Digest32
from matching.catalogue import Catalogue, parse_catalogue
from matching.typed_rows import typed

PROBLEM_TAG: Final = "fuqi/problem/v1"
LIMITED_TAG: Final = "fuqi/problem/v2"
POLICY_TAG: Final = "fuqi/policy/v1"
NEEDS_MAX: Final = 20_000
LOTS_MAX: Final = 20_000
LANES_MAX: Final = 1_000
PAIRS_MAX: Final = 12_000_000
"""Needs times lots: all pairs are judged, and twelve million take about half a gigabyte."""
DAY_MIN: Final = 0
DAY_MAX: Final = 47_482
"""2099-12-31."""
LIFE_MAX_DAYS: Final = 3_650
"""Goods without expiry, and longer lives, count as ten years in the expiry level."""
TIERS: Final = ("critical", "high", "normal")
LEVELS: Final = ("unserved_by_tier_then_evenness", "transport", "earliest_expiry")
"""What a round minimises, the most important first; every policy of this version has them."""
RESOURCES_MAX: Final = 5_000
"""Days of resources, each a coupling row: fifty lines with a plan of ninety days each."""
RESOURCE_KINDS: Final = ("plant", "line", "machine", "product", "service")
LIMIT_FIELDS: Final = ("pack", "smallest", "receivers_max", "resource", "per_unit")
"""What version 1 of a lot does not have."""
DONOR_KINDS: Final = ("organisation", "individual")


@dataclass(frozen=True, slots=True)
class Place:
    """A point with the names that lanes speak of; degrees * 10**6."""

    province: str
    city: str
    longitude_micro: int
    latitude_micro: int


@dataclass(frozen=True, slots=True)
class Need:
    """A hospital's request.

    Attributes:
        items: the item asked for and, from composite words, those that serve just as well.
        tier: 0 critical, 1 high, 2 normal.
        deadline_day: last day of arrival.
        standard, edition: what the hospital named and policy enforces; edition None = valid when produced.
        certificate_min: 0 none, 1 conformity, 2 registration.
        remaining_days_min: shelf life left on arrival; halved for goods that live at most 183 days.
    """

    id: str
    hospital: str
    items: tuple[str, ...]
    quantity: int
    tier: int
    deadline_day: int
    place: Place
    standard: str | None
    edition: str | None
    certificate_min: int
    sterile: bool
    remaining_days_min: int
    accepts_substitutes: bool


@dataclass(frozen=True, slots=True)
class Lot:
    """Donated goods of one batch, or one finished capacity window.

    Attributes:
        available_day: first day it can leave.
        expires_day: last day of use, None for durable goods.
        directed_to: hospitals the donor named; empty = any.
        related_to: hospitals related to the donor, which may not receive (legal.md DN-4).
        pack: units move in whole packs or pallets of this size.
        smallest: no line of this lot is smaller.
        receivers_max: to how many hospitals its donor splits all its lots at most; the least of them counts.
        resource, per_unit: the shared resource that makes it, and how much of it one unit takes.
    """

    id: str
    donor: str
    donor_kind: str
    item: str
    quantity: int
    place: Place
    available_day: int
    produced_day: int
    expires_day: int | None
    standard: str | None
    edition: str | None
    certificate: int
    sterile: bool
    directed_to: tuple[str, ...]
    related_to: tuple[str, ...]
    frozen: bool
    pack: int = 1
    smallest: int = 1
    receivers_max: int | None = None
    resource: str | None = None
    per_unit: int = 0

    @property
    def limited(self) -> bool:
        """Whether a plan of this lot is more than a flow."""
        return (self.pack, self.smallest, self.receivers_max, self.resource) != (1, 1, None, None)


@dataclass(frozen=True, slots=True)
class Resource:
    """A plant, line, machine, product or service that several lots draw on.

    Attributes:
        capacity: what it has in the round's window, in the unit that `Lot.per_unit` counts (minutes, say).
    """

    id: str
    kind: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Lane:
    """A carrier's lane. `origin` None means the whole country."""

    id: str
    origin: str | None
    destination: Place
    individuals: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """The published rule of a round; committed before solving.

    Attributes:
        segments: in how many steps a hospital's need of one class is filled, for evenness.
        km_per_day: distance covered in a day; a started day counts.
        onward_provinces: where goods arriving over a lane may go on to other cities.
        onward_days: what that costs.
    """

    id: str = "fuqi/round-policy"
    version: str = "1"
    levels: tuple[str, ...] = LEVELS
    ties: str = (
        "needs and lots in the order of their ids, one thread, solver version named in the plan"
    )
    segments: int = 10
    km_per_day: int = 600
    onward_provinces: tuple[str, ...] = ("湖北",)
    onward_days: int = 1

    def as_json(self) -> dict[str, Json]:
        """The policy as committed."""
        return {"v": POLICY_TAG, **_plain(self)}

    def digest(self) -> Digest32:
        """What `round.opened` commits to."""
        return tagged_digest(POLICY_TAG, self.as_json())


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything a round decides on. Build with `make_problem`, which sorts and validates.

    Attributes:
        day: the round's date; eligibility and remaining life are judged as of it.
    """

    id: str
    day: int
    needs: tuple[Need, ...]
    lots: tuple[Lot, ...]
    lanes: tuple[Lane, ...]
    policy: Policy
    catalogue: Catalogue
    resources: tuple[Resource, ...] = ()
    _packed: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)
    """The canonical bytes once they are made: plan, checker and record all ask for their digest."""

    @property
    def limited(self) -> bool:
        """Whether anything but quantities limits the lots: then the round is no pure flow."""
        return bool(self.resources) or any(lot.limited for lot in self.lots)

    @property
    def tag(self) -> str:
        """Version 1 wherever it can say everything."""
        return LIMITED_TAG if self.limited else PROBLEM_TAG

    def as_json(self) -> dict[str, Json]:
        """`fuqi/problem/v1`, or `v2` where there are limits."""
        limited = self.limited
        lots = [_plain_lot(lot, limited=limited) for lot in self.lots]
        value: dict[str, Json] = {
            "v": self.tag,
            "id": self.id,
            "day": self.day,
            "needs": [_plain(need) for need in self.needs],
            "lots": list(lots),
            "lanes": [_plain(lane) for lane in self.lanes],
            "policy": self.policy.as_json(),
            "catalogue": self.catalogue.source,
        }
        if limited:
            value["resources"] = [_plain(resource) for resource in self.resources]
        return value

    def packed(self) -> bytes:
        """The canonical bytes of `as_json`; nothing in a problem ever changes."""
        if not self._packed:
            self._packed.append(canonical_bytes(self.as_json()))
        return self._packed[0]

    def keep_packed(self, *, needs: Iterable[bytes], lots: Iterable[bytes]) -> Self:
        """This problem, which has no limits, its canonical bytes put together from those of its rows.

        Args:
            needs, lots: of every row its `packed_row`, in their order.
        """
        assert not self.limited
        none = replace(self, needs=(), lots=()).as_json()
        lists = (none.pop("lots"), none.pop("needs"))
        assert lists == ([], [])
        last = {name: none.pop(name) for name in ("policy", "v")}
        head = canonical_bytes(none).removesuffix(b"}")
        head += b',"lots":[' + b",".join(lots) + b'],"needs":[' + b",".join(needs) + b"],"
        self._packed[:] = [head + canonical_bytes(last).removeprefix(b"{")]
        return self

    def digest(self) -> Digest32:
        """SHA-256 over tag and canonical bytes."""
        return sha256(self.tag.encode("ascii") + b"\x00" + self.packed())


def packed_row(row: Need | Lot) -> bytes:
    """How a need, or a lot without limits, stands in a packed problem without limits."""
    return canonical_bytes(_plain_lot(row, limited=False) if isinstance(row, Lot) else _plain(row))


def make_problem(
    problem_id: str,
    *,
    day: int,
    needs: Iterable[Need],
    lots: Iterable[Lot],
    lanes: Iterable[Lane],
    policy: Policy,
    catalogue: Catalogue,
    resources: Iterable[Resource] = (),
) -> Problem:
    """Sort by id, validate, and return the problem.

    Raises:
        InputError: `need.*`, `offer.*`, `lane.*`, `policy.*`, `resource.*`, `item.unknown`,
            `matching.duplicate_id`.
        LimitError: `matching.too_large`.
    """
    problem = Problem(
        id=problem_id,
        day=day,
        needs=tuple(sorted(needs, key=lambda need: need.id)),
        lots=tuple(sorted(lots, key=lambda lot: lot.id)),
        lanes=tuple(sorted(lanes, key=lambda lane: lane.id)),
        policy=policy,
        catalogue=catalogue,
        resources=tuple(sorted(resources, key=lambda resource: resource.id)),
    )
    _require_bounded(problem)
    for what, rows in (
        ("need", problem.needs),
        ("lot", problem.lots),
        ("lane", problem.lanes),
        ("resource", problem.resources),
    ):
        ids = [row.id for row in rows]
        if len(set(ids)) != len(ids):
            raise InputError(f"two rows share a {what} id", code="matching.duplicate_id", what=what)
    for need in problem.needs:
        require_need(need, catalogue=catalogue)
    for lot in problem.lots:
        require_lot(lot, catalogue=catalogue)
    for lane in problem.lanes:
        require_place(lane.destination, code="lane.place")
    _require_resources(problem)
    return problem


def require_need(need: Need, *, catalogue: Catalogue) -> None:
    """Refuse a need that no round could serve sensibly.

    Raises:
        InputError: `need.quantity_negative`, `need.quantity_zero`, `need.quantity_limit`, `need.items`,
            `item.unknown`, `item.classes_mixed`, `need.tier`, `need.deadline`, `need.certificate`,
            `need.remaining_days`, `need.place`.
    """
    require_quantity(need.quantity, what="need")
    if not need.items:
        raise InputError("a need names at least one item", code="need.items")
    if len({catalogue.item(item).item_class for item in need.items}) != 1:
        raise InputError("a need names items of several classes", code="item.classes_mixed")
    if not 0 <= need.tier < len(TIERS):
        raise InputError("the urgency tier is 0, 1 or 2", code="need.tier")
    if not DAY_MIN <= need.deadline_day <= DAY_MAX:
        raise InputError("the deadline is outside 1970 to 2099", code="need.deadline")
    if not 0 <= need.certificate_min <= 2:
        raise InputError("the certificate level is 0, 1 or 2", code="need.certificate")
    if not 0 <= need.remaining_days_min <= LIFE_MAX_DAYS:
        raise InputError("the remaining life is 0 to 3650 days", code="need.remaining_days")
    require_place(need.place, code="need.place")


def require_lot(lot: Lot, *, catalogue: Catalogue) -> None:
    """Refuse a lot that contradicts itself.

    Raises:
        InputError: `offer.quantity_negative`, `offer.quantity_zero`, `offer.quantity_limit`,
            `item.unknown`, `offer.donor_kind`, `offer.dates`, `offer.certificate`, `offer.place`,
            `offer.pack`, `offer.receivers_max`, `offer.resource`.
    """
    require_quantity(lot.quantity, what="offer")
    catalogue.item(lot.item)
    if lot.donor_kind not in DONOR_KINDS:
        raise InputError("a donor is an organisation or an individual", code="offer.donor_kind")
    days = [lot.available_day, lot.produced_day]
    if lot.expires_day is not None:
        days.append(lot.expires_day)
        if lot.expires_day < lot.produced_day:
            raise InputError("the lot expires before it was produced", code="offer.dates")
    if not all(DAY_MIN <= day <= DAY_MAX for day in days) or lot.produced_day > lot.available_day:
        raise InputError(
            "dates are outside 1970 to 2099, or the lot leaves before it is made",
            code="offer.dates",
        )
    if not 0 <= lot.certificate <= 2:
        raise InputError("the certificate level is 0, 1 or 2", code="offer.certificate")
    require_place(lot.place, code="offer.place")
    _require_limits(lot)


def _require_limits(lot: Lot) -> None:
    if not 1 <= lot.pack <= lot.quantity or not 1 <= lot.smallest <= lot.quantity:
        raise InputError(
            "a pack and a smallest line are between one unit and the lot", code="offer.pack"
        )
    if lot.receivers_max is not None and lot.receivers_max < 1:
        raise InputError("a donor splits to at least one hospital", code="offer.receivers_max")
    if (lot.resource is None) != (lot.per_unit == 0) or not 0 <= lot.per_unit <= QUANTITY_MAX:
        raise InputError(
            "a lot made on a resource says how much of it one unit takes, and only then",
            code="offer.resource",
        )


def _require_resources(problem: Problem) -> None:
    known = {resource.id for resource in problem.resources}
    for resource in problem.resources:
        if resource.kind not in RESOURCE_KINDS or not 1 <= resource.capacity <= QUANTITY_MAX:
            raise InputError(
                "a resource is a plant, line, machine, product or service with a capacity",
                code="resource.invalid",
            )
    for lot in problem.lots:
        if lot.resource is not None and lot.resource not in known:
            raise InputError("the lot's resource is not in the round", code="resource.unknown")


def require_quantity(quantity: int, *, what: str) -> None:
    """Raises InputError `need.quantity_negative|zero|limit` or the same under `offer.`."""
    if quantity < 0:
        raise InputError("a quantity is not negative", code=f"{what}.quantity_negative")
    if quantity == 0:
        raise InputError("a quantity is at least one", code=f"{what}.quantity_zero")
    if quantity > QUANTITY_MAX:
        raise InputError(
            f"a quantity is at most {QUANTITY_MAX}",
            code=f"{what}.quantity_limit",
            limit=QUANTITY_MAX,
        )


def problem_from_json(value: Mapping[str, Any]) -> Problem:
    """Read `fuqi/problem/v1` or `v2`.

    Raises:
        InputError: `matching.problem_malformed` and the codes of `make_problem`.
    """
    try:
        if value["v"] not in (PROBLEM_TAG, LIMITED_TAG):
            raise InputError("not a fuqi/problem/v1 or v2", code="matching.problem_malformed")
        policy: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item
            for key, item in value["policy"].items()
            if key != "v"
        }
        if not isinstance(value["id"], str):
            raise TypeError("the id is no word")
        problem = make_problem(
            value["id"],
            day=int(value["day"]),
            needs=[_need(row) for row in value["needs"]],
            lots=[_lot(row) for row in value["lots"]],
            lanes=[
                typed(Lane(**{**row, "destination": _place(row["destination"])}))
                for row in value["lanes"]
            ],
            policy=typed(Policy(**policy)),
            catalogue=parse_catalogue(value["catalogue"]),
            resources=[typed(Resource(**row)) for row in value.get("resources", ())],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InputError("the problem misses a field", code="matching.problem_malformed") from exc
    if tagged_digest(value["v"], value) != problem.digest():
        # Unsorted rows or extra fields: reading must never change what is hashed.
        raise InputError(
            "the problem is not in its canonical order", code="matching.problem_malformed"
        )
    return problem


def _need(row: Mapping[str, Any]) -> Need:
    return typed(Need(**{**row, "items": tuple(row["items"]), "place": _place(row["place"])}))


def _lot(row: Mapping[str, Any]) -> Lot:
    lists = {name: tuple(row[name]) for name in ("directed_to", "related_to")}
    return typed(Lot(**{**row, **lists, "place": _place(row["place"])}))


def _place(row: Mapping[str, Any]) -> Place:
    return typed(Place(**row))


def _plain_lot(lot: Lot, *, limited: bool) -> dict[str, Json]:
    plain = _plain(lot)
    if not limited:
        for name in LIMIT_FIELDS:
            del plain[name]
    return plain


def _plain(value: Any) -> dict[str, Json]:
    """A dataclass as JSON; half the cost of `dataclasses.asdict`, which copies deeply."""
    plain: dict[str, Json] = {}
    # The fields' names without `dataclasses.fields`, which builds a tuple for each of thousands of rows.
    for name in value.__dataclass_fields__:
        item = getattr(value, name)
        if isinstance(item, tuple):
            item = list(item)
        elif isinstance(item, Place):
            item = _plain(item)
        plain[name] = item
    return plain


def _require_bounded(problem: Problem) -> None:
    counts: Sequence[tuple[str, int, int]] = (
        ("needs", len(problem.needs), NEEDS_MAX),
        ("lots", len(problem.lots), LOTS_MAX),
        ("lanes", len(problem.lanes), LANES_MAX),
        ("resources", len(problem.resources), RESOURCES_MAX),
        ("pairs", len(problem.needs) * len(problem.lots), PAIRS_MAX),
    )
    for what, count, limit in counts:
        if count > limit:
            raise LimitError(
                f"a round takes at most {limit} {what}", code="matching.too_large", limit=limit
            )
    policy = problem.policy
    if policy.levels != LEVELS:
        # Another order would be committed to and published, and not be what is solved.
        raise InputError(
            f"a round knows one order of levels: {', '.join(LEVELS)}", code="policy.levels"
        )
    if not 1 <= policy.segments <= 100:
        raise InputError("segments are 1 to 100", code="policy.segments")
    if not 1 <= policy.km_per_day <= 20_000 or not 0 <= policy.onward_days <= 60:
        raise InputError("transport speed or onward days are out of range", code="policy.transport")
    if not DAY_MIN <= problem.day <= DAY_MAX:
        raise InputError("the round's day is outside 1970 to 2099", code="policy.day")


def require_place(place: Place, *, code: str) -> None:
    """Raises InputError with this code unless the place is on the globe."""
    if abs(place.longitude_micro) > 180_000_000 or abs(place.latitude_micro) > 90_000_000:
        raise InputError("the place is not on the globe", code=code)
