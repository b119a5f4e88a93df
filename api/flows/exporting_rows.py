"""Rows as a bundle states them: straight copies, no decision."""

from __future__ import annotations

from arbitration.contents import Agreement, Party, Signer
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.parties import PartyRow


def agreement_part(row: AgreementRow) -> Agreement:
    """The agreement as the bundle states it."""
    return Agreement(
        id=row.id,
        title=row.title,
        matter=row.matter,
        state=row.state,
        origin=row.origin,
        template=row.template,
        created_at=row.created_at,
        expires_at=row.expires_at,
        formed_at=row.formed_at,
        place_of_formation=row.place_of_formation,
        original_sha256=row.original_sha256,
        document_sha256=row.document_sha256,
        final_sha256=row.current_sha256,
        pages=row.pages,
        allocation=row.allocation_id,
    )


def party_part(row: PartyRow) -> Party:
    """A party; its number only masked."""
    return Party(
        id=row.id,
        kind=row.kind,
        category=row.category,
        name=row.name,
        number_masked=row.number_masked,
        level=row.level,
        level_reason=row.level_reason,
        invented=row.invented,
        place=row.place,
        receiving_system=row.receiving_system,
    )


def signer_part(row: SignerRow) -> Signer:
    """A place that was signed, with the time of each of its steps."""
    assert row.certificate_id is not None
    assert row.authorisation_id is not None
    assert row.revision_sha256 is not None
    steps = (row.delivered_at, row.opened_at, row.read_at, row.consented_at, row.intent_at)
    done = [time for time in (*steps, row.signed_at) if time is not None]
    assert len(done) == len(steps) + 1, "a signed signer went through every step"
    delivered, opened, read, consented, intent, signed = done
    return Signer(
        id=row.id,
        position=row.position,
        role=row.role,
        organisation=row.organisation_id,
        person=row.person_id,
        field=row.field,
        certificate=row.certificate_id,
        authorisation=row.authorisation_id,
        revision_sha256=row.revision_sha256,
        delivered_at=delivered,
        opened_at=opened,
        read_at=read,
        consented_at=consented,
        intent_at=intent,
        signed_at=signed,
    )
