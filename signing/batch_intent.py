"""The will to sign many documents at once (批量签署): one statement that lists a digest for each.

The statement is signed once. It lists one *item digest* for each document; an item is the agreement, the
document's SHA-256, the signature field and 16 random bytes. Whoever is shown one agreement's evidence opens
that one item; the other digests in the list tell nothing of the other documents, not even to somebody who
could guess their text. In version 1 the act is always both: consent to electronic form, and signing.
Version 2 approves (批量用印审批): each item also names the seal that may be put on, by id, kind and the
digest of its picture, the amount, and where there are some the files and the values of form fields (an annex).

The device signs `batch_message(statement)`. Vectors: tests/golden/test_batch_intent_vectors.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.core.canonical import Json, canonical_bytes, tagged_digest
from ledger.core.errors import LimitError, VerificationError
from ledger.core.units import Digest32, parse_utc, utc_text
from signing.amounts import UNSTATED, is_amount
from signing.annexes import annex_digest
from signing.intent import (
    METHODS,
    STATEMENT_TAGS,
    require_form,
    require_proof,
    statement_digest,
    verify_intent,
    with_texts,
)
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

BATCH_TAG: Final = "fuqi/batch-intent/v1"
ITEM_TAG: Final = "fuqi/batch-item/v1"
ANNEXED_ITEM_TAG: Final = "fuqi/batch-item/v2"
"""An item that also names an annex (`signing.annexes`): confirmed clauses and attached files."""
APPROVAL_TAG: Final = "fuqi/batch-intent/v2"
APPROVAL_ITEM_TAG: Final = "fuqi/batch-item/v3"
"""An item of an approval: it names a seal, or null where the approval is not limited to one."""
ANNEXED_APPROVAL_ITEM_TAG: Final = "fuqi/batch-item/v5"
"""An item of an approval that also names an annex: attached files, and the values of form fields approved."""
STATED_ITEM_TAG: Final = "fuqi/batch-item/v4"
"""An item to sign that also says the amount that the sender stated; it may name an annex as well."""
ACTS: Final = ("consent", "sign")
APPROVAL_ACTS: Final = ("approve",)
ACTS_OF: Final[Mapping[str, tuple[str, ...]]] = {BATCH_TAG: ACTS, APPROVAL_TAG: APPROVAL_ACTS}
ITEMS_MAX: Final = 500
"""More than a morning's contracts of one handler; the statement stays under 40 kB."""
STATEMENT_BYTES_MAX: Final = 65_536
_ITEM_FIELDS: Final = frozenset({"agreement", "document_sha256", "field", "salt"})
_FIELDS: Final = frozenset(
    {
        "v",
        "acts",
        "person",
        "person_name",
        "organisation",
        "organisation_name",
        "count",
        "items",
        "at",
        "nonce",
        "method",
        "text_zh",
        "text_en",
    }
)


@dataclass(frozen=True, slots=True)
class Affirmed:
    """What a proven statement says about one act on one agreement, whether alone or in a batch.

    Attributes:
        document_sha256: hex, the document before the first signature.
        field: empty for an act that fills none.
        annex_sha256: hex, the clauses and files that the statement names; empty for none.
        seal: of an approval, the id of the one seal that it allows; empty where it names none.
        amount: as `signing.amounts.amount_text`; empty where the statement says nothing of it.
    """

    agreement: str
    document_sha256: str
    person: str
    person_name: str
    organisation: str | None
    organisation_name: str | None
    act: str
    field: str
    at: datetime
    annex_sha256: str = ""
    seal: str = ""
    amount: str = ""


