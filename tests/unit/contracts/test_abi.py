"""Call data, answers and errors, against the committed ABI."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from contracts import abi, artifacts
from ledger.core.errors import VerificationError

ABI = artifacts.load("EvidenceLog").abi


def signatures(kind):
    return {
        f"{row['name']}({','.join(item['type'] for item in row['inputs'])})"
        for row in ABI
        if row["type"] == kind
    }


def test_every_selector_is_one_of_the_compiled_functions():
    compiled = {keccak(text.encode())[:4] for text in signatures("function")}
    used = {abi.APPEND, abi.HEAD, abi.WRITER, abi.IS_INCLUDED}
    assert used <= compiled


def test_every_compiled_error_can_be_read():
    compiled = {keccak(text.encode())[:4] for text in signatures("error")}
    assert set(abi.ERRORS) == compiled


def test_the_checkpoint_topic_is_the_compiled_event():
    assert abi.CHECKPOINT_TOPIC in {keccak(text.encode()) for text in signatures("event")}


def test_an_append_is_encoded_word_by_word():
    data = abi.encode_append(size=5, root=b"\x11" * 32, proof=[b"\x22" * 32])
    words = [data[4 + i : 36 + i] for i in range(0, len(data) - 4, 32)]
    assert [int.from_bytes(words[i], "big") for i in (0, 2, 3)] == [5, 96, 1]
    assert (words[1], words[4]) == (b"\x11" * 32, b"\x22" * 32)


def test_a_size_no_reader_accepts_is_our_own_bug():
    with pytest.raises(AssertionError):
        abi.encode_append(size=2**53, root=bytes(32), proof=[])


def test_storage_words_unpack_into_the_head():
    packed = (9 | 1_700_000_000 << 64 | 2 << 128).to_bytes(32, "big")
    head = abi.unpack_head(b"\x33" * 32, packed)
    assert head == abi.Head(size=9, time=1_700_000_000, index=2, root=b"\x33" * 32)


def test_storage_words_with_stray_bits_are_refused():
    with pytest.raises(VerificationError) as caught:
        abi.unpack_head(bytes(32), b"\x01" + bytes(31))
    assert caught.value.error_code == "contracts.storage_malformed"


def test_a_custom_error_is_read_with_its_values():
    data = keccak(b"EvidenceLogNotNewer(uint64,uint64)")[:4] + encode(["uint64", "uint64"], [3, 9])
    assert abi.decode_revert(data) == abi.Revert(name="EvidenceLogNotNewer", values=(3, 9))


@pytest.mark.parametrize("data", [b"", b"\x00" * 3, b"\xde\xad\xbe\xef", abi.HEAD])
def test_any_other_revert_is_unknown_and_never_raises(data):
    assert abi.decode_revert(data).name == "unknown"


def test_an_answer_cut_short_is_refused():
    with pytest.raises(VerificationError) as caught:
        abi.decode_head(bytes(64))
    assert caught.value.error_code == "contracts.answer_malformed"


def test_another_event_is_not_a_checkpoint():
    assert abi.decode_checkpoint([keccak(b"Other()"), bytes(32), bytes(32)], b"") is None
    topics = [abi.CHECKPOINT_TOPIC, (1).to_bytes(32, "big"), (7).to_bytes(32, "big")]
    found = abi.decode_checkpoint(topics, b"\x44" * 32)
    assert found == abi.Checkpoint(index=1, size=7, root=b"\x44" * 32)
