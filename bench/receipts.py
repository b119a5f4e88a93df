"""Verifying a receipt: from parsed JSON and from text, Keccak in C and in Python, beside bare cryptography."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bench.measure import Measure, p50_ms
from ledger import chain_proof, keccak
from ledger.core.units import parse_utc
from ledger.ledger_trust import LedgerTrust
from ledger.receipt_checking import verify_receipt, verify_receipt_text

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
N = 300
LIMIT_MS = 2


def vector(name: str) -> dict[str, Any]:
    """One of the public vectors."""
    value: dict[str, Any] = json.loads(
        (GOLDEN / "receipt" / "vectors" / f"{name}.json").read_text("utf-8")
    )
    return value


def hashed(evidence: dict[str, Any]) -> list[bytes]:
    """What the evidence makes a verifier hash with Keccak: header, address and each trie node once."""
    proofs = evidence["storage_proofs"].values()
    nodes = [evidence["header_rlp"], evidence["contract"], *evidence["account_proof"]]
    nodes += [node for proof in proofs for node in proof["proof"]]
    return [bytes.fromhex(node[2:]) for node in dict.fromkeys(nodes)]


def bare(receipt: dict[str, Any], digest: Callable[[bytes], bytes]) -> Callable[[], None]:
    """The cryptography of a receipt and nothing else: one signature, the path, the Keccak digests."""
    log = receipt["log"]
    body, _, line = log["note"].partition("\n\n")
    key = base64.b64decode(log["verifier"].split("+", 2)[2])[1:]
    signature = base64.b64decode(line.split()[2])[4:]
    steps, nodes = [bytes.fromhex(s) for s in log["path"]], hashed(receipt["anchor"]["evidence"])

    def job() -> None:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, body.encode() + b"\n")
        running = b""
        for step in steps:
            running = hashlib.sha256(b"\x01" + step + running).digest()
        for node in nodes:
            digest(node)

    return job


def measures() -> Iterator[Measure]:
    """Medians; a receipt from parsed JSON must take at most 2 ms."""
    plain, whole = vector("valid-final"), vector("status-good")
    witnessed = vector("witnesses-two-of-three")
    trust = LedgerTrust.from_json(plain["trust"])
    receipt, text = plain["receipt"], json.dumps(plain["receipt"], ensure_ascii=False).encode()
    kinds = {"python": keccak.in_python} | ({"c": keccak.in_c} if keccak.IS_FAST else {})
    kept = chain_proof.keccak
    for name, digest in kinds.items():
        chain_proof.keccak = digest  # type: ignore[misc]
        try:
            against = f"its signature, SHA-256 path and Keccak digests alone, Keccak in {name}"
            base = p50_ms(bare(receipt, digest), n=N)
            yield Measure(
                f"receipt.verify_{name}_keccak",
                p50_ms(lambda: verify_receipt(receipt, trust=trust), n=N),
                "ms",
                N,
                base,
                against,
            )
            yield Measure(
                f"receipt.verify_text_{name}_keccak",
                p50_ms(lambda: verify_receipt_text(text, trust=trust), n=N),
                "ms",
                N,
                base,
                against,
            )
        finally:
            chain_proof.keccak = kept  # type: ignore[misc]
    for name, one in (("status", whole), ("witnesses", witnessed)):
        pinned, at = LedgerTrust.from_json(one["trust"]), parse_utc("2026-11-23T06:00:00Z")
        yield Measure(
            f"receipt.verify_with_{name}",
            p50_ms(lambda: verify_receipt(one["receipt"], trust=pinned, at=at), n=N),  # noqa: B023
            "ms",
            N,
        )
    for chain in ("embedded", "anvil"):
        yield from _evidence(chain)
    yield Measure("receipt.bytes", len(text), "bytes", 1)


def _evidence(chain: str) -> Iterator[Measure]:
    """The chain's part alone, on kept evidence of a real node."""
    kept = json.loads((GOLDEN / "chain" / f"evidence_{chain}.json").read_text("utf-8"))
    evidence = kept.get("evidence", kept)
    nodes = hashed(evidence)
    blocks = sum(len(node) // 136 + 1 for node in nodes)
    in_c = p50_ms(lambda: [keccak.keccak(node) for node in nodes], n=N)
    yield Measure(
        f"receipt.keccak_python_{chain}",
        p50_ms(lambda: [keccak.in_python(node) for node in nodes], n=N),
        "ms",
        blocks,
        in_c,
        f"the same digests by {'pycryptodome' if keccak.IS_FAST else 'Python'}; n counts blocks of 136 bytes",
    )
