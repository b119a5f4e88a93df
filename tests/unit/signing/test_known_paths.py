"""A remembered path is the path that is found anew, at every moment on both sides of every border."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ledger.core.report import Verdict
from signing import known_paths, trust
from signing.testing import throwaway_pki
from signing.trust import Purpose, certificate_times, check_path


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


def judged(signer, roots, at, purpose=Purpose.SIGNING):
    own = signer.certificate
    return check_path(own.der, others=own.chain, roots=roots, at=at, purpose=purpose)


def anew(*arguments, **options):
    known_paths._KEPT.found.clear()
    return judged(*arguments, **options)


def test_at_every_border_the_finding_is_the_one_found_anew(pki):
    signer, roots = pki.signer(), (pki.authority.root_der, pki.tsa.root_der)
    given = (signer.certificate.der, *signer.certificate.chain, *roots)
    borders = sorted({moment for der in given for moment in certificate_times(der)})
    moments = [b + timedelta(seconds=s) for b in borders for s in (-1, 0, 1)]
    judged(signer, roots, pki.at)
    kept = [judged(signer, roots, moment) for moment in moments]
    fresh = [anew(signer, roots, moment) for moment in moments]
    assert kept == fresh
    assert {one.verdict for one in fresh} == {Verdict.PASSED, Verdict.FAILED}


def test_another_root_use_or_chain_is_another_question(pki, tmp_path):
    signer, roots = pki.signer(), (pki.authority.root_der,)
    assert judged(signer, roots, pki.at).verdict is Verdict.PASSED
    stranger = throwaway_pki(tmp_path / "other")
    other = (stranger.authority.root_der,)
    assert judged(signer, other, pki.at).verdict is Verdict.INDETERMINATE
    assert judged(signer, (), pki.at).verdict is Verdict.INDETERMINATE
    stamping = judged(signer, roots, pki.at, purpose=Purpose.TIME_STAMPING)
    assert stamping.verdict is Verdict.FAILED
    bare = check_path(
        signer.certificate.der, others=(), roots=(), at=pki.at, purpose=Purpose.SIGNING
    )
    assert bare.verdict is Verdict.INDETERMINATE


def test_only_good_paths_are_remembered_and_not_without_end(pki, monkeypatch):
    known_paths._KEPT.found.clear()
    signer = pki.signer()
    judged(signer, (), pki.at)
    assert not known_paths._KEPT.found
    monkeypatch.setattr(known_paths, "KEPT_MAX", 2)
    for _number in range(4):
        judged(pki.signer(), (pki.authority.root_der,), pki.at)
    assert len(known_paths._KEPT.found) == 2


def test_a_broken_certificate_beside_the_path_costs_the_memory_and_nothing_else(pki):
    """Found by the fuzzer: the dates of one that no path needed were read."""
    known_paths._KEPT.found.clear()
    signer, root = pki.signer(), pki.authority.root_der
    spare = pki.signer().certificate.der
    date = next(one for one in (b"\x17\x0d", b"\x18\x0f") if one in spare)
    broken = spare.replace(date, b"\x06" + date[1:], 1)
    others = (*signer.certificate.chain, broken)
    found = check_path(
        signer.certificate.der, others=others, roots=(root,), at=pki.at, purpose=Purpose.SIGNING
    )
    assert found.verdict is Verdict.PASSED
    assert not known_paths._KEPT.found


def test_who_signed_a_certificate_is_asked_once_and_answered_for_these_bytes_alone(pki):
    parsed = trust.parsed.certificate
    signer, root = pki.signer(), parsed(pki.authority.root_der)
    own = parsed(signer.certificate.der)
    issuer = next(
        one for one in (*map(parsed, signer.certificate.chain), root) if trust._signed_by(own, one)
    )
    assert trust._signed_by(own, issuer)
    der = bytearray(signer.certificate.der)
    der[-1] ^= 1
    assert not trust._signed_by(parsed(bytes(der)), issuer)
    assert not trust._signed_by(own, parsed(pki.tsa.root_der))
