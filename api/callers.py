"""Who is asking: the one value that every flow gets about its caller.

The shell makes a `Caller` from a session cookie or an API key; the command line uses `OPERATOR`.
A flow decides with `caller.roles` and `caller.organisation_id` and never sees a token or a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ledger.core.errors import ForbiddenError, NotFoundError


class Role(StrEnum):
    """What an account may do; roles add up, none implies another."""

    HANDLER = "handler"
    """Acts for its organisation: agreements, needs, offers, receipts (经办人)."""
    ADMIN = "admin"
    """Administers its own organisation: handlers, authorisations, API keys."""
    OPERATOR = "operator"
    """Runs the installation: imports, matching rounds. Belongs to no organisation and signs nothing."""
    ARBITRATOR = "arbitrator"
    """Reads the evidence of a case; changes nothing (仲裁员)."""
    INTEGRATION = "integration"
    """An outside system of its organisation: records its own entries and reads their receipts (对接系统)."""


ROLES_OF_A_TENANT: Final = frozenset({Role.HANDLER, Role.ADMIN, Role.INTEGRATION})
"""The roles that mean something only together with an organisation."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated caller of one request or command.

    Attributes:
        account_id: `acc_…`, or `system` for the command line.
        person_id: the party id of the natural person, or None for accounts that are no handler.
        organisation_id: the party id of the organisation it acts for, or None.
        roles: never empty.
        via: how it was authenticated: `session`, `key` or `system`.
        password_temporary: somebody else set the password; nothing else is possible until it is changed.
    """

    account_id: str
    person_id: str | None
    organisation_id: str | None
    roles: frozenset[Role]
    via: str = "session"
    password_temporary: bool = False

    def has(self, role: Role) -> bool:
        """Whether the caller holds `role`."""
        return role in self.roles

    @property
    def is_operator(self) -> bool:
        """Whether the caller runs the installation."""
        return Role.OPERATOR in self.roles


OPERATOR: Final = Caller(
    account_id="system",
    person_id=None,
    organisation_id=None,
    roles=frozenset({Role.OPERATOR}),
    via="system",
)
"""The command line on this machine: whoever can read the database needs no password."""


def require_role(caller: Caller, *roles: Role) -> None:
    """Refuse a caller who holds none of `roles`.

    Raises:
        ForbiddenError: `auth.role`.
    """
    if not caller.roles & set(roles):
        raise ForbiddenError(
            "this needs a role you do not hold",
            code="auth.role",
            needed=sorted(role.value for role in roles),
        )


def require_organisation(caller: Caller) -> str:
    """The organisation the caller acts for.

    Raises:
        ForbiddenError: `auth.no_organisation`.
    """
    if caller.organisation_id is None:
        raise ForbiddenError("your account acts for no organisation", code="auth.no_organisation")
    return caller.organisation_id


def require_visible(caller: Caller, *organisation_ids: str | None) -> None:
    """Refuse with 404 unless one of the organisations is the caller's own (operators see all).

    Raises:
        NotFoundError: `not_found`; absent and invisible are not told apart, so ids cannot be probed.
    """
    if caller.is_operator:
        return
    if caller.organisation_id is not None and caller.organisation_id in organisation_ids:
        return
    raise NotFoundError("there is no such record")
