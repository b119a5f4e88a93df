"""Fuzzing of everything that reads files from outside: `python scripts/fuzz.py --seconds 600 --seed 7`.

Honest inputs are made by throwaway authorities, changed by `signing.testing_fuzz` and handed to each entry
point in a child process. A finding is: an exception that is not ours, or any at all where the contract is a
report; a changed file that passes; a changed answer that is believed; more than CASE_SECONDS_MAX for one input,
MEMORY_BYTES_MAX of memory, or the death of the child. Each finding is kept with its input under --out
(default var/fuzz), so `--replay FILE` repeats it; exit 1 when there is one.

A case is (target, number): the same seed gives the same mutations, on fresh keys. `--engine atheris --target T`
drives one target by coverage with atheris (pip install atheris) and the same mutations.
"""
# ruff: noqa: INP001, S311  (scripts are no package and speak to a terminal; the seed is meant)

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent))

COVERED: Final = ["signing", "asn1crypto"]
"""Packages in which atheris sees which way an input took; all of them would take minutes to start."""
ATHERIS: Final[Any] = __import__("atheris") if "atheris" in sys.argv else None

with ATHERIS.instrument_imports(include=COVERED) if ATHERIS else contextlib.nullcontext():
    from fuzz_targets import ROOT, Finding, Target, World, targets_of

    from ledger.core.errors import FuqiError
    from signing.testing_fuzz import mutate

CASE_SECONDS_MAX: Final = 20
"""One input; a file of this size is examined in a tenth of a second, and other work shares the machine."""
MEMORY_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
"""Address space of the child, as in `signing.sandbox`."""
FINDINGS_MAX: Final = 50
"""Different findings of one run; a fault shows itself in thousands of inputs."""
CHILD_CASES_MAX: Final = 20_000
"""Inputs after which a child is replaced, so that what libraries keep does not count as a leak."""


class Board:
    """What the child is doing, in memory that both see: it may die at any moment."""

    _SHAPE: Final = struct.Struct("=iqd")

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, self._SHAPE.size)

    def write(self, target: int, number: int) -> None:
        self._map.seek(0)
        self._map.write(self._SHAPE.pack(target, number, time.monotonic()))

    def read(self) -> tuple[int, int, float]:
        self._map.seek(0)
        target, number, since = self._SHAPE.unpack(self._map.read(self._SHAPE.size))
        return int(target), int(number), float(since)


@dataclass
class Campaign:
    """One run over some targets."""

    targets: Mapping[str, Target]
    seed: int
    out: Path
    until: float

    def input_of(self, name: str, number: int) -> bytes:
        """The input of a case; number 0 and on are the seeds as they are."""
        target = self.targets[name]
        if number < len(target.seeds):
            return target.seeds[number]
        rng = random.Random(f"{self.seed}/{name}/{number}")
        return mutate(rng.choice(target.seeds), rng, kind=target.kind, others=target.seeds)

    def child(self, board: Board, start: Mapping[str, int]) -> None:
        """Work until the time is over; what is found is written to files."""
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        numbers, spent = dict(start), dict.fromkeys(self.targets, 0.0)
        names = list(self.targets)
        for _case in range(CHILD_CASES_MAX):
            if time.monotonic() > self.until:
                break
            name = min(names, key=lambda one: spent[one] / self.targets[one].share)
            number, numbers[name] = numbers[name], numbers[name] + 1
            data = self.input_of(name, number)
            board.write(names.index(name), number)
            began = time.monotonic()
            fault = fault_of(
                self.targets[name], data, honest=number < len(self.targets[name].seeds)
            )
            spent[name] += max(time.monotonic() - began, 0.0005)
            if fault:
                self.keep(name, number, data, fault)
        (self.out / "progress.json").write_text(json.dumps(numbers))

    def keep(self, name: str, number: int, data: bytes, fault: str) -> None:
        """Write a finding once for each place in the source at which it arises."""
        key = hashlib.sha256(f"{name}/{fault.splitlines()[0]}".encode()).hexdigest()[:12]
        place = self.out / f"{name}-{key}"
        if place.with_suffix(".txt").exists() or len(list(self.out.glob("*.bin"))) >= FINDINGS_MAX:
            return
        place.with_suffix(".bin").write_bytes(data)
        place.with_suffix(".txt").write_text(f"{name} case {number} seed {self.seed}\n{fault}\n")

    def run(self) -> dict[str, int]:
        """Children one after the other until the time is over; cases by target."""
        numbers = dict.fromkeys(self.targets, 0)
        names = list(self.targets)
        while time.monotonic() < self.until:
            board = Board()
            board.write(0, 0)
            (self.out / "progress.json").unlink(missing_ok=True)
            pid = os.fork()
            if pid == 0:
                self._in_child(board, numbers)
            status = self._watch(pid, board)
            index, number, _since = board.read()
            progress = self.out / "progress.json"
            if status == 0 and progress.exists():
                numbers = json.loads(progress.read_text())
                continue
            fault = "hang" if status < 0 else f"the child died (status {status})"
            self.keep(names[index], number, self.input_of(names[index], number), fault)
            # Where the others stood died with the child: they go on from further numbers.
            numbers = {name: count + CHILD_CASES_MAX for name, count in numbers.items()}
        return numbers

    def _in_child(self, board: Board, numbers: Mapping[str, int]) -> None:
        code = 1
        try:
            self.child(board, numbers)
            code = 0
        except BaseException:  # noqa: BLE001 - a fault of the fuzzer itself: said, and the child ends
            traceback.print_exc()
        finally:
            os._exit(code)

    def _watch(self, pid: int, board: Board) -> int:
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return status
            if time.monotonic() - board.read()[2] > CASE_SECONDS_MAX:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return -1
            time.sleep(0.05)


