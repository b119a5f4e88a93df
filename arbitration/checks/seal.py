"""The package seal: the pinned log's key signed the manifest and its time stamp."""

from __future__ import annotations

from typing import Final

from arbitration.bundle import seal_text
from arbitration.checks.context import Context
from arbitration.checks.results import conclude, unclear, wrong
from arbitration.model import MANIFEST, NOTE, STAMP
from ledger.core.report import Check
from ledger.note import VerifierKey, open_text

CODE: Final = "bundle.seal"


def check(context: Context) -> Check:
    """FAILED where the seal is of another key or over something else; a `note.*` error fails it too."""
    bundle = context.bundle
    problems = []
    if context.trust is None:
        logs = [receipt["log"] for receipt in bundle.receipts if receipt["log"] is not None]
        if not logs:
            return conclude(
                CODE,
                [unclear("no key to hold the seal against", "没有可用于核对封印的密钥")],
                en="",
                zh="",
            )
        verifier = VerifierKey.parse(str(logs[0]["verifier"]))
        problems.append(
            unclear(
                f"sealed by {verifier.text()}, a key that you have not pinned; pass a trust file",
                "封印密钥未经您固定；请提供信任文件",
            )
        )
    else:
        verifier = context.trust.ledger.verifier
    text = open_text(bundle.files[NOTE].decode("utf-8"), verifier=verifier)
    expected = seal_text(
        str(bundle.manifest["bundle"]),
        manifest=bundle.files[MANIFEST],
        token=bundle.files[STAMP],
    )
    if text != expected:
        problems.insert(0, wrong("the seal is over another manifest", "封印所签并非本清单"))
    return conclude(
        CODE,
        problems,
        en=f"sealed by the pinned log {verifier.name}",
        zh=f"由已固定的日志 {verifier.name} 封印",
    )
