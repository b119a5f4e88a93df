"""Accounts, sessions and API keys. No token, key or password is stored in clear."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class AccountRow(Base):
    """Somebody who can log in. The natural person behind it is a party row."""

    __tablename__ = "account"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`acc_…`"""
    login: Mapped[str] = mapped_column(String(64), unique=True)
    """Lower-case login name, chosen by the person."""
    password_hash: Mapped[str] = mapped_column(String(255))
    """Argon2id in PHC form; it carries its own parameters."""
    password_temporary: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether somebody else set it: its holder chooses another before anything else."""
    roles: Mapped[str] = mapped_column(String(64))
    """Sorted role names with single spaces, e.g. `admin handler`."""
    person_id: Mapped[str | None] = mapped_column(String(40))
    organisation_id: Mapped[str | None] = mapped_column(String(40), index=True)
    active: Mapped[bool] = mapped_column(Boolean)
    invented: Mapped[bool] = mapped_column(Boolean)
    """True for identities made for a demonstration."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SessionRow(Base):
    """One logged-in browser. The cookie holds the token; only its SHA-256 stands here."""

    __tablename__ = "login_session"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ApiKeyRow(Base):
    """A machine's key. It is shown once, when made; only its SHA-256 stands here."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`key_…`"""
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    key_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(16))
    """First characters of the key, so that its owner can tell several apart."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AttemptRow(Base):
    """How often somebody tried something in the window that is running; see `ledger.attempts`."""

    __tablename__ = "attempt"

    rule: Mapped[str] = mapped_column(String(40), primary_key=True)
    who: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Keyed digest of an address, a login name or an account."""
    window_end: Mapped[int] = mapped_column(BigInteger, index=True)
    """Seconds since 1970."""
    tries: Mapped[int] = mapped_column(BigInteger)
