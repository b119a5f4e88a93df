"""Stages, approvals, hand-overs, releases and revisions, from the document to the evidence bundle.

Identities are invented; keys are real device keys; the chain is the embedded one.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from api.callers import OPERATOR, Caller, Role
from api.compose import open_chain, open_ports
from api.flows import agreements, evidence, exporting, parties, places, relations, signatures
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.parties import NewAuthorisation, NewParty
from api.ports import Ports
from api.settings import Settings
from api.testing import invented_pdf
from api.views.agreements import agreement_facts
from api.worker import settle
from arbitration.checks.all import verify_bundle
from arbitration.contents import Purpose
from ledger.core.canonical import canonical_parse
from ledger.core.errors import ConflictError, ForbiddenError, FuqiError, InputError, NotFoundError
from ledger.core.ids import derived_id
from ledger.core.report import Verdict
from ledger.queries import agreements as queries
from ledger.queries import log as log_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id, invented_uscc
from signing.intent import intent_message
from signing.keys.device import DeviceKey

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
DAY = timedelta(days=1)
PEOPLE = {"boss": "donor", "anna": "donor", "bert": "donor", "cora": "hospital", "dora": "hospital"}


def ident(prefix: str, seed: str) -> str:
    return derived_id(prefix, at=AT, seed=f"stages/{seed}")


def caller(person: str) -> Caller:
    return Caller(
        account_id=ident("acc", person),
        person_id=ident("pty", person),
        organisation_id=ident("pty", PEOPLE[person]),
        roles=frozenset({Role.HANDLER}),
    )


@dataclass
class Desk:
    """An installation, and the devices of five people, which it does not hold."""

    ports: Ports
    keys: dict[str, DeviceKey] = field(default_factory=dict)
    count: int = 0

    def publish(
        self,
        *rows: tuple[str, int, str],
        by: str = "anna",
        data: bytes | None = None,
        **options: object,
    ) -> str:
        """Publish an agreement; each row is (person, stage, act)."""
        self.count += 1
        new = NewAgreement(
            id=ident("agr", str(self.count)),
            title="阶段示例（虚构）",
            matter="donation",
            no_amount=options.get("amount_minor") is None,
            signers=tuple(
                SignerSpec(ident("pty", PEOPLE[who]), ident("pty", who), "party", stage, act)
                for who, stage, act in rows
            ),
            expires_at=AT + 30 * DAY,
            **options,  # type: ignore[arg-type]
        )
        with transaction(self.ports.sessions) as session:
            agreements.create_from_upload(
                session, self.ports, caller(by), new, data=data or invented_pdf(pages=1), at=AT
            )
        return new.id

    def place(self, agreement: str, person: str, act: str = "sign") -> str:
        with transaction(self.ports.sessions) as session:
            return next(
                one.id
                for one in queries.signers_of(session, agreement)
                if one.person_id == ident("pty", person) and one.act == act
            )

    def row(self, agreement: str) -> AgreementRow:
        with transaction(self.ports.sessions) as session:
            return session.get_one(AgreementRow, agreement)

    def read(self, agreement: str, person: str, act: str = "sign", *, at: datetime = AT) -> None:
        with transaction(self.ports.sessions) as session:
            agreements.read_document(
                session,
                self.ports,
                caller(person),
                self.place(agreement, person, act),
                pages=1,
                seconds=60,
                at=at,
            )

    def affirm(self, agreement: str, person: str, act: str) -> None:
        place = self.place(agreement, person, "approve" if act == "approve" else "sign")
        with transaction(self.ports.sessions) as session:
            made = signatures.make_statement(session, caller(person), place, act=act, at=AT)
            value = canonical_parse(made.statement.encode())
            assert isinstance(value, dict)
            proof = self.keys[person].sign(intent_message(value))
            signatures.express_intent(
                session, self.ports, caller(person), made.id, proof=proof, at=AT
            )

    def consent(self, agreement: str, *people: str) -> None:
        for person in people:
            self.read(agreement, person)
            self.affirm(agreement, person, "consent")

    def approve(self, agreement: str, person: str) -> None:
        self.read(agreement, person, "approve")
        self.affirm(agreement, person, "approve")

    def sign(self, agreement: str, person: str) -> None:
        self.affirm(agreement, person, "sign")
        with transaction(self.ports.sessions) as session:
            made = signatures.prepare_signature(
                session, self.ports, caller(person), self.place(agreement, person), at=AT
            )
            signatures.complete_signature(
                session,
                self.ports,
                caller(person),
                made.id,
                signature=self.keys[person].sign(bytes.fromhex(made.signed_attrs)),
                at=AT,
            )

    def form(self, *people: str, **options: object) -> str:
        """A plain agreement that all of `people` have signed, one after another."""
        made = self.publish(*((who, 0, "sign") for who in people), **options)
        self.consent(made, *people)
        for who in people:
            self.sign(made, who)
        return made

    def bundle(self, agreement: str) -> dict[str, Verdict]:
        """Verdict of every check of its bundle, verified as a stranger would."""
        chain = open_chain(self.ports.settings)
        settle(self.ports, chain, clock=lambda: AT, seconds_max=60)
        with transaction(self.ports.sessions) as session:
            _row, data = exporting.export_bundle(
                self.ports,
                OPERATOR,
                agreement_id=agreement,
                bundle_id=ident("bun", agreement),
                purpose=Purpose.ARBITRATION,
                recipient="示例仲裁委员会（虚构）",
                at=AT,
            )
            trust = evidence.installation_trust(session, self.ports, at=AT)
        report = verify_bundle(data, trust=trust, at=datetime.now(UTC) + DAY)
        return {one.code: one.verdict for one in report.checks}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(open_ports(Settings(home=tmp_path / "home"), at=AT))
    ports = made.ports
    for name, kind in [
        *((one, "organisation") for one in ("donor", "hospital")),
        *((p, "person") for p in PEOPLE),
    ]:
        is_person = kind == "person"
        number = (
            invented_resident_id(name, birth=date(1988, 3, 14))
            if is_person
            else invented_uscc(name)
        )
        parties.verify_and_register(
            ports,
            NewParty(
                id=ident("pty", name),
                kind=kind,
                category="person" if is_person else "hospital",
                name=f"示例（虚构）{name}",
                number=number,
                place="示例市（虚构）",
                receiving_system="fuqi",
                consent_id="cns_example",
                invented=True,
            ),
            at=AT,
        )
    for person, organisation in PEOPLE.items():
        authorise(ports, person, organisation, powers={"consent", "sign", "approve"})
        made.keys[person] = key = DeviceKey.create()
        with transaction(ports.sessions) as session:
            parties.issue_certificate(
                session,
                ports,
                caller(person),
                organisation_id=ident("pty", organisation),
                person_id=ident("pty", person),
                csr_der=key.csr(CertificateSubject(common_name="ignored")),
                at=AT,
            )
    return made


def authorise(
    ports: Ports, person: str, organisation: str, *, powers: set[str], **more: object
) -> None:
    with transaction(ports.sessions) as session:
        parties.grant_authorisation(
            session,
            ports,
            OPERATOR,
            NewAuthorisation(
                id=ident("aut", f"{person}/{len(powers)}/{sorted(more)}"),
                organisation_id=ident("pty", organisation),
                person_id=ident("pty", person),
                matters=frozenset({"donation"}),
                powers=frozenset(powers),
                valid_from=AT,
                valid_to=AT + 60 * DAY,
                **more,  # type: ignore[arg-type]
            ),
            at=AT,
        )


def refused(kind: type[FuqiError], code: str, work: object) -> None:
    with pytest.raises(kind) as caught:
        work()  # type: ignore[operator]
    assert caught.value.error_code == code


def test_an_approval_then_any_one_of_two_then_the_other_side_forms_and_proves(desk: Desk) -> None:
    made = desk.publish(
        ("boss", 1, "approve"), ("anna", 2, "sign"), ("bert", 2, "sign"), ("cora", 3, "sign"),
        quorums={2: 1},
    )  # fmt: skip
    desk.consent(made, "anna", "bert", "cora")
    refused(ConflictError, "agreement.not_your_turn", lambda: desk.sign(made, "bert"))
    desk.approve(made, "boss")
    desk.sign(made, "bert")
    refused(ConflictError, "agreement.stage_done", lambda: desk.sign(made, "anna"))
    assert desk.row(made).state == "signing"
    desk.sign(made, "cora")
    row = desk.row(made)
    assert (row.state, row.formed_at) == ("formed", AT)
    with transaction(desk.ports.sessions) as session:
        facts = agreement_facts(session, caller("cora"), made)
    assert [(one.stage, one.need, one.missing) for one in facts.stages] == [
        (1, 1, 0),
        (2, 1, 0),
        (3, 1, 0),
    ]
    verdicts = desk.bundle(made)
    assert {code for code, verdict in verdicts.items() if verdict is not Verdict.PASSED} == set()
    assert "agreement.stages" in verdicts


def test_whoever_signs_gives_their_own_consent_beside_the_partys(desk: Desk) -> None:
    made = desk.publish(("anna", 1, "sign"), ("bert", 1, "sign"), quorums={1: 1})
    desk.consent(made, "anna")
    desk.read(made, "bert")
    desk.affirm(made, "bert", "sign")
    with transaction(desk.ports.sessions) as session:
        place = desk.place(made, "bert")
        refused(
            ConflictError,
            "agreement.consent_missing",
            lambda: signatures.prepare_signature(session, desk.ports, caller("bert"), place, at=AT),
        )


def test_an_approver_without_the_power_is_refused(desk: Desk) -> None:
    with transaction(desk.ports.sessions) as session:
        parties.revoke_authorisation(
            session, desk.ports, OPERATOR, ident("aut", "boss/3/[]"), reason="left", at=AT
        )
    authorise(desk.ports, "boss", "donor", powers={"consent", "sign"})
    made = desk.publish(("boss", 1, "approve"), ("anna", 2, "sign"), ("cora", 3, "sign"))
    refused(ForbiddenError, "authority.power", lambda: desk.approve(made, "boss"))


def test_a_place_is_handed_on_after_the_first_signature_and_the_bundle_still_proves(
    desk: Desk,
) -> None:
    made = desk.publish(("anna", 0, "sign"), ("cora", 0, "sign"))
    desk.consent(made, "anna", "cora")
    desk.sign(made, "anna")
    place = desk.place(made, "cora")
    with transaction(desk.ports.sessions) as session:
        refused(
            ForbiddenError,
            "authority.none",
            lambda: places.forward(
                session,
                desk.ports,
                caller("cora"),
                place,
                to_person=ident("pty", "bert"),
                reason="x",
                at=AT,
            ),
        )
    with transaction(desk.ports.sessions) as session:
        places.forward(
            session,
            desk.ports,
            caller("cora"),
            place,
            to_person=ident("pty", "dora"),
            reason="ill",
            at=AT,
        )
    with transaction(desk.ports.sessions) as session:
        refused(
            NotFoundError,
            "not_found",
            lambda: agreements.open_document(session, desk.ports, caller("cora"), place, at=AT),
        )
    desk.consent(made, "dora")
    desk.sign(made, "dora")
    assert desk.row(made).state == "formed"
    verdicts = desk.bundle(made)
    assert {code for code, verdict in verdicts.items() if verdict is not Verdict.PASSED} == set()


def test_one_of_a_stage_who_refuses_steps_aside(desk: Desk) -> None:
    made = desk.publish(
        ("anna", 1, "sign"), ("bert", 1, "sign"), ("cora", 2, "sign"), quorums={1: 1}
    )
    with transaction(desk.ports.sessions) as session:
        row = agreements.decline(
            session, desk.ports, caller("anna"), desk.place(made, "anna"), reason="no", at=AT
        )
        assert row.state == "published"
    refused(
        ConflictError,
        "agreement.already_refused",
        lambda: (desk.consent(made, "anna", "bert", "cora"), desk.sign(made, "anna")),
    )
    desk.sign(made, "bert")
    desk.sign(made, "cora")
    assert desk.row(made).state == "formed"


def test_the_parties_release_a_formed_agreement_by_another(desk: Desk) -> None:
    first = desk.form("anna", "cora")
    refused(
        ForbiddenError,
        "agreement.other_parties",
        lambda: desk.publish(("anna", 0, "sign"), relation="releases", related_id=first),
    )
    ending = desk.publish(
        ("bert", 0, "sign"), ("dora", 0, "sign"), relation="releases", related_id=first
    )
    assert desk.row(first).state == "formed"
    desk.consent(ending, "bert", "dora")
    desk.sign(ending, "bert")
    desk.sign(ending, "dora")
    row = desk.row(first)
    assert (row.state, row.released_at, row.formed_at) == ("released", AT, AT)
    refused(
        ConflictError,
        "agreement.already_released",
        lambda: desk.publish(
            ("anna", 0, "sign"), ("cora", 0, "sign"), relation="releases", related_id=first
        ),
    )
    verdicts = desk.bundle(first)
    assert {code for code, verdict in verdicts.items() if verdict is not Verdict.PASSED} == set()


def terms(*lines: str) -> bytes:
    """One page with these lines."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    for number, line in enumerate(lines):
        canvas.drawString(72, 780 - 20 * number, line)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@pytest.mark.parametrize("relation", ["amends", "renews"])
