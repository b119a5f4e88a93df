"""Other validators: their agreement is asked after each signature, their silence is no agreement."""

from __future__ import annotations

from pathlib import Path

import pytest

from api import pdfsig
from ledger.core.errors import VerificationError
from signing.opinions import (
    Opinion,
    Stance,
    judgeable,
    pdfsig_opinion,
    pyhanko_opinion,
    require_no_disagreement,
)
from signing.testing import throwaway_pki
from signing.testing_pdf import SignedSample, raw_pdf, two_party_sample

FIELDS = ("party_a", "party_b")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SignedSample:
    return two_party_sample(throwaway_pki(tmp_path_factory.mktemp("pki")))


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[data.index(b"Pay 100")] ^= 1
    return bytes(changed)


def ask_pdfsig(data: bytes) -> Opinion:
    return pdfsig_opinion(lambda: pdfsig.judge(data), fields=FIELDS, name="pdfsig")


def test_pyhanko_agrees_with_an_honest_file_and_not_with_a_changed_one(
    sample: SignedSample,
) -> None:
    found = pyhanko_opinion(sample.data, name="pyHanko")
    assert (found.stance, found.signatures) == (Stance.AGREES, 2)
    assert pyhanko_opinion(flipped(sample.data), name="pyHanko").stance is Stance.DISAGREES


@pytest.mark.skipif(pdfsig.program() is None, reason="pdfsig is not installed (poppler-utils)")
def test_pdfsig_agrees_with_an_honest_file_and_not_with_a_changed_one(sample: SignedSample) -> None:
    assert pdfsig.version().startswith("pdfsig ")
    found = ask_pdfsig(sample.data)
    assert (found.stance, found.signatures) == (Stance.AGREES, 2)
    assert ask_pdfsig(flipped(sample.data)).stance is Stance.DISAGREES
    assert ask_pdfsig(raw_pdf([])).reason == "signature_not_seen"


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        ({"party_a": "Signature is Valid."}, "signature_not_seen"),
        ({"party_a": "Signature is Valid.", "party_b": "Digest Mismatch."}, "not_valid"),
        (dict.fromkeys((*FIELDS, "ghost"), "Signature is Valid."), "signature_not_ours"),
    ],
)
def test_a_report_that_differs_from_ours_is_disagreement(
    verdicts: dict[str, str], reason: str
) -> None:
    text = "".join(
        f"  - Signature Field Name: {field}\n  - Signature Validation: {verdict}\n"
        for field, verdict in verdicts.items()
    )
    found = pdfsig_opinion(lambda: text, fields=FIELDS, name="pdfsig")
    assert (found.stance, found.reason) == (Stance.DISAGREES, reason)
    with pytest.raises(VerificationError) as caught:
        require_no_disagreement([found])
    assert caught.value.error_code == "pdf.validators_disagree"


def test_document_time_stamps_that_poppler_does_not_judge_are_no_disagreement() -> None:
    text = (
        "  - Signature Field Name: party_a\n  - Signature Validation: Signature is Valid.\n"
        "  - Signature Field Name: fuqi_archive_1\n"
        "  - Signature Validation: Signature has not yet been verified.\n"
    )
    found = pdfsig_opinion(lambda: text, fields=("party_a",), name="pdfsig")
    assert found.stance is Stance.AGREES


def test_absence_and_unknown_algorithms_are_abstentions(tmp_path: Path) -> None:
    absent = pdfsig_opinion(lambda: None, fields=FIELDS, name="pdfsig")
    assert (absent.stance, absent.reason) == (Stance.ABSTAINS, "absent")
    unknown = pdfsig_opinion(lambda: "", fields=FIELDS, name="pdfsig", judgeable=False)
    assert (unknown.stance, unknown.reason) == (Stance.ABSTAINS, "algorithm")
    assert pyhanko_opinion(raw_pdf([]), name="pyHanko").stance is Stance.ABSTAINS
    assert not judgeable(["ecdsa", "sm2"])
    assert judgeable(["ecdsa", "rsassa_pkcs1v15"])
    require_no_disagreement([absent, unknown])


def test_a_validator_that_stops_on_an_odd_file_disagrees() -> None:
    found = pyhanko_opinion(b"%PDF-1.7 nothing", name="pyHanko")
    assert found.stance is Stance.DISAGREES
    assert found.reason.startswith("stops")
