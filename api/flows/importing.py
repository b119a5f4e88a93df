"""Import a data set, and generate the donor lots it lacks: in batches, resumable, doubling nothing.

Ids are derived from the files' digests, so a second run finds what the first made. Each batch is one
transaction; a crash between two leaves `rows_done` where it was, and the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role
from api.flows.supply import need_body, offer_body
from api.ports import Ports
from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import derived_id
from ledger.log import NewEntry, record_many
from ledger.queries import supply as queries
from ledger.store import transaction
from ledger.tables.supply import (
    HospitalRow,
    ImportRowRow,
    ImportRunRow,
    LaneRow,
    NeedRow,
    OfferRow,
)
from matching.catalogue import Catalogue, from_day
from matching.generate import LotDraft, Seed, generate_lots, load_seed
from matching.importing import (
    COLUMNS,
    FILE_BYTES_MAX,
    Dataset,
    RowResult,
    packaged_sample,
    read_dataset,
)
from matching.importing_rows import CapacityRecord, HospitalRecord, LaneRecord, NeedRecord
from matching.policy import ImportPolicy, load_import_policy
from matching.services import published_catalogue

BATCH_ROWS: Final = 500
"""Rows of one transaction: short enough that other writers do not wait."""
SAMPLE: Final = "sample"

Progress: TypeAlias = Callable[[str, int, int], None]
"""(stage, done, total); called after each batch."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What a finished run made. `counts`: file -> status -> rows; they add up to `rows`."""

    run_id: str
    source: str
    as_of: date
    policy: str
    files: Sequence[Mapping[str, Json]]
    counts: Mapping[str, Mapping[str, int]]
    rows: int
    invented: bool


def import_dataset(
    ports: Ports,
    caller: Caller,
    *,
    at: datetime,
    folder: Path | None = None,
    as_of: date | None = None,
    progress: Progress | None = None,
) -> ImportSummary:
    """Import a folder with the four CSV files, or the packaged sample where `folder` is None.

    Safe to kill and to run again: a finished run is returned as it stands.

    Raises:
        ForbiddenError: `auth.role` unless the caller is an operator.
        InputError: `import.folder_missing`, and the codes of `read_dataset`.
        ConflictError: `import.source_changed`: another version of this source was imported before.
    """
    require_role(caller, Role.OPERATOR)
    catalogue, policy = published_catalogue(), load_import_policy()
    files = packaged_sample() if folder is None else _read_folder(folder)
    source = SAMPLE if folder is None else folder.resolve().name[:100]
    dataset = read_dataset(files, catalogue=catalogue, policy=policy, as_of=as_of)
    run_id = _run_id(dataset, catalogue=catalogue, policy=policy)
    with transaction(ports.sessions) as session:
        run = _dataset_run(
            session, ports, dataset, run_id, source=source, catalogue=catalogue, at=at
        )
        done = run.rows_done
        finished = run.state == "finished"
    total = len(dataset.results)
    while not finished:
        batch = dataset.results[done : done + BATCH_ROWS]
        with transaction(ports.sessions) as session:
            run = _running(session, run_id, rows_done=done)
            # A crash before the commit leaves nothing of this batch; after it, all of it.
            _store_batch(session, ports, run, batch, first=done, actor=caller.account_id)
            done = run.rows_done = done + len(batch)
            if done == total:
                _finish(session, ports, run, actor=caller.account_id)
            finished = done == total
        if progress is not None:
            progress("import", done, total)
    with transaction(ports.sessions) as session:
        stored = queries.count_import_rows(session, run_id=run_id)
        assert stored == total, "the import lost a row"
        return summary_of(session.get_one(ImportRunRow, run_id))


