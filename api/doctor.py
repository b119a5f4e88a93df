"""What this machine has, what it lacks, what follows, and how to get it: `fuqi doctor`.

Each probe looks at one thing through a `Machine`, changes nothing, and gives one `Check`. Failed: fuqi cannot
do its work without it. Indeterminate: it could not be looked at. Tools that only tests need become checks
when asked for (`for_tests`); otherwise a missing one is a label of the report.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from api.machine import Machine
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError
from ledger.core.report import Check, Report, Verdict

PYTHON_FLOOR: Final = (3, 11)
DISK_FREE_MIN_BYTES: Final = 1024**3
"""A demo keeps about a tenth of this; below it a PostgreSQL or a page of images may already fail."""
CLOCK_OLDEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Older than this software: a clock before it was never set."""
CLOCK_NEWEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
CLOCK_PAUSE_SECONDS: Final = 0.05
CLOCK_DRIFT_MAX_SECONDS: Final = 1.0
"""More than this between two clocks over a twentieth of a second: one of them is being set right now."""
RARE_CHARACTERS: Final = "䶮𠮷㛃𬱖"
"""Characters of real names outside the common set, two of them outside the basic plane."""
ROUNDS_SHOWN: Final = 5
APT: Final = "sudo apt-get install"


def examine(machine: Machine, *, for_tests: bool = False) -> Report:
    """Look at everything, in a fixed order.

    Args:
        for_tests: tools that only the tests use are required too.
    """
    checks = [probe(machine) for probe in PROBES]
    tools = [_tool(machine, tool) for tool in TOOLS]
    if for_tests:
        return Report(subject="machine", checks=tuple(checks + tools))
    # Running fuqi needs none of these: one that is absent is a remark, not a fault.
    found = [check for check in tools if check.verdict is Verdict.PASSED]
    absent = [check.summary_en for check in tools if check.verdict is not Verdict.PASSED]
    return Report(subject="machine", checks=tuple(checks + found), labels=tuple(absent))


def _python(machine: Machine) -> Check:
    found = ".".join(map(str, machine.python))
    if machine.python[:2] < PYTHON_FLOOR:
        floor = ".".join(map(str, PYTHON_FLOOR))
        return _failed(
            "doctor.python",
            f"Python {found} is too old: fuqi needs {floor} or newer ({APT} python3 python3-venv)",
            f"Python {found} 版本过低，需要 {floor} 或更高版本",
        )
    return _passed("doctor.python", f"Python {found}", f"Python {found}")


def _packages(machine: Machine) -> Check:
    required = machine.requires("fuqi")
    if required is None:
        return _failed(
            "doctor.packages",
            "fuqi is not installed in this environment: run make setup",
            "当前环境未安装 fuqi，请运行 make setup",
        )
    # `name[extra]>=1; marker` -> name. Versions are the lock's business; absence is ours.
    names = sorted({_name(text) for text in required if "extra ==" not in text})
    absent = [name for name in names if machine.version(name) is None]
    if absent:
        listed = ", ".join(absent)
        return _failed(
            "doctor.packages",
            f"missing Python packages: {listed}: run make setup (it goes by the lock file)",
            f"缺少 Python 软件包：{listed}，请运行 make setup",
        )
    return _passed(
        "doctor.packages",
        f"all {len(names)} Python packages are installed",
        f"{len(names)} 个 Python 软件包齐全",
        packages=len(names),
    )


def _parts(machine: Machine) -> Check:
    """Files beside the code that a broken build would leave out."""
    wanted = {
        "contracts/artifacts": "*.json",
        "ledger/migrations/versions": "0*.py",
        "matching/data": "*",
        "api/web/templates": "*.html",
    }
    absent = [
        folder
        for folder, pattern in wanted.items()
        if not any((machine.checkout / folder).glob(pattern))
    ]
    if absent:
        listed = ", ".join(absent)
        return _failed(
            "doctor.parts",
            f"this installation lacks its own files: {listed}; install the wheel or clone again",
            f"安装不完整，缺少：{listed}",
        )
    return _passed(
        "doctor.parts",
        "contracts, migrations, catalogue and pages are in place",
        "合约、迁移、目录与页面文件齐全",
    )


def _font(machine: Machine) -> Check:
    try:
        name, missing = machine.font_name(), machine.missing_glyphs(RARE_CHARACTERS)
    except FuqiError as exc:
        return _failed(
            "doctor.font",
            f"{exc.message}; without it no agreement can be rendered",
            f"未找到中文字体，无法生成合同：{APT} fonts-lxgw-wenkai",
        )
    if missing:
        shown = "".join(missing)
        return _failed(
            "doctor.font",
            f"font {name} lacks rare characters of names ({shown}): {APT} fonts-lxgw-wenkai",
            f"字体 {name} 缺少姓名用生僻字（{shown}）：{APT} fonts-lxgw-wenkai",
        )
    return _passed(
        "doctor.font",
        f"font {name}, with the rare characters of names",
        f"字体 {name}，含姓名用生僻字",
    )


