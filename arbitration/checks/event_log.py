"""The log: every checkpoint that a receipt relies on is signed by the pinned log's key."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.event_receipts import receipt_problems
from arbitration.checks.results import conclude, wrong
from ledger.core.report import Check

CODE: Final = "event.log"


def check(context: Context) -> Check:
    """FAILED for another log or two logs; INDETERMINATE where no log is pinned."""
    problems = receipt_problems(context, {"receipt.checkpoint"})
    logs = [receipt["log"] for receipt in context.bundle.receipts if receipt["log"] is not None]
    if len({log["verifier"] for log in logs}) > 1:
        problems.append(wrong("entries of more than one log", "存证记录来自不同日志"))
    roots: dict[int, set[str]] = {}
    for log in logs:
        roots.setdefault(int(log["size"]), set()).add(str(log["root"]))
    if any(len(found) > 1 for found in roots.values()):
        problems.append(
            wrong("two trees of one size: the log forked", "同一大小存在两棵树：日志分叉")
        )
    return conclude(
        CODE,
        problems,
        en=f"{len(roots)} checkpoints, all signed by the pinned log",
        zh=f"{len(roots)} 个检查点均由已固定的日志签名",
        checkpoints=len(roots),
    )
