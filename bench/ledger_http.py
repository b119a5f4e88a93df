"""Single entries over HTTP: `fuqi serve` with its worker as a process, one client and eight, on loopback."""

from __future__ import annotations

import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import requests
from sqlalchemy import insert

from api.callers import Role
from api.compose import open_ports
from api.flows.access import create_account
from api.flows.registration import register
from api.settings import Settings
from api.testing import PASSWORD, invented_registration
from bench.measure import Measure
from ledger import store
from ledger.core.ids import new_id
from ledger.log import NewEntry, journal_row
from ledger.tables.log import EntryRow
from ledger.vault import SALT_BYTES

ROOT = Path(__file__).resolve().parent.parent
REQUESTS = 300
CLIENTS = 8
LOGIN = "bench-system"
START_SECONDS_MAX = 60


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as name:
        home = Path(name)
        raw = _prepare(home)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        server = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from api.cli import main; main()",
                "serve",
                "--port",
                str(port),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "FUQI_HOME": str(home),
                "FUQI_PUBLIC_URL": url,
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            client = _client(url)
            _post(client, url, 20)
            took = sorted(_post(client, url, REQUESTS))
            against = "the commit of one such row by SQLAlchemy Core in this process"
            yield Measure("http.entry_p50", statistics.median(took), "ms", REQUESTS, raw, against)
            yield Measure("http.entry_p99", took[len(took) * 99 // 100], "ms", REQUESTS)
            clients = [_client(url) for _ in range(CLIENTS)]
            began = time.perf_counter()
            many = sorted(_at_once(clients, url, REQUESTS // CLIENTS))
            rate = len(many) / (time.perf_counter() - began)
            yield Measure(
                f"http.entry_p50_{CLIENTS}_clients", statistics.median(many), "ms", len(many)
            )
            yield Measure(
                f"http.entry_p99_{CLIENTS}_clients", many[len(many) * 99 // 100], "ms", len(many)
            )
            yield Measure(f"http.entries_{CLIENTS}_clients", rate, "entries/s", len(many))
        finally:
            server.terminate()
            server.wait(timeout=30)


def _prepare(home: Path) -> float:
    """An installation with one outside system's account; returns what a bare commit costs, in ms."""
    at = datetime.now(UTC)
    ports = open_ports(Settings(home=home, demo=True), at=at)
    tenant = register(ports, invented_registration("bench-tenant", "donor", at=at), at=at)
    with store.transaction(ports.sessions) as session:
        create_account(
            session,
            account_id=new_id("acc", at=at),
            login=LOGIN,
            password=PASSWORD,
            roles=frozenset({Role.INTEGRATION}),
            person_id=None,
            organisation_id=tenant.organisation.id,
            invented=True,
            at=at,
        )
    ports.engine.dispose()
    return _bare_commit_ms(home / "bare.sqlite3", at=at)


def _bare_commit_ms(path: Path, *, at: datetime) -> float:
    url = f"sqlite:///{path}"
    store.migrate(url)
    engine = store.make_engine(url)
    sessions = store.sessions(engine)
    took: list[float] = []
    for number in range(REQUESTS):
        entry = NewEntry(new_id("ent", at=at), "document.opened", at, "agr_one", "system", {})
        row = journal_row(
            entry, b"{}", order=number + 1, salt=secrets.token_bytes(SALT_BYTES), prev=None
        )
        began = time.perf_counter()
        with store.transaction(sessions) as session:
            session.execute(insert(EntryRow.__table__), [row])
        took.append((time.perf_counter() - began) * 1000)
    engine.dispose()
    return statistics.median(took)


def _client(url: str) -> requests.Session:
    client = requests.Session()
    client.headers["Origin"] = url
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            answer = client.post(
                f"{url}/api/v1/login", json={"login": LOGIN, "password": PASSWORD}, timeout=30
            )
        except requests.ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
            continue
        answer.raise_for_status()
        return client


def _post(client: requests.Session, url: str, count: int) -> list[float]:
    """Milliseconds of `count` requests, one after the other, each a new entry."""
    took: list[float] = []
    for number in range(count):
        at = datetime.now(UTC)
        body = {
            "id": new_id("ent", at=at),
            "subject": new_id("ext", at=at),
            "kind": "lot.checked",
            "happened_at": "2026-11-22T04:00:00Z",
            "data": {"lot": f"bench-{number}", "temperature_tenth": 45, "passed": True},
        }
        began = time.perf_counter()
        answer = client.post(f"{url}/api/v1/entries", json=body, timeout=30)
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 201, answer.text
    return took


def _at_once(clients: list[requests.Session], url: str, each: int) -> list[float]:
    took: list[float] = []
    threads = [
        threading.Thread(target=lambda client=client: took.extend(_post(client, url, each)))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == each * len(clients)
    return took
