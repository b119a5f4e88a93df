"""Who sits in the contract `Rulings`, without which `SupplyLots` cannot be made.

An installation names its arbitrators' addresses in a file. The embedded chain belongs to one operator and
proves nothing to a stranger, so there a key of the installation takes the seat until somebody names other ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from api.settings import Settings
from contracts import acts_abi
from ledger.acts_calls import Bench
from ledger.chain_key import OperatorKey
from ledger.core.errors import InputError

FILE_BYTES_MAX: Final = 64 * 1024
"""Two hundred and fifty-six seats of each kind take a third of it."""
SEATS_MAX: Final = 256
DELAY_SECONDS: Final = 86_400
"""On the embedded chain: a day between a change of seats and its effect."""


def open_bench(settings: Settings, *, keys: Path) -> Bench | None:
    """The bench, or None where nobody has named one: acts that need it wait for a setting.

    Raises:
        InputError: `settings.bench`: the file is no list of seats.
    """
    if settings.rulings_bench_file is not None:
        return read_bench(settings.rulings_bench_file)
    if settings.chain_url is not None:
        return None
    seat = acts_abi.k1_key_hash(OperatorKey.load_or_create(keys / "bench.key").address)
    return Bench((seat,), 1, (seat,), 1, DELAY_SECONDS)


def read_bench(path: Path) -> Bench:
    """Read `{"arbitrators": ["0x…"], "threshold", "officers": ["0x…"], "officer_threshold", "delay_seconds"}`.

    Raises:
        InputError: `settings.bench`.
    """
    try:
        data = path.read_bytes()
        if len(data) > FILE_BYTES_MAX:
            raise ValueError("size")
        value = json.loads(data)
        bench = Bench(
            arbitrators=_seats(value["arbitrators"]),
            threshold=int(value["threshold"]),
            officers=_seats(value["officers"]),
            officer_threshold=int(value["officer_threshold"]),
            delay_seconds=int(value["delay_seconds"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as exc:
        raise InputError(
            "the file of arbitrators' seats cannot be read: it names arbitrators, threshold, officers, "
            "officer_threshold and delay_seconds",
            code="settings.bench",
        ) from exc
    good = (
        1 <= bench.threshold <= len(bench.arbitrators) <= SEATS_MAX
        and 1 <= bench.officer_threshold <= len(bench.officers) <= SEATS_MAX
        and bench.delay_seconds >= 0
    )
    if not good:
        raise InputError("a threshold is above its seats or below one", code="settings.bench")
    return bench


def _seats(addresses: object) -> tuple[bytes, ...]:
    if not isinstance(addresses, list):
        raise ValueError("a list")  # noqa: TRY004 - one kind of fault, translated above
    seats = []
    for text in addresses:
        address = bytes.fromhex(str(text).removeprefix("0x"))
        if len(address) != 20:
            raise ValueError("20 bytes")
        seats.append(acts_abi.k1_key_hash(address))
    return tuple(seats)
