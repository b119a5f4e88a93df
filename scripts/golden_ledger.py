"""Make the golden vectors of the log anew: `python scripts/golden_ledger.py [--write]`.

SOURCE: canonical, entry and note vectors are made here by ledger/ from fixed inputs and verified in
tests/golden by a second implementation (standard library, `cryptography`, Node). The Merkle vectors are
from the literature and are not made here. A receipt that once verified must verify for ever, so an
existing one is never overwritten.

Without `--write` it only says which files would change, and exits 1 if any would.
"""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import base64
import hashlib
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts import artifacts
from ledger import log
from ledger.core import merkle
from ledger.core.canonical import canonical_bytes, commitment, tagged_digest
from ledger.core.ids import derived_id
from ledger.entry_types import ENTRY_TYPES
from ledger.note import Checkpoint, NoteSigner
from ledger.receipts import RECEIPT_VERSION, ChainPin, LedgerTrust
from ledger.testing import FakeChain

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
ORIGIN = "log.example.invalid/fuqi"
SOURCE = "made by scripts/golden_ledger.py; every name and number in it is invented"

DOCUMENTS: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**53 - 1,
    -(2**53) + 1,
    "",
    "符契 fuqi",
    "\u0000\u0001\b\t\n\u000b\f\r\u001f \"'\\/\u007f\u0080\u2028\u2029\ufeff",
    "\U0001f3e5\U0002aae9e\u0301é",
    [],
    [[], {}, [None]],
    {},
    {"b": 1, "a": {"d": [3, 2, 1], "c": None}, "": 0},
    {"10": 1, "9": 2, "1": 3, "A": 4, "a": 5, "_": 6, "~": 7, " ": 8},
    {"quantity": 1_000_000_000_000, "unit": "只", "invented": True},
)


def canonical_vectors() -> dict[str, Any]:
    """Document, bytes, tagged digest and commitment."""
    salt = hashlib.sha256(b"salt of the canonical vectors").digest()
    return {
        "SOURCE": SOURCE,
        "tag": "fuqi/golden/v1",
        "salt": salt.hex(),
        "vectors": [
            {
                "document": document,
                "bytes": canonical_bytes(document).hex(),
                "tagged_sha256": tagged_digest("fuqi/golden/v1", document).hex(),
                "commitment": commitment(salt, document).hex(),
            }
            for document in DOCUMENTS
        ],
    }


def entry_vectors() -> dict[str, Any]:
    """One entry of each type; each stands alone, so that a new type leaves the others as they are."""
    subject = derived_id("agr", at=AT, seed="golden subject")
    vectors = []
    for name in sorted(ENTRY_TYPES):
        salt = hashlib.sha256(f"salt of {name}".encode()).digest()
        prev = hashlib.sha256(f"entry before {name}".encode()).hexdigest()
        entry = log.NewEntry(
            id=derived_id("ent", at=AT, seed=f"golden {name}"),
            type=name,
            at=AT,
            subject=subject,
            actor="system",
            body={"type": name, "party": "示例（虚构）", "quantity": 1000, "invented": True},
        )
        # The first entry of a subject has none before it.
        linked = None if name == "party.registered" else prev
        body = log._body_bytes(entry)  # noqa: SLF001
        row = log.journal_row(entry, body, order=1, salt=salt, prev=linked)
        vectors.append(
            {
                "type": name,
                "body": entry.body,
                "salt": salt.hex(),
                "prev": linked,
                "bytes": row["bytes"].decode(),
                "leaf": row["leaf"],
            }
        )
    return {"SOURCE": SOURCE, "vectors": vectors}


DISCLOSABLE = ("agreement.formed", "external.recorded", "party.registered")


def entry_v2_vectors() -> dict[str, Any]:
    """Entries of the second version, whose fields can be shown one by one."""
    vectors = []
    for name in DISCLOSABLE:
        salt = hashlib.sha256(f"salt of {name} v2".encode()).digest()
        entry = log.NewEntry(
            id=derived_id("ent", at=AT, seed=f"golden v2 {name}"),
            type=name,
            at=AT,
            subject=derived_id("agr", at=AT, seed="golden subject"),
            actor="system",
            body={"type": name, "party": "示例（虚构）", "quantity": 1000, "invented": True},
            disclosable=True,
        )
        body = log._body_bytes(entry)  # noqa: SLF001
        row = log.journal_row(entry, body, order=1, salt=salt, prev=None)
        vectors.append(
            {
                "type": name,
                "body": entry.body,
                "salt": salt.hex(),
                "prev": None,
                "bytes": row["bytes"].decode(),
                "leaf": row["leaf"],
            }
        )
    return {"SOURCE": SOURCE, "vectors": vectors}