def test_an_amendment_and_a_renewal_are_agreements_of_their_own_linked_to_the_first(
    desk: Desk, relation: str
) -> None:
    first = desk.form(
        "anna", "cora", data=terms("An invented agreement", "Price: 100", "Term: May")
    )
    refused(
        ForbiddenError,
        "agreement.other_parties",
        lambda: desk.publish(("anna", 0, "sign"), relation=relation, related_id=first),
    )
    refused(
        NotFoundError,
        "not_found",
        lambda: desk.publish(
            ("anna", 0, "sign"), relation=relation, related_id=ident("agr", "nobody's")
        ),
    )
    second = desk.publish(
        ("anna", 0, "sign"),
        ("cora", 0, "sign"),
        relation=relation,
        related_id=first,
        data=terms("An invented agreement", "Price: 120", "Term: May"),
    )
    with transaction(desk.ports.sessions) as session:
        found = relations.difference(session, desk.ports, caller("cora"), second)
    changed = [(one.kind, one.text) for one in found.lines if one.kind not in ("same", "skip")]
    assert changed == [("removed", "Price: 100"), ("added", "Price: 120")]
    assert found.complete
    assert linked(desk, first) == 0, "nothing is amended before all have signed"
    desk.consent(second, "anna", "cora")
    desk.sign(second, "anna")
    desk.sign(second, "cora")
    assert [desk.row(one).state for one in (first, second)] == ["formed", "formed"]
    assert linked(desk, first) == 1
    verdicts = desk.bundle({"amends": first, "renews": second}[relation])
    assert {code for code, what in verdicts.items() if what is not Verdict.PASSED} == set()


