"""Who may act: the authority of a handler, and the one place to import identity checks from.

Levels and providers are in `signing.verification`, number checks in `signing.numbers`.
Sources: Civil Code 165, 170-172; Contract interpretation 22; design/legal.md sections 2.1 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import ForbiddenError, InputError
from ledger.core.units import parse_utc, utc_text
from signing.identity_kinds import Answered, require_alternatives
from signing.identity_policy import Basis
from signing.numbers import (
    CreditCode,
    IdKind,
    Phone,
    ResidentId,
    check_phone,
    check_resident_id,
    check_uscc,
    invented_resident_id,
    invented_uscc,
    is_invented,
    mask_name,
    mask_number,
    mask_phone,
)
from signing.verification import (
    KINDS,
    DerivedLevel,
    Level,
    MockProvider,
    Status,
    VerificationProvider,
    VerificationRequest,
    VerificationResult,
    derive_level,
    require_attempts_left,
)

__all__ = [
    "KINDS",
    "Answered",
    "Authorisation",
    "Basis",
    "CreditCode",
    "DerivedLevel",
    "IdKind",
    "Level",
    "MockProvider",
    "Phone",
    "ResidentId",
    "Status",
    "VerificationProvider",
    "VerificationRequest",
    "VerificationResult",
    "authorisation_from_json",
    "check_phone",
    "check_resident_id",
    "check_uscc",
    "derive_level",
    "invented_resident_id",
    "invented_uscc",
    "is_invented",
    "mask_name",
    "mask_number",
    "mask_phone",
    "require_alternatives",
    "require_attempts_left",
    "require_authority",
]

AUTHORISATION_TAG: Final = "fuqi/authorisation/v1"
SIGNED_TAG: Final = "fuqi/authorisation/v2"
"""As v1, and what the authority rests on: the law, or an agreement that is its letter."""
SCOPE_WORDS_MAX: Final = 64
"""Matters, powers and seals are codes from short lists."""
WORD_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Authorisation:
    """A written power of attorney: agent, matters, powers, period (Civil Code 165).

    Attributes:
        id: random id.
        organisation: id of the principal.
        person: id of the handler.
        matters: kinds of agreement, e.g. `donation`; at least one, no wildcard.
        powers: acts, e.g. `sign`, `consent`; at least one, no wildcard.
        amount_max: fen, or None for no limit.
        valid_from: aware UTC, included.
        valid_to: aware UTC, excluded.
        seal_scope: seals the handler may use; empty = none.
        revoked_at: from then on void; None = not revoked.
        basis: what it rests on.
        agreement: the agreement that is its letter, for `signed`.

    Raises:
        InputError: `authority.malformed` (`context['field']` names the field).
    """

    id: str
    organisation: str
    person: str
    matters: frozenset[str]
    powers: frozenset[str]
    valid_from: datetime
    valid_to: datetime
    amount_max: int | None = None
    seal_scope: frozenset[str] = frozenset()
    revoked_at: datetime | None = None
    basis: Basis = Basis.DECLARED
    agreement: str | None = None

    def __post_init__(self) -> None:
        for field in ("matters", "powers", "seal_scope"):
            words: frozenset[str] = getattr(self, field)
            bad = [word for word in words if not word or len(word) > WORD_CHARS_MAX or "*" in word]
            if bad or len(words) > SCOPE_WORDS_MAX or (not words and field != "seal_scope"):
                raise _malformed(field)
        for field in ("id", "organisation", "person"):
            if not getattr(self, field):
                raise _malformed(field)
        for field in ("valid_from", "valid_to", "revoked_at"):
            moment = getattr(self, field)
            if moment is not None and moment.tzinfo is None:
                raise _malformed(field)
        if self.valid_from >= self.valid_to:
            raise _malformed("valid_to")
        if self.amount_max is not None and self.amount_max < 0:
            raise _malformed("amount_max")
        if (self.agreement is not None) != (self.basis is Basis.SIGNED):
            raise _malformed("agreement")

    def as_json(self) -> dict[str, Json]:
        """The authorisation frozen for evidence: sorted, whole seconds."""
        declared = self.basis is Basis.DECLARED
        rests: dict[str, Json] = {"basis": self.basis.value, "agreement": self.agreement}
        return {
            "v": AUTHORISATION_TAG if declared else SIGNED_TAG,
            **({} if declared else rests),
            "id": self.id,
            "organisation": self.organisation,
            "person": self.person,
            "matters": sorted(self.matters),
            "powers": sorted(self.powers),
            "amount_max": self.amount_max,
            "valid_from": utc_text(self.valid_from),
            "valid_to": utc_text(self.valid_to),
            "seal_scope": sorted(self.seal_scope),
            "revoked_at": None if self.revoked_at is None else utc_text(self.revoked_at),
        }


def authorisation_from_json(value: Mapping[str, Json]) -> Authorisation:
    """The reverse of `Authorisation.as_json`.

    Raises:
        InputError: `authority.malformed`.
    """
    try:
        result = Authorisation(
            id=_text(value["id"]),
            organisation=_text(value["organisation"]),
            person=_text(value["person"]),
            matters=_words(value["matters"]),
            powers=_words(value["powers"]),
            amount_max=None if value["amount_max"] is None else _integer(value["amount_max"]),
            valid_from=parse_utc(_text(value["valid_from"])),
            valid_to=parse_utc(_text(value["valid_to"])),
            seal_scope=_words(value["seal_scope"]),
            revoked_at=(
                None if value["revoked_at"] is None else parse_utc(_text(value["revoked_at"]))
            ),
            basis=Basis(_text(value.get("basis", Basis.DECLARED.value))),
            agreement=None if value.get("agreement") is None else _text(value["agreement"]),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError("this is no authorisation", code="authority.malformed") from exc
    if result.as_json() != dict(value):
        raise InputError(
            "this is no authorisation that this version reads", code="authority.malformed"
        )
    return result


def require_authority(
    authorisation: Authorisation,
    *,
    act: str,
    matter: str,
    at: datetime,
    organisation: str,
    person: str,
    amount: int | None = None,
    seal: str | None = None,
) -> None:
    """Refuse unless `person` may do `act` for `organisation` in `matter` at `at`.

    Args:
        authorisation: as it stands now; freeze `as_json()` into the evidence of the act.
        act: e.g. `sign`.
        matter: e.g. `donation`.
        at: the moment of the act.
        organisation: id of the principal in the agreement.
        person: id of whoever acts.
        amount: fen; required where the authorisation has a limit.
        seal: the seal to be used, or None.

    Raises:
        ForbiddenError: the first of `authority.other_organisation`, `authority.other_person`,
            `authority.revoked`, `authority.not_yet_valid`, `authority.expired`,
            `authority.matter`, `authority.power`, `authority.amount_unknown`, `authority.amount`,
            `authority.seal`.
    """
    limit = authorisation.amount_max
    revoked_at = authorisation.revoked_at
    faults = (
        (
            authorisation.organisation != organisation,
            "other_organisation",
            "the authorisation was given by another organisation",
        ),
        (
            authorisation.person != person,
            "other_person",
            "the authorisation was given to another person",
        ),
        (
            revoked_at is not None and at >= revoked_at,
            "revoked",
            "the authorisation has been revoked",
        ),
        (at < authorisation.valid_from, "not_yet_valid", "the authorisation is not valid yet"),
        (at >= authorisation.valid_to, "expired", "the authorisation has expired"),
        (matter not in authorisation.matters, "matter", "it does not cover this matter"),
        (act not in authorisation.powers, "power", "it does not cover this act"),
        (
            limit is not None and amount is None,
            "amount_unknown",
            "it is limited in amount and the amount is not stated",
        ),
        (
            limit is not None and amount is not None and amount > limit,
            "amount",
            "the amount is above its limit",
        ),
        (
            seal is not None and seal not in authorisation.seal_scope,
            "seal",
            "it does not cover this seal",
        ),
    )
    for present, code, message in faults:
        if present:
            raise ForbiddenError(
                message, code=f"authority.{code}", authorisation=authorisation.id, act=act
            )


def _malformed(field: str) -> InputError:
    return InputError(
        f"the authorisation's {field} is missing or out of range",
        code="authority.malformed",
        field=field,
    )


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _integer(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not an integer")
    return value


def _words(value: Json) -> frozenset[str]:
    if not isinstance(value, list | tuple):
        raise TypeError("not a list")
    return frozenset(_text(word) for word in value)
