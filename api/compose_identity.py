"""Composition of real-name checks: who answers them, and what carries codes."""

from __future__ import annotations

from typing import Final

from api.compose_pki import read_token
from api.settings import Settings
from ledger.core.errors import InputError
from signing.identity import MockProvider, VerificationProvider
from signing.identity_policy import BUILT_IN, TRIAL, LevelPolicy, read_policy
from signing.providers.identity_http import HttpProvider
from signing.providers.identity_manual import ManualReviewProvider
from signing.providers.identity_messages import HttpMessenger, Messenger, MockMessenger
from signing.providers.outside import Endpoint, Fallback

CALLBACK: Final = "/api/v1/identity/callbacks"


def open_provider(settings: Settings) -> VerificationProvider:
    """The provider that the settings name.

    Raises:
        InputError: `settings.invalid`, `outside.url`, `outside.endpoints`, `identity.secret`,
            `identity.kind`, `identity.face_only`, `identity.plain_http`.
        ConflictError: `keys.permissions`.
    """
    if settings.identity_provider == "mock":
        return MockProvider()
    if settings.identity_provider == "manual":
        return ManualReviewProvider()
    if settings.identity_secret_file is None or not settings.identity_urls.strip():
        raise InputError(
            "FUQI_IDENTITY_PROVIDER=http needs FUQI_IDENTITY_URLS and FUQI_IDENTITY_SECRET_FILE",
            code="settings.invalid",
        )
    return HttpProvider(
        Fallback(_endpoints(settings.identity_urls, settings)),
        secret=read_token(settings.identity_secret_file).encode("ascii"),
        callback=settings.public_url.rstrip("/") + CALLBACK,
        kinds=frozenset(settings.identity_kinds.split()),
    )


def open_messenger(settings: Settings) -> Messenger | None:
    """What carries codes: the service that is set, the mock beside a mock provider, or nothing.

    Raises:
        InputError: `settings.invalid`, `outside.url`, `outside.endpoints`, `identity.secret`,
            `identity.plain_http`.
        ConflictError: `keys.permissions`.
    """
    if settings.message_urls.strip():
        if settings.message_secret_file is None:
            raise InputError(
                "FUQI_MESSAGE_URLS needs FUQI_MESSAGE_SECRET_FILE", code="settings.invalid"
            )
        return HttpMessenger(
            Fallback(_endpoints(settings.message_urls, settings)),
            secret=read_token(settings.message_secret_file).encode("ascii"),
        )
    return MockMessenger() if settings.identity_provider == "mock" else None


def open_levels(settings: Settings) -> LevelPolicy:
    """The table of levels that the settings name, else a built-in one: production's or that for trials.

    Raises:
        InputError: `settings.invalid`, `identity.policy`.
    """
    if settings.level_policy is None:
        return BUILT_IN if settings.production else TRIAL
    try:
        data = settings.level_policy.read_bytes()
    except OSError as exc:
        raise InputError(
            f"the table of levels in {settings.level_policy} cannot be read",
            code="settings.invalid",
        ) from exc
    return read_policy(data)


def _endpoints(urls: str, settings: Settings) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(url, allow_private=settings.outside_private) for url in urls.split())
