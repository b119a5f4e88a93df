"""How blocks become final on a chain over JSON-RPC, and the validators' seals that show it. Asks, never sends.

Three rules, in this order, and the answer is always given together with the rule:
    1. the node's `finalized` block, where it knows one;
    2. QBFT and IBFT 2.0: a block with the commit seals of two thirds of its validators is final at once;
    3. so many blocks on top. Clique has nothing better: its seals show who has built on the block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from coincurve import PublicKey

from ledger.core.canonical import Json
from ledger.core.errors import UnavailableError, VerificationError
from ledger.keccak import keccak
from ledger.rpc_values import data_of, header_rlp, quantity, told_header
from ledger.strict_rlp import rlp_decode
from ledger.validator_seals import (
    CLIQUE,
    IBFT2,
    QBFT,
    SEAL_BYTES,
    VALIDATORS_MAX,
    VANITY_BYTES,
    BftSeals,
    ValidatorPolicy,
    clique_seal,
    split_bft_header,
)

NAMES: Final = {QBFT: "QBFT", IBFT2: "IBFT 2.0", CLIQUE: "Clique"}
CLIQUE_EPOCH: Final = 30_000
"""Every so many blocks a clique header names all validators (EIP-225 recommends the number, geth's default)."""
_ADDRESS_BYTES: Final = 20
_EXTRA: Final = 12

AskBlock: TypeAlias = "Callable[[str], Mapping[str, Any] | None]"
"""The block of a number (hex) or tag, without its transactions; None where the node has no such block."""


def consensus_of(ask_block: AskBlock) -> str | None:
    """`qbft`, `ibft2` or `clique` by the chain's first block; None for anything else."""
    first = ask_block("0x0")
    if first is None:
        return None
    sealed = _bft_seals(first)
    if sealed is not None:
        return sealed.rule
    return CLIQUE if _clique_validators(first) else None


def has_quorum(block: Mapping[str, Any]) -> bool:
    """Whether two thirds of the validators that a QBFT or IBFT 2.0 header names have sealed it.

    False where the header names none, as in networks that keep their validators in a contract: nobody here
    knows then how many there are.
    """
    sealed = _bft_seals(block)
    if sealed is None:
        return False
    validators = set(_bft_validators(sealed))
    try:
        signed = {
            _address(key) for key in _recovered([(sealed.digest, seal) for seal in sealed.seals])
        }
    except ValueError:
        return False
    return bool(validators) and 3 * len(validators & signed) >= 2 * len(validators)


def policy_of(
    rule: str | None,
    block: Mapping[str, Any],
    *,
    ask_block: AskBlock,
    ask_signers: Callable[[int], object],
) -> ValidatorPolicy | None:
    """Who may seal here and how many must, as the chain names them in or before this block.

    QBFT and IBFT 2.0 name their validators in each header: two thirds. Of clique the node is asked, else the
    last header that lists all of them is read: more than half. None for another consensus, where the header
    names nobody (validators kept in a contract), and for more validators than a receipt can show.

    Args:
        rule: from `consensus_of`.
        ask_signers: what the node answers to `clique_getSigners` for a block number; None where it does not
            serve that question.
    """
    if rule is None:
        return None
    if rule == CLIQUE:
        found = _clique_signers(quantity(block.get("number")), ask_block, ask_signers)
        least = len(found) // 2 + 1
    else:
        sealed = _bft_seals(block)
        found = () if sealed is None else _named(_bft_validators(sealed))
        least = -(-2 * len(found) // 3)
    if not 0 < len(found) <= VALIDATORS_MAX:
        return None
    return ValidatorPolicy.of(least, found)


def _clique_signers(
    number: int, ask_block: AskBlock, ask_signers: Callable[[int], object]
) -> tuple[str, ...]:
    told = ask_signers(number)
    if isinstance(told, list) and 0 < len(told) <= VALIDATORS_MAX:
        return tuple(sorted({"0x" + data_of(one, length=_ADDRESS_BYTES).hex() for one in told}))
    for listing in dict.fromkeys((number - number % CLIQUE_EPOCH, 0)):
        block = ask_block(hex(listing))
        found = () if block is None else _named(_clique_listed(block))
        if found:
            return found
    return ()


def _named(addresses: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(sorted({"0x" + address.hex() for address in addresses}))


def seals_json(rule: str | None, number: int, *, ask_block: AskBlock, most: int) -> Json:
    """Member `seals` of `fuqi/chain-evidence/v1` for a block, or None where there is nothing to show.

    Args:
        rule: from `consensus_of`.
        most: of clique, so many following blocks at most; fewer when all validators have sealed before.
    """
    block = ask_block(hex(number)) if rule is not None else None
    if rule is None or block is None:
        return None
    try:
        return _clique_json(block, number, ask_block, most) if rule == CLIQUE else _bft_json(block)
    except (ValueError, VerificationError, UnavailableError):
        # A header of a kind we do not know, or a node that just went away: evidence without seals.
        return None


def _bft_json(block: Mapping[str, Any]) -> Json:
    sealed = _bft_seals(block)
    if sealed is None:
        return None
    keys = _recovered([(sealed.digest, seal) for seal in sealed.seals])
    return {
        "rule": sealed.rule,
        "round": sealed.round,
        "seals": ["0x" + seal[:64].hex() for seal in sealed.seals],
        "signers": ["0x" + key.hex() for key in keys],
    }


def _clique_json(block: Mapping[str, Any], number: int, ask_block: AskBlock, most: int) -> Json:
    first = ask_block("0x0")
    wanted = len(_clique_validators(first)) if first is not None else 0
    headers = [header_rlp(block)]
    keys = _recovered([clique_seal(headers[0])])
    while len(set(keys)) < wanted and len(headers) <= most:
        following = ask_block(hex(number + len(headers)))
        if following is None or following.get("parentHash") != "0x" + keccak(headers[-1]).hex():
            break
        headers.append(header_rlp(following))
        keys += _recovered([clique_seal(headers[-1])])
    return {
        "rule": CLIQUE,
        "headers": ["0x" + header.hex() for header in headers[1:]],
        "signers": ["0x" + key.hex() for key in keys],
    }


def _bft_seals(block: Mapping[str, Any]) -> BftSeals | None:
    try:
        return split_bft_header(told_header(block))
    except (UnavailableError, VerificationError):
        return None


def _bft_validators(sealed: BftSeals) -> list[bytes]:
    fields = rlp_decode(sealed.header)
    extra = fields[_EXTRA] if isinstance(fields, list) else b""
    parts = rlp_decode(extra) if isinstance(extra, bytes) else b""
    listed = parts[1] if isinstance(parts, list) else []
    return [item for item in listed if isinstance(item, bytes) and len(item) == _ADDRESS_BYTES]


def _clique_validators(first: Mapping[str, Any]) -> list[bytes]:
    """The validators in the first block of a clique network (EIP-225); empty for another."""
    extra = first.get("extraData")
    try:
        data = bytes.fromhex(str(extra)[2:])
        if quantity(first.get("difficulty")) != 1 or any(data[-SEAL_BYTES:]):
            return []
    except (ValueError, UnavailableError):
        return []
    return _clique_listed(first)


def _clique_listed(block: Mapping[str, Any]) -> list[bytes]:
    """The validators between vanity and seal of a clique header; most headers name none."""
    try:
        data = bytes.fromhex(str(block.get("extraData"))[2:])
    except ValueError:
        return []
    rest = len(data) - VANITY_BYTES - SEAL_BYTES
    if rest <= 0 or rest % _ADDRESS_BYTES:
        return []
    listed = data[VANITY_BYTES:-SEAL_BYTES]
    return [listed[at : at + _ADDRESS_BYTES] for at in range(0, rest, _ADDRESS_BYTES)]


def _recovered(sealed: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """The public keys, 64 bytes each, that made the seals.

    Raises:
        ValueError: a seal that no key can have made.
    """
    try:
        return [
            PublicKey.from_signature_and_message(seal, digest, hasher=None).format(
                compressed=False
            )[1:]
            for digest, seal in sealed
        ]
    except Exception as exc:  # coincurve raises nothing narrower
        raise ValueError("not a seal") from exc


def _address(key: bytes) -> bytes:
    return keccak(key)[12:]
