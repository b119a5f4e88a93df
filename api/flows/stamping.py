"""What a signature needs from authorities outside, asked for before the transaction that records it."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from api.callers import Caller
from api.ports import Ports
from ledger.core.errors import ForbiddenError, NotFoundError, VerificationError
from ledger.store import transaction
from ledger.tables.agreements import PreparedSignatureRow, SignerRow
from ledger.tables.parties import CertificateRow
from signing.certificates import certificate_spki, split_chain
from signing.keys.algorithms import verify_by_key
from signing.providers.revocation import read_ocsp


def fetch_token(
    ports: Ports, caller: Caller, prepared_id: str, *, signature: bytes, at: datetime
) -> bytes | None:
    """What the second step needs from outside, fetched before its transaction: the time stamp.

    None where nothing will be signed: it is completed or too old, which the transaction says.
    Where an external authority is set, its lists are made current and its OCSP responder is asked too.

    Raises:
        NotFoundError: no such preparation of this caller.
        VerificationError: `pdf.signature_mismatch`: nothing is stamped that is no signature.
        ForbiddenError: `certificate.revoked`.
        UnavailableError: `outside.resting`, `outside.all_failed`.
    """
    with transaction(ports.readers) as session:
        made = session.get(PreparedSignatureRow, prepared_id)
        signer = None if made is None else session.get(SignerRow, made.signer_id)
        # The same test as in the transaction that follows, without its lock.
        if (
            made is None
            or signer is None
            or caller.person_id != signer.person_id
            or caller.organisation_id != signer.organisation_id
        ):
            raise NotFoundError("there is no such record")
        if made.completed_at is not None or at >= made.expires_at:
            return None
        certificate = session.get(CertificateRow, made.certificate_id)
        assert certificate is not None
        signed_attrs = bytes.fromhex(made.signed_attrs)
    if certificate.revoked_at is not None:
        return None
    try:
        verify_by_key(
            signed_attrs, signature=signature, public_spki=certificate_spki(certificate.der)
        )
    except VerificationError as exc:
        raise VerificationError(
            "the signature was not made by the key of this certificate over the prepared bytes",
            code="pdf.signature_mismatch",
        ) from exc
    ports.authority.refresh(at=at)
    if ports.ocsp is not None:
        issuer = split_chain(certificate.chain)[0]
        answer = ports.ocsp.fetch(certificate.der, issuer, at=at)
        found = read_ocsp(answer, certificate=certificate.der, issuer=issuer, at=at)
        if found.status != "good":
            raise ForbiddenError(
                "the authority revoked this certificate; make a new key",
                code="certificate.revoked",
            )
    return ports.tsa.stamp(sha256(signature).digest(), at=at)
