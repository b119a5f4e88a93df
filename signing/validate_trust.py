"""The trust half of the strict verifier: time stamps, certificate paths, revocation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import InputError, LimitError, VerificationError
from ledger.core.report import Verdict
from signing import deadline
from signing.cms import STRONG_HASHES, SignedContainer, TimeStamp, check_container, read_timestamp
from signing.embedded import (
    ValidationData,
    odd_items,
    validation_data_of,
    validation_data_with,
)
from signing.examined import Examined
from signing.reading import SignatureFacts
from signing.trust import (
    PkiTrust,
    Purpose,
    RevocationList,
    certificate_times,
    check_path,
    check_revocation,
    issued_by_known,
    require_certificate,
)

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""A time stamp this far in the future is a clock that is off, not a lie."""

_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


@dataclass(frozen=True, slots=True)
class _Known:
    """What one examination may rely on.

    Attributes:
        at: now.
        judged_at: order of a signature -> the moment at which its time stamp must still be good:
            the time of the next trusted document time stamp over it, else now (ETSI EN 319 102-1,
            past signature validation).
        stamps: order of a document time stamp -> what its authority is worth.
        authorities: what an authority was worth that was judged already: one authority stamps every
            signature of a file.
    """

    trust: PkiTrust
    at: datetime
    judged_at: dict[int, datetime]
    stamps: dict[int, _StampFinding]
    lists: tuple[RevocationList, ...]
    authorities: dict[tuple[object, ...], _StampFinding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _StampFinding:
    verdict: Verdict
    reason: str
    text_en: str
    text_zh: str
    root: str


def check_each_trust(file: Examined, trust: PkiTrust, at: datetime) -> None:
    known = _known(file, trust, at)
    file.lists = known.lists
    for item in file.signatures:
        deadline.check()
        container = item.container
        if container is None:
            continue
        who: dict[str, Json] = {"signature": item.order, "field": item.field}
        if item.kind == "document_timestamp":
            found = known.stamps.get(item.order)
            if found is not None:
                _add_stamp_trust(file, found, who, n=item.order)
            continue
        proven = _check_time_stamp(file, item, container, known, who)
        _check_certificate(file, item, container, known, proven, who)


def _known(file: Examined, trust: PkiTrust, at: datetime) -> _Known:
    """Judge document time stamps from the newest to the oldest: each vouches for what it covers."""
    stored = _stored(file)
    pinned = tuple(RevocationList(der) for der in trust.crls)
    lists = pinned + tuple(RevocationList(der, proven_at=at) for der in stored.crls)
    judged_at: dict[int, datetime] = {}
    stamps: dict[int, _StampFinding] = {}
    moment = at
    covered: list[tuple[int, datetime]] = []
    for item in sorted(file.signatures, key=lambda one: one.order, reverse=True):
        judged_at[item.order] = moment
        if item.kind != "document_timestamp" or item.container is None:
            continue
        try:
            token = require_time_stamp(item.contents, read=item.stamp)
        except VerificationError:
            continue  # its signature value was reported already
        found = _stamp_finding(token, trust, lists, moment, at=at)
        stamps[item.order] = found
        intact = not item.fault and _covers(file, item, token)
        if found.verdict is _P and intact and token.time <= moment:
            moment = token.time
            covered.append((item.revision_size, token.time))
    return _Known(trust, at, judged_at, stamps, pinned + _proven(file, stored, covered, at=at))


def _stored(file: Examined) -> ValidationData:
    try:
        found = validation_data_with(file.reader)
    except LimitError:
        file.add(
            "pdf.validation_data",
            _I,
            "the revocation data in the file are too large to be examined",
            "文件内的吊销数据过大，无法检查",
        )
        return ValidationData()
    if odd := odd_items(found):
        file.add(
            "pdf.validation_data",
            _I,
            f"{odd} items among the revocation data in the file are nothing of the kind",
            f"文件内的吊销数据中有 {odd} 项并非证书、吊销列表或应答",
            items=odd,
        )
    return found


def _covers(file: Examined, item: SignatureFacts, token: TimeStamp) -> bool:
    try:
        digest = file.digests.of_range(item.byte_range, token.imprint_algorithm)
    except ValueError:
        return False
    return digest == token.imprint


def _proven(
    file: Examined, stored: ValidationData, covered: list[tuple[int, datetime]], *, at: datetime
) -> tuple[RevocationList, ...]:
    """Each embedded list with the earliest trusted time at which it stood in the file."""
    earliest = dict.fromkeys(stored.crls, at)
    for size, time in covered:
        deadline.check()
        # `covered` runs from the newest to the oldest, so the last one to hold an item wins.
        try:
            held = set(validation_data_of(file.data[:size]).crls)
        except (InputError, LimitError):
            continue
        for der in held & earliest.keys():
            earliest[der] = min(earliest[der], time)
    return tuple(RevocationList(der, proven_at=moment) for der, moment in earliest.items())


def _check_time_stamp(
    file: Examined,
    item: SignatureFacts,
    container: SignedContainer,
    known: _Known,
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
        token = require_time_stamp(container.timestamp, read=item.stamp)
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
    if token.time > known.at + CLOCK_TOLERANCE:
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
    moment = known.judged_at.get(n, known.at)
    box = token.container
    key = (box.certificate, box.certificates, token.time, moment)
    found = known.authorities.get(key)
    if found is None:
        found = _stamp_finding(token, known.trust, known.lists, moment, at=known.at)
        known.authorities[key] = found
    _add_stamp_trust(file, found, who, n=n)
    return token.time if found.verdict is _P else None


def _stamp_finding(
    token: TimeStamp,
    trust: PkiTrust,
    lists: Sequence[RevocationList],
    moment: datetime,
    *,
    at: datetime,
) -> _StampFinding:
    """What the token's authority is worth at `moment`, the latest time at which the token is known
    to have existed: a key that leaked before that may have made it with an older date."""
    box = token.container
    finding = check_path(
        box.certificate,
        others=box.certificates,
        roots=trust.tsa_roots,
        at=max(moment, token.time),
        purpose=Purpose.TIME_STAMPING,
    )
    verdict = finding.verdict
    reason, text_en, text_zh = finding.reason, finding.text_en, finding.text_zh
    if verdict is _F and reason == "out_of_validity":
        verdict = _I  # the authority has expired since: no proof any more, but no forgery
    if verdict is _P:
        start, end = certificate_times(box.certificate)
        before = check_revocation(finding.path, lists=lists, used_at=token.time, at=at)
        since = check_revocation(
            finding.path, lists=lists, used_at=max(moment, token.time), at=at, harmless=True
        )
        if not start <= token.time <= end:
            verdict, reason = _F, "out_of_validity"
        elif before.verdict is _F:
            verdict, reason = _F, "revoked"
            text_en, text_zh = before.text_en, before.text_zh
        elif since.verdict is _F:
            verdict, reason = _I, "revoked_since"
            text_en = "the authority was revoked later, and nothing proves the token is older"
            text_zh = "该机构其后被吊销，且无法证明时间戳早于吊销"
        elif not issued_by_known(box.certificates, trust.tsa_roots):
            verdict, reason = _I, "loose_certificates"
    return _StampFinding(verdict, reason, text_en, text_zh, finding.root)


def _add_stamp_trust(file: Examined, found: _StampFinding, who: dict[str, Json], *, n: int) -> None:
    ok = found.verdict is _P
    file.add(
        "pdf.time_stamp_trust",
        found.verdict,
        f"the time-stamp authority of signature {n} is trusted"
        if ok
        else f"the time-stamp authority of signature {n} is not trusted: {found.text_en}",
        f"签名 {n} 的时间戳机构受信任" if ok else f"签名 {n} 的时间戳机构不受信任：{found.text_zh}",
        **who,
        reason=found.reason,
        root=found.root,
    )


def _check_certificate(
    file: Examined,
    item: SignatureFacts,
    container: SignedContainer,
    known: _Known,
    proven: datetime | None,
    who: dict[str, Json],
) -> None:
    n, used_at, trust = item.order, proven or known.at, known.trust
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
    revoked = check_revocation(
        finding.path,
        lists=known.lists,
        used_at=used_at,
        at=known.at,
        others=container.certificates,
    )
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


def require_time_stamp(der: bytes, *, read: TimeStamp | None = None) -> TimeStamp:
    """Parse a token and prove that its own signer signed it.

    Args:
        read: the token where it is parsed already.

    Raises:
        VerificationError: `cms.*`.
    """
    token = read or read_timestamp(der)
    box = token.container
    if box.digest_algorithm not in hashlib.algorithms_available:
        raise VerificationError("unknown digest", code="cms.algorithm")
    check_container(box, digest=hashlib.new(box.digest_algorithm, box.content).digest())
    return token


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
