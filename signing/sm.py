"""SM2 signatures with SM3 (GB/T 32918.2, GB/T 32905) through the system's libcrypto.

Invariants:
    - the signer's identity is always 1234567812345678 (GM/T 0009): OpenSSL's own default is empty, and
      signatures made with it fail everywhere else.
    - one encoding per signature and per key: strict DER, uncompressed point, nothing behind.
    - nothing is signed or verified before the answers known from GB/T 32918.5 came out right.

This implements the algorithms; it is no certified cryptographic module (商用密码管理条例).
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Sequence
from ctypes import byref, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from ledger.core.errors import InputError, UnavailableError, VerificationError
from signing import libcrypto

IDENTITY: Final = b"1234567812345678"
OID_CURVE: Final = "1.2.156.10197.1.301"
OID_SM3: Final = "1.2.156.10197.1.401"
OID_SM2_SM3: Final = "1.2.156.10197.1.501"
OID_SM2_SIGN: Final = "1.2.156.10197.1.301.1"
"""What GB/T 35275 writes as the algorithm of a signer; read, never written."""
ORDER: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
"""Order of the group (GB/T 32918.5, section 2)."""
SPKI_PREFIX: Final = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")
"""SubjectPublicKeyInfo of an uncompressed point on the recommended curve, up to its coordinates."""
SPKI_BYTES: Final = 91
SIGNATURE_BYTES_MAX: Final = 72
PKCS12_ROUNDS: Final = 100_000
"""Rounds of key derivation for a file under a password: some tens of milliseconds."""
_CHAIN_MAX: Final = 10


def sm3(data: bytes) -> bytes:
    """SM3 digest, 32 bytes."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def is_sm2_spki(public_spki: bytes) -> bool:
    """Whether this is an SM2 key in its one accepted form (the point itself is checked when used)."""
    return len(public_spki) == SPKI_BYTES and public_spki.startswith(SPKI_PREFIX)


def require_sm2() -> None:
    """Make sure that SM2 works here: library found, known answers right.

    Raises:
        UnavailableError: `sm2.unavailable`, `sm2.self_test`.
    """
    _checked_library()


def sm2_state() -> str:
    """`available`, or the code of what is wrong: for reports of what this machine can do."""
    try:
        require_sm2()
    except UnavailableError as exc:
        return exc.error_code
    return "available"


def verify_sm2(data: bytes, *, signature: bytes, public_spki: bytes) -> None:
    """Verify a DER signature over `data` under the standard identity.

    Raises:
        VerificationError: `signature.key_malformed`, `signature.encoding`, `signature.range`,
            `signature.mismatch`.
        UnavailableError: `sm2.unavailable`, `sm2.self_test`.
    """
    library = _checked_library()
    require_strict_signature(signature)
    if not _verify(library, data, signature, public_spki):
        raise VerificationError(
            "the signature was not made by this key over these bytes", code="signature.mismatch"
        )


def require_strict_signature(signature: bytes) -> None:
    """Refuse every encoding of (r, s) but the one DER allows.

    Raises:
        VerificationError: `signature.encoding`, `signature.range`.
    """
    try:
        r, s = decode_dss_signature(signature[: SIGNATURE_BYTES_MAX + 1])
        again = encode_dss_signature(r, s)
    except ValueError as exc:
        raise VerificationError("the signature is not DER", code="signature.encoding") from exc
    if again != signature:
        raise VerificationError("the signature is not strict DER", code="signature.encoding")
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise VerificationError("r or s is out of range", code="signature.range")


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """What a PKCS#12 file holds: an SM2 key, its certificate and the ones above it (DER)."""

    key: Sm2PrivateKey
    certificate: bytes | None
    chain: tuple[bytes, ...]


