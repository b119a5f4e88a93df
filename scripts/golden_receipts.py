"""Make the public vectors of receipts: `python scripts/golden_receipts.py [--write]`.

SOURCE: an invented log of eleven entries, signed with keys that everybody knows (see `SEEDS`), anchored once on
ledger/testing.py's chain. That base is kept in tests/golden/receipt/base.json and never made again: what
verified once must verify for ever. Every vector is a change to it, written out in full; what each must come
to is stated by hand below, not taken from our verifier.

Without `--write` it only says which files would change, and exits 1 if any would.
"""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from contracts import artifacts
from ledger.core import merkle
from ledger.core.canonical import canonical_bytes, commitment
from ledger.core.ids import derived_id
from ledger.core.units import utc_text
from ledger.disclosure import disclose, fields_commitment
from ledger.keccak import keccak
from ledger.note import Checkpoint, CosignerKey, VerifierKey, cosign
from ledger.receipt_status import Effect, status_of
from ledger.strict_rlp import rlp_decode, rlp_encode
from ledger.testing import FakeChain
from ledger.tlog_proof import tlog_proof_of
from ledger.validator_seals import BFT_DIGEST, bft_extra_data, split_bft_header

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "golden" / "receipt"
AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
ORIGIN = "log.example.invalid/fuqi"
SEEDS = {
    name: hashlib.sha256(f"fuqi test key, protects nothing: {name}".encode()).digest()
    for name in ("log", "other log", "witness one", "witness two", "witness three")
}
SOURCE = "made by scripts/golden_receipts.py; every name is invented, every key is public and protects nothing"
PLAIN, DISCLOSABLE, REVOKED = 4, 6, 2
"""Index of the entry that most vectors are about, of an entry v2, and of one with a later `key.revoked`."""
P, F, U = "passed", "failed", "indeterminate"
CODES = ("entry", "commitment", "inclusion", "checkpoint", "anchor", "chain", "finality")
Change = Callable[[dict[str, Any]], None]


def key_of(name: str) -> Ed25519PrivateKey:
    """A key that everybody knows."""
    return Ed25519PrivateKey.from_private_bytes(SEEDS[name])


def verifier_of(name: str, *, origin: str = ORIGIN) -> VerifierKey:
    """Its verifier key."""
    return VerifierKey(name=origin, public=key_of(name).public_key().public_bytes_raw())


def signed(text: str, *, by: str = "log", origin: str = ORIGIN) -> str:
    """A note over `text` by a key that everybody knows."""
    blob = verifier_of(by, origin=origin).key_id + key_of(by).sign(text.encode())
    return f"{text}\n— {origin} {base64.b64encode(blob).decode()}\n"


def witness_key(name: str) -> CosignerKey:
    """A witness's key; its name is `witness-one.example.invalid` and so on."""
    public = key_of(name).public_key().public_bytes_raw()
    return CosignerKey(name=name.replace(" ", "-") + ".example.invalid", public=public)


def cosigned(note: str, *names: str, by: str | None = None) -> str:
    """The note with a line of each witness; `by` signs in its place."""
    origin, size, root = note.split("\n")[:3]
    checkpoint = Checkpoint(origin, int(size), merkle.digest32(base64.b64decode(root)))
    lines = [
        cosign(checkpoint, name=witness_key(name).name, key=key_of(by or name), time=1_795_412_200)
        for name in names
    ]
    return note + "".join(f"{line}\n" for line in lines)


def make_base() -> dict[str, Any]:
    """Eleven entries, their secrets, and the anchor of the tree over them all."""
    kinds = ["party.registered", "identity.checked", "certificate.issued", "document.finalised"]
    kinds += ["document.opened", "intent.expressed", "agreement.formed", "offer.posted"]
    kinds += ["key.revoked", "bundle.exported", "evidence.viewed"]
    entries, prev = [], None
    for number, kind in enumerate(kinds):
        about = "pty" if number in (0, 1, 2, 8) else "agr"
        body = {"invented": True, "name": "示例（虚构）", "number": number, "type": kind}
        salt = hashlib.sha256(f"salt {number}".encode()).digest()
        commitments = {"body": commitment(salt, body).hex()}
        if number == DISCLOSABLE:
            commitments["fields"] = fields_commitment(body, salt).hex()
        fields = {
            "v": f"fuqi/entry/v{2 if number == DISCLOSABLE else 1}",
            "id": derived_id("ent", at=AT, seed=f"vector {number}"),
            "type": kind,
            "at": utc_text(AT + timedelta(seconds=number)),
            "subject": derived_id(about, at=AT, seed="vector"),
            "actor": "system",
            "commitments": commitments,
            "prev": prev,
        }
        prev = merkle.leaf_hash(canonical_bytes(fields)).hex()
        entries.append({"fields": fields, "body": body, "salt": salt.hex()})
    leaves = [merkle.leaf_hash(canonical_bytes(one["fields"])) for one in entries]
    root = merkle.root(len(leaves), merkle.reader_over(leaves))
    chain = FakeChain()
    deployment = chain.deploy()
    sent = chain.sign_append(
        size=len(leaves), root=root, proof=[], nonce=chain.nonce(), fees=chain.fees()
    )
    chain.send(sent.raw)
    seen = chain.find_append(size=len(leaves), root=root)
    assert seen is not None
    info = chain.info()
    anchor = {
        "size": len(leaves),
        "root": root.hex(),
        "chain_id": info.chain_id,
        "contract": deployment.address,
        "tx_hash": seen.tx_hash,
        "block_number": seen.block_number,
        "block_hash": seen.block_hash,
        "block_time": seen.block_time,
        "gas_used": seen.gas_used,
        "state": "final",
        "evidence": chain.evidence(seen.block_number),
    }
    pin = {
        "chain_id": info.chain_id,
        "contract": deployment.address,
        "code_hash": "0x" + artifacts.load("EvidenceLog").code_hash.hex(),
        "kind": info.kind,
        "label_en": info.label_en,
        "label_zh": info.label_zh,
    }
    return {"SOURCE": SOURCE, "entries": entries, "anchor": anchor, "pin": pin}


