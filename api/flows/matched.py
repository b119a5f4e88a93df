"""What ties an agreement to the match it came from."""

from __future__ import annotations

from sqlalchemy.orm import Session

from ledger.core.canonical import Json
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow, RoundRow


def allocation_facts(session: Session, allocation_id: str | None) -> dict[str, Json] | None:
    """The accepted line and its round's digests, as the entries state them; None without a match."""
    line = None if allocation_id is None else session.get(AllocationRow, allocation_id)
    if line is None:
        return None
    found = session.get(RoundRow, line.round_id)
    assert found is not None
    return {
        "round": found.id,
        "allocation": line.id,
        "offer": line.offer_id,
        "need": line.need_id,
        "quantity": line.quantity,
        "km": line.km,
        "inputs_sha256": found.inputs_sha256,
        "policy_sha256": found.policy_sha256,
        "plan_sha256": found.plan_sha256,
        "certificate_sha256": found.certificate_sha256,
        "objective": (found.summary or {}).get("objective"),
    }


def organisations_of_subject(session: Session, subject: str) -> tuple[str | None, ...]:
    """Organisations that a need, offer, allocation or hospital belongs to; empty for anything else."""
    line = session.get(AllocationRow, subject)
    need = session.get(NeedRow, subject if line is None else line.need_id)
    offer = session.get(OfferRow, subject if line is None else line.offer_id)
    hospital = session.get(HospitalRow, subject if need is None else need.hospital_id)
    return tuple(row.organisation_id for row in (offer, hospital) if row is not None)
