"""pyHanko's reader, quicker on signature values and on nothing else.

pyHanko reads hexadecimal strings one character at a time: a signature value of 20 000 digits costs as
much as the rest of a small file. Here the digits between the two parts of a byte range are taken out of
the object before pyHanko parses it, and its bytes are put in afterwards. What comes out is what pyHanko
would have read; where that is not certain, pyHanko reads the object itself.
"""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import io
import re
from collections.abc import Sequence
from typing import Any, Final

from pyhanko.pdf_utils.generic import (
    ArrayObject,
    ByteStringObject,
    DictionaryObject,
    IndirectObject,
    Reference,
    StreamObject,
    TextStringObject,
    pdf_string,
)
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.pdf_utils.xref import XRefCache

from signing import deadline
from signing.changes import ByteRange, byte_ranges
from signing.few_fields import PlainFields
from signing.quick_objects import Strings, read_plain
from signing.usages import Held, Usages, held_at, held_of

OBJECT_BYTES_MAX: Final = 65_536
"""Bytes before and behind the value that belong to its object; a signature dictionary has some hundred."""
VALUE_BYTES_MIN: Final = 512
"""Shorter values are not worth the detour."""
STREAM_KEPT_MAX: Final = 65_536
"""Bytes of a stream that is kept once it was read; the pictures of a scanned agreement fill its whole file,
and reading one anew costs next to nothing."""
HEAD_BYTES_MAX: Final = 4_096
"""Bytes of an object in which a value must begin for the ranges to be looked for."""
_WANTED_OFTEN: Final = ("/ObjStm", "/XRef")
"""Streams that hold other objects: unpacked once."""
_EMPTY: Final[Any] = DictionaryObject
_HOLDERS: Final = (IndirectObject, DictionaryObject, ArrayObject)
"""What can hold a reference."""
_VALUE: Final = re.compile(rb"/Contents\s*<[0-9A-Fa-f]{512}")


def _gaps(ranges: Sequence[ByteRange]) -> list[tuple[int, int]]:
    """Offsets of the `<` and behind the `>` of each value."""
    found = [(one.numbers[1], one.numbers[2]) for one in ranges if one.numbers and one.contents]
    return sorted(gap for gap in found if gap[1] - gap[0] > VALUE_BYTES_MIN)


def _is_large(item: Any) -> bool:
    if not isinstance(item, StreamObject) or dict.get(item, "/Type") in _WANTED_OFTEN:
        return False
    return len(item.encoded_data) > STREAM_KEPT_MAX


class _Resolver(HistoricalResolver):
    """One state of the file, which does not walk the whole document to know where an object is used."""

    def __init__(self, reader: Any, revision: int, usages: Usages) -> None:
        super().__init__(reader, revision)
        self._usages = usages
        self._root_ref = super().root_ref

    @property
    def root_ref(self) -> Any:
        return self._root_ref

    def get_object(
        self,
        ref: Any,
        as_metadata_stream: bool = False,  # noqa: FBT001, FBT002 - pyHanko's signature
    ) -> Any:
        found = super().get_object(ref, as_metadata_stream)
        if _is_large(found):
            self.cache.pop(ref, None)
        return found

    def _subsume_object(self, obj: Any) -> Any:
        """A copy whose references lead to objects of this state; as pyHanko's, for files without encryption."""
        like = obj.get_container_ref()
        return self._copied(obj, Reference(like.idnum, like.generation, pdf=self))

    def _copied(self, item: Any, container: Reference) -> Any:
        if isinstance(item, IndirectObject):
            make: Any = IndirectObject
            return make(item.idnum, item.generation, self)
        result: Any
        if isinstance(item, DictionaryObject):
            parts = {key: self._copied(value, container) for key, value in dict.items(item)}
            if isinstance(item, StreamObject):
                result = StreamObject(parts, encoded_data=item.encoded_data)
            else:
                result = _EMPTY()
                dict.update(result, parts)
        elif isinstance(item, ArrayObject):
            result = ArrayObject(
                self._copied(value, container) if isinstance(value, _HOLDERS) else value
                for value in list.__iter__(item)
            )
        else:
            return item
        result.container_ref = container
        return result

    def _collect_indirect_references(
        self, obj: Any, seen: set[Any], since_revision: int | None = None
    ) -> None:
        # As pyHanko's, which copies every object into this state and looks at each number of each
        # table of widths.
        tables = self.reader.xrefs
        stack = [key for _path, key in held_of(obj).references] if isinstance(obj, _HOLDERS) else []
        while stack:
            key = stack.pop()
            reference = Reference(*key, pdf=self)
            if reference in seen:
                continue
            if (
                since_revision is not None
                and tables.get_introducing_revision(reference) < since_revision
            ):
                continue
            seen.add(reference)
            held = held_at(self.reader, key, self.revision)
            # An object that is nothing but a reference leads nowhere.
            stack += [used for path, used in held.references if path]

    def _load_reverse_xref_cache(self) -> None:
        self._usages.move_to(self.revision)

    def _get_usages_of_ref(self, ref: Any) -> set[Any]:
        self._usages.move_to(self.revision)
        return self._usages.paths(ref)


