"""By which paths each object of a PDF is reached in its successive states, found once and carried on.

pyHanko's difference analysis asks how the objects that a revision overwrites were used before it, and
walks every path of the whole document to know, anew for each revision: with fifty signatures that is
most of the work of a verification. Here the references out of each object are noted once; a later state
changes only those of the objects that it writes, and the paths to one object are followed only through
what leads to it. The paths are the ones that pyHanko finds (a test compares them on every file at hand).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pyhanko.pdf_utils.generic import (
    ArrayObject,
    BooleanObject,
    ByteStringObject,
    DictionaryObject,
    FloatObject,
    IndirectObject,
    NameObject,
    NullObject,
    NumberObject,
    Reference,
    TextStringObject,
)
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import RawPdfPath

from signing import deadline

_Key: TypeAlias = tuple[int, int]
"""Number and generation of an object."""
_Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the trailer, or from the object that holds a reference."""

PATHS_MAX: Final = 50_000
"""Paths to one object: fifty signatures refer to the catalogue by two paths each."""
_ROOT: Final = "/Root"
_PAGES: Final[_Path] = (_ROOT, "/Pages")
_STRUCTURE: Final[_Path] = (_ROOT, "/StructTreeRoot", "/K")
"""Below this path the structure tree is meant, and not an index of it."""
_PARENT: Final = "/Parent"
_LEAVES: Final = frozenset(
    (
        *(NumberObject, FloatObject, BooleanObject, NullObject),
        *(NameObject, TextStringObject, ByteStringObject),
    )
)
"""Kinds that hold nothing: most values of an object are such, thousands of numbers in a font."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one object holds, whoever asks; the object itself is not kept, as it may be large.

    Attributes:
        references: path and target of every reference in it.
        edges: those of them that the paths of a document go along: by no parent, and not the object
            that is nothing but a reference.
        keys: of every dictionary in it, at any depth.
        names: the keys of the object where it is a dictionary and no stream.
    """

    references: tuple[tuple[_Path, _Key], ...]
    edges: tuple[tuple[_Path, _Key], ...]
    keys: frozenset[str]
    names: frozenset[str]


