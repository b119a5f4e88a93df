"""Limits, shared resources, lanes and services from the request to the recorded round, over HTTP."""

from datetime import date, timedelta

import pytest

from api.flows.registration import register
from api.testing import invented_registration
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.supply import HospitalRow
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
FAR = {
    "province": "四川",
    "city": "成都市",
    "longitude_micro": 104_066_000,
    "latitude_micro": 30_573_000,
}


def new(world, prefix):
    return new_id(prefix, at=world.clock.at)


@pytest.fixture(scope="module")
def ports(world):
    return world.app.state.shell.ports


@pytest.fixture(scope="module")
def carrier(world, ports):
    register(
        ports, invented_registration("carrier", "carrier", at=world.clock.at), at=world.clock.at
    )
    return world.client("carrier")


def hospital_row(world, ports, name, organisation_id):
    """Hospitals come from a data set and are linked by the operator; here the row is made at once."""
    with transaction(ports.sessions) as session:
        row = HospitalRow(
            id=new(world, "hos"),
            organisation_id=organisation_id,
            name=name,
            province=PLACE["province"],
            city=PLACE["city"],
            district="",
            adcode="420100",
            longitude_micro=PLACE["longitude_micro"],
            latitude_micro=PLACE["latitude_micro"],
            precision="point",
            agency=False,
            front=False,
            scale_percent=100,
            invented=True,
            created_at=world.clock.at,
        )
        session.add(row)
        return row.id


@pytest.fixture(scope="module")
def hospitals(world, ports):
    return [
        hospital_row(world, ports, f"虚构医院{number}", world.hospital.organisation_id)
        for number in range(3)
    ]


def post_need(world, hospital, **changes):
    body = {
        "id": new(world, "need"),
        "hospital_id": hospital,
        "item": "圆帽",
        "quantity": 100,
        "urgency": "high",
        "deadline_on": (DAY + timedelta(days=20)).isoformat(),
        "remaining_days_min": 0,
    }
    return world.client("hospital").post("/api/v1/needs", json=body | changes)


@pytest.fixture(scope="module")
def newcomer(world, ports):
    """A donor that gave nothing yet: limits over all rounds count what other tests gave, too."""
    register(
        ports, invented_registration("newcomer", "donor", at=world.clock.at), at=world.clock.at
    )
    return "newcomer"


