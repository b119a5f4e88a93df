"""Form fields left to signers: planned, filled, signed for, exported, archived, judged by a stranger.

Identities are invented; keys are real device keys; the chain is the embedded one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas

from api.callers import OPERATOR, Caller, Role
from api.compose import open_chain, open_ports
from api.flows import (
    agreements,
    archiving,
    batches,
    erasure,
    evidence,
    exporting,
    form_filling,
    parties,
    signatures,
    verifying,
)
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.form_planning import FillSpec
from api.flows.parties import NewAuthorisation, NewParty
from api.ports import Ports
from api.settings import Settings
from api.views.agreements import agreement_facts
from api.worker import settle
from arbitration.checks.all import verify_bundle
from arbitration.contents import Purpose
from ledger.core.canonical import canonical_parse
from ledger.core.errors import (
    ConflictError,
    ForbiddenError,
    FuqiError,
    InputError,
    LimitError,
    NotFoundError,
)
from ledger.core.ids import derived_id
from ledger.core.report import Report, Verdict
from ledger.queries import agreements as queries
from ledger.schema import METADATA
from ledger.store import transaction
from signing.ca import CertificateSubject
from signing.form_fill import fill
from signing.identity import invented_resident_id, invented_uscc
from signing.intent import intent_message
from signing.keys.device import DeviceKey
from signing.placement import Spot

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
DAY = timedelta(days=1)
PEOPLE = {"anna": "donor", "cora": "hospital", "dora": "carrier"}
VALUE = "示例路2号（虚构）"
DELIVERY = FillSpec("delivery", 2, "交货地点 place of delivery")
NOTE = FillSpec("note", 1, "备注 remark", required=False, place=Spot(0, 72, 500, 300, 20))


def ident(prefix: str, seed: str) -> str:
    return derived_id(prefix, at=AT, seed=f"forms/{seed}")


def caller(person: str) -> Caller:
    return Caller(
        account_id=ident("acc", person),
        person_id=ident("pty", person),
        organisation_id=ident("pty", PEOPLE[person]),
        roles=frozenset({Role.HANDLER}),
    )


def contract() -> bytes:
    """One page with a form as other programs make them."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    canvas.drawString(72, 760, "An invented order")
    form = canvas.acroForm
    form.textfield(name="delivery", x=72, y=700, width=300, height=20)
    form.textfield(name="consignee", x=72, y=650, width=300, height=20, value="Example")
    form.textfield(name="tiny", x=72, y=620, width=300, height=9)
    form.checkbox(name="agreed", x=72, y=590)
    form.textfield(name="remark", x=72, y=420, width=200, height=60, fieldFlags="multiline")
    form.choice(
        name="way", x=72, y=380, width=120, height=20, options=["Road", "Rail"], value="Road"
    )
    for number, value in enumerate(("one", "two")):
        form.radio(name="sort", value=value, x=72 + 30 * number, y=340)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@dataclass
