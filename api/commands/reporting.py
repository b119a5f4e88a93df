"""What the verifying commands share: reading a file, and printing a report for people or programs.

Exit codes: 0 passed, 1 failed, 2 usage (a file that cannot be read, a malformed trust file), 3 indeterminate.
Imports little, so that a receipt is verified in a fraction of a second.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from ledger.core.report import Report, Verdict

EXIT_CODES: Final = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.INDETERMINATE: 3}
USAGE: Final = 2
_MARKS: Final = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.FAILED: ("✗", "red"),
    Verdict.INDETERMINATE: ("?", "yellow"),
}
WORDS: Final = {
    "en": {
        Verdict.PASSED: "PASSED: every check passed",
        Verdict.FAILED: "FAILED: do not rely on this file",
        Verdict.INDETERMINATE: "INDETERMINATE: nothing speaks against it, but not everything could be checked",
        "number": "no.",
        "check": "check",
        "finding": "finding",
        "labels": "Stated limits",
        "no_trust": "No trust file: what is consistent is shown; whose it is stays open. Get one from "
        "somebody you trust, by another way than this file, and pass it: --trust FILE.",
        "unverified": "Not verified. This is what the file says of itself.",
        "unreadable": "cannot be read",
    },
    "zh": {
        Verdict.PASSED: "通过：全部检查均通过",
        Verdict.FAILED: "未通过：请勿采信此文件",
        Verdict.INDETERMINATE: "无法判定：未发现相反情形，但并非全部事项可以核验",
        "number": "序号",
        "check": "检查项",
        "finding": "结论",
        "labels": "载明的限制",
        "no_trust": "未提供信任文件：可核对前后一致，但出自何人无法判定。"
        "请从您信任的一方另行取得信任文件并指定：--trust 文件。",
        "unverified": "未经核验。以下仅为文件自身所述。",
        "unreadable": "无法读取",
    },
}

FileArgument = Annotated[Path, typer.Argument(help="The file to examine.", show_default=False)]
TrustOption = Annotated[
    Path | None,
    typer.Option("--trust", envvar="FUQI_TRUST_FILE", help="Trust file (fuqi/trust/v1)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
LangOption = Annotated[
    str | None, typer.Option("--lang", help="zh or en; default from LANG.", show_default=False)
]


def language(lang: str | None) -> str:
    """`zh` or `en`: as asked, else from LANG."""
    chosen = lang or ("zh" if os.environ.get("LANG", "").lower().startswith("zh") else "en")
    if chosen not in WORDS:
        raise typer.BadParameter("zh or en", param_hint="--lang")
    return chosen


def read_file(file: Path, *, lang: str, limit: int) -> bytes:
    """The bytes of `file`, one more than `limit` at most; exits 2 where there are none."""
    try:
        with file.open("rb") as handle:
            return handle.read(limit + 1)
    except OSError as exc:
        typer.echo(f"{file}: {WORDS[lang]['unreadable']} ({exc.strerror})", err=True)
        raise typer.Exit(USAGE) from exc


def print_report(report: Report, *, data: bytes, pinned: bool, as_json: bool, lang: str) -> None:
    """Numbered checks with their marks, the stated limits, and the verdict as the last line."""
    digest = hashlib.sha256(data).hexdigest()
    if as_json:
        value = {**report.as_json(), "sha256": digest}
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return
    words, console = WORDS[lang], Console()
    table = Table()
    table.add_column(words["number"], justify="right")
    table.add_column("")
    table.add_column(words["check"], no_wrap=True)
    table.add_column(words["finding"], overflow="fold")
    for number, check in enumerate(report.checks, start=1):
        mark, colour = _MARKS[check.verdict]
        finding = check.summary_zh if lang == "zh" else check.summary_en
        table.add_row(str(number), f"[{colour}]{mark}[/]", plain(check.code), plain(finding))
    console.print(f"SHA-256 {digest}", markup=False, highlight=False)
    console.print(table)
    for label in own_language(report.labels, lang=lang):
        console.print(f"{words['labels']}: {label}", style="yellow", markup=False)
    if not pinned:
        console.print(words["no_trust"], markup=False)
    colour = _MARKS[report.verdict][1]
    console.print(words[report.verdict], style=f"bold {colour}", markup=False)


def own_language(labels: Sequence[str], *, lang: str) -> list[str]:
    """Labels come in pairs, Chinese and English; one of a pair is enough on a terminal."""
    chosen = [one for one in labels if any("一" <= char <= "鿿" for char in one) == (lang == "zh")]
    return chosen or list(labels)


def plain(text: str) -> str:
    """Text from the file under examination: no markup of it is obeyed, no control character printed."""
    return "".join(char if char.isprintable() else "�" for char in text).replace("[", "\\[")
