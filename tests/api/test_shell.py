"""The shell: problem documents, headers, host and origin, body limits, commit scope."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from starlette.testclient import TestClient

import api.app
from api.deps import PUBLIC, AtDep, SessionDep
from api.edge import BODY_BYTES_MAX
from api.limits import Rate, RateLimiter, RateLimitError
from ledger.core import errors

ROUTER = APIRouter(prefix="/api/v1/test", dependencies=[Depends(PUBLIC)])
RAISED = {
    "input": (errors.InputError("m"), 422, "input.invalid"),
    "limit": (errors.LimitError("m", code="x.limit", bytes_max=3), 413, "x.limit"),
    "forbidden": (errors.ForbiddenError("m"), 403, "auth.forbidden"),
    "not_found": (errors.NotFoundError("m"), 404, "not_found"),
    "conflict": (errors.ConflictError("m"), 409, "state.conflict"),
    "different": (
        errors.ExistsWithDifferentFieldError("m", field="title"),
        409,
        "state.exists_with_different_field",
    ),
    "verification": (errors.VerificationError("m", code="v.x"), 422, "v.x"),
    "unavailable": (errors.UnavailableError("m"), 503, "unavailable"),
    "rate": (RateLimitError("m", retry_after_seconds=7), 429, "rate.limited"),
    "race": (errors.ConflictError("m", code="concurrent_write"), 409, "concurrent_write"),
    # Neither taken nor referring to what is gone: a row that we should not have tried to write.
    "integrity": (IntegrityError("s", {}, Exception()), 500, "internal"),
    "assertion": (AssertionError("secret detail"), 500, "internal"),
    "bug": (KeyError("secret detail"), 500, "internal"),
}


@ROUTER.get("/raise/{name}")
def raise_error(name: str) -> None:
    raise RAISED[name][0]


@ROUTER.post("/echo")
def echo(body: dict[str, Any]) -> int:
    return len(body)


@ROUTER.post("/commit")
def commit(session: SessionDep, fail: bool) -> dict[str, bool]:
    session.execute(text("CREATE TABLE IF NOT EXISTS shell_test (id INTEGER PRIMARY KEY)"))
    if fail:
        # A deferred foreign key is checked at commit, after the endpoint has returned.
        session.execute(text("PRAGMA defer_foreign_keys=ON"))
        session.execute(
            text(
                "INSERT INTO login_session (token_sha256, account_id, created_at, expires_at)"
                " VALUES ('x', 'acc_nobody', '2026-01-01', '2026-01-01')"
            )
        )
    return {"ok": True}


@ROUTER.get("/time")
def time(at: AtDep) -> str:
    return at.isoformat()


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, make_app: Callable[..., FastAPI]
) -> Iterator[TestClient]:
    app = make_app(tmp_path_factory.mktemp("home"))
    app.include_router(ROUTER)
    with TestClient(app, headers={"Origin": "http://testserver"}) as client:
        yield client


@pytest.mark.parametrize("name", RAISED)
def test_each_error_answers_its_status_as_a_problem_document(client: TestClient, name: str) -> None:
    _, status, code = RAISED[name]
    answer = client.get(f"/api/v1/test/raise/{name}")
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"urn:fuqi:error:{code}"
    assert set(body) >= {"title", "detail", "context", "retryable", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]


def test_context_reaches_the_client_and_a_bug_says_nothing(client: TestClient) -> None:
    assert client.get("/api/v1/test/raise/different").json()["context"] == {"field": "title"}
    for name in ("assertion", "bug"):
        assert "secret" not in client.get(f"/api/v1/test/raise/{name}").text


def test_what_may_be_tried_again_says_so(client: TestClient) -> None:
    retryable = {
        name for name in RAISED if client.get(f"/api/v1/test/raise/{name}").json()["retryable"]
    }
    assert retryable == {"unavailable", "rate", "race"}
    assert client.get("/api/v1/test/raise/unavailable").headers["retry-after"] == "2"
    assert client.get("/api/v1/test/raise/rate").headers["retry-after"] == "7"


def test_a_refusal_is_logged_with_its_code_and_request_and_without_the_path(
    client: TestClient,
) -> None:
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as events:
        answer = client.get("/api/v1/rounds/rnd_secret")
    [event] = [one for one in events if one["event"] == "request.refused"]
    assert event["code"] == "auth.required"
    assert event["request_id"] == answer.headers["x-request-id"]
    assert event["route"] == "/api/v1/rounds/{round_id}"
    assert "rnd_secret" not in str(event)


def test_a_malformed_body_names_the_place_and_never_the_value(client: TestClient) -> None:
    answer = client.post("/api/v1/login", json={"login": "a", "password": ["hunter2"]})
    assert answer.status_code == 422
    assert answer.json()["context"]["faults"][0]["where"] == "body.password"
    assert "hunter2" not in answer.text


def test_an_unknown_field_is_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/login", json={"login": "a", "password": "b", "pasword": "c"})
    assert answer.status_code == 422


def test_a_commit_that_succeeds_answers_200(client: TestClient) -> None:
    assert client.post("/api/v1/test/commit?fail=false").json() == {"ok": True}


def test_a_commit_that_fails_is_told_to_the_client(client: TestClient) -> None:
    answer = client.post("/api/v1/test/commit?fail=true")
    assert (answer.status_code, answer.json()["code"]) == (409, "concurrent_write")


def test_the_clock_is_the_one_the_app_was_given(client: TestClient) -> None:
    assert client.get("/api/v1/test/time").json() == "2026-11-23T06:00:00+00:00"


@pytest.mark.parametrize("path", ["/", "/api/v1/me", "/nowhere", "/static/app.css"])
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/static/app.css", "/api/v1/health", "/nowhere"])
def test_head_answers_as_get_does_without_a_body(client: TestClient, path: str) -> None:
    asked, read = client.head(path), client.get(path)
    assert (asked.status_code, asked.content) == (read.status_code, b"")
    assert asked.headers["content-length"] == str(len(read.content))


def test_head_opens_nothing_that_a_form_alone_may(client: TestClient) -> None:
    assert client.head("/logout").status_code == 405


def test_pages_hold_nothing_that_the_policy_forbids(client: TestClient) -> None:
    for path in ("/", "/login", "/register", "/docs", "/board", "/disclosure", "/verify"):
        page = client.get(path)
        assert page.status_code == 200
        assert " style=" not in page.text
        assert "<style" not in page.text
        assert " onclick=" not in page.text
        assert "http://" not in page.text.replace("http://testserver", "")
        assert "https://" not in page.text


def test_a_body_over_the_limit_is_refused_by_its_length(client: TestClient) -> None:
    answer = client.post("/api/v1/test/echo", content=b"x" * (BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")
    assert answer.json()["context"] == {"bytes_max": BODY_BYTES_MAX}


def test_a_body_over_the_limit_is_refused_while_it_streams(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"a": "'
        for _ in range(BODY_BYTES_MAX // 1000 + 1):
            yield b"x" * 1000

    answer = client.post(
        "/api/v1/test/echo", content=chunks(), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")


def test_a_body_within_the_limit_is_taken(client: TestClient) -> None:
    assert client.post("/api/v1/test/echo", json={"a": "x" * 1000}).json() == 1


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", ""])
def test_an_unknown_host_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/v1/health", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (400, "host.unknown")


@pytest.mark.parametrize("host", ["testserver", "TESTSERVER:8000", "127.0.0.1:8000", "localhost"])
def test_our_own_hosts_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/api/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_form_from_another_site_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/logout", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf.origin")


def test_a_cookie_without_an_origin_changes_nothing(world: Any) -> None:
    client = TestClient(world.app)
    client.cookies.set("fuqi_session", "x" * 43)
    assert client.post("/api/v1/logout").json()["code"] == "csrf.origin"


def test_our_own_form_is_taken(client: TestClient) -> None:
    assert client.post("/logout", follow_redirects=False).status_code == 303


def test_an_unknown_page_is_a_page_for_people_and_a_problem_for_machines(
    client: TestClient,
) -> None:
    page = client.get("/nowhere", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "没有这个页面或记录" in page.text
    assert client.get("/nowhere").json()["code"] == "not_found"


def test_attempts_are_counted_per_window_and_forgotten_after_it(clock: Any) -> None:
    limiter = RateLimiter(rates={"r": Rate(count=2, seconds=60)})
    at = clock.at
    limiter.attempt("r", who="a", at=at)
    limiter.attempt("r", who="a", at=at)
    limiter.attempt("r", who="b", at=at)
    with pytest.raises(RateLimitError) as caught:
        limiter.attempt("r", who="a", at=at)
    assert caught.value.context["retry_after_seconds"] == 60
    limiter.attempt("r", who="a", at=at + timedelta(seconds=60))


def test_a_route_without_a_rule_stops_the_start(
    tmp_path: Path, make_app: Callable[..., FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter()

    @router.get("/forgotten")
    def forgotten(request: Request) -> None:
        del request

    monkeypatch.setattr(api.app, "ROUTERS", (router,))
    with pytest.raises(RuntimeError, match="/forgotten"):
        make_app(tmp_path)


def test_a_route_with_two_rules_stops_the_start(
    tmp_path: Path, make_app: Callable[..., FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter(dependencies=[Depends(PUBLIC)])

    @router.get("/unclear")
    def unclear(caller: Annotated[object, Depends(api.deps.OPERATOR)]) -> None:
        del caller

    monkeypatch.setattr(api.app, "ROUTERS", (router,))
    with pytest.raises(RuntimeError, match="/unclear"):
        make_app(tmp_path)


def test_a_deeply_nested_request_is_refused_and_does_not_kill_the_server(client):
    """web3's dependencies raise the recursion limit so far that json's C parser would overflow the stack."""
    deep = b'{"a":' + b"[" * 200_000
    answer = client.post(
        "/api/v1/register", content=deep, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400, "refused by the parser, not by the size limit"
    assert client.get("/api/v1/health").status_code == 200
