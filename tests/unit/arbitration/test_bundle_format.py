"""Writing and reading `fuqi/bundle/v1`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from arbitration.bundle import read_bundle
from arbitration.checks.all import CHECKS, verify_bundle
from arbitration.container import pack
from arbitration.contents import Label
from arbitration.parts import PARTS
from arbitration.policy import Trust, load_trust, save_trust
from arbitration.testing import simple_pdf
from ledger.core.errors import InputError, NotFoundError, VerificationError
from ledger.core.report import Verdict


def test_the_same_contents_give_the_same_bytes(made):
    # The time-stamp token is the one part from outside: fix it, and every byte is fixed.
    token = made.files["seal/manifest.tsr"]
    again = [made.insider(made.files, seal=made.case.log_key.sign_text) for _ in range(2)]
    with_fixed_token = [
        pack({**read_bundle(one).files, "seal/manifest.tsr": token, "seal/manifest.note": b"x"})
        for one in again
    ]
    assert with_fixed_token[0] == with_fixed_token[1]


def test_all_sixteen_parts_and_every_document_are_there(made):
    bundle = read_bundle(made.data)
    assert set(PARTS) <= set(bundle.files)
    assert len(PARTS) == 16
    assert bundle.files["documents/original.pdf"] == simple_pdf()
    assert [row["number"] for row in bundle.part(9)["revisions"]] == [0, 1, 2]
    assert len(bundle.events) == len(made.contents.receipts)


def test_a_full_bundle_passes_every_check(made):
    report = verify_bundle(made.data, trust=made.trust, at=made.at)
    assert [
        (one.code, one.summary_en) for one in report.checks if one.verdict is not Verdict.PASSED
    ] == []
    assert report.verdict is Verdict.PASSED
    assert [one.code for one in report.checks] == [
        "bundle.container",
        *(code for code, _ in CHECKS),
    ]


def test_without_trust_it_is_consistent_but_nobodys(made):
    report = verify_bundle(made.data, trust=None, at=made.at)
    assert report.verdict is Verdict.INDETERMINATE
    assert {one.code for one in report.checks if one.verdict is not Verdict.PASSED} == {
        "bundle.seal",
        "bundle.timestamp",
        "document.pdf",
        "document.archive",
        "signer.certificate",
        "event.log",
        "anchor.chain",
    }
    assert not [one for one in report.checks if one.verdict is Verdict.FAILED]


def test_the_writer_adds_labels_that_nobody_asked_for(made):
    assert made.contents.labels == ()
    stated = {row["code"] for row in read_bundle(made.data).manifest["labels"]}
    assert stated == {
        "demo", "ca.unlicensed", "tsa.dependent", "chain.embedded", "provider.mock", "platform.unlicensed",
    }  # fmt: skip


def test_a_callers_own_label_is_kept(made):
    contents = replace(made.contents, labels=(Label("note.own", "a remark", "一句说明"),))
    report = verify_bundle(made.case.write(contents), trust=made.trust, at=made.at)
    assert report.verdict is Verdict.PASSED
    assert "a remark" in report.labels


def test_a_full_identity_number_never_leaves(made):
    party = replace(made.contents.parties[1], number_masked="11010519491231002X")
    contents = replace(made.contents, parties=(party, *made.contents.parties[2:]))
    with pytest.raises(InputError) as caught:
        made.case.write(contents)
    assert caught.value.error_code == "bundle.identity_number"


def test_a_receipt_twice_or_with_evidence_is_refused(made):
    first = made.contents.receipts[0]
    with pytest.raises(InputError) as caught:
        made.case.write(replace(made.contents, receipts=(*made.contents.receipts, first)))
    assert caught.value.error_code == "bundle.receipt"
    heavy = {**first, "anchor": {**first["anchor"], "evidence": {}}}
    with pytest.raises(InputError) as caught:
        made.case.write(replace(made.contents, receipts=(heavy,)))
    assert caught.value.error_code == "bundle.receipt"
    with pytest.raises(InputError) as caught:
        made.case.write(replace(made.contents, anchors=made.contents.anchors * 2))
    assert caught.value.error_code == "bundle.anchor"


def test_the_human_report_stands_alone_in_both_languages(made):
    page = made.files["report.html"].decode()
    for head in (
        "生成、储存或者传递数据电文方法的可靠性",
        "保持内容完整性方法的可靠性",
        "用以鉴别发件人方法的可靠性",
        "其他相关因素",
        "Reliability of the method of keeping the content whole",
    ):
        assert head in page
    assert all(f"（{number}）" in page for number in "一二三四五六")
    assert "虚构" in page
    assert "not a licensed CA" in page
    assert not re.search(r"(?i)<script|<img|src=|href=\"(?!#)|url\(|https?://", page)
    assert "legally valid" not in page


def test_the_human_report_says_who_acted_on_whose_authority_and_what_is_not_proven(made):
    facts = json.loads(made.files["report.json"])
    sections = {one["id"]: one for one in facts["sections"]}
    assert facts["v"] == "fuqi/bundle-report/v2"
    signature = {one["label_en"]: one for one in sections["signature-1"]["rows"]}
    assert "nobody signed it" in signature["On whose authority"]["values"][1]
    assert signature["On whose authority"]["warn"] == "yes"
    assert signature["Matters"]["values"] == ["公益捐赠 (donation)"]
    told = {one["label_en"] for one in sections["not-proven"]["rows"]}
    assert {
        "Effect",
        "Whose key it is",
        "When it was signed",
        "The identity checks",
        "The right to act for another",
        "Who held the device",
        "After the export",
    } <= told
    record = [one["label_en"] for one in sections["record"]["rows"]]
    assert record[0] == "document finalised"
    assert record.index("signed") < record.index("agreement formed") < record.index("archived")


def test_markup_in_a_title_is_shown_and_not_obeyed(made):
    agreement = replace(made.contents.agreement, title="<script>alert(1)</script>")
    page = read_bundle(made.case.write(replace(made.contents, agreement=agreement))).files[
        "report.html"
    ]
    assert b"<script" not in page
    assert b"&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        ("09-documents.json", None, "bundle.part_missing"),
        ("09-documents.json", b'{"b": 1}', "bundle.part"),
        ("09-documents.json", b"{", "bundle.part"),
        ("manifest.json", b'{"v":"fuqi/bundle/v2"}', "bundle.version"),
        ("receipts/x.json", b"{}", "bundle.receipt"),
    ],
)
def test_a_bundle_of_another_shape_does_not_open(made, path: str, content: bytes | None, code: str):
    files = made.files
    if content is None:
        del files[path]
    else:
        files[path] = content
    with pytest.raises(VerificationError) as caught:
        read_bundle(pack(files))
    assert caught.value.error_code == code
    report = verify_bundle(pack(files), trust=made.trust, at=made.at)
    assert report.checks[0].verdict is Verdict.FAILED
    assert report.checks[0].code == "bundle.container"


def test_what_does_not_open_leaves_every_other_check_open(made):
    report = verify_bundle(b"no zip at all", trust=made.trust, at=made.at)
    assert report.verdict is Verdict.FAILED
    assert {one.verdict for one in report.checks[1:]} == {Verdict.INDETERMINATE}
    assert len(report.checks) == len(CHECKS) + 1


def test_a_trust_file_survives_its_own_round_trip(made, folder):
    path = folder / "trust.json"
    save_trust(made.trust, path)
    assert load_trust(path) == made.trust
    assert made.trust.labels == load_trust(path).labels


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"v":"fuqi/trust/v1"}', '{"v":"fuqi/trust/v1","ledger":{},"pki":{}}']
)
def test_a_malformed_trust_file_is_refused(folder, text: str):
    path = folder / "trust.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_trust(path)
    assert caught.value.error_code.startswith("trust.")


def test_a_missing_trust_file_is_not_found(folder):
    with pytest.raises(NotFoundError):
        load_trust(folder / "none.json")
    with pytest.raises(InputError):
        Trust.from_json(json.loads("null"))


def test_a_bundle_from_the_future_fails(made):
    report = verify_bundle(
        made.data, trust=made.trust, at=made.contents.made_at - timedelta(hours=1)
    )
    failed = {one.code for one in report.checks if one.verdict is Verdict.FAILED}
    assert "bundle.timestamp" in failed
