"""What an approver saw is what their side signs: values of form fields, listed, compared, approved again.

The hospital's chief (and deputy) approve, Cora and Carl sign for it; Anna signs for the donor. Identities are
invented; keys are real device keys; the chain is the embedded one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.callers import OPERATOR, Caller, Role
from api.compose import open_ports
from api.flows import (
    agreements,
    approvals,
    batches,
    erasure,
    evidence,
    exporting,
    form_filling,
    parties,
    signatures,
)
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.batch_places import standing_of
from api.flows.form_planning import FillSpec
from api.flows.parties import NewAuthorisation, NewParty
from api.ports import Ports
from api.settings import Settings
from api.testing import invented_pdf
from api.views.agreements import agreement_facts
from api.worker import settle
from arbitration.checks.all import verify_bundle
from arbitration.container import unpack
from arbitration.contents import Purpose
from arbitration.policy import Trust
from arbitration.testing import resealed
from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import FuqiError
from ledger.core.ids import derived_id
from ledger.core.report import Report, Verdict
from ledger.embedded_chain import open_embedded_chain
from ledger.queries import agreements as queries
from ledger.queries import log as log_queries
from ledger.schema import METADATA
from ledger.store import transaction
from signing.batch_intent import batch_message
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id, invented_uscc
from signing.intent import intent_message, statement_digest
from signing.keys.device import DeviceKey
from signing.placement import Spot

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
DAY = timedelta(days=1)
PEOPLE = {
    "anna": "donor",
    "chief": "hospital",
    "deputy": "hospital",
    "cora": "hospital",
    "carl": "hospital",
}
Rows = tuple[tuple[str, int, str], ...]
USUAL: Rows = (("chief", 1, "approve"), ("cora", 2, "sign"), ("anna", 3, "sign"))


def spot(number: int) -> Spot:
    return Spot(0, 72, 500 - 40 * number, 300, 20)


def left_to(signer: int, name: str = "sum", *, required: bool = True) -> FillSpec:
    """A field in which place `signer` (from 1) writes."""
    return FillSpec(name, signer, f"金额 {name}", required=required, place=spot(len(name)))


def ident(prefix: str, seed: str) -> str:
    return derived_id(prefix, at=AT, seed=f"approved-values/{seed}")


def caller(person: str) -> Caller:
    return Caller(
        account_id=ident("acc", person),
        person_id=ident("pty", person),
        organisation_id=ident("pty", PEOPLE[person]),
        roles=frozenset({Role.HANDLER}),
    )


@dataclass
class Desk:
    """An installation, the devices of five people, and the clock of the story."""

    ports: Ports
    keys: dict[str, DeviceKey] = field(default_factory=dict)
    at: datetime = AT
    count: int = 0
    kept: tuple[bytes, Trust | None] = (b"", None)

    def publish(
        self,
        *fillable: FillSpec,
        rows: Rows = USUAL,
        quorums: dict[int, int] | None = None,
    ) -> str:
        self.count += 1
        new = NewAgreement(
            id=ident("agr", str(self.count)),
            title="批准填写内容示例（虚构）",
            matter="donation",
            no_amount=True,
            signers=tuple(
                SignerSpec(ident("pty", PEOPLE[who]), ident("pty", who), "party", stage, act)
                for who, stage, act in rows
            ),
            expires_at=AT + 30 * DAY,
            fillable=fillable,
            quorums=quorums or {},
        )
        with transaction(self.ports.sessions) as session:
            agreements.create_from_upload(
                session, self.ports, caller("anna"), new, data=invented_pdf(pages=1), at=self.at
            )
        for who in dict.fromkeys(who for who, _stage, _act in rows):
            self.read(new.id, who)
        return new.id

    def place(self, agreement: str, person: str) -> str:
        with transaction(self.ports.sessions) as session:
            return next(
                one.id
                for one in queries.signers_of(session, agreement)
                if one.person_id == ident("pty", person)
            )

    def read(self, agreement: str, person: str) -> None:
        place = self.place(agreement, person)
        with transaction(self.ports.sessions) as session:
            _row, signer = agreements.signer_for(session, caller(person), place)
            agreements.read_document(
                session, self.ports, caller(person), place, pages=1, seconds=60, at=self.at
            )
            act = signer.act
        if act == "sign":
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

    def prove(self, person: str, told: tuple[str, dict[str, Any]]) -> None:
        name, value = told
        with transaction(self.ports.sessions) as session:
            signatures.express_intent(
                session,
                self.ports,
                caller(person),
                name,
                proof=self.keys[person].sign(intent_message(value)),
                at=self.at,
            )

    def affirm(self, agreement: str, person: str, act: str) -> dict[str, Any]:
        self.at += timedelta(seconds=1)
        told = self.statement(agreement, person, act)
        self.prove(person, told)
        return told[1]

    def approve(self, agreement: str, person: str = "chief") -> dict[str, Any]:
        return self.affirm(agreement, person, "approve")

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

    def sign(self, agreement: str, *people: str) -> None:
        for person in people:
            self.affirm(agreement, person, "sign")
            self.complete(person, self.prepared(agreement, person))

    def batch(self, agreement: str, person: str, act: str) -> tuple[str, dict[str, Any]]:
        """A batch of this one document, and its statement."""
        self.count += 1
        name = ident("bat", str(self.count))
        new = batches.NewBatch(id=name, signers=(self.place(agreement, person),), act=act)
        with transaction(self.ports.sessions) as session:
            batches.open_batch(session, caller(person), new, at=self.at)
            made = batches.make_batch_statement(session, caller(person), name, at=self.at)
            value = canonical_parse((made.statement or "").encode())
            assert isinstance(value, dict)
            return name, value

    def prove_batch(self, person: str, told: tuple[str, dict[str, Any]]) -> None:
        name, value = told
        proof = self.keys[person].sign(batch_message(value))
        with transaction(self.ports.sessions) as session:
            batches.express_batch(
                session, self.ports, caller(person), name, proof=proof, at=self.at
            )

    def facts(self, agreement: str, person: str = "anna") -> Any:
        with transaction(self.ports.sessions) as session:
            return agreement_facts(session, caller(person), agreement)

    def values(self, agreement: str, person: str) -> dict[str, str]:
        """As the caller is told of them."""
        return {one.name: one.value for one in self.facts(agreement, person).fields if one.value}

    def drawn(self, agreement: str, person: str) -> Mapping[str, str]:
        """What is filled into the pages that the caller is shown."""
        with transaction(self.ports.sessions) as session:
            row = agreements.agreement_for(session, caller(person), agreement)
            shown = form_filling.shown_file(session, caller(person), row)
            assert shown.read(self.ports).startswith(b"%PDF")
            return shown.values

    def approvals(self, agreement: str) -> int:
        return sum(one.type == "approval.given" for one in self.facts(agreement).entries)

    def stages(self, agreement: str) -> tuple[Verdict, list[str]]:
        """What a stranger's check of the approvals says of the bundle, and what else failed."""
        chain = open_embedded_chain(self.ports.settings.home / "chain")
        try:
            settle(self.ports, chain, clock=lambda: self.at, seconds_max=60)
        finally:
            chain.close()
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
        self.kept = (data, trust)
        report: Report = verify_bundle(data, trust=trust, at=datetime.now(UTC) + DAY)
        failed = {one.code for one in report.checks if one.verdict is Verdict.FAILED}
        assert failed <= {"agreement.stages"}, failed
        return finding(report)

    def judged(self, change: Callable[[dict[str, bytes]], None]) -> tuple[Verdict, list[str]]:
        """The same of the bundle that was looked at last, written anew by the platform itself."""
        data, trust = self.kept
        files = unpack(data)
        change(files)
        made = resealed(
            files,
            seal=self.ports.log_key.sign_text,
            stamp=lambda imprint: self.ports.tsa.stamp(imprint, at=self.at),
        )
        return finding(verify_bundle(made, trust=trust, at=datetime.now(UTC) + DAY))


