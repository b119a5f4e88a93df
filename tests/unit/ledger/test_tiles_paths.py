"""Names and ranges of C2SP tlog-tiles.

SOURCE of the numbers: the worked examples in c2sp.org/tlog-tiles (index 1234067; a tree of 70,000; of 256).
"""

from collections import Counter

import pytest

from ledger.tiles import ENTRIES, Tile, index_path, tiles_of


@pytest.mark.parametrize(
    ("index", "path"),
    [
        (0, "000"),
        (7, "007"),
        (255, "255"),
        (999, "999"),
        (1000, "x001/000"),
        (1234067, "x001/x234/067"),
        (10**9, "x001/x000/x000/000"),
    ],
)
def test_an_index_is_written_in_groups_of_three(index, path):
    assert index_path(index) == path


def test_a_file_is_named_by_level_index_and_width():
    assert Tile(0, 1234067, 256).path == "tile/0/x001/x234/067"
    assert Tile(1, 0, 17).path == "tile/1/000.p/17"
    assert Tile(ENTRIES, 273, 112).path == "tile/entries/273.p/112"


def test_a_tree_of_seventy_thousand_has_the_tiles_of_the_specification():
    found = [tile for tile in tiles_of(70_000) if tile.level != ENTRIES]
    assert Counter(tile.level for tile in found if tile.width == 256) == {0: 273, 1: 1}
    partial = {tile.path for tile in found if tile.width != 256}
    assert partial == {"tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}


def test_a_tree_of_256_has_one_full_tile_and_one_hash_above_it():
    assert [tile.path for tile in tiles_of(256)] == [
        "tile/entries/000",
        "tile/0/000",
        "tile/1/000.p/1",
    ]


def test_an_empty_tree_has_no_tiles():
    assert list(tiles_of(0)) == []


@pytest.mark.parametrize("since", [0, 1, 255, 256, 257, 600, 65_535, 65_536, 65_700])
@pytest.mark.parametrize("more", [0, 1, 255, 256, 257, 700])
def test_an_increment_is_what_the_larger_tree_has_and_the_smaller_had_not(since, more):
    before, after = set(tiles_of(since)), set(tiles_of(since + more))
    assert set(tiles_of(since + more, since=since)) == after - before
