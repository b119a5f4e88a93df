"""Authority: the legal representative, signed letters, the table of levels, ratification."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from api.callers import Caller, Role
from api.flows import agreements, authority, parties, places, ratification, signatures
from api.flows import verification_levels as levels
from api.flows.erasure import retention_of
from api.flows.evidence import installation_trust
from api.flows.exporting import export_bundle
from api.flows.registration import NewHandler, Registered, add_handler, register
from api.flows.verification_levels_asking import ask
from api.flows.verification_levels_codes import answer
from api.testing import PASSWORD, caller_of, invented_pdf, invented_registration
from api.worker import settle
from arbitration.bundle import read_bundle
from arbitration.checks import signer_authorisation, signer_letter
from arbitration.checks.all import verify_bundle
from arbitration.checks.context import open_context
from arbitration.contents import Purpose
from arbitration.policy import Trust
from ledger.core.canonical import canonical_parse
from ledger.core.errors import ConflictError, FuqiError, InputError
from ledger.core.ids import new_id
from ledger.core.report import Verdict
from ledger.embedded_chain import open_embedded_chain
from ledger.queries import agreements as agreement_queries
from ledger.queries import parties as party_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.log import EntryRow
from ledger.tables.notices import NoticeRow
from ledger.tables.parties import AuthorisationRow, PartyRow, RatificationRow
from signing.ca import CertificateSubject
from signing.identity import Basis, invented_resident_id
from signing.identity_policy import BUILT_IN, TRIAL, LevelPolicy, PolicyRow, read_policy
from signing.intent import intent_message
from signing.keys.device import DeviceKey
from signing.ratification_intent import ratification_message

YUAN = 100


@dataclass
class Desk:
    """An organisation with its legal representative (who registered it) and a handler, each with a key."""

    world: Any
    boss: Registered
    clerk: Caller
    keys: dict[str, DeviceKey]
    place: str

    @property
    def ports(self) -> Any:
        return self.world.app.state.shell.ports

    @property
    def at(self) -> Any:
        return self.world.clock.at

    @property
    def head(self) -> Caller:
        return caller_of(self.boss)

    def write(self, act: Callable[[Any], Any]) -> Any:
        with transaction(self.ports.sessions) as session:
            return act(session)

    def publish(self, who: Caller, amount: int | None = None, *, ports: Any = None) -> str:
        """An agreement that `who` signs alone for the organisation; returns the place."""

        def act(session: Any) -> str:
            row = agreements.create_from_upload(
                session,
                ports or self.ports,
                self.head,
                agreements.NewAgreement(
                    id=new_id("agr", at=self.at),
                    title="虚构协议",
                    matter="donation",
                    no_amount=amount is None,
                    signers=(
                        agreements.SignerSpec(who.organisation_id or "", who.person_id or "", "x"),
                    ),
                    expires_at=self.at + timedelta(days=60),
                    amount_minor=amount,
                ),
                data=invented_pdf(pages=1),
                at=self.at,
            )
            return str(agreement_queries.signers_of(session, row.id)[0].id)

        return str(self.write(act))

    def certify(self, who: Caller) -> None:
        key = self.keys[who.person_id or ""]
        subject = CertificateSubject(common_name="invented", organisation=None, reference="x")
        self.write(
            lambda session: parties.issue_certificate(
                session,
                self.ports,
                who,
                organisation_id=who.organisation_id or "",
                person_id=who.person_id or "",
                csr_der=key.csr(subject),
                at=self.at,
            )
        )

    def sign(self, who: Caller, place: str) -> None:
        key = self.keys[who.person_id or ""]
        at, ports = self.at, self.ports

        def affirm(session: Any, act: str) -> None:
            made = signatures.make_statement(session, who, place, act=act, at=at)
            value = canonical_parse(made.statement.encode())
            assert isinstance(value, dict)
            proof = key.sign(intent_message(value))
            signatures.express_intent(session, ports, who, made.id, proof=proof, at=at)

        def act(session: Any) -> None:
            signer = session.get_one(SignerRow, place)
            row = session.get_one(AgreementRow, signer.agreement_id)
            agreements.read_document(session, ports, who, place, pages=row.pages, seconds=9, at=at)
            affirm(session, "consent")
            affirm(session, "sign")
            prepared = signatures.prepare_signature(session, ports, who, place, at=at)
            signatures.complete_signature(
                session,
                ports,
                who,
                prepared.id,
                signature=key.sign(bytes.fromhex(prepared.signed_attrs)),
                at=at,
            )

        self.write(act)

    def agreement_of(self, place: str) -> AgreementRow:
        with transaction(self.ports.readers) as session:
            signer = session.get_one(SignerRow, place)
            return session.get_one(AgreementRow, signer.agreement_id)

    def limit(self, who: Caller, *, yuan: int) -> None:
        """Leave `who` one declared authority with a limit."""

        def act(session: Any) -> None:
            held = party_queries.authorisations_of(
                session, organisation_id=who.organisation_id or "", person_id=who.person_id
            )
            for row in held:
                parties.revoke_authorisation(
                    session, self.ports, self.head, row.id, reason="invented", at=self.at
                )
            parties.grant_authorisation(
                session,
                self.ports,
                self.head,
                parties.NewAuthorisation(
                    id=new_id("aut", at=self.at),
                    organisation_id=who.organisation_id or "",
                    person_id=who.person_id or "",
                    matters=frozenset({"donation"}),
                    powers=frozenset({"consent", "sign"}),
                    valid_from=self.at,
                    valid_to=self.at + timedelta(days=90),
                    amount_max_minor=yuan * YUAN,
                ),
                at=self.at,
            )

        self.write(act)


def number_of(name: str, *, birth: date = date(1990, 1, 1)) -> str:
    return invented_resident_id(name, birth=birth)


@pytest.fixture(scope="module")
def made_desks(world: Any) -> dict[str, int]:
    return {"count": 0}


@pytest.fixture
def desk(world: Any, made_desks: dict[str, int]) -> Iterator[Desk]:
    made_desks["count"] += 1
    name = f"authority-{made_desks['count']}"
    ports, at = world.app.state.shell.ports, world.clock.at
    boss = register(ports, invented_registration(name, "donor", at=at), at=at)
    clerk_name = f"{name}-clerk"
    handler = NewHandler(
        person_id=new_id("pty", at=at),
        account_id=new_id("acc", at=at),
        authorisation_id=new_id("aut", at=at),
        name="虚构经办",
        number=number_of(clerk_name, birth=date(1980, 1, made_desks["count"])),
        consent_id=new_id("cst", at=at),
        login=clerk_name,
        password=PASSWORD,
        invented=True,
    )
    account = add_handler(ports, caller_of(boss), handler, at=at)
    clerk = Caller(account.id, handler.person_id, boss.organisation.id, frozenset({Role.HANDLER}))
    keys = {boss.person.id: DeviceKey.create(), handler.person_id: DeviceKey.create()}
    made = Desk(world, boss, clerk, keys, name)
    made.certify(made.head)
    made.certify(clerk)
    before = world.clock.at
    yield made
    world.clock.at = before


def know_representative(desk: Desk) -> None:
    view = ask(
        desk.ports,
        desk.head,
        levels.NewCheck(
            id=new_id("chk", at=desk.at),
            party_id=desk.boss.organisation.id,
            kind="organisation_representative",
            factors={
                "representative": "虚构人",
                "representative_number": number_of(desk.place),
            },
            consent_id=new_id("cst", at=desk.at),
        ),
        at=desk.at,
    )
    assert view.check.status == "match"


def propose(desk: Desk, **changes: Any) -> AuthorisationRow:
    new = authority.NewLetter(
        id=new_id("aut", at=desk.at),
        agreement_id=new_id("agr", at=desk.at),
        person_id=desk.clerk.person_id or "",
        matters=frozenset({"donation"}),
        powers=frozenset({"consent", "sign"}),
        valid_from=desk.at,
        valid_to=desk.at + timedelta(days=30),
        amount_max=1000 * YUAN,
    )
    new = replace(new, **changes)
    return desk.write(
        lambda session: authority.propose_letter(session, desk.ports, desk.head, new, at=desk.at)
    )


def letter_place(desk: Desk, row: AuthorisationRow) -> str:
    with transaction(desk.ports.readers) as session:
        return str(agreement_queries.signers_of(session, row.agreement_id or "")[0].id)


def refused(code: str, act: Callable[[], Any]) -> None:
    with pytest.raises(FuqiError) as caught:
        act()
    assert caught.value.error_code == code


def authorities(desk: Desk, who: Caller) -> list[str]:
    with transaction(desk.ports.readers) as session:
        held = party_queries.authorisations_of(
            session, organisation_id=who.organisation_id or "", person_id=who.person_id
        )
        return [row.basis for row in held if row.revoked_at is None]


def exported(desk: Desk, place: str) -> tuple[bytes, Trust]:
    """The bundle of a formed agreement, over a real chain, and what a stranger pins."""
    chain = open_embedded_chain(desk.ports.settings.home / "chain")
    try:
        settle(desk.ports, chain, clock=lambda: desk.at)
    finally:
        chain.close()
    agreement = desk.agreement_of(place)
    with transaction(desk.ports.sessions) as session:
        _, data = export_bundle(
            desk.ports,
            desk.head,
            agreement_id=agreement.id,
            bundle_id=new_id("bun", at=desk.at),
            purpose=Purpose.PARTY,
            recipient="invented",
            at=desk.at,
        )
        return data, installation_trust(session, desk.ports, at=desk.at)


def bundle_check(desk: Desk, place: str, code: str = signer_authorisation.CODE) -> Any:
    """What one of the bundle's checks says."""
    data, trust = exported(desk, place)
    report = verify_bundle(data, trust=trust, at=desk.at)
    found = {check.code: check for check in report.checks}
    others = [
        check.code
        for check in report.checks
        if check.verdict is Verdict.FAILED and check.code != signer_authorisation.CODE
    ]
    assert others == []
    return found[code]


