"""Annexes of a statement: the clauses pointed out to a signer, and the files that belong to a document.

A clause is a passage that its author must point out (提示条款, Civil Code 496): it limits liability, excludes
something, settles disputes, changes the price … Each signer of the other side confirms each one by itself. An
annex lists the digests of what was confirmed and of the attached files; the statement that the device signs
names the annex by its digest (`signing.intent`, version 2). Version 2 of an annex also lists the values of form
fields (`signing.form_fill`): what this signer fills, and what others filled before.
Vectors: tests/golden/test_annex_vectors.py.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import InputError, LimitError
from ledger.core.units import Digest32, utc_text

CLAUSE_TAG: Final = "fuqi/clause/v1"
ANNEX_TAG: Final = "fuqi/annex/v1"
FILLED_TAG: Final = "fuqi/annex/v2"
CLAUSES_MAX: Final = 30
"""A person confirms them one by one: beyond that nobody reads any more, and notice is none."""
CLAUSE_CHARS_MAX: Final = 2_000
CLAUSE_CHARS_MIN: Final = 4
EXPLANATION_CHARS_MAX: Final = 1_000
ATTACHMENTS_MAX: Final = 40
NAME_CHARS_MAX: Final = 120


class ClauseKind(StrEnum):
    """What a clause does to whoever signs."""

    LIMITS_LIABILITY = "limits_liability"
    EXCLUDES = "excludes"
    DISPUTES = "disputes"
    PRICE = "price"
    TERMINATION = "termination"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Clause:
    """A passage that is pointed out.

    Attributes:
        number: from 1, in the order in which they are shown.
        page: 1-based, where it begins.
        text: as it stands in the document; a line for each piece that stands by itself.
        explanation: what its author says about it in plain words; "" for nothing.
    """

    number: int
    kind: ClauseKind
    page: int
    text: str
    explanation: str = ""

    def as_json(self) -> dict[str, Json]:
        """The clause as its digest covers it."""
        return {
            "v": CLAUSE_TAG,
            "number": self.number,
            "kind": self.kind.value,
            "page": self.page,
            "text": self.text,
            "explanation": self.explanation,
        }

    @property
    def digest(self) -> Digest32:
        """SHA-256 of tag, one zero byte, canonical clause."""
        return tagged_digest(CLAUSE_TAG, self.as_json())


@dataclass(frozen=True, slots=True)
class Confirmed:
    """One clause that this signer confirmed, by its digest."""

    number: int
    sha256: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that belongs to the document.

    Attributes:
        field: of the signer who brought it, "" for the author of the agreement.
        sha256: hex, of the file's bytes.
    """

    id: str
    field: str
    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class FieldValue:
    """The value of a form field when a statement is made.

    Attributes:
        name: of the form field.
        field: signature field of whoever fills it.
    """

    name: str
    field: str
    value: str


def read_clauses(
    given: Sequence[tuple[str, str, str]], *, pages: Sequence[int]
) -> tuple[Clause, ...]:
    """Clauses out of (kind, text, explanation) as a form gives them.

    Args:
        pages: where each stands, 1-based.

    Raises:
        LimitError: `clause.too_many`.  InputError: `clause.kind`, `clause.text`, `clause.twice`.
    """
    if len(given) > CLAUSES_MAX:
        raise LimitError(
            f"at most {CLAUSES_MAX} clauses are pointed out: name those that matter",
            code="clause.too_many",
            limit=CLAUSES_MAX,
        )
    made = []
    for number, ((kind, text, explanation), page) in enumerate(
        zip(given, pages, strict=True), start=1
    ):
        try:
            of_kind = ClauseKind(kind)
        except ValueError as exc:
            raise InputError(
                f"a clause is one of {', '.join(ClauseKind)}", code="clause.kind", clause=number
            ) from exc
        shown, said = plain_lines(text), plain(explanation)
        if (
            not CLAUSE_CHARS_MIN <= len(shown) <= CLAUSE_CHARS_MAX
            or len(said) > EXPLANATION_CHARS_MAX
        ):
            raise InputError(
                f"a clause has {CLAUSE_CHARS_MIN} to {CLAUSE_CHARS_MAX} characters, its explanation"
                f" at most {EXPLANATION_CHARS_MAX}",
                code="clause.text",
                clause=number,
            )
        made.append(Clause(number, of_kind, page, shown, said))
    if len({one.text for one in made}) != len(made):
        raise InputError("the same clause is named twice", code="clause.twice")
    return tuple(made)


def plain_lines(text: str) -> str:
    """As `plain`, line for line; empty lines are left out."""
    return "\n".join(line for line in map(plain, text.splitlines()) if line)


def plain(text: str) -> str:
    """Text on one line, without controls or direction marks, which could make it read otherwise."""
    shown = "".join(
        " " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char
        for char in text
        if unicodedata.category(char) not in {"Cf", "Cs"}
    )
    return " ".join(shown.split())


def annex(
    *,
    agreement: str,
    document_sha256: str,
    field: str,
    clauses: Sequence[Confirmed],
    attachments: Sequence[Attached],
    fields: Sequence[FieldValue] = (),
) -> dict[str, Json] | None:
    """What a statement names beside the document; None where there is nothing to name.

    Args:
        document_sha256: hex, the document before the first signature.
        field: the signer's place in the agreement.
        fields: values of form fields that will stand in the file this signer signs.
    """
    if not clauses and not attachments and not fields:
        return None
    value: dict[str, Json] = {
        "v": FILLED_TAG if fields else ANNEX_TAG,
        "agreement": agreement,
        "document_sha256": document_sha256,
        "field": field,
        "clauses": [
            {"number": one.number, "sha256": one.sha256, "confirmed_at": utc_text(one.at)}
            for one in sorted(clauses, key=lambda one: one.number)
        ],
        "attachments": [
            {
                "id": one.id,
                "field": one.field,
                "name": one.name,
                "sha256": one.sha256,
                "size": one.size,
            }
            for one in sorted(attachments, key=lambda one: one.id)
        ],
    }
    if fields:
        value["fields"] = [
            {"name": one.name, "field": one.field, "value": one.value}
            for one in sorted(fields, key=lambda one: one.name)
        ]
    return value


def differing(
    listed: Sequence[FieldValue], values: Sequence[FieldValue], *, field: str
) -> list[str]:
    """Names of form fields in which a signature carries another value than an approval lists.

    What the approval lists of other signers and they have not filled yet does not belong to this signature.

    Args:
        listed: by the approval.
        values: in the file that is signed: filled by others before, and by this signer.
        field: signature field of this signer.
    """
    approved, carried = set(listed), set(values)
    own = {one for one in approved if one.field == field}
    return sorted({one.name for one in (carried - approved) | (own - carried)})


def annex_digest(value: Mapping[str, Json]) -> Digest32:
    """SHA-256 of tag, one zero byte, canonical annex."""
    return tagged_digest(FILLED_TAG if "fields" in value else ANNEX_TAG, dict(value))


def summary_of(value: Mapping[str, Json]) -> dict[str, Json]:
    """The fields by which a statement names an annex."""
    clauses, attachments = value["clauses"], value["attachments"]
    assert isinstance(clauses, list)
    assert isinstance(attachments, list)
    found: dict[str, Json] = {
        "annex_sha256": annex_digest(value).hex(),
        "clauses": len(clauses),
        "attachments": len(attachments),
    }
    if "fields" in value:
        listed = value["fields"]
        assert isinstance(listed, list)
        found["fields"] = len(listed)
    return found
