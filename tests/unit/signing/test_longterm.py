"""Long-term signatures: what the file must carry so that it still proves something in twenty years."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ledger.core.errors import ConflictError, InputError, VerificationError
from ledger.core.report import Report, Verdict
from signing import longterm
from signing.embedded import ValidationData, validation_data_of
from signing.longterm import Level
from signing.testing import ThrowawayPki, throwaway_pki
from signing.testing_pdf import SignedSample, raw_pdf, two_party_sample
from signing.trust import PkiTrust
from signing.tsa import BuiltInTimestampAuthority
from signing.validate import validate_pdf

YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayPki:
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def sample(pki: ThrowawayPki) -> SignedSample:
    return two_party_sample(pki)


def material(pki: ThrowawayPki, *, at: datetime) -> ValidationData:
    return ValidationData(certificates=(pki.authority.root_der,), crls=(pki.authority.crl(at=at),))


@pytest.fixture(scope="module")
def archived(pki: ThrowawayPki, sample: SignedSample) -> bytes:
    at = pki.at + timedelta(hours=1)
    return longterm.extend(
        sample.data, material=material(pki, at=at), stamp=lambda i: pki.tsa.stamp(i, at=at)
    )


def offline(sample: SignedSample, *extra_tsa: bytes) -> PkiTrust:
    """A verifier who holds the roots and nothing else: no list, no network."""
    return replace(sample.trust, crls=(), tsa_roots=(*sample.trust.tsa_roots, *extra_tsa))


def verdicts(report: Report, code: str) -> list[Verdict]:
    return [check.verdict for check in report.checks if check.code == code]


def test_the_level_is_what_the_file_carries(sample: SignedSample, archived: bytes) -> None:
    assert longterm.level_of(raw_pdf([])) is Level.NONE
    assert longterm.level_of(sample.data) is Level.B_T
    assert longterm.level_of(archived) is Level.B_LTA


def test_every_byte_of_an_archived_file_is_signed_and_nothing_was_taken_away(
    sample: SignedSample, archived: bytes, pki: ThrowawayPki
) -> None:
    assert archived.startswith(sample.data)
    report = validate_pdf(archived, trust=sample.trust, at=pki.at + timedelta(days=1))
    report.require()
    assert len(verdicts(report, "pdf.time_stamp_trust")) == 3


def test_without_embedded_lists_revocation_is_unknown_once_the_certificate_has_ended(
    sample: SignedSample, archived: bytes, pki: ThrowawayPki
) -> None:
    later = pki.at + 3 * YEAR
    assert (
        verdicts(validate_pdf(sample.data, trust=offline(sample), at=later), "pdf.revocation")
        == [Verdict.INDETERMINATE] * 2
    )
    validate_pdf(archived, trust=offline(sample), at=later).require()


def test_a_renewed_file_outlives_its_first_time_stamp_authority(
    sample: SignedSample, archived: bytes, pki: ThrowawayPki, tmp_path: Path
) -> None:
    due = longterm.renewal_of(archived, at=pki.at).due
    assert due < pki.at + 10 * YEAR
    second = BuiltInTimestampAuthority.create(tmp_path / "second", at=due)
    trust = offline(sample, second.root_der)
    ended = pki.at + 11 * YEAR
    stale = validate_pdf(archived, trust=trust, at=ended)
    assert stale.verdict is Verdict.INDETERMINATE
    assert set(verdicts(stale, "pdf.time_stamp_trust")) == {Verdict.INDETERMINATE}
    renewed = longterm.extend(
        archived, material=ValidationData(), stamp=lambda i: second.stamp(i, at=due)
    )
    validate_pdf(renewed, trust=trust, at=ended).require()
    assert longterm.renewal_of(renewed, at=ended).due > ended


def test_a_renewal_that_comes_too_late_saves_nothing(
    sample: SignedSample, archived: bytes, pki: ThrowawayPki, tmp_path: Path
) -> None:
    late = pki.at + 12 * YEAR
    second = BuiltInTimestampAuthority.create(tmp_path / "late", at=late)
    renewed = longterm.extend(
        archived, material=ValidationData(), stamp=lambda i: second.stamp(i, at=late)
    )
    report = validate_pdf(renewed, trust=offline(sample, second.root_der), at=late)
    assert report.verdict is Verdict.INDETERMINATE
    assert verdicts(report, "pdf.time_stamp_trust")[-1] is Verdict.PASSED


def test_a_list_made_after_the_authority_ended_proves_nothing(
    sample: SignedSample, pki: ThrowawayPki, tmp_path: Path
) -> None:
    root_ends = pki.at + 40 * YEAR
    second = BuiltInTimestampAuthority.create(tmp_path / "far", at=root_ends)
    forged = longterm.extend(
        sample.data,
        material=material(pki, at=pki.at),
        stamp=lambda i: second.stamp(i, at=root_ends),
    )
    report = validate_pdf(forged, trust=offline(sample, second.root_der), at=root_ends)
    assert set(verdicts(report, "pdf.revocation")) <= {Verdict.INDETERMINATE}


def test_a_second_archiving_writes_no_item_twice(archived: bytes, pki: ThrowawayPki) -> None:
    held = validation_data_of(archived)
    at = pki.at + YEAR
    again = longterm.extend(archived, material=held, stamp=lambda i: pki.tsa.stamp(i, at=at))
    assert validation_data_of(again) == held
    assert len(again) - len(archived) < 2 * longterm.TOKEN_RESERVE + 4_096


def test_an_unsigned_file_is_not_archived(pki: ThrowawayPki) -> None:
    with pytest.raises(ConflictError) as caught:
        longterm.extend(raw_pdf([]), material=ValidationData(), stamp=pki.stamp)
    assert caught.value.error_code == "pdf.unsigned"


def test_a_clock_that_goes_back_is_refused(archived: bytes, pki: ThrowawayPki) -> None:
    with pytest.raises(ConflictError) as caught:
        longterm.extend(archived, material=ValidationData(), stamp=pki.stamp)
    assert caught.value.error_code == "pdf.time_goes_back"


def test_a_time_stamp_for_other_bytes_is_refused(sample: SignedSample, pki: ThrowawayPki) -> None:
    with pytest.raises(VerificationError) as caught:
        longterm.extend(
            sample.data, material=ValidationData(), stamp=lambda _i: pki.stamp(bytes(32))
        )
    assert caught.value.error_code == "pdf.timestamp_mismatch"


def test_what_is_no_validation_data_is_refused(sample: SignedSample, pki: ThrowawayPki) -> None:
    with pytest.raises(InputError) as caught:
        longterm.extend(sample.data, material=ValidationData(crls=(b"no list",)), stamp=pki.stamp)
    assert caught.value.error_code == "pdf.validation_data"


def test_any_changed_byte_of_the_archive_is_seen(
    sample: SignedSample, archived: bytes, pki: ThrowawayPki
) -> None:
    at = pki.at + timedelta(days=1)
    for position in range(len(sample.data) + 11, len(archived), 4_999):
        broken = bytearray(archived)
        broken[position] ^= 1
        report = validate_pdf(bytes(broken), trust=sample.trust, at=at)
        assert report.verdict is not Verdict.PASSED, position


def test_changes_behind_the_archive_are_seen(
    sample: SignedSample, archived: bytes, pki: ThrowawayPki
) -> None:
    report = validate_pdf(archived + b"\n% more", trust=sample.trust, at=pki.at + YEAR)
    assert report.verdict is Verdict.FAILED
