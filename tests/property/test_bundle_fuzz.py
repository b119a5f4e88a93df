"""Whatever stands in a bundle's JSON, the verifier answers; and a changed bundle never passes."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arbitration.checks.all import verify_bundle
from arbitration.container import pack, unpack
from arbitration.testing import formed_case, resealed
from ledger.core.canonical import canonical_bytes
from ledger.core.errors import FuqiError, VerificationError
from ledger.core.report import Verdict

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.sampled_from(["", "x", "00" * 32, "pty_other", "2023-11-14T21:15:35Z", "document.read"]),
    st.lists(st.none() | st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["id", "v", "body"]), st.none(), max_size=2),
)


@cache
def _made() -> tuple[Any, dict[str, bytes], Any]:
    case = formed_case(Path(mkdtemp()))
    contents = case.finish()
    return case, unpack(case.write(contents)), contents


def _leaves(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += _leaves(item, (*at, key))
    return found


def _replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[at[0]] = _replaced(value[at[0]], at[1:], new)
    return changed


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_replaced_value_is_answered_and_never_passes(data):
    case, files, contents = _made()
    path = data.draw(st.sampled_from(sorted(name for name in files if name.endswith(".json"))))
    value = json.loads(files[path])
    places = _leaves(value)
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    new = data.draw(VALUES)
    changed = canonical_bytes(_replaced(value, place, new))
    if changed == files[path]:
        return
    tampered = {**files, path: changed}
    at = contents.made_at + timedelta(days=1)
    report = verify_bundle(pack(tampered), trust=case.trust(), at=at)
    assert report.verdict is Verdict.FAILED, (path, place, new)
    try:
        again = resealed(
            tampered,
            seal=case.log_key.sign_text,
            stamp=lambda digest: case.pki.tsa.stamp(digest, at=contents.made_at),
        )
    except (FuqiError, KeyError, TypeError, AttributeError, AssertionError, IndexError, ValueError):
        return
    # The platform itself rewrote it: most changes fail, none makes the verifier raise.
    verify_bundle(again, trust=case.trust(), at=at)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}(/[a-z0-9]{1,8})?", fullmatch=True),
        st.binary(max_size=80),
        min_size=1,
        max_size=6,
    )
)
def test_any_files_survive_the_container(files):
    assert unpack(pack(files)) == dict(sorted(files.items()))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.integers(0, 2**32), st.binary(max_size=4))
def test_arbitrary_bytes_never_open_and_never_raise_anything_else(noise, position, patch):
    good = pack({"a.txt": b"abc", "b/c.txt": b""})
    place = position % (len(good) + 1)
    for data in (noise, good[:place] + patch + good[place:], good[:place] + noise):
        try:
            opened = unpack(data)
        except VerificationError:
            continue
        assert pack(opened) == data