class Base:
    """What vectors are made from."""

    def __init__(self, base: dict[str, Any]) -> None:
        """Rebuild the tree."""
        self.kept = base
        self.bytes = [canonical_bytes(one["fields"]) for one in base["entries"]]
        self.leaves = [merkle.leaf_hash(data) for data in self.bytes]
        self.node = merkle.reader_over(self.leaves)

    def root(self, size: int) -> bytes:
        """Root of the first `size` entries."""
        return merkle.root(size, self.node)

    def note(self, size: int, *, root: bytes | None = None, by: str = "log") -> str:
        """The signed checkpoint over the first `size` entries, or a lie of that size."""
        head = Checkpoint(ORIGIN, size, merkle.digest32(root or self.root(size)))
        return signed(head.body(), by=by)

    def receipt(self, index: int, *, size: int = 11, state: str = "final") -> dict[str, Any]:
        """The receipt of an entry, its body opened."""
        kept = self.kept["entries"][index]
        log = {
            "verifier": verifier_of("log").text(),
            "index": index,
            "size": size,
            "root": self.root(size).hex(),
            "path": [s.hex() for s in merkle.inclusion_path(index, size=size, node=self.node)],
            "note": self.note(size),
        }
        return {
            "v": "fuqi/receipt/v1",
            "state": state,
            "entry": {
                "id": kept["fields"]["id"],
                "bytes": base64.b64encode(self.bytes[index]).decode(),
                "leaf": self.leaves[index].hex(),
            },
            "private": {"body": kept["body"], "salt": kept["salt"]},
            "log": None if state == "journaled" else log,
            "anchor": copy.deepcopy(self.kept["anchor"]) if state in ("mined", "final") else None,
        }

    def alone(self, salt: bytes) -> dict[str, Any]:
        """A logged receipt of the only entry of a log, whose body is under this salt."""
        kept = self.kept["entries"][0]
        body = canonical_bytes(kept["body"])
        fields = kept["fields"] | {"commitments": {"body": hmac.digest(salt, body, "sha256").hex()}}
        data = canonical_bytes(fields)
        leaf = merkle.leaf_hash(data)
        receipt = self.receipt(0, size=1, state="logged")
        receipt["entry"] |= {"bytes": base64.b64encode(data).decode(), "leaf": leaf.hex()}
        receipt["private"] = {"body": kept["body"], "salt": salt.hex()}
        receipt["log"] |= {"root": leaf.hex(), "note": self.note(1, root=leaf)}
        return receipt

    def trust(self) -> dict[str, Any]:
        """A trust file under which the base receipt passes."""
        return {
            "v": "fuqi/ledger-trust/v1",
            "log": verifier_of("log").text(),
            "chains": [copy.deepcopy(self.kept["pin"])],
        }

    def status(self, index: int, **named: Any) -> str:
        """A signed statement about an entry."""
        size = named.pop("size", 11)
        by = named.pop("by", "log")
        facts = {"leaf": self.leaves[index].hex(), "state": "final", "at": AT, "later": []}
        facts |= {"root": self.root(size).hex()} | named
        return signed(status_of(size=size, **facts).text(), by=by)


