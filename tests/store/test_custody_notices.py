"""Notices about goods: each organisation concerned is told once, on both databases; nothing personal."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import select, update

from api.compose import open_ports
from api.flows import custody_notices
from api.settings import Settings
from api.testing_goods import CHECKS, Goods, act, make_goods
from api.worker import Worker
from ledger.core.ids import new_id
from ledger.queries import notices as notice_queries
from ledger.store import transaction
from ledger.tables.notices import NoticeRow
from ledger.testing import FakeChain

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ABOUT_GOODS = select(NoticeRow).where(NoticeRow.kind.startswith(custody_notices.PREFIX))
"""The round that allotted the goods has told both sides too."""


@pytest.fixture
def goods(database_url: str, tmp_path: Path) -> Iterator[Goods]:
    settings = Settings(home=tmp_path, database_url=SecretStr(database_url), demo=True)
    ports = open_ports(settings, at=AT)
    made = make_goods(ports, at=AT, quantity=1_000, signed=False)
    with transaction(ports.sessions) as session:  # what the round told them, they have read
        session.execute(update(NoticeRow).values(seen_at=AT))
    yield made
    ports.engine.dispose()


def told(goods: Goods, at: datetime) -> dict[str, set[str]]:
    """Run the worker's step; kind -> who was told just now."""
    with transaction(goods.ports.sessions) as session:
        custody_notices.notify_due(session, at=at)
    found: dict[str, set[str]] = {}
    names = {
        goods.donor.organisation: "donor",
        goods.carrier.organisation: "carrier",
        goods.nurse.organisation: "hospital",
    }
    with transaction(goods.ports.readers) as session:
        for row in session.scalars(ABOUT_GOODS.where(NoticeRow.created_at == at)):
            found.setdefault(row.kind, set()).add(names[row.organisation_id])
    return found


def opened(goods: Goods, at: datetime = AT) -> tuple[str, list[str]]:
    lot, box = new_id("lot", at=at), new_id("pkg", at=at)
    act(goods.ports, goods.donor, "lot.open", goods.lot_fields(lot, 100), at=at)
    boxes = [{"id": box, "quantity": 100}]
    act(goods.ports, goods.donor, "lot.pack", {"lot_id": lot, "packages": boxes}, at=at)
    return lot, [box]


def handed(goods: Goods, lot: str, boxes: list[str], at: datetime = AT) -> str:
    made = new_id("hov", at=at)
    fields = {
        "handover_id": made,
        "lot_id": lot,
        "to_organisation": goods.nurse.organisation,
        "package_ids": boxes,
    }
    act(goods.ports, goods.donor, "lot.hand", fields, at=at)
    return made


BOTH = {"donor", "hospital"}


def a_recall(goods: Goods, at: datetime) -> None:
    """Also the hospital, to which units are on their way and which holds none yet."""
    lot, boxes = opened(goods, at)
    handover = handed(goods, lot, boxes, at)
    assert told(goods, at) == {}
    recall = new_id("rcl", at=at)
    fields = {"recall_id": recall, "lot_id": lot, "reason": "抽检不合格"}
    act(goods.ports, goods.donor, "recall.open", fields, at=at)
    assert told(goods, at + HOUR) == {"goods.recall.opened": BOTH}
    assert told(goods, at + 2 * HOUR) == {}
    done = {"recall_id": recall, "reason": "复检合格"}
    act(goods.ports, goods.donor, "recall.close", done, at=at + 2 * HOUR)
    assert told(goods, at + 3 * HOUR) == {"goods.recall.closed": BOTH}
    refused = {"handover_id": handover, "reason": "不再需要"}
    act(goods.ports, goods.nurse, "lot.refuse", refused, at=at + 3 * HOUR)
    assert told(goods, at + 4 * HOUR) == {}


def late_signatures(goods: Goods, at: datetime) -> None:
    lot, boxes = opened(goods, at)
    handover = handed(goods, lot, boxes, at)
    assert told(goods, at + 72 * HOUR) == {}
    late = at + 72 * HOUR + timedelta(seconds=1)
    assert told(goods, late) == {"goods.handover.late": BOTH}
    counts = {"handover_id": handover, "accepted": 100, "checks": CHECKS}
    act(goods.ports, goods.nurse, "lot.inspect", counts, at=late)
    assert told(goods, late + 24 * HOUR) == {}
    assert told(goods, late + 25 * HOUR) == {"goods.acceptance.late": BOTH}
    act(goods.ports, goods.doctor, "lot.accept", counts, at=late + 25 * HOUR)
    assert told(goods, late + 26 * HOUR) == {}


