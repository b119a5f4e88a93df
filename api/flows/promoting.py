"""Promote an agreement: the chain itself checks every party's signature, the very one that stands in the PDF.

Any party may ask for it at any time after the agreement was formed, alone; nobody else has to do anything. A
promise of the seal is recorded in the log; once the chain holds it, the relayer sends the proof and the
signatures. What becomes public: digests, public keys of the signing certificates, their validity and level.
Whoever does not want a key linked between agreements stays with the log's anchor, or signs with a key for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role
from api.flows.evidence import visible_agreement
from api.ports import Ports
from contracts.seals_abi import (
    NO_PREV,
    Key,
    Party,
    Terms,
    cms_signature,
    in_order,
    parties_root,
    promise_body,
    public_key,
)
from ledger.acts_outbox import NewAct, queue
from ledger.core.canonical import Json, sha256
from ledger.core.errors import ConflictError, UnavailableError
from ledger.core.ids import derived_id
from ledger.log import NewEntry, record
from ledger.queries import acts as act_queries
from ledger.queries import agreements as queries
from ledger.queries import anchors as anchor_queries
from ledger.tables.acts import ChainActRow
from ledger.tables.agreements import AgreementRow
from ledger.tables.log import EntryRow
from ledger.tables.parties import CertificateRow, PartyRow
from signing.pdf_reading import signatures_of

VERIFIER: Final = "CmsVerifier"
ATTEMPTS_MAX: Final = 20
"""Refused promotions of one agreement; each says why, and one more would say the same."""


def promote_agreement(
    session: Session, ports: Ports, caller: Caller, agreement_id: str, *, at: datetime
) -> Sequence[ChainActRow]:
    """Queue the promotion of a formed agreement, and the registration of keys that it needs.

    Again is harmless: what is on its way or done is returned as it stands. After a refusal it is tried anew.

    Returns:
        The acts, the promotion last.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: absent or another organisation's.
        ConflictError: `promote.not_formed`, `promote.off`, `promote.too_often`, `vault.restricted`.
        UnavailableError: `promote.not_ready`: our contracts do not stand yet; the worker makes them.
        InputError: `contracts.key_unsupported`: a party signed with a key that the chain cannot check.
    """
    require_role(caller, Role.HANDLER, Role.ADMIN, Role.OPERATOR)
    agreement = visible_agreement(session, caller, agreement_id)
    if agreement.formed_at is None:
        raise ConflictError("only a formed agreement is promoted", code="promote.not_formed")
    if not ports.settings.acts_enabled:
        raise ConflictError("acts on the chain are switched off here", code="promote.off")
    earlier = [
        row
        for row in act_queries.acts_of(session, agreement_id, limit=act_queries.PAGE_MAX)
        if row.call == "promote"
    ]
    if earlier and earlier[-1].state != "refused":
        return earlier[-1:]
    if len(earlier) >= ATTEMPTS_MAX:
        raise ConflictError("this promotion was refused too often", code="promote.too_often")
    parties = _parties(ports, agreement, verifier=_verifier(session))
    acts = [
        _register(session, agreement, party, actor=caller.account_id, at=at) for party in parties
    ]
    promise = _promise(session, ports, agreement, parties, at=at)
    payload = _payload(session, ports, promise, parties)
    act = NewAct(
        id=derived_id("act", at=agreement.formed_at, seed=f"promote|{len(earlier)}|{agreement_id}"),
        contract="Seals",
        call="promote",
        subject=agreement_id,
        payload=payload,
        actor=caller.account_id,
        after=acts[-1].id,
    )
    return [*acts, queue(session, act, at=at)]


def _verifier(session: Session) -> bytes:
    """Address of the contract that checks signatures of PDFs, on the chain that anchors us."""
    for deployment in reversed(anchor_queries.deployments(session)):
        standing = act_queries.contracts_on(session, deployment.chain_id)
        if "Seals" in standing:
            return bytes.fromhex(standing[VERIFIER].address[2:])
    raise UnavailableError(
        "the contracts for this do not stand on the chain yet; the worker makes them, try again soon",
        code="promote.not_ready",
    )


def _parties(ports: Ports, agreement: AgreementRow, *, verifier: bytes) -> list[Party]:
    """Every party with the signature that stands in the agreement's final file."""
    parties: list[Party] = []
    for found in signatures_of(ports.blobs.get(agreement.current_sha256)):
        if found.kind != "signature" or found.container is None:
            continue
        key = public_key(_spki(found.certificate))
        parties.append(
            Party(
                key=Key(verifier=verifier, key=key),
                signature=cms_signature(found.signed_attrs, signature=found.signature, key=key),
                signed=found.container.message_digest,
            )
        )
    assert parties, "a formed agreement without a signature"
    return parties


