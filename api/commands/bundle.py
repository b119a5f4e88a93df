"""`fuqi bundle verify` and `fuqi bundle show`: a stranger examines an evidence bundle on their own machine.

Exit codes: 0 passed, 1 failed, 2 usage (a file that cannot be read, a malformed trust file), 3 indeterminate.
No network, no database: `arbitration.offline` refuses both while a command runs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from arbitration.bundle import read_bundle
from arbitration.checks.all import verify_bundle
from arbitration.container import TOTAL_BYTES_MAX
from arbitration.model import Bundle
from arbitration.offline import offline
from arbitration.policy import Trust, load_trust
from ledger.core.errors import FuqiError, VerificationError
from ledger.core.report import Report, Verdict

EXIT_CODES: Final = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.INDETERMINATE: 3}
USAGE: Final = 2
_MARKS: Final = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.FAILED: ("✗", "red"),
    Verdict.INDETERMINATE: ("?", "yellow"),
}
_WORDS: Final = {
    "en": {
        Verdict.PASSED: "PASSED: every check passed",
        Verdict.FAILED: "FAILED: do not rely on this file",
        Verdict.INDETERMINATE: "INDETERMINATE: nothing speaks against it, but not everything could be checked",
        "number": "no.",
        "check": "check",
        "finding": "finding",
        "labels": "Stated limits",
        "no_trust": "No trust file: what is consistent is shown; whose it is stays open (--trust).",
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
        "no_trust": "未提供信任文件：可核对前后一致，但签名归属无法判定（--trust）。",
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

app = typer.Typer(no_args_is_help=True, help="Evidence bundles: verify or show one, offline.")


@app.command("verify")
def verify_file(
    file: FileArgument,
    trust: TrustOption = None,
    as_json: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Run every check on an evidence bundle. Needs no network and no database."""
    words = language(lang)
    with offline():
        data = read_file(file, lang=words)
        pinned = read_trust(trust, lang=words)
        report = verify_bundle(data, trust=pinned, at=datetime.now(UTC))
    print_report(report, data=data, pinned=pinned is not None, as_json=as_json, lang=words)
    raise typer.Exit(EXIT_CODES[report.verdict])


@app.command("show")
def show_file(file: FileArgument, as_json: JsonOption = False, lang: LangOption = None) -> None:
    """Show what a bundle says of itself, without judging it."""
    words = language(lang)
    with offline():
        data = read_file(file, lang=words)
        try:
            bundle = read_bundle(data)
            facts = _facts(bundle)
        except VerificationError as exc:
            typer.echo(str(exc), err=True)
            raise typer.Exit(EXIT_CODES[Verdict.FAILED]) from exc
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
            typer.echo(f"bundle.part: malformed ({type(exc).__name__})", err=True)
            raise typer.Exit(EXIT_CODES[Verdict.FAILED]) from exc
    if as_json:
        typer.echo(json.dumps(dict(facts), ensure_ascii=False, indent=2))
        return
    console = Console()
    console.print(_WORDS[words]["unverified"], style="yellow", markup=False)
    table = Table(show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for label, value in facts:
        table.add_row(_plain(label), _plain(value))
    console.print(table)


def language(lang: str | None) -> str:
    """`zh` or `en`: as asked, else from LANG."""
    chosen = lang or ("zh" if os.environ.get("LANG", "").lower().startswith("zh") else "en")
    if chosen not in _WORDS:
        raise typer.BadParameter("zh or en", param_hint="--lang")
    return chosen


def read_file(file: Path, *, lang: str) -> bytes:
    """The bytes of `file`, one more than a bundle may have at most; exits 2 where there are none."""
    try:
        with file.open("rb") as handle:
            return handle.read(TOTAL_BYTES_MAX + 1)
    except OSError as exc:
        typer.echo(f"{file}: {_WORDS[lang]['unreadable']} ({exc.strerror})", err=True)
        raise typer.Exit(USAGE) from exc


def read_trust(path: Path | None, *, lang: str) -> Trust | None:
    """The pinned trust, or None; exits 2 where the file is missing or malformed."""
    if path is None:
        return None
    try:
        return load_trust(path)
    except FuqiError as exc:
        typer.echo(f"{path}: {_WORDS[lang]['unreadable']} ({exc})", err=True)
        raise typer.Exit(USAGE) from exc


def print_report(report: Report, *, data: bytes, pinned: bool, as_json: bool, lang: str) -> None:
    """Numbered checks with their marks, the stated limits, and the verdict as the last line."""
    digest = hashlib.sha256(data).hexdigest()
    if as_json:
        value = {**report.as_json(), "sha256": digest}
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
        return
    words, console = _WORDS[lang], Console()
    table = Table()
    table.add_column(words["number"], justify="right")
    table.add_column("")
    table.add_column(words["check"], no_wrap=True)
    table.add_column(words["finding"], overflow="fold")
    for number, check in enumerate(report.checks, start=1):
        mark, colour = _MARKS[check.verdict]
        finding = check.summary_zh if lang == "zh" else check.summary_en
        table.add_row(str(number), f"[{colour}]{mark}[/]", _plain(check.code), _plain(finding))
    console.print(f"SHA-256 {digest}", markup=False, highlight=False)
    console.print(table)
    for label in _own_language(report.labels, lang=lang):
        console.print(f"{words['labels']}: {label}", style="yellow", markup=False)
    if not pinned:
        console.print(words["no_trust"], markup=False)
    colour = _MARKS[report.verdict][1]
    console.print(words[report.verdict], style=f"bold {colour}", markup=False)


def _own_language(labels: Sequence[str], *, lang: str) -> list[str]:
    """Labels come in pairs, Chinese and English; one of a pair is enough on a terminal."""
    chosen = [one for one in labels if any("一" <= char <= "鿿" for char in one) == (lang == "zh")]
    return chosen or list(labels)


def _plain(text: str) -> str:
    """Text from the file under examination: no markup of it is obeyed, no control character printed."""
    return "".join(char if char.isprintable() else "�" for char in text).replace("[", "\\[")


def _facts(bundle: Bundle) -> list[tuple[str, str]]:
    manifest, agreement = bundle.manifest, bundle.agreement
    rows = [
        ("bundle", str(manifest["bundle"])),
        ("made_at", str(manifest["made_at"])),
        ("purpose", f"{manifest['purpose']} → {manifest['recipient']}"),
        ("agreement", f"{agreement['id']} {agreement['title']}"),
        ("state", f"{agreement['state']} {agreement['formed_at'] or ''}".strip()),
        ("document_sha256", str(bundle.part(9)["document_sha256"])),
        ("final_sha256", str(bundle.part(9)["final_sha256"])),
    ]
    rows += [
        (str(party["id"]), f"{party['name']} (L{party['level']})")
        for party in bundle.part(3)["parties"]
    ]
    rows += [
        (str(row["field"]), f"{row['organisation']} / {row['person']} {row['signed_at']}")
        for row in bundle.signers
    ]
    rows += [
        (f"anchor {row['size']}", f"chain {row['chain_id']} block {row['block_number']}")
        for row in bundle.part(13)["anchors"]
    ]
    rows += [(f"label {row['code']}", f"{row['zh']} / {row['en']}") for row in manifest["labels"]]
    return [*rows, ("files", str(len(bundle.files))), ("entries", str(len(bundle.events)))]
