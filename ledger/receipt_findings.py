"""What the checks of a receipt share: the case under examination, and findings in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ledger.chain_proof import ProvenHead, verify_chain_evidence
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError
from ledger.core.report import Check, Verdict
from ledger.ledger_trust import ChainPin, LedgerTrust
from ledger.receipt_reading import entry_fields, hex_bytes, require_integer
from ledger.receipt_words import MALFORMED_ZH, REASONS_ZH


@dataclass(slots=True)
class Case:
    """One verification, with what several checks need computed once."""

    receipt: Mapping[str, Any]
    trust: LedgerTrust | None
    evidence: Mapping[str, Any] | None
    at: datetime | None
    _heads: list[ProvenHead | FuqiError | None] = field(default_factory=list)
    _fields: list[dict[str, Any]] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """`entry_fields` of the receipt. Raises as it does."""
        if not self._fields:
            self._fields.append(entry_fields(self.receipt))
        return self._fields[0]

    def head(self) -> ProvenHead | None:
        """What the chain evidence proves; None where there is none. Raises as `verify_chain_evidence`."""
        if not self._heads:
            try:
                self._heads.append(_proven(self.receipt, self.evidence))
            except FuqiError as exc:
                self._heads.append(exc)
        found = self._heads[0]
        if isinstance(found, FuqiError):
            raise found
        return found

    def pin(self, head: ProvenHead) -> ChainPin | None:
        """The pinned chain and contract that the evidence is of."""
        for pin in () if self.trust is None else self.trust.chains:
            if (pin.chain_id, pin.contract.lower(), pin.code_hash.lower()) == (
                head.chain_id,
                head.contract,
                head.code_hash,
            ):
                return pin
        return None


def passed(code: str, summary_en: str, summary_zh: str, **details: Json) -> Check:
    """It holds."""
    return Check(code, Verdict.PASSED, summary_en, summary_zh, dict(details))


def failed(code: str, reason: str, reason_zh: str = "") -> Check:
    """It does not hold."""
    return Check(code, Verdict.FAILED, reason, f"未通过：{_zh(reason, reason_zh)}")


def unknown(code: str, reason: str, reason_zh: str = "") -> Check:
    """Nobody can tell from what is here."""
    return Check(code, Verdict.INDETERMINATE, reason, f"无法判定：{_zh(reason, reason_zh)}")


def _zh(reason: str, given: str) -> str:
    return given or REASONS_ZH.get(reason) or reason


def error_zh(error: FuqiError) -> str:
    """What an error says, in Chinese."""
    return REASONS_ZH.get(error.error_code, MALFORMED_ZH)


def _proven(receipt: Mapping[str, Any], evidence: Mapping[str, Any] | None) -> ProvenHead | None:
    anchor = receipt["anchor"]
    found = evidence if evidence is not None else anchor["evidence"]
    if found is None:
        return None
    return verify_chain_evidence(
        found, size=require_integer(anchor["size"]), root=hex_bytes(anchor["root"])
    )