@dataclass
class Vector:
    """One case: what is examined, under which trust, and what must be found."""

    name: str
    must: str
    about: str
    receipt: Any
    trust: dict[str, Any] | None
    findings: dict[str, str]
    more: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The file."""
        found = {f"receipt.{code}": verdict for code, verdict in self.findings.items()}
        worst = next((one for one in (F, U) if one in found.values()), P)
        input_ = self.more if self.receipt is None else {"receipt": self.receipt, **self.more}
        return {
            "SOURCE": SOURCE,
            "name": self.name,
            "must": self.must,
            "about": self.about,
            **input_,
            "trust": self.trust,
            "expected": {"verdict": worst, "findings": found},
        }


def vectors(base: Base) -> list[Vector]:
    """Every vector, by the rule that it tests."""
    made: list[Vector] = []

    def add(
        name: str,
        must: str,
        about: str,
        *changes: Change,
        receipt: dict[str, Any] | None = None,
        trust: Change | None = None,
        no_trust: bool = False,
        more: dict[str, Any] | None = None,
        optional: tuple[str, ...] = (),
        **expected: str,
    ) -> None:
        subject = copy.deepcopy(receipt or base.receipt(PLAIN))
        for change in changes:
            change(subject)
        believed = base.trust()
        if trust is not None:
            trust(believed)
        order = ("entry", "commitment", "disclosure", "inclusion", "checkpoint", "witnesses")
        order += ("anchor", "chain", "finality", "status")
        codes = [code for code in order if code in CODES or code in optional]
        findings = {code: expected.get(code, P) for code in codes}
        assert set(expected) <= set(codes), name
        made.append(
            Vector(name, must, about, subject, None if no_trust else believed, findings, more or {})
        )

    def text(name: str, must: str, about: str, *, passes: bool = False, **how: Any) -> None:
        found = dict.fromkeys(CODES, P) if passes else {"shape": F}
        made.append(Vector(name, must, about, None, base.trust(), found, how))

    _valid(base, add)
    _form(base, add, text)
    _entry(add)
    _body(base, add)
    _log(base, add)
    _views(base, add)
    _chain(base, add)
    _status(base, add)
    return made


def put(*path: Any, value: Any) -> Change:
    """Set one member."""

    def change(target: dict[str, Any]) -> None:
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def turn(*path: Any, by: Callable[[Any], Any]) -> Change:
    """Replace one member by what `by` makes of it."""

    def change(target: dict[str, Any]) -> None:
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = by(target[path[-1]])

    return change


def drop(*path: Any) -> Change:
    """Take one member out."""

    def change(target: dict[str, Any]) -> None:
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return change


def flip(value: str) -> str:
    """Another digit in the middle of hex."""
    at = len(value) // 2
    return value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]


def with_entry(**fields: Any) -> Change:
    """Another entry, with the leaf hash that belongs to it."""

    def change(target: dict[str, Any]) -> None:
        known = json.loads(base64.b64decode(target["entry"]["bytes"]))
        data = json.dumps(
            known | fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
        target["entry"]["bytes"] = base64.b64encode(data).decode()
        target["entry"]["leaf"] = hashlib.sha256(b"\x00" + data).hexdigest()

    return change


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def witnesses(k: int, *names: str) -> Change:
    """A policy of k of these."""
    return put("witnesses", value={"k": k, "keys": [witness_key(name).text() for name in names]})


ONE, TWO, THREE = "witness one", "witness two", "witness three"
NOTHING = {"inclusion": U, "checkpoint": U, "anchor": U, "chain": U, "finality": U}
LOGGED = {"anchor": U, "chain": U, "finality": U}


def _valid(base: Base, add: Callable[..., None]) -> None:
    add("valid-final", "R-22", "the whole receipt of a final entry passes")
    add("valid-closed", "R-11", "the body is not shown", put("private", value=None))
    journaled, logged, mined = (
        base.receipt(PLAIN, state=state) for state in ("journaled", "logged", "mined")
    )
    mined["anchor"]["state"] = "mined"
    add("valid-journaled", "R-31", "acknowledged, not in the tree", receipt=journaled, **NOTHING)
    add("valid-logged", "R-31", "in the tree, not on a chain", receipt=logged, **LOGGED)
    add("valid-mined", "R-24", "on the chain, not final", receipt=mined, anchor=U, finality=U)
    first, last = base.receipt(0), base.receipt(10)
    add("valid-first-leaf", "R-13", "the first leaf of eleven", receipt=first)
    add("valid-last-leaf", "R-13", "the last leaf of eleven: a short path", receipt=last)
    single = base.receipt(0, size=1, state="logged")
    add("valid-single-leaf", "R-13", "a log of one entry: no path", receipt=single, **LOGGED)
    no_trust = {"checkpoint": U, "chain": U, "finality": U}
    add("no-trust", "R-31", "without a trust file nothing is relied on", no_trust=True, **no_trust)
    external = put("chains", 0, "kind", value="json-rpc")
    add("valid-external-chain", "R-25", "finality not proven", trust=external, finality=U)


def _form(base: Base, add: Callable[..., None], text: Callable[..., None]) -> None:
    whole = json.dumps(base.receipt(PLAIN), ensure_ascii=False, separators=(",", ":"))
    text("form-truncated", "R-2", "the file ends early", receipt_text=whole[: len(whole) // 2])
    text("form-trailing", "R-2", "something follows the object", receipt_text=whole + "{}")
    text("form-empty", "R-2", "an empty file", receipt_text="")
    text("form-list", "R-2", "a list, not an object", receipt_text=f"[{whole}]")
    twice = whole.replace('"state":"final"', '"state":"final","state":"final"', 1)
    text("form-member-twice", "R-3", "a member stands twice", receipt_text=twice)
    dot = whole.replace('"size":11', '"size":11.0', 1)
    text("form-number-with-point", "R-3", "a number with a point", receipt_text=dot)
    power = whole.replace('"size":11', '"size":11e0', 1)
    text("form-number-with-power", "R-3", "a number with an exponent", receipt_text=power)
    nan = whole.replace('"gas_used":50000', '"gas_used":NaN', 1)
    text("form-nan", "R-3", "NaN is not JSON", receipt_text=nan)
    deep = whole.replace('"gas_used":50000', '"gas_used":' + "[" * 70 + "]" * 70, 1)
    text("form-too-deep", "R-2", "nested deeper than 64", receipt_text=deep)
    text("form-oversize", "R-1", "one byte above 1 MiB", receipt_text=whole, pad_to=1024 * 1024 + 1)
    text(
        "form-largest", "R-1", "1 MiB exactly", receipt_text=whole, pad_to=1024 * 1024, passes=True
    )
    latin = whole.encode().replace("示例（虚构）".encode(), b"\xe9")
    latin64 = base64.b64encode(latin).decode()
    text("form-not-utf8", "R-2", "another character set", receipt_base64=latin64)
    add("form-version", "R-4", "another version", put("v", value="fuqi/receipt/v2"), entry=F)
    add("form-extra-top", "R-5", "a member nobody knows", put("remark", value="void"), entry=F)
    add("form-extra-entry", "R-5", "the same in entry", put("entry", "x", value=1), entry=F)
    add("form-extra-log", "R-5", "the same in log", put("log", "x", value=1), inclusion=F)
    add("form-extra-anchor", "R-5", "the same in anchor", put("anchor", "x", value=1), anchor=F)
    add("form-missing-state", "R-5", "a member is missing", drop("state"), entry=F)
    upper = turn("log", "path", 0, by=str.upper)
    add("form-hex-capitals", "R-6", "hex in capitals", upper, inclusion=F)
    spaced = turn("log", "path", 0, by=lambda step: step[:2] + " " + step[2:])
    add("form-hex-space", "R-6", "white space in hex", spaced, inclusion=F)
    add("form-index-text", "R-6", "a number as text", turn("log", "index", by=str), inclusion=F)
    mapping = base.receipt(0, size=1, state="logged")
    mapping["log"]["path"] = {}
    add("form-path-object", "R-6", "an object for a list", receipt=mapping, inclusion=F, **LOGGED)
    # Its last group codes four bits that no byte takes; a decoder that drops them takes two spellings.
    index = next(n for n, data in enumerate(base.bytes) if len(data) % 3 == 1)
    loose = turn("entry", "bytes", by=lambda text: text[:-3] + chr(ord(text[-3]) + 1) + "==")
    spare = base.receipt(index)
    add("form-base64-spare-bits", "R-6", "base64 with spare bits set", loose, receipt=spare,
        entry=F, commitment=F)  # fmt: skip
    yes = base.receipt(1)
    add(
        "form-index-true",
        "R-6",
        "true for 1",
        put("log", "index", value=True),
        receipt=yes,
        inclusion=F,
    )


def _entry(add: Callable[..., None]) -> None:
    flipped = turn("entry", "leaf", by=flip)
    add("entry-leaf", "R-8", "another leaf hash", flipped, entry=F, inclusion=F)

    def actor(target: dict[str, Any]) -> None:
        data = base64.b64decode(target["entry"]["bytes"]).replace(b'"system"', b'"sysTem"')
        target["entry"]["bytes"] = base64.b64encode(data).decode()

    add("entry-bytes", "R-8", "one letter of the entry", actor, entry=F)
    swapped = with_entry(actor="acc_somebody_else")
    add(
        "entry-not-in-log", "R-13", "a whole entry that the log does not hold", swapped, inclusion=F
    )

    def loose(target: dict[str, Any]) -> None:
        value = json.loads(base64.b64decode(target["entry"]["bytes"]))
        data = json.dumps(value, sort_keys=True).encode()
        target["entry"]["bytes"] = base64.b64encode(data).decode()
        target["entry"]["leaf"] = hashlib.sha256(b"\x00" + data).hexdigest()

    add(
        "entry-not-canonical", "R-7", "the same entry with white space", loose,
        entry=F, commitment=F, inclusion=F,
    )  # fmt: skip
    add(
        "entry-base64", "R-6", "base64 without its end", turn("entry", "bytes", by=lambda b: b[:-2]),
        entry=F, commitment=F,
    )  # fmt: skip
    other = put("entry", "id", value=derived_id("ent", at=AT, seed="another"))
    add("entry-id", "R-7", "the id of another entry", other, entry=F)

    def listed(target: dict[str, Any]) -> None:
        target["entry"]["bytes"] = base64.b64encode(b"[]").decode()
        target["entry"]["leaf"] = hashlib.sha256(b"\x00[]").hexdigest()

    add(
        "entry-not-an-object", "R-7", "a list for an entry", listed,
        entry=F, commitment=F, inclusion=F,
    )  # fmt: skip
    version = with_entry(v="fuqi/entry/v9")
    add("entry-version", "R-7", "an entry of an unknown version", version, entry=F, inclusion=F)
    steer = with_entry(type="\x1b[2Jpassed")
    add(
        "entry-control-characters",
        "R-9",
        "a type that steers a terminal",
        steer,
        entry=F,
        inclusion=F,
    )
    add("state-logged", "R-10", "anchored, called logged", put("state", value="logged"), entry=F)
    unanchored = put("anchor", value=None)
    add("state-final-unanchored", "R-10", "called final, no anchor", unanchored, entry=F, **LOGGED)
    odd = [put("state", value="safe"), put("anchor", "state", value="safe")]
    add("state-unknown", "R-10", "a state nobody knows", *odd, entry=F, anchor=U, finality=U)


def _body(base: Base, add: Callable[..., None]) -> None:
    price = put("private", "body", "number", value=5)
    add("body-changed", "R-11", "one value of the body", price, commitment=F)
    more = put("private", "body", "price", value=1)
    add("body-field-added", "R-11", "one field more", more, commitment=F)
    add(
        "body-field-missing",
        "R-11",
        "one field less",
        drop("private", "body", "name"),
        commitment=F,
    )
    add("body-salt", "R-11", "another salt", turn("private", "salt", by=flip), commitment=F)
    short = turn("private", "salt", by=lambda salt: salt[:30])
    add("body-salt-short", "R-11", "a salt of 15 bytes", short, commitment=F)
    for length, verdict in ((15, F), (16, P), (64, P), (65, F)):
        add(
            f"body-salt-of-{length}", "R-11", f"a salt of {length} bytes",
            receipt=base.alone(bytes(range(length))), commitment=verdict, **LOGGED,
        )  # fmt: skip
    kept = base.kept["entries"][DISCLOSABLE]
    shown = disclose(kept["body"], bytes.fromhex(kept["salt"]), ["name", "type"])
    receipt = base.receipt(DISCLOSABLE) | {"private": None, "disclosed": shown}
    fields: dict[str, Any] = {"receipt": receipt, "optional": ("disclosure",)}
    add("disclosure-two-of-four", "R-12", "two fields are shown, two are not", **fields)
    fields["disclosure"] = F
    value = put("disclosed", "fields", 0, "value", value="另一名称")
    add("disclosure-value", "R-12", "a shown value is changed", value, **fields)
    name = put("disclosed", "fields", 0, "name", value="nick")
    add("disclosure-name", "R-12", "a shown name is changed", name, **fields)
    salt = turn("disclosed", "fields", 0, "salt", by=flip)
    add("disclosure-salt", "R-12", "the salt of a field is changed", salt, **fields)
    path = turn("disclosed", "fields", 0, "path", by=lambda steps: steps[:-1])
    add("disclosure-path", "R-12", "the path of a field is cut short", path, **fields)
    add(
        "disclosure-size",
        "R-12",
        "another number of fields",
        put("disclosed", "size", value=5),
        **fields,
    )
    loud = turn("disclosed", "fields", 0, "salt", by=str.upper)
    add("disclosure-capitals", "R-6", "the salt of a field in capitals", loud, **fields)
    extra = put("disclosed", "fields", 0, "remark", value="void")
    add("disclosure-extra", "R-5", "a member nobody knows in a field", extra, **fields)
    order = turn("disclosed", "fields", by=lambda shown: shown[::-1])
    add("disclosure-order", "R-12", "fields out of order", order, **fields)
    twice = turn("disclosed", "fields", by=lambda shown: [shown[0], shown[0]])
    add("disclosure-twice", "R-12", "a field is shown twice", twice, **fields)
    fields["receipt"] = base.receipt(PLAIN) | {"disclosed": shown}
    add("disclosure-unpromised", "R-12", "the entry promises no fields", **fields)


def _log(base: Base, add: Callable[..., None]) -> None:
    step = turn("log", "path", 1, by=flip)
    add("log-path", "R-13", "a digest of the path", step, inclusion=F)
    short = turn("log", "path", by=lambda path: path[:-1])
    add("log-path-short", "R-13", "a path cut short", short, inclusion=F)
    long = turn("log", "path", by=lambda path: [*path, path[0]])
    add("log-path-long", "R-13", "a path with a digest too many", long, inclusion=F)
    huge = turn("log", "path", by=lambda path: path * 20)
    add("log-path-huge", "R-13", "longer than any path", huge, inclusion=F)
    add("log-index", "R-13", "another index", put("log", "index", value=5), inclusion=F)
    add(
        "log-index-outside",
        "R-13",
        "an index outside the tree",
        put("log", "index", value=11),
        inclusion=F,
    )
    add(
        "log-index-negative", "R-13", "a negative index", put("log", "index", value=-1), inclusion=F
    )
    root = turn("log", "root", by=flip)
    add("log-root", "R-14", "another root", root, inclusion=F, checkpoint=F, anchor=F)
    # The path of leaf 4 is the same in trees of eleven and of twelve: only the note tells them apart.
    size = put("log", "size", value=12)
    add("log-size", "R-14", "a size that the path fits as well", size, checkpoint=F, anchor=F)
    older = put("log", "note", value=base.note(9))
    add("log-note-other-tree", "R-14", "the checkpoint of another size", older, checkpoint=F)
    text = turn("log", "note", by=lambda note: note.replace("\n11\n", "\n12\n"))
    add("log-note-text", "R-15", "a checkpoint changed after signing", text, checkpoint=F)
    cut = turn("log", "note", by=lambda note: note[:-20])
    add("log-note-truncated", "R-15", "a note that ends early", cut, checkpoint=F)
    bare = turn("log", "note", by=lambda note: note.split("\n\n")[0] + "\n\n")
    add("log-note-unsigned", "R-15", "a note without a signature", bare, checkpoint=F)
    padded = turn("log", "note", by=lambda note: note + "— a.example.invalid AAAA\n" * 200)
    add("log-note-oversize", "R-15", "a note above 4 KiB", padded, checkpoint=F)
    stranger = put("log", "note", value=base.note(11, by="other log"))
    add(
        "log-wrong-key", "R-16", "signed by a stranger under the log's name", stranger, checkpoint=F
    )
    own = put("log", "verifier", value=verifier_of("other log").text())
    add(
        "log-own-key",
        "R-16",
        "a stranger's log that brings its own key",
        stranger,
        own,
        checkpoint=F,
    )
    pinned = put("log", value=verifier_of("other log").text())
    other_log: dict[str, Any] = {"trust": pinned, "checkpoint": F}
    add("trust-other-log", "R-16", "you trust another log", **other_log)
    elsewhere = signed(
        Checkpoint("elsewhere.example.invalid", 11, merkle.digest32(base.root(11))).body()
    )
    origin = put("log", "note", value=elsewhere)
    add("log-origin", "R-15", "a checkpoint of another origin", origin, checkpoint=F)


def _views(base: Base, add: Callable[..., None]) -> None:
    lie = base.note(11, root=hashlib.sha256(b"another tree").digest())
    seen = put("checkpoints", value=[lie])
    add(
        "view-split",
        "R-17",
        "the log showed you another root of this size",
        trust=seen,
        checkpoint=F,
    )
    agrees = put("checkpoints", value=[base.note(11), base.note(7)])
    add("view-same", "R-17", "what you saw elsewhere agrees", trust=agrees)
    two = turn("log", "note", by=lambda note: cosigned(note, ONE, TWO))
    policy: dict[str, Any] = {"trust": witnesses(2, ONE, TWO, THREE), "optional": ("witnesses",)}
    add("witnesses-two-of-three", "R-18", "two of three cosigned", two, **policy)
    policy["witnesses"] = U
    one = turn("log", "note", by=lambda note: cosigned(note, ONE))
    add("witnesses-too-few", "R-18", "one cosigned, two are needed", one, **policy)
    add("witnesses-none", "R-18", "nobody cosigned", **policy)
    same = turn("log", "note", by=lambda note: cosigned(note, ONE, ONE))
    add("witnesses-one-twice", "R-19", "one witness left two lines", same, **policy)
    strangers = turn("log", "note", by=lambda note: cosigned(note, ONE, by=THREE))
    policy["trust"] = witnesses(1, TWO, THREE)
    add("witnesses-unknown", "R-19", "a line that no pinned key made", strangers, **policy)
    forged = turn(
        "log", "note",
        by=lambda note: note + cosigned(base.note(9), ONE).removeprefix(base.note(9)),
    )  # fmt: skip
    policy = {"trust": witnesses(1, ONE), "optional": ("witnesses",), "witnesses": F}
    add("witnesses-other-checkpoint", "R-20", "cosigned another checkpoint", forged, **policy)
    late = base.receipt(PLAIN, state="journaled")
    policy = {"trust": witnesses(1, ONE), "optional": ("witnesses",), "witnesses": U, **NOTHING}
    add("witnesses-nothing-to-sign", "R-31", "no checkpoint yet", receipt=late, **policy)


def _chain(base: Base, add: Callable[..., None]) -> None:
    away: dict[str, Any] = {"anchor": U, "chain": U, "finality": U}
    add("anchor-no-evidence", "R-31", "no evidence", put("anchor", "evidence", value=None), **away)
    beside = {"evidence": base.kept["anchor"]["evidence"]}
    gone = put("anchor", "evidence", value=None)
    add("anchor-evidence-beside", "R-21", "evidence stands beside it", gone, more=beside)
    add(
        "anchor-size",
        "R-21",
        "of another size",
        put("anchor", "size", value=9),
        anchor=F,
        chain=F,
        finality=F,
    )
    root = turn("anchor", "root", by=flip)
    add("anchor-root", "R-21", "of another root", root, anchor=F, chain=F, finality=F)
    for name, value in (("block_number", 3), ("block_time", 1_700_000_000), ("chain_id", 1)):
        about = f"{name} is not the one of the evidence"
        add(f"anchor-{name}", "R-21", about, put("anchor", name, value=value), anchor=F)
    add(
        "anchor-block_hash",
        "R-21",
        "another block hash",
        turn("anchor", "block_hash", by=flip),
        anchor=F,
    )
    capitals = turn("anchor", "contract", by=lambda text: "0x" + text[2:].upper())
    add("anchor-contract-capitals", "R-6", "an address in capitals", capitals, anchor=F)
    add(
        "anchor-contract", "R-21", "another contract", turn("anchor", "contract", by=flip), anchor=F
    )
    broken: dict[str, Any] = {"anchor": F, "chain": F, "finality": F}

    def evidence(*path: Any, by: Callable[[Any], Any]) -> Change:
        return turn("anchor", "evidence", *path, by=by)

    add(
        "evidence-version",
        "R-22",
        "an unknown version",
        evidence("v", by=lambda v: v + "0"),
        **broken,
    )
    add(
        "evidence-header",
        "R-22",
        "one byte of the header",
        evidence("header_rlp", by=flip),
        **broken,
    )
    add("evidence-block-hash", "R-22", "another hash", evidence("block_hash", by=flip), **broken)
    loud = evidence("header_rlp", by=lambda text: "0x" + text[2:].upper())
    add("evidence-capitals", "R-6", "the header in capitals", loud, **broken)
    number = evidence("block_number", by=lambda number: number + 1)
    add("evidence-block-number", "R-22", "another number", number, **broken)
    node = evidence("account_proof", 0, by=flip)
    add("evidence-account-node", "R-22", "a node of the account proof", node, **broken)
    short = evidence("account_proof", by=lambda nodes: nodes[:-1])
    add("evidence-account-short", "R-22", "an account proof cut short", short, **broken)
    account = evidence("contract", by=flip)
    add("evidence-contract", "R-22", "another account than proven", account, **broken)
    code = evidence("code_hash", by=flip)
    add("evidence-code", "R-22", "other code than proven", code, **broken)
    word = evidence("storage_proofs", "root", "value", by=flip)
    add("evidence-storage-value", "R-22", "another word than proven", word, **broken)
    slot = evidence("storage_proofs", "head", "key", by=flip)
    add("evidence-storage-slot", "R-22", "the proof of another slot", slot, **broken)
    proof = evidence("storage_proofs", "head", "proof", -1, by=flip)
    add("evidence-storage-node", "R-22", "a node of the storage proof", proof, **broken)
    many = evidence("account_proof", by=lambda nodes: nodes * 40)
    add("evidence-oversize", "R-22", "more nodes than any path has", many, **broken)
    for name, value in (
        ("chain_id", 1),
        ("contract", "0x" + "11" * 20),
        ("code_hash", "0x" + "11" * 32),
    ):
        add(
            f"trust-other-{name}", "R-23", f"you pinned another {name}",
            trust=put("chains", 0, name, value=value), chain=F, finality=U,
        )  # fmt: skip
    add(
        "trust-no-chain",
        "R-23",
        "you pinned no chain",
        trust=put("chains", value=[]),
        chain=F,
        finality=U,
    )
    capital = turn("chains", 0, "contract", by=lambda text: "0x" + text[2:].upper())
    add("trust-capitals", "R-23", "addresses are compared without regard to case", trust=capital)

    def stated(trust: dict[str, Any]) -> None:
        trust["chains"][0] |= {"kind": "json-rpc", "finality": "stated"}

    add("finality-stated", "R-25", "you take the log's word for finality", trust=stated)
    _seals(add)


SECP256K1_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
VALIDATORS = [
    ec.derive_private_key(
        int.from_bytes(hashlib.sha256(f"fuqi test validator {number}".encode()).digest(), "big"),
        ec.SECP256K1(),
    )
    for number in range(4)
]
"""Keys that everybody knows."""


def public_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key, 64 bytes."""
    point = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, point)[1:]


