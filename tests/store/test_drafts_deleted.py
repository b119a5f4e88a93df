"""Uploads whose fields were never placed are deleted after their day, row and file, and nothing else is."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

import ledger.tables
from api.compose import open_ports
from api.flows import drafts
from api.flows.drafts import delete_expired, draft_for, keep_draft
from api.flows.registration import register
from api.ports import Ports
from api.settings import Settings
from api.testing import caller_of, invented_pdf, invented_registration, sign_agreement
from ledger.core.errors import NotFoundError
from ledger.core.ids import new_id
from ledger.queries import blobs as blob_queries
from ledger.schema import TABLES
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from ledger.tables.seals import UploadDraftRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
LATER = AT + drafts.KEPT_FOR + timedelta(seconds=1)


@pytest.fixture
def ports(tmp_path: Path, database_url: str):
    settings = Settings(home=tmp_path / "home", demo=True, database_url=SecretStr(database_url))
    made = open_ports(settings, at=AT)
    yield made
    made.engine.dispose()


@pytest.fixture
def donor(ports: Ports):
    return register(ports, invented_registration("donor", "donor", at=AT), at=AT)


def keep(ports: Ports, donor, data: bytes) -> UploadDraftRow:
    with transaction(ports.sessions) as session:
        return keep_draft(
            session,
            ports,
            caller_of(donor),
            new_id("agr", at=AT),
            data=data,
            request={"title": "x"},
            at=AT,
        )


def age(ports: Ports, digest: str) -> None:
    """Make a file as old as it will be after a day."""
    folder = ports.settings.home.resolve() / "blobs"
    old = time.time() - 2 * 86_400
    os.utime(folder / digest[:2] / digest[2:4] / digest, (old, old))


def test_a_draft_past_its_day_is_deleted_with_its_file(ports: Ports, donor) -> None:
    old, young = (
        keep(ports, donor, invented_pdf(pages=3)),
        keep(ports, donor, invented_pdf(pages=4)),
    )
    with transaction(ports.sessions) as session:
        session.get_one(UploadDraftRow, young.id).expires_at = LATER + timedelta(days=1)
    for row in (old, young):
        age(ports, row.sha256)
    assert delete_expired(ports, at=AT) == 0
    assert ports.blobs.has(old.sha256)
    assert delete_expired(ports, at=LATER) == 1
    assert not ports.blobs.has(old.sha256)
    assert ports.blobs.has(young.sha256)
    with transaction(ports.readers) as session:
        assert session.get(UploadDraftRow, old.id) is None
        assert draft_for(session, caller_of(donor), young.id, at=LATER).id == young.id
        with pytest.raises(NotFoundError):
            draft_for(session, caller_of(donor), old.id, at=LATER)
    assert delete_expired(ports, at=LATER) == 0


def test_a_file_that_an_agreement_needs_stays(ports: Ports, donor) -> None:
    hospital = register(ports, invented_registration("hospital", "hospital", at=AT), at=AT)
    agreement = sign_agreement(ports, (donor, hospital), allocation_id=None, at=AT)
    with transaction(ports.readers) as session:
        original = session.get_one(AgreementRow, agreement).original_sha256
    row = keep(ports, donor, ports.blobs.get(original))
    assert row.sha256 == original
    age(ports, original)
    assert delete_expired(ports, at=LATER) == 1
    assert ports.blobs.get(original)


def test_a_file_that_is_stored_again_meanwhile_stays(ports: Ports, donor) -> None:
    row = keep(ports, donor, invented_pdf(pages=3))
    age(ports, row.sha256)
    # Another upload of the same bytes, whose transaction nobody sees yet.
    ports.blobs.put(invented_pdf(pages=3))
    assert delete_expired(ports, at=LATER) == 1
    assert ports.blobs.has(row.sha256)


def test_one_run_deletes_a_limited_number_and_the_next_goes_on(
    ports: Ports, donor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "DELETED_PER_RUN", 2)
    rows = [keep(ports, donor, invented_pdf(pages=number)) for number in (3, 4, 5)]
    for row in rows:
        age(ports, row.sha256)
    assert [delete_expired(ports, at=LATER) for _ in range(3)] == [2, 1, 0]
    assert not any(ports.blobs.has(row.sha256) for row in rows)


def test_no_table_is_forgotten_when_a_file_is_looked_for() -> None:
    folder = Path(ledger.tables.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {one.__name__.rpartition(".")[2] for one in TABLES} == modules
    named = {f"{one.table.name}.{one.name}" for one in blob_queries.digest_columns()}
    assert {
        "agreement.original_sha256",
        "agreement.document_sha256",
        "agreement.current_sha256",
        "agreement_revision.sha256",
        "agreement_archive.sha256",
        "bundle.sha256",
        "prepared_signature.revision_sha256",
        "seal.page_sha256",
        "seal.picture_sha256",
        "upload_draft.sha256",
    } <= named, named
