"""The register of related parties: declared, reviewed, kept to by rounds, urgent needs and accepted lines."""

from datetime import date, timedelta

import pytest

from api.testing import invented_hospital
from ledger.core.ids import new_id
from ledger.store import transaction
from matching.check import check_plan
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import problem_from_json

DAY = date(2026, 11, 23)
PLACE = {
    "province": "湖北",
    "city": "武汉市",
    "longitude_micro": 114_300_000,
    "latitude_micro": 30_600_000,
}
PDF = b"%PDF-1.7 invented"


def new(world, prefix):
    return new_id(prefix, at=world.clock.at)


@pytest.fixture(autouse=True)
def tick(world):
    """Ids of entries follow from the time: two steps of one second would be one."""
    world.clock.at += timedelta(minutes=1)
    yield
    for one in world.client("operator").get("/api/v1/related-parties?limit=100").json():
        if one["state"] in ("declared", "confirmed"):
            refuse(world, one["id"])
    for what, login in (("needs", "hospital"), ("offers", "donor")):
        rows = world.client(login).get(f"/api/v1/{what}?limit=100").json()
        withdraw(world, *(one["id"] for one in rows if one["state"] == "open"))


@pytest.fixture(scope="module")
def hospital_id(world):
    with transaction(world.app.state.shell.ports.sessions) as session:
        row = invented_hospital(world.hospital.organisation_id, at=world.clock.at)
        session.add(row)
        return row.id


def relation(world, **changes):
    return {
        "id": new(world, "rel"),
        "first_id": world.donor.organisation_id,
        "second_id": world.hospital.organisation_id,
        "kind": "parent",
        "evidence": "国家企业信用信息公示系统（虚构）",
        "valid_from": "2019-01-01",
    } | changes


def declare(world, login="donor", **changes):
    return world.client(login).post("/api/v1/related-parties", json=relation(world, **changes))


def decide(world, relation_id, outcome, **more):
    world.clock.at += timedelta(minutes=1)
    body = {"outcome": outcome, "reason": "查证（虚构）", **more}
    return world.client("operator").post(
        f"/api/v1/related-parties/{relation_id}/decision", json=body
    )


def refuse(world, relation_id):
    assert decide(world, relation_id, "refused").status_code == 200


def post(world, hospital_id, **offer):
    """A need and an offer of caps; their ids."""
    need, made = new(world, "need"), new(world, "offer")
    answer = world.client("hospital").post(
        "/api/v1/needs",
        json={
            "id": need,
            "hospital_id": hospital_id,
            "item": "圆帽",
            "quantity": 100,
            "urgency": "high",
            "deadline_on": (DAY + timedelta(days=20)).isoformat(),
            "remaining_days_min": 0,
        },
    )
    assert answer.status_code == 201, answer.text
    answer = post_offer(world, made, **offer)
    assert answer.status_code == 201, answer.text
    return need, made


def post_offer(world, offer_id, **changes):
    return world.client("donor").post(
        "/api/v1/offers",
        json={
            "id": offer_id,
            "kind": "lot",
            "item": "cap",
            "quantity": 100,
            "place": PLACE,
            "available_on": DAY.isoformat(),
            "produced_on": (DAY - timedelta(days=10)).isoformat(),
            "expires_on": "2028-11-01",
            "batch_number": "虚构-1",
            "certificate": 2,
        }
        | changes,
    )


def withdraw(world, *ids):
    for one in ids:
        what, login = ("needs", "hospital") if one.startswith("need_") else ("offers", "donor")
        path = f"/api/v1/{what}/{one}/withdraw"
        assert world.client(login).post(path, json={"reason": "end of test"}).status_code == 200


def run_round(world):
    operator = world.client("operator")
    round_id = new(world, "rnd")
    answer = operator.post("/api/v1/rounds", json={"id": round_id, "as_of": DAY.isoformat()})
    assert answer.status_code == 201, answer.text
    lines = operator.get(f"/api/v1/allocations?round_id={round_id}&limit=100").json()
    return round_id, lines


def documents(world, round_id):
    return [
        world.client("operator").get(f"/api/v1/rounds/{round_id}/documents/{name}").json()
        for name in ("problem", "plan", "certificate")
    ]


