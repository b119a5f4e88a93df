"""Pages: start an agreement from an uploaded PDF or from the donation template."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api.callers import Caller, require_organisation
from api.deps import AtDep, Handler, PortsDep, SessionDep
from api.flows import agreements, drafts
from api.flows.parties import MATTERS
from api.routes.agreement_extras import (
    EXTRA_FIELDS,
    NO_EXTRAS,
    Attachments,
    clause_rows,
    extras_of,
    keep_files,
    with_extras,
)
from api.routes.agreements import read_upload
from api.routes.base import pages_of
from api.routes.forms import end_of, form_page, today_at
from api.schemas.base import ID_CHARACTERS_MAX
from api.settings import Settings
from api.views.custody_forms import allocation_values, of_allocation
from api.views.people import Signatory, find_signatory, handlers_of, newest_authorisation
from api.web.forms import FormReader
from api.web.pages import go
from ledger.chain import EMBEDDED_LABEL_ZH
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError, InputError
from ledger.core.ids import new_id
from ledger.queries import parties as party_queries
from signing.annexes import ATTACHMENTS_MAX, CLAUSES_MAX, ClauseKind
from signing.identity import check_uscc
from signing.numbers import mask_number

router = APIRouter(include_in_schema=False)

OPEN_DAYS: Final = 30
SIGNERS: Final = ("1", "2", "3")
"""Rows of the form; agreements with more parties come through the API."""
ROLES: Final = ("donor", "recipient", "principal", "contractor", "party")
QUANTITY_MAX: Final = 10**12
LONG_TEXT: Final = 2000
PARTY_TEXTS: Final = ("address", "legal_representative", "phone", "email", "system")
COMMON_FIELDS: Final = {
    "agreement.title": "title",
    "agreement.expiry": "expires_on",
    "authority.": "who_2",
    "party.not_found": "who_2",
}
UPLOAD_FIELDS: Final = {
    **COMMON_FIELDS,
    "pdf.": "file",
    "upload.": "file",
    "agreement.fields": "file",
    "agreement.signer": "who_2",
    **EXTRA_FIELDS,
}
YEARS_KEPT: Final = (3, 100)


class TemplateForm(BaseModel):
    """The donation form as typed; `own_` and `other_` are the two parties' details."""

    clause_kind: list[str] = Field(default_factory=list, max_length=CLAUSES_MAX)
    clause_text: list[str] = Field(default_factory=list, max_length=CLAUSES_MAX)
    clause_note: list[str] = Field(default_factory=list, max_length=CLAUSES_MAX)
    attached: str = Field(default="", max_length=4_000)
    ask: str = Field(default="", max_length=400)
    read_seconds: str = Field(default="0", max_length=8)
    amount: str = Field(default="", max_length=24)
    no_amount: str = Field(default="", max_length=3)
    approver: str = Field(default="", max_length=64)
    edges: str = Field(default="auto", max_length=8)
    point_out: str = Field(default="", max_length=3)
    attachments: list[UploadFile] = Field(default_factory=list, max_length=ATTACHMENTS_MAX)
    attempt: str = ""
    allocation: str = ""
    title: str = ""
    agreement_no: str = ""
    expires_on: str = ""
    place: str = ""
    own_side: str = ""
    who_1: str = ""
    who_2: str = ""
    own_uscc: str = ""
    own_address: str = ""
    own_legal_representative: str = ""
    own_phone: str = ""
    own_email: str = ""
    own_system: str = ""
    other_uscc: str = ""
    other_address: str = ""
    other_legal_representative: str = ""
    other_phone: str = ""
    other_email: str = ""
    other_system: str = ""
    name: str = ""
    model: str = ""
    standard: str = ""
    edition: str = ""
    lot: str = ""
    expiry: str = ""
    quantity: str = ""
    unit: str = ""
    deadline: str = ""
    delivery_place: str = ""
    consignee: str = ""
    carrier: str = ""
    purpose: str = ""
    institution: str = ""
    seat: str = ""
    years: str = ""


