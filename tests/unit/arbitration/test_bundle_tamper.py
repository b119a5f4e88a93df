"""One changed byte anywhere in a real bundle: in a header, in any file, repacked or not."""

from __future__ import annotations

import pytest

from arbitration.checks import manifest, seal
from arbitration.checks.all import verify_bundle
from arbitration.checks.context import Context
from arbitration.container import unpack
from arbitration.model import OUTSIDE_MANIFEST, open_files
from ledger.core.errors import FuqiError, VerificationError
from ledger.core.report import Report, Verdict


def _quick(made, files: dict[str, bytes]) -> set[str]:
    """Codes that fail among opening, manifest and seal, without examining the PDF each time."""
    try:
        bundle = open_files(files)
    except VerificationError as exc:
        return {exc.error_code}
    context = Context(
        bundle=bundle,
        trust=made.trust,
        at=made.at,
        pki=made.trust.pki,
        pdf=Report("pdf", ()),
        signatures=(),
        receipts=(),
    )
    failed = set()
    for module in (manifest, seal):
        try:
            if module.check(context).verdict is Verdict.FAILED:
                failed.add(module.CODE)
        except (FuqiError, ValueError, KeyError, TypeError, AttributeError):
            failed.add(module.CODE)
    return failed


def test_one_byte_of_every_file_repacked_is_named(made):
    files = made.files
    for path, content in files.items():
        for position in {0, len(content) // 2, len(content) - 1}:
            changed = bytearray(content)
            changed[position] ^= 1
            found = _quick(made, {**files, path: bytes(changed)})
            assert found, f"{path} at {position}"
            if path not in OUTSIDE_MANIFEST and not path.endswith(".json"):
                assert "bundle.manifest" in found, path
            if path.startswith("seal/"):
                assert found == {"bundle.seal"}, path


def test_a_file_left_out_or_added_is_named(made):
    files = made.files
    for path in files:
        rest = {name: data for name, data in files.items() if name != path}
        assert _quick(made, rest), path
    assert "bundle.manifest" in _quick(made, {**files, "certificates/more.der": b"x"})


@pytest.mark.parametrize("share", [0, 13, 29, 50, 71, 88, 97, 100])
def test_one_raw_byte_of_the_zip_fails_the_container(made, share: int):
    changed = bytearray(made.data)
    changed[(len(changed) - 1) * share // 100] ^= 0x20
    report = verify_bundle(bytes(changed), trust=made.trust, at=made.at)
    assert report.verdict is Verdict.FAILED
    assert report.checks[0].code == "bundle.container"
    assert report.checks[0].verdict is Verdict.FAILED


def test_every_byte_of_every_header_is_guarded(made):
    data, ranges, position = made.data, [], 0
    while data[position : position + 4] == b"PK\x03\x04":
        name = int.from_bytes(data[position + 26 : position + 28], "little")
        size = int.from_bytes(data[position + 18 : position + 22], "little")
        ranges.append(range(position, position + 30 + name))
        position += 30 + name + size
    ranges.append(range(position, len(data)))
    places = [place for one in ranges for place in one]
    assert len(places) > 5000
    for place in places[::17]:
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(VerificationError):
            unpack(bytes(changed))
