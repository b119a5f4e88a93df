"""Asked to be forgotten: refused with the date while the law keeps the record, complete afterwards."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import String, text
from typer.testing import CliRunner

from api.callers import OPERATOR
from api.commands import log as log_commands
from api.compose import open_ports
from api.flows import erasure
from api.flows.registration import register
from api.settings import Settings
from api.testing import caller_of, invented_registration, sign_agreement
from ledger import log, store
from ledger.core import merkle
from ledger.core.canonical import canonical_bytes
from ledger.core.errors import ConflictError, ForbiddenError, FuqiError, InputError, NotFoundError
from ledger.core.ids import derived_id
from ledger.core.units import utc_text
from ledger.queries import log as queries
from ledger.receipts import LedgerTrust, build_receipt, verify_receipt
from ledger.store import Base
from ledger.tables.access import AccountRow
from ledger.tables.agreements import AgreementRow, ArchiveRow, SignerRow
from ledger.tables.form_fields import FormFieldRow, FormValueRow
from ledger.tables.log import EntryRow
from ledger.tables.objections import ObjectionRow
from ledger.tables.offer_claims import OfferClaimRow
from ledger.tables.parties import (
    AuthorisationRow,
    CertificateRow,
    IdentityCheckRow,
    PartyRow,
    RatificationRow,
)
from ledger.tables.related import RelatedPartyRow
from ledger.tables.seals import SealRow
from ledger.tables.supply import OfferRow, RoundRow

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BASIS = "request of the person (invented)"


class Bench:
    """Two invented organisations with a handler each, and a formed agreement between them."""

    def __init__(self, url, folder):
        self.ports = open_ports(Settings(home=folder, database_url=SecretStr(url)), at=AT)
        self.donor, self.hospital = self.register("donor"), self.register("hospital")
        self.agreement = sign_agreement(
            self.ports, (self.donor, self.hospital), allocation_id=None, at=AT
        )
        self.sequence()

    def register(self, kind):
        """An invented organisation; each handler has a name of its own, to be looked for later."""
        new = invented_registration(f"erase-{kind}", kind, at=AT)
        handler = replace(new.handler, name=f"虚构人{kind}")
        return register(self.ports, replace(new, handler=handler), at=AT)

    def sequence(self):
        with store.transaction(self.ports.sessions) as session:
            return log.sequence(session, self.ports.log_key, at=AT)

    def __call__(self, action, subject, *, caller=OPERATOR, at=AT, basis=BASIS):
        with store.transaction(self.ports.sessions) as session:
            return action(session, self.ports, caller, subject=subject, basis=basis, at=at)

    def refused(self, kind, *arguments, **named):
        with pytest.raises(kind) as caught:
            self(*arguments, **named)
        return caught.value

    def until(self, subject):
        with store.transaction(self.ports.sessions) as session:
            return erasure.retention_of(session, subject).until

    def entries(self, subject):
        with store.transaction(self.ports.sessions) as session:
            return queries.entries_of(session, [subject])

    def body(self, row):
        with store.transaction(self.ports.sessions) as session:
            return self.ports.vault.get(session, row.id)

    def row(self, table, key):
        with store.transaction(self.ports.sessions) as session:
            return session.get(table, key)

    def dump(self):
        """Every value of every column of every table."""
        found = []
        with self.ports.engine.connect() as connection:
            for table in Base.metadata.sorted_tables:
                for row in connection.execute(table.select()):
                    found += [
                        value.hex() if isinstance(value, bytes) else str(value) for value in row
                    ]
        return "\n".join(found)

    def erase_all(self, at):
        erased = self(erasure.erase, self.agreement, at=at)
        erasure.remove_files(self.ports, erased)
        for subject in (self.donor.person.id, self.donor.organisation.id):
            erasure.remove_files(self.ports, self(erasure.erase, subject, at=at))
        return erased


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """Signing takes seconds: done once, copied for each test."""
    folder = tmp_path_factory.mktemp("ground")
    made = Bench(f"sqlite:///{folder / 'fuqi.sqlite3'}", folder)
    with made.ports.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    made.ports.engine.dispose()
    return folder, made


@pytest.fixture
def bench(ground, tmp_path):
    folder, made = ground
    home = shutil.copytree(folder, tmp_path / "home")
    copied = copy.copy(made)
    url = f"sqlite:///{home / 'fuqi.sqlite3'}"
    copied.ports = open_ports(Settings(home=home, database_url=SecretStr(url)), at=AT)
    yield copied
    copied.ports.engine.dispose()


@pytest.fixture
def own_bench(database_url, tmp_path):
    """On both databases."""
    made = Bench(database_url, tmp_path)
    yield made
    made.ports.engine.dispose()


# ------------------------------------------------------------------ retention
def test_the_term_is_computed_from_the_agreement_and_the_certificates(bench):
    formed = bench.row(AgreementRow, bench.agreement).formed_at
    assert bench.until(bench.agreement) == formed.replace(year=formed.year + 20)
    assert bench.until(bench.donor.person.id) == formed.replace(year=formed.year + 20)


def test_before_its_date_an_erasure_is_refused_and_the_error_names_it(bench):
    for subject in (bench.agreement, bench.donor.person.id, bench.donor.organisation.id):
        until = bench.until(subject)
        before = bench.dump()
        error = bench.refused(ConflictError, erasure.erase, subject, at=until - SECOND)
        assert error.error_code == "retention.keeps"
        assert error.context["until"] == utc_text(until)
        assert utc_text(until) in error.message
        assert bench.dump() == before


def test_what_is_not_over_has_no_date_and_is_refused(bench):
    with store.transaction(bench.ports.sessions) as session:
        row = session.get(AgreementRow, bench.agreement)
        row.formed_at = None
    error = bench.refused(
        ConflictError, erasure.erase, bench.agreement, at=AT + timedelta(days=36_500)
    )
    assert error.error_code == "retention.open"


def test_a_party_under_no_retention_is_erased_at_once(bench):
    lone = bench.register("manufacturer")
    assert bench.until(lone.person.id) is None
    bench(erasure.erase, lone.person.id)
    assert bench.row(PartyRow, lone.person.id).name == erasure.ERASED


def test_a_partys_agreements_are_erased_first(bench):
    at = bench.until(bench.donor.person.id)
    error = bench.refused(ConflictError, erasure.erase, bench.donor.person.id, at=at)
    assert error.error_code == "erasure.agreements"
    assert error.context["agreements"] == [bench.agreement]


# ------------------------------------------------------------------ restriction
def test_restricted_data_is_kept_and_every_read_is_refused(own_bench):
    bench = own_bench
    person = bench.donor.person.id
    row = bench.entries(person)[0]
    assert bench.body(row).body
    bench(erasure.restrict, person)
    with pytest.raises(ConflictError) as caught:
        bench.body(row)
    assert caught.value.error_code == "vault.restricted"
    assert bench.row(AccountRow, bench.donor.account.id).active is False
    # Kept: the very same body is there once the mark is taken away by hand.
    with store.transaction(bench.ports.sessions) as session:
        session.execute(text("UPDATE data_key SET restricted_at = NULL"))
    assert bench.body(row).body


def test_restricting_is_an_entry_that_can_still_be_read_and_is_made_once(bench):
    person = bench.donor.person.id
    bench(erasure.restrict, person)
    bench(erasure.restrict, person, at=AT + SECOND)
    with store.transaction(bench.ports.sessions) as session:
        found = session.query(EntryRow).filter_by(type="data.restricted").all()
    assert [bench.body(row).body for row in found] == [
        {"subject": person, "basis": f"restricted: {BASIS}"}
    ]
    assert all(person.encode() not in row.bytes for row in found)


def test_what_is_restricted_can_be_erased_when_its_time_has_come(bench):
    bench(erasure.restrict, bench.agreement)
    error = bench.refused(ConflictError, erasure.erase, bench.agreement)
    assert error.error_code == "retention.keeps"
    bench(erasure.erase, bench.agreement, at=bench.until(bench.agreement))


# ------------------------------------------------------------------ erasure
def test_after_the_erasure_no_table_holds_anything_of_the_person(own_bench):
    bench = own_bench
    person = bench.row(PartyRow, bench.donor.person.id)
    organisation = bench.row(PartyRow, bench.donor.organisation.id)
    title = bench.row(AgreementRow, bench.agreement).title
    account = bench.row(AccountRow, bench.donor.account.id)
    with store.transaction(bench.ports.sessions) as session:
        ders = [row.der.hex() for row in session.query(CertificateRow).all()]
    secrets = [person.name, organisation.name, title, account.login, person.number_masked]
    before = bench.dump()
    assert all(secret in before for secret in secrets)
    bench.erase_all(bench.until(bench.donor.person.id))
    after = bench.dump()
    assert [secret for secret in secrets if secret in after] == []
    assert ders[0] not in after
    for subject in (bench.agreement, bench.donor.person.id, bench.donor.organisation.id):
        for row in bench.entries(subject):
            with pytest.raises(ConflictError) as caught:
                bench.body(row)
            assert caught.value.error_code == "vault.restricted"
    # The other side is untouched.
    assert bench.row(PartyRow, bench.hospital.person.id).name in after
    assert bench.body(bench.entries(bench.hospital.person.id)[0]).body


def test_the_files_are_removed_also_when_the_first_try_was_cut_off(bench):
    at = bench.until(bench.agreement)
    erased = bench(erasure.erase, bench.agreement, at=at)
    assert len(erased.files) >= 3
    assert all(bench.ports.blobs.has(digest) for digest in erased.files)
    # The process died here. The operator asks again.
    again = bench(erasure.erase, bench.agreement, at=at + SECOND)
    assert again == erased
    for _ in range(2):
        erasure.remove_files(bench.ports, again)
        assert not any(bench.ports.blobs.has(digest) for digest in erased.files)
    with store.transaction(bench.ports.sessions) as session:
        assert session.query(EntryRow).filter_by(type="data.restricted").count() == 1


def test_a_file_that_another_agreement_holds_too_stays(bench):
    other = sign_agreement(
        bench.ports, (bench.donor, bench.hospital), allocation_id=None, at=AT + SECOND
    )
    shared = bench.row(AgreementRow, bench.agreement).original_sha256
    assert bench.row(AgreementRow, other).original_sha256 == shared
    erased = bench(erasure.erase, bench.agreement, at=bench.until(bench.agreement))
    assert shared not in erased.files
    assert erased.files


def test_the_log_still_verifies_and_its_leaves_link_to_nothing(bench):
    row = bench.entries(bench.donor.person.id)[0]
    private = bench.body(row)
    before = bench.sequence() or _newest(bench)
    bench.erase_all(bench.until(bench.donor.person.id))
    after = bench.sequence()
    with store.transaction(bench.ports.sessions) as session:
        merkle.verify_consistency(
            old_size=before.size,
            old_root=bytes.fromhex(before.root),
            size=after.size,
            root=bytes.fromhex(after.root),
            path=log.consistency(session, before.size, after.size),
        )
        kept = session.get(EntryRow, row.id)
        receipt = build_receipt(session, kept, verifier=bench.ports.log_key.verifier)
    report = verify_receipt(receipt, trust=LedgerTrust(bench.ports.log_key.verifier))
    found = {check.code: check.verdict.value for check in report.checks}
    assert found["receipt.entry"] == found["receipt.inclusion"] == "passed"
    # The right guess, against every 32 bytes that any column still holds.
    dump = bench.dump()
    assert private.salt.hex() not in dump
    guess = canonical_bytes(dict(private.body))
    tried = {hashlib.sha256(guess).hexdigest()}
    for value in set(dump.split("\n")):
        if len(value) == 64 and all(char in "0123456789abcdef" for char in value):
            tried.add(hmac.new(bytes.fromhex(value), guess, "sha256").hexdigest())
    assert len(tried) > 20
    assert kept.body_commitment not in tried
    assert hmac.new(private.salt, guess, "sha256").hexdigest() == kept.body_commitment


def _newest(bench):
    with store.transaction(bench.ports.sessions) as session:
        return queries.latest_checkpoint(session)


# ------------------------------------------------------------------ no column is forgotten
AGREEMENT_TEXTS = {
    "agreement.title",
    "agreement.fingerprint",
    "agreement.place_of_formation",
    "agreement.ended_reason",
    "agreement_clause.text",
    "agreement_clause.explanation",
    "agreement_clause.sha256",
    "agreement_clause.boxes",
    "agreement_attachment.name",
    "agreement_signer.approved_values",
    "form_field.name",
    "form_field.label",
    "form_field.preset",
    "form_field.options",
    "form_value.name",
    "form_value.value",
    "form_value.old",
    "intent_statement.statement",
    "intent_statement.annex",
    "intent_statement.proof",
    "prepared_signature.signed_attrs",
    "prepared_signature.state",
    "ratification.reason",
    "ratification.decision_reason",
    "ratification.statement",
    "ratification.proof",
    "signing_batch_item.annex",
    "upload_demand.label",
}
"""Cleared, or gone with their row."""
NO_TEXT = {
    "agreement.quorums": "stage and count",
    "agreement_signer.field": "a place, by number",
    "upload_demand.field": "a place, by number",
    "form_field.field": "a place, by number",
    "intent_statement.nonce": "random",
    "prepared_signature.document_digest": "a digest",
    "authorisation.matters": "codes; of the party, not of the letter that gives it",
    "authorisation.powers": "codes; of the party",
    "authorisation.seal_scope": "codes; of the party",
    "authorisation.fingerprint": "of the party",
}
OWN_SUBJECT = {"lot", "work_order"}
"""Erased by themselves, with their own term."""


def test_every_text_about_an_agreement_is_cleared_or_named_here_as_none():
    found = set()
    for table in Base.metadata.sorted_tables:
        about = {"agreement_id", "signer_id"} & set(table.columns.keys())
        if (not about and table.name != "agreement") or table.name in OWN_SUBJECT:
            continue
        for column in table.columns:
            length = getattr(column.type, "length", 0)
            texts = isinstance(column.type, String) and (length is None or length > 40)
            if texts and not (column.name.endswith("sha256") and table.name != "agreement_clause"):
                found.add(f"{table.name}.{column.name}")
    assert found == AGREEMENT_TEXTS | set(NO_TEXT)


def test_an_agreements_reasons_and_archives_go_too(bench):
    """What the short story of these tests does not make by itself is put in by hand."""
    words = [
        "原因甲（虚构）",
        "理由乙（虚构）",
        "字段丙（虚构）",
        "填写丁（虚构）",
        "旧值戊（虚构）",
    ]
    lasting = bench.ports.blobs.put(b"an archived form (invented)")
    with store.transaction(bench.ports.sessions) as session:
        signer = session.query(SignerRow).filter_by(agreement_id=bench.agreement).first()
        authorisation = session.query(AuthorisationRow).first()
        session.add_all(
            [
                RatificationRow(
                    id=derived_id("rat", at=AT, seed="erased"),
                    agreement_id=bench.agreement,
                    signer_id=signer.id,
                    organisation_id=signer.organisation_id,
                    authorisation_id=authorisation.id,
                    lack="authority.amount",
                    reason=words[0],
                    state="refused",
                    asked_by=signer.person_id,
                    asked_at=AT,
                    due_at=AT,
                    decision_reason=words[1],
                    statement="{}",
                    proof="00",
                ),
                FormFieldRow(
                    agreement_id=bench.agreement,
                    number=1,
                    name=words[2],
                    field=signer.field,
                    label=words[2],
                    required=True,
                    page=1,
                    width=100,
                    preset=words[4],
                    options=f'["{words[4]}"]',
                ),
                FormValueRow(
                    signer_id=signer.id,
                    name=words[2],
                    agreement_id=bench.agreement,
                    value=words[3],
                    saved_at=AT,
                    old=words[4],
                ),
                ArchiveRow(
                    agreement_id=bench.agreement,
                    number=1,
                    base_sha256="00" * 32,
                    sha256=lasting,
                    size_bytes=1,
                    level="B-LTA",
                    stamped_at=AT,
                    due_at=AT,
                    created_at=AT,
                ),
            ]
        )
    assert all(one in bench.dump() for one in words)
    at = bench.until(bench.agreement)
    for _ in range(2):  # a second time changes nothing and names the same files
        erased = bench(erasure.erase, bench.agreement, at=at)
        after = bench.dump()
        assert [one for one in words if one in after] == []
        assert lasting in erased.files


def test_a_partys_seals_ties_and_answers_go_too(bench):
    lone, other = bench.register("manufacturer"), bench.donor.organisation.id
    mine = lone.organisation.id
    words = ["印章己（虚构）", "关系庚（虚构）", "原因辛（虚构）", "号码壬（虚构）"]
    picture, paper = (bench.ports.blobs.put(one) for one in (b"a seal", b"a register"))
    with store.transaction(bench.ports.sessions) as session:
        session.add_all(
            [
                SealRow(
                    id=derived_id("sea", at=AT, seed="erased"),
                    organisation_id=mine,
                    kind="organisation",
                    name=words[0],
                    source="drawn",
                    design=json.dumps({"text": words[0]}, ensure_ascii=False),
                    width_mm=40,
                    height_mm=40,
                    page_sha256=picture,
                    picture_sha256=picture,
                    state="destroyed",
                    valid_from=AT,
                    valid_to=AT,
                    made_by=lone.person.id,
                    created_at=AT,
                    changed_at=AT,
                ),
                RelatedPartyRow(
                    id=derived_id("rel", at=AT, seed="erased"),
                    first_id=other,
                    second_id=mine,
                    kind="family",
                    evidence=words[1],
                    evidence_sha256=paper,
                    evidence_type="image/png",
                    valid_from=AT.date(),
                    state="ended",
                    end_reason=words[2],
                    reason=words[2],
                    fingerprint="{}",
                    created_by=lone.account.id,
                    created_at=AT,
                ),
            ]
        )
        check = session.query(IdentityCheckRow).filter_by(party_id=mine).first()
        check.answer = json.dumps({"reference": words[3]}, ensure_ascii=False)
        evidence = check.evidence_sha256
    before = bench.dump()
    assert all(one in before for one in (*words, evidence))
    erased = bench(erasure.erase, mine)
    after = bench.dump()
    assert [one for one in (*words, evidence) if one in after] == []
    assert {picture, paper} <= set(erased.files)


@pytest.mark.parametrize("state", ["open", "dismissed"])
def test_what_a_party_objected_to_goes_with_its_entries_and_holds_nothing_up(bench, state):
    lone = bench.register("manufacturer")
    said, answer = "异议癸（虚构）", "答复子（虚构）"
    row = ObjectionRow(
        id=derived_id("obj", at=AT, seed="erased"),
        round_id=derived_id("rnd", at=AT, seed="erased"),
        organisation_id=lone.organisation.id,
        reason="other",
        statement=said,
        state=state,
        answer=answer,
        fingerprint="{}",
        created_by=lone.account.id,
        created_at=AT,
    )
    entry = log.NewEntry(
        id=derived_id("ent", at=AT, seed="objected"),
        type="objection.filed",
        at=AT,
        subject=row.id,
        actor=lone.account.id,
        body={"objection": row.id, "statement": said},
    )
    with store.transaction(bench.ports.sessions) as session:
        session.add(closed_round(row.round_id, at=AT))
        session.flush()
        session.add(row)
        log.record(session, bench.ports.vault, entry)
        assert bench.ports.vault.get(session, entry.id).body["statement"] == said
    assert all(one in bench.dump() for one in (said, answer))
    for _ in range(2):
        bench(erasure.erase, lone.organisation.id)
        after = bench.dump()
        assert [one for one in (said, answer) if one in after] == []
    with store.transaction(bench.ports.sessions) as session:
        kept = session.get_one(ObjectionRow, row.id)
        assert kept.state == ("withdrawn" if state == "open" else state)
        with pytest.raises(ConflictError) as fault:
            bench.ports.vault.get(session, entry.id)
        assert fault.value.error_code == "vault.restricted"


@pytest.mark.parametrize("state", ["open", "refused"])
def test_what_a_party_claimed_goes_with_its_entries_and_waits_for_nobody(bench, state):
    lone = bench.register("manufacturer")
    said, reason = "认领丑（虚构）", "理由寅（虚构）"
    with store.transaction(bench.ports.sessions) as session:
        offer = unclaimed_offer(at=AT)
        session.add(offer)
        session.flush()
        row = OfferClaimRow(
            id=derived_id("clm", at=AT, seed="erased"),
            offer_id=offer.id,
            organisation_id=lone.organisation.id,
            statement=said,
            state=state,
            reason=reason,
            claimed_by=lone.account.id,
            claimed_at=AT,
        )
        entry = log.NewEntry(
            id=derived_id("ent", at=AT, seed="claimed"),
            type="offer.claimed",
            at=AT,
            subject=row.id,
            actor=lone.account.id,
            body={"claim": row.id, "offer": offer.id, "statement": said},
        )
        session.add(row)
        log.record(session, bench.ports.vault, entry)
    assert all(one in bench.dump() for one in (said, reason))
    for _ in range(2):
        bench(erasure.erase, lone.organisation.id)
        after = bench.dump()
        assert [one for one in (said, reason) if one in after] == []
    with store.transaction(bench.ports.sessions) as session:
        kept = session.get_one(OfferClaimRow, entry.subject)
        assert kept.state == ("withdrawn" if state == "open" else state)
        with pytest.raises(ConflictError) as fault:
            bench.ports.vault.get(session, entry.id)
        assert fault.value.error_code == "vault.restricted"


def unclaimed_offer(*, at):
    return OfferRow(
        id=derived_id("off", at=at, seed="claimed"),
        kind="lot",
        donor_name="虚构捐赠者",
        donor_kind="company",
        item="cap",
        quantity=1,
        windows=1,
        available_on=at.date(),
        batch_number="虚构-1",
        certificate=0,
        sterile=False,
        province="湖北",
        city="武汉市",
        longitude_micro=0,
        latitude_micro=0,
        directed_to=[],
        related_to=[],
        frozen=False,
        generated=False,
        defaults=[],
        state="open",
        created_by="system",
        created_at=at,
    )


def closed_round(round_id, *, at):
    return RoundRow(
        id=round_id,
        state="closed",
        as_of=at.date(),
        needs=0,
        lots=0,
        policy="",
        policy_sha256="",
        inputs_sha256="",
        created_by="system",
        opened_at=at,
    )


# ------------------------------------------------------------------ the command line
def test_the_operator_does_it_from_the_command_line(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("FUQI_HOME", str(bench.ports.settings.home))
    monkeypatch.setattr(log_commands, "now", lambda: AT)

    def run(*arguments):
        result = CliRunner().invoke(log_commands.app, list(arguments))
        if isinstance(result.exception, Exception):
            raise result.exception
        return result.output

    person = bench.donor.person.id
    until = bench.until(person)
    assert run("retention", person).split() == [utc_text(until), "CC-188"]
    assert "restricted" in run("restrict", person, "--basis", BASIS)
    with pytest.raises(ConflictError) as caught:
        run("erase", bench.agreement, "--basis", BASIS)
    assert caught.value.error_code == "retention.keeps"
    monkeypatch.setattr(log_commands, "now", lambda: until)
    assert "erased, 0 files" not in run("erase", bench.agreement, "--basis", BASIS)
    assert "erased, 0 files" in run("erase", person, "--basis", BASIS)
    assert bench.row(PartyRow, person).name == erasure.ERASED


# ------------------------------------------------------------------ refusals
def test_only_the_operator_may_and_must_say_why(bench):
    person = bench.donor.person.id
    for action in (erasure.restrict, erasure.erase):
        bench.refused(ForbiddenError, action, person, caller=caller_of(bench.donor))
    for basis in ("", "  ", "x" * 201):
        error = bench.refused(InputError, erasure.restrict, person, basis=basis)
        assert error.error_code == "erasure.basis"


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("pty_00000000000000000000000000", NotFoundError),
        ("agr_00000000000000000000000000", NotFoundError),
        ("rnd_00000000000000000000000000", InputError),
        ("", InputError),
    ],
)
def test_what_is_not_there_or_no_subject_of_erasure_is_refused(bench, subject, kind):
    for action in (erasure.restrict, erasure.erase):
        assert isinstance(bench.refused(FuqiError, action, subject), kind)
