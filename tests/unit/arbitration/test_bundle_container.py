"""The one zip encoding: what is packed comes back, and nothing else is accepted."""

from __future__ import annotations

import io
import zipfile

import pytest

from arbitration import container
from arbitration.container import pack, unpack
from ledger.core.errors import InputError, VerificationError

FILES = {"manifest.json": b"{}", "documents/a.pdf": b"%PDF-", "empty.txt": b""}


def _zip(compression: int = zipfile.ZIP_STORED, *, comment: bytes = b"", names=("a.txt",)) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in names:
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = compression
            info.external_attr = 0o100644 << 16
            info.create_system = 3
            archive.writestr(info, b"text " * 20)
        archive.comment = comment
    return buffer.getvalue()


def test_packing_is_reproducible_and_order_does_not_matter():
    assert pack(FILES) == pack(dict(reversed(FILES.items())))
    assert unpack(pack(FILES)) == dict(sorted(FILES.items()))


def test_other_zip_tools_read_it():
    with zipfile.ZipFile(io.BytesIO(pack(FILES))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_a_stored_zip_of_the_standard_library_is_the_same_form():
    assert unpack(_zip()) == {"a.txt": b"text " * 20}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "bundle.not_zip"),
        (b"PK", "bundle.not_zip"),
        (_zip(zipfile.ZIP_DEFLATED), "bundle.compressed"),
        (_zip(comment=b"hidden"), "bundle.not_zip"),
        (_zip(names=("../a.txt",)), "bundle.path"),
        (_zip(names=("/a.txt",)), "bundle.path"),
        (_zip(names=("A.txt",)), "bundle.path"),
        (_zip(names=("a/b/c.txt",)), "bundle.path"),
        (_zip(names=("b.txt", "a.txt")), "bundle.not_canonical"),
        (b"x" + _zip(), "bundle.not_canonical"),
        (_zip() + b"x", "bundle.not_zip"),
        (_zip()[:-30], "bundle.not_zip"),
    ],
)
def test_any_other_zip_is_refused_with_its_reason(data: bytes, code: str):
    with pytest.raises(VerificationError) as caught:
        unpack(data)
    assert caught.value.error_code == code


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_under_one_name_are_refused():
    with pytest.raises(VerificationError) as caught:
        unpack(_zip(names=("a.txt", "a.txt")))
    assert caught.value.error_code == "bundle.duplicate"


@pytest.mark.parametrize(
    ("offset", "value", "code"),
    [
        (8, 1, "bundle.encrypted"),  # general purpose flags
        (30, 4, "bundle.extra"),  # extra field length
        (32, 4, "bundle.comment"),  # file comment length
        (24, 7, "bundle.compressed"),  # sizes that differ
        (42, 9, "bundle.truncated"),  # offset that leads past the list of files
    ],
)
def test_a_directory_record_with_odd_fields_is_refused(offset: int, value: int, code: str):
    data = bytearray(pack({"a.txt": b"text"}))
    start = data.index(b"PK\x01\x02")
    data[start + offset] = value
    with pytest.raises(VerificationError) as caught:
        unpack(bytes(data))
    assert caught.value.error_code == code


def test_every_single_flipped_bit_is_noticed():
    data = pack(FILES)
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with pytest.raises(VerificationError):
                unpack(bytes(changed))


def test_limits_hold_on_the_way_in_and_out(monkeypatch: pytest.MonkeyPatch):
    data = pack(FILES)
    monkeypatch.setattr(container, "FILES_MAX", 2)
    with pytest.raises(VerificationError) as caught:
        unpack(data)
    assert caught.value.error_code == "bundle.limit"
    with pytest.raises(InputError) as refused:
        pack(FILES)
    assert refused.value.error_code == "bundle.limit"
    monkeypatch.setattr(container, "FILES_MAX", 2000)
    monkeypatch.setattr(container, "TOTAL_BYTES_MAX", 100)
    with pytest.raises(VerificationError):
        unpack(data)
    with pytest.raises(InputError):
        pack(FILES)


@pytest.mark.parametrize(
    "path", ["", "..", "a//b", "a/../b", ".hidden", "ä.txt", "a" * 121, "a\x00b"]
)
def test_a_path_that_plays_tricks_is_never_written(path: str):
    with pytest.raises(InputError) as caught:
        pack({path: b""})
    assert caught.value.error_code == "bundle.path"
