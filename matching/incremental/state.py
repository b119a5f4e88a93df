"""A living round as bytes: the problem, and of each class its tree. Read back, it is proven again at once.

A crash between two events loses nothing: the bytes of the last stored state and the events since give the same
plan to the byte. Format `fuqi/live-round/v1`: the SHA-256 of what follows, then a zip of arrays (numpy, without
pickled objects) and a JSON head. The bytes are the service's own: the digest finds damage, not malice.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.core.canonical import Json, canonical_bytes, canonical_parse
from ledger.core.errors import FuqiError, InputError
from matching.incremental.live_round import LiveRound
from matching.problem import problem_from_json

LIVE_TAG: Final = "fuqi/live-round/v1"
BYTES_MAX: Final = 1 << 30
"""A round of twenty thousand needs takes some tens of megabytes."""


def pack_round(live: LiveRound) -> bytes:
    """Everything that is needed to go on."""
    problem, hospitals, classes = live.saved()
    head: dict[str, Json] = {
        "v": LIVE_TAG,
        "problem": problem.as_json(),
        "hospitals": list(hospitals),
    }
    arrays: dict[str, NDArray[Any]] = {"head": np.frombuffer(canonical_bytes(head), dtype=np.uint8)}
    for number, fields in classes.items():
        for name, values in fields.items():
            arrays[f"{number}/{name}"] = values
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    return hashlib.sha256(packed.getvalue()).digest() + packed.getvalue()


def unpack_round(packed: bytes) -> LiveRound:
    """The round, after flow and prices have proven each other again over the arcs of every class.

    Raises:
        InputError: `matching.state_malformed`.
    """
    digest, packed = packed[:32], packed[32:]
    if len(packed) > BYTES_MAX or hashlib.sha256(packed).digest() != digest:
        raise InputError("this is not a stored living round", code="matching.state_malformed")
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        head = canonical_parse(arrays.pop("head").tobytes())
        if not isinstance(head, dict) or head["v"] != LIVE_TAG:
            raise ValueError("another format")
        classes: dict[int, dict[str, NDArray[Any]]] = {}
        for name, values in arrays.items():
            number, _, field = name.partition("/")
            classes.setdefault(int(number), {})[field] = values
        names: Any = head["hospitals"]
        problem: Any = head["problem"]
        live = LiveRound(problem_from_json(problem), hospitals=names, saved=classes)
        for one in live.classes().values():
            one.require_optimal()
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AssertionError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        FuqiError,
    ) as exc:
        raise InputError(
            "this is not a stored living round, or its flow and prices do not prove each other",
            code="matching.state_malformed",
        ) from exc
    return live
