"""Facts of orders, as their two sides see them. Reads only."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.manufacturing import order_for
from api.flows.manufacturing_rules import BUYER, MAKER, possible
from api.schemas.orders import DocumentOut, LineToOrder, OrderOut
from api.views.agreements import entry_facts
from api.views.public import item_names
from ledger.core.errors import NotFoundError
from ledger.queries import custody as custody_queries
from ledger.queries import log as log_queries
from ledger.queries import orders as queries
from ledger.queries import parties as party_queries
from ledger.tables.orders import OrderDocumentRow, WorkOrderRow


def order_list(session: Session, caller: Caller, *, before: str, limit: int) -> list[OrderOut]:
    """Orders in which my organisation buys or makes, newest first; an operator sees all."""
    mine = None if caller.is_operator else caller.organisation_id or "-"
    rows = queries.orders_page(session, organisation_id=mine, before=before, limit=limit)
    return [_order(session, caller, row) for row in rows]


def order_facts(session: Session, caller: Caller, order_id: str) -> OrderOut:
    """One order.

    Raises:
        NotFoundError: absent, or between others.
    """
    return _order(session, caller, order_for(session, caller, order_id))


def line_to_order(session: Session, caller: Caller, allocation_id: str) -> LineToOrder:
    """An accepted line of capacity, from which its hospital asks the maker for a quote.

    Raises:
        NotFoundError: absent, not accepted, of goods that exist, or another hospital's.
    """
    sides = custody_queries.allocation_with_sides(session, allocation_id)
    if sides is None:
        raise NotFoundError("there is no such record")
    line, need, hospital, offer = sides
    mine = caller.organisation_id is not None and hospital.organisation_id == caller.organisation_id
    fits = line.state == "accepted" and offer.kind == "capacity"
    if not (mine and fits) or offer.organisation_id is None:
        raise NotFoundError("there is no such record")
    zh, en = item_names(offer.item)
    maker = party_queries.parties_by_ids(session, [offer.organisation_id])
    return LineToOrder(
        id=line.id,
        maker_id=offer.organisation_id,
        maker=maker[offer.organisation_id].name,
        item_zh=zh,
        item_en=en,
        quantity=line.quantity,
        specification=need.specification,
    )


def document_of(
    session: Session, caller: Caller, order_id: str, document_id: str
) -> OrderDocumentRow:
    """A document of an order of the caller's.

    Raises:
        NotFoundError: absent, or of another order.
    """
    row = order_for(session, caller, order_id)
    found = session.get(OrderDocumentRow, document_id)
    if found is None or found.order_id != row.id:
        raise NotFoundError("there is no such record")
    return found


def _order(session: Session, caller: Caller, row: WorkOrderRow) -> OrderOut:
    documents = queries.documents_of(session, row.id)
    names = party_queries.parties_by_ids(session, [row.buyer_id, row.maker_id])
    side = {row.buyer_id: BUYER, row.maker_id: MAKER}.get(caller.organisation_id or "", "")
    return OrderOut(
        id=row.id,
        kind=row.kind,
        side=side,
        buyer=names[row.buyer_id].name,
        maker=names[row.maker_id].name,
        buyer_id=row.buyer_id,
        maker_id=row.maker_id,
        allocation_id=row.allocation_id,
        agreement_id=row.agreement_id,
        what=row.what,
        specification=row.specification,
        quantity=row.quantity,
        state=row.state,
        price_minor=row.price_minor,
        deposit_minor=row.deposit_minor,
        kept_minor=row.kept_minor,
        from_on=row.from_on,
        due_on=row.due_on,
        accepted=row.accepted,
        rejected=row.rejected,
        opened_at=row.opened_at,
        possible=list(possible(row.kind, state=row.state, side=side)) if side else [],
        documents=[
            DocumentOut(
                id=one.id,
                kind=one.kind,
                sha256=one.sha256,
                size=one.size,
                organisation=names[one.organisation_id].name,
                entry_id=one.entry_id,
                added_at=one.added_at,
            )
            for one in documents
        ],
        events=[
            {"entry_id": one.id, "type": one.type, "at": one.at, "state": one.state}
            for one in entry_facts(session, log_queries.entries_of(session, [row.id]))
        ],
    )
