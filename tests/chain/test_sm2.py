"""SM2 on a chain that knows neither it nor SM3: the standard's example, OpenSSL, the book, and gas.

`python tests/chain/test_sm2.py` measures and writes its keys of contracts/gas.json, and leaves the others.
"""

from __future__ import annotations

import hashlib
import json
import random
import runpy
import sys
from pathlib import Path

import pytest

from contracts.seals_abi import (
    NO_PREV,
    VALID,
    Key,
    Party,
    Terms,
    encode_seal,
    encode_verify,
    in_order,
    parties_root,
    seal_digest,
)
from contracts.seals_testing import FAR, RevertedError, anvil, anvil_missing, deploy_seals
from contracts.sm2_abi import encode_prepare, sm2_public_key, sm2_signature
from ledger.core.errors import InputError

ROOT = Path(__file__).parents[2]
GAS_FILE = ROOT / "contracts" / "gas.json"
GOLDEN = ROOT / "tests" / "golden" / "sm2"
book = runpy.run_path(str(GOLDEN / "sm2_by_the_book.py"))
openssl = runpy.run_path(str(GOLDEN / "openssl_vectors.py"))
SECRET = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
DIGEST = hashlib.sha256(b"document").digest()
NAMES = ("sm2_verify", "sm2_verify_unprepared", "sm2_prepare", "seal_sm2_2")
N = book["N"]
MISSING = anvil_missing()


def key_of(secret):
    x, y = book["times"](secret, book["G"])
    return book["word"](x) + book["word"](y)


def point(key):
    return int.from_bytes(key[:32], "big"), int.from_bytes(key[32:], "big")


def pair(r, s):
    return book["word"](r) + book["word"](s)


def sign(secret, digest, k):
    return pair(*book["signed"](secret, book["digest"](point(key_of(secret)), digest), k))


class Chain:
    """The verifier on a node."""

    def __init__(self, node):
        self.node = node
        self.verifier = node.deploy("Sm2Verifier")

    def accepts(self, key, digest, signature):
        answer = self.node.call(self.verifier, encode_verify(key, digest, signature))
        assert answer in (VALID + bytes(28), b"\xff" * 4 + bytes(28))
        return answer[:4] == VALID

    def prepare(self, key):
        return self.node.send(encode_prepare(key), to=self.verifier).gas_used

    def gas(self, key, digest, signature):
        return self.node.send(encode_verify(key, digest, signature), to=self.verifier).gas_used


@pytest.fixture(scope="module")
def chain():
    if MISSING is not None:
        pytest.skip(MISSING)
    with anvil(hardfork="osaka") as node:
        yield Chain(node)


def test_the_book_agrees_with_the_standards_example():
    """GB/T 32918.5 appendix A.2 (GM/T 0003.5), GB/T 32905 appendix A.1."""
    assert book["sm3"](b"abc").hex() == (
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    )
    key = point(key_of(SECRET))
    assert book["za"](key).hex() == (
        "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"
    )
    e = book["digest"](key, b"message digest")
    k = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
    r, s = book["signed"](SECRET, e, k)
    assert r == 0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3
    assert s == 0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA
    assert book["verified"](key, e, r, s)
    assert not book["verified"](key, e, r, N - s)


def judge(chain, rows):
    """Each is accepted before and after its key is prepared, and refused once any of its parts is another's."""
    prepared = set()
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        key, theirs = (sm2_public_key(bytes.fromhex(one["spki"])) for one in (row, other))
        digest, another = (bytes.fromhex(one["digest"]) for one in (row, other))
        value, wrong = (sm2_signature(bytes.fromhex(one["signature"])) for one in (row, other))
        assert chain.accepts(key, digest, value)
        if key not in prepared:
            chain.prepare(key)
            prepared.add(key)
            assert chain.accepts(key, digest, value)
        assert not chain.accepts(key, another, value)
        assert not chain.accepts(key, digest, wrong)
        assert theirs == key or not chain.accepts(theirs, digest, value)
        assert not chain.accepts(key, digest, value[32:] + value[:32])


def test_every_golden_signature_of_openssl_is_accepted_for_its_text_and_key_only(chain):
    file = json.loads((GOLDEN / "openssl.json").read_text(encoding="utf-8"))
    assert file["identifier"] == "1234567812345678"
    assert len(file["vectors"]) == 24
    judge(chain, file["vectors"])


def test_signatures_that_openssl_makes_now_are_accepted_too(chain):
    reason = openssl["missing"]()
    if reason:
        pytest.skip(reason)
    judge(chain, openssl["made"](6, "fresh"))


def test_the_chain_and_the_book_judge_alike(chain):
    """Random signatures, half of them spoilt in one place, by keys prepared and not."""
    numbers = random.Random(20261123)
    accepted = 0
    for i in range(40):
        secret = numbers.randrange(1, N - 1)
        key, digest = key_of(secret), numbers.randbytes(32)
        r, s = book["signed"](secret, book["digest"](point(key), digest), numbers.randrange(1, N))
        if i % 2:
            spoil = numbers.choice(("r", "s", "digest", "both"))
            r ^= (spoil in ("r", "both")) << numbers.randrange(256)
            s ^= (spoil in ("s", "both")) << numbers.randrange(256)
            digest = numbers.randbytes(32) if spoil == "digest" else digest
        if i % 4 < 2:
            chain.prepare(key)
        expected = book["verified"](point(key), book["digest"](point(key), digest), r, s)
        assert expected == (i % 2 == 0)
        assert chain.accepts(key, digest, pair(r, s)) == expected
        accepted += expected
    assert accepted == 20


