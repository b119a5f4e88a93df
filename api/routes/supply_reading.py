"""What people type about a need or an offer, on a form or in a line of a file, read into a request."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.flows import supply
from api.flows.lanes import provinces
from api.flows.supply_names import hospitals_written
from api.flows.supply_rules import RECEIVERS_MAX, WINDOWS_MAX
from api.schemas.board import TIERS
from api.views.public import catalogue
from api.web.forms import FormReader
from ledger.core.errors import FuqiError
from matching.problem import Place

QUANTITY_MAX: Final = 10**9
REMAINING_DAYS_MAX: Final = 3650
CERTIFICATE_MAX: Final = 2
SPECIFICATION_CHARACTERS_MAX: Final = 500
HOSPITALS_CHARACTERS_MAX: Final = 12_000
"""Fifty names of two hundred characters, and what stands between them."""
KINDS: Final = ("lot", "capacity")


class NeedForm(BaseModel):
    """The form as typed; everything is text until `FormReader` has read it."""

    attempt: str = ""
    hospital_id: str = ""
    item: str = ""
    specification: str = ""
    quantity: str = ""
    urgency: str = ""
    deadline_on: str = ""
    remaining_days_min: str = ""
    accepts_substitutes: str = ""
    certificate_min: str = ""
    sterile: str = ""


class OfferForm(BaseModel):
    """The form as typed."""

    attempt: str = ""
    kind: str = ""
    item: str = ""
    quantity: str = ""
    windows: str = ""
    province: str = ""
    city: str = ""
    longitude: str = ""
    latitude: str = ""
    available_on: str = ""
    produced_on: str = ""
    expires_on: str = ""
    batch_number: str = ""
    standard: str = ""
    edition: str = ""
    certificate: str = ""
    sterile: str = ""
    donor_kind: str = ""
    directed_to: str = ""
    related_to: str = ""
    pack: str = ""
    smallest: str = ""
    receivers_max: str = ""
    resource_id: str = ""
    per_unit: str = ""


def read_need(reader: FormReader) -> supply.NewNeed | None:
    """The need, or None with its faults in the reader."""
    hospital_id = reader.text("hospital_id")
    item = reader.text("item")
    specification = reader.text(
        "specification", required=False, characters_max=SPECIFICATION_CHARACTERS_MAX
    )
    quantity = reader.integer("quantity", low=1, high=QUANTITY_MAX)
    urgency = reader.choice("urgency", TIERS)
    deadline_on = reader.day("deadline_on")
    remaining = reader.integer("remaining_days_min", low=0, high=REMAINING_DAYS_MAX, required=False)
    certificate = reader.integer("certificate_min", low=0, high=CERTIFICATE_MAX, required=False)
    if reader.faults or quantity is None or deadline_on is None:
        return None
    return supply.NewNeed(
        id=reader.values["attempt"],
        hospital_id=hospital_id,
        item=item,
        specification=specification,
        quantity=quantity,
        tier=tuple(TIERS).index(urgency),
        deadline_on=deadline_on,
        remaining_days_min=remaining,
        accepts_substitutes=reader.checked("accepts_substitutes"),
        certificate_min=certificate,
        sterile=reader.checked("sterile"),
    )


def read_offer(reader: FormReader, session: Session) -> supply.NewOffer | None:
    """The offer, or None with its faults in the reader."""
    kind = reader.choice("kind", KINDS)
    capacity = kind == "capacity"
    item = reader.choice("item", tuple(catalogue().items))
    quantity = reader.integer("quantity", low=1, high=QUANTITY_MAX)
    windows = reader.integer("windows", low=1, high=WINDOWS_MAX) if capacity else 1
    province, city = reader.choice("province", provinces()), reader.text("city")
    longitude, latitude = (
        reader.degrees("longitude", limit=180),
        reader.degrees("latitude", limit=90),
    )
    available_on = reader.day("available_on")
    produced_on = None if capacity else reader.day("produced_on")
    expires_on = None if capacity else reader.day("expires_on", required=False)
    batch_number = "" if capacity else reader.text("batch_number", characters_max=60)
    standard = reader.text("standard", required=False) or None
    edition = reader.text("edition", required=False) or None
    certificate = reader.integer("certificate", low=0, high=CERTIFICATE_MAX)
    pack = reader.integer("pack", low=1, high=QUANTITY_MAX, required=False)
    smallest = reader.integer("smallest", low=1, high=QUANTITY_MAX, required=False)
    receivers_max = reader.integer("receivers_max", low=1, high=RECEIVERS_MAX, required=False)
    resource_id = reader.text("resource_id", required=False) if capacity else ""
    per_unit = reader.integer("per_unit", low=1, high=QUANTITY_MAX, required=bool(resource_id))
    directed_to = _hospitals(reader, session, "directed_to")
    related_to = _hospitals(reader, session, "related_to")
    missing = None in (quantity, windows, longitude, latitude, available_on, certificate)
    if reader.faults or missing:
        return None
    assert quantity is not None and windows is not None and certificate is not None  # noqa: PT018
    assert longitude is not None and latitude is not None and available_on is not None  # noqa: PT018
    return supply.NewOffer(
        id=reader.values["attempt"],
        kind=kind,
        item=item,
        quantity=quantity,
        place=Place(
            province=province, city=city, longitude_micro=longitude, latitude_micro=latitude
        ),
        available_on=available_on,
        windows=windows,
        produced_on=produced_on,
        expires_on=expires_on,
        batch_number=batch_number,
        standard=standard,
        edition=edition,
        certificate=certificate,
        sterile=reader.checked("sterile"),
        donor_kind="individual" if reader.values["donor_kind"] == "individual" else "organisation",
        directed_to=directed_to,
        related_to=related_to,
        pack=pack or 1,
        smallest=smallest or 1,
        receivers_max=receivers_max,
        resource_id=resource_id or None,
        per_unit=per_unit if resource_id and per_unit is not None else 0,
    )


def _hospitals(reader: FormReader, session: Session, name: str) -> tuple[str, ...]:
    """The hospitals written into a field, or none with the fault beside it."""
    text = reader.text(name, required=False, characters_max=HOSPITALS_CHARACTERS_MAX)
    try:
        return hospitals_written(session, text)
    except FuqiError as error:
        reader.fault(name, error.error_code, str(error))
        return ()
