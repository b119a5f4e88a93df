"""Invented callers for tests of the shell. Nothing here is used by the running application."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from reportlab.pdfgen.canvas import Canvas
from sqlalchemy.orm import Session

from api.callers import OPERATOR, Caller, Role
from api.flows import agreements, rounds, signatures, supply
from api.flows.importing import generate_donor_lots, import_dataset
from api.flows.parties import issue_certificate
from api.flows.registration import (
    NewHandler,
    OrganisationCategory,
    Registered,
    Registration,
    register,
)
from api.ports import Ports
from ledger.core.canonical import canonical_parse
from ledger.core.ids import new_id
from ledger.queries import agreements as agreement_queries
from ledger.queries import supply as queries
from ledger.store import transaction
from ledger.tables.supply import HospitalRow
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id, invented_uscc
from signing.intent import intent_message
from signing.keys.device import DeviceKey

PASSWORD: Final = "an invented pass phrase"  # noqa: S105 - invented, for tests only


def invented_registration(
    name: str,
    category: OrganisationCategory,
    *,
    at: datetime,
    representative: bool = False,
) -> Registration:
    """An organisation and its handler, made up from `name` and marked so; logs in as `name`."""
    return Registration(
        organisation_id=new_id("pty", at=at),
        category=category,
        name=f"虚构{name}有限公司",
        number=invented_uscc(name),
        place="武汉",
        receiving_system=f"{name}@example.invalid",
        handler=NewHandler(
            person_id=new_id("pty", at=at),
            account_id=new_id("acc", at=at),
            authorisation_id=new_id("aut", at=at),
            name="虚构人",
            number=invented_resident_id(name, birth=date(1990, 1, 1)),
            consent_id=new_id("cst", at=at),
            login=name,
            password=PASSWORD,
            invented=True,
        ),
        representative=representative,
    )


def invented_hospital(
    organisation_id: str | None, *, at: datetime, name: str = "虚构医院", **changes: Any
) -> HospitalRow:
    """A hospital in Wuhan that nobody knows, behind an organisation or behind none; not added to a session."""
    fields: dict[str, Any] = {
        "id": new_id("hos", at=at),
        "organisation_id": organisation_id,
        "name": name,
        "province": "湖北",
        "city": "武汉",
        "district": "",
        "adcode": "420100",
        "longitude_micro": 114_300_000,
        "latitude_micro": 30_600_000,
        "precision": "point",
        "agency": False,
        "front": False,
        "scale_percent": 100,
        "invented": True,
        "created_at": at,
    }
    return HospitalRow(**(fields | changes))


@dataclass(frozen=True, slots=True)
class Populated:
    """What `populate` made: a matched round of the packaged sample, with accepted lines."""

    round_id: str
    donor: Registered
    hospital: Registered
    agreement_id: str


def populate(ports: Ports, *, at: datetime) -> Populated:
    """Import the packaged sample, run a round, accept half of one donor's lines, sign one agreement."""
    imported = import_dataset(ports, OPERATOR, at=at)
    generate_donor_lots(ports, OPERATOR, run_id=imported.run_id, at=at)
    donor = register(ports, invented_registration("demo-donor", "donor", at=at), at=at)
    hospital = register(ports, invented_registration("demo-hospital", "hospital", at=at), at=at)
    round_id = new_id("rnd", at=at)
    rounds.open_round(ports, OPERATOR, round_id=round_id, at=at, as_of=imported.as_of)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=round_id, at=at)
    with transaction(ports.sessions) as session:
        lines = queries.allocations_page(session, round_id=round_id, limit=200)
        for offer_id in sorted({offer.id for *_, offer in lines if offer.organisation_id is None}):
            supply.link_offer(
                session,
                ports,
                OPERATOR,
                offer_id=offer_id,
                organisation_id=donor.organisation.id,
                at=at,
            )
        supply.link_hospital(
            session,
            ports,
            OPERATOR,
            hospital_id=lines[0][2].id,
            organisation_id=hospital.organisation.id,
            at=at,
        )
        for line, *_ in lines[::2]:
            rounds.accept_allocation(session, ports, caller_of(donor), allocation_id=line.id, at=at)
    agreement_id = sign_agreement(ports, (donor, hospital), allocation_id=lines[0][0].id, at=at)
    return Populated(round_id=round_id, donor=donor, hospital=hospital, agreement_id=agreement_id)


