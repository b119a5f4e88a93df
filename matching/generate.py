"""Donor lots from a written seed: the data has none. Every lot made here is labelled generated.

Integers and SHA-256 only, so one seed gives the same lots on every Python. Some lots are spoiled on purpose
(old edition, no certificate, near expiry, frozen, too late, of a substitute's class), as real gifts are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from ledger.core.canonical import tagged_digest
from ledger.core.errors import InputError
from ledger.core.units import Digest32, split_minor
from matching.catalogue import Catalogue
from matching.problem import Place

LABEL: Final = "generated"


@dataclass(frozen=True, slots=True)
class Seed:
    """The written seed; `source` is its JSON form and what is digested."""

    source: Mapping[str, Any]

    @property
    def version(self) -> str:
        """Version of the seed file."""
        return str(self.source["version"])

    def digest(self) -> Digest32:
        """SHA-256 under the tag `fuqi/generate-seed/v1`."""
        return tagged_digest("fuqi/generate-seed/v1", self.source)


@dataclass(frozen=True, slots=True)
class LotDraft:
    """A generated lot, before it becomes an offer. `key` is unique in one generation."""

    key: str
    donor_name: str
    donor_kind: str
    item: str
    quantity: int
    place: Place
    available_day: int
    produced_day: int
    expires_day: int | None
    batch_number: str
    standard: str | None
    edition: str | None
    certificate: int
    sterile: bool
    directed_to: tuple[str, ...]
    related_to: tuple[str, ...]
    frozen: bool


def load_seed() -> Seed:
    """The seed that ships in the package."""
    data = (resources.files("matching") / "data" / "generate-seed-v1.json").read_text("utf-8")
    return Seed(json.loads(data))


def generate_lots(
    *,
    seed: Seed,
    demand: Mapping[str, tuple[int, int]],
    hospitals: Sequence[str],
    catalogue: Catalogue,
    day: int,
) -> list[LotDraft]:
    """Lots worth about `share_percent` of the demand, so that tiers matter.

    Args:
        demand: item -> (pieces asked for, number of needs).
        hospitals: their keys, sorted; some lots are directed to or related to one.
        day: the day the lots are posted; production and expiry are counted from it.

    Raises:
        InputError: `generate.seed_invalid`.
    """
    try:
        return list(_lots(seed.source, demand, sorted(hospitals), catalogue=catalogue, day=day))
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError("the seed misses a field", code="generate.seed_invalid") from exc


def _lots(
    seed: Mapping[str, Any],
    demand: Mapping[str, tuple[int, int]],
    hospitals: Sequence[str],
    *,
    catalogue: Catalogue,
    day: int,
) -> Iterator[LotDraft]:
    for item in sorted(demand):
        pieces, rows = demand[item]
        if item in seed["without_supply"] or pieces == 0:
            continue
        stream = _Stream(f"{seed['seed']}|{item}")
        count = min(max(rows // seed["rows_per_lot"], seed["lots_min"]), seed["lots_max"])
        weights = [1 + stream.below(100) for _ in range(count)]
        shares = split_minor(pieces * seed["share_percent"] // 100, weights)
        for number, quantity in enumerate(shares, start=1):
            if quantity > 0:
                yield _lot(
                    seed,
                    f"{item}-{number:03d}",
                    item=item,
                    quantity=quantity,
                    hospitals=hospitals,
                    catalogue=catalogue,
                    day=day,
                )


def _lot(
    seed: Mapping[str, Any],
    key: str,
    *,
    item: str,
    quantity: int,
    hospitals: Sequence[str],
    catalogue: Catalogue,
    day: int,
) -> LotDraft:
    # A stream per lot: one lot's draws never move another's.
    stream = _Stream(f"{seed['seed']}|{key}")
    chance = {name: stream.below(100) < percent for name, percent in seed["percent"].items()}
    if chance["substitute_class"]:
        item = _substitute(item, catalogue=catalogue) or item
    kind = catalogue.items[item]
    city = seed["cities"][stream.below(len(seed["cities"]))]
    life = kind.shelf_days
    age = 20 + stream.below(300 if life is None or life > 365 else max(1, life // 4))
    if life is not None and chance["near_expiry"]:
        age = max(0, life - 20 - stream.below(60))
    produced = day - age
    edition = None if kind.standard is None else catalogue.edition_on(kind.standard, day=produced)
    if kind.standard is not None and chance["old_edition"]:
        edition = _older(kind.standard, edition, catalogue=catalogue)
    donor = stream.below(seed["donors"]) + 1
    hospital = hospitals[stream.below(len(hospitals))] if hospitals else None
    named = (hospital,) if hospital is not None else ()
    return LotDraft(
        key=key,
        donor_name=f"示例捐赠方{donor:03d}（生成，非真实）",
        donor_kind="individual" if chance["individual"] else "organisation",
        item=item,
        quantity=quantity,
        place=Place(**city),
        available_day=day + (20 if chance["late"] else stream.below(4)),
        produced_day=produced,
        expires_day=None if life is None else produced + life,
        batch_number=f"GEN-{hashlib.sha256(key.encode()).hexdigest()[:10].upper()}",
        standard=kind.standard,
        edition=edition,
        certificate=0 if chance["no_certificate"] else kind.certificate_min,
        sterile=stream.below(100) < 80,
        directed_to=named if chance["directed"] else (),
        related_to=named if chance["related"] and not chance["directed"] else (),
        frozen=chance["frozen"],
    )


def _substitute(item: str, *, catalogue: Catalogue) -> str | None:
    """The other item of the class that comes next by id: often one that may not serve."""
    same = sorted(
        other.id
        for other in catalogue.items.values()
        if other.item_class == catalogue.items[item].item_class
    )
    if len(same) < 2:
        return None
    return same[(same.index(item) + 1) % len(same)]


def _older(standard: str, edition: str | None, *, catalogue: Catalogue) -> str | None:
    """The edition before this one, or the same where there is none."""
    rows = sorted(
        (row for row in catalogue.editions.values() if row.standard == standard),
        key=lambda row: row.effective_day,
    )
    names = [row.edition for row in rows]
    if edition not in names:
        return edition
    return names[max(0, names.index(edition) - 1)]


class _Stream:
    """Numbers from SHA-256 in counter mode."""

    def __init__(self, seed: str) -> None:
        self._seed, self._counter = seed, 0

    def below(self, limit: int) -> int:
        """0 .. limit-1. The bias of the remainder is below limit / 2**256."""
        block = hashlib.sha256(f"{self._seed}|{self._counter}".encode()).digest()
        self._counter += 1
        return int.from_bytes(block, "big") % limit
