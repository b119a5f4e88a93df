"""Any Ethereum-compatible node over JSON-RPC. The only module that imports web3.

It uses web3's transport and none of its retries, caches or nonce handling: the submitter owns those. Every
answer is checked before use, because a node is somebody else's program.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import requests
from eth_hash.auto import keccak
from web3.exceptions import Web3Exception
from web3.providers.rpc import HTTPProvider
from web3.types import RPCEndpoint

from contracts import abi, artifacts
from ledger.acts_port import CALL_GAS_MAX, CallAnswer, TxSeen
from ledger.chain import (
    DEPLOY_GAS,
    JSON_RPC_LABEL_EN,
    JSON_RPC_LABEL_ZH,
    AppendSeen,
    ChainInfo,
    Deployment,
    Fees,
    LogHead,
    SignedTx,
    append_gas,
    evidence_json,
)
from ledger.chain_key import OperatorKey, created_address
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, UnavailableError, VerificationError
from ledger.core.recursion import cap_recursion
from ledger.core.units import UnixSeconds
from ledger.finality import NAMES, consensus_of, has_quorum, policy_of, seals_json
from ledger.rpc_values import data_of, header_rlp, malformed, quantity
from ledger.validator_seals import CLIQUE, ValidatorPolicy

cap_recursion()

TIMEOUT_SECONDS: Final = 10
"""For one question; a healthy node answers in milliseconds."""
DEPLOY_WAIT_SECONDS: Final = 30
"""How long `deploy` waits for its block before it says `chain.deploy_pending`."""
POLL_SECONDS: Final = 0.25
CONFIRMATIONS: Final = 12
"""Blocks on top that count as final where the node knows no `finalized` block."""
DEPLOY_NONCES_SEARCHED: Final = 32
"""An earlier deployment is looked for under the key's first nonces; a fresh key deploys first."""
TIP_WEI: Final = 10**9
"""Offered where the node suggests no tip."""
_WRITER_TOPIC: Final = keccak(b"WriterHandedOver(address,address)")

_REFUSALS: Final = (
    ("insufficient funds", "chain.insufficient_funds", "the chain account has no money left"),
    ("insufficient balance", "chain.insufficient_funds", "the chain account has no money left"),
    ("upfront cost exceeds", "chain.insufficient_funds", "the chain account has no money left"),
    ("underpriced", "chain.underpriced", "the chain asks for higher fees"),
    ("below configured minimum gas price", "chain.underpriced", "the chain asks for higher fees"),
    ("below current base fee", "chain.underpriced", "the chain asks for higher fees"),
    ("fee too low", "chain.underpriced", "the chain asks for higher fees"),
    ("less than block base fee", "chain.underpriced", "the chain asks for higher fees"),
    ("nonce too high", "chain.nonce_gap", "an earlier nonce is missing"),
    ("nonce too low", "chain.nonce_used", "this nonce was used before"),
    ("nonce too distant", "chain.nonce_gap", "an earlier nonce is missing"),
)
_PUSH0_CANARY: Final = "0x5f5ff3"
"""Creation code that returns nothing by an instruction that came with Shanghai (EIP-3855)."""
_WITHOUT_TRANSACTIONS: Final = (False,)
"""Second parameter of the block questions: hashes only."""
_INDEXING: Final = "indexing is in progress"
_KNOWN: Final = ("already known", "known transaction", "already imported", "already exists")