def post_offer(world, login="donor", **changes):
    body = {
        "id": new(world, "offer"),
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
    if changes.get("kind") == "capacity":
        body |= {"produced_on": None, "expires_on": None, "batch_number": ""}
    return world.client(login).post("/api/v1/offers", json=body | changes)


def post_resource(world, **changes):
    body = {
        "id": new(world, "res"),
        "kind": "line",
        "name": "一号线",
        "unit": "minute",
        "capacity": 480,
        "available_on": DAY.isoformat(),
        "windows": 5,
    }
    return world.client("donor").post("/api/v1/resources", json=body | changes)


def withdraw_all(world):
    """Each test leaves the tables without open needs and offers."""
    reason = {"reason": "end of test"}
    for login, what in (("hospital", "needs"), ("donor", "offers"), ("donor", "resources")):
        client = world.client(login)
        for row in client.get(f"/api/v1/{what}?limit=100").json():
            if row["state"] == "open":
                answer = client.post(f"/api/v1/{what}/{row['id']}/withdraw", json=reason)
                assert answer.status_code == 200, answer.text


@pytest.fixture(autouse=True)
def clean(world):
    yield
    withdraw_all(world)


def run_round(world):
    """A round of today: its facts and its lines, and the stored documents accepted by the checker anew."""
    operator = world.client("operator")
    round_id = new(world, "rnd")
    answer = operator.post("/api/v1/rounds", json={"id": round_id, "as_of": DAY.isoformat()})
    assert answer.status_code == 201, answer.text
    documents = [
        operator.get(f"/api/v1/rounds/{round_id}/documents/{name}").json()
        for name in ("problem", "plan", "certificate")
    ]
    problem = problem_from_json(documents[0])
    report = check_plan(problem, plan_from_json(documents[1]), certificate_from_json(documents[2]))
    report.require()
    lines = operator.get(f"/api/v1/allocations?round_id={round_id}&limit=100").json()
    return answer.json(), lines, problem


def code_of(answer):
    return answer.json()["code"]


def test_packs_and_smallest_lines_are_kept_and_the_gap_is_said_in_pieces(world, hospitals):
    assert post_need(world, hospitals[0], quantity=70).status_code == 201
    assert post_need(world, hospitals[1], quantity=50).status_code == 201
    made = post_offer(world, quantity=120, pack=40, smallest=40)
    assert (made.status_code, made.json()["pack"], made.json()["smallest"]) == (201, 40, 40)
    facts, lines, problem = run_round(world)
    assert problem.tag == "fuqi/problem/v2"
    assert sorted(line["quantity"] for line in lines) == [40, 40]
    gap = facts["summary"]["gap"]
    # 40 pieces are left in the lot, and the needs lack 40.
    assert 0 < gap["more_pieces"] <= 40
    assert gap["more_critical"] == 0
    assert 0 < gap["weight"] <= gap["of_weight"]
    codes = [check["code"] for check in facts["report"]["checks"]]
    assert "certificate.gap" in codes
    assert "certificate.optimal" not in codes
    page = world.client("operator").get(
        f"/rounds/{facts['id']}?lang=zh", headers={"accept": "text/html"}
    )
    assert f"最多还能多满足 {gap['more_pieces']} 件" in page.text
    english = world.client("operator").get(
        f"/rounds/{facts['id']}?lang=en", headers={"accept": "text/html"}
    )
    assert f"At most {gap['more_pieces']} more pieces could be served" in english.text
    assert "not proven best: at most" in english.text
    assert "Proven: no better plan exists" not in english.text


def test_a_round_without_limits_is_proven_best_and_says_so(world, hospitals):
    post_need(world, hospitals[0])
    post_offer(world)
    facts, lines, problem = run_round(world)
    assert (problem.tag, facts["summary"]["gap"]) == ("fuqi/problem/v1", None)
    assert [line["quantity"] for line in lines] == [100]
    page = world.client("operator").get(
        f"/rounds/{facts['id']}?lang=zh", headers={"accept": "text/html"}
    )
    assert "已证明不存在更好的方案" in page.text


def test_what_is_left_below_a_pack_goes_nowhere_and_stops_no_round(world, hospitals):
    post_need(world, hospitals[0], quantity=100)
    post_offer(world, quantity=90, pack=60)
    post_offer(world, quantity=5)
    _, first, _ = run_round(world)
    assert sorted(line["quantity"] for line in first) == [5, 60]
    post_offer(world, quantity=1)
    _, second, problem = run_round(world)
    # 30 are left of 90, less than a pack.
    assert [line["quantity"] for line in second] == [1]
    assert all(lot.pack == 1 for lot in problem.lots)


def test_a_donor_is_split_to_so_many_hospitals_over_all_rounds(world, hospitals, newcomer):
    for hospital in hospitals:
        assert post_need(world, hospital, quantity=30).status_code == 201
    made = post_offer(world, newcomer, quantity=300, receivers_max=2)
    assert made.json()["receivers_max"] == 2
    _, lines, _ = run_round(world)
    assert len({line["hospital"] for line in lines}) == 2
    post_need(world, hospitals[0], quantity=10)
    post_need(world, hospitals[1], quantity=10)
    post_need(world, hospitals[2], quantity=10)
    _, more, _ = run_round(world)
    # The same two again, though a third still lacks everything.
    assert {line["hospital"] for line in more} == {line["hospital"] for line in lines}
    rest = {"reason": "end of test"}
    address = f"/api/v1/offers/{made.json()['id']}/withdraw"
    assert world.client(newcomer).post(address, json=rest).status_code == 200


def test_a_line_shared_by_two_products_is_never_used_beyond_its_minutes(world, hospitals):
    post_need(world, hospitals[0], quantity=1000, item="圆帽")
    post_need(world, hospitals[1], quantity=1000, item="鞋套")
    resource = post_resource(world)
    assert resource.status_code == 201
    shared = {"kind": "capacity", "resource_id": resource.json()["id"]}
    start = (DAY + timedelta(days=1)).isoformat()
    for item, takes in (("cap", 2), ("shoe_cover", 3)):
        made = post_offer(
            world, **shared, item=item, quantity=200, windows=2, per_unit=takes, available_on=start
        )
        assert made.status_code == 201, made.text
    facts, lines, problem = run_round(world)
    assert len(problem.resources) == 2
    takes = {"cap": 2, "shoe_cover": 3}
    for window in (0, 1):
        used = sum(
            line["quantity"] * takes[line["item"]] for line in lines if line["window"] == window
        )
        assert 0 < used <= 480
    gap = facts["summary"]["gap"]
    assert gap is None or gap["weight"] * 50 <= gap["of_weight"]
    # What the first round holds of the line's days is gone for the second.
    post_need(world, hospitals[2], quantity=1000, item="圆帽")
    post_offer(world, quantity=1)
    _, _, again = run_round(world)
    for one in again.resources:
        assert one.capacity < 480
    reason = {"reason": "x"}
    address = f"/api/v1/resources/{resource.json()['id']}/withdraw"
    assert code_of(world.client("donor").post(address, json=reason)) == "resource.in_use"


def test_each_service_of_the_issue_is_needed_offered_and_matched(world, hospitals):
    services = ("设计服务", "仿真服务", "实验服务", "加工服务", "采购服务")
    items = ("design", "simulation", "experiment", "processing", "procurement")
    team = post_resource(world, kind="service", name="工程师", unit="hour", capacity=20).json()
    for word, item in zip(services, items, strict=True):
        assert post_need(world, hospitals[0], item=word, quantity=8).status_code == 201
        made = post_offer(
            world,
            kind="capacity",
            item=f"service_{item}",
            quantity=8,
            resource_id=team["id"],
            per_unit=1,
        )
        assert made.status_code == 201, made.text
    _, lines, _ = run_round(world)
    assert sum(line["quantity"] for line in lines) == 20
    assert len({line["item"] for line in lines}) >= 3
    board = world.anyone.get("/api/v1/board?limit=50").json()
    assert "仿真服务" in {one["zh"] for one in board["items"]}


def test_a_carrier_opens_a_way_for_the_days_it_says_and_closes_it(world, hospitals, carrier):
    post_need(world, hospitals[0])
    post_offer(world, place=FAR)
    body = {"destination": PLACE, "open_from": (DAY + timedelta(days=1)).isoformat()}
    refused = world.client("donor").post("/api/v1/lanes", json={"id": new(world, "lane")} | body)
    assert (refused.status_code, code_of(refused)) == (403, "lane.carrier_only")
    later = carrier.post("/api/v1/lanes", json={"id": new(world, "lane")} | body)
    assert later.status_code == 201, later.text
    _, lines, problem = run_round(world)
    assert (lines, problem.lanes) == ([], ())
    body |= {"open_from": DAY.isoformat(), "origin": "四川"}
    lane = carrier.post("/api/v1/lanes", json={"id": new(world, "lane")} | body).json()
    _, lines, problem = run_round(world)
    assert [line["quantity"] for line in lines] == [100]
    assert [one.id for one in problem.lanes] == [lane["id"]]
    for one in (later.json(), lane):
        for _ in range(2):
            gone = carrier.post(f"/api/v1/lanes/{one['id']}/withdraw", json={"reason": "车辆检修"})
            assert gone.json()["state"] == "withdrawn"
    post_offer(world, place=FAR)
    post_need(world, hospitals[1])
    _, lines, problem = run_round(world)
    assert (lines, problem.lanes) == ([], ())


def test_gifts_of_individuals_go_only_where_a_carrier_takes_them(world, hospitals, carrier):
    post_need(world, hospitals[0])
    gift = post_offer(world, place=FAR, donor_kind="individual")
    assert gift.json()["donor_kind"] == "individual"
    body = {"destination": PLACE, "open_from": DAY.isoformat()}
    lane = carrier.post("/api/v1/lanes", json={"id": new(world, "lane")} | body).json()
    facts, lines, _ = run_round(world)
    assert lines == []
    assert facts["summary"]["reasons"] == {"lane.individuals_refused": 1}
    open_to_all = {"id": new(world, "lane"), "individuals": True} | body
    other = carrier.post("/api/v1/lanes", json=open_to_all).json()
    _, lines, _ = run_round(world)
    assert len(lines) == 1
    for one in (lane, other):
        carrier.post(f"/api/v1/lanes/{one['id']}/withdraw", json={"reason": "x"})


def test_directed_and_related_hospitals_and_the_donors_own_are_respected(world, ports, hospitals):
    own = hospital_row(world, ports, "捐赠方自己的医院", world.donor.organisation_id)
    need = {
        "id": new(world, "need"),
        "hospital_id": own,
        "item": "圆帽",
        "quantity": 100,
        "urgency": "critical",
        "deadline_on": (DAY + timedelta(days=20)).isoformat(),
        "remaining_days_min": 0,
    }
    assert world.client("donor").post("/api/v1/needs", json=need).status_code == 201
    for hospital in hospitals:
        post_need(world, hospital)
    post_offer(world, directed_to=[hospitals[2]], quantity=50)
    post_offer(world, related_to=[hospitals[0]], quantity=50)
    _, lines, _ = run_round(world)
    to = sorted((line["quantity"], line["hospital"]) for line in lines)
    # Never to the donor's own hospital, though its need is the most urgent.
    assert sum(quantity for quantity, _ in to) == 100
    assert {name for _, name in to} <= {"虚构医院1", "虚构医院2"}
    reason = {"reason": "x"}
    world.client("donor").post(f"/api/v1/needs/{need['id']}/withdraw", json=reason)


def test_a_hospital_may_ask_for_a_higher_certificate_and_never_for_a_lower(world, hospitals):
    low = post_need(world, hospitals[0], item="医用外科口罩", certificate_min=0)
    assert (low.status_code, code_of(low)) == (422, "need.certificate_below_item")
    high = post_need(world, hospitals[0], certificate_min=2, sterile=True)
    assert (high.json()["certificate_min"], high.json()["sterile"]) == (2, True)
    post_offer(world, certificate=1, sterile=True)
    facts, lines, _ = run_round(world)
    assert (lines, facts["summary"]["reasons"]) == ([], {"certificate.too_low": 1})


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"quantity": 0}, 422, "offer.quantity_zero"),
        ({"quantity": -5}, 422, "offer.quantity_negative"),
        ({"quantity": 10**12 + 1}, 422, "offer.quantity_limit"),
        ({"quantity": 2**63}, 422, "offer.quantity_limit"),
        ({"quantity": 10**40}, 422, "offer.quantity_limit"),
        ({"pack": 0}, 422, "offer.pack"),
        ({"pack": 101}, 422, "offer.pack"),
        ({"smallest": -1}, 422, "offer.pack"),
        ({"receivers_max": 0}, 422, "offer.receivers_max"),
        ({"receivers_max": 10**9}, 422, "offer.receivers_max"),
        ({"per_unit": 3}, 422, "offer.resource"),
        ({"expires_on": "2026-11-01", "item": "mask_surgical"}, 422, "offer.dates"),
        ({"expires_on": "2026-11-20", "item": "mask_surgical"}, 422, "offer.expired"),
        ({"available_on": "2026-11-01"}, 422, "offer.dates"),
        ({"available_on": "9999-12-31"}, 422, "offer.dates"),
        ({"kind": "capacity", "windows": 91}, 422, "offer.windows"),
        ({"kind": "capacity", "windows": 0}, 422, "offer.windows"),
        (
            {"kind": "capacity", "available_on": "2026-11-01", "windows": 3},
            422,
            "offer.window_past",
        ),
        # Its last day is made after the goods expire, or lies, or they expire, beyond the last year.
        ({"kind": "capacity", "windows": 30, "expires_on": "2026-12-01"}, 422, "offer.dates"),
        ({"kind": "capacity", "windows": 30, "available_on": "2099-12-25"}, 422, "offer.dates"),
        ({"kind": "capacity", "available_on": "2099-10-01"}, 422, "offer.dates"),
        ({"directed_to": ["hos_nobody"]}, 404, "offer.hospital_not_found"),
        ({"item": "service_astrology"}, 422, "item.unknown"),
        ({"id": "offer_x"}, 422, "id.malformed"),
    ],
    ids=str,
)
def test_an_impossible_offer_is_refused_by_name(world, changes, status, code):
    if changes.get("expires_on") == "2026-11-01":
        changes |= {"produced_on": "2026-11-10"}
    answer = post_offer(world, **changes)
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resource_id": "res_nobody", "per_unit": 1}, "resource.not_found"),
        ({"kind": "lot", "per_unit": 1}, "offer.resource_of_lot"),
        ({"per_unit": 0}, "offer.resource"),
        ({"per_unit": 481}, "offer.resource_capacity"),
        ({"per_unit": 1, "windows": 6}, "offer.resource_window"),
        ({"per_unit": 1, "available_on": "2026-11-22", "windows": 3}, "offer.resource_window"),
    ],
    ids=str,
)
def test_a_capacity_that_its_resource_cannot_make_is_refused(world, changes, code):
    line = post_resource(world).json()["id"]
    answer = post_offer(world, **({"kind": "capacity", "resource_id": line} | changes))
    assert code_of(answer) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"capacity": 0}, "resource.invalid"),
        ({"capacity": 2**63}, "resource.invalid"),
        ({"name": "  "}, "resource.name"),
        ({"windows": 0}, "resource.windows"),
        ({"windows": 91}, "resource.windows"),
        ({"available_on": "2026-11-01", "windows": 5}, "resource.window_past"),
        ({"available_on": "2150-01-01"}, "resource.windows"),
        ({"kind": "moon"}, "input.invalid"),
    ],
    ids=str,
)
def test_an_impossible_resource_is_refused_by_name(world, changes, code):
    assert code_of(post_resource(world, **changes)) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"origin": "火星"}, "lane.origin_unknown"),
        ({"destination": PLACE | {"province": "火星"}}, "lane.place"),
        ({"destination": PLACE | {"city": ""}}, "lane.place"),
        ({"open_to": "2026-11-22"}, "lane.dates"),
        ({"open_from": "2026-11-01", "open_to": "2026-11-20"}, "lane.dates"),
    ],
    ids=str,
)
def test_an_impossible_lane_is_refused_by_name(world, carrier, changes, code):
    body = {"id": new(world, "lane"), "destination": PLACE, "open_from": DAY.isoformat()}
    assert code_of(carrier.post("/api/v1/lanes", json=body | changes)) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": 0}, "need.quantity_zero"),
        ({"quantity": 2**63}, "need.quantity_limit"),
        ({"deadline_on": "2026-11-22"}, "need.deadline_past"),
        ({"deadline_on": "9999-12-31"}, "need.deadline"),
        ({"item": "没有这种物资"}, "item.unknown"),
        ({"item": "圆帽|设计服务"}, "item.classes_mixed"),
    ],
    ids=str,
)
def test_an_impossible_need_is_refused_by_name(world, hospitals, changes, code):
    assert code_of(post_need(world, hospitals[0], **changes)) == code


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "standard.not_declared"),
        ({"standard": "YY 0469"}, "standard.not_declared"),
        ({"standard": "GB 19083", "edition": "2010"}, "standard.not_declared"),
        ({"standard": "YY 0469", "edition": "1999"}, "standard.edition_unknown"),
        (
            {"standard": "YY 0469", "edition": "2004"},
            "standard.edition_not_valid_at_production",
        ),
        ({"standard": "YY 0469", "edition": "2011", "certificate": 0}, "certificate.too_low"),
        ({"standard": "YY 0469", "edition": "2011"}, None),
    ],
    ids=str,
)
def test_a_donor_is_told_at_once_that_no_need_may_take_it(world, changes, reason):
    made = post_offer(world, item="mask_surgical", **changes)
    assert made.json()["unusable"] == reason
    page = world.client("donor").get("/supply?lang=en", headers={"accept": "text/html"})
    assert ("No need may take it" in page.text) == (reason is not None)


