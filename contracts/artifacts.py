"""Committed build artifacts and deployments, loaded by name; one that was altered is refused.

An artifact (`fuqi/artifact/v1`) holds ABI, bytecode, storage layout, compiler and the SHA-256 of each
source file. A deployment (`fuqi/deployment/v1`, `contracts/deployments/<chain id>.json`) says where a
contract stands on a chain that is not embedded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from eth_hash.auto import keccak

from ledger.core.canonical import Json, canonical_bytes, sha256
from ledger.core.errors import NotFoundError, VerificationError

ROOT: Final = Path(__file__).resolve().parent
SOURCES: Final = ROOT / "src"
ARTIFACTS: Final = ROOT / "artifacts"
DEPLOYMENTS: Final = ROOT / "deployments"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract.

    Attributes:
        abi: the compiler's ABI list.
        bytecode: creation code, without constructor arguments.
        deployed_bytecode: what stands on the chain; there are no immutables, so it is the same everywhere.
        code_hash: Keccak-256 of `deployed_bytecode`, as the chain's account record holds it.
        sha256: hex digest of the whole artifact.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    code_hash: bytes
    compiler: str
    source_sha256: str
    sha256: str


def load(name: str, *, folder: Path = ARTIFACTS) -> Artifact:
    """The artifact `name`.

    Raises:
        NotFoundError: `contracts.artifact_unknown`.
        VerificationError: `contracts.artifact_hash`, `contracts.source_hash`.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        raise NotFoundError(f"no artifact named {name}", code="contracts.artifact_unknown")
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    stated = raw.pop("sha256", None)
    if stated != artifact_digest(raw):
        raise VerificationError(
            f"the artifact {name} was altered after it was built",
            code="contracts.artifact_hash",
            name=name,
        )
    _require_sources(name, raw["sources"])
    deployed = bytes.fromhex(raw["deployed_bytecode"][2:])
    return Artifact(
        name=name,
        abi=raw["abi"],
        bytecode=bytes.fromhex(raw["bytecode"][2:]),
        deployed_bytecode=deployed,
        code_hash=keccak(deployed),
        compiler=raw["compiler"],
        source_sha256=raw["source_sha256"],
        sha256=stated,
    )


def artifact_digest(body: Mapping[str, Json]) -> str:
    """Hex SHA-256 over the canonical bytes of an artifact without its own `sha256`."""
    return sha256(canonical_bytes(body)).hex()


def source_digest(digests: Mapping[str, str]) -> str:
    """One hex digest for all sources: SHA-256 over the canonical map path -> SHA-256."""
    return sha256(canonical_bytes(cast("Json", dict(digests)))).hex()


def load_deployment(chain_id: int, *, folder: Path = DEPLOYMENTS) -> dict[str, Json] | None:
    """What `contracts/deployments/<chain id>.json` says, or None when there is none.

    Raises:
        VerificationError: `contracts.deployment_chain` when the file names another chain.
    """
    path = folder / f"{chain_id}.json"
    if not path.is_file():
        return None
    raw: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("v") != "fuqi/deployment/v1" or raw.get("chain_id") != chain_id:
        raise VerificationError(
            "this deployment file is of another chain",
            code="contracts.deployment_chain",
            chain_id=chain_id,
        )
    return raw


def _require_sources(name: str, digests: Mapping[str, str]) -> None:
    """A source changed without recompiling would let the reader trust text that does not run."""
    for relative, digest in digests.items():
        path = ROOT / relative
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise VerificationError(
                f"{relative} is not the text that {name} was compiled from",
                code="contracts.source_hash",
                source=relative,
            )
