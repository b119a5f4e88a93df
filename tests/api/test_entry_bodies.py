"""What the flows write into private bodies is what `ledger/entry_types.py` says; a round's act on the chain."""

import json
import re

import pytest
from sqlalchemy import select

from api.flows.round_records import load_document
from api.round_table import inputs_of
from api.testing import populate
from api.worker import settle
from ledger.embedded_chain import EmbeddedChain
from ledger.entry_types import ENTRY_TYPES
from ledger.queries import acts as queries
from ledger.store import transaction
from ledger.tables.log import EntryRow
from ledger.tables.supply import RoundRow
from matching.problem import problem_from_json

PER_TYPE = 30


@pytest.fixture(scope="module")
def populated(world, clock):
    """A whole matched and signed round."""
    return populate(world.app.state.shell.ports, at=clock.at)


@pytest.fixture(scope="module")
def bodies(world, populated):
    """Field names of every body, by type."""
    ports = world.app.state.shell.ports
    found = {}
    with transaction(ports.readers) as session:
        for kind in session.scalars(select(EntryRow.type).distinct()).all():
            ids = session.scalars(
                select(EntryRow.id).where(EntryRow.type == kind).limit(PER_TYPE)
            ).all()
            found[kind] = [set(ports.vault.get(session, one).body) for one in ids]
    return found


def documented(kind):
    """Names in `ENTRY_TYPES`, without what stands in brackets."""
    text = re.sub(r"\([^)]*\)", "", ENTRY_TYPES[kind])
    return {name.strip() for name in text.split(",")}


def test_every_field_that_is_written_is_documented(bodies):
    undocumented = {
        kind: sorted(set().union(*fields) - documented(kind)) for kind, fields in bodies.items()
    }
    assert {kind: names for kind, names in undocumented.items() if names} == {}
    assert len(bodies) >= 18


def test_every_documented_field_of_those_types_is_written(bodies):
    absent = {
        kind: sorted(documented(kind) - set().union(*fields)) for kind, fields in bodies.items()
    }
    assert {kind: names for kind, names in absent.items() if names} == {}


def test_a_round_commits_itself_on_the_chain_where_everyone_may_see_it(world, populated, clock):
    ports = world.app.state.shell.ports
    with transaction(ports.readers) as session:
        opened = session.get_one(RoundRow, populated.round_id)
        (act,) = queries.acts_of(session, opened.id, limit=10)
    assert (act.contract, act.call, act.state) == ("Rounds", "open", "queued")
    with transaction(ports.readers) as session:
        problem = problem_from_json(load_document(session, opened.id, "problem"))
    assert json.loads(act.payload)["inputs_root"] == inputs_of(problem).root
    assert act.queued_at == opened.opened_at
    chain = EmbeddedChain(ports.settings.home / "chain", clock=lambda: clock().timestamp())
    settle(ports, chain, clock=clock)
    chain.close()
    client = world.client("donor")
    shown = client.get("/api/v1/acts", params={"subject": opened.id}).json()
    assert (shown[0]["id"], shown[0]["state"]) == (act.id, "final")
    chain = client.get(f"/api/v1/rounds/{opened.id}").json()["chain"]
    assert chain["acts"][0]["call"] == "open"
    # What the chain took after it depends on the round: a proof, a posting, or nothing where it has a gap.
    assert chain["state"] in ("proven", "posted", "posting", "proving", "withheld")
    file = client.get(f"/api/v1/rounds/{opened.id}/chain").json()
    assert (file["v"], file["round"]) == ("fuqi/round-chain/v1", opened.id)
    assert file["receipts"][0]["private"]["body"]["call"] == "open"
    assert client.get(f"/api/v1/acts/{act.id}").json()["tx_hash"].startswith("0x")
    receipt = client.get(f"/api/v1/entries/{shown[0]['entry_id']}/receipt").json()
    assert receipt["private"]["body"]["tx_hash"] == shown[0]["tx_hash"]
    hidden = client.get("/api/v1/acts", params={"subject": world.hospital.organisation_id})
    assert hidden.status_code == 404
