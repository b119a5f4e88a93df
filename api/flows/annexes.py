"""What goes with a document: clauses pointed out and confirmed one by one, files attached and files asked for.

All of it is fixed or journaled step by step, and named by digest in the statement that the signer's device
signs (`signing.annexes`): an arbitrator sees offline what was pointed out, who confirmed it when, and which
files belong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.examining import examiner
from api.files import PDF, media_type_of
from api.flows.agreements_rows import agreement_for, record_step, signer_for, state_of
from api.flows.form_filling import require_filled, statement_values
from api.flows.form_planning import plan_facts
from api.ports import Ports
from ledger.core.canonical import Json, sha256
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    LimitError,
    NotFoundError,
)
from ledger.core.ids import require_id
from ledger.queries import annexes as queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.annexes import (
    AttachmentRow,
    ClauseConfirmationRow,
    ClauseRow,
    UploadDemandRow,
)
from ledger.tables.form_fields import FormFieldRow
from signing import agreement as rules
from signing.annexes import (
    ATTACHMENTS_MAX,
    NAME_CHARS_MAX,
    Attached,
    Clause,
    Confirmed,
    annex,
    plain,
    read_clauses,
)
from signing.intake import PdfLimits
from signing.passages import Line, find_clauses

FILE_BYTES_MAX: Final = 10 * 1024 * 1024
"""A scanned licence of some pages, or a photograph; what is larger is an agreement of its own."""
CLAUSE_SECONDS_MIN: Final = 2
"""Between two confirmations, by the server's clock: one tap cannot confirm them all."""
CLAUSE_SECONDS_MAX: Final = 86_400
TOTAL_BYTES_MAX: Final = 64 * 1024 * 1024
"""All files of one agreement together: they go into one evidence bundle of at most 256 MiB."""
WAITING_MAX: Final = 100
"""Files an organisation has sent and not yet attached to an agreement."""
HANDED_ON: Final = "~"
"""Behind it, a place that was handed on keeps its field's name apart (`api.flows.places`)."""
WAITING_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ClauseSpec:
    """A clause that the author of an agreement points out.

    Attributes:
        text: as it stands in the document; its line breaks do not matter.
        explanation: what it means in plain words; "" for nothing.
    """

    kind: str
    text: str
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class DemandSpec:
    """A file that one signer is asked for.

    Attributes:
        signer: which, from 1, in the order of the agreement's list.
        required: whether they cannot sign without it.
    """

    signer: int
    label: str
    required: bool = True


def keep_file(
    session: Session,
    ports: Ports,
    caller: Caller,
    attachment_id: str,
    *,
    name: str,
    data: bytes,
    at: datetime,
) -> AttachmentRow:
    """Take a file that will be attached to an agreement; the same again returns it.

    It is kept for a day and seen by its organisation only, until an agreement names it.

    Raises:
        InputError: `id.malformed`, `attachment.type`, `attachment.name`; `pdf.*`.
        LimitError: `attachment.size`, `attachment.waiting`; `pdf.*`.
        ConflictError: `attachment.differs`.
    """
    organisation_id = require_organisation(caller)
    known = _known(session, attachment_id, organisation_id=organisation_id, data=data)
    if known is not None:
        return known
    waiting = queries.waiting_files(session, organisation_id)
    for one in waiting:
        if one.created_at + WAITING_FOR < at:
            session.delete(one)
    if sum(one.created_at + WAITING_FOR >= at for one in waiting) >= WAITING_MAX:
        raise LimitError(
            f"{WAITING_MAX} files wait to be attached: use them first, or send these tomorrow",
            code="attachment.waiting",
            limit=WAITING_MAX,
        )
    return _stored(session, ports, caller, attachment_id, name=name, data=data, at=at)


