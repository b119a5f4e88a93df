"""Content that acts by itself: scripts, launches, attachments, forms that send themselves.

A contract must say the same to everybody, always. Works on the objects of any parser whose
dictionaries are `dict`, whose arrays are `list` and whose references have `get_object`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from signing import deadline

OBJECTS_MAX: Final = 200_000
"""Objects looked at in one file; a contract has some thousands."""
FINDINGS_MAX: Final = 20
PATH_MAX: Final = 8
"""Steps of the path that a finding names; deeper ones are cut in front."""

_ACTIONS: Final = frozenset(
    {
        "/JavaScript",
        "/Launch",
        "/SubmitForm",
        "/ImportData",
        "/GoToR",
        "/GoToE",
        "/Rendition",
        "/Sound",
        "/Movie",
        "/RichMediaExecute",
        "/Trans",
        "/SetOCGState",
        "/GoTo3DView",
        "/ResetForm",
        "/Hide",
    }
)
_ANNOTATIONS: Final = frozenset(
    {"/RichMedia", "/FileAttachment", "/Movie", "/Screen", "/Sound", "/3D"}
)
_KEYS: Final = frozenset(
    {"/JS", "/JavaScript", "/XFA", "/EmbeddedFiles", "/EF", "/RichMedia", "/AA"}
)
_UPWARDS: Final = frozenset({"/Parent", "/P"})


@dataclass(frozen=True, slots=True)
class ActiveContent:
    """One finding: what, and on which path from the trailer."""

    kind: str
    where: str


@dataclass(frozen=True, slots=True)
class Walk:
    """What was found, and whether every object was seen."""

    findings: tuple[ActiveContent, ...]
    complete: bool


def find_active_content(trailer_root: Any) -> Walk:
    """Walk everything reachable from the catalogue, each object once.

    Faults of the parser on a single object are left to the parser's own checks: they pass upwards.
    """
    findings: list[ActiveContent] = []
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[Any, tuple[str, ...]]] = [(trailer_root, ("Root",))]
    steps = 0
    while stack and len(findings) < FINDINGS_MAX:
        steps += 1
        deadline.check()
        if steps > OBJECTS_MAX:
            return Walk(tuple(findings), complete=False)
        item, path = stack.pop()
        if hasattr(item, "idnum"):
            key = (int(item.idnum), int(item.generation))
            if key in seen:
                continue
            seen.add(key)
            item = item.get_object()
        if isinstance(item, dict):
            findings += [ActiveContent(kind, "/".join(path[-PATH_MAX:])) for kind in _kinds(item)]
            stack += [
                (value, (*path, str(name).lstrip("/")))
                for name, value in dict.items(item)
                if name not in _UPWARDS and _holds(value)
            ]
        elif isinstance(item, list):
            stack += [
                (value, (*path, str(index)))
                for index, value in enumerate(list.__iter__(item))
                if _holds(value)
            ]
    return Walk(tuple(findings[:FINDINGS_MAX]), complete=True)


def _holds(value: Any) -> bool:
    """Whether there is anything to look at: most values are names and numbers, thousands in a font."""
    return isinstance(value, dict | list) or hasattr(value, "idnum")


def _kinds(item: dict[Any, Any]) -> list[str]:
    kinds = [str(name) for name in item if name in _KEYS]
    action = _plain(item.get("/S"))
    if action in _ACTIONS and _plain(item.get("/Type")) in {"", "/Action"}:
        kinds.append(action)
    subtype = _plain(item.get("/Subtype"))
    if subtype in _ANNOTATIONS and "/Rect" in item:
        kinds.append(subtype)
    return kinds


def _plain(value: Any) -> str:
    if hasattr(value, "idnum"):
        value = value.get_object()
    return value if isinstance(value, str) else ""
