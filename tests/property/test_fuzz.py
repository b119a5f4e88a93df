"""The fuzzer: a short run over every entry point, and that it sees what it is there to see.

A long run: `python scripts/fuzz.py --seconds 3600 --seed N`.
"""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.core.errors import InputError
from signing import testing_fuzz as mutations

ROOT = Path(__file__).parents[2]
SECONDS = 4
SEED = 20261123


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


FUZZ = load("fuzz")


def test_a_short_run_over_every_entry_point_finds_nothing(tmp_path):
    run = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", str(ROOT / "scripts" / "fuzz.py"), "--own"),
            *("--seconds", str(SECONDS), "--seed", str(SEED), "--out", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stdout + run.stderr[-2_000:]
    counts = {line.split()[0]: int(line.split()[1]) for line in run.stdout.splitlines()[:-1]}
    assert len(counts) == 19
    assert all(counts.values()), "an entry point was not reached"


def planted(data):
    if data.startswith(b"raise"):
        raise KeyError("a fault")
    if data.startswith(b"hang"):
        time.sleep(60)
    if data.startswith(b"die"):
        FUZZ.os.kill(FUZZ.os.getpid(), 9)
    if data.startswith(b"swell"):
        bytearray(3 * 1024**3)
    if data.startswith(b"refuse"):
        raise InputError("not this one", code="pdf.broken")
    if data.startswith(b"pass"):
        raise FUZZ.Finding("a changed file passes")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"raise", "KeyError in "),
        (b"hang", "hang"),
        (b"die", "the child died"),
        (b"swell", "MemoryError in "),
        (b"pass", "a changed file passes"),
    ],
)
def test_a_planted_fault_is_found_and_its_input_kept(tmp_path, monkeypatch, data, said):
    monkeypatch.setattr(FUZZ, "CASE_SECONDS_MAX", 0.4)
    monkeypatch.setattr(FUZZ, "mutate", lambda *_args, **_kwargs: data)
    target = FUZZ.Target("bytes", (b"honest",), planted)
    campaign = FUZZ.Campaign({"planted": target}, 1, tmp_path, time.monotonic() + 0.9)
    campaign.run()
    kept = [path.read_bytes() for path in tmp_path.glob("*.bin")]
    assert kept == [data]
    assert said in next(tmp_path.glob("*.txt")).read_text()


def test_our_own_error_is_a_fault_only_where_a_report_is_the_contract():
    refusing = FUZZ.Target("bytes", (), planted)
    reporting = FUZZ.Target("bytes", (), planted, refuses=False)
    assert FUZZ.fault_of(refusing, b"refuse") == ""
    assert "pdf.broken" in FUZZ.fault_of(reporting, b"refuse")
    assert FUZZ.fault_of(refusing, b"pass", honest=True) == ""


def test_a_case_is_repeated_by_its_number(tmp_path):
    target = FUZZ.Target("der", (b"\x30\x03\x02\x01\x05",), planted)
    one, other = (FUZZ.Campaign({"x": target}, seed, tmp_path, 0.0) for seed in (1, 2))
    inputs = [one.input_of("x", number) for number in range(40)]
    assert inputs == [one.input_of("x", number) for number in range(40)]
    assert inputs[1:] != [other.input_of("x", number) for number in range(1, 40)]
    assert inputs[0] == target.seeds[0]


def test_a_changed_value_leaves_the_lengths_around_it_true():
    data = bytes.fromhex("300a3003020105" + "3003020106")
    nodes = mutations.der_nodes(data)
    assert len(nodes) == 5
    inner = next(node for node in nodes if data[node[0] : node[2]] == b"\x02\x01\x05")
    changed = mutations.replaced(data, inner, b"\x04\x82\x01\x00" + bytes(256))
    again = mutations.der_nodes(changed)
    assert changed[again[0][0] : again[0][2]] == changed
    assert b"\x02\x01\x06" in [changed[n[0] : n[2]] for n in again]


@pytest.mark.parametrize("kind", ["pdf", "der", "bytes"])
def test_every_mutation_takes_any_input(kind):
    inputs = (b"", b"x", b"\x30\x80", b"1 0 obj\n<< /A [1 2 R] >>\nendobj", bytes(range(256)))
    for seed in range(150):
        for data in inputs:
            made = mutations.mutate(data, random.Random(seed), kind=kind, others=inputs)
            assert isinstance(made, bytes)
            assert len(made) <= mutations.SIZE_MAX
