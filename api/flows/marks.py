"""What a signer puts on the page with a signature: a seal, the same seal across page edges, handwriting.

A seal is checked when the signature is prepared and again when it is completed: its state, its user's duty and
the authorisation's seal scope. Its use is recorded with the signature that carries it, never without one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.agreements import record_step
from api.flows.parties import authorisation_of
from api.flows.seals import usable_seal
from api.ports import Ports
from ledger.core.canonical import Json, canonical_bytes, sha256, tagged_digest
from ledger.core.errors import InputError, UnavailableError
from ledger.tables.agreements import AgreementRow, PreparedSignatureRow, SignerRow
from ledger.tables.parties import AuthorisationRow, CertificateRow
from ledger.tables.seals import SealRow, SealUseRow
from signing.edge_seal import kept_for
from signing.handwriting import Handwriting, read_handwriting
from signing.pdf import SealMark
from signing.seal_object import Binding, make_seal_object
from signing.seals import LABELS_ZH, POINTS_PER_MM, Kind, Picture


@dataclass(frozen=True, slots=True)
class Marks:
    """What the signer chose.

    Attributes:
        seal_id: a seal of the organisation, or None to sign without one.
        edge: also across the edges of all pages, where room was kept for it at publication.
        strokes: handwriting as `signing.handwriting` takes it; () for none.
    """

    seal_id: str | None = None
    edge: bool = False
    strokes: tuple[tuple[tuple[int, ...], ...], ...] = ()

    @property
    def digest(self) -> str:
        """Tells whether a prepared signature carries the same marks."""
        strokes: list[Json] = [[list(point) for point in stroke] for stroke in self.strokes]
        fields: dict[str, Json] = {"seal": self.seal_id, "edge": self.edge, "strokes": strokes}
        return tagged_digest("fuqi/marks/v1", fields).hex()


NO_MARKS = Marks()


@dataclass(frozen=True, slots=True)
class Drawn:
    """What `prepare` needs of the marks; all empty without any."""

    seal: SealMark | None = None
    row: SealRow | None = None
    handwriting: Handwriting | None = None
    size_pt: tuple[int, int] = (0, 0)

    @property
    def label(self) -> str:
        """The line about the seal in the signature's box."""
        if self.row is None:
            return ""
        source = "" if self.row.source == "drawn" else "（上传图样 uploaded）"
        return f"{LABELS_ZH[Kind(self.row.kind)]}{source} {self.row.id}"


def draw_marks(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    signer: SignerRow,
    marks: Marks,
    *,
    certificate: CertificateRow,
    authority: AuthorisationRow,
    base: bytes,
    at: datetime,
) -> Drawn:
    """Check the chosen seal and handwriting and make what goes into the file.

    Raises:
        NotFoundError: no such seal of the caller's organisation.
        ForbiddenError: `seal.duty`.  ConflictError: `seal.not_enabled`, `seal.not_valid_at`.
        InputError: `handwriting.*`, `seal.edge_without_seal`.
        UnavailableError: `seal.no_maker`.
    """
    writing = read_handwriting(marks.strokes) if marks.strokes else None
    if marks.seal_id is None:
        if marks.edge:
            raise InputError(
                "choose the seal that runs across the edges", code="seal.edge_without_seal"
            )
        return Drawn(handwriting=writing)
    if ports.seal_maker is None:
        raise UnavailableError(
            "this installation has no maker of seals yet: under an authority from outside the operator has one "
            "certified (fuqi ca seal-request) and sets FUQI_SEAL_MAKER; sign without a seal meanwhile",
            code="seal.no_maker",
        )
    seal = usable_seal(session, caller, marks.seal_id, at=at)
    picture = Picture(ports.blobs.get(seal.picture_sha256), seal.width_mm, seal.height_mm)
    binding = Binding(
        seal=seal.id,
        kind=seal.kind,
        source=seal.source,
        agreement=row.id,
        signer=signer.id,
        organisation=signer.organisation_id,
        person=signer.person_id,
        authorisation=authority.id,
        authorisation_sha256=authorisation_sha256(authority),
        field=signer.field,
        base_size=len(base),
        base_sha256=sha256(base).hex(),
        edge=marks.edge,
    )
    made = make_seal_object(
        binding,
        name=seal.name,
        picture=picture,
        period=(seal.valid_from, seal.valid_to),
        certificate=certificate.der,
        maker=ports.seal_maker,
        at=at,
    )
    return Drawn(
        seal=SealMark(
            page=ports.blobs.get(seal.page_sha256),
            object_der=made,
            edge=picture if marks.edge else None,
        ),
        row=seal,
        handwriting=writing,
        size_pt=(round(seal.width_mm * POINTS_PER_MM), round(seal.height_mm * POINTS_PER_MM)),
    )


