"""`create_app(run_worker=True)`: what was acknowledged over HTTP becomes final on the embedded chain."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from starlette.testclient import TestClient

from api.app import create_app
from api.flows.registration import register
from api.settings import Settings
from api.testing import PASSWORD, invented_registration, sign_agreement
from ledger.core.ids import new_id
from ledger.core.report import Verdict
from ledger.ledger_trust import read_ledger_trust
from ledger.note import open_note
from ledger.receipt_checking import verify_receipt_text

FINAL_SECONDS_MAX = 90


def test_a_served_worker_brings_receipts_to_final_and_a_bundle_verifies(tmp_path: Path) -> None:
    url = "http://testserver"
    settings = Settings(home=tmp_path, public_url=url, demo=True, anchor_interval_seconds=1)
    app = create_app(settings, run_worker=True)
    at = datetime.now(UTC)
    with TestClient(app, headers={"Origin": url}) as client:
        ports = app.state.shell.ports
        donor = register(ports, invented_registration("served-donor", "donor", at=at), at=at)
        hospital = register(ports, invented_registration("served-hosp", "hospital", at=at), at=at)
        agreement_id = sign_agreement(ports, (donor, hospital), allocation_id=None, at=at)
        client.post("/api/v1/login", json={"login": "served-donor", "password": PASSWORD})
        path = f"/api/v1/agreements/{agreement_id}"
        until = time.monotonic() + FINAL_SECONDS_MAX
        while time.monotonic() < until:
            entries = client.get(path).json()["entries"]
            if {one["state"] for one in entries} == {"final"}:
                break
            time.sleep(0.5)
        assert {one["state"] for one in entries} == {"final"}
        page = client.get(f"/entries/{entries[-1]['id']}").text
        receipt = client.get(f"/api/v1/entries/{entries[-1]['id']}/receipt").json()
        assert receipt["state"] == "final"
        assert receipt["anchor"]["tx_hash"] in page
        assert receipt["log"]["root"] in page
        # As a stranger has it: two downloaded files, nothing else.
        trust = read_ledger_trust(client.get("/api/v1/trust").content)
        data = json.dumps(receipt, ensure_ascii=False).encode()
        report = verify_receipt_text(data, trust=trust, at=datetime.now(UTC))
        assert report.verdict is Verdict.PASSED, report.as_json()
        assert report.checks[-1].code == "receipt.status"
        for check in report.checks[:-1]:
            assert check.summary_zh in page or check.summary_en in page
        older = data.replace(b"later 0", b"later 1")
        assert verify_receipt_text(older, trust=trust).verdict is Verdict.FAILED
        uploaded = client.post("/api/v1/verify", files={"file": ("r.json", data)}).json()
        assert (uploaded["subject"], uploaded["verdict"]) == ("receipt", "passed")
        made = client.post(f"{path}/bundles", json={"id": new_id("bun", at=at)})
        assert made.status_code == 201, made.text
        data = client.get(f"/api/v1/bundles/{made.json()['id']}").content
        report = client.post("/api/v1/verify", files={"file": ("b.zip", data)}).json()
        assert report["subject"] == "bundle"
        faults = [c for c in report["checks"] if c["verdict"] != "passed"]
        assert report["verdict"] == "passed", faults
        # The worker writes the static files after a receipt is final: soon, and not in the same breath.
        until = time.monotonic() + FINAL_SECONDS_MAX
        while (note := client.get("/log/checkpoint")).status_code != 200:
            assert time.monotonic() < until, note.text
            time.sleep(0.2)
        assert note.headers["content-type"].startswith("text/plain")
        size = open_note(note.text, verifier=ports.log_key.verifier).size
        tile = client.get(f"/log/tile/0/000.p/{size}")
        assert len(tile.content) == 32 * size
        for outside in ("/log/tile/0/../../keys/log.key", "/log/tile/%2e%2e/keys", "/log/tile/9"):
            assert client.get(outside).status_code == 404
        broken = bytearray(data)
        broken[len(broken) // 2] ^= 1
        again = client.post("/api/v1/verify", files={"file": ("b.zip", bytes(broken))}).json()
        assert again["verdict"] == "failed"
