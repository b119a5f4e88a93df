"""An agreement is promoted: the chain checks the very signatures that stand in the PDF."""

import json
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.callers import Caller, Role
from api.compose import open_lane
from api.flows import promoting
from api.flows.registration import register
from api.settings import Settings
from api.testing import caller_of, invented_registration, sign_agreement
from api.worker import settle
from contracts import seals_abi
from ledger.acts_outbox import NewAct, queue
from ledger.core.errors import ConflictError, NotFoundError, UnavailableError
from ledger.core.ids import new_id
from ledger.embedded_chain import EmbeddedChain
from ledger.queries import acts as act_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from ledger.tables.log import EntryRow

ORIGIN = "http://testserver"


@pytest.fixture(scope="module")
def stage(tmp_path_factory, clock):
    """An installation with its chain, two organisations and an agreement that both have signed."""
    home = tmp_path_factory.mktemp("promotion")
    app = create_app(Settings(home=home, public_url=ORIGIN, demo=True), clock=clock)
    with TestClient(app):
        ports = app.state.shell.ports
        chain = EmbeddedChain(home / "chain", clock=seconds_of(clock))
        sides = tuple(
            register(ports, invented_registration(name, kind, at=clock.at), at=clock.at)
            for name, kind in (("giver", "donor"), ("taker", "hospital"))
        )
        agreement = sign_agreement(ports, sides, allocation_id=None, at=clock.at)
        yield ports, chain, sides, agreement
        chain.close()


def seconds_of(clock):
    """The chain's clock goes with the world's, which tests move by hand."""

    def seconds():
        return clock.at.timestamp()

    return seconds


def promote(ports, caller, agreement, clock):
    with transaction(ports.sessions) as session:
        return promoting.promote_agreement(session, ports, caller, agreement, at=clock.at)


def run(ports, chain, clock):
    settle(ports, chain, clock=clock)


def acts(ports, subject):
    with transaction(ports.readers) as session:
        return act_queries.acts_of(session, subject, limit=100)


def ask(ports, chain, contract, data):
    with transaction(ports.readers) as session:
        row = act_queries.contracts_on(session, chain.info().chain_id)[contract]
    return chain.ask(bytes.fromhex(row.address[2:]), data).data


def code_of(error, action, *arguments):
    with pytest.raises(error) as caught:
        action(*arguments)
    return caught.value.error_code


def test_before_the_contracts_stand_it_says_that_the_worker_makes_them(stage, clock):
    ports, _, sides, agreement = stage
    caller = caller_of(sides[0])
    assert (
        code_of(UnavailableError, promote, ports, caller, agreement, clock) == "promote.not_ready"
    )


def test_one_party_alone_makes_it_a_record_that_the_chain_has_verified(stage, clock):
    ports, chain, sides, agreement = stage
    run(ports, chain, clock)
    queued = promote(ports, caller_of(sides[1]), agreement, clock)
    assert [(row.call, row.state) for row in queued] == [
        ("register", "queued"),
        ("register", "queued"),
        ("promote", "queued"),
    ]
    run(ports, chain, clock)
    (done,) = [row for row in acts(ports, agreement) if row.call == "promote"]
    assert (done.state, done.reason) == ("final", None)
    payload = json.loads(done.payload)
    with transaction(ports.readers) as session:
        entry = session.get_one(EntryRow, payload["entry"])
        body = ports.vault.get(session, entry.id).body
        confirmed = session.get_one(EntryRow, done.entry_id)
    assert (entry.type, entry.subject) == ("agreement.promised", agreement)
    assert set(body) == {"doc", "parties_root", "prev"}
    assert confirmed.type == "act.confirmed"
    seal = ask(ports, chain, "Seals", seals_abi.SEAL_OF_LEAF + bytes.fromhex(entry.leaf))
    record = seals_abi.decode_record(ask(ports, chain, "Seals", seals_abi.RECORD_OF + seal))
    assert record.parties == 2
    assert record.assurance == max(1, min(side.organisation.level for side in sides))
    assert record.time == int(clock.at.timestamp())


def test_asking_again_answers_the_same_act_and_sends_nothing(stage, clock):
    ports, _, sides, agreement = stage
    before = acts(ports, agreement)
    again = promote(ports, caller_of(sides[0]), agreement, clock)
    assert [row.id for row in again] == [before[-1].id]
    assert len(acts(ports, agreement)) == len(before)


def test_an_altered_signature_is_refused_by_the_chain_in_its_own_words(stage, clock):
    ports, chain, _, agreement = stage
    (done,) = [row for row in acts(ports, agreement) if row.call == "promote"]
    payload = json.loads(done.payload)
    # Another leaf, so that "it has happened already" cannot hide the refusal.
    payload.pop("leaf")
    signature = bytearray.fromhex(payload["parties"][0]["signature"])
    signature[5] ^= 1
    payload["parties"][0]["signature"] = bytes(signature).hex()
    act = NewAct(new_id("act", at=clock.at), "Seals", "promote", agreement, payload, "system")
    with transaction(ports.sessions) as session:
        queue(session, act, at=clock.at)
    run(ports, chain, clock)
    (refused,) = [row for row in acts(ports, agreement) if row.id == act.id]
    assert refused.state == "refused"
    assert refused.reason.startswith("SealsBadSignature(")


def test_strangers_the_unformed_and_the_switched_off_are_refused(stage, clock):
    ports, _, sides, agreement = stage
    stranger = register(ports, invented_registration("stranger", "donor", at=clock.at), at=clock.at)
    caller = caller_of(stranger)
    assert code_of(NotFoundError, promote, ports, caller, agreement, clock) == "not_found"
    with transaction(ports.sessions) as session:
        row = session.get_one(AgreementRow, agreement)
        formed, row.formed_at = row.formed_at, None
    owner = caller_of(sides[0])
    assert code_of(ConflictError, promote, ports, owner, agreement, clock) == "promote.not_formed"
    with transaction(ports.sessions) as session:
        session.get_one(AgreementRow, agreement).formed_at = formed
    arbitrator = Caller("acc_x", None, None, frozenset({Role.ARBITRATOR}))
    with pytest.raises(Exception, match=r"auth\.role"):
        promote(ports, arbitrator, agreement, clock)


def test_switched_off_nothing_is_queued_and_no_key_is_made(stage, clock, tmp_path):
    ports, chain, sides, agreement = stage
    off = ports.settings.model_copy(update={"acts": False, "home": tmp_path})
    silent = replace(ports, settings=off)
    code = code_of(ConflictError, promote, silent, caller_of(sides[0]), agreement, clock)
    assert code == "promote.off"
    assert open_lane(silent, chain, clock=clock) is None
    assert not (tmp_path / "keys").exists()
