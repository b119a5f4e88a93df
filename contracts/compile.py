"""Compile `contracts/src` into `contracts/artifacts`: `python -m contracts.compile`.

Needs the pinned compiler: either `make setup-test` at the repository root (the npm compiler, run through
`contracts/tools/solc.js`) or a native `solc` of the same version on the path. Nothing at run time needs
a compiler: artifacts are committed.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import solcx
from solcx.exceptions import SolcError
from solcx.wrapper import get_solc_version

from contracts.artifacts import ARTIFACTS, ROOT, SOURCES, artifact_digest, source_digest
from ledger.core.canonical import Json, sha256
from ledger.core.errors import UnavailableError

SOLC_VERSION: Final = "0.8.37"
EVM_VERSION: Final = "prague"
"""The newest rule set that the embedded chain (py-evm) runs; consortium chains are older or equal."""
OLDER_EVM_VERSION: Final = "london"
"""What the last geth with clique runs, and many a consortium chain: no PUSH0, no MCOPY."""
OLDER_CONTRACTS: Final = ("EvidenceLog",)
"""Compiled for `OLDER_EVM_VERSION` too, into `artifacts/london`: a log must be kept on any chain."""
OPTIMIZER_RUNS: Final = 200
PACKAGES: Final = ROOT.parent / "node_modules"
"""Where an import that begins with `@` is read from; package-lock.json pins what lies there."""
CONTRACTS: Final = (
    "EvidenceLog",
    "SignerRegistry",
    "Seals",
    "verifiers/P256Verifier",
    "verifiers/K1Verifier",
    "verifiers/CmsVerifier",
    "verifiers/RsaVerifier",
    "verifiers/Sm2Verifier",
    "SupplyLots",
    "Rounds",
    "Rulings",
)
"""Paths under `src`, without `.sol`; the last part is the contract's and the artifact's name."""
_IMPORT: Final = re.compile(r'^import [^;"]*"([^"]+)";', re.MULTILINE)


def find_compiler() -> Path:
    """The pinned compiler as an executable file.

    Raises:
        UnavailableError: `contracts.compiler_missing`.
    """
    wrapper = ROOT / "tools" / "solc.js"
    if shutil.which("node") and (ROOT.parent / "node_modules" / "solc").is_dir():
        return wrapper
    native = shutil.which("solc")
    if native is not None:
        return Path(native)
    raise UnavailableError(
        f"no Solidity compiler here: run `make setup-test`, or install solc {SOLC_VERSION}",
        code="contracts.compiler_missing",
    )


def compile_all(
    compiler: Path, *, evm_version: str = EVM_VERSION, paths: Sequence[str] = CONTRACTS
) -> dict[str, dict[str, Json]]:
    """Compile every contract: name -> artifact as it stands in `contracts/artifacts`.

    Raises:
        UnavailableError: `contracts.compiler_version`, `contracts.compile_failed`.
    """
    sources = read_sources()
    settings = _settings(evm_version)
    request: dict[str, Any] = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": settings,
    }
    _require_version(compiler)
    try:
        answer = solcx.compile_standard(request, solc_binary=compiler)
    except SolcError as exc:
        raise UnavailableError(
            f"the Solidity sources do not compile: {exc}", code="contracts.compile_failed"
        ) from exc
    artifacts: dict[str, dict[str, Json]] = {}
    for path in paths:
        name = path.rpartition("/")[2]
        output = answer["contracts"][f"src/{path}.sol"][name]
        digests = {
            file: hashlib.sha256(sources[file].encode()).hexdigest()
            for file in _closure(f"src/{path}.sol", sources)
        }
        body: dict[str, Json] = {
            "v": "fuqi/artifact/v1",
            "name": name,
            "abi": output["abi"],
            "bytecode": "0x" + output["evm"]["bytecode"]["object"],
            "deployed_bytecode": "0x" + output["evm"]["deployedBytecode"]["object"],
            "storage": _storage(output["storageLayout"]),
            "compiler": SOLC_VERSION,
            "settings": cast("Json", settings),
            "sources": digests,
            "source_sha256": source_digest(digests),
        }
        artifacts[name] = {**body, "sha256": artifact_digest(body)}
    return artifacts


def read_sources(extra: Sequence[str] = ()) -> dict[str, str]:
    """Every source file: path from `contracts/` -> text; packages' files by the name they are imported under.

    Args:
        extra: files of packages that no source imports, to compile beside ours.

    Raises:
        UnavailableError: `contracts.source_missing` when a package is not installed.
    """
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(SOURCES.rglob("*.sol"))
    }
    waiting = [*extra]
    waiting += [name for path, text in texts.items() for name in _imports(path, text)]
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        try:
            texts[name] = (PACKAGES / name).read_text(encoding="utf-8")
        except OSError as exc:
            raise UnavailableError(
                f"{name} is not installed: run `make setup-test`", code="contracts.source_missing"
            ) from exc
        waiting += _imports(name, texts[name])
    return dict(sorted(texts.items()))


def main() -> int:
    """Write the artifacts; the exit status is 0, or 1 with a message."""
    try:
        compiler = find_compiler()
        artifacts = compile_all(compiler)
        older = compile_all(compiler, evm_version=OLDER_EVM_VERSION, paths=OLDER_CONTRACTS)
    except UnavailableError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    _write(artifacts, ARTIFACTS)
    _write(older, ARTIFACTS / OLDER_EVM_VERSION)
    return 0


def _write(artifacts: Mapping[str, Mapping[str, Json]], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, artifact in artifacts.items():
        text = json.dumps(artifact, indent=1, sort_keys=True) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: {sha256(text.encode()).hex()}\n")


def _imports(path: str, text: str) -> list[str]:
    """Names of the files that a source imports, as `read_sources` names them."""
    return [
        found
        if found.startswith("@")
        else posixpath.normpath(posixpath.dirname(path) + "/" + found)
        for found in _IMPORT.findall(text)
    ]


def _closure(path: str, sources: Mapping[str, str]) -> list[str]:
    """The files that one contract is made of: another contract's change leaves its artifact alone."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name, sources[name])
    return sorted(found)


def _settings(evm_version: str = EVM_VERSION) -> dict[str, Any]:
    return {
        "optimizer": {"enabled": True, "runs": OPTIMIZER_RUNS},
        "evmVersion": evm_version,
        # Without the metadata trailer the code, and so its hash, depends on nothing but what it does.
        "metadata": {"bytecodeHash": "none", "appendCBOR": False},
        "outputSelection": {
            "*": {
                "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"]
            }
        },
    }


def _storage(layout: Mapping[str, Any]) -> list[Json]:
    """Where each variable lies; chain proofs read these slots, so a moved one must show in a diff."""
    return [
        {"label": row["label"], "slot": row["slot"], "offset": row["offset"], "type": row["type"]}
        for row in layout["storage"]
    ]


def _require_version(compiler: Path) -> None:
    found = str(get_solc_version(compiler))
    if found != SOLC_VERSION:
        raise UnavailableError(
            f"solc {SOLC_VERSION} is needed, {found} was found", code="contracts.compiler_version"
        )


if __name__ == "__main__":
    raise SystemExit(main())
