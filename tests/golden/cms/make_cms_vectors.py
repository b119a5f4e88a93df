"""Write tests/golden/cms/vectors.json: signed attributes that the chain accepts and refuses, each truly signed.

Keys come from a fixed seed and are worth nothing. DER is written by hand, byte for byte, so that forms that
no library would write can be written too.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.seals_abi import cms_signature, public_key

FILE = Path(__file__).parent / "vectors.json"
DIGEST = hashlib.sha256("示例文件（虚构）".encode()).digest()
CONTENT_TYPE = bytes.fromhex("301806092a864886f70d010903310b06092a864886f70d010701")
OID_DIGEST = bytes.fromhex("06092a864886f70d010904")
MESSAGE_DIGEST = bytes.fromhex("302f") + OID_DIGEST + bytes.fromhex("31220420") + DIGEST
SIGNING_TIME = bytes.fromhex("301c06092a864886f70d010905310f170d") + b"261123053611Z"


def tlv(tag: int, body: bytes) -> bytes:
    """DER of one element."""
    size = len(body)
    if size < 0x80:
        head = bytes([size])
    else:
        head = bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + head + body


def certificate_attribute(size: int) -> bytes:
    """A signing-certificate-v2 attribute with a body of any length."""
    kind = bytes.fromhex("060b2a864886f70d010910022f")
    return tlv(0x30, kind + tlv(0x31, tlv(0x30, bytes(i % 251 for i in range(size)))))


CERTIFICATE = certificate_attribute(40)


def whole(*parts: bytes) -> bytes:
    """The SET of all attributes."""
    return tlv(0x31, b"".join(parts))


def accepted() -> dict[str, bytes]:
    """Forms that say the one thing that matters in the one way that is accepted."""
    return {
        "as_our_pdfs_have_it": whole(CONTENT_TYPE, MESSAGE_DIGEST, CERTIFICATE),
        "without_anything_else": whole(CONTENT_TYPE, MESSAGE_DIGEST),
        "with_signing_time_between": whole(CONTENT_TYPE, SIGNING_TIME, MESSAGE_DIGEST),
        "longer_than_127_bytes": whole(CONTENT_TYPE, MESSAGE_DIGEST, certificate_attribute(100)),
        "longer_than_255_bytes": whole(CONTENT_TYPE, MESSAGE_DIGEST, certificate_attribute(300)),
    }


def refused() -> dict[str, bytes]:
    """Forms that some reader somewhere might take for the same."""
    other = hashlib.sha256(b"another document").digest()
    good = whole(CONTENT_TYPE, MESSAGE_DIGEST, CERTIFICATE)
    body = CONTENT_TYPE + MESSAGE_DIGEST + CERTIFICATE
    foreign = MESSAGE_DIGEST[:-32] + other
    sha384 = tlv(0x30, OID_DIGEST + tlv(0x31, tlv(0x04, DIGEST + bytes(16))))
    two_values = tlv(0x30, OID_DIGEST + tlv(0x31, tlv(0x04, DIGEST) * 2))
    long_type = tlv(0x30, b"\x06\x81\x09" + OID_DIGEST[2:] + tlv(0x31, tlv(0x04, other)))
    signed_data = CONTENT_TYPE[:-1] + b"\x02"
    return {
        "nothing": b"",
        "an_empty_set": whole(),
        "only_a_tag": b"\x31",
        "content_type_only": whole(CONTENT_TYPE),
        "no_message_digest": whole(CONTENT_TYPE, CERTIFICATE),
        "no_content_type": whole(MESSAGE_DIGEST, CERTIFICATE),
        "content_type_signed_data": whole(signed_data, MESSAGE_DIGEST),
        "content_type_twice": whole(CONTENT_TYPE, CONTENT_TYPE, MESSAGE_DIGEST),
        "content_type_last": whole(MESSAGE_DIGEST, CONTENT_TYPE),
        "digest_of_another_document": whole(CONTENT_TYPE, foreign),
        "digest_twice": whole(CONTENT_TYPE, MESSAGE_DIGEST, MESSAGE_DIGEST),
        "another_digest_first": whole(CONTENT_TYPE, foreign, MESSAGE_DIGEST),
        "another_digest_second": whole(CONTENT_TYPE, MESSAGE_DIGEST, foreign),
        "another_digest_with_long_type": whole(CONTENT_TYPE, long_type, MESSAGE_DIGEST),
        "digest_of_48_bytes": whole(CONTENT_TYPE, sha384),
        "two_values_in_one_digest": whole(CONTENT_TYPE, two_values),
        "digest_as_a_bit_string": whole(
            CONTENT_TYPE, MESSAGE_DIGEST.replace(b"\x04\x20", b"\x03\x20")
        ),
        "digest_under_another_type": whole(
            CONTENT_TYPE, MESSAGE_DIGEST.replace(OID_DIGEST, OID_DIGEST[:-1] + b"\x05")
        ),
        "digest_length_in_long_form": whole(
            CONTENT_TYPE, b"\x30\x81\x2f" + MESSAGE_DIGEST[2:], CERTIFICATE
        ),
        "certificate_length_in_long_form": whole(
            CONTENT_TYPE, MESSAGE_DIGEST, b"\x30\x81" + CERTIFICATE[1:]
        ),
        "outer_length_in_81": b"\x31\x81" + bytes([len(body) - 30]) + body[:-30],
        "outer_length_in_82": b"\x31\x82\x00" + bytes([len(body)]) + body,
        "outer_length_in_83": b"\x31\x83\x00\x00" + bytes([len(body)]) + body,
        "indefinite_length": b"\x31\x80" + body + b"\x00\x00",
        "128_bytes_under_the_indefinite_length": b"\x31\x80"
        + CONTENT_TYPE
        + MESSAGE_DIGEST
        + certificate_attribute(34),
        "128_bytes_of_an_attribute_under_it": whole(
            CONTENT_TYPE, MESSAGE_DIGEST, b"\x30\x80" + CERTIFICATE[2:15] + bytes(115)
        ),
        "tag_of_the_container": b"\xa0" + good[1:],
        "tag_of_a_sequence": b"\x30" + good[1:],
        "bytes_behind_the_set": good + b"\x00",
        "length_beyond_the_end": b"\x31" + bytes([good[1] + 1]) + good[2:],
        "one_byte_cut_off": good[:-1],
        "a_byte_behind_the_attributes": whole(CONTENT_TYPE, MESSAGE_DIGEST, b"\x30"),
        "an_attribute_beyond_the_end": whole(CONTENT_TYPE, MESSAGE_DIGEST, CERTIFICATE[:-1]),
        "an_attribute_without_a_type": whole(CONTENT_TYPE, MESSAGE_DIGEST, tlv(0x30, bytes(8))),
        "an_empty_attribute": whole(CONTENT_TYPE, MESSAGE_DIGEST, b"\x30\x00"),
        "digest_inside_another_attribute": whole(
            CONTENT_TYPE, tlv(0x30, bytes.fromhex("06032a0304") + tlv(0x31, MESSAGE_DIGEST))
        ),
    }


def seeded_prime(label: str) -> int:
    """The first 1024-bit prime after a number made of the label, with its two top bits set."""
    stretched = b"".join(hashlib.sha512(f"{label}/{i}".encode()).digest() for i in range(2))
    start = int.from_bytes(stretched, "big") | 3 << 1022 | 1
    for number in itertools.count(start, 2):
        if number % 65537 != 1 and all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7)):
            return number
    raise AssertionError


def rsa_key() -> rsa.RSAPrivateKey:
    """An RSA key that is the same in every run."""
    p, q = seeded_prime("fuqi golden p"), seeded_prime("fuqi golden q")
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(e=65537, n=p * q),
    )
    return numbers.private_key()


def p256_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key that is the same in every run."""
    return ec.derive_private_key(0xF001, ec.SECP256R1())


