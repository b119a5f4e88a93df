"""The state of one examination, shared by the stages of the verifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ledger.core.canonical import Json
from ledger.core.report import Check, Verdict
from signing.reading import Form, SignatureFacts


@dataclass
class Examined:
    """Everything known about the file while it is examined."""

    data: bytes
    reader: Any = None
    signatures: list[SignatureFacts] = field(default_factory=list)
    form: Form | None = None
    checks: list[Check] = field(default_factory=list)

    def add(self, code: str, verdict: Verdict, en: str, zh: str, **details: Json) -> None:
        """Record one finding."""
        self.checks.append(Check(code, verdict, en, zh, dict(details)))
