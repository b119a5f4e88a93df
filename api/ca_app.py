"""The HTTP shell of a certificate authority that runs by itself: see `signing.providers.certificates`."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Body, FastAPI, Request, Response
from starlette.responses import JSONResponse

from api.edge import BodyLimit
from api.errors import UnauthenticatedError, add_error_handlers
from ledger.core.errors import NotFoundError
from signing import ocsp
from signing.authorities import BuiltInAuthorities
from signing.providers.certificates import answer_lists, answer_request, answer_revocation

BODY_BYTES_MAX: Final = 64 * 1024
"""The largest honest request, a list of OCSP questions, has 8 kB."""


def create_ca_app(
    authority: BuiltInAuthorities, *, token: str, clock: Callable[[], datetime]
) -> FastAPI:
    """The application; everything but OCSP, lists of revocations and roots needs the bearer token."""
    app = FastAPI(title="fuqi CA", docs_url=None, redoc_url=None, openapi_url=None)
    add_error_handlers(app)
    app.add_middleware(BodyLimit, file_bytes_max=BODY_BYTES_MAX)
    responders = tuple(ocsp.OcspResponder(one) for one in authority.all)
    by_name = {"ca": authority.main, "ca-sm2": authority.national}

    def require_token(request: Request) -> None:
        sent = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(sent, f"Bearer {token}".encode()):
            raise UnauthenticatedError("this token does not work", code="auth.key_invalid")

    @app.post("/certificates")
    def certificates(request: Request, body: Annotated[dict[str, Any], Body()]) -> Response:
        require_token(request)
        return _json(answer_request(authority, body, at=clock()))

    @app.post("/revocations")
    def revocations(request: Request, body: Annotated[dict[str, Any], Body()]) -> Response:
        require_token(request)
        return _json(answer_revocation(authority, body, at=clock()))

    @app.get("/lists")
    def lists(request: Request) -> Response:
        require_token(request)
        return _json(answer_lists(authority, at=clock()))

    @app.get("/pki/{name}.crl")
    def revocation_list(name: str) -> Response:
        found = by_name.get(name)
        if found is None:
            raise NotFoundError("there is no such authority")
        return Response(found.published_crl(at=clock()), media_type="application/pkix-crl")

    @app.get("/pki/{name}.crt")
    def root(name: str) -> Response:
        found = by_name.get(name)
        if found is None:
            raise NotFoundError("there is no such authority")
        return Response(found.root_der, media_type="application/pkix-cert")

    @app.post("/pki/ocsp")
    def answer_ocsp(
        body: Annotated[bytes, Body(media_type="application/ocsp-request")],
    ) -> Response:
        asked = ocsp.first_issuer_name_hash(body)
        responder = next(
            (one for one in responders if asked and one.answers_for(asked)), responders[0]
        )
        return Response(responder.respond(body, at=clock()), media_type="application/ocsp-response")

    return app


def _json(data: bytes) -> Response:
    return Response(data, media_type=JSONResponse.media_type)
