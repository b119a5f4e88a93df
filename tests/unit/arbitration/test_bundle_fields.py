"""A form field that the second signer filled: recorded in the log, carried by the bundle, judged offline."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api.commands import bundle as bundle_commands
from api.commands import verify as verify_command
from arbitration.bundle import read_bundle
from arbitration.checks.all import verify_bundle
from arbitration.container import unpack
from arbitration.contents import BundleContents
from arbitration.policy import save_trust
from arbitration.testing import CaseBuilder, open_case, resealed
from ledger.core.canonical import canonical_bytes
from ledger.core.report import Report, Verdict
from signing import field_kinds, form_fill, pdf
from signing.form_fill import TextFieldSpec
from signing.validate import validate_pdf

VALUE = "2026-12-05 示例路2号"
FIELD = TextFieldSpec("delivery", 0, 60, 400, 300, 20)
KIND = "document.filled"
APP = typer.Typer()
APP.add_typer(bundle_commands.app, name="bundle")
APP.command("verify")(verify_command.verify)
RUN = CliRunner(env={"LANG": "C", "FUQI_TRUST_FILE": "", "COLUMNS": "200"})


@dataclass(frozen=True)
class Told:
    case: CaseBuilder
    contents: BundleContents

    def judged(self, data: bytes | None = None) -> Report:
        return verify_bundle(
            data or self.case.write(self.contents),
            trust=self.case.trust(),
            at=self.contents.made_at + timedelta(days=1),
        )

    def rewritten(self, change: Callable[[dict[str, Any]], object]) -> Report:
        """The platform rewrites the opened body of the record and seals the bundle anew."""
        files = unpack(self.case.write(self.contents))
        rows = json.loads(files["10-events.json"])
        path = next(row["path"] for row in rows if row["type"] == KIND)
        value = json.loads(files[path])
        change(value["private"]["body"])
        files[path] = canonical_bytes(value)
        return self.judged(
            resealed(
                files,
                seal=self.case.log_key.sign_text,
                stamp=lambda digest: self.case.pki.tsa.stamp(digest, at=self.contents.made_at),
            )
        )


def told(
    folder: Path, fill: Callable[[CaseBuilder], None], *, archived: bool = True, filler: int = 1
) -> Told:
    """The first side certifies and leaves a field to the second; `fill` is what happens then."""
    case = open_case(folder)
    case.texts = {FIELD: filler}
    case.register()
    case.publish()
    for seat in case.seats:
        case.read_and_consent(seat)
    one, two = case.seats
    if filler == 0:
        fill(case)
    case.express(one, act="sign")
    case.sign(one)
    if filler == 1:
        fill(case)
    else:
        case.express(two, act="sign")
        case.sign(two)
    case.form()
    if archived:
        case.archive()
    case.anchor()
    return Told(case, case.finish())


def honestly(case: CaseBuilder) -> None:
    case.fill(case.seats[1], {FIELD.name: VALUE})
    case.express(case.seats[1], act="sign")
    case.sign(case.seats[1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told(tmp_path_factory.mktemp("filled"), honestly)


def verdict_of(report: Report, code: str) -> Verdict:
    return next(one.verdict for one in report.checks if one.code == code)


def failed(report: Report) -> set[str]:
    return {one.code for one in report.checks if one.verdict is Verdict.FAILED}


def test_a_recorded_fill_passes_in_the_bundle_and_not_in_the_file_alone(made):
    report = made.judged()
    report.require()
    assert "1 form fields" in next(
        o.summary_en for o in report.checks if o.code == "document.fields"
    )
    alone = validate_pdf(
        made.case.revisions[-1], trust=made.case.trust().pki, at=made.contents.made_at
    )
    assert {"pdf.changes", "pdf.visual"} <= failed(alone)


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda body: body["fields"][0].update(new="900"), {"document.fields", "document.pdf"}),
        (lambda body: body["fields"][0].update(old="100"), {"document.fields", "document.pdf"}),
        (lambda body: body["fields"].clear(), {"document.pdf"}),
        (lambda body: body.update(revision_sha256="00" * 32), {"document.fields", "document.pdf"}),
        (lambda body: body.update(revision_sha256="xyz"), {"document.pdf"}),
        (lambda body: body.update(base_sha256="00" * 32), {"document.fields"}),
        (lambda body: body.update(by="pty_other"), {"document.fields"}),
        (lambda body: body.update(signer="sig_other"), {"document.fields", "document.pdf"}),
    ],
)
def test_a_record_that_was_rewritten_explains_nothing(made, change, codes):
    report = made.rewritten(change)
    # The commitment in the log finds every rewriting; these checks find it by themselves.
    assert codes | {"event.receipts"} <= failed(report)


def test_a_record_of_the_first_signer_does_not_cover_what_the_second_did(made):
    first = made.case.seats[0]
    report = made.rewritten(lambda body: body.update(signer=first.signer, by=first.person))
    assert {"document.fields", "document.pdf"} <= failed(report)


def without_bodies(made: Told) -> Told:
    def closed(receipt: Any) -> Any:
        fields = json.loads(base64.b64decode(receipt["entry"]["bytes"]))
        return {**receipt, "private": None} if fields["type"] == KIND else receipt

    receipts = tuple(closed(one) for one in made.contents.receipts)
    return Told(made.case, replace(made.contents, receipts=receipts))


def test_a_record_that_is_kept_closed_leaves_the_question_open_and_says_so(made):
    report = without_bodies(made).judged()
    assert failed(report) == set()
    for code in ("document.fields", "document.pdf", "document.archive"):
        assert verdict_of(report, code) is Verdict.INDETERMINATE
    said = next(one for one in report.checks if one.code == "document.pdf")
    assert "the record is closed here" in said.summary_en
    assert "该记录未披露" in said.summary_zh


def test_a_closed_record_does_not_cover_what_no_record_could_say(tmp_path, monkeypatch):
    real = field_kinds.looks_of

    def forged(case: CaseBuilder) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(form_fill, "looks_of", lambda _text, shape: real("900", shape=shape))
            patch.setattr(pdf, "_require_unbroken", lambda *_args, **_kwargs: None)
            honestly(case)

    report = without_bodies(told(tmp_path, forged, archived=False)).judged()
    assert "document.pdf" in failed(report)


def test_a_record_made_after_the_signature_is_found(tmp_path, monkeypatch):
    def late(case: CaseBuilder) -> None:
        held: list[tuple[Any, ...]] = []
        real = CaseBuilder.step

        def step(self: CaseBuilder, kind: str, seat: Any, **body: Any) -> str:
            if kind == KIND:
                held.append((seat, body))
                return ""
            return real(self, kind, seat, **body)

        with monkeypatch.context() as patch:
            patch.setattr(CaseBuilder, "step", step)
            honestly(case)
        case.step(KIND, held[0][0], **held[0][1])

    report = told(tmp_path, late).judged()
    assert failed(report) == {"document.fields"}


def test_what_the_first_signer_fills_is_held_against_its_record_too(tmp_path):
    made = told(tmp_path, lambda case: case.fill(case.seats[0], {FIELD.name: VALUE}), filler=0)
    made.judged().require()
    report = made.rewritten(lambda body: body["fields"][0].update(new="900"))
    assert {"document.fields", "document.pdf", "event.receipts"} <= failed(report)


def test_who_fills_what_was_left_to_another_is_found(tmp_path, monkeypatch):
    def grabbed(case: CaseBuilder) -> None:
        # The file's locks leave the field to the second signer; the plan in the log says: to the first.
        honestly(case)

    real = CaseBuilder._plan

    def other_plan(self: CaseBuilder) -> None:
        texts, self.texts = self.texts, {FIELD: 0}
        real(self)
        self.texts = texts

    monkeypatch.setattr(CaseBuilder, "_plan", other_plan)
    assert failed(told(tmp_path, grabbed).judged()) == {"document.fields"}


def test_a_required_field_that_was_left_empty_is_found(tmp_path):
    def empty(case: CaseBuilder) -> None:
        case.express(case.seats[1], act="sign")
        case.sign(case.seats[1])

    assert failed(told(tmp_path, empty).judged()) == {"document.fields"}


def test_a_signer_whose_statement_lists_no_values_did_not_sign_for_them(tmp_path, monkeypatch):
    monkeypatch.setattr(CaseBuilder, "annex", lambda _self, _seat: None)
    assert failed(told(tmp_path, honestly).judged()) == {"document.fields"}


def test_a_file_alone_is_explained_by_the_receipt_of_the_filling_and_by_no_other(made, tmp_path):
    bundle = read_bundle(made.case.write(made.contents))
    anchors = {(one["chain_id"], one["size"]): one for one in bundle.anchors}
    kinds: dict[str, list[dict[str, Any]]] = {}
    for receipt in bundle.receipts:
        kind = json.loads(base64.b64decode(receipt["entry"]["bytes"]))["type"]
        anchor = anchors[receipt["anchor"]["chain_id"], receipt["anchor"]["size"]]
        kinds.setdefault(kind, []).append({**receipt, "anchor": anchor})
    [filled] = kinds[KIND]
    forged = json.loads(json.dumps(filled))
    forged["private"]["body"]["fields"][0]["new"] = "900"
    for name, value in (
        ("filled", filled),
        ("forged", forged),
        ("closed", {**filled, "private": None}),
        ("other", kinds["agreement.formed"][0]),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    save_trust(made.case.trust(), tmp_path / "trust.json")
    (tmp_path / "signed.pdf").write_bytes(made.case.revisions[-1])

    def code(*options: str) -> int:
        trust = ["--trust", str(tmp_path / "trust.json")]
        given = [part for one in options for part in ("--filled", str(tmp_path / f"{one}.json"))]
        told = RUN.invoke(APP, ["verify", str(tmp_path / "signed.pdf"), *trust, *given])
        return told.exit_code

    assert code() == 1
    # The trust file pins roots but holds no revocation list: that much stays open.
    assert code("filled") == 3
    assert code("forged") == code("closed") == code("other") == 2
