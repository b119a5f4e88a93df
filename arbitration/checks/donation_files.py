"""The manifest lists exactly the files of a donation's bundle, and states every remark the evidence demands."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.lot_files import hidden_labels, labels_of, listed_problems
from arbitration.checks.results import conclude, wrong
from arbitration.contents import Label
from arbitration.donation_model import donation_part
from arbitration.model import Bundle
from ledger.core.report import Check

CODE: Final = "donation.files"


def check(context: Context) -> Check:
    """FAILED on any file that is missing, added or changed, on other offers, and on a hidden remark."""
    bundle = context.bundle
    found, problems = listed_problems(bundle)
    part, manifest = donation_part(bundle), bundle.manifest
    if (manifest["offers"], manifest["for"]) != (part["offers"], part["for"]):
        problems.append(wrong("the parts are of another bundle", "各部分不属于同一证据包"))
    problems += hidden_labels(bundle, demanded_labels(bundle, demo=bool(manifest["demo"])))
    return conclude(
        CODE,
        problems,
        en=f"all {found} files are the listed ones; {len(manifest['labels'])} remarks are stated",
        zh=f"全部 {found} 个文件与清单一致，已载明 {len(manifest['labels'])} 项说明",
        files=found,
    )


def demanded_labels(bundle: Bundle, *, demo: bool) -> tuple[Label, ...]:
    """The remarks that this evidence demands.

    Args:
        bundle: opened, or a draft; a draft without seal says nothing of the seal's time stamp.
    """
    invented = any(row["invented"] for row in donation_part(bundle)["parties"])
    return labels_of(bundle, invented=demo or invented)
