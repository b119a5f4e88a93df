"""Every page that somebody can click to, on a phone and on a desk, is whole, readable and in one language.

The walk begins where each kind of account begins and follows every link of every page; of pages that
differ only in an id, one is looked at.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import pytest

from api.callers import Role
from api.flows.access import create_account
from api.testing import PASSWORD
from ledger.core.ids import new_id
from ledger.store import transaction

pytestmark = [
    pytest.mark.browser,
    # Playwright's own event loop is still open when pytest ends the session.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PHONE: Final = {"width": 360, "height": 760}
DESK: Final = {"width": 1280, "height": 860}
STARTS: Final = (
    "/",
    "/me",
    "/waiting",
    "/supply",
    "/related-parties",
    "/orders",
    "/docs",
    "/register",
)
PAGES_MAX: Final = 60
"""Of one account; the walk ends at about forty. Pages that link on without end must not run for ever."""
PAGES_MIN: Final = {"visitor": 8, "every-operator": 10, "demo-donor": 25, "demo-hospital": 25}
IN_ENGLISH: Final = frozenset({"visitor", "every-operator", "demo-donor"})
"""A hospital's pages are nearly the donor's; the second language is looked at once."""
SHOWN_BEFORE: Final = frozenset(
    {"/", "/board", "/disclosure", "/verify", "/docs", "/register", "/login"}
)
"""The public pages look the same for everybody but for the header: looked at once, as a visitor."""
IDS: Final = re.compile(r"\b[a-z]{2,6}_[0-9a-z]{26}\b|\b[0-9a-f]{32,}\b|(?<=/)\d+(?=/|$)")
READY: Final = "domcontentloaded"
"""The scripts have run by then, and pictures have their place: they carry width and height."""
ANSWERS: Final = frozenset({200, 303})

LOOK: Final = r"""(lang) => {
  const shown = e => e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden';
  const own = e => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join(' ').trim();
  const name = e => `${e.tagName.toLowerCase()}.${e.className} ${e.textContent.trim().slice(0, 40)}`;
  const width = document.documentElement.clientWidth;
  const all = [...document.querySelectorAll('body *')].filter(shown);
  const texts = all.filter(own);
  const words = texts.filter(e => !e.closest('code, pre, textarea, .method'));
  const numbers = c => (c.match(/[\d.]+/g) || []).map(Number);
  const light = c => c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const known = new Map([[null, [[255, 255, 255], 1]]]);
  const ground = e => {
    if (!known.has(e)) {
      const style = getComputedStyle(e), c = numbers(style.backgroundColor);
      const [under, strength] = ground(e.parentElement);
      known.set(e, [c.length === 3 || c[3] > 0.99 ? c.slice(0, 3) : under, strength * Number(style.opacity)]);
    }
    return known.get(e); };
  const contrast = e => {
    const [under, strength] = ground(e), style = getComputedStyle(e);
    const over = numbers(e.namespaceURI.endsWith('svg') ? style.fill : style.color).slice(0, 3)
      .map((v, i) => v * strength + under[i] * (1 - strength));
    const [a, b] = [light(over), light(under)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
  const named = e => [...(e.labels ?? [])].some(l => l.textContent.trim()) || e.getAttribute('aria-label')
    || e.getAttribute('aria-labelledby');
  const some = (found, tell = name) => found.slice(0, 4).map(tell);
  return {
    wider: document.documentElement.scrollWidth > width ? ['page'] : some(all.filter(e =>
      e.getBoundingClientRect().right > width + 1 && !e.closest('pre, .sheet-scroll')
      && getComputedStyle(e).position !== 'absolute')),
    withoutAlt: some([...document.images].filter(e => !e.hasAttribute('alt')), e => e.src),
    withoutLabel: some([...document.querySelectorAll('input, select, textarea')]
      .filter(e => e.type !== 'hidden' && shown(e) && !named(e)), e => e.outerHTML.slice(0, 90)),
    withoutName: some([...document.querySelectorAll('a[href], button, summary')]
      .filter(e => shown(e) && !e.textContent.trim() && !e.getAttribute('aria-label')),
      e => e.outerHTML.slice(0, 90)),
    low: width > 400 ? [] : some([...document.querySelectorAll('button, a.button, summary, select')]
      .filter(e => shown(e) && e.getBoundingClientRect().height < 39.5)),
    faint: width > 400 ? [] : some(texts.filter(e => contrast(e) < 4.5)),
    codes: some(words.filter(e => /(^|[\s、，：（(])[a-z]+(_[a-z]+)+($|[\s、，。：）),.])/.test(own(e)))),
    holes: some(words.filter(e => /undefined|\bNaN\b|\[object|\{[a-z_]+\}|\{\{/.test(own(e)))),
    foreign: lang === 'zh'
      ? some(words.filter(e => /[a-z]{3,} [a-z]{2,} [a-z]{2,}/.test(own(e)) && !/[\u4e00-\u9fff]/.test(own(e))))
      : some([...document.querySelectorAll('h2, h3, th, dt, label, legend, button, summary, .badge, .nav a')]
          .filter(e => shown(e) && /[\u4e00-\u9fff]/.test(own(e).replace(/虚构\S+/g, '')))),
    headings: document.querySelectorAll('h1').length === 1 ? [] : ['h1'],
    twice: [...document.querySelectorAll('[id]')].map(e => e.id)
      .filter((id, at, ids) => ids.indexOf(id) !== at),
  };
}"""
FREE_IN_CHINESE: Final = ("/docs", "/entries")
"""The API's own descriptions and the wording of receipts are English by design."""
CODES_BY_NAME: Final = ("/docs", "/entries", "/agreements/bulk")
"""Pages for programmers, and the one that names the columns of a file."""


@dataclass
class Walk:
    """What one account came to, and what was wrong there."""

    pages: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)


def shape_of(path: str) -> str:
    """The address without its ids and without the values of its query."""
    parts = urlsplit(path)
    keys = sorted(pair.partition("=")[0] for pair in parts.query.split("&") if pair)
    return IDS.sub("*", parts.path) + "?" + "&".join(keys)


def look(page: Any, walk: Walk, path: str, lang: str) -> None:
    """Note what is wrong with the page that is open."""
    found = page.evaluate(LOOK, lang)
    if path.startswith(FREE_IN_CHINESE):
        found["foreign"] = []
    if path.startswith(CODES_BY_NAME):
        found["codes"] = found["holes"] = []
    size = page.viewport_size["width"]
    walk.wrong += [f"{path} {lang} {size}: {kind} {what}" for kind, what in found.items() if what]


def links_of(page: Any, base: str) -> Iterator[str]:
    """Addresses of this site that the page links to, without the choice of a language."""
    for href in page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))"):
        address = urljoin(page.url, href).partition("#")[0]
        if address.startswith(base + "/"):
            path = re.sub(r"[?&]lang=(zh|en)(?=&|$)", "", address.removeprefix(base))
            yield path if "?" in path else path.replace("&", "?", 1)


def show(page: Any, address: str, lang: str) -> None:
    """Open a page with everything that it folds away unfolded."""
    page.goto(f"{address}{'&' if '?' in address else '?'}lang={lang}", wait_until=READY)
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")


def walk_through(page: Any, base: str, *, who: str) -> Walk:
    """Open every page that can be reached, at both widths and in both languages."""
    walk, waiting, known = Walk(), deque(STARTS), set[str]()
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    while waiting and len(walk.pages) < PAGES_MAX:
        path = waiting.popleft()
        if shape_of(path) in known or (who != "visitor" and path in SHOWN_BEFORE and path != "/"):
            continue
        known.add(shape_of(path))
        answer = page.context.request.get(
            base + path, max_redirects=0, headers={"Accept": "text/html"}
        )
        walk.asked[path] = answer.status
        if answer.status == 303:
            waiting.append(urljoin(path, answer.headers["location"]))
        if answer.status != 200 or "text/html" not in answer.headers["content-type"]:
            continue
        walk.pages.append(path)
        page.set_viewport_size(PHONE)
        show(page, f"{base}{path}", "zh")
        waiting.extend(links_of(page, base))
        look(page, walk, path, "zh")
        page.set_viewport_size(DESK)
        look(page, walk, path, "zh")
        if who in IN_ENGLISH:
            page.set_viewport_size(PHONE)
            show(page, f"{base}{path}", "en")
            look(page, walk, path, "en")
        walk.wrong += [f"{path}: the browser says {fault}" for fault in faults]
        faults.clear()
    return walk


@pytest.fixture(scope="module")
def operator(site: Any) -> str:
    at = datetime.now(UTC)
    with transaction(site.ports.sessions) as session:
        create_account(
            session,
            account_id=new_id("acc", at=at),
            login="every-operator",
            password=PASSWORD,
            roles=frozenset({Role.OPERATOR}),
            person_id=None,
            organisation_id=None,
            invented=True,
            at=at,
        )
    return "every-operator"


@pytest.mark.parametrize("who", PAGES_MIN)
def test_every_page_that_an_account_can_click_to_is_whole(
    site: Any, chromium: Any, operator: str, who: str
) -> None:
    context = chromium.new_context(
        viewport=PHONE, locale="zh-CN", timezone_id="Asia/Shanghai", reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        if who != "visitor":
            form = {"login": who, "password": PASSWORD, "next": "/me"}
            headers = {"Origin": site.url, "Accept": "text/html"}
            answer = context.request.post(
                f"{site.url}/login", form=form, headers=headers, max_redirects=0
            )
            assert answer.status == 303
        walk = walk_through(page, site.url, who=who)
    finally:
        context.close()
    refused = {path: status for path, status in walk.asked.items() if status not in ANSWERS}
    starts = {path for path in STARTS if path in refused}
    # An operator has no supply of their own: the start is ours, no page links to it.
    assert {path: refused[path] for path in refused if path not in starts} == {}
    assert walk.wrong == []
    assert len(walk.pages) >= PAGES_MIN[who], walk.pages
