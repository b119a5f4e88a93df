"""Prove from bytes alone what EvidenceLog held in a block: no node, no web3, no network.

Chain of reasoning: Keccak-256 of the header is the block hash; the header's state root proves the contract's
account (and so its code hash and storage root); the storage root proves the two slots that hold the head.

What it does not prove: that the block belongs to the chain with that id, and that it is final. Whoever relies
on it compares the block hash with a node of his own choice; for the embedded chain nobody else has one.

Sources: Ethereum yellow paper, appendices B (RLP) and D (Merkle Patricia tree); EIP-1186.
Vectors: tests/golden/chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.head import HEAD_PATH, HEAD_SLOT, ROOT_PATH, ROOT_SLOT, unpack_head
from ledger.chain import EVIDENCE_VERSION
from ledger.core.errors import VerificationError
from ledger.core.units import UnixSeconds
from ledger.keccak import keccak
from ledger.strict_rlp import Rlp, rlp_decode

PROOF_NODES_MAX: Final = 65
"""A path has 64 nibbles: no honest proof is longer."""
NODE_BYTES_MAX: Final = 1024
"""A full branch node has 532 bytes; a leaf holds one account or one word."""
HEADER_BYTES_MAX: Final = 8192
"""Headers have about 640 bytes; QBFT extra data with a hundred validators stays below this."""

_STATE_ROOT: Final = 3
_NUMBER: Final = 8
_TIMESTAMP: Final = 11
_HEADER_FIELDS_MIN: Final = 15


@dataclass(frozen=True, slots=True)
class ProvenHead:
    """What the evidence proves, given its block hash.

    Attributes:
        size, root, index, time: the head, see `ledger.chain.LogHead`.
        block_time: the block's own time, seconds since 1970; `time` is never later.
        contract, code_hash: proven to hold that head and to run that code in that block.
        chain_id: as stated by the evidence; a header does not carry it.
    """

    size: int
    root: bytes
    index: int
    time: UnixSeconds
    block_number: int
    block_hash: str
    block_time: UnixSeconds
    contract: str
    code_hash: str
    chain_id: int


def verify_chain_evidence(
    evidence: Mapping[str, Any], *, size: int, root: bytes, code_hash: str | None = None
) -> ProvenHead:
    """Prove that the contract's head in the evidence's block is exactly (size, root).

    Args:
        evidence: `fuqi/chain-evidence/v1`; untrusted.
        code_hash: Keccak-256 of the only runtime code to accept, `0x` hex; None leaves that to the caller,
            who finds it in the result.

    Raises:
        VerificationError: `chain_proof.shape`, `chain_proof.header_hash`, `chain_proof.header`,
            `chain_proof.account`, `chain_proof.code_hash`, `chain_proof.storage`, `chain_proof.head_mismatch`.
    """
    if evidence.get("v") != EVIDENCE_VERSION:
        raise _fault("shape", "this is not fuqi/chain-evidence/v1")
    contract = _hex(evidence, "contract", length=20)
    state_root, number, block_time = _header(evidence)
    account = _account(_nodes(evidence, "account_proof"), state_root, contract)
    storage_root, proven_code_hash = account
    stated_code = _hex(evidence, "code_hash", length=32)
    if proven_code_hash != stated_code or code_hash not in (None, "0x" + proven_code_hash.hex()):
        raise _fault("code_hash", "the account runs other code than stated")
    words = _words(evidence, storage_root)
    head = unpack_head(*words)
    if head.size != size or head.root != root:
        raise _fault("head_mismatch", "the contract held another checkpoint in that block")
    if head.time > block_time:
        raise _fault("header", "the head is younger than its block")
    return ProvenHead(
        size=head.size,
        root=head.root,
        index=head.index,
        time=UnixSeconds(head.time),
        block_number=number,
        block_hash="0x" + _hex(evidence, "block_hash", length=32).hex(),
        block_time=UnixSeconds(block_time),
        contract="0x" + contract.hex(),
        code_hash="0x" + proven_code_hash.hex(),
        chain_id=_integer(evidence, "chain_id"),
    )


def trie_value(
    nodes: Sequence[bytes], *, root: bytes, key: bytes, known: dict[bytes, bytes] | None = None
) -> bytes | None:
    """Value of `key` in the Merkle Patricia tree `root`, from proof nodes; None when proven absent.

    Args:
        nodes: RLP nodes in any order; each is found by its hash, so that a foreign one changes nothing.
        key: already hashed.
        known: node -> its hash, filled here; proofs of one trie share their upper nodes, and hashing is
            what takes the time.

    Raises:
        VerificationError: `chain_proof.shape`, `chain_proof.path` when a needed node is not there.
    """
    hashes = {} if known is None else known
    for node in nodes:
        if node not in hashes:
            hashes[node] = keccak(node)
    by_hash = {hashes[node]: node for node in nodes}
    path = _nibbles(key)
    item = _trie_node(by_hash, root)
    while True:
        if item == b"":
            return None
        if not isinstance(item, list) or len(item) not in (2, 17):
            raise _fault("shape", "not a trie node")
        if len(item) == 17:
            if not path:
                return _leaf(item[16]) or None
            item, path = _child(by_hash, item[path[0]]), path[1:]
            continue
        prefix, is_leaf = _compact(item[0])
        if path[: len(prefix)] != prefix:
            return None
        path = path[len(prefix) :]
        if is_leaf:
            return None if path else _leaf(item[1])
        item = _child(by_hash, item[1])


def _header(evidence: Mapping[str, Any]) -> tuple[bytes, int, int]:
    """(state root, number, time) of a header whose hash is the stated block hash."""
    raw = _hex(evidence, "header_rlp", maximum=HEADER_BYTES_MAX)
    if keccak(raw) != _hex(evidence, "block_hash", length=32):
        raise _fault("header_hash", "the header does not hash to the block hash")
    fields = rlp_decode(raw)
    if not isinstance(fields, list) or len(fields) < _HEADER_FIELDS_MIN:
        raise _fault("header", "not a block header")
    state_root, number, time = fields[_STATE_ROOT], fields[_NUMBER], fields[_TIMESTAMP]
    if not isinstance(state_root, bytes) or len(state_root) != 32:
        raise _fault("header", "not a block header")
    block_number = _rlp_integer(number)
    if block_number != _integer(evidence, "block_number"):
        raise _fault("header", "the header is of another block number")
    return state_root, block_number, _rlp_integer(time)


def _account(nodes: list[bytes], state_root: bytes, contract: bytes) -> tuple[bytes, bytes]:
    """(storage root, code hash) of the contract's account."""
    value = trie_value(nodes, root=state_root, key=keccak(contract))
    fields = rlp_decode(value) if value is not None else b""
    if not isinstance(fields, list) or len(fields) != 4:
        raise _fault("account", "the state holds no such account")
    storage_root, code_hash = fields[2], fields[3]
    if not isinstance(storage_root, bytes) or not isinstance(code_hash, bytes):
        raise _fault("account", "not an account record")
    if len(storage_root) != 32 or len(code_hash) != 32:
        raise _fault("account", "not an account record")
    return storage_root, code_hash


