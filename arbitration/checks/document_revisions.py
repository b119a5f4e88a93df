"""Each signature only added bytes: every revision begins with the one before it."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from ledger.core.report import Check

CODE: Final = "document.revisions"


def check(context: Context) -> Check:
    """FAILED where a revision is not the previous one with one signature added."""
    bundle = context.bundle
    revisions, rows = bundle.revisions(), bundle.part(9)["revisions"]
    signers = sorted(bundle.signers, key=lambda row: (str(row["signed_at"]), int(row["position"])))
    problems: list[Problem] = []
    if len(revisions) != len(signers) + 1:
        problems.append(wrong("not one revision for each signature", "版本数与签名数不符"))
    for number in range(1, len(revisions)):
        before, after = revisions[number - 1], revisions[number]
        if len(after) <= len(before) or not after.startswith(before):
            problems.append(
                wrong(f"revision {number} rewrote the one before", f"版本 {number} 改写了前一版本")
            )
    closed = [facts.revision_sha256.hex() for facts in context.signatures]
    stated = [row["sha256"] for row in rows[1:]]
    if closed != stated:
        problems.append(wrong("the PDF's own revisions are others", "PDF自身的签名版本与所列不符"))
    if sorted(str(row["revision_sha256"]) for row in signers) != sorted(stated):
        problems.append(wrong("a signer names another revision", "签署方所列版本不符"))
    return conclude(
        CODE,
        problems,
        en=f"{len(signers)} signatures, each added without changing what stood before",
        zh=f"{len(signers)} 个签名均为追加，未改动此前内容",
        revisions=len(revisions),
    )
