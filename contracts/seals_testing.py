"""A local node with the signature contracts on it; tests and measurements only.

Anvil (npm) is the node: the one at hand that knows the Osaka rules. Keys made here are thrown away.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_abi.abi import encode

from contracts import artifacts
from contracts.abi import Revert
from contracts.eip712 import Contract
from contracts.seals_abi import (
    Approval,
    Key,
    Registration,
    decode_revert,
    encode_register,
    encode_registry_constructor,
    encode_seals_constructor,
    low_s,
    public_key,
    register_digest,
)

ANVIL: Final = artifacts.ROOT.parent / "node_modules" / ".bin" / "anvil"
GAS_MAX: Final = 16_000_000
"""Below the ceiling that Osaka puts on one transaction (2**24, EIP-7825)."""
START: Final = 1_800_000_000
"""Time of the first block, so that keys and blocks agree in every run."""
FAR: Final = START + 10**8


def anvil_missing() -> str | None:
    """Why anvil cannot run here, or None."""
    if shutil.which("node") is None or not ANVIL.exists():
        return "anvil is not installed: run `make setup-test`"
    return None


class RevertedError(Exception):
    """A transaction or call failed; `revert` says how."""

    def __init__(self, revert: Revert) -> None:
        super().__init__(f"{revert.name}{revert.values}")
        self.revert = revert


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that succeeded; `address` is the contract it made, or b""."""

    gas_used: int
    address: bytes
    block_number: int
    logs: tuple[Mapping[str, Any], ...]


