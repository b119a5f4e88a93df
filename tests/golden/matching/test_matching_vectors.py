"""Formats of matching do not change by accident, and an old certificate stays valid."""

import importlib.util
import json
from pathlib import Path

from ledger.core.canonical import canonical_parse
from ledger.core.report import Verdict
from matching.check import check_plan
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import problem_from_json

HERE = Path(__file__).parent


def _made():
    spec = importlib.util.spec_from_file_location("make_matching", HERE / "make_vectors.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.facts()


def _read(name):
    return canonical_parse((HERE / f"{name}.json").read_bytes())


def test_every_digest_and_figure_is_as_committed():
    assert _made() == json.loads((HERE / "vectors.json").read_text(encoding="utf-8"))


def test_the_committed_certificate_is_accepted():
    problem = problem_from_json(_read("problem"))
    plan, certificate = plan_from_json(_read("plan")), certificate_from_json(_read("certificate"))
    assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED


def test_the_committed_certificate_is_rejected_for_a_changed_problem():
    value = _read("problem")
    value["needs"][0]["quantity"] += 1
    plan, certificate = plan_from_json(_read("plan")), certificate_from_json(_read("certificate"))
    assert check_plan(problem_from_json(value), plan, certificate).verdict is Verdict.FAILED
