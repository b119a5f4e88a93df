"""`fuqi key …` and `fuqi sign`: a party's own key in a file or token, used on the party's own machine.

The server prepares and embeds; the key signs here. Passwords and PINs come from a file or a prompt, never
from the command line, where other users of the machine could read them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from api.remote import Remote
from api.runtime import now
from ledger.core.canonical import canonical_parse
from ledger.core.errors import InputError, VerificationError
from signing.certificates import split_chain
from signing.cms import signed_attributes
from signing.intent import intent_message
from signing.keys import pkcs11
from signing.keys.algorithms import kind_of
from signing.keys.files import replace
from signing.keys.pkcs12 import FileSigner
from signing.keys.signers import LocalSigner, request_of, require_usable
from signing.sm import sm2_state

app = typer.Typer(help="A party's own signing key, in a file or a token.", no_args_is_help=True)

SECRET_CHARS_MAX: Final = 1024

FileOption = Annotated[
    Path | None, typer.Option("--file", help="PKCS#12 file of the key.", show_default=False)
]
ModuleOption = Annotated[
    Path | None,
    typer.Option("--module", help="PKCS#11 library of the token's vendor.", show_default=False),
]
TokenOption = Annotated[str, typer.Option("--token", help="Name of the token.")]
LabelOption = Annotated[str, typer.Option("--label", help="Name of the key in the token.")]
SecretOption = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        help="File with the password or PIN; without it, it is asked for.",
        show_default=False,
    ),
]
ServerOption = Annotated[str, typer.Option("--server", help="Address of the installation.")]
ApiKeyOption = Annotated[
    Path, typer.Option("--api-key-file", help="File with an API key of your account.")
]


@app.callback()
def group() -> None:
    """A party's own signing key, in a file or a token."""


@app.command("make")
def make(
    kind: Annotated[
        str, typer.Option("--kind", help="p256, rsa-2048, rsa-3072, rsa-4096 or sm2.")
    ] = "p256",
    file: FileOption = None,
    module: ModuleOption = None,
    token: TokenOption = "",
    label: LabelOption = "fuqi",
    secret_file: SecretOption = None,
) -> None:
    """Make a key in a new PKCS#12 file, or inside a token, where it stays."""
    secret = _secret(secret_file, confirm=file is not None)
    if module is not None:
        spki = pkcs11.make_token_key(module, token=token, pin=secret, label=label, kind=kind)
    else:
        if file is None:
            raise InputError("name a --file or a --module", code="keys.place")
        made = FileSigner.create(kind)
        made.save(file, secret)
        spki = made.public_spki
    _say(f"made: {kind_of(spki).name} key, SHA-256 {sha256(spki).hexdigest()}")


@app.command("request")
def request(
    name: Annotated[str, typer.Option("--name", help="Name in the request.")],
    output: Annotated[Path, typer.Option("--output", help="Where to write the request (DER).")],
    file: FileOption = None,
    module: ModuleOption = None,
    token: TokenOption = "",
    label: LabelOption = "fuqi",
    secret_file: SecretOption = None,
) -> None:
    """Write a certificate request (PKCS#10) signed by the key."""
    with _signer(file, module, token=token, label=label, secret=_secret(secret_file)) as signer:
        replace(output, request_of(signer, common_name=name))
    _say(f"wrote {output}")


@app.command("certify")
def certify(
    server: ServerOption,
    api_key_file: ApiKeyOption,
    file: FileOption = None,
    module: ModuleOption = None,
    token: TokenOption = "",
    label: LabelOption = "fuqi",
    secret_file: SecretOption = None,
) -> None:
    """Have the installation's authority certify the key, and keep the certificate beside it."""
    secret = _secret(secret_file)
    remote = Remote(server, _text(api_key_file))
    with _signer(file, module, token=token, label=label, secret=secret) as signer:
        csr = request_of(signer, common_name="fuqi")
        answer = remote.post("/api/v1/certificates", {"csr_base64": _base64(csr)})
        der = base64.b64decode(answer["certificate_base64"])
        if isinstance(signer, FileSigner):
            assert file is not None
            chain = split_chain(base64.b64decode(answer["chain_base64"]))
            signer.save(file, secret, certificate_der=der, chain=chain)
        else:
            assert isinstance(signer, pkcs11.TokenSigner)
            signer.keep_certificate(der)
    _say(f"certificate {answer['serial']}, until {answer['not_after']}")


