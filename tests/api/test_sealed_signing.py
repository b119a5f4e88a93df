"""Signing under a seal over HTTP: bound, recorded, audited; and each way in which it is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from api.callers import Caller, Role
from api.flows.archiving import archive
from api.flows.evidence import installation_trust
from api.flows.exporting import export_bundle
from api.flows.registration import NewHandler, add_handler
from api.flows.signatures import pki_trust
from api.testing import PASSWORD, invented_pdf
from api.worker import settle
from arbitration.bundle import read_bundle
from arbitration.checks import signer_seal
from arbitration.checks.all import verify_bundle
from arbitration.checks.context import Context, open_context
from arbitration.contents import Purpose
from arbitration.model import Event
from ledger.core.ids import new_id
from ledger.core.report import Verdict
from ledger.embedded_chain import open_embedded_chain
from ledger.queries import log as log_queries
from ledger.queries.agreements import archives_of
from ledger.store import transaction
from ledger.tables.parties import PartyRow
from signing.ca import CertificateSubject, requested_spki
from signing.changes import byte_ranges
from signing.edge_seal import edge_fields
from signing.identity import invented_resident_id
from signing.intent import intent_message
from signing.keys.device import DeviceKey
from signing.pdf_reading import open_reader
from signing.seal_maker import ExternalSealMaker, certify_maker, request_maker
from signing.seal_object import read_seal_object
from signing.seal_reading import seals_in
from signing.validate import validate_pdf

PAGES = 3
STROKES = [[[x, 200 + x * 3 % 90] for x in range(100, 700, 30)], [[400, 120], [410, 400]]]


@dataclass
class Desk:
    """The donor's people and their keys, and the hospital's handler."""

    world: Any
    people: dict[str, str] = field(default_factory=dict)
    keys: dict[str, DeviceKey] = field(default_factory=dict)

    def client(self, login: str) -> Any:
        return self.world.client(login)

    def sign(self, login: str, signer: str, marks: dict[str, Any] | None = None) -> Any:
        """Read, consent, affirm, prepare with marks and complete; the last answer, or the refusal."""
        client, key = self.client(login), self.keys[login]
        client.post(f"/api/v1/signers/{signer}/open")
        client.post(f"/api/v1/signers/{signer}/read", json={"pages": PAGES, "seconds": 40})
        for act in ("consent", "sign"):
            made = client.post(f"/api/v1/signers/{signer}/statements", json={"act": act})
            if made.status_code != 201:
                continue
            proof = key.sign(intent_message(made.json()["statement"]))
            client.post(
                f"/api/v1/statements/{made.json()['id']}/affirm",
                json={"signature_base64": base64.b64encode(proof).decode()},
            )
        prepared = client.post(f"/api/v1/signers/{signer}/signature/prepare", json=marks or {})
        if prepared.status_code != 201:
            return prepared
        return self.complete(login, prepared.json())

    def complete(self, login: str, prepared: dict[str, Any]) -> Any:
        attributes = base64.b64decode(prepared["signed_attrs_base64"])
        signature = self.keys[login].sign(attributes)
        return self.client(login).post(
            f"/api/v1/prepared/{prepared['id']}/complete",
            json={"signature_base64": base64.b64encode(signature).decode()},
        )


@pytest.fixture(scope="module")
def desk(world: Any, clock: Any) -> Desk:
    ports = world.app.state.shell.ports
    made = Desk(world, {"donor": world.donor.person_id, "hospital": world.hospital.person_id})
    for login, side in (
        ("sealer", world.donor),
        ("inspector", world.donor),
        ("ward_sealer", world.hospital),
        ("ward_inspector", world.hospital),
    ):
        admin = Caller(
            side.account_id, side.person_id, side.organisation_id, frozenset({Role.ADMIN})
        )
        ids = {name: new_id(name, at=clock.at) for name in ("pty", "acc", "aut", "cst")}
        add_handler(
            ports,
            admin,
            NewHandler(
                person_id=ids["pty"],
                account_id=ids["acc"],
                authorisation_id=ids["aut"],
                name="陈𬱖（虚构）",
                number=invented_resident_id(f"sealed-{login}", birth=date(1985, 1, 1)),
                consent_id=ids["cst"],
                login=login,
                password=PASSWORD,
                invented=True,
            ),
            at=clock.at,
        )
        made.people[login] = ids["pty"]
    for login in ("donor", "sealer", "hospital", "ward_sealer"):
        key = DeviceKey.create()
        csr = key.csr(CertificateSubject(common_name=login, organisation=None, reference="x"))
        answer = made.client(login).post(
            "/api/v1/certificates", json={"csr_base64": base64.b64encode(csr).decode()}
        )
        assert answer.status_code == 201, answer.text
        made.keys[login] = key
    return made


@pytest.fixture(scope="module")
def seal(desk: Desk, world: Any, clock: Any) -> str:
    """An enabled contract seal of the donor that `sealer` may use."""
    return an_enabled_seal(
        desk, clock, world.donor, manager="donor", auditor="inspector", user="sealer"
    )


def an_enabled_seal(
    desk: Desk, clock: Any, side: Any, *, manager: str, auditor: str, user: str
) -> str:
    """Made by one person, approved by another, and its user charged."""
    with transaction(desk.world.app.state.shell.ports.readers) as session:
        name = session.get_one(PartyRow, side.organisation_id).name
    made = new_id("sea", at=clock.at)
    person, judge = desk.people[user], desk.people[auditor]
    maker, approver = desk.client(manager), desk.client(auditor)
    answer = maker.post(
        "/api/v1/seals",
        json={
            "id": made,
            "kind": "contract",
            "name": name,
            "auditor_id": judge,
            "valid_days": 30,
        },
    )
    assert answer.status_code == 201, answer.text
    assert approver.post(f"/api/v1/seals/{made}/change", json={"act": "approve"}).status_code == 200
    assert maker.post(f"/api/v1/seals/{made}/change", json={"act": "enable"}).status_code == 200
    charged = maker.post(f"/api/v1/seals/{made}/duties", json={"person_id": person, "duty": "use"})
    assert charged.status_code == 200, charged.text
    return made


@pytest.fixture(scope="module")
def scope(desk: Desk, seal: str, clock: Any) -> None:
    """The user's authorisation covers the seal."""
    authorise(desk, clock, seal, manager="donor", user="sealer")