def encoded(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """The public key as the chain reads it."""
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public_key(spki)


def signed_p256(attributes: bytes) -> bytes:
    """Signature value and attributes, as CmsVerifier reads them."""
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    value = p256_key().sign(attributes, algorithm)
    return cms_signature(b"\x31", signature=value, key=bytes(64))[:64] + attributes


def unreduced(private: rsa.RSAPrivateKey) -> dict[str, str]:
    """A true signature with the modulus added: it opens to the same block, and still has 256 bytes."""
    modulus = private.public_key().public_numbers().n
    for number in itertools.count():
        message = b"message %d" % number
        value = private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        larger = int.from_bytes(value, "big") + modulus
        if larger < 2**2048:
            return {
                "digest": "0x" + hashlib.sha256(message).hexdigest(),
                "signature": "0x" + value.hex(),
                "larger": "0x" + larger.to_bytes(256, "big").hex(),
            }
    raise AssertionError


def vectors() -> dict[str, object]:
    """Everything that the file holds."""
    rsa_private = rsa_key()
    good = accepted()["as_our_pdfs_have_it"]
    value = rsa_private.sign(good, padding.PKCS1v15(), hashes.SHA256())
    return {
        "v": "fuqi/golden-cms/v1",
        "source": "tests/golden/cms/make_cms_vectors.py; keys from a fixed seed, worth nothing",
        "digest": "0x" + DIGEST.hex(),
        "p256_key": "0x" + encoded(p256_key()).hex(),
        "rsa_key": "0x" + encoded(rsa_private).hex(),
        "rsa_signature": "0x" + (value + good).hex(),
        "rsa_unreduced": unreduced(rsa_private),
        "accepted": [
            {"name": name, "signature": "0x" + signed_p256(attributes).hex()}
            for name, attributes in accepted().items()
        ],
        "refused": [
            {"name": name, "signature": "0x" + signed_p256(attributes).hex()}
            for name, attributes in refused().items()
        ],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE.name}\n")
