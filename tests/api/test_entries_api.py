"""Outside systems record entries over HTTP: once, whatever they send twice, and nothing that is not theirs."""

import json
from base64 import b64decode
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.callers import Role
from api.edge import ENTRIES_BYTES_MAX
from api.flows.access import create_account
from api.flows.entries import BATCH_MAX, FIELDS_MAX
from api.limits import RATES, Rate
from api.settings import Settings
from api.testing import PASSWORD
from api.worker import sequence_all
from ledger.core import merkle
from ledger.core.canonical import commitment
from ledger.core.errors import InputError
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.log import EntryRow

ORIGIN = "http://testserver"


def add_system(world, tenant, login):
    """An outside system's account of this organisation, logged in."""
    with transaction(world.app.state.shell.ports.sessions) as session:
        create_account(
            session,
            account_id=new_id("acc", at=world.clock.at),
            login=login,
            password=PASSWORD,
            roles=frozenset({Role.INTEGRATION}),
            person_id=None,
            organisation_id=tenant.organisation_id,
            invented=True,
            at=world.clock.at,
        )
    return world.client(login)


@pytest.fixture(scope="module")
def system(world):
    return add_system(world, world.donor, "donor-system")


@pytest.fixture(scope="module")
def stranger(world):
    return add_system(world, world.hospital, "hospital-system")


@pytest.fixture
def entry(clock):
    return {
        "id": new_id("ent", at=clock.at),
        "subject": new_id("ext", at=clock.at),
        "kind": "lot.checked",
        "happened_at": "2026-11-22T04:00:00Z",
        "data": {"lot": "虚构-1", "temperature_tenth": 45, "passed": True},
    }


def test_a_new_entry_answers_201_with_a_receipt_that_opens_its_commitment(system, entry):
    answer = system.post("/api/v1/entries", json=entry)
    assert answer.status_code == 201
    receipt = answer.json()
    assert (receipt["v"], receipt["state"]) == ("fuqi/receipt/v1", "journaled")
    stored = json.loads(b64decode(receipt["entry"]["bytes"]))
    assert (stored["type"], stored["subject"]) == ("external.recorded", entry["subject"])
    private = receipt["private"]
    promised = commitment(bytes.fromhex(private["salt"]), private["body"]).hex()
    assert stored["commitments"] == {"body": promised}
    assert private["body"]["data.lot"] == "虚构-1"
    assert "虚构" not in b64decode(receipt["entry"]["bytes"]).decode()


def test_the_same_entry_again_answers_200_with_the_same_receipt_even_later(system, entry, clock):
    first = system.post("/api/v1/entries", json=entry)
    clock.at += timedelta(seconds=90)
    again = system.post("/api/v1/entries", json=entry)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "lot.dropped"}, "kind"),
        ({"happened_at": "2026-11-22T04:00:01Z"}, "happened_at"),
        ({"disclosable": True}, "disclosable"),
        ({"data": {"lot": "虚构-2", "temperature_tenth": 45, "passed": True}}, "data.lot"),
        ({"data": {"lot": "虚构-1", "passed": True}}, "data.temperature_tenth"),
        ({"data": {"lot": "虚构-1", "temperature_tenth": 45, "passed": 1}}, "data.passed"),
        ({"data": {"lot": "a", "passed": False}, "kind": "x"}, "data.lot"),
    ],
)
def test_another_body_under_the_same_id_answers_409_naming_the_first_field(
    system, entry, change, field
):
    assert system.post("/api/v1/entries", json=entry).status_code == 201
    answer = system.post("/api/v1/entries", json=entry | change)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "state.exists_with_different_field")
    assert problem["context"]["field"] == field


def test_another_subject_of_ones_own_under_the_same_id_is_named_first(system, entry, clock):
    assert system.post("/api/v1/entries", json=entry).status_code == 201
    other = entry | {"subject": new_id("ext", at=clock.at), "kind": "x"}
    answer = system.post("/api/v1/entries", json=other)
    assert (answer.status_code, answer.json()["context"]["field"]) == (409, "subject")


def test_nobody_records_about_a_subject_of_another_organisation(system, stranger, entry, clock):
    assert system.post("/api/v1/entries", json=entry).status_code == 201
    forged = entry | {"id": new_id("ent", at=clock.at)}
    answer = stranger.post("/api/v1/entries", json=forged)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert stranger.get("/api/v1/entries").json() == {"entries": [], "after": None}


@pytest.mark.parametrize("prefix", ["agr", "pty", "rnd", "ent"])
def test_no_outside_system_writes_about_our_own_subjects(system, entry, clock, prefix):
    answer = system.post("/api/v1/entries", json=entry | {"subject": new_id(prefix, at=clock.at)})
    assert (answer.status_code, answer.json()["code"]) == (422, "id.malformed")


