"""`fuqi witness …`: what an arbitration body or association runs on its own machine.

Needs none of our settings and nothing of an installation: a folder for key and memory, and the verifier keys of
the logs to watch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.runtime import now
from ledger.core.errors import InputError, VerificationError
from ledger.note import VerifierKey
from ledger.witness import Witness, make_server

app = typer.Typer(help="Be a witness of other people's logs.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="Folder of this witness: key and memory.")]
NameOption = Annotated[
    str, typer.Option("--name", help="The witness's name, e.g. witness.example.org.")
]


@app.callback()
def group() -> None:
    """Be a witness of other people's logs."""


@app.command("key")
def key(folder: FolderArgument, name: NameOption) -> None:
    """Print the verifier key that others pin, making it at first use."""
    typer.echo(Witness(folder, name=name, logs=(), clock=now).key.text())


@app.command("serve")
def serve(
    folder: FolderArgument,
    name: NameOption,
    log: Annotated[
        list[str], typer.Option("--log", help="Verifier key of a log to watch; may be repeated.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8765,
) -> None:
    """Answer add-checkpoint requests until interrupted. Put a reverse proxy with TLS before it."""
    try:
        logs = [VerifierKey.parse(text) for text in log]
    except VerificationError as exc:
        raise InputError(
            "--log takes a verifier key, name+hash+base64", code="witness.log"
        ) from exc
    console = Console()
    witness = Witness(folder, name=name, logs=logs, clock=now)
    server = make_server(
        witness,
        host=host,
        port=port,
        report=lambda code, status: console.print(f"{status} {code}", highlight=False),
    )
    console.print(witness.key.text(), highlight=False, soft_wrap=True)
    console.print(f"listening on http://{host}:{server.server_address[1]}", highlight=False)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        console.print("stopped")
    finally:
        server.server_close()


@app.command("status")
def status(folder: FolderArgument, name: NameOption) -> None:
    """Print what was last cosigned, and kept contradictions (JSON). Exit 1 where there are any."""
    witness = Witness(folder, name=name, logs=(), clock=now)
    evidence = witness.evidence()
    found = {"key": witness.key.text(), "seen": witness.seen(), "evidence": evidence}
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    raise typer.Exit(1 if evidence else 0)