def test_a_letter_counts_once_the_representative_has_signed_it(desk: Desk) -> None:
    refused("authority.no_representative", lambda: propose(desk))
    know_representative(desk)
    assert sorted(authorities(desk, desk.head)) == ["declared", "statutory"]
    row = propose(desk)
    assert authorities(desk, desk.clerk) == ["declared"]
    desk.sign(desk.head, letter_place(desk, row))
    assert sorted(authorities(desk, desk.clerk)) == ["declared", "signed"]
    assert desk.agreement_of(letter_place(desk, row)).state == "formed"
    with transaction(desk.ports.readers) as session:
        (entry,) = [
            body
            for one in session.scalars(
                select(EntryRow).where(
                    EntryRow.type == "authorisation.granted",
                    EntryRow.subject == desk.boss.organisation.id,
                )
            )
            if (body := desk.ports.vault.get(session, one.id).body["authorisation"])["id"] == row.id
        ]
        checks = levels.queries.checks_of(session, [desk.boss.organisation.id])
    assert (entry["v"], entry["basis"], entry["agreement"]) == (
        "fuqi/authorisation/v2",
        "signed",
        row.agreement_id,
    )
    letter = next(one for one in checks if one.kind == "organisation_representative_letter")
    assert (letter.status, letter.source_id, letter.mock) == ("match", row.agreement_id, True)


