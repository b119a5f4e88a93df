"""Ids, units, errors and reports: the words everything else is said in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ledger.core import errors, ids, units
from ledger.core.report import Check, Report, Verdict

AT = datetime(2026, 11, 23, 5, 36, 11, 999999, tzinfo=UTC)


# ------------------------------------------------------------------ ids
def test_a_fresh_id_is_well_formed_and_never_the_same():
    made = {ids.new_id("ent", at=AT) for _ in range(100)}
    assert len(made) == 100
    for one in made:
        assert ids.require_id(one, prefix="ent") == one


def test_later_ids_sort_later():
    early = ids.new_id("ent", at=AT)
    late = ids.new_id("ent", at=AT + timedelta(milliseconds=1))
    assert early < late


def test_a_derived_id_is_the_same_for_the_same_seed_only():
    first = ids.derived_id("ent", at=AT, seed="a")
    assert first == ids.derived_id("ent", at=AT, seed="a")
    assert first != ids.derived_id("ent", at=AT, seed="b")
    assert first != ids.derived_id("ent", at=AT + timedelta(milliseconds=1), seed="a")
    assert first[:14] == ids.new_id("ent", at=AT)[:14]  # the same 48 bits of time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ent_",
        "ent_" + "0" * 25,
        "ent_" + "0" * 27,
        "agr_" + "0" * 26,
        "ENT_" + "0" * 26,
        "ent_" + "i" * 26,
        "ent_" + "l" * 26,
        "ent_" + "o" * 26,
        "ent_" + "u" * 26,
        "ent_" + "A" * 26,
        "ent_" + "0" * 26 + "\n",
        " ent_" + "0" * 26,
        "ent_" + "0" * 25 + "é",
        "ent_../../../../etc/passwd....",
    ],
)
def test_anything_that_is_not_an_id_of_that_prefix_is_malformed(text):
    with pytest.raises(errors.InputError) as caught:
        ids.require_id(text, prefix="ent")
    assert caught.value.error_code == "id.malformed"


# ------------------------------------------------------------------ units
def test_time_has_one_text_form_and_comes_back():
    china = AT.astimezone(timezone(timedelta(hours=8)))
    assert units.utc_text(AT) == units.utc_text(china) == "2026-11-23T05:36:11Z"
    assert units.parse_utc("2026-11-23T05:36:11Z") == AT.replace(microsecond=0)


def test_a_naive_time_is_our_own_bug():
    with pytest.raises(AssertionError):
        units.utc_text(AT.replace(tzinfo=None))


@pytest.mark.parametrize(
    "text", ["2026-11-23T05:36:11", "2026-11-23 05:36:11Z", "2026-13-01T00:00:00Z", "", "now"]
)
def test_other_shapes_of_time_are_refused(text):
    with pytest.raises(ValueError, match=r"does not match|out of range|unconverted"):
        units.parse_utc(text)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (0, [1, 2], [0, 0]),
        (1, [0, 5, 0], [0, 1, 0]),
        (10, [3, 3, 3, 1], [3, 3, 3, 1]),
        (2, [1, 1, 1], [1, 1, 0]),
    ],
)
def test_a_split_loses_nothing_and_breaks_ties_by_place(total, weights, shares):
    assert units.split_minor(total, weights) == shares


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, []), (1, [0]), (1, [2, -1])])
def test_an_impossible_split_is_our_own_bug(total, weights):
    with pytest.raises((AssertionError, ValueError)):
        units.split_minor(total, weights)


def test_a_digest_of_another_length_is_our_own_bug():
    assert units.digest32(bytes(32)) == bytes(32)
    with pytest.raises(AssertionError):
        units.digest32(bytes(31))


# ------------------------------------------------------------------ errors
def test_an_error_carries_its_own_code_or_that_of_its_class():
    assert errors.ConflictError("x").error_code == "state.conflict"
    found = errors.ConflictError("x", code="a.b", limit=3)
    assert (found.error_code, found.context, str(found)) == ("a.b", {"limit": 3}, "a.b: x")


def test_only_what_is_outside_this_process_may_be_tried_again():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    retryable = {kind for kind in kinds if getattr(kind, "retryable", False)}
    assert retryable == {errors.UnavailableError}


# ------------------------------------------------------------------ report
def checks(*verdicts):
    return tuple(
        Check(f"code.{i}", verdict, f"en {i}", f"zh {i}") for i, verdict in enumerate(verdicts)
    )


P, F, U = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [((), U), ((P,), P), ((P, P), P), ((P, U), U), ((U, F), F), ((F, P), F), ((P, U, F, P), F)],
)
def test_the_worst_finding_is_the_verdict_and_nothing_run_proves_nothing(verdicts, whole):
    assert Report(subject="x", checks=checks(*verdicts)).verdict is whole


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [((), "report.empty"), ((P, U), "code.1"), ((U, F), "code.1"), ((P, F, F), "code.1")],
)
def test_require_names_the_first_worst_finding(verdicts, code):
    with pytest.raises(errors.VerificationError) as caught:
        Report(subject="x", checks=checks(*verdicts)).require()
    assert caught.value.error_code == code


def test_require_says_nothing_where_all_passed():
    Report(subject="x", checks=checks(P, P)).require()


def test_a_report_is_no_yes_or_no():
    with pytest.raises(TypeError):
        bool(Report(subject="x", checks=checks(P)))


def test_a_report_in_json_numbers_its_checks_from_one():
    found = Report(subject="x", checks=checks(P, F), labels=("remark",)).as_json()
    assert [one["number"] for one in found["checks"]] == [1, 2]
    assert (found["verdict"], found["labels"], found["v"]) == (
        "failed",
        ["remark"],
        "fuqi/report/v1",
    )
