"""Public pages, their JSON twins, the round page, texts in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import api.web
from api.testing import PASSWORD, Populated, populate
from api.web.i18n import Texts, load_texts
from api.web.pages import own_address, show_percent
from ledger.core.canonical import tagged_digest
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.supply import OfferRow

WEB = Path(api.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))


@dataclass(frozen=True)
class Filled:
    """A populated app."""

    app: FastAPI
    client: TestClient
    made: Populated

    def log_in(self, login: str) -> TestClient:
        client = TestClient(self.app, headers={"Origin": "http://testserver"})
        answer = client.post("/api/v1/login", json={"login": login, "password": PASSWORD})
        assert answer.status_code == 200
        return client


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory, make_app: Callable[..., FastAPI], clock: Any
) -> Iterator[Filled]:
    app = make_app(tmp_path_factory.mktemp("home"))
    with TestClient(app, headers={"Origin": "http://testserver"}) as client:
        yield Filled(app, client, populate(app.state.shell.ports, at=clock.at))


def test_the_board_counts_filters_and_pages(filled: Filled) -> None:
    board = filled.client.get("/api/v1/board").json()
    assert board["open"] == sum(board["by_urgency"].values()) == board["total"]
    assert len(board["needs"]) == 20
    tiers = [need["urgency"] for need in board["needs"]]
    assert tiers == sorted(tiers, key=["critical", "high", "normal"].index)
    critical = filled.client.get("/api/v1/board?urgency=critical&limit=100").json()
    assert critical["total"] == board["by_urgency"]["critical"] == len(critical["needs"])
    item = board["items"][0]
    of_item = filled.client.get(f"/api/v1/board?item={item['item']}&limit=100").json()
    assert of_item["total"] == item["open"]
    assert {need["item"] for need in of_item["needs"]} == {item["item"]}
    city = board["cities"][0]
    in_city = filled.client.get("/api/v1/board", params={"city": city, "limit": 100}).json()
    assert {need["city"] for need in in_city["needs"]} == {city}
    seen: list[str] = []
    for offset in range(0, board["total"], 20):
        part = filled.client.get(f"/api/v1/board?offset={offset}").json()
        seen += [need["id"] for need in part["needs"]]
    assert len(seen) == len(set(seen)) == board["total"]


def test_the_board_says_which_quantities_a_policy_filled(filled: Filled) -> None:
    needs = filled.client.get("/api/v1/board?limit=100").json()["needs"]
    filled_in = [need for need in needs if need["quantity_defaulted"]]
    assert filled_in
    assert len(filled_in) < len(needs)
    assert all("quantity" in need["defaults"] for need in filled_in)
    assert "数量为推定" in filled.client.get("/board").text


@pytest.mark.parametrize("query", ["urgency=urgent", "limit=101", "limit=0", "offset=-1"])
def test_a_malformed_filter_is_refused(filled: Filled, query: str) -> None:
    assert filled.client.get(f"/api/v1/board?{query}").status_code == 422


def test_an_empty_result_says_so(filled: Filled) -> None:
    page = filled.client.get("/board?city=nowhere")
    assert page.status_code == 200
    assert "没有符合条件的需求" in page.text


def test_the_page_and_the_json_hold_the_same_facts(filled: Filled) -> None:
    page = filled.client.get("/board").text
    for need in filled.client.get("/api/v1/board").json()["needs"]:
        assert need["hospital"] in page
        assert f"{need['quantity']:,}" in page
    page = filled.client.get("/disclosure").text
    disclosure = filled.client.get("/api/v1/disclosure").json()
    assert disclosure["items"]
    for one in disclosure["items"]:
        assert one["donor"] in page
        assert one["hospital"] in page


def test_the_disclosure_lists_accepted_lines_only(filled: Filled) -> None:
    shown = filled.client.get("/api/v1/disclosure?limit=100").json()
    donor = filled.log_in("demo-donor")
    accepted = donor.get("/api/v1/allocations?state=accepted&limit=100").json()
    assert shown["lines"] == len(accepted)
    assert {one["id"] for one in shown["items"]} == {one["id"] for one in accepted}
    assert shown["pieces"] == sum(one["quantity"] for one in accepted)


def test_the_disclosure_masks_natural_persons(filled: Filled) -> None:
    name = "欧阳虚构"
    ports = filled.app.state.shell.ports
    with transaction(ports.sessions) as session:
        line = filled.client.get("/api/v1/disclosure").json()["items"][0]
        offers = session.query(OfferRow).filter(OfferRow.donor_name == line["donor"]).all()
        for offer in offers:
            offer.donor_name, offer.donor_kind = name, "individual"
    after = filled.client.get("/api/v1/disclosure?limit=100")
    assert name not in after.text
    assert name not in filled.client.get("/disclosure").text
    assert any(one["donor_masked"] for one in after.json()["items"])


def test_the_round_page_shows_figures_certificate_verdict_and_reasons(filled: Filled) -> None:
    client = filled.log_in("demo-hospital")
    facts = client.get(f"/api/v1/rounds/{filled.made.round_id}").json()
    page = client.get(f"/rounds/{filled.made.round_id}").text
    for name in ("inputs_sha256", "policy_sha256", "plan_sha256", "certificate_sha256"):
        assert facts[name] in page
    assert facts["report"]["verdict"] == "passed"
    for check in facts["report"]["checks"]:
        assert check["code"] in page
    for reason in facts["summary"]["reasons"]:
        assert reason in page
    outcomes = client.get(f"/api/v1/rounds/{filled.made.round_id}/outcomes").json()
    assert outcomes
    assert "本机构需求的结果" in page
    for one in outcomes:
        assert (one["reason"] is None) == (one["served"] == one["quantity"])
        if one["reason"] == "supply.outbid":
            assert one["claim"] <= one["asked"][0]
            assert one["detail_zh"] in page


def test_a_donor_reads_where_each_piece_went_and_why_there(filled: Filled) -> None:
    donor = filled.log_in("demo-donor")
    supplies = donor.get(f"/api/v1/rounds/{filled.made.round_id}/supplies").json()
    given: dict[str, int] = {}
    after = ""
    while True:
        path = f"/api/v1/allocations?round_id={filled.made.round_id}&limit=100&after={after}"
        lines = donor.get(path).json()
        for line in lines:
            if line["giving"]:
                given[line["offer_id"]] = given.get(line["offer_id"], 0) + line["quantity"]
        if len(lines) < 100:
            break
        after = lines[-1]["id"]
    told = {one["offer"]: one["given"] for one in supplies if one["given"]}
    assert told == given
    assert told
    for one in supplies:
        assert sum(line["quantity"] for line in one["lines"]) == one["given"]
        assert all(line["reason_zh"] and line["reason_en"] for line in one["lines"])
        assert (one["left"] == 0) == (one["reason"] is None)
    page = donor.get(f"/rounds/{filled.made.round_id}").text
    assert "本机构物资的去向" in page
    assert supplies[0]["lines"][0]["reason_zh"] in page


def test_the_policy_a_round_was_held_under_is_served_and_is_what_was_committed(
    filled: Filled,
) -> None:
    client = filled.log_in("demo-hospital")
    facts = client.get(f"/api/v1/rounds/{filled.made.round_id}").json()
    told = client.get(f"/api/v1/rounds/{filled.made.round_id}/policy").json()
    digest = tagged_digest("fuqi/policy/v1", told["policy"]).hex()
    assert digest == told["sha256"] == facts["policy_sha256"]
    changed = told["policy"] | {"segments": told["policy"]["segments"] + 1}
    assert tagged_digest("fuqi/policy/v1", changed).hex() != digest
    assert told["policy"]["levels"][0].startswith("unserved_by_tier")
    assert client.get("/api/v1/rounds/rnd_01dzz0r3004ptnken641ehh3tk/policy").status_code == 404


def test_nobody_reads_another_organisations_supplies(filled: Filled) -> None:
    theirs = filled.log_in("demo-donor").get(f"/api/v1/rounds/{filled.made.round_id}/supplies")
    mine = filled.log_in("demo-hospital").get(f"/api/v1/rounds/{filled.made.round_id}/supplies")
    assert mine.status_code == 200
    assert not {one["offer"] for one in mine.json()} & {one["offer"] for one in theirs.json()}


def test_the_round_page_draws_fill_and_fairness_without_a_script(filled: Filled) -> None:
    client = filled.log_in("demo-hospital")
    facts = client.get(f"/api/v1/rounds/{filled.made.round_id}").json()
    page = client.get(f"/rounds/{filled.made.round_id}").text
    drawn = facts["summary"]["by_item_and_tier"]
    assert page.count('<figure class="picture">') == len(drawn)
    assert page.count('class="track"') == sum(len(tiers) for tiers in drawn.values())
    assert 'style="' not in page
    fairness = facts["summary"]["fairness"]
    assert {"tiers", "regions", "classes"} == set(fairness)
    for rows in fairness.values():
        assert sum(row["served"] for row in rows) == facts["summary"]["units"]
        assert sum(row["wanted"] for row in rows) == facts["summary"]["units_wanted"]


def test_a_hospital_cannot_accept_for_the_donor(filled: Filled) -> None:
    donor, hospital = filled.log_in("demo-donor"), filled.log_in("demo-hospital")
    line = donor.get("/api/v1/allocations?state=proposed").json()[0]
    assert line["giving"] is True
    refused = hospital.post(f"/api/v1/allocations/{line['id']}/accept")
    assert refused.status_code == 404
    taken = donor.post(f"/api/v1/allocations/{line['id']}/accept")
    assert (taken.status_code, taken.json()["state"]) == (200, "accepted")
    again = donor.post(f"/api/v1/allocations/{line['id']}/accept")
    assert (again.status_code, again.json()) == (200, taken.json())
    changed = donor.post(f"/api/v1/allocations/{line['id']}/decline", json={"reason": "x"})
    assert (changed.status_code, changed.json()["code"]) == (409, "allocation.accepted")


def test_a_need_is_posted_once_and_a_negative_quantity_is_refused(
    filled: Filled, clock: Any
) -> None:
    client = filled.log_in("demo-hospital")
    hospital = client.get("/api/v1/hospitals").json()[0]
    body = {
        "id": new_id("need", at=clock.at),
        "hospital_id": hospital["id"],
        "item": "医用外科口罩",
        "quantity": 500,
        "urgency": "high",
        "deadline_on": "2026-12-24",
    }
    first = client.post("/api/v1/needs", json=body)
    assert first.status_code == 201, first.text
    assert client.post("/api/v1/needs", json=body).json() == first.json()
    changed = client.post("/api/v1/needs", json={**body, "quantity": 501})
    assert (changed.status_code, changed.json()["context"]["field"]) == (409, "quantity")
    bad = {**body, "id": new_id("need", at=clock.at), "quantity": -1}
    answer = client.post("/api/v1/needs", json=bad)
    assert (answer.status_code, answer.json()["code"]) == (422, "need.quantity_negative")


def test_the_trust_file_is_public_and_names_the_roots(filled: Filled) -> None:
    trust = filled.client.get("/api/v1/trust").json()
    assert trust["v"] == "fuqi/trust/v1"
    assert trust["pki"]


def test_the_docs_name_every_described_operation_without_another_host(filled: Filled) -> None:
    description = filled.client.get("/openapi.json").json()
    page = filled.client.get("/docs").text
    for path in description["paths"]:
        assert path in page
    assert re.findall(r"(?:src|href)=\"(https?:)?//", page) == []


def test_language_follows_the_parameter_then_the_cookie(filled: Filled) -> None:
    client = TestClient(filled.app)
    assert 'lang="zh-CN"' in client.get("/").text
    english = client.get("/?lang=en")
    assert '<html lang="en">' in english.text
    assert '<html lang="en">' in client.get("/board").text
    assert '<html lang="zh-CN">' in client.get("/board?lang=zh").text
    assert '<html lang="zh-CN">' in client.get("/?lang=xx").text


def test_every_text_a_template_names_exists() -> None:
    texts = load_texts()
    for template in TEMPLATES:
        source = template.read_text("utf-8")
        for key in re.findall(r"\bt\(\s*[\"']([a-z_0-9.]+)[\"']\s*[,)]", source):
            assert key in texts, f"{template.name}: {key}"
        for prefix in re.findall(r"\bt\(\s*[\"']([a-z_0-9.]+\.)[\"']\s*~", source):
            assert any(key.startswith(prefix) for key in texts), f"{template.name}: {prefix}"


def test_every_text_has_the_same_blanks_in_both_languages() -> None:
    for key, (zh, en) in load_texts().items():
        assert sorted(re.findall(r"{(\w+)}", zh)) == sorted(re.findall(r"{(\w+)}", en)), key


def test_a_text_missing_in_one_language_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "texts.json"
    file.write_text(json.dumps({"a": ["有", ""]}), "utf-8")
    with pytest.raises(ValueError, match="a is missing"):
        load_texts(file)


def test_an_unknown_text_is_our_bug() -> None:
    with pytest.raises(KeyError):
        Texts("zh", load_texts())("no.such.text")


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "x", "/a\r\nb"],
)
def test_a_redirect_never_leaves_the_site(address: str) -> None:
    assert own_address(address) == "/"


def test_a_redirect_inside_the_site_is_kept() -> None:
    assert own_address("/agreements?before=a#b") == "/agreements?before=a#b"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0%"), (999, 1000, "99.9%"), (9999, 10000, "99.9%"), (10, 10, "100%"), (1, 0, "–")],
)
def test_a_percentage_is_100_only_when_all_is_there(part: int, whole: int, text: str) -> None:
    assert show_percent(part, whole) == text
