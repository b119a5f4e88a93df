"""What every test shares: no network, repeatable examples, the real data, a private PostgreSQL."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest
from hypothesis import HealthCheck, settings

from ledger.core.recursion import cap_recursion

ROOT = Path(__file__).resolve().parent.parent
POSTGRES_START_SECONDS = 30

# ------------------------------------------------------------------ hypothesis
settings.register_profile("dev", deadline=None, max_examples=50)
# CI must judge the change, not the dice: the same examples every time.
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=2_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(
    os.environ.get("FUQI_HYPOTHESIS") or ("ci" if os.environ.get("CI") else "dev")
)


# ------------------------------------------------------------------ network
class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine."""


def is_local(address: object) -> bool:
    """Whether a socket address stays on this machine: a unix path, or a loopback IP address."""
    if isinstance(address, str | bytes):
        return True
    if not isinstance(address, tuple) or not address:
        return False
    host = address[0]
    if host in ("", "localhost", None):
        return True
    try:
        return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return False


def _block_network(event: str, arguments: tuple[object, ...]) -> None:
    # An audit hook sees every socket of this process, whichever library opened it, name look-ups too.
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1] if len(arguments) > 1 else None
        if address is not None and not is_local(address):
            raise NetworkBlockedError(f"tests stay on this machine, this one asked for {address!r}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name is not None and not is_local((name, 0)):
            raise NetworkBlockedError(f"tests look up no names, this one asked for {name!r}")


sys.addaudithook(_block_network)


# ------------------------------------------------------------------ recursion
def pytest_runtest_setup() -> None:
    """Undo what py-evm does on import (also when a test imports it itself): see `ledger.core.recursion`."""
    cap_recursion()


# ------------------------------------------------------------------ data
@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the work tree."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository; most machines do not have it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("../shared (the real data) is not on this machine")
    return folder


# ------------------------------------------------------------------ PKCS#11
SOFTHSM_PLACES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token made for one test file; nothing in it is real."""

    module: Path
    name: str
    pin: str


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """A fresh SoftHSM token.

    The library reads its settings once in the life of a process, and other test files of this process
    had tokens of their own: so it is loaded anew, before and after.
    """
    module = next((path for path in SOFTHSM_PLACES if path.exists()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("needs SoftHSM: apt-get install softhsm2")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    token = Token(module=module, name=f"invented-{folder.name}", pin="4711")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(config))
        made = ["softhsm2-util", "--init-token", "--free", "--label", token.name]
        subprocess.run(
            [*made, "--so-pin", "0815", "--pin", token.pin], check=True, capture_output=True
        )
        pkcs11.unload(str(module))
        yield token
        pkcs11.unload(str(module))


# ------------------------------------------------------------------ PostgreSQL
def _postgres_programs() -> Path | None:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parent.parent.name.split(".")[0]),
    )
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _as_whom() -> list[str]:
    """The front of a command line: initdb refuses root; a killed test run takes its server along."""
    if os.geteuid() != 0:
        return ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
    return [
        *("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"),
        *("--pdeathsig", "INT", "--"),
    ]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server in which tests may make databases, ending in the maintenance database.

    `FUQI_TEST_POSTGRES_URL` names one; otherwise a private server is started in a temporary folder,
    on a unix socket only, and removed at the end.
    """
    named = os.environ.get("FUQI_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine: sudo apt-get install postgresql")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses to run as root and setpriv (util-linux) is not here")
    # Not below pytest's own folder: that is closed to the postgres user, and socket paths are short.
    folder = Path(tempfile.mkdtemp(prefix="fuqi-pg-", dir="/tmp"))
    server: subprocess.Popen[bytes] | None = None
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data, log = folder / "data", folder / "log"
        made = subprocess.run(
            [
                *_as_whom(),
                *(str(programs / "initdb"), "-D", str(data), "-U", "fuqi", "-A", "trust"),
                *("-E", "UTF8", "--locale=C", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=folder,
        )
        if made.returncode != 0:
            pytest.fail(f"initdb failed: {made.stderr[-2000:]}")
        with log.open("wb") as output:
            server = subprocess.Popen(
                [
                    *_as_whom(),
                    *(str(programs / "postgres"), "-D", str(data), "-k", str(folder)),
                    *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100"),
                ],
                stdout=output,
                stderr=output,
                cwd=folder,
            )
        _wait_for_socket(folder, server=server, log=log)
        yield f"postgresql://fuqi@/postgres?host={folder}"
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(2)  # fast shutdown: open sessions are ended
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_socket(folder: Path, *, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + POSTGRES_START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        ready = "ready to accept connections" in log.read_text(errors="replace")
        if ready and (folder / ".s.PGSQL.5432").exists():
            return
        time.sleep(0.05)
    pytest.fail(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")