def _signer(folder: Path) -> NoteSigner:
    path = folder / "log.key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return NoteSigner(path, name=ORIGIN)


def note_vectors(folder: Path) -> dict[str, Any]:
    """A checkpoint and a text, signed with a key that everybody knows."""
    signer = _signer(folder)
    tree = json.loads((GOLDEN / "merkle" / "vectors.json").read_text(encoding="utf-8"))
    notes = [
        signer.sign(Checkpoint(ORIGIN, size, merkle.digest32(bytes.fromhex(root))))
        for size, root in enumerate(tree["roots"])
    ]
    return {
        "SOURCE": SOURCE + "; the key is the bytes 00..1f and protects nothing",
        "seed": bytes(range(32)).hex(),
        "verifier": signer.verifier.text(),
        "checkpoints": notes,
        "text": signer.sign_text("fuqi/golden-text/v1\nsha256 00\n"),
    }


def receipt_vectors(folder: Path) -> dict[str, Any]:
    """A final receipt of the third entry with the trust under which it passes."""
    signer = _signer(folder)
    entries = entry_vectors()["vectors"]
    leaves = [merkle.digest32(bytes.fromhex(one["leaf"])) for one in entries]
    size, index = len(leaves), 2
    node = merkle.reader_over(leaves)
    root = merkle.root(size, node)
    chain = FakeChain()
    deployment = chain.deploy()
    signed = chain.sign_append(
        size=size, root=root, proof=[], nonce=chain.nonce(), fees=chain.fees()
    )
    chain.send(signed.raw)
    seen = chain.find_append(size=size, root=root)
    assert seen is not None
    info = chain.info()
    receipt = {
        "v": RECEIPT_VERSION,
        "state": "final",
        "entry": {
            "id": json.loads(entries[index]["bytes"])["id"],
            "bytes": base64.b64encode(entries[index]["bytes"].encode()).decode(),
            "leaf": entries[index]["leaf"],
        },
        "private": {"body": entries[index]["body"], "salt": entries[index]["salt"]},
        "log": {
            "verifier": signer.verifier.text(),
            "index": index,
            "size": size,
            "root": root.hex(),
            "path": [step.hex() for step in merkle.inclusion_path(index, size=size, node=node)],
            "note": signer.sign(Checkpoint(ORIGIN, size, root)),
        },
        "anchor": {
            "size": size,
            "root": root.hex(),
            "chain_id": info.chain_id,
            "contract": deployment.address,
            "tx_hash": seen.tx_hash,
            "block_number": seen.block_number,
            "block_hash": seen.block_hash,
            "block_time": seen.block_time,
            "gas_used": seen.gas_used,
            "state": "final",
            "evidence": chain.evidence(seen.block_number),
        },
    }
    pin = ChainPin(
        chain_id=info.chain_id,
        contract=deployment.address,
        code_hash="0x" + artifacts.load("EvidenceLog").code_hash.hex(),
        kind=info.kind,
        label_en=info.label_en,
        label_zh=info.label_zh,
    )
    trust = LedgerTrust(verifier=signer.verifier, chains=(pin,))
    return {"SOURCE": SOURCE, "receipt": receipt, "trust": trust.as_json()}


def text_of(value: dict[str, Any]) -> str:
    """How a vector file is written."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def files(folder: Path) -> dict[Path, str]:
    """Every file that this script keeps, with its contents; `folder` is for temporary keys."""
    made = {
        GOLDEN / "canonical" / "vectors.json": text_of(canonical_vectors()),
        GOLDEN / "entry" / "vectors.json": text_of(entry_vectors()),
        GOLDEN / "entry" / "vectors_v2.json": text_of(entry_v2_vectors()),
        GOLDEN / "note" / "vectors.json": text_of(note_vectors(folder)),
    }
    receipt = GOLDEN / "receipt" / "final_v1.json"
    if not receipt.exists():
        made[receipt] = text_of(receipt_vectors(folder))
    return made


def main(arguments: list[str]) -> int:
    """Compare, and with `--write` bring up to date."""

    with tempfile.TemporaryDirectory() as folder:
        made = files(Path(folder))
    stale = [
        path
        for path, text in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if "--write" in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return 1 if stale and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