def _words(evidence: Mapping[str, Any], storage_root: bytes) -> tuple[bytes, bytes]:
    """The two storage words of the head, each proven and equal to the one stated."""
    proofs = evidence.get("storage_proofs")
    if not isinstance(proofs, Mapping):
        raise _fault("shape", "storage proofs are missing")
    words: list[bytes] = []
    known: dict[bytes, bytes] = {}
    for name, slot, path in (("root", ROOT_SLOT, ROOT_PATH), ("head", HEAD_SLOT, HEAD_PATH)):
        entry = proofs.get(name)
        if not isinstance(entry, Mapping):
            raise _fault("shape", "a storage proof is missing")
        key = slot.to_bytes(32, "big")
        if _hex(entry, "key", length=32) != key:
            raise _fault("storage", "the proof is of another slot")
        value = trie_value(_nodes(entry, "proof"), root=storage_root, key=path, known=known)
        word = rlp_decode(value) if value is not None else b""
        if not isinstance(word, bytes) or not 0 < len(word) <= 32:
            raise _fault("storage", "the slot is empty: there is no head")
        padded = word.rjust(32, b"\x00")
        if padded != _hex(entry, "value", length=32):
            raise _fault("storage", "the slot holds another value than stated")
        words.append(padded)
    return words[0], words[1]


def _trie_node(by_hash: Mapping[bytes, bytes], reference: bytes) -> Rlp:
    node = by_hash.get(reference)
    if node is None:
        raise _fault("path", "the proof lacks a node on the path")
    return rlp_decode(node)


def _child(by_hash: Mapping[bytes, bytes], reference: Rlp) -> Rlp:
    """A child is empty, a 32-byte hash, or (shorter than 32 bytes) the node itself."""
    if isinstance(reference, list) or reference == b"":
        return reference
    if len(reference) != 32:
        raise _fault("shape", "not a reference to a node")
    return _trie_node(by_hash, reference)


def _leaf(value: Rlp) -> bytes:
    if not isinstance(value, bytes):
        raise _fault("shape", "a trie value is not bytes")
    return value


def _compact(item: Rlp) -> tuple[list[int], bool]:
    """Hex-prefix encoding: (nibbles, is leaf). Yellow paper, appendix C."""
    if not isinstance(item, bytes) or not item:
        raise _fault("shape", "not a path in a trie node")
    flag, nibbles = item[0] >> 4, _nibbles(item)
    if flag > 3 or (flag & 1 == 0 and nibbles[1] != 0):
        raise _fault("shape", "not a path in a trie node")
    rest = nibbles[1:] if flag & 1 else nibbles[2:]
    if not rest and flag < 2:
        # An extension that consumes nothing could lead in a circle of nested nodes.
        raise _fault("shape", "an extension without a path")
    return rest, flag >= 2


def _nibbles(data: bytes) -> list[int]:
    return [half for byte in data for half in (byte >> 4, byte & 15)]


def _rlp_integer(item: Rlp) -> int:
    if not isinstance(item, bytes) or len(item) > 8 or item[:1] == b"\x00":
        raise _fault("header", "a header number is malformed")
    return int.from_bytes(item, "big")


def _nodes(source: Mapping[str, Any], name: str) -> list[bytes]:
    values = source.get(name)
    if not isinstance(values, list | tuple) or len(values) > PROOF_NODES_MAX:
        raise _fault("shape", f"{name} is not a list of at most {PROOF_NODES_MAX} nodes")
    return [_hex({name: value}, name, maximum=NODE_BYTES_MAX) for value in values]


def _hex(
    source: Mapping[str, Any], name: str, *, length: int | None = None, maximum: int = 32
) -> bytes:
    value = source.get(name)
    limit = 2 + 2 * (length or maximum)
    if isinstance(value, str) and value.startswith("0x") and len(value) <= limit:
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            data = b""
        # bytes.fromhex skips white space and takes capitals: two spellings are one too many.
        if value == "0x" + data.hex() and length in (None, len(data)):
            return data
    raise _fault("shape", f"{name} is not hex text of the right length")


def _integer(source: Mapping[str, Any], name: str) -> int:
    value = source.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise _fault("shape", f"{name} is not a whole number")
    return value


def _fault(reason: str, message: str) -> VerificationError:
    return VerificationError(message, code=f"chain_proof.{reason}")
