"""Reads for retention and erasure: everything that is kept about a party, an agreement, a lot or an order."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger.queries import custody
from ledger.queries.donation_bundles import donations_holding
from ledger.tables.access import AccountRow, ApiKeyRow, SessionRow
from ledger.tables.agreements import (
    AgreementRow,
    BundleRow,
    IntentRow,
    PreparedSignatureRow,
    RevisionRow,
    SignerRow,
)
from ledger.tables.custody import (
    LIVE,
    CustodyStatementRow,
    DiscrepancyRow,
    HandoverRow,
    LotMovementRow,
    LotPositionRow,
    LotRow,
    PackageRow,
    PurposeChangeRow,
    RecallRow,
)
from ledger.tables.orders import OrderDocumentRow, OrderFileRow, WorkOrderRow
from ledger.tables.parties import AuthorisationRow, CertificateRow
from ledger.tables.supply import OfferRow

_PARTS: Final = (PackageRow, HandoverRow, DiscrepancyRow, PurposeChangeRow)
"""Records of a lot by whose ids statements name it."""
ROWS_MAX: Final = 10_000
"""Rows of one kind about one subject; far beyond any party of ours."""


def certificates_about(session: Session, party_id: str) -> Sequence[CertificateRow]:
    """Certificates of a person, or of an organisation's handlers."""
    mine = or_(CertificateRow.person_id == party_id, CertificateRow.organisation_id == party_id)
    return session.scalars(select(CertificateRow).where(mine).limit(ROWS_MAX)).all()


def agreements_about(session: Session, party_id: str) -> Sequence[AgreementRow]:
    """Agreements that a party owns or signs."""
    signed = select(SignerRow.agreement_id).where(
        or_(SignerRow.person_id == party_id, SignerRow.organisation_id == party_id)
    )
    mine = or_(AgreementRow.owner_organisation_id == party_id, AgreementRow.id.in_(signed))
    return session.scalars(select(AgreementRow).where(mine).limit(ROWS_MAX)).all()


def offers_about(session: Session, organisation_id: str) -> Sequence[OfferRow]:
    """Offers of an organisation."""
    mine = OfferRow.organisation_id == organisation_id
    return session.scalars(select(OfferRow).where(mine).limit(ROWS_MAX)).all()


def lots_about(session: Session, party_id: str) -> Sequence[LotRow]:
    """Lots that an organisation gave, received, held or was asked to take, or that a person signed for."""
    held = select(LotPositionRow.lot_id).where(LotPositionRow.holder_id == party_id)
    handed = select(HandoverRow.lot_id).where(
        or_(
            HandoverRow.from_id == party_id,
            HandoverRow.to_id == party_id,
            HandoverRow.inspected_by == party_id,
            HandoverRow.accepted_by == party_id,
        )
    )
    said = select(CustodyStatementRow.subject).where(
        CustodyStatementRow.person_id == party_id, CustodyStatementRow.done_at.is_not(None)
    )
    mine = [
        LotRow.giver_id == party_id,
        LotRow.receiver_id == party_id,
        LotRow.opened_by == party_id,
        LotRow.id.in_(held),
        LotRow.id.in_(handed),
        LotRow.id.in_(said),
    ]
    mine += [LotRow.id.in_(select(one.lot_id).where(one.id.in_(said))) for one in _PARTS]
    recalled = (
        select(RecallRow.id)
        .where(RecallRow.id.in_(said))
        .where(RecallRow.batch_number == LotRow.batch_number, RecallRow.item == LotRow.item)
    )
    mine.append(recalled.exists())
    return session.scalars(select(LotRow).where(or_(*mine)).limit(ROWS_MAX)).all()


