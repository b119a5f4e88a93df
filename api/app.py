"""The HTTP shell: ports composed once, routes, error handlers, middleware."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.concurrency import run_in_threadpool

from api.compose import open_chain, open_ports
from api.deps import Rule, Shell
from api.edge import BodyLimit, OwnSiteOnly, RequestEdge, Site
from api.errors import add_error_handlers
from api.limits import RATES, Rate, RateLimiter
from api.ports import Ports
from api.routes.table import ROUTERS
from api.settings import Settings
from api.web.pages import Pages
from api.worker import Worker
from ledger.attempts import open_attempts

DESCRIPTION: Final = (
    "Real-name remote signing, chain-anchored evidence and provably best allocation of medical "
    "supplies. Callers make ids: the same id with the same body answers the same record, the same id "
    "with another body answers 409 and names the field. Refusals are RFC 9457 problem documents."
)

WORKER_STOP_SECONDS: Final = 10


def utc_now() -> datetime:
    """The clock of the edge; everything below gets the time as a value."""
    return datetime.now(UTC)


def create_app(
    settings: Settings,
    *,
    run_worker: bool = False,
    clock: Callable[[], datetime] = utc_now,
    rates: Mapping[str, Rate] = RATES,
    more_hosts: frozenset[str] = frozenset(),
    compose: Callable[..., Ports] = open_ports,
) -> FastAPI:
    """The application of one installation.

    Args:
        settings: how this installation runs; nothing else is read from outside.
        run_worker: sequence and anchor in this process too; with the embedded chain there is only one.
        clock: aware UTC time; tests pass their own.
        rates: limits on attempts.
        more_hosts: host names besides the one in `settings.public_url`.
        compose: makes the ports when the application starts.

    Raises:
        RuntimeError: under `python -O`, which would remove the invariants; or a route without a rule.
    """
    if not __debug__:
        raise RuntimeError("fuqi does not run under python -O: its invariants are asserts")
    site = Site(settings.public_url, more_hosts=more_hosts, public_only=settings.production)
    pages = Pages(settings=settings, site=site)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ports = await run_in_threadpool(compose, settings, at=clock())
        attempts = open_attempts(ports.settings.database, home=ports.settings.home.resolve())
        limiter = RateLimiter(rates=rates, attempts=attempts, digest=ports.keyed_digest)
        app.state.shell = Shell(ports=ports, clock=clock, limiter=limiter)
        worker = await run_in_threadpool(_start_worker, ports, clock) if run_worker else None
        try:
            yield
        finally:
            if worker is not None:
                await run_in_threadpool(worker.stop)
            attempts.close()
            ports.engine.dispose()

    app = FastAPI(
        title="fuqi 符契",
        version=version("fuqi"),
        description=DESCRIPTION,
        lifespan=lifespan,
        # The stock pages load scripts from a CDN, which the CSP and an offline network forbid.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.pages = pages
    app.state.page_of_problem = pages.problem
    add_error_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, file_bytes_max=settings.upload_bytes_max)
    app.add_middleware(OwnSiteOnly, site=site)
    app.add_middleware(RequestEdge, site=site)
    for router in ROUTERS:
        app.include_router(router)
    unruled = [f"{sorted(methods)} {path}" for methods, path, rule in rules_of(app) if rule is None]
    if unruled:
        raise RuntimeError(f"routes without a rule of access: {', '.join(unruled)}")
    return app


@dataclass(frozen=True, slots=True)
class _RunningWorker:
    worker: Worker
    thread: threading.Thread

    def stop(self) -> None:
        """Ask it to end and wait a little; being killed instead would lose nothing."""
        self.worker.stop()
        self.thread.join(timeout=WORKER_STOP_SECONDS)


def _start_worker(ports: Ports, clock: Callable[[], datetime]) -> _RunningWorker:
    chain = open_chain(ports.settings)
    worker = Worker(ports, chain, clock=clock)
    thread = threading.Thread(target=worker.run, name="fuqi-worker", daemon=True)
    thread.start()
    return _RunningWorker(worker, thread)


def rules_of(app: FastAPI) -> Iterator[tuple[frozenset[str], str, Rule | None]]:
    """(methods, path, rule) of every route; None where a route has no rule or more than one."""
    for context in iter_route_contexts(app.routes):
        dependant: Any = getattr(context, "dependant", None)
        found = set() if dependant is None else set(_rules_in(dependant))
        yield (
            frozenset(context.methods or ()),
            str(context.path),
            found.pop() if len(found) == 1 else None,
        )


def _rules_in(dependant: Dependant) -> Iterator[Rule]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Rule):
            yield inner.call
        yield from _rules_in(inner)
