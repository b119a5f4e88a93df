"""Control of a channel: a code to a telephone or mailbox, an amount to a bank account, filled back in.

The answer stands only as a digest under a key that is not in the database. A wrong try is counted in its own
transaction before it is refused; after the last one the check is dead, and a new one begins under a new id.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role
from api.flows.verification_levels import (
    NewCheck,
    add_check,
    known_check,
    local_result,
    question,
    require_own,
    settle,
)
from api.ports import Ports
from ledger.core.errors import (
    ConflictError,
    FuqiError,
    InputError,
    NotFoundError,
    UnavailableError,
)
from ledger.core.ids import new_id
from ledger.core.units import digest32, utc_text
from ledger.log import NewEntry, record
from ledger.queries import identity as queries
from ledger.store import transaction
from ledger.tables.parties import IdentityChallengeRow, IdentityCheckRow
from signing.identity import KINDS, Answered, Status, VerificationResult, check_phone
from signing.numbers import mask_number, mask_phone
from signing.providers.identity_messages import MOCK_LABEL_EN, MOCK_LABEL_ZH

CODE_DIGITS: Final = 6
CODE_TRIES_MAX: Final = 5
"""Five tries at one in a million."""
CODE_FOR: Final = timedelta(minutes=10)
CODE_EVERY: Final = timedelta(seconds=60)
"""Between two codes for one party: a telephone is not to be rung all night."""
AMOUNT_FEN_MAX: Final = 999
"""Up to 9.99 yuan: three tries guess it once in 333 times, and it costs little."""
TRANSFER_TRIES_MAX: Final = 3
TRANSFER_FOR: Final = timedelta(days=7)
EMAIL_CHARS_MAX: Final = 254
ACCOUNT_DIGITS: Final = (8, 32)
"""Account numbers of companies have 8 to 32 digits, depending on the bank."""
LABELS: Final = {
    "code": ("code filled back in by the party", "由当事人填回验证码"),
    "transfer": (
        "amount filled back in; the transfer was made by the operator",
        "由当事人填回金额；款项由运营者打出",
    ),
}
_YUAN: Final = re.compile(r"([0-9]{1,5})(?:\.([0-9]{1,2}))?")
TEXT: Final = "【符契】验证码 {code}，{minutes} 分钟内有效。勿告知他人。 Your fuqi code is {code}."


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge as whoever asked sees it.

    Attributes:
        target_masked: where it went.
        mock_answer: the answer, only where nothing is really sent (a labelled mock).
    """

    check: IdentityCheckRow
    challenge: IdentityChallengeRow
    target_masked: str
    mock_answer: str | None

    @property
    def tries_left(self) -> int:
        """How often the answer may still be wrong."""
        return max(0, self.challenge.tries_max - self.challenge.tries)


