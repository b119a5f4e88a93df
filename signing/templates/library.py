"""The templates by name, and the one function that renders them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import InputError, NotFoundError
from signing.fonts import FontFile, find_font
from signing.templates import donation, manufacturing
from signing.templates.data import Fields
from signing.templates.layout import Document, Rendered, lay_out

TEMPLATES: Final[Mapping[str, Callable[..., Document]]] = {
    "donation": donation.build,
    "manufacturing": manufacturing.build,
}
LANGUAGES: Final = ("zh",)
"""The Chinese text binds; titles and labels carry English beside it."""


def render(
    template_id: str,
    *,
    data: Mapping[str, Json],
    demo: bool,
    lang: str = "zh",
    font: FontFile | None = None,
    bold: FontFile | None = None,
) -> Rendered:
    """Render a template: the same input gives the same bytes.

    Args:
        template_id: a key of `TEMPLATES`.
        data: see `docs/reference/formats.md`; a missing field is refused by its dotted path.
        demo: puts a visible demonstration mark on every page.
        lang: "zh".
        font, bold: an exact font; else the preferred installed ones.

    Raises:
        NotFoundError: `template.unknown`.
        InputError: `template.lang`, `template.field_*`, `template.items_too_many`,
            `template.amount_range`, `font.missing_glyph`, `font.unprintable`, `font.text_too_long`.
        LimitError: `template.too_many_pages`.
        UnavailableError: `font.not_found`.
    """
    build = TEMPLATES.get(template_id)
    if build is None:
        raise NotFoundError("there is no such template", code="template.unknown")
    if lang not in LANGUAGES:
        raise InputError(
            "templates are written in Chinese (zh)", code="template.lang", allowed="zh"
        )
    document = build(Fields(data), demo=demo)
    return lay_out(document, font=font or find_font(), bold=bold or font or find_font(bold=True))


def default_clauses(template_id: str, *, data: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """(kind, text) of the clauses that a template carries to be pointed out, as they stand in the document.

    Raises:
        NotFoundError, InputError: as `render`.
    """
    build = TEMPLATES.get(template_id)
    if build is None:
        raise NotFoundError("there is no such template", code="template.unknown")
    return tuple(
        (one.notice, "\n".join(one.paragraphs))
        for one in build(Fields(data), demo=False).clauses
        if one.notice
    )
