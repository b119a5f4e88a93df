"""Invented people and goods for tests of custody: an allocation, its agreement, a carrier, two nurses.

Nothing here is used by the running application.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from api.callers import OPERATOR, Caller, Role
from api.flows import custody, rounds, supply
from api.flows.parties import issue_certificate
from api.flows.registration import (
    NewHandler,
    OrganisationCategory,
    Registered,
    add_handler,
    register,
)
from api.ports import Ports
from api.testing import (
    PASSWORD,
    caller_of,
    invented_hospital,
    invented_registration,
    sign_agreement,
)
from ledger.core.ids import new_id
from ledger.queries import custody as queries
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow
from ledger.tables.custody import CustodyStatementRow
from ledger.tables.supply import AllocationRow
from matching.problem import Place
from matching.udi import check_digit
from signing.ca import CertificateSubject
from signing.identity import invented_resident_id
from signing.keys.device import DeviceKey

PLACE: Final = Place("湖北", "武汉", 114_300_000, 30_600_000)
REGISTRATION: Final = "鄂械注准20202140001"
DEVICE: Final = "0690123456789" + check_digit("0690123456789")
CHECKS: Final = {
    "supplier_licence": True,
    "registration_certificate": True,
    "conformity_certificate": True,
    "name_and_model": True,
    "batch_and_expiry": True,
    "packaging": True,
}


SIDES: Final[tuple[tuple[str, OrganisationCategory], ...]] = (
    ("donor", "donor"),
    ("carrier", "carrier"),
    ("hospital", "hospital"),
)


@dataclass(frozen=True, slots=True)
class Hand:
    """A handler and the key of their device."""

    caller: Caller
    key: DeviceKey

    @property
    def organisation(self) -> str:
        """Id of the organisation it acts for."""
        assert self.caller.organisation_id is not None
        return self.caller.organisation_id


@dataclass(frozen=True, slots=True)
class Goods:
    """An accepted allocation with a formed agreement, and everybody who will touch its goods."""

    ports: Ports
    at: datetime
    donor: Hand
    carrier: Hand
    nurse: Hand
    doctor: Hand
    """Another person of the same hospital."""
    allocation_id: str
    agreement_id: str
    offer_id: str
    quantity: int
    batch: str
    produced_on: date
    expires_on: date

    def lot_fields(self, lot_id: str, quantity: int, **changes: Any) -> dict[str, Any]:
        """Fields of `lot.open` that agree with the offer."""
        days = (self.produced_on.strftime("%y%m%d"), self.expires_on.strftime("%y%m%d"))
        return {
            "lot_id": lot_id,
            "allocation_id": self.allocation_id,
            "agreement_id": self.agreement_id,
            "quantity": quantity,
            "batch_number": self.batch,
            "produced_on": self.produced_on.isoformat(),
            "expires_on": self.expires_on.isoformat(),
            "udi": f"(01){DEVICE}(11){days[0]}(17){days[1]}(10){self.batch}",
            "registration": REGISTRATION,
            "purpose": "临床一线防护",
        } | changes


def act(
    ports: Ports, hand: Hand, name: str, fields: dict[str, Any], *, at: datetime
) -> CustodyStatementRow:
    """Make the statement, sign it with the device's key, have it carried out."""
    with transaction(ports.sessions) as session:
        made = custody.make_statement(
            session,
            ports,
            hand.caller,
            statement_id=new_id("cst", at=at),
            act=name,
            fields=fields,
            at=at,
        )
    proof = hand.key.sign(custody.message_of(made.statement))
    with transaction(ports.sessions) as session:
        return custody.complete_statement(
            session, ports, hand.caller, statement_id=made.id, proof=proof, at=at
        )


def places(ports: Ports, lot_id: str) -> dict[tuple[str, str], int]:
    """(holder, shelf) -> units, empty places left out."""
    with transaction(ports.readers) as session:
        found = queries.positions_of(session, [lot_id])
        return {(one.holder_id, one.shelf): one.quantity for one in found}


