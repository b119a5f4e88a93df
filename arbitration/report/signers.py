"""The report's heart: for each signature who signed, for whom, when, and on whose authority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.model import Bundle
from arbitration.report.words import (
    NONE,
    block,
    bodies,
    both,
    codes,
    line,
    money,
    names_of,
    when,
)
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError
from ledger.core.units import utc_text
from signing.pdf_reading import signatures_of
from signing.reading import SignatureFacts

BASES: Final[Mapping[str, tuple[str, str]]] = {
    "signed": (
        "经法定代表人签署的授权委托书",
        "a letter of authority that the legal representative signed",
    ),
    "statutory": ("法定代表人，依法代表（民法典第六十一条）", "by law, as legal representative"),
    "declared": (
        "仅凭本单位管理员录入的申报，无人签署",
        "only what the organisation's administrator entered; nobody signed it",
    ),
}


def signer_blocks(bundle: Bundle) -> list[dict[str, Json]]:
    """A section for each signature, in the order of signing."""
    rows = sorted(bundle.signers, key=lambda row: (str(row["signed_at"]), int(row["position"])))
    revisions = bundle.revisions()
    try:
        found = {one.field: one for one in signatures_of(revisions[-1])} if revisions else {}
    except FuqiError:
        found = {}
    return [_signer(bundle, row, number, found) for number, row in enumerate(rows, start=1)]


def applied_of(bundle: Bundle, signer: str) -> Mapping[str, Any]:
    """The opened entry of a signature; empty where it is closed."""
    return next((one for one in bodies(bundle, "signature.applied") if one["signer"] == signer), {})


def authority_of(bundle: Bundle, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The authority frozen with a signature, else the one the bundle states; empty for neither."""
    frozen = applied_of(bundle, str(row["signer"])).get("authorisation")
    if isinstance(frozen, Mapping):
        return frozen
    stated = bundle.part(3)["authorisations"]
    return next((one for one in stated if one["id"] == row["authorisation"]), {})


def _signer(
    bundle: Bundle, row: Mapping[str, Any], number: int, found: Mapping[str, SignatureFacts]
) -> dict[str, Json]:
    names = names_of(bundle)
    organisation, person = str(row["organisation"]), str(row["person"])
    title = f"{names.get(organisation, NONE)} — {names.get(person, NONE)}"
    return block(
        f"签名 {number}：{title}",
        f"Signature {number}: {title}",
        [
            *_who(bundle, organisation, person),
            *_steps(bundle, row),
            *_signature(bundle, row, found.get(str(row["field"]))),
            *_authority(bundle, row),
        ],
        anchor=f"signature-{number}",
    )


def _who(bundle: Bundle, organisation: str, person: str) -> list[dict[str, Json]]:
    parties = {str(one["id"]): one for one in bundle.part(3)["parties"]}
    lines = []
    for zh, en, party in (
        ("为谁（受约束的当事人）", "For whom (the party bound)", organisation),
        ("何人（经办人）", "By whom (the handler)", person),
    ):
        one = parties.get(party)
        if one is None:
            lines.append(line(zh, en, party))
            continue
        invented = f"[{both('虚构', 'invented')}]" if one["invented"] else ""
        lines.append(
            line(
                zh,
                en,
                f"{one['name']} {invented}".strip(),
                f"{both('证件号码（遮蔽）', 'number, masked')}: {one['number_masked'] or NONE}",
                f"{both('实名等级', 'real-name level')} L{one['level']}: {one['level_reason']}",
                f"id {party}",
                warn="yes" if one["invented"] else "",
            )
        )
    checks = [one for one in bundle.part(4) if one["subject"] in (organisation, person)]
    told = [
        f"{one['kind']}: {one['status']} · {one['label_zh']} / {one['label_en']} · {when(one['checked_at'])}"
        for one in checks
    ]
    lines.append(line("身份如何核验", "How the identity was checked", *(told or [NONE])))
    return lines


def _steps(bundle: Bundle, row: Mapping[str, Any]) -> list[dict[str, Json]]:
    signer = str(row["signer"])
    ways: list[Mapping[str, Any]] = [one for one in bundle.part(11) if one["signer"] == signer]
    way = ways[0] if ways else {}
    read = [one for one in bodies(bundle, "document.read") if one["signer"] == signer]
    intents = [one for one in bundle.part(6) if one.get("signer") == signer]
    lines = [
        line("送达", "Delivered", when(way.get("delivered_at")), way.get("system") or NONE),
        line(
            "阅读",
            "Read",
            when(way.get("read_at")),
            *[f"{one['pages']} 页 pages, {one['seconds']} 秒 seconds" for one in read[-1:]],
        ),
    ]
    if intents:
        said = intents[-1]["statement"]
        lines.append(
            line(
                "意愿（其设备密钥所签原文）",
                "Will to sign (the very text the device signed)",
                said["text_zh"],
                said["text_en"],
                when(said["at"]),
            )
        )
    filled = [
        f"{one['field']}: {one['old'] or NONE} → {one['new']}"
        for event in bodies(bundle, "document.filled")
        if event["signer"] == signer
        for one in event["fields"]
    ]
    if filled:
        lines.append(
            line("签名前填写的表单域", "Form fields filled before signing", *filled, warn="yes")
        )
    return lines


