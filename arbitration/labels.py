"""Honest remarks that a bundle must carry, derived from the evidence and never from good will.

The writer puts them in the manifest; the check `bundle.labels` derives them again and fails a bundle that
hides one. The texts belong to `fuqi/bundle/v1` and never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from arbitration.contents import Label
from arbitration.model import STAMP, Bundle
from arbitration.timestamps import token_units, units_of
from ledger.chain import EMBEDDED_LABEL_EN, EMBEDDED_LABEL_ZH
from ledger.core.canonical import Json
from signing import ca, tsa
from signing.verification import MOCK_LABEL_EN, MOCK_LABEL_ZH

DEMO: Final = Label(
    "demo", "demonstration: the parties are invented", "演示：当事人均为虚构，不产生效力"
)
UNLICENSED_CA: Final = Label("ca.unlicensed", ca.LABEL_EN, ca.LABEL_ZH)
DEPENDENT_TSA: Final = Label("tsa.dependent", tsa.LABEL_EN, tsa.LABEL_ZH)
EMBEDDED_CHAIN: Final = Label("chain.embedded", EMBEDDED_LABEL_EN, EMBEDDED_LABEL_ZH)
MOCK_PROVIDER: Final = Label("provider.mock", MOCK_LABEL_EN, MOCK_LABEL_ZH)
NO_LICENCE: Final = Label(
    "platform.unlicensed",
    "the operator names no licence or filing number",
    "运营者未载明任何许可或备案编号",
)
DECLARED: Final = Label(
    "platform.declared",
    "licences and filings are the operator's own declaration; nobody verified them here",
    "许可与备案系运营者自述，本系统未作核验",
)
ALL: Final = (
    DEMO,
    UNLICENSED_CA,
    DEPENDENT_TSA,
    EMBEDDED_CHAIN,
    MOCK_PROVIDER,
    NO_LICENCE,
    DECLARED,
)


def required_labels(bundle: Bundle, *, demo: bool) -> tuple[Label, ...]:
    """The labels that this evidence demands, in the order of `ALL`.

    Args:
        bundle: opened, or a draft; a draft without seal says nothing of the seal's time stamp.
        demo: the flag as stated.
    """
    wanted = {
        DEMO: demo or _invented(bundle),
        UNLICENSED_CA: ca.LABEL_EN in _certificate_units(bundle),
        DEPENDENT_TSA: tsa.LABEL_EN in _token_units(bundle),
        EMBEDDED_CHAIN: any(
            (anchor.get("evidence") or {}).get("kind") == "embedded" for anchor in bundle.anchors
        ),
        MOCK_PROVIDER: _mock(bundle),
        NO_LICENCE: not bundle.part(2)["licences"],
        DECLARED: bool(bundle.part(2)["licences"]),
    }
    return tuple(label for label in ALL if wanted[label])


def labels_json(labels: Iterable[Label]) -> list[Json]:
    """Labels as they stand in the manifest, in a fixed order."""
    unique = {label.code: label for label in labels}
    return [
        {"code": label.code, "en": label.en, "zh": label.zh}
        for label in sorted(unique.values(), key=lambda label: label.code)
    ]


def stated_labels(bundle: Bundle) -> tuple[Label, ...]:
    """The labels that the manifest states."""
    return labels_in(bundle.manifest)


def labels_in(manifest: Mapping[str, Any]) -> tuple[Label, ...]:
    """The labels that a manifest states."""
    return tuple(
        Label(str(row["code"]), str(row["en"]), str(row["zh"])) for row in manifest["labels"]
    )


def _invented(bundle: Bundle) -> bool:
    stated = any(party["invented"] for party in bundle.part(3)["parties"])
    recorded = any(
        (event.body or {}).get("invented") for event in bundle.of_type("party.registered")
    )
    return bool(stated or recorded)


def _mock(bundle: Bundle) -> bool:
    rows: list[Any] = [*bundle.part(4)]
    rows += [event.body or {} for event in bundle.of_type("identity.checked")]
    return any(row.get("mock") or row.get("provider") == "mock" for row in rows)


def _certificate_units(bundle: Bundle) -> set[str]:
    return {
        unit
        for path, data in bundle.files.items()
        if path.startswith("certificates/") and path.endswith(".der")
        for unit in units_of(data)
    }


def _token_units(bundle: Bundle) -> set[str]:
    paths = [path for path in bundle.files if path.startswith("timestamps/")]
    if STAMP in bundle.files:
        paths.append(STAMP)
    return {unit for path in paths for unit in token_units(bundle.files[path])}
