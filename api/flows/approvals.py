"""Approvals (用印审批): which seal and which values one allows, when it is given again, how it is recorded.

An approval lists the values of form fields that its approver saw: filled by others before, and saved by their
own signers. Each step towards a signature compares them with what it would sign, under the lock of
the agreement's row that saving, approving and signing all take: whichever comes second sees the first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import record_step, state_of
from api.flows.agreements_rows import quorums_of
from api.flows.form_filling import statement_values
from api.flows.seals import rules_of
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, NotFoundError
from ledger.core.units import digest32
from ledger.queries import agreements as queries
from ledger.queries import form_fields as form_queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.seals import SealRow
from signing import agreement as rules
from signing import seal_rules
from signing.annexes import FieldValue, differing
from signing.statement_values import NamedSeal

SEAL_STOPPED: Final = "seal.not_enabled"
OTHER_SEAL: Final = "approval.other_seal"
OTHER_VALUES: Final = "approval.other_values"


def approved_seals(
    session: Session, row: AgreementRow, signer: SignerRow, *, but: str | None = None
) -> list[SealRow]:
    """The seals that approvals of this signer's side name; empty where none names one.

    Args:
        but: id of a place whose approval does not count.
    """
    named = {
        one.approved_seal_id
        for one in queries.signers_of(session, row.id)
        if one.organisation_id == signer.organisation_id
        and one.id != but
        and one.approved_at is not None
        and one.approved_seal_id is not None
    }
    return [session.get_one(SealRow, one) for one in sorted(filter(None, named))]


def require_approved_seal(
    session: Session, row: AgreementRow, signer: SignerRow, seal_id: str | None
) -> None:
    """Refuse a seal that an approval of the signer's side does not allow; no seal at all is allowed.

    Raises:
        ConflictError: `seal.not_approved` (`context["seal"]`: the one that is allowed).
    """
    allowed = approved_seals(session, row, signer)
    if seal_id is None or all(one.id == seal_id for one in allowed):
        return
    raise ConflictError(
        f"your side approved the use of {allowed[0].name}: choose that seal, or sign without one",
        code="seal.not_approved",
        seal=allowed[0].id,
    )


def unapproved_fields(session: Session, row: AgreementRow, signer: SignerRow) -> list[str]:
    """Names of form fields in which this signer would sign other values than their side approved; [] for none.

    An approval stage before the signer's counts where their side approved in it; as many of those approvals
    as the stage cannot do without must list what is signed.
    """
    if signer.act != rules.Act.SIGN or not form_queries.fields_of(session, row.id):
        return []
    values = statement_values(session, row, signer)
    places = queries.signers_of(session, row.id)
    quorums, found = quorums_of(row), set[str]()
    for stage in sorted({one.stage for one in places if one.stage < signer.stage}):
        members = [one for one in places if one.stage == stage]
        own = [one for one in members if one.organisation_id == signer.organisation_id]
        faults = [
            differing(_listed_by(one), values, field=signer.field)
            for one in own
            if one.approved_at is not None
        ]
        needed = rules.approvals_needed(
            given=len(faults),
            need=quorums.get(stage, len(members)),
            others=len(members) - len(own),
        )
        if sum(not names for names in faults) < needed:
            found.update(name for names in faults for name in names)
    return sorted(found)


def require_approved_values(session: Session, row: AgreementRow, signer: SignerRow) -> None:
    """Refuse to sign values that the approvals of the signer's side do not list.

    Raises:
        ConflictError: `approval.other_values` (`context["fields"]`: numbers of the form fields).
    """
    names = unapproved_fields(session, row, signer)
    if names:
        raise ConflictError(
            f"{len(names)} fields of the form say something else than your side approved: "
            "ask your approver to look at them and to approve again, then sign",
            code=OTHER_VALUES,
            fields=[
                one.number for one in form_queries.fields_of(session, row.id) if one.name in names
            ],
        )


def may_approve_again(session: Session, row: AgreementRow, approver: SignerRow) -> bool:
    """Whether somebody of the approver's side is to sign values that this place has not approved."""
    if approver.act != rules.Act.APPROVE or approver.refused_at is not None:
        return False
    if not form_queries.fields_of(session, row.id):
        return False
    value = state_of(session, row)
    if value.state in rules.FINAL_STATES or (
        approver.approved_at is None and value.needed(approver.stage)
    ):
        return False
    return any(
        one.organisation_id == approver.organisation_id
        and one.stage > approver.stage
        and one.signed_at is None
        and one.refused_at is None
        and bool(value.needed(one.stage))
        and bool(unapproved_fields(session, row, one))
        and bool(
            differing(_listed_by(approver), statement_values(session, row, one), field=one.field)
        )
        for one in queries.signers_of(session, row.id)
    )


