"""The verifier of receipts runs on the standard library and `cryptography` alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "golden" / "receipt" / "vectors"

PROGRAM = """
import importlib.abc, json, sys
# `cryptography` does not load without its own binding, _cffi_backend.
ALLOWED = set(sys.stdlib_module_names) | {"cryptography", "_cffi_backend", "ledger", "contracts"}
EXTRA = set(sys.argv[2].split(","))

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED | EXTRA:
            raise ImportError(f"blocked: {name}")
        return None

sys.meta_path.insert(0, Blocker())
from pathlib import Path
from ledger import keccak
from ledger.core.units import parse_utc
from ledger.ledger_trust import read_ledger_trust
from ledger.receipt_checking import verify_receipt_text
from ledger.tlog_proof import tlog_proof_of

found = {}
for name in sys.argv[3:]:
    vector = json.loads((Path(sys.argv[1]) / f"{name}.json").read_text("utf-8"))
    trust = read_ledger_trust(json.dumps(vector["trust"]).encode())
    at = parse_utc(vector["at"]) if "at" in vector else None
    report = verify_receipt_text(json.dumps(vector["receipt"]).encode(), trust=trust, at=at)
    found[name] = report.verdict.value
    tlog_proof_of(vector["receipt"])
foreign = sorted({name.split(".")[0] for name in sys.modules} - ALLOWED - {"__main__"})
print(json.dumps([found, keccak.IS_FAST, [n for n in foreign if not n.startswith("_")]]))
"""
NAMES = (
    "valid-final", "disclosure-two-of-four", "witnesses-two-of-three", "status-good", "view-split",
    "evidence-header",
)  # fmt: skip


def run(repository, *, extra="", names=NAMES):
    # -I: no environment, no site of the user; what is installed is there, and blocked.
    code = f"import sys; sys.path.insert(0, {str(repository)!r})\n" + PROGRAM
    return subprocess.run(
        [sys.executable, "-I", "-c", code, str(VECTORS), extra, *names],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=repository,
    )


def test_a_whole_receipt_verifies_with_nothing_else_installed(repository):
    done = run(repository)
    assert done.returncode == 0, done.stderr
    found, fast, foreign = json.loads(done.stdout)
    assert found == dict.fromkeys(NAMES[:4], "passed") | dict.fromkeys(NAMES[4:], "failed")
    assert fast is False  # pycryptodome was blocked, Keccak ran in Python
    assert foreign == []


def test_where_pycryptodome_is_there_it_is_used_and_finds_the_same(repository):
    done = run(repository, extra="Crypto,cffi,pycparser")
    assert done.returncode == 0, done.stderr
    found, fast, _ = json.loads(done.stdout)
    assert fast is True
    assert found["valid-final"] == "passed"
    assert found["evidence-header"] == "failed"


@pytest.mark.parametrize("module", ["ledger.receipts", "ledger.log", "arbitration.policy"])
def test_the_blocker_would_notice(repository, module):
    code = PROGRAM.replace(
        "from ledger import keccak", f"import {module}\nfrom ledger import keccak"
    )
    code = f"import sys; sys.path.insert(0, {str(repository)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(VECTORS), "arbitration,signing"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=repository,
    )
    assert done.returncode != 0
    assert "blocked: " in done.stderr
