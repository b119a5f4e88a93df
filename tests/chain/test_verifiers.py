"""The verifiers on a chain: public vectors, every mutated byte, and the signatures of a PDF signed here."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_hash.auto import keccak

from contracts.seals_abi import (
    P256_ORDER,
    VALID,
    cms_signature,
    encode_verify,
    low_s,
    public_key,
)
from contracts.seals_testing import anvil, anvil_missing
from ledger.core.errors import InputError
from signing.changes import byte_ranges, range_digest
from signing.cms import read_container, signed_attributes
from signing.testing import throwaway_pki
from signing.testing_pdf import two_party_sample

ROOT = Path(__file__).parents[2]
WYCHEPROOF = ROOT.parent / "shared" / "corpora" / "wycheproof"
GOLDEN = ROOT / "tests" / "golden" / "cms"
DIGEST = hashlib.sha256(b"document").digest()
REFUSED = b"\xff" * 4
K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
X_ABOVE_THE_ORDER = (
    "k*G has a large x-coordinate",
    "r = 2, x = n + 2 is the smallest possible x with a reduction",
)
NATIVE = keccak(b"native()")[:4]
MISSING = anvil_missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


class Verifiers:
    """The verifiers on one node."""

    def __init__(self, node):
        self.node = node
        self.p256, self.cms, self.rsa = (
            node.deploy(f"{kind}Verifier") for kind in ("P256", "Cms", "Rsa")
        )

    def accepts(self, verifier, key, digest, signature):
        answer = self.node.call(verifier, encode_verify(key, digest, signature))
        assert answer in (VALID + bytes(28), REFUSED + bytes(28))
        return answer[:4] == VALID

    def native(self, verifier):
        return bool(self.node.call(verifier, NATIVE)[-1])


@pytest.fixture(scope="module")
def osaka():
    with anvil(hardfork="osaka") as node:
        yield Verifiers(node)


@pytest.fixture(scope="module")
def prague():
    with anvil(hardfork="prague") as node:
        yield Verifiers(node)


@pytest.fixture(params=["osaka", "prague"])
def chain(request):
    return request.getfixturevalue(request.param)


def wycheproof(name):
    path = WYCHEPROOF / f"{name}.json"
    if not path.is_file():
        pytest.skip("the Wycheproof vectors are not here (../shared/corpora/wycheproof)")
    groups = json.loads(path.read_text())["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


def point(group):
    key = group["publicKey"]
    return int(key["wx"], 16).to_bytes(32, "big") + int(key["wy"], 16).to_bytes(32, "big")


def lowered(value):
    r, s = value[:32], int.from_bytes(value[32:], "big")
    return r + min(s, P256_ORDER - s).to_bytes(32, "big") if s <= P256_ORDER else value


def test_the_precompile_is_found_where_it_is_and_only_there(osaka, prague):
    assert osaka.native(osaka.p256)
    assert osaka.native(osaka.cms)
    assert not prague.native(prague.p256)
    assert not prague.native(prague.cms)


def test_every_wycheproof_p256_vector_is_judged_rightly_in_its_lower_form(chain):
    """(r, s) and (r, order - s) are one signature; Wycheproof calls both valid, the chain takes the lower."""
    judged = 0
    for group, test in wycheproof("ecdsa_secp256r1_sha256_p1363_test"):
        value = bytes.fromhex(test["sig"])
        digest = hashlib.sha256(bytes.fromhex(test["msg"])).digest()
        found = chain.accepts(chain.p256, point(group), digest, lowered(value))
        assert found == (test["result"] == "valid"), test
        if int.from_bytes(value[32:64], "big") > P256_ORDER // 2:
            assert not chain.accepts(chain.p256, point(group), digest, value), test
        judged += 1
    assert judged >= 250


def test_every_wycheproof_der_signature_that_we_would_send_is_judged_rightly(osaka):
    """What is not strict DER never reaches the chain; what does is judged there."""
    sent = 0
    for group, test in wycheproof("ecdsa_secp256r1_sha256_test"):
        digest = hashlib.sha256(bytes.fromhex(test["msg"])).digest()
        try:
            value = low_s(bytes.fromhex(test["sig"]))
        except InputError:
            assert test["result"] == "invalid", test
            continue
        sent += 1
        found = osaka.accepts(osaka.p256, point(group), digest, value)
        assert found == (test["result"] == "valid"), test
    assert sent >= 174


def test_every_wycheproof_rsa_vector_is_judged_rightly(chain):
    """One form is accepted; without the NULL in it ("acceptable" there) a signature is refused here."""
    judged = 0
    for group, test in wycheproof("rsa_signature_2048_sha256_test"):
        digest = hashlib.sha256(bytes.fromhex(test["msg"])).digest()
        modulus = int(group["publicKey"]["modulus"], 16).to_bytes(256, "big")
        known = int(group["publicKey"]["publicExponent"], 16) == 65537
        found = chain.accepts(chain.rsa, modulus, digest, bytes.fromhex(test["sig"]))
        assert found == (known and test["result"] == "valid"), test
        judged += known
    assert judged >= 80


def test_every_wycheproof_secp256k1_vector_is_judged_rightly(osaka):
    """An account is an address and a signature names which of two points it means: both are tried."""
    k1 = osaka.node.deploy("K1Verifier")
    sent = 0
    for group, test in wycheproof("ecdsa_secp256k1_sha256_test"):
        digest = hashlib.sha256(bytes.fromhex(test["msg"])).digest()
        try:
            r, s = decode_dss_signature(bytes.fromhex(test["sig"]))
        except ValueError:
            assert test["result"] == "invalid", test
            continue
        if not (0 <= r < 2**256 and 0 <= s < 2**256):
            assert test["result"] == "invalid", test
            continue
        sent += 1
        lower = min(s, K1_ORDER - s) if s < K1_ORDER else s
        head = r.to_bytes(32, "big") + lower.to_bytes(32, "big")
        found = any(
            osaka.accepts(k1, keccak(point(group))[-20:], digest, head + bytes([v]))
            for v in (27, 28)
        )
        # The chain's own recovery has no way to name a point whose x is above the order; nobody meets one.
        known = test["comment"] not in X_ABOVE_THE_ORDER
        assert found == (known and test["result"] == "valid"), test
    assert sent >= 174


def test_an_rsa_key_with_another_exponent_is_never_sent():
    for group, _test in wycheproof("rsa_signature_2048_sha256_test"):
        known = int(group["publicKey"]["publicExponent"], 16) == 65537
        if known:
            assert len(public_key(bytes.fromhex(group["publicKeyDer"]))) == 256
        else:
            with pytest.raises(InputError) as caught:
                public_key(bytes.fromhex(group["publicKeyDer"]))
            assert caught.value.error_code == "contracts.key_unsupported"


def vectors():
    return json.loads((GOLDEN / "vectors.json").read_text())


def hexed(text):
    return bytes.fromhex(text[2:])


@pytest.mark.parametrize("kind", ["accepted", "refused"])
def test_every_golden_form_of_the_attributes_is_judged_rightly(chain, kind):
    file = vectors()
    key, digest = hexed(file["p256_key"]), hexed(file["digest"])
    for vector in file[kind]:
        found = chain.accepts(chain.cms, key, digest, hexed(vector["signature"]))
        assert found == (kind == "accepted"), vector["name"]


def test_the_golden_rsa_signature_is_accepted_for_its_document_only(chain):
    file = vectors()
    key, value = hexed(file["rsa_key"]), hexed(file["rsa_signature"])
    assert chain.accepts(chain.cms, key, hexed(file["digest"]), value)
    assert not chain.accepts(chain.cms, key, DIGEST, value)


def test_the_golden_vectors_are_what_their_generator_makes():
    made = runpy.run_path(str(GOLDEN / "make_cms_vectors.py"))["vectors"]()
    assert made == vectors()


class Device:
    """A throwaway key that signs whatever it is given."""

    def __init__(self):
        self.private = ec.derive_private_key(77, ec.SECP256R1())
        public = self.private.public_key()
        self.key = public_key(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, attributes):
        der = self.private.sign(attributes, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        return low_s(der) + attributes


def test_every_flipped_byte_makes_the_signature_invalid(osaka):
    device = Device()
    good = device.sign(signed_attributes(document_digest=DIGEST, certificate=b"x"))
    assert osaka.accepts(osaka.cms, device.key, DIGEST, good)
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 0x01
        assert not osaka.accepts(osaka.cms, device.key, DIGEST, bytes(changed)), place


def test_a_byte_flipped_before_signing_is_refused_wherever_it_means_anything(osaka):
    """Signed anew, so only the rule about attributes can refuse; the last one's body means nothing here."""
    device = Device()
    good = signed_attributes(document_digest=DIGEST, certificate=b"x")
    # Header, content type, digest; then tag, length, tag and the length of the type of the last attribute.
    read_until = 3 + 26 + 49 + 3
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 0x80
        found = osaka.accepts(osaka.cms, device.key, DIGEST, device.sign(bytes(changed)))
        assert found == (place > read_until), place


