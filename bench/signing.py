"""Signing and strictly verifying PDFs, beside raw pyHanko on the same files in the same run.

Runs alternate between the two, so that a busy machine slows both; ratios are of medians.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from asn1crypto import keys as asn1_keys
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.stamp import TextStampStyle
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore
from reportlab.pdfgen.canvas import Canvas

from arbitration.examining import Examiner
from bench.measure import Measure, p50_ms, seconds
from ledger.core.report import Verdict
from signing import pdf, validate
from signing.appearance import Appearance
from signing.testing import Signer, ThrowawayPki, throwaway_pki
from signing.testing_pdf import raw_pdf, trust_of
from signing.trust import PkiTrust

MEGABYTE = 1_000_000
ROUNDS = 9
THROUGHPUT_FILES = 200
GROWTH = (1, 2, 4, 10, 25, 50)
GROWTH_ROUNDS = 9
PYHANKO_VERIFY = (
    "raw pyHanko: integrity, path and difference analysis of every signature, same file"
)
PYHANKO_SIGN = (
    "raw pyHanko: sign_pdf with the same key, the same time-stamp authority and a visible stamp"
)

logging.getLogger("pyhanko").setLevel(logging.CRITICAL)


def document(size: int, *, pages: int = 5) -> bytes:
    """Pages of text with pictures, as random bytes, up to `size`."""
    chance = random.Random(1)
    buffer = BytesIO()
    canvas = Canvas(buffer, invariant=True)
    for number in range(pages):
        for line in range(40):
            canvas.drawString(
                60, 780 - 18 * line, f"{number + 1}.{line} An agreement. {chance.random()}"
            )
        canvas.showPage()
    canvas.save()
    rest, bodies = size - len(buffer.getvalue()), []
    while rest > 0:
        part = chance.randbytes(min(rest, 500_000))
        # In hexadecimal no byte reads as a keyword; two digits each, so half of the size.
        bodies.append(part[: len(part) // 2].hex())
        rest -= len(part)
    if not bodies:
        return buffer.getvalue()
    streams = [
        f"<< /Length {len(body)} /Filter /ASCIIHexDecode >>\nstream\n{body}\nendstream"
        for body in bodies
    ]
    return raw_pdf(
        streams, root=f"/Pictures [{' '.join(f'{6 + n} 0 R' for n in range(len(streams)))}]"
    )


class Desk:
    """An authority, a signer and what both sides need to sign and to verify."""

    def __init__(self, folder: Path) -> None:
        self.pki: ThrowawayPki = throwaway_pki(folder)
        self.signer: Signer = self.pki.signer()
        self.trust: PkiTrust = trust_of(self.pki)

    def placed(self, data: bytes, fields: int) -> bytes:
        specs = [
            pdf.FieldSpec(
                name=f"party-{n}",
                page=0,
                x=5 + (n % 10) * 28,
                y=5 + (n // 10) * 28,
                width=26,
                height=26,
            )
            for n in range(fields)
        ]
        return pdf.place_fields(data, specs)

    def sign(
        self, data: bytes, *, field: int, stamp: Callable[[bytes], bytes] | None = None
    ) -> bytes:
        """The whole signing step: prepare, sign on the device, time-stamp, embed, validate every revision."""
        chain = self.signer.certificate.chain
        prepared = pdf.prepare(
            data,
            field=f"party-{field}",
            certificate=self.signer.certificate.der,
            chain=chain,
            at=self.pki.at,
            certify=field == 0,
            appearance=Appearance(
                organisation="示例（虚构）",
                handler="张三（虚构）",
                serial_hex=self.signer.certificate.serial_hex,
                at=self.pki.at,
                demo=True,
            ),
        )
        return pdf.embed(
            prepared,
            signature=self.signer.key.sign(prepared.signed_attrs),
            certificate=self.signer.certificate.der,
            chain=chain,
            stamp=stamp or self.pki.stamp,
        )

    def signed(self, data: bytes, *, times: int) -> bytes:
        data = self.placed(data, times)
        for number in range(times):
            data = self.sign(data, field=number)
        return data

    def signed_by_many(self, data: bytes, *, times: int) -> bytes:
        """Signed by so many people, one each minute."""
        data, first = self.placed(data, times), self.signer
        for number in range(times):
            self.signer = self.pki.signer(f"经办人{number}（虚构）")
            at = self.pki.at + timedelta(minutes=number)
            data = self.sign(data, field=number, stamp=partial(self.pki.tsa.stamp, at=at))
        self.signer = first
        return data

    def verify(self, data: bytes, *, later: int = 0) -> None:
        at = self.pki.at + timedelta(minutes=later)
        report = validate.validate_pdf(data, trust=self.trust, at=at)
        assert report.verdict is Verdict.PASSED, report.as_json()

    def verify_pyhanko(self, data: bytes) -> None:
        reader = PdfFileReader(BytesIO(data))
        for embedded in reader.embedded_regular_signatures:
            status = validate_pdf_signature(
                embedded,
                self._context(self.trust.ca_roots),
                ts_validation_context=self._context(self.trust.tsa_roots),
            )
            assert status.bottom_line, status.summary()

    def _context(self, roots: tuple[bytes, ...]) -> ValidationContext:
        loaded = [asn1_x509.Certificate.load(der) for der in roots]
        return ValidationContext(trust_roots=loaded, moment=self.pki.at, allow_fetching=False)

    def sign_pyhanko(self, data: bytes) -> bytes:
        """pyHanko's own way to the same: a visible PAdES signature with a time stamp in an empty field."""
        store = SimpleCertificateStore()
        store.register_multiple(
            [asn1_x509.Certificate.load(der) for der in self.signer.certificate.chain]
        )
        signer = signers.SimpleSigner(
            signing_cert=asn1_x509.Certificate.load(self.signer.certificate.der),
            signing_key=asn1_keys.PrivateKeyInfo.load(private_key(self.signer)),
            cert_registry=store,
        )
        meta = signers.PdfSignatureMetadata(
            field_name="party-0",
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            certify=True,
        )
        made = signers.PdfSigner(
            meta,
            signer=signer,
            timestamper=_Stamper(self.pki),
            stamp_style=TextStampStyle(stamp_text="%(signer)s"),
        )
        return made.sign_pdf(
            IncrementalPdfFileWriter(BytesIO(data)), existing_fields_only=True
        ).getvalue()


