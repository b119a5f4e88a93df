"""Letters of authority in a bundle: which ones somebody who acted relied on, and what of each is opened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy.orm import Session

from api.flows.bundles import Opened
from api.ports import Ports
from ledger.core.errors import UnavailableError
from ledger.queries import agreements as queries
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.log import EntryRow
from ledger.tables.parties import AuthorisationRow
from signing.identity import Basis

ACTING: Final = ("signature.applied", "ratification.decided")
"""Entries of an agreement in which somebody acted under an authority, frozen with them."""
OPENED: Final = frozenset(
    {"document.finalised", "signature.applied", "agreement.formed", "agreement.released"}
)
"""Of a letter's own entries: what was signed, by whom, under what, when, and whether it stands."""


def letters_of(session: Session, own: Sequence[Opened]) -> list[AuthorisationRow]:
    """The authorities given by letter under which this agreement was signed or ratified, by id.

    Args:
        own: the agreement's entries, opened.
    """
    ids = {
        str(one.body["authorisation"]["id"])
        for one in own
        if one.row.type in ACTING and isinstance(one.body.get("authorisation"), dict)
    }
    rows = [session.get(AuthorisationRow, one) for one in sorted(ids)]
    return [
        row
        for row in rows
        if row is not None and row.basis == Basis.SIGNED.value and row.agreement_id is not None
    ]


def signers_of_letters(session: Session, letters: Sequence[AuthorisationRow]) -> list[SignerRow]:
    """Who signed these letters."""
    return [
        place
        for one in letters
        for place in queries.all_places_of(session, str(one.agreement_id))
        if place.signed_at is not None and place.forwarded_at is None
    ]


def opened_of_letter(row: EntryRow, letter_ids: Collection[str]) -> bool:
    """Whether the body of an entry about a letter is opened."""
    return row.subject in letter_ids and row.type in OPENED


def letter_file(session: Session, ports: Ports, one: AuthorisationRow) -> bytes:
    """The letter as it was signed.

    Raises:
        UnavailableError: `storage.unavailable`.
    """
    row = session.get(AgreementRow, one.agreement_id)
    if row is None:
        raise UnavailableError("a letter of authority is missing", code="storage.unavailable")
    return ports.blobs.get(row.current_sha256)
