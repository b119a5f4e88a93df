"""The bundle of a lot: each party proves its own way offline; what is changed fails with its own check."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from api.callers import OPERATOR, Caller
from api.compose import open_ports
from api.flows.custody_bundle import export_lot_bundle, lot_bundle_for
from api.flows.evidence import installation_trust
from api.settings import Settings
from api.testing_goods import CHECKS, Goods, act, make_goods
from api.worker import settle
from arbitration.bundle import file_rows, seal_text
from arbitration.checks.all import LOT_CHECKS, verify_bundle
from arbitration.container import pack, unpack
from arbitration.contents import Purpose
from arbitration.lot_model import LOT, PARTLY, lot_events, open_lot_files
from arbitration.model import MANIFEST, NOTE, STAMP
from arbitration.policy import Trust
from ledger.core.canonical import canonical_bytes
from ledger.core.errors import ConflictError, NotFoundError
from ledger.core.ids import new_id
from ledger.core.report import Report, Verdict
from ledger.embedded_chain import EmbeddedChain
from ledger.store import transaction

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
WARD = "重症医学科一病区"
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class World:
    """A lot that went all the way, and what a stranger pins."""

    goods: Goods
    lot: str
    trust: Trust

    def export(self, caller: Caller, bundle_id: str | None = None) -> bytes:
        return export_lot_bundle(
            self.goods.ports,
            caller,
            lot_id=self.lot,
            bundle_id=bundle_id or new_id("bun", at=AT),
            purpose=Purpose.PARTY,
            recipient="虚构接收人",
            at=AT,
        )[1]

    def verify(self, data: bytes, *, trusted: bool = True) -> Report:
        return verify_bundle(data, trust=self.trust if trusted else None, at=AT)

    def resealed(self, files: dict[str, bytes]) -> bytes:
        """By a forger who holds the log's own key and the authority's: only what the entries say is left."""
        ports = self.goods.ports
        manifest = json.loads(files[MANIFEST])
        rest = {path: data for path, data in files.items() if not path.startswith("seal/")}
        manifest["files"] = file_rows(rest)
        rest[MANIFEST] = canonical_bytes(manifest)
        token = ports.tsa.stamp(hashlib.sha256(rest[MANIFEST]).digest(), at=AT)
        text = seal_text(manifest["bundle"], manifest=rest[MANIFEST], token=token)
        return pack({**rest, STAMP: token, NOTE: ports.log_key.sign_text(text).encode()})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("lots")
    ports = open_ports(Settings(home=home, demo=True), at=AT)
    goods = make_goods(ports, at=AT, quantity=1_000, signed=False, name="bundle")
    lot = new_id("lot", at=AT)
    act(ports, goods.donor, "lot.open", goods.lot_fields(lot, 600), at=AT)
    boxes = [{"id": new_id("pkg", at=AT), "quantity": 300} for _ in range(2)]
    act(ports, goods.donor, "lot.pack", {"lot_id": lot, "packages": boxes}, at=AT)
    ids = [one["id"] for one in boxes]
    for giver, taker in ((goods.donor, goods.carrier), (goods.carrier, goods.nurse)):
        made = new_id("hov", at=AT)
        way = {"handover_id": made, "lot_id": lot, "package_ids": ids}
        act(ports, giver, "lot.hand", {**way, "to_organisation": taker.organisation}, at=AT)
        if taker is goods.carrier:
            act(ports, taker, "lot.receive", {"handover_id": made}, at=AT)
    counts = {"handover_id": made, "checks": CHECKS, "accepted": 560, "quarantined": 20}
    counts |= {"rejected": 15, "missing": 5}
    act(ports, goods.nurse, "lot.inspect", counts, at=AT)
    act(ports, goods.doctor, "lot.accept", counts, at=AT)
    release = {"lot_id": lot, "quantity": 20, "outcome": "accepted", "reason": "复检合格"}
    act(ports, goods.nurse, "lot.release", release, at=AT)
    act(ports, goods.nurse, "lot.use", {"lot_id": lot, "quantity": 90, "ward": WARD}, at=AT)
    recall = new_id("rcl", at=AT)
    opened = {"recall_id": recall, "lot_id": lot, "reason": "抽检"}
    act(ports, goods.donor, "recall.open", opened, at=AT)
    with pytest.raises(ConflictError) as fault:
        export_lot_bundle(
            ports, goods.donor.caller, lot_id=lot, bundle_id=new_id("bun", at=AT),
            purpose=Purpose.PARTY, recipient="x", at=AT,
        )  # fmt: skip
    assert fault.value.error_code == "bundle.not_final"
    chain = EmbeddedChain(home / "chain", clock=AT.timestamp)
    settle(ports, chain, clock=lambda: AT)
    with transaction(ports.readers) as session:
        trust = installation_trust(session, ports, at=AT)
    yield World(goods, lot, trust)
    chain.close()
    ports.engine.dispose()


@pytest.fixture(scope="module")
def files(world: World) -> dict[str, bytes]:
    return dict(unpack(world.export(OPERATOR)))


def _failed(report: Report) -> set[str]:
    return {one.code for one in report.checks if one.verdict is Verdict.FAILED}


@pytest.mark.parametrize("who", ["donor", "carrier", "nurse", "operator"])
def test_each_party_proves_its_lot_offline(world: World, who: str) -> None:
    caller = OPERATOR if who == "operator" else getattr(world.goods, who).caller
    report = world.verify(world.export(caller))
    assert {
        one.code: one.summary_en for one in report.checks if one.verdict is not Verdict.PASSED
    } == {}
    assert len(report.checks) == len(LOT_CHECKS) + 1
    places = next(one for one in report.checks if one.code == "lot.conservation").details["places"]
    hospital, carrier = world.goods.nurse.organisation, world.goods.carrier.organisation
    assert sorted(places) == sorted(
        [
            [hospital, "stock", 490],
            [hospital, "used", 90],
            [carrier, "rejected", 15],
            [carrier, "disputed", 5],
        ]
    )


def test_without_pins_nothing_fails_and_nothing_is_believed(world: World) -> None:
    report = world.verify(world.export(world.goods.donor.caller), trusted=False)
    assert report.verdict is Verdict.INDETERMINATE
    assert _failed(report) == set()


def test_nobody_sees_what_another_does_in_its_own_house(world: World) -> None:
    names = ("虚构人", "虚构医师")
    for hand in (world.goods.donor, world.goods.carrier):
        found = unpack(world.export(hand.caller))
        text = b"".join(found.values()).decode("utf-8", errors="ignore")
        assert WARD not in text
        assert not [name for name in names if name in text]
        shown = {one.type: one.body for one in lot_events(open_lot_files(found))}
        assert set(shown["lot.used"] or {}) == set(PARTLY["lot.used"])
        assert set(shown["lot.released"] or {}) == set(PARTLY["lot.released"])
    own = b"".join(unpack(world.export(world.goods.nurse.caller)).values()).decode(errors="ignore")
    assert WARD in own
    assert not [name for name in names if name in own]


def test_a_bundle_is_its_makers_and_the_same_id_gives_the_same_bytes(world: World) -> None:
    donor, carrier = world.goods.donor.caller, world.goods.carrier.caller
    made = new_id("bun", at=AT)
    assert world.export(donor, made) == world.export(donor, made)
    with pytest.raises(ConflictError) as fault:
        world.export(carrier, made)
    assert fault.value.error_code == "bundle.other_agreement"
    with transaction(world.goods.ports.readers) as session:
        assert lot_bundle_for(session, donor, world.lot, made).subject == world.lot
        with pytest.raises(NotFoundError):
            lot_bundle_for(session, carrier, world.lot, made)


def test_one_byte_of_any_part_is_noticed(world: World, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        failed = _failed(world.verify(pack({**files, path: bytes(changed)})))
        assert failed & {"bundle.container", "lot.files", "bundle.seal"}, path
    rest = {path: data for path, data in files.items() if path != LOT}
    assert _failed(world.verify(pack(rest))) == {"bundle.container"}


def _edit(files: dict[str, bytes], path: str, change: Change) -> dict[str, bytes]:
    value = json.loads(files[path])
    change(value)
    return {**files, path: canonical_bytes(value)}


def _receipt_of(files: dict[str, bytes], kind: str) -> str:
    bundle = open_lot_files(files)
    return next(f"receipts/{one.id}.json" for one in bundle.events if one.type == kind)


def _places(value: dict[str, Any]) -> None:
    value["places"][0][2] += 1


def _more_used(value: dict[str, Any]) -> None:
    value["private"]["body"]["quantity"] += 1


def _other_key(value: dict[str, Any]) -> None:
    first, second = value["keys"][0], value["keys"][1]
    first["spki"], second["spki"] = second["spki"], first["spki"]


def _other_lot(value: dict[str, Any]) -> None:
    value["lot"] = "lot_01kdvdna00ncrmbvs7rqr9p8yr"


def _hide(value: dict[str, Any]) -> None:
    value["private"] = None


def _forget_anchor(value: dict[str, Any]) -> None:
    value["anchor"]["root"] = "00" * 32


def _evidence(value: dict[str, Any]) -> None:
    value["evidence"]["header"] = value["evidence"]["header"][:-2] + "00"


FORGERIES: tuple[tuple[str, str | None, Change, str], ...] = (
    ("places", None, _places, "lot.conservation"),
    ("lot", None, _other_lot, "lot.files"),
    ("keys", None, _other_key, "lot.signatures"),
    ("used", "lot.used", _more_used, "lot.entries"),
    ("anchor", "lot.used", _forget_anchor, "lot.anchors"),
)


@pytest.mark.parametrize(("name", "kind", "change", "code"), FORGERIES, ids=lambda v: str(v)[:12])
def test_whoever_seals_a_forgery_anew_fails_at_its_own_check(
    world: World, files: dict[str, bytes], name: str, kind: str | None, change: Change, code: str
) -> None:
    path = LOT if kind is None else _receipt_of(files, kind)
    failed = _failed(world.verify(world.resealed(_edit(copy.copy(files), path, change))))
    assert code in failed, (name, failed)
    assert not failed & {"bundle.seal", "bundle.timestamp"}


@pytest.mark.parametrize("kind", ["lot.used", "lot.inspected", "recall.opened", "lot.packed"])
def test_an_entry_that_is_left_out_leaves_a_gap(
    world: World, files: dict[str, bytes], kind: str
) -> None:
    path = _receipt_of(files, kind)
    rest = {name: data for name, data in files.items() if name != path}
    report = world.verify(world.resealed(rest))
    expected = {
        "lot.used": {"event.chain", "lot.conservation"},
        "lot.inspected": {"event.chain", "lot.acceptance"},
        # The newest entry: that nothing came after the last one is what a bundle cannot show.
        "recall.opened": set(),
        "lot.packed": {"event.chain", "lot.conservation"},
    }[kind]
    assert _failed(report) >= expected
    assert bool(_failed(report)) == bool(expected)


def test_a_closed_entry_proves_neither_way(world: World, files: dict[str, bytes]) -> None:
    path = _receipt_of(files, "lot.used")
    report = world.verify(world.resealed(_edit(files, path, _hide)))
    assert _failed(report) == set()
    open_codes = {one.code for one in report.checks if one.verdict is Verdict.INDETERMINATE}
    assert open_codes == {"lot.entries", "lot.conservation", "lot.recall"}


def test_a_hidden_remark_and_a_foreign_entry_are_named(
    world: World, files: dict[str, bytes]
) -> None:
    bare = _edit(files, MANIFEST, lambda value: value.update(labels=[]))
    assert _failed(world.verify(world.resealed(bare))) == {"lot.files"}
    reworded = _edit(files, MANIFEST, lambda value: value["labels"][0].update(zh="一切正常"))
    assert _failed(world.verify(world.resealed(reworded))) == {"lot.files"}
    foreign = _edit(files, LOT, lambda value: value.update(keys=value["keys"][1:]))
    assert "lot.entries" in _failed(world.verify(world.resealed(foreign)))


def test_no_name_and_no_certificate_of_a_person_stands_in_it(files: dict[str, bytes]) -> None:
    part = json.loads(files[LOT])
    assert {
        set(row) == {"certificate", "organisation", "person", "serial", "spki"}
        for row in part["keys"]
    } == {True}
    for row in part["keys"]:
        assert len(base64.b64decode(row["spki"])) < 200
