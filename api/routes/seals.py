"""Seals: JSON of an organisation's seals, the duties for them and their uses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Response, UploadFile
from pydantic import ValidationError
from sqlalchemy.orm import Session

from api.callers import require_organisation
from api.deps import Admin, AtDep, Limit, PortsDep, SessionDep, Tenant
from api.flows import seals
from api.routes.agreements import read_upload
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.seals import (
    DutyEndIn,
    DutyIn,
    DutyOut,
    SealChangeIn,
    SealIn,
    SealOut,
    SealScopeIn,
    SealUseOut,
)
from ledger.core.errors import InputError
from ledger.queries import seals as queries
from ledger.tables.seals import SealRow
from signing.seal_pictures import BYTES_MAX

router = APIRouter(prefix="/api/v1/seals", tags=["seals"])

SealId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]


@router.get("")
def list_seals(session: SessionDep, caller: Tenant) -> list[SealOut]:
    """Seals of the caller's organisation, newest first."""
    return [facts(session, row) for row in queries.seals_of(session, require_organisation(caller))]


@router.post("", status_code=201)
def make_seal(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Admin, body: SealIn
) -> SealOut:
    """Make a seal, drawn by this system. It is used after it was approved and enabled."""
    return facts(session, seals.make_seal(session, ports, caller, new_seal(body), at=at))


@router.post("/upload", status_code=201)
def upload_seal(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Admin,
    file: Annotated[UploadFile, File(description="PNG or JPEG")],
    seal: Annotated[str, Form(max_length=4_000, description="JSON of SealIn")],
) -> SealOut:
    """Make a seal from a picture; what is kept are its pixels, encoded anew."""
    try:
        body = SealIn.model_validate_json(seal)
    except ValidationError as exc:
        where = ".".join(str(part) for part in exc.errors()[0]["loc"])
        raise InputError("the seal's JSON is malformed", code="input.invalid", field=where) from exc
    picture = read_upload(file, bytes_max=BYTES_MAX)
    new = new_seal(body, picture=picture)
    return facts(session, seals.make_seal(session, ports, caller, new, at=at))


@router.get("/{seal_id}")
def get_seal(session: SessionDep, caller: Tenant, seal_id: SealId) -> SealOut:
    """A seal and who is charged with it."""
    return facts(session, seals.seal_for(session, caller, seal_id))


@router.get("/{seal_id}/picture", response_class=Response)
def get_picture(session: SessionDep, ports: PortsDep, caller: Tenant, seal_id: SealId) -> Response:
    """The picture of a seal, PNG with a clear ground."""
    row = seals.seal_for(session, caller, seal_id)
    return Response(
        ports.blobs.get(row.picture_sha256),
        media_type="image/png",
        headers={"Cache-Control": "private, no-cache", "ETag": f'"{row.picture_sha256[:32]}"'},
    )


@router.post("/{seal_id}/change")
def change_seal(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    seal_id: SealId,
    body: SealChangeIn,
) -> SealOut:
    """Approve (audit), enable (manage), suspend (manage or audit) or destroy (manage) a seal."""
    row = seals.change_seal(
        session, ports, caller, seal_id, act=body.act, reason=body.reason, at=at
    )
    return facts(session, row)


@router.post("/{seal_id}/duties")
def grant_duty(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Tenant, seal_id: SealId, body: DutyIn
) -> SealOut:
    """Charge a person with a duty; only who manages the seal does."""
    row = seals.grant_duty(
        session, ports, caller, seal_id, person_id=body.person_id, duty=body.duty, at=at
    )
    return facts(session, row)


@router.post("/{seal_id}/duties/withdraw")
def withdraw_duty(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    seal_id: SealId,
    body: DutyEndIn,
) -> SealOut:
    """Take a duty back; one manager and one auditor always remain."""
    row = seals.withdraw_duty(session, ports, caller, seal_id, person_id=body.person_id, at=at)
    return facts(session, row)


@router.post("/{seal_id}/authorise")
def authorise_use(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Admin,
    seal_id: SealId,
    body: SealScopeIn,
) -> SealOut:
    """Give the user of a seal an authorisation whose seal scope covers it."""
    seals.authorise_use(
        session,
        ports,
        caller,
        seal_id,
        person_id=body.person_id,
        authorisation_id=body.id,
        at=at,
    )
    return facts(session, seals.seal_for(session, caller, seal_id))


@router.get("/{seal_id}/uses")
def list_uses(
    session: SessionDep, caller: Tenant, seal_id: SealId, limit: Limit = 50
) -> list[SealUseOut]:
    """The usage ledger, newest first; for whoever manages or audits the seal."""
    rows = seals.uses_for(session, caller, seal_id, limit=limit)
    return [SealUseOut.model_validate(row) for row in rows]


def facts(session: Session, row: SealRow) -> SealOut:
    """A seal with its duties."""
    duties = [DutyOut.model_validate(one) for one in queries.duties_of(session, row.id)]
    columns = {name: getattr(row, name) for name in SealOut.model_fields if name != "duties"}
    return SealOut(duties=duties, **columns)


def new_seal(body: SealIn, *, picture: bytes | None = None) -> seals.NewSeal:
    """What the flow takes."""
    return seals.NewSeal(
        id=body.id,
        kind=body.kind,
        name=body.name,
        auditor_id=body.auditor_id,
        valid_days=body.valid_days,
        shape=body.shape,
        number=body.number,
        width_mm=body.width_mm,
        picture=picture,
    )
