"""The whole job once, on real input: what `fuqi demo` runs.

Every step goes through the same flows as pages and API do. Ids are derived from the time of the first start,
so a demonstration that was killed at any moment and is run again continues: nothing is lost or doubled.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from api.callers import Role
from api.compose import open_chain, open_ports
from api.demo_cast import CAST, LOGINS
from api.demo_evidence import prove, show_receipts
from api.demo_goods import move_goods, take_papers
from api.demo_orders import make_to_order, need_at_once
from api.demo_parties import meet_parties
from api.demo_round import hold_round
from api.demo_signing import make_agreements
from api.demo_state import (
    Story,
)
from api.demo_supply import import_supply, join_hospital, post_offers
from api.flows.access import create_account
from api.settings import Settings
from api.story import Stages
from ledger.core.errors import InputError
from ledger.core.units import parse_utc, utc_text
from ledger.queries import anchors as anchor_queries
from ledger.queries import demo as demo_queries
from ledger.store import transaction


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
        meet_parties(story)
    with stages.stage("导入 import hospitals, needs, factories, carriers") as advance:
        run = import_supply(story, lambda what, done, total: advance(done, total, what))
        hospital = join_hospital(story, run)
        offers = post_offers(story, run, hospital)
    with stages.stage("撮合 matching round, exact over all pairs, certified") as advance:
        lines = hold_round(story, run, hospital, offers, lambda w, d, t: advance(d, t, w))
    with stages.stage("签约 three agreements, read, affirmed and signed by both sides"):
        agreed = make_agreements(story, lines)
    with stages.stage("物流 goods: packed, carried, accepted by two, used, recalled both ways"):
        lot_id = move_goods(story, run, lines["donation"], agreed[0])
    with stages.stage("订单与急需 an order made and accepted, an urgent need decided at once"):
        order_id = make_to_order(story, lines["manufacturing"], agreed[1])
        urgent_offer = need_at_once(story, hospital)
    with stages.stage("锚定 log, checkpoints, anchors, receipts"):
        show_receipts(story, [*agreed, lot_id, order_id])
    with stages.stage("出证 evidence bundle, verified by a stranger offline"):
        given = [offers["gift"].id, offers["directed"].id, urgent_offer]
        good = prove(story, agreed, lot_id, given)
        take_papers(story, lot_id)
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
        value = {"v": "fuqi/demo/v1", "started_at": utc_text(clock()), "passwords": {}}
        _keep(state, value)
    value = json.loads(state.read_text(encoding="utf-8"))
    lacking = {*LOGINS, *(member.key for member in CAST)} - set(value["passwords"])
    if lacking:
        # A demonstration that an earlier version began has nobody for the steps that are new.
        value["passwords"] |= {key: f"demo-{secrets.token_hex(5)}" for key in sorted(lacking)}
        _keep(state, value)
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


def _keep(state: Path, value: dict[str, Any]) -> None:
    part = state.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    part.replace(state)


def _program() -> str:
    """How to call us: the name where it is on the path, else the place it runs from."""
    beside = Path(sys.executable).with_name("fuqi")
    if shutil.which("fuqi") is not None or not beside.exists():
        return "fuqi"
    return os.path.relpath(beside)


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
        f"\n下一步 next: [bold]{_program()} serve --demo[/]  →  http://127.0.0.1:8000",
        highlight=False,
    )