def test_nobody_but_the_representative_gives_letters(desk: Desk) -> None:
    know_representative(desk)
    refused("authority.reserved", lambda: propose(desk, matters=frozenset({"authorisation"})))
    refused("authority.reserved", lambda: propose(desk, powers=frozenset({"ratify"})))
    refused("auth.role", lambda: propose_as(desk, desk.clerk))
    refused("authorisation.period", lambda: propose(desk, valid_to=desk.at + timedelta(days=367)))
    declared = parties.NewAuthorisation(
        id=new_id("aut", at=desk.at),
        organisation_id=desk.boss.organisation.id,
        person_id=desk.clerk.person_id or "",
        matters=frozenset({"authorisation"}),
        powers=frozenset({"sign"}),
        valid_from=desk.at,
        valid_to=desk.at + timedelta(days=1),
    )
    refused(
        "authority.reserved",
        lambda: desk.write(
            lambda s: parties.grant_authorisation(s, desk.ports, desk.head, declared, at=desk.at)
        ),
    )


def propose_as(desk: Desk, who: Caller) -> Any:
    new = authority.NewLetter(
        id=new_id("aut", at=desk.at),
        agreement_id=new_id("agr", at=desk.at),
        person_id=who.person_id or "",
        matters=frozenset({"donation"}),
        powers=frozenset({"sign"}),
        valid_from=desk.at,
        valid_to=desk.at + timedelta(days=1),
    )
    return desk.write(
        lambda session: authority.propose_letter(session, desk.ports, who, new, at=desk.at)
    )


def test_a_letter_in_other_hands_is_neither_signed_nor_ratified(desk: Desk) -> None:
    know_representative(desk)
    place = letter_place(desk, propose(desk))
    taken = desk.write(
        lambda session: places.forward(
            session,
            desk.ports,
            desk.head,
            place,
            to_person=desk.clerk.person_id or "",
            reason="invented",
            at=desk.at,
        )
    )
    refused("authority.matter", lambda: ask_to_ratify(desk, taken.id))
    refused("authority.matter", lambda: desk.sign(desk.clerk, taken.id))
    assert authorities(desk, desk.clerk) == ["declared"]


def test_the_same_letter_again_is_the_same_and_a_changed_one_is_named(desk: Desk) -> None:
    know_representative(desk)
    ids = {"id": new_id("aut", at=desk.at), "agreement_id": new_id("agr", at=desk.at)}
    assert propose(desk, **ids).id == propose(desk, **ids).id
    with pytest.raises(ConflictError) as caught:
        propose(desk, **ids, amount_max=1)
    assert caught.value.context["field"] == "amount_max"


def test_a_large_amount_needs_levels_and_a_signed_letter(desk: Desk) -> None:
    large = 1_000_000_000
    refused("identity.level_too_low", lambda: desk.publish(desk.clerk, large))
    know_representative(desk)
    policy = LevelPolicy("invented", (PolicyRow("donation", 100 * YUAN, 1, 1, Basis.SIGNED),))
    shell = desk.world.app.state.shell
    desk.world.app.state.shell = replace(shell, ports=replace(shell.ports, levels=policy))
    try:
        place = desk.publish(desk.clerk, 100 * YUAN)
        refused("authority.not_signed", lambda: desk.sign(desk.clerk, place))
        row = propose(desk, amount_max=None)
        desk.sign(desk.head, letter_place(desk, row))
        desk.sign(desk.clerk, place)
        assert desk.agreement_of(place).state == "formed"
        assert bundle_check(desk, place).verdict is Verdict.PASSED
        body = last_body(desk, place, "signature.applied")
    finally:
        desk.world.app.state.shell = shell
    assert body["authorisation"]["basis"] == "signed"
    assert body["ratification"] is None
    assert body["levels"] == {
        "person": 1,
        "organisation": 1,
        "need": {"person": 1, "organisation": 1, "authority": "signed"},
        "policy_sha256": policy.digest.hex(),
        "edition": "invented",
    }


def last_body(desk: Desk, place: str, kind: str) -> Any:
    agreement = desk.agreement_of(place)
    with transaction(desk.ports.readers) as session:
        row = session.scalars(
            select(EntryRow)
            .where(EntryRow.type == kind, EntryRow.subject == agreement.id)
            .order_by(EntryRow.order.desc())
        ).first()
        assert row is not None
        return desk.ports.vault.get(session, row.id).body


