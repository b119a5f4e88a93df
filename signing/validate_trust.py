"""The trust half of the strict verifier: time stamps, certificate paths, revocation."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import VerificationError
from ledger.core.report import Verdict
from signing.cms import STRONG_HASHES, SignedContainer, TimeStamp, check_container, read_timestamp
from signing.examined import Examined
from signing.reading import SignatureFacts
from signing.trust import (
    PkiTrust,
    Purpose,
    certificate_times,
    check_path,
    check_revocation,
    issued_by_known,
    require_certificate,
)

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""A time stamp this far in the future is a clock that is off, not a lie."""

_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


def check_each_trust(file: Examined, trust: PkiTrust, at: datetime) -> None:
    for item in file.signatures:
        container = item.container
        if container is None:
            continue
        who: dict[str, Json] = {"signature": item.order, "field": item.field}
        if item.kind == "document_timestamp":
            token = require_time_stamp(item.contents)
            _check_time_stamp_trust(file, token, trust, at, who, n=item.order)
            continue
        proven = _check_time_stamp(file, item, container, trust, at, who)
        _check_certificate(file, item, container, trust, proven, at, who)


def _check_time_stamp(
    file: Examined,
    item: SignatureFacts,
    container: SignedContainer,
    trust: PkiTrust,
    at: datetime,
    who: dict[str, Json],
) -> datetime | None:
    """The proven time of the signature; None where no trusted time stamp proves one."""
    n = item.order
    if not container.timestamp:
        file.add(
            "pdf.time_stamp",
            _I,
            f"signature {n} has no time stamp: its time is only claimed",
            f"签名 {n} 无时间戳，签署时间仅为自称",
            **who,
        )
        return None
    try:
        token = require_time_stamp(container.timestamp)
        name = token.imprint_algorithm
        if token.imprint != hashlib.new(name, container.signature).digest():
            raise VerificationError("imprint differs", code="cms.digest_mismatch")
    except (VerificationError, ValueError) as exc:
        reason = exc.error_code if isinstance(exc, VerificationError) else "cms.algorithm"
        file.add(
            "pdf.time_stamp",
            _I if reason == "cms.algorithm" else _F,
            f"the time stamp of signature {n} does not verify",
            f"签名 {n} 的时间戳验证不通过",
            **who,
            reason=reason,
        )
        return None
    if token.time > at + CLOCK_TOLERANCE:
        file.add(
            "pdf.time_stamp",
            _F,
            f"the time stamp of signature {n} lies in the future",
            f"签名 {n} 的时间戳在未来",
            **who,
        )
        return None
    loose = token.container.loose
    weak = not {name, token.container.digest_algorithm} <= STRONG_HASHES
    file.add(
        "pdf.time_stamp",
        _I if loose or weak else _P,
        f"the time stamp of signature {n} holds loose parts or weak digests"
        if loose or weak
        else f"a time stamp proves that signature {n} existed at {_text(token.time)}",
        f"签名 {n} 的时间戳含不受保护的内容或弱摘要"
        if loose or weak
        else f"时间戳证明签名 {n} 在 {_text(token.time)} 已存在",
        **who,
        time=_text(token.time),
        parts=",".join(loose),
    )
    trusted = _check_time_stamp_trust(file, token, trust, at, who, n=n)
    return token.time if trusted else None


def _check_time_stamp_trust(
    file: Examined,
    token: TimeStamp,
    trust: PkiTrust,
    at: datetime,
    who: dict[str, Json],
    *,
    n: int,
) -> bool:
    box = token.container
    finding = check_path(
        box.certificate,
        others=box.certificates,
        roots=trust.tsa_roots,
        at=max(at, token.time),
        purpose=Purpose.TIME_STAMPING,
    )
    verdict = finding.verdict
    reason = finding.reason
    if verdict is _F and reason == "out_of_validity":
        verdict = _I  # the authority has expired since: no proof any more, but no forgery
    if verdict is _P:
        start, end = certificate_times(box.certificate)
        revoked = check_revocation(finding.path, crls=trust.crls, used_at=token.time, at=at)
        if not start <= token.time <= end:
            verdict, reason = _F, "out_of_validity"
        elif revoked.verdict is _F:
            verdict, reason = _F, "revoked"
        elif not issued_by_known(box.certificates, trust.tsa_roots):
            verdict, reason = _I, "loose_certificates"
    ok = verdict is _P
    file.add(
        "pdf.time_stamp_trust",
        verdict,
        f"the time-stamp authority of signature {n} is trusted"
        if ok
        else f"the time-stamp authority of signature {n} is not trusted: {finding.text_en}",
        f"签名 {n} 的时间戳机构受信任"
        if ok
        else f"签名 {n} 的时间戳机构不受信任：{finding.text_zh}",
        **who,
        reason=reason,
        root=finding.root,
    )
    return ok


def _check_certificate(
    file: Examined,
    item: SignatureFacts,
    container: SignedContainer,
    trust: PkiTrust,
    proven: datetime | None,
    at: datetime,
    who: dict[str, Json],
) -> None:
    n, used_at = item.order, proven or at
    finding = check_path(
        container.certificate,
        others=container.certificates,
        roots=trust.ca_roots,
        at=used_at,
        purpose=Purpose.SIGNING,
    )
    serial = f"{require_certificate(container.certificate).serial_number:x}"
    verdict, reason = finding.verdict, finding.reason
    if verdict is _P and not issued_by_known(container.certificates, trust.ca_roots):
        verdict, reason = _I, "loose_certificates"
    if verdict is _F and reason == "out_of_validity" and proven is None:
        verdict = _I  # without a proven time it may have been valid when it was used
    file.add(
        "pdf.certificate",
        verdict,
        f"signature {n}: {finding.text_en}",
        f"签名 {n}：{finding.text_zh}",
        **who,
        reason=reason,
        root=finding.root,
        serial=serial,
    )
    _check_certificate_time(file, container, proven, who, n=n)
    if finding.verdict is not _P:
        return
    revoked = check_revocation(finding.path, crls=trust.crls, used_at=used_at, at=at)
    file.add(
        "pdf.revocation",
        revoked.verdict,
        f"signature {n}: {revoked.text_en}",
        f"签名 {n}：{revoked.text_zh}",
        **who,
        reason=revoked.reason,
        serial=serial,
    )


def _check_certificate_time(
    file: Examined,
    container: SignedContainer,
    proven: datetime | None,
    who: dict[str, Json],
    *,
    n: int,
) -> None:
    start, end = certificate_times(container.certificate)
    if proven is None:
        verdict, en, zh = _I, "no proven time of signing", "签署时间未经证明"
    elif start <= proven <= end:
        verdict, en, zh = _P, "signed within the validity of the certificate", "在证书有效期内签署"
    else:
        verdict, en, zh = (
            _F,
            "signed outside the validity of the certificate",
            "签署时间不在证书有效期内",
        )
    file.add(
        "pdf.certificate_time",
        verdict,
        f"signature {n}: {en}",
        f"签名 {n}：{zh}",
        **who,
        not_before=_text(start),
        not_after=_text(end),
    )


def require_time_stamp(der: bytes) -> TimeStamp:
    """Parse a token and prove that its own signer signed it.

    Raises:
        VerificationError: `cms.*`.
    """
    token = read_timestamp(der)
    box = token.container
    if box.digest_algorithm not in hashlib.algorithms_available:
        raise VerificationError("unknown digest", code="cms.algorithm")
    check_container(box, digest=hashlib.new(box.digest_algorithm, box.content).digest())
    return token


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
