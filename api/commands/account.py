"""`fuqi account`: accounts that nobody registers from outside, and passwords that somebody forgot."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from api.callers import OPERATOR, Role
from api.compose import open_ports
from api.flows.access import create_account, party_of, reset_password
from api.runtime import load_settings, now
from ledger.core.ids import new_id
from ledger.store import transaction

app = typer.Typer(
    help="Accounts of operators, arbitrators and outside systems.", no_args_is_help=True
)


@app.callback()
def group() -> None:
    """Accounts of operators, arbitrators and outside systems."""


@app.command("create")
def create(
    login: Annotated[str, typer.Argument(help="Login name.")],
    role: Annotated[
        Role, typer.Option(help="operator, arbitrator or integration.")
    ] = Role.OPERATOR,
    organisation: Annotated[
        str | None, typer.Option(help="pty_…: whose outside system it is; for integration only.")
    ] = None,
    password: Annotated[
        str,
        typer.Option(
            prompt=True, confirmation_prompt=True, hide_input=True, envvar="FUQI_NEW_PASSWORD"
        ),
    ] = "",
) -> None:
    """Create an account. Asks for the password, or takes it from FUQI_NEW_PASSWORD."""
    at = now()
    ports = open_ports(load_settings(), at=at)
    with transaction(ports.sessions) as session:
        if organisation is not None:
            party_of(session, organisation)
        row = create_account(
            session,
            account_id=new_id("acc", at=at),
            login=login,
            password=password,
            roles=frozenset({role}),
            person_id=None,
            organisation_id=organisation,
            invented=False,
            at=at,
        )
    Console().print(f"{row.id} may log in as {row.login} ({row.roles})", highlight=False)


@app.command("password")
def password(
    login: Annotated[str, typer.Argument(help="Login name of whoever forgot their password.")],
    password: Annotated[
        str,
        typer.Option(
            prompt=True, confirmation_prompt=True, hide_input=True, envvar="FUQI_NEW_PASSWORD"
        ),
    ] = "",
) -> None:
    """Set a password for one login; its holder must choose their own before anything else."""
    ports = open_ports(load_settings(), at=now())
    with transaction(ports.sessions) as session:
        row = reset_password(session, OPERATOR, login=login, password=password)
    Console().print(
        f"{row.login} logs in with it once and then chooses their own; all logins ended",
        highlight=False,
    )
