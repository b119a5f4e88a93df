"""Every route x role x tenant. The routes come from the app: a new one without a row here fails."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas
from starlette.testclient import TestClient

from api.app import create_app, rules_of
from api.callers import Caller, Role
from api.deps import Rule
from api.flows import agreements, annexes, resources, rounds, supply
from api.flows.access import create_account, make_key
from api.flows.batches import NewBatch, open_batch
from api.flows.registration import register
from api.flows.urgent import NewUrgentNeed, post_urgent_need
from api.flows.verification_levels import NewCheck
from api.flows.verification_levels_codes import ask_code
from api.flows.verification_levels_reviews import add_document, ask_review
from api.settings import Settings
from api.testing import PASSWORD, invented_hospital, invented_registration
from ledger.acts_outbox import NewAct, queue
from ledger.core.ids import new_id
from ledger.queries import agreements as agreement_queries
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.queries import supply as supply_queries
from ledger.queries.parties import parties_page
from ledger.store import transaction
from ledger.tables.agreements import BundleRow, IntentRow, PreparedSignatureRow
from ledger.tables.custody import (
    CustodyStatementRow,
    LotMovementRow,
    LotRow,
    PackageRow,
    RecallRow,
)
from ledger.tables.notices import NoticeRow
from ledger.tables.objections import ObjectionRow
from ledger.tables.offer_claims import OfferClaimRow
from ledger.tables.orders import OrderDocumentRow, WorkOrderRow
from ledger.tables.parties import CertificateRow, RatificationRow
from ledger.tables.related import RelatedPartyRow
from ledger.tables.seals import SealDutyRow, SealRow, UploadDraftRow
from ledger.tables.supply import LaneRow, SupplyFileRow
from matching.problem import Place

PLACE = Place("湖北", "武汉", 114_300_000, 30_600_000)
REASON = {"reason": "invented"}
SIGNATURE = {"signature_base64": "AAAA"}
FORM = "form"
SOMEBODY = "pty_01kdvdna00ncrmbvs7rqr9p8yr"
SPOT = {"page": 1, "x": 10, "y": 10, "width": 50, "height": 50}
FILE = "file"
PNG = b"\x89PNG\r\n\x1a\n an invented document"
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    # What a route needs to get past parsing, so that 404 is about the record and not about the body.
    "POST /api/v1/agreements/{agreement_id}/withdraw": ("json", REASON),
    "POST /api/v1/agreements/{agreement_id}/promotion": ("json", {}),
    "POST /api/v1/agreements/{agreement_id}/bundles": (
        "json",
        {"id": "bun_01kdvdna00ncrmbvs7rqr9p8yr"},
    ),
    "POST /api/v1/lots/{lot_id}/bundles": ("json", {"id": "bun_01kdvdna00ncrmbvs7rqr9p8yr"}),
    "POST /goods/{lot_id}/bundle": (FORM, {}),
    "POST /api/v1/agreements/{agreement_id}/remind": ("json", {}),
    "POST /api/v1/signers/{signer_id}/forward": (
        "json",
        {"person_id": "pty_01kdvdna00ncrmbvs7rqr9p8yr", **REASON},
    ),
    "POST /agreements/{agreement_id}/forward": (
        FORM,
        {"person": "pty_01kdvdna00ncrmbvs7rqr9p8yr", **REASON},
    ),
    "POST /agreements/{agreement_id}/remind": (FORM, {}),
    "POST /api/v1/signers/{signer_id}/open": ("json", {}),
    "POST /api/v1/signers/{signer_id}/read": ("json", {"pages": 1, "seconds": 1}),
    "POST /api/v1/signers/{signer_id}/decline": ("json", REASON),
    "POST /api/v1/signers/{signer_id}/statements": ("json", {"act": "consent"}),
    "POST /api/v1/signers/{signer_id}/clauses/{clause}": (
        "json",
        {"sha256": "00" * 32, "seconds": 1},
    ),
    "POST /api/v1/signers/{signer_id}/fields": ("json", {"values": {"delivery": "here"}}),
    "POST /agreements/fields/{draft_id}": (FORM, {"name": "x", "filler": "1", "label": "x"}),
    "POST /api/v1/signers/{signer_id}/uploads": (FILE, {"id": "att_01kdvdna00ncrmbvs7rqr9p8yr"}),
    "POST /api/v1/signers/{signer_id}/uploads/{attachment_id}/withdraw": ("json", {}),
    "POST /api/v1/signers/{signer_id}/signature/prepare": ("json", {}),
    "POST /api/v1/statements/{intent_id}/affirm": ("json", SIGNATURE),
    "POST /api/v1/prepared/{prepared_id}/complete": ("json", SIGNATURE),
    "POST /api/v1/authorisations/{authorisation_id}/revoke": ("json", {}),
    "POST /api/v1/keys/{key_id}/revoke": ("json", {}),
    "POST /api/v1/certificates/{certificate_id}/revoke": ("json", {"reason": "superseded"}),
    "POST /api/v1/notices/{notice_id}/seen": ("json", {}),
    "POST /me/lost-key/{certificate_id}": (FORM, {}),
    "POST /api/v1/signers/{signer_id}/ratification": (
        "json",
        {"id": "rat_01kdvdna00ncrmbvs7rqr9p8yr", **REASON},
    ),
    "POST /api/v1/ratifications/{ratification_id}/statement": (
        "json",
        {"ratify": True, **REASON},
    ),
    "POST /api/v1/ratifications/{ratification_id}": ("json", SIGNATURE),
    "POST /api/v1/identity/checks/{code_id}/answer": ("json", {"answer": "000000"}),
    "POST /me/identity/checks/{code_id}/answer": (FORM, {"answer": "000000"}),
    "POST /api/v1/identity/checks/{check_id}/documents": (
        FILE,
        {"id": "idd_01kdvdna00ncrmbvs7rqr9p8yr"},
    ),
    "POST /me/identity/checks/{check_id}/documents": (
        FILE,
        {"document": "idd_01kdvdna00ncrmbvs7rqr9p8yr"},
    ),
    "POST /api/v1/identity/reviews/{check_id}": (
        "json",
        {"status": "match", "reviewer": "虚构审核员", **REASON},
    ),
    "POST /identity/reviews/{check_id}": (
        FORM,
        {"status": "match", "reviewer": "虚构审核员", **REASON},
    ),
    "POST /api/v1/identity/transfers/{check_id}": ("json", {}),
    "POST /identity/transfers/{check_id}": (FORM, {}),
    "POST /api/v1/needs/{need_id}/withdraw": ("json", REASON),
    "POST /api/v1/offers/{offer_id}/withdraw": ("json", REASON),
    "POST /api/v1/resources/{resource_id}/withdraw": ("json", REASON),
    "POST /api/v1/lanes/{lane_id}/withdraw": ("json", REASON),
    "POST /api/v1/related-parties/{relation_id}/evidence": (FILE, {}),
    "POST /api/v1/related-parties/{relation_id}/end": ("json", REASON),
    "POST /api/v1/related-parties/{relation_id}/decision": (
        "json",
        {"outcome": "confirmed", **REASON},
    ),
    "POST /related-parties/{relation_id}/evidence": (FILE, {}),
    "POST /related-parties/{relation_id}/end": (FORM, REASON),
    "POST /related-parties/{relation_id}/decision": (FORM, {"outcome": "confirmed", **REASON}),
    "POST /api/v1/offer-claims/{claim_id}/withdraw": ("json", {}),
    "POST /api/v1/offer-claims/{claim_id}/decision": ("json", {"outcome": "refused", **REASON}),
    "POST /api/v1/objections/{objection_id}/withdraw": ("json", {}),
    "POST /api/v1/objections/{objection_id}/answer": (
        "json",
        {"outcome": "dismissed", "answer": "invented"},
    ),
    "POST /objections/{objection_id}/withdraw": (FORM, {}),
    "POST /objections/{objection_id}/answer": (
        FORM,
        {"outcome": "dismissed", "answer": "invented"},
    ),
    "POST /supply/claims/{claim_id}/withdraw": (FORM, {}),
    "POST /supply/claims/{claim_id}/decision": (FORM, {"outcome": "refused", **REASON}),
    "POST /api/v1/supply-files/{file_id}/withdraw": ("json", REASON),
    "POST /api/v1/supply-files/{kind}": (FILE, {}),
    "POST /supply/resources/{resource_id}/withdraw": (FORM, {}),
    "POST /supply/lanes/{lane_id}/withdraw": (FORM, {}),
    "POST /supply/files/{file_id}/withdraw": (FORM, {}),
    "POST /api/v1/allocations/{allocation_id}/accept": ("json", {}),
    "POST /api/v1/allocations/{allocation_id}/decline": ("json", REASON),
    "POST /agreements/{agreement_id}/open": (FORM, {}),
    "POST /agreements/{agreement_id}/decline": (FORM, REASON),
    "POST /agreements/{agreement_id}/withdraw": (FORM, REASON),
    "POST /agreements/{agreement_id}/bundle": (FORM, {}),
    "POST /me/authorisations/{authorisation_id}/revoke": (FORM, {}),
    "POST /supply/needs/{need_id}/withdraw": (FORM, {}),
    "POST /supply/offers/{offer_id}/withdraw": (FORM, {}),
    "POST /allocations/{allocation_id}/accept": (FORM, {}),
    "POST /allocations/{allocation_id}/decline": (FORM, REASON),
    "POST /me/keys/{key_id}/revoke": (FORM, {}),
    "POST /api/v1/seals/{seal_id}/change": ("json", {"act": "enable"}),
    "POST /api/v1/seals/{seal_id}/duties": ("json", {"person_id": SOMEBODY, "duty": "use"}),
    "POST /api/v1/seals/{seal_id}/duties/withdraw": ("json", {"person_id": SOMEBODY}),
    "POST /api/v1/seals/{seal_id}/authorise": (
        "json",
        {"person_id": SOMEBODY, "id": "aut_01kdvdna00ncrmbvs7rqr9p8yr"},
    ),
    "POST /me/seals/{seal_id}/change": (FORM, {"act": "enable"}),
    "POST /me/seals/{seal_id}/duties": (FORM, {"person_id": SOMEBODY, "duty": "use"}),
    "POST /me/seals/{seal_id}/duties/withdraw": (FORM, {"person_id": SOMEBODY}),
    "POST /me/seals/{seal_id}/authorise": (
        FORM,
        {"person_id": SOMEBODY, "attempt": "aut_01kdvdna00ncrmbvs7rqr9p8yr"},
    ),
    "POST /api/v1/placement/{draft_id}": (FILE, {}),
    "POST /api/v1/placement/{draft_id}/boxes": ("json", {"fields": [SPOT]}),
    "POST /agreements/place/{draft_id}": (FORM, {"fields": json.dumps([SPOT])}),
    "POST /api/v1/batches/{batch_id}/statement": ("json", {}),
    "POST /api/v1/batches/{batch_id}/affirm": ("json", SIGNATURE),
    "POST /api/v1/batches/{batch_id}/leave-out": ("json", {}),
    "POST /api/v1/custody/statements/{statement_id}/sign": ("json", SIGNATURE),
    "POST /api/v1/orders/{order_id}/files": (FILE, {}),
}
NO_TENANT = {
    # Records that belong to nobody in particular: every member, or the operator alone, may see them.
    "GET /api/v1/rounds/{round_id}",
    "GET /api/v1/rounds/{round_id}/outcomes",
    "GET /api/v1/rounds/{round_id}/supplies",
    "GET /api/v1/rounds/{round_id}/policy",
    "GET /api/v1/rounds/{round_id}/chain",
    "GET /api/v1/rounds/{round_id}/documents/{name}",
    "GET /rounds/{round_id}",
    # Whoever was not in the round is told so; own objections and counts are all that is shown.
    "GET /api/v1/rounds/{round_id}/objections",
    "POST /api/v1/rounds/{round_id}/objections",
    "POST /rounds/{round_id}/objections",
    # A kind of file, no record.
    "GET /api/v1/supply-files/{kind}/template",
    "POST /api/v1/supply-files/{kind}",
    "GET /supply/files/{kind}.csv",
}
PUBLIC_ROUTES = {
    "GET /",
    "GET /api/v1/health",
    "GET /static/{name}",
    "GET /openapi.json",
    "GET /docs",
    "GET /board",
    "GET /api/v1/board",
    "GET /disclosure",
    "GET /api/v1/disclosure",
    "GET /api/v1/disclosure/donations/{offer_id}",
    "GET /disclosure/donations/{offer_id}",
    "GET /verify",
    "POST /verify",
    "POST /api/v1/verify",
    "GET /api/v1/trust",
    "GET /api/v1/log/inclusion/{leaf}",
    "GET /api/v1/log/consistency",
    "GET /pki/{name}.crl",
    "GET /pki/{name}.crt",
    "POST /pki/ocsp",
    "GET /pki/ocsp/{question:path}",
    "POST /pki/tsa",
    "GET /log/checkpoint",
    "GET /log/tile/{rest:path}",
    "GET /login",
    "POST /login",
    "POST /api/v1/login",
    "POST /logout",
    "POST /api/v1/logout",
    "GET /register",
    "POST /register",
    "POST /api/v1/register",
    "POST /api/v1/identity/callbacks",
    "GET /api/v1/level-policy",
}
ROLES: tuple[Role | None, ...] = (None, *Role)


def declared_routes() -> list[tuple[str, Rule]]:
    """(method path, rule) of the real application; nothing is started."""
    app = create_app(Settings())
    return [
        (f"{method} {path}", rule)
        for methods, path, rule in rules_of(app)
        for method in sorted(methods - {"HEAD", "OPTIONS"})
        if rule is not None
    ]


ROUTES = declared_routes()
TENANT_ROUTES = [
    (route, rule)
    for route, rule in ROUTES
    if not rule.public and "{" in route and route not in NO_TENANT
]


@dataclass(frozen=True)
class Cast:
    """A key for each role in the stranger's organisation, one for the owner, and the owner's records."""

    client: TestClient
    keys: dict[Role, str]
    owner: str
    records: dict[str, str]


def a_pdf() -> bytes:
    """One page."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    canvas.drawString(72, 760, "An invented agreement")
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@pytest.fixture(scope="module")
def cast(world: Any) -> Iterator[Cast]:
    at = world.clock.at
    ports = world.app.state.shell.ports
    owner = register(ports, invented_registration("owner", "manufacturer", at=at), at=at)
    stranger = register(ports, invented_registration("stranger", "hospital", at=at), at=at)
    keys: dict[Role, str] = {}
    with transaction(ports.sessions) as session:
        for role in Role:
            tenant = role in (Role.HANDLER, Role.ADMIN, Role.INTEGRATION)
            account = create_account(
                session,
                account_id=new_id("acc", at=at),
                login=f"matrix-{role.value}",
                password=PASSWORD,
                roles=frozenset({role}),
                person_id=stranger.person.id if tenant else None,
                organisation_id=stranger.organisation.id if tenant else None,
                invented=True,
                at=at,
            )
            keys[role] = key_for(session, account.id, at=at)
        owner_key = key_for(session, owner.account.id, at=at)
        own_key_id = new_id("key", at=at)
        make_key(
            session,
            Caller(owner.account.id, None, None, frozenset({Role.HANDLER})),
            key_id=own_key_id,
            name="owner",
            days=1,
            at=at,
        )
    caller = Caller(
        owner.account.id,
        owner.person.id,
        owner.organisation.id,
        frozenset({Role.HANDLER, Role.ADMIN}),
    )
    records = {**make_records(ports, caller, at=at), "key_id": own_key_id}
    with TestClient(world.app, headers={"Origin": "http://testserver"}) as client:
        yield Cast(client, keys, owner_key, records)


