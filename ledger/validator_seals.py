"""Which validators sealed a block, from bytes alone: QBFT and IBFT 2.0 (Besu, GoQuorum), Clique (geth, Besu).

The member `seals` of `fuqi/chain-evidence/v1`:

    rule        qbft | ibft2 | clique
    round       qbft and ibft2: the round in which they agreed; like the seals, the block hash leaves it out
    seals       qbft and ibft2: commit seals, r and s, 64 bytes each
    headers     clique: the blocks that follow, RLP, oldest first; each was sealed by one validator
    signers     public keys, 64 bytes each: of each seal in its order; for clique of the block and of each of
                `headers`. They spare the reader the recovery and are believed only where the seal verifies.

What it proves: so many of the validators that the reader has pinned have signed this block (qbft, ibft2), or it
or a block on top of it (clique). Under QBFT two thirds of them can never sign another block of that height.
Clique makes no such promise: more than half of the validators have built on the block, and an honest one leaves
that branch only for a longer one. That is why the rule is always named beside the word final.

Standard library and `cryptography` only. Sources: EIP-225 (Clique); the QBFT specification of the Enterprise
Ethereum Alliance, section 5 (block header); the extra data codecs of Hyperledger Besu.
Vectors: tests/golden/chain/seals_*.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from ledger.core.canonical import Json
from ledger.core.errors import VerificationError
from ledger.keccak import keccak
from ledger.strict_rlp import Rlp, rlp_decode, rlp_encode, rlp_integer

QBFT: Final = "qbft"
IBFT2: Final = "ibft2"
CLIQUE: Final = "clique"
RULES: Final = (QBFT, IBFT2, CLIQUE)
BFT_DIGEST: Final = bytes.fromhex(
    "63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
)
"""The mix hash by which QBFT and IBFT 2.0 blocks are known."""
VALIDATORS_MAX: Final = 100
"""The most that QBFT networks are run with; each seal is a signature to check."""
HEADERS_MAX: Final = 64
"""Following blocks that count: half of the validators and one more, for the largest set in two rounds."""
HEADER_BYTES_MAX: Final = 16_384
"""About 640 bytes, and 67 for each seal."""
VANITY_BYTES: Final = 32
SEAL_BYTES: Final = 65
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
_PARENT: Final = 0
_NUMBER: Final = 8
_EXTRA: Final = 12
_MIX: Final = 13
_FIELDS_MIN: Final = 15
_HALF_ORDER: Final = 0x7FFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_5D576E73_57A4501D_DFE92F46_681B20A0
"""Of secp256k1 (SEC 2, section 2.4.1), halved: for each seal there is one s at or below it, and one above."""
_DIGEST_KIND: Final = ec.ECDSA(Prehashed(hashes.SHA256()))
"""SHA-256 stands for nothing but a digest of 32 bytes: Keccak made it."""


@dataclass(frozen=True, slots=True)
class ValidatorPolicy:
    """`k` of the `validators` (addresses, lower case) must have sealed a block for it to count as final."""

    k: int
    validators: tuple[str, ...]

    @classmethod
    def of(cls, k: object, validators: Sequence[object]) -> ValidatorPolicy:
        """A policy that can be met and in which every validator counts once.

        Raises:
            VerificationError: `chain_proof.policy`.
        """
        names = [name for name in validators if isinstance(name, str) and _ADDRESS.fullmatch(name)]
        distinct = len(set(names)) == len(validators) <= VALIDATORS_MAX
        fits = isinstance(k, int) and not isinstance(k, bool) and 1 <= k <= len(names)
        if not (distinct and fits):
            raise VerificationError("not a k-of-n policy of validators", code="chain_proof.policy")
        assert isinstance(k, int)
        return cls(k=k, validators=tuple(names))

    def as_json(self) -> dict[str, Json]:
        """As it stands in a trust file."""
        return {"k": self.k, "addresses": list(self.validators)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ValidatorPolicy:
        """Read the JSON form.

        Raises:
            KeyError, TypeError: members are missing or of another kind.
            VerificationError: `chain_proof.policy`.
        """
        return cls.of(value["k"], list(value["addresses"]))


@dataclass(frozen=True, slots=True)
class ProvenSeals:
    """Who sealed.

    Attributes:
        rule: by which consensus; see the head of this file for what that is worth.
        validators: addresses of all who sealed, each once, in order of appearance.
        pinned: those among them whom the policy names.
        k, n: so many of so many are demanded.
    """

    rule: str
    validators: tuple[str, ...]
    pinned: tuple[str, ...]
    k: int
    n: int

    @property
    def enough(self) -> bool:
        """Whether the policy is met."""
        return len(self.pinned) >= self.k


def verify_seals(evidence: Mapping[str, Any], *, policy: ValidatorPolicy) -> ProvenSeals | None:
    """Who sealed the evidence's block; None where the evidence carries no seals.

    Every seal must verify, also those of validators whom the policy does not name; too few are no error
    (`ProvenSeals.enough`).

    Args:
        evidence: `fuqi/chain-evidence/v1`; untrusted. `ledger.chain_proof.verify_chain_evidence` proves the
            rest of it.

    Raises:
        VerificationError: `chain_proof.shape`, `chain_proof.header_hash`, `chain_proof.seals`.
    """
    seals = evidence.get("seals")
    if seals is None:
        return None
    if not isinstance(seals, Mapping) or seals.get("rule") not in RULES:
        raise _shape("seals of a rule that is not known here")
    header = _bytes(evidence.get("header_rlp"))
    if "0x" + keccak(header).hex() != evidence.get("block_hash"):
        raise VerificationError(
            "the header does not hash to the block hash", code="chain_proof.header_hash"
        )
    signers = _signers(seals.get("signers"))
    if seals["rule"] == CLIQUE:
        _require_members(seals, {"rule", "headers", "signers"})
        found = _clique(header, _headers(seals.get("headers")), signers)
    else:
        _require_members(seals, {"rule", "round", "seals", "signers"})
        found = _bft(seals, header, signers)
    pinned = tuple(name for name in found if name in policy.validators)
    return ProvenSeals(
        rule=str(seals["rule"]),
        validators=found,
        pinned=pinned,
        k=policy.k,
        n=len(policy.validators),
    )


@dataclass(frozen=True, slots=True)
class BftSeals:
    """What a node tells of a QBFT or IBFT 2.0 block beside its header.

    Attributes:
        header: RLP as it hashes to the block hash: without round and seals.
        seals: 65 bytes each; the last byte helps to recover the signer.
        digest: what the seals sign.
    """

    rule: str
    header: bytes
    round: int
    seals: tuple[bytes, ...]
    digest: bytes


def split_bft_header(header: bytes) -> BftSeals | None:
    """Take round and commit seals out of a header as nodes tell it; None for another consensus.

    Raises:
        VerificationError: `chain_proof.shape`.
    """
    fields = _fields(header)
    extra = fields[_EXTRA]
    if fields[_MIX] != BFT_DIGEST or not isinstance(extra, bytes):
        return None
    parts = rlp_decode(extra)
    if not isinstance(parts, list) or len(parts) != 5:
        return None
    vanity, validators, vote, told, seals = parts
    if not isinstance(told, bytes) or len(told) > 4 or not isinstance(seals, list):
        return None
    # IBFT 2.0 writes the round in four bytes always, QBFT as a number of as many as it needs.
    rule = IBFT2 if len(told) == 4 else QBFT
    kept: list[Rlp] = [vanity, validators, vote]
    fields[_EXTRA] = rlp_encode([*kept, b"", []] if rule == QBFT else kept)
    hashed = rlp_encode(fields)
    number = int.from_bytes(told, "big")
    return BftSeals(
        rule=rule,
        header=hashed,
        round=number,
        seals=tuple(seal for seal in seals if isinstance(seal, bytes) and len(seal) == SEAL_BYTES),
        digest=_bft_digest(rule, hashed, number),
    )


def clique_seal(header: bytes) -> tuple[bytes, bytes]:
    """(digest, seal): the validator signs the header without the last 65 bytes of its extra data.

    Raises:
        VerificationError: `chain_proof.shape`.
    """
    fields = _fields(header)
    extra = fields[_EXTRA]
    if not isinstance(extra, bytes) or len(extra) < VANITY_BYTES + SEAL_BYTES:
        raise _shape("the extra data holds no seal")
    fields[_EXTRA] = extra[:-SEAL_BYTES]
    return keccak(rlp_encode(fields)), extra[-SEAL_BYTES:]


def bft_extra_data(validators: Sequence[str], *, rule: str = QBFT) -> bytes:
    """Extra data of the first block of a network: its validators, no vote, round 0, no seals."""
    addresses: list[Rlp] = [bytes.fromhex(address[2:]) for address in sorted(validators)]
    if rule == QBFT:
        return rlp_encode([bytes(VANITY_BYTES), addresses, [], b"", []])
    return rlp_encode([bytes(VANITY_BYTES), addresses, b"", bytes(4), []])


def _bft(seals: Mapping[str, Any], header: bytes, signers: Sequence[bytes]) -> tuple[str, ...]:
    number, values = seals["round"], seals["seals"]
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**31:
        raise _shape("a round that is no number")
    if not isinstance(values, list | tuple) or len(values) > VALIDATORS_MAX:
        raise _shape("not a short list of commit seals")
    digest = _bft_digest(str(seals["rule"]), header, number)
    made = [(digest, _bytes(value)) for value in values]
    if any(len(seal) != 64 or int.from_bytes(seal[32:], "big") > _HALF_ORDER for _, seal in made):
        raise _shape("a commit seal is r and the lower s, 64 bytes")
    found = _verified(made, signers)
    if len(set(found)) != len(found):
        raise _fault("a validator stands twice among the commit seals")
    return found


def _bft_digest(rule: str, header: bytes, number: int) -> bytes:
    """What the commit seals of that round sign: the header with the round in its extra data."""
    fields = _fields(header)
    extra = fields[_EXTRA]
    parts = rlp_decode(extra) if isinstance(extra, bytes) else b""
    kept = parts[:3] if isinstance(parts, list) else []
    hashed: list[Rlp] = [*kept, b"", []] if rule == QBFT else kept
    if fields[_MIX] != BFT_DIGEST or len(kept) != 3 or parts != hashed:
        raise _fault("this header is not of a block that the stated rule seals")
    told: list[Rlp] = [rlp_integer(number), []] if rule == QBFT else [number.to_bytes(4, "big")]
    fields[_EXTRA] = rlp_encode([*kept, *told])
    return keccak(rlp_encode(fields))


def _clique(header: bytes, headers: Sequence[bytes], signers: Sequence[bytes]) -> tuple[str, ...]:
    parent, number = keccak(header), _fields(header)[_NUMBER]
    for raw in headers:
        fields = _fields(raw)
        assert isinstance(number, bytes)
        following = rlp_integer(int.from_bytes(number, "big") + 1)
        if fields[_PARENT] != parent or fields[_NUMBER] != following:
            raise _fault("a following header does not stand on the one before")
        parent, number = keccak(raw), following
    return tuple(
        dict.fromkeys(_verified([clique_seal(raw) for raw in (header, *headers)], signers))
    )


def _verified(sealed: Sequence[tuple[bytes, bytes]], signers: Sequence[bytes]) -> tuple[str, ...]:
    """The addresses behind the keys, each of which made the seal of its place."""
    if len(sealed) != len(signers):
        raise _fault("as many signers are stated as there are seals, or the evidence is cut")
    return tuple(
        _signer(digest, seal, key) for (digest, seal), key in zip(sealed, signers, strict=True)
    )


def _signer(digest: bytes, seal: bytes, public: bytes) -> str:
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), b"\x04" + public)
        signature = encode_dss_signature(
            int.from_bytes(seal[:32], "big"), int.from_bytes(seal[32:64], "big")
        )
        key.verify(signature, digest, _DIGEST_KIND)
    except (InvalidSignature, ValueError) as exc:
        raise _fault("a seal was not made by the signer stated for it") from exc
    return "0x" + keccak(public)[12:].hex()


def _fields(header: bytes) -> list[Rlp]:
    fields = rlp_decode(header)
    if not isinstance(fields, list) or len(fields) < _FIELDS_MIN:
        raise _shape("not a block header")
    if not isinstance(fields[_NUMBER], bytes) or len(fields[_NUMBER]) > 8:
        raise _shape("not a block header")
    return list(fields)


def _headers(values: object) -> list[bytes]:
    if not isinstance(values, list | tuple) or len(values) > HEADERS_MAX:
        raise _shape("not a short list of headers")
    return [_bytes(value) for value in values]


def _signers(values: object) -> list[bytes]:
    if not isinstance(values, list | tuple) or len(values) > VALIDATORS_MAX:
        raise _shape("not a short list of signers")
    found = [_bytes(value) for value in values]
    if any(len(key) != 64 for key in found):
        raise _shape("a signer is a public key of 64 bytes")
    return found


def _require_members(seals: Mapping[str, Any], members: set[str]) -> None:
    if set(seals) != members:
        raise _shape("seals with other members than their rule has")


def _bytes(value: object) -> bytes:
    if isinstance(value, str) and value.startswith("0x") and len(value) <= 2 + 2 * HEADER_BYTES_MAX:
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            data = b""
        # Lower case and nothing between the digits: one spelling of one value.
        if "0x" + data.hex() == value and data:
            return data
    raise _shape("not hex text of the right length")


def _shape(message: str) -> VerificationError:
    return VerificationError(message, code="chain_proof.shape")


def _fault(message: str) -> VerificationError:
    return VerificationError(message, code="chain_proof.seals")
