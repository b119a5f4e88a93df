"""Levels from recorded checks: each step by a check of its own, for a time, a face never alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ledger.core.canonical import canonical_bytes
from ledger.core.errors import InputError, VerificationError
from ledger.core.units import digest32
from signing.identity import KINDS, Level, Status, VerificationResult, derive_level
from signing.identity_kinds import Answered, Proves, require_alternatives
from signing.providers import identity_wire as wire
from signing.providers.identity_http import require_kinds
from signing.providers.identity_manual import Decision, ManualReviewProvider
from signing.verification import VerificationRequest

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SECRET = b"an invented secret of 32 bytes or more"


def answer(kind, status=Status.MATCH, *, at=AT, mock=False):
    return VerificationResult(
        status=status,
        provider="invented",
        label_en="invented",
        label_zh="虚构",
        mock=mock,
        request_id=f"chk_{kind}_{at:%s}",
        kind=kind,
        subject="pty_a",
        checked_at=at,
        evidence_digest=digest32(bytes(32)),
    )


def derived(*kinds, at=AT):
    return derive_level([answer(one) for one in kinds], subject="pty_a", allow_mock=False, at=at)


@pytest.mark.parametrize(
    ("kinds", "level"),
    [
        ((), Level.L0),
        (("person_phone_code",), Level.L0),
        (("person_face",), Level.L0),
        (("person_phone_code", "person_face"), Level.L0),
        (("person_manual_review",), Level.L1),
        (("person_manual_review", "person_face"), Level.L1),
        (("person_name_number", "person_manual_review"), Level.L1),
        (("person_manual_review", "person_phone_code"), Level.L2),
        (("person_name_number", "person_manual_review", "person_email_code"), Level.L3),
        (("person_name_number", "person_phone_code", "person_face"), Level.L3),
        (("organisation_transfer",), Level.L0),
        (("organisation_name_code", "organisation_transfer"), Level.L2),
        (("organisation_name_code", "organisation_transfer", "organisation_phone_code"), Level.L3),
        (
            (
                "organisation_name_code",
                "organisation_transfer",
                "organisation_representative_letter",
            ),
            Level.L3,
        ),
    ],
)
def test_each_step_needs_a_check_of_its_own(kinds, level):
    assert derived(*kinds).level is level


def test_no_single_check_and_no_face_without_data_and_channel_reaches_the_top():
    for kind in KINDS:
        assert derived(kind).level <= Level.L1
    for pair in itertools.combinations(KINDS, 2):
        assert derived(*pair).level <= Level.L2


def test_a_face_is_refused_where_it_would_be_the_only_control_proof():
    with pytest.raises(InputError) as caught:
        require_alternatives({"person_name_number", "person_phone_code", "person_face"})
    assert caught.value.error_code == "identity.face_only"
    require_alternatives({"person_face", "person_manual_review"})
    biometric = [rule for rule in KINDS.values() if rule.biometric]
    assert biometric
    for rule in biometric:
        others = [
            one
            for one in KINDS.values()
            if one.about == rule.about and Proves.CONTROL in one.proves and not one.biometric
        ]
        assert others


def test_a_service_is_named_only_kinds_that_a_service_answers():
    require_kinds({"person_name_number", "person_face"})
    for kind in ("person_phone_code", "person_manual_review", "person_horoscope"):
        with pytest.raises(InputError) as caught:
            require_kinds({kind})
        assert caught.value.error_code == "identity.kind"


def test_a_match_ends_in_time_and_the_level_says_when():
    data, code = answer("person_name_number"), answer("person_phone_code")
    found = derive_level([data, code], subject="pty_a", allow_mock=False, at=AT)
    assert (found.level, found.until) == (Level.L2, AT + timedelta(days=365))
    later = derive_level([data, code], subject="pty_a", allow_mock=False, at=found.until)
    assert later.level is Level.L1
    assert "identity.expired" in later.reasons
    assert later.until == AT + timedelta(days=730)
    end = derive_level([data, code], subject="pty_a", allow_mock=False, at=later.until)
    assert (end.level, end.until) == (Level.L0, None)
    before = derive_level(
        [data, code], subject="pty_a", allow_mock=False, at=found.until - timedelta(seconds=1)
    )
    assert before.level is Level.L2


def test_only_a_mismatch_of_data_takes_the_level_away():
    later = AT + timedelta(hours=1)
    data = answer("person_name_number")
    code = answer("person_phone_code", Status.MISMATCH, at=later)
    held = derive_level([data, code], subject="pty_a", allow_mock=False, at=later)
    assert held.level is Level.L1
    for status in (Status.NO_RECORD, Status.SOURCE_DOWN, Status.UNSUPPORTED, Status.PENDING):
        again = answer("person_name_number", status, at=later)
        found = derive_level([data, again], subject="pty_a", allow_mock=False, at=later)
        assert found.level is Level.L1
    wrong = answer("person_name_number", Status.MISMATCH, at=later)
    found = derive_level([data, wrong], subject="pty_a", allow_mock=False, at=later)
    assert (found.level, found.reasons) == (Level.L0, ("identity.mismatch",))


# --- what goes over the wire ------------------------------------------------------------------------


def an_answer(**changes):
    fields = wire.Answer(
        request_id="chk_a",
        nonce="00" * 16,
        status=Status.MATCH,
        checked_at=AT,
        reference="invented-1",
    )
    return replace(fields, **changes)


def sealed(found=None, *, secret=SECRET, sent_at=AT):
    return wire.seal(wire.answer_document(found or an_answer(), sent_at=sent_at), secret=secret)


def refused(data, *, at=AT):
    with pytest.raises(VerificationError) as caught:
        wire.read_answer(data, secret=SECRET, at=at)
    return caught.value.error_code


def test_a_sealed_answer_comes_back_as_it_was():
    assert wire.read_answer(sealed(), secret=SECRET, at=AT) == an_answer()


def test_another_secret_a_flipped_byte_and_another_kind_of_document_are_refused():
    assert refused(sealed(secret=b"x" * 32)) == "identity.answer_mac"
    data = sealed()
    changed = data.replace(b'"match"', b'"mismatch"')
    assert changed != data
    assert refused(changed) == "identity.answer_mac"
    for n in range(len(data)):
        flipped = data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :]
        assert refused(flipped) in ("identity.answer_mac", "identity.answer_malformed")
    question = wire.seal({"v": wire.REQUEST_TAG, "request": "chk_a"}, secret=SECRET)
    assert refused(question) == "identity.answer_malformed"
    missing = wire.seal({"v": wire.ANSWER_TAG, "request": "chk_a"}, secret=SECRET)
    assert refused(missing) == "identity.answer_malformed"
    assert refused(b"[]") == "identity.answer_malformed"
    assert refused(b" " * (wire.ANSWER_BYTES_MAX + 1)) == "identity.answer_malformed"
    no_mark = canonical_bytes(wire.answer_document(an_answer(), sent_at=AT))
    assert refused(no_mark) == "identity.answer_mac"


@pytest.mark.parametrize(
    ("shift", "code"),
    [(-301, "identity.answer_stale"), (301, "identity.answer_stale"), (-300, None), (300, None)],
)
def test_an_answer_is_read_within_five_minutes_of_sending(shift, code):
    at = AT + timedelta(seconds=shift)
    if code is None:
        assert wire.read_answer(sealed(), secret=SECRET, at=at).status is Status.MATCH
    else:
        assert refused(sealed(), at=at) == code


def test_an_answer_checked_after_it_was_sent_or_with_a_long_reference_is_malformed():
    assert refused(sealed(an_answer(checked_at=AT + timedelta(seconds=1)))) == (
        "identity.answer_malformed"
    )
    assert refused(sealed(an_answer(reference="x" * 129))) == "identity.answer_malformed"


def test_a_short_secret_is_none():
    with pytest.raises(InputError) as caught:
        wire.require_secret(b"x" * 31)
    assert caught.value.error_code == "identity.secret"
    assert wire.require_secret(b"x" * 32)


# --- manual review ----------------------------------------------------------------------------------


def question(kind):
    factors = dict.fromkeys(KINDS[kind].factors, "invented")
    return VerificationRequest("chk_a", kind, "pty_a", factors, "test", "cst_a", "00", AT)


def test_a_review_waits_and_a_register_is_not_asked():
    provider = ManualReviewProvider()
    for kind, rule in KINDS.items():
        wanted = Status.PENDING if rule.answered is Answered.REVIEW else Status.UNSUPPORTED
        assert provider.verify(question(kind)).status is wanted


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": Status.SOURCE_DOWN}, "identity.decision"),
        ({"status": Status.PENDING}, "identity.decision"),
        ({"reviewer": "  "}, "identity.reviewer"),
        ({"reviewer": "x" * 65}, "identity.reviewer"),
        ({"reason": ""}, "identity.reason"),
        ({"documents": ()}, "identity.documents"),
    ],
)
def test_a_decision_names_who_why_and_on_what(changes, code):
    fields = {
        "status": Status.MATCH,
        "account": "acc_a",
        "reviewer": "虚构审核员",
        "reason": "invented",
        "documents": ("00" * 32,),
    }
    assert Decision(**fields)
    with pytest.raises(InputError) as caught:
        Decision(**{**fields, **changes})
    assert caught.value.error_code == code
