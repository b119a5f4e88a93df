"""The manifest lists exactly the files of a donation's bundle, and states every remark the evidence demands."""

from __future__ import annotations

from typing import Any, Final

from arbitration.checks.context import Context
from arbitration.checks.lot_files import hidden_labels, labels_of, listed_problems, reworded
from arbitration.checks.results import conclude, wrong
from arbitration.container import unpack
from arbitration.contents import Label
from arbitration.donation_model import (
    AGREEMENTS,
    DISCLAIMER_EN,
    DISCLAIMER_ZH,
    KNOWN_FILES,
    LOTS,
    donation_part,
    inside,
)
from arbitration.labels import labels_in
from arbitration.model import MANIFEST, Bundle
from ledger.core.canonical import canonical_parse
from ledger.core.report import Check

CODE: Final = "donation.files"


def check(context: Context) -> Check:
    """FAILED on any file that is missing, added or changed, on other offers, and on a hidden remark."""
    bundle = context.bundle
    found, problems = listed_problems(bundle, known=KNOWN_FILES)
    part, manifest = donation_part(bundle), bundle.manifest
    if (manifest["offers"], manifest["for"]) != (part["offers"], part["for"]):
        problems.append(wrong("the parts are of another bundle", "各部分不属于同一证据包"))
    problems += reworded(part, DISCLAIMER_EN, DISCLAIMER_ZH)
    problems += hidden_labels(bundle, demanded_labels(bundle, demo=bool(manifest["demo"])))
    return conclude(
        CODE,
        problems,
        en=f"all {found} files are the listed ones; {len(manifest['labels'])} remarks are stated",
        zh=f"全部 {found} 个文件与清单一致，已载明 {len(manifest['labels'])} 项说明",
        files=found,
    )


def demanded_labels(bundle: Bundle, *, demo: bool) -> tuple[Label, ...]:
    """The remarks that this evidence demands, with all that the bundles inside state of theirs.

    Args:
        bundle: opened, or a draft; a draft without seal says nothing of the seal's time stamp.
    """
    invented = any(row["invented"] for row in donation_part(bundle)["parties"])
    found = dict.fromkeys(labels_of(bundle, invented=demo or invented))
    for folder in (LOTS, AGREEMENTS):
        for data in inside(bundle, folder).values():
            manifest: Any = canonical_parse(unpack(data)[MANIFEST])
            found |= dict.fromkeys(labels_in(manifest))
    return tuple(found)
