"""Makers of seals: whoever signs seal objects, and nothing else.

The built-in one is a delegate of the built-in authority; folder (inside the authority's): `seal-maker.pem`,
`seal-maker.der`. A certificate near its end is replaced by itself, for the same key. Under an authority from
outside the same two files lie in a folder that the settings name: the key is made there, and that authority's
operator certifies it; `seal-maker-chain.pem` holds the authorities that stand between it and the root. Either
key is the operator's, as an authority's is: it is no party's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ledger.core.errors import ConflictError, UnavailableError
from ledger.core.report import Verdict
from signing.ca import BuiltInAuthority
from signing.keys.algorithms import KeyKind
from signing.keys.files import create_folder, load_private, private_pem, replace, write_once
from signing.keys.issuing import IssuerKey, key_identifier, load_issuer, new_issuer_key
from signing.keys.roots import authority_name, key_usage, new_serial
from signing.seal_object import CHAIN_MAX, OID_SEAL_MAKER
from signing.trust import (
    Purpose,
    RevocationList,
    certificate_times,
    check_path,
    check_revocation,
)

LABEL_EN: Final = "built-in seal maker: not a licensed or certified one"
LABEL_ZH: Final = "内置制章者：并非依法备案或认证的制章单位"
MAKER_DAYS: Final = 730
RENEW_DAYS: Final = 60
FOLDER: Final = "seal-maker"
NAME: Final = "seal-maker"
CHAIN_FILE: Final = f"{NAME}-chain.pem"
CHAIN_BYTES_MAX: Final = 64 * 1024
"""Of that file: `CHAIN_MAX` certificates and a root, 2 to 4 kB each in PEM, with room for remarks."""
REQUEST_NAME: Final = "fuqi seal maker"


class BuiltInSealMaker:
    """Signs seals with a key whose certificate the built-in authority issued for that alone."""

    label_en: Final = LABEL_EN
    label_zh: Final = LABEL_ZH

    def __init__(self, authority: BuiltInAuthority) -> None:
        """A maker under this authority; its key is made when it is first needed."""
        self._authority = authority
        self._held: tuple[IssuerKey, x509.Certificate] | None = None
        self._lock = threading.Lock()

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Nobody stands between it and the root."""
        return ()

    @property
    def kind(self) -> KeyKind:
        """Kind of its key: that of the authority."""
        return self._authority.kind

    def certificate_der(self, *, at: datetime) -> bytes:
        """Its certificate at `at`."""
        return self._usable(at)[1].public_bytes(Encoding.DER)

    def sign(self, data: bytes, *, at: datetime) -> bytes:
        """DER signature with the key that `certificate_der` names."""
        return self._usable(at)[0].sign(data)

    def _usable(self, at: datetime) -> tuple[IssuerKey, x509.Certificate]:
        with self._lock:
            folder = self._authority.folder / FOLDER
            held = self._held
            if held is None and (folder / f"{NAME}.der").exists():
                held = load_issuer(folder, name=NAME, code="ca.damaged")
            if held is None:
                held = self._first(at)
            elif at + timedelta(days=RENEW_DAYS) > held[1].not_valid_after_utc:
                certificate = self._certify(held[0], at)
                replace(folder / f"{NAME}.der", certificate.public_bytes(Encoding.DER))
                held = (held[0], certificate)
            self._held = held
            return held

    def _first(self, at: datetime) -> tuple[IssuerKey, x509.Certificate]:
        key = new_issuer_key(self._authority.kind)
        certificate = self._certify(key, at)
        folder = self._authority.folder / FOLDER
        made = create_folder(
            folder,
            {
                f"{NAME}.pem": key.private_pem(),
                f"{NAME}.der": certificate.public_bytes(Encoding.DER),
            },
            folders=(),
        )
        # Another process was first: its key counts, ours is forgotten.
        return (key, certificate) if made else load_issuer(folder, name=NAME, code="ca.damaged")

    def _certify(self, key: IssuerKey, at: datetime) -> x509.Certificate:
        return certify_maker(self._authority, key.public_spki, at=at)


