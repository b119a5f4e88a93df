"""Invented agreements and small PDFs for tests and the demo; every name in them says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.core.canonical import Json
from signing import pdf
from signing.appearance import Appearance, FieldSpec
from signing.testing import Signer, ThrowawayPki
from signing.trust import PkiTrust

_PARTY_A: Final[Mapping[str, Json]] = {
    "name": "示例捐赠企业有限公司（虚构）",
    "uscc": "91420100MA4KXXXX0X",
    "address": "湖北省武汉市示例大道1号",
    "legal_representative": "王䶮（虚构）",
    "handler": "李镕㛃（虚构）",
    "authorisation": "auth_example_a（2026-11-01 至 2026-12-31）",
    "phone": "027-00000001",
    "email": "donor@example.invalid",
    "system": "fuqi acc_example_a",
}
_PARTY_B: Final[Mapping[str, Json]] = {
    "name": "示例市第一人民医院（虚构）",
    "uscc": "12420100MA4KXXXX1X",
    "address": "湖北省示例市健康路2号",
    "legal_representative": "张𠮷（虚构）",
    "handler": "陈𬱖（虚构）",
    "authorisation": "auth_example_b（2026-11-01 至 2026-12-31）",
    "phone": "0710-0000002",
    "email": "hospital@example.invalid",
    "system": "fuqi acc_example_b",
}
_COMMON: Final[Mapping[str, Json]] = {
    "agreement_no": "FQ-2026-000001",
    "place": "湖北省武汉市",
    "party_a": _PARTY_A,
    "party_b": _PARTY_B,
    "delivery": {
        "deadline": "2026-12-05",
        "place": "湖北省示例市健康路2号仓库",
        "consignee": "陈𬱖（虚构）",
        "carrier": "示例物流（虚构）",
    },
    "arbitration": {"institution": "示例仲裁委员会（虚构）", "seat": "武汉市"},
    "preservation": {"system": "fuqi 演示系统", "chain": "内嵌单运营者链（仅供演示）", "years": 10},
}
SAMPLE_DONATION: Final[Mapping[str, Json]] = {
    **_COMMON,
    "purpose": "医护人员防护",
    "items": [
        {
            "name": "医用外科口罩",
            "model": "平面耳挂式",
            "standard": "YY 0469",
            "edition": "YY 0469-2011",
            "lot": "20261101A",
            "expiry": "2028-10-31",
            "quantity": 20_000,
            "unit": "只",
        }
    ],
}
"""Data of the template `donation`."""
SAMPLE_MANUFACTURING: Final[Mapping[str, Json]] = {
    **_COMMON,
    "items": [
        {
            "name": "医用一次性防护服",
            "model": "连身式",
            "standard": "GB 19082",
            "edition": "GB 19082-2023",
            "quantity": 1_200,
            "unit": "套",
            "unit_price_fen": 12_850,
        }
    ],
    "payment": {"deposit_percent": 30, "days_after_acceptance": 15},
    "material": {"supplied_by": "maker", "description": "覆膜无纺布"},
    "acceptance": {"standard": "GB 19082-2023 出厂检验项目", "inspection_days": 7},
    "subcontract": "with_consent",
    "confidentiality_years": 3,
    "late_permille_per_day": 3,
}
"""Data of the template `manufacturing`."""


@dataclass(frozen=True, slots=True)
class SignedSample:
    """A file signed by every party in turn, with the trust under which it passes."""

    data: bytes
    trust: PkiTrust
    at: datetime


def raw_pdf(objects: Sequence[str], *, root: str = "", trailer: str = "", page: str = "") -> bytes:
    """A PDF written by hand: one page that says "Pay 100 yuan", and `objects` from number 6 on.

    Args:
        objects: bodies of further objects, such as `<< /S /JavaScript /JS (x) >>`.
        root, trailer, page: further entries of the catalogue, of the trailer and of the page.
    """
    text = b"BT /F1 18 Tf 20 250 Td (Pay 100 yuan) Tj ET"
    bodies = [
        f"<< /Type /Catalog /Pages 2 0 R {root} >>".encode(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> %s >>" % page.encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *(body.encode("latin-1") for body in objects),
    ]
    out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (len(bodies) + 1, trailer.encode())
    return out + b"startxref\n%d\n%%%%EOF\n" % start


def trust_of(pki: ThrowawayPki) -> PkiTrust:
    """The throwaway authorities as pinned trust, with today's revocation list."""
    return PkiTrust(
        ca_roots=(pki.authority.root_der,),
        tsa_roots=(pki.tsa.root_der,),
        crls=(pki.authority.crl(at=pki.at),),
        labels=("throwaway authorities of a test",),
    )


def sign_field(
    data: bytes, *, pki: ThrowawayPki, signer: Signer, field: str, certify: bool, demo: bool = True
) -> bytes:
    """Prepare, sign on the "device" and embed, as the flows do."""
    prepared = pdf.prepare(
        data,
        field=field,
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        at=pki.at,
        certify=certify,
        appearance=Appearance(
            organisation="示例机构（虚构）",
            handler="张𠮷（虚构）",
            serial_hex=signer.certificate.serial_hex,
            at=pki.at,
            demo=demo,
        ),
    )
    return pdf.embed(
        prepared,
        signature=signer.key.sign(prepared.signed_attrs),
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        stamp=pki.stamp,
    )


def two_party_sample(pki: ThrowawayPki, *, base: bytes | None = None) -> SignedSample:
    """A small file with two visible signatures, one of them under a name with rare characters."""
    fields = [FieldSpec("party_a", 0, 10, 10, 130, 70), FieldSpec("party_b", 0, 150, 10, 130, 70)]
    data = pdf.place_fields(base or raw_pdf([]), fields)
    for number, name in enumerate(("李明（虚构）", "陈𬱖（虚构）")):
        signer = pki.signer(name)
        data = sign_field(
            data, pki=pki, signer=signer, field=fields[number].name, certify=number == 0
        )
    return SignedSample(data=data, trust=trust_of(pki), at=pki.at)
