"""Certificate paths in the national algorithms: the rules of RFC 5280 that our chains need, by hand.

certvalidator knows no SM2. What is read here: names, signatures, validity, basic constraints with path
length, key usage, unknown critical extensions. A path with name or policy constraints is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from asn1crypto import x509

from signing.sm import OID_SM2_SIGN, OID_SM2_SM3, is_sm2_spki

DEPTH_MAX: Final = 6
"""Root, two intermediates and a leaf are usual; more is a loop or an attack."""
EXTENSIONS_KNOWN: Final = frozenset(
    {"key_usage", "extended_key_usage", "basic_constraints", "certificate_policies"}
)
"""Critical extensions that are read; any other one is refused (RFC 5280, 4.2)."""

SignedBy = Callable[[x509.Certificate, x509.Certificate], bool]


def is_national(certificate: x509.Certificate) -> bool:
    """Whether a certificate's key or its issuer's signature is SM2."""
    algorithm = str(certificate["signature_algorithm"]["algorithm"].dotted)
    return algorithm in {OID_SM2_SM3, OID_SM2_SIGN} or is_sm2_spki(certificate.public_key.dump())


def walk(
    leaf: x509.Certificate,
    pool: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    *,
    at: datetime,
    signed_by: SignedBy,
) -> tuple[bytes, ...] | str:
    """The path (leaf first, root last), or why there is none.

    Returns:
        The certificates; or `untrusted_root`, `out_of_validity`, `path_invalid`, `constraints`.
    """
    path = [leaf]
    for _step in range(DEPTH_MAX):
        current = path[-1]
        if any(current.dump() == anchor.dump() for anchor in anchors):
            return _judged(path, at=at)
        above = [*anchors, *pool]
        issuer = next(
            (
                one
                for one in above
                if all(one.dump() != seen.dump() for seen in path) and signed_by(current, one)
            ),
            None,
        )
        if issuer is None:
            return "untrusted_root"
        path.append(issuer)
    return "untrusted_root"


def _judged(path: Sequence[x509.Certificate], *, at: datetime) -> tuple[bytes, ...] | str:
    # A root is trusted by itself; its own end counts all the same, as certvalidator has it.
    if any(not one.not_valid_before <= at <= one.not_valid_after for one in path):
        return "out_of_validity"
    for depth, one in enumerate(path):
        if set(one.critical_extensions) - EXTENSIONS_KNOWN:
            return "path_invalid"
        if one.name_constraints_value or one.policy_constraints_value:
            return "constraints"
        if depth and not _may_issue(one, below=depth - 1):
            return "path_invalid"
    return tuple(bytes(one.dump()) for one in path)


def _may_issue(certificate: x509.Certificate, *, below: int) -> bool:
    """Whether it is an authority with room for `below` further authorities under it."""
    constraints, usage = certificate.basic_constraints_value, certificate.key_usage_value
    if constraints is None or not constraints["ca"].native:
        return False
    if usage is not None and "key_cert_sign" not in usage.native:
        return False
    length = constraints["path_len_constraint"].native
    return length is None or below <= int(length)
