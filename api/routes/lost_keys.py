"""A lost key: the page and the API of whoever holds it, and the notices to everybody concerned."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from api.access import credential_sha256
from api.callers import require_organisation
from api.deps import AtDep, Handler, Limit, PortsDep, SessionDep, Tenant, limit_attempts
from api.edge import SESSION_COOKIE
from api.flows import lost_keys
from api.routes.base import pages_of
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.notices import KeyReasonIn, LostKeyOut, NoticeOut
from api.web.pages import go
from ledger.queries import notices as queries

router = APIRouter()

CertificateId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]


class LostForm(BaseModel):
    """The form as sent."""

    reason: Literal["key_compromise", "superseded", "cessation_of_operation"] = "key_compromise"


@router.post("/api/v1/certificates/{certificate_id}/revoke", tags=["accounts"])
def revoke_certificate(
    request: Request,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    certificate_id: CertificateId,
    body: KeyReasonIn,
) -> LostKeyOut:
    """Block a lost or replaced key at once and for good; revoke its certificate; tell counterparties."""
    done = _report(request, ports, at, caller, certificate_id, reason=body.reason)
    return LostKeyOut(
        certificate_id=done.certificate.id,
        serial=done.certificate.serial,
        revoked_at=done.revoked_at,
        at_authority=done.at_authority,
        agreements=done.agreements,
        resumed=done.resumed,
    )


@router.get("/api/v1/notices", tags=["accounts"])
def list_notices(session: SessionDep, caller: Tenant, limit: Limit = 20) -> list[NoticeOut]:
    """Notices to the caller's organisation, newest first."""
    rows = queries.notices_of(session, require_organisation(caller), limit=limit)
    return [NoticeOut.model_validate(row) for row in rows]


@router.post("/api/v1/notices/{notice_id}/seen", tags=["accounts"])
def mark_seen(
    session: SessionDep, at: AtDep, caller: Tenant, notice_id: CertificateId
) -> NoticeOut:
    """Mark a notice as seen."""
    return NoticeOut.model_validate(lost_keys.mark_seen(session, caller, notice_id, at=at))


@router.get("/me/lost-key", response_class=HTMLResponse, include_in_schema=False)
def lost_key_page(
    request: Request, session: SessionDep, at: AtDep, caller: Handler, done: str = ""
) -> Response:
    """The holder's keys with one button each, what it does, and the notices."""
    organisation_id = require_organisation(caller)
    held = queries.certificates_of_person(
        session, organisation_id=organisation_id, person_id=caller.person_id or ""
    )
    return pages_of(request).page(
        request,
        "lost_key.html",
        caller=caller,
        certificates=held,
        notices=queries.notices_of(session, organisation_id, limit=20),
        done=next((one for one in held if one.id == done), None),
        at=at,
    )


@router.post("/me/lost-key/{certificate_id}", include_in_schema=False)
def report_lost_key(
    request: Request,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    certificate_id: CertificateId,
    form: Annotated[LostForm, Form()],
) -> Response:
    """Block the key; the page then says what goes on."""
    _report(request, ports, at, caller, certificate_id, reason=form.reason)
    return go(f"/me/lost-key?done={certificate_id}")


def _report(
    request: Request,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    certificate_id: str,
    *,
    reason: str,
) -> lost_keys.LostKey:
    limit_attempts(request, "lost.account", who=caller.account_id)
    token = request.cookies.get(SESSION_COOKIE, "")
    return lost_keys.report_lost_key(
        ports,
        caller,
        certificate_id,
        reason=reason,
        at=at,
        kept_session=credential_sha256(token) or "",
    )
