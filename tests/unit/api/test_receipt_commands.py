"""`fuqi receipt`: one file and a trust file, on a machine that has nothing else."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.commands import receipt
from ledger.core.errors import InputError

GOLDEN = Path(__file__).parents[2] / "golden" / "receipt"


@pytest.fixture
def files(tmp_path):
    vector = json.loads((GOLDEN / "vectors" / "valid-final.json").read_text("utf-8"))
    (tmp_path / "r.json").write_text(json.dumps(vector["receipt"]), "utf-8")
    (tmp_path / "t.json").write_text(json.dumps(vector["trust"]), "utf-8")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(receipt.app, [str(one) for one in arguments])


@pytest.mark.parametrize(
    ("lang", "last"), [("en", "PASSED: every check passed"), ("zh", "通过：全部检查均通过")]
)
def test_a_receipt_passes_under_its_trust_file(files, lang, last):
    done = run("verify", files / "r.json", "--trust", files / "t.json", "--lang", lang)
    assert done.exit_code == 0, done.output
    assert done.output.strip().endswith(last)


def test_the_json_is_the_report(files):
    done = run("verify", files / "r.json", "--trust", files / "t.json", "--json")
    report = json.loads(done.output)
    assert (report["v"], report["subject"], report["verdict"]) == (
        "fuqi/report/v1",
        "receipt",
        "passed",
    )


@pytest.mark.parametrize(("lang", "advice"), [("en", "somebody you trust"), ("zh", "您信任的一方")])
def test_without_a_trust_file_it_says_what_to_do(files, lang, advice):
    done = run("verify", files / "r.json", "--lang", lang)
    assert done.exit_code == 3
    assert advice in done.output.replace("\n", "")
    assert "--trust" in done.output


def test_a_changed_receipt_fails(files):
    text = (files / "r.json").read_text("utf-8")
    (files / "r.json").write_text(text.replace('"size": 11', '"size": 12'), "utf-8")
    done = run("verify", files / "r.json", "--trust", files / "t.json", "--lang", "en")
    assert done.exit_code == 1
    assert "FAILED" in done.output


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"[]", b"{", b"\xff\xfe"])
def test_what_is_no_receipt_fails_in_words(files, data):
    (files / "r.json").write_bytes(data)
    done = run("verify", files / "r.json", "--trust", files / "t.json", "--lang", "zh")
    assert done.exit_code == 1
    assert "receipt.shape" in done.output
    assert "回执格式有误" in done.output


def test_a_file_that_is_not_there_is_a_usage_error(files):
    assert run("verify", files / "none.json").exit_code == 2
    assert run("verify", files / "r.json", "--trust", files / "none.json").exit_code == 2
    (files / "t.json").write_text("{}")
    done = run("verify", files / "r.json", "--trust", files / "t.json")
    assert done.exit_code == 2
    assert "trust.malformed" in done.output


def test_the_log_proof_of_a_receipt_verifies_as_a_file_of_its_own(files):
    done = run("tlog-proof", files / "r.json")
    assert done.exit_code == 0
    assert done.output.startswith("c2sp.org/tlog-proof@v1\nextra ")
    (files / "r.tlog-proof").write_text(done.output, "utf-8")
    again = run("verify", files / "r.tlog-proof", "--trust", files / "t.json", "--json")
    report = json.loads(again.output)
    found = {check["code"]: check["verdict"] for check in report["checks"]}
    assert found["receipt.checkpoint"] == found["receipt.inclusion"] == "passed"
    assert again.exit_code == 3  # it says nothing about a chain


def test_a_log_proof_without_a_trust_file_is_nobodys(files):
    done = run("verify", GOLDEN / "golden.tlog-proof")
    assert isinstance(done.exception, InputError)
    assert done.exception.error_code == "tlog_proof.no_trust"
