"""A bundle holds every entry about its subjects, however many there are, or it is refused: never a part."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from api.flows import bundles
from ledger import log, store
from ledger.core.errors import LimitError
from ledger.core.ids import derived_id
from ledger.queries import log as queries
from ledger.vault import FileKeyProvider, Vault

AT = datetime(2026, 11, 23, 20, 11, 0, tzinfo=UTC)
MANY = queries.PAGE_MAX + 7
SUBJECTS = [f"agr_{number % 3}" for number in range(MANY)]


@pytest.fixture
def written(database_url, tmp_path):
    engine = store.make_engine(database_url)
    vault = Vault(FileKeyProvider(tmp_path / "vault.key"))
    factory = store.sessions(engine)
    with store.transaction(factory) as session:
        log.record_many(
            session,
            vault,
            [
                log.NewEntry(
                    id=derived_id("ent", at=AT, seed=str(number)),
                    type="document.opened",
                    at=AT,
                    subject=subject,
                    actor="acc_one",
                    body={"agreement": subject, "by": f"示例（虚构）{number}"},
                )
                for number, subject in enumerate(SUBJECTS)
            ],
        )
    with store.transaction(factory) as session:
        yield session, SimpleNamespace(vault=vault)
    engine.dispose()


def test_a_long_history_is_whole_and_in_order(written):
    session, ports = written
    opened = bundles.open_entries(session, ports, sorted(set(SUBJECTS)))
    assert [one.body["by"] for one in opened] == [f"示例（虚构）{number}" for number in range(MANY)]


def test_subjects_beyond_one_query_are_not_forgotten(written):
    session, _ = written
    others = [f"agr_other{number}" for number in range(queries.IDS_PER_QUERY)]
    rows = queries.every_entry_of(session, [*others, "agr_2"], limit=MANY)
    assert len(rows) == SUBJECTS.count("agr_2")


def test_what_is_too_long_for_one_file_is_refused(written, monkeypatch):
    session, ports = written
    monkeypatch.setattr(bundles, "ENTRIES_MAX", MANY - 1)
    with pytest.raises(LimitError) as caught:
        bundles.open_entries(session, ports, sorted(set(SUBJECTS)))
    assert caught.value.error_code == "bundle.too_many_entries"
    monkeypatch.setattr(bundles, "ENTRIES_MAX", MANY)
    assert len(bundles.open_entries(session, ports, sorted(set(SUBJECTS)))) == MANY
