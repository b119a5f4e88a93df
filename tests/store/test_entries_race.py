"""The same outside entry sent by many at once is one entry, on both databases, over HTTP."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from api.app import create_app
from api.callers import Caller, Role
from api.flows.access import caller_of_key, create_account, make_key  # noqa: F401
from api.flows.registration import register
from api.settings import Settings
from api.testing import PASSWORD, invented_registration
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.log import EntryRow

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
THREADS = 8


class Ticking:
    """Every reading is a second later, so that no two requests have the same time."""

    def __init__(self):
        self.seconds, self.lock = 0, threading.Lock()

    def __call__(self):
        with self.lock:
            self.seconds += 1
            return AT + timedelta(seconds=self.seconds)


@pytest.fixture
def app(database_url, tmp_path):
    settings = Settings(
        home=tmp_path / "home", database_url=database_url, public_url="http://testserver"
    )
    app = create_app(settings, clock=Ticking())
    with TestClient(app):
        yield app


@pytest.fixture
def key(app):
    ports = app.state.shell.ports
    made = register(ports, invented_registration("race", "donor", at=AT), at=AT)
    with transaction(ports.sessions) as session:
        account = create_account(
            session,
            account_id=new_id("acc", at=AT),
            login="race-system",
            password=PASSWORD,
            roles=frozenset({Role.INTEGRATION}),
            person_id=None,
            organisation_id=made.organisation.id,
            invented=True,
            at=AT,
        )
        caller = Caller(account.id, None, made.organisation.id, frozenset({Role.INTEGRATION}))
        return make_key(session, caller, key_id=new_id("key", at=AT), name="r", days=1, at=AT)[1]


def send_at_once(app, key, path, bodies):
    """[(status, json)] of one request per body, all started together."""
    barrier, answers = threading.Barrier(len(bodies)), []

    def send(body):
        # Not as a context manager: the application runs already.
        client = TestClient(app)
        barrier.wait()
        answer = client.post(path, json=body, headers={"Authorization": f"Bearer {key}"})
        answers.append((answer.status_code, answer.json()))

    threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def entry(**changes):
    return {
        "id": new_id("ent", at=AT),
        "subject": new_id("ext", at=AT),
        "kind": "lot.checked",
        "happened_at": "2026-11-22T04:00:00Z",
        "data": {"lot": "1"},
    } | changes


def retried(app, key, path, bodies):
    """As a client does: what was refused as retryable is sent again."""
    done = []
    for _ in range(10):
        answers = send_at_once(app, key, path, bodies)
        done += [one for one in answers if not one[1].get("retryable")]
        again = sum(bool(one[1].get("retryable")) for one in answers)
        if not again:
            return done
        bodies = bodies[:again]
    raise AssertionError("never settled")


def count(app):
    with transaction(app.state.shell.ports.readers) as session:
        return session.scalar(
            select(func.count()).select_from(EntryRow).where(EntryRow.type == "external.recorded")
        )


def test_one_entry_sent_by_many_at_once_is_recorded_once_and_has_one_receipt(app, key):
    answers = retried(app, key, "/api/v1/entries", [entry()] * THREADS)
    assert Counter(status for status, _ in answers) == {201: 1, 200: THREADS - 1}
    assert len({str(sorted(receipt.items())) for _, receipt in answers}) == 1
    assert count(app) == 1


def test_of_two_bodies_under_one_id_one_is_recorded_and_the_other_is_named_different(app, key):
    one = entry()
    sent = [one, one | {"kind": "lot.dropped"}] * (THREADS // 2)
    # A refusal for the race of the subject's first claim repeats; both bodies then meet the winner.
    answers = send_at_once(app, key, "/api/v1/entries", sent)
    answers += [
        send_at_once(app, key, "/api/v1/entries", [body])[0]
        for body in sent
        if any(answer[1].get("retryable") for answer in answers)
    ]
    settled = [answer for answer in answers if not answer[1].get("retryable")]
    assert Counter(status for status, _ in settled)[201] == 1
    assert {problem["context"]["field"] for status, problem in settled if status == 409} == {"kind"}
    assert count(app) == 1


def test_batches_that_overlap_at_once_record_each_entry_once(app, key):
    subject = new_id("ext", at=AT)
    pool = [entry(subject=subject, data={"lot": str(number)}) for number in range(60)]
    batches = [{"entries": pool[10 * i : 10 * i + 40]} for i in range(3)] * 2
    for _ in range(10):
        answers = send_at_once(app, key, "/api/v1/entries/batch", batches)
        assert {status for status, _ in answers} <= {200, 201, 409}
        if all(status < 300 for status, _ in answers):
            break
    assert count(app) == 60