def located(specs: Sequence[ClauseSpec], document: bytes) -> list[tuple[Clause, tuple[Line, ...]]]:
    """The clauses and where they stand.

    Raises:
        InputError: `clause.*`; `clause.not_found` where one does not stand in the document.
        LimitError: `clause.too_many`; `render.*`.
    """
    given = [(one.kind, one.text, one.explanation) for one in specs]
    if not given:
        return []
    # Read first for the limits: nothing is searched for a hundred clauses.
    read_clauses(given, pages=[1] * len(given))
    lines = find_clauses(document, [one.text for one in specs])
    for number, boxes in enumerate(lines, start=1):
        if not boxes:
            raise InputError(
                f"clause {number} does not stand in the document: copy it from there",
                code="clause.not_found",
                clause=number,
            )
    clauses = read_clauses(given, pages=[boxes[0].page + 1 for boxes in lines])
    return list(zip(clauses, lines, strict=True))


def attach(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    signers: Sequence[SignerRow],
    *,
    clauses: Sequence[tuple[Clause, tuple[Line, ...]]],
    files: Sequence[str],
    demands: Sequence[DemandSpec],
    fields: Sequence[FormFieldRow] = (),
    at: datetime,
) -> None:
    """Fix, at publication, what is pointed out, what is attached, and what signers are asked for.

    Args:
        fields: of the form, that signers may fill (`api.flows.form_planning`).

    Raises:
        NotFoundError: a file that is absent, another organisation's or attached already.
        InputError: `upload.demand`.  LimitError: `attachment.too_many`, `attachment.total`.
    """
    if len(files) + len(demands) > ATTACHMENTS_MAX:
        raise LimitError(
            f"at most {ATTACHMENTS_MAX} files belong to an agreement",
            code="attachment.too_many",
            limit=ATTACHMENTS_MAX,
        )
    attached = [_own_file(session, row, one) for one in dict.fromkeys(files)]
    _require_total(sum(one.size_bytes for one in attached))
    asked = [
        _demand(row, signers, one, number=number) for number, one in enumerate(demands, start=1)
    ]
    for clause, lines in clauses:
        session.add(_clause_row(row, clause, lines))
    for one in attached:
        one.agreement_id = row.id
    session.add_all(demand for demand, _ in asked)
    if not (clauses or attached or asked or fields):
        return
    session.flush()
    record_step(
        session,
        ports,
        caller,
        row,
        "agreement.annexed",
        {
            "author": row.owner_organisation_id,
            "clauses": [clause.as_json() for clause, _ in clauses],
            "attachments": [_file_facts(one) for one in attached],
            "demands": [
                {
                    "number": demand.number,
                    "field": demand.field,
                    "signer": signer,
                    "label": demand.label,
                    "required": demand.required,
                }
                for demand, signer in asked
            ],
            **({"fields": plan_facts(fields)} if fields else {}),
        },
        at=at,
    )


def confirm_clause(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    *,
    number: int,
    clause_sha256: str,
    seconds: int,
    at: datetime,
) -> ClauseConfirmationRow:
    """One signer has read one clause that was pointed out, and says so. Again it changes nothing.

    Args:
        clause_sha256: of the clause as the client showed it.
        seconds: how long it was shown, as the client saw it.

    Raises:
        NotFoundError: another person's place; no such clause.
        ConflictError: `clause.not_asked`, `clause.other`, `clause.too_fast`, `agreement.*`.
        InputError: `agreement.read_seconds`.
    """
    row, signer = signer_for(session, caller, signer_id)
    clauses = {one.number: one for one in clauses_for(session, row, signer)}
    if not clauses:
        raise ConflictError("nothing is pointed out to this signer", code="clause.not_asked")
    if number not in clauses:
        raise NotFoundError("there is no such record")
    if clauses[number].sha256 != clause_sha256:
        raise ConflictError("this clause reads otherwise: load it again", code="clause.other")
    confirmed = queries.confirmations_of(session, [signer.id])[signer.id]
    if number in confirmed:
        return confirmed[number]
    if not 0 <= seconds <= CLAUSE_SECONDS_MAX:
        raise InputError("seconds of reading within one day", code="agreement.read_seconds")
    rules.consent(state_of(session, row), party=signer.organisation_id, at=at)
    if signer.opened_at is None:
        raise ConflictError("open the document first", code="agreement.not_opened")
    last = max([signer.opened_at, *(one.confirmed_at for one in confirmed.values())])
    if at - last < timedelta(seconds=CLAUSE_SECONDS_MIN):
        raise ConflictError(
            f"clauses are confirmed one by one, {CLAUSE_SECONDS_MIN} seconds apart: read it, then again",
            code="clause.too_fast",
            seconds=CLAUSE_SECONDS_MIN,
        )
    made = ClauseConfirmationRow(
        signer_id=signer.id, number=number, seconds=seconds, confirmed_at=at
    )
    session.add(made)
    session.flush()
    record_step(
        session,
        ports,
        caller,
        row,
        "clause.confirmed",
        {
            "signer": signer.id,
            "by": signer.person_id,
            "number": number,
            "clause_sha256": clause_sha256,
            "seconds": seconds,
        },
        at=at,
    )
    return made


