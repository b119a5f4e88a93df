"""What other validators say about the same file: pyHanko's own verdict, and poppler's `pdfsig`.

Our verifier decides (signing/validate.py). Others are asked after each signature, because a signature
that somebody's reader calls invalid is a signature a law firm will refuse: a file is accepted only
where nobody disagrees. A validator that is absent, or that does not know the algorithm, abstains; it
never counts as agreement.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from ledger.core.errors import VerificationError
from signing.cms import read_container, read_timestamp
from signing.trust import POOL_MAX

UNSUPPORTED: Final = frozenset({"sm2", "ed25519", "ed448"})
"""Signature algorithms that neither pyHanko nor poppler's NSS judges."""
_FIELD: Final = re.compile(r"^\s+- Signature Field Name: (.*)$")
_VERDICT: Final = re.compile(r"^\s+- Signature Validation: (.*)$")
_VALID: Final = "Signature is Valid."
_NOT_JUDGED: Final = "Signature has not yet been verified."
"""poppler's answer for document time stamps, which it does not check."""


class Stance(StrEnum):
    """Whether a validator is content with the file."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    ABSTAINS = "abstains"


@dataclass(frozen=True, slots=True)
class Opinion:
    """One validator's view of the whole file.

    Attributes:
        name: with its version, where it says one.
        signatures: how many it judged.
        reason: stable words for why it disagrees or abstains; never anything out of the document.
    """

    name: str
    stance: Stance
    signatures: int = 0
    reason: str = ""


def pyhanko_opinion(data: bytes, *, name: str, differences: bool = True) -> Opinion:
    """pyHanko's verdict on every signature; trust is not asked. Never raises.

    Args:
        differences: have it judge the changes behind each signature as well; False where our own
            verifier has just asked it that (`signing.differences`).
    """
    # A thread of its own: pyHanko starts an event loop, which fails where the caller's thread runs one.
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(_pyhanko_opinion, data, name, differences=differences).result()


def _pyhanko_opinion(data: bytes, name: str, *, differences: bool) -> Opinion:
    judged = 0
    try:
        reader = PdfFileReader(io.BytesIO(data), strict=False)
        for embedded in reader.embedded_regular_signatures:
            beyond = _beyond(embedded)
            if beyond:
                return Opinion(name, Stance.ABSTAINS, judged, beyond)
            status: Any = validate_pdf_signature(
                embedded,
                _nobody(),
                ts_validation_context=_nobody(),
                skip_diff=not differences,
            )
            if not (status.intact and status.valid):
                return Opinion(name, Stance.DISAGREES, judged, "not_intact")
            if status.docmdp_ok is False:
                return Opinion(name, Stance.DISAGREES, judged, "changes")
            judged += 1
    except Exception as exc:  # noqa: BLE001 - pyHanko raises many kinds; that it stops is its answer
        return Opinion(name, Stance.DISAGREES, judged, f"stops ({type(exc).__name__})")
    return Opinion(
        name, Stance.AGREES if judged else Stance.ABSTAINS, judged, "" if judged else "none"
    )


def pdfsig_opinion(
    run: Callable[[], str | None], *, fields: Sequence[str], name: str, judgeable: bool = True
) -> Opinion:
    """What `pdfsig -nocert` says of the signatures in `fields`.

    Args:
        run: its output, or None where it is absent or was stopped.
        judgeable: False where a signature uses an algorithm that poppler does not know.
    """
    text = run()
    if text is None:
        return Opinion(name, Stance.ABSTAINS, 0, "absent")
    if not judgeable:
        return Opinion(name, Stance.ABSTAINS, 0, "algorithm")
    found = _verdicts(text)
    missing = [field for field in fields if field not in found]
    if missing:
        return Opinion(name, Stance.DISAGREES, len(found), "signature_not_seen")
    bad = [field for field in fields if found[field] != _VALID]
    if bad:
        return Opinion(name, Stance.DISAGREES, len(found), "not_valid")
    extra = [f for f, verdict in found.items() if f not in fields and verdict != _NOT_JUDGED]
    if extra:
        return Opinion(name, Stance.DISAGREES, len(found), "signature_not_ours")
    return Opinion(name, Stance.AGREES, len(fields))


def judgeable(algorithms: Sequence[str]) -> bool:
    """Whether the others know every one of these signature algorithms."""
    return not UNSUPPORTED & set(algorithms)


def require_no_disagreement(opinions: Sequence[Opinion]) -> None:
    """Refuse a file that another validator rejects.

    Raises:
        VerificationError: `pdf.validators_disagree` (`context["validator"]`, `context["reason"]`).
    """
    for one in opinions:
        if one.stance is Stance.DISAGREES:
            raise VerificationError(
                f"{one.name} does not accept the signed file ({one.reason}); the signature was not taken",
                code="pdf.validators_disagree",
                validator=one.name,
                reason=one.reason,
            )


def _verdicts(text: str) -> dict[str, str]:
    """Field name -> verdict. A name given twice counts as its worse verdict."""
    found: dict[str, str] = {}
    field = None
    for line in text.splitlines():
        if match := _FIELD.match(line):
            field = match.group(1).strip()
        elif (match := _VERDICT.match(line)) and field is not None:
            verdict = match.group(1).strip()
            found[field] = verdict if found.get(field, _VALID) == _VALID else found[field]
            field = None
    return found


def _nobody() -> ValidationContext:
    return ValidationContext(trust_roots=[], allow_fetching=False)


def _beyond(embedded: Any) -> str:
    """Why pyHanko is not asked about a signature; "" where it is.

    It tries every path that names allow, so some twenty certificates that name each other would keep it
    busy for hours.
    """
    try:
        container = read_container(bytes(embedded.pkcs7_content))
        brought = {*container.certificates}
        if container.timestamp:
            brought |= {*read_timestamp(container.timestamp).container.certificates}
    except VerificationError:
        return ""
    if container.signature_algorithm in UNSUPPORTED:
        return "algorithm"
    return "certificates" if len(brought) > POOL_MAX else ""
