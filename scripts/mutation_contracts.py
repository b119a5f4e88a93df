"""Mutation testing of `contracts/src`: `python scripts/mutation_contracts.py [NAME …] [--sample N] [--jobs N]`.

Everything happens in temporary copies. forge compiles the tests once, linked to our contracts by name
(`dynamic_test_linking`); for each mutant only the contracts that hold the faulty code are compiled, by a
compiler kept warm, and laid over forge's artifacts. A mutant counts as noticed when a test of a file that
imports the mutated one fails. Not counted: mutants that do not compile, mutants whose bytecode is that of the
original, and survivors argued in EQUIVALENT.

With `--python`, what forge does not notice is tried again by the tests in Python that replay whole lives.
"""
# ruff: noqa: INP001  (scripts are no package and speak to a terminal)

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mutation_equivalent import EQUIVALENT
from mutation_solidity import Mutant, Node, mutants

ROOT: Final = Path(__file__).resolve().parent.parent
GOAL: Final = 95
"""Per cent of the counted mutants; issue B, ledger-reference.md I9."""
TIMEOUT_SECONDS: Final = 120
"""The slowest file of tests takes ten seconds; a mutant that loops for ever is noticed by this."""
BUILD_SECONDS: Final = 900
SEED: Final = 9162
FUZZ_RUNS: Final = 64
INVARIANT_RUNS: Final = 6
INVARIANT_DEPTH: Final = 60
"""Fewer than in `make test`, for speed: a score found with few runs is a lower bound."""

_IMPORT: Final = re.compile(r'^import [^;"]*"(\.[^"]+)";', re.MULTILINE)
_TOTALS: Final = re.compile(r"(\d+) tests passed, (\d+) failed, (\d+) skipped")
_INLINE_RUNS: Final = re.compile(
    r"^ */// forge-config: \w+\.(?:invariant|fuzz)\.(?:runs|depth).*$\n", re.MULTILINE
)

# Forge asks the compiler through this. It keeps every request, so that mutants are compiled from the same one,
# and every answer: forge compiles all interfaces anew each time it starts, which takes longer than the tests.
_RECORDER: Final = """#!/usr/bin/env node
const fs = require("fs"), path = require("path"), cp = require("child_process"), crypto = require("crypto");
const real = path.join(__dirname, "solc-real.js"), folder = path.join(__dirname, "..", "requests");
function kept(name, make) {
  const file = path.join(folder, name);
  if (!fs.existsSync(file)) fs.writeFileSync(file, make());
  process.stdout.write(fs.readFileSync(file));
}
fs.mkdirSync(folder, { recursive: true });
if (process.argv.includes("--version")) {
  kept("version.txt", () => cp.execFileSync("node", [real, "--version"]));
} else {
  const input = fs.readFileSync(0);
  const name = crypto.createHash("sha256").update(input).digest("hex");
  fs.writeFileSync(path.join(folder, name + ".request"), input);
  const settings = { input, maxBuffer: 1 << 30, stdio: ["pipe", "pipe", "ignore"] };
  kept(name + ".answer", () => cp.execFileSync("node", [real, "--standard-json"], settings));
}
"""


@dataclass(slots=True)
class Tally:
    """What became of the mutants of one file."""

    killed: int = 0
    by_python: int = 0
    stillborn: int = 0
    same_code: int = 0
    argued: list[Mutant] = field(default_factory=list)
    alive: list[Mutant] = field(default_factory=list)

    @property
    def counted(self) -> int:
        return self.killed + self.by_python + len(self.alive)


