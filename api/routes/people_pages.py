"""Pages of an organisation's administrator: add a handler, end an authorisation."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Path, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from api.deps import Admin, AtDep, PortsDep, SessionDep
from api.flows import parties, registration
from api.routes.account_pages import attempt_ids
from api.routes.forms import form_page
from api.schemas.base import ID_CHARACTERS_MAX
from api.web.forms import FormReader
from api.web.pages import go
from ledger.core.errors import FuqiError
from ledger.core.ids import new_id

router = APIRouter(include_in_schema=False)

PASSWORD_CHARACTERS_READ: Final = 400
SECRETS: Final = ("resident_id", "password")
"""Never sent back in a page: the script keeps them in the form, without it they are typed again."""
HANDLER_FIELDS: Final = {
    "number": "resident_id",
    "identity.": "resident_id",
    "party.number_taken": "resident_id",
    "party.name": "name",
    "account.login": "login",
    "account.password": "password",
    "account.no_consent": "consent",
}
REVOKED_ON_PAGE: Final = "revoked by administrator"


class HandlerForm(BaseModel):
    """The form as typed."""

    attempt: str = ""
    name: str = ""
    resident_id: str = ""
    login: str = ""
    password: str = ""
    consent: str = ""
    invented: str = ""


@router.get("/me/handlers/new", response_class=HTMLResponse)
def handler_form(request: Request, at: AtDep, caller: Admin) -> Response:
    """The form to add a handler with."""
    values = HandlerForm(attempt=new_id("reg", at=at)).model_dump()
    return form_page(request, "handler_form.html", caller=caller, values=values)


@router.post("/me/handlers", response_class=HTMLResponse)
def add_handler(
    request: Request,
    ports: PortsDep,
    at: AtDep,
    caller: Admin,
    form: Annotated[HandlerForm, Form()],
) -> Response:
    """Give another natural person an account and an authority; the ids come from the form."""
    typed = form.model_dump()
    shown = typed | dict.fromkeys(SECRETS, "")
    reader = FormReader(typed)
    name, number = reader.text("name"), reader.text("resident_id")
    login = reader.text("login")
    reader.text("password", characters_max=PASSWORD_CHARACTERS_READ)
    if not reader.checked("consent"):
        reader.fault(
            "consent", "account.no_consent", "the real-name check needs the person's consent"
        )
    if reader.faults:
        return form_page(
            request, "handler_form.html", caller=caller, values=shown, faults=reader.faults
        )
    try:
        ids = attempt_ids(form.attempt)
        registration.add_handler(
            ports,
            caller,
            registration.NewHandler(
                person_id=ids["person"],
                account_id=ids["account"],
                authorisation_id=ids["authorisation"],
                name=name,
                number=number,
                consent_id=ids["consent"],
                login=login,
                password=form.password,
                invented=reader.checked("invented"),
                temporary=True,
            ),
            at=at,
        )
    except FuqiError as error:
        return form_page(
            request,
            "handler_form.html",
            caller=caller,
            values=shown,
            error=error,
            fields=HANDLER_FIELDS,
        )
    return go("/me#authorisations")


@router.post("/me/authorisations/{authorisation_id}/revoke")
def revoke_authorisation(
    session: SessionDep,
    ports: PortsDep,
    at: AtDep,
    caller: Admin,
    authorisation_id: Annotated[str, Path(max_length=ID_CHARACTERS_MAX)],
) -> Response:
    """End a handler's authority at once."""
    parties.revoke_authorisation(
        session, ports, caller, authorisation_id, reason=REVOKED_ON_PAGE, at=at
    )
    return go("/me#authorisations")
