"""Every check: a bundle it passes, rewritings by the platform itself that it fails, gaps it leaves open.

The rewriter here is the strongest there is: it holds the platform's own log key and time-stamp authority and
rewrites manifest, reports, time stamp and seal. Only the log's entries, the chain, the signers' keys and the
authority's certificates are out of its reach.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from arbitration.checks.all import CHECKS, verify_bundle
from arbitration.container import pack, unpack
from arbitration.testing import formed_case, open_case
from ledger.core.canonical import canonical_bytes
from ledger.core.report import Report, Verdict
from ledger.core.units import Digest32
from ledger.note import Checkpoint
from ledger.receipts import LedgerTrust

Files = dict[str, bytes]


def _edit(files: Files, path: str, change: Callable[[Any], None]) -> None:
    value = json.loads(files[path])
    change(value)
    files[path] = canonical_bytes(value)


def _receipt(files: Files, kind: str, number: int = 0) -> str:
    """Path of the receipt of the entry of a type, in log order."""
    rows = json.loads(files["10-events.json"])
    return [row["path"] for row in rows if row["type"] == kind][number]


def _body(files: Files, kind: str, number: int = 0, **change: Any) -> None:
    _edit(
        files, _receipt(files, kind, number), lambda value: value["private"]["body"].update(change)
    )


def _drop(files: Files, kind: str) -> None:
    path = _receipt(files, kind)
    del files[path]
    _edit(
        files,
        "10-events.json",
        lambda rows: rows.remove(next(r for r in rows if r["path"] == path)),
    )


def _set(path: str, *keys: Any, to: Any) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        def at(value: Any) -> None:
            for key in keys[:-1]:
                value = value[key]
            value[keys[-1]] = to

        _edit(files, path, at)

    return change


def _other_revision(files: Files) -> None:
    data = files["documents/revision-01.pdf"]
    files["documents/revision-01.pdf"] = data[:100] + b"\x00" + data[101:]
    digest = hashlib.sha256(files["documents/revision-01.pdf"]).hexdigest()
    _set("09-documents.json", "revisions", 1, "sha256", to=digest)(files)


def _flip_final(files: Files) -> None:
    data = bytearray(files["documents/revision-02.pdf"])
    data[600] ^= 1
    files["documents/revision-02.pdf"] = bytes(data)


def _two_needed(receipt: Any) -> None:
    receipt["private"]["body"]["stages"][0]["need"] = 2


def _flip_archive(files: Files) -> None:
    data = bytearray(files["documents/archive-01.pdf"])
    data[600] ^= 1
    files["documents/archive-01.pdf"] = bytes(data)


def _final_as_archive(files: Files) -> None:
    files["documents/archive-01.pdf"] = files["documents/revision-02.pdf"]


def _first_signer_only(files: Files) -> None:
    _edit(files, "08-signatures.json", lambda rows: rows.pop())


def _swap_certificates(files: Files) -> None:
    def swap(rows: Any) -> None:
        rows[0]["certificate"], rows[1]["certificate"] = (
            rows[1]["certificate"],
            rows[0]["certificate"],
        )

    _edit(files, "08-signatures.json", swap)


def _forged_checkpoint(files: Files, stranger: Any) -> None:
    def forge(value: Any) -> None:
        log = value["log"]
        root = Digest32(bytes.fromhex(log["root"]))
        log["note"] = stranger.sign(Checkpoint(stranger.verifier.name, log["size"], root))
        log["verifier"] = stranger.verifier.text()

    _edit(files, _receipt(files, "document.read"), forge)


_GRANT = ("03-parties.json", "authorisations", 0)
FAILED: list[tuple[str, Callable[[Files], None]]] = [
    ("bundle.labels", lambda f: _edit(f, "manifest.json", lambda m: m["labels"].pop())),
    ("bundle.labels", _set("manifest.json", "labels", 0, "en", to="licensed CA")),
    ("bundle.labels", _set("manifest.json", "demo", to=False)),
    ("bundle.custody", _set("16-custody.json", "legal_basis", to="")),
    ("bundle.custody", _set("16-custody.json", "recipient", to="somebody else")),
    ("bundle.manifest", _set("01-certificate.json", "bundle", to="bun_other")),
    ("document.digests", lambda f: f.update({"documents/original.pdf": b"%PDF-1.4 other"})),
    ("document.digests", _set("09-documents.json", "agreement", "pages", to=2)),
    ("document.digests", _set("09-documents.json", "agreement", "matter", to="sale")),
    ("document.digests", lambda f: f.update({"documents/extra.pdf": b"%PDF-"})),
    ("document.revisions", _other_revision),
    ("document.revisions", lambda f: _edit(f, "09-documents.json", lambda v: v["revisions"].pop(1))),
    ("document.pdf", _flip_final),
    ("agreement.stages", lambda f: _edit(f, _receipt(f, "agreement.staged"), _two_needed)),
    ("document.archive", _flip_archive),
    ("document.archive", _set("09-documents.json", "archives", 0, "level", to="B-LT")),
    ("document.archive", _final_as_archive),
    ("document.binding", lambda f: _body(f, "document.read", sha256="00" * 32)),
    ("document.binding", lambda f: _body(f, "document.read", pages=3)),
    ("document.binding", _set("06-intents.json", 0, "statement", "document_sha256", to="00" * 32)),
    ("signer.roster", _first_signer_only),
    ("signer.roster", _set("08-signatures.json", 1, "field", to="party1")),
    ("signer.realname", _set("03-parties.json", "parties", 0, "level", to=3)),
    ("signer.realname", _set("03-parties.json", "parties", 0, "level_reason", to="checked by face")),
    ("signer.roster", _set("11-delivery.json", 0, "to", to="pty_other")),
    ("signer.realname", _set("03-parties.json", "parties", 0, "name", to="另一医院（虚构）")),
    ("signer.realname", _set("04-realname.json", 0, "status", to="mismatch")),
    ("signer.realname", lambda f: _drop(f, "identity.checked")),
    ("signer.authorisation", _set("09-documents.json", "agreement", "matter", to="manufacturing")),
    ("signer.authorisation", _set(*_GRANT, "valid_to", to="2023-11-14T21:15:00Z")),
    ("signer.authorisation", _set(*_GRANT, "matters", to=["donation", "sale"])),
    ("signer.consent", lambda f: _edit(f, "05-consents.json", lambda rows: rows.pop())),
    ("signer.intent", lambda f: _edit(f, "06-intents.json", lambda rows: rows.pop())),
    ("signer.consent", lambda f: _body(f, "intent.expressed", proof="30")),
    ("signer.intent", lambda f: _body(f, "intent.expressed", 2, proof="30")),
    ("signer.signature", _swap_certificates),
    ("signer.signature", _set("08-signatures.json", 0, "signed_at", to="2023-11-14T21:30:00Z")),
    ("signer.certificate", _set("07-certificates.json", "certificates", 0, "serial", to="0" * 40)),
    ("signer.certificate", _swap_certificates),
    ("event.receipts", lambda f: _body(f, "document.read", seconds=9999)),
    ("event.receipts", _set("10-events.json", 0, "type", to="document.read")),
    ("event.bodies", lambda f: _body(f, "document.read", agreement="agr_other")),
    ("event.chain", lambda f: _drop(f, "document.opened")),
    ("event.chain", lambda f: _drop(f, "party.registered")),
    ("event.order", lambda f: _drop(f, "document.read")),
    # Found by the fuzzer: a receipt that names another entry than the one it holds once raised.
    ("event.receipts", lambda f: _edit(f, _receipt(f, "document.read"), lambda v: v["entry"].update(id="x"))),
    ("event.times", lambda f: _edit(f, _receipt(f, "document.read"), lambda v: v["entry"].update(id="x"))),
    ("event.times", _set("11-delivery.json", 0, "opened_at", to="2023-11-14T20:00:00Z")),
    ("anchor.evidence", _set("anchors/64078-28.json", "block_number", to=9)),
    ("anchor.evidence", _set("13-chain.json", "anchors", 0, "tx_hash", to="0x00")),
    ("agreement.formed", _set("09-documents.json", "agreement", "formed_at", to="2023-11-14T21:00:00Z")),
    ("agreement.formed", _set("09-documents.json", "agreement", "place_of_formation", to="elsewhere")),
    ("agreement.allocation", lambda f: f.update({"17-allocation.json": b"{}"})),
]  # fmt: skip


def _codes(report: Report, verdict: Verdict) -> set[str]:
    return {one.code for one in report.checks if one.verdict is verdict}


@pytest.mark.parametrize(
    ("code", "change"), FAILED, ids=[f"{n}-{c}" for n, (c, _) in enumerate(FAILED)]
)
def test_a_rewriting_by_the_platform_itself_fails_the_check_that_is_there_for_it(
    made, code, change
):
    files = made.files
    change(files)
    report = verify_bundle(made.insider(files), trust=made.trust, at=made.at)
    assert code in _codes(report, Verdict.FAILED), report.as_json()
    # Its own seal and time stamp are in order: the finding is about the evidence.
    assert not {"bundle.container", "bundle.seal", "bundle.timestamp"} & _codes(
        report, Verdict.FAILED
    )


def test_a_stranger_who_rewrites_and_reseals_everything_fails_the_seal(made):
    data = made.insider(made.files, seal=made.stranger.sign_text)
    report = verify_bundle(data, trust=made.trust, at=made.at)
    assert _codes(report, Verdict.FAILED) == {"bundle.seal"}


def test_a_checkpoint_of_another_log_fails(made):
    files = made.files
    _forged_checkpoint(files, made.stranger)
    report = verify_bundle(made.insider(files), trust=made.trust, at=made.at)
    assert "event.log" in _codes(report, Verdict.FAILED)


def test_a_changed_report_fails(made):
    for path in ("report.html", "report.json"):
        files = made.files
        changed = files[path].replace("虚构".encode(), "真实".encode())
        if path == "report.json":
            changed = canonical_bytes(json.loads(changed))
        files[path] = changed
        resealed = unpack(made.insider(files))
        assert resealed[path] != changed, "the honest writer would render it again"
        report = verify_bundle(pack({**made.files, path: changed}), trust=made.trust, at=made.at)
        assert {"bundle.report", "bundle.manifest"} <= _codes(report, Verdict.FAILED)


def test_a_time_stamp_of_another_moment_or_file_fails(made):
    tsa = made.case.pki.tsa
    late = made.contents.made_at + timedelta(hours=1)
    for stamp in (
        tsa.stamp(bytes(32), at=made.contents.made_at),
        tsa.stamp(hashlib.sha256(made.files["manifest.json"]).digest(), at=late),
    ):
        files = {**made.files, "seal/manifest.tsr": stamp}
        report = verify_bundle(pack(files), trust=made.trust, at=made.at)
        assert {"bundle.timestamp", "bundle.seal"} <= _codes(report, Verdict.FAILED)


def test_another_contract_than_the_pinned_one_fails(made):
    pin = replace(made.trust.ledger.chains[0], contract="0x" + "11" * 20)
    trust = replace(made.trust, ledger=LedgerTrust(made.trust.ledger.verifier, (pin,)))
    report = verify_bundle(made.data, trust=trust, at=made.at)
    assert _codes(report, Verdict.FAILED) == {"anchor.chain"}


def test_a_chain_that_lies_about_being_embedded_is_caught_by_the_verifiers_own_pin(made):
    files = made.files
    for path in list(files):
        if path.startswith("anchors/"):
            _set(path, "evidence", "kind", to="json-rpc")(files)
    drop = [
        r for r in json.loads(files["manifest.json"])["labels"] if r["code"] != "chain.embedded"
    ]
    _set("manifest.json", "labels", to=drop)(files)
    report = verify_bundle(made.insider(files), trust=made.trust, at=made.at)
    assert "bundle.labels" in _codes(report, Verdict.FAILED)


def test_matched_facts_must_be_the_logs(matched):
    report = verify_bundle(matched.data, trust=matched.trust, at=matched.at)
    assert report.verdict is Verdict.PASSED
    files = matched.files
    _set("17-allocation.json", "quantity", to=50)(files)
    report = verify_bundle(matched.insider(files), trust=matched.trust, at=matched.at)
    assert _codes(report, Verdict.FAILED) == {"agreement.allocation"}


def test_the_rule_of_an_urgent_need_is_the_one_the_log_names(matched):
    files = matched.files
    _set("17-allocation.json", "urgent_policy_sha256", to="44" * 32)(files)
    report = verify_bundle(matched.insider(files), trust=matched.trust, at=matched.at)
    assert _codes(report, Verdict.FAILED) == {"agreement.allocation"}


def test_left_out_or_unrecorded_facts_of_a_match_leave_it_open(matched):
    files = matched.files
    del files["17-allocation.json"]
    report = verify_bundle(matched.insider(files), trust=matched.trust, at=matched.at)
    assert "agreement.allocation" in _codes(report, Verdict.INDETERMINATE)
    files = matched.files
    _set("17-allocation.json", "km", to=12)(files)
    report = verify_bundle(matched.insider(files), trust=matched.trust, at=matched.at)
    assert _codes(report, Verdict.INDETERMINATE) == {"agreement.allocation"}


CLOSED: dict[str, set[str]] = {
    "document.finalised": {"event.bodies", "document.digests"},
    "agreement.staged": {"event.bodies", "agreement.stages"},
    "document.read": {"event.bodies", "document.binding", "event.order"},
    "document.delivered": {"event.bodies", "document.binding", "event.order", "signer.roster"},
    "intent.expressed": {"event.bodies", "signer.consent", "signer.intent", "event.order"},
    "signature.applied": {"event.bodies", "signer.roster", "signer.signature"},
    "agreement.formed": {"event.bodies", "agreement.formed"},
    "authorisation.granted": {"signer.authorisation"},
    "certificate.issued": {"signer.certificate"},
    "party.registered": {"signer.realname"},
}


@pytest.mark.parametrize("kind", CLOSED)
def test_an_honest_redaction_leaves_the_check_open_and_accuses_nobody(made, kind: str):
    def closed(receipt: Any) -> Any:
        fields = json.loads(base64.b64decode(receipt["entry"]["bytes"]))
        return {**receipt, "private": None} if fields["type"] == kind else receipt

    contents = replace(made.contents, receipts=tuple(closed(one) for one in made.contents.receipts))
    report = verify_bundle(made.case.write(contents), trust=made.trust, at=made.at)
    assert CLOSED[kind] <= _codes(report, Verdict.INDETERMINATE)
    assert _codes(report, Verdict.FAILED) <= {"signer.authorisation", "signer.realname"}
    assert report.verdict is not Verdict.PASSED


def test_an_unknown_renderer_leaves_the_report_open(made):
    files = made.files
    _set("manifest.json", "renderer", to="fuqi/bundle-report/v9")(files)
    report = verify_bundle(made.insider(files), trust=made.trust, at=made.at)
    assert _codes(report, Verdict.INDETERMINATE) == {"bundle.report"}
    assert not _codes(report, Verdict.FAILED)


def test_entries_that_are_not_anchored_yet_leave_the_anchor_open(folder):
    case = open_case(folder)
    case.register()
    case.anchor()
    case.publish()
    for seat in case.seats:
        case.read_and_consent(seat)
    for seat in case.seats:
        case.express(seat, act="sign")
        case.sign(seat)
    contents = case.finish()
    report = verify_bundle(case.write(contents), trust=case.trust(), at=contents.made_at)
    assert {"anchor.evidence", "event.receipts", "event.log"} <= _codes(
        report, Verdict.INDETERMINATE
    )
    # The row says formed, the log does not.
    assert "agreement.formed" in _codes(report, Verdict.FAILED)


def test_an_agreement_that_is_not_formed_is_open(folder):
    case = open_case(folder)
    case.register()
    case.publish()
    for seat in case.seats:
        case.read_and_consent(seat)
    first = case.seats[0]
    case.express(first, act="sign")
    case.sign(first)
    case.anchor()
    case.seats, seats = case.seats[:1], case.seats
    contents = case.finish()
    case.seats = seats
    contents = replace(
        contents, agreement=replace(contents.agreement, state="signing", formed_at=None)
    )
    report = verify_bundle(case.write(contents), trust=case.trust(), at=contents.made_at)
    assert "agreement.formed" in _codes(report, Verdict.INDETERMINATE)
    # One field is empty, and one delivered signer is left out.
    assert "signer.roster" in _codes(report, Verdict.FAILED)


def test_signing_before_reading_is_found_although_every_entry_is_genuine(folder):
    case = open_case(folder)
    case.register()
    case.publish()
    one, two = case.seats
    case.read_and_consent(one)
    case.express(two, act="consent")
    case.express(one, act="sign")
    case.sign(one)
    case.express(two, act="sign")
    case.sign(two)
    case.step("document.opened", two, by=two.person, sha256=case.digest)
    case.step("document.read", two, by=two.person, sha256=case.digest, pages=1, seconds=9)
    case.form()
    case.anchor()
    contents = case.finish()
    report = verify_bundle(case.write(contents), trust=case.trust(), at=contents.made_at)
    assert _codes(report, Verdict.FAILED) == {"event.order"}


def test_a_revoked_certificate_or_late_consent_is_found(folder):
    case = open_case(folder)
    case.register()
    case.publish()
    one, two = case.seats
    case.read_and_consent(one)
    case.express(one, act="sign")
    case.sign(one)
    case.read_and_consent(two)
    serial = two.holder.certificate.serial_hex
    case.pki.authority.revoke(serial, at=case.now, reason="key_compromise")
    body = {"certificate": two.certificate, "serial": serial, "reason": "key_compromise"}
    case.entry("key.revoked", subject=two.person, actor="system", body=body)
    case.express(two, act="sign")
    case.sign(two)
    case.form()
    case.anchor()
    contents = case.finish()
    report = verify_bundle(case.write(contents), trust=case.trust(), at=contents.made_at)
    assert {"signer.certificate", "document.pdf", "signer.consent"} == _codes(
        report, Verdict.FAILED
    )


def test_every_check_has_a_vector_that_fails_it():
    elsewhere = {
        "bundle.seal",
        "bundle.timestamp",
        "bundle.report",
        "event.log",
        "anchor.chain",
        "signer.seal",  # tests/api/test_sealed_signing.py: a case with a real seal
        "signer.clauses",  # tests/store/test_annexes_flow.py: an agreement with clauses and files
        "document.attachments",
        "signer.letter",  # tests/api/test_authority.py: a case with a signed letter
        "document.fields",  # test_bundle_fields.py: a case with a filled field
    }
    assert {code for code, _ in FAILED} | elsewhere == {code for code, _ in CHECKS}


def test_a_case_can_be_formed_twice_over_in_two_folders(folder):
    case = formed_case(folder)
    assert case.finish().agreement.state == "formed"


def test_declared_licences_are_labelled_as_the_operators_word(made: Any) -> None:
    platform = replace(made.contents.platform, licences=("运营者自述 declared: INVENTED-1",))
    data = made.case.write(replace(made.contents, platform=platform))
    codes = {one["code"] for one in json.loads(unpack(data)["manifest.json"])["labels"]}
    assert ("platform.declared" in codes, "platform.unlicensed" in codes) == (True, False)
    plain = {one["code"] for one in json.loads(made.files["manifest.json"])["labels"]}
    assert ("platform.declared" in plain, "platform.unlicensed" in plain) == (False, True)
    report = verify_bundle(data, trust=made.trust, at=made.at)
    assert report.verdict is Verdict.PASSED
    assert any("nobody verified them" in one for one in report.labels)
