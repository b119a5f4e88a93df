"""`fuqi serve` and `fuqi worker`."""

from __future__ import annotations

import signal
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from api.app import create_app
from api.compose import open_chain, open_ports
from api.runtime import configure_logging, demo_settings, load_settings, now
from api.worker import Worker, progress_of
from matching.incremental.warm import warm_up


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    worker: Annotated[
        bool,
        typer.Option(
            help="Run the worker in this process. With the embedded chain there is one process."
        ),
    ] = True,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve what `fuqi demo` made (var/demo).")
    ] = False,
) -> None:
    """Serve pages and JSON (OpenAPI at /docs)."""
    settings = demo_settings() if demo else load_settings()
    configure_logging(json=settings.production)
    # Opened here, not when the server starts: what lacks is then one clear line, no traceback.
    ports = open_ports(settings, at=now())
    # The first urgent need of a fresh installation must not wait for a compiler.
    warm_up()
    app = create_app(settings, run_worker=worker, compose=lambda *_settings, **_at: ports)
    Console(stderr=True).print(
        f"fuqi at http://{host}:{port}  (OpenAPI: /docs, stop with Ctrl-C)", highlight=False
    )
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Said outright: left out, uvicorn would read the environment by itself.
        forwarded_allow_ips=settings.trusted_proxies.split(),
    )


def worker(
    once: Annotated[
        bool, typer.Option("--once", help="Settle what waits, then stop (for cron or a test).")
    ] = False,
) -> None:
    """Sequence the journal and anchor checkpoints. Safe to kill at any moment."""
    settings = load_settings()
    configure_logging(json=settings.production)
    ports = open_ports(settings, at=now())
    chain = open_chain(settings)
    running = Worker(ports, chain, clock=now)
    if once:
        while not running.step().settled:
            pass
        progress = progress_of(ports)
        Console().print(f"{progress.anchored} of {progress.size} entries final", highlight=False)
        return
    signal.signal(signal.SIGTERM, lambda *_: running.stop())
    try:
        running.run()
    except KeyboardInterrupt:
        running.stop()
