"""Which pages a later revision can have changed at all, whatever reader opens the file.

A page looks as its objects say. Where none of the objects that a page uses stands anew in the later
bytes - declared or not, plain or inside an object stream - no reader can show it differently, and it
need not be drawn again. Everything that cannot be told makes every page count as touched.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyhanko.pdf_utils.generic import DictionaryObject, StreamObject

from signing import changes, deadline
from signing.covered import overlap
from signing.render import Box
from signing.usages import held_at

OBJECTS_MAX: Final = 200_000
"""Objects walked in one state of the file."""
DEPTH_MAX: Final = 100
"""Nesting of direct objects, and levels of a page tree."""
_CATALOG_FREE: Final = frozenset({"/Perms", "/DSS", "/Extensions", "/Metadata", "/AcroForm"})
"""Entries of the catalogue that change no page; the form is looked at by itself."""
_FORM_FREE: Final = frozenset({"/Fields", "/SigFlags"})
_SHARED_ENTRIES: Final = frozenset({"/OCProperties", "/OutputIntents"})
"""Entries of the catalogue that change how pages are drawn."""
_BOX: Final = {"/Type": "/Annot", "/Subtype": "/Widget"}
_SIGNED: Final = frozenset({"/V", "/AP", "/F"})
"""Entries of a field that its signature writes."""
_MOVED: Final = 0b11000
"""Flags by which a reader draws a box elsewhere than its rectangle says: /NoZoom and /NoRotate."""
_SHARED: Final = -1
"""Stands for what all pages share: form resources and layers."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What a step from one state to the next can have changed.

    Attributes:
        pages: 0-based; None for all.
        boxes_only: whether on these pages nothing can differ but what stands in the boxes of signature
            fields that were empty and are signed now. An appearance is clipped to its box by every
            reader, so that pictures at both ends of a run of such steps show all that changed in it
            as long as no box of the run lies over another.
        boxes: left, bottom, right, top of the boxes that are signed, where there are only such.
    """

    pages: frozenset[int] | None
    boxes_only: bool = False
    boxes: tuple[tuple[float, float, float, float], ...] = ()


UNKNOWN: Final = Touched(None)


class Pages:
    """The objects behind each page in one state of the file, carried from revision to revision."""

    def __init__(self, resolver: Any) -> None:
        """Walk the state that `resolver` shows. Whatever pyHanko raises passes upwards."""
        self._resolver = resolver
        self._uses: dict[int, frozenset[int]] = {}
        # Users that no longer are stay listed: a page too many is drawn, never one too few.
        self._users: dict[int, set[int]] = {}
        self._pages: list[int] = []
        self._tree: set[int] = set()
        self._root: Any = None
        self._load(resolver)

    def step(
        self, resolver: Any, numbers: Iterable[int], *, slices: frozenset[int] = frozenset()
    ) -> Touched:
        """What may differ in the next state; then move on to it.

        Args:
            resolver: the next state.
            numbers: objects that stand anew in it (`renewed`).
            slices: boxes of page-edge seals that were filled in it and of which everything is known
                (`signing.validate_edges`); one that is not left out here is drawn.
        """
        anew = set(numbers)
        known = anew & slices
        anew -= known
        shared = bool(anew & self._tree) or not _same_frame(self._root, resolver.root)
        hit = self._users_of(anew)
        if shared or _SHARED in hit:
            self._load(resolver)
            return UNKNOWN
        dirty = frozenset(index for index, number in enumerate(self._pages) if number in hit)
        signed = {number for number in anew & self._uses.keys() if self._signs(number, resolver)}
        otherwise = self._users_of(anew - signed) if dirty else set()
        boxes_only = otherwise.isdisjoint(self._pages)
        boxes = tuple(sorted(_rectangle(_object(resolver, number)) for number in signed))
        for number in anew | known:
            self._uses.pop(number, None)
        self._root, self._resolver = resolver.root, resolver
        self._walk(resolver, [n for n in anew if n in hit] + self._pages + sorted(known))
        return Touched(dirty, boxes_only, boxes if boxes_only else ())

    def _signs(self, number: int, resolver: Any) -> bool:
        """Whether the object is the box of a signature field that is empty here and signed in the next.

        Or that of a page-edge seal, empty here and filled in the next.
        """
        old, new = _object(self._resolver, number), _object(resolver, number)
        for item in (old, new):
            if type(item) is not DictionaryObject or "/Kids" in item or "/MK" in item:
                return False
            if any(dict.get(item, key) != value for key, value in _BOX.items()):
                return False
        kind, flags = dict.get(new, "/FT"), dict.get(new, "/F", 0)
        return (
            dict.get(old, "/FT") == kind
            and "/V" not in old
            and (("/V" in new) if kind == "/Sig" else (kind == "/Btn" and "/AP" not in old))
            and isinstance(flags, int)
            and not flags & _MOVED
            and _raw(old, _SIGNED) == _raw(new, _SIGNED)
            and _is_picture(new)
        )

    def _load(self, resolver: Any) -> None:
        self._resolver = resolver
        self._uses, self._users, self._tree, self._pages = {}, {}, set(), []
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
        for number in shared:
            self._users.setdefault(number, set()).add(_SHARED)
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
            deadline.check()
            number = stack.pop()
            if number in self._uses or number in self._tree:
                continue
            if len(self._uses) > OBJECTS_MAX:
                raise ValueError("too many objects")
            found = _used_by(resolver, number, nodes)
            # A page's resources may stand in the nodes above it; those are in `_tree`, and a change
            # of any of them counts for all pages. What they refer to is noted here.
            if number in leaves:
                found |= self._inherited(_object(resolver, number))
            self._uses[number] = frozenset(found)
            for used in found:
                self._users.setdefault(used, set()).add(number)
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
        hit, stack = set(numbers), list(numbers)
        while stack:
            for user in self._users.get(stack.pop(), ()):
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


def _object(resolver: Any, number: int) -> Any:
    return resolver.get_object(_reference(resolver, number))


def _rectangle(box: Any) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(number) for number in box["/Rect"])
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def runs(
    states: Sequence[int], steps: Sequence[Touched]
) -> Iterator[tuple[int, int, frozenset[int] | None]]:
    """Start, end and touched pages of what is compared: steps that only sign boxes are taken together.

    What one of them draws is still there at the end of the run, as each box is signed once and none lies
    over another of the run.
    """
    start, gathered, signed = states[0], frozenset[int](), list[Box]()
    for (old, new), step in zip(itertools.pairwise(states), steps, strict=True):
        boxes = [Box(0, *box) for box in step.boxes]
        pages = step.pages if step.boxes_only else None
        if pages is not None:
            if not gathered.isdisjoint(pages) and any(
                overlap(one, other) for one in boxes for other in signed
            ):
                yield start, old, gathered
                start, gathered, signed = old, frozenset(), []
            gathered |= pages
            signed += boxes
            continue
        if old != start:
            yield start, old, gathered
        yield old, new, step.pages
        start, gathered, signed = new, frozenset(), []
    if start != states[-1]:
        yield start, states[-1], gathered


def _used_by(resolver: Any, number: int, skipped: set[int]) -> set[int]:
    """Numbers of the objects that an object refers to directly, page tree nodes aside.

    A field without the list of its children: a box shows what it inherits, not its siblings.
    """
    # Objects of another generation are rare: they are not found, and every page counts as touched.
    held = held_at(resolver.reader, (number, 0), resolver.revision)
    siblings = {"/T", "/Kids"} <= held.names
    found: set[int] = set()
    for path, (used, _generation) in held.references:
        if len(path) > DEPTH_MAX:
            raise ValueError("nested too deeply")
        if used not in skipped and not (siblings and path[0] == "/Kids"):
            found.add(used)
    return found


def _is_picture(box: Any) -> bool:
    """Whether the appearance is one stream with a box of its own, to which readers clip it."""
    looks = box["/AP"] if "/AP" in box else None  # noqa: SIM401 - .get hands back references
    if type(looks) is not DictionaryObject or "/N" not in looks:
        return False
    picture = looks["/N"]
    return isinstance(picture, StreamObject) and "/BBox" in picture and len(picture["/BBox"]) == 4


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
