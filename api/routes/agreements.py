"""JSON: agreements and the steps of signing. Each route parses, authorises and calls one flow."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, Path, Query, Request, Response, UploadFile
from pydantic import ValidationError

from api.deps import AtDep, Handler, Limit, PortsDep, SessionDep, Tenant, TenantOrOperator
from api.edge import BULK_BYTES_MAX
from api.flows import agreements, bulk, marks, places, relations, signatures, stamping
from api.flows.annexes import ClauseSpec, DemandSpec
from api.flows.form_filling import shown_file
from api.flows.form_planning import FillSpec
from api.routes.accounts import from_base64
from api.routes.base import pages_of
from api.schemas.agreements import (
    ActIn,
    AgreementIn,
    AgreementList,
    AgreementOut,
    DifferenceOut,
    ForwardIn,
    MarksIn,
    PreparedOut,
    ProofIn,
    ReadIn,
    ReasonIn,
    StatementOut,
    TemplateAgreementIn,
    UploadAgreementIn,
)
from api.schemas.base import ID_CHARACTERS_MAX
from api.schemas.bulk import BulkIn, BulkOut, BulkRowOut
from api.views.agreements import agreement_facts, agreement_list
from ledger.core.canonical import canonical_parse
from ledger.core.errors import InputError, LimitError, NotFoundError
from ledger.queries import agreements as queries
from ledger.tables.agreements import IntentRow
from signing.intent import intent_message, statement_digest
from signing.render import page_png

router = APIRouter(prefix="/api/v1", tags=["agreements"])

AgreementId = Annotated[str, Path(max_length=ID_CHARACTERS_MAX)]
PAGE_SIDE_PX: Final = 1400
"""Longest side of a page picture: sharp on a phone at twofold density, about 200 kB."""


@router.get("/agreements")
def list_agreements(
    session: SessionDep,
    caller: TenantOrOperator,
    before: Annotated[str | None, Query(max_length=ID_CHARACTERS_MAX)] = None,
    limit: Limit = 20,
) -> AgreementList:
    """Agreements the caller's organisation takes part in, newest first."""
    return agreement_list(session, caller, before=before, limit=limit)


@router.post("/agreements", status_code=201)
def create_from_template(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, body: TemplateAgreementIn
) -> AgreementOut:
    """Render an agreement from a template, place its signature fields and deliver it."""
    row = agreements.create_from_template(
        session,
        ports,
        caller,
        replace(_new(body), point_out=body.point_out),
        template=body.template,
        data=body.data,
        at=at,
    )
    return agreement_facts(session, caller, row.id)


@router.post("/agreements/upload", status_code=201)
def create_from_upload(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    file: Annotated[UploadFile, File(description="the PDF")],
    agreement: Annotated[str, Form(max_length=200_000, description="JSON of UploadAgreementIn")],
) -> AgreementOut:
    """Start an agreement from an uploaded PDF."""
    try:
        body = UploadAgreementIn.model_validate_json(agreement)
    except ValidationError as exc:
        where = ".".join(str(part) for part in exc.errors()[0]["loc"])
        raise InputError(
            "the agreement's JSON is malformed", code="input.invalid", field=where
        ) from exc
    data = read_upload(file, bytes_max=pages_of(request).settings.upload_bytes_max)
    row = agreements.create_from_upload(
        session,
        ports,
        caller,
        _new(body),
        data=data,
        places=[one.place() for one in body.fields],
        at=at,
    )
    return agreement_facts(session, caller, row.id)


@router.post("/agreements/bulk")
def send_bulk(
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    file: Annotated[
        UploadFile, File(description="CSV in UTF-8 or GB 18030; see guides/agreements.md")
    ],
    order: Annotated[str, Form(max_length=100_000, description="JSON of BulkIn")],
    first: Annotated[int, Query(ge=1)] = 1,
    count: Annotated[int, Query(ge=1, le=bulk.SLICE_MAX)] = bulk.SLICE_MAX,
    check: Annotated[bool, Query(description="only try, send nothing")] = False,
) -> BulkOut:
    """Start an agreement from a template for each row; each row is sent or refused for itself."""
    try:
        body = BulkIn.model_validate_json(order)
    except ValidationError as exc:
        where = ".".join(str(part) for part in exc.errors()[0]["loc"])
        raise InputError(
            "the order's JSON is malformed", code="input.invalid", field=where
        ) from exc
    rows = bulk.read_rows(read_upload(file, bytes_max=BULK_BYTES_MAX))
    report = bulk.send_rows(
        ports,
        caller,
        bulk.Order(
            id=body.id,
            template=body.template,
            own_party=body.own_party,
            title=body.title,
            matter=body.matter,
            expires_at=body.expires_at,
            data=body.data,
            no_amount=body.no_amount,
            point_out=body.point_out,
            clauses=tuple(ClauseSpec(one.kind, one.text, one.explanation) for one in body.clauses),
            ask=tuple(body.ask),
            read_seconds_min=body.read_seconds_min,
            place_of_formation=body.place_of_formation,
        ),
        rows,
        first=first,
        count=count,
        check=check,
        at=at,
    )
    left = first + count
    return BulkOut(
        rows=len(rows),
        report=[BulkRowOut.model_validate(one) for one in report],
        next=left if left <= len(rows) else None,
    )