def _signature(
    bundle: Bundle, row: Mapping[str, Any], facts: SignatureFacts | None
) -> list[dict[str, Json]]:
    body = applied_of(bundle, str(row["signer"]))
    stamped = None if facts is None or facts.timestamp_time is None else facts.timestamp_time
    held: list[Mapping[str, Any]] = [
        one for one in bundle.part(7)["certificates"] if one["id"] == row["certificate"]
    ]
    certificate = held[0] if held else {}
    lines = [
        line(
            "签名时间",
            "Signed at",
            f"{both('时间戳', 'time stamp')} {when(None if stamped is None else utc_text(stamped))}",
            f"{both('平台记录', 'as the platform recorded')} {when(row['signed_at'])}",
            f"TSA: {body.get('tsa', NONE)}",
        ),
        line(
            "用什么签（证书）",
            "With what (certificate)",
            f"{both('序列号', 'serial')} {certificate.get('serial', NONE)}",
            f"CA: {body.get('ca', NONE)}",
            NONE if facts is None else facts.signature_algorithm,
            certificate.get("path", NONE),
        ),
        line(
            "签的是哪一版文件",
            "What exactly was signed",
            f"{both('签名域', 'field')} {row['field']}",
            f"SHA-256 {row['revision_sha256']}",
        ),
    ]
    used = [one for one in bodies(bundle, "seal.used") if one["signer"] == row["signer"]]
    lines += [
        line(
            "所用印章",
            "Seal on the page",
            f"{one['kind']} · {one['seal']}",
            both("骑缝", "across page edges") if one["edge"] else "",
        )
        for one in used
    ]
    return lines


def _authority(bundle: Bundle, row: Mapping[str, Any]) -> list[dict[str, Json]]:
    held = authority_of(bundle, row)
    if not held:
        return [line("凭何授权", "On whose authority", both("未披露", "not opened"), warn="yes")]
    basis = str(held.get("basis", "declared"))
    zh, en = BASES.get(basis, (basis, basis))
    limit = held.get("amount_max")
    lines = [
        line("凭何授权", "On whose authority", zh, en, warn="yes" if basis == "declared" else ""),
        line("授权编号", "Authorisation", held["id"]),
        line("事项", "Matters", codes(held["matters"])),
        line("权限", "Powers", codes(held["powers"])),
        line(
            "单份合同金额上限",
            "Limit for one agreement",
            both("不限", "none") if limit is None else money(int(limit)),
        ),
        line(
            "期限（不含末时）",
            "Period (its end excluded)",
            f"{when(held['valid_from'])} —",
            when(held["valid_to"]),
        ),
        line("用印范围", "Seals", codes(held["seal_scope"]) or NONE),
    ]
    if basis == "signed":
        lines += letter_lines(bundle, held)
    need = (applied_of(bundle, str(row["signer"])).get("levels") or {}).get("need")
    if isinstance(need, Mapping):
        lines.append(
            line(
                "当时政策所要求的",
                "What the policy asked at that moment",
                f"{both('经办人', 'handler')} L{need['person']}, {both('单位', 'organisation')}"
                f" L{need['organisation']}, {both('授权', 'authority')} {need['authority']}",
            )
        )
    lines += _ratified(bundle, str(row["signer"]))
    return lines


def letter_lines(bundle: Bundle, held: Mapping[str, Any]) -> list[dict[str, Json]]:
    """The letter behind an authority: where it is, by whom and when it was signed."""
    letter = str(held["agreement"])
    file = next(
        (one for one in bundle.part(9).get("letters", []) if one["authorisation"] == held["id"]),
        None,
    )
    names = names_of(bundle)
    signed = bodies(bundle, "signature.applied", subject=letter)
    formed = bodies(bundle, "agreement.formed", subject=letter)
    by = [
        f"{names.get(str(one['person']), one['person'])} · "
        + " / ".join(BASES.get(str(one["authorisation"].get("basis")), ("—", "—")))
        for one in signed
    ]
    return [
        line(
            "授权委托书",
            "Letter of authority",
            f"{both('合同编号', 'agreement')} {letter}",
            both("不在本证据包内", "not in this bundle")
            if file is None
            else f"{file['path']} · SHA-256 {file['sha256']}",
            warn="yes" if file is None else "",
        ),
        line("委托书由谁签署", "Letter signed by", *(by or [both("未披露", "not opened")])),
        line(
            "委托书成立时间",
            "Letter formed at",
            *([when(one["formed_at"]) for one in formed] or [both("未披露", "not opened")]),
        ),
    ]


def _ratified(bundle: Bundle, signer: str) -> list[dict[str, Json]]:
    names = names_of(bundle)
    lines = [
        line(
            "超出授权，请求追认",
            "Beyond the authority; ratification asked for",
            str(one["lack"]),
            str(one["reason"]),
            f"{both('期限', 'due')} {when(one['due_at'])}",
            warn="yes",
        )
        for one in bodies(bundle, "ratification.requested")
        if one["signer"] == signer
    ]
    for one in bodies(bundle, "ratification.decided"):
        if one["signer"] == signer:
            by = str(one["by"])
            lines.append(
                line(
                    "追认决定",
                    "Decided",
                    str(one["decision"]),
                    names.get(by, by),
                    str(one["reason"]),
                    warn="" if one["decision"] == "ratified" else "yes",
                )
            )
    return lines
