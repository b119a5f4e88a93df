"""A throw-away PostgreSQL server for the benches, on a unix socket; fsync and synchronous_commit are on."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

START_SECONDS_MAX = 30


@contextmanager
def postgres_databases(count: int) -> Iterator[list[str]]:
    """URLs of empty databases on one server, gone afterwards; none where there is no server to be had.

    `FUQI_TEST_POSTGRES_URL` names a server; else a private one is started and removed.
    """
    with _server() as url:
        if url is None:
            yield []
            return
        admin = make_url(url).set(drivername="postgresql+psycopg")
        engine = create_engine(admin, isolation_level="AUTOCOMMIT")
        names = [f"fuqi_bench_{secrets.token_hex(6)}" for _ in range(count)]
        try:
            with engine.connect() as connection:
                for name in names:
                    connection.execute(
                        text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
                    )
            own = admin.set(drivername="postgresql")
            yield [own.set(database=one).render_as_string(hide_password=False) for one in names]
        finally:
            with engine.connect() as connection:
                for name in names:
                    connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            engine.dispose()


@contextmanager
def _server() -> Iterator[str | None]:
    named = os.environ.get("FUQI_TEST_POSTGRES_URL")
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parent.parent.name.split(".")[0]),
    )
    if named or not found:
        yield named
        return
    # Socket paths are short, and the postgres user must reach the folder.
    folder = Path(tempfile.mkdtemp(prefix="fuqi-bench-pg-", dir="/tmp"))
    whom: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        whom = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    programs, data = found[-1].parent, str(folder / "data")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    subprocess.run(
        [*whom, programs / "initdb", "-D", data, "-U", "fuqi", "-A", "trust", "-E", "UTF8"],
        check=True,
        **quiet,
    )
    server = subprocess.Popen(
        [*whom, programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="], **quiet
    )
    try:
        until = time.monotonic() + START_SECONDS_MAX
        while not (folder / ".s.PGSQL.5432").exists() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)
        yield f"postgresql://fuqi@/postgres?host={folder}"
    finally:
        server.send_signal(2)  # fast shutdown
        server.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
