"""Seal objects: who made the seal, for which certificate, put on which file under which authorisation.

Shaped like the seal and signature data of GB/T 38540-2020 (SESeal, TBS_Sign); the standard's text was not at
hand, the shapes are those of public implementations, and nothing here is certified. Two things are ours:
    - the TBS_Sign stands in the signature dictionary (`/FUQI_Seal`), inside the byte range, so that the PDF's
      own signature value is the signature over it; a SES_Signature has a value of its own instead.
    - the seal is made out for one certificate each time it is used: its maker confirms by that signature that
      the seal was enabled and its user charged at that moment.

Signed by the maker: the DER of eSealInfo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from asn1crypto import core, x509

from ledger.core.canonical import Json, canonical_bytes, canonical_parse, sha256
from ledger.core.errors import InputError, VerificationError
from signing.cms import verify_signature
from signing.keys.algorithms import KeyKind, kind_of
from signing.keys.roots import OID_ARC
from signing.parsed import ASN1_ERRORS
from signing.seals import Picture

HEADER: Final = "ES"
VERSION: Final = 4
"""Of the data format: that of GB/T 38540-2020."""
MAKER_ID: Final = "FUQI"
OID_SEAL_MAKER: Final = f"{OID_ARC}.3.1"
"""Extended key usage of a maker's certificate: no signer's certificate carries it."""
OID_BINDING: Final = f"{OID_ARC}.3.2"
"""Extension of TBS_Sign: canonical JSON of `Binding`."""
OID_MAKER_CHAIN: Final = f"{OID_ARC}.3.3"
"""Extension of TBS_Sign: the authorities between the maker and its root, lowest first, without the root."""
CHAIN_MAX: Final = 3
"""Authorities between; a national root, a licensed authority and its line for seals are usual."""
BINDING_FORMAT: Final = "fuqi/seal-binding/v1"
OBJECT_BYTES_MAX: Final = 512 * 1024
"""A seal of 60 mm has a picture of about 50 kB."""
TYPES: Final = {"organisation": 1, "contract": 2, "legal_representative": 3}
"""`property.type`. The standard leaves the numbers to its users."""
_BY_CERTIFICATE_DIGEST: Final = 2
_DIGEST: Final = "SHA256"


class _Header(core.Sequence):  # type: ignore[misc]
    _fields = [("id", core.IA5String), ("version", core.Integer), ("vid", core.IA5String)]  # noqa: RUF012


class _CertificateDigest(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.PrintableString), ("value", core.OctetString)]  # noqa: RUF012


class _CertificateDigests(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _CertificateDigest


class _Property(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("type", core.Integer),
        ("name", core.UTF8String),
        ("cert_list_type", core.Integer),
        ("cert_list", _CertificateDigests),
        ("create_date", core.GeneralizedTime),
        ("valid_start", core.GeneralizedTime),
        ("valid_end", core.GeneralizedTime),
    ]


class _Picture(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("type", core.IA5String),
        ("data", core.OctetString),
        ("width", core.Integer),
        ("height", core.Integer),
    ]


class _Extension(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("extn_id", core.ObjectIdentifier),
        ("critical", core.Boolean, {"default": False}),
        ("extn_value", core.OctetString),
    ]


class _Extensions(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Extension


class _SealInfo(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("header", _Header),
        ("es_id", core.IA5String),
        ("property", _Property),
        ("picture", _Picture),
        ("ext_datas", _Extensions, {"explicit": 0, "optional": True}),
    ]


class _Seal(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("e_seal_info", _SealInfo),
        ("cert", core.OctetString),
        ("sign_alg_id", core.ObjectIdentifier),
        ("signed_value", core.OctetBitString),
    ]


class _Chain(core.SequenceOf):  # type: ignore[misc]
    """Certificates as `cert` of the seal holds one: DER in an octet string."""

    _child_spec = core.OctetString


class _ToSign(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("version", core.Integer),
        ("e_seal", _Seal),
        ("time_info", core.GeneralizedTime),
        ("data_hash", core.OctetBitString),
        ("property_info", core.IA5String),
        ("ext_datas", _Extensions, {"explicit": 0, "optional": True}),
    ]


class Maker(Protocol):
    """Signs seals; its certificate carries `OID_SEAL_MAKER` and leads to a root that verifiers pin."""

    @property
    def kind(self) -> KeyKind:
        """Kind of its key."""

    def certificate_der(self, *, at: datetime) -> bytes:
        """Its certificate."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Authorities between it and the root, DER, lowest first; at most `CHAIN_MAX`."""

    def sign(self, data: bytes, *, at: datetime) -> bytes:
        """DER signature as its kind signs."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What ties one use of a seal to the record of it; ids and digests only.

    Attributes:
        field: the signature field.
        base_size, base_sha256: the file that the seal was put on, which the signed file begins with.
        authorisation_sha256: of the canonical JSON of the authorisation as it stood then.
        edge: whether the seal also runs across the edges of all pages.
    """

    seal: str
    kind: str
    source: str
    agreement: str
    signer: str
    organisation: str
    person: str
    authorisation: str
    authorisation_sha256: str
    field: str
    base_size: int
    base_sha256: str
    edge: bool

    def as_json(self) -> dict[str, Json]:
        """The binding as it is signed."""
        return {
            "v": BINDING_FORMAT,
            **{name: getattr(self, name) for name in Binding.__dataclass_fields__},
        }


