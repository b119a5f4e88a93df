"""The living market: plan and certificate of an item class, kept optimal as needs and lots come and go.

Classes never compete for anything, so each lives for itself. Truth is in the tables of needs, offers and
allocations; triggers note in `live_change` what moved. `follow` takes the notes in: it reads the rows anew and
tells the round only what differs. A crash loses nothing: the stored state and the notes since give the same
needs and lots, and the state proves itself again when it is read.

A class whose lots have limits (packs, smallest lines, donors' limits, shared resources) is no pure flow: it is
solved from the tables each time, with its certified gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import structlog
from sqlalchemy.orm import Session

from api.flows.live_desk import Held, LiveDesk
from api.flows.round_inputs import collect, lanes_now, lots_left, needs_left
from api.ports import Ports
from ledger.core.errors import InputError
from ledger.queries import live as queries
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.live import LiveChangeRow, LiveClassRow
from matching.catalogue import Catalogue
from matching.incremental.events import (
    Event,
    LotArrived,
    LotChanged,
    LotWithdrawn,
    NeedArrived,
    NeedCancelled,
    NeedChanged,
)
from matching.incremental.live_round import LiveRound
from matching.incremental.state import pack_round, unpack_round
from matching.plan import Certificate, Plan
from matching.problem import Lot, Need, Policy, Problem
from matching.services import published_catalogue
from matching.shared_capacity import solve_limited

SAVE_EVERY: Final = 64
"""Versions between two stored states: packing costs as much as some ten events."""
CHANGES_MAX: Final = 300
"""More notes than this are slower than a cold solve of the class; an import makes thousands at once."""
LIMITED_SECONDS: Final = 10.0
"""Of a class with limits, which is solved anew for each question; then the best so far with its gap."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """A class as of this transaction; `settle` keeps it in memory after the commit.

    Attributes:
        live: None for a class with limits.
    """

    item_class: str
    version: int
    problem: Problem
    live: LiveRound | None

    def solution(self) -> tuple[Problem, Plan, Certificate]:
        """Problem, plan and certificate of this moment.

        Raises:
            LimitError: `matching.weights_overflow`, `matching.too_large`.
        """
        if self.live is not None:
            return self.live.solution()
        found = solve_limited(self.problem, seconds=LIMITED_SECONDS)
        return self.problem, found.plan, found.certificate


def items_of(item_class: str, *, catalogue: Catalogue) -> list[str]:
    """The items of a class."""
    return [one.id for one in catalogue.items.values() if one.item_class == item_class]


def follow(
    session: Session,
    desk: LiveDesk,
    item_class: str,
    *,
    day: date,
    at: datetime,
    policy: Policy | None = None,
) -> Standing:
    """Bring the class up to the tables, in the caller's transaction, which must hold `lock_market`.

    Args:
        day: eligibility is judged on it; another day than the stored one means a cold solve.

    Raises:
        LimitError: `matching.too_large`, `matching.weights_overflow`.
    """
    rule, catalogue = policy or Policy(), published_catalogue()
    items = items_of(item_class, catalogue=catalogue)
    held = desk.take(item_class)
    row = queries.live_class(session, item_class)
    if row is None or (row.day, row.policy_sha256) != (day, rule.digest().hex()):
        return _open(session, item_class, items, row, day=day, at=at, policy=rule)
    if row.state is None:
        return _limited(session, item_class, items, row, day=day, at=at, policy=rule)
    if held is None or not row.saved_version <= held.version <= row.version:
        held = _stored(row)
    if held is None or tuple(lanes_now(session, day=day)) != held.live.problem().lanes:
        return _open(session, item_class, items, row, day=day, at=at, policy=rule)
    changes = queries.changes_after(session, items, version=held.version, limit=CHANGES_MAX + 1)
    if len(changes) > CHANGES_MAX:
        return _open(session, item_class, items, row, day=day, at=at, policy=rule)
    events = _events(session, held.live.problem(), changes, catalogue=catalogue, day=day)
    if any(isinstance(one, LotArrived | LotChanged) and one.lot.limited for one in events):
        return _open(session, item_class, items, row, day=day, at=at, policy=rule)
    for event in events:
        held.live.apply(event)
    _mark(session, row, changes, at=at)
    if row.version - row.saved_version >= SAVE_EVERY:
        _save(session, items, row, held.live)
    return Standing(item_class, row.version, held.live.problem(), held.live)


def reopen(
    session: Session, item_class: str, *, day: date, at: datetime, policy: Policy | None = None
) -> Standing:
    """Throw the class away and solve it cold from the tables."""
    items = items_of(item_class, catalogue=published_catalogue())
    row = queries.live_class(session, item_class)
    return _open(session, item_class, items, row, day=day, at=at, policy=policy or Policy())


def settle(desk: LiveDesk, standing: Standing) -> None:
    """Keep what was decided on; only after its transaction has committed."""
    if standing.live is not None:
        desk.put(standing.item_class, Held(standing.version, standing.live))


def follow_all(ports: Ports, *, at: datetime) -> int:
    """Take waiting notes in, class by class, and drop those of classes that do not live.

    Returns how many classes moved. A class lives from its first urgent need on.
    """
    with transaction(ports.readers) as session:
        waiting = queries.waiting_items(session)
        days = {row.item_class: row.day for row in queries.live_classes(session)}
    if not waiting:
        return 0
    catalogue, moved = published_catalogue(), 0
    living = [name for name in days if waiting & set(items_of(name, catalogue=catalogue))]
    known = {item for name in days for item in items_of(name, catalogue=catalogue)}
    for name in living:
        with ports.live.lock:
            with transaction(ports.sessions) as session:
                queries.lock_market(session)
                standing = follow(session, ports.live, name, day=days[name], at=at)
            settle(ports.live, standing)
        moved += 1
    if waiting - known:
        with transaction(ports.sessions) as session:
            # Under the lock: a class that begins to live meanwhile reads the tables, not the notes.
            queries.lock_market(session)
            alive = {row.item_class for row in queries.live_classes(session)}
            alive_items = {i for name in alive for i in items_of(name, catalogue=catalogue)}
            queries.forget_changes(session, sorted(waiting - alive_items), version=None)
    return moved


# ---------------------------------------------------------------------- states
def _open(
    session: Session,
    item_class: str,
    items: Sequence[str],
    row: LiveClassRow | None,
    *,
    day: date,
    at: datetime,
    policy: Policy,
) -> Standing:
    """Solve the class cold and store it; the notes so far are in what the tables say."""
    seen = queries.waiting_numbers(session, items)
    problem = collect(session, f"live:{item_class}", day=day, policy=policy, items=items)
    live = None if problem.limited else LiveRound(problem)
    if row is None:
        row = LiveClassRow(item_class=item_class, version=0, saved_version=0)
        session.add(row)
    row.day, row.policy_sha256, row.changed_at = day, policy.digest().hex(), at
    row.version += 1
    queries.take_in(session, seen, version=row.version)
    _save(session, items, row, live)
    return Standing(item_class, row.version, problem, live)


def _limited(
    session: Session,
    item_class: str,
    items: Sequence[str],
    row: LiveClassRow,
    *,
    day: date,
    at: datetime,
    policy: Policy,
) -> Standing:
    """A class with limits; once the last of them is gone it lives like any other."""
    seen = queries.waiting_numbers(session, items)
    problem = collect(session, f"live:{item_class}", day=day, policy=policy, items=items)
    if not problem.limited:
        return _open(session, item_class, items, row, day=day, at=at, policy=policy)
    if seen:
        row.version += 1
        row.changed_at = at
        queries.take_in(session, seen, version=row.version)
        _save(session, items, row, None)
    return Standing(item_class, row.version, problem, None)


def _stored(row: LiveClassRow) -> Held | None:
    """The stored state, proven again; None where it is damaged, and the tables are solved cold."""
    assert row.state is not None
    try:
        return Held(row.saved_version, unpack_round(row.state))
    except InputError as exc:
        log.exception("live.state_damaged", item_class=row.item_class, code=exc.error_code)
        return None


def _mark(
    session: Session, row: LiveClassRow, changes: Sequence[LiveChangeRow], *, at: datetime
) -> None:
    waiting = [one.number for one in changes if one.version is None]
    if waiting:
        row.version += 1
        row.changed_at = at
        queries.take_in(session, waiting, version=row.version)


def _save(
    session: Session, items: Sequence[str], row: LiveClassRow, live: LiveRound | None
) -> None:
    row.state = None if live is None else pack_round(live)
    row.saved_version = row.version
    session.flush()
    queries.forget_changes(session, items, version=row.version)


# ---------------------------------------------------------------------- events
def _events(
    session: Session,
    problem: Problem,
    changes: Sequence[LiveChangeRow],
    *,
    catalogue: Catalogue,
    day: date,
) -> list[Event]:
    """What the round must be told, in the order of ids: goods that are gone first, then what is new."""
    need_ids = sorted({one.subject_id for one in changes if one.kind == "need"})
    offer_ids = sorted({one.subject_id for one in changes if one.kind == "offer"})
    needs, lots = _now(session, need_ids, offer_ids, catalogue=catalogue, day=day)
    offers = set(offer_ids)
    old_needs = {need.id: need for need in problem.needs if need.id in set(need_ids)}
    old_lots = {lot.id: lot for lot in problem.lots if lot.id.partition(".")[0] in offers}
    events: list[Event] = [LotWithdrawn(name) for name in sorted(old_lots.keys() - lots.keys())]
    events += [NeedCancelled(name) for name in sorted(old_needs.keys() - needs.keys())]
    for name in sorted(lots):
        if name not in old_lots:
            events.append(LotArrived(lots[name]))
        elif old_lots[name] != lots[name]:
            events.append(LotChanged(lots[name]))
    for name in sorted(needs):
        if name not in old_needs:
            events.append(NeedArrived(needs[name]))
        elif old_needs[name] != needs[name]:
            events.append(NeedChanged(needs[name]))
    return events


def _now(
    session: Session,
    need_ids: Sequence[str],
    offer_ids: Sequence[str],
    *,
    catalogue: Catalogue,
    day: date,
) -> tuple[dict[str, Need], dict[str, Lot]]:
    """These needs and the lots of these offers as a round of this day would take them."""
    open_needs = [
        (need, hospital)
        for need, hospital in supply_queries.needs_by_ids(session, need_ids)
        if need.state == "open" and need.posted_on <= day <= need.deadline_on
    ]
    offers = supply_queries.offers_by_ids(session, offer_ids)
    open_offers = [offers[name] for name in sorted(offers) if offers[name].state == "open"]
    needs = needs_left(session, open_needs)
    lots = lots_left(session, open_offers, catalogue=catalogue, day=day)
    return {need.id: need for need in needs}, {lot.id: lot for lot in lots}
