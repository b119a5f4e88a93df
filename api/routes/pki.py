"""What certificates point to: revocation lists, roots and the OCSP responder; and the time-stamp authority.

Only for built-in authorities: an external one has addresses of its own. Answers are DER, as RFC 5280
(4.2.1.13), RFC 6960 (appendix A) and RFC 3161 (3.4) put them on HTTP.
"""

from __future__ import annotations

import base64
import binascii
import threading
from datetime import datetime
from typing import Annotated, Final, cast
from urllib.parse import unquote

from fastapi import APIRouter, Body, Depends, Request, Response

from api.deps import PUBLIC, AtDep, PortsDep, limit_attempts
from api.ports import Ports
from ledger.core.errors import InputError, LimitError, NotFoundError
from signing import ocsp
from signing.authorities import BuiltInAuthorities
from signing.ca import CRL_KEPT, BuiltInAuthority
from signing.tsa import REQUEST_BYTES_MAX as STAMP_BYTES_MAX
from signing.tsa import BuiltInTimestampAuthority

router = APIRouter(prefix="/pki", tags=["pki"])

OCSP_GET_CHARS_MAX: Final = 1024
"""RFC 5019 keeps GET below 255 bytes; several certificates go by POST."""
_OCSP_QUERY: Final = "application/ocsp-request"
_OCSP_REPLY: Final = "application/ocsp-response"
_STAMP_QUERY: Final = "application/timestamp-query"
_STAMP_REPLY: Final = "application/timestamp-reply"
_CRL: Final = "application/pkix-crl"
_CERTIFICATE: Final = "application/pkix-cert"
_LOCK: Final = threading.Lock()

OcspBody = Annotated[bytes, Body(media_type=_OCSP_QUERY)]
StampBody = Annotated[bytes, Body(media_type=_STAMP_QUERY)]


@router.get("/{name}.crl", response_class=Response, dependencies=[Depends(PUBLIC)])
def revocation_list(request: Request, ports: PortsDep, at: AtDep, name: str) -> Response:
    """The revocation list of `ca` or `ca-sm2`, DER; fresh after every revocation."""
    limit_attempts(request, "pki.address")
    authority = _authority(ports, name)
    headers = {"Cache-Control": f"public, max-age={int(CRL_KEPT.total_seconds()) // 12}"}
    return Response(authority.published_crl(at=at), media_type=_CRL, headers=headers)


@router.get("/{name}.crt", response_class=Response, dependencies=[Depends(PUBLIC)])
def root_certificate(ports: PortsDep, name: str) -> Response:
    """The root of `ca` or `ca-sm2`, DER. To trust it, compare it with one handed over otherwise."""
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(_authority(ports, name).root_der, media_type=_CERTIFICATE, headers=headers)


@router.post("/ocsp", response_class=Response, dependencies=[Depends(PUBLIC)])
def ocsp_post(request: Request, ports: PortsDep, at: AtDep, body: OcspBody = b"") -> Response:
    """Answer an OCSP request; also a malformed one gets a (short, unsigned) OCSP response."""
    limit_attempts(request, "pki.address")
    return _ocsp(request, ports, body, at=at)


@router.get("/ocsp/{question:path}", response_class=Response, dependencies=[Depends(PUBLIC)])
def ocsp_get(request: Request, ports: PortsDep, at: AtDep, question: str) -> Response:
    """The same with the request in the address (base64), which caches keep."""
    limit_attempts(request, "pki.address")
    text = unquote(question)
    if len(text) > OCSP_GET_CHARS_MAX:
        raise LimitError(
            "send this request by POST", code="pki.too_large", limit=OCSP_GET_CHARS_MAX
        )
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""  # answered as malformed, like everything else that is no request
    return _ocsp(request, ports, data, at=at)


@router.post("/tsa", response_class=Response, dependencies=[Depends(PUBLIC)])
def time_stamp(request: Request, ports: PortsDep, at: AtDep, body: StampBody = b"") -> Response:
    """Time-stamp an imprint (RFC 3161) with the built-in authority, which is no independent witness."""
    limit_attempts(request, "stamp.address")
    tsa = ports.tsa
    if not isinstance(tsa, BuiltInTimestampAuthority):
        raise NotFoundError("the time-stamp authority of this installation is elsewhere")
    _require(request, _STAMP_QUERY, body, bytes_max=STAMP_BYTES_MAX)
    return Response(tsa.respond(body, at=at), media_type=_STAMP_REPLY)


def _ocsp(request: Request, ports: Ports, data: bytes, *, at: datetime) -> Response:
    if request.method == "POST":
        _require(request, _OCSP_QUERY, data, bytes_max=ocsp.REQUEST_BYTES_MAX)
    responders = _responders(request, ports)
    asked = ocsp.first_issuer_name_hash(data)
    responder = next((one for one in responders if asked and one.answers_for(asked)), responders[0])
    answer = responder.respond(data, at=at)
    headers = {"Cache-Control": f"public, max-age={int(ocsp.KEPT_FOR.total_seconds()) // 12}"}
    return Response(
        answer, media_type=_OCSP_REPLY, headers=headers if request.method == "GET" else None
    )


def _responders(request: Request, ports: Ports) -> tuple[ocsp.OcspResponder, ...]:
    """One per authority, made once per process: they keep answers ready."""
    built_in = _built_in(ports)
    with _LOCK:
        state = request.app.state
        if not hasattr(state, "ocsp_responders"):
            state.ocsp_responders = tuple(ocsp.OcspResponder(one) for one in built_in.all)
        return cast("tuple[ocsp.OcspResponder, ...]", state.ocsp_responders)


def _authority(ports: Ports, name: str) -> BuiltInAuthority:
    built_in = _built_in(ports)
    found = {"ca": built_in.main, "ca-sm2": built_in.national}.get(name)
    if found is None:
        raise NotFoundError("there is no such authority")
    return found


def _built_in(ports: Ports) -> BuiltInAuthorities:
    if not isinstance(ports.authority, BuiltInAuthorities):
        raise NotFoundError("the certificate authority of this installation is elsewhere")
    return ports.authority


def _require(request: Request, media_type: str, body: bytes, *, bytes_max: int) -> None:
    """Refuse another media type (another site's form could not send ours unasked) and long bodies.

    Raises:
        InputError: `pki.content_type`.
        LimitError: `pki.too_large`.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != media_type:
        raise InputError(f"send this as {media_type}", code="pki.content_type")
    if len(body) > bytes_max:
        raise LimitError("this request is too long", code="pki.too_large", limit=bytes_max)