class Sm2PrivateKey:
    """A private key inside libcrypto; freed with this object."""

    def __init__(self, pointer: int) -> None:
        library = libcrypto.load()
        self._pointer = pointer
        self._finalizer = weakref.finalize(self, library.EVP_PKEY_free, pointer)
        self.public_spki = libcrypto.encoded(library.i2d_PUBKEY, pointer)
        if not is_sm2_spki(self.public_spki) or not library.EVP_PKEY_is_a(pointer, b"SM2"):
            raise InputError("this is no SM2 key", code="keys.key_type")

    @classmethod
    def generate(cls) -> Sm2PrivateKey:
        """A fresh key from the library's random source.

        Raises:
            UnavailableError: `sm2.unavailable`, `sm2.self_test`.
        """
        library = _checked_library()
        context = library.EVP_PKEY_CTX_new_from_name(None, b"SM2", None)
        made = c_void_p()
        try:
            if (
                not context
                or library.EVP_PKEY_keygen_init(context) <= 0
                or library.EVP_PKEY_generate(context, byref(made)) <= 0
            ):
                library.ERR_clear_error()
                raise UnavailableError("no SM2 key could be made", code="sm2.unavailable")
        finally:
            library.EVP_PKEY_CTX_free(context)
        assert made.value is not None
        return cls(made.value)

    @classmethod
    def from_der(cls, data: bytes) -> Sm2PrivateKey:
        """Read PKCS#8 or SEC 1.

        Raises:
            InputError: `keys.file_unreadable`, `keys.key_type`.
            UnavailableError: `sm2.unavailable`, `sm2.self_test`.
        """
        library = _checked_library()
        pointer = libcrypto.decoded(library.d2i_AutoPrivateKey, data)
        if pointer is None:
            raise InputError("this is no private key in DER", code="keys.file_unreadable")
        return cls(pointer)

    @classmethod
    def from_pkcs12(cls, data: bytes, password: str) -> OpenedFile:
        """Read a PKCS#12 file.

        Raises:
            InputError: `keys.file_unreadable` (wrong password or damaged), `keys.key_type`.
            UnavailableError: `sm2.unavailable`, `sm2.self_test`.
        """
        library = _checked_library()
        file = libcrypto.decoded(library.d2i_PKCS12, data)
        key, certificate, above = c_void_p(), c_void_p(), c_void_p()
        try:
            good = file is not None and library.PKCS12_parse(
                file, password.encode(), byref(key), byref(certificate), byref(above)
            )
        finally:
            library.PKCS12_free(file)
        if not good or not key.value:
            library.ERR_clear_error()
            raise InputError("wrong password, or no PKCS#12 file", code="keys.file_unreadable")
        # PKCS12_parse stacks the certificates from the last to the first.
        chain = _taken_from_stack(library, above.value)[::-1]
        der = _taken_certificate(library, certificate.value) if certificate.value else None
        return OpenedFile(key=cls(key.value), certificate=der, chain=tuple(chain))

    def sign(self, data: bytes) -> bytes:
        """SM2 over SM3 of identity, key and `data`, strict DER."""
        library = _checked_library()
        signature = _sign(library, self._pointer, data)
        # A fault between signing and here would otherwise leave the machine.
        verify_sm2(data, signature=signature, public_spki=self.public_spki)
        return signature

    def to_pkcs8(self) -> bytes:
        """PKCS#8 without a password; only for files that their mode protects."""
        library = libcrypto.load()
        info = library.EVP_PKEY2PKCS8(self._pointer)
        try:
            return libcrypto.encoded(library.i2d_PKCS8_PRIV_KEY_INFO, info)
        finally:
            library.PKCS8_PRIV_KEY_INFO_free(info)

    def to_pkcs12(
        self, password: str, *, name: bytes, certificate: bytes | None, chain: Sequence[bytes]
    ) -> bytes:
        """A PKCS#12 file under `password` (PBES2 with AES-256).

        Raises:
            InputError: `keys.certificate_mismatch`, `certificate.malformed`.
        """
        library = libcrypto.load()
        taken: list[int] = []
        stack = library.OPENSSL_sk_new_null()
        try:
            for der in (*([certificate] if certificate else []), *chain[:_CHAIN_MAX]):
                one = libcrypto.decoded(library.d2i_X509, der)
                if one is None:
                    raise InputError("this is no certificate", code="certificate.malformed")
                taken.append(one)
            for one in taken[1 if certificate else 0 :]:
                library.OPENSSL_sk_push(stack, one)
            file = library.PKCS12_create(
                password.encode(),
                name,
                self._pointer,
                taken[0] if certificate else None,
                stack,
                0,
                0,
                PKCS12_ROUNDS,
                PKCS12_ROUNDS,
                0,
            )
            if not file:
                library.ERR_clear_error()
                raise InputError(
                    "this certificate is for another key", code="keys.certificate_mismatch"
                )
            try:
                return libcrypto.encoded(library.i2d_PKCS12, file)
            finally:
                library.PKCS12_free(file)
        finally:
            library.OPENSSL_sk_free(stack)
            for one in taken:
                library.X509_free(one)


