"""Every probe of the doctor: a finding beside each all-clear, without needing the machine that shows it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api import doctor
from api.machine import Machine
from api.settings import Settings
from ledger.chain import ChainInfo
from ledger.core.errors import UnavailableError
from ledger.core.report import Report, Verdict

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
INFO = ChainInfo(
    chain_id=31337,
    kind="embedded",
    name="test",
    client="py-evm",
    finality="immediate",
    label_en="single operator",
    label_zh="单一运营者",
)


class Chain:
    """The one method the doctor calls."""

    def info(self) -> ChainInfo:
        return INFO


def raising(error: Exception) -> object:
    def call(*_: object) -> object:
        raise error

    return call


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which everything is in order."""
    for folder, name in {
        "contracts/artifacts": "EvidenceLog.json",
        "ledger/migrations/versions": "0001_first.py",
        "matching/data": "catalogue.json",
        "api/web/templates": "base.html",
    }.items():
        (tmp_path / "clone" / folder).mkdir(parents=True)
        (tmp_path / "clone" / folder / name).touch()
    home = tmp_path / "home"
    (home / "chain").mkdir(parents=True)
    (home / "fuqi.sqlite3").touch()
    return Machine(
        settings=Settings(home=home),
        python=(3, 11, 7),
        run=lambda command: "yes" if command[0] == "timedatectl" else f"{command[0]} 1.0",
        version=lambda name: "1.0",
        requires=lambda name: ["web3>=7", "psycopg[binary]>=3; python_version >= '3.8'"],
        missing_glyphs=lambda text: (),
        font_name=lambda: "test.ttf",
        schema=lambda url: ("0001", "0001"),
        alarms=lambda url, wall: (),
        chain=lambda settings: Chain(),
        free_bytes=lambda folder: 2 * 1024**3,
        wall=lambda: AT,
        monotonic=lambda: 100.0,
        checkout=tmp_path / "clone",
    )


def changed(machine: Machine, **fields: object) -> Machine:
    return dataclasses.replace(machine, **fields)


def verdict_of(report: Report, code: str) -> Verdict:
    return next(check.verdict for check in report.checks if check.code == code)


def test_a_machine_in_order_passes_every_check(machine: Machine) -> None:
    report = doctor.examine(machine, for_tests=True)
    assert {check.code: check.verdict for check in report.checks if check.verdict != "passed"} == {}
    assert len(report.checks) == len(doctor.PROBES) + len(doctor.TOOLS) > 12
    assert report.labels == ()


JUMPING = iter([AT, AT + timedelta(hours=1)])
BROKEN: list[tuple[str, dict[str, object], str]] = [
    ("doctor.python", {"python": (3, 10, 14)}, "3.11"),
    ("doctor.packages", {"version": lambda name: None if name == "psycopg" else "1"}, "psycopg"),
    ("doctor.packages", {"requires": lambda name: None}, "make setup"),
    ("doctor.parts", {"checkout": Path("/nowhere")}, "contracts/artifacts"),
    (
        "doctor.font",
        {"font_name": raising(UnavailableError("no font: apt", code="font.not_found"))},
        "apt",
    ),
    ("doctor.font", {"missing_glyphs": lambda text: ("𬱖",)}, "𬱖"),
    ("doctor.disk", {"free_bytes": lambda folder: 1024**3 - 1}, "1023 MiB"),
    ("doctor.database", {"schema": lambda url: ("0001", "0002")}, "fuqi db migrate"),
    (
        "doctor.database",
        {"schema": raising(UnavailableError("no answer", code="database.unavailable"))},
        "no answer",
    ),
    ("doctor.rounds", {"alarms": lambda url, wall: ("rnd_1", "rnd_2")}, "2 rounds"),
    (
        "doctor.chain",
        {"chain": raising(UnavailableError("no answer", code="chain.x"))},
        "no answer",
    ),
    (
        "doctor.vault",
        {"master_keys": raising(UnavailableError("wrong PIN", code="vault.pin_wrong"))},
        "vault.pin_wrong",
    ),
    ("doctor.clock", {"wall": lambda: datetime(1970, 1, 1, tzinfo=UTC)}, "1970-01-01"),
    ("doctor.clock", {"wall": lambda: next(JUMPING)}, "jumped"),
]


