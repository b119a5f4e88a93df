"""Tables of form fields: which a published agreement leaves open to which signer, and what was filled."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime

VALUE_MAX: Final = 1_000
"""Characters of a value of several lines (`signing.field_kinds.LINES_CHARS_MAX`)."""


class FormFieldRow(Base):
    """A form field of the document that one signer may fill (`signing.form_fill`)."""

    __tablename__ = "form_field"

    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64))
    """Of the field in the file."""
    field: Mapped[str] = mapped_column(String(64))
    """The place of its filler: whoever holds it now may fill it."""
    label: Mapped[str] = mapped_column(String(120))
    required: Mapped[bool] = mapped_column(Boolean)
    page: Mapped[int] = mapped_column(Integer)
    """1-based."""
    width: Mapped[int] = mapped_column(Integer)
    """Points; what is wider would be cut off."""
    height: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """Points; 0 for fields of one line that were planned before there were others."""
    kind: Mapped[str] = mapped_column(String(8), default="text", server_default="text")
    """`signing.field_kinds.Kind`."""
    options: Mapped[str] = mapped_column(Text, default="[]", server_default="[]")
    """JSON list of what a choice offers, as it is shown; [] for other kinds."""
    preset: Mapped[str] = mapped_column(String(VALUE_MAX))
    """What the author left in it, "" for nothing; of a check box its state."""

    __table_args__ = (UniqueConstraint("agreement_id", "name"),)


class FormValueRow(Base):
    """What a signer wrote into a field: recorded with their signature, never changed after it."""

    __tablename__ = "form_value"

    signer_id: Mapped[str] = mapped_column(ForeignKey("agreement_signer.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), index=True)
    value: Mapped[str] = mapped_column(String(VALUE_MAX))
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    old: Mapped[str | None] = mapped_column(String(VALUE_MAX))
    """What stood there before, once it is filled."""
    revision_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """Of the file with the filled field, right before the filler's signature; None until they signed."""
    filled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
