"""Every act on goods and orders by name: the shape of its fields, what does it, how it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from api.flows import custody_claims, custody_lots, custody_moves, manufacturing
from api.flows.custody_lots import Done
from api.flows.custody_step import Step
from api.schemas import custody as shapes
from api.schemas import orders

Work: TypeAlias = Callable[[Step, Any], Done]


@dataclass(frozen=True, slots=True)
class Act:
    """One act: the shape of its fields, what does it, which power it needs, how it is said."""

    shape: type[BaseModel]
    work: Work
    power: str
    zh: str
    en: str


ACTS: Final[Mapping[str, Act]] = {
    "lot.open": Act(
        shapes.OpenLot,
        custody_lots.open_lot,
        "sign",
        "开立批次，交付以下物资",
        "open a lot of these goods",
    ),
    "lot.pack": Act(shapes.Pack, custody_lots.pack, "accept", "将以下数量装箱", "pack these units"),
    "lot.unpack": Act(
        shapes.Unpack, custody_lots.unpack, "accept", "拆开以下包装", "open this package"
    ),
    "lot.hand": Act(
        shapes.HandOver, custody_moves.hand_over, "sign", "移交以下包装", "hand over these packages"
    ),
    "lot.receive": Act(
        shapes.Receive,
        custody_moves.receive,
        "accept",
        "确认收到以下移交",
        "confirm this hand-over",
    ),
    "lot.refuse": Act(
        shapes.Refuse, custody_moves.refuse, "accept", "拒收以下移交", "refuse this hand-over"
    ),
    "lot.take_back": Act(
        shapes.Refuse, custody_moves.take_back, "sign", "撤回以下移交", "take this hand-over back"
    ),
    "lot.inspect": Act(
        shapes.Inspect,
        custody_moves.inspect,
        "accept",
        "作为第一验收人确认以下清点结果",
        "as the first of two, confirm these counts",
    ),
    "lot.accept": Act(
        shapes.Inspect,
        custody_moves.accept,
        "accept",
        "作为第二验收人确认以下清点结果并验收",
        "as the second of two, confirm these counts and accept the goods",
    ),
    "lot.release": Act(
        shapes.Release,
        custody_lots.release,
        "accept",
        "处理隔离物资",
        "decide about these goods in quarantine",
    ),
    "lot.use": Act(shapes.Use, custody_lots.use, "accept", "登记病区使用", "record use on a ward"),
    "discrepancy.open": Act(
        shapes.OpenDiscrepancy,
        custody_claims.open_discrepancy,
        "accept",
        "报告以下差异",
        "report this discrepancy",
    ),
    "discrepancy.answer": Act(
        shapes.AnswerDiscrepancy,
        custody_claims.answer_discrepancy,
        "sign",
        "答复以下差异",
        "answer this discrepancy",
    ),
    "discrepancy.settle": Act(
        shapes.SettleDiscrepancy,
        custody_claims.settle_discrepancy,
        "sign",
        "了结以下差异",
        "settle this discrepancy",
    ),
    "recall.open": Act(
        shapes.OpenRecall, custody_claims.open_recall, "sign", "召回该批号", "recall this batch"
    ),
    "recall.close": Act(
        shapes.CloseRecall, custody_claims.close_recall, "sign", "结束召回", "end this recall"
    ),
    "purpose.ask": Act(
        shapes.AskPurpose,
        custody_claims.ask_purpose,
        "sign",
        "请求变更用途",
        "ask for a change of use",
    ),
    "purpose.decide": Act(
        shapes.DecidePurpose,
        custody_claims.decide_purpose,
        "sign",
        "答复变更用途的请求",
        "decide about a change of use",
    ),
    "order.request": Act(
        orders.RequestOrder,
        manufacturing.request_order,
        "sign",
        "请求对以下订单或租赁报价",
        "ask for a quote on this order",
    ),
    "order.step": Act(
        orders.StepOrder,
        manufacturing.step_order,
        "sign",
        "在以下订单上作出如下步骤",
        "take this step of the order",
    ),
    "order.document": Act(
        orders.AddDocument,
        manufacturing.add_document,
        "sign",
        "将以下文件作为订单文件",
        "make this file a document of the order",
    ),
    "fiscal.refer": Act(
        shapes.ReferFiscal,
        custody_claims.refer_fiscal,
        "sign",
        "登记公益事业捐赠票据号码",
        "write down the number of the fiscal receipt",
    ),
}
