"""The demonstration end to end on the packaged sample, and killed again and again."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from api.settings import Settings
from arbitration.checks.all import DONATION_CHECKS, verify_bundle
from arbitration.container import pack, unpack
from arbitration.policy import load_trust
from ledger.core.report import Verdict
from ledger.queries import acts as act_queries
from ledger.queries import custody as custody_queries
from ledger.queries import demo as demo_queries
from ledger.queries import log as log_queries
from ledger.store import make_engine, readers
from ledger.tables.custody import LotRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DEMO = [sys.executable, "-m", "api.cli", "demo"]


def _environment(home: Path) -> dict[str, str]:
    """No settings but the home folder: as a newcomer runs it, without ../shared."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "FUQI_HOME": str(home / "demo"), "COLUMNS": "160"}


def _run(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*DEMO, *arguments],
        cwd=home,
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def _counts(home: Path) -> dict[str, int]:
    engine = make_engine(Settings(home=home / "demo").database)
    with readers(engine)() as session:
        counts = demo_queries.entries_by_type(session)
        assert log_queries.waiting(session) == 0
        assert log_queries.tree_size(session) == sum(counts.values())
    engine.dispose()
    return counts


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("told")
    return home, _run(home)


def test_the_whole_story_runs_on_the_packaged_sample(told: tuple[Path, str]) -> None:
    home, output = told
    counts = _counts(home)
    assert counts["agreement.formed"] == 3
    assert counts["signature.applied"] == 6
    # The round, and the decision on the urgent need.
    assert counts["round.opened"] == counts["round.closed"] == 2
    # Three agreements, the lot, and the donation with its lot and its agreement.
    assert counts["bundle.exported"] == 7
    assert counts["allocation.proposed"] > 20
    for line in ("identity.rid_checksum", "need.quantity_negative", "offer.expired"):
        assert line in output
    assert "fuqi serve --demo" in output


def test_the_goods_go_from_the_accepted_line_to_the_ward_and_every_unit_has_a_place(
    told: tuple[Path, str],
) -> None:
    home, output = told
    counts = _counts(home)
    assert {name: counts[name] for name in counts if name.startswith(("lot.", "recall.", "disc"))} == {
        "lot.opened": 1, "lot.packed": 2, "lot.handed": 3, "lot.received": 3, "lot.inspected": 1,
        "lot.released": 1, "lot.used": 1, "recall.opened": 1, "recall.closed": 1,
        "discrepancy.opened": 1, "discrepancy.answered": 1, "discrepancy.settled": 1,
    }  # fmt: skip
    for refusal in ("udi.check_digit", "custody.same_person", "custody.recalled"):
        assert refusal in output
    for paper in ("labels.pdf", "certificate.pdf"):
        assert (home / "demo/out" / paper).read_bytes().startswith(b"%PDF")
    engine = make_engine(Settings(home=home / "demo").database)
    with readers(engine)() as session:
        (lot,) = session.scalars(select(LotRow))
        held: dict[str, int] = {}
        for one in custody_queries.positions_of(session, [lot.id]):
            held[one.shelf] = held.get(one.shelf, 0) + one.quantity
        calls = [one.call for one in act_queries.acts_of(session, lot.id, limit=100)]
        states = {one.state for one in act_queries.acts_of(session, lot.id, limit=100)}
    engine.dispose()
    assert set(held) == {"stock", "used", "lost", "packed"}
    assert sum(held.values()) == lot.quantity
    assert states == {"final"}
    assert calls.count("reject") == 1
    assert calls.count("consume") == 2


def test_an_order_is_made_and_accepted_and_a_change_of_use_needs_the_donors_word(
    told: tuple[Path, str],
) -> None:
    home, output = told
    counts = _counts(home)
    kinds = ("order.", "purpose.", "fiscal.", "need.urgent")
    assert {name: counts[name] for name in counts if name.startswith(kinds)} == {
        "order.requested": 1, "order.documented": 3, "order.stepped": 7, "purpose.asked": 1,
        "purpose.decided": 1, "fiscal.referenced": 1, "need.urgent": 1,
    }  # fmt: skip
    for refusal in ("order.document_missing", "custody.giver_only"):
        assert refusal in output
    assert "300 served" in output


