"""Random ways of goods, refusals at the door among them: the contract ends with the same units as our books."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from api.compose import open_ports
from api.settings import Settings
from api.testing_goods import CHECKS, Goods, Hand, act, make_goods, places
from api.worker import settle
from contracts import acts_abi
from ledger import supply_calls
from ledger.chain_key import OperatorKey
from ledger.core.errors import ConflictError
from ledger.core.ids import new_id
from ledger.embedded_chain import EmbeddedChain
from ledger.queries import acts as act_queries
from ledger.queries import custody as queries
from ledger.store import transaction
from ledger.tables.acts import ChainContractRow
from ledger.tables.custody import LotRow
from ledger.tables.log import EntryRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
LOTS = 2
STEPS = 12
BOX = 20


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Goods]:
    home = tmp_path_factory.mktemp("mirror")
    ports = open_ports(Settings(home=home, demo=True), at=AT)
    yield make_goods(ports, at=AT, quantity=5_000, signed=False, name="mirror")
    ports.engine.dispose()


class Walk:
    """One lot that is handed about, accepted in part, refused, put aside, used and lost by dice."""

    def __init__(self, goods: Goods, dice: random.Random) -> None:
        self.goods, self.dice, self.lot = goods, dice, new_id("lot", at=AT)
        fields = goods.lot_fields(self.lot, 100)
        act(goods.ports, goods.donor, "lot.open", fields, at=AT)

    @property
    def hands(self) -> tuple[Hand, Hand, Hand]:
        return self.goods.donor, self.goods.carrier, self.goods.nurse

    def act(self, hand: Hand, name: str, **fields: Any) -> None:
        act(self.goods.ports, hand, name, fields, at=AT)

    def step(self) -> None:
        """Whatever somebody who holds something can do next; nothing when all of it is gone."""
        held = places(self.goods.ports, self.lot)
        idle = ("used", "lost", "disputed", "transit")
        able = {holder for holder, shelf in held if shelf not in idle}
        if not able:
            return
        hand = self.dice.choice([one for one in self.hands if one.organisation in able])
        stock = held.get((hand.organisation, "stock"), 0)
        refused = held.get((hand.organisation, "rejected"), 0)
        if stock and hand is self.goods.nurse and self.dice.random() < 0.6:
            units = self.dice.randint(1, min(stock, BOX))
            self.act(hand, "lot.use", lot_id=self.lot, quantity=units, ward="呼吸内科")
        elif stock and self.dice.random() < 0.2:
            self.lose(hand, self.dice.randint(1, min(stock, BOX)))
        elif stock or refused:
            self.pack(hand, "stock" if stock else "rejected", stock or refused)
        if held.get((hand.organisation, "quarantine"), 0):
            units = held[(hand.organisation, "quarantine")]
            outcome = self.dice.choice(["accepted", "rejected"])
            self.act(
                hand, "lot.release", lot_id=self.lot, quantity=units, outcome=outcome, reason="看过"
            )
        self.hand_on(hand)

    def lose(self, hand: Hand, units: int) -> None:
        made = new_id("dsc", at=AT)
        named = {"discrepancy_id": made}
        self.act(
            hand, "discrepancy.open", lot_id=self.lot, kind="damaged", quantity=units, note="破损",
            **named,
        )  # fmt: skip
        outcome = self.dice.choice(["found", "lost"])
        self.act(hand, "discrepancy.settle", outcome=outcome, note="查过", **named)

    def pack(self, hand: Hand, shelf: str, units: int) -> None:
        sizes = [min(BOX, units - start) for start in range(0, units, BOX)]
        boxes = [{"id": new_id("pkg", at=AT), "quantity": one} for one in sizes]
        self.act(hand, "lot.pack", lot_id=self.lot, packages=boxes, shelf=shelf)

    def hand_on(self, hand: Hand) -> None:
        with transaction(self.goods.ports.readers) as session:
            boxes = [
                one.id
                for one in queries.packages_of(session, self.lot)
                if one.state == "packed" and one.holder_id == hand.organisation
            ]
        if not boxes:
            return
        target = self.dice.choice([one for one in self.hands if one is not hand])
        made = new_id("hov", at=AT)
        self.act(
            hand,
            "lot.hand",
            handover_id=made,
            lot_id=self.lot,
            to_organisation=target.organisation,
            package_ids=boxes,
        )
        answer = self.dice.choice(["refuse", "take_back", "receive", "receive"])
        if answer == "refuse":
            self.act(target, "lot.refuse", handover_id=made, reason="外箱破损")
        elif answer == "take_back":
            self.act(hand, "lot.take_back", handover_id=made, reason="装错车")
        elif target is self.goods.nurse:
            self.accept(made)
        else:
            missing = [one for one in boxes if self.dice.random() < 0.2]
            self.act(target, "lot.receive", handover_id=made, missing_package_ids=missing)

    def accept(self, handover: str) -> None:
        with transaction(self.goods.ports.readers) as session:
            (total,) = [
                one.quantity
                for one in queries.handovers_of(session, self.lot)
                if one.id == handover
            ]
        cuts = sorted(self.dice.randint(0, total) for _ in range(3))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
        names = ("accepted", "quarantined", "rejected", "missing")
        counts = {"handover_id": handover, "checks": CHECKS, **dict(zip(names, parts, strict=True))}
        self.act(self.goods.nurse, "lot.inspect", **counts)
        self.act(self.goods.doctor, "lot.accept", **counts)


def books(goods: Goods, lot: str) -> tuple[Counter[str], int]:
    """(holder -> units that still exist, units used or lost) as SQL has them."""
    held: Counter[str] = Counter()
    gone = 0
    for (holder, shelf), units in places(goods.ports, lot).items():
        if shelf in ("used", "lost"):
            gone += units
        else:
            held[holder] += units
    return held, gone


def contract(
    goods: Goods, chain: EmbeddedChain, lot: str
) -> tuple[Counter[str], tuple[int, int], int]:
    """(holder -> units, (minted, ended), units that wait for an answer) as the contract has them."""
    with transaction(goods.ports.readers) as session:
        (row,) = session.scalars(
            select(ChainContractRow).where(ChainContractRow.name == "SupplyLots")
        )
        opening = session.get_one(EntryRow, session.get_one(LotRow, lot).entry_id)
    target = bytes.fromhex(row.address[2:])
    signer = OperatorKey.load(goods.ports.settings.home / "keys" / "acts.key")
    tag = supply_calls.holder_tag(lot=lot, organisation=goods.donor.organisation)
    on_chain = supply_calls.chain_lot({"issuer": tag, "doc_ref": opening.leaf}, signer=signer)
    answer = chain.ask(target, acts_abi.encode_call("lotAt", on_chain))
    held: Counter[str] = Counter()
    incoming = 0
    for hand in (goods.donor, goods.carrier, goods.nurse):
        tag = supply_calls.holder_tag(lot=lot, organisation=hand.organisation)
        address = supply_calls.holder_key(tag, signer=signer).address
        asked = chain.ask(target, acts_abi.encode_call("positionOf", on_chain, address))
        position = acts_abi.decode_position(asked.data)
        held[hand.organisation] = position.quantity
        incoming += position.incoming
    return +held, acts_abi.decode_lot(answer.data), incoming


def test_the_contract_ends_with_the_units_of_the_books_whatever_way_they_went(
    goods: Goods,
) -> None:
    dice = random.Random(20_261_123)
    walks = [Walk(goods, dice) for _ in range(LOTS)]
    for walk in walks:
        for _ in range(STEPS):
            walk.step()
    calls: Counter[str] = Counter()
    chain = EmbeddedChain(goods.ports.settings.home / "chain", clock=AT.timestamp)
    settle(goods.ports, chain, clock=lambda: AT)
    for walk in walks:
        with transaction(goods.ports.readers) as session:
            acts = act_queries.acts_of(session, walk.lot, limit=500)
        assert {(one.state, one.reason) for one in acts} == {("final", None)}
        calls.update(one.call for one in acts)
        held, gone = books(goods, walk.lot)
        assert held.total() + gone == 100
        assert contract(goods, chain, walk.lot) == (held, (100, gone), 0)
    # The dice went every way there is, so that the equality above says something about each.
    assert set(calls) == {"mint", "move", "accept", "reject", "consume"}
    assert calls["move"] == calls["accept"] + calls["reject"]
    chain.close()


def test_what_a_hospital_refuses_stands_on_the_chain_as_refused(goods: Goods) -> None:
    walk = Walk(goods, random.Random(1))
    donor, _, nurse = walk.hands
    walk.pack(donor, "stock", 100)
    with transaction(goods.ports.readers) as session:
        boxes = [one.id for one in queries.packages_of(session, walk.lot)]
    made = new_id("hov", at=AT)
    way = {"lot_id": walk.lot, "to_organisation": nurse.organisation, "package_ids": boxes}
    walk.act(donor, "lot.hand", handover_id=made, **way)
    counts = {"handover_id": made, "checks": CHECKS, "accepted": 70, "rejected": 25, "missing": 5}
    walk.act(nurse, "lot.inspect", **counts)
    with pytest.raises(ConflictError) as fault:
        walk.act(nurse, "lot.accept", **counts)
    assert fault.value.error_code == "custody.same_person"
    walk.act(goods.doctor, "lot.accept", **counts)
    with transaction(goods.ports.readers) as session:
        acts = act_queries.acts_of(session, walk.lot, limit=50)
    assert [one.call for one in acts] == ["mint", "move", "accept", "move", "reject"]
