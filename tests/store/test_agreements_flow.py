"""A two-party signing from the document to the formed agreement, and every way it is refused.

Each refusal has its code and leaves the database as it was. Identities are invented; keys are real device keys.
The ground (parties, authorities, certificates, a published agreement) is laid once and copied for each test.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import threading
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import func, select, update

from api.callers import OPERATOR, Caller, Role
from api.compose import open_ports
from api.demo_documents import Goods, Side, donation_data
from api.flows import agreements, parties, signatures
from api.flows.agreements import NewAgreement, SignerSpec
from api.flows.parties import NewAuthorisation, NewParty
from api.settings import Settings
from ledger import log, store
from ledger.core.canonical import canonical_parse
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    ForbiddenError,
    FuqiError,
    InputError,
    LimitError,
    NotFoundError,
    VerificationError,
)
from ledger.core.ids import derived_id
from ledger.core.report import Verdict
from ledger.entry_types import ENTRY_TYPES
from ledger.queries import agreements as queries
from ledger.tables.agreements import (
    AgreementRow,
    IntentRow,
    PreparedSignatureRow,
    RevisionRow,
    SignerRow,
)
from ledger.tables.log import EntryRow
from ledger.tables.parties import AuthorisationRow, CertificateRow, PartyRow
from signing.appearance import FieldSpec
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id, invented_uscc
from signing.intent import intent_message
from signing.keys.algorithms import PROOF_BYTES_MAX
from signing.keys.device import DeviceKey
from signing.validate import validate_pdf

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EXPIRES = AT + 30 * DAY
SIDES = ("donor", "hospital")
TABLES = (
    AgreementRow, SignerRow, IntentRow, PreparedSignatureRow, RevisionRow, EntryRow,
    AuthorisationRow, CertificateRow, PartyRow,
)  # fmt: skip


def ident(prefix, seed):
    return derived_id(prefix, at=AT, seed=f"agreements/{seed}")


AGREEMENT = ident("agr", "one")


def a_pdf(text="Memorandum (invented example)", pages=1):
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    for page in range(pages):
        canvas.drawString(72, 700, f"{text}, page {page + 1}")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def signer_spec(side, role="party"):
    return SignerSpec(ident("pty", f"{side}/org"), ident("pty", f"{side}/person"), role)


def new_agreement(**changes):
    fields = NewAgreement(
        id=AGREEMENT,
        title="交接备忘录（虚构）",
        matter="donation",
        no_amount=True,
        signers=tuple(signer_spec(side) for side in SIDES),
        expires_at=EXPIRES,
    )
    return replace(fields, **changes)


def caller(side, person=None, roles=(Role.HANDLER,)):
    return Caller(
        account_id=ident("acc", side),
        person_id=ident("pty", f"{person or side}/person"),
        organisation_id=ident("pty", f"{side}/org"),
        roles=frozenset(roles),
    )


@dataclass
class Bench:
    """One installation with its signers' devices, which it does not hold itself."""

    ports: object
    keys: dict

    def __call__(self, action, *arguments, **named):
        """One flow in a transaction of its own; `make_statement` takes no ports."""
        with store.transaction(self.ports.sessions) as session:
            ports = () if action is signatures.make_statement else (self.ports,)
            return action(session, *ports, *arguments, **named)

    def rows(self, table, *order):
        with store.transaction(self.ports.sessions) as session:
            return session.scalars(select(table).order_by(*order)).all()

    def counts(self):
        with store.transaction(self.ports.sessions) as session:
            return {
                t.__tablename__: session.scalar(select(func.count()).select_from(t)) for t in TABLES
            }

    def snapshot(self):
        """Every column of every row that a flow may touch."""
        return {
            table.__tablename__: sorted(
                str([getattr(row, column.key) for column in table.__table__.columns])
                for row in self.rows(table)
            )
            for table in TABLES
        }

    def entries(self, kind=None):
        with store.transaction(self.ports.sessions) as session:
            found = session.scalars(select(EntryRow).order_by(EntryRow.order)).all()
            return [
                (row.type, self.ports.vault.get(session, row.id).body)
                for row in found
                if kind in (None, row.type)
            ]

    @property
    def agreement(self):
        (row,) = self.rows(AgreementRow)
        return row

    def signer(self, side):
        with store.transaction(self.ports.sessions) as session:
            return next(
                one
                for one in queries.signers_of(session, AGREEMENT)
                if one.organisation_id == ident("pty", f"{side}/org")
            )

    # -------------------------------------------------------------- the steps of a signer
    def read(self, side, *, at=AT, pages=1, seconds=60):
        return self(
            agreements.read_document,
            caller(side),
            self.signer(side).id,
            pages=pages,
            seconds=seconds,
            at=at,
        )

    def statement(self, side, act, *, at=AT):
        return self(signatures.make_statement, caller(side), self.signer(side).id, act=act, at=at)

    def express(self, side, made, *, at=AT, key=None, proof=None, by=None):
        message = intent_message(canonical_parse(made.statement.encode()))
        proof = (key or self.keys[side]).sign(message) if proof is None else proof
        return self(signatures.express_intent, by or caller(side), made.id, proof=proof, at=at)

    def intend(self, side, act, *, at=AT):
        return self.express(side, self.statement(side, act, at=at), at=at)

    def prepare(self, side, *, at=AT):
        return self(signatures.prepare_signature, caller(side), self.signer(side).id, at=at)

    def complete(self, side, made, *, at=AT, key=None, signature=None, by=None):
        attributes = bytes.fromhex(made.signed_attrs)
        signature = (key or self.keys[side]).sign(attributes) if signature is None else signature
        return self(
            signatures.complete_signature, by or caller(side), made.id, signature=signature, at=at
        )

    def consented(self, *sides):
        for side in sides or SIDES:
            self.read(side)
            self.intend(side, "consent")
        return self

    def ready(self, side="donor"):
        """Everybody consented and `side` expressed the intent to sign."""
        self.consented()
        self.intend(side, "sign")
        return self

    def sign(self, side, *, at=AT):
        self.intend(side, "sign", at=at)
        return self.complete(side, self.prepare(side, at=at), at=at)