class Usages:
    """The references of one file, in one revision after the other.

    Only for files without hybrid tables and without encryption.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._revision: int | None = None
        self._trailer: list[tuple[_Path, _Key]] = []
        self._edges: dict[_Key, tuple[tuple[_Path, _Key], ...]] = {}
        self._users: dict[_Key, set[_Key]] = {}
        self._pages = _PageTree()
        self._structure = _StructureTree()
        self._asked: dict[_Key, set[Any]] = {}

    def move_to(self, revision: int) -> None:
        """Know the state at `revision`. Whatever pyHanko raises on an odd file passes upwards."""
        if revision == self._revision:
            return
        known, self._revision, self._asked = self._revision, None, {}
        if known is None or revision < known:
            self._edges, self._users = {}, {}
            self._pages, self._structure = _PageTree(), _StructureTree()
            written: set[_Key] = set()
        else:
            written = set(self._written(range(known + 1, revision + 1)))
        self._trailer = list(held_of(self._reader.trailer.flatten(revision)).edges)
        again = [key for key in written if self._edges.pop(key, None) is not None]
        self._note([*again, *(key for _path, key in self._trailer)], revision)
        root = self._reader.get_historical_resolver(revision).root
        self._pages.load(root, written)
        self._structure.load(root, written)
        self._revision = revision

    def paths(self, reference: Any) -> set[Any]:
        """Every path from the trailer to the object, in the state that was moved to.

        Raises:
            PdfReadError: more than `PATHS_MAX`.
        """
        target = _key(reference)
        if target in self._asked:
            return self._asked[target]
        found: set[_Path] = set()
        if not self._is_named(target):
            return self._asked.setdefault(target, set())
        root = next((key for path, key in self._trailer if path == (_ROOT,)), None)
        for path, key in self._trailer:
            # What leads back to the catalogue leads nowhere on a path that began there.
            near = self._leading_to(target, closed=root if key == root else None)
            if key == target or key in near:
                self._follow(path, key, target, near, found)
        self._asked[target] = {RawPdfPath(*path) for path in found}
        return self._asked[target]

    def _is_named(self, target: _Key) -> bool:
        """Whether anything at all refers to the object; most of what a revision brings is new."""
        return (
            target in self._users
            or target in self._pages.canonical
            or any(key == target for _path, key in self._trailer)
        )

    def _written(self, revisions: Iterable[int]) -> Iterator[_Key]:
        tables = self._reader.xrefs
        for revision in revisions:
            for reference in tables.explicit_refs_in_revision(revision):
                yield int(reference.idnum), int(reference.generation)
            for reference in tables.refs_freed_in_revision(revision):
                yield int(reference.idnum), int(reference.generation)

    def _note(self, keys: Iterable[_Key], revision: int) -> None:
        """Read the references of these objects and of all that are reached from them and not known yet."""
        stack = list(keys)
        while stack:
            deadline.check()
            key = stack.pop()
            if key in self._edges:
                continue
            edges = held_at(self._reader, key, revision).edges
            self._edges[key] = edges
            for _path, used in edges:
                # Users that no longer are stay listed: the paths are followed from the trailer.
                self._users.setdefault(used, set()).add(key)
                stack.append(used)

    def _leading_to(self, target: _Key, *, closed: _Key | None) -> set[_Key]:
        """Every object from which a path may lead to the target; rather too many than too few.

        Args:
            closed: an object behind which nothing is looked for.
        """
        near: set[_Key] = set()
        stack = [target]
        tree = target in self._pages.canonical
        while stack:
            key = stack.pop()
            for user in self._users.get(key, ()):
                if user in near:
                    continue
                near.add(user)
                if user in self._pages.canonical:
                    tree = True
                elif user != closed:
                    stack.append(user)
        if tree:
            # A node of the page tree is entered from its parent only.
            near |= self._pages.inner
            if closed is not None:
                near.add(closed)
        return near

    def _follow(
        self, start: _Path, first: _Key, target: _Key, near: set[_Key], found: set[_Path]
    ) -> None:
        """Add every path to the target that begins with `start`, by the rules of pyHanko's walk."""
        stack: list[tuple[_Path, _Key, frozenset[_Key]]] = [(start, first, frozenset())]
        while stack:
            deadline.check()
            path, key, seen = stack.pop()
            if key in seen:
                continue
            if key == target:
                found.add(path)
                if len(found) > PATHS_MAX:
                    raise PdfReadError("too many paths to one object")
                continue
            # From outside, neither the page tree nor the structure tree is entered.
            if self._pages.canonical.get(key, path) != path:
                continue
            if path[:3] != _STRUCTURE and key in self._structure.elements:
                continue
            passed = seen | {key}
            for step, used in self._edges[key]:
                if used != target and used not in near:
                    continue
                further = path + step
                if further[:3] == _STRUCTURE and "/P" in further[max(3, len(path)) :]:
                    continue
                stack.append((further, used, passed))


def object_at(reader: Any, key: _Key, revision: int) -> Any:
    """The object as it was, its references unbound to any state; from the reader's store where it can be.

    Whatever pyHanko raises passes upwards.
    """
    reference = Reference(*key, pdf=reader)
    try:
        newest = reader.xrefs.get_last_change(reference) <= revision
    except KeyError:
        newest = False
    if newest:
        return reader.get_object(reference, transparent_decrypt=False)
    return reader.get_object(reference, revision, transparent_decrypt=False)


def held_at(reader: Any, key: _Key, revision: int) -> Held:
    """What the object held as it was, looked at once for all revisions that did not write it.

    Whatever pyHanko raises passes upwards.
    """
    kept: dict[tuple[int, ...], Held] | None = getattr(reader, "held", None)
    if kept is None:
        return held_of(object_at(reader, key, revision))
    try:
        place = (*key, reader.xrefs.change_until(Reference(*key, pdf=reader), revision))
    except KeyError:
        return held_of(object_at(reader, key, revision))
    found = kept.get(place)
    if found is None:
        found = kept[place] = held_of(object_at(reader, key, revision))
    return found


