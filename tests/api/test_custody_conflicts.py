"""A gift does not go to oneself or to one's own (Charity Law 40): each way of being related is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.compose import open_ports
from api.flows import custody
from api.settings import Settings
from api.testing_goods import Goods, make_goods
from ledger.core.errors import ConflictError
from ledger.core.ids import new_id
from ledger.tables.parties import AuthorisationRow
from ledger.tables.related import RelatedPartyRow
from ledger.tables.supply import HospitalRow, OfferRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def goods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Goods]:
    ports = open_ports(Settings(home=tmp_path_factory.mktemp("conflict"), demo=True), at=AT)
    yield make_goods(ports, at=AT, quantity=1_000, signed=False, name="conflict")
    ports.engine.dispose()


def asked(session: Session, goods: Goods) -> None:
    """Ask for the statement that opens the lot: the act is tried out and undone."""
    custody.make_statement(
        session,
        goods.ports,
        goods.donor.caller,
        statement_id=new_id("cst", at=AT),
        act="lot.open",
        fields=goods.lot_fields(new_id("lot", at=AT), 100),
        at=AT,
    )


def same_organisation(session: Session, goods: Goods) -> None:
    session.execute(update(HospitalRow).values(organisation_id=goods.donor.organisation))


def named_as_related(session: Session, goods: Goods) -> None:
    hospital = session.scalars(select(HospitalRow.id)).one()
    session.get_one(OfferRow, goods.offer_id).related_to = [hospital]


def a_shared_handler(session: Session, goods: Goods) -> None:
    query = select(AuthorisationRow).where(
        AuthorisationRow.organisation_id == goods.nurse.organisation
    )
    row = session.scalars(query.limit(1)).one()
    row.organisation_id = goods.donor.organisation
    session.flush()
    second = session.scalars(query.limit(1)).one()
    second.person_id = row.person_id


def in_the_register(session: Session, goods: Goods) -> None:
    session.add(
        RelatedPartyRow(
            id=new_id("rel", at=AT),
            first_id=goods.nurse.organisation,
            second_id=goods.donor.organisation,
            kind="parent",
            evidence="虚构",
            valid_from=AT.date(),
            state="declared",
            fingerprint="{}",
            created_by="invented",
            created_at=AT,
        )
    )


@pytest.mark.parametrize(
    "relate", [same_organisation, named_as_related, a_shared_handler, in_the_register]
)
def test_related_sides_open_no_lot(goods: Goods, relate: Callable[[Session, Goods], None]) -> None:
    with goods.ports.sessions() as session:
        relate(session, goods)
        session.flush()
        with pytest.raises(ConflictError) as fault:
            asked(session, goods)
        assert fault.value.error_code == "custody.conflict_of_interest"
        session.rollback()


def test_unrelated_sides_do(goods: Goods) -> None:
    with goods.ports.sessions() as session:
        asked(session, goods)
        session.rollback()
