"""Seals in a real browser, phone and desktop: pages, fields dragged, a name written, a seal put on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from api.callers import Caller, Role
from api.flows import agreements, seals, signatures
from api.flows.parties import issue_certificate
from api.flows.registration import NewHandler, add_handler, register
from api.testing import PASSWORD, caller_of, invented_pdf, invented_registration
from ledger.core.canonical import canonical_parse
from ledger.core.ids import new_id
from ledger.queries import agreements as queries
from ledger.queries import seals as seal_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id
from signing.intent import intent_message
from signing.keys.device import DeviceKey
from signing.pdf_reading import form_of, open_reader

pytestmark = [
    pytest.mark.browser,
    # Playwright's own event loop is still open when pytest ends the session.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SIZES = {"phone": (360, 740), "desktop": (1280, 860)}
WAIT_MS = 60_000


@dataclass
class Office:
    """An organisation with a manager, a user and an auditor of one enabled seal, and the other party."""

    manager: Any
    other: Any
    seal: str
    user: str


@pytest.fixture(scope="module")
def office(site: Any) -> Office:
    at = datetime.now(UTC)
    ports = site.ports
    manager = register(ports, invented_registration("sealhouse", "donor", at=at), at=at)
    other = register(ports, invented_registration("sealward", "hospital", at=at), at=at)
    head = caller_of(manager)
    people: dict[str, Caller] = {}
    for number, login in enumerate(("seal-user", "seal-auditor")):
        ids = {name: new_id(name, at=at) for name in ("pty", "acc", "aut", "cst")}
        add_handler(
            ports,
            head,
            NewHandler(
                person_id=ids["pty"],
                account_id=ids["acc"],
                authorisation_id=ids["aut"],
                name="陈𬱖（虚构）" if number == 0 else "王䶮（虚构）",
                number=invented_resident_id(login, birth=date(1981, 2, 3 + number)),
                consent_id=ids["cst"],
                login=login,
                password=PASSWORD,
                invented=True,
            ),
            at=at,
        )
        people[login] = Caller(
            ids["acc"], ids["pty"], manager.organisation.id, frozenset({Role.HANDLER})
        )
    made = new_id("sea", at=at)
    user, auditor = people["seal-user"], people["seal-auditor"]
    with transaction(ports.sessions) as session:
        seals.make_seal(
            session,
            ports,
            head,
            seals.NewSeal(
                id=made,
                kind="contract",
                name=manager.organisation.name,
                auditor_id=auditor.person_id or "",
                valid_days=30,
                number="4201000000001",
            ),
            at=at,
        )
        seals.change_seal(session, ports, auditor, made, act="approve", at=at)
        seals.change_seal(session, ports, head, made, act="enable", at=at)
        seals.grant_duty(
            session, ports, head, made, person_id=user.person_id or "", duty="use", at=at
        )
        seals.authorise_use(
            session,
            ports,
            head,
            made,
            person_id=user.person_id or "",
            authorisation_id=new_id("aut", at=at),
            at=at,
        )
    return Office(manager, other, made, user.person_id or "")


@pytest.fixture(params=SIZES)
def size(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def opened(chromium: Any, site: Any, size: str) -> Iterator[Any]:
    """Opens a page logged in as somebody."""
    contexts = []

    def make(login: str) -> Any:
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height}, locale="zh-CN", has_touch=size == "phone"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{site.url}/login")
        page.fill("input[name=login]", login)
        page.fill("input[name=password]", PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_url(f"{site.url}/me")
        return page

    yield make
    for context in contexts:
        context.close()


def keep(page: Any, size: str, name: str, *, whole: bool = True) -> None:
    """Keep a screenshot where FUQI_TEST_SHOTS names a folder."""
    folder = os.environ.get("FUQI_TEST_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{size}-seal-{name}.png"), full_page=whole)


def require_fits(page: Any) -> None:
    """The page does not scroll sideways."""
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_pages_of_seals_fit_and_show_the_seal(
    site: Any, office: Office, opened: Any, size: str
) -> None:
    page = opened("sealhouse")
    for path, name in (
        ("/me/seals", "list"),
        ("/me/seals/new", "new"),
        (f"/me/seals/{office.seal}", "one"),
    ):
        assert page.goto(f"{site.url}{path}").status == 200
        page.wait_for_load_state("networkidle")
        require_fits(page)
        keep(page, size, name)
    picture = page.locator(".seal-show img")
    assert picture.evaluate("image => image.naturalWidth") == 480


def consent_of_the_other(site: Any, office: Office, agreement_id: str) -> None:
    """The other party reads and consents, without a browser."""
    at, ports, caller = datetime.now(UTC), site.ports, caller_of(office.other)
    key = DeviceKey.create()
    with transaction(ports.sessions) as session:
        issue_certificate(
            session,
            ports,
            caller,
            organisation_id=caller.organisation_id or "",
            person_id=caller.person_id or "",
            csr_der=key.csr(CertificateSubject("invented", None, "x")),
            at=at,
        )
        signer = queries.signers_of(session, agreement_id)[1]
        agreements.read_document(session, ports, caller, signer.id, pages=2, seconds=60, at=at)
        made = signatures.make_statement(session, caller, signer.id, act="consent", at=at)
        value = canonical_parse(made.statement.encode())
        assert isinstance(value, dict)
        proof = key.sign(intent_message(value))
        signatures.express_intent(session, ports, caller, made.id, proof=proof, at=at)


def drag(page: Any, start: tuple[float, float], *stops: tuple[float, float]) -> None:
    """Press at `start`, move through the stops, let go."""
    page.mouse.move(*start)
    page.mouse.down()
    for stop in stops:
        page.mouse.move(*stop, steps=6)
    page.mouse.up()


def middle(locator: Any) -> tuple[float, float]:
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def told(page: Any) -> str:
    return str(page.locator("[data-part=told]").inner_text())


def test_fields_are_dragged_a_name_is_written_and_the_seal_is_put_on(
    site: Any, office: Office, opened: Any, size: str, tmp_path: Path
) -> None:
    page = opened("seal-user")
    page.locator("#device [data-part=make]:visible, #device[data-state=ready]").first.wait_for()
    page.click("#device [data-part=make]")
    page.locator("#device[data-state=ready]").wait_for()
    file = tmp_path / "draft.pdf"
    file.write_bytes(invented_pdf(pages=2))

    page.goto(f"{site.url}/agreements/upload")
    page.set_input_files("input[name=file]", file)
    page.fill("input[name=title]", "虚构用印协议（浏览器）")
    page.check("input[name=no_amount]")
    page.select_option("select[name=who_1]", office.user)
    page.fill("input[name=who_2]", "sealward")
    page.check("input[name=place]")
    # Page-edge seals along the right edge alone, chosen among the further options.
    page.locator("summary").get_by_text("骑缝章").click()
    page.select_option("select[name=edges]", "right")
    page.locator("select[name=edges]").scroll_into_view_if_needed()
    require_fits(page)
    keep(page, size, "upload-edges", whole=False)
    page.click("main form button[type=submit]")
    page.wait_for_url("**/agreements/place/agr_*")
    page.locator("#place[data-ready=yes]").wait_for()
    page.wait_for_load_state("networkidle")
    require_fits(page)
    first = page.locator("[data-box='1']")

    # Dragged with the pointer, moved and resized with keys, and never off its page.
    x, y = middle(first)
    drag(page, (x, y), (x + 40, y - 60))
    where = told(page)
    first.press("ArrowRight")
    first.press("Shift+ArrowUp")
    assert told(page) != where
    first.press("Alt+Shift+ArrowRight")
    for _ in range(3):
        first.press("Shift+ArrowLeft")
    keep(page, size, "place-dragged", whole=False)
    first.press("PageUp")
    assert "第 1 页" in told(page)
    first.press("PageDown")

    # The second one beside a text; a text that is not there is refused with its reason.
    page.check("input[name=which][value='2']")
    page.fill("[data-part=anchor]", "no such words here")
    page.click("[data-part=find]")
    page.locator("[data-part=problem][data-code='placement.anchor_missing']").wait_for()
    keep(page, size, "place-missing", whole=False)
    page.fill("[data-part=anchor]", "2.3")
    page.click("[data-part=find]")
    page.locator("[data-part=told]").get_by_text("2: 第 2 页").wait_for()
    require_fits(page)
    keep(page, size, "place")
    placed = [told(page)]

    # Over the clauses' numbers it is refused before the page is left, and nothing placed is lost.
    second = page.locator("[data-box='2']")
    stood = second.get_attribute("aria-label")
    for _ in range(30):
        first.press("Shift+ArrowUp")
    page.click("main form button[type=submit]")
    refused = page.locator("[data-part=problem][data-code='placement.covered']")
    refused.wait_for()
    assert "第 1 个签名框（第 2 页）" in refused.inner_text()
    assert second.get_attribute("aria-label") == stood
    require_fits(page)
    keep(page, size, "place-covered", whole=False)
    for _ in range(30):
        first.press("Shift+ArrowDown")
    page.click("main form button[type=submit]")
    page.wait_for_url("**/agreements/agr_*")
    agreement_id = page.url.rsplit("/", 1)[1]
    with transaction(site.ports.readers) as session:
        row = session.get_one(AgreementRow, agreement_id)
        placed_form = form_of(open_reader(site.ports.blobs.get(row.document_sha256))[0])
    boxes = {name: placed_form.boxes[name] for name in placed_form.empty}
    assert {one.page for one in boxes.values()} == {1}
    edges = [one for one in placed_form.other_fields if one.startswith("fuqi-edge-")]
    assert edges
    assert all(one.startswith("fuqi-edge-right-") for one in edges)
    assert f"左 {round(boxes['party2'].left)}，" in placed[0]
    consent_of_the_other(site, office, agreement_id)

    page.goto(f"{site.url}/agreements/{agreement_id}/sign")
    page.locator("#sign[data-ready=yes]").wait_for()
    for number in (1, 2):
        page.locator(f"[data-page='{number}'] [data-end]").scroll_into_view_if_needed()
        page.locator(f"[data-page='{number}'].read").wait_for()
    page.click("[data-part=read-button]")
    page.locator("[data-part=consent-button]:enabled").click()
    page.locator("#sign[data-phase=sign]").wait_for()
    page.locator("[data-part=sign-button]:enabled").wait_for()
    page.check(f"input[name=mark-seal][value='{office.seal}']")
    page.check("input[name=mark-edge]")
    page.click("[data-part=marks] summary")
    pad = page.locator("canvas.pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + box["width"] * x, box["y"] + box["height"] * y

    drag(page, at(0.1, 0.5), at(0.3, 0.2), at(0.35, 0.8), at(0.5, 0.4))
    drag(page, at(0.55, 0.3), at(0.8, 0.3), at(0.7, 0.8), at(0.9, 0.7))
    drag(page, at(0.2, 0.9), at(0.9, 0.95))
    assert pad.get_attribute("data-strokes") == "3"
    page.click("[data-pad=undo]")
    assert pad.get_attribute("data-strokes") == "2"
    require_fits(page)
    keep(page, size, "marks", whole=False)
    page.click("[data-part=sign-button]")
    page.locator("#sign[data-phase=signed]").wait_for()
    with transaction(site.ports.readers) as session:
        (use,) = [
            one
            for one in seal_queries.uses_of(session, office.seal, limit=50)
            if one.agreement_id == agreement_id
        ]
        data = site.ports.blobs.get(use.revision_sha256)
    assert use.edge
    assert data.count(b"/FUQI_Seal") == 1
    if folder := os.environ.get("FUQI_TEST_SHOTS"):
        (Path(folder) / f"{size}-sealed.pdf").write_bytes(data)
