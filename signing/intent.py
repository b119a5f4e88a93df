"""The will to sign (意愿): one exact statement per act, and its proof by the signer's own key.

The device signs `intent_message(statement)`; its SHA-256 is `statement_digest(statement)`. The text
a person reads is part of the statement and is rebuilt on verification, so it cannot say anything
but what the fields say. Vectors: tests/golden/test_identity_and_intent_vectors.py.

Version 2 is version 1 and the digest of an annex (`signing.annexes`): the clauses pointed out to this signer
and confirmed one by one, and the files that belong to the document. Version 3 also counts the form fields
whose values the annex lists: those this signer fills and those that others filled before. Without any of it,
version 1 is made. Version 4 also says the amount that the sender stated, or that there is none; its annex may
be empty. Version 5 approves the use of a seal (用印审批): it also names the one seal that may be put on, by id,
kind and the digest of its picture, or null for any of that side's seals.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.core.canonical import Json, canonical_bytes, tagged_digest
from ledger.core.errors import InputError, VerificationError
from ledger.core.units import Digest32, parse_utc, utc_text
from signing.amounts import UNSTATED, amount_texts, is_amount
from signing.annexes import annex_digest, summary_of
from signing.keys.algorithms import verify_by_key
from signing.statement_values import (
    HEX32,
    NONCE,
    NamedSeal,
    is_id,
    is_name,
    is_seal,
    is_time,
    matches,
)

INTENT_TAG: Final = "fuqi/intent/v1"
ANNEXED_TAG: Final = "fuqi/intent/v2"
FILLED_TAG: Final = "fuqi/intent/v3"
STATED_TAG: Final = "fuqi/intent/v4"
APPROVED_TAG: Final = "fuqi/intent/v5"
STATEMENT_TAGS: Final = (INTENT_TAG, ANNEXED_TAG, FILLED_TAG, STATED_TAG, APPROVED_TAG)
"""Statements about one document; those of a batch are in `signing.batch_intent`."""
METHODS: Final = ("device_key",)
"""How the will is proven. Passkeys and one-time codes get a name here and a branch in
`verify_intent`; a method outside this list is refused, never skipped."""
ACTS: Final[Mapping[str, tuple[str, str]]] = {
    "consent": ("同意以电子形式订立本文件", "agree to electronic form for"),
    "sign": ("签署文件", "sign"),
    "approve": ("批准本方在文件上用印", "approve, for our side, that our seal is put on"),
    "decline": ("拒绝签署文件", "decline to sign"),
}
FRESH_FOR: Final = timedelta(minutes=10)
"""Long enough to read the statement once more on a slow phone, too short to collect statements."""
CLOCK_SKEW: Final = timedelta(seconds=60)
"""Between our own machines; the statement's time is set by the server, not by the device."""
STATEMENT_BYTES_MAX: Final = 8192
_BOUND_FIELDS: Final = (
    "v",
    "agreement",
    "document_sha256",
    "person",
    "organisation",
    "act",
    "field",
)
_OTHER_FIELDS: Final = (
    "person_name",
    "organisation_name",
    "at",
    "nonce",
    "method",
    "text_zh",
    "text_en",
)
_FIELDS: Final = frozenset((*_BOUND_FIELDS, *_OTHER_FIELDS))
_ANNEXED_FIELDS: Final = _FIELDS | {"annex_sha256", "clauses", "attachments"}
_FIELDS_OF: Final[Mapping[str, frozenset[str]]] = {
    INTENT_TAG: _FIELDS,
    ANNEXED_TAG: _ANNEXED_FIELDS,
    FILLED_TAG: _ANNEXED_FIELDS | {"fields"},
    STATED_TAG: _ANNEXED_FIELDS | {"fields", "amount"},
    APPROVED_TAG: _ANNEXED_FIELDS | {"fields", "amount", "seal"},
}
APPROVE: Final = "approve"
COUNT_MAX: Final = 1_000
"""Far above what an annex may list; a number in a sentence stays a number one can read."""