def test_an_edit_after_the_first_signature_voids_it_and_says_what_changed(desk: Desk) -> None:
    rows = (("anna", 0, "sign"), ("cora", 0, "sign"))
    first = desk.publish(*rows, data=terms("An invented agreement", "Quantity: 7"))
    desk.consent(first, "anna", "cora")
    desk.sign(first, "anna")
    edited = terms("An invented agreement", "Quantity: 70")
    # Only its author edits it.
    refused(
        ForbiddenError,
        "agreement.not_initiator",
        lambda: desk.publish(*rows, by="cora", relation="revises", related_id=first, data=edited),
    )
    assert desk.row(first).state == "signing"
    second = desk.publish(*rows, relation="revises", related_id=first, data=edited)
    assert desk.row(first).state == "withdrawn"
    refused(ConflictError, "agreement.closed", lambda: desk.sign(first, "cora"))
    with transaction(desk.ports.sessions) as session:
        assert [one.signed_at for one in queries.signers_of(session, second)] == [None, None]
        found = relations.difference(session, desk.ports, caller("cora"), second)
    changed = [(one.kind, one.text) for one in found.lines if one.kind not in ("same", "skip")]
    assert changed == [("removed", "Quantity: 7"), ("added", "Quantity: 70")]
    # What was signed of the first does not carry over: both read and sign the second.
    refused(ConflictError, "agreement.not_read", lambda: desk.affirm(second, "anna", "sign"))
    desk.consent(second, "anna", "cora")
    desk.sign(second, "anna")
    assert desk.row(second).state == "signing"
    desk.sign(second, "cora")
    assert desk.row(second).state == "formed"


