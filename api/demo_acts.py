"""Acts on goods and orders in the demonstration: each signed by its handler's own device, each once.

An act is carried out in the transaction that made its statement, under an id that is the same in every run:
killed anywhere, what was signed stands and is not done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.demo_state import Actor, Story
from api.flows import custody
from ledger.core.errors import FuqiError, UnavailableError
from ledger.store import transaction
from ledger.tables.custody import CustodyStatementRow


@dataclass(frozen=True, slots=True)
class Way:
    """The lot of the story and everybody who touches it."""

    story: Story
    lot_id: str
    donor: Actor
    carrier: Actor
    hospital: Actor
    second: Actor
    quantity: int

    def act(self, actor: Actor, name: str, act: str, **fields: Any) -> CustodyStatementRow:
        """Have one act signed and done, or find it done by an earlier run."""
        return carry_out(self.story, actor, name, act, fields)

    def done(self, name: str) -> bool:
        """Whether an act was done by an earlier run."""
        return was_done(self.story, name)

    def refused(self, actor: Actor, act: str, fields: Mapping[str, Any], what: str) -> None:
        """Something that must not pass; nothing of it is kept."""
        must_be_refused(self.story, actor, act, fields, what)


def carry_out(
    story: Story, actor: Actor, name: str, act: str, fields: Mapping[str, Any]
) -> CustodyStatementRow:
    """Have one act signed and done, or find it done by an earlier run."""
    ports = story.ports
    with transaction(ports.sessions) as session:
        made = custody.make_statement(
            session,
            ports,
            actor.caller,
            statement_id=story.id_of("cst", name),
            act=act,
            fields=dict(fields),
            at=story.clock(),
        )
        if made.done_at is not None:
            return made
        # The statement and what it says are one transaction: none waits unsigned and grows stale.
        proof = actor.key.sign(custody.message_of(made.statement))
        return custody.complete_statement(
            session, ports, actor.caller, statement_id=made.id, proof=proof, at=story.clock()
        )


def was_done(story: Story, name: str) -> bool:
    """Whether an act was done by an earlier run."""
    with transaction(story.ports.readers) as session:
        row = session.get(CustodyStatementRow, story.id_of("cst", name))
        return row is not None and row.done_at is not None


def must_be_refused(
    story: Story, actor: Actor, act: str, fields: Mapping[str, Any], what: str
) -> None:
    """Something that must not pass; nothing of it is kept.

    Raises:
        UnavailableError: `demo.not_refused`.
    """
    try:
        with transaction(story.ports.sessions) as session:
            custody.make_statement(
                session,
                story.ports,
                actor.caller,
                statement_id=story.id_of("cst", f"refused/{what}"),
                act=act,
                fields=dict(fields),
                at=story.clock(),
            )
    except FuqiError as exc:
        story.stages.mark(f"{what} 被拒绝 refused: {exc.error_code}: {exc.message}")
    else:
        raise UnavailableError(f"{what} was accepted", code="demo.not_refused")
