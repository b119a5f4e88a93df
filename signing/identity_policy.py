"""Which real-name level and which kind of authority an agreement needs: a table with versions.

`fuqi/level-policy/v2`: `{v, edition, unstated_as, rows}`, a row being `{matter, amount_from, person,
organisation, authority}`. Every row whose matter and amount fit applies, and the strictest of them decides; so
adding a row never makes anything easier. `unstated_as` is what an agreement counts as that states none: else
leaving it out would be the way around every row. v1 has no such field and counts it as zero. The digest of the
table is frozen in the evidence of every act.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import ForbiddenError, InputError
from ledger.core.units import Digest32

POLICY_TAG: Final = "fuqi/level-policy/v1"
POLICY_TAG_2: Final = "fuqi/level-policy/v2"
ANY: Final = "*"
ROWS_MAX: Final = 200
"""A few per kind of agreement; a longer table nobody reads."""
BYTES_MAX: Final = 64 * 1024
TEXT_CHARS_MAX: Final = 64
LEVEL_MAX: Final = 3
LEVEL_MIN: Final = 1
"""Format alone never signs: an authoritative source has confirmed every name."""


class Basis(StrEnum):
    """What an authority rests on."""

    DECLARED = "declared"
    """The organisation's administrator entered it; nobody signed it."""
    STATUTORY = "statutory"
    """The person is the legal representative, as a check confirmed (Civil Code 61)."""
    SIGNED = "signed"
    """A letter of authority that the legal representative signed as an agreement."""


STRENGTH: Final[Mapping[Basis, int]] = {Basis.DECLARED: 0, Basis.STATUTORY: 1, Basis.SIGNED: 1}
"""The legal representative's own authority and a letter signed by them count alike."""


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One line of the table.

    Attributes:
        matter: kind of agreement, or `*`.
        amount_from: fen; the row applies from this amount on.
        person, organisation: levels 1 to 3.
        authority: `declared` for any, `signed` for a signed letter or the legal representative.
    """

    matter: str
    amount_from: int
    person: int
    organisation: int
    authority: Basis = Basis.DECLARED

    def as_json(self) -> dict[str, Json]:
        """The row as it is hashed."""
        return {
            "matter": self.matter,
            "amount_from": self.amount_from,
            "person": self.person,
            "organisation": self.organisation,
            "authority": self.authority.value,
        }


@dataclass(frozen=True, slots=True)
class Need:
    """What one agreement needs."""

    person: int
    organisation: int
    authority: Basis

    def as_json(self) -> dict[str, Json]:
        """As frozen in evidence."""
        return {
            "person": self.person,
            "organisation": self.organisation,
            "authority": self.authority.value,
        }


@dataclass(frozen=True, slots=True)
class LevelPolicy:
    """The whole table.

    Attributes:
        edition: name of this version, for people; the digest is what counts.
        unstated_as: fen; what an agreement counts as that states no amount. None: a table of version 1,
            where it counts as zero.
    """

    edition: str
    rows: tuple[PolicyRow, ...]
    unstated_as: int | None = None

    @property
    def tag(self) -> str:
        """The table's own version."""
        return POLICY_TAG if self.unstated_as is None else POLICY_TAG_2

    def as_json(self) -> dict[str, Json]:
        """`fuqi/level-policy/v1` or `/v2`."""
        unstated: dict[str, Json] = (
            {} if self.unstated_as is None else {"unstated_as": self.unstated_as}
        )
        return {
            "v": self.tag,
            "edition": self.edition,
            **unstated,
            "rows": [row.as_json() for row in self.rows],
        }

    @property
    def digest(self) -> Digest32:
        """Digest of the table under its own tag."""
        return tagged_digest(self.tag, self.as_json())

    @property
    def declared_below(self) -> int | None:
        """Fen below which an authority that nobody signed is enough for any matter; None where it always is."""
        return min(
            (row.amount_from for row in self.rows if STRENGTH[row.authority] > 0), default=None
        )

    @property
    def top(self) -> int:
        """Fen from which every row applies: what a letter of authority without a limit counts as."""
        return max((row.amount_from for row in self.rows), default=0)

    def need(self, *, matter: str, amount: int | None) -> Need:
        """What an agreement of this matter and amount needs; without an amount it counts as `unstated_as`."""
        stake = (self.unstated_as or 0) if amount is None else amount
        rows = [
            row for row in self.rows if row.matter in (ANY, matter) and row.amount_from <= stake
        ]
        return Need(
            person=max([LEVEL_MIN, *(row.person for row in rows)]),
            organisation=max([LEVEL_MIN, *(row.organisation for row in rows)]),
            authority=max(
                [Basis.DECLARED, *(row.authority for row in rows)], key=lambda one: STRENGTH[one]
            ),
        )