def generate_donor_lots(
    ports: Ports,
    caller: Caller,
    *,
    run_id: str,
    at: datetime,
    seed: Seed | None = None,
    progress: Progress | None = None,
) -> ImportSummary:
    """Make donor lots for an imported data set from the written seed; every one is labelled generated.

    Safe to kill and to run again.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `import.run_not_found`.
        ConflictError: `import.not_finished`, `import.source_changed`.
    """
    require_role(caller, Role.OPERATOR)
    catalogue, written = published_catalogue(), seed or load_seed()
    with transaction(ports.sessions) as session:
        origin = session.get(ImportRunRow, run_id)
        if origin is None or origin.kind != "dataset":
            raise NotFoundError("there is no such import", code="import.run_not_found")
        if origin.state != "finished":
            raise ConflictError("this import has not finished", code="import.not_finished")
        hospitals = _hospital_ids(session, run_id)
        drafts = generate_lots(
            seed=written,
            demand=queries.demand_of_run(session, run_id=run_id),
            hospitals=list(hospitals),
            catalogue=catalogue,
            day=_day(origin.as_of),
        )
        run = _generated_run(session, origin, seed=written, rows=len(drafts), at=at)
        generated_id, done = run.id, run.rows_done
        finished = run.state == "finished"
    while not finished:
        batch = drafts[done : done + BATCH_ROWS]
        with transaction(ports.sessions) as session:
            run = _running(session, generated_id, rows_done=done)
            rows = [
                _generated_offer(run, draft, hospitals, actor=caller.account_id) for draft in batch
            ]
            session.add_all(rows)
            session.flush()
            record_many(session, ports.vault, [_offer_entry(run, row) for row in rows])
            done = run.rows_done = done + len(batch)
            if done == len(drafts):
                _finish(session, ports, run, actor=caller.account_id)
            finished = done == len(drafts)
        if progress is not None:
            progress("generate", done, len(drafts))
    with transaction(ports.sessions) as session:
        return summary_of(session.get_one(ImportRunRow, generated_id))


def summary_of(run: ImportRunRow) -> ImportSummary:
    """The summary of a stored run."""
    return ImportSummary(
        run_id=run.id,
        source=run.source,
        as_of=run.as_of,
        policy=run.policy,
        files=run.files,
        counts=run.counts,
        rows=run.rows,
        invented=run.invented,
    )


def _read_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise InputError("there is no such folder", code="import.folder_missing")
    files: dict[str, bytes] = {}
    for name in COLUMNS:
        path = folder / name
        if not path.is_file():
            raise InputError(f"the folder misses {name}", code="import.file_missing", file=name)
        if path.stat().st_size > FILE_BYTES_MAX:
            raise LimitError(
                f"{name} is larger than {FILE_BYTES_MAX} bytes",
                code="import.too_large",
                file=name,
                limit=FILE_BYTES_MAX,
            )
        files[name] = path.read_bytes()
    return files


def _run_id(dataset: Dataset, *, catalogue: Catalogue, policy: ImportPolicy) -> str:
    """One id for the same files read under the same rules."""
    seed = tagged_digest(
        "fuqi/import-run/v1",
        {
            "files": [[file.name, file.sha256] for file in dataset.files],
            "catalogue": catalogue.digest().hex(),
            "policy": policy.digest().hex(),
            "as_of": dataset.as_of.isoformat(),
        },
    )
    return derived_id("imp", at=_midnight(dataset.as_of), seed=seed.hex())


def _dataset_run(
    session: Session,
    ports: Ports,
    dataset: Dataset,
    run_id: str,
    *,
    source: str,
    catalogue: Catalogue,
    at: datetime,
) -> ImportRunRow:
    existing = session.get(ImportRunRow, run_id)
    if existing is not None:
        return existing
    _require_new_source(session, source)
    run = ImportRunRow(
        id=run_id,
        source=source,
        kind="dataset",
        state="running",
        policy=dataset.policy,
        policy_sha256=load_import_policy().digest().hex(),
        as_of=dataset.as_of,
        files=[
            {"name": file.name, "sha256": file.sha256, "rows": file.rows} for file in dataset.files
        ],
        counts=dataset.counts(),
        rows=len(dataset.results),
        rows_done=0,
        invented=source == SAMPLE,
        started_at=at,
        finished_at=None,
    )
    session.add(run)
    session.flush()
    entry = NewEntry(
        id=_entry_id(run, "catalogue.loaded"),
        type="catalogue.loaded",
        at=at,
        subject=run_id,
        actor="system",
        body={
            "edition": catalogue.version,
            "sha256": catalogue.digest().hex(),
            "items": len(catalogue.items),
            "standards": len(catalogue.editions),
        },
    )
    record_many(session, ports.vault, [entry])
    return run


def _generated_run(
    session: Session, origin: ImportRunRow, *, seed: Seed, rows: int, at: datetime
) -> ImportRunRow:
    run_id = derived_id(
        "imp", at=_midnight(origin.as_of), seed=f"{origin.id}|{seed.digest().hex()}"
    )
    existing = session.get(ImportRunRow, run_id)
    if existing is not None:
        return existing
    source = f"generated:{origin.source}"[:100]
    _require_new_source(session, source)
    run = ImportRunRow(
        id=run_id,
        source=source,
        kind="generated",
        state="running",
        policy=f"fuqi/generated-lots v{seed.version}",
        policy_sha256=seed.digest().hex(),
        as_of=origin.as_of,
        files=[],
        counts={"generated": {"understood": 0, "defaulted": 0, "refused": 0, "generated": rows}},
        rows=rows,
        rows_done=0,
        invented=True,
        started_at=at,
        finished_at=None,
    )
    session.add(run)
    session.flush()
    return run


