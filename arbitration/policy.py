"""Whom a verifier trusts: one file with the log's key, the chains and the roots of the authorities.

Format `fuqi/trust/v1`: `{v, pki: fuqi/pki-trust/v1, ledger: fuqi/ledger-trust/v1}`. It comes from a source the
verifier trusts, never out of the bundle under examination.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import InputError, NotFoundError
from ledger.ledger_trust import LedgerTrust
from signing.trust import PkiTrust

TRUST_VERSION: Final = "fuqi/trust/v1"
TRUST_BYTES_MAX: Final = 64 * 1024 * 1024
"""Room for revocation lists; the roots and the key alone take 4 KiB."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Pinned authorities, log and chains."""

    pki: PkiTrust
    ledger: LedgerTrust

    def as_json(self) -> dict[str, Json]:
        """`fuqi/trust/v1`."""
        return {"v": TRUST_VERSION, "pki": self.pki.as_json(), "ledger": self.ledger.as_json()}

    @classmethod
    def from_json(cls, value: Any) -> Trust:
        """Read the JSON form.

        Raises:
            InputError: `trust.malformed` and the codes of `PkiTrust.from_json`.
        """
        if (
            not isinstance(value, dict)
            or value.get("v") != TRUST_VERSION
            or not isinstance(value.get("ledger"), dict)
        ):
            raise InputError("this is no fuqi/trust/v1 file", code="trust.malformed")
        return cls(
            pki=PkiTrust.from_json(value.get("pki")),
            ledger=LedgerTrust.from_json(value["ledger"]),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Honest remarks about those who are trusted."""
        chains = [text for pin in self.ledger.chains for text in (pin.label_zh, pin.label_en)]
        return tuple(dict.fromkeys(text for text in (*self.pki.labels, *chains) if text))


def load_trust(path: Path) -> Trust:
    """Read a trust file.

    Raises:
        NotFoundError: `trust.not_found`.
        InputError: `trust.malformed` and the codes of `PkiTrust.from_json`.
    """
    try:
        if path.stat().st_size > TRUST_BYTES_MAX:
            raise InputError("this trust file is too large", code="trust.malformed")
        value = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as exc:
        raise NotFoundError("the trust file cannot be read", code="trust.not_found") from exc
    except (ValueError, RecursionError) as exc:
        raise InputError("the trust file is not JSON", code="trust.malformed") from exc
    return Trust.from_json(value)


def save_trust(trust: Trust, path: Path) -> None:
    """Write a trust file: canonical JSON and one newline, so that two copies can be compared."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(canonical_bytes(trust.as_json()) + b"\n")
    part.replace(path)
