"""A receipt that once verified verifies for ever, and others can verify it without our code.

SOURCE: `final_v1.json` was made once by scripts/golden_ledger.py and is never made again. Checked here a second
time with hashlib, hmac, Ed25519, rlp and py-evm's trie only.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import rlp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from ledger.core.report import Verdict
from ledger.receipts import LedgerTrust, verify_receipt

FILE = json.loads((Path(__file__).parent / "final_v1.json").read_text(encoding="utf-8"))
RECEIPT = FILE["receipt"]


def unhex(text):
    return bytes.fromhex(text.removeprefix("0x"))


def test_the_kept_receipt_passes_under_its_trust():
    report = verify_receipt(RECEIPT, trust=LedgerTrust.from_json(FILE["trust"]))
    assert report.verdict is Verdict.PASSED, report.as_json()
    assert [check.code for check in report.checks] == [
        "receipt.entry",
        "receipt.commitment",
        "receipt.inclusion",
        "receipt.checkpoint",
        "receipt.anchor",
        "receipt.chain",
        "receipt.finality",
    ]


def test_the_kept_receipt_carries_the_honest_labels_of_its_chain():
    evidence = RECEIPT["anchor"]["evidence"]
    report = verify_receipt(RECEIPT, trust=LedgerTrust.from_json(FILE["trust"]))
    assert report.labels == (evidence["label_zh"], evidence["label_en"])


def test_the_kept_receipt_verifies_without_our_code():
    entry, log, anchor = RECEIPT["entry"], RECEIPT["log"], RECEIPT["anchor"]
    data = base64.b64decode(entry["bytes"])
    body = json.dumps(
        RECEIPT["private"]["body"], ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    promised = hmac.new(unhex(RECEIPT["private"]["salt"]), body.encode(), hashlib.sha256)
    assert json.loads(data)["commitments"]["body"] == promised.hexdigest()

    running = hashlib.sha256(b"\x00" + data).digest()
    assert running.hex() == entry["leaf"]
    # RFC 9162 2.1.3.2 by its other description: walk up the levels of a tree of `size` leaves.
    index, last, steps = log["index"], log["size"] - 1, [unhex(step) for step in log["path"]]
    while last:
        if index & 1:
            running = hashlib.sha256(b"\x01" + steps.pop(0) + running).digest()
        elif index < last:
            running = hashlib.sha256(b"\x01" + running + steps.pop(0)).digest()
        index, last = index >> 1, last >> 1
    assert (running.hex(), steps) == (log["root"], [])

    text, _, signature_line = log["note"].partition("\n\n")
    assert text.split("\n")[1:] == [
        str(log["size"]),
        base64.b64encode(unhex(log["root"])).decode(),
    ]
    public = base64.b64decode(log["verifier"].split("+", 2)[2])[1:]
    signature = base64.b64decode(signature_line.split(" ")[2])[4:]
    Ed25519PublicKey.from_public_bytes(public).verify(signature, text.encode() + b"\n")

    evidence = anchor["evidence"]
    header = rlp.decode(unhex(evidence["header_rlp"]))
    assert keccak(unhex(evidence["header_rlp"])) == unhex(anchor["block_hash"])
    assert int.from_bytes(header[8], "big") == anchor["block_number"]
    assert int.from_bytes(header[11], "big") == anchor["block_time"]
    account = rlp.decode(
        value_in(header[3], unhex(evidence["contract"]), evidence["account_proof"])
    )
    assert account[3] == unhex(evidence["code_hash"])
    words = {
        name: rlp.decode(value_in(account[2], unhex(proof["key"]), proof["proof"]))
        for name, proof in evidence["storage_proofs"].items()
    }
    assert words["root"].rjust(32, b"\x00") == unhex(log["root"])
    assert int.from_bytes(words["head"], "big") & (2**64 - 1) == log["size"]


def value_in(root, key, proof):
    nodes = [rlp.decode(unhex(node)) for node in proof]
    return HexaryTrie.get_from_proof(root, keccak(key), nodes)
