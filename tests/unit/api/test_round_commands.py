"""`fuqi round verify`: three documents of a round, and a bundle's line against them, on any machine."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from api.commands import round as command
from arbitration.testing import formed_case
from ledger.core.report import Verdict
from matching.gap import room_left
from matching.shared_capacity import solve_limited
from matching.testing import random_limited_problem, random_problem


@pytest.fixture(scope="module")
def limited():
    problem = random_limited_problem("command")
    solution = solve_limited(problem)
    assert solution.certificate.gap is not None
    return problem, solution.plan, solution.certificate


def written(folder, problem, plan, certificate):
    """The documents as the service serves them."""
    for name, thing in (("problem", problem), ("plan", plan), ("certificate", certificate)):
        (folder / f"{name}.json").write_text(
            json.dumps(thing.as_json(), ensure_ascii=False, indent=1), "utf-8"
        )
    return folder


def run(*arguments):
    return CliRunner().invoke(command.app, ["verify", *(str(one) for one in arguments)])


def codes_in(done):
    return {one["code"]: one["verdict"] for one in json.loads(done.output)["checks"]}


def test_a_round_with_limits_passes_with_its_gap_and_one_without_as_optimal(tmp_path, limited):
    done = run(written(tmp_path, *limited), "--json")
    assert done.exit_code == 0, done.output
    assert codes_in(done)["certificate.gap"] == "passed"
    assert "certificate.optimal" not in codes_in(done)
    plain = random_problem("plain-command", needs=10, lots=8)
    solution = solve_limited(plain)
    done = run(written(tmp_path, plain, solution.plan, solution.certificate), "--json")
    assert codes_in(done)["certificate.optimal"] == "passed"


@pytest.mark.parametrize(("lang", "last"), [("en", "FAILED"), ("zh", "未通过")])
def test_a_plan_of_another_round_fails(tmp_path, limited, lang, last):
    problem, plan, certificate = limited
    other = replace(problem, day=problem.day - 1)
    done = run(written(tmp_path, other, plan, certificate), "--lang", lang)
    assert done.exit_code == 1
    assert last in done.output


def test_what_is_no_document_is_a_usage_error_with_its_code(tmp_path, limited):
    written(tmp_path, *limited)
    (tmp_path / "plan.json").write_text("[]", "utf-8")
    done = run(tmp_path)
    assert done.exit_code == 2
    (tmp_path / "plan.json").unlink()
    assert run(tmp_path).exit_code == 2


def facts_of(problem, plan, certificate, **changes):
    """What a bundle says of its line and round."""
    flow = plan.flows[0]
    room = room_left(problem, plan, certificate)
    return {
        "round": problem.id,
        "allocation": "alloc_x",
        "offer": flow.lot,
        "window": 0,
        "need": flow.need,
        "quantity": flow.quantity,
        "inputs_sha256": problem.digest().hex(),
        "policy_sha256": problem.policy.digest().hex(),
        "plan_sha256": plan.digest().hex(),
        "certificate_sha256": certificate.digest().hex(),
        "objective": plan.objective.as_json(),
        "gap": room.as_json(),
    } | changes


def test_a_bundles_line_is_found_in_its_round(limited):
    assert command._line_check(facts_of(*limited), *limited).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 10**6},
        {"need": "n999"},
        {"gap": None},
        {"plan_sha256": "00" * 32},
        {"inputs_sha256": "00" * 32},
        {"policy_sha256": "00" * 32},
        {"certificate_sha256": "00" * 32},
        {"round": "rnd_other"},
    ],
    ids=str,
)
def test_a_line_or_digest_of_another_round_fails(limited, changes):
    found = command._line_check(facts_of(*limited, **changes), *limited)
    assert (found.code, found.verdict) == ("round.line", Verdict.FAILED)


def test_what_a_bundle_does_not_show_stays_open(limited):
    facts = facts_of(*limited)
    del facts["offer"]
    assert command._line_check(facts, *limited).verdict is Verdict.INDETERMINATE
    assert command._line_check(None, *limited).verdict is Verdict.INDETERMINATE


def test_a_bundle_file_of_another_round_fails_as_a_whole(tmp_path, limited):
    case = formed_case(tmp_path / "case", matched=True)
    (tmp_path / "b.zip").write_bytes(case.write(case.finish()))
    done = run(written(tmp_path, *limited), "--bundle", tmp_path / "b.zip", "--json")
    assert done.exit_code == 1, done.output
    assert codes_in(done)["round.line"] == "failed"
