"""Compiles the inner loops with numba where it is installed; without it the portfolio uses OR-Tools alone.

Compiled code is cached beside the source (`matching/engine/__pycache__`), or, where that cannot be written,
in numba's own folder of the user; `NUMBA_CACHE_DIR` moves it. The first call of a fresh installation
compiles for some seconds; `warm_up` in `portfolio.py` does that ahead of time.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])

HAS_NUMBA: Final = find_spec("numba") is not None
# numba carries no types; taken by name so that its absence is a fact and not an ImportError.
_numba: Final[Any] = import_module("numba") if HAS_NUMBA else None
VERSION: Final[str] = str(_numba.__version__) if HAS_NUMBA else "none"


def compiled(function: _Function) -> _Function:
    """The function as machine code, or itself where numba is missing: same result, far slower."""
    if not HAS_NUMBA:
        return function
    return cast("_Function", _numba.njit(cache=True, nogil=True)(function))


def lean(function: _Function) -> _Function:
    """`compiled`, for a function that allocates nothing and is called in inner loops.

    Without `_nrt=False` numba counts references to every array that a call hands over, in atomic operations:
    four hundred nanoseconds for a `Market`, where judging a pair takes ten. A function that does allocate is
    refused by the compiler.
    """
    if not HAS_NUMBA:
        return function
    return cast("_Function", _numba.njit(cache=True, nogil=True, _nrt=False)(function))
