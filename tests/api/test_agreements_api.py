"""The signing story over HTTP: upload, deliver, read, intent, two-step signature, formed, verify."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas

from api.flows import archiving
from api.flows.signatures import pki_trust
from ledger.core.errors import ConflictError, NotFoundError
from ledger.core.ids import new_id
from ledger.queries.agreements import archives_of
from ledger.store import transaction
from signing.ca import CertificateSubject
from signing.cms import read_timestamp
from signing.embedded import Level, level_of
from signing.keys.device import DeviceKey
from signing.pdf_reading import signatures_of
from signing.tsa import BuiltInTimestampAuthority
from signing.validate import validate_pdf


def a_pdf(*, pages: int = 2) -> bytes:
    """An invented document."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    for page in range(pages):
        canvas.drawString(72, 760, f"An invented agreement, page {page + 1}")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def signer_rows(world: Any) -> list[dict[str, str]]:
    return [
        {"organisation_id": one.organisation_id, "person_id": one.person_id, "role": role}
        for one, role in ((world.donor, "donor"), (world.hospital, "recipient"))
    ]


def upload(
    world: Any, pdf: bytes, *, agreement_id: str | None = None, title: str = "虚构捐赠协议"
) -> Any:
    meta = {
        "id": agreement_id or new_id("agr", at=world.clock.at),
        "title": title,
        "matter": "donation",
        "no_amount": True,
        "signers": signer_rows(world),
        "expires_at": (world.clock.at + timedelta(days=30)).isoformat(),
    }
    return world.client("donor").post(
        "/api/v1/agreements/upload",
        files={"file": ("a.pdf", pdf, "application/pdf")},
        data={"agreement": json.dumps(meta)},
    )


@pytest.fixture(scope="module")
def keys(world: Any) -> dict[str, DeviceKey]:
    """A device key for each handler, certified."""
    found = {}
    for login in ("donor", "hospital"):
        key = DeviceKey.create()
        csr = key.csr(CertificateSubject(common_name="invented", organisation=None, reference="x"))
        answer = world.client(login).post("/api/v1/certificates", json={"csr_base64": b64(csr)})
        assert answer.status_code == 201, answer.text
        found[login] = key
    return found


def my_signer(world: Any, login: str, agreement: dict[str, Any]) -> str:
    """Id of the caller's own place."""
    facts = world.client(login).get(f"/api/v1/agreements/{agreement['id']}").json()
    [mine] = [one["id"] for one in facts["signers"] if one["mine"]]
    return mine


def affirm(world: Any, login: str, key: DeviceKey, signer_id: str, act: str) -> None:
    """Read the statement, sign it with the device key."""
    client = world.client(login)
    made = client.post(f"/api/v1/signers/{signer_id}/statements", json={"act": act}).json()
    proof = b64(key.sign(base64.b64decode(made["message_base64"])))
    affirmed = client.post(
        f"/api/v1/statements/{made['id']}/affirm", json={"signature_base64": proof}
    )
    assert affirmed.status_code == 200, affirmed.text


def read_and_consent(world: Any, login: str, key: DeviceKey, agreement: dict[str, Any]) -> None:
    """What every party does before anybody signs."""
    client = world.client(login)
    mine = my_signer(world, login, agreement)
    assert client.post(f"/api/v1/signers/{mine}/open").status_code == 200
    read = client.post(
        f"/api/v1/signers/{mine}/read", json={"pages": agreement["pages"], "seconds": 30}
    )
    assert read.status_code == 200, read.text
    affirm(world, login, key, mine, "consent")


def sign_as(world: Any, login: str, key: DeviceKey, agreement: dict[str, Any]) -> dict[str, Any]:
    """Intent, then both steps of the signature."""
    client = world.client(login)
    mine = my_signer(world, login, agreement)
    affirm(world, login, key, mine, "sign")
    prepared = client.post(f"/api/v1/signers/{mine}/signature/prepare")
    assert prepared.status_code == 201, prepared.text
    signature = b64(key.sign(base64.b64decode(prepared.json()["signed_attrs_base64"])))
    done = client.post(
        f"/api/v1/prepared/{prepared.json()['id']}/complete", json={"signature_base64": signature}
    )
    assert done.status_code == 200, done.text
    return dict(done.json())


@pytest.fixture(scope="module")
def formed(world: Any, keys: dict[str, DeviceKey]) -> dict[str, Any]:
    """An agreement both parties have signed."""
    agreement = upload(world, a_pdf())
    assert agreement.status_code == 201, agreement.text
    for login in ("donor", "hospital"):
        read_and_consent(world, login, keys[login], agreement.json())
    first = sign_as(world, "donor", keys["donor"], agreement.json())
    assert first["state"] == "signing"
    return sign_as(world, "hospital", keys["hospital"], agreement.json())


