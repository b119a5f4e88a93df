"""Intent and two-step signing: the server prepares, the signer's device signs, the server embeds.

The server never holds a signer's key. Each step needs the signer's own session; the proof of intent and
the signature are both made by the key in the signer's certificate.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final

from sqlalchemy.orm import Session

from api import pdfsig
from api.callers import Caller
from api.flows.agreements import record_step, signer_for, state_of, stated_amount
from api.flows.annexes import annex_of, require_annexed
from api.flows.approvals import (
    named_seal,
    record_approval,
    require_approved_seal,
    require_approved_values,
    require_can_approve,
    require_seal_for,
)
from api.flows.authority import grounds_of, on_formed
from api.flows.form_filling import (
    filled_digest,
    prepared_edits,
    prepared_state,
    record_filled,
    recorded_edits,
    values_digest,
    values_to_fill,
)
from api.flows.marks import (
    NO_MARKS,
    Marks,
    draw_marks,
    kind_of_seal,
    marks_state,
    record_use,
    require_seal_still,
)
from api.flows.parties import authorisation_of
from api.flows.relations import apply_relation
from api.ports import Ports
from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import new_id
from ledger.core.units import digest32, utc_text
from ledger.queries import agreements as queries
from ledger.queries import parties as party_queries
from ledger.tables.agreements import (
    AgreementRow,
    IntentRow,
    PreparedSignatureRow,
    RevisionRow,
    SignerRow,
)
from ledger.tables.parties import CertificateRow, PartyRow
from signing import agreement as rules
from signing.appearance import Appearance
from signing.certificates import certificate_spki, split_chain
from signing.form_fill import fill
from signing.intent import require_intent, statement, statement_digest
from signing.keys.algorithms import PROOF_BYTES_MAX
from signing.opinions import (
    Opinion,
    judgeable,
    pdfsig_opinion,
    pyhanko_opinion,
    require_no_disagreement,
)
from signing.pdf import Prepared, check_all, embed, prepare
from signing.pdf_reading import signatures_of
from signing.trust import PkiTrust

PREPARED_FOR: Final = timedelta(minutes=15)
"""How long a prepared signature waits for the device: a slow phone, not an abandoned one."""


def make_statement(
    session: Session,
    caller: Caller,
    signer_id: str,
    *,
    act: str,
    at: datetime,
    seal_id: str | None = None,
) -> IntentRow:
    """The exact sentence the signer is asked to affirm (consent, sign or approve), with a fresh nonce.

    Args:
        seal_id: of an approval, the one seal that it allows; None for any of that side's.

    Raises:
        NotFoundError: a seal of another organisation.  ConflictError: `seal.not_enabled`,
            `approval.other_seal`.  InputError: `intent.seal`.
        ConflictError: `agreement.not_read` before every page was read; `agreement.*`;
            `clause.unconfirmed`, `upload.missing`; to sign `approval.other_values`.
        InputError: `intent.act`.
    """
    row, signer = signer_for(session, caller, signer_id)
    if act not in ("consent", signer.act):
        raise InputError(
            "an act is consent, sign or approve, as the place has it", code="intent.act"
        )
    if seal_id is not None and act != rules.Act.APPROVE:
        raise InputError(
            "a seal is named by an approval; who signs chooses it with the signature",
            code="intent.seal",
        )
    if signer.read_at is None:
        raise ConflictError("read the document first", code="agreement.not_read")
    seal = require_seal_for(session, caller, row, signer, seal_id, at=at)
    annex = None
    if act != "consent":
        require_annexed(session, row, signer)
        require_approved_values(session, row, signer)
        annex = annex_of(session, row, signer)
    people = party_queries.parties_by_ids(session, [signer.organisation_id, signer.person_id])
    nonce = secrets.token_hex(16)
    value = statement(
        agreement=row.id,
        document_sha256=bytes.fromhex(row.document_sha256),
        person=signer.person_id,
        person_name=people[signer.person_id].name,
        organisation=signer.organisation_id,
        organisation_name=people[signer.organisation_id].name,
        act=act,
        field=signer.field if act == "sign" else "",
        at=at,
        nonce=nonce,
        annex=annex,
        amount=None if act == "consent" else stated_amount(row),
        seal=named_seal(session, seal),
    )
    made = IntentRow(
        id=new_id("int", at=at),
        signer_id=signer.id,
        act=act,
        nonce=nonce,
        statement=canonical_bytes(value).decode(),
        annex=None if annex is None else canonical_bytes(annex).decode(),
        created_at=at,
    )
    session.add(made)
    session.flush()
    return made


def express_intent(
    session: Session, ports: Ports, caller: Caller, intent_id: str, *, proof: bytes, at: datetime
) -> IntentRow:
    """Record the signer's will: the statement, signed by the key in the signer's certificate.

    The same proof again returns the recorded intent.

    Raises:
        NotFoundError: no such statement of this signer; `certificate.none`.
        VerificationError: `intent.*`.
        ForbiddenError: `authority.*`.  ConflictError: `intent.used`, `agreement.*`, `clause.*`,
            `upload.*`, `approval.*`; of an approval `seal.not_enabled`.
    """
    made = session.get(IntentRow, intent_id)
    if made is None:
        raise NotFoundError("there is no such record")
    row, signer = signer_for(session, caller, made.signer_id)
    session.refresh(made)  # the same proof may have been sent twice at once
    if made.used_at is not None:
        if made.proof == proof.hex():
            return made
        raise ConflictError("this statement is used; make a new one", code="intent.used")
    if len(proof) > PROOF_BYTES_MAX:
        raise InputError("this is too long for a signature", code="intent.proof_size")
    value = canonical_parse(made.statement.encode())
    assert isinstance(value, dict)
    certificate = held_certificate(session, signer, at=at)
    annex = None
    if made.act != "consent":
        require_annexed(session, row, signer)
        require_approved_values(session, row, signer)
        annex = annex_of(session, row, signer)
    require_intent(
        value,
        signature=proof,
        public_spki=certificate_spki(certificate.der),
        agreement=row.id,
        document_sha256=bytes.fromhex(row.document_sha256),
        person=signer.person_id,
        organisation=signer.organisation_id,
        act=made.act,
        field=signer.field if made.act == "sign" else "",
        at=at,
        annex=annex,
        amount=None if made.act == "consent" else stated_amount(row),
    )
    authority = grounds_of(session, ports, signer, row, act=made.act, at=at).authorisation
    named = value.get("seal")
    seal = str(named["id"]) if isinstance(named, Mapping) else None
    # No act means anything about an agreement that is closed or expired.
    rules.consent(state_of(session, row), party=signer.organisation_id, at=at)
    if made.act == "consent":
        signer.consented_at = signer.consented_at or at
    elif made.act == "approve":
        require_seal_for(session, caller, row, signer, seal, at=at)
        require_can_approve(session, row, signer, at=at)
    else:
        signer.intent_at = at
    made.proof = proof.hex()
    made.certificate_id = certificate.id
    made.used_at = at
    record_step(
        session,
        ports,
        caller,
        row,
        "intent.expressed",
        {
            "signer": signer.id,
            "act": made.act,
            "statement": value,
            "statement_sha256": statement_digest(value).hex(),
            "method": "device_key",
            "proof": proof.hex(),
            "certificate": certificate.id,
            "serial": certificate.serial,
            "authorisation": authority.id,
            **({} if annex is None else {"annex": annex}),
        },
        at=at,
    )
    if made.act == rules.Act.APPROVE:
        record_approval(
            session,
            ports,
            caller,
            row,
            signer,
            statement_sha256=statement_digest(value).hex(),
            certificate=certificate.id,
            authorisation=authority.id,
            seal=seal,
            annex=annex,
            at=at,
        )
    return made


def prepare_signature(
    session: Session,
    ports: Ports,
    caller: Caller,
    signer_id: str,
    *,
    at: datetime,
    marks: Marks = NO_MARKS,
) -> PreparedSignatureRow:
    """Step one: the next revision with an empty signature, and the exact bytes the device must sign.

    Args:
        marks: the seal and the handwriting that go with it.

    Raises:
        InputError, ForbiddenError, ConflictError, UnavailableError: those of `draw_marks`.
        ConflictError: `agreement.*`, `agreement.no_intent`, `seal.not_approved`, `approval.other_values`.
        ForbiddenError: `authority.*`.  NotFoundError: `certificate.none`.
    """
    row, signer = signer_for(session, caller, signer_id)
    rules.require_can_sign(
        state_of(session, row),
        person=signer.person_id,
        field=signer.field,
        document_sha256=digest32(bytes.fromhex(row.document_sha256)),
        base_sha256=digest32(bytes.fromhex(row.current_sha256)),
        at=at,
    )
    if signer.consented_at is None:
        # A colleague's consent binds the party; whoever signs gives their own as well.
        raise ConflictError(
            "consent to electronic form first",
            code="agreement.consent_missing",
            party=signer.organisation_id,
        )
    if signer.intent_at is None:
        raise ConflictError("express your intent to sign first", code="agreement.no_intent")
    require_approved_seal(session, row, signer, marks.seal_id)
    require_approved_values(session, row, signer)
    authority = grounds_of(
        session, ports, signer, row, act="sign", at=at, seal=kind_of_seal(session, marks)
    ).authorisation
    certificate = held_certificate(session, signer, at=at)
    values = values_to_fill(session, signer)
    for earlier in queries.open_preparation(session, signer.id):
        if (
            earlier.base_sha256 == row.current_sha256
            and earlier.certificate_id == certificate.id
            and earlier.expires_at > at
            and json.loads(earlier.state).get("marks", NO_MARKS.digest) == marks.digest
            and filled_digest(earlier) == (values_digest(values) if values else None)
        ):
            return earlier
    people = party_queries.parties_by_ids(session, [signer.organisation_id, signer.person_id])
    stored = ports.blobs.get(row.current_sha256)
    filled = fill(stored, values) if values else None
    base = stored if filled is None else filled.data
    drawn = draw_marks(
        session,
        ports,
        caller,
        row,
        signer,
        marks,
        certificate=certificate,
        authority=authority,
        # The file that the log names as the one signed on; what is filled lies between it and the signature.
        base=stored,
        at=at,
    )
    prepared = prepare(
        base,
        field=signer.field,
        certificate=certificate.der,
        chain=split_chain(certificate.chain),
        at=at,
        certify=row.current_sha256 == row.document_sha256,
        appearance=Appearance(
            organisation=people[signer.organisation_id].name,
            handler=people[signer.person_id].name,
            serial_hex=certificate.serial,
            at=at,
            demo=row.demo,
            seal_label=drawn.label,
            seal_size_pt=drawn.size_pt,
            handwriting=drawn.handwriting,
        ),
        seal=drawn.seal,
    )
    made = PreparedSignatureRow(
        id=new_id("prp", at=at),
        signer_id=signer.id,
        certificate_id=certificate.id,
        base_sha256=row.current_sha256,
        revision_sha256=ports.blobs.put(prepared.revision),
        signed_attrs=prepared.signed_attrs.hex(),
        document_digest=prepared.document_digest.hex(),
        state=json.dumps(
            {**prepared.state, **marks_state(marks, drawn), **prepared_state(values, filled)}
        ),
        created_at=at,
        expires_at=at + PREPARED_FOR,
    )
    session.add(made)
    session.flush()
    return made


def complete_signature(
    session: Session,
    ports: Ports,
    caller: Caller,
    prepared_id: str,
    *,
    signature: bytes,
    at: datetime,
    token: bytes | None = None,
) -> SignerRow:
    """Step two: embed the device's signature with a time stamp, validate every signature, record.

    Sending the same completion again returns the signer as recorded.

    Args:
        token: as `api.flows.stamping.fetch_token` got it; None asks the authority now.

    Raises:
        VerificationError: `pdf.signature_mismatch`, and the first check that an earlier or the new
            signature does not pass; `pdf.validators_disagree` where pyHanko or pdfsig rejects it.
        ConflictError: `agreement.*`, `signature.expired`, `pdf.breaks_earlier_signature`,
            `seal.not_approved`, `approval.other_values`.
        ForbiddenError: `authority.*`.
    """
    made = session.get(PreparedSignatureRow, prepared_id)
    if made is None:
        raise NotFoundError("there is no such record")
    row, signer = signer_for(session, caller, made.signer_id)
    session.refresh(made)  # the same completion may have been sent twice at once
    if made.completed_at is not None:
        return signer
    if at >= made.expires_at:
        raise ConflictError("this preparation is too old; prepare again", code="signature.expired")
    # Held until the signature stands: the key is blocked before it, or after it and told so.
    certificate = party_queries.hold_certificate(session, made.certificate_id)
    if certificate.revoked_at is not None:
        raise ForbiddenError("this certificate is revoked", code="certificate.revoked")
    document = digest32(bytes.fromhex(row.document_sha256))
    rule_state = state_of(session, row)
    rules.require_can_sign(
        rule_state,
        person=signer.person_id,
        field=signer.field,
        document_sha256=document,
        base_sha256=digest32(bytes.fromhex(made.base_sha256)),
        at=at,
    )
    seal = require_seal_still(session, caller, json.loads(made.state), at=at)
    # An approver may have approved again since it was prepared.
    require_approved_seal(session, row, signer, None if seal is None else seal.id)
    require_approved_values(session, row, signer)
    grounds = grounds_of(
        session, ports, signer, row, act="sign", at=at, seal=None if seal is None else seal.kind
    )
    authority = grounds.authorisation
    chain = split_chain(certificate.chain)
    prepared = Prepared.load(
        revision=ports.blobs.get(made.revision_sha256), state=json.loads(made.state)
    )
    own = prepared_edits(made, signer)
    edits = (*recorded_edits(session, row.id), *own)
    signed = embed(
        prepared,
        signature=signature,
        certificate=certificate.der,
        chain=chain,
        stamp=lambda imprint: token or ports.tsa.stamp(imprint, at=at),
        edits=edits,
    )
    # Every earlier signature is validated again; a signature that breaks one is not accepted.
    check_all(signed, trust=pki_trust(ports, at=at), at=at, edits=edits).require()
    opinions = others_say(signed)
    require_no_disagreement(opinions)
    revision_sha256 = ports.blobs.put(signed)
    step = rules.sign(
        rule_state,
        person=signer.person_id,
        field=signer.field,
        document_sha256=document,
        base_sha256=digest32(bytes.fromhex(made.base_sha256)),
        revision_sha256=digest32(bytes.fromhex(revision_sha256)),
        at=at,
    )
    made.completed_at = at
    signer.authorisation_id = authority.id
    signer.certificate_id = certificate.id
    signer.revision_sha256 = revision_sha256
    signer.signed_at = at
    row.current_sha256 = revision_sha256
    row.state = step.agreement.state.value
    session.add(
        RevisionRow(
            agreement_id=row.id,
            number=len(step.agreement.signatures),
            sha256=revision_sha256,
            size_bytes=len(signed),
            signer_id=signer.id,
            created_at=at,
        )
    )
    record_filled(session, ports, caller, row, signer, own, base_sha256=made.base_sha256, at=at)
    record_step(
        session,
        ports,
        caller,
        row,
        rules.EVENT_SIGNED,
        {
            "signer": signer.id,
            "field": signer.field,
            "order": signer.position,
            "organisation": signer.organisation_id,
            "person": signer.person_id,
            "certificate": certificate.id,
            "serial": certificate.serial,
            "base_sha256": made.base_sha256,
            "revision_sha256": revision_sha256,
            "authorisation": authorisation_of(authority).as_json(),
            "ratification": grounds.ratification,
            "levels": dict(grounds.levels),
            "tsa": ports.tsa.label_en,
            "ca": ports.authority.label_en,
            "validators": [
                {"name": one.name, "stance": one.stance.value, "reason": one.reason}
                for one in opinions
            ],
        },
        at=at,
    )
    record_use(
        session,
        ports,
        caller,
        row,
        signer,
        seal,
        made,
        authority=authority,
        revision_sha256=revision_sha256,
        at=at,
    )
    if rules.EVENT_FORMED in step.events:
        _form(session, ports, caller, row, step.agreement, last=signer, at=at)
    session.flush()
    return signer


def others_say(data: bytes) -> tuple[Opinion, ...]:
    """What pyHanko and poppler's `pdfsig` make of a signed file."""
    found = [one for one in signatures_of(data) if one.kind == "signature"]
    known = judgeable([one.signature_algorithm for one in found])
    return (
        pyhanko_opinion(data, name=f"pyHanko {version('pyhanko')}", differences=False),
        pdfsig_opinion(
            lambda: pdfsig.judge(data),
            fields=[one.field for one in found],
            name=pdfsig.version(),
            judgeable=known,
        ),
    )