def key_for(session: Any, account_id: str, *, at: Any) -> str:
    """An API key of this account."""
    _, key = make_key(
        session,
        Caller(account_id, None, None, frozenset({Role.HANDLER})),
        key_id=new_id("key", at=at),
        name="matrix",
        days=1,
        at=at,
    )
    return key


def make_records(ports: Any, caller: Caller, *, at: Any) -> dict[str, str]:
    """One record of each kind, all of the owner's."""
    with transaction(ports.sessions) as session:
        attachment = annexes.keep_file(
            session, ports, caller, new_id("att", at=at), name="a.pdf", data=a_pdf(), at=at
        )
        agreement = agreements.create_from_upload(
            session,
            ports,
            caller,
            agreements.NewAgreement(
                id=new_id("agr", at=at),
                title="虚构协议",
                matter="donation",
                no_amount=True,
                signers=(agreements.SignerSpec(caller.organisation_id, caller.person_id, "party"),),
                expires_at=at + timedelta(days=30),
                attachments=(attachment.id,),
            ),
            data=a_pdf(),
            at=at,
        )
        signer = agreement_queries.signers_of(session, agreement.id)[0]
        certificate = CertificateRow(
            id=new_id("crt", at=at),
            organisation_id=caller.organisation_id,
            person_id=caller.person_id,
            serial="00",
            spki_sha256="00",
            der=b"",
            chain=b"",
            not_before=at,
            not_after=at,
            created_at=at,
        )
        hospital = invented_hospital(caller.organisation_id, at=at)
        # An organisation's own hospital gets nothing from it (legal.md DN-4): its gift goes to this one.
        elsewhere = invented_hospital(None, at=at, name="别家虚构医院")
        lane = LaneRow(
            id=new_id("lane", at=at),
            organisation_id=caller.organisation_id,
            name="虚构承运",
            origin=None,
            province=PLACE.province,
            city=PLACE.city,
            longitude_micro=PLACE.longitude_micro,
            latitude_micro=PLACE.latitude_micro,
            individuals=True,
            created_at=at,
        )
        relation = RelatedPartyRow(
            id=new_id("rel", at=at),
            first_id=caller.organisation_id,
            second_id=caller.person_id,  # nobody else's: no second tenant may see it
            kind="other",
            evidence="invented",
            valid_from=at.date(),
            state="declared",
            fingerprint="{}",
            created_by=caller.account_id,
            created_at=at,
        )
        session.add_all([certificate, hospital, elsewhere, lane, relation])
        session.flush()
        intent = IntentRow(
            id=new_id("int", at=at),
            signer_id=signer.id,
            act="sign",
            nonce="00",
            statement="{}",
            created_at=at,
        )
        prepared = PreparedSignatureRow(
            id=new_id("prp", at=at),
            signer_id=signer.id,
            certificate_id=certificate.id,
            base_sha256=agreement.current_sha256,
            revision_sha256=agreement.current_sha256,
            signed_attrs="",
            document_digest="",
            state="{}",
            created_at=at,
            expires_at=at,  # too old: its certificate above is none, and would be read first
        )
        bundle = BundleRow(
            id=new_id("bun", at=at),
            subject=agreement.id,
            sha256=agreement.current_sha256,
            size_bytes=1,
            purpose="party",
            exported_by=caller.account_id,
            created_at=at,
        )
        seal = SealRow(
            id=new_id("sea", at=at),
            organisation_id=caller.organisation_id,
            kind="contract",
            name="invented",
            source="drawn",
            design="{}",
            width_mm=40,
            height_mm=40,
            page_sha256=agreement.current_sha256,
            picture_sha256=agreement.current_sha256,
            state="made",
            valid_from=at,
            valid_to=at + timedelta(days=1),
            made_by=caller.person_id,
            created_at=at,
            changed_at=at,
        )
        draft = UploadDraftRow(
            id=new_id("agr", at=at),
            organisation_id=caller.organisation_id,
            account_id=caller.account_id,
            sha256=agreement.original_sha256,
            pages=1,
            created_at=at,
            expires_at=at + timedelta(days=1),
        )
        session.add_all([seal, draft])
        session.flush()
        session.add(
            SealDutyRow(
                seal_id=seal.id,
                person_id=caller.person_id,
                duty="manage",
                granted_by=caller.person_id,
                granted_at=at,
            )
        )
        notice = NoticeRow(
            id=new_id("ntc", at=at),
            organisation_id=caller.organisation_id,
            kind="key.revoked",
            subject=agreement.id,
            cause=certificate.id,
            created_at=at,
        )
        batch = open_batch(
            session, caller, NewBatch(id=new_id("bat", at=at), signers=(signer.id,)), at=at
        )
        session.add_all([intent, prepared, bundle, notice])
        need = supply.post_need(
            session,
            ports,
            caller,
            supply.NewNeed(
                id=new_id("need", at=at),
                hospital_id=hospital.id,
                item="医用外科口罩",
                specification="",
                quantity=100,
                tier=0,
                deadline_on=at.date() + timedelta(days=20),
                remaining_days_min=0,
            ),
            at=at,
        )
        supply.post_need(
            session,
            ports,
            Caller("system", None, None, frozenset({Role.OPERATOR})),
            supply.NewNeed(
                id=new_id("need", at=at),
                hospital_id=elsewhere.id,
                item="医用外科口罩",
                specification="",
                quantity=100,
                tier=0,
                deadline_on=at.date() + timedelta(days=20),
                remaining_days_min=0,
            ),
            at=at,
        )
        resource = resources.post_resource(
            session,
            ports,
            caller,
            resources.NewResource(
                new_id("res", at=at), "line", "虚构产线", "minute", 480, at.date(), 5
            ),
            at=at,
        )
        file = SupplyFileRow(
            id=new_id("sfl", at=at),
            organisation_id=caller.organisation_id,
            kind="needs",
            sha256="00",
            lines=0,
            created_by=caller.account_id,
            created_at=at,
        )
        session.add(file)
        offer = supply.post_offer(
            session,
            ports,
            caller,
            supply.NewOffer(
                id=new_id("offer", at=at),
                kind="lot",
                item=need.item,
                quantity=60,
                place=PLACE,
                available_on=at.date(),
                produced_on=at.date() - timedelta(days=10),
                expires_on=at.date() + timedelta(days=600),
                batch_number="INVENTED-1",
                standard="YY 0469",
                edition="2011",
                certificate=2,
            ),
            at=at,
        )
        claim = OfferClaimRow(
            id=new_id("clm", at=at),
            offer_id=offer.id,
            organisation_id=caller.organisation_id,
            statement="invented",
            state="open",
            claimed_by=caller.account_id,
            claimed_at=at,
        )
        session.add(claim)
        session.flush()
        told = BundleRow(
            id=new_id("bun", at=at),
            subject=offer.id,
            sha256=agreement.current_sha256,
            size_bytes=1,
            purpose="party",
            exported_by=caller.account_id,
            created_at=at,
        )
        session.add(told)
        authorisation = party_queries.authorisations_of(
            session, organisation_id=caller.organisation_id
        )[0]
        entry = log_queries.entries_of(session, [agreement.id])[0]
        act = queue(
            session,
            NewAct(
                id=new_id("act", at=at),
                contract="Seals",
                call="promote",
                subject=agreement.id,
                payload={},
                actor="system",
            ),
            at=at,
        )
        ratification = RatificationRow(
            id=new_id("rat", at=at),
            agreement_id=agreement.id,
            signer_id=signer.id,
            organisation_id=caller.organisation_id,
            authorisation_id=authorisation.id,
            lack="authority.amount",
            reason="invented",
            state="expired",
            asked_by=caller.person_id,
            asked_at=at,
            due_at=at,
        )
        session.add(ratification)
        review, document = asked_review(session, ports, caller, at=at)
    code = ask_code(
        ports,
        caller,
        NewCheck(
            id=new_id("chk", at=at),
            party_id=caller.person_id,
            kind="person_phone_code",
            factors={"phone": "13800138000"},
            consent_id=new_id("cst", at=at),
        ),
        at=at - timedelta(hours=1),  # its time is over: what is filled in changes nothing
    )
    round_id = new_id("rnd", at=at)
    operator = Caller("system", None, None, frozenset({Role.OPERATOR}))
    rounds.open_round(ports, operator, round_id=round_id, at=at)
    rounds.solve_and_close_round(ports, operator, round_id=round_id, at=at)
    with transaction(ports.readers) as session:
        line = supply_queries.allocations_page(session, round_id=round_id)[0][0]
    with transaction(ports.sessions) as session:
        objection = ObjectionRow(
            id=new_id("obj", at=at),
            round_id=round_id,
            organisation_id=caller.organisation_id,
            reason="other",
            subject=None,
            statement="invented",
            state="open",
            fingerprint="{}",
            created_by=caller.account_id,
            created_at=at,
        )
        session.add(objection)
    pressing = post_urgent_need(
        ports,
        caller,
        NewUrgentNeed(
            supply.NewNeed(
                id=new_id("need", at=at),
                hospital_id=hospital.id,
                item="医用外科口罩",
                specification="",
                quantity=1,
                tier=0,
                deadline_on=at.date() + timedelta(days=2),
            ),
            "invented",
        ),
        at=at,
    )
    return {
        **make_lot(ports, caller, line, agreement.id, hospital.id, at=at),
        "agreement_id": agreement.id,
        "signer_id": signer.id,
        "intent_id": intent.id,
        "prepared_id": prepared.id,
        "bundle_id": bundle.id,
        "donation_bundle_id": told.id,
        "seal_id": seal.id,
        "draft_id": draft.id,
        "batch_id": batch.id,
        "certificate_id": certificate.id,
        "notice_id": notice.id,
        "question": "AAAA",
        "entry_id": entry.id,
        "authorisation_id": authorisation.id,
        "need_id": need.id,
        "offer_id": offer.id,
        "kind": "offers",
        "resource_id": resource.id,
        "lane_id": lane.id,
        "relation_id": relation.id,
        "claim_id": claim.id,
        "objection_id": objection.id,
        "file_id": file.id,
        "allocation_id": line.id,
        "round_id": round_id,
        "urgent_id": pressing.need_id,
        "number": "0",
        "clause": "1",
        "attachment_id": attachment.id,
        "page": "1",
        "name": "outcomes",
        "leaf": entry.leaf,
        "act_id": act.id,
        "check_id": review,
        "ratification_id": ratification.id,
        "code_id": code.check.id,
        "document_id": document,
    }