def lay_ground(ports):
    """Two organisations with authorised, certified handlers, and a third that takes no part."""
    keys = {}
    for side in (*SIDES, "outsider"):
        for kind in ("org", "person"):
            is_person = kind == "person"
            number = (
                invented_resident_id(side, birth=date(1988, 3, 14))
                if is_person
                else invented_uscc(side)
            )
            parties.verify_and_register(
                ports,
                NewParty(
                    id=ident("pty", f"{side}/{kind}"),
                    kind="person" if is_person else "organisation",
                    category="person" if is_person else "hospital",
                    name=f"示例{'·林镕' if is_person else '单位'}（虚构）{side}",
                    number=number,
                    place=f"{side} 地（虚构）",
                    receiving_system="fuqi",
                    consent_id="cns_example",
                    invented=True,
                ),
                at=AT,
            )
        authorise(ports, side)
        keys[side] = DeviceKey.create()
        certify(ports, side, keys[side])
    return keys


def authorise(ports, side, *, number=1, at=AT, **changes):
    fields = {
        "id": ident("aut", f"{side}/{number}"),
        "organisation_id": ident("pty", f"{side}/org"),
        "person_id": ident("pty", f"{side}/person"),
        "matters": frozenset({"donation"}),
        "powers": frozenset({"consent", "sign"}),
        "valid_from": AT,
        "valid_to": AT + 60 * DAY,
    }
    with store.transaction(ports.sessions) as session:
        return parties.grant_authorisation(
            session, ports, OPERATOR, NewAuthorisation(**{**fields, **changes}), at=at
        )


def certify(ports, side, key, *, at=AT):
    with store.transaction(ports.sessions) as session:
        return parties.issue_certificate(
            session,
            ports,
            caller(side),
            organisation_id=ident("pty", f"{side}/org"),
            person_id=ident("pty", f"{side}/person"),
            csr_der=key.csr(CertificateSubject(common_name="ignored")),
            at=at,
        )


def publish(bench, by="donor", *, data=None, at=AT, fields=(), **changes):
    return bench(
        agreements.create_from_upload,
        caller(by) if isinstance(by, str) else by,
        new_agreement(**changes),
        data=a_pdf() if data is None else data,
        fields=fields,
        at=at,
    )


@pytest.fixture(scope="session")
def ground(tmp_path_factory, sqlite_template):
    """A folder with everything up to a published agreement, and the devices' keys."""
    home = tmp_path_factory.mktemp("ground")
    shutil.copy(sqlite_template, home / "fuqi.sqlite3")
    ports = open_ports(Settings(home=home), at=AT)
    keys = lay_ground(ports)
    publish(Bench(ports, keys))
    with ports.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    ports.engine.dispose()
    return home, keys


@pytest.fixture
def bench(ground, tmp_path):
    """A copy of the ground, on SQLite: for rules that do not depend on the database."""
    home, keys = ground
    ports = open_ports(Settings(home=shutil.copytree(home, tmp_path / "home")), at=AT)
    yield Bench(ports, keys)
    ports.engine.dispose()


@pytest.fixture
def fresh(database_url, tmp_path):
    """The same ground laid anew on each database: for whole stories and for races."""
    ports = open_ports(
        Settings(home=tmp_path / "home", database_url=SecretStr(database_url)), at=AT
    )
    made = Bench(ports, lay_ground(ports))
    yield made
    ports.engine.dispose()


def refused(kind, code, bench, action, *arguments, **named):
    """`action` is refused with exactly this code and not one column of one row has changed."""
    before = bench.snapshot()
    with pytest.raises(FuqiError) as caught:
        action(*arguments, **named)
    assert caught.value.error_code == code, caught.value
    assert isinstance(caught.value, kind)
    assert bench.snapshot() == before
    return caught.value


