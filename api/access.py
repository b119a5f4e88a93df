"""Passwords, session tokens and API keys: pure functions over secrets; nothing here touches a table.

- Passwords: Argon2id (RFC 9106, the library's low-memory profile).
- Tokens and keys: 256 random bits; only their SHA-256 is stored. A plain hash is enough, because
  nobody can search 2**256 values; a slow one would cost every request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from datetime import datetime
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from api.callers import ROLES_OF_A_TENANT, Role
from ledger.core.errors import InputError

KEY_DAYS_MAX: Final = 366
"""A key that nobody remembers should end by itself."""
KEYS_PER_ACCOUNT_MAX: Final = 20
PASSWORD_CHARACTERS_MIN: Final = 10
PASSWORD_CHARACTERS_MAX: Final = 200
"""Longer ones only cost hashing time."""
LOGIN_PATTERN: Final = re.compile(r"^[a-z0-9][a-z0-9._@-]{2,63}$")
KEY_PREFIX: Final = "fq_"
TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 100
"""Longer credentials are refused before they are hashed."""
HASHES_AT_ONCE: Final = 2
"""Argon2 takes 64 MiB and a core each time: a flood of logins may queue, not exhaust the machine."""

_HASHER: Final = PasswordHasher()
_HASHING: Final = threading.BoundedSemaphore(HASHES_AT_ONCE)
# A valid hash that no password matches: an unknown login costs as much time as a wrong password.
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def normal_login(text: str) -> str:
    """The login name in the one form that is stored.

    Raises:
        InputError: `account.login_malformed`.
    """
    login = text.strip().lower()
    if not LOGIN_PATTERN.match(login):
        raise InputError(
            "a login name has 3 to 64 of a-z 0-9 . _ @ - and begins with a letter or digit",
            code="account.login_malformed",
            field="login",
        )
    return login


def require_password(password: str, *, login: str) -> None:
    """Refuse a password that is too short, too long or the login name.

    Raises:
        InputError: `account.password_short`, `account.password_long`, `account.password_is_login`.
    """
    if len(password) < PASSWORD_CHARACTERS_MIN:
        raise InputError(
            f"a password has at least {PASSWORD_CHARACTERS_MIN} characters",
            code="account.password_short",
            field="password",
            characters_min=PASSWORD_CHARACTERS_MIN,
        )
    if len(password) > PASSWORD_CHARACTERS_MAX:
        raise InputError(
            f"a password has at most {PASSWORD_CHARACTERS_MAX} characters",
            code="account.password_long",
            field="password",
            characters_max=PASSWORD_CHARACTERS_MAX,
        )
    if password.strip().lower() == login:
        raise InputError(
            "the password must not be the login name",
            code="account.password_is_login",
            field="password",
        )


def hash_password(password: str, *, login: str) -> str:
    """Argon2id hash in PHC form.

    Raises:
        InputError: as `require_password`.
    """
    require_password(password, login=login)
    with _HASHING:
        return _HASHER.hash(password)


def password_matches(password: str, *, password_hash: str | None) -> bool:
    """Whether the password is right; takes as long when there is no such account (None)."""
    if len(password) > PASSWORD_CHARACTERS_MAX:
        return False
    try:
        with _HASHING:
            matched = _HASHER.verify(password_hash or _NOBODY, password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return matched and password_hash is not None


def new_session_token() -> str:
    """A fresh token for the session cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def new_api_key() -> str:
    """A fresh API key, `fq_` and 43 characters."""
    return KEY_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def credential_sha256(credential: str) -> str | None:
    """What is stored and looked up, or None for something that can be no credential of ours."""
    if not 20 <= len(credential) <= TOKEN_CHARACTERS_MAX or not credential.isascii():
        return None
    return hashlib.sha256(credential.encode("ascii")).hexdigest()


def is_open(expires_at: datetime, *, at: datetime) -> bool:
    """Open until, and not including, `expires_at`."""
    return at < expires_at


def roles_text(roles: frozenset[Role], *, organisation_id: str | None) -> str:
    """Roles as stored: sorted names with single spaces.

    Raises:
        InputError: `account.no_role`, `account.role_needs_organisation`, `account.operator_alone`,
            `account.integration_alone`.
    """
    if not roles:
        raise InputError("an account needs a role", code="account.no_role")
    if roles & ROLES_OF_A_TENANT and organisation_id is None:
        raise InputError(
            "handlers, admins and outside systems act for an organisation",
            code="account.role_needs_organisation",
        )
    if Role.OPERATOR in roles and (roles != {Role.OPERATOR} or organisation_id is not None):
        # Whoever runs the installation must not also be a party whose evidence it keeps.
        raise InputError(
            "an operator has no other role and no organisation", code="account.operator_alone"
        )
    if Role.INTEGRATION in roles and roles != {Role.INTEGRATION}:
        # A program's key must not also be able to sign or to administer.
        raise InputError(
            "an outside system's account has no other role", code="account.integration_alone"
        )
    return " ".join(sorted(role.value for role in roles))


def roles_from_text(text: str) -> frozenset[Role]:
    """The reverse of `roles_text`; an unknown role is our own bug."""
    return frozenset(Role(name) for name in text.split())
