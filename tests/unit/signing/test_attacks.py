"""Fresh attacks on our own files: every one fails, with the named check, and the honest file passes."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from ledger.core.report import Verdict
from signing import pdf
from signing.appearance import Appearance, FieldSpec
from signing.attacks import ATTACKS, shadow_base
from signing.changes import byte_ranges
from signing.cms import assemble, signed_attributes
from signing.testing import throwaway_pki
from signing.testing_pdf import sign_field, trust_of, two_party_sample
from signing.validate import validate_pdf

WITH_A_KEY = (
    "shadow-hide",
    "shadow-replace-font",
    "shadow-replace-field",
    "shadow-replace-look",
    "shadow-hide-and-replace",
    "shadow-layer",
    "isa",
    "isa-signature-copied",
    "appended-orphan",
    "appended-pages",
    "appended-script",
    "duplicated-field",
    "eaa-free-text",
    "eaa-highlight",
    "eaa-stamp",
    "ssa-empty-field",
)
"""Attacks that leave a file that a malicious second party could sign."""


@lru_cache(maxsize=1)
def pki():
    return throwaway_pki(Path(mkdtemp(prefix="fuqi-test-")))


@lru_cache(maxsize=1)
def sample():
    return two_party_sample(pki(), base=shadow_base())


@lru_cache(maxsize=1)
def once():
    fields = [FieldSpec("party_a", 0, 10, 10, 130, 70), FieldSpec("party_b", 0, 150, 10, 130, 70)]
    placed = pdf.place_fields(shadow_base(), fields)
    return sign_field(placed, pki=pki(), signer=pki().signer(), field="party_a", certify=True)


def judged(data):
    return validate_pdf(data, trust=trust_of(pki()), at=pki().at)


def failed(report):
    return {check.code for check in report.checks if check.verdict is Verdict.FAILED}


def signed_anyway(data: bytes, field: str) -> bytes:
    """What a party with a key of its own signs, whatever our signer would say of it."""
    signer = pki().signer()
    revision, digest = pdf._write_revision(
        data,
        field=field,
        at=pki().at,
        certify=False,
        appearance=Appearance("甲", "乙", "00", pki().at, demo=False),
        reserve=20_000,
        seal=None,
    )
    attributes = signed_attributes(
        document_digest=digest.document_digest, certificate=signer.certificate.der
    )
    signature = signer.key.sign(attributes)
    container = assemble(
        signed_attrs=attributes,
        signature=signature,
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        timestamp=pki().stamp(hashlib.sha256(signature).digest()),
    )
    start, end = digest.reserved_region_start, digest.reserved_region_end
    text = container.hex().upper().encode().ljust(end - start - 2, b"0")
    return revision[: start + 1] + text + revision[end - 1 :]


def test_the_honest_file_passes_although_it_is_prepared_for_attacks():
    """Notes, layers and a filled text field are no fault as long as nobody touches them."""
    assert judged(sample().data).verdict is Verdict.PASSED
    assert len(byte_ranges(sample().data)) == 2


def test_the_names_are_unique():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack_by_whoever_holds_the_finished_file_fails(attack):
    report = judged(attack.make(sample().data))
    assert report.verdict is Verdict.FAILED
    assert attack.check in failed(report)


@pytest.mark.parametrize(
    "attack", [a for a in ATTACKS if a.name in WITH_A_KEY], ids=lambda attack: attack.name
)
def test_an_attack_by_the_second_party_fails_under_its_own_valid_signature(attack):
    """Every byte is signed then; what was changed between the signatures is still found."""
    report = judged(signed_anyway(attack.make(once()), "party_b"))
    assert report.verdict is Verdict.FAILED
    assert failed(report) & {"pdf.changes", "pdf.visual", "pdf.signatures"}


def test_the_second_party_may_sign_what_it_did_not_touch():
    assert judged(signed_anyway(once(), "party_b")).verdict is Verdict.PASSED
