"""`fuqi bundle verify` and `fuqi bundle show`: a stranger examines an evidence bundle on their own machine.

Exit codes: 0 passed, 1 failed, 2 usage (a file that cannot be read, a malformed trust file), 3 indeterminate.
No network, no database: `arbitration.offline` refuses both while a command runs.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from api.commands.reporting import (
    EXIT_CODES,
    USAGE,
    WORDS,
    FileArgument,
    JsonOption,
    LangOption,
    TrustOption,
    language,
    plain,
    print_report,
    read_file,
)
from arbitration.bundle import read_bundle
from arbitration.container import TOTAL_BYTES_MAX, unpack
from arbitration.donation_model import donation_part, is_donation_bundle, open_donation_files
from arbitration.donation_story import PLACES_ZH
from arbitration.examining import Examiner
from arbitration.lot_model import is_lot_bundle, lot_part, open_lot_files
from arbitration.model import Bundle
from arbitration.offline import offline
from arbitration.policy import Trust, load_trust
from ledger.core.errors import FuqiError, VerificationError
from ledger.core.report import Verdict

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
    examiner = Examiner(workers=1)
    # The file is examined in a child with limits; it must be there before this process is shut in.
    examiner.warm()
    try:
        with offline():
            data = read_file(file, lang=words, limit=TOTAL_BYTES_MAX)
            pinned = read_trust(trust, lang=words)
            report = examiner.examine(data, trust=pinned, at=datetime.now(UTC), bundle=True)
    finally:
        examiner.close()
    print_report(report, data=data, pinned=pinned is not None, as_json=as_json, lang=words)
    raise typer.Exit(EXIT_CODES[report.verdict])


@app.command("show")
def show_file(file: FileArgument, as_json: JsonOption = False, lang: LangOption = None) -> None:
    """Show what a bundle says of itself, without judging it."""
    words = language(lang)
    with offline():
        data = read_file(file, lang=words, limit=TOTAL_BYTES_MAX)
        try:
            files = unpack(data)
            if is_donation_bundle(files):
                facts = _donation_facts(open_donation_files(files))
            elif is_lot_bundle(files):
                facts = _lot_facts(open_lot_files(files))
            else:
                facts = _facts(read_bundle(data))
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
    console.print(WORDS[words]["unverified"], style="yellow", markup=False)
    table = Table(show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for label, value in facts:
        table.add_row(plain(label), plain(value))
    console.print(table)


def read_trust(path: Path | None, *, lang: str) -> Trust | None:
    """The pinned trust, or None; exits 2 where the file is missing or malformed."""
    if path is None:
        return None
    try:
        return load_trust(path)
    except FuqiError as exc:
        typer.echo(f"{path}: {WORDS[lang]['unreadable']} ({exc})", err=True)
        raise typer.Exit(USAGE) from exc


def _donation_facts(bundle: Bundle) -> list[tuple[str, str]]:
    manifest, part = bundle.manifest, donation_part(bundle)
    rows = [
        ("bundle", str(manifest["bundle"])),
        ("made_at", str(manifest["made_at"])),
        ("purpose", f"{manifest['purpose']} → {manifest['recipient']}"),
        *(("offer", str(one)) for one in part["offers"]),
        *((str(one["id"]), str(one["name"])) for one in part["parties"]),
        *(
            (f"{name} {PLACES_ZH.get(str(name), '')}", str(units))
            for name, units in part["account"]
        ),
    ]
    rows += [("file", str(row["path"])) for row in manifest["files"] if row["role"] == "part"]
    return rows


def _lot_facts(bundle: Bundle) -> list[tuple[str, str]]:
    manifest, part = bundle.manifest, lot_part(bundle)
    names = {str(row["id"]): str(row["name"]) for row in part["parties"]}
    rows = [
        ("bundle", str(manifest["bundle"])),
        ("made_at", str(manifest["made_at"])),
        ("purpose", f"{manifest['purpose']} → {manifest['recipient']}"),
        ("lot", str(part["lot"])),
        ("for", names.get(str(part["for"]), "—")),
    ]
    rows += [(one, f"{name}") for one, name in sorted(names.items())]
    rows += [
        (f"{names.get(str(holder), holder)} · {shelf}", str(units))
        for holder, shelf, units in part["places"]
    ]
    rows += [(f"label {row['code']}", f"{row['zh']} / {row['en']}") for row in manifest["labels"]]
    return [*rows, ("files", str(len(bundle.files))), ("entries", str(len(bundle.events)))]


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
