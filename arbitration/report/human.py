"""The human report (zh and en): rendered from the parts and from nothing else.

`report_json` gathers the facts, `report_html` lays them out; both are pure, so that the verifier renders
them again and compares. The report states what was recorded; a verdict comes from verifying, not from it.
Heads: Electronic Signature Law article 8 (four), Internet Courts provisions article 11 (six).
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from arbitration.model import Bundle
from ledger.core.canonical import Json

RENDERER: Final = "fuqi/bundle-report/v1"
"""A changed wording or layout is a new renderer; the old one stays, as old bundles do."""

_STYLE: Final = (
    "body{font:15px/1.6 sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#111}"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid #999}"
    "table{border-collapse:collapse;width:100%}td{border:1px solid #bbb;padding:.3em .6em;"
    "vertical-align:top;word-break:break-all}td:first-child{width:32%;word-break:normal}"
    ".label{border:2px solid #a33;padding:.4em .8em;margin:.3em 0}small{color:#444}"
)


def report_json(bundle: Bundle, *, head: Mapping[str, Json]) -> dict[str, Json]:
    """`fuqi/bundle-report/v1`: the facts in the order in which they are shown.

    Args:
        bundle: opened, or a draft.
        head: `bundle`, `made_at`, `purpose`, `labels` as in the manifest.
    """
    return {
        "v": RENDERER,
        **head,
        "sections": [
            report_section("一、合同与当事人", "The agreement and the parties", _agreement(bundle)),
            report_section(
                "二、生成、储存或者传递数据电文方法的可靠性",
                "Reliability of the method of generating, storing or transmitting",
                _generation(bundle),
            ),
            report_section(
                "三、保持内容完整性方法的可靠性",
                "Reliability of the method of keeping the content whole",
                _integrity(bundle),
            ),
            report_section(
                "四、用以鉴别发件人方法的可靠性",
                "Reliability of the method of identifying the sender",
                _identification(bundle),
            ),
            report_section("五、其他相关因素", "Other relevant factors", _other(bundle)),
            report_section(
                "六、电子数据真实性审查要点（六项）",
                "Points for examining the authenticity of electronic data (six)",
                _checklist(bundle),
            ),
        ],
    }


def report_html(facts: Mapping[str, Any]) -> str:
    """One self-contained page: no script, no picture, nothing fetched."""
    return page_html(
        facts, title_zh="电子合同证据报告", title_en="Evidence report on an electronic agreement"
    )


def page_html(facts: Mapping[str, Any], *, title_zh: str, title_en: str) -> str:
    """The page of a report of either kind."""
    labels = "".join(
        f'<p class="label">{_text(one["zh"])}<br><small>{_text(one["en"])}</small></p>'
        for one in facts["labels"]
    )
    sections = "".join(_section_html(one) for one in facts["sections"])
    title = f"{title_zh} {facts['bundle']}"
    return (
        '<!doctype html>\n<html lang="zh"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_text(title)}<br><small>{_text(title_en)}</small></h1>"
        f"<p>{_text(facts['made_at'])} · {_text(facts['purpose'])}</p>{labels}"
        "<p>本报告载明所记录的事实；是否成立以核验结果为准。<br><small>This report states what was "
        "recorded; whether it holds is for the verification to show.</small></p>"
        f"{sections}</body></html>\n"
    )


def report_section(title_zh: str, title_en: str, rows: list[Json]) -> Json:
    """One heading with its rows, as `page_html` takes it."""
    return {"title_zh": title_zh, "title_en": title_en, "rows": rows}


def report_row(label_zh: str, label_en: str, *values: object) -> Json:
    """One line of a table: what it is in both languages, and its values."""
    shown = ["—" if value is None else str(value) for value in values]
    return {"label_zh": label_zh, "label_en": label_en, "values": list(shown)}


def _section_html(section: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{_text(row['label_zh'])}<br><small>{_text(row['label_en'])}</small></td><td>"
        + "<br>".join(_text(value) for value in row["values"])
        + "</td></tr>"
        for row in section["rows"]
    )
    return (
        f"<h2>{_text(section['title_zh'])}<br><small>{_text(section['title_en'])}</small></h2>"
        f"<table>{rows}</table>"
    )


def _text(value: object) -> str:
    return escape(str(value))


def _names(bundle: Bundle) -> dict[str, str]:
    return {str(one["id"]): str(one["name"]) for one in bundle.part(3)["parties"]}


def _named(names: Mapping[str, str], party: str) -> str:
    return f"{names.get(party, '?')} ({party})"


def _agreement(bundle: Bundle) -> list[Json]:
    agreement, documents = bundle.agreement, bundle.part(9)
    rows = [
        report_row("合同编号与名称", "Agreement", agreement["id"], agreement["title"]),
        report_row("事项", "Matter", agreement["matter"]),
        report_row("状态", "State", agreement["state"]),
        report_row(
            "成立时间（最后一个必要签名）",
            "Formed at (last required signature)",
            agreement["formed_at"],
        ),
        report_row("成立地点", "Place of formation", agreement["place_of_formation"]),
        report_row(
            "各方阅读并签署的文件 SHA-256", "Document read and signed", documents["document_sha256"]
        ),
        report_row("最终文件 SHA-256", "Final file", documents["final_sha256"]),
    ]
    for party in bundle.part(3)["parties"]:
        note = "虚构 / invented" if party["invented"] else ""
        level = f"L{party['level']}: {party['level_reason']}"
        rows.append(
            report_row(
                "当事人或经办人",
                "Party or handler",
                f"{party['name']} {note}".strip(),
                party["id"],
                party["number_masked"],
                level,
                party["place"],
            )
        )
    return rows


def _generation(bundle: Bundle) -> list[Json]:
    platform, agreement, names = bundle.part(2), bundle.agreement, _names(bundle)
    rows = [
        report_row("软件与版本", "Software", f"{platform['software']} {platform['version']}"),
        report_row("平台运营者", "Operator", platform["operator"]),
        report_row(
            "文件来源", "Origin of the document", agreement["origin"], agreement["template"]
        ),
        report_row("存证记录条数", "Entries in the log", len(bundle.events)),
    ]
    rows += [
        report_row(
            "送达、打开、阅读",
            "Delivered, opened, read",
            _named(names, row["to"]),
            row["system"],
            row["delivered_at"],
            row["opened_at"],
            row["read_at"],
        )
        for row in bundle.part(11)
    ]
    return rows


def _integrity(bundle: Bundle) -> list[Json]:
    rows = [
        report_row("文件版本", "Revision", f"{row['number']}: {row['size']} B", row["sha256"])
        for row in bundle.part(9)["revisions"]
    ]
    rows += [
        report_row(
            "链上锚定",
            "Anchor on the chain",
            f"chain {anchor['chain_id']}, block {anchor['block_number']}",
            anchor["contract"],
            anchor["tx_hash"],
            f"{anchor['size']} entries, root {anchor['root']}",
        )
        for anchor in bundle.part(13)["anchors"]
    ]
    return rows


def _identification(bundle: Bundle) -> list[Json]:
    names = _names(bundle)
    rows: list[Json] = []
    rows += [
        report_row(
            "实名核验",
            "Real-name check",
            _named(names, check["subject"]),
            check["kind"],
            check["status"],
            f"{check['provider']}: {check['label_zh']} / {check['label_en']}",
            check["checked_at"],
        )
        for check in bundle.part(4)
    ]
    rows += [
        report_row(
            "授权",
            "Authorisation",
            f"{_named(names, one['organisation'])} → {_named(names, one['person'])}",
            ", ".join(one["matters"]),
            ", ".join(one["powers"]),
            f"{one['valid_from']} — {one['valid_to']}",
        )
        for one in bundle.part(3)["authorisations"]
    ]
    rows += [
        report_row(
            "同意与签署意愿（设备密钥签名的原文）",
            "Consent and intent (the very text the device signed)",
            intent["statement"]["text_zh"],
            intent["statement"]["text_en"],
            intent["statement"]["at"],
        )
        for intent in (*bundle.part(5), *bundle.part(6))
    ]
    rows += [
        report_row(
            "签名",
            "Signature",
            f"{row['position']}: {row['field']}",
            f"{_named(names, row['organisation'])} / {_named(names, row['person'])}",
            row["certificate"],
            row["signed_at"],
            row["revision_sha256"],
        )
        for row in bundle.part(8)
    ]
    return rows


def _other(bundle: Bundle) -> list[Json]:
    platform, custody = bundle.part(2), bundle.part(16)
    return [
        report_row("许可与备案", "Licences and filings", *(platform["licences"] or ["无 / none"])),
        report_row("链的运营者", "Who runs the chain", platform["chain_operator"]),
        report_row(
            "导出人、依据、接收人",
            "Exported by, basis, recipient",
            custody["exported_by"],
            custody["legal_basis"],
            custody["recipient"],
        ),
        report_row("删节", "Redactions", *(custody["redactions"] or ["无 / none"])),
        report_row(
            "电子签名法第十三条（一）至（四）项",
            "Electronic Signature Law 13(1)-(4)",
            "证据：第四节各签名、证书与意愿，第三节各版本 / evidence: signatures, certificates and intents in "
            "section 4, revisions in section 3",
        ),
    ]


def _checklist(bundle: Bundle) -> list[Json]:
    first, last = (bundle.events[0].at, bundle.events[-1].at) if bundle.events else ("—", "—")
    return [
        report_row(
            "（一）生成、收集、存储、传输所依赖的环境是否安全、可靠",
            "1. Environment of generation, collection, storage, transmission",
            "见第二节及 02-platform.json / section 2 and 02-platform.json",
        ),
        report_row(
            "（二）生成主体和时间是否明确，内容是否清晰、客观、准确",
            "2. Who and when; clear content",
            f"各存证记录载明行为人与时间（{first} — {last}）/ every entry names actor and time",
        ),
        report_row(
            "（三）存储、保管介质是否明确，保管方式和手段是否妥当",
            "3. Medium and manner of keeping",
            "仅追加日志，检查点锚定于链 / append-only log, checkpoints anchored on the chain",
        ),
        report_row(
            "（四）提取和固定的主体、工具和方式是否可靠，过程是否可以重现",
            "4. Extraction: by whom, with what, reproducible",
            "见 15-tools.json 与 16-custody.json；证据包可逐字节重现 / reproducible byte for byte",
        ),
        report_row(
            "（五）内容是否存在增加、删除、修改及不完整等情形",
            "5. Additions, deletions, changes, gaps",
            "运行核验：document.*、event.chain、event.order / run the verification",
        ),
        report_row(
            "（六）是否可以通过特定形式得到验证",
            "6. Verifiable form",
            "fuqi bundle verify FILE --trust TRUST",
        ),
    ]
