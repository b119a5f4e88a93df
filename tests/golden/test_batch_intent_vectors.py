"""Vector of a batch's statement and items; every identity is invented.

SOURCE: the values were made once by `signing.batch_intent`; the digests are computed again below with the
standard library alone.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from ledger.core.errors import VerificationError
from signing.annexes import FieldValue, annex
from signing.batch_intent import (
    approval_item,
    batch_digest,
    batch_item,
    batch_statement,
    item_digest,
    require_listed,
)
from signing.intent import intent_message, statement, statement_digest, verify_intent
from signing.keys.device import DeviceKey
from signing.statement_values import NamedSeal

FOLDER = Path(__file__).parent / "identity"
VECTOR = json.loads((FOLDER / "batch_intent.json").read_text(encoding="utf-8"))
ALONE = json.loads((FOLDER / "approval.json").read_text(encoding="utf-8"))
APPROVAL = json.loads((FOLDER / "batch_approval.json").read_text(encoding="utf-8"))
VALUES = json.loads((FOLDER / "batch_approval_values.json").read_text(encoding="utf-8"))


def by_hand(tag, value):
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(tag + b"\x00" + text.encode()).hexdigest()


def made():
    items = [
        batch_item(
            agreement=f"agr_01k0000000000000000000000{number}",
            document_sha256=hashlib.sha256(b"invented document %d" % number).digest(),
            field="party_b",
            salt=bytes([number]) * 16,
        )
        for number in (1, 2, 3)
    ]
    return items, batch_statement(
        items,
        person="pty_01k00000000000000000000001",
        person_name="张三（虚构）",
        organisation="pty_01k00000000000000000000002",
        organisation_name="示例捐赠企业（虚构）",
        at=datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC),
        nonce="000102030405060708090a0b0c0d0e0f",
    )


def test_the_statement_its_items_and_digests_stay_the_same_for_ever():
    items, stmt = made()
    assert items == VECTOR["items"]
    assert stmt == VECTOR["statement"]
    assert [item_digest(one).hex() for one in items] == VECTOR["statement"]["items"]
    assert batch_digest(stmt).hex() == VECTOR["sha256"]


def test_the_digests_follow_from_the_text_alone():
    stmt = VECTOR["statement"]
    assert [by_hand(b"fuqi/batch-item/v1", one) for one in VECTOR["items"]] == stmt["items"]
    listed = by_hand(b"fuqi/batch-item/v1", {"items": stmt["items"]})
    assert listed in stmt["text_zh"]
    assert listed in stmt["text_en"]
    assert by_hand(b"fuqi/batch-intent/v1", stmt) == VECTOR["sha256"]


def approved():
    seal = NamedSeal("sea_01k00000000000000000000009", "contract", "ab" * 32)
    items = [
        approval_item(
            agreement=f"agr_01k0000000000000000000000{number}",
            document_sha256=hashlib.sha256(b"invented document %d" % number).digest(),
            field="approver1",
            amount=amount,
            seal=None if number == 3 else seal,
            salt=bytes([number]) * 16,
        )
        for number, amount in ((1, "1234567"), (2, "none"), (3, "unstated"))
    ]
    return items, batch_statement(
        items,
        person="pty_01k00000000000000000000001",
        person_name="张三（虚构）",
        organisation="pty_01k00000000000000000000002",
        organisation_name="示例捐赠企业（虚构）",
        at=datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC),
        nonce="000102030405060708090a0b0c0d0e0f",
        approve=True,
    )


def test_a_statement_of_approvals_stays_the_same_for_ever():
    items, stmt = approved()
    assert items == APPROVAL["items"]
    assert stmt == APPROVAL["statement"]
    assert batch_digest(stmt).hex() == APPROVAL["sha256"]


def test_the_digests_of_approvals_follow_from_the_text_alone():
    stmt = APPROVAL["statement"]
    assert [by_hand(b"fuqi/batch-item/v3", one) for one in APPROVAL["items"]] == stmt["items"]
    listed = by_hand(b"fuqi/batch-item/v1", {"items": stmt["items"]})
    assert listed in stmt["text_zh"]
    assert listed in stmt["text_en"]
    assert by_hand(b"fuqi/batch-intent/v2", stmt) == APPROVAL["sha256"]


def approved_with_values():
    """An approval whose annex lists two values of form fields: one filled before, one saved."""
    document = hashlib.sha256(b"invented document 1").digest()
    listed = annex(
        agreement="agr_01k00000000000000000000001",
        document_sha256=document.hex(),
        field="approver1",
        clauses=(),
        attachments=(),
        fields=(
            FieldValue("sum", "party_b", "120000.00"),
            FieldValue("delivery", "party_a", "示例路2号（虚构）"),
        ),
    )
    item = approval_item(
        agreement="agr_01k00000000000000000000001",
        document_sha256=document,
        field="approver1",
        amount="none",
        seal=None,
        salt=bytes([1]) * 16,
        annex=listed,
    )
    return listed, item


def test_an_approval_that_lists_values_stays_the_same_for_ever():
    listed, item = approved_with_values()
    assert listed == VALUES["annex"]
    assert item == VALUES["item"]
    assert item_digest(item).hex() == VALUES["sha256"]
    assert by_hand(b"fuqi/batch-item/v5", item) == VALUES["sha256"]
    assert by_hand(b"fuqi/annex/v2", listed) == item["annex_sha256"]


def test_an_approval_is_listed_with_its_values_only():
    _listed, item = approved_with_values()
    _items, stmt = approved()
    stmt = stmt | {"items": [item_digest(item).hex()], "count": 1}

    def code(one):
        try:
            require_listed(stmt, one)
        except VerificationError as exc:
            return exc.error_code
        return None

    assert code(item) is None
    without = {key: value for key, value in item.items() if key != "annex_sha256"}
    for other in (without, item | {"annex_sha256": "ab" * 32}, item | {"annex_sha256": ""}):
        assert code(other) == "intent.not_listed"


def alone(seal):
    return statement(
        agreement="agr_01k00000000000000000000001",
        document_sha256=hashlib.sha256(b"invented document").digest(),
        person="pty_01k00000000000000000000001",
        person_name="张三（虚构）",
        organisation="pty_01k00000000000000000000002",
        organisation_name="示例捐赠企业（虚构）",
        act="approve",
        field="",
        at=datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC),
        nonce="000102030405060708090a0b0c0d0e0f",
        amount="1234567" if seal else None,
        seal=NamedSeal("sea_01k00000000000000000000009", "contract", "ab" * 32) if seal else None,
    )


def test_an_approval_of_one_document_stays_the_same_for_ever():
    for name, stmt in (("named", alone(seal=True)), ("any", alone(seal=False))):
        assert stmt == ALONE[name]["statement"]
        assert statement_digest(stmt).hex() == ALONE[name]["sha256"]
        assert by_hand(b"fuqi/intent/v5", stmt) == ALONE[name]["sha256"]


def test_an_approval_that_names_another_seal_or_is_no_approval_is_refused():
    key = DeviceKey.create()

    def code(**changes):
        stmt = alone(seal=True) | changes
        try:
            signature = key.sign(intent_message(stmt))
            verify_intent(stmt, signature=signature, public_spki=key.public_spki)
        except VerificationError as exc:
            return exc.error_code
        return None

    assert code() is None
    seal = ALONE["named"]["statement"]["seal"]
    assert code(seal=seal | {"id": "sea_01k00000000000000000000008"}) == "intent.text"
    assert code(seal=None) == "intent.text"
    for changes in (
        {"act": "sign"},
        {"seal": "sea_01k00000000000000000000009"},
        {"seal": seal | {"picture_sha256": "AB" * 32}},
        {"seal": {"id": seal["id"]}},
        {"seal": seal | {"id": "章"}},
        {"amount": "-1"},
        {"v": "fuqi/intent/v4"},
        {"v": "fuqi/intent/v6"},
    ):
        assert code(**changes) == "intent.malformed", changes