@pytest.mark.parametrize(("code", "fault", "said"), BROKEN, ids=[f"{c}-{s}" for c, _, s in BROKEN])
def test_what_is_wrong_is_named_with_the_way_out(
    machine: Machine, code: str, fault: dict[str, object], said: str
) -> None:
    report = doctor.examine(changed(machine, **fault))
    assert verdict_of(report, code) is Verdict.FAILED
    assert said in next(check.summary_en for check in report.checks if check.code == code)
    assert report.verdict is Verdict.FAILED


def test_the_doctor_says_which_vault_provider_is_in_use(machine: Machine) -> None:
    report = doctor.examine(machine)
    said = next(check.summary_en for check in report.checks if check.code == "doctor.vault")
    assert said == "vault master key: file vault.key, readable by its owner only"


def test_every_probe_has_a_fault_tested_here() -> None:
    tested = {code for code, _, _ in BROKEN} | {"doctor.home"}
    assert tested == {f"doctor.{probe.__name__.removeprefix('_')}" for probe in doctor.PROBES}


def test_a_home_that_is_a_file_fails(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    report = doctor.examine(changed(machine, settings=Settings(home=tmp_path / "file" / "below")))
    assert verdict_of(report, "doctor.home") is Verdict.FAILED


def test_a_first_start_needs_neither_database_nor_chain(machine: Machine, tmp_path: Path) -> None:
    fresh = changed(
        machine,
        settings=Settings(home=tmp_path / "fresh"),
        schema=raising(AssertionError("the database was opened")),
        chain=raising(AssertionError("the chain was opened")),
    )
    assert doctor.examine(fresh).verdict is Verdict.PASSED
    assert not (tmp_path / "fresh").exists()


def test_rounds_are_not_looked_at_in_a_database_that_does_not_answer(machine: Machine) -> None:
    silent = changed(machine, alarms=raising(UnavailableError("away", code="database.unavailable")))
    assert verdict_of(doctor.examine(silent), "doctor.rounds") is Verdict.INDETERMINATE
    # Another schema may have no such table: nothing is asked.
    old = changed(
        machine, schema=lambda url: ("0001", "0002"), alarms=raising(AssertionError("asked"))
    )
    assert verdict_of(doctor.examine(old), "doctor.rounds") is Verdict.PASSED


def test_a_chain_in_use_by_a_running_process_is_no_fault(machine: Machine) -> None:
    busy = changed(machine, chain=raising(UnavailableError("held", code="chain.locked")))
    assert verdict_of(doctor.examine(busy), "doctor.chain") is Verdict.PASSED


def test_a_clock_that_is_not_synchronised_is_unclear(machine: Machine) -> None:
    report = doctor.examine(changed(machine, run=lambda command: "no"))
    assert verdict_of(report, "doctor.clock") is Verdict.INDETERMINATE
    assert report.verdict is Verdict.INDETERMINATE


def test_a_tool_of_the_tests_is_a_label_unless_it_is_asked_for(machine: Machine) -> None:
    bare = changed(machine, run=lambda command: None)
    report = doctor.examine(bare)
    assert report.verdict is Verdict.PASSED
    assert len(report.labels) == len(doctor.TOOLS)
    assert "apt-get install chromium" in "\n".join(report.labels)
    strict = doctor.examine(bare, for_tests=True)
    assert verdict_of(strict, "doctor.chromium") is Verdict.FAILED


def test_a_password_in_the_database_url_is_not_shown(machine: Machine) -> None:
    settings = Settings(
        home=machine.settings.home, database_url="postgresql://fuqi:geheim@localhost/fuqi"
    )
    report = doctor.examine(changed(machine, settings=settings))
    assert "geheim" not in str(report.as_json())