class ExternalSealMaker:
    """Signs seals with a key in a folder of ours that an authority from outside certified."""

    def __init__(
        self,
        folder: Path,
        *,
        roots: Sequence[bytes],
        at: datetime,
        lists: Callable[[datetime], Sequence[bytes]] = lambda _at: (),
    ) -> None:
        """Open the folder.

        Args:
            roots: of the authority, DER; the maker's certificate leads to one of them, by the authorities in
                `seal-maker-chain.pem` where it is not issued directly under it.
            lists: the authority's revocation lists at hand at a moment, DER. Asked now and at each use; while
                there are none the maker works, and every verifier judges its seals by the lists of its own.

        Raises:
            ConflictError: `seal.maker_files`, `seal.maker_certificate`, `seal.maker_revoked`,
                `keys.permissions`, `keys.damaged`.
            UnavailableError: `sm2.unavailable`, `sm2.self_test`.
        """
        self._key, self._certificate = load_issuer(folder, name=NAME, code="seal.maker_files")
        der = self._certificate.public_bytes(Encoding.DER)
        usage = asn1_x509.Certificate.load(der).extended_key_usage_value
        others = _chain_in(folder)
        finding = check_path(der, others=others, roots=roots, at=at, purpose=Purpose.SIGNING)
        if (
            usage is None
            or [one.dotted for one in usage] != [OID_SEAL_MAKER]
            or finding.verdict is not Verdict.PASSED
            or len(finding.path) > CHAIN_MAX + 2
        ):
            raise ConflictError(
                "the certificate of the maker of seals is not made out for seals, does not lead to a root in "
                f"FUQI_CA_ROOTS by the authorities in {CHAIN_FILE} (at most {CHAIN_MAX}), or is not valid now: "
                "write the authorities between into that file, or have the key certified anew",
                code="seal.maker_certificate",
                reason=finding.reason,
            )
        self._path, self._lists = finding.path, lists
        self._ends = min(certificate_times(one)[1] for one in finding.path)
        self._require_unrevoked(at)

    @property
    def kind(self) -> KeyKind:
        """Kind of its key."""
        return self._key.kind

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Authorities between it and the root, lowest first."""
        return self._path[1:-1]

    def certificate_der(self, *, at: datetime) -> bytes:
        """Its certificate.

        Raises:
            UnavailableError: `seal.maker_ended`.  ConflictError: `seal.maker_revoked`.
        """
        self._require_unrevoked(at)
        if at >= self._ends:
            raise UnavailableError(
                "the certificate of the maker of seals, or of an authority above it, has ended: the operator "
                "has its key certified anew",
                code="seal.maker_ended",
            )
        return self._certificate.public_bytes(Encoding.DER)

    def sign(self, data: bytes, *, at: datetime) -> bytes:
        """DER signature with the key that `certificate_der` names."""
        del at
        return self._key.sign(data)

    def _require_unrevoked(self, at: datetime) -> None:
        """Refuse a path of which a list at hand names a part; a seal made under it would fail everywhere."""
        lists = [RevocationList(der) for der in self._lists(at)]
        finding = check_revocation(self._path, lists=lists, used_at=at, at=at)
        if finding.verdict is Verdict.FAILED:
            raise ConflictError(
                "the certificate of the maker of seals, or of an authority above it, was revoked: make a new "
                "key (fuqi ca seal-request), have it certified and name its folder in FUQI_SEAL_MAKER; sign "
                "without a seal meanwhile",
                code="seal.maker_revoked",
                reason=finding.reason,
            )


def _chain_in(folder: Path) -> tuple[bytes, ...]:
    """Certificates of the authorities between, DER; none without the file.

    Raises:
        ConflictError: `seal.maker_files`.
    """
    try:
        data = (folder / CHAIN_FILE).read_bytes()
        found = x509.load_pem_x509_certificates(data) if len(data) <= CHAIN_BYTES_MAX else []
    except FileNotFoundError:
        return ()
    except (OSError, ValueError):
        found = []
    # The root may stand in the file, as authorities hand chains out.
    if not 1 <= len(found) <= CHAIN_MAX + 1:
        raise ConflictError(
            f"{CHAIN_FILE} in the folder of the maker of seals is not 1 to {CHAIN_MAX} certificates in PEM "
            "(and perhaps the root): write the authorities between maker and root into it, or remove it",
            code="seal.maker_files",
        )
    return tuple(one.public_bytes(Encoding.DER) for one in found)


def request_maker(folder: Path) -> bytes:
    """The certificate request (PKCS#10, DER) for the key in `folder`, which is made where there is none.

    Raises:
        ConflictError: `keys.permissions`, `keys.damaged`.
    """
    path = folder / f"{NAME}.pem"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        write_once(path, private_pem(key))
    held = load_private(path)
    name = authority_name(REQUEST_NAME, units=())
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(held, hashes.SHA256()).public_bytes(Encoding.DER)


def certify_maker(
    authority: BuiltInAuthority, public_spki: bytes, *, at: datetime
) -> x509.Certificate:
    """The certificate of a maker of seals under the built-in authority.

    Raises:
        UnavailableError: `sm2.unavailable`, `sm2.self_test`.
    """
    start = at.astimezone(UTC).replace(microsecond=0)
    end = min(start + timedelta(days=MAKER_DAYS), authority.certificate.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(authority_name("fuqi built-in seal maker", units=(LABEL_EN, LABEL_ZH)))
        .serial_number(new_serial())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.ObjectIdentifier(OID_SEAL_MAKER)]), critical=True
        )
        .add_extension(key_identifier(public_spki), critical=False)
    )
    return authority.delegate(builder, public_spki=public_spki)
