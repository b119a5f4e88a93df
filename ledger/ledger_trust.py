"""Whom a verifier of receipts trusts: format `fuqi/ledger-trust/v1`.

    v           fuqi/ledger-trust/v1
    log         verifier key of the log, `name+hash+base64`
    chains      [{chain_id, contract, code_hash, kind, label_en, label_zh, finality?, validators?}];
                validators {k, addresses[]}: so many of these must have sealed a block for it to be final
    witnesses   optional {k, keys[]}: so many of these must have cosigned
    status      optional {max_age_seconds}: the receipt must carry a statement no older than this
    checkpoints optional [note]: checkpoints of the log that the verifier has seen elsewhere

A file without the optional members reads as it always did. Standard library and `cryptography` only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.core.canonical import Json
from ledger.core.errors import InputError, VerificationError
from ledger.note import (
    Checkpoint,
    CosignerKey,
    VerifierKey,
    WitnessPolicy,
    open_note,
    parse_note,
)
from ledger.validator_seals import ValidatorPolicy

TRUST_VERSION: Final = "fuqi/ledger-trust/v1"
WHOLE_TRUST_VERSION: Final = "fuqi/trust/v1"
"""The file of `fuqi trust export`, which holds this one as `ledger` (arbitration/policy.py)."""
TRUST_BYTES_MAX: Final = 64 * 1024 * 1024
"""Room for the revocation lists of the whole file; this part takes a few KiB."""
CHECKPOINTS_MAX: Final = 1000
"""What a verifier has seen of one log: some kilobytes each, checked at every reading."""
STATED: Final = "stated"


@dataclass(frozen=True, slots=True)
class ChainPin:
    """A chain and contract the verifier has decided to rely on.

    Attributes:
        code_hash: keccak-256 of the contract's runtime code, 0x-prefixed hex.
        kind: `embedded` or `json-rpc`.
        finality: `stated`: the verifier takes the log's word that a block of this chain is final; empty: only
            what the receipt proves counts.
        validators: who seals blocks there and how many must have; None: seals prove nothing to this verifier.
    """

    chain_id: int
    contract: str
    code_hash: str
    kind: str
    label_en: str
    label_zh: str
    finality: str = ""
    validators: ValidatorPolicy | None = None

    def as_json(self) -> dict[str, Json]:
        """The pin as it stands in the file."""
        pin: dict[str, Json] = {
            "chain_id": self.chain_id,
            "contract": self.contract,
            "code_hash": self.code_hash,
            "kind": self.kind,
            "label_en": self.label_en,
            "label_zh": self.label_zh,
        }
        if self.finality:
            pin["finality"] = self.finality
        if self.validators is not None:
            pin["validators"] = self.validators.as_json()
        return pin


@dataclass(frozen=True, slots=True)
class LedgerTrust:
    """Whom the verifier trusts: the log's key, the chains that may anchor it, and k of n witnesses.

    Attributes:
        witnesses: None, as in files that do not name any: cosignatures are not asked for.
        status_max_age: seconds; None: no statement of status is asked for.
        checkpoints: notes of this log that came another way; one of a receipt's size and another root
            proves a split view.
    """

    verifier: VerifierKey
    chains: tuple[ChainPin, ...] = field(default=())
    witnesses: WitnessPolicy | None = None
    status_max_age: int | None = None
    checkpoints: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Json]:
        """`fuqi/ledger-trust/v1`; optional members only where they say something."""
        optional: dict[str, Json] = {}
        if self.witnesses is not None:
            keys = [key.text() for key in self.witnesses.keys]
            optional["witnesses"] = {"k": self.witnesses.k, "keys": keys}
        if self.status_max_age is not None:
            optional["status"] = {"max_age_seconds": self.status_max_age}
        if self.checkpoints:
            optional["checkpoints"] = list(self.checkpoints)
        return optional | {
            "v": TRUST_VERSION,
            "log": self.verifier.text(),
            "chains": [pin.as_json() for pin in self.chains],
        }

    def seen(self, size: int) -> tuple[Checkpoint, ...]:
        """The checkpoints of that size which the verifier has seen elsewhere."""
        same = [note for note in self.checkpoints if parse_note(note)[0].size == size]
        return tuple(open_note(note, verifier=self.verifier) for note in same)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LedgerTrust:
        """Read the JSON form.

        Raises:
            InputError: `trust.malformed`.
        """
        try:
            if value["v"] != TRUST_VERSION:
                raise ValueError("version")
            verifier = VerifierKey.parse(str(value["log"]))
            return cls(
                verifier=verifier,
                chains=tuple(_pin(pin) for pin in value["chains"]),
                witnesses=_witnesses(value.get("witnesses")),
                status_max_age=_max_age(value.get("status")),
                checkpoints=_checkpoints(value.get("checkpoints"), verifier),
            )
        except (KeyError, TypeError, ValueError, AttributeError, VerificationError) as exc:
            raise InputError("this is not a ledger trust file", code="trust.malformed") from exc


def read_ledger_trust(data: bytes) -> LedgerTrust:
    """From the bytes of a file: `fuqi/ledger-trust/v1`, or `fuqi/trust/v1` that holds one.

    Raises:
        InputError: `trust.malformed`.
    """
    if len(data) > TRUST_BYTES_MAX:
        raise InputError("this trust file is too large", code="trust.malformed")
    try:
        value = json.loads(data.decode("utf-8"))
        if isinstance(value, dict) and value.get("v") == WHOLE_TRUST_VERSION:
            value = value["ledger"]
    except (ValueError, KeyError, RecursionError) as exc:
        raise InputError("the trust file is not JSON", code="trust.malformed") from exc
    return LedgerTrust.from_json(value)


def _pin(pin: Mapping[str, Any]) -> ChainPin:
    finality = pin.get("finality", "")
    if finality not in ("", STATED):
        raise ValueError("finality")
    validators = pin.get("validators")
    return ChainPin(
        chain_id=int(pin["chain_id"]),
        contract=str(pin["contract"]),
        code_hash=str(pin["code_hash"]),
        kind=str(pin["kind"]),
        label_en=str(pin["label_en"]),
        label_zh=str(pin["label_zh"]),
        finality=finality,
        validators=None if validators is None else ValidatorPolicy.from_json(validators),
    )


def _witnesses(value: Any) -> WitnessPolicy | None:
    if value is None:
        return None
    return WitnessPolicy.of(value["k"], [CosignerKey.parse(str(key)) for key in value["keys"]])


def _max_age(value: Any) -> int | None:
    if value is None:
        return None
    age = value["max_age_seconds"]
    if not isinstance(age, int) or isinstance(age, bool) or age < 0:
        raise ValueError("max_age_seconds")
    return age


def _checkpoints(value: Any, verifier: VerifierKey) -> tuple[str, ...]:
    notes: Sequence[str] = [] if value is None else value
    if not isinstance(notes, list) or len(notes) > CHECKPOINTS_MAX:
        raise ValueError("checkpoints")
    for note in notes:
        # A note that the log did not sign would accuse it of a split view that never was.
        open_note(note, verifier=verifier)
    return tuple(notes)
