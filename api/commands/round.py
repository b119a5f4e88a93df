"""`fuqi round …`: check a round's plan and certificate anew, offline, and a bundle and the chain against it.

Needs the round's three documents, as `/api/v1/rounds/{id}/documents/{name}` serves them to operators, and
nothing else: every pair is judged again, everything is added up again, and the proof or the gap is recomputed.
With `/api/v1/rounds/{id}/chain` beside them as `chain.json`, also what the round did on the chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.commands.reporting import (
    EXIT_CODES,
    USAGE,
    JsonOption,
    LangOption,
    TrustOption,
    language,
    print_report,
    read_file,
)
from api.commands.round_chain import Documents, chain_checks, read_record, strike_for
from arbitration.bundle import read_bundle
from arbitration.container import TOTAL_BYTES_MAX
from arbitration.offline import offline
from arbitration.parts import ALLOCATION
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError, InputError, LimitError
from ledger.core.report import Check, Report, Verdict
from ledger.ledger_trust import TRUST_BYTES_MAX, LedgerTrust, read_ledger_trust
from matching.check import check_plan
from matching.gap import room_left
from matching.plan import Certificate, Plan, certificate_from_json, plan_from_json
from matching.problem import Problem, problem_from_json

DOCUMENT_BYTES_MAX: Final = 256 * 1024 * 1024
"""As the service stores them: a round of 20 000 needs takes a tenth of this."""
NAMES: Final = ("problem.json", "plan.json", "certificate.json")
CHAIN_NAME: Final = "chain.json"
CHAIN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Forty receipts, each with an act's payload of 64 KiB at most."""

app = typer.Typer(no_args_is_help=True, help="Matching rounds: verify one offline, strike one.")

FolderArgument = Annotated[
    Path,
    typer.Argument(
        help="Folder with problem.json, plan.json and certificate.json.", show_default=False
    ),
]
BundleOption = Annotated[
    Path | None,
    typer.Option(
        "--bundle", help="Evidence bundle whose line must stand in this round.", show_default=False
    ),
]


@app.callback()
def group() -> None:
    """Matching rounds: verify one offline, strike one."""


