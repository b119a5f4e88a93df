"""The manifest lists exactly the files that are there, each with size and digest; part 1 sums the others up."""

from __future__ import annotations

from typing import Any, Final

from arbitration.bundle import file_rows
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.model import KNOWN_FILES, Bundle, foreign_files
from arbitration.parts import BUSINESS, DISCLAIMER_EN, DISCLAIMER_ZH
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
    problems += [
        wrong(f"{path} is no file of this format", f"{path} 不是本格式所有的文件")
        for path in foreign_files(bundle.files, known=KNOWN_FILES)
    ]
    problems += [
        wrong(f"{path} belongs to no signature", f"{path} 不属于任何签名")
        for path in sorted(set(bundle.files) - _named(bundle))
        if path.startswith(("certificates/", "timestamps/"))
    ]
    if len(stated) != len(bundle.manifest["files"]):
        problems.append(wrong("the manifest lists a file twice", "清单重复列出文件"))
    custody, summary = bundle.part(16), bundle.part(1)
    head = (bundle.manifest["bundle"], bundle.manifest["made_at"], bundle.manifest["purpose"])
    if head != (summary["bundle"], custody["exported_at"], custody["purpose"]):
        problems.append(wrong("the parts are of another bundle", "各部分不属于同一证据包"))
    problems += _summary_problems(bundle)
    return conclude(
        CODE,
        problems,
        en=f"all {len(found)} files are the listed ones",
        zh=f"全部 {len(found)} 个文件与清单一致",
        files=len(found),
    )


def _named(bundle: Bundle) -> set[str]:
    """Certificates, lists and tokens that parts 7 and 12 name."""
    certificates = bundle.part(7)
    rows = certificates["certificates"]
    return {
        *(str(row["path"]) for row in rows),
        *(str(one) for row in rows for one in row["chain"]),
        *(str(one) for one in certificates["crls"]),
        *(str(row["path"]) for row in bundle.part(12)["signatures"]),
    }


def _summary_problems(bundle: Bundle) -> list[Problem]:
    """Part 1 is read first and by people: it says nothing of its own."""
    summary, documents, agreement = bundle.part(1), bundle.part(9), bundle.agreement
    wanted = {
        "business": BUSINESS,
        "agreement": agreement["id"],
        "title": agreement["title"],
        "matter": agreement["matter"],
        "state": agreement["state"],
        "place_of_formation": agreement["place_of_formation"],
        "document_sha256": documents["document_sha256"],
        "final_sha256": documents["final_sha256"],
        "signatures": len(bundle.signers),
        "events": len(bundle.events),
        "disclaimer_en": DISCLAIMER_EN,
        "disclaimer_zh": DISCLAIMER_ZH,
    }
    return [
        wrong(f"part 1 says another {name}", f"第 1 部分所载 {name} 与其他部分不符")
        for name, value in wanted.items()
        if summary.get(name) != value
    ]