def fault_of(target: Target, data: bytes, *, honest: bool = False) -> str:
    """What is wrong with how the entry point took this input; "" where nothing is."""
    try:
        target.run(data)
    except FuqiError as exc:
        if not target.refuses:
            return f"an error where a report is the contract: {exc.error_code}\n{_trace()}"
        return "" if "." in exc.error_code else f"an error without a stable code\n{_trace()}"
    except Finding as exc:
        return "" if honest else f"{exc}"
    except BaseException as exc:  # noqa: BLE001 - exactly what is looked for
        return f"{type(exc).__name__} in {_place(exc)}\n{_trace()}"
    return ""


def _place(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    own = [
        one
        for one in frames
        if "/site-packages/" not in one.filename and "fuzz" not in one.filename
    ]
    last = (own or frames)[-1]
    return f"{Path(last.filename).name}:{last.name}"


def _trace() -> str:
    return traceback.format_exc(limit=-12)


def _atheris(target: Target, *, seconds: int) -> int:
    """Drive one target by coverage; the process ends with the run or at the first finding."""

    def once(data: bytes) -> None:
        fault = fault_of(target, data)
        if fault:
            raise AssertionError(fault)

    def changed(data: bytes, size_max: int, seed: int) -> bytes:
        rng = random.Random(seed)
        base = data if len(data) > 1 else rng.choice(target.seeds)
        return mutate(base, rng, kind=target.kind, others=target.seeds)[:size_max]

    with tempfile.TemporaryDirectory(prefix="fuqi-fuzz-") as corpus:
        for number, data in enumerate(target.seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(data)
        longest = max(len(data) for data in target.seeds) * 2
        limits = (f"-timeout={CASE_SECONDS_MAX}", f"-max_total_time={seconds}")
        arguments = [sys.argv[0], f"-max_len={longest}", *limits, corpus]
        ATHERIS.Setup(arguments, once, custom_mutator=changed)
        ATHERIS.Fuzz()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print one line for each target and each finding; 0 where nothing was found."""
    parser = argparse.ArgumentParser(description="fuzz everything that reads files from outside")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", default=[], help="only these; see --list")
    parser.add_argument("--out", type=Path, default=ROOT / "var" / "fuzz")
    parser.add_argument("--replay", type=Path, help="run one kept input (with one --target)")
    parser.add_argument("--engine", choices=("seeded", "atheris"), default="seeded")
    parser.add_argument("--own", action="store_true", help="without the files of ../shared")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fuqi-fuzz-") as folder:
        every = targets_of(World(Path(folder), shared=not options.own))
        if options.list:
            print("\n".join(every))
            return 0
        unknown = sorted(set(options.target) - every.keys())
        if unknown or (
            (options.replay or options.engine == "atheris") and len(options.target) != 1
        ):
            parser.error(f"name one or more of: {', '.join(every)}")
        chosen = {name: one for name, one in every.items() if name in (options.target or every)}
        if options.replay:
            fault = fault_of(chosen[options.target[0]], options.replay.read_bytes())
            print(fault or "nothing found")
            return int(bool(fault))
        if options.engine == "atheris":
            return _atheris(chosen[options.target[0]], seconds=options.seconds)
        options.out.mkdir(parents=True, exist_ok=True)
        for old in (*options.out.glob("*.bin"), *options.out.glob("*.txt")):
            old.unlink()
        until = time.monotonic() + options.seconds
        campaign = Campaign(chosen, options.seed, options.out, until)
        counts = campaign.run()
        for name in chosen:
            print(f"{name:20} {counts[name]:>9} inputs")
        found = sorted(options.out.glob("*.txt"))
        for place in found:
            print(f"\n{place}\n{place.read_text()}")
        print(f"{len(found)} findings, seed {options.seed}, {options.seconds} seconds")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
