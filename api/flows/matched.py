"""What ties an agreement to the match it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy.orm import Session

from ledger.core.canonical import Json
from ledger.queries import custody as custody_queries
from ledger.queries.live import urgent_of_round
from ledger.tables.external import ExternalSubjectRow
from ledger.tables.objections import ObjectionRow
from ledger.tables.offer_claims import OfferClaimRow
from ledger.tables.related import RelatedPartyRow
from ledger.tables.seals import SealRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

FACTS: Final = (
    "round",
    "allocation",
    "offer",
    "window",
    "need",
    "quantity",
    "inputs_sha256",
    "policy_sha256",
    "plan_sha256",
    "certificate_sha256",
    "objective",
    "gap",
    "urgent_policy_sha256",
)

CUSTODY_PREFIXES: Final = ("lot_", "hov_", "dsc_", "rcl_", "puc_", "ord_")
"""Subjects of goods on their way: seen by giver, receiver and everybody who holds or held some."""


def match_subjects(session: Session, allocation_id: str | None) -> tuple[str, ...]:
    """The subjects whose entries prove a match: the line and its round; empty without a match.

    Where the round decided one urgent need, that need too: its entries say who marked it and under which rule.
    """
    line = None if allocation_id is None else session.get(AllocationRow, allocation_id)
    if line is None:
        return ()
    urgent = urgent_of_round(session, line.round_id)
    return (line.id, line.round_id) if urgent is None else (line.id, line.round_id, urgent.need_id)


def match_facts(bodies: Sequence[Mapping[str, Json]]) -> dict[str, Json] | None:
    """Facts of the line and its round, taken from the opened bodies of their entries; None without."""
    found = {key: body[key] for body in bodies for key in FACTS if key in body}
    return found if "allocation" in found else None


def organisations_of_subject(session: Session, subject: str) -> tuple[str | None, ...]:
    """Organisations that a need, offer, allocation, hospital, seal or outside subject belongs to."""
    outside = session.get(ExternalSubjectRow, subject)
    if outside is not None:
        return (outside.organisation_id,)
    seal = session.get(SealRow, subject)
    if seal is not None:
        return (seal.organisation_id,)
    claim = session.get(OfferClaimRow, subject)
    if claim is not None:
        return (claim.organisation_id,)
    objection = session.get(ObjectionRow, subject)
    if objection is not None:
        return (objection.organisation_id,)
    relation = session.get(RelatedPartyRow, subject)
    if relation is not None:
        return relation.first_id, relation.second_id
    if subject.startswith(CUSTODY_PREFIXES):
        return custody_queries.organisations_of(session, subject)
    line = session.get(AllocationRow, subject)
    need = session.get(NeedRow, subject if line is None else line.need_id)
    offer = session.get(OfferRow, subject if line is None else line.offer_id)
    hospital = session.get(HospitalRow, subject if need is None else need.hospital_id)
    return tuple(row.organisation_id for row in (offer, hospital) if row is not None)
