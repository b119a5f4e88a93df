"""Seals: every seal object in the file is one whose use the log records, under the authorisation it names.

What the object proves by itself (maker, certificate, file, period) is `pdf.seal` in `document.pdf`. Here it is
held against the record: the entry of its use, the authorisation frozen with the signature, and its seal scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import Event
from ledger.core.canonical import canonical_bytes, sha256
from ledger.core.errors import VerificationError
from ledger.core.report import Check
from signing.changes import byte_ranges
from signing.seal_object import SealObject, read_seal_object
from signing.seal_reading import seals_in

CODE: Final = "signer.seal"


def check(context: Context) -> Check:
    """FAILED where file and log disagree about a seal; INDETERMINATE where a use is not opened."""
    revisions = context.bundle.revisions()
    final = revisions[-1] if revisions else b""
    held = seals_in(final, byte_ranges(final))
    problems: list[Problem] = []
    seen = 0
    for signer in context.bundle.signers:
        name = str(signer["signer"])
        facts = context.facts_of(str(signer["field"]))
        objects = held.get(facts.byte_range, ()) if facts is not None else ()
        uses = context.agreement_events("seal.used")
        own = [one for one in uses if one.body is not None and one.body["signer"] == name]
        if not objects:
            if own:
                problems.append(
                    wrong(
                        f"{name}: a seal was recorded and is not in the file",
                        f"{name}：有用印记录而文件中无印章",
                    )
                )
            continue
        seen += 1
        if not own and any(one.body is None for one in uses):
            problems.append(unclear(f"{name}: the use is not opened", f"{name}：用印记录未披露"))
        elif len(own) != 1 or len(objects) != 1:
            problems.append(
                wrong(
                    f"{name}: not one seal and one record of it",
                    f"{name}：印章与用印记录不是一一对应",
                )
            )
        else:
            problems += _problems(context, signer, objects[0], own[0])
    return conclude(
        CODE,
        problems,
        en=f"every seal was used as the log records it ({seen} seals)",
        zh=f"每枚印章的使用均与记录一致（共 {seen} 枚）",
        seals=seen,
    )


def _problems(context: Context, signer: Mapping[str, Any], der: bytes, use: Event) -> list[Problem]:
    name, body = str(signer["signer"]), use.body or {}
    try:
        seal = read_seal_object(der)
    except VerificationError as exc:
        return [wrong(f"{name}: {exc.message}", f"{name}：印章数据无法解析")]
    bound = seal.binding
    wanted = {
        "agreement": context.agreement_id,
        "seal": bound.seal,
        "kind": bound.kind,
        "source": bound.source,
        "signer": bound.signer,
        "organisation": bound.organisation,
        "person": bound.person,
        "authorisation": bound.authorisation,
        "base_sha256": bound.base_sha256,
        "seal_object_sha256": sha256(der).hex(),
        "edge": bound.edge,
        "certificate": signer["certificate"],
        "revision_sha256": signer["revision_sha256"],
    }
    problems = [
        wrong(f"{name}: the use's {key} is another", f"{name}：用印记录中的 {key} 不符")
        for key, value in wanted.items()
        if body[key] != value
    ]
    stated = {
        "agreement": context.agreement_id,
        "signer": name,
        "organisation": signer["organisation"],
        "person": signer["person"],
        "authorisation": signer["authorisation"],
        "field": signer["field"],
    }
    problems += [
        wrong(f"{name}: the seal's {key} is another", f"{name}：印章数据中的 {key} 不符")
        for key, value in stated.items()
        if getattr(bound, key) != value
    ]
    return problems + _authority_problems(context, name, seal)


def _authority_problems(context: Context, name: str, seal: SealObject) -> list[Problem]:
    """The authorisation frozen with the signature is the one the seal names, and covers its kind."""
    for event in context.agreement_events("signature.applied"):
        if event.body is None or event.body["signer"] != name:
            continue
        frozen = event.body["authorisation"]
        problems = []
        if sha256(canonical_bytes(frozen)).hex() != seal.binding.authorisation_sha256:
            problems.append(
                wrong(f"{name}: the seal names another authorisation", f"{name}：印章所载授权不符")
            )
        if seal.binding.kind not in frozen["seal_scope"]:
            problems.append(
                wrong(
                    f"{name}: the authorisation does not cover this seal",
                    f"{name}：授权不含此类印章",
                )
            )
        return problems
    return [unclear(f"{name}: the signature's entry is not opened", f"{name}：签名记录未披露")]
