"""Intent statements and their proofs; every identity here is invented."""

import hashlib
from datetime import timedelta

import pytest

from ledger.core.errors import InputError, VerificationError
from signing.intent import (
    ACTS,
    CLOCK_SKEW,
    FRESH_FOR,
    intent_message,
    require_intent,
    statement,
    statement_digest,
    verify_intent,
)
from signing.keys.device import DeviceKey
from signing.testing import FIXED_TIME

DOCUMENT = hashlib.sha256(b"invented document").digest()
FIELDS = {
    "agreement": "agr_1",
    "document_sha256": DOCUMENT,
    "person": "pty_person",
    "person_name": "张三（虚构）",
    "organisation": "pty_org",
    "organisation_name": "示例捐赠企业（虚构）",
    "act": "sign",
    "field": "donor",
    "at": FIXED_TIME,
    "nonce": "0" * 32,
}
BINDING = {
    "agreement": "agr_1",
    "document_sha256": DOCUMENT,
    "person": "pty_person",
    "organisation": "pty_org",
    "act": "sign",
    "field": "donor",
    "at": FIXED_TIME + timedelta(minutes=1),
}
KEY = DeviceKey.create()
STATEMENT = statement(**FIELDS)
PROOF = {"signature": KEY.sign(intent_message(STATEMENT)), "public_spki": KEY.public_spki}


def code_of(call):
    with pytest.raises(VerificationError) as caught:
        call()
    return caught.value.error_code


def signed(stmt):
    return {"signature": KEY.sign(intent_message(stmt)), "public_spki": KEY.public_spki}


def test_a_statement_names_person_organisation_and_document_in_both_languages():
    for language in ("text_zh", "text_en"):
        text = STATEMENT[language]
        assert "张三（虚构）" in text
        assert "示例捐赠企业（虚构）" in text
        assert DOCUMENT.hex() in text
    assert STATEMENT["text_zh"].startswith("本人张三（虚构），代表示例捐赠企业（虚构），签署文件")
    assert STATEMENT["text_en"].startswith(
        "I, 张三（虚构）, for 示例捐赠企业（虚构）, sign document"
    )
    own = statement(**(FIELDS | {"organisation": None, "organisation_name": None}))
    assert "in my own name" in own["text_en"]


def test_the_acts_read_differently():
    texts = {statement(**(FIELDS | {"act": act}))["text_zh"] for act in ACTS}
    assert len(texts) == len(ACTS)


def test_the_message_hashes_to_the_digest():
    assert hashlib.sha256(intent_message(STATEMENT)).digest() == statement_digest(STATEMENT)


def test_a_proof_verifies_and_is_bound_to_its_act():
    verify_intent(STATEMENT, **PROOF)
    require_intent(STATEMENT, **PROOF, **BINDING)


def test_another_key_did_not_express_this_will():
    other = DeviceKey.create().public_spki
    proof = PROOF | {"public_spki": other}
    assert code_of(lambda: verify_intent(STATEMENT, **proof)) == "intent.proof"


@pytest.mark.parametrize("tail", [b"\0", b"x"])
def test_a_signature_in_another_encoding_is_refused(tail):
    proof = PROOF | {"signature": PROOF["signature"] + tail}
    assert code_of(lambda: verify_intent(STATEMENT, **proof)) == "intent.proof"


@pytest.mark.parametrize("name", sorted(set(STATEMENT) - {"text_zh", "text_en"}))
def test_no_field_can_be_changed_after_signing(name):
    changed = dict(STATEMENT)
    value = changed[name]
    changed[name] = f"{value[:-1]}{'1' if value[-1] != '1' else '2'}"
    # The text follows the fields, so that only the proof stands in the way.
    if name not in ("v", "act", "at", "method"):
        fields = {key: changed[key] for key in FIELDS}
        fields |= {"document_sha256": bytes.fromhex(changed["document_sha256"])}
        changed = statement(**(fields | {"at": FIXED_TIME}))
        assert changed != STATEMENT
        assert code_of(lambda: verify_intent(changed, **PROOF)) == "intent.proof"
    else:
        code = code_of(lambda: verify_intent(changed, **PROOF))
        assert code in ("intent.malformed", "intent.proof")


@pytest.mark.parametrize("language", ["text_zh", "text_en"])
def test_a_text_that_says_something_else_is_refused_even_if_signed(language):
    lying = STATEMENT | {language: "I agree to nothing."}
    assert code_of(lambda: verify_intent(lying, **signed(lying))) == "intent.text"


@pytest.mark.parametrize(
    "changes",
    [
        {"v": "fuqi/intent/v2"},
        {"method": "fax"},
        {"extra": 1},
        {"act": ["sign"]},
        {"nonce": "short"},
        {"at": "2026-11-23 05:36:11"},
        {"at": "2026-13-23T05:36:11Z"},
        {"document_sha256": "00"},
        {"person": ""},
        {"organisation": None},
        {"field": None},
        {"agreement": 1.5},
    ],
)
def test_what_is_no_statement_is_refused_even_if_signed(changes):
    bad = STATEMENT | changes
    proof = PROOF if "agreement" in changes else signed(bad)
    assert code_of(lambda: verify_intent(bad, **proof)) == "intent.malformed"


def test_a_statement_without_a_field_is_refused():
    bad = {key: value for key, value in STATEMENT.items() if key != "nonce"}
    assert code_of(lambda: verify_intent(bad, **signed(bad))) == "intent.malformed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"agreement": "agr_2"}, "intent.other_agreement"),
        ({"document_sha256": bytes(32)}, "intent.other_document"),
        ({"person": "pty_x"}, "intent.other_person"),
        ({"organisation": None}, "intent.other_organisation"),
        ({"act": "consent"}, "intent.other_act"),
        ({"field": "hospital"}, "intent.other_field"),
        ({"at": FIXED_TIME - CLOCK_SKEW - timedelta(seconds=1)}, "intent.not_yet"),
        ({"at": FIXED_TIME + FRESH_FOR + timedelta(seconds=1)}, "intent.stale"),
    ],
)
def test_a_true_statement_about_something_else_is_refused(changes, code):
    binding = BINDING | changes
    assert code_of(lambda: require_intent(STATEMENT, **PROOF, **binding)) == code


@pytest.mark.parametrize("at", [FIXED_TIME - CLOCK_SKEW, FIXED_TIME + FRESH_FOR])
def test_the_window_includes_its_ends(at):
    require_intent(STATEMENT, **PROOF, **(BINDING | {"at": at}))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"agreement": "a b"}, "agreement"),
        ({"document_sha256": b"short"}, "document_sha256"),
        ({"person": "x" * 65}, "person"),
        ({"person_name": "a\u202eb"}, "person_name"),
        ({"person_name": "two\nlines"}, "person_name"),
        ({"organisation_name": None}, "organisation_name"),
        ({"organisation": None}, "organisation_name"),
        ({"act": "promise"}, "act"),
        ({"field": "a field"}, "field"),
        ({"nonce": "G" * 32}, "nonce"),
        ({"nonce": "0" * 31}, "nonce"),
        ({"method": "passkey"}, "method"),
    ],
)
def test_a_statement_that_could_mislead_cannot_be_made(changes, field):
    with pytest.raises(InputError) as caught:
        statement(**(FIELDS | changes))
    assert caught.value.error_code == "intent.malformed"
    assert caught.value.context == {"field": field}