def test_an_uploaded_agreement_is_formed_at_the_last_signature(formed: dict[str, Any]) -> None:
    assert formed["state"] == "formed"
    assert formed["formed_at"] is not None
    assert [one["number"] for one in formed["revisions"]] == [0, 1, 2]
    assert formed["current_sha256"] == formed["revisions"][2]["sha256"]
    types = [one["type"] for one in formed["entries"]]
    assert types.count("signature.applied") == 2
    assert types[-1] == "agreement.formed"


def test_the_same_upload_again_is_the_same_agreement(world: Any) -> None:
    agreement_id = new_id("agr", at=world.clock.at)
    first = upload(world, a_pdf(), agreement_id=agreement_id)
    second = upload(world, a_pdf(), agreement_id=agreement_id)
    assert first.json() == second.json()
    changed = upload(world, a_pdf(), agreement_id=agreement_id, title="另一标题")
    assert (changed.status_code, changed.json()["context"]["field"]) == (409, "title")


def test_the_signed_file_passes_the_public_verifier(world: Any, formed: dict[str, Any]) -> None:
    pdf = world.client("donor").get(f"/api/v1/agreements/{formed['id']}/revisions/2").content
    answer = world.anyone.post("/api/v1/verify", files={"file": ("a.pdf", pdf)})
    assert answer.status_code == 200
    report = answer.json()
    assert report["verdict"] == "passed", [c for c in report["checks"] if c["verdict"] != "passed"]
    assert [check["number"] for check in report["checks"]] == list(
        range(1, len(report["checks"]) + 1)
    )
    assert any("licensed" in label or "许可" in label for label in report["labels"])


