"""Imported offers: claimed by an organisation, decided by the operator; then their lines can be accepted."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from api.callers import OPERATOR, Caller, Role
from api.flows import offer_claims, rounds
from api.flows.importing import generate_donor_lots, import_dataset
from ledger.core.ids import new_id
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.tables.notices import NoticeRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def ports(world):
    return world.app.state.shell.ports


@pytest.fixture(scope="module")
def matched(world, ports):
    """A round of the sample; the donor of its first line is nobody who is registered."""
    run = import_dataset(ports, OPERATOR, at=AT)
    generate_donor_lots(ports, OPERATOR, run_id=run.run_id, at=AT)
    round_id = new_id("rnd", at=AT)
    rounds.open_round(ports, OPERATOR, round_id=round_id, at=AT, as_of=run.as_of)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=round_id, at=AT)
    with transaction(ports.sessions) as session:
        lines = session.execute(
            select(AllocationRow, OfferRow)
            .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
            .where(AllocationRow.round_id == round_id, OfferRow.donor_kind == "organisation")
            .order_by(OfferRow.id)
        ).all()
        offers = sorted({offer.id for _, offer in lines})
        line = next(line for line, offer in lines if offer.id == offers[0])
        need = session.get_one(NeedRow, line.need_id)
        session.get_one(
            HospitalRow, need.hospital_id
        ).organisation_id = world.hospital.organisation_id
        return round_id, line.id, offers


def claim(client, offer, **changes):
    body = {
        "id": new_id("clm", at=AT),
        "offer_id": offer,
        "statement": "捐赠函 虚构-7，登记电话可核",
    } | changes
    return client.post("/api/v1/offer-claims", json=body), body


def decide(world, claim_id, outcome="confirmed", reason="called the number in the data"):
    return world.client("operator").post(
        f"/api/v1/offer-claims/{claim_id}/decision", json={"outcome": outcome, "reason": reason}
    )


def test_a_claimed_offers_line_is_accepted_once_the_operator_confirmed(world, ports, matched):
    _, line, offers = matched
    donor = world.client("donor")
    assert donor.post(f"/api/v1/allocations/{line}/accept").status_code == 404
    with transaction(ports.readers) as session:
        name = session.get_one(OfferRow, offers[0]).donor_name
    found = donor.get("/api/v1/unowned-offers", params={"donor": name, "limit": 100}).json()
    assert offers[0] in {one["id"] for one in found}
    answer, body = claim(donor, offers[0])
    assert (answer.status_code, answer.json()["state"]) == (201, "open")
    assert claim(donor, offers[0], id=body["id"])[0].json() == answer.json()
    # Not before the operator's word.
    assert donor.post(f"/api/v1/allocations/{line}/accept").status_code == 404
    assert decide(world, body["id"]).json()["state"] == "confirmed"
    assert decide(world, body["id"]).status_code == 200
    accepted = donor.post(f"/api/v1/allocations/{line}/accept")
    assert (accepted.status_code, accepted.json()["state"]) == (200, "accepted")
    found = donor.get("/api/v1/unowned-offers", params={"donor": name, "limit": 100}).json()
    assert offers[0] not in {one["id"] for one in found}
    with transaction(ports.readers) as session:
        kinds = [one.type for one in log_queries.entries_of(session, [body["id"]])]
        linked = [one.type for one in log_queries.entries_of(session, [offers[0]])]
        told = {
            (one.organisation_id, one.kind)
            for one in session.scalars(select(NoticeRow).where(NoticeRow.kind.startswith("round.")))
        }
    assert kinds == ["offer.claimed", "claim.decided"]
    assert "offer.linked" in linked
    assert (world.donor.organisation_id, "round.claim_confirmed") in told
    assert (world.hospital.organisation_id, "round.line_accepted") in told
    receipt = donor.get("/api/v1/offer-claims").json()
    assert [one["state"] for one in receipt] == ["confirmed"]
    assert world.client("hospital").get("/api/v1/offer-claims").json() == []


def test_of_two_claims_one_is_confirmed_and_the_other_refused(world, matched):
    _, _, offers = matched
    first, _ = claim(world.client("donor"), offers[1])
    second, _ = claim(world.client("hospital"), offers[1])
    assert decide(world, second.json()["id"]).json()["state"] == "confirmed"
    (mine,) = [
        one
        for one in world.client("donor").get("/api/v1/offer-claims").json()
        if one["id"] == first.json()["id"]
    ]
    assert (mine["state"], mine["reason"]) == ("refused", offer_claims.OTHER)
    late = decide(world, mine["id"])
    assert (late.status_code, late.json()["code"]) == (409, "offer.claim_decided")
    again, _ = claim(world.client("donor"), offers[1])
    assert (again.status_code, again.json()["code"]) == (409, "supply.linked_elsewhere")


def test_what_is_refused_says_why(world, ports, matched, monkeypatch):
    _, _, offers = matched
    donor = world.client("donor")
    for changes, status, code in (
        ({"statement": " "}, 422, "offer.claim_statement"),
        ({"id": "clm_bad"}, 422, "id.malformed"),
        ({"offer_id": new_id("offer", at=AT)}, 404, "not_found"),
    ):
        answer, _ = claim(donor, offers[2], **changes)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    first, body = claim(donor, offers[2])
    assert first.status_code == 201
    other, _ = claim(donor, offers[2], id=body["id"], statement="something else")
    assert (other.status_code, other.json()["context"]["field"]) == (409, "statement")
    twice, _ = claim(donor, offers[2])
    assert twice.json()["code"] == "offer.claimed_before"
    with monkeypatch.context() as patch:
        patch.setattr(offer_claims, "OPEN_CLAIMS_MAX", 1)
        many, _ = claim(donor, offers[3])
        assert many.json()["code"] == "offer.claims_open"
    empty = decide(world, body["id"], reason=" ")
    assert empty.json()["code"] == "supply.reason"
    assert decide(world, body["id"], "refused", "nobody there knows of it").json()["state"] == (
        "refused"
    )
    # A refused claim does not bar a better one, and that one can be taken back.
    better, body = claim(donor, offers[2])
    assert better.status_code == 201
    withdrawn = donor.post(f"/api/v1/offer-claims/{body['id']}/withdraw")
    assert withdrawn.json()["state"] == "withdrawn"
    assert donor.post(f"/api/v1/offer-claims/{body['id']}/withdraw").status_code == 200
    assert decide(world, body["id"]).json()["code"] == "offer.claim_decided"
    del ports


def test_a_person_in_the_data_is_never_listed_and_never_claimed(world, ports, matched):
    with transaction(ports.sessions) as session:
        row = session.get_one(OfferRow, matched[2][4])
        row.donor_kind, row.donor_name = "individual", "虚构个人"
    donor = world.client("donor")
    found = donor.get("/api/v1/unowned-offers", params={"donor": "虚构个人"}).json()
    assert found == []
    assert claim(donor, matched[2][4])[0].status_code == 404


def test_the_page_claims_and_decides_and_says_what_is_wrong(world, matched):
    donor, operator = world.client("donor"), world.client("operator")
    page = donor.get("/supply/claims").text
    assert 'name="attempt"' in page
    wrong = donor.post(
        "/supply/claims",
        data={"attempt": new_id("clm", at=AT), "offer_id": matched[2][3], "statement": ""},
    )
    assert wrong.status_code == 422
    attempt = new_id("clm", at=AT)
    form = {"attempt": attempt, "offer_id": matched[2][3], "statement": "虚构函 8"}
    done = donor.post("/supply/claims", data=form, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, f"/supply/claims#{attempt}")
    assert "虚构函 8" in operator.get("/supply/claims").text
    done = operator.post(
        f"/supply/claims/{attempt}/decision",
        data={"outcome": "refused", "reason": "虚构理由"},
        follow_redirects=False,
    )
    assert done.status_code == 303
    assert "虚构理由" in donor.get("/supply/claims").text


def test_donors_and_hospitals_are_told_of_lines_and_mark_it_seen(world, ports, matched):
    round_id, line, _ = matched
    donor = world.client("donor")
    with transaction(ports.sessions) as session:
        row = session.get_one(AllocationRow, line)
        others = session.scalars(
            select(AllocationRow).where(
                AllocationRow.round_id == round_id, AllocationRow.state == "proposed"
            )
        ).all()
        open_line = next(
            one
            for one in others
            if session.get_one(OfferRow, one.offer_id).donor_kind == "organisation"
        )
        session.get_one(OfferRow, open_line.offer_id).organisation_id = world.donor.organisation_id
        need = session.get_one(NeedRow, open_line.need_id)
        session.get_one(
            HospitalRow, need.hospital_id
        ).organisation_id = world.hospital.organisation_id
        name = open_line.id
        del row
    caller = Caller(
        world.donor.account_id,
        world.donor.person_id,
        world.donor.organisation_id,
        frozenset({Role.HANDLER}),
    )
    with transaction(ports.sessions) as session:
        rounds.decline_allocation(session, ports, caller, allocation_id=name, reason="虚构", at=AT)
    hospital = world.client("hospital")
    page = hospital.get("/rounds").text
    assert "捐赠方谢绝了给贵院的一条分配" in page
    assert f"/rounds/{round_id}#lines" in page
    assert hospital.post("/rounds/notices/seen", follow_redirects=False).status_code == 303
    assert "捐赠方谢绝了给贵院的一条分配" not in hospital.get("/rounds").text
    del donor
