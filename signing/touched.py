"""Which pages a later revision can have changed at all, whatever reader opens the file.

A page looks as its objects say. Where none of the objects that a page uses stands anew in the later
bytes - declared or not, plain or inside an object stream - no reader can show it differently, and it
need not be drawn again. Everything that cannot be told makes every page count as touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from signing import changes

OBJECTS_MAX: Final = 200_000
"""Objects walked in one state of the file."""
DEPTH_MAX: Final = 100
"""Nesting of direct objects, and levels of a page tree."""
_CATALOG_FREE: Final = frozenset({"/Perms", "/DSS", "/Extensions", "/Metadata", "/AcroForm"})
"""Entries of the catalogue that change no page; the form is looked at by itself."""
_FORM_FREE: Final = frozenset({"/Fields", "/SigFlags"})
_SHARED_ENTRIES: Final = frozenset({"/OCProperties", "/OutputIntents"})
"""Entries of the catalogue that change how pages are drawn."""
_SHARED: Final = -1
"""Stands for what all pages share: form resources and layers."""


class Pages:
    """The objects behind each page in one state of the file, carried from revision to revision."""

    def __init__(self, resolver: Any) -> None:
        """Walk the state that `resolver` shows. Whatever pyHanko raises passes upwards."""
        self._uses: dict[int, frozenset[int]] = {}
        self._pages: list[int] = []
        self._tree: set[int] = set()
        self._root: Any = None
        self._load(resolver)

    def step(self, resolver: Any, numbers: Iterable[int]) -> frozenset[int] | None:
        """Pages (0-based) that may differ in the next state, or None for all; then move on to it.

        Args:
            resolver: the next state.
            numbers: objects that stand anew in it (`renewed`).
        """
        anew = set(numbers)
        shared = bool(anew & self._tree) or not _same_frame(self._root, resolver.root)
        hit = self._users_of(anew)
        if shared or _SHARED in hit:
            self._load(resolver)
            return None
        dirty = frozenset(index for index, number in enumerate(self._pages) if number in hit)
        for number in anew:
            self._uses.pop(number, None)
        self._root = resolver.root
        self._walk(resolver, [n for n in anew if n in hit] + self._pages)
        return dirty

    def _load(self, resolver: Any) -> None:
        self._uses, self._tree, self._pages = {}, set(), []
        self._root = resolver.root
        self._collect_tree(resolver)
        shared: set[int] = set()
        nodes = self._tree | set(self._pages)
        if "/AcroForm" in self._root:
            form = self._root["/AcroForm"]
            kept = {k: dict.__getitem__(form, k) for k in form if k not in _FORM_FREE}
            shared |= _references(kept, nodes)
        for key in _SHARED_ENTRIES & self._root.keys():
            shared |= _references(dict.__getitem__(self._root, key), nodes)
        self._uses[_SHARED] = frozenset(shared)
        self._walk(resolver, [*self._pages, *shared])

    def _collect_tree(self, resolver: Any) -> None:
        stack = [dict.__getitem__(self._root, "/Pages")]
        while stack:
            reference = stack.pop()
            if not hasattr(reference, "idnum") or reference.idnum in self._tree:
                raise ValueError("an odd page tree")
            node = resolver.get_object(reference.reference)
            if "/Kids" not in node:
                self._pages.append(reference.idnum)
                continue
            self._tree.add(reference.idnum)
            kids = dict.__getitem__(node, "/Kids")
            if hasattr(kids, "idnum"):
                self._tree.add(kids.idnum)
            if len(self._tree) + len(self._pages) > OBJECTS_MAX:
                raise ValueError("too many pages")
            kids = node["/Kids"]
            stack += [list.__getitem__(kids, n) for n in range(len(kids) - 1, -1, -1)]

    def _walk(self, resolver: Any, numbers: Iterable[int]) -> None:
        """Note what every object reachable from `numbers` uses."""
        stack = list(numbers)
        leaves = set(self._pages)
        nodes = self._tree | leaves
        while stack:
            number = stack.pop()
            if number in self._uses or number in self._tree:
                continue
            if len(self._uses) > OBJECTS_MAX:
                raise ValueError("too many objects")
            item = resolver.get_object(_reference(resolver, number))
            # A page's resources may stand in the nodes above it; those are in `_tree`, and a change
            # of any of them counts for all pages. What they refer to is noted here.
            found = _references(item, nodes)
            if number in leaves:
                found |= self._inherited(item)
            self._uses[number] = frozenset(found)
            stack += found

    def _inherited(self, page: Any) -> set[int]:
        found: set[int] = set()
        node = page
        for _level in range(DEPTH_MAX):
            if "/Parent" not in node:
                return found
            node = node["/Parent"]
            kept = {k: dict.__getitem__(node, k) for k in node if k not in {"/Kids", "/Parent"}}
            found |= _references(kept, self._tree | set(self._pages))
        raise ValueError("a page tree too deep")

    def _users_of(self, numbers: set[int]) -> set[int]:
        """Everything that reaches one of `numbers`, they themselves included."""
        users: dict[int, list[int]] = {}
        for number, uses in self._uses.items():
            for used in uses:
                users.setdefault(used, []).append(number)
        hit, stack = set(numbers), list(numbers)
        while stack:
            for user in users.get(stack.pop(), ()):
                if user not in hit:
                    hit.add(user)
                    stack.append(user)
        return hit


def renewed(reader: Any, data: bytes, *, old: tuple[int, int], new: tuple[int, int]) -> set[int]:
    """Numbers of the objects that stand between two states, found in the bytes and in the tables.

    Args:
        old, new: end in the bytes and pyHanko's revision of each state.

    Raises:
        ValueError: it cannot be told.
    """
    found = changes.object_numbers(data, start=old[0], end=new[0])
    if found is None:
        raise ValueError("too many objects")
    streams = 0
    for revision in range(old[1] + 1, new[1] + 1):
        explicit = reader.xrefs.explicit_refs_in_revision(revision)
        freed = reader.xrefs.refs_freed_in_revision(revision)
        found |= {int(reference.idnum) for reference in (*explicit, *freed)}
        streams += len(reader.xrefs.object_streams_used_in(revision))
    # Objects in a stream that no table names could show up in a reader that repairs the file.
    if changes.count_name(data, "ObjStm", start=old[0], end=new[0]) != streams:
        raise ValueError("object streams that no table names")
    return found


def _reference(resolver: Any, number: int) -> Any:
    # Objects of another generation are rare: they are not found, and every page counts as touched.
    return type(resolver.root_ref)(idnum=number, generation=0, pdf=resolver)


def _references(item: Any, skipped: set[int]) -> set[int]:
    """Numbers of the objects that `item` refers to directly, page tree nodes aside."""
    found: set[int] = set()
    stack: list[tuple[Any, int]] = [(item, 0)]
    while stack:
        value, depth = stack.pop()
        if hasattr(value, "idnum"):
            if value.idnum not in skipped:
                found.add(int(value.idnum))
        elif depth > DEPTH_MAX:
            raise ValueError("nested too deeply")
        elif isinstance(value, dict):
            stack += [(one, depth + 1) for one in dict.values(value)]
        elif isinstance(value, list):
            stack += [(one, depth + 1) for one in list.__iter__(value)]
    return found


def _same_frame(old: Any, new: Any) -> bool:
    """Whether two catalogues differ in nothing that a page shows."""
    forms = [_raw(one["/AcroForm"], _FORM_FREE) if "/AcroForm" in one else {} for one in (old, new)]
    return _raw(old, _CATALOG_FREE) == _raw(new, _CATALOG_FREE) and forms[0] == forms[1]


def _raw(item: Any, free: frozenset[str]) -> dict[str, str]:
    return {str(key): repr(dict.__getitem__(item, key)) for key in item if key not in free}