@pytest.mark.parametrize("prepared", [False, True], ids=["unprepared", "prepared"])
def test_numbers_out_of_range_and_other_forms_are_refused(chain, prepared):
    secret = 0xABCDEF + prepared
    key = key_of(secret)
    value = sign(secret, DIGEST, 7)
    if prepared:
        chain.prepare(key)
    r, s = int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big")
    assert chain.accepts(key, DIGEST, value)
    for first, second in (
        (0, s), (r, 0), (N, s), (r, N), (r, N - s), (N - r, s), (s, r), (N - s, s),
        (2**256 - 1, s), (r, 2**256 - 1), (r + N, s), (r, s + N),
    ):  # fmt: skip
        if max(first, second) < 2**256:
            assert not chain.accepts(key, DIGEST, pair(first, second)), (first, second)
    for form in (b"", value[:-1], value + b"\x00", value[:32]):
        assert not chain.accepts(key, DIGEST, form)
    for other in (key[:-1], key + b"\x00", b"", b"\x04" + key, key[32:] + key[:32]):
        assert not chain.accepts(other, DIGEST, value)


def test_a_key_that_is_no_point_of_the_curve_is_neither_used_nor_prepared(chain):
    x, y = point(key_of(SECRET))
    value = sign(SECRET, DIGEST, 9)
    for key in (
        book["word"](x) + book["word"](y + 1),
        bytes(64),
        book["word"](book["P"]) + book["word"](y),
        b"\xff" * 64,
        key_of(SECRET)[:63],
    ):
        assert not chain.accepts(key, DIGEST, value)
        with pytest.raises(RevertedError):
            chain.prepare(key)
    chain.prepare(key_of(SECRET))
    with pytest.raises(RevertedError):
        chain.prepare(key_of(SECRET))


def test_an_agreement_of_two_sm2_keys_is_sealed_and_not_without_one(chain):
    """Seals looks a verifier up by its address, so a new kind needs no new contract."""
    world = deploy_seals(chain.node)
    assert sealed(world, chain, prepare=False) > 0


def sealed(world, chain, *, prepare):
    """Gas of a seal by two SM2 keys; the same with a spoilt signature is refused."""
    secrets = (0x51 + 2 * prepare, 0x52 + 2 * prepare)
    names = [Key(verifier=chain.verifier, key=key_of(secret)) for secret in secrets]
    for name in names:
        world.register(name)
        if prepare:
            chain.prepare(name.key)
    root = parties_root([Party(key=name) for name in names])
    terms = Terms(doc=DIGEST, parties_root=root, prev=NO_PREV, deadline=FAR)
    digest = seal_digest(world.seals_contract, terms)
    parties = [
        Party(key=name, signature=sign(secret, digest, 11))
        for name, secret in zip(names, secrets, strict=True)
    ]
    spoilt = [parties[0], Party(key=names[1], signature=parties[0].signature)]
    with pytest.raises(RevertedError):
        world.node.send(encode_seal(terms, in_order(spoilt)), to=world.seals)
    return world.node.send(encode_seal(terms, in_order(parties)), to=world.seals).gas_used


def test_public_keys_and_signatures_are_read_strictly():
    row = json.loads((GOLDEN / "openssl.json").read_text(encoding="utf-8"))["vectors"][0]
    spki, der = bytes.fromhex(row["spki"]), bytes.fromhex(row["signature"])
    assert sm2_public_key(spki) == spki[-64:]
    for wrong in (spki[:-1], spki + b"\x00", b"\x31" + spki[1:], spki[:26] + b"\x02" + spki[27:]):
        with pytest.raises(InputError) as caught:
            sm2_public_key(wrong)
        assert caught.value.error_code == "contracts.key_unsupported"
    value = sm2_signature(der)
    assert len(value) == 64
    small = bytes.fromhex("3006020101020102")
    assert sm2_signature(small) == book["word"](1) + book["word"](2)
    for text in (
        der[:-1].hex(), der.hex() + "00", "", "30", "3006020100020101", "300602010102017f00",
        "300702020001020101", "3006020181020101", "30060201010201", "3106020101020101",
        "3006030101020101", "3003020101", "3009020101020101020101", "308106020101020101",
        "30050200020101", f"3026022100{N:064x}020101",
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            sm2_signature(bytes.fromhex(text))
        assert caught.value.error_code == "contracts.signature_malformed", text


def measure(chain):
    """Whole transactions; of eight signatures the dearest counts, for their gas differs by their bits."""
    key = key_of(SECRET)
    values = [(hashlib.sha256(bytes([i])).digest(), i + 100) for i in range(8)]
    figures = {}
    calls = [(digest, sign(SECRET, digest, k)) for digest, k in values]
    other = Chain(chain.node)
    figures["sm2_verify_unprepared"] = max(other.gas(key, *call) for call in calls)
    figures["sm2_prepare"] = other.prepare(key)
    figures["sm2_verify"] = max(other.gas(key, *call) for call in calls)
    figures["seal_sm2_2"] = sealed(deploy_seals(chain.node), other, prepare=True)
    return figures


def test_gas_of_a_check_is_recorded_and_has_not_grown(chain):
    recorded = json.loads(GAS_FILE.read_text(encoding="utf-8"))
    measured = measure(chain)
    assert set(measured) == set(NAMES)
    grown = {
        name: (recorded[name], gas)
        for name, gas in measured.items()
        if gas * 100 > recorded[name] * 101
    }
    assert not grown, "run this file if the growth is meant"
    assert measured["sm2_verify"] <= 200_000


if __name__ == "__main__":
    with anvil(hardfork="osaka") as started:
        figures = {**json.loads(GAS_FILE.read_text(encoding="utf-8")), **measure(Chain(started))}
    text = json.dumps(figures, indent=1, sort_keys=True) + "\n"
    GAS_FILE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
