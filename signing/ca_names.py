"""Whom a certificate names, and which texts may stand in a name."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ledger.core.errors import InputError

NAME_CHARS_MAX: Final = 64
"""Upper bound of X.520. Libraries count a common name's bytes, so there it bounds the UTF-8 form:
21 Chinese characters; a longer name of an organisation goes into `organisation`."""


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """Whom a certificate names.

    Attributes:
        common_name: the natural person, or the organisation itself, as checked; 1..64 bytes UTF-8.
        organisation: the organisation the person acts for, or None; 1..64 characters.
        reference: random id of the person, tells namesakes apart; never a number of theirs.
        identity_commitment: 32 bytes `commitment(salt, checked identity)`, or None.
        country: ISO 3166 alpha-2.
    """

    common_name: str
    organisation: str | None = None
    reference: str | None = None
    identity_commitment: bytes | None = None
    country: str = "CN"


def subject_name(subject: CertificateSubject) -> x509.Name:
    """The distinguished name of a subject.

    Raises:
        InputError: `ca.subject_name`, `ca.subject_commitment`.
    """
    if subject.identity_commitment is not None and len(subject.identity_commitment) != 32:
        raise InputError("the identity commitment is 32 bytes", code="ca.subject_commitment")
    if not (len(subject.country) == 2 and subject.country.isascii() and subject.country.isupper()):
        raise InputError("country is two capital letters", code="ca.subject_name")
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, subject.country)]
    if subject.organisation is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, name_text(subject.organisation)))
    if subject.reference is not None:
        # Not the serialNumber attribute: its PrintableString has no underscore, which our ids have.
        parts.append(x509.NameAttribute(NameOID.USER_ID, name_text(subject.reference)))
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name_text(subject.common_name)))
    return x509.Name(parts)


def name_text(text: str) -> str:
    """`text` if it can stand in a name: 1..64 visible characters, no edge spaces, no controls.

    Raises:
        InputError: `ca.subject_name`.
    """
    # Controls, direction marks, surrogates and line separators could make a name read as another.
    hidden = any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
    if not 1 <= len(text) <= NAME_CHARS_MAX or hidden or text != text.strip():
        raise InputError(
            f"a name has 1 to {NAME_CHARS_MAX} visible characters", code="ca.subject_name"
        )
    return text


def common_name_text(text: str) -> str:
    """`text` if it can be a common name.

    Raises:
        InputError: `ca.subject_name`.
    """
    if len(name_text(text).encode()) > NAME_CHARS_MAX:
        raise InputError(
            f"a common name takes at most {NAME_CHARS_MAX} bytes", code="ca.subject_name"
        )
    return text
