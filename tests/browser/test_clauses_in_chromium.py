"""On a telephone: clauses lit up and confirmed one by one, a file that is asked for sent, then all signed.

The steps of the people are those of test_device_signing.py, which stands beside this file.
"""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas

from api.callers import Caller, Role
from api.flows import agreements, parties, ratification
from api.flows.registration import Registered, register
from api.testing import PASSWORD, invented_registration
from ledger.core.ids import new_id
from ledger.queries import agreements as agreement_queries
from ledger.store import transaction
from ledger.tables.parties import AuthorisationRow, PartyRow
from signing.identity import invented_resident_id

pytestmark = [
    pytest.mark.browser,
    # Playwright's own event loop is still open when pytest ends the session.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PHONE = (360, 740)
WAIT_MS = 60_000
NAMES = itertools.count(1)
LIMIT = "The donor is liable for intent and gross negligence only."
COURT = "Disputes are decided by the invented arbitration commission."
PNG = b"\x89PNG\r\n\x1a\n" + b"an invented licence"


@dataclass
class Person:
    """One handler with a telephone of their own."""

    registered: Registered
    page: Any
    faults: list[str] = field(default_factory=list)


@pytest.fixture
def people(chromium: Any, site: Any) -> Iterator[tuple[Person, Person]]:
    """A donor and a hospital, each with a key on their telephone."""
    made = []
    contexts = []
    for category in ("donor", "hospital"):
        context = chromium.new_context(
            viewport={"width": PHONE[0], "height": PHONE[1]},
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            is_mobile=True,
            has_touch=True,
        )
        contexts.append(context)
        number = next(NAMES)
        at = datetime.now(UTC)
        new = invented_registration(f"clause{number}", category, at=at)
        born = date(1950, 1, 1) + timedelta(days=number)
        new = replace(
            new,
            handler=replace(
                new.handler, number=invented_resident_id(f"clause{number}", birth=born)
            ),
        )
        person = Person(register(site.ports, new, at=at), context.new_page())
        person.page.set_default_timeout(WAIT_MS)
        person.page.on("pageerror", lambda error, who=person: who.faults.append(str(error)))
        person.page.on(
            "console",
            lambda told, who=person: who.faults.append(told.text) if told.type == "error" else None,
        )
        page = person.page
        page.goto(f"{site.url}/login")
        page.fill("input[name=login]", person.registered.account.login)
        page.fill("input[name=password]", PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_url(f"{site.url}/me")
        page.locator("#device[data-state=none], #device[data-state=elsewhere]").wait_for()
        page.click("#device [data-part=make]")
        page.locator("#device[data-state=ready]").wait_for()
        made.append(person)
    yield made[0], made[1]
    for context in contexts:
        context.close()


def keep(person: Person, name: str, *, whole: bool = False) -> None:
    folder = os.environ.get("FUQI_TEST_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        person.page.screenshot(path=str(Path(folder) / f"clauses-{name}.png"), full_page=whole)


def contract() -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    canvas.setFont("Helvetica", 14)
    canvas.drawString(72, 760, "An invented agreement")
    canvas.drawString(72, 700, LIMIT)
    canvas.showPage()
    canvas.setFont("Helvetica", 14)
    canvas.drawString(72, 760, COURT)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def at_phase(person: Person, phase: str) -> None:
    wanted = person.page.locator(f"#sign[data-phase={phase}]")
    told = person.page.locator("#sign [data-part=problem][data-code]")
    wanted.or_(told).first.wait_for()
    assert wanted.count() == 1, (told.get_attribute("data-code"), person.faults)


def fits(page: Any) -> bool:
    width = page.evaluate("document.documentElement.clientWidth")
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


def publish(site: Any, donor: Person, hospital: Person, folder: Path) -> str:
    """The donor fills in the form on the telephone: two clauses, one file attached, one asked for."""
    pdf, prices = folder / "draft.pdf", folder / "价目表.png"
    pdf.write_bytes(contract())
    prices.write_bytes(PNG + b" of prices")
    page = donor.page
    page.goto(f"{site.url}/agreements/upload")
    page.set_input_files("input[name=file]", pdf)
    page.fill("input[name=title]", "虚构协议（条款）")
    page.check("input[name=no_amount]")
    page.fill("input[name=who_2]", hospital.registered.account.login)
    page.click("details.fold:has([name=clause_text]) > summary")
    page.fill("#clause-text-1", LIMIT)
    page.fill("#clause-note-1", "只有故意或重大过失才赔。")
    page.select_option("#clause-kind-2", "disputes")
    page.fill("#clause-text-2", "This stands nowhere in the document.")
    page.set_input_files("input[name=attachments]", prices)
    page.fill("[name=ask]", "营业执照")
    page.click("main form button[type=submit]")
    fault = page.locator("[data-fault-of=clauses] code")
    fault.wait_for()
    assert fault.inner_text() == "clause.not_found"
    keep(donor, "form-refused", whole=True)
    assert fits(page)
    page.fill("#clause-text-2", COURT)
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile(r"/agreements/agr_[0-9a-z]+$"))
    return str(page.url.rsplit("/", 1)[1])


def read(site: Any, person: Person, agreement: str) -> None:
    page = person.page
    page.goto(f"{site.url}/agreements/{agreement}/sign")
    page.locator("#sign[data-ready=yes]").wait_for()
    for number in (1, 2):
        page.locator(f"[data-page='{number}'] [data-end]").scroll_into_view_if_needed()
        page.locator(f"[data-page='{number}'].read").wait_for()


def press(person: Person, name: str) -> None:
    button = person.page.locator(f"[data-part={name}-button]:enabled")
    button.wait_for()
    button.click()


def test_clauses_are_confirmed_and_a_file_is_sent_on_a_telephone_before_signing(
    site: Any, people: tuple[Person, Person], tmp_path: Path
) -> None:
    donor, hospital = people
    agreement = publish(site, donor, hospital, tmp_path)
    page = hospital.page
    read(site, hospital, agreement)
    marks = page.locator(".clause-mark")
    assert marks.count() == 2
    marks.first.scroll_into_view_if_needed()
    keep(hospital, "1-highlight")
    press(hospital, "read")
    at_phase(hospital, "clauses")
    button = page.locator("[data-part=clause-button]")
    assert button.is_disabled(), "a clause is read before it is confirmed"
    assert page.locator("[data-part=clause-text]").inner_text() == LIMIT
    assert page.locator("[data-part=clause-count]").inner_text() == "1 / 2"
    keep(hospital, "2-first")
    assert fits(page)
    press(hospital, "clause")
    page.locator("[data-part=clause-count]", has_text="2 / 2").wait_for()
    assert page.locator("[data-part=clause-text]").inner_text() == COURT
    assert page.locator(".clause-mark.done").count() == 1
    keep(hospital, "3-second")
    press(hospital, "clause")
    at_phase(hospital, "files")
    keep(hospital, "4-files")
    assert fits(page)
    licence = tmp_path / "licence.png"
    licence.write_bytes(b"MZ no picture at all")
    page.set_input_files("input[data-demand='1']", licence)
    page.locator("[data-part=problem][data-code='attachment.type']").wait_for()
    keep(hospital, "5-refused")
    licence.write_bytes(PNG)
    page.set_input_files("input[data-demand='1']", licence)
    at_phase(hospital, "consent")
    keep(hospital, "6-sent")
    press(hospital, "consent")
    # The donor reads and consents without confirming its own clauses.
    read(site, donor, agreement)
    press(donor, "read")
    at_phase(donor, "consent")
    press(donor, "consent")
    donor.page.locator("#sign[data-phase=sign]").wait_for()
    press(donor, "sign")
    at_phase(donor, "signed")
    page.reload()
    page.locator("#sign[data-ready=yes]").wait_for()
    at_phase(hospital, "sign")
    told = page.locator("[data-part=sign-zh]").inner_text()
    assert "提示的2条条款" in told
    assert "随附文件2份" in told
    keep(hospital, "7-statement")
    press(hospital, "sign")
    at_phase(hospital, "signed")
    page.goto(f"{site.url}/agreements/{agreement}")
    keep(hospital, "8-agreement", whole=True)
    assert fits(page)
    assert page.locator("a", has_text="licence.png").count() == 1
    assert page.locator("a", has_text="价目表.png").count() == 1
    assert [one for one in hospital.faults + donor.faults if "422" not in one] == []


def an_act_beyond_an_authority(site: Any, boss: Person) -> str:
    """A colleague of `boss`, the legal representative, asks to have an act ratified; the agreement's id."""
    at = datetime.now(UTC)
    organisation, person = boss.registered.organisation.id, boss.registered.person.id
    number = next(NAMES)
    clerk = new_id("pty", at=at)
    parties.verify_and_register(
        site.ports,
        parties.NewParty(
            id=clerk,
            kind="person",
            category="person",
            name="经办人（虚构）",
            number=invented_resident_id(
                f"clause{number}", birth=date(1950, 1, 1) + timedelta(days=number)
            ),
            place="示例市（虚构）",
            receiving_system="fuqi",
            consent_id="cns_example",
            invented=True,
        ),
        at=at,
    )
    caller = Caller("system", clerk, organisation, frozenset({Role.HANDLER}))
    with transaction(site.ports.sessions) as session:
        for who, basis, limit in ((clerk, "declared", 1_000), (person, "statutory", None)):
            session.add(
                AuthorisationRow(
                    id=new_id("aut", at=at),
                    organisation_id=organisation,
                    person_id=who,
                    matters="donation",
                    powers="consent,sign",
                    seal_scope="",
                    amount_max_minor=limit,
                    basis=basis,
                    valid_from=at - timedelta(days=1),
                    valid_to=at + timedelta(days=60),
                    created_at=at,
                )
            )
        session.get_one(PartyRow, organisation).representative_id = person
        session.flush()
        row = agreements.create_from_upload(
            session,
            site.ports,
            caller,
            agreements.NewAgreement(
                id=new_id("agr", at=at),
                title="虚构协议（追认）",
                matter="donation",
                signers=(agreements.SignerSpec(organisation, clerk, "party"),),
                expires_at=at + timedelta(days=60),
                amount_minor=2_000,
            ),
            data=contract(),
            at=at,
        )
        [place] = agreement_queries.signers_of(session, row.id)
        ratification.ask_ratification(
            session,
            site.ports,
            caller,
            place.id,
            ratification_id=new_id("rat", at=at),
            reason="情况紧急（虚构）",
            at=at,
        )
        return row.id


def test_an_act_beyond_an_authority_is_ratified_by_the_key_of_a_telephone(
    site: Any, people: tuple[Person, Person]
) -> None:
    boss, _ = people
    agreement = an_act_beyond_an_authority(site, boss)
    page = boss.page
    page.goto(f"{site.url}/agreements/{agreement}")
    card = page.locator("section", has=page.locator("a[href^='/me/ratifications#']"))
    assert card.count() == 1
    keep(boss, "ratify-1-agreement", whole=True)
    page.locator("a[href^='/me/ratifications#']").click()
    page.locator("#ratify[data-ready=yes]").wait_for()
    form = page.locator("form[data-ratification]")
    form.locator("textarea").fill("  同意，\n 情况属实（虚构） ")
    form.locator("[data-decision=ratified]").click()
    statement = form.locator("[data-part=zh]")
    form.locator("[data-part=sign]:visible").wait_for()
    assert "追认经办人（虚构）" in statement.inner_text()
    assert fits(page)
    keep(boss, "ratify-2-statement")
    form.locator("[data-part=sign]").click()
    page.locator(".badge.good", has_text="已追认").wait_for()
    page.goto(f"{site.url}/agreements/{agreement}")
    page.locator(".badge.good", has_text="已追认").wait_for()
    assert boss.faults == []


def order_form() -> bytes:
    """A form as other programs make them: text fields, a check box, several lines, a choice, radio buttons."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    canvas.setFont("Helvetica", 14)
    canvas.drawString(72, 760, "An invented order; place of delivery:")
    canvas.acroForm.textfield(name="delivery", x=72, y=700, width=300, height=22)
    canvas.acroForm.textfield(name="remark", x=72, y=640, width=300, height=22)
    canvas.acroForm.checkbox(name="agreed", x=72, y=600)
    canvas.drawString(100, 604, "read and understood")
    canvas.acroForm.textfield(
        name="note", x=72, y=500, width=300, height=70, fieldFlags="multiline"
    )
    canvas.acroForm.choice(
        name="way", x=72, y=450, width=150, height=20, options=["Road", "Rail"], value="Road"
    )
    for number, value in enumerate(("one", "two")):
        canvas.acroForm.radio(name="sort", value=value, x=72 + 30 * number, y=410)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def leave_a_field(site: Any, donor: Person, hospital: Person, folder: Path) -> str:
    """The donor uploads a form and leaves all of its fields but one to the hospital."""
    pdf = folder / "order.pdf"
    pdf.write_bytes(order_form())
    page = donor.page
    page.goto(f"{site.url}/agreements/upload")
    page.set_input_files("input[name=file]", pdf)
    page.fill("input[name=title]", "虚构订单（表单）")
    page.check("input[name=no_amount]")
    page.fill("input[name=who_2]", hospital.registered.account.login)
    page.check("input[name=form_fields]")
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile(r"/agreements/fields/agr_[0-9a-z]+$"))
    cards = page.locator("section:has(input[name=name])")
    assert cards.count() == 5
    page.locator("details.fold", has_text="1").last.locator("summary").click()
    keep(donor, "fields-1-choose", whole=True)
    assert fits(page)
    labels = {
        "delivery": "交货地点",
        "agreed": "已阅读并同意质量条款",
        "note": "收货备注",
        "way": "运输方式",
    }
    for name, label in labels.items():
        card = page.locator(f"section:has(input[name=name][value={name}])")
        card.locator("select").select_option("2")
        card.locator("input[name=label]").fill(label)
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile(r"/agreements/agr_[0-9a-z]+$"))
    return str(page.url.rsplit("/", 1)[1])


def read_all(site: Any, person: Person, agreement: str) -> None:
    page = person.page
    page.goto(f"{site.url}/agreements/{agreement}/sign")
    page.locator("#sign[data-ready=yes]").wait_for()
    page.locator("[data-page='1'] [data-end]").scroll_into_view_if_needed()
    page.locator("[data-page='1'].read").wait_for()
    press(person, "read")


def test_a_form_field_is_filled_on_a_telephone_and_signed_for_by_both(
    site: Any, people: tuple[Person, Person], tmp_path: Path
) -> None:
    donor, hospital = people
    agreement = leave_a_field(site, donor, hospital, tmp_path)
    page = hospital.page
    read_all(site, hospital, agreement)
    at_phase(hospital, "fields")
    before = page.locator("[data-page='1'] img").get_attribute("src")
    field = page.locator("input[data-field=delivery]")
    field.fill("龘" * 60)
    press(hospital, "fields")
    faults = [
        f"[data-part=problem][data-code='form.{one}']"
        for one in ("value_too_long", "value_invalid")
    ]
    page.locator(", ".join(faults)).wait_for()
    assert field.input_value() == "龘" * 60, "what was typed can be mended"
    keep(hospital, "fields-2-refused")
    field.fill("示例路2号（虚构）")
    page.locator("textarea[data-field=note]").fill("星期六不收货\n电话先联系（虚构）")
    page.locator("select[data-field=way]").select_option("Rail")
    page.locator("[data-field]").last.scroll_into_view_if_needed()
    keep(hospital, "fields-2-typed", whole=True)
    assert fits(page)
    press(hospital, "fields")
    page.locator("#sign[data-phase=fields] select[data-field=way]").wait_for()
    assert not page.locator("input[data-field=agreed]").is_checked(), "required: not ticked yet"
    page.get_by_label("已阅读并同意质量条款").check()
    press(hospital, "fields")
    at_phase(hospital, "consent")
    assert page.locator("[data-page='1'] img").get_attribute("src") != before
    page.locator("[data-page='1'] img").scroll_into_view_if_needed()
    keep(hospital, "fields-3-shown", whole=True)
    assert fits(page)
    press(hospital, "consent")
    read_all(site, donor, agreement)
    at_phase(donor, "consent")
    press(donor, "consent")
    donor.page.locator("#sign[data-phase=sign]").wait_for()
    press(donor, "sign")
    at_phase(donor, "signed")
    page.reload()
    page.locator("#sign[data-ready=yes]").wait_for()
    at_phase(hospital, "sign")
    page.locator("[data-part=sign-zh]:visible").wait_for()
    assert "所列4项表单域" in page.locator("[data-part=sign-zh]").inner_text()
    keep(hospital, "fields-4-statement", whole=True)
    press(hospital, "sign")
    at_phase(hospital, "signed")
    page.goto(f"{site.url}/agreements/{agreement}")
    assert page.locator("b", has_text="示例路2号（虚构）").count() == 1
    shown = page.locator("b.field-value").all_inner_texts()
    assert {"☑ 已勾选", "星期六不收货\n电话先联系（虚构）", "Rail"} <= set(shown)
    keep(hospital, "fields-5-agreement", whole=True)
    assert fits(page)
    # The page of verification knows the step from the log; of another file with the same edit it does not.
    with page.expect_download() as download:
        page.click(f"a[href$='/api/v1/agreements/{agreement}/revisions/2']")
    signed = tmp_path / "signed.pdf"
    download.value.save_as(signed)
    page.goto(f"{site.url}/verify")
    page.set_input_files("input[type=file]", signed)
    page.click("main form button[type=submit]")
    page.locator(".verdict.passed").wait_for()
    keep(hospital, "fields-6-verified", whole=True)
    assert [one for one in hospital.faults + donor.faults if "422" not in one] == []
