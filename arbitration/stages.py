"""The stages that were fixed at publication, read back from the opened entries of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arbitration.model import Event


@dataclass(frozen=True, slots=True)
class Place:
    """One place, as it stands after every hand-over.

    Attributes:
        signers: ids under which the place was held, the present one last.
    """

    signers: tuple[str, ...]
    organisation: str
    person: str
    field: str

    @property
    def signer(self) -> str:
        """Id of whoever holds the place now."""
        return self.signers[-1]


@dataclass(frozen=True, slots=True)
class Stage:
    """Who stands in it, what they do, and how many of them must."""

    number: int
    act: str
    need: int
    places: tuple[Place, ...]


def stages_of(staged: Sequence[Event], forwarded: Sequence[Event]) -> tuple[Stage, ...] | None:
    """The stages, with every recorded hand-over applied; None where no opened entry fixes them.

    Raises:
        KeyError, TypeError, ValueError: the entry is not shaped as its type says.
    """
    if len(staged) != 1 or staged[0].body is None:
        return None
    handed = {
        str(event.body["signer"]): (str(event.body["to_signer"]), str(event.body["to"]))
        for event in forwarded
        if event.body is not None
    }
    return tuple(
        Stage(
            number=int(stage["stage"]),
            act=str(stage["act"]),
            need=int(stage["need"]),
            places=tuple(_place(member, handed) for member in stage["members"]),
        )
        for stage in staged[0].body["stages"]
    )


def _place(member: dict[str, object], handed: dict[str, tuple[str, str]]) -> Place:
    signers, person = [str(member["signer"])], str(member["person"])
    while signers[-1] in handed and len(signers) <= len(handed):
        following, person = handed[signers[-1]]
        signers.append(following)
    return Place(
        signers=tuple(signers),
        organisation=str(member["organisation"]),
        person=person,
        field=str(member["field"]),
    )
