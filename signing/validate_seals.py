"""The strict verifier on seals: is each seal object in the file the one its signature covers, whole and true?

A file without seal objects gets no check: nothing is claimed. A seal that does not hold fails the file, because
a reader takes the picture for what it shows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ledger.core.canonical import Json
from ledger.core.errors import VerificationError
from ledger.core.report import Verdict
from signing import deadline
from signing.examined import Examined
from signing.reading import SignatureFacts
from signing.seal_object import SealObject, check_seal_object, read_seal_object
from signing.seal_reading import seals_in
from signing.trust import PkiTrust, Purpose, RevocationList, check_path, check_revocation

USED_BEFORE_STAMP_MAX: Final = timedelta(hours=1)
"""A seal is put on when the signature is prepared; the device signs within fifteen minutes."""
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
_P, _F, _I = Verdict.PASSED, Verdict.FAILED, Verdict.INDETERMINATE


def check_seals(file: Examined, trust: PkiTrust | None, at: datetime | None) -> None:
    """Add `pdf.seal` for every signature that carries a seal object.

    Args:
        trust: pinned roots; None leaves the maker's certificate unjudged (integrity only).
    """
    found = seals_in(file.data, file.ranges)
    before = 0
    for item in file.signatures:
        deadline.check()
        held = found.get(item.byte_range, ())
        if held and item.kind == "signature":
            _check_one(file, item, held, before=before, trust=trust, at=at)
        before = item.revision_size or before


def _check_one(
    file: Examined,
    item: SignatureFacts,
    held: tuple[bytes, ...],
    *,
    before: int,
    trust: PkiTrust | None,
    at: datetime | None,
) -> None:
    who: dict[str, Json] = {"signature": item.order, "field": item.field}
    try:
        if len(held) != 1:
            raise VerificationError("several seals", code="seal.several")
        seal = read_seal_object(held[0])
        check_seal_object(
            seal,
            certificate=item.certificate,
            field=item.field,
            base=file.data[: item.byte_range[1]],
        )
        _require_place(file, seal, item, before=before)
    except VerificationError as exc:
        file.add(
            "pdf.seal",
            _F,
            f"the seal of signature {item.order} does not hold: {exc.message}",
            f"签名 {item.order} 的印章不成立",
            **who,
            reason=exc.error_code,
        )
        return
    who |= {
        "seal": seal.seal,
        "kind": seal.binding.kind,
        "source": seal.binding.source,
        "name": seal.name,
        "authorisation": seal.binding.authorisation,
        "edge": seal.binding.edge,
    }
    verdict, reason = (_P, "") if trust is None or at is None else _maker(file, seal, trust, at)
    texts = {
        _P: (
            f"the seal of signature {item.order} was made for its certificate and put on this file",
            f"签名 {item.order} 的印章为其证书所制，并盖于本文件",
        ),
        _F: (
            f"whoever made the seal of signature {item.order} was not allowed to",
            f"签名 {item.order} 的制章者证书不符合要求",
        ),
        _I: (
            f"who made the seal of signature {item.order} cannot be judged",
            f"无法判断签名 {item.order} 的制章者",
        ),
    }[verdict]
    file.add("pdf.seal", verdict, texts[0], texts[1], **who, reason=reason)


def _require_place(file: Examined, seal: SealObject, item: SignatureFacts, *, before: int) -> None:
    """The file it was put on is the whole one before this signature, and the times fit.

    Raises:
        VerificationError: `seal.other_file`, `seal.time`.
    """
    size = seal.binding.base_size
    ends_whole = file.data[:size].rstrip(b"\x00\t\n\x0c\r ").endswith(b"%%EOF")
    if (before and size != before) or not ends_whole:
        raise VerificationError("it was put on another file", code="seal.other_file")
    stamped = item.timestamp_time
    if stamped is not None and not (
        stamped - USED_BEFORE_STAMP_MAX <= seal.used_at <= stamped + CLOCK_TOLERANCE
    ):
        raise VerificationError("it was used at another time", code="seal.time")


def _maker(file: Examined, seal: SealObject, trust: PkiTrust, at: datetime) -> tuple[Verdict, str]:
    path = check_path(
        seal.maker,
        others=seal.chain,
        roots=trust.ca_roots,
        at=seal.used_at,
        purpose=Purpose.SIGNING,
    )
    if path.verdict is not _P:
        return path.verdict, path.reason
    if set(seal.chain) - set(path.path):
        return _I, "loose_certificates"
    # An archived file stands alone: the lists that it brings count for the maker as for its signers.
    pinned = tuple(RevocationList(der) for der in trust.crls)
    revoked = check_revocation(
        path.path,
        lists=pinned if file.lists is None else file.lists,
        used_at=seal.used_at,
        at=at,
        others=seal.chain,
    )
    return revoked.verdict, "" if revoked.verdict is _P else revoked.reason
