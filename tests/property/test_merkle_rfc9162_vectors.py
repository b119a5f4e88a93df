"""The tree agrees with two implementations of RFC 9162 that are not ours, on every pair of sizes up to 64.

Vectors: tests/golden/merkle/go_vectors.json, made by scripts/merkle_go from golang.org/x/mod (the Go checksum
database) and github.com/transparency-dev/merkle (Trillian, Tessera). Where Go and both modules are on the
machine they also judge proofs of ours, good and tampered: `cd scripts/merkle_go && go mod download` once.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.core import merkle
from ledger.core.errors import VerificationError

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "scripts" / "merkle_go"
VECTORS_FILE = ROOT / "tests" / "golden" / "merkle" / "go_vectors.json"
VECTORS = json.loads(VECTORS_FILE.read_text("utf-8"))
SMALL = 64
NODE = merkle.reader_over([merkle.leaf_hash(bytes([i])) for i in range(SMALL)])
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]


@functools.cache
def uniform_levels():
    levels = [merkle.leaf_hash(b"fuqi test leaf")]
    for _ in range(merkle.PATH_MAX):
        levels.append(merkle.node_hash(levels[-1], levels[-1]))
    return levels


def uniform(level, _index):
    return uniform_levels()[level]


def digest_of(paths):
    """As `digest` in main.go: a byte of length and the steps of every path."""
    return hashlib.sha256(b"".join(bytes([len(p)]) + b"".join(p) for p in paths)).hexdigest()


def test_every_root_up_to_64_leaves_is_the_same_in_go():
    assert [merkle.root(size, NODE) for size in range(SMALL + 1)] == ROOTS


def test_every_inclusion_path_up_to_64_leaves_is_the_same_in_go_and_verifies():
    for size in range(1, SMALL + 1):
        paths = [merkle.inclusion_path(i, size=size, node=NODE) for i in range(size)]
        assert digest_of(paths) == VECTORS["inclusion_sha256"][size - 1], size
        for index, path in enumerate(paths):
            merkle.verify_inclusion(
                NODE(0, index), index=index, size=size, path=path, root=ROOTS[size]
            )


def test_every_consistency_path_up_to_64_leaves_is_the_same_in_go_and_verifies():
    for size in range(1, SMALL + 1):
        olds = range(1, size + 1)
        paths = [merkle.consistency_path(old, size=size, node=NODE) for old in olds]
        assert digest_of(paths) == VECTORS["consistency_sha256"][size - 1], size
        for old, path in zip(olds, paths, strict=True):
            merkle.verify_consistency(
                old_size=old, old_root=ROOTS[old], size=size, root=ROOTS[size], path=path
            )


@pytest.mark.parametrize("claim", VECTORS["large"])
def test_proofs_of_large_trees_are_the_same_in_go_and_verify_for_no_other_root(claim):
    size, path = claim["size"], [bytes.fromhex(step) for step in claim["path"]]
    root, other = bytes.fromhex(claim["root"]), hashlib.sha256(b"another").digest()
    assert merkle.root(size, uniform) == root
    if claim["kind"] == "inclusion":
        leaf, index = bytes.fromhex(claim["leaf"]), claim["index"]
        assert merkle.inclusion_path(index, size=size, node=uniform) == path
        check = functools.partial(merkle.verify_inclusion, leaf, index=index, size=size, path=path)
    else:
        old_size, old_root = claim["old_size"], bytes.fromhex(claim["old_root"])
        assert merkle.consistency_path(old_size, size=size, node=uniform) == path
        check = functools.partial(
            merkle.verify_consistency, old_size=old_size, old_root=old_root, size=size, path=path
        )
    check(root=root)
    with pytest.raises(VerificationError) as caught:
        check(root=other)
    assert caught.value.error_code == "merkle.root_mismatch"


# ------------------------------------------------------------------------------ with Go
def go(*arguments, given=""):
    """What the program prints; skips where Go or the two modules are missing. It looks for no network."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    # Read-only, from the modules already here: a test downloads nothing.
    environment = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=readonly"}
    environment["GOTOOLCHAIN"] = "local"
    done = subprocess.run(
        ["go", "run", ".", *arguments],
        cwd=PROGRAM,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0 and "GOPROXY=off" in done.stderr:
        pytest.skip("the Go modules are not here: cd scripts/merkle_go && go mod download")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def accepted(claim):
    path = [bytes.fromhex(step) for step in claim["path"]]
    root, size = bytes.fromhex(claim["root"]), claim["size"]
    try:
        if claim["kind"] == "inclusion":
            leaf = bytes.fromhex(claim["leaf"])
            merkle.verify_inclusion(leaf, index=claim["index"], size=size, path=path, root=root)
        else:
            merkle.verify_consistency(
                old_size=claim["old_size"],
                old_root=bytes.fromhex(claim["old_root"]),
                size=size,
                root=root,
                path=path,
            )
    except VerificationError:
        return False
    return True


def claims(count):
    """Proofs of random trees; two in three have one number, step or root changed."""
    dice = random.Random(9162)
    for _ in range(count):
        size = dice.randrange(2, SMALL + 1)
        part = dice.randrange(1, size)
        claim = {"size": size, "root": ROOTS[size].hex()}
        if dice.random() < 0.5:
            path = merkle.inclusion_path(part, size=size, node=NODE)
            claim |= {"kind": "inclusion", "index": part, "leaf": NODE(0, part).hex()}
            number, digests = "index", ["leaf", "root"]
        else:
            path = merkle.consistency_path(part, size=size, node=NODE)
            claim |= {"kind": "consistency", "old_size": part, "old_root": ROOTS[part].hex()}
            number, digests = "old_size", ["old_root", "root"]
        claim["path"] = [step.hex() for step in path]
        match dice.randrange(9):
            case 0:
                claim[number] = dice.randrange(1, size)
            case 1:
                claim["size"] = dice.randrange(part + 1, SMALL + 9)
            case 2:
                claim[dice.choice(digests)] = ROOTS[dice.randrange(1, SMALL)].hex()
            case 3:
                claim["path"].insert(dice.randrange(len(path) + 1), ROOTS[3].hex())
            case 4 if path:
                del claim["path"][dice.randrange(len(path))]
            case 5 if path:
                claim["path"][dice.randrange(len(path))] = ROOTS[5].hex()
            case _:
                pass
        yield claim


def test_go_and_python_say_the_same_of_good_and_tampered_proofs():
    made = list(claims(3_000))
    lines = go("-verify", given="".join(json.dumps(claim) + "\n" for claim in made)).splitlines()
    ours = [accepted(claim) for claim in made]
    assert 500 < sum(ours) < 2_500  # both kinds are there
    assert lines == [f"{str(said).lower()} {str(said).lower()}" for said in ours]


def test_go_makes_the_committed_vectors_anew():
    assert go() == VECTORS_FILE.read_text("utf-8")
