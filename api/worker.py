"""The worker: sequences the journal, signs checkpoints, anchors them. Safe to kill anywhere.

Each step is one bounded transaction or one call to the chain; what a crash leaves behind is taken up by
the next step, in this process or another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from api.compose import open_lane
from api.flows.agreements import expire_due
from api.flows.archiving import FAILED_MAX, archive_due
from api.flows.custody_notices import notify_due
from api.flows.drafts import delete_expired
from api.flows.live_market import follow_all
from api.flows.lost_keys import revoke_at_authority
from api.flows.ratification import expire_ratifications
from api.flows.round_acts import record_rounds
from api.flows.urgent_lapsing import lapse_due
from api.ports import Ports
from ledger.chain import ChainPort
from ledger.core.errors import FuqiError
from ledger.cosigning import WitnessEndpoint, collect, read_witnesses
from ledger.log import StoredCheckpoints, sequence
from ledger.note import WitnessPolicy
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.submitter import StepResult, Submitter
from ledger.tiles import write_tiles

SEQUENCE_STEPS_MAX: Final = 1000
"""At most this many batches in one call: four million entries."""
BACKOFF_SECONDS_MAX: Final = 60
ARCHIVE_RETRY: Final = timedelta(hours=1)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the log stands.

    Attributes:
        waiting: journal rows not yet in the tree.
        size: leaves in the newest checkpoint.
        anchored: leaves under the newest final anchor.
    """

    waiting: int
    size: int
    anchored: int

    @property
    def settled(self) -> bool:
        """Whether every acknowledged entry is under a final anchor."""
        return self.waiting == 0 and self.anchored == self.size


def sequence_all(ports: Ports, *, clock: Callable[[], datetime]) -> int:
    """Sequence everything that waits; returns the number of checkpoints signed."""
    for done in range(SEQUENCE_STEPS_MAX):
        with transaction(ports.sessions) as session:
            if sequence(session, ports.log_key, at=clock()) is None:
                return done
    return SEQUENCE_STEPS_MAX


def progress_of(ports: Ports) -> Progress:
    """Read where the log stands."""
    with transaction(ports.readers) as session:
        checkpoint = log_queries.latest_checkpoint(session)
        final = anchor_queries.latest_final(session)
        return Progress(
            waiting=log_queries.waiting(session),
            size=0 if checkpoint is None else checkpoint.size,
            anchored=0 if final is None else final.checkpoint_size,
        )


def settle(
    ports: Ports,
    chain: ChainPort,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    seconds_max: int = 60,
) -> Progress:
    """Bring every acknowledged entry under a final anchor, or stop after `seconds_max`.

    Raises:
        UnavailableError: what the chain answered; nothing is lost, the next call goes on.
    """
    submitter = Submitter(ports.sessions, chain, StoredCheckpoints(), clock)
    lane = open_lane(ports, chain, clock=clock)
    deadline = time.monotonic() + seconds_max
    archive_due(ports, clock=clock)
    while True:
        sequence_all(ports, clock=clock)
        submitter.drain(20)
        if lane is not None:
            record_rounds(ports, lane, at=clock())
            lane.drain()
        progress = progress_of(ports)
        if progress.settled or time.monotonic() > deadline:
            return progress
        time.sleep(0.2)


def tiles_folder(ports: Ports) -> Path:
    """Where the static files of the log lie (C2SP tlog-tiles)."""
    return ports.settings.home.resolve() / "log"


def witnesses_of(ports: Ports) -> tuple[WitnessPolicy | None, tuple[WitnessEndpoint, ...]]:
    """Who must cosign checkpoints and where to ask; nobody where the setting is absent.

    Raises:
        InputError: `witness.file`.
    """
    if ports.settings.witnesses is None:
        return None, ()
    return read_witnesses(ports.settings.witnesses)


