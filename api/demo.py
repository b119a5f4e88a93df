"""The whole job once, on real input: what `fuqi demo` runs.

Every step goes through the same flows as pages and API do. Ids are derived from the time of the first start,
so a demonstration that was killed at any moment and is run again continues: nothing is lost or doubled.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from api.callers import OPERATOR, Caller, Role
from api.compose import open_chain, open_ports
from api.demo_cast import CAST, HOSPITAL_HANDLER, Member, registration
from api.demo_documents import Goods, Side, donation_data, manufacturing_data, outside_draft
from api.flows import agreements, evidence, rounds, signatures, supply
from api.flows.access import create_account
from api.flows.importing import ImportSummary, generate_donor_lots, import_dataset
from api.flows.parties import issue_certificate
from api.flows.registration import Registered, register
from api.ports import Ports
from api.settings import Settings
from api.story import Stages
from api.worker import Progress, settle
from arbitration.container import pack, unpack
from arbitration.contents import Purpose
from arbitration.policy import save_trust
from ledger.chain import ChainPort
from ledger.core.errors import FuqiError, InputError, UnavailableError
from ledger.core.ids import derived_id
from ledger.core.units import parse_utc, utc_text
from ledger.queries import agreements as agreement_queries
from ledger.queries import anchors as anchor_queries
from ledger.queries import demo as demo_queries
from ledger.queries import parties as party_queries
from ledger.store import transaction
from ledger.tables.agreements import AgreementRow, SignerRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow
from matching.catalogue import load_catalogue
from matching.explain import TEXTS
from matching.problem import TIERS, Place
from signing.ca import CertificateSubject
from signing.identity import check_resident_id, check_uscc, invented_resident_id, invented_uscc
from signing.intent import intent_message
from signing.keys.device import DeviceKey

DATA_FOLDER: Final = Path("../shared/data/hubei-2020")
SETTLE_SECONDS: Final = 120
DONATED: Final = ("mask_surgical", 20_000)
DIRECTED: Final = ("mask_protective", 3_000)
MADE: Final = ("coverall", 5_000, 3)
"""Item, pieces a day, days: a factory with three free days on a line."""
DONOR_PLACE: Final = Place("上海", "上海市", 121_473_662, 31_230_372)
MAKER_PLACE: Final = Place("山东", "日照市", 119_526_925, 35_416_734)


@dataclass(slots=True)
class Actor:
    """A registered member with what its own device holds; the server has none of it."""

    member: Member
    registered: Registered
    caller: Caller
    key: DeviceKey


@dataclass(slots=True)
class Story:
    """State of one run of the demonstration."""

    settings: Settings
    stages: Stages
    clock: Callable[[], datetime]
    started_at: datetime
    passwords: dict[str, str]
    ports: Ports
    chain: ChainPort
    actors: dict[str, Actor] = field(default_factory=dict)
    made: list[tuple[str, str]] = field(default_factory=list)

    def id_of(self, prefix: str, name: str) -> str:
        """An id that is the same in every run of this demonstration."""
        return derived_id(prefix, at=self.started_at, seed=f"demo/{name}")

    @property
    def out(self) -> Path:
        """Folder of what the demonstration hands out."""
        return self.settings.home.resolve() / "out"


def run_demo(
    settings: Settings, stages: Stages, *, clock: Callable[[], datetime], fresh: bool
) -> bool:
    """Run the story, continuing an earlier run; returns whether every check came out as it should.

    Raises:
        FuqiError: with a stable code; run again to continue.
    """
    home = settings.home.resolve()
    if fresh and home.exists():
        _require_demo_home(home)
        shutil.rmtree(home)
    with stages.stage("准备 set up: database, chain, CA, TSA"):
        story = _set_up(settings, stages, clock=clock)
    with stages.stage("实名 parties under their real names (invented, marked)"):
        _parties(story)
    with stages.stage("导入 import hospitals, needs, factories, carriers") as advance:
        run = _import(story, lambda what, done, total: advance(done, total, what))
        hospital = _hospital(story, run)
        offers = _offers(story, run, hospital)
    with stages.stage("撮合 matching round, exact over all pairs, certified") as advance:
        lines = _round(story, run, hospital, offers, lambda w, d, t: advance(d, t, w))
    with stages.stage("签约 three agreements, read, affirmed and signed by both sides"):
        agreed = _agreements(story, lines)
    with stages.stage("锚定 log, checkpoints, anchors, receipts"):
        _anchored(story, agreed)
    with stages.stage("出证 evidence bundle, verified by a stranger offline"):
        good = _evidence(story, agreed)
    _closing(story)
    return good


def _require_demo_home(home: Path) -> None:
    """`--fresh` deletes only what a demonstration made."""
    if not (home / "demo.json").exists() and any(home.iterdir()):
        raise InputError(
            f"{home} holds something that no demo made; it is not deleted. Set FUQI_HOME elsewhere",
            code="demo.not_a_demo",
        )


def _set_up(settings: Settings, stages: Stages, *, clock: Callable[[], datetime]) -> Story:
    home = settings.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    state = home / "demo.json"
    continuing = state.exists()
    if not continuing:
        keys = ("operator", "arbitrator", "hospital", *(member.key for member in CAST))
        value = {
            "v": "fuqi/demo/v1",
            "started_at": utc_text(clock()),
            "passwords": {key: f"demo-{secrets.token_hex(5)}" for key in keys},
        }
        part = state.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(value, indent=1), encoding="utf-8")
        part.replace(state)
    value = json.loads(state.read_text(encoding="utf-8"))
    ports = open_ports(settings, at=clock())
    chain = open_chain(settings)
    story = Story(
        settings=settings,
        stages=stages,
        clock=clock,
        started_at=parse_utc(value["started_at"]),
        passwords=value["passwords"],
        ports=ports,
        chain=chain,
    )
    stages.note(
        "继续上次演示 continuing an earlier run" if continuing else "全新开始 a fresh start"
    )
    info = chain.info()
    stages.note(f"数据库 database: {ports.engine.dialect.name}, migrated")
    stages.note(f"链 chain: {info.name} (id {info.chain_id}), {info.label_zh}")
    stages.note(f"CA: {ports.authority.label_zh}   TSA: {ports.tsa.label_zh}")
    with transaction(ports.sessions) as session:
        for login, role in (("operator", Role.OPERATOR), ("arbitrator", Role.ARBITRATOR)):
            create_account(
                session,
                account_id=story.id_of("acc", login),
                login=f"demo-{login}",
                password=story.passwords[login],
                roles=frozenset({role}),
                person_id=None,
                organisation_id=None,
                invented=True,
                at=story.started_at,
            )
    return story


# --- parties -----------------------------------------------------------------------------------------


def _parties(story: Story) -> None:
    _show_refusals(story)
    for member in CAST:
        _join(story, member)


def _show_refusals(story: Story) -> None:
    """Bad numbers are really refused, each with its reason."""
    today = story.clock().date()
    good_person = invented_resident_id("demo/refusal", birth=CAST[0].birth)
    good_code = invented_uscc("demo/refusal")
    wrong_person = good_person[:-1] + ("1" if good_person[-1] != "1" else "2")
    wrong_code = good_code[:-1] + ("1" if good_code[-1] != "1" else "2")
    for label, check in (
        ("身份证号 resident identity number", lambda: check_resident_id(wrong_person, today=today)),
        ("统一社会信用代码 credit code", lambda: check_uscc(wrong_code)),
    ):
        try:
            check()
        except InputError as exc:
            story.stages.mark(f"错误的{label} 被拒绝 refused: {exc}")
        else:
            story.stages.mark(f"{label}: a wrong number was accepted", good=False)


def _join(story: Story, member: Member) -> Actor:
    """Register a member with its handler, make the handler's device key and have it certified."""
    ports, at = story.ports, story.clock()
    registered = register(
        ports,
        registration(member, password=story.passwords[member.key], at=story.started_at),
        at=at,
    )
    caller = Caller(
        account_id=registered.account.id,
        person_id=registered.person.id,
        organisation_id=registered.organisation.id,
        roles=frozenset({Role.HANDLER, Role.ADMIN}),
        via="system",
    )
    key = _device(story, member.key)
    with transaction(ports.sessions) as session:
        certificate = issue_certificate(
            session,
            ports,
            caller,
            organisation_id=registered.organisation.id,
            person_id=registered.person.id,
            csr_der=key.csr(CertificateSubject(common_name=member.handler_name)),
            at=at,
        )
    actor = Actor(member=member, registered=registered, caller=caller, key=key)
    story.actors[member.key] = actor
    organisation, person = registered.organisation, registered.person
    story.stages.mark(
        f"{organisation.name} · L{organisation.level} ({organisation.level_reason}) · 经办人 "
        f"{person.name} {person.number_masked} · 证书 {certificate.serial[:12]}…"
    )
    return actor


