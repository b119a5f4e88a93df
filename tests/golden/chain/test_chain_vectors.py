"""The Merkle vectors that forge reads are what ledger/core/merkle.py makes today."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

from ledger.chain_proof import verify_chain_evidence
from ledger.core.merkle import verify_consistency, verify_inclusion
from ledger.validator_seals import ValidatorPolicy, verify_seals

HERE = Path(__file__).parent


def test_the_committed_merkle_vectors_are_regenerated_byte_for_byte():
    made = runpy.run_path(str(HERE / "generate_merkle_vectors.py"))
    assert made["text"]() == (HERE / "merkle_vectors.json").read_text(encoding="utf-8")


def test_python_accepts_every_vector_it_gives_to_solidity():
    vectors = json.loads((HERE / "merkle_vectors.json").read_text(encoding="utf-8"))
    raw = bytes.fromhex
    for case in vectors["consistency"]:
        verify_consistency(
            old_size=case["old_size"],
            old_root=raw(case["old_root"]),
            size=case["size"],
            root=raw(case["root"]),
            path=[raw(step) for step in case["path"]],
        )
    for case in vectors["inclusion"]:
        verify_inclusion(
            raw(case["leaf"]),
            index=case["index"],
            size=case["size"],
            path=[raw(step) for step in case["path"]],
            root=raw(case["root"]),
        )
    assert len(vectors["consistency"]) == 141


def test_evidence_written_by_earlier_versions_still_verifies():
    for name in ("evidence_embedded.json", "evidence_anvil.json"):
        golden = json.loads((HERE / name).read_text(encoding="utf-8"))
        proven = verify_chain_evidence(
            golden["evidence"], size=golden["size"], root=bytes.fromhex(golden["root"])
        )
        assert proven.block_hash == golden["block_hash"]
        assert proven.index == golden["index"]


def test_seals_made_anew_by_other_code_from_the_written_rules_verify_beside_the_committed_ones():
    made = runpy.run_path(str(HERE / "generate_seals.py"))
    for rule in ("qbft", "ibft2"):
        committed = (HERE / f"seals_{rule}.json").read_text(encoding="utf-8")
        stated = json.loads(committed)
        again = made["bft"](rule)
        # The contract's code may have changed since; the rules of the seals may not.
        assert again["block_as_told_by_a_node"].keys() == stated["block_as_told_by_a_node"].keys()
        assert again["sealed_by"] == stated["sealed_by"]
        assert again["evidence"]["seals"]["signers"] == stated["evidence"]["seals"]["signers"]
        policy = ValidatorPolicy.of(3, again["validators"])
        assert verify_seals(again["evidence"], policy=policy).enough
        assert verify_seals(stated["evidence"], policy=policy).enough


def test_seals_of_a_real_network_still_verify():
    golden = json.loads((HERE / "seals_clique.json").read_text(encoding="utf-8"))
    verify_chain_evidence(
        golden["evidence"], size=golden["size"], root=bytes.fromhex(golden["root"])
    )
    policy = ValidatorPolicy.of(3, golden["validators"])
    assert verify_seals(golden["evidence"], policy=policy).enough
