"""The one place that reads the environment: `FUQI_*`. Everything else gets a `Settings` value."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE: Final = 1024 * 1024
PRODUCTION_LACKS: Final = "production_lacks"
UNNAMED_OPERATOR: Final = "未指定运营者 (operator not named)"
UNNAMED_LOG: Final = "fuqi.invalid/log"
_ORIGIN: Final = re.compile(r"[a-z0-9.-]+(/[a-z0-9._-]+)*")


class Settings(BaseSettings):
    """How this installation runs. Every default is the embedded, single-machine one."""

    model_config = SettingsConfigDict(env_prefix="FUQI_", frozen=True, extra="ignore")

    home: Path = Field(
        default=Path("var/fuqi"), description="Folder of everything this installation keeps."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="`sqlite:///…` or `postgresql://…`; unset: a SQLite file in the home folder.",
    )
    chain_url: SecretStr | None = Field(
        default=None,
        description="JSON-RPC address of an Ethereum-compatible node; unset: the embedded chain.",
    )
    chain_key_file: Path | None = Field(
        default=None, description="File with the relayer's private key (hex) for `chain_url`."
    )
    chain_timeout_seconds: int = Field(
        default=10, ge=1, le=120, description="How long one call to the chain may take."
    )
    acts: bool = Field(
        default=True,
        description="Whether rounds are committed and agreements promoted in contracts of their own; on "
        "`chain_url` only together with `acts_key_file`.",
    )
    acts_key_file: Path | None = Field(
        default=None,
        description="File with the private key (hex) that pays for acts on `chain_url`; never that of "
        "`chain_key_file`.",
    )
    rulings_bench_file: Path | None = Field(
        default=None,
        description="JSON file that names the seats of `Rulings` (addresses); without it lots are copied to "
        "`SupplyLots` on the embedded chain only, where a key of the installation sits.",
    )
    vault_provider: Literal["file", "pkcs11", "service"] = Field(
        default="file",
        description="Where the master key of the vault is: in the home folder, in a PKCS#11 token, in a key "
        "service that speaks the transit protocol.",
    )
    vault_module: Path | None = Field(
        default=None, description="PKCS#11 library of the token's vendor."
    )
    vault_token: str | None = Field(default=None, description="Label of the PKCS#11 token.")
    vault_pin: SecretStr | None = Field(default=None, description="PIN of the PKCS#11 token.")
    vault_url: str | None = Field(
        default=None, description="Address of the key service, https:// without `/v1`."
    )
    vault_access: SecretStr | None = Field(
        default=None, description="Access token of the key service."
    )
    vault_key: str = Field(
        default="fuqi-vault",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Name of the master key in token or service.",
    )
    log_origin: str = Field(
        default=UNNAMED_LOG,
        description="Name of this installation's log in checkpoints (C2SP origin, no scheme).",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000", description="Address under which people reach the pages."
    )
    operator_name: str = Field(
        default=UNNAMED_OPERATOR,
        description="Who runs this installation, as reports print it.",
    )
    declared_ca_licence: str = Field(
        default="",
        max_length=200,
        description="Number and holder of the electronic certification service licence of the authority at "
        "`ca_url`. Reports print it as declared by the operator, not verified.",
    )
    declared_icp_filing: str = Field(
        default="",
        max_length=200,
        description="ICP filing number of the site; in reports, as declared, and at the foot of every page.",
    )
    declared_protection_level: str = Field(
        default="",
        max_length=200,
        description="Classified protection level (等级保护) with its report's number; in reports, as declared.",
    )
    declared_chain_filing: str = Field(
        default="",
        max_length=200,
        description="Filing number of the blockchain information service; in reports, as declared.",
    )
    lang: Literal["zh", "en"] = Field(default="zh", description="Default language of pages.")
    demo: bool = Field(
        default=False, description="Mark every page, document and record as a demonstration."
    )
    production: bool = Field(
        default=False,
        description="Start only with external authorities, chain, database and verification service; refuse "
        "every built-in, mock or demonstrated part, naming what lacks.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.1",
        description="Addresses of the reverse proxies whose `X-Forwarded-For` is believed, separated by "
        "spaces: attempts are counted by the address that they report.",
    )
    upload_bytes_max: int = Field(
        default=20 * MEBIBYTE, ge=1024, le=100 * MEBIBYTE, description="Largest PDF taken, bytes."
    )
    pages_max: int = Field(default=500, ge=1, le=2000, description="Most pages of a PDF taken.")
    session_hours: int = Field(default=12, ge=1, le=72, description="Life of a login, hours.")
    anchor_interval_seconds: int = Field(
        default=5, ge=1, le=3600, description="How often the worker anchors the newest checkpoint."
    )
    witnesses: Path | None = Field(
        default=None,
        description="File `fuqi/witnesses/v1` that names the witnesses and how many must cosign.",
    )
    ca_url: str | None = Field(
        default=None,
        description="Address of an external certificate authority; unset: the built-in one.",
    )
    ca_token_file: Path | None = Field(
        default=None, description="File with the bearer token for `ca_url`."
    )
    ca_roots: Path | None = Field(
        default=None, description="File with the roots (PEM) of the authority at `ca_url`."
    )
    ocsp_urls: str = Field(
        default="",
        description="Addresses of its OCSP responders, by preference, separated by spaces; asked "
        "before each signature.",
    )
    tsa_urls: str = Field(
        default="",
        description="Addresses of external time-stamp authorities (RFC 3161), by preference, separated "
        "by spaces; empty: the built-in one.",
    )
    tsa_roots: Path | None = Field(
        default=None, description="File with the roots (PEM) of the authorities in `tsa_urls`."
    )
    tsa_policy: str | None = Field(
        default=None, description="Policy (object identifier) that their tokens must have."
    )
    seal_maker: Path | None = Field(
        default=None,
        description="Folder with key and certificate of the maker of seals under an external authority "
        "(`fuqi ca seal-request`); without it seals can be kept there and not used.",
    )
    identity_provider: Literal["mock", "manual", "http"] = Field(
        default="mock",
        description="Who answers real-name checks: a labelled mock, the operator's own review of documents, "
        "or a service at `identity_urls`.",
    )
    identity_urls: str = Field(
        default="",
        description="Addresses of the verification service, by preference, separated by spaces.",
    )
    identity_secret_file: Path | None = Field(
        default=None, description="File with the secret shared with the verification service."
    )
    identity_kinds: str = Field(
        default="person_name_number organisation_name_code",
        description="Kinds of check that the verification service answers, separated by spaces.",
    )
    message_urls: str = Field(
        default="",
        description="Addresses of the service that carries codes to telephones and mailboxes, by preference, "
        "separated by spaces.",
    )
    message_secret_file: Path | None = Field(
        default=None, description="File with the secret shared with the service at `message_urls`."
    )
    level_policy: Path | None = Field(
        default=None,
        description="File `fuqi/level-policy/v2`: the real-name level that each kind of agreement and amount "
        "needs; unset: the built-in table.",
    )
    outside_private: bool = Field(
        default=False,
        description="Allow the addresses above to lie on a private network or this machine.",
    )
    urgent_per_hospital_day: int = Field(
        default=5,
        ge=0,
        le=1000,
        description="Needs that one hospital may mark urgent on one day; 0 switches urgent needs off.",
    )
    urgent_accept_hours: int = Field(
        default=4,
        ge=1,
        le=72,
        description="How long a donor has to accept what an urgent need was given, hours.",
    )
    round_objection_hours: int | None = Field(
        default=None,
        ge=0,
        le=336,
        description="How long a closed round is open to objections before its lines can be accepted, hours; "
        "unset: 24 in production, else 0. Urgent needs do not wait.",
    )
    data_folder: Path | None = Field(
        default=None,
        description="Folder with the hubei-2020 files; unset: `../shared/data/hubei-2020` where it "
        "exists, else the packaged sample.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not _ORIGIN.fullmatch(self.log_origin):
            raise ValueError("FUQI_LOG_ORIGIN is a host name and path without a scheme")
        if self.production:
            lacking = production_lacks(self)
            if lacking:
                raise PydanticCustomError(
                    PRODUCTION_LACKS,
                    "production starts with nothing built-in, mock or demonstrated; set: {lacking}",
                    {"lacking": "; ".join(lacking)},
                )
        return self

    @property
    def acts_enabled(self) -> bool:
        """Whether acts are queued and sent."""
        return self.acts and (self.chain_url is None or self.acts_key_file is not None)

    @property
    def lots_mirrored(self) -> bool:
        """Whether movements of goods are copied to `SupplyLots`: there must be a bench for its rulings."""
        return self.acts_enabled and (self.chain_url is None or self.rulings_bench_file is not None)

    @property
    def database(self) -> str:
        """The database URL with its default."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home.resolve() / 'fuqi.sqlite3'}"


