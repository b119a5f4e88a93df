"""Agreements: make the document, publish and deliver it, open, read, decline, withdraw.

The names that others use; each lives in the module of its concern: `agreements_rows` (who may see it, what the
rules make of it), `agreements_making` (publication), `agreements_acts` (what is done beside signing).
"""

from __future__ import annotations

from api.flows.agreements_acts import (
    decline,
    expire_due,
    open_document,
    read_document,
    withdraw,
)
from api.flows.agreements_making import (
    TITLE_CHARACTERS_MAX,
    NewAgreement,
    SignerSpec,
    create_from_template,
    create_from_upload,
    default_fields,
    limits_of,
    require_handler,
    require_related,
)
from api.flows.agreements_rows import (
    agreement_for,
    authority_at,
    member_of,
    quorums_of,
    record_step,
    require_handed_out,
    shown_sha256,
    signer_for,
    state_of,
    stated_amount,
)

__all__ = [
    "TITLE_CHARACTERS_MAX",
    "NewAgreement",
    "SignerSpec",
    "agreement_for",
    "authority_at",
    "create_from_template",
    "create_from_upload",
    "decline",
    "default_fields",
    "expire_due",
    "limits_of",
    "member_of",
    "open_document",
    "quorums_of",
    "read_document",
    "record_step",
    "require_handed_out",
    "require_handler",
    "require_related",
    "shown_sha256",
    "signer_for",
    "state_of",
    "stated_amount",
    "withdraw",
]
