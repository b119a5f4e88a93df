"""The signature containers of a PDF: byte range, digest, signature value, algorithms, loose parts."""

from __future__ import annotations

from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import VerificationError
from ledger.core.report import Verdict
from signing import deadline
from signing.cms import STRONG_HASHES, SignedContainer, check_container
from signing.examined import Examined
from signing.reading import SignatureFacts
from signing.trust import require_certificate
from signing.validate_trust import require_time_stamp

RSA_BITS_MIN: Final = 2048
UNSUPPORTED: Final = frozenset({"cms.algorithm", "cms.no_certificate", "cms.no_signed_attributes"})
"""Faults of a container that is not wrong but that cannot be verified here."""

_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


def check_each_container(file: Examined) -> None:
    """Add what each container is worth by itself, without trust."""
    for item in file.signatures:
        deadline.check()
        who: dict[str, Json] = {"signature": item.order, "field": item.field}
        if item.fault in UNSUPPORTED:
            file.add(
                "pdf.signature_value",
                _I,
                f"signature {item.order} is of a kind that is not supported",
                f"签名 {item.order} 的类型不受支持",
                **who,
                reason=item.fault,
            )
            continue
        ok = not item.fault
        file.add(
            "pdf.byte_range",
            _P if ok else _F,
            f"signature {item.order} covers its revision, all but its own value"
            if ok
            else f"signature {item.order} does not cover its revision exactly",
            f"签名 {item.order} 覆盖其修订版的全部字节（自身值除外）"
            if ok
            else f"签名 {item.order} 未准确覆盖其修订版",
            **who,
            fault=item.fault,
        )
        container = item.container
        if not ok or container is None:
            continue
        _check_crypto(file, item, container, who)
        _check_algorithm(file, item, container, who)
        loose = list(container.loose)
        if any(loose):
            file.add(
                "pdf.container",
                _I,
                f"signature {item.order} holds parts that nothing protects",
                f"签名 {item.order} 的容器含有不受保护的内容",
                **who,
                parts=",".join(loose),
            )
        else:
            file.add(
                "pdf.container",
                _P,
                f"the container of signature {item.order} is in order",
                f"签名 {item.order} 的容器规范",
                **who,
            )


def _check_crypto(
    file: Examined, item: SignatureFacts, container: SignedContainer, who: dict[str, Json]
) -> None:
    try:
        if item.kind == "document_timestamp":
            token = require_time_stamp(item.contents, read=item.stamp)
            covered = file.digests.of_range(item.byte_range, token.imprint_algorithm)
            if token.imprint != covered:
                raise VerificationError("imprint differs", code="cms.digest_mismatch")
        else:
            if container.content_type != "data" or container.content:
                raise VerificationError("not detached", code="cms.malformed")
            digest = file.digests.of_range(item.byte_range, container.digest_algorithm)
            check_container(container, digest=digest)
            if item.subfilter == "/ETSI.CAdES.detached" and container.names_certificate is None:
                raise VerificationError("certificate not named", code="cms.wrong_certificate")
    except VerificationError as exc:
        unknown = exc.error_code == "cms.algorithm"
        intact = exc.error_code == "cms.digest_mismatch"
        file.add(
            "pdf.digest" if intact else "pdf.signature_value",
            _I if unknown else _F,
            f"the bytes under signature {item.order} were changed"
            if intact
            else f"signature {item.order} uses an algorithm that is not supported"
            if unknown
            else f"signature {item.order} was not made by its certificate over these bytes",
            f"签名 {item.order} 所覆盖的字节已被改动"
            if intact
            else f"签名 {item.order} 使用了不支持的算法"
            if unknown
            else f"签名 {item.order} 并非由其证书对这些字节作出",
            **who,
            reason=exc.error_code,
        )
        return
    except ValueError:
        file.add(
            "pdf.signature_value",
            _I,
            f"signature {item.order} uses an unknown digest",
            f"签名 {item.order} 使用了未知的摘要算法",
            **who,
            reason="cms.algorithm",
        )
        return
    file.add(
        "pdf.digest",
        _P,
        f"the bytes under signature {item.order} are unchanged",
        f"签名 {item.order} 所覆盖的字节未被改动",
        **who,
    )
    file.add(
        "pdf.signature_value",
        _P,
        f"signature {item.order} was made by its certificate",
        f"签名 {item.order} 由其证书作出",
        **who,
    )


def _check_algorithm(
    file: Examined, item: SignatureFacts, container: SignedContainer, who: dict[str, Json]
) -> None:
    hashes = {container.digest_algorithm, container.signature_hash or container.digest_algorithm}
    key = require_certificate(container.certificate).public_key
    short = key.algorithm == "rsa" and key.bit_size < RSA_BITS_MIN
    weak = short or not hashes <= STRONG_HASHES
    file.add(
        "pdf.algorithm",
        _I if weak else _P,
        f"signature {item.order} uses a weak or unknown algorithm"
        if weak
        else f"the algorithms of signature {item.order} are strong enough",
        f"签名 {item.order} 使用了弱或未知的算法" if weak else f"签名 {item.order} 的算法强度足够",
        **who,
        digest=container.digest_algorithm,
        algorithm=container.signature_algorithm,
    )
