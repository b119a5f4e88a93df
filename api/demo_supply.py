"""Act three: a data set is imported, lots are generated, goods and capacity are offered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from api.callers import OPERATOR
from api.demo_cast import HOSPITAL_HANDLER, Member
from api.demo_parties import join_party
from api.demo_state import (
    DATA_FOLDER,
    DIRECTED,
    DONATED,
    DONOR_PLACE,
    MADE,
    MAKER_PLACE,
    Story,
)
from api.flows import supply
from api.flows.importing import ImportSummary, generate_donor_lots, import_dataset
from ledger.core.errors import FuqiError, UnavailableError
from ledger.queries import demo as demo_queries
from ledger.store import transaction
from ledger.tables.supply import HospitalRow, OfferRow
from matching.catalogue import load_catalogue


def import_supply(story: Story, progress: Callable[[str, int, int], None]) -> ImportSummary:
    folder = story.settings.data_folder
    if folder is None and DATA_FOLDER.is_dir():
        folder = DATA_FOLDER
    run = import_dataset(
        story.ports, OPERATOR, at=story.started_at, folder=folder, progress=progress
    )
    if folder is None:
        story.stages.note(
            "使用随包自编样例 the packaged invented sample is used; for the real set put the four CSV files "
            "of hubei-2020 in a folder and set FUQI_DATA_FOLDER, or run `fuqi import FOLDER`"
        )
    lots = generate_donor_lots(
        story.ports, OPERATOR, run_id=run.run_id, at=story.started_at, progress=progress
    )
    story.stages.table(
        f"{run.source} · 政策 policy {run.policy} · as of {run.as_of}",
        ["文件 file", "行 rows", "理解 understood", "缺省 defaulted", "拒绝 refused"],
        [
            [name, str(sum(counts.values())), *(str(counts[k]) for k in _STATES)]
            for summary in (run, lots)
            for name, counts in summary.counts.items()
        ],
    )
    story.stages.note(
        f"捐赠批次由书面种子生成，均标注 generated: {lots.rows} lots made from a written seed"
    )
    return run


_STATES: Final = ("understood", "defaulted", "refused")


def join_hospital(story: Story, run: ImportSummary) -> HospitalRow:
    """A hospital of the data joins: its name is real, its handler and number are invented."""
    with transaction(story.ports.readers) as session:
        row = demo_queries.busiest_hospital(
            session, run_id=run.run_id, items=[DONATED[0], DIRECTED[0], MADE[0]]
        )
    if row is None:
        raise UnavailableError(
            "no hospital of the data set asks for masks and coveralls", code="demo.no_hospital"
        )
    name, birth = HOSPITAL_HANDLER
    member = Member(
        key="hospital",
        category="hospital",
        name=row.name,
        place=f"{row.province}{row.city}{row.district}",
        handler_name=name,
        birth=birth,
    )
    actor = join_party(story, member)
    with transaction(story.ports.sessions) as session:
        return supply.link_hospital(
            session,
            story.ports,
            OPERATOR,
            hospital_id=row.id,
            organisation_id=actor.registered.organisation.id,
            at=story.started_at,
        )


def post_offers(story: Story, run: ImportSummary, hospital: HospitalRow) -> dict[str, OfferRow]:
    """The donor posts two lots, one of them directed; the maker posts three free days of a line."""
    catalogue = load_catalogue()
    day = run.as_of

    def edition(item: str) -> tuple[str | None, str | None]:
        standard = catalogue.items[item].standard
        when = (day - timedelta(days=30) - _EPOCH).days
        return standard, None if standard is None else catalogue.edition_on(standard, day=when)

    def lot(name: str, item: str, quantity: int, directed: tuple[str, ...]) -> supply.NewOffer:
        standard, version = edition(item)
        return supply.NewOffer(
            id=story.id_of("offer", name),
            kind="lot",
            item=item,
            quantity=quantity,
            place=DONOR_PLACE,
            available_on=day,
            produced_on=day - timedelta(days=30),
            # The data are of 2020 and goods move today: these must not have expired on the way.
            expires_on=story.started_at.date() + timedelta(days=700),
            batch_number=f"DEMO-{name}",
            standard=standard,
            edition=version,
            certificate=2,
            directed_to=directed,
        )

    standard, version = edition(MADE[0])
    capacity = supply.NewOffer(
        id=story.id_of("offer", "line"),
        kind="capacity",
        item=MADE[0],
        quantity=MADE[1],
        windows=MADE[2],
        place=MAKER_PLACE,
        available_on=day + timedelta(days=1),
        standard=standard,
        edition=version,
        certificate=2,
    )
    wanted = (
        ("donor", "gift", lot("gift", *DONATED, ())),
        ("donor", "directed", lot("directed", *DIRECTED, (hospital.id,))),
        ("maker", "line", capacity),
    )
    posted = {}
    for who, name, offer in wanted:
        with transaction(story.ports.sessions) as session:
            posted[name] = supply.post_offer(
                session,
                story.ports,
                story.actors[who].caller,
                offer,
                at=story.started_at,
                as_of=day,
            )
    _show_bad_supply(story, run, hospital, lot("expired", *DONATED, ()))
    story.stages.mark(
        f"捐赠人挂出 {DONATED[1]} 只外科口罩、定向 {DIRECTED[1]} 只防护口罩；"
        f"工厂挂出 {MADE[2]} 天 × {MADE[1]} 件防护服产能 "
        "offers posted"
    )
    return posted


_EPOCH: Final = datetime(1970, 1, 1).date()  # noqa: DTZ001 - a calendar day, no moment


def _show_bad_supply(
    story: Story, run: ImportSummary, hospital: HospitalRow, expired: supply.NewOffer
) -> None:
    """A need with a negative quantity and a lot past its expiry are refused; nothing is recorded."""
    need = supply.NewNeed(
        id=story.id_of("need", "negative"),
        hospital_id=hospital.id,
        item="医用外科口罩",
        specification="",
        quantity=-5,
        tier=0,
        deadline_on=run.as_of + timedelta(days=3),
    )
    old = supply.NewOffer(
        **{
            **{name: getattr(expired, name) for name in expired.__slots__},
            "produced_on": run.as_of - timedelta(days=900),
            "expires_on": run.as_of - timedelta(days=1),
        }
    )
    for label, act in (
        (
            "负数需求 negative need",
            lambda session: supply.post_need(
                session,
                story.ports,
                story.actors["hospital"].caller,
                need,
                at=story.started_at,
                as_of=run.as_of,
            ),
        ),
        (
            "过期批次 lot past its expiry",
            lambda session: supply.post_offer(
                session,
                story.ports,
                story.actors["donor"].caller,
                old,
                at=story.started_at,
                as_of=run.as_of,
            ),
        ),
    ):
        try:
            with transaction(story.ports.sessions) as session:
                act(session)
        except FuqiError as exc:
            story.stages.mark(f"{label} 被拒绝 refused: {exc}")
        else:
            story.stages.mark(f"{label} was accepted", good=False)
