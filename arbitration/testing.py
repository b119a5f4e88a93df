"""A whole invented case in a folder: two parties register, read, consent, intend and sign; the log is anchored.

For tests and measurements. Every step goes through the real log, vault, authorities and PDF signer; only the
chain is `ledger.testing.FakeChain`. Names are invented and say so. Entry bodies are those of `api.flows`.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reportlab.pdfgen.canvas import Canvas
from sqlalchemy.orm import Session, sessionmaker

from arbitration.bundle import Seal, Stamp, file_rows, seal_text, write_bundle
from arbitration.container import pack
from arbitration.contents import (
    Agreement,
    Allocation,
    Anchor,
    Archived,
    BundleContents,
    Certificate,
    Custody,
    Party,
    Platform,
    Purpose,
    Signer,
)
from arbitration.model import MANIFEST, NOTE, REPORT_HTML, REPORT_JSON, STAMP, open_files
from arbitration.policy import Trust
from arbitration.report.renderers import RENDERERS
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import FuqiError
from ledger.core.ids import derived_id
from ledger.core.units import utc_text
from ledger.log import NewEntry, StoredCheckpoints, record, sequence
from ledger.note import NoteSigner
from ledger.queries import log as log_queries
from ledger.receipts import ChainPin, LedgerTrust, build_receipt
from ledger.store import make_engine, migrate, sessions
from ledger.submitter import Submitter
from ledger.testing import FakeChain
from ledger.vault import FileKeyProvider, Vault
from signing.annexes import FieldValue, annex
from signing.appearance import Appearance, FieldSpec
from signing.embedded import Level, ValidationData
from signing.form_fill import Filled, TextFieldSpec, fill, place_text_fields
from signing.identity import Authorisation
from signing.intent import intent_message, statement, statement_digest
from signing.longterm import extend, renewal_of
from signing.pdf import embed, place_fields, prepare
from signing.reading import RecordedEdit
from signing.testing import Signer as KeyHolder
from signing.testing import ThrowawayPki, throwaway_pki
from signing.trust import PkiTrust
from signing.verification import MOCK_LABEL_EN, MOCK_LABEL_ZH

START: Final = datetime.fromtimestamp(1_700_000_000, tz=UTC) - timedelta(hours=1)
"""The fake chain begins an hour later."""
LOG_NAME: Final = "fuqi.test/log"
MATTER: Final = "donation"
_NAMES: Final = (
    ("示例捐赠企业（虚构）", "张三（虚构）", "donor"),
    ("示例医院（虚构）", "李四（虚构）", "hospital"),
)


@dataclass(frozen=True, slots=True)
class Seat:
    """One side of the agreement."""

    number: int
    organisation: str
    organisation_name: str
    person: str
    person_name: str
    category: str
    authorisation: Authorisation
    holder: KeyHolder
    signer: str
    field: str

    @property
    def certificate(self) -> str:
        """Id of the certificate."""
        return derived_id("crt", at=START, seed=self.person)


@dataclass(slots=True)
class CaseBuilder:
    """Records a case step by step; `finish` gives its contents. Fields may be changed between steps."""

    folder: Path
    pki: ThrowawayPki
    log_key: NoteSigner
    vault: Vault
    factory: sessionmaker[Session]
    chain: FakeChain
    now: datetime = START
    agreement: str = derived_id("agr", at=START, seed="case")
    allocation: str | None = None
    facts: dict[str, Json] = field(default_factory=dict)
    seats: list[Seat] = field(default_factory=list)
    signers: list[Signer] = field(default_factory=list)
    original: bytes = b""
    revisions: list[bytes] = field(default_factory=list)
    times: dict[tuple[str, str], datetime] = field(default_factory=dict)
    archives: tuple[Archived, ...] = ()
    count: int = 0
    texts: dict[TextFieldSpec, int] = field(default_factory=dict)
    """Text fields of the document -> number of the seat that may fill it."""
    filled: Filled | None = None
    edits: tuple[RecordedEdit, ...] = ()

    def tick(self, seconds: int = 5) -> datetime:
        """Time passes."""
        self.now += timedelta(seconds=seconds)
        return self.now

    def entry(self, kind: str, *, subject: str, actor: str, body: Mapping[str, Json]) -> str:
        """Record one entry a few seconds later; its id."""
        at = self.tick()
        self.count += 1
        name = derived_id("ent", at=at, seed=f"{self.count}")
        with self.factory.begin() as session:
            record(
                session,
                self.vault,
                NewEntry(id=name, type=kind, at=at, subject=subject, actor=actor, body=body),
            )
        return name

    def step(self, kind: str, seat: Seat, **body: Json) -> str:
        """Record one step of the agreement."""
        name = self.entry(
            kind,
            subject=self.agreement,
            actor=seat.person,
            body={"agreement": self.agreement, "signer": seat.signer, **body},
        )
        self.times[seat.signer, kind + str(body.get("act", ""))] = self.now
        return name

    def anchor(self) -> None:
        """Sequence what waits and anchor it to the end."""
        with self.factory.begin() as session:
            sequence(session, self.log_key, at=self.now)
        Submitter(self.factory, self.chain, StoredCheckpoints(), lambda: self.now).drain()

    def register(self) -> None:
        """Both sides: real name, authorisation, certificate."""
        for number, (organisation, person, category) in enumerate(_NAMES, start=1):
            seat = self._seat(number, organisation, person, category)
            self.seats.append(seat)
            self._check(seat.organisation, organisation, "organisation", category)
            self._check(seat.person, person, "person", "person")
            self.entry(
                "authorisation.granted",
                subject=seat.organisation,
                actor=seat.person,
                body={"authorisation": seat.authorisation.as_json(), "demo": True},
            )
            der = seat.holder.certificate.der
            self.entry(
                "certificate.issued",
                subject=seat.person,
                actor=seat.person,
                body={
                    "certificate": seat.certificate,
                    "organisation": seat.organisation,
                    "issuer": self.pki.authority.label_en,
                    "serial": seat.holder.certificate.serial_hex,
                    "sha256": hashlib.sha256(der).hexdigest(),
                    "spki_sha256": hashlib.sha256(seat.holder.key.public_spki).hexdigest(),
                    "not_before": utc_text(seat.holder.certificate.not_before),
                    "not_after": utc_text(seat.holder.certificate.not_after),
                    "label": self.pki.authority.label_zh,
                },
            )

    def match(self) -> None:
        """The agreement comes from a match."""
        self.allocation = derived_id("all", at=START, seed="allocation")
        found = derived_id("rnd", at=START, seed="round")
        opened: dict[str, Json] = {"round": found, "inputs_sha256": "11" * 32, "needs": 1}
        closed: dict[str, Json] = {"round": found, "plan_sha256": "22" * 32, "objective": [0, 7]}
        line: dict[str, Json] = {"round": found, "allocation": self.allocation, "quantity": 5000}
        self.entry("round.opened", subject=found, actor="system", body=opened)
        # The round decided one urgent need at once: its entry names the rule that allowed that.
        need = derived_id("need", at=START, seed="urgent")
        marked: dict[str, Json] = {"round": found, "urgent_policy_sha256": "33" * 32}
        self.entry("round.closed", subject=found, actor="system", body=closed)
        self.entry("allocation.proposed", subject=self.allocation, actor="system", body=line)
        self.entry("need.urgent", subject=need, actor="system", body={"need": need, **marked})
        self.facts = {**opened, **closed, **line, **marked}

    def publish(self) -> None:
        """The document with its signature fields, delivered to both sides."""
        self.original = simple_pdf()
        if self.texts:
            self.original = place_text_fields(self.original, [*self.texts])
        fields = [
            FieldSpec(
                name=seat.field, page=0, x=60 + 230 * (seat.number - 1), y=60, width=200, height=64
            )
            for seat in self.seats
        ]
        fillable = {text.name: self.seats[number].field for text, number in self.texts.items()}
        self.revisions = [place_fields(self.original, fields, fillable=fillable)]
        self.entry(
            "document.finalised",
            subject=self.agreement,
            actor=self.seats[0].person,
            body={
                "agreement": self.agreement,
                "title": "Donation of masks (invented)",
                "matter": MATTER,
                "allocation": self.allocation,
                "sha256": self.digest,
                "original_sha256": hashlib.sha256(self.original).hexdigest(),
                "pages": 1,
                "origin": "upload",
                "template": None,
                "consent_version": "fuqi/e-form-consent/v1",
                "demo": True,
            },
        )
        self.entry(
            "agreement.staged",
            subject=self.agreement,
            actor=self.seats[0].person,
            body={
                "agreement": self.agreement,
                "stages": [
                    {
                        "stage": seat.number,
                        "act": "sign",
                        "need": 1,
                        "members": [
                            {
                                "signer": seat.signer,
                                "organisation": seat.organisation,
                                "person": seat.person,
                                "field": seat.field,
                            }
                        ],
                    }
                    for seat in self.seats
                ],
                "amount_minor": None,
                "currency": None,
                "relation": None,
                "related": None,
                "hand_out_partial": False,
                "read_seconds_min": 0,
            },
        )
        if self.texts:
            self._plan()
        for seat in self.seats:
            self.step("document.delivered", seat, to=seat.organisation, sha256=self.digest)

    def _plan(self) -> None:
        """Who may fill which field."""
        self.entry(
            "agreement.annexed",
            subject=self.agreement,
            actor=self.seats[0].person,
            body={
                "agreement": self.agreement,
                "author": self.seats[0].organisation,
                "clauses": [],
                "attachments": [],
                "demands": [],
                "fields": [
                    {
                        "name": text.name,
                        "field": self.seats[number].field,
                        "label": text.name,
                        "required": True,
                        "page": text.page + 1,
                        "preset": "",
                    }
                    for text, number in self.texts.items()
                ],
            },
        )

    def annex(self, seat: Seat) -> dict[str, Json] | None:
        """What the will to sign lists: every value that stands in the form."""
        places = {text.name: self.seats[number].field for text, number in self.texts.items()}
        return annex(
            agreement=self.agreement,
            document_sha256=self.digest,
            field=seat.field,
            clauses=(),
            attachments=(),
            fields=[FieldValue(one.field, places[one.field], one.new) for one in self.edits],
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the document that is read and signed, hex."""
        return hashlib.sha256(self.revisions[0]).hexdigest()

    def read_and_consent(self, seat: Seat) -> None:
        """Opened, read, consented."""
        self.step("document.opened", seat, by=seat.person, sha256=self.digest)
        self.step("document.read", seat, by=seat.person, sha256=self.digest, pages=1, seconds=9)
        self.express(seat, act="consent")

    def express(self, seat: Seat, *, act: str) -> None:
        """A statement signed by the signer's own key."""
        listed = self.annex(seat) if act == "sign" else None
        value = statement(
            agreement=self.agreement,
            document_sha256=bytes.fromhex(self.digest),
            person=seat.person,
            person_name=seat.person_name,
            organisation=seat.organisation,
            organisation_name=seat.organisation_name,
            act=act,
            field=seat.field if act == "sign" else "",
            at=self.tick(),
            nonce=secrets.token_hex(16),
            annex=listed,
        )
        self.step(
            "intent.expressed",
            seat,
            act=act,
            statement=value,
            statement_sha256=statement_digest(value).hex(),
            method="device_key",
            proof=seat.holder.key.sign(intent_message(value)).hex(),
            certificate=seat.certificate,
            serial=seat.holder.certificate.serial_hex,
            authorisation=seat.authorisation.id,
            **({} if listed is None else {"annex": listed}),
        )

    def fill(self, seat: Seat, values: Mapping[str, str]) -> None:
        """The signer's own fields, right before the signature."""
        base = self.revisions[-1]
        self.filled = fill(base, values)
        self.edits += self.filled.edits
        self.step(
            "document.filled",
            seat,
            by=seat.person,
            base_sha256=hashlib.sha256(base).hexdigest(),
            revision_sha256=hashlib.sha256(self.filled.data).hexdigest(),
            fields=[
                {"field": one.field, "old": one.old, "new": one.new} for one in self.filled.edits
            ],
        )

    def sign(self, seat: Seat) -> None:
        """The next revision, signed on the signer's device."""
        at, issued = self.tick(), seat.holder.certificate
        base = self.revisions[-1]
        filled, self.filled = self.filled, None
        prepared = prepare(
            base if filled is None else filled.data,
            field=seat.field,
            certificate=issued.der,
            chain=issued.chain,
            at=at,
            certify=len(self.revisions) == 1,
            appearance=Appearance(
                organisation=seat.organisation_name,
                handler=seat.person_name,
                serial_hex=issued.serial_hex,
                at=at,
                demo=True,
            ),
        )
        signed = embed(
            prepared,
            signature=seat.holder.key.sign(prepared.signed_attrs),
            certificate=issued.der,
            chain=issued.chain,
            stamp=lambda imprint: self.pki.tsa.stamp(imprint, at=at),
            edits=self.edits,
        )
        self.revisions.append(signed)
        self.step(
            "signature.applied",
            seat,
            field=seat.field,
            order=seat.number,
            organisation=seat.organisation,
            person=seat.person,
            certificate=seat.certificate,
            serial=issued.serial_hex,
            base_sha256=hashlib.sha256(base).hexdigest(),
            revision_sha256=hashlib.sha256(signed).hexdigest(),
            authorisation=seat.authorisation.as_json(),
            tsa=self.pki.tsa.label_en,
            ca=self.pki.authority.label_en,
        )

    def form(self) -> None:
        """Formed at the last signature."""
        last = self.times[self.seats[-1].signer, "signature.applied"]
        self.entry(
            "agreement.formed",
            subject=self.agreement,
            actor=self.seats[-1].person,
            body={
                "agreement": self.agreement,
                "sha256": hashlib.sha256(self.revisions[-1]).hexdigest(),
                "formed_at": utc_text(last),
                "place": "示例市（虚构）",
            },
        )

    def archive(self) -> None:
        """The final file as a long-term signature."""
        at = self.tick()
        final = self.revisions[-1]
        made = extend(
            final,
            material=ValidationData(
                certificates=(self.pki.authority.root_der, self.pki.tsa.root_der),
                crls=(self.pki.authority.crl(at=at),),
            ),
            stamp=lambda imprint: self.pki.tsa.stamp(imprint, at=at),
            edits=self.edits,
        )
        self.archives = (Archived(1, made, Level.B_LTA.value, at),)
        self.entry(
            "document.archived",
            subject=self.agreement,
            actor="system",
            body={
                "agreement": self.agreement,
                "number": 1,
                "base_sha256": hashlib.sha256(final).hexdigest(),
                "sha256": hashlib.sha256(made).hexdigest(),
                "level": Level.B_LTA.value,
                "stamped_at": utc_text(at),
                "due_at": utc_text(renewal_of(made, at=at).due),
                "tsa": self.pki.tsa.label_en,
            },
        )

    def finish(self) -> BundleContents:
        """Everything recorded, as a flow would load it."""
        with self.factory() as session:
            rows = log_queries.entries_page(session, after=-1, limit=500)
            receipts: list[Mapping[str, Json]] = [
                build_receipt(
                    session,
                    row,
                    verifier=self.log_key.verifier,
                    private=self.vault.get(session, row.id),
                    with_evidence=False,
                )
                for row in rows
            ]
            anchors = _anchors(session, rows, self.log_key)
        return BundleContents(
            id=derived_id("bun", at=START, seed="bundle"),
            made_at=datetime.fromtimestamp(1_700_000_300, tz=UTC),
            purpose=Purpose.ARBITRATION,
            platform=Platform("示例平台（虚构）", "fuqi", "0.1.0", "the operator alone"),
            agreement=self._agreement(),
            parties=tuple(party for seat in self.seats for party in _parties(seat)),
            authorisations=tuple(seat.authorisation for seat in self.seats),
            signers=tuple(self._signer(seat) for seat in self.seats),
            certificates=tuple(_certificate(seat) for seat in self.seats),
            crls=(self.pki.authority.crl(at=self.now),),
            original=self.original,
            revisions=tuple(self.revisions),
            receipts=tuple(receipts),
            anchors=anchors,
            custody=Custody("acc_operator", "request of a party", "示例仲裁委员会（虚构）"),
            allocation=Allocation(self.facts) if self.allocation else None,
            demo=True,
            archives=self.archives,
        )

    def write(self, contents: BundleContents) -> bytes:
        """The sealed and stamped bundle."""
        return write_bundle(
            contents,
            seal=self.log_key.sign_text,
            stamp=lambda digest: self.pki.tsa.stamp(digest, at=contents.made_at),
        )

    def trust(self) -> Trust:
        """What a verifier pins who trusts this installation."""
        deployed, info = self.chain.deploy(), self.chain.info()
        return Trust(
            pki=PkiTrust(
                ca_roots=(self.pki.authority.root_der,),
                tsa_roots=(self.pki.tsa.root_der,),
                labels=(self.pki.authority.label_en, self.pki.tsa.label_en),
            ),
            ledger=LedgerTrust(
                verifier=self.log_key.verifier,
                chains=(
                    ChainPin(
                        chain_id=deployed.chain_id,
                        contract=deployed.address,
                        code_hash=deployed.code_hash,
                        kind=info.kind,
                        label_en=info.label_en,
                        label_zh=info.label_zh,
                    ),
                ),
            ),
        )

    def _seat(self, number: int, organisation: str, person: str, category: str) -> Seat:
        organisation_id = derived_id("pty", at=START, seed=organisation)
        person_id = derived_id("pty", at=START, seed=person)
        return Seat(
            number=number,
            organisation=organisation_id,
            organisation_name=organisation,
            person=person_id,
            person_name=person,
            category=category,
            authorisation=Authorisation(
                id=derived_id("aut", at=START, seed=person),
                organisation=organisation_id,
                person=person_id,
                matters=frozenset({MATTER}),
                powers=frozenset({"consent", "sign"}),
                valid_from=START,
                valid_to=START + timedelta(days=90),
            ),
            holder=self.pki.signer(person, organisation=organisation, reference=person_id),
            signer=derived_id("sig", at=START, seed=person),
            field=f"party{number}",
        )

    def _check(self, party: str, name: str, kind: str, category: str) -> None:
        self.entry(
            "party.registered",
            subject=party,
            actor=party,
            body={
                "party": party,
                "kind": kind,
                "category": category,
                "name": name,
                "number_masked": "91**********00XX",
                "number_commitment": "33" * 32,
                "level": 1,
                "invented": True,
                "place": "示例市（虚构）",
                "receiving_system": "fuqi",
                "demo": True,
            },
        )
        self.entry(
            "identity.checked",
            subject=party,
            actor="system",
            body={
                "v": "fuqi/verification/v1",
                "request": f"{party}-name-number",
                "kind": "person_name_number" if kind == "person" else "organisation_name_code",
                "subject": party,
                "status": "match",
                "provider": "mock",
                "label_en": MOCK_LABEL_EN,
                "label_zh": MOCK_LABEL_ZH,
                "mock": True,
                "checked_at": utc_text(self.now),
                "evidence_sha256": "44" * 32,
                "level": 1,
                "level_reason": MOCK_LABEL_EN,
            },
        )

    def _agreement(self) -> Agreement:
        last = self.times.get((self.seats[-1].signer, "signature.applied"))
        return Agreement(
            id=self.agreement,
            title="Donation of masks (invented)",
            matter=MATTER,
            state="signing" if last is None else "formed",
            origin="upload",
            template=None,
            created_at=START,
            expires_at=START + timedelta(days=30),
            formed_at=last,
            place_of_formation="示例市（虚构）",
            original_sha256=hashlib.sha256(self.original).hexdigest(),
            document_sha256=self.digest,
            final_sha256=hashlib.sha256(self.revisions[-1]).hexdigest(),
            pages=1,
            allocation=self.allocation,
        )

    def _signer(self, seat: Seat) -> Signer:
        def at(step: str) -> datetime:
            return self.times.get((seat.signer, step), self.now)

        return Signer(
            id=seat.signer,
            position=seat.number,
            role="donor" if seat.number == 1 else "recipient",
            organisation=seat.organisation,
            person=seat.person,
            field=seat.field,
            certificate=seat.certificate,
            authorisation=seat.authorisation.id,
            revision_sha256=hashlib.sha256(self.revisions[seat.number]).hexdigest(),
            delivered_at=at("document.delivered"),
            opened_at=at("document.opened"),
            read_at=at("document.read"),
            consented_at=at("intent.expressedconsent"),
            intent_at=at("intent.expressedsign"),
            signed_at=at("signature.applied"),
        )