def address_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The validator's address."""
    return "0x" + keccak(public_of(key))[12:].hex()


def seal_of(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    """r and the lower s, made the same each time (RFC 6979)."""
    kind = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(digest, kind))
    return r.to_bytes(32, "big") + min(s, SECP256K1_ORDER - s).to_bytes(32, "big")


def sealed_by(*numbers: int, stated: tuple[int, ...] | None = None) -> Change:
    """The same block on a QBFT network of four, sealed by some; `stated` are named as the signers."""

    def change(target: dict[str, Any]) -> None:
        evidence = target["anchor"]["evidence"]
        fields = rlp_decode(bytes.fromhex(evidence["header_rlp"][2:]))
        assert isinstance(fields, list)
        fields[12] = bft_extra_data([address_of(key) for key in VALIDATORS])
        fields[13] = BFT_DIGEST
        header = rlp_encode(fields)
        split = split_bft_header(header)
        assert split is not None
        evidence["header_rlp"] = "0x" + header.hex()
        evidence["block_hash"] = target["anchor"]["block_hash"] = "0x" + keccak(header).hex()
        evidence["seals"] = {
            "rule": "qbft",
            "round": 0,
            "seals": ["0x" + seal_of(VALIDATORS[n], split.digest).hex() for n in numbers],
            "signers": ["0x" + public_of(VALIDATORS[n]).hex() for n in stated or numbers],
        }

    return change


