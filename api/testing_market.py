"""An invented market for tests of the living state: its rows, its random changes, and who posts urgent needs.

Run as a program it posts urgent needs from processes that may be killed, which say what was acknowledged.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.callers import Caller, Role
from api.compose import open_ports
from api.flows import rounds, supply, urgent
from api.flows.registration import register
from api.ports import Ports
from api.settings import Settings
from api.testing import invented_registration
from ledger.core.errors import ConflictError, UnavailableError
from ledger.core.ids import new_id
from ledger.store import transaction
from ledger.tables.live import UrgentNeedRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow
from matching.problem import Place

AT: Final = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
DAY: Final = AT.date()
HOSPITALS: Final = 6
ITEMS: Final = ("医用外科口罩", "医用防护口罩", "圆帽")
GIVEN: Final = ("mask_surgical", "mask_protective", "cap")
STANDARDS: Final[dict[str, tuple[str, str]]] = {
    "mask_surgical": ("YY 0469", "2011"),
    "mask_protective": ("GB 19083", "2010"),
}


def settings_of(url: str, home: Path) -> Settings:
    """An installation on this database, with plenty of urgent needs a day."""
    return Settings(
        home=home,
        database_url=None if url.startswith("sqlite") else SecretStr(url),
        demo=True,
        urgent_per_hospital_day=1000,
    )


class Market:
    """A donor, a group of hospitals, and changes drawn from a seed."""

    def __init__(
        self, ports: Ports, *, nurse: Caller, donor: Caller, hospitals: Sequence[str], seed: int
    ) -> None:
        """Nothing is written yet."""
        self.ports, self.nurse, self.donor = ports, nurse, donor
        self.hospitals, self.draw = list(hospitals), random.Random(seed)  # noqa: S311 - invented

    @classmethod
    def made(cls, ports: Ports, *, seed: int) -> Market:
        """Register both sides and the hospitals."""
        nurse, donor = _handler(ports, "nurse", "hospital"), _handler(ports, "giver", "donor")
        hospitals = [
            add_hospital(ports, nurse.organisation_id, at=AT, name=f"虚构{number}院", east=number)
            for number in range(HOSPITALS)
        ]
        return cls(ports, nurse=nurse, donor=donor, hospitals=hospitals, seed=seed)

    def change(self) -> None:
        """One random thing that people do to needs and offers."""
        kinds = ("need", "need", "offer", "offer", "withdraw_need", "withdraw_offer", "decide")
        kind = self.draw.choice(kinds)
        with transaction(self.ports.sessions) as session:
            if kind == "need":
                new = self.new_need(tier=self.draw.randrange(3))
                supply.post_need(session, self.ports, self.nurse, new, at=AT)
            elif kind == "offer":
                supply.post_offer(session, self.ports, self.donor, self.new_offer(), at=AT)
            elif kind == "withdraw_need":
                found = self._any(session, NeedRow)
                if found:
                    supply.withdraw_need(
                        session, self.ports, self.nurse, need_id=found.id, reason="够了", at=AT
                    )
            elif kind == "withdraw_offer":
                found = self._any(session, OfferRow)
                if found:
                    supply.withdraw_offer(
                        session, self.ports, self.donor, offer_id=found.id, reason="收回", at=AT
                    )
            else:
                self._decide(session)

    def _decide(self, session: Session) -> None:
        query = select(AllocationRow).where(AllocationRow.state == "proposed")
        lines = session.scalars(query.order_by(AllocationRow.id)).all()
        if not lines:
            return
        line = self.draw.choice(lines)
        if self.draw.random() < 0.5:
            rounds.accept_allocation(session, self.ports, self.donor, allocation_id=line.id, at=AT)
        else:
            rounds.decline_allocation(
                session, self.ports, self.donor, allocation_id=line.id, reason="没了", at=AT
            )

    def _any(self, session: Session, table: Any) -> Any:
        rows = session.scalars(select(table).where(table.state == "open").order_by(table.id)).all()
        return self.draw.choice(rows) if rows else None

    def new_need(self, *, tier: int = 0, days: int = 3) -> supply.NewNeed:
        """A random need, not posted."""
        return supply.NewNeed(
            id=new_id("need", at=AT),
            hospital_id=self.draw.choice(self.hospitals),
            item=self.draw.choice(ITEMS),
            specification="",
            quantity=self.draw.randrange(1, 400),
            tier=tier,
            deadline_on=DAY + timedelta(days=days),
        )

    def new_offer(self) -> supply.NewOffer:
        """A random offer, not posted."""
        item = self.draw.choice(GIVEN)
        standard, edition = STANDARDS.get(item, (None, None))
        return supply.NewOffer(
            id=new_id("offer", at=AT),
            kind="lot",
            item=item,
            quantity=self.draw.randrange(1, 600),
            place=Place("湖北", "武汉市", 114_000_000 + self.draw.randrange(600_000), 30_600_000),
            available_on=DAY,
            produced_on=DAY - timedelta(days=30),
            expires_on=DAY + timedelta(days=200 + self.draw.randrange(300)),
            batch_number="虚构-1",
            certificate=2,
            standard=standard,
            edition=edition,
        )

    def urgent(self) -> UrgentNeedRow:
        """A random urgent need, decided."""
        new = urgent.NewUrgentNeed(self.new_need(), "断货")
        return urgent.post_urgent_need(self.ports, self.nurse, new, at=AT)


def add_hospital(
    ports: Ports, organisation_id: str | None, *, at: datetime, name: str, east: int = 0
) -> str:
    """An invented hospital in Wuhan, two kilometres further east for each step; returns its id."""
    with transaction(ports.sessions) as session:
        row = HospitalRow(
            id=new_id("hos", at=at),
            run_id=None,
            source_key=None,
            organisation_id=organisation_id,
            name=name,
            province="湖北",
            city="武汉市",
            district="",
            adcode="420100",
            longitude_micro=114_300_000 + east * 20_000,
            latitude_micro=30_590_000,
            precision="street",
            agency=False,
            front=False,
            scale_percent=100,
            invented=True,
            created_at=at,
        )
        session.add(row)
        return row.id


def _handler(ports: Ports, name: str, category: Literal["donor", "hospital"]) -> Caller:
    made = register(ports, invented_registration(name, category, at=AT), at=AT)
    return Caller(made.account.id, made.person.id, made.organisation.id, frozenset({Role.HANDLER}))


def held_beyond_supply(session: Session) -> list[str]:
    """Offers of which more is held than there is."""
    given: dict[str, int] = {}
    for line in session.scalars(
        select(AllocationRow).where(AllocationRow.state.in_(("proposed", "accepted")))
    ):
        given[line.offer_id] = given.get(line.offer_id, 0) + line.quantity
    rows = {row.id: row.quantity for row in session.scalars(select(OfferRow))}
    return [one for one, units in given.items() if units > rows[one]]


def post_until_killed(url: str, home: Path, order: str) -> None:
    """Post urgent needs and say each that was acknowledged.

    Args:
        order: seed, file to say it in, how many; separated by spaces.
    """
    seed, said, count = order.split()
    ports = open_ports(settings_of(url, home), at=AT)
    account, person, organisation = (home / "nurse").read_text().split()
    nurse = Caller(account, person, organisation, frozenset({Role.HANDLER}))
    with transaction(ports.readers) as session:
        hospitals = session.scalars(select(HospitalRow.id).order_by(HospitalRow.id)).all()
    market = Market(ports, nurse=nurse, donor=nurse, hospitals=hospitals, seed=int(seed))
    with Path(said).open("a", buffering=1) as file:
        for _ in range(int(count)):
            try:
                made = market.urgent()
            except (ConflictError, UnavailableError) as exc:
                file.write(f"refused {exc.error_code}\n")
                continue
            file.write(f"{made.need_id} {made.served}\n")


def main() -> None:
    """Arguments: database URL or `sqlite`, home. Forks a poster for each line read, and says its process id.

    Forked, not started: imports take seconds, and many posters die in the test.
    """
    url, home = sys.argv[1], Path(sys.argv[2])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            post_until_killed(url, home, line.strip())
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
