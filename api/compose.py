"""Composition: settings in, ports out. The only place that knows which adapter is used."""

from __future__ import annotations

from datetime import datetime

from api.ports import Ports
from api.settings import Settings
from ledger.blobs import FileBlobs
from ledger.chain import ChainPort
from ledger.core.errors import UnavailableError
from ledger.embedded_chain import open_embedded_chain
from ledger.note import NoteSigner
from ledger.store import make_engine, migrate, readers, sessions
from ledger.vault import FileKeyProvider, Vault
from ledger.web3_chain import open_json_rpc_chain
from signing.ca import BuiltInAuthority
from signing.identity import MockProvider
from signing.tsa import BuiltInTimestampAuthority


def open_ports(settings: Settings, *, at: datetime) -> Ports:
    """Open (and at first start make) everything but the chain.

    Raises:
        UnavailableError: `storage.unavailable` where the home folder cannot be written, and the codes of
            each part.
    """
    home = settings.home.resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UnavailableError(
            f"the folder {home} cannot be made; set FUQI_HOME to one that can",
            code="storage.unavailable",
        ) from exc
    migrate(settings.database)
    engine = make_engine(settings.database)
    keys = FileKeyProvider(home / "keys" / "vault.key")
    return Ports(
        settings=settings,
        engine=engine,
        sessions=sessions(engine),
        readers=readers(engine),
        vault=Vault(keys),
        blobs=FileBlobs(home / "blobs"),
        authority=BuiltInAuthority.open_or_create(
            home / "ca", at=at, common_name="fuqi built-in CA"
        ),
        tsa=BuiltInTimestampAuthority.open_or_create(home / "tsa", at=at),
        provider=MockProvider(),
        log_key=NoteSigner(home / "keys" / "log.key", name=settings.log_origin),
        number_index_key=keys.index_key(),
    )


def open_chain(settings: Settings) -> ChainPort:
    """The chain: embedded in one file, or a node over JSON-RPC. Held by one process at a time."""
    if settings.chain_url is None:
        return open_embedded_chain(settings.home.resolve() / "chain")
    return open_json_rpc_chain(
        settings.chain_url.get_secret_value(),
        key_file=settings.chain_key_file,
        timeout_seconds=settings.chain_timeout_seconds,
    )