def make_goods(
    ports: Ports, *, at: datetime, quantity: int = 20_000, name: str = "goods", signed: bool = True
) -> Goods:
    """Register everybody, post a need and an offer, run a round, accept, sign the agreement.

    Args:
        signed: False writes the formed agreement down without anybody's signature: for tests of the
            database, where only that it exists matters.
    """
    donor, carrier, hospital = (
        register(ports, invented_registration(f"{name}-{who}", category, at=at), at=at)
        for who, category in SIDES
    )
    doctor = _second_handler(ports, hospital, name=f"{name}-doctor", at=at)
    hands = [_hand(ports, caller_of(one), at=at) for one in (donor, carrier, hospital)]
    line = _matched(ports, hands[0].caller, hands[2].caller, quantity=quantity, at=at)
    if signed:
        agreement_id = sign_agreement(
            ports,
            (donor, hospital),
            allocation_id=line.id,
            at=at,
            keys=(hands[0].key, hands[2].key),
        )
    else:
        agreement_id = _written(ports, donor, allocation_id=line.id, at=at)
    return Goods(
        ports=ports,
        at=at,
        donor=hands[0],
        carrier=hands[1],
        nurse=hands[2],
        doctor=_hand(ports, doctor, at=at),
        allocation_id=line.id,
        agreement_id=agreement_id,
        offer_id=line.offer_id,
        quantity=line.quantity,
        batch="AB-2026-1",
        produced_on=at.date() - timedelta(days=30),
        expires_on=at.date() + timedelta(days=700),
    )


def _second_handler(ports: Ports, hospital: Registered, *, name: str, at: datetime) -> Caller:
    first = caller_of(hospital)
    account = add_handler(
        ports,
        first,
        NewHandler(
            person_id=new_id("pty", at=at),
            account_id=new_id("acc", at=at),
            authorisation_id=new_id("aut", at=at),
            name="虚构医师",
            number=invented_resident_id(name, birth=date(1985, 5, 5)),
            consent_id=new_id("cst", at=at),
            login=name,
            password=PASSWORD,
            invented=True,
        ),
        at=at,
    )
    return replace(
        first,
        account_id=account.id,
        person_id=account.person_id,
        roles=frozenset({Role.HANDLER}),
    )


def _hand(ports: Ports, caller: Caller, *, at: datetime) -> Hand:
    key = DeviceKey.create()
    assert caller.organisation_id is not None
    assert caller.person_id is not None
    subject = CertificateSubject(common_name="invented", organisation=None, reference="x")
    with transaction(ports.sessions) as session:
        issue_certificate(
            session,
            ports,
            caller,
            organisation_id=caller.organisation_id,
            person_id=caller.person_id,
            csr_der=key.csr(subject),
            at=at,
        )
    return Hand(caller, key)


def _matched(
    ports: Ports, donor: Caller, nurse: Caller, *, quantity: int, at: datetime
) -> AllocationRow:
    with transaction(ports.sessions) as session:
        hospital = invented_hospital(nurse.organisation_id, at=at)
        session.add(hospital)
        session.flush()
        need = supply.NewNeed(
            id=new_id("need", at=at),
            hospital_id=hospital.id,
            item="医用外科口罩",
            specification="",
            quantity=quantity,
            tier=0,
            deadline_on=at.date() + timedelta(days=20),
            remaining_days_min=0,
        )
        supply.post_need(session, ports, nurse, need, at=at)
        offer = supply.NewOffer(
            id=new_id("offer", at=at),
            kind="lot",
            item="mask_surgical",
            quantity=quantity,
            place=PLACE,
            available_on=at.date(),
            produced_on=at.date() - timedelta(days=30),
            expires_on=at.date() + timedelta(days=700),
            batch_number="AB-2026-1",
            standard="YY 0469",
            edition="2011",
            certificate=2,
            directed_to=(hospital.id,),
        )
        supply.post_offer(session, ports, donor, offer, at=at)
    round_id = new_id("rnd", at=at)
    rounds.open_round(ports, OPERATOR, round_id=round_id, at=at)
    rounds.solve_and_close_round(ports, OPERATOR, round_id=round_id, at=at)
    with transaction(ports.sessions) as session:
        (found, *_), *_rest = supply_queries.allocations_page(session, offer_id=offer.id)
        return rounds.accept_allocation(session, ports, donor, allocation_id=found.id, at=at)


def _written(ports: Ports, donor: Registered, *, allocation_id: str, at: datetime) -> str:
    digest = "00" * 32
    with transaction(ports.sessions) as session:
        row = AgreementRow(
            id=new_id("agr", at=at),
            title="虚构",
            matter="donation",
            origin="upload",
            allocation_id=allocation_id,
            owner_organisation_id=donor.organisation.id,
            state="formed",
            original_sha256=digest,
            document_sha256=digest,
            current_sha256=digest,
            pages=1,
            expires_at=at + timedelta(days=1),
            created_at=at,
            formed_at=at,
        )
        session.add(row)
    return row.id


def statement_of(row: CustodyStatementRow) -> dict[str, Any]:
    """The statement as JSON."""
    value: dict[str, Any] = json.loads(row.statement)
    return value
