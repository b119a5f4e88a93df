"""Act six, continued: the ordered coveralls are made under an order, and an urgent need is decided at once.

Sample, process sheet and inspection report are invented, and so is everything they say.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from api.demo_acts import carry_out, must_be_refused, was_done
from api.demo_round import Line
from api.demo_state import DONOR_PLACE, Actor, Story
from api.flows import manufacturing, rounds, supply
from api.flows.urgent import NewUrgentNeed, post_urgent_need
from ledger.core.errors import UnavailableError
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.orders import WorkOrderRow
from ledger.tables.supply import HospitalRow
from matching.catalogue import load_catalogue, to_day

URGENT: Final = ("mask_surgical", 400, 300)
"""Item, pieces that the donor has today, pieces that the hospital needs at once."""
PRICE_FEN: Final = 6_800


def make_to_order(story: Story, line: Line, agreement_id: str) -> str:
    """Quote, order, sample, process documents, inspection, acceptance; returns the order's id."""
    order_id = story.id_of("ord", "coveralls")
    hospital, maker, quantity = story.actors["hospital"], story.actors["maker"], line[0].quantity
    buyer = hospital.registered.organisation.id

    def step(actor: Actor, name: str, **fields: Any) -> None:
        carry_out(
            story,
            actor,
            f"order-{name}",
            "order.step",
            {"order_id": order_id, "step": name, **fields},
        )

    wanted = {
        "order_id": order_id,
        "kind": "manufacture",
        "maker_id": maker.registered.organisation.id,
        # On another data set the optimum may give the maker's days to a hospital that is not ours: then the
        # order stands by itself, under the same agreement.
        "allocation_id": line[0].id if line[3].organisation_id == buyer else None,
        "what": "医用一次性防护服（演示）",
        "quantity": quantity,
        "due_on": (story.started_at.date() + timedelta(days=20)).isoformat(),
    }
    carry_out(story, hospital, "order-request", "order.request", wanted)
    step(maker, "quote", price_minor=PRICE_FEN * quantity, note="含灭菌与装箱（演示）")
    step(hospital, "place", agreement_id=agreement_id)
    _document(story, maker, order_id, "sample")
    step(maker, "sample")
    step(hospital, "judge", outcome="yes", note="样品合格（演示）")
    if not was_done(story, "order-produce"):
        early = {"order_id": order_id, "step": "produce"}
        must_be_refused(story, maker, "order.step", early, "production without process documents")
    _document(story, maker, order_id, "process")
    step(maker, "produce")
    _document(story, maker, order_id, "inspection")
    step(maker, "finish")
    step(hospital, "accept", outcome="yes", accepted=quantity)
    with transaction(story.ports.readers) as session:
        row = session.get_one(WorkOrderRow, order_id)
        state, steps = row.state, row.steps
    story.stages.mark(
        f"加工订单 {quantity} 件：报价→下单→样品→工艺文件→检验→验收 order: quote, sample, process documents, "
        f"inspection, acceptance（文件均为虚构 documents invented）· {steps} 步均已签署 signed steps",
        good=state == "accepted",
    )
    return order_id


def need_at_once(story: Story, hospital: HospitalRow) -> str:
    """The donor has a few boxes today; the hospital's urgent need is decided in one request; the offer's id."""
    item, held, wanted = URGENT
    offer_id, today = story.id_of("offer", "today"), story.started_at.date()
    catalogue = load_catalogue()
    standard = catalogue.items[item].standard
    made = today - timedelta(days=30)
    edition = None if standard is None else catalogue.edition_on(standard, day=to_day(made))
    offer = supply.NewOffer(
        id=offer_id,
        kind="lot",
        item=item,
        quantity=held,
        place=DONOR_PLACE,
        available_on=today,
        produced_on=made,
        expires_on=today + timedelta(days=700),
        batch_number="DEMO-today",
        standard=standard,
        edition=edition,
        certificate=2,
        directed_to=(hospital.id,),
    )
    donor, asker = story.actors["donor"].caller, story.actors["hospital"].caller
    with transaction(story.ports.sessions) as session:
        supply.post_offer(session, story.ports, donor, offer, at=story.started_at)
    need = supply.NewNeed(
        id=story.id_of("need", "urgent"),
        hospital_id=hospital.id,
        item=catalogue.items[item].zh,
        specification="",
        quantity=wanted,
        tier=0,
        deadline_on=today + timedelta(days=2),
        remaining_days_min=0,
    )
    asked = NewUrgentNeed(need, "夜间收治激增（演示）")
    row = post_urgent_need(story.ports, asker, asked, at=story.clock(), as_of=today)
    with transaction(story.ports.sessions) as session:
        lines = supply_queries.allocations_page(session, round_id=row.round_id)
        ours = [line for line, *_ in lines if line.offer_id == offer_id]
        for line in ours:
            rounds.accept_allocation(
                session, story.ports, donor, allocation_id=line.id, at=story.clock()
            )
    if not ours:
        raise UnavailableError("the urgent need was not served", code="demo.no_line")
    story.stages.mark(
        f"紧急需求 {wanted} 只当场裁定 urgent need decided at once: {row.served} served, "
        f"{len(lines)} 条分配已由捐赠人接受 accepted（需求为虚构 the need is invented）",
        good=row.served == wanted,
    )
    return offer_id


def _document(story: Story, maker: Actor, order_id: str, kind: str) -> None:
    """An invented paper of the maker, made a document of the order by its signature."""
    text = f"演示文件 DEMONSTRATION: {kind} of {order_id}; invented, no real product.\n"
    with transaction(story.ports.sessions) as session:
        file = manufacturing.keep_file(
            session, story.ports, maker.caller, order_id, text.encode(), at=story.started_at
        )
        sha256 = file.sha256
    fields = {
        "order_id": order_id,
        "document_id": story.id_of("doc", kind),
        "kind": kind,
        "sha256": sha256,
    }
    carry_out(story, maker, f"order-document-{kind}", "order.document", fields)
