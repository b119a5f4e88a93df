"""Seals from outside: what our encoder makes is accepted; whatever is changed is refused by name."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from coincurve import PrivateKey
from eth_hash.auto import keccak

from contracts import abi, artifacts, seals_abi
from contracts.eip712 import Contract
from contracts.seals_abi import (
    NO_PREV,
    Approval,
    Key,
    Party,
    Terms,
    cms_signature,
    decode_record,
    encode_promote,
    encode_registrars,
    encode_revoke_key,
    encode_revoke_seal,
    encode_seal,
    in_order,
    open_entry,
    parties_root,
    promise_body,
    public_key,
    registrars_digest,
    revoke_key_digest,
    revoke_seal_digest,
    seal_digest,
    seal_id,
)
from contracts.seals_testing import (
    FAR,
    P256Signer,
    RevertedError,
    anvil,
    anvil_missing,
    deploy_seals,
)
from ledger.core.canonical import canonical_bytes
from ledger.core.errors import InputError
from ledger.core.merkle import consistency_path, inclusion_path, reader_over, root
from signing.changes import byte_ranges, range_digest
from signing.cms import read_container
from signing.testing import throwaway_pki
from signing.testing_pdf import two_party_sample
from signing.trust import require_certificate

MISSING = anvil_missing()
on_chain = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
DOC = hashlib.sha256(b"document").digest()


@pytest.fixture(scope="module")
def world():
    with anvil() as node:
        made = deploy_seals(node)
        for seed in (1, 2, 3):
            made.register(P256Signer.create(made.p256, seed=seed).name)
        yield made


@pytest.fixture(scope="module")
def logged():
    """Leaves that the log of `world` holds so far."""
    return []


def signer(world, seed):
    return P256Signer.create(world.p256, seed=seed)


def terms_of(signers, doc, *, prev=NO_PREV, deadline=FAR):
    return Terms(
        doc=doc,
        parties_root=parties_root([Party(key=one.name) for one in signers]),
        prev=prev,
        deadline=deadline,
    )


def agreed(contract, signers, terms):
    digest = seal_digest(contract, terms)
    return in_order([Party(key=one.name, signature=one.sign(digest)) for one in signers])


def sealed(world, terms, parties):
    return world.node.send(encode_seal(terms, parties), to=world.seals)


def record(world, terms):
    name = seal_id(world.seals_contract, terms)
    return decode_record(world.node.call(world.seals, seals_abi.RECORD_OF + name))


def refusal(call):
    with pytest.raises(RevertedError) as caught:
        call()
    return caught.value.revert


def doc(text):
    return hashlib.sha256(text.encode()).digest()


@on_chain
def test_what_our_encoder_makes_the_contract_seals(world):
    signers = [signer(world, seed) for seed in (1, 2, 3)]
    terms = terms_of(signers, DOC)
    receipt = sealed(world, terms, agreed(world.seals_contract, signers, terms))
    found = record(world, terms)
    assert (found.parties, found.assurance) == (3, 3)
    assert (found.time, found.block_number) == (world.node.time, receipt.block_number)
    topics = [bytes.fromhex(text[2:]) for text in receipt.logs[0]["topics"]]
    assert topics == [
        seals_abi.SEALED_TOPIC,
        seal_id(world.seals_contract, terms),
        DOC,
        NO_PREV,
    ]


@on_chain
@pytest.mark.parametrize("change", ["doc", "prev", "deadline", "party", "chain", "contract"])
def test_a_signature_for_anything_else_is_refused_by_name(world, change):
    signers = [signer(world, seed) for seed in (1, 2)]
    terms = terms_of(signers, doc(f"replay {change}"))
    first = terms_of(signers, doc("a first version"))
    if record(world, first).time == 0:
        sealed(world, first, agreed(world.seals_contract, signers, first))
    here = world.seals_contract
    was = {
        "doc": (here, replace(terms, doc=doc("another"))),
        "prev": (here, replace(terms, prev=seal_id(here, first))),
        "deadline": (here, replace(terms, deadline=FAR - 1)),
        "party": (here, terms_of([signer(world, 1), signer(world, 3)], terms.doc)),
        "chain": (replace(here, chain_id=1), terms),
        "contract": (Contract(chain_id=here.chain_id, address=world.log), terms),
    }[change]
    parties = agreed(was[0], signers, was[1])
    revert = refusal(lambda: sealed(world, terms, parties))
    assert revert.name == "SealsBadSignature"
    assert revert.values == (parties[0].key.hash, seal_digest(here, terms))
    assert record(world, terms).time == 0


@on_chain
def test_the_same_contracts_on_another_chain_refuse_these_signatures(world):
    """Same code, same addresses, same parties: only the chain id differs."""
    signers = [signer(world, seed) for seed in (1, 2)]
    terms = terms_of(signers, doc("two chains"))
    parties = agreed(world.seals_contract, signers, terms)
    sealed(world, terms, parties)
    with anvil(chain_id=999) as node:
        other = deploy_seals(node)
        assert other.seals == world.seals
        for one in signers:
            other.register(one.name)
        revert = refusal(lambda: sealed(other, terms, parties))
        assert revert.name == "SealsBadSignature"
        sealed(other, terms, agreed(other.seals_contract, signers, terms))


@on_chain
def test_a_seal_is_made_once(world):
    signers = [signer(world, 1)]
    terms = terms_of(signers, doc("once"))
    parties = agreed(world.seals_contract, signers, terms)
    sealed(world, terms, parties)
    made = record(world, terms)
    revert = refusal(lambda: sealed(world, terms, parties))
    assert revert.name == "SealsExists"
    assert revert.values == (seal_id(world.seals_contract, terms), made.time)


@on_chain
def test_a_revoked_key_seals_no_more_and_its_seals_stay(world):
    one = signer(world, 21)
    world.register(one.name, assurance=7)
    before = terms_of([one], doc("before revocation"))
    sealed(world, before, agreed(world.seals_contract, [one], before))
    digest = revoke_key_digest(
        world.registry_contract, key_hash=one.name.hash, reason=1, deadline=FAR
    )
    call = encode_revoke_key(
        one.name.hash, reason=1, deadline=FAR, approvals=world.approvals(digest)
    )
    world.node.send(call, to=world.registry)
    revoked = world.node.time
    terms = terms_of([one], doc("after revocation"))
    revert = refusal(lambda: sealed(world, terms, agreed(world.seals_contract, [one], terms)))
    assert (revert.name, revert.values) == ("SignerRegistryRevoked", (one.name.hash, revoked))
    assert record(world, before).assurance == 7


@on_chain
@pytest.mark.parametrize(
    ("valid_from", "valid_to", "name"),
    [(0, 1, "SignerRegistryExpired"), (FAR - 1, FAR, "SignerRegistryNotYetValid")],
)
def test_a_key_outside_its_period_does_not_seal(world, valid_from, valid_to, name):
    one = signer(world, 1000 + valid_to % 97)
    world.register(one.name, valid_from=valid_from, valid_to=valid_to)
    terms = terms_of([one], doc(name))
    revert = refusal(lambda: sealed(world, terms, agreed(world.seals_contract, [one], terms)))
    assert (revert.name, revert.values[0]) == (name, one.name.hash)


@on_chain
def test_an_ethereum_account_and_a_p256_key_seal_together(world):
    private = PrivateKey((77).to_bytes(32, "big"))
    account = keccak(private.public_key.format(compressed=False)[1:])[-20:]
    key = Key(verifier=world.k1, key=account)
    world.register(key)
    other = signer(world, 1)
    unsigned = [Party(key=key), Party(key=other.name)]
    terms = Terms(doc=doc("mixed"), parties_root=parties_root(unsigned), prev=NO_PREV, deadline=FAR)
    digest = seal_digest(world.seals_contract, terms)
    raw = private.sign_recoverable(digest, hasher=None)
    good = Party(key=key, signature=raw[:64] + bytes([27 + raw[64]]))
    bad = Party(key=key, signature=raw[:64] + bytes([28 - raw[64]]))
    second = Party(key=other.name, signature=other.sign(digest))
    revert = refusal(lambda: sealed(world, terms, in_order([bad, second])))
    assert (revert.name, revert.values[0]) == ("SealsBadSignature", key.hash)
    sealed(world, terms, in_order([good, second]))
    assert record(world, terms).parties == 2


@on_chain
def test_a_pdf_signed_by_two_parties_is_sealed_with_the_signatures_that_stand_in_it(
    world, tmp_path
):
    data = two_party_sample(throwaway_pki(tmp_path)).data
    parties = []
    for place in byte_ranges(data):
        container = read_container(place.contents)
        key = public_key(require_certificate(container.certificate).public_key.dump())
        parties.append(
            Party(
                key=Key(verifier=world.cms, key=key),
                signed=range_digest(data, place.numbers, "sha256"),
                signature=cms_signature(
                    container.signed_attrs, signature=container.signature, key=key
                ),
            )
        )
    document = parties[-1].signed
    for party in parties:
        world.register(party.key)
    terms = Terms(doc=document, parties_root=parties_root(parties), prev=NO_PREV, deadline=FAR)
    swapped = [replace(parties[0], signature=parties[1].signature), parties[1]]
    assert refusal(lambda: sealed(world, terms, in_order(swapped))).name == "SealsBadSignature"
    other = replace(terms, doc=parties[0].signed[::-1])
    revert = refusal(lambda: sealed(world, other, in_order(parties)))
    assert (revert.name, revert.values) == ("SealsDocumentNotSigned", (other.doc,))
    sealed(world, terms, in_order(parties))
    assert record(world, terms).parties == 2


def entry_of(terms, salt):
    """A `fuqi/entry/v1` entry as ledger/log.py writes it, made by hand."""
    body = json.dumps(promise_body(terms), sort_keys=True, separators=(",", ":")).encode()
    commitment = hmac.new(salt, body, hashlib.sha256).hexdigest()
    entry = {
        "v": "fuqi/entry/v1",
        "id": "ent_example",
        "type": "agreement.promised",
        "at": "2026-11-23T05:36:11Z",
        "subject": "agr_example",
        "actor": "system",
        "commitments": {"body": commitment},
        "prev": None,
    }
    return canonical_bytes(entry), commitment


@on_chain
@pytest.mark.parametrize("entries", [1, 7, 300])
def test_a_batched_entry_is_promoted_by_whoever_holds_the_signatures(world, logged, entries):
    signers = [signer(world, seed) for seed in (1, 2)]
    terms = terms_of(signers, doc(f"batched among {entries}"))
    salt = bytes(range(32))
    entry, commitment = entry_of(terms, salt)
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    held = abi.decode_head(world.node.call(world.log, abi.HEAD))
    index = held.size + entries // 2
    fresh = [hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(entries)]
    fresh[entries // 2] = leaf
    leaves = [*logged, *fresh]
    node = reader_over(leaves)
    size = len(leaves)
    proof = consistency_path(held.size, size=size, node=node) if held.size else []
    world.node.send(abi.encode_append(size=size, root=root(size, node), proof=proof), to=world.log)
    logged.extend(fresh)
    opening = open_entry(
        entry,
        commitment=commitment,
        salt=salt,
        index=index,
        size=size,
        path=inclusion_path(index, size=size, node=node),
    )
    parties = agreed(world.seals_contract, signers, terms)
    forged = [replace(parties[0], signature=parties[1].signature), parties[1]]
    calls = {
        "SealsBadSignature": encode_promote(terms, opening, forged),
        "SealsNotInLog": encode_promote(terms, replace(opening, salt=bytes(32)), parties),
    }
    for name, call in calls.items():
        assert refusal(lambda call=call: world.node.send(call, to=world.seals)).name == name
    world.node.send(encode_promote(terms, opening, parties), to=world.seals)
    assert record(world, terms).parties == 2
    found = world.node.call(world.seals, seals_abi.SEAL_OF_LEAF + leaf)
    assert found == seal_id(world.seals_contract, terms)


@on_chain
def test_the_registrars_hand_their_role_over_in_two_steps():
    with anvil() as node:
        world = deploy_seals(node)
        fresh = sorted(
            (P256Signer.create(world.p256, seed=seed) for seed in (201, 202)),
            key=lambda one: one.name.hash,
        )
        names = [one.name.hash for one in fresh]

        def change(accept, signers):
            digest = registrars_digest(
                world.registry_contract,
                names,
                threshold=2,
                epoch=2,
                deadline=FAR,
                accept=accept,
            )
            given = [Approval(key=one.name, signature=one.sign(digest)) for one in signers]
            call = encode_registrars(
                names, threshold=2, deadline=FAR, approvals=given, accept=accept
            )
            return node.send(call, to=world.registry)

        old = world.registrars[:2]
        assert refusal(lambda: change(False, fresh)).name == "SignerRegistryNotRegistrar"
        assert refusal(lambda: change(True, fresh)).name == "SignerRegistryNotOffered"
        change(False, old)
        assert refusal(lambda: change(True, old)).name == "SignerRegistryNotRegistrar"
        world.register(signer(world, 1).name)
        change(True, fresh)
        revert = refusal(lambda: world.register(signer(world, 2).name))
        assert (revert.name, revert.values) == (
            "SignerRegistryNotRegistrar",
            (old[0].name.hash,),
        )


@on_chain
def test_all_parties_revoke_a_seal_and_one_does_not(world):
    signers = [signer(world, seed) for seed in (1, 2)]
    terms = terms_of(signers, doc("to be revoked"))
    sealed(world, terms, agreed(world.seals_contract, signers, terms))
    name = seal_id(world.seals_contract, terms)
    digest = revoke_seal_digest(world.seals_contract, seal=name, reason=9, deadline=FAR)
    parties = in_order([Party(key=one.name, signature=one.sign(digest)) for one in signers])

    def revoke(given):
        call = encode_revoke_seal(terms, reason=9, deadline=FAR, parties=given)
        return world.node.send(call, to=world.seals)

    assert refusal(lambda: revoke(parties[:1])).name == "SealsUnknown"
    forged = [parties[0], replace(parties[1], signature=parties[0].signature)]
    assert refusal(lambda: revoke(forged)).name == "SealsBadSignature"
    revoke(parties)
    answer = world.node.call(world.seals, seals_abi.REVOCATION_OF + name)
    assert int.from_bytes(answer[:32], "big") == world.node.time
    assert int.from_bytes(answer[64:], "big") == 9
    assert refusal(lambda: revoke(parties)).name == "SealsRevoked"


def compiled(name, kind):
    def written(item):
        inner = ",".join(written(part) for part in item.get("components", ()))
        return item["type"].replace("tuple", f"({inner})")

    return {
        f"{row['name']}({','.join(written(item) for item in row['inputs'])})"
        for row in artifacts.load(name).abi
        if row["type"] == kind
    }


def test_every_selector_is_one_of_the_compiled_functions():
    both = compiled("Seals", "function") | compiled("SignerRegistry", "function")
    known = {keccak(text.encode())[:4] for text in both}
    assert {
        seals_abi.SEAL,
        seals_abi.PROMOTE,
        seals_abi.REVOKE_SEAL,
        seals_abi.REGISTER,
        seals_abi.REVOKE_KEY,
        seals_abi.OFFER_REGISTRARS,
        seals_abi.ACCEPT_REGISTRARS,
        seals_abi.RECORD_OF,
        seals_abi.REVOCATION_OF,
        seals_abi.SEAL_OF_LEAF,
        seals_abi.KEY_OF,
    } <= known
    for name in ("P256Verifier", "K1Verifier", "CmsVerifier", "RsaVerifier"):
        assert "verify(bytes,bytes32,bytes)" in compiled(name, "function")
    topics = {keccak(text.encode()) for text in compiled("Seals", "event")}
    assert {seals_abi.SEALED_TOPIC, seals_abi.PROMOTED_TOPIC} <= topics


def test_every_compiled_error_can_be_read():
    both = compiled("Seals", "error") | compiled("SignerRegistry", "error")
    assert set(seals_abi.ERRORS) == {keccak(text.encode())[:4] for text in both}
    assert seals_abi.decode_revert(b"\x00" * 4).name == "unknown"
    short = keccak(b"SealsUnknown(bytes32)")[:4]
    assert seals_abi.decode_revert(short).name == "unknown"


def test_nothing_in_the_contracts_deletes_pauses_upgrades_or_has_an_owner():
    def acts(name):
        return {
            row["name"]
            for row in artifacts.load(name).abi
            if row["type"] == "function" and row["stateMutability"] == "nonpayable"
        }

    assert acts("Seals") == {"seal", "promote", "revoke"}
    assert acts("SignerRegistry") == {
        "register",
        "revoke",
        "offerRegistrars",
        "acceptRegistrars",
    }
    for name in ("P256Verifier", "K1Verifier", "CmsVerifier", "RsaVerifier"):
        assert acts(name) == set()


def test_an_entry_without_that_commitment_is_not_opened():
    entry, commitment = entry_of(terms_of([], DOC), bytes(32))
    opened = open_entry(entry, commitment=commitment, salt=bytes(32), index=0, size=1, path=[])
    fragment = b'"commitments":{"body":"' + commitment.encode() + b'"}'
    assert opened.before + fragment + opened.afterwards == entry
    for salt, text in ((bytes(31), commitment), (bytes(32), "00" * 32)):
        with pytest.raises(InputError) as caught:
            open_entry(entry, commitment=text, salt=salt, index=0, size=1, path=[])
        assert caught.value.error_code == "contracts.entry_malformed"
