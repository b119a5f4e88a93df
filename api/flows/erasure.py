"""A person's request to be forgotten (PIPL Art. 45 to 47), and what the law makes us keep.

`restrict` stops everything but storage, at once. `erase` destroys the data key, clears what stands in tables
and hands back the files to remove; before the last term of `ledger.retention` it is refused with the date. The
log's leaves stay and still verify; without the key nobody can link them to anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role
from api.flows.erasure_agreements import ERASED, clear_agreement, clear_signatures
from api.flows.manufacturing_rules import ENDS
from api.ports import Ports
from ledger import retention
from ledger.core.errors import ConflictError, InputError, NotFoundError
from ledger.core.ids import derived_id
from ledger.core.units import utc_text
from ledger.log import NewEntry, record
from ledger.queries import erasure as queries
from ledger.queries.agreements import lock_agreement
from ledger.queries.blobs import ASKED_MAX, referred_to
from ledger.queries.custody import lock_lot
from ledger.queries.orders import lock_order
from ledger.retention import Keep, Retention
from ledger.tables.agreements import AgreementRow
from ledger.tables.custody import LotRow
from ledger.tables.log import DataKeyRow
from ledger.tables.orders import WorkOrderRow
from ledger.tables.parties import PartyRow

BASIS_CHARS_MAX: Final = 200
ORDER_TABLES: Final = ("work_order_document", "work_order_file")


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure leaves to do once it is committed: remove these files."""

    subject: str
    files: tuple[str, ...]


def retention_of(session: Session, subject: str) -> Retention:
    """Until when a party, an agreement, a lot or an order must be kept, and by which rule.

    Raises:
        NotFoundError: no such record.
        InputError: `erasure.subject`: none of these.
    """
    if subject.startswith("ord_"):
        order = session.get(WorkOrderRow, subject)
        if order is None:
            raise NotFoundError("there is no such record")
        return retention.strictest([_order(order)])
    if subject.startswith("lot_"):
        lot = session.get(LotRow, subject)
        if lot is None:
            raise NotFoundError("there is no such record")
        return retention.strictest([_lot(session, lot)])
    if subject.startswith("agr_"):
        row = session.get(AgreementRow, subject)
        if row is None:
            raise NotFoundError("there is no such record")
        # A letter of authority is evidence for whatever was signed under it, and stands in its bundle.
        held = [row, *queries.agreements_under(session, subject)]
        return retention.strictest([_agreement(one) for one in held])
    if not subject.startswith("pty_"):
        raise InputError(
            "only a party, an agreement, a lot or an order can be erased", code="erasure.subject"
        )
    if session.get(PartyRow, subject) is None:
        raise NotFoundError("there is no such record")
    reasons = [_agreement(row) for row in queries.agreements_about(session, subject)]
    reasons += [
        retention.certificate(not_after=row.not_after)
        for row in queries.certificates_about(session, subject)
    ]
    reasons += [
        retention.goods(expires_on=row.expires_on, recorded_at=row.created_at)
        for row in queries.offers_about(session, subject)
    ]
    reasons += [_lot(session, row) for row in queries.lots_about(session, subject)]
    reasons += [_order(row) for row in queries.orders_about(session, subject)]
    return retention.strictest(reasons)


def restrict(
    session: Session, ports: Ports, caller: Caller, *, subject: str, basis: str, at: datetime
) -> None:
    """Store and protect the subject's data and do nothing else with it. Doing it again changes nothing.

    Reads of its private bodies answer `vault.restricted`; a person's accounts are closed.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError, InputError: as `retention_of`; `erasure.basis`.
    """
    require_role(caller, Role.OPERATOR)
    retention_of(session, subject)
    key = _key(session, subject)
    if key.restricted_at is not None or key.wrapped is None:
        return
    _record(session, ports, caller, key, act="restricted", basis=basis, at=at)
    ports.vault.restrict(session, subject, at=at)
    _close_accounts(session, subject)
    session.flush()


