"""The pages in a real browser at phone and desktop width: nothing overflows, nothing is blocked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.testing import PASSWORD

pytestmark = [
    pytest.mark.browser,
    # Playwright's own event loop is still open when pytest ends the session.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SIZES = {"phone": (360, 760), "desktop": (1280, 860)}
PUBLIC = ("/", "/board", "/disclosure", "/verify", "/login", "/register", "/docs", "/nowhere")
TEXT_CONTRAST_MIN = 4.5
VERDICT_MS_MAX = 60_000


@pytest.fixture(params=SIZES)
def page(request: Any, chromium: Any) -> Iterator[Any]:
    width, height = SIZES[request.param]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    page = context.new_page()
    page.size = request.param
    page.faults = []
    page.on("console", lambda m: page.faults.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    yield page
    context.close()


def keep(page: Any, name: str) -> None:
    """Keep a screenshot where FUQI_TEST_SHOTS names a folder."""
    folder = os.environ.get("FUQI_TEST_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{page.size}-{name}.png"), full_page=True)


def require_fits(page: Any) -> None:
    """No part of the page is wider than the window."""
    wide = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
                && !e.closest('pre') && getComputedStyle(e).position !== 'absolute')
            .slice(0, 5).map(e => e.tagName + '.' + e.className)"""
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def require_readable(page: Any) -> None:
    """Text stands out from what is behind it (WCAG AA)."""
    faint = page.evaluate(
        """(min) => {
            const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
            const lum = ([r, g, b]) => [r, g, b].map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
            const behind = e => { for (; e; e = e.parentElement) {
                const c = parse(getComputedStyle(e).backgroundColor);
                if (c.length && (c.length < 4 || c[3] > 0.99)) return c; } return [255, 255, 255]; };
            return [...document.querySelectorAll('body *')]
                .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
                    && e.getClientRects().length)
                .map(e => { const a = lum(parse(getComputedStyle(e).color)), b = lum(behind(e));
                    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05),
                        e.tagName + '.' + e.className + ': ' + e.textContent.trim().slice(0, 30)]; })
                .filter(([ratio]) => ratio < min).slice(0, 5);
        }""",
        TEXT_CONTRAST_MIN,
    )
    assert faint == []


def log_in(page: Any, site: Any, login: str) -> None:
    page.goto(f"{site.url}/login")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(f"{site.url}/me")


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_page_fits_is_readable_and_loads_clean(site: Any, page: Any, path: str) -> None:
    answer = page.goto(f"{site.url}{path}")
    keep(page, path.strip("/") or "home")
    require_fits(page)
    require_readable(page)
    assert page.locator("h1").count() == 1
    assert page.locator(".demo-banner").is_visible()
    if answer.status == 200:
        assert page.faults == []


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_page_stands_in_english_too(site: Any, page: Any, path: str) -> None:
    page.goto(f"{site.url}{path}?lang=en")
    keep(page, (path.strip("/") or "home") + "-en")
    require_fits(page)
    assert page.locator("html").get_attribute("lang") == "en"
    assert "DEMONSTRATION" in page.locator(".demo-banner").inner_text()


def test_the_language_stays_once_chosen(site: Any, page: Any) -> None:
    page.goto(f"{site.url}/board")
    page.click("a[hreflang=en]")
    assert page.locator("h1").inner_text() == "Hospitals' needs"
    page.click("nav >> text=Verify")
    assert page.locator("h1").inner_text() == "Verify a PDF, a bundle or a receipt"
    page.click("a[hreflang=zh-CN]")
    assert page.locator("h1").inner_text() == "验证 PDF、证据包或回执"


def test_the_board_filters_and_turns_pages(site: Any, page: Any) -> None:
    page.goto(f"{site.url}/board")
    before = page.locator("tbody tr").count()
    assert before == 20
    page.select_option("select[name=urgency]", "critical")
    page.click("form[role=search] button")
    assert "urgency=critical" in page.url
    assert set(page.locator("tbody .badge.bad").all_inner_texts()) == {"特急"}
    page.goto(f"{site.url}/board")
    page.click("a[rel=next]")
    assert "offset=20" in page.url
    require_fits(page)


