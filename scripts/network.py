#!/usr/bin/env python3
"""A network of several validators on this machine: geth with clique, loopback only, keys made on the spot.

    scripts/network.py build                  build geth from the Go module proxy into the cache folder
    scripts/network.py up [--validators 4]    start a network, print its addresses, stop it with Ctrl-C

The tests start the same `Network`, stop validators, cut the network in two and join it again. It is for tests
and for trying things out: the nodes' keys lie in its folder under a published password, and the
administrator's interface is open to every program of this machine.

geth 1.13.15 is the last version that seals blocks with clique; clique knows the rules up to London.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from eth_account import Account
from eth_keys import keys

GETH_VERSION = "1.13.15"
GETH_PACKAGE = f"github.com/ethereum/go-ethereum/cmd/geth@v{GETH_VERSION}"
CHAIN_ID = 20_261_123
PASSWORD = "fuqi test network"  # noqa: S105  (published on purpose: the keys are worth nothing)
START_SECONDS = 90
ASK_SECONDS = 5
VALIDATORS_MAX = 7
"""More than this on one machine measures the machine."""
GAS_LIMIT = 30_000_000
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def geth_path() -> Path:
    """Where geth is, or would be built: `FUQI_GETH`, else the cache folder."""
    named = os.environ.get("FUQI_GETH")
    if named:
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "fuqi" / f"geth-{GETH_VERSION}" / "geth"


def build_geth() -> Path:
    """Build geth with the machine's Go from the module proxy: two to four minutes, about 1 GB of cache."""
    target = geth_path()
    if target.is_file():
        return target
    if shutil.which("go") is None:
        raise SystemExit("geth is built with Go, which is not on this machine")
    target.parent.mkdir(parents=True, exist_ok=True)
    # One of geth's debugging helpers reaches into Go's runtime; Go 1.23 and later refuse that unless told.
    flags = ["-trimpath", "-ldflags=-checklinkname=0 -s -w"]
    environment = {**os.environ, "GOBIN": str(target.parent), "GOFLAGS": "-mod=mod"}
    done = subprocess.run(["go", "install", *flags, GETH_PACKAGE], env=environment)
    if done.returncode != 0 or not target.is_file():
        raise SystemExit("geth could not be built; the lines above say why")
    return target


def ask(url: str, method: str, *params: Any) -> Any:
    """One JSON-RPC question."""
    value = _post(url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    if "error" in value:
        raise RuntimeError(f"{method}: {value['error'].get('message')}")
    return value["result"]


def until(condition: Callable[[], bool], what: str, *, seconds: float = START_SECONDS) -> None:
    """Ask until it is true; an unreachable node counts as not yet."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, RuntimeError, urllib.error.URLError):
            if condition():
                return
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


@dataclass(slots=True)
class Node:
    """One validator: a folder, a key that seals, a key of the network, three ports."""

    folder: Path
    address: str
    enode_key: str
    p2p: int
    http: int
    engine: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it answers JSON-RPC."""
        return f"http://127.0.0.1:{self.http}"

    @property
    def enode(self) -> str:
        """How other nodes find it."""
        public = keys.PrivateKey(bytes.fromhex(self.enode_key)).public_key.to_bytes().hex()
        return f"enode://{public}@127.0.0.1:{self.p2p}?discport=0"

    def ask(self, method: str, *params: Any) -> Any:
        """One JSON-RPC question to this node."""
        return ask(self.url, method, *params)

    def ask_all(self, questions: Sequence[tuple[str, str]]) -> None:
        """Several questions in one message; the answers are not looked at."""
        batch = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": [value]}
            for index, (method, value) in enumerate(questions)
        ]
        if batch:
            _post(self.url, batch)

    def height(self) -> int:
        """Number of its newest block."""
        return int(self.ask("eth_blockNumber"), 16)

    def seal(self, *, on: bool = True) -> None:
        """Begin to seal blocks, or stop; a node that does not seal still follows the others."""
        self.ask("miner_start" if on else "miner_stop")

    def block(self, number: int) -> dict[str, Any] | None:
        """Its block of that number, as the node tells it."""
        found: dict[str, Any] | None = self.ask("eth_getBlockByNumber", hex(number), *[False])
        return found


