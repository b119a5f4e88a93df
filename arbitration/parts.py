"""From contents to files: the sixteen parts, the documents and everything they refer to.

A pure layout: the same contents give the same files, byte for byte. Parts are canonical JSON; numbers in
their names follow the evidence package that courts and platforms here exchange (design/legal.md 2.4).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from arbitration.contents import Anchor, BundleContents, Signer
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import InputError
from ledger.core.units import utc_text
from signing.pdf_reading import signatures_of

PARTS: Final = (
    "01-certificate.json",
    "02-platform.json",
    "03-parties.json",
    "04-realname.json",
    "05-consents.json",
    "06-intents.json",
    "07-certificates.json",
    "08-signatures.json",
    "09-documents.json",
    "10-events.json",
    "11-delivery.json",
    "12-timestamps.json",
    "13-chain.json",
    "14-verification.json",
    "15-tools.json",
    "16-custody.json",
)
ALLOCATION: Final = "17-allocation.json"
"""Only where the agreement came from a match."""

BUSINESS: Final = "electronic agreement"
DISCLAIMER_EN: Final = (
    "This package holds records and proofs. It is not a ruling and not a fiscal receipt; what it proves is "
    "what its verification shows, no more."
)
DISCLAIMER_ZH: Final = (
    "本证据包仅载明记录及其证明，不是裁决，也不是财政票据；其证明力以核验结果为限。"
)
STEPS_EN: Final = (
    "Install fuqi from its source on a machine of your own.",
    "Obtain the trust file of the log, chain and authorities from whom you trust, not from this package.",
    "Disconnect the network and run: fuqi bundle verify FILE --trust TRUST",
    "Without fuqi: the SHA-256 of every file stands in manifest.json.",
    "Receipts are RFC 9162 inclusion proofs under C2SP signed notes.",
    "seal/manifest.tsr and the signatures' time stamps are RFC 3161 tokens.",
    "Anchors hold an Ethereum block header with EIP-1186 account and storage proofs.",
)
STEPS_ZH: Final = (
    "在您自己的机器上从源代码安装 fuqi。",
    "从您信任的渠道（而非本证据包）取得日志、链、认证机构与时间戳机构的信任文件。",
    "断开网络后运行：fuqi bundle verify 文件 --trust 信任文件",
    "不使用 fuqi 亦可核验：各文件的 SHA-256 载于 manifest.json。",
    "回执为 RFC 9162 包含证明与 C2SP 签名检查点。",
    "seal/manifest.tsr 及各签名的时间戳为 RFC 3161 令牌。",
    "锚定含以太坊区块头与 EIP-1186 账户、存储证明。",
)
_IDENTITY_NUMBER: Final = re.compile(
    r"(?<![0-9A-Za-z])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?![0-9A-Za-z])"
)
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def layout(contents: BundleContents) -> dict[str, bytes]:
    """Every file but the manifest, the reports and the seal.

    Raises:
        InputError: `bundle.identity_number`, `bundle.receipt`, `bundle.anchor` and the codes of
            `canonical_bytes`.
    """
    documents, document_files = _documents(contents)
    certificates, certificate_files = _certificates(contents)
    timestamps, timestamp_files = _timestamps(contents)
    events, receipt_files, opened = _events(contents)
    chain, anchor_files = _chain(contents)
    parts: dict[str, Json] = {
        "01-certificate.json": _summary(contents, events=len(events)),
        "02-platform.json": _platform(contents),
        "03-parties.json": _parties(contents),
        "04-realname.json": realname_rows(opened),
        "05-consents.json": intent_rows(opened, act="consent"),
        "06-intents.json": intent_rows(opened, act="sign"),
        "07-certificates.json": certificates,
        "08-signatures.json": [_signature(signer) for signer in contents.signers],
        "09-documents.json": documents,
        "10-events.json": events,
        "11-delivery.json": _delivery(contents),
        "12-timestamps.json": timestamps,
        "13-chain.json": chain,
        "14-verification.json": {"pdf_at_export": contents.validation},
        "15-tools.json": _tools(contents),
        "16-custody.json": _custody(contents),
    }
    if contents.allocation is not None:
        parts[ALLOCATION] = dict(contents.allocation.facts)
    files = {name: canonical_bytes(value) for name, value in parts.items()}
    files |= receipt_files | anchor_files
    for content in files.values():
        refuse_identity_number(content.decode("utf-8"))
    return files | document_files | certificate_files | timestamp_files


def refuse_identity_number(text: str) -> None:
    """A full resident identity number (GB 11643, right check digit) never leaves in a bundle.

    Raises:
        InputError: `bundle.identity_number`.
    """
    for found in _IDENTITY_NUMBER.findall(text):
        total = sum(int(digit) * weight for digit, weight in zip(found, _WEIGHTS, strict=False))
        if "10X98765432"[total % 11] == found[17].upper():
            raise InputError(
                "a full identity number would leave in this bundle; mask it",
                code="bundle.identity_number",
            )


def sha256_hex(data: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def revision_path(number: int) -> str:
    """Where revision `number` lies."""
    return f"documents/revision-{number:02d}.pdf"


def _time(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at)


def _summary(contents: BundleContents, *, events: int) -> Json:
    agreement = contents.agreement
    return {
        "bundle": contents.id,
        "business": BUSINESS,
        "agreement": agreement.id,
        "title": agreement.title,
        "matter": agreement.matter,
        "state": agreement.state,
        "formed_at": _time(agreement.formed_at),
        "place_of_formation": agreement.place_of_formation,
        "document_sha256": agreement.document_sha256,
        "final_sha256": agreement.final_sha256,
        "signatures": len(contents.signers),
        "events": events,
        "disclaimer_en": DISCLAIMER_EN,
        "disclaimer_zh": DISCLAIMER_ZH,
    }


def _platform(contents: BundleContents) -> Json:
    platform = contents.platform
    return {
        "operator": platform.operator,
        "software": platform.software,
        "version": platform.version,
        "chain_operator": platform.chain_operator,
        "licences": list(platform.licences),
    }


def _parties(contents: BundleContents) -> Json:
    return {
        "parties": [
            {
                "id": party.id,
                "kind": party.kind,
                "category": party.category,
                "name": party.name,
                "number_masked": party.number_masked,
                "level": party.level,
                "level_reason": party.level_reason,
                "invented": party.invented,
                "place": party.place,
                "receiving_system": party.receiving_system,
            }
            for party in sorted(contents.parties, key=lambda one: one.id)
        ],
        "authorisations": [
            one.as_json() for one in sorted(contents.authorisations, key=lambda one: one.id)
        ],
    }


def realname_rows(opened: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[Json]:
    """Part 4: every disclosed answer of a verification provider.

    Args:
        opened: (entry id, type, body) of every opened entry, in log order.
    """
    return [{"entry": entry, **body} for entry, kind, body in opened if kind == "identity.checked"]


def intent_rows(opened: Sequence[tuple[str, str, Mapping[str, Any]]], *, act: str) -> list[Json]:
    """Parts 5 and 6: every proven statement of one act (`consent` or `sign`)."""
    return [
        {"entry": entry, **body}
        for entry, kind, body in opened
        if kind == "intent.expressed" and body.get("act") == act
    ]


def _signature(signer: Signer) -> dict[str, Json]:
    return {
        "signer": signer.id,
        "position": signer.position,
        "role": signer.role,
        "organisation": signer.organisation,
        "person": signer.person,
        "field": signer.field,
        "certificate": signer.certificate,
        "authorisation": signer.authorisation,
        "revision_sha256": signer.revision_sha256,
        "signed_at": utc_text(signer.signed_at),
    }


def _certificates(contents: BundleContents) -> tuple[Json, dict[str, bytes]]:
    files: dict[str, bytes] = {}
    rows: list[Json] = []
    for one in sorted(contents.certificates, key=lambda one: one.id):
        chain: list[Json] = []
        path = f"certificates/{sha256_hex(one.der)[:32]}.der"
        files[path] = one.der
        for above in one.chain:
            name = f"certificates/{sha256_hex(above)[:32]}.der"
            files[name] = above
            chain.append(name)
        rows.append(
            {
                "id": one.id,
                "serial": one.serial,
                "person": one.person,
                "organisation": one.organisation,
                "path": path,
                "chain": chain,
            }
        )
    crls: list[Json] = []
    for crl in contents.crls:
        name = f"certificates/{sha256_hex(crl)[:32]}.crl"
        files[name] = crl
        crls.append(name)
    return {"certificates": rows, "crls": sorted(str(name) for name in crls)}, files


def _documents(contents: BundleContents) -> tuple[Json, dict[str, bytes]]:
    agreement = contents.agreement
    files = {"documents/original.pdf": contents.original}
    revisions: list[Json] = []
    for number, data in enumerate(contents.revisions):
        path = revision_path(number)
        files[path] = data
        revisions.append(
            {"number": number, "path": path, "sha256": sha256_hex(data), "size": len(data)}
        )
    archives: list[Json] = []
    for one in contents.archives:
        path = f"documents/archive-{one.number:02d}.pdf"
        files[path] = one.data
        archives.append(
            {
                "number": one.number,
                "path": path,
                "sha256": sha256_hex(one.data),
                "size": len(one.data),
                "level": one.level,
                "stamped_at": utc_text(one.stamped_at),
            }
        )
    attachments: list[Json] = []
    for file in sorted(contents.attachments, key=lambda file: file.id):
        path = f"documents/{file.id}.{file.suffix}"
        files[path] = file.data
        attachments.append(
            {
                "id": file.id,
                "path": path,
                "signer": file.signer,
                "name": file.name,
                "media_type": file.media_type,
                "sha256": sha256_hex(file.data),
                "size": len(file.data),
            }
        )
    letters: list[Json] = []
    for letter in sorted(contents.letters, key=lambda letter: letter.authorisation):
        path = f"documents/letter-{letter.authorisation}.pdf"
        files[path] = letter.data
        letters.append(
            {
                "authorisation": letter.authorisation,
                "agreement": letter.agreement,
                "path": path,
                "sha256": sha256_hex(letter.data),
                "size": len(letter.data),
            }
        )
    part: dict[str, Json] = {
        "agreement": {
            "id": agreement.id,
            "title": agreement.title,
            "matter": agreement.matter,
            "state": agreement.state,
            "origin": agreement.origin,
            "template": agreement.template,
            "allocation": agreement.allocation,
            "created_at": utc_text(agreement.created_at),
            "expires_at": utc_text(agreement.expires_at),
            "formed_at": _time(agreement.formed_at),
            "place_of_formation": agreement.place_of_formation,
            "pages": agreement.pages,
        },
        "original": {
            "path": "documents/original.pdf",
            "sha256": agreement.original_sha256,
            "size": len(contents.original),
        },
        "document_sha256": agreement.document_sha256,
        "final_sha256": agreement.final_sha256,
        "revisions": revisions,
    }
    if archives:
        part["archives"] = archives
    if attachments:
        part["attachments"] = attachments
    if letters:
        part["letters"] = letters
    return part, files


def _events(
    contents: BundleContents,
) -> tuple[list[Json], dict[str, bytes], list[tuple[str, str, Mapping[str, Any]]]]:
    files: dict[str, bytes] = {}
    rows: list[tuple[int, dict[str, Json], Mapping[str, Any] | None]] = []
    for receipt in contents.receipts:
        entry, fields, index = _entry_of(receipt)
        path = f"receipts/{entry}.json"
        if path in files:
            raise InputError("one entry has two receipts", code="bundle.receipt")
        files[path] = canonical_bytes(receipt)
        row = {key: fields[key] for key in ("type", "subject", "actor", "at")}
        rows.append(
            (index, {"entry": entry, "path": path, "index": index, **row}, _body_of(receipt))
        )
    rows.sort(key=lambda row: (row[0], str(row[1]["entry"])))
    opened = [(str(row["entry"]), str(row["type"]), body) for _, row, body in rows if body]
    return [row for _, row, _ in rows], files, opened


def _body_of(receipt: Mapping[str, Any]) -> Mapping[str, Any] | None:
    private = receipt["private"]
    return None if private is None else dict(private["body"])


def _entry_of(receipt: Mapping[str, Any]) -> tuple[str, dict[str, Any], int]:
    try:
        entry = str(receipt["entry"]["id"])
        fields = json.loads(_b64(receipt["entry"]["bytes"]))
        anchor = receipt["anchor"]
        if anchor is not None and anchor["evidence"] is not None:
            raise ValueError("evidence stands once, with its anchor")
        index = -1 if receipt["log"] is None else int(receipt["log"]["index"])
        return entry, fields, index
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(
            "a receipt that a bundle cannot hold (see fuqi/receipt/v1)", code="bundle.receipt"
        ) from exc


def _b64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _delivery(contents: BundleContents) -> Json:
    systems = {party.id: party.receiving_system for party in contents.parties}
    return [
        {
            "signer": signer.id,
            "to": signer.organisation,
            "handler": signer.person,
            "system": systems.get(signer.organisation),
            "delivered_at": utc_text(signer.delivered_at),
            "opened_at": utc_text(signer.opened_at),
            "read_at": utc_text(signer.read_at),
            "consented_at": utc_text(signer.consented_at),
            "intent_at": utc_text(signer.intent_at),
        }
        for signer in contents.signers
    ]


def _timestamps(contents: BundleContents) -> tuple[Json, dict[str, bytes]]:
    """The tokens out of the final PDF, so that they can be read without a PDF reader."""
    files: dict[str, bytes] = {}
    rows: list[Json] = []
    found = signatures_of(contents.revisions[-1]) if contents.signers else []
    for facts in found:
        path = None
        if facts.timestamp_token:
            path = f"timestamps/{facts.order:02d}.tsr"
            files[path] = facts.timestamp_token
        rows.append({"order": facts.order, "field": facts.field, "path": path})
    return {"package": "seal/manifest.tsr", "signatures": rows}, files


def _chain(contents: BundleContents) -> tuple[Json, dict[str, bytes]]:
    files: dict[str, bytes] = {}
    rows: list[Json] = []
    keys = (
        "size",
        "root",
        "chain_id",
        "contract",
        "tx_hash",
        "block_number",
        "block_time",
        "state",
    )
    try:
        found = sorted((_anchor(one) for one in contents.anchors), key=lambda one: int(one["size"]))
        for anchor in found:
            path = f"anchors/{anchor['chain_id']}-{anchor['size']}.json"
            if path in files:
                raise InputError("one anchor stands twice", code="bundle.anchor")
            files[path] = canonical_bytes(anchor)
            rows.append({"path": path, **{key: anchor[key] for key in keys}})
    except (KeyError, TypeError) as exc:
        raise InputError("this is no anchor", code="bundle.anchor") from exc
    return {"operator": contents.platform.chain_operator, "anchors": rows}, files


def _anchor(one: Anchor) -> dict[str, Any]:
    return dict(one.anchor)


def _tools(contents: BundleContents) -> Json:
    return {
        "software": contents.platform.software,
        "version": contents.platform.version,
        "steps_en": list(STEPS_EN),
        "steps_zh": list(STEPS_ZH),
        "algorithms": ["SHA-256", "HMAC-SHA256", "ECDSA P-256", "Ed25519", "keccak-256"],
    }


def _custody(contents: BundleContents) -> Json:
    custody = contents.custody
    return {
        "exported_by": custody.exported_by,
        "exported_at": utc_text(contents.made_at),
        "purpose": contents.purpose.value,
        "legal_basis": custody.legal_basis,
        "recipient": custody.recipient,
        "redactions": list(custody.redactions),
    }
