"""`fuqi/bundle-report/v2`: the report as an arbitrator reads it who trusts nobody's server.

First what was signed, then for each signature who, for whom, when and on whose authority, then what is not
proven; the record behind it follows. Rendered from the parts and files of the bundle and from nothing else,
so that the verifier renders it again and compares. Heads of the law at the end: Electronic Signature Law
article 8, Internet Courts provisions article 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.model import Bundle
from arbitration.report.limits import limits_block
from arbitration.report.signers import signer_blocks
from arbitration.report.words import (
    ENTRIES,
    NONE,
    block,
    bodies,
    both,
    codes,
    line,
    money,
    names_of,
    when,
)
from ledger.core.canonical import Json

RENDERER: Final = "fuqi/bundle-report/v2"
STATES: Final[Mapping[str, tuple[str, str]]] = {
    "formed": ("已成立", "formed"),
    "released": ("已解除", "released"),
}
EVENTS_SHOWN_MAX: Final = 300
"""Lines of the record; a reader who needs more has part 10."""


def agreement_report(bundle: Bundle, *, head: Mapping[str, Any]) -> dict[str, Json]:
    """The facts in the order in which they are shown.

    Args:
        bundle: opened, or a draft.
        head: `bundle`, `made_at`, `purpose`, `labels` as in the manifest.
    """
    return {
        "v": RENDERER,
        **head,
        "sections": [
            _summary(bundle),
            *signer_blocks(bundle),
            limits_block(bundle, head["labels"]),
            *_annexed(bundle),
            _documents(bundle),
            _record(bundle),
            _anchors(bundle),
            _platform(bundle),
            _heads(bundle),
        ],
    }


def _summary(bundle: Bundle) -> dict[str, Json]:
    agreement, documents, names = bundle.agreement, bundle.part(9), names_of(bundle)
    staged = bodies(bundle, "agreement.staged")
    amount = staged[0].get("amount_minor") if staged else None
    stated = (
        money(amount)
        if isinstance(amount, int)
        else both("发起方声明不涉及金额", "none, as the sender stated")
        if staged and staged[0].get("no_amount")
        else both("未载明", "not stated")
    )
    bound = dict.fromkeys(str(row["organisation"]) for row in bundle.signers)
    lines = [
        line("合同", "Agreement", agreement["title"], agreement["id"]),
        line("当事人", "Parties bound", *(names.get(one, one) for one in bound)),
        line("事项与金额", "Matter and amount", codes([agreement["matter"]]), stated),
        line(
            "状态",
            "State",
            both(*STATES.get(str(agreement["state"]), (str(agreement["state"]),) * 2)),
        ),
        line(
            "成立（最后一个必要签名）",
            "Formed (at the last required signature)",
            when(agreement["formed_at"]),
            agreement["place_of_formation"] or NONE,
        ),
        line(
            "各方阅读并签署的文件",
            "The document everybody read and signed",
            f"{documents['revisions'][0]['path']} · {agreement['pages']} 页 pages",
            f"SHA-256 {documents['document_sha256']}",
        ),
        line(
            "全部签名后的文件",
            "With every signature",
            documents["revisions"][-1]["path"],
            f"SHA-256 {documents['final_sha256']}",
        ),
        line(
            "如何自行核验",
            "Verify it yourself",
            "fuqi bundle verify FILE --trust TRUST",
            both(
                "离线、在自己的机器上；信任文件应取自您信任的渠道，而非本证据包",
                "offline, on a machine of your own; take the trust file from whom you trust, not from here",
            ),
        ),
    ]
    return block("签了什么", "What was signed", lines, anchor="what")


def _annexed(bundle: Bundle) -> list[dict[str, Json]]:
    lines: list[dict[str, Json]] = []
    for body in bodies(bundle, "agreement.annexed"):
        lines += [
            line(f"提示条款 {one['number']}", f"Clause {one['number']}", one["text"], one["kind"])
            for one in body["clauses"]
        ]
        lines += [_field(bundle, one) for one in body.get("fields", [])]
    lines += [
        line("随附文件", "Attached file", one["name"], one["path"], f"SHA-256 {one['sha256']}")
        for one in bundle.part(9).get("attachments", [])
    ]
    if not lines:
        return []
    return [block("随附于文件的内容", "What goes with the document", lines, anchor="annexes")]


def _field(bundle: Bundle, one: Mapping[str, Any]) -> dict[str, Json]:
    places = {str(row["field"]): str(row["organisation"]) for row in bundle.signers}
    filler = names_of(bundle).get(places.get(str(one["field"]), ""), str(one["field"]))
    return line(
        f"表单域 {one['name']}",
        f"Form field {one['name']}",
        one["label"],
        f"{both('留待填写', 'left to')} {filler}",
        both("必填", "required") if one["required"] else both("选填", "optional"),
    )


def _documents(bundle: Bundle) -> dict[str, Json]:
    part = bundle.part(9)
    lines = [
        line(
            "原始文件",
            "As uploaded or rendered",
            part["original"]["path"],
            f"SHA-256 {part['original']['sha256']}",
        )
    ]
    lines += [
        line(
            f"版本 {one['number']}",
            f"Revision {one['number']}",
            one["path"],
            f"SHA-256 {one['sha256']}",
        )
        for one in part["revisions"]
    ]
    lines += [
        line(
            "长期归档",
            "Archived form",
            one["path"],
            f"{one['level']} · {when(one['stamped_at'])}",
            f"SHA-256 {one['sha256']}",
        )
        for one in part.get("archives", [])
    ]
    return block(
        "文件及各版本",
        "The files",
        lines,
        anchor="files",
        note=both(
            "每一版以前一版的全部字节开头", "each revision begins with every byte of the one before"
        ),
    )


def _record(bundle: Bundle) -> dict[str, Json]:
    """The steps as the log holds them, in the log's own order."""
    names, own = names_of(bundle), str(bundle.agreement["id"])
    places = {str(row["signer"]): names.get(str(row["organisation"]), "") for row in bundle.signers}
    lines = []
    about = [one for one in bundle.events if one.subject == own]
    for one in about[:EVENTS_SHOWN_MAX]:
        zh, en = ENTRIES.get(one.type, (one.type, one.type))
        body = one.body or {}
        act = f" ({body['act']})" if one.type == "intent.expressed" and "act" in body else ""
        who = places.get(str(body.get("signer", "")), "")
        lines.append(
            line(
                f"{zh}{act}",
                f"{en}{act}",
                when(one.at),
                f"{both('日志序号', 'log index')} {one.index}" + (f" · {who}" if who else ""),
                one.id if one.body is not None else f"{one.id} · {both('未披露', 'not opened')}",
            )
        )
    more = len(about) - len(lines)
    note = both(
        "日志的次序；核验时与链上锚定逐一比对",
        "in the order of the log, which the verification holds against the anchors",
    )
    if more:
        note += f" · +{more}: 10-events.json"
    return block("经过", "What happened, step by step", lines, anchor="record", note=note)


