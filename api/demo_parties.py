"""Act two of the demonstration: invented people and organisations join under their (invented) real names."""

from __future__ import annotations

from datetime import datetime

from api.callers import Caller, Role
from api.demo_cast import CAST, Member, registration
from api.demo_state import (
    Actor,
    Story,
)
from api.flows.parties import issue_certificate
from api.flows.registration import Registered, add_handler, register
from ledger.core.errors import InputError
from ledger.store import transaction
from ledger.tables.parties import CertificateRow, PartyRow
from signing.ca import CertificateSubject
from signing.identity import check_resident_id, check_uscc, invented_resident_id, invented_uscc
from signing.keys.device import DeviceKey


def meet_parties(story: Story) -> None:
    _show_refusals(story)
    for member in CAST:
        join_party(story, member)


def _show_refusals(story: Story) -> None:
    """Bad numbers are really refused, each with its reason."""
    today = story.clock().date()
    good_person = invented_resident_id("demo/refusal", birth=CAST[0].birth)
    good_code = invented_uscc("demo/refusal")
    wrong_person = good_person[:-1] + ("1" if good_person[-1] != "1" else "2")
    wrong_code = good_code[:-1] + ("1" if good_code[-1] != "1" else "2")
    for label, check in (
        ("身份证号 resident identity number", lambda: check_resident_id(wrong_person, today=today)),
        ("统一社会信用代码 credit code", lambda: check_uscc(wrong_code)),
    ):
        try:
            check()
        except InputError as exc:
            story.stages.mark(f"错误的{label} 被拒绝 refused: {exc}")
        else:
            story.stages.mark(f"{label}: a wrong number was accepted", good=False)


def join_party(story: Story, member: Member) -> Actor:
    """Register a member with its handler, make the handler's device key and have it certified."""
    ports, at = story.ports, story.clock()
    registered = register(
        ports,
        registration(member, password=story.passwords[member.key], at=story.started_at),
        at=at,
    )
    actor, certificate = _with_key(
        story, member, registered, roles=frozenset({Role.HANDLER, Role.ADMIN}), at=at
    )
    organisation, person = registered.organisation, registered.person
    story.stages.mark(
        f"{organisation.name} · L{organisation.level} ({organisation.level_reason}) · 经办人 "
        f"{person.name} {person.number_masked} · 证书 {certificate.serial[:12]}…"
    )
    return actor


def join_colleague(story: Story, member: Member, first: Actor) -> Actor:
    """Another handler of an organisation that is here already, with a device of their own."""
    ports, at = story.ports, story.clock()
    handler = registration(
        member, password=story.passwords[member.key], at=story.started_at
    ).handler
    account = add_handler(ports, first.caller, handler, at=at)
    with transaction(ports.readers) as session:
        person = session.get_one(PartyRow, handler.person_id)
    registered = Registered(
        organisation=first.registered.organisation, person=person, account=account
    )
    actor, certificate = _with_key(
        story, member, registered, roles=frozenset({Role.HANDLER}), at=at
    )
    story.stages.mark(
        f"{registered.organisation.name} · 第二经办人 second handler {person.name} "
        f"{person.number_masked} · 证书 {certificate.serial[:12]}…"
    )
    return actor


def _with_key(
    story: Story, member: Member, registered: Registered, *, roles: frozenset[Role], at: datetime
) -> tuple[Actor, CertificateRow]:
    """The handler's device makes a key, and the key is certified."""
    caller = Caller(
        account_id=registered.account.id,
        person_id=registered.person.id,
        organisation_id=registered.organisation.id,
        roles=roles,
        via="system",
    )
    key = _device(story, member.key)
    with transaction(story.ports.sessions) as session:
        certificate = issue_certificate(
            session,
            story.ports,
            caller,
            organisation_id=registered.organisation.id,
            person_id=registered.person.id,
            csr_der=key.csr(CertificateSubject(common_name=member.handler_name)),
            at=at,
        )
    actor = Actor(member=member, registered=registered, caller=caller, key=key)
    story.actors[member.key] = actor
    return actor, certificate


def _device(story: Story, name: str) -> DeviceKey:
    """The handler's own key file: it stands for a phone, and the server never reads it."""
    folder = story.settings.home.resolve() / "devices"
    folder.mkdir(mode=0o700, exist_ok=True)
    path, password = folder / f"{name}.p12", story.passwords[name]
    if path.exists():
        return DeviceKey.load(path, password)
    key = DeviceKey.create()
    key.save(path, password)
    return key