@router.get("/agreements/upload", response_class=HTMLResponse)
def upload_form(request: Request, session: SessionDep, at: AtDep, caller: Handler) -> Response:
    """The form to upload a PDF with; it carries the id of this attempt."""
    values = {
        "attempt": new_id("agr", at=at),
        "title": "",
        "matter": "donation",
        "expires_on": (today_at(at) + timedelta(days=OPEN_DAYS)).isoformat(),
        "place_of_formation": "",
        "file": "",
        **{f"who_{n}": "" for n in SIGNERS},
        "who_1": caller.person_id or "",
        "role_1": "donor",
        "role_2": "recipient",
        "role_3": "party",
        "place": "",
        "form_fields": "",
        **NO_EXTRAS,
    }
    return _upload_page(request, session, caller, values)


@router.post("/agreements/upload", response_class=HTMLResponse)
def upload(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    extras: Annotated[dict[str, str], Depends(extras_of)],
    attempt: Annotated[str, Form()] = "",
    title: Annotated[str, Form()] = "",
    matter: Annotated[str, Form()] = "",
    expires_on: Annotated[str, Form()] = "",
    place_of_formation: Annotated[str, Form()] = "",
    who_1: Annotated[str, Form()] = "",
    who_2: Annotated[str, Form()] = "",
    who_3: Annotated[str, Form()] = "",
    role_1: Annotated[str, Form()] = "",
    role_2: Annotated[str, Form()] = "",
    role_3: Annotated[str, Form()] = "",
    place: Annotated[str, Form()] = "",
    form_fields: Annotated[str, Form()] = "",
    file: Annotated[UploadFile | None, File()] = None,
    attachments: Attachments = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Publish an uploaded PDF to its signers."""
    values = {
        "attempt": attempt,
        "title": title,
        "matter": matter,
        "expires_on": expires_on,
        "place_of_formation": place_of_formation,
        "file": "" if file is None else (file.filename or ""),
        "who_1": who_1,
        "who_2": who_2,
        "who_3": who_3,
        "role_1": role_1,
        "role_2": role_2,
        "role_3": role_3,
        "place": place,
        "form_fields": form_fields,
        **extras,
    }
    reader = FormReader(values)
    if file is None or not file.filename:
        reader.fault("file", "form.required", "choose a PDF")
    try:
        new = read_upload_form(reader, session)
        if new is None or file is None:
            return _upload_page(request, session, caller, values, reader=reader)
        data = read_upload(file, bytes_max=ports.settings.upload_bytes_max)
        # A refusal undoes this step only: the form is then shown from the same transaction.
        with session.begin_nested():
            values["attached"] = keep_files(
                session, ports, caller, attachments, kept=extras["attached"], at=at
            )
            new = replace(new, attachments=tuple(filter(None, values["attached"].split(","))))
            if "yes" in (place, form_fields):
                drafts.keep_draft(session, ports, caller, attempt, data=data, request=values, at=at)
                step = "fields" if form_fields == "yes" else "place"
                return go(f"/agreements/{step}/{attempt}")
            agreements.create_from_upload(session, ports, caller, new, data=data, at=at)
    except FuqiError as error:
        return _upload_page(request, session, caller, values, reader=reader, error=error)
    return go(f"/agreements/{attempt}")


@router.get("/agreements/template", response_class=HTMLResponse)
def template_form(
    request: Request,
    session: SessionDep,
    at: AtDep,
    caller: Handler,
    allocation: Annotated[str, Query(max_length=ID_CHARACTERS_MAX)] = "",
) -> Response:
    """The form of the donation template, with what is known of my organisation and of a matched line."""
    attempt = new_id("agr", at=at)
    own = party_queries.parties_by_ids(session, [require_organisation(caller)])
    [organisation] = own.values()
    form = TemplateForm(
        attempt=attempt,
        agreement_no=f"FQ-{today_at(at):%Y%m%d}-{attempt[-6:].upper()}",
        expires_on=(today_at(at) + timedelta(days=OPEN_DAYS)).isoformat(),
        deadline=(today_at(at) + timedelta(days=7)).isoformat(),
        own_side="recipient" if organisation.category == "hospital" else "donor",
        who_1=caller.person_id or "",
        own_address=organisation.place or "",
        own_system=organisation.receiving_system or "fuqi",
        other_system="fuqi",
        years="20",
        point_out="yes",
    )
    values = _typed(form)
    if allocation:
        values |= allocation_values(session, caller, allocation)
    return _template_page(request, session, caller, values)


@router.post("/agreements/template", response_class=HTMLResponse)
def create_from_template(
    request: Request,
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Handler,
    form: Annotated[TemplateForm, Form()],
) -> Response:
    """Render the donation agreement and publish it to both signers."""
    values = _typed(form)
    reader = FormReader(values)
    try:
        read = _read_template_form(reader, session, ports.settings)
        if read is None:
            return _template_page(request, session, caller, values, reader=reader)
        new, data = of_allocation(session, caller, form.allocation, *read)
        with session.begin_nested():
            values["attached"] = keep_files(
                session, ports, caller, form.attachments, kept=values["attached"], at=at
            )
            new = replace(new, attachments=tuple(filter(None, values["attached"].split(","))))
            agreements.create_from_template(
                session, ports, caller, new, template="donation", data=data, at=at
            )
    except FuqiError as error:
        return _template_page(request, session, caller, values, reader=reader, error=error)
    return go(f"/agreements/{form.attempt}")


def read_upload_form(reader: FormReader, session: Session) -> agreements.NewAgreement | None:
    """The agreement that was typed; None with the faults in `reader`."""
    title = reader.text("title", characters_max=agreements.TITLE_CHARACTERS_MAX)
    matter = reader.choice("matter", sorted(MATTERS))
    expires_on = reader.day("expires_on")
    place = reader.text("place_of_formation", required=False)
    signers = []
    for n in SIGNERS:
        who = reader.text(f"who_{n}", required=n != "3")
        if who:
            role = reader.choice(f"role_{n}", ROLES)
            found = _signatory(reader, session, who, field=f"who_{n}")
            if found is not None:
                signers.append(agreements.SignerSpec(found.organisation.id, found.person.id, role))
    if reader.faults or expires_on is None:
        return None
    return with_extras(
        reader,
        agreements.NewAgreement(
            id=reader.values["attempt"],
            title=title,
            matter=matter,
            signers=tuple(signers),
            expires_at=end_of(expires_on),
            place_of_formation=place or None,
        ),
    )


def _signatory(reader: FormReader, session: Session, who: str, *, field: str) -> Signatory | None:
    try:
        return find_signatory(session, who, field=field)
    except FuqiError as error:
        reader.fault(field, error.error_code, error.message)
        return None


def _read_template_form(
    reader: FormReader, session: Session, settings: Settings
) -> tuple[agreements.NewAgreement, dict[str, Json]] | None:
    own = _signatory(reader, session, reader.text("who_1"), field="who_1")
    other = _signatory(reader, session, reader.text("who_2"), field="who_2")
    side = reader.choice("own_side", ("donor", "recipient"))
    expires_on = reader.day("expires_on")
    title = reader.text("title", characters_max=agreements.TITLE_CHARACTERS_MAX)
    blocks = {
        prefix: _party(reader, session, one, prefix=prefix)
        for prefix, one in (("own", own), ("other", other))
    }
    data = _template_data(reader, settings)
    if reader.faults or own is None or other is None or expires_on is None:
        return None
    donor, recipient = ("own", "other") if side == "donor" else ("other", "own")
    people = {"own": own, "other": other}
    new = agreements.NewAgreement(
        id=reader.values["attempt"],
        title=title,
        matter="donation",
        signers=tuple(
            agreements.SignerSpec(people[who].organisation.id, people[who].person.id, role)
            for who, role in ((donor, "donor"), (recipient, "recipient"))
        ),
        expires_at=end_of(expires_on),
    )
    first = side == "donor"
    stated = with_extras(reader, new, own=0 if first else 1, other=1 if first else 0)
    if stated is None:
        return None
    stated = replace(stated, point_out=reader.values.get("point_out") == "yes")
    return stated, {**data, "party_a": blocks[donor], "party_b": blocks[recipient]}


def _typed(form: TemplateForm) -> dict[str, str]:
    """The form's values as strings, the extras among them as `with_extras` reads them."""
    values: dict[str, str] = form.model_dump(
        exclude={"attachments", "clause_kind", "clause_text", "clause_note"}
    )
    return values | extras_of(
        form.clause_kind,
        form.clause_text,
        form.clause_note,
        attached=form.attached,
        ask=form.ask,
        read_seconds=form.read_seconds,
        amount=form.amount,
        no_amount=form.no_amount,
        approver=form.approver,
        edges=form.edges,
    )


def _party(
    reader: FormReader, session: Session, one: Signatory | None, *, prefix: str
) -> dict[str, Json]:
    """The party block of the template: names and authority from the record, contact data as typed."""
    block: dict[str, Json] = {key: reader.text(f"{prefix}_{key}") for key in PARTY_TEXTS}
    uscc = reader.text(f"{prefix}_uscc").upper()
    if uscc:
        try:
            uscc = check_uscc(uscc).code
        except InputError as error:
            reader.fault(f"{prefix}_uscc", error.error_code, error.message)
        else:
            if one is not None and mask_number(uscc) != one.organisation.number_masked:
                reader.fault(
                    f"{prefix}_uscc",
                    "form.uscc_other",
                    "this organisation is registered with another",
                )
    held = None if one is None else newest_authorisation(session, one)
    return block | {
        "name": "" if one is None else one.organisation.name,
        "uscc": uscc,
        "handler": "" if one is None else one.person.name,
        "authorisation": "–" if held is None else held.id,
    }


def _template_data(reader: FormReader, settings: Settings) -> dict[str, Json]:
    low, high = YEARS_KEPT
    deadline, expiry = reader.day("deadline"), reader.day("expiry", required=False)
    item: dict[str, Json] = {
        "name": reader.text("name"),
        "model": reader.text("model", required=False),
        "standard": reader.text("standard"),
        "edition": reader.text("edition", required=False),
        "lot": reader.text("lot", required=False),
        "expiry": "" if expiry is None else expiry.isoformat(),
        "quantity": reader.integer("quantity", low=1, high=QUANTITY_MAX),
        "unit": reader.text("unit"),
    }
    chain = EMBEDDED_LABEL_ZH if settings.chain_url is None else "本系统所锚定的区块链"
    return {
        "agreement_no": reader.text("agreement_no"),
        "place": reader.text("place", required=False),
        "items": [item],
        "delivery": {
            "deadline": "" if deadline is None else deadline.isoformat(),
            "place": reader.text("delivery_place"),
            "consignee": reader.text("consignee"),
            "carrier": reader.text("carrier", required=False),
        },
        "purpose": reader.text("purpose", characters_max=LONG_TEXT),
        "preservation": {
            "system": "fuqi 符契",
            "chain": chain,
            "years": reader.integer("years", low=low, high=high),
        },
        "arbitration": {
            "institution": reader.text("institution"),
            "seat": reader.text("seat"),
        },
    }


def _upload_page(
    request: Request,
    session: Session,
    caller: Caller,
    values: dict[str, str],
    *,
    reader: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    return form_page(
        request,
        "upload_form.html",
        caller=caller,
        values=values,
        faults=None if reader is None else reader.faults,
        error=error,
        fields=UPLOAD_FIELDS,
        own=handlers_of(session, require_organisation(caller)),
        roles_of_signers=ROLES,
        matters=sorted(MATTERS),
        clauses=clause_rows(values),
        clause_kinds=list(ClauseKind),
        bytes_max=pages_of(request).settings.upload_bytes_max,
    )


def _template_page(
    request: Request,
    session: Session,
    caller: Caller,
    values: dict[str, str],
    *,
    reader: FormReader | None = None,
    error: FuqiError | None = None,
) -> Response:
    own_first = values["own_side"] != "recipient"
    sides = ("party_a", "party_b") if own_first else ("party_b", "party_a")
    fields = {
        **COMMON_FIELDS,
        "agreement.signer": "who_2",
        **{
            f"{side}.{key}": f"{prefix}_{key}"
            for side, prefix in zip(sides, ("own", "other"), strict=True)
            for key in ("uscc", *PARTY_TEXTS)
        },
        **{
            f"items.0.{key}": key
            for key in ("name", "model", "standard", "edition", "lot", "expiry", "quantity", "unit")
        },
        "delivery.place": "delivery_place",
        **EXTRA_FIELDS,
    }
    return form_page(
        request,
        "template_form.html",
        caller=caller,
        values=values,
        faults=None if reader is None else reader.faults,
        error=error,
        fields=fields,
        own=handlers_of(session, require_organisation(caller)),
        clauses=clause_rows(values),
        clause_kinds=list(ClauseKind),
    )