@dataclass(frozen=True, slots=True)
class SealObject:
    """A seal object taken apart; `check_seal_object` says what it is worth.

    Attributes:
        info: DER of eSealInfo, which the maker signed.
        certificate_digests: SHA-256 of the certificates that may use the seal.
        made_at, valid_from, valid_to, used_at: aware UTC, whole seconds.
        maker, chain: the maker's certificate and the authorities between it and its root, DER.
    """

    seal: str
    type: int
    name: str
    certificate_digests: tuple[bytes, ...]
    made_at: datetime
    valid_from: datetime
    valid_to: datetime
    used_at: datetime
    picture: Picture
    info: bytes
    maker: bytes
    chain: tuple[bytes, ...]
    algorithm: str
    maker_signature: bytes
    base_sha256: bytes
    property_info: str
    binding: Binding


def make_seal_object(
    binding: Binding,
    *,
    name: str,
    picture: Picture,
    period: tuple[datetime, datetime],
    certificate: bytes,
    maker: Maker,
    at: datetime,
) -> bytes:
    """DER of TBS_Sign around a seal that the maker signs now for this certificate.

    Args:
        certificate: DER of whoever uses the seal.
        period: from and to which the seal is valid.
    """
    moment = at.replace(microsecond=0)
    info = _SealInfo(
        {
            "header": {"id": HEADER, "version": VERSION, "vid": MAKER_ID},
            "es_id": binding.seal,
            "property": {
                "type": TYPES[binding.kind],
                "name": name,
                "cert_list_type": _BY_CERTIFICATE_DIGEST,
                "cert_list": [{"type": _DIGEST, "value": sha256(certificate)}],
                "create_date": moment,
                "valid_start": period[0].replace(microsecond=0),
                "valid_end": period[1].replace(microsecond=0),
            },
            "picture": {
                "type": "PNG",
                "data": picture.png,
                "width": picture.width_mm,
                "height": picture.height_mm,
            },
        }
    )
    seal = {
        "e_seal_info": info,
        "cert": maker.certificate_der(at=at),
        "sign_alg_id": maker.kind.signature_oid,
        "signed_value": maker.sign(info.dump(), at=at),
    }
    to_sign = _ToSign(
        {
            "version": VERSION,
            "e_seal": seal,
            "time_info": moment,
            "data_hash": bytes.fromhex(binding.base_sha256),
            "property_info": binding.field,
            "ext_datas": _extensions(binding, maker.chain),
        }
    )
    return bytes(to_sign.dump())


