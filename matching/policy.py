"""The written import policy: what is filled in where the data names nothing, with an id and a version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import InputError
from ledger.core.units import Digest32
from matching.catalogue import Item
from matching.problem import Place


@dataclass(frozen=True, slots=True)
class ImportPolicy:
    """The policy; `source` is its JSON form and what is digested.

    Attributes:
        reference_date: the day the data is read as of, unless the caller names another.
        tiers: (urgency class, at the front) -> tier.
        deadline_days: by tier.
        quantities: pieces by item, at 100 percent scale.
    """

    id: str
    version: str
    reference_date: date
    front_words: tuple[str, ...]
    front_cities: frozenset[str]
    tiers: Mapping[tuple[str, bool], int]
    deadline_days: tuple[int, int, int]
    remaining_days_min: int
    accepts_substitutes: bool
    large_words: tuple[str, ...]
    large_percent: int
    small_words: tuple[str, ...]
    small_percent: int
    agency_words: tuple[str, ...]
    quantities: Mapping[str, int]
    capacity_lead_days: int
    capacity_windows: int
    capacity_share_percent: int
    capacity_certificate: int
    stale_days: int
    destinations: Mapping[str, Place]
    nationwide: str
    provinces: Mapping[str, str]
    city_provinces: Mapping[str, str]
    source: Mapping[str, Json]

    def label(self) -> str:
        """`fuqi/import-policy v1`, as it stands beside every defaulted row."""
        return f"{self.id} v{self.version}"

    def digest(self) -> Digest32:
        """SHA-256 under the tag `fuqi/import-policy/v1`; keys of `source` are ASCII but for its tables."""
        # Tables keyed by Chinese names are digested as lists of pairs: canonical keys are ASCII.
        return tagged_digest("fuqi/import-policy/v1", _ascii_keys(self.source))

    def is_front(self, name: str, *, city: str) -> bool:
        """Designated by its name, or in the city of the outbreak."""
        return city in self.front_cities or any(word in name for word in self.front_words)

    def tier(self, item: Item, *, front: bool) -> int:
        """0 critical, 1 high, 2 normal."""
        return self.tiers[(item.urgency_class, front)]

    def scale_percent(self, name: str) -> int:
        """Size of a house, by its name."""
        if any(word in name for word in self.small_words):
            return self.small_percent
        if any(word in name for word in self.large_words):
            return self.large_percent
        return 100

    def is_agency(self, name: str) -> bool:
        """A receiver that is no hospital: Red Cross, charity, disease control, site office."""
        return any(word in name for word in self.agency_words)

    def default_quantity(self, item_id: str, *, scale_percent: int) -> int:
        """Pieces; at least one."""
        return max(1, self.quantities[item_id] * scale_percent // 100)


def load_import_policy() -> ImportPolicy:
    """The policy that ships in the package."""
    data = (resources.files("matching") / "data" / "import-policy-v1.json").read_text("utf-8")
    return parse_import_policy(json.loads(data))


def parse_import_policy(source: Mapping[str, Any]) -> ImportPolicy:
    """Build a policy from its JSON form.

    Raises:
        InputError: `import_policy.invalid`.
    """
    try:
        urgency, scale, capacity = source["urgency"], source["scale"], source["capacity"]
        transport = source["transport"]
        first, second, third = (int(days) for days in source["deadline_days"])
        return ImportPolicy(
            id=source["id"],
            version=source["version"],
            reference_date=date.fromisoformat(source["reference_date"]),
            front_words=tuple(urgency["front_words"]),
            front_cities=frozenset(urgency["front_cities"]),
            tiers={
                (name, where == "front"): int(tier)
                for name, row in urgency["tiers"].items()
                for where, tier in row.items()
            },
            deadline_days=(first, second, third),
            remaining_days_min=int(source["remaining_days_min"]),
            accepts_substitutes=bool(source["accepts_substitutes"]),
            large_words=tuple(scale["large_words"]),
            large_percent=int(scale["large_percent"]),
            small_words=tuple(scale["small_words"]),
            small_percent=int(scale["small_percent"]),
            agency_words=tuple(source["agency_words"]),
            quantities={
                name: int(count) for name, count in source["quantities"].items() if name != "why"
            },
            capacity_lead_days=int(capacity["lead_days"]),
            capacity_windows=int(capacity["windows"]),
            capacity_share_percent=int(capacity["share_percent"]),
            capacity_certificate=int(capacity["certificate"]),
            stale_days=int(capacity["stale_days"]),
            destinations={name: Place(**row) for name, row in transport["destinations"].items()},
            nationwide=transport["nationwide"],
            provinces=dict(source["provinces"]),
            city_provinces=dict(source["city_provinces"]),
            source=source,
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(
            "the import policy misses a field or has a malformed one", code="import_policy.invalid"
        ) from exc


def _ascii_keys(value: Any) -> Json:
    if isinstance(value, Mapping):
        if all(key.isascii() for key in value):
            return {key: _ascii_keys(item) for key, item in value.items()}
        return [[key, _ascii_keys(value[key])] for key in sorted(value)]
    if isinstance(value, list):
        return [_ascii_keys(item) for item in value]
    plain: Json = value
    return plain
