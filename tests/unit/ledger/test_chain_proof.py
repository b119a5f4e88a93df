"""Chain evidence: the honest one is accepted, every altered one is refused with a stable code."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import rlp
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from trie.hexary import HexaryTrie

from ledger.chain_proof import trie_value, verify_chain_evidence
from ledger.core.errors import VerificationError
from ledger.strict_rlp import rlp_decode, rlp_encode
from ledger.testing import FakeChain, MemoryLog

GOLDEN = Path(__file__).parents[2] / "golden" / "chain"


def anchored():
    chain, log = FakeChain(), MemoryLog()
    chain.deploy()
    size, root = log.grow(5)
    signed = chain.sign_append(
        size=size, root=root, proof=[], nonce=chain.nonce(), fees=chain.fees()
    )
    chain.send(signed.raw)
    seen = chain.find_append(size=size, root=root)
    return chain.evidence(seen.block_number), size, root


EVIDENCE, SIZE, ROOT = anchored()


def refused(evidence, *, size=SIZE, root=ROOT, code_hash=None):
    with pytest.raises(VerificationError) as caught:
        verify_chain_evidence(evidence, size=size, root=root, code_hash=code_hash)
    return caught.value.error_code


def test_honest_evidence_proves_the_head():
    proven = verify_chain_evidence(EVIDENCE, size=SIZE, root=ROOT)
    assert (proven.size, proven.root, proven.index) == (SIZE, ROOT, 1)
    assert proven.block_hash == EVIDENCE["block_hash"]
    assert proven.code_hash == EVIDENCE["code_hash"]
    assert proven.time == proven.block_time


def test_evidence_survives_json():
    again = json.loads(json.dumps(EVIDENCE))
    assert verify_chain_evidence(again, size=SIZE, root=ROOT).size == SIZE


def test_another_size_or_root_is_a_mismatch():
    assert refused(EVIDENCE, size=SIZE + 1) == "chain_proof.head_mismatch"
    assert refused(EVIDENCE, root=bytes(32)) == "chain_proof.head_mismatch"


def test_other_code_than_the_caller_demands_is_refused():
    assert refused(EVIDENCE, code_hash="0x" + "11" * 32) == "chain_proof.code_hash"
    verify_chain_evidence(EVIDENCE, size=SIZE, root=ROOT, code_hash=EVIDENCE["code_hash"])


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("v", "fuqi/chain-evidence/v2", "chain_proof.shape"),
        ("contract", "0x" + "ab" * 20, "chain_proof.account"),
        ("block_number", 99, "chain_proof.header"),
        ("block_number", True, "chain_proof.shape"),
        ("block_hash", "0x" + "00" * 32, "chain_proof.header_hash"),
        ("header_rlp", "0x", "chain_proof.header_hash"),
        ("account_proof", [], "chain_proof.path"),
        ("account_proof", ["0x00"] * 66, "chain_proof.shape"),
        ("storage_proofs", {}, "chain_proof.shape"),
        ("code_hash", "0x" + "22" * 32, "chain_proof.code_hash"),
        ("chain_id", "1", "chain_proof.shape"),
    ],
)
def test_an_altered_field_is_refused(field, value, code):
    assert refused({**EVIDENCE, field: value}) == code


@pytest.mark.parametrize("name", ["root", "head"])
def test_a_stated_word_that_differs_from_the_proven_one_is_refused(name):
    altered = copy.deepcopy(EVIDENCE)
    altered["storage_proofs"][name]["value"] = "0x" + "77" * 32
    assert refused(altered) == "chain_proof.storage"
    altered = copy.deepcopy(EVIDENCE)
    altered["storage_proofs"][name]["key"] = "0x" + "00" * 31 + "05"
    assert refused(altered) == "chain_proof.storage"


def test_swapped_slots_are_refused():
    altered = copy.deepcopy(EVIDENCE)
    proofs = altered["storage_proofs"]
    proofs["root"]["proof"], proofs["head"]["proof"] = (
        proofs["head"]["proof"][:1],
        proofs["root"]["proof"][:1],
    )
    assert refused(altered) == "chain_proof.path"


def _places(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _places(item, (*path, i))
    elif isinstance(value, str) and value.startswith("0x") and len(value) > 2:
        yield path


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_no_flipped_digit_of_any_hash_node_or_header_is_accepted(data):
    altered = copy.deepcopy(EVIDENCE)
    place = data.draw(st.sampled_from(sorted(_places(altered), key=str)))
    holder = altered
    for step in place[:-1]:
        holder = holder[step]
    text = holder[place[-1]]
    at = data.draw(st.integers(2, len(text) - 1))
    digit = data.draw(st.sampled_from("0123456789abcdef").filter(lambda c: c != text[at]))
    holder[place[-1]] = text[:at] + digit + text[at + 1 :]
    assert refused(altered).startswith("chain_proof.")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=5)))
def test_rlp_reads_what_the_reference_library_writes(value):
    def plain(item):
        return [plain(part) for part in item] if isinstance(item, list | tuple) else bytes(item)

    assert rlp_decode(rlp.encode(value)) == plain(value)
    assert rlp_encode(plain(value)) == rlp.encode(value)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=80))
def test_rlp_of_noise_is_read_like_the_reference_library_or_refused(noise):
    try:
        found = rlp_decode(noise)
    except VerificationError as exc:
        code = exc.error_code
        with pytest.raises(rlp.exceptions.RLPException):
            rlp.decode(noise, strict=True)
        found = None
    if found is None:
        assert code == "chain_proof.shape"
    else:
        assert rlp.encode(found) == noise


def test_rlp_nested_without_end_is_refused():
    data = b""
    for _ in range(40):
        data = rlp.encode([rlp.decode(data)]) if data else b"\xc0"
    with pytest.raises(VerificationError):
        rlp_decode(data)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.binary(min_size=2, max_size=2), st.binary(min_size=1, max_size=40), min_size=1
    ),
    st.binary(min_size=2, max_size=2),
)
def test_trie_values_and_absences_agree_with_the_reference_library(items, other):
    trie = HexaryTrie({})
    for key, value in items.items():
        trie[key] = value
    for key in (*items, other):
        nodes = [rlp.encode(node) for node in trie.get_proof(key)]
        assert trie_value(nodes, root=trie.root_hash, key=key) == items.get(key)


def test_a_missing_node_is_not_an_absence():
    trie = HexaryTrie({})
    for i in range(40):
        trie[keccak(bytes([i]))] = bytes([i]) * 40
    nodes = [rlp.encode(node) for node in trie.get_proof(keccak(b"\x07"))]
    assert len(nodes) > 1
    with pytest.raises(VerificationError) as caught:
        trie_value(nodes[:-1], root=trie.root_hash, key=keccak(b"\x07"))
    assert caught.value.error_code == "chain_proof.path"
