"""Vectors of identity numbers and of the intent statement; every identity here is invented.

SOURCE: the numbers are those of design/legal.md 4.2 and of GB 11643's own example. The statement's
digest was computed with the standard library alone (`_by_hand` below), not with our encoder.
"""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

from signing.identity import check_resident_id, check_uscc, invented_resident_id, invented_uscc
from signing.intent import intent_message, statement, statement_digest, verify_intent

VECTORS = json.loads(
    (Path(__file__).parent / "identity" / "vectors.json").read_text(encoding="utf-8")
)


def _by_hand(value):
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"fuqi/intent/v1\x00" + text.encode()).hexdigest()


def made():
    return statement(
        agreement="agr_01k00000000000000000000000",
        document_sha256=hashlib.sha256(b"invented document").digest(),
        person="pty_01k00000000000000000000001",
        person_name="张三（虚构）",
        organisation="pty_01k00000000000000000000002",
        organisation_name="示例捐赠企业（虚构）",
        act="sign",
        field="donor",
        at=datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC),
        nonce="000102030405060708090a0b0c0d0e0f",
    )


def test_published_numbers_pass():
    for number in VECTORS["resident_ids"]:
        assert check_resident_id(number, today=date(2026, 11, 23)).number == number
    for code in VECTORS["credit_codes"]:
        assert check_uscc(code).code == code


def test_invented_numbers_stay_the_same_for_ever():
    found = VECTORS["invented"]
    assert invented_resident_id("vector", birth=date(1980, 2, 29)) == found["resident_id"]
    assert invented_uscc("vector") == found["credit_code"]


def test_the_statement_and_its_digest_stay_the_same_for_ever():
    assert made() == VECTORS["intent"]["statement"]
    assert statement_digest(made()).hex() == VECTORS["intent"]["sha256"]
    assert _by_hand(VECTORS["intent"]["statement"]) == VECTORS["intent"]["sha256"]


def test_a_signature_made_by_openssl_verifies():
    found = VECTORS["intent"]
    assert hashlib.sha256(intent_message(found["statement"])).hexdigest() == found["sha256"]
    verify_intent(
        found["statement"],
        signature=bytes.fromhex(found["signature"]),
        public_spki=bytes.fromhex(found["public_spki"]),
    )