# ================================================================== the whole story
def test_two_parties_sign_and_the_agreement_is_formed_at_the_last_signature(fresh):
    publish(fresh)
    assert fresh.agreement.state == "published"
    for side in SIDES:
        fresh(agreements.open_document, caller(side), fresh.signer(side).id, at=AT + MINUTE)
        fresh.read(side, at=AT + 2 * MINUTE)
        fresh.intend(side, "consent", at=AT + 3 * MINUTE)
    fresh.sign("donor", at=AT + 5 * MINUTE)
    assert (fresh.agreement.state, fresh.agreement.formed_at) == ("signing", None)
    fresh.sign("hospital", at=AT + 9 * MINUTE)

    row = fresh.agreement
    assert (row.state, row.formed_at) == ("formed", AT + 9 * MINUTE)
    assert (
        row.place_of_formation == "hospital 地（虚构）"
    )  # main place of business of the last signer
    kinds = [kind for kind, body in fresh.entries() if body.get("agreement") == AGREEMENT]
    assert kinds == [
        "document.finalised",
        "agreement.staged",
        *["document.delivered"] * 2,
        *["document.opened", "document.read", "intent.expressed"] * 2,
        *["intent.expressed", "signature.applied"] * 2,
        "agreement.formed",
    ]
    # Every revision is the one before it with bytes added: nothing signed is ever rewritten.
    revisions = fresh.rows(RevisionRow, RevisionRow.number)
    files = [fresh.ports.blobs.get(one.sha256) for one in revisions]
    assert [len(file) for file in files] == [one.size_bytes for one in revisions]
    assert len(files) == 3
    assert files[1].startswith(files[0])
    assert files[2].startswith(files[1])
    assert row.document_sha256 == revisions[0].sha256
    assert row.current_sha256 == revisions[2].sha256
    report = validate_pdf(
        files[2], trust=signatures.pki_trust(fresh.ports, at=AT + 9 * MINUTE), at=AT + 9 * MINUTE
    )
    assert report.verdict is Verdict.PASSED, report.as_json()
    # And the log holds it all.
    with store.transaction(fresh.ports.sessions) as session:
        checkpoint = log.sequence(session, fresh.ports.log_key, at=AT)
    assert checkpoint.size == len(fresh.entries())


def test_evidence_of_a_signature_names_authority_certificate_and_revisions(fresh):
    publish(fresh)
    fresh.consented()
    fresh.sign("donor")
    ((_, body),) = fresh.entries("signature.applied")
    signer = fresh.signer("donor")
    with store.transaction(fresh.ports.sessions) as session:
        authority = session.get(AuthorisationRow, signer.authorisation_id)
        certificate = session.get(CertificateRow, signer.certificate_id)
    assert body["authorisation"] == parties.authorisation_of(authority).as_json()
    assert (body["certificate"], body["serial"]) == (certificate.id, certificate.serial)
    assert body["base_sha256"] == fresh.agreement.document_sha256
    assert body["revision_sha256"] == signer.revision_sha256 == fresh.agreement.current_sha256
    intents = [body for _, body in fresh.entries("intent.expressed") if body["act"] == "sign"]
    assert intents[0]["statement"]["document_sha256"] == fresh.agreement.document_sha256


def test_a_template_is_rendered_and_signed_by_its_two_parties(fresh):
    with store.transaction(fresh.ports.sessions) as session:
        sides = [
            Side(
                organisation=session.get(PartyRow, ident("pty", f"{side}/org")),
                person=session.get(PartyRow, ident("pty", f"{side}/person")),
                authorisation=session.get(AuthorisationRow, ident("aut", f"{side}/1")),
                uscc=invented_uscc(side),
            )
            for side in SIDES
        ]
    goods = Goods("医用口罩", "GB 19083-2010", "", "", "", 1000, "只")
    data = donation_data(*sides, goods, number="FQ-1", allocation="alc_example", at=AT)

    def create(by="donor", **changes):
        return fresh(
            agreements.create_from_template,
            caller(by),
            new_agreement(**changes),
            template="donation",
            data=data,
            at=AT,
        )

    row = create()
    assert (row.origin, row.template) == ("template", "donation")
    assert create().document_sha256 == row.document_sha256
    refused(InputError, "agreement.signers", fresh, create, id=ident("agr", "two"), signers=(
        signer_spec("donor"),
    ))  # fmt: skip
    refused(
        ExistsWithDifferentFieldError,
        "state.exists_with_different_field",
        fresh,
        create,
        title="anders",
    )
    for side in SIDES:
        fresh.read(side, pages=row.pages)
        fresh.intend(side, "consent")
    fresh.sign("donor")
    fresh.sign("hospital")
    assert fresh.agreement.state == "formed"


def test_doing_a_step_again_records_it_once(bench):
    for _ in range(2):
        bench(agreements.open_document, caller("donor"), bench.signer("donor").id, at=AT)
        bench.read("donor")
    made = bench.statement("donor", "consent")
    proof = bench.keys["donor"].sign(intent_message(canonical_parse(made.statement.encode())))
    first = bench.express("donor", made, proof=proof)
    assert bench.express("donor", made, proof=proof).id == first.id
    bench.read("hospital")
    bench.intend("hospital", "consent")
    bench.intend("donor", "sign")
    prepared = bench.prepare("donor")
    assert bench.prepare("donor", at=AT + MINUTE).id == prepared.id
    done = bench.complete("donor", prepared)
    again = bench.complete("donor", prepared, at=AT + DAY)
    assert (again.signed_at, again.revision_sha256) == (done.signed_at, done.revision_sha256)
    counted = Counter(kind for kind, _ in bench.entries())
    assert counted["document.opened"] == counted["document.read"] == 2  # one for each side
    assert counted["intent.expressed"] == 3
    assert counted["signature.applied"] == 1
    assert len(bench.rows(RevisionRow)) == 2