def read_seal_object(der: bytes) -> SealObject:
    """Take a seal object apart. Anything that is not exactly our shape, in DER, is refused.

    Raises:
        VerificationError: `seal.object_malformed`.
    """
    try:
        if len(der) > OBJECT_BYTES_MAX:
            raise ValueError("too large")
        to_sign = _ToSign.load(der, strict=True)
        seal, extensions = to_sign["e_seal"], to_sign["ext_datas"]
        info = seal["e_seal_info"]
        prop, picture, header = info["property"], info["picture"], info["header"]
        if (
            header["id"].native != HEADER
            or header["version"].native != VERSION
            or to_sign["version"].native != VERSION
            or prop["cert_list_type"].native != _BY_CERTIFICATE_DIGEST
            or any(one["type"].native != _DIGEST for one in prop["cert_list"])
            or picture["type"].native != "PNG"
            or not isinstance(info["ext_datas"], core.Void)
            or [one["extn_id"].dotted for one in extensions]
            not in ([OID_BINDING], [OID_BINDING, OID_MAKER_CHAIN])
        ):
            raise ValueError("shape")
        binding = _binding(bytes(extensions[0]["extn_value"].native))
        found = SealObject(
            seal=str(info["es_id"].native),
            type=int(prop["type"].native),
            name=str(prop["name"].native),
            certificate_digests=tuple(bytes(one["value"].native) for one in prop["cert_list"]),
            made_at=prop["create_date"].native,
            valid_from=prop["valid_start"].native,
            valid_to=prop["valid_end"].native,
            used_at=to_sign["time_info"].native,
            picture=Picture(
                bytes(picture["data"].native),
                int(picture["width"].native),
                int(picture["height"].native),
            ),
            info=bytes(info.dump()),
            maker=bytes(seal["cert"].native),
            chain=_chain(extensions),
            algorithm=str(seal["sign_alg_id"].dotted),
            maker_signature=bytes(seal["signed_value"].native),
            base_sha256=bytes(to_sign["data_hash"].native),
            property_info=str(to_sign["property_info"].native),
            binding=binding,
        )
        # Every part is written anew: what a lenient parser passes over must not hide other bytes.
        if _rebuilt(found, seal, to_sign) != der:
            raise ValueError("not DER")
    except (*ASN1_ERRORS, InputError, VerificationError) as exc:
        raise VerificationError(
            "this is no seal object of a version we know", code="seal.object_malformed"
        ) from exc
    return found


def check_seal_object(found: SealObject, *, certificate: bytes, field: str, base: bytes) -> None:
    """Prove that the maker signed this seal for this certificate and that it was put on this file.

    The maker's own certificate is not judged here: see `signing.validate_seals`.

    Args:
        certificate: DER of the signer of the PDF signature that covers the object.
        field: the signature field.
        base: the file before the signed revision; only its first `base_size` bytes are looked at.

    Raises:
        VerificationError: `seal.maker_signature`, `seal.not_a_maker`, `seal.other_certificate`,
            `seal.outside_period`, `seal.other_file`, `seal.other_field`, `seal.binding`.
    """
    _require_maker(found)
    if sha256(certificate) not in found.certificate_digests:
        raise VerificationError(
            "the seal was made for another certificate", code="seal.other_certificate"
        )
    if not (found.valid_from <= found.used_at < found.valid_to and found.made_at <= found.used_at):
        raise VerificationError("the seal was used outside its period", code="seal.outside_period")
    bound = found.binding
    if (
        bound.seal != found.seal
        or TYPES.get(bound.kind) != found.type
        or bound.base_sha256 != found.base_sha256.hex()
        or bound.field != found.property_info
    ):
        raise VerificationError("the seal object contradicts itself", code="seal.binding")
    if bound.field != field:
        raise VerificationError(
            "the seal was put into another signature field", code="seal.other_field"
        )
    if bound.base_size > len(base) or sha256(base[: bound.base_size]) != found.base_sha256:
        raise VerificationError("the seal was put on another file", code="seal.other_file")