def approval_item(
    *,
    agreement: str,
    document_sha256: bytes,
    field: str,
    amount: str,
    seal: NamedSeal | None,
    salt: bytes,
    annex: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """One document of a batch of approvals, as its evidence opens it.

    Args:
        field: the approver's place in the agreement; it is no field of the file.
        amount: as `signing.amounts.amount_text` makes it.
        seal: the only one that may be put on; None for any that the signer may use.
        salt: 16 random bytes, fresh for each item.
        annex: as `signing.annexes.annex` makes it, or None; it lists the values that are approved.
    """
    item: dict[str, Json] = {
        "agreement": agreement,
        "document_sha256": document_sha256.hex(),
        "field": field,
        "amount": amount,
        "seal": None if seal is None else seal.as_json(),
        "salt": salt.hex(),
    }
    return item if annex is None else item | {"annex_sha256": annex_digest(annex).hex()}


def batch_item(
    *,
    agreement: str,
    document_sha256: bytes,
    field: str,
    salt: bytes,
    annex: Mapping[str, Json] | None = None,
    amount: str | None = None,
) -> dict[str, Json]:
    """One document of a batch, as its evidence opens it.

    Args:
        document_sha256: 32 bytes.  salt: 16 random bytes, fresh for each item.
        annex: as `signing.annexes.annex` makes it, or None.
        amount: as `signing.amounts.amount_text` makes it, never `unstated`; None where nothing was said.
    """
    item: dict[str, Json] = {
        "agreement": agreement,
        "document_sha256": document_sha256.hex(),
        "field": field,
        "salt": salt.hex(),
    }
    if amount is not None:
        item["amount"] = amount
    return item if annex is None else item | {"annex_sha256": annex_digest(annex).hex()}


def item_digest(item: Mapping[str, Json]) -> Digest32:
    """SHA-256 of tag, one zero byte, canonical item."""
    return tagged_digest(_item_tag(item), dict(item))


def batch_statement(
    items: Sequence[Mapping[str, Json]],
    *,
    person: str,
    person_name: str,
    organisation: str,
    organisation_name: str,
    at: datetime,
    nonce: str,
    method: str = "device_key",
    approve: bool = False,
) -> dict[str, Json]:
    """The statement that the signer reads above the list of documents, and the device signs once.

    Args:
        items: as `batch_item` makes them, in the order shown; of approvals as `approval_item` does.

    Raises:
        LimitError: `batch.items` for none or more than `ITEMS_MAX`.
        InputError: `intent.malformed` (`context['field']`).
    """
    if not 1 <= len(items) <= ITEMS_MAX:
        raise LimitError(f"a batch has 1 to {ITEMS_MAX} documents", code="batch.items")
    tag = APPROVAL_TAG if approve else BATCH_TAG
    value: dict[str, Json] = {
        "v": tag,
        "acts": list(ACTS_OF[tag]),
        "person": person,
        "person_name": person_name,
        "organisation": organisation,
        "organisation_name": organisation_name,
        "count": len(items),
        "items": [item_digest(one).hex() for one in items],
        "at": utc_text(at),
        "nonce": nonce,
        "method": method,
    }
    return with_texts(value, fault_of=_fault, texts_of=_texts)


def batch_message(stmt: Mapping[str, Json]) -> bytes:
    """The bytes to sign: tag, one zero byte, canonical JSON."""
    return _tag_of(stmt).encode("ascii") + b"\x00" + canonical_bytes(dict(stmt))


def batch_digest(stmt: Mapping[str, Json]) -> Digest32:
    """SHA-256 of `batch_message`."""
    return tagged_digest(_tag_of(stmt), dict(stmt))


def verify_batch(stmt: Mapping[str, Json], *, signature: bytes, public_spki: bytes) -> None:
    """Prove that the holder of the key made exactly this statement.

    Raises:
        VerificationError: `intent.malformed`, `intent.text`, `intent.proof`.
    """
    require_form(
        stmt,
        fields=_FIELDS,
        fault_of=_fault,
        texts_of=_texts,
        bytes_max=STATEMENT_BYTES_MAX,
    )
    require_proof(batch_message(stmt), signature=signature, public_spki=public_spki)


def require_listed(stmt: Mapping[str, Json], item: Mapping[str, Json]) -> None:
    """Refuse an item that the statement does not list.

    Raises:
        VerificationError: `intent.not_listed`.
    """
    listed = stmt["items"]
    more = ({"annex_sha256"}, {"amount"}, {"annex_sha256", "amount"})
    forms = (_ITEM_FIELDS, *(_ITEM_FIELDS | one for one in more))
    if stmt["v"] == APPROVAL_TAG:
        approves = _ITEM_FIELDS | {"amount", "seal"}
        forms = (approves, approves | {"annex_sha256"})
    well_formed = (
        set(item) in forms
        and ("annex_sha256" not in item or matches(HEX32, item["annex_sha256"]))
        and ("seal" not in item or is_seal(item["seal"]))
        and ("amount" not in item or is_amount(item["amount"]))
        and is_id(item["agreement"])
        and matches(HEX32, item["document_sha256"])
        and is_id(item["field"])
        and matches(NONCE, item["salt"])
    )
    if (
        not well_formed
        or not isinstance(listed, list)
        or listed.count(item_digest(item).hex()) != 1
    ):
        raise VerificationError(
            "the statement does not list this document", code="intent.not_listed"
        )


def affirmed(body: Mapping[str, Json], *, public_spki: bytes) -> Affirmed:
    """Verify what an `intent.expressed` entry holds, alone or in a batch, and say what it affirms.

    Args:
        body: the opened entry: `act`, `statement`, `statement_sha256`, `proof`, in a batch `item`.

    Raises:
        VerificationError: `intent.*`.
    """
    stmt, act, item = body.get("statement"), body.get("act"), body.get("item")
    if not isinstance(stmt, Mapping) or not isinstance(act, str):
        raise VerificationError("this is no statement", code="intent.malformed")
    try:
        proof = bytes.fromhex(str(body.get("proof")))
    except ValueError as exc:
        raise VerificationError("the proof is not hex", code="intent.proof") from exc
    if stmt.get("v") in STATEMENT_TAGS:
        verify_intent(stmt, signature=proof, public_spki=public_spki)
        digest, place = statement_digest(stmt), stmt
        acts: Sequence[object] = [stmt["act"]]
    else:
        verify_batch(stmt, signature=proof, public_spki=public_spki)
        if not isinstance(item, Mapping):
            raise VerificationError("no document of the batch is named", code="intent.not_listed")
        require_listed(stmt, item)
        digest, acts = batch_digest(stmt), ACTS_OF[str(stmt["v"])]
        place = {**item, "field": item["field"] if act == "sign" else ""}
    if act not in acts or digest.hex() != body.get("statement_sha256"):
        raise VerificationError("the entry names another statement", code="intent.other_act")
    organisation, organisation_name = stmt["organisation"], stmt["organisation_name"]
    seal = place.get("seal")
    return Affirmed(
        agreement=str(place["agreement"]),
        document_sha256=str(place["document_sha256"]),
        person=str(stmt["person"]),
        person_name=str(stmt["person_name"]),
        organisation=None if organisation is None else str(organisation),
        organisation_name=None if organisation_name is None else str(organisation_name),
        act=act,
        field=str(place["field"]),
        at=parse_utc(str(stmt["at"])),
        annex_sha256=str(place.get("annex_sha256", "")),
        seal=str(seal["id"]) if isinstance(seal, Mapping) else "",
        amount="" if place.get("amount") == UNSTATED else str(place.get("amount", "")),
    )


def _tag_of(stmt: Mapping[str, Json]) -> str:
    return APPROVAL_TAG if stmt.get("v") == APPROVAL_TAG else BATCH_TAG


def _item_tag(item: Mapping[str, Json]) -> str:
    if "seal" in item:
        return ANNEXED_APPROVAL_ITEM_TAG if "annex_sha256" in item else APPROVAL_ITEM_TAG
    if "amount" in item:
        return STATED_ITEM_TAG
    return ANNEXED_ITEM_TAG if "annex_sha256" in item else ITEM_TAG


def _texts(stmt: Mapping[str, Json]) -> tuple[str, str]:
    person, organisation, count = stmt["person_name"], stmt["organisation_name"], stmt["count"]
    listed = tagged_digest(ITEM_TAG, {"items": stmt["items"]}).hex()
    if stmt["v"] == APPROVAL_TAG:
        zh = (
            f"本人{person}，代表{organisation}，已逐份阅读所列{count}份文件，逐份批准本方用印，"
            f"所用印章以清单所列为准，未列明的不限（清单摘要 SHA-256：{listed}）。"
        )
        en = (
            f"I, {person}, for {organisation}, have read each of the {count} documents listed, and approve for "
            f"each, for our side, that our seal is put on: the one listed with it, or any where none is listed "
            f"(digest of the list, SHA-256: {listed})."
        )
        return zh, en
    zh = (
        f"本人{person}，代表{organisation}，已逐份阅读所列{count}份文件，同意以电子形式订立，"
        f"并逐份签署（清单摘要 SHA-256：{listed}）。"
    )
    en = (
        f"I, {person}, for {organisation}, have read each of the {count} documents listed, agree to "
        f"electronic form for each, and sign each (digest of the list, SHA-256: {listed})."
    )
    return zh, en


def _fault(stmt: Mapping[str, Json]) -> str | None:
    """The first malformed field, in declared order, or None; texts are checked elsewhere."""
    items, count = stmt["items"], stmt["count"]
    checks = (
        ("v", stmt["v"] in tuple(ACTS_OF)),
        ("acts", stmt["acts"] == list(ACTS_OF[_tag_of(stmt)])),
        ("person", is_id(stmt["person"])),
        ("person_name", is_name(stmt["person_name"])),
        ("organisation", is_id(stmt["organisation"])),
        ("organisation_name", is_name(stmt["organisation_name"])),
        (
            "items",
            isinstance(items, list)
            and 1 <= len(items) <= ITEMS_MAX
            and all(matches(HEX32, one) for one in items)
            and len({str(one) for one in items}) == len(items),
        ),
        (
            "count",
            isinstance(count, int)
            and not isinstance(count, bool)
            and isinstance(items, list)
            and count == len(items),
        ),
        ("at", is_time(stmt["at"])),
        ("nonce", matches(NONCE, stmt["nonce"])),
        ("method", stmt["method"] in METHODS),
    )
    return next((field for field, good in checks if not good), None)