class Bench:
    """One copy of the contracts, built, with its own warm compiler."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contracts = folder / "contracts"
        self._copy()
        self._compiler = subprocess.Popen(
            ["node", str(ROOT / "scripts" / "mutation_solc.js"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        done = self._forge("build", timeout=BUILD_SECONDS)
        if not (self.contracts / "out").is_dir():
            sys.exit(done.stdout + done.stderr)
        files = sorted((self.contracts / "requests").glob("*.request"))
        self.requests = [json.loads(path.read_text("utf-8")) for path in files]
        self._originals: dict[Path, str] = {}
        self._stashed: object = None

    def close(self) -> None:
        """End the compiler."""
        self._compiler.terminate()
        self._compiler.wait()

    def _copy(self) -> None:
        ignore = shutil.ignore_patterns("out", "cache", "artifacts", "__pycache__")
        shutil.copytree(ROOT / "contracts", self.contracts, ignore=ignore)
        shutil.copytree(ROOT / "tests" / "golden", self.folder / "tests" / "golden")
        (self.folder / "node_modules").symlink_to(ROOT / "node_modules")
        tools = self.contracts / "tools"
        (tools / "solc.js").rename(tools / "solc-real.js")
        (tools / "solc.js").write_text(_RECORDER, encoding="utf-8")
        (tools / "solc.js").chmod(0o755)
        settings = self.contracts / "foundry.toml"
        text = settings.read_text("utf-8").replace("\n", "\ndynamic_test_linking = true\n", 1)
        text = re.sub(r"(?m)^runs = \d+$", f"runs = {FUZZ_RUNS}", text)
        text = re.sub(r"(?ms)^\[profile\.\w+\.invariant\]\n.*?(?=^\[|\Z)", "", text)
        text += (
            f"\n[profile.default.invariant]\nruns = {INVARIANT_RUNS}\ndepth = {INVARIANT_DEPTH}\n"
        )
        text += "\n[lint]\nlint_on_build = false\n"
        settings.write_text(text, encoding="utf-8")
        for path in (self.contracts / "test").rglob("*.sol"):
            path.write_text(_INLINE_RUNS.sub("", path.read_text("utf-8")), encoding="utf-8")

    def _forge(
        self, *arguments: str, timeout: int = TIMEOUT_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / "node_modules" / ".bin" / "forge", *arguments],
            cwd=self.contracts,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "FOUNDRY_PROFILE": "default"},
        )

    def compile(self, file: str, text: str, wanted: Sequence[str]) -> dict[str, Any] | None:
        """file -> contract -> bytecode objects of every wanted file, or None when it does not compile."""
        found: dict[str, Any] = {}
        for request in self.requests:
            here = [name for name in wanted if _outputs(request, name)]
            if file not in request["sources"] or not here:
                continue
            if request is not self._stashed:
                texts = {name: source["content"] for name, source in request["sources"].items()}
                self._ask({"stash": texts})
                self._stashed = request
            sources = {name: request["sources"][name] for name in here}
            sources[file] = {"content": text}
            output = ["evm.bytecode", "evm.deployedBytecode"]
            settings = {**request["settings"]}
            settings["outputSelection"] = {name: {"*": output} for name in here}
            answer = self._ask({**request, "sources": sources, "settings": settings})
            if any(error["severity"] == "error" for error in answer.get("errors", ())):
                return None
            for name in here:
                found[name] = answer["contracts"].get(name, {})
        return found

    def tree(self, file: str) -> Node:
        """The compiler's syntax tree of a source file."""
        request = next(request for request in self.requests if file in request["sources"])
        settings = {**request["settings"], "outputSelection": {file: {"": ["ast"]}}}
        answer = self._ask({**request, "settings": settings})
        tree: Node = answer["sources"][file]["ast"]
        return tree

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._compiler.stdin is not None
        assert self._compiler.stdout is not None
        self._compiler.stdin.write(json.dumps(request) + "\n")
        self._compiler.stdin.flush()
        answer: dict[str, Any] = json.loads(self._compiler.stdout.readline())
        return answer

    def lay(self, compiled: dict[str, Any]) -> None:
        """Put bytecode over forge's artifacts."""
        for file, contracts in compiled.items():
            for name, output in contracts.items():
                path = self.contracts / "out" / Path(file).name / f"{name}.json"
                if not path.exists():
                    continue
                text = self._originals.setdefault(path, path.read_text("utf-8"))
                artifact = json.loads(text)
                for kind in ("bytecode", "deployedBytecode"):
                    made = output["evm"][kind]
                    artifact[kind]["object"] = "0x" + made["object"]
                    artifact[kind]["linkReferences"] = made["linkReferences"]
                    if "immutableReferences" in made:
                        artifact[kind]["immutableReferences"] = made["immutableReferences"]
                path.write_text(json.dumps(artifact), encoding="utf-8")

    def restore(self) -> None:
        """Forge's own artifacts again."""
        for path, text in self._originals.items():
            path.write_text(text, encoding="utf-8")

    def notices(self, tests: Sequence[str]) -> bool:
        """Whether a test of these files fails with the artifacts as they lie."""
        pattern = tests[0] if len(tests) == 1 else "{" + ",".join(tests) + "}"
        try:
            done = self._forge("test", "--fail-fast", "--match-path", pattern)
        except subprocess.TimeoutExpired:
            return True
        totals = _TOTALS.search(done.stdout)
        if totals is None:
            if "Failing tests" in done.stdout or "FAIL" in done.stdout:
                return True
            sys.exit("forge gave no totals:\n" + done.stdout[-3000:] + done.stderr[-3000:])
        # The npm wrapper of forge exits 0 even when tests fail, so only the closing line is believed.
        return totals[2] != "0"


