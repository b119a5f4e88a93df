"""Seals over HTTP: a whole life in three people's hands, entries of each step, and every refusal."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from PIL import Image, ImageDraw

from api.callers import Caller, Role
from api.flows.registration import NewHandler, add_handler
from api.testing import PASSWORD
from ledger.core.ids import new_id
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.tables.parties import PartyRow
from signing.identity import invented_resident_id


@pytest.fixture(scope="module")
def staff(world: Any, clock: Any) -> Callable[[str], str]:
    """Adds a handler to the donor and returns their person id; the login is the word given."""
    ports = world.app.state.shell.ports
    donor = world.donor
    admin = Caller(
        donor.account_id, donor.person_id, donor.organisation_id, frozenset({Role.ADMIN})
    )
    made: dict[str, str] = {}

    def make(login: str) -> str:
        if login not in made:
            ids = {name: new_id(name, at=clock.at) for name in ("pty", "acc", "aut", "cst")}
            add_handler(
                ports,
                admin,
                NewHandler(
                    person_id=ids["pty"],
                    account_id=ids["acc"],
                    authorisation_id=ids["aut"],
                    name=f"虚构{login}",
                    number=invented_resident_id(f"seals-{login}", birth=date(1985, 1, 1)),
                    consent_id=ids["cst"],
                    login=login,
                    password=PASSWORD,
                    invented=True,
                ),
                at=clock.at,
            )
            made[login] = ids["pty"]
        return made[login]

    return make


@pytest.fixture(scope="module")
def name(world: Any) -> str:
    with transaction(world.app.state.shell.ports.readers) as session:
        return session.get_one(PartyRow, world.donor.organisation_id).name


@pytest.fixture
def made(world: Any, staff: Callable[[str], str], name: str, clock: Any) -> dict[str, Any]:
    """A contract seal that the donor's administrator made and `auditor` audits."""
    answer = world.client("donor").post("/api/v1/seals", json=a_seal(name, staff, clock))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def a_seal(own: str, staff: Callable[[str], str], clock: Any, **change: Any) -> dict[str, Any]:
    return {
        "id": new_id("sea", at=clock.at),
        "kind": "contract",
        "name": own,
        "auditor_id": staff("auditor"),
        "valid_days": 30,
        **change,
    }


def step(world: Any, login: str, seal: str, act: str, reason: str = "invented") -> Any:
    return world.client(login).post(
        f"/api/v1/seals/{seal}/change", json={"act": act, "reason": reason}
    )


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_seal_lives_in_the_hands_of_three_people_and_each_step_is_an_entry(
    world: Any, made: dict[str, Any], staff: Callable[[str], str]
) -> None:
    seal, user = made["id"], staff("user")
    assert (made["state"], made["source"], made["width_mm"]) == ("made", "drawn", 40)
    assert {one["duty"] for one in made["duties"]} == {"manage", "audit"}
    assert code(step(world, "donor", seal, "enable")) == (409, "seal.state")
    assert code(step(world, "donor", seal, "approve")) == (403, "seal.duty")
    assert step(world, "auditor", seal, "approve").json()["approved_by"] == staff("auditor")
    assert code(step(world, "auditor", seal, "enable")) == (403, "seal.duty")
    assert step(world, "donor", seal, "enable").json()["state"] == "enabled"
    charged = world.client("donor").post(
        f"/api/v1/seals/{seal}/duties", json={"person_id": user, "duty": "use"}
    )
    assert {one["person_id"]: one["duty"] for one in charged.json()["duties"]}[user] == "use"
    assert code(step(world, "user", seal, "suspend")) == (403, "seal.duty")
    assert step(world, "auditor", seal, "suspend").json()["state"] == "suspended"
    assert step(world, "donor", seal, "enable").json()["state"] == "enabled"
    gone = world.client("donor").post(
        f"/api/v1/seals/{seal}/duties/withdraw", json={"person_id": user}
    )
    assert user not in {one["person_id"] for one in gone.json()["duties"]}
    assert step(world, "donor", seal, "destroy").json()["state"] == "destroyed"
    assert code(step(world, "donor", seal, "enable")) == (409, "seal.state")
    with transaction(world.app.state.shell.ports.readers) as session:
        kinds = [one.type for one in log_queries.entries_of(session, [seal])]
    assert kinds == [
        "seal.made",
        "seal.approved",
        "seal.enabled",
        "seal.charged",
        "seal.suspended",
        "seal.enabled",
        "seal.relieved",
        "seal.destroyed",
    ]


def test_entries_of_a_seal_are_seen_by_its_organisation_only(
    world: Any, made: dict[str, Any]
) -> None:
    with transaction(world.app.state.shell.ports.readers) as session:
        (entry,) = log_queries.entries_of(session, [made["id"]])
    path = f"/api/v1/entries/{entry.id}/receipt"
    receipt = world.client("donor").get(path).json()
    assert receipt["private"]["body"]["seal"] == made["id"]
    assert world.client("hospital").get(path).status_code == 404


def test_nobody_is_charged_with_two_duties(
    world: Any, made: dict[str, Any], staff: Callable[[str], str]
) -> None:
    for person in (staff("auditor"), world.donor.person_id):
        answer = world.client("donor").post(
            f"/api/v1/seals/{made['id']}/duties", json={"person_id": person, "duty": "use"}
        )
        assert code(answer) == (409, "seal.two_duties")