def erase(
    session: Session, ports: Ports, caller: Caller, *, subject: str, basis: str, at: datetime
) -> Erased:
    """Destroy the subject's data key and clear its columns. Doing it again hands back the same files.

    The caller removes the files after the commit (`remove_files`); a crash in between is made good by
    calling both again.

    Raises:
        ForbiddenError: `auth.role`.
        ConflictError: `retention.keeps` (context `until`, `rule`): the law wants it kept until then;
            `retention.open` (context `rule`): something about it has not ended yet; `erasure.agreements`
            (context `agreements`): a party's agreements name it and are erased first; `erasure.lots` (context
            `lots`), `erasure.orders` (context `orders`): so do its lots and its orders.
        NotFoundError, InputError: as `retention_of`; `erasure.basis`.
    """
    require_role(caller, Role.OPERATOR)
    _lock(session, subject)
    _require_free(retention_of(session, subject), at=at)
    _require_others_erased(session, subject)
    key = _key(session, subject)
    if key.wrapped is not None:
        _record(session, ports, caller, key, act="erased", basis=basis, at=at)
        ports.vault.erase(session, subject, at=at)
    files: set[str] = set()
    agreement, lot = session.get(AgreementRow, subject), session.get(LotRow, subject)
    order = session.get(WorkOrderRow, subject)
    if lot is not None:
        files = _clear_lot(session, lot)
    elif order is not None:
        files = _clear_order(session, order)
    elif agreement is not None:
        files = queries.files_of(session, agreement)
        clear_agreement(session, agreement)
    else:
        files = _clear_party(session, subject)
        said = queries.records_of_party(session, subject)
        own = [*(one.id for one in said.objections), *(one.id for one in said.claims)]
        for one in own:
            # What it said stands in entries of its own, under a key of its own.
            ports.vault.erase(session, one, at=at)
    session.flush()
    return Erased(subject=subject, files=tuple(sorted(files)))


def remove_files(ports: Ports, erased: Erased) -> None:
    """Remove what `erase` named, once it is committed. Removing again is harmless.

    Raises:
        UnavailableError: `storage.unavailable`: call it again.
    """
    for digest in erased.files:
        ports.blobs.remove(digest)


def _require_free(kept: Retention, *, at: datetime) -> None:
    if kept.allows_erasure(at=at):
        return
    if kept.until is None:
        raise ConflictError(
            "something about this record has not ended yet", code="retention.open", rule=kept.rule
        )
    until = utc_text(kept.until)
    raise ConflictError(
        f"the law wants this record kept until {until}; it can be restricted now",
        code="retention.keeps",
        until=until,
        rule=kept.rule,
    )


def _require_others_erased(session: Session, subject: str) -> None:
    """Their private bodies and files name the party, under keys of their own."""
    if not subject.startswith("pty_"):
        return
    kept = _with_key(session, [row.id for row in queries.agreements_about(session, subject)])
    if kept:
        raise ConflictError(
            "agreements name this party; erase them first",
            code="erasure.agreements",
            agreements=kept,
        )
    kept = _with_key(session, [row.id for row in queries.lots_about(session, subject)])
    if kept:
        raise ConflictError(
            "lots of goods name this party; erase them first", code="erasure.lots", lots=kept
        )
    kept = _with_key(session, [row.id for row in queries.orders_about(session, subject)])
    if kept:
        raise ConflictError(
            "orders name this party; erase them first", code="erasure.orders", orders=kept
        )


def _with_key(session: Session, subjects: Sequence[str]) -> list[str]:
    """The first of those subjects whose bodies can still be read."""
    found = [(one, session.get(DataKeyRow, one)) for one in subjects]
    return [one for one, key in found if key is not None and key.wrapped is not None][:10]


def _lot(session: Session, row: LotRow) -> Keep:
    return retention.lot(
        expires_on=row.expires_on,
        last_moved_at=queries.last_moved(session, row),
        ended=queries.lot_ended(session, row),
    )


def _order(row: WorkOrderRow) -> Keep:
    return retention.order(
        made=row.state == "accepted", ended_at=row.changed_at if row.state in ENDS else None
    )


def _agreement(row: AgreementRow) -> Keep:
    return retention.agreement(formed_at=row.formed_at, ended_at=row.ended_at)


