"""Where every unit of a donation is, told by entries alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from arbitration.container import unpack
from arbitration.donation_model import LOTS, donation_part, inside
from arbitration.lot_model import lot_events, lot_part, open_lot_files
from arbitration.lot_story import Story, tell
from arbitration.model import Bundle
from ledger.core.errors import VerificationError

PLACES: Final = (
    "free",
    "withdrawn",
    "proposed",
    "promised",
    "with_donor",
    "packed",
    "on_the_way",
    "accepted",
    "quarantine",
    "rejected",
    "disputed",
    "used",
    "lost",
)
"""As on the donor's page: docs/guides/goods.md."""
PLACES_ZH: Final[Mapping[str, str]] = {
    "free": "仍在捐赠人处（未分配）",
    "withdrawn": "已撤回",
    "proposed": "已分配，待捐赠人答复",
    "promised": "已接受，未备货",
    "with_donor": "已开立批次，在捐赠人库存",
    "packed": "捐赠人已装箱",
    "on_the_way": "运输途中",
    "accepted": "医院已验收",
    "quarantine": "隔离待检",
    "rejected": "拒收待退",
    "disputed": "差异处理中",
    "used": "已用于病区",
    "lost": "已确认灭失",
}
_ENDS: Final = frozenset({"quarantine", "rejected", "disputed", "used", "lost"})


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer, as its entries tell it; `units` is None where its posting is not shown."""

    id: str
    item: str
    units: int | None
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a round."""

    id: str
    offer: str
    round: str
    units: int
    state: str
    """proposed | accepted | declined"""


@dataclass(frozen=True, slots=True)
class LotTold:
    """A lot, as the bundle of it tells.

    Attributes:
        body: of `lot.opened`.
        accepted: units that its hospital accepted in hand-overs.
        other_use: whether its purpose was changed with consent.
    """

    id: str
    body: Mapping[str, Any]
    story: Story
    accepted: int
    other_use: bool
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """A whole donation."""

    offers: tuple[Offered, ...]
    lines: tuple[Line, ...]
    lots: tuple[LotTold, ...]

    @property
    def offered(self) -> int | None:
        """All units, or None where an offer does not show how many it is."""
        units = [one.units for one in self.offers]
        return None if None in units else sum(one for one in units if one is not None)

    def places(self) -> dict[str, int]:
        """Units by place, in the order of `PLACES`, empty ones left out.

        What does not add up comes out negative, never hidden.
        """
        sums = dict.fromkeys(PLACES, 0)
        held = {one.id: one.units for one in self.lines if one.state != "declined"}
        for offer in self.offers:
            lines = sum(one.units for one in self.lines if one.offer == offer.id and one.id in held)
            sums["withdrawn" if offer.withdrawn else "free"] += (offer.units or 0) - lines
        for line in self.lines:
            if line.state == "proposed":
                sums["proposed"] += line.units
            elif line.state == "accepted":
                sums["promised"] += line.units - self.in_lots(line.id)
        for lot in self.lots:
            for holder, shelf, units in lot.story.held():
                sums[_place(lot.story, str(holder), str(shelf))] += int(units)
        return {name: units for name, units in sums.items() if units}

    def in_lots(self, line: str) -> int:
        """Units of a line that stand in lots."""
        return sum(one.story.quantity for one in self.lots if one.body["allocation"] == line)


def tell_donation(bundle: Bundle) -> Told:
    """Read a donation out of its bundle, or out of a draft of it.

    Raises:
        VerificationError: the codes of `unpack` and `open_lot_files`; `bundle.part`.
        KeyError, TypeError, ValueError: an entry of another shape; the caller calls it malformed.
    """
    ids = [str(one) for one in donation_part(bundle)["offers"]]
    return Told(
        offers=tuple(_offer(bundle, one) for one in ids),
        lines=tuple(_lines(bundle)),
        lots=tuple(_lot(name, data) for name, data in sorted(inside(bundle, LOTS).items())),
    )


def account_rows(places: Mapping[str, int]) -> list[Any]:
    """[place, units] as `donation.json` holds them."""
    return [[name, places[name]] for name in PLACES if name in places]


def _offer(bundle: Bundle, offer: str) -> Offered:
    posted = [one.body for one in bundle.of_type("offer.posted", subject=offer) if one.body]
    units = None if len(posted) != 1 else int(posted[0]["quantity"]) * int(posted[0]["windows"])
    return Offered(
        id=offer,
        item=str(posted[0]["item"]) if posted else "—",
        units=units,
        withdrawn=bool(bundle.of_type("offer.withdrawn", subject=offer)),
    )


def _lines(bundle: Bundle) -> Sequence[Line]:
    found = []
    for event in bundle.of_type("allocation.proposed"):
        if event.body is None:
            continue
        state = "proposed"
        for answer in ("accepted", "declined"):
            if bundle.of_type(f"allocation.{answer}", subject=event.subject):
                state = answer
        found.append(
            Line(
                id=event.subject,
                offer=str(event.body["offer"]),
                round=str(event.body["round"]),
                units=int(event.body["quantity"]),
                state=state,
            )
        )
    return found


def _lot(name: str, data: bytes) -> LotTold:
    bundle = open_lot_files(unpack(data))
    events = lot_events(bundle)
    opened = [one.body for one in events if one.type == "lot.opened" and one.body is not None]
    if len(opened) != 1 or lot_part(bundle)["lot"] != name:
        raise VerificationError("a lot's bundle is not of this lot", code="bundle.part", lot=name)
    story = tell(events)
    received = [one.body for one in events if one.type == "lot.received" and one.body is not None]
    decided = [one.body for one in events if one.type == "purpose.decided" and one.body is not None]
    return LotTold(
        id=name,
        body=opened[0],
        story=story,
        accepted=sum(int(one["quantity"]) for one in received if one["to"] == story.receiver),
        other_use=any(one["consent"] for one in decided),
        names={str(row["id"]): str(row["name"]) for row in lot_part(bundle)["parties"]},
    )


def _place(story: Story, holder: str, shelf: str) -> str:
    if shelf in _ENDS:
        return shelf
    if shelf == "transit":
        return "on_the_way"
    if holder == story.receiver:
        return "accepted"
    if holder == story.giver:
        return "packed" if shelf == "packed" else "with_donor"
    # Neither end has it: a carrier does.
    return "on_the_way"