class Desk:
    """An installation, the devices of three people, and the clock of the story."""

    ports: Ports
    keys: dict[str, DeviceKey] = field(default_factory=dict)
    at: datetime = AT
    count: int = 0

    def publish(
        self,
        *fillable: FillSpec,
        signers: tuple[str, ...] = ("anna", "cora"),
        parallel: bool = False,
    ) -> str:
        self.count += 1
        new = NewAgreement(
            id=ident("agr", str(self.count)),
            title="表单示例（虚构）",
            matter="donation",
            no_amount=True,
            signers=tuple(
                SignerSpec(ident("pty", PEOPLE[who]), ident("pty", who), "party", int(parallel))
                for who in signers
            ),
            expires_at=AT + 30 * DAY,
            fillable=fillable,
        )
        with transaction(self.ports.sessions) as session:
            agreements.create_from_upload(
                session, self.ports, caller("anna"), new, data=contract(), at=self.at
            )
        return new.id

    def place(self, agreement: str, person: str) -> str:
        with transaction(self.ports.sessions) as session:
            return next(
                one.id
                for one in queries.signers_of(session, agreement)
                if one.person_id == ident("pty", person)
            )

    def read(self, agreement: str, *people: str) -> None:
        for person in people:
            place = self.place(agreement, person)
            with transaction(self.ports.sessions) as session:
                agreements.read_document(
                    session, self.ports, caller(person), place, pages=1, seconds=60, at=self.at
                )
            self.affirm(agreement, person, "consent")

    def fill(self, agreement: str, person: str, **values: str) -> None:
        place = self.place(agreement, person)
        with transaction(self.ports.sessions) as session:
            form_filling.save(session, caller(person), place, values=values, at=self.at)

    def statement(self, agreement: str, person: str, act: str) -> tuple[str, dict[str, Any]]:
        place = self.place(agreement, person)
        with transaction(self.ports.sessions) as session:
            made = signatures.make_statement(session, caller(person), place, act=act, at=self.at)
            value = canonical_parse(made.statement.encode())
            assert isinstance(value, dict)
            return made.id, value

    def affirm(self, agreement: str, person: str, act: str) -> dict[str, Any]:
        name, value = self.statement(agreement, person, act)
        with transaction(self.ports.sessions) as session:
            signatures.express_intent(
                session,
                self.ports,
                caller(person),
                name,
                proof=self.keys[person].sign(intent_message(value)),
                at=self.at,
            )
        return value

    def prepared(self, agreement: str, person: str) -> tuple[str, bytes]:
        place = self.place(agreement, person)
        self.at += timedelta(seconds=5)
        with transaction(self.ports.sessions) as session:
            made = signatures.prepare_signature(
                session, self.ports, caller(person), place, at=self.at
            )
            return made.id, self.keys[person].sign(bytes.fromhex(made.signed_attrs))

    def complete(self, person: str, prepared: tuple[str, bytes]) -> None:
        name, signature = prepared
        with transaction(self.ports.sessions) as session:
            signatures.complete_signature(
                session, self.ports, caller(person), name, signature=signature, at=self.at
            )

    def sign(self, agreement: str, person: str) -> dict[str, Any]:
        value = self.affirm(agreement, person, "sign")
        self.complete(person, self.prepared(agreement, person))
        return value

    def facts(self, agreement: str, person: str = "anna") -> Any:
        with transaction(self.ports.sessions) as session:
            return agreement_facts(session, caller(person), agreement)

    def file(self, agreement: str) -> bytes:
        return self.ports.blobs.get(self.facts(agreement).current_sha256)

    def seen(self, agreement: str, person: str) -> bytes:
        with transaction(self.ports.sessions) as session:
            row = agreements.agreement_for(session, caller(person), agreement)
            return form_filling.shown_file(session, caller(person), row).read(self.ports)

    def settled(self) -> None:
        settle(self.ports, open_chain(self.ports.settings), clock=lambda: self.at, seconds_max=60)

    def bundle(self, agreement: str) -> Report:
        """A bundle, judged as a stranger would."""
        self.settled()
        _row, data = exporting.export_bundle(
            self.ports,
            OPERATOR,
            agreement_id=agreement,
            bundle_id=ident("bun", agreement),
            purpose=Purpose.ARBITRATION,
            recipient="示例仲裁委员会（虚构）",
            at=self.at,
        )
        with transaction(self.ports.sessions) as session:
            trust = evidence.installation_trust(session, self.ports, at=self.at)
        return verify_bundle(data, trust=trust, at=datetime.now(UTC) + DAY)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(open_ports(Settings(home=tmp_path / "home"), at=AT))
    for name in (*dict.fromkeys(PEOPLE.values()), *PEOPLE):
        person = name in PEOPLE
        parties.verify_and_register(
            made.ports,
            NewParty(
                id=ident("pty", name),
                kind="person" if person else "organisation",
                category="person" if person else "hospital",
                name=f"示例（虚构）{name}",
                number=invented_resident_id(name, birth=date(1988, 3, 14))
                if person
                else invented_uscc(name),
                place="示例市（虚构）",
                receiving_system="fuqi",
                consent_id="cns_example",
                invented=True,
            ),
            at=AT,
        )
    for person, organisation in PEOPLE.items():
        _equip(made, person, organisation)
    return made