def _outputs(request: dict[str, Any], file: str) -> bool:
    selected = request["settings"]["outputSelection"].get(file, {})
    return any("evm.bytecode.object" in outputs for outputs in selected.values())


@functools.cache
def imports_of(file: str) -> frozenset[str]:
    """The file and all of ours that it imports, whether directly or not; paths from `contracts/`."""
    base = ROOT / "contracts"
    found = {file}
    for name in _IMPORT.findall((base / file).read_text("utf-8")):
        other = os.path.normpath(os.path.join(os.path.dirname(file), name))  # noqa: PTH118, PTH120
        found |= imports_of(other)
    return frozenset(found)


def all_files(folder: str) -> list[str]:
    """Every Solidity file below contracts/<folder>, by its path from `contracts/`."""
    base = ROOT / "contracts"
    return sorted(path.relative_to(base).as_posix() for path in (base / folder).rglob("*.sol"))


def rebuilt_with(file: str) -> list[str]:
    """Files whose bytecode holds code of `file`: contracts, and the tests that call a library directly."""
    holders = [name for name in all_files("src") if file in imports_of(name)]
    if "/libraries/" in file:
        stem = Path(file).stem
        holders.append(mirror_of(file))
        holders += [name for name in all_files("test") if name.startswith(f"test/edges/{stem}")]
    return holders


def mirror_of(file: str) -> str:
    """The test of a source file."""
    return "test/" + file.removeprefix("src/").removesuffix(".sol") + ".t.sol"


def tests_of(file: str) -> list[str]:
    """The mirroring test first, then every other file of tests that imports the source."""
    mirror = mirror_of(file)
    others = [
        name for name in all_files("test") if name.endswith(".t.sol") and file in imports_of(name)
    ]
    return [mirror, *(name for name in others if name != mirror)]


def alive_in(log: Path) -> set[tuple[str, str, str]]:
    """The survivors that an earlier run's log names."""
    rows = [line.split("\t") for line in log.read_text("utf-8").splitlines()]
    return {(row[1], row[3], row[4]) for row in rows if row[0] == "alive"}


