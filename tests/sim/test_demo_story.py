"""The demonstration end to end on the packaged sample, and killed again and again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.settings import Settings
from arbitration.container import pack, unpack
from ledger.queries import demo as demo_queries
from ledger.queries import log as log_queries
from ledger.store import make_engine, readers

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
    assert counts["round.opened"] == counts["round.closed"] == 1
    assert counts["bundle.exported"] == 3
    assert counts["allocation.proposed"] > 20
    for line in ("identity.rid_checksum", "need.quantity_negative", "offer.expired"):
        assert line in output
    assert "fuqi serve --demo" in output


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
        body = receipt["private"]["body"]
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


def test_killed_at_any_moment_it_loses_and_doubles_nothing(
    told: tuple[Path, str], tmp_path: Path
) -> None:
    expected = _counts(told[0])
    delays = [1.2, 2.0, 2.6, 3.2, 3.8, 4.4, 5.0, 6.0]
    killed = 0
    for delay in delays:
        process = subprocess.Popen(
            DEMO,
            cwd=tmp_path,
            env=_environment(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait(timeout=30)
        time.sleep(0.05)
    assert killed >= 4, "the machine is so fast that nothing was interrupted"
    _run(tmp_path)
    assert _counts(tmp_path) == expected
