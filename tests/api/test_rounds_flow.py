"""Needs, offers and allocations through the flows: who may, what is refused, what is said twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from api.callers import OPERATOR, Caller, Role
from api.flows import rounds, supply
from api.flows.importing import import_dataset
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    ForbiddenError,
    InputError,
    NotFoundError,
)
from ledger.core.ids import new_id
from ledger.entry_types import ENTRY_TYPES
from ledger.queries import supply as queries
from ledger.store import transaction
from ledger.tables.log import EntryRow
from ledger.tables.supply import HospitalRow
from matching.problem import Place

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DAY = AT.date()
WUHAN = Place("湖北", "武汉市", 114_305_469, 30_593_175)

needs_types = pytest.mark.skipif(
    not {"hospital.linked", "offer.linked", "allocation.declined"} <= set(ENTRY_TYPES),
    reason="ledger/entry_types.py does not name hospital.linked, offer.linked, allocation.declined yet",
)


@pytest.fixture(scope="module")
def ports(world):
    return world.app.state.shell.ports


def caller(tenant):
    return Caller(
        tenant.account_id, tenant.person_id, tenant.organisation_id, frozenset({Role.HANDLER})
    )


@pytest.fixture(scope="module")
def donor(world):
    return caller(world.donor)


@pytest.fixture(scope="module")
def nurse(world):
    return caller(world.hospital)


@pytest.fixture(scope="module")
def hospital(world, ports):
    """A hospital of the sample behind which the registered organisation stands."""
    import_dataset(ports, OPERATOR, at=AT)
    with transaction(ports.sessions) as session:
        row = session.scalars(select(HospitalRow).where(HospitalRow.source_key == "S0001")).one()
        # Set here and not by `link_hospital`, which has its own test.
        row.organisation_id = world.hospital.organisation_id
        return row.id


@pytest.fixture(scope="module")
def other_hospital(ports, hospital):
    with ports.sessions() as session:
        return session.scalars(
            select(HospitalRow.id).where(HospitalRow.source_key == "S0004")
        ).one()


@pytest.fixture
def session(ports):
    with transaction(ports.sessions) as session:
        yield session


def need(hospital, **changes):
    base = supply.NewNeed(
        id=new_id("need", at=AT),
        hospital_id=hospital,
        item="医用外科口罩",
        specification="YY0469-2011",
        quantity=500,
        tier=0,
        deadline_on=DAY + timedelta(days=7),
    )
    return replace(base, **changes)


def offer(**changes):
    base = supply.NewOffer(
        id=new_id("offer", at=AT),
        kind="lot",
        item="mask_surgical",
        quantity=400,
        place=WUHAN,
        available_on=DAY,
        produced_on=DAY - timedelta(days=60),
        expires_on=DAY + timedelta(days=600),
        batch_number="虚构-1",
        standard="YY 0469",
        edition="2011",
        certificate=2,
    )
    return replace(base, **changes)


def test_a_need_is_posted_once_and_recorded(session, ports, nurse, hospital):
    wanted = need(hospital)
    first = supply.post_need(session, ports, nurse, wanted, at=AT)
    again = supply.post_need(session, ports, nurse, wanted, at=AT + timedelta(hours=1))
    assert again is first
    assert (first.item, first.standard, first.edition, first.state) == (
        "mask_surgical",
        "YY 0469",
        "2011",
        "open",
    )
    kinds = session.scalars(select(EntryRow.type).where(EntryRow.subject == first.id)).all()
    assert kinds == ["need.posted"]


def test_the_same_id_with_another_body_names_the_field(session, ports, nurse, hospital):
    wanted = need(hospital)
    supply.post_need(session, ports, nurse, wanted, at=AT)
    with pytest.raises(ExistsWithDifferentFieldError) as fault:
        supply.post_need(session, ports, nurse, replace(wanted, quantity=501), at=AT)
    assert fault.value.context["field"] == "quantity"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": -1}, "need.quantity_negative"),
        ({"quantity": 0}, "need.quantity_zero"),
        ({"item": "呼吸机配件"}, "item.unknown"),
        ({"tier": 5}, "need.tier"),
        ({"deadline_on": DAY - timedelta(days=1)}, "need.deadline_past"),
        ({"id": "need_1"}, "id.malformed"),
    ],
)
def test_a_need_that_makes_no_sense_is_refused(session, ports, nurse, hospital, changes, code):
    with pytest.raises(InputError) as fault:
        supply.post_need(session, ports, nurse, need(hospital, **changes), at=AT)
    assert fault.value.error_code == code


def test_another_organisations_hospital_is_not_found(session, ports, donor, hospital):
    for place in (hospital, "hos_none"):
        with pytest.raises(NotFoundError) as fault:
            supply.post_need(session, ports, donor, need(place), at=AT)
        assert fault.value.error_code == "not_found"


def test_an_arbitrator_posts_nothing(session, ports, nurse, hospital):
    reader = replace(nurse, roles=frozenset({Role.ARBITRATOR}))
    with pytest.raises(ForbiddenError):
        supply.post_need(session, ports, reader, need(hospital), at=AT)
    with pytest.raises(ForbiddenError):
        supply.post_offer(session, ports, reader, offer(), at=AT)


def test_an_offer_is_posted_once_and_recorded(session, ports, donor):
    given = offer()
    first = supply.post_offer(session, ports, donor, given, at=AT)
    assert supply.post_offer(session, ports, donor, given, at=AT) is first
    assert (first.state, first.generated) == ("open", False)
    with pytest.raises(ExistsWithDifferentFieldError):
        supply.post_offer(session, ports, donor, replace(given, quantity=1), at=AT)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"expires_on": DAY}, "offer.expired"),
        ({"quantity": -1}, "offer.quantity_negative"),
        ({"quantity": 0}, "offer.quantity_zero"),
        ({"item": "nothing"}, "item.unknown"),
        ({"kind": "loan"}, "offer.kind"),
        ({"windows": 2}, "offer.windows"),
        ({"produced_on": None}, "offer.produced_missing"),
        ({"expires_on": None}, "offer.expiry_missing"),
        ({"batch_number": " "}, "offer.batch_number"),
        ({"expires_on": DAY - timedelta(days=100)}, "offer.dates"),
        ({"certificate": 7}, "offer.certificate"),
        ({"donor_kind": "ghost"}, "offer.donor_kind"),
        ({"place": replace(WUHAN, latitude_micro=10**9)}, "offer.place"),
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(session, ports, donor, changes, code):
    with pytest.raises(InputError) as fault:
        supply.post_offer(session, ports, donor, offer(**changes), at=AT)
    assert fault.value.error_code == code


def test_an_offer_names_only_hospitals_that_exist(session, ports, donor, hospital):
    with pytest.raises(NotFoundError) as fault:
        supply.post_offer(session, ports, donor, offer(directed_to=("hos_none",)), at=AT)
    assert fault.value.error_code == "offer.hospital_not_found"
    both = offer(directed_to=(hospital,), related_to=(hospital,))
    with pytest.raises(InputError) as wrong:
        supply.post_offer(session, ports, donor, both, at=AT)
    assert wrong.value.error_code == "offer.directed_to_related"


def test_what_is_withdrawn_stays_withdrawn_and_foreign_ids_are_not_found(
    session, ports, donor, nurse, hospital
):
    mine = supply.post_need(session, ports, nurse, need(hospital), at=AT)
    gift = supply.post_offer(session, ports, donor, offer(), at=AT)
    with pytest.raises(NotFoundError):
        supply.withdraw_need(session, ports, donor, need_id=mine.id, reason="x", at=AT)
    with pytest.raises(NotFoundError):
        supply.withdraw_offer(session, ports, nurse, offer_id=gift.id, reason="x", at=AT)
    with pytest.raises(InputError):
        supply.withdraw_need(session, ports, nurse, need_id=mine.id, reason=" ", at=AT)
    for _ in range(2):
        row = supply.withdraw_need(session, ports, nurse, need_id=mine.id, reason="够了", at=AT)
        assert row.state == "withdrawn"
        other = supply.withdraw_offer(session, ports, donor, offer_id=gift.id, reason="收回", at=AT)
        assert other.state == "withdrawn"
    kinds = session.scalars(select(EntryRow.type).where(EntryRow.subject == mine.id)).all()
    assert sorted(kinds) == ["need.posted", "need.withdrawn"]


@pytest.fixture(scope="module")
def matched(ports, donor, nurse, hospital):
    """A closed round on today's needs and offers: one directed gift, one capacity."""
    with transaction(ports.sessions) as session:
        wanted = supply.post_need(
            session, ports, nurse, need(hospital, item="圆帽", specification=""), at=AT
        )
        gift = supply.post_offer(
            session,
            ports,
            donor,
            offer(item="cap", standard=None, edition=None, quantity=300, directed_to=(hospital,)),
            at=AT,
        )
        line = supply.post_offer(
            session,
            ports,
            donor,
            offer(
                kind="capacity",
                item="cap",
                standard=None,
                edition=None,
                quantity=50,
                windows=3,
                batch_number="",
                produced_on=None,
                expires_on=None,
            ),
            at=AT,
        )
    found = rounds.open_round(ports, OPERATOR, round_id=new_id("rnd", at=AT), at=AT)
    with pytest.raises(ConflictError) as fault, transaction(ports.sessions) as session:
        supply.withdraw_offer(session, ports, donor, offer_id=gift.id, reason="x", at=AT)
    assert fault.value.error_code == "round.in_progress"
    closed = rounds.solve_and_close_round(ports, OPERATOR, round_id=found.id, at=AT)
    return closed, wanted, gift, line


