"""Writes rsa_weak_moduli.json: `python tests/golden/chain/make_rsa_weak_moduli.py`.

Moduli that must be refused although the signature opens to the right block: an even one (twice a prime) and
one of 2047 bits (a prime). Whoever may choose such a modulus signs for it without a secret worth the name.
Made from a fixed seed; each signature is seen here, and by the test on chain, to open to the block of RFC 8017
section 9.2.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "rsa_weak_moduli.json"
EXPONENT = 65537
DIGEST = bytes.fromhex("f0" * 32)
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
BLOCK = int.from_bytes(b"\x00\x01" + b"\xff" * 202 + b"\x00" + DIGEST_INFO + DIGEST, "big")
ROUNDS = 24


def is_prime(number: int, dice: random.Random) -> bool:
    """Miller-Rabin; enough for a test vector."""
    if any(number % small == 0 for small in (3, 5, 7, 11, 13, 17, 19, 23)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(ROUNDS):
        power = pow(dice.randrange(2, number - 1), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def prime(bits: int, dice: random.Random) -> int:
    """A prime with its two top bits set, for which the exponent has an inverse."""
    while True:
        number = dice.getrandbits(bits) | (3 << (bits - 2)) | 1
        if (number - 1) % EXPONENT and is_prime(number, dice):
            return number


def vectors() -> dict[str, Any]:
    """The file's contents."""
    dice = random.Random(8017)
    half = prime(2047, dice)
    even = 2 * half
    root = pow(BLOCK, pow(EXPONENT, -1, half - 1), half)
    root += half * ((root - BLOCK) % 2)  # the same remainder by 2 as the block
    short = prime(2047, dice)
    small = pow(BLOCK, pow(EXPONENT, -1, short - 1), short)
    for modulus, signature in ((even, root), (short, small)):
        assert signature < modulus
        assert pow(signature, EXPONENT, modulus) == BLOCK
    return {
        "SOURCE": "made by make_rsa_weak_moduli.py beside this file, seed 8017",
        "digest": "0x" + DIGEST.hex(),
        "even": {"modulus": f"0x{even:0512x}", "signature": f"0x{root:0512x}"},
        "short": {"modulus": f"0x{short:0512x}", "signature": f"0x{small:0512x}"},
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TARGET.name} written\n")