def asked_review(session: Any, ports: Any, caller: Caller, *, at: Any) -> tuple[str, str]:
    """A review of the owner's own person that waits with one document."""
    check = ask_review(
        session,
        ports,
        caller,
        NewCheck(
            id=new_id("chk", at=at),
            party_id=caller.person_id,
            kind="person_manual_review",
            factors={},
            consent_id=new_id("cst", at=at),
        ),
        at=at,
    )
    document = add_document(
        session, ports, caller, check.id, document_id=new_id("idd", at=at), data=PNG, at=at
    )
    return check.id, document.id


def make_lot(
    ports: Any, caller: Caller, line: Any, agreement_id: str, hospital_id: str, *, at: Any
) -> dict[str, str]:
    """A lot of the owner's with a package, a recall of its batch, a statement that waits for a signature."""
    owner = caller.organisation_id
    with transaction(ports.sessions) as session:
        recall = RecallRow(
            id=new_id("rcl", at=at), batch_number="INVENTED-1", item="mask_surgical", device="",
            reason="invented", opened_by=owner, state="open", opened_at=at,
        )  # fmt: skip
        session.add(recall)
        session.flush()
        lot = LotRow(
            id=new_id("lot", at=at), allocation_id=line.id, agreement_id=agreement_id,
            offer_id=line.offer_id, hospital_id=hospital_id, giver_id=owner, receiver_id=owner,
            matter="donation", item="mask_surgical", quantity=10, batch_number="INVENTED-1",
            produced_on=at.date(), expires_on=None, udi="", device="", registration="", purpose="invented",
            directed=False, recall_id=recall.id, opened_by=caller.person_id, opened_at=at, entry_id="",
        )  # fmt: skip
        session.add(lot)
        session.flush()
        session.add_all(
            [
                LotMovementRow(
                    lot_id=lot.id, number=1, from_holder=owner, from_shelf="minted", to_holder=owner,
                    to_shelf="stock", quantity=10, entry_id="", moved_at=at,
                ),
                PackageRow(
                    id=new_id("pkg", at=at), lot_id=lot.id, number=1, quantity=10, holder_id=owner,
                    state="packed", created_at=at,
                ),
            ]
        )  # fmt: skip
        statement = CustodyStatementRow(
            id=new_id("cst", at=at), organisation_id=owner, person_id=caller.person_id, act="lot.use",
            subject=lot.id, statement="{}", created_at=at,
        )  # fmt: skip
        other = parties_page(session, category="donor", limit=1)[0].id
        order = WorkOrderRow(
            id=new_id("ord", at=at), kind="manufacture", buyer_id=owner, maker_id=other, what="invented",
            specification="", quantity=1, state="requested", due_on=at.date(), opened_at=at, changed_at=at,
        )  # fmt: skip
        bundle = BundleRow(
            id=new_id("bun", at=at), subject=lot.id, sha256=ports.blobs.put(b"a lot's"), size_bytes=7,
            purpose="party", exported_by=caller.account_id, created_at=at,
        )  # fmt: skip
        session.add_all([statement, order, bundle])
        session.flush()
        document = OrderDocumentRow(
            id=new_id("doc", at=at), order_id=order.id, kind="drawing", sha256=ports.blobs.put(b"invented"),
            size=8, organisation_id=owner, entry_id="", added_at=at,
        )  # fmt: skip
        session.add(document)
    return {
        "order_id": order.id,
        "paper_id": document.id,
        "lot_id": lot.id,
        "lot_bundle_id": bundle.id,
        "recall_id": recall.id,
        "statement_id": statement.id,
    }