def test_a_changed_byte_fails_the_public_verifier(world: Any, formed: dict[str, Any]) -> None:
    pdf = bytearray(
        world.client("donor").get(f"/api/v1/agreements/{formed['id']}/revisions/2").content
    )
    pdf[len(pdf) // 3] ^= 1
    answer = world.anyone.post("/api/v1/verify", files={"file": ("a.pdf", bytes(pdf))})
    assert (answer.status_code, answer.json()["verdict"]) == (200, "failed")


def test_the_verify_page_shows_the_same_checks(world: Any, formed: dict[str, Any]) -> None:
    pdf = world.client("donor").get(f"/api/v1/agreements/{formed['id']}/revisions/2").content
    page = world.anyone.post("/verify", files={"file": ("<b>x.pdf", pdf)})
    report = world.anyone.post("/api/v1/verify", files={"file": ("a.pdf", pdf)}).json()
    assert page.status_code == 200
    assert "全部检查通过" in page.text
    assert "<b>x.pdf" not in page.text
    for check in report["checks"]:
        assert check["code"] in page.text


def test_a_file_of_another_kind_is_refused(world: Any) -> None:
    answer = world.anyone.post("/api/v1/verify", files={"file": ("a.txt", b"plain text")})
    assert (answer.status_code, answer.json()["code"]) == (422, "verify.unknown_kind")
    page = world.anyone.post("/verify", files={"file": ("a.txt", b"plain text")})
    assert page.status_code == 422
    assert "verify.unknown_kind" in page.text


def test_pages_are_pictures_for_the_parties_only(world: Any, formed: dict[str, Any]) -> None:
    path = f"/api/v1/agreements/{formed['id']}/pages/1"
    answer = world.client("hospital").get(path)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    again = world.client("hospital").get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert world.anyone.get(path).status_code == 401
    missing = world.client("hospital").get(f"/api/v1/agreements/{formed['id']}/pages/99")
    assert missing.status_code == 404


def test_a_receipt_opens_its_body_for_a_party(world: Any, formed: dict[str, Any]) -> None:
    entry = formed["entries"][-1]
    receipt = world.client("donor").get(f"/api/v1/entries/{entry['id']}/receipt").json()
    assert receipt["entry"]["leaf"] == entry["leaf"]
    assert receipt["state"] == entry["state"]
    assert receipt["private"]["body"]["sha256"] == formed["current_sha256"]
    page = world.client("donor").get(f"/entries/{entry['id']}")
    assert entry["leaf"] in page.text


def test_the_agreement_page_shows_the_facts_of_the_json(world: Any, formed: dict[str, Any]) -> None:
    page = world.client("hospital").get(f"/agreements/{formed['id']}").text
    assert formed["title"] in page
    assert formed["document_sha256"] in page
    for one in formed["revisions"]:
        assert one["sha256"] in page
    for one in formed["signers"]:
        assert one["organisation_name"] in page
    for one in formed["entries"]:
        assert one["leaf"] in page
    assert f"/api/v1/agreements/{formed['id']}/pages/1" in page
    assert "demo-banner" in page


def test_the_list_shows_it_to_both_parties(world: Any, formed: dict[str, Any]) -> None:
    for login in ("donor", "hospital"):
        items = world.client(login).get("/api/v1/agreements").json()["items"]
        assert formed["id"] in [one["id"] for one in items]
        assert formed["id"] in world.client(login).get("/agreements").text


def test_a_list_is_paged_and_its_limit_is_bounded(world: Any, formed: dict[str, Any]) -> None:
    client = world.client("donor")
    first = client.get("/api/v1/agreements?limit=1").json()
    second = client.get(f"/api/v1/agreements?limit=1&before={first['next']}").json()
    assert first["items"][0]["id"] > second["items"][0]["id"]
    assert client.get("/api/v1/agreements?limit=101").status_code == 422


def test_signing_without_reading_is_refused(world: Any, keys: dict[str, DeviceKey]) -> None:
    agreement = upload(world, a_pdf()).json()
    mine = agreement["signers"][0]["id"]
    client = world.client("donor")
    early = client.post(f"/api/v1/signers/{mine}/statements", json={"act": "sign"})
    assert (early.status_code, early.json()["code"]) == (409, "agreement.not_read")
    part = client.post(f"/api/v1/signers/{mine}/read", json={"pages": 1, "seconds": 5})
    assert (part.status_code, part.json()["code"]) == (422, "agreement.not_all_pages")


def test_nobody_signs_in_anothers_place(world: Any, keys: dict[str, DeviceKey]) -> None:
    agreement = upload(world, a_pdf()).json()
    theirs = agreement["signers"][1]["id"]
    answer = world.client("donor").post(f"/api/v1/signers/{theirs}/open")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_signature_by_another_key_is_refused(world: Any, keys: dict[str, DeviceKey]) -> None:
    agreement = upload(world, a_pdf()).json()
    client = world.client("donor")
    mine = agreement["signers"][0]["id"]
    client.post(f"/api/v1/signers/{mine}/read", json={"pages": 2, "seconds": 5})
    made = client.post(f"/api/v1/signers/{mine}/statements", json={"act": "consent"}).json()
    forged = b64(DeviceKey.create().sign(base64.b64decode(made["message_base64"])))
    answer = client.post(
        f"/api/v1/statements/{made['id']}/affirm", json={"signature_base64": forged}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "intent.proof")


def test_declining_ends_the_agreement(world: Any) -> None:
    agreement = upload(world, a_pdf()).json()
    page = world.client("hospital").post(
        f"/agreements/{agreement['id']}/decline",
        data={"reason": "虚构理由"},
        follow_redirects=False,
    )
    assert page.status_code == 303
    after = world.client("donor").get(f"/api/v1/agreements/{agreement['id']}").json()
    assert (after["state"], after["ended_reason"]) == ("declined", "虚构理由")
    again = world.client("hospital").post(
        f"/agreements/{agreement['id']}/decline", data={"reason": "x"}
    )
    assert again.status_code == 409


def test_a_bundle_waits_for_all_signatures(world: Any) -> None:
    agreement = upload(world, a_pdf()).json()
    answer = world.client("donor").post(
        f"/api/v1/agreements/{agreement['id']}/bundles",
        json={"id": new_id("bun", at=world.clock.at)},
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "bundle.not_formed")


@pytest.mark.parametrize(
    ("pdf", "status"),
    [(b"not a pdf", 422), (b"%PDF-1.7\ngarbage", 422), (b"%PDF-" + b"x" * (21 << 20), 413)],
    ids=["no pdf", "broken", "too large"],
)
def test_a_bad_upload_is_refused_and_records_nothing(world: Any, pdf: bytes, status: int) -> None:
    agreement_id = new_id("agr", at=world.clock.at)
    answer = upload(world, pdf, agreement_id=agreement_id)
    assert answer.status_code == status
    assert "." in answer.json()["code"]
    assert world.client("donor").get(f"/api/v1/agreements/{agreement_id}").status_code == 404


def test_a_formed_agreement_is_archived_once_and_stays_the_original(
    world: Any, formed: dict[str, Any]
) -> None:
    ports = world.app.state.shell.ports
    path = f"/api/v1/agreements/{formed['id']}/archive"
    early = world.client("donor").get(path)
    assert (early.status_code, early.json()["code"]) == (404, "archive.none")
    at = world.clock.at + timedelta(minutes=1)
    assert archiving.archive_due(ports, clock=lambda: at) == []
    assert archiving.archive_due(ports, clock=lambda: at) == []
    facts = world.client("hospital").get(f"/api/v1/agreements/{formed['id']}").json()
    [archive] = facts["archives"]
    assert facts["current_sha256"] == formed["current_sha256"]
    assert [one["type"] for one in facts["entries"]].count("document.archived") == 1
    data = world.client("donor").get(path).content
    final = ports.blobs.get(formed["current_sha256"])
    assert data.startswith(final)
    assert level_of(data) is Level.B_LTA
    assert archive["sha256"] in world.client("donor").get(f"/agreements/{formed['id']}").text
    assert world.anyone.get(path).status_code == 401


def test_the_archive_passes_with_the_roots_alone_after_the_certificates_have_ended(
    world: Any, formed: dict[str, Any]
) -> None:
    ports = world.app.state.shell.ports
    data = world.client("donor").get(f"/api/v1/agreements/{formed['id']}/archive").content
    alone = replace(pki_trust(ports, at=world.clock.at), crls=())
    validate_pdf(data, trust=alone, at=world.clock.at + timedelta(days=5 * 365)).require()
    final = ports.blobs.get(formed["current_sha256"])
    later = validate_pdf(final, trust=alone, at=world.clock.at + timedelta(days=5 * 365))
    assert later.verdict.value == "indeterminate"


def test_what_is_not_formed_is_not_archived(world: Any) -> None:
    ports = world.app.state.shell.ports
    waiting = upload(world, a_pdf(), title="未签署的虚构协议").json()
    with pytest.raises(ConflictError) as caught:
        archiving.archive(ports, waiting["id"], at=world.clock.at)
    assert caught.value.error_code == "archive.not_formed"
    with pytest.raises(NotFoundError):
        archiving.archive(ports, new_id("agr", at=world.clock.at), at=world.clock.at)


def test_a_renewal_needs_a_newer_authority_and_stamps_outside_of_any_transaction(
    world: Any, formed: dict[str, Any], tmp_path: Path
) -> None:
    ports = world.app.state.shell.ports
    with transaction(ports.readers) as session:
        [first] = archives_of(session, formed["id"])
    due = first.due_at
    with pytest.raises(ConflictError) as caught:
        archiving.archive(ports, formed["id"], at=due)
    assert caught.value.error_code == "archive.authority_not_newer"
    second = BuiltInTimestampAuthority.create(tmp_path / "tsa", at=due)
    stamped: list[str] = []

    class Slow:
        """An authority that meanwhile sees somebody else write: no lock is held while it thinks."""

        def __getattr__(self, name: str) -> Any:
            return getattr(second, name)

        def stamp(self, imprint: bytes, *, at: datetime) -> bytes:
            key_id = new_id("key", at=world.clock.at)
            body = {"id": key_id, "name": "meanwhile", "days": 1}
            assert world.client("donor").post("/api/v1/keys", json=body).status_code == 201
            stamped.append(key_id)
            return second.stamp(imprint, at=at)

    renewed = replace(ports, tsa=Slow(), former_tsa_roots=(ports.tsa.root_der,))
    row = archiving.archive(renewed, formed["id"], at=due)
    assert len(stamped) == 1
    assert (row.number, row.base_sha256, row.newest) == (2, first.sha256, True)
    assert row.due_at > due + timedelta(days=365)
    assert archiving.archive(renewed, formed["id"], at=due).sha256 == row.sha256
    with transaction(ports.readers) as session:
        assert [one.newest for one in archives_of(session, formed["id"])] == [False, True]


def test_of_two_workers_one_archives(world: Any, formed: dict[str, Any], tmp_path: Path) -> None:
    ports = world.app.state.shell.ports
    with transaction(ports.readers) as session:
        newest = archives_of(session, formed["id"])[-1]
    due = newest.due_at
    third = BuiltInTimestampAuthority.create(tmp_path / "tsa", at=due)
    both = replace(ports, tsa=third, former_tsa_roots=every_tsa_root(ports, formed))

    class Twice:
        def __getattr__(self, name: str) -> Any:
            return getattr(third, name)

        def stamp(self, imprint: bytes, *, at: datetime) -> bytes:
            archiving.archive(both, formed["id"], at=at)
            return third.stamp(imprint, at=at)

    with pytest.raises(ConflictError) as caught:
        archiving.archive(replace(both, tsa=Twice()), formed["id"], at=due)
    assert caught.value.error_code == "archive.overtaken"
    with transaction(ports.readers) as session:
        assert len(archives_of(session, formed["id"])) == newest.number + 1


def every_tsa_root(ports: Any, formed: dict[str, Any]) -> tuple[bytes, ...]:
    """Roots of every stamp in the newest archived file."""
    with transaction(ports.readers) as session:
        data = ports.blobs.get(archives_of(session, formed["id"])[-1].sha256)
    found = [
        certificate
        for one in signatures_of(data)
        if one.kind == "document_timestamp"
        for certificate in read_timestamp(one.contents).container.certificates
    ]
    return (ports.tsa.root_der, *found)
