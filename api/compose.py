"""Composition: settings in, ports out. The only place that knows which adapter is used."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from api.ports import Ports
from api.settings import Settings
from ledger.blobs import FileBlobs
from ledger.chain import ChainPort
from ledger.core.errors import InputError, UnavailableError
from ledger.embedded_chain import open_embedded_chain
from ledger.note import NoteSigner
from ledger.store import make_engine, migrate, readers, sessions
from ledger.vault import FileKeyProvider, Vault
from ledger.web3_chain import open_json_rpc_chain
from signing.ca import BuiltInAuthority
from signing.identity import MockProvider
from signing.trust import require_certificate
from signing.tsa import BuiltInTimestampAuthority

FORMER_ROOTS_MAX: Final = 50
"""Authorities of one kind that an installation has left behind."""


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
        former_ca_roots=_former_roots(home / "former-roots" / "ca"),
        former_tsa_roots=_former_roots(home / "former-roots" / "tsa"),
    )


def _former_roots(folder: Path) -> tuple[bytes, ...]:
    """Every `*.der` of the folder; it may be absent.

    Raises:
        InputError: `trust.certificate`, `trust.too_many`.
    """
    files = sorted(folder.glob("*.der")) if folder.is_dir() else []
    if len(files) > FORMER_ROOTS_MAX:
        raise InputError(
            f"more than {FORMER_ROOTS_MAX} former roots in {folder}", code="trust.too_many"
        )
    found = []
    for file in files:
        der = file.read_bytes()
        require_certificate(der)
        found.append(der)
    return tuple(found)


def open_chain(settings: Settings) -> ChainPort:
    """The chain: embedded in one file, or a node over JSON-RPC. Held by one process at a time."""
    if settings.chain_url is None:
        return open_embedded_chain(settings.home.resolve() / "chain")
    return open_json_rpc_chain(
        settings.chain_url.get_secret_value(),
        key_file=settings.chain_key_file,
        timeout_seconds=settings.chain_timeout_seconds,
    )