def statement(
    *,
    agreement: str,
    document_sha256: bytes,
    person: str,
    person_name: str,
    organisation: str | None,
    organisation_name: str | None,
    act: str,
    field: str,
    at: datetime,
    nonce: str,
    method: str = "device_key",
    annex: Mapping[str, Json] | None = None,
    amount: str | None = None,
    seal: NamedSeal | None = None,
) -> dict[str, Json]:
    """The statement that the signer reads and the device signs.

    Args:
        agreement, person, organisation: random ids; `organisation` is None for a person who acts
            in their own name.
        document_sha256: 32 bytes, the document before the first signature.
        person_name, organisation_name: as they are shown to the signer.
        act: a key of `ACTS`.
        field: name of the signature field, or empty for an act without one.
        at: when the server made the statement.
        nonce: 32 to 128 hex digits, fresh from the server and accepted once.
        method: one of `METHODS`.
        annex: as `signing.annexes.annex` makes it, or None.
        amount: as `signing.amounts.amount_text` makes it; None where nothing was said.
        seal: of an approval, the only one that may be put on; None for any of that side's.

    Raises:
        InputError: `intent.malformed` (`context['field']` names the field).
    """
    value: dict[str, Json] = {
        "v": INTENT_TAG if annex is None else FILLED_TAG if "fields" in annex else ANNEXED_TAG,
        "agreement": agreement,
        "document_sha256": document_sha256.hex(),
        "person": person,
        "person_name": person_name,
        "organisation": organisation,
        "organisation_name": organisation_name,
        "act": act,
        "field": field,
        "at": utc_text(at),
        "nonce": nonce,
        "method": method,
    }
    if amount is not None or act == APPROVE:
        empty: dict[str, Json] = {"annex_sha256": "", "clauses": 0, "attachments": 0, "fields": 0}
        value |= empty | {"v": STATED_TAG, "amount": amount or UNSTATED}
    if act == APPROVE:
        value |= {"v": APPROVED_TAG, "seal": None if seal is None else seal.as_json()}
    if annex is not None:
        value |= summary_of(annex)
    return with_texts(value, fault_of=_fault, texts_of=_texts)


def intent_message(stmt: Mapping[str, Json]) -> bytes:
    """The bytes to sign: tag, one zero byte, canonical JSON."""
    return _tag_of(stmt).encode("ascii") + b"\x00" + canonical_bytes(dict(stmt))


def statement_digest(stmt: Mapping[str, Json]) -> Digest32:
    """SHA-256 of `intent_message`."""
    return tagged_digest(_tag_of(stmt), dict(stmt))


def verify_intent(stmt: Mapping[str, Json], *, signature: bytes, public_spki: bytes) -> None:
    """Prove that the holder of the key made exactly this statement.

    It does not show that the statement is about *this* document or is fresh: `require_intent` does.

    Args:
        stmt: as `statement` made it; nothing is repaired.
        signature: strict DER, ECDSA P-256 with SHA-256.
        public_spki: the key in the signer's certificate.

    Raises:
        VerificationError: `intent.malformed`, `intent.text`, `intent.proof`.
    """
    require_form(
        stmt,
        fields=_FIELDS_OF[_tag_of(stmt)],
        fault_of=_fault,
        texts_of=_texts,
        bytes_max=STATEMENT_BYTES_MAX,
    )
    require_proof(intent_message(stmt), signature=signature, public_spki=public_spki)


def with_texts(
    value: dict[str, Json],
    *,
    fault_of: Callable[[Mapping[str, Json]], str | None],
    texts_of: Callable[[Mapping[str, Json]], tuple[str, str]],
) -> dict[str, Json]:
    """A statement's fields, found well-formed, with the text that says what they say.

    Raises:
        InputError: `intent.malformed` (`context['field']` names the field).
    """
    fault = fault_of(value)
    if fault is not None:
        raise InputError(
            f"the statement's {fault} is missing or malformed", code="intent.malformed", field=fault
        )
    value["text_zh"], value["text_en"] = texts_of(value)
    return value


