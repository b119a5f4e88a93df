"""Archiving: every formed agreement becomes a long-term signature (PAdES B-LTA) and is renewed in time.

The file after the last signature stays what it is (ES-5). The archived one begins with the same bytes
and adds the revocation data of every certificate and a document time stamp; before the newest
time-stamp authority ends, another one is added. All of it is a job of the worker, so that neither a
slow authority nor a large file holds up whoever signs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.flows.bundles import kept_file
from api.flows.form_filling import recorded_edits
from api.flows.signatures import pki_trust
from api.ports import Ports
from ledger.core.errors import ConflictError, FuqiError, NotFoundError, UnavailableError
from ledger.core.ids import derived_id
from ledger.core.units import utc_text
from ledger.log import NewEntry, record
from ledger.queries import agreements as queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, ArchiveRow
from signing.embedded import ValidationData
from signing.longterm import Level, Renewal, extend, level_of, renewal_of
from signing.pdf_reading import signatures_of
from signing.reading import RecordedEdit
from signing.trust import Purpose, check_path
from signing.validate import validate_pdf

ARCHIVES_PER_STEP: Final = 16
"""Files archived in one step of the worker: each takes about a tenth of a second."""
ANSWERS_MAX: Final = 50
"""Certificates of one file that are asked about: as many signatures as a file is made for."""
LEAF_AND_ISSUER: Final = 2
FAILED_MAX: Final = 200
"""Agreements left out at once because they have just failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An agreement that could not be archived, and why."""

    agreement_id: str
    code: str


def archive_due(
    ports: Ports, *, clock: Callable[[], datetime], without: Collection[str] = ()
) -> list[Failure]:
    """Archive what is due, each agreement in a transaction of its own; returns what failed."""
    with transaction(ports.readers) as session:
        due = queries.due_archives(
            session,
            at=clock(),
            without=sorted(without)[:FAILED_MAX],
            limit=ARCHIVES_PER_STEP,
        )
    failed = []
    for agreement_id in due:
        try:
            archive(ports, agreement_id, at=clock())
        except FuqiError as exc:
            failed.append(Failure(agreement_id, exc.error_code))
    return failed


@dataclass(frozen=True, slots=True)
class _Made:
    """An archived file that is not recorded yet.

    Attributes:
        number: which one of the agreement's it is.
        base: digest of the file it begins with.
    """

    number: int
    base: str
    data: bytes
    renewal: Renewal


def archive(ports: Ports, agreement_id: str, *, at: datetime) -> ArchiveRow:
    """Make the next archived file of a formed agreement, check it strictly, record it.

    The stamp is asked for between two transactions: a slow authority holds no lock, and a crash there
    leaves nothing behind. Nothing is done where the newest file is not due yet: it is returned.

    Raises:
        NotFoundError: no such agreement.
        ConflictError: `archive.not_formed`, `archive.authority_not_newer`, `pdf.time_goes_back`,
            `pdf.breaks_earlier_signature`, `archive.overtaken`.
        VerificationError: the first check that the archived file does not pass.
        UnavailableError: the time-stamp authority does not answer.
    """
    with transaction(ports.readers) as session:
        row = session.get(AgreementRow, agreement_id)
        if row is None:
            raise NotFoundError("there is no such record")
        if row.formed_at is None:
            raise ConflictError(
                "only a formed agreement is archived; wait for the last signature",
                code="archive.not_formed",
            )
        before = queries.archives_of(session, agreement_id)
        if before and before[-1].due_at > at:
            return before[-1]
        base = before[-1].sha256 if before else row.current_sha256
        edits = recorded_edits(session, agreement_id)
    made = _make(ports, base, number=len(before) + 1, edits=edits, at=at)
    # Files first: a crash here leaves a file nothing refers to, never a row without its file.
    with kept_file(ports, made.data) as sha256, transaction(ports.sessions) as session:
        queries.lock_agreement(session, agreement_id)
        now = queries.archives_of(session, agreement_id)
        if len(now) + 1 != made.number:
            raise ConflictError(
                "another worker archived it meanwhile; its file stands", code="archive.overtaken"
            )
        for earlier in now:
            earlier.newest = False
        assert made.renewal.newest is not None
        archived = ArchiveRow(
            agreement_id=agreement_id,
            number=made.number,
            base_sha256=made.base,
            sha256=sha256,
            size_bytes=len(made.data),
            level=Level.B_LTA.value,
            stamped_at=made.renewal.newest,
            due_at=made.renewal.due,
            newest=True,
            created_at=at,
        )
        session.add(archived)
        _record(session, ports, archived, at=at)
        session.flush()
        return archived


def _make(
    ports: Ports, base: str, *, number: int, edits: Sequence[RecordedEdit], at: datetime
) -> _Made:
    """The next file, stamped and checked; no transaction is open."""
    data = ports.blobs.get(base)
    # An authority outside is asked for its lists where ours are an hour old.
    ports.authority.refresh(at=at)
    trust = pki_trust(ports, at=at)
    made = extend(
        data,
        material=ValidationData(
            certificates=(*trust.ca_roots, *trust.tsa_roots),
            crls=trust.crls,
            ocsps=_answers(ports, data, roots=trust.ca_roots, at=at) if number == 1 else (),
        ),
        stamp=lambda imprint: ports.tsa.stamp(imprint, at=at),
        edits=edits,
    )
    # By itself: a verifier in twenty years has the roots and this file.
    alone = type(trust)(ca_roots=trust.ca_roots, tsa_roots=trust.tsa_roots, labels=trust.labels)
    validate_pdf(made, trust=alone, at=at, edits=edits).require()
    assert level_of(made) is Level.B_LTA, "an archived file carries every proof"
    renewal = renewal_of(made, at=at)
    assert renewal.ends is not None
    proven_until = renewal_of(data, at=at).ends
    if proven_until is not None and renewal.ends <= proven_until:
        raise ConflictError(
            "the time-stamp authority ends no later than the proof already in the file: install its "
            "next certificate, or another authority",
            code="archive.authority_not_newer",
        )
    return _Made(number=number, base=base, data=made, renewal=renewal)


def _answers(
    ports: Ports, data: bytes, *, roots: Sequence[bytes], at: datetime
) -> tuple[bytes, ...]:
    """What the responders of an authority outside say now of each signer's certificate.

    One that is away leaves the revocation lists: whether they are enough, the check of the file says.
    """
    if ports.ocsp is None:
        return ()
    found: dict[bytes, bytes] = {}
    for one in signatures_of(data):
        if one.kind == "document_timestamp" or not one.certificate or one.certificate in found:
            continue
        path = check_path(
            one.certificate, others=one.chain, roots=roots, at=at, purpose=Purpose.SIGNING
        ).path
        if len(path) < LEAF_AND_ISSUER or len(found) == ANSWERS_MAX:
            continue
        with contextlib.suppress(UnavailableError):
            found[one.certificate] = ports.ocsp.fetch(one.certificate, path[1], at=at)
    return tuple(found.values())


def _record(session: Session, ports: Ports, archived: ArchiveRow, *, at: datetime) -> None:
    record(
        session,
        ports.vault,
        NewEntry(
            id=derived_id("ent", at=at, seed=f"{archived.agreement_id} {archived.number}"),
            type="document.archived",
            at=at,
            subject=archived.agreement_id,
            actor="system",
            body={
                "agreement": archived.agreement_id,
                "number": archived.number,
                "base_sha256": archived.base_sha256,
                "sha256": archived.sha256,
                "level": archived.level,
                "stamped_at": utc_text(archived.stamped_at),
                "due_at": utc_text(archived.due_at),
                "tsa": ports.tsa.label_en,
            },
        ),
    )
