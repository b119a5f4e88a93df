"""The trust file of receipts: old files read as they did, new members are strict."""

import copy
import json
from pathlib import Path

import pytest

from ledger.core.errors import InputError
from ledger.ledger_trust import CHECKPOINTS_MAX, LedgerTrust, read_ledger_trust

VECTORS = Path(__file__).parents[2] / "golden" / "receipt" / "vectors"


def trust_of(name):
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["trust"]


def refused(value):
    with pytest.raises(InputError) as caught:
        LedgerTrust.from_json(value)
    assert caught.value.error_code == "trust.malformed"


@pytest.mark.parametrize(
    "name",
    ["valid-final", "view-same", "status-good", "witnesses-none", "finality-stated", "seals-none"],
)
def test_a_file_is_written_as_it_was_read(name):
    value = trust_of(name)
    assert LedgerTrust.from_json(value).as_json() == value


def test_members_that_nobody_asked_for_are_not_written():
    assert set(LedgerTrust.from_json(trust_of("valid-final")).as_json()) == {"v", "log", "chains"}


@pytest.mark.parametrize("age", [-1, True, "60", 1.5, None, [], {}])
def test_an_age_is_a_whole_number_of_seconds(age):
    refused({**trust_of("valid-final"), "status": {"max_age_seconds": age}})


@pytest.mark.parametrize("value", ["", 7, {}, [7], ["not a note"], [None]])
def test_what_is_no_list_of_notes_is_refused(value):
    if value == {}:
        refused({**trust_of("valid-final"), "checkpoints": value})
        return
    refused({**trust_of("valid-final"), "checkpoints": value})


def test_a_note_that_the_log_did_not_sign_accuses_nobody():
    trust = trust_of("view-split")
    signed = trust["checkpoints"][0]
    refused({**trust, "checkpoints": [signed.replace("\n11\n", "\n12\n")]})
    refused({**trust, "checkpoints": [signed] * (CHECKPOINTS_MAX + 1)})


@pytest.mark.parametrize("word", ["seals", "yes", True, 1, None, []])
def test_only_the_one_word_takes_the_logs_word_for_finality(word):
    trust = copy.deepcopy(trust_of("finality-stated"))
    trust["chains"][0]["finality"] = word
    refused(trust)


def test_the_file_of_the_whole_trust_reads_as_well():
    value = trust_of("valid-final")
    alone = read_ledger_trust(json.dumps(value).encode())
    whole = {"v": "fuqi/trust/v1", "pki": {}, "ledger": value}
    assert read_ledger_trust(json.dumps(whole).encode()) == alone


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"7", b"{}", b'{"v":"fuqi/trust/v1"}'])
def test_what_is_no_trust_file_is_refused(data):
    with pytest.raises(InputError) as caught:
        read_ledger_trust(data)
    assert caught.value.error_code == "trust.malformed"
