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
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console

from api.ca_app import create_ca_app
from api.compose_pki import open_built_in, read_token
from api.runtime import configure_logging, now
from ledger.core.errors import InputError
from signing.ca import requested_spki
from signing.seal_maker import certify_maker, request_maker

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


@app.command("seal-request")
def seal_request(
    folder: Annotated[Path, typer.Argument(help="Folder for the key of the maker of seals.")],
    file: Annotated[Path, typer.Argument(help="Where to write the certificate request (PEM).")],
) -> None:
    """Make the key of the maker of seals and a request for its certificate.

    Run it on the installation; hand the request to the operator of the authority in FUQI_CA_URL, put the
    certificate that comes back (DER) into the folder as seal-maker.der, name the folder in FUQI_SEAL_MAKER.
    Authorities between it and the root go into seal-maker-chain.pem (PEM) in the same folder.
    """
    file.write_bytes(pem.armor("CERTIFICATE REQUEST", request_maker(folder)))
    Console().print(f"wrote {file}; the key stays in {folder}", highlight=False)


@app.command("seal-maker")
def seal_maker(
    folder: FolderArgument,
    request: Annotated[Path, typer.Argument(help="The request (PEM) of `fuqi ca seal-request`.")],
    file: Annotated[Path, typer.Argument(help="Where to write the certificate (DER).")],
    public_url: UrlOption = "http://127.0.0.1:8100",
) -> None:
    """Certify a maker of seals under the built-in authority. Compare the request's SHA-256 in person first."""
    try:
        _name, _headers, der = pem.unarmor(request.read_bytes())
    except (OSError, ValueError) as exc:
        raise InputError("this is no certificate request in PEM", code="ca.request") from exc
    authority = open_built_in(folder.resolve(), public_url=public_url, at=now())
    certificate = certify_maker(authority.main, requested_spki(der), at=now())
    file.write_bytes(certificate.public_bytes(Encoding.DER))
    Console().print(f"wrote {file}", highlight=False)