@app.command("state")
def state() -> None:
    """Say whether SM2 works on this machine."""
    _say(f"SM2: {sm2_state()}")


def sign(
    signer_id: Annotated[str, typer.Argument(help="Your place in the agreement (sgn_…).")],
    server: ServerOption,
    api_key_file: ApiKeyOption,
    file: FileOption = None,
    module: ModuleOption = None,
    token: TokenOption = "",
    label: LabelOption = "fuqi",
    secret_file: SecretOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Affirm the sentences shown without asking.")
    ] = False,
) -> None:
    """Affirm and sign with a key of your own; the document was read on the page or by the API before."""
    remote = Remote(server, _text(api_key_file))
    with _signer(file, module, token=token, label=label, secret=_secret(secret_file)) as signer:
        certificate = require_usable(signer, at=now())
        for act in ("consent", "sign"):
            _affirm(remote, signer, signer_id, act=act, yes=yes)
        prepared = remote.post(f"/api/v1/signers/{signer_id}/signature/prepare", {})
        attributes = base64.b64decode(prepared["signed_attrs_base64"])
        # What is signed is rebuilt here: these bytes can mean nothing but this document and certificate.
        wanted = signed_attributes(
            document_digest=bytes.fromhex(prepared["document_digest"]), certificate=certificate
        )
        if attributes != wanted:
            raise VerificationError(
                "the server asks to sign something else than this document under your newest "
                "certificate; nothing was signed",
                code="keys.other_bytes",
            )
        path = f"/api/v1/prepared/{prepared['id']}/complete"
        done = remote.post(path, {"signature_base64": _base64(signer.sign(attributes))})
    _say(f"signed; the agreement is {done['state']}, file SHA-256 {done['current_sha256']}")


def _affirm(remote: Remote, signer: LocalSigner, signer_id: str, *, act: str, yes: bool) -> None:
    made = remote.post(f"/api/v1/signers/{signer_id}/statements", {"act": act})
    message = base64.b64decode(made["message_base64"])
    tag, _, body = message.partition(b"\x00")
    value = canonical_parse(body)
    if not isinstance(value, dict) or intent_message(value) != message or value["act"] != act:
        raise VerificationError(
            "the server's statement is malformed; nothing was affirmed", code="keys.other_bytes"
        )
    del tag
    _say(str(value["text_zh"]))
    _say(str(value["text_en"]))
    if not yes:
        typer.confirm("Affirm 确认?", abort=True)
    path = f"/api/v1/statements/{made['id']}/affirm"
    remote.post(path, {"signature_base64": _base64(signer.sign(message))})


@contextmanager
def _signer(
    file: Path | None, module: Path | None, *, token: str, label: str, secret: str
) -> Iterator[FileSigner | pkcs11.TokenSigner]:
    if (file is None) == (module is None):
        raise InputError("name a --file or a --module", code="keys.place")
    if module is not None:
        with pkcs11.open_token(module, token=token, pin=secret, label=label) as opened:
            yield opened
        return
    assert file is not None
    yield FileSigner.load(file, secret)


def _secret(path: Path | None, *, confirm: bool = False) -> str:
    if path is not None:
        return _text(path)
    prompt: Any = typer.prompt("Password or PIN", hide_input=True, confirmation_prompt=confirm)
    return str(prompt)


def _text(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as exc:
        raise InputError(f"{path} cannot be read", code="keys.secret_file") from exc
    line = text.strip()
    if not line or len(line) > SECRET_CHARS_MAX or "\n" in line:
        raise InputError(f"{path} holds one line and nothing else", code="keys.secret_file")
    return line


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _say(text: str) -> None:
    Console().print(text, highlight=False, markup=False, soft_wrap=True)
