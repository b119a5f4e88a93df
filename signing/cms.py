"""Cryptographic message syntax as PAdES uses it: build the signed attributes, assemble, take apart.

Source: RFC 5652 (CMS), RFC 5035 (signing-certificate-v2), RFC 3161 (time stamps), EN 319 142-1.
Written on asn1crypto alone, so that it is a second opinion beside pyHanko and not an echo of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from asn1crypto import algos, cms, core, tsp, x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ledger.core.errors import UnavailableError, VerificationError
from signing import parsed
from signing.keys.algorithms import kind_of
from signing.parsed import ASN1_ERRORS
from signing.sm import OID_SM2_SIGN, OID_SM2_SM3, OID_SM3, sm3, verify_sm2

CMS_MAX: Final = 2 * 1024 * 1024
"""Bytes of one signature container; with certificates and a time stamp it has 5 to 20 kB."""
CERTIFICATES_MAX: Final = 50
DER_DEPTH_MAX: Final = 40
"""Nesting of a container with time stamp and certificates stays below twenty."""
STRONG_HASHES: Final = frozenset({"sha256", "sha384", "sha512", "sm3"})
_HASHES: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


_SEQUENCE, _SET, _OCTETS = 0x30, 0x31, 0x04
_CONTENT_TYPE: Final = bytes(cms.CMSAttributeType("content_type").dump())
_MESSAGE_DIGEST: Final = bytes(cms.CMSAttributeType("message_digest").dump())
_SIGNING_CERTIFICATE: Final = bytes(cms.CMSAttributeType("signing_certificate_v2").dump())
_DATA: Final = bytes(cms.ContentType("data").dump())


@dataclass(frozen=True, slots=True)
class SignedContainer:
    """One SignedData with exactly one signer, taken apart; nothing is verified yet.

    Attributes:
        signed_attrs: DER of the SET that the signer signed.
        message_digest: value of that attribute.
        content_type: of the encapsulated content, e.g. `data` or `tst_info`.
        content: the encapsulated content; b"" for a detached signature.
        names_certificate: True or False where a signing-certificate attribute was compared with the
            certificate, None where there is none.
        timestamp: DER of the signature time stamp, or b"".
        loose: unprotected parts that nothing explains; an honest producer leaves none.
    """

    certificate: bytes
    certificates: tuple[bytes, ...]
    digest_algorithm: str
    signature_hash: str
    signature_algorithm: str
    signed_attrs: bytes
    signature: bytes
    message_digest: bytes
    content_type: str
    content: bytes
    names_certificate: bool | None
    timestamp: bytes
    loose: tuple[str, ...]
    salt_length: int = 0


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """A time-stamp token, taken apart."""

    time: datetime
    imprint_algorithm: str
    imprint: bytes
    policy: str
    serial: int
    container: SignedContainer


def signed_attributes(*, document_digest: bytes, certificate: bytes) -> bytes:
    """DER of the attributes a device signs: content type, message digest, signing certificate.

    The signing time is left out: PAdES forbids the attribute, the time stamp proves the time.

    Args:
        document_digest: SHA-256 over the byte range (SM3 for an SM2 key), 32 bytes.
        certificate: DER.
    """
    assert len(document_digest) == 32, "SHA-256 or SM3 digest"
    # SHA-256 is the default of the certificate's hash and left out, as DER demands. Written by hand:
    # asn1crypto needs milliseconds for these 150 bytes. Sorted as the elements of a set are.
    cert_id = _tlv(_SEQUENCE, _tlv(_OCTETS, hashlib.sha256(certificate).digest()))
    attributes = (
        _tlv(_SEQUENCE, _CONTENT_TYPE, _tlv(_SET, _DATA)),
        _tlv(_SEQUENCE, _MESSAGE_DIGEST, _tlv(_SET, _tlv(_OCTETS, document_digest))),
        _tlv(
            _SEQUENCE,
            _SIGNING_CERTIFICATE,
            _tlv(_SET, _tlv(_SEQUENCE, _tlv(_SEQUENCE, cert_id))),
        ),
    )
    return _tlv(_SET, *attributes)


def _tlv(tag: int, *parts: bytes) -> bytes:
    """A DER value of these parts."""
    body = b"".join(parts)
    return _header(tag, len(body)) + body


def assemble(
    *,
    signed_attrs: bytes,
    signature: bytes,
    certificate: bytes,
    chain: Sequence[bytes],
    timestamp: bytes,
) -> bytes:
    """DER ContentInfo around a signature of the certificate's key: P-256, RSA or SM2 with SM3.

    Raises:
        InputError: `keys.kind`.
        VerificationError: `cms.malformed`.
    """
    with _parsing():
        signer = x509.Certificate.load(certificate)
        kind = kind_of(signer.public_key.dump())
        digest_algorithm = algos.DigestAlgorithm({"algorithm": kind.digest_oid})
        info: dict[str, Any] = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                name="issuer_and_serial_number",
                value=cms.IssuerAndSerialNumber(
                    {"issuer": signer.issuer, "serial_number": signer.serial_number}
                ),
            ),
            "digest_algorithm": digest_algorithm,
            "signed_attrs": cms.CMSAttributes.load(signed_attrs),
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": kind.signature_oid}),
            "signature": signature,
        }
        if timestamp:
            token = cms.ContentInfo.load(timestamp)
            info["unsigned_attrs"] = [
                cms.CMSAttribute({"type": "signature_time_stamp_token", "values": [token]})
            ]
        data = cms.SignedData(
            {
                "version": "v1",
                "digest_algorithms": [digest_algorithm],
                "encap_content_info": {"content_type": "data"},
                "certificates": [
                    cms.CertificateChoices(name="certificate", value=x509.Certificate.load(der))
                    for der in dict.fromkeys((certificate, *chain))
                ],
                "signer_infos": [cms.SignerInfo(info)],
            }
        )
        return bytes(cms.ContentInfo({"content_type": "signed_data", "content": data}).dump())


def read_container(padded: bytes) -> SignedContainer:
    """Take a signature container apart; zero padding behind it is allowed, anything else is not.

    Raises:
        VerificationError: `cms.empty`, `cms.too_large`, `cms.malformed`, `cms.trailing_bytes`,
            `cms.signer_count`, `cms.no_signed_attributes`, `cms.no_certificate`,
            `cms.foreign_certificates`, `cms.algorithm`.
    """
    if not padded.strip(b"\x00"):
        raise VerificationError("the signature is empty", code="cms.empty")
    if len(padded) > CMS_MAX:
        raise VerificationError("the signature is too large", code="cms.too_large")
    with _parsing():
        der, length = to_der(padded)
        if padded[length:].strip(b"\x00"):
            raise VerificationError(
                "bytes stand behind the signature container", code="cms.trailing_bytes"
            )
        info = cms.ContentInfo.load(der, strict=True)
        if info["content_type"].native != "signed_data":
            raise VerificationError("the container holds no signed data", code="cms.malformed")
        return _take_apart(info, rewritten=der != padded[:length])


def read_timestamp(der: bytes) -> TimeStamp:
    """Take a time-stamp token apart.

    Raises:
        VerificationError: as `read_container`.
    """
    container = read_container(der)
    with _parsing():
        if container.content_type != "tst_info":
            raise VerificationError("this is no time-stamp token", code="cms.malformed")
        info = tsp.TSTInfo.load(container.content, strict=True)
        imprint = info["message_imprint"]
        return TimeStamp(
            time=info["gen_time"].native,
            imprint_algorithm=digest_name(imprint["hash_algorithm"]),
            imprint=bytes(imprint["hashed_message"].native),
            policy=str(info["policy"].dotted),
            serial=int(info["serial_number"].native),
            container=container,
        )


def check_container(container: SignedContainer, *, digest: bytes) -> None:
    """Prove that the signer's key signed attributes that name this digest and this certificate.

    Raises:
        VerificationError: `cms.digest_mismatch`, `cms.wrong_certificate`, `cms.algorithm`,
            `cms.signature_invalid`, `cms.malformed`.
    """
    if container.message_digest != digest:
        raise VerificationError(
            "the digest in the signature is not that of the bytes", code="cms.digest_mismatch"
        )
    if container.names_certificate is False:
        raise VerificationError(
            "the signed attributes name another certificate", code="cms.wrong_certificate"
        )
    with _parsing():
        spki = parsed.certificate(container.certificate).public_key.dump()
        verify_signature(
            container.signed_attrs,
            signature=container.signature,
            spki=spki,
            algorithm=container.signature_algorithm,
            hash_name=container.signature_hash,
            salt_length=container.salt_length,
        )


def verify_signature(
    data: bytes,
    *,
    signature: bytes,
    spki: bytes,
    algorithm: str,
    hash_name: str,
    salt_length: int = 0,
) -> None:
    """Verify one signature over `data`.

    Args:
        algorithm: `rsassa_pkcs1v15`, `rsassa_pss`, `ecdsa`, `ed25519` or `sm2`.

    Raises:
        VerificationError: `cms.algorithm`, `cms.signature_invalid`.
    """
    if algorithm == "sm2":
        _verify_sm2(data, signature=signature, spki=spki, hash_name=hash_name)
        return
    maker = _HASHES.get(hash_name)
    try:
        key = load_der_public_key(spki)
        if algorithm == "ed25519" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif maker is None:
            raise VerificationError("unknown hash algorithm", code="cms.algorithm", name=hash_name)
        elif algorithm == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(maker()))
        elif algorithm == "rsassa_pkcs1v15" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), maker())
        elif algorithm == "rsassa_pss" and isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(maker()), salt_length)
            key.verify(signature, data, pss, maker())
        else:
            raise VerificationError(
                "unsupported signature algorithm", code="cms.algorithm", name=algorithm
            )
    except InvalidSignature as exc:
        raise VerificationError(
            "the key of this certificate did not make this signature", code="cms.signature_invalid"
        ) from exc
    except (UnsupportedAlgorithm, ValueError, TypeError) as exc:
        raise VerificationError("the key cannot be used", code="cms.algorithm") from exc


def _verify_sm2(data: bytes, *, signature: bytes, spki: bytes, hash_name: str) -> None:
    if hash_name != "sm3":
        raise VerificationError("SM2 signs SM3 digests only", code="cms.algorithm", name=hash_name)
    try:
        verify_sm2(data, signature=signature, public_spki=spki)
    except UnavailableError as exc:
        # Not judged is not valid: the report says so instead of calling the signature forged.
        raise VerificationError(exc.message, code="cms.algorithm", reason=exc.error_code) from exc
    except VerificationError as exc:
        raise VerificationError(
            "the key of this certificate did not make this signature", code="cms.signature_invalid"
        ) from exc


def to_der(data: bytes) -> tuple[bytes, int]:
    """Rewrite the first BER value of `data` with definite, minimal lengths; and its length in `data`.

    asn1crypto reads indefinite lengths too, but then takes exponential time to encode anew.
    Strings in pieces become one; the order within sets is left as it is.

    Raises:
        ValueError: not BER, or nested deeper than `DER_DEPTH_MAX`.
    """
    written_well = _der_end(data)
    if written_well:
        return data[:written_well], written_well
    encoded, end, _tag = _rewrite(data, 0, len(data), 0)
    return encoded, end


def _der_end(data: bytes) -> int:
    """Where the first value ends if `_rewrite` would change nothing of it, else 0; most containers are so."""
    ends: list[int] = []
    at, limit = 0, len(data)
    while at + 2 <= limit:
        tag, length, start = data[at], data[at + 1], at + 2
        if length >= 0x80:
            count = length & 0x7F
            start += count
            if not 1 <= count <= 4 or start > limit or not data[at + 2]:
                return 0
            length = int.from_bytes(data[at + 2 : start], "big")
            if length < 0x80:
                return 0
        end = start + length
        if end > limit or tag & 0x1F == 0x1F or tag == 0x24 or len(ends) > DER_DEPTH_MAX:
            return 0
        if tag & 0x20 and length:
            ends.append(end)
            at, limit = start, end
            continue
        at = end
        while ends and at == ends[-1]:
            ends.pop()
        if not ends:
            return at
        limit = ends[-1]
    return 0


def _rewrite(data: bytes, position: int, limit: int, depth: int) -> tuple[bytes, int, int]:
    """(DER of the value at `position`, offset behind it, its tag)."""
    if depth > DER_DEPTH_MAX or position + 2 > limit or data[position] & 0x1F == 0x1F:
        raise ValueError("not BER that is read here")
    tag, length, start = data[position], data[position + 1], position + 2
    if length > 0x80:
        count = length & 0x7F
        start += count
        if count > 4 or start > limit:
            raise ValueError("length of a length")
        length = int.from_bytes(data[position + 2 : start], "big")
    elif length == 0x80 and not tag & 0x20:
        raise ValueError("primitive value of indefinite length")
    endless = data[position + 1] == 0x80
    end = limit if endless else start + length
    if end > limit:
        raise ValueError("value beyond the end")
    if not tag & 0x20:
        return _header(tag, length) + data[start:end], end, tag
    parts: list[bytes] = []
    at = start
    while at < end and not (endless and data[at : at + 2] == b"\x00\x00"):
        part, at, inner = _rewrite(data, at, end, depth + 1)
        # The pieces of a string are joined, so that only their values remain.
        parts.append(_value(part) if tag == 0x24 and inner == 0x04 else part)
    if endless:
        if data[at : at + 2] != b"\x00\x00":
            raise ValueError("end of contents is missing")
        at += 2
    body = b"".join(parts)
    return _header(0x04 if tag == 0x24 else tag, len(body)) + body, at, 0x04 if tag == 0x24 else tag


def _header(tag: int, length: int) -> bytes:
    if length < 0x80:
        return bytes((tag, length))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size


def _value(encoded: bytes) -> bytes:
    first = encoded[1]
    return encoded[2 + (first & 0x7F if first & 0x80 else 0) :]


def _take_apart(info: cms.ContentInfo, *, rewritten: bool) -> SignedContainer:
    data = info["content"]
    signers = data["signer_infos"]
    if len(signers) != 1:
        raise VerificationError("there is not exactly one signer", code="cms.signer_count")
    signer = signers[0]
    attributes = _attributes(signer["signed_attrs"])
    digests = attributes.get("message_digest", [])
    if len(digests) != 1 or len(attributes.get("content_type", [])) != 1:
        raise VerificationError(
            "the signature has no signed attributes", code="cms.no_signed_attributes"
        )
    certificates = _certificates(data)
    certificate = _signer_certificate(signer["sid"], certificates)
    encapsulated = data["encap_content_info"]
    content_type = str(encapsulated["content_type"].native)
    if attributes["content_type"][0].native != content_type:
        raise VerificationError("the content type was changed", code="cms.malformed")
    content = encapsulated["content"]
    algorithm = signer["signature_algorithm"]
    name = _algorithm_name(algorithm)
    unsigned = _attributes(signer["unsigned_attrs"], repeatable=True)
    tokens = unsigned.get("signature_time_stamp_token", [])
    salt = _salt_length(algorithm, name)
    return SignedContainer(
        certificate=certificate,
        certificates=tuple(certificates),
        digest_algorithm=digest_name(signer["digest_algorithm"]),
        signature_hash="" if name == "ed25519" else str(_signature_hash(signer)),
        signature_algorithm=name,
        signed_attrs=bytes(signer["signed_attrs"].untag().dump()),
        signature=bytes(signer["signature"].native),
        message_digest=bytes(digests[0].native),
        content_type=content_type,
        content=b""
        if content.native is None
        else bytes(content.contents if content_type == "data" else content.parsed.dump()),
        names_certificate=_names_certificate(attributes, certificate),
        timestamp=bytes(tokens[0].dump()) if tokens else b"",
        loose=_loose_parts(data, signer, unsigned, rewritten=rewritten),
        salt_length=salt,
    )


def signature_names(algorithm: Any) -> tuple[str, str, int]:
    """(algorithm, hash, salt length) of an asn1crypto signature algorithm, for `verify_signature`.

    Raises:
        VerificationError: `cms.algorithm`.
        ValueError: the algorithm names no hash.
    """
    name = _algorithm_name(algorithm)
    if name == "sm2":
        return name, "sm3", 0
    hash_name = "" if name == "ed25519" else str(algorithm.hash_algo)
    return name, hash_name, _salt_length(algorithm, name)


def digest_name(algorithm: Any) -> str:
    """The hashlib name of an asn1crypto digest algorithm; asn1crypto has no word for SM3."""
    return "sm3" if algorithm["algorithm"].dotted == OID_SM3 else str(algorithm["algorithm"].native)


def _salt_length(algorithm: Any, name: str) -> int:
    return int(algorithm["parameters"]["salt_length"].native) if name == "rsassa_pss" else 0


def _algorithm_name(algorithm: Any) -> str:
    if algorithm["algorithm"].dotted in {OID_SM2_SM3, OID_SM2_SIGN}:
        return "sm2"
    try:
        return str(algorithm.signature_algo)
    except ValueError as exc:
        raise VerificationError(
            "the signature algorithm is not known here", code="cms.algorithm"
        ) from exc


def _signature_hash(signer: cms.SignerInfo) -> str:
    """Plain `ecdsa` or `rsassa_pkcs1v15` names no hash: the digest algorithm of the signer counts."""
    try:
        return signature_names(signer["signature_algorithm"])[1]
    except ValueError:
        return digest_name(signer["digest_algorithm"])


def _attributes(attributes: Any, *, repeatable: bool = False) -> dict[str, list[Any]]:
    """Type -> values. A signed type given twice is refused: readers would choose differently."""
    found: dict[str, list[Any]] = {}
    if isinstance(attributes, core.Void):
        return found
    for attribute in attributes:
        kind = str(attribute["type"].native)
        if kind in found and not repeatable:
            raise VerificationError("an attribute is given twice", code="cms.malformed")
        found.setdefault(kind, []).extend(attribute["values"])
    return found


def _certificates(data: cms.SignedData) -> list[bytes]:
    if isinstance(data["certificates"], core.Void):
        return []
    found = [bytes(c.chosen.dump()) for c in data["certificates"] if c.name == "certificate"]
    if len(found) > CERTIFICATES_MAX:
        raise VerificationError("too many certificates", code="cms.too_large")
    return found


def _signer_certificate(sid: cms.SignerIdentifier, certificates: Sequence[bytes]) -> bytes:
    for der in certificates:
        certificate = parsed.certificate(der)
        if sid.name == "issuer_and_serial_number":
            same = (
                certificate.serial_number == sid.chosen["serial_number"].native
                and certificate.issuer.dump() == sid.chosen["issuer"].dump()
            )
        else:
            same = certificate.key_identifier == sid.chosen.native
        if same:
            return der
    if certificates:
        # Left out is another matter: here others stand in the place of the one that signed.
        raise VerificationError(
            "the certificates in the signature are not those of its signer",
            code="cms.foreign_certificates",
        )
    raise VerificationError(
        "the certificate of the signer is not in the signature", code="cms.no_certificate"
    )


def _names_certificate(attributes: dict[str, list[Any]], certificate: bytes) -> bool | None:
    if "signing_certificate_v2" in attributes:
        first = attributes["signing_certificate_v2"][0]["certs"][0]
        name = str(first["hash_algorithm"]["algorithm"].native)
    elif "signing_certificate" in attributes:
        first, name = attributes["signing_certificate"][0]["certs"][0], "sha1"
    else:
        return None
    if name == OID_SM3:
        return bytes(first["cert_hash"].native) == sm3(certificate)
    if name not in _HASHES:
        return False
    return bytes(first["cert_hash"].native) == hashlib.new(name, certificate).digest()


def _loose_parts(
    data: cms.SignedData, signer: cms.SignerInfo, unsigned: dict[str, Any], *, rewritten: bool
) -> tuple[str, ...]:
    """Parts that the signature does not protect and that could hold other bytes unnoticed."""
    loose = []
    digest = signer["digest_algorithm"]
    names = [item["algorithm"].native for item in data["digest_algorithms"]]
    if names != [digest["algorithm"].native]:
        loose.append("digest_algorithms")
    if any(
        item["parameters"].dump() not in {b"", b"\x05\x00"}
        for item in (digest, *data["digest_algorithms"])
    ):
        loose.append("digest_parameters")
    by_key_id = signer["sid"].name != "issuer_and_serial_number"
    if signer["version"].native != ("v3" if by_key_id else "v1"):
        loose.append("signer_version")
    plain = data["encap_content_info"]["content_type"].native == "data"
    if data["version"].native != ("v3" if by_key_id or not plain else "v1"):
        loose.append("version")
    if not isinstance(data["crls"], core.Void):
        loose.append("crls")
    if not isinstance(data["certificates"], core.Void) and any(
        choice.name != "certificate" for choice in data["certificates"]
    ):
        loose.append("certificate_kinds")
    if set(unsigned) - {"signature_time_stamp_token"}:
        loose.append("unsigned_attributes")
    if len(unsigned.get("signature_time_stamp_token", [None])) != 1:
        loose.append("time_stamps")
    if rewritten:
        loose.append("encoding")
    return tuple(loose)


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except ASN1_ERRORS as exc:
        raise VerificationError(
            "the signature container is malformed", code="cms.malformed"
        ) from exc
