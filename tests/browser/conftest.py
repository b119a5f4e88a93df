"""A served, populated app and a fresh Chromium; skipped where there is none."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.app import create_app
from api.ports import Ports
from api.settings import Settings
from api.testing import Populated, populate

CHROMIUM = Path(os.environ.get("FUQI_TEST_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name of ours that is not localhost: over plain HTTP it is no secure context.
    "--host-resolver-rules=MAP plain.fuqi.invalid 127.0.0.1",
]
PLAIN_HOST = "plain.fuqi.invalid"
START_SECONDS = 30


@dataclass(frozen=True)
class Site:
    """Where the app is served, and what is in it."""

    url: str
    populated: Populated
    ports: Ports

    @property
    def plain_url(self) -> str:
        """The same site under a name for which a browser offers no keys."""
        return self.url.replace("127.0.0.1", PLAIN_HOST)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    home = tmp_path_factory.mktemp("home")
    app = create_app(
        Settings(home=home, public_url=url, demo=True), more_hosts=frozenset({PLAIN_HOST})
    )
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    assert server.started
    try:
        ports = app.state.shell.ports
        yield Site(url, populate(ports, at=datetime.now(UTC)), ports)
    finally:
        server.should_exit = True
        thread.join(timeout=START_SECONDS)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.is_file():
        pytest.skip("no Chromium on this machine: sudo apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()