def _require_new_source(session: Session, source: str) -> None:
    if queries.import_run_of_source(session, source) is not None:
        raise ConflictError(
            "another version of this data set was imported before: rows would stand twice",
            code="import.source_changed",
            source=source,
        )


def _running(session: Session, run_id: str, *, rows_done: int) -> ImportRunRow:
    run = session.get_one(ImportRunRow, run_id, with_for_update=True)
    if run.rows_done != rows_done or run.state != "running":
        raise ConflictError("another process runs this import", code="import.concurrent")
    return run


def _finish(session: Session, ports: Ports, run: ImportRunRow, *, actor: str) -> None:
    run.state = "finished"
    run.finished_at = run.started_at
    totals = {
        status: sum(int(counts[status]) for counts in run.counts.values())
        for status in ("understood", "defaulted", "refused")
    }
    entry = NewEntry(
        id=_entry_id(run, "import.finished"),
        type="import.finished",
        at=run.started_at,
        subject=run.id,
        actor=actor,
        body={
            "source": run.source,
            "files": run.files,
            "rows": run.rows,
            **totals,
            "policy": run.policy,
        },
    )
    record_many(session, ports.vault, [entry])


def _store_batch(
    session: Session,
    ports: Ports,
    run: ImportRunRow,
    batch: Sequence[RowResult],
    *,
    first: int,
    actor: str,
) -> None:
    hospital_ids = {
        result.record.hospital_key: _id("hos", run, f"hospitals.csv|{result.record.hospital_key}")
        for result in batch
        if isinstance(result.record, NeedRecord)
    }
    hospitals: list[HospitalRow] = []
    rest: list[NeedRow | OfferRow | LaneRow] = []
    lines: list[ImportRowRow] = []
    for position, result in enumerate(batch, start=first):
        record = result.record
        row: HospitalRow | NeedRow | OfferRow | LaneRow | None = None
        match record:
            case HospitalRecord():
                row = _hospital(run, record)
                hospitals.append(row)
            case NeedRecord():
                row = _need(
                    run, result, record, hospital_id=hospital_ids[record.hospital_key], actor=actor
                )
                rest.append(row)
            case CapacityRecord():
                row = _capacity(run, result, record, actor=actor)
                rest.append(row)
            case LaneRecord():
                row = _lane(run, record)
                rest.append(row)
            case None:
                pass
        lines.append(
            ImportRowRow(
                run_id=run.id,
                position=position,
                file=result.file,
                line=result.line,
                source_key=result.key[:60],
                status=result.status.value,
                codes=list(result.codes),
                subject_id=None if row is None else row.id,
            )
        )
    session.add_all(hospitals)
    session.flush()
    session.add_all([*rest, *lines])
    session.flush()
    entries = [_need_entry(run, row) for row in rest if isinstance(row, NeedRow)]
    entries += [_offer_entry(run, row) for row in rest if isinstance(row, OfferRow)]
    record_many(session, ports.vault, entries)


def _hospital(run: ImportRunRow, record: HospitalRecord) -> HospitalRow:
    return HospitalRow(
        id=_id("hos", run, f"hospitals.csv|{record.key}"),
        run_id=run.id,
        source_key=record.key,
        organisation_id=None,
        name=record.name,
        province=record.place.province,
        city=record.place.city,
        district=record.district,
        adcode=record.adcode,
        longitude_micro=record.place.longitude_micro,
        latitude_micro=record.place.latitude_micro,
        precision=record.precision,
        agency=record.agency,
        front=record.front,
        scale_percent=record.scale_percent,
        invented=run.invented,
        created_at=run.started_at,
    )


def _need(
    run: ImportRunRow, result: RowResult, record: NeedRecord, *, hospital_id: str, actor: str
) -> NeedRow:
    return NeedRow(
        id=_id("need", run, f"{result.file}|{result.key}"),
        hospital_id=hospital_id,
        run_id=run.id,
        source_key=record.key,
        items=list(record.items),
        item=record.items[0],
        quantity=record.quantity,
        tier=record.tier,
        posted_on=from_day(record.posted_day),
        deadline_on=from_day(record.deadline_day),
        specification=record.specification,
        standard=record.standard,
        edition=record.edition,
        certificate_min=record.certificate_min,
        sterile=record.sterile,
        remaining_days_min=record.remaining_days_min,
        accepts_substitutes=record.accepts_substitutes,
        remarks=list(record.remarks),
        defaults=list(record.defaults),
        state="open",
        withdrawn_reason=None,
        fingerprint="{}",
        created_by=actor,
        created_at=run.started_at,
    )


