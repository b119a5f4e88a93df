"""Evidence out: receipts and trust files; bundles are made in `api.flows.exporting`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_visible
from api.flows.agreements import agreement_for
from api.flows.matched import organisations_of_subject
from api.flows.signatures import pki_trust
from api.ports import Ports
from arbitration.policy import Trust
from ledger.core.canonical import Json
from ledger.core.errors import NotFoundError
from ledger.core.report import Report
from ledger.cosigning import read_witnesses
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as log_queries
from ledger.receipts import (
    ChainPin,
    LedgerTrust,
    build_receipt,
    signed_status,
    verify_receipt,
)
from ledger.tables.acts import ChainActRow
from ledger.tables.agreements import AgreementRow
from ledger.tables.log import EntryRow
from ledger.validator_seals import ValidatorPolicy


def receipt_for(
    session: Session, ports: Ports, caller: Caller, entry_id: str, *, at: datetime | None = None
) -> dict[str, Json]:
    """The receipt of an entry that the caller may see, with its private body opened.

    Args:
        at: now; with it the log signs as of when it knew of nothing that ends or disputes the entry.

    Raises:
        NotFoundError: absent, or not about anything of the caller's.
    """
    row = session.get(EntryRow, entry_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_subject_visible(session, caller, row.subject)
    receipt = build_receipt(
        session, row, verifier=ports.log_key.verifier, private=ports.vault.get(session, row.id)
    )
    if at is not None:
        state = str(receipt["state"])
        receipt["status"] = signed_status(session, row, state=state, signer=ports.log_key, at=at)
    return receipt


def receipt_report(
    session: Session, ports: Ports, receipt: Mapping[str, Any], *, at: datetime
) -> Report:
    """What a verifier who pinned this installation finds in a receipt of ours."""
    trust = installation_trust(session, ports, at=at).ledger
    return verify_receipt(receipt, trust=trust, at=at)


def entries_about(session: Session, caller: Caller, subject: str) -> Sequence[EntryRow]:
    """Entries about a subject that the caller may see, oldest first, at most 500.

    Raises:
        NotFoundError: another organisation's, or nothing.
    """
    require_subject_visible(session, caller, subject)
    return log_queries.entries_of(session, [subject])


def require_subject_visible(session: Session, caller: Caller, subject: str) -> None:
    """Whether the caller may see entries about `subject`.

    Raises:
        NotFoundError: another organisation's, or nothing.
    """
    if caller.is_operator:
        return
    prefix = subject.partition("_")[0]
    if prefix == "agr":
        agreement_for(session, caller, subject)
        return
    if prefix == "pty" and subject in (caller.organisation_id, caller.person_id):
        return
    act = session.get(ChainActRow, subject) if prefix == "act" else None
    if act is not None:
        # What was done on the chain about a round is public; about anything else, as that is.
        if not act.subject.startswith("rnd_"):
            require_subject_visible(session, caller, act.subject)
        return
    require_visible(caller, *organisations_of_subject(session, subject))


def installation_trust(session: Session, ports: Ports, *, at: datetime) -> Trust:
    """What a stranger pins: our roots, our log key, the chain and contract that anchor us."""
    pins = chain_pins(session)
    setting = ports.settings.witnesses
    witnesses = None if setting is None else read_witnesses(setting)[0]
    ledger = LedgerTrust(verifier=ports.log_key.verifier, chains=pins, witnesses=witnesses)
    return Trust(pki=pki_trust(ports, at=at), ledger=ledger)


def chain_pins(session: Session) -> tuple[ChainPin, ...]:
    """The contract on each chain, described as the chain's own proven evidence describes it.

    Where blocks are sealed by validators, they are pinned as our node last named them.
    """
    pins = []
    for row in anchor_queries.deployments(session):
        anchor = anchor_queries.newest_on(session, row.chain_id)
        evidence = {} if anchor is None else json.loads(anchor.evidence)
        validators = evidence.get("validators")
        if evidence:
            pins.append(
                ChainPin(
                    chain_id=row.chain_id,
                    contract=row.address,
                    code_hash=row.code_hash,
                    kind=evidence["kind"],
                    label_en=evidence["label_en"],
                    label_zh=evidence["label_zh"],
                    validators=None
                    if validators is None
                    else ValidatorPolicy.from_json(validators),
                )
            )
    return tuple(pins)


def visible_agreement(session: Session, caller: Caller, agreement_id: str) -> AgreementRow:
    """Parties and the operator; an arbitrator sees what a case has opened to it (later issue)."""
    if caller.has(Role.OPERATOR):
        row = session.get(AgreementRow, agreement_id)
        if row is None:
            raise NotFoundError("there is no such record")
        return row
    return agreement_for(session, caller, agreement_id)
