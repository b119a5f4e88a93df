"""Gas of whole transactions that carry signatures, under Osaka rules, against contracts/gas.json.

21 000 and call data included; real transactions on anvil. `python tests/chain/test_gas_seals.py` measures
and writes these keys, and leaves the others.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from pathlib import Path

import pytest
import solcx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from eth_abi.abi import encode

from contracts import abi, artifacts
from contracts import compile as compiler
from contracts.seals_abi import (
    NO_PREV,
    VALID,
    Key,
    Opening,
    Party,
    Terms,
    cms_signature,
    encode_promote,
    encode_revoke_seal,
    encode_seal,
    encode_verify,
    in_order,
    parties_root,
    promise_body,
    revoke_seal_digest,
    seal_digest,
    seal_id,
)
from contracts.seals_testing import FAR, P256Signer, anvil, anvil_missing, deploy_seals
from ledger.core.canonical import canonical_bytes
from ledger.core.errors import UnavailableError
from ledger.core.merkle import node_hash
from signing.cms import signed_attributes

ROOT = Path(__file__).parents[2]
GAS_FILE = ROOT / "contracts" / "gas.json"
CEILINGS = {
    "seal_p256_2": 105_000,
    "seal_p256_3": 120_000,
    "cms_p256": 90_000,
    "cms_rsa2048": 125_000,
}
OTHERS = ("promote_p256_2_depth_20", "revoke_seal_p256_2", "register_key_2_of_3", "seal_p256_1")
DEPTH = 20
OPENZEPPELIN = tuple(
    f"@openzeppelin/contracts/utils/cryptography/verifiers/ERC7913{kind}Verifier.sol"
    for kind in ("P256", "RSA")
)
MISSING = anvil_missing()


def doc(name):
    return hashlib.sha256(name.encode()).digest()


class Measured:
    """One deployment and what each act on it cost."""

    def __init__(self, node):
        self.world = deploy_seals(node)
        self.signers = [P256Signer.create(self.world.p256, seed=seed) for seed in (1, 2, 3)]
        self.gas = {}
        for one in self.signers:
            self.gas["register_key_2_of_3"] = self.world.register(one.name).gas_used

    def terms(self, signers, name):
        unsigned = [Party(key=one.name) for one in signers]
        return Terms(doc=doc(name), parties_root=parties_root(unsigned), prev=NO_PREV, deadline=FAR)

    def agreed(self, signers, terms):
        digest = seal_digest(self.world.seals_contract, terms)
        return in_order([Party(key=one.name, signature=one.sign(digest)) for one in signers])

    def send(self, name, data):
        self.gas[name] = self.world.node.send(data, to=self.world.seals).gas_used

    def by_digest(self, count):
        name = f"seal_p256_{count}"
        signers = self.signers[:count]
        terms = self.terms(signers, name)
        self.send(name, encode_seal(terms, self.agreed(signers, terms)))

    def by_cms(self, name, key, sign):
        """One party; the attributes are those that signing.cms writes into a PDF."""
        self.world.register(key)
        attributes = signed_attributes(document_digest=doc(name), certificate=b"x")
        value = cms_signature(attributes, signature=sign(attributes), key=key.key)
        party = Party(key=key, signed=doc(name), signature=value)
        terms = Terms(doc=doc(name), parties_root=parties_root([party]), prev=NO_PREV, deadline=FAR)
        self.send(name, encode_seal(terms, [party]))

    def promote(self):
        """The first of 2**20 entries."""
        signers = self.signers[:2]
        terms = self.terms(signers, "promoted")
        salt = bytes(range(32))
        body = canonical_bytes(promise_body(terms))
        commitment = hmac_hex(salt, body)
        before = b'{"actor":"system","at":"2026-11-23T05:36:11Z",'
        afterwards = b',"id":"ent_00000000000000000000000000","prev":null,"v":"fuqi/entry/v1"}'
        entry = before + b'"commitments":{"body":"' + commitment + b'"}' + afterwards
        running = hashlib.sha256(b"\x00" + entry).digest()
        path = tuple(hashlib.sha256(bytes([level])).digest() for level in range(DEPTH))
        for sibling in path:
            running = node_hash(running, sibling)
        append = abi.encode_append(size=2**DEPTH, root=running, proof=[])
        self.world.node.send(append, to=self.world.log)
        opening = Opening(
            index=0, size=2**DEPTH, salt=salt, before=before, afterwards=afterwards, path=path
        )
        parties = self.agreed(signers, terms)
        self.send("promote_p256_2_depth_20", encode_promote(terms, opening, parties))

    def revoke(self):
        signers = self.signers[:2]
        terms = self.terms(signers, "seal_p256_2")
        contract = self.world.seals_contract
        digest = revoke_seal_digest(contract, seal=seal_id(contract, terms), reason=1, deadline=FAR)
        given = in_order([Party(key=one.name, signature=one.sign(digest)) for one in signers])
        data = encode_revoke_seal(terms, reason=1, deadline=FAR, parties=given)
        self.send("revoke_seal_p256_2", data)


def hmac_hex(salt, body):
    """HMAC-SHA256 as RFC 2104 writes it."""
    block = salt.ljust(64, b"\x00")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + body).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest().encode()


def measure():
    """Every figure, from one fresh chain."""
    golden = runpy.run_path(str(ROOT / "tests" / "golden" / "cms" / "make_cms_vectors.py"))
    rsa = golden["rsa_key"]()
    with anvil(hardfork="osaka") as node:
        made = Measured(node)
        for count in (1, 2, 3):
            made.by_digest(count)
        device = P256Signer.create(made.world.cms, seed=4)
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        made.by_cms("cms_p256", device.name, lambda data: device.private.sign(data, algorithm))
        made.by_cms(
            "cms_rsa2048",
            Key(verifier=made.world.cms, key=golden["encoded"](rsa)),
            lambda data: rsa.sign(data, padding.PKCS1v15(), hashes.SHA256()),
        )
        made.promote()
        made.revoke()
        return made.gas


@pytest.fixture(scope="module")
def measured():
    if MISSING is not None:
        pytest.skip(MISSING)
    return measure()


@pytest.fixture(scope="module")
def recorded():
    return json.loads(GAS_FILE.read_text())


def test_every_figure_is_recorded_and_every_promised_one_is_under_its_ceiling(recorded):
    assert {*CEILINGS, *OTHERS} <= set(recorded)
    assert not {name for name, limit in CEILINGS.items() if recorded[name] > limit}


def test_no_figure_has_grown_by_more_than_one_in_a_hundred(measured, recorded):
    assert set(measured) == {*CEILINGS, *OTHERS}
    grown = {
        name: (recorded[name], gas)
        for name, gas in measured.items()
        if gas * 100 > recorded[name] * 101
    }
    assert not grown, "run this file if the growth is meant"


@pytest.mark.parametrize("name", CEILINGS)
def test_a_promised_figure_stays_under_its_ceiling(measured, name):
    assert measured[name] <= CEILINGS[name]


def openzeppelin():
    """OpenZeppelin's verifiers, compiled here from their package with our settings: name -> creation code."""
    try:
        program = compiler.find_compiler()
        texts = compiler.read_sources(OPENZEPPELIN)
    except UnavailableError as exc:
        pytest.skip(f"OpenZeppelin's contracts cannot be compiled here: {exc}")
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": json.loads((artifacts.ARTIFACTS / "Seals.json").read_text())["settings"],
    }
    made = solcx.compile_standard(request, solc_binary=program)["contracts"]
    return {
        Path(path).stem: bytes.fromhex(made[path][Path(path).stem]["evm"]["bytecode"]["object"])
        for path in OPENZEPPELIN
    }