def test_a_level_that_ended_stops_the_signature_that_was_publishable(desk: Desk) -> None:
    place = desk.publish(desk.clerk)
    desk.world.clock.at += timedelta(days=59)
    with transaction(desk.ports.sessions) as session:
        row = session.get_one(PartyRow, desk.clerk.person_id)
        assert row.level == 1
        check = levels.queries.checks_of(session, [row.id])[0]
        check.checked_at = desk.at - timedelta(days=730)
    refused("identity.level_too_low", lambda: desk.sign(desk.clerk, place))


def test_channel_control_of_both_lets_them_act_from_a_hundred_thousand_yuan(desk: Desk) -> None:
    amount = 10_000_000
    refused("identity.level_too_low", lambda: desk.publish(desk.clerk, amount))
    for who, party, kind, factors in (
        (desk.clerk, desk.clerk.person_id, "person_phone_code", {"phone": "13800138000"}),
        (desk.head, desk.head.person_id, "person_phone_code", {"phone": "13800138001"}),
        (
            desk.head,
            desk.boss.organisation.id,
            "organisation_transfer",
            {"account": "62220000111122"},
        ),
    ):
        new = levels.NewCheck(
            new_id("chk", at=desk.at), party or "", kind, factors, new_id("cst", at=desk.at)
        )
        asked = ask(desk.ports, who, new, at=desk.at).asked
        assert asked is not None
        answer(desk.ports, who, new.id, text=asked.mock_answer or "", at=desk.at)
    place = desk.publish(desk.clerk, amount)
    refused("authority.not_signed", lambda: desk.sign(desk.clerk, place))
    know_representative(desk)
    row = propose(desk, amount_max=amount)
    desk.sign(desk.head, letter_place(desk, row))
    desk.sign(desk.clerk, place)
    assert desk.agreement_of(place).state == "formed"
    found = bundle_check(desk, place)
    assert f"under a signed letter ({row.agreement_id})" in found.summary_en
    assert list(found.details["bases"].values()) == ["signed"]
    letter = bundle_check(desk, place, code="signer.letter")
    assert letter.verdict is Verdict.PASSED, letter
    assert letter.details["letters"] == {row.id: row.agreement_id}


def test_a_bundle_holds_the_letter_and_an_arbitrator_finds_another_one_out(desk: Desk) -> None:
    know_representative(desk)
    row = propose(desk, amount_max=50_000 * YUAN)
    desk.sign(desk.head, letter_place(desk, row))
    place = desk.publish(desk.clerk, 9_000 * YUAN)
    desk.sign(desk.clerk, place)
    data, trust = exported(desk, place)
    context = open_context(read_bundle(data), trust=trust, at=desk.at)
    found = signer_letter.check(context)
    assert found.verdict is Verdict.PASSED, found
    [listed] = context.bundle.part(9)["letters"]
    assert (listed["authorisation"], listed["agreement"]) == (row.id, row.agreement_id)
    held = context.bundle.files[listed["path"]]
    assert hashlib.sha256(held).hexdigest() == listed["sha256"]

    def judged(change: Callable[[dict[str, bytes], dict[str, Any], dict[str, Any]], None]) -> Any:
        """After `change` of the files, of part 9 and of the opened bodies by (type, subject)."""
        bundle = context.bundle
        files, parts = dict(bundle.files), copy.deepcopy(dict(bundle.json))
        bodies = {(one.type, one.subject): copy.deepcopy(one.body) for one in bundle.events}
        change(files, parts["09-documents.json"], bodies)
        events = tuple(replace(one, body=bodies[one.type, one.subject]) for one in bundle.events)
        other = replace(bundle, files=files, json=parts, events=events)
        return signer_letter.check(replace(context, bundle=other))

    letter, agreement = row.agreement_id, context.agreement_id
    wider = {"amount_max": 90_000 * YUAN}
    for change, verdict, said in [
        (lambda _f, part, _b: part.pop("letters"), Verdict.INDETERMINATE, "not in this bundle"),
        (
            lambda files, _p, _b: files.update({listed["path"]: context.bundle.revisions()[-1]}),
            Verdict.FAILED,
            "not the file that was signed",
        ),
        (
            lambda _f, _p, bodies: bodies.update({("agreement.formed", letter): None}),
            Verdict.INDETERMINATE,
            "not opened",
        ),
        (
            lambda _f, _p, bodies: bodies["signature.applied", letter]["authorisation"].update(
                basis="signed", agreement=letter
            ),
            Verdict.FAILED,
            "not given by the legal representative",
        ),
        (
            lambda _f, _p, bodies: bodies["signature.applied", agreement]["authorisation"].update(
                wider
            ),
            Verdict.FAILED,
            "does not say",
        ),
        (
            lambda _f, part, _b: part["letters"][0].update(authorisation="aut_other"),
            Verdict.FAILED,
            "nobody relied on",
        ),
        (
            lambda _f, _p, bodies: bodies[
                "certificate.issued", bodies["signature.applied", letter]["person"]
            ].update(spki_sha256="00" * 32),
            Verdict.FAILED,
            "the log issued another certificate",
        ),
    ]:
        judgement = judged(change)
        assert judgement.verdict is verdict, judgement
        assert said in " ".join(judgement.details["problems"])


