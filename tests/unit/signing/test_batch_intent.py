"""One statement for many documents: what it proves of each, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger.core.errors import FuqiError
from signing.batch_intent import (
    ITEMS_MAX,
    affirmed,
    batch_digest,
    batch_item,
    batch_message,
    batch_statement,
    item_digest,
    verify_batch,
)
from signing.intent import intent_message, require_fresh, statement, statement_digest
from signing.keys.device import DeviceKey

AT = datetime(2026, 11, 23, 4, tzinfo=UTC)
KEY = DeviceKey.create()
SPKI = KEY.public_spki


def item(number):
    return batch_item(
        agreement=f"agr_{number}",
        document_sha256=bytes([number % 256]) * 32,
        field="party_a",
        salt=number.to_bytes(16),
    )


def made(count=3, **changed):
    items = [item(n) for n in range(1, count + 1)]
    return items, batch_statement(
        items,
        **{
            "person": "pty_p",
            "person_name": "张三（虚构）",
            "organisation": "pty_o",
            "organisation_name": "虚构医疗器械有限公司",
            "at": AT,
            "nonce": "ab" * 16,
            **changed,
        },
    )


def entry(stmt, one, *, act="sign", key=KEY):
    return {
        "act": act,
        "statement": stmt,
        "statement_sha256": batch_digest(stmt).hex(),
        "proof": key.sign(batch_message(stmt)).hex(),
        "item": one,
    }


def code_of(function, *arguments, **named):
    with pytest.raises(FuqiError) as caught:
        function(*arguments, **named)
    return caught.value.error_code


def test_one_signature_proves_consent_and_will_for_each_listed_document():
    items, stmt = made(ITEMS_MAX)
    for one in (items[0], items[-1]):
        for act, field in (("consent", ""), ("sign", "party_a")):
            found = affirmed(entry(stmt, one, act=act), public_spki=SPKI)
            assert (found.agreement, found.document_sha256) == (
                one["agreement"],
                one["document_sha256"],
            )
            assert (found.act, found.field, found.person, found.at) == (act, field, "pty_p", AT)
    assert stmt["count"] == ITEMS_MAX
    assert f"{ITEMS_MAX}份" in stmt["text_zh"]


def test_a_lone_statement_is_read_by_the_same_function():
    stmt = statement(
        agreement="agr_1",
        document_sha256=b"\x01" * 32,
        person="pty_p",
        person_name="张三（虚构）",
        organisation=None,
        organisation_name=None,
        act="sign",
        field="party_a",
        at=AT,
        nonce="cd" * 16,
    )
    body = {
        "act": "sign",
        "statement": stmt,
        "statement_sha256": statement_digest(stmt).hex(),
        "proof": KEY.sign(intent_message(stmt)).hex(),
    }
    found = affirmed(body, public_spki=SPKI)
    assert (found.agreement, found.organisation, found.field) == ("agr_1", None, "party_a")
    assert code_of(affirmed, {**body, "act": "consent"}, public_spki=SPKI) == "intent.other_act"
    assert (
        code_of(affirmed, {**body, "statement_sha256": "00" * 32}, public_spki=SPKI)
        == "intent.other_act"
    )


def test_a_document_that_is_not_listed_is_not_affirmed():
    items, stmt = made(3)
    for changed in (
        item(4),
        {**items[0], "document_sha256": "ff" * 32},
        {**items[0], "agreement": "agr_2"},
        {**items[0], "field": "party_b"},
        {**items[0], "salt": "00" * 16},
        {**items[0], "more": 1},
        {key: value for key, value in items[0].items() if key != "salt"},
        None,
    ):
        assert code_of(affirmed, entry(stmt, changed), public_spki=SPKI) == "intent.not_listed"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("v", "fuqi/batch-intent/v2", "intent.malformed"),
        ("acts", ["sign"], "intent.malformed"),
        ("count", 2, "intent.malformed"),
        ("count", True, "intent.malformed"),
        ("items", [], "intent.malformed"),
        ("items", ["00" * 32] * 3, "intent.malformed"),
        ("items", "00", "intent.malformed"),
        ("person_name", "张三\u202e", "intent.malformed"),
        ("person_name", "李四（虚构）", "intent.text"),
        ("organisation", None, "intent.malformed"),
        ("at", "2026-11-23", "intent.malformed"),
        ("nonce", "zz", "intent.malformed"),
        ("method", "face", "intent.malformed"),
        ("text_zh", "本人已阅读。", "intent.text"),
        ("person", "pty_q", "intent.proof"),
    ],
)
def test_every_changed_word_of_the_statement_is_refused(field, value, code):
    _, stmt = made(3)
    proof = KEY.sign(batch_message(stmt))
    verify_batch(stmt, signature=proof, public_spki=SPKI)
    assert code_of(verify_batch, {**stmt, field: value}, signature=proof, public_spki=SPKI) == code


def test_items_are_bound_in_their_order_and_none_can_be_added():
    _, stmt = made(3)
    proof = KEY.sign(batch_message(stmt))
    turned = {**stmt, "items": stmt["items"][::-1]}
    assert code_of(verify_batch, turned, signature=proof, public_spki=SPKI) == "intent.text"
    more = {**stmt, "items": [*stmt["items"], item_digest(item(9)).hex()], "count": 4}
    assert code_of(verify_batch, more, signature=proof, public_spki=SPKI) == "intent.text"


def test_another_key_did_not_make_it():
    items, stmt = made(2)
    other = DeviceKey.create()
    assert code_of(affirmed, entry(stmt, items[0], key=other), public_spki=SPKI) == "intent.proof"


def test_a_statement_lives_ten_minutes():
    _, stmt = made(1)
    require_fresh(stmt, at=AT + timedelta(minutes=10))
    assert code_of(require_fresh, stmt, at=AT + timedelta(minutes=11)) == "intent.stale"
    assert code_of(require_fresh, stmt, at=AT - timedelta(minutes=2)) == "intent.not_yet"


@pytest.mark.parametrize("count", [0, ITEMS_MAX + 1])
def test_a_batch_has_a_limit(count):
    assert code_of(made, count) == "batch.items"