class Anvil:
    """A running node; every transaction comes from its first, public, account."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._time = START
        self._sender = str(self.ask("eth_accounts")[0])
        self.chain_id = int(self.ask("eth_chainId"), 16)

    def ask(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call."""
        answer = self._post(method, params)
        if "error" in answer:
            raise RevertedError(_revert_in(answer["error"]))
        return answer["result"]

    def send(self, data: bytes, *, to: bytes | None = None) -> Receipt:
        """One transaction in a block of its own, one second after the last."""
        self._time += 1
        self.ask("evm_setNextBlockTimestamp", self._time)
        request = {"from": self._sender, "data": "0x" + data.hex(), "gas": hex(GAS_MAX)}
        if to is not None:
            request["to"] = "0x" + to.hex()
            # A failed transaction says nothing about why; the same call, asked first, does.
            self.call(to, data)
        tx_hash = self.ask("eth_sendTransaction", request)
        found = None
        for _ in range(500):
            # The block is made a moment after the transaction is taken.
            found = self.ask("eth_getTransactionReceipt", tx_hash)
            if found is not None:
                break
            time.sleep(0.01)
        assert found is not None, "the node made no block"
        if found["status"] != "0x1":
            raise RevertedError(Revert(name="failed", values=()))
        made = found.get("contractAddress")
        return Receipt(
            gas_used=int(found["gasUsed"], 16),
            address=bytes.fromhex(made[2:]) if made else b"",
            block_number=int(found["blockNumber"], 16),
            logs=tuple(found["logs"]),
        )

    def call(self, to: bytes, data: bytes) -> bytes:
        """A call that changes nothing, in a block at the time of the next transaction."""
        request = {"from": self._sender, "data": "0x" + data.hex(), "gas": hex(GAS_MAX)}
        request["to"] = "0x" + to.hex()
        at = {"time": hex(self._time)}
        return bytes.fromhex(self.ask("eth_call", request, "latest", {}, at)[2:])

    def warp(self, seconds: int) -> None:
        """Let the next block come at this time."""
        self._time = seconds - 1

    @property
    def time(self) -> int:
        """Time of the last block that this object asked for."""
        return self._time

    def deploy(self, name: str, arguments: bytes = b"") -> bytes:
        """Deploy a committed artifact: its address, 20 bytes."""
        return self.send(artifacts.load(name).bytecode + arguments).address

    def _post(self, method: str, params: Sequence[Any]) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        request = urllib.request.Request(  # noqa: S310 - a loopback address made below
            self._url, body.encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return json.load(answer)


@contextmanager
def anvil(*, hardfork: str = "osaka", chain_id: int = 31_337) -> Iterator[Anvil]:
    """Run a node until the block ends; only the process started here is stopped."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ANVIL), "--host", "127.0.0.1", "--port", str(port), "--silent"]
    command += ["--hardfork", hardfork, "--chain-id", str(chain_id), "--timestamp", str(START)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield Anvil(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True, slots=True)
class P256Signer:
    """A throwaway P-256 key under one verifier."""

    private: ec.EllipticCurvePrivateKey
    name: Key

    @classmethod
    def create(cls, verifier: bytes, *, seed: int) -> P256Signer:
        """The same seed gives the same key, so that gas figures repeat."""
        private = ec.derive_private_key(seed, ec.SECP256R1())
        spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(private=private, name=Key(verifier=verifier, key=public_key(spki)))

    def sign(self, digest: bytes) -> bytes:
        """r, s over a 32-byte digest; deterministic (RFC 6979)."""
        algorithm = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)
        return low_s(self.private.sign(digest, algorithm))


@dataclass(frozen=True, slots=True)
class SealWorld:
    """All contracts on one node, with three registrars of whom two must agree."""

    node: Anvil
    p256: bytes
    k1: bytes
    cms: bytes
    log: bytes
    registry: bytes
    seals: bytes
    registrars: tuple[P256Signer, ...]

    @property
    def seals_contract(self) -> Contract:
        """What a seal's digest names."""
        return Contract(chain_id=self.node.chain_id, address=self.seals)

    @property
    def registry_contract(self) -> Contract:
        """What a registrar's digest names."""
        return Contract(chain_id=self.node.chain_id, address=self.registry)

    def register(
        self, key: Key, *, valid_from: int = 0, valid_to: int = FAR, assurance: int = 3
    ) -> Receipt:
        """Register a key with two registrars' signatures."""
        registration = Registration(
            key_hash=key.hash,
            valid_from=valid_from,
            valid_to=valid_to,
            assurance=assurance,
            identity=b"\x1d" * 32,
            deadline=FAR,
        )
        digest = register_digest(self.registry_contract, registration)
        return self.node.send(
            encode_register(registration, self.approvals(digest)), to=self.registry
        )

    def approvals(self, digest: bytes) -> list[Approval]:
        """Two registrars' signatures, in the order that the registry wants."""
        return [
            Approval(key=registrar.name, signature=registrar.sign(digest))
            for registrar in self.registrars[:2]
        ]


def deploy_seals(node: Anvil) -> SealWorld:
    """Deploy every signature contract; anvil's first account writes the log."""
    p256, k1, cms = (node.deploy(f"{kind}Verifier") for kind in ("P256", "K1", "Cms"))
    writer = bytes.fromhex(node.ask("eth_accounts")[0][2:])
    log = node.deploy("EvidenceLog", encode(["address"], [writer]))
    registrars = sorted(
        (P256Signer.create(p256, seed=seed) for seed in (101, 102, 103)),
        key=lambda signer: signer.name.hash,
    )
    hashes_of = [signer.name.hash for signer in registrars]
    registry = node.deploy("SignerRegistry", encode_registry_constructor(hashes_of, threshold=2))
    seals = node.deploy(
        "Seals", encode_seals_constructor(registry=registry, log=log, document_verifiers=[cms])
    )
    return SealWorld(
        node=node,
        p256=p256,
        k1=k1,
        cms=cms,
        log=log,
        registry=registry,
        seals=seals,
        registrars=tuple(registrars),
    )


def _revert_in(error: Mapping[str, Any]) -> Revert:
    data = error.get("data")
    if isinstance(data, str) and data.startswith("0x") and len(data) > 2:
        return decode_revert(bytes.fromhex(data[2:]))
    return Revert(name=str(error.get("message", "")), values=())
