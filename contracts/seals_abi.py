"""Seals, SignerRegistry and the verifiers: names, digests to sign, call data, answers, events and errors.

Everything is pure: nothing here talks to a chain or holds a private key. A signature is made elsewhere, over
`seal_digest` (EIP-712) or, in a PDF, over CMS signed attributes; `cms_signature` turns the latter into what the
chain reads. Every P-256 signature is brought to its lower form, the only one that the chain accepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from contracts.abi import Revert
from contracts.eip712 import Contract, key_hash, typed_digest
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import InputError, VerificationError

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
VALID: Final = keccak(b"verify(bytes,bytes32,bytes)")[:4]
"""What an ERC-7913 verifier answers to a valid signature."""
NO_PREV: Final = bytes(32)
BY_DIGEST: Final = bytes(32)
"""`Party.signed` of a party that signed the seal's own digest."""

_SEAL_TAG: Final = keccak(b"fuqi/seal/v1")
_PARTIES_TAG: Final = keccak(b"fuqi/parties/v1")
_SET_TAG: Final = keccak(b"fuqi/registrars/v1")
_SEALS: Final = keccak(b"fuqi Seals")
_REGISTRY: Final = keccak(b"fuqi SignerRegistry")
_SEAL: Final = keccak(b"Seal(bytes32 doc,bytes32 partiesRoot,bytes32 prev,uint64 deadline)")
_REVOKE_SEAL: Final = keccak(b"RevokeSeal(bytes32 id,uint16 reason,uint64 deadline)")
_REGISTER: Final = keccak(
    b"Register(bytes32 keyHash,uint64 validFrom,uint64 validTo,uint8 assurance,"
    b"bytes32 identity,uint64 deadline)"
)
_REVOKE_KEY: Final = keccak(b"Revoke(bytes32 keyHash,uint8 reason,uint64 deadline)")
_OFFER: Final = keccak(b"OfferRegistrars(bytes32 set,uint64 epoch,uint64 deadline)")
_ACCEPT: Final = keccak(b"AcceptRegistrars(bytes32 set,uint64 epoch,uint64 deadline)")

_PARTY: Final = "(address,bytes,bytes32,bytes)[]"
_APPROVAL: Final = "(address,bytes,bytes)[]"
_OPENING: Final = "(uint64,uint64,bytes32,bytes,bytes,bytes32[])"
SEAL_TYPES: Final = ("bytes32", "bytes32", "uint64", _PARTY)
PROMOTE_TYPES: Final = ("bytes32", "bytes32", "uint64", _OPENING, _PARTY)
REVOKE_SEAL_TYPES: Final = ("bytes32", "bytes32", "uint16", "uint64", _PARTY)
REGISTER_TYPES: Final = ("bytes32", "uint64", "uint64", "uint8", "bytes32", "uint64", _APPROVAL)
REVOKE_KEY_TYPES: Final = ("bytes32", "uint8", "uint64", _APPROVAL)
REGISTRARS_TYPES: Final = ("bytes32[]", "uint8", "uint64", _APPROVAL)
VERIFY_TYPES: Final = ("bytes", "bytes32", "bytes")


def _selector(name: str, types: Sequence[str]) -> bytes:
    return keccak(f"{name}({','.join(types)})".encode("ascii"))[:4]


SEAL: Final = _selector("seal", SEAL_TYPES)
PROMOTE: Final = _selector("promote", PROMOTE_TYPES)
REVOKE_SEAL: Final = _selector("revoke", REVOKE_SEAL_TYPES)
REGISTER: Final = _selector("register", REGISTER_TYPES)
REVOKE_KEY: Final = _selector("revoke", REVOKE_KEY_TYPES)
OFFER_REGISTRARS: Final = _selector("offerRegistrars", REGISTRARS_TYPES)
ACCEPT_REGISTRARS: Final = _selector("acceptRegistrars", REGISTRARS_TYPES)
RECORD_OF: Final = _selector("recordOf", ("bytes32",))
REVOCATION_OF: Final = _selector("revocationOf", ("bytes32",))
SEAL_OF_LEAF: Final = _selector("sealOfLeaf", ("bytes32",))
KEY_OF: Final = _selector("keyOf", ("bytes32",))
SEALED_TOPIC: Final = keccak(b"Sealed(bytes32,bytes32,bytes32,bytes32,uint256,uint8)")
PROMOTED_TOPIC: Final = keccak(b"Promoted(bytes32,bytes32,uint64)")