def test_a_wrong_password_is_told_and_the_right_one_opens_my_page(site: Any, page: Any) -> None:
    page.goto(f"{site.url}/login")
    page.fill("input[name=login]", "demo-donor")
    page.fill("input[name=password]", "not the password")
    page.click("main button[type=submit]")
    assert page.locator("[role=alert]").is_visible()
    keep(page, "login-refused")
    require_fits(page)
    require_readable(page)
    log_in(page, site, "demo-donor")
    keep(page, "me")
    require_fits(page)
    require_readable(page)
    page.click("text=退出")
    page.goto(f"{site.url}/me")
    assert "/login" in page.url


def test_a_party_sees_its_agreement_with_the_pages_as_pictures(site: Any, page: Any) -> None:
    log_in(page, site, "demo-donor")
    page.goto(f"{site.url}/agreements")
    keep(page, "agreements")
    require_fits(page)
    page.click("td.lead a")
    page.wait_for_load_state("networkidle")
    picture = page.locator(".sheet img").first
    assert picture.evaluate("img => img.complete && img.naturalWidth > 500")
    keep(page, "agreement")
    require_fits(page)
    require_readable(page)
    page.locator(".timeline a").last.click()
    keep(page, "receipt")
    require_fits(page)
    require_readable(page)
    assert page.faults == []


def test_a_party_sees_the_round_and_accepts_a_line(site: Any, page: Any) -> None:
    log_in(page, site, "demo-donor")
    page.goto(f"{site.url}/rounds")
    keep(page, "rounds")
    require_fits(page)
    page.click("td.lead a")
    keep(page, "round")
    require_fits(page)
    require_readable(page)
    waiting = page.locator("form[action$='/accept']").count()
    page.locator("form[action$='/accept'] button").first.click()
    page.wait_for_load_state()
    assert page.locator("form[action$='/accept']").count() == waiting - 1
    assert page.faults == []


def test_a_signed_file_is_verified_in_the_browser(site: Any, page: Any, tmp_path: Path) -> None:
    log_in(page, site, "demo-hospital")
    page.goto(f"{site.url}/agreements/{site.populated.agreement_id}")
    with page.expect_download() as download:
        page.locator("a[href$='/revisions/2']").click()
    file = tmp_path / "signed.pdf"
    download.value.save_as(file)
    page.goto(f"{site.url}/verify")
    page.set_input_files("input[type=file]", file)
    page.click("main form button[type=submit]")
    page.locator(".verdict.passed").wait_for(timeout=VERDICT_MS_MAX)
    keep(page, "verified")
    require_fits(page)
    require_readable(page)
    file.write_bytes(file.read_bytes().replace(b"/Type", b"/Tipe", 1))
    page.set_input_files("input[type=file]", file)
    page.click("main form button[type=submit]")
    page.locator(".verdict.failed").wait_for(timeout=VERDICT_MS_MAX)
    keep(page, "not-verified")
    require_fits(page)


def test_a_registration_with_a_bad_number_says_why_and_keeps_what_was_typed(
    site: Any, page: Any
) -> None:
    page.goto(f"{site.url}/register")
    values = {
        "name": "虚构机构",
        "credit_code": "91350211M000100Y40",
        "place": "武汉",
        "receiving_system": "x@example.invalid",
        "handler_name": "虚构人",
        "resident_id": "11010519491231002X",
        "login": "typed",
        "password": PASSWORD,
    }
    for name, value in values.items():
        page.fill(f"input[name={name}]", value)
    page.check("input[name=consent]")
    page.click("main button[type=submit]")
    assert "校验码不符" in page.locator("[role=alert]").inner_text()
    assert page.input_value("input[name=name]") == "虚构机构"
    assert page.input_value("input[name=password]") == ""
    assert page.input_value("input[name=resident_id]") == ""
    keep(page, "register-refused")
    require_fits(page)


def test_copying_a_digest_says_so(site: Any, page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    log_in(page, site, "demo-donor")
    page.wait_for_load_state()
    button = page.locator("[data-copy]").first
    button.click()
    page.locator("[data-copy]", has_text="已复制").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == button.get_attribute("data-copy")