def pki_trust(ports: Ports, *, at: datetime) -> PkiTrust:
    """This installation's own roots and current revocation list."""
    return PkiTrust(
        ca_roots=(*ports.authority.roots, *ports.former_ca_roots),
        tsa_roots=(*ports.tsa.roots, *ports.former_tsa_roots),
        crls=ports.authority.crls(at=at),
        labels=(
            ports.authority.label_zh,
            ports.authority.label_en,
            ports.tsa.label_zh,
            ports.tsa.label_en,
        ),
    )


def _form(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AgreementRow,
    agreement: rules.Agreement,
    *,
    last: SignerRow,
    at: datetime,
) -> None:
    """Formed at the last required signature (CC-490); place as agreed, else where it was signed last."""
    assert agreement.formed_at is not None
    row.formed_at = agreement.formed_at
    if row.place_of_formation is None:
        party = session.get(PartyRow, last.organisation_id)
        row.place_of_formation = None if party is None else party.place
    record_step(
        session,
        ports,
        caller,
        row,
        rules.EVENT_FORMED,
        {
            "sha256": row.current_sha256,
            "formed_at": utc_text(agreement.formed_at),
            "place": row.place_of_formation,
        },
        at=at,
    )
    apply_relation(session, ports, caller, row, at=at)
    on_formed(session, ports, caller, row, at=at)


def held_certificate(session: Session, signer: SignerRow, *, at: datetime) -> CertificateRow:
    """The newest certificate with which this signer can sign now.

    Raises:
        NotFoundError: `certificate.none`.
    """
    return newest_certificate(
        session, organisation_id=signer.organisation_id, person_id=signer.person_id, at=at
    )


def newest_certificate(
    session: Session, *, organisation_id: str, person_id: str, at: datetime
) -> CertificateRow:
    """The newest certificate with which this person can act for the organisation now.

    Raises:
        NotFoundError: `certificate.none`.
    """
    for one in party_queries.usable_certificates(
        session, organisation_id=organisation_id, person_id=person_id, at=at
    ):
        # Held until what it proves is recorded: its loss is reported before that, or after it.
        if party_queries.hold_certificate(session, one.id).revoked_at is None:
            return one
    raise NotFoundError(
        "you hold no valid certificate; make a device key and send its certificate request",
        code="certificate.none",
    )