def open_case(folder: Path) -> CaseBuilder:
    """An empty installation in `folder`."""
    url = f"sqlite:///{folder / 'log.sqlite3'}"
    migrate(url)
    return CaseBuilder(
        folder=folder,
        pki=throwaway_pki(folder, at=START),
        log_key=NoteSigner(folder / "log.key", name=LOG_NAME),
        vault=Vault(FileKeyProvider(folder / "vault.key")),
        factory=sessions(make_engine(url)),
        chain=FakeChain(),
    )


def formed_case(folder: Path, *, matched: bool = False) -> CaseBuilder:
    """A case in which both sides have signed and everything is anchored."""
    case = open_case(folder)
    case.register()
    if matched:
        case.match()
    case.anchor()
    case.publish()
    for seat in case.seats:
        case.read_and_consent(seat)
    for seat in case.seats:
        case.express(seat, act="sign")
        case.sign(seat)
    case.form()
    case.archive()
    case.anchor()
    return case


def resealed(files: Mapping[str, bytes], *, seal: Seal, stamp: Stamp) -> bytes:
    """What somebody makes who changes files and rewrites manifest, reports, time stamp and seal."""
    changed = dict(files)
    manifest: dict[str, Any] = json.loads(changed[MANIFEST])
    head = {key: manifest[key] for key in ("bundle", "made_at", "purpose", "labels")}
    try:
        renderer = RENDERERS[str(manifest["renderer"])]
        facts = renderer.facts(open_files(changed), head=head)
    except (FuqiError, KeyError, TypeError, IndexError):
        pass  # parts so broken that no report can be made of them
    else:
        changed[REPORT_JSON] = canonical_bytes(facts)
        changed[REPORT_HTML] = renderer.page(facts).encode()
    manifest["files"] = file_rows(changed)
    changed[MANIFEST] = canonical_bytes(manifest)
    changed[STAMP] = stamp(hashlib.sha256(changed[MANIFEST]).digest())
    text = seal_text(str(manifest["bundle"]), manifest=changed[MANIFEST], token=changed[STAMP])
    changed[NOTE] = seal(text).encode()
    return pack(changed)


