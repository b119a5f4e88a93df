"""Revocation by the whole of RFC 5280, 6.3: lists for some reasons or holders, indirect and delta lists.

`signing.trust` judges full lists of the issuer itself by a few plain rules, and nearly every file needs no
more. What those leave open is judged here by certvalidator, which combines lists, finds the certificate
behind a list of another issuer and judges that one, too. Only what it finds good counts: this module turns
an open question into a pass, and nothing into a failure.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, Final

from asn1crypto import crl, x509
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.validate import async_validate_path

from signing import deadline

LISTS_MAX: Final = 40
"""Lists judged together: each is held against each certificate of the path and of the lists' issuers."""
OTHERS_MAX: Final = 20
"""Certificates among which those of list issuers are looked for."""
ENTRIES_MAX: Final = 200_000
"""Entries of all of them; certvalidator reads them one by one."""

# It logs what it finds odd, and quotes names; names do not belong into logs.
logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL)


def not_revoked_by_rules(
    path: Sequence[x509.Certificate],
    *,
    lists: Sequence[crl.CertificateList],
    others: Sequence[x509.Certificate],
    used_at: datetime,
    weak_hashes: frozenset[str],
) -> bool:
    """Whether the lists together clear every certificate of `path` at `used_at`.

    Args:
        path: leaf first, root last; valid in itself (`signing.trust.check_path`).
        lists: already known to speak for `used_at` and not to come from the future.
        others: certificates among which those of other list issuers are looked for.
    """
    sound = [item for item in lists if _hash_of(item) not in weak_hashes]
    entries = sum(len(item["tbs_cert_list"]["revoked_certificates"]) for item in sound)
    if len(path) < 2 or not sound or len(sound) > LISTS_MAX:
        return False
    if entries > ENTRIES_MAX or len(others) > OTHERS_MAX:
        return False
    deadline.check()
    context = ValidationContext(
        trust_roots=[path[-1]],
        other_certs=[*path[:-1], *others],
        moment=used_at,
        allow_fetching=False,
        crls=sound,
        revocation_mode="require",
        # A list made after the use speaks for it, too: what is revoked stays in it.
        retroactive_revinfo=True,
        weak_hash_algos=set(weak_hashes),
    )
    whole = ValidationPath(CertTrustAnchor(path[-1]), list(reversed(path[1:-1])), path[0])
    try:
        finished(async_validate_path(context, whole))
    except ValidationError:
        return False
    return True


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing: nothing is fetched, so no loop is needed.

    Raises:
        ValidationError: of certvalidator; also where it wanted to wait.
    """
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    work.close()
    raise ValidationError("path validation wanted to wait for something")


def _hash_of(item: crl.CertificateList) -> str:
    try:
        return str(item["signature_algorithm"].hash_algo)
    except ValueError:  # an algorithm that needs none, or one that is not known
        return ""