def test_the_same_id_with_other_limits_is_a_conflict_and_the_same_body_is_not(world):
    offer_id = new(world, "offer")
    first = post_offer(world, id=offer_id, pack=10)
    assert post_offer(world, id=offer_id, pack=10).json() == first.json()
    answer = post_offer(world, id=offer_id, pack=20)
    assert (answer.status_code, code_of(answer)) == (409, "state.exists_with_different_field")
    assert answer.json()["context"]["field"] == "pack"
    line = post_resource(world)
    assert post_resource(world, id=line.json()["id"]).json() == line.json()
    other = post_resource(world, id=line.json()["id"], capacity=481)
    assert code_of(other) == "state.exists_with_different_field"


def test_nobody_sees_or_withdraws_what_is_anothers(world, carrier):
    line = post_resource(world).json()
    hospital = world.client("hospital")
    assert hospital.get("/api/v1/resources").json() == []
    address = f"/api/v1/resources/{line['id']}/withdraw"
    assert hospital.post(address, json={"reason": "x"}).status_code == 404
    stranger = carrier.post(
        "/api/v1/offers",
        json={
            "id": new(world, "offer"),
            "kind": "capacity",
            "item": "cap",
            "quantity": 1,
            "place": PLACE,
            "available_on": DAY.isoformat(),
            "resource_id": line["id"],
            "per_unit": 1,
        },
    )
    assert code_of(stranger) == "resource.not_found"