def test_the_donation_adds_up_and_its_bundle_stands_alone(told: tuple[Path, str]) -> None:
    home, output = told
    assert "合计 23400 = 供给 23400" in output
    data = (home / "demo/out/bundle-donation.zip").read_bytes()
    trust = load_trust(home / "demo/out/trust.json")
    report = verify_bundle(data, trust=trust, at=datetime.now(UTC))
    assert report.verdict is Verdict.PASSED
    assert [one.code for one in report.checks][1:] == [code for code, _ in DONATION_CHECKS]


def test_running_it_again_adds_nothing(told: tuple[Path, str]) -> None:
    home, _ = told
    before = _counts(home)
    output = _run(home)
    assert "继续上次演示" in output
    assert _counts(home) == before


def test_the_round_was_committed_to_the_chain_before_it_was_solved(told: tuple[Path, str]) -> None:
    home, _ = told
    files = unpack((home / "demo/out/bundle-1.zip").read_bytes())
    receipts = [json.loads(data) for path, data in files.items() if path.startswith("receipts/")]
    anchored = {}
    for receipt in receipts:
        # What the hospital does in other matters stays closed, its second handler's authority for one.
        body = (receipt["private"] or {"body": {}})["body"]
        for kind, field in (("opened", "inputs_sha256"), ("closed", "plan_sha256")):
            if body.get(field) and "round" in body and "allocation" not in body:
                anchored[kind] = receipt["anchor"]["block_number"]
    assert anchored["opened"] < anchored["closed"]


def test_every_part_of_a_bundle_is_protected(told: tuple[Path, str]) -> None:
    """One byte of each file in turn, repacked by a careful forger: never passed, never a crash."""
    home, _ = told
    files = unpack((home / "demo/out/bundle-3.zip").read_bytes())
    script = home / "forged.py"
    script.write_text(
        "import sys\nfrom datetime import UTC, datetime\nfrom pathlib import Path\n"
        "from arbitration.checks.all import verify_bundle\n"
        "from arbitration.policy import load_trust\n"
        "trust = load_trust(Path(sys.argv[1]))\n"
        "for name in sorted(Path(sys.argv[2]).glob('*.zip')):\n"
        "    report = verify_bundle(name.read_bytes(), trust=trust, at=datetime.now(UTC))\n"
        "    failed = [c.code for c in report.checks if c.verdict == 'failed']\n"
        "    print(name.stem, report.verdict.value, ','.join(failed))\n",
        encoding="utf-8",
    )
    folder = home / "forged"
    folder.mkdir(exist_ok=True)
    for number, path in enumerate(sorted(files)):
        changed = bytearray(files[path])
        changed[len(changed) // 2] ^= 0x01
        forged = pack({**files, path: bytes(changed)})
        (folder / f"{number:03d}.zip").write_bytes(forged)
    done = subprocess.run(
        [sys.executable, str(script), str(home / "demo/out/trust.json"), str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split(" ") for line in done.stdout.splitlines()]
    assert len(lines) == len(files)
    names = sorted(files)
    passed = [names[int(number)] for number, verdict, _ in lines if verdict != "failed"]
    assert passed == []
    assert all(codes for _, _, codes in lines), "each failure names its check"


def _killed_after(home: Path, seconds: float) -> bool:
    """Run the story and kill it after so long; whether there was still something to kill."""
    process = subprocess.Popen(
        DEMO, cwd=home, env=_environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return True
    finally:
        process.wait(timeout=30)
    return False


def _killed_at(home: Path, words: str) -> bool:
    """Run the story and kill it as soon as it says `words`; whether it did."""
    process = subprocess.Popen(
        DEMO,
        cwd=home,
        env=_environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as lines:
        said = any(words in line for line in lines)
        process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    return said


def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    told: tuple[Path, str], tmp_path: Path
) -> None:
    expected = _counts(told[0])
    killed = [_killed_after(tmp_path, delay) for delay in (1.2, 2.6, 3.8, 5.0)]
    assert sum(killed) >= 3, "the machine is so fast that nothing was interrupted"
    # Then in the midst of the goods' way, at places that are the same on every machine.
    for words in ("开立批次", "移交承运方", "两人验收", "变更用途", "反向", "加工订单", "紧急需求"):
        assert _killed_at(tmp_path, words), words
    _run(tmp_path)
    assert _counts(tmp_path) == expected
