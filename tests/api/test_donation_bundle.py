"""The bundle of a whole donation: lots, agreements, lines and sums proven offline; forgeries fail by name."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from reportlab.pdfgen.canvas import Canvas
from starlette.testclient import TestClient

from api.app import create_app
from api.callers import OPERATOR, Caller
from api.compose import open_ports
from api.flows import donation_bundle, supply
from api.flows.donation_bundle import donation_bundle_for, export_donation_bundle
from api.flows.evidence import installation_trust
from api.routes import donations
from api.settings import Settings
from api.testing import PASSWORD
from api.testing_goods import CHECKS, PLACE, Goods, act, make_goods
from api.worker import settle
from arbitration.bundle import file_rows, seal_text
from arbitration.checks.all import DONATION_CHECKS, LOT_CHECKS, verify_bundle
from arbitration.checks.human_report import HEAD
from arbitration.container import pack, unpack
from arbitration.contents import Purpose
from arbitration.donation_model import DONATION, open_donation_files
from arbitration.model import MANIFEST, NOTE, REPORT_HTML, REPORT_JSON, STAMP
from arbitration.policy import Trust
from arbitration.report.donation import donation_report_html, donation_report_json
from ledger.core.canonical import canonical_bytes
from ledger.core.errors import ConflictError, InputError, NotFoundError
from ledger.core.ids import new_id
from ledger.core.report import Report, Verdict
from ledger.embedded_chain import EmbeddedChain
from ledger.queries import erasure as erasure_queries
from ledger.queries import log as log_queries
from ledger.queries.donation_bundles import donations_holding, inner_bundle_id
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, BundleRow
from signing.fonts import find_font
from signing.render import page_texts

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class World:
    """An offer of 1 000 in two lots, another of 500 that nobody has yet, and what a stranger pins."""

    goods: Goods
    offers: tuple[str, str]
    lots: tuple[str, str]
    trust: Trust

    def export(self, caller: Caller | None = None, bundle_id: str | None = None) -> bytes:
        return export_donation_bundle(
            self.goods.ports,
            caller or self.goods.donor.caller,
            offer_ids=self.offers,
            bundle_id=bundle_id or new_id("bun", at=AT),
            purpose=Purpose.PARTY,
            recipient="虚构接收人",
            at=AT,
        )[1]

    def resealed(self, files: Files) -> bytes:
        """By a forger who holds the log's own key and the authority's: only what the entries say is left."""
        ports = self.goods.ports
        manifest = json.loads(files[MANIFEST])
        rest = {path: data for path, data in files.items() if not path.startswith("seal/")}
        manifest["files"] = file_rows(rest)
        rest[MANIFEST] = canonical_bytes(manifest)
        token = ports.tsa.stamp(hashlib.sha256(rest[MANIFEST]).digest(), at=AT)
        text = seal_text(manifest["bundle"], manifest=rest[MANIFEST], token=token)
        return pack({**rest, STAMP: token, NOTE: ports.log_key.sign_text(text).encode()})

    def verify(self, data: bytes, *, trusted: bool = True) -> Report:
        return verify_bundle(data, trust=self.trust if trusted else None, at=AT)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("donation")
    ports = open_ports(Settings(home=home, demo=True), at=AT)
    goods = make_goods(ports, at=AT, quantity=1_000, name="donation")
    with transaction(ports.sessions) as session:
        more = supply.NewOffer(
            id=new_id("offer", at=AT),
            kind="lot",
            item="mask_surgical",
            quantity=500,
            place=PLACE,
            available_on=AT.date(),
            produced_on=AT.date() - timedelta(days=30),
            expires_on=AT.date() + timedelta(days=700),
            batch_number="AB-2026-2",
            standard="YY 0469",
            edition="2011",
            certificate=2,
        )
        supply.post_offer(session, ports, goods.donor.caller, more, at=AT)
    lots = new_id("lot", at=AT), new_id("lot", at=AT)
    for lot, units in zip(lots, (600, 150), strict=True):
        act(ports, goods.donor, "lot.open", goods.lot_fields(lot, units), at=AT)
    box = [{"id": new_id("pkg", at=AT), "quantity": 500}]
    act(ports, goods.donor, "lot.pack", {"lot_id": lots[0], "packages": box}, at=AT)
    way = {"handover_id": new_id("hov", at=AT)}
    hand = {**way, "lot_id": lots[0], "package_ids": [box[0]["id"]]}
    hand["to_organisation"] = goods.nurse.organisation
    act(ports, goods.donor, "lot.hand", hand, at=AT)
    counts = {**way, "checks": CHECKS, "accepted": 470, "quarantined": 20, "rejected": 10}
    act(ports, goods.nurse, "lot.inspect", counts, at=AT)
    act(ports, goods.doctor, "lot.accept", counts, at=AT)
    used = {"lot_id": lots[0], "quantity": 90, "ward": "重症医学科一病区"}
    act(ports, goods.nurse, "lot.use", used, at=AT)
    made = World(goods, (goods.offer_id, more.id), lots, None)  # type: ignore[arg-type]
    with pytest.raises(ConflictError) as fault:
        made.export()
    assert fault.value.error_code == "bundle.not_final"
    chain = EmbeddedChain(home / "chain", clock=AT.timestamp)
    settle(ports, chain, clock=lambda: AT)
    with transaction(ports.readers) as session:
        trust = installation_trust(session, ports, at=AT)
    yield World(goods, made.offers, lots, trust)
    chain.close()
    ports.engine.dispose()


@pytest.fixture(scope="module")
def data(world: World) -> bytes:
    return world.export()


@pytest.fixture
def files(data: bytes) -> Files:
    return dict(unpack(data))


def failed(report: Report) -> set[str]:
    return {one.code for one in report.checks if one.verdict is Verdict.FAILED}


def test_a_donor_proves_every_unit_of_its_donation_offline(world: World, data: bytes) -> None:
    report = world.verify(data)
    assert {
        one.code: one.summary_en for one in report.checks if one.verdict is not Verdict.PASSED
    } == {}
    assert [one.code for one in report.checks][1:] == [code for code, _ in DONATION_CHECKS]
    places = next(one for one in report.checks if one.code == "donation.sum").details["places"]
    assert places == [
        ["free", 500],
        ["promised", 250],
        ["with_donor", 250],
        ["accepted", 380],
        ["quarantine", 20],
        ["rejected", 10],
        ["used", 90],
    ]


def test_an_operator_makes_one_and_without_a_pin_it_is_indeterminate(world: World) -> None:
    data = world.export(OPERATOR)
    assert world.verify(data).verdict is Verdict.PASSED
    assert world.verify(data, trusted=False).verdict is Verdict.INDETERMINATE


def test_it_holds_bundles_that_stand_alone_and_a_report_in_both_languages(
    world: World, files: Files
) -> None:
    for lot in world.lots:
        inner = world.verify(files[f"lots/{lot}.zip"])
        assert (inner.verdict, len(inner.checks)) == (Verdict.PASSED, len(LOT_CHECKS) + 1)
    (agreement,) = (path for path in files if path.startswith("agreements/"))
    assert world.verify(files[agreement]).verdict is Verdict.PASSED
    assert [path for path in files if path.startswith("certificates/")] == [
        f"certificates/{world.lots[0]}.pdf"
    ]
    page = files[REPORT_HTML].decode()
    for words in (
        "捐赠去向报告",
        "Where every unit is",
        "已用于病区",
        "合计 = 供给",
        "1500 = 1500",
    ):
        assert words in page
    # A ward is the hospital's own affair: it is nowhere in what the donor takes away.
    everything = b"".join([*files.values(), *unpack(files[f"lots/{world.lots[0]}.zip"]).values()])
    assert "重症医学科".encode() not in everything


def _drop_lot(world: World, files: Files) -> None:
    # The account is told anew without it: its units would count as not opened, so this alone is no lie.
    del files[f"lots/{world.lots[1]}.zip"]


def _drop_agreement(world: World, files: Files) -> None:
    del world
    (path,) = (path for path in files if path.startswith("agreements/"))
    del files[path]


def _swap_lots(world: World, files: Files) -> None:
    first, second = (f"lots/{one}.zip" for one in world.lots)
    files[first], files[second] = files[second], files[first]


def _another_account(world: World, files: Files) -> None:
    del world
    part = json.loads(files[DONATION])
    part["account"][0][1] += 100
    files[DONATION] = canonical_bytes(part)


def _another_report(world: World, files: Files) -> None:
    del world
    files[REPORT_HTML] = files[REPORT_HTML].replace(b"1500 = 1500", b"1501 = 1501")


def _a_line_less(world: World, files: Files) -> None:
    del world
    for path, data in list(files.items()):
        if path.startswith("receipts/") and b'"allocation":' in data:
            del files[path]


def _an_offer_less(world: World, files: Files) -> None:
    for path, data in list(files.items()):
        if path.startswith("receipts/") and world.offers[1].encode() in data:
            del files[path]


def _a_certificate_of_nothing(world: World, files: Files) -> None:
    first, second = (f"certificates/{one}.pdf" for one in world.lots)
    files[second] = files[first]


def _a_changed_inner_bundle(world: World, files: Files) -> None:
    path = f"lots/{world.lots[0]}.zip"
    inner = dict(unpack(files[path]))
    name = next(one for one in inner if one.startswith("receipts/"))
    del inner[name]
    files[path] = pack(inner)


def _a_lot_behind_another_suffix(world: World, files: Files) -> None:
    # Without its last entry: nothing was used. The checks looked at one file, the account at the other.
    inner = dict(unpack(files[f"lots/{world.lots[0]}.zip"]))
    for path in [one for one in inner if one.startswith("receipts/")]:
        if b"lot.used" in base64.b64decode(json.loads(inner[path])["entry"]["bytes"]):
            del inner[path]
    files[f"lots/{world.lots[0]}.zzz"] = pack(inner)


def _a_file_of_no_format(world: World, files: Files) -> None:
    del world
    files["00-ruling.html"] = b"<p>The hospital has used everything.</p>"


def _a_certificate_of_more(world: World, files: Files) -> None:
    path = f"certificates/{world.lots[0]}.pdf"
    honest = page_texts(files[path])[0]
    assert "accepted by two persons：470" in honest
    page = Canvas(buffer := io.BytesIO())
    page.setFont(find_font().name, 9)
    for row, line in enumerate(honest.replace("：470", "：600").splitlines()):
        page.drawString(20, 800 - 20 * row, line)
    page.save()
    files[path] = buffer.getvalue()


def _no_disclaimer(world: World, files: Files) -> None:
    del world
    part = json.loads(files[DONATION])
    part["disclaimer_en"] = "This package is a fiscal receipt."
    files[DONATION] = canonical_bytes(part)
    _told_anew(files)


def _another_hospital(world: World, files: Files) -> None:
    del world
    part = json.loads(files[DONATION])
    row = next(one for one in part["parties"] if one["category"] == "hospital")
    row["name"] = "另一医院（虚构）"
    files[DONATION] = canonical_bytes(part)
    _told_anew(files)


def _remarks_of_the_inside_hidden(world: World, files: Files) -> None:
    del world
    manifest = json.loads(files[MANIFEST])
    manifest["labels"] = [one for one in manifest["labels"] if one["code"] != "ca.unlicensed"]
    files[MANIFEST] = canonical_bytes(manifest)
    _told_anew(files)


def _told_anew(files: Files) -> None:
    bundle = open_donation_files(files)
    facts = donation_report_json(bundle, head={key: bundle.manifest[key] for key in HEAD})
    files[REPORT_JSON] = canonical_bytes(facts)
    files[REPORT_HTML] = donation_report_html(facts).encode()


FORGERIES: tuple[tuple[Callable[[World, Files], None], str], ...] = (
    (_swap_lots, "donation.sum"),
    (_another_account, "donation.sum"),
    (_another_report, "donation.report"),
    (_drop_lot, "donation.sum"),
    (_a_certificate_of_nothing, "donation.certificates"),
    (_a_changed_inner_bundle, "donation.lots"),
    (_a_lot_behind_another_suffix, "donation.files"),
    (_a_file_of_no_format, "donation.files"),
    (_a_certificate_of_more, "donation.certificates"),
    (_no_disclaimer, "donation.files"),
    (_another_hospital, "donation.agreements"),
    (_remarks_of_the_inside_hidden, "donation.files"),
)


@pytest.mark.parametrize(
    ("forge", "code"), FORGERIES, ids=lambda one: getattr(one, "__name__", one)
)
def test_what_is_changed_fails_with_its_own_check_even_when_sealed_again(
    world: World, files: Files, forge: Callable[[World, Files], None], code: str
) -> None:
    forge(world, files)
    assert code in failed(world.verify(world.resealed(files)))


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (_drop_agreement, "donation.agreements"),
        (_a_line_less, "donation.lines"),
        (_an_offer_less, "donation.sum"),
    ],
)
def test_what_is_left_out_is_not_taken_for_proof(
    world: World, files: Files, forge: Callable[[World, Files], None], code: str
) -> None:
    forge(world, files)
    report = world.verify(world.resealed(files))
    verdicts = {one.code: one.verdict for one in report.checks}
    assert verdicts[code] is not Verdict.PASSED
    assert report.verdict is not Verdict.PASSED


def test_a_file_added_without_the_seal_fails(world: World, files: Files) -> None:
    files["certificates/lot_other.pdf"] = b"%PDF-1.7"
    assert {"donation.files", "donation.certificates"} <= failed(world.verify(pack(files)))


def test_a_donation_inside_a_donation_is_not_opened(
    world: World, data: bytes, files: Files
) -> None:
    files["lots/lot_nested.zip"] = data
    assert failed(world.verify(pack(files))) == {"bundle.container"}


def test_the_same_id_gives_the_same_bytes_and_is_recorded_once(world: World) -> None:
    ports, made = world.goods.ports, new_id("bun", at=AT)
    first = world.export(bundle_id=made)
    with transaction(ports.readers) as session:
        before = session.query(BundleRow).count()
    assert world.export(bundle_id=made) == first
    with transaction(ports.readers) as session:
        assert session.query(BundleRow).count() == before
        assert len(log_queries.entries_of(session, [made])) == 1
        assert donation_bundle_for(session, world.goods.donor.caller, made).id == made
        with pytest.raises(NotFoundError):
            donation_bundle_for(session, world.goods.nurse.caller, made)
    with pytest.raises(ConflictError) as fault:
        world.export(OPERATOR, bundle_id=made)
    assert fault.value.error_code == "bundle.other_agreement"


def test_erasing_a_lot_or_an_agreement_takes_the_donations_that_hold_it(world: World) -> None:
    ports, made = world.goods.ports, new_id("bun", at=AT)
    world.export(bundle_id=made)
    with transaction(ports.readers) as session:
        digest = session.get_one(BundleRow, made).sha256
        agreement = world.goods.agreement_id
        for subject in (*world.lots, agreement):
            assert digest in donations_holding(session, subject)
        assert donations_holding(session, new_id("lot", at=AT)) == set()
        assert digest in erasure_queries.records_of_lot(session, world.lots[0]).files
        row = session.get_one(AgreementRow, agreement)
        assert digest in erasure_queries.files_of(session, row)


def test_nobody_else_makes_one_and_no_offer_is_none(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.export(world.goods.nurse.caller)
    with pytest.raises(InputError) as fault:
        export_donation_bundle(
            world.goods.ports,
            world.goods.donor.caller,
            offer_ids=[],
            bundle_id=new_id("bun", at=AT),
            purpose=Purpose.PARTY,
            recipient="x",
            at=AT,
        )
    assert fault.value.error_code == "donation.offers"


def test_a_large_bundle_is_made_in_steps_and_none_of_them_twice(world: World) -> None:
    named = {"offer_ids": world.offers, "purpose": Purpose.PARTY, "recipient": "虚构接收人"}
    bundle_id, ports, caller = new_id("bun", at=AT), world.goods.ports, world.goods.donor.caller

    def advance(**changes: Any) -> Any:
        return donation_bundle.advance_donation_bundle(
            ports, caller, bundle_id=bundle_id, at=AT, **named | changes
        )

    def stood() -> Any:
        with transaction(ports.readers) as session:
            return donation_bundle.donation_progress(
                session, caller, offer_ids=world.offers, bundle_id=bundle_id
            )

    told = []
    while isinstance(made := advance(step=1), donation_bundle.Progress):
        told.append((made.done, made.total))
        assert stood() == made
    # Two lots and their agreement; putting them together is a request of its own.
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert stood() == replace(stood(), done=3, finished=True)
    row, data = made
    assert not [one for one in world.verify(data).checks if one.verdict is Verdict.FAILED]
    again, same = advance(step=1)
    assert (again.id, same) == (row.id, data)
    with transaction(ports.readers) as session:
        inner = [inner_bundle_id(bundle_id, one) for one in world.lots]
        kinds = [one.type for one in log_queries.entries_of(session, [bundle_id, *inner])]
    assert kinds == ["bundle.exported"] * 3
    with pytest.raises(ConflictError) as fault:
        advance(offer_ids=world.offers[:1])
    assert fault.value.error_code == "bundle.other_agreement"


def test_a_large_bundle_has_a_page_that_goes_on_and_hands_it_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = functools.partial(donation_bundle.advance_donation_bundle, step=2)
    monkeypatch.setattr(donations, "advance_donation_bundle", slow)
    ports = world.goods.ports
    here = Settings(home=ports.settings.home, public_url="http://testserver", demo=True)
    app = create_app(here, clock=lambda: AT)
    with TestClient(app, headers={"Origin": "http://testserver"}) as client:
        login = {"login": "donation-donor", "password": PASSWORD}
        assert client.post("/api/v1/login", json=login).status_code == 200
        page = client.post("/goods/donations/bundle", data={"offer": world.offers})
        assert "2" in page.text.partition("data-steps=")[2][:4]
        path = urlsplit(str(page.url)).path
        form = {"offer": world.offers, "bundle": path.rpartition("/")[2]}
        for _ in range(2):
            page = client.post("/goods/donations/bundle", data=form)
        assert "data-steps" not in page.text
        link = f"/api/v1/donations/bundles/{form['bundle']}"
        assert f'href="{link}"' in page.text
        assert client.get(link).content[:2] == b"PK"
        body = {"id": new_id("bun", at=AT), "offer_ids": world.offers, "purpose": "party"}
        answers = [
            client.post("/api/v1/donations/bundles", json={**body, "recipient": "虚构"})
            for _ in range(3)
        ]
        assert [one.status_code for one in answers] == [202, 202, 201]
        assert answers[0].json() == {"id": body["id"], "done": 2, "total": 3}
        monkeypatch.undo()
        one_go = client.post("/goods/donations/bundle", data={"offer": world.offers})
        assert one_go.headers["content-type"] == "application/zip"
