"""How agreements relate: one releases, amends, renews or revises another.

A formed agreement never changes. Ending it (解约) or changing it takes a new agreement signed by the
same parties; when that one is formed, the effect is recorded under the earlier one in the same
transaction. A revision replaces an agreement that is not formed yet: the earlier one is withdrawn,
every signature on it is void, and the difference is shown to whoever signs the new one.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.agreements import agreement_for, record_step, state_of
from api.ports import Ports
from ledger.core.errors import NotFoundError
from ledger.queries import agreements as queries
from ledger.tables.agreements import AgreementRow
from signing import agreement as rules
from signing.render import page_texts

LINES_MAX: Final = 2_000
"""Changed and neighbouring lines shown; longer differences are cut and say so."""
LINE_CHARACTERS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """One line of the comparison.

    Attributes:
        kind: `same`, `added`, `removed` or `skip` (unchanged lines left out).
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class DocumentDifference:
    """What the text of a document says otherwise than the one it revises or amends.

    Attributes:
        complete: False where lines were cut off.
    """

    earlier: str
    lines: tuple[DifferenceLine, ...]
    complete: bool


def apply_relation(
    session: Session, ports: Ports, caller: Caller, row: AgreementRow, *, at: datetime
) -> None:
    """Record under the earlier agreement what this one, just formed, does to it."""
    if row.relation not in ("releases", "amends", "renews") or row.related_id is None:
        return
    earlier = queries.lock_agreement(session, row.related_id)
    assert earlier is not None, "checked at publication, and rows are never deleted"
    body = {"by_agreement": row.id, "sha256": row.current_sha256}
    if row.relation != "releases" or earlier.state == rules.State.RELEASED:
        # Two releases may have been signed side by side: the second ends what has ended already.
        record_step(
            session,
            ports,
            caller,
            earlier,
            "agreement.related",
            {"relation": row.relation, **body},
            at=at,
        )
        return
    step = rules.release(state_of(session, earlier), by=state_of(session, row), at=at)
    earlier.state = step.agreement.state.value
    earlier.released_at = step.agreement.released_at
    for event in step.events:
        record_step(session, ports, caller, earlier, event, body, at=at)


def difference(
    session: Session, ports: Ports, caller: Caller, agreement_id: str
) -> DocumentDifference:
    """The text of the document against the one it revises, amends or renews, line by line.

    Raises:
        NotFoundError: absent or another organisation's; `agreement.no_relation`.
    """
    row = agreement_for(session, caller, agreement_id)
    if row.related_id is None:
        raise NotFoundError("this agreement refers to no earlier one", code="agreement.no_relation")
    earlier = agreement_for(session, caller, row.related_id)
    before, after = (_lines(ports, one.document_sha256) for one in (earlier, row))
    found: list[DifferenceLine] = []
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(
        2
    ):
        if found:
            found.append(DifferenceLine("skip", ""))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                found += [DifferenceLine("same", line) for line in before[i1:i2]]
                continue
            found += [DifferenceLine("removed", line) for line in before[i1:i2]]
            found += [DifferenceLine("added", line) for line in after[j1:j2]]
    return DocumentDifference(
        earlier=earlier.id,
        lines=tuple(found[:LINES_MAX]),
        complete=len(found) <= LINES_MAX,
    )


def _lines(ports: Ports, sha256: str) -> list[str]:
    return [
        line.strip()[:LINE_CHARACTERS_MAX]
        for page in page_texts(ports.blobs.get(sha256))
        for line in page.splitlines()
        if line.strip()
    ]