def _seals(add: Callable[..., None]) -> None:
    def pinned(trust: dict[str, Any]) -> None:
        addresses = [address_of(key) for key in VALIDATORS]
        trust["chains"][0] |= {"kind": "json-rpc", "validators": {"k": 3, "addresses": addresses}}

    policy: dict[str, Any] = {"trust": pinned}
    add(
        "seals-three-of-four",
        "R-33",
        "three of four validators sealed",
        sealed_by(0, 1, 2),
        **policy,
    )
    policy["finality"] = U
    add("seals-too-few", "R-33", "two sealed, three are needed", sealed_by(0, 3), **policy)
    add("seals-none", "R-33", "the evidence shows no seals", **policy)
    unpinned = put("chains", 0, "kind", value="json-rpc")
    add(
        "seals-unpinned", "R-25", "sealed by validators that you did not pin",
        sealed_by(0, 1, 2), trust=unpinned, finality=U,
    )  # fmt: skip
    policy["finality"] = F
    add("seals-twice", "R-33", "one validator sealed twice", sealed_by(0, 1, 1), **policy)
    stated = sealed_by(0, 1, 2, stated=(0, 1, 3))
    add("seals-of-another", "R-33", "a seal under another validator's name", stated, **policy)

    def other_round(target: dict[str, Any]) -> None:
        target["anchor"]["evidence"]["seals"]["round"] = 1

    add("seals-round", "R-33", "sealed in another round", sealed_by(0, 1, 2), other_round, **policy)


