"""A CSV file becomes agreements, row by row; a refused row stops no other. Identities are invented."""

from __future__ import annotations

import csv
import io
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from api.compose import open_ports
from api.flows import bulk
from api.flows.annexes import ClauseSpec
from api.flows.registration import register
from api.settings import Settings
from api.testing import caller_of, invented_registration
from api.views.agreements import agreement_facts
from ledger.core.errors import FuqiError
from ledger.core.ids import derived_id, id_time, new_id
from ledger.queries import agreements as queries
from ledger.store import transaction
from signing.testing_pdf import SAMPLE_DONATION

AT = datetime(2026, 11, 23, 5, 36, 11, tzinfo=UTC)
HEADING = (
    "who",
    "title",
    "agreement_no",
    "party_b.address",
    "items.0.quantity:int",
    "amount_minor",
)


def file_of(*rows, heading=HEADING):
    buffer = io.StringIO()
    csv.writer(buffer).writerows([heading, *rows])
    return b"\xef\xbb\xbf" + buffer.getvalue().encode()


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    home = tmp_path_factory.mktemp("bulk")
    ports = open_ports(Settings(home=home, demo=True), at=AT)
    donor = register(ports, invented_registration("bulk-donor", "donor", at=AT), at=AT)
    hospital = register(ports, invented_registration("bulk-hospital", "hospital", at=AT), at=AT)
    return ports, caller_of(donor), hospital.account.login


def order(**changed):
    data = deepcopy(SAMPLE_DONATION)
    del data["agreement_no"]
    return bulk.Order(
        **{
            "id": new_id("blk", at=AT),
            "template": "donation",
            "own_party": "party_a",
            "title": "批量捐赠协议（虚构）",
            "matter": "donation",
            "expires_at": AT + timedelta(days=30),
            "data": data,
            "no_amount": True,
            **changed,
        }
    )


def send(ground, made, rows, *, first=1, count=50, check=False):
    ports, caller, _ = ground
    return bulk.send_rows(ports, caller, made, rows, first=first, count=count, check=check, at=AT)


def count_of(ground):
    ports, caller, _ = ground
    with transaction(ports.readers) as session:
        return len(
            queries.agreements_page(session, organisation_id=caller.organisation_id, limit=100)
        )


def test_each_row_is_sent_or_refused_for_itself_and_again_finishes_the_rest(ground):
    login = ground[2]
    good = (login, "", "批-1", "虚构路1号", "20", "")
    rows = bulk.read_rows(
        file_of(
            good,
            ("nobody", "", "批-2", "虚构路2号", "20", ""),
            (login, "第三份（虚构）", "批-3", "虚构路3号", "many", ""),
            (login, "", "", "虚构路4号", "20", ""),
            (login, "第五份（虚构）", "批-5", "虚构路5号", "7", "12345"),
        )
    )
    made, before = order(), count_of(ground)
    tried = send(ground, made, rows, check=True)
    expected = [
        ("would_send", "", ""),
        ("refused", "signer.unknown", "who"),
        ("refused", "bulk.integer", "items.0.quantity"),
        ("refused", "template.field_missing", "agreement_no"),
        ("would_send", "", ""),
    ]
    assert [(one.outcome, one.code, one.field) for one in tried] == expected
    assert count_of(ground) == before
    sent = send(ground, made, rows, first=1, count=2) + send(ground, made, rows, first=3)
    assert [one.outcome for one in sent] == ["sent", "refused", "refused", "refused", "sent"]
    assert [one.number for one in sent] == [1, 2, 3, 4, 5]
    assert count_of(ground) == before + 2
    rows[1]["who"] = login
    again = send(ground, made, rows)
    assert [one.outcome for one in again][:2] == ["sent_before", "sent"]
    assert count_of(ground) == before + 3
    rows[0]["agreement_no"] = "批-1-changed"
    changed = send(ground, made, rows, count=1)[0]
    assert (changed.outcome, changed.code) == ("refused", "state.exists_with_different_field")
    ports, _, _ = ground
    with transaction(ports.readers) as session:
        fifth = queries.lock_agreement(session, sent[4].agreement_id)
        assert (fifth.title, fifth.amount_minor) == ("第五份（虚构）", 12345)
        signers = queries.signers_of(session, fifth.id)
        assert [one.role for one in signers] == ["donor", "recipient"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe\x00", "bulk.encoding"),
        ("who\n一\n".encode("utf-16"), "bulk.encoding"),
        (b"", "bulk.columns"),
        (b"title\nx\n", "bulk.columns"),
        (b"who\n", "bulk.columns"),
        (b"who,who\na,b\n", "bulk.columns"),
        (b"who,__class__\na,b\n", "bulk.columns"),
        (b"who,items.0.quantity:float\na,b\n", "bulk.columns"),
        (b"who,purpose,purpose\na,b,c\n", "bulk.columns"),
        (b"who,purpose\na\n", "bulk.row"),
        (b'who,purpose\na,"b\n', "bulk.columns"),
        (b"who,purpose\na," + b"x" * 2_001 + b"\n", "bulk.row"),
        (b"who\n" + b"a\n" * 2_001, "bulk.rows"),
    ],
)
def test_a_file_that_is_no_list_of_rows_is_refused(data, code):
    with pytest.raises(FuqiError) as caught:
        bulk.read_rows(data)
    assert caught.value.error_code == code


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_read_as_spreadsheets_in_china_save_it(encoding):
    (row,) = bulk.read_rows("who,purpose\na,用于䶮医院\n".encode(encoding))
    assert row == {"who": "a", "purpose": "用于䶮医院"}


