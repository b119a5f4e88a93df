"""Accounts, logging in and out, API keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api import access
from api.callers import Caller, Role, require_role
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    ForbiddenError,
    InputError,
    LimitError,
    NotFoundError,
)
from ledger.core.ids import require_id
from ledger.queries import access as queries
from ledger.tables.access import AccountRow, ApiKeyRow, SessionRow
from ledger.tables.parties import PartyRow

KEY_NAME_CHARACTERS_MAX: Final = 80


class WrongPasswordError(ForbiddenError):
    """Login name or password is wrong; which of the two is not said."""

    code = "auth.wrong_password"


class NoConsentError(ForbiddenError):
    """The person did not agree to the real-name check."""

    code = "account.no_consent"


def create_account(
    session: Session,
    *,
    account_id: str,
    login: str,
    password: str,
    roles: frozenset[Role],
    person_id: str | None,
    organisation_id: str | None,
    invented: bool,
    at: datetime,
    temporary: bool = False,
) -> AccountRow:
    """Create an account, or return the identical one made by an earlier attempt.

    The caller has decided that this person may act for this organisation in these roles.

    Args:
        temporary: somebody else chose the password; its holder chooses another before anything else.

    Raises:
        InputError: `id.malformed`, `account.login_malformed`, `account.password_short`,
            `account.password_long`, `account.password_is_login`, `account.no_role`,
            `account.role_needs_organisation`, `account.operator_alone`, `account.integration_alone`.
        ConflictError: `account.login_taken`.
        ExistsWithDifferentFieldError: same id sent before with another body.
    """
    require_id(account_id, prefix="acc")
    name = access.normal_login(login)
    names = access.roles_text(roles, organisation_id=organisation_id)
    existing = session.get(AccountRow, account_id)
    if existing is not None:
        wanted = {
            "login": name,
            "roles": names,
            "person_id": person_id,
            "organisation_id": organisation_id,
            "invented": invented,
        }
        for field, value in wanted.items():
            if getattr(existing, field) != value:
                raise ExistsWithDifferentFieldError(f"different {field}", field=field)
        if not access.password_matches(password, password_hash=existing.password_hash):
            raise ExistsWithDifferentFieldError("different password", field="password")
        return existing
    if queries.account_by_login(session, name) is not None:
        raise ConflictError("this login name is taken", code="account.login_taken", field="login")
    row = AccountRow(
        id=account_id,
        login=name,
        password_hash=access.hash_password(password, login=name),
        password_temporary=temporary,
        roles=names,
        person_id=person_id,
        organisation_id=organisation_id,
        active=True,
        invented=invented,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row


def party_of(session: Session, organisation_id: str) -> PartyRow:
    """The organisation for which an account is to act.

    Raises:
        NotFoundError: `account.organisation_unknown`.
    """
    row = session.get(PartyRow, organisation_id)
    if row is None or row.kind != "organisation":
        raise NotFoundError(
            "no organisation with this id is registered here", code="account.organisation_unknown"
        )
    return row


def check_password(session: Session, *, login: str, password: str) -> AccountRow:
    """The account, if the password is right. Reads only: hashing is slow and must hold no write lock.

    Raises:
        WrongPasswordError: `auth.wrong_password`, for unknown, wrong and switched-off alike.
    """
    account = queries.account_by_login(session, login.strip().lower()[:64])
    password_hash = None if account is None else account.password_hash
    matches = access.password_matches(password, password_hash=password_hash)
    if account is None or not matches or not account.active:
        raise WrongPasswordError("login name or password is wrong")
    return account


def change_password(
    session: Session,
    reader: Session,
    caller: Caller,
    *,
    password: str,
    new: str,
    token: str,
    at: datetime,
) -> None:
    """Choose another password; every other login of the account ends.

    Args:
        reader: for checking and hashing, which are slow and must hold no write lock.
        token: of the session that goes on.

    Raises:
        ForbiddenError: `account.password_session` for an API key, which must not outlive its holder's grip.
        WrongPasswordError: `auth.wrong_password`.
        InputError: `account.password_same`, `account.password_short`, `account.password_long`,
            `account.password_is_login`.
    """
    if caller.via != "session":
        raise ForbiddenError("log in to change the password", code="account.password_session")
    known = reader.get_one(AccountRow, caller.account_id)
    if not access.password_matches(password, password_hash=known.password_hash):
        raise WrongPasswordError("the present password is wrong")
    if new == password:
        raise InputError(
            "choose another password than the present one",
            code="account.password_same",
            field="new_password",
        )
    chosen = access.hash_password(new, login=known.login)
    account = session.get_one(AccountRow, caller.account_id)
    if account.password_hash != known.password_hash:
        raise WrongPasswordError("the present password is wrong")
    account.password_hash, account.password_temporary = chosen, False
    queries.delete_expired_sessions(session, account_id=account.id, at=at)
    queries.delete_sessions(session, account_id=account.id, besides=access.credential_sha256(token))
    session.flush()


def reset_password(session: Session, caller: Caller, *, login: str, password: str) -> AccountRow:
    """Set a password for somebody who forgot theirs; they choose their own at the next login.

    Every login ends, and API keys of the account rest until then.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `account.unknown`.
        InputError: `account.password_short`, `account.password_long`, `account.password_is_login`.
    """
    require_role(caller, Role.OPERATOR)
    account = queries.account_by_login(session, access.normal_login(login))
    if account is None:
        raise NotFoundError("nobody logs in by this name", code="account.unknown")
    account.password_hash = access.hash_password(password, login=account.login)
    account.password_temporary = True
    queries.delete_sessions(session, account_id=account.id, besides=None)
    session.flush()
    return account


def log_in(session: Session, *, account_id: str, hours: int, at: datetime) -> str:
    """Open a session of `hours` for an account whose password was just checked.

    Returns:
        The token for the cookie; it is stored nowhere in clear.
    """
    queries.delete_expired_sessions(session, account_id=account_id, at=at)
    token = access.new_session_token()
    digest = access.credential_sha256(token)
    assert digest is not None
    session.add(
        SessionRow(
            token_sha256=digest,
            account_id=account_id,
            created_at=at,
            expires_at=at + timedelta(hours=hours),
        )
    )
    session.flush()
    return token


def log_out(session: Session, *, token: str) -> None:
    """End a session; ending one that is not there is no error."""
    digest = access.credential_sha256(token)
    if digest is not None:
        queries.delete_session(session, digest)


def caller_of_token(session: Session, *, token: str, at: datetime) -> Caller | None:
    """Who the session cookie belongs to, or None when it is unknown, ended or switched off."""
    digest = access.credential_sha256(token)
    found = None if digest is None else queries.account_of_token(session, digest)
    if found is None:
        return None
    row, account = found
    if not account.active or not access.is_open(row.expires_at, at=at):
        return None
    return _caller(account, via="session")


def caller_of_key(session: Session, *, key: str, at: datetime) -> Caller | None:
    """Who the API key belongs to, or None when it is unknown, ended, revoked or switched off."""
    digest = access.credential_sha256(key) if key.startswith(access.KEY_PREFIX) else None
    found = None if digest is None else queries.account_of_key(session, digest)
    if found is None:
        return None
    row, account = found
    usable = row.revoked_at is None and access.is_open(row.expires_at, at=at)
    return _caller(account, via="key") if usable and account.active else None


def make_key(
    session: Session, caller: Caller, *, key_id: str, name: str, days: int, at: datetime
) -> tuple[ApiKeyRow, str]:
    """Make an API key with the caller's own rights.

    Returns:
        The row and the key, which is shown this once; a retry with the same id answers 409, because
        the key of the first attempt cannot be shown again: revoke it and make another.

    Raises:
        ForbiddenError: `key.needs_session`: a key cannot make keys, so a leaked one ends for good.
        InputError: `id.malformed`, `key.name`, `key.days`.
        ConflictError: `key.exists`.
        LimitError: `key.too_many`.
    """
    if caller.via == "key":
        raise ForbiddenError("log in to make a key", code="key.needs_session")
    require_id(key_id, prefix="key")
    label = " ".join(name.split())
    if not 1 <= len(label) <= KEY_NAME_CHARACTERS_MAX:
        raise InputError(
            f"a key's name has 1 to {KEY_NAME_CHARACTERS_MAX} characters",
            code="key.name",
            field="name",
        )
    if not 1 <= days <= access.KEY_DAYS_MAX:
        raise InputError(
            f"a key lives 1 to {access.KEY_DAYS_MAX} days", code="key.days", field="days"
        )
    if session.get(ApiKeyRow, key_id) is not None:
        raise ConflictError("a key with this id was already made", code="key.exists")
    if queries.count_open_keys(session, caller.account_id, at=at) >= access.KEYS_PER_ACCOUNT_MAX:
        raise LimitError(
            "revoke a key first",
            code="key.too_many",
            keys_max=access.KEYS_PER_ACCOUNT_MAX,
        )
    key = access.new_api_key()
    digest = access.credential_sha256(key)
    assert digest is not None
    row = ApiKeyRow(
        id=key_id,
        account_id=caller.account_id,
        name=label,
        key_sha256=digest,
        hint=key[:8],
        created_at=at,
        expires_at=at + timedelta(days=days),
        revoked_at=None,
    )
    session.add(row)
    session.flush()
    return row, key


def revoke_key(session: Session, caller: Caller, *, key_id: str, at: datetime) -> ApiKeyRow:
    """Revoke one of the caller's own keys; revoking twice keeps the first time.

    Raises:
        NotFoundError: `not_found`, also for somebody else's key.
    """
    row = session.get(ApiKeyRow, key_id)
    if row is None or row.account_id != caller.account_id:
        raise NotFoundError("there is no such key")
    if row.revoked_at is None:
        row.revoked_at = at
    return row


def _caller(account: AccountRow, *, via: str) -> Caller:
    return Caller(
        account_id=account.id,
        person_id=account.person_id,
        organisation_id=account.organisation_id,
        roles=access.roles_from_text(account.roles),
        via=via,
        password_temporary=account.password_temporary,
    )
