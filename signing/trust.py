"""Pinned trust: which authorities count, and what a certificate is worth under them at a moment.

Nothing is fetched: roots and revocation lists are given, so a verdict is repeatable offline.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from asn1crypto import crl, x509
from cryptography.exceptions import UnsupportedAlgorithm
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import (
    ExpiredError,
    InvalidCertificateError,
    NotYetValidError,
    PathBuildingError,
    PathValidationError,
    ValidationError,
)

from ledger.core.canonical import Json
from ledger.core.errors import InputError, VerificationError
from ledger.core.report import Verdict
from signing import deadline, parsed
from signing.cms import signature_names, verify_signature
from signing.known_paths import remembered
from signing.path_walk import EXTENSIONS_KNOWN, is_national, walk
from signing.revocation_rules import finished, not_revoked_by_rules

FORMAT: Final = "fuqi/pki-trust/v1"
ROOTS_MAX: Final = 200
CRLS_MAX: Final = 200
CRL_BYTES_MAX: Final = 32 * 1024 * 1024
POOL_FEW: Final = 6
"""Certificates beside the leaf from which a path is built without a look at them first. certvalidator
follows names alone: twenty authorities that all name each other keep it busy for hours."""
POOL_MAX: Final = 12
"""Certificates that really lead to a root; chains have two or three."""
SIGNED_BY_KEPT: Final = 1_024
"""Answers kept on who signed which certificate, 3 kB each: the authorities of recent files."""
SIGNED_LISTS_KEPT: Final = 64
"""Answers kept on who signed which revocation list, 64 kB each at most."""
WEAK_HASHES: Final = frozenset({"md2", "md5", "sha1"})
_EXPIRED: Final = (
    "a certificate of the path was not valid at that time",
    "证书链中有证书在该时间不在有效期内",
)
_PATH_INVALID: Final = ("the certificate path is invalid", "证书链无效")
_HARMLESS: Final = frozenset(
    {"unspecified", "affiliation_changed", "superseded", "cessation_of_operation"}
)
"""Reasons, where one is given, after which what the key did before stays good (RFC 3161, 4.1)."""
_SIGNING_USAGES: Final = frozenset({"digital_signature", "non_repudiation"})
_ERRORS: Final = (*parsed.ASN1_ERRORS, UnsupportedAlgorithm)


class Purpose(StrEnum):
    """What a certificate is used for."""

    SIGNING = "signing"
    TIME_STAMPING = "time_stamping"


@dataclass(frozen=True, slots=True)
class PkiTrust:
    """Roots and revocation lists, all DER.

    Attributes:
        ca_roots: roots of authorities for signers.
        tsa_roots: roots of time-stamp authorities.
        crls: revocation lists of any of them.
        labels: honest remarks carried into every report ("built-in CA: not a licensed CA").
    """

    ca_roots: tuple[bytes, ...] = ()
    tsa_roots: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    labels: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The trust as it stands in a bundle, version `fuqi/pki-trust/v1`."""
        return {
            "v": FORMAT,
            "ca_roots": [_to_text(der) for der in self.ca_roots],
            "tsa_roots": [_to_text(der) for der in self.tsa_roots],
            "crls": [_to_text(der) for der in self.crls],
            "labels": list(self.labels),
        }

    @classmethod
    def from_json(cls, value: Json) -> PkiTrust:
        """The reverse of `as_json`.

        Raises:
            InputError: `trust.format`, `trust.certificate`, `trust.crl`, `trust.too_many`.
        """
        if not isinstance(value, Mapping) or value.get("v") != FORMAT:
            raise InputError(f"this is no {FORMAT} document", code="trust.format")
        roots = {key: _from_texts(value, key, limit=ROOTS_MAX) for key in ("ca_roots", "tsa_roots")}
        for der in (*roots["ca_roots"], *roots["tsa_roots"]):
            require_certificate(der)
        crls = _from_texts(value, "crls", limit=CRLS_MAX)
        for der in crls:
            _load_crl(der)
        labels = value.get("labels")
        if not isinstance(labels, list | tuple) or not all(isinstance(x, str) for x in labels):
            raise InputError("labels are not a list of texts", code="trust.format")
        return cls(
            ca_roots=roots["ca_roots"],
            tsa_roots=roots["tsa_roots"],
            crls=crls,
            labels=tuple(str(x) for x in labels),
        )


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A CRL and how it came here.

    Attributes:
        der: the list.
        proven_at: for a list that the examined file brings itself, the latest moment at which it is
            known to have existed: only a list from the issuer's lifetime counts, because whoever
            holds an expired key can still sign with it. None for a list that the verifier pinned.
    """

    der: bytes
    proven_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a certificate is worth: a verdict, a stable word for the reason, and both sentences."""

    verdict: Verdict
    reason: str
    text_en: str
    text_zh: str
    path: tuple[bytes, ...] = ()
    root: str = ""


