"""An invented certificate authority with OCSP, or time-stamp authority, a process of its own.

python authority_service.py ca PORT FOLDER TOKEN_FILE
python authority_service.py tsa PORT FOLDER

Both run our own code under other names, as a licensed authority behind a gateway would look: nothing in their
certificates says "built-in".
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import Body, FastAPI, Response

from api.ca_app import create_ca_app
from signing import ca, tsa
from signing.authorities import BuiltInAuthorities

NAMES = ("stand-in authority of a test", "测试用替身机构")


def now() -> datetime:
    return datetime.now(UTC)


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def ca_app(folder: Path, port: int, token_file: Path) -> FastAPI:
    ca.LABEL_EN, ca.LABEL_ZH = NAMES
    base = f"http://127.0.0.1:{port}/pki"
    addresses = ca.Addresses(crl=f"{base}/ca.crl", ocsp=f"{base}/ocsp", issuer=f"{base}/ca.crt")
    main = ca.BuiltInAuthority.create(
        folder, at=now(), common_name="stand-in root", addresses=addresses
    )
    (folder / "root.crt").write_bytes(pem(main.root_der))
    token = token_file.read_text().strip()
    return create_ca_app(BuiltInAuthorities(main, national=None), token=token, clock=now)


def tsa_app(folder: Path) -> FastAPI:
    tsa.LABEL_EN, tsa.LABEL_ZH = NAMES
    authority = tsa.BuiltInTimestampAuthority.create(folder, at=now())
    (folder / "root.crt").write_bytes(pem(authority.root_der))
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    def there() -> Response:
        return Response(b"", media_type="text/plain")

    @app.post("/tsa")
    def stamp(body: Annotated[bytes, Body(media_type="application/timestamp-query")]) -> Response:
        answer = authority.respond(body, at=now())
        return Response(answer, media_type="application/timestamp-reply")

    return app


def main() -> None:
    kind, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    app = ca_app(folder, port, Path(sys.argv[4])) if kind == "ca" else tsa_app(folder)
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