def clauses_for(session: Session, row: AgreementRow, signer: SignerRow) -> Sequence[ClauseRow]:
    """Clauses that this signer must confirm: signers of the author's own side need not."""
    if signer.act != rules.Act.SIGN or signer.organisation_id == row.owner_organisation_id:
        return ()
    return queries.clauses_of(session, row.id)


def add_upload(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    *,
    attachment_id: str,
    demand: int | None,
    name: str,
    data: bytes,
    at: datetime,
) -> AttachmentRow:
    """A signer adds a file, asked for or not; before their will to sign it replaces an earlier one.

    The same again returns it.

    Raises:
        NotFoundError: another person's place; `upload.demand_unknown`.
        InputError: `id.malformed`, `attachment.type`, `attachment.name`; `pdf.*`.
        LimitError: `attachment.size`, `attachment.too_many`, `attachment.total`; `pdf.*`.
        ConflictError: `attachment.differs`, `upload.after_intent`, `agreement.*`.
    """
    row, signer = signer_for(session, caller, signer_id)
    known = _known(session, attachment_id, organisation_id=signer.organisation_id, data=data)
    if known is not None:
        if known.signer_id != signer.id:
            raise ConflictError("this id stands for another file", code="attachment.differs")
        return known
    _require_before_intent(session, row, signer, at=at)
    if demand is not None and demand not in {
        one.number for one in queries.demands_of(session, row.id) if one.field == signer.field
    }:
        raise NotFoundError(
            "you are not asked for a file of this number", code="upload.demand_unknown"
        )
    held = queries.attachments_of(session, row.id)
    earlier = [one for one in held if demand is not None and one.demand == demand]
    if len(held) - len(earlier) >= ATTACHMENTS_MAX:
        raise LimitError(
            f"at most {ATTACHMENTS_MAX} files belong to an agreement",
            code="attachment.too_many",
            limit=ATTACHMENTS_MAX,
        )
    kept = sum(one.size_bytes for one in held if one not in earlier)
    _require_total(kept + len(data))
    made = _stored(session, ports, caller, attachment_id, name=name, data=data, at=at)
    made.agreement_id, made.signer_id, made.demand = row.id, signer.id, demand
    made.person_id = signer.person_id
    for one in earlier:
        one.replaced_at = at
    session.flush()
    record_step(
        session,
        ports,
        caller,
        row,
        "attachment.added",
        {
            "signer": signer.id,
            "field": signer.field,
            "by": signer.person_id,
            "demand": demand,
            "attachment": _file_facts(made),
            "replaces": [one.id for one in earlier],
        },
        at=at,
    )
    return made


def take_back(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    attachment_id: str,
    *,
    at: datetime,
) -> AttachmentRow:
    """A signer takes their own file back, before their will to sign. What was sent stays recorded.

    Raises:
        NotFoundError: another person's place; no such file.
        ConflictError: `attachment.not_yours`, `upload.after_intent`, `agreement.*`.
    """
    row, signer = signer_for(session, caller, signer_id)
    found = session.get(AttachmentRow, attachment_id)
    if found is None or found.agreement_id != row.id:
        raise NotFoundError("there is no such record")
    if found.signer_id != signer.id:
        raise ConflictError(
            "a file is taken back by the signer who sent it; the author's stay as published",
            code="attachment.not_yours",
        )
    if found.replaced_at is not None:
        return found
    _require_before_intent(session, row, signer, at=at)
    found.replaced_at = at
    record_step(
        session,
        ports,
        caller,
        row,
        "attachment.withdrawn",
        {"signer": signer.id, "by": signer.person_id, "attachment": found.id},
        at=at,
    )
    return found