ERRORS: Final[Mapping[bytes, tuple[str, tuple[str, ...]]]] = {
    _selector(name, types): (name, types)
    for name, types in (
        ("SealsNoContract", ("address",)),
        ("SealsPartyCount", ("uint256", "uint256")),
        ("SealsOrder", ("bytes32", "bytes32")),
        ("SealsNotDocumentVerifier", ("address",)),
        ("SealsDocumentNotSigned", ("bytes32",)),
        ("SealsBadSignature", ("bytes32", "bytes32")),
        ("SealsLate", ("uint256", "uint64")),
        ("SealsExists", ("bytes32", "uint64")),
        ("SealsUnknown", ("bytes32",)),
        ("SealsRevoked", ("bytes32", "uint64")),
        ("SealsLeafPromoted", ("bytes32", "bytes32")),
        ("SealsNotInLog", ("bytes32", "uint64", "uint64")),
        ("SignerRegistryBadSet", ("uint256", "uint256")),
        ("SignerRegistryApprovals", ("uint256", "uint256")),
        ("SignerRegistryOrder", ("bytes32", "bytes32")),
        ("SignerRegistryNotRegistrar", ("bytes32",)),
        ("SignerRegistryBadSignature", ("bytes32",)),
        ("SignerRegistryLate", ("uint256", "uint64")),
        ("SignerRegistryKnown", ("bytes32",)),
        ("SignerRegistryBadPeriod", ("uint64", "uint64")),
        ("SignerRegistryNoAssurance", ()),
        ("SignerRegistryUnknownKey", ("bytes32",)),
        ("SignerRegistryNotYetValid", ("bytes32", "uint64", "uint256")),
        ("SignerRegistryExpired", ("bytes32", "uint64", "uint256")),
        ("SignerRegistryRevoked", ("bytes32", "uint64")),
        ("SignerRegistryNotOffered", ("bytes32", "bytes32")),
    )
}


@dataclass(frozen=True, slots=True)
class Key:
    """A public key behind a verifier: `verifier` 20 bytes, `key` in that verifier's form."""

    verifier: bytes
    key: bytes

    @property
    def hash(self) -> bytes:
        """The name under which SignerRegistry holds it."""
        return key_hash(verifier=self.verifier, key=self.key)


@dataclass(frozen=True, slots=True)
class Party:
    """One party of a seal; `signed` is `BY_DIGEST`, or the digest inside its own CMS signature."""

    key: Key
    signature: bytes = b""
    signed: bytes = BY_DIGEST


@dataclass(frozen=True, slots=True)
class Approval:
    """One registrar's signature."""

    key: Key
    signature: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """What a seal says: `doc` under `parties_root`, amending `prev`, to be made until `deadline`."""

    doc: bytes
    parties_root: bytes
    prev: bytes
    deadline: int


@dataclass(frozen=True, slots=True)
class Registration:
    """What the registrars say of a key; `identity` is a salted commitment, never an identity."""

    key_hash: bytes
    valid_from: int
    valid_to: int
    assurance: int
    identity: bytes
    deadline: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A log entry cut around its commitment, and its place; see ISeals.Opening."""

    index: int
    size: int
    salt: bytes
    before: bytes
    afterwards: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A seal as the chain holds it; `time` 0 when there is none."""

    time: int
    block_number: int
    parties: int
    assurance: int


def parties_root(parties: Sequence[Party]) -> bytes:
    """Hash of a set of parties, in whatever order they are given."""
    ordered = in_order(parties)
    hashes, signed = [p.key.hash for p in ordered], [p.signed for p in ordered]
    return keccak(encode(["bytes32", "bytes32[]", "bytes32[]"], [_PARTIES_TAG, hashes, signed]))


def in_order(parties: Sequence[Party]) -> list[Party]:
    """The parties as the chain wants them: ascending by key hash."""
    return sorted(parties, key=lambda party: party.key.hash)


def seal_id(contract: Contract, terms: Terms) -> bytes:
    """The seal's name on this chain and contract."""
    types = ["bytes32", "uint256", "address", "bytes32", "bytes32", "bytes32"]
    values = [_SEAL_TAG, contract.chain_id, contract.address]
    return keccak(encode(types, [*values, terms.doc, terms.parties_root, terms.prev]))


def seal_digest(contract: Contract, terms: Terms) -> bytes:
    """The 32 bytes that a party signs (EIP-712)."""
    types = ["bytes32", "bytes32", "bytes32", "bytes32", "uint64"]
    values = [_SEAL, terms.doc, terms.parties_root, terms.prev, terms.deadline]
    return typed_digest(contract, _SEALS, encode(types, values))


