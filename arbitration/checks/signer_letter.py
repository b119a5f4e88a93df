"""Letters of authority: the file that granted an authority is here, signed by who may give one, and says it.

`signer.authorisation` judges the authority that was frozen with each signature; here the letter behind it is
opened: the digest in the log, its own signature, who signed it under what, and what stands in its text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from arbitration.checks.context import Context, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.checks.signer_certificate import certificate_problems
from arbitration.model import Event
from ledger.core.errors import FuqiError, VerificationError
from ledger.core.report import Check, Verdict
from signing.identity import Authorisation, Basis, authorisation_from_json
from signing.identity_letter import marks_of
from signing.passages import find_clauses
from signing.pdf_reading import signatures_of
from signing.validate import validate_pdf

CODE: Final = "signer.letter"
ACTING: Final = ("signature.applied", "ratification.decided")


def check(context: Context) -> Check:
    """FAILED where a letter is another file, grants less, or was given by somebody who could not."""
    rows = {str(row["authorisation"]): row for row in context.bundle.part(9).get("letters", [])}
    relied = _relied_on(context)
    problems: list[Problem] = []
    for name, (held, first) in relied.items():
        row = rows.get(name)
        if row is None:
            problems.append(
                unclear(
                    f"the letter behind {name} is not in this bundle",
                    f"授权 {name} 的委托书不在本证据包内",
                )
            )
        else:
            problems += _letter_problems(context, row, held, used=first)
    problems += [
        wrong(f"nobody relied on the letter of {name}", f"无人依据授权 {name} 的委托书行事")
        for name in rows
        if name not in relied
    ]
    return conclude(
        CODE,
        problems,
        en=f"{len(relied)} letters of authority are here, signed by the legal representative before they were"
        " used, and grant what was relied on"
        if relied
        else "nobody acted under a letter of authority",
        zh=f"{len(relied)} 份授权委托书在案，均由法定代表人在使用前签署，内容涵盖所依据的授权"
        if relied
        else "无人依据授权委托书行事",
        letters={name: str(held.agreement) for name, (held, _first) in relied.items()},
    )


def _relied_on(context: Context) -> dict[str, tuple[Authorisation, Event]]:
    """Authority by letter -> what was frozen, and the first entry that relied on it."""
    found: dict[str, tuple[Authorisation, Event]] = {}
    for kind in ACTING:
        for event in context.agreement_events(kind):
            stated = (event.body or {}).get("authorisation")
            if isinstance(stated, Mapping):
                held = authorisation_from_json(stated)
                if held.basis is Basis.SIGNED and held.id not in found:
                    found[held.id] = (held, event)
    return found


def _letter_problems(
    context: Context, row: Mapping[str, Any], held: Authorisation, *, used: Event
) -> list[Problem]:
    name, letter = held.id, str(row["agreement"])
    if letter != held.agreement:
        return [wrong(f"{name}: the letter is another agreement", f"{name}：委托书并非授权所载")]
    data = context.bundle.files[str(row["path"])]
    formed = context.bundle.of_type("agreement.formed", subject=letter)
    if len(formed) != 1 or formed[0].body is None:
        return [
            unclear(
                f"{name}: the letter's entries are not opened", f"{name}：委托书的存证记录未披露"
            )
        ]
    problems: list[Problem] = []
    if formed[0].body["sha256"] != hashlib.sha256(data).hexdigest():
        problems.append(
            wrong(
                f"{name}: the letter is not the file that was signed",
                f"{name}：委托书并非所签署的文件",
            )
        )
    if formed[0].index > used.index:
        problems.append(wrong(f"{name}: signed after it was used", f"{name}：委托书签署晚于其使用"))
    ended = context.bundle.of_type("agreement.released", subject=letter)
    if any(one.index < used.index for one in ended):
        problems.append(
            wrong(f"{name}: released before it was used", f"{name}：委托书在使用前已解除")
        )
    problems += _giver_problems(context, held, letter, data)
    problems += _file_problems(context, held, data)
    return problems


def _giver_problems(
    context: Context, held: Authorisation, letter: str, data: bytes
) -> list[Problem]:
    """The letter was signed by whoever represents the organisation by law, with their own key."""
    name = held.id
    applied = context.bundle.of_type("signature.applied", subject=letter)
    if len(applied) != 1 or applied[0].body is None:
        return [
            unclear(f"{name}: who signed the letter is not opened", f"{name}：委托书签署记录未披露")
        ]
    body = applied[0].body
    by = authorisation_from_json(body["authorisation"])
    problems: list[Problem] = []
    good = (by.organisation, body["organisation"], by.person) == (
        held.organisation,
        held.organisation,
        body["person"],
    )
    if not good or by.basis is not Basis.STATUTORY or body["person"] == held.person:
        problems.append(
            wrong(
                f"{name}: the letter was not given by the legal representative",
                f"{name}：委托书并非由法定代表人签署",
            )
        )
    if not by.valid_from <= time_of(applied[0].at) < by.valid_to:
        problems.append(
            wrong(
                f"{name}: the representative's own authority had ended", f"{name}：签署人权限已届满"
            )
        )
    try:
        der = context.certificate_der(str(body["certificate"]))
        made = [one.certificate for one in signatures_of(data) if one.kind == "signature"]
    except (VerificationError, FuqiError):
        return [
            *problems,
            unclear(f"{name}: the signer's certificate is missing", f"{name}：缺少签署人证书"),
        ]
    if made != [der]:
        problems.append(
            wrong(f"{name}: the letter carries another signature", f"{name}：委托书上的签名不符")
        )
    # The key is the representative's own: a pinned authority certified it for this person.
    holder = {
        "signer": f"{name} (letter)",
        "person": body["person"],
        "organisation": body["organisation"],
        "certificate": body["certificate"],
        "field": "",
        "signed_at": applied[0].at,
    }
    return problems + certificate_problems(context, holder)


def _file_problems(context: Context, held: Authorisation, data: bytes) -> list[Problem]:
    """Its signature holds, and its text grants what was relied on."""
    name = held.id
    report = validate_pdf(data, trust=context.pki, at=context.at)
    problems = [
        (wrong if one.verdict is Verdict.FAILED else unclear)(
            f"{name}: {one.code}: {one.summary_en}", f"{name}：{one.code}：{one.summary_zh}"
        )
        for one in report.checks
        if one.verdict is not Verdict.PASSED
    ]
    try:
        marks = marks_of(held)
        found = find_clauses(data, marks)
    except FuqiError:
        return [*problems, unclear(f"{name}: the letter cannot be read", f"{name}：委托书无法读取")]
    problems += [
        wrong(f"{name}: the letter does not say {mark}", f"{name}：委托书未载明 {mark}")
        for mark, lines in zip(marks, found, strict=True)
        if not lines
    ]
    return problems
