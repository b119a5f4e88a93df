"""Accounts: registration, login, sessions, API keys, what each refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from typer.testing import CliRunner

from api import access
from api.callers import Role
from api.commands import account as account_commands
from api.limits import Rate
from api.testing import PASSWORD
from ledger.core.errors import InputError
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.access import AccountRow, ApiKeyRow, SessionRow
from signing.identity import invented_resident_id, invented_uscc


def registration_json(name: str, *, at: Any) -> dict[str, Any]:
    return {
        "organisation_id": new_id("pty", at=at),
        "category": "donor",
        "name": f"虚构{name}",
        "credit_code": invented_uscc(name),
        "place": "武汉",
        "receiving_system": "x@example.invalid",
        "handler": {
            "person_id": new_id("pty", at=at),
            "account_id": new_id("acc", at=at),
            "authorisation_id": new_id("aut", at=at),
            "consent_id": new_id("cst", at=at),
            "name": "虚构人",
            "resident_id": invented_resident_id(name, birth=date(1985, 5, 5)),
            "login": name,
            "password": PASSWORD,
            "invented": True,
        },
    }


def test_registering_twice_with_the_same_ids_makes_one_account(world: Any) -> None:
    body = registration_json("twice", at=world.clock.at)
    first = world.anyone.post("/api/v1/register", json=body)
    second = world.anyone.post("/api/v1/register", json=body)
    assert (first.status_code, second.status_code) == (201, 201), first.text
    assert first.json() == second.json()
    assert first.json()["organisation"]["invented"] is True
    assert body["handler"]["resident_id"] not in first.text


def test_a_changed_retry_names_the_field(world: Any) -> None:
    body = registration_json("changed", at=world.clock.at)
    assert world.anyone.post("/api/v1/register", json=body).status_code == 201
    answer = world.anyone.post("/api/v1/register", json={**body, "place": "宜昌"})
    assert (answer.status_code, answer.json()["context"]["field"]) == (409, "place")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"credit_code": "91350211M000100Y40"}, "identity.uscc_checksum"),
        ({"credit_code": "123"}, "identity.uscc_length"),
        ({"organisation_id": "pty_1"}, "id.malformed"),
        ({"name": ""}, "party.name"),
        ({"handler": {"resident_id": "11010519491231002Y"}}, "identity.rid_characters"),
        ({"handler": {"resident_id": "110105194912310021"}}, "identity.rid_checksum"),
        ({"handler": {"password": "short"}}, "account.password_short"),
        ({"handler": {"login": "A B"}}, "account.login_malformed"),
    ],
)
def test_a_bad_registration_is_refused_with_its_reason(
    world: Any, change: dict[str, Any], code: str
) -> None:
    body = registration_json(f"bad-{code}", at=world.clock.at)
    handler = {**body["handler"], **change.pop("handler", {})}
    answer = world.anyone.post("/api/v1/register", json={**body, **change, "handler": handler})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_an_organisation_is_not_given_away_to_whoever_knows_its_id(world: Any) -> None:
    body = registration_json("taken", at=world.clock.at)
    assert world.anyone.post("/api/v1/register", json=body).status_code == 201
    thief = {
        **body["handler"],
        "account_id": new_id("acc", at=world.clock.at),
        "login": "thief",
    }
    answer = world.anyone.post("/api/v1/register", json={**body, "handler": thief})
    assert (answer.status_code, answer.json()["code"]) == (409, "account.organisation_taken")


def test_an_identity_number_is_registered_once(world: Any) -> None:
    body = registration_json("number", at=world.clock.at)
    assert world.anyone.post("/api/v1/register", json=body).status_code == 201
    again = registration_json("number", at=world.clock.at)
    again["handler"]["login"] = "number-two"
    answer = world.anyone.post("/api/v1/register", json=again)
    assert (answer.status_code, answer.json()["code"]) == (409, "party.number_taken")


def test_a_wrong_password_and_an_unknown_login_look_the_same(world: Any) -> None:
    answers = [
        world.anyone.post("/api/v1/login", json={"login": login, "password": password})
        for login, password in (("donor", "not this one"), ("no-such-login", PASSWORD))
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    first, second = ({**a.json(), "request_id": ""} for a in answers)
    assert first == second


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(world: Any) -> None:
    client = TestClient(world.app, headers={"Origin": "http://testserver"})
    answer = client.post("/api/v1/login", json={"login": "donor", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert client.get("/api/v1/me").json()["roles"] == ["admin", "handler"]


def test_no_credential_is_stored_in_clear(world: Any) -> None:
    client = TestClient(world.app, headers={"Origin": "http://testserver"})
    client.post("/api/v1/login", json={"login": "donor", "password": PASSWORD})
    token = client.cookies["fuqi_session"]
    key = client.post(
        "/api/v1/keys", json={"id": new_id("key", at=world.clock.at), "name": "x", "days": 1}
    ).json()["key"]
    with transaction(world.app.state.shell.ports.readers) as session:
        stored = [
            str(value)
            for table in (AccountRow, SessionRow, ApiKeyRow)
            for row in session.query(table).all()
            for value in row.__dict__.values()
        ]
    assert not [value for value in stored if token in value or key in value or PASSWORD in value]


def test_a_session_ends_on_logout_and_after_its_time(
    make_app: Callable[..., FastAPI], tmp_path: Path, world: Any
) -> None:
    client = TestClient(world.app, headers={"Origin": "http://testserver"})
    credentials = {"login": "hospital", "password": PASSWORD}
    client.post("/api/v1/login", json=credentials)
    token = client.cookies["fuqi_session"]
    assert client.get("/api/v1/me").status_code == 200
    assert client.post("/api/v1/logout").status_code == 204
    client.cookies.set("fuqi_session", token)
    assert client.get("/api/v1/me").status_code == 401
    client.post("/api/v1/login", json=credentials)
    before = world.clock.at
    try:
        world.clock.at = before + timedelta(hours=11, minutes=59)
        assert client.get("/api/v1/me").status_code == 200
        world.clock.at = before + timedelta(hours=12)
        assert client.get("/api/v1/me").status_code == 401
    finally:
        world.clock.at = before


def test_a_key_works_until_it_is_revoked_or_ends(world: Any) -> None:
    client = world.client("hospital")
    key_id = new_id("key", at=world.clock.at)
    made = client.post("/api/v1/keys", json={"id": key_id, "name": "erp", "days": 30}).json()
    machine = TestClient(world.app)
    machine.headers["Authorization"] = f"Bearer {made['key']}"
    assert machine.get("/api/v1/me").json()["via"] == "key"
    before = world.clock.at
    try:
        world.clock.at = before + timedelta(days=30)
        assert machine.get("/api/v1/me").json()["code"] == "auth.key_invalid"
    finally:
        world.clock.at = before
    assert client.post(f"/api/v1/keys/{key_id}/revoke").status_code == 200
    assert machine.get("/api/v1/me").status_code == 401


def test_a_key_makes_no_keys(world: Any) -> None:
    client = world.client("hospital")
    key_id = new_id("key", at=world.clock.at)
    made = client.post("/api/v1/keys", json={"id": key_id, "name": "erp", "days": 30}).json()
    machine = TestClient(world.app, headers={"Authorization": f"Bearer {made['key']}"})
    answer = machine.post(
        "/api/v1/keys", json={"id": new_id("key", at=world.clock.at), "name": "x", "days": 1}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "key.needs_session")


def test_the_same_key_id_is_made_once(world: Any) -> None:
    body = {"id": new_id("key", at=world.clock.at), "name": "once", "days": 1}
    client = world.client("donor")
    assert client.post("/api/v1/keys", json=body).status_code == 201
    answer = client.post("/api/v1/keys", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "key.exists")


def test_a_bad_key_is_refused_even_beside_a_good_cookie(world: Any) -> None:
    client = world.client("donor")
    answer = client.get("/api/v1/me", headers={"Authorization": "Bearer fq_" + "a" * 43})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.key_invalid")


def test_a_switched_off_account_is_out_at_once(world: Any) -> None:
    body = registration_json("switched-off", at=world.clock.at)
    assert world.anyone.post("/api/v1/register", json=body).status_code == 201
    client = TestClient(world.app, headers={"Origin": "http://testserver"})
    credentials = {"login": "switched-off", "password": PASSWORD}
    assert client.post("/api/v1/login", json=credentials).status_code == 200
    with transaction(world.app.state.shell.ports.sessions) as session:
        session.get_one(AccountRow, body["handler"]["account_id"]).active = False
    assert client.get("/api/v1/me").status_code == 401
    assert client.post("/api/v1/login", json=credentials).status_code == 401


def test_an_admin_adds_a_handler_who_may_not_add_another(world: Any) -> None:
    new = registration_json("second-handler", at=world.clock.at)["handler"]
    made = world.client("donor").post("/api/v1/handlers", json=new)
    assert made.status_code == 201, made.text
    assert made.json()["organisation_id"] == world.donor.organisation_id
    assert made.json()["roles"] == ["handler"]
    other = registration_json("third-handler", at=world.clock.at)["handler"]
    mine = world.client("second-handler")
    own = {"password": PASSWORD, "new_password": "only I know this"}
    assert mine.post("/api/v1/password", json=own).status_code == 204
    answer = mine.post("/api/v1/handlers", json=other)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.role")


def test_whoever_set_a_password_for_another_cannot_act_as_them_afterwards(world: Any) -> None:
    """An administrator adds a handler and so knows a password: it opens one thing only, and only until then."""
    new = registration_json("guided-handler", at=world.clock.at)["handler"]
    assert world.client("donor").post("/api/v1/handlers", json=new).status_code == 201
    client = world.client("guided-handler")
    for method, path in (
        ("GET", "/api/v1/me"),
        ("GET", "/api/v1/waiting"),
        ("POST", "/api/v1/certificates"),
        ("POST", "/api/v1/keys"),
    ):
        answer = client.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.password_temporary"), path
    page = client.get("/waiting", headers={"accept": "text/html"}, follow_redirects=False)
    assert (page.status_code, page.headers["location"]) == (303, "/me/password")
    shown = client.get("/me/password?lang=en").text
    assert "Somebody else set your password" in shown

    change = "/api/v1/password"
    for body, status, code in (
        (
            {"password": "not this one", "new_password": "only I know this"},
            401,
            "auth.wrong_password",
        ),
        ({"password": PASSWORD, "new_password": PASSWORD}, 422, "account.password_same"),
        ({"password": PASSWORD, "new_password": "short"}, 422, "account.password_short"),
        ({"password": PASSWORD, "new_password": "密" * 201}, 422, "account.password_long"),
        (
            {"password": PASSWORD, "new_password": "guided-handler"},
            422,
            "account.password_is_login",
        ),
    ):
        answer = client.post(change, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body

    known = TestClient(world.app, headers={"Origin": "http://testserver"})
    credentials = {"login": "guided-handler", "password": PASSWORD}
    assert known.post("/api/v1/login", json=credentials).status_code == 200
    form = {
        "password": PASSWORD,
        "new_password": "只有我一个人知道的口令",
        "again": "只有我一个人知道的口今",
    }
    refused = client.post("/me/password", data=form)
    assert (refused.status_code, "account.password_differs" in refused.text) == (422, True)
    form["again"] = form["new_password"]
    done = client.post("/me/password", data=form, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/me?password=changed")
    assert client.get("/api/v1/me").status_code == 200
    # The login that the administrator had opened is over, and so is the password.
    assert known.get("/api/v1/me").status_code == 401
    assert known.post("/api/v1/login", json=credentials).status_code == 401


def test_a_changed_password_ends_other_logins_and_no_key_changes_it(world: Any) -> None:
    body = registration_json("changes-password", at=world.clock.at)
    assert world.anyone.post("/api/v1/register", json=body).status_code == 201
    client = world.client("changes-password")
    other = TestClient(world.app, headers={"Origin": "http://testserver"})
    credentials = {"login": "changes-password", "password": PASSWORD}
    assert other.post("/api/v1/login", json=credentials).status_code == 200
    made = client.post(
        "/api/v1/keys", json={"id": new_id("key", at=world.clock.at), "name": "x", "days": 1}
    )
    bearer = {"Authorization": f"Bearer {made.json()['key']}"}
    new = {"password": PASSWORD, "new_password": "another password"}
    by_key = world.anyone.post("/api/v1/password", json=new, headers=bearer)
    assert (by_key.status_code, by_key.json()["code"]) == (403, "account.password_session")
    assert client.post("/api/v1/password", json=new).status_code == 204
    assert client.get("/api/v1/me").status_code == 200
    assert other.get("/api/v1/me").status_code == 401
    assert world.anyone.get("/api/v1/me", headers=bearer).status_code == 200


def test_an_operator_sets_a_forgotten_password_and_its_holder_the_next(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = registration_json("forgets-password", at=world.clock.at)
    assert world.anyone.post("/api/v1/register", json=body).status_code == 201
    client = world.client("forgets-password")
    made = client.post(
        "/api/v1/keys", json={"id": new_id("key", at=world.clock.at), "name": "x", "days": 1}
    )
    bearer = {"Authorization": f"Bearer {made.json()['key']}"}
    ports = world.app.state.shell.ports
    monkeypatch.setattr(account_commands, "open_ports", lambda *_args, **_named: ports)
    run = CliRunner()
    arguments = ["password", "forgets-password", "--password", "handed over once"]
    assert run.invoke(account_commands.app, arguments).exit_code == 0
    assert client.get("/api/v1/me").status_code == 401
    resting = world.anyone.get("/api/v1/me", headers=bearer)
    assert (resting.status_code, resting.json()["code"]) == (403, "auth.password_temporary")
    again = {"login": "forgets-password", "password": "handed over once"}
    assert client.post("/api/v1/login", json=again).status_code == 200
    assert client.get("/api/v1/me").status_code == 403
    new = {"password": "handed over once", "new_password": "mine alone now"}
    assert client.post("/api/v1/password", json=new).status_code == 204
    assert client.get("/api/v1/me").status_code == 200
    nobody = run.invoke(account_commands.app, ["password", "nobody-here", "--password", "x" * 12])
    assert getattr(nobody.exception, "error_code", None) == "account.unknown"


def test_guessing_a_password_is_slowed_down(
    make_app: Callable[..., FastAPI], tmp_path: Path
) -> None:
    few = Rate(count=3, seconds=900)
    many = ("login.address", "login.everywhere", "register.address")
    rates = {name: Rate(count=100, seconds=900) for name in many}
    app = make_app(tmp_path, rates={**rates, "login.account": few})
    with TestClient(app, headers={"Origin": "http://testserver"}) as client:
        credentials = {"login": "somebody", "password": "guess"}
        statuses = [client.post("/api/v1/login", json=credentials).status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        other = client.post("/api/v1/login", json={**credentials, "login": "another"})
        assert other.status_code == 401


def test_a_stranger_who_guesses_locks_nobody_out(
    make_app: Callable[..., FastAPI], tmp_path: Path
) -> None:
    rates = {
        "login.account": Rate(count=2, seconds=900),
        "login.everywhere": Rate(count=5, seconds=900),
        "login.address": Rate(count=100, seconds=900),
    }
    app = make_app(tmp_path, rates=rates)
    credentials = {"login": "somebody", "password": "guess"}

    def tried(address: str, times: int) -> list[int]:
        client = TestClient(app, headers={"Origin": "http://testserver"}, client=(address, 4711))
        return [client.post("/api/v1/login", json=credentials).status_code for _ in range(times)]

    with TestClient(app):
        assert tried("192.0.2.1", 4) == [401, 401, 429, 429]
        # The handler's own address is another one; but many addresses at once are held back together.
        assert tried("192.0.2.2", 2) == [401, 401]
        assert tried("192.0.2.3", 2) == [401, 429]


def test_roles_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        access.roles_text(frozenset({Role.OPERATOR, Role.HANDLER}), organisation_id="pty_x")
    assert caught.value.error_code == "account.operator_alone"
    with pytest.raises(InputError) as caught:
        access.roles_text(frozenset({Role.HANDLER}), organisation_id=None)
    assert caught.value.error_code == "account.role_needs_organisation"
    assert access.roles_text(frozenset({Role.ADMIN, Role.HANDLER}), organisation_id="x") == (
        "admin handler"
    )