def _status(base: Base, add: Callable[..., None]) -> None:
    asks = put("status", value={"max_age_seconds": 86400})
    later = {"at": utc_text(AT + timedelta(hours=1))}
    about: dict[str, Any] = {"optional": ("status",), "more": later}
    good = put("status", value=base.status(PLAIN))
    add("status-good", "R-26", "nothing came later", good, trust=asks, **about)
    add("status-unasked", "R-26", "told without being asked", good, **about)
    about["status"] = U
    add("status-missing", "R-29", "asked for and not there", trust=asks, **about)
    day = timedelta(days=1)
    for name, moment, verdict in (
        ("oldest", AT + day, P),
        ("too-old", AT + day + timedelta(seconds=1), U),
        ("most-ahead", AT - day, P),
        ("too-far-ahead", AT - day - timedelta(seconds=1), U),
    ):
        edge = {**about, "more": {"at": utc_text(moment)}, "status": verdict}
        add(
            f"status-{name}",
            "R-29",
            "at the limit of a day, or a second past it",
            good,
            trust=asks,
            **edge,
        )
    seven = [Effect(index=n, type="key.revoked", leaf=flip("ab" * 32)) for n in range(5, 12)]
    many = put("status", value=base.status(PLAIN, later=seven))
    add("status-seven-effects", "R-30", "seven effects, of which five are named", many, **about)
    stale = {**about, "more": {"at": utc_text(AT + timedelta(days=2))}}
    add("status-stale", "R-29", "older than a day", good, trust=asks, **stale)
    early = {**about, "more": {"at": utc_text(AT - timedelta(days=2))}}
    add(
        "status-from-the-future",
        "R-29",
        "two days ahead of the verifier",
        good,
        trust=asks,
        **early,
    )
    revoked = Effect(index=8, type="key.revoked", leaf=base.leaves[8].hex())
    effect = put("status", value=base.status(REVOKED, later=[revoked]))
    certificate = base.receipt(REVOKED)
    add("status-revoked", "R-30", "a later key.revoked", effect, receipt=certificate, **about)
    add("status-no-trust", "R-31", "nobody pinned the log", good, no_trust=True, checkpoint=U, chain=U,
        finality=U, **about)  # fmt: skip
    about["status"] = F
    other = put("status", value=base.status(5))
    add("status-other-entry", "R-27", "about another entry", other, **about)
    state = put("status", value=base.status(PLAIN, state="logged"))
    add("status-other-state", "R-27", "about another state", state, **about)
    stranger = put("status", value=base.status(PLAIN, by="other log"))
    add("status-wrong-key", "R-27", "signed by a stranger", stranger, **about)
    text = put("status", value=base.status(PLAIN).replace("later 0", "later 1"))
    add("status-changed", "R-27", "changed after signing", text, **about)
    hidden = status_text(base, "effects 1")
    add("status-hides-effects", "R-27", "counts an effect and names none", hidden, **about)
    back = put("status", value=base.status(PLAIN, size=9))
    add("status-rollback", "R-28", "older than the receipt's checkpoint", back, **about)
    lie = hashlib.sha256(b"another tree").hexdigest()
    younger = base.receipt(PLAIN, size=9, state="logged")
    told = put("status", value=base.status(PLAIN, state="logged"))
    lied = put("checkpoints", value=[base.note(11, root=bytes.fromhex(lie))])
    agrees = put("checkpoints", value=[base.note(11)])
    seen: dict[str, Any] = {"receipt": younger, **about, **LOGGED}
    add("status-split-seen", "R-28", "you saw another root of its size", told, trust=lied, **seen)
    seen["status"] = P
    add("status-same-seen", "R-28", "you saw the same root of its size", told, trust=agrees, **seen)
    split = put("status", value=base.status(PLAIN, root=lie))
    add("status-split", "R-28", "another root of the same size", split, **about)


