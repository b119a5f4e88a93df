"""The mutators themselves: what they make, and that a fault in the tree does not pass the tree's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def load(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


MERKLE = load("mutation_merkle")
SOLIDITY = load("mutation_solidity")


def test_every_operator_makes_its_faults_and_none_is_the_original():
    text = (
        "def f(a):\n    'doc'\n    if a < 1 and not a:\n        raise E('text', code='c.d')\n"
        "    return a[1:] << 2\n"
    )
    found = {mutant.what: mutant.source for mutant in MERKLE.mutants(text)}
    assert "a < 1 -> LtE at 0" in found
    assert "constant 1 -> 2" in found
    assert "constant 'c.d' -> 'c.dx'" in found
    assert "not a without not" in found
    assert "slice 1: without lower" in found
    assert "deleted: return a[1:] << 2" in found
    assert not any("textx" in source or "docx" in source for source in found.values())
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("source", ["x = 1\n", "def f():\n    return 2\n"])
def test_mutants_of_correct_python_are_correct_python(source):
    for mutant in MERKLE.mutants(source):
        compile(mutant.source, "mutant", "exec")


def test_a_solidity_fault_stands_where_the_syntax_tree_says():
    text = "contract C { function f(uint a) external { if (a > 1) revert(); } }"
    at = text.index("a > 1")
    condition = {
        "nodeType": "BinaryOperation",
        "operator": ">",
        "src": f"{at}:5:0",
        "leftExpression": {"nodeType": "Identifier", "src": f"{at}:1:0"},
        "rightExpression": {"nodeType": "Literal", "kind": "number", "src": f"{at + 4}:1:0"},
    }
    tree = {
        "nodeType": "FunctionDefinition",
        "name": "f",
        "src": f"0:{len(text)}:0",
        "body": {"nodeType": "IfStatement", "src": f"{at - 4}:20:0", "condition": condition},
    }
    made = SOLIDITY.mutants("src/C.sol", text, tree)
    bodies = {mutant.source[at - 4 : -len(" revert(); } }")] for mutant in made}
    assert bodies == {
        *("if (a >= 1)", "if (a <= 1)", "if (a > 2)", "if (a > 0)"),
        *("if (true)", "if (false)"),
    }
    assert {mutant.function for mutant in made} == {"f"}


@pytest.mark.slow
def test_a_fault_of_the_tree_is_noticed_by_its_tests():
    """One of the 474 that `python scripts/mutation_merkle.py` tries; it prints the score."""
    every = MERKLE.mutants((MERKLE.ROOT / MERKLE.MODULE).read_text("utf-8"))
    assert len(every) > 400
    # It does not loop for ever: that would be noticed too, but only after the time allowed.
    fault = next(mutant for mutant in every if mutant.what == "old_running != old_root -> Eq at 0")
    assert MERKLE.survivors([fault], jobs=1) == []
