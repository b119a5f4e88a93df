"""Every type of entry, with what its private body holds. A type is never reused or renamed.

Fields in the order of writing; what stands in brackets is said of the field before it. A field added later is
absent from older bodies. docs/reference/entries.md shows the same list; tests compare it with what is written.

`fuqi/entry/v1` bytes: `{actor, at, commitments: {body}, id, prev, subject, type, v}` where `commitments.body`
is HMAC-SHA256(salt, canonical body) in hex, `prev` the leaf hash (hex) of the subject's previous entry or null.
"""

from __future__ import annotations

from typing import Final

ENTRY_VERSION: Final = "fuqi/entry/v1"
DISCLOSABLE_VERSION: Final = "fuqi/entry/v2"
"""As v1, and `commitments.fields` commits to each field of the body (ledger/disclosure.py)."""
ENTRY_VERSIONS: Final = (ENTRY_VERSION, DISCLOSABLE_VERSION)

ENTRY_TYPES: Final[dict[str, str]] = {
    "party.registered": "party, kind, category, name, number_masked, number_commitment, level, invented, "
    "place, receiving_system, demo",
    "identity.checked": "v, request, kind, subject, status, provider, label_en, label_zh, mock, checked_at, "
    "evidence_sha256, level, level_reason",
    "identity.challenged": "check, kind, channel, target_masked, provider, mock, expires_at",
    "identity.reviewed": "check, kind, status, reviewer, account, reason, documents, decided_at",
    "authorisation.granted": "authorisation (id, organisation, person, matters, powers, amount_max, "
    "valid_from, valid_to, seal_scope, revoked_at; from v2 on basis, agreement), demo",
    "authorisation.revoked": "authorisation, reason",
    "ratification.requested": "agreement, ratification, signer, organisation, by, authorisation, lack, reason, "
    "due_at",
    "ratification.decided": "agreement, ratification, signer, organisation, decision, by, authorisation, "
    "reason, statement (where somebody decided also statement_sha256, method, proof, certificate, serial)",
    "certificate.issued": "certificate, organisation, issuer, serial, sha256, spki_sha256, not_before, "
    "not_after, label",
    "key.revoked": "certificate, serial, reason",
    "document.finalised": "agreement, title, matter, allocation, sha256, original_sha256, pages, origin, "
    "template, consent_version, demo",
    "document.delivered": "agreement, signer, from, to, channel, system, sha256, sent_at, received_at",
    "document.opened": "agreement, signer, by, sha256",
    "document.read": "agreement, signer, by, sha256, pages, seconds",
    "document.filled": "agreement, signer, by, base_sha256, revision_sha256, fields (field, old, new)",
    "intent.expressed": "agreement, signer, act, statement, statement_sha256, method, proof, certificate, "
    "serial, authorisation (in a batch the entry also holds item: agreement, document_sha256, field, salt, "
    "of an approval amount, seal; with clauses, files or form fields annex: v, agreement, document_sha256, "
    "field, clauses, attachments, fields)",
    "signature.applied": "agreement, signer, organisation, person, field, order, certificate, serial, ca, "
    "base_sha256, revision_sha256, authorisation, ratification, levels (person, organisation, need, "
    "policy_sha256, edition), tsa, validators",
    "agreement.formed": "agreement, sha256, formed_at, place",
    "document.archived": "agreement, number, base_sha256, sha256, level, stamped_at, due_at, tsa",
    "agreement.staged": "agreement, stages (stage, act, need, members), "
    "amount_minor, no_amount, currency, relation, related, hand_out_partial, read_seconds_min, "
    "need (person, organisation, authority), policy_sha256",
    "agreement.annexed": "agreement, author, clauses (v, number, kind, page, text, explanation), "
    "attachments (id, name, media_type, size, sha256), demands (number, field, signer, label, required), "
    "fields (name, field, label, required, page, preset, kind but for one line of text; only where signers "
    "may fill some)",
    "clause.confirmed": "agreement, signer, by, number, clause_sha256, seconds",
    "attachment.added": "agreement, signer, field, by, demand, attachment (id, name, media_type, size, "
    "sha256), replaces",
    "attachment.withdrawn": "agreement, signer, by, attachment",
    "approval.given": "agreement, signer, by, organisation, statement_sha256, certificate, authorisation, "
    "seal (where the approval allows only that one)",
    "signer.refused": "agreement, signer, by, reason",
    "signer.forwarded": "agreement, signer, organisation, by, to, reason",
    "agreement.released": "agreement, by_agreement, sha256",
    "agreement.related": "agreement, relation, by_agreement, sha256",
    "agreement.reminded": "agreement, signers, channel",
    "agreement.expired": "agreement, expires_at",
    "agreement.declined": "agreement, by, reason",
    "agreement.withdrawn": "agreement, by, reason",
    "catalogue.loaded": "edition, sha256, items, standards",
    "import.finished": "source, files, rows, understood, defaulted, refused, policy",
    "need.posted": "need, hospital, item, quantity, urgency, standard, edition, posted, deadline, defaulted, "
    "source_row, certificate_min, sterile, remaining_days_min, substitutes",
    "need.withdrawn": "need, reason",
    "need.urgent": "need, hospital, round, by, authorisation, day, number, limit, urgent_policy_sha256, "
    "reason, served, accept_hours",
    "hospital.linked": "hospital, organisation",
    "offer.posted": "offer, kind, donor, item, quantity, standard, edition, produced, available, expires, "
    "place, windows, generated, certificate, directed, related, pack, smallest, receivers_max, resource, "
    "per_unit",
    "offer.claimed": "claim, offer, organisation, statement",
    "claim.decided": "claim, offer, organisation, outcome (confirmed, refused, withdrawn), reason",
    "offer.linked": "offer, organisation",
    "offer.withdrawn": "offer, reason",
    "resource.posted": "resource, organisation, kind, name, unit, capacity, available_on, windows",
    "resource.withdrawn": "resource, reason",
    "lane.posted": "lane, organisation, origin, destination, individuals, open_from, open_to",
    "lane.withdrawn": "lane, reason",
    "related.declared": "relation, first, second, kind, evidence, valid_from, valid_to, state",
    "related.shown": "relation, sha256, media_type",
    "related.asked": "relation, reason",
    "related.decided": "relation, outcome, reason, valid_to",
    "round.opened": "round, inputs_sha256, policy_sha256, needs, offers",
    "round.closed": "round, plan_sha256, certificate_sha256, objective, checker, unserved, "
    "gap (none where proven best, else more_pieces, more_critical, weight, of_weight)",
    "allocation.proposed": "round, allocation, offer, window, need, quantity",
    "allocation.accepted": "allocation, by",
    "allocation.declined": "allocation, by, reason",
    "objection.filed": "objection, round, organisation, reason (misread, impossible, policy, other), subject "
    "(a line, need or offer; null: all lines of the organisation), statement",
    "objection.withdrawn": "objection, round",
    "objection.answered": "objection, round, outcome (dismissed, upheld), answer, released (how many lines)",
    "agreement.promised": "doc, parties_root, prev (nothing else: the chain hashes exactly these three)",
    "lot.opened": "lot, allocation, agreement, offer, hospital, giver, receiver, item, quantity, batch, "
    "produced, expires, udi, device, registration, purpose, directed, conflict, "
    "signed (statement, statement_sha256, proof, certificate, serial, authorisation)",
    "lot.packed": "lot, holder, shelf, quantity, packages (id, number, quantity), signed",
    "lot.unpacked": "lot, holder, package, quantity, signed",
    "lot.handed": "lot, allocation, agreement, from, to, quantity, document_sha256, handed_at, handover, "
    "packages (id, number, quantity), waybill, seal, due_at, policy, signed",
    "lot.inspected": "lot, handover, by, accepted, quarantined, rejected, missing, checks, note, "
    "inspection_sha256, due_at, signed",
    "lot.received": "lot, by, quantity, document_sha256, received_at, handover, from, to, quarantined, "
    "rejected, missing, inspected_by, inspection_sha256, signed",
    "lot.rejected": "lot, by, quantity, reason, rejected_at, handover, signed",
    "lot.retracted": "lot, by, quantity, reason, rejected_at, handover, signed",
    "lot.released": "lot, by, holder, quantity, outcome, reason, signed",
    "lot.used": "lot, by, quantity, document_sha256, used_at, ward, purpose, signed",
    "discrepancy.opened": "discrepancy, lot, handover, kind, quantity, holder, reporter, note, "
    "answer_due_at, settle_due_at, policy, signed",
    "discrepancy.answered": "discrepancy, lot, by, answer, late, signed",
    "discrepancy.settled": "discrepancy, lot, by, outcome, quantity, note, late, signed",
    "recall.opened": "recall, lot, batch, item, device, reason, by, held (holder, shelf, quantity), signed",
    "recall.closed": "recall, lot, reason, signed",
    "purpose.asked": "change, lot, before, purpose, reason, due_at, policy, signed",
    "purpose.decided": "change, lot, consent, reason, before, purpose, signed",
    "fiscal.referenced": "lot, number, issued_on, issuer, signed",
    "order.requested": "order, kind, maker_id, allocation_id, what, specification, quantity, from_on, due_on, "
    "signed",
    "order.stepped": "order, step, before, state, by, details (outcome, price_minor, deposit_minor, due_on, "
    "agreement_id, accepted, rejected, kept_minor, note), documents, signed",
    "order.documented": "order, document, kind, sha256, size, by, signed",
    "bundle.exported": "bundle, subject, sha256, purpose, recipient",
    "case.opened": "case, bundle_sha256, claimant, matter",
    "ruling.made": "case, level, outcome, subject, award_sha256, seats, prev, made_at",
    "evidence.viewed": "subject, by, purpose",
    "data.restricted": "subject, basis",
    "act.confirmed": "act, subject, contract, call, address, chain_id, tx_hash, block_number, block_hash, "
    "gas_used, reason, payload",
    "act.refused": "as act.confirmed; reason is the contract's own error or a code of ours",
    "seal.made": "seal, organisation, kind, source, name, width_mm, height_mm, page_sha256, "
    "picture_sha256, valid_from, valid_to, by, auditor",
    "seal.approved": "seal, by, reason",
    "seal.enabled": "seal, by, reason",
    "seal.suspended": "seal, by, reason",
    "seal.destroyed": "seal, by, reason",
    "seal.charged": "seal, person, duty, by",
    "seal.relieved": "seal, person, duty, by",
    "seal.used": "agreement, seal, kind, source, signer, organisation, person, certificate, authorisation, "
    "document_sha256, base_sha256, revision_sha256, seal_object_sha256, edge",
    "external.recorded": "organisation, kind, happened_at, data.* (one field for each that was sent)",
}
