"""Every renderer of the human report that ever made one: old bundles keep theirs, new ones take the newest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from arbitration.report import agreement, human
from arbitration.report.page import report_page
from ledger.core.canonical import Json

NEWEST: Final = agreement.RENDERER
TITLE_ZH: Final = "电子合同证据报告"
TITLE_EN: Final = "Evidence report on an electronic agreement"


@dataclass(frozen=True, slots=True)
class Renderer:
    """From a bundle to facts, and from facts to a page; both pure.

    Attributes:
        facts: opened bundle, `head=` as in the manifest -> JSON.
        page: facts -> HTML.
    """

    facts: Callable[..., dict[str, Json]]
    page: Callable[[Mapping[str, Any]], str]


def _newest_page(facts: Mapping[str, Any]) -> str:
    return report_page(facts, title_zh=TITLE_ZH, title_en=TITLE_EN)


RENDERERS: Final[Mapping[str, Renderer]] = {
    human.RENDERER: Renderer(human.report_json, human.report_html),
    NEWEST: Renderer(agreement.agreement_report, _newest_page),
}
"""By the tag that the manifest names."""