_NOT_REVOKED: Final = Finding(
    Verdict.PASSED, "ok", "no certificate of the path is revoked", "证书链均未被吊销"
)
_TOO_MANY: Final = Finding(
    Verdict.INDETERMINATE,
    "too_many_certificates",
    f"more than {POOL_MAX} authorities stand between the certificate and the roots",
    f"证书与根证书之间的机构超过 {POOL_MAX} 个",
)
_Loaded = tuple[crl.CertificateList, datetime | None]
"""A list, and by when it is proven to have existed (`RevocationList`)."""
_CONSTRAINED: Final = Finding(
    Verdict.INDETERMINATE,
    "constraints",
    "an authority restricts names or policies, which cannot be judged for this name",
    "上级证书含名称或策略约束，无法对该名称作出判断",
)


def check_path(
    certificate: bytes,
    *,
    others: Sequence[bytes],
    roots: Sequence[bytes],
    at: datetime,
    purpose: Purpose,
) -> Finding:
    """Build and validate a path from `certificate` to one of `roots` at `at` (RFC 5280).

    An unknown root is INDETERMINATE, a broken or misused certificate is FAILED. Never raises.
    """

    def judge(moment: datetime) -> Finding:
        return _judged(certificate, others=others, roots=roots, at=moment, purpose=purpose)

    finding: Finding = remembered(
        judge,
        key=(certificate, tuple(others), tuple(roots), purpose),
        given=(certificate, *others, *roots),
        at=at,
    )
    return finding


def _judged(
    certificate: bytes,
    *,
    others: Sequence[bytes],
    roots: Sequence[bytes],
    at: datetime,
    purpose: Purpose,
) -> Finding:
    try:
        leaf = parsed.certificate(certificate)
        pool = [parsed.certificate(der) for der in others]
        anchors = [
            anchor
            for anchor in map(parsed.certificate, roots)
            if not _namesake(anchor, [leaf, *pool])
        ]
        unfit = _unfit(leaf, purpose)
        if unfit:
            return _failed(
                "usage",
                f"the certificate is not for this use ({unfit})",
                f"证书不得用于此用途（{unfit}）",
            )
        if len(pool) > POOL_FEW:
            reachable = _leading_to(anchors, pool)
            if len(reachable) > POOL_MAX:
                return _TOO_MANY
            # With none of them the leaf itself may still be issued by a root.
            pool, given = reachable, pool
            if not any(_signed_by(leaf, one) for one in (*anchors, *pool)):
                return _untrusted(leaf, given)
        if any(is_national(one) for one in (leaf, *pool)):
            return _walked(leaf, pool, anchors, at=at)
        if _has_rare_name(leaf):
            return _validate_above(leaf, pool, anchors, at=at)
        return _validate(leaf, pool, anchors, at=at)
    except _ERRORS:
        return Finding(
            Verdict.INDETERMINATE, "malformed", "the certificate cannot be read", "证书无法解析"
        )


