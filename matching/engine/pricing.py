"""Pricing over all eligible pairs: a tree of boxes per kind of lot, searched with every rule inside.

For each need the search (`look`) returns the eligible lots of smallest value = weight * transport + lot value,
below a limit. An empty answer for every need is a proof that no pair is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from matching.engine.boxes import Boxes, boxes_over, refresh
from matching.engine.jit import compiled
from matching.engine.look import NOBODY_KNOWN, look
from matching.engine.market import Int32s, Market, pair_transport
from matching.geo import Int64s

_TRIES: Final = 4
"""Random draws per wanted random lot, before giving up on a need with few compatible lots."""


@dataclass(frozen=True, slots=True)
class Found:
    """Pairs, by need: needs[k] may take from lots[k] at transports[k]; values[k] is what was compared."""

    needs: Int32s
    lots: Int32s
    transports: Int64s
    values: Int64s


def build_boxes(market: Market, lots: Int32s) -> Boxes:
    """Trees over these lots; frozen ones may serve nobody and are left out."""
    usable = lots[market.lot_frozen[lots] == 0].astype(np.int32)
    return boxes_over(market, usable, of_lots=True)


def search(
    market: Market,
    boxes: Boxes,
    needs: Int32s,
    *,
    lot_values: Int64s,
    limits: Int64s,
    weight: int,
    most: int,
    fresh: bool = False,
) -> Found:
    """The `most` eligible lots of smallest value below each need's limit.

    Args:
        lot_values: by lot number.
        limits: by position in `needs`.
        fresh: the boxes already know these values.
    """
    if most < 1:
        return _nothing()
    if not fresh:
        refresh(boxes, lot_values)
    lots = np.empty((len(needs), most), dtype=np.int32)
    transports = np.empty((len(needs), most), dtype=np.int64)
    values = np.empty((len(needs), most), dtype=np.int64)
    counts = np.zeros(len(needs), dtype=np.int64)
    look(
        market,
        boxes,
        lot_values,
        NOBODY_KNOWN,
        needs,
        limits,
        weight,
        1,
        lots,
        transports,
        values,
        counts,
    )
    taken = np.arange(most)[None, :] < counts[:, None]
    return Found(np.repeat(needs, counts), lots[taken], transports[taken], values[taken])


def draw(market: Market, boxes: Boxes, needs: Int32s, *, count: int, seed: int) -> Found:
    """Up to `count` eligible lots per need, drawn at random from all compatible kinds.

    They join far parts of the market, so that the first plan already moves goods where shortage is.
    """
    if count < 1:
        return _nothing()
    lots = np.empty((len(needs), count), dtype=np.int32)
    transports = np.empty((len(needs), count), dtype=np.int64)
    counts = np.zeros(len(needs), dtype=np.int64)
    _draw(market, boxes, needs, count, seed, lots, transports, counts)
    taken = np.arange(count)[None, :] < counts[:, None]
    return Found(np.repeat(needs, counts), lots[taken], transports[taken], transports[taken])


def _nothing() -> Found:
    """The compiled loops write to rows of at least one place."""
    none, empty = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    return Found(none, none, empty, empty)


@compiled
def _draw(
    market: Market,
    boxes: Boxes,
    needs: Int32s,
    wanted: int,
    seed: int,
    lots: Int32s,
    transports: Int64s,
    counts: Int64s,
) -> None:
    kinds = np.empty(len(boxes.root_of), dtype=np.int32)
    for at in range(len(needs)):
        need = needs[at]
        total = 0
        used = 0
        for kind in range(len(boxes.root_of)):
            root = boxes.root_of[kind]
            if root >= 0 and market.fit[market.need_kind[need], kind] >= 0:
                kinds[used] = root
                used += 1
                total += boxes.end[root] - boxes.first[root]
        count = 0
        if total > 0:
            # A linear congruential stream of its own per need: one need's draws never move another's.
            number = (seed + need) * 2654435761 + 12345
            for _ in range(wanted * _TRIES):
                number = (number * 1103515245 + 12345) % 2147483648
                left = (number >> 7) * total >> 24
                for place in range(used):
                    size = boxes.end[kinds[place]] - boxes.first[kinds[place]]
                    if left < size:
                        lot = boxes.order[boxes.first[kinds[place]] + left]
                        break
                    left -= size
                known = False
                for place in range(count):
                    known = known or lots[at, place] == lot
                if known:
                    continue
                transport = pair_transport(market, lot, need)
                if transport >= 0:
                    lots[at, count] = lot
                    transports[at, count] = transport
                    count += 1
                    if count == wanted:
                        break
        counts[at] = count
