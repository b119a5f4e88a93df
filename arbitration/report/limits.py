"""What a bundle does not prove: derived from the evidence, said in words, never left to the reader to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from arbitration.model import Bundle
from arbitration.report.signers import authority_of
from arbitration.report.words import block, bodies, both, line, names_of, when
from ledger.core.canonical import Json

LABELS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "demo": (
        "效力",
        "Effect",
        "当事人为虚构，本件仅为演示，不产生任何效力。",
        "The parties are invented: a demonstration without any effect.",
    ),
    "ca.unlicensed": (
        "签名人与密钥的对应",
        "Whose key it is",
        (
            "证书由本平台自建机构签发，并非依法设立的电子认证服务提供者；平台之外无人证明该密钥属于所载之人，"
            "电子签名法第十六条所称第三方认证未予适用。"
        ),
        (
            "The certificates come from the platform's own authority, not from a licensed one: nobody outside"
            " the platform confirms that the key is the named person's."
        ),
    ),
    "tsa.dependent": (
        "签名时间",
        "When it was signed",
        "时间戳由本平台自建机构出具，其时钟由平台掌控；独立可证的只是不晚于锚定区块时间。",
        (
            "The time stamps come from the platform's own authority and clock. Independent of it is only: not"
            " later than the block that anchors the record."
        ),
    ),
    "chain.embedded": (
        "对平台自身的约束",
        "What binds the platform itself",
        "所锚定的链由平台自行运行，对外人不构成独立证明：平台若重写整条链与日志，仅凭本证据包无法发现。",
        (
            "The chain is run by the platform alone and is no independent proof: a platform that rewrote chain"
            " and log together could not be found out from this bundle."
        ),
    ),
    "provider.mock": (
        "身份核验",
        "The identity checks",
        "实名核验的答复出自模拟来源，没有任何真实机构核对过当事人身份。",
        "The identity checks were answered by a mock source; no real register was asked.",
    ),
    "platform.unlicensed": (
        "平台资质",
        "The platform's standing",
        "运营者未载明任何许可或备案编号。",
        "The operator names no licence or filing number.",
    ),
    "platform.declared": (
        "平台资质",
        "The platform's standing",
        "所列许可与备案编号系运营者自述，本证据包不证明其真实、有效；请向发证或备案机关查询。",
        (
            "The numbers of licences and filings are the operator's own word; this bundle does not prove them:"
            " ask whoever issues them."
        ),
    ),
}


def limits_block(bundle: Bundle, labels: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """The section of what is not proven.

    Args:
        labels: of the manifest.
    """
    lines = [
        line(zh, en, told_zh, told_en, warn="yes")
        for one in labels
        if str(one["code"]) in LABELS
        for zh, en, told_zh, told_en in [LABELS[str(one["code"])]]
    ]
    lines += [
        line(str(one["zh"]), str(one["en"]), str(one["code"]), warn="yes")
        for one in labels
        if str(one["code"]) not in LABELS
    ]
    lines += _declared(bundle)
    lines += _closed(bundle)
    lines += [*_anchored(bundle), *_always(bundle)]
    return block(
        "本证据包不能证明的事项",
        "What this bundle does not prove",
        lines,
        anchor="not-proven",
        note=both(
            "由证据本身推定，并非平台自述", "derived from the evidence, not told by the platform"
        ),
    )


def _declared(bundle: Bundle) -> list[dict[str, Json]]:
    names = names_of(bundle)
    found = []
    for row in bundle.signers:
        if authority_of(bundle, row).get("basis", "declared") == "declared":
            who, whom = names.get(str(row["person"]), "?"), names.get(str(row["organisation"]), "?")
            found.append(
                line(
                    "代理权",
                    "The right to act for another",
                    f"{who} 有权代表 {whom}，仅凭后者管理员的录入，无人签署授权书。",
                    f"That {who} may act for {whom} rests on what its administrator entered; nobody signed"
                    " a letter.",
                    warn="yes",
                )
            )
    return found


def _closed(bundle: Bundle) -> list[dict[str, Json]]:
    own = str(bundle.agreement["id"])
    closed = sorted(one.type for one in bundle.events if one.subject == own and one.body is None)
    if not closed:
        return []
    return [
        line(
            "未披露的记录",
            "Entries that are not opened",
            f"{len(closed)} 条关于本合同的记录仅有承诺值，内容不明。",
            f"{len(closed)} entries about the agreement show a commitment only; what they say is unknown.",
            "、".join(dict.fromkeys(closed)),
            warn="yes",
        )
    ]


def _anchored(bundle: Bundle) -> list[dict[str, Json]]:
    times = [one["block_time"] for one in bundle.part(13)["anchors"] if one["block_time"]]
    last = max(times, default=None)
    return [
        line(
            "各步骤的时刻",
            "The moment of each step",
            "日志证明各步骤的先后次序；所载时刻出自平台时钟，独立可证的上限为锚定区块时间。",
            "The log proves the order of the steps; the times are the platform's clock, bounded from above by"
            " the block that anchors them.",
            when(last),
        )
    ]


def _always(bundle: Bundle) -> list[dict[str, Json]]:
    lines = [
        line(
            "内容与履行",
            "Content and performance",
            "文件所述是否属实、当事人是否理解、合同是否履行，均不在证明范围。",
            "Whether what the document says is true, was understood, or was performed.",
        ),
        line(
            "操作设备之人",
            "Who held the device",
            "签名证明设备密钥被使用；使用者即本人，取决于上列核验方式，不能由签名本身证明。",
            "A signature proves that the device's key was used; that the named person used it rests on the"
            " checks listed, not on the signature.",
        ),
        line(
            "导出之后",
            "After the export",
            "此后的撤销、解除、裁决等记录不在本证据包内；可按回执向平台或见证方查询。",
            "What was recorded later (revocations, releases, rulings) is not in here; ask the platform or a"
            " witness with the receipts.",
        ),
    ]
    if bundle.agreement["state"] == "released" or bodies(bundle, "agreement.released"):
        lines.insert(
            0,
            line(
                "现状",
                "As things stand",
                both("本合同已解除", "the agreement was released"),
                warn="yes",
            ),
        )
    return lines
