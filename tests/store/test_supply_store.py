"""Import, generation and rounds on real databases: nothing lost, nothing doubled, whatever is killed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select

from api.callers import OPERATOR, Caller, Role
from api.flows import importing, rounds
from ledger import store
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    VerificationError,
)
from ledger.core.ids import new_id
from ledger.core.report import Verdict
from ledger.queries import supply as queries
from ledger.tables.log import EntryRow
from ledger.tables.supply import (
    AllocationRow,
    HospitalRow,
    ImportRunRow,
    LaneRow,
    NeedRow,
    OfferRow,
    RoundRow,
)
from ledger.vault import FileKeyProvider, Vault
from matching.check import check_plan
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import problem_from_json

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
HANDLER = Caller("acc_x", "pty_x", "pty_y", frozenset({Role.HANDLER}))


@pytest.fixture
def ports(database_url: str, tmp_path: Path) -> Iterator[SimpleNamespace]:
    engine = store.make_engine(database_url)
    yield SimpleNamespace(
        engine=engine,
        sessions=store.sessions(engine),
        readers=store.readers(engine),
        vault=Vault(FileKeyProvider(tmp_path / "vault.key")),
        settings=SimpleNamespace(acts_enabled=False, production=False, round_objection_hours=None),
    )
    engine.dispose()


class KilledError(Exception):
    """The process dies here."""


def count(ports, *tables):
    with ports.sessions() as session:
        return [session.scalar(select(func.count()).select_from(table)) for table in tables]


def entries(ports, kind):
    with ports.sessions() as session:
        return session.scalar(select(func.count()).where(EntryRow.type == kind))


def kill_after(steps):
    left = [steps]

    def progress(stage, done, total):
        left[0] -= 1
        if left[0] == 0:
            raise KilledError

    return progress


def filled(ports):
    run = importing.import_dataset(ports, OPERATOR, at=AT)
    importing.generate_donor_lots(ports, OPERATOR, run_id=run.run_id, at=AT)
    return run


EVERYTHING = (HospitalRow, NeedRow, OfferRow, LaneRow, ImportRunRow, EntryRow)


def test_the_sample_is_imported_once_however_often_it_runs(ports):
    first = filled(ports)
    before = count(ports, *EVERYTHING)
    assert before[:4] == [12, 73, 4 + 72, 3]
    assert sum(sum(row.values()) for row in first.counts.values()) == first.rows
    again = importing.import_dataset(ports, OPERATOR, at=AT + timedelta(days=1))
    importing.generate_donor_lots(ports, OPERATOR, run_id=again.run_id, at=AT)
    assert again == first
    assert count(ports, *EVERYTHING) == before
    assert entries(ports, "need.posted") == 73
    assert entries(ports, "import.finished") == 2


@pytest.mark.parametrize("steps", [1, 3])
def test_an_import_killed_between_batches_goes_on_where_it_was(ports, monkeypatch, steps):
    monkeypatch.setattr(importing, "BATCH_ROWS", 25)
    with pytest.raises(KilledError):
        importing.import_dataset(ports, OPERATOR, at=AT, progress=kill_after(steps))
    with ports.sessions() as session:
        (run,) = queries.import_runs(session)
        assert (run.state, run.rows_done) == ("running", 25 * steps)
    with pytest.raises(ConflictError) as fault:
        importing.generate_donor_lots(ports, OPERATOR, run_id=run.id, at=AT)
    assert fault.value.error_code == "import.not_finished"
    done = importing.import_dataset(ports, OPERATOR, at=AT + timedelta(hours=1))
    assert count(ports, HospitalRow, NeedRow, LaneRow) == [12, 73, 3]
    with pytest.raises(KilledError):
        importing.generate_donor_lots(
            ports, OPERATOR, run_id=done.run_id, at=AT, progress=kill_after(1)
        )
    importing.generate_donor_lots(ports, OPERATOR, run_id=done.run_id, at=AT)
    assert count(ports, OfferRow) == [76]
    assert entries(ports, "offer.posted") == 76


def test_a_batch_that_fails_leaves_nothing_of_itself(ports, monkeypatch):
    def broken(*arguments):
        raise KilledError

    monkeypatch.setattr(importing, "record_many", broken)
    with pytest.raises(KilledError):
        importing.import_dataset(ports, OPERATOR, at=AT)
    assert count(ports, HospitalRow, NeedRow, EntryRow) == [0, 0, 0]


def test_every_row_of_every_file_can_be_read_back(ports):
    run = importing.import_dataset(ports, OPERATOR, at=AT)
    with ports.sessions() as session:
        refused = queries.import_rows_page(session, run_id=run.run_id, status="refused", limit=500)
        assert len(refused) == sum(row["refused"] for row in run.counts.values())
        assert all(row.codes and row.subject_id is None for row in refused)
        first = queries.import_rows_page(session, run_id=run.run_id, limit=10)
        rest = queries.import_rows_page(session, run_id=run.run_id, after=9, limit=500)
        assert len(first) + len(rest) == run.rows


def test_another_version_of_a_source_is_refused(ports, tmp_path):
    importing.import_dataset(ports, OPERATOR, at=AT)
    folder = tmp_path / "sample"
    folder.mkdir()
    for name, data in importing.packaged_sample().items():
        (folder / name).write_bytes(data + b"\n")
    with pytest.raises(ConflictError) as fault:
        importing.import_dataset(ports, OPERATOR, at=AT, folder=folder)
    assert fault.value.error_code == "import.source_changed"


def test_a_folder_that_is_missing_or_short_of_a_file_is_refused(ports, tmp_path):
    with pytest.raises(InputError) as fault:
        importing.import_dataset(ports, OPERATOR, at=AT, folder=tmp_path / "nowhere")
    assert fault.value.error_code == "import.folder_missing"
    with pytest.raises(InputError) as fault:
        importing.import_dataset(ports, OPERATOR, at=AT, folder=tmp_path)
    assert fault.value.error_code == "import.file_missing"


def test_only_an_operator_imports_and_runs_rounds(ports):
    for job in (
        lambda: importing.import_dataset(ports, HANDLER, at=AT),
        lambda: importing.generate_donor_lots(ports, HANDLER, run_id="x", at=AT),
        lambda: rounds.open_round(ports, HANDLER, round_id="x", at=AT),
        lambda: rounds.solve_and_close_round(ports, HANDLER, round_id="x", at=AT),
    ):
        with pytest.raises(ForbiddenError) as fault:
            job()
        assert fault.value.error_code == "auth.role"


def opened(ports, run, *, hours=0):
    at = AT + timedelta(hours=hours)
    return rounds.open_round(ports, OPERATOR, round_id=new_id("rnd", at=at), at=at, as_of=run.as_of)


def test_a_round_commits_before_it_solves_and_its_plan_is_checked(ports):
    found = opened(ports, filled(ports))
    assert (found.state, found.plan_sha256, found.allocations) == ("opened", None, 0)
    assert entries(ports, "round.opened") == 1
    assert entries(ports, "round.closed") == 0
    closed = rounds.solve_and_close_round(ports, OPERATOR, round_id=found.id, at=AT)
    assert closed.state == "closed"
    assert closed.report["verdict"] == "passed"
    assert closed.inputs_sha256 == found.inputs_sha256
    assert closed.allocations == closed.summary["shipments"] > 0
    assert entries(ports, "allocation.proposed") == closed.allocations
    with ports.sessions() as session:
        value = {
            name: rounds.round_document(session, round_id=found.id, name=name)
            for name in ("problem", "plan", "certificate")
        }
        moved = session.scalar(select(func.sum(AllocationRow.quantity)))
    problem = problem_from_json(value["problem"])
    plan, proof = plan_from_json(value["plan"]), certificate_from_json(value["certificate"])
    assert problem.digest().hex() == closed.inputs_sha256
    assert plan.digest().hex() == closed.plan_sha256
    assert proof.digest().hex() == closed.certificate_sha256
    assert check_plan(problem, plan, proof).verdict is Verdict.PASSED
    assert moved == sum(flow.quantity for flow in plan.flows)


def test_a_round_killed_after_opening_is_solved_later_on_the_same_inputs(ports):
    found = opened(ports, filled(ports))
    with pytest.raises(KilledError):
        rounds.solve_and_close_round(
            ports, OPERATOR, round_id=found.id, at=AT, progress=kill_after(2)
        )
    with pytest.raises(KilledError):
        # Dies inside the closing transaction: nothing of it stays.
        rounds.solve_and_close_round(
            ports, OPERATOR, round_id=found.id, at=AT, progress=kill_after(4)
        )
    assert count(ports, AllocationRow) == [0]
    closed = rounds.solve_and_close_round(ports, OPERATOR, round_id=found.id, at=AT)
    again = rounds.solve_and_close_round(
        ports, OPERATOR, round_id=found.id, at=AT + timedelta(hours=1)
    )
    assert again == closed
    assert count(ports, AllocationRow) == [closed.allocations]


def test_a_plan_that_the_checker_rejects_is_never_stored(ports, monkeypatch):
    found = opened(ports, filled(ports))
    honest = rounds.solve_limited

    def cheating(problem, *, candidates, seconds):
        solution = honest(problem, candidates=candidates, seconds=seconds)
        lots = {
            name: (price[0], price[1] - 1, price[2])
            for name, price in solution.certificate.lots.items()
        }
        return type(solution)(
            solution.plan,
            type(solution.certificate)(
                solution.certificate.plan,
                solution.certificate.roots,
                solution.certificate.groups,
                solution.certificate.needs,
                lots,
            ),
            solution.candidates,
        )

    monkeypatch.setattr(rounds, "solve_limited", cheating)
    with pytest.raises(VerificationError) as fault:
        rounds.solve_and_close_round(ports, OPERATOR, round_id=found.id, at=AT)
    assert fault.value.error_code == "certificate.optimal"
    assert count(ports, AllocationRow) == [0]
    with ports.sessions() as session:
        assert rounds.round_summary(session, round_id=found.id).state == "opened"


def test_one_round_at_a_time(ports):
    run = filled(ports)
    first = opened(ports, run)
    same = rounds.open_round(ports, OPERATOR, round_id=first.id, at=AT, as_of=run.as_of)
    assert same == first
    with pytest.raises(ConflictError) as fault:
        opened(ports, run, hours=1)
    assert fault.value.error_code == "round.another_open"


def test_the_database_itself_allows_one_open_round(ports):
    found = opened(ports, filled(ports))
    with ports.sessions() as session:
        row = session.get_one(RoundRow, found.id)
        values = {c.key: getattr(row, c.key) for c in RoundRow.__table__.columns}
    with pytest.raises(ConflictError) as fault, store.transaction(ports.sessions) as session:
        session.add(RoundRow(**(values | {"id": new_id("rnd", at=AT)})))
    assert fault.value.error_code == "concurrent_write"


def test_a_second_round_gives_only_what_the_first_left(ports):
    run = filled(ports)
    first = opened(ports, run)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=first.id, at=AT)
    second = opened(ports, run, hours=1)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=second.id, at=AT + timedelta(hours=1))
    with ports.sessions() as session:
        given = session.execute(
            select(
                AllocationRow.offer_id, AllocationRow.window, func.sum(AllocationRow.quantity)
            ).group_by(AllocationRow.offer_id, AllocationRow.window)
        ).all()
        offers = {row.id: row for row in queries.offers_page(session, limit=1000)}
        assert all(units <= offers[offer].quantity for offer, _, units in given)
        got = session.execute(
            select(AllocationRow.need_id, func.sum(AllocationRow.quantity)).group_by(
                AllocationRow.need_id
            )
        ).all()
        needs = {row.id: row for row, _ in queries.needs_page(session, limit=1000)}
        assert all(units <= needs[need].quantity for need, units in got)


def test_a_day_with_nothing_to_match_is_refused(ports):
    with pytest.raises(ConflictError) as fault:
        rounds.open_round(ports, OPERATOR, round_id=new_id("rnd", at=AT), at=AT)
    assert fault.value.error_code == "round.nothing_to_match"
    filled(ports)
    with pytest.raises(ConflictError) as fault:
        # Needs of 2020 are past their deadline today: the data lives in its own time.
        rounds.open_round(ports, OPERATOR, round_id=new_id("rnd", at=AT), at=AT)
    assert fault.value.error_code == "round.nothing_to_match"


def test_a_round_that_is_not_there_is_not_found(ports):
    with pytest.raises(NotFoundError) as fault:
        rounds.solve_and_close_round(ports, OPERATOR, round_id="rnd_none", at=AT)
    assert fault.value.error_code == "round.not_found"


def test_pages_neither_lose_nor_repeat_a_row(ports):
    filled(ports)
    with ports.sessions() as session:
        seen, after = [], ""
        while page := queries.needs_page(session, after=after, limit=7):
            seen += [need.id for need, _ in page]
            after = seen[-1]
        assert len(seen) == len(set(seen)) == queries.count_needs(session) == 73
        critical = queries.needs_page(session, tier=0, city="武汉市", limit=1000)
        assert critical
        assert all(need.tier == 0 and hospital.city == "武汉市" for need, hospital in critical)
