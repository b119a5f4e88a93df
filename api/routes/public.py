"""What everybody may see: the needs board and the disclosure, as pages and as JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from api.deps import PUBLIC, Limit, Offset, SessionDep, Visitor
from api.routes.base import pages_of
from api.schemas.board import TIERS, Board, Disclosure, Urgency
from api.views.public import board_facts, disclosure_facts
from api.web.pages import Paging
from ledger.queries.board import BoardFilter

router = APIRouter(tags=["public"])

Item = Annotated[str | None, Query(max_length=40, description="catalogue item")]
City = Annotated[str | None, Query(max_length=60)]


@router.get("/api/v1/board", dependencies=[Depends(PUBLIC)])
def board(
    session: SessionDep,
    item: Item = None,
    urgency: Urgency | None = None,
    city: City = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Board:
    """Open needs, most urgent first."""
    wanted = BoardFilter(
        item=item or None,
        tier=None if urgency is None else TIERS.index(urgency),
        city=city or None,
    )
    return board_facts(session, wanted, limit=limit, offset=offset)


@router.get("/board", response_class=HTMLResponse, include_in_schema=False)
def board_page(
    request: Request,
    session: SessionDep,
    caller: Visitor,
    item: Item = None,
    urgency: Annotated[str | None, Query(max_length=20)] = None,
    city: City = None,
    offset: Offset = 0,
) -> Response:
    """The needs board."""
    chosen: Urgency | None = next((one for one in TIERS if one == urgency), None)
    facts = board(session, item=item, urgency=chosen, city=city, limit=20, offset=offset)
    return pages_of(request).page(
        request,
        "board.html",
        caller=caller,
        facts=facts,
        paging=Paging(limit=facts.limit, offset=facts.offset, total=facts.total),
        item=item or "",
        urgency=chosen or "",
        city=city or "",
        tiers=TIERS,
    )


@router.get("/api/v1/disclosure", dependencies=[Depends(PUBLIC)])
def disclosure(session: SessionDep, limit: Limit = 20, offset: Offset = 0) -> Disclosure:
    """Accepted donations and orders, newest first; natural persons are masked."""
    return disclosure_facts(session, limit=limit, offset=offset)


@router.get("/disclosure", response_class=HTMLResponse, include_in_schema=False)
def disclosure_page(
    request: Request, session: SessionDep, caller: Visitor, offset: Offset = 0
) -> Response:
    """The disclosure."""
    facts = disclosure_facts(session, limit=20, offset=offset)
    return pages_of(request).page(
        request,
        "disclosure.html",
        caller=caller,
        facts=facts,
        paging=Paging(limit=facts.limit, offset=facts.offset, total=facts.lines),
    )
