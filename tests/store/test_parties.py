"""Real-name parties on both databases: registered once, authorised by their own, certified when checked.

Every identity here is invented.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from api.callers import OPERATOR, Caller, Role
from api.compose import open_ports
from api.flows import parties
from api.flows.parties import NewAuthorisation, NewParty
from api.settings import Settings
from ledger import store
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    ForbiddenError,
    FuqiError,
    InputError,
    NotFoundError,
    UnavailableError,
)
from ledger.core.ids import derived_id
from ledger.tables.log import EntryRow
from ledger.tables.parties import AuthorisationRow, CertificateRow, PartyRow
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id, invented_uscc
from signing.keys.device import DeviceKey

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
YEAR = timedelta(days=365)


def party_id(seed):
    return derived_id("pty", at=AT, seed=seed)


def organisation(seed="donor", **changes):
    fields = NewParty(
        id=party_id(seed),
        kind="organisation",
        category="donor",
        name=f"示例捐赠企业（虚构）{seed}",
        number=invented_uscc(seed),
        place="上海（虚构）",
        receiving_system="fuqi",
        consent_id="cns_example",
        invented=True,
    )
    return replace(fields, **changes)


def person(seed="handler", **changes):
    fields = NewParty(
        id=party_id(seed),
        kind="person",
        category="person",
        name="张三（虚构）",
        number=invented_resident_id(seed, birth=date(1988, 3, 14)),
        place="",
        receiving_system="",
        consent_id="cns_example",
        invented=True,
    )
    return replace(fields, **changes)


def caller(org="donor", who="handler", *roles):
    return Caller(
        account_id=derived_id("acc", at=AT, seed=f"{org}/{who}"),
        person_id=party_id(who),
        organisation_id=party_id(org),
        roles=frozenset(roles or (Role.HANDLER, Role.ADMIN)),
    )


class Bench:
    def __init__(self, url, folder):
        self.ports = open_ports(Settings(home=folder, database_url=SecretStr(url)), at=AT)

    def register(self, party, *, at=AT):
        return parties.verify_and_register(self.ports, party, at=at)

    def grant(self, by=None, *, at=AT, **changes):
        fields = {
            "id": derived_id("aut", at=AT, seed="one"),
            "organisation_id": party_id("donor"),
            "person_id": party_id("handler"),
            "matters": frozenset({"donation"}),
            "powers": frozenset({"sign", "consent"}),
            "valid_from": AT,
            "valid_to": AT + YEAR,
        }
        new = NewAuthorisation(**{**fields, **changes})
        with store.transaction(self.ports.sessions) as session:
            return parties.grant_authorisation(session, self.ports, by or caller(), new, at=at)

    def revoke(self, authorisation, by=None, *, at=AT):
        with store.transaction(self.ports.sessions) as session:
            return parties.revoke_authorisation(
                session, self.ports, by or caller(), authorisation, reason="left", at=at
            )

    def certify(self, key, by=None, *, org="donor", who="handler", at=AT, csr=None):
        subject = CertificateSubject(common_name="ignored")
        with store.transaction(self.ports.sessions) as session:
            return parties.issue_certificate(
                session,
                self.ports,
                by or caller(),
                organisation_id=party_id(org),
                person_id=party_id(who),
                csr_der=key.csr(subject) if csr is None else csr,
                at=at,
            )

    def rows(self, table):
        with store.transaction(self.ports.sessions) as session:
            return session.scalars(select(table)).all()

    def entries(self):
        with store.transaction(self.ports.sessions) as session:
            found = session.scalars(select(EntryRow).order_by(EntryRow.order)).all()
            return [(row.type, self.ports.vault.get(session, row.id).body) for row in found]

    def kinds(self):
        return [kind for kind, _ in self.entries()]


@pytest.fixture
def bench(database_url, tmp_path):
    made = Bench(database_url, tmp_path)
    yield made
    made.ports.engine.dispose()


@pytest.fixture
def pair(bench):
    """An organisation and its handler, registered; nothing granted yet."""
    bench.register(organisation())
    bench.register(person())
    return bench


@pytest.fixture
def ready(pair):
    pair.grant()
    return pair


def refused(kind, code, action, *arguments, bench, **named):
    """`action` is refused with exactly this code and nothing at all was recorded."""
    tables = (PartyRow, AuthorisationRow, CertificateRow, EntryRow)
    before = [len(bench.rows(table)) for table in tables]
    with pytest.raises(FuqiError) as caught:
        action(*arguments, **named)
    assert caught.value.error_code == code
    assert isinstance(caught.value, kind)
    assert [len(bench.rows(table)) for table in tables] == before
    return caught.value


# ------------------------------------------------------------------ registration
def test_a_party_is_checked_sealed_and_recorded(bench):
    party = organisation()
    row = bench.register(party)
    assert (row.level, row.invented, row.name) == (1, True, party.name)
    assert party.number not in (row.number_masked, row.number_index, row.fingerprint)
    assert party.number.encode() not in row.number_sealed
    (registered, checked) = bench.entries()
    assert (registered[0], checked[0]) == ("party.registered", "identity.checked")
    for _, body in (registered, checked):
        assert party.number not in str(body)
    assert registered[1]["number_commitment"] == row.number_commitment
    assert checked[1]["mock"] is True
    with store.transaction(bench.ports.sessions) as session:
        opened = bench.ports.vault.open_value(
            session, row.number_sealed, subject=row.id, name="number"
        )
    assert opened["number"] == party.number


def test_the_same_registration_again_is_the_same_party(bench):
    first = bench.register(organisation())
    again = bench.register(organisation(), at=AT + timedelta(days=1))
    assert (again.id, again.created_at) == (first.id, AT)
    assert len(bench.kinds()) == 2
    # Typed with spaces or in small letters it is the same number.
    assert bench.register(organisation(number=invented_uscc("donor").lower())).id == first.id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"category": "hospital"}, "category"),
        ({"name": "别的名字（虚构）"}, "name"),
        ({"number": invented_uscc("other")}, "number"),
        ({"place": "北京（虚构）"}, "place"),
        ({"receiving_system": "other"}, "receiving_system"),
        ({"invented": False}, "invented"),
        ({"place": "北京（虚构）", "name": "别的名字（虚构）"}, "name"),
    ],
)
def test_a_changed_registration_names_the_first_field(bench, change, field):
    bench.register(organisation())
    found = refused(
        ExistsWithDifferentFieldError,
        "state.exists_with_different_field",
        bench.register,
        organisation(**change),
        bench=bench,
    )
    assert found.context["field"] == field


@pytest.mark.parametrize(
    ("party", "code"),
    [
        (organisation(id="pty_short"), "id.malformed"),
        (organisation(id=party_id("x") + "\n"), "id.malformed"),
        (organisation(id=derived_id("agr", at=AT, seed="x")), "id.malformed"),
        (organisation(name=""), "party.name"),
        (organisation(name="  "), "party.name"),
        (organisation(name="名" * 65), "party.name"),
        (organisation(name=" 名"), "party.name"),
        (person(name="名" * 22), "party.name"),  # more than a certificate's common name takes
        (person(name="张\n三"), "party.name"),
        (person(name="张三\u202e四"), "font.unprintable"),
        (person(name="张三\x00"), "font.unprintable"),
        (person(name="张\ue000"), "font.unprintable"),
        (organisation(place="地" * 201), "party.text"),
        (organisation(receiving_system="x" * 201), "party.text"),
        (organisation(category="bank"), "party.category"),
        (organisation(category="person"), "party.category"),
        (person(category="donor"), "party.category"),
        (organisation(consent_id=""), "identity.consent_missing"),
    ],
)
def test_a_malformed_registration_is_refused_and_records_nothing(bench, party, code):
    refused(InputError, code, bench.register, party, bench=bench)


@pytest.mark.parametrize("number", ["", "1", "91310000MA1FL0000X", "9" * 18, "不是号码"])
def test_a_number_that_cannot_be_right_is_refused_before_anybody_is_asked(bench, number):
    with pytest.raises(InputError) as caught:
        bench.register(organisation(number=number))
    assert caught.value.error_code.startswith("identity.")
    assert number == "" or number not in str(caught.value.context)
    assert bench.rows(PartyRow) == []


def test_the_longest_name_is_taken(bench):
    assert bench.register(organisation(name="名" * 64, place="地" * 200)).name == "名" * 64
    assert bench.register(person(name="名" * 21)).name == "名" * 21


def test_one_number_belongs_to_one_party(bench):
    bench.register(organisation())
    second = organisation(id=party_id("second"))
    refused(ConflictError, "party.number_taken", bench.register, second, bench=bench)
    # The message says nothing about who holds it.
    assert party_id("donor") not in str(
        refused(ConflictError, "party.number_taken", bench.register, second, bench=bench).context
    )


def test_a_number_sent_under_many_ids_at_once_makes_one_party(bench):
    outcomes = Counter()
    start = threading.Barrier(4)

    def register(number):
        start.wait()
        try:
            bench.register(organisation(id=party_id(f"racer {number}")))
        except ConflictError as exc:
            outcomes[exc.error_code] += 1
        else:
            outcomes["registered"] += 1

    threads = [threading.Thread(target=register, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.pop("registered") == 1
    assert set(outcomes) <= {"party.number_taken", "concurrent_write"}
    assert len(bench.rows(PartyRow)) == 1
    assert len(bench.kinds()) == 2


def test_a_name_that_no_source_knows_is_kept_at_level_zero(bench):
    row = bench.register(organisation(name="示例无记录（虚构）"))
    assert row.level == 0
    assert "identity.no_data" in row.level_reason


@pytest.mark.parametrize(
    ("word", "error", "code"),
    [
        ("不符", InputError, "identity.mismatch"),
        ("故障", UnavailableError, "identity.source_down"),
    ],
)
def test_a_mismatch_or_an_outage_registers_nobody(bench, word, error, code):
    refused(error, code, bench.register, organisation(name=f"示例{word}（虚构）"), bench=bench)
    assert bench.rows(PartyRow) == []


# ------------------------------------------------------------------ authority
def test_an_admin_grants_authority_in_its_own_house(pair):
    row = pair.grant()
    kind, body = pair.entries()[-1]
    assert kind == "authorisation.granted"
    assert body["authorisation"] == parties.authorisation_of(row).as_json()
    assert pair.grant(by=OPERATOR).id == row.id  # the same grant again
    assert pair.kinds().count("authorisation.granted") == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"matters": frozenset({"manufacturing"})}, "matters"),
        ({"powers": frozenset({"read"})}, "powers"),
        ({"valid_to": AT + timedelta(days=1)}, "valid_to"),
        ({"amount_max_minor": 1}, "amount_max_minor"),
        ({"seal_scope": "seal_one"}, "seal_scope"),
    ],
)
def test_a_changed_grant_names_the_field(ready, change, field):
    found = refused(
        ExistsWithDifferentFieldError,
        "state.exists_with_different_field",
        ready.grant,
        bench=ready,
        **change,
    )
    assert found.context["field"] == field


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"by": caller("donor", "handler", Role.HANDLER)}, ForbiddenError, "auth.role"),
        ({"by": caller("donor", "handler", Role.ARBITRATOR)}, ForbiddenError, "auth.role"),
        ({"by": caller("other", "handler")}, NotFoundError, "not_found"),
        ({"id": "aut_short"}, InputError, "id.malformed"),
        ({"person_id": party_id("nobody")}, NotFoundError, "party.not_found"),
        ({"person_id": party_id("donor")}, NotFoundError, "party.not_found"),
        ({"by": OPERATOR, "organisation_id": party_id("nobody")}, NotFoundError, "party.not_found"),
        (
            {"by": OPERATOR, "organisation_id": party_id("handler")},
            NotFoundError,
            "party.not_found",
        ),
        ({"valid_to": AT}, InputError, "authorisation.period"),
        ({"valid_to": AT - YEAR}, InputError, "authorisation.period"),
        ({"valid_to": AT + timedelta(days=366, seconds=1)}, InputError, "authorisation.period"),
        ({"matters": frozenset()}, InputError, "authority.malformed"),
        ({"powers": frozenset({"*"})}, InputError, "authority.malformed"),
        ({"amount_max_minor": -1}, InputError, "authority.malformed"),
    ],
)
def test_a_grant_that_may_not_be_is_refused_and_records_nothing(pair, change, kind, code):
    refused(kind, code, pair.grant, bench=pair, **change)


def test_a_revoked_authority_is_over_at_once_and_for_good(ready):
    (granted,) = ready.rows(AuthorisationRow)
    refused(NotFoundError, "not_found", ready.revoke, granted.id, caller("other"), bench=ready)
    refused(
        ForbiddenError,
        "auth.role",
        ready.revoke,
        granted.id,
        caller("donor", "handler", Role.HANDLER),
        bench=ready,
    )
    refused(NotFoundError, "not_found", ready.revoke, "aut_none", bench=ready)
    later = AT + timedelta(hours=1)
    assert ready.revoke(granted.id, at=later).revoked_at == later
    assert ready.revoke(granted.id, at=later + YEAR).revoked_at == later
    assert ready.kinds().count("authorisation.revoked") == 1


# ------------------------------------------------------------------ certificates
def test_a_checked_handler_gets_one_certificate_for_its_key(ready):
    key = DeviceKey.create()
    row = ready.certify(key)
    assert row.chain
    assert ready.certify(key, at=AT + timedelta(days=1)).serial == row.serial
    kind, body = ready.entries()[-1]
    assert (kind, body["serial"]) == ("certificate.issued", row.serial)
    assert "不" in body["label"] or "非" in body["label"]  # says that it is no licensed CA
    assert ready.kinds().count("certificate.issued") == 1


def test_a_crash_after_issuing_finds_the_same_certificate_again(ready):
    key = DeviceKey.create()

    def issue_and_die():
        with store.transaction(ready.ports.sessions) as session:
            parties.issue_certificate(
                session,
                ready.ports,
                caller(),
                organisation_id=party_id("donor"),
                person_id=party_id("handler"),
                csr_der=key.csr(CertificateSubject(common_name="ignored")),
                at=AT,
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        issue_and_die()
    assert ready.rows(CertificateRow) == []
    (issued,) = ready.ports.authority.issued_for(key.public_spki)
    assert ready.certify(key).serial == issued.serial_hex
    assert len(ready.ports.authority.issued_for(key.public_spki)) == 1


def test_nobody_gets_a_certificate_for_somebody_else(ready):
    key = DeviceKey.create()
    ready.register(organisation("other"))
    ready.register(person("stranger"))
    for by in (caller("other", "handler"), caller("donor", "stranger")):
        refused(NotFoundError, "not_found", ready.certify, key, by, bench=ready)
    refused(NotFoundError, "not_found", ready.certify, key, OPERATOR, who="nobody", bench=ready)
    assert ready.certify(key, OPERATOR).person_id == party_id("handler")


def test_a_handler_without_authority_gets_no_certificate(pair):
    key = DeviceKey.create()
    code = "certificate.no_authority"
    refused(ForbiddenError, code, pair.certify, key, bench=pair)
    granted = pair.grant()
    refused(ForbiddenError, code, pair.certify, key, at=AT + YEAR, bench=pair)
    pair.revoke(granted.id)
    refused(ForbiddenError, code, pair.certify, key, bench=pair)


def test_an_unconfirmed_name_gets_no_certificate(bench):
    bench.register(organisation(name="示例无记录（虚构）"))
    bench.register(person())
    bench.grant()
    key = DeviceKey.create()
    refused(ForbiddenError, "certificate.level", bench.certify, key, bench=bench)


def test_a_key_serves_one_holder_only(ready):
    key = DeviceKey.create()
    ready.certify(key)
    ready.register(person("second"))
    ready.grant(id=derived_id("aut", at=AT, seed="two"), person_id=party_id("second"))
    refused(
        ConflictError,
        "certificate.other_holder",
        ready.certify,
        key,
        caller("donor", "second"),
        who="second",
        bench=ready,
    )


def test_a_request_that_its_key_did_not_sign_is_refused(ready):
    good = DeviceKey.create().csr(CertificateSubject(common_name="ignored"))
    for csr, code in (
        (b"", "ca.csr_malformed"),
        (good[:-1], "ca.csr_malformed"),
        (good[:-1] + bytes([good[-1] ^ 1]), "ca.csr_signature"),
    ):
        refused(InputError, code, ready.certify, None, csr=csr, bench=ready)
