"""Home, health, static files and the API description; everything offline."""

from __future__ import annotations

from typing import Any, Final, cast

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from api.deps import PUBLIC, AtDep, Operator, PortsDep, SessionDep, Visitor
from api.schemas.base import Health
from api.views.health import figures, metrics_text, resting_of
from api.web.pages import Pages, rests_on
from ledger.core.errors import NotFoundError

router = APIRouter()

METHODS: Final = ("get", "post", "put", "patch", "delete")
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ASSET_CACHE: Final = "public, max-age=31536000, immutable"
MODULE_CACHE: Final = "public, no-cache"
"""For an address without the digest: modules import each other by plain name and must never be stale."""


def pages_of(request: Request) -> Pages:
    """The pages of this app."""
    return cast("Pages", request.app.state.pages)


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def home_page(request: Request, caller: Visitor) -> Response:
    """What this is, and where to begin."""
    return pages_of(request).page(request, "home.html", caller=caller)


@router.get("/api/v1/health", tags=["base"], dependencies=[Depends(PUBLIC)])
def health(request: Request, session: SessionDep, at: AtDep) -> Health:
    """Whether the database answers, what this installation is and rests on, and where its log stands."""
    pages = pages_of(request)
    found = figures(session, at=at)
    return Health(
        status="ok",
        version=request.app.version,
        demo=pages.settings.demo,
        operator=pages.settings.operator_name,
        production=pages.settings.production,
        rests_on=dict(rests_on(pages.settings)),
        entries_waiting=found.entries_waiting,
        log_size=found.log_size,
        anchored_size=found.anchored_size,
        unanchored_seconds=found.unanchored_seconds,
        rounds_alarmed=found.rounds_alarmed,
    )


@router.get("/api/v1/metrics", tags=["base"], response_class=Response)
def metrics(session: SessionDep, ports: PortsDep, at: AtDep, caller: Operator) -> Response:
    """The same figures for Prometheus, and how many addresses of outside authorities rest."""
    del caller
    parts = {
        "ca": ports.authority,
        "ocsp": ports.ocsp,
        "tsa": ports.tsa,
        "identity": ports.provider,
        "messages": ports.messenger,
    }
    text = metrics_text(figures(session, at=at), resting_of(parts))
    return Response(text, media_type=METRICS_TYPE)


@router.get("/static/{name}", include_in_schema=False, dependencies=[Depends(PUBLIC)])
def static_file(request: Request, name: str) -> Response:
    """One of the few files the pages use; kept for ever where the address carries its digest."""
    asset = pages_of(request).assets.get(name)
    if asset is None:
        raise NotFoundError("there is no such file")
    tag = f'"{asset.version}"'
    exact = request.query_params.get("v") == asset.version
    headers = {"Cache-Control": ASSET_CACHE if exact else MODULE_CACHE, "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)


@router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(PUBLIC)])
def openapi(request: Request) -> dict[str, Any]:
    """The OpenAPI description."""
    return cast("dict[str, Any]", request.app.openapi())


@router.get("/docs", response_class=HTMLResponse, include_in_schema=False)
def docs_page(request: Request, caller: Visitor) -> Response:
    """The same description for people, rendered here: no script and nothing from another host."""
    description = request.app.openapi()
    return pages_of(request).page(
        request,
        "docs.html",
        caller=caller,
        info=description["info"],
        groups=_groups(description),
        schemas=description.get("components", {}).get("schemas", {}),
    )


def _groups(description: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by tag, in order of declaration."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in description["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                groups.setdefault(operation.get("tags", ["other"])[0], []).append(
                    {
                        "method": method.upper(),
                        "path": path,
                        "id": operation["operationId"],
                        "summary": operation.get("summary", ""),
                        "description": operation.get("description", ""),
                        "parameters": operation.get("parameters", []),
                        "body": _body(operation),
                        "answer": _answer(operation),
                    }
                )
    return groups


def _body(operation: dict[str, Any]) -> dict[str, str] | None:
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, value in content.items():
        return {"type": media_type, "schema": _schema_name(value.get("schema", {}))}
    return None


def _answer(operation: dict[str, Any]) -> str:
    for status, answer in operation.get("responses", {}).items():
        if status.startswith("2"):
            for value in answer.get("content", {}).values():
                return _schema_name(value.get("schema", {}))
    return ""


def _schema_name(schema: dict[str, Any]) -> str:
    reference = str(schema.get("$ref", ""))
    return reference.rsplit("/", 1)[-1]