def clocks_of_a_discrepancy(goods: Goods, at: datetime) -> None:
    """Before the end the side that has to act, after it everybody."""
    lot, boxes = opened(goods, at)
    handover = handed(goods, lot, boxes, at)
    counts = {"handover_id": handover, "accepted": 90, "missing": 10, "checks": CHECKS}
    act(goods.ports, goods.nurse, "lot.inspect", counts, at=at)
    act(goods.ports, goods.doctor, "lot.accept", counts, at=at)
    assert told(goods, at + HOUR) == {"goods.discrepancy.opened": BOTH}
    assert told(goods, at + 36 * HOUR - timedelta(seconds=1)) == {}
    assert told(goods, at + 37 * HOUR) == {"goods.discrepancy.answer_soon": {"donor"}}
    assert told(goods, at + 49 * HOUR) == {"goods.discrepancy.answer_late": BOTH}
    assert told(goods, at + 145 * HOUR) == {"goods.discrepancy.settle_soon": {"donor"}}
    assert told(goods, at + 169 * HOUR) == {"goods.discrepancy.settle_late": BOTH}
    assert told(goods, at + 300 * HOUR) == {}


def a_change_of_use(goods: Goods, at: datetime) -> None:
    lot, _ = opened(goods, at)
    wish = {"change_id": new_id("puc", at=at), "lot_id": lot, "purpose": "培训", "reason": "富余"}
    act(goods.ports, goods.nurse, "purpose.ask", wish, at=at)
    assert told(goods, at + HOUR) == {"goods.purpose.asked": {"donor"}}
    assert told(goods, at + 241 * HOUR) == {"goods.purpose.late": BOTH}


def test_those_concerned_are_told_in_time_and_once(goods: Goods) -> None:
    stories = (a_recall, late_signatures, clocks_of_a_discrepancy, a_change_of_use)
    for number, story in enumerate(stories):
        story(goods, AT + number * 400 * HOUR)


def test_a_step_is_bounded_and_says_nothing_but_which_record(
    goods: Goods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custody_notices, "BATCH", 1)
    lots = [opened(goods) for _ in range(3)]
    for lot, boxes in lots:
        handed(goods, lot, boxes)
    late = AT + 80 * HOUR
    steps = [told(goods, late + step * HOUR) for step in range(4)]
    assert [len(one) for one in steps] == [1, 1, 1, 0]
    texts = json.loads(resources.files("api.web").joinpath("texts.json").read_text("utf-8"))
    with transaction(goods.ports.readers) as session:
        rows = session.scalars(ABOUT_GOODS).all()
        assert Counter(row.kind for row in rows) == {"goods.handover.late": 6}
        for row in rows:
            values = (row.id, row.organisation_id, row.subject, row.cause)
            assert all(value[:4] in ("ntc_", "pty_", "lot_", "hov_") for value in values)
            assert all(texts[f"notice.{row.kind}"])
    # What was shown is marked as seen, for one's own organisation alone.
    with transaction(goods.ports.sessions) as session:
        assert custody_notices.mark_all_seen(session, goods.donor.caller, at=AT) == 3
        assert custody_notices.mark_all_seen(session, goods.donor.caller, at=AT) == 0
    with transaction(goods.ports.readers) as session:
        assert notice_queries.unseen(session, goods.donor.organisation) == 0
        assert notice_queries.unseen(session, goods.nurse.organisation) == 3
    handed(goods, *opened(goods))
    chain = FakeChain()
    with structlog.testing.capture_logs() as said:
        Worker(goods.ports, chain, clock=lambda: late).step()
        Worker(goods.ports, chain, clock=lambda: late).step()
    assert [one["made"] for one in said if one["event"] == "worker.notices"] == [2]


def test_every_kind_has_its_words_in_both_languages() -> None:
    texts = json.loads(resources.files("api.web").joinpath("texts.json").read_text("utf-8"))
    source = Path(custody_notices.__file__).read_text("utf-8")
    kinds = set(re.findall(r'"(goods\.[a-z_.]+)"', source)) - {custody_notices.PREFIX}
    assert len(kinds) == 11
    assert all(len(texts[f"notice.{kind}"]) == 2 and all(texts[f"notice.{kind}"]) for kind in kinds)
