"""JSON: clauses confirmed one by one, form fields filled, files attached, files uploaded by signers."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Path, Request, Response, UploadFile

from api.deps import AtDep, Handler, PortsDep, SessionDep, TenantOrOperator
from api.examining import examiner
from api.files import SUFFIXES
from api.flows import annexes, form_filling
from api.routes.agreements import AgreementId, read_upload
from api.routes.base import pages_of
from api.schemas.agreements import AgreementOut
from api.schemas.annexes import AttachmentOut, ConfirmIn, FillIn, FormFieldOut
from api.schemas.base import ID_CHARACTERS_MAX
from api.views.agreements import agreement_facts
from api.views.annexes import attachment_facts, form_field_facts
from signing.annexes import ATTACHMENTS_MAX, CLAUSES_MAX
from signing.intake import PdfLimits

router = APIRouter(prefix="/api/v1", tags=["agreements"])

FileId = Annotated[str, Form(max_length=ID_CHARACTERS_MAX, description="att_…, made by the caller")]
UPLOADED: Final = "the file: PDF, JPEG or PNG of at most 10 MB"


@router.post("/attachments", status_code=201)
def keep_file(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    id: FileId,  # noqa: A002 - the field's name
    file: Annotated[UploadFile, File(description=UPLOADED)],
) -> AttachmentOut:
    """Send a file that a new agreement will name in `attachments`; it is kept for a day."""
    row = annexes.keep_file(
        session,
        ports,
        caller,
        id,
        name=file.filename or "",
        data=read_upload(file, bytes_max=annexes.FILE_BYTES_MAX),
        at=at,
    )
    return attachment_facts(row, readable=True)


@router.post("/signers/{signer_id}/clauses/{clause}")
def confirm_clause(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    signer_id: AgreementId,
    clause: Annotated[int, Path(ge=1, le=CLAUSES_MAX)],
    body: ConfirmIn,
) -> AgreementOut:
    """Confirm one clause that was pointed out. Each is confirmed by itself, two seconds apart."""
    annexes.confirm_clause(
        session,
        ports,
        caller,
        signer_id,
        number=clause,
        clause_sha256=body.sha256,
        seconds=body.seconds,
        at=at,
    )
    return _agreement(session, caller, signer_id)


@router.post("/form-fields")
def list_form_fields(
    request: Request, caller: Handler, file: Annotated[UploadFile, File(description="the PDF")]
) -> list[FormFieldOut]:
    """The fields of a PDF's form: which of them `fillable` may leave to signers. Nothing is kept."""
    del caller
    limits = PdfLimits(bytes_max=pages_of(request).settings.upload_bytes_max)
    found = examiner().form_fields(read_upload(file, bytes_max=limits.bytes_max), limits=limits)
    return [form_field_facts(one) for one in found]


@router.post("/signers/{signer_id}/fields")
def fill_fields(
    session: SessionDep, at: AtDep, caller: Handler, signer_id: AgreementId, body: FillIn
) -> AgreementOut:
    """Keep what a signer writes into their own form fields; it goes into the file with their signature."""
    row = form_filling.save(session, caller, signer_id, values=body.values, at=at)
    return agreement_facts(session, caller, row.id)


@router.post("/signers/{signer_id}/uploads", status_code=201)
def upload(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    signer_id: AgreementId,
    id: FileId,  # noqa: A002 - the field's name
    file: Annotated[UploadFile, File(description=UPLOADED)],
    demand: Annotated[int | None, Form(ge=1, le=ATTACHMENTS_MAX)] = None,
) -> AgreementOut:
    """Add a file, asked for or not; until the will to sign it can be replaced or taken back."""
    annexes.add_upload(
        session,
        ports,
        caller,
        signer_id,
        attachment_id=id,
        demand=demand,
        name=file.filename or "",
        data=read_upload(file, bytes_max=annexes.FILE_BYTES_MAX),
        at=at,
    )
    return _agreement(session, caller, signer_id)


@router.post("/signers/{signer_id}/uploads/{attachment_id}/withdraw")
def take_back(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    signer_id: AgreementId,
    attachment_id: AgreementId,
) -> AgreementOut:
    """Take one's own file back, before the will to sign."""
    annexes.take_back(session, ports, caller, signer_id, attachment_id, at=at)
    return _agreement(session, caller, signer_id)


@router.get("/agreements/{agreement_id}/attachments/{attachment_id}", response_class=Response)
def get_attachment(
    session: SessionDep,
    ports: PortsDep,
    caller: TenantOrOperator,
    agreement_id: AgreementId,
    attachment_id: AgreementId,
) -> Response:
    """The bytes of a file, exactly as they were sent."""
    row = annexes.attachment_for(session, caller, agreement_id, attachment_id)
    plain = f"{row.id}.{SUFFIXES[row.media_type]}"
    return Response(
        ports.blobs.get(row.sha256),
        media_type=row.media_type,
        headers={
            # Somebody else's bytes: never shown by the browser under our address, only saved.
            "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(row.name)}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


def _agreement(session: SessionDep, caller: Handler, signer_id: str) -> AgreementOut:
    return agreement_facts(session, caller, annexes.agreement_of_place(session, signer_id))