@router.get("/agreements/{agreement_id}")
def get_agreement(
    session: SessionDep, caller: TenantOrOperator, agreement_id: AgreementId
) -> AgreementOut:
    """An agreement with its signers, revisions and entries."""
    return agreement_facts(session, caller, agreement_id)


@router.get("/agreements/{agreement_id}/revisions/{number}", response_class=Response)
def get_revision(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    caller: TenantOrOperator,
    agreement_id: AgreementId,
    number: Annotated[int, Path(ge=0, le=100)],
) -> Response:
    """The bytes of one revision, exactly as signed."""
    del request
    row = agreements.agreement_for(session, caller, agreement_id)
    for one in queries.revisions_of(session, agreement_id):
        if one.number == number:
            agreements.require_handed_out(row, number)
            return Response(
                ports.blobs.get(one.sha256),
                media_type="application/pdf",
                headers={
                    "Content-Disposition": f'attachment; filename="{agreement_id}-{number}.pdf"',
                    # Opened from our address, a PDF must not be able to do anything here.
                    "Content-Security-Policy": "sandbox; default-src 'none'",
                },
            )
    raise NotFoundError("there is no such revision")


@router.get("/agreements/{agreement_id}/archive", response_class=Response)
def get_archive(
    session: SessionDep, ports: PortsDep, caller: TenantOrOperator, agreement_id: AgreementId
) -> Response:
    """The newest archived file (PAdES B-LTA): the signed bytes with the proofs that outlive them."""
    agreements.agreement_for(session, caller, agreement_id)
    found = queries.archives_of(session, agreement_id)
    if not found:
        raise NotFoundError(
            "not archived yet: a formed agreement is archived within a minute",
            code="archive.none",
        )
    return Response(
        ports.blobs.get(found[-1].sha256),
        media_type="application/pdf",
        headers={
            "Content-Disposition": f'attachment; filename="{agreement_id}-archive.pdf"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


@router.get("/agreements/{agreement_id}/pages/{page}", response_class=Response)
def get_page(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    caller: TenantOrOperator,
    agreement_id: AgreementId,
    page: Annotated[int, Path(ge=1, le=2000)],
) -> Response:
    """One page as a PNG; pages count from 1. Signatures show once all stand, or the sender allows it.

    What signers filled into form fields shows at once, and what the caller is about to fill shows to them.
    """
    row = agreements.agreement_for(session, caller, agreement_id)
    if page > row.pages:
        raise NotFoundError("there is no such page")
    shown = shown_file(session, caller, row)
    tag = _etag(shown.tag, page)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    picture = page_png(shown.read(ports), page=page - 1, side_px=PAGE_SIDE_PX)
    return Response(picture, media_type="image/png", headers=headers)


@router.post("/agreements/{agreement_id}/withdraw")
def withdraw(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    agreement_id: AgreementId,
    body: ReasonIn,
) -> AgreementOut:
    """Take an agreement back before the last signature. Cannot be undone."""
    agreements.withdraw(session, ports, caller, agreement_id, reason=body.reason, at=at)
    return agreement_facts(session, caller, agreement_id)


@router.post("/agreements/{agreement_id}/remind")
def remind(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Tenant, agreement_id: AgreementId
) -> AgreementOut:
    """Remind whoever is waited for; at most every four hours."""
    places.remind(session, ports, caller, agreement_id, at=at)
    return agreement_facts(session, caller, agreement_id)


@router.get("/agreements/{agreement_id}/difference")
def get_difference(
    session: SessionDep, ports: PortsDep, caller: TenantOrOperator, agreement_id: AgreementId
) -> DifferenceOut:
    """What the text says otherwise than the agreement it revises, amends or renews."""
    return DifferenceOut.model_validate(
        relations.difference(session, ports, caller, agreement_id), from_attributes=True
    )


@router.post("/signers/{signer_id}/forward")
def forward(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Tenant,
    signer_id: Annotated[str, Path(max_length=ID_CHARACTERS_MAX)],
    body: ForwardIn,
) -> AgreementOut:
    """Hand one's own place to another handler of the same organisation."""
    taken = places.forward(
        session, ports, caller, signer_id, to_person=body.person_id, reason=body.reason, at=at
    )
    return agreement_facts(session, caller, taken.agreement_id)


@router.post("/signers/{signer_id}/open")
def open_document(
    session: SessionDep, ports: PortsDep, at: AtDep, caller: Handler, signer_id: AgreementId
) -> AgreementOut:
    """The signer opens the document."""
    row = agreements.open_document(session, ports, caller, signer_id, at=at)
    return agreement_facts(session, caller, row.agreement_id)


@router.post("/signers/{signer_id}/read")
def read_document(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    signer_id: AgreementId,
    body: ReadIn,
) -> AgreementOut:
    """The signer has read every page."""
    row = agreements.read_document(
        session, ports, caller, signer_id, pages=body.pages, seconds=body.seconds, at=at
    )
    return agreement_facts(session, caller, row.agreement_id)


@router.post("/signers/{signer_id}/decline")
def decline(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    signer_id: AgreementId,
    body: ReasonIn,
) -> AgreementOut:
    """Refuse to sign, with a reason. Cannot be undone."""
    row = agreements.decline(session, ports, caller, signer_id, reason=body.reason, at=at)
    return agreement_facts(session, caller, row.id)


@router.post("/signers/{signer_id}/statements", status_code=201)
def make_statement(
    session: SessionDep, at: AtDep, caller: Handler, signer_id: AgreementId, body: ActIn
) -> StatementOut:
    """The exact sentence the signer is asked to affirm, with a fresh nonce."""
    row = signatures.make_statement(
        session, caller, signer_id, act=body.act, seal_id=body.seal_id, at=at
    )
    return _statement(row)


@router.post("/statements/{intent_id}/affirm")
def express_intent(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    intent_id: AgreementId,
    body: ProofIn,
) -> StatementOut:
    """Record the signer's will: the statement, signed by the key in the signer's certificate."""
    proof = from_base64(body.signature_base64, field="signature_base64")
    return _statement(
        signatures.express_intent(session, ports, caller, intent_id, proof=proof, at=at)
    )


@router.post("/signers/{signer_id}/signature/prepare", status_code=201)
def prepare_signature(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    signer_id: AgreementId,
    body: MarksIn | None = None,
) -> PreparedOut:
    """Step one of signing: the bytes the device must sign; with a seal or handwriting where given."""
    chosen = body or MarksIn()
    row = signatures.prepare_signature(
        session,
        ports,
        caller,
        signer_id,
        at=at,
        marks=marks.marks_of(seal_id=chosen.seal_id, edge=chosen.edge, strokes=chosen.strokes),
    )
    return PreparedOut(
        id=row.id,
        signer_id=row.signer_id,
        base_sha256=row.base_sha256,
        document_digest=row.document_digest,
        signed_attrs_base64=base64.b64encode(bytes.fromhex(row.signed_attrs)).decode(),
        expires_at=row.expires_at,
    )


@router.post("/prepared/{prepared_id}/complete")
def complete_signature(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    prepared_id: AgreementId,
    body: ProofIn,
) -> AgreementOut:
    """Step two of signing: the device's signature is embedded, time-stamped, validated, recorded."""
    signature = from_base64(body.signature_base64, field="signature_base64")
    # Before the session's first statement: no lock is held while an authority outside answers.
    token = stamping.fetch_token(ports, caller, prepared_id, signature=signature, at=at)
    row = signatures.complete_signature(
        session, ports, caller, prepared_id, signature=signature, at=at, token=token
    )
    return agreement_facts(session, caller, row.agreement_id)


def read_upload(file: UploadFile, *, bytes_max: int) -> bytes:
    """The uploaded bytes.

    Raises:
        LimitError: `upload.too_large`.
    """
    data = file.file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise LimitError("this file is too large", code="upload.too_large", bytes_max=bytes_max)
    return data


def _new(body: AgreementIn) -> agreements.NewAgreement:
    return agreements.NewAgreement(
        id=body.id,
        title=body.title,
        matter=body.matter,
        signers=tuple(
            agreements.SignerSpec(
                organisation_id=one.organisation_id,
                person_id=one.person_id,
                role=one.role,
                stage=one.stage,
                act=one.act,
            )
            for one in body.signers
        ),
        expires_at=body.expires_at,
        allocation_id=body.allocation_id,
        place_of_formation=body.place_of_formation,
        quorums=body.quorums,
        amount_minor=body.amount_minor,
        no_amount=body.no_amount,
        relation=body.relation,
        related_id=body.related_id,
        hand_out_partial=body.hand_out_partial,
        read_seconds_min=body.read_seconds_min,
        clauses=tuple(
            ClauseSpec(kind=one.kind, text=one.text, explanation=one.explanation)
            for one in body.clauses
        ),
        attachments=tuple(body.attachments),
        demands=tuple(
            DemandSpec(signer=one.signer, label=one.label, required=one.required)
            for one in body.demands
        ),
        fillable=tuple(
            FillSpec(
                name=one.name,
                signer=one.signer,
                label=one.label,
                required=one.required,
                place=None if one.place is None else one.place.place(),
            )
            for one in body.fillable
        ),
        edges=body.edges,
    )


def _statement(row: IntentRow) -> StatementOut:
    value = canonical_parse(row.statement.encode())
    assert isinstance(value, dict)
    return StatementOut(
        id=row.id,
        act=row.act,
        statement=value,
        statement_sha256=statement_digest(value).hex(),
        message_base64=base64.b64encode(intent_message(value)).decode(),
        annex=None if row.annex is None else json.loads(row.annex),
        used_at=row.used_at,
    )


def _etag(sha256: str, page: int) -> str:
    return f'"{sha256[:32]}-{page}"'