def check_revocation(
    path: Sequence[bytes],
    *,
    lists: Sequence[RevocationList],
    used_at: datetime,
    at: datetime,
    harmless: bool = False,
    others: Sequence[bytes] = (),
) -> Finding:
    """Whether any certificate of `path` (leaf first, root last) was revoked when it was used.

    Args:
        path: as found by `check_path`.
        used_at: proven time of use; a later revocation does not undo an earlier use.
        at: now; a list from the future counts as none.
        harmless: pass over revocations for a reason that leaves the key trusted until then
            (RFC 3161, 4.1: superseded, cessation of operation and the like).
        others: certificates that were brought along, among which those of other list issuers are
            looked for (indirect lists, separate keys for lists); each must lead to the same root.
    """
    try:
        loaded = [(_load_crl(one.der), one.proven_at) for one in lists]
        chain = [parsed.certificate(der) for der in path]
        finding = _by_full_lists(chain, loaded, used_at=used_at, at=at, harmless=harmless)
        if finding.verdict is Verdict.PASSED or harmless:
            return finding
        held = finding.reason == "revoked" and any(
            _taken_back(item, one) for item, _proven in loaded for one in chain
        )
        if not held and finding.reason != "no_list":
            return finding
        root = chain[-1]
        pool = [*chain[:-1], *(parsed.certificate(der) for der in others)]
        issuers = [root, *_leading_to([root], pool)]
        if not_revoked_by_rules(
            chain,
            lists=_speaking(loaded, issuers, used_at=used_at, at=at),
            others=issuers[1:],
            used_at=used_at,
            weak_hashes=WEAK_HASHES,
        ):
            return _NOT_REVOKED
    except (*_ERRORS, InputError):
        return Finding(
            Verdict.INDETERMINATE,
            "malformed",
            "a revocation list cannot be read",
            "吊销列表无法读取",
        )
    return finding


def _by_full_lists(
    chain: Sequence[x509.Certificate],
    loaded: Sequence[_Loaded],
    *,
    used_at: datetime,
    at: datetime,
    harmless: bool,
) -> Finding:
    """By full lists of each issuer itself: one that is revoked decides, else the first that is not cleared."""
    unclear: Finding | None = None
    for certificate, issuer in itertools.pairwise(chain):
        finding = _revocation_of(
            certificate, issuer, loaded, used_at=used_at, at=at, harmless=harmless
        )
        if finding.verdict is Verdict.FAILED:
            # A revoked authority fails what it issued even where it left no list of its own.
            return finding
        if finding.verdict is not Verdict.PASSED:
            unclear = unclear or finding
    return unclear or _NOT_REVOKED


def _speaking(
    loaded: Sequence[_Loaded],
    issuers: Sequence[x509.Certificate],
    *,
    used_at: datetime,
    at: datetime,
) -> list[crl.CertificateList]:
    """Lists of any kind that one of `issuers` signed, made by now, that speak for the time of use.

    The signature is asked here, because certvalidator does not ask it where the certificate that it
    judges is the list's issuer itself, and remembers that issuer for the list.

    One that the file brings itself counts only if it is older than the end of every certificate that
    might have issued it: whoever holds an expired key can still sign with it.
    """
    end = min((one.not_valid_after for one in issuers), default=at)
    found = {
        bytes(item.dump()): item
        for item, proven_at in loaded
        if (proven_at is None or proven_at <= end)
        and _speaks_for(item, used_at=used_at, at=at)
        and any(_signed_list(item, issuer) for issuer in issuers)
    }
    return [*found.values()]


def _taken_back(item: crl.CertificateList, certificate: x509.Certificate) -> bool:
    """Whether a delta list takes a suspension of the certificate back."""
    return "delta_crl_indicator" in item.critical_extensions and any(
        _takes_back(entry) for entry in _entries_of(item, certificate)
    )