def test_a_duty_goes_to_ones_own_people_only(world: Any, made: dict[str, Any]) -> None:
    answer = world.client("donor").post(
        f"/api/v1/seals/{made['id']}/duties",
        json={"person_id": world.hospital.person_id, "duty": "use"},
    )
    assert code(answer) == (404, "seal.person_unknown")


def test_the_usage_ledger_is_read_by_manager_and_auditor_and_not_by_the_user(
    world: Any, made: dict[str, Any], staff: Callable[[str], str]
) -> None:
    path = f"/api/v1/seals/{made['id']}/uses"
    world.client("donor").post(
        f"/api/v1/seals/{made['id']}/duties", json={"person_id": staff("user"), "duty": "use"}
    )
    assert world.client("donor").get(path).json() == []
    assert world.client("auditor").get(path).json() == []
    assert code(world.client("user").get(path)) == (403, "seal.duty")
    assert world.client("hospital").get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "fault"),
    [
        ({"name": "别家公司（虚构）"}, 422, "seal.other_name"),
        ({"kind": "legal_representative", "name": "无此人"}, 422, "seal.other_name"),
        ({"shape": "square"}, 422, "seal.shape"),
        ({"width_mm": 20}, 422, "seal.size"),
        ({"auditor_id": "self"}, 409, "seal.two_duties"),
        ({"auditor_id": "pty_01kdvdna00ncrmbvs7rqr9p8yr"}, 404, "seal.person_unknown"),
    ],
)
def test_a_seal_that_should_not_be_is_refused(
    world: Any,
    staff: Callable[[str], str],
    name: str,
    clock: Any,
    change: dict[str, Any],
    status: int,
    fault: str,
) -> None:
    if change.get("auditor_id") == "self":
        change = {"auditor_id": world.donor.person_id}
    body = a_seal(name, staff, clock, **change)
    assert code(world.client("donor").post("/api/v1/seals", json=body)) == (status, fault)


def test_a_handler_who_is_no_administrator_makes_no_seal(
    world: Any, staff: Callable[[str], str], name: str, clock: Any
) -> None:
    staff("user")
    answer = world.client("user").post("/api/v1/seals", json=a_seal(name, staff, clock))
    assert code(answer) == (403, "auth.role")


def test_sending_the_same_seal_again_makes_one_and_a_change_is_named(
    world: Any, staff: Callable[[str], str], name: str, clock: Any
) -> None:
    body = a_seal(name, staff, clock)
    first, again = (world.client("donor").post("/api/v1/seals", json=body) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    changed = world.client("donor").post("/api/v1/seals", json={**body, "width_mm": 45})
    assert changed.status_code == 409
    assert changed.json()["context"]["field"] == "width_mm"


def test_an_uploaded_picture_is_labelled_and_served_as_pixels(
    world: Any, staff: Callable[[str], str], name: str, clock: Any
) -> None:
    image = Image.new("RGB", (300, 300), "white")
    ImageDraw.Draw(image).ellipse((20, 20, 280, 280), outline="red", width=14)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG")
    answer = world.client("donor").post(
        "/api/v1/seals/upload",
        files={"file": ("seal.jpg", buffer.getvalue(), "image/jpeg")},
        data={"seal": json.dumps(a_seal(name, staff, clock))},
    )
    assert answer.json()["source"] == "uploaded", answer.text
    picture = world.client("donor").get(f"/api/v1/seals/{answer.json()['id']}/picture")
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(picture.content)).mode == "RGBA"
    hostile = world.client("donor").post(
        "/api/v1/seals/upload",
        files={"file": ("seal.svg", b"<svg/>", "image/svg+xml")},
        data={"seal": json.dumps(a_seal(name, staff, clock))},
    )
    assert code(hostile) == (422, "seal.picture_format")


def test_the_pages_show_and_do_the_same(
    world: Any, staff: Callable[[str], str], name: str, clock: Any
) -> None:
    client = world.client("donor")
    attempt = new_id("sea", at=clock.at)
    form = {
        "attempt": attempt,
        "kind": "organisation",
        "name": name,
        "auditor_id": staff("auditor"),
        "valid_days": "30",
        "number": "4201000000001",
    }
    wrong = client.post("/me/seals", data={**form, "name": "别家公司"}, follow_redirects=False)
    assert "seal.other_name" in wrong.text
    answer = client.post("/me/seals", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/me/seals/{attempt}")
    assert attempt in client.get("/me/seals").text
    page = client.get(f"/me/seals/{attempt}").text
    assert "待批准" in page
    assert "批准</button>" not in page
    theirs = world.client("auditor")
    assert "批准</button>" in theirs.get(f"/me/seals/{attempt}").text
    theirs.post(f"/me/seals/{attempt}/change", data={"act": "approve"})
    client.post(f"/me/seals/{attempt}/change", data={"act": "enable"})
    client.post(f"/me/seals/{attempt}/duties", data={"person_id": staff("user"), "duty": "use"})
    page = client.get(f"/me/seals/{attempt}?lang=en").text
    client.get("/me/seals?lang=zh")
    assert "Enabled" in page
    assert "虚构user" in page
