"""What can be asked about a real name: each kind of check, what a match of it shows, and for how long.

Invariants:
    - a face never stands alone: wherever one is offered, another control proof is offered too, and a
      face counts for nothing without a match of data and control of a channel.
    - a code shows control of a channel, never whose name it is registered to: it raises no level by itself.

Source: design/legal.md section 4; rules on face recognition in force since 2025-06-01.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from ledger.core.errors import InputError


class Proves(StrEnum):
    """What a match of some kind shows."""

    DATA = "data"
    CHANNEL = "channel"
    CONTROL = "control"


class Answered(StrEnum):
    """Who answers a check of some kind."""

    SOURCE = "source"
    """A provider that looks into a register."""
    CODE = "code"
    """The subject, with a code that was sent to a telephone or mailbox."""
    TRANSFER = "transfer"
    """The subject, with the amount that arrived in its bank account."""
    REVIEW = "review"
    """An operator who looks at documents."""
    LETTER = "letter"
    """The agreement itself: a letter that the legal representative signed here."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """One kind of verification.

    Attributes:
        about: `person` or `organisation`.
        factors: what must be sent, no more and no less.
        proves: what a match shows; one check counts for one of them at a time.
        mismatches_max: mismatches per subject in 24 hours after which no more is asked.
        answered: who answers.
        valid_days: how long a match counts.
        biometric: compares a body.
    """

    about: str
    factors: tuple[str, ...]
    proves: tuple[Proves, ...]
    mismatches_max: int
    answered: Answered = Answered.SOURCE
    valid_days: int = 365
    biometric: bool = False

    @property
    def valid_for(self) -> timedelta:
        """How long a match counts."""
        return timedelta(days=self.valid_days)


_DATA: Final = (Proves.DATA,)
_CHANNEL: Final = (Proves.CHANNEL,)
_CONTROL: Final = (Proves.CONTROL,)
DATA_DAYS: Final = 730
"""A name and its number change rarely; companies file once a year, and two filings may be missed."""

KINDS: Final[Mapping[str, KindRule]] = {
    "person_name_number": KindRule("person", ("name", "number"), _DATA, 5, valid_days=DATA_DAYS),
    "person_name_number_phone": KindRule(
        "person", ("name", "number", "phone"), _DATA, 5, valid_days=DATA_DAYS
    ),
    "person_name_number_card": KindRule(
        "person", ("name", "number", "card"), _DATA, 5, valid_days=DATA_DAYS
    ),
    "person_phone_code": KindRule("person", ("phone", "code"), _CHANNEL, 5, Answered.CODE),
    "person_email_code": KindRule("person", ("email", "code"), _CHANNEL, 5, Answered.CODE),
    "person_face": KindRule("person", ("name", "number", "capture"), _CONTROL, 3, biometric=True),
    # For whoever no register knows: an operator looks at the documents.
    "person_manual_review": KindRule(
        "person",
        ("name", "number", "documents"),
        (Proves.DATA, Proves.CONTROL),
        3,
        Answered.REVIEW,
    ),
    "organisation_name_code": KindRule(
        "organisation", ("name", "uscc"), _DATA, 5, valid_days=DATA_DAYS
    ),
    "organisation_representative": KindRule(
        "organisation",
        ("name", "uscc", "representative", "representative_number"),
        _DATA,
        5,
        valid_days=DATA_DAYS,
    ),
    "organisation_phone_code": KindRule(
        "organisation", ("phone", "code"), _CHANNEL, 5, Answered.CODE
    ),
    "organisation_email_code": KindRule(
        "organisation", ("email", "code"), _CHANNEL, 5, Answered.CODE
    ),
    # An account in the organisation's name is a channel, and reading its statement shows control of
    # it. Providers end a transfer check after three wrong amounts.
    "organisation_transfer": KindRule(
        "organisation",
        ("uscc", "account", "amount"),
        (Proves.CHANNEL, Proves.CONTROL),
        3,
        Answered.TRANSFER,
    ),
    "organisation_seal_letter": KindRule("organisation", ("uscc", "letter"), _CONTROL, 3),
    "organisation_representative_letter": KindRule(
        "organisation", ("uscc", "letter"), _CONTROL, 3, Answered.LETTER
    ),
    "organisation_manual_review": KindRule(
        "organisation",
        ("name", "uscc", "documents"),
        (Proves.DATA, Proves.CONTROL),
        3,
        Answered.REVIEW,
    ),
}


def require_alternatives(kinds: Collection[str]) -> None:
    """Refuse an offer in which a face is the only control proof of a person.

    Raises:
        InputError: `identity.face_only`.
    """
    offered = [KINDS[kind] for kind in kinds if kind in KINDS]
    for about in sorted({rule.about for rule in offered if rule.biometric}):
        others = [
            rule
            for rule in offered
            if rule.about == about and not rule.biometric and Proves.CONTROL in rule.proves
        ]
        if not others:
            raise InputError(
                "a face may not be the only method; offer another control proof beside it",
                code="identity.face_only",
            )
