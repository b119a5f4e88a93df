"""The embedded chain's own promises: one file, killable anywhere, one holder, honest clock, honest label."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts import abi
from ledger.chain import EMBEDDED_LABEL_EN, EMBEDDED_LABEL_ZH
from ledger.chain_key import OperatorKey
from ledger.chain_proof import verify_chain_evidence
from ledger.core.errors import ConflictError, UnavailableError
from ledger.embedded_chain import CHAIN_FILE, KEY_FILE, EmbeddedChain, open_embedded_chain
from ledger.testing import MemoryLog

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def ticking_clock(start=1_700_000_000):
    seconds = itertools.count(start)
    return lambda: float(next(seconds))


def append(chain, log):
    held = chain.head().size
    size, root = log.latest()
    signed = chain.sign_append(
        size=size,
        root=root,
        proof=log.path(held, size),
        nonce=chain.nonce(),
        fees=chain.fees(),
    )
    chain.send(signed.raw)
    return chain.find_append(size=size, root=root)


@pytest.fixture
def log():
    return MemoryLog()


def test_a_restart_finds_the_same_chain_contract_and_anchors(tmp_path, log):
    first = EmbeddedChain(tmp_path, clock=ticking_clock())
    deployment = first.deploy()
    log.grow(3)
    seen = append(first, log)
    evidence = first.evidence(seen.block_number)
    info = first.info()
    first.close()
    again = EmbeddedChain(tmp_path, clock=ticking_clock(1_700_100_000))
    assert again.info() == info
    assert again.deploy(deployment) == deployment
    assert again.head().size == 3
    assert again.find_append(size=seen.size, root=seen.root) == seen
    assert again.evidence(seen.block_number) == evidence
    log.grow(2)
    assert append(again, log).block_number == seen.block_number + 1
    again.close()


@pytest.mark.slow
def test_a_killed_writer_loses_no_acknowledged_block_and_doubles_none(tmp_path):
    """kill -9 at random moments, eight times over the same file."""
    rng = random.Random(20260101)
    confirmed = begun = 0
    for round_number in range(8):
        process = subprocess.Popen(
            [
                sys.executable,
                HERE / "kill_writer.py",
                tmp_path,
                str(1_700_000_000 + round_number * 10**6),
            ],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        lines = [process.stdout.readline()]
        deadline = time.monotonic() + 0.05 + rng.random() * 0.4
        while time.monotonic() < deadline:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].splitlines()
        whole = [line.strip() for line in lines if line.strip()]
        begun = max([begun, *(int(line[:-1]) for line in whole if line.endswith("?"))])
        confirmed = max([confirmed, *(int(line) for line in whole if not line.endswith("?"))])
    chain, log = EmbeddedChain(tmp_path, clock=ticking_clock(1_800_000_000)), MemoryLog()
    head = chain.head()
    assert confirmed <= head.size <= begun
    assert confirmed > 8
    # Every size from 1 on was appended exactly once, in order, and the whole is the one tree.
    assert head.index == head.size
    log.grow(head.size)
    assert head.root == log.root(head.size)
    assert chain.nonce() == 1 + head.size
    blocks = [
        chain.find_append(size=size, root=log.root(size)).block_number
        for size in range(1, head.size + 1)
    ]
    assert blocks == list(range(2, head.size + 2))
    seen = chain.find_append(size=head.size, root=head.root)
    verify_chain_evidence(chain.evidence(seen.block_number), size=head.size, root=head.root)
    chain.close()


def test_a_second_holder_is_told_so_and_may_take_over_later(tmp_path):
    first = EmbeddedChain(tmp_path, clock=ticking_clock())
    with pytest.raises(UnavailableError) as caught:
        open_embedded_chain(tmp_path)
    assert caught.value.error_code == "chain.locked"
    first.close()
    open_embedded_chain(tmp_path).close()


def test_another_process_that_holds_it_is_noticed(tmp_path):
    chain = EmbeddedChain(tmp_path, clock=ticking_clock())
    chain.deploy()
    code = (
        "import sys;from pathlib import Path;from ledger.embedded_chain import open_embedded_chain\n"
        "try:\n open_embedded_chain(Path(sys.argv[1]))\n"
        "except Exception as exc:\n print(exc.error_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert done.stdout.strip() == "chain.locked"
    chain.close()


def test_a_full_disk_is_named_loses_nothing_and_heals(tmp_path, log):
    chain = EmbeddedChain(tmp_path, clock=ticking_clock())
    chain.deploy()
    log.grow(1)
    append(chain, log)
    head, nonce = chain.head(), chain.nonce()
    sql = chain._file._sql
    pages = sql.execute("PRAGMA page_count").fetchone()[0]
    sql.execute(f"PRAGMA max_page_count={pages}")
    log.grow(1)
    codes = set()
    for _ in range(20):
        try:
            append(chain, log)
        except UnavailableError as exc:
            codes.add(exc.error_code)
            break
        head, nonce = chain.head(), chain.nonce()
        log.grow(1)
    assert codes == {"chain.disk_full"}
    assert (chain.head(), chain.nonce()) == (head, nonce)
    sql.execute("PRAGMA max_page_count=1000000")
    assert append(chain, log).size == log.latest()[0]
    assert chain.head().index == head.index + 1
    chain.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / CHAIN_FILE).write_bytes(b"this is not a database" * 400)
    with pytest.raises(UnavailableError) as caught:
        open_embedded_chain(tmp_path)
    assert caught.value.error_code == "chain.store_failed"


def test_a_file_of_a_later_version_is_not_touched(tmp_path):
    EmbeddedChain(tmp_path, clock=ticking_clock()).close()
    sql = sqlite3.connect(tmp_path / CHAIN_FILE)
    sql.execute("PRAGMA user_version=99")
    sql.close()
    with pytest.raises(UnavailableError) as caught:
        open_embedded_chain(tmp_path)
    assert caught.value.error_code == "chain.store_failed"


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    EmbeddedChain(tmp_path, clock=ticking_clock()).close()
    before = (tmp_path / KEY_FILE).read_bytes()
    EmbeddedChain(tmp_path, clock=ticking_clock()).close()
    assert (tmp_path / KEY_FILE).read_bytes() == before
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_others_can_read_is_refused(tmp_path):
    EmbeddedChain(tmp_path, clock=ticking_clock()).close()
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(ConflictError) as caught:
        open_embedded_chain(tmp_path)
    assert caught.value.error_code == "chain.key_permissions"


@pytest.mark.parametrize("text", ["", "xyz", "00" * 32, "ff" * 32])
def test_a_malformed_key_is_refused(tmp_path, text):
    path = tmp_path / KEY_FILE
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConflictError) as caught:
        OperatorKey.load(path)
    assert caught.value.error_code == "chain.key_malformed"


def test_a_chain_without_its_key_is_not_continued_under_another(tmp_path):
    EmbeddedChain(tmp_path, clock=ticking_clock()).close()
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(ConflictError) as caught:
        open_embedded_chain(tmp_path)
    assert caught.value.error_code == "chain.key_mismatch"


def test_block_times_are_the_clocks_and_blocks_of_one_second_share_it(tmp_path, log):
    now, slept = [1_700_000_000.25], []
    chain = EmbeddedChain(tmp_path, clock=lambda: now[0], sleep=slept.append)
    chain.deploy()
    seen = []
    for _ in range(25):
        now[0] += 0.02
        log.grow(1)
        seen.append(append(chain, log))
    # More than twenty transactions in one second of the clock: nobody waits, the number tells the order.
    assert slept == []
    assert {one.block_time for one in seen} == {1_700_000_000}
    assert [one.block_number for one in seen] == list(range(2, 27))
    for one in (seen[0], seen[-1]):
        verify_chain_evidence(chain.evidence(one.block_number), size=one.size, root=one.root)
    now[0] = 1_700_000_900.0
    log.grow(1)
    assert append(chain, log).block_time == 1_700_000_900
    chain.close()


def test_a_clock_that_was_corrected_by_a_second_is_waited_for(tmp_path, log):
    now, slept = [1_700_000_000.25], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    chain = EmbeddedChain(tmp_path, clock=lambda: now[0], sleep=sleep)
    chain.deploy()
    now[0] -= 1
    log.grow(1)
    assert append(chain, log).block_time == 1_700_000_000
    assert slept == [0.75]
    chain.close()


def test_a_clock_that_was_set_back_makes_no_block(tmp_path, log):
    now = [1_700_000_000.0]
    chain = EmbeddedChain(tmp_path, clock=lambda: now[0])
    chain.deploy()
    now[0] -= 3600
    log.grow(1)
    with pytest.raises(UnavailableError) as caught:
        append(chain, log)
    assert caught.value.error_code == "chain.clock_behind"
    assert chain.head().size == 0
    now[0] += 7200
    assert append(chain, log).size == 1
    chain.close()


def test_it_calls_itself_what_it_is(tmp_path):
    chain = EmbeddedChain(tmp_path, clock=ticking_clock())
    info = chain.info()
    assert info.kind == "embedded"
    assert info.label_en == EMBEDDED_LABEL_EN
    assert "nothing to a stranger" in info.label_en
    assert info.label_zh == EMBEDDED_LABEL_ZH
    assert info.chain_id < 2**53
    chain.close()


def test_the_contract_itself_answers_about_inclusion(tmp_path, log):
    chain = EmbeddedChain(tmp_path, clock=ticking_clock())
    chain.deploy()
    log.grow(11)
    append(chain, log)
    leaf = log._leaves[6]
    right = abi.encode_is_included(leaf, index=6, size=11, path=log.inclusion(6, 11))
    wrong = abi.encode_is_included(leaf, index=5, size=11, path=log.inclusion(6, 11))
    assert abi.decode_bool(chain.call(right)) is True
    assert abi.decode_bool(chain.call(wrong)) is False
    older = abi.encode_is_included(leaf, index=6, size=9, path=log.inclusion(6, 9))
    assert abi.decode_revert(chain.call(older)) == abi.Revert("EvidenceLogNotHead", (9, 11))
    chain.close()


def test_a_transaction_of_another_key_is_refused(tmp_path, log):
    one = EmbeddedChain(tmp_path / "one", clock=ticking_clock())
    two = EmbeddedChain(tmp_path / "two", clock=ticking_clock())
    for chain in (one, two):
        chain.deploy()
    log.grow(1)
    size, root = log.latest()
    foreign = two.sign_append(size=size, root=root, proof=[], nonce=1, fees=two.fees())
    for raw in (foreign.raw, b"", b"\x02\xc0", b"\x00" * 200_000):
        with pytest.raises(ConflictError) as caught:
            one.send(raw)
        assert caught.value.error_code == "chain.refused"
    assert one.head().size == 0
    one.close()
    two.close()