def linked(desk: Desk, agreement: str) -> int:
    """How many entries under the earlier agreement name a later one."""
    with transaction(desk.ports.sessions) as session:
        found = log_queries.entries_of(session, [agreement])
        return sum(one.type == "agreement.related" for one in found)


def test_what_is_not_formed_is_revised_not_released(desk: Desk) -> None:
    first = desk.publish(("anna", 0, "sign"), ("cora", 0, "sign"))
    refused(
        ConflictError,
        "agreement.not_formed",
        lambda: desk.publish(
            ("anna", 0, "sign"), ("cora", 0, "sign"), relation="releases", related_id=first
        ),
    )
    second = desk.publish(
        ("anna", 0, "sign"), ("cora", 0, "sign"), relation="revises", related_id=first
    )
    assert desk.row(first).state == "withdrawn"
    with transaction(desk.ports.sessions) as session:
        found = relations.difference(session, desk.ports, caller("cora"), second)
    assert (found.earlier, found.lines) == (first, ())
    refused(
        InputError,
        "agreement.relation",
        lambda: desk.publish(("anna", 0, "sign"), relation="replaces", related_id=first),
    )


def test_an_authority_with_a_limit_holds_up_to_it(desk: Desk) -> None:
    with transaction(desk.ports.sessions) as session:
        parties.revoke_authorisation(
            session, desk.ports, OPERATOR, ident("aut", "anna/3/[]"), reason="limited", at=AT
        )
    authorise(desk.ports, "anna", "donor", powers={"consent", "sign"}, amount_max_minor=1_000_00)
    for amount, code in ((None, "authority.amount_unknown"), (1_000_01, "authority.amount")):
        made = desk.publish(("anna", 0, "sign"), amount_minor=amount)
        refused(ForbiddenError, code, lambda made=made: desk.consent(made, "anna"))
    made = desk.publish(("anna", 0, "sign"), amount_minor=1_000_00)
    desk.consent(made, "anna")
    desk.sign(made, "anna")
    assert desk.row(made).state == "formed"


