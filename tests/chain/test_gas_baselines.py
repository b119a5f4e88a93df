"""Our gas beside that of EAS and OpenZeppelin: their contracts, from their npm packages, on the same node.

Compiled here with our compiler and settings; EAS pins another compiler in its pragma, which alone is
lifted. Figures stand in contracts/gas_baselines.json; `python tests/chain/test_gas_baselines.py` writes them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
import solcx
from eth_abi.abi import encode
from eth_hash.auto import keccak
from eth_keys import keys

from contracts import artifacts
from contracts import compile as compiler
from contracts.seals_testing import FAR, RevertedError, anvil, anvil_missing
from ledger.core.errors import UnavailableError

ROOT = Path(__file__).parents[2]
FILE = ROOT / "contracts" / "gas_baselines.json"
OURS = ROOT / "contracts" / "gas.json"
EAS = "@ethereum-attestation-service/eas-contracts"
TOKEN = """// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";

contract Token is ERC20Permit, Multicall {
    constructor(address holder) ERC20("lot", "LOT") ERC20Permit("lot") {
        _mint(holder, 1000);
    }
}
"""
PROOFS = """// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

contract Proofs {
    function check(bytes32[] calldata path, bytes32 root, bytes32 leaf) external pure returns (bool) {
        return MerkleProof.verifyCalldata(path, root, leaf);
    }
}
"""
ATTEST = keccak(
    b"Attest(address attester,bytes32 schema,address recipient,uint64 expirationTime,bool revocable,"
    b"bytes32 refUID,bytes data,uint256 value,uint256 nonce,uint64 deadline)"
)
PERMIT = keccak(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
DOMAIN = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
ATTEST_KIND = (
    "(bytes32,(address,uint64,bool,bytes32,bytes,uint256),(uint8,bytes32,bytes32),address,uint64)"
)
BESIDE = {
    "eas_timestamp": "checkpoint_1m",
    "eas_timestamp_per_document_1024": "per_document_1024",
    "eas_attest_by_delegation_first": "seal_p256_1",
    "eas_attest_by_delegation_2": "seal_p256_2",
    "eas_attest_by_delegation_3": "seal_p256_3",
    "oz_permit_and_transfer_new": "lot_move_new",
    "oz_permit_and_transfer_existing": "lot_move_existing",
    "oz_transfer_new": "lot_move_new",
    "oz_transfer_existing": "lot_move_existing",
}
"""Their figure -> ours for the same job, or the nearest; `NOTES` says what theirs leaves out."""
NOTES = {
    "eas_timestamp": "stores a root; asks for no proof that it extends the one before",
    "eas_timestamp_per_document_1024": "the same root for 1,024 documents",
    "eas_attest_by_delegation_first": "one signature, secp256k1 only, an attester's first",
    "eas_attest_by_delegation_2": "two transactions: an attestation has one signer",
    "eas_attest_by_delegation_3": "three transactions",
    "oz_permit_and_transfer_new": "a relayed, signed transfer: permit and transferFrom in one multicall",
    "oz_permit_and_transfer_existing": "the same to a holder who has some",
    "oz_transfer_new": "no signature checked: the holder itself must send and pay",
    "oz_transfer_existing": "the same to a holder who has some",
    "oz_merkle_proof_20": "keccak-256, sorted pairs, a leaf told by nothing from an inner node",
}
HOLDER = keys.PrivateKey((7).to_bytes(32, "big"))
OTHERS = [keys.PrivateKey(seed.to_bytes(32, "big")) for seed in (8, 9)]


def word(value):
    return value.to_bytes(32, "big")


def selector(text):
    return keccak(text.encode())[:4]


def compiled():
    """Their creation codes, and the versions they are of."""
    names = (f"{EAS}/contracts/EAS.sol", f"{EAS}/contracts/SchemaRegistry.sol")
    ours = {"Token.sol": TOKEN, "Proofs.sol": PROOFS}
    imports = [name for text in ours.values() for name in re.findall(r'from "(@[^"]+)"', text)]
    try:
        program = compiler.find_compiler()
        texts = compiler.read_sources((*names, *imports))
    except UnavailableError as exc:
        pytest.skip(f"EAS or OpenZeppelin cannot be compiled here: {exc}")
    texts = {name: text for name, text in texts.items() if name.startswith("@")}
    lifted = {
        name: re.sub(r"pragma solidity 0\.8\.\d+;", "pragma solidity ^0.8.0;", text)
        if name.startswith(EAS)
        else text
        for name, text in texts.items()
    }
    settings = json.loads((artifacts.ARTIFACTS / "Seals.json").read_text(encoding="utf-8"))
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in {**lifted, **ours}.items()},
        "settings": settings["settings"],
    }
    made = solcx.compile_standard(request, solc_binary=program)["contracts"]
    return {
        Path(path).stem: bytes.fromhex(made[path][Path(path).stem]["evm"]["bytecode"]["object"])
        for path in (*names, *ours)
    }


def versions():
    return {
        name: json.loads((compiler.PACKAGES / name / "package.json").read_text("utf-8"))["version"]
        for name in (EAS, "@openzeppelin/contracts")
    }


def typed(node, name, version, contract, struct):
    domain = keccak(
        DOMAIN + keccak(name) + keccak(version) + word(node.chain_id) + contract.rjust(32, b"\x00")
    )
    return keccak(b"\x19\x01" + domain + keccak(struct))


def parts(key, digest):
    made = key.sign_msg_hash(digest)
    return 27 + made.v, word(made.r), word(made.s)


def account(key):
    return key.public_key.to_canonical_address()


def eas_gas(node, codes):
    registry = node.send(codes["SchemaRegistry"]).address
    eas = node.send(codes["EAS"] + encode(["address"], [registry])).address
    schema_text = "bytes32 document"
    node.send(
        selector("register(string,address,bool)")
        + encode(["string", "address", "bool"], [schema_text, bytes(20), True]),
        to=registry,
    )
    schema = keccak(schema_text.encode() + bytes(20) + b"\x01")
    root = hashlib.sha256(b"root").digest()
    gas = {"eas_timestamp": node.send(selector("timestamp(bytes32)") + root, to=eas).gas_used}
    gas["eas_timestamp_per_document_1024"] = -(-gas["eas_timestamp"] // 1024)

    def attest(key, signer):
        data = encode(["bytes32"], [root])
        struct = encode(
            [
                *("bytes32", "address", "bytes32", "address", "uint64", "bool", "bytes32"),
                *("bytes32", "uint256", "uint256", "uint64"),
            ],
            [ATTEST, account(key), schema, bytes(20), 0, True, bytes(32), keccak(data), 0, 0, FAR],
        )
        signature = parts(signer, typed(node, b"EAS", b"1.4.0", eas, struct))
        request = (schema, (bytes(20), 0, True, bytes(32), data, 0), signature, account(key), FAR)
        call = selector(f"attestByDelegation({ATTEST_KIND})") + encode([ATTEST_KIND], [request])
        return node.send(call, to=eas).gas_used

    with pytest.raises(RevertedError):
        attest(HOLDER, OTHERS[0])
    each = [attest(key, key) for key in (HOLDER, *OTHERS)]
    gas["eas_attest_by_delegation_first"] = each[0]
    for count in (2, 3):
        gas[f"eas_attest_by_delegation_{count}"] = sum(each[:count])
    return gas


def token_gas(node, codes):
    relayer = bytes.fromhex(node.ask("eth_accounts")[0][2:])
    receiver = account(OTHERS[0])
    transfer = selector("transfer(address,uint256)") + encode(
        ["address", "uint256"], [receiver, 100]
    )
    own = node.send(codes["Token"] + encode(["address"], [relayer])).address
    gas = {
        f"oz_transfer_{name}": node.send(transfer, to=own).gas_used for name in ("new", "existing")
    }
    signed = node.send(codes["Token"] + encode(["address"], [account(HOLDER)])).address
    for nonce, name in enumerate(("new", "existing")):
        struct = encode(
            ["bytes32", "address", "address", "uint256", "uint256", "uint256"],
            [PERMIT, account(HOLDER), relayer, 100, nonce, FAR],
        )
        v, r, s = parts(HOLDER, typed(node, b"lot", b"1", signed, struct))
        permit = selector("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)") + encode(
            ["address", "address", "uint256", "uint256", "uint8", "bytes32", "bytes32"],
            [account(HOLDER), relayer, 100, FAR, v, r, s],
        )
        move = selector("transferFrom(address,address,uint256)") + encode(
            ["address", "address", "uint256"], [account(HOLDER), receiver, 100]
        )
        call = selector("multicall(bytes[])") + encode(["bytes[]"], [[permit, move]])
        gas[f"oz_permit_and_transfer_{name}"] = node.send(call, to=signed).gas_used
    balance = node.call(signed, selector("balanceOf(address)") + receiver.rjust(32, b"\x00"))
    assert int.from_bytes(balance, "big") == 200
    return gas


def proof_gas(node, codes):
    proofs = node.send(codes["Proofs"]).address
    leaf = running = hashlib.sha256(b"leaf").digest()
    path = [hashlib.sha256(bytes([level])).digest() for level in range(20)]
    for sibling in path:
        running = keccak(min(running, sibling) + max(running, sibling))
    call = selector("check(bytes32[],bytes32,bytes32)")
    kinds = ["bytes32[]", "bytes32", "bytes32"]
    assert (
        int.from_bytes(node.call(proofs, call + encode(kinds, [path, running, leaf])), "big") == 1
    )
    assert int.from_bytes(node.call(proofs, call + encode(kinds, [path, leaf, leaf])), "big") == 0
    return {
        "oz_merkle_proof_20": node.send(
            call + encode(kinds, [path, running, leaf]), to=proofs
        ).gas_used
    }


def measure():
    codes = compiled()
    with anvil(hardfork="osaka") as node:
        return {**eas_gas(node, codes), **token_gas(node, codes), **proof_gas(node, codes)}


@pytest.fixture(scope="module")
def measured():
    reason = anvil_missing()
    if reason is not None:
        pytest.skip(reason)
    return measure()


@pytest.fixture(scope="module")
def file():
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_their_figures_are_those_recorded(measured, file):
    """Their signatures differ by no byte from run to run, so neither does their gas."""
    if versions() != file["versions"]:
        pytest.skip(f"other versions are installed than were recorded: {versions()}")
    assert measured == file["gas"]
    assert set(file["notes"]) == set(measured)


def test_ours_are_printed_beside_theirs_and_no_dearer_where_the_job_is_the_same(measured, capsys):
    ours = json.loads(OURS.read_text(encoding="utf-8"))
    with capsys.disabled():
        for name, gas in measured.items():
            mine = BESIDE.get(name)
            beside = f"{mine} {ours[mine]}" if mine else "-"
            sys.stdout.write(f"\n  {name} {gas} | ours: {beside} | theirs {NOTES[name]}")
        sys.stdout.write("\n")
    # A seal of two or three parties, and a signed move: the same job or more.
    for name in BESIDE:
        if name.startswith(("eas_attest", "oz_permit")):
            assert ours[BESIDE[name]] < measured[name], name


if __name__ == "__main__":
    body = {"versions": versions(), "notes": NOTES, "gas": measure()}
    written = json.dumps(body, indent=1, sort_keys=True) + "\n"
    FILE.write_text(written, encoding="utf-8")
    sys.stdout.write(written)
