"""What a flow needs of a certificate authority, and the two built-in ones behind one face."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from ledger.core.errors import NotFoundError
from signing.ca import LABEL_EN, LABEL_ZH, BuiltInAuthority, IssuedCertificate, requested_spki
from signing.ca_names import CertificateSubject
from signing.keys.algorithms import SM2, kind_of
from signing.sm import is_sm2_spki, require_sm2


class CertificateAuthority(Protocol):
    """Issues and revokes certificates of parties."""

    @property
    def label_en(self) -> str:
        """What it is, as certificates and reports say it."""

    @property
    def label_zh(self) -> str:
        """The same in Chinese."""

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Its roots, DER."""

    def issue(
        self, csr_der: bytes, *, subject: CertificateSubject, at: datetime, days: int = 365
    ) -> IssuedCertificate:
        """Certify the key of a request for a subject that the caller has checked."""

    def issued_for(self, public_spki: bytes) -> tuple[IssuedCertificate, ...]:
        """Every certificate of this key that is known here, oldest first."""

    def revoke(self, serial_hex: str, *, at: datetime, reason: str) -> None:
        """Revoke for good; the same revocation again changes nothing."""

    def crls(self, *, at: datetime) -> tuple[bytes, ...]:
        """Current revocation lists at hand, DER; nothing is fetched."""

    def refresh(self, *, at: datetime) -> None:
        """Fetch what is stale, outside any transaction; an outage leaves what there is."""


class BuiltInAuthorities:
    """A P-256 root for P-256 and RSA keys, and an SM2 root for SM2 keys where SM2 works."""

    label_en = LABEL_EN
    label_zh = LABEL_ZH

    def __init__(self, main: BuiltInAuthority, *, national: BuiltInAuthority | None) -> None:
        """The authority for P-256 and RSA, and the one for SM2, or None where SM2 is unavailable."""
        self.main = main
        self.national = national

    @property
    def all(self) -> tuple[BuiltInAuthority, ...]:
        """Those that there are."""
        return (self.main,) if self.national is None else (self.main, self.national)

    @property
    def root_der(self) -> bytes:
        """Root of the main authority."""
        return self.main.root_der

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Every root."""
        return tuple(one.root_der for one in self.all)

    def issue(
        self, csr_der: bytes, *, subject: CertificateSubject, at: datetime, days: int = 365
    ) -> IssuedCertificate:
        """As `BuiltInAuthority.issue`, by the authority for this kind of key.

        Raises:
            UnavailableError: `sm2.unavailable`, `sm2.self_test`.
        """
        if kind_of(requested_spki(csr_der)) is not SM2:
            return self.main.issue(csr_der, subject=subject, at=at, days=days)
        require_sm2()
        assert self.national is not None, "SM2 works, so its authority was opened"
        return self.national.issue(csr_der, subject=subject, at=at, days=days)

    def issued_for(self, public_spki: bytes) -> tuple[IssuedCertificate, ...]:
        """Every certificate of this key, oldest first."""
        if not is_sm2_spki(public_spki):
            return self.main.issued_for(public_spki)
        return () if self.national is None else self.national.issued_for(public_spki)

    def revoke(self, serial_hex: str, *, at: datetime, reason: str) -> None:
        """Revoke at whichever issued it.

        Raises:
            NotFoundError: `ca.serial_unknown`.
            InputError: `ca.revocation_reason`.
            ConflictError: `ca.already_revoked`.
        """
        for one in self.all:
            if one.issued(serial_hex):
                one.revoke(serial_hex, at=at, reason=reason)
                return
        raise NotFoundError("no such certificate here", code="ca.serial_unknown")

    def revoked_at(self, serial_hex: str) -> datetime | None:
        """When a certificate was revoked, or None."""
        for one in self.all:
            if one.issued(serial_hex):
                return one.revoked_at(serial_hex)
        return None

    def crl(self, *, at: datetime) -> bytes:
        """The main authority's list."""
        return self.main.published_crl(at=at)

    def crls(self, *, at: datetime) -> tuple[bytes, ...]:
        """Every list."""
        return tuple(one.published_crl(at=at) for one in self.all)

    def refresh(self, *, at: datetime) -> None:
        """Nothing to fetch."""
