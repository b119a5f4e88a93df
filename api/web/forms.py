"""Reads what a person typed into a form: every fault at once, each beside its field, nothing lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from api.errors import Problem

TEXT_CHARACTERS_MAX: Final = 200
NUMBER_DIGITS_MAX: Final = 15
"""Longer numbers are typing errors, and reading them would cost."""
MICRO: Final = 10**6


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field.

    Attributes:
        code: stable; the page shows its text in the reader's language.
        detail: the same in English, where the page has no text of its own.
    """

    code: str
    detail: str


@dataclass(slots=True)
class FormReader:
    """Typed values out of one form. A faulty field reads as an empty value and is named in `faults`.

    Codes: `form.required`, `form.too_long`, `form.number`, `form.range`, `form.date`, `form.choice`.
    """

    values: Mapping[str, str]
    faults: dict[str, Fault] = field(default_factory=dict)

    def text(
        self, name: str, *, required: bool = True, characters_max: int = TEXT_CHARACTERS_MAX
    ) -> str:
        """Text without white space around it."""
        value = self.values.get(name, "").strip()
        if not value and required:
            self.fault(name, "form.required", "this field is needed")
        if len(value) > characters_max:
            self.fault(name, "form.too_long", f"at most {characters_max} characters")
            return ""
        return value

    def integer(self, name: str, *, low: int, high: int, required: bool = True) -> int | None:
        """A whole number within [low, high]; separators people type are dropped."""
        value = self.text(name, required=required).replace(",", "").replace("，", "")
        if not value:
            return None
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > NUMBER_DIGITS_MAX:
            self.fault(name, "form.number", "a whole number")
            return None
        number = int(value)
        if not low <= number <= high:
            self.fault(name, "form.range", f"from {low} to {high}")
            return None
        return number

    def degrees(self, name: str, *, limit: int) -> int | None:
        """Decimal degrees as micro-degrees, exactly: no float is involved."""
        value = self.text(name)
        if not value:
            return None
        whole, _, part = value.removeprefix("-").partition(".")
        if not (whole + part).isascii() or not whole.isdigit() or (part and not part.isdigit()):
            self.fault(name, "form.number", "decimal degrees, for example 114.305")
            return None
        if len(whole) > 3:
            self.fault(name, "form.range", f"from -{limit} to {limit}")
            return None
        micro = int(whole) * MICRO + int(part[:6].ljust(6, "0") or "0")
        if micro > limit * MICRO:
            self.fault(name, "form.range", f"from -{limit} to {limit}")
            return None
        return -micro if value.startswith("-") else micro

    def day(self, name: str, *, required: bool = True) -> date | None:
        """A calendar day `YYYY-MM-DD`."""
        value = self.text(name, required=required)
        if not value:
            return None
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fault(name, "form.date", "a day of the form YYYY-MM-DD")
            return None

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """One of `allowed`; else the first, with a fault."""
        value = self.text(name)
        if value in allowed:
            return value
        if name not in self.faults:
            self.fault(name, "form.choice", "one of the choices shown")
        return allowed[0]

    def checked(self, name: str) -> bool:
        """Whether the box is ticked."""
        return self.values.get(name, "") == "yes"

    def fault(self, name: str, code: str, detail: str) -> None:
        """Keep the first fault of a field."""
        self.faults.setdefault(name, Fault(code, detail))


def fault_of(
    problem: Problem, fields: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, Fault]:
    """Which field of a form a refusal is about; empty where it is about none.

    Args:
        fields: error code or its beginning, or the name a refusal uses -> field of the form.
        known: what was typed; only fields of this form are named.
    """
    fault = Fault(problem.code, problem.detail)
    named = str(problem.context.get("field", ""))
    for candidate in (fields.get(named, ""), named, named.replace(".", "_")):
        if candidate in known:
            return {candidate: fault}
    for prefix, name in fields.items():
        if problem.code.startswith(prefix):
            return {name: fault}
    return {}