def status_text(base: Base, effects: str) -> Change:
    """A statement whose lines do not agree, under a good signature."""
    text = base.status(PLAIN).split("\n\n")[0] + "\n"
    text = text.replace("later 0", "later 1").replace("effects 0", effects)
    return put("status", value=signed(text))


def files() -> dict[Path, str]:
    """Every file that this script keeps, with its contents."""
    kept = FOLDER / "base.json"
    value = json.loads(kept.read_text("utf-8")) if kept.exists() else make_base()
    base = Base(value)
    made = {kept: text_of(value)}
    for vector in vectors(base):
        path = FOLDER / "vectors" / f"{vector.name}.json"
        assert path not in made, vector.name
        made[path] = text_of(vector.as_json())
    receipt = base.receipt(PLAIN)
    receipt["log"]["note"] = cosigned(receipt["log"]["note"], ONE, TWO)
    made[FOLDER / "golden.tlog-proof"] = tlog_proof_of(receipt)
    keys = [base.trust()["log"], *(witness_key(name).text() for name in (ONE, TWO, THREE))]
    made[FOLDER / "golden.keys"] = "".join(f"{key}\n" for key in keys)
    return made


def text_of(value: dict[str, Any]) -> str:
    """How a file is written."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def main(arguments: list[str]) -> int:
    """Compare, and with `--write` bring up to date."""
    made = files()
    there = set((FOLDER / "vectors").glob("*.json"))
    stale = [p for p, text in made.items() if not p.exists() or p.read_text("utf-8") != text]
    for path in stale:
        if "--write" in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    for path in sorted(there - made.keys()):
        sys.stdout.write(f"{path.relative_to(ROOT)}: nothing makes it\n")
    return 1 if there - made.keys() or (stale and "--write" not in arguments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
