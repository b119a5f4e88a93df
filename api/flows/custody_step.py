"""What every act on goods has in common: who signed it, how units move, what is written, what the chain copies.

Deadlines are a published policy: its digest stands in each entry that starts a clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller
from api.ports import Ports
from ledger.acts_outbox import NewAct, queue
from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import ConflictError, LimitError, NotFoundError
from ledger.core.ids import derived_id
from ledger.log import NewEntry, record
from ledger.queries import acts as act_queries
from ledger.queries import custody as queries
from ledger.supply_calls import holder_tag
from ledger.tables.custody import MINTED, LotMovementRow, LotRow
from ledger.tables.log import EntryRow

POLICY_TAG: Final = "fuqi/custody-policy/v1"
POLICY: Final[Mapping[str, int]] = {
    "handover_hours": 72,
    "second_signature_hours": 24,
    "answer_hours": 48,
    "settle_hours": 168,
    "purpose_hours": 240,
}
"""Hours until somebody is late. Late means listed and shown, and nothing is decided by silence."""
ENDS: Final = frozenset({"used", "lost"})


def policy_digest() -> str:
    """Digest of the deadlines that apply now."""
    return tagged_digest(POLICY_TAG, dict(POLICY)).hex()


def due(at: datetime, name: str) -> datetime:
    """When the clock `name` runs out that starts now."""
    return at + timedelta(hours=POLICY[name])


@dataclass(frozen=True, slots=True)
class Place:
    """A holder's shelf."""

    holder: str
    shelf: str