def finding(report: Report) -> tuple[Verdict, list[str]]:
    """The verdict of the check of stages and approvals, and what it names."""
    [found] = [one for one in report.checks if one.code == "agreement.stages"]
    problems = found.details.get("problems", [])
    assert isinstance(problems, list)
    return found.verdict, [str(one) for one in problems]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    home: Path = tmp_path_factory.mktemp("home")
    made = Desk(open_ports(Settings(home=home), at=AT))
    for name in (*dict.fromkeys(PEOPLE.values()), *PEOPLE):
        person = name in PEOPLE
        parties.verify_and_register(
            made.ports,
            NewParty(
                id=ident("pty", name),
                kind="person" if person else "organisation",
                category="person" if person else "hospital",
                name=f"示例（虚构）{name}",
                number=invented_resident_id(f"values-{name}", birth=date(1988, 3, 14))
                if person
                else invented_uscc(f"values-{name}"),
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


def refused(code: str, work: Callable[[], object]) -> FuqiError:
    with pytest.raises(FuqiError) as caught:
        work()
    assert caught.value.error_code == code
    return caught.value


def test_a_signer_fills_before_the_approval_and_the_approver_sees_and_lists_it(desk: Desk) -> None:
    made = desk.publish(left_to(2))
    desk.fill(made, "cora", sum="120000")
    assert desk.values(made, "chief") == {"sum": "120000"}
    assert desk.values(made, "anna") == {}, "not yet the other side's"
    assert desk.drawn(made, "chief") == {"sum": "120000"} == desk.drawn(made, "cora")
    assert desk.drawn(made, "anna") == {}
    stmt = desk.approve(made)
    assert (stmt["v"], stmt["fields"]) == ("fuqi/intent/v5", 1)
    assert "1项表单域" in stmt["text_zh"]
    desk.sign(made, "cora", "anna")
    assert desk.facts(made).state == "formed"


def test_a_value_written_after_the_approval_is_signed_only_once_it_is_approved_again(
    desk: Desk,
) -> None:
    made = desk.publish(left_to(2), left_to(2, "note", required=False))
    desk.fill(made, "cora", sum="120000")
    desk.approve(made)
    refused("agreement.already_signed", lambda: desk.approve(made))
    desk.fill(made, "cora", sum="920000")
    fault = refused("approval.other_values", lambda: desk.statement(made, "cora", "sign"))
    assert fault.context["fields"] == [1]
    assert "approve again" in fault.message
    assert not any(one in str(fault.context) + fault.message for one in ("920000", "120000"))
    assert desk.approve(made)["fields"] == 1
    told = desk.statement(made, "cora", "sign")
    # Another value between the statement and its proof.
    desk.fill(made, "cora", note="extra")
    refused("approval.other_values", lambda: desk.prove("cora", told))
    desk.approve(made)
    # Taking a value back is another content as well.
    desk.fill(made, "cora", note="")
    refused("approval.other_values", lambda: desk.sign(made, "cora"))
    assert desk.approve(made)["fields"] == 1
    refused("agreement.already_signed", lambda: desk.approve(made))
    desk.sign(made, "cora")
    refused("agreement.already_signed", lambda: desk.approve(made))
    desk.sign(made, "anna")
    assert desk.approvals(made) == 4, "each approval stays in the log"
    assert desk.stages(made) == (Verdict.PASSED, [])


def test_what_the_other_side_filled_since_is_approved_before_it_is_signed(desk: Desk) -> None:
    rows = (("chief", 1, "approve"), ("anna", 2, "sign"), ("cora", 3, "sign"))
    made = desk.publish(left_to(2), rows=rows)
    desk.approve(made)
    desk.fill(made, "anna", sum="5")
    assert desk.values(made, "chief") == {}, "the other side's draft is not theirs to see"
    desk.sign(made, "anna")
    assert desk.values(made, "chief") == {"sum": "5"}
    refused("approval.other_values", lambda: desk.sign(made, "cora"))
    assert desk.approve(made)["fields"] == 1
    desk.sign(made, "cora")
    assert desk.stages(made) == (Verdict.PASSED, [])


def test_what_a_colleague_has_only_saved_holds_up_nobody_else(desk: Desk) -> None:
    rows = (("chief", 1, "approve"), ("cora", 2, "sign"), ("carl", 2, "sign"), ("anna", 3, "sign"))
    made = desk.publish(left_to(2), left_to(3, "terms"), rows=rows)
    desk.fill(made, "cora", sum="1")
    desk.fill(made, "carl", terms="first")
    assert desk.approve(made)["fields"] == 2
    desk.fill(made, "carl", terms="second")
    desk.sign(made, "cora")
    refused("approval.other_values", lambda: desk.statement(made, "carl", "sign"))
    assert desk.approve(made)["fields"] == 2
    desk.sign(made, "carl", "anna")
    # Cora's signature is judged by the first approval, Carl's by the second.
    assert desk.stages(made) == (Verdict.PASSED, [])


def test_of_two_approvers_as_many_as_the_stage_demands_see_the_values(desk: Desk) -> None:
    rows = (
        ("chief", 1, "approve"),
        ("deputy", 1, "approve"),
        ("cora", 2, "sign"),
        ("anna", 3, "sign"),
    )
    both = desk.publish(left_to(3), rows=rows)
    desk.fill(both, "cora", sum="1")
    desk.approve(both, "chief")
    desk.fill(both, "cora", sum="2")
    desk.approve(both, "deputy")
    refused("approval.other_values", lambda: desk.sign(both, "cora"))
    refused("agreement.already_signed", lambda: desk.approve(both, "deputy"))
    desk.approve(both, "chief")
    desk.sign(both, "cora")
    # Where one of two is enough, the other may approve again in place of the first.
    one = desk.publish(left_to(3), rows=rows, quorums={1: 1})
    desk.approve(one, "chief")
    refused("agreement.stage_done", lambda: desk.approve(one, "deputy"))
    desk.fill(one, "cora", sum="3")
    refused("approval.other_values", lambda: desk.sign(one, "cora"))
    desk.approve(one, "deputy")
    desk.sign(one, "cora", "anna")
    assert desk.stages(one) == (Verdict.PASSED, [])


def test_a_value_saved_while_the_approver_reads_voids_what_they_were_about_to_prove(
    desk: Desk,
) -> None:
    made = desk.publish(left_to(2))
    desk.fill(made, "cora", sum="1")
    told = desk.statement(made, "chief", "approve")
    desk.fill(made, "cora", sum="2")
    refused("intent.other_annex", lambda: desk.prove("chief", told))
    assert desk.approvals(made) == 0
    batched = desk.batch(made, "chief", "approve")
    desk.fill(made, "cora", sum="3")
    refused("intent.other_annex", lambda: desk.prove_batch("chief", batched))
    assert desk.approvals(made) == 0
    desk.approve(made)
    desk.sign(made, "cora")


def test_a_batch_approves_values_and_a_batch_to_sign_waits_for_them(desk: Desk) -> None:
    made = desk.publish(left_to(2))
    desk.fill(made, "cora", sum="1")
    first = desk.batch(made, "chief", "approve")
    desk.prove_batch("chief", first)
    refused("batch.not_ready", lambda: desk.batch(made, "chief", "approve"))
    desk.fill(made, "cora", sum="2")
    fault = refused("batch.not_ready", lambda: desk.batch(made, "cora", "sign"))
    assert fault.context["places"] == [f"{desk.place(made, 'cora')}: approval.other_values"]
    desk.prove_batch("chief", desk.batch(made, "chief", "approve"))
    told = desk.batch(made, "cora", "sign")
    desk.prove_batch("cora", told)
    with transaction(desk.ports.sessions) as session:
        batch = batches.batch_for(session, caller("cora"), told[0])
        assert [one.code for one in standing_of(session, batch, at=desk.at)] == ["affirmed"]
    desk.complete("cora", desk.prepared(made, "cora"))
    desk.sign(made, "anna")
    assert desk.approvals(made) == 2
    assert desk.stages(made) == (Verdict.PASSED, [])


@pytest.mark.parametrize("batched", [False, True])
def test_a_bundle_fails_by_name_where_the_platform_let_other_values_be_signed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, batched: bool
) -> None:
    made = desk.publish(left_to(2), left_to(2, "note", required=False))
    desk.fill(made, "cora", sum="1", note="kept")
    if batched:
        desk.prove_batch("chief", desk.batch(made, "chief", "approve"))
    else:
        desk.approve(made)
    desk.fill(made, "cora", sum="999", note="")
    monkeypatch.setattr(signatures, "require_approved_values", lambda *_rest: None)
    desk.sign(made, "cora", "anna")
    verdict, problems = desk.stages(made)
    signer, approver = desk.place(made, "cora"), desk.place(made, "chief")
    assert verdict is Verdict.FAILED
    assert problems[0] == f"{signer}: signed other values than {approver} approved: note, sum"
    # The platform may write the list anew; the approver's statement names the one that was signed.
    verdict, problems = desk.judged(_approved_what_was_signed)
    assert verdict is Verdict.FAILED
    assert problems[0] == f"{approver}: the approval names another annex"


def _approved_what_was_signed(files: dict[str, bytes]) -> None:
    for row in json.loads(files["10-events.json"]):
        value = json.loads(files[row["path"]])
        body = (value["private"] or {}).get("body", {})
        if row["type"] == "intent.expressed" and body["act"] == "approve":
            body["annex"]["fields"] = [
                {**one, "value": "999"} for one in body["annex"]["fields"] if one["name"] == "sum"
            ]
            files[row["path"]] = canonical_bytes(value)


def test_one_proven_statement_approves_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that lets an earlier approval stand for what its approver never saw again."""
    made = desk.publish(left_to(2))
    desk.fill(made, "cora", sum="1")
    first = desk.approve(made)
    desk.fill(made, "cora", sum="2")
    desk.approve(made)
    desk.fill(made, "cora", sum="1")
    with transaction(desk.ports.sessions) as session:
        row, signer = agreements.signer_for(session, caller("chief"), desk.place(made, "chief"))
        [given] = [
            one for one in log_queries.entries_of(session, [made]) if one.type == "approval.given"
        ][-1:]
        body = desk.ports.vault.get(session, given.id).body
        approvals.record_approval(
            session,
            desk.ports,
            caller("chief"),
            row,
            signer,
            statement_sha256=statement_digest(first).hex(),
            certificate=body["certificate"],
            authorisation=body["authorisation"],
            seal=None,
            annex=None,
            at=desk.at,
        )
    monkeypatch.setattr(signatures, "require_approved_values", lambda *_rest: None)
    desk.sign(made, "cora", "anna")
    verdict, problems = desk.stages(made)
    assert verdict is Verdict.FAILED
    assert problems[0] == f"{desk.place(made, 'chief')}: one statement approved twice"


def test_an_approval_from_before_the_rule_lists_no_value(desk: Desk) -> None:
    made, without = desk.publish(left_to(2)), desk.publish()
    desk.fill(made, "cora", sum="1")
    for one in (made, without):
        desk.approve(one)
        with transaction(desk.ports.sessions) as session:
            place = desk.place(one, "chief")
            _row, signer = agreements.signer_for(session, caller("chief"), place)
            signer.approved_values = None
    refused("approval.other_values", lambda: desk.sign(made, "cora"))
    desk.approve(made)
    desk.sign(made, "cora")
    # Without form fields everything is as it was.
    desk.sign(without, "cora", "anna")
    assert desk.stages(without) == (Verdict.PASSED, [])


def test_nothing_is_approved_again_that_is_ended_or_that_its_side_has_signed(desk: Desk) -> None:
    made = desk.publish(left_to(3), rows=USUAL)
    desk.approve(made)
    desk.sign(made, "cora")
    desk.fill(made, "anna", sum="1")
    refused("agreement.already_signed", lambda: desk.approve(made))
    desk.sign(made, "anna")
    refused("agreement.closed", lambda: desk.approve(made))
    ended = desk.publish(left_to(2))
    desk.approve(ended)
    desk.fill(ended, "cora", sum="1")
    with transaction(desk.ports.sessions) as session:
        place = desk.place(ended, "cora")
        agreements.decline(session, desk.ports, caller("cora"), place, reason="no", at=desk.at)
    refused("agreement.closed", lambda: desk.approve(ended))


def test_after_an_erasure_no_place_holds_what_was_approved(desk: Desk) -> None:
    made, value = desk.publish(left_to(2)), "erase-me-417"
    desk.fill(made, "cora", sum=value)
    desk.prove_batch("chief", desk.batch(made, "chief", "approve"))
    desk.sign(made, "cora", "anna")

    def dump() -> str:
        with transaction(desk.ports.sessions) as session:
            return "".join(
                repr(row)
                for table in METADATA.sorted_tables
                for row in session.execute(table.select())
            )

    assert value in dump()
    with transaction(desk.ports.sessions) as session:
        erasure.erase(
            session,
            desk.ports,
            OPERATOR,
            subject=made,
            basis="期满 expired",
            at=AT + 365 * 30 * DAY,
        )
    assert value not in dump()