def _home(machine: Machine) -> Check:
    home = machine.settings.home.resolve()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        return _failed(
            "doctor.home",
            f"cannot write to {existing}: set FUQI_HOME to a folder of your own",
            f"无法写入 {existing}：请将 FUQI_HOME 设为可写目录",
        )
    return _passed("doctor.home", f"files are kept in {home}", f"数据保存在 {home}")


def _disk(machine: Machine) -> Check:
    home = machine.settings.home.resolve()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = machine.free_bytes(existing)
    mebibytes = free // 1024**2
    if free < DISK_FREE_MIN_BYTES:
        return _failed(
            "doctor.disk",
            f"only {mebibytes} MiB free; fuqi asks for {DISK_FREE_MIN_BYTES // 1024**2} MiB",
            f"磁盘仅剩 {mebibytes} MiB，需要 {DISK_FREE_MIN_BYTES // 1024**2} MiB",
            free_bytes=free,
        )
    return _passed(
        "doctor.disk", f"{mebibytes} MiB free", f"磁盘剩余 {mebibytes} MiB", free_bytes=free
    )


def _database(machine: Machine) -> Check:
    code = "doctor.database"
    try:
        url = make_url(machine.settings.database)
        shown = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            return _passed(
                code, f"{shown} is made at the first start", f"{shown} 将在首次启动时创建"
            )
        current, newest = machine.schema(machine.settings.database)
    except (FuqiError, ValueError) as exc:
        said = exc.message if isinstance(exc, FuqiError) else "FUQI_DATABASE_URL is no URL"
        return _failed(code, f"the database cannot be used: {said}", f"数据库不可用：{said}")
    if current is None:
        return _passed(
            code, f"{shown} is empty; made at the first start", f"{shown} 为空，首次启动时建表"
        )
    if current != newest:
        return _failed(
            code,
            f"{shown} is at schema {current}, this code at {newest}: back up, then fuqi db migrate",
            f"{shown} 结构版本 {current}，程序版本 {newest}：备份后运行 fuqi db migrate",
        )
    return _passed(code, f"{shown} at schema {current}", f"{shown}，结构版本 {current}")


def _rounds(machine: Machine) -> Check:
    """Results on the chain that were struck or refused: nobody may go on saying that they are best."""
    code = "doctor.rounds"
    try:
        url = make_url(machine.settings.database)
        missing = url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()
        state = (None, None) if missing else machine.schema(machine.settings.database)
        ready = state[0] is not None and state[0] == state[1]
        found = machine.alarms(machine.settings.database, machine.wall) if ready else ()
    except (FuqiError, ValueError):
        return Check(
            code,
            Verdict.INDETERMINATE,
            "results on the chain were not looked at: see the database above",
            "未能查看链上结果：见上面的数据库检查",
        )
    if found:
        shown = ", ".join(found[:ROUNDS_SHOWN])
        return _failed(
            code,
            f"{len(found)} rounds whose result on the chain was struck or refused: {shown}; open /rounds/<id> "
            "and follow what its page says (docs/guides/matching.md)",
            f"{len(found)} 个轮次的链上结果已被推翻或被拒绝：{shown}；请打开 /rounds/<编号> 按页面提示处理",
            rounds=list(found[:ROUNDS_SHOWN]),
        )
    return _passed(
        code,
        "no result on the chain was struck or refused in the last 30 days",
        "近 30 天没有被推翻或被拒绝的链上结果",
    )


def _chain(machine: Machine) -> Check:
    code = "doctor.chain"
    embedded = machine.settings.chain_url is None
    if embedded and not (machine.settings.home.resolve() / "chain").exists():
        return _passed(
            code, "the embedded chain is made at the first start", "内置链将在首次启动时创建"
        )
    try:
        chain = machine.chain(machine.settings)
        info = chain.info()
        close = getattr(chain, "close", None)  # the embedded chain holds a lock on its file
        if close is not None:
            close()
    except FuqiError as exc:
        if exc.error_code == "chain.locked":
            return _passed(
                code,
                "the embedded chain is in use by a running fuqi",
                "内置链正由运行中的 fuqi 使用",
            )
        how = "" if embedded else " (check FUQI_CHAIN_URL)"
        return _failed(code, f"{exc.message}{how}", f"区块链不可用：{exc.error_code}")
    return _passed(
        code,
        f"chain {info.chain_id} ({info.client}): {info.label_en}",
        f"链 {info.chain_id}（{info.client}）：{info.label_zh}",
        chain_id=info.chain_id,
    )


def _vault(machine: Machine) -> Check:
    code = "doctor.vault"
    try:
        found = machine.master_keys(machine.settings)
    except FuqiError as exc:
        return _failed(
            code, f"{exc.message} ({exc.error_code})", f"保险库主密钥不可用：{exc.error_code}"
        )
    return _passed(code, f"vault master key: {found}", f"保险库主密钥：{found}")


