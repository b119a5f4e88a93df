"""Signed notes: shape, names and keys; any byte changed anywhere is refused."""

from __future__ import annotations

import base64
import threading

import pytest

from ledger.core.errors import UnavailableError, VerificationError
from ledger.core.units import digest32
from ledger.note import (
    NOTE_BYTES_MAX,
    TEXT_CHARS_MAX,
    Checkpoint,
    NoteSigner,
    VerifierKey,
    open_note,
    open_text,
    parse_note,
)

NAME = "log.example.invalid/fuqi"
CHECKPOINT = Checkpoint(NAME, 7, digest32(bytes(range(32))))
TEXT = "fuqi/some-text/v1\nsha256 00\n"


@pytest.fixture
def signer(tmp_path):
    return NoteSigner(tmp_path / "log.key", name=NAME)


@pytest.fixture
def stranger(tmp_path):
    return NoteSigner(tmp_path / "other.key", name=NAME)


def refusal(function, *arguments, **named):
    with pytest.raises(VerificationError) as caught:
        function(*arguments, **named)
    return caught.value.error_code


# ------------------------------------------------------------------ checkpoints
def test_a_checkpoint_is_three_lines_a_blank_one_and_a_signature(signer):
    note = signer.sign(CHECKPOINT)
    lines = note.split("\n")
    assert lines[:4] == [NAME, "7", base64.b64encode(bytes(range(32))).decode(), ""]
    assert lines[4].startswith(f"— {NAME} ")
    assert lines[5:] == [""]
    assert open_note(note, verifier=signer.verifier) == CHECKPOINT


def test_the_empty_log_has_a_checkpoint_too(signer):
    empty = Checkpoint(NAME, 0, digest32(bytes(32)))
    assert open_note(signer.sign(empty), verifier=signer.verifier) == empty


def test_a_note_of_exactly_the_limit_is_read_and_one_byte_more_is_not(signer):
    note = signer.sign(CHECKPOINT)
    # A cosignature line under a name that fills what is left.
    line = "— {} AAAA\n"
    room = NOTE_BYTES_MAX - len(note.encode()) - len(line.format("").encode())
    assert len((note + line.format("x" * room)).encode()) == NOTE_BYTES_MAX
    open_note(note + line.format("x" * room), verifier=signer.verifier)
    longer = note + line.format("x" * (room + 1))
    assert refusal(open_note, longer, verifier=signer.verifier) == "note.shape"


def test_a_text_of_exactly_the_limit_is_signed(signer):
    text = "a" * (TEXT_CHARS_MAX - 1) + "\n"
    assert open_text(signer.sign_text(text), verifier=signer.verifier) == text


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused_even_under_its_right_id(length):
    text = VerifierKey(name=NAME, public=bytes(length)).text()
    assert refusal(VerifierKey.parse, text) == "note.key"


def test_signing_again_gives_the_same_bytes(signer):
    assert signer.sign(CHECKPOINT) == signer.sign(CHECKPOINT)


def test_another_key_of_the_same_name_is_no_signature_of_this_log(signer, stranger):
    note = stranger.sign(CHECKPOINT)
    assert refusal(open_note, note, verifier=signer.verifier) == "note.unsigned"


def test_the_key_id_alone_does_not_help_a_forger(signer, stranger):
    note = stranger.sign(CHECKPOINT)
    _, lines = parse_note(note)
    forged = base64.b64encode(signer.verifier.key_id + lines[0][1][4:]).decode()
    body = note.partition("\n\n")[0]
    assert (
        refusal(open_note, f"{body}\n\n— {NAME} {forged}\n", verifier=signer.verifier)
        == "note.signature"
    )


def test_a_checkpoint_of_another_origin_is_of_another_log(signer):
    note = signer.sign(Checkpoint("other.example.invalid", 7, CHECKPOINT.root))
    assert refusal(open_note, note, verifier=signer.verifier) == "note.origin"


def test_cosignatures_of_others_do_no_harm_and_no_good(signer, stranger):
    ours, theirs = signer.sign(CHECKPOINT), stranger.sign(CHECKPOINT)
    theirs_line = theirs.split("\n")[4]
    assert open_note(f"{ours}{theirs_line}\n", verifier=signer.verifier) == CHECKPOINT
    assert open_note(f"{ours}{theirs_line}\n", verifier=stranger.verifier) == CHECKPOINT
    assert refusal(open_note, theirs, verifier=signer.verifier) == "note.unsigned"


def test_a_note_with_any_byte_changed_is_refused(signer):
    note = signer.sign(CHECKPOINT).encode()
    for position in range(len(note)):
        for change in (0x01, 0x20):
            altered = bytearray(note)
            altered[position] ^= change
            text = bytes(altered).decode("utf-8", "replace")
            assert refusal(open_note, text, verifier=signer.verifier).startswith("note.")


def test_a_note_with_any_byte_missing_or_doubled_is_refused(signer):
    note = signer.sign(CHECKPOINT)
    for position in range(len(note)):
        shorter = note[:position] + note[position + 1 :]
        longer = note[:position] + note[position] + note[position:]
        for text in (shorter, longer):
            assert refusal(open_note, text, verifier=signer.verifier).startswith("note.")


