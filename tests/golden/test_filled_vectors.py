"""Vectors of an annex that lists form fields (v2) and of the statement that names it (v3).

SOURCE: the values were made once by `signing.annexes` and `signing.intent`; every identity is invented. The
digests are computed again below with the standard library alone.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.core.errors import VerificationError
from signing.annexes import FieldValue, annex, annex_digest
from signing.intent import intent_message, require_intent, statement, statement_digest
from signing.keys.device import DeviceKey

FILE = Path(__file__).parent / "identity" / "filled.json"
AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
DOCUMENT = hashlib.sha256(b"invented form")
PLACE: dict[str, Any] = {
    "agreement": "agr_01k00000000000000000000000",
    "person": "pty_01k00000000000000000000002",
    "organisation": "pty_01k00000000000000000000001",
    "act": "sign",
    "field": "party_b",
    "at": AT,
}


def by_hand(tag: str, value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(tag.encode() + b"\x00" + text.encode()).hexdigest()


def made(value: str = "示例路2号（虚构）") -> tuple[dict[str, Any], dict[str, Any]]:
    listed = annex(
        agreement=PLACE["agreement"],
        document_sha256=DOCUMENT.hexdigest(),
        field="party_b",
        clauses=(),
        attachments=(),
        fields=[
            FieldValue("remark", "party_a", "by sea"),
            FieldValue("delivery", "party_b", value),
        ],
    )
    assert listed is not None
    said = statement(
        document_sha256=DOCUMENT.digest(),
        person_name="李四（虚构）",
        organisation_name="示例医院（虚构）",
        nonce="000102030405060708090a0b0c0d0e0f",
        annex=listed,
        **PLACE,
    )
    return dict(listed), dict(said)


def test_annex_and_statement_are_what_they_were() -> None:
    listed, said = made()
    kept = json.loads(FILE.read_text())
    assert kept["annex"] == listed
    assert kept["statement"] == said
    assert by_hand("fuqi/annex/v2", listed) == kept["annex_sha256"] == annex_digest(listed).hex()
    assert (
        by_hand("fuqi/intent/v3", said) == kept["statement_sha256"] == statement_digest(said).hex()
    )


def test_a_statement_about_other_values_is_refused() -> None:
    key = DeviceKey.create()
    listed, said = made()
    proof = {"signature": key.sign(intent_message(said)), "public_spki": key.public_spki}
    wanted = {**PLACE, "document_sha256": DOCUMENT.digest()}
    require_intent(said, annex=listed, **proof, **wanted)
    other, _ = made("another place")
    with pytest.raises(VerificationError) as caught:
        require_intent(said, annex=other, **proof, **wanted)
    assert caught.value.error_code == "intent.other_annex"
