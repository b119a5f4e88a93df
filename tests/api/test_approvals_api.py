"""An approval that names a seal, the signature under exactly that seal, and its bundle before an arbitrator.

Everything is made over HTTP by real device keys. Whoever rewrites the bundle here is the platform itself: it
holds the log key and the time-stamp authority and seals again; only the signers' keys are out of its reach.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.callers import OPERATOR, Caller, Role
from api.flows.evidence import installation_trust
from api.flows.exporting import export_bundle
from api.flows.parties import APPROVE, MATTERS, NewAuthorisation, grant_authorisation
from api.flows.registration import NewHandler, add_handler
from api.testing import PASSWORD, invented_pdf
from api.worker import settle
from arbitration.checks.all import verify_bundle
from arbitration.container import unpack
from arbitration.contents import Purpose
from arbitration.policy import Trust
from arbitration.testing import resealed
from ledger.core.canonical import canonical_bytes
from ledger.core.ids import new_id
from ledger.core.report import Report, Verdict
from ledger.core.units import parse_utc
from ledger.embedded_chain import open_embedded_chain
from ledger.store import transaction
from ledger.tables.parties import PartyRow
from signing.batch_intent import batch_digest, batch_message, item_digest
from signing.ca import CertificateSubject
from signing.changes import byte_ranges
from signing.identity import invented_resident_id
from signing.intent import intent_message, statement, statement_digest
from signing.keys.device import DeviceKey
from signing.seal_object import read_seal_object
from signing.seal_reading import seals_in

FEN = 123_45
Files = dict[str, bytes]


@dataclass
class Desk:
    """The hospital's people: one approves, one signs under the seal; and the donor who signs last."""

    world: Any
    people: dict[str, str]
    keys: dict[str, DeviceKey] = field(default_factory=dict)

    def post(self, login: str, path: str, body: Any = None, *, status: int = 201) -> Any:
        answer = self.world.client(login).post(f"/api/v1/{path}", json=body or {})
        assert answer.status_code == status, answer.text
        return answer.json()

    def seal(self, kind: str) -> str:
        """A seal in force that the signer may use."""
        ports = self.world.app.state.shell.ports
        with transaction(ports.readers) as session:
            name = session.get_one(PartyRow, self.world.hospital.organisation_id).name
        made = new_id("sea", at=self.world.clock.at)
        auditor = self.people["auditor"]
        new = {"id": made, "kind": kind, "name": name, "auditor_id": auditor, "valid_days": 30}
        self.post("hospital", "seals", new)
        self.post("auditor", f"seals/{made}/change", {"act": "approve"}, status=200)
        self.post("hospital", f"seals/{made}/change", {"act": "enable"}, status=200)
        user = self.people["sealer"]
        self.post(
            "hospital", f"seals/{made}/duties", {"person_id": user, "duty": "use"}, status=200
        )
        scope = {"id": new_id("aut", at=self.world.clock.at), "person_id": user}
        self.post("hospital", f"seals/{made}/authorise", scope, status=200)
        return made

    def agreement(self, **options: Any) -> dict[str, Any]:
        """The hospital's chief approves, its handler signs, then the donor; it is about 123.45 yuan."""
        clock, world = self.world.clock, self.world
        rows = [
            (world.hospital, "chief", "approve"),
            (world.hospital, "sealer", "sign"),
            (world.donor, "donor", "sign"),
        ]
        body = {
            "id": new_id("agr", at=clock.at),
            "title": "虚构批准用印协议",
            "matter": "donation",
            "amount_minor": FEN,
            "signers": [
                {
                    "organisation_id": side.organisation_id,
                    "person_id": self.people[who],
                    "role": "party",
                    "act": act,
                    "stage": stage,
                }
                for stage, (side, who, act) in enumerate(rows, start=1)
            ],
            "expires_at": (clock.at + timedelta(days=20)).isoformat(),
            **options,
        }
        answer = world.client("donor").post(
            "/api/v1/agreements/upload",
            files={"file": ("a.pdf", invented_pdf(pages=1), "application/pdf")},
            data={"agreement": json.dumps(body)},
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    def read(self, login: str, place: str) -> None:
        self.post(login, f"signers/{place}/open", status=200)
        self.post(login, f"signers/{place}/read", {"pages": 1, "seconds": 40}, status=200)

    def approve(self, place: str, seal: str | None) -> dict[str, Any]:
        """Read and approved in a batch of one."""
        self.read("chief", place)
        batch = new_id("bat", at=self.world.clock.at)
        new = {"id": batch, "act": "approve", "signers": [place], "seal_id": seal}
        self.post("chief", "batches", new)
        told = self.post("chief", f"batches/{batch}/statement")
        proof = self.keys["chief"].sign(base64.b64decode(told["message_base64"]))
        return self.post("chief", f"batches/{batch}/affirm", signed(proof), status=200)

    @staticmethod
    def naming(seal: str) -> dict[str, str]:
        return {"act": "approve", "seal_id": seal}

    def proof(self, login: str, told: Any) -> dict[str, str]:
        return signed(self.keys[login].sign(base64.b64decode(told["message_base64"])))

    def prove(self, login: str, told: Any) -> None:
        self.post(login, f"statements/{told['id']}/affirm", self.proof(login, told), status=200)

    def bundle(self, agreement: str) -> bytes:
        """As the donor takes it out once everything is on the chain."""
        world, ports = self.world, self.world.app.state.shell.ports
        chain = open_embedded_chain(ports.settings.home / "chain")
        try:
            settle(ports, chain, clock=lambda: world.clock.at)
        finally:
            chain.close()
        donor = world.donor
        roles = frozenset({Role.HANDLER})
        _, data = export_bundle(
            ports,
            Caller(donor.account_id, donor.person_id, donor.organisation_id, roles),
            agreement_id=agreement,
            bundle_id=new_id("bun", at=world.clock.at),
            purpose=Purpose.PARTY,
            recipient="invented",
            at=world.clock.at,
        )
        return data

    def affirm(self, login: str, place: str) -> None:
        self.read(login, place)
        for act in ("consent", "sign"):
            made = self.post(login, f"signers/{place}/statements", {"act": act})
            proof = self.keys[login].sign(intent_message(made["statement"]))
            self.post(login, f"statements/{made['id']}/affirm", signed(proof), status=200)

    def prepare(self, login: str, place: str, marks: Any = None) -> Any:
        return self.world.client(login).post(
            f"/api/v1/signers/{place}/signature/prepare", json=marks or {}
        )

    def sign(self, login: str, place: str, marks: Any = None) -> dict[str, Any]:
        prepared = self.prepare(login, place, marks)
        assert prepared.status_code == 201, prepared.text
        attributes = base64.b64decode(prepared.json()["signed_attrs_base64"])
        proof = signed(self.keys[login].sign(attributes))
        return self.post(login, f"prepared/{prepared.json()['id']}/complete", proof, status=200)


def signed(proof: bytes) -> dict[str, str]:
    return {"signature_base64": base64.b64encode(proof).decode()}


@pytest.fixture(scope="module")
def desk(world: Any, clock: Any) -> Desk:
    ports, hospital = world.app.state.shell.ports, world.hospital
    admin = Caller(
        hospital.account_id, hospital.person_id, hospital.organisation_id, frozenset({Role.ADMIN})
    )
    made = Desk(world, {"donor": world.donor.person_id})
    for login in ("chief", "sealer", "auditor"):
        ids = {name: new_id(name, at=clock.at) for name in ("pty", "acc", "aut", "cst")}
        add_handler(
            ports,
            admin,
            NewHandler(
                person_id=ids["pty"],
                account_id=ids["acc"],
                authorisation_id=ids["aut"],
                name=f"周{login}（虚构）",
                number=invented_resident_id(f"approvals-{login}", birth=date(1985, 1, 1)),
                consent_id=ids["cst"],
                login=login,
                password=PASSWORD,
                invented=True,
            ),
            at=clock.at,
        )
        made.people[login] = ids["pty"]
    with transaction(ports.sessions) as session:
        grant_authorisation(
            session,
            ports,
            OPERATOR,
            NewAuthorisation(
                id=new_id("aut", at=clock.at),
                organisation_id=hospital.organisation_id,
                person_id=made.people["chief"],
                matters=MATTERS,
                powers=frozenset({APPROVE}),
                valid_from=clock.at,
                valid_to=clock.at + timedelta(days=30),
            ),
            at=clock.at,
        )
    for login in ("chief", "sealer", "donor"):
        made.keys[login] = DeviceKey.create()
        subject = CertificateSubject(common_name=login, organisation=None, reference="x")
        csr = made.keys[login].csr(subject)
        made.post(login, "certificates", {"csr_base64": base64.b64encode(csr).decode()})
    return made


@dataclass(frozen=True)
class Formed:
    """A formed agreement: which seal was approved, and what the others of its side were told."""

    facts: dict[str, Any]
    seal: str
    other: str
    file: bytes
    data: bytes
    trust: Trust
    ports: Any
    at: Any

    def verify(self, files: Files) -> Report:
        """The bundle as the platform itself would write it with these files."""
        data = resealed(
            files,
            seal=self.ports.log_key.sign_text,
            stamp=lambda imprint: self.ports.tsa.stamp(imprint, at=self.at),
        )
        return verify_bundle(data, trust=self.trust, at=self.at)


@pytest.fixture(scope="module")
def formed(desk: Desk, world: Any, clock: Any) -> Formed:
    ports = world.app.state.shell.ports
    seal, other = desk.seal("contract"), desk.seal("organisation")
    made = desk.agreement()
    approver, signer, donor = (one["id"] for one in made["signers"])
    desk.approve(approver, seal)
    desk.affirm("sealer", signer)
    desk.affirm("donor", donor)
    refused = desk.prepare("sealer", signer, {"seal_id": other})
    assert (refused.status_code, refused.json()["code"]) == (409, "seal.not_approved")
    assert refused.json()["context"]["seal"] == seal
    sealed = desk.sign("sealer", signer, {"seal_id": seal})
    assert desk.sign("donor", donor)["state"] == "formed"
    data = desk.bundle(made["id"])
    with transaction(ports.sessions) as session:
        trust = installation_trust(session, ports, at=clock.at)
    file = ports.blobs.get(sealed["current_sha256"])
    return Formed(made, seal, other, file, data, trust, ports, clock.at)


def test_the_seal_that_was_approved_is_the_one_in_the_file_and_another_was_refused(
    formed: Formed,
) -> None:
    (held,) = seals_in(formed.file, byte_ranges(formed.file)).values()
    bound = read_seal_object(held[0]).binding
    assert (bound.seal, bound.signer) == (formed.seal, formed.facts["signers"][1]["id"])
    assert formed.other != formed.seal


def codes(report: Report, verdict: Verdict) -> set[str]:
    return {one.code for one in report.checks if one.verdict is verdict}


def test_an_honest_bundle_with_an_approval_passes_every_check(formed: Formed) -> None:
    for report in (
        verify_bundle(formed.data, trust=formed.trust, at=formed.at),
        formed.verify(unpack(formed.data)),
    ):
        assert report.verdict is Verdict.PASSED, [
            one for one in report.checks if one.verdict is not Verdict.PASSED
        ]
        assert {"agreement.stages", "signer.intent", "signer.seal"} <= codes(report, Verdict.PASSED)


def test_an_approver_of_one_document_names_a_seal_on_its_own_page(
    desk: Desk, formed: Formed, world: Any
) -> None:
    made = desk.agreement()
    approver, signer, donor = (one["id"] for one in made["signers"])
    chief, page = world.client("chief"), f"/agreements/{made['id']}/sign"
    for language, words in (("zh", "不限定印章"), ("en", "Any seal of our side")):
        shown = chief.get(f"{page}?lang={language}").text
        assert words in shown
    assert f'value="{formed.seal}" data-kind="contract"' in shown
    # Whoever signs for the same side is offered no such choice.
    assert 'id="approve-seal"' not in world.client("sealer").get(page).text
    desk.read("chief", approver)
    told = desk.post("chief", f"signers/{approver}/statements", desk.naming(formed.seal))
    stated = told["statement"]
    assert (stated["v"], stated["amount"]) == ("fuqi/intent/v5", str(FEN))
    assert stated["seal"]["id"] == formed.seal
    assert f"只批准使用印章{formed.seal}（印模 SHA-256：" in stated["text_zh"]
    desk.prove("chief", told)
    desk.affirm("sealer", signer)
    desk.affirm("donor", donor)
    refused = desk.prepare("sealer", signer, {"seal_id": formed.other})
    assert (refused.status_code, refused.json()["code"]) == (409, "seal.not_approved")
    desk.sign("sealer", signer, {"seal_id": formed.seal})
    assert desk.sign("donor", donor)["state"] == "formed"
    files = unpack(desk.bundle(made["id"]))
    assert formed.verify(files).verdict is Verdict.PASSED
    # The platform cannot widen it afterwards: the approver's key signed which seal.
    for change in (
        lambda body: body["statement"]["seal"].update(id=formed.other),
        lambda body: body["statement"].update(seal=None),
    ):
        forged = dict(files)
        rewrite(forged, "intent.expressed", change, signer=approver)
        assert "agreement.stages" in codes(formed.verify(forged), Verdict.FAILED)
    forged = dict(files)
    rewrite(forged, "approval.given", lambda body: body.pop("seal"), signer=approver)
    assert "agreement.stages" in codes(formed.verify(forged), Verdict.FAILED)


def test_an_approval_that_limits_no_seal_says_so(desk: Desk, formed: Formed) -> None:
    made = desk.agreement()
    approver, signer, donor = (one["id"] for one in made["signers"])
    desk.read("chief", approver)
    told = desk.post("chief", f"signers/{approver}/statements", {"act": "approve"})
    assert told["statement"]["seal"] is None
    assert "any seal of our side may be used" in told["statement"]["text_en"]
    desk.prove("chief", told)
    desk.affirm("sealer", signer)
    desk.affirm("donor", donor)
    assert desk.prepare("sealer", signer, {"seal_id": formed.other}).status_code == 201


def test_a_seal_of_nobody_here_or_out_of_use_or_of_a_signer_is_refused(
    desk: Desk, formed: Formed, world: Any
) -> None:
    made = desk.agreement()
    approver, signer, _donor = (one["id"] for one in made["signers"])
    desk.read("chief", approver)
    own, idle = f"signers/{approver}/statements", desk.seal("organisation")
    for other, status, code in (
        (new_id("sea", at=world.clock.at), 404, "not_found"),
        ("sea_ü", 404, "not_found"),
        ("s" * 100, 422, "input.invalid"),
    ):
        assert desk.post("chief", own, desk.naming(other), status=status)["code"] == code
    told = desk.post("chief", own, desk.naming(idle))
    desk.post(
        "hospital",
        f"seals/{idle}/change",
        {"act": "suspend", "reason": "lost (invented)"},
        status=200,
    )
    # Suspended between the statement and its signature: nothing is approved.
    late = desk.post(
        "chief", f"statements/{told['id']}/affirm", desk.proof("chief", told), status=409
    )
    assert late["code"] == "seal.not_enabled"
    assert desk.post("chief", own, desk.naming(idle), status=409)["code"] == "seal.not_enabled"
    desk.read("sealer", signer)
    consent = desk.naming(formed.seal) | {"act": "consent"}
    for act in (consent, consent | {"act": "sign"}):
        refused = desk.post("sealer", f"signers/{signer}/statements", act, status=422)
        assert refused["code"] == "intent.seal"
    # Another organisation's approver cannot be asked with our seal, nor can we answer for them.
    assert desk.post("donor", own, desk.naming(formed.seal), status=404)["code"] == "not_found"


def test_values_are_shown_to_the_approver_and_signed_only_as_they_were_approved(
    desk: Desk, formed: Formed
) -> None:
    spot = {"page": 1, "x": 72, "y": 400, "width": 300, "height": 20}
    field = {"name": "sum", "signer": 2, "label": "金额 amount", "place": spot}
    made = desk.agreement(fillable=[field])
    approver, signer, donor = (one["id"] for one in made["signers"])

    def facts(login: str) -> dict[str, Any]:
        return desk.world.client(login).get(f"/api/v1/agreements/{made['id']}").json()

    def place(login: str, which: str) -> dict[str, Any]:
        return next(one for one in facts(login)["signers"] if one["id"] == which)

    def fill(value: str) -> None:
        desk.post("sealer", f"signers/{signer}/fields", {"values": {"sum": value}}, status=200)

    def statement(status: int) -> Any:
        return desk.post("sealer", f"signers/{signer}/statements", {"act": "sign"}, status=status)

    # The signer reads, consents and fills ahead of the approval; the approver sees it, the donor does not.
    desk.read("sealer", signer)
    desk.prove("sealer", desk.post("sealer", f"signers/{signer}/statements", {"act": "consent"}))
    fill("120000.00")
    values = {login: facts(login)["fields"][0]["value"] for login in ("chief", "donor")}
    assert values == {"chief": "120000.00", "donor": ""}
    page = f"/api/v1/agreements/{made['id']}/pages/1"
    assert (
        desk.world.client("chief").get(page).content != desk.world.client("donor").get(page).content
    )
    batch = desk.approve(approver, None)
    (line,) = batch["items"]
    assert [(one["label"], one["value"]) for one in line["values"]] == [
        ("金额 amount", "120000.00")
    ]
    assert line["annex"]["fields"][0]["value"] == "120000.00"
    assert not place("chief", approver)["approve_again"]
    statement(201)
    fill("920000.00")
    refused = statement(409)
    assert (refused["code"], refused["context"]["fields"]) == ("approval.other_values", [1])
    assert "920000" not in json.dumps(refused)
    assert place("chief", approver)["approve_again"]
    assert place("sealer", signer)["unapproved"]
    assert not place("donor", signer)["unapproved"], "their own side's matter"
    waiting = desk.world.client("chief").get("/api/v1/waiting").json()
    assert [one["signer_id"] for one in waiting["again"]] == [approver]
    told = desk.post("chief", f"signers/{approver}/statements", {"act": "approve"})
    assert (told["statement"]["fields"], told["annex"]["fields"][0]["value"]) == (1, "920000.00")
    desk.prove("chief", told)
    assert desk.world.client("chief").get("/api/v1/waiting").json()["again"] == []
    desk.read("donor", donor)
    desk.prove("donor", desk.post("donor", f"signers/{donor}/statements", {"act": "consent"}))
    desk.prove("sealer", statement(201))
    assert desk.sign("sealer", signer)["state"] == "signing"
    desk.prove("donor", desk.post("donor", f"signers/{donor}/statements", {"act": "sign"}))
    assert desk.sign("donor", donor)["state"] == "formed"
    report = verify_bundle(desk.bundle(made["id"]), trust=formed.trust, at=formed.at)
    assert report.verdict is Verdict.PASSED, codes(report, Verdict.FAILED)


def edit(files: Files, path: str, change: Callable[[Any], None]) -> None:
    value = json.loads(files[path])
    change(value)
    files[path] = canonical_bytes(value)


def rewrite(
    files: Files, kind: str, change: Callable[[dict[str, Any]], None], **which: str
) -> None:
    """Rewrite one opened entry, and the rows of parts 5 and 6 that repeat it."""
    rows = [one for one in json.loads(files["10-events.json"]) if one["type"] == kind]
    for row in rows:
        body = json.loads(files[row["path"]])["private"]["body"]
        if all(body[key] == value for key, value in which.items()):
            edit(files, row["path"], lambda value: change(value["private"]["body"]))
            for part in ("05-consents.json", "06-intents.json"):
                edit(files, part, lambda rows, at=row["entry"]: _repeat(rows, at, change))
            return
    raise AssertionError(f"no {kind} with {which}")


def _repeat(rows: list[Any], entry: str, change: Callable[[dict[str, Any]], None]) -> None:
    for row in rows:
        if row["entry"] == entry:
            change(row)


def _seal_of_the_list(files: Files, formed: Formed, _desk: Desk) -> None:
    rewrite(
        files,
        "intent.expressed",
        lambda b: b["item"]["seal"].update(id=formed.other),
        act="approve",
    )


def _seal_of_the_list_and_the_list(files: Files, formed: Formed, _desk: Desk) -> None:
    rewrite(files, "intent.expressed", lambda b: _other_seal(b, formed), act="approve")
    rewrite(files, "approval.given", lambda b: b.update(seal=formed.other))
    rewrite(files, "seal.used", lambda b: b.update(seal=formed.other))


def _other_seal(body: dict[str, Any], formed: Formed) -> None:
    body["item"]["seal"]["id"] = formed.other
    body["statement"]["items"] = [item_digest(body["item"]).hex()]
    body["statement_sha256"] = batch_digest(body["statement"]).hex()


def _proof_of_nobody(files: Files, _formed: Formed, _desk: Desk) -> None:
    _prove_again(files, DeviceKey.create())


def _prove_again(files: Files, key: DeviceKey, **more: str) -> None:
    """The approver's statement as it is, signed by another key."""

    def change(body: dict[str, Any]) -> None:
        body.update(proof=key.sign(batch_message(body["statement"])).hex(), **more)

    rewrite(files, "intent.expressed", change, act="approve")


def _proof_of_the_donor(files: Files, formed: Formed, desk: Desk) -> None:
    """Another person's real key and certificate affirm what the approver never did."""
    rows = json.loads(files["07-certificates.json"])["certificates"]
    held = next(one["id"] for one in rows if one["person"] == desk.people["donor"])
    _prove_again(files, desk.keys["donor"], certificate=held)


def _proof_of_an_invented_certificate(files: Files, formed: Formed, desk: Desk) -> None:
    """A certificate that no authority issued stands in for the approver's own."""
    rows = json.loads(files["07-certificates.json"])["certificates"]
    own = next(one for one in rows if one["person"] == desk.people["chief"])
    key = DeviceKey.create()
    files[own["path"]] = self_issued(files[own["path"]], key)
    _prove_again(files, key)


def self_issued(der: bytes, key: DeviceKey) -> bytes:
    """The same subject, serial number and period, under another key and issued by it."""
    old = x509.load_der_x509_certificate(der)
    secret = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(serialization.load_der_public_key(key.public_spki))  # type: ignore[arg-type]
        .serial_number(old.serial_number)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
        .sign(secret, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def _used_another(files: Files, formed: Formed, _desk: Desk) -> None:
    rewrite(files, "seal.used", lambda b: b.update(seal=formed.other))


def _record_names_another(files: Files, formed: Formed, _desk: Desk) -> None:
    rewrite(files, "approval.given", lambda b: b.update(seal=formed.other))


def _record_names_none(files: Files, _formed: Formed, _desk: Desk) -> None:
    rewrite(files, "approval.given", lambda b: b.pop("seal"))


def _authority_of(files: Files, person: str, *, powers: bool) -> str:
    """Id of a grant to this person in the bundle, with the power to approve or without."""
    rows = [
        one for one in json.loads(files["10-events.json"]) if one["type"] == "authorisation.granted"
    ]
    receipts = [json.loads(files[one["path"]])["private"] for one in rows]
    grants = [one["body"]["authorisation"] for one in receipts if one is not None]
    return next(
        one["id"]
        for one in grants
        if one["person"] == person and ("approve" in one["powers"]) == powers
    )


def _authority_without_the_power(files: Files, _formed: Formed, desk: Desk) -> None:
    other = _authority_of(files, desk.people["chief"], powers=False)
    rewrite(files, "approval.given", lambda b: b.update(authorisation=other))


def _authority_of_a_colleague(files: Files, _formed: Formed, desk: Desk) -> None:
    other = _authority_of(files, desk.people["sealer"], powers=False)
    rewrite(files, "approval.given", lambda b: b.update(authorisation=other))


def _amount_of_the_list(files: Files, _formed: Formed, _desk: Desk) -> None:
    rewrite(files, "intent.expressed", lambda b: b["item"].update(amount="1"), act="approve")


def _amount_of_publication(files: Files, _formed: Formed, _desk: Desk) -> None:
    rewrite(files, "agreement.staged", lambda b: b.update(amount_minor=FEN + 1))


def _no_amount_at_publication(files: Files, _formed: Formed, _desk: Desk) -> None:
    rewrite(files, "agreement.staged", lambda b: b.update(amount_minor=None, no_amount=True))


def _signers_amount(files: Files, formed: Formed, _desk: Desk) -> None:
    signer = formed.facts["signers"][1]["id"]
    rewrite(
        files,
        "intent.expressed",
        lambda b: b["statement"].update(amount=str(FEN + 1)),
        act="sign",
        signer=signer,
    )


def _signers_amount_signed_again(files: Files, formed: Formed, desk: Desk) -> None:
    """The signer did sign a statement about another amount: the proof holds, the amount does not."""

    def change(body: dict[str, Any]) -> None:
        old = body["statement"]
        kept = set(old) - {"v", "document_sha256", "at", "amount", "text_zh", "text_en"}
        kept -= {"annex_sha256", "clauses", "attachments", "fields"}
        value = statement(
            **{key: old[key] for key in kept},
            document_sha256=bytes.fromhex(old["document_sha256"]),
            at=parse_utc(old["at"]),
            amount=str(FEN + 1),
        )
        proof = desk.keys["sealer"].sign(intent_message(value))
        body.update(
            statement=value, statement_sha256=statement_digest(value).hex(), proof=proof.hex()
        )

    signer = formed.facts["signers"][1]["id"]
    rewrite(files, "intent.expressed", change, act="sign", signer=signer)


REWRITTEN: list[tuple[Callable[[Files, Formed, Desk], None], str, str]] = [
    (_seal_of_the_list, "agreement.stages", "does not list this document"),
    (_seal_of_the_list_and_the_list, "agreement.stages", "text shown says something else"),
    (_proof_of_nobody, "agreement.stages", "not signed by this key"),
    (_proof_of_the_donor, "agreement.stages", "a certificate of others"),
    (_proof_of_an_invented_certificate, "agreement.stages", "the log issued another certificate"),
    (_used_another, "agreement.stages", "another seal was used than was approved"),
    (_used_another, "signer.seal", "the use's seal is another"),
    (_record_names_another, "agreement.stages", "the approval's seal is another"),
    (_record_names_none, "agreement.stages", "the approval's seal is another"),
    (_authority_without_the_power, "agreement.stages", "does not cover this act"),
    (_authority_of_a_colleague, "agreement.stages", "given to another person"),
    (_amount_of_the_list, "agreement.stages", "does not list this document"),
    (_amount_of_publication, "agreement.stages", "amount is another"),
    (_amount_of_publication, "signer.intent", "amount is another"),
    (_no_amount_at_publication, "signer.intent", "amount is another"),
    (_signers_amount, "signer.intent", "text shown says something else"),
    (_signers_amount_signed_again, "signer.intent", "amount is another"),
]


@pytest.mark.parametrize(
    ("change", "code", "why"), REWRITTEN, ids=[f"{c.__name__[1:]}-{n}" for c, n, _ in REWRITTEN]
)
def test_a_rewritten_approval_seal_or_amount_fails_the_check_that_is_there_for_it(
    formed: Formed,
    desk: Desk,
    change: Callable[[Files, Formed, Desk], None],
    code: str,
    why: str,
) -> None:
    files = unpack(formed.data)
    change(files, formed, desk)
    report = formed.verify(files)
    (found,) = (one for one in report.checks if one.code == code)
    assert found.verdict is Verdict.FAILED, found
    assert any(why in one for one in found.details["problems"]), found.details
    # What the log anchored is no longer what is shown, and the new seal and time stamp are in order.
    assert "event.receipts" in codes(report, Verdict.FAILED)
    assert not {"bundle.manifest", "bundle.seal", "bundle.timestamp"} & codes(
        report, Verdict.FAILED
    )
