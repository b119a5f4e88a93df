"""One self-contained page of a report: no script, no picture, nothing fetched; on a telephone and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

STYLE: Final = (
    ":root{color-scheme:light}*{box-sizing:border-box}"
    "body{font:16px/1.6 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;color:#111;"
    "overflow-wrap:anywhere}"
    "h1{font-size:1.5rem;line-height:1.3}h2{font-size:1.15rem;margin:2rem 0 .3rem;border-bottom:2px solid #222;"
    "padding-bottom:.2rem}h1 small,h2 small,dt small{display:block;font-weight:400;color:#444;font-size:.85em}"
    "dl{margin:0}dl>div{display:grid;grid-template-columns:15rem minmax(0,1fr);gap:.2rem 1rem;padding:.45rem 0;"
    "border-bottom:1px solid #ccc}dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}dd p{margin:0 0 .15rem}"
    ".warn{border-left:.35rem solid #a33;padding-left:.6rem}.note{color:#444;margin:.2rem 0 .4rem}"
    ".head{border:2px solid #222;padding:.6rem .9rem}nav{margin:.8rem 0}nav a{color:#123a7a}"
    "nav ol{margin:.2rem 0;padding-left:1.4rem}"
    "@media (max-width:40rem){dl>div{grid-template-columns:minmax(0,1fr)}}"
    "@media print{body{font-size:11pt;max-width:none}dl>div,h2{break-inside:avoid}nav{display:none}}"
)


def report_page(facts: Mapping[str, Any], *, title_zh: str, title_en: str) -> str:
    """The page of a report whose facts are `agreement_report`'s."""
    contents = "".join(
        f'<li><a href="#{_text(one["id"])}">{_text(one["title_zh"])} / {_text(one["title_en"])}</a></li>'
        for one in facts["sections"]
    )
    sections = "".join(_section(one) for one in facts["sections"])
    title = f"{title_zh} {facts['bundle']}"
    return (
        '<!doctype html>\n<html lang="zh"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>"
        f'<h1>{_text(title)}<small lang="en">{_text(title_en)}</small></h1>'
        f"<p>{_text(facts['made_at'])} · {_text(facts['purpose'])}</p>"
        '<p class="head">本报告载明所记录的事实，由证据包内的数据生成；是否成立，以您自行核验的结果为准。'
        '<br><span lang="en">This report states what was recorded, rendered from the data in the bundle; '
        "whether it holds is for your own verification to show.</span></p>"
        f"<nav><ol>{contents}</ol></nav>{sections}</body></html>\n"
    )


def _section(one: Mapping[str, Any]) -> str:
    note = f'<p class="note">{_text(one["note"])}</p>' if one["note"] else ""
    rows = "".join(_row(row) for row in one["rows"])
    return (
        f'<section id="{_text(one["id"])}"><h2>{_text(one["title_zh"])}'
        f'<small lang="en">{_text(one["title_en"])}</small></h2>{note}<dl>{rows}</dl></section>'
    )


def _row(row: Mapping[str, Any]) -> str:
    values = "".join(f"<p>{_text(value)}</p>" for value in row["values"] if value != "")
    kind = ' class="warn"' if row["warn"] else ""
    return (
        f'<div{kind}><dt>{_text(row["label_zh"])}<small lang="en">{_text(row["label_en"])}</small></dt>'
        f"<dd>{values}</dd></div>"
    )


def _text(value: object) -> str:
    return escape(str(value))
