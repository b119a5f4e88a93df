"""Every router, in the order in which paths are tried."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from api.routes import (
    account_pages,
    accounts,
    acts,
    agreement_forms,
    agreement_pages,
    agreements,
    base,
    entries,
    evidence,
    lost_keys,
    people_pages,
    pki,
    public,
    rounds,
    signing_pages,
    supply,
    supply_pages,
    tiles,
    verify,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    base.router,
    public.router,
    verify.router,
    accounts.router,
    account_pages.router,
    people_pages.router,
    supply.router,
    supply_pages.router,
    rounds.router,
    agreements.router,
    # Its fixed addresses stand before `/agreements/{agreement_id}`.
    agreement_forms.router,
    agreement_pages.router,
    signing_pages.router,
    evidence.router,
    entries.router,
    acts.router,
    tiles.router,
    pki.router,
    lost_keys.router,
)
