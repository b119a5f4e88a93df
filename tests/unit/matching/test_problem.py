"""Problems: sorted, validated, bounded, and the same after reading back."""

from dataclasses import replace

import pytest

from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import InputError, LimitError
from matching import problem as module
from matching.problem import Policy, make_problem, problem_from_json
from matching.testing import random_problem

BASE = random_problem("problem", needs=4, lots=4)


def again(**changes):
    fields = {
        "day": BASE.day,
        "needs": BASE.needs,
        "lots": BASE.lots,
        "lanes": BASE.lanes,
        "policy": BASE.policy,
        "catalogue": BASE.catalogue,
    }
    return make_problem(BASE.id, **(fields | changes))


def test_a_problem_reads_back_from_its_canonical_bytes():
    value = canonical_parse(canonical_bytes(BASE.as_json()))
    assert problem_from_json(value).digest() == BASE.digest()


def test_the_order_of_rows_does_not_matter():
    assert again(needs=BASE.needs[::-1], lots=BASE.lots[::-1]).digest() == BASE.digest()


def test_every_field_counts_in_the_digest():
    changed = replace(BASE.needs[0], quantity=BASE.needs[0].quantity + 1)
    assert again(needs=(changed, *BASE.needs[1:])).digest() != BASE.digest()
    assert again(policy=Policy(km_per_day=601)).digest() != BASE.digest()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("quantity", -5, "need.quantity_negative"),
        ("quantity", 0, "need.quantity_zero"),
        ("quantity", 10**12 + 1, "need.quantity_limit"),
        ("items", (), "need.items"),
        ("items", ("nothing",), "item.unknown"),
        ("items", ("cap", "goggles"), "item.classes_mixed"),
        ("tier", 3, "need.tier"),
        ("deadline_day", -1, "need.deadline"),
        ("certificate_min", 3, "need.certificate"),
        ("remaining_days_min", -1, "need.remaining_days"),
        ("place", replace(BASE.needs[0].place, latitude_micro=91_000_000), "need.place"),
    ],
)
def test_a_need_that_makes_no_sense_is_refused(field, value, code):
    with pytest.raises(InputError) as fault:
        again(needs=(replace(BASE.needs[0], **{field: value}),))
    assert fault.value.error_code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": -5}, "offer.quantity_negative"),
        ({"item": "nothing"}, "item.unknown"),
        ({"donor_kind": "robot"}, "offer.donor_kind"),
        ({"produced_day": 100, "expires_day": 99}, "offer.dates"),
        ({"produced_day": 20_000, "available_day": 19_999, "expires_day": None}, "offer.dates"),
        ({"certificate": -1}, "offer.certificate"),
        ({"place": replace(BASE.lots[0].place, longitude_micro=181_000_000)}, "offer.place"),
    ],
)
def test_a_lot_that_contradicts_itself_is_refused(changes, code):
    with pytest.raises(InputError) as fault:
        again(lots=(replace(BASE.lots[0], **changes),))
    assert fault.value.error_code == code


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (Policy(segments=0), "policy.segments"),
        (Policy(segments=101), "policy.segments"),
        (Policy(levels=("transport",)), "policy.levels"),
        (Policy(levels=Policy().levels[::-1]), "policy.levels"),
        (Policy(km_per_day=0), "policy.transport"),
        (Policy(onward_days=-1), "policy.transport"),
    ],
)
def test_a_policy_out_of_range_is_refused(policy, code):
    with pytest.raises(InputError) as fault:
        again(policy=policy)
    assert fault.value.error_code == code


def test_two_rows_with_one_id_are_refused():
    with pytest.raises(InputError) as fault:
        again(needs=(BASE.needs[0], BASE.needs[0]))
    assert fault.value.error_code == "matching.duplicate_id"


def test_a_round_larger_than_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(module, "PAIRS_MAX", 15)
    with pytest.raises(LimitError) as fault:
        again()
    assert fault.value.error_code == "matching.too_large"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.pop("needs"),
        lambda v: v.update(v="fuqi/problem/v0"),
        lambda v: v["needs"].reverse(),
        lambda v: v.update(extra=1),
        lambda v: v["lots"][0].update(surprise=1),
    ],
)
def test_a_problem_that_is_not_in_canonical_form_is_refused(spoil):
    value = canonical_parse(canonical_bytes(BASE.as_json()))
    spoil(value)
    with pytest.raises(InputError) as fault:
        problem_from_json(value)
    assert fault.value.error_code == "matching.problem_malformed"
