"""Reads for retention and erasure: everything that is kept about a party, an agreement, a lot or an order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger.queries import custody
from ledger.queries.blobs import digest_columns
from ledger.queries.donation_bundles import donations_holding
from ledger.tables.access import AccountRow, ApiKeyRow, SessionRow
from ledger.tables.agreements import (
    AgreementRow,
    ArchiveRow,
    BundleRow,
    IntentRow,
    PreparedSignatureRow,
    RevisionRow,
    SignerRow,
)
from ledger.tables.annexes import AttachmentRow
from ledger.tables.batches import BatchRow
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
from ledger.tables.form_fields import FormValueRow
from ledger.tables.log import DataKeyRow
from ledger.tables.objections import ObjectionRow
from ledger.tables.offer_claims import OfferClaimRow
from ledger.tables.orders import OrderDocumentRow, OrderFileRow, WorkOrderRow
from ledger.tables.parties import (
    AuthorisationRow,
    CertificateRow,
    IdentityChallengeRow,
    IdentityCheckRow,
    IdentityDocumentRow,
)
from ledger.tables.related import RelatedPartyRow
from ledger.tables.seals import SealRow
from ledger.tables.supply import OfferRow

_PARTS: Final = (PackageRow, HandoverRow, DiscrepancyRow, PurposeChangeRow)
"""Records of a lot by whose ids statements name it."""
NO_FILES: Final = frozenset({"bundle", "identity_check"})
"""Tables whose digests keep no file: a bundle is removed with what it is of, whatever bundle holds it, and the
evidence of a check is a digest only."""
SUBJECT_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "agreement": ("id",),
    "prepared_signature": ("signer_id",),
    "related_party": ("first_id", "second_id"),
    "seal": ("organisation_id",),
    "upload_draft": ("id",),
    "work_order_document": ("order_id",),
    "work_order_file": ("order_id",),
}
"""Columns that name what a row is about, where it is not `agreement_id`: one erased is enough."""
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


def agreements_under(session: Session, agreement_id: str) -> Sequence[AgreementRow]:
    """Agreements in which somebody acts under the letter of authority that this agreement is."""
    given = select(AuthorisationRow.id).where(AuthorisationRow.agreement_id == agreement_id)
    acted = select(SignerRow.agreement_id).where(SignerRow.authorisation_id.in_(given))
    mine = AgreementRow.id.in_(acted)
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


@dataclass(frozen=True, slots=True)
class PartyRecords:
    """Rows that hold words about one party, and the digests of files that nothing else names."""

    batches: Sequence[BatchRow]
    checks: Sequence[IdentityCheckRow]
    challenges: Sequence[IdentityChallengeRow]
    papers: Sequence[IdentityDocumentRow]
    seals: Sequence[SealRow]
    ties: Sequence[RelatedPartyRow]
    objections: Sequence[ObjectionRow]
    claims: Sequence[OfferClaimRow]
    files: frozenset[str]


def records_of_party(session: Session, party_id: str) -> PartyRecords:
    """What an erasure of a person or an organisation clears beside its own row."""
    affirmed = or_(BatchRow.person_id == party_id, BatchRow.organisation_id == party_id)
    asked = select(IdentityCheckRow.id).where(IdentityCheckRow.party_id == party_id)
    tied = or_(RelatedPartyRow.first_id == party_id, RelatedPartyRow.second_id == party_id)
    seals = session.scalars(
        select(SealRow).where(SealRow.organisation_id == party_id).limit(ROWS_MAX)
    ).all()
    ties = session.scalars(select(RelatedPartyRow).where(tied).limit(ROWS_MAX)).all()
    files = {row.evidence_sha256 for row in ties if row.evidence_sha256 is not None}
    for seal in seals:
        files |= {seal.page_sha256, seal.picture_sha256}
    return PartyRecords(
        batches=session.scalars(select(BatchRow).where(affirmed).limit(ROWS_MAX)).all(),
        checks=session.scalars(
            select(IdentityCheckRow).where(IdentityCheckRow.party_id == party_id).limit(ROWS_MAX)
        ).all(),
        challenges=session.scalars(
            select(IdentityChallengeRow).where(IdentityChallengeRow.check_id.in_(asked))
        ).all(),
        papers=session.scalars(
            select(IdentityDocumentRow).where(IdentityDocumentRow.check_id.in_(asked))
        ).all(),
        seals=seals,
        ties=ties,
        objections=session.scalars(
            select(ObjectionRow).where(ObjectionRow.organisation_id == party_id).limit(ROWS_MAX)
        ).all(),
        claims=session.scalars(
            select(OfferClaimRow).where(OfferClaimRow.organisation_id == party_id).limit(ROWS_MAX)
        ).all(),
        files=frozenset(files - named_elsewhere(session, files)),
    )


def files_of(session: Session, agreement: AgreementRow) -> set[str]:
    """Digests of an agreement's files, attachments, archives and bundles that no other record names."""
    signers = list(
        session.scalars(select(SignerRow.id).where(SignerRow.agreement_id == agreement.id))
    )
    made = PreparedSignatureRow.signer_id.in_(signers)
    mine = {agreement.original_sha256, agreement.document_sha256, agreement.current_sha256}
    for query in (
        select(RevisionRow.sha256).where(RevisionRow.agreement_id == agreement.id),
        select(ArchiveRow.sha256).where(ArchiveRow.agreement_id == agreement.id),
        select(AttachmentRow.sha256).where(AttachmentRow.agreement_id == agreement.id),
        select(BundleRow.sha256).where(BundleRow.subject == agreement.id),
        select(PreparedSignatureRow.revision_sha256).where(made),
        select(FormValueRow.revision_sha256).where(
            FormValueRow.agreement_id == agreement.id, FormValueRow.revision_sha256.is_not(None)
        ),
    ):
        mine.update(one for one in session.scalars(query) if one is not None)
    mine |= donations_holding(session, agreement.id)
    return mine - named_elsewhere(session, mine)


def named_elsewhere(session: Session, digests: Collection[str]) -> set[str]:
    """Those of these digests that a row of something not erased names: such a file must stay.

    What is being erased counts as erased: its data key goes before its rows are cleared.
    """
    gone = select(DataKeyRow.subject).where(DataKeyRow.wrapped.is_(None))
    signed = select(SignerRow.id).where(SignerRow.agreement_id.in_(gone))
    found: set[str] = set()
    for column in digest_columns():
        table = column.table
        if table.name in NO_FILES:
            continue
        stays = []
        for name in SUBJECT_OF.get(table.name, ("agreement_id",)):
            about = table.columns.get(name)
            if about is not None:
                erased = signed if name == "signer_id" else gone
                stays.append(or_(about.is_(None), about.not_in(erased)))
        query = select(column).where(column.in_(digests), *stays).distinct()
        found |= set(session.scalars(query))
    return found
