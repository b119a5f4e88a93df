"""A donor's account on both databases: every unit at one place, over rounds, urgent needs, lots and batches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update

from api.callers import OPERATOR, Caller
from api.compose import open_ports
from api.flows import rounds, supply
from api.flows.urgent import NewUrgentNeed, post_urgent_need
from api.settings import Settings
from api.testing import invented_hospital
from api.testing_goods import CHECKS, DEVICE, PLACE, REGISTRATION, Goods, Hand, act, make_goods
from api.views import donations as views
from ledger.core.errors import NotFoundError
from ledger.core.ids import new_id
from ledger.queries import custody as custody_queries
from ledger.queries import donations as queries
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from ledger.tables.supply import AllocationRow, HospitalRow, OfferRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
BATCHES = ("CAP-1", "CAP-2")


@pytest.fixture
def goods(database_url: str, tmp_path: Path) -> Iterator[Goods]:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), demo=True)
    ports = open_ports(settings, at=AT)
    yield make_goods(ports, at=AT, quantity=1_000, signed=False)
    ports.engine.dispose()


def need(hospital_id: str, quantity: int, **changes: Any) -> supply.NewNeed:
    fields = {
        "id": new_id("need", at=AT),
        "hospital_id": hospital_id,
        "item": "医用外科口罩",
        "specification": "",
        "quantity": quantity,
        "tier": 0,
        "deadline_on": AT.date() + timedelta(days=20),
        "remaining_days_min": 0,
    }
    return supply.NewNeed(**fields | changes)


class Market:
    """A second offer of the donor, a capacity of two days, and what rounds and an urgent need took of it."""

    def __init__(self, goods: Goods) -> None:
        self.goods, self.ports = goods, goods.ports
        with transaction(self.ports.sessions) as session:
            row = invented_hospital(goods.nurse.organisation, at=AT, name="虚构第二医院")
            session.add(row)
            session.flush()
            self.hospital_id = row.id
            offer = supply.NewOffer(
                id=new_id("offer", at=AT),
                kind="capacity",
                item="mask_surgical",
                quantity=300,
                windows=2,
                place=PLACE,
                available_on=AT.date(),
                standard="YY 0469",
                edition="2011",
                certificate=2,
            )
            supply.post_offer(session, self.ports, goods.donor.caller, offer, at=AT)
        self.offer_id = offer.id

    def round(self, quantity: int) -> list[AllocationRow]:
        """A need, a round; the lines it proposes of this offer."""
        with transaction(self.ports.sessions) as session:
            supply.post_need(
                session,
                self.ports,
                self.goods.nurse.caller,
                need(self.hospital_id, quantity),
                at=AT,
            )
        round_id = new_id("rnd", at=AT)
        rounds.open_round(self.ports, OPERATOR, round_id=round_id, at=AT)
        rounds.solve_and_close_round(self.ports, OPERATOR, round_id=round_id, at=AT)
        return self.lines(round_id)

    def urgent(self, quantity: int) -> list[AllocationRow]:
        soon = AT.date() + timedelta(days=2)
        wanted = NewUrgentNeed(need(self.hospital_id, quantity, deadline_on=soon), "虚构急需")
        row = post_urgent_need(self.ports, self.goods.nurse.caller, wanted, at=AT)
        return self.lines(row.round_id)

    def lines(self, round_id: str) -> list[AllocationRow]:
        with transaction(self.ports.readers) as session:
            found = supply_queries.allocations_page(session, round_id=round_id)
            return [row[0] for row in found if row[0].offer_id == self.offer_id]

    def accept(self, line: AllocationRow) -> None:
        with transaction(self.ports.sessions) as session:
            caller = self.goods.donor.caller
            rounds.accept_allocation(session, self.ports, caller, allocation_id=line.id, at=AT)

    def open(self, line: AllocationRow, quantity: int, batch: str) -> str:
        """A lot of an accepted line, under an agreement that is written down as formed."""
        digest, agreement_id = "00" * 32, new_id("agr", at=AT)
        with transaction(self.ports.sessions) as session:
            session.add(
                AgreementRow(
                    id=agreement_id,
                    title="虚构",
                    matter="donation",
                    origin="upload",
                    allocation_id=line.id,
                    owner_organisation_id=self.goods.donor.organisation,
                    state="formed",
                    original_sha256=digest,
                    document_sha256=digest,
                    current_sha256=digest,
                    pages=1,
                    expires_at=AT + timedelta(days=1),
                    created_at=AT,
                    formed_at=AT,
                )
            )
        lot, produced = new_id("lot", at=AT), date(2026, 11, 1)
        fields = {
            "lot_id": lot,
            "allocation_id": line.id,
            "agreement_id": agreement_id,
            "quantity": quantity,
            "batch_number": batch,
            "produced_on": produced.isoformat(),
            "expires_on": "2028-11-01",
            "udi": f"(01){DEVICE}(11)261101(17)281101(10){batch}",
            "registration": REGISTRATION,
            "purpose": "临床一线防护",
        }
        self.act(self.goods.donor, "lot.open", **fields)
        return lot

    def act(self, hand: Hand, name: str, **fields: Any) -> None:
        act(self.ports, hand, name, fields, at=AT)

    def pack(self, hand: Hand, lot: str, *sizes: int) -> list[str]:
        ids = [new_id("pkg", at=AT) for _ in sizes]
        boxes = [{"id": one, "quantity": size} for one, size in zip(ids, sizes, strict=True)]
        self.act(hand, "lot.pack", lot_id=lot, packages=boxes)
        return ids

    def hand(self, hand: Hand, target: Hand, lot: str, boxes: list[str]) -> str:
        made = new_id("hov", at=AT)
        self.act(
            hand,
            "lot.hand",
            handover_id=made,
            lot_id=lot,
            to_organisation=target.organisation,
            package_ids=boxes,
        )
        return made

    def arrive(self, lot: str, boxes: list[str], **counts: int) -> None:
        """The hospital takes boxes of the donor's in: two persons, these counts."""
        hov = self.hand(self.goods.donor, self.goods.nurse, lot, boxes)
        fields = {"handover_id": hov, "checks": CHECKS, **counts}
        self.act(self.goods.nurse, "lot.inspect", **fields)
        self.act(self.goods.doctor, "lot.accept", **fields)

    def way(self, caller: Caller | None = None) -> Any:
        with transaction(self.ports.readers) as session:
            return views.offer_way(session, caller or self.goods.donor.caller, self.offer_id)


