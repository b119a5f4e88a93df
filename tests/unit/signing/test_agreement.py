"""The state machine of an agreement; every party here is invented."""

import hashlib
from datetime import timedelta

import pytest

from ledger.core.errors import ConflictError, ForbiddenError, FuqiError, InputError
from ledger.entry_types import ENTRY_TYPES
from signing import agreement as machine
from signing.agreement import Agreement, Signer, State
from signing.annexes import FieldValue, differing
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
    assert len(names) == 11
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
    with pytest.raises(AssertionError, match="formed means every stage is done"):
        Agreement(id="agr_1", initiator="org_d", signers=(DONOR,), state=State.FORMED, ended_at=AT)
    with pytest.raises(AssertionError, match="final states end"):
        Agreement(id="agr_1", initiator="org_d", signers=(DONOR,), state=State.DECLINED)


def stages(*rows, quorums=None):
    """An open agreement; each row is (person, organisation, order, act)."""
    signers = [
        Signer(person=person, organisation=party, field=f"f{n}", order=order, act=machine.Act(act))
        for n, (person, party, order, act) in enumerate(rows, start=1)
    ]
    made = machine.draft("agr_9", initiator="o1", signers=signers, quorums=quorums)
    made = machine.publish(
        made, document_sha256=DOCUMENT, expires_at=UNTIL, at=FIXED_TIME
    ).agreement
    for party in made.parties:
        made = machine.consent(made, party=party, at=FIXED_TIME).agreement
    return made


def put(made, n, person):
    return machine.sign(
        made,
        person=person,
        field=f"f{n}",
        document_sha256=DOCUMENT,
        base_sha256=made.head_sha256,
        revision_sha256=hashlib.sha256(f"revision {n}".encode()).digest(),
        at=FIXED_TIME,
    ).agreement


def test_any_one_of_a_stage_is_enough_and_the_others_are_not_needed_any_more():
    made = stages(
        ("a", "o1", 1, "sign"), ("b", "o1", 1, "sign"), ("c", "o2", 2, "sign"), quorums={1: 1}
    )
    made = put(made, 2, "b")
    with pytest.raises(ConflictError) as caught:
        put(made, 1, "a")
    assert caught.value.error_code == "agreement.stage_done"
    assert put(made, 3, "c").state is State.FORMED


def test_two_of_three_form_the_agreement_in_any_sequence():
    for first, second in ((1, 3), (3, 1), (2, 3)):
        made = stages(*((f"p{n}", f"o{n}", 1, "sign") for n in (1, 2, 3)), quorums={1: 2})
        made = put(made, first, f"p{first}")
        assert made.state is State.SIGNING
        assert put(made, second, f"p{second}").state is State.FORMED


def test_who_refuses_steps_aside_until_the_stage_cannot_be_done():
    made = stages(*((f"p{n}", f"o{n}", 1, "sign") for n in (1, 2, 3)), quorums={1: 2})
    step = machine.decline(made, person="p1", reason="no", at=FIXED_TIME)
    assert (step.agreement.state, step.events) == (State.PUBLISHED, ("signer.refused",))
    with pytest.raises(ConflictError) as caught:
        put(step.agreement, 1, "p1")
    assert caught.value.error_code == "agreement.already_refused"
    step = machine.decline(step.agreement, person="p2", reason="no", at=FIXED_TIME)
    assert (step.agreement.state, step.events) == (State.DECLINED, ("agreement.declined",))


def test_a_seal_waits_for_the_internal_approval():
    made = stages(("boss", "o1", 1, "approve"), ("a", "o1", 2, "sign"))
    with pytest.raises(ConflictError) as caught:
        put(made, 2, "a")
    assert caught.value.error_code == "agreement.not_your_turn"
    with pytest.raises(ForbiddenError):
        put(made, 1, "boss")  # an approver does not sign
    step = machine.approve(made, person="boss", field="f1", document_sha256=DOCUMENT, at=FIXED_TIME)
    assert step.events == ("approval.given",)
    with pytest.raises(ConflictError):
        machine.approve(
            step.agreement, person="boss", field="f1", document_sha256=DOCUMENT, at=FIXED_TIME
        )
    assert put(step.agreement, 2, "a").state is State.FORMED


def again(made, n, who, *, document=DOCUMENT, at=FIXED_TIME):
    return machine.approve_again(
        made, person=who, field=f"f{n}", document_sha256=document, at=at
    ).agreement


def approved(made, n, who):
    return machine.approve(
        made, person=who, field=f"f{n}", document_sha256=DOCUMENT, at=FIXED_TIME
    ).agreement


def test_an_approval_is_given_again_until_its_side_has_signed():
    rows = (("boss", "o1", 1, "approve"), ("a", "o1", 2, "sign"), ("c", "o2", 3, "sign"))
    made = stages(*rows)
    # Before the first one it is the first one.
    assert again(made, 1, "boss").approvals == approved(made, 1, "boss").approvals
    made = approved(made, 1, "boss")
    later = FIXED_TIME + timedelta(minutes=1)
    anew = again(made, 1, "boss", at=later)
    assert [(one.signer.person, one.at) for one in anew.approvals] == [("boss", later)]
    assert anew.waiting == made.waiting
    stranger = code_of(ForbiddenError, lambda: again(made, 1, "a"))
    assert stranger == "agreement.not_a_signer"
    other = code_of(ConflictError, lambda: again(made, 1, "boss", document=bytes(32)))
    assert other == "agreement.other_document"
    over = code_of(ConflictError, lambda: again(made, 1, "boss", at=UNTIL + timedelta(days=400)))
    assert over == "agreement.expired"
    signed = put(anew, 2, "a")
    assert code_of(ConflictError, lambda: again(signed, 1, "boss")) == "agreement.stage_done"
    whole = put(signed, 3, "c")
    assert code_of(ConflictError, lambda: again(whole, 1, "boss")) == "agreement.closed"