def authorise(desk: Desk, clock: Any, seal: str, *, manager: str, user: str) -> None:
    answer = desk.client(manager).post(
        f"/api/v1/seals/{seal}/authorise",
        json={"id": new_id("aut", at=clock.at), "person_id": desk.people[user]},
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture
def agreement(desk: Desk, world: Any, clock: Any) -> dict[str, Any]:
    """Two signers: the donor's `sealer` first, then the hospital's handler."""
    return an_agreement(desk, world, clock)


def an_agreement(
    desk: Desk, world: Any, clock: Any, *, other: str = "hospital", **options: Any
) -> dict[str, Any]:
    """An uploaded agreement to which the hospital has consented."""
    body = {
        "id": new_id("agr", at=clock.at),
        "title": "虚构用印协议",
        "matter": "donation",
        "no_amount": True,
        "signers": [
            {
                "organisation_id": world.donor.organisation_id,
                "person_id": desk.people["sealer"],
                "role": "donor",
            },
            {
                "organisation_id": world.hospital.organisation_id,
                "person_id": desk.people[other],
                "role": "recipient",
            },
        ],
        "expires_at": (clock.at + timedelta(days=20)).isoformat(),
        **options,
    }
    answer = desk.client("donor").post(
        "/api/v1/agreements/upload",
        files={"file": ("a.pdf", invented_pdf(pages=PAGES), "application/pdf")},
        data={"agreement": json.dumps(body)},
    )
    assert answer.status_code == 201, answer.text
    made = dict(answer.json())
    # The other party consents first: nobody signs alone.
    signer = made["signers"][1]["id"]
    client, key = desk.client(other), desk.keys[other]
    client.post(f"/api/v1/signers/{signer}/read", json={"pages": PAGES, "seconds": 40})
    stated = client.post(f"/api/v1/signers/{signer}/statements", json={"act": "consent"}).json()
    message = base64.b64decode(stated["message_base64"])
    client.post(
        f"/api/v1/statements/{stated['id']}/affirm",
        json={"signature_base64": base64.b64encode(key.sign(message)).decode()},
    )
    return made


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def test_a_seal_outside_the_authorisations_scope_is_refused(
    desk: Desk, seal: str, agreement: dict[str, Any]
) -> None:
    answer = desk.sign("sealer", agreement["signers"][0]["id"], {"seal_id": seal})
    assert refusal(answer) == (403, "authority.seal")


def test_a_sealed_signature_is_bound_recorded_and_audited(
    desk: Desk, seal: str, scope: None, agreement: dict[str, Any], world: Any
) -> None:
    signer = agreement["signers"][0]["id"]
    marks = {"seal_id": seal, "edge": True, "strokes": STROKES}
    done = desk.sign("sealer", signer, marks)
    assert done.status_code == 200, done.text
    ports = world.app.state.shell.ports
    data = ports.blobs.get(done.json()["current_sha256"])
    report = validate_pdf(data, trust=pki_trust(ports, at=world.clock.at), at=world.clock.at)
    assert report.verdict is Verdict.PASSED, [
        c for c in report.checks if c.verdict.value != "passed"
    ]
    (held,) = seals_in(data, byte_ranges(data)).values()
    bound = read_seal_object(held[0]).binding
    assert (bound.seal, bound.signer, bound.agreement) == (seal, signer, agreement["id"])
    assert (bound.person, bound.edge) == (desk.people["sealer"], True)
    assert bound.base_sha256 == agreement["document_sha256"]
    for reader in ("donor", "inspector"):
        uses = desk.client(reader).get(f"/api/v1/seals/{seal}/uses").json()
        assert [one["agreement_id"] for one in uses][:1] == [agreement["id"]]
    assert uses[0]["authorisation_id"] == bound.authorisation
    assert refusal(desk.client("sealer").get(f"/api/v1/seals/{seal}/uses")) == (403, "seal.duty")
    with transaction(ports.readers) as session:
        kinds = [one.type for one in log_queries.entries_of(session, [agreement["id"]])]
    assert kinds.count("seal.used") == 1
    # The second party signs over it, and the whole still holds.
    formed = desk.sign("hospital", agreement["signers"][1]["id"])
    assert formed.json()["state"] == "formed", formed.text
    # The archive judges the maker of the seal by what the file itself brings, years later too.
    archived = archive(ports, agreement["id"], at=world.clock.at)
    alone = replace(pki_trust(ports, at=world.clock.at), crls=())
    later = world.clock.at + timedelta(days=5 * 365)
    validate_pdf(ports.blobs.get(archived.sha256), trust=alone, at=later).require()


def test_a_maker_certified_outside_seals_and_without_one_it_is_said_what_to_set(
    desk: Desk, seal: str, scope: None, world: Any, clock: Any, tmp_path: Path
) -> None:
    shell = world.app.state.shell
    main = shell.ports.authority.main
    folder = tmp_path / "maker"
    certificate = certify_maker(main, requested_spki(request_maker(folder)), at=clock.at)
    (folder / "seal-maker.der").write_bytes(certificate.public_bytes(Encoding.DER))
    outside = ExternalSealMaker(folder, roots=[main.root_der], at=clock.at)
    try:
        agreement = an_agreement(desk, world, clock)
        signer = agreement["signers"][0]["id"]
        world.app.state.shell = replace(shell, ports=replace(shell.ports, seal_maker=None))
        assert refusal(desk.sign("sealer", signer, {"seal_id": seal})) == (503, "seal.no_maker")
        world.app.state.shell = replace(shell, ports=replace(shell.ports, seal_maker=outside))
        done = desk.sign("sealer", signer, {"seal_id": seal})
    finally:
        world.app.state.shell = shell
    assert done.status_code == 200, done.text
    data = shell.ports.blobs.get(done.json()["current_sha256"])
    (held,) = seals_in(data, byte_ranges(data)).values()
    assert read_seal_object(held[0]).maker == (folder / "seal-maker.der").read_bytes()
    report = validate_pdf(data, trust=pki_trust(shell.ports, at=clock.at), at=clock.at)
    assert report.verdict is Verdict.PASSED, report.as_json()


def test_another_choice_of_marks_prepares_anew_and_the_same_does_not(
    desk: Desk, seal: str, scope: None, agreement: dict[str, Any]
) -> None:
    signer = agreement["signers"][0]["id"]
    client = desk.client("sealer")
    refused = desk.sign("sealer", signer, {"edge": True})
    assert refusal(refused) == (422, "seal.edge_without_seal")
    path = f"/api/v1/signers/{signer}/signature/prepare"
    plain = client.post(path).json()
    sealed = client.post(path, json={"seal_id": seal}).json()
    assert plain["id"] == client.post(path).json()["id"]
    assert sealed["id"] == client.post(path, json={"seal_id": seal}).json()["id"]
    assert plain["id"] != sealed["id"]


def test_a_seal_suspended_between_the_two_steps_is_refused(
    desk: Desk, seal: str, scope: None, agreement: dict[str, Any]
) -> None:
    signer = agreement["signers"][0]["id"]
    assert refusal(desk.sign("sealer", signer, {"edge": True}))[0] == 422
    prepared = desk.client("sealer").post(
        f"/api/v1/signers/{signer}/signature/prepare", json={"seal_id": seal}
    )
    manager = desk.client("donor")
    change = f"/api/v1/seals/{seal}/change"
    manager.post(change, json={"act": "suspend", "reason": "invented"})
    try:
        assert refusal(desk.complete("sealer", prepared.json())) == (409, "seal.not_enabled")
        again = desk.client("sealer").post(
            f"/api/v1/signers/{signer}/signature/prepare", json={"seal_id": seal, "edge": True}
        )
        assert refusal(again) == (409, "seal.not_enabled")
    finally:
        manager.post(change, json={"act": "enable"})
    assert desk.complete("sealer", prepared.json()).status_code == 200


def test_nobody_else_uses_the_seal(
    desk: Desk, seal: str, scope: None, agreement: dict[str, Any]
) -> None:
    first = desk.sign("sealer", agreement["signers"][0]["id"])
    assert first.status_code == 200
    answer = desk.sign("hospital", agreement["signers"][1]["id"], {"seal_id": seal})
    assert answer.status_code in (403, 404)


def test_both_organisations_seal_across_the_pages_and_the_bundle_verifies_offline(
    desk: Desk, seal: str, scope: None, world: Any, clock: Any
) -> None:
    ours = an_enabled_seal(
        desk,
        clock,
        world.hospital,
        manager="hospital",
        auditor="ward_inspector",
        user="ward_sealer",
    )
    made = an_agreement(desk, world, clock, other="ward_sealer")
    first, second = (one["id"] for one in made["signers"])
    done = desk.sign("sealer", first, {"seal_id": seal, "edge": True})
    assert done.status_code == 200, done.text
    unscoped = desk.sign("ward_sealer", second, {"seal_id": ours, "edge": True})
    assert refusal(unscoped) == (403, "authority.seal")
    authorise(desk, clock, ours, manager="hospital", user="ward_sealer")
    stranger = desk.sign("ward_sealer", second, {"seal_id": seal, "edge": True})
    assert stranger.status_code in (403, 404)
    formed = desk.sign("ward_sealer", second, {"seal_id": ours, "edge": True})
    assert formed.json().get("state") == "formed", formed.text
    data = world.app.state.shell.ports.blobs.get(formed.json()["current_sha256"])
    trust = pki_trust(world.app.state.shell.ports, at=clock.at)
    report = validate_pdf(data, trust=trust, at=clock.at)
    edges = [one for one in report.checks if one.code == "pdf.edge_seal"]
    assert report.verdict is Verdict.PASSED, report.as_json()
    assert [(one.verdict, one.details["pages"]) for one in edges] == [(Verdict.PASSED, PAGES)] * 2
    opened = opened_bundle(world, made["id"], at=clock.at)
    proven = signer_seal.check(opened)
    assert (proven.verdict, proven.details["seals"]) == (Verdict.PASSED, 2)
    # One of the two uses left out of the record: the bundle says so.
    left_out = with_events(
        opened,
        lambda one: (
            None if one.type == "seal.used" and dict(one.body or {})["seal"] == ours else one
        ),
    )
    assert signer_seal.check(left_out).verdict is Verdict.FAILED


def test_both_fill_a_field_seal_across_the_edges_and_the_archive_and_the_bundle_hold(
    desk: Desk, seal: str, scope: None, world: Any, clock: Any
) -> None:
    """All that a signature can carry at once: values, seal, page edges, handwriting; first and second."""
    ours = an_enabled_seal(
        desk,
        clock,
        world.hospital,
        manager="hospital",
        auditor="ward_inspector",
        user="ward_sealer",
    )
    authorise(desk, clock, ours, manager="hospital", user="ward_sealer")
    wanted = [
        {
            "name": f"value{number}",
            "signer": number,
            "label": "虚构内容",
            "place": {"page": 1, "x": 80, "y": 250 + 40 * number, "width": 200, "height": 20},
        }
        for number in (1, 2)
    ]
    made = an_agreement(desk, world, clock, other="ward_sealer", fillable=wanted)
    answers = []
    for number, (login, held) in enumerate((("sealer", seal), ("ward_sealer", ours)), start=1):
        signer, client = made["signers"][number - 1]["id"], desk.client(login)
        client.post(f"/api/v1/signers/{signer}/open")
        values = {f"value{number}": f"虚构 {number}"}
        saved = client.post(f"/api/v1/signers/{signer}/fields", json={"values": values})
        assert saved.status_code == 200, saved.text
        answers.append(
            desk.sign(login, signer, {"seal_id": held, "edge": True, "strokes": STROKES})
        )
        assert answers[-1].status_code == 200, answers[-1].text
    assert answers[-1].json()["state"] == "formed"
    opened = opened_bundle(world, made["id"], at=clock.at)
    proven = signer_seal.check(opened)
    assert (proven.verdict, proven.details["seals"]) == (Verdict.PASSED, 2)
    with transaction(world.app.state.shell.ports.readers) as session:
        assert len(archives_of(session, made["id"])) == 1


@pytest.mark.parametrize("edges", ["auto", "right", "left", "none"])
def test_the_sender_says_along_which_edges_room_is_kept(
    desk: Desk, seal: str, scope: None, world: Any, clock: Any, edges: str
) -> None:
    made = an_agreement(desk, world, clock, edges=edges)
    ports = world.app.state.shell.ports
    reader = open_reader(ports.blobs.get(made["document_sha256"]))[0]
    side = "right" if edges == "auto" else edges
    kept = {one.name for one in edge_fields(reader)}
    assert kept == (set() if edges == "none" else {f"fuqi-edge-{side}-party{n}" for n in (1, 2)})
    page = desk.client("sealer").get(f"/agreements/{made['id']}/sign").text
    assert ('name="mark-edge"' in page) is (edges != "none")
    assert ("未为您预留骑缝章位置" in page) is (edges == "none")
    done = desk.sign("sealer", made["signers"][0]["id"], {"seal_id": seal, "edge": True})
    if edges == "none":
        assert refusal(done) == (409, "seal.edge_not_planned")
        # Nothing but the edge is refused: the seal stands in the box alone.
        plain = desk.sign("sealer", made["signers"][0]["id"], {"seal_id": seal})
        assert plain.status_code == 200, plain.text
    else:
        assert done.status_code == 200, done.text
    odd = desk.client("donor").post(
        "/api/v1/agreements/upload",
        files={"file": ("a.pdf", invented_pdf(pages=1), "application/pdf")},
        data={"agreement": json.dumps({"edges": "top"})},
    )
    assert odd.status_code == 422


@pytest.mark.parametrize(
    ("strokes", "status", "fault"),
    [
        ([[[0, 0], [1, 1]]], 422, "handwriting.too_little"),
        ([[[n, 0] for n in range(20)]], 422, "handwriting.too_little"),
        ([[[n, 2000] for n in range(100)]], 422, "handwriting.point"),
        ([[[n % 900, n % 700] for n in range(5001)]], 422, "input.invalid"),
        ([[[1, 2]]] * 101, 422, "input.invalid"),
    ],
)
def test_odd_handwriting_is_refused(
    desk: Desk, agreement: dict[str, Any], strokes: Any, status: int, fault: str
) -> None:
    signer = agreement["signers"][0]["id"]
    desk.sign("sealer", signer, {"edge": True})
    answer = desk.client("sealer").post(
        f"/api/v1/signers/{signer}/signature/prepare", json={"strokes": strokes}
    )
    assert refusal(answer) == (status, fault)


def test_the_signing_page_offers_the_seal_to_its_user(
    desk: Desk, seal: str, scope: None, agreement: dict[str, Any]
) -> None:
    path = f"/agreements/{agreement['id']}/sign"
    assert seal in desk.client("sealer").get(path).text
    assert seal not in desk.client("hospital").get(path).text


@pytest.fixture(scope="module")
def context(desk: Desk, seal: str, scope: None, world: Any, clock: Any) -> Context:
    """The bundle of an agreement whose first signature carries the seal, opened."""
    made = an_agreement(desk, world, clock)
    done = desk.sign("sealer", made["signers"][0]["id"], {"seal_id": seal, "edge": True})
    assert done.status_code == 200, done.text
    formed = desk.sign("hospital", made["signers"][1]["id"])
    assert formed.json()["state"] == "formed"
    return opened_bundle(world, made["id"], at=clock.at)


def opened_bundle(world: Any, agreement_id: str, *, at: Any) -> Context:
    """The bundle of a formed agreement, anchored, verified offline without a failure, and opened."""
    ports = world.app.state.shell.ports
    chain = open_embedded_chain(ports.settings.home / "chain")
    try:
        settle(ports, chain, clock=lambda: at)
    finally:
        chain.close()
    with transaction(ports.sessions) as session:
        _, data = export_bundle(
            ports,
            Caller(
                world.donor.account_id,
                world.donor.person_id,
                world.donor.organisation_id,
                frozenset({Role.HANDLER}),
            ),
            agreement_id=agreement_id,
            bundle_id=new_id("bun", at=at),
            purpose=Purpose.PARTY,
            recipient="invented",
            at=at,
        )
        trust = installation_trust(session, ports, at=at)
    report = verify_bundle(data, trust=trust, at=at)
    # Whole: the archived file, made by the worker, among the checks.
    assert report.verdict is Verdict.PASSED, report.as_json()
    return open_context(read_bundle(data), trust=trust, at=at)


def with_events(context: Context, change: Callable[[Event], Event | None]) -> Context:
    """The context with some of its events changed or left out."""
    events = tuple(one for event in context.bundle.events if (one := change(event)) is not None)
    return replace(context, bundle=replace(context.bundle, events=events))


def test_the_bundle_proves_the_use_of_the_seal(context: Context) -> None:
    check = signer_seal.check(context)
    assert check.verdict is Verdict.PASSED, check
    assert check.details["seals"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"seal": "sea_other"},
        {"kind": "organisation"},
        {"person": "pty_other"},
        {"authorisation": "aut_other"},
        {"certificate": "crt_other"},
        {"base_sha256": "00" * 32},
        {"revision_sha256": "00" * 32},
        {"seal_object_sha256": "00" * 32},
        {"edge": False},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_record_that_differs_from_the_seal_fails(
    context: Context, changed: dict[str, Any]
) -> None:
    def change(event: Event) -> Event:
        if event.type != "seal.used" or event.body is None:
            return event
        return replace(event, body={**event.body, **changed})

    assert signer_seal.check(with_events(context, change)).verdict is Verdict.FAILED


def test_a_seal_without_a_record_fails_and_an_unopened_record_leaves_it_open(
    context: Context,
) -> None:
    gone = with_events(context, lambda one: None if one.type == "seal.used" else one)
    assert signer_seal.check(gone).verdict is Verdict.FAILED
    closed = with_events(
        context, lambda one: replace(one, body=None) if one.type == "seal.used" else one
    )
    assert signer_seal.check(closed).verdict is Verdict.INDETERMINATE


@pytest.mark.parametrize("scope_words", [[], ["organisation"]])
def test_an_authorisation_that_does_not_cover_the_seal_fails(
    context: Context, scope_words: list[str]
) -> None:
    def change(event: Event) -> Event:
        if event.type != "signature.applied" or event.body is None:
            return event
        frozen = {**event.body["authorisation"], "seal_scope": scope_words}
        return replace(event, body={**event.body, "authorisation": frozen})

    assert signer_seal.check(with_events(context, change)).verdict is Verdict.FAILED