def test_a_half_signed_file_is_not_handed_out_unless_the_sender_chose_so(desk: Desk) -> None:
    for chosen in (False, True):
        made = desk.publish(("anna", 0, "sign"), ("cora", 0, "sign"), hand_out_partial=chosen)
        desk.consent(made, "anna", "cora")
        desk.sign(made, "anna")
        row = desk.row(made)
        agreements.require_handed_out(row, 0)
        if chosen:
            agreements.require_handed_out(row, 1)
            assert agreements.shown_sha256(row) == row.current_sha256
        else:
            refused(
                ForbiddenError,
                "agreement.half_signed",
                lambda row=row: agreements.require_handed_out(row, 1),
            )
            assert agreements.shown_sha256(row) == row.document_sha256
        desk.sign(made, "cora")
        agreements.require_handed_out(desk.row(made), 2)


def test_a_demanded_reading_time_is_measured_by_the_server(desk: Desk) -> None:
    made = desk.publish(("anna", 0, "sign"), read_seconds_min=30)
    with transaction(desk.ports.sessions) as session:
        agreements.open_document(
            session, desk.ports, caller("anna"), desk.place(made, "anna"), at=AT
        )
    refused(
        ConflictError,
        "agreement.read_too_fast",
        lambda: desk.read(made, "anna", at=AT + timedelta(seconds=29)),
    )
    desk.read(made, "anna", at=AT + timedelta(seconds=30))


def test_reminders_name_whose_turn_it_is_and_do_not_come_too_often(desk: Desk) -> None:
    made = desk.publish(("anna", 0, "sign"), ("cora", 0, "sign"))
    with transaction(desk.ports.sessions) as session:
        places.remind(session, desk.ports, caller("cora"), made, at=AT)
    with transaction(desk.ports.sessions) as session:
        refused(
            ConflictError,
            "agreement.reminded_lately",
            lambda: places.remind(
                session, desk.ports, caller("cora"), made, at=AT + timedelta(hours=1)
            ),
        )