# ================================================================== making the agreement
def test_the_same_agreement_again_is_the_same_and_a_changed_one_names_the_field(bench):
    assert publish(bench, at=AT + DAY).created_at == AT
    for change, field in (
        ({"title": "别的题目（虚构）"}, "title"),
        ({"matter": "manufacturing"}, "matter"),
        ({"signers": (signer_spec("hospital"), signer_spec("donor"))}, "signers"),
        ({"expires_at": EXPIRES - DAY}, "expires_at"),
        ({"allocation_id": "alc_example"}, "allocation_id"),
        ({"place_of_formation": "武汉（虚构）"}, "place_of_formation"),
        ({"data": a_pdf("another")}, "sha256"),
        ({"fields": (FieldSpec("a", 0, 36, 36, 100, 60), FieldSpec("b", 0, 200, 36, 100, 60))}, "fields"),
        ({"data": a_pdf("another"), "title": "x"}, "title"),
    ):  # fmt: skip
        found = refused(
            ExistsWithDifferentFieldError,
            "state.exists_with_different_field",
            bench,
            publish,
            bench,
            **change,
        )
        assert found.context["field"] == field


def test_an_id_that_another_organisation_used_is_not_found(bench):
    for by in ("hospital", "outsider"):
        refused(NotFoundError, "not_found", bench, publish, bench, by)


TWO = ident("agr", "two")


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"id": "agr_short"}, InputError, "id.malformed"),
        ({"title": " "}, InputError, "agreement.title"),
        ({"title": "题" * 121}, InputError, "agreement.title"),
        ({"title": "题\u202e目"}, InputError, "font.unprintable"),
        ({"expires_at": AT}, InputError, "agreement.expiry"),
        ({"expires_at": AT - DAY}, InputError, "agreement.expiry"),
        ({"expires_at": AT + 366 * DAY}, InputError, "agreement.expiry"),
        ({"data": b""}, InputError, "pdf.not_pdf"),
        ({"data": b"not a PDF"}, InputError, "pdf.not_pdf"),
        ({"data": a_pdf()[:-200]}, InputError, "pdf.broken"),
        ({"data": a_pdf() + b"hidden"}, InputError, "pdf.hidden_bytes"),
        ({"data": b"%PDF-1.7\n" + b" " * 21 * 1024 * 1024}, LimitError, "pdf.too_large"),
        ({"fields": (FieldSpec("a", 0, 36, 36, 100, 60),)}, InputError, "agreement.fields"),
        ({"signers": (signer_spec("donor"),) * 9}, InputError, "agreement.fields"),
        ({"signers": (signer_spec("donor"),) * 2}, InputError, "agreement.signer_twice"),
        ({"signers": (signer_spec("donor"), signer_spec("nobody"))}, NotFoundError, "party.not_found"),
        (
            {"signers": (SignerSpec(ident("pty", "donor/person"), ident("pty", "donor/person"), "party"),)},
            NotFoundError,
            "party.not_found",
        ),
        (
            {"signers": (SignerSpec(ident("pty", "donor/org"), ident("pty", "donor/org"), "party"),)},
            NotFoundError,
            "party.not_found",
        ),
        (
            {"signers": (SignerSpec(ident("pty", "donor/org"), ident("pty", "hospital/person"), "party"),)},
            ForbiddenError,
            "authority.none",
        ),
    ],
)  # fmt: skip
def test_an_agreement_that_may_not_be_is_refused_and_leaves_nothing(bench, change, kind, code):
    refused(kind, code, bench, publish, bench, **{"id": TWO, **change})


def test_an_agreement_without_signers_or_sender_is_refused(bench):
    with pytest.raises(InputError):
        publish(bench, id=TWO, signers=())
    nobody = Caller("acc_x", None, None, frozenset({Role.ARBITRATOR}))
    refused(ForbiddenError, "auth.no_organisation", bench, publish, bench, nobody, id=TWO)


def test_a_title_of_the_greatest_length_and_the_latest_expiry_are_taken(bench):
    row = publish(bench, id=TWO, title="题" * 120, expires_at=AT + 365 * DAY)
    assert row.state == "published"


# ================================================================== reading
@pytest.mark.parametrize(
    "by",
    [
        caller("hospital"),
        caller("outsider"),
        caller("donor", "hospital"),
        caller("outsider", "donor"),
        OPERATOR,
    ],
    ids=["other signer", "outsider", "colleague", "moved", "operator"],
)  # fmt: skip
def test_nobody_acts_in_the_place_of_a_signer(bench, by):
    signer = bench.signer("donor").id
    bench.ready()
    made = bench.statement("donor", "sign")
    prepared = bench.prepare("donor")
    for action, arguments, named in (
        (agreements.open_document, (signer,), {}),
        (agreements.read_document, (signer,), {"pages": 1, "seconds": 1}),
        (agreements.decline, (signer,), {"reason": "no"}),
        (signatures.make_statement, (signer,), {"act": "sign"}),
        (signatures.express_intent, (made.id,), {"proof": b"x"}),
        (signatures.prepare_signature, (signer,), {}),
        (signatures.complete_signature, (prepared.id,), {"signature": b"x"}),
    ):
        refused(NotFoundError, "not_found", bench, bench, action, by, *arguments, at=AT, **named)