class _PageTree:
    """The nodes of the page tree, each with the one path by which it is entered."""

    def __init__(self) -> None:
        self.canonical: dict[_Key, _Path] = {}
        self.inner: set[_Key] = set()
        self._top: object = None

    def load(self, root: Any, written: set[_Key]) -> None:
        """Read the tree, unless it is known and nothing of it was written."""
        top = root.raw_get("/Pages")
        name = _key(top) if isinstance(top, IndirectObject) else None
        held = self.canonical.keys() | self.inner
        if name is not None and name == self._top and not written & held:
            return
        self.canonical, self.inner, self._top = {}, set(), name
        if name is not None:
            self.canonical[name] = _PAGES
            self.inner.add(name)
        stack = [(top.get_object(), _PAGES)]
        while stack:
            deadline.check()
            node, path = stack.pop()
            raw = node.raw_get("/Kids")
            if isinstance(raw, IndirectObject):
                self.inner.add(_key(raw))
            for place, kid in enumerate(node["/Kids"]):
                way = (*path, "/Kids", place)
                if isinstance(kid, IndirectObject):
                    if _key(kid) in self.canonical:
                        raise PdfReadError("a page stands twice in the page tree")
                    self.canonical[_key(kid)] = way
                item = kid.get_object()
                if item.get("/Type", None) == "/Pages":
                    if isinstance(kid, IndirectObject):
                        self.inner.add(_key(kid))
                    stack.append((item, way))


class _StructureTree:
    """The elements of the structure tree, where there is one."""

    def __init__(self) -> None:
        self.elements: set[_Key] = set()
        self._read: set[_Key] = set()
        self._top: object = None

    def load(self, root: Any, written: set[_Key]) -> None:
        """Read the tree, unless it is known and nothing of it was written."""
        if "/StructTreeRoot" not in root:
            self.elements, self._read, self._top = set(), set(), None
            return
        top = root.raw_get("/StructTreeRoot")
        name = _key(top) if isinstance(top, IndirectObject) else None
        if name is not None and name == self._top and not written & self._read:
            return
        self.elements, self._read, self._top = set(), set(), name
        if name is not None:
            self._read.add(name)
        stack = [top.get_object()]
        while stack:
            deadline.check()
            stack += self._children(stack.pop())

    def _children(self, element: Any) -> Iterator[Any]:
        raw = element.raw_get("/K") if "/K" in element else None
        if isinstance(raw, IndirectObject):
            self._read.add(_key(raw))
        # The only child is taken as it stands behind the reference, as pyHanko does.
        children = _value(element, "/K")
        if children is None:
            return
        for child in children if isinstance(children, ArrayObject) else (children,):
            reference = None
            if isinstance(child, IndirectObject):
                reference = _key(child)
                self._read.add(reference)
            item: Any = child.get_object()
            if not isinstance(item, DictionaryObject):
                continue
            kind = item.raw_get("/Type") if "/Type" in item else None
            if isinstance(kind, IndirectObject):
                self._read.add(_key(kind))
            stated = _value(item, "/Type")
            if stated is not None and stated != "/StructElem":
                continue
            if reference is not None:
                if reference in self.elements:
                    raise PdfReadError("an element stands twice in the structure tree")
                self.elements.add(reference)
            yield item


def _value(item: Any, name: str) -> Any:
    """The value behind a key, None where there is none or null."""
    return item[name] if name in item and not isinstance(item.raw_get(name), NullObject) else None


def _key(item: Any) -> _Key:
    return int(item.idnum), int(item.generation)


def held_of(item: Any) -> Held:
    """What stands in an object, or in a part of one."""
    references: list[tuple[_Path, _Key]] = []
    keys: set[str] = set()
    stack: list[tuple[_Path, Any]] = [((), item)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, IndirectObject):
            references.append((path, _key(value)))
        elif isinstance(value, DictionaryObject):
            keys.update(dict.keys(value))
            stack += [((*path, k), v) for k, v in dict.items(value) if type(v) not in _LEAVES]
        elif isinstance(value, ArrayObject):
            values = enumerate(list.__iter__(value))
            stack += [((*path, n), v) for n, v in values if type(v) not in _LEAVES]
    return Held(
        references=tuple(references),
        edges=tuple(one for one in references if one[0] and _PARENT not in one[0]),
        keys=frozenset(keys),
        names=frozenset(dict.keys(item)) if type(item) is DictionaryObject else frozenset(),
    )