def test_a_letter_is_kept_as_long_as_what_was_signed_under_it(desk: Desk) -> None:
    know_representative(desk)
    row = propose(desk, amount_max=50_000 * YUAN)
    desk.sign(desk.head, letter_place(desk, row))

    def until(agreement_id: str | None) -> Any:
        return desk.write(lambda session: retention_of(session, str(agreement_id))).until

    def end(session: Any) -> None:
        session.get_one(AgreementRow, row.agreement_id).ended_at = desk.at

    place = desk.publish(desk.clerk, 9_000 * YUAN)
    desk.sign(desk.clerk, place)
    desk.write(end)
    signed = desk.write(lambda session: session.get_one(SignerRow, place).agreement_id)
    # Ended it would be kept for three years; what was signed under it stands for twenty.
    assert until(signed) > desk.at + timedelta(days=19 * 365)
    assert until(row.agreement_id) == until(signed)


def test_what_nobody_signed_covers_small_amounts_only_and_the_evidence_says_so(desk: Desk) -> None:
    small, more = desk.publish(desk.clerk, 9_999 * YUAN), desk.publish(desk.clerk, 10_000 * YUAN)
    refused("authority.not_signed", lambda: desk.sign(desk.clerk, more))
    desk.sign(desk.clerk, small)
    found = bundle_check(desk, small)
    assert found.verdict is Verdict.PASSED
    assert "declared authority only" in found.summary_en
    assert "无人签署" in found.summary_zh
    # The representative needs no letter: they act by law.
    know_representative(desk)
    own = desk.publish(desk.head, 10_000 * YUAN)
    desk.sign(desk.head, own)
    assert "as legal representative" in bundle_check(desk, own).summary_en


def test_in_production_leaving_the_amount_out_is_no_way_around_the_letter(desk: Desk) -> None:
    shell = desk.world.app.state.shell
    desk.world.app.state.shell = replace(shell, ports=replace(shell.ports, levels=BUILT_IN))
    try:
        place = desk.publish(desk.clerk, None)
        refused("authority.not_signed", lambda: desk.sign(desk.clerk, place))
        know_representative(desk)
        # Nobody is locked out: the representative signs a letter, and releases it, without an amount.
        row = propose(desk, amount_max=99_999 * YUAN)
        desk.sign(desk.head, letter_place(desk, row))
        refused("identity.level_too_low", lambda: propose(desk, amount_max=None))
        stated = desk.publish(desk.clerk, 99_999 * YUAN)
        desk.sign(desk.clerk, stated)
        # A letter with a limit covers no agreement that states no amount.
        refused("authority.amount_unknown", lambda: desk.sign(desk.clerk, place))
    finally:
        desk.world.app.state.shell = shell


def test_whoever_registers_as_the_representative_acts_by_law_after_a_match(world: Any) -> None:
    ports, at = world.app.state.shell.ports, world.clock.at
    for name, representative, wanted in (
        ("says-so", True, {"declared", "statutory"}),
        ("says-nothing", False, {"declared"}),
    ):
        new = invented_registration(name, "donor", at=at, representative=representative)
        made = register(ports, new, at=at)
        # Sent again, as after a lost answer: nothing is doubled.
        assert register(ports, new, at=at).person.id == made.person.id
        with transaction(ports.readers) as session:
            held = party_queries.authorisations_of(session, organisation_id=made.organisation.id)
        assert sorted(row.basis for row in held) == sorted(wanted)
        page = world.client(name).get("/me?lang=en").text
        assert ("declared only; nobody has signed it" in page) is not representative


def test_releasing_a_letter_ends_it(desk: Desk) -> None:
    know_representative(desk)
    row = propose(desk)
    desk.sign(desk.head, letter_place(desk, row))
    assert "signed" in authorities(desk, desk.clerk)

    def release(session: Any) -> str:
        made = agreements.create_from_upload(
            session,
            desk.ports,
            desk.head,
            agreements.NewAgreement(
                id=new_id("agr", at=desk.at),
                title="解除授权",
                matter="authorisation",
                signers=(
                    agreements.SignerSpec(
                        desk.boss.organisation.id, desk.boss.person.id, "legal_representative"
                    ),
                ),
                expires_at=desk.at + timedelta(days=9),
                relation="releases",
                related_id=row.agreement_id,
            ),
            data=invented_pdf(pages=1),
            at=desk.at,
        )
        return str(agreement_queries.signers_of(session, made.id)[0].id)

    desk.sign(desk.head, str(desk.write(release)))
    assert "signed" not in authorities(desk, desk.clerk)
    with transaction(desk.ports.readers) as session:
        assert session.get_one(AuthorisationRow, row.id).revoked_at is not None


# --- ratification -----------------------------------------------------------------------------------


def beyond(desk: Desk) -> str:
    """A place whose amount is above the clerk's limit."""
    know_representative(desk)
    desk.limit(desk.clerk, yuan=10)
    return desk.publish(desk.clerk, 11 * YUAN)


def ask_to_ratify(desk: Desk, place: str, **changes: Any) -> RatificationRow:
    options = {"ratification_id": new_id("rat", at=desk.at), "reason": "紧急（虚构）", **changes}
    return desk.write(
        lambda session: ratification.ask_ratification(
            session, desk.ports, desk.clerk, place, at=desk.at, **options
        )
    )


