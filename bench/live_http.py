"""An urgent need over HTTP, its decision in the answer: record, certificate, check and receipt included.

The Hubei data set where it lies beside the project, else the packaged sample. The server runs in this process,
on loopback, with its clock set to the day of the data; the CPU figure holds client and server together.
"""

from __future__ import annotations

import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from api.app import create_app
from api.callers import OPERATOR
from api.compose import open_ports
from api.demo_state import DATA_FOLDER
from api.flows.importing import generate_donor_lots, import_dataset
from api.flows.live_market import items_of
from api.flows.registration import register
from api.flows.round_inputs import collect
from api.limits import RATES, Rate
from api.ports import Ports
from api.settings import Settings
from api.testing import PASSWORD, invented_registration
from bench.measure import Measure
from bench.servers import postgres_databases
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.supply import HospitalRow
from matching.check import check_plan
from matching.problem import Policy
from matching.services import published_catalogue
from matching.solve import solve

REQUESTS = 60
WARM = 10
HOSPITALS = 20
NOON = 12
PLENTY = {rule: Rate(count=1_000_000, seconds=3600) for rule in RATES}
START_SECONDS_MAX = 30


def measures() -> Iterator[Measure]:
    yield from _measured("sqlite", None)
    with postgres_databases(1) as urls:
        for url in urls:
            yield from _measured("postgres", url)


def _measured(name: str, database: str | None) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as folder:
        settings = {"home": Path(folder), "demo": True, "urgent_per_hospital_day": 1000}
        if database is not None:
            settings["database_url"] = database
        at, hospitals, cold = _prepare(Settings(**settings))
        clock = _Clock(at)
        with _served(settings, clock) as url:
            client = requests.Session()
            client.headers["Origin"] = url
            login = {"login": "bench-hospital", "password": PASSWORD}
            client.post(f"{url}/api/v1/login", json=login, timeout=30).raise_for_status()
            _post(client, url, clock, hospitals, WARM)
            cpu = time.process_time()
            took = sorted(_post(client, url, clock, hospitals, REQUESTS))
            cpu = (time.process_time() - cpu) * 1000 / REQUESTS
        against = "a cold solve of the same class with its check, in this process"
        yield Measure(
            f"live.urgent_http_p50_{name}", statistics.median(took), "ms", REQUESTS, cold, against
        )
        yield Measure(f"live.urgent_http_p95_{name}", took[len(took) * 95 // 100], "ms", REQUESTS)
        yield Measure(f"live.urgent_http_cpu_{name}", cpu, "ms", REQUESTS)


class _Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def _prepare(settings: Settings) -> tuple[datetime, list[str], float]:
    """(noon of the data's day, hospitals of one organisation, what a cold solve costs in ms)."""
    began = datetime.now(UTC)
    ports = open_ports(settings, at=began)
    folder = DATA_FOLDER if DATA_FOLDER.is_dir() else None
    run = import_dataset(ports, OPERATOR, at=began, folder=folder)
    generate_donor_lots(ports, OPERATOR, run_id=run.run_id, at=began)
    at = datetime(run.as_of.year, run.as_of.month, run.as_of.day, NOON, tzinfo=UTC)
    made = register(ports, invented_registration("bench-hospital", "hospital", at=at), at=at)
    with transaction(ports.sessions) as session:
        query = select(HospitalRow).where(HospitalRow.agency.is_(False)).order_by(HospitalRow.id)
        hospitals = session.scalars(query.limit(HOSPITALS)).all()
        for one in hospitals:
            one.organisation_id = made.organisation.id
        ids = [one.id for one in hospitals]
    cold = _cold_ms(ports, at=at)
    ports.engine.dispose()
    return at, ids, cold


def _cold_ms(ports: Ports, *, at: datetime) -> float:
    items = items_of("mask", catalogue=published_catalogue())
    with transaction(ports.readers) as session:
        problem = collect(session, "bench", day=at.date(), policy=Policy(), items=items)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        found = solve(problem)
        check_plan(problem, found.plan, found.certificate).require()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


@contextmanager
def _served(settings: dict[str, object], clock: _Clock) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    app: FastAPI = create_app(Settings(**settings, public_url=url), clock=clock, rates=PLENTY)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_SECONDS_MAX
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(timeout=START_SECONDS_MAX)


def _post(
    client: requests.Session, url: str, clock: _Clock, hospitals: list[str], count: int
) -> list[float]:
    """Milliseconds of `count` urgent needs, one after the other."""
    took = []
    for number in range(count):
        clock.at += timedelta(seconds=1)
        body = {
            "id": new_id("need", at=clock.at),
            "hospital_id": hospitals[number % len(hospitals)],
            "item": "医用外科口罩",
            "quantity": 50 + number,
            "deadline_on": (clock.at.date() + timedelta(days=3)).isoformat(),
            "reason": "bench",
        }
        began = time.perf_counter()
        answer = client.post(f"{url}/api/v1/urgent-needs", json=body, timeout=60)
        took.append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
        facts = answer.json()
        assert facts["checker"] == "passed"
        assert facts["receipt"]["v"].startswith("fuqi/receipt/")
    return took
