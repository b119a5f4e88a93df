"""I2: who may write which slot, read from the compiler's syntax tree; and what no contract of ours can do.

A record is written by one function, and that function asks first whether it is there; that the question
cannot be left out is shown by the forge tests and by mutation. Here: no other function writes it.
"""

from __future__ import annotations

import shutil
from functools import cache

import pytest
import solcx

from contracts import artifacts
from contracts import compile as build
from ledger.core.errors import UnavailableError

FORBIDDEN = {
    0xF0: "CREATE",
    0xF2: "CALLCODE",
    0xF4: "DELEGATECALL",
    0xF5: "CREATE2",
    0xFF: "SELFDESTRUCT",
}
PUSH1, PUSH32, INVALID = 0x60, 0x7F, 0xFE

ALLOWED = {"Sm2Verifier": {"CREATE"}}
"""A prepared key's table is kept as the code of a contract that nobody can call (it begins with STOP)."""

DATA_BYTES = {"Sm2Verifier": 16_700}
"""The table of multiples of the base point. Elsewhere: INVALID and at most one word."""

WRITERS = {
    ("EvidenceLog", "_root"): {"constructor", "append"},
    ("EvidenceLog", "_size"): {"append"},
    ("EvidenceLog", "_time"): {"constructor", "append"},
    ("EvidenceLog", "_index"): {"append"},
    ("EvidenceLog", "_writer"): {"constructor", "acceptWriter"},
    ("EvidenceLog", "_pendingWriter"): {"offerWriter", "acceptWriter"},
    ("Seals", "_registry"): {"constructor"},
    ("Seals", "_log"): {"constructor"},
    ("Seals", "_documentVerifiers"): {"constructor"},
    ("Seals", "_records"): {"_write"},
    ("Seals", "_revocations"): {"revoke"},
    ("Seals", "_promoted"): {"promote"},
    ("Rulings", "_rulings"): {"rule"},
    ("Rulings", "_benches"): {"_fill", "_seat", "enact"},
    ("Rulings", "_readyAt"): {"propose", "cancel", "enact"},
    ("Rulings", "_delay"): {"constructor"},
    ("Rounds", "_rounds"): {"open", "post", "prove", "strike", "finalise"},
    ("SignerRegistry", "_keys"): {"register", "revoke"},
    ("SignerRegistry", "_identities"): {"register"},
    ("SignerRegistry", "_registrars"): {"_setRegistrars"},
    ("SignerRegistry", "_epoch"): {"_setRegistrars"},
    ("SignerRegistry", "_threshold"): {"_setRegistrars"},
    ("SignerRegistry", "_count"): {"_setRegistrars"},
    ("SignerRegistry", "_offered"): {"offerRegistrars", "acceptRegistrars"},
    ("SupplyLots", "_lots"): {"mint", "consume"},
    ("SupplyLots", "_positions"): {"mint", "_move", "consume", "accept", "reject", "applyRuling"},
    ("SupplyLots", "_frozenBy"): {"applyRuling"},
    ("SupplyLots", "_rulings"): {"constructor"},
    ("CmsVerifier", "_native"): {"constructor"},
    ("Sm2Verifier", "_prepared"): {"prepare"},
    ("P256Verifier", "_native"): {"constructor"},
}
"""(contract, state variable) -> functions that write it. A new writer is argued here before it passes."""


def instructions(code):
    """The opcodes of runtime code, up to the INVALID behind which the compiler puts data."""
    place = 0
    while place < len(code):
        opcode = code[place]
        if opcode == INVALID:
            return
        yield opcode
        place += 1 + (opcode - PUSH1 + 1 if PUSH1 <= opcode <= PUSH32 else 0)


@pytest.mark.parametrize("name", [path.rpartition("/")[2] for path in build.CONTRACTS])
def test_no_contract_can_make_destroy_or_lend_itself_to_other_code(name):
    code = artifacts.load(name).deployed_bytecode
    found = {FORBIDDEN[op] for op in instructions(code) if op in FORBIDDEN}
    assert found == ALLOWED.get(name, set())


def test_the_scan_sees_an_instruction_and_not_the_same_byte_in_a_constant():
    assert list(instructions(bytes([0x61, 0xFF, 0xF4, 0xFF, INVALID, 0xF4]))) == [0x61, 0xFF]


