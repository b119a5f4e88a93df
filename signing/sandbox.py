"""Work on files from outside in processes of their own that can be stopped.

A file can be made to keep a parser busy for hours, to swell in memory or to crash it. So the parsers run
in a few warm child processes with limits on time, processor, memory and files; a child that goes beyond
them is killed and replaced, and the caller gets `SandboxError` with a stable reason. What a child returns
is read as JSON and nothing else: a child taken over by a file can lie about that file, not run code here.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import queue
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from ledger.core import errors
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError, UnavailableError

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""An answer is a report; those on bundles of a hundred documents have some hundred kilobytes."""
PIPE_BYTES: Final = 1024 * 1024
"""A usual file goes over at once, not in sixteen turns of parent and child."""
START_SECONDS_MAX: Final = 120
"""A child imports and warms up in a second; a machine under load takes longer."""
LENGTH: Final = struct.Struct(">Q")


class SandboxError(UnavailableError):
    """The child was stopped; `error_code` is `sandbox.time_limit`, `.memory_limit` or `.stopped`."""

    code = "sandbox.stopped"


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one piece of work may use.

    Attributes:
        seconds: wall time; ordinary files take less than one second.
        cpu_seconds: processor time, beyond which the kernel stops the child.
        memory_bytes: address space of a child: 100 MB are examined within half of it.
        files: open files.
        work_max: pieces of work after which a child is replaced, so that nothing accumulates.
        resident_bytes_max: a child that has grown beyond this is replaced.
        wait_seconds: for a free child.
    """

    seconds: int = 60
    cpu_seconds: int = 60
    memory_bytes: int = 2 * 1024 * 1024 * 1024
    files: int = 64
    work_max: int = 500
    resident_bytes_max: int = 768 * 1024 * 1024
    wait_seconds: int = 20


class Sandbox:
    """A few children that do one kind of work each at a time; safe between threads.

    Args:
        work: name -> `module:function` that takes options and bytes and returns JSON.
        workers: children at once: each holds a core and the file in memory.
    """

    def __init__(
        self, work: Mapping[str, str], *, workers: int, limits: SandboxLimits | None = None
    ) -> None:
        self._work = dict(work)
        self.limits = limits or SandboxLimits()
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _slot in range(workers):
            self._free.put(None)
        self._workers = workers
        self._alive: weakref.WeakSet[_Child] = weakref.WeakSet()
        atexit.register(_close_all, self._alive)

    def run(self, name: str, options: Mapping[str, Json], data: bytes) -> Any:
        """Do one piece of work.

        Raises:
            SandboxError: `sandbox.time_limit`, `sandbox.memory_limit`, `sandbox.stopped`.
            UnavailableError: `sandbox.busy`, `sandbox.not_started`.
            FuqiError: whatever the work raised of our own errors.
        """
        with self._child() as child:
            answer = child.ask(name, options, data)
        if "error" in answer:
            raise _error(answer["error"])
        return answer["result"]

    def warm(self) -> None:
        """Start every child now, so that the first caller does not wait."""
        slots = [self._free.get() for _slot in range(self._workers)]
        while slots:
            try:
                started = self._started(slots[-1])
            except UnavailableError:
                # Their places go back, or nobody would ever find one free; whoever needs a child is told.
                for slot in slots:
                    self._free.put(slot)
                return
            slots.pop()
            self._free.put(started)

    def close(self) -> None:
        """Stop all children."""
        _close_all(self._alive)

    @contextlib.contextmanager
    def _child(self) -> Iterator[_Child]:
        try:
            slot = self._free.get(timeout=self.limits.wait_seconds)
        except queue.Empty:
            raise UnavailableError(
                "too many files are being examined; try again", code="sandbox.busy"
            ) from None
        kept: _Child | None = None
        try:
            child = self._started(slot)
            yield child
            kept = child if child.usable(self.limits) else None
            if kept is None:
                child.stop()
        finally:
            self._free.put(kept)

    def _started(self, slot: _Child | None) -> _Child:
        if slot is not None and slot.running():
            return slot
        try:
            child = _Child(self._work, self.limits)
        except (SandboxError, OSError) as exc:
            # No file was read yet: whoever sent one must not be told that it is at fault.
            raise UnavailableError(
                "the process that examines files does not start: ask the operator",
                code="sandbox.not_started",
            ) from exc
        self._alive.add(child)
        return child


class _Child:
    """One child process and the pipe to it."""

    def __init__(self, work: Mapping[str, str], limits: SandboxLimits) -> None:
        self._limits = limits
        self._done = 0
        self._resident = 0
        self._late = False
        # Nothing of ours that is secret stands in the environment of a process that reads strangers' files.
        kept = {k: v for k, v in os.environ.items() if k in _ENVIRONMENT}
        arguments = json.dumps({"work": dict(work), "limits": asdict(limits)})
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "signing.sandbox_worker", arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        pipe = self._process.stdin
        assert pipe is not None
        # A wish: where the kernel does not grant it, the pipe stays small and slower.
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        with self._deadline(START_SECONDS_MAX):
            self._read()

    def ask(self, name: str, options: Mapping[str, Json], data: bytes) -> dict[str, Any]:
        """Send one piece of work and wait for its answer."""
        head = json.dumps({"name": name, "options": options}).encode("utf-8")
        with self._deadline(self._limits.seconds):
            pipe = self._process.stdin
            assert pipe is not None
            try:
                for part in (LENGTH.pack(len(head)), head, LENGTH.pack(len(data)), data):
                    pipe.write(part)
                pipe.flush()
            except OSError:
                raise self._stopped() from None
            answer = self._read()
        self._done += 1
        self._resident = int(answer.get("resident", 0))
        return answer

    def usable(self, limits: SandboxLimits) -> bool:
        """Whether it may do another piece of work."""
        return (
            self.running()
            and self._done < limits.work_max
            and self._resident < limits.resident_bytes_max
        )

    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Kill it and wait, so that no zombie stays."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()

    @contextlib.contextmanager
    def _deadline(self, seconds: int) -> Iterator[None]:
        timer = threading.Timer(seconds, self._kill_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        except BaseException:
            self.stop()
            raise
        finally:
            timer.cancel()

    def _kill_late(self) -> None:
        self._late = True
        self._process.kill()

    def _read(self) -> dict[str, Any]:
        pipe = self._process.stdout
        assert pipe is not None
        head = pipe.read(LENGTH.size)
        size = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else ANSWER_BYTES_MAX + 1
        body = pipe.read(size) if size <= ANSWER_BYTES_MAX else b""
        if not body or len(body) != size:
            raise self._stopped()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not {"error", "result", "ready"} & answer.keys():
            raise self._stopped()
        return answer

    def _stopped(self) -> SandboxError:
        self._process.kill()
        status = self._process.wait()
        if self._late or status in _OVER_TIME:
            return SandboxError(
                "the file takes longer to examine than the limit", code="sandbox.time_limit"
            )
        return SandboxError(
            "the process that examined the file stopped", code="sandbox.stopped", status=status
        )


_ENVIRONMENT: Final = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"})
_OVER_TIME: Final = frozenset({-24, 128 + 24})
"""SIGXCPU, as the kernel and as a shell report it."""


def _close_all(children: weakref.WeakSet[_Child]) -> None:
    for child in list(children):
        child.stop()


def _error(fact: Mapping[str, Any]) -> FuqiError:
    """The error that the child raised, of a class of ours or of the base."""
    kind = getattr(errors, str(fact.get("class")), None)
    if str(fact.get("class")) == "SandboxError":
        kind = SandboxError
    if not (isinstance(kind, type) and issubclass(kind, FuqiError)):
        kind = FuqiError
    context = {str(k): v for k, v in dict(fact.get("context") or {}).items() if k != "code"}
    return kind(str(fact.get("message")), code=str(fact.get("code")), **context)
