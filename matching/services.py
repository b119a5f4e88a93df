"""Services beside goods: design, simulation, experiment, production and processing, procurement.

A service is an item whose unit is an hour, so it is offered as a capacity and needed as goods are, and
everything said of rounds holds for it: tiers, evenness, limits, shared resources, certificates. Remote ones
need no carrier.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from matching.catalogue import Catalogue, load_catalogue, parse_catalogue

SERVICE_PREFIX: Final = "service_"
"""How the ids of services begin; no goods begin so."""


@lru_cache(maxsize=1)
def published_catalogue() -> Catalogue:
    """Goods and services that ship in the package: what needs, offers and rounds speak of. Read once."""
    return with_services(load_catalogue())


def with_services(catalogue: Catalogue) -> Catalogue:
    """The catalogue and the services that ship in the package, as one catalogue with its own version.

    Raises:
        InputError: `catalogue.invalid`: an item or a word of both.
    """
    data = (resources.files("matching") / "data" / "services-v1.json").read_text("utf-8")
    services: dict[str, Any] = json.loads(data)
    source: dict[str, Any] = dict(catalogue.source)
    return parse_catalogue(
        source
        | {
            "version": f"{source['version']}+services-{services['version']}",
            "items": [*source["items"], *services["items"]],
        }
    )
