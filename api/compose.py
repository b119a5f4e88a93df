"""Composition: settings in, ports out. The only place that knows which adapter is used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from api.compose_bench import open_bench
from api.compose_identity import open_levels, open_messenger, open_provider
from api.compose_pki import open_authority, open_ocsp, open_seal_maker, open_tsa
from api.compose_production import require_production
from api.compose_vault import open_index_key, open_master_keys
from api.ports import Ports
from api.settings import Settings
from ledger.acts import ActsLane
from ledger.acts_port import ActsPort
from ledger.blobs import FileBlobs
from ledger.chain import ChainPort
from ledger.chain_key import OperatorKey
from ledger.core.errors import InputError, UnavailableError
from ledger.embedded_chain import open_embedded_chain
from ledger.note import NoteSigner
from ledger.store import make_engine, migrate, readers, sessions
from ledger.vault import Vault
from ledger.web3_chain import open_json_rpc_chain
from signing.trust import require_certificate

READY: Final = ("Seals",)
"""Made before anybody asks: the promise of a seal names the contract that checks its signatures."""
FORMER_ROOTS_MAX: Final = 50
"""Authorities of one kind that an installation has left behind."""


def open_ports(settings: Settings, *, at: datetime) -> Ports:
    """Open (and at first start make) everything but the chain.

    Raises:
        UnavailableError: `storage.unavailable` where the home folder cannot be written, and the codes of
            each part.
        InputError: `settings.production`: production on parts that are built in, or on invented parties.
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
    keys, factory = open_master_keys(settings), sessions(engine)
    authority = open_authority(settings, at=at)
    ports = Ports(
        settings=settings,
        engine=engine,
        sessions=factory,
        readers=readers(engine),
        vault=Vault(keys),
        blobs=FileBlobs(home / "blobs"),
        authority=authority,
        seal_maker=open_seal_maker(settings, authority, at=at),
        tsa=open_tsa(settings, at=at),
        ocsp=open_ocsp(settings),
        provider=open_provider(settings),
        messenger=open_messenger(settings),
        levels=open_levels(settings),
        log_key=NoteSigner(home / "keys" / "log.key", name=settings.log_origin),
        number_index_key=open_index_key(factory, keys, at=at),
        former_ca_roots=_former_roots(home / "former-roots" / "ca"),
        former_tsa_roots=_former_roots(home / "former-roots" / "tsa"),
    )
    if settings.production:
        require_production(ports)
    return ports


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


def open_lane(ports: Ports, chain: ChainPort, *, clock: Callable[[], datetime]) -> ActsLane | None:
    """The lane of contract acts, or None where they are switched off.

    Raises:
        NotFoundError, ConflictError, UnavailableError: those of `OperatorKey`.
        InputError: `settings.bench`.
    """
    settings = ports.settings
    if not settings.acts_enabled or not isinstance(chain, ActsPort):
        return None
    keys = settings.home.resolve() / "keys"
    relayer = (
        OperatorKey.load_or_create(keys / "relayer.key")
        if settings.acts_key_file is None
        else OperatorKey.load(settings.acts_key_file)
    )
    signer = OperatorKey.load_or_create(keys / "acts.key")
    bench = open_bench(settings, keys=keys)
    return ActsLane(
        ports.sessions, ports.vault, chain, relayer, signer, clock, bench=bench, ready=READY
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