def ask_code(ports: Ports, caller: Caller, new: NewCheck, *, at: datetime) -> Asked:
    """Send a code, or register the account to which the operator transfers a random amount.

    Repeating it with the same id sends the same code again where the first sending failed.

    Raises:
        NotFoundError, InputError, ConflictError, ExistsWithDifferentFieldError: as
            `api.flows.verification_levels.ask_source`.
        InputError: `identity.phone_*`, `identity.email`, `identity.account`.
        ConflictError: `identity.code_lately`.
        UnavailableError: `outside.resting`, `outside.all_failed`: it was not sent; ask again.
    """
    rule = KINDS.get(new.kind)
    if rule is None or rule.answered not in (Answered.CODE, Answered.TRANSFER):
        raise InputError("this kind has no code", code="identity.kind", field="kind")
    channel, target = target_of(new)
    with transaction(ports.sessions) as session:
        row = known_check(session, ports, caller, new)
        if row is None:
            row = _begin(session, ports, caller, new, channel=channel, target=target, at=at)
        challenge = session.get_one(IdentityChallengeRow, row.id)
        unsent = challenge.sent_at is None and channel != "bank"
        opened = _opened(session, ports, row, challenge)
    if unsent and row.status == Status.PENDING.value:
        assert ports.messenger is not None
        text = TEXT.format(code=opened["answer"], minutes=int(CODE_FOR.total_seconds()) // 60)
        # A crash after this line and before the next transaction: the same id sends it once more,
        # and the service delivers one message id once.
        ports.messenger.send(row.id, channel=channel, target=opened["target"], text=text)
        with transaction(ports.sessions) as session:
            challenge = session.get_one(IdentityChallengeRow, row.id)
            challenge.sent_at = challenge.sent_at or at
    return Asked(
        row, challenge, opened["masked"], _shown(row.kind, opened["answer"]) if row.mock else None
    )


def answer(ports: Ports, caller: Caller, check_id: str, *, text: str, at: datetime) -> Asked:
    """Fill in the code or amount. The right one again changes nothing.

    Raises:
        NotFoundError: not the caller's own check, or none that is answered.
        InputError: `identity.code_wrong`, with the tries that are left.
        ConflictError: `identity.code_dead`, `identity.code_expired`, `identity.not_sent`.
    """
    refusal: FuqiError | None = None
    with transaction(ports.sessions) as session:
        row = queries.lock_check(session, check_id)
        if row is None:
            raise NotFoundError("there is no such record")
        require_own(session, caller, row.party_id)
        challenge = session.get(IdentityChallengeRow, row.id)
        if challenge is None:
            raise NotFoundError("there is no such record")
        session.refresh(challenge)
        right = hmac.compare_digest(
            challenge.answer_hmac, _digest(ports, row.id, challenge.salt, _plain(row.kind, text))
        )
        if row.status != Status.PENDING.value:
            if not (right and row.status == Status.MATCH.value):
                refusal = _dead()
        else:
            refusal = _try(session, ports, caller, row, challenge, right=right, at=at)
        opened = _opened(session, ports, row, challenge)
    # After the commit: a counted try stays counted.
    if refusal is not None:
        raise refusal
    return Asked(row, challenge, opened["masked"], None)


def mark_transferred(ports: Ports, caller: Caller, check_id: str, *, at: datetime) -> Asked:
    """The operator has made the transfer; from now on the party fills in what arrived.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: no such transfer.
    """
    require_role(caller, Role.OPERATOR)
    with transaction(ports.sessions) as session:
        row = queries.lock_check(session, check_id)
        challenge = None if row is None else session.get(IdentityChallengeRow, row.id)
        if row is None or challenge is None or challenge.channel != "bank":
            raise NotFoundError("there is no such record")
        if challenge.sent_at is None:
            challenge.sent_at = at
            challenge.expires_at = at + TRANSFER_FOR
        return Asked(row, challenge, _opened(session, ports, row, challenge)["masked"], None)


def open_challenge(
    session: Session, ports: Ports, row: IdentityCheckRow, challenge: IdentityChallengeRow
) -> Asked:
    """A challenge as its party sees it."""
    opened = _opened(session, ports, row, challenge)
    pending = row.status == Status.PENDING.value
    shown = _shown(row.kind, opened["answer"]) if row.mock and pending else None
    return Asked(row, challenge, opened["masked"], shown)


def transfer_order(
    session: Session, ports: Ports, row: IdentityCheckRow, challenge: IdentityChallengeRow
) -> tuple[str, int]:
    """(account, fen) for the operator who makes the transfer."""
    opened = _opened(session, ports, row, challenge)
    return opened["target"], int(opened["answer"])


def target_of(new: NewCheck) -> tuple[str, str]:
    """(`phone`, `email` or `bank`; where) in its normal form.

    Raises:
        InputError: `identity.phone_*`, `identity.email`, `identity.account`, `identity.factors`.
    """
    wanted = {"phone", "email", "account"} & set(new.factors)
    if len(wanted) != 1:
        raise InputError(
            "say where it goes: phone, email or account", code="identity.factors", field="factors"
        )
    (name,) = wanted
    text = new.factors[name].strip()
    if name == "phone":
        return "phone", check_phone(text).number
    if name == "email":
        local, at_sign, host = text.rpartition("@")
        fine = local and at_sign and "." in host and text.isprintable() and " " not in text
        if not fine or len(text) > EMAIL_CHARS_MAX or not text.isascii():
            raise InputError("this is no e-mail address", code="identity.email", field="email")
        return "email", text
    digits = text.replace(" ", "")
    low, high = ACCOUNT_DIGITS
    if not (digits.isascii() and digits.isdigit() and low <= len(digits) <= high):
        raise InputError(
            f"an account number has {low} to {high} digits",
            code="identity.account",
            field="account",
        )
    return "bank", digits


def _begin(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewCheck,
    *,
    channel: str,
    target: str,
    at: datetime,
) -> IdentityCheckRow:
    transfer = channel == "bank"
    later = {"amount": "1"} if transfer else {"code": "0" * CODE_DIGITS}
    request = question(session, ports, caller, new, at=at, later=later)
    _require_pause(session, new, at=at)
    mock, provider = _carrier(ports, transfer=transfer)
    label_en, label_zh = LABELS["transfer" if transfer else "code"]
    if mock:
        label_en, label_zh = MOCK_LABEL_EN, MOCK_LABEL_ZH
    row = add_check(
        session,
        ports,
        caller,
        new,
        request,
        VerificationResult(
            status=Status.PENDING,
            provider=provider,
            label_en=label_en,
            label_zh=label_zh,
            mock=mock,
            request_id=request.request_id,
            kind=request.kind,
            subject=request.subject,
            checked_at=at,
            evidence_digest=digest32(bytes(32)),
        ),
        at=at,
    )
    number = (
        secrets.randbelow(AMOUNT_FEN_MAX) + 1 if transfer else secrets.randbelow(10**CODE_DIGITS)
    )
    text = str(number) if transfer else f"{number:0{CODE_DIGITS}d}"
    masked = _mask(channel, target)
    salt = secrets.token_hex(32)
    sealed = ports.vault.seal_value(
        session,
        {"target": target, "masked": masked, "answer": text},
        subject=row.party_id,
        name=f"challenge/{row.id}",
        at=at,
    )
    session.add(
        IdentityChallengeRow(
            check_id=row.id,
            channel=channel,
            sealed=sealed,
            salt=salt,
            answer_hmac=_digest(ports, row.id, salt, text),
            tries=0,
            tries_max=TRANSFER_TRIES_MAX if transfer else CODE_TRIES_MAX,
            sent_at=at if transfer and mock else None,
            expires_at=at + (TRANSFER_FOR if transfer else CODE_FOR),
        )
    )
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="identity.challenged",
            at=at,
            subject=row.party_id,
            actor=caller.account_id,
            body={
                "check": row.id,
                "kind": row.kind,
                "channel": channel,
                "target_masked": masked,
                "provider": provider,
                "mock": mock,
                "expires_at": utc_text(at + (TRANSFER_FOR if transfer else CODE_FOR)),
            },
        ),
    )
    session.flush()
    return row