def _promise(
    session: Session,
    ports: Ports,
    agreement: AgreementRow,
    parties: Sequence[Party],
    *,
    at: datetime,
) -> EntryRow:
    """The entry that can be promoted; the last signature covers the whole file, so its digest names it."""
    assert agreement.formed_at is not None
    entry_id = derived_id("ent", at=agreement.formed_at, seed=f"promised|{agreement.id}")
    existing = session.get(EntryRow, entry_id)
    if existing is not None:
        return existing
    terms = Terms(
        doc=parties[-1].signed, parties_root=parties_root(parties), prev=NO_PREV, deadline=0
    )
    entry = NewEntry(
        id=entry_id,
        type="agreement.promised",
        at=at,
        subject=agreement.id,
        actor="system",
        body=promise_body(terms),
    )
    return record(session, ports.vault, entry)


def _payload(
    session: Session, ports: Ports, promise: EntryRow, parties: Sequence[Party]
) -> dict[str, Json]:
    private = ports.vault.get(session, promise.id)
    return {
        "entry": promise.id,
        "leaf": promise.leaf,
        "commitment": promise.body_commitment,
        "salt": private.salt.hex(),
        "doc": private.body["doc"],
        "prev": private.body["prev"],
        "parties": [
            {
                "verifier": VERIFIER,
                "key": party.key.key.hex(),
                "signed": party.signed.hex(),
                "signature": party.signature.hex(),
            }
            for party in in_order(parties)
        ],
    }


def _register(
    session: Session, agreement: AgreementRow, party: Party, *, actor: str, at: datetime
) -> ChainActRow:
    """The act that registers a signer's key, made once for each key whatever it signs."""
    signers = queries.signers_of(session, agreement.id)
    for signer in signers:
        row = session.get(CertificateRow, signer.certificate_id)
        if row is None or public_key(_spki(row.der)) != party.key.key:
            continue
        # The id hangs on the key and on where it is checked: the same key is the same act for ever.
        act_id = derived_id("act", at=row.created_at, seed=f"register|{party.key.hash.hex()}")
        existing = session.get(ChainActRow, act_id)
        if existing is not None:
            return existing
        organisation = session.get_one(PartyRow, row.organisation_id)
        act = NewAct(
            id=act_id,
            contract="SignerRegistry",
            call="register",
            subject=row.organisation_id,
            payload={
                "key_hash": party.key.hash.hex(),
                "valid_from": int(row.not_before.timestamp()),
                "valid_to": int(row.not_after.timestamp()),
                "assurance": max(1, organisation.level),
                # A salted commitment; where none was made, a digest that says nothing.
                "identity": organisation.number_commitment or sha256(row.id.encode()).hex(),
            },
            actor=actor,
        )
        return queue(session, act, at=at)
    raise ConflictError(
        "a signature in the file is of a certificate that no signer of this agreement holds",
        code="promote.unknown_signer",
    )


def _spki(certificate: bytes) -> bytes:
    return (
        x509.load_der_x509_certificate(certificate)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