class _Tables(XRefCache):
    """pyHanko's, which asks every table of the file anew for each object that is read."""

    def __init__(self, reader: Any, sections: Any) -> None:
        super().__init__(reader, sections)
        self._naming: dict[int, list[int]] = {}
        self._explicit: dict[int, frozenset[Reference]] = {}
        for revision, section in enumerate(sections):
            held = section.xref_data
            for number in (
                held.standard_xrefs.keys() | held.xrefs_in_objstm.keys() | held.freed.keys()
            ):
                self._naming.setdefault(number, []).append(revision)

    def _newest(self, ref: Any, revision: int) -> tuple[int, Any]:
        """The last revision up to the given one that says where the object is, and what it says."""
        for number in reversed(self._naming.get(ref.idnum, ())):
            if number <= revision:
                # A table that names another generation of the object says nothing about this one.
                with contextlib.suppress(KeyError):
                    return number, self._xref_sections[number].xref_data.try_resolve(ref)
        raise KeyError(ref)

    def get_last_change(self, ref: Any) -> int:
        return self._newest(ref, self.total_revisions - 1)[0]

    def change_until(self, ref: Any, revision: int) -> int:
        """The last revision up to the given one that says where the object is, else `KeyError`."""
        return self._newest(ref, revision)[0]

    def explicit_refs_in_revision(self, revision: int) -> set[Reference]:
        found = self._explicit.get(revision)
        if found is None:
            found = frozenset(super().explicit_refs_in_revision(revision))
            self._explicit[revision] = found
        return set(found)

    def get_historical_ref(self, ref: Any, revision: int) -> Any:
        try:
            return self._newest(ref, revision)[1]
        except KeyError:
            return None

    def get_introducing_revision(self, ref: Any) -> int:
        for number in self._naming.get(ref.idnum, ()):
            with contextlib.suppress(KeyError):
                if self._xref_sections[number].xref_data.try_resolve(ref) is not None:
                    return number
        raise KeyError(ref)


