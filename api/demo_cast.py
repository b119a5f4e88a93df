"""The cast of the demonstration: invented people and organisations, marked as invented everywhere.

Nothing here names a real person. The hospital's *name* comes from the imported data; its handler, number and
every act in its name are invented, which is why each page and record of the demo says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from api.flows.registration import NewHandler, OrganisationCategory, Registration
from ledger.core.ids import derived_id
from signing.identity import invented_resident_id, invented_uscc


@dataclass(frozen=True, slots=True)
class Member:
    """One organisation of the demo with its handler."""

    key: str
    category: OrganisationCategory
    name: str
    place: str
    handler_name: str
    birth: date


CAST: Final = (
    Member(
        key="donor",
        category="donor",
        name="示例（虚构）海棠公益捐赠有限公司",
        place="上海市（虚构地址）",
        handler_name="示例·林镕",
        birth=date(1988, 3, 14),
    ),
    Member(
        key="maker",
        category="manufacturer",
        name="示例（虚构）晨曦医疗用品制造有限公司",
        place="山东省日照市（虚构地址）",
        handler_name="示例·周䶮",
        birth=date(1990, 11, 2),
    ),
    Member(
        key="arbiter",
        category="arbitration",
        name="示例（虚构）江城仲裁委员会",
        place="湖北省武汉市（虚构地址）",
        handler_name="示例·沈㛃",
        birth=date(1979, 6, 21),
    ),
)
HOSPITAL_HANDLER: Final = ("示例·𠮷安宁", date(1985, 1, 9))
HOSPITAL_SECOND: Final = ("示例·白术", date(1983, 8, 17))
"""The second of the two who sign the acceptance."""
CARRIER_HANDLER: Final = ("示例·陆远舟", date(1992, 4, 30))
LOGINS: Final = ("operator", "arbitrator", "hospital", "carrier", "doctor")
"""Who else logs in, besides the cast above."""


def member_ids(key: str, *, at: datetime) -> dict[str, str]:
    """The ids of a member: the same in every run of one demonstration."""
    return {
        kind: derived_id(prefix, at=at, seed=f"demo/{key}/{kind}")
        for kind, prefix in (
            ("organisation", "pty"),
            ("person", "pty"),
            ("account", "acc"),
            ("authorisation", "aut"),
        )
    }


def registration(member: Member, *, password: str, at: datetime) -> Registration:
    """The registration form of a member, with invented numbers that pass the local checks."""
    ids = member_ids(member.key, at=at)
    return Registration(
        organisation_id=ids["organisation"],
        category=member.category,
        name=member.name,
        number=invented_uscc(f"demo/{member.key}"),
        place=member.place,
        receiving_system="fuqi（本演示系统）",
        handler=NewHandler(
            person_id=ids["person"],
            account_id=ids["account"],
            authorisation_id=ids["authorisation"],
            name=member.handler_name,
            number=invented_resident_id(f"demo/{member.key}", birth=member.birth),
            consent_id=derived_id("cns", at=at, seed=f"demo/{member.key}/consent"),
            login=f"demo-{member.key}",
            password=password,
            invented=True,
        ),
        # In the story each handler is the legal representative: nobody signs on a mere declaration.
        representative=True,
    )
