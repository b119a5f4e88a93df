"""Shapes of agreements, signing steps, entries and receipts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from api.schemas.annexes import (
    AttachmentOut,
    ClauseIn,
    ClauseOut,
    ConfirmationOut,
    DemandIn,
    DemandOut,
    FieldOut,
    FillableIn,
)
from api.schemas.base import Id, Input, Output, ShortText
from api.schemas.identity import RatificationOut
from api.schemas.placement import FieldIn
from signing.annexes import ATTACHMENTS_MAX, CLAUSES_MAX
from signing.form_fill import FIELDS_MAX as FORM_FIELDS_MAX

SIGNERS_MAX = 20
"""Signature fields of one document; more do not fit on a page anybody reads."""


class MarksIn(Input):
    """What goes onto the page with a signature."""

    seal_id: Id | None = Field(default=None, description="an enabled seal that the caller may use")
    edge: bool = Field(default=False, description="also across the edges of all pages (骑缝)")
    strokes: list[
        Annotated[
            list[Annotated[list[int], Field(min_length=2, max_length=2)]], Field(max_length=5000)
        ]
    ] = Field(
        default_factory=list,
        max_length=100,
        description="handwriting: points in thousandths of the canvas's width",
    )


class SignerIn(Input):
    """Who signs, in this order."""

    organisation_id: Id
    person_id: Id
    role: ShortText = Field(description="donor, recipient, principal, contractor or party")
    stage: int = Field(
        default=0, ge=0, le=50, description="members of one stage act in any order; 0: one each"
    )
    act: Literal["sign", "approve"] = Field(
        default="sign", description="approve: an internal approval before the seal is used"
    )


class AgreementIn(Input):
    """A new agreement; `id` is made by the caller."""

    id: Id = Field(description="agr_…")
    title: ShortText
    matter: Literal["donation", "manufacturing", "other"]
    signers: Annotated[list[SignerIn], Field(min_length=1, max_length=SIGNERS_MAX)]
    expires_at: AwareDatetime
    allocation_id: Id | None = None
    place_of_formation: ShortText | None = None
    quorums: dict[Annotated[int, Field(ge=1, le=50)], Annotated[int, Field(ge=1, le=50)]] = Field(
        default_factory=dict,
        max_length=50,
        description="stage -> how many of its members must act; others need all of them",
    )
    amount_minor: int | None = Field(
        default=None, ge=0, le=10**15, description="in fen; this or `no_amount` is stated"
    )
    no_amount: bool = Field(
        default=False,
        description="the sender states that it is about no amount of money; signers sign this statement",
    )
    relation: Literal["releases", "amends", "renews", "revises"] | None = None
    related_id: Id | None = Field(default=None, description="the agreement that `relation` names")
    hand_out_partial: bool = Field(
        default=False, description="parties may take out the file before every signature stands"
    )
    read_seconds_min: int = Field(
        default=0, ge=0, le=3_600, description="how long the document must be open to count as read"
    )
    clauses: Annotated[list[ClauseIn], Field(max_length=CLAUSES_MAX)] = Field(
        default_factory=list,
        description="standard terms that each signer of the other sides confirms one by one",
    )
    attachments: Annotated[list[Id], Field(max_length=ATTACHMENTS_MAX)] = Field(
        default_factory=list, description="att_…, sent before by `POST /api/v1/attachments`"
    )
    demands: Annotated[list[DemandIn], Field(max_length=ATTACHMENTS_MAX)] = Field(
        default_factory=list, description="files that signers are asked for"
    )
    fillable: Annotated[list[FillableIn], Field(max_length=FORM_FIELDS_MAX)] = Field(
        default_factory=list, description="text fields that signers may fill before they sign"
    )
    edges: Literal["auto", "right", "left", "none"] = Field(
        default="auto",
        description="along which page edges room for page-edge seals (骑缝章) is kept; none: they are left out",
    )


class UploadAgreementIn(AgreementIn):
    """A new agreement from an uploaded PDF."""

    fields: Annotated[list[FieldIn], Field(max_length=SIGNERS_MAX)] = Field(
        default_factory=list,
        description="one for each who signs, in order; without them they stand in a row at the foot",
    )


class TemplateAgreementIn(AgreementIn):
    """A new agreement rendered from a template."""

    template: Literal["donation", "manufacturing"]
    data: dict[str, Any] = Field(description="the template's fields; see the template")
    point_out: bool = Field(
        default=False,
        description="point out the clauses that the template carries by default, before those of `clauses`",
    )


class ReadIn(Input):
    """What the signer's client saw."""

    pages: int = Field(ge=1, le=10_000)
    seconds: int = Field(ge=0, le=86_400)


class ReasonIn(Input):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=400)]


class ActIn(Input):
    """What the signer is about to affirm."""

    act: Literal["consent", "sign", "approve"]
    seal_id: Id | None = Field(
        default=None,
        description="of an approval, the one seal that it allows; without it any of that side's may be used",
    )


class ForwardIn(Input):
    """To whom a place is handed on, and why."""

    person_id: Id = Field(description="another handler of the same organisation")
    reason: Annotated[str, Field(min_length=1, max_length=400)]


class ProofIn(Input):
    """A signature by the signer's own key: ECDSA P-256 or SM2 in DER, or RSA up to 4096 bits."""

    signature_base64: str = Field(max_length=700)