def require_can_approve(
    session: Session, row: AgreementRow, approver: SignerRow, *, at: datetime
) -> None:
    """Refuse an approval out of turn, and a second one where the first lists what is to be signed.

    Raises:
        ForbiddenError, ConflictError: `agreement.*`.
    """
    again = may_approve_again(session, row, approver)
    approve = rules.approve_again if again else rules.approve
    approve(
        state_of(session, row),
        person=approver.person_id,
        field=approver.field,
        document_sha256=digest32(bytes.fromhex(row.document_sha256)),
        at=at,
    )


def _listed_by(approver: SignerRow) -> list[FieldValue]:
    listed = json.loads(approver.approved_values or "[]")
    return [FieldValue(name, field, value) for name, field, value in listed]


def _kept(annex: Mapping[str, Json] | None) -> str:
    """The values that an approval's annex lists, as its place keeps them."""
    fields = (annex or {}).get("fields", [])
    assert isinstance(fields, Sequence)
    return json.dumps([[one["name"], one["field"], one["value"]] for one in fields])  # type: ignore[index, call-overload]


def own_seal(session: Session, caller: Caller, seal_id: str | None, *, at: datetime) -> str | None:
    """The id of a seal of the caller's organisation that is in force; None for none.

    Raises:
        NotFoundError: absent or another organisation's.  ConflictError: `seal.not_enabled`.
    """
    if seal_id is None:
        return None
    seal = session.get(SealRow, seal_id)
    if seal is None or seal.organisation_id != require_organisation(caller):
        raise NotFoundError("there is no such record")
    if not in_force(session, seal, at=at):
        raise ConflictError("this seal is not in use now", code=SEAL_STOPPED)
    return seal.id


def require_seal_for(
    session: Session,
    caller: Caller,
    row: AgreementRow,
    signer: SignerRow,
    seal_id: str | None,
    *,
    at: datetime,
) -> str | None:
    """The id of the seal that an approval at this place may name; None for any of that side's.

    What the same place named before binds it no more: it approves again.

    Raises:
        NotFoundError, ConflictError: as `own_seal`.
        ConflictError: `approval.other_seal` (`context["seal"]`): a colleague approved another one.
    """
    named = own_seal(session, caller, seal_id, at=at)
    other = [one for one in approved_seals(session, row, signer, but=signer.id) if one.id != named]
    if named is not None and other:
        raise ConflictError(
            f"a colleague approved the use of {other[0].name}: approve that seal, or name none",
            code=OTHER_SEAL,
            seal=other[0].id,
        )
    return named


def named_seal(session: Session, seal_id: str | None) -> NamedSeal | None:
    """The seal as an approval names it."""
    if seal_id is None:
        return None
    seal = session.get_one(SealRow, seal_id)
    return NamedSeal(seal.id, seal.kind, seal.picture_sha256)


def record_approval(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    signer: SignerRow,
    *,
    statement_sha256: str,
    certificate: str,
    authorisation: str,
    seal: str | None,
    annex: Mapping[str, Json] | None,
    at: datetime,
) -> None:
    """An approval stands: the place's row and the entry, beside the proven statement.

    Given again it takes the place of the earlier one, whose entries stay in the log.

    Args:
        annex: what the statement names beside the document; its form fields are what was approved.
    """
    signer.approved_at = at
    signer.approved_seal_id = seal
    signer.approved_values = _kept(annex)
    record_step(
        session,
        ports,
        caller,
        row,
        rules.EVENT_APPROVED,
        {
            "signer": signer.id,
            "by": signer.person_id,
            "organisation": signer.organisation_id,
            "statement_sha256": statement_sha256,
            "certificate": certificate,
            "authorisation": authorisation,
            **({} if seal is None else {"seal": seal}),
        },
        at=at,
    )


def in_force(session: Session, seal: SealRow, *, at: datetime) -> bool:
    """Whether the seal is enabled and within its period."""
    value = rules_of(session, seal)
    return value.state is seal_rules.State.ENABLED and value.valid_from <= at < value.valid_to
