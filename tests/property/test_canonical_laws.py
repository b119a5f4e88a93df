"""Laws of the encoder, and agreement with ECMAScript where Node is installed."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.canonical import INTEGER_MAX, canonical_bytes, canonical_parse
from ledger.core.errors import InputError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | TEXT
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)

# ECMAScript side: JSON.stringify for every scalar and key, keys sorted by us. Plain JSON.stringify of an object
# would put integer-like keys ("9", "10") in numeric order first.
NODE_PROGRAM = """
const write = v => Array.isArray(v) ? '[' + v.map(write).join(',') + ']'
  : v !== null && typeof v === 'object'
  ? '{' + Object.keys(v).sort().map(k => JSON.stringify(k) + ':' + write(v[k])).join(',') + '}'
  : JSON.stringify(v);
const documents = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(documents.map(write)));
"""


@given(DOCUMENTS)
def test_what_is_written_reads_back_and_is_the_only_form(document):
    data = canonical_bytes(document)
    assert canonical_parse(data) == document
    assert canonical_bytes(json.loads(data)) == data
    spaced = json.dumps(document, ensure_ascii=False).encode()
    if spaced != data:
        with pytest.raises(InputError):
            canonical_parse(spaced)


@given(st.dictionaries(KEYS, SCALARS, max_size=6), st.randoms())
def test_the_order_in_which_keys_were_put_in_does_not_show(document, random):
    items = list(document.items())
    random.shuffle(items)
    assert canonical_bytes(dict(items)) == canonical_bytes(document)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_with_a_code_or_are_canonical(data):
    try:
        value = canonical_parse(data)
    except InputError as exc:
        code = exc.error_code
    else:
        code = "canonical.ok" if canonical_bytes(value) == data else "repaired"
    assert code.startswith("canonical.")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_ecmascript_writes_the_same_bytes():
    documents = []

    @given(DOCUMENTS)
    def collect(document):
        documents.append(document)

    collect()
    assert len(documents) > 10
    done = subprocess.run(
        ["node", "-e", NODE_PROGRAM],
        input=json.dumps(documents).encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert [canonical_bytes(one).decode() for one in documents] == json.loads(done.stdout)