@dataclass(frozen=True, slots=True)
class Step:
    """One signed act being carried out, in one transaction.

    Attributes:
        statement_id: of the statement that was signed: makes the ids of entries.
        signed: statement, proof and certificate, as they go into the entry's body.
    """

    session: Session
    ports: Ports
    caller: Caller
    organisation: str
    person: str
    statement_id: str
    signed: Mapping[str, Json]
    at: datetime

    def lot(self, lot_id: str) -> LotRow:
        """The lot, locked, if the caller's organisation has to do with it.

        Raises:
            NotFoundError: absent, or nobody asked this organisation.
        """
        row = queries.lock_lot(self.session, lot_id)
        if row is None or self.organisation not in queries.organisations_of(self.session, lot_id):
            raise NotFoundError("there is no such record")
        return row

    def record(
        self, kind: str, lot: LotRow, body: Mapping[str, Json], *, part: str = ""
    ) -> EntryRow:
        """Journal the act about its lot; `part` tells entries of one kind in one act apart."""
        entry = NewEntry(
            id=derived_id("ent", at=self.at, seed=f"{kind}|{self.statement_id}|{lot.id}|{part}"),
            type=kind,
            at=self.at,
            subject=lot.id,
            actor=self.caller.account_id,
            body={**body, "signed": dict(self.signed)},
            # A bundle shows a carrier that units were used, and not on which ward.
            disclosable=True,
        )
        return record(self.session, self.ports.vault, entry)

    def open_units(self, lot: LotRow, entry: EntryRow) -> None:
        """The first movement of a lot: all its units stand in its giver's stock."""
        place = Place(lot.giver_id, "stock")
        self._insert(lot, 1, Place(lot.giver_id, MINTED), place, lot.quantity, entry)
        self._mirror(
            lot,
            1,
            "mint",
            {
                "issuer": self._tag(lot, lot.giver_id),
                "doc_ref": entry.leaf,
                "quantity": lot.quantity,
                "cause": entry.leaf,
            },
        )

    def move(
        self,
        lot: LotRow,
        source: Place,
        target: Place,
        *,
        quantity: int,
        entry: EntryRow,
        refused_by: str | None = None,
    ) -> None:
        """Take units from one place and put them at another; nothing for 0 units. The lot is locked.

        Args:
            refused_by: the organisation they were offered to, where it has just refused them: the chain's
                copy goes there and comes back.

        Raises:
            ConflictError: `custody.not_enough`.  LimitError: `custody.too_many_movements`.
        """
        if quantity == 0:
            return
        assert quantity > 0
        there = queries.position(self.session, lot.id, source.holder, source.shelf)
        if there < quantity:
            raise ConflictError(
                f"there are {there} units at that place and {quantity} are asked for: count again",
                code="custody.not_enough",
                there=there,
                wanted=quantity,
            )
        number = queries.last_movement(self.session, lot.id) + 1
        if number > queries.MOVEMENTS_MAX:
            raise LimitError(
                "this lot has moved too often; open the rest as a lot of its own",
                code="custody.too_many_movements",
                limit=queries.MOVEMENTS_MAX,
            )
        self._insert(lot, number, source, target, quantity, entry)
        if not self.ports.settings.lots_mirrored:
            return
        if refused_by is not None:
            self._cross(lot, number, source.holder, refused_by, quantity, entry, call="reject")
        elif source.holder != target.holder:
            self._cross(lot, number, source.holder, target.holder, quantity, entry, call="accept")
        elif target.shelf in ENDS:
            consumed = {**self._turn(lot, source.holder, entry), "quantity": quantity}
            self._mirror(lot, number, "consume", consumed)

    def _insert(
        self,
        lot: LotRow,
        number: int,
        source: Place,
        target: Place,
        quantity: int,
        entry: EntryRow,
    ) -> None:
        self.session.add(
            LotMovementRow(
                lot_id=lot.id,
                number=number,
                from_holder=source.holder,
                from_shelf=source.shelf,
                to_holder=target.holder,
                to_shelf=target.shelf,
                quantity=quantity,
                entry_id=entry.id,
                moved_at=self.at,
            )
        )
        self.session.flush()

    def _cross(
        self,
        lot: LotRow,
        number: int,
        source: str,
        target: str,
        quantity: int,
        entry: EntryRow,
        *,
        call: str,
    ) -> None:
        """The chain sees holders and ends, not shelves: units go over, and are accepted or rejected at once.

        Both sides have signed here, so the window in which a receiver may reject never stays open.
        """
        moved = {**self._turn(lot, source, entry), "quantity": quantity}
        self._mirror(lot, number, "move", {**moved, "to": self._tag(lot, target)})
        answer = self._turn(lot, target, entry)
        if call == "reject":
            answer["from"] = self._tag(lot, source)
        self._mirror(lot, number, call, answer)

    def _turn(self, lot: LotRow, holder: str, entry: EntryRow) -> dict[str, Json]:
        """What every call of a holder names, with the number of its next turn."""
        tag = self._tag(lot, holder)
        return {
            "issuer": self._tag(lot, lot.giver_id),
            "doc_ref": self._opening_leaf(lot),
            "holder": tag,
            "turn": act_queries.next_turn(self.session, lot.id, holder=tag),
            "cause": entry.leaf,
        }

    def _mirror(self, lot: LotRow, number: int, call: str, payload: Mapping[str, Json]) -> None:
        if not self.ports.settings.lots_mirrored:
            return
        queue(
            self.session,
            NewAct(
                id=derived_id("act", at=self.at, seed=f"SupplyLots.{call}|{lot.id}|{number}"),
                contract="SupplyLots",
                call=call,
                subject=lot.id,
                payload=payload,
                actor=self.caller.account_id,
                after=queries.last_act_about(self.session, lot.id),
            ),
            at=self.at,
        )

    def _opening_leaf(self, lot: LotRow) -> str:
        return self.session.get_one(EntryRow, lot.entry_id).leaf

    @staticmethod
    def _tag(lot: LotRow, organisation: str) -> str:
        return holder_tag(lot=lot.id, organisation=organisation)


def fields_of(statement: str) -> dict[str, Json]:
    """The fields of a stored statement."""
    value: dict[str, Json] = json.loads(statement)["fields"]
    return value