def require_form(
    stmt: Mapping[str, Json],
    *,
    fields: Collection[str],
    fault_of: Callable[[Mapping[str, Json]], str | None],
    texts_of: Callable[[Mapping[str, Json]], tuple[str, str]],
    bytes_max: int,
) -> None:
    """Exactly these fields, each well-formed, and a text that says what they say.

    Raises:
        VerificationError: `intent.malformed`, `intent.text`.
    """
    try:
        fault = "fields" if set(stmt) != fields else fault_of(stmt)
        too_long = fault is None and len(canonical_bytes(dict(stmt))) > bytes_max
    except InputError as exc:
        raise VerificationError("this is no statement", code="intent.malformed") from exc
    if fault is not None or too_long:
        raise VerificationError(
            "this is no statement of a known version",
            code="intent.malformed",
            field=fault or "size",
        )
    if (stmt["text_zh"], stmt["text_en"]) != texts_of(stmt):
        raise VerificationError(
            "the text shown says something else than the fields", code="intent.text"
        )


def require_proof(message: bytes, *, signature: bytes, public_spki: bytes) -> None:
    """The statement's bytes were signed by this key.

    Raises:
        VerificationError: `intent.proof`.
    """
    try:
        verify_by_key(message, signature=signature, public_spki=public_spki)
    except VerificationError as exc:
        raise VerificationError(
            "the statement was not signed by this key", code="intent.proof", cause=exc.error_code
        ) from exc


def require_fresh(stmt: Mapping[str, Json], *, at: datetime) -> None:
    """At most ten minutes old.

    Raises:
        VerificationError: `intent.not_yet`, `intent.stale`.
    """
    made = parse_utc(str(stmt["at"]))
    if made > at.astimezone(UTC) + CLOCK_SKEW:
        raise VerificationError("the statement lies in the future", code="intent.not_yet")
    if at.astimezone(UTC) - made > FRESH_FOR:
        raise VerificationError("the statement is too old; make a new one", code="intent.stale")


def require_intent(
    stmt: Mapping[str, Json],
    *,
    signature: bytes,
    public_spki: bytes,
    agreement: str,
    document_sha256: bytes,
    person: str,
    organisation: str | None,
    act: str,
    field: str,
    at: datetime,
    annex: Mapping[str, Json] | None = None,
    amount: str | None = None,
) -> None:
    """`verify_intent`, and the statement is fresh and about exactly this act.

    The caller also accepts each nonce once.

    Args:
        at: now; the statement is at most ten minutes old.
        annex: what must be confirmed and belong to the document now, or None.

    Raises:
        VerificationError: those of `verify_intent`; then the first of `intent.other_agreement`,
            `intent.other_document`, `intent.other_person`, `intent.other_organisation`,
            `intent.other_act`, `intent.other_field`, `intent.other_annex`, `intent.other_amount`,
            `intent.not_yet`, `intent.stale`.
    """
    verify_intent(stmt, signature=signature, public_spki=public_spki)
    wanted: tuple[tuple[str, str, Json], ...] = (
        ("agreement", "agreement", agreement),
        ("document_sha256", "document", document_sha256.hex()),
        ("person", "person", person),
        ("organisation", "organisation", organisation),
        ("act", "act", act),
        ("field", "field", field),
        ("annex_sha256", "annex", None if annex is None else annex_digest(annex).hex()),
        ("amount", "amount", amount),
    )
    for key, word, value in wanted:
        empty = {"annex_sha256": "", "amount": UNSTATED}
        said = None if key in empty and stmt.get(key) == empty[key] else stmt.get(key)
        if said != value:
            raise VerificationError(
                f"the statement is about another {word}", code=f"intent.other_{word}"
            )
    require_fresh(stmt, at=at)


def _tag_of(stmt: Mapping[str, Json]) -> str:
    tag = stmt.get("v")
    return tag if isinstance(tag, str) and tag in _FIELDS_OF else INTENT_TAG


