"""`fuqi bundle verify` and `show`, `fuqi verify`: exit codes, words, and no way out of the process."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from api.commands import bundle, verify
from arbitration.checks.all import CHECKS
from arbitration.offline import OfflineError, offline
from arbitration.policy import save_trust
from arbitration.testing import formed_case

_APP = typer.Typer()
_APP.add_typer(bundle.app, name="bundle")
_APP.command("verify")(verify.verify)
_RUN = CliRunner(env={"LANG": "C", "FUQI_TRUST_FILE": "", "COLUMNS": "200"})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    case = formed_case(folder)
    contents = case.finish()
    (folder / "case.zip").write_bytes(case.write(contents))
    (folder / "case.pdf").write_bytes(contents.revisions[-1])
    (folder / "plain.pdf").write_bytes(contents.original)
    save_trust(case.trust(), folder / "trust.json")
    return folder


def _verify(files: Path, *extra: str, name: str = "case.zip"):
    return _RUN.invoke(_APP, ["bundle", "verify", str(files / name), *extra])


def test_a_good_bundle_passes_with_a_trust_file(files):
    result = _verify(files, "--trust", str(files / "trust.json"))
    assert result.exit_code == 0, result.output
    assert all(code in result.output for code, _ in CHECKS)
    assert "built-in CA: not a licensed CA" in result.output
    assert result.output.rstrip().endswith("PASSED: every check passed")


def test_the_trust_file_may_be_named_by_the_environment(files):
    env = {"FUQI_TRUST_FILE": str(files / "trust.json")}
    result = _RUN.invoke(_APP, ["bundle", "verify", str(files / "case.zip")], env=env)
    assert result.exit_code == 0


def test_without_trust_it_is_indeterminate_and_says_why(files):
    result = _verify(files)
    assert result.exit_code == 3
    assert "No trust file" in result.output


def test_a_changed_byte_fails(files, tmp_path):
    data = bytearray((files / "case.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(data)
    result = _verify(tmp_path, "--trust", str(files / "trust.json"), name="bad.zip")
    assert result.exit_code == 1
    assert "FAILED" in result.output


@pytest.mark.parametrize(
    "arguments",
    [["missing.zip"], ["case.zip", "--trust", "missing.json"], ["case.zip", "--lang", "fr"]],
)
def test_what_cannot_be_read_is_a_usage_error(
    files, arguments: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(files)
    assert _RUN.invoke(_APP, ["bundle", "verify", *arguments]).exit_code == 2


def test_a_malformed_trust_file_is_a_usage_error(files, tmp_path):
    (tmp_path / "trust.json").write_text("{}")
    assert _verify(files, "--trust", str(tmp_path / "trust.json")).exit_code == 2


def test_json_is_the_same_report(files):
    result = _verify(files, "--trust", str(files / "trust.json"), "--json")
    value = json.loads(result.output)
    assert value["verdict"] == "passed"
    assert [one["number"] for one in value["checks"]] == list(range(1, len(CHECKS) + 2))


def test_it_speaks_chinese_where_asked_or_where_lang_says_so(files):
    assert "无法判定" in _verify(files, "--lang", "zh").output
    result = _RUN.invoke(
        _APP, ["bundle", "verify", str(files / "case.zip")], env={"LANG": "zh_CN.UTF-8"}
    )
    assert "无法判定" in result.output


def test_show_says_that_it_judges_nothing(files, tmp_path):
    result = _RUN.invoke(_APP, ["bundle", "show", str(files / "case.zip")])
    assert result.exit_code == 0
    assert "Not verified" in result.output
    (tmp_path / "no.zip").write_bytes(b"no zip")
    assert _RUN.invoke(_APP, ["bundle", "show", str(tmp_path / "no.zip")]).exit_code == 1
    listed = json.loads(
        _RUN.invoke(_APP, ["bundle", "show", str(files / "case.zip"), "--json"]).output
    )
    assert listed["entries"] == "28"


def test_a_signed_pdf_is_judged_alone(files):
    trust = ["--trust", str(files / "trust.json")]
    result = _RUN.invoke(_APP, ["verify", str(files / "case.pdf"), *trust])
    # The trust file pins roots but holds no revocation list: that much stays open.
    assert result.exit_code == 3
    assert "pdf.revocation" in result.output
    wrong = _RUN.invoke(_APP, ["verify", str(files / "case.pdf"), "--sha256", "0" * 64, *trust])
    assert wrong.exit_code == 1
    assert _RUN.invoke(_APP, ["verify", str(files / "plain.pdf"), *trust]).exit_code == 3
    assert _RUN.invoke(_APP, ["verify", str(files / "case.pdf"), "--sha256", "xyz"]).exit_code == 2


@pytest.mark.parametrize(
    "leave",
    [
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: sqlite3.connect(":memory:"),
        lambda: subprocess.run([sys.executable, "-c", "pass"]),
    ],
    ids=["network", "database", "child"],
)
def test_offline_is_enforced_and_ends_with_its_block(leave):
    with offline(), pytest.raises(OfflineError):
        leave()
    sqlite3.connect(":memory:").close()


def test_the_commands_load_no_web3_no_solver_and_no_driver():
    code = (
        "import sys, api.commands.bundle, api.commands.verify;"
        "print([m for m in ('web3', 'ortools', 'eth', 'eth_abi', 'psycopg', 'sqlite3', 'sqlalchemy',"
        " 'alembic', 'fastapi', 'uvicorn', 'requests') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
