"""`fuqi log …`: the log as anyone may have it (proofs, static files, cosignatures), and what is kept in it.

Needs no chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy.orm import Session, sessionmaker

from api.callers import OPERATOR
from api.compose import open_ports
from api.flows.erasure import erase, remove_files, restrict, retention_of
from api.runtime import load_settings, now
from ledger.core.errors import NotFoundError
from ledger.core.units import utc_text
from ledger.cosigning import collect, read_witnesses
from ledger.log import consistency_proof, cosigned_note, tlog_proof
from ledger.queries import log as queries
from ledger.store import make_engine, readers, sessions, transaction
from ledger.tiles import write_tiles

app = typer.Typer(
    help="The log: proofs, static files, cosignatures, erasure.", no_args_is_help=True
)

SizeOption = Annotated[
    int | None, typer.Option("--size", min=1, help="Size of the checkpoint; without it the newest.")
]


@app.callback()
def group() -> None:
    """The log: proofs, static files, cosignatures, erasure."""


@app.command("checkpoint")
def checkpoint() -> None:
    """Print the newest signed checkpoint with its cosignatures."""
    with _session() as session:
        row = queries.latest_checkpoint(session)
        if row is None:
            raise NotFoundError("the log is empty", code="log.no_checkpoint")
        typer.echo(cosigned_note(session, row), nl=False)


@app.command("proof")
def proof(
    entry: Annotated[str, typer.Argument(help="Id of the entry, ent_….")], size: SizeOption = None
) -> None:
    """Print an entry's inclusion proof (C2SP tlog-proof@v1); the `extra` line holds the entry's bytes."""
    with _session() as session:
        typer.echo(tlog_proof(session, entry, size=size), nl=False)


@app.command("consistency")
def consistency(
    old: Annotated[int, typer.Argument(min=1, help="Size of the older checkpoint.")],
    new: Annotated[
        int | None, typer.Argument(min=1, help="Size of the newer one; without it the newest.")
    ] = None,
) -> None:
    """Print the proof (JSON) that the checkpoint of size NEW extends the one of size OLD."""
    with _session() as session:
        typer.echo(json.dumps(consistency_proof(session, old, new), ensure_ascii=False, indent=2))


@app.command("tiles")
def tiles(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where to write; without it `log` in FUQI_HOME.", show_default=False),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Compare every file and rewrite what differs.")
    ] = False,
) -> None:
    """Write the log as static files (C2SP tlog-tiles). Safe to run again and to interrupt."""
    target = folder or load_settings().home.resolve() / "log"
    with _session() as session:
        done = write_tiles(session, target, repair=repair)
    Console().print(
        f"{done.size} entries in {target}: {done.written} files written, {done.repaired} repaired, "
        f"{done.unchanged} unchanged",
        highlight=False,
    )


@app.command("cosign")
def cosign(
    witnesses: Annotated[Path, typer.Argument(help="File of witnesses (fuqi/witnesses/v1).")],
) -> None:
    """Ask every witness for its cosignature of the newest checkpoint. Exit 1 below the policy's k."""
    policy, endpoints = read_witnesses(witnesses)
    engine = make_engine(load_settings().database)
    try:
        outcomes = collect(sessions(engine), endpoints, at=now())
    finally:
        engine.dispose()
    console = Console()
    for outcome in outcomes:
        console.print(
            f"{outcome.witness}: {outcome.code or 'cosigned'} at size {outcome.size}",
            highlight=False,
            markup=False,
        )
    signed = sum(outcome.code is None for outcome in outcomes)
    console.print(f"{signed} of {len(endpoints)} cosigned, {policy.k} needed", highlight=False)
    raise typer.Exit(0 if signed >= policy.k else 1)


SubjectArgument = Annotated[
    str, typer.Argument(help="Id of a party, an agreement, a lot or an order.")
]
BasisOption = Annotated[str, typer.Option("--basis", help="Why, e.g. who asked and when.")]


@app.command("retention")
def retention(subject: SubjectArgument) -> None:
    """Print until when the law wants the data of a party, an agreement, a lot or an order kept."""
    with _session() as session:
        kept = retention_of(session, subject)
    until = "no term" if kept.rule is None else "still open"
    console = Console()
    console.print(utc_text(kept.until) if kept.until else until, kept.rule or "", highlight=False)


@app.command("restrict")
def restrict_data(subject: SubjectArgument, basis: BasisOption) -> None:
    """Store a subject's data and do nothing else with it: every read is refused from now on."""
    ports = open_ports(load_settings(), at=now())
    with transaction(ports.sessions) as session:
        restrict(session, ports, OPERATOR, subject=subject, basis=basis, at=now())
    Console().print(f"{subject}: restricted", highlight=False)


@app.command("erase")
def erase_data(subject: SubjectArgument, basis: BasisOption) -> None:
    """Erase a subject's data for ever; refused with the date while the law keeps it. Safe to repeat."""
    ports = open_ports(load_settings(), at=now())
    with transaction(ports.sessions) as session:
        erased = erase(session, ports, OPERATOR, subject=subject, basis=basis, at=now())
    remove_files(ports, erased)
    Console().print(f"{subject}: erased, {len(erased.files)} files removed", highlight=False)


@contextmanager
def _session() -> Iterator[Session]:
    engine = make_engine(load_settings().database)
    try:
        factory: sessionmaker[Session] = readers(engine)
        with transaction(factory) as session:
            yield session
    finally:
        engine.dispose()