def _require_pause(session: Session, new: NewCheck, *, at: datetime) -> None:
    for row in queries.checks_of(session, [new.party_id]):
        if KINDS[row.kind].answered is Answered.CODE and at - row.created_at < CODE_EVERY:
            raise ConflictError(
                "a code was sent a moment ago; wait a minute", code="identity.code_lately"
            )


def _carrier(ports: Ports, *, transfer: bool) -> tuple[bool, str]:
    """(whether nothing is really sent, name for the evidence)."""
    if transfer:
        mock = ports.settings.identity_provider == "mock"
        return mock, f"transfer/{'mock' if mock else 'operator'}"
    if ports.messenger is None:
        raise UnavailableError("nothing carries codes here", code="identity.no_messenger")
    return ports.messenger.mock, f"code/{ports.messenger.name}"[:64]


def _try(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: IdentityCheckRow,
    challenge: IdentityChallengeRow,
    *,
    right: bool,
    at: datetime,
) -> FuqiError | None:
    """Count one try; settle the check where it was right or the last one."""
    if challenge.sent_at is None:
        return ConflictError("it has not been sent yet", code="identity.not_sent")
    if at >= challenge.expires_at:
        return ConflictError("its time is over; ask for a new one", code="identity.code_expired")
    if challenge.tries >= challenge.tries_max:
        return _dead()
    challenge.tries += 1
    left = challenge.tries_max - challenge.tries
    if right or left == 0:
        status = Status.MATCH if right else Status.MISMATCH
        result = local_result(row, status, at=at, channel=challenge.channel, tries=challenge.tries)
        settle(session, ports, row, result, actor=caller.account_id, at=at)
    session.flush()
    if right:
        return None
    if left == 0:
        return _dead()
    return InputError(
        f"this is not what was sent; {left} tries are left",
        code="identity.code_wrong",
        field="answer",
        tries_left=left,
    )


def _dead() -> ConflictError:
    return ConflictError("too many wrong tries; ask for a new one", code="identity.code_dead")


def _plain(kind: str, text: str) -> str:
    """What was typed, as it was sent: an amount in yuan becomes fen."""
    value = text.strip().replace("¥", "").replace("￥", "")
    if KINDS[kind].answered is not Answered.TRANSFER:
        return value
    found = _YUAN.fullmatch(value)
    return "" if found is None else str(int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")))


def _shown(kind: str, answer: str) -> str:
    """An answer as a person types it."""
    if KINDS[kind].answered is not Answered.TRANSFER:
        return answer
    return f"{int(answer) // 100}.{int(answer) % 100:02d}"


def _digest(ports: Ports, check_id: str, salt: str, text: str) -> str:
    return ports.keyed_digest(f"challenge/{check_id}/{salt}/{text}")


def _mask(channel: str, target: str) -> str:
    if channel == "phone":
        return mask_phone(target)
    if channel == "email":
        local, _, host = target.rpartition("@")
        return f"{local[:1]}***@{host}"
    return mask_number(target)


def _opened(
    session: Session, ports: Ports, row: IdentityCheckRow, challenge: IdentityChallengeRow
) -> dict[str, str]:
    value = ports.vault.open_value(
        session, challenge.sealed, subject=row.party_id, name=f"challenge/{row.id}"
    )
    return {name: str(one) for name, one in value.items()}
