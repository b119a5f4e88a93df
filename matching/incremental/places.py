"""Where the rows of a market stand in the trees of its classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matching.engine.market import Int32s


@dataclass(slots=True)
class Group:
    """Its node, its first segment's arc, and how many units its needs want."""

    node: int
    first: int
    total: int


class Places:
    """Where each need and lot of a market stands in its class: a node, and the arc to its group or the root."""

    def __init__(self, needs: int, lots: int) -> None:
        self.need_node, self.need_link = _empty(needs), _empty(needs)
        self.lot_node, self.lot_link = _empty(lots), _empty(lots)

    def reserve(self, *, needs: int, lots: int) -> None:
        """Room for so many rows."""
        for name, wanted in (
            ("need_node", needs),
            ("need_link", needs),
            ("lot_node", lots),
            ("lot_link", lots),
        ):
            have = getattr(self, name)
            if wanted > len(have):
                longer = _empty(wanted + max(1024, wanted >> 3))
                longer[: len(have)] = have
                setattr(self, name, longer)


def row_of(number: int) -> Int32s:
    """One row as the array that compiled code takes."""
    return np.array([number], dtype=np.int32)


def _empty(size: int) -> Int32s:
    return np.full(size, -1, dtype=np.int32)
