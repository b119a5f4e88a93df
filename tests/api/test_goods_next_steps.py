"""After the round: each side sees its line, its reason and its next step; a factory's days become orders."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from api.callers import OPERATOR
from api.flows import rounds, supply
from api.routes import supply_pages
from api.testing_goods import PLACE, Goods, make_goods
from ledger.core.ids import new_id
from ledger.queries import supply as queries
from ledger.store import transaction
from ledger.tables.supply import HospitalRow, NeedRow

DAYS = 3
DAILY = 100


@pytest.fixture(scope="module")
def goods(world: Any) -> Goods:
    return make_goods(world.app.state.shell.ports, at=world.clock.at, name="next", signed=False)


@pytest.fixture(scope="module")
def hospital(goods: Goods) -> HospitalRow:
    with transaction(goods.ports.readers) as session:
        (found,) = queries.hospitals_page(
            session, organisation_id=goods.nurse.organisation, limit=1
        )
        return found


def post_need(goods: Goods, hospital: HospitalRow, item: str, quantity: int) -> str:
    need = supply.NewNeed(
        id=new_id("need", at=goods.at),
        hospital_id=hospital.id,
        item=item,
        specification="",
        quantity=quantity,
        tier=0,
        deadline_on=goods.at.date() + timedelta(days=20),
        remaining_days_min=0,
    )
    with transaction(goods.ports.sessions) as session:
        supply.post_need(session, goods.ports, goods.nurse.caller, need, at=goods.at)
    return need.id


@pytest.fixture(scope="module")
def lines(goods: Goods, hospital: HospitalRow) -> list[Any]:
    """Three free days of a factory, of which the hospital gets two and a half."""
    post_need(goods, hospital, "医用外科口罩", 250)
    ports, at = goods.ports, goods.at
    offer = supply.NewOffer(
        id=new_id("offer", at=at),
        kind="capacity",
        item="mask_surgical",
        quantity=DAILY,
        windows=DAYS,
        place=PLACE,
        available_on=at.date(),
        standard="YY 0469",
        edition="2011",
        certificate=2,
    )
    with transaction(ports.sessions) as session:
        supply.post_offer(session, ports, goods.donor.caller, offer, at=at)
    made = new_id("rnd", at=at)
    rounds.open_round(ports, OPERATOR, round_id=made, at=at)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=made, at=at)
    with transaction(ports.readers) as session:
        found = queries.allocations_page(session, offer_id=offer.id)
        return sorted((row[0] for row in found), key=lambda one: one.window)


def page(world: Any, who: str, path: str) -> str:
    answer = world.client(who).get(path)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def accept(goods: Goods, line: str) -> None:
    with transaction(goods.ports.sessions) as session:
        rounds.accept_allocation(
            session, goods.ports, goods.donor.caller, allocation_id=line, at=goods.at
        )


def test_a_factorys_free_days_become_orders(world: Any, goods: Goods, lines: list[Any]) -> None:
    assert [(one.window, one.quantity) for one in lines] == [(0, 100), (1, 100), (2, 50)]
    path = f"/rounds/{lines[0].round_id}"
    before = page(world, "next-donor", path)
    assert [f"第 {day} 天的产能" in before for day in (1, 2, 3, 4)] == [True, True, True, False]
    # Nothing to order from a line that the factory has not accepted.
    ask = f"/orders?allocation={lines[0].id}"
    assert world.client("next-hospital").get(ask).status_code == 404
    assert ask not in page(world, "next-hospital", path)
    accept(goods, lines[0].id)
    assert ask in page(world, "next-hospital", path)
    assert f"/goods/new/{lines[0].id}" in page(world, "next-donor", path)
    form = page(world, "next-hospital", ask)
    fields = re.search(r"data-act=\"order.request\" data-fields='([^']*)'", form)
    assert fields is not None
    for said in (lines[0].id, goods.donor.organisation, '"quantity": 100', '"manufacture"'):
        assert said in fields[1]
    # Neither the factory nor anybody else asks for the quote, and goods that exist are not ordered.
    assert world.client("next-donor").get(ask).status_code == 404
    assert world.client("next-carrier").get(ask).status_code == 404
    gift = f"/orders?allocation={goods.allocation_id}"
    assert world.client("next-hospital").get(gift).status_code == 404
    assert world.client("next-hospital").get("/orders?allocation=alloc_none").status_code == 404


def test_needs_are_shown_newest_first_with_what_they_got_and_paged(
    world: Any, goods: Goods, hospital: HospitalRow, lines: list[Any], monkeypatch: Any
) -> None:
    newest = [post_need(goods, hospital, "医用防护服", 10 + n) for n in range(3)]
    text = page(world, "next-hospital", "/supply")
    assert "已分配 250 / 250" in text
    assert f'href="/rounds/{lines[0].round_id}#lines"' in text
    shown = re.findall(r"/supply/needs/(need_\w+)/withdraw", text)
    assert shown == sorted(shown, reverse=True)
    assert set(newest) < set(shown)
    monkeypatch.setattr(supply_pages, "ROWS", 2)
    found, path = [], "/supply"
    for _ in range(len(shown)):
        text = page(world, "next-hospital", path)
        found += re.findall(r"/supply/needs/(need_\w+)/withdraw", text)
        more = re.search(r'href="([^"]*needs_before=need_\w+)#needs"', text)
        if more is None:
            break
        path = more[1]
    assert found == shown
    with transaction(goods.ports.readers) as session:
        assert len(found) == session.query(NeedRow).filter_by(hospital_id=hospital.id).count()


def test_the_donor_goes_from_the_offer_to_where_each_unit_is(world: Any, goods: Goods) -> None:
    way = f"/goods/offers/{goods.offer_id}"
    assert way in page(world, "next-donor", "/supply")
    assert "20,000" in page(world, "next-donor", way)
    assert world.client("next-hospital").get(way).status_code == 404
