"""Local checks of identity numbers: they prove that a number is well formed, never whose it is.

Sources: GB 11643 (resident identity number), GB 32100 and GB 11714 (unified social credit code),
design/legal.md section 4.2. Faults are reported first in the order of the `Raises` lists.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from ledger.core.errors import InputError

INPUT_CHARS_MAX: Final = 40
"""The longest number here has 18 characters; longer input is not looked at further."""
AGE_YEARS_MAX: Final = 130
"""Nobody on record was older; an older date is a typing error."""
RID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
RID_CHECKS: Final = "10X98765432"
USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""31 characters: no I, O, S, V, Z."""
USCC_WEIGHTS: Final = tuple(pow(3, i, 31) for i in range(17))
ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
USCC_AUTHORITIES: Final = frozenset("123456789ANY")
"""Registration authorities in use; another one is a warning, for the list grows."""
PROVINCES: Final = frozenset(
    region + province
    for region, provinces in (
        ("1", "12345"),
        ("2", "123"),
        ("3", "1234567"),
        ("4", "123456"),
        ("5", "01234"),
        ("6", "12345"),
        ("7", "1"),
        ("8", "12"),
    )
    for province in provinces
)
"""First two digits of a region code: provinces, by the great region they lie in."""
INVENTED_REGION: Final = "199900"
"""No province has or had the code 19: a number with it passes the checks and was never issued."""

_RID: Final = re.compile(r"[1-9][0-9]{16}[0-9X]")
_LEGACY: Final = re.compile(r"[1-9][0-9]{14}")
_USCC: Final = re.compile(f"[{USCC_ALPHABET}]{{2}}[0-9]{{6}}[{USCC_ALPHABET}]{{10}}")
_CHINESE_PHONE: Final = re.compile(r"(?:\+?86)?(1[3-9][0-9]{9})")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_VIRTUAL_PREFIXES: Final = ("162", "165", "167", "170", "171")


class IdKind(StrEnum):
    """Which document carries such a number, told by its prefix."""

    RESIDENT = "resident"
    HONG_KONG_PERMIT = "hong_kong_residence_permit"
    MACAO_PERMIT = "macao_residence_permit"
    TAIWAN_PERMIT = "taiwan_residence_permit"
    FOREIGN_PERMANENT = "foreign_permanent_resident"


@dataclass(frozen=True, slots=True)
class ResidentId:
    """A well-formed number; personal data, so it has no readable `repr`.

    Attributes:
        number: 17 digits and a digit or X.
        birth: the date inside the number.
        kind: told by the prefix.
        warnings: codes of remarks that do not refuse, e.g. `identity.rid_region`.
    """

    number: str
    birth: date
    kind: IdKind
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ResidentId({mask_number(self.number)})"


@dataclass(frozen=True, slots=True)
class CreditCode:
    """A well-formed unified social credit code (public data).

    Attributes:
        code: 18 characters, upper case.
        organisation_code: the GB 11714 code inside, 9 characters.
        warnings: codes of remarks that do not refuse.
    """

    code: str
    organisation_code: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Phone:
    """A well-formed telephone number in E.164 form; personal data, so masked in `repr`."""

    number: str
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Phone({mask_phone(self.number)})"


def check_resident_id(text: str, *, today: date) -> ResidentId:
    """Read an 18-character identity number; spaces around it and a small x are forgiven.

    Raises:
        InputError: `identity.rid_legacy` (15 digits), `identity.rid_length`,
            `identity.rid_characters`, `identity.rid_date` (no such day), `identity.rid_future`,
            `identity.rid_age` (over 130 years), `identity.rid_checksum`.

    Source: GB 11643-1999; vectors in legal.md 4.2.
    """
    number = _clean(text)
    if _LEGACY.fullmatch(number):
        raise InputError(
            "15-digit numbers are no longer valid: use the 18-character one",
            code="identity.rid_legacy",
        )
    if len(number) != 18:
        raise InputError("an identity number has 18 characters", code="identity.rid_length")
    if not _RID.fullmatch(number):
        raise InputError(
            "an identity number is 17 digits, not led by 0, and a digit or X",
            code="identity.rid_characters",
        )
    birth = _birth(number)
    if birth > today:
        raise InputError("the birth date lies in the future", code="identity.rid_future")
    if today.year - birth.year > AGE_YEARS_MAX:
        raise InputError(
            f"the birth date is more than {AGE_YEARS_MAX} years ago", code="identity.rid_age"
        )
    if resident_id_check(number[:17]) != number[17]:
        raise InputError("the check character does not fit", code="identity.rid_checksum")
    kind = _id_kind(number)
    known = kind is not IdKind.RESIDENT or _region_known(number)
    return ResidentId(
        number=number, birth=birth, kind=kind, warnings=() if known else ("identity.rid_region",)
    )