@pytest.mark.parametrize(
    ("column", "code"),
    [("items.5.name", "bulk.path"), ("purpose.more", "bulk.path"), ("items.name", "bulk.path")],
)
def test_a_path_that_does_not_fit_is_named(ground, column, code):
    rows = bulk.read_rows(file_of((ground[2], "x"), heading=("who", column)))
    made = order(data={**deepcopy(SAMPLE_DONATION)})
    (one,) = send(ground, made, rows)
    assert (one.outcome, one.code, one.field) == ("refused", code, column)


def test_what_names_and_authority_say_is_taken_from_the_record(ground):
    made = order(data={**deepcopy(SAMPLE_DONATION), "party_b": "x"})
    (one,) = send(
        ground, made, bulk.read_rows(file_of((ground[2], "n"), heading=("who", "agreement_no")))
    )
    assert (one.code, one.field) == ("template.field_type", "party_b")


@pytest.mark.parametrize(
    ("changed", "slice_", "code"),
    [
        ({"id": "agr_01k00000000000000000000000"}, {}, "id.malformed"),
        ({"template": "lease"}, {}, "bulk.template"),
        ({"own_party": "party_c"}, {}, "bulk.template"),
        ({}, {"count": 51}, "bulk.slice"),
        ({}, {"first": 0}, "bulk.slice"),
    ],
)
def test_an_order_that_cannot_be_is_refused_as_a_whole(ground, changed, slice_, code):
    with pytest.raises(FuqiError) as caught:
        send(ground, order(**changed), [{"who": "x"}], **slice_)
    assert caught.value.error_code == code


def test_the_time_of_an_id_is_read_back():
    made = new_id("blk", at=AT)
    assert id_time(made) == AT
    assert derived_id("agr", at=id_time(made), seed="x") == derived_id("agr", at=AT, seed="x")
    for value in ("blk_x", "blk_zzzzzzzzzzzzzzzzzzzzzzzzzz"):
        with pytest.raises(FuqiError) as caught:
            id_time(value)
        assert caught.value.error_code == "id.malformed"


def test_clauses_files_and_reading_time_go_with_every_row(ground):
    login = ground[2]
    rows = bulk.read_rows(
        file_of(
            (login, "", "批-c1", "虚构路1号", "20", ""),
            (login, "", "批-c2", "虚构路2号", "20", "500"),
        )
    )
    made = order(
        no_amount=False,
        point_out=True,
        ask=("医疗机构执业许可证",),
        read_seconds_min=20,
        place_of_formation="武汉",
        clauses=(ClauseSpec("price", "本合同适用中华人民共和国法律", "适用中国法。"),),
    )
    one, two = send(ground, made, rows)
    assert (one.outcome, one.code) == ("refused", "agreement.amount_unstated")
    assert (two.outcome, two.code) == ("sent", "")
    ports, caller, _ = ground
    with transaction(ports.readers) as session:
        facts = agreement_facts(session, caller, two.agreement_id)
    # Those of the template first, in the words of the rendered document, then the order's own.
    assert [one.kind for one in facts.clauses] == [
        "termination", "other", "other", "disputes", "price",
    ]  # fmt: skip
    assert "虚构路2号" in facts.clauses[2].text
    assert all(one.page >= 1 for one in facts.clauses)
    assert [(one.field, one.required) for one in facts.demands] == [(facts.signers[1].field, True)]
    assert (facts.read_seconds_min, facts.place_of_formation) == (20, "武汉")
    assert [one.must_confirm for one in facts.signers] == [False, True]
    absent = order(clauses=(ClauseSpec("price", "这句话不在协议里"),))
    (refused,) = send(ground, absent, rows, count=1)
    assert (refused.outcome, refused.code) == ("refused", "clause.not_found")


def test_the_example_file_can_be_sent_as_it_stands_but_for_the_handler(ground):
    rows = bulk.read_rows(bulk.example())
    rows[0]["who"] = ground[2]
    (one,) = send(ground, order(data={}), rows, check=True)
    assert (one.outcome, one.code, one.field) == ("would_send", "", "")
