"""Certificates: issued by a pinned authority to this handler of this organisation, not revoked when used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from arbitration.checks.context import Context, time_of
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check, Verdict
from signing.certificates import certificate_spki
from signing.trust import Finding, Purpose, RevocationList, check_path, check_revocation

CODE: Final = "signer.certificate"


def check(context: Context) -> Check:
    """FAILED on a certificate of somebody else, revoked or invalid then; INDETERMINATE without roots."""
    problems: list[Problem] = []
    keys: set[bytes] = set()
    for signer in context.bundle.signers:
        keys.add(certificate_spki(context.certificate_der(str(signer["certificate"]))))
        problems += certificate_problems(context, signer)
    if len(keys) != len(context.bundle.signers):
        problems.append(wrong("two signers share one key", "两个签署方共用同一密钥"))
    return conclude(
        CODE,
        problems,
        en="each certificate comes from a pinned authority and was in force when used",
        zh="每份证书均由已固定的机构签发，且使用时有效、未被吊销",
    )


def certificate_problems(context: Context, signer: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the certificate of one who acted.

    Args:
        signer: `signer`, `person`, `organisation`, `certificate`, `field` (empty for an act that fills none)
            and `signed_at`, when they acted.
    """
    row = context.certificate_row(str(signer["certificate"]))
    der = context.certificate_der(str(signer["certificate"]))
    return [
        *_holder_problems(context, signer, row, der),
        *_entry_problems(context, signer, row, der),
        *_path_problems(context, signer, row, der),
    ]


def signing_time(context: Context, signer: Mapping[str, Any]) -> datetime:
    """The time stamp's time where there is one, else the stated time."""
    facts = context.facts_of(str(signer["field"]))
    if facts is not None and facts.timestamp_time is not None:
        return facts.timestamp_time
    return time_of(signer["signed_at"])


def _holder_problems(
    context: Context, signer: Mapping[str, Any], row: Mapping[str, Any], der: bytes
) -> list[Problem]:
    name, problems = str(signer["signer"]), list[Problem]()
    if (row["person"], row["organisation"]) != (signer["person"], signer["organisation"]):
        problems.append(wrong(f"{name}: a certificate of others", f"{name}：证书属于他人"))
    certificate = x509.load_der_x509_certificate(der)
    if f"{certificate.serial_number:040x}" != row["serial"]:
        problems.append(wrong(f"{name}: another serial number", f"{name}：证书序列号不符"))
    subject = certificate.subject
    wanted = (
        (NameOID.COMMON_NAME, context.party(str(signer["person"]))["name"], False),
        (NameOID.ORGANIZATION_NAME, context.party(str(signer["organisation"]))["name"], False),
        # Our own authority writes the random id as well; others need not.
        (NameOID.USER_ID, signer["person"], True),
    )
    for oid, value, may_be_absent in wanted:
        found = [one.value for one in subject.get_attributes_for_oid(oid)]
        if found != [value] and not (may_be_absent and not found):
            problems.append(
                wrong(f"{name}: the certificate names somebody else", f"{name}：证书主体不符")
            )
    return problems


def _entry_problems(
    context: Context, signer: Mapping[str, Any], row: Mapping[str, Any], der: bytes
) -> list[Problem]:
    bundle, name = context.bundle, str(signer["signer"])
    person = str(signer["person"])
    issued = [
        one.body
        for one in bundle.of_type("certificate.issued", subject=person)
        if one.body is not None and one.body["certificate"] == row["id"]
    ]
    if len(issued) != 1:
        return [
            unclear(f"{name}: the entry of issuance is not opened", f"{name}：证书签发记录未披露")
        ]
    problems = [
        wrong(f"{name}: the log issued another certificate", f"{name}：日志所载证书不同")
        for key, value in (
            ("sha256", hashlib.sha256(der).hexdigest()),
            ("spki_sha256", hashlib.sha256(certificate_spki(der)).hexdigest()),
            ("serial", row["serial"]),
            ("organisation", row["organisation"]),
        )
        if issued[0][key] != value
    ]
    at = signing_time(context, signer)
    for event in bundle.of_type("key.revoked"):
        body = event.body
        if event.subject not in (person, row["id"]) or time_of(event.at) > at:
            continue
        if body is None:
            problems.append(
                unclear(f"{name}: a revocation is not opened", f"{name}：吊销记录未披露")
            )
        elif row["id"] == body.get("certificate") or row["serial"] == body.get("serial"):
            problems.append(
                wrong(f"{name}: key revoked before signing", f"{name}：密钥在签署前已吊销")
            )
    return problems


def _path_problems(
    context: Context, signer: Mapping[str, Any], row: Mapping[str, Any], der: bytes
) -> list[Problem]:
    at = signing_time(context, signer)
    path = check_path(
        der,
        others=[context.bundle.files[str(one)] for one in row["chain"]],
        roots=context.pki.ca_roots,
        at=at,
        purpose=Purpose.SIGNING,
    )
    if path.verdict is not Verdict.PASSED:
        return [_problem(signer, path)]
    lists = [RevocationList(der) for der in context.pki.crls]
    revoked = check_revocation(path.path, lists=lists, used_at=at, at=context.at)
    return [] if revoked.verdict is Verdict.PASSED else [_problem(signer, revoked)]


def _problem(signer: Mapping[str, Any], found: Finding) -> Problem:
    make = wrong if found.verdict is Verdict.FAILED else unclear
    return make(f"{signer['signer']}: {found.text_en}", f"{signer['signer']}：{found.text_zh}")
