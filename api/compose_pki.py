"""Composition of the authorities: built-in ones in the home folder, or external ones by address."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.settings import Settings, is_sheltered
from ledger.core.errors import InputError, UnavailableError
from signing.authorities import BuiltInAuthorities, CertificateAuthority
from signing.ca import Addresses, BuiltInAuthority
from signing.keys.algorithms import SM2
from signing.keys.files import require_private_mode
from signing.providers.certificates import ExternalAuthority
from signing.providers.outside import Endpoint, Fallback
from signing.providers.revocation import ExternalOcsp
from signing.providers.timestamps import ExternalTimestampAuthority, TimestampAuthority
from signing.seal_maker import BuiltInSealMaker, ExternalSealMaker
from signing.seal_object import Maker
from signing.sm import require_sm2
from signing.tsa import BuiltInTimestampAuthority

CA_NAME: Final = "fuqi built-in CA"
NATIONAL_NAME: Final = "fuqi built-in CA (SM2)"
MAIN_LIST: Final = "/pki/ca.crl"
MAIN_ROOT: Final = "/pki/ca.crt"
NATIONAL_LIST: Final = "/pki/ca-sm2.crl"
NATIONAL_ROOT: Final = "/pki/ca-sm2.crt"
OCSP: Final = "/pki/ocsp"


def open_authority(settings: Settings, *, at: datetime) -> CertificateAuthority:
    """The external authority where one is set, else the built-in ones.

    Raises:
        InputError: `settings.invalid`, `outside.url`.
        ConflictError: `ca.damaged`, `keys.permissions`, `keys.damaged`.
    """
    if settings.ca_url is None:
        return open_built_in(settings.home.resolve(), public_url=settings.public_url, at=at)
    if settings.ca_token_file is None or settings.ca_roots is None:
        raise InputError(
            "FUQI_CA_URL needs FUQI_CA_TOKEN_FILE and FUQI_CA_ROOTS", code="settings.invalid"
        )
    if not is_sheltered(settings):
        raise InputError(
            "FUQI_CA_URL begins with https://, because its token goes with each request "
            "(http:// only with FUQI_OUTSIDE_PRIVATE)",
            code="settings.invalid",
        )
    return ExternalAuthority(
        Fallback(_endpoints(settings.ca_url, settings)),
        token=read_token(settings.ca_token_file),
        roots=_roots(settings.ca_roots),
    )


def open_built_in(home: Path, *, public_url: str, at: datetime) -> BuiltInAuthorities:
    """The authorities in `home`, made at first start; certificates name the addresses under `public_url`.

    Raises:
        ConflictError: `ca.damaged`, `keys.permissions`, `keys.damaged`.
    """
    base = public_url.rstrip("/")
    main = BuiltInAuthority.open_or_create(
        home / "ca",
        at=at,
        common_name=CA_NAME,
        addresses=Addresses(crl=base + MAIN_LIST, ocsp=base + OCSP, issuer=base + MAIN_ROOT),
    )
    try:
        require_sm2()
        national = BuiltInAuthority.open_or_create(
            home / "ca-sm2",
            at=at,
            common_name=NATIONAL_NAME,
            addresses=Addresses(
                crl=base + NATIONAL_LIST, ocsp=base + OCSP, issuer=base + NATIONAL_ROOT
            ),
            kind=SM2,
        )
    except UnavailableError:
        # Said again, with its code, to whoever sends an SM2 key.
        national = None
    return BuiltInAuthorities(main, national=national)


def open_seal_maker(
    settings: Settings, authority: CertificateAuthority, *, at: datetime
) -> Maker | None:
    """The maker of seals: the built-in one under the built-in authority, else the one in the settings, or none.

    Raises:
        ConflictError: `seal.maker_files`, `seal.maker_certificate`, `seal.maker_revoked`,
            `keys.permissions`, `keys.damaged`.
    """
    if isinstance(authority, BuiltInAuthorities):
        return BuiltInSealMaker(authority.main)
    if settings.seal_maker is None:
        return None
    # A revoked maker is to be seen at the start; an outage leaves no list, and each use looks again.
    authority.refresh(at=at)
    return ExternalSealMaker(
        settings.seal_maker,
        roots=authority.roots,
        at=at,
        lists=lambda moment: authority.crls(at=moment),
    )


def open_tsa(settings: Settings, *, at: datetime) -> TimestampAuthority:
    """The external time-stamp authorities where they are set, else the built-in one.

    Raises:
        InputError: `settings.invalid`, `outside.url`, `outside.endpoints`.
        ConflictError: `tsa.damaged`, `keys.permissions`, `keys.damaged`.
    """
    if not settings.tsa_urls.strip():
        return BuiltInTimestampAuthority.open_or_create(settings.home.resolve() / "tsa", at=at)
    if settings.tsa_roots is None:
        raise InputError("FUQI_TSA_URLS needs FUQI_TSA_ROOTS", code="settings.invalid")
    return ExternalTimestampAuthority(
        Fallback(_endpoints(settings.tsa_urls, settings)),
        roots=_roots(settings.tsa_roots),
        policy=settings.tsa_policy,
    )


def open_ocsp(settings: Settings) -> ExternalOcsp | None:
    """The OCSP responders of an external authority, where they are set.

    Raises:
        InputError: `outside.url`, `outside.endpoints`.
    """
    if not settings.ocsp_urls.strip():
        return None
    return ExternalOcsp(Fallback(_endpoints(settings.ocsp_urls, settings)))


def read_token(path: Path) -> str:
    """The bearer token in a file that only its owner may read.

    Raises:
        InputError: `settings.invalid`.
        ConflictError: `keys.permissions`.
    """
    try:
        require_private_mode(path)
        token = path.read_text("ascii").strip()
    except (OSError, ValueError) as exc:
        raise InputError(f"the token in {path} cannot be read", code="settings.invalid") from exc
    if not token or not token.isprintable():
        raise InputError(f"there is no token in {path}", code="settings.invalid")
    return token


def _endpoints(urls: str, settings: Settings) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(url, allow_private=settings.outside_private) for url in urls.split())


def _roots(path: Path) -> tuple[bytes, ...]:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise InputError(f"{path} holds no certificates in PEM", code="settings.invalid") from exc
    return tuple(one.public_bytes(Encoding.DER) for one in found)