class QuickReader(PdfFileReader):
    """As `PdfFileReader`, given where the signature values stand."""

    def __init__(
        self, data: bytes, *, strict: bool, ranges: Sequence[ByteRange] | None = None
    ) -> None:
        """Open the file.

        Args:
            ranges: of the signatures; looked for when the first value is met where they are not given.
        """
        self._data = data
        self._gaps = None if ranges is None else _gaps(ranges)
        self._usages: Usages | None = None
        self.plain_fields: PlainFields | None = None
        self.held: dict[tuple[int, ...], Held] | None = None
        self._plain = False
        self._strings: Strings = {}
        self._read: dict[tuple[int, int, int], Any] = {}
        super().__init__(io.BytesIO(data), strict=strict)
        # Hybrid files have two opinions on each object; pyHanko weighs them itself.
        self._plain = strict and not self.encrypted and not self.xrefs.hybrid_xrefs_present
        if self._plain:
            sections = self.xrefs._xref_sections  # noqa: SLF001 - pyHanko has no other way to them
            self.xrefs = _Tables(self, sections)
            self._usages, self.plain_fields, self.held = Usages(self), PlainFields(), {}

    def get_historical_resolver(self, revision: int) -> HistoricalResolver:
        """As pyHanko's, with `Usages` behind it."""
        kept: dict[int, HistoricalResolver] = self._historical_resolver_cache
        if revision not in kept:
            if self._usages is None:
                return super().get_historical_resolver(revision)
            kept[revision] = _Resolver(self, revision, self._usages)
        return kept[revision]

    def cache_indirect_object(self, generation: int, idnum: int, obj: Any) -> Any:
        """As pyHanko's, without large streams."""
        if not _is_large(obj):
            self.resolved_objects[generation, idnum] = obj
        return obj

    def _read_object(
        self,
        ref: Any,
        marker: Any,
        never_decrypt: bool = False,  # noqa: FBT001, FBT002 - pyHanko's signature
        as_metadata_stream: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        deadline.check()  # whatever pyHanko does at length, it reads objects on the way
        if self._plain and isinstance(marker, int) and not as_metadata_stream:
            found = self._read_plain(ref, marker)
            if found is not None:
                return found
        gap = self._gap_behind(marker) if isinstance(marker, int) else None
        if gap is not None:
            found = self._without_digits(ref, marker, gap, never_decrypt=never_decrypt)
            if found is not None:
                return found
        return super()._read_object(ref, marker, never_decrypt, as_metadata_stream)

    def _read_plain(self, ref: Any, marker: int) -> Any:
        """An object written in a plain way, read once in all states that show it; else None."""
        key = (int(ref.idnum), int(ref.generation), marker)
        found = self._read.get(key)
        if found is None:
            reference = Reference(key[0], key[1], pdf=self)
            found = read_plain(self._data, marker, reference, self.stream, self._strings)
            if found is not None and not _is_large(found):
                self._read[key] = found
        return found

    def _gap_behind(self, start: int) -> tuple[int, int] | None:
        """The value inside the object at `start`, where one can be: no object ends before it."""
        if self._gaps is None:
            if not _VALUE.search(self._data, start, start + HEAD_BYTES_MAX):
                return None
            self._gaps = _gaps(byte_ranges(self._data))
        for gap in self._gaps:
            if start < gap[0] <= start + OBJECT_BYTES_MAX:
                return None if self._data.find(b"endobj", start, gap[0]) >= 0 else gap
        return None

    def _without_digits(
        self, ref: Any, start: int, gap: tuple[int, int], *, never_decrypt: bool
    ) -> Any:
        try:
            value = binascii.unhexlify(self._data[gap[0] + 1 : gap[1] - 1])
        except ValueError:
            return None
        mark = hashlib.sha256(value).digest()
        spliced = b"%s<%s>%s" % (
            self._data[start : gap[0]],
            mark.hex().encode("ascii"),
            self._data[gap[1] : gap[1] + OBJECT_BYTES_MAX],
        )
        whole, self.stream = self.stream, io.BytesIO(spliced)
        try:
            item = super()._read_object(ref, 0, never_decrypt)
        except Exception:  # noqa: BLE001 - whatever it is, pyHanko finds it again in the file itself
            return None
        finally:
            self.stream = whole
        if not isinstance(item, dict) or "/Contents" not in item:
            return None
        held = dict.__getitem__(item, "/Contents")
        if not isinstance(held, ByteStringObject | TextStringObject):
            return None
        if bytes(held.original_bytes) != mark:
            return None
        text = pdf_string(value)
        text.container_ref = held.container_ref
        dict.__setitem__(item, "/Contents", text)
        return item