def simple_pdf() -> bytes:
    """One page, always the same bytes."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    canvas.drawString(72, 760, "Donation of 5000 masks. Invented, for tests.")
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _parties(seat: Seat) -> tuple[Party, Party]:
    return (
        _party(seat.organisation, "organisation", seat.category, seat.organisation_name),
        _party(seat.person, "person", "person", seat.person_name),
    )


def _party(party: str, kind: str, category: str, name: str) -> Party:
    return Party(
        id=party,
        kind=kind,
        category=category,
        name=name,
        number_masked="91**********00XX",
        level=1,
        level_reason=MOCK_LABEL_EN,
        invented=True,
        place="示例市（虚构）",
        receiving_system="fuqi",
    )


def _certificate(seat: Seat) -> Certificate:
    issued = seat.holder.certificate
    return Certificate(
        id=seat.certificate,
        serial=issued.serial_hex,
        person=seat.person,
        organisation=seat.organisation,
        der=issued.der,
        chain=issued.chain,
    )


def _anchors(session: Session, rows: Sequence[Any], log_key: NoteSigner) -> tuple[Anchor, ...]:
    """Every anchor that a receipt names, once, with its evidence."""
    found: dict[int, Mapping[str, Json]] = {}
    for row in rows:
        anchor = build_receipt(session, row, verifier=log_key.verifier)["anchor"]
        if isinstance(anchor, Mapping):
            size = anchor["size"]
            assert isinstance(size, int)
            found[size] = anchor
    return tuple(Anchor(anchor) for _, anchor in sorted(found.items()))
