"""The decision to ratify an act beyond an authority (追认): one statement, signed by the decider's key.

As `signing.intent`, for another kind of act: the device signs `ratification_message(statement)`, and the text a
person reads is rebuilt on verification. Vectors: tests/golden/test_annex_vectors.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ledger.core.canonical import Json, canonical_bytes, tagged_digest
from ledger.core.errors import VerificationError
from ledger.core.units import Digest32, utc_text
from signing.intent import METHODS, STATEMENT_BYTES_MAX, require_form, require_proof, with_texts
from signing.statement_values import HEX32, NONCE, is_id, is_name, is_time, matches

RATIFICATION_TAG: Final = "fuqi/ratification-intent/v1"
DECISIONS: Final[Mapping[str, tuple[str, str]]] = {
    "ratified": ("追认", "ratify"),
    "refused": ("拒绝追认", "refuse to ratify"),
}
REASON_CHARS_MAX: Final = 500
_BOUND: Final = (
    "ratification",
    "agreement",
    "document_sha256",
    "person",
    "organisation",
    "handler",
    "lack",
    "decision",
    "reason",
)
_FIELDS: Final = frozenset(
    {
        "v",
        *_BOUND,
        "person_name",
        "organisation_name",
        "handler_name",
        "at",
        "nonce",
        "method",
        "text_zh",
        "text_en",
    }
)


def ratification_statement(
    *,
    ratification: str,
    agreement: str,
    document_sha256: str,
    person: str,
    person_name: str,
    organisation: str,
    organisation_name: str,
    handler: str,
    handler_name: str,
    lack: str,
    decision: str,
    reason: str,
    at: datetime,
    nonce: str,
    method: str = "device_key",
) -> dict[str, Json]:
    """The statement that whoever decides reads and their device signs.

    Args:
        document_sha256: hex, the document before the first signature.
        person: who decides; `handler`: whose act it is.
        lack: what the handler's authority lacks, as a code.
        decision: a key of `DECISIONS`.

    Raises:
        InputError: `intent.malformed` (`context['field']` names the field).
    """
    value: dict[str, Json] = {
        "v": RATIFICATION_TAG,
        "ratification": ratification,
        "agreement": agreement,
        "document_sha256": document_sha256,
        "person": person,
        "person_name": person_name,
        "organisation": organisation,
        "organisation_name": organisation_name,
        "handler": handler,
        "handler_name": handler_name,
        "lack": lack,
        "decision": decision,
        "reason": reason,
        "at": utc_text(at),
        "nonce": nonce,
        "method": method,
    }
    return with_texts(value, fault_of=_fault, texts_of=_texts)


def ratification_message(stmt: Mapping[str, Json]) -> bytes:
    """The bytes to sign: tag, one zero byte, canonical JSON."""
    return RATIFICATION_TAG.encode("ascii") + b"\x00" + canonical_bytes(dict(stmt))


def ratification_digest(stmt: Mapping[str, Json]) -> Digest32:
    """SHA-256 of `ratification_message`."""
    return tagged_digest(RATIFICATION_TAG, dict(stmt))


def require_ratification(
    stmt: Mapping[str, Json], *, signature: bytes, public_spki: bytes, wanted: Mapping[str, Json]
) -> None:
    """The holder of the key made exactly this statement, and it is about what is wanted.

    Args:
        wanted: values of any of its fields, e.g. `agreement`, `person`, `decision`.

    Raises:
        VerificationError: `intent.malformed`, `intent.text`, `intent.proof`; `intent.other_act`
            (`context["field"]`) where it is about something else.
    """
    require_form(
        stmt,
        fields=_FIELDS,
        fault_of=_fault,
        texts_of=_texts,
        bytes_max=STATEMENT_BYTES_MAX,
    )
    require_proof(ratification_message(stmt), signature=signature, public_spki=public_spki)
    for key, value in wanted.items():
        if stmt[key] != value:
            raise VerificationError(
                f"the statement is about another {key}", code="intent.other_act", field=key
            )


def _texts(stmt: Mapping[str, Json]) -> tuple[str, str]:
    verb_zh, verb_en = DECISIONS[str(stmt["decision"])]
    zh = (
        f"本人{stmt['person_name']}，代表{stmt['organisation_name']}，{verb_zh}{stmt['handler_name']}"
        f"就文件（SHA-256：{stmt['document_sha256']}）超出授权（{stmt['lack']}）的行为。理由：{stmt['reason']}"
    )
    en = (
        f"I, {stmt['person_name']}, for {stmt['organisation_name']}, {verb_en} what "
        f"{stmt['handler_name']} did beyond the authority ({stmt['lack']}) about document "
        f"{stmt['document_sha256']} (SHA-256). Reason: {stmt['reason']}"
    )
    return zh, en


def _fault(stmt: Mapping[str, Json]) -> str | None:
    """The first malformed field, in declared order, or None; texts are checked elsewhere."""
    reason = stmt["reason"]
    checks = (
        ("v", stmt["v"] == RATIFICATION_TAG),
        *((name, is_id(stmt[name])) for name in ("ratification", "agreement", "lack")),
        ("document_sha256", matches(HEX32, stmt["document_sha256"])),
        *((name, is_id(stmt[name])) for name in ("person", "organisation", "handler")),
        *(
            (name, is_name(stmt[name]))
            for name in ("person_name", "organisation_name", "handler_name")
        ),
        ("decision", isinstance(stmt["decision"], str) and stmt["decision"] in DECISIONS),
        (
            "reason",
            isinstance(reason, str)
            and 0 < len(reason) <= REASON_CHARS_MAX
            and reason == " ".join(reason.split()),
        ),
        ("at", is_time(stmt["at"])),
        ("nonce", matches(NONCE, stmt["nonce"])),
        ("method", stmt["method"] in METHODS),
    )
    return next((field for field, good in checks if not good), None)