def decide(
    desk: Desk, row: RatificationRow, who: Caller, *, ratify: bool = True, key: str = ""
) -> Any:
    """The statement, signed by the key of `who` (or of person `key`), and the decision."""

    def act(session: Any) -> Any:
        made = ratification.make_decision(
            session, who, row.id, ratify=ratify, reason="虚构", at=desk.at
        )
        value = canonical_parse((made.statement or "").encode())
        assert isinstance(value, dict)
        proof = desk.keys[key or who.person_id or ""].sign(ratification_message(value))
        return ratification.decide_ratification(
            session, desk.ports, who, row.id, proof=proof, at=desk.at
        )

    return desk.write(act)


def test_an_act_beyond_an_authority_waits_for_ratification_and_the_bundle_says_so(
    desk: Desk,
) -> None:
    place = beyond(desk)
    refused("authority.amount", lambda: desk.sign(desk.clerk, place))
    row = ask_to_ratify(desk, place)
    assert (row.lack, row.due_at - row.asked_at) == ("authority.amount", timedelta(days=30))
    desk.sign(desk.clerk, place)
    assert last_body(desk, place, "signature.applied")["ratification"] == row.id
    assert bundle_check(desk, place).verdict is Verdict.INDETERMINATE
    refused("ratification.own_act", lambda: decide(desk, row, desk.clerk))
    refused("intent.proof", lambda: decide(desk, row, desk.head, key=desk.clerk.person_id or ""))
    done = decide(desk, row, desk.head)
    assert (done.state, done.decided_by) == ("ratified", desk.head.person_id)
    again = desk.write(
        lambda session: ratification.decide_ratification(
            session, desk.ports, desk.head, row.id, proof=bytes.fromhex(done.proof), at=desk.at
        )
    )
    assert again.state == "ratified"
    refused("ratification.decided", lambda: decide(desk, row, desk.head, ratify=False))
    check = bundle_check(desk, place)
    assert check.verdict is Verdict.PASSED, check
    assert last_body(desk, place, "ratification.decided")["authorisation"]["basis"] == "statutory"
    with transaction(desk.ports.readers) as session:
        kinds = session.scalars(select(NoticeRow.kind).where(NoticeRow.cause == row.id)).all()
    assert sorted(kinds) == ["ratification.ratified", "ratification.requested"]


def test_a_refused_act_fails_in_the_bundle(desk: Desk) -> None:
    place = beyond(desk)
    row = ask_to_ratify(desk, place)
    desk.sign(desk.clerk, place)
    assert decide(desk, row, desk.head, ratify=False).state == "refused"
    check = bundle_check(desk, place)
    assert check.verdict is Verdict.FAILED
    assert "not ratified" in check.summary_en


def test_thirty_days_of_silence_are_a_refusal(desk: Desk) -> None:
    place = beyond(desk)
    row = ask_to_ratify(desk, place)
    desk.sign(desk.clerk, place)
    desk.world.clock.at = row.due_at - timedelta(seconds=1)
    assert desk.write(lambda s: ratification.expire_ratifications(s, desk.ports, at=desk.at)) == 0
    desk.world.clock.at = row.due_at
    refused("ratification.expired", lambda: decide(desk, row, desk.head))
    assert desk.write(lambda s: ratification.expire_ratifications(s, desk.ports, at=desk.at)) == 1
    with transaction(desk.ports.readers) as session:
        assert session.get_one(RatificationRow, row.id).state == "expired"
    assert last_body(desk, place, "ratification.decided")["decision"] == "expired"


def test_after_a_refusal_the_act_itself_is_refused(desk: Desk) -> None:
    place = beyond(desk)
    row = ask_to_ratify(desk, place)
    decide(desk, row, desk.head, ratify=False)
    refused("authority.amount", lambda: desk.sign(desk.clerk, place))


def test_what_is_covered_or_was_revoked_is_not_ratified(desk: Desk) -> None:
    place = beyond(desk)
    covered = desk.publish(desk.clerk, 10 * YUAN)
    refused("ratification.not_needed", lambda: ask_to_ratify(desk, covered))
    refused("ratification.reason", lambda: ask_to_ratify(desk, place, reason=" "))
    asked = ask_to_ratify(desk, place)
    assert ask_to_ratify(desk, place, ratification_id=asked.id).id == asked.id
    refused("ratification.asked", lambda: ask_to_ratify(desk, place))
    other = desk.publish(desk.clerk, 12 * YUAN)

    def revoke(session: Any) -> None:
        for row in party_queries.authorisations_of(
            session, organisation_id=desk.boss.organisation.id, person_id=desk.clerk.person_id
        ):
            parties.revoke_authorisation(
                session, desk.ports, desk.head, row.id, reason="invented", at=desk.at
            )

    desk.write(revoke)
    refused("authority.revoked", lambda: ask_to_ratify(desk, other))
    refused("authority.revoked", lambda: desk.sign(desk.clerk, place))


def test_only_one_whose_own_authority_covers_it_ratifies(desk: Desk) -> None:
    desk.limit(desk.clerk, yuan=10)
    place = desk.publish(desk.clerk, 11 * YUAN)
    refused("ratification.nobody", lambda: ask_to_ratify(desk, place))
    know_representative(desk)
    row = ask_to_ratify(desk, place)
    stranger = replace(desk.head, organisation_id=desk.world.donor.organisation_id)
    refused("not_found", lambda: decide(desk, row, stranger))
    somebody = replace(desk.head, person_id=desk.world.donor.person_id)
    refused("authority.not_signed", lambda: decide(desk, row, somebody))


