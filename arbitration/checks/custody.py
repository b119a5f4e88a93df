"""Who took the bundle out, on what basis, for whom; and no full identity number left with it."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.parts import refuse_identity_number
from ledger.core.errors import InputError
from ledger.core.report import Check

CODE: Final = "bundle.custody"


def check(context: Context) -> Check:
    """FAILED where part 16 leaves a question open or a full identity number is found."""
    bundle = context.bundle
    custody = bundle.part(16)
    problems: list[Problem] = [
        wrong(f"part 16 does not say: {key}", f"第十六部分未载明：{key}")
        for key in ("exported_by", "exported_at", "purpose", "legal_basis", "recipient")
        if not custody.get(key)
    ]
    if custody["recipient"] != bundle.manifest["recipient"]:
        problems.append(wrong("two different recipients", "接收人前后不一"))
    for path, data in bundle.files.items():
        if path.endswith(".json"):
            try:
                refuse_identity_number(data.decode("utf-8"))
            except InputError:
                problems.append(
                    wrong(f"{path} holds a full identity number", f"{path} 含完整身份证号码")
                )
    return conclude(
        CODE,
        problems,
        en=f"exported by {custody['exported_by']} for {custody['recipient']}",
        zh=f"由 {custody['exported_by']} 导出，接收人：{custody['recipient']}",
    )