class Network:
    """Validators in a full mesh. `with Network(folder) as network:` starts and stops them."""

    def __init__(
        self,
        folder: Path,
        *,
        validators: int = 4,
        period_seconds: int = 1,
        funded: Iterable[str] = (),
        binary: Path | None = None,
    ) -> None:
        """Make keys, genesis and folders; nothing is started yet.

        Args:
            folder: empty or absent.
            funded: addresses that own money from the first block on.
        """
        assert 1 <= validators <= VALIDATORS_MAX
        self.binary = binary or geth_path()
        self._backward = False
        self.period_seconds = period_seconds
        self.folder = folder
        ports = _free_ports(3 * validators)
        self.nodes = [
            _new_node(folder / f"node{index}", ports[3 * index : 3 * index + 3])
            for index in range(validators)
        ]
        self.validators = sorted(node.address for node in self.nodes)
        genesis = genesis_json(self.validators, funded=funded, period_seconds=period_seconds)
        self.genesis = folder / "genesis.json"
        self.genesis.write_text(json.dumps(genesis, indent=1), encoding="utf-8")
        for node in self.nodes:
            self._run(node, "init", str(self.genesis))

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                self._launch(node)
            for node in self.nodes:
                self._await(node)
            self.join()
            # Sealing before the mesh stands would give each validator a first block of its own.
            for node in self.nodes:
                node.seal()
            if self.period_seconds:
                until(lambda: min(node.height() for node in self.nodes) >= 1, "the first block")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_what: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop every node; safe to call twice."""
        for node in self.nodes:
            if node.process is not None:
                node.process.send_signal(signal.SIGCONT)
                node.process.terminate()
        for node in self.nodes:
            self._end(node)

    def stop(self, node: Node) -> None:
        """End one node as an operator would; it keeps its folder."""
        self._end(node)
        if not _connected(self.running):
            self.join()

    def _end(self, node: Node) -> None:
        if node.process is None:
            return
        node.process.terminate()
        try:
            node.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            node.process.kill()
            node.process.wait(START_SECONDS)
        node.process = None

    def start(self, node: Node) -> None:
        """Start a stopped node and let it find the others."""
        self._launch(node)
        self._await(node)
        self.join()
        node.seal()

    def freeze(self, node: Node) -> None:
        """The node hangs: connections are taken and never answered."""
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)

    def thaw(self, node: Node) -> None:
        """End of `freeze`."""
        assert node.process is not None
        node.process.send_signal(signal.SIGCONT)

    def cut(self, apart: Sequence[Node]) -> None:
        """Split the network: `apart` on one side, everybody else on the other."""
        rest = [node for node in self.running if node not in apart]
        for one in apart:
            for other in rest:
                one.ask("admin_removePeer", other.enode)
                other.ask("admin_removePeer", one.enode)
        until(lambda: not any(_reached(one) & _ids(rest) for one in apart), "the cut")
        until(lambda: _connected(rest) and _connected(apart), "both sides hold together")

    def join(self) -> None:
        """Connect the running nodes."""
        self._connect(self.running)

    @property
    def running(self) -> list[Node]:
        """Nodes that were started and not stopped, frozen ones among them."""
        return [node for node in self.nodes if node.process is not None]

    def _connect(self, nodes: Sequence[Node]) -> None:
        # Only trusted neighbours may exceed --maxpeers, and both must know it before the first call.
        for node in nodes:
            for other in nodes:
                if other is not node:
                    node.ask("admin_addTrustedPeer", other.enode)
        # With --maxpeers 1 a node makes two calls when they come at once. Each time the other way round:
        # geth calls nobody again within 35 seconds.
        step = -1 if self._backward else 1
        self._backward = not self._backward
        for index, node in enumerate(nodes):
            places = {(index + step) % len(nodes), (index + 2 * step) % len(nodes)} - {index}
            node.ask_all([("admin_addPeer", nodes[place].enode) for place in places])
        until(lambda: _connected(nodes), "every node reaches every other", seconds=60)

    def wait_for_height(
        self, height: int, *, nodes: Sequence[Node] | None = None, seconds: float = START_SECONDS
    ) -> None:
        """Wait until these nodes (all running ones) have that many blocks."""
        asked = self.running if nodes is None else nodes
        until(
            lambda: min(node.height() for node in asked) >= height,
            f"block {height}",
            seconds=seconds,
        )

    def agree(self, *, seconds: float = START_SECONDS) -> int:
        """Wait until all running nodes hold the same block at the height of the lowest; returns that height."""
        running = self.running

        def same() -> bool:
            low = min(node.height() for node in running)
            blocks = [node.block(low) for node in running]
            return None not in blocks and len({block["hash"] for block in blocks if block}) == 1

        until(same, "agreement", seconds=seconds)
        return min(node.height() for node in running)

    def _run(self, node: Node, *arguments: str) -> None:
        done = subprocess.run(
            [self.binary, "--datadir", node.folder, "--verbosity", "1", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"geth {arguments[0]}: {done.stderr[-2000:]}")

    def _launch(self, node: Node) -> None:
        # A killed test run takes its nodes along, where the system can promise that.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (node.folder / "log").open("ab") as log:
            node.process = subprocess.Popen(
                [*guard, str(self.binary), *_arguments(node)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def _await(self, node: Node) -> None:
        def answers() -> bool:
            assert node.process is not None
            if node.process.poll() is not None:
                tail = (node.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SystemExit(f"geth ended at once: {tail}")
            return int(node.ask("eth_chainId"), 16) == CHAIN_ID

        until(answers, f"{node.url} answers")


def genesis_json(
    validators: Sequence[str], *, funded: Iterable[str] = (), period_seconds: int = 1
) -> dict[str, Any]:
    """The first block of a clique network (EIP-225): 32 bytes, the validators in order, 65 bytes."""
    forks = (
        *("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg"),
        *("istanbul", "berlin", "london"),
    )
    signers = "".join(address[2:] for address in sorted(validators))
    return {
        "config": {
            "chainId": CHAIN_ID,
            **{f"{fork}Block": 0 for fork in forks},
            "clique": {"period": period_seconds, "epoch": 30_000},
        },
        "difficulty": "0x1",
        "gasLimit": hex(GAS_LIMIT),
        "extradata": "0x" + "00" * 32 + signers + "00" * 65,
        "alloc": {address[2:]: {"balance": hex(10**24)} for address in funded},
    }


def main() -> int:
    """The command line; see the head of this file."""
    parser = argparse.ArgumentParser(description="several validators on this machine, for tests")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build geth into the cache folder")
    up = commands.add_parser("up", help="start a network and stop it with Ctrl-C")
    up.add_argument("--validators", type=int, default=4, choices=range(1, VALIDATORS_MAX + 1))
    up.add_argument("--period", type=int, default=2, help="seconds between blocks")
    up.add_argument("--folder", type=Path, default=Path("var/network"), help="made anew each time")
    up.add_argument("--fund", action="append", default=[], help="address that owns money")
    options = parser.parse_args()
    if options.command == "build":
        sys.stdout.write(f"{build_geth()}\n")
        return 0
    if not geth_path().is_file():
        raise SystemExit("there is no geth: run `scripts/network.py build` first")
    if options.folder.exists() and not (options.folder / "genesis.json").is_file():
        raise SystemExit(f"{options.folder} is not a network's folder; name another")
    shutil.rmtree(options.folder, ignore_errors=True)
    network = Network(
        options.folder.resolve(),
        validators=options.validators,
        period_seconds=options.period,
        funded=[address.lower() for address in options.fund],
    )
    with network:
        for node in network.nodes:
            sys.stdout.write(f"{node.url}  validator {node.address}\n")
        sys.stdout.write(f"chain {CHAIN_ID}; stop with Ctrl-C\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(1)
    return 0


def _post(url: str, body: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310  (loopback addresses of our own nodes)
        url, data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    with _DIRECT.open(request, timeout=ASK_SECONDS) as answer:
        return json.load(answer)


def _arguments(node: Node) -> list[str]:
    return [
        *("--datadir", str(node.folder), "--networkid", str(CHAIN_ID), "--verbosity", "2"),
        *("--port", str(node.p2p), "--authrpc.port", str(node.engine), "--ipcdisable"),
        *("--http", "--http.addr", "127.0.0.1", "--http.port", str(node.http)),
        *("--http.api", "eth,net,web3,admin,clique,miner,txpool"),
        # Loopback only: no look-ups, no neighbours but those it is told of.
        *("--nat", "none", "--nodiscover", "--discovery.dns", "", "--netrestrict", "127.0.0.0/8"),
        *("--syncmode", "full", "--gcmode", "archive", "--cache", "64"),
        # geth waits ten seconds with a longer chain when it has fewer neighbours than it may have.
        *("--maxpeers", "1"),
        *("--nodekeyhex", node.enode_key, "--miner.etherbase", node.address),
        *("--miner.gasprice", "1", "--txpool.pricelimit", "1"),
        *("--unlock", node.address, "--password", str(node.folder / "password")),
        *("--allow-insecure-unlock", "--lightkdf"),
    ]


def _new_node(folder: Path, ports: Sequence[int]) -> Node:
    (folder / "keystore").mkdir(parents=True)
    account = Account.create()
    # Few iterations: the password is published, so more would only slow the start.
    store = Account.encrypt(account.key, PASSWORD, kdf="pbkdf2", iterations=2)
    (folder / "keystore" / "validator.json").write_text(json.dumps(store), encoding="utf-8")
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    return Node(
        folder=folder,
        address=account.address.lower(),
        enode_key=bytes(Account.create().key).hex(),
        p2p=ports[0],
        http=ports[1],
        engine=ports[2],
    )


def _ids(nodes: Iterable[Node]) -> set[str]:
    return {node.enode.partition("@")[0] for node in nodes}


def _reached(node: Node) -> set[str]:
    """Who is connected to this node."""
    return {str(peer["enode"]).partition("@")[0] for peer in node.ask("admin_peers")}


def _connected(nodes: Sequence[Node]) -> bool:
    """Whether messages find their way from the first to every other."""
    links = {next(iter(_ids([node]))): _reached(node) for node in nodes}
    found, waiting = set[str](), [next(iter(links))]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for other in links[name] if other in links]
    return found == set(links)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; all are held at once, so that they differ."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports


if __name__ == "__main__":
    raise SystemExit(main())
