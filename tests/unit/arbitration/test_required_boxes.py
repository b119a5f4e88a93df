"""A box that publication required: only ticked it is an answer, whatever stood there before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from arbitration.checks.document_fields import _plan_problems


def problems(plan: dict[str, Any], filled: dict[str, str], *, opened: bool = True) -> list[str]:
    """What is found about the fields of one signer who filled these."""
    context: Any = SimpleNamespace(
        bundle=SimpleNamespace(signers=[{"signer": "sgn_a", "field": "party_a"}])
    )
    body = {
        "signer": "sgn_a",
        "fields": [{"field": name, "old": "", "new": value} for name, value in filled.items()],
    }
    event: Any = SimpleNamespace(body=body if opened else None)
    fields = {"f": {"name": "f", "field": "party_a", "required": True, "preset": "", **plan}}
    return [one.en for one in _plan_problems(context, [event], fields)]


@pytest.mark.parametrize(
    ("plan", "filled", "found"),
    [
        ({"kind": "check", "preset": "Off"}, {"f": "On"}, 0),
        ({"kind": "check", "preset": "Off"}, {}, 1),
        ({"kind": "check", "preset": "On"}, {}, 0),
        ({"kind": "check", "preset": "On"}, {"f": "Off"}, 1),
        ({"kind": "check", "preset": "Off", "required": False}, {}, 0),
        ({"kind": "lines"}, {"f": "a\nb"}, 0),
        ({"kind": "lines"}, {}, 1),
        ({"kind": "choice", "preset": "Road"}, {}, 0),
        ({"preset": "Off"}, {}, 0),
        ({}, {}, 1),
    ],
)
def test_a_required_field_is_answered_or_the_bundle_says_so(
    plan: dict[str, Any], filled: dict[str, str], found: int
) -> None:
    assert len(problems(plan, filled)) == found


def test_a_closed_record_leaves_it_open() -> None:
    [said] = problems({"kind": "check", "preset": "Off"}, {}, opened=False)
    assert "required field f" in said