def _device(story: Story, name: str) -> DeviceKey:
    """The handler's own key file: it stands for a phone, and the server never reads it."""
    folder = story.settings.home.resolve() / "devices"
    folder.mkdir(mode=0o700, exist_ok=True)
    path, password = folder / f"{name}.p12", story.passwords[name]
    if path.exists():
        return DeviceKey.load(path, password)
    key = DeviceKey.create()
    key.save(path, password)
    return key


# --- supply ------------------------------------------------------------------------------------------


def _import(story: Story, progress: Callable[[str, int, int], None]) -> ImportSummary:
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


def _hospital(story: Story, run: ImportSummary) -> HospitalRow:
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
    actor = _join(story, member)
    with transaction(story.ports.sessions) as session:
        return supply.link_hospital(
            session,
            story.ports,
            OPERATOR,
            hospital_id=row.id,
            organisation_id=actor.registered.organisation.id,
            at=story.started_at,
        )


def _offers(story: Story, run: ImportSummary, hospital: HospitalRow) -> dict[str, OfferRow]:
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
            expires_on=day + timedelta(days=700),
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


# --- matching ----------------------------------------------------------------------------------------

Line = tuple[AllocationRow, NeedRow, OfferRow, HospitalRow]


def _round(
    story: Story,
    run: ImportSummary,
    hospital: HospitalRow,
    offers: dict[str, OfferRow],
    progress: Callable[[str, int, int], None],
) -> dict[str, Line]:
    ports = story.ports
    settle(ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    round_id = story.id_of("rnd", "round")
    opened = rounds.open_round(
        ports, OPERATOR, round_id=round_id, at=story.started_at, as_of=run.as_of
    )
    story.stages.note(
        f"先承诺后求解 committed before solving: inputs {opened.inputs_sha256[:16]}… policy "
        f"{opened.policy_sha256[:16]}…"
    )
    # The commitment is on the chain before the solver starts.
    settle(ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    closed = rounds.solve_and_close_round(
        ports, OPERATOR, round_id=round_id, at=story.started_at, progress=progress
    )
    assert closed.summary is not None
    _show_round(story, closed.summary, closed.report)
    lines = {
        "donation": _first_line(story, round_id, offers["directed"], hospital),
        "manufacturing": _first_line(story, round_id, offers["line"], hospital),
    }
    with transaction(ports.readers) as session:
        went = demo_queries.lines_between(session, round_id=round_id, offer_ids=[offers["gift"].id])
    story.stages.table(
        f"捐赠人问：{DONATED[1]} 只口罩去了哪里 where the donor's masks went",
        ["医院 hospital", "数量 pieces", "公里 km"],
        [[h.name, str(a.quantity), str(a.km)] for a, _, _, h in went[:8]]
        + ([[f"… 其余 {len(went) - 8} 家 more", "", ""]] if len(went) > 8 else []),
    )
    for who, name in (("donor", "donation"), ("maker", "manufacturing")):
        with transaction(ports.sessions) as session:
            rounds.accept_allocation(
                session,
                ports,
                story.actors[who].caller,
                allocation_id=lines[name][0].id,
                at=story.started_at,
            )
    return lines


def _first_line(story: Story, round_id: str, offer: OfferRow, hospital: HospitalRow) -> Line:
    """The largest line of an offer: to our hospital, or else to whom the optimum gave most."""
    with transaction(story.ports.readers) as session:
        for hospital_id in (hospital.id, None):
            found = demo_queries.lines_between(
                session, round_id=round_id, offer_ids=[offer.id], hospital_id=hospital_id
            )
            if found:
                return found[0]
    raise UnavailableError("the optimum gave this offer to nobody", code="demo.no_line")


def _show_round(story: Story, summary: Any, report: Any) -> None:
    stages = story.stages
    stages.note(
        f"{summary['eligible_pairs']} 个合格配对 eligible of {summary['pairs']} pairs, "
        f"{summary['lots']} lots; checker: {report['verdict'] if report else '—'}"
    )
    stages.table(
        "按紧急程度 by urgency",
        ["", "需求 needs", "需要 wanted", "满足 served", "满足率 fill"],
        [
            [name, *_fill_cells(summary["by_tier"][name])]
            for name in TIERS
            if name in summary["by_tier"]
        ],
    )
    catalogue = load_catalogue()
    stages.table(
        "按物资 by item",
        ["", "需求 needs", "需要 wanted", "满足 served", "满足率 fill"],
        [
            [f"{catalogue.items[name].zh}", *_fill_cells(row)]
            for name, row in summary["by_item"].items()
        ],
    )
    stages.note(
        f"平均运距 {summary['km_per_unit']} km per unit; {summary['shipments']} shipments; "
        f"{summary['hospitals_served']} of {summary['hospitals']} hospitals served"
    )
    states = summary["needs"]
    stages.note("需求结果 needs: " + ", ".join(f"{name} {count}" for name, count in states.items()))
    for reason, count in sorted(summary["reasons"].items(), key=lambda kv: -kv[1])[:5]:
        english, chinese = TEXTS.get(reason, (reason, reason))
        stages.note(f"   未满足原因 why not: {count} × {chinese} ({english})")


def _fill_cells(row: Any) -> list[str]:
    permille = int(row["fill_permille"])
    return [
        str(row["needs"]),
        str(row["wanted"]),
        str(row["served"]),
        f"{permille // 10}.{permille % 10} %",
    ]


# --- agreements --------------------------------------------------------------------------------------


def _agreements(story: Story, lines: dict[str, Line]) -> list[str]:
    donor, maker, clinic = (_side(story, key) for key in ("donor", "maker", "hospital"))
    donated, ordered = lines["donation"], lines["manufacturing"]
    made = [
        _from_template(
            story,
            "donation",
            ("donor", "hospital"),
            ("donor", "recipient"),
            donation_data(
                donor,
                clinic,
                _goods(donated),
                number="DEMO-D-001",
                allocation=donated[0].id,
                at=story.started_at,
            ),
            title="公益捐赠协议（演示）",
            allocation_id=donated[0].id,
        ),
        _from_template(
            story,
            "manufacturing",
            ("hospital", "maker"),
            ("principal", "contractor"),
            manufacturing_data(
                clinic,
                maker,
                _goods(ordered, unit_price_fen=6_800),
                number="DEMO-M-001",
                allocation=ordered[0].id,
                at=story.started_at,
            ),
            title="加工承揽合同（演示）",
            allocation_id=ordered[0].id,
        ),
        _from_upload(story),
    ]
    for agreement_id in made:
        _sign_all(story, agreement_id)
    return made


def _side(story: Story, key: str) -> Side:
    registered = story.actors[key].registered
    with transaction(story.ports.readers) as session:
        held = party_queries.authorisations_of(
            session,
            organisation_id=registered.organisation.id,
            person_id=registered.person.id,
        )
    return Side(
        organisation=registered.organisation,
        person=registered.person,
        authorisation=held[0],
        uscc=invented_uscc(f"demo/{key}"),
    )


def _goods(line: Line, *, unit_price_fen: int | None = None) -> Goods:
    allocation, need, offer, _ = line
    item = load_catalogue().items[offer.item]
    return Goods(
        name=item.zh,
        standard=offer.standard or need.standard or "按双方确认的样品",
        edition=offer.edition or "",
        lot=offer.batch_number,
        expiry="" if offer.expires_on is None else offer.expires_on.isoformat(),
        quantity=allocation.quantity,
        unit="件",
        unit_price_fen=unit_price_fen,
    )


def _new(
    story: Story,
    name: str,
    *,
    title: str,
    matter: str,
    keys: tuple[str, str],
    roles: tuple[str, str],
    allocation_id: str | None,
) -> agreements.NewAgreement:
    signers = tuple(
        agreements.SignerSpec(
            organisation_id=story.actors[key].registered.organisation.id,
            person_id=story.actors[key].registered.person.id,
            role=role,
        )
        for key, role in zip(keys, roles, strict=True)
    )
    return agreements.NewAgreement(
        id=story.id_of("agr", name),
        title=title,
        matter=matter,
        signers=signers,
        expires_at=story.started_at + timedelta(days=30),
        allocation_id=allocation_id,
    )


def _from_template(
    story: Story,
    template: str,
    keys: tuple[str, str],
    roles: tuple[str, str],
    data: dict[str, Any],
    *,
    title: str,
    allocation_id: str,
) -> str:
    new = _new(
        story,
        template,
        title=title,
        matter=template,
        keys=keys,
        roles=roles,
        allocation_id=allocation_id,
    )
    with transaction(story.ports.sessions) as session:
        row = agreements.create_from_template(
            session,
            story.ports,
            story.actors[keys[0]].caller,
            new,
            template=template,
            data=data,
            at=story.clock(),
        )
    return row.id


def _from_upload(story: Story) -> str:
    """A document that one party wrote itself."""
    keys = ("donor", "hospital")
    names = [story.actors[key].registered.organisation.name for key in keys]
    data, fields = outside_draft(*names, at=story.started_at)
    new = _new(
        story,
        "handover",
        title="物资交接备忘录（上传文件，演示）",
        matter="other",
        keys=keys,
        roles=("party", "party"),
        allocation_id=None,
    )
    with transaction(story.ports.sessions) as session:
        row = agreements.create_from_upload(
            session,
            story.ports,
            story.actors["donor"].caller,
            new,
            data=data,
            fields=fields,
            at=story.clock(),
        )
    return row.id


def _sign_all(story: Story, agreement_id: str) -> None:
    with transaction(story.ports.readers) as session:
        row = session.get_one(AgreementRow, agreement_id)
        signers = agreement_queries.signers_of(session, agreement_id)
    people = {actor.registered.person.id: actor for actor in story.actors.values()}
    for signer in signers:
        _read_and_consent(story, people[signer.person_id], row, signer)
    for signer in signers:
        _sign(story, people[signer.person_id], signer)
    with transaction(story.ports.readers) as session:
        row = session.get_one(AgreementRow, agreement_id)
    formed = "" if row.formed_at is None else f"，合同成立于 formed at {utc_text(row.formed_at)}"
    story.stages.mark(f"{row.title}：{len(signers)} 方已签，逐次复验全部签名{formed}")


def _read_and_consent(story: Story, actor: Actor, row: AgreementRow, signer: SignerRow) -> None:
    ports, caller = story.ports, actor.caller
    with transaction(ports.sessions) as session:
        agreements.open_document(session, ports, caller, signer.id, at=story.clock())
    with transaction(ports.sessions) as session:
        agreements.read_document(
            session, ports, caller, signer.id, pages=row.pages, seconds=60, at=story.clock()
        )
    if signer.consented_at is None:
        _affirm(story, actor, signer, act="consent")


def _affirm(story: Story, actor: Actor, signer: SignerRow, *, act: str) -> None:
    """The handler's device signs the exact statement the server made."""
    with transaction(story.ports.sessions) as session:
        made = signatures.make_statement(
            session, actor.caller, signer.id, act=act, at=story.clock()
        )
    proof = actor.key.sign(intent_message(json.loads(made.statement)))
    with transaction(story.ports.sessions) as session:
        signatures.express_intent(
            session, story.ports, actor.caller, made.id, proof=proof, at=story.clock()
        )


def _sign(story: Story, actor: Actor, signer: SignerRow) -> None:
    if signer.signed_at is not None:
        return
    if signer.intent_at is None:
        _affirm(story, actor, signer, act="sign")
    with transaction(story.ports.sessions) as session:
        prepared = signatures.prepare_signature(
            session, story.ports, actor.caller, signer.id, at=story.clock()
        )
    # The server sent these bytes; only the device can sign them.
    signature = actor.key.sign(bytes.fromhex(prepared.signed_attrs))
    with transaction(story.ports.sessions) as session:
        signatures.complete_signature(
            session,
            story.ports,
            actor.caller,
            prepared.id,
            signature=signature,
            at=story.clock(),
        )


# --- evidence ----------------------------------------------------------------------------------------


def _anchored(story: Story, agreed: list[str]) -> Progress:
    progress = settle(story.ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    with transaction(story.ports.readers) as session:
        anchor = anchor_queries.latest_final(session)
        states = set()
        for agreement_id in agreed:
            for entry in evidence.entries_about(session, OPERATOR, agreement_id):
                receipt = evidence.receipt_for(session, story.ports, OPERATOR, entry.id)
                states.add(str(receipt["state"]))
    assert anchor is not None
    story.stages.mark(
        f"{progress.anchored} 条存证记录 entries, all under a final anchor: {progress.settled}"
    )
    story.stages.mark(
        f"区块 block {anchor.block_number} · tx {anchor.tx_hash[:18]}… · gas {anchor.gas_used} · "
        f"回执状态 receipts: {', '.join(sorted(states))}",
        good=states == {"final"},
    )
    return progress


def _evidence(story: Story, agreed: list[str]) -> bool:
    ports, out = story.ports, story.out
    out.mkdir(exist_ok=True)
    with transaction(ports.readers) as session:
        save_trust(
            evidence.installation_trust(session, ports, at=story.clock()), out / "trust.json"
        )
    bundles = []
    for number, agreement_id in enumerate(agreed, start=1):
        with transaction(ports.sessions) as session:
            row, data = evidence.export_bundle(
                session,
                ports,
                OPERATOR,
                agreement_id=agreement_id,
                bundle_id=story.id_of("bun", agreement_id),
                purpose=Purpose.ARBITRATION,
                recipient=story.actors["arbiter"].registered.organisation.name,
                at=story.clock(),
            )
            agreement = session.get_one(AgreementRow, agreement_id)
        pdf, path = out / f"agreement-{number}.pdf", out / f"bundle-{number}.zip"
        pdf.write_bytes(ports.blobs.get(agreement.current_sha256))
        path.write_bytes(data)
        bundles.append(path)
        story.made.append((f"{agreement.title} PDF", str(pdf)))
        story.made.append((f"证据包 evidence bundle ({row.size_bytes // 1024} KiB)", str(path)))
    story.made.append(("信任文件 trust file (pin it)", str(out / "trust.json")))
    settle(ports, story.chain, clock=story.clock, seconds_max=SETTLE_SECONDS)
    good = True
    for number, path in enumerate(bundles):
        story.stages.note(
            f"在独立进程、无数据库、无网络中验证 separate process: fuqi bundle verify {path.name}"
        )
        good &= _verify(story, path, expected=0, show=number == 0)
    return _tampered(story, bundles[0]) and good


def _tampered(story: Story, bundle: Path) -> bool:
    """Two forgeries that must fail: one bit flipped, and one byte of the signed PDF changed and repacked."""
    data = bundle.read_bytes()
    flipped = bytearray(data)
    place = len(flipped) // 2
    flipped[place] ^= 0x01
    files = dict(unpack(data))
    name = max(path for path in files if path.startswith("documents/revision"))
    changed = bytearray(files[name])
    changed[len(changed) // 3] ^= 0x01
    files[name] = bytes(changed)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for what, forged in (
            (
                f"翻转第 {place} 字节的一个比特 one bit flipped at byte {place} of a copy",
                bytes(flipped),
            ),
            (f"改动 {name} 一字节后重新打包 one byte of {name} changed, zip repacked", pack(files)),
        ):
            copy = Path(folder) / "forged.zip"
            copy.write_bytes(forged)
            story.stages.note(f"{what}:")
            good &= _verify(story, copy, expected=1, show=True, failures_only=True)
    return good


def _verify(
    story: Story, bundle: Path, *, expected: int, show: bool, failures_only: bool = False
) -> bool:
    """Run `fuqi bundle verify` as a stranger would: another process, an empty home, no settings."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "api.cli",
                "bundle",
                "verify",
                str(bundle),
                "--trust",
                str(story.out / "trust.json"),
                "--json",
            ],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "HOME": folder},
            capture_output=True,
            timeout=120,
            check=False,
        )
    good = done.returncode == expected
    try:
        report = json.loads(done.stdout)
    except ValueError:
        story.stages.mark(f"no report: {done.stderr.decode(errors='replace')[-400:]}", good=False)
        return False
    for check in report["checks"]:
        passed = check["verdict"] == "passed"
        if show and (check["verdict"] == "failed" or not failures_only):
            story.stages.mark(
                f"{check['number']:>2}. {check['code']}: {check['summary_zh']}", good=passed
            )
    story.stages.mark(
        f"结论 verdict: {report['verdict']} (exit {done.returncode}, expected {expected})",
        good=good,
    )
    return good


def _closing(story: Story) -> None:
    with transaction(story.ports.readers) as session:
        gas = anchor_queries.gas_total(session)
        counts = demo_queries.entries_by_type(session)
    stages = story.stages
    stages.console.print()
    stages.table(
        "日志中的记录 entries in the log",
        ["类型 type", "数量 count"],
        [[kind, str(count)] for kind, count in sorted(counts.items())],
    )
    stages.table(
        "产出 what was made",
        ["", "位置 where"],
        [[what, where] for what, where in story.made],
    )
    stages.table(
        "用时 time",
        ["阶段 stage", "秒 s"],
        [[title, f"{took:.1f}"] for title, took in stages.timings],
    )
    stages.note(f"锚定共用 gas {gas}")
    for login, password in sorted(story.passwords.items()):
        stages.note(f"登录 log in: demo-{login}  密码 password: {password}")
    stages.note(
        "演示数据：人物、单位证件号与一切签署行为均为虚构 DEMONSTRATION: people, numbers and acts are invented"
    )
    stages.console.print(
        "\n下一步 next: [bold]fuqi serve --demo[/]  →  http://127.0.0.1:8000", highlight=False
    )
