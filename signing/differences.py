"""What changed behind each signature, by pyHanko's rules, every step of the file judged once.

pyHanko compares each signed revision with every later one, so its work grows with the square of the
number of signatures. Here each revision is compared with the one before it, once, under the strictest
permission and under every field lock then in force. A file whose steps are all allowed is allowed as a
whole; an edit that a later step takes back is still seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pyhanko.pdf_utils.generic import DictionaryObject
from pyhanko.sign.diff_analysis import (
    DEFAULT_DIFF_POLICY,
    FormUpdatingRule,
    ModificationLevel,
    StandardDiffPolicy,
    SuspiciousModification,
)
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing import deadline
from signing.frame import reframed
from signing.reading import Difference

STEPS_MAX: Final = 1_000
"""Revisions behind the first signature; fifty signatures with their validation data make some 150."""
LOCKS_MAX: Final = 60
"""Different field locks in one file, each of which is asked about every field that a later step writes."""


class _WrittenForms(FormUpdatingRule):
    """pyHanko's rule for forms, asked only about objects that the revision writes.

    By itself it names the picture of every text field in every revision, written or not, so that a
    locked field that nobody touched counts as edited.
    """

    def apply(self, old: Any, new: Any) -> Iterator[Any]:
        written = new.explicit_refs_in_revision()
        fields = getattr(old.reader, "plain_fields", None)
        if fields is not None:
            old, new = fields.narrowed(old, new)
        for level, update in super().apply(old, new):
            if update.updated_ref not in written:
                continue
            if update.valid_when_locked and _is_altered(old, new, update.updated_ref):
                # pyHanko passes over changed flags, as if a lock did not close them.
                yield level, replace(update, valid_when_locked=False)
            else:
                yield level, update


def _is_altered(old: Any, new: Any, reference: Any) -> bool:
    """Whether a field that was there before is another one now, other than by its own signature."""
    if old.reader.xrefs.get_historical_ref(reference, old.revision) is None:
        return False
    was, is_now = old(reference), new(reference)
    if not isinstance(was, DictionaryObject) or not isinstance(is_now, DictionaryObject):
        return False
    if "/FT" not in was and "/T" not in was:
        return False  # the page on which a new field has its box
    signed = "/V" in is_now and "/V" not in was and dict.get(is_now, "/FT") == "/Sig"
    return not signed and dict(dict.items(was)) != dict(dict.items(is_now))


_DEFAULT_FORMS: Final[Any] = DEFAULT_DIFF_POLICY.form_rule
_POLICY: Final = StandardDiffPolicy(
    global_rules=DEFAULT_DIFF_POLICY.global_rules,
    form_rule=_WrittenForms(
        field_rules=_DEFAULT_FORMS.field_rules,
        ignored_acroform_keys=_DEFAULT_FORMS.ignored_acroform_keys,
    ),
    # An object that nothing refers to has no business behind a signature.
    ignore_orphaned_objects=False,
)


@dataclass(frozen=True)
class _Locks(FieldMDPSpec):
    """Several field locks at once: what any of them closes is closed. pyHanko asks for nothing else.

    It asks for the same field once for each object that the field brings along.
    """

    locks: tuple[Any, ...] = ()
    known: dict[str, bool] = field(default_factory=dict, compare=False)

    def __init__(self, locks: tuple[Any, ...]) -> None:
        super().__init__(FieldMDPAction.ALL)
        object.__setattr__(self, "locks", locks)
        object.__setattr__(self, "known", {})

    def is_locked(self, field_name: str) -> bool:
        """Whether any of the locks closes the field."""
        if field_name not in self.known:
            self.known[field_name] = any(lock.is_locked(field_name) for lock in self.locks)
        return self.known[field_name]


@dataclass(frozen=True, slots=True, eq=False)
class _Lock:
    """A field lock as it was read, known by what it is and not by what it says."""

    spec: Any


@dataclass(frozen=True, slots=True)
class _Step:
    """One revision against the one before: its level and fields, or why there are none."""

    level: ModificationLevel
    fields: frozenset[str]
    known: bool = True


def differences(reader: Any, fields: Sequence[tuple[str, Any]]) -> dict[str, Difference]:
    """What stands behind each signature; fields that pyHanko cannot judge are left out. Never raises.

    Args:
        fields: full name and reference of each filled signature field.
    """
    found: dict[str, tuple[Any, SignatureCoverageLevel]] = {}
    for name, reference in fields:
        try:
            if reader.strict and reader.xrefs.hybrid_xrefs_present:
                continue
            one = EmbeddedPdfSignature(reader, reference, name)
            found[name] = one, one.evaluate_signature_coverage()
            # Both are read lazily and may raise on odd dictionaries.
            _permission(one), one.fieldmdp
        except Exception:  # noqa: BLE001 - pyHanko raises many kinds on odd files
            found.pop(name, None)
    try:
        steps = _steps(reader, [one for one, _coverage in found.values()])
        return {
            name: item
            for name, (one, coverage) in found.items()
            if (item := _difference(one, coverage, steps)) is not None
        }
    except Exception:  # noqa: BLE001 - see above
        return {}


def _permission(one: Any) -> int:
    level = one.docmdp_level
    return 0 if level is None else int(level.value)


def _steps(reader: Any, signatures: Sequence[Any]) -> dict[int, _Step]:
    """Revision -> what it did, for every revision behind the first signed one."""
    total = int(reader.xrefs.total_revisions)
    first = min((int(one.signed_revision) for one in signatures), default=total)
    if total - first > STEPS_MAX:
        return {}
    steps: dict[int, _Step] = {}
    locks = _distinct_locks(signatures)
    for revision in range(first + 1, total):
        active = [one for one in signatures if one.signed_revision < revision]
        held = dict.fromkeys(locks[id(one)] for one in active if id(one) in locks)
        steps[revision] = _step(reader, revision, active, tuple(held))
    return steps


def _distinct_locks(signatures: Sequence[Any]) -> dict[int, _Lock]:
    """The lock of each signature that has one, by its `id`; locks that say the same are one object."""
    found: list[_Lock] = []
    by_signature: dict[int, _Lock] = {}
    for one in signatures:
        if one.fieldmdp is None:
            continue
        lock = next((known for known in found if known.spec == one.fieldmdp), None)
        if lock is None:
            lock = _Lock(one.fieldmdp)
            found.append(lock)
        by_signature[id(one)] = lock
    return by_signature


def _step(reader: Any, revision: int, active: Sequence[Any], locks: tuple[_Lock, ...]) -> _Step:
    # In the order of strictness: DocMDP 1 forbids most, and the strictest signature decides.
    permission = min(
        (one.docmdp_level for one in active if one.docmdp_level is not None),
        key=lambda level: level.value,
        default=None,
    )
    if len(locks) > LOCKS_MAX:
        return _Step(ModificationLevel.OTHER, frozenset(), known=False)
    deadline.check()
    try:
        old = reader.get_historical_resolver(revision - 1)
        new = reader.get_historical_resolver(revision)
        if reframed(old, new):
            return _Step(ModificationLevel.OTHER, frozenset())
        result = _POLICY.apply(
            old,
            new,
            field_mdp_spec=_Locks(tuple(lock.spec for lock in locks)) if locks else None,
            doc_mdp=permission,
        )
    except SuspiciousModification:
        return _Step(ModificationLevel.OTHER, frozenset())
    except Exception:  # noqa: BLE001 - see differences
        return _Step(ModificationLevel.OTHER, frozenset(), known=False)
    return _Step(result.modification_level, frozenset(map(str, result.changed_form_fields)))


def _difference(
    one: Any, coverage: SignatureCoverageLevel, steps: dict[int, _Step]
) -> Difference | None:
    revision, permission = int(one.signed_revision), _permission(one)
    whole = coverage >= SignatureCoverageLevel.ENTIRE_REVISION
    if coverage is SignatureCoverageLevel.ENTIRE_FILE:
        later: dict[int, _Step] = {}
    elif not whole:
        later = {revision + 1: _Step(ModificationLevel.OTHER, frozenset())}
    else:
        later = {number: step for number, step in steps.items() if number > revision}
        if not later or not all(step.known for step in later.values()):
            return None
    level = max((step.level for step in later.values()), default=ModificationLevel.NONE)
    suspicious = level is ModificationLevel.OTHER
    edits = sorted((number, name) for number, step in later.items() for name in step.fields)
    changed = {name for _number, name in edits}
    return Difference(
        level="SUSPICIOUS" if suspicious else level.name,
        changed_fields=() if suspicious else tuple(sorted(changed)),
        docmdp_ok=not suspicious and (permission == 0 or level.value <= permission),
        docmdp=permission,
        revision=revision if whole else None,
        edits=() if suspicious else tuple(edits),
    )