def _texts(stmt: Mapping[str, Json]) -> tuple[str, str]:
    verb_zh, verb_en = ACTS[str(stmt["act"])]
    person, digest = stmt["person_name"], stmt["document_sha256"]
    if stmt["organisation_name"] is None:
        zh, en = f"本人{person}", f"I, {person}, in my own name,"
    else:
        zh = f"本人{person}，代表{stmt['organisation_name']}"
        en = f"I, {person}, for {stmt['organisation_name']},"
    zh, en = f"{zh}，{verb_zh}（SHA-256：{digest}）", f"{en} {verb_en} document {digest} (SHA-256)"
    if stmt["v"] == INTENT_TAG:
        return f"{zh}。", f"{en}."
    if stmt["v"] in (STATED_TAG, APPROVED_TAG):
        told_zh, told_en = amount_texts(str(stmt["amount"]))
        zh, en = f"{zh}；{told_zh}", f"{en}; {told_en}"
        if stmt["v"] == APPROVED_TAG:
            told_zh, told_en = _seal_texts(stmt["seal"])
            zh, en = f"{zh}；{told_zh}", f"{en}; {told_en}"
        if not stmt["annex_sha256"]:
            return f"{zh}。", f"{en}."
    if stmt["clauses"]:
        zh += f"；向本人提示的{stmt['clauses']}条条款，本人已逐条阅读并确认"
        en += f"; I have read and confirmed, one by one, the {stmt['clauses']} clauses pointed out to me"
    if stmt["attachments"]:
        zh += f"；随附文件{stmt['attachments']}份为其组成部分"
        en += f"; the {stmt['attachments']} files attached belong to it"
    if stmt.get("fields"):
        zh += f"；清单所列{stmt['fields']}项表单域的填写内容为其组成部分"
        en += f"; the {stmt['fields']} form fields filled as listed belong to it"
    listed = stmt["annex_sha256"]
    return f"{zh}（清单 SHA-256：{listed}）。", f"{en} (list {listed}, SHA-256)."


def _seal_texts(seal: Json) -> tuple[str, str]:
    """Which seal is approved, as an approver reads it."""
    if not isinstance(seal, Mapping):
        return "不限定所用印章", "any seal of our side may be used"
    name, picture = seal["id"], seal["picture_sha256"]
    return (
        f"只批准使用印章{name}（印模 SHA-256：{picture}）",
        f"the one seal approved is {name} (picture {picture}, SHA-256)",
    )


def _fault(stmt: Mapping[str, Json]) -> str | None:
    """The first malformed field, in declared order, or None; texts are checked elsewhere."""
    checks: tuple[tuple[str, bool], ...] = (
        ("v", stmt["v"] in STATEMENT_TAGS),
        ("agreement", is_id(stmt["agreement"])),
        ("document_sha256", matches(HEX32, stmt["document_sha256"])),
        ("person", is_id(stmt["person"])),
        ("person_name", is_name(stmt["person_name"])),
        ("organisation", stmt["organisation"] is None or is_id(stmt["organisation"])),
        (
            "organisation_name",
            stmt["organisation_name"] is None
            if stmt["organisation"] is None
            else is_name(stmt["organisation_name"]),
        ),
        ("act", isinstance(stmt["act"], str) and stmt["act"] in ACTS),
        ("field", stmt["field"] == "" or is_id(stmt["field"])),
        ("at", is_time(stmt["at"])),
        ("nonce", matches(NONCE, stmt["nonce"])),
        ("method", stmt["method"] in METHODS),
    )
    if stmt["v"] in (ANNEXED_TAG, FILLED_TAG):
        filled = stmt["v"] == FILLED_TAG
        checks += (
            ("annex_sha256", matches(HEX32, stmt["annex_sha256"])),
            ("clauses", _is_count(stmt["clauses"])),
            ("attachments", _is_count(stmt["attachments"])),
            ("fields", not filled or (_is_count(stmt["fields"]) and bool(stmt["fields"]))),
            ("annex", filled or bool(stmt["clauses"]) or bool(stmt["attachments"])),
        )
    if stmt["v"] in (STATED_TAG, APPROVED_TAG):
        approved = stmt["v"] == APPROVED_TAG
        counts = ("clauses", "attachments", "fields")
        checks += (
            (
                "annex_sha256",
                stmt["annex_sha256"] == "" or matches(HEX32, stmt["annex_sha256"]),
            ),
            *((name, _is_count(stmt[name])) for name in counts),
            ("annex", bool(stmt["annex_sha256"]) == any(bool(stmt[name]) for name in counts)),
            ("amount", is_amount(stmt["amount"]) and (approved or stmt["amount"] != UNSTATED)),
            ("seal", not approved or (stmt["act"] == APPROVE and is_seal(stmt["seal"]))),
        )
    return next((field for field, good in checks if not good), None)


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX
