"""The state machine of an agreement; every party here is invented."""

import hashlib
from datetime import timedelta

import pytest

from ledger.core.errors import ConflictError, ForbiddenError, FuqiError, InputError
from ledger.entry_types import ENTRY_TYPES
from signing import agreement as machine
from signing.agreement import Agreement, Signer, State
from signing.testing import FIXED_TIME

AT = FIXED_TIME
UNTIL = AT + timedelta(days=7)
DOCUMENT = hashlib.sha256(b"invented document").digest()
DONOR = Signer(person="pty_d", organisation="org_d", field="donor", order=1)
HOSPITAL = Signer(person="pty_h", organisation="org_h", field="hospital", order=2)


def revision(n):
    return hashlib.sha256(f"revision {n}".encode()).digest()


def drafted(*signers):
    return machine.draft("agr_1", initiator="org_d", signers=signers or (DONOR, HOSPITAL))


def published(*signers):
    return machine.publish(
        drafted(*signers), document_sha256=DOCUMENT, expires_at=UNTIL, at=AT
    ).agreement


def ready(*signers):
    agreement = published(*signers)
    for party in agreement.parties:
        agreement = machine.consent(agreement, party=party, at=AT).agreement
    return agreement


def sign(agreement, signer, *, at=AT, **changes):
    arguments = {
        "person": signer.person,
        "field": signer.field,
        "document_sha256": DOCUMENT,
        "base_sha256": agreement.head_sha256,
        "revision_sha256": revision(len(agreement.signatures) + 1),
        "at": at,
    }
    return machine.sign(agreement, **(arguments | changes))


def formed():
    return sign(sign(ready(), DONOR).agreement, HOSPITAL).agreement