def orders_about(session: Session, party_id: str) -> Sequence[WorkOrderRow]:
    """Orders in which an organisation buys or makes, or for which a person signed a step."""
    said = select(CustodyStatementRow.subject).where(
        CustodyStatementRow.person_id == party_id, CustodyStatementRow.done_at.is_not(None)
    )
    mine = or_(
        WorkOrderRow.buyer_id == party_id,
        WorkOrderRow.maker_id == party_id,
        WorkOrderRow.id.in_(said),
        WorkOrderRow.id.in_(select(OrderDocumentRow.order_id).where(OrderDocumentRow.id.in_(said))),
    )
    return session.scalars(select(WorkOrderRow).where(mine).limit(ROWS_MAX)).all()


@dataclass(frozen=True, slots=True)
class OrderRecords:
    """Rows about one order that hold words or name files."""

    documents: Sequence[OrderDocumentRow]
    waiting: Sequence[OrderFileRow]
    statements: Sequence[CustodyStatementRow]


def records_of_order(session: Session, order_id: str) -> OrderRecords:
    """What an erasure of an order clears."""
    named = select(OrderDocumentRow).where(OrderDocumentRow.order_id == order_id)
    documents = session.scalars(named.limit(ROWS_MAX)).all()
    uploaded = select(OrderFileRow).where(OrderFileRow.order_id == order_id)
    subjects = [order_id, *(row.id for row in documents)]
    said = select(CustodyStatementRow).where(CustodyStatementRow.subject.in_(subjects))
    return OrderRecords(
        documents=documents,
        waiting=session.scalars(uploaded.limit(ROWS_MAX)).all(),
        statements=session.scalars(said.limit(ROWS_MAX)).all(),
    )


def files_of_other_orders(session: Session, order_id: str, digests: Collection[str]) -> set[str]:
    """Those of these digests that another order names too."""
    papers = select(OrderDocumentRow.sha256).where(
        OrderDocumentRow.order_id != order_id, OrderDocumentRow.sha256.in_(digests)
    )
    uploads = select(OrderFileRow.sha256).where(
        OrderFileRow.order_id != order_id, OrderFileRow.sha256.in_(digests)
    )
    return set(session.scalars(papers.distinct())) | set(session.scalars(uploads.distinct()))


def lot_ended(session: Session, lot: LotRow) -> bool:
    """Whether every unit is used or lost, and no recall, discrepancy or change of use is open."""
    live = select(LotPositionRow.lot_id).where(
        LotPositionRow.lot_id == lot.id,
        LotPositionRow.shelf.in_(LIVE),
        LotPositionRow.quantity > 0,
    )
    disputed = select(DiscrepancyRow.id).where(
        DiscrepancyRow.lot_id == lot.id, DiscrepancyRow.state.in_(("open", "answered"))
    )
    asked = select(PurposeChangeRow.id).where(
        PurposeChangeRow.lot_id == lot.id, PurposeChangeRow.state == "asked"
    )
    waiting = [session.scalar(one.limit(1)) for one in (live, disputed, asked)]
    return lot.recall_id is None and waiting == [None, None, None]


def last_moved(session: Session, lot: LotRow) -> datetime:
    """When units of a lot moved last."""
    newest = (
        select(LotMovementRow.moved_at)
        .where(LotMovementRow.lot_id == lot.id)
        .order_by(LotMovementRow.number.desc())
        .limit(1)
    )
    return session.scalar(newest) or lot.opened_at


@dataclass(frozen=True, slots=True)
class LotRecords:
    """Rows about one lot that hold words, and the digests of its bundles."""

    handovers: Sequence[HandoverRow]
    discrepancies: Sequence[DiscrepancyRow]
    changes: Sequence[PurposeChangeRow]
    statements: Sequence[CustodyStatementRow]
    files: frozenset[str]


