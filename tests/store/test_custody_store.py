"""Goods on both databases: units are conserved at every step, whoever writes at once, and no back door."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError

from api.compose import open_ports
from api.settings import Settings
from api.testing_goods import CHECKS, Goods, act, make_goods, places
from ledger.core.errors import ConflictError, FuqiError, InputError, UnavailableError
from ledger.core.ids import new_id
from ledger.queries import custody as queries
from ledger.store import transaction
from ledger.tables.custody import LotMovementRow, LotPositionRow, LotRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
BOXES = 8
EACH = 50


@pytest.fixture
def goods(database_url: str, tmp_path: Path) -> Iterator[Goods]:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), demo=True)
    ports = open_ports(settings, at=AT)
    yield make_goods(ports, at=AT, quantity=1_000, signed=False)
    ports.engine.dispose()


def opened(goods: Goods, quantity: int = BOXES * EACH) -> str:
    lot = new_id("lot", at=AT)
    act(goods.ports, goods.donor, "lot.open", goods.lot_fields(lot, quantity), at=AT)
    return lot


def packed(goods: Goods, lot: str, sizes: list[int]) -> list[str]:
    ids = [new_id("pkg", at=AT) for _ in sizes]
    boxes = [{"id": one, "quantity": size} for one, size in zip(ids, sizes, strict=True)]
    act(goods.ports, goods.donor, "lot.pack", {"lot_id": lot, "packages": boxes}, at=AT)
    return ids


def handed(goods: Goods, hand, target, lot: str, boxes: list[str]) -> str:
    made = new_id("hov", at=AT)
    fields = {
        "handover_id": made,
        "lot_id": lot,
        "to_organisation": target.organisation,
        "package_ids": boxes,
    }
    act(goods.ports, hand, "lot.hand", fields, at=AT)
    return made


def replayed(goods: Goods, lot: str) -> dict[tuple[str, str], int]:
    """Where every unit is when the movements are added up one by one, without the database's triggers."""
    found: dict[tuple[str, str], int] = {}
    with transaction(goods.ports.readers) as session:
        for one in queries.movements_of(session, lot):
            if one.number > 1:
                found[one.from_holder, one.from_shelf] -= one.quantity
            key = one.to_holder, one.to_shelf
            found[key] = found.get(key, 0) + one.quantity
    return {key: units for key, units in found.items() if units}


def test_units_are_conserved_from_the_lot_to_the_ward(goods: Goods) -> None:
    lot = opened(goods)
    boxes = packed(goods, lot, [EACH] * BOXES)
    to_carrier = handed(goods, goods.donor, goods.carrier, lot, boxes)
    receive = {"handover_id": to_carrier, "missing_package_ids": boxes[:1]}
    act(goods.ports, goods.carrier, "lot.receive", receive, at=AT)
    to_hospital = handed(goods, goods.carrier, goods.nurse, lot, boxes[1:])
    counts = {
        "handover_id": to_hospital,
        "accepted": 300,
        "quarantined": 30,
        "rejected": 15,
        "missing": 5,
        "checks": CHECKS,
    }
    act(goods.ports, goods.nurse, "lot.inspect", counts, at=AT)
    act(goods.ports, goods.doctor, "lot.accept", counts, at=AT)
    use = {"lot_id": lot, "quantity": 120, "ward": "呼吸内科"}
    act(goods.ports, goods.nurse, "lot.use", use, at=AT)
    donor, carrier, hospital = (
        one.organisation for one in (goods.donor, goods.carrier, goods.nurse)
    )
    assert places(goods.ports, lot) == {
        (donor, "disputed"): 50,
        (carrier, "rejected"): 15,
        (carrier, "disputed"): 5,
        (hospital, "stock"): 180,
        (hospital, "quarantine"): 30,
        (hospital, "used"): 120,
    }
    assert places(goods.ports, lot) == replayed(goods, lot)
    assert sum(replayed(goods, lot).values()) == BOXES * EACH


BACK_DOORS = (
    "UPDATE lot_position SET quantity = quantity + 1",
    "UPDATE lot_position SET quantity = quantity - 1, last_number = last_number + 1",
    "UPDATE lot_position SET last_number = 0",
    "DELETE FROM lot_position",
    "UPDATE lot_movement SET quantity = 1",
    "DELETE FROM lot_movement",
    "UPDATE lot SET quantity = quantity + 1",
    "UPDATE lot SET batch_number = 'other'",
    "INSERT INTO lot_position SELECT lot_id, holder_id, 'used', 5, 0 FROM lot_position",
    (
        "INSERT INTO lot_movement SELECT lot_id, 2, from_holder, 'stock', from_holder, 'used', "
        "quantity + 1, entry_id, moved_at FROM lot_movement"
    ),
    (
        "INSERT INTO lot_movement SELECT lot_id, 3, from_holder, 'stock', from_holder, 'used', "
        "1, entry_id, moved_at FROM lot_movement"
    ),
    (
        "INSERT INTO lot_movement SELECT lot_id, 2, from_holder, 'minted', from_holder, 'stock', "
        "1, entry_id, moved_at FROM lot_movement"
    ),
    (
        "INSERT INTO lot_movement SELECT lot_id, 2, from_holder, 'stock', from_holder, 'used', "
        "-1, entry_id, moved_at FROM lot_movement"
    ),
)


def test_the_database_itself_refuses_what_would_make_or_lose_units(goods: Goods) -> None:
    lot = opened(goods)
    before = places(goods.ports, lot)
    for statement in BACK_DOORS:
        with pytest.raises(DBAPIError), goods.ports.sessions.begin() as session:
            session.execute(text(statement))
    assert places(goods.ports, lot) == before