def issued_by_known(certificates: Sequence[bytes], roots: Sequence[bytes]) -> bool:
    """Whether every certificate verifies under one of the others or a root: none is a loose extra."""
    try:
        loaded = [parsed.certificate(der) for der in (*certificates, *roots)]
        return all(
            any(_signed_by(parsed.certificate(der), issuer) for issuer in loaded)
            for der in certificates
        )
    except _ERRORS:
        return False


def authorities_under(roots: Sequence[bytes], certificates: Sequence[bytes]) -> tuple[bytes, ...]:
    """The roots, and those authorities among `certificates` that signatures connect with one of them."""
    try:
        anchors = [parsed.certificate(der) for der in roots]
        led = _leading_to(anchors, [parsed.certificate(der) for der in certificates])
        return (*roots, *(bytes(one.dump()) for one in led if one.ca))
    except _ERRORS:
        return tuple(roots)


def is_current_list(
    der: bytes, *, issuers: Sequence[bytes], used_at: datetime, at: datetime
) -> bool:
    """Whether this is a full list that one of `issuers` signed, made by `at`, that speaks for `used_at`."""
    try:
        item = _load_crl(der)
        return any(
            _list_counts(item, parsed.certificate(one), used_at=used_at, at=at) for one in issuers
        )
    except (*_ERRORS, InputError):
        return False


def certificate_times(certificate: bytes) -> tuple[datetime, datetime]:
    """Start and end of validity, aware UTC.

    Raises:
        InputError: `trust.certificate`.
    """
    loaded = require_certificate(certificate)
    return loaded.not_valid_before.astimezone(UTC), loaded.not_valid_after.astimezone(UTC)


def require_certificate(der: bytes) -> Any:
    """Parse a certificate.

    Raises:
        InputError: `trust.certificate`.
    """
    try:
        loaded = parsed.certificate(der)
        # Parsing is lazy, so every field that is used is read once here; extensions are read where
        # they are judged, because real certificates carry odd ones.
        for part in ("serial_number", "issuer", "subject", "validity"):
            loaded["tbs_certificate"][part].native  # noqa: B018
        loaded.public_key.dump()
    except _ERRORS as exc:
        raise InputError("this is no certificate in DER", code="trust.certificate") from exc
    return loaded


def _validate(
    leaf: x509.Certificate,
    pool: list[x509.Certificate],
    anchors: list[x509.Certificate],
    *,
    at: datetime,
) -> Finding:
    self_signed = leaf.issuer.dump() == leaf.subject.dump()
    if self_signed and all(leaf.dump() != anchor.dump() for anchor in anchors):
        return _untrusted(leaf, pool)
    context = ValidationContext(
        trust_roots=anchors,
        other_certs=pool,
        moment=at,
        allow_fetching=False,
        revocation_mode="soft-fail",
        weak_hash_algos=set(WEAK_HASHES),
    )
    validator = CertificateValidator(leaf, intermediate_certs=pool, validation_context=context)
    try:
        path = finished(validator.async_validate_path())
    except PathBuildingError:
        return _untrusted(leaf, pool)
    except (ExpiredError, NotYetValidError):
        return _failed("out_of_validity", *_EXPIRED)
    except (PathValidationError, InvalidCertificateError, ValidationError):
        return _failed("path_invalid", *_PATH_INVALID)
    found = tuple(bytes(item.dump()) for item in reversed(list(path.iter_certs(include_root=True))))
    if found[0] != leaf.dump():
        # Whatever bears the name and the key of an anchor is the anchor to certvalidator, signed or not.
        return _untrusted(leaf, pool)
    return _trusted(found)


def _walked(
    leaf: x509.Certificate,
    pool: list[x509.Certificate],
    anchors: list[x509.Certificate],
    *,
    at: datetime,
) -> Finding:
    found = walk(leaf, pool, anchors, at=at, signed_by=_signed_by)
    if isinstance(found, tuple):
        return _trusted(found)
    if found == "untrusted_root":
        return _untrusted(leaf, pool)
    if found == "constraints":
        return _CONSTRAINED
    return _failed(found, *(_EXPIRED if found == "out_of_validity" else _PATH_INVALID))


