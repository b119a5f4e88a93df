"""Evidence out: the bundle of one lot, for each party its own, verified offline by `fuqi bundle verify`.

What a party signed is opened whole in its bundle, and so is what lies between the parties (opening, packing,
hand-overs, acceptance, recalls). What another party did in its own house (wards, releases, what it answered)
shows the fields of custody and nothing else. Of people there are keys and no names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role
from api.flows.bundles import (
    NewBundle,
    Opened,
    anchors_named,
    keep_bundle,
    made_before,
    open_entries,
    opened_subjects,
    require_final,
)
from api.flows.matched import match_subjects
from api.ports import Ports
from api.views.custody import lot_for
from arbitration.contents import Purpose
from arbitration.lot_bundle import LotContents, LotKey, LotParty, write_lot_bundle
from arbitration.lot_model import KEY_TYPES, LINE_TYPES, PARTLY, WHOLE
from ledger.core.canonical import Json
from ledger.core.errors import LimitError, NotFoundError
from ledger.core.ids import require_id
from ledger.disclosure import disclose
from ledger.entry_types import DISCLOSABLE_VERSION
from ledger.queries import custody as queries
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.receipts import build_receipt
from ledger.store import transaction
from ledger.tables.agreements import BundleRow
from ledger.tables.custody import LotRow
from ledger.tables.parties import CertificateRow
from signing.certificates import certificate_spki

SHARED: Final = ("holder", "reporter", "from", "to", "by")
"""Fields that name the other side of an act: it sees the act whole as well."""


def export_lot_bundle(
    ports: Ports,
    caller: Caller,
    *,
    lot_id: str,
    bundle_id: str,
    purpose: Purpose,
    recipient: str,
    at: datetime,
) -> tuple[BundleRow, bytes]:
    """Make the bundle of a lot whose entries are all final; the same id again returns the same bytes.

    Raises:
        NotFoundError: `not_found`: absent, or the caller has nothing to do with it.
        InputError: `id.malformed`.  LimitError: `custody.too_many_receipts`.
        ConflictError: `bundle.not_final` (wait for the worker, then ask again), `bundle.other_agreement`.
        UnavailableError: the time-stamp authority does not answer; nothing is recorded.
    """
    require_id(bundle_id, prefix="bun")
    # It opens its maker's own acts, and is therefore its maker's alone.
    wanted = NewBundle(bundle_id, lot_id, purpose, recipient, at, makers_own=True)
    with transaction(ports.readers) as session:
        lot = lot_for(session, caller, lot_id)
        existing = made_before(session, ports, caller, wanted)
        if existing is not None:
            return existing
        contents = _contents(session, ports, caller, lot, wanted=wanted)
    data = write_lot_bundle(
        contents,
        seal=ports.log_key.sign_text,
        stamp=lambda imprint: ports.tsa.stamp(imprint, at=at),
    )
    opened = opened_subjects(contents.receipts)
    return keep_bundle(ports, caller, wanted, data, opened=opened)


def lot_bundle_for(session: Session, caller: Caller, lot_id: str, bundle_id: str) -> BundleRow:
    """A bundle of a lot, for the account that made it and for operators: it opens its maker's own acts.

    Raises:
        NotFoundError: absent, or another's.
    """
    row = session.get(BundleRow, bundle_id)
    mine = row is not None and (row.exported_by == caller.account_id or caller.is_operator)
    if row is None or row.subject != lot_id or not mine:
        raise NotFoundError("there is no such record")
    return row


def _contents(
    session: Session,
    ports: Ports,
    caller: Caller,
    lot: LotRow,
    *,
    wanted: NewBundle,
) -> LotContents:
    whole = caller.has(Role.OPERATOR)
    organisation = None if whole else caller.organisation_id
    own = _read(session, ports, [lot.id, *match_subjects(session, lot.allocation_id)])
    receipts = [_receipt(session, ports, one, organisation) for one in own]
    keys = _keys(session, receipts)
    people = _read(session, ports, sorted({one.person for one in keys}))
    opened = [*own, *people]
    require_final(session, opened)
    receipts += [_receipt(session, ports, one, organisation) for one in people]
    parties = party_queries.parties_by_ids(session, list(queries.organisations_of(session, lot.id)))
    return LotContents(
        id=wanted.id,
        lot=lot.id,
        made_at=wanted.at,
        purpose=wanted.purpose,
        recipient=wanted.recipient,
        organisation=organisation,
        exported_by=caller.account_id,
        parties=tuple(
            LotParty(id=row.id, name=row.name, category=row.category, invented=row.invented)
            for row in parties.values()
        ),
        keys=keys,
        receipts=tuple(receipts),
        anchors=tuple(anchors_named(session, receipts)),
        demo=ports.settings.demo,
    )


def _read(session: Session, ports: Ports, subjects: Sequence[str]) -> list[Opened]:
    """Every entry about these subjects, or a refusal: a bundle with a gap proves nothing.

    Raises:
        LimitError: `custody.too_many_receipts`.
    """
    found = open_entries(session, ports, subjects)
    if len(found) >= log_queries.PAGE_MAX:
        raise LimitError(
            "there are too many entries for one file: take the receipts one by one",
            code="custody.too_many_receipts",
            limit=log_queries.PAGE_MAX,
        )
    return found


def _receipt(
    session: Session, ports: Ports, one: Opened, organisation: str | None
) -> dict[str, Json]:
    shown, fields = _shown(one, organisation)
    return build_receipt(
        session,
        one.row,
        verifier=ports.log_key.verifier,
        private=one.private if shown else None,
        disclosed=disclose(one.private.body, one.private.salt, fields) if fields else None,
        with_evidence=False,
    )


def _shown(one: Opened, organisation: str | None) -> tuple[bool, tuple[str, ...]]:
    """(whether the whole body, else which fields) for the party whose bundle it is."""
    kind = one.row.type
    if kind in WHOLE or kind in KEY_TYPES or kind in LINE_TYPES:
        return True, ()
    if kind not in PARTLY:
        return False, ()
    signed: Mapping[str, Any] = one.body["signed"]
    sides = {signed["statement"]["organisation"], *(one.body.get(name) for name in SHARED)}
    if organisation is None or organisation in sides:
        return True, ()
    # Entries from before single fields could be shown stay closed; the bundle says so of itself.
    disclosable = json.loads(one.row.bytes)["v"] == DISCLOSABLE_VERSION
    return False, PARTLY[kind] if disclosable else ()


def _keys(session: Session, receipts: Sequence[Mapping[str, Any]]) -> tuple[LotKey, ...]:
    """The key of every certificate that signed something which is shown whole."""
    named = {
        str(one["private"]["body"]["signed"]["certificate"])
        for one in receipts
        if one["private"] is not None and "signed" in one["private"]["body"]
    }
    rows = [session.get_one(CertificateRow, one) for one in sorted(named)]
    return tuple(
        LotKey(
            certificate=row.id,
            organisation=row.organisation_id,
            person=row.person_id,
            serial=row.serial,
            spki=certificate_spki(row.der),
        )
        for row in rows
    )
