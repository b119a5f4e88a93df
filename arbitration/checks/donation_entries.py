"""Every entry about offers, lines and rounds is whole and in the log, and nothing else is in the bundle."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.event_receipts import receipt_problems
from arbitration.checks.results import conclude, unclear, wrong
from arbitration.donation_model import OFFER_TYPES, donation_part
from arbitration.lot_model import LINE_TYPES
from ledger.core.report import Check

CODE: Final = "donation.entries"
_WANTED: Final = frozenset({"receipt.entry", "receipt.commitment", "receipt.inclusion"})


def check(context: Context) -> Check:
    """FAILED on what was changed or belongs elsewhere; open where a line or an offer is closed."""
    bundle = context.bundle
    problems = receipt_problems(context, _WANTED)
    offers = {str(one) for one in donation_part(bundle)["offers"]}
    proposed = [one for one in bundle.of_type("allocation.proposed") if one.body is not None]
    lines = {one.subject for one in proposed if (one.body or {}).get("offer") in offers}
    rounds = {str((one.body or {})["round"]) for one in proposed}
    for event in bundle.events:
        known = OFFER_TYPES if event.subject in offers else LINE_TYPES
        if event.subject not in offers | lines | rounds:
            problems.append(
                wrong(f"{event.id} is about something else", f"{event.id} 与本捐赠无关")
            )
        elif event.type in known and event.body is None:
            problems.append(unclear(f"{event.id} ({event.type}) is closed", f"{event.id} 未披露"))
        elif event.type not in known and event.body is not None:
            problems.append(
                wrong(f"{event.id} opens another matter", f"{event.id} 披露了无关的私密内容")
            )
    return conclude(
        CODE,
        problems,
        en=f"{len(bundle.events)} entries about {len(offers)} offers and {len(lines)} lines lie in the log",
        zh=f"关于 {len(offers)} 项供给、{len(lines)} 条分配的 {len(bundle.events)} 条存证记录与日志一致",
        entries=len(bundle.events),
        lines=len(lines),
    )
