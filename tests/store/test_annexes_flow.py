"""Clauses pointed out and confirmed, files attached and uploaded: from publication to an arbitrator's verdict.

Identities are invented; keys are real device keys; the chain is the embedded one.
"""

from __future__ import annotations

import copy
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
    annexes,
    batches,
    erasure,
    evidence,
    exporting,
    parties,
    places,
    signatures,
)
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.annexes import ClauseSpec, DemandSpec
from api.flows.parties import NewAuthorisation, NewParty
from api.ports import Ports
from api.settings import Settings
from api.views.agreements import agreement_facts
from api.worker import settle
from arbitration.bundle import read_bundle
from arbitration.checks import document_attachments, signer_clauses
from arbitration.checks.all import verify_bundle
from arbitration.checks.context import open_context
from arbitration.contents import Purpose
from arbitration.model import Bundle
from ledger.core.canonical import canonical_parse, sha256
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
from ledger.store import Base, transaction
from ledger.tables.agreements import AgreementRow
from signing.batch_intent import batch_message
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id, invented_uscc
from signing.intent import intent_message
from signing.keys.device import DeviceKey

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
PEOPLE = {"anna": "donor", "cora": "hospital", "dora": "hospital"}
LIMIT = "The donor is liable for intent and gross negligence only."
COURT = "Disputes are decided by the invented arbitration commission."
PNG = b"\x89PNG\r\n\x1a\n" + b"an invented licence"
PRICES = b"\xff\xd8\xff" + b"an invented list of prices"


def ident(prefix: str, seed: str) -> str:
    return derived_id(prefix, at=AT, seed=f"annexes/{seed}")


def caller(person: str) -> Caller:
    return Caller(
        account_id=ident("acc", person),
        person_id=ident("pty", person),
        organisation_id=ident("pty", PEOPLE[person]),
        roles=frozenset({Role.HANDLER}),
    )


