"""Identity numbers, verification levels and authority; every identity here is invented."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    ForbiddenError,
    InputError,
)
from signing.identity import (
    Authorisation,
    IdKind,
    Level,
    MockProvider,
    Status,
    VerificationRequest,
    authorisation_from_json,
    check_phone,
    check_resident_id,
    check_uscc,
    derive_level,
    invented_resident_id,
    invented_uscc,
    is_invented,
    mask_name,
    mask_number,
    mask_phone,
    require_authority,
)
from signing.numbers import organisation_check, resident_id_check, uscc_check
from signing.verification import KINDS, MOCK_LABEL_EN, Proves

TODAY = date(2026, 11, 23)
AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)


def code_of(call):
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.error_code


def resident(body):
    return body + resident_id_check(body)


def credit(body8, organisation):
    body = body8 + organisation + organisation_check(organisation)
    return body + uscc_check(body)


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["11010519491231002X", "11010519491231002x", " 11010519491231002X\n"]
)
def test_the_standards_own_number_passes(text):
    found = check_resident_id(text, today=TODAY)
    assert found.number == "11010519491231002X"
    assert found.birth == date(1949, 12, 31)
    assert found.kind is IdKind.RESIDENT
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("110105194912310021", "identity.rid_checksum"),
        ("110105491231002", "identity.rid_legacy"),
        ("", "identity.rid_length"),
        ("11010519491231002", "identity.rid_length"),
        ("11010519491231002XX", "identity.rid_length"),
        ("1" * 1000, "identity.rid_length"),
        ("01010519491231002X", "identity.rid_characters"),
        ("1101051949123100XX", "identity.rid_characters"),
        ("110105 9491231002X", "identity.rid_characters"),
        ("１１０１０５１９４９１２３１００２Ｘ", "identity.rid_characters"),
        ("٣" * 18, "identity.rid_characters"),
        (resident("11010519490229002"), "identity.rid_date"),
        (resident("11010519491331002"), "identity.rid_date"),
        (resident("11010500000101002"), "identity.rid_date"),
        (resident("11010520261124002"), "identity.rid_future"),
        (resident("11010518950101002"), "identity.rid_age"),
    ],
)
def test_a_bad_number_is_refused_with_its_exact_reason(text, code):
    assert code_of(lambda: check_resident_id(text, today=TODAY)) == code


def test_the_first_fault_in_declared_order_is_named():
    # Impossible day and wrong check character: the day comes first.
    assert code_of(lambda: check_resident_id("110105194902290000", today=TODAY)) == (
        "identity.rid_date"
    )


def test_somebody_born_today_is_accepted_and_tomorrow_not():
    check_resident_id(resident("11010520261123002"), today=TODAY)
    tomorrow = resident("11010520261123002")
    yesterday = TODAY - timedelta(days=1)
    assert code_of(lambda: check_resident_id(tomorrow, today=yesterday)) == "identity.rid_future"


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        ("810000", IdKind.HONG_KONG_PERMIT),
        ("820000", IdKind.MACAO_PERMIT),
        ("830000", IdKind.TAIWAN_PERMIT),
        ("911110", IdKind.FOREIGN_PERMANENT),
    ],
)
def test_residence_permits_are_accepted_as_what_they_are(prefix, kind):
    found = check_resident_id(resident(f"{prefix}19800101001"), today=TODAY)
    assert found.kind is kind
    assert found.warnings == ()


def test_an_abolished_county_passes_quietly_and_an_unknown_one_with_a_warning():
    abolished = resident("11010319700101001")  # Chongwen district, abolished in 2010
    assert check_resident_id(abolished, today=TODAY).warnings == ()
    unknown = resident("11999919700101001")
    assert check_resident_id(unknown, today=TODAY).warnings == ("identity.rid_region",)


@pytest.mark.parametrize(
    "code",
    ["91110000600037341L", "9144030071526726XG", "91330100799655058B", "91350100M000100Y43"],
)
def test_published_credit_codes_pass(code):
    found = check_uscc(f" {code.lower()} ")
    assert found.code == code
    assert found.organisation_code == code[8:17]
    assert found.warnings == ()


def test_a_credit_code_whose_sum_is_a_multiple_of_31_ends_in_0():
    # The usual bug answers "31" here. 91110000 + organisation code of 00000075 gives sum 0 mod 31.
    zero = next(
        code for number in range(10_000) if (code := credit("91110000", f"{number:08d}"))[17] == "0"
    )
    assert check_uscc(zero).code == zero


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("91110000600037341", "identity.uscc_length"),
        ("9" * 500, "identity.uscc_length"),
        ("91110000600037341I", "identity.uscc_characters"),
        ("9111A000600037341L", "identity.uscc_characters"),
        ("91110000600037341Z", "identity.uscc_characters"),
        ("91110000６00037341", "identity.uscc_characters"),
        ("91110000600037341M", "identity.uscc_checksum"),
        ("91110000600037431L", "identity.uscc_checksum"),
    ],
)
def test_a_bad_credit_code_is_refused_with_its_exact_reason(text, code):
    if len(text) == 17:
        text = text if code.endswith("length") else text + "L"
    assert code_of(lambda: check_uscc(text)) == code


def test_a_credit_code_with_a_bad_organisation_code_inside_is_refused():
    body = "91110000600037342"  # the organisation code ends in 1
    text = body + uscc_check(body)
    assert code_of(lambda: check_uscc(text)) == "identity.uscc_organisation_code"


def test_unusual_authorities_and_regions_warn_only():
    assert check_uscc(credit("12100000", "71780000")).warnings == ()
    assert check_uscc(credit("N2420100", "00000001")).warnings == ()
    assert check_uscc(credit("W1990000", "00000001")).warnings == (
        "identity.uscc_authority",
        "identity.uscc_region",
    )


@pytest.mark.parametrize("text", ["13800138000", "+86 138-0013-8000", "8613800138000"])
def test_a_mainland_mobile_number_is_put_in_one_form(text):
    assert check_phone(text).number == "+8613800138000"
    assert check_phone(text).warnings == ()


def test_virtual_numbers_are_marked_and_foreign_ones_accepted():
    assert check_phone("17012345678").warnings == ("identity.phone_virtual",)
    assert check_phone("+442079460000").number == "+442079460000"


@pytest.mark.parametrize(
    "text", ["", "12800138000", "1380013800", "+8602712345678", "442079460000", "1" * 100]
)
def test_what_cannot_be_called_is_refused(text):
    assert code_of(lambda: check_phone(text)) == "identity.phone_format"


def test_invented_numbers_pass_every_check_and_are_told_apart():
    number = invented_resident_id("zhang", birth=date(1980, 2, 29))
    code = invented_uscc("donor")
    assert check_resident_id(number, today=TODAY).warnings == ("identity.rid_region",)
    assert check_uscc(code).warnings == ("identity.uscc_region",)
    assert is_invented(number)
    assert is_invented(code)
    assert not is_invented("11010519491231002X")
    assert not is_invented("91110000600037341L")
    assert invented_uscc("donor") == code != invented_uscc("hospital")


def test_masks_hide_what_identifies():
    assert mask_number("11010519491231002X") == "110***********002X"
    assert mask_number("short") == "*****"
    assert mask_phone("+8613800138000") == "+86138****8000"
    assert mask_phone("13800138000") == "138****8000"
    assert mask_name("张三丰") == "张**"
    found = check_resident_id("11010519491231002X", today=TODAY)
    assert "19491231" not in repr(found)
    assert "0013" not in repr(check_phone("13800138000"))


# --- verification ---------------------------------------------------------------------------------

FACTORS = {name: "invented" for rule in KINDS.values() for name in rule.factors}


def request(kind="person_name_number", *, n=1, at=AT, subject="pty_a", **factors):
    values = {name: FACTORS[name] for name in KINDS[kind].factors} | factors
    return VerificationRequest(
        request_id=f"ver_{kind}_{n}",
        kind=kind,
        subject=subject,
        factors=values,
        purpose="register",
        consent_id="con_1",
        nonce=f"{n:032x}",
        at=at,
    )


def answers(*kinds, **factors):
    provider = MockProvider()
    return [provider.verify(request(kind, **factors)) for kind in kinds]


def level(*kinds):
    return derive_level(answers(*kinds), subject="pty_a", allow_mock=True).level


def test_levels_need_data_then_a_channel_then_control():
    assert derive_level([], subject="pty_a", allow_mock=True).level is Level.L0
    assert level("person_name_number") is Level.L1
    assert level("person_name_number", "person_phone_code") is Level.L2
    assert level("person_name_number", "person_phone_code", "person_face") is Level.L3
    assert level("organisation_name_code", "organisation_transfer") is Level.L2


def test_a_face_alone_reaches_nothing():
    assert level("person_face") is Level.L0
    assert level("person_name_number", "person_face") is Level.L1


def test_several_matches_of_one_sort_do_not_add_up():
    data = [kind for kind, rule in KINDS.items() if Proves.DATA in rule.proves]
    assert level(*data) is Level.L1


def test_answers_about_somebody_else_do_not_count():
    found = derive_level(answers("person_name_number"), subject="pty_b", allow_mock=True)
    assert found.level is Level.L0


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("norecord", Status.NO_RECORD),
        ("无记录", Status.NO_RECORD),
        ("sourcedown", Status.SOURCE_DOWN),
    ],
)
def test_no_answer_neither_raises_the_level_nor_accuses(word, status):
    result = answers("person_name_number", name=word)
    found = derive_level(result, subject="pty_a", allow_mock=True)
    assert result[0].status is status
    assert found.level is Level.L0
    assert found.reasons == ("identity.no_data",)


def test_a_mismatch_holds_the_level_down_until_a_later_match_of_the_same_kind():
    provider = MockProvider()
    matched = provider.verify(request(n=1))
    wrong = provider.verify(request(n=2, name="不符", at=AT + timedelta(seconds=1)))
    again = provider.verify(request(n=3, at=AT + timedelta(seconds=2)))
    held = derive_level([matched, wrong], subject="pty_a", allow_mock=True)
    assert held.level is Level.L0
    assert held.reasons == ("identity.mismatch",)
    found = derive_level([again, wrong, matched], subject="pty_a", allow_mock=True)
    assert found.level is Level.L1


def test_an_outage_does_not_take_an_earlier_match_away():
    provider = MockProvider()
    matched = provider.verify(request(n=1))
    down = provider.verify(request(n=2, name="sourcedown", at=AT + timedelta(seconds=1)))
    assert derive_level([matched, down], subject="pty_a", allow_mock=True).level is Level.L1


def test_every_mock_answer_says_that_nobody_was_asked():
    result = answers("person_name_number")[0]
    assert result.mock
    assert result.label_en == MOCK_LABEL_EN
    assert result.as_json()["mock"] is True
    assert "invented" not in str(result.as_json())
    found = derive_level([result], subject="pty_a", allow_mock=True)
    assert found.mock
    assert found.labels == (MOCK_LABEL_EN,)


def test_production_does_not_count_mock_answers_nor_lets_them_hide_real_ones():
    mock = answers("person_name_number")[0]
    found = derive_level([mock], subject="pty_a", allow_mock=False)
    assert found.level is Level.L0
    assert "identity.mock_not_counted" in found.reasons
    real = replace(mock, mock=False, label_en="invented source", checked_at=AT - timedelta(days=1))
    found = derive_level([real, mock], subject="pty_a", allow_mock=False)
    assert found.level is Level.L1
    assert not found.mock


def test_the_same_request_is_answered_once_and_a_changed_one_refused():
    provider = MockProvider()
    first = provider.verify(request())
    retry = replace(request(), at=AT + timedelta(hours=1), nonce="f" * 32)
    assert provider.verify(retry) is first
    with pytest.raises(ExistsWithDifferentFieldError) as caught:
        provider.verify(request(name="somebody else"))
    assert caught.value.error_code == "identity.request_differs"
    assert caught.value.context == {"field": "factors"}


def test_the_answers_are_the_same_in_another_run():
    assert answers("person_name_number") == answers("person_name_number")


def test_attempts_are_limited_by_kind_and_subject_for_a_day():
    provider = MockProvider()
    for n in range(KINDS["person_face"].mismatches_max):
        provider.verify(request("person_face", n=n, capture="mismatch"))
    with pytest.raises(ConflictError) as caught:
        provider.verify(request("person_face", n=90))
    assert caught.value.error_code == "identity.attempts_exhausted"
    assert provider.verify(request("person_name_number", n=91)).status is Status.MATCH
    assert provider.verify(request("person_face", n=92, subject="pty_b")).status is Status.MATCH
    later = AT + timedelta(hours=24)
    assert provider.verify(request("person_face", n=93, at=later)).status is Status.MATCH


def test_outages_use_up_no_attempts():
    provider = MockProvider()
    for n in range(20):
        provider.verify(request("person_face", n=n, capture="sourcedown"))
    assert provider.verify(request("person_face", n=50)).status is Status.MATCH


def test_a_kind_that_is_not_offered_is_unsupported():
    provider = MockProvider(kinds=frozenset({"person_name_number"}))
    assert provider.verify(request("person_face")).status is Status.UNSUPPORTED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "person_horoscope"}, "identity.kind"),
        ({"factors": {"name": "invented"}}, "identity.factors"),
        ({"factors": {"name": "a", "number": "b", "phone": "c"}}, "identity.factors"),
        ({"factors": {"name": "", "number": "b"}}, "identity.factors"),
        ({"factors": {"name": "x" * 300, "number": "b"}}, "identity.factors"),
        ({"consent_id": ""}, "identity.consent_missing"),
        ({"purpose": ""}, "identity.consent_missing"),
    ],
)
def test_an_incomplete_or_too_curious_request_is_refused(changes, code):
    bad = replace(request(), **changes)
    assert code_of(lambda: MockProvider().verify(bad)) == code


def test_a_request_does_not_print_its_factors():
    assert "张三" not in repr(request(name="张三"))


# --- authority ------------------------------------------------------------------------------------

AUTHORISATION = Authorisation(
    id="aut_1",
    organisation="pty_org",
    person="pty_person",
    matters=frozenset({"donation", "manufacturing"}),
    powers=frozenset({"consent", "sign"}),
    valid_from=AT,
    valid_to=AT + timedelta(days=30),
    amount_max=1_000_000,
    seal_scope=frozenset({"contract"}),
)
ACT = {
    "act": "sign",
    "matter": "donation",
    "at": AT + timedelta(days=1),
    "organisation": "pty_org",
    "person": "pty_person",
    "amount": 1_000_000,
    "seal": "contract",
}


def test_an_act_within_the_authority_is_allowed():
    require_authority(AUTHORISATION, **ACT)
    require_authority(AUTHORISATION, **(ACT | {"at": AT, "seal": None}))
    unlimited = replace(AUTHORISATION, amount_max=None)
    require_authority(unlimited, **(ACT | {"amount": None}))
    require_authority(unlimited, **(ACT | {"amount": 10**15}))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"organisation": "pty_x"}, "authority.other_organisation"),
        ({"person": "pty_x"}, "authority.other_person"),
        ({"at": AT - timedelta(seconds=1)}, "authority.not_yet_valid"),
        ({"at": AT + timedelta(days=30)}, "authority.expired"),
        ({"matter": "guarantee"}, "authority.matter"),
        ({"act": "withdraw"}, "authority.power"),
        ({"amount": None}, "authority.amount_unknown"),
        ({"amount": 1_000_001}, "authority.amount"),
        ({"seal": "official"}, "authority.seal"),
        # The first fault in declared order.
        ({"seal": "official", "matter": "guarantee", "person": "pty_x"}, "authority.other_person"),
    ],
)
def test_an_act_outside_the_authority_is_refused_with_its_reason(changes, code):
    with pytest.raises(ForbiddenError) as caught:
        require_authority(AUTHORISATION, **(ACT | changes))
    assert caught.value.error_code == code


def test_a_revoked_authority_is_void_from_that_moment():
    revoked = replace(AUTHORISATION, revoked_at=ACT["at"])
    require_authority(revoked, **(ACT | {"at": ACT["at"] - timedelta(seconds=1)}))
    with pytest.raises(ForbiddenError) as caught:
        require_authority(revoked, **ACT)
    assert caught.value.error_code == "authority.revoked"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"matters": frozenset()}, "matters"),
        ({"powers": frozenset()}, "powers"),
        ({"powers": frozenset({"*"})}, "powers"),
        ({"matters": frozenset({"x" * 65})}, "matters"),
        ({"seal_scope": frozenset({""})}, "seal_scope"),
        ({"person": ""}, "person"),
        ({"valid_to": AT}, "valid_to"),
        ({"valid_from": datetime(2026, 1, 1)}, "valid_from"),  # noqa: DTZ001 - that is the fault
        ({"amount_max": -1}, "amount_max"),
    ],
)
def test_an_authorisation_without_its_four_parts_cannot_be_made(changes, field):
    with pytest.raises(InputError) as caught:
        replace(AUTHORISATION, **changes)
    assert caught.value.error_code == "authority.malformed"
    assert caught.value.context == {"field": field}


def test_a_frozen_authorisation_comes_back_the_same():
    for one in (AUTHORISATION, replace(AUTHORISATION, amount_max=None, revoked_at=AT)):
        assert authorisation_from_json(one.as_json()) == one


@pytest.mark.parametrize(
    "changes",
    [
        {"v": "fuqi/authorisation/v2"},
        {"extra": 1},
        {"matters": "donation"},
        {"matters": ["donation", "donation"]},
        {"amount_max": True},
        {"valid_to": "tomorrow"},
        {"person": 7},
    ],
)
def test_what_is_no_frozen_authorisation_is_refused(changes):
    value = AUTHORISATION.as_json() | changes
    assert code_of(lambda: authorisation_from_json(value)) == "authority.malformed"
    del value["person"]
    assert code_of(lambda: authorisation_from_json(value)) == "authority.malformed"
