"""SM2 signatures made by the OpenSSL 3 program, customary identifier; run by hand it writes openssl.json anew.

OpenSSL takes a fresh one-time number for each signature, so `make golden` leaves the file alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COUNT = 24
FILE = Path(__file__).parent / "openssl.json"


def openssl(*arguments, data=None):
    done = subprocess.run(
        ["openssl", *arguments], input=data, capture_output=True, check=True, timeout=60
    )
    return done.stdout


def missing():
    """Why no signature can be made here, or None."""
    if shutil.which("openssl") is None:
        return "the openssl program is not installed"
    try:
        version = openssl("version").decode().split()[1]
        openssl("ecparam", "-name", "SM2")
    except subprocess.CalledProcessError:
        return "this openssl knows no SM2"
    return None if int(version.split(".")[0]) >= 3 else f"openssl {version} is older than 3"


def made(count, label):
    """`count` signatures over 32 bytes each, two for a key: DER all, keys thrown away."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        key, text = Path(folder) / "key.pem", Path(folder) / "text"
        for i in range(count):
            if i % 2 == 0:
                key.write_bytes(
                    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2")
                )
            digest = hashlib.sha256(f"{label} {i}".encode()).digest()
            text.write_bytes(digest)
            signature = openssl(
                "pkeyutl", "-sign", "-inkey", str(key), "-in", str(text), "-rawin",
                "-digest", "sm3", "-pkeyopt", "distid:1234567812345678",
            )  # fmt: skip
            spki = openssl("pkey", "-in", str(key), "-pubout", "-outform", "DER")
            rows.append({"spki": spki.hex(), "digest": digest.hex(), "signature": signature.hex()})
    return rows


if __name__ == "__main__":
    body = {
        "source": openssl("version").decode().strip()
        + ", openssl pkeyutl -sign -rawin -digest sm3",
        "identifier": "1234567812345678",
        "vectors": made(COUNT, "fuqi golden sm2"),
    }
    FILE.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE.name}: {COUNT}\n")
