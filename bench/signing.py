"""Signing a one-page agreement as PAdES with a time stamp, and validating it; beside bare primitives."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

from bench.measure import Measure, p50_ms
from ledger.core.report import Verdict
from signing import pdf, validate
from signing.appearance import Appearance
from signing.testing import FIXED_TIME, throwaway_pki
from signing.trust import PkiTrust

SIGNATURES = 15


def page() -> bytes:
    buffer = BytesIO()
    canvas = Canvas(buffer, invariant=True)
    canvas.drawString(72, 720, "An agreement to measure with. Not a document.")
    canvas.save()
    return buffer.getvalue()


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as name:
        yield from _measures(Path(name))


def _measures(folder: Path) -> Iterator[Measure]:
    pki = throwaway_pki(folder)
    signer = pki.signer()
    chain = signer.certificate.chain
    field = pdf.FieldSpec(name="party-1", page=0, x=72, y=72, width=180, height=60)
    placed = pdf.place_fields(page(), [field])
    appearance = Appearance(
        organisation="示例（虚构）",
        handler="张三（虚构）",
        serial_hex=signer.certificate.serial_hex,
        at=pki.at,
        demo=True,
    )

    def sign() -> bytes:
        prepared = pdf.prepare(
            placed,
            field="party-1",
            certificate=signer.certificate.der,
            chain=chain,
            at=pki.at,
            certify=True,
            appearance=appearance,
        )
        return pdf.embed(
            prepared,
            signature=signer.key.sign(prepared.signed_attrs),
            certificate=signer.certificate.der,
            chain=chain,
            stamp=pki.stamp,
        )

    signed = sign()
    trust = PkiTrust(ca_roots=(pki.authority.root_der,), tsa_roots=(pki.tsa.root_der,))
    yield Measure(
        "signing.pades_sign_p50",
        p50_ms(sign, n=SIGNATURES),
        "ms",
        SIGNATURES,
        p50_ms(lambda: signer.key.sign(b"x" * 100), n=SIGNATURES),
        "one bare ECDSA P-256 signature",
    )
    report = validate.validate_pdf(signed, trust=trust, at=FIXED_TIME)
    assert report.verdict is not Verdict.FAILED, report.as_json()
    baseline = against = None
    if shutil.which("pdfsig"):
        (folder / "signed.pdf").write_bytes(signed)
        baseline = p50_ms(
            lambda: subprocess.run(
                ["pdfsig", "-nocert", str(folder / "signed.pdf")], capture_output=True, check=False
            ),
            n=SIGNATURES,
        )
        against = "poppler pdfsig -nocert: integrity only, as a process"
    yield Measure(
        "signing.pades_validate_p50",
        p50_ms(lambda: validate.validate_pdf(signed, trust=trust, at=FIXED_TIME), n=SIGNATURES),
        "ms",
        SIGNATURES,
        baseline,
        against or "",
    )
    imprint = hashlib.sha256(b"x").digest()
    yield Measure(
        "signing.timestamp_p50", p50_ms(lambda: pki.stamp(imprint), n=SIGNATURES), "ms", SIGNATURES
    )
    yield Measure("signing.signed_size", len(signed), "bytes", 1, len(placed), "before signing")
