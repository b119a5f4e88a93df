"""Which bundles of donations hold the bundle of a lot or of an agreement: asked when one of those is erased."""

from __future__ import annotations

from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger.core.ids import derived_id, id_time
from ledger.tables.agreements import BundleRow

SUBJECTS: Final = ("offer_", "don_")
"""What a bundle of a donation is about: one offer, or a set of them."""
ROWS_MAX: Final = 10_000
"""Bundles of donations that one account made; far beyond any donor of ours."""


def inner_bundle_id(bundle_id: str, subject: str) -> str:
    """Id of the bundle of a lot or an agreement inside a donation's bundle: the same in every attempt."""
    return derived_id("bun", at=id_time(bundle_id), seed=f"{bundle_id}/{subject}")


def donations_holding(session: Session, subject: str) -> set[str]:
    """Digests of the bundles of donations that hold a bundle of this lot or agreement."""
    inner = session.execute(
        select(BundleRow.id, BundleRow.exported_by).where(BundleRow.subject == subject)
    ).all()
    made = {str(row[0]) for row in inner}
    if not made:
        return set()
    outer = session.scalars(
        select(BundleRow)
        .where(
            or_(*(BundleRow.subject.startswith(one, autoescape=True) for one in SUBJECTS)),
            BundleRow.exported_by.in_({str(row[1]) for row in inner}),
        )
        .limit(ROWS_MAX)
    )
    return {one.sha256 for one in outer if inner_bundle_id(one.id, subject) in made}