def test_verifiers_beside_those_of_openzeppelin(capsys):
    """One `verify` as a transaction; their RSA key brings its exponent, and the digest is hashed again."""
    if MISSING is not None:
        pytest.skip(MISSING)
    theirs = openzeppelin()
    golden = runpy.run_path(str(ROOT / "tests" / "golden" / "cms" / "make_cms_vectors.py"))
    rsa = golden["rsa_key"]()
    value = rsa.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
    modulus, digest = golden["encoded"](rsa), hashlib.sha256(b"message").digest()
    again = rsa.sign(digest, padding.PKCS1v15(), hashes.SHA256())
    pair = encode(["bytes", "bytes"], [(65537).to_bytes(3, "big"), modulus])
    device = P256Signer.create(bytes(20), seed=4)
    curve = encode_verify(device.name.key, digest, device.sign(digest))
    with anvil(hardfork="osaka") as node:
        rows = (
            ("P-256", "P256Verifier", "ERC7913P256Verifier", curve, curve),
            (
                "RSA-2048",
                "RsaVerifier",
                "ERC7913RSAVerifier",
                encode_verify(modulus, digest, value),
                encode_verify(pair, digest, again),
            ),
        )
        for kind, name, other, our_call, their_call in rows:
            ours, baseline = node.deploy(name), node.send(theirs[other]).address
            for contract, call in ((ours, our_call), (baseline, their_call)):
                assert node.call(contract, call)[:4] == VALID
            gas = node.send(our_call, to=ours).gas_used
            beside = node.send(their_call, to=baseline).gas_used
            with capsys.disabled():
                sys.stdout.write(f"\n  verify {kind}: ours {gas}, OpenZeppelin 5.7.0 {beside}")
            # Ours pays one cold storage read for what the deployment found out about the precompile.
            assert gas <= beside + 3_000


if __name__ == "__main__":
    figures = {**json.loads(GAS_FILE.read_text()), **measure()}
    text = json.dumps(figures, indent=1, sort_keys=True) + "\n"
    GAS_FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
