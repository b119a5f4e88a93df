"""The acts lane: calls of our other contracts, one after the other, each exactly once. Safe to kill anywhere.

A relayer with a key of its own pays; who acts is shown by signatures inside the call. Rules as in
`ledger/submitter.py`: the database owns the nonce, one nonce is in flight, the next is used only when it is
consumed in a final block, a transaction is committed before it is sent, the chain is read before anything is
decided, a stuck transaction is replaced under its nonce up to an absolute ceiling. Beyond these:

    - A contract is deployed when the first act needs it, in the same lane.
    - What the contract would refuse is never sent; what reverts all the same is recorded with the contract's
      own error and never tried again by itself. A refusal that time heals keeps the act waiting for a day.
    - An act that has happened already (a lost database, another relayer) is final without a transaction.
    - When an act is final or refused, the log says so in the same database transaction.

No call to the chain is made inside a database transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session, sessionmaker

from contracts import artifacts
from contracts.acts_abi import StoredRound, decode_round
from contracts.seals_abi import Opening, open_entry
from ledger import acts_calls
from ledger.acts_calls import Bench, Site
from ledger.acts_port import ActsPort, TxSeen
from ledger.chain import Fees
from ledger.chain_key import OperatorKey, created_address
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, FuqiError, InputError
from ledger.core.ids import derived_id, new_id
from ledger.log import NewEntry, inclusion, record
from ledger.queries import acts as queries
from ledger.queries import anchors as anchor_queries
from ledger.store import transaction
from ledger.submitter import FEE_CEILING_WEI, REPLACE_AFTER, StepAction, StepResult, drained
from ledger.tables.acts import ActTxRow, ChainActRow, ChainContractRow
from ledger.tables.log import EntryRow
from ledger.vault import Vault

PATIENCE: Final = timedelta(days=1)
"""How long an act waits for what time heals (a newer head, a window that opens)."""
LOOK_AHEAD: Final = 50
"""Queued acts looked at in one step, so that one that must wait holds up no other."""
STEPS_MAX: Final = 200
DECIDED: Final = frozenset({"final", "refused"})


class ActsLane:
    """One lane to one chain. Several may run; the database lets only one sign."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        vault: Vault,
        chain: ActsPort,
        relayer: OperatorKey,
        signer: acts_calls.Signer,
        clock: Callable[[], datetime],
        *,
        bench: Bench | None = None,
        ready: Sequence[str] = (),
        replace_after: timedelta = REPLACE_AFTER,
        fee_ceiling_wei: int = FEE_CEILING_WEI,
    ) -> None:
        """A lane; touches neither database nor chain yet.

        Args:
            relayer: pays and sends; never the log's writer.
            signer: the installation's key for acts: opens rounds, registers signers' keys.
            ready: contracts to deploy before any act needs them, because signatures name their addresses.
        """
        self._sessions = sessions
        self._vault = vault
        self._chain = chain
        self._relayer = relayer
        self._signer = signer
        self._clock = clock
        self._bench = bench
        self._ready = tuple(ready)
        self._replace_after = replace_after
        self._fee_ceiling_wei = fee_ceiling_wei
        self._admitted = False

    def drain(self, limit: int = STEPS_MAX) -> StepResult:
        """Step until there is nothing to do at once, at most `limit` times; returns the last outcome."""
        return drained(self.step, limit)

    def step(self) -> StepResult:
        """Do one thing: at most one write to the database and one to the chain.

        Raises:
            UnavailableError: the chain's or the database's; nothing is lost, the next step goes on.
            ConflictError: `concurrent_write`, `chain.refused`, `chain.insufficient_funds`, `chain.nonce_gap`.
        """
        chain_id = self._chain.info().chain_id
        with transaction(self._sessions) as session:
            opened = queries.open_transactions(session, chain_id, self._relayer.address_hex)
            waiting = queries.queued(session, limit=LOOK_AHEAD)
            deployed = anchor_queries.deployment_of(session, chain_id)
            standing = queries.contracts_on(session, chain_id)
            unready = [name for name in self._ready if name not in standing]
        if deployed is None or not (opened or waiting or unready):
            # The log's contract comes first: what the acts speak of must be in it.
            return StepResult(StepAction.IDLE)
        if not self._admitted:
            self._chain.admit(self._relayer.address)
            self._admitted = True
        if opened:
            lane = [row for row in opened if row.nonce == opened[0].nonce]
            if self._chain.nonce_of(self._relayer.address) > lane[0].nonce:
                return self._settle(lane)
            return self._push(lane)
        for act in waiting:
            result = self._begin(act, chain_id)
            if result is not None:
                return result
        for name in unready:
            site = self._site(chain_id)
            return self._deploy(acts_calls.next_to_deploy(name, site.contracts) or name, site)
        return StepResult(StepAction.WAITING)

    def round_on_chain(self, payload: acts_calls.Payload) -> tuple[bytes, StoredRound | None]:
        """The id of the round that these inputs and policy make, and what `Rounds` holds of it now.

        None where the contract does not stand yet or does not answer.

        Raises:
            UnavailableError: the chain's.  InputError: `acts.payload`.
        """
        name = acts_calls.round_of(payload, signer=self._signer)
        target = self._site(self._chain.info().chain_id).contracts.get("Rounds")
        asked = acts_calls.question("Rounds", "open", payload, signer=self._signer)
        if target is None or asked is None:
            return name, None
        answer = self._chain.ask(target, asked)
        return name, decode_round(answer.data) if answer.done else None

    def _begin(self, act: ChainActRow, chain_id: int) -> StepResult | None:
        """Sign for the next act, or for a contract it needs; None where it has to wait."""
        with transaction(self._sessions) as session:
            before = None if act.after is None else session.get(ChainActRow, act.after)
        if before is not None and before.state == "refused":
            return self._refuse(act.id, "acts.before_refused")
        if before is not None and before.state != "final":
            return None
        site = self._site(chain_id)
        try:
            missing = acts_calls.next_to_deploy(act.contract, site.contracts)
            if missing is not None:
                return self._deploy(missing, site)
            target = site.contracts[act.contract]
            if self._happened(act, target):
                return self._finish(act.id, None)
            data = self._call_data(act, site)
        except (InputError, ConflictError) as exc:
            if exc.error_code in _OUR_REFUSALS:
                return self._refuse(act.id, exc.error_code)
            if exc.error_code == "acts.not_in_log":
                return None
            raise
        answer = self._chain.ask(target, data)
        if not answer.done:
            revert = acts_calls.decode_reason(answer.data)
            if revert.name in acts_calls.RETRYABLE and self._clock() - act.queued_at < PATIENCE:
                return None
            return self._refuse(act.id, acts_calls.reason_text(revert))
        return self._sign(act=act, contract=act.contract, to=target, data=data)

    def _deploy(self, name: str, site: Site) -> StepResult:
        creation = artifacts.load(name).bytecode + acts_calls.constructor(name, site, self._signer)
        return self._sign(act=None, contract=name, to=None, data=creation)

    def _sign(
        self,
        *,
        act: ChainActRow | None,
        contract: str,
        to: bytes | None,
        data: bytes,
        last: ActTxRow | None = None,
        fees: Fees | None = None,
    ) -> StepResult:
        """Sign, under the nonce of `last` where it replaces that, and commit; the next step sends it."""
        offered = fees or self._chain.fees()
        if offered.max_fee > self._fee_ceiling_wei:
            return StepResult(StepAction.CAPPED)
        chain_id = self._chain.info().chain_id
        nonce = self._next_nonce(chain_id) if last is None else last.nonce
        # A node's estimate for a replacement would already count the transaction that it replaces.
        gas = (
            self._chain.gas_for(self._relayer.address, to=to, data=data)
            if last is None
            else last.gas
        )
        signed = self._relayer.sign(
            chain_id=chain_id, nonce=nonce, gas=gas, fees=offered, to=to, data=data
        )
        at = self._clock()
        with transaction(self._sessions) as session:
            session.add(
                ActTxRow(
                    id=new_id("atx", at=at),
                    act_id=None if act is None else act.id,
                    contract=contract,
                    chain_id=chain_id,
                    sender=self._relayer.address_hex,
                    nonce=nonce,
                    attempt=0 if last is None else last.attempt + 1,
                    raw=signed.raw,
                    tx_hash=signed.tx_hash,
                    max_fee=str(offered.max_fee),
                    priority=str(offered.priority),
                    gas=gas,
                    state="signed",
                    attempts=0,
                    signed_at=at,
                    sent_at=None,
                )
            )
            if act is not None:
                session.get_one(ChainActRow, act.id).state = "sent"
        action = StepAction.SIGNED if last is None else StepAction.REPLACED
        return StepResult(action, tx_hash=signed.tx_hash)

    def _push(self, lane: Sequence[ActTxRow]) -> StepResult:
        """The nonce is unused: send the newest attempt, or replace it when it has waited too long."""
        newest = lane[0]
        if self._went_back(newest.act_id):
            return self._again(lane)
        if newest.state == "signed" or newest.sent_at is None:
            return self._send(newest)
        if self._clock() - newest.sent_at < self._replace_after:
            return StepResult(StepAction.WAITING, tx_hash=newest.tx_hash)
        fees = Fees(max_fee=int(newest.max_fee), priority=int(newest.priority)).bumped()
        fees = fees.at_least(self._chain.fees())
        if fees.max_fee > self._fee_ceiling_wei:
            self._send(newest, state="capped")
            return StepResult(StepAction.CAPPED, tx_hash=newest.tx_hash)
        return self._replace(newest, fees)

    def _replace(self, newest: ActTxRow, fees: Fees) -> StepResult:
        """The same act under the same nonce, built anew: proofs and deadlines may have aged."""
        site = self._site(newest.chain_id)
        if newest.act_id is None:
            creation = artifacts.load(newest.contract).bytecode
            data = creation + acts_calls.constructor(newest.contract, site, self._signer)
            return self._sign(
                act=None, contract=newest.contract, to=None, data=data, last=newest, fees=fees
            )
        with transaction(self._sessions) as session:
            act = session.get_one(ChainActRow, newest.act_id)
        target = site.contracts[act.contract]
        data = self._call_data(act, site)
        return self._sign(
            act=act, contract=act.contract, to=target, data=data, last=newest, fees=fees
        )

    def _send(self, row: ActTxRow, *, state: str = "sent") -> StepResult:
        try:
            self._chain.send(row.raw)
        except ConflictError as exc:
            if exc.error_code not in ("chain.nonce_used", "chain.underpriced"):
                raise
            # Used: the next step finds out by whom. Underpriced: it counts as sent, and is replaced in time.
            if exc.error_code == "chain.nonce_used":
                return StepResult(StepAction.SENT, tx_hash=row.tx_hash)
        # A crash before this commit: the row is still `signed` and the same bytes are sent again.
        with transaction(self._sessions) as session:
            kept = session.get_one(ActTxRow, row.id)
            kept.state, kept.sent_at, kept.attempts = state, self._clock(), kept.attempts + 1
        return StepResult(StepAction.SENT, tx_hash=row.tx_hash)

    def _settle(self, lane: Sequence[ActTxRow]) -> StepResult:
        """The nonce is used up: which attempt was it, did it do anything, and can that still change?"""
        for row in lane:
            seen = self._chain.transaction(row.tx_hash)
            if seen is None:
                continue
            if not seen.final:
                return self._mined(row, seen)
            if row.act_id is None:
                return self._stand(row, seen, lane)
            if seen.done:
                return self._finish(row.act_id, seen, lane=lane)
            return self._reverted(row, seen, lane)
        if self._chain.nonce_of(self._relayer.address, final=True) <= lane[0].nonce:
            return StepResult(StepAction.WAITING, tx_hash=lane[0].tx_hash)
        # Something else of this key took the nonce: the act is free to be signed for again.
        with transaction(self._sessions) as session:
            for row in lane:
                session.get_one(ActTxRow, row.id).state = "failed"
            if lane[0].act_id is not None:
                session.get_one(ChainActRow, lane[0].act_id).state = "queued"
        return StepResult(StepAction.FAILED, tx_hash=lane[0].tx_hash)

    def _mined(self, row: ActTxRow, seen: TxSeen) -> StepResult:
        """Say so once; the transaction stays open until its block is final."""
        if row.act_id is not None:
            with transaction(self._sessions) as session:
                act = session.get_one(ChainActRow, row.act_id)
                if act.state != "mined" or act.block_hash != seen.block_hash:
                    _place(act, seen, row.chain_id, state="mined")
                    return StepResult(StepAction.MINED, tx_hash=row.tx_hash)
        return StepResult(StepAction.WAITING, tx_hash=row.tx_hash)

    def _stand(self, row: ActTxRow, seen: TxSeen, lane: Sequence[ActTxRow]) -> StepResult:
        """A contract is final: remember where, after looking at its code."""
        artifact = artifacts.load(row.contract)
        address = created_address(self._relayer.address, row.nonce)
        code_hash = "0x" + artifact.code_hash.hex()
        stands = seen.done and self._chain.code_hash_of(address) == code_hash
        with transaction(self._sessions) as session:
            _close(session, lane, seen, done=stands)
            if stands:
                session.add(
                    ChainContractRow(
                        chain_id=row.chain_id,
                        name=row.contract,
                        address="0x" + address.hex(),
                        artifact_sha256=artifact.sha256,
                        code_hash=code_hash,
                        tx_hash=seen.tx_hash,
                        recorded_at=self._clock(),
                    )
                )
        if not stands:
            raise ConflictError(
                "a contract could not be deployed; see its transaction",
                code="acts.deployment_failed",
                contract=row.contract,
                tx_hash=seen.tx_hash,
            )
        return StepResult(StepAction.DEPLOYED, tx_hash=seen.tx_hash)

    def _reverted(self, row: ActTxRow, seen: TxSeen, lane: Sequence[ActTxRow]) -> StepResult:
        """It passed when it was asked and failed when it was mined: ask once more for the words."""
        assert row.act_id is not None
        with transaction(self._sessions) as session:
            act = session.get_one(ChainActRow, row.act_id)
        site = self._site(row.chain_id)
        try:
            answer = self._chain.ask(site.contracts[act.contract], self._call_data(act, site))
            revert = acts_calls.decode_reason(answer.data)
        except FuqiError:
            answer, revert = None, None
        healed = answer is not None and answer.done
        heals = revert is not None and revert.name in acts_calls.RETRYABLE
        if (healed or heals) and self._clock() - act.queued_at < PATIENCE:
            # The head moved between signing and mining; what is built now is another transaction.
            with transaction(self._sessions) as session:
                _close(session, lane, seen, done=False)
                session.get_one(ChainActRow, act.id).state = "queued"
            return StepResult(StepAction.FAILED, tx_hash=seen.tx_hash)
        text = "unknown" if revert is None else acts_calls.reason_text(revert)
        return self._refuse(act.id, text, seen=seen, lane=lane)

    def _went_back(self, act_id: str | None) -> bool:
        """Whether a mined act's nonce is free again: a reorganisation took its block back."""
        if act_id is None:
            return False
        with transaction(self._sessions) as session:
            return session.get_one(ChainActRow, act_id).state == "mined"

    def _again(self, lane: Sequence[ActTxRow]) -> StepResult:
        with transaction(self._sessions) as session:
            for row in lane:
                kept = session.get_one(ActTxRow, row.id)
                kept.state, kept.sent_at = "signed", None
            assert lane[0].act_id is not None
            act = session.get_one(ChainActRow, lane[0].act_id)
            act.state, act.tx_hash, act.block_number, act.block_hash = "sent", None, None, None
        return StepResult(StepAction.LOST, tx_hash=lane[0].tx_hash)

    def _finish(
        self, act_id: str, seen: TxSeen | None, *, lane: Sequence[ActTxRow] = ()
    ) -> StepResult:
        """The act is final: say so here and in the log."""
        chain_id = self._chain.info().chain_id
        with transaction(self._sessions) as session:
            act = session.get_one(ChainActRow, act_id, with_for_update=True)
            if act.state in DECIDED:
                return StepResult(StepAction.WAITING)
            if seen is not None:
                _place(act, seen, chain_id, state="final")
            act.state, act.chain_id = "final", chain_id
            _close(session, lane, seen, done=True)
            self._record(session, act, "act.confirmed")
        return StepResult(StepAction.FINAL, tx_hash=None if seen is None else seen.tx_hash)

    def _refuse(
        self,
        act_id: str,
        reason: str,
        *,
        seen: TxSeen | None = None,
        lane: Sequence[ActTxRow] = (),
    ) -> StepResult:
        with transaction(self._sessions) as session:
            act = session.get_one(ChainActRow, act_id, with_for_update=True)
            if act.state in DECIDED:
                return StepResult(StepAction.WAITING)
            act.reason = reason[:400]
            if seen is not None:
                _place(act, seen, lane[0].chain_id, state="refused")
                _close(session, lane, seen, done=False)
            act.state = "refused"
            self._record(session, act, "act.refused")
        return StepResult(StepAction.FAILED, tx_hash=None if seen is None else seen.tx_hash)

    def _record(self, session: Session, act: ChainActRow, kind: str) -> None:
        """The entry about the act, under a subject of its own: erasing what it is about leaves it."""
        at = self._clock()
        act.decided_at = at
        contracts = {} if act.chain_id is None else queries.contracts_on(session, act.chain_id)
        address = contracts[act.contract].address if act.contract in contracts else None
        body: dict[str, Json] = {
            "act": act.id,
            "subject": act.subject,
            "contract": act.contract,
            "call": act.call,
            "address": address,
            "chain_id": act.chain_id,
            "tx_hash": act.tx_hash,
            "block_number": act.block_number,
            "block_hash": act.block_hash,
            "gas_used": act.gas_used,
            "reason": act.reason,
            "payload": json.loads(act.payload),
        }
        entry = NewEntry(
            id=derived_id("ent", at=act.queued_at, seed=f"{kind}|{act.id}"),
            type=kind,
            at=at,
            subject=act.id,
            actor="system",
            body=body,
        )
        act.entry_id = record(session, self._vault, entry).id

    def _site(self, chain_id: int) -> Site:
        with transaction(self._sessions) as session:
            deployed = anchor_queries.deployment_of(session, chain_id)
            standing = queries.contracts_on(session, chain_id)
        assert deployed is not None
        return Site(
            chain_id=chain_id,
            log=_address(deployed.address),
            contracts={name: _address(row.address) for name, row in standing.items()},
            bench=self._bench,
        )

    def _happened(self, act: ChainActRow, target: bytes) -> bool:
        payload = json.loads(act.payload)
        asked = acts_calls.question(act.contract, act.call, payload, signer=self._signer)
        if asked is None:
            return False
        answer = self._chain.ask(target, asked)
        return answer.done and acts_calls.happened(act.contract, act.call, payload, answer.data)

    def _call_data(self, act: ChainActRow, site: Site) -> bytes:
        return acts_calls.call_data(
            act.contract,
            act.call,
            json.loads(act.payload),
            site=site,
            signer=self._signer,
            prove=self._prove,
            at=self._clock(),
        )

    def _prove(self, entry_id: str, commitment: str, salt: bytes) -> Opening:
        """Open an entry in the tree that the chain holds now.

        Raises:
            ConflictError: `acts.not_in_log`: the chain's tree does not hold it yet.
        """
        size = self._chain.head().size
        with transaction(self._sessions) as session:
            entry = session.get(EntryRow, entry_id)
            if entry is None or entry.seq is None or entry.seq >= size:
                raise ConflictError("the chain's tree does not hold it yet", code="acts.not_in_log")
            path = inclusion(session, index=entry.seq, size=size)
            return open_entry(
                entry.bytes, commitment=commitment, salt=salt, index=entry.seq, size=size, path=path
            )

    def _next_nonce(self, chain_id: int) -> int:
        with transaction(self._sessions) as session:
            last = queries.last_nonce(session, chain_id, self._relayer.address_hex)
        return max(self._chain.nonce_of(self._relayer.address), 0 if last is None else last + 1)


_OUR_REFUSALS: Final = frozenset(
    {"acts.payload", "acts.no_bench", "acts.contract_unknown", "contracts.entry_malformed"}
)
"""What no repetition mends."""


def _place(act: ChainActRow, seen: TxSeen, chain_id: int, *, state: str) -> None:
    act.state, act.chain_id = state, chain_id
    act.tx_hash, act.gas_used = seen.tx_hash, seen.gas_used
    act.block_number, act.block_hash = seen.block_number, seen.block_hash


def _close(session: Session, lane: Sequence[ActTxRow], seen: TxSeen | None, *, done: bool) -> None:
    for row in lane:
        kept = session.get_one(ActTxRow, row.id)
        mine = seen is not None and row.tx_hash == seen.tx_hash
        kept.state = ("mined" if done else "failed") if mine else "replaced"


def _address(text: str) -> bytes:
    return bytes.fromhex(text[2:])
