"""Write and read `fuqi/bundle/v1`: one zip that a stranger verifies offline.

    manifest.json            every file's size and SHA-256, labels, purpose
    01-…16-*.json            the sixteen parts; 17-allocation.json where the agreement came from a match
    documents/ certificates/ timestamps/ receipts/ anchors/
    report.json report.html  the human report, rendered from the parts and nothing else
    seal/manifest.tsr        RFC 3161 time stamp over SHA-256 of the manifest
    seal/manifest.note       note of the log's key over the digests of manifest and time stamp

The same contents, seal and time stamp give the same bytes. `arbitration.checks.all` judges what is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from arbitration.container import pack, unpack
from arbitration.contents import BundleContents, Label
from arbitration.labels import labels_json, required_labels
from arbitration.model import (
    BUNDLE_VERSION,
    MANIFEST,
    NOTE,
    OUTSIDE_MANIFEST,
    REPORT_HTML,
    REPORT_JSON,
    SEAL_FIRST_LINE,
    STAMP,
    Bundle,
    open_files,
)
from arbitration.parts import layout, sha256_hex
from arbitration.report.renderers import NEWEST, RENDERERS
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import InputError, VerificationError
from ledger.core.units import utc_text

Seal = Callable[[str], str]
"""Text -> signed note: `NoteSigner.sign_text` of the log's key."""
Stamp = Callable[[bytes], bytes]
"""SHA-256 digest -> RFC 3161 token (DER)."""
_ROLES: Final = {
    "documents": "document",
    "certificates": "certificate",
    "timestamps": "timestamp",
    "receipts": "receipt",
    "anchors": "anchor",
}


def write_bundle(contents: BundleContents, *, seal: Seal, stamp: Stamp) -> bytes:
    """Lay out, label, render, stamp and seal.

    Labels that the evidence demands are added whether the caller thought of them or not.

    Raises:
        InputError: `bundle.contents` (they do not make a readable bundle), `bundle.identity_number`,
            `bundle.receipt`, `bundle.anchor`, `bundle.path`, `bundle.limit`.
        Whatever `seal` and `stamp` raise.
    """
    files = layout(contents)
    draft = _open_draft(files)
    labels = (*contents.labels, *required_labels(draft, demo=contents.demo))
    sealed = _sealed(contents, files=files, labels=labels, seal=seal, stamp=stamp)
    demanded = required_labels(_open_draft(sealed), demo=contents.demo)
    if not {label.code for label in demanded} <= {label.code for label in labels}:
        # The package's own time stamp brought a label with it, e.g. a built-in authority's.
        labels = (*labels, *demanded)
        sealed = _sealed(contents, files=files, labels=labels, seal=seal, stamp=stamp)
    return pack(sealed)


def read_bundle(data: bytes) -> Bundle:
    """Open a bundle strictly; it is then well-formed, and not yet believed.

    Raises:
        VerificationError: the codes of `container.unpack` and `model.open_files`.
    """
    return open_files(unpack(data))


def seal_text(bundle_id: str, *, manifest: bytes, token: bytes) -> str:
    """What the log's key signs: the manifest and its time stamp, and so every byte."""
    return (
        f"{SEAL_FIRST_LINE}\n{bundle_id}\n"
        f"manifest sha256:{sha256_hex(manifest)}\ntimestamp sha256:{sha256_hex(token)}\n"
    )


def file_rows(files: Mapping[str, bytes]) -> list[Json]:
    """The manifest's list of files: path, size, SHA-256 and role, sorted by path."""
    return [
        {
            "path": path,
            "size": len(files[path]),
            "sha256": sha256_hex(files[path]),
            "role": _role(path),
        }
        for path in sorted(files)
        if path not in OUTSIDE_MANIFEST
    ]


def _sealed(
    contents: BundleContents,
    *,
    files: Mapping[str, bytes],
    labels: tuple[Label, ...],
    seal: Seal,
    stamp: Stamp,
) -> dict[str, bytes]:
    draft = _open_draft(files)
    made = {"labels": labels_json(labels), "bundle": contents.id}
    made |= {"made_at": utc_text(contents.made_at), "purpose": contents.purpose.value}
    renderer = RENDERERS[NEWEST]
    facts = renderer.facts(draft, head=made)
    complete = dict(files)
    complete[REPORT_JSON] = canonical_bytes(facts)
    complete[REPORT_HTML] = renderer.page(facts).encode("utf-8")
    manifest = canonical_bytes(
        {
            "v": BUNDLE_VERSION,
            **made,
            "recipient": contents.custody.recipient,
            "demo": contents.demo,
            "hash_algorithms": ["sha256"],
            "renderer": NEWEST,
            "files": file_rows(complete),
        }
    )
    token = stamp(hashlib.sha256(manifest).digest())
    complete[MANIFEST] = manifest
    complete[STAMP] = token
    text = seal_text(contents.id, manifest=manifest, token=token)
    complete[NOTE] = seal(text).encode("utf-8")
    return complete


def _open_draft(files: Mapping[str, bytes]) -> Bundle:
    try:
        return open_files(files, draft=True)
    except VerificationError as exc:
        raise InputError(exc.message, code="bundle.contents") from exc


def _role(path: str) -> str:
    folder = path.split("/", 1)[0]
    if folder in _ROLES:
        return _ROLES[folder]
    return "report" if path in (REPORT_JSON, REPORT_HTML) else "part"
