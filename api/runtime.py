"""What every command starts with: settings from the environment, a clock, logging, open ports."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from api.settings import Settings
from ledger.core.errors import InputError


def now() -> datetime:
    """The clock of the shell; rules get its value as `at`."""
    return datetime.now(UTC)


def load_settings() -> Settings:
    """Settings from `FUQI_*`.

    Raises:
        InputError: `settings.invalid`, naming the setting.
    """
    try:
        return Settings()
    except ValidationError as exc:
        first = exc.errors()[0]
        name = "_".join(["FUQI", *(str(part).upper() for part in first["loc"])])
        raise InputError(f"{name}: {first['msg']}", code="settings.invalid") from exc


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