def _require_maker(found: SealObject) -> None:
    try:
        maker = x509.Certificate.load(found.maker, strict=True)
        usage = maker.extended_key_usage_value
        if usage is None or [one.dotted for one in usage] != [OID_SEAL_MAKER]:
            raise VerificationError(
                "the certificate in the seal is not that of a maker of seals",
                code="seal.not_a_maker",
            )
        spki = maker.public_key.dump()
        kind = kind_of(spki)
        if kind.signature_oid != found.algorithm:
            raise VerificationError("another algorithm", code="seal.maker_signature")
        verify_signature(
            found.info,
            signature=found.maker_signature,
            spki=spki,
            algorithm=kind.verifier,
            hash_name=kind.digest,
        )
    except (*ASN1_ERRORS, InputError) as exc:
        raise VerificationError(
            "the maker's certificate cannot be read", code="seal.maker_signature"
        ) from exc
    except VerificationError as exc:
        if exc.error_code == "seal.not_a_maker":
            raise
        raise VerificationError(
            "the seal was not signed by its maker, or was changed", code="seal.maker_signature"
        ) from exc


def _extensions(binding: Binding, chain: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """Of TBS_Sign: the binding, and the chain where there is one."""
    bound: dict[str, Any] = {
        "extn_id": OID_BINDING,
        "critical": True,
        "extn_value": canonical_bytes(binding.as_json()),
    }
    if not chain:
        return [bound]
    value = _Chain(list(chain)).dump()
    return [bound, {"extn_id": OID_MAKER_CHAIN, "critical": False, "extn_value": value}]


def _chain(extensions: Any) -> tuple[bytes, ...]:
    """The certificates of the second extension; none without one. An empty or a long chain is refused."""
    if len(extensions) == 1:
        return ()
    held = _Chain.load(bytes(extensions[1]["extn_value"].native), strict=True)
    if not 1 <= len(held) <= CHAIN_MAX:
        raise ValueError("chain")
    found = tuple(bytes(one.native) for one in held)
    for der in found:
        x509.Certificate.load(der, strict=True).public_key.dump()
    return found


def _binding(data: bytes) -> Binding:
    value = canonical_parse(data)
    names = set(Binding.__dataclass_fields__)
    if not isinstance(value, Mapping) or set(value) != {*names, "v"}:
        raise ValueError("binding")
    if value["v"] != BINDING_FORMAT:
        raise ValueError("binding")
    for name in names:
        wanted: type = {"base_size": int, "edge": bool}.get(name, str)
        if type(value[name]) is not wanted:
            raise ValueError("binding")
    fields: dict[str, Any] = {name: value[name] for name in names}
    return Binding(**fields)


def _rebuilt(found: SealObject, seal: Any, to_sign: Any) -> bytes:
    info = seal["e_seal_info"]
    prop, picture, header = info["property"], info["picture"], info["header"]
    anew = _ToSign(
        {
            "version": to_sign["version"].native,
            "e_seal": {
                "e_seal_info": {
                    "header": dict(header.native),
                    "es_id": found.seal,
                    "property": {
                        **{name: prop[name].native for name in ("type", "name", "cert_list_type")},
                        "cert_list": [dict(one.native) for one in prop["cert_list"]],
                        "create_date": found.made_at,
                        "valid_start": found.valid_from,
                        "valid_end": found.valid_to,
                    },
                    "picture": dict(picture.native),
                },
                "cert": found.maker,
                "sign_alg_id": found.algorithm,
                "signed_value": found.maker_signature,
            },
            "time_info": found.used_at,
            "data_hash": found.base_sha256,
            "property_info": found.property_info,
            "ext_datas": _extensions(found.binding, found.chain),
        }
    )
    return bytes(anew.dump(force=True))
