"""Documents of a round from anybody: a word of another kind is refused or fails, and never crashes."""

import pytest

from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import FuqiError
from ledger.core.report import Verdict
from matching.check import check_plan
from matching.plan import certificate_from_json, plan_from_json
from matching.problem import problem_from_json
from matching.shared_capacity import solve_limited
from matching.testing import random_limited_problem, random_problem

STRANGE = (1.5, "x", None, True, 2**63, [], {})
READERS = (problem_from_json, plan_from_json, certificate_from_json)


def places(value, path=()):
    """Every place in a document, lists and maps themselves included."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for step, one in inside:
        if isinstance(one, (dict, list)):
            yield from places(one, (*path, step))
        else:
            yield (*path, step)


def with_word(document, path, word):
    """The document with another word; all that is not on the path is shared."""
    if not path:
        return word
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = with_word(document[path[0]], path[1:], word)
    return copy


def word_at(document, path):
    for step in path:
        document = document[step]
    return document


def tried(path):
    """Of the catalogue, which has a thousand words, the tables, first rows and an item nobody speaks of."""
    return path and (
        path[0] != "catalogue" or len(path) < 3 or path[2] == 0 or path[1:3] == ("items", 20)
    )


@pytest.mark.parametrize("make", [random_problem, random_limited_problem])
def test_a_word_of_another_kind_is_refused_or_fails_and_never_crashes(make):
    problem = make("outside", needs=2, lots=2, units=20)
    solution = solve_limited(problem)
    own = [problem, solution.plan, solution.certificate]
    refused = failed = 0
    for which, reader in enumerate(READERS):
        document = canonical_parse(canonical_bytes(own[which].as_json()))
        for path in filter(tried, places(document)):
            for word in STRANGE:
                old = word_at(document, path)
                if (type(old), old) == (type(word), word):
                    continue
                try:
                    other = reader(with_word(document, path, word))
                except FuqiError:
                    refused += 1
                    continue
                report = check_plan(*own[:which], other, *own[which + 1 :])
                # Other prices may be another proof; another problem or plan never passes.
                assert which == 2 or report.verdict is Verdict.FAILED, (path, word)
                failed += report.verdict is Verdict.FAILED
    assert refused > 500
    assert failed > 20


def altered(word):
    """The next word of the same kind."""
    if isinstance(word, bool):
        return not word
    if word is None:
        return 1
    return word + 1 if isinstance(word, int) else word + "x"


def words(document):
    for path in filter(tried, places(document)):
        word = word_at(document, path)
        if not isinstance(word, (dict, list)):
            yield path, word


@pytest.mark.parametrize("seed", range(3))
def test_of_a_proven_round_no_changed_word_passes_but_prices_that_prove_as_much(seed):
    """The limited round has its own test; this one is proven best, and every word but a price is bound."""
    problem = random_problem(f"every-word-{seed}", needs=5, lots=5, units=20)
    solution = solve_limited(problem)
    own = [problem, solution.plan, solution.certificate]
    assert solution.certificate.gap is None
    changed = kept = 0
    for which, reader in enumerate(READERS):
        document = canonical_parse(canonical_bytes(own[which].as_json()))
        for path, word in words(document):
            changed += 1
            try:
                other = reader(with_word(document, path, altered(word)))
            except FuqiError:
                continue
            report = check_plan(*own[:which], other, *own[which + 1 :])
            if report.verdict is not Verdict.FAILED:
                # Optimal plans have many proofs; nothing but a price may differ.
                assert which == 2, path
                assert other.plan == solution.certificate.plan
                kept += 1
    assert changed > 250
    assert kept * 10 < changed