def _trusted(path: tuple[bytes, ...]) -> Finding:
    return Finding(
        Verdict.PASSED,
        "ok",
        "the certificate leads to a trusted root",
        "证书可追溯到受信任的根证书",
        path=path,
        root=_common_name(parsed.certificate(path[-1])),
    )


def _untrusted(leaf: x509.Certificate, pool: Sequence[x509.Certificate]) -> Finding:
    root = _top_issuer(leaf, pool)
    return Finding(
        Verdict.INDETERMINATE,
        "untrusted_root",
        f"the certificate does not lead to a trusted root; it leads to: {root}",
        f"证书未能追溯到受信任的根证书；其上级为：{root}",
        root=root,
    )


def _has_rare_name(leaf: x509.Certificate) -> bool:
    """Whether asn1crypto cannot compare the holder's name.

    It prepares names with the tables of Unicode 3.2 (RFC 4518) and raises on every character that
    came later, so the names of people written with CJK extension B and up stop certvalidator.
    """
    try:
        leaf.subject.hashable  # noqa: B018 - raises where the name holds a newer character
    except ValueError:
        return True
    return False


def _validate_above(
    leaf: x509.Certificate,
    pool: list[x509.Certificate],
    anchors: list[x509.Certificate],
    *,
    at: datetime,
) -> Finding:
    """The last step to the leaf by our own rules, everything above it by certvalidator.

    Constraints that would have to be applied to the leaf's name make the result indeterminate.
    """
    authorities = [item for item in pool if item.ca]
    issuer = next((i for i in (*anchors, *authorities) if i.ca and _signed_by(leaf, i)), None)
    if issuer is None:
        return _untrusted(leaf, authorities)
    if any(issuer.dump() == anchor.dump() for anchor in anchors):
        above: tuple[bytes, ...] = (bytes(issuer.dump()),)
    else:
        finding = _validate(issuer, authorities, anchors, at=at)
        if finding.verdict is not Verdict.PASSED:
            return finding
        above = finding.path
    if not leaf.not_valid_before <= at <= leaf.not_valid_after:
        return _failed("out_of_validity", *_EXPIRED)
    usage = issuer.key_usage_value
    if usage is not None and "key_cert_sign" not in usage.native:
        return _failed("path_invalid", *_PATH_INVALID)
    if set(leaf.critical_extensions) - EXTENSIONS_KNOWN or leaf.hash_algo in WEAK_HASHES:
        return _failed("path_invalid", *_PATH_INVALID)
    chain = [parsed.certificate(der) for der in above]
    if any(item.name_constraints_value or item.policy_constraints_value for item in chain):
        return _CONSTRAINED
    return _trusted((bytes(leaf.dump()), *above))