def test_ids_that_nobody_made_are_not_found(bench):
    donor = caller("donor")
    for action, arguments, named in (
        (agreements.open_document, ("sig_none",), {}),
        (signatures.make_statement, ("sig_none",), {"act": "sign"}),
        (signatures.express_intent, ("int_none",), {"proof": b"x"}),
        (signatures.prepare_signature, ("sig_none",), {}),
        (signatures.complete_signature, ("prp_none",), {"signature": b"x"}),
        (agreements.withdraw, ("agr_none",), {"reason": "no"}),
    ):
        refused(NotFoundError, "not_found", bench, bench, action, donor, *arguments, at=AT, **named)


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"pages": 0}, "agreement.not_all_pages"),
        ({"pages": 2}, "agreement.not_all_pages"),
        ({"seconds": -1}, "agreement.read_seconds"),
        ({"seconds": 86_401}, "agreement.read_seconds"),
    ],
)
def test_a_document_counts_as_read_only_as_a_whole(bench, named, code):
    refused(InputError, code, bench, bench.read, "donor", **named)


# ================================================================== intent
def test_no_statement_is_made_before_the_document_was_read(bench):
    refused(ConflictError, "agreement.not_read", bench, bench.statement, "donor", "consent")
    bench(agreements.open_document, caller("donor"), bench.signer("donor").id, at=AT)
    refused(ConflictError, "agreement.not_read", bench, bench.statement, "donor", "sign")


@pytest.mark.parametrize("act", ["", "decline", "SIGN", "witness"])
def test_an_act_that_is_none_is_refused(bench, act):
    bench.read("donor")
    refused(InputError, "intent.act", bench, bench.statement, "donor", act)


def test_intent_is_proven_by_the_signers_own_key_over_the_exact_statement(bench):
    bench.read("donor")
    made = bench.statement("donor", "consent")
    for key in (bench.keys["hospital"], DeviceKey.create()):
        refused(VerificationError, "intent.proof", bench, bench.express, "donor", made, key=key)
    value = canonical_parse(made.statement.encode())
    other = {**value, "act": "sign", "field": "party1"}
    for message in (intent_message(other), made.statement.encode(), b""):
        refused(
            VerificationError,
            "intent.proof",
            bench,
            bench.express,
            "donor",
            made,
            proof=bench.keys["donor"].sign(message),
        )
    for proof in (b"", b"\x30\x00", b"x" * 80):
        refused(VerificationError, "intent.proof", bench, bench.express, "donor", made, proof=proof)
    refused(
        InputError,
        "intent.proof_size",
        bench,
        bench.express,
        "donor",
        made,
        proof=b"x" * (PROOF_BYTES_MAX + 1),
    )
    assert bench.express("donor", made).used_at == AT


def test_a_statement_is_fresh_or_made_anew(bench):
    bench.read("donor")
    made = bench.statement("donor", "consent")
    late = AT + timedelta(minutes=10, seconds=1)
    refused(VerificationError, "intent.stale", bench, bench.express, "donor", made, at=late)
    early = AT - timedelta(seconds=61)
    refused(NotFoundError, "certificate.none", bench, bench.express, "donor", made, at=early)
    bench.express("donor", made, at=AT + timedelta(minutes=10))


def test_a_statement_is_used_once(bench):
    bench.read("donor")
    made = bench.statement("donor", "consent")
    bench.express("donor", made)
    # ECDSA is randomised: another proof over the same nonce is another act.
    refused(ConflictError, "intent.used", bench, bench.express, "donor", made)


def test_two_statements_never_share_a_nonce(bench):
    bench.read("donor")
    made = [bench.statement("donor", "sign") for _ in range(5)]
    assert len({one.nonce for one in made}) == 5
    with pytest.raises(ConflictError) as caught, store.transaction(bench.ports.sessions) as session:
        session.add(
            IntentRow(
                id=ident("int", "copy"),
                signer_id=made[0].signer_id,
                act="sign",
                nonce=made[0].nonce,
                statement="{}",
                created_at=AT,
            )
        )
    assert caught.value.error_code == "concurrent_write"


def test_a_statement_altered_in_the_database_proves_nothing(bench):
    bench.read("donor")
    made = bench.statement("donor", "consent")
    value = canonical_parse(made.statement.encode())
    altered = json.dumps(
        {**value, "document_sha256": "00" * 32}, ensure_ascii=False, sort_keys=True,
        separators=(",", ":"),
    )  # fmt: skip
    with store.transaction(bench.ports.sessions) as session:
        session.execute(update(IntentRow).values(statement=altered))
    made.statement = altered
    refused(VerificationError, "intent.text", bench, bench.express, "donor", made)


