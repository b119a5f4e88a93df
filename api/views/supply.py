"""Facts about an offer that pages and JSON share."""

from __future__ import annotations

from api.schemas.supply import OfferOut
from api.views.public import catalogue
from ledger.tables.supply import OfferRow
from matching.candidates import own_standard_fault
from matching.catalogue import to_day


def offer_facts(row: OfferRow) -> OfferOut:
    """An offer, and whether any need may take it at all."""
    return OfferOut.model_validate(
        {name: getattr(row, name, None) for name in OfferOut.model_fields}
        | {"unusable": why_unusable(row)}
    )


def why_unusable(row: OfferRow) -> str | None:
    """Why no round can use this offer, whatever is needed; None where one might.

    Said at once, so that a donor who mistyped a standard does not wait for a round that passes it over.
    """
    if row.item not in catalogue().items:
        return None
    if row.frozen:
        return "lot.frozen"
    fault = own_standard_fault(
        row.item,
        row.standard,
        row.edition,
        produced_day=to_day(row.produced_on or row.available_on),
        catalogue=catalogue(),
    )
    if fault is not None:
        return fault
    items, wanted = catalogue().items, catalogue().items[row.item]
    least = min(
        [wanted.certificate_min]
        + [items[need].certificate_min for lot, need in catalogue().substitutes if lot == row.item]
    )
    return "certificate.too_low" if row.certificate < least else None