def check_uscc(text: str) -> CreditCode:
    """Read a unified social credit code; spaces around it and small letters are forgiven.

    Raises:
        InputError: `identity.uscc_length`, `identity.uscc_characters`, `identity.uscc_checksum`,
            `identity.uscc_organisation_code`.

    Source: GB 32100-2015, GB 11714-1997; vectors in legal.md 4.2.
    """
    code = _clean(text)
    if len(code) != 18:
        raise InputError("a social credit code has 18 characters", code="identity.uscc_length")
    if not _USCC.fullmatch(code):
        raise InputError(
            "a social credit code uses digits and capitals without I, O, S, V, Z; "
            "characters 3 to 8 are digits",
            code="identity.uscc_characters",
        )
    if uscc_check(code[:17]) != code[17]:
        raise InputError("the check character does not fit", code="identity.uscc_checksum")
    if organisation_check(code[8:16]) != code[16]:
        raise InputError(
            "the organisation code inside (characters 9 to 17) does not check",
            code="identity.uscc_organisation_code",
        )
    warnings = []
    if code[0] not in USCC_AUTHORITIES:
        warnings.append("identity.uscc_authority")
    # 100000 is the whole country: bodies registered with the central authorities.
    if code[2:4] not in PROVINCES and code[2:8] != "100000":
        warnings.append("identity.uscc_region")
    return CreditCode(code=code, organisation_code=code[8:17], warnings=tuple(warnings))


def check_phone(text: str) -> Phone:
    """Read a mainland mobile number (with or without 86) or any E.164 number.

    Raises:
        InputError: `identity.phone_format`.
    """
    number = re.sub(r"[ -]", "", text.strip()) if len(text) <= INPUT_CHARS_MAX else ""
    mainland = _CHINESE_PHONE.fullmatch(number)
    if mainland:
        virtual = mainland[1].startswith(_VIRTUAL_PREFIXES)
        return Phone(
            number=f"+86{mainland[1]}", warnings=("identity.phone_virtual",) if virtual else ()
        )
    # A number under +86 that is no mobile number cannot receive a code.
    if _E164.fullmatch(number) and not number.startswith("+86"):
        return Phone(number=number)
    raise InputError(
        "not a mainland mobile number and not in E.164 form", code="identity.phone_format"
    )


def resident_id_check(body: str) -> str:
    """The check character of 17 digits: weights of GB 11643, mod 11."""
    total = sum(int(digit) * weight for digit, weight in zip(body, RID_WEIGHTS, strict=True))
    return RID_CHECKS[total % 11]


def uscc_check(body: str) -> str:
    """The check character of the first 17 characters of a social credit code."""
    total = sum(
        USCC_ALPHABET.index(char) * weight for char, weight in zip(body, USCC_WEIGHTS, strict=True)
    )
    # The outer mod 31 is what many programs forget: without it a sum of 0 gives 31, no character.
    return USCC_ALPHABET[(31 - total % 31) % 31]


def organisation_check(body: str) -> str:
    """The check character of the 8-character body of a GB 11714 organisation code (A = 10)."""
    total = sum(
        int(char, 36) * weight for char, weight in zip(body, ORGANISATION_WEIGHTS, strict=True)
    )
    check = (11 - total % 11) % 11
    return "X" if check == 10 else str(check)


def mask_number(number: str) -> str:
    """First three and last four characters: enough to recognise one's own, too little to use."""
    if len(number) < 12:
        return "*" * len(number)
    return f"{number[:3]}{'*' * (len(number) - 7)}{number[-4:]}"


def mask_phone(number: str) -> str:
    """All but the last four digits of the subscriber's number, country code and prefix kept."""
    if len(number) < 9:
        return "*" * len(number)
    return f"{number[:-8]}****{number[-4:]}"


def mask_name(name: str) -> str:
    """The first character; the rest as stars."""
    return name[:1] + "*" * (len(name) - 1)


def invented_resident_id(seed: str, *, birth: date) -> str:
    """A number that passes every check and was never issued (region 199900); the same per seed."""
    serial = int.from_bytes(hashlib.sha256(f"rid:{seed}".encode()).digest()[:8], "big") % 999 + 1
    body = f"{INVENTED_REGION}{birth:%Y%m%d}{serial:03d}"
    return body + resident_id_check(body)


def invented_uscc(seed: str) -> str:
    """A code that passes every check and was never issued (region 199900); the same per seed."""
    number = int.from_bytes(hashlib.sha256(f"uscc:{seed}".encode()).digest()[:16], "big")
    characters = []
    for _ in range(8):
        number, index = divmod(number, len(USCC_ALPHABET))
        characters.append(USCC_ALPHABET[index])
    inner = "".join(characters)
    body = f"91{INVENTED_REGION}{inner}{organisation_check(inner)}"
    return body + uscc_check(body)


def is_invented(number: str) -> bool:
    """True for the numbers that the two functions above make."""
    return len(number) == 18 and INVENTED_REGION in (number[:6], number[2:8])


def _clean(text: str) -> str:
    return text.strip().upper() if len(text) <= INPUT_CHARS_MAX and text.isascii() else text


def _birth(number: str) -> date:
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError as exc:
        raise InputError("the birth date is no calendar day", code="identity.rid_date") from exc


def _id_kind(number: str) -> IdKind:
    if number[0] == "9":
        return IdKind.FOREIGN_PERMANENT
    return {
        "81": IdKind.HONG_KONG_PERMIT,
        "82": IdKind.MACAO_PERMIT,
        "83": IdKind.TAIWAN_PERMIT,
    }.get(number[:2], IdKind.RESIDENT)


def _region_known(number: str) -> bool:
    """Whether the county existed, by python-stdnum's table, which includes abolished ones."""
    try:
        return bool(ric.get_birth_place(number))
    # python-stdnum 2.2 raises KeyError for an unknown county of a known province.
    except (ValidationError, KeyError):
        return False