@pytest.mark.parametrize(
    ("columns", "at", "code"),
    [
        ({"revoked_at": AT}, AT, "authority.revoked"),
        ({"valid_from": AT - DAY, "valid_to": AT}, AT, "authority.expired"),
        ({"valid_from": AT + MINUTE}, AT, "authority.not_yet_valid"),
        ({"matters": "manufacturing"}, AT, "authority.matter"),
        ({"powers": "read"}, AT, "authority.power"),
        ({"amount_max_minor": 100}, AT, "authority.amount_unknown"),
    ],
)
def test_a_handler_acts_only_within_a_valid_authority(bench, columns, at, code):
    bench.ready()
    prepared = bench.prepare("donor")
    made = bench.statement("donor", "sign")
    with store.transaction(bench.ports.sessions) as session:
        session.execute(
            update(AuthorisationRow)
            .where(AuthorisationRow.id == ident("aut", "donor/1"))
            .values(columns)
        )
    refused(ForbiddenError, code, bench, bench.express, "donor", made, at=at)
    refused(ForbiddenError, code, bench, bench.prepare, "donor", at=at)
    refused(ForbiddenError, code, bench, bench.complete, "donor", prepared, at=at)
    # A new authority, in time, makes it possible again.
    authorise(bench.ports, "donor", number=2)
    bench.complete("donor", prepared, at=at)
    assert bench.signer("donor").authorisation_id == ident("aut", "donor/2")


def test_without_a_valid_certificate_nothing_is_signed(bench):
    bench.ready()
    prepared = bench.prepare("donor")
    made = bench.statement("donor", "sign")
    with store.transaction(bench.ports.sessions) as session:
        session.execute(
            update(CertificateRow)
            .where(CertificateRow.organisation_id == ident("pty", "donor/org"))
            .values(revoked_at=AT)
        )
    refused(NotFoundError, "certificate.none", bench, bench.express, "donor", made)
    refused(NotFoundError, "certificate.none", bench, bench.prepare, "donor")
    refused(ForbiddenError, "certificate.revoked", bench, bench.complete, "donor", prepared)


# ================================================================== signing
def test_nobody_signs_before_every_party_consented(bench):
    bench.consented("donor")
    bench.intend("donor", "sign")
    refused(ConflictError, "agreement.consent_missing", bench, bench.prepare, "donor")


def test_nobody_signs_without_having_expressed_the_intent(bench):
    bench.consented()
    refused(ConflictError, "agreement.no_intent", bench, bench.prepare, "donor")


def test_signatures_follow_their_order(bench):
    bench.ready("hospital")
    refused(ConflictError, "agreement.not_your_turn", bench, bench.prepare, "hospital")
    bench.sign("donor")
    bench.complete("hospital", bench.prepare("hospital"))
    assert bench.agreement.state == "formed"


def test_only_the_key_of_the_certificate_signs_only_the_prepared_bytes(bench):
    prepared = bench.ready().prepare("donor")
    attributes = bytes.fromhex(prepared.signed_attrs)
    key = bench.keys["donor"]
    good = key.sign(attributes)
    for signature in (
        bench.keys["hospital"].sign(attributes),
        DeviceKey.create().sign(attributes),
        key.sign(attributes + b"\x00"),
        key.sign(attributes[:-1]),
        key.sign(bytes.fromhex(prepared.document_digest)),
        key.sign(hashlib.sha256(attributes).digest()),
        good[:-1],
        good + b"\x00",
        good[:-1] + bytes([good[-1] ^ 1]),
        b"",
    ):
        refused(
            VerificationError,
            "pdf.signature_mismatch",
            bench,
            bench.complete,
            "donor",
            prepared,
            signature=signature,
        )
    assert bench.complete("donor", prepared, signature=good).signed_at == AT


def test_a_preparation_waits_a_quarter_of_an_hour(bench):
    prepared = bench.ready().prepare("donor")
    late = AT + signatures.PREPARED_FOR
    refused(ConflictError, "signature.expired", bench, bench.complete, "donor", prepared, at=late)
    anew = bench.prepare("donor", at=late)
    assert anew.id != prepared.id
    assert bench.complete("donor", anew, at=late).signed_at == late


def test_of_two_preparations_only_one_becomes_a_signature(bench):
    first = bench.ready().prepare("donor")
    certify(bench.ports, "donor", new_key := DeviceKey.create(), at=AT + MINUTE)
    second = bench.prepare("donor", at=AT + MINUTE)
    assert second.id != first.id
    bench.complete("donor", second, key=new_key, at=AT + MINUTE)
    refused(
        ConflictError,
        "agreement.already_signed",
        bench,
        bench.complete,
        "donor",
        first,
        at=AT + MINUTE,
    )
    assert len(bench.entries("signature.applied")) == 1


def test_a_preparation_on_another_revision_is_stale(bench):
    prepared = bench.ready().prepare("donor")
    with store.transaction(bench.ports.sessions) as session:
        session.execute(update(PreparedSignatureRow).values(base_sha256="00" * 32))
    refused(ConflictError, "agreement.stale_revision", bench, bench.complete, "donor", prepared)


