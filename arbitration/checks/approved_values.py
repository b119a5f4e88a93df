"""Values of form fields under an approval: a signature carries those that the approvals of its side list.

An approval lists, in the annex of its statement, what others had filled and what the signers of its own side
had saved. A value that was filled and is not listed so was never approved; a file without one that is listed
for its signer was not approved either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from arbitration.checks.context import FILLED, Context
from arbitration.checks.results import Problem, unclear, wrong
from arbitration.model import Event
from arbitration.stages import Place, Stage
from ledger.core.errors import InputError
from signing.agreement import approvals_needed
from signing.annexes import FieldValue, annex_digest, differing

NAMED_MAX: Final = 10
"""As many form fields a problem names."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What one approval lists.

    Attributes:
        approver: id of the place.
        index: of the approval in the log.
    """

    approver: str
    index: int
    values: tuple[FieldValue, ...]


def listed_in(
    context: Context, place: Place, event: Event, *, said: str, index: int
) -> tuple[Listed | None, list[Problem]]:
    """The values that an approval's statement lists, once its annex is found to be the one it names.

    Args:
        event: the opened statement.
        said: digest of the annex that the proven statement names, hex; empty for none.
        index: of the approval in the log.
    """
    annex, name = (event.body or {}).get("annex"), place.signer
    try:
        own = "" if annex is None else annex_digest(annex).hex()
    except InputError as exc:
        return None, [wrong(f"{name}: {exc}", f"{name}：批准所列清单无法识别")]
    if said != own:
        return None, [
            wrong(
                f"{name}: the approval names another annex",
                f"{name}：批准陈述所载附件清单不符",
            )
        ]
    wanted = {
        "agreement": context.agreement_id,
        "document_sha256": context.bundle.part(9)["document_sha256"],
        "field": place.field,
    }
    problems = [
        wrong(f"{name}: the approval's annex is of another {key}", f"{name}：批准清单的 {key} 不符")
        for key, value in wanted.items()
        if annex is not None and annex[key] != value
    ]
    values = tuple(
        FieldValue(str(one["name"]), str(one["field"]), str(one["value"]))
        for one in ([] if annex is None else annex.get("fields", []))
    )
    return Listed(name, index, values), problems


def value_problems(
    context: Context, stages: Sequence[Stage], listed: Sequence[Listed]
) -> list[Problem]:
    """Each signature against the approvals of its side that stood by then."""
    filled = context.agreement_events(FILLED)
    problems: list[Problem] = []
    for applied in context.agreement_events("signature.applied"):
        stage = _stage_of(stages, applied)
        if stage is None or applied.body is None:
            continue  # `agreement.stages` and the checks of the roster say so.
        before = [one for one in stages if one.number < stage.number]
        found = [
            problem
            for earlier in before
            for problem in _problems(applied, earlier, listed, filled=filled, stages=stages)
        ]
        if _closed(context, before=applied.index):
            found = [unclear(one.en, one.zh) for one in found]
        problems += found
    return problems


def _problems(
    applied: Event,
    stage: Stage,
    listed: Sequence[Listed],
    *,
    filled: Sequence[Event],
    stages: Sequence[Stage],
) -> list[Problem]:
    """One signature against one stage of approvals."""
    body = applied.body or {}
    own = [one for one in stage.places if one.organisation == body["organisation"]]
    standing = [_latest(listed, one.signer, before=applied.index) for one in own]
    given = [one for one in standing if one is not None]
    name, earlier = str(body["signer"]), [one for one in filled if one.index < applied.index]
    if not given:
        return []
    if any(one.body is None for one in earlier):
        return [unclear(f"{name}: a record of filling is closed", f"{name}：填写记录未披露")]
    values = [
        FieldValue(str(one["field"]), _field_of(stages, str(event.body["signer"])), str(one["new"]))
        for event in earlier
        if event.body is not None
        for one in event.body["fields"]
    ]
    faults = {
        one.approver: differing(one.values, values, field=str(body["field"])) for one in given
    }
    needed = approvals_needed(
        given=len(given), need=stage.need, others=len(stage.places) - len(own)
    )
    if sum(not one for one in faults.values()) >= needed:
        return []
    return [
        wrong(
            f"{name}: signed other values than {approver} approved: {', '.join(names[:NAMED_MAX])}",
            f"{name}：所签填写内容与 {approver} 批准的不符：{'、'.join(names[:NAMED_MAX])}",
        )
        for approver, names in faults.items()
        if names
    ]


def _latest(listed: Sequence[Listed], signer: str, *, before: int) -> Listed | None:
    found = [one for one in listed if one.approver == signer and one.index < before]
    return max(found, key=lambda one: one.index, default=None)


def _stage_of(stages: Sequence[Stage], applied: Event) -> Stage | None:
    signer = "" if applied.body is None else str(applied.body["signer"])
    return next(
        (stage for stage in stages for place in stage.places if signer in place.signers), None
    )


def _field_of(stages: Sequence[Stage], signer: str) -> str:
    """The signature field of a place, whoever holds it; "" for nobody's, whose values nobody approves."""
    return next((p.field for stage in stages for p in stage.places if signer in p.signers), "")


def _closed(context: Context, *, before: int) -> bool:
    """Whether an entry that is not opened may be a later approval, or what it says."""
    return any(
        one.body is None and one.index < before
        for kind in ("approval.given", "intent.expressed")
        for one in context.agreement_events(kind)
    )