@app.command("verify")
def verify_round(
    folder: FolderArgument,
    bundle: BundleOption = None,
    trust: TrustOption = None,
    as_json: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Check plan and certificate of a round anew: every pair, every limit, the proof or the gap.

    With --bundle also that the bundle's line and digests are this round's. Whether the bundle itself holds is
    what `fuqi bundle verify` says. With chain.json in the folder (/api/v1/rounds/{id}/chain) also that the
    chain holds this round's inputs and result, as the log's receipts say; --trust names whose log that is.
    """
    words = language(lang)
    with offline():
        data = [read_file(folder / name, lang=words, limit=DOCUMENT_BYTES_MAX) for name in NAMES]
        packed = None if bundle is None else read_file(bundle, lang=words, limit=TOTAL_BYTES_MAX)
        chain = _chain_file(folder, lang=words)
        try:
            pinned = None if trust is None else _trust(trust, lang=words)
            report = report_of(data, packed, chain, trust=pinned)
        except FuqiError as error:
            typer.echo(f"{error.error_code}: {error}", err=True)
            raise typer.Exit(USAGE) from error
    # Without the chain's record nothing rests on whose log it is.
    known = chain is None or pinned is not None
    print_report(report, data=b"".join(data), pinned=known, as_json=as_json, lang=words)
    raise typer.Exit(EXIT_CODES[report.verdict])


@app.command("strike")
def strike_round(
    folder: FolderArgument,
    out: Annotated[
        Path, typer.Option("--out", help="Where to write the call.", show_default=False)
    ],
    lang: LangOption = None,
) -> None:
    """Look for a fault in a round's posted result, and write the call that voids it.

    Needs the three documents and chain.json. Anybody may send the call to the contract named in it, with any
    account, until the window closes. Exit codes: 0 a fault was found, 1 there is none.
    """
    words = language(lang)
    with offline():
        data = [read_file(folder / name, lang=words, limit=DOCUMENT_BYTES_MAX) for name in NAMES]
        chain = read_file(folder / CHAIN_NAME, lang=words, limit=CHAIN_BYTES_MAX)
        try:
            documents = _documents(data)
            document = _document(chain, code="round.chain_malformed", limit=CHAIN_BYTES_MAX)
            record = read_record(document, problem_id=documents.problem.id)
            found = strike_for(record, documents)
        except FuqiError as error:
            typer.echo(f"{error.error_code}: {error}", err=True)
            raise typer.Exit(USAGE) from error
    if found is None:
        typer.echo(
            "没有可推翻之处：公布的结果成立。"
            if words == "zh"
            else "There is nothing to strike: the posted result holds."
        )
        raise typer.Exit(1)
    call = {
        "chain_id": found.chain_id,
        "to": found.contract,
        "data": "0x" + found.data.hex(),
        "fault": found.fault.name.lower(),
        "row": found.row,
        "column": found.column,
    }
    out.write_text(json.dumps(call, indent=1) + "\n", "utf-8")
    typer.echo(f"{found.fault.name.lower()} {found.row} {found.column} -> {out}")


def report_of(
    data: list[bytes],
    bundle: bytes | None,
    chain: bytes | None = None,
    *,
    trust: LedgerTrust | None = None,
) -> Report:
    """The checker's report on the three documents; the bundle's line and the chain's record against them.

    Raises:
        LimitError: `matching.too_large`.
        InputError: `matching.problem_malformed`, `matching.plan_malformed`, `matching.certificate_malformed`,
            `round.chain_malformed`, and the codes of reading a bundle.
    """
    found = _documents(data)
    problem, plan, certificate = found.problem, found.plan, found.certificate
    checked = check_plan(problem, plan, certificate)
    checks = [*checked.checks]
    if bundle is not None and checked.verdict is Verdict.PASSED:
        facts = read_bundle(bundle).json.get(ALLOCATION)
        checks.append(_line_check(facts, problem, plan, certificate))
    if chain is not None:
        document = _document(chain, code="round.chain_malformed", limit=CHAIN_BYTES_MAX)
        record = read_record(document, problem_id=problem.id)
        checks += chain_checks(record, found, trust=trust, at=datetime.now(UTC))
    return Report(subject="matching round", checks=tuple(checks))


def _documents(data: list[bytes]) -> Documents:
    return Documents(
        problem_from_json(_document(data[0], code="matching.problem_malformed")),
        plan_from_json(_document(data[1], code="matching.plan_malformed")),
        certificate_from_json(_document(data[2], code="matching.certificate_malformed")),
    )


def _chain_file(folder: Path, *, lang: str) -> bytes | None:
    file = folder / CHAIN_NAME
    return read_file(file, lang=lang, limit=CHAIN_BYTES_MAX) if file.exists() else None


def _trust(path: Path, *, lang: str) -> LedgerTrust:
    return read_ledger_trust(read_file(path, lang=lang, limit=TRUST_BYTES_MAX))


def _document(data: bytes, *, code: str, limit: int = DOCUMENT_BYTES_MAX) -> Mapping[str, Any]:
    if len(data) > limit:
        raise LimitError(
            f"a document has at most {limit} bytes", code="matching.too_large", limit=limit
        )
    try:
        value = json.loads(data)
    except ValueError as exc:
        raise InputError("not JSON", code=code) from exc
    if not isinstance(value, dict):
        raise InputError("not a JSON object", code=code)
    return value


def _line_check(
    facts: Mapping[str, Any] | None, problem: Problem, plan: Plan, certificate: Certificate
) -> Check:
    """Whether the bundle's digests, gap and line are those of this round."""
    if facts is None:
        return _said(Verdict.INDETERMINATE, "the bundle names no match", "证据包未附撮合事实", {})
    room = room_left(problem, plan, certificate)
    found: dict[str, Json] = {
        "round": problem.id,
        "inputs_sha256": problem.digest().hex(),
        "policy_sha256": problem.policy.digest().hex(),
        "plan_sha256": plan.digest().hex(),
        "certificate_sha256": certificate.digest().hex(),
        "objective": plan.objective.as_json(),
        "gap": None if room is None else room.as_json(),
    }
    for name, value in found.items():
        if name in facts and facts[name] != value:
            return _said(
                Verdict.FAILED,
                f"the bundle names another {name}",
                f"证据包的 {name} 与本轮次不符",
                {"field": name},
            )
    missing = [name for name in ("need", "offer", "quantity", "plan_sha256") if name not in facts]
    if missing:
        return _said(
            Verdict.INDETERMINATE,
            f"the bundle does not show its {missing[0]}",
            f"证据包未披露 {missing[0]}",
            {"field": missing[0]},
        )
    lots = (str(facts["offer"]), f"{facts['offer']}.{int(facts.get('window', 0)):03d}")
    wanted = [
        flow
        for flow in plan.flows
        if flow.need == facts["need"] and flow.lot in lots and flow.quantity == facts["quantity"]
    ]
    if not wanted:
        return _said(
            Verdict.FAILED,
            "the bundle's line does not stand in the plan",
            "方案中没有证据包所述的分配",
            {},
        )
    return _said(
        Verdict.PASSED,
        "the bundle's line stands in this plan, under the same digests",
        "证据包所述的分配在本方案中，各摘要一致",
        {"lot": wanted[0].lot, "need": wanted[0].need},
    )


def _said(verdict: Verdict, en: str, zh: str, details: Mapping[str, Json]) -> Check:
    return Check("round.line", verdict, en, zh, dict(details))