def test_a_prepared_file_that_was_altered_on_disk_is_not_signed(bench):
    prepared = bench.ready().prepare("donor")
    (path,) = Path(bench.ports.settings.home).rglob(prepared.revision_sha256)
    path.write_bytes(path.read_bytes().replace(b"Memorandum", b"Memorandom"))
    path.write_bytes(path.read_bytes() + b"\n")
    refused(VerificationError, "blob.damaged", bench, bench.complete, "donor", prepared)


def test_a_prepared_state_that_was_altered_in_the_database_is_not_signed(bench):
    prepared = bench.ready().prepare("donor")
    state = json.loads(prepared.state)
    # The other fields are told to nobody any more: bytes, attributes and digest bind each other.
    for name in ("v", "signed_attrs", "document_digest", "gap_start", "gap_end"):
        changed = {**state, name: "x" if isinstance(state[name], str) else 0}
        with store.transaction(bench.ports.sessions) as session:
            session.execute(update(PreparedSignatureRow).values(state=json.dumps(changed)))
        with pytest.raises(FuqiError) as caught:
            bench.complete("donor", prepared)
        assert caught.value.error_code in ("pdf.prepared_malformed", "pdf.signature_mismatch"), name
    assert bench.entries("signature.applied") == []


def test_who_has_signed_cannot_sign_again(bench):
    bench.ready()
    bench.complete("donor", bench.prepare("donor"))
    refused(ConflictError, "agreement.already_signed", bench, bench.prepare, "donor")


@pytest.mark.parametrize("ending", ["expired", "withdrawn", "declined"])
def test_nothing_is_signed_once_it_is_over(bench, ending):
    bench.ready()
    prepared = bench.prepare("donor", at=EXPIRES - MINUTE)
    made = bench.statement("donor", "sign", at=EXPIRES - MINUTE)
    late = EXPIRES if ending == "expired" else EXPIRES - MINUTE
    code = "agreement.expired" if ending == "expired" else "agreement.closed"
    if ending == "withdrawn":
        bench(agreements.withdraw, caller("donor"), AGREEMENT, reason="错了", at=late)
    elif ending == "declined":
        bench(
            agreements.decline,
            caller("hospital"),
            bench.signer("hospital").id,
            reason="不",
            at=late,
        )
    refused(ConflictError, code, bench, bench.express, "donor", made, at=late)
    refused(ConflictError, code, bench, bench.prepare, "donor", at=late)
    refused(ConflictError, code, bench, bench.complete, "donor", prepared, at=late)
    refused(
        ConflictError, code, bench, bench, agreements.decline, caller("donor"),
        bench.signer("donor").id, reason="no", at=late,
    )  # fmt: skip


# ================================================================== declining and withdrawing
def test_a_signer_declines_with_a_reason_that_stays_private(fresh):
    publish(fresh)
    signer, reason = fresh.signer("hospital").id, "数量不符（虚构）" * 50
    for bad in ("", "  ", "x" * 501):
        refused(
            InputError, "agreement.reason", fresh,
            fresh, agreements.decline, caller("hospital"), signer, reason=bad, at=AT,
        )  # fmt: skip
    row = fresh(agreements.decline, caller("hospital"), signer, reason=reason, at=AT)
    assert (row.state, row.ended_at, row.ended_reason) == ("declined", AT, reason)
    ((_, body),) = fresh.entries("agreement.declined")
    assert body["reason"] == reason
    assert all(reason.encode() not in one.bytes for one in fresh.rows(EntryRow))


def test_only_the_initiator_withdraws_and_outsiders_see_nothing(bench):
    refused(
        ForbiddenError, "agreement.not_initiator", bench,
        bench, agreements.withdraw, caller("hospital"), AGREEMENT, reason="no", at=AT,
    )  # fmt: skip
    refused(
        NotFoundError, "not_found", bench,
        bench, agreements.withdraw, caller("outsider"), AGREEMENT, reason="no", at=AT,
    )  # fmt: skip
    row = bench(agreements.withdraw, caller("donor"), AGREEMENT, reason="错了", at=AT)
    assert row.state == "withdrawn"
    refused(
        ConflictError, "agreement.closed", bench,
        bench, agreements.withdraw, caller("donor"), AGREEMENT, reason="again", at=AT,
    )  # fmt: skip


def test_who_has_signed_cannot_decline_and_a_formed_agreement_cannot_be_withdrawn(bench):
    bench.consented()
    bench.sign("donor")
    refused(
        ConflictError, "agreement.already_signed", bench,
        bench, agreements.decline, caller("donor"), bench.signer("donor").id, reason="no", at=AT,
    )  # fmt: skip
    bench.sign("hospital")
    for action, arguments in (
        (agreements.withdraw, (AGREEMENT,)),
        (agreements.decline, (bench.signer("donor").id,)),
    ):
        refused(
            ConflictError, "agreement.closed", bench,
            bench, action, caller("donor"), *arguments, reason="no", at=AT,
        )  # fmt: skip


