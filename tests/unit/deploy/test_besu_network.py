"""The files under deploy/besu: what can be known about them without an engine of containers."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import rlp
from coincurve import PrivateKey
from eth_hash.auto import keccak

from api.settings import Settings
from contracts import artifacts
from ledger.chain_key import OperatorKey
from ledger.finality import consensus_of
from ledger.validator_seals import ValidatorPolicy

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "besu"
SCRIPT = DEPLOY / "make_network.py"
# Prague added no instruction to Cancun's, so what is built for it runs there.
RUNS_ON_CANCUN = ("london", "cancun", "prague")


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy") / "network"
    done = run(folder)
    assert done.returncode == 0, done.stderr
    return folder


def loaded(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_genesis_names_the_validators_whose_keys_were_made(network):
    genesis = loaded(network / "genesis.json")
    keys = [(network / f"node{index}" / "key").read_text().strip() for index in range(1, 5)]
    publics = [
        PrivateKey(bytes.fromhex(key[2:])).public_key.format(compressed=False)[1:] for key in keys
    ]
    addresses = [keccak(public)[12:] for public in publics]
    extra = rlp.decode(bytes.fromhex(genesis["extraData"][2:]))
    assert extra == [bytes(32), sorted(addresses), [], b"", []]
    enodes = loaded(network / "static-nodes.json")
    assert [enode[8:136] for enode in enodes] == [public.hex() for public in publics]
    assert "writer" not in genesis["alloc"]
    writer = OperatorKey.load(network / "fuqi" / "chain.key")
    assert list(genesis["alloc"]) == [writer.address_hex[2:]]


def test_our_own_reader_takes_that_genesis_for_qbft(network):
    genesis = loaded(network / "genesis.json")
    block = {
        **dict.fromkeys(("parentHash", "sha3Uncles", "stateRoot"), "0x" + "00" * 32),
        **dict.fromkeys(("transactionsRoot", "receiptsRoot"), "0x" + "00" * 32),
        "miner": genesis["coinbase"],
        "logsBloom": "0x" + "00" * 256,
        "number": "0x0",
        **{name: genesis[name] for name in ("difficulty", "gasLimit", "timestamp", "extraData")},
        "mixHash": genesis["mixHash"],
        "nonce": "0x" + "00" * 8,
        "gasUsed": "0x0",
    }
    assert consensus_of({"0x0": block}.get) == "qbft"


def test_the_pinned_validators_are_those_of_the_genesis_and_two_thirds_of_them(network):
    pinned = loaded(network / "fuqi" / "validators.json")
    policy = ValidatorPolicy.from_json(pinned)
    assert (policy.k, len(policy.validators)) == (3, 4)
    extra = rlp.decode(bytes.fromhex(loaded(network / "genesis.json")["extraData"][2:]))
    assert list(policy.validators) == ["0x" + name.hex() for name in extra[1]]


def test_only_their_owner_reads_the_keys(network):
    secret = [*network.glob("node*/key"), *(network / "fuqi").glob("*.key")]
    secret.append(network / "fuqi" / "database.password")
    assert len(secret) == 6
    for path in secret:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_validators_of_other_bodies_are_put_together_without_their_keys(tmp_path):
    others = [f"0x{index:040x}" for index in (3, 1, 4, 2)]
    options = [part for name in others for part in ("--address", name, "--enode", "enode://…")]
    folder = tmp_path / "joint"
    assert run(folder, *options).returncode == 0
    assert list(folder.glob("node*")) == []
    assert loaded(folder / "fuqi" / "validators.json")["addresses"] == sorted(others)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--validators", "3"], "from four validators on"),
        (["--validators", "101"], "at most 100"),
        (["--address", "0x" + "11" * 20], "as often as each other"),
    ],
)
def test_a_network_that_bears_no_fault_is_not_made(tmp_path, options, message):
    done = run(tmp_path / "none", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "none").exists()


def test_keys_are_never_overwritten(network):
    before = (network / "node1" / "key").read_text()
    done = run(network)
    assert done.returncode == 2
    assert "never overwritten" in done.stderr
    assert (network / "node1" / "key").read_text() == before


def test_as_many_must_seal_as_qbft_demands():
    spec = importlib.util.spec_from_file_location("make_network", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert [module.quorum(n) for n in (4, 5, 6, 7, 9, 10)] == [3, 4, 4, 5, 6, 7]


def test_every_contract_is_built_for_the_rules_of_the_genesis(network):
    config = loaded(network / "genesis.json")["config"]
    assert config["cancunTime"] == 0
    for path in artifacts.ARTIFACTS.rglob("*.json"):
        assert loaded(path)["settings"]["evmVersion"] in RUNS_ON_CANCUN, path.stem


def test_every_setting_that_is_set_exists():
    known = {f"FUQI_{name.upper()}" for name in Settings.model_fields}
    texts = [(DEPLOY / name).read_text(encoding="utf-8") for name in ("fuqi.env", "start.sh")]
    named = {name for text in texts for name in re.findall(r"\bFUQI_[A-Z_]+", text)}
    assert named <= known
    assert {"FUQI_DATABASE_URL", "FUQI_CHAIN_URL", "FUQI_CHAIN_KEY_FILE"} <= named


def test_no_secret_stands_in_a_committed_file():
    for path in DEPLOY.iterdir():
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"\b(0x)?[0-9a-f]{64}\b", text), path.name


def test_the_compose_file_is_one(network, tmp_path):
    """By docker-compose itself, which needs no engine for that (Debian: docker-compose)."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not on this machine: apt-get install docker-compose")
    shutil.copytree(DEPLOY, tmp_path / "deploy" / "besu")
    shutil.copytree(network, tmp_path / "deploy" / "besu" / "network")
    done = subprocess.run(
        [program, "-f", "compose.yaml", "config", "--services"],
        cwd=tmp_path / "deploy" / "besu",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    services = {"node1", "node2", "node3", "node4", "postgres", "migrate", "web", "worker"}
    assert set(done.stdout.split()) == services


def test_every_file_that_the_compose_file_mounts_is_made_or_committed(network):
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    for mounted in re.findall(r"\./([\w./-]+?)(?::/|\})", text):
        place = network / mounted.removeprefix("network/")
        assert place.exists() or (DEPLOY / mounted).exists(), mounted