def open_json_rpc_chain(
    url: str, *, key_file: Path | None, timeout_seconds: int = TIMEOUT_SECONDS
) -> Web3Chain:
    """A node over HTTP. Nothing is sent before the first call, so a node that is down does not stop a start.

    Args:
        url: `http://…` or `https://…`; may hold a secret, so no error repeats it.
        key_file: the writer's key, 64 hex digits, mode 0600; its account pays.

    Raises:
        InputError: `chain.url`, `chain.key_required`.
        NotFoundError: `chain.key_missing`.
        ConflictError: `chain.key_permissions`, `chain.key_malformed`.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError("FUQI_CHAIN_URL begins with http:// or https://", code="chain.url")
    if key_file is None:
        raise InputError(
            "a chain over JSON-RPC needs the writer's key file", code="chain.key_required"
        )
    return Web3Chain(url, key=OperatorKey.load(key_file), timeout_seconds=timeout_seconds)


class Web3Chain:
    """A `ChainPort` (see there) over JSON-RPC."""

    def __init__(
        self,
        url: str,
        *,
        key: OperatorKey,
        timeout_seconds: int = TIMEOUT_SECONDS,
        deploy_wait_seconds: int = DEPLOY_WAIT_SECONDS,
        confirmations: int = CONFIRMATIONS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """An adapter; asks the node nothing yet.

        Args:
            confirmations: blocks on top that count as final where the chain has no better rule.
        """
        self._provider = HTTPProvider(
            url,
            request_kwargs={"timeout": (timeout_seconds, timeout_seconds)},
            # Retrying a send hides whether the first one arrived; we read first, then decide.
            exception_retry_configuration=None,
        )
        self._key = key
        # The second is for chains whose rules are older: no PUSH0.
        self._artifacts = (
            artifacts.load("EvidenceLog"),
            artifacts.load("EvidenceLog", folder=artifacts.ARTIFACTS / "london"),
        )
        self._confirmations = confirmations
        self._deploy_wait_seconds = deploy_wait_seconds
        self._sleep = sleep
        self._lock = threading.RLock()
        self._info: ChainInfo | None = None
        self._knows_final = False
        self._consensus: str | None = None
        self._deployment: Deployment | None = None

    def info(self) -> ChainInfo:
        """See `ChainPort.info`."""
        with self._lock:
            if self._info is None:
                chain_id = self._quantity("eth_chainId")
                if not 0 < chain_id < 2**53:
                    raise malformed("chain id")
                self._knows_final = self._ask_final() is not None
                self._consensus = consensus_of(self._block_or_none)
                if self._consensus == CLIQUE:
                    # No earlier than a receipt can show the seals that a pinned majority needs.
                    policy = self._validators(self._block("eth_getBlockByNumber", "latest"))
                    least = 0 if policy is None else policy.k - 1
                    self._confirmations = max(self._confirmations, least)
                self._info = ChainInfo(
                    chain_id=chain_id,
                    kind="json-rpc",
                    name=f"eip155:{chain_id}",
                    client=str(self._ask("web3_clientVersion"))[:100],
                    finality=self._finality(),
                    label_en=JSON_RPC_LABEL_EN,
                    label_zh=JSON_RPC_LABEL_ZH,
                )
            return self._info

    def deploy(self, stored: Deployment | None = None) -> Deployment:
        """See `ChainPort.deploy`. Looks in `contracts/deployments` and among the key's first contracts too."""
        with self._lock:
            known = stored or self._deployment or self._recorded()
            if known is not None:
                self._require_standing(known)
                self._deployment = known
                return known
            found = self._earlier() or self._create()
            self._deployment = found
            return found

    def head(self, *, final: bool = False) -> LogHead:
        """See `ChainPort.head`."""
        tag = self._final_tag() if final else "latest"
        data = self._bytes("eth_call", {"to": self._address(), "data": "0x" + abi.HEAD.hex()}, tag)
        if not data:
            raise ConflictError(
                "the contract is not deployed in that block", code="chain.not_deployed"
            )
        try:
            head = abi.decode_head(data)
        except VerificationError as exc:
            raise malformed("head") from exc
        return LogHead(
            size=head.size, root=head.root, index=head.index, time=UnixSeconds(head.time)
        )

    def nonce(self, *, final: bool = False) -> int:
        """See `ChainPort.nonce`."""
        tag = self._final_tag() if final else "latest"
        return self._quantity("eth_getTransactionCount", self._key.address_hex, tag)

    def fees(self) -> Fees:
        """See `ChainPort.fees`: twice the base fee plus the tip the node suggests."""
        block = self._block("eth_getBlockByNumber", "latest")
        base = quantity(block.get("baseFeePerGas", "0x0"))
        try:
            tip = self._quantity("eth_maxPriorityFeePerGas")
        except _RpcError:
            tip = TIP_WEI
        return Fees(max_fee=2 * base + tip, priority=tip)

    def sign_append(
        self, *, size: int, root: bytes, proof: Sequence[bytes], nonce: int, fees: Fees
    ) -> SignedTx:
        """See `ChainPort.sign_append`."""
        return self._key.sign(
            chain_id=self.info().chain_id,
            nonce=nonce,
            gas=append_gas(len(proof)),
            fees=fees,
            to=bytes.fromhex(self._address()[2:]),
            data=abi.encode_append(size=size, root=root, proof=proof),
        )

    def send(self, raw: bytes) -> None:
        """See `ChainPort.send`."""
        try:
            self._ask("eth_sendRawTransaction", "0x" + raw.hex())
        except _RpcError as exc:
            message = exc.message.lower()
            if any(known in message for known in _KNOWN):
                return
            if self._receipt("0x" + keccak(raw).hex()) is not None:
                return
            for needle, code, text in _REFUSALS:
                if needle in message:
                    raise ConflictError(text, code=code) from exc
            raise ConflictError(
                f"the chain refuses this transaction: {exc.message}", code="chain.refused"
            ) from exc

    def find_append(self, *, size: int, root: bytes) -> AppendSeen | None:
        """See `ChainPort.find_append`: the contract accepts each size once, so at most one event matches."""
        topics = ["0x" + abi.CHECKPOINT_TOPIC.hex(), None, "0x" + size.to_bytes(32, "big").hex()]
        for record in self._logs(topics, since=self._require_deployment().block_number):
            seen = abi.decode_checkpoint(
                [data_of(topic, length=32) for topic in record["topics"]], data_of(record["data"])
            )
            if seen is None or seen.root != root:
                continue
            receipt = self._receipt(str(record["transactionHash"]))
            if receipt is None or receipt.get("blockHash") != record["blockHash"]:
                return None  # A reorganisation between the two questions: ask again later.
            number = quantity(record["blockNumber"])
            block = self._block("eth_getBlockByHash", record["blockHash"])
            return AppendSeen(
                tx_hash="0x" + data_of(record["transactionHash"], length=32).hex(),
                block_number=number,
                block_hash="0x" + data_of(record["blockHash"], length=32).hex(),
                block_time=UnixSeconds(quantity(block["timestamp"])),
                gas_used=quantity(receipt["gasUsed"]),
                size=seen.size,
                root=seen.root,
                final=number <= self._final_number(),
            )
        return None

    def evidence(self, block_number: int) -> dict[str, Json]:
        """See `ChainPort.evidence`: `eth_getProof`, and the header rebuilt and checked against its hash."""
        slots = {"root": abi.ROOT_SLOT, "head": abi.HEAD_SLOT}
        block = self._block("eth_getBlockByNumber", hex(block_number))
        keys = ["0x" + slot.to_bytes(32, "big").hex() for slot in slots.values()]
        try:
            proof = self._ask("eth_getProof", self._address(), keys, hex(block_number))
        except _RpcError as exc:
            raise UnavailableError(
                f"the node gives no proof of that block's state: {exc.message}",
                code="chain.evidence_unavailable",
            ) from exc
        policy = self._validators(block)
        try:
            return evidence_json(
                info=self.info(),
                contract=self._address(),
                block_number=block_number,
                block_hash=str(block["hash"]).lower(),
                header_rlp=header_rlp(block),
                account_proof=[data_of(node) for node in proof["accountProof"]],
                storage_proofs={
                    name: (
                        slot,
                        int(str(entry["value"]), 16),
                        [data_of(node) for node in entry["proof"]],
                    )
                    for (name, slot), entry in zip(
                        slots.items(), proof["storageProof"], strict=True
                    )
                },
                code_hash="0x" + data_of(proof["codeHash"], length=32).hex(),
                seals=seals_json(
                    self._consensus,
                    block_number,
                    ask_block=self._block_or_none,
                    most=max(CONFIRMATIONS, self._confirmations),
                ),
                validators=None if policy is None else policy.as_json(),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise malformed("eth_getProof") from exc

    def admit(self, relayer: bytes) -> None:
        """See `ActsPort.admit`: a person gives the relayer money."""
        self._require_deployment()
        if self._quantity("eth_getBalance", "0x" + relayer.hex(), "latest") == 0:
            raise ConflictError(
                "the relayer's account has no money",
                code="chain.insufficient_funds",
                account="0x" + relayer.hex(),
            )

    def nonce_of(self, account: bytes, *, final: bool = False) -> int:
        """See `ActsPort.nonce_of`."""
        tag = self._final_tag() if final else "latest"
        return self._quantity("eth_getTransactionCount", "0x" + account.hex(), tag)

    def gas_for(self, sender: bytes, *, to: bytes | None, data: bytes) -> int:
        """See `ActsPort.gas_for`: what the node estimates and a quarter more."""
        request = {"from": "0x" + sender.hex(), "data": "0x" + data.hex()}
        if to is not None:
            request["to"] = "0x" + to.hex()
        try:
            estimate = self._quantity("eth_estimateGas", request)
        except _RpcError as exc:
            raise ConflictError(
                f"the chain says that this would fail: {exc.message}", code="chain.refused"
            ) from exc
        return min(estimate * 5 // 4, CALL_GAS_MAX)

    def ask(self, to: bytes, data: bytes) -> CallAnswer:
        """See `ActsPort.ask`."""
        request = {"to": "0x" + to.hex(), "data": "0x" + data.hex(), "gas": hex(CALL_GAS_MAX)}
        try:
            return CallAnswer(done=True, data=self._bytes("eth_call", request, "latest"))
        except _RpcError as exc:
            if exc.revert is None:
                raise
            return CallAnswer(done=False, data=exc.revert)

    def code_hash_of(self, address: bytes) -> str:
        """See `ActsPort.code_hash_of`."""
        return self._code_hash("0x" + address.hex())

    def transaction(self, tx_hash: str) -> TxSeen | None:
        """See `ActsPort.transaction`."""
        receipt = self._receipt(tx_hash)
        if receipt is None or receipt.get("blockHash") is None:
            return None
        number = quantity(receipt["blockNumber"])
        block = self._block("eth_getBlockByHash", receipt["blockHash"])
        return TxSeen(
            tx_hash=tx_hash,
            block_number=number,
            block_hash="0x" + data_of(receipt["blockHash"], length=32).hex(),
            block_time=UnixSeconds(quantity(block["timestamp"])),
            gas_used=quantity(receipt["gasUsed"]),
            done=receipt.get("status") == "0x1",
            final=number <= self._final_number(),
        )

    def _address(self) -> str:
        return self._require_deployment().address

    def _require_deployment(self) -> Deployment:
        if self._deployment is None:
            raise ConflictError("the contract is not deployed yet", code="chain.not_deployed")
        return self._deployment

    def _recorded(self) -> Deployment | None:
        """The deployment that `contracts/deployments` names for this chain."""
        raw = artifacts.load_deployment(self.info().chain_id)
        if raw is None:
            return None
        return Deployment(
            chain_id=self.info().chain_id,
            address=str(raw["address"]).lower(),
            block_number=cast("int", raw["block_number"]),
            tx_hash=str(raw["tx_hash"]),
            artifact_sha256=str(raw["artifact_sha256"]),
            code_hash=str(raw["code_hash"]),
        )

    def _require_standing(self, known: Deployment) -> None:
        if known.chain_id != self.info().chain_id or known.code_hash != self._code_hash(
            known.address
        ):
            raise ConflictError(
                "this chain does not hold the contract that the database knows",
                code="chain.deployment_missing",
                chain_id=self.info().chain_id,
            )
        call = {"to": known.address, "data": "0x" + abi.WRITER.hex()}
        if abi.decode_address(self._bytes("eth_call", call, "latest")) != self._key.address_hex:
            raise ConflictError(
                "this key is not the writer of the contract", code="chain.not_writer"
            )

    def _earlier(self) -> Deployment | None:
        """A deployment by this key whose record was lost, e.g. by a crash right after it was mined."""
        for nonce in range(min(self.nonce(), DEPLOY_NONCES_SEARCHED)):
            address = "0x" + created_address(self._key.address, nonce).hex()
            found = self._code_hash(address)
            artifact = next((it for it in self._artifacts if _code_hash_text(it) == found), None)
            if artifact is not None:
                topics = ["0x" + _WRITER_TOPIC.hex(), "0x" + bytes(32).hex()]
                for record in self._logs(topics, since=0, address=address):
                    number = quantity(record["blockNumber"])
                    return self._deployed(artifact, address, number, str(record["transactionHash"]))
        return None

    def _create(self) -> Deployment:
        nonce, artifact = self.nonce(), self._runnable()
        signed = self._key.sign(
            chain_id=self.info().chain_id,
            nonce=nonce,
            gas=DEPLOY_GAS,
            fees=self.fees(),
            to=None,
            data=artifact.bytecode + abi.encode_constructor(self._key.address),
        )
        # A crash after this line: `_earlier` finds the contract, or the next run reuses the nonce.
        self.send(signed.raw)
        for _ in range(1 + int(self._deploy_wait_seconds / POLL_SECONDS)):
            receipt = self._receipt(signed.tx_hash)
            if receipt is not None:
                if receipt.get("status") != "0x1":
                    raise ConflictError("the deployment failed", code="chain.refused")
                address = "0x" + created_address(self._key.address, nonce).hex()
                number = quantity(receipt["blockNumber"])
                return self._deployed(artifact, address, number, signed.tx_hash)
            self._sleep(POLL_SECONDS)
        raise UnavailableError(
            "the deployment was sent and is not mined yet; try again", code="chain.deploy_pending"
        )

    def _runnable(self) -> artifacts.Artifact:
        """The newest build of the contract whose instructions this chain knows."""
        try:
            self._ask("eth_call", {"data": _PUSH0_CANARY}, "latest")
        except _RpcError:
            return self._artifacts[1]
        return self._artifacts[0]

    def _deployed(
        self, artifact: artifacts.Artifact, address: str, block_number: int, tx_hash: str
    ) -> Deployment:
        return Deployment(
            chain_id=self.info().chain_id,
            address=address,
            block_number=block_number,
            tx_hash=tx_hash,
            artifact_sha256=artifact.sha256,
            code_hash=_code_hash_text(artifact),
        )

    def _code_hash(self, address: str) -> str:
        return "0x" + keccak(self._bytes("eth_getCode", address, "latest")).hex()

    def _logs(
        self, topics: Sequence[str | None], *, since: int, address: str | None = None
    ) -> list[dict[str, Any]]:
        question = {
            "address": address or self._address(),
            "topics": list(topics),
            "fromBlock": hex(since),
            "toBlock": "latest",
        }
        answer = self._ask("eth_getLogs", question)
        if not isinstance(answer, list):
            raise malformed("eth_getLogs")
        return [record for record in answer if not record.get("removed")]

    def _receipt(self, tx_hash: str) -> dict[str, Any] | None:
        try:
            answer = self._ask("eth_getTransactionReceipt", tx_hash)
        except _RpcError as exc:
            # geth, in its first seconds: it cannot find transactions yet, and says so as an error.
            if _INDEXING in exc.message.lower():
                return None
            raise
        if answer is not None and not isinstance(answer, dict):
            raise malformed("receipt")
        return answer

    def _final_tag(self) -> str:
        return hex(self._final_number())

    def _final_number(self) -> int:
        """Number of the newest final block."""
        self.info()
        if self._knows_final:
            answer = self._ask_final()
            if isinstance(answer, dict):
                return quantity(answer.get("number"))
            raise malformed("finalized block")
        if self._final_at_once():
            newest = self._block("eth_getBlockByNumber", "latest")
            if has_quorum(newest):
                return quantity(newest.get("number"))
        return max(0, self._quantity("eth_blockNumber") - self._confirmations)

    def _final_at_once(self) -> bool:
        return self._consensus not in (None, CLIQUE)

    def _finality(self) -> str:
        """The rule by which blocks count as final here, in words."""
        if self._knows_final:
            return "the node's finalized block"
        if self._final_at_once():
            return f"commit seals of two thirds of the validators ({NAMES[str(self._consensus)]})"
        clique = f" ({NAMES[CLIQUE]})" if self._consensus == CLIQUE else ""
        return f"{self._confirmations} blocks on top{clique}"

    def _validators(self, block: Mapping[str, Any]) -> ValidatorPolicy | None:
        return policy_of(
            self._consensus,
            block,
            ask_block=self._block_or_none,
            ask_signers=self._clique_signers,
        )

    def _clique_signers(self, number: int) -> Any:
        try:
            return self._ask("clique_getSigners", hex(number))
        except _RpcError:
            return None  # Many nodes serve this question to their own operator only.

    def _block_or_none(self, which: str) -> dict[str, Any] | None:
        try:
            answer = self._ask("eth_getBlockByNumber", which, *_WITHOUT_TRANSACTIONS)
        except _RpcError:
            return None
        return answer if isinstance(answer, dict) else None

    def _ask_final(self) -> Any:
        """The node's newest finalized block; None where it has no such notion."""
        try:
            return self._ask("eth_getBlockByNumber", "finalized", *_WITHOUT_TRANSACTIONS)
        except _RpcError:
            return None

    def _block(self, method: str, which: str) -> dict[str, Any]:
        answer = self._ask(method, which, *_WITHOUT_TRANSACTIONS)
        if not isinstance(answer, dict):
            raise UnavailableError("the node has no such block", code="chain.block_unknown")
        return answer

    def _quantity(self, method: str, *params: Any) -> int:
        return quantity(self._ask(method, *params))

    def _bytes(self, method: str, *params: Any) -> bytes:
        return data_of(self._ask(method, *params))

    def _ask(self, method: str, *params: Any) -> Any:
        """One question, one answer; never retried here."""
        try:
            response = self._provider.make_request(RPCEndpoint(method), list(params))
        except (requests.RequestException, Web3Exception, ValueError, OSError) as exc:
            # The cause may repeat the URL with its secret, so it stays out of the message.
            raise UnavailableError(
                "the chain node does not answer; nothing is lost, it will be asked again",
                code="chain.unreachable",
                method=method,
            ) from exc
        if not isinstance(response, Mapping):
            raise malformed(method)
        error = response.get("error")
        if error is not None:
            raise _RpcError(error)
        if "result" not in response:
            raise malformed(method)
        return response["result"]


def _code_hash_text(artifact: artifacts.Artifact) -> str:
    return "0x" + artifact.code_hash.hex()


class _RpcError(UnavailableError):
    """The node answered with an error of its own; where nobody expects one, it is as good as no answer."""

    def __init__(self, error: Any) -> None:
        text = error.get("message") if isinstance(error, Mapping) else error
        self.node_message = str(text)[:200]
        super().__init__(
            f"the chain node answered with an error: {self.node_message}", code="chain.rpc_error"
        )
        self.message = self.node_message
        self.revert = _revert_data(error)
        """What the contract said, where the node says that a contract refused."""


def _revert_data(error: Any) -> bytes | None:
    if not isinstance(error, Mapping):
        return None
    data = error.get("data")
    if isinstance(data, Mapping):  # some nodes wrap it
        data = data.get("data")
    if isinstance(data, str) and data.startswith("0x"):
        try:
            return bytes.fromhex(data[2:])
        except ValueError:
            return None
    return b"" if "revert" in str(error.get("message", "")).lower() else None
