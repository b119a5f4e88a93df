"""Words of the report: times in two zones, money, and what each kind of entry means, in Chinese and English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from arbitration.model import Bundle
from ledger.core.canonical import Json
from ledger.core.units import parse_utc, utc_text
from signing.identity_letter import WORDS

BEIJING: Final = timezone(timedelta(hours=8))
NONE: Final = "—"
ENTRIES: Final[Mapping[str, tuple[str, str]]] = {
    "document.finalised": ("文件定稿", "document finalised"),
    "agreement.staged": ("载明签署阶段与要求", "stages and demands fixed"),
    "agreement.annexed": (
        "载明提示条款、随附文件与表单安排",
        "clauses, files and form fields fixed",
    ),
    "document.delivered": ("送达", "delivered"),
    "document.opened": ("打开", "opened"),
    "document.read": ("阅读", "read"),
    "clause.confirmed": ("逐条确认提示条款", "clause confirmed"),
    "attachment.added": ("提交文件", "file added"),
    "attachment.withdrawn": ("撤回文件", "file taken back"),
    "intent.expressed": ("表达意愿", "will declared"),
    "approval.given": ("批准用印", "use of the seal approved"),
    "document.filled": ("填写表单域", "form fields filled"),
    "signature.applied": ("签名", "signed"),
    "seal.used": ("用印", "seal used"),
    "agreement.formed": ("合同成立", "agreement formed"),
    "document.archived": ("归档", "archived"),
    "agreement.released": ("解除", "released"),
    "agreement.related": ("被后续合同变更或续签", "amended or renewed by a later one"),
    "agreement.reminded": ("催办", "reminded"),
    "agreement.declined": ("拒签", "declined"),
    "agreement.withdrawn": ("撤回", "withdrawn"),
    "agreement.expired": ("过期", "expired"),
    "agreement.promised": ("提请链上登记", "put before the chain"),
    "signer.refused": ("签署方退出", "a signer stepped aside"),
    "signer.forwarded": ("转交经办人", "handed on to another handler"),
    "ratification.requested": ("请求追认", "ratification asked for"),
    "ratification.decided": ("追认决定", "ratification decided"),
}
"""A type without words stands as it is."""


def both(zh: str, en: str) -> str:
    """One line in both languages."""
    return f"{zh} / {en}"


def when(value: object) -> str:
    """A recorded time, as text or in seconds of Unix time, in Beijing time and in UTC."""
    if value is None:
        return NONE
    moment = (
        datetime.fromtimestamp(value, tz=UTC) if isinstance(value, int) else parse_utc(str(value))
    )
    return f"{moment.astimezone(BEIJING):%Y-%m-%d %H:%M:%S} (UTC+8) · {utc_text(moment)}"


def money(minor: int) -> str:
    """Fen as yuan."""
    return f"人民币 {minor // 100:,}.{minor % 100:02d} 元 (CNY)"


def codes(values: Iterable[object]) -> str:
    """Matters or powers with their Chinese words."""
    return "、".join(f"{WORDS.get(str(one), str(one))} ({one})" for one in sorted(map(str, values)))


def names_of(bundle: Bundle) -> dict[str, str]:
    """Party id -> name."""
    return {str(one["id"]): str(one["name"]) for one in bundle.part(3)["parties"]}


def bodies(bundle: Bundle, kind: str, *, subject: str | None = None) -> list[Mapping[str, Any]]:
    """Opened bodies of one type of entry, oldest first; about the agreement unless a subject is named."""
    about = str(bundle.agreement["id"]) if subject is None else subject
    return [one.body for one in bundle.of_type(kind, subject=about) if one.body is not None]


def line(label_zh: str, label_en: str, *values: object, warn: str = "") -> dict[str, Json]:
    """One line of a section.

    Args:
        warn: "yes" where a reader must not overlook it.
    """
    shown = [NONE if value is None else str(value) for value in values]
    return {"label_zh": label_zh, "label_en": label_en, "values": list(shown), "warn": warn}


def block(
    title_zh: str, title_en: str, lines: list[dict[str, Json]], *, anchor: str, note: str = ""
) -> dict[str, Json]:
    """One section; `anchor` is how the page links to it, `note` stands under its heading."""
    return {
        "id": anchor,
        "title_zh": title_zh,
        "title_en": title_en,
        "note": note,
        "rows": list(lines),
    }