def _equip(desk: Desk, person: str, organisation: str) -> None:
    key = desk.keys[person] = DeviceKey.create()
    with transaction(desk.ports.sessions) as session:
        parties.grant_authorisation(
            session,
            desk.ports,
            OPERATOR,
            NewAuthorisation(
                id=ident("aut", person),
                organisation_id=ident("pty", organisation),
                person_id=ident("pty", person),
                matters=frozenset({"donation"}),
                powers=frozenset({"consent", "sign", "approve"}),
                valid_from=AT,
                valid_to=AT + 60 * DAY,
            ),
            at=AT,
        )
        parties.issue_certificate(
            session,
            desk.ports,
            caller(person),
            organisation_id=ident("pty", organisation),
            person_id=ident("pty", person),
            csr_der=key.csr(CertificateSubject(common_name="ignored")),
            at=AT,
        )


def refused(kind: type[FuqiError], code: str, work: Callable[[], object]) -> FuqiError:
    with pytest.raises(kind) as caught:
        work()
    assert caught.value.error_code == code
    return caught.value


def verdicts(report: Report) -> dict[str, Verdict]:
    return {one.code: one.verdict for one in report.checks}


def failed(report: Report) -> set[str]:
    return {one.code for one in report.checks if one.verdict is Verdict.FAILED}


def test_a_field_of_an_uploaded_form_is_filled_by_its_signer_and_everybody_accepts_it(
    desk: Desk,
) -> None:
    made = desk.publish(DELIVERY, NOTE)
    desk.read(made, "anna", "cora")
    desk.fill(made, "anna", note="by anna")
    first = desk.sign(made, "anna")
    assert first["fields"] == 1
    fault = refused(ConflictError, "form.unfilled", lambda: desk.statement(made, "cora", "sign"))
    assert fault.context["fields"] == [1]
    desk.fill(made, "cora", delivery=f" {VALUE} ")
    second = desk.sign(made, "cora")
    assert second["fields"] == 2, "she signs for what Anna filled as well"
    assert "2项表单域" in second["text_zh"]
    facts = desk.facts(made)
    assert facts.state == "formed"
    assert {one.name: one.value for one in facts.fields} == {"delivery": VALUE, "note": "by anna"}
    kinds = [one.type for one in facts.entries]
    assert kinds.count("document.filled") == 2
    assert kinds.index("document.filled") < kinds.index("signature.applied")
    # The archive, the bundle and the page of verification accept what the log explains.
    report = desk.bundle(made)
    assert failed(report) == set()
    found = verdicts(report)
    assert found["document.fields"] is Verdict.PASSED
    assert found["document.pdf"] is Verdict.PASSED
    assert found["document.archive"] is Verdict.PASSED
    alone = verifying.verify_upload(desk.ports, desk.file(made), at=desk.at)
    assert alone.verdict is Verdict.PASSED
    archived = archiving.archive(desk.ports, made, at=desk.at)
    kept = desk.ports.blobs.get(archived.sha256)
    assert verifying.verify_upload(desk.ports, kept, at=desk.at).verdict is Verdict.PASSED


def test_boxes_lines_and_choices_are_filled_signed_archived_and_judged(desk: Desk) -> None:
    box = FillSpec("agreed", 2, "已阅读 read")
    made = desk.publish(
        box, FillSpec("remark", 2, "备注 remark"), FillSpec("way", 1, "方式 way", required=False)
    )
    desk.read(made, "anna", "cora")
    desk.fill(made, "anna", way="Rail")
    desk.sign(made, "anna")
    desk.fill(made, "cora", remark="第一行（虚构）\r\n\r\nsecond line ")
    unticked = refused(ConflictError, "form.unfilled", lambda: desk.statement(made, "cora", "sign"))
    assert unticked.context["fields"] == [1], "a box that is required has to be ticked"
    desk.fill(made, "cora", agreed="On")
    assert desk.seen(made, "cora") != desk.seen(made, "anna")
    assert desk.sign(made, "cora")["fields"] == 3
    facts = desk.facts(made)
    assert {one.name: (one.kind, one.value) for one in facts.fields} == {
        "agreed": ("check", "On"),
        "remark": ("lines", "第一行（虚构）\n\nsecond line"),
        "way": ("choice", "Rail"),
    }
    report = desk.bundle(made)
    assert failed(report) == set()
    found = verdicts(report)
    assert {found[one] for one in ("document.fields", "document.pdf", "document.archive")} == {
        Verdict.PASSED
    }
    archived = archiving.archive(desk.ports, made, at=desk.at)
    kept = desk.ports.blobs.get(archived.sha256)
    assert verifying.verify_upload(desk.ports, kept, at=desk.at).verdict is Verdict.PASSED


