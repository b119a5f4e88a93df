"""Keccak-256 in Python alone and in C give the digests that everybody knows, at every length."""

import random

import pytest
from eth_hash.auto import keccak as by_eth_hash

from contracts.head import HEAD_PATH, HEAD_SLOT, ROOT_PATH, ROOT_SLOT
from ledger import keccak as fast
from ledger.core.keccak import RATE, keccak_256

# The empty string (Ethereum's empty code hash), "abc", and the well-known signature of an ERC-20 transfer.
KNOWN = {
    b"": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    b"abc": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
    b"transfer(address,uint256)": "a9059cbb2ab09eb219583f4a59a5d0623ade346d962bcd4e46b11da047c9049b",
}


@pytest.mark.parametrize("data", KNOWN, ids=str)
def test_known_digests_come_out(data):
    assert keccak_256(data).hex() == KNOWN[data]
    assert fast.keccak(data).hex() == KNOWN[data]


def test_it_agrees_with_the_c_library_at_every_length_around_blocks():
    rng = random.Random(9)
    lengths = [*range(2 * RATE + 3), 532, 612, 1023, 1024, 8192]
    for length in lengths:
        data = rng.randbytes(length)
        assert keccak_256(data) == by_eth_hash(data) == fast.keccak(data), length


def test_one_bit_makes_another_digest():
    data = bytes(RATE)
    assert keccak_256(data) != keccak_256(b"\x01" + data[1:])
    assert keccak_256(data) != keccak_256(data + b"\x00")


def test_it_is_not_sha3():
    assert (
        keccak_256(b"").hex() != "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
    )


def test_the_paths_of_the_heads_slots_are_their_digests():
    assert keccak_256(ROOT_SLOT.to_bytes(32, "big")) == ROOT_PATH
    assert keccak_256(HEAD_SLOT.to_bytes(32, "big")) == HEAD_PATH