def run_file(
    file: str,
    benches: list[Bench],
    *,
    sample: int | None,
    seed: int,
    log: Path,
    again: Path | None,
) -> Tally:
    """Try every mutant of one source file, or a sample, or those that survived an earlier run."""
    text = (ROOT / "contracts" / file).read_text("utf-8")
    every = mutants(file, text, benches[0].tree(file))
    chosen = every
    if sample is not None and sample < len(every):
        chosen = random.Random(seed).sample(every, sample)  # noqa: S311 (no secret)
    if again is not None:
        survived = alive_in(again)
        chosen = [mutant for mutant in every if mutant.key in survived]
    wanted, tests = rebuilt_with(file), tests_of(file)
    original = benches[0].compile(file, text, wanted)
    assert original is not None
    for bench in benches:
        bench.lay(original)
        if bench.notices(tests):
            sys.exit(f"{file}: its tests fail without any mutation")
    tally = Tally()
    free = list(benches)

    def fate(mutant: Mutant) -> str:
        bench = free.pop()
        try:
            compiled = bench.compile(file, mutant.source, wanted)
            if compiled is None:
                return "stillborn"
            if compiled == original:
                return "same code"
            bench.lay(compiled)
            try:
                noticed = bench.notices(tests[:1]) or (tests[1:] and bench.notices(tests[1:]))
                return "killed" if noticed else "alive"
            finally:
                bench.restore()
        finally:
            free.append(bench)

    started = time.monotonic()
    with ThreadPoolExecutor(len(benches)) as pool, log.open("a", encoding="utf-8") as out:
        for mutant, what in zip(chosen, pool.map(fate, chosen), strict=True):
            out.write(f"{what}\t{mutant.file}\t{mutant.line}\t{mutant.function}\t{mutant.what}\n")
            out.flush()
            if what == "killed":
                tally.killed += 1
            elif what == "stillborn":
                tally.stillborn += 1
            elif what == "same code":
                tally.same_code += 1
            elif mutant.key in EQUIVALENT:
                tally.argued.append(mutant)
            else:
                tally.alive.append(mutant)
    took = time.monotonic() - started
    print(f"{file}: {len(chosen)} of {len(every)} mutants run in {took:.0f} s", flush=True)
    return tally


def show(file: str, tally: Tally) -> None:
    """One line of score, and a line for each survivor."""
    score = 100 * (tally.counted - len(tally.alive)) / tally.counted if tally.counted else 100.0
    print(
        f"{file}: {tally.counted - len(tally.alive)} of {tally.counted} noticed = {score:.1f} % "
        f"({tally.by_python} by Python; not counted: {tally.stillborn} do not compile, {tally.same_code} "
        f"same bytecode, {len(tally.argued)} argued equivalent)"
    )
    for mutant in tally.alive:
        print(f"  SURVIVED line {mutant.line} {mutant.function}: {mutant.what}", flush=True)


def make_benches(folder: Path, jobs: int) -> Iterator[Bench]:
    """So many copies, ready."""
    for job in range(jobs):
        yield Bench(folder / str(job))


def main() -> int:
    """Print a score for each file and in all."""
    parser = argparse.ArgumentParser(description="mutation score of contracts/src")
    parser.add_argument("names", nargs="*", help="source files, as `Rulings` or `libraries/Keys`")
    parser.add_argument("--sample", type=int, help="so many mutants of each file, by a fixed seed")
    parser.add_argument("--seed", type=int, default=SEED, help="which sample")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--again", type=Path, help="only the survivors in this log of an earlier run"
    )
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "mutation.log")
    options = parser.parse_args()
    files = [f"src/{name}.sol" for name in options.names]
    files = files or [name for name in all_files("src") if "/interfaces/" not in name]
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory(prefix="fuqi-mutation-") as name:
        benches = list(make_benches(Path(name), options.jobs))
        try:
            for file in files:
                tallies[file] = run_file(
                    file,
                    benches,
                    sample=options.sample,
                    seed=options.seed,
                    log=options.log,
                    again=options.again,
                )
                show(file, tallies[file])
        finally:
            for bench in benches:
                bench.close()
    counted = sum(tally.counted for tally in tallies.values())
    alive = sum(len(tally.alive) for tally in tallies.values())
    score = 100 * (counted - alive) / counted if counted else 100.0
    print(f"all: {counted - alive} of {counted} mutants noticed = {score:.1f} %")
    return 0 if score >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
