"""A throwaway certificate authority and time-stamp authority with a fixed time; tests and demo only.

Every name made here is invented and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from signing.ca import BuiltInAuthority, CertificateSubject, IssuedCertificate
from signing.keys.device import DeviceKey
from signing.tsa import BuiltInTimestampAuthority

FIXED_TIME: Final = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Signer:
    """An invented signer: a device key with its certificate."""

    key: DeviceKey
    certificate: IssuedCertificate


@dataclass(frozen=True, slots=True)
class ThrowawayPki:
    """Real authorities in a folder that will be deleted."""

    authority: BuiltInAuthority
    tsa: BuiltInTimestampAuthority
    at: datetime

    def signer(
        self,
        name: str = "张三（虚构）",
        *,
        organisation: str | None = "示例捐赠企业（虚构）",
        reference: str | None = None,
    ) -> Signer:
        """A fresh key certified for an invented person."""
        subject = CertificateSubject(
            common_name=name, organisation=organisation, reference=reference
        )
        key = DeviceKey.create()
        issued = self.authority.issue(key.csr(subject), subject=subject, at=self.at)
        key.certificate_der, key.chain = issued.der, issued.chain
        return Signer(key=key, certificate=issued)

    def stamp(self, imprint: bytes) -> bytes:
        """A time-stamp token at the fixed time over a SHA-256 imprint."""
        return self.tsa.stamp(imprint, at=self.at)


def throwaway_pki(folder: Path, *, at: datetime = FIXED_TIME) -> ThrowawayPki:
    """A certificate authority and a time-stamp authority under `folder`, both starting at `at`."""
    return ThrowawayPki(
        authority=BuiltInAuthority.create(folder / "ca", at=at),
        tsa=BuiltInTimestampAuthority.create(folder / "tsa", at=at),
        at=at,
    )