def fill(route: str, records: dict[str, str]) -> tuple[str, str]:
    """(method, path) with every parameter replaced by the owner's record."""
    method, path = route.split(" ", 1)
    missing = {name for name in re.findall(r"{(\w+)}", path) if name not in records}
    assert not missing, f"{route}: say which record {missing} stands for"
    return method, re.sub(r"{(\w+)}", lambda found: records[found[1]], path)


def send(cast: Cast, route: str, key: str | None, *, accept: str = "application/json") -> Any:
    """Call the route as the holder of `key`."""
    method, path = fill(route, cast.records)
    kind, body = BODIES.get(route, ("json", {}))
    headers = {"Accept": accept} | ({"Authorization": f"Bearer {key}"} if key else {})
    options: dict[str, Any] = (
        {} if method == "GET" else {"json" if kind == "json" else "data": body}
    )
    if kind == FILE:
        options["files"] = {"file": ("invented.png", PNG, "image/png")}
    cast.client.cookies.clear()
    return cast.client.request(method, path, headers=headers, follow_redirects=False, **options)


def test_the_public_routes_are_exactly_these() -> None:
    assert {route for route, rule in ROUTES if rule.public} == PUBLIC_ROUTES


def test_every_route_that_changes_something_for_a_tenant_has_a_body_here() -> None:
    wanted = {route for route, _ in TENANT_ROUTES if route.startswith("POST")}
    assert wanted <= set(BODIES)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: "nobody" if role is None else role.value)
