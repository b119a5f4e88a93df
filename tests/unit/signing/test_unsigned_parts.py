"""What a signature does not cover, its time stamp and the authorities it brings, is judged with trust alone.

Found by fuzzing (seed 660123): a damaged certificate of an authority beside a signature passes the look at
integrity alone, which says nothing about it; no verdict with trust passes it.
"""

from __future__ import annotations

import pytest

from ledger.core.report import Verdict
from signing.changes import byte_ranges
from signing.cms import read_container
from signing.testing import throwaway_pki
from signing.testing_pdf import two_party_sample
from signing.validate import integrity_report, validate_pdf


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return two_party_sample(throwaway_pki(tmp_path_factory.mktemp("pki")))


def changed(data, part, *, offset):
    """One hex digit of this part of the last signature's container is another."""
    last = byte_ranges(data)[-1]
    place = last.numbers[1] + 1 + 2 * (last.contents.index(part) + offset)
    digit = b"0" if data[place : place + 1] != b"0" else b"1"
    return data[:place] + digit + data[place + 1 :]


@pytest.mark.parametrize("where", ["time stamp", "authority", "its structure", "signer"])
def test_a_changed_part_beside_a_signature_never_passes_with_trust(sample, where):
    container = read_container(byte_ranges(sample.data)[-1].contents)
    root = next(one for one in container.certificates if one != container.certificate)
    part, offset = {
        "time stamp": (container.timestamp, len(container.timestamp) - 5),
        "authority": (root, len(root) - 5),
        # A tag within a name: the certificate reads no more.
        "its structure": (root, root.index(b"\x31\x0b\x30\x09\x06\x03\x55\x04\x06")),
        "signer": (container.certificate, len(container.certificate) - 5),
    }[where]
    data = changed(sample.data, part, offset=offset)
    assert validate_pdf(sample.data, trust=sample.trust, at=sample.at).verdict is Verdict.PASSED
    assert validate_pdf(data, trust=sample.trust, at=sample.at).verdict is not Verdict.PASSED
    # The signer's own certificate is named in what is signed: that one fails without trust, too.
    alone = integrity_report(data).verdict
    assert (alone is Verdict.PASSED) is (where != "signer")
