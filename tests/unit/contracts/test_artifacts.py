"""Committed artifacts: complete, unaltered, and what the pinned compiler makes of the sources."""

from __future__ import annotations

import json
import shutil
import tomllib

import pytest

from contracts import abi, artifacts
from contracts import compile as compiler
from ledger.core.errors import NotFoundError, UnavailableError, VerificationError

NAME = "EvidenceLog"


def test_the_artifact_loads_and_names_its_code():
    artifact = artifacts.load(NAME)
    assert artifact.compiler == compiler.SOLC_VERSION
    assert artifact.deployed_bytecode in artifact.bytecode
    assert len(artifact.code_hash) == 32


def test_an_unknown_artifact_is_not_found():
    with pytest.raises(NotFoundError) as caught:
        artifacts.load("NoSuchContract")
    assert caught.value.error_code == "contracts.artifact_unknown"


def test_an_altered_artifact_is_refused(tmp_path):
    raw = json.loads((artifacts.ARTIFACTS / f"{NAME}.json").read_text())
    raw["bytecode"] = raw["bytecode"][:-2] + "00"
    (tmp_path / f"{NAME}.json").write_text(json.dumps(raw))
    with pytest.raises(VerificationError) as caught:
        artifacts.load(NAME, folder=tmp_path)
    assert caught.value.error_code == "contracts.artifact_hash"


def test_a_source_changed_without_compiling_is_refused(tmp_path):
    raw = json.loads((artifacts.ARTIFACTS / f"{NAME}.json").read_text())
    del raw["sha256"]
    raw["sources"]["src/EvidenceLog.sol"] = "00" * 32
    raw["sha256"] = artifacts.artifact_digest(raw)
    (tmp_path / f"{NAME}.json").write_text(json.dumps(raw))
    with pytest.raises(VerificationError) as caught:
        artifacts.load(NAME, folder=tmp_path)
    assert caught.value.error_code == "contracts.source_hash"


def committed():
    names = [path.rpartition("/")[2] for path in compiler.CONTRACTS]
    return {name: json.loads((artifacts.ARTIFACTS / f"{name}.json").read_text()) for name in names}


def test_every_source_file_is_in_some_artifact_and_every_artifact_loads():
    own = {path.relative_to(artifacts.ROOT).as_posix() for path in artifacts.SOURCES.rglob("*.sol")}
    named = {file for raw in committed().values() for file in raw["sources"]}
    assert {file for file in named if not file.startswith("@")} == own
    assert {path.stem for path in artifacts.ARTIFACTS.glob("*.json")} == set(committed())
    for name in committed():
        assert artifacts.load(name).name == name


def test_an_artifact_names_only_the_files_it_is_made_of():
    assert sorted(committed()["EvidenceLog"]["sources"]) == [
        "src/EvidenceLog.sol",
        "src/interfaces/IEvidenceLog.sol",
        "src/libraries/Rfc9162.sol",
    ]


def test_a_package_that_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(compiler, "PACKAGES", tmp_path)
    with pytest.raises(UnavailableError) as caught:
        compiler.read_sources()
    assert caught.value.error_code == "contracts.source_missing"


def test_the_head_lies_where_chain_proofs_read_it():
    raw = json.loads((artifacts.ARTIFACTS / f"{NAME}.json").read_text())
    layout = {row["label"]: (int(row["slot"]), row["offset"]) for row in raw["storage"]}
    assert layout["_root"] == (abi.ROOT_SLOT, 0)
    assert [layout[name] for name in ("_size", "_time", "_index")] == [
        (abi.HEAD_SLOT, 0),
        (abi.HEAD_SLOT, 8),
        (abi.HEAD_SLOT, 16),
    ]


def test_nothing_in_the_contract_deletes_pauses_or_upgrades():
    names = {row["name"] for row in artifacts.load(NAME).abi if row["type"] == "function"}
    assert names == {
        "append",
        "offerWriter",
        "acceptWriter",
        "head",
        "writer",
        "pendingWriter",
        "isIncluded",
    }


def test_forge_compiles_with_the_same_settings():
    settings = tomllib.loads((artifacts.ROOT / "foundry.toml").read_text())["profile"]["default"]
    assert settings["evm_version"] == compiler.EVM_VERSION
    assert settings["optimizer_runs"] == compiler.OPTIMIZER_RUNS
    assert settings["bytecode_hash"] == "none"
    assert settings["cbor_metadata"] is False
    package = json.loads((artifacts.ROOT.parent / "package.json").read_text())
    assert package["devDependencies"]["solc"] == compiler.SOLC_VERSION


def test_the_npm_lock_names_no_download_address():
    assert '"resolved"' not in (artifacts.ROOT.parent / "package-lock.json").read_text()


def test_every_committed_artifact_is_what_the_compiler_makes():
    try:
        found = compiler.find_compiler()
        compiler.read_sources()
    except UnavailableError as exc:
        pytest.skip(f"no Solidity compiler here: {exc}")
    assert compiler.compile_all(found) == committed()


def test_without_any_compiler_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(UnavailableError) as caught:
        compiler.find_compiler()
    assert caught.value.error_code == "contracts.compiler_missing"
    assert compiler.SOLC_VERSION in caught.value.message


def test_a_deployment_file_of_another_chain_is_refused(tmp_path):
    (tmp_path / "7.json").write_text(json.dumps({"v": "fuqi/deployment/v1", "chain_id": 8}))
    with pytest.raises(VerificationError) as caught:
        artifacts.load_deployment(7, folder=tmp_path)
    assert caught.value.error_code == "contracts.deployment_chain"
    assert artifacts.load_deployment(9, folder=tmp_path) is None