class BundleIn(Input):
    """Why and for whom a bundle is exported."""

    id: Id = Field(description="bun_…, made by the caller")
    purpose: Literal["arbitration", "court", "notary", "party"] = "party"
    recipient: ShortText = Field(default="本人", description="for whom it is made")


class StatementOut(Output):
    """The exact sentence to affirm, and the bytes the device signs."""

    id: str
    act: str
    statement: dict[str, Any]
    statement_sha256: str
    message_base64: str = Field(description="sign these bytes (ECDSA P-256, SHA-256, DER)")
    annex: dict[str, Any] | None = Field(
        description="the clauses and files that the statement names by digest"
    )
    used_at: datetime | None


class PreparedOut(Output):
    """A prepared revision: the device signs `signed_attrs_base64`."""

    id: str
    signer_id: str
    base_sha256: str
    document_digest: str
    signed_attrs_base64: str = Field(description="sign these bytes (ECDSA P-256, SHA-256, DER)")
    expires_at: datetime


class SignerOut(Output):
    """One required signature and how far it has come."""

    id: str
    position: int
    stage: int
    act: str = Field(description="sign or approve")
    turn: bool = Field(description="whether this place may act now, consents aside")
    needed: bool = Field(description="whether its stage still needs somebody")
    role: str
    organisation_id: str
    organisation_name: str
    person_id: str
    person_name: str
    field: str
    mine: bool
    delivered_at: datetime | None
    opened_at: datetime | None
    read_at: datetime | None
    consented_at: datetime | None
    intent_at: datetime | None
    signed_at: datetime | None
    approved_at: datetime | None
    approve_again: bool = Field(
        description="of the caller's side: form fields say something else than was approved, "
        "and this place may approve again"
    )
    unapproved: bool = Field(
        description="of the caller's side: its approver has to approve again before this place signs"
    )
    refused_at: datetime | None
    receiving_system: str | None = Field(description="designated system of the organisation")
    place: str | None = Field(description="its main place of business")
    must_confirm: bool = Field(description="whether the clauses are pointed out to this signer")
    confirmed: list[ConfirmationOut]
    revision_sha256: str | None


class RevisionOut(Output):
    """One distinct file of the agreement; 0 is the document every party reads."""

    number: int
    sha256: str
    size_bytes: int
    created_at: datetime


class ArchiveOut(Output):
    """A later form of the final file: the same bytes, and behind them the proofs that outlive them."""

    number: int
    sha256: str
    size_bytes: int
    level: str = Field(description="B-LTA (ETSI EN 319 142-1)")
    stamped_at: datetime
    due_at: datetime = Field(description="when the next time stamp is added")


class StageOut(Output):
    """A stage: what its members do and how many of them must."""

    stage: int
    act: str
    members: int
    need: int
    missing: int = Field(description="how many must still act")


class RelatedOut(Output):
    """Another agreement that this one refers to, or that refers to this one."""

    id: str
    title: str
    state: str
    relation: str = Field(description="releases, amends, renews or revises")
    direction: str = Field(description="to: this one names it; from: it names this one")


class DifferenceLineOut(Output):
    """One line of a comparison."""

    kind: str = Field(description="same, added, removed or skip")
    text: str


class DifferenceOut(Output):
    """What the document says otherwise than the one it refers to."""

    earlier: str
    lines: list[DifferenceLineOut]
    complete: bool


class EntryOut(Output):
    """One record in the log and how far it is anchored."""

    id: str
    type: str
    at: datetime
    actor: str
    leaf: str
    index: int | None
    state: str = Field(description="journaled, logged, mined or final")


class AgreementSummary(Output):
    """An agreement in a list."""

    id: str
    title: str
    matter: str
    state: str
    demo: bool
    pages: int
    created_at: datetime
    expires_at: datetime
    formed_at: datetime | None


class AgreementOut(AgreementSummary):
    """An agreement with its signers, revisions and entries."""

    origin: str
    template: str | None
    allocation_id: str | None
    owner_organisation_id: str
    original_sha256: str
    document_sha256: str
    current_sha256: str
    place_of_formation: str | None
    ended_reason: str | None
    released_at: datetime | None
    amount_minor: int | None
    no_amount: bool
    amount: str = Field(description="fen as digits, none or unstated")
    currency: str | None
    hand_out_partial: bool
    read_seconds_min: int
    clauses: list[ClauseOut]
    demands: list[DemandOut]
    attachments: list[AttachmentOut]
    fields: list[FieldOut] = Field(description="form fields that signers may fill")
    ratifications: list[RatificationOut]
    stages: list[StageOut]
    consented: list[str] = Field(description="organisations that consented to electronic form")
    related: list[RelatedOut]
    signers: list[SignerOut]
    revisions: list[RevisionOut]
    archives: list[ArchiveOut]
    entries: list[EntryOut]


class AgreementList(Output):
    """A page of agreements, newest first."""

    items: list[AgreementSummary]
    next: str | None = Field(description="pass as `before` for the next page")


class BundleOut(Output):
    """An exported evidence bundle."""

    id: str
    subject: str
    sha256: str
    size_bytes: int
    purpose: str
    created_at: datetime
