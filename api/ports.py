"""What flows reach outside themselves: one frozen value, made once by `api/compose.py`."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from api.flows.live_desk import LiveDesk
from api.settings import Settings
from ledger.blobs import BlobStore
from ledger.note import NoteSigner
from ledger.vault import Vault
from signing.authorities import CertificateAuthority
from signing.identity import VerificationProvider
from signing.identity_policy import TRIAL, LevelPolicy
from signing.providers.identity_messages import Messenger
from signing.providers.revocation import ExternalOcsp
from signing.providers.timestamps import TimestampAuthority
from signing.seal_object import Maker


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a flow may use besides its session.

    Attributes:
        number_index_key: key of the keyed digests that find duplicate identity numbers.
        former_ca_roots, former_tsa_roots: DER roots of authorities that were used here before: what
            they signed or stamped stays provable after another one took their place.
        ocsp: responders of an external authority, asked before each signature; None without one.
        seal_maker: signs seals; None with an authority from outside for which none is set.
        levels: which real-name level and kind of authority an agreement needs.
        live: item classes of the living market that this process holds in memory.
        messenger: carries codes to telephones and mailboxes; None where nothing does.
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
    messenger: Messenger | None = None
    levels: LevelPolicy = TRIAL
    seal_maker: Maker | None = None
    live: LiveDesk = field(default_factory=LiveDesk)

    def keyed_digest(self, text: str) -> str:
        """Finds equal values without keeping them: HMAC-SHA256 under the key of the number index."""
        return hmac.new(self.number_index_key, text.encode("utf-8"), sha256).hexdigest()
