"""What each act is made of: constructors of our contracts, call data, what shows that it happened already.

Pure but for the answers handed in. A payload is canonical JSON: digests in hex, wide numbers in decimal text.

    Rounds.open               {inputs_root, policy_hash}                     signed by the installation
    Rounds.post               {inputs_root, policy_hash, opening, objective, attempt}          likewise
    Rounds.prove              {inputs_root, policy_hash, instance, answer}                     likewise
    Rounds.finalise           {inputs_root, policy_hash}                     by anybody, after the window
    SignerRegistry.register   {key_hash, valid_from, valid_to, assurance, identity}            likewise
    SignerRegistry.revoke     {key_hash, reason}                                               likewise
    Seals.promote             {entry, doc, prev, parties, salt, commitment}  signed by the parties, in the PDF
    SupplyLots.mint, move, accept, reject, consume  see `ledger.supply_calls`    by the holders' mirror keys
    any other                 {data}: the call data as the signers' own programs made it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

from contracts import acts_abi, seals_abi
from contracts.abi import ERRORS as LOG_ERRORS
from contracts.abi import Revert
from contracts.abi import decode_revert as decode_log_revert
from contracts.eip712 import Contract
from contracts.rounds_sparse import make_sparse
from contracts.rounds_tree import Answer, Instance, Opening, answer_hash, make_instance
from ledger import supply_calls
from ledger.core.errors import ConflictError, InputError

Payload: TypeAlias = Mapping[str, Any]

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "K1Verifier": (),
    "P256Verifier": (),
    "CmsVerifier": (),
    "Rounds": (),
    "SignerRegistry": ("K1Verifier",),
    "Seals": ("SignerRegistry", "CmsVerifier"),
    "Rulings": (),
    "SupplyLots": ("Rulings",),
}
"""Contracts that must stand before another can be made. Names are those of the artifacts."""
CALLS: Final[Mapping[str, tuple[str, ...]]] = {
    "Rounds": ("open", "post", "prove", "strike", "finalise"),
    "SignerRegistry": ("register", "revoke"),
    "Seals": ("seal", "promote", "revoke"),
    "SupplyLots": ("mint", "move", "accept", "reject", "consume", "applyRuling"),
    "Rulings": ("rule", "propose", "cancel", "enact"),
}
DEADLINE: Final = timedelta(days=1)
"""Until when a signature of the installation may be used; each attempt makes a fresh one."""
RETRYABLE: Final = frozenset({"EvidenceLogNotHead", "SignerRegistryNotYetValid", "RoundsWindow"})
"""Refusals that time heals: the act waits and its call is built anew."""


class Signer(Protocol):
    """The installation's own key for acts."""

    @property
    def address(self) -> bytes:
        """20 bytes."""
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """r, s, v."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """Who sits in Rulings: key hashes from seat 0, how many must sign, and the delay of a change in seconds."""

    arbitrators: tuple[bytes, ...]
    threshold: int
    officers: tuple[bytes, ...]
    officer_threshold: int
    delay_seconds: int


@dataclass(frozen=True, slots=True)
class Site:
    """Where our contracts stand on a chain; addresses of 20 bytes. `log` is EvidenceLog."""

    chain_id: int
    log: bytes
    contracts: Mapping[str, bytes]
    bench: Bench | None = None

    def of(self, name: str) -> Contract:
        """What a digest names."""
        return Contract(chain_id=self.chain_id, address=self.contracts[name])


Prover: TypeAlias = Callable[[str, str, bytes], seals_abi.Opening]
"""(entry id, commitment, salt) -> the entry opened in the tree that the chain holds now."""


def next_to_deploy(name: str, standing: Mapping[str, Any]) -> str | None:
    """The first contract that lacks before `name` can be called; None when it stands.

    Raises:
        InputError: `acts.contract_unknown`.
    """
    if name not in NEEDS:
        raise InputError("there is no such contract of ours", code="acts.contract_unknown")
    for one in NEEDS[name]:
        missing = next_to_deploy(one, standing)
        if missing is not None:
            return missing
    return None if name in standing else name


def constructor(name: str, site: Site, signer: Signer) -> bytes:
    """Constructor arguments.

    Raises:
        ConflictError: `acts.no_bench`: nobody has said who may rule here.
    """
    if name == "SignerRegistry":
        key = _registrar(site, signer)
        return seals_abi.encode_registry_constructor([key.hash], threshold=1)
    if name == "Seals":
        return seals_abi.encode_seals_constructor(
            registry=site.contracts["SignerRegistry"],
            log=site.log,
            document_verifiers=[site.contracts["CmsVerifier"]],
        )
    if name == "Rulings":
        if site.bench is None:
            raise ConflictError(
                "nobody has said who may rule here, so there is no contract for it",
                code="acts.no_bench",
            )
        return acts_abi.encode_rulings_constructor(
            arbitrators=site.bench.arbitrators,
            threshold=site.bench.threshold,
            officers=site.bench.officers,
            officer_threshold=site.bench.officer_threshold,
            delay_seconds=site.bench.delay_seconds,
        )
    if name == "SupplyLots":
        return bytes(12) + site.contracts["Rulings"]
    return b""


def call_data(
    contract: str,
    call: str,
    payload: Payload,
    *,
    site: Site,
    signer: Signer,
    prove: Prover,
    at: datetime,
) -> bytes:
    """Call data of an act, signed anew where the installation signs.

    Raises:
        InputError: `acts.payload`.
    """
    try:
        if "data" in payload:
            return bytes.fromhex(payload["data"])
        if contract == "SupplyLots" and "issuer" in payload:
            return supply_calls.call_data(call, payload, target=site.of(contract), signer=signer)
        build = _BUILDERS[f"{contract}.{call}"]
        return build(payload, site, signer, prove, int((at + DEADLINE).timestamp()))
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError("an act of this kind is not made of that", code="acts.payload") from exc


def question(contract: str, call: str, payload: Payload, *, signer: Signer) -> bytes | None:
    """Call data that asks the contract whether the act has happened; None where only its refusal tells.

    Raises:
        InputError: `acts.payload`.
    """
    try:
        return _question(contract, call, payload, signer)
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError("an act of this kind is not made of that", code="acts.payload") from exc


def happened(contract: str, call: str, payload: Payload, answer: bytes) -> bool:
    """Whether that answer shows that the act has happened, by us or by anyone."""
    if contract == "SupplyLots":
        return supply_calls.happened(call, payload, answer)
    words = [answer[at : at + 32] for at in range(0, len(answer), 32)]
    if contract == "Rounds":
        stored = acts_abi.decode_round(answer)
        if call == "open":
            return stored.state is not acts_abi.RoundState.NONE
        if call == "prove":
            return stored.state is acts_abi.RoundState.PROVEN
        if call == "finalise":
            return stored.state is acts_abi.RoundState.FINAL
        return stored.plan_root == opening_of(payload["opening"]).plan_root
    if contract == "SignerRegistry":
        # Key: validFrom, validTo, revokedAt, assurance, reason.
        return any(words[3]) if call == "register" else any(words[2])
    return any(words[0])


def decode_reason(data: bytes) -> Revert:
    """A custom error of any of our contracts, with its values; never raises."""
    for known, decode in (
        (seals_abi.ERRORS, seals_abi.decode_revert),
        (LOG_ERRORS, decode_log_revert),
    ):
        if data[:4] in known:
            return decode(data)
    return acts_abi.decode_revert(data)


def reason_text(revert: Revert) -> str:
    """`Name(value, …)` with bytes in hex, at most 400 characters."""
    shown = [value.hex() if isinstance(value, bytes) else str(value) for value in revert.values]
    return f"{revert.name}({', '.join(shown)})"[:400]


def opening_json(opening: Opening) -> dict[str, Any]:
    """An opening as it stands in a payload."""
    return {
        "rows": opening.rows,
        "columns": opening.columns,
        **{name: getattr(opening, name).hex() for name in _ROOTS},
        "units": str(opening.units),
    }


def opening_of(value: Mapping[str, Any]) -> Opening:
    """The reverse of `opening_json`."""
    roots = {name: _word(value[name]) for name in _ROOTS}
    return Opening(rows=value["rows"], columns=value["columns"], units=int(value["units"]), **roots)


def parties_of(values: Sequence[Mapping[str, str]], site: Site) -> list[seals_abi.Party]:
    """Parties of a payload, each under one of our verifiers."""
    return [
        seals_abi.Party(
            key=seals_abi.Key(
                verifier=site.contracts[value["verifier"]], key=bytes.fromhex(value["key"])
            ),
            signature=bytes.fromhex(value["signature"]),
            signed=_word(value["signed"]),
        )
        for value in values
    ]


def _question(contract: str, call: str, payload: Payload, signer: Signer) -> bytes | None:
    if (
        contract == "Rounds"
        and call in ("open", "post", "prove", "finalise")
        and "inputs_root" in payload
    ):
        return acts_abi.encode_call("roundAt", _round(payload, signer))
    if contract == "SupplyLots" and "issuer" in payload:
        return supply_calls.question(call, payload, signer=signer)
    if contract == "SignerRegistry" and "key_hash" in payload:
        return seals_abi.KEY_OF + _word(payload["key_hash"])
    if contract == "Seals" and call == "promote" and "leaf" in payload:
        return seals_abi.SEAL_OF_LEAF + _word(payload["leaf"])
    return None


def _open(payload: Payload, site: Site, signer: Signer, prove: Prover, deadline: int) -> bytes:
    del prove, deadline
    inputs, policy = _word(payload["inputs_root"]), _word(payload["policy_hash"])
    digest = acts_abi.round_open_digest(site.of("Rounds"), inputs_root=inputs, policy_hash=policy)
    return acts_abi.encode_round_open(
        round_=_round(payload, signer),
        inputs_root=inputs,
        policy_hash=policy,
        signature=signer.sign_digest(digest),
    )


def _post(payload: Payload, site: Site, signer: Signer, prove: Prover, deadline: int) -> bytes:
    del prove, deadline
    opening, objective = opening_of(payload["opening"]), int(payload["objective"])
    digest = acts_abi.round_post_digest(
        site.of("Rounds"),
        round_=_round(payload, signer),
        plan_root=opening.plan_root,
        objective=objective,
        attempt=payload["attempt"],
    )
    return acts_abi.encode_round_post(
        round_=_round(payload, signer),
        policy_hash=_word(payload["policy_hash"]),
        opening=opening,
        objective=objective,
        attempt=payload["attempt"],
        signature=signer.sign_digest(digest),
    )


def _prove(payload: Payload, site: Site, signer: Signer, prove: Prover, deadline: int) -> bytes:
    del prove, deadline
    given, found = payload["instance"], payload["answer"]
    instance = _instance(given)
    answer = Answer(
        flows=tuple((row, column, int(units)) for row, column, units in found["flows"]),
        row_prices=tuple(_numbers(found["row_prices"])),
        column_prices=tuple(_numbers(found["column_prices"])),
    )
    digest = acts_abi.round_prove_digest(
        site.of("Rounds"), round_=_round(payload, signer), plan_hash=answer_hash(answer)
    )
    return acts_abi.encode_round_prove(
        round_=_round(payload, signer),
        policy_hash=_word(payload["policy_hash"]),
        instance=instance,
        answer=answer,
        signature=signer.sign_digest(digest),
    )


def _instance(given: Mapping[str, Any]) -> Instance:
    """Weights written out (`weights`), or only the pairs that have one (`cells`: column and weight)."""
    supplies, demands = _numbers(given["supplies"]), _numbers(given["demands"])
    if "cells" not in given:
        weights = [_numbers(row) for row in given["weights"]]
        return make_instance(supplies=supplies, demands=demands, weights=weights)
    cells = [tuple((column, int(weight)) for column, weight in row) for row in given["cells"]]
    return make_sparse(supplies=supplies, demands=demands, cells=cells).dense()


def _finalise(payload: Payload, site: Site, signer: Signer, prove: Prover, deadline: int) -> bytes:
    del site, prove, deadline
    return acts_abi.encode_call("finalise", _round(payload, signer))


def _register(payload: Payload, site: Site, signer: Signer, prove: Prover, deadline: int) -> bytes:
    del prove
    registration = seals_abi.Registration(
        key_hash=_word(payload["key_hash"]),
        valid_from=payload["valid_from"],
        valid_to=payload["valid_to"],
        assurance=payload["assurance"],
        identity=_word(payload["identity"]),
        deadline=deadline,
    )
    digest = seals_abi.register_digest(site.of("SignerRegistry"), registration)
    return seals_abi.encode_register(registration, [_approval(site, signer, digest)])


def _revoke(payload: Payload, site: Site, signer: Signer, prove: Prover, deadline: int) -> bytes:
    del prove
    key_hash, reason = _word(payload["key_hash"]), payload["reason"]
    digest = seals_abi.revoke_key_digest(
        site.of("SignerRegistry"), key_hash=key_hash, reason=reason, deadline=deadline
    )
    approvals = [_approval(site, signer, digest)]
    return seals_abi.encode_revoke_key(
        key_hash, reason=reason, deadline=deadline, approvals=approvals
    )


def _promote(payload: Payload, site: Site, signer: Signer, prove: Prover, deadline: int) -> bytes:
    del signer
    parties = seals_abi.in_order(parties_of(payload["parties"], site))
    terms = seals_abi.Terms(
        doc=_word(payload["doc"]),
        parties_root=seals_abi.parties_root(parties),
        prev=_word(payload["prev"]),
        deadline=deadline,
    )
    opening = prove(payload["entry"], payload["commitment"], _word(payload["salt"]))
    return seals_abi.encode_promote(terms, opening, parties)


_ROOTS: Final = (
    "supply_root", "demand_root", "weight_root", "row_price_root",
    "column_price_root", "column_total_root", "cell_root",
)  # fmt: skip
_BUILDERS: Final[Mapping[str, Callable[[Payload, Site, Signer, Prover, int], bytes]]] = {
    "Rounds.open": _open,
    "Rounds.post": _post,
    "Rounds.prove": _prove,
    "Rounds.finalise": _finalise,
    "SignerRegistry.register": _register,
    "SignerRegistry.revoke": _revoke,
    "Seals.promote": _promote,
}


def round_of(payload: Payload, *, signer: Signer) -> bytes:
    """The id under which this installation's key opens a round on these inputs."""
    return _round(payload, signer)


def _round(payload: Payload, signer: Signer) -> bytes:
    return acts_abi.round_id(
        acts_abi.k1_key_hash(signer.address),
        inputs_root=_word(payload["inputs_root"]),
        policy_hash=_word(payload["policy_hash"]),
    )


def _registrar(site: Site, signer: Signer) -> seals_abi.Key:
    return seals_abi.Key(verifier=site.contracts["K1Verifier"], key=signer.address)


def _approval(site: Site, signer: Signer, digest: bytes) -> seals_abi.Approval:
    return seals_abi.Approval(key=_registrar(site, signer), signature=signer.sign_digest(digest))


def _word(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise ValueError("32 bytes")
    return value


def _numbers(values: Sequence[str | int]) -> list[int]:
    return [int(value) for value in values]
