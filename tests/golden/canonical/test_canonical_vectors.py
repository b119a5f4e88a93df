"""Canonical bytes stay the same for ever, and Node writes the same ones.

SOURCE: made by scripts/golden_ledger.py; verified here by hashlib, hmac and (where installed) ECMAScript.
"""

import hashlib
import hmac
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.core.canonical import canonical_bytes, canonical_parse, commitment, tagged_digest

FILE = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
VECTORS = FILE["vectors"]
NODE_PROGRAM = """
const write = v => Array.isArray(v) ? '[' + v.map(write).join(',') + ']'
  : v !== null && typeof v === 'object'
  ? '{' + Object.keys(v).sort().map(k => JSON.stringify(k) + ':' + write(v[k])).join(',') + '}'
  : JSON.stringify(v);
const file = JSON.parse(require('fs').readFileSync(process.argv[1], 'utf8'));
for (const vector of file.vectors) console.log(Buffer.from(write(vector.document)).toString('hex'));
"""


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_the_bytes_of_a_document_stay_the_same(vector):
    data = bytes.fromhex(vector["bytes"])
    assert canonical_bytes(vector["document"]) == data
    assert canonical_parse(data) == vector["document"]


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_digest_and_commitment_are_those_of_the_standard_library(vector):
    data, salt = bytes.fromhex(vector["bytes"]), bytes.fromhex(FILE["salt"])
    tagged = hashlib.sha256(FILE["tag"].encode() + b"\x00" + data).hexdigest()
    promised = hmac.new(salt, data, hashlib.sha256).hexdigest()
    assert (vector["tagged_sha256"], vector["commitment"]) == (tagged, promised)
    assert tagged_digest(FILE["tag"], vector["document"]).hex() == tagged
    assert commitment(salt, vector["document"]).hex() == promised


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_ecmascript_writes_the_same_vectors():
    done = subprocess.run(
        ["node", "-e", NODE_PROGRAM, str(Path(__file__).parent / "vectors.json")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == [vector["bytes"] for vector in VECTORS]