def places(facts: Any) -> dict[str, int]:
    return {one.place: one.units for one in facts.places}


def test_every_unit_is_at_one_place_over_rounds_urgent_lots_and_batches(goods: Goods) -> None:
    market = Market(goods)
    assert places(market.way()) == {"free": 600}
    first = market.round(400)
    assert sum(one.quantity for one in first) == 400
    for one in first:
        market.accept(one)
    (pressing,) = market.urgent(50)
    market.accept(pressing)
    market.round(70)
    largest = max(first, key=lambda one: one.quantity)
    one, two = market.open(largest, 200, BATCHES[0]), market.open(pressing, 50, BATCHES[1])
    boxes = market.pack(goods.donor, one, 100, 40, 30)
    market.arrive(one, boxes[:1], accepted=80, quarantined=10, rejected=6, missing=4)
    market.hand(goods.donor, goods.carrier, one, boxes[1:2])
    market.act(goods.nurse, "lot.use", lot_id=one, quantity=30, ward="呼吸内科")
    market.act(
        goods.donor,
        "discrepancy.open",
        discrepancy_id=new_id("dsc", at=AT),
        lot_id=two,
        kind="damaged",
        quantity=5,
        note="虚构",
    )
    change = {"change_id": new_id("puc", at=AT)}
    market.act(goods.nurse, "purpose.ask", lot_id=two, purpose="门诊分诊", reason="虚构", **change)
    market.act(goods.donor, "purpose.decide", consent=True, **change)
    market.act(
        goods.donor,
        "recall.open",
        recall_id=new_id("rcl", at=AT),
        lot_id=one,
        reason="虚构召回",
    )
    way = market.way()
    assert places(way) == {
        "free": 600 - 400 - 50 - 70,
        "proposed": 70,
        "promised": 400 - 200,
        "with_donor": 30 + 45,
        "packed": 30,
        "on_the_way": 40,
        "accepted": 50,
        "quarantine": 10,
        "rejected": 6,
        "disputed": 4 + 5,
        "used": 30,
    }
    assert way.check.offered == way.check.counted == 600
    assert way.check.balanced
    assert set(way.check.faults) == set(queries.CHECKS)
    assert way.apart.model_dump() == {
        "recalled": 170,
        "recalled_gone": 30,
        "other_use": 50,
        "came_back": 0,
    }
    assert [one.units for one in way.hospitals] == [520]
    assert sorted(line.urgent for line in way.lines) == [False] * (len(way.lines) - 1) + [True]
    assert {one.batch_number: one.units for one in way.batches} == {BATCHES[0]: 200, BATCHES[1]: 50}
    with transaction(goods.ports.readers) as session:
        every = views.donations(session, goods.donor.caller, limit=1)
        assert every.check.offered == every.check.counted == 1_600
        assert every.check.balanced
        assert places(every)["promised"] == 200 + 1_000
        (shown,) = every.offers
        assert every.next == shown.offer_id
        rest = views.donations(session, goods.donor.caller, after=every.next, limit=1)
        assert (len(rest.offers), rest.next) == (1, None)
        other = views.donations(session, goods.nurse.caller, limit=1)
        assert (other.offers, other.check.offered) == ([], 0)


