"""Invented callers for tests of the shell. Nothing here is used by the running application."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from api.flows.registration import NewHandler, OrganisationCategory, Registration
from ledger.core.ids import new_id
from signing.identity import invented_resident_id, invented_uscc

PASSWORD: Final = "an invented pass phrase"  # noqa: S105 - invented, for tests only


def invented_registration(
    name: str, category: OrganisationCategory, *, at: datetime
) -> Registration:
    """An organisation and its handler, made up from `name` and marked so; logs in as `name`."""
    return Registration(
        organisation_id=new_id("pty", at=at),
        category=category,
        name=f"虚构{name}有限公司",
        number=invented_uscc(name),
        place="武汉",
        receiving_system=f"{name}@example.invalid",
        handler=NewHandler(
            person_id=new_id("pty", at=at),
            account_id=new_id("acc", at=at),
            authorisation_id=new_id("aut", at=at),
            name="虚构人",
            number=invented_resident_id(name, birth=date(1990, 1, 1)),
            consent_id=new_id("cst", at=at),
            login=name,
            password=PASSWORD,
            invented=True,
        ),
    )