class _Stamper(TimeStamper):
    """The same time-stamp authority, as pyHanko asks it."""

    def __init__(self, pki: ThrowawayPki) -> None:
        super().__init__()
        self._pki = pki

    async def async_request_tsa_response(self, req: Any) -> Any:
        token = self._pki.stamp(req["message_imprint"]["hashed_message"].native)
        return tsp.TimeStampResp.load(
            tsp.TimeStampResp(
                {"status": {"status": "granted"}, "time_stamp_token": tsp.ContentInfo.load(token)}
            ).dump()
        )

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> Any:
        del md_algorithm
        return tsp.ContentInfo.load(self._pki.stamp(message_digest))

    async def async_dummy_response(self, md_algorithm: str) -> Any:
        return await self.async_timestamp(hashlib.new(md_algorithm, b"x").digest(), md_algorithm)


def private_key(signer: Signer) -> bytes:
    """PKCS#8 of an invented signer's key, for the baseline only."""
    key = signer.key._key  # noqa: SLF001 - the baseline needs the bare key
    return bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def alternate(
    ours: Callable[[], object], theirs: Callable[[], object], *, n: int
) -> tuple[float, float]:
    """Medians in milliseconds of runs that alternate, after one each that warms up."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _round in range(n)]
    return statistics.median(p[0] for p in pairs) * 1000, statistics.median(
        p[1] for p in pairs
    ) * 1000


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as name:
        desk = Desk(Path(name))
        yield from _signing(desk)
        yield from _verifying(desk)
        yield from _throughput(desk)
        yield from _growth(desk)
        yield from _memory()
        imprint = hashlib.sha256(b"x").digest()
        yield Measure(
            "signing.timestamp_p50", p50_ms(lambda: desk.pki.stamp(imprint), n=15), "ms", 15
        )


def _signing(desk: Desk) -> Iterator[Measure]:
    for label, size in (("1mb", MEGABYTE), ("10mb", 10 * MEGABYTE)):
        placed = desk.placed(document(size), 1)
        ours, theirs = alternate(
            lambda data=placed: desk.sign(data, field=0),
            lambda data=placed: desk.sign_pyhanko(data),
            n=ROUNDS,
        )
        yield Measure(f"signing.step_{label}_p50", ours, "ms", ROUNDS, theirs, PYHANKO_SIGN)


def _verifying(desk: Desk) -> Iterator[Measure]:
    for label, size in (("1mb", MEGABYTE), ("10mb", 10 * MEGABYTE)):
        for times in (1, 4):
            data = desk.signed(document(size), times=times)
            ours, theirs = alternate(
                lambda data=data: desk.verify(data),
                lambda data=data: desk.verify_pyhanko(data),
                n=ROUNDS,
            )
            name = f"signing.verify_{times}_signatures_{label}_p50"
            yield Measure(name, ours, "ms", ROUNDS, theirs, PYHANKO_VERIFY)


def _throughput(desk: Desk) -> Iterator[Measure]:
    data = desk.signed(document(200_000), times=2)
    examiner = Examiner(workers=2)

    def one(_number: int) -> None:
        report = examiner.examine(data, trust=None, pki=desk.trust, at=desk.pki.at)
        assert report.verdict is Verdict.PASSED

    try:
        examiner.warm()
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(one, range(10)))
            took = seconds(lambda: list(threads.map(one, range(THROUGHPUT_FILES))))
    finally:
        examiner.close()
    yield Measure(
        "signing.verifications_per_second",
        THROUGHPUT_FILES / took,
        "1/s",
        THROUGHPUT_FILES,
        50.0,
        "the goal of SiVa's test plan; two signatures, 200 kB, two sandboxed processes",
    )


def _growth(desk: Desk) -> Iterator[Measure]:
    """Each signature by a person of its own and stamped a minute after the one before, as in an agreement.

    Processor time: what waits for others on a busy machine is no growth. The sizes alternate, so that a
    busy moment slows all of them; the least of the runs is what the work needs. Rubbish is collected before
    each run, so that none clears away what the parts before left behind.

    Nothing follows a single signature, so that nothing is compared and no page is drawn: the second one
    brings that. What each further signature costs is the growth proper; it is given by itself.
    """
    files = {times: desk.signed_by_many(document(100_000), times=times) for times in GROWTH}
    rows: dict[int, list[float]] = {times: [] for times in GROWTH}
    for times, data in files.items():
        desk.verify(data, later=times)
    for _round in range(GROWTH_ROUNDS):
        for times, data in files.items():
            gc.collect()
            began = time.process_time()
            desk.verify(data, later=times)
            rows[times].append((time.process_time() - began) * 1000 / times)
    for times in GROWTH[1:]:
        yield Measure(
            f"signing.verify_{times}_signatures_cpu_per_signature",
            min(rows[times]),
            "ms",
            GROWTH_ROUNDS,
            min(rows[1]),
            "processor time for a file with one signature",
        )
    few, some, many = ((times, min(rows[times]) * times) for times in (2, 25, 50))
    yield Measure(
        "signing.verify_further_signature_cpu",
        _each_further(some, many),
        "ms",
        GROWTH_ROUNDS,
        _each_further(few, some),
        "each of the 26th to the 50th signature beside each of the 3rd to the 25th",
    )


def _each_further(start: tuple[int, float], end: tuple[int, float]) -> float:
    """Time for each signature between two files, given as number of signatures and time for all."""
    return (end[1] - start[1]) / (end[0] - start[0])


def _memory() -> Iterator[Measure]:
    """Peaks of processes of their own that sign a file of 100 MB twice and that verify it."""
    with tempfile.TemporaryDirectory(prefix="fuqi-bench-") as name:
        for step in ("make", "sign", "verify"):
            done = subprocess.run(
                [sys.executable, "-m", "bench.signing", step, name],
                capture_output=True,
                check=True,
                text=True,
                timeout=600,
            )
            if step != "make":
                peak = float(done.stdout.strip())
                yield Measure(f"signing.{step}_100mb_peak", peak, "MB", 1, 100.0, "the file itself")


def _peak(step: str, folder: Path) -> None:
    """Do one step on the file in the folder and print the most memory that this process held, in MB."""
    file, facts = folder / "file.pdf", folder / "trust.json"
    if step == "make":
        file.write_bytes(document(100 * MEGABYTE))
    elif step == "sign":
        desk = Desk(folder)
        data = desk.placed(file.read_bytes(), 2)
        for field in range(2):
            data = desk.sign(data, field=field)
        file.write_bytes(data)
        told = {"trust": desk.trust.as_json(), "at": desk.pki.at.isoformat()}
        facts.write_text(json.dumps(told), encoding="utf-8")
    else:
        told = json.loads(facts.read_text(encoding="utf-8"))
        trust, at = PkiTrust.from_json(told["trust"]), datetime.fromisoformat(told["at"])
        report = validate.validate_pdf(file.read_bytes(), trust=trust, at=at)
        assert report.verdict is Verdict.PASSED, report.as_json()
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}\n")


if __name__ == "__main__":
    _peak(sys.argv[1], Path(sys.argv[2]))