def edge_kept(session: Session, ports: Ports, signer_id: str) -> bool:
    """Whether room was kept, at publication, for this signer's seal across the page edges."""
    signer = session.get_one(SignerRow, signer_id)
    row = session.get_one(AgreementRow, signer.agreement_id)
    return signer.field in kept_for(ports.blobs.get(row.document_sha256))


def kind_of_seal(session: Session, marks: Marks) -> str | None:
    """The kind that the authorisation's seal scope must name; None without a seal."""
    seal = None if marks.seal_id is None else session.get(SealRow, marks.seal_id)
    return None if seal is None else seal.kind


def marks_state(marks: Marks, drawn: Drawn) -> dict[str, Json]:
    """What is kept beside a prepared signature."""
    return {
        "marks": marks.digest,
        "seal": marks.seal_id,
        "edge": marks.edge,
        "seal_object_sha256": None if drawn.seal is None else sha256(drawn.seal.object_der).hex(),
        "handwriting_sha256": None if drawn.handwriting is None else drawn.handwriting.digest.hex(),
    }


def require_seal_still(
    session: Session, caller: Caller, state: Mapping[str, Json], *, at: datetime
) -> SealRow | None:
    """The seal of a prepared signature, if it may still be used; None without one.

    Raises:
        ForbiddenError: `seal.duty`.  ConflictError: `seal.not_enabled`, `seal.not_valid_at`.
    """
    seal_id = state.get("seal")
    return None if not isinstance(seal_id, str) else usable_seal(session, caller, seal_id, at=at)


def record_use(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    signer: SignerRow,
    seal: SealRow | None,
    made: PreparedSignatureRow,
    *,
    authority: AuthorisationRow,
    revision_sha256: str,
    at: datetime,
) -> None:
    """The usage ledger's row and entry, in the transaction that accepts the signature."""
    if seal is None:
        return
    state = json.loads(made.state)
    edge = bool(state.get("edge"))
    session.add(
        SealUseRow(
            signer_id=signer.id,
            seal_id=seal.id,
            agreement_id=row.id,
            person_id=signer.person_id,
            authorisation_id=authority.id,
            certificate_id=made.certificate_id,
            base_sha256=made.base_sha256,
            revision_sha256=revision_sha256,
            edge=edge,
            used_at=at,
        )
    )
    record_step(
        session,
        ports,
        caller,
        row,
        "seal.used",
        {
            "seal": seal.id,
            "kind": seal.kind,
            "source": seal.source,
            "signer": signer.id,
            "organisation": signer.organisation_id,
            "person": signer.person_id,
            "certificate": made.certificate_id,
            "authorisation": authority.id,
            "document_sha256": row.document_sha256,
            "base_sha256": made.base_sha256,
            "revision_sha256": revision_sha256,
            "seal_object_sha256": state.get("seal_object_sha256"),
            "edge": edge,
        },
        at=at,
    )


def authorisation_sha256(authority: AuthorisationRow) -> str:
    """Digest of the authorisation as it stands, as the seal object and the evidence name it."""
    return sha256(canonical_bytes(authorisation_of(authority).as_json())).hex()


def marks_of(
    *, seal_id: str | None, edge: bool, strokes: Sequence[Sequence[Sequence[int]]]
) -> Marks:
    """Marks out of parsed JSON."""
    return Marks(
        seal_id=seal_id,
        edge=edge,
        strokes=tuple(tuple(tuple(point) for point in stroke) for stroke in strokes),
    )
