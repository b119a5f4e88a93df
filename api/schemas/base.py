"""Shapes shared by several routes. Inputs refuse unknown fields; outputs have no defaults."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ID_CHARACTERS_MAX = 40

Id = Annotated[str, StringConstraints(max_length=ID_CHARACTERS_MAX)]
"""`prefix_` and 26 characters, made by the caller; the flow checks its form."""
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class Input(BaseModel):
    """What a client sends: a misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    """What a client gets: every field is always there."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Health(Output):
    """That the service answers, and what it is."""

    status: str
    version: str
    demo: bool
    operator: str
    production: bool = Field(
        description="whether nothing built-in, mock or demonstrated may be in use"
    )
    rests_on: dict[str, str] = Field(
        description="hosts of chain, ca, tsa and identity; empty where the part is built in or mock"
    )
    entries_waiting: int = Field(description="journal rows not yet in the tree")
    log_size: int = Field(description="leaves under the newest checkpoint")
    anchored_size: int = Field(description="leaves under the newest final anchor")
    unanchored_seconds: int = Field(
        description="how long the oldest checkpoint without a final anchor has waited"
    )
    rounds_alarmed: int = Field(
        description="rounds of the last 30 days whose result on the chain was struck or refused"
    )


class CheckOut(Output):
    """One finding of a report."""

    number: int
    code: str
    verdict: str
    summary_en: str
    summary_zh: str
    details: dict[str, Any]


class ReportOut(Output):
    """Outcome of every check that ran. Failing is a result, not an error: the status is 200."""

    v: str
    subject: str
    verdict: str = Field(description="passed, failed or indeterminate")
    labels: list[str]
    checks: list[CheckOut]
