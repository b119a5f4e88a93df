"""An app with real embedded ports in a temporary home, two organisations and every role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from api.callers import Role
from api.flows.access import create_account
from api.flows.registration import register
from api.limits import RATES, Rate
from api.settings import Settings
from api.testing import PASSWORD, invented_registration
from ledger.core.ids import new_id
from ledger.store import transaction

ORIGIN = "http://testserver"
PLENTY = {rule: Rate(count=100_000, seconds=3600) for rule in RATES}


@dataclass
class Clock:
    """A clock that tests move by hand."""

    at: datetime = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class Tenant:
    """An invented organisation with one handler."""

    login: str
    organisation_id: str
    person_id: str
    account_id: str


@dataclass
class World:
    """A running app and who is in it."""

    app: FastAPI
    clock: Clock
    anyone: TestClient
    donor: Tenant
    hospital: Tenant
    clients: dict[str, TestClient] = field(default_factory=dict)

    def client(self, login: str | None) -> TestClient:
        """A client logged in as `login`, or one that is not logged in."""
        if login is None:
            return self.anyone
        if login not in self.clients:
            client = TestClient(self.app, headers={"Origin": ORIGIN})
            answer = client.post("/api/v1/login", json={"login": login, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            self.clients[login] = client
        return self.clients[login]


@pytest.fixture(scope="session", autouse=True)
def quiet_log() -> Iterator[None]:
    """The default log draws every local variable of a traceback, which takes seconds."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def make_app(clock: Clock) -> Callable[..., FastAPI]:
    def make(home: Path, **options: object) -> FastAPI:
        settings = Settings(home=home, public_url=ORIGIN, demo=True)
        return create_app(settings, clock=clock, **{"rates": PLENTY, **options})

    return make


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, make_app: Callable[..., FastAPI], clock: Clock
) -> Iterator[World]:
    app = make_app(tmp_path_factory.mktemp("home"))
    with TestClient(app, headers={"Origin": ORIGIN}) as anyone:
        ports = app.state.shell.ports
        tenants = []
        for name, category in (("donor", "donor"), ("hospital", "hospital")):
            made = register(ports, invented_registration(name, category, at=clock.at), at=clock.at)
            tenants.append(Tenant(name, made.organisation.id, made.person.id, made.account.id))
        with transaction(ports.sessions) as session:
            for role in (Role.OPERATOR, Role.ARBITRATOR):
                create_account(
                    session,
                    account_id=new_id("acc", at=clock.at),
                    login=role.value,
                    password=PASSWORD,
                    roles=frozenset({role}),
                    person_id=None,
                    organisation_id=None,
                    invented=True,
                    at=clock.at,
                )
        yield World(app, clock, anyone, tenants[0], tenants[1])