def test_nothing_but_constant_tables_is_left_out_of_the_scan():
    for path in build.CONTRACTS:
        name = path.rpartition("/")[2]
        code = artifacts.load(name).deployed_bytecode
        place = 0
        for opcode in instructions(code):
            place += 1 + (opcode - PUSH1 + 1 if PUSH1 <= opcode <= PUSH32 else 0)
        assert len(code) - place <= DATA_BYTES.get(name, 33), (name, len(code) - place)


@cache
def trees():
    """The compiler's syntax tree of every source file of ours."""
    try:
        compiler = build.find_compiler()
    except UnavailableError as exc:
        pytest.skip(str(exc))
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in build.read_sources().items()},
        "settings": {
            "evmVersion": build.EVM_VERSION,
            "outputSelection": {"*": {"": ["ast"]}},
        },
    }
    answer = solcx.compile_standard(request, solc_binary=compiler)
    return [found["ast"] for name, found in answer["sources"].items() if name.startswith("src/")]


def nodes(root):
    """Every node of a tree."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "nodeType" in node:
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def base_of(expression):
    """The identifiers that an expression's place starts from; a call's may come from any of its arguments."""
    kind = expression["nodeType"]
    if kind == "Identifier":
        return {expression["referencedDeclaration"]}
    if kind == "MemberAccess":
        return base_of(expression["expression"])
    if kind == "IndexAccess":
        return base_of(expression["baseExpression"])
    if kind == "TupleExpression":
        return set().union(*(base_of(part) for part in expression["components"] if part))
    return set()


def written_in(function):
    """Declarations whose place a function writes, followed through its storage references."""
    aliases, found = {}, set()
    for node in nodes(function):
        kind = node["nodeType"]
        if kind == "VariableDeclarationStatement" and node.get("initialValue"):
            for declared in node["declarations"]:
                if declared and declared["storageLocation"] == "storage":
                    aliases[declared["id"]] = base_of(node["initialValue"])
        elif kind == "InlineAssembly":
            # A storage reference may get its slot in assembly: from any variable whose slot is named there.
            slots = {use["declaration"] for use in node["externalReferences"] if use["isSlot"]}
            for place in slots:
                aliases[place] = aliases.get(place, set()) | (slots - {place})
        elif kind == "Assignment":
            found |= base_of(node["leftHandSide"])
        elif kind == "UnaryOperation" and node["operator"] in ("++", "--", "delete"):
            found |= base_of(node["subExpression"])
        elif kind == "MemberAccess" and node["memberName"] in ("push", "pop"):
            found |= base_of(node["expression"])
    while True:
        further = found.union(*(aliases.get(place, set()) for place in found))
        if further == found:
            return found
        found = further


def test_every_state_variable_is_written_by_the_functions_that_may_and_by_no_other():
    found = {}
    for tree in trees():
        for contract in (n for n in nodes(tree) if n["nodeType"] == "ContractDefinition"):
            variables = {
                part["id"]: part["name"]
                for part in contract["nodes"]
                if part["nodeType"] == "VariableDeclaration" and not part["constant"]
            }
            for name in variables.values():
                found.setdefault((contract["name"], name), set())
            for part in contract["nodes"]:
                if part["nodeType"] == "FunctionDefinition" and part.get("body"):
                    for place in written_in(part["body"]) & variables.keys():
                        name = part["name"] or part["kind"]
                        found[(contract["name"], variables[place])].add(name)
    assert found == WRITERS


def test_no_assembly_writes_storage():
    for tree in trees():
        for node in nodes(tree):
            if node["nodeType"] == "YulFunctionCall":
                assert node["functionName"]["name"] not in {"sstore", "tstore"}, node["src"]


def test_no_storage_reference_is_handed_to_another_function():
    """Else a function could write through a parameter, and the table above would not know it."""
    for tree in trees():
        for function in (n for n in nodes(tree) if n["nodeType"] == "FunctionDefinition"):
            for parameter in function["parameters"]["parameters"]:
                assert parameter["storageLocation"] != "storage", (
                    tree["absolutePath"],
                    function["name"],
                )
