"""Urgent needs and what-if in a real browser: a buyer and a donor on phones, an operator at a desk."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.callers import Caller, Role
from api.flows import supply
from api.flows.access import create_account
from api.flows.registration import register
from api.testing import PASSWORD, invented_registration
from api.testing_market import add_hospital
from ledger.core.ids import new_id
from ledger.store import transaction
from matching.problem import Place

pytestmark = [
    pytest.mark.browser,
    # Playwright's own event loop is still open when pytest ends the session.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SIZES = {"phone": (360, 740), "desktop": (1280, 860)}
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def market(site: Any) -> None:
    """A buyer of one hospital, a donor with seventy caps, and an operator."""
    ports, at = site.ports, datetime.now(UTC)
    buyer = register(ports, invented_registration("quick-buyer", "hospital", at=at), at=at)
    donor = register(ports, invented_registration("quick-donor", "donor", at=at), at=at)
    add_hospital(ports, buyer.organisation.id, at=at, name="虚构武汉第九医院")
    caller = Caller(
        donor.account.id, donor.person.id, donor.organisation.id, frozenset({Role.HANDLER})
    )
    with transaction(ports.sessions) as session:
        create_account(
            session,
            account_id=new_id("acc", at=at),
            login="quick-operator",
            password=PASSWORD,
            roles=frozenset({Role.OPERATOR}),
            person_id=None,
            organisation_id=None,
            invented=True,
            at=at,
        )
        new = supply.NewOffer(
            id=new_id("offer", at=at),
            kind="lot",
            item="cap",
            quantity=70,
            place=Place("湖北", "武汉市", 114_305_469, 30_593_175),
            available_on=at.date(),
            produced_on=at.date() - timedelta(days=30),
            expires_on=at.date() + timedelta(days=400),
            batch_number="虚构-7",
            certificate=2,
        )
        supply.post_offer(session, ports, caller, new, at=at)


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


def looked_at(page: Any, name: str) -> None:
    """Nothing sticks out sideways; a picture is kept where somebody wants to look."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    folder = os.environ.get("FUQI_TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.usefixtures("market")
def test_a_buyer_asks_on_a_phone_and_a_donor_answers_on_another(chromium: Any, site: Any) -> None:
    faults: list[str] = []
    buyer = logged_in(chromium, site, "quick-buyer", "phone", faults)
    buyer.goto(f"{site.url}/urgent")
    looked_at(buyer, "urgent-empty-phone")
    buyer.click('a[href="/urgent/new"]')
    buyer.fill('[name="item"]', "圆帽")
    buyer.fill('[name="quantity"]', "100")
    looked_at(buyer, "urgent-form-phone")
    # Without a reason the form comes back with its fault beside the field.
    buyer.click('main button[type="submit"]')
    buyer.wait_for_selector('[aria-invalid="true"]')
    looked_at(buyer, "urgent-form-fault-phone")
    buyer.fill('[name="reason"]', "手术室今晚断货")
    buyer.click('main button[type="submit"]')
    buyer.wait_for_url(re.compile("/urgent/need_"))
    text = buyer.inner_text("main")
    assert "部分分到" in text
    assert "70" in text
    looked_at(buyer, "urgent-decision-phone")
    donor = logged_in(chromium, site, "quick-donor", "phone", faults)
    donor.goto(f"{site.url}/urgent")
    looked_at(donor, "urgent-asked-phone")
    donor.click('#asked form[action$="/accept"] button')
    donor.wait_for_url(re.compile("/rounds/rnd_"))
    looked_at(donor, "urgent-round-phone")
    buyer.reload()
    assert "已接受" in buyer.inner_text("#lines")
    desk = logged_in(chromium, site, "quick-buyer", "desktop", faults)
    desk.goto(buyer.url)
    looked_at(desk, "urgent-decision-desktop")
    desk.goto(f"{site.url}/urgent/new")
    looked_at(desk, "urgent-form-desktop")
    desk.goto(f"{site.url}/urgent?lang=en")
    looked_at(desk, "urgent-desktop-en")
    assert faults == []


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("size", SIZES)
def test_an_operator_asks_what_if_and_reads_the_difference(
    chromium: Any, site: Any, size: str
) -> None:
    faults: list[str] = []
    page = logged_in(chromium, site, "quick-operator", size, faults)
    page.goto(f"{site.url}/what-if")
    looked_at(page, f"what-if-form-{size}")
    page.select_option('[name="item"]', "cap")
    page.fill('[name="quantity"]', "500")
    page.fill('[name="segments"]', "5")
    page.click('main button[type="submit"]')
    page.wait_for_selector("#answer, .note.bad")
    looked_at(page, f"what-if-answer-{size}")
    assert page.locator("#answer").count(), page.inner_text("main")
    assert "没有写入存证" in page.inner_text("#answer")
    assert faults == []