def test_what_was_ratified_covers_the_lack_that_was_named_and_no_other(desk: Desk) -> None:
    place = beyond(desk)
    row = ask_to_ratify(desk, place)
    assert decide(desk, row, desk.head).state == "ratified"

    def grounds(**options: Any) -> Any:
        with transaction(desk.ports.readers) as session:
            signer = session.get_one(SignerRow, place)
            agreement = session.get_one(AgreementRow, signer.agreement_id)
            options = {"act": "sign", "at": desk.at, **options}
            return authority.grounds_of(session, desk.ports, signer, agreement, **options)

    assert grounds().ratification == row.id
    # The limit was ratified; the seal was not, nor that the authority ended before the act.
    refused("authority.seal", lambda: grounds(seal="organisation"))
    refused("authority.expired", lambda: grounds(at=desk.at + timedelta(days=90)))


def test_silence_is_refusal_at_once_and_not_only_when_the_worker_says_so(desk: Desk) -> None:
    place = beyond(desk)
    row = ask_to_ratify(desk, place)
    desk.world.clock.at = row.due_at
    refused("authority.amount", lambda: desk.sign(desk.clerk, place))


def approval_beyond(desk: Desk) -> tuple[str, str]:
    """A place to approve above the clerk's limit, and the place of the head who signs after it."""
    know_representative(desk)
    own = desk.boss.organisation.id
    for held in desk.write(
        lambda s: party_queries.authorisations_of(
            s, organisation_id=own, person_id=desk.clerk.person_id
        )
    ):
        desk.write(
            lambda s, one=held.id: parties.revoke_authorisation(
                s, desk.ports, desk.head, one, reason="invented", at=desk.at
            )
        )
    new = parties.NewAuthorisation(
        id=new_id("aut", at=desk.at),
        organisation_id=own,
        person_id=desk.clerk.person_id or "",
        matters=frozenset({"donation"}),
        powers=frozenset({"approve"}),
        valid_from=desk.at,
        valid_to=desk.at + timedelta(days=90),
        amount_max_minor=10 * YUAN,
    )
    desk.write(lambda s: parties.grant_authorisation(s, desk.ports, desk.head, new, at=desk.at))

    def publish(session: Any) -> tuple[str, str]:
        row = agreements.create_from_upload(
            session,
            desk.ports,
            desk.head,
            agreements.NewAgreement(
                id=new_id("agr", at=desk.at),
                title="虚构协议",
                matter="donation",
                amount_minor=11 * YUAN,
                signers=(
                    agreements.SignerSpec(own, desk.clerk.person_id or "", "x", 1, "approve"),
                    agreements.SignerSpec(own, desk.head.person_id or "", "x", 2),
                ),
                expires_at=desk.at + timedelta(days=60),
            ),
            data=invented_pdf(pages=1),
            at=desk.at,
        )
        first, second = agreement_queries.signers_of(session, row.id)
        return str(first.id), str(second.id)

    return desk.write(publish)


def approve(desk: Desk, place: str) -> None:
    def act(session: Any) -> None:
        agreements.read_document(
            session, desk.ports, desk.clerk, place, pages=1, seconds=9, at=desk.at
        )
        made = signatures.make_statement(session, desk.clerk, place, act="approve", at=desk.at)
        value = canonical_parse(made.statement.encode())
        assert isinstance(value, dict)
        proof = desk.keys[desk.clerk.person_id or ""].sign(intent_message(value))
        signatures.express_intent(session, desk.ports, desk.clerk, made.id, proof=proof, at=desk.at)

    desk.write(act)


@pytest.mark.parametrize(
    ("ratify", "verdict"), [(True, Verdict.PASSED), (False, Verdict.FAILED), (None, None)]
)
def test_an_approval_beyond_an_authority_stands_or_falls_with_its_ratification(
    desk: Desk, *, ratify: bool | None, verdict: Verdict | None
) -> None:
    place, last = approval_beyond(desk)
    refused("authority.amount", lambda: approve(desk, place))
    row = ask_to_ratify(desk, place)
    approve(desk, place)
    desk.sign(desk.head, last)
    if ratify is not None:
        decide(desk, row, desk.head, ratify=ratify)
    data, trust = exported(desk, last)
    found = {one.code: one for one in verify_bundle(data, trust=trust, at=desk.at).checks}
    assert found["agreement.stages"].verdict is (verdict or Verdict.INDETERMINATE)
    assert found["signer.authorisation"].verdict is Verdict.PASSED, "of the one who signed"


def test_the_checks_of_a_bundle_know_the_same_faults() -> None:
    assert signer_authorisation.RATIFIABLE == authority.RATIFIABLE


# --- the table of levels ----------------------------------------------------------------------------


def test_the_table_is_public_and_its_digest_is_the_one_in_the_evidence(world: Any) -> None:
    shown = world.anyone.get("/api/v1/level-policy").json()
    assert shown["sha256"] == TRIAL.digest.hex()
    rebuilt = read_policy(
        json.dumps({name: shown[name] for name in ("v", "edition", "unstated_as", "rows")}).encode()
    )
    assert rebuilt == TRIAL


