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

from arbitration.checks.all import verify_bundle
from arbitration.container import unpack
from arbitration.contents import BundleContents
from arbitration.testing import CaseBuilder, open_case, resealed
from ledger.core.canonical import canonical_bytes
from ledger.core.report import Report, Verdict
from signing.form_fill import TextFieldSpec
from signing.validate import validate_pdf

VALUE = "2026-12-05 示例路2号"
FIELD = TextFieldSpec("delivery", 0, 60, 400, 300, 20)
KIND = "document.filled"


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


def told(folder: Path, fill: Callable[[CaseBuilder], None]) -> Told:
    """The first side certifies and leaves a field to the second; `fill` is what happens then."""
    case = open_case(folder)
    case.texts = {FIELD: 1}
    case.register()
    case.publish()
    for seat in case.seats:
        case.read_and_consent(seat)
    one, two = case.seats
    case.express(one, act="sign")
    case.sign(one)
    case.express(two, act="sign")
    fill(case)
    case.form()
    case.archive()
    case.anchor()
    return Told(case, case.finish())


def honestly(case: CaseBuilder) -> None:
    case.fill(case.seats[1], {FIELD.name: VALUE})
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


def test_a_record_that_is_kept_closed_explains_nothing(made):
    def closed(receipt: Any) -> Any:
        fields = json.loads(base64.b64decode(receipt["entry"]["bytes"]))
        return {**receipt, "private": None} if fields["type"] == KIND else receipt

    contents = replace(made.contents, receipts=tuple(closed(one) for one in made.contents.receipts))
    report = Told(made.case, contents).judged()
    assert verdict_of(report, "document.fields") is Verdict.INDETERMINATE
    assert verdict_of(report, "document.pdf") is Verdict.FAILED


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
