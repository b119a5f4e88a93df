"""The form of two neighbouring states without the signature fields and page-edge seals that neither wrote.

pyHanko's rules for forms look at every field of the form in every step, so that fifty signatures cost
fifty times fifty looks. A signature field whose dictionary a revision does not write, and which both
states list once, is the same in both: no rule has anything to say about it. So is a group of push buttons
of which neither the group nor a box is written. Such fields are left out of the lists that the rules see;
all others stay, in their places.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
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
    """The signature fields and groups of boxes of one file that have a name, read once each."""

    def __init__(self) -> None:
        self._names: dict[_Key, str | None] = {}
        self._kids: dict[_Key, tuple[_Key, ...]] = {}
        self._revision = -1
        self._lists: dict[int, tuple[_Key, ...] | None] = {}

    def narrowed(self, old: Any, new: Any) -> tuple[Any, Any]:
        """Both states as the rules are to see them; as they are where anything is odd."""
        before, after = self._listed(old), self._listed(new)
        if before is None or after is None:
            return old, new
        if new.revision not in {self._revision, self._revision + 1}:
            self._names = {}
        self._revision = new.revision
        written = {_key(reference) for reference in new.explicit_refs_in_revision()}
        written |= {_key(reference) for reference in new.refs_freed_in_revision()}
        for key in written:
            self._names.pop(key, None)
        same = (set(before) & set(after)) - written
        skipped = {
            key: name
            for key in same
            if (name := self._name(new, key)) is not None and written.isdisjoint(self._kids[key])
        }
        # A field that is looked at may bear the name of one that is not: then all are looked at.
        for state, keys in ((old, before), (new, after)):
            names = [*skipped.values(), *_names_of(state, [k for k in keys if k not in skipped])]
            if len(set(names)) != len(names):
                return old, new
        return _Narrowed(old, before, skipped), _Narrowed(new, after, skipped)

    def _listed(self, state: Any) -> tuple[_Key, ...] | None:
        """The fields that a state lists, each once; None where the list is odd."""
        if state.revision not in self._lists:
            found = _fields(state)
            keys = None if found is None or len(found) > FIELDS_MAX else tuple(map(_key, found))
            if keys is not None and len(set(keys)) != len(keys):
                keys = None
            # The newer state of one step is the older one of the next.
            self._lists = {
                number: kept for number, kept in self._lists.items() if number == state.revision - 1
            }
            self._lists[state.revision] = keys
        return self._lists[state.revision]

    def _name(self, state: Any, key: _Key) -> str | None:
        if key not in self._names:
            item = object_at(state.reader, key, state.revision)
            kids = _boxes_of(item)
            for kid in kids:
                box = object_at(state.reader, kid, state.revision)
                if type(box) is not DictionaryObject or "/Kids" in box:
                    kids = ()  # only boxes themselves are looked for among what was written
                    break
            self._kids[key] = kids
            self._names[key] = _plain_name(item, with_boxes=bool(kids))
        return self._names[key]


class _Narrowed:
    """One state of the file, in whose form some fields are left out; all else is the state's own."""

    def __init__(self, state: Any, keys: Iterable[_Key], skipped: Container[_Key]) -> None:
        self._state = state
        dictionary: Any = DictionaryObject
        root, form = state.root, state.root["/AcroForm"]
        listed = list(list.__iter__(form["/Fields"]))
        # One object without a name stands for all that are left out, so that the others keep their places.
        nothing = _Held(listed[0], dictionary()) if listed else None
        fields = ArrayObject(
            nothing if key in skipped else item for key, item in zip(keys, listed, strict=True)
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
    reference = item.reference if isinstance(item, IndirectObject) else item
    return reference.idnum, reference.generation


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


def _boxes_of(item: Any) -> tuple[_Key, ...]:
    """The children of a group of push buttons, such as a page-edge seal has; () for any other field."""
    if type(item) is not DictionaryObject or dict.get(item, "/FT") != "/Btn":
        return ()
    kids = dict.get(item, "/Kids")
    if not isinstance(kids, ArrayObject):
        return ()
    found = list(list.__iter__(kids))
    return tuple(map(_key, found)) if all(isinstance(n, IndirectObject) for n in found) else ()


def _plain_name(item: Any, *, with_boxes: bool) -> str | None:
    """The name of a signature field that stands by itself, or of a group of boxes; None for others."""
    if type(item) is not DictionaryObject or "/Parent" in item:
        return None
    if ("/Kids" in item) != with_boxes:
        return None
    name = dict.get(item, "/T")
    kind = "/Btn" if with_boxes else "/Sig"
    if dict.get(item, "/FT") != kind or not isinstance(name, TextStringObject):
        return None
    return None if "." in name else str(name)


def _names_of(state: Any, keys: Iterable[_Key]) -> list[str]:
    found = [object_at(state.reader, key, state.revision) for key in keys]
    return [
        str(item.raw_get("/T"))
        for item in found
        if isinstance(item, DictionaryObject) and "/T" in item
    ]