def test_gift_and_capacity_windows_are_both_allocated(session, matched):
    closed, wanted, _, line = matched
    lines = queries.allocations_page(session, round_id=closed.id, need_id=wanted.id, limit=100)
    amounts = sorted((row.offer_id == line.id, row.window, row.quantity) for row, *_ in lines)
    assert amounts == [(False, 0, 300), (True, 0, 50), (True, 1, 50), (True, 2, 50)]


def test_the_donors_side_accepts_and_nobody_else(session, ports, matched, donor, nurse):
    closed, _, gift, _ = matched
    ((row, *_),) = queries.allocations_page(session, round_id=closed.id, offer_id=gift.id)
    with pytest.raises(NotFoundError):
        rounds.accept_allocation(session, ports, nurse, allocation_id=row.id, at=AT)
    with pytest.raises(NotFoundError):
        rounds.accept_allocation(session, ports, donor, allocation_id="alloc_none", at=AT)
    for _ in range(2):
        taken = rounds.accept_allocation(session, ports, donor, allocation_id=row.id, at=AT)
        assert (taken.state, taken.decided_by) == ("accepted", donor.account_id)
    kinds = session.scalars(select(EntryRow.type).where(EntryRow.subject == row.id)).all()
    assert sorted(kinds) == ["allocation.accepted", "allocation.proposed"]
    with pytest.raises(ConflictError) as fault:
        rounds.decline_allocation(session, ports, donor, allocation_id=row.id, reason="x", at=AT)
    assert fault.value.error_code == "allocation.accepted"


