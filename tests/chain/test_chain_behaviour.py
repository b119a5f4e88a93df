"""One behaviour suite for every chain: the fake, the embedded one, anvil mining at once and by the clock, and
four validators of a real network (geth with clique, see tests/chain/conftest.py)."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from ledger.chain import BUMP_DENOMINATOR, BUMP_NUMERATOR, Fees
from ledger.chain_key import OperatorKey
from ledger.chain_proof import verify_chain_evidence
from ledger.core import merkle
from ledger.core.errors import ConflictError, UnavailableError
from ledger.embedded_chain import EmbeddedChain
from ledger.testing import FakeChain, MemoryLog
from ledger.web3_chain import Web3Chain

ROOT = Path(__file__).parents[2]
MINED_WITHIN_SECONDS = 20
ANVIL = ROOT / "node_modules" / ".bin" / "anvil"
# The first account of anvil's public test mnemonic: money on no chain but a test node.
ANVIL_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")


def ticking_clock():
    seconds = itertools.count(1_700_000_000)
    return lambda: float(next(seconds))


@contextlib.contextmanager
def anvil(*options):
    if shutil.which("node") is None or not ANVIL.exists():
        pytest.skip("anvil is not installed: run `make setup-test`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [ANVIL, "--host", "127.0.0.1", "--port", str(port), "--silent", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            pytest.fail("anvil did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def anvil_url():
    with anvil("--hardfork", "prague", "--slots-in-an-epoch", "1") as url:
        yield url


@pytest.fixture(scope="module")
def anvil_interval_url():
    """Blocks come by the clock, whether there are transactions or not: nothing is mined at once."""
    with anvil("--hardfork", "osaka", "--slots-in-an-epoch", "1", "--block-time", "1") as url:
        yield url


def funded_key(url):
    """A fresh key with money, so that each test deploys its own contract."""
    rich = Web3Chain(url, key=OperatorKey(ANVIL_KEY))
    key = OperatorKey.create()
    rich._ask("anvil_setBalance", key.address_hex, hex(10**20))
    return key


@pytest.fixture(params=["fake", "embedded", "anvil", "anvil_interval", "network"])
def chain(request, tmp_path):
    if request.param == "fake":
        yield FakeChain()
    elif request.param == "embedded":
        made = EmbeddedChain(tmp_path / "chain", clock=ticking_clock())
        yield made
        made.close()
    elif request.param == "network":
        validators = request.getfixturevalue("validators")
        yield Web3Chain(validators.nodes[0].url, key=validators.funded_key())
    else:
        url = request.getfixturevalue(f"{request.param}_url")
        yield Web3Chain(url, key=funded_key(url))


@pytest.fixture
def log():
    return MemoryLog()


def signed_append(chain, log, *, size=None, nonce=None, old=None):
    newest = log.latest()[0] if size is None else size
    held = chain.head().size if old is None else old
    return chain.sign_append(
        size=newest,
        root=log.root(newest),
        proof=log.path(held, newest),
        nonce=chain.nonce() if nonce is None else nonce,
        fees=chain.fees(),
    )


def mine(chain, raw):
    """Send and wait until the nonce is used: `send` promises that the chain has it, not that it is mined."""
    before, until = chain.nonce(), time.monotonic() + MINED_WITHIN_SECONDS
    chain.send(raw)
    while chain.nonce() == before:
        assert time.monotonic() < until, "never mined"
        time.sleep(0.02)


def append(chain, log):
    size, root = log.latest()
    mine(chain, signed_append(chain, log).raw)
    return found(chain, size=size, root=root)


def found(chain, *, size, root):
    """Ask again where the node cannot tell yet: validators may seal rival blocks, and the first one may go."""
    until = time.monotonic() + MINED_WITHIN_SECONDS
    while (seen := chain.find_append(size=size, root=root)) is None:
        assert time.monotonic() < until, "mined, and never found"
        time.sleep(0.02)
    return seen


def test_a_fresh_chain_has_no_contract_until_it_is_deployed(chain):
    with pytest.raises(ConflictError) as caught:
        chain.head()
    assert caught.value.error_code == "chain.not_deployed"


def test_a_new_contract_holds_the_empty_tree(chain):
    chain.deploy()
    head = chain.head()
    assert (head.size, head.root, head.index) == (0, merkle.EMPTY_ROOT, 0)


def test_deploying_again_finds_the_same_contract(chain):
    first = chain.deploy()
    nonce = chain.nonce()
    assert chain.deploy() == first
    assert chain.deploy(first) == first
    assert chain.nonce() == nonce


def test_a_deployment_of_another_chain_is_not_replaced_in_silence(chain):
    stored = chain.deploy()
    foreign = type(stored)(
        chain_id=stored.chain_id + 1,
        address=stored.address,
        block_number=stored.block_number,
        tx_hash=stored.tx_hash,
        artifact_sha256=stored.artifact_sha256,
        code_hash=stored.code_hash,
    )
    with pytest.raises(ConflictError) as caught:
        chain.deploy(foreign)
    assert caught.value.error_code == "chain.deployment_missing"


def test_an_append_moves_the_head_and_can_be_found(chain, log):
    chain.deploy()
    for index, count in enumerate((3, 1, 9), start=1):
        size, root = log.grow(count)
        seen = append(chain, log)
        head = chain.head()
        assert (head.size, head.root, head.index) == (size, root, index)
        assert (seen.size, seen.root) == (size, root)
        assert seen.block_time == head.time
        assert seen.gas_used > 21_000


def test_an_append_that_was_never_made_is_not_found(chain, log):
    chain.deploy()
    size, root = log.grow(4)
    assert chain.find_append(size=size, root=root) is None
    append(chain, log)
    assert chain.find_append(size=size, root=bytes(32)) is None
    assert chain.find_append(size=size + 1, root=root) is None


def test_a_hash_is_known_before_sending_and_is_the_one_found(chain, log):
    chain.deploy()
    size, root = log.grow(2)
    signed = signed_append(chain, log)
    mine(chain, signed.raw)
    assert found(chain, size=size, root=root).tx_hash == signed.tx_hash


def test_sending_the_same_bytes_again_is_harmless(chain, log):
    chain.deploy()
    log.grow(2)
    signed = signed_append(chain, log)
    mine(chain, signed.raw)
    nonce, head = chain.nonce(), chain.head()
    chain.send(signed.raw)
    assert (chain.nonce(), chain.head()) == (nonce, head)


def test_a_used_nonce_is_refused(chain, log):
    chain.deploy()
    log.grow(2)
    nonce = chain.nonce()
    append(chain, log)
    log.grow(1)
    with pytest.raises(ConflictError) as caught:
        chain.send(signed_append(chain, log, nonce=nonce).raw)
    assert caught.value.error_code == "chain.nonce_used"


def test_a_stale_append_uses_its_nonce_and_changes_nothing(chain, log):
    chain.deploy()
    log.grow(2)
    small = log.latest()
    log.grow(3)
    append(chain, log)
    head, nonce = chain.head(), chain.nonce()
    mine(chain, signed_append(chain, log, size=small[0], old=0).raw)
    assert chain.head() == head
    assert chain.nonce() == nonce + 1
    assert chain.find_append(size=small[0], root=small[1]) is None


def test_a_forked_log_is_not_accepted(chain, log):
    chain.deploy()
    log.grow(4)
    append(chain, log)
    head = chain.head()
    other = MemoryLog()
    other.grow(1)
    other._leaves[0] = merkle.leaf_hash(b"another history")
    other.grow(7)
    mine(chain, signed_append(chain, other, old=4).raw)
    assert chain.head() == head


def test_evidence_proves_each_head_in_its_own_block(chain, log):
    deployment = chain.deploy()
    seen = []
    for count in (2, 5):
        log.grow(count)
        seen.append(append(chain, log))
    for each in seen:
        evidence = chain.evidence(each.block_number)
        proven = verify_chain_evidence(
            evidence, size=each.size, root=each.root, code_hash=deployment.code_hash
        )
        assert proven.block_hash == each.block_hash
        assert proven.block_time == each.block_time
        assert proven.contract == deployment.address
        assert proven.chain_id == deployment.chain_id == chain.info().chain_id
        assert evidence["label_en"] == chain.info().label_en
        assert evidence["label_zh"] == chain.info().label_zh


def test_there_is_no_evidence_of_a_block_that_does_not_exist(chain):
    chain.deploy()
    with pytest.raises(UnavailableError):
        chain.evidence(10**6)


def test_block_times_only_grow(chain, log):
    chain.deploy()
    times = []
    for _ in range(4):
        log.grow(1)
        times.append(append(chain, log).block_time)
    assert times == sorted(times)


def test_an_outbid_fee_is_higher_by_at_least_a_tenth():
    for fees in (Fees(0, 0), Fees(1, 1), Fees(7, 3), Fees(15, 15), Fees(10**9, 10**9)):
        bumped = fees.bumped()
        assert bumped.max_fee * 10 >= fees.max_fee * 11
        assert bumped.priority > fees.priority
    assert Fees(8000, 800).bumped() == Fees(
        8000 * BUMP_NUMERATOR // BUMP_DENOMINATOR, 800 * BUMP_NUMERATOR // BUMP_DENOMINATOR
    )
