"""Two hundred documents read one by one, approved and affirmed by one signature each, each provable alone.

Identities are invented; keys are real device keys; the chain is the embedded one.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from api.callers import OPERATOR, Caller
from api.compose import open_chain, open_ports
from api.flows import agreements, batches, evidence, exporting, signatures
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.approvals import require_approved_seal
from api.flows.batch_places import Place, fault_of, standing_of
from api.flows.batches import NewBatch, express_batch, make_batch_statement
from api.flows.parties import (
    APPROVE,
    MATTERS,
    NewAuthorisation,
    grant_authorisation,
    issue_certificate,
)
from api.flows.registration import register
from api.settings import Settings
from api.testing import caller_of, invented_pdf, invented_registration
from api.views.batches import batch_facts, waiting_list
from api.worker import settle
from arbitration.checks.all import verify_bundle
from arbitration.contents import Purpose
from ledger.core.canonical import canonical_parse
from ledger.core.errors import FuqiError
from ledger.core.ids import derived_id, new_id
from ledger.core.report import Verdict
from ledger.queries import agreements as queries
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.seals import SealRow
from signing.batch_intent import batch_message, item_digest
from signing.ca import CertificateSubject
from signing.intent import intent_message
from signing.keys.device import DeviceKey

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
LATER = AT + timedelta(seconds=30)
MANY = 200
PDF = invented_pdf(pages=1)


@dataclass
class Desk:
    """Two registered organisations and the devices of their handlers."""

    ports: object
    donor: Caller
    hospital: Caller
    keys: dict[str, DeviceKey] = field(default_factory=dict)
    count: int = 0

    def publish(self, session, *, order=("donor", "hospital")) -> tuple[str, str]:
        """An agreement to sign, `+` to approve; (its id, the hospital's last place)."""
        self.count += 1
        who = {"donor": self.donor, "hospital": self.hospital}
        row = agreements.create_from_upload(
            session,
            self.ports,
            self.donor,
            NewAgreement(
                id=derived_id("agr", at=AT, seed=f"batch/{self.count}"),
                title=f"批量示例 {self.count}（虚构）",
                matter="donation",
                no_amount=True,
                signers=tuple(
                    SignerSpec(
                        who[name.rstrip("+")].organisation_id,
                        who[name.rstrip("+")].person_id,
                        "party",
                        stage,
                        "approve" if name.endswith("+") else "sign",
                    )
                    for stage, name in enumerate(order, start=1)
                ),
                expires_at=AT + timedelta(days=30),
            ),
            data=PDF,
            at=AT,
        )
        return row.id, self.place(session, row.id, "sign")

    def place(self, session, agreement: str, act: str) -> str:
        return next(
            one.id
            for one in queries.signers_of(session, agreement)
            if one.person_id == self.hospital.person_id and one.act == act
        )

    def seal(self, session, kind="contract", *, state="enabled") -> str:
        """A seal of the hospital's in force."""
        made = new_id("sea", at=AT)
        session.add(
            SealRow(
                id=made, organisation_id=self.hospital.organisation_id, kind=kind,
                name=f"示例章 {made[-4:]}（虚构）", source="drawn", design="{}", width_mm=40, height_mm=40,
                page_sha256="00" * 32, picture_sha256=made.encode().hex()[:64].ljust(64, "0"), state=state,
                valid_from=AT, valid_to=AT + timedelta(days=30), made_by=self.hospital.person_id,
                created_at=AT, changed_at=AT,
            )
        )  # fmt: skip
        session.flush()
        return made

    def read(self, session, *placed: str, at=AT) -> None:
        for one in placed:
            agreements.read_document(
                session, self.ports, self.hospital, one, pages=1, seconds=5, at=at
            )

    def signed(self, session, batch_id, *, at=LATER, key="hospital"):
        made = make_batch_statement(session, self.hospital, batch_id, at=at)
        value = canonical_parse(made.statement.encode())
        return self.keys[key].sign(batch_message(value))


@pytest.fixture
def desk(tmp_path):
    ports = open_ports(Settings(home=tmp_path / "home", demo=True), at=AT)
    donor = register(ports, invented_registration("batch-donor", "donor", at=AT), at=AT)
    hospital = register(ports, invented_registration("batch-hospital", "hospital", at=AT), at=AT)
    made = Desk(ports, caller_of(donor), caller_of(hospital))
    with transaction(ports.sessions) as session:
        grant_authorisation(
            session,
            ports,
            OPERATOR,
            NewAuthorisation(
                id=new_id("aut", at=AT),
                organisation_id=made.hospital.organisation_id,
                person_id=made.hospital.person_id,
                matters=MATTERS,
                powers=frozenset({APPROVE}),
                valid_from=AT,
                valid_to=AT + timedelta(days=30),
            ),
            at=AT,
        )
        for name, one in (("donor", made.donor), ("hospital", made.hospital)):
            made.keys[name] = DeviceKey.create()
            issue_certificate(
                session,
                ports,
                one,
                organisation_id=one.organisation_id,
                person_id=one.person_id,
                csr_der=made.keys[name].csr(
                    CertificateSubject(common_name="invented", organisation=None, reference="x")
                ),
                at=AT,
            )
    return made


def code_of(function, *arguments, **named):
    with pytest.raises(FuqiError) as caught:
        function(*arguments, **named)
    return caught.value.error_code


def open_batch(session, caller, batch_id, *, signers, at, **more):
    chosen = None if signers is None else tuple(signers)
    made = NewBatch(id=batch_id, signers=chosen, **more)
    return batches.open_batch(session, caller, made, at=at)


def first():
    """The hospital signs before the donor."""
    return ("hospital", "donor")


def approved_first():
    """The same, after an approval of its own side."""
    return ("hospital+", "hospital", "donor")


def test_two_hundred_documents_are_approved_by_one_signature_and_then_affirmed_by_one(desk):
    with transaction(desk.ports.sessions) as session:
        made = [desk.publish(session, order=approved_first()) for _ in range(MANY)]
        waits, _ = desk.publish(session)  # the donor signs first
        seal = desk.seal(session)
        here = desk.hospital
        found = waiting_list(session, here, limit=100)
        assert (found.approve, found.sign) == (MANY, MANY + 1)
        assert len(found.items) == min(100, 2 * MANY + 1)
        # Before the approvals nothing can be signed, and each line would say why.
        assert (
            code_of(open_batch, session, here, new_id("bat", at=AT), signers=None, at=AT)
            == "batch.not_ready"
        )
        batch = open_batch(
            session, here, new_id("bat", at=AT), signers=None, act="approve", seal=seal, at=AT
        )
        places = [desk.place(session, agreement, "approve") for agreement, _ in made]
        assert {one.signer.id for one in standing_of(session, batch, at=AT)} == set(places)
        desk.read(session, *places)
        proof = desk.signed(session, batch.id)
        express_batch(session, desk.ports, here, batch.id, proof=proof, at=LATER)
        facts = batch_facts(session, batch, at=LATER)
        assert {one.state for one in facts.items} == {"approved"}
        # One list names every agreement, digest, amount and seal; each listed digest is of its line.
        assert (facts.statement["acts"], facts.statement["count"]) == (["approve"], MANY)
        assert [item_digest(one).hex() for one in facts.opened] == facts.statement["items"]
        assert [
            (one["agreement"], one["document_sha256"], one["amount"], one["seal"]["id"])
            for one in facts.opened
        ] == [(one.agreement_id, one.document_sha256, one.amount, seal) for one in facts.items]
        for agreement, _ in made:
            kinds = [one.type for one in log_queries.entries_of(session, [agreement])]
            assert kinds.count("approval.given") == 1

        # What was approved can now be signed in one go; what is left out says why.
        batch = open_batch(session, here, new_id("bat", at=AT), signers=None, leave_out=True, at=AT)
        facts = batch_facts(session, batch, at=LATER)
        assert {one.signer_id for one in facts.items} == {place for _, place in made}
        assert {one.seal_id for one in facts.items} == {seal}
        assert [(one.agreement_id, one.code) for one in facts.left_out] == [
            (waits, "agreement.not_your_turn")
        ]
        desk.read(session, *(place for _, place in made))
        proof = desk.signed(session, batch.id)
        express_batch(session, desk.ports, here, batch.id, proof=proof, at=LATER)
        facts = batch_facts(session, batch, at=LATER)
        assert {one.state for one in facts.items} == {"awaiting"}  # for the donor's consent
        assert facts.statement["count"] == MANY
        # Every listed digest is opened, and is of the document in the same line.
        assert [item_digest(one).hex() for one in facts.opened] == facts.statement["items"]
        assert [one["document_sha256"] for one in facts.opened] == [
            one.document_sha256 for one in facts.items
        ]
        for agreement, _ in made:
            kinds = [one.type for one in log_queries.entries_of(session, [agreement])]
            assert kinds.count("intent.expressed") == 3


def test_an_approval_in_a_batch_allows_one_seal_and_each_refusal_says_why(desk):
    with transaction(desk.ports.sessions) as session:
        here = desk.hospital
        made = [desk.publish(session, order=approved_first())[0] for _ in range(3)]
        one, two, three = (desk.place(session, each, "approve") for each in made)
        seal, other = desk.seal(session), desk.seal(session, "organisation")
        stopped = desk.seal(session, state="suspended")

        def opened(**more):
            return lambda: open_batch(
                session, here, new_id("bat", at=AT), **{"act": "approve", "at": AT, **more}
            )

        for code, work in (
            ("batch.seal", opened(signers=[one], act="sign", seal=seal)),
            ("batch.seal", opened(signers=[one], seals={two: seal})),
            ("not_found", opened(signers=[one], seal=new_id("sea", at=AT))),
            ("seal.not_enabled", opened(signers=[one], seal=stopped)),
            ("batch.not_ready", opened(signers=[desk.place(session, made[0], "sign")])),
            ("batch.items", opened(signers=[])),
        ):
            assert code_of(work) == code
        batch = opened(signers=[one, two, three], seal=seal, seals={two: other})()
        desk.read(session, one, two, three)
        opens = {item["agreement"]: item["seal"]["id"] for item in _opened(desk, session, batch)}
        assert opens == dict(zip(made, (seal, other, seal), strict=True))
        # One is taken back while the others are read: nothing is approved until it is left out.
        proof = desk.signed(session, batch.id)
        agreements.withdraw(session, desk.ports, desk.donor, made[2], reason="invented", at=LATER)
        affirm = (express_batch, session, desk.ports, here, batch.id)
        assert code_of(*affirm, proof=proof, at=LATER) == "batch.not_ready"
        assert {row.approved_at for row in queries.signers_of(session, made[0])} == {None}
        batches.leave_out(session, here, batch.id, at=LATER)
        facts = batch_facts(session, batch, at=LATER)
        assert [(x.agreement_id, x.code) for x in facts.left_out] == [(made[2], "agreement.closed")]
        assert code_of(*affirm, proof=proof, at=LATER) == "batch.no_statement"
        proof = desk.signed(session, batch.id)
        express_batch(session, desk.ports, here, batch.id, proof=proof, at=LATER)
        assert code_of(batches.leave_out, session, here, batch.id, at=LATER) == "batch.affirmed"
        row = session.get_one(AgreementRow, made[0])
        place = session.get_one(SignerRow, desk.place(session, made[0], "sign"))
        require_approved_seal(session, row, place, seal)
        require_approved_seal(session, row, place, None)
        assert code_of(require_approved_seal, session, row, place, other) == "seal.not_approved"


def _opened(desk, session, batch):
    make_batch_statement(session, desk.hospital, batch.id, at=LATER)
    return batches.opened_items(session, batch)


def test_two_approvers_of_one_side_cannot_allow_different_seals(desk):
    with transaction(desk.ports.sessions) as session:
        here = desk.hospital
        agreement, _ = desk.publish(session, order=approved_first())
        place = session.get_one(SignerRow, desk.place(session, agreement, "approve"))
        seal, other = desk.seal(session), desk.seal(session, "organisation")
        # A colleague of the same side, who has approved before.
        session.add(
            SignerRow(
                id=new_id("sig", at=AT), agreement_id=agreement, position=4, stage=1, act="approve",
                role="party", organisation_id=here.organisation_id, person_id=desk.donor.person_id,
                field="approver4", approved_at=AT, approved_seal_id=other,
            )
        )  # fmt: skip
        session.flush()
        held = Place(session.get_one(AgreementRow, agreement), place)
        for named, code in ((seal, "approval.other_seal"), (other, None)):
            row = session.get_one(SealRow, named)
            assert fault_of(session, held, act="approve", seal=row, at=AT) == code


def test_each_document_of_a_batch_is_signed_and_proven_alone(desk):
    ports = desk.ports
    with transaction(ports.sessions) as session:
        made = [desk.publish(session, order=first()) for _ in range(2)]
        placed = [place for _, place in made]
        batch = open_batch(session, desk.hospital, new_id("bat", at=AT), signers=placed, at=AT)
        desk.read(session, *placed)
        proof = desk.signed(session, batch.id)
        express_batch(session, ports, desk.hospital, batch.id, proof=proof, at=LATER)
        sender = next(
            one
            for one in queries.signers_of(session, made[0][0])
            if one.person_id == desk.donor.person_id
        )
        agreements.read_document(
            session, ports, desk.donor, sender.id, pages=1, seconds=5, at=LATER
        )
        for act in ("consent", "sign"):
            row = signatures.make_statement(session, desk.donor, sender.id, act=act, at=LATER)
            value = canonical_parse(row.statement.encode())
            signatures.express_intent(
                session,
                ports,
                desk.donor,
                row.id,
                proof=desk.keys["donor"].sign(intent_message(value)),
                at=LATER,
            )
        for caller, place, key in (
            (desk.hospital, placed[0], "hospital"),
            (desk.donor, sender.id, "donor"),
        ):
            prepared = signatures.prepare_signature(session, ports, caller, place, at=LATER)
            signatures.complete_signature(
                session,
                ports,
                caller,
                prepared.id,
                signature=desk.keys[key].sign(bytes.fromhex(prepared.signed_attrs)),
                at=LATER,
            )
        assert {one.code for one in standing_of(session, batch, at=LATER)} == {"signed", "awaiting"}
    settle(ports, open_chain(ports.settings), clock=lambda: LATER, seconds_max=60)
    with transaction(ports.sessions) as session:
        _row, data = exporting.export_bundle(
            ports,
            OPERATOR,
            agreement_id=made[0][0],
            bundle_id=new_id("bun", at=LATER),
            purpose=Purpose.ARBITRATION,
            recipient="示例仲裁委员会（虚构）",
            at=LATER,
        )
        trust = evidence.installation_trust(session, ports, at=LATER)
    report = verify_bundle(data, trust=trust, at=datetime.now(UTC) + timedelta(days=1))
    failed = [one for one in report.checks if one.verdict is not Verdict.PASSED]
    assert failed == []
    # The evidence of one agreement names no other agreement of the batch, nor its document.
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        text = b"".join(opened.read(name) for name in opened.namelist())
    assert made[0][0].encode() in text
    assert made[1][0].encode() not in text
    assert placed[1].encode() not in text


def test_all_or_none_and_each_refusal_says_why(desk):
    with transaction(desk.ports.sessions) as session:
        (_, one), (agreement, two) = (desk.publish(session, order=first()) for _ in range(2))
        _, waits = desk.publish(session)
        here, bat = desk.hospital, new_id("bat", at=AT)
        assert code_of(open_batch, session, here, bat, signers=[], at=AT) == "batch.items"
        assert code_of(open_batch, session, here, bat, signers=[one, one], at=AT) == "batch.twice"
        assert code_of(open_batch, session, here, bat, signers=[waits], at=AT) == "batch.not_ready"
        assert code_of(open_batch, session, desk.donor, bat, signers=[one], at=AT) == "not_found"
        batch = open_batch(session, here, bat, signers=[one, two], at=AT)
        assert open_batch(session, here, bat, signers=[one, two], at=AT) is batch
        assert (
            code_of(open_batch, session, here, bat, signers=[two, one], at=AT)
            == "state.exists_with_different_field"
        )
        assert code_of(batches.batch_for, session, desk.donor, bat) == "not_found"
        affirm = (express_batch, session, desk.ports, here, bat)
        assert code_of(*affirm, proof=b"x", at=AT) == "batch.no_statement"
        desk.read(session, one)
        assert code_of(make_batch_statement, session, here, bat, at=AT) == "batch.not_read"
        desk.read(session, two)
        stale = desk.signed(session, bat)
        proof = desk.signed(session, bat)
        assert code_of(*affirm, proof=stale, at=LATER) == "intent.proof"
        assert (
            code_of(*affirm, proof=desk.signed(session, bat, key="donor"), at=LATER)
            == "intent.proof"
        )
        proof = desk.signed(session, bat)
        assert code_of(*affirm, proof=proof, at=LATER + timedelta(minutes=11)) == "intent.stale"
        assert {row.intent_at for row in queries.signers_of(session, agreement)} == {None}
        agreements.withdraw(session, desk.ports, desk.donor, agreement, reason="invented", at=LATER)
        assert code_of(*affirm, proof=proof, at=LATER) == "batch.not_ready"
        states = {item.code for item in standing_of(session, batch, at=LATER)}
        assert states == {"ready", "agreement.closed"}


def test_the_same_proof_again_changes_nothing_and_another_is_refused(desk):
    with transaction(desk.ports.sessions) as session:
        agreement, place = desk.publish(session, order=first())
        batch = open_batch(session, desk.hospital, new_id("bat", at=AT), signers=[place], at=AT)
        desk.read(session, place)
        proof = desk.signed(session, batch.id)
        for _ in range(2):
            express_batch(session, desk.ports, desk.hospital, batch.id, proof=proof, at=LATER)
        kinds = [one.type for one in log_queries.entries_of(session, [agreement])]
        assert kinds.count("intent.expressed") == 2
        for function, named in (
            (express_batch, {"proof": b"other"}),
            (make_batch_statement, {}),
        ):
            arguments = (desk.ports, desk.hospital) if named else (desk.hospital,)
            assert (
                code_of(function, session, *arguments, batch.id, at=LATER, **named)
                == "batch.affirmed"
            )