DECLARED_BELOW: Final = 1_000_000
"""10 000 yuan, in fen: what a clerk may be trusted with on an administrator's word."""
_ROWS: Final = (
    PolicyRow(ANY, 0, 1, 1),
    # From 10 000 yuan on, a letter that the legal representative signed, or the representative.
    PolicyRow(ANY, DECLARED_BELOW, 1, 1, Basis.SIGNED),
    # From 100 000 yuan a mailbox taken over is worth stealing: channel control.
    PolicyRow(ANY, 10_000_000, 2, 2, Basis.SIGNED),
    # From 10 million yuan every proof there is.
    PolicyRow(ANY, 1_000_000_000, 3, 3, Basis.SIGNED),
)
BUILT_IN: Final = LevelPolicy("built-in 2", _ROWS, unstated_as=DECLARED_BELOW)
"""In production: an agreement that states no amount is none of small amount."""
TRIAL: Final = LevelPolicy("built-in 2, trial", _ROWS, unstated_as=0)
"""Outside production the same, but that whoever tries fuqi may leave the amount out; the edition says so."""


def require_levels(
    need: Need, *, person: str, organisation: str, levels: Mapping[str, int]
) -> None:
    """Refuse unless both names are known well enough.

    Args:
        person, organisation: party ids.
        levels: party id -> level now.

    Raises:
        ForbiddenError: `identity.level_too_low`; the context names party, level and need.
    """
    for party, wanted in ((organisation, need.organisation), (person, need.person)):
        if levels[party] < wanted:
            raise ForbiddenError(
                f"this agreement needs real-name level L{wanted}; do another check first",
                code="identity.level_too_low",
                party=party,
                level=levels[party],
                needed=wanted,
            )


def require_basis(need: Need, basis: Basis) -> None:
    """Refuse an authority that rests on too little.

    Raises:
        ForbiddenError: `authority.not_signed`.
    """
    if STRENGTH[basis] < STRENGTH[need.authority]:
        raise ForbiddenError(
            "this agreement needs a letter of authority that the legal representative signed: have one drawn "
            "up at /me/letters, or, being the representative, have yourself checked at /me/identity",
            code="authority.not_signed",
        )


def read_policy(data: bytes) -> LevelPolicy:
    """Read `fuqi/level-policy/v2` or `/v1`.

    Raises:
        InputError: `identity.policy`.
    """
    if len(data) > BYTES_MAX:
        raise _malformed("it is too long")
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise _malformed("it is no JSON") from exc
    if not isinstance(value, dict) or value.get("v") not in (POLICY_TAG, POLICY_TAG_2):
        raise _malformed("v")
    second = value["v"] == POLICY_TAG_2
    if set(value) != {"v", "edition", "rows", *(["unstated_as"] if second else [])}:
        raise _malformed("it has v, edition, rows and, from v2 on, unstated_as")
    rows, unstated = value["rows"], value.get("unstated_as")
    if not _is_text(value["edition"]):
        raise _malformed("edition")
    if second and (type(unstated) is not int or not 0 <= unstated <= 2**53 - 1):
        raise _malformed("unstated_as is an amount in fen")
    if not isinstance(rows, list) or not 0 < len(rows) <= ROWS_MAX:
        raise _malformed(f"1 to {ROWS_MAX} rows")
    return LevelPolicy(
        value["edition"],
        tuple(_row(one, number) for number, one in enumerate(rows)),
        unstated_as=unstated,
    )


def _row(value: Any, number: int) -> PolicyRow:
    names = {"matter", "amount_from", "person", "organisation", "authority"}
    if not isinstance(value, dict) or set(value) != names or not _is_text(value["matter"]):
        raise _malformed(f"row {number}")
    for name, low, high in (
        ("amount_from", 0, 2**53 - 1),
        ("person", LEVEL_MIN, LEVEL_MAX),
        ("organisation", LEVEL_MIN, LEVEL_MAX),
    ):
        if type(value[name]) is not int or not low <= value[name] <= high:
            raise _malformed(f"row {number}: {name} from {low} to {high}")
    if value["authority"] not in (Basis.DECLARED.value, Basis.SIGNED.value):
        raise _malformed(f"row {number}: authority is declared or signed")
    return PolicyRow(
        matter=value["matter"],
        amount_from=value["amount_from"],
        person=value["person"],
        organisation=value["organisation"],
        authority=Basis(value["authority"]),
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_CHARS_MAX


def _malformed(what: str) -> InputError:
    return InputError(f"this is no table of levels: {what}", code="identity.policy")