def _key(session: Session, subject: str) -> DataKeyRow:
    # A bundle that is being made is recorded before this, and found, or sees that the key is gone.
    key = session.get(DataKeyRow, subject, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFoundError("nothing is kept for this subject", code="vault.not_found")
    return key


def _lock(session: Session, subject: str) -> None:
    """In the order of whoever else works on it: the thing, then its key, then the journal."""
    if subject.startswith("agr_"):
        lock_agreement(session, subject)
    elif subject.startswith("lot_"):
        lock_lot(session, subject)
    elif subject.startswith("ord_"):
        lock_order(session, subject)


def _record(
    session: Session,
    ports: Ports,
    caller: Caller,
    key: DataKeyRow,
    *,
    act: str,
    basis: str,
    at: datetime,
) -> None:
    """The entry has a subject of its own: it outlives the key that is about to be destroyed."""
    if not 0 < len(basis.strip()) <= BASIS_CHARS_MAX:
        raise InputError("say why, in at most 200 characters", code="erasure.basis")
    seed = f"{act}/{key.subject}"
    record(
        session,
        ports.vault,
        NewEntry(
            id=derived_id("ent", at=key.created_at, seed=seed),
            type="data.restricted",
            at=at,
            subject=derived_id("ers", at=key.created_at, seed=seed),
            actor=caller.account_id,
            body={"subject": key.subject, "basis": f"{act}: {basis.strip()}"},
        ),
    )


def _close_accounts(session: Session, subject: str) -> list[str]:
    accounts = queries.accounts_about(session, subject)
    sessions, keys = queries.logins_of(session, [row.id for row in accounts])
    for row in (*sessions, *keys):
        session.delete(row)
    for account in accounts:
        account.active = False
    return [account.id for account in accounts]


def _clear_party(session: Session, subject: str) -> set[str]:
    """Returns the digests of pictures and papers that only this party has."""
    party = session.get_one(PartyRow, subject)
    party.name, party.level_reason, party.fingerprint = ERASED, "", "{}"
    party.number_masked = party.number_index = party.number_commitment = None
    party.number_sealed = party.place = party.receiving_system = None
    for certificate in queries.certificates_about(session, subject):
        certificate.der = certificate.chain = b""
    for authorisation in queries.authorisations_about(session, subject):
        authorisation.fingerprint = "{}"
    clear_signatures(session, subject)
    _close_accounts(session, subject)
    for account in queries.accounts_about(session, subject):
        account.login, account.password_hash = f"erased-{account.id}", "!"
    for offer in queries.offers_about(session, subject):
        offer.donor_name, offer.fingerprint = ERASED, "{}"
    return _clear_said(session, queries.records_of_party(session, subject))


def _clear_said(session: Session, found: queries.PartyRecords) -> set[str]:
    """What was said of a party and under its name: batches, real-name checks, seals, ties to others."""
    for batch in found.batches:
        batch.statement = batch.proof = None
        batch.fingerprint = "{}"
    for check in found.checks:
        check.answer = check.evidence_sha256 = None
        check.fingerprint = "{}"
    for sealed in (*found.challenges, *found.papers):
        session.delete(sealed)
    for seal in found.seals:
        seal.name, seal.design, seal.fingerprint = ERASED, "{}", "{}"
    for tie in found.ties:
        tie.evidence, tie.fingerprint = ERASED, "{}"
        tie.end_reason = tie.reason = None
    for objection in found.objections:
        objection.statement, objection.fingerprint = ERASED, "{}"
        objection.answer = None
        # Nobody is left to be answered, and it would hold its lines up for ever.
        if objection.state == "open":
            objection.state = "withdrawn"
    for claim in found.claims:
        claim.statement, claim.reason = ERASED, None
        if claim.state == "open":
            claim.state = "withdrawn"
    return set(found.files)


def _clear_lot(session: Session, lot: LotRow) -> set[str]:
    """Words go, units stay: quantities and ids are no personal data, and the database keeps them adding up."""
    found = queries.records_of_lot(session, lot.id)
    lot.purpose, lot.opened_by = "", ""
    lot.fiscal_number = lot.fiscal_issuer = None
    for handover in found.handovers:
        handover.inspection, handover.waybill = None, ""
        handover.inspected_by = handover.accepted_by = None
    for discrepancy in found.discrepancies:
        discrepancy.note, discrepancy.answer = "", None
    for change in found.changes:
        change.purpose = change.reason = ""
    for statement in found.statements:
        statement.statement, statement.proof, statement.person_id = "{}", None, ""
    return set(found.files)


def _clear_order(session: Session, order: WorkOrderRow) -> set[str]:
    """Words and files go; who ordered how much of whom stays as ids and numbers, as in a lot.

    Returns the digests of its files that nothing else names: the same drawing may belong to another order.
    """
    found = queries.records_of_order(session, order.id)
    order.what, order.specification = ERASED, ""
    for statement in found.statements:
        statement.statement, statement.proof, statement.person_id = "{}", None, ""
    named = {row.sha256 for row in found.documents} | {row.sha256 for row in found.waiting}
    digests = sorted(named)
    files: set[str] = set()
    for first in range(0, len(digests), ASKED_MAX):
        some = set(digests[first : first + ASKED_MAX])
        shared = referred_to(session, some, besides=ORDER_TABLES)
        files |= some - shared - queries.files_of_other_orders(session, order.id, some)
    return files
