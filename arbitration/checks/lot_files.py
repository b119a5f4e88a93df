"""The manifest lists exactly the files of a lot's bundle, and states every remark that the evidence demands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from arbitration.bundle import file_rows
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.contents import Label
from arbitration.labels import DEMO, DEPENDENT_TSA, EMBEDDED_CHAIN, labels_json
from arbitration.lot_model import DISCLAIMER_EN, DISCLAIMER_ZH, KNOWN_FILES, lot_part
from arbitration.model import STAMP, Bundle, foreign_files
from arbitration.timestamps import token_units
from ledger.core.report import Check
from signing import tsa

CODE: Final = "lot.files"


def check(context: Context) -> Check:
    """FAILED on any file that is missing, added or changed, on another lot, and on a hidden remark."""
    bundle = context.bundle
    found, problems = listed_problems(bundle, known=KNOWN_FILES)
    part = lot_part(bundle)
    if (bundle.manifest["lot"], bundle.manifest["for"]) != (part["lot"], part["for"]):
        problems.append(wrong("the parts are of another bundle", "各部分不属于同一证据包"))
    problems += reworded(part, DISCLAIMER_EN, DISCLAIMER_ZH)
    problems += hidden_labels(bundle, demanded_labels(bundle, demo=bool(bundle.manifest["demo"])))
    named = bundle.manifest["labels"]
    return conclude(
        CODE,
        problems,
        en=f"all {found} files are the listed ones; {len(named)} remarks are stated",
        zh=f"全部 {found} 个文件与清单一致，已载明 {len(named)} 项说明",
        files=found,
    )


def listed_problems(bundle: Bundle, *, known: re.Pattern[str]) -> tuple[int, list[Problem]]:
    """(files, what is missing, added, changed, listed twice or unknown to the format)."""
    stated = {str(row["path"]): row for row in bundle.manifest["files"]}
    found: dict[str, Any] = {}
    for row in file_rows(bundle.files):
        assert isinstance(row, dict)
        found[str(row["path"])] = row
    problems: list[Problem] = [
        wrong(f"{path} is not the listed file", f"{path} 与清单不符")
        for path in sorted(set(stated) | set(found))
        if stated.get(path) != found.get(path)
    ]
    problems += [
        wrong(f"{path} is no file of this format", f"{path} 不是本格式所有的文件")
        for path in foreign_files(bundle.files, known=known)
    ]
    if len(stated) != len(bundle.manifest["files"]):
        problems.append(wrong("the manifest lists a file twice", "清单重复列出文件"))
    return len(found), problems


def reworded(part: Mapping[str, Any], en: str, zh: str) -> list[Problem]:
    """Whether the part says what such a package does not claim, word for word."""
    if (part["disclaimer_en"], part["disclaimer_zh"]) == (en, zh):
        return []
    return [wrong("what the package does not claim is reworded", "“不主张事项”的文字被改动")]


def hidden_labels(bundle: Bundle, demanded: Sequence[Label]) -> list[Problem]:
    """Remarks that the manifest does not state word for word."""
    named = bundle.manifest["labels"]
    return [
        wrong(f"the remark {label.code} is hidden or reworded", f"未如实载明应有的说明：{label.zh}")
        for label in demanded
        if labels_json([label])[0] not in named
    ]


def demanded_labels(bundle: Bundle, *, demo: bool) -> tuple[Label, ...]:
    """The remarks that this evidence demands.

    Args:
        bundle: opened, or a draft; a draft without seal says nothing of the seal's time stamp.
    """
    invented = any(row["invented"] for row in lot_part(bundle)["parties"])
    return labels_of(bundle, invented=demo or invented)


def labels_of(bundle: Bundle, *, invented: bool) -> tuple[Label, ...]:
    """The remarks that anchors and seal demand, and the one on invented parties."""
    embedded = any(
        (anchor.get("evidence") or {}).get("kind") == "embedded" for anchor in bundle.anchors
    )
    stamped = STAMP in bundle.files and tsa.LABEL_EN in token_units(bundle.files[STAMP])
    wanted = ((DEMO, invented), (DEPENDENT_TSA, stamped), (EMBEDDED_CHAIN, embedded))
    return tuple(label for label, needed in wanted if needed)
