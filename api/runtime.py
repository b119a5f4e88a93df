"""What every command starts with: settings from the environment, a clock, logging, open ports."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError

from api.settings import PRODUCTION_LACKS, Settings
from ledger.core.errors import InputError

DEMO_HOME: Final = Path("var/demo")


def now() -> datetime:
    """The clock of the shell; rules get its value as `at`."""
    return datetime.now(UTC)


def load_settings() -> Settings:
    """Settings from `FUQI_*`.

    Raises:
        InputError: `settings.production`, naming everything that lacks; `settings.invalid`, naming the
            setting. Values are never repeated: one may hold a password.
    """
    try:
        return Settings()
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        if first["type"] == PRODUCTION_LACKS:
            raise InputError(first["msg"], code="settings.production") from None
        name = "_".join(["FUQI", *(str(part).upper() for part in first["loc"])])
        # Not `from exc`: its text repeats the value.
        raise InputError(f"{name}: {first['msg']}", code="settings.invalid") from None


def demo_settings() -> Settings:
    """Settings of the demonstration: its own folder, and its mark on every page and record.

    Raises:
        InputError: `settings.production`: a production installation demonstrates nothing; as `load_settings`.
    """
    settings = load_settings()
    if settings.production:
        raise InputError(
            "a demonstration is no production: unset FUQI_PRODUCTION", code="settings.production"
        )
    update: dict[str, object] = {"demo": True, "log_origin": "demo.fuqi.invalid/log"}
    if "home" not in settings.model_fields_set:
        update["home"] = DEMO_HOME
    if "operator_name" not in settings.model_fields_set:
        update["operator_name"] = "fuqi 演示（虚构运营者）fuqi demonstration"
    return settings.model_copy(update=update)


def configure_logging(*, json: bool, level: int = logging.INFO) -> None:
    """structlog to standard error: static event names, ids not objects."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
