"""Where the units of a lot are, told by its entries alone. Pure.

The rules are those of the acts (docs/guides/goods.md): each entry takes units from one shelf of a holder and
puts them at another; nothing is made after the opening, nothing comes back from `used` or `lost`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from arbitration.model import Event

COUNTED: Final = ("quantity", "quarantined", "rejected", "missing")
"""What became of the units of a hand-over, as `lot.received` has it; `quantity` is what was accepted."""
UNITS: Final = "units"
RECALL: Final = "recall"
Place = tuple[str, str]
"""(holder, shelf)."""


@dataclass(slots=True)
class Handover:
    """Units on the way between two holders."""

    giver: str
    receiver: str
    quantity: int
    open: bool = True


@dataclass(slots=True)
class Story:
    """What the entries lead to.

    Attributes:
        faults: (kind, entry id, what is wrong in English, in Chinese); the kind is `units` or `recall`.
        closed: ids of entries that do not show what is needed; then the rest is not known.
    """

    giver: str = ""
    receiver: str = ""
    quantity: int = 0
    places: dict[Place, int] = field(default_factory=dict)
    handovers: dict[str, Handover] = field(default_factory=dict)
    discrepancies: dict[str, tuple[str, int]] = field(default_factory=dict)
    recalls: set[str] = field(default_factory=set)
    faults: list[tuple[str, str, str, str]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def fault(self, event: Event, en: str, zh: str, *, kind: str = UNITS) -> None:
        """Note what is wrong; the rest is told all the same."""
        self.faults.append((kind, event.id, en, zh))

    def move(self, event: Event, source: Place, target: Place, quantity: int) -> None:
        """Take units from one place and put them at the other."""
        there = self.places.get(source, 0)
        if quantity < 0 or there < quantity:
            self.fault(
                event,
                f"{quantity} units leave {source[1]} where {there} are",
                f"{source[1]} 仅有 {there} 件，却移出 {quantity} 件",
            )
            return
        self.places[source] = there - quantity
        self.places[target] = self.places.get(target, 0) + quantity

    def held(self) -> list[list[Any]]:
        """[holder, shelf, units] of every place that is not empty, sorted."""
        return [[*place, units] for place, units in sorted(self.places.items()) if units]


def tell(events: Iterable[Event]) -> Story:
    """Replay the entries about one lot, in log order.

    Raises:
        KeyError, TypeError, ValueError: an entry of another shape; the caller calls it malformed.
    """
    story = Story()
    for event in events:
        step = _STEPS.get(event.type)
        if step is None:
            continue
        if event.body is None:
            story.closed.append(event.id)
            continue
        step(story, event, event.body)
    return story


def _opened(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    if story.quantity:
        story.fault(event, "the lot is opened twice", "批次开立两次")
        return
    story.giver, story.receiver = str(body["giver"]), str(body["receiver"])
    story.quantity = int(body["quantity"])
    story.places[(story.giver, "stock")] = story.quantity


def _packed(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    holder, quantity = str(body["holder"]), int(body["quantity"])
    if sum(int(row[2]) for row in body["packages"]) != quantity:
        story.fault(event, "the packages hold another number", "各箱数量与合计不符")
    story.move(event, (holder, str(body["shelf"])), (holder, "packed"), quantity)


def _unpacked(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    holder = str(body["holder"])
    story.move(event, (holder, "packed"), (holder, "stock"), int(body["quantity"]))


def _handed(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    giver, quantity = str(body["from"]), int(body["quantity"])
    if str(body["handover"]) in story.handovers:
        story.fault(event, "a hand-over is offered twice", "同一移交提出两次")
    row = Handover(giver=giver, receiver=str(body["to"]), quantity=quantity)
    story.handovers[str(body["handover"])] = row
    if row.receiver == giver:
        story.fault(event, "handed over to oneself", "移交给自己")
    if story.recalls and row.receiver != story.giver:
        story.fault(event, "a recalled lot is handed on", "召回期间仍向他人移交", kind=RECALL)
    story.move(event, (giver, "packed"), (giver, "transit"), quantity)


def _ended(story: Story, event: Event, body: Mapping[str, Any]) -> Handover | None:
    row = story.handovers.get(str(body["handover"]))
    if row is None or not row.open:
        story.fault(event, "answers a hand-over that is not open", "所答复的移交并不存在或已了结")
        return None
    row.open = False
    return row


def _received(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    row = _ended(story, event, body)
    if row is None:
        return
    if (str(body["from"]), str(body["to"])) != (row.giver, row.receiver):
        story.fault(event, "received between others than it was offered", "移交双方前后不一")
    accepted, quarantined, rejected, missing = (int(body[name]) for name in COUNTED)
    if accepted + quarantined + rejected + missing != row.quantity:
        story.fault(event, "the counts are not what was handed over", "清点合计与移交数量不符")
    if story.recalls and accepted and row.receiver == story.receiver:
        story.fault(event, "a recalled lot is accepted", "召回期间仍予验收", kind=RECALL)
    way = (row.giver, "transit")
    shelf = "stock" if row.receiver == story.receiver else "packed"
    story.move(event, way, (row.receiver, shelf), accepted)
    story.move(event, way, (row.receiver, "quarantine"), quarantined)
    story.move(event, way, (row.giver, "rejected"), rejected)
    story.move(event, way, (row.giver, "disputed"), missing)


def _sent_back(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    row = _ended(story, event, body)
    if row is None:
        return
    if int(body["quantity"]) != row.quantity:
        story.fault(event, "another number comes back", "退回数量不符")
    story.move(event, (row.giver, "transit"), (row.giver, "packed"), row.quantity)


def _released(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    holder = str(body["holder"])
    accepted = body["outcome"] == "accepted"
    if accepted and story.recalls:
        story.fault(event, "a recalled lot is released", "召回期间仍解除隔离", kind=RECALL)
    shelf = "stock" if accepted else "rejected"
    story.move(event, (holder, "quarantine"), (holder, shelf), int(body["quantity"]))


def _used(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    if story.recalls:
        story.fault(event, "a recalled lot is used", "召回期间仍被使用", kind=RECALL)
    holder = story.receiver
    story.move(event, (holder, "stock"), (holder, "used"), int(body["quantity"]))


def _disputed(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    holder, quantity = str(body["holder"]), int(body["quantity"])
    story.discrepancies[str(body["discrepancy"])] = (holder, quantity)
    if body["handover"] is None:
        story.move(event, (holder, "stock"), (holder, "disputed"), quantity)


def _settled(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    holder, quantity = story.discrepancies.pop(str(body["discrepancy"]), ("", 0))
    if quantity != int(body["quantity"]):
        story.fault(
            event, "settles a discrepancy that is not open", "所了结的差异并不存在或数量不符"
        )
        return
    shelf = "stock" if body["outcome"] == "found" else "lost"
    story.move(event, (holder, "disputed"), (holder, shelf), quantity)


def _recalled(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    del event
    story.recalls.add(str(body["recall"]))


def _recall_over(story: Story, event: Event, body: Mapping[str, Any]) -> None:
    if str(body["recall"]) not in story.recalls:
        story.fault(event, "ends a recall that is not open", "所结束的召回并不存在", kind=RECALL)
    story.recalls.discard(str(body["recall"]))


_STEPS: Final = {
    "lot.opened": _opened,
    "lot.packed": _packed,
    "lot.unpacked": _unpacked,
    "lot.handed": _handed,
    "lot.received": _received,
    "lot.rejected": _sent_back,
    "lot.retracted": _sent_back,
    "lot.released": _released,
    "lot.used": _used,
    "discrepancy.opened": _disputed,
    "discrepancy.settled": _settled,
    "recall.opened": _recalled,
    "recall.closed": _recall_over,
}
