"""Clauses that every agreement carries: electronic form, preservation, service, disputes."""

from __future__ import annotations

from signing.templates.data import Fields, Item, Organisation
from signing.templates.layout import Clause, PartyBlock


def party_block(organisation: Organisation, *, role: str, field_name: str) -> PartyBlock:
    """How a party stands at the head of the agreement."""
    return PartyBlock(
        role=role,
        name=organisation.name,
        field_name=field_name,
        rows=(
            ("统一社会信用代码 USCC", organisation.uscc),
            ("住所地 domicile", organisation.address),
            ("法定代表人 legal rep.", organisation.legal_representative),
            ("经办人 handler", organisation.handler),
            ("授权编号 authorisation", organisation.authorisation),
            ("电话 phone", organisation.phone),
            ("电子邮箱 e-mail", organisation.email),
            ("指定系统 designated system", organisation.system),
        ),
    )


def head_facts(fields: Fields) -> tuple[tuple[str, str], ...]:
    """What stands above the parties: number, and, where given, place and the allocation behind it.

    Raises:
        InputError: `template.*`.
    """
    facts = [("合同编号 No.", fields.text("agreement_no"))]
    for title, name in (("签订地点 place", "place"), ("撮合记录 allocation", "allocation")):
        text = fields.text(name, optional=True)
        if text:
            facts.append((title, text))
    return tuple(facts)


def item_standard(item: Item) -> str:
    """`GB 19083-2023（2023版）`: a standard without its edition is a quarrel to come."""
    return f"{item.standard}（{item.edition}）" if item.edition else item.standard


def electronic_form(fields: Fields) -> Clause:
    """Consent to electronic signatures and the agreed conditions of their reliability (ES-3a, ES-13)."""
    system = fields.inner("preservation").text("system")
    return Clause(
        title="电子形式与电子签名的同意",
        title_en="Consent to electronic form and signatures",
        highlighted=True,
        paragraphs=(
            (
                "双方依据《中华人民共和国民法典》和《中华人民共和国电子签名法》，同意以数据电文形式订立本合同，"
                "并同意使用电子签名；任何一方不得仅以本合同采用电子签名、数据电文为由否认其法律效力。"
            ),
            (
                "双方约定的可靠条件：签名私钥仅由签名人控制并保存于其本人设备；每次签名前由签名人对载明本合同文件摘要的"
                "意愿声明作出明确确认；签名及合同内容在签署后的任何改动均能够被发现；签名附有时间戳。"
            ),
            (
                "各方的签名由组织证书、经办人身份与授权共同构成；经办人应在其授权的事项、权限和期间内签署。"
                "单纯的印章图样或者手写图样不构成签名。"
            ),
            "本合同自最后一方完成电子签名时成立。签署、存证与上链时间分别记录，以签署时间为合同成立时间。",
            (
                f"本合同由 {system} 生成并完成签署流程；签署后的文件字节即为原件，"
                "任何格式转换或加注的副本不替代原件。"
            ),
        ),
    )


def preservation(fields: Fields) -> Clause:
    """Agreed way to store, transmit and retrieve: a ground of presumed authenticity (EV-94)."""
    part = fields.inner("preservation")
    system, chain = part.text("system"), part.text("chain")
    years = part.integer("years", low=3, high=100)
    return Clause(
        title="以约定方式保存、传输、提取电子数据",
        title_en="Agreed preservation, transmission and retrieval",
        highlighted=True,
        notice="other",
        paragraphs=(
            (
                "双方约定以下列方式保存、传输、提取本合同及其履行过程中的电子数据："
                f"由 {system} 将身份核验、授权、文件定稿、"
                "阅读、意愿确认、签名、交付、验收等各步骤的记录写入只可追加的日志，"
                f"并将日志检查点锚定于 {chain}。"
            ),
            "写入日志和链上的仅为加盐承诺值、随机编号、类型代码和时间，不含个人信息和商业内容。",
            (
                "任何一方可随时提取包含原件、各次修订、证书、时间戳、日志证明和链上证据的证据包，"
                "并使用公开的验证程序离线核验。核验一致的，双方认可其为真实、完整的电子数据；有相反证据足以推翻的除外。"
            ),
            f"保存期限为合同履行完毕之日起不少于 {years} 年，且不短于法律规定的期限。",
        ),
    )


def service(a: Organisation, b: Organisation) -> Clause:
    """Agreed address for service, electronic service included (EV-29)."""
    return Clause(
        title="送达地址确认",
        title_en="Address for service",
        highlighted=True,
        notice="other",
        paragraphs=(
            f"甲方送达地址：{a.address}；电话：{a.phone}；电子邮箱：{a.email}；指定系统：{a.system}。",
            f"乙方送达地址：{b.address}；电话：{b.phone}；电子邮箱：{b.email}；指定系统：{b.system}。",
            (
                "上述地址适用于通知、催告、解除以及仲裁、诉讼各程序（含执行程序）中文书的送达，双方同意电子送达；"
                "电子文书到达对方上述电子邮箱或者指定系统时视为送达。"
            ),
            "一方变更送达地址的，应当提前三日书面通知对方；未通知的，按原地址送达即产生送达效力。",
        ),
    )


def disputes(fields: Fields) -> Clause:
    """Arbitration: intent, matters and the chosen institution by its full name (EV-A1)."""
    part = fields.inner("arbitration")
    institution, seat = part.text("institution"), part.text("seat")
    return Clause(
        title="争议解决",
        title_en="Dispute resolution",
        highlighted=True,
        notice="disputes",
        paragraphs=(
            (
                "因本合同引起的或者与本合同有关的任何争议，双方应当先行协商；协商不成的，"
                f"任何一方均可将争议提交{institution}，按照申请仲裁时该机构现行有效的仲裁规则进行仲裁，仲裁地为{seat}。"
            ),
            "仲裁裁决是终局的，对双方均有约束力。双方同意仲裁程序可以通过信息网络在线进行。",
            "本合同适用中华人民共和国法律。争议解决期间，除争议事项外，双方应当继续履行本合同。",
        ),
    )


def closing_clause(*, copies: str) -> Clause:
    """Amendments, entirety, effect of being invalid in part."""
    return Clause(
        title="其他",
        title_en="General",
        paragraphs=(
            (
                "对本合同的变更、补充或者解除，应当由双方另行以电子签名签署书面文件，并载明本合同编号与文件摘要；"
                "变更约定不明确的，视为未变更。"
            ),
            "本合同部分条款无效的，不影响其他条款的效力。未尽事宜，适用法律规定。",
            copies,
        ),
    )
