"""What the operator says of its licences and filings: printed as the operator's word, not verified here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from api.settings import Settings

KINDS: Final[tuple[tuple[str, str, Callable[[Settings], str]], ...]] = (
    (
        "电子认证服务许可",
        "electronic certification service licence",
        lambda one: one.declared_ca_licence,
    ),
    ("ICP 备案", "ICP filing", lambda one: one.declared_icp_filing),
    (
        "网络安全等级保护",
        "classified protection level",
        lambda one: one.declared_protection_level,
    ),
    (
        "区块链信息服务备案",
        "blockchain information service filing",
        lambda one: one.declared_chain_filing,
    ),
)


def declared_licences(settings: Settings) -> tuple[str, ...]:
    """One line for each number that the operator declares, in a fixed order; each says whose word it is."""
    return tuple(
        f"运营者自述、未经核验 {zh}：{value} / declared by the operator, not verified: {en} {value}"
        for zh, en, of in KINDS
        if (value := of(settings).strip())
    )
