"""Survivors of the mutation of contracts that no input can tell from the original, each with its reason."""
# ruff: noqa: INP001  (scripts are no package)

from __future__ import annotations

from typing import Final

EQUIVALENT: Final[dict[tuple[str, str, str], str]] = {
    ("src/libraries/RoundTables.sol", "rootOf", "5 -> 6 #3"): (
        "The level above is hashed past its end. What comes of it lies behind the level, where the next turn "
        "puts the empty node or nothing reads; only gas is lost."
    ),
    **{
        ("src/libraries/ActSignature.sol", function, what): (
            "A conversion to bytes2, bytes20 or bytes32 takes the first bytes of a longer slice: the same ones."
        )
        for function, what in (
            ("_plain", "signature[32:64]: endExpression + 1"),
            ("_plain", "signature[32:64] without endExpression"),
            ("_plain", "64 -> 65"),
            ("_plain", "signature[:32]: endExpression + 1"),
            ("_plain", "signature[:32] without endExpression"),
            ("_plain", "32 -> 33 #2"),
            ("_named", "signature[:20]: endExpression + 1"),
            ("_named", "signature[:20] without endExpression"),
            ("_named", "20 -> 21"),
            ("_named", "signature[20:22]: endExpression + 1"),
            ("_named", "22 -> 23"),
            ("_named", "signature[20:22] without endExpression"),
        )
    },
    ("src/libraries/ActSignature.sol", "_named", "0 -> 1"): (
        "A call to an address without code succeeds with an empty answer, which Keys.verified takes for no; "
        "and no code of one byte answers anything. The question only says so before the call."
    ),
    ("src/libraries/Keys.sol", "digest", "0x40 -> 0x41"): (
        "The free memory pointer read one byte further is 256 times itself: memory far behind, free as well."
    ),
    ("src/libraries/Rfc9162.sol", "_node", "0x40 -> 0x41"): (
        "The free memory pointer read one byte further is 256 times itself: memory far behind, free as well."
    ),
    ("src/libraries/RoundTables.sol", "rootOf", "1 -> 2 #3"): (
        "An odd width and two, halved, is the same; the pair hashed too many lies behind the level, as above."
    ),
    ("src/libraries/Transport.sol", "_spread", "0 -> 1"): (
        "The first turn loads the word before it is read."
    ),
    **{
        ("src/libraries/P256Curve.sol", "hasPrecompile", what): (
            "Another signature that the known key did not make serves the canary as well."
        )
        for what in ("5 -> 4 #2", "5 -> 6 #2", "2 -> 3")
    },
    **{
        ("src/libraries/Rsa2048.sol", "_below", what): (
            "Only a signature that shares 31 leading bytes with the modulus would tell; nobody can compute one "
            "that opens to the block. It is the loop's later turns that no vector can reach."
        )
        for what in (
            "(a != b) held true",
            "left[i:i + 32] without startExpression",
            "left[i:i + 32]: endExpression - 1",
            "right[i:i + 32] without startExpression",
            "right[i:i + 32]: endExpression - 1",
            "32 -> 31 #2",
            "32 -> 31 #3",
        )
    },
    **{
        ("src/libraries/Rsa2048.sol", "_below", what): (
            "A conversion to bytes32 takes the first bytes of a longer slice: the same ones."
        )
        for what in (
            "left[i:i + 32] without endExpression",
            "left[i:i + 32]: endExpression + 1",
            "right[i:i + 32] without endExpression",
            "right[i:i + 32]: endExpression + 1",
        )
    },
    ("src/verifiers/CmsVerifier.sol", "verify", "signature.length <= length: <= -> <"): (
        "Without attributes CmsAttributes.commitTo says no a line further on."
    ),
    **{
        ("src/verifiers/CmsVerifier.sol", "verify", what): (
            "abi.decode reads the first 64 bytes of a longer slice: the same ones."
        )
        for what in (
            "signature[:length] without endExpression #2",
            "signature[:length]: endExpression + 1 #2",
        )
    },
    **{
        ("src/verifiers/K1Verifier.sol", "_recovered", what): (
            "A conversion to bytes32 takes the first bytes of a longer slice: the same ones."
        )
        for what in (
            "32 -> 33 #2",
            "64 -> 65",
            "64 -> 65 #2",
            "signature[:32]: endExpression + 1",
            "signature[:32] without endExpression",
            "signature[32:64]: endExpression + 1",
            "signature[32:64]: endExpression + 1 #2",
            "signature[32:64] without endExpression",
            "signature[32:64] without endExpression #2",
        )
    },
    ("src/verifiers/K1Verifier.sol", "_accepted", "0 -> 1"): (
        "A call to an address without code succeeds with an empty answer, which the next line takes for no; "
        "and no code of one byte answers anything."
    ),
    ("src/SupplyLots.sol", "moveLot", "deleted: mstore(0x00, 0)"): (
        "Nothing has written to scratch memory yet; the statement guards against a compiler that would."
    ),
    ("src/SupplyLots.sol", "moveLot", "0x20 -> 0x21"): (
        "The precompile answers 32 bytes or none, so the byte behind is never written."
    ),
    ("src/SupplyLots.sol", "mint", "_positions[lot][uint160(issuer)].word += quantity: += -> ="): (
        "Before a lot is issued nobody has a position in it: every other act needs units or an issued lot."
    ),
    **{
        ("src/libraries/Sm3.sol", "expand", f"0x{mask} -> 0x{mask[:-8]}{last}{again}"): (
            "Of eight numbers side by side the next step overwrites five, and nothing reads the last step's; "
            "the change is in the eighth, and no bit of it comes into another."
        )
        for mask, lasts, agains in (
            ("ffff8000" * 8, ("ffff8001", "ffff7fff"), ("", " #2")),
            ("00007fff" * 8, ("00008000", "00007ffe"), ("", " #2")),
            ("ff800000" * 8, ("ff800001", "ff7fffff"), ("",)),
            ("007fffff" * 8, ("00800000", "007ffffe"), ("",)),
            ("ffffff80" * 8, ("ffffff81", "ffffff7f"), ("",)),
            ("0000007f" * 8, ("00000080", "0000007e"), ("",)),
        )
        for last in lasts
        for again in agains
    },
    ("src/libraries/Sm3.sol", "compress", "0xffff -> 0xfffe"): (
        "The constant moves by four bits a time: its lowest bit is set at first only, beside others."
    ),
    **{
        ("src/libraries/Sm3.sol", "_room", what): (
            "The room is a byte earlier or later, or a byte longer; a dozen are spare on either side."
        )
        for what in ("0x20 -> 0x21", "0x20 -> 0x1f", "0x140 -> 0x141", "0x140 -> 0x13f")
    },
    ("src/libraries/Sm2Curve.sol", "tableOf", "0x20 -> 0x21 #5"): (
        "The precompile answers 32 bytes, so the byte behind is never written."
    ),
    ("src/verifiers/Sm2Verifier.sol", "", "960 -> 961"): (
        "The table is read with a byte behind it, a zero that nothing looks at."
    ),
    ("src/SignerRegistry.sol", "requireValid", "level < assurance: < -> <="): (
        "An equal level is assigned over itself."
    ),
}
"""(file, function, mutation) -> why."""