def require_annexed(session: Session, row: AgreementRow, signer: SignerRow) -> None:
    """Refuse a signature before each clause is confirmed, each required file is there, each field filled.

    Raises:
        ConflictError: `clause.unconfirmed`, `upload.missing`, `form.unfilled` (`context`: the numbers).
    """
    if signer.act != rules.Act.SIGN:
        return
    confirmed = queries.confirmations_of(session, [signer.id])[signer.id]
    open_ = [one.number for one in clauses_for(session, row, signer) if one.number not in confirmed]
    if open_:
        raise ConflictError(
            f"{len(open_)} clauses are pointed out to you: read and confirm each of them first",
            code="clause.unconfirmed",
            clauses=open_,
        )
    sent = {one.demand for one in queries.attachments_of(session, row.id)}
    missing = [
        one.number
        for one in queries.demands_of(session, row.id)
        if one.field == signer.field and one.required and one.number not in sent
    ]
    if missing:
        raise ConflictError(
            f"{len(missing)} files are asked for: send each of them first",
            code="upload.missing",
            demands=missing,
        )
    require_filled(session, row, signer)


def annex_of(session: Session, row: AgreementRow, signer: SignerRow) -> dict[str, Json] | None:
    """What the statement of this signer names beside the document, as things stand; None for nothing."""
    confirmed = queries.confirmations_of(session, [signer.id])[signer.id]
    by_number = {one.number: one for one in clauses_for(session, row, signer)}
    return annex(
        agreement=row.id,
        document_sha256=row.document_sha256,
        field=signer.field,
        clauses=[
            Confirmed(number, by_number[number].sha256, one.confirmed_at)
            for number, one in confirmed.items()
            if number in by_number
        ],
        attachments=[
            Attached(one.id, field, one.name, one.sha256, one.size_bytes)
            for one, field in files_of(session, row)
            if may_see(row, one, signer.organisation_id)
        ],
        fields=statement_values(session, row, signer),
    )


def files_of(session: Session, row: AgreementRow) -> list[tuple[AttachmentRow, str]]:
    """The files that belong to an agreement, and the field of whoever brought each; "" for the author."""
    found = queries.attachments_of(session, row.id)
    places = {one.signer_id for one in found if one.signer_id is not None}
    fields = {
        key: session.get_one(SignerRow, key).field.partition(HANDED_ON)[0] for key in sorted(places)
    }
    return [(one, fields[one.signer_id] if one.signer_id else "") for one in found]


def may_see(row: AgreementRow, file: AttachmentRow, organisation_id: str | None) -> bool:
    """A signer's file is for its own side and the author until all have signed, unless parts are handed out."""
    return (
        file.signer_id is None
        or organisation_id in (file.organisation_id, row.owner_organisation_id)
        or row.formed_at is not None
        or row.hand_out_partial
    )


def agreement_of_place(session: Session, signer_id: str) -> str:
    """Id of the agreement that a place is in."""
    return session.get_one(SignerRow, signer_id).agreement_id


def attachment_for(
    session: Session, caller: Caller, agreement_id: str, attachment_id: str
) -> AttachmentRow:
    """A file of an agreement that the caller takes part in; replaced ones too, for what was seen of them.

    Raises:
        NotFoundError: absent or another organisation's.
        ForbiddenError: `agreement.half_signed`.
    """
    row = agreement_for(session, caller, agreement_id)
    found = session.get(AttachmentRow, attachment_id)
    if found is None or found.agreement_id != row.id:
        raise NotFoundError("there is no such record")
    if not caller.is_operator and not may_see(row, found, caller.organisation_id):
        raise ForbiddenError(
            "signatures are missing: the other side's files are handed out when all stand",
            code="agreement.half_signed",
        )
    return found


def _known(
    session: Session, attachment_id: str, *, organisation_id: str, data: bytes
) -> AttachmentRow | None:
    require_id(attachment_id, prefix="att")
    known = session.get(AttachmentRow, attachment_id)
    if known is None:
        return None
    if (known.organisation_id, known.sha256) != (organisation_id, sha256(data).hex()):
        raise ConflictError("this id stands for another file", code="attachment.differs")
    return known


