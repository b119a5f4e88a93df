"""Vectors of clauses, annexes, the statement that names one, and of a ratification; every identity is invented.

SOURCE: the values were made once by `signing.annexes`, `signing.intent`, `signing.batch_intent` and
`signing.ratification_intent`; the digests are computed again below with the standard library alone.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.core.errors import FuqiError, VerificationError
from signing.annexes import Attached, Confirmed, annex, annex_digest, read_clauses
from signing.batch_intent import batch_item, item_digest
from signing.intent import intent_message, require_intent, statement, statement_digest
from signing.keys.device import DeviceKey
from signing.ratification_intent import (
    ratification_digest,
    ratification_message,
    ratification_statement,
    require_ratification,
)

FILE = Path(__file__).parent / "identity" / "annex.json"
AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
DOCUMENT = hashlib.sha256(b"invented document")
NONCE = "000102030405060708090a0b0c0d0e0f"


def by_hand(tag, value):
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(tag.encode() + b"\x00" + text.encode()).hexdigest()


def made():
    clauses = read_clauses(
        [
            ("limits_liability", "甲方仅对故意和重大过失承担责任。", "只有故意或重大过失才赔。"),
            ("disputes", "争议提交虚构仲裁委员会仲裁。\n仲裁裁决是终局的。", ""),
        ],
        pages=[1, 2],
    )
    listed = annex(
        agreement="agr_01k00000000000000000000000",
        document_sha256=DOCUMENT.hexdigest(),
        field="party_b",
        clauses=[Confirmed(one.number, one.digest.hex(), AT) for one in clauses],
        attachments=[
            Attached(
                "att_01k00000000000000000000001",
                "party_b",
                "营业执照.png",
                hashlib.sha256(b"invented licence").hexdigest(),
                16,
            )
        ],
    )
    assert listed is not None
    stmt = statement(
        agreement="agr_01k00000000000000000000000",
        document_sha256=DOCUMENT.digest(),
        person="pty_01k00000000000000000000001",
        person_name="张三（虚构）",
        organisation="pty_01k00000000000000000000002",
        organisation_name="示例医院（虚构）",
        act="sign",
        field="party_b",
        at=AT,
        nonce=NONCE,
        annex=listed,
    )
    item = batch_item(
        agreement="agr_01k00000000000000000000000",
        document_sha256=DOCUMENT.digest(),
        field="party_b",
        salt=bytes(range(16)),
        annex=listed,
    )
    decision = ratification_statement(
        ratification="rat_01k00000000000000000000003",
        agreement="agr_01k00000000000000000000000",
        document_sha256=DOCUMENT.hexdigest(),
        person="pty_01k00000000000000000000004",
        person_name="王五（虚构）",
        organisation="pty_01k00000000000000000000002",
        organisation_name="示例医院（虚构）",
        handler="pty_01k00000000000000000000001",
        handler_name="张三（虚构）",
        lack="authority.amount",
        decision="ratified",
        reason="情况紧急（虚构）",
        at=AT,
        nonce=NONCE,
    )
    return clauses, listed, stmt, item, decision


def values():
    clauses, listed, stmt, item, decision = made()
    return {
        "clauses": [one.as_json() for one in clauses],
        "clause_sha256": [one.digest.hex() for one in clauses],
        "annex": listed,
        "annex_sha256": annex_digest(listed).hex(),
        "statement": stmt,
        "statement_sha256": statement_digest(stmt).hex(),
        "item": item,
        "item_sha256": item_digest(item).hex(),
        "decision": decision,
        "decision_sha256": ratification_digest(decision).hex(),
    }


def test_the_vectors_stay_the_same_for_ever():
    assert values() == json.loads(FILE.read_text(encoding="utf-8"))


def test_the_digests_follow_from_the_text_alone():
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    for tag, value, digest in [
        ("fuqi/clause/v1", kept["clauses"][0], kept["clause_sha256"][0]),
        ("fuqi/clause/v1", kept["clauses"][1], kept["clause_sha256"][1]),
        ("fuqi/annex/v1", kept["annex"], kept["annex_sha256"]),
        ("fuqi/intent/v2", kept["statement"], kept["statement_sha256"]),
        ("fuqi/batch-item/v2", kept["item"], kept["item_sha256"]),
        ("fuqi/ratification-intent/v1", kept["decision"], kept["decision_sha256"]),
    ]:
        assert by_hand(tag, value) == digest
    assert kept["annex_sha256"] in kept["statement"]["text_zh"]
    assert kept["statement"]["annex_sha256"] == kept["item"]["annex_sha256"]


def test_a_statement_of_another_annex_count_or_text_is_refused():
    key = DeviceKey.create()
    _, listed, stmt, _, _ = made()

    def judge(value, annex_now):
        require_intent(
            value,
            signature=key.sign(intent_message(value)),
            public_spki=key.public_spki,
            agreement=value["agreement"],
            document_sha256=DOCUMENT.digest(),
            person=value["person"],
            organisation=value["organisation"],
            act="sign",
            field="party_b",
            at=AT,
            annex=annex_now,
        )

    judge(stmt, listed)
    other = {**listed, "clauses": listed["clauses"][:1]}
    for value, now, code in [
        (stmt, None, "intent.other_annex"),
        (stmt, other, "intent.other_annex"),
        ({**stmt, "clauses": 3}, listed, "intent.text"),
        ({**stmt, "clauses": 0, "attachments": 0}, listed, "intent.malformed"),
        ({**stmt, "annex_sha256": "00"}, listed, "intent.malformed"),
        (
            {name: one for name, one in stmt.items() if name != "clauses"},
            listed,
            "intent.malformed",
        ),
        ({**stmt, "v": "fuqi/intent/v1"}, listed, "intent.malformed"),
    ]:
        with pytest.raises(VerificationError) as caught:
            judge(value, now)
        assert caught.value.error_code == code


def test_a_ratification_of_another_key_person_or_text_is_refused():
    key, thief = DeviceKey.create(), DeviceKey.create()
    *_, stmt = made()

    def judge(value, *, by=key, **wanted):
        require_ratification(
            value,
            signature=by.sign(ratification_message(value)),
            public_spki=key.public_spki,
            wanted=wanted,
        )

    judge(stmt, agreement=stmt["agreement"], decision="ratified")
    for work, code in [
        (lambda: judge(stmt, by=thief), "intent.proof"),
        (lambda: judge(stmt, person="pty_other"), "intent.other_act"),
        (lambda: judge({**stmt, "decision": "refused"}), "intent.text"),
        (lambda: judge({**stmt, "decision": "perhaps"}), "intent.malformed"),
        (lambda: judge({**stmt, "reason": " two  spaces "}), "intent.malformed"),
        (lambda: judge({**stmt, "more": 1}), "intent.malformed"),
    ]:
        with pytest.raises(FuqiError) as caught:
            work()
        assert caught.value.error_code == code