def test_an_id_of_an_internal_entry_is_refused_without_saying_what_it_holds(world, system, entry):
    with transaction(world.app.state.shell.ports.readers) as session:
        internal = session.query(EntryRow).filter(EntryRow.type == "party.registered").first()
    answer = system.post("/api/v1/entries", json=entry | {"id": internal.id})
    assert (answer.status_code, answer.json()["context"]["field"]) == (409, "type")


@pytest.mark.parametrize("login", [None, "donor", "operator", "arbitrator"])
def test_only_an_outside_system_may_record(world, entry, login):
    if login is None:
        with TestClient(world.app, headers={"Origin": ORIGIN}) as nobody:
            assert nobody.post("/api/v1/entries", json=entry).status_code == 401
        return
    answer = world.client(login).post("/api/v1/entries", json=entry)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.role")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"data": {"x": 1.5}}, 422, "canonical.float"),
        ({"data": {"é": 1}}, 422, "canonical.key"),
        ({"data": {"x": 2**53}}, 422, "canonical.integer_range"),
        ({"data": {f"f{i}": i for i in range(FIELDS_MAX + 1)}}, 413, "entries.fields"),
        ({"data": {"x": "a" * 300_000}}, 422, "entry.body_size"),
        ({"kind": "Not A Kind"}, 422, "input.invalid"),
        ({"happened_at": "2026-11-22T04:00:00"}, 422, "input.invalid"),
        ({"id": "ent_1"}, 422, "id.malformed"),
        ({"type": "agreement.formed"}, 422, "input.invalid"),
        ({"actor": "system"}, 422, "input.invalid"),
    ],
)
def test_what_is_malformed_is_refused_with_its_code(system, entry, change, status, code):
    answer = system.post("/api/v1/entries", json=entry | change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert system.get(f"/api/v1/entries/{entry['id']}/receipt").status_code == 404


def batch_of(clock, count, **fields):
    subject = new_id("ext", at=clock.at)
    return [
        {
            "id": new_id("ent", at=clock.at),
            "subject": subject,
            "kind": "box.scanned",
            "happened_at": "2026-11-22T04:00:00Z",
            "data": {"box": number} | fields,
        }
        for number in range(count)
    ]


def test_a_batch_is_recorded_whole_and_again_changes_nothing(system, clock):
    wanted = batch_of(clock, 50)
    first = system.post("/api/v1/entries/batch", json={"entries": wanted})
    again = system.post("/api/v1/entries/batch", json={"entries": wanted})
    assert (first.status_code, first.json()["new"]) == (201, 50)
    assert (again.status_code, again.json()["new"]) == (200, 0)
    assert [one["id"] for one in first.json()["entries"]] == [one["id"] for one in wanted]
    leaves = [one["leaf"] for one in first.json()["entries"]]
    assert [one["leaf"] for one in again.json()["entries"]] == leaves
    assert len(set(leaves)) == 50


def test_a_batch_with_old_new_and_doubled_entries_says_which_were_new(system, clock):
    wanted = batch_of(clock, 3)
    system.post("/api/v1/entries", json=wanted[1])
    clock.at += timedelta(seconds=5)
    answer = system.post("/api/v1/entries/batch", json={"entries": [*wanted, wanted[0]]})
    assert answer.status_code == 201
    assert [one["new"] for one in answer.json()["entries"]] == [True, False, True, False]


def test_a_batch_with_one_conflict_records_nothing(system, clock):
    wanted = batch_of(clock, 5)
    system.post("/api/v1/entries", json=wanted[3])
    changed = [*wanted[:3], wanted[3] | {"kind": "box.lost"}, wanted[4]]
    answer = system.post("/api/v1/entries/batch", json={"entries": changed})
    assert (answer.status_code, answer.json()["context"]) == (
        409,
        {"field": "kind", "id": wanted[3]["id"]},
    )
    assert system.get(f"/api/v1/entries/{wanted[0]['id']}/receipt").status_code == 404


def test_a_batch_has_a_limit_in_entries_and_one_in_bytes(system, clock):
    one = batch_of(clock, 1)[0]
    many = system.post("/api/v1/entries/batch", json={"entries": [one] * (BATCH_MAX + 1)})
    assert (many.status_code, many.json()["code"]) == (413, "entries.too_many")
    large = system.post(
        "/api/v1/entries/batch",
        content=b" " * (ENTRIES_BYTES_MAX + 1),
        headers={"content-type": "application/json"},
    )
    assert (large.status_code, large.json()["code"]) == (413, "body.too_large")
    none = system.post("/api/v1/entries/batch", json={"entries": []})
    assert (none.status_code, none.json()["code"]) == (422, "input.invalid")


def test_the_largest_batch_passes(system, clock):
    wanted = batch_of(clock, BATCH_MAX, note="invented " * 180)
    body = json.dumps({"entries": wanted}).encode()
    assert 7 << 20 < len(body) < ENTRIES_BYTES_MAX
    answer = system.post(
        "/api/v1/entries/batch", content=body, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["new"]) == (201, BATCH_MAX)


def test_pages_follow_each_other_without_gap_or_double(system, clock):
    wanted = batch_of(clock, 25)
    system.post("/api/v1/entries/batch", json={"entries": wanted})
    seen, after = [], 0
    while after is not None:
        page = system.get(
            "/api/v1/entries", params={"subject": wanted[0]["subject"], "after": after, "limit": 10}
        ).json()
        seen += [one["id"] for one in page["entries"]]
        after = page["after"]
    assert seen == [one["id"] for one in wanted]
    assert system.get("/api/v1/entries", params={"limit": 101}).status_code == 422


def test_proofs_verify_against_a_signed_root_and_sizes_nobody_signed_are_refused(
    world, system, entry
):
    ports = world.app.state.shell.ports
    assert system.post("/api/v1/entries", json=entry).status_code == 201
    leaf = system.get(f"/api/v1/entries/{entry['id']}/receipt").json()["entry"]["leaf"]
    early = system.get(f"/api/v1/log/inclusion/{leaf}")
    assert early.status_code in (404, 409)
    sequence_all(ports, clock=world.clock)
    old = world.anyone.get(f"/api/v1/log/inclusion/{leaf}").json()
    merkle.verify_inclusion(
        merkle.leaf_hash(
            b64decode(system.get(f"/api/v1/entries/{entry['id']}/receipt").json()["entry"]["bytes"])
        ),
        index=old["index"],
        size=old["size"],
        path=[bytes.fromhex(step) for step in old["path"]],
        root=bytes.fromhex(old["root"]),
    )
    system.post("/api/v1/entries", json=entry | {"id": new_id("ent", at=world.clock.at)})
    sequence_all(ports, clock=world.clock)
    proof = world.anyone.get("/api/v1/log/consistency", params={"old": old["size"]}).json()
    merkle.verify_consistency(
        old_size=old["size"],
        old_root=bytes.fromhex(old["root"]),
        size=proof["new"]["size"],
        root=bytes.fromhex(proof["new"]["root"]),
        path=[bytes.fromhex(step) for step in proof["path"]],
    )
    text = system.get(f"/api/v1/entries/{entry['id']}/proof").text
    assert text.startswith("c2sp.org/tlog-proof@v1\n")
    for path, status, code in (
        ("log/consistency?old=1&new=999999", 404, "log.no_checkpoint"),
        (f"log/consistency?old={old['size']}&new={old['size']}", 422, "log.sizes"),
        (f"log/inclusion/{leaf}?size=999999", 404, "log.no_checkpoint"),
        (f"log/inclusion/{'0' * 64}", 404, "log.leaf_unknown"),
    ):
        answer = world.anyone.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_proof_of_anothers_entry_is_not_given(system, stranger, entry):
    system.post("/api/v1/entries", json=entry)
    assert stranger.get(f"/api/v1/entries/{entry['id']}/proof").status_code == 404
    assert stranger.get(f"/api/v1/entries/{entry['id']}/receipt").status_code == 404


def test_too_many_requests_of_one_account_answer_429(tmp_path, clock):
    rates = dict(RATES) | {"proofs.address": Rate(count=2, seconds=60)}
    app = create_app(Settings(home=tmp_path, public_url=ORIGIN), clock=clock, rates=rates)
    with TestClient(app) as client:
        codes = [client.get(f"/api/v1/log/inclusion/{'0' * 64}").status_code for _ in range(3)]
    assert codes == [404, 404, 429]


def test_an_outside_systems_account_has_an_organisation_and_no_other_role(world):
    with transaction(world.app.state.shell.ports.sessions) as session:
        for roles, organisation, code in (
            ({Role.INTEGRATION}, None, "account.role_needs_organisation"),
            (
                {Role.INTEGRATION, Role.HANDLER},
                world.donor.organisation_id,
                "account.integration_alone",
            ),
        ):
            with pytest.raises(InputError) as caught:
                create_account(
                    session,
                    account_id=new_id("acc", at=world.clock.at),
                    login="refused",
                    password=PASSWORD,
                    roles=frozenset(roles),
                    person_id=None,
                    organisation_id=organisation,
                    invented=True,
                    at=world.clock.at,
                )
            assert caught.value.error_code == code
