"""What the pages with forms share: show a form again with its faults, each beside its field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from api.callers import Caller
from api.errors import problem_of, request_id_of
from api.routes.base import pages_of
from api.web.forms import Fault, fault_of
from api.web.pages import BEIJING
from ledger.core.errors import FuqiError

FAULTY_STATUS: Final = 422


def form_page(
    request: Request,
    template: str,
    *,
    caller: Caller | None,
    values: Mapping[str, str],
    faults: Mapping[str, Fault] | None = None,
    error: FuqiError | None = None,
    fields: Mapping[str, str] | None = None,
    **facts: Any,
) -> Response:
    """The form with what was typed.

    Args:
        faults: by field, as `FormReader` found them.
        error: what the flow refused; it is shown beside the field that `fields` names, or on top.
        fields: see `api.web.forms.fault_of`.
    """
    shown = dict(faults or {})
    problem = None
    if error is not None:
        problem = problem_of(error, request_id=request_id_of(request))
        shown |= fault_of(problem, fields or {}, values)
    status = problem.status if problem is not None else FAULTY_STATUS if shown else 200
    return pages_of(request).page(
        request,
        template,
        caller=caller,
        status=status,
        values=values,
        faults=shown,
        problem=problem,
        **facts,
    )


def today_at(at: datetime) -> date:
    """The day in Beijing, where the people are who fill in the form."""
    return at.astimezone(BEIJING).date()


def end_of(day: date) -> datetime:
    """The end of a day in Beijing: the same for every retry of one form."""
    return datetime.combine(day, time(), tzinfo=BEIJING) + timedelta(days=1)