def _clock(machine: Machine) -> Check:
    code = "doctor.clock"
    wall, tick = machine.wall(), machine.monotonic()
    time.sleep(CLOCK_PAUSE_SECONDS)
    drift = (machine.wall() - wall).total_seconds() - (machine.monotonic() - tick)
    if not CLOCK_OLDEST <= wall < CLOCK_NEWEST:
        return _failed(
            code,
            f"the clock says {wall:%Y-%m-%d}: set it, or every record gets a wrong time",
            f"系统时间为 {wall:%Y-%m-%d}，请校准，否则所有记录时间错误",
        )
    if abs(drift) > CLOCK_DRIFT_MAX_SECONDS:
        return _failed(
            code,
            "the clock jumped while we looked: wait until it is set",
            "系统时钟正在跳变，请稍候再试",
        )
    zone = time.strftime("%Z")
    synchronised = machine.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised == "no":
        return Check(
            code,
            Verdict.INDETERMINATE,
            f"{wall:%Y-%m-%d %H:%M} UTC (zone {zone}); not synchronised: sudo timedatectl set-ntp true",
            f"{wall:%Y-%m-%d %H:%M} UTC（时区 {zone}），未与时间服务器同步：sudo timedatectl set-ntp true",
        )
    how = "synchronised" if synchronised == "yes" else "whether it is synchronised was not told"
    how_zh = "已同步" if synchronised == "yes" else "无法得知是否同步"
    return _passed(
        code,
        f"{wall:%Y-%m-%d %H:%M} UTC (zone {zone}); {how}",
        f"{wall:%Y-%m-%d %H:%M} UTC（时区 {zone}）；{how_zh}",
    )


PROBES: Final[tuple[Callable[[Machine], Check], ...]] = (
    _python,
    _packages,
    _parts,
    _font,
    _home,
    _disk,
    _database,
    _rounds,
    _chain,
    _vault,
    _clock,
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that only tests or development use.

    Attributes:
        look: commands that print a version; the first that answers counts. A relative path is below the
            clone, an absolute one may hold `*`.
    """

    code: str
    name: str
    look: tuple[tuple[str, ...], ...]
    used_for: str
    used_for_zh: str
    get: str


NPM: Final = "npm install --no-save in the clone, or make test"
TOOLS: Final = (
    Tool(
        "doctor.node",
        "Node.js with npm",
        (("npm", "--version"),),
        "running solc and forge",
        "运行 solc 与 forge",
        f"{APT} nodejs npm",
    ),
    Tool(
        "doctor.solc",
        "solc",
        (("node_modules/.bin/solcjs", "--version"), ("solc", "--version")),
        "compiling the Solidity sources anew",
        "重新编译 Solidity 源码",
        NPM,
    ),
    Tool(
        "doctor.forge",
        "forge",
        (("node_modules/.bin/forge", "--version"), ("forge", "--version")),
        "the Solidity tests",
        "Solidity 测试",
        NPM,
    ),
    Tool(
        "doctor.poppler",
        "poppler",
        (("pdftoppm", "-v"),),
        "a second reader of our PDF files",
        "用第二种阅读器核对 PDF",
        f"{APT} poppler-utils",
    ),
    Tool(
        "doctor.openssl",
        "OpenSSL",
        (("openssl", "version"),),
        "a second opinion on certificates and time stamps",
        "核对证书与时间戳",
        f"{APT} openssl",
    ),
    Tool(
        "doctor.chromium",
        "Chromium",
        (
            ("chromium", "--version"),
            ("chromium-browser", "--version"),
            ("google-chrome", "--version"),
        ),
        "the browser tests",
        "浏览器测试",
        f"{APT} chromium",
    ),
    Tool(
        "doctor.postgres",
        "PostgreSQL server",
        (("/usr/lib/postgresql/*/bin/postgres", "--version"), ("postgres", "--version")),
        "the store tests on PostgreSQL",
        "PostgreSQL 存储测试",
        f"{APT} postgresql",
    ),
)


def _tool(machine: Machine, tool: Tool) -> Check:
    for command in tool.look:
        for program in _programs(command[0], checkout=machine.checkout):
            said = machine.run([program, *command[1:]])
            if said is not None:
                return _passed(tool.code, f"{tool.name}: {said}", f"{tool.name}：{said}")
    return _failed(
        tool.code,
        f"no {tool.name}, used only for {tool.used_for}: {tool.get}",
        f"没有 {tool.name}（仅用于{tool.used_for_zh}）：{tool.get}",
    )


def _programs(name: str, *, checkout: Path) -> list[str]:
    """Where `name` may be: Debian keeps PostgreSQL's server off the path, one folder per version."""
    if name.startswith("/"):
        return sorted(map(str, Path("/").glob(name[1:])), reverse=True)
    return [str(checkout / name) if "/" in name else name]


def _name(requirement: str) -> str:
    for index, char in enumerate(requirement):
        if not (char.isalnum() or char in "-_."):
            return requirement[:index]
    return requirement


def _passed(code: str, en: str, zh: str, **details: Json) -> Check:
    return Check(code, Verdict.PASSED, en, zh, details)


def _failed(code: str, en: str, zh: str, **details: Json) -> Check:
    return Check(code, Verdict.FAILED, en, zh, details)
