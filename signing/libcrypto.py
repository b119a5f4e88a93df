"""The few functions of the system's libcrypto that SM2 needs, through ctypes. Only `signing.sm` uses it.

`cryptography` brings its own OpenSSL, built without an SM2 interface; the library that CPython's own
`_ssl` links has one. Nothing is loaded on import.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_ubyte, c_ulong, c_void_p
from typing import Any, Final

from ledger.core.errors import UnavailableError

VERSION_MIN: Final = 0x3000_0000
"""SM2 with an identity goes through EVP from OpenSSL 3.0 on."""
NAMES: Final = ("libcrypto.so.3", "libcrypto.so.4", "libcrypto.3.dylib", "libcrypto-3-x64.dll")

_BYTES: Final = POINTER(c_ubyte)
_PROTOTYPES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "ERR_clear_error": (None, ()),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_PKEY_CTX_new": (c_void_p, (c_void_p, c_void_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_CTX_set1_id": (c_int, (c_void_p, c_char_p, c_int)),
    "EVP_PKEY_keygen_init": (c_int, (c_void_p,)),
    "EVP_PKEY_generate": (c_int, (c_void_p, POINTER(c_void_p))),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_is_a": (c_int, (c_void_p, c_char_p)),
    "EVP_PKEY2PKCS8": (c_void_p, (c_void_p,)),
    "PKCS8_PRIV_KEY_INFO_free": (None, (c_void_p,)),
    "i2d_PKCS8_PRIV_KEY_INFO": (c_int, (c_void_p, POINTER(_BYTES))),
    "d2i_AutoPrivateKey": (c_void_p, (c_void_p, POINTER(c_char_p), c_long)),
    "d2i_PUBKEY": (c_void_p, (c_void_p, POINTER(c_char_p), c_long)),
    "i2d_PUBKEY": (c_int, (c_void_p, POINTER(_BYTES))),
    "CRYPTO_free": (None, (c_void_p, c_char_p, c_int)),
    "EVP_sm3": (c_void_p, ()),
    "EVP_MD_CTX_new": (c_void_p, ()),
    "EVP_MD_CTX_free": (None, (c_void_p,)),
    "EVP_MD_CTX_set_pkey_ctx": (None, (c_void_p, c_void_p)),
    "EVP_DigestSignInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestSign": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "EVP_DigestVerifyInit": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)),
    "EVP_DigestVerify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "d2i_PKCS12": (c_void_p, (c_void_p, POINTER(c_char_p), c_long)),
    "i2d_PKCS12": (c_int, (c_void_p, POINTER(_BYTES))),
    "PKCS12_free": (None, (c_void_p,)),
    "PKCS12_parse": (
        c_int,
        (c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_void_p), POINTER(c_void_p)),
    ),
    "PKCS12_create": (
        c_void_p,
        (c_char_p, c_char_p, *((c_void_p,) * 3), *((c_int,) * 5)),
    ),
    "d2i_X509": (c_void_p, (c_void_p, POINTER(c_char_p), c_long)),
    "i2d_X509": (c_int, (c_void_p, POINTER(_BYTES))),
    "X509_free": (None, (c_void_p,)),
    "OPENSSL_sk_new_null": (c_void_p, ()),
    "OPENSSL_sk_push": (c_int, (c_void_p, c_void_p)),
    "OPENSSL_sk_num": (c_int, (c_void_p,)),
    "OPENSSL_sk_value": (c_void_p, (c_void_p, c_int)),
    "OPENSSL_sk_free": (None, (c_void_p,)),
}


@functools.cache
def load() -> ctypes.CDLL:
    """The library with the prototypes set; looked for once.

    Raises:
        UnavailableError: `sm2.unavailable`: none is found, or one without what is needed.
    """
    for name in (*NAMES, ctypes.util.find_library("crypto")):
        if name is None:
            continue
        try:
            library = ctypes.CDLL(name)
            library.OpenSSL_version_num.restype = c_ulong
            if library.OpenSSL_version_num() < VERSION_MIN:
                continue
            for function, (result, arguments) in _PROTOTYPES.items():
                found = getattr(library, function)
                found.restype, found.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return library
    raise UnavailableError(
        "SM2 is unavailable: no libcrypto of OpenSSL 3 or newer with SM2 is installed "
        "(Debian: apt-get install libssl3)",
        code="sm2.unavailable",
    )


def encoded(function: Any, value: object) -> bytes:
    """What an `i2d_…` function writes for `value`; b"" where it fails."""
    library = load()
    place = _BYTES()
    length = function(value, byref(place))
    if length <= 0:
        library.ERR_clear_error()
        return b""
    try:
        return ctypes.string_at(place, length)
    finally:
        library.CRYPTO_free(place, None, 0)


def decoded(function: Any, data: bytes) -> int | None:
    """The pointer that a `d2i_…` function makes of all of `data`, or None; the caller frees it."""
    place = c_char_p(data)
    # The library moves the pointer that it is given; how far is seen by encoding the value again.
    pointer: int | None = function(None, byref(place), len(data))
    if not pointer:
        load().ERR_clear_error()
        return None
    return pointer