def revoke_seal_digest(contract: Contract, *, seal: bytes, reason: int, deadline: int) -> bytes:
    """The 32 bytes that every party of a seal signs to revoke it (EIP-712)."""
    types = ["bytes32", "bytes32", "uint16", "uint64"]
    return typed_digest(contract, _SEALS, encode(types, [_REVOKE_SEAL, seal, reason, deadline]))


def register_digest(contract: Contract, registration: Registration) -> bytes:
    """The 32 bytes that a registrar signs to register a key (EIP-712)."""
    types = ["bytes32", "bytes32", "uint64", "uint64", "uint8", "bytes32", "uint64"]
    return typed_digest(contract, _REGISTRY, encode(types, [_REGISTER, *_registered(registration)]))


def revoke_key_digest(contract: Contract, *, key_hash: bytes, reason: int, deadline: int) -> bytes:
    """The 32 bytes that a registrar signs to revoke a key (EIP-712)."""
    types = ["bytes32", "bytes32", "uint8", "uint64"]
    return typed_digest(
        contract, _REGISTRY, encode(types, [_REVOKE_KEY, key_hash, reason, deadline])
    )


def registrars_digest(
    contract: Contract,
    registrars: Sequence[bytes],
    *,
    threshold: int,
    epoch: int,
    deadline: int,
    accept: bool,
) -> bytes:
    """The 32 bytes signed to offer (present registrars) or accept (the offered ones) the role."""
    packed = encode(["bytes32", "bytes32[]", "uint8"], [_SET_TAG, list(registrars), threshold])
    values = [_ACCEPT if accept else _OFFER, keccak(packed), epoch, deadline]
    return typed_digest(
        contract, _REGISTRY, encode(["bytes32", "bytes32", "uint64", "uint64"], values)
    )


def encode_seal(terms: Terms, parties: Sequence[Party]) -> bytes:
    """Call data of `seal`."""
    values = [terms.doc, terms.prev, terms.deadline, _parties(parties)]
    return SEAL + encode(SEAL_TYPES, values)


def encode_promote(terms: Terms, opening: Opening, parties: Sequence[Party]) -> bytes:
    """Call data of `promote`."""
    opened = (
        opening.index,
        opening.size,
        opening.salt,
        opening.before,
        opening.afterwards,
        list(opening.path),
    )
    values = [terms.doc, terms.prev, terms.deadline, opened, _parties(parties)]
    return PROMOTE + encode(PROMOTE_TYPES, values)


def encode_revoke_seal(
    terms: Terms, *, reason: int, deadline: int, parties: Sequence[Party]
) -> bytes:
    """Call data of `Seals.revoke`; the parties' `signed` are those of the seal."""
    values = [terms.doc, terms.prev, reason, deadline, _parties(parties)]
    return REVOKE_SEAL + encode(REVOKE_SEAL_TYPES, values)


def encode_register(registration: Registration, approvals: Sequence[Approval]) -> bytes:
    """Call data of `register`."""
    return REGISTER + encode(REGISTER_TYPES, [*_registered(registration), _approvals(approvals)])


def encode_revoke_key(
    key_hash: bytes, *, reason: int, deadline: int, approvals: Sequence[Approval]
) -> bytes:
    """Call data of `SignerRegistry.revoke`."""
    values = [key_hash, reason, deadline, _approvals(approvals)]
    return REVOKE_KEY + encode(REVOKE_KEY_TYPES, values)


def encode_registrars(
    registrars: Sequence[bytes],
    *,
    threshold: int,
    deadline: int,
    approvals: Sequence[Approval],
    accept: bool,
) -> bytes:
    """Call data of `offerRegistrars` or `acceptRegistrars`; key hashes ascending."""
    values = [list(registrars), threshold, deadline, _approvals(approvals)]
    return (ACCEPT_REGISTRARS if accept else OFFER_REGISTRARS) + encode(REGISTRARS_TYPES, values)


def encode_verify(key: bytes, digest: bytes, signature: bytes) -> bytes:
    """Call data of an ERC-7913 verifier."""
    return VALID + encode(VERIFY_TYPES, [key, digest, signature])


def encode_registry_constructor(registrars: Sequence[bytes], *, threshold: int) -> bytes:
    """Constructor arguments of SignerRegistry, to follow the creation code."""
    return encode(["bytes32[]", "uint8"], [sorted(registrars), threshold])


def encode_seals_constructor(
    *, registry: bytes, log: bytes, document_verifiers: Sequence[bytes]
) -> bytes:
    """Constructor arguments of Seals, to follow the creation code; addresses are 20 bytes."""
    return encode(["address", "address", "address[]"], [registry, log, list(document_verifiers)])


