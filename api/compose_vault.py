"""Composition of the vault's master keys: which kind is in use, and what older ones still open."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from api.settings import Settings
from ledger.core.errors import InputError
from ledger.master_keys import (
    FileMasterKeys,
    MasterKeyProvider,
    MasterKeys,
    number_index_key,
    require_opens,
    stored_index_key,
)
from ledger.master_keys_pkcs11 import Pkcs11MasterKeys
from ledger.master_keys_service import ServiceMasterKeys
from ledger.vault import FileKeyProvider


def open_master_keys(settings: Settings) -> MasterKeyProvider:
    """The provider that `FUQI_VAULT_PROVIDER` names. Others that are configured still open what they wrapped.

    Raises:
        InputError: `vault.settings`: a setting of the kind lacks; `vault.service_url`.
        UnavailableError: the codes of each kind; nothing is lost.
    """
    folder = settings.home.resolve() / "keys"
    chosen = _open(settings, settings.vault_provider)
    former: dict[str, MasterKeys] = {}
    for kind, configured in (
        ("pkcs11", settings.vault_module),
        ("service", settings.vault_url),
        ("file", (folder / "vault.key").exists() or None),
    ):
        if configured is not None and kind != chosen.kind:
            former[kind] = _open(settings, kind)
    # In use, the file is made at first start; beside another kind it is only read.
    legacy = FileKeyProvider(folder / "vault.key") if "file" in (*former, chosen.kind) else None
    return MasterKeyProvider(chosen, former=former, legacy=legacy)


def describe_master_keys(settings: Settings) -> str:
    """Which kind is in use and where; looks, makes nothing.

    Raises:
        InputError, UnavailableError: as `open_master_keys`.
    """
    return _open(settings, settings.vault_provider).describe()


def open_index_key(
    sessions: sessionmaker[Session], provider: MasterKeyProvider, *, at: datetime
) -> bytes:
    """The key of the number index: that of `vault.key` until another kind or generation is in use.

    Raises:
        UnavailableError: `vault.key_unavailable`: this database belongs to another master key.
    """
    require_opens(sessions, provider)
    if provider.legacy is not None and provider.keys.current() == "file:1":
        return stored_index_key(sessions, provider) or provider.legacy.index_key()
    return number_index_key(sessions, provider, legacy=provider.legacy, at=at)


def _open(settings: Settings, kind: str) -> MasterKeys:
    if kind == "pkcs11":
        if settings.vault_module is None or settings.vault_token is None:
            raise _lacking("FUQI_VAULT_MODULE, FUQI_VAULT_TOKEN and FUQI_VAULT_PIN")
        if settings.vault_pin is None:
            raise _lacking("FUQI_VAULT_PIN")
        return Pkcs11MasterKeys(
            settings.vault_module,
            token=settings.vault_token,
            pin=settings.vault_pin.get_secret_value(),
            label=settings.vault_key,
        )
    if kind == "service":
        if settings.vault_url is None or settings.vault_access is None:
            raise _lacking("FUQI_VAULT_URL and FUQI_VAULT_ACCESS")
        return ServiceMasterKeys(
            settings.vault_url,
            token=settings.vault_access.get_secret_value(),
            key=settings.vault_key,
        )
    return FileMasterKeys(settings.home.resolve() / "keys")


def _lacking(names: str) -> InputError:
    return InputError(f"this vault provider needs {names}", code="vault.settings")