def code_of(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.error_code


def test_an_agreement_is_formed_by_its_last_signature_at_its_time():
    agreement = ready()
    first = sign(agreement, DONOR, at=AT + timedelta(hours=1))
    assert first.events == ("signature.applied",)
    assert first.agreement.state is State.SIGNING
    assert first.agreement.formed_at is None
    last = sign(first.agreement, HOSPITAL, at=AT + timedelta(hours=2))
    assert last.events == ("signature.applied", "agreement.formed")
    assert last.agreement.state is State.FORMED
    assert last.agreement.formed_at == AT + timedelta(hours=2)
    assert last.agreement.head_sha256 == revision(2)
    assert last.agreement.waiting == ()


def test_formation_takes_the_latest_time_even_where_clocks_differ():
    first = sign(ready(), DONOR, at=AT + timedelta(seconds=2)).agreement
    last = sign(first, HOSPITAL, at=AT + timedelta(seconds=1)).agreement
    assert last.formed_at == AT + timedelta(seconds=2)


def test_every_event_is_a_known_entry_type():
    names = {value for key, value in vars(machine).items() if key.startswith("EVENT_")}
    assert len(names) == 7
    assert names <= set(ENTRY_TYPES)


def test_a_document_is_published_once():
    step = machine.publish(drafted(), document_sha256=DOCUMENT, expires_at=UNTIL, at=AT)
    assert step.events == ("document.finalised",)
    again = lambda: machine.publish(  # noqa: E731
        step.agreement, document_sha256=revision(9), expires_at=UNTIL, at=AT
    )
    assert code_of(ConflictError, again) == "agreement.already_published"


def test_an_agreement_that_would_open_expired_is_not_published():
    call = lambda: machine.publish(drafted(), document_sha256=DOCUMENT, expires_at=AT, at=AT)  # noqa: E731
    assert code_of(InputError, call) == "agreement.expiry"


def test_nobody_signs_before_every_party_consented_to_electronic_form():
    one = machine.consent(published(), party="org_d", at=AT).agreement
    assert code_of(ConflictError, lambda: sign(one, DONOR)) == "agreement.consent_missing"
    both = machine.consent(one, party="org_h", at=AT).agreement
    assert sign(both, DONOR).agreement.state is State.SIGNING


def test_consent_again_changes_nothing_and_a_stranger_cannot_consent():
    first = machine.consent(published(), party="org_d", at=AT)
    assert first.events == ("intent.expressed",)
    again = machine.consent(first.agreement, party="org_d", at=AT)
    assert again.events == ()
    assert again.agreement is first.agreement
    stranger = lambda: machine.consent(first.agreement, party="pty_d", at=AT)  # noqa: E731
    assert code_of(ForbiddenError, stranger) == "agreement.not_a_party"


def test_a_person_in_their_own_name_is_the_party():
    own = Signer(person="pty_p", organisation=None, field="person", order=1)
    agreement = machine.consent(published(own), party="pty_p", at=AT).agreement
    assert sign(agreement, own).agreement.state is State.FORMED


def test_signatures_come_in_order():
    agreement = ready()
    assert agreement.waiting == (DONOR,)
    assert code_of(ConflictError, lambda: sign(agreement, HOSPITAL)) == "agreement.not_your_turn"
    after = sign(agreement, DONOR).agreement
    assert after.waiting == (HOSPITAL,)


def test_equal_orders_sign_in_any_sequence():
    left = Signer(person="pty_l", organisation="org_l", field="left", order=1)
    right = Signer(person="pty_r", organisation="org_r", field="right", order=1)
    for first, second in ((left, right), (right, left)):
        agreement = sign(ready(left, right), first).agreement
        assert sign(agreement, second).agreement.state is State.FORMED


def test_who_has_signed_cannot_sign_again_not_even_after_formation():
    once = sign(ready(), DONOR).agreement
    assert code_of(ConflictError, lambda: sign(once, DONOR)) == "agreement.already_signed"
    assert code_of(ConflictError, lambda: sign(formed(), DONOR)) == "agreement.already_signed"


@pytest.mark.parametrize(
    "changes", [{"person": "pty_h"}, {"field": "hospital"}, {"field": "nobody"}]
)
def test_a_field_takes_only_its_own_signer(changes):
    call = lambda: sign(ready(), DONOR, **changes)  # noqa: E731
    assert code_of(ForbiddenError, call) == "agreement.not_a_signer"


def test_another_document_or_an_older_revision_is_refused():
    agreement = ready()
    other = lambda: sign(agreement, DONOR, document_sha256=revision(5))  # noqa: E731
    assert code_of(ConflictError, other) == "agreement.other_document"
    after = sign(agreement, DONOR).agreement
    stale = lambda: sign(after, HOSPITAL, base_sha256=DOCUMENT)  # noqa: E731
    assert code_of(ConflictError, stale) == "agreement.stale_revision"
    same = lambda: sign(after, HOSPITAL, revision_sha256=after.head_sha256)  # noqa: E731
    assert code_of(InputError, same) == "agreement.same_revision"


def test_nobody_signs_a_draft_or_after_its_time():
    assert code_of(ConflictError, lambda: sign(drafted(), DONOR)) == "agreement.not_published"
    assert code_of(ConflictError, lambda: sign(ready(), DONOR, at=UNTIL)) == "agreement.expired"
    sign(ready(), DONOR, at=UNTIL - timedelta(seconds=1))


def test_a_signer_who_has_not_signed_may_decline_with_a_reason():
    agreement = sign(ready(), DONOR).agreement
    step = machine.decline(agreement, person="pty_h", reason="wrong quantity", at=AT)
    assert step.events == ("agreement.declined",)
    assert step.agreement.state is State.DECLINED
    assert step.agreement.ended_by == "pty_h"
    assert step.agreement.formed_at is None
    for person, kind, code in (
        ("pty_d", ConflictError, "agreement.already_signed"),
        ("pty_x", ForbiddenError, "agreement.not_a_signer"),
    ):
        call = lambda p=person: machine.decline(agreement, person=p, reason="r", at=AT)  # noqa: E731
        assert code_of(kind, call) == code


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_declining_and_withdrawing_need_a_reason(reason):
    agreement = ready()
    for call in (
        lambda: machine.decline(agreement, person="pty_h", reason=reason, at=AT),
        lambda: machine.withdraw(agreement, party="org_d", reason=reason, at=AT),
    ):
        assert code_of(InputError, call) == "agreement.reason"


@pytest.mark.parametrize("make", [drafted, ready, lambda: sign(ready(), DONOR).agreement])
def test_the_initiator_withdraws_at_any_time_before_formation(make):
    step = machine.withdraw(make(), party="org_d", reason="no longer needed", at=AT)
    assert step.events == ("agreement.withdrawn",)
    assert step.agreement.state is State.WITHDRAWN
    call = lambda: machine.withdraw(make(), party="org_h", reason="r", at=AT)  # noqa: E731
    assert code_of(ForbiddenError, call) == "agreement.not_initiator"


def test_an_agreement_expires_when_its_time_has_come():
    step = machine.expire(ready(), at=UNTIL + timedelta(days=1))
    assert step.events == ("agreement.expired",)
    assert step.agreement.state is State.EXPIRED
    assert step.agreement.ended_at == UNTIL
    early = lambda: machine.expire(ready(), at=UNTIL - timedelta(seconds=1))  # noqa: E731
    assert code_of(ConflictError, early) == "agreement.not_due"
    draft = lambda: machine.expire(drafted(), at=UNTIL)  # noqa: E731
    assert code_of(ConflictError, draft) == "agreement.not_published"


def ended():
    return {
        "formed": formed(),
        "declined": machine.decline(ready(), person="pty_h", reason="r", at=AT).agreement,
        "withdrawn": machine.withdraw(ready(), party="org_d", reason="r", at=AT).agreement,
        "expired": machine.expire(ready(), at=UNTIL).agreement,
    }


@pytest.mark.parametrize("state", ["formed", "declined", "withdrawn", "expired"])
def test_after_a_final_state_every_transition_is_refused(state):
    agreement = ended()[state]
    late = Signer(person="pty_h", organisation="org_h", field="hospital", order=2)
    calls = [
        lambda: machine.publish(agreement, document_sha256=DOCUMENT, expires_at=UNTIL, at=AT),
        lambda: machine.consent(agreement, party="org_d", at=AT),
        lambda: machine.decline(agreement, person="pty_h", reason="r", at=AT),
        lambda: machine.withdraw(agreement, party="org_d", reason="r", at=AT),
        lambda: machine.expire(agreement, at=UNTIL),
    ]
    for call in calls:
        assert code_of(ConflictError, call) == "agreement.closed"
    expected = "agreement.already_signed" if state == "formed" else "agreement.closed"
    assert code_of(FuqiError, lambda: sign(agreement, late)) == expected


@pytest.mark.parametrize(
    ("signers", "code"),
    [
        ((), "agreement.signers"),
        (tuple(Signer(f"p{i}", None, f"f{i}", 1) for i in range(51)), "agreement.signers"),
        ((Signer("pty_d", "org_d", "donor", 0),), "agreement.signers"),
        ((DONOR, Signer("pty_h", "org_h", "donor", 2)), "agreement.fields"),
        ((Signer("pty_d", "org_d", "", 1),), "agreement.fields"),
        ((DONOR, Signer("pty_d", "org_d", "second", 2)), "agreement.signer_twice"),
    ],
)
def test_a_draft_needs_signers_with_fields_of_their_own(signers, code):
    call = lambda: machine.draft("agr_1", initiator="org_d", signers=signers)  # noqa: E731
    assert code_of(InputError, call) == code


def test_signers_are_kept_in_order_of_signing():
    assert drafted(HOSPITAL, DONOR).signers == (DONOR, HOSPITAL)
    assert drafted(HOSPITAL, DONOR).parties == ("org_d", "org_h")


def test_an_impossible_agreement_cannot_be_built():
    with pytest.raises(AssertionError, match="formed means all have signed"):
        Agreement(id="agr_1", initiator="org_d", signers=(DONOR,), state=State.FORMED, ended_at=AT)
    with pytest.raises(AssertionError, match="final states end"):
        Agreement(id="agr_1", initiator="org_d", signers=(DONOR,), state=State.DECLINED)