# ================================================================== races
def race(*actions):
    """Run all at once; their error codes, or `done`."""
    outcomes = [None] * len(actions)
    start = threading.Barrier(len(actions))

    def run(number, action):
        start.wait()
        try:
            action()
        except FuqiError as exc:
            outcomes[number] = exc.error_code
        else:
            outcomes[number] = "done"

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.fixture
def meeting(monkeypatch):
    """Whoever has read an agreement's state waits for the other, as long as that one can come at all."""
    door, original = threading.Barrier(2), agreements.state_of

    def state_of(session, row):
        state = original(session, row)
        try:
            door.wait(timeout=0.4)
        except threading.BrokenBarrierError:
            door.reset()
        return state

    monkeypatch.setattr(agreements, "state_of", state_of)
    monkeypatch.setattr(signatures, "state_of", state_of)


def test_of_a_refusal_and_a_withdrawal_at_once_one_counts(fresh, meeting):
    publish(fresh)
    signer = fresh.signer("hospital").id
    outcomes = race(
        lambda: fresh(agreements.decline, caller("hospital"), signer, reason="no", at=AT),
        lambda: fresh(agreements.withdraw, caller("donor"), AGREEMENT, reason="no", at=AT),
    )
    assert sorted(outcomes) == ["agreement.closed", "done"]
    ended = [
        k for k, _ in fresh.entries() if k.startswith("agreement.") and k != "agreement.staged"
    ]
    assert ended == [f"agreement.{fresh.agreement.state}"]


def test_of_the_last_signature_and_a_withdrawal_at_once_one_counts(fresh, monkeypatch):
    publish(fresh)
    fresh.consented()
    fresh.sign("donor")
    fresh.intend("hospital", "sign")
    prepared = fresh.prepare("hospital")
    arrived, original = threading.Event(), signatures.embed

    def slow(*arguments, **named):
        arrived.wait(timeout=0.5)
        return original(*arguments, **named)

    def withdraw():
        try:
            fresh(agreements.withdraw, caller("donor"), AGREEMENT, reason="no", at=AT)
        finally:
            arrived.set()

    monkeypatch.setattr(signatures, "embed", slow)
    outcomes = race(lambda: fresh.complete("hospital", prepared), withdraw)
    assert sorted(outcomes) == ["agreement.closed", "done"]
    ended = [
        k for k, _ in fresh.entries() if k.startswith("agreement.") and k != "agreement.staged"
    ]
    assert ended == [f"agreement.{fresh.agreement.state}"]
    assert (fresh.agreement.formed_at is None) == (fresh.agreement.state == "withdrawn")


def test_the_same_completion_sent_twice_at_once_is_one_signature(fresh, meeting):
    publish(fresh)
    prepared = fresh.ready().prepare("donor")
    send = lambda: fresh.complete("donor", prepared)  # noqa: E731
    assert race(send, send) == ["done", "done"]
    assert len(fresh.entries("signature.applied")) == 1
    assert len(fresh.rows(RevisionRow)) == 2


def test_the_same_proof_sent_twice_at_once_is_one_intent(fresh, meeting):
    publish(fresh)
    fresh.read("donor")
    made = fresh.statement("donor", "consent")
    proof = fresh.keys["donor"].sign(intent_message(canonical_parse(made.statement.encode())))
    send = lambda: fresh.express("donor", made, proof=proof)  # noqa: E731
    assert race(send, send) == ["done", "done"]
    assert len(fresh.entries("intent.expressed")) == 1


def test_every_entry_holds_what_its_type_promises(fresh):
    """ledger/entry_types.py is what the bundle's reader is told to expect."""
    publish(fresh)
    fresh.consented()
    fresh.sign("donor")
    fresh.sign("hospital")
    publish(fresh, id=TWO)
    fresh(agreements.withdraw, caller("donor"), TWO, reason="no", at=AT)
    publish(fresh, id=ident("agr", "three"))
    with store.transaction(fresh.ports.sessions) as session:
        third = queries.signers_of(session, ident("agr", "three"))[1]
    fresh(agreements.decline, caller("hospital"), third.id, reason="no", at=AT)
    with store.transaction(fresh.ports.sessions) as session:
        parties.revoke_authorisation(
            session, fresh.ports, OPERATOR, ident("aut", "donor/1"), reason="left", at=AT
        )
    missing = {}
    for kind, body in fresh.entries():
        text = re.sub(r"\([^)]*\)", "", ENTRY_TYPES[kind])
        lacking = {word.strip() for word in text.split(",")} - set(body)
        if lacking:
            missing[kind] = sorted(lacking)
    assert missing == {}, missing
    seen = {kind for kind, _ in fresh.entries()}
    assert len(seen) == 15, sorted(seen)


def test_the_worker_closes_what_is_overdue_once(bench):
    end = bench.agreement.expires_at
    for at, closed in ((end - timedelta(seconds=1), 0), (end, 1), (end, 0)):
        with store.transaction(bench.ports.sessions) as session:
            assert agreements.expire_due(session, bench.ports, at=at) == closed
    assert bench.agreement.state == "expired"
    assert bench.agreement.ended_at == end
    assert bench.entries("agreement.expired")
