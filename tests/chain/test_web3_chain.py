"""A node that is down, slow, hostile or of another make: a stable code, and no secret in any message."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import rlp

from ledger.chain import Deployment, Fees
from ledger.chain_key import OperatorKey
from ledger.chain_proof import verify_chain_evidence
from ledger.core.errors import ConflictError, InputError, NotFoundError, UnavailableError
from ledger.validator_seals import ValidatorPolicy, verify_seals
from ledger.web3_chain import Web3Chain, open_json_rpc_chain

GOLDEN = Path(__file__).parents[1] / "golden" / "chain"
SECRET = "api-key-7777"
DEPLOYMENT = Deployment(
    chain_id=5,
    address="0x" + "11" * 20,
    block_number=1,
    tx_hash="0x" + "22" * 32,
    artifact_sha256="33" * 32,
    code_hash="0x" + "44" * 32,
)


class Node:
    """A JSON-RPC server on loopback that answers from a table; an Exception becomes an error answer."""

    def __init__(self):
        self.answers, self.raw, self.delay, self.asked = {}, None, 0.0, []
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                node.asked.append(request["method"])
                time.sleep(node.delay)
                body = {"jsonrpc": "2.0", "id": request["id"]}
                answer = node.answers.get(request["method"], Exception("method not found"))
                if callable(answer):
                    answer = answer(*request["params"])
                if isinstance(answer, Exception):
                    body["error"] = {"code": -32000, "message": str(answer)}
                else:
                    body["result"] = answer
                data = json.dumps(body).encode() if node.raw is None else node.raw
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def node():
    made = Node()
    made.answers = {"eth_chainId": "0x5", "web3_clientVersion": "test node"}
    yield made
    made.close()


def adapter(url, **options):
    chain = Web3Chain(url, key=OperatorKey.create(), timeout_seconds=1, **options)
    chain._deployment = DEPLOYMENT
    return chain


def unavailable(call):
    with pytest.raises(UnavailableError) as caught:
        call()
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.context)
    return caught.value.error_code


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_opening_asks_the_node_nothing(tmp_path):
    key = tmp_path / "writer.key"
    OperatorKey.load_or_create(key)
    open_json_rpc_chain(f"http://127.0.0.1:{closed_port()}", key_file=key)


@pytest.mark.parametrize(
    ("url", "with_key", "error", "code"),
    [
        ("ws://127.0.0.1:1", True, InputError, "chain.url"),
        ("http://127.0.0.1:1", False, InputError, "chain.key_required"),
        ("http://127.0.0.1:1", True, NotFoundError, "chain.key_missing"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path, url, with_key, error, code):
    with pytest.raises(error) as caught:
        open_json_rpc_chain(url, key_file=tmp_path / "none.key" if with_key else None)
    assert caught.value.error_code == code


def test_a_node_that_is_not_there_is_unreachable():
    chain = adapter(f"http://127.0.0.1:{closed_port()}/{SECRET}")
    fees = Fees(max_fee=1, priority=1)
    for call in (
        chain.info,
        chain.deploy,
        chain.head,
        chain.nonce,
        chain.fees,
        lambda: chain.send(b"\x02"),
        lambda: chain.find_append(size=1, root=bytes(32)),
        lambda: chain.evidence(1),
        lambda: chain.sign_append(size=1, root=bytes(32), proof=[], nonce=0, fees=fees),
    ):
        assert unavailable(call) == "chain.unreachable"


def test_a_node_that_never_answers_is_given_up_in_time(node):
    node.delay = 3
    began = time.monotonic()
    assert unavailable(adapter(node.url).nonce) == "chain.unreachable"
    assert time.monotonic() - began < 2.5


def test_a_send_is_never_repeated_behind_our_back(node):
    node.delay = 1.5
    unavailable(lambda: adapter(node.url).send(b"\x02"))
    time.sleep(0.8)
    assert node.asked == ["eth_sendRawTransaction"]


@pytest.mark.parametrize("raw", [b"", b"<html>busy</html>", b"[]", b"{}", b'{"result":'])
def test_an_answer_that_is_no_json_rpc_is_not_believed(node, raw):
    node.raw = raw
    assert unavailable(adapter(node.url).nonce) in ("chain.unreachable", "chain.answer_malformed")


@pytest.mark.parametrize("value", [None, 7, "", "0x", "7", "0x-1", "0x1z", [], {}, "0x" + "f" * 65])
def test_a_number_that_is_none_is_not_believed(node, value):
    node.answers["eth_getTransactionCount"] = value
    assert unavailable(adapter(node.url).nonce) == "chain.answer_malformed"


@pytest.mark.parametrize("value", ["0x1234", "0xzz", None, 5])
def test_a_head_that_is_none_is_not_believed(node, value):
    node.answers["eth_call"] = value
    assert unavailable(adapter(node.url).head) == "chain.answer_malformed"


def test_an_empty_answer_means_that_no_contract_stands_there(node):
    node.answers["eth_call"] = "0x"
    with pytest.raises(ConflictError) as caught:
        adapter(node.url).head()
    assert caught.value.error_code == "chain.not_deployed"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonce too low: next nonce 4, tx nonce 3", "chain.nonce_used"),
        ("replacement transaction underpriced", "chain.underpriced"),
        ("max fee per gas less than block base fee", "chain.underpriced"),
        ("insufficient funds for gas * price + value", "chain.insufficient_funds"),
        ("Nonce too high", "chain.nonce_gap"),
        # In Besu's words.
        ("Nonce too low", "chain.nonce_used"),
        ("Upfront cost exceeds account balance", "chain.insufficient_funds"),
        ("Gas price below configured minimum gas price", "chain.underpriced"),
        ("Gas price below current base fee", "chain.underpriced"),
        ("Replacement transaction underpriced", "chain.underpriced"),
        ("the moon is in the wrong house", "chain.refused"),
    ],
)
def test_each_refusal_has_its_code(node, message, code):
    node.answers |= {
        "eth_sendRawTransaction": Exception(message),
        "eth_getTransactionReceipt": None,
    }
    with pytest.raises(ConflictError) as caught:
        adapter(node.url).send(b"\x02")
    assert caught.value.error_code == code


def test_a_transaction_the_node_has_already_is_not_refused(node):
    node.answers["eth_sendRawTransaction"] = Exception("already known")
    adapter(node.url).send(b"\x02")
    node.answers["eth_sendRawTransaction"] = Exception("nonce too low")
    node.answers["eth_getTransactionReceipt"] = {"status": "0x1"}
    adapter(node.url).send(b"\x02")


def test_a_node_that_still_indexes_has_no_receipt_yet(node):
    node.answers["eth_getTransactionReceipt"] = Exception("transaction indexing is in progress")
    assert adapter(node.url)._receipt("0x" + "22" * 32) is None
    node.answers["eth_getTransactionReceipt"] = Exception("database is broken")
    assert unavailable(lambda: adapter(node.url)._receipt("0x" + "22" * 32)) == "chain.rpc_error"


def test_a_node_that_holds_another_contract_is_not_written_to(node):
    node.answers["eth_getCode"] = "0x6000"
    with pytest.raises(ConflictError) as caught:
        adapter(node.url).deploy(DEPLOYMENT)
    assert caught.value.error_code == "chain.deployment_missing"
    assert "eth_sendRawTransaction" not in node.asked


def test_a_header_that_does_not_hash_to_its_block_is_not_evidence(node):
    word, number = "0x" + "00" * 32, "0x1"
    node.answers["eth_getBlockByNumber"] = {
        "parentHash": word, "sha3Uncles": word, "miner": "0x" + "00" * 20, "stateRoot": word,
        "transactionsRoot": word, "receiptsRoot": word, "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x0", "number": number, "gasLimit": number, "gasUsed": number,
        "timestamp": number, "extraData": "0x", "mixHash": word, "nonce": "0x" + "00" * 8,
        "hash": "0x" + "ab" * 32,
    }  # fmt: skip
    node.answers["eth_getProof"] = {}
    assert unavailable(lambda: adapter(node.url).evidence(1)) == "chain.evidence_unavailable"


@pytest.mark.parametrize("rule", ["qbft", "ibft2"])
def test_a_besu_block_gives_evidence_with_seals_and_is_final_at_once(node, rule):
    golden = json.loads((GOLDEN / f"seals_{rule}.json").read_text(encoding="utf-8"))
    told, evidence = golden["block_as_told_by_a_node"], golden["evidence"]
    proofs = [evidence["storage_proofs"][name] for name in ("root", "head")]
    node.answers |= {
        "eth_getBlockByNumber": lambda which, *_: (
            Exception("unknown block") if which == "finalized" else told
        ),
        "eth_blockNumber": hex(10_000),
        "eth_getProof": {
            "accountProof": evidence["account_proof"],
            "storageProof": proofs,
            "codeHash": evidence["code_hash"],
        },
    }
    chain = adapter(node.url)
    chain._deployment = dataclasses.replace(DEPLOYMENT, address=evidence["contract"])
    made = chain.evidence(evidence["block_number"])
    assert made["seals"] == evidence["seals"]
    assert made["header_rlp"] == evidence["header_rlp"]
    verify_chain_evidence(made, size=golden["size"], root=bytes.fromhex(golden["root"]))
    assert verify_seals(made, policy=ValidatorPolicy.of(3, golden["validators"])).enough
    assert "commit seals of two thirds" in made["finality"]
    assert chain._final_number() == int(told["number"], 16)
    # Without a quorum the node's word is not enough: blocks are counted.
    extra = rlp.decode(bytes.fromhex(told["extraData"][2:]))
    told["extraData"] = "0x" + rlp.encode([*extra[:4], extra[4][:1]]).hex()
    assert chain._final_number() == 10_000 - 12


def test_an_old_chain_gets_the_build_without_new_instructions(node):
    chain = adapter(node.url)
    node.answers["eth_call"] = Exception("invalid opcode: PUSH0")
    older = chain._runnable()
    node.answers["eth_call"] = "0x"
    newer = chain._runnable()
    assert newer.code_hash != older.code_hash
    assert newer.source_sha256 == older.source_sha256


def test_a_node_without_finality_counts_blocks(node):
    node.answers |= {"eth_blockNumber": "0x64", "eth_getTransactionCount": "0x2"}
    chain = adapter(node.url)
    assert chain.info().finality == "12 blocks on top"
    assert chain._final_number() == 100 - 12