def _stored(
    session: Session,
    ports: Ports,
    caller: Caller,
    attachment_id: str,
    *,
    name: str,
    data: bytes,
    at: datetime,
) -> AttachmentRow:
    if len(data) > FILE_BYTES_MAX:
        raise LimitError(
            f"a file has at most {FILE_BYTES_MAX} bytes",
            code="attachment.size",
            bytes_max=FILE_BYTES_MAX,
        )
    media_type = media_type_of(data)
    if media_type is None:
        raise InputError(
            "a file is a PDF, a JPEG or a PNG; save others as PDF",
            code="attachment.type",
            field="file",
        )
    if media_type == PDF:
        # A stranger's file: in a child process, with limits on time and memory.
        examiner().take_in(
            data, limits=PdfLimits(bytes_max=FILE_BYTES_MAX, pages_max=ports.settings.pages_max)
        )
    shown = plain(name.replace("/", " ").replace("\\", " "))
    if not 0 < len(shown) <= NAME_CHARS_MAX:
        raise InputError(
            f"a file's name has 1 to {NAME_CHARS_MAX} characters",
            code="attachment.name",
            field="file",
        )
    made = AttachmentRow(
        id=attachment_id,
        organisation_id=require_organisation(caller),
        person_id=caller.person_id,
        name=shown,
        media_type=media_type,
        size_bytes=len(data),
        # Files first: a crash here leaves a file nothing refers to, never a row without its file.
        sha256=ports.blobs.put(data),
        created_at=at,
    )
    session.add(made)
    session.flush()
    return made


def _require_total(size: int) -> None:
    if size > TOTAL_BYTES_MAX:
        raise LimitError(
            f"the files of an agreement have at most {TOTAL_BYTES_MAX} bytes together",
            code="attachment.total",
            bytes_max=TOTAL_BYTES_MAX,
        )


def _own_file(session: Session, row: AgreementRow, attachment_id: str) -> AttachmentRow:
    found = session.get(AttachmentRow, attachment_id)
    if (
        found is None
        or found.agreement_id is not None
        or found.organisation_id != row.owner_organisation_id
    ):
        raise NotFoundError(
            "this file is not here, or belongs to another agreement: send it again",
            code="attachment.unknown",
        )
    return found


def _demand(
    row: AgreementRow, signers: Sequence[SignerRow], spec: DemandSpec, *, number: int
) -> tuple[UploadDemandRow, str]:
    label = plain(spec.label)
    asked = next((one for one in signers if one.position == spec.signer), None)
    if asked is None or asked.act != rules.Act.SIGN or not 0 < len(label) <= NAME_CHARS_MAX:
        raise InputError(
            f"a file is asked of a signer of the list, in 1 to {NAME_CHARS_MAX} characters",
            code="upload.demand",
            demand=number,
        )
    made = UploadDemandRow(
        agreement_id=row.id,
        number=number,
        field=asked.field,
        label=label,
        required=spec.required,
    )
    return made, asked.id


def _clause_row(row: AgreementRow, clause: Clause, lines: Sequence[Line]) -> ClauseRow:
    return ClauseRow(
        agreement_id=row.id,
        number=clause.number,
        kind=clause.kind.value,
        page=clause.page,
        text=clause.text,
        explanation=clause.explanation,
        sha256=clause.digest.hex(),
        boxes=json.dumps(
            [[one.page + 1, one.left, one.top, one.right, one.bottom] for one in lines]
        ),
    )


def _file_facts(file: AttachmentRow) -> Mapping[str, Json]:
    return {
        "id": file.id,
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size_bytes,
        "sha256": file.sha256,
    }


def _require_before_intent(
    session: Session, row: AgreementRow, signer: SignerRow, *, at: datetime
) -> None:
    rules.consent(state_of(session, row), party=signer.organisation_id, at=at)
    if signer.intent_at is not None:
        raise ConflictError(
            "your will to sign names the files as they are: they cannot be changed any more",
            code="upload.after_intent",
        )
