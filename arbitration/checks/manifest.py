"""The manifest lists exactly the files that are there, each with its size and digest."""

from __future__ import annotations

from typing import Any, Final

from arbitration.bundle import file_rows
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from ledger.core.report import Check

CODE: Final = "bundle.manifest"


def check(context: Context) -> Check:
    """FAILED on any file that is missing, added or changed, and on parts of another bundle."""
    bundle = context.bundle
    stated = {str(row["path"]): row for row in bundle.manifest["files"]}
    found: dict[str, Any] = {}
    for row in file_rows(bundle.files):
        assert isinstance(row, dict)
        found[str(row["path"])] = row
    problems: list[Problem] = []
    for path in sorted(set(stated) | set(found)):
        if path not in found:
            problems.append(wrong(f"{path} is listed but missing", f"清单所列 {path} 缺失"))
        elif path not in stated:
            problems.append(wrong(f"{path} is not in the manifest", f"{path} 不在清单中"))
        elif stated[path] != found[path]:
            problems.append(wrong(f"{path} is not the listed file", f"{path} 与清单摘要不符"))
    if len(stated) != len(bundle.manifest["files"]):
        problems.append(wrong("the manifest lists a file twice", "清单重复列出文件"))
    custody, summary = bundle.part(16), bundle.part(1)
    head = (bundle.manifest["bundle"], bundle.manifest["made_at"], bundle.manifest["purpose"])
    if head != (summary["bundle"], custody["exported_at"], custody["purpose"]):
        problems.append(wrong("the parts are of another bundle", "各部分不属于同一证据包"))
    return conclude(
        CODE,
        problems,
        en=f"all {len(found)} files are the listed ones",
        zh=f"全部 {len(found)} 个文件与清单一致",
        files=len(found),
    )
