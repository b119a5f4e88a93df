"""What-if questions, as JSON and as a page; nothing is recorded."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from api.callers import Caller
from api.deps import AtDep, Operator, PortsDep, ReaderDep, limit_attempts
from api.flows import what_if
from api.routes.forms import form_page, today_at
from api.schemas.board import TIERS
from api.schemas.what_if import WhatIfIn, WhatIfOut
from api.views.public import catalogue, item_names
from api.views.what_if import answer_facts
from api.web.forms import FormReader
from ledger.core.errors import FuqiError
from matching.problem import Place

router = APIRouter(tags=["what if"])

QUANTITY_MAX: Final = 10**9
SEGMENTS_MAX: Final = 100
KM_MAX: Final = 20_000
FIELDS: Final = {
    "offer.quantity": "quantity",
    "item.": "item",
    "what_if.no_need": "item",
    "what_if.unknown_row": "without_offer",
}


class WhatIfForm(BaseModel):
    """The form as typed; what is left empty stays as it is."""

    item: str = ""
    quantity: str = ""
    without_offer: str = ""
    without_need: str = ""
    segments: str = ""
    km_per_day: str = ""
    as_of: str = ""


@router.post("/api/v1/what-if")
def ask_what_if(
    request: Request,
    reader: ReaderDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    body: WhatIfIn,
) -> WhatIfOut:
    """What a round of this moment would be with these differences; solved, checked and forgotten."""
    limit_attempts(request, "what_if.account", who=caller.account_id)
    question = what_if.Question(
        goods=tuple(
            what_if.MoreGoods(
                one.item,
                one.quantity,
                None if one.place is None else Place(**one.place.model_dump()),
            )
            for one in body.goods
        ),
        needs=tuple(
            what_if.MoreNeed(one.hospital_id, one.item, one.quantity, TIERS.index(one.urgency))
            for one in body.needs
        ),
        without_offers=body.without_offers,
        without_needs=body.without_needs,
        segments=body.segments,
        km_per_day=body.km_per_day,
    )
    answer = what_if.ask(ports, caller, question, at=at, as_of=body.as_of)
    return answer_facts(reader, question, answer)


@router.get("/what-if", response_class=HTMLResponse, include_in_schema=False)
def what_if_page(request: Request, at: AtDep, caller: Operator) -> Response:
    """The question's form."""
    values = WhatIfForm(as_of=today_at(at).isoformat()).model_dump()
    return _page(request, caller, values)


@router.post("/what-if", response_class=HTMLResponse, include_in_schema=False)
def ask_what_if_form(
    request: Request,
    reader: ReaderDep,
    ports: PortsDep,
    at: AtDep,
    caller: Operator,
    form: Annotated[WhatIfForm, Form()],
) -> Response:
    """The answer below its question; there is nothing to redirect to, as nothing is kept."""
    limit_attempts(request, "what_if.account", who=caller.account_id)
    values = form.model_dump()
    read = FormReader(values)
    quantity = read.integer("quantity", low=1, high=QUANTITY_MAX, required=False)
    item = read.text("item", required=quantity is not None)
    segments = read.integer("segments", low=1, high=SEGMENTS_MAX, required=False)
    speed = read.integer("km_per_day", low=1, high=KM_MAX, required=False)
    offer = read.text("without_offer", required=False, characters_max=40)
    need = read.text("without_need", required=False, characters_max=40)
    day = read.day("as_of", required=False)
    if read.faults:
        return _page(request, caller, values, read=read)
    goods = () if quantity is None else (what_if.MoreGoods(item, quantity),)
    question = what_if.Question(
        goods=goods,
        without_offers=(offer,) if offer else (),
        without_needs=(need,) if need else (),
        segments=segments,
        km_per_day=speed,
    )
    try:
        answer = what_if.ask(ports, caller, question, at=at, as_of=day)
    except FuqiError as error:
        return _page(request, caller, values, error=error)
    return _page(request, caller, values, answer=answer_facts(reader, question, answer))


def _page(
    request: Request,
    caller: Caller,
    values: dict[str, str],
    *,
    read: FormReader | None = None,
    error: FuqiError | None = None,
    answer: WhatIfOut | None = None,
) -> Response:
    return form_page(
        request,
        "what_if.html",
        caller=caller,
        values=values,
        faults=None if read is None else read.faults,
        error=error,
        fields=FIELDS,
        items=catalogue().items,
        item_name=item_names,
        tiers=TIERS,
        answer=answer,
    )
