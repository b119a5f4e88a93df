"""The words of explanations: every reason a page may show, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NO_SUPPLY: Final = "supply.none_of_item"
OUTBID: Final = "supply.outbid"
LIMITED: Final = "limit.not_proven"
NO_NEED: Final = "demand.none_eligible"
SATISFIED: Final = "demand.satisfied"
ONLY_ONE: Final = "line.only_need"
OTHERS_FILLED: Final = "line.others_filled"
BY_LEVEL: Final = ("line.urgency", "line.transport", "line.expiry")
TIE: Final = "line.tie"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "class.different": ("other class of goods", "品类不同"),
    "substitute.not_allowed": ("not a permitted substitute", "不在允许的替代范围内"),
    "lot.frozen": ("the lot is frozen or recalled", "批次被冻结或召回"),
    "donor.related_party": (
        "excluded: related parties (donor and hospital)",
        "已排除：捐赠人与受赠方为关联方",
    ),
    "donor.directed_elsewhere": ("the donor named another receiver", "定向捐赠指向其他单位"),
    "standard.not_declared": ("the required standard is not declared", "未声明所需标准"),
    "standard.edition_unknown": ("unknown edition of the standard", "标准版本未知"),
    "standard.edition_not_valid_at_production": (
        "the edition was not in force when it was made",
        "生产时该标准版本未生效或已作废",
    ),
    "standard.other_than_named": ("another standard than the need names", "与需求所列标准不同"),
    "standard.edition_older_than_named": ("an older edition than named", "版本早于需求所列"),
    "certificate.too_low": ("certificate below what is required", "证件级别不足"),
    "sterile.required": ("not sterile", "非灭菌产品"),
    "lane.none": ("no carrier serves the lane", "无承运线路"),
    "lane.individuals_refused": ("no carrier takes gifts of individuals", "承运方不接受个人捐赠"),
    "deadline.missed": ("would arrive after the deadline", "无法在期限前送达"),
    "shelf_life.too_short": ("too little shelf life on arrival", "到货剩余有效期不足"),
    NO_SUPPLY: ("nobody offered this or a substitute", "无人提供该物资或替代品"),
    OUTBID: (
        "all that fits went to claims of equal or higher rank",
        "合格供给已分配给同级或更高优先级",
    ),
    LIMITED: (
        "a limit (time, packs, smallest lots, splitting, resources): more was not proven impossible",
        "受限制（时间、整包、最小批量、拆分家数或共用资源）：未证明无法更多满足",
    ),
    NO_NEED: ("no need may take it", "没有可接收的需求"),
    SATISFIED: ("every need that may take it is filled", "可接收的需求均已满足"),
    ONLY_ONE: ("no other need may take this lot", "没有其他需求可接收该批次"),
    OTHERS_FILLED: ("all others that may take it are filled", "可接收的其他需求均已满足"),
    BY_LEVEL[0]: ("elsewhere it would have met a weaker claim", "用于其他需求的优先级更低"),
    BY_LEVEL[1]: ("as urgent elsewhere, but further away", "其他需求同等紧急，但运距更远"),
    BY_LEVEL[2]: ("elsewhere goods that expire later do", "其他需求可由更晚到期的物资满足"),
    TIE: (
        "equally good elsewhere: decided by the rule of ties",
        "与其他去向同等最优，按并列规则决定",
    ),
}
"""Reason -> (English, Chinese), for pages."""