def contract() -> bytes:
    """Two pages; the second clause runs over two lines."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    canvas.drawString(72, 760, "An invented agreement")
    canvas.drawString(72, 700, LIMIT)
    canvas.showPage()
    canvas.drawString(72, 760, "Disputes are decided by the")
    canvas.drawString(72, 744, "invented arbitration commission.")
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

    def tick(self, seconds: int = 5) -> datetime:
        self.at += seconds * SECOND
        return self.at

    def publish(self, *, files: tuple[tuple[str, bytes], ...] = (), **options: object) -> str:
        """Anna of the donor publishes; she and Cora of the hospital sign."""
        self.count += 1
        with transaction(self.ports.sessions) as session:
            names = []
            for number, (name, data) in enumerate(files):
                row = annexes.keep_file(
                    session,
                    self.ports,
                    caller("anna"),
                    ident("att", f"{self.count}/{number}"),
                    name=name,
                    data=data,
                    at=self.at,
                )
                names.append(row.id)
            new = NewAgreement(
                id=ident("agr", str(self.count)),
                title="条款示例（虚构）",
                matter="donation",
                no_amount=options.get("amount_minor") is None,
                signers=tuple(
                    SignerSpec(ident("pty", PEOPLE[who]), ident("pty", who), "party", 1)
                    for who in ("anna", "cora")
                ),
                expires_at=AT + 30 * DAY,
                attachments=tuple(names),
                **options,  # type: ignore[arg-type]
            )
            agreements.create_from_upload(
                session, self.ports, caller("anna"), new, data=contract(), at=self.at
            )
        return new.id

    def pointed(self, **options: object) -> str:
        """With two clauses that are pointed out."""
        clauses = (
            ClauseSpec("limits_liability", LIMIT, "We pay only if we meant it."),
            ClauseSpec("disputes", COURT),
        )
        return self.publish(clauses=clauses, **options)

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
                    session,
                    self.ports,
                    caller(person),
                    place,
                    pages=2,
                    seconds=60,
                    at=self.at,
                )
            self.affirm(agreement, person, "consent")

    def confirm(self, agreement: str, person: str, *numbers: int) -> None:
        place = self.place(agreement, person)
        for number in numbers:
            with transaction(self.ports.sessions) as session:
                facts = agreement_facts(session, caller(person), agreement)
                annexes.confirm_clause(
                    session,
                    self.ports,
                    caller(person),
                    place,
                    number=number,
                    clause_sha256=facts.clauses[number - 1].sha256,
                    seconds=4,
                    at=self.tick(),
                )

    def upload(
        self, agreement: str, person: str, name: str, data: bytes, *, demand: int | None = None
    ) -> str:
        self.count += 1
        place = self.place(agreement, person)
        with transaction(self.ports.sessions) as session:
            return annexes.add_upload(
                session,
                self.ports,
                caller(person),
                place,
                attachment_id=ident("att", f"upload/{self.count}"),
                demand=demand,
                name=name,
                data=data,
                at=self.tick(),
            ).id

    def statement(self, agreement: str, person: str, act: str) -> tuple[str, dict[str, object]]:
        place = self.place(agreement, person)
        with transaction(self.ports.sessions) as session:
            made = signatures.make_statement(session, caller(person), place, act=act, at=self.at)
            value = canonical_parse(made.statement.encode())
            assert isinstance(value, dict)
            return made.id, value

    def affirm(self, agreement: str, person: str, act: str) -> dict[str, object]:
        name, value = self.statement(agreement, person, act)
        self.prove(person, name, value)
        return value

    def prove(self, person: str, name: str, value: dict[str, object]) -> None:
        proof = self.keys[person].sign(intent_message(value))  # type: ignore[arg-type]
        with transaction(self.ports.sessions) as session:
            signatures.express_intent(
                session, self.ports, caller(person), name, proof=proof, at=self.at
            )

    def sign(self, agreement: str, person: str, *, affirm: bool = True) -> None:
        if affirm:
            self.affirm(agreement, person, "sign")
        place = self.place(agreement, person)
        with transaction(self.ports.sessions) as session:
            made = signatures.prepare_signature(
                session, self.ports, caller(person), place, at=self.tick()
            )
            signatures.complete_signature(
                session,
                self.ports,
                caller(person),
                made.id,
                signature=self.keys[person].sign(bytes.fromhex(made.signed_attrs)),
                at=self.at,
            )

    def bundle(self, agreement: str) -> tuple[bytes, Report]:
        """A bundle, judged as a stranger would."""
        settle(self.ports, open_chain(self.ports.settings), clock=lambda: self.at, seconds_max=60)
        with transaction(self.ports.sessions) as session:
            _row, data = exporting.export_bundle(
                self.ports,
                OPERATOR,
                agreement_id=agreement,
                bundle_id=ident("bun", agreement),
                purpose=Purpose.ARBITRATION,
                recipient="示例仲裁委员会（虚构）",
                at=self.at,
            )
            trust = evidence.installation_trust(session, self.ports, at=self.at)
        return data, verify_bundle(data, trust=trust, at=datetime.now(UTC) + DAY)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(open_ports(Settings(home=tmp_path / "home"), at=AT))
    ports = made.ports
    for name in ("donor", "hospital", *PEOPLE):
        person = name in PEOPLE
        parties.verify_and_register(
            ports,
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
    """An authority and a certificate."""
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


def test_clauses_are_confirmed_one_by_one_and_an_arbitrator_sees_it_offline(desk: Desk) -> None:
    made = desk.pointed()
    desk.read(made, "anna", "cora")
    fault = refused(
        ConflictError, "clause.unconfirmed", lambda: desk.statement(made, "cora", "sign")
    )
    assert fault.context["clauses"] == [1, 2]
    desk.confirm(made, "cora", 1)
    refused(ConflictError, "clause.unconfirmed", lambda: desk.statement(made, "cora", "sign"))
    desk.confirm(made, "cora", 2)
    value = desk.affirm(made, "cora", "sign")
    assert value["clauses"] == 2
    assert "2条条款" in str(value["text_zh"])
    assert str(value["annex_sha256"]) in str(value["text_en"])
    desk.sign(made, "cora", affirm=False)
    own = desk.affirm(made, "anna", "sign")
    assert own["annex_sha256"] == "", "its author needs no notice of its own clauses"
    desk.sign(made, "anna", affirm=False)
    _data, report = desk.bundle(made)
    found = {one.code: one for one in report.checks}
    assert found["signer.clauses"].verdict is Verdict.PASSED
    assert found["signer.clauses"].details["clauses"] == 2
    assert found["signer.clauses"].details["signers"] == 1
    assert report.verdict is not Verdict.FAILED


def test_confirmations_two_seconds_apart_of_the_text_that_was_shown_by_whoever_is_asked(
    desk: Desk,
) -> None:
    made = desk.pointed()
    own = {who: desk.place(made, who) for who in ("anna", "cora")}

    def confirm(number: int, digest: str, *, at: datetime, who: str = "cora") -> object:
        with transaction(desk.ports.sessions) as session:
            return annexes.confirm_clause(
                session,
                desk.ports,
                caller(who),
                own[who],
                number=number,
                clause_sha256=digest,
                seconds=3,
                at=at,
            )

    with transaction(desk.ports.sessions) as session:
        first, second = (
            one.sha256 for one in agreement_facts(session, caller("cora"), made).clauses
        )
    refused(ConflictError, "agreement.not_opened", lambda: confirm(1, first, at=desk.tick()))
    desk.read(made, "cora")
    opened = desk.at
    refused(ConflictError, "clause.too_fast", lambda: confirm(1, first, at=opened + SECOND))
    refused(ConflictError, "clause.other", lambda: confirm(1, second, at=desk.tick()))
    refused(NotFoundError, "not_found", lambda: confirm(3, second, at=desk.tick()))
    refused(ConflictError, "clause.not_asked", lambda: confirm(1, first, at=desk.at, who="anna"))
    done = confirm(1, first, at=opened + 2 * SECOND)
    assert confirm(1, first, at=opened + 9 * SECOND) is not done
    with transaction(desk.ports.sessions) as session:
        facts = agreement_facts(session, caller("cora"), made)
    [mine] = [one for one in facts.signers if one.mine]
    assert [(one.number, one.confirmed_at) for one in mine.confirmed] == [(1, opened + 2 * SECOND)]
    refused(ConflictError, "clause.too_fast", lambda: confirm(2, second, at=opened + 3 * SECOND))


def test_a_clause_stands_in_the_document_and_its_lines_are_known(desk: Desk) -> None:
    made = desk.pointed()
    with transaction(desk.ports.sessions) as session:
        facts = agreement_facts(session, caller("cora"), made)
    limit, court = facts.clauses
    assert (limit.page, court.page) == (1, 2)
    assert [len(one.boxes) for one in (limit, court)] == [1, 2]
    [(page, left, top, right, bottom)] = limit.boxes
    assert page == 1
    assert 110 < left < 130 < right
    assert 155 < top < 170 <= bottom < 180
    for clauses, code in [
        ((ClauseSpec("other", "This stands nowhere."),), "clause.not_found"),
        ((ClauseSpec("strange", LIMIT),), "clause.kind"),
        ((ClauseSpec("other", LIMIT), ClauseSpec("other", LIMIT)), "clause.twice"),
        ((ClauseSpec("other", "abc"),), "clause.text"),
    ]:
        refused(InputError, code, lambda clauses=clauses: desk.publish(clauses=clauses))  # type: ignore[misc]
    many = tuple(ClauseSpec("other", LIMIT) for _ in range(31))
    refused(LimitError, "clause.too_many", lambda: desk.publish(clauses=many))


def test_whoever_takes_a_place_over_confirms_anew(desk: Desk) -> None:
    made = desk.pointed()
    desk.read(made, "cora")
    desk.confirm(made, "cora", 1, 2)
    place = desk.place(made, "cora")
    with transaction(desk.ports.sessions) as session:
        places.forward(
            session,
            desk.ports,
            caller("cora"),
            place,
            to_person=ident("pty", "dora"),
            reason="away (invented)",
            at=desk.tick(),
        )
    desk.read(made, "anna", "dora")
    refused(ConflictError, "clause.unconfirmed", lambda: desk.statement(made, "dora", "sign"))
    desk.confirm(made, "dora", 1, 2)
    desk.sign(made, "dora")
    desk.sign(made, "anna")
    _data, report = desk.bundle(made)
    assert verdicts(report)["signer.clauses"] is Verdict.PASSED


def test_files_are_asked_for_sent_bound_and_handed_over(desk: Desk) -> None:
    made = desk.publish(
        files=(("价目表.jpg", PRICES),),
        demands=(DemandSpec(2, "营业执照 licence"), DemandSpec(2, "more", required=False)),
    )
    desk.read(made, "anna", "cora")
    fault = refused(ConflictError, "upload.missing", lambda: desk.statement(made, "cora", "sign"))
    assert fault.context["demands"] == [1]
    wrong = desk.upload(made, "cora", "wrong.png", PNG + b"!", demand=1)
    sent = desk.upload(made, "cora", "licence.png", PNG, demand=1)
    value = desk.affirm(made, "cora", "sign")
    assert (value["clauses"], value["attachments"]) == (0, 2)
    refused(
        ConflictError,
        "upload.after_intent",
        lambda: desk.upload(made, "cora", "late.png", PNG, demand=2),
    )
    desk.sign(made, "cora", affirm=False)
    # The author sees the licence it asked for at once, and its statement names it.
    assert desk.affirm(made, "anna", "sign")["attachments"] == 2
    desk.sign(made, "anna", affirm=False)
    with transaction(desk.ports.sessions) as session:
        facts = agreement_facts(session, caller("cora"), made)
        own = annexes.attachment_for(session, caller("cora"), made, sent)
    assert [(one.label, one.attachment_id) for one in facts.demands] == [
        ("营业执照 licence", sent),
        ("more", None),
    ]
    assert [one.name for one in facts.attachments] == ["价目表.jpg", "licence.png"]
    assert desk.ports.blobs.get(own.sha256) == PNG
    data, report = desk.bundle(made)
    found = {one.code: one for one in report.checks}
    assert found["document.attachments"].verdict is Verdict.PASSED
    assert found["document.attachments"].details["attachments"] == 2
    assert found["document.digests"].verdict is Verdict.PASSED
    assert PNG in data
    assert PRICES in data
    assert PNG + b"!" not in data, f"{wrong} was replaced"


def test_a_signers_file_is_for_its_own_side_and_the_author_until_all_have_signed(
    desk: Desk,
) -> None:
    for partial, allowed in ((False, False), (True, True)):
        made = desk.publish(hand_out_partial=partial)
        desk.read(made, "anna", "cora")
        sent = desk.upload(made, "anna", "own.png", PNG)
        with transaction(desk.ports.sessions) as session:
            # Anna's side is the author: what she adds as a signer is hers until all have signed.
            facts = agreement_facts(session, caller("cora"), made)
            assert facts.attachments[0].readable is allowed
            if allowed:
                assert annexes.attachment_for(session, caller("cora"), made, sent).id == sent
            else:
                refused(
                    ForbiddenError,
                    "agreement.half_signed",
                    lambda s=session, m=made, i=sent: annexes.attachment_for(  # type: ignore[misc]
                        s, caller("cora"), m, i
                    ),
                )


def test_limits_and_types_of_files(desk: Desk) -> None:
    made = desk.publish()
    desk.read(made, "cora")
    for name, data, kind, code in [
        ("a.exe", b"MZ invented", InputError, "attachment.type"),
        ("a.pdf", b"%PDF-1.7 broken", InputError, "pdf.broken"),
        ("", PNG, InputError, "attachment.name"),
        ("b.png", PNG + bytes(annexes.FILE_BYTES_MAX), LimitError, "attachment.size"),
    ]:
        refused(kind, code, lambda n=name, d=data: desk.upload(made, "cora", n, d))  # type: ignore[misc]
    refused(
        NotFoundError,
        "upload.demand_unknown",
        lambda: desk.upload(made, "cora", "a.png", PNG, demand=1),
    )
    taken = desk.upload(made, "cora", "a/b\u202e.png", PNG)
    place = desk.place(made, "cora")
    with transaction(desk.ports.sessions) as session:
        assert annexes.attachment_for(session, caller("cora"), made, taken).name == "a b.png"
        annexes.take_back(session, desk.ports, caller("cora"), place, taken, at=desk.tick())
    assert desk.affirm(made, "cora", "sign")["annex_sha256"] == ""
    refused(InputError, "upload.demand", lambda: desk.publish(demands=(DemandSpec(3, "x"),)))


def test_a_file_that_came_in_between_needs_a_new_statement(desk: Desk) -> None:
    made = desk.publish()
    desk.read(made, "anna", "cora")
    name, value = desk.statement(made, "anna", "sign")
    desk.upload(made, "cora", "new.png", PNG)
    refused(
        FuqiError,
        "intent.other_annex",
        lambda: desk.prove("anna", name, value),
    )
    assert desk.affirm(made, "anna", "sign")["attachments"] == 1


def changed(
    bundle: Bundle,
    kind: str,
    change: Callable[[dict[str, Any]], None] | None,
    *,
    drop: bool = False,
) -> Bundle:
    """The bundle with the bodies of one kind of entry changed, closed (None) or left out."""
    events = []
    for event in bundle.events:
        if event.type != kind:
            events.append(event)
        elif change is None:
            events += [] if drop else [replace(event, body=None)]
        else:
            body = copy.deepcopy(dict(event.body or {}))
            change(body)
            events.append(replace(event, body=body))
    return replace(bundle, events=tuple(events))


def test_a_bundle_without_a_confirmation_or_with_another_file_fails(desk: Desk) -> None:
    made = desk.pointed(files=(("prices.jpg", PRICES),), demands=(DemandSpec(2, "licence"),))
    desk.read(made, "anna", "cora")
    desk.confirm(made, "cora", 1, 2)
    desk.upload(made, "cora", "licence.png", PNG, demand=1)
    desk.sign(made, "cora")
    desk.sign(made, "anna")
    data, report = desk.bundle(made)
    assert verdicts(report)["document.attachments"] is Verdict.PASSED
    with transaction(desk.ports.sessions) as session:
        trust = evidence.installation_trust(session, desk.ports, at=desk.at)
    other = bytearray(data)
    other[data.index(PRICES) + 5] ^= 1
    assert verify_bundle(bytes(other), trust=trust, at=desk.at + DAY).verdict is Verdict.FAILED
    # Rewritten by whoever could seal it anew: what was signed and what the log says no longer agree.
    context = open_context(read_bundle(data), trust=trust, at=desk.at + DAY)

    def judge(bundle: Bundle) -> tuple[Verdict, Verdict]:
        one = replace(context, bundle=bundle)
        return signer_clauses.check(one).verdict, document_attachments.check(one).verdict

    whole = context.bundle
    passed, failed, open_ = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE
    assert judge(whole) == (passed, passed)
    assert judge(changed(whole, "clause.confirmed", None, drop=True)) == (failed, passed)
    assert judge(changed(whole, "clause.confirmed", None)) == (open_, passed)
    late = changed(whole, "clause.confirmed", None, drop=True)
    late = replace(
        late,
        events=(
            *late.events,
            *(replace(one, index=10_000) for one in whole.of_type("clause.confirmed")),
        ),
    )
    assert judge(late) == (failed, passed)
    softer = changed(
        whole, "agreement.annexed", lambda body: body["clauses"][0].update(text="Quite harmless.")
    )
    assert judge(softer) == (failed, passed)
    assert judge(changed(whole, "agreement.annexed", None)) == (open_, open_)
    assert judge(changed(whole, "attachment.added", None, drop=True)) == (passed, failed)
    assert judge(changed(whole, "attachment.added", None)) == (passed, open_)
    swapped = changed(
        whole, "attachment.added", lambda body: body["attachment"].update(sha256="00" * 32)
    )
    assert judge(swapped) == (passed, failed)
    unsigned = changed(whole, "intent.expressed", lambda body: body.pop("annex", None))
    assert judge(unsigned) == (failed, failed)


def test_a_batch_waits_for_clauses_and_names_the_annex_of_each_item(desk: Desk) -> None:
    plain, pointed = desk.publish(), desk.pointed()
    desk.read(plain, "anna", "cora")
    desk.read(pointed, "anna", "cora")
    signers = [desk.place(plain, "cora"), desk.place(pointed, "cora")]

    def open_batch(name: str) -> object:
        with transaction(desk.ports.sessions) as session:
            return batches.open_batch(
                session,
                caller("cora"),
                batches.NewBatch(id=ident("bat", name), signers=tuple(signers)),
                at=desk.at,
            )

    fault = refused(ConflictError, "batch.not_ready", lambda: open_batch("early"))
    assert fault.context["places"] == [f"{signers[1]}: clause.unconfirmed"]
    desk.confirm(pointed, "cora", 1, 2)
    open_batch("ready")
    with transaction(desk.ports.sessions) as session:
        batch = batches.make_batch_statement(
            session, caller("cora"), ident("bat", "ready"), at=desk.at
        )
        assert batch.statement is not None
        value = json.loads(batch.statement)
        items = batches.opened_items(session, batch)
    assert ["annex_sha256" in one for one in items] == [False, True]
    proof = desk.keys["cora"].sign(batch_message(value))
    with transaction(desk.ports.sessions) as session:
        batches.express_batch(
            session, desk.ports, caller("cora"), ident("bat", "ready"), proof=proof, at=desk.at
        )
    desk.sign(pointed, "cora", affirm=False)
    desk.sign(pointed, "anna")
    _data, report = desk.bundle(pointed)
    assert verdicts(report)["signer.clauses"] is Verdict.PASSED
    assert verdicts(report)["signer.intent"] is Verdict.PASSED


def test_an_erased_agreement_leaves_no_clause_no_file_and_no_word_behind(desk: Desk) -> None:
    kept = desk.publish(files=(("kept.jpg", PRICES),))
    made = desk.pointed(
        files=(("王某某家谱.jpg", PRICES),), demands=(DemandSpec(2, "营业执照 licence"),)
    )
    desk.read(made, "anna", "cora")
    desk.confirm(made, "cora", 1, 2)
    desk.upload(made, "cora", "wrong.png", PNG + b"!", demand=1)
    desk.upload(made, "cora", "licence of somebody.png", PNG, demand=1)
    place = desk.place(made, "cora")
    name = ident("bat", "erased")
    with transaction(desk.ports.sessions) as session:
        new = batches.NewBatch(id=name, signers=(place,))
        batches.open_batch(session, caller("cora"), new, at=desk.at)
        statement = batches.make_batch_statement(session, caller("cora"), name, at=desk.at)
        value = json.loads(statement.statement or "")
    proof = desk.keys["cora"].sign(batch_message(value))
    with transaction(desk.ports.sessions) as session:
        batches.express_batch(session, desk.ports, caller("cora"), name, proof=proof, at=desk.at)
    desk.sign(made, "cora", affirm=False)
    desk.sign(made, "anna")
    data, _report = desk.bundle(made)
    words = [LIMIT, COURT, "We pay only", "家谱", "licence", "条款示例", "wrong.png"]
    before = dump(desk)
    assert [one for one in words if one not in before] == []

    late = desk.at + 20 * 366 * DAY
    with transaction(desk.ports.sessions) as session:
        erased = erasure.erase(
            session, desk.ports, OPERATOR, subject=made, basis="asked (invented)", at=late
        )
    erasure.remove_files(desk.ports, erased)
    after = dump(desk).replace("条款示例", "", 1)  # the title of the agreement that is kept
    assert [one for one in words if one in after] == []
    digests = {one: sha256(one).hex() for one in (PNG, PNG + b"!", PRICES, data)}
    assert [desk.ports.blobs.has(one) for one in digests.values()] == [False, False, True, False]
    assert digests[PRICES] not in erased.files, "another agreement has this file too"
    with transaction(desk.ports.sessions) as session:
        # Its pages still open and say that it is erased; nobody is told which digest of the batch was its own.
        facts = agreement_facts(session, caller("cora"), made)
        batch = batches.batch_for(session, caller("cora"), name)
        assert (facts.title, facts.clauses) == (erasure.ERASED, [])
        assert batches.opened_items(session, batch) == []
    # What both held goes with the second of them.
    with transaction(desk.ports.sessions) as session:
        row = session.get_one(AgreementRow, kept)
        row.state, row.ended_at = "withdrawn", desk.at
        erased = erasure.erase(
            session, desk.ports, OPERATOR, subject=kept, basis="asked (invented)", at=late
        )
    assert digests[PRICES] in erased.files


def dump(desk: Desk) -> str:
    """Every value of every column of every table."""
    found = []
    with desk.ports.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.execute(table.select()):
                found += [str(value) for value in row]
    return "\n".join(found)
