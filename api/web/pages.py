"""Renders pages: Jinja templates, two languages, one stylesheet, no build step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.callers import Caller
from api.edge import LANGUAGE_COOKIE, Site
from api.errors import Problem
from api.settings import Settings
from api.web.i18n import LANGUAGES, Texts, load_texts

_HERE: Final = Path(__file__).parent
BEIJING: Final = timezone(timedelta(hours=8), "UTC+8")
"""Pages show the time the people concerned live in; machines get UTC."""
LANGUAGE_DAYS: Final = 365
ASSET_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file, read once at start."""

    body: bytes
    media_type: str
    version: str


@dataclass(frozen=True, slots=True)
class Paging:
    """Where in a list a page stands."""

    limit: int
    offset: int
    total: int

    @property
    def first(self) -> int:
        """Number of the first row shown, from 1; 0 when there is none."""
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return min(self.offset + self.limit, self.total)

    @property
    def before(self) -> int | None:
        """Offset of the page before, if any."""
        return max(self.offset - self.limit, 0) if self.offset else None

    @property
    def after(self) -> int | None:
        """Offset of the page after, if any."""
        return self.offset + self.limit if self.offset + self.limit < self.total else None


def rests_on(settings: Settings) -> Mapping[str, str]:
    """Which part is built in or mock (`""`), and by which host it is provided where it is not."""
    chain = "" if settings.chain_url is None else settings.chain_url.get_secret_value()
    outside = settings.identity_urls if settings.identity_provider == "http" else ""
    return {
        # The chain's address may hold a password; that there is one is all that is said.
        "chain": "JSON-RPC" if chain else "",
        "ca": _hosts(settings.ca_url or ""),
        "tsa": _hosts(settings.tsa_urls),
        "identity": _hosts(outside) or ("manual" if settings.identity_provider == "manual" else ""),
    }


def _hosts(urls: str) -> str:
    return ", ".join(dict.fromkeys(urlsplit(url).hostname or "" for url in urls.split()))


class Pages:
    """The pages of one installation."""

    def __init__(self, *, settings: Settings, site: Site) -> None:
        self.settings = settings
        self.site = site
        self.texts = load_texts()
        self.environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        # Chinese stays readable; `tojson` still escapes what HTML would read.
        self.environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
        self.environment.filters.update(
            when=show_time, day=show_day, number=show_number, percent=show_percent, utc=show_utc
        )

    @cached_property
    def assets(self) -> Mapping[str, Asset]:
        """Every static file by name."""
        found: dict[str, Asset] = {}
        for path in sorted((_HERE / "static").iterdir()):
            if path.suffix in ASSET_TYPES:
                body = path.read_bytes()
                digest = hashlib.sha256(body).hexdigest()[:16]
                found[path.name] = Asset(body, ASSET_TYPES[path.suffix], digest)
        return found

    def asset_address(self, name: str) -> str:
        """Address of a static file that changes with its content, so that it may be cached for ever."""
        return f"/static/{name}?v={self.assets[name].version}"

    def language(self, request: Request) -> str:
        """`?lang=`, else the cookie, else the installation's default."""
        for asked in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
            if asked in LANGUAGES:
                return str(asked)
        return self.settings.lang

    def texts_for(self, request: Request) -> Texts:
        """The texts in the language of this request."""
        return Texts(language=self.language(request), table=self.texts)

    def page(
        self,
        request: Request,
        template: str,
        *,
        caller: Caller | None,
        status: int = 200,
        **facts: Any,
    ) -> HTMLResponse:
        """Render a template with `facts`; the same facts stand at a JSON route."""
        texts = self.texts_for(request)
        html = self.environment.get_template(template).render(
            **facts,
            t=texts,
            lang=texts.language,
            caller=caller,
            roles=sorted(role.value for role in caller.roles) if caller else [],
            demo=self.settings.demo,
            operator_name=self.settings.operator_name,
            icp_filing=self.settings.declared_icp_filing,
            production=self.settings.production,
            rests=rests_on(self.settings),
            path=request.url.path,
            asset=self.asset_address,
            other_language=self._other_language(request, texts.language),
            link=_Link(request),
        )
        response = HTMLResponse(html, status_code=status)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE,
                texts.language,
                max_age=LANGUAGE_DAYS * 86_400,
                httponly=True,
                samesite="lax",
                secure=self.site.secure,
            )
        return response

    def problem(self, request: Request, problem: Problem) -> Response:
        """The page of a refusal."""
        caller = getattr(request.state, "caller", None)
        return self.page(
            request, "problem.html", caller=caller, status=problem.status, problem=problem
        )

    @staticmethod
    def _other_language(request: Request, language: str) -> str:
        other = "en" if language == "zh" else "zh"
        query = {**request.query_params, "lang": other}
        # The answer to a POST has no address of its own: switch on the page it was sent from.
        return f"{request.url.path}?{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class _Link:
    """Makes addresses of the same page with other parameters; None removes one."""

    request: Request

    def __call__(self, **changes: object) -> str:
        query = {k: v for k, v in self.request.query_params.items() if k != "lang"}
        for name, value in changes.items():
            if value is None:
                query.pop(name, None)
            else:
                query[name] = str(value)
        return self.request.url.path + (f"?{urlencode(query)}" if query else "")


def go(address: str) -> RedirectResponse:
    """Answer a form with a redirect, so that reloading sends nothing twice."""
    return RedirectResponse(own_address(address), status_code=303)


def own_address(address: str) -> str:
    """`address` if it is a path on this site, else the home page: no open redirect."""
    parts = urlsplit(address)
    ours = (
        address.startswith("/")
        and not address.startswith(("//", "/\\"))
        and not parts.scheme
        and not parts.netloc
        and address.isprintable()
        and "\\" not in address
    )
    return address if ours else "/"


def show_time(value: datetime | None) -> str:
    """`2026-11-23 13:36` in Beijing time."""
    return "" if value is None else value.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")


def show_day(value: datetime | None) -> str:
    """`2026-11-23` in Beijing time."""
    return "" if value is None else value.astimezone(BEIJING).strftime("%Y-%m-%d")


def show_utc(value: datetime | None) -> str:
    """`2026-11-23T05:36:11Z`."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show_number(value: int | None) -> str:
    """`12,345`."""
    return "" if value is None else f"{value:,}"


def show_percent(part: int, whole: int) -> str:
    """`98.7%`, rounded down, so that 100% means all; integers only."""
    if whole <= 0:
        return "–"
    tenths = part * 1000 // whole
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}%"