def decode_record(data: bytes) -> Record:
    """Answer of `recordOf`.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    try:
        time, block_number, parties, assurance = decode(
            ["uint64", "uint64", "uint8", "uint8"], data
        )
    except DecodingError as exc:
        raise VerificationError(
            "the chain answered with bytes that are not of this contract",
            code="contracts.answer_malformed",
        ) from exc
    return Record(time=time, block_number=block_number, parties=parties, assurance=assurance)


def decode_revert(data: bytes) -> Revert:
    """What a failed call says; never raises."""
    name, types = ERRORS.get(data[:4], ("unknown", ()))
    if name == "unknown":
        return Revert(name=name, values=(data[:36].hex(),))
    try:
        values: tuple[Any, ...] = tuple(decode(list(types), data[4:]))
    except DecodingError:
        return Revert(name="unknown", values=(data[:36].hex(),))
    return Revert(name=name, values=values)


def public_key(spki: bytes) -> bytes:
    """A public key in the form that P256Verifier and CmsVerifier read.

    Args:
        spki: DER SubjectPublicKeyInfo; P-256 gives x, y (64 bytes), RSA-2048 the modulus (256 bytes).

    Raises:
        InputError: `contracts.key_unsupported`.
    """
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise _unsupported() from exc
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        point = key.public_numbers()
        return point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048:
        numbers = key.public_numbers()
        if numbers.e == 65537:
            return numbers.n.to_bytes(256, "big")
    raise _unsupported()


def low_s(der: bytes) -> bytes:
    """A DER ECDSA signature over P-256 as r, s (64 bytes) with s in the lower half of the order.

    (r, s) and (r, order - s) are one signature: both verify, and anyone can turn one into the other.

    Raises:
        InputError: `contracts.signature_malformed`.
    """
    try:
        r, s = decode_dss_signature(der)
    except ValueError as exc:
        raise _malformed() from exc
    if not (0 < r < P256_ORDER and 0 < s < P256_ORDER):
        raise _malformed()
    return r.to_bytes(32, "big") + min(s, P256_ORDER - s).to_bytes(32, "big")


def cms_signature(signed_attrs: bytes, *, signature: bytes, key: bytes) -> bytes:
    """What CmsVerifier reads, from what stands in the PDF.

    Args:
        signed_attrs: DER, with the tag of a SET (0x31) or as it stands in the container (0xa0).
        signature: the signature value there: DER ECDSA, or RSA PKCS#1 v1.5.
        key: `public_key` of the signer.

    Raises:
        InputError: `contracts.signature_malformed`.
    """
    if signed_attrs[:1] not in (b"\x31", b"\xa0"):
        raise _malformed()
    value = low_s(signature) if len(key) == 64 else signature
    if len(value) != len(key):
        raise _malformed()
    return value + b"\x31" + signed_attrs[1:]


def promise_body(terms: Terms) -> dict[str, Json]:
    """The private body of a log entry that can be promoted to this seal."""
    return {
        "doc": terms.doc.hex(),
        "parties_root": terms.parties_root.hex(),
        "prev": terms.prev.hex(),
    }


def open_entry(
    entry: bytes, *, commitment: str, salt: bytes, index: int, size: int, path: Sequence[bytes]
) -> Opening:
    """Cut a log entry around its commitment.

    Args:
        entry: `fuqi/entry/v1` bytes.
        commitment: its `commitments.body`, hex.
        salt: 32 bytes.

    Raises:
        InputError: `contracts.entry_malformed`.
    """
    fragment = canonical_bytes({"commitments": {"body": commitment}})[1:-1]
    before, found, afterwards = entry.partition(fragment)
    if not found or len(salt) != 32:
        raise InputError("this is no entry with that commitment", code="contracts.entry_malformed")
    return Opening(
        index=index, size=size, salt=salt, before=before, afterwards=afterwards, path=tuple(path)
    )


def _registered(registration: Registration) -> tuple[bytes, int, int, int, bytes, int]:
    return (
        registration.key_hash,
        registration.valid_from,
        registration.valid_to,
        registration.assurance,
        registration.identity,
        registration.deadline,
    )


def _parties(parties: Sequence[Party]) -> list[tuple[bytes, bytes, bytes, bytes]]:
    return [(p.key.verifier, p.key.key, p.signed, p.signature) for p in parties]


def _approvals(approvals: Sequence[Approval]) -> list[tuple[bytes, bytes, bytes]]:
    return [(a.key.verifier, a.key.key, a.signature) for a in approvals]


def _unsupported() -> InputError:
    return InputError(
        "only P-256 and RSA-2048 with exponent 65537 are checked on the chain",
        code="contracts.key_unsupported",
    )


def _malformed() -> InputError:
    return InputError("this is no signature of that key", code="contracts.signature_malformed")