def test_what_no_entry_explains_is_tampering_on_every_way(desk: Desk, monkeypatch: Any) -> None:
    made = desk.publish(DELIVERY)
    desk.read(made, "anna", "cora")
    desk.sign(made, "anna")
    once = desk.file(made)
    desk.fill(made, "cora", delivery=VALUE)
    desk.sign(made, "cora")
    # Another value, put there by somebody else behind Anna's signature: no record says it.
    other = fill(once, {"delivery": "elsewhere"}).data
    assert "pdf.changes" in failed(verifying.verify_upload(desk.ports, other, at=desk.at))
    # The same file, with a log that does not know of the filling.
    monkeypatch.setattr(verifying, "edits_in", lambda _session, _data: ())
    alone = verifying.verify_upload(desk.ports, desk.file(made), at=desk.at)
    assert {"pdf.changes", "pdf.visual"} <= failed(alone)
    monkeypatch.setattr(archiving, "recorded_edits", lambda _session, _agreement: ())
    refused(
        ConflictError,
        "pdf.breaks_earlier_signature",
        lambda: archiving.archive(desk.ports, made, at=desk.at),
    )


def test_the_plan_names_fields_of_the_file_and_signers_of_the_list(desk: Desk) -> None:
    for spec, kind, code in [
        (replace(DELIVERY, name="nowhere"), NotFoundError, "form.field_unknown"),
        (replace(DELIVERY, name="sort"), InputError, "form.field_closed"),
        (replace(DELIVERY, name="tiny"), InputError, "form.field_closed"),
        (replace(DELIVERY, signer=3), InputError, "form.filler"),
        (replace(DELIVERY, label=" "), InputError, "form.label"),
        (replace(NOTE, name="delivery"), ConflictError, "pdf.field_exists"),
        (replace(NOTE, place=Spot(0, 590, 10, 300, 20)), InputError, "placement.outside"),
    ]:
        refused(kind, code, lambda spec=spec: desk.publish(spec))  # type: ignore[misc]
    refused(InputError, "form.field_invalid", lambda: desk.publish(DELIVERY, DELIVERY))
    many = tuple(replace(NOTE, name=f"f{n}") for n in range(51))
    refused(LimitError, "form.too_many", lambda: desk.publish(*many))
    assert desk.facts(desk.publish(DELIVERY)).fields[0].page == 1


def test_each_fills_their_own_fields_until_the_will_to_sign(desk: Desk) -> None:
    made = desk.publish(DELIVERY, NOTE)
    refused(ConflictError, "agreement.not_opened", lambda: desk.fill(made, "cora", delivery=VALUE))
    desk.read(made, "anna", "cora")
    refused(ForbiddenError, "form.not_yours", lambda: desk.fill(made, "anna", delivery=VALUE))
    refused(NotFoundError, "form.field_unknown", lambda: desk.fill(made, "cora", consignee="x"))
    for value, code in [
        ("two\nlines", "form.value_invalid"),
        ("龘" * 60, "form.value_too_long"),
        ("x" * 201, "form.value_too_long"),
    ]:
        fault = refused(InputError, code, lambda v=value: desk.fill(made, "cora", delivery=v))  # type: ignore[misc]
        assert fault.context["field"] == "delivery"
    desk.fill(made, "cora", delivery="first")
    desk.fill(made, "cora", delivery="")
    refused(ConflictError, "form.unfilled", lambda: desk.statement(made, "cora", "sign"))
    desk.fill(made, "cora", delivery=VALUE)
    assert desk.facts(made, "cora").fields[0].value == VALUE
    assert desk.facts(made, "anna").fields[0].value == "", "a draft is its writer's alone"
    assert desk.seen(made, "cora") != desk.seen(made, "anna")
    desk.affirm(made, "cora", "sign")
    refused(ConflictError, "form.after_intent", lambda: desk.fill(made, "cora", delivery="other"))


