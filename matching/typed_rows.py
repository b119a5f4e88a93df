"""Rows read from outside: each field of exactly the type its dataclass declares, nothing coerced.

A problem comes from a file that anybody may have made. A list where a name should be, or `true` for 1, would
otherwise be found out only deep inside a solver or a checker, which then could not say what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_Row = TypeVar("_Row")


def typed(row: _Row) -> _Row:
    """The row itself.

    Args:
        row: a dataclass of words, numbers, truth values, None, other dataclasses and tuples of words.

    Raises:
        TypeError: a field has another type than declared; `True` is no number here.
    """
    kind: Any = type(row)
    for name, allowed in _allowed(kind).items():
        value = getattr(row, name)
        if type(value) not in allowed or (
            isinstance(value, tuple) and not all(type(one) is str for one in value)
        ):
            raise TypeError(f"{name} is of another type")
    return row


@lru_cache(maxsize=16)
def _allowed(kind: type[Any]) -> Mapping[str, tuple[type[Any], ...]]:
    """Field -> the types it may have."""
    found: dict[str, tuple[type[Any], ...]] = {}
    for name, hint in get_type_hints(kind).items():
        some = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        found[name] = tuple(get_origin(one) or one for one in some)
    return found