@pytest.mark.parametrize(("route", "rule"), ROUTES, ids=[route for route, _ in ROUTES])
def test_a_route_answers_exactly_the_roles_of_its_rule(
    cast: Cast, route: str, rule: Rule, role: Role | None
) -> None:
    answer = send(cast, route, None if role is None else cast.keys[role])
    code = (
        answer.json().get("code")
        if answer.headers.get("content-type") == "application/problem+json"
        else None
    )
    if rule.public or role in rule.roles:
        assert answer.status_code != 500
        assert code not in ("auth.required", "auth.key_invalid")
        assert not (code == "auth.role" and "needed" in answer.json()["context"])
    elif role is None:
        assert (answer.status_code, code) == (401, "auth.required")
    else:
        assert (answer.status_code, code) == (403, "auth.role")


@pytest.mark.parametrize(
    ("route", "rule"), TENANT_ROUTES, ids=[route for route, _ in TENANT_ROUTES]
)
def test_another_organisations_record_answers_404(cast: Cast, route: str, rule: Rule) -> None:
    for role in (Role.HANDLER, Role.ADMIN):
        if role in rule.roles:
            answer = send(cast, route, cast.keys[role])
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("route", "rule"), TENANT_ROUTES, ids=[route for route, _ in TENANT_ROUTES]
)
def test_the_owner_does_not_get_404(cast: Cast, route: str, rule: Rule) -> None:
    if Role.HANDLER not in rule.roles and Role.ADMIN not in rule.roles:
        pytest.skip("no organisation calls this")
    answer = send(cast, route, cast.owner)
    assert answer.status_code not in (401, 403, 422, 500), answer.text[:300]
    assert answer.status_code != 404 or answer.json()["code"] != "not_found"


def test_a_page_sends_whoever_is_not_logged_in_to_the_login(cast: Cast) -> None:
    answer = send(cast, "GET /me", None, accept="text/html")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fme")
