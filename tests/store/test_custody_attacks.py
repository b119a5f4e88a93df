"""What somebody might try with goods, on both databases: two at once, twice, too late, too much, not theirs."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from api.compose import open_ports
from api.flows import custody
from api.flows.custody_acts import ACTS
from api.settings import Settings
from api.testing_goods import CHECKS, Goods, Hand, act, make_goods, places
from ledger.core.errors import ConflictError, FuqiError, InputError, LimitError, NotFoundError
from ledger.core.ids import new_id
from ledger.queries import custody as queries
from ledger.store import transaction
from ledger.tables.custody import LotRow, RecallRow
from ledger.tables.log import EntryRow
from ledger.tables.supply import OfferRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
TURNS = 60
HEAD_START = 0.7
"""Seconds in which a recall that waits for nobody would be done."""
AGAIN = ("database.busy", "concurrent_write")


BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH, scope="module")
def goods(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Goods]:
    """One world for all of them: a lot of its own for each test, and no recall is left open."""
    home, server, name = tmp_path_factory.mktemp("attacked"), None, ""
    url = f"sqlite:///{home / 'fuqi.sqlite3'}"
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "fuqi.sqlite3")
    else:
        server = request.getfixturevalue("postgres_databases")
        name = server.create(template=server.migrated())
        url = server.url_of(name)
    settings = Settings(home=home, database_url=SecretStr(url), demo=True)
    ports = open_ports(settings, at=AT)
    yield make_goods(ports, at=AT, quantity=100_000, signed=False)
    ports.engine.dispose()
    if server is not None:
        server.drop(name)


def opened(goods: Goods, quantity: int = 400, **changes: Any) -> str:
    lot = new_id("lot", at=AT)
    act(goods.ports, goods.donor, "lot.open", goods.lot_fields(lot, quantity, **changes), at=AT)
    return lot


def packed(goods: Goods, lot: str, quantity: int = 400) -> str:
    box = new_id("pkg", at=AT)
    fields = {"lot_id": lot, "packages": [{"id": box, "quantity": quantity}]}
    act(goods.ports, goods.donor, "lot.pack", fields, at=AT)
    return box


def handing(lot: str, box: str, target: Hand) -> dict[str, Any]:
    return {
        "handover_id": new_id("hov", at=AT),
        "lot_id": lot,
        "to_organisation": target.organisation,
        "package_ids": [box],
    }


def on_the_way(goods: Goods, lot: str, box: str, *, at: datetime = AT) -> str:
    """Offered to the hospital, by the donor itself."""
    fields = handing(lot, box, goods.nurse)
    act(goods.ports, goods.donor, "lot.hand", fields, at=at)
    return str(fields["handover_id"])


def counted(handover: str, **counts: int) -> dict[str, Any]:
    return {"handover_id": handover, "accepted": 0, "checks": CHECKS, **counts}


def code_of(call: Callable[[], object]) -> str:
    """The code it was refused with; a lost race is tried again, as a page does."""
    for _ in range(TURNS):
        try:
            call()
        except FuqiError as exc:
            if exc.error_code not in AGAIN:
                return exc.error_code
        else:
            return "done"
    return "gave up"


def at_once(calls: Sequence[Callable[[], object]]) -> Counter[str]:
    """All of them together, each from a thread of its own."""
    start, said = threading.Barrier(len(calls)), []

    def run(call: Callable[[], object]) -> None:
        start.wait()
        said.append(code_of(call))

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return Counter(said)


def stated(goods: Goods, hand: Hand, name: str, fields: dict[str, Any]) -> partial[object]:
    """The statement is made and signed; calling carries it out. Its arguments: statement id and proof."""
    with transaction(goods.ports.sessions) as session:
        made = custody.make_statement(
            session,
            goods.ports,
            hand.caller,
            statement_id=new_id("cst", at=AT),
            act=name,
            fields=fields,
            at=AT,
        )
        statement, message = made.id, custody.message_of(made.statement)
    proof = hand.key.sign(message)

    def sign(statement_id: str, proof: bytes) -> object:
        with transaction(goods.ports.sessions) as session:
            return custody.complete_statement(
                session, goods.ports, hand.caller, statement_id=statement_id, proof=proof, at=AT
            )

    return partial(sign, statement, proof)


def entries(goods: Goods, lot: str, *kinds: str) -> int:
    with transaction(goods.ports.readers) as session:
        query = select(func.count(EntryRow.id)).where(
            EntryRow.type.in_(kinds), EntryRow.subject == lot
        )
        return int(session.scalar(query) or 0)


def test_a_delivery_is_accepted_once_whoever_signs_at_once(goods: Goods) -> None:
    lot = opened(goods)
    handover = on_the_way(goods, lot, packed(goods, lot))
    fields = counted(handover, accepted=400)
    act(goods.ports, goods.nurse, "lot.inspect", fields, at=AT)
    twice = [stated(goods, goods.doctor, "lot.accept", fields) for _ in range(2)]
    back = {"handover_id": handover, "reason": "改道（虚构）"}
    said = at_once([*twice, stated(goods, goods.donor, "lot.take_back", back)])
    assert said == {"done": 1, "custody.handover_closed": 2}
    assert entries(goods, lot, "lot.received", "lot.retracted") == 1
    (place,) = places(goods.ports, lot).items()
    hospital, donor = goods.nurse.organisation, goods.donor.organisation
    assert place in (((hospital, "stock"), 400), ((donor, "packed"), 400))


def test_one_signature_sent_many_times_at_once_is_one_act(goods: Goods) -> None:
    lot = opened(goods)
    pack = {"lot_id": lot, "packages": [{"id": new_id("pkg", at=AT), "quantity": 100}]}
    sign = stated(goods, goods.donor, "lot.pack", pack)
    assert at_once([sign] * 4) == {"done": 4}
    assert places(goods.ports, lot) == {
        (goods.donor.organisation, "stock"): 300,
        (goods.donor.organisation, "packed"): 100,
    }
    assert entries(goods, lot, "lot.packed") == 1


def test_a_box_goes_to_one_of_two_carriers(goods: Goods) -> None:
    lot = opened(goods)
    box = packed(goods, lot)
    ways = [
        stated(goods, goods.donor, "lot.hand", handing(lot, box, goods.carrier)),
        stated(goods, goods.donor, "lot.hand", handing(lot, box, goods.nurse)),
        stated(goods, goods.donor, "lot.unpack", {"package_id": box}),
    ]
    assert at_once(ways) == {"done": 1, "custody.package_state": 2}
    assert sum(places(goods.ports, lot).values()) == 400


def test_no_lot_escapes_a_recall_that_is_opened_at_the_same_moment(goods: Goods) -> None:
    first, recall, lot = opened(goods, 100), new_id("rcl", at=AT), new_id("lot", at=AT)
    call_back = {"recall_id": recall, "lot_id": first, "reason": "密合性不合格（虚构）"}
    calling = stated(goods, goods.nurse, "recall.open", call_back)
    opening = stated(goods, goods.donor, "lot.open", goods.lot_fields(lot, 10))
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(code_of(calling)))
    # The lot is open, and not committed yet, while the recall looks for lots of the batch.
    with transaction(goods.ports.sessions) as session:
        statement_id, proof = opening.args
        custody.complete_statement(
            session,
            goods.ports,
            goods.donor.caller,
            statement_id=statement_id,
            proof=proof,
            at=AT,
        )
        thread.start()
        thread.join(HEAD_START)
        assert said == []
    thread.join()
    assert said == ["done"]
    with transaction(goods.ports.readers) as session:
        assert session.get_one(LotRow, lot).recall_id == recall
    # The other way round: the lot is refused.
    late = goods.lot_fields(new_id("lot", at=AT), 10)
    assert code_of(lambda: act(goods.ports, goods.donor, "lot.open", late, at=AT)) == (
        "custody.recalled"
    )
    end = {"recall_id": recall, "reason": "复检合格（虚构）"}
    act(goods.ports, goods.nurse, "recall.close", end, at=AT)


def test_two_who_recall_a_batch_at_once_make_one_recall(goods: Goods) -> None:
    lot = opened(goods)
    calls = [
        stated(
            goods,
            hand,
            "recall.open",
            {"recall_id": new_id("rcl", at=AT), "lot_id": lot, "reason": "虚构"},
        )
        for hand in (goods.donor, goods.nurse, goods.doctor)
    ]
    assert at_once(calls) == {"done": 1, "custody.recall_exists": 2}
    with transaction(goods.ports.readers) as session:
        (recall,) = session.scalars(select(RecallRow).where(RecallRow.state == "open"))
        caller = goods.donor if recall.opened_by == goods.donor.organisation else goods.nurse
    end = {"recall_id": recall.id, "reason": "复检合格（虚构）"}
    act(goods.ports, caller, "recall.close", end, at=AT)


def test_goods_recalled_on_the_way_are_set_apart_at_the_door_and_never_used(goods: Goods) -> None:
    lot = opened(goods)
    handover = on_the_way(goods, lot, packed(goods, lot))
    fields = counted(handover, accepted=400)
    act(goods.ports, goods.nurse, "lot.inspect", fields, at=AT)
    recall = {"recall_id": new_id("rcl", at=AT), "lot_id": lot, "reason": "密合性不合格（虚构）"}
    act(goods.ports, goods.donor, "recall.open", recall, at=AT)
    # Counted before, recalled between the two signatures.
    with pytest.raises(ConflictError) as fault:
        act(goods.ports, goods.doctor, "lot.accept", fields, at=AT)
    assert fault.value.error_code == "custody.recalled"
    apart = counted(handover, quarantined=300, rejected=100)
    act(goods.ports, goods.nurse, "lot.inspect", apart, at=AT)
    act(goods.ports, goods.doctor, "lot.accept", apart, at=AT)
    let = {"lot_id": lot, "quantity": 1, "outcome": "accepted", "reason": "虚构"}
    with pytest.raises(ConflictError) as fault:
        act(goods.ports, goods.nurse, "lot.release", let, at=AT)
    assert fault.value.error_code == "custody.recalled"
    assert places(goods.ports, lot) == {
        (goods.nurse.organisation, "quarantine"): 300,
        (goods.donor.organisation, "rejected"): 100,
    }
    end = {"recall_id": recall["recall_id"], "reason": "复检合格（虚构）"}
    act(goods.ports, goods.donor, "recall.close", end, at=AT)


def test_expired_goods_are_not_sent_not_accepted_and_not_used(goods: Goods) -> None:
    eve, day = AT + timedelta(days=1), AT + timedelta(days=2)
    changes = expiring_soon(goods, day.date())
    kept, sent = opened(goods, 100, **changes), opened(goods, 400, **changes)
    expiring_soon(goods, goods.expires_on)
    waiting = packed(goods, kept, 100)
    handover = on_the_way(goods, sent, packed(goods, sent), at=eve)
    fields = counted(handover, accepted=400)
    act(goods.ports, goods.nurse, "lot.inspect", fields, at=eve)
    for hand, name, tried in (
        (goods.doctor, "lot.accept", fields),
        (goods.doctor, "lot.inspect", fields),
        (goods.donor, "lot.hand", handing(kept, waiting, goods.carrier)),
    ):
        with pytest.raises(ConflictError) as fault:
            act(goods.ports, hand, name, tried, at=day)
        assert fault.value.error_code == "custody.expired"
    apart = counted(handover, quarantined=250, rejected=150)
    act(goods.ports, goods.nurse, "lot.inspect", apart, at=day)
    act(goods.ports, goods.doctor, "lot.accept", apart, at=day)
    let = {"lot_id": sent, "quantity": 250, "outcome": "accepted", "reason": "虚构"}
    with pytest.raises(ConflictError) as fault:
        act(goods.ports, goods.nurse, "lot.release", let, at=day)
    assert fault.value.error_code == "custody.expired"
    act(goods.ports, goods.nurse, "lot.release", {**let, "outcome": "rejected"}, at=day)
    # Rejected ones go back, expired or not.
    box = new_id("pkg", at=AT)
    back = {"lot_id": sent, "shelf": "rejected", "packages": [{"id": box, "quantity": 250}]}
    act(goods.ports, goods.nurse, "lot.pack", back, at=day)
    act(goods.ports, goods.nurse, "lot.hand", handing(sent, box, goods.donor), at=day)


def expiring_soon(goods: Goods, day: date) -> dict[str, Any]:
    """Fields of lots that expire on this day, as the offer is made to say now."""
    with transaction(goods.ports.sessions) as session:
        session.get_one(OfferRow, goods.offer_id).expires_on = day
    soon = replace(goods, expires_on=day)
    fields = soon.lot_fields("", 1)
    return {name: fields[name] for name in ("expires_on", "udi")}


def test_an_outsider_finds_nothing_with_real_ids(goods: Goods) -> None:
    lot = opened(goods)
    box = packed(goods, lot)
    handover = on_the_way(goods, lot, box)
    recall = {"recall_id": new_id("rcl", at=AT), "lot_id": lot, "reason": "虚构"}
    change = {"change_id": new_id("puc", at=AT), "lot_id": lot, "purpose": "培训", "reason": "虚构"}
    act(goods.ports, goods.nurse, "purpose.ask", change, at=AT)
    counts = counted(handover, accepted=400)
    dispute = {"discrepancy_id": new_id("dsc", at=AT), "lot_id": lot, "kind": "damaged"}
    fields: dict[str, dict[str, Any]] = {
        "lot.open": goods.lot_fields(new_id("lot", at=AT), 1),
        "lot.pack": {"lot_id": lot, "packages": [{"id": new_id("pkg", at=AT), "quantity": 1}]},
        "lot.unpack": {"package_id": box},
        "lot.hand": handing(lot, box, goods.nurse),
        "lot.receive": {"handover_id": handover},
        "lot.refuse": {"handover_id": handover, "reason": "虚构"},
        "lot.take_back": {"handover_id": handover, "reason": "虚构"},
        "lot.inspect": counts,
        "lot.accept": counts,
        "lot.release": {"lot_id": lot, "quantity": 1, "outcome": "accepted", "reason": "虚构"},
        "lot.use": {"lot_id": lot, "quantity": 1, "ward": "虚构"},
        "discrepancy.open": {**dispute, "quantity": 1, "note": "虚构"},
        "recall.open": recall,
        "purpose.ask": {**change, "change_id": new_id("puc", at=AT)},
        "purpose.decide": {"change_id": change["change_id"], "consent": True},
        "fiscal.refer": {
            "lot_id": lot,
            "number": "12345678",
            "issued_on": AT.date().isoformat(),
            "issuer": "虚构慈善会",
        },
    }
    assert set(fields) >= {one for one in ACTS if one.startswith("lot.")}
    before = places(goods.ports, lot)
    for name, given in fields.items():
        with pytest.raises(NotFoundError) as fault:
            act(goods.ports, goods.carrier, name, given, at=AT)
        assert fault.value.error_code == "not_found", name
    assert places(goods.ports, lot) == before


@pytest.mark.parametrize("quantity", [401, 10**12])
def test_more_than_is_there_is_refused_at_every_place(goods: Goods, quantity: int) -> None:
    lot = opened(goods)
    box = {"id": new_id("pkg", at=AT), "quantity": quantity}
    dispute = {"discrepancy_id": new_id("dsc", at=AT), "lot_id": lot, "kind": "damaged"}
    for name, fields in (
        ("lot.pack", {"lot_id": lot, "packages": [box]}),
        ("discrepancy.open", {**dispute, "quantity": quantity, "note": "虚构"}),
    ):
        with pytest.raises(ConflictError) as fault:
            act(goods.ports, goods.donor, name, fields, at=AT)
        assert fault.value.error_code == "custody.not_enough", name
    over = goods.lot_fields(new_id("lot", at=AT), goods.quantity)
    with pytest.raises(ConflictError) as fault:
        act(goods.ports, goods.donor, "lot.open", over, at=AT)
    assert fault.value.error_code == "custody.more_than_allocated"
    assert places(goods.ports, lot) == {(goods.donor.organisation, "stock"): 400}


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantity", 0), ("quantity", -1), ("quantity", 1.5), ("quantity", 2**63), ("unit", "箱")],
)
def test_quantities_are_whole_pieces_and_other_fields_are_refused(
    goods: Goods, field: str, value: object
) -> None:
    fields = goods.lot_fields(new_id("lot", at=AT), 10) | {field: value}
    with pytest.raises(InputError) as fault:
        act(goods.ports, goods.donor, "lot.open", fields, at=AT)
    assert fault.value.error_code == "custody.fields"


def test_a_batch_never_has_more_lots_than_one_recall_reaches(
    goods: Goods, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction(goods.ports.readers) as session:
        lot = session.get_one(LotRow, opened(goods, 10))
        there = queries.count_lots_of_batch(
            session, queries.Batch(lot.batch_number, lot.item, lot.device)
        )
    monkeypatch.setattr(queries, "ROWS_MAX", there + 1)
    opened(goods, 10)
    with pytest.raises(LimitError) as fault:
        opened(goods, 10)
    assert fault.value.error_code == "custody.too_many_lots"
