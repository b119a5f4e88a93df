"""Every select over accounts, sessions and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from ledger.tables.access import AccountRow, ApiKeyRow, SessionRow


def account_by_login(session: Session, login: str) -> AccountRow | None:
    """The account with this normalised login name."""
    return session.scalar(select(AccountRow).where(AccountRow.login == login))


def accounts_of(session: Session, organisation_id: str, *, limit: int) -> Sequence[AccountRow]:
    """Accounts that act for an organisation, oldest first."""
    return session.scalars(
        select(AccountRow)
        .where(AccountRow.organisation_id == organisation_id)
        .order_by(AccountRow.created_at, AccountRow.id)
        .limit(limit)
    ).all()


def account_of_token(session: Session, token_sha256: str) -> tuple[SessionRow, AccountRow] | None:
    """The session with this token and its account."""
    found = session.execute(
        select(SessionRow, AccountRow)
        .join(AccountRow, AccountRow.id == SessionRow.account_id)
        .where(SessionRow.token_sha256 == token_sha256)
    ).first()
    return None if found is None else (found[0], found[1])


def account_of_key(session: Session, key_sha256: str) -> tuple[ApiKeyRow, AccountRow] | None:
    """The API key with this digest and its account."""
    found = session.execute(
        select(ApiKeyRow, AccountRow)
        .join(AccountRow, AccountRow.id == ApiKeyRow.account_id)
        .where(ApiKeyRow.key_sha256 == key_sha256)
    ).first()
    return None if found is None else (found[0], found[1])


def keys_of(session: Session, account_id: str, *, limit: int) -> Sequence[ApiKeyRow]:
    """Keys of an account, newest first, revoked ones included."""
    return session.scalars(
        select(ApiKeyRow)
        .where(ApiKeyRow.account_id == account_id)
        .order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id)
        .limit(limit)
    ).all()


def count_open_keys(session: Session, account_id: str, *, at: datetime) -> int:
    """How many keys of an account work at `at`."""
    return (
        session.scalar(
            select(func.count())
            .select_from(ApiKeyRow)
            .where(
                ApiKeyRow.account_id == account_id,
                ApiKeyRow.revoked_at.is_(None),
                ApiKeyRow.expires_at > at,
            )
        )
        or 0
    )


def delete_session(session: Session, token_sha256: str) -> None:
    """Forget one session."""
    session.execute(delete(SessionRow).where(SessionRow.token_sha256 == token_sha256))


def delete_expired_sessions(session: Session, *, account_id: str, at: datetime) -> None:
    """Forget the account's sessions that have ended, so that the table stays small."""
    session.execute(
        delete(SessionRow).where(SessionRow.account_id == account_id, SessionRow.expires_at <= at)
    )


def delete_sessions(session: Session, *, account_id: str, besides: str | None) -> None:
    """Forget the account's sessions, but for the one with this digest."""
    gone = delete(SessionRow).where(SessionRow.account_id == account_id)
    if besides is not None:
        gone = gone.where(SessionRow.token_sha256 != besides)
    session.execute(gone)


def accounts_of_person(session: Session, person_id: str, *, limit: int) -> Sequence[AccountRow]:
    """Accounts of one natural person, oldest first."""
    return session.scalars(
        select(AccountRow)
        .where(AccountRow.person_id == person_id)
        .order_by(AccountRow.created_at, AccountRow.id)
        .limit(limit)
    ).all()
