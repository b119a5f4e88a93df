"""What a lot's bundle opens whole was signed: an entry that lacks its signature proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from arbitration.checks import lot_signatures
from arbitration.checks.lots import lot_context
from arbitration.lot_model import LOT, WHOLE
from arbitration.model import Bundle, Event
from ledger.core.report import Check, Verdict

AT = datetime(2026, 11, 23, tzinfo=UTC)


def judged(*events: Event) -> Check:
    part = {"lot": "lot_a", "places": [], "keys": [], "parties": []}
    bundle = Bundle(files={}, json={LOT: part}, events=events)
    return lot_signatures.check(lot_context(bundle, trust=None, at=AT))


def entry(kind: str, **body: Any) -> Event:
    return Event(
        id="ent_a",
        type=kind,
        at="2026-11-23T00:00:00Z",
        subject="lot_a",
        actor="acc_a",
        prev=None,
        index=1,
        leaf="00",
        body=body,
    )


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_an_entry_between_the_parties_without_its_signature_is_open(kind: str) -> None:
    found = judged(entry(kind, lot="lot_a"))
    assert found.verdict is Verdict.INDETERMINATE
    assert "ent_a: no signature is shown" in found.details["problems"]


def test_what_others_did_in_their_own_house_need_not_show_theirs() -> None:
    found = judged(entry("lot.used", lot="lot_a", quantity=1))
    assert set(found.details["problems"]) == {"no signed act is shown"}
