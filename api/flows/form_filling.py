"""Form fields that a published agreement leaves open to its signers: filled, signed for, recorded.

The author says at publication which signer may fill which text field (`form_planning`); the locks of the
signature fields say the same in the file. A signer fills before their will to sign, whose statement lists every
value that will stand in the file. With their signature the values are written into a revision of their own
right before it (`signing.form_fill`), and the entry `document.filled` says exactly what; all else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.agreements_rows import (
    record_step,
    shown_sha256,
    signer_for,
    state_of,
)
from api.flows.form_planning import shape_of_row
from api.ports import Ports
from ledger.core.canonical import Json, sha256
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
)
from ledger.queries import agreements as agreement_queries
from ledger.queries import form_fields as queries
from ledger.tables.agreements import AgreementRow, PreparedSignatureRow, SignerRow
from ledger.tables.form_fields import FormFieldRow, FormValueRow
from signing import agreement as rules
from signing.annexes import FieldValue
from signing.changes import RangeDigests, revision_ends
from signing.field_kinds import Kind, is_answered, normal, require_value
from signing.form_fill import Filled, fill
from signing.reading import RecordedEdit

FILLED: Final = "document.filled"
STATE_KEY: Final = "filled"
"""Under it a prepared signature remembers what it filled."""


def save(
    session: Session, caller: Caller, signer_id: str, *, values: Mapping[str, str], at: datetime
) -> AgreementRow:
    """Keep what a signer writes into their own fields; "" takes a value back. Again it changes nothing.

    Nothing is written into the file yet: until the will to sign every value can be changed.

    Raises:
        NotFoundError: another person's place; `form.field_unknown`.
        ForbiddenError: `form.not_yours`.
        InputError: `form.value_invalid`, `form.value_too_long` (`context["field"]`).
        ConflictError: `form.after_intent`, `agreement.not_opened`, `agreement.*`.
    """
    row, signer = signer_for(session, caller, signer_id)
    planned = {one.name: one for one in queries.fields_of(session, row.id)}
    for name in values:
        if name not in planned:
            raise NotFoundError(
                "there is no such field to be filled", code="form.field_unknown", field=name
            )
        if planned[name].field != signer.field:
            raise ForbiddenError(
                "this field is left to another signer", code="form.not_yours", field=name
            )
    rules.consent(state_of(session, row), party=signer.organisation_id, at=at)
    if signer.opened_at is None:
        raise ConflictError("open the document first", code="agreement.not_opened")
    if signer.intent_at is not None:
        raise ConflictError(
            "your will to sign lists the values as they are: they cannot be changed any more",
            code="form.after_intent",
        )
    for name, typed in sorted(values.items()):
        value = normal(typed, kind=Kind(planned[name].kind))
        kept = session.get(FormValueRow, (signer.id, name))
        if value in ("", planned[name].preset):
            if kept is not None:
                session.delete(kept)
            continue
        _require_value(value, planned[name])
        if kept is None:
            session.add(
                FormValueRow(
                    signer_id=signer.id,
                    name=name,
                    agreement_id=row.id,
                    value=value,
                    saved_at=at,
                )
            )
        elif kept.value != value:
            kept.value, kept.saved_at = value, at
    session.flush()
    return row


def require_filled(session: Session, row: AgreementRow, signer: SignerRow) -> None:
    """Refuse a signature before each required field has its value.

    Raises:
        ConflictError: `form.unfilled` (`context["fields"]`: their numbers).
    """
    own = _own(session, row, signer)
    missing = [
        one.number
        for one in queries.fields_of(session, row.id)
        if one.field == signer.field
        and one.required
        and not is_answered(
            own[one.name].value if one.name in own else one.preset, kind=Kind(one.kind)
        )
    ]
    if missing:
        raise ConflictError(
            f"{len(missing)} fields of the form are left to you: fill each of them first",
            code="form.unfilled",
            fields=missing,
        )


def statement_values(session: Session, row: AgreementRow, signer: SignerRow) -> list[FieldValue]:
    """Every value that will stand in the file this signer signs: filled by others before, and their own.

    For an approver, beside what others filled, what each signer of their side has saved.
    """
    fields = {one.name: one.field for one in queries.fields_of(session, row.id)}
    return [
        FieldValue(value.name, fields[value.name], value.value)
        for value, place in queries.values_of(session, row.id)
        if value.filled_at is not None
        or place.id == signer.id
        or (signer.act == rules.Act.APPROVE and _is_pending(place, signer.organisation_id))
    ]


def visible_values(session: Session, caller: Caller, row: AgreementRow) -> list[FormValueRow]:
    """What the caller sees of the values: all that is filled, their own, and what they are to approve."""
    me = (caller.person_id, caller.organisation_id)
    approves = row.formed_at is None and any(
        one.act == rules.Act.APPROVE and (one.person_id, one.organisation_id) == me
        for one in agreement_queries.signers_of(session, row.id)
    )
    return [
        value
        for value, place in queries.values_of(session, row.id)
        if value.filled_at is not None
        or (place.person_id, place.organisation_id) == me
        or (approves and _is_pending(place, caller.organisation_id))
    ]


def _is_pending(place: SignerRow, organisation_id: str | None) -> bool:
    """Whether what was saved at a place may still be signed for this side."""
    return (
        place.organisation_id == organisation_id
        and place.forwarded_at is None
        and place.refused_at is None
    )


def recorded_edits(session: Session, agreement_id: str) -> tuple[RecordedEdit, ...]:
    """What the log says was filled, for the verifier."""
    return tuple(
        _edit(value, place)
        for value, place in queries.values_of(session, agreement_id)
        if value.revision_sha256 is not None
    )


def edits_in(session: Session, data: bytes) -> tuple[RecordedEdit, ...]:
    """What the log says was filled in a file that somebody brings, found by the digests of its revisions."""
    digests = RangeDigests(data)
    ends = sorted(revision_ends(data))[: queries.DIGESTS_MAX]
    known = {digests.of_first(end).hex() for end in ends}
    return tuple(_edit(value, place) for value, place in queries.filled_with(session, known))


def values_to_fill(session: Session, signer: SignerRow) -> dict[str, str]:
    """What this signer's signature will write into the file."""
    row = session.get_one(AgreementRow, signer.agreement_id)
    return {one.name: one.value for one in _own(session, row, signer).values()}