def caller_of(registered: Registered) -> Caller:
    """The first handler of a registered organisation."""
    return Caller(
        account_id=registered.account.id,
        person_id=registered.person.id,
        organisation_id=registered.organisation.id,
        roles=frozenset({Role.HANDLER, Role.ADMIN}),
    )


def sign_agreement(
    ports: Ports,
    parties: tuple[Registered, Registered],
    *,
    allocation_id: str | None,
    at: datetime,
    keys: tuple[DeviceKey, DeviceKey] | None = None,
) -> str:
    """Upload an invented document and have both handlers sign it, each with an own device key.

    Args:
        keys: those that the handlers hold certificates for already; None makes new ones.
    """
    callers = [caller_of(one) for one in parties]
    certified = keys is not None
    keys = keys or (DeviceKey.create(), DeviceKey.create())
    with transaction(ports.sessions) as session:
        row = agreements.create_from_upload(
            session,
            ports,
            callers[0],
            agreements.NewAgreement(
                id=new_id("agr", at=at),
                title="虚构医用外科口罩捐赠协议",
                matter="donation",
                no_amount=True,
                signers=tuple(
                    agreements.SignerSpec(one.organisation.id, one.person.id, role)
                    for one, role in zip(parties, ("donor", "recipient"), strict=True)
                ),
                expires_at=at + timedelta(days=30),
                allocation_id=allocation_id,
            ),
            data=invented_pdf(),
            at=at,
        )
        signers = agreement_queries.signers_of(session, row.id)
        for caller, key, signer in zip(callers, keys, signers, strict=True):
            assert caller.person_id is not None
            assert caller.organisation_id is not None
            subject = CertificateSubject(common_name="invented", organisation=None, reference="x")
            if not certified:
                issue_certificate(
                    session,
                    ports,
                    caller,
                    organisation_id=caller.organisation_id,
                    person_id=caller.person_id,
                    csr_der=key.csr(subject),
                    at=at,
                )
            agreements.read_document(
                session, ports, caller, signer.id, pages=row.pages, seconds=60, at=at
            )
            _affirm(session, ports, caller, key, signer.id, act="consent", at=at)
        for caller, key, signer in zip(callers, keys, signers, strict=True):
            _affirm(session, ports, caller, key, signer.id, act="sign", at=at)
            prepared = signatures.prepare_signature(session, ports, caller, signer.id, at=at)
            signatures.complete_signature(
                session,
                ports,
                caller,
                prepared.id,
                signature=key.sign(bytes.fromhex(prepared.signed_attrs)),
                at=at,
            )
        return row.id


def invented_pdf(*, pages: int = 2) -> bytes:
    """A document with nothing in it that anybody agreed to."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    for page in range(1, pages + 1):
        canvas.setFont("Times-Roman", 18)
        canvas.drawString(72, 760, "Donation agreement (invented)")
        canvas.setFont("Times-Roman", 11)
        for line in range(20):
            canvas.drawString(72, 720 - 22 * line, f"{page}.{line + 1}  An invented clause.")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _affirm(
    session: Session,
    ports: Ports,
    caller: Caller,
    key: DeviceKey,
    signer_id: str,
    *,
    act: str,
    at: datetime,
) -> None:
    made = signatures.make_statement(session, caller, signer_id, act=act, at=at)
    value = canonical_parse(made.statement.encode())
    assert isinstance(value, dict)
    proof = key.sign(intent_message(value))
    signatures.express_intent(session, ports, caller, made.id, proof=proof, at=at)