def _capacity(
    run: ImportRunRow, result: RowResult, record: CapacityRecord, *, actor: str
) -> OfferRow:
    return OfferRow(
        id=_id("offer", run, f"{result.file}|{result.key}"),
        kind="capacity",
        run_id=run.id,
        source_key=record.key,
        organisation_id=None,
        donor_name=record.name,
        donor_kind="organisation",
        item=record.item,
        quantity=record.per_day,
        windows=record.windows,
        available_on=from_day(record.first_day),
        produced_on=None,
        expires_on=None,
        batch_number="",
        standard=record.standard,
        edition=record.edition,
        certificate=record.certificate,
        sterile=False,
        province=record.place.province,
        city=record.place.city,
        longitude_micro=record.place.longitude_micro,
        latitude_micro=record.place.latitude_micro,
        directed_to=[],
        related_to=[],
        frozen=False,
        generated=False,
        defaults=["quantity", "windows", "certificate", "edition"],
        state="open",
        withdrawn_reason=None,
        fingerprint="{}",
        created_by=actor,
        created_at=run.started_at,
    )


def _lane(run: ImportRunRow, record: LaneRecord) -> LaneRow:
    return LaneRow(
        id=_id("lane", run, f"carriers.csv|{record.key}"),
        run_id=run.id,
        source_key=record.key,
        name=record.name,
        origin=record.origin,
        province=record.destination.province,
        city=record.destination.city,
        longitude_micro=record.destination.longitude_micro,
        latitude_micro=record.destination.latitude_micro,
        individuals=record.individuals,
        published_on=record.published_on,
        created_at=run.started_at,
    )


def _generated_offer(
    run: ImportRunRow, draft: LotDraft, hospitals: Mapping[str, str], *, actor: str
) -> OfferRow:
    return OfferRow(
        id=_id("offer", run, draft.key),
        kind="lot",
        run_id=run.id,
        source_key=draft.key,
        organisation_id=None,
        donor_name=draft.donor_name,
        donor_kind=draft.donor_kind,
        item=draft.item,
        quantity=draft.quantity,
        windows=1,
        available_on=from_day(draft.available_day),
        produced_on=from_day(draft.produced_day),
        expires_on=None if draft.expires_day is None else from_day(draft.expires_day),
        batch_number=draft.batch_number,
        standard=draft.standard,
        edition=draft.edition,
        certificate=draft.certificate,
        sterile=draft.sterile,
        province=draft.place.province,
        city=draft.place.city,
        longitude_micro=draft.place.longitude_micro,
        latitude_micro=draft.place.latitude_micro,
        directed_to=[hospitals[key] for key in draft.directed_to],
        related_to=[hospitals[key] for key in draft.related_to],
        frozen=draft.frozen,
        generated=True,
        defaults=[],
        state="open",
        withdrawn_reason=None,
        fingerprint="{}",
        created_by=actor,
        created_at=run.started_at,
    )


def _need_entry(run: ImportRunRow, row: NeedRow) -> NewEntry:
    return NewEntry(
        id=derived_id("ent", at=run.started_at, seed=f"need.posted|{row.id}"),
        type="need.posted",
        at=run.started_at,
        subject=row.id,
        actor=row.created_by,
        body=need_body(row),
    )


def _offer_entry(run: ImportRunRow, row: OfferRow) -> NewEntry:
    return NewEntry(
        id=derived_id("ent", at=run.started_at, seed=f"offer.posted|{row.id}"),
        type="offer.posted",
        at=run.started_at,
        subject=row.id,
        actor=row.created_by,
        body=offer_body(row),
    )


def _hospital_ids(session: Session, run_id: str) -> dict[str, str]:
    """Source key -> id of a run's hospitals, sorted by key."""
    found: dict[str, str] = {}
    after = ""
    while rows := queries.hospitals_page(
        session, run_id=run_id, after=after, limit=queries.PAGE_MAX
    ):
        found |= {row.source_key: row.id for row in rows if row.source_key is not None}
        after = rows[-1].id
    return dict(sorted(found.items()))


def _entry_id(run: ImportRunRow, kind: str) -> str:
    return derived_id("ent", at=run.started_at, seed=f"{kind}|{run.id}")


def _id(prefix: str, run: ImportRunRow, key: str) -> str:
    return derived_id(prefix, at=_midnight(run.as_of), seed=f"{run.id}|{key}")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _day(day: date) -> int:
    return (day - date(1970, 1, 1)).days