def test_who_was_not_needed_approves_in_place_of_another():
    rows = (("boss", "o1", 1, "approve"), ("vice", "o1", 1, "approve"), ("a", "o1", 2, "sign"))
    made = approved(stages(*rows, quorums={1: 1}), 1, "boss")
    assert code_of(ConflictError, lambda: approved(made, 2, "vice")) == "agreement.stage_done"
    assert {one.signer.person for one in again(made, 2, "vice").approvals} == {"boss", "vice"}
    # Where both are needed the second one is simply awaited.
    both = approved(stages(*rows), 1, "boss")
    assert again(both, 2, "vice").approvals == approved(both, 2, "vice").approvals


@pytest.mark.parametrize(
    ("given", "need", "others", "needed"),
    [
        (0, 1, 0, 0),
        (1, 1, 0, 1),
        (2, 1, 0, 1),
        (2, 2, 0, 2),
        (1, 1, 1, 1),
        (2, 3, 1, 2),
        (1, 2, 2, 1),
    ],
)
def test_as_many_approvals_of_a_side_count_as_the_stage_cannot_do_without(
    given, need, others, needed
):
    assert machine.approvals_needed(given=given, need=need, others=others) == needed


def test_values_differ_that_are_signed_and_not_approved_or_approved_and_taken_back():
    def of(*named):
        return [FieldValue(name, field, value) for name, field, value in named]

    mine, theirs, draft = ("sum", "b", "1"), ("place", "a", "here"), ("terms", "c", "soon")
    listed = of(mine, theirs, draft)
    assert differing(listed, of(mine, theirs), field="b") == [], "a draft of another place"
    assert differing([], [], field="b") == []
    assert differing([], of(theirs, mine), field="b") == ["place", "sum"]
    assert differing(listed, of(theirs), field="b") == ["sum"], "taken back"
    assert differing(listed, of(("sum", "b", "2"), theirs), field="b") == ["sum"]
    assert differing(listed, of(("sum", "a", "1"), theirs), field="b") == ["sum"], "by another"
    assert differing(listed, of(mine, ("place", "a", "there")), field="b") == ["place"]


def test_an_approver_of_another_document_is_refused():
    made = stages(("boss", "o1", 1, "approve"), ("a", "o1", 2, "sign"))
    with pytest.raises(ConflictError) as caught:
        machine.approve(made, person="boss", field="f1", document_sha256=bytes(32), at=FIXED_TIME)
    assert caught.value.error_code == "agreement.other_document"


@pytest.mark.parametrize(
    "rows",
    [
        (("a", "o1", 1, "sign"), ("b", "o1", 2, "approve")),
        (("a", "o1", 1, "sign"), ("b", "o1", 1, "approve"), ("c", "o1", 2, "sign")),
        (("b", "o9", 1, "approve"), ("a", "o1", 2, "sign")),
    ],
)
def test_stages_that_make_no_sense_are_refused(rows):
    with pytest.raises(InputError) as caught:
        stages(*rows)
    assert caught.value.error_code == "agreement.stages"


@pytest.mark.parametrize("quorums", [{1: 0}, {1: 3}, {7: 1}])
def test_a_quorum_no_stage_can_have_is_refused(quorums):
    with pytest.raises(InputError) as caught:
        stages(("a", "o1", 1, "sign"), ("b", "o1", 1, "sign"), quorums=quorums)
    assert caught.value.error_code == "agreement.quorum"


def test_a_place_is_handed_on_within_the_party_and_only_by_its_holder():
    made = stages(("a", "o1", 1, "sign"), ("c", "o2", 2, "sign"))
    with pytest.raises(ForbiddenError):
        machine.forward(made, field="f1", person="c", to="b", reason="ill", at=FIXED_TIME)
    step = machine.forward(made, field="f1", person="a", to="b", reason="ill", at=FIXED_TIME)
    assert step.events == ("signer.forwarded",)
    with pytest.raises(ForbiddenError):
        put(step.agreement, 1, "a")
    signed = put(step.agreement, 1, "b")
    with pytest.raises(ConflictError):
        machine.forward(signed, field="f1", person="b", to="a", reason="ill", at=FIXED_TIME)


def test_nobody_is_handed_a_second_place():
    made = stages(("a", "o1", 1, "sign"), ("b", "o1", 2, "sign"))
    with pytest.raises(InputError) as caught:
        machine.forward(made, field="f1", person="a", to="b", reason="ill", at=FIXED_TIME)
    assert caught.value.error_code == "agreement.signer_twice"


def test_an_agreement_is_released_by_all_its_parties_once():
    made = put(put(stages(("a", "o1", 1, "sign"), ("c", "o2", 2, "sign")), 1, "a"), 2, "c")
    ending = put(put(stages(("b", "o1", 1, "sign"), ("d", "o2", 2, "sign")), 1, "b"), 2, "d")
    other = put(stages(("b", "o1", 1, "sign")), 1, "b")
    with pytest.raises(ForbiddenError) as caught:
        machine.release(made, by=other, at=FIXED_TIME)
    assert caught.value.error_code == "agreement.other_parties"
    with pytest.raises(ConflictError):
        machine.release(made, by=stages(("a", "o1", 1, "sign")), at=FIXED_TIME)
    step = machine.release(made, by=ending, at=FIXED_TIME)
    assert (step.agreement.state, step.events) == (State.RELEASED, ("agreement.released",))
    assert step.agreement.formed_at == made.formed_at
    with pytest.raises(ConflictError) as again:
        machine.release(step.agreement, by=ending, at=FIXED_TIME)
    assert again.value.error_code == "agreement.already_released"