def test_a_declared_relation_keeps_a_round_from_giving_and_says_why(world, hospital_id):
    made = declare(world)
    assert (made.status_code, made.json()["state"], made.json()["counts"]) == (
        201,
        "declared",
        True,
    )
    need, offer = post(world, hospital_id)
    round_id, lines = run_round(world)
    assert lines == []
    outcome = world.client("hospital").get(f"/api/v1/rounds/{round_id}/outcomes").json()
    (mine,) = [one for one in outcome if one["need"] == need]
    assert mine["reason"] == "donor.related_party"
    assert mine["reason_en"] == "excluded: related parties (donor and hospital)"
    assert mine["reason_zh"] == "已排除：捐赠人与受赠方为关联方"
    withdraw(world, need, offer)
    refuse(world, made.json()["id"])


def test_the_checker_refuses_a_plan_that_gives_to_a_related_party(world, hospital_id):
    need, offer = post(world, hospital_id)
    round_id, lines = run_round(world)
    assert [one["quantity"] for one in lines] == [100]
    problem, plan, certificate = documents(world, round_id)
    given = check_plan(
        problem_from_json(problem), plan_from_json(plan), certificate_from_json(certificate)
    )
    given.require()
    for lot in problem["lots"]:
        lot["related_to"] = [hospital_id]
    kept = problem_from_json(problem)
    report = check_plan(kept, plan_from_json(plan), certificate_from_json(certificate))
    assert report.verdict.value == "failed"
    answer = world.client("donor").post(
        f"/api/v1/allocations/{lines[0]['id']}/decline", json={"reason": "end of test"}
    )
    assert answer.status_code == 200
    withdraw(world, need, offer)


def test_a_line_of_before_cannot_be_accepted_once_its_sides_are_related(world, hospital_id):
    need, offer = post(world, hospital_id)
    _, (line,) = run_round(world)
    relation_id = declare(world, login="hospital", **_from_hospital(world)).json()["id"]
    accept = f"/api/v1/allocations/{line['id']}/accept"
    refused = world.client("donor").post(accept, json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "allocation.related_parties")
    refuse(world, relation_id)
    assert world.client("donor").post(accept, json={}).status_code == 200
    withdraw(world, need, offer)


def _from_hospital(world):
    return {
        "first_id": world.hospital.organisation_id,
        "second_id": world.donor.organisation_id,
        "kind": "subsidiary",
    }


def test_an_urgent_need_gets_nothing_from_a_related_party(world, hospital_id):
    offer = new(world, "offer")
    assert post_offer(world, offer).status_code == 201
    relation_id = declare(world).json()["id"]
    body = {
        "id": new(world, "need"),
        "hospital_id": hospital_id,
        "item": "圆帽",
        "quantity": 40,
        "deadline_on": (DAY + timedelta(days=2)).isoformat(),
        "reason": "虚构急需",
    }
    answer = world.client("hospital").post("/api/v1/urgent-needs", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["served"] == 0
    refuse(world, relation_id)
    # The living class was told: the same goods may reach the hospital now.
    again = world.client("hospital").post(
        "/api/v1/urgent-needs", json=body | {"id": new(world, "need")}
    )
    assert again.json()["served"] == 40
    withdraw(world, body["id"], offer)


def test_a_directed_gift_to_a_related_party_is_refused_when_it_is_offered(world, hospital_id):
    relation_id = declare(world).json()["id"]
    refused = post_offer(world, new(world, "offer"), directed_to=[hospital_id])
    assert (refused.status_code, refused.json()["code"]) == (422, "offer.directed_to_related")
    refuse(world, relation_id)
    offer = new(world, "offer")
    assert post_offer(world, offer, directed_to=[hospital_id]).status_code == 201
    withdraw(world, offer)


def test_a_relation_that_is_over_or_not_begun_keeps_nobody_apart(world, hospital_id):
    over = declare(world, valid_to="2020-01-01").json()
    later = declare(world, valid_from="2030-01-01").json()
    assert (over["counts"], later["counts"]) == (False, False)
    need, offer = post(world, hospital_id)
    _, lines = run_round(world)
    assert [one["quantity"] for one in lines] == [100]
    world.client("donor").post(
        f"/api/v1/allocations/{lines[0]['id']}/decline", json={"reason": "end of test"}
    )
    withdraw(world, need, offer)
    for one in (over, later):
        refuse(world, one["id"])


def test_only_an_operator_ends_a_relation_and_its_decisions_are_final(world):
    made = declare(world).json()["id"]
    path = f"/api/v1/related-parties/{made}"
    assert world.client("donor").post(f"{path}/decision", json={}).status_code == 403
    assert decide(world, made, "confirmed").json()["state"] == "confirmed"
    asked = world.client("hospital").post(f"{path}/end", json={"reason": "已转让（虚构）"})
    assert (asked.json()["end_reason"], asked.json()["counts"]) == ("已转让（虚构）", True)
    waiting = world.client("operator").get("/api/v1/related-parties?waiting=true").json()
    assert made in {one["id"] for one in waiting}
    assert decide(world, made, "confirmed").json()["end_reason"] is None
    early = decide(world, made, "ended", valid_to="2018-01-01")
    assert early.json()["code"] == "related.period"
    ended = decide(world, made, "ended", valid_to="2026-11-22").json()
    assert (ended["state"], ended["counts"]) == ("ended", False)
    assert decide(world, made, "confirmed").json()["code"] == "related.decided"
    late = world.client("donor").post(f"{path}/end", json={"reason": "x"})
    assert late.json()["code"] == "related.decided"


def test_evidence_is_kept_and_seen_by_both_sides(world):
    made = declare(world).json()["id"]
    path = f"/api/v1/related-parties/{made}/evidence"
    donor = world.client("donor")
    wrong = donor.post(path, files={"file": ("x.txt", b"hello")})
    assert wrong.json()["code"] == "related.evidence_type"
    large = donor.post(path, files={"file": ("x.pdf", PDF + bytes(5 * 1024 * 1024))})
    assert large.json()["code"] == "upload.too_large"
    assert donor.post(path, files={"file": ("x.pdf", PDF)}).status_code == 200
    assert world.client("hospital").get(path).content == PDF
    # Evidence belongs to whoever declared it.
    other = world.client("hospital").post(path, files={"file": ("x.pdf", PDF)})
    assert other.status_code == 404
    refuse(world, made)
    assert donor.post(path, files={"file": ("x.pdf", PDF)}).json()["code"] == "related.decided"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "friend"}, "related.kind"),
        ({"evidence": " "}, "related.evidence"),
        ({"valid_to": "2018-01-01"}, "related.period"),
        ({"second_id": "pty_01kdvdna00ncrmbvs7rqr9p8yr"}, "party.not_found"),
        ({"id": "rel_1"}, "id.malformed"),
    ],
)
def test_a_relation_that_says_nothing_is_refused(world, changes, code):
    assert declare(world, **changes).json()["code"] == code