@functools.cache
def _checked_library() -> ctypes.CDLL:
    """The library, after the known-answer test.

    Raises:
        UnavailableError: `sm2.unavailable`, `sm2.self_test`.
    """
    library = libcrypto.load()
    if not _known_answers_right(library):
        raise UnavailableError(
            "SM2 is unavailable: this libcrypto does not give the answers of GB/T 32918.5",
            code="sm2.self_test",
        )
    return library


# GB/T 32918.5-2017, annex A: key, message and signature of the standard's example.
_KAT_MESSAGE: Final = b"message digest"
_KAT_SPKI: Final = SPKI_PREFIX + bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
_KAT_SIGNATURE: Final = encode_dss_signature(
    0xF5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3,
    0xB1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA,
)
_KAT_SM3: Final = bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")
"""SM3 of `abc` (GB/T 32905, annex A.1)."""


def _known_answers_right(library: ctypes.CDLL) -> bool:
    return (
        sm3(b"abc") == _KAT_SM3
        and _verify(library, _KAT_MESSAGE, _KAT_SIGNATURE, _KAT_SPKI)
        # A library that ignores the message or the identity would accept these.
        and not _verify(library, _KAT_MESSAGE + b".", _KAT_SIGNATURE, _KAT_SPKI)
        and not _verify(library, _KAT_MESSAGE, _KAT_SIGNATURE, _KAT_SPKI, identity=b"")
    )


def _sign(library: ctypes.CDLL, key: int, data: bytes) -> bytes:
    context, digest = _context(library, key, IDENTITY)
    try:
        length = c_size_t(SIGNATURE_BYTES_MAX)
        buffer = ctypes.create_string_buffer(SIGNATURE_BYTES_MAX)
        if (
            library.EVP_DigestSignInit(digest, None, library.EVP_sm3(), None, key) <= 0
            or library.EVP_DigestSign(digest, buffer, byref(length), data, len(data)) <= 0
        ):
            library.ERR_clear_error()
            raise UnavailableError("SM2 could not sign", code="sm2.unavailable")
        return buffer.raw[: length.value]
    finally:
        library.EVP_MD_CTX_free(digest)
        library.EVP_PKEY_CTX_free(context)


def _verify(
    library: ctypes.CDLL,
    data: bytes,
    signature: bytes,
    public_spki: bytes,
    *,
    identity: bytes = IDENTITY,
) -> bool:
    key = libcrypto.decoded(library.d2i_PUBKEY, public_spki) if is_sm2_spki(public_spki) else None
    if key is None:
        raise VerificationError(
            "not an SM2 key in SubjectPublicKeyInfo form", code="signature.key_malformed"
        )
    context, digest = _context(library, key, identity)
    try:
        return bool(
            library.EVP_DigestVerifyInit(digest, None, library.EVP_sm3(), None, key) == 1
            and library.EVP_DigestVerify(digest, signature, len(signature), data, len(data)) == 1
        )
    finally:
        library.ERR_clear_error()
        library.EVP_MD_CTX_free(digest)
        library.EVP_PKEY_CTX_free(context)
        library.EVP_PKEY_free(key)


def _context(library: ctypes.CDLL, key: int, identity: bytes) -> tuple[int, int]:
    """(key context with the identity set, digest context that uses it); the caller frees both."""
    context = library.EVP_PKEY_CTX_new(key, None)
    digest = library.EVP_MD_CTX_new()
    if not context or library.EVP_PKEY_CTX_set1_id(context, identity, len(identity)) <= 0:
        library.ERR_clear_error()
        library.EVP_MD_CTX_free(digest)
        library.EVP_PKEY_CTX_free(context)
        raise UnavailableError("this libcrypto has no SM2", code="sm2.unavailable")
    library.EVP_MD_CTX_set_pkey_ctx(digest, context)
    return context, digest


def _taken_certificate(library: ctypes.CDLL, pointer: int) -> bytes:
    try:
        return libcrypto.encoded(library.i2d_X509, pointer)
    finally:
        library.X509_free(pointer)


def _taken_from_stack(library: ctypes.CDLL, stack: int | None) -> list[bytes]:
    if not stack:
        return []
    try:
        count = library.OPENSSL_sk_num(stack)
        return [
            _taken_certificate(library, library.OPENSSL_sk_value(stack, index))
            for index in range(count)
        ]
    finally:
        library.OPENSSL_sk_free(stack)
