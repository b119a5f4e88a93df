"""Judge an RFC 3161 time stamp over a digest of ours, offline, under pinned roots."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from ledger.core.errors import VerificationError
from ledger.core.report import Verdict
from signing.cms import STRONG_HASHES, check_container, read_timestamp
from signing.trust import Purpose, check_path

TOKEN_BYTES_MAX: Final = 64 * 1024
"""A token with its chain takes 3 KiB."""
MALFORMED: Final = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the parsers of ASN.1 and X.509 are known to raise on hostile bytes."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says, once its own signature holds.

    Attributes:
        time: aware UTC.
        trust: PASSED under a pinned root; INDETERMINATE where its root is not pinned.
        reason_en, reason_zh: why.
    """

    time: datetime
    trust: Verdict
    reason_en: str
    reason_zh: str


def check_token(token: bytes, *, imprint: bytes, roots: Sequence[bytes]) -> TokenFacts:
    """Prove that the holder of the token's certificate stamped `imprint` (SHA-256, 32 bytes).

    Raises:
        VerificationError: `timestamp.malformed`, `timestamp.imprint`, and the `cms.*` codes of
            `signing.cms`.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise VerificationError("the time stamp is too large", code="timestamp.malformed")
    stamp = read_timestamp(token)
    if stamp.imprint_algorithm != "sha256" or stamp.imprint != imprint:
        raise VerificationError("the time stamp is over something else", code="timestamp.imprint")
    container = stamp.container
    if container.digest_algorithm not in STRONG_HASHES or container.names_certificate is not True:
        raise VerificationError("a weak time stamp", code="timestamp.malformed")
    digest = hashlib.new(container.digest_algorithm, container.content).digest()
    check_container(container, digest=digest)
    found = check_path(
        container.certificate,
        others=container.certificates,
        roots=roots,
        at=stamp.time,
        purpose=Purpose.TIME_STAMPING,
    )
    return TokenFacts(
        time=stamp.time.astimezone(UTC),
        trust=found.verdict,
        reason_en=found.text_en,
        reason_zh=found.text_zh,
    )


def token_units(token: bytes) -> tuple[str, ...]:
    """Organisational units of the certificates in a token, unverified; empty if unreadable."""
    try:
        certificates = read_timestamp(token).container.certificates
    except VerificationError:
        return ()
    return tuple(unit for der in certificates for unit in units_of(der))


def units_of(der: bytes) -> tuple[str, ...]:
    """Organisational units in subject and issuer, where an authority labels itself; unverified."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = (certificate.subject, certificate.issuer)
        return tuple(
            str(one.value)
            for name in names
            for one in name.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        )
    except MALFORMED:
        # Whether it is a certificate at all is another check's finding.
        return ()
