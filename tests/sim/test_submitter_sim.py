"""Log and submitter under seeded faults; `make sim` runs ten thousand seeds, this file a few hundred.

A seed that once broke a promise stays in `BROKEN_ONCE` with what was wrong.
"""

from __future__ import annotations

import inspect
import textwrap
from collections import Counter

import pytest
import typer
from typer.testing import CliRunner

from api.commands.sim import sim
from ledger import simulation, submitter
from ledger.queries import log as log_queries
from ledger.simulation import PromiseBrokenError, Simulator
from ledger.store import transaction
from ledger.submitter import StepAction, StepResult, Submitter
from ledger.tables.anchors import AnchorRow
from ledger.tree import Tree

SEEDS = 300
PARTS = 6
BROKEN_ONCE: dict[int, str] = {
    5702: "a checkpoint signed again at a node that was behind counted as settled; a nonce gap for ever",
}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    made = Simulator(tmp_path_factory.mktemp("sim"))
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_promise_holds_after_every_step_of_many_histories(simulator, part):
    counts: Counter[str] = Counter()
    for seed in range(part * SEEDS // PARTS, (part + 1) * SEEDS // PARTS):
        outcome = simulator.run(seed)
        counts.update(outcome.counts)
        counts["entries.final"] += outcome.entries
    # The faults did happen: a simulation without them would prove nothing.
    never = [fault for fault in simulation.FAULTS if not counts[fault]]
    assert never == []
    for answer in ("step.replaced", "step.lost", "step.capped", "step.final"):
        assert counts[answer] > 0, answer
    assert set(simulation.FAULTS) == {name for name in counts if name.startswith("fault.")}
    assert counts["entries.final"] == counts["entries.made"] > 100


def test_a_process_that_dies_at_any_write_breaks_no_promise(simulator):
    counts = simulator.run_dying_everywhere(0, steps=60)
    died = counts["fault.killed_before_commit"], counts["fault.killed_after_commit"]
    # Each write once before it and once after it, and no other fault.
    assert min(died) > 10
    assert abs(died[0] - died[1]) <= 1
    assert {name for name in counts if name.startswith("fault.")} == {
        "fault.killed_before_commit",
        "fault.killed_after_commit",
    }


def test_a_seed_that_broke_a_promise_once_breaks_it_no_more(simulator):
    for seed in BROKEN_ONCE:
        simulator.run(seed)


def test_the_same_seed_has_the_same_history(simulator):
    assert simulator.run(7).counts == simulator.run(7).counts
    assert simulator.run(7).counts != simulator.run(8).counts


# ------------------------------------------------------------------ the simulation finds what is wrong
def finds(simulator, what, seeds=range(200)):
    for seed in seeds:
        try:
            simulator.run(seed)
        except PromiseBrokenError as exc:
            said = str(exc)
            break
    else:
        pytest.fail("the fault was not found")
    assert said.startswith(f"seed {seed}, step ")
    assert what in said


def patched(method, old, new):
    """The method with one line of its source changed."""
    source = textwrap.dedent(inspect.getsource(method))
    assert old in source
    names = dict(vars(submitter))
    exec(source.replace(old, new), names)
    return names[method.__name__]


def test_it_finds_an_entry_that_is_journaled_twice(simulator, monkeypatch):
    kept = simulation.record_many

    def renamed(session, vault, entries):
        made = [simulation.NewEntry(simulation.derived_id("ent", at=simulation.START, seed=str(id(e))),
                e.type, e.at, e.subject, e.actor, e.body) for e in entries]  # fmt: skip
        return kept(session, vault, made)

    monkeypatch.setattr(simulation, "record_many", renamed)
    finds(simulator, "an acknowledged entry is lost")


def test_it_finds_a_sequencer_that_overtakes(simulator, monkeypatch):
    kept = Tree.extended

    def backwards(self, leaves):
        return kept(self, leaves[::-1])

    monkeypatch.setattr(Tree, "extended", backwards)
    finds(simulator, "the checkpoint is of another tree")


def test_it_finds_a_sequencer_that_skips_an_entry(simulator, monkeypatch):
    kept = log_queries.unsequenced
    monkeypatch.setattr(
        log_queries, "unsequenced", lambda session, **named: kept(session, **named)[1:]
    )
    finds(simulator, "a gap in the journal")


def test_it_finds_an_anchor_called_final_too_early(simulator, monkeypatch):
    def hasty(self, anchor):
        with transaction(self._sessions) as session:
            session.get_one(AnchorRow, anchor.id).state = "final"
        return StepResult(StepAction.FINAL, anchor.checkpoint_size, anchor.tx_hash)

    monkeypatch.setattr(Submitter, "_finalise", hasty)
    finds(simulator, "a final anchor is not on the chain")


def test_it_finds_a_submitter_without_a_ceiling(simulator, monkeypatch):
    changed = patched(Submitter._push, "fees.max_fee > self._fee_ceiling_wei", "False")
    monkeypatch.setattr(Submitter, "_push", changed)
    finds(simulator, "above the ceiling")


def test_it_finds_a_transaction_sent_before_it_is_durable(simulator, monkeypatch):
    sign = simulation._SimChain.sign_append

    def eager(self, **named):
        signed = sign(self, **named)
        self.sent.append(signed.raw)
        return signed

    monkeypatch.setattr(simulation._SimChain, "sign_append", eager)
    finds(simulator, "sent before it was durable")


# ------------------------------------------------------------------ the command
def command(*arguments):
    app = typer.Typer()
    app.command()(sim)
    return CliRunner().invoke(app, list(arguments))


def test_the_command_runs_one_seed_or_many(monkeypatch):
    one = command("--seed", "3", "--steps", "10")
    assert one.exit_code == 0, one.output
    assert "0 of 1 seeds broke a promise" in one.output
    many = command("--seeds", "4", "--start", "10", "--steps", "5", "--jobs", "2")
    assert "0 of 4 seeds broke a promise" in many.output
    assert many.exit_code == 0, many.output


def test_the_command_names_a_broken_seed(monkeypatch):
    monkeypatch.setattr(simulation.World, "_is_settled", lambda self: False)
    result = command("--seed", "3", "--steps", "5")
    assert result.exit_code == 1
    assert "broken seed 3" in result.output
