"""The package's time stamp: when the manifest existed, according to a pinned authority."""

from __future__ import annotations

import hashlib
from typing import Final

from arbitration.checks.context import TOLERANCE, Context, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import MANIFEST, STAMP
from arbitration.timestamps import check_token
from ledger.core.report import Check, Verdict
from ledger.core.units import utc_text

CODE: Final = "bundle.timestamp"


def check(context: Context) -> Check:
    """FAILED where the token is over something else or its time contradicts the bundle's own."""
    bundle = context.bundle
    facts = check_token(
        bundle.files[STAMP],
        imprint=hashlib.sha256(bundle.files[MANIFEST]).digest(),
        roots=context.pki.tsa_roots,
    )
    problems: list[Problem] = []
    if abs(facts.time - time_of(bundle.manifest["made_at"])) > TOLERANCE:
        problems.append(
            wrong("the bundle says it was made at another time", "证据包所称制作时间与时间戳不符")
        )
    if facts.time > context.at + TOLERANCE:
        problems.append(wrong("the time stamp lies in the future", "时间戳在未来"))
    if any(time_of(event.at) > facts.time + TOLERANCE for event in bundle.events):
        problems.append(
            wrong("an entry is younger than the bundle that holds it", "有存证记录晚于证据包")
        )
    if facts.trust is Verdict.FAILED:
        problems.append(wrong(facts.reason_en, facts.reason_zh))
    elif facts.trust is not Verdict.PASSED:
        problems.append(unclear(facts.reason_en, facts.reason_zh))
    moment = utc_text(facts.time)
    return conclude(
        CODE,
        problems,
        en=f"a pinned authority stamped the manifest at {moment}",
        zh=f"已固定的时间戳机构于 {moment} 为清单加盖时间戳",
        time=moment,
    )