def test_whoever_declared_their_will_before_another_filled_is_asked_again(desk: Desk) -> None:
    made = desk.publish(
        DELIVERY, replace(NOTE, signer=3), signers=("anna", "cora", "dora"), parallel=True
    )
    desk.read(made, "anna", "cora", "dora")
    desk.fill(made, "cora", delivery=VALUE)
    desk.affirm(made, "anna", "sign")
    stale = desk.prepared(made, "anna")
    desk.sign(made, "cora")
    refused(ConflictError, "agreement.stale_revision", lambda: desk.complete("anna", stale))
    refused(ConflictError, "agreement.no_intent", lambda: desk.prepared(made, "anna"))
    assert desk.seen(made, "anna") != desk.ports.blobs.get(desk.facts(made).document_sha256)
    assert desk.sign(made, "anna")["fields"] == 1
    desk.sign(made, "dora")
    report = desk.bundle(made)
    assert failed(report) == set()
    assert verdicts(report)["document.fields"] is Verdict.PASSED


def test_a_batch_waits_for_fields_that_are_left_to_its_signer(desk: Desk) -> None:
    made = desk.publish(replace(DELIVERY, signer=1))
    place = desk.place(made, "anna")

    def batched() -> None:
        with transaction(desk.ports.sessions) as session:
            new = batches.NewBatch(id=ident("bat", "one"), signers=(place,))
            batches.open_batch(session, caller("anna"), new, at=desk.at)

    fault = refused(ConflictError, "batch.not_ready", batched)
    assert fault.context["places"] == [f"{place}: form.unfilled"]
    desk.read(made, "anna")
    desk.fill(made, "anna", delivery=VALUE)
    batched()


def test_the_entry_says_who_filled_what_in_which_revision(desk: Desk) -> None:
    made = desk.publish(DELIVERY)
    desk.read(made, "anna", "cora")
    desk.sign(made, "anna")
    before = desk.facts(made).current_sha256
    desk.fill(made, "cora", delivery=VALUE)
    desk.sign(made, "cora")
    [entry] = [one for one in desk.facts(made).entries if one.type == "document.filled"]
    with transaction(desk.ports.sessions) as session:
        body = desk.ports.vault.get(session, entry.id).body
    assert body["fields"] == [{"field": "delivery", "old": "", "new": VALUE}]
    assert (body["by"], body["base_sha256"]) == (ident("pty", "cora"), before)
    assert json.dumps(body).isascii()
    assert desk.file(made).startswith(desk.ports.blobs.get(before))


def test_after_an_erasure_no_table_holds_what_was_filled(desk: Desk) -> None:
    made = desk.publish(DELIVERY)
    desk.read(made, "anna", "cora")
    desk.sign(made, "anna")
    desk.fill(made, "cora", delivery=VALUE)
    desk.sign(made, "cora")
    at = AT + 365 * 30 * DAY

    def dump() -> str:
        with transaction(desk.ports.sessions) as session:
            return "".join(
                repr(row)
                for table in METADATA.sorted_tables
                for row in session.execute(table.select())
            )

    escaped = json.dumps(VALUE)[1:-1]
    assert VALUE in dump() or escaped in dump()
    with transaction(desk.ports.sessions) as session:
        erasure.erase(session, desk.ports, OPERATOR, subject=made, basis="期满 expired", at=at)
    assert VALUE not in dump()
    assert escaped not in dump()
