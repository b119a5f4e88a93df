"""Signed notes: ours stay the same for ever, and one that we did not make verifies.

SOURCE: `vectors.json` is made by scripts/golden_ledger.py and verified here from Ed25519 and base64 alone.
The Neumann note is the example of Go's golang.org/x/mod/sumdb/note package documentation.
"""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.core.errors import VerificationError
from ledger.note import VerifierKey, open_note, open_text

FILE = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
TREE = Path(__file__).parents[1] / "merkle" / "vectors.json"
NEUMANN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSN"
    "XgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def by_hand(text):
    """The note over `text`, written from the C2SP text: key id, signature, one line."""
    name = FILE["verifier"].split("+")[0]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(FILE["seed"]))
    public = key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]
    encoded = base64.b64encode(key_id + key.sign(text.encode())).decode()
    assert FILE["verifier"].split("+")[1] == key_id.hex()
    assert base64.b64decode(FILE["verifier"].split("+", 2)[2]) == b"\x01" + public
    return f"{text}\n— {name} {encoded}\n"


def test_our_notes_are_what_the_specification_says():
    for note in [*FILE["checkpoints"], FILE["text"]]:
        assert by_hand(note.partition("\n\n")[0] + "\n") == note


def test_our_checkpoints_open_and_say_size_and_root():
    verifier = VerifierKey.parse(FILE["verifier"])
    tree = json.loads(TREE.read_text(encoding="utf-8"))
    opened = [open_note(note, verifier=verifier) for note in FILE["checkpoints"]]
    assert [one.size for one in opened] == list(range(9))
    assert [one.root.hex() for one in opened] == tree["roots"]


def test_our_signed_text_opens():
    verifier = VerifierKey.parse(FILE["verifier"])
    assert open_text(FILE["text"], verifier=verifier) == "fuqi/golden-text/v1\nsha256 00\n"


def test_a_key_and_a_note_made_by_somebody_else_verify():
    verifier = VerifierKey.parse(NEUMANN_KEY)
    assert verifier.text() == NEUMANN_KEY
    assert verifier.key_id.hex() == "c74f20a3"
    assert open_text(NEUMANN_NOTE, verifier=verifier).startswith("If you think cryptography")
    with pytest.raises(VerificationError) as caught:
        open_text(NEUMANN_NOTE.replace("answer", "Answer"), verifier=verifier)
    assert caught.value.error_code == "note.signature"
