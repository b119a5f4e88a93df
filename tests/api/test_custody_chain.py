"""Each movement is copied to SupplyLots on the embedded chain once, and the contract counts the same units."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from api.compose import open_ports
from api.compose_bench import read_bench
from api.settings import Settings
from api.testing_goods import CHECKS, act, make_goods, places
from api.worker import settle
from contracts import acts_abi
from ledger import supply_calls
from ledger.chain_key import OperatorKey
from ledger.core.errors import InputError
from ledger.core.ids import new_id
from ledger.embedded_chain import EmbeddedChain
from ledger.queries import acts as act_queries
from ledger.store import transaction
from ledger.tables.acts import ChainActRow, ChainContractRow
from ledger.tables.custody import LotRow
from ledger.tables.log import EntryRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def test_the_contract_holds_what_the_books_hold(tmp_path: Path) -> None:
    ports = open_ports(Settings(home=tmp_path, demo=True), at=AT)
    goods = make_goods(ports, at=AT, quantity=1_000, signed=False, name="chain")
    lot = new_id("lot", at=AT)
    act(ports, goods.donor, "lot.open", goods.lot_fields(lot, 600), at=AT)
    boxes = [{"id": new_id("pkg", at=AT), "quantity": 300} for _ in range(2)]
    act(ports, goods.donor, "lot.pack", {"lot_id": lot, "packages": boxes}, at=AT)
    ids = [one["id"] for one in boxes]
    way = {"lot_id": lot, "package_ids": ids}
    first, second = new_id("hov", at=AT), new_id("hov", at=AT)
    to_carrier = {"handover_id": first, "to_organisation": goods.carrier.organisation, **way}
    act(ports, goods.donor, "lot.hand", to_carrier, at=AT)
    act(ports, goods.carrier, "lot.receive", {"handover_id": first}, at=AT)
    to_hospital = {"handover_id": second, "to_organisation": goods.nurse.organisation, **way}
    act(ports, goods.carrier, "lot.hand", to_hospital, at=AT)
    counts = {"handover_id": second, "accepted": 590, "missing": 10, "checks": CHECKS}
    act(ports, goods.nurse, "lot.inspect", counts, at=AT)
    act(ports, goods.doctor, "lot.accept", counts, at=AT)
    use = {"lot_id": lot, "quantity": 90, "ward": "呼吸内科"}
    act(ports, goods.nurse, "lot.use", use, at=AT)
    act(ports, goods.doctor, "lot.use", {**use, "quantity": 40}, at=AT)

    chain = EmbeddedChain(tmp_path / "chain", clock=AT.timestamp)
    settle(ports, chain, clock=lambda: AT)
    with transaction(ports.readers) as session:
        acts = act_queries.acts_of(session, lot, limit=50)
        assert [one.call for one in acts] == [
            "mint", "move", "accept", "move", "accept", "consume", "consume",
        ]  # fmt: skip
        assert [(one.state, one.reason) for one in acts] == [("final", None)] * 7
        (row,) = session.scalars(
            select(ChainContractRow).where(ChainContractRow.name == "SupplyLots")
        )
        opening = session.get_one(EntryRow, session.get_one(LotRow, lot).entry_id)
    target = bytes.fromhex(row.address[2:])
    signer = OperatorKey.load(tmp_path / "keys" / "acts.key")
    tag = supply_calls.holder_tag(lot=lot, organisation=goods.donor.organisation)
    on_chain = supply_calls.chain_lot({"issuer": tag, "doc_ref": opening.leaf}, signer=signer)
    answer = chain.ask(target, acts_abi.encode_call("lotAt", on_chain))
    assert acts_abi.decode_lot(answer.data) == (600, 130)
    held: dict[str, int] = {}
    for (holder, shelf), units in places(ports, lot).items():
        if shelf not in ("used", "lost"):
            held[holder] = held.get(holder, 0) + units
    for hand in (goods.donor, goods.carrier, goods.nurse):
        tag = supply_calls.holder_tag(lot=lot, organisation=hand.organisation)
        address = supply_calls.holder_key(tag, signer=signer).address
        answer = chain.ask(target, acts_abi.encode_call("positionOf", on_chain, address))
        assert acts_abi.decode_position(answer.data).quantity == held.get(hand.organisation, 0)
    assert held == {goods.carrier.organisation: 10, goods.nurse.organisation: 460}

    # A lost answer: the lane asks the contract and sends nothing twice.
    with transaction(ports.sessions) as session:
        again = session.get_one(ChainActRow, acts[1].id)
        again.state, before = "queued", again.gas_used
    settle(ports, chain, clock=lambda: AT)
    with transaction(ports.readers) as session:
        kept = session.get_one(ChainActRow, acts[1].id)
        assert (kept.state, kept.gas_used) == ("final", before)
    chain.close()
    ports.engine.dispose()


def test_addresses_of_one_holder_differ_from_lot_to_lot() -> None:
    signer = OperatorKey(b"\x01" * 32)
    tags = {
        supply_calls.holder_tag(lot=lot, organisation=who) for lot in "ab" for who in ("x", "y")
    }
    addresses = {supply_calls.holder_key(tag, signer=signer).address for tag in tags}
    assert len(tags) == len(addresses) == 4
    other = OperatorKey(b"\x02" * 32)
    assert not addresses & {supply_calls.holder_key(tag, signer=other).address for tag in tags}


def test_a_file_of_seats_is_read_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    seat = '"0x' + "11" * 20 + '"'
    good = (
        f'{{"arbitrators": [{seat}], "threshold": 1, "officers": [{seat}], '
        '"officer_threshold": 1, "delay_seconds": 5}'
    )
    file.write_text(good)
    assert read_bench(file).arbitrators == (acts_abi.k1_key_hash(b"\x11" * 20),)
    for bad in (good.replace('"threshold": 1', '"threshold": 2'), good[:-1], "[]", "{}"):
        file.write_text(bad)
        with pytest.raises(InputError) as fault:
            read_bench(file)
        assert fault.value.error_code == "settings.bench"