def test_every_row_that_fits_applies_and_the_strictest_decides() -> None:
    small = {"person": 1, "organisation": 1, "authority": "declared"}
    assert TRIAL.need(matter="other", amount=None).as_json() == small
    assert BUILT_IN.need(matter="other", amount=None).as_json() == small | {"authority": "signed"}
    for table in (TRIAL, BUILT_IN):
        assert table.need(matter="other", amount=999_999).as_json() == small
        assert table.need(matter="other", amount=1_000_000).authority is Basis.SIGNED
        assert (table.declared_below, table.top) == (1_000_000, 1_000_000_000)
    assert BUILT_IN.need(matter="other", amount=9_999_999).person == 1
    assert BUILT_IN.need(matter="other", amount=10_000_000).person == 2
    top = BUILT_IN.need(matter="other", amount=1_000_000_000)
    assert (top.person, top.organisation, top.authority) == (3, 3, Basis.SIGNED)
    mixed = LevelPolicy(
        "x", (PolicyRow("donation", 0, 3, 1), PolicyRow("*", 5, 1, 2, Basis.SIGNED))
    )
    found = mixed.need(matter="donation", amount=5)
    assert (found.person, found.organisation, found.authority) == (3, 2, Basis.SIGNED)
    assert mixed.need(matter="other", amount=4).person == 1


def row_with(**changes: Any) -> dict[str, Any]:
    """A row of a table, changed."""
    row = {"matter": "*", "amount_from": 0, "person": 1, "organisation": 1, "authority": "declared"}
    return {**row, **changes}


@pytest.mark.parametrize(
    "change",
    [
        {"v": "fuqi/level-policy/v1"},
        {"v": "fuqi/level-policy/v3"},
        {"unstated_as": None},
        {"unstated_as": -1},
        {"unstated_as": True},
        {"edition": ""},
        {"rows": []},
        {"more": 1},
        {"rows": [row_with(person=0)]},
        {"rows": [row_with(amount_from=-1)]},
        {"rows": [row_with(amount_from=True)]},
        {"rows": [row_with(authority="statutory")]},
        {"rows": [{"matter": "*", "amount_from": 0}]},
    ],
)
def test_a_table_that_is_none_is_refused(change: dict[str, Any]) -> None:
    good = BUILT_IN.as_json()
    assert read_policy(json.dumps(good).encode()) == BUILT_IN
    with pytest.raises(InputError) as caught:
        read_policy(json.dumps({**good, **change}).encode())
    assert caught.value.error_code == "identity.policy"


# --- over HTTP and on the pages ---------------------------------------------------------------------


def test_letters_and_ratifications_over_http_and_on_the_pages(desk: Desk) -> None:
    place = beyond(desk)
    boss, clerk = desk.world.client(desk.place), desk.world.client(f"{desk.place}-clerk")
    html = {"Accept": "text/html"}
    form = {
        "attempt": new_id("aut", at=desk.at),
        "person": desk.clerk.person_id,
        "matter": "donation",
        "amount_yuan": "5000",
        "seals": "",
        "days": "30",
    }
    wrong = boss.post("/me/letters", data={**form, "days": "999"}, headers=html)
    assert (wrong.status_code, "form.range" in wrong.text) == (422, True)
    made = boss.post("/me/letters", data=form, headers=html, follow_redirects=False)
    assert (made.status_code, made.headers["location"]) == (303, "/me/letters")
    page = boss.get("/me/letters", headers=html).text
    assert "5 000" in page or "5,000" in page or "5000" in page
    (letter,) = boss.get("/api/v1/letters").json()
    assert (letter["state"], letter["amount_max_fen"]) == ("published", 500_000)
    assert clerk.get("/me/letters", headers=html).status_code == 200
    assert clerk.post("/me/letters", data=form).status_code == 403
    shown = clerk.get("/me/ratifications", headers=html).text
    assert place in shown
    asked = clerk.post(
        "/me/ratifications",
        data={"attempt": new_id("rat", at=desk.at), "signer": place, "reason": "紧急（虚构）"},
        follow_redirects=False,
    )
    assert asked.status_code == 303
    (row,) = boss.get("/api/v1/ratifications").json()
    assert (row["state"], row["lack"]) == ("asked", "authority.amount")
    path = f"/api/v1/ratifications/{row['id']}"
    own = clerk.post(f"{path}/statement", json={"ratify": True, "reason": "x"})
    assert (own.status_code, own.json()["code"]) == (403, "ratification.own_act")
    made = boss.post(f"{path}/statement", json={"ratify": True, "reason": "同意（虚构）"}).json()
    assert "追认" in made["statement"]["text_zh"]
    proof = desk.keys[desk.head.person_id or ""].sign(base64.b64decode(made["message_base64"]))
    done = boss.post(path, json={"signature_base64": base64.b64encode(proof).decode()})
    assert (done.status_code, done.json()["state"]) == (200, "ratified")
    listed = clerk.get(f"/api/v1/agreements/{row['agreement_id']}/ratifications").json()
    assert [one["state"] for one in listed] == ["ratified"]
    assert "已追认" in boss.get("/me/ratifications?lang=zh", headers=html).text
    page = clerk.get(f"/agreements/{row['agreement_id']}?lang=zh", headers=html).text
    assert "已追认" in page