@pytest.mark.parametrize(
    "change",
    [
        lambda note: "",
        lambda note: note + "x" * NOTE_BYTES_MAX,
        lambda note: note.replace("\n7\n", "\n07\n"),
        lambda note: note.replace("\n7\n", "\n+7\n"),
        lambda note: note.replace("\n7\n", "\n-7\n"),
        lambda note: note.replace("\n7\n", "\n7 \n"),
        lambda note: note.replace("\n7\n", "\n٧\n"),
        lambda note: note.replace("\n7\n", "\n" + "9" * 4000 + "\n"),
        lambda note: note.replace("\n\n", "\nextension\n\n"),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note.replace("— ", "- "),
        lambda note: note.replace("\n", "\r\n"),
        lambda note: note[:-1],
        lambda note: note + "\n",
        lambda note: note.replace(NAME, "", 1),
        lambda note: "\ud800" + note,
    ],
)
def test_anything_of_another_shape_is_no_checkpoint(signer, change):
    note = signer.sign(CHECKPOINT)
    assert refusal(open_note, change(note), verifier=signer.verifier) == "note.shape"


# ------------------------------------------------------------------ verifier keys
def test_a_verifier_key_reads_back(signer):
    assert VerifierKey.parse(signer.verifier.text()) == signer.verifier


def test_a_verifier_key_with_any_character_changed_is_refused(signer):
    text = signer.verifier.text()
    for position in range(len(text)):
        for other in ("A", "0", "+", " "):
            if text[position] != other:
                altered = text[:position] + other + text[position + 1 :]
                assert refusal(VerifierKey.parse, altered) == "note.key"


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "\u3000", "\ud800"])
def test_a_name_that_would_read_two_ways_is_no_name(signer, name):
    key = VerifierKey(name=name, public=signer.verifier.public)
    try:
        text = key.text()
    except UnicodeEncodeError:
        text = f"{name}+00000000+AAAA"
    assert refusal(VerifierKey.parse, text) == "note.key"


@pytest.mark.parametrize("text", ["", "a", "a+b", "a+b+c", "a+00000000+====", "é+é+é"])
def test_what_is_no_key_is_refused(text):
    assert refusal(VerifierKey.parse, text) == "note.key"


def test_a_key_of_another_algorithm_is_refused(signer):
    name, _, encoded = signer.verifier.text().split("+", 2)
    raw = b"\x02" + base64.b64decode(encoded)[1:]
    text = f"{name}+00000000+{base64.b64encode(raw).decode()}"
    assert refusal(VerifierKey.parse, text) == "note.key"


# ------------------------------------------------------------------ signed texts
def test_a_signed_text_opens(signer):
    assert open_text(signer.sign_text(TEXT), verifier=signer.verifier) == TEXT


def test_a_signed_text_with_any_byte_changed_is_refused(signer, stranger):
    note = signer.sign_text(TEXT).encode()
    for position in range(len(note)):
        altered = bytearray(note)
        altered[position] ^= 0x01
        text = bytes(altered).decode("utf-8", "replace")
        assert refusal(open_text, text, verifier=signer.verifier).startswith("note.")
    assert refusal(open_text, note.decode(), verifier=stranger.verifier) == "note.unsigned"


def test_a_checkpoint_never_passes_for_a_text_nor_a_text_for_a_checkpoint(signer):
    note = signer.sign(CHECKPOINT)
    assert refusal(open_text, note, verifier=signer.verifier) == "note.shape"
    assert refusal(open_note, signer.sign_text(TEXT), verifier=signer.verifier) == "note.shape"
    with pytest.raises(AssertionError):
        signer.sign_text(CHECKPOINT.body())


@pytest.mark.parametrize(
    "text",
    ["", "no newline", "\n", "a\n\nb\n", "é\n", "a\tb\n", "a\r\n", "a" * TEXT_CHARS_MAX + "\n"],
)
def test_a_text_that_cannot_stand_in_a_note_is_our_own_bug(signer, text):
    with pytest.raises(AssertionError):
        signer.sign_text(text)


# ------------------------------------------------------------------ the key file
def test_the_key_is_made_once_for_its_owner_only_and_found_again(tmp_path):
    path = tmp_path / "keys" / "log.key"
    first = NoteSigner(path, name=NAME)
    assert path.stat().st_mode & 0o777 == 0o600
    assert NoteSigner(path, name=NAME).verifier == first.verifier
    assert [one.name for one in path.parent.iterdir()] == ["log.key"]


def test_two_first_starts_at_once_end_with_one_key(tmp_path):
    path = tmp_path / "log.key"
    start = threading.Barrier(8)
    found = []

    def begin():
        start.wait()
        found.append(NoteSigner(path, name=NAME).verifier)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {NoteSigner(path, name=NAME).verifier}
    assert len(found) == 8


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_key_file_is_named_and_never_replaced(tmp_path, data):
    path = tmp_path / "log.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(UnavailableError) as caught:
        NoteSigner(path, name=NAME)
    assert caught.value.error_code == "note.key_file"
    assert path.read_bytes() == data


def test_a_key_that_others_can_read_is_refused(tmp_path, signer):
    del signer
    path = tmp_path / "log.key"
    path.chmod(0o644)
    with pytest.raises(UnavailableError) as caught:
        NoteSigner(path, name=NAME)
    assert caught.value.error_code == "note.key_file"


def test_a_key_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UnavailableError) as caught:
        NoteSigner(tmp_path / "file" / "log.key", name=NAME)
    assert caught.value.error_code == "note.key_file"