def records_of_lot(session: Session, lot_id: str) -> LotRecords:
    """What an erasure of a lot clears."""
    handovers = custody.handovers_of(session, lot_id)
    discrepancies = custody.discrepancies_of(session, lot_id)
    changes = custody.purpose_changes_of(session, lot_id)
    packages = select(PackageRow.id).where(PackageRow.lot_id == lot_id)
    subjects = [lot_id, *(row.id for row in handovers), *(row.id for row in discrepancies)]
    subjects += [row.id for row in changes]
    said = or_(CustodyStatementRow.subject.in_(subjects), CustodyStatementRow.subject.in_(packages))
    statements = session.scalars(select(CustodyStatementRow).where(said).limit(ROWS_MAX)).all()
    files = session.scalars(select(BundleRow.sha256).where(BundleRow.subject == lot_id)).all()
    return LotRecords(
        handovers=handovers,
        discrepancies=discrepancies,
        changes=changes,
        statements=statements,
        files=frozenset({*files, *donations_holding(session, lot_id)}),
    )


def authorisations_about(session: Session, party_id: str) -> Sequence[AuthorisationRow]:
    """Authorisations given by an organisation or held by a person."""
    mine = or_(AuthorisationRow.person_id == party_id, AuthorisationRow.organisation_id == party_id)
    return session.scalars(select(AuthorisationRow).where(mine).limit(ROWS_MAX)).all()


def signers_about(session: Session, subject: str) -> Sequence[SignerRow]:
    """Signatures required from a party, or in an agreement."""
    mine = or_(
        SignerRow.person_id == subject,
        SignerRow.organisation_id == subject,
        SignerRow.agreement_id == subject,
    )
    return session.scalars(select(SignerRow).where(mine).limit(ROWS_MAX)).all()


def statements_of(session: Session, signer_ids: Sequence[str]) -> Sequence[IntentRow]:
    """Statements made for these signatures."""
    mine = IntentRow.signer_id.in_(signer_ids)
    return session.scalars(select(IntentRow).where(mine).limit(ROWS_MAX)).all()


def preparations_of(session: Session, signer_ids: Sequence[str]) -> Sequence[PreparedSignatureRow]:
    """Prepared signatures, completed or not."""
    mine = PreparedSignatureRow.signer_id.in_(signer_ids)
    return session.scalars(select(PreparedSignatureRow).where(mine).limit(ROWS_MAX)).all()


def accounts_about(session: Session, party_id: str) -> Sequence[AccountRow]:
    """Accounts of a natural person."""
    mine = AccountRow.person_id == party_id
    return session.scalars(select(AccountRow).where(mine).limit(ROWS_MAX)).all()


def logins_of(
    session: Session, account_ids: Sequence[str]
) -> tuple[Sequence[SessionRow], Sequence[ApiKeyRow]]:
    """Open sessions and API keys of accounts."""
    sessions = select(SessionRow).where(SessionRow.account_id.in_(account_ids)).limit(ROWS_MAX)
    keys = select(ApiKeyRow).where(ApiKeyRow.account_id.in_(account_ids)).limit(ROWS_MAX)
    return session.scalars(sessions).all(), session.scalars(keys).all()


def files_of(session: Session, agreement: AgreementRow) -> set[str]:
    """Digests of an agreement's files and bundles, but for those that another agreement holds too."""
    revisions = select(RevisionRow.sha256).where(RevisionRow.agreement_id == agreement.id)
    bundles = select(BundleRow.sha256).where(BundleRow.subject == agreement.id)
    signers = select(SignerRow.id).where(SignerRow.agreement_id == agreement.id)
    prepared = select(PreparedSignatureRow.revision_sha256).where(
        PreparedSignatureRow.signer_id.in_(signers)
    )
    mine = {agreement.original_sha256, agreement.document_sha256, agreement.current_sha256}
    for query in (revisions, bundles, prepared):
        mine.update(session.scalars(query))
    mine |= donations_holding(session, agreement.id)
    others: set[str] = set()
    columns = (
        AgreementRow.original_sha256,
        AgreementRow.document_sha256,
        AgreementRow.current_sha256,
    )
    for column in columns:
        others.update(
            session.scalars(select(column).where(AgreementRow.id != agreement.id, column.in_(mine)))
        )
    others.update(
        session.scalars(
            select(RevisionRow.sha256).where(
                RevisionRow.agreement_id != agreement.id, RevisionRow.sha256.in_(mine)
            )
        )
    )
    return mine - others
