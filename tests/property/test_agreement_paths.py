"""Whatever is attempted, in whatever order: no path forms an agreement but all signatures in order."""

import hashlib
from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.errors import FuqiError
from signing import agreement as machine
from signing.agreement import FINAL_STATES, Signer, State
from signing.testing import FIXED_TIME

UNTIL = FIXED_TIME + timedelta(hours=10)
PEOPLE = ("p1", "p2", "p3", "stranger")
PARTIES = ("o1", "o2", "p3", "stranger")
FIELDS = ("f1", "f2", "f3", "nowhere")


def digest(n):
    return hashlib.sha256(str(n).encode()).digest()


signer_lists = st.builds(
    lambda orders: [
        Signer(person=f"p{i}", organisation=None if i == 3 else f"o{i}", field=f"f{i}", order=order)
        for i, order in enumerate(orders, start=1)
    ],
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
quorum_maps = st.dictionaries(st.integers(1, 3), st.integers(1, 3), max_size=2)
# Right attempts are drawn more often, or few paths would reach formation.
actions = st.one_of(
    st.tuples(st.just("publish"), st.just(None), st.just(None)),
    st.tuples(st.just("consent"), st.sampled_from(PARTIES), st.just(None)),
    st.tuples(st.just("consent"), st.sampled_from(PARTIES[:3]), st.just(None)),
    st.tuples(st.just("next"), st.just(None), st.just(None)),
    st.tuples(st.just("next"), st.just(None), st.just(None)),
    st.tuples(st.just("sign"), st.sampled_from(PEOPLE), st.sampled_from(FIELDS)),
    st.tuples(st.just("stale"), st.sampled_from(PEOPLE), st.sampled_from(FIELDS)),
    st.tuples(st.just("decline"), st.sampled_from(PEOPLE), st.just(None)),
    st.tuples(st.just("forward"), st.sampled_from(PEOPLE), st.sampled_from(FIELDS)),
    st.tuples(st.just("withdraw"), st.sampled_from(PARTIES), st.just(None)),
    st.tuples(st.just("expire"), st.just(None), st.just(None)),
)


def attempt(agreement, action, *, n, at):
    kind, who, field = action
    if kind == "next" and agreement.waiting:
        kind, who, field = "sign", agreement.waiting[0].person, agreement.waiting[0].field
    match kind:
        case "publish":
            return machine.publish(
                agreement, document_sha256=digest("document"), expires_at=UNTIL, at=at
            )
        case "consent":
            return machine.consent(agreement, party=who, at=at)
        case "sign" | "stale":
            base = digest("other") if kind == "stale" else agreement.head_sha256
            return machine.sign(
                agreement,
                person=who,
                field=field,
                document_sha256=digest("document"),
                base_sha256=base or digest("none"),
                revision_sha256=digest(n),
                at=at,
            )
        case "decline":
            return machine.decline(agreement, person=who, reason="r", at=at)
        case "forward":
            return machine.forward(
                agreement, field=field, person=who, to=f"deputy {n}", reason="r", at=at
            )
        case "withdraw":
            return machine.withdraw(agreement, party=who, reason="r", at=at)
        case "expire":
            return machine.expire(agreement, at=at)
    return machine.Step(agreement, ())


@settings(max_examples=300, deadline=None)
@given(
    signers=signer_lists,
    quorums=quorum_maps,
    path=st.lists(actions, max_size=25),
    hours=st.integers(0, 12),
)
def test_every_path_keeps_the_rules(signers, quorums, path, hours):
    sizes = Counter(signer.order for signer in signers)
    fitting = {stage: min(n, sizes[stage]) for stage, n in quorums.items() if stage in sizes}
    agreement = machine.draft("agr_1", initiator="o1", signers=signers, quorums=fitting)
    events = []
    for n, action in enumerate(path):
        at = FIXED_TIME + timedelta(minutes=n) + timedelta(hours=hours if n > 12 else 0)
        before = agreement
        try:
            step = attempt(agreement, action, n=n, at=at)
        except FuqiError:
            continue
        agreement = step.agreement
        events += step.events
        if before.state in FINAL_STATES:
            assert agreement is before
            assert step.events == ()
        # What stood before still stands.
        assert agreement.signatures[: len(before.signatures)] == before.signatures
        assert before.consents <= agreement.consents
        assert before.document_sha256 in (None, agreement.document_sha256)
    check_rules(agreement, events)


def check_rules(agreement, events):
    signed = [one.signer for one in agreement.signatures]
    quorums, sizes = dict(agreement.quorums), Counter(s.order for s in agreement.signers)
    counts = Counter(one.order for one in signed)
    need = {stage: quorums.get(stage, size) for stage, size in sizes.items()}
    assert (agreement.state is State.FORMED) == (counts == need)
    assert all(counts[stage] <= n for stage, n in need.items())
    assert not {one.field for one in signed} & agreement.refusals
    assert [one.order for one in signed] == sorted(one.order for one in signed)
    assert len(set(signed)) == len(signed)
    assert events.count("signature.applied") == len(signed)
    assert events.count("agreement.formed") == (agreement.state is State.FORMED)
    if signed:
        assert agreement.consents == set(agreement.parties)
        assert all(one.at < UNTIL for one in agreement.signatures)
        chain = [agreement.document_sha256, *(one.revision_sha256 for one in agreement.signatures)]
        assert [one.base_sha256 for one in agreement.signatures] == chain[:-1]
    if agreement.state is State.FORMED:
        assert agreement.formed_at == max(one.at for one in agreement.signatures)
    else:
        assert agreement.formed_at is None


@settings(max_examples=50, deadline=None)
@given(signers=signer_lists)
def test_the_straight_path_always_forms(signers):
    agreement = machine.draft("agr_1", initiator="o1", signers=signers)
    agreement = attempt(agreement, ("publish", None, None), n=0, at=FIXED_TIME).agreement
    for party in agreement.parties:
        agreement = machine.consent(agreement, party=party, at=FIXED_TIME).agreement
    for n in range(1, len(signers) + 1):
        agreement = attempt(agreement, ("next", None, None), n=n, at=FIXED_TIME).agreement
    assert agreement.state is State.FORMED
    check_rules(agreement, ["signature.applied"] * len(signers) + ["agreement.formed"])
