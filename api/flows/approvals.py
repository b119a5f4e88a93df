"""Approvals (用印审批): which seal one allows, who may use it, and how one is recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.flows.agreements import record_step
from api.flows.seals import rules_of
from api.ports import Ports
from ledger.core.errors import ConflictError, NotFoundError
from ledger.queries import agreements as queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.seals import SealRow
from signing import agreement as rules
from signing import seal_rules
from signing.statement_values import NamedSeal

SEAL_STOPPED: Final = "seal.not_enabled"
OTHER_SEAL: Final = "approval.other_seal"


def approved_seals(session: Session, row: AgreementRow, signer: SignerRow) -> list[SealRow]:
    """The seals that approvals of this signer's side name; empty where none names one."""
    named = {
        one.approved_seal_id
        for one in queries.signers_of(session, row.id)
        if one.organisation_id == signer.organisation_id
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

    Raises:
        NotFoundError, ConflictError: as `own_seal`.
        ConflictError: `approval.other_seal` (`context["seal"]`): a colleague approved another one.
    """
    named = own_seal(session, caller, seal_id, at=at)
    other = [one for one in approved_seals(session, row, signer) if one.id != named]
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
    at: datetime,
) -> None:
    """An approval stands: the place's row and the entry, beside the proven statement."""
    signer.approved_at = at
    signer.approved_seal_id = seal
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
