"""The reasons that a receipt's findings give, in Chinese: by the English sentence, or by error code."""

from __future__ import annotations

from typing import Final

REASONS_ZH: Final[dict[str, str]] = {
    "unknown receipt version": "回执版本未知",
    "a member that this version does not know": "含有本版本不认识的成员",
    "the entry is not the one the receipt names": "存证记录与回执所称不符",
    "the entry's id or type is not a plain word": "记录编号或类型不是普通词语",
    "the receipt claims another state than it carries proof of": "回执所称状态与其所附证明不符",
    "the leaf hash does not belong to these entry bytes": "叶哈希与记录字节不符",
    "salt of the wrong length": "盐值长度有误",
    "the private body is not the one the entry commits to": "所披露内容与存证承诺不符",
    "the entry makes no promise about single fields": "该记录未就单个字段作出承诺",
    "the entry is journaled but not yet in the tree; ask again later": "记录已受理，尚未入树；请稍后再取回执",
    "no checkpoint covers the entry yet": "尚无检查点包含该记录",
    "the signed checkpoint is of another tree": "所签检查点属于另一棵树",
    "the checkpoint is signed by a log that you do not trust": "检查点由您未信任的日志签名",
    "split view: this log signed another root for the same size elsewhere; keep both": (
        "分叉：该日志就同一大小另签过不同的根；请保存两份证据"
    ),
    "split view: this log signed another root for the same size elsewhere": (
        "分叉：该日志就同一大小另签过不同的根"
    ),
    "split view: the statement names another root for the same size": "分叉：声明中同一大小的根不同",
    "rollback: the statement is older than the receipt's own checkpoint": "回滚：声明早于回执自身的检查点",
    "the statement is about another entry or state": "声明所指为另一记录或另一状态",
    "the checkpoint is not on the chain yet; ask again later": "检查点尚未上链；请稍后再取回执",
    "the anchor is of another checkpoint": "锚定的是另一检查点",
    "the receipt carries no chain evidence": "回执未附链上证据",
    "block number, hash or time differ from the proven header": "区块号、哈希或时间与已证实的区块头不符",
    "chain or contract differ from those of the evidence": "链或合约与证据不符",
    "mined, but not final yet; ask again later": "已上链，尚未终局；请稍后再取回执",
    "no anchor to hold against your chain list yet": "尚无锚定可与您固定的链比对",
    "you have not pinned a chain and contract; pass a trust file": "您未固定链与合约；请提供信任文件",
    "the chain, contract or contract code is not one that you pinned": "链、合约或合约代码不在您固定的范围内",
    "nothing is on the chain yet that could be final": "尚未上链，谈不上终局",
    "finality means nothing without evidence of a chain that you pinned": (
        "没有您所固定之链的证据，终局无从谈起"
    ),
    "nothing in the receipt proves the block final: compare its hash with a node of your choice": (
        "回执本身不能证明该区块已终局：请向您选定的节点核对区块哈希"
    ),
    "the receipt does not say what came later; ask for a new one": "回执未说明其后有无变化；请重新索取",
    "a statement of a log that you have not pinned; pass a trust file": (
        "声明出自您未固定的日志；请提供信任文件"
    ),
    # What the modules below say, by error code.
    "receipt.entry": "记录不是规范形式的 JSON",
    "receipt.shape": "回执格式有误",
    "receipt.status": "不是关于回执状态的声明",
    "canonical.depth": "嵌套过深",
    "canonical.float": "含有小数",
    "canonical.integer_range": "整数超出范围",
    "canonical.key": "成员名不是 ASCII 文本",
    "canonical.surrogate": "文本含孤立代理码点",
    "canonical.type": "不是可规范化的值",
    "disclosure.malformed": "不是字段披露的格式",
    "disclosure.mismatch": "所披露字段与存证承诺不符",
    "merkle.range": "序号不在树内",
    "merkle.path_length": "包含证明长度有误",
    "merkle.root_mismatch": "包含证明不通向该根",
    "note.key": "不是日志公钥",
    "note.shape": "不是已签名的检查点或声明",
    "note.origin": "检查点属于另一日志",
    "note.unsigned": "没有该日志的签名",
    "note.signature": "日志签名有误",
    "note.cosignature": "见证方签名有误",
    "chain_proof.shape": "链上证据格式有误",
    "chain_proof.header_hash": "区块头与区块哈希不符",
    "chain_proof.header": "区块头与所称不符",
    "chain_proof.account": "状态中没有该合约账户",
    "chain_proof.code_hash": "合约代码与所称不符",
    "chain_proof.storage": "合约存储与所称不符",
    "chain_proof.path": "状态证明缺少节点",
    "chain_proof.head_mismatch": "该区块中合约持有的是另一检查点",
    "contracts.storage_malformed": "合约存储不是本合约的格式",
}
MALFORMED_ZH: Final = "格式有误"
