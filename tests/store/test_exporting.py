"""A bundle is stamped while no transaction is open: a slow authority holds nobody up, nothing is half done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.callers import OPERATOR
from api.compose import open_chain, open_ports
from api.flows import erasure
from api.flows.exporting import export_bundle
from api.flows.registration import register
from api.ports import Ports
from api.settings import Settings
from api.testing import caller_of, invented_registration, sign_agreement
from api.worker import settle
from arbitration.contents import Purpose
from ledger.core.errors import ConflictError, UnavailableError
from ledger.core.ids import new_id
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, BundleRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Stamps:
    """An authority during whose answer something happens."""

    inner: Any
    meanwhile: Any

    def stamp(self, imprint: bytes, *, hash_name: str = "sha256", at: datetime) -> bytes:
        self.meanwhile()
        return self.inner.stamp(imprint, hash_name=hash_name, at=at)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory):
    settings = Settings(home=tmp_path_factory.mktemp("home"), demo=True)
    ports = open_ports(settings, at=AT)
    donor = register(ports, invented_registration("donor", "donor", at=AT), at=AT)
    hospital = register(ports, invented_registration("hospital", "hospital", at=AT), at=AT)
    agreement = sign_agreement(ports, (donor, hospital), allocation_id=None, at=AT)
    chain = open_chain(settings)
    settle(ports, chain, clock=lambda: AT, seconds_max=60)
    yield ports, caller_of(donor), agreement
    ports.engine.dispose()


def export(ports: Ports, caller: Any, agreement: str, bundle_id: str) -> tuple[BundleRow, bytes]:
    return export_bundle(
        ports,
        caller,
        agreement_id=agreement,
        bundle_id=bundle_id,
        purpose=Purpose.PARTY,
        recipient="invented",
        at=AT,
    )


def test_others_write_while_the_authority_thinks(signed, tmp_path: Path) -> None:
    ports, caller, agreement = signed
    wrote = []

    def write() -> None:
        # On SQLite a lock held by the export would keep this waiting for 15 seconds and then refuse it.
        with transaction(ports.sessions) as session:
            row = session.get_one(AgreementRow, agreement)
            row.title = row.title + ""
            session.flush()
            session.connection().exec_driver_sql("UPDATE agreement SET title = title")
        wrote.append(True)

    bundle_id = new_id("bun", at=AT)
    row, data = export(replace(ports, tsa=Stamps(ports.tsa, write)), caller, agreement, bundle_id)
    assert wrote
    assert ports.blobs.get(row.sha256) == data
    # The same id again: the same bytes, and the authority is not asked.
    again, same = export(
        replace(ports, tsa=Stamps(ports.tsa, pytest.fail)), caller, agreement, bundle_id
    )
    assert (again.id, same) == (row.id, data)
    with transaction(ports.readers) as session:
        assert [one.type for one in log_queries.entries_of(session, [bundle_id])] == [
            "bundle.exported"
        ]


def test_two_that_ask_for_one_bundle_at_once_get_the_same_bytes(signed) -> None:
    ports, caller, agreement = signed
    bundle_id = new_id("bun", at=AT)
    first: list[bytes] = []

    def other() -> None:
        first.append(export(ports, caller, agreement, bundle_id)[1])

    _, second = export(replace(ports, tsa=Stamps(ports.tsa, other)), caller, agreement, bundle_id)
    assert first == [second]
    with transaction(ports.readers) as session:
        assert len(log_queries.entries_of(session, [bundle_id])) == 1


def test_an_agreement_that_changed_meanwhile_is_asked_for_again(signed) -> None:
    ports, caller, agreement = signed
    bundle_id = new_id("bun", at=AT)

    def end() -> None:
        set_state("ended")

    def set_state(state: str) -> None:
        with transaction(ports.sessions) as session:
            session.get_one(AgreementRow, agreement).state = state

    try:
        with pytest.raises(ConflictError) as caught:
            export(replace(ports, tsa=Stamps(ports.tsa, end)), caller, agreement, bundle_id)
    finally:
        set_state("formed")
    assert (caught.value.error_code, caught.value.retryable) == ("bundle.overtaken", True)
    with transaction(ports.readers) as session:
        assert session.get(BundleRow, bundle_id) is None
    assert export(ports, caller, agreement, bundle_id)[0].id == bundle_id


def test_an_authority_that_is_away_leaves_nothing_behind(signed) -> None:
    ports, caller, agreement = signed
    bundle_id = new_id("bun", at=AT)

    def away() -> None:
        raise UnavailableError("invented", code="outside.all_failed")

    with pytest.raises(UnavailableError):
        export(replace(ports, tsa=Stamps(ports.tsa, away)), caller, agreement, bundle_id)
    with transaction(ports.readers) as session:
        assert session.get(BundleRow, bundle_id) is None
        assert log_queries.entries_of(session, [bundle_id]) == []


def test_what_is_erased_while_its_bundle_is_stamped_is_not_handed_out(signed) -> None:
    """The last test of this file: nothing of the agreement is left."""
    ports, caller, agreement = signed
    bundle_id = new_id("bun", at=AT)
    stored = set()

    def erase() -> None:
        with transaction(ports.sessions) as session:
            later = AT + timedelta(days=36_500)
            erased = erasure.erase(
                session, ports, OPERATOR, subject=agreement, basis="虚构请求", at=later
            )
        erasure.remove_files(ports, erased)
        stored.update(path for path in ports.settings.home.rglob("*") if path.is_file())

    with pytest.raises(ConflictError) as caught:
        export(replace(ports, tsa=Stamps(ports.tsa, erase)), caller, agreement, bundle_id)
    assert caught.value.error_code == "vault.restricted"
    with transaction(ports.readers) as session:
        assert session.get(BundleRow, bundle_id) is None
        assert log_queries.entries_of(session, [bundle_id]) == []
    # Nor does a file stay behind that no row names and no later erasure would find.
    left = {path for path in ports.settings.home.rglob("*") if path.is_file()}
    assert {path for path in left - stored if "sqlite3" not in path.name} == set()