def _leading_to(
    anchors: Sequence[x509.Certificate], pool: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Those of `pool` that a chain of signatures connects with an anchor, each once."""
    found: list[x509.Certificate] = []
    open_ones = list({one.dump(): one for one in pool}.values())
    issuers = list(anchors)
    while issuers:
        issuer = issuers.pop()
        led = [one for one in open_ones if _signed_by(one, issuer)]
        open_ones = [one for one in open_ones if one not in led]
        found += led
        issuers += [one for one in led if one.ca]
    return found


def _namesake(anchor: x509.Certificate, given: Sequence[x509.Certificate]) -> bool:
    """Whether the certificates bring a root of the same name with another key.

    An authority that renewed its root under its old name is another authority: a path that does not
    verify under the new one is not broken, it leads elsewhere.
    """
    return any(
        item.subject.dump() == anchor.subject.dump() == item.issuer.dump()
        and item.public_key.dump() != anchor.public_key.dump()
        and _signed_by(item, item)
        for item in given
    )


def _unfit(leaf: x509.Certificate, purpose: Purpose) -> str:
    """Why the certificate may not be used so; "" where it may."""
    usage = leaf.key_usage_value
    if usage is not None and not _SIGNING_USAGES & set(usage.native):
        return "keyUsage"
    extended = leaf.extended_key_usage_value
    if purpose is Purpose.TIME_STAMPING:
        critical = "extended_key_usage" in leaf.critical_extensions
        if extended is None or extended.native != ["time_stamping"] or not critical:
            return "extendedKeyUsage"
    elif extended is not None and set(extended.native) == {"time_stamping"}:
        return "extendedKeyUsage"
    return ""


def _revocation_of(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    lists: Sequence[_Loaded],
    *,
    used_at: datetime,
    at: datetime,
    harmless: bool,
) -> Finding:
    usable = [
        item
        for item, proven_at in lists
        if (proven_at is None or proven_at <= issuer.not_valid_after)
        and _list_counts(item, issuer, used_at=used_at, at=at)
    ]
    for item in usable:
        for entry in _entries_of(item, certificate):
            why = entry.crl_reason_value
            if harmless and why is not None and why.native in _HARMLESS:
                continue
            if entry["revocation_date"].native <= used_at:
                return _failed(
                    "revoked",
                    "the certificate was revoked before it was used",
                    "证书在使用之前已被吊销",
                )
    if any(_partly_revoked(item, certificate, issuer) for item, _proven_at in lists):
        return Finding(
            Verdict.INDETERMINATE,
            "partial_list",
            "a partial revocation list, of a kind that is not judged here, names the certificate",
            "一份此处不作判断的部分吊销列表列有该证书",
        )
    if not usable:
        return Finding(
            Verdict.INDETERMINATE,
            "no_list",
            "no usable revocation list of the issuer is at hand",
            "缺少颁发者的可用吊销列表",
        )
    return Finding(Verdict.PASSED, "ok", "not revoked when it was used", "使用时未被吊销")


def _partly_revoked(
    item: crl.CertificateList, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    """Whether a delta list or one for some reasons or holders names the certificate.

    Such lists are not combined here. They never clear a certificate, and one that names it is not
    passed over.
    """
    body = item["tbs_cert_list"]
    if not item.critical_extensions or body["issuer"].dump() != issuer.subject.dump():
        return False
    return any(not _takes_back(entry) for entry in _entries_of(item, certificate))


def _entries_of(item: crl.CertificateList, certificate: x509.Certificate) -> list[Any]:
    """The entries of a list that name the certificate's number."""
    found = []
    entries = item["tbs_cert_list"]["revoked_certificates"]
    for entry in entries if len(entries) else ():
        deadline.check()
        if entry["user_certificate"].native == certificate.serial_number:
            found.append(entry)
    return found


def _takes_back(entry: Any) -> bool:
    why = entry.crl_reason_value
    return why is not None and why.native == "remove_from_crl"


def _list_counts(
    item: crl.CertificateList, issuer: x509.Certificate, *, used_at: datetime, at: datetime
) -> bool:
    """A full list of this issuer, rightly signed, made by now, that speaks for the time of use."""
    body = item["tbs_cert_list"]
    if body["issuer"].dump() != issuer.subject.dump() or item.critical_extensions:
        return False
    return _speaks_for(item, used_at=used_at, at=at) and _signed_list(item, issuer)


def _signed_list(item: crl.CertificateList, issuer: x509.Certificate) -> bool:
    """Whether this very key signed the list, and may."""
    deadline.check()
    body, usage = item["tbs_cert_list"], issuer.key_usage_value
    if usage is not None and "crl_sign" not in usage.native:
        return False  # RFC 5280, 6.3.3 (f): this key may not sign lists
    # Names are compared as PKITS 4.3.10 wants it: in any string type.
    if body["issuer"].hashable != issuer.subject.hashable:
        return False
    if len(item.dump()) > parsed.KEPT_BYTES_MAX:
        return _list_verifies(item, issuer)
    return _list_verifies_by_bytes(bytes(item.dump()), bytes(issuer.dump()))


@functools.lru_cache(maxsize=SIGNED_LISTS_KEPT)
def _list_verifies_by_bytes(list_der: bytes, issuer_der: bytes) -> bool:
    return _list_verifies(parsed.revocation_list(list_der), parsed.certificate(issuer_der))


def _list_verifies(item: crl.CertificateList, issuer: x509.Certificate) -> bool:
    return _verifies(
        item["tbs_cert_list"].dump(),
        item["signature"].native,
        item["signature_algorithm"],
        issuer,
    )


def _speaks_for(item: crl.CertificateList, *, used_at: datetime, at: datetime) -> bool:
    """Whether it was made by now, and after the use or so shortly before that it still counted."""
    body = item["tbs_cert_list"]
    made, following = body["this_update"].native, body["next_update"].native
    if made > at:
        return False
    return bool(made >= used_at or (following is not None and following >= used_at))


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    deadline.check()
    return _signed_by_bytes(bytes(certificate.dump()), bytes(issuer.dump()))


@functools.lru_cache(maxsize=SIGNED_BY_KEPT)
def _signed_by_bytes(certificate_der: bytes, issuer_der: bytes) -> bool:
    """As `_signed_by`; the answer depends on these bytes alone, and the same authorities come again."""
    certificate, issuer = parsed.certificate(certificate_der), parsed.certificate(issuer_der)
    return certificate.issuer.dump() == issuer.subject.dump() and _verifies(
        certificate["tbs_certificate"].dump(),
        certificate["signature_value"].native,
        certificate["signature_algorithm"],
        issuer,
    )


def _verifies(data: bytes, signature: bytes, algorithm: Any, issuer: x509.Certificate) -> bool:
    try:
        name, hash_name, salt = signature_names(algorithm)
        verify_signature(
            data,
            signature=signature,
            spki=issuer.public_key.dump(),
            algorithm=name,
            hash_name=hash_name,
            salt_length=salt,
        )
    except VerificationError:
        return False
    return True


def _top_issuer(leaf: x509.Certificate, pool: Sequence[x509.Certificate]) -> str:
    """Name of the highest known issuer. A self-signed leaf may be a person and is not named."""
    top = leaf
    for _step in range(len(pool) + 1):
        above = [
            item for item in pool if item.subject.dump() == top.issuer.dump() != item.issuer.dump()
        ]
        if not above:
            break
        top = above[0]
    if top.issuer.dump() == leaf.subject.dump() and not leaf.ca:
        return f"self-signed certificate {hashlib.sha256(leaf.dump()).hexdigest()[:16]}"
    return _name_text(top.issuer)


def _common_name(certificate: x509.Certificate) -> str:
    return _name_text(certificate.subject)


def _name_text(name: x509.Name) -> str:
    native = name.native
    found = native.get("common_name") or native.get("organization_name") or name.human_friendly
    return str(found)[:120]


def _failed(reason: str, text_en: str, text_zh: str) -> Finding:
    return Finding(Verdict.FAILED, reason, text_en, text_zh)


def _to_text(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")


def _from_texts(value: Mapping[str, Json], key: str, *, limit: int) -> tuple[bytes, ...]:
    texts = value.get(key)
    if not isinstance(texts, list | tuple):
        raise InputError(f"{key} is not a list", code="trust.format", field=key)
    if len(texts) > limit:
        raise InputError(f"more than {limit} in {key}", code="trust.too_many", field=key)
    try:
        return tuple(base64.b64decode(str(text), validate=True) for text in texts)
    except ValueError as exc:
        raise InputError(f"{key} holds no base64", code="trust.format", field=key) from exc


def _load_crl(der: bytes) -> crl.CertificateList:
    if len(der) > CRL_BYTES_MAX:
        raise InputError("the revocation list is too large", code="trust.crl")
    try:
        loaded = parsed.revocation_list(der)
        loaded["tbs_cert_list"]["issuer"].native  # noqa: B018 - parsing is lazy
    except _ERRORS as exc:
        raise InputError("this is no revocation list in DER", code="trust.crl") from exc
    return loaded