def test_a_relation_to_oneself_or_between_others_is_refused(world):
    self = declare(world, second_id=world.donor.organisation_id)
    assert self.json()["code"] == "related.self"
    assert declare(world, login="hospital").status_code == 404


def test_the_same_declaration_twice_is_one_and_another_of_the_same_sides_is_refused(world):
    body = relation(world)
    donor = world.client("donor")
    first = donor.post("/api/v1/related-parties", json=body)
    assert donor.post("/api/v1/related-parties", json=body).json() == first.json()
    changed = donor.post("/api/v1/related-parties", json=body | {"kind": "other"})
    assert changed.json()["code"] == "state.exists_with_different_field"
    assert declare(world).json()["code"] == "related.exists"
    refuse(world, body["id"])


def test_an_operator_declares_from_a_public_register_and_that_is_confirmed(world):
    made = declare(world, login="operator").json()
    assert made["state"] == "confirmed"
    refuse(world, made["id"])


def test_the_page_declares_by_name_and_shows_faults_beside_their_fields(world):
    donor = world.client("donor")
    headers = {"accept": "text/html"}
    form = {
        "attempt": new(world, "rel"),
        "second": "没有这家",
        "kind": "parent",
        "evidence": "虚构登记",
        "valid_from": "2019-01-01",
    }
    wrong = donor.post("/related-parties?lang=zh", data=form, headers=headers)
    assert wrong.status_code == 404
    assert 'data-fault-of="second"' in wrong.text
    named = donor.get("/api/v1/related-parties?limit=1").json()[0]["second"]
    right = donor.post("/related-parties", data=form | {"second": named}, headers=headers)
    assert right.status_code == 200
    assert form["attempt"] in right.text
    reviewed = world.client("operator").post(
        f"/related-parties/{form['attempt']}/decision",
        data={"outcome": "refused", "reason": "虚构"},
        headers=headers,
    )
    assert reviewed.status_code == 200
    assert "未采纳" in donor.get("/related-parties?lang=zh", headers=headers).text


@pytest.mark.parametrize("page", ["/related-parties", "/supply/claims"])
def test_no_way_leads_an_operator_to_what_only_organisations_have(world, page):
    shown = world.client("operator").get(page)
    assert (shown.status_code, 'href="/supply"' in shown.text) == (200, False)
    own = world.client("donor").get(page)
    assert (own.status_code, 'href="/supply"' in own.text) == (200, True)
