"""tlog-proof@v1 has one text for each proof; everything else is refused. Stock tools: tests/golden/receipt."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.errors import InputError, VerificationError
from ledger.note import VerifierKey
from ledger.tlog_proof import PROOF_BYTES_MAX, TlogProof, read_tlog_proof, receipt_of, tlog_proof_of

FOLDER = Path(__file__).parents[2] / "golden" / "receipt"
PROOF = (FOLDER / "golden.tlog-proof").read_bytes()
NOTE = PROOF.decode().partition("\n\n")[2]
LOG = VerifierKey.parse((FOLDER / "golden.keys").read_text().splitlines()[0])
FIRST = b"c2sp.org/tlog-proof@v1"


@given(
    extra=st.none() | st.binary(max_size=200),
    index=st.integers(0, 2**53 - 1),
    path=st.lists(st.binary(min_size=32, max_size=32), max_size=53),
)
def test_what_is_written_reads_back(extra, index, path):
    proof = TlogProof(extra=extra, index=index, path=tuple(path), note=NOTE)
    assert read_tlog_proof(proof.text().encode()) == proof


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FIRST, b"c2sp.org/tlog-proof@v2"),
        (FIRST + b"\n", b""),
        (b"index 4", b"index 04"),
        (b"index 4", b"index -4"),
        (b"index 4", b"index four"),
        (b"index 4\n", b""),
        (b"extra ", b"extra  "),
        (b"extra ey", b"extra e!"),
        (b"\n\n", b"\n"),
        (b"\n\nlog", b"\n\n\nlog"),
        (b"\n11\n", b"\n011\n"),
        (b"index 4\n", b"index 4\nAAAA\n"),
        (b"index 4\n", b"index 4\n" + b"A" * 43 + b"B\n"),
        (b"index 4\n", b"index 4\n" + (b"A" * 43 + b"=\n") * 54),
    ],
)
def test_another_spelling_is_refused(old, new):
    assert old in PROOF
    with pytest.raises(InputError) as caught:
        read_tlog_proof(PROOF.replace(old, new, 1))
    assert caught.value.error_code == "tlog_proof.shape"


@pytest.mark.parametrize(
    "data", [b"", b"\xff", FIRST, FIRST + b"\n", PROOF + b" " * PROOF_BYTES_MAX]
)
def test_what_is_no_proof_is_refused(data):
    with pytest.raises(InputError) as caught:
        read_tlog_proof(data)
    assert caught.value.error_code == "tlog_proof.shape"


@pytest.mark.parametrize("extra", [None, b"", b"no entry", b"[]", b'{"id2":1}', b"\xff"])
def test_without_an_entry_there_is_nothing_to_prove(extra):
    proof = TlogProof(extra=extra, index=4, path=(), note=NOTE)
    with pytest.raises(InputError) as caught:
        receipt_of(proof, verifier=LOG)
    assert caught.value.error_code == "tlog_proof.no_entry"


def test_a_receipt_that_is_not_in_the_tree_has_no_log_proof():
    with pytest.raises(VerificationError) as caught:
        tlog_proof_of({"log": None})
    assert caught.value.error_code == "tlog_proof.not_logged"


@pytest.mark.parametrize("log", [{}, {"path": 7}, {"path": [], "index": "x", "note": ""}, 7, []])
def test_a_malformed_receipt_has_none_either(log):
    with pytest.raises(VerificationError) as caught:
        tlog_proof_of({"log": log})
    assert caught.value.error_code == "receipt.shape"
