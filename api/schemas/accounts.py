"""Shapes of registration, login, accounts and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, SecretStr

from api.access import KEY_DAYS_MAX
from api.schemas.base import Id, Input, Output, ShortText


class HandlerIn(Input):
    """A natural person, its login, and the ids its caller made."""

    person_id: Id = Field(description="pty_…")
    account_id: Id = Field(description="acc_…")
    authorisation_id: Id = Field(description="aut_…")
    consent_id: Id = Field(description="id of the consent to the real-name check")
    name: ShortText
    resident_id: SecretStr = Field(description="resident-identity number, GB 11643", max_length=40)
    login: ShortText
    password: SecretStr = Field(max_length=400)
    invented: bool = Field(description="true where the identity is made up for a demonstration")


class RegistrationIn(Input):
    """An organisation and its first handler."""

    organisation_id: Id = Field(description="pty_…")
    category: Literal["donor", "manufacturer", "hospital", "arbitration", "carrier"]
    name: ShortText
    credit_code: ShortText = Field(description="unified social credit code, GB 32100")
    place: ShortText = Field(description="main place of business")
    receiving_system: ShortText = Field(description="designated receiving system")
    handler: HandlerIn
    representative: bool = Field(
        default=False,
        description="the handler is the legal representative: after a match by a source they act by law",
    )


class LoginIn(Input):
    """Login name and password."""

    login: ShortText
    password: SecretStr = Field(max_length=400)


class PasswordIn(Input):
    """The present password and another one."""

    password: SecretStr = Field(max_length=400)
    new_password: SecretStr = Field(max_length=400)


class AccountOut(Output):
    """An account as its holder sees it."""

    account_id: str
    person_id: str | None
    organisation_id: str | None
    roles: list[str]
    via: str = Field(description="session, key or system")


class PartyOut(Output):
    """A party. Its number is never shown in full."""

    id: str
    kind: str
    category: str
    name: str
    number_masked: str | None
    level: int = Field(description="real-name level, 0 to 3")
    level_reason: str
    invented: bool
    place: str | None
    receiving_system: str | None
    created_at: datetime


class RegisteredOut(Output):
    """What a registration made."""

    organisation: PartyOut
    person: PartyOut
    account_id: str
    login: str


class KeyIn(Input):
    """A new API key with the rights of its maker."""

    id: Id = Field(description="key_…")
    name: ShortText
    days: int = Field(ge=1, le=KEY_DAYS_MAX)


class KeyOut(Output):
    """An API key without its secret."""

    id: str
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """An API key, with its secret this once."""

    key: str = Field(description="shown once; send it as `Authorization: Bearer fq_…`")


class AuthorisationOut(Output):
    """What a handler may do for its organisation."""

    id: str
    organisation_id: str
    person_id: str
    matters: str
    powers: str
    valid_from: datetime
    valid_to: datetime
    revoked_at: datetime | None
    basis: str = Field(description="declared, statutory or signed")


class OrganisationOut(Output):
    """The caller's organisation with its handlers' authorities."""

    organisation: PartyOut
    authorisations: list[AuthorisationOut]


class CertificateIn(Input):
    """A certificate request that the device's key signed (PKCS#10, DER, base64)."""

    csr_base64: str = Field(max_length=20_000)


class CertificateOut(Output):
    """A certificate of a handler."""

    id: str
    serial: str
    certificate_base64: str
    chain_base64: str = Field(description="issuer certificates, concatenated DER")
    not_before: datetime
    not_after: datetime


class CertificateSummary(Output):
    """One usable certificate of the caller: which key it certifies, and how long."""

    id: str
    serial: str
    sha256: str = Field(description="SHA-256 of the certificate (DER)")
    spki_sha256: str = Field(description="SHA-256 of the public key (SubjectPublicKeyInfo, DER)")
    not_before: datetime
    not_after: datetime
