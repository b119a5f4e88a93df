"""Two handlers in two browsers: a key on each device, read, consent, sign, formed; and what is refused."""

from __future__ import annotations

import base64
import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.callers import OPERATOR, Caller
from api.flows import agreements, bulk, form_filling
from api.flows.form_planning import FillSpec
from api.flows.parties import APPROVE, MATTERS, NewAuthorisation, grant_authorisation
from api.flows.registration import Registered, Registration, register
from api.flows.signatures import pki_trust
from api.testing import PASSWORD, caller_of, invented_pdf, invented_registration
from ledger.core.ids import new_id
from ledger.core.report import Verdict
from ledger.queries import agreements as queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from ledger.tables.seals import SealRow
from signing.identity import invented_resident_id
from signing.placement import Spot
from signing.validate import signatures_of, validate_pdf

pytestmark = [
    pytest.mark.browser,
    # Playwright's own event loop is still open when pytest ends the session.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SIZES = {"phone": (360, 740), "desktop": (1280, 860)}
PAGES = 3
WAIT_MS = 60_000
"""A signature is embedded, stamped and validated meanwhile; a busy machine takes its time."""
NAMES = itertools.count(1)
TABS_MAX = 60
"""More than the signing page has places to stop at."""
# Makes an exportable key first and hands out the same key without that right: the product sees what it
# always sees, and the test knows the number that must never be sent.
REMEMBER_THE_SECRET = """(() => {
  const subtle = crypto.subtle, make = subtle.generateKey.bind(subtle);
  window.secrets = [];
  subtle.generateKey = async (algorithm, extractable, usages) => {
    if (extractable) throw new Error("the product asked for a key that can be exported");
    const pair = await make(algorithm, true, usages);
    const jwk = await subtle.exportKey("jwk", pair.privateKey);
    window.secrets.push(jwk.d);
    const { d, x, y, crv, kty } = jwk;
    const privateKey = await subtle.importKey(
      "jwk", { d, x, y, crv, kty }, algorithm, false, ["sign"]);
    return { privateKey, publicKey: pair.publicKey };
  };
})()"""
TRY_TO_EXPORT = """async (owner) => {
  const database = await new Promise((yes, no) => {
    const opening = indexedDB.open("fuqi-device");
    opening.onsuccess = () => yes(opening.result);
    opening.onerror = () => no(opening.error);
  });
  const record = await new Promise((yes) => {
    const asking = database.transaction("keys").objectStore("keys").get(owner);
    asking.onsuccess = () => yes(asking.result);
  });
  database.close();
  const tried = {};
  for (const format of ["jwk", "pkcs8", "raw"]) {
    tried[format] = await crypto.subtle.exportKey(format, record.privateKey)
      .then(() => "exported", (error) => error.name);
  }
  return { tried, extractable: record.privateKey.extractable, type: record.privateKey.type };
}"""


@dataclass
class Person:
    """One handler with a browser of their own; every request they send is kept."""

    registered: Registered
    page: Any
    size: str
    sent: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def login(self) -> str:
        return self.registered.account.login

    @property
    def owner(self) -> str:
        return f"{self.registered.organisation.id}/{self.registered.person.id}"


@pytest.fixture(params=SIZES)
def size(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def someone(chromium: Any, site: Any) -> Iterator[Callable[..., Person]]:
    """Makes people: each registered, logged in, in a fresh browser profile."""
    contexts = []

    def make(
        size: str, category: Any = "donor", *, again: Registered | None = None, url: str = ""
    ) -> Person:
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            is_mobile=size == "phone",
            has_touch=size == "phone",
        )
        contexts.append(context)
        at = datetime.now(UTC)
        made = again or register(site.ports, a_registration(category, at=at), at=at)
        person = Person(made, context.new_page(), size)
        page = person.page
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda request: person.sent.append(everything_in(request)))
        page.on(
            "console",
            lambda told: person.faults.append(told.text) if told.type == "error" else None,
        )
        page.on("pageerror", lambda error: person.faults.append(str(error)))
        home = url or site.url
        page.goto(f"{home}/login")
        page.fill("input[name=login]", person.login)
        page.fill("input[name=password]", PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_url(f"{home}/me")
        return person

    yield make
    for context in contexts:
        context.close()


def a_registration(category: Any, *, at: datetime) -> Registration:
    """An organisation and a person nobody else of this run has: invented numbers are few in one day."""
    number = next(NAMES)
    name = f"device{number}"
    new = invented_registration(name, category, at=at)
    born = date(1960, 1, 1) + timedelta(days=number)
    return replace(new, handler=replace(new.handler, number=invented_resident_id(name, birth=born)))


def everything_in(request: Any) -> bytes:
    """Address, headers and body of a request."""
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    return request.url.encode() + headers.encode() + (request.post_data_buffer or b"")


def keep(person: Person, name: str, *, whole: bool = True) -> None:
    """Keep a screenshot where FUQI_TEST_SHOTS names a folder."""
    folder = os.environ.get("FUQI_TEST_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        path = Path(folder) / f"{person.size}-sign-{name}.png"
        person.page.screenshot(path=str(path), full_page=whole)


def require_fits(page: Any) -> None:
    """The page does not scroll sideways."""
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert width <= page.viewport_size["width"]


def make_key(site: Any, person: Person) -> None:
    page = person.page
    page.goto(f"{site.url}/me")
    page.locator("#device[data-state=none], #device[data-state=elsewhere]").wait_for()
    page.click("#device [data-part=make]")
    page.locator("#device[data-state=ready]").wait_for()


def at_phase(person: Person, *phases: str) -> None:
    wanted = person.page.locator(", ".join(f"#sign[data-phase={one}]" for one in phases))
    # A refusal that is shown ends the waiting, so that the test names it.
    wanted.or_(person.page.locator("#sign [data-part=problem][data-code]")).first.wait_for()
    told = person.page.locator("#sign [data-part=problem]").get_attribute("data-code")
    assert wanted.count() == 1, (told, person.faults)


def open_to_sign(site: Any, person: Person, agreement_id: str) -> None:
    person.page.goto(f"{site.url}/agreements/{agreement_id}/sign")
    person.page.locator("#sign[data-ready=yes]").wait_for()


def scroll_to_the_end_of(person: Person, number: int) -> None:
    figure = person.page.locator(f"[data-page='{number}']")
    figure.locator("[data-end]").scroll_into_view_if_needed()
    person.page.locator(f"[data-page='{number}'].read").wait_for()


def read_all(person: Person) -> None:
    button = person.page.locator("[data-part=read-button]")
    assert button.is_disabled()
    for number in range(1, PAGES + 1):
        scroll_to_the_end_of(person, number)
    button.click()
    at_phase(person, "consent", "device")


def consent(person: Person) -> None:
    button = person.page.locator("[data-part=consent-button]:enabled")
    button.wait_for()
    button.click()
    at_phase(person, "wait_consent", "wait_turn", "sign")


def upload(site: Any, person: Person, other: Person, pdf: Path) -> str:
    """Fill in the form, wrongly first; the id of the agreement it makes."""
    page = person.page
    page.goto(f"{site.url}/agreements/upload")
    page.set_input_files("input[name=file]", pdf)
    page.fill("input[name=title]", "虚构捐赠协议（浏览器）")
    page.check("input[name=no_amount]")
    page.fill("input[name=who_2]", "nobody-of-this-name")
    page.click("main form button[type=submit]")
    fault = page.locator("[data-fault-of=who_2] code")
    fault.wait_for()
    assert fault.inner_text() == "signer.unknown"
    keep(person, "upload-refused")
    require_fits(page)
    assert page.input_value("input[name=title]") == "虚构捐赠协议（浏览器）"
    assert page.evaluate("document.querySelector('input[name=file]').files.length") == 1
    page.fill("input[name=who_2]", other.login)
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile(r"/agreements/agr_[0-9a-z]+$"))
    return str(page.url.rsplit("/", 1)[1])


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    path = tmp_path / "draft.pdf"
    path.write_bytes(invented_pdf(pages=PAGES))
    return path


def test_two_browsers_sign_one_agreement_to_formed(
    site: Any, someone: Callable[..., Person], size: str, pdf: Path
) -> None:
    donor, hospital = someone(size, "donor"), someone(size, "hospital")
    for person in (donor, hospital):
        person.page.add_init_script(REMEMBER_THE_SECRET)
        person.page.goto(f"{site.url}/me")
        person.page.locator("#device[data-state=none]").wait_for()
    keep(donor, "me-none")
    secrets = []
    for person in (donor, hospital):
        make_key(site, person)
        secrets += person.page.evaluate("window.secrets")
    keep(donor, "me-ready")
    require_fits(donor.page)
    agreement_id = upload(site, donor, hospital, pdf)
    keep(donor, "agreement")

    # The donor reads one page, reloads, and goes on where it stopped.
    donor.page.click("a[href$='/sign']")
    at_phase(donor, "read")
    keep(donor, "reading", whole=False)
    require_fits(donor.page)
    scroll_to_the_end_of(donor, 1)
    donor.page.wait_for_timeout(2100)
    donor.page.reload()
    at_phase(donor, "read")
    donor.page.locator("[data-page='1'].read").wait_for()
    donor.page.set_viewport_size({"width": 740, "height": 360})
    require_fits(donor.page)
    keep(donor, "reading-landscape", whole=False)
    width, height = SIZES[size]
    donor.page.set_viewport_size({"width": width, "height": height})
    donor.page.click("[data-zoom-by='1']")
    require_fits(donor.page)
    keep(donor, "reading-zoomed", whole=False)
    read_all(donor)
    at_phase(donor, "consent")
    donor.page.locator("[data-part=consent-button]:enabled").wait_for()
    keep(donor, "consent", whole=False)
    require_shows_what_is_signed(site, donor, agreement_id, act="consent")
    consent(donor)
    at_phase(donor, "wait_consent")
    keep(donor, "waiting", whole=False)

    open_to_sign(site, hospital, agreement_id)
    read_all(hospital)
    consent(hospital)
    at_phase(hospital, "wait_turn")

    # The donor's network fails after the will was expressed; a reload resumes at the signature.
    at_phase(donor, "sign")
    donor.page.locator("[data-part=sign-button]:enabled").wait_for()
    keep(donor, "sign", whole=False)
    require_shows_what_is_signed(site, donor, agreement_id, act="sign")
    donor.page.route("**/signature/prepare", lambda route: route.abort())
    donor.page.click("[data-part=sign-button]")
    donor.page.locator("[data-part=problem][data-code='device.offline']").wait_for()
    keep(donor, "offline", whole=False)
    require_fits(donor.page)
    donor.page.unroute("**/signature/prepare")
    donor.page.reload()
    at_phase(donor, "finish")
    keep(donor, "resumed", whole=False)
    donor.page.click("[data-part=sign-button]")
    at_phase(donor, "signed")
    assert "等待其他方" in donor.page.locator("[data-part=result-title]").inner_text()
    keep(donor, "awaiting", whole=False)

    at_phase(hospital, "sign")
    hospital.page.locator("[data-part=sign-button]:enabled").click()
    at_phase(hospital, "signed")
    assert "合同已成立" in hospital.page.locator("[data-part=result-title]").inner_text()
    assert "未终局" in hospital.page.locator("[data-part=receipts]").inner_text()
    hospital.page.evaluate("scrollTo(0, 0)")
    keep(hospital, "formed", whole=False)
    require_fits(hospital.page)

    require_formed_and_valid(site, agreement_id, people=(donor, hospital))
    require_never_sent(secrets, donor.sent + hospital.sent)
    for person in (donor, hospital):
        assert [told for told in person.faults if "ERR_FAILED" not in told] in (
            [],
            # The refused form is told to the console by the browser itself.
            [told for told in person.faults if "422" in told],
        )
        kept = person.page.evaluate(TRY_TO_EXPORT, person.owner)
        assert kept["tried"] == dict.fromkeys(("jwk", "pkcs8", "raw"), "InvalidAccessError")
        assert (kept["extractable"], kept["type"]) == (False, "private")


def tab_to(person: Person, selector: str) -> None:
    """Walk with the Tab key until the element has the focus."""
    for _ in range(TABS_MAX):
        if person.page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
        person.page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached by keys")


def test_a_document_is_read_and_signed_by_keys_alone(
    site: Any, someone: Callable[..., Person], pdf: Path
) -> None:
    donor, hospital = someone("desktop", "donor"), someone("desktop", "hospital")
    make_key(site, donor)
    make_key(site, hospital)
    agreement_id = upload(site, donor, hospital, pdf)
    open_to_sign(site, hospital, agreement_id)
    read_all(hospital)
    consent(hospital)
    donor.faults.clear()  # the form was filled in wrongly first
    open_to_sign(site, donor, agreement_id)
    keys = donor.page.keyboard
    for number in range(1, PAGES + 1):
        tab_to(donor, f"[data-page='{number}'] .sheet-scroll")
        for _ in range(TABS_MAX):
            if donor.page.locator(f"[data-page='{number}'].read").count():
                break
            keys.press("PageDown")
            donor.page.wait_for_timeout(50)
    tab_to(donor, "[data-part=read-button]")
    keys.press("Enter")
    for act, phase in (("consent", "sign"), ("sign", "signed")):
        at_phase(donor, act)
        donor.page.locator(f"[data-part={act}-button]:enabled").wait_for()
        # The step before took its button away: the focus goes on with the next step, not to the page's top.
        assert (
            donor.page.evaluate("document.activeElement.closest('[data-part]').dataset.part") == act
        )
        tab_to(donor, f"[data-part={act}-button]")
        keys.press("Enter")
        at_phase(donor, phase)
    assert donor.faults == []


def require_shows_what_is_signed(site: Any, person: Person, agreement_id: str, *, act: str) -> None:
    """The sentences and the digest on the screen are those of the statement that waits for its proof."""
    with transaction(site.ports.readers) as session:
        agreement = session.get_one(AgreementRow, agreement_id)
    shown = {
        name: person.page.locator(f"[data-part={act}-{name}]").inner_text()
        for name in ("zh", "en", "digest")
    }
    assert shown["digest"] == agreement.document_sha256
    for text in (shown["zh"], shown["en"]):
        assert agreement.document_sha256 in text
        assert person.registered.person.name in text
        assert person.registered.organisation.name in text


def require_formed_and_valid(site: Any, agreement_id: str, *, people: tuple[Person, ...]) -> None:
    at = datetime.now(UTC)
    with transaction(site.ports.readers) as session:
        agreement = session.get_one(AgreementRow, agreement_id)
        assert agreement.state == "formed"
        signers = queries.signers_of(session, agreement_id)
        for signer in signers:
            [consented, signed] = queries.intents_of(session, signer.id)
            assert (consented.act, signed.act) == ("consent", "sign")
    data = site.ports.blobs.get(agreement.current_sha256)
    report = validate_pdf(data, trust=pki_trust(site.ports, at=at), at=at)
    assert report.verdict is Verdict.PASSED, [c for c in report.checks if c.verdict != "passed"]
    assert len(signatures_of(data)) == len(people)


def require_never_sent(secrets: list[str], sent: list[bytes]) -> None:
    """The private number stands in no request, in none of the forms it could have."""
    assert len(secrets) == 2
    assert len(sent) > 20
    for secret in secrets:
        number = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
        assert len(number) == 32
        forms = {
            number,
            secret.encode(),
            number.hex().encode(),
            number.hex().upper().encode(),
            # Base64 of the number at each of the three places it can have in a longer one.
            *(base64.b64encode(b"\0" * shift + number)[4:-4] for shift in range(3)),
        }
        assert not [one for one in sent for form in forms if form in one]


def test_a_second_browser_without_the_key_is_refused_and_told_why(
    site: Any, someone: Callable[..., Person], size: str, pdf: Path
) -> None:
    first = someone(size)
    make_key(site, first)
    other = someone(size, "hospital")
    agreement_id = upload(site, first, other, pdf)
    second = someone(size, again=first.registered)
    second.page.locator("#device[data-state=elsewhere]").wait_for()
    keep(second, "me-elsewhere")
    require_fits(second.page)
    open_to_sign(site, second, agreement_id)
    read_all(second)
    at_phase(second, "device")
    hint = second.page.locator("[data-part=device-problem]")
    assert hint.get_attribute("data-code") == "device.elsewhere"
    assert "另一台设备" in hint.inner_text()
    assert not second.page.locator("[data-part=consent]").is_visible()
    keep(second, "elsewhere", whole=False)
    require_fits(second.page)

    # A new key here takes over; the first browser then says so and does not sign either.
    second.page.click("[data-part=device-hint] a")
    second.page.locator("#device[data-state=elsewhere]").wait_for()
    second.page.click("#device [data-part=make]")
    second.page.locator("#device[data-state=ready]").wait_for()
    second.page.click("#device [data-part=back]")
    at_phase(second, "consent")
    open_to_sign(site, first, agreement_id)
    at_phase(first, "device")
    hint = first.page.locator("[data-part=device-problem]")
    assert hint.get_attribute("data-code") == "device.superseded"


def test_an_insecure_address_says_what_to_do(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    person = someone(size, url=site.plain_url)
    person.page.locator("#device[data-state=refused]").wait_for()
    problem = person.page.locator("#device [data-part=problem]")
    assert problem.get_attribute("data-code") == "device.insecure"
    assert "https://" in problem.inner_text()
    assert not person.page.locator("#device [data-part=make]").is_visible()
    keep(person, "insecure")
    require_fits(person.page)


def test_a_browser_that_keeps_nothing_says_so(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    person = someone(size)
    person.page.add_init_script(
        "Object.defineProperty(globalThis, 'indexedDB', {value: undefined})"
    )
    person.page.goto(f"{site.url}/me")
    problem = person.page.locator("#device [data-part=problem][data-code='device.no_storage']")
    problem.wait_for()
    assert "IndexedDB" in problem.inner_text()


def test_a_statement_about_another_document_is_not_signed(
    site: Any, someone: Callable[..., Person], pdf: Path
) -> None:
    person, other = someone("phone"), someone("phone", "hospital")
    make_key(site, person)
    agreement_id = upload(site, person, other, pdf)

    def change(route: Any) -> None:
        answer = route.fetch()
        made = answer.json()
        made["statement"]["text_zh"] = made["statement"]["text_zh"].replace("同意", "不同意")
        route.fulfill(response=answer, json=made)

    person.page.route("**/statements", change)
    open_to_sign(site, person, agreement_id)
    read_all(person)
    person.page.locator("[data-part=problem][data-code='device.statement']").wait_for()
    assert person.page.locator("[data-part=consent-button]").is_disabled()
    keep(person, "other-statement", whole=False)
    person.page.unroute_all(behavior="wait")  # the page asks again by itself


def test_declining_and_withdrawing_say_that_they_cannot_be_undone(
    site: Any, someone: Callable[..., Person], size: str, pdf: Path
) -> None:
    sender, receiver = someone(size), someone(size, "hospital")
    declined = upload(site, sender, receiver, pdf)
    open_to_sign(site, receiver, declined)
    receiver.page.click("[data-part=decline] summary")
    assert "不能撤销" in receiver.page.locator("[data-part=decline] .note").inner_text()
    receiver.page.fill("[data-part=decline] textarea", "虚构理由")
    receiver.page.check("[data-part=decline] input[type=checkbox]")
    keep(receiver, "decline", whole=False)
    receiver.page.click("[data-part=decline] button")
    receiver.page.wait_for_url(f"{site.url}/agreements/{declined}")
    open_to_sign(site, receiver, declined)
    at_phase(receiver, "closed")
    assert "虚构理由" in receiver.page.locator("[data-part=result-text]").inner_text()
    withdrawn = upload(site, sender, receiver, pdf)
    form = sender.page.locator("form[action$='/withdraw']")
    sender.page.click("summary:has-text('撤回合同')")
    assert "不能撤销" in form.locator(".note").inner_text()
    form.locator("textarea").fill("虚构的撤回理由")
    form.locator("input[type=checkbox]").check()
    form.locator("button").click()
    sender.page.locator(".badge:has-text('已撤回')").wait_for()
    open_to_sign(site, receiver, withdrawn)
    at_phase(receiver, "closed")
    keep(receiver, "withdrawn", whole=False)
    require_fits(receiver.page)


def test_three_documents_are_read_and_signed_in_one_go(
    site: Any, someone: Callable[..., Person], size: str, pdf: Path
) -> None:
    sender, receiver = someone(size), someone(size, "hospital")
    made = [upload(site, sender, receiver, pdf) for _ in range(3)]
    for person in (receiver, sender):
        make_key(site, person)
    # The other party consents to the first and the last; the second has to wait.
    for agreement_id in (made[0], made[2]):
        open_to_sign(site, receiver, agreement_id)
        read_all(receiver)
        consent(receiver)
    page = sender.page
    page.goto(f"{site.url}/waiting")
    keep(sender, "batch-choose")
    require_fits(page)
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile(r"/batches/bat_[0-9a-z]+$"))
    for left in (3, 2, 1):
        page.locator(f"#batch[data-left='{left}']").wait_for()
        for number in range(1, PAGES + 1):
            scroll_to_the_end_of(sender, number)
        keep(sender, f"batch-reading-{left}", whole=False)
        page.locator("[data-part=read-button]:enabled").click()
    page.locator("[data-part=affirm-button]:enabled").wait_for()
    assert "3份文件" in page.locator("[data-part=zh]").inner_text()
    keep(sender, "batch-affirm", whole=False)
    require_fits(page)
    page.click("[data-part=affirm-button]")
    page.locator("#batch[data-phase=sign] [data-part=sign-button]").click()
    page.locator("#batch[data-phase=done]").wait_for()
    assert page.locator("[data-part=rows] .badge.good").count() == 2
    assert "等待对方同意" in page.locator("[data-part=rows] .badge.warn").inner_text()
    keep(sender, "batch-done")
    require_fits(page)
    told = [one for one in sender.faults if "422" not in one]
    assert told == []


def to_approve(
    site: Any,
    own: Caller,
    other: Caller,
    *,
    count: int,
    at: datetime,
    fillable: tuple[FillSpec, ...] = (),
) -> list[str]:
    """Agreements that `own` may approve, then sign, and then `other` signs."""
    made = [new_id("agr", at=at) for _ in range(count)]
    with transaction(site.ports.sessions) as session:
        grant_authorisation(
            session,
            site.ports,
            OPERATOR,
            NewAuthorisation(
                id=new_id("aut", at=at),
                organisation_id=own.organisation_id or "",
                person_id=own.person_id or "",
                matters=MATTERS,
                powers=frozenset({APPROVE}),
                valid_from=at - timedelta(minutes=1),
                valid_to=at + timedelta(days=30),
            ),
            at=at,
        )
        for number, one in enumerate(made, start=1):
            agreements.create_from_upload(
                session,
                site.ports,
                own,
                agreements.NewAgreement(
                    id=one,
                    title=f"虚构用印审批 {number}",
                    matter="donation",
                    amount_minor=123_456,
                    signers=tuple(
                        agreements.SignerSpec(
                            who.organisation_id or "", who.person_id or "", "party", stage, act
                        )
                        for stage, (who, act) in enumerate(
                            ((own, "approve"), (own, "sign"), (other, "sign")), start=1
                        )
                    ),
                    expires_at=at + timedelta(days=9),
                    fillable=fillable,
                ),
                data=invented_pdf(pages=1),
                at=at,
            )
    return made


def test_many_are_approved_by_one_signature_and_what_is_taken_back_is_left_out(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    sender, receiver = someone(size), someone(size, "hospital")
    make_key(site, sender)
    at = datetime.now(UTC)
    own, other = caller_of(sender.registered), caller_of(receiver.registered)
    made = to_approve(site, own, other, count=3, at=at)
    page = sender.page
    page.goto(f"{site.url}/waiting")
    keep(sender, "approve-choose")
    require_fits(page)
    page.click("section[data-act=approve] button[name=everything]")
    page.wait_for_url(re.compile(r"/batches/bat_[0-9a-z]+$"))
    with transaction(site.ports.sessions) as session:
        agreements.withdraw(session, site.ports, own, made[2], reason="虚构", at=datetime.now(UTC))
    page.reload()
    page.locator("#batch[data-phase=drop] [data-part=drop-button]").wait_for()
    keep(sender, "approve-drop", whole=False)
    require_fits(page)
    page.click("[data-part=drop-button]")
    for left in (2, 1):
        page.locator(f"#batch[data-left='{left}']").wait_for()
        scroll_to_the_end_of(sender, 1)
        page.locator("[data-part=read-button]:enabled").click()
    page.locator("[data-part=affirm-button]:enabled").wait_for()
    assert "2份文件，逐份批准本方用印" in page.locator("[data-part=zh]").inner_text()
    keep(sender, "approve-affirm", whole=False)
    require_fits(page)
    page.click("[data-part=affirm-button]")
    page.locator("#batch[data-phase=done]").wait_for()
    assert page.locator("[data-part=rows] .badge.good").count() == 2
    assert "虚构用印审批 3" in page.locator("[data-part=left-out]").inner_text()
    keep(sender, "approve-done")
    with transaction(site.ports.readers) as session:
        approved = [
            one.approved_at is not None
            for agreement in made
            for one in queries.signers_of(session, agreement)
            if one.act == "approve"
        ]
    assert approved == [True, True, False]
    assert [one for one in sender.faults if "422" not in one] == []


@pytest.mark.parametrize("size", ["phone"])
def test_an_approver_sees_the_values_approves_them_and_is_asked_again_when_one_changes(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    person, receiver = someone(size), someone(size, "hospital")
    make_key(site, person)
    at, page = datetime.now(UTC), person.page
    own, other = caller_of(person.registered), caller_of(receiver.registered)
    spec = FillSpec("sum", 2, "采购金额 amount", place=Spot(0, 72, 400, 300, 20))
    single, batched = to_approve(site, own, other, count=2, at=at, fillable=(spec,))

    def fill(agreement: str, value: str) -> dict[str, str]:
        """What the signer of that side writes; the places by what is done there."""
        with transaction(site.ports.sessions) as session:
            rows = queries.signers_of(session, agreement)
            mine = {one.act: one for one in rows if one.person_id == own.person_id}
            now, place = datetime.now(UTC), mine["sign"].id
            agreements.read_document(session, site.ports, own, place, pages=1, seconds=9, at=now)
            form_filling.save(session, own, place, values={"sum": value}, at=now)
            # The other party's consent, given on a device that has no part in this story.
            rows[-1].consented_at = now
            return {act: one.id for act, one in mine.items()}

    places = fill(single, "120000.00")
    page.goto(f"{site.url}/agreements/{single}/sign?place={places['approve']}")
    page.locator("#sign[data-phase=read]").wait_for()
    scroll_to_the_end_of(person, 1)
    page.locator("[data-part=read-button]:enabled").click()
    at_phase(person, "approve")
    assert "120000.00" in page.locator("[data-part=approve-list]").inner_text()
    assert page.locator("[data-part=approve-open]").is_hidden()
    page.locator("[data-part=approve-zh]:has-text('1项表单域')").wait_for()
    keep(person, "approve-values")
    require_fits(page)
    page.locator("[data-part=approve-button]:enabled").click()
    at_phase(person, "signed")
    # The signer writes another value: they wait, and the approver is told.
    fill(single, "920000.00")
    page.goto(f"{site.url}/agreements/{single}/sign?place={places['sign']}")
    page.locator("[data-part=consent-button]:enabled").click()
    at_phase(person, "wait_approval")
    assert "再次批准" in page.locator("[data-part=waiting-text]").inner_text()
    keep(person, "wait-approval")
    require_fits(page)
    page.goto(f"{site.url}/waiting")
    keep(person, "waiting-again")
    require_fits(page)
    page.click("section[data-act=again] a")
    at_phase(person, "approve")
    assert page.locator("[data-part=approve-again]").is_visible()
    assert "920000.00" in page.locator("[data-part=approve-list]").inner_text()
    keep(person, "approve-again")
    require_fits(page)
    page.locator("[data-part=approve-button]:enabled").click()
    at_phase(person, "signed")
    page.goto(f"{site.url}/agreements/{single}/sign?place={places['sign']}")
    at_phase(person, "sign")
    # The other document in a batch: its line says the values that the statement lists.
    fill(batched, "31.50")
    page.goto(f"{site.url}/waiting")
    page.click("section[data-act=approve] button[name=everything]")
    page.locator("#batch[data-left='1']").wait_for()
    scroll_to_the_end_of(person, 1)
    page.locator("[data-part=read-button]:enabled").click()
    page.locator("[data-part=affirm-button]:enabled").wait_for()
    assert "采购金额 amount：31.50" in page.locator("[data-part=rows]").inner_text()
    keep(person, "approve-batch-values")
    require_fits(page)
    page.click("[data-part=affirm-button]")
    page.locator("#batch[data-phase=done]").wait_for()
    assert [one for one in person.faults if "422" not in one and "409" not in one] == []


@pytest.mark.parametrize("size", ["phone"])
def test_an_approver_of_one_document_chooses_the_seal_on_its_page(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    sender, receiver = someone(size), someone(size, "hospital")
    make_key(site, sender)
    at = datetime.now(UTC)
    own, other = caller_of(sender.registered), caller_of(receiver.registered)
    (made,) = to_approve(site, own, other, count=1, at=at)
    seal = new_id("sea", at=at)
    with transaction(site.ports.sessions) as session:
        session.add(
            SealRow(
                id=seal, organisation_id=own.organisation_id or "", kind="contract",
                name="示例捐赠企业合同专用章（虚构）", source="drawn", design="{}", width_mm=40,
                height_mm=40, page_sha256="00" * 32, picture_sha256="11" * 32, state="enabled",
                valid_from=at - timedelta(minutes=1), valid_to=at + timedelta(days=30),
                made_by=own.person_id or "", created_at=at, changed_at=at,
            )
        )  # fmt: skip
    page = sender.page
    page.goto(f"{site.url}/agreements/{made}/sign")
    page.locator("#sign[data-phase=read]").wait_for()
    scroll_to_the_end_of(sender, 1)
    page.locator("[data-part=read-button]:enabled").click()
    page.locator("#sign[data-phase=approve]").wait_for()
    # Nothing can be approved before it is said which seal is meant.
    assert page.locator("[data-part=approve-button]").is_disabled()
    page.select_option("#approve-seal", "any")
    page.locator("[data-part=approve-zh]:has-text('不限定所用印章')").wait_for()
    page.select_option("#approve-seal", seal)
    page.locator(f"[data-part=approve-zh]:has-text('只批准使用印章{seal}')").wait_for()
    keep(sender, "approve-one")
    require_fits(page)
    page.locator("[data-part=approve-button]:enabled").click()
    page.locator("#sign:not([data-phase=approve])").wait_for()
    with transaction(site.ports.readers) as session:
        named = [
            one.approved_seal_id
            for one in queries.signers_of(session, made)
            if one.act == "approve"
        ]
    assert named == [seal]
    assert sender.faults == []


def test_a_file_of_rows_is_tried_and_sent_with_a_report_per_row(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    sender, receiver = someone(size), someone(size, "hospital")
    good = bulk.example().decode("utf-8-sig").replace("handler-login", receiver.login)
    bad = bulk.example().decode("utf-8-sig").splitlines()[1]
    page = sender.page
    page.goto(f"{site.url}/agreements/bulk")
    page.set_input_files(
        "input[name=file]",
        {"name": "rows.csv", "mimeType": "text/csv", "buffer": f"{good}{bad}\r\n".encode()},
    )
    page.fill("input[name=title]", "虚构批量协议")
    page.fill("input[name=expires]", "2026-12-24")
    page.click("[data-part=check-button]")
    page.locator("[data-part=told]:has-text('1 行可以发出，1 行有误')").wait_for()
    assert "signer.unknown" in page.locator("[data-part=rows]").inner_text()
    keep(sender, "bulk-tried")
    require_fits(page)
    page.click("[data-part=send-button]:enabled")
    page.locator("[data-part=told]:has-text('1 行已发出，1 行未发出')").wait_for()
    page.click("[data-part=rows] a")
    page.wait_for_url(re.compile(r"/agreements/agr_[0-9a-z]+$"))


FORMS = (
    "/supply",
    "/waiting",
    "/agreements/bulk",
    "/supply/needs/new",
    "/supply/offers/new",
    "/supply/resources/new",
    "/supply/files",
    "/me/handlers/new",
    "/agreements/upload",
    "/agreements/template",
)


def test_every_form_fits_upright_and_on_its_side(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    person = someone(size, "hospital", again=site.populated.hospital)
    width, height = SIZES[size]
    for path in FORMS:
        for language in ("zh", "en"):
            person.page.goto(f"{site.url}{path}?lang={language}")
            keep(person, f"form{path.replace('/', '-')}-{language}")
            require_fits(person.page)
        person.page.set_viewport_size({"width": 740, "height": 360})
        require_fits(person.page)
        person.page.set_viewport_size({"width": width, "height": height})
    assert person.faults == []


def test_a_refused_handler_form_keeps_even_the_password(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    person = someone(size)
    page = person.page
    page.goto(f"{site.url}/me/handlers/new")
    page.fill("input[name=name]", "虚构新人")
    page.fill("input[name=resident_id]", "110105194912310021")
    page.fill("input[name=login]", "a-new-handler")
    page.fill("input[name=password]", PASSWORD)
    page.check("input[name=consent]")
    page.click("main form button[type=submit]")
    page.locator("[data-fault-of=resident_id] code").wait_for()
    assert page.input_value("input[name=password]") == PASSWORD
    assert page.input_value("input[name=resident_id]") == "110105194912310021"
    keep(person, "handler-refused")
    require_fits(page)


def test_an_offer_form_shows_what_its_kind_needs(
    site: Any, someone: Callable[..., Person], size: str
) -> None:
    person = someone(size)
    page = person.page
    page.goto(f"{site.url}/supply/offers/new")
    assert page.locator("input[name=batch_number]").is_visible()
    assert not page.locator("input[name=windows]").is_visible()
    page.select_option("select[name=kind]", "capacity")
    assert not page.locator("input[name=batch_number]").is_visible()
    for name, value in {
        "quantity": "20000",
        "windows": "5",
        "city": "南昌",
        "longitude": "115.8579",
        "latitude": "28.682",
    }.items():
        page.fill(f"input[name={name}]", value)
    page.select_option("select[name=province]", "江西")
    page.select_option("select[name=item]", "mask_surgical")
    page.click("main form button[type=submit]")
    page.wait_for_url(re.compile(r"/supply(#offers)?$"))
    assert "20,000" in page.locator("#offers").inner_text()
    keep(person, "supply")
    require_fits(page)
