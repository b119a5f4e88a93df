"""Authority: who is the legal representative, letters of authority, and what each act must rest on.

The legal representative acts by law (Civil Code 61); everybody else under a letter that the representative
signed here as an agreement, or, as far as the policy table lets it, under what the administrator declared.
A letter counts from the moment its agreement is formed until it is revoked, released or over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role
from api.flows import agreements
from api.flows.idempotency import fingerprint, require_same
from api.flows.parties import (
    APPROVE,
    AUTHORISATION_DAYS_MAX,
    LETTERS,
    MATTERS,
    POWERS,
    NewAuthorisation,
    authorisation_of,
    grant_authorisation,
)
from api.flows.verification_levels import (
    levels_of,
    local_result,
    require_publishable,
    settle,
)
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import derived_id, new_id, require_id
from ledger.core.units import utc_text
from ledger.log import NewEntry, record
from ledger.queries import identity as identity_queries
from ledger.queries import parties as queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.parties import AuthorisationRow, IdentityCheckRow, PartyRow
from signing.identity import Authorisation, Basis, Status, check_resident_id
from signing.identity_letter import Names, letter
from signing.identity_policy import Need, require_levels

REPRESENTATIVE_KIND: Final = "organisation_representative"
LETTER_KIND: Final = "organisation_representative_letter"
LETTER_OPEN_FOR: Final = timedelta(days=30)
RATIFY: Final = "ratify"
RATIFIABLE: Final = frozenset(
    f"authority.{word}" for word in ("amount", "matter", "power", "seal", "expired", "not_signed")
)
"""What an organisation may ratify: acts beyond, or after the end of, an authority it once gave. One that
it revoked or never gave is no matter of this handler any more."""
LABELS: Final = (
    "letter of authority that the legal representative signed here",
    "法定代表人在本系统签署的授权委托书",
)


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A letter to propose.

    Attributes:
        id: `aut_…`.  agreement_id: `agr_…`, the letter as an agreement; both made by the caller.
        amount_max: fen, or None for no limit.
    """

    id: str
    agreement_id: str
    person_id: str
    matters: frozenset[str]
    powers: frozenset[str]
    valid_from: datetime
    valid_to: datetime
    amount_max: int | None = None
    seal_scope: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an act rests on, to be frozen with it.

    Attributes:
        ratification: id of the ratification that was asked for an act beyond the authority, or None.
        levels: `{person, organisation, need, policy_sha256, edition}`.
    """

    authorisation: AuthorisationRow
    ratification: str | None
    levels: Mapping[str, Json]


def know_representative(
    ports: Ports, caller: Caller, check_id: str, number: str, *, at: datetime
) -> None:
    """After a match: whoever carries this number here is the legal representative, and acts by law.

    Nothing happens where that person is not registered; the same check sent again then finds them.
    """
    digits = check_resident_id(number, today=at.date()).number
    with transaction(ports.sessions) as session:
        check = session.get_one(IdentityCheckRow, check_id)
        person = queries.party_by_number(
            session, kind="person", number_index=ports.keyed_digest(digits)
        )
        if (
            check.status != Status.MATCH.value
            or check.kind != REPRESENTATIVE_KIND
            or person is None
        ):
            return
        organisation = session.get_one(PartyRow, check.party_id)
        if organisation.representative_id not in (None, person.id):
            _end_statutory(session, ports, caller, organisation, at=at)
        organisation.representative_id = person.id
        start = (check.checked_at or at).replace(microsecond=0)
        grant_authorisation(
            session,
            ports,
            caller,
            NewAuthorisation(
                id=derived_id("aut", at=check.created_at, seed=f"{check.id}/statutory"),
                organisation_id=organisation.id,
                person_id=person.id,
                matters=MATTERS | {LETTERS},
                powers=POWERS | {RATIFY, APPROVE},
                valid_from=start,
                # As long as the check may be relied on, and a year at most.
                valid_to=start + timedelta(days=AUTHORISATION_DAYS_MAX),
                basis=Basis.STATUTORY,
            ),
            at=at,
        )


def propose_letter(
    session: Session, ports: Ports, caller: Caller, new: NewLetter, *, at: datetime
) -> AuthorisationRow:
    """Draw up a letter of authority and put it before the legal representative to sign.

    Raises:
        ForbiddenError: `auth.role`.
        ConflictError: `authority.no_representative`: have the representative checked first.
        NotFoundError: `party.not_found`.
        InputError: `id.malformed`, `authorisation.period`, `authority.malformed`, `authority.reserved`.
        ForbiddenError: `identity.level_too_low`: of organisation or representative, for this limit.
        ExistsWithDifferentFieldError: same id, other body.
    """
    require_role(caller, Role.ADMIN)
    organisation_id = require_organisation(caller)
    require_id(new.id, prefix="aut")
    fields = _letter_fields(new)
    existing = session.get(AuthorisationRow, new.id)
    if existing is not None:
        if existing.organisation_id != organisation_id:
            raise NotFoundError("there is no such record")
        require_same(existing.fingerprint, fields, id=new.id)
        return existing
    if {LETTERS, RATIFY} & (new.matters | new.powers):
        raise InputError(
            "only the legal representative gives letters of authority", code="authority.reserved"
        )
    if not timedelta(0) < new.valid_to - new.valid_from <= timedelta(days=AUTHORISATION_DAYS_MAX):
        raise InputError(
            f"an authorisation runs for one second to {AUTHORISATION_DAYS_MAX} days",
            code="authorisation.period",
        )
    row = AuthorisationRow(
        id=new.id,
        organisation_id=organisation_id,
        person_id=new.person_id,
        matters=",".join(sorted(new.matters)),
        powers=",".join(sorted(new.powers)),
        seal_scope=",".join(sorted(new.seal_scope)) or "none",
        amount_max_minor=new.amount_max,
        valid_from=new.valid_from.replace(microsecond=0),
        valid_to=new.valid_to.replace(microsecond=0),
        basis=Basis.SIGNED.value,
        agreement_id=new.agreement_id,
        fingerprint=fingerprint(fields),
        created_at=at,
    )
    value = authorisation_of(row)
    _publish_letter(session, ports, caller, new, value, at=at)
    session.add(row)
    session.flush()
    return row


def grounds_of(
    session: Session,
    ports: Ports,
    signer: SignerRow,
    row: AgreementRow,
    *,
    act: str,
    at: datetime,
    seal: str | None = None,
) -> Grounds:
    """What this act of this signer rests on now: levels as the policy needs, and an authority.

    An act beyond the authority goes through where its ratification was asked for and is not refused, as far as
    what was asked for: another lack than the one named then, or a seal outside the scope, is not covered by it.

    Raises:
        ForbiddenError: `identity.level_too_low`, `authority.*`.
    """
    need = ports.levels.need(matter=row.matter, amount=row.amount_minor)
    levels = _levels(session, ports, signer, need, at=at)
    frozen: dict[str, Json] = {
        "person": levels[signer.person_id],
        "organisation": levels[signer.organisation_id],
        "need": need.as_json(),
        "policy_sha256": ports.levels.digest.hex(),
        "edition": ports.levels.edition,
    }
    try:
        held = agreements.authority_at(session, signer, row, act=act, at=at, seal=seal, need=need)
    except ForbiddenError as refusal:
        asked = identity_queries.ratification_of_signer(session, signer.id)
        if asked is None or asked.lack != refusal.error_code:
            raise
        # Silence is refusal from the last moment on, whether or not the worker has written it down yet.
        if asked.state != "ratified" and not (asked.state == "asked" and at < asked.due_at):
            raise
        if refusal.error_code not in RATIFIABLE or row.matter == LETTERS:
            raise
        beyond = session.get_one(AuthorisationRow, asked.authorisation_id)
        if seal is not None and seal not in authorisation_of(beyond).seal_scope:
            raise ForbiddenError(
                "what was asked to be ratified does not cover this seal: sign without one, or under another",
                code="authority.seal",
                authorisation=beyond.id,
                act=act,
            ) from refusal
        return Grounds(beyond, asked.id, frozen)
    standing = held.revoked_at is None
    # Held until the act is recorded: it is revoked after that, or the act was too late.
    if queries.hold_authorisation(session, held).revoked_at is not None and standing:
        raise ForbiddenError(
            "this authority was revoked at this moment", code="authority.revoked", act=act
        )
    return Grounds(held, None, frozen)


def on_formed(
    session: Session, ports: Ports, caller: Caller, row: AgreementRow, *, at: datetime
) -> None:
    """What the forming of an agreement does to authorities: a letter begins, a released one ends."""
    if row.relation == "releases" and row.related_id is not None:
        ended = queries.authorisation_by_letter(session, row.related_id)
        if ended is not None and ended.revoked_at is None:
            _revoke(session, ports, caller, ended, reason="released", at=at)
    granted = queries.authorisation_by_letter(session, row.id)
    if granted is None:
        return
    _record_grant(session, ports, caller, granted, at=at)
    _settle_letter(session, ports, caller, granted, at=at)


def _levels(
    session: Session, ports: Ports, signer: SignerRow, need: Need, *, at: datetime
) -> dict[str, int]:
    found = levels_of(session, ports, [signer.person_id, signer.organisation_id], at=at)
    levels = {party: int(one.level) for party, one in found.items()}
    require_levels(
        need, person=signer.person_id, organisation=signer.organisation_id, levels=levels
    )
    return levels


def _publish_letter(
    session: Session,
    ports: Ports,
    caller: Caller,
    new: NewLetter,
    value: Authorisation,
    *,
    at: datetime,
) -> None:
    organisation = session.get_one(PartyRow, value.organisation)
    people = queries.parties_by_ids(session, [new.person_id, organisation.representative_id or ""])
    agent = people.get(new.person_id)
    if agent is None or agent.kind != "person":
        raise NotFoundError("there is no such person", code="party.not_found")
    representative = people.get(organisation.representative_id or "")
    if representative is None:
        raise ConflictError(
            "have the legal representative checked first", code="authority.no_representative"
        )
    rendered = letter(
        value,
        Names(
            organisation=organisation.name,
            organisation_number=organisation.number_masked or "",
            representative=representative.name,
            agent=agent.name,
            agent_number=agent.number_masked or "",
        ),
    )
    if new.amount_max is None:
        # Without a limit it lets its holder sign anything: whoever signs it is known as well as that needs.
        require_publishable(
            session,
            ports,
            matter=LETTERS,
            amount=ports.levels.top,
            signers=[(organisation.id, representative.id)],
            at=at,
        )
    agreements.create_from_upload(
        session,
        ports,
        caller,
        agreements.NewAgreement(
            id=new.agreement_id,
            title=f"授权委托书 {agent.name}"[:120],
            matter=LETTERS,
            signers=(
                agreements.SignerSpec(organisation.id, representative.id, "legal_representative"),
            ),
            expires_at=at + LETTER_OPEN_FOR,
            # As well as its limit needs, which is checked again when it is signed.
            amount_minor=new.amount_max,
        ),
        data=rendered.pdf,
        fields=rendered.fields,
        at=at,
    )


def _letter_fields(new: NewLetter) -> dict[str, Json]:
    return {
        "agreement": new.agreement_id,
        "person": new.person_id,
        "matters": sorted(new.matters),
        "powers": sorted(new.powers),
        "valid_from": utc_text(new.valid_from),
        "valid_to": utc_text(new.valid_to),
        "seal_scope": sorted(new.seal_scope),
        "amount_max": new.amount_max,
    }


def _record_grant(
    session: Session, ports: Ports, caller: Caller, row: AuthorisationRow, *, at: datetime
) -> None:
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="authorisation.granted",
            at=at,
            subject=row.organisation_id,
            actor=caller.account_id,
            body={"authorisation": authorisation_of(row).as_json(), "demo": ports.settings.demo},
        ),
    )


def _settle_letter(
    session: Session, ports: Ports, caller: Caller, row: AuthorisationRow, *, at: datetime
) -> None:
    """A letter that the representative signed is a control proof of the organisation."""
    assert row.agreement_id is not None
    known = [
        one
        for one in identity_queries.checks_of(session, [row.organisation_id])
        if one.kind == REPRESENTATIVE_KIND and one.status == Status.MATCH.value
    ]
    check = IdentityCheckRow(
        id="chk_" + row.agreement_id.partition("_")[2],
        party_id=row.organisation_id,
        kind=LETTER_KIND,
        status=Status.PENDING.value,
        provider="agreement",
        label_en=LABELS[0],
        label_zh=LABELS[1],
        # Worth what the check of the representative is worth.
        mock=not known or known[0].mock,
        purpose="letter",
        consent_id="",
        nonce="",
        source_id=row.agreement_id,
        asked_by=caller.account_id,
        fingerprint="{}",
        created_at=at,
    )
    session.add(check)
    result = local_result(check, Status.MATCH, at=at, agreement=row.agreement_id)
    settle(session, ports, check, result, actor=caller.account_id, at=at)


def _end_statutory(
    session: Session, ports: Ports, caller: Caller, organisation: PartyRow, *, at: datetime
) -> None:
    """Another representative is known: what the former one held by law ends."""
    held = queries.authorisations_of(
        session,
        organisation_id=organisation.id,
        person_id=organisation.representative_id,
    )
    for row in held:
        if row.basis == Basis.STATUTORY.value and row.revoked_at is None:
            _revoke(session, ports, caller, row, reason="another legal representative", at=at)


def _revoke(
    session: Session,
    ports: Ports,
    caller: Caller,
    row: AuthorisationRow,
    *,
    reason: str,
    at: datetime,
) -> None:
    session.refresh(row, with_for_update=True)  # a handler may sign under it at this moment
    if row.revoked_at is not None:
        return
    row.revoked_at = at
    record(
        session,
        ports.vault,
        NewEntry(
            id=new_id("ent", at=at),
            type="authorisation.revoked",
            at=at,
            subject=row.organisation_id,
            actor=caller.account_id,
            body={"authorisation": row.id, "reason": reason},
        ),
    )
