"""Two act on the market at the same moment: each order ends in one outcome that the log tells the same way.

What is one transaction runs on PostgreSQL alone: SQLite runs those one after another.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from api.callers import OPERATOR, Caller
from api.compose import open_ports
from api.flows import objecting, related, round_acts, rounds, supply, supply_rules, urgent
from api.flows.round_alarms import STRUCK
from api.flows.round_records import load_document
from api.ports import Ports
from api.settings import Settings
from api.testing_goods import PLACE, make_goods
from api.testing_races import DONE, Place, at_once, overtaken, told
from contracts.acts_abi import RoundState, StoredRound
from ledger.core.ids import new_id
from ledger.queries import supply as queries
from ledger.store import transaction
from ledger.tables.acts import ChainActRow
from ledger.tables.log import EntryRow
from ledger.tables.notices import NoticeRow
from ledger.tables.round_chain import RoundChainRow
from ledger.tables.supply import AllocationRow, HospitalRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
LATER = timedelta(minutes=1)
POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)
one_transaction = pytest.mark.parametrize("installed", [POSTGRES], indirect=True)
several_transactions = pytest.mark.parametrize("installed", ["sqlite", POSTGRES], indirect=True)
COLLECTED = Place(rounds, "collect", after=True)


@dataclass
class Market:
    """A donor and a hospital; each test has the market to itself."""

    ports: Ports
    donor: Caller
    nurse: Caller
    hospital_id: str
    at: datetime = AT

    def __call__(self, action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """One flow in a transaction of its own."""
        with transaction(self.ports.sessions) as session:
            return action(session, self.ports, *arguments, **{"at": self.at} | named)

    def need(self) -> supply.NewNeed:
        return supply.NewNeed(
            id=new_id("need", at=self.at),
            hospital_id=self.hospital_id,
            item="医用外科口罩",
            specification="",
            quantity=100,
            tier=0,
            deadline_on=AT.date() + timedelta(days=3),
            remaining_days_min=0,
        )

    def offer(self) -> supply.NewOffer:
        return supply.NewOffer(
            id=new_id("offer", at=self.at),
            kind="lot",
            item="mask_surgical",
            quantity=60,
            place=PLACE,
            available_on=AT.date(),
            produced_on=date(2026, 10, 1),
            expires_on=date(2028, 10, 1),
            batch_number="虚构-1",
            standard="YY 0469",
            edition="2011",
            certificate=2,
        )

    def posted(self) -> tuple[str, str]:
        """(need, offer)."""
        need = self(supply.post_need, self.nurse, self.need())
        return need.id, self(supply.post_offer, self.donor, self.offer()).id

    def opening(self, round_id: str) -> Callable[[], object]:
        return lambda: rounds.open_round(self.ports, OPERATOR, round_id=round_id, at=self.at)

    def closing(self, round_id: str) -> Callable[[], object]:
        return lambda: rounds.solve_and_close_round(
            self.ports, OPERATOR, round_id=round_id, at=self.at
        )

    def withdrawing(self, what: str, row_id: str, at: datetime) -> Callable[[], object]:
        action = {"need": supply.withdraw_need, "offer": supply.withdraw_offer}[what]
        who = {"need": self.nurse, "offer": self.donor}[what]
        return lambda: self(action, who, **{f"{what}_id": row_id}, reason="虚构", at=at)

    def declaring(self) -> Callable[[], object]:
        assert self.donor.organisation_id is not None
        assert self.nurse.organisation_id is not None
        new = related.NewRelation(
            new_id("rel", at=self.at),
            self.donor.organisation_id,
            self.nurse.organisation_id,
            "parent",
            "登记（虚构）",
            AT.date(),
        )
        self.relation = new.id
        return lambda: self(related.declare, self.donor, new)

    def round(self) -> str:
        """A round on what was posted, closed; its id."""
        made = new_id("rnd", at=self.at)
        self.opening(made)()
        self.closing(made)()
        return made

    def lines(self, round_id: str) -> list[AllocationRow]:
        with transaction(self.ports.readers) as session:
            found = queries.allocations_page(session, round_id=round_id, limit=50)
            return [row[0] for row in found]

    def problem(self, round_id: str) -> Any:
        with transaction(self.ports.readers) as session:
            return load_document(session, round_id, "problem")

    def told(self, *subjects: str) -> list[str]:
        """Types of the entries about these, in the order of the log."""
        with transaction(self.ports.readers) as session:
            query = select(EntryRow.type).where(EntryRow.subject.in_(subjects))
            return list(session.scalars(query.order_by(EntryRow.order)))

    def race(
        self, first: Callable[[], object], second: Callable[[], object], place: Place
    ) -> list[str]:
        return overtaken(self.ports.engine, first, second, place=place)


@pytest.fixture(scope="module")
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Market]:
    home, server, name = tmp_path_factory.mktemp("races"), None, ""
    url = f"sqlite:///{home / 'fuqi.sqlite3'}"
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "fuqi.sqlite3")
    else:
        server = request.getfixturevalue("postgres_databases")
        name = server.create(template=server.migrated())
        url = server.url_of(name)
    ports = open_ports(Settings(home=home, database_url=SecretStr(url), demo=True), at=AT)
    goods = make_goods(ports, at=AT, quantity=1_000, signed=False)
    with transaction(ports.readers) as session:
        hospital = session.scalars(select(HospitalRow.id)).one()
    yield Market(ports, goods.donor.caller, goods.nurse.caller, hospital)
    ports.engine.dispose()
    if server is not None:
        server.drop(name)


@pytest.fixture
def market(installed: Market) -> Iterator[Market]:
    installed.at += timedelta(minutes=10)
    installed.relation = ""
    yield installed
    # The market is empty again: the next test counts what it posted itself.
    installed.at += LATER
    with transaction(installed.ports.readers) as session:
        opened = queries.open_round(session)
    if opened is not None:
        installed.closing(opened.id)()
    if installed.relation:
        over = {"outcome": "refused", "reason": "虚构"}
        installed(related.decide, OPERATOR, installed.relation, **over)
    with transaction(installed.ports.readers) as session:
        needs = session.scalars(select(supply.NeedRow.id).where(supply.NeedRow.state == "open"))
        offers = session.scalars(select(supply.OfferRow.id).where(supply.OfferRow.state == "open"))
        left = [*(("need", one) for one in needs), *(("offer", one) for one in offers)]
    for what, row_id in left:
        installed.withdrawing(what, row_id, installed.at)()


@one_transaction
@pytest.mark.parametrize("what", ["need", "offer"])
def test_what_is_withdrawn_while_a_round_collects_stays_in_the_round(market, what):
    ids = dict(zip(("need", "offer"), market.posted(), strict=True))
    made = new_id("rnd", at=market.at)
    taking_back = market.withdrawing(what, ids[what], market.at)
    assert market.race(market.opening(made), taking_back, COLLECTED) == [DONE, "round.in_progress"]
    assert market.told(ids[what]) == [f"{what}.posted"]
    market.closing(made)()
    (line,) = market.lines(made)
    assert (line.need_id, line.offer_id) == (ids["need"], ids["offer"])
    # Once the round is closed it goes through; what was given stays given.
    assert told(taking_back) == DONE
    assert market.told(ids[what]) == [f"{what}.posted", f"{what}.withdrawn"]


@one_transaction
@pytest.mark.parametrize("what", ["need", "offer"])
def test_a_round_that_opens_while_something_is_withdrawn_waits_and_goes_without_it(market, what):
    gone, kept = (
        dict(zip(("need", "offer"), market.posted(), strict=True))[what] for _ in range(2)
    )
    made = new_id("rnd", at=market.at)
    taking_back = market.withdrawing(what, gone, market.at)
    place = Place(supply_rules, "record")
    assert market.race(taking_back, market.opening(made), place) == [DONE, DONE]
    listed = {row["id"] for row in market.problem(made)[{"need": "needs", "offer": "lots"}[what]]}
    assert kept in listed
    assert gone not in listed
    assert market.told(gone, made) == [f"{what}.posted", f"{what}.withdrawn", "round.opened"]


@one_transaction
@pytest.mark.parametrize("what", ["need", "offer"])
def test_what_two_withdraw_at_once_is_withdrawn_once(market, what):
    row_id = dict(zip(("need", "offer"), market.posted(), strict=True))[what]
    # Two requests have two times, and so would two entries.
    both = [market.withdrawing(what, row_id, market.at + number * LATER) for number in range(2)]
    assert market.race(*both, Place(supply_rules, "record")) == [DONE, DONE]
    assert market.told(row_id) == [f"{what}.posted", f"{what}.withdrawn"]


@one_transaction
def test_a_relation_declared_while_a_round_collects_closes_the_line_that_it_gave(market):
    market.posted()
    made, declaring = new_id("rnd", at=market.at), market.declaring()
    assert market.race(market.opening(made), declaring, COLLECTED) == [DONE, DONE]
    assert market.told(made, market.relation) == ["round.opened", "related.declared"]
    market.closing(made)()
    (line,) = market.lines(made)
    accepting = lambda: market(rounds.accept_allocation, market.donor, allocation_id=line.id)  # noqa: E731
    assert told(accepting) == "allocation.related_parties"
    assert market.told(line.id) == ["allocation.proposed"]


@one_transaction
def test_a_round_that_opens_while_a_relation_is_declared_keeps_to_it(market):
    market.posted()
    made, declaring = new_id("rnd", at=market.at), market.declaring()
    place = Place(related, "record")
    assert market.race(declaring, market.opening(made), place) == [DONE, DONE]
    assert market.told(made, market.relation) == ["related.declared", "round.opened"]
    market.closing(made)()
    assert market.lines(made) == []


@several_transactions
def test_a_relation_declared_while_a_plan_is_solved_or_published_closes_its_line(market):
    market.posted()
    for place in (Place(rounds, "solve_limited"), Place(rounds, "record_closed")):
        made, declaring = new_id("rnd", at=market.at), market.declaring()
        market.opening(made)()
        assert market.race(market.closing(made), declaring, place) == [DONE, DONE]
        (line,) = market.lines(made)
        accepting = lambda one=line: market(  # noqa: E731
            rounds.accept_allocation, market.donor, allocation_id=one.id
        )
        assert told(accepting) == "allocation.related_parties"
        market(related.decide, OPERATOR, market.relation, outcome="refused", reason="虚构")
        market(rounds.decline_allocation, market.donor, allocation_id=line.id, reason="虚构")
        market.at += LATER


@one_transaction
@pytest.mark.parametrize("declared_first", [True, False])
def test_a_line_is_accepted_before_the_relation_or_not_at_all(market, declared_first):
    market.posted()
    (line,) = market.lines(market.round())
    declaring = market.declaring()
    accepting = lambda: market(rounds.accept_allocation, market.donor, allocation_id=line.id)  # noqa: E731
    if declared_first:
        said = market.race(declaring, accepting, Place(related, "record"))
        assert said == [DONE, "allocation.related_parties"]
        assert market.told(line.id, market.relation) == ["allocation.proposed", "related.declared"]
    else:
        said = market.race(accepting, declaring, Place(rounds, "require_unrelated", after=True))
        assert said == [DONE, DONE]
        order = ["allocation.proposed", "allocation.accepted", "related.declared"]
        assert market.told(line.id, market.relation) == order


@one_transaction
def test_the_same_relation_declared_twice_at_once_stands_once(market):
    other = market.declaring()
    one = market.declaring()
    for second, code in ((one, DONE), (other, "related.exists")):
        assert market.race(one, second, Place(related, "lock_market", after=True)) == [DONE, code]
    assert market.told(market.relation) == ["related.declared"]


@several_transactions
def test_of_two_rounds_opened_at_once_one_is(market):
    market.posted()
    ids = [new_id("rnd", at=market.at) for _ in range(2)]
    said = market.race(*(market.opening(one) for one in ids), COLLECTED)
    assert said == [DONE, "round.another_open"]
    assert market.told(*ids) == ["round.opened"]


@several_transactions
def test_a_round_that_two_operators_publish_at_once_is_published_once(market):
    market.posted()
    made = new_id("rnd", at=market.at)
    market.opening(made)()
    closing = market.closing(made)
    assert market.race(closing, closing, Place(rounds, "record_closed")) == [DONE, DONE]
    assert market.told(made) == ["round.opened", "round.closed"]
    (line,) = market.lines(made)
    assert market.told(line.id) == ["allocation.proposed"]


class Lane:
    """What the contract answers about a round whose posted result somebody struck."""

    stored = StoredRound(
        inputs_root=bytes(32),
        plan_root=bytes(32),
        objective=0,
        closes_at=4_000_000_000,
        attempt=1,
        state=RoundState.OPEN,
    )

    def round_on_chain(self, names: dict[str, Any]) -> tuple[bytes, StoredRound]:
        del names
        return bytes(range(32)), self.stored


def due_alone(market: Market, round_id: str, *, state: str) -> set[str]:
    """Only this round is due, in this state; ids of every act until now."""
    with transaction(market.ports.sessions) as session:
        for other in session.scalars(select(RoundChainRow)):
            other.due_at = None
        kept = session.get_one(RoundChainRow, round_id)
        if state == "waiting":
            # As a crash between opening and committing leaves it.
            session.delete(session.get_one(ChainActRow, kept.act_id))
            kept.act_id = None
        kept.state, kept.due_at = state, market.at
        return set(session.scalars(select(ChainActRow.id)))


@several_transactions
def test_a_round_that_two_workers_write_out_is_committed_to_and_posted_once(market):
    market.posted()
    made = market.round()
    before = due_alone(market, made, state="waiting")
    committing = lambda: round_acts.commit_round(market.ports, round_id=made, at=market.at)  # noqa: E731
    place = Place(round_acts, "inputs_of", after=True)
    assert market.race(committing, committing, place) == [DONE, DONE]
    writing = lambda: round_acts.record_rounds(market.ports, None, at=market.at)  # noqa: E731
    place = Place(round_acts, "result_of", after=True)
    assert market.race(writing, writing, place) == [DONE, DONE]
    with transaction(market.ports.readers) as session:
        assert len(set(session.scalars(select(ChainActRow.id))) - before) == 2
        assert session.get_one(RoundChainRow, made).state in ("proving", "posting")


@several_transactions
def test_a_strike_that_two_workers_see_at_once_is_told_once(market):
    market.posted()
    made = market.round()
    due_alone(market, made, state="posted")
    watching = lambda: round_acts.record_rounds(market.ports, Lane(), at=market.at)  # noqa: E731
    place = Place(round_acts, "_concerned", after=True)
    assert market.race(watching, watching, place) == [DONE, DONE]
    with transaction(market.ports.readers) as session:
        of_it = (NoticeRow.subject == made) & (NoticeRow.kind == STRUCK)
        told_of = session.scalars(select(NoticeRow.organisation_id).where(of_it))
        both = [market.donor.organisation_id, market.nurse.organisation_id]
        assert sorted(told_of) == sorted(both)
        assert session.get_one(RoundChainRow, made).state == "struck"


@one_transaction
def test_of_accepting_and_declining_a_line_at_once_one_counts(market):
    market.posted()
    (line,) = market.lines(market.round())
    accepting = lambda: market(rounds.accept_allocation, market.donor, allocation_id=line.id)  # noqa: E731
    declining = lambda: market(  # noqa: E731
        rounds.decline_allocation, market.donor, allocation_id=line.id, reason="虚构"
    )
    place = Place(rounds, "record")
    assert market.race(accepting, declining, place) == [DONE, "allocation.accepted"]
    assert market.told(line.id) == ["allocation.proposed", "allocation.accepted"]


@one_transaction
def test_the_same_id_sent_twice_at_once_is_one_need_one_offer_and_one_urgent_need(market):
    need, offer = market.need(), market.offer()
    for action, who, new, kind in (
        (supply.post_need, market.nurse, need, "need.posted"),
        (supply.post_offer, market.donor, offer, "offer.posted"),
    ):
        post = lambda action=action, who=who, new=new: market(action, who, new)  # noqa: E731
        said = market.race(post, post, Place(supply, "record"))
        # Where both were on their way the second is asked to send it again, and then meets the first.
        assert said in ([DONE, DONE], [DONE, "concurrent_write"])
        assert told(post) == DONE
        assert market.told(new.id) == [kind]
    new = urgent.NewUrgentNeed(market.need(), "虚构急需")
    post = lambda: urgent.post_urgent_need(market.ports, market.nurse, new, at=market.at)  # noqa: E731
    assert at_once([post, post]) == [DONE, DONE]
    assert market.told(new.need.id) == ["need.posted", "need.urgent"]


def heard(market: Market) -> tuple[str, datetime]:
    """A line of a round that is open to objections for an hour, and when that ends."""
    market.posted()
    settings = market.ports.settings.model_copy(update={"round_objection_hours": 1})
    ports = replace(market.ports, settings=settings)
    made = new_id("rnd", at=market.at)
    rounds.open_round(ports, OPERATOR, round_id=made, at=market.at)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=made, at=market.at)
    (line,) = market.lines(made)
    return line.id, market.at + timedelta(hours=1)


@one_transaction
@pytest.mark.parametrize("objected_first", [True, False])
def test_a_line_is_accepted_before_the_last_objection_or_waits_for_its_answer(
    market, objected_first
):
    line, end = heard(market)
    with transaction(market.ports.readers) as session:
        made = session.get_one(AllocationRow, line).round_id
    new = objecting.NewObjection(new_id("obj", at=market.at), made, "misread", None, "虚构")
    # Sent in the last moment, carried out in the first one after it.
    late = end - timedelta(microseconds=1)
    filing = lambda: market(objecting.file_objection, market.nurse, new, at=late)  # noqa: E731
    accepting = lambda: market(  # noqa: E731
        rounds.accept_allocation, market.donor, allocation_id=line, at=end
    )
    if objected_first:
        said = market.race(filing, accepting, Place(objecting, "record"))
        assert said == [DONE, "allocation.objected"]
        assert market.told(line, new.id) == ["allocation.proposed", "objection.filed"]
        market(objecting.withdraw_objection, market.nurse, objection_id=new.id)
    else:
        said = market.race(accepting, filing, Place(rounds, "require_heard", after=True))
        assert said == [DONE, "objection.closed"]
        assert market.told(line, new.id) == ["allocation.proposed", "allocation.accepted"]


@one_transaction
def test_a_line_is_not_accepted_while_an_objection_to_it_is_upheld(market):
    line, end = heard(market)
    with transaction(market.ports.readers) as session:
        made = session.get_one(AllocationRow, line).round_id
    new = objecting.NewObjection(new_id("obj", at=market.at), made, "misread", line, "虚构")
    market(objecting.file_objection, market.nurse, new)
    named = {"objection_id": new.id, "outcome": "upheld", "answer": "虚构", "at": end}
    upholding = lambda: market(objecting.answer_objection, OPERATOR, **named)  # noqa: E731
    accepting = lambda: market(  # noqa: E731
        rounds.accept_allocation, market.donor, allocation_id=line, at=end
    )
    said = market.race(upholding, accepting, Place(objecting, "append_many"))
    assert said == [DONE, "allocation.declined"]
    assert market.told(line) == ["allocation.proposed", "allocation.declined"]


@one_transaction
def test_the_same_objection_sent_twice_at_once_is_filed_once(market):
    line, _ = heard(market)
    with transaction(market.ports.readers) as session:
        made = session.get_one(AllocationRow, line).round_id
    new = objecting.NewObjection(new_id("obj", at=market.at), made, "misread", line, "虚构")
    other = replace(new, id=new_id("obj", at=market.at))
    for second, code in ((new, DONE), (other, "objection.open_before")):
        both = [
            lambda one=one: market(objecting.file_objection, market.nurse, one)
            for one in (new, second)
        ]
        assert market.race(*both, Place(objecting, "_sent_before", after=True)) == [DONE, code]
    assert market.told(new.id, other.id) == ["objection.filed"]
