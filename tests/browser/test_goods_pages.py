"""Goods in a real browser: open, pack, hand over, accept and use, each act signed by the device's own key."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.testing import PASSWORD
from api.testing_goods import CHECKS, Goods, act, make_goods, places
from ledger.core.ids import new_id
from ledger.queries import custody as queries
from ledger.store import transaction
from ledger.tables.orders import WorkOrderRow

pytestmark = [
    pytest.mark.browser,
    # Playwright's own event loop is still open when pytest ends the session.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SIZES = {"phone": (360, 740), "desktop": (1280, 860)}
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def goods(site: Any) -> Goods:
    return make_goods(site.ports, at=datetime.now(UTC), name="shop", signed=False)


def logged_in(chromium: Any, site: Any, login: str, size: str, faults: list[str]) -> Any:
    width, height = SIZES[size]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{site.url}/login")
    page.fill('input[name="login"]', login)
    page.fill('input[name="password"]', PASSWORD)
    page.click('main button[type="submit"]')
    page.wait_for_url(re.compile("/me|/$"))
    return page


def with_key(page: Any, site: Any) -> None:
    page.goto(f"{site.url}/me")
    page.click('#device [data-part="make"]')
    page.wait_for_selector('#device[data-state="ready"]')


def picture(page: Any, name: str) -> None:
    """Keep a screenshot where somebody wants to look at the page."""
    folder = os.environ.get("FUQI_TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def fits(page: Any) -> None:
    """Nothing sticks out of the page sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def send(page: Any, form: Any) -> None:
    """Fill in, read the statement, sign it; the page comes back changed."""
    form.locator("button[type=submit]").click()
    page.wait_for_selector("dialog[open], form[data-act] [data-problem]:not([hidden])")
    assert page.locator("dialog[open]").count(), page.locator("[data-problem]").all_inner_texts()
    with page.expect_navigation():
        page.click('dialog [data-part="sign"]')


def test_a_donor_opens_packs_and_hands_over_on_a_phone(
    chromium: Any, site: Any, goods: Goods
) -> None:
    faults: list[str] = []
    page = logged_in(chromium, site, "shop-donor", "phone", faults)
    with_key(page, site)
    page.goto(f"{site.url}/goods")
    picture(page, "goods-empty-phone")
    page.goto(f"{site.url}/goods/new/{goods.allocation_id}")
    fields = goods.lot_fields("", goods.quantity)
    form = page.locator('form[data-act="lot.open"]')
    form.locator('[name="registration"]').fill(str(fields["registration"]))
    form.locator('[name="purpose"]').fill("临床一线防护")
    form.locator('[name="udi"]').fill("(01)06901234567890")
    form.locator("button[type=submit]").click()
    page.wait_for_selector("[data-problem]:not([hidden])")
    assert page.locator("[data-problem]").first.get_attribute("data-code") == "udi.check_digit"
    fits(page)
    picture(page, "goods-open-phone")
    form.locator('[name="udi"]').fill(str(fields["udi"]))
    form.locator("button[type=submit]").click()
    page.wait_for_selector("dialog[open]")
    assert "开立批次" in page.locator('dialog [data-part="zh"]').inner_text()
    picture(page, "goods-statement-phone")
    with page.expect_navigation():
        page.click('dialog [data-part="sign"]')
    page.locator('a[href^="/goods/lot_"]').first.click()
    lot = page.url.rsplit("/", 1)[1].partition("#")[0]
    form = page.locator('form[data-act="lot.pack"]')
    page.locator("summary", has_text="装箱").first.click()
    form.locator('[name="count"]').fill("4")
    form.locator('[name="each"]').fill("5000")
    send(page, form)
    form = page.locator('form[data-act="lot.hand"]')
    form.locator("select").select_option(goods.carrier.organisation)
    form.locator('[name="waybill"]').fill("SF-1")
    send(page, form)
    assert places(site.ports, lot) == {(goods.donor.organisation, "transit"): 20_000}
    fits(page)
    picture(page, "goods-lot-donor-phone")
    assert faults == []
    _on_to_the_ward(chromium, site, goods, lot)


def _on_to_the_ward(chromium: Any, site: Any, goods: Goods, lot: str) -> None:
    at = datetime.now(UTC)
    with transaction(site.ports.readers) as session:
        (from_donor,) = [one.id for one in queries.handovers_of(session, lot)]
    act(site.ports, goods.carrier, "lot.receive", {"handover_id": from_donor}, at=at)
    faults: list[str] = []
    carrier = logged_in(chromium, site, "shop-carrier", "desktop", faults)
    with_key(carrier, site)
    carrier.goto(f"{site.url}/goods/{lot}")
    form = carrier.locator('form[data-act="lot.hand"]')
    form.locator("select").select_option(goods.nurse.organisation)
    picture(carrier, "goods-lot-carrier-desktop")
    send(carrier, form)
    pages = []
    for login, name, size in (
        ("shop-hospital", "lot.inspect", "phone"),
        ("shop-doctor", "lot.accept", "phone"),
    ):
        page = logged_in(chromium, site, login, size, faults)
        with_key(page, site)
        page.goto(f"{site.url}/goods/{lot}")
        form = page.locator(f'form[data-act="{name}"]')
        if name == "lot.inspect":
            form.locator('[name="accepted"]').fill("19900")
            form.locator('[name="missing"]').fill("100")
            for check in CHECKS:
                form.locator(f'[name="checks.{check}"]').check()
        fits(page)
        picture(page, f"goods-{name}-phone")
        send(page, form)
        pages.append(page)
    page = pages[0]
    page.goto(f"{site.url}/goods/{lot}")
    form = page.locator('form[data-act="lot.use"]')
    form.locator('[name="quantity"]').fill("1,500")
    form.locator('[name="ward"]').fill("呼吸内科")
    send(page, form)
    assert places(site.ports, lot) == {
        (goods.nurse.organisation, "stock"): 18_400,
        (goods.nurse.organisation, "used"): 1_500,
        (goods.carrier.organisation, "disputed"): 100,
    }
    order = new_id("ord", at=at)
    with transaction(site.ports.sessions) as session:
        session.add(
            WorkOrderRow(
                id=order, kind="lease", buyer_id=goods.nurse.organisation,
                maker_id=goods.carrier.organisation, what="口罩机（虚构）", specification="", quantity=1,
                state="requested", from_on=at.date(), due_on=at.date(), opened_at=at, changed_at=at,
            )
        )  # fmt: skip
    page.goto(f"{site.url}/orders")
    picture(page, "orders-phone")
    fits(page)
    carrier.goto(f"{site.url}/orders/{order}")
    form = carrier.locator('form[data-act="order.step"]').first
    form.locator('[name="price_minor"]').fill("9,000.50")
    send(carrier, form)
    assert "¥ 9,000.50" in carrier.locator("main").inner_text()
    picture(carrier, "order-desktop")
    page.goto(f"{site.url}/orders/{order}")
    assert "已报价" in page.locator("main").inner_text()
    picture(page, "order-phone")
    fits(page)
    for size in SIZES:
        watcher = logged_in(chromium, site, "shop-donor", size, faults)
        for name, path in (
            ("way", f"/goods/offers/{goods.offer_id}"),
            ("goods", "/goods"),
            ("lot", f"/goods/{lot}"),
            ("batches", "/goods/batches"),
            ("disclosure", "/disclosure"),
        ):
            watcher.goto(f"{site.url}{path}")
            fits(watcher)
            picture(watcher, f"{name}-{size}")
    assert faults == []
