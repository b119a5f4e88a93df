"""What flows reach outside themselves: one frozen value, made once by `api/compose.py`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from api.settings import Settings
from ledger.blobs import BlobStore
from ledger.note import NoteSigner
from ledger.vault import Vault
from signing.authorities import CertificateAuthority
from signing.identity import VerificationProvider
from signing.providers.revocation import ExternalOcsp
from signing.providers.timestamps import TimestampAuthority


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a flow may use besides its session.

    Attributes:
        number_index_key: key of the keyed digests that find duplicate identity numbers.
        former_ca_roots, former_tsa_roots: DER roots of authorities that were used here before: what
            they signed or stamped stays provable after another one took their place.
        ocsp: responders of an external authority, asked before each signature; None without one.
    """

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    readers: sessionmaker[Session]
    vault: Vault
    blobs: BlobStore
    authority: CertificateAuthority
    tsa: TimestampAuthority
    provider: VerificationProvider
    log_key: NoteSigner
    number_index_key: bytes
    former_ca_roots: tuple[bytes, ...] = ()
    former_tsa_roots: tuple[bytes, ...] = ()
    ocsp: ExternalOcsp | None = None