def test_what_comes_back_is_counted_and_a_book_that_does_not_add_up_is_said_so(
    goods: Goods,
) -> None:
    market = Market(goods)
    (line,) = market.round(60)
    market.accept(line)
    lot = market.open(line, 60, BATCHES[0])
    out = market.hand(goods.donor, goods.carrier, lot, market.pack(goods.donor, lot, 60))
    market.act(goods.carrier, "lot.receive", handover_id=out)
    assert places(market.way())["on_the_way"] == 60
    with transaction(goods.ports.readers) as session:
        boxes = [one.id for one in custody_queries.packages_of(session, lot)]
    back = market.hand(goods.carrier, goods.donor, lot, boxes)
    market.act(goods.donor, "lot.receive", handover_id=back)
    way = market.way()
    assert places(way) == {"free": 540, "packed": 60}
    assert way.apart.came_back == 60
    assert way.check.balanced
    with goods.ports.sessions() as session:
        # Behind the back of every rule: more is allocated than was ever offered.
        session.execute(update(AllocationRow).values(quantity=1_000))
        session.flush()
        wanted = queries.offers_wanted(ids=[market.offer_id])
        faults = queries.faults_of(session, wanted)
        session.rollback()
    assert faults["offers_hold_lines"] == 1
    with goods.ports.sessions() as session:
        session.execute(update(AllocationRow).values(quantity=1))
        session.flush()
        assert queries.faults_of(session, wanted)["lines_hold_lots"] == 1
        session.rollback()
    with goods.ports.sessions() as session:
        # The database itself refuses this; that guard has to be taken away first.
        guard = "ALTER TABLE lot DISABLE TRIGGER USER"
        if goods.ports.engine.dialect.name == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'lot'"
            for name in session.scalars(text(query)).all():
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            session.execute(text(guard))
        session.execute(text("UPDATE lot SET quantity = quantity + 1"))
        session.flush()
        faults = queries.faults_of(session, wanted)
        session.rollback()
    assert (faults["lots_add_up"], faults["lots_were_opened_once"]) == (1, 1)


def test_the_public_sees_accepted_lines_only_and_other_organisations_nothing(goods: Goods) -> None:
    market = Market(goods)
    (line,) = market.round(60)
    with transaction(goods.ports.readers) as session, pytest.raises(NotFoundError):
        views.public_way(session, market.offer_id)
    market.accept(line)
    market.round(70)
    with transaction(goods.ports.sessions) as session:
        row = session.get_one(OfferRow, market.offer_id)
        row.donor_kind, row.donor_name = "individual", "虚构人"
    with transaction(goods.ports.readers) as session:
        public = views.public_way(session, market.offer_id)
        name = session.get_one(HospitalRow, market.hospital_id).name
    assert places(public) == {"free": 540, "promised": 60}
    assert public.check.balanced
    assert (public.donor, public.donor_masked) != ("虚构人", True)
    assert public.donor_masked
    assert [one.hospital for one in public.hospitals] == [name]
    with pytest.raises(NotFoundError):
        market.way(goods.carrier.caller)