def test_a_hospital_reads_why_it_got_what_it_got_and_others_do_not(session, matched, nurse, donor):
    closed, wanted, _, _ = matched
    found = rounds.need_outcome(session, nurse, round_id=closed.id, need_id=wanted.id)
    assert (found["state"], found["served"], found["reason"]) == ("partly", 450, "supply.outbid")
    with pytest.raises(NotFoundError):
        rounds.need_outcome(session, donor, round_id=closed.id, need_id=wanted.id)


@needs_types
def test_a_declined_line_frees_its_units(session, ports, matched, donor):
    closed, _, _, line = matched
    rows = queries.allocations_page(session, round_id=closed.id, offer_id=line.id)
    row = rows[0][0]
    with pytest.raises(InputError):
        rounds.decline_allocation(session, ports, donor, allocation_id=row.id, reason="", at=AT)
    rounds.decline_allocation(session, ports, donor, allocation_id=row.id, reason="设备故障", at=AT)
    session.flush()
    assert (line.id, row.window) not in queries.held_of_offers(session, [line.id])
    with pytest.raises(ConflictError):
        rounds.accept_allocation(session, ports, donor, allocation_id=row.id, at=AT)


@needs_types
def test_an_operator_says_who_stands_behind_a_hospital(
    session, ports, world, nurse, other_hospital
):
    arguments = {"hospital_id": other_hospital, "organisation_id": world.donor.organisation_id}
    with pytest.raises(ForbiddenError):
        supply.link_hospital(session, ports, nurse, **arguments, at=AT)
    with pytest.raises(NotFoundError):
        supply.link_hospital(
            session, ports, OPERATOR, hospital_id=other_hospital, organisation_id="x", at=AT
        )
    for _ in range(2):
        row = supply.link_hospital(session, ports, OPERATOR, **arguments, at=AT)
        assert row.organisation_id == world.donor.organisation_id
    with pytest.raises(ConflictError) as fault:
        supply.link_hospital(
            session,
            ports,
            OPERATOR,
            hospital_id=other_hospital,
            organisation_id=world.hospital.organisation_id,
            at=AT,
        )
    assert fault.value.error_code == "supply.linked_elsewhere"


@needs_types
def test_an_operator_says_who_stands_behind_an_imported_offer(session, ports, world, hospital):
    (imported,) = queries.offers_page(session, kind="capacity", source_key="SF02#1")
    row = supply.link_offer(
        session,
        ports,
        OPERATOR,
        offer_id=imported.id,
        organisation_id=world.donor.organisation_id,
        at=AT,
    )
    assert row.organisation_id == world.donor.organisation_id
    with pytest.raises(ConflictError):
        supply.link_offer(
            session,
            ports,
            OPERATOR,
            offer_id=imported.id,
            organisation_id=world.hospital.organisation_id,
            at=AT,
        )
