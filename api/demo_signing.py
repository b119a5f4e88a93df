"""Act five: three agreements are read, affirmed and signed by both sides on their own devices."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from api.demo_documents import Goods, Side, donation_data, manufacturing_data, outside_draft
from api.demo_round import Line
from api.demo_state import (
    Actor,
    Story,
)
from api.flows import agreements, signatures
from ledger.core.units import utc_text
from ledger.queries import agreements as agreement_queries
from ledger.queries import parties as party_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, SignerRow
from matching.catalogue import load_catalogue
from signing.identity import invented_uscc
from signing.identity_policy import STRENGTH, Basis
from signing.intent import intent_message


def make_agreements(story: Story, lines: dict[str, Line]) -> list[str]:
    donor, maker, clinic = (_side(story, key) for key in ("donor", "maker", "hospital"))
    donated, ordered = lines["donation"], lines["manufacturing"]
    made = [
        _from_template(
            story,
            "donation",
            ("donor", "hospital"),
            ("donor", "recipient"),
            donation_data(
                donor,
                clinic,
                _goods(donated),
                number="DEMO-D-001",
                allocation=donated[0].id,
                at=story.started_at,
            ),
            title="公益捐赠协议（演示）",
            allocation_id=donated[0].id,
        ),
        _from_template(
            story,
            "manufacturing",
            ("hospital", "maker"),
            ("principal", "contractor"),
            manufacturing_data(
                clinic,
                maker,
                _goods(ordered, unit_price_fen=6_800),
                number="DEMO-M-001",
                allocation=ordered[0].id,
                at=story.started_at,
            ),
            title="加工承揽合同（演示）",
            allocation_id=ordered[0].id,
        ),
        _from_upload(story),
    ]
    for agreement_id in made:
        _sign_all(story, agreement_id)
    return made


def _side(story: Story, key: str) -> Side:
    registered = story.actors[key].registered
    with transaction(story.ports.readers) as session:
        held = party_queries.authorisations_of(
            session,
            organisation_id=registered.organisation.id,
            person_id=registered.person.id,
        )
    return Side(
        organisation=registered.organisation,
        person=registered.person,
        authorisation=max(held, key=lambda one: STRENGTH[Basis(one.basis)]),
        uscc=invented_uscc(f"demo/{key}"),
    )


def _goods(line: Line, *, unit_price_fen: int | None = None) -> Goods:
    allocation, need, offer, _ = line
    item = load_catalogue().items[offer.item]
    return Goods(
        name=item.zh,
        standard=offer.standard or need.standard or "按双方确认的样品",
        edition=offer.edition or "",
        lot=offer.batch_number,
        expiry="" if offer.expires_on is None else offer.expires_on.isoformat(),
        quantity=allocation.quantity,
        unit="件",
        unit_price_fen=unit_price_fen,
    )


def _new(
    story: Story,
    name: str,
    *,
    title: str,
    matter: str,
    keys: tuple[str, str],
    roles: tuple[str, str],
    allocation_id: str | None,
) -> agreements.NewAgreement:
    signers = tuple(
        agreements.SignerSpec(
            organisation_id=story.actors[key].registered.organisation.id,
            person_id=story.actors[key].registered.person.id,
            role=role,
        )
        for key, role in zip(keys, roles, strict=True)
    )
    return agreements.NewAgreement(
        id=story.id_of("agr", name),
        title=title,
        matter=matter,
        no_amount=True,
        signers=signers,
        expires_at=story.started_at + timedelta(days=30),
        allocation_id=allocation_id,
    )


def _from_template(
    story: Story,
    template: str,
    keys: tuple[str, str],
    roles: tuple[str, str],
    data: dict[str, Any],
    *,
    title: str,
    allocation_id: str,
) -> str:
    new = _new(
        story,
        template,
        title=title,
        matter=template,
        keys=keys,
        roles=roles,
        allocation_id=allocation_id,
    )
    with transaction(story.ports.sessions) as session:
        row = agreements.create_from_template(
            session,
            story.ports,
            story.actors[keys[0]].caller,
            new,
            template=template,
            data=data,
            at=story.clock(),
        )
    return row.id


def _from_upload(story: Story) -> str:
    """A document that one party wrote itself."""
    keys = ("donor", "hospital")
    names = [story.actors[key].registered.organisation.name for key in keys]
    data, fields = outside_draft(*names, at=story.started_at)
    new = _new(
        story,
        "handover",
        title="物资交接备忘录（上传文件，演示）",
        matter="other",
        keys=keys,
        roles=("party", "party"),
        allocation_id=None,
    )
    with transaction(story.ports.sessions) as session:
        row = agreements.create_from_upload(
            session,
            story.ports,
            story.actors["donor"].caller,
            new,
            data=data,
            fields=fields,
            at=story.clock(),
        )
    return row.id


def _sign_all(story: Story, agreement_id: str) -> None:
    with transaction(story.ports.readers) as session:
        row = session.get_one(AgreementRow, agreement_id)
        signers = agreement_queries.signers_of(session, agreement_id)
    people = {actor.registered.person.id: actor for actor in story.actors.values()}
    for signer in signers:
        _read_and_consent(story, people[signer.person_id], row, signer)
    for signer in signers:
        _sign(story, people[signer.person_id], signer)
    with transaction(story.ports.readers) as session:
        row = session.get_one(AgreementRow, agreement_id)
    formed = "" if row.formed_at is None else f"，合同成立于 formed at {utc_text(row.formed_at)}"
    story.stages.mark(f"{row.title}：{len(signers)} 方已签，逐次复验全部签名{formed}")


def _read_and_consent(story: Story, actor: Actor, row: AgreementRow, signer: SignerRow) -> None:
    ports, caller = story.ports, actor.caller
    with transaction(ports.sessions) as session:
        agreements.open_document(session, ports, caller, signer.id, at=story.clock())
    with transaction(ports.sessions) as session:
        agreements.read_document(
            session, ports, caller, signer.id, pages=row.pages, seconds=60, at=story.clock()
        )
    if signer.consented_at is None:
        _affirm(story, actor, signer, act="consent")


def _affirm(story: Story, actor: Actor, signer: SignerRow, *, act: str) -> None:
    """The handler's device signs the exact statement the server made."""
    with transaction(story.ports.sessions) as session:
        made = signatures.make_statement(
            session, actor.caller, signer.id, act=act, at=story.clock()
        )
    proof = actor.key.sign(intent_message(json.loads(made.statement)))
    with transaction(story.ports.sessions) as session:
        signatures.express_intent(
            session, story.ports, actor.caller, made.id, proof=proof, at=story.clock()
        )


def _sign(story: Story, actor: Actor, signer: SignerRow) -> None:
    if signer.signed_at is not None:
        return
    if signer.intent_at is None:
        _affirm(story, actor, signer, act="sign")
    with transaction(story.ports.sessions) as session:
        prepared = signatures.prepare_signature(
            session, story.ports, actor.caller, signer.id, at=story.clock()
        )
    # The server sent these bytes; only the device can sign them.
    signature = actor.key.sign(bytes.fromhex(prepared.signed_attrs))
    with transaction(story.ports.sessions) as session:
        signatures.complete_signature(
            session,
            story.ports,
            actor.caller,
            prepared.id,
            signature=signature,
            at=story.clock(),
        )