class Worker:
    """Runs `settle` at an interval until told to stop; used by `fuqi worker` and inside `fuqi serve`."""

    def __init__(self, ports: Ports, chain: ChainPort, *, clock: Callable[[], datetime]) -> None:
        """A worker over open ports and a chain that this process holds."""
        self._ports = ports
        self._submitter = Submitter(ports.sessions, chain, StoredCheckpoints(), clock)
        self._lane = open_lane(ports, chain, clock=clock)
        self._clock = clock
        self._endpoints = witnesses_of(ports)[1]
        self._stop = threading.Event()
        self._unarchived: dict[str, datetime] = {}
        self._capped: set[str] = set()
        self.last_error: str | None = None

    def stop(self) -> None:
        """Ask the loop to end after its current step."""
        self._stop.set()

    def run(self) -> None:
        """Loop until `stop`. An outage is logged and retried with a growing, bounded pause."""
        interval = self._ports.settings.anchor_interval_seconds
        pause = interval
        while not self._stop.is_set():
            try:
                self.step()
                pause, self.last_error = interval, None
            except FuqiError as exc:
                self.last_error = exc.error_code
                log.warning("worker.step_failed", code=exc.error_code, retry_seconds=pause)
                pause = min(pause * 2, BACKOFF_SECONDS_MAX)
            except Exception:
                # The loop outlives our bugs: what was acknowledged must still be anchored.
                self.last_error = "worker.bug"
                log.exception("worker.bug")
                pause = min(pause * 2, BACKOFF_SECONDS_MAX)
            self._stop.wait(pause)

    def step(self) -> Progress:
        """Close what is overdue, sequence what waits, move the newest checkpoint towards final."""
        with transaction(self._ports.sessions) as session:
            expire_due(session, self._ports, at=self._clock())
            expire_ratifications(session, self._ports, at=self._clock())
        self._notify()
        delete_expired(self._ports, at=self._clock())
        lapse_due(self._ports, at=self._clock())
        revoke_at_authority(self._ports, at=self._clock())
        self._ports.authority.refresh(at=self._clock())
        self._archive()
        sequence_all(self._ports, clock=self._clock)
        # Witnesses first: what is anchored is then what they have seen. One that is away stops nothing.
        for one in collect(self._ports.sessions, self._endpoints, at=self._clock()):
            if one.code is not None:
                log.warning("worker.witness_failed", witness=one.witness, code=one.code)
        self._watch("log", self._submitter.drain(20))
        self._act()
        with transaction(self._ports.readers) as session:
            write_tiles(session, tiles_folder(self._ports))
        self._follow()
        self._record()
        return progress_of(self._ports)

    def _record(self) -> None:
        """What rounds have on the chain; last, so that nothing else waits for a large one."""
        if self._lane is None:
            return
        try:
            record_rounds(self._ports, self._lane, at=self._clock())
        except FuqiError as exc:
            log.warning("worker.rounds_failed", code=exc.error_code)

    def _follow(self) -> None:
        """The living market; a class that cannot be solved must not stop the log."""
        try:
            follow_all(self._ports, at=self._clock())
        except FuqiError as exc:
            log.warning("worker.market_failed", code=exc.error_code)

    def _notify(self) -> None:
        """What goods have brought about; another worker that does the same at once stops nothing."""
        try:
            with transaction(self._ports.sessions) as session:
                made = notify_due(session, at=self._clock())
        except FuqiError as exc:
            log.warning("worker.notices_failed", code=exc.error_code)
        else:
            if made:
                log.info("worker.notices", made=made)

    def _archive(self) -> None:
        """One that fails is left alone for an hour; the others go on."""
        now = self._clock()
        waiting = {one: until for one, until in self._unarchived.items() if until > now}
        for failure in archive_due(self._ports, clock=self._clock, without=waiting):
            log.warning("worker.archive_failed", agreement=failure.agreement_id, code=failure.code)
            if len(waiting) < FAILED_MAX:
                waiting[failure.agreement_id] = now + ARCHIVE_RETRY
        self._unarchived = waiting

    def _act(self) -> None:
        """Acts of contracts; what stops them (a relayer without money) must not stop the log."""
        if self._lane is None:
            return
        try:
            self._watch("acts", self._lane.drain())
        except FuqiError as exc:
            log.warning("worker.act_failed", code=exc.error_code)

    def _watch(self, lane: str, result: StepResult) -> None:
        """Tell a person once when a lane stands at its fee ceiling, and once when it goes on."""
        if result.alarm and lane not in self._capped:
            self._capped.add(lane)
            log.error("worker.fee_ceiling", lane=lane, tx_hash=result.tx_hash)
        elif not result.alarm and lane in self._capped:
            self._capped.remove(lane)
            log.info("worker.fee_ceiling_passed", lane=lane)