def production_lacks(settings: Settings) -> tuple[str, ...]:
    """Every piece that production still needs, each with what to set; () where none lacks."""
    return tuple(text for is_there, text in _PRODUCTION if not is_there(settings))


def _is_public_https(settings: Settings) -> bool:
    parts = urlsplit(settings.public_url)
    host = parts.hostname or ""
    return (
        parts.scheme == "https"
        and parts.path in ("", "/")
        and "." in host
        and not host.endswith(".invalid")
        and host != "127.0.0.1"
    )


def is_sheltered(settings: Settings) -> bool:
    """Whether the bearer token, which goes with each request to the authority, travels in clear only where the
    operator said that it may."""
    urls = (settings.ca_url or "").split()
    return settings.outside_private or all(url.startswith("https://") for url in urls)


_PRODUCTION: Final[tuple[tuple[Callable[[Settings], bool], str], ...]] = (
    (lambda one: not one.demo, "FUQI_DEMO=false (records of a demonstration have no place here)"),
    (
        lambda one: one.database.startswith("postgresql"),
        "FUQI_DATABASE_URL=postgresql://… (instead of SQLite)",
    ),
    (
        lambda one: one.chain_url is not None,
        "FUQI_CHAIN_URL (instead of the embedded chain)",
    ),
    (
        lambda one: one.chain_key_file is not None,
        "FUQI_CHAIN_KEY_FILE (the account that pays for anchors)",
    ),
    (lambda one: one.ca_url is not None, "FUQI_CA_URL (instead of the built-in CA)"),
    (is_sheltered, "FUQI_CA_URL with https:// (its token goes with each request)"),
    (lambda one: one.ca_token_file is not None, "FUQI_CA_TOKEN_FILE"),
    (lambda one: one.ca_roots is not None, "FUQI_CA_ROOTS"),
    (
        lambda one: bool(one.ocsp_urls.strip()),
        "FUQI_OCSP_URLS (who says that a certificate is revoked)",
    ),
    (
        lambda one: bool(one.tsa_urls.strip()),
        "FUQI_TSA_URLS (instead of the built-in time-stamp authority)",
    ),
    (lambda one: one.tsa_roots is not None, "FUQI_TSA_ROOTS"),
    (
        lambda one: one.identity_provider == "http",
        "FUQI_IDENTITY_PROVIDER=http (an authoritative source confirms each name)",
    ),
    (lambda one: bool(one.identity_urls.strip()), "FUQI_IDENTITY_URLS"),
    (lambda one: one.identity_secret_file is not None, "FUQI_IDENTITY_SECRET_FILE"),
    (
        _is_public_https,
        "FUQI_PUBLIC_URL=https://host (no path; cookies go over HTTPS only)",
    ),
    (
        lambda one: one.operator_name not in ("", UNNAMED_OPERATOR),
        "FUQI_OPERATOR_NAME (who answers for this installation)",
    ),
    (
        lambda one: one.log_origin.partition("/")[0].rpartition(".")[2] != "invalid",
        "FUQI_LOG_ORIGIN (the name of the log for ever)",
    ),
)
"""In the order in which an operator sets them up."""
