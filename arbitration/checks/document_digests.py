"""The documents are the ones that were named: in part 9 and in the log's own entries."""

from __future__ import annotations

import hashlib
from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check

CODE: Final = "document.digests"


def check(context: Context) -> Check:
    """FAILED on a digest that differs; INDETERMINATE where the entry's body is not opened."""
    bundle = context.bundle
    part = bundle.part(9)
    problems: list[Problem] = []
    # A list that would be empty is absent, as in bundles made before there were such files.
    rows = [
        part["original"],
        *part["revisions"],
        *part.get("archives", []),
        *part.get("attachments", []),
        *part.get("letters", []),
    ]
    for row in rows:
        data = bundle.files[row["path"]]
        if (hashlib.sha256(data).hexdigest(), len(data)) != (row["sha256"], row["size"]):
            problems.append(wrong(f"{row['path']} is another file", f"{row['path']} 并非所列文件"))
    if [row["number"] for row in part["revisions"]] != list(range(len(part["revisions"]))):
        problems.append(wrong("revisions are not numbered from 0", "版本编号不连续"))
    if part["document_sha256"] != part["revisions"][0]["sha256"]:
        problems.append(
            wrong("revision 0 is not the document that was read", "版本0并非被阅读的文件")
        )
    if part["final_sha256"] != part["revisions"][-1]["sha256"]:
        problems.append(wrong("the last revision is not the final file", "末版并非最终文件"))
    listed = {row["path"] for row in rows}
    if listed != {path for path in bundle.files if path.startswith("documents/")}:
        problems.append(wrong("a document stands in no list", "存在未列出的文件"))
    problems += _entry_problems(context)
    return conclude(
        CODE,
        problems,
        en=f"the document and its {len(part['revisions'])} revisions are the recorded ones",
        zh=f"文件及其 {len(part['revisions'])} 个版本与记录一致",
        document_sha256=part["document_sha256"],
        final_sha256=part["final_sha256"],
    )


def _entry_problems(context: Context) -> list[Problem]:
    part, agreement = context.bundle.part(9), context.bundle.agreement
    entries = context.agreement_events("document.finalised")
    if len(entries) != 1:
        return [wrong("not finalised exactly once", "定稿记录不是恰好一条")]
    body = entries[0].body
    if body is None:
        return [unclear("the entry of finalisation is not opened", "定稿记录未披露")]
    recorded = (body["sha256"], body["original_sha256"], body["pages"], body["origin"])
    stated = (
        part["document_sha256"],
        part["original"]["sha256"],
        agreement["pages"],
        agreement["origin"],
    )
    problems: list[Problem] = []
    if recorded != stated:
        problems.append(wrong("the log finalised another document", "日志中定稿的是另一份文件"))
    problems += [
        wrong(f"the agreement's {key} is not what the log says", f"合同的 {key} 与日志不符")
        for key in ("title", "template", "matter", "allocation")
        # Entries of earlier versions name neither matter nor allocation.
        if key in body and body[key] != agreement[key]
    ]
    return problems
