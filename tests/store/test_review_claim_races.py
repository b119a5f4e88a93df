"""Two operators, or an operator and a claimant, decide on claims of one offer at the same moment."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest
from pydantic import SecretStr

from api.callers import OPERATOR
from api.compose import open_ports
from api.flows import offer_claims, related, supply
from api.settings import Settings
from api.testing_goods import PLACE, Goods, make_goods
from api.testing_races import at_once
from ledger.core.ids import new_id
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.tables.offer_claims import OfferClaimRow
from ledger.tables.related import RelatedPartyRow
from ledger.tables.supply import OfferRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres)]
ROUNDS = 4


@pytest.fixture(params=BOTH, scope="module")
def goods(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Goods]:
    home, server, name = tmp_path_factory.mktemp("claims"), None, ""
    url = f"sqlite:///{home / 'fuqi.sqlite3'}"
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "fuqi.sqlite3")
    else:
        server = request.getfixturevalue("postgres_databases")
        name = server.create(template=server.migrated())
        url = server.url_of(name)
    ports = open_ports(Settings(home=home, database_url=SecretStr(url), demo=True), at=AT)
    yield make_goods(ports, at=AT, quantity=1_000, signed=False)
    ports.engine.dispose()
    if server is not None:
        server.drop(name)


def unowned_offer(goods: Goods) -> str:
    """As an import leaves it: of an organisation by name, with nobody registered behind it."""
    made = supply.NewOffer(
        id=new_id("offer", at=AT),
        kind="lot",
        item="mask_surgical",
        quantity=10,
        place=PLACE,
        available_on=AT.date(),
        produced_on=date(2026, 10, 1),
        expires_on=date(2028, 10, 1),
        batch_number="AB-2026-9",
        standard="YY 0469",
        edition="2011",
        certificate=2,
    )
    with transaction(goods.ports.sessions) as session:
        supply.post_offer(session, goods.ports, goods.donor.caller, made, at=AT)
        session.get_one(OfferRow, made.id).organisation_id = None
    return made.id


def claim(goods: Goods, hand: object, offer: str) -> str:
    made = new_id("clm", at=AT)
    with transaction(goods.ports.sessions) as session:
        offer_claims.claim_offer(
            session,
            goods.ports,
            hand.caller,
            claim_id=made,
            offer_id=offer,
            statement="捐赠函（虚构）",
            at=AT,
        )
    return made


def confirming(goods: Goods, made: str) -> Callable[[], object]:
    def call() -> object:
        with transaction(goods.ports.sessions) as session:
            return offer_claims.decide_claim(
                session,
                goods.ports,
                OPERATOR,
                claim_id=made,
                confirmed=True,
                reason="looked at the letter",
                at=AT,
            )

    return call


def state_of(goods: Goods, made: str) -> tuple[str, int]:
    """The claim's state, and how often the log says that it was decided."""
    with transaction(goods.ports.readers) as session:
        row = session.get_one(OfferClaimRow, made)
        told = [
            one for one in log_queries.entries_of(session, [made]) if one.type == "claim.decided"
        ]
        return row.state, len(told)


def test_of_two_claims_confirmed_at_once_one_stands_and_nobody_waits_in_a_circle(goods):
    for _ in range(ROUNDS):
        offer = unowned_offer(goods)
        claims = [claim(goods, one, offer) for one in (goods.donor, goods.nurse)]
        said = at_once([confirming(goods, one) for one in claims])
        assert sorted(said) == ["done", "offer.claim_decided"]
        assert sorted(state_of(goods, one) for one in claims) == [("confirmed", 1), ("refused", 1)]


def test_a_claim_that_is_withdrawn_while_another_is_confirmed_is_decided_once(goods):
    for _ in range(ROUNDS):
        offer = unowned_offer(goods)
        mine, theirs = (claim(goods, one, offer) for one in (goods.donor, goods.nurse))

        def take_back(theirs: str = theirs) -> object:
            with transaction(goods.ports.sessions) as session:
                return offer_claims.withdraw_claim(
                    session, goods.ports, goods.nurse.caller, claim_id=theirs, at=AT
                )

        said = at_once([confirming(goods, mine), take_back])
        assert said[0] == "done"
        assert state_of(goods, mine) == ("confirmed", 1)
        assert state_of(goods, theirs) in {("withdrawn", 1), ("refused", 1)}
        assert (state_of(goods, theirs)[0] == "withdrawn") == (said[1] == "done")


def test_a_relation_that_two_operators_decide_at_once_is_decided_once(goods):
    for _ in range(ROUNDS):
        made = new_id("rel", at=AT)
        new = related.NewRelation(
            made,
            goods.donor.organisation,
            goods.nurse.organisation,
            "parent",
            "登记（虚构）",
            AT.date(),
        )
        with transaction(goods.ports.sessions) as session:
            related.declare(session, goods.ports, goods.donor.caller, new, at=AT)

        def decide(outcome: str, made: str = made) -> Callable[[], object]:
            def call() -> object:
                with transaction(goods.ports.sessions) as session:
                    return related.decide(
                        session, goods.ports, OPERATOR, made, outcome=outcome, reason="x", at=AT
                    )

            return call

        said = at_once([decide("refused"), decide("ended")])
        assert sorted(said) == ["done", "related.decided"]
        with transaction(goods.ports.readers) as session:
            state = session.get_one(RelatedPartyRow, made).state
        assert state == ("refused", "ended")[said.index("done")]
