"""The form of two neighbouring states without the signature fields that neither wrote.

pyHanko's rules for forms look at every field of the form in every step, so that fifty signatures cost
fifty times fifty looks. A signature field whose dictionary a revision does not write, and which both
states list once, is the same in both: no rule has anything to say about it. Such fields are left out of
the lists that the rules see; all others stay, in their places.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from pyhanko.pdf_utils.generic import (
    ArrayObject,
    DictionaryObject,
    IndirectObject,
    TextStringObject,
)

from signing.usages import object_at

_Key: TypeAlias = tuple[int, int]

FIELDS_MAX: Final = 10_000
"""Longer lists are left to pyHanko as they are."""


class PlainFields:
    """The signature fields of one file that have a name and no children, read once each."""

    def __init__(self) -> None:
        self._names: dict[_Key, str | None] = {}
        self._revision = -1

    def narrowed(self, old: Any, new: Any) -> tuple[Any, Any]:
        """Both states as the rules are to see them; as they are where anything is odd."""
        lists = [_fields(state) for state in (old, new)]
        if any(found is None or len(found) > FIELDS_MAX for found in lists):
            return old, new
        if new.revision not in {self._revision, self._revision + 1}:
            self._names = {}
        self._revision = new.revision
        written = {_key(reference) for reference in new.explicit_refs_in_revision()}
        written |= {_key(reference) for reference in new.refs_freed_in_revision()}
        for key in written:
            self._names.pop(key, None)
        before, after = ([_key(item) for item in found or ()] for found in lists)
        if len(set(before)) != len(before) or len(set(after)) != len(after):
            return old, new
        same = (set(before) & set(after)) - written
        skipped = {key: name for key in same if (name := self._name(new, key)) is not None}
        # A field that is looked at may bear the name of one that is not: then all are looked at.
        for state, keys in ((old, before), (new, after)):
            names = [*skipped.values(), *_names_of(state, [k for k in keys if k not in skipped])]
            if len(set(names)) != len(names):
                return old, new
        return _Narrowed(old, skipped.keys()), _Narrowed(new, skipped.keys())

    def _name(self, state: Any, key: _Key) -> str | None:
        if key not in self._names:
            self._names[key] = _plain_name(object_at(state.reader, key, state.revision))
        return self._names[key]


class _Narrowed:
    """One state of the file, in whose form some fields are left out; all else is the state's own."""

    def __init__(self, state: Any, skipped: Iterable[_Key]) -> None:
        self._state = state
        dictionary: Any = DictionaryObject
        root, form = state.root, state.root["/AcroForm"]
        fields = ArrayObject(
            _Held(item, dictionary()) if _key(item) in skipped else item
            for item in list.__iter__(form["/Fields"])
        )
        few = dictionary({key: dict.__getitem__(form, key) for key in form})
        dict.__setitem__(few, "/Fields", _in_place_of(form.raw_get("/Fields"), fields))
        self.root = dictionary({key: dict.__getitem__(root, key) for key in root})
        dict.__setitem__(self.root, "/AcroForm", _in_place_of(root.raw_get("/AcroForm"), few))
        self.root.container_ref, few.container_ref = root.container_ref, form.container_ref
        fields.container_ref = form["/Fields"].container_ref

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def __call__(self, reference: Any) -> Any:
        return self._state(reference)


class _Held(IndirectObject):
    """A reference that shows an object of ours; without a name, a field is none to the rules."""

    def __init__(self, like: Any, item: Any) -> None:
        IndirectObject.__init__(self, like.idnum, like.generation, like.get_pdf_handler())  # type: ignore[no-untyped-call]
        self._item = item

    def get_object(self) -> Any:
        return self._item


def _in_place_of(raw: Any, item: Any) -> Any:
    return _Held(raw, item) if isinstance(raw, IndirectObject) else item


def _key(item: Any) -> _Key:
    return int(item.idnum), int(item.generation)


def _fields(state: Any) -> list[Any] | None:
    """The list of fields where it is one of references, else None."""
    root = state.root
    # Not .get: it would hand back the reference of an indirect dictionary.
    form = root["/AcroForm"] if "/AcroForm" in root else None  # noqa: SIM401
    if type(form) is not DictionaryObject or "/Fields" not in form:
        return None
    fields = form["/Fields"]
    if not isinstance(fields, ArrayObject):
        return None
    found = list(list.__iter__(fields))
    return found if all(isinstance(item, IndirectObject) for item in found) else None


def _plain_name(item: Any) -> str | None:
    """The name of a signature field that stands by itself; None for any other object."""
    if type(item) is not DictionaryObject or "/Kids" in item or "/Parent" in item:
        return None
    name = dict.get(item, "/T")
    if dict.get(item, "/FT") != "/Sig" or not isinstance(name, TextStringObject):
        return None
    return None if "." in name else str(name)


def _names_of(state: Any, keys: Iterable[_Key]) -> list[str]:
    found = [object_at(state.reader, key, state.revision) for key in keys]
    return [
        str(item.raw_get("/T"))
        for item in found
        if isinstance(item, DictionaryObject) and "/T" in item
    ]
