"""Every router, in the order in which paths are tried."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from api.routes import (
    account_pages,
    accounts,
    agreement_pages,
    agreements,
    base,
    evidence,
    public,
    rounds,
    supply,
    verify,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    base.router,
    public.router,
    verify.router,
    accounts.router,
    account_pages.router,
    supply.router,
    rounds.router,
    agreements.router,
    agreement_pages.router,
    evidence.router,
)
