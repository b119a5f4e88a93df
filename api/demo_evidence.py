"""Acts six and seven: receipts reach final, bundles are exported, a stranger verifies them, forgeries fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from api.callers import OPERATOR
from api.demo_state import (
    SETTLE_SECONDS,
    Story,
)
from api.flows import evidence, exporting
from api.flows.custody_bundle import export_lot_bundle
from api.flows.donation_bundle import export_donation_bundle
from api.views.donations import donations
from api.worker import Progress, settle
from arbitration.container import pack, unpack
from arbitration.contents import Purpose
from arbitration.donation_story import PLACES_ZH
from arbitration.policy import save_trust
from ledger.queries import anchors as anchor_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow


def show_receipts(story: Story, subjects: list[str]) -> Progress:
    progress = settle(story.ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    with transaction(story.ports.readers) as session:
        anchor = anchor_queries.latest_final(session)
        states = set()
        for subject in subjects:
            for entry in evidence.entries_about(session, OPERATOR, subject):
                receipt = evidence.receipt_for(session, story.ports, OPERATOR, entry.id)
                states.add(str(receipt["state"]))
    assert anchor is not None
    story.stages.mark(
        f"{progress.anchored} 条存证记录 entries, all under a final anchor: {progress.settled}"
    )
    story.stages.mark(
        f"区块 block {anchor.block_number} · tx {anchor.tx_hash[:18]}… · gas {anchor.gas_used} · "
        f"回执状态 receipts: {', '.join(sorted(states))}",
        good=states == {"final"},
    )
    return progress


def prove(story: Story, agreed: list[str], lot_id: str, given: list[str]) -> bool:
    ports, out = story.ports, story.out
    out.mkdir(exist_ok=True)
    with transaction(ports.readers) as session:
        save_trust(
            evidence.installation_trust(session, ports, at=story.clock()), out / "trust.json"
        )
    bundles = []
    for number, agreement_id in enumerate(agreed, start=1):
        with transaction(ports.sessions) as session:
            row, data = exporting.export_bundle(
                ports,
                OPERATOR,
                agreement_id=agreement_id,
                bundle_id=story.id_of("bun", agreement_id),
                purpose=Purpose.ARBITRATION,
                recipient=story.actors["arbiter"].registered.organisation.name,
                at=story.clock(),
            )
            agreement = session.get_one(AgreementRow, agreement_id)
        pdf, path = out / f"agreement-{number}.pdf", out / f"bundle-{number}.zip"
        pdf.write_bytes(ports.blobs.get(agreement.current_sha256))
        path.write_bytes(data)
        bundles.append(path)
        story.made.append((f"{agreement.title} PDF", str(pdf)))
        story.made.append((f"证据包 evidence bundle ({row.size_bytes // 1024} KiB)", str(path)))
    bundles.append(_lot_bundle(story, lot_id))
    bundles.append(_donation_bundle(story, given))
    story.made.append(("信任文件 trust file (pin it)", str(out / "trust.json")))
    settle(ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    good = True
    for number, path in enumerate(bundles):
        story.stages.note(
            f"在独立进程、无数据库、无网络中验证 separate process: fuqi bundle verify {path.name}"
        )
        good &= _verify(story, path, expected=0, show=number in (0, len(bundles) - 1))
    return _tampered(story, bundles[0]) and good


def _lot_bundle(story: Story, lot_id: str) -> Path:
    """The donor takes away the way of its goods: its own acts whole, of others' what custody needs."""
    _, data = export_lot_bundle(
        story.ports,
        story.actors["donor"].caller,
        lot_id=lot_id,
        bundle_id=story.id_of("bun", lot_id),
        purpose=Purpose.PARTY,
        recipient=story.actors["donor"].registered.organisation.name,
        at=story.clock(),
    )
    path = story.out / "bundle-lot.zip"
    path.write_bytes(data)
    what = f"批次证据包 bundle of the lot ({len(data) // 1024} KiB)"
    story.made.append((what, str(path)))
    return path


def _donation_bundle(story: Story, offer_ids: list[str]) -> Path:
    """One file for all the donor gave: each unit at one place, lots and agreements whole inside."""
    donor = story.actors["donor"]
    _, data = export_donation_bundle(
        story.ports,
        donor.caller,
        offer_ids=offer_ids,
        bundle_id=story.id_of("bun", "donation"),
        purpose=Purpose.PARTY,
        recipient=donor.registered.organisation.name,
        at=story.clock(),
    )
    with transaction(story.ports.readers) as session:
        account = donations(session, donor.caller, limit=len(offer_ids))
    story.stages.table(
        "捐赠人的总账 where every unit of the donor's three offers is",
        ["在哪里 place", "数量 units"],
        [[f"{PLACES_ZH[one.place]} {one.place}", str(one.units)] for one in account.places],
    )
    story.stages.mark(
        f"合计 {account.check.counted} = 供给 {account.check.offered}，数据库核对 "
        f"{len(account.check.faults)} 项 adds up, checked by the database",
        good=account.check.balanced,
    )
    path = story.out / "bundle-donation.zip"
    path.write_bytes(data)
    what = f"整笔捐赠证据包 bundle of the whole donation ({len(data) // 1024} KiB)"
    story.made.append((what, str(path)))
    return path


def _tampered(story: Story, bundle: Path) -> bool:
    """Two forgeries that must fail: one bit flipped, and one byte of the signed PDF changed and repacked."""
    data = bundle.read_bytes()
    flipped = bytearray(data)
    place = len(flipped) // 2
    flipped[place] ^= 0x01
    files = dict(unpack(data))
    name = max(path for path in files if path.startswith("documents/revision"))
    changed = bytearray(files[name])
    changed[len(changed) // 3] ^= 0x01
    files[name] = bytes(changed)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for what, forged in (
            (
                f"翻转第 {place} 字节的一个比特 one bit flipped at byte {place} of a copy",
                bytes(flipped),
            ),
            (f"改动 {name} 一字节后重新打包 one byte of {name} changed, zip repacked", pack(files)),
        ):
            copy = Path(folder) / "forged.zip"
            copy.write_bytes(forged)
            story.stages.note(f"{what}:")
            good &= _verify(story, copy, expected=1, show=True, failures_only=True)
    return good


def _verify(
    story: Story, bundle: Path, *, expected: int, show: bool, failures_only: bool = False
) -> bool:
    """Run `fuqi bundle verify` as a stranger would: another process, an empty home, no settings."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "api.cli",
                "bundle",
                "verify",
                str(bundle),
                "--trust",
                str(story.out / "trust.json"),
                "--json",
            ],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "HOME": folder},
            capture_output=True,
            timeout=120,
            check=False,
        )
    good = done.returncode == expected
    try:
        report = json.loads(done.stdout)
    except ValueError:
        story.stages.mark(f"no report: {done.stderr.decode(errors='replace')[-400:]}", good=False)
        return False
    for check in report["checks"]:
        passed = check["verdict"] == "passed"
        if show and (check["verdict"] == "failed" or not failures_only):
            story.stages.mark(
                f"{check['number']:>2}. {check['code']}: {check['summary_zh']}", good=passed
            )
    story.stages.mark(
        f"结论 verdict: {report['verdict']} (exit {done.returncode}, expected {expected})",
        good=good,
    )
    return good
