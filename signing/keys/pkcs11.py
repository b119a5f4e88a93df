"""A signer's own key in a token or HSM behind a PKCS#11 module: P-256 or RSA. It never leaves there.

SM2 has no standard PKCS#11 mechanism; tokens with one speak GM/T 0016 (SKF), which is not served.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pkcs11
from asn1crypto import core, keys
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters
from pkcs11.util.x509 import decode_x509_certificate

from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    UnavailableError,
)
from signing.certificates import certificate_spki
from signing.keys.algorithms import P256, kind_of
from signing.keys.p256 import der_from_raw

KINDS: Final = ("p256", "rsa-2048", "rsa-3072", "rsa-4096")
_OBJECTS_MAX: Final = 100
"""Objects of one label that are looked at; a token with more is not one person's."""


class TokenSigner:
    """One key pair of an open session. Use as a context manager: leaving it ends the session."""

    def __init__(self, session: Any, private: Any) -> None:
        self._session = session
        self._private = private
        self._id = bytes(private[Attribute.ID])
        self.public_spki = _public_spki(session, self._id)
        self.kind = kind_of(self.public_spki)

    @property
    def certificate_der(self) -> bytes | None:
        """The certificate on the token that is for this key."""
        wanted = {Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.ID: self._id}
        for item in _objects(self._session, wanted):
            der = bytes(item[Attribute.VALUE])
            if certificate_spki(der) == self.public_spki:
                return der
        return None

    def sign(self, data: bytes) -> bytes:
        """Signature over `data`, made inside the token.

        Raises:
            UnavailableError: `keys.token_failed`.
        """
        with _translated():
            if self.kind is P256:
                # Tokens have plain ECDSA over a digest; few hash by themselves.
                digest = hashlib.sha256(data).digest()
                return der_from_raw(self._private.sign(digest, mechanism=Mechanism.ECDSA))
            return bytes(self._private.sign(data, mechanism=Mechanism.SHA256_RSA_PKCS))

    def keep_certificate(self, certificate_der: bytes) -> None:
        """Store the certificate beside its key; one that is there already is not stored again.

        Raises:
            InputError: `keys.certificate_mismatch`.
            UnavailableError: `keys.token_failed`.
        """
        if certificate_spki(certificate_der) != self.public_spki:
            raise InputError(
                "this certificate is for another key", code="keys.certificate_mismatch"
            )
        if self.certificate_der == certificate_der:
            return
        with _translated():
            for item in _objects(
                self._session,
                {Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.ID: self._id},
            ):
                item.destroy()
            self._session.create_object(
                {
                    **decode_x509_certificate(certificate_der),
                    Attribute.TOKEN: True,
                    Attribute.LABEL: self._private[Attribute.LABEL],
                    Attribute.ID: self._id,
                }
            )


@contextmanager
def open_token(module: Path, *, token: str, pin: str, label: str) -> Iterator[TokenSigner]:
    """The key named `label` on the token named `token`.

    Args:
        module: the vendor's PKCS#11 library, e.g. `libsofthsm2.so`.

    Raises:
        NotFoundError: `keys.token_module`, `keys.token_not_found`, `keys.not_found`.
        ForbiddenError: `keys.pin_wrong`, `keys.pin_locked`.
        ConflictError: `keys.ambiguous`.
        InputError: `keys.kind`.
        UnavailableError: `keys.token_failed`.
    """
    with _session(module, token=token, pin=pin, write=True) as session:
        wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}
        found = _objects(session, wanted)
        if not found:
            raise NotFoundError("the token holds no key of this name", code="keys.not_found")
        if len(found) > 1:
            raise ConflictError("the token holds several keys of this name", code="keys.ambiguous")
        yield TokenSigner(session, found[0])


def make_token_key(module: Path, *, token: str, pin: str, label: str, kind: str) -> bytes:
    """Make a key pair inside the token, never to be extracted; returns its SubjectPublicKeyInfo.

    Raises:
        InputError: `keys.kind`.
        ConflictError: `keys.exists` (a key of this name is there).
        NotFoundError, ForbiddenError, UnavailableError: as `open_token`.
    """
    if kind not in KINDS:
        raise InputError(f"kinds of keys in a token: {', '.join(KINDS)}", code="keys.kind")
    with _session(module, token=token, pin=pin, write=True) as session:
        wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}
        if _objects(session, wanted):
            raise ConflictError("the token holds a key of this name", code="keys.exists")
        with _translated():
            template = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
            options: dict[str, Any] = {
                "store": True,
                "label": label,
                "id": secrets.token_bytes(16),
                "private_template": template,
            }
            if kind == "p256":
                curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
                parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
                _public, private = parameters.generate_keypair(**options)
            else:
                bits = int(kind.removeprefix("rsa-"))
                _public, private = session.generate_keypair(KeyType.RSA, bits, **options)
        return TokenSigner(session, private).public_spki


@contextmanager
def _session(module: Path, *, token: str, pin: str, write: bool) -> Iterator[Any]:
    try:
        library = pkcs11.lib(str(module))
    except (RuntimeError, pkcs11.PKCS11Error) as exc:
        raise NotFoundError(
            "this PKCS#11 module cannot be loaded; name the vendor's library",
            code="keys.token_module",
        ) from exc
    with _translated():
        try:
            found = library.get_token(token_label=token)
        except pkcs11.MultipleTokensReturned as exc:
            raise ConflictError("several tokens have this name", code="keys.ambiguous") from exc
        except pkcs11.NoSuchToken as exc:
            raise NotFoundError(
                "no token of this name is plugged in", code="keys.token_not_found"
            ) from exc
        session = found.open(rw=write, user_pin=pin)
    try:
        yield session
    finally:
        session.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the token in our own words."""
    try:
        yield
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as exc:
        raise ForbiddenError(
            "the token refuses this PIN; too many wrong ones lock it", code="keys.pin_wrong"
        ) from exc
    except pkcs11.PinLocked as exc:
        raise ForbiddenError(
            "the token is locked after too many wrong PINs; its issuer can unlock it",
            code="keys.pin_locked",
        ) from exc
    except pkcs11.PKCS11Error as exc:
        raise UnavailableError(
            "the token did not do it", code="keys.token_failed", reason=type(exc).__name__
        ) from exc


def _objects(session: Any, wanted: dict[Any, Any]) -> list[Any]:
    with _translated():
        found = []
        for item in session.get_objects(wanted):
            found.append(item)
            if len(found) >= _OBJECTS_MAX:
                break
        return found


def _public_spki(session: Any, identifier: bytes) -> bytes:
    wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: identifier}
    for public in _objects(session, wanted):
        with _translated():
            if public.key_type is KeyType.RSA:
                numbers = keys.RSAPublicKey(
                    {
                        "modulus": int.from_bytes(public[Attribute.MODULUS], "big"),
                        "public_exponent": int.from_bytes(public[Attribute.PUBLIC_EXPONENT], "big"),
                    }
                )
                return bytes(keys.PublicKeyInfo.wrap(numbers, "rsa").dump())
            if public.key_type is KeyType.EC:
                point = core.OctetString.load(public[Attribute.EC_POINT]).native
                algorithm = {
                    "algorithm": "ec",
                    "parameters": keys.ECDomainParameters.load(public[Attribute.EC_PARAMS]),
                }
                info = {"algorithm": algorithm, "public_key": keys.ECPointBitString(point)}
                return bytes(keys.PublicKeyInfo(info).dump())
    raise NotFoundError(
        "the token holds no public key beside this private key", code="keys.not_found"
    )
