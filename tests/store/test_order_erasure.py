"""Retention and erasure of work orders: kept while they run and for their term, complete afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api.callers import OPERATOR
from api.compose import open_ports
from api.flows import erasure
from api.flows.manufacturing import keep_file
from api.ports import Ports
from api.settings import Settings
from api.testing_goods import Goods, act, make_goods
from ledger.core.errors import ConflictError, NotFoundError
from ledger.core.ids import new_id
from ledger.retention import add_years
from ledger.store import Base, transaction
from ledger.tables.orders import WorkOrderRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WHAT = "虚构无纺布"
SPECIFICATION = "虚构规格 25 克"
PAPER = b"invented process paper"


@pytest.fixture
def goods(database_url: str, tmp_path: Path) -> Iterator[Goods]:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), demo=True)
    ports = open_ports(settings, at=AT)
    yield make_goods(ports, at=AT, quantity=1_000, signed=False)
    ports.engine.dispose()


def requested(goods: Goods) -> str:
    order = new_id("ord", at=AT)
    fields: dict[str, Any] = {
        "order_id": order,
        "kind": "manufacture",
        "maker_id": goods.donor.organisation,
        "what": WHAT,
        "specification": SPECIFICATION,
        "quantity": 500,
        "due_on": (AT.date() + timedelta(days=30)).isoformat(),
    }
    act(goods.ports, goods.nurse, "order.request", fields, at=AT)
    return order


def paper(goods: Goods, order: str, data: bytes = PAPER) -> str:
    with transaction(goods.ports.sessions) as session:
        file = keep_file(session, goods.ports, goods.donor.caller, order, data, at=AT)
        digest = file.sha256
    fields = {
        "order_id": order,
        "document_id": new_id("doc", at=AT),
        "kind": "drawing",
        "sha256": digest,
    }
    act(goods.ports, goods.donor, "order.document", fields, at=AT)
    return digest


def declined(goods: Goods) -> str:
    order = requested(goods)
    paper(goods, order)
    fields = {"order_id": order, "step": "decline", "note": "虚构理由"}
    act(goods.ports, goods.donor, "order.step", fields, at=AT)
    return order


def erase(goods: Goods, subject: str, *, at: datetime) -> erasure.Erased:
    with transaction(goods.ports.sessions) as session:
        return erasure.erase(
            session, goods.ports, OPERATOR, subject=subject, basis="虚构请求", at=at
        )


def until(ports: Ports, subject: str) -> tuple[str | None, datetime | None]:
    with transaction(ports.readers) as session:
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


def test_an_order_is_kept_while_it_runs_then_for_its_term_and_then_erased(goods: Goods) -> None:
    order = requested(goods)
    digest = paper(goods, order)
    assert until(goods.ports, order) == ("CC-188", None)
    with pytest.raises(ConflictError) as fault:
        erase(goods, order, at=AT + timedelta(days=36_500))
    assert fault.value.error_code == "retention.open"
    act(
        goods.ports,
        goods.donor,
        "order.step",
        {"order_id": order, "step": "decline", "note": "虚构理由"},
        at=AT,
    )
    term = add_years(AT, 3)
    assert until(goods.ports, order) == ("CC-188", term)
    with pytest.raises(ConflictError) as fault:
        erase(goods, order, at=term - SECOND)
    assert fault.value.error_code == "retention.keeps"
    assert WHAT in dump(goods)
    erased = erase(goods, order, at=term)
    assert erased == erase(goods, order, at=term)
    assert erased.files == (digest,)
    erasure.remove_files(goods.ports, erased)
    with pytest.raises(NotFoundError):
        goods.ports.blobs.get(digest)
    after = dump(goods)
    assert WHAT not in after
    assert SPECIFICATION not in after
    with transaction(goods.ports.readers) as session:
        row = session.get_one(WorkOrderRow, order)
        assert (row.state, row.quantity) == ("declined", 500)


def test_what_belongs_to_an_order_waits_for_it_and_what_others_name_stays(goods: Goods) -> None:
    first, second = declined(goods), requested(goods)
    digest = paper(goods, second)
    with transaction(goods.ports.sessions) as session:
        about = erasure.queries.orders_about(session, goods.donor.organisation)
        assert {row.id for row in about} == {first, second}
        named = erasure.queries.orders_about(session, str(goods.nurse.caller.person_id))
        assert {row.id for row in named} == {first, second}
    # The file of both stays with the one that is kept.
    assert erase(goods, first, at=add_years(AT, 3)).files == ()
    assert goods.ports.blobs.get(digest) == PAPER
    with transaction(goods.ports.sessions) as session:
        assert erasure._with_key(session, [first, second]) == [second]
        with pytest.raises(ConflictError) as fault:
            erasure._require_others_erased(session, goods.nurse.organisation)
        assert fault.value.error_code == "erasure.orders"
        assert fault.value.context["orders"] == [second]
        session.get_one(WorkOrderRow, second).state = "accepted"
    assert until(goods.ports, second) == ("DN-10", add_years(AT, 5))
    with pytest.raises(NotFoundError):
        erase(goods, new_id("ord", at=AT), at=AT)
