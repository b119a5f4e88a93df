"""A verification service in another process: asked over HTTP, answering at once or by a signed callback."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from api.app import create_app
from api.compose_identity import open_messenger, open_provider
from api.flows import verification_levels as levels
from api.flows.registration import register
from api.flows.verification_levels_asking import ask
from api.flows.verification_levels_codes import answer
from api.settings import Settings
from api.testing import caller_of, invented_registration
from ledger.core.errors import FuqiError, InputError, UnavailableError
from ledger.core.ids import new_id
from ledger.queries import identity as queries
from ledger.store import transaction
from ledger.tables.parties import IdentityCheckRow, PartyRow
from signing.identity import Status
from signing.providers import identity_wire as wire
from signing.providers.outside import Endpoint, Fallback

ROOT = Path(__file__).resolve().parents[2]
SERVICE = Path(__file__).parent / "identity_service.py"
SECONDS = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Site:
    """A served installation that asks a service in another process."""

    app: Any
    ports: Any
    secret: bytes
    log: Path


def until(condition: Any) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("service")
    secret_file, log = folder / "secret", folder / "log"
    secret_file.write_text(secrets.token_urlsafe(32))
    secret_file.chmod(0o600)
    port, own = free_port(), free_port()
    service = subprocess.Popen(
        [sys.executable, str(SERVICE), str(port), str(secret_file), str(log)],
        env={"PYTHONPATH": str(ROOT)},
        cwd=folder,
    )
    # The first address is dead: the second is asked.
    urls = f"http://127.0.0.1:9 http://127.0.0.1:{port}"
    settings = Settings(
        home=folder / "home",
        public_url=f"http://127.0.0.1:{own}",
        demo=True,
        identity_provider="http",
        identity_urls=urls,
        identity_secret_file=secret_file,
        identity_kinds="person_name_number organisation_name_code person_name_number_phone",
        message_urls=f"http://127.0.0.1:{port}",
        message_secret_file=secret_file,
        outside_private=True,
    )
    app = create_app(settings)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=own, log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started and is_open(port))
        yield Site(app, app.state.shell.ports, secret_file.read_bytes(), log)
    finally:
        server.should_exit = True
        thread.join(timeout=SECONDS)
        service.terminate()
        service.wait(timeout=SECONDS)


def asked(site: Site) -> list[dict[str, Any]]:
    return [json.loads(line) for line in site.log.read_text("utf-8").splitlines()]


def registered(site: Site, login: str, *, name: str = "虚构人") -> Any:
    at = datetime.now(UTC)
    new = invented_registration(login, "donor", at=at)
    return register(site.ports, replace(new, handler=replace(new.handler, name=name)), at=at)


def level(site: Site, party: str) -> int:
    with transaction(site.ports.readers) as session:
        return int(levels.level_of(session, site.ports, party, at=datetime.now(UTC)).level)


def row_of(site: Site, party: str) -> IdentityCheckRow:
    with transaction(site.ports.readers) as session:
        return queries.checks_of(session, [party])[0]


def test_registration_asks_the_service_and_gets_its_answer(site: Site) -> None:
    made = registered(site, "service")
    questions = [one for one in asked(site) if one["subject"] == made.person.id]
    assert [(one["kind"], one["v"]) for one in questions] == [
        ("person_name_number", wire.REQUEST_TAG)
    ]
    assert set(questions[0]["factors"]) == {"name", "number"}
    assert made.person.level == 1
    row = row_of(site, made.person.id)
    assert (row.mock, row.provider, row.status) == (False, "http:127.0.0.1", "match")


def test_a_mismatch_registers_nobody_and_an_outage_says_so(site: Site) -> None:
    with pytest.raises(InputError) as caught:
        registered(site, "wrong", name="虚构不符")
    assert caught.value.error_code == "identity.mismatch"
    with pytest.raises(UnavailableError) as down:
        registered(site, "down", name="虚构故障")
    assert down.value.error_code == "identity.source_down"


def test_a_later_answer_comes_by_callback_and_raises_the_level_once(site: Site) -> None:
    made = registered(site, "later", name="虚构稍后")
    assert made.person.level == 0
    until(lambda: row_of(site, made.person.id).status != "pending")
    assert level(site, made.person.id) == 1
    time.sleep(0.3)  # the second delivery of the same answer
    with transaction(site.ports.readers) as session:
        assert session.get_one(PartyRow, made.person.id).level == 1
        assert len(queries.checks_of(session, [made.person.id])) == 1


def callback(site: Site, found: wire.Answer, *, sent_at: datetime, secret: bytes) -> Any:
    data = wire.seal(wire.answer_document(found, sent_at=sent_at), secret=secret)
    client = TestClient(site.app, base_url="http://127.0.0.1")
    return client.post("/api/v1/identity/callbacks", json=json.loads(data))


def test_a_callback_is_refused_unless_it_is_fresh_sealed_and_fits_its_question(site: Site) -> None:
    made = registered(site, "refusals", name="虚构无记录")
    now = datetime.now(UTC).replace(microsecond=0)
    party = made.person.id
    with transaction(site.ports.sessions) as session:
        row = queries.checks_of(session, [party])[0]
        row.status, row.checked_at, row.answer = "pending", None, None
        right = wire.Answer(row.id, row.nonce, Status.MATCH, now, "invented-9")
    old = now - timedelta(minutes=6)
    cases: list[tuple[dict[str, Any], tuple[int, str]]] = [
        ({"secret": b"x" * 43}, (422, "identity.answer_mac")),
        (
            {"found": replace(right, checked_at=old), "sent_at": old},
            (422, "identity.answer_stale"),
        ),
        ({"found": replace(right, nonce="00" * 16)}, (404, "not_found")),
        ({"found": replace(right, request_id=new_id("chk", at=now))}, (404, "not_found")),
        ({"found": replace(right, status=Status.PENDING)}, (422, "identity.decision")),
    ]
    for changes, wanted in cases:
        options = {"found": right, "sent_at": now, "secret": site.secret, **changes}
        refused = callback(
            site, options["found"], sent_at=options["sent_at"], secret=options["secret"]
        )
        assert (refused.status_code, refused.json()["code"]) == wanted
        assert level(site, party) == 0
    for _ in range(2):
        taken = callback(site, right, sent_at=now, secret=site.secret)
        assert (taken.status_code, taken.json()["status"]) == (200, "match")
    assert level(site, party) == 1
    changed = replace(right, status=Status.MISMATCH)
    differs = callback(site, changed, sent_at=now, secret=site.secret)
    assert (differs.status_code, differs.json()["code"]) == (409, "identity.answer_differs")
    assert level(site, party) == 1


def test_a_code_goes_through_the_service_and_back(site: Site) -> None:
    made = registered(site, "coded")
    at = datetime.now(UTC)
    caller = caller_of(made)
    new = levels.NewCheck(
        id=new_id("chk", at=at),
        party_id=made.person.id,
        kind="person_phone_code",
        factors={"phone": "13800138000"},
        consent_id=new_id("cst", at=at),
    )
    view = ask(site.ports, caller, new, at=at)
    assert view.asked is not None
    assert view.asked.mock_answer is None
    sent = [one for one in asked(site) if one.get("message") == new.id]
    assert [(one["channel"], one["target"]) for one in sent] == [("phone", "+8613800138000")]
    code = "".join(char for char in sent[0]["text"].split("，")[0] if char.isdigit())
    assert len(code) == 6
    done = answer(site.ports, caller, new.id, text=code, at=at)
    assert (done.check.status, done.check.mock) == ("match", False)
    assert level(site, made.person.id) == 2


def test_what_the_service_does_not_answer_is_not_offered(site: Site) -> None:
    made = registered(site, "offers")
    offered = levels.offered(site.ports, "person")
    assert "person_face" not in offered
    assert {"person_name_number_phone", "person_phone_code", "person_manual_review"} <= set(offered)
    at = datetime.now(UTC)
    with pytest.raises(InputError) as caught:
        ask(
            site.ports,
            caller_of(made),
            levels.NewCheck(
                new_id("chk", at=at), made.person.id, "person_face", {"capture": "x"}, "cst_x"
            ),
            at=at,
        )
    assert caught.value.error_code == "identity.kind"


def test_a_service_that_is_away_is_asked_less_and_less_often(site: Site) -> None:
    made = registered(site, "away")
    clock = [0.0]
    dead = Fallback((Endpoint("http://127.0.0.1:9", allow_private=True),), clock=lambda: clock[0])
    provider = replace(site.ports.provider, fallback=dead)
    ports = replace(site.ports, provider=provider)
    at = datetime.now(UTC)

    def ask_once() -> str:
        new = levels.NewCheck(
            new_id("chk", at=at), made.person.id, "person_name_number", {}, "cst_x"
        )
        return ask(ports, caller_of(made), new, at=at).check.status

    assert ask_once() == "source_down"
    assert dead._rests[dead.endpoints[0].url] == (1, 2.0)
    assert ask_once() == "source_down"  # resting: nobody is asked
    assert dead._rests[dead.endpoints[0].url] == (1, 2.0)
    clock[0] = 3.0
    assert ask_once() == "source_down"
    assert dead._rests[dead.endpoints[0].url] == (2, 7.0)
    assert level(site, made.person.id) == 1  # an outage takes nothing away


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"identity_urls": ""}, "settings.invalid"),
        ({"identity_secret_file": None}, "settings.invalid"),
        ({"identity_kinds": "person_phone_code"}, "identity.kind"),
        ({"outside_private": False}, "identity.plain_http"),
    ],
)
def test_a_setting_that_cannot_work_stops_the_start(
    site: Site, changes: dict[str, Any], code: str
) -> None:
    settings = site.ports.settings
    assert open_provider(settings).name == "http:127.0.0.1"
    with pytest.raises(FuqiError) as caught:
        open_provider(settings.model_copy(update=changes))
    assert caught.value.error_code == code


def test_without_a_carrier_no_code_is_offered(site: Site) -> None:
    settings = site.ports.settings
    manual = settings.model_copy(update={"identity_provider": "manual", "message_urls": ""})
    assert open_messenger(manual) is None
    ports = replace(site.ports, messenger=None)
    assert "person_phone_code" not in levels.offered(ports, "person")
    with pytest.raises(InputError) as caught:
        open_messenger(settings.model_copy(update={"message_secret_file": None}))
    assert caught.value.error_code == "settings.invalid"
