"""Two steps of signing at the same moment: each order ends in one outcome that the log tells the same way.

On PostgreSQL alone: each step is one transaction, and SQLite runs those one after another.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import select

from api.callers import OPERATOR, Caller, Role
from api.compose import open_ports
from api.flows import (
    agreements,
    agreements_acts,
    agreements_making,
    bundles,
    erasure,
    form_filling,
    lost_keys,
    parties,
    seals,
    signatures,
)
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.form_planning import FillSpec
from api.flows.marks import NO_MARKS, Marks
from api.flows.parties import NewAuthorisation, NewParty
from api.ports import Ports
from api.settings import Settings
from api.testing_races import DONE, Place, overtaken, told
from arbitration.contents import Purpose
from ledger.core.canonical import canonical_parse, sha256
from ledger.core.ids import derived_id
from ledger.queries import agreements as queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.log import EntryRow
from ledger.tables.notices import NoticeRow
from ledger.tables.parties import AuthorisationRow, CertificateRow
from signing import agreement as rules
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id, invented_uscc
from signing.intent import intent_message
from signing.keys.device import DeviceKey

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = pytest.mark.postgres
PEOPLE = {"anna": "donor", "adam": "donor", "ben": "donor", "cora": "hospital"}
DELIVERY = FillSpec("delivery", 1, "交货地点 place of delivery", required=False)
EMBEDDING = Place(signatures, "embed")


def ident(prefix: str, seed: str) -> str:
    return derived_id(prefix, at=AT, seed=f"races/{seed}")


def caller(person: str) -> Caller:
    return Caller(
        account_id=ident("acc", person),
        person_id=ident("pty", person),
        organisation_id=ident("pty", PEOPLE[person]),
        roles=frozenset({Role.HANDLER, Role.ADMIN}),
    )


def contract() -> bytes:
    """One page with one field to be filled."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    canvas.drawString(72, 760, "An invented order")
    canvas.acroForm.textfield(name="delivery", x=72, y=700, width=300, height=20)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@dataclass
