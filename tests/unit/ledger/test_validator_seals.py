"""Validators' seals: a real clique network's, made ones of QBFT and IBFT 2.0; every altered one is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import rlp
from coincurve import PrivateKey
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain_proof import verify_chain_evidence
from ledger.core.errors import UnavailableError, VerificationError
from ledger.finality import CLIQUE_EPOCH, consensus_of, has_quorum, policy_of, seals_json
from ledger.ledger_trust import ChainPin, LedgerTrust
from ledger.note import VerifierKey
from ledger.rpc_values import header_rlp, told_header
from ledger.validator_seals import (
    HEADERS_MAX,
    VALIDATORS_MAX,
    ValidatorPolicy,
    bft_extra_data,
    split_bft_header,
    verify_seals,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "chain"
RULES = ("clique", "qbft", "ibft2")
BFT = ("qbft", "ibft2")
HALF_UP = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


def vector(rule):
    return json.loads((GOLDEN / f"seals_{rule}.json").read_text(encoding="utf-8"))


VECTORS = {rule: vector(rule) for rule in RULES}


def policy(rule, k=3):
    return ValidatorPolicy.of(k, VECTORS[rule]["validators"])


def refused(evidence, named):
    with pytest.raises(VerificationError) as caught:
        verify_seals(evidence, policy=named)
    return caught.value.error_code


@pytest.mark.parametrize("rule", RULES)
def test_the_seals_of_three_pinned_validators_are_proven(rule):
    found = VECTORS[rule]
    proven = verify_seals(found["evidence"], policy=policy(rule))
    assert proven.rule == rule
    assert proven.enough
    assert len(proven.pinned) >= 3
    assert set(proven.pinned) <= set(found["validators"])
    if "sealed_by" in found:
        assert list(proven.validators) == found["sealed_by"]
        assert not verify_seals(found["evidence"], policy=policy(rule, k=4)).enough


@pytest.mark.parametrize("rule", RULES)
def test_readers_that_know_no_seals_read_the_same_evidence(rule):
    found = VECTORS[rule]
    root = bytes.fromhex(found["root"])
    proven = verify_chain_evidence(found["evidence"], size=found["size"], root=root)
    assert proven.block_hash == found["evidence"]["block_hash"]
    without = {name: value for name, value in found["evidence"].items() if name != "seals"}
    assert verify_chain_evidence(without, size=found["size"], root=root) == proven
    assert verify_seals(without, policy=policy(rule)) is None


@pytest.mark.parametrize("rule", RULES)
def test_strangers_seals_do_not_count(rule):
    strangers = ValidatorPolicy.of(1, ["0x" + f"{index:040x}" for index in range(1, 5)])
    proven = verify_seals(VECTORS[rule]["evidence"], policy=strangers)
    assert proven.pinned == ()
    assert not proven.enough
    assert len(proven.validators) >= 3


@pytest.mark.parametrize("rule", RULES)
def test_a_seal_left_out_is_missed_and_one_put_in_twice_is_refused(rule):
    cut = copy.deepcopy(VECTORS[rule]["evidence"])
    listed = "headers" if rule == "clique" else "seals"
    del cut["seals"][listed][1:]
    del cut["seals"]["signers"][2 if rule == "clique" else 1 :]
    proven = verify_seals(cut, policy=policy(rule))
    assert len(proven.validators) == (2 if rule == "clique" else 1)
    assert not proven.enough
    doubled = copy.deepcopy(VECTORS[rule]["evidence"])
    for name in (listed, "signers"):
        doubled["seals"][name].append(doubled["seals"][name][-1])
    assert refused(doubled, policy(rule)) == "chain_proof.seals"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda e: e.update(seals="yes"), "chain_proof.shape"),
        (lambda e: e["seals"].update(rule="raft"), "chain_proof.shape"),
        (lambda e: e["seals"].update(extra="0x00"), "chain_proof.shape"),
        (lambda e: e["seals"].pop("signers"), "chain_proof.shape"),
        (lambda e: e["seals"]["signers"].pop(), "chain_proof.seals"),
        (lambda e: e["seals"]["signers"].reverse(), "chain_proof.seals"),
        (lambda e: e["seals"]["signers"].__setitem__(0, "0x" + "11" * 64), "chain_proof.seals"),
        (lambda e: e["seals"]["signers"].__setitem__(0, "0x" + "11" * 63), "chain_proof.shape"),
        (lambda e: e["seals"].update(signers=["0x"] * (VALIDATORS_MAX + 1)), "chain_proof.shape"),
        (lambda e: e.update(header_rlp=e["header_rlp"] + "00"), "chain_proof.header_hash"),
        (lambda e: e.update(block_hash="0x" + "00" * 32), "chain_proof.header_hash"),
    ],
)
def test_altered_seals_are_refused(rule, change, code):
    altered = copy.deepcopy(VECTORS[rule]["evidence"])
    change(altered)
    assert refused(altered, policy(rule)) == code


@pytest.mark.parametrize("rule", BFT)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda s: s.update(round=2), "chain_proof.seals"),
        (lambda s: s.update(round=0), "chain_proof.seals"),
        (lambda s: s.update(round=True), "chain_proof.shape"),
        (lambda s: s.update(round=-1), "chain_proof.shape"),
        (lambda s: s["seals"].__setitem__(0, s["seals"][1]), "chain_proof.seals"),
        (lambda s: s["seals"].__setitem__(0, s["seals"][0] + "01"), "chain_proof.shape"),
        (lambda s: s.update(seals=["0x00"] * (VALIDATORS_MAX + 1)), "chain_proof.shape"),
    ],
)
def test_altered_commit_seals_are_refused(rule, change, code):
    altered = copy.deepcopy(VECTORS[rule]["evidence"])
    change(altered["seals"])
    assert refused(altered, policy(rule)) == code


@pytest.mark.parametrize("rule", BFT)
def test_the_other_form_of_a_signature_is_refused(rule):
    altered = copy.deepcopy(VECTORS[rule]["evidence"])
    seal = bytes.fromhex(altered["seals"]["seals"][0][2:])
    other = (HALF_UP - int.from_bytes(seal[32:], "big")).to_bytes(32, "big")
    altered["seals"]["seals"][0] = "0x" + (seal[:32] + other).hex()
    assert refused(altered, policy(rule)) == "chain_proof.shape"


@pytest.mark.parametrize(("rule", "other"), [("qbft", "ibft2"), ("ibft2", "qbft")])
def test_seals_of_one_rule_do_not_pass_under_the_other(rule, other):
    altered = copy.deepcopy(VECTORS[rule]["evidence"])
    altered["seals"]["rule"] = other
    assert refused(altered, policy(rule)) == "chain_proof.seals"


def test_headers_that_do_not_follow_are_refused():
    for change in (list.reverse, lambda headers: headers.pop(0), lambda headers: headers.pop(1)):
        altered = copy.deepcopy(VECTORS["clique"]["evidence"])
        change(altered["seals"]["headers"])
        assert refused(altered, policy("clique")) == "chain_proof.seals"
    altered = copy.deepcopy(VECTORS["clique"]["evidence"])
    altered["seals"]["headers"] = [altered["header_rlp"]] * (HEADERS_MAX + 1)
    assert refused(altered, policy("clique")) == "chain_proof.shape"


def places(value, path=()):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))
    elif isinstance(value, str) and value.startswith("0x") and len(value) > 2:
        yield path


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_no_flipped_digit_of_seals_or_header_is_accepted(data):
    rule = data.draw(st.sampled_from(RULES))
    altered = copy.deepcopy(VECTORS[rule]["evidence"])
    where = [("header_rlp",), ("block_hash",), *places(altered["seals"], ("seals",))]
    holder, place = altered, data.draw(st.sampled_from(where))
    for step in place[:-1]:
        holder = holder[step]
    value = holder[place[-1]]
    at = data.draw(st.integers(2, len(value) - 1))
    digit = data.draw(st.sampled_from("0123456789abcdefA").filter(lambda c: c != value[at]))
    holder[place[-1]] = value[:at] + digit + value[at + 1 :]
    assert refused(altered, policy(rule)).startswith("chain_proof.")


@pytest.mark.parametrize(
    ("k", "validators"),
    [
        (0, ["0x" + "11" * 20]),
        (2, ["0x" + "11" * 20]),
        (1, ["0x" + "11" * 20] * 2),
        (1, ["0x" + "AA" * 20]),
        (1, ["11" * 20]),
        (True, ["0x" + "11" * 20]),
        ("1", ["0x" + "11" * 20]),
        (1, []),
        (1, ["0x" + f"{index:040x}" for index in range(VALIDATORS_MAX + 1)]),
    ],
)
def test_a_policy_that_cannot_be_met_or_counts_twice_is_refused(k, validators):
    with pytest.raises(VerificationError) as caught:
        ValidatorPolicy.of(k, validators)
    assert caught.value.error_code == "chain_proof.policy"


def test_a_trust_file_keeps_its_validators():
    pin = ChainPin(1, "0x" + "11" * 20, "0x" + "22" * 32, "json-rpc", "a", "甲")
    verifier = VerifierKey(name="log.example.invalid/fuqi", public=bytes(range(32)))
    pinned = ChainPin(1, pin.contract, pin.code_hash, "json-rpc", "a", "甲", "", policy("qbft"))
    again = LedgerTrust(verifier, (pin, pinned))
    assert LedgerTrust.from_json(json.loads(json.dumps(again.as_json()))) == again


# ------------------------------------------------------------------ what a node tells
@pytest.mark.parametrize("rule", BFT)
def test_a_header_as_a_node_tells_it_becomes_the_one_that_the_block_hash_covers(rule):
    told = VECTORS[rule]["block_as_told_by_a_node"]
    assert "0x" + header_rlp(told).hex() == VECTORS[rule]["evidence"]["header_rlp"]
    assert "0x" + keccak(told_header(told)).hex() != told["hash"]
    with pytest.raises(UnavailableError) as caught:
        header_rlp(told | {"gasUsed": "0x1"})
    assert caught.value.error_code == "chain.evidence_unavailable"


@pytest.mark.parametrize("rule", BFT)
def test_seals_are_read_from_the_block_and_recovered_to_the_validators(rule):
    told = VECTORS[rule]["block_as_told_by_a_node"]
    made = seals_json(rule, 2, ask_block={"0x2": told}.get, most=12)
    assert made == VECTORS[rule]["evidence"]["seals"]
    assert has_quorum(told)
    assert consensus_of({"0x0": told}.get) == rule


@pytest.mark.parametrize("rule", BFT)
def test_fewer_seals_than_two_thirds_are_no_quorum(rule):
    told = VECTORS[rule]["block_as_told_by_a_node"]
    extra = rlp.decode(bytes.fromhex(told["extraData"][2:]))
    two = [*extra[:4], extra[4][:2]]
    assert not has_quorum(told | {"extraData": "0x" + rlp.encode(two).hex()})
    same = [*extra[:4], [extra[4][0]] * 3]
    assert not has_quorum(told | {"extraData": "0x" + rlp.encode(same).hex()})
    strangers = [PrivateKey(bytes([index] * 32)) for index in (1, 2, 3)]
    digest = split_bft_header(told_header(told)).digest
    forged = [*extra[:4], [key.sign_recoverable(digest, hasher=None) for key in strangers]]
    assert not has_quorum(told | {"extraData": "0x" + rlp.encode(forged).hex()})
    nobody = [extra[0], [], *extra[2:]]
    assert not has_quorum(told | {"extraData": "0x" + rlp.encode(nobody).hex()})


def test_the_first_block_of_a_real_qbft_network_is_understood():
    golden = json.loads((GOLDEN / "besu_qbft_genesis.json").read_text(encoding="utf-8"))
    header = header_rlp(golden["block"])
    assert "0x" + keccak(header).hex() == golden["block"]["hash"]
    assert consensus_of({"0x0": golden["block"]}.get) == "qbft"
    split = split_bft_header(header)
    assert (split.rule, split.round, split.seals) == ("qbft", 0, ())
    stated = rlp.decode(bytes.fromhex(golden["block"]["extraData"][2:]))[1]
    assert ["0x" + name.hex() for name in stated] == golden["validators"]
    # Ours lists the validators in order; apart from that it is the same, byte for byte.
    ordered = rlp.encode([bytes(32), sorted(stated), [], 0, []])
    assert bft_extra_data(golden["validators"]) == ordered
    assert len(ordered) == len(golden["block"]["extraData"]) // 2 - 1


def test_extra_data_of_ibft2_has_its_round_in_four_bytes():
    made = rlp.decode(bft_extra_data(["0x" + "11" * 20], rule="ibft2"))
    assert made == [bytes(32), [b"\x11" * 20], b"", bytes(4), []]


# ------------------------------------------------------------------ whom a trust file pins
def pinned(rule, block, *, blocks=None, told=None):
    found = policy_of(
        rule, block, ask_block=(blocks or {}).get, ask_signers=lambda _number: copy.deepcopy(told)
    )
    return None if found is None else (found.k, found.validators)


def listing(addresses):
    """A clique header that names validators; everything else is of no matter here."""
    named = "".join(address[2:] for address in addresses)
    return {"difficulty": "0x1", "extraData": "0x" + "00" * 32 + named + "00" * 65}


@pytest.mark.parametrize("rule", BFT)
def test_two_thirds_of_the_validators_that_a_header_names_are_pinned(rule):
    found = VECTORS[rule]
    names = tuple(sorted(found["validators"]))
    assert pinned(rule, found["block_as_told_by_a_node"]) == (3, names)
    extra = rlp.decode(bytes.fromhex(found["block_as_told_by_a_node"]["extraData"][2:]))
    for count, least in ((1, 1), (2, 2), (3, 2), (4, 3), (7, 5), (VALIDATORS_MAX, 67)):
        some = [index.to_bytes(20, "big") for index in range(1, count + 1)]
        data = rlp.encode([extra[0], some, *extra[2:]]).hex()
        block = found["block_as_told_by_a_node"] | {"extraData": "0x" + data}
        assert pinned(rule, block)[0] == least
    for some in ([], [index.to_bytes(20, "big") for index in range(1, VALIDATORS_MAX + 2)]):
        data = rlp.encode([extra[0], some, *extra[2:]]).hex()
        block = found["block_as_told_by_a_node"] | {"extraData": "0x" + data}
        assert pinned(rule, block) is None


def test_the_validators_of_a_real_qbft_network_are_pinned_from_its_first_block():
    golden = json.loads((GOLDEN / "besu_qbft_genesis.json").read_text(encoding="utf-8"))
    assert len(golden["validators"]) == 5
    assert pinned("qbft", golden["block"]) == (4, tuple(sorted(golden["validators"])))


def test_more_than_half_of_the_cliques_validators_are_pinned_as_the_node_names_them():
    names = VECTORS["clique"]["validators"]
    block = {"number": "0x7"}
    assert pinned("clique", block, told=names) == (3, tuple(sorted(names)))
    assert pinned("clique", block, told=[*names, names[0]]) == (3, tuple(sorted(names)))
    assert pinned("clique", block, told=[names[0].upper().replace("X", "x")]) == (1, (names[0],))
    for wrong in (["0x11"], [5], ["no"]):
        with pytest.raises(UnavailableError):
            pinned("clique", block, told=wrong)


def test_where_the_node_does_not_say_the_last_header_that_lists_all_validators_does():
    first, later = VECTORS["clique"]["validators"], ["0x" + "22" * 20, "0x" + "11" * 20]
    blocks = {"0x0": listing(first), hex(CLIQUE_EPOCH): listing(later)}
    for told in (None, [], "0x", ["0x" + "11" * 20] * (VALIDATORS_MAX + 1)):
        found = pinned("clique", {"number": "0x7"}, blocks=blocks, told=told)
        assert found == (3, tuple(sorted(first)))
    number = {"number": hex(CLIQUE_EPOCH + 5)}
    assert pinned("clique", number, blocks=blocks) == (2, tuple(sorted(later)))
    # Another epoch than the usual one: that header names nobody, and the first still counts.
    blocks[hex(CLIQUE_EPOCH)] = listing([])
    assert pinned("clique", number, blocks=blocks) == (3, tuple(sorted(first)))
    assert pinned("clique", number, blocks={}) is None


def test_nobody_is_pinned_where_no_validators_seal():
    assert pinned(None, {"number": "0x7"}) is None
    assert pinned("qbft", listing(VECTORS["clique"]["validators"])) is None


@pytest.mark.parametrize(
    "change",
    [
        {"extraData": "0x"},
        {"extraData": "0x" + "00" * 97},
        {"extraData": "0x" + "00" * 32 + "11" * 21 + "00" * 65},
        {"extraData": "0x" + "00" * 32 + "11" * 20 + "01" * 65},
        {"difficulty": "0x0", "extraData": "0x" + "00" * 32 + "11" * 20 + "00" * 65},
    ],
)
def test_other_chains_are_not_taken_for_one_with_seals(change):
    golden = json.loads((GOLDEN / "besu_qbft_genesis.json").read_text(encoding="utf-8"))
    assert consensus_of({"0x0": golden["block"] | change}.get) is None
    assert consensus_of({}.get) is None


def test_clique_is_known_by_its_first_block_also_under_the_other_engines_mix_hash():
    golden = json.loads((GOLDEN / "besu_qbft_genesis.json").read_text(encoding="utf-8"))
    extra = {"extraData": "0x" + "00" * 32 + "11" * 20 + "00" * 65}
    assert consensus_of({"0x0": golden["block"] | extra}.get) == "clique"
