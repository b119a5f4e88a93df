"""Retention and erasure of goods: kept while units exist and as long as the law says, complete afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from api.callers import OPERATOR
from api.compose import open_ports
from api.flows import erasure
from api.settings import Settings
from api.testing_goods import CHECKS, Goods, act, make_goods, places
from ledger.core.errors import ConflictError, InputError
from ledger.core.ids import new_id
from ledger.core.units import utc_text
from ledger.queries import log as log_queries
from ledger.store import Base, transaction
from ledger.tables.custody import CustodyStatementRow, LotRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WARD = "虚构重症医学科"
NOTE = "虚构清点附注"


@pytest.fixture
def goods(database_url: str, tmp_path: Path) -> Iterator[Goods]:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), demo=True)
    ports = open_ports(settings, at=AT)
    yield make_goods(ports, at=AT, quantity=1_000, signed=False)
    ports.engine.dispose()


def to_the_ward(goods: Goods, *, used: int) -> str:
    """A lot of a hundred that the hospital has, and partly used."""
    lot, box, made = (new_id(prefix, at=AT) for prefix in ("lot", "pkg", "hov"))
    act(goods.ports, goods.donor, "lot.open", goods.lot_fields(lot, 100), at=AT)
    boxes = [{"id": box, "quantity": 100}]
    act(goods.ports, goods.donor, "lot.pack", {"lot_id": lot, "packages": boxes}, at=AT)
    way = {"handover_id": made, "lot_id": lot, "package_ids": [box]}
    to_hospital = {**way, "to_organisation": goods.nurse.organisation}
    act(goods.ports, goods.donor, "lot.hand", to_hospital, at=AT)
    counts = {"handover_id": made, "accepted": 100, "checks": CHECKS, "note": NOTE}
    act(goods.ports, goods.nurse, "lot.inspect", counts, at=AT)
    act(goods.ports, goods.doctor, "lot.accept", counts, at=AT)
    use = {"lot_id": lot, "quantity": used, "ward": WARD}
    act(goods.ports, goods.nurse, "lot.use", use, at=AT)
    return lot


def erase(goods: Goods, subject: str, *, at: datetime) -> erasure.Erased:
    with transaction(goods.ports.sessions) as session:
        return erasure.erase(
            session, goods.ports, OPERATOR, subject=subject, basis="虚构请求", at=at
        )


def until(goods: Goods, subject: str) -> tuple[str | None, datetime | None]:
    with transaction(goods.ports.readers) as session:
        kept = erasure.retention_of(session, subject)
        return kept.rule, kept.until


def dump(goods: Goods) -> str:
    """Every value of every column of every table."""
    found = []
    with goods.ports.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(table.select()):
                found += [value.hex() if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)


def test_a_lot_is_kept_while_units_exist_then_for_its_term_and_then_erased(goods: Goods) -> None:
    lot = to_the_ward(goods, used=90)
    assert until(goods, lot) == ("DN-12", None)
    with pytest.raises(ConflictError) as fault:
        erase(goods, lot, at=AT + timedelta(days=36_500))
    assert fault.value.error_code == "retention.open"
    use = {"lot_id": lot, "quantity": 10, "ward": WARD}
    act(goods.ports, goods.nurse, "lot.use", use, at=AT)
    term = datetime(
        goods.expires_on.year + 2, goods.expires_on.month, goods.expires_on.day, tzinfo=UTC
    )
    assert until(goods, lot) == ("DN-10", term)
    with pytest.raises(ConflictError) as fault:
        erase(goods, lot, at=term - SECOND)
    assert fault.value.error_code == "retention.keeps"
    assert fault.value.context["until"] == utc_text(term)
    before = places(goods.ports, lot)
    assert WARD in dump(goods)
    assert NOTE.encode("unicode_escape").decode() in dump(goods) or NOTE in dump(goods)
    erased = erase(goods, lot, at=term)
    assert erased == erase(goods, lot, at=term)
    after = dump(goods)
    assert WARD not in after
    assert NOTE not in after
    # What the database must keep adding up is no word of anybody.
    assert places(goods.ports, lot) == before
    with transaction(goods.ports.readers) as session:
        row = session.get_one(LotRow, lot)
        assert (row.purpose, row.opened_by, row.quantity) == ("", "", 100)
        said = session.scalars(
            select(CustodyStatementRow).where(CustodyStatementRow.subject == lot)
        ).all()
        assert {(one.statement, one.proof, one.person_id) for one in said} == {("{}", None, "")}
        assert len(log_queries.entries_of(session, [lot])) == 7
        entry = log_queries.entries_of(session, [lot])[0]
    with transaction(goods.ports.readers) as session, pytest.raises(Exception, match="erased"):
        goods.ports.vault.get(session, entry.id)


def test_whoever_touched_goods_is_kept_with_them_and_erased_after_them(goods: Goods) -> None:
    lot = to_the_ward(goods, used=100)
    nurse, doctor = goods.nurse.caller.person_id, goods.doctor.caller.person_id
    term = until(goods, lot)[1]
    assert term is not None
    for person in (nurse, doctor):
        assert person is not None
        kept = until(goods, person)[1]
        assert kept is not None
        assert kept >= term
    long_after = AT + timedelta(days=36_500)
    with goods.ports.sessions.begin() as session:
        # Only the lot stands in the way: the agreement of this test was never signed by anybody.
        session.execute(text("UPDATE agreement SET ended_at = formed_at"))
    assert doctor is not None
    with pytest.raises(ConflictError) as fault:
        erase(goods, doctor, at=long_after)
    assert (fault.value.error_code, fault.value.context["lots"]) == ("erasure.lots", [lot])
    erase(goods, lot, at=long_after)
    erase(goods, doctor, at=long_after)
    assert "虚构医师" not in dump(goods)

    with pytest.raises(InputError) as refused:
        until(goods, goods.offer_id)
    assert refused.value.error_code == "erasure.subject"
