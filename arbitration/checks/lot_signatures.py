"""Every act on the lot was signed by the device of the one who acted, with a certified key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from arbitration.checks.context import TOLERANCE, Context, pick, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.lot_model import WHOLE, lot_events, lot_part
from arbitration.model import Event
from ledger.core.canonical import canonical_bytes, tagged_digest
from ledger.core.errors import FuqiError
from ledger.core.report import Check
from signing.keys.algorithms import verify_by_key

CODE: Final = "lot.signatures"
STATEMENT_TAG: Final = "fuqi/custody-statement/v1"
FRESH_FOR: Final = timedelta(minutes=10)
"""A statement is carried out within this time, or refused (docs/guides/goods.md)."""
_COUNTS: Final = (("quarantined", "quarantined"), ("rejected", "rejected"), ("missing", "missing"))
SAID: Final[Mapping[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...], str | None]]] = {
    "lot.opened": (
        ("lot.open",),
        (
            ("lot_id", "lot"),
            ("quantity", "quantity"),
            ("batch_number", "batch"),
            ("allocation_id", "allocation"),
            ("agreement_id", "agreement"),
            ("udi", "udi"),
            ("produced_on", "produced"),
            ("expires_on", "expires"),
        ),
        "giver",
    ),
    "lot.packed": (("lot.pack",), (("lot_id", "lot"), ("shelf", "shelf")), "holder"),
    "lot.unpacked": (("lot.unpack",), (("package_id", "package"),), "holder"),
    "lot.handed": (
        ("lot.hand",),
        (("lot_id", "lot"), ("handover_id", "handover"), ("to_organisation", "to")),
        "from",
    ),
    "lot.inspected": (
        ("lot.inspect",),
        (("handover_id", "handover"), ("accepted", "accepted"), *_COUNTS),
        None,
    ),
    "lot.received": (("lot.receive", "lot.accept"), (("handover_id", "handover"),), "to"),
    "lot.rejected": (("lot.refuse",), (("handover_id", "handover"), ("reason", "reason")), None),
    "lot.retracted": (
        ("lot.take_back",),
        (("handover_id", "handover"), ("reason", "reason")),
        None,
    ),
    "lot.released": (
        ("lot.release",),
        (("lot_id", "lot"), ("quantity", "quantity"), ("outcome", "outcome")),
        "holder",
    ),
    "lot.used": (
        ("lot.use",),
        (("lot_id", "lot"), ("quantity", "quantity"), ("ward", "ward")),
        None,
    ),
    "discrepancy.opened": (("discrepancy.open", "lot.receive", "lot.accept"), (), "reporter"),
    "discrepancy.answered": (
        ("discrepancy.answer",),
        (("discrepancy_id", "discrepancy"), ("answer", "answer")),
        None,
    ),
    "discrepancy.settled": (
        ("discrepancy.settle",),
        (("discrepancy_id", "discrepancy"), ("outcome", "outcome")),
        None,
    ),
    "recall.opened": (("recall.open",), (("recall_id", "recall"), ("reason", "reason")), "by"),
    "recall.closed": (("recall.close",), (("recall_id", "recall"), ("reason", "reason")), None),
    "purpose.asked": (("purpose.ask",), (("change_id", "change"), ("purpose", "purpose")), None),
    "purpose.decided": (
        ("purpose.decide",),
        (("change_id", "change"), ("consent", "consent")),
        None,
    ),
    "fiscal.referenced": (("fiscal.refer",), (("lot_id", "lot"), ("number", "number")), None),
}
"""Type of entry -> acts that make it, (field as signed, field of the entry), whose organisation signs."""


def check(context: Context) -> Check:
    """FAILED on a signature that is not by the certified key over what the entry says; open without any."""
    problems: list[Problem] = []
    signed = 0
    for event in lot_events(context.bundle):
        if event.body is None or event.type not in SAID:
            continue
        if "signed" not in event.body:
            # Of another's own affairs the signature is not shown; what is between the parties, is.
            if event.type in WHOLE:
                problems.append(
                    unclear(f"{event.id}: no signature is shown", f"{event.id}：未披露签名")
                )
            continue
        signed += 1
        problems += _problems(context, event)
    if not signed:
        problems.append(unclear("no signed act is shown", "未披露任何经签署的行为"))
    return conclude(
        CODE,
        problems,
        en=f"{signed} acts were signed by certified keys of those who acted",
        zh=f"{signed} 项行为均由行为人以经认证的密钥签署",
        acts=signed,
    )


def _problems(context: Context, event: Event) -> list[Problem]:
    assert event.body is not None
    signed = event.body["signed"]
    said = signed["statement"]
    acts, pairs, side = SAID[event.type]
    if (
        said["act"] not in acts
        or tagged_digest(STATEMENT_TAG, said).hex() != (signed["statement_sha256"])
    ):
        return [wrong(f"{event.id}: another statement", f"{event.id}：所签陈述不符")]
    problems = [
        wrong(
            f"{event.id}: signed {field} and recorded {name} differ",
            f"{event.id}：所签 {field} 与所记 {name} 不符",
        )
        for field, name in pairs
        if said["fields"].get(field) != event.body[name]
    ]
    if said["act"] == "lot.accept" and event.type == "lot.received":
        counted = (("accepted", "quantity"), *_COUNTS)
        if any(said["fields"][one] != event.body[name] for one, name in counted):
            problems.append(
                wrong(f"{event.id}: other counts were signed", f"{event.id}：清点数不符")
            )
    if side is not None and said["organisation"] != event.body[side]:
        problems.append(
            wrong(f"{event.id}: signed for another organisation", f"{event.id}：签署机构不符")
        )
    if not time_of(said["at"]) - TOLERANCE <= time_of(event.at) <= time_of(said["at"]) + FRESH_FOR:
        problems.append(wrong(f"{event.id}: signed at another time", f"{event.id}：签署时间不符"))
    return problems + _key_problems(context, event, signed)


def _key_problems(context: Context, event: Event, signed: Mapping[str, Any]) -> list[Problem]:
    """The key: certified for this person and organisation, valid and not revoked when it signed."""
    said = signed["statement"]
    key = pick(lot_part(context.bundle)["keys"], "certificate", str(signed["certificate"]))
    spki = base64.b64decode(str(key["spki"]), validate=True)
    issued = [
        one.body
        for one in context.bundle.of_type("certificate.issued", subject=str(said["person"]))
        if one.body is not None and one.body["certificate"] == signed["certificate"]
    ]
    if len(issued) != 1:
        return [
            unclear(
                f"{event.id}: the certificate's entry is not shown",
                f"{event.id}：未披露证书签发记录",
            )
        ]
    (body,) = issued
    expected = (signed["serial"], said["organisation"], hashlib.sha256(spki).hexdigest())
    problems: list[Problem] = []
    if (body["serial"], body["organisation"], body["spki_sha256"]) != expected:
        problems.append(wrong(f"{event.id}: another key", f"{event.id}：密钥与签发记录不符"))
    if not time_of(body["not_before"]) <= time_of(said["at"]) < time_of(body["not_after"]):
        problems.append(
            wrong(f"{event.id}: the certificate had ended", f"{event.id}：证书不在有效期")
        )
    for one in context.bundle.of_type("key.revoked", subject=str(said["person"])):
        if one.body is None:
            problems.append(unclear(f"{one.id} is closed", f"{one.id} 未披露"))
        elif one.body["certificate"] == signed["certificate"] and one.index < event.index:
            problems.append(wrong(f"{event.id}: the key was revoked", f"{event.id}：密钥已停用"))
    message = STATEMENT_TAG.encode("ascii") + b"\x00" + canonical_bytes(said)
    try:
        verify_by_key(message, signature=bytes.fromhex(signed["proof"]), public_spki=spki)
    except FuqiError:
        problems.append(wrong(f"{event.id}: the signature is wrong", f"{event.id}：签名不成立"))
    return problems
