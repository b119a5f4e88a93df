"""Rules that every source of ours keeps, read from the text: comments are taken out first."""

from __future__ import annotations

import re

import pytest

from contracts.artifacts import SOURCES

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
FILES = sorted(SOURCES.rglob("*.sol"))


def code_of(path):
    return COMMENT.sub("", path.read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_who_acts_is_known_by_signatures_never_by_who_sends(path):
    code = code_of(path)
    assert "tx.origin" not in code
    # The log's writer pays for its own appends; what it appends is proven by the tree and signed as a note.
    assert ("msg.sender" in code) == (path.stem == "EvidenceLog")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_refusals_are_errors_with_values_and_nothing_can_be_stopped_or_replaced(path):
    code = code_of(path)
    assert not re.search(r"\brequire\s*\(", code)
    assert not re.search(r'\brevert\s*\(\s*"', code)
    for word in ("delegatecall", "selfdestruct", "callcode", "whenNotPaused", "initializer"):
        assert word not in code


def test_the_comments_are_taken_out():
    (seals,) = (path for path in FILES if path.stem == "Seals")
    assert "msg.sender" in seals.read_text("utf-8")
    assert "msg.sender" not in code_of(seals)