class Desk:
    """An installation, the devices of four people, and the clock of the story."""

    ports: Ports
    keys: dict[str, DeviceKey] = field(default_factory=dict)
    at: datetime = AT
    count: int = 0
    seals: list[str] = field(default_factory=list)

    def __call__(self, action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """One flow in a transaction of its own; these two take no ports."""
        bare = action in (signatures.make_statement, form_filling.save)
        with transaction(self.ports.sessions) as session:
            ports = () if bare else (self.ports,)
            return action(session, *ports, *arguments, **{"at": self.at} | named)

    def race(
        self, first: Callable[[], object], second: Callable[[], object], place: Place
    ) -> list[str]:
        return overtaken(self.ports.engine, first, second, place=place)

    def authorise(self, person: str) -> None:
        """To consent, sign and approve, with a contract seal too."""
        self.count += 1
        new = NewAuthorisation(
            id=ident("aut", str(self.count)),
            organisation_id=ident("pty", PEOPLE[person]),
            person_id=ident("pty", person),
            matters=frozenset({"donation"}),
            powers=frozenset({"consent", "sign", "approve"}),
            valid_from=self.at.replace(microsecond=0),
            valid_to=AT + 60 * DAY,
            seal_scope="contract",
        )
        self(parties.grant_authorisation, OPERATOR, new)

    def certify(self, person: str) -> None:
        """A new key and its certificate."""
        key = self.keys[person] = DeviceKey.create()
        self(
            parties.issue_certificate,
            caller(person),
            organisation_id=ident("pty", PEOPLE[person]),
            person_id=ident("pty", person),
            csr_der=key.csr(CertificateSubject(common_name="ignored")),
        )

    def publish(self, *rows: tuple[str, int, str], fillable: tuple[FillSpec, ...] = ()) -> str:
        """An agreement of (person, stage, act), every page of it read and consented to."""
        self.count += 1
        new = NewAgreement(
            id=ident("agr", str(self.count)),
            title="示例（虚构）",
            matter="donation",
            no_amount=True,
            signers=tuple(
                SignerSpec(ident("pty", PEOPLE[who]), ident("pty", who), "party", stage, act)
                for who, stage, act in rows
            ),
            expires_at=AT + 30 * DAY,
            fillable=fillable,
        )
        self(agreements.create_from_upload, caller("anna"), new, data=contract())
        for who, _, act in rows:
            place = self.place(new.id, who)
            self(agreements.read_document, caller(who), place, pages=1, seconds=60)
            if act == "sign":
                self.stating(new.id, who, "consent")()
        return new.id

    def place(self, agreement: str, person: str) -> str:
        with transaction(self.ports.readers) as session:
            places = queries.signers_of(session, agreement)
            return next(one.id for one in places if one.person_id == ident("pty", person))

    def signer(self, agreement: str, person: str) -> SignerRow:
        with transaction(self.ports.readers) as session:
            return session.get_one(SignerRow, self.place(agreement, person))

    def stating(
        self, agreement: str, person: str, act: str, *, seal: str | None = None
    ) -> Callable[[], object]:
        """Ask for the statement now; the call sends its proof."""
        made = self(
            signatures.make_statement,
            caller(person),
            self.place(agreement, person),
            act=act,
            seal_id=seal,
        )
        value = canonical_parse(made.statement.encode())
        assert isinstance(value, dict)
        proof = self.keys[person].sign(intent_message(value))
        return lambda: self(signatures.express_intent, caller(person), made.id, proof=proof)

    def preparing(
        self, agreement: str, person: str, marks: Marks = NO_MARKS
    ) -> Callable[[], object]:
        place = self.place(agreement, person)
        return lambda: self(signatures.prepare_signature, caller(person), place, marks=marks)

    def completing(
        self, agreement: str, person: str, marks: Marks = NO_MARKS
    ) -> Callable[[], object]:
        """The will to sign and the preparation now; the call hands in the signature."""
        self.stating(agreement, person, "sign")()
        made: Any = self.preparing(agreement, person, marks)()
        signature = self.keys[person].sign(bytes.fromhex(made.signed_attrs))
        return lambda: self(
            signatures.complete_signature, caller(person), made.id, signature=signature
        )

    def losing(self, person: str) -> Callable[[], object]:
        with transaction(self.ports.readers) as session:
            query = select(CertificateRow.id).where(
                CertificateRow.person_id == ident("pty", person),
                CertificateRow.revoked_at.is_(None),
            )
            (held,) = session.scalars(query)
        return lambda: lost_keys.report_lost_key(
            self.ports, caller(person), held, reason="key_compromise", at=self.at
        )

    def told(self, *subjects: str, kinds: tuple[str, ...]) -> list[str]:
        """Entries of these kinds about these subjects, in the order of the log."""
        with transaction(self.ports.readers) as session:
            query = select(EntryRow.type).where(
                EntryRow.subject.in_(subjects), EntryRow.type.in_(kinds)
            )
            return list(session.scalars(query.order_by(EntryRow.order)))

    def notices(self, agreement: str) -> set[str]:
        with transaction(self.ports.readers) as session:
            return set(
                session.scalars(select(NoticeRow.kind).where(NoticeRow.subject == agreement))
            )


@pytest.fixture(scope="module")
def installed(postgres_databases: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("races")
    name = postgres_databases.create(template=postgres_databases.migrated())
    url = postgres_databases.url_of(name)
    desk = Desk(open_ports(Settings(home=home, database_url=SecretStr(url), demo=True), at=AT))
    for one in (*dict.fromkeys(PEOPLE.values()), *PEOPLE):
        person = one in PEOPLE
        number = (
            invented_resident_id(one, birth=date(1988, 3, 14)) if person else invented_uscc(one)
        )
        new = NewParty(
            id=ident("pty", one),
            kind="person" if person else "organisation",
            category="person" if person else "hospital",
            name=f"示例（虚构）{one}",
            number=number,
            place="示例市（虚构）",
            receiving_system="fuqi",
            consent_id="cns_example",
            invented=True,
        )
        parties.verify_and_register(desk.ports, new, at=AT)
    for person in PEOPLE:
        desk.authorise(person)
        desk.certify(person)
    yield desk
    desk.ports.engine.dispose()
    postgres_databases.drop(name)


@pytest.fixture
def desk(installed: Desk) -> Desk:
    installed.at += timedelta(minutes=1)
    return installed


def enabled_seals(desk: Desk, count: int) -> list[str]:
    """Made and managed by anna, audited and approved by ben, used by adam; kept for the next test."""
    while len(desk.seals) < count:
        desk.count += 1
        new = seals.NewSeal(
            id=ident("sea", str(desk.count)),
            kind="contract",
            name="示例（虚构）donor",
            auditor_id=ident("pty", "ben"),
            valid_days=30,
        )
        desk(seals.make_seal, caller("anna"), new)
        desk(seals.change_seal, caller("ben"), new.id, act="approve")
        desk(seals.change_seal, caller("anna"), new.id, act="enable")
        user = {"person_id": ident("pty", "adam"), "duty": "use"}
        desk(seals.grant_duty, caller("anna"), new.id, **user)
        desk.seals.append(new.id)
    return desk.seals[:count]


# ================================================================== approvals
APPROVED = rules.EVENT_APPROVED


def test_a_place_that_is_approved_twice_at_once_is_approved_once(desk: Desk) -> None:
    made = desk.publish(("anna", 1, "approve"), ("adam", 2, "sign"), ("cora", 3, "sign"))
    one, other = (desk.stating(made, "anna", "approve") for _ in range(2))
    place = Place(signatures, "record_approval")
    assert desk.race(one, other, place) == [DONE, "agreement.already_signed"]
    assert desk.told(made, kinds=(APPROVED,)) == [APPROVED]


def test_of_two_colleagues_who_approve_different_seals_at_once_one_counts(desk: Desk) -> None:
    seal, another = enabled_seals(desk, 2)
    made = desk.publish(
        ("anna", 1, "approve"), ("ben", 1, "approve"), ("adam", 2, "sign"), ("cora", 3, "sign")
    )
    said = desk.race(
        desk.stating(made, "anna", "approve", seal=seal),
        desk.stating(made, "ben", "approve", seal=another),
        Place(signatures, "record_approval"),
    )
    assert said == [DONE, "approval.other_seal"]
    assert desk.told(made, kinds=(APPROVED,)) == [APPROVED]
    assert desk.signer(made, "ben").approved_at is None


# ================================================================== seals
SUSPENDING = {"act": "suspend", "reason": "遗失（虚构）"}
USED = ("seal.used", "seal.suspended")


def test_a_seal_is_put_on_before_it_is_suspended_or_not_at_all(desk: Desk) -> None:
    (seal,) = enabled_seals(desk, 1)
    suspending = lambda: desk(seals.change_seal, caller("anna"), seal, **SUSPENDING)  # noqa: E731
    made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"))
    signing = desk.completing(made, "adam", Marks(seal_id=seal))
    assert desk.race(signing, suspending, EMBEDDING) == [DONE, DONE]
    assert desk.told(made, seal, kinds=USED) == ["seal.used", "seal.suspended"]
    desk(seals.change_seal, caller("anna"), seal, act="enable")
    made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"))
    signing = desk.completing(made, "adam", Marks(seal_id=seal))
    said = desk.race(suspending, signing, Place(seals, "_record"))
    assert said == [DONE, "seal.not_enabled"]
    assert desk.told(made, kinds=USED) == []
    assert desk.signer(made, "adam").signed_at is None
    desk(seals.change_seal, caller("anna"), seal, act="enable")


# ================================================================== keys and authorities
LOST = ("signature.applied", "key.revoked", "intent.expressed")


def test_a_key_that_is_lost_while_its_signature_is_accepted_is_lost_after_it(desk: Desk) -> None:
    made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"))
    signing, losing = desk.completing(made, "adam"), desk.losing("adam")
    assert desk.race(signing, losing, EMBEDDING) == [DONE, DONE]
    told_of = desk.told(made, ident("pty", "adam"), kinds=("signature.applied", "key.revoked"))
    assert told_of[-2:] == ["signature.applied", "key.revoked"]
    # The other side is told about a signature that stands, not about one that is to be made again.
    assert desk.notices(made) == {lost_keys.KIND_SIGNED}
    desk.certify("adam")


def test_a_signature_that_meets_the_loss_of_its_key_is_refused(desk: Desk) -> None:
    made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"))
    signing, losing = desk.completing(made, "adam"), desk.losing("adam")
    said = desk.race(losing, signing, Place(lost_keys, "record"))
    assert said in ([DONE, "certificate.revoked"], [DONE, "signature.expired"])
    place = desk.signer(made, "adam")
    assert (place.signed_at, place.intent_at) == (None, None)
    assert desk.notices(made) == {lost_keys.KIND_OPEN}
    desk.certify("adam")


def test_a_will_to_sign_that_a_lost_key_affirms_at_the_last_moment_is_asked_for_again(
    desk: Desk,
) -> None:
    for first in (True, False):
        made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"))
        willing, losing = desk.stating(made, "adam", "sign"), desk.losing("adam")
        if first:
            said = desk.race(willing, losing, Place(signatures, "record_step"))
            assert said == [DONE, DONE]
        else:
            said = desk.race(losing, willing, Place(lost_keys, "record"))
            assert said == [DONE, "certificate.none"]
        assert desk.signer(made, "adam").intent_at is None
        desk.at += timedelta(seconds=1)
        desk.certify("adam")


def revoking(desk: Desk, person: str) -> list[Callable[[], object]]:
    """Two requests that revoke everything this person may do."""
    with transaction(desk.ports.readers) as session:
        query = select(AuthorisationRow.id).where(
            AuthorisationRow.person_id == ident("pty", person),
            AuthorisationRow.revoked_at.is_(None),
        )
        held = list(session.scalars(query))

    def revoke(minutes: int) -> None:
        for one in held:
            at = desk.at + timedelta(minutes=minutes)
            desk(parties.revoke_authorisation, caller(person), one, reason="离职（虚构）", at=at)

    return [lambda: revoke(1), lambda: revoke(2)]


ENDED = ("signature.applied", "authorisation.revoked")


def test_an_authority_that_ends_while_its_holder_signs_ends_before_or_after(desk: Desk) -> None:
    made = desk.publish(("cora", 1, "sign"), ("adam", 2, "sign"))
    signing, (once, again) = desk.completing(made, "cora"), revoking(desk, "cora")
    assert desk.race(signing, once, EMBEDDING) == [DONE, DONE]
    told_of = desk.told(made, ident("pty", "hospital"), kinds=ENDED)
    assert told_of[-2:] == ["signature.applied", "authorisation.revoked"]
    assert told(again) == DONE
    desk.authorise("cora")
    made = desk.publish(("cora", 1, "sign"), ("adam", 2, "sign"))
    signing, (once, again) = desk.completing(made, "cora"), revoking(desk, "cora")
    before = len(desk.told(ident("pty", "hospital"), kinds=ENDED))
    assert desk.race(once, signing, Place(parties, "record")) == [DONE, "authority.revoked"]
    assert desk.signer(made, "cora").signed_at is None
    assert len(desk.told(ident("pty", "hospital"), kinds=ENDED)) == before + 1
    desk.authorise("cora")


def test_an_authority_that_two_revoke_at_once_is_revoked_once(desk: Desk) -> None:
    once, again = revoking(desk, "ben")
    subject = ident("pty", "donor")
    before = len(desk.told(subject, kinds=ENDED))
    assert desk.race(once, again, Place(parties, "record")) == [DONE, DONE]
    assert len(desk.told(subject, kinds=ENDED)) == before + 1
    desk.authorise("ben")


# ================================================================== withdrawal, values, ids
def test_a_signature_that_meets_the_withdrawal_is_refused(desk: Desk) -> None:
    # The other order, and each step again, is in `test_agreements_flow`.
    made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"))
    signing = desk.completing(made, "adam")
    withdrawing = lambda: desk(agreements.withdraw, caller("anna"), made, reason="虚构")  # noqa: E731
    place = Place(agreements_acts, "record_step")
    assert desk.race(withdrawing, signing, place) == [DONE, "agreement.closed"]
    kinds = ("signature.applied", "agreement.withdrawn")
    assert desk.told(made, kinds=kinds) == ["agreement.withdrawn"]


def test_a_value_saved_while_its_signature_is_prepared_or_affirmed_is_in_it_or_refused(
    desk: Desk,
) -> None:
    made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"), fillable=(DELIVERY,))
    place = desk.place(made, "adam")

    def saving(value: str) -> Callable[[], object]:
        values = {"delivery": value}
        return lambda: desk(form_filling.save, caller("adam"), place, values=values)

    saving("一")()
    # The statement lists the value; one saved between asking for it and affirming it voids the statement.
    willing = desk.stating(made, "adam", "sign")
    assert desk.race(saving("二"), willing, Place(form_filling, "state_of", after=True)) == [
        DONE,
        "intent.other_annex",
    ]
    willing = desk.stating(made, "adam", "sign")
    said = desk.race(willing, saving("三"), Place(signatures, "record_step"))
    assert said == [DONE, "form.after_intent"]
    preparing = desk.preparing(made, "adam")
    said = desk.race(preparing, saving("四"), Place(signatures, "prepare"))
    assert said == [DONE, "form.after_intent"]
    prepared: Any = preparing()
    signature = desk.keys["adam"].sign(bytes.fromhex(prepared.signed_attrs))
    signing = lambda: desk(  # noqa: E731
        signatures.complete_signature, caller("adam"), prepared.id, signature=signature
    )
    said = desk.race(signing, saving("五"), EMBEDDING)
    assert said[0] == DONE
    assert said[1] in ("form.after_intent", "agreement.closed", "agreement.already_signed")
    with transaction(desk.ports.readers) as session:
        row = session.get_one(AgreementRow, made)
        (edit,) = form_filling.recorded_edits(session, row.id)
    assert edit.new == "二"


def test_one_agreement_sent_twice_at_once_is_one_agreement(desk: Desk) -> None:
    desk.count += 1
    new = NewAgreement(
        id=ident("agr", str(desk.count)),
        title="示例（虚构）",
        matter="donation",
        no_amount=True,
        signers=tuple(
            SignerSpec(ident("pty", PEOPLE[who]), ident("pty", who), "party")
            for who in ("adam", "cora")
        ),
        expires_at=AT + 30 * DAY,
    )
    sending = lambda: desk(agreements.create_from_upload, caller("anna"), new, data=contract())  # noqa: E731
    said = desk.race(sending, sending, Place(agreements_making, "record_step"))
    # Where both were on their way the second is asked to send it again, and then meets the first.
    assert said in ([DONE, DONE], [DONE, "concurrent_write"])
    assert told(sending) == DONE
    assert desk.told(new.id, kinds=("document.finalised",)) == ["document.finalised"]


# ================================================================== erasure
def test_a_bundle_is_recorded_before_the_erasure_that_removes_it_or_not_at_all(desk: Desk) -> None:
    later = AT + timedelta(days=36_500)
    for bundle_first in (True, False):
        made = desk.publish(("adam", 1, "sign"), ("cora", 2, "sign"))
        desk(agreements.withdraw, caller("anna"), made, reason="虚构")
        # What the export has read and stamped; the rest of it is in `test_exporting`.
        data, wanted = (
            made.encode(),
            bundles.NewBundle(ident("bun", made), made, Purpose.PARTY, "虚构", desk.at),
        )
        keeping = lambda wanted=wanted, data=data, made=made: bundles.keep_bundle(  # noqa: E731
            desk.ports,
            caller("anna"),
            wanted,
            data,
            opened={made, ident("pty", "adam")},
            still=lambda session: queries.lock_agreement(session, made) and None,
        )

        def erasing(made: str = made) -> None:
            erased = desk(erasure.erase, OPERATOR, subject=made, basis="虚构请求", at=later)
            erasure.remove_files(desk.ports, erased)

        if bundle_first:
            assert desk.race(keeping, erasing, Place(bundles, "record_bundle")) == [DONE, DONE]
        else:
            place = Place(erasure, "clear_agreement")
            assert desk.race(erasing, keeping, place) == [DONE, "vault.restricted"]
        told_of = desk.told(wanted.id, kinds=("bundle.exported",))
        assert len(told_of) == int(bundle_first)
        assert told(lambda data=data: desk.ports.blobs.get(sha256(data).hex())) == "blob.not_found"
