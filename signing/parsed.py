"""Certificates and revocation lists that are needed again and again, parsed once in each thread.

asn1crypto parses lazily and prepares names with effort: the roots and the lists of an installation
would be taken apart anew for every signature of every file. Each thread keeps its own objects, because
lazy parsing is not safe between threads. Nothing here is a judgement.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from asn1crypto import crl, x509

ASN1_ERRORS: Final = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError),
    RecursionError,
)
"""Whatever asn1crypto raises on hostile bytes: values of a tag that it has no class for lack attributes,
and nested ones exhaust the stack."""
KEPT_MAX: Final = 256
"""Objects per thread and kind: the authorities of an installation and the signers of recent files."""
KEPT_BYTES_MAX: Final = 64 * 1024
"""Larger ones are parsed each time, so that one thread keeps 16 MB at most of each kind."""


class _Kept(threading.local):
    def __init__(self) -> None:
        self.certificates: OrderedDict[bytes, Any] = OrderedDict()
        self.lists: OrderedDict[bytes, Any] = OrderedDict()


_KEPT: Final = _Kept()


def certificate(der: bytes) -> x509.Certificate:
    """The certificate, as `x509.Certificate.load` with `strict`; whatever asn1crypto raises passes."""
    return _parsed(_KEPT.certificates, der, lambda data: x509.Certificate.load(data, strict=True))


def revocation_list(der: bytes) -> crl.CertificateList:
    """The list, as `crl.CertificateList.load` with `strict`."""
    return _parsed(_KEPT.lists, der, lambda data: crl.CertificateList.load(data, strict=True))


def _parsed(kept: OrderedDict[bytes, Any], der: bytes, load: Callable[[bytes], Any]) -> Any:
    found = kept.get(der)
    if found is not None:
        kept.move_to_end(der)
        return found
    loaded = load(der)
    if len(der) <= KEPT_BYTES_MAX:
        kept[der] = loaded
        if len(kept) > KEPT_MAX:
            kept.popitem(last=False)
    return loaded
