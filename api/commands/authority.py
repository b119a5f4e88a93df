"""`fuqi ca serve`: the built-in certificate authority as a process of its own, for another operator to run.

An installation reaches it by `FUQI_CA_URL`. Then the machine that keeps the evidence cannot certify
anybody. It is still no licensed authority, and its certificates say so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from asn1crypto import pem
from rich.console import Console

from api.ca_app import create_ca_app
from api.compose_pki import open_built_in, read_token
from api.runtime import configure_logging, now

app = typer.Typer(help="The certificate authority as its own process.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(help="Folder of the authority's keys.")]
UrlOption = Annotated[str, typer.Option("--public-url", help="Address that certificates point to.")]


@app.callback()
def group() -> None:
    """The certificate authority as its own process."""


@app.command("serve")
def serve(
    folder: FolderArgument,
    token_file: Annotated[
        Path, typer.Option("--token-file", help="File (mode 0600) with the bearer token.")
    ],
    public_url: UrlOption = "http://127.0.0.1:8100",
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 8100,
) -> None:
    """Serve certificates, revocations, lists and OCSP until interrupted."""
    configure_logging(json=False)
    authority = open_built_in(folder.resolve(), public_url=public_url, at=now())
    application = create_ca_app(authority, token=read_token(token_file), clock=now)
    uvicorn.run(application, host=host, port=port, log_level="warning", server_header=False)


@app.command("roots")
def roots(folder: FolderArgument, public_url: UrlOption = "http://127.0.0.1:8100") -> None:
    """Print the roots (PEM): what an installation names in `FUQI_CA_ROOTS`."""
    authority = open_built_in(folder.resolve(), public_url=public_url, at=now())
    text = "".join(pem.armor("CERTIFICATE", one).decode("ascii") for one in authority.roots)
    Console().print(text, highlight=False, markup=False, end="")