def _anchors(bundle: Bundle) -> dict[str, Json]:
    chain = bundle.part(13)
    lines = [line("链由谁运行", "Who runs the chain", chain["operator"])]
    lines += [
        line(
            f"锚定（前 {one['size']} 条记录）",
            f"Anchor (the first {one['size']} entries)",
            f"{both('区块', 'block')} {one['block_number']} · {when(one['block_time'])}",
            f"chain {one['chain_id']} · {one['contract']}",
            f"tx {one['tx_hash']}",
            f"root {one['root']} · {one['state']}",
        )
        for one in chain["anchors"]
    ]
    return block("链上锚定", "Anchors on the chain", lines, anchor="anchors")


def _platform(bundle: Bundle) -> dict[str, Json]:
    platform, custody = bundle.part(2), bundle.part(16)
    return block(
        "平台与取证过程",
        "The platform, and how this bundle was taken",
        [
            line("平台运营者", "Operator", platform["operator"]),
            line("软件", "Software", f"{platform['software']} {platform['version']}"),
            line(
                "许可与备案",
                "Licences and filings",
                *(platform["licences"] or [both("无", "none")]),
            ),
            line(
                "导出人、依据、接收人",
                "Exported by, basis, recipient",
                custody["exported_by"],
                custody["legal_basis"],
                custody["recipient"],
                when(custody["exported_at"]),
            ),
            line("删节", "Redactions", *(custody["redactions"] or [both("无", "none")])),
        ],
        anchor="platform",
    )


def _heads(bundle: Bundle) -> dict[str, Json]:
    times = [one.at for one in bundle.events]
    span = f"{when(min(times))} — {when(max(times))}" if times else NONE
    return block(
        "法定审查要点",
        "Heads of examination under the law",
        [
            line(
                "电子签名法第八条：生成、储存或者传递数据电文方法的可靠性",
                "Reliability of the method of generating, storing or transmitting (ES Law 8)",
                both("见“经过”“平台与取证过程”", "see the record and the platform"),
            ),
            line(
                "第八条：保持内容完整性方法的可靠性",
                "Reliability of the method of keeping the content whole (ES Law 8)",
                both("见“文件及各版本”“链上锚定”", "see the files and the anchors"),
                "document.digests, document.revisions, document.pdf, event.chain",
            ),
            line(
                "第八条：用以鉴别发件人方法的可靠性",
                "Reliability of the method of identifying the sender (ES Law 8)",
                both("见各签名一节", "see each signature"),
                "signer.realname, signer.authorisation, signer.letter, signer.certificate",
            ),
            line(
                "第八条：其他相关因素",
                "Other relevant factors (ES Law 8)",
                both("见“本证据包不能证明的事项”", "see what this bundle does not prove"),
            ),
            line(
                "第十三条（一）至（四）项",
                "ES Law 13(1)-(4)",
                both(
                    "见各签名一节的意愿、证书与版本",
                    "intent, certificate and revision of each signature",
                ),
                "signer.intent, signer.signature, document.fields",
            ),
            line(
                "互联网法院规定第十一条（一）环境",
                "Internet Courts 11(1): environment",
                both("见“平台与取证过程”", "see the platform"),
            ),
            line("（二）主体与时间", "(2) who and when", span),
            line(
                "（三）存储与保管",
                "(3) medium and keeping",
                both(
                    "仅追加日志，检查点锚定于链",
                    "an append-only log whose checkpoints are anchored",
                ),
            ),
            line(
                "（四）提取过程可重现",
                "(4) reproducible extraction",
                "15-tools.json, 16-custody.json",
            ),
            line(
                "（五）增删改与完整",
                "(5) additions, deletions, changes, gaps",
                both("由核验逐项给出", "each check of the verification says"),
            ),
            line(
                "（六）可验证的形式", "(6) verifiable form", "fuqi bundle verify FILE --trust TRUST"
            ),
        ],
        anchor="heads",
    )