def test_every_shortened_or_lengthened_form_is_refused(osaka):
    device = Device()
    good = signed_attributes(document_digest=DIGEST, certificate=b"x")
    for size in range(len(good)):
        assert not osaka.accepts(osaka.cms, device.key, DIGEST, device.sign(good[:size])), size
    for tail in (b"\x00", b"\x30\x00", good):
        assert not osaka.accepts(osaka.cms, device.key, DIGEST, device.sign(good + tail))


def test_the_signatures_that_stand_in_a_signed_pdf_are_the_ones_the_chain_checks(chain, tmp_path):
    """Signed through signing.pdf with throwaway keys; everything below is read back from the file's bytes."""
    data = two_party_sample(throwaway_pki(tmp_path)).data
    found = byte_ranges(data)
    assert len(found) == 2
    for place in found:
        container = read_container(place.contents)
        spki = container_spki(container)
        key = public_key(spki)
        digest = range_digest(data, place.numbers, "sha256")
        value = cms_signature(container.signed_attrs, signature=container.signature, key=key)
        assert chain.accepts(chain.cms, key, digest, value)
        assert not chain.accepts(chain.cms, key, hashlib.sha256(data).digest(), value)
        changed = bytearray(data)
        changed[10] ^= 0x01
        other = range_digest(bytes(changed), place.numbers, "sha256")
        assert not chain.accepts(chain.cms, key, other, value)


def container_spki(container):
    certificate = x509.load_der_x509_certificate(container.certificate)
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_the_upper_form_of_a_pdf_signature_is_brought_to_the_lower_before_sending():
    r, s = 5, P256_ORDER - 1
    assert low_s(encode_dss_signature(r, s)) == r.to_bytes(32, "big") + (1).to_bytes(32, "big")


@pytest.mark.parametrize(
    ("attributes", "signature", "key"),
    [
        (b"\x30\x00", encode_dss_signature(1, 1), bytes(64)),
        (b"\x31\x00", b"not DER", bytes(64)),
        (b"\x31\x00", encode_dss_signature(0, 1), bytes(64)),
        (b"\x31\x00", encode_dss_signature(1, P256_ORDER), bytes(64)),
        (b"\x31\x00", bytes(255), bytes(256)),
        (b"", encode_dss_signature(1, 1), bytes(64)),
    ],
)
def test_what_is_no_signature_is_never_sent(attributes, signature, key):
    with pytest.raises(InputError) as caught:
        cms_signature(attributes, signature=signature, key=key)
    assert caught.value.error_code == "contracts.signature_malformed"