def values_digest(values: Mapping[str, str]) -> str:
    """By it a prepared signature knows whether it filled these values."""
    return sha256(json.dumps(dict(sorted(values.items())), ensure_ascii=True).encode()).hex()


def prepared_state(values: Mapping[str, str], filled: Filled | None) -> dict[str, Json]:
    """What is kept beside a prepared signature."""
    if filled is None:
        return {}
    return {
        STATE_KEY: {
            "digest": values_digest(values),
            "revision_sha256": filled.edits[0].revision_sha256.hex(),
            "fields": [
                {"field": one.field, "old": one.old, "new": one.new} for one in filled.edits
            ],
        }
    }


def filled_digest(made: PreparedSignatureRow) -> str | None:
    """Digest of the values that a prepared signature filled; None for none."""
    held = json.loads(made.state).get(STATE_KEY)
    return None if held is None else str(held["digest"])


def prepared_edits(made: PreparedSignatureRow, signer: SignerRow) -> tuple[RecordedEdit, ...]:
    """What a prepared signature filled."""
    held = json.loads(made.state).get(STATE_KEY)
    if held is None:
        return ()
    digest = bytes.fromhex(held["revision_sha256"])
    return tuple(
        RecordedEdit(one["field"], one["old"], one["new"], digest, signer.field)
        for one in held["fields"]
    )


def record_filled(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    signer: SignerRow,
    edits: Sequence[RecordedEdit],
    *,
    base_sha256: str,
    at: datetime,
) -> None:
    """Record what this signature filled, in the transaction that accepts it and before it.

    Whoever else has already declared their will to sign did so for other values: they are asked again.
    """
    if not edits:
        return
    own = _own(session, row, signer)
    revision = edits[0].revision_sha256.hex()
    for one in edits:
        value = own[one.field]
        assert value.value == one.new, "the will to sign froze the values"
        value.old, value.revision_sha256, value.filled_at = one.old, revision, at
    for other in agreement_queries.signers_of(session, row.id):
        if other.id != signer.id and other.signed_at is None and other.act == rules.Act.SIGN:
            other.intent_at = None
    record_step(
        session,
        ports,
        caller,
        row,
        FILLED,
        {
            "signer": signer.id,
            "by": signer.person_id,
            "base_sha256": base_sha256,
            "revision_sha256": revision,
            "fields": [{"field": one.field, "old": one.old, "new": one.new} for one in edits],
        },
        at=at,
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """The file whose pages somebody is shown.

    Attributes:
        sha256: of the stored file.
        values: what is filled into it for the picture.
    """

    sha256: str
    values: Mapping[str, str]

    @property
    def tag(self) -> str:
        """Another one for another picture."""
        return self.sha256 if not self.values else values_digest({**self.values, "": self.sha256})

    def read(self, ports: Ports) -> bytes:
        """The bytes to draw."""
        data = ports.blobs.get(self.sha256)
        return fill(data, self.values).data if self.values else data


def shown_file(session: Session, caller: Caller, row: AgreementRow) -> Shown:
    """The file whose pages the caller is shown, with every value that they would sign or approve.

    While signatures are missing that is the unsigned document; the values that others filled stand in it all
    the same, for whoever signs next signs them.
    """
    shown = shown_sha256(row)
    values = {
        value.name: value.value
        for value in visible_values(session, caller, row)
        if value.filled_at is None or shown != row.current_sha256
    }
    return Shown(shown, values)


def _own(session: Session, row: AgreementRow, signer: SignerRow) -> dict[str, FormValueRow]:
    return {
        value.name: value
        for value, place in queries.values_of(session, row.id)
        if place.id == signer.id
    }


def _edit(value: FormValueRow, place: SignerRow) -> RecordedEdit:
    assert value.revision_sha256 is not None
    return RecordedEdit(
        value.name,
        value.old or "",
        value.value,
        bytes.fromhex(value.revision_sha256),
        place.field,
    )


def _require_value(value: str, field: FormFieldRow) -> None:
    try:
        require_value(value, shape=shape_of_row(field))
    except InputError as exc:
        raise InputError(
            exc.message, code=exc.error_code, field=field.name, label=field.label
        ) from exc