def test_an_ordinary_movement_is_applied_by_the_database(goods: Goods) -> None:
    lot = opened(goods)
    with goods.ports.sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO lot_movement SELECT lot_id, 2, from_holder, 'stock', from_holder, "
                "'used', 7, entry_id, moved_at FROM lot_movement"
            )
        )
    donor = goods.donor.organisation
    assert places(goods.ports, lot) == {(donor, "stock"): 393, (donor, "used"): 7}


def test_many_who_use_the_same_units_at_once_use_each_unit_once(goods: Goods) -> None:
    lot = opened(goods)
    hospital = goods.nurse.organisation
    boxes = packed(goods, lot, [400])
    counts = {
        "handover_id": handed(goods, goods.donor, goods.nurse, lot, boxes),
        "accepted": 400,
        "checks": CHECKS,
    }
    act(goods.ports, goods.nurse, "lot.inspect", counts, at=AT)
    act(goods.ports, goods.doctor, "lot.accept", counts, at=AT)
    said: list[str] = []

    def use(n: int) -> None:
        fields = {"lot_id": lot, "quantity": 70, "ward": f"病区 {n}"}
        for _ in range(40):
            try:
                hand = goods.nurse if n % 2 else goods.doctor
                act(goods.ports, hand, "lot.use", fields, at=AT)
            except (UnavailableError, ConflictError) as exc:
                if exc.error_code in ("database.busy", "concurrent_write"):
                    continue
                said.append(exc.error_code)
            else:
                said.append("used")
            return
        said.append("gave up")

    threads = [threading.Thread(target=use, args=(n,)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    # 400 units are 5 times 70 and 50 that nobody can have.
    assert sorted(said) == ["custody.not_enough"] * 3 + ["used"] * 5
    assert places(goods.ports, lot) == {(hospital, "stock"): 50, (hospital, "used"): 350}
    assert places(goods.ports, lot) == replayed(goods, lot)


def test_two_lots_never_share_the_units_of_one_allocation(goods: Goods) -> None:
    said: list[str] = []

    def open_one(_: int) -> None:
        for _turn in range(40):
            try:
                opened(goods, 600)
            except FuqiError as exc:
                if exc.error_code in ("database.busy", "concurrent_write"):
                    continue
                said.append(exc.error_code)
            else:
                said.append("opened")
            return

    threads = [threading.Thread(target=open_one, args=(n,)) for n in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(said) == ["custody.more_than_allocated"] * 2 + ["opened"]
    with transaction(goods.ports.readers) as session:
        assert session.scalar(select(func.sum(LotRow.quantity))) == 600
        assert session.scalar(select(func.sum(LotPositionRow.quantity))) == 600
        assert session.scalar(select(func.count()).select_from(LotMovementRow)) == 1


def test_recall_finds_all_holders_of_a_batch_and_all_batches_of_a_holder(goods: Goods) -> None:
    first, second = opened(goods, 200), opened(goods, 100)
    boxes = packed(goods, first, [200])
    to_carrier = handed(goods, goods.donor, goods.carrier, first, boxes)
    act(goods.ports, goods.carrier, "lot.receive", {"handover_id": to_carrier}, at=AT)
    statements: list[str] = []
    with transaction(goods.ports.readers) as session:
        lot = session.get_one(LotRow, first)
        batch = queries.Batch(lot.batch_number, lot.item, lot.device)
        connection = session.connection()
        from_engine = connection.engine

        def listen(*given: object) -> None:
            statements.append(str(given[2]))

        event.listen(from_engine, "before_cursor_execute", listen)
        held = queries.holders_of_batch(session, batch)
        mine = queries.batches_of_holder(session, holder_id=goods.carrier.organisation)
        event.remove(from_engine, "before_cursor_execute", listen)
    assert {(one.lot.id, one.holder.id, one.shelf, one.quantity) for one in held} == {
        (first, goods.carrier.organisation, "packed", 200),
        (second, goods.donor.organisation, "stock", 100),
    }
    assert [(one.lot.batch_number, one.quantity) for one in mine] == [(goods.batch, 200)]
    assert len(statements) == 2


def test_a_recalled_batch_is_frozen_everywhere_until_the_recall_ends(goods: Goods) -> None:
    first, second = opened(goods, 200), opened(goods, 100)
    recall = new_id("rcl", at=AT)
    fields = {"recall_id": recall, "lot_id": first, "reason": "密合性不合格（虚构）"}
    act(goods.ports, goods.donor, "recall.open", fields, at=AT)
    boxes = packed(goods, second, [100])
    with pytest.raises(ConflictError) as fault:
        handed(goods, goods.donor, goods.carrier, second, boxes)
    assert fault.value.error_code == "custody.recalled"
    with pytest.raises(ConflictError):
        opened(goods, 10)
    close = {"recall_id": recall, "reason": "复检合格（虚构）"}
    act(goods.ports, goods.donor, "recall.close", close, at=AT + timedelta(days=1))
    handed(goods, goods.donor, goods.carrier, second, boxes)


def test_a_fiscal_receipt_of_today_in_china_is_not_of_the_future(goods: Goods) -> None:
    lot = opened(goods)
    # Seven in the morning of the next day in Beijing.
    evening = AT.replace(hour=23)
    next_day = evening.date() + timedelta(days=1)
    fields = {"lot_id": lot, "number": "A-1", "issuer": "某财政局"}
    today = {**fields, "issued_on": next_day.isoformat()}
    act(goods.ports, goods.nurse, "fiscal.refer", today, at=evening)
    tomorrow = {**fields, "issued_on": (next_day + timedelta(days=1)).isoformat()}
    with pytest.raises(InputError) as fault:
        act(goods.ports, goods.nurse, "fiscal.refer", tomorrow, at=evening)
    assert fault.value.error_code == "custody.fiscal_date"
