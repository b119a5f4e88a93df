"""What the log knew when it handed out a receipt: how far the entry had come, and what came after it.

A receipt proves that an entry was made; what happened later stands in later entries. The log signs, with the
key of its checkpoints, how far it had looked: a signed text `fuqi/receipt-status/v1` of these lines:

    fuqi/receipt-status/v1
    leaf <leaf hash, hex>                   the entry
    state <journaled|logged|mined|final>    how far it had come
    at <time>                               the log's clock at its last look at itself and the chain
    log <size> <root, hex>                  the newest checkpoint it had signed by then
    later <number>                          entries about the same subject after this one, in that tree
    effects <number>                        those of them whose type may change what the entry says
    effect <index> <type> <leaf hash, hex>  one line for each of the newest five

That nothing came later is the log's word, not a proof: a false one can be held against it, because it is signed
and the log cannot take back the later entry. Pure; standard library and `cryptography` only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.core.errors import VerificationError
from ledger.core.units import parse_utc, utc_text
from ledger.note import VerifierKey, open_text

STATUS_VERSION: Final = "fuqi/receipt-status/v1"
EFFECT_TYPES: Final = frozenset(
    {
        "authorisation.revoked",
        "key.revoked",
        "agreement.expired",
        "agreement.declined",
        "agreement.withdrawn",
        "need.withdrawn",
        "offer.withdrawn",
        "allocation.declined",
        "case.opened",
        "data.restricted",
    }
)
"""Later entries that may end or dispute what an earlier one about the same subject says."""
EFFECTS_SHOWN: Final = 5
"""A signed text has at most 1 KiB; `effects` tells how many there are in all."""
STATES: Final = ("journaled", "logged", "mined", "final")
_NUMBER: Final = r"(0|[1-9][0-9]{0,15})"
_SHAPE: Final = re.compile(
    rf"{STATUS_VERSION}\nleaf ([0-9a-f]{{64}})\nstate ([a-z]+)\nat ([0-9TZ:-]+)\n"
    rf"log {_NUMBER} ([0-9a-f]{{64}})\nlater {_NUMBER}\neffects {_NUMBER}\n((?:effect [^\n]+\n)*)"
)
_EFFECT: Final = re.compile(rf"effect {_NUMBER} ([a-z][a-z.]{{0,39}}) ([0-9a-f]{{64}})\n")


@dataclass(frozen=True, slots=True)
class Effect:
    """A later entry: its place in the log, its type and leaf hash (hex)."""

    index: int
    type: str
    leaf: str


@dataclass(frozen=True, slots=True)
class Status:
    """The statement; see the module for its lines.

    Attributes:
        effects: of how many entries `shown` are the newest.
    """

    leaf: str
    state: str
    at: datetime
    size: int
    root: str
    later: int
    effects: int
    shown: tuple[Effect, ...]

    def text(self) -> str:
        """The text to sign."""
        lines = [
            STATUS_VERSION,
            f"leaf {self.leaf}",
            f"state {self.state}",
            f"at {utc_text(self.at)}",
            f"log {self.size} {self.root}",
            f"later {self.later}",
            f"effects {self.effects}",
            *(f"effect {one.index} {one.type} {one.leaf}" for one in self.shown),
        ]
        return "\n".join(lines) + "\n"


def status_of(
    *, leaf: str, state: str, at: datetime, size: int, root: str, later: Sequence[Effect]
) -> Status:
    """The statement about an entry, given every later entry of its subject in that tree, oldest first."""
    effects = [one for one in later if one.type in EFFECT_TYPES]
    return Status(
        leaf=leaf,
        state=state,
        at=at,
        size=size,
        root=root,
        later=len(later),
        effects=len(effects),
        shown=tuple(effects[-EFFECTS_SHOWN:]),
    )


def open_status(note: str, *, verifier: VerifierKey) -> Status:
    """Check the log's signature on a statement and read it.

    Raises:
        VerificationError: `receipt.status` where the text is another, and the codes of `open_text`.
    """
    text = open_text(note, verifier=verifier)
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise _malformed()
    leaf, state, at, size, root, later, effects, lines = match.groups()
    shown = tuple(
        Effect(index=int(one[1]), type=one[2], leaf=one[3]) for one in _EFFECT.finditer(lines)
    )
    try:
        status = Status(
            leaf=leaf,
            state=state,
            at=parse_utc(at),
            size=int(size),
            root=root,
            later=int(later),
            effects=int(effects),
            shown=shown,
        )
    except ValueError as exc:
        raise _malformed() from exc
    wanted = min(status.effects, EFFECTS_SHOWN)
    # Written again and compared: one statement has one text.
    if (
        status.text() != text
        or len(shown) != wanted
        or state not in STATES
        or status.later < status.effects
    ):
        raise _malformed()
    return status


def _malformed() -> VerificationError:
    return VerificationError("not a statement about a receipt", code="receipt.status")
