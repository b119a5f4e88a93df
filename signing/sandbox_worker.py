"""The child side of `signing.sandbox`: `python -m signing.sandbox_worker ARGUMENTS`.

Imports the work first, then gives up what it does not need: processor time, memory, files, network,
children. Then it answers one piece of work after the other until its input ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from ledger.core.errors import FuqiError
from signing.sandbox import LENGTH, SandboxError

DATA_BYTES_MAX: Final = 512 * 1024 * 1024
"""A bundle with its attachments; the caller has its own, lower limits."""
HEAD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Options with pinned trust: roots and revocation lists."""
_NEW_NETWORK: Final = 0x40000000
_NEW_USER: Final = 0x10000000
_REFUSED: Final = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
)

_Work = Callable[[Mapping[str, Any], bytes], Any]


def main(arguments: str) -> None:
    """Serve until the input ends."""
    given = json.loads(arguments)
    work = {name: _function(place) for name, place in given["work"].items()}
    limits = given["limits"]
    source, answers = _private_pipes()
    _confine(limits)
    _answer(answers, {"ready": True})
    while True:
        head = _read(source, HEAD_BYTES_MAX)
        if head is None:
            return
        data = _read(source, DATA_BYTES_MAX)
        if data is None:
            return
        asked = json.loads(head)
        _allow_processor(limits["cpu_seconds"])
        answer = _do(work[asked["name"]], asked["options"], data)
        del data, head, asked
        answer["resident"] = _peak_bytes()
        _answer(answers, answer)


def _function(place: str) -> _Work:
    module, _colon, name = place.partition(":")
    found: _Work = getattr(importlib.import_module(module), name)
    return found


def _do(work: _Work, options: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    try:
        return {"result": work(options, data)}
    except MemoryError:
        stopped = SandboxError("the file needs more memory than the limit", code=_MEMORY)
        return {"error": _fact(stopped)}
    except FuqiError as exc:
        return {"error": _fact(exc)}
    except Exception as exc:  # noqa: BLE001 - the edge of a process: the caller hears of it
        stopped = SandboxError("the work could not be done", code="sandbox.stopped")
        return {"error": {**_fact(stopped), "context": {"error": type(exc).__name__}}}


_MEMORY: Final = "sandbox.memory_limit"


def _fact(exc: FuqiError) -> dict[str, Any]:
    plain = {k: v for k, v in exc.context.items() if isinstance(v, str | int | bool)}
    return {
        "class": type(exc).__name__,
        "code": exc.error_code,
        "message": exc.message,
        "context": plain,
    }


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent under numbers of their own: libraries print where they like."""
    source, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    return os.fdopen(source, "rb"), os.fdopen(answers, "wb")


def _confine(limits: Mapping[str, int]) -> None:
    memory, files = limits["memory_bytes"], limits["files"]
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_CORE, 0),
        # Nothing is written but to the pipe.
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    with contextlib.suppress(OSError, AttributeError):
        # A network of our own, which leads nowhere; the kernel may not grant it to everyone.
        library = ctypes.CDLL(None, use_errno=True)
        if library.unshare(_NEW_NETWORK) != 0:
            library.unshare(_NEW_USER | _NEW_NETWORK)
    sys.addaudithook(_hook)


def _hook(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        raise PermissionError(f"refused in the sandbox: {event}")


def _allow_processor(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    _soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds + 1, hard))


def _peak_bytes() -> int:
    """The most memory this process has held, from the kernel's account of this program alone.

    `ru_maxrss` will not do: it starts at what the parent held when it started us, so that under a large
    server every child would look worn out after one file.
    """
    with contextlib.suppress(OSError), Path("/proc/self/status").open("rb") as status:
        for line in status:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _read(source: BinaryIO, limit: int) -> bytes | None:
    head = source.read(LENGTH.size)
    if len(head) != LENGTH.size:
        return None
    size = LENGTH.unpack(head)[0]
    if size > limit:
        return None
    body = source.read(size)
    return body if len(body) == size else None


def _answer(answers: BinaryIO, answer: Mapping[str, Any]) -> None:
    body = json.dumps(answer, ensure_ascii=False).encode("utf-8")
    answers.write(LENGTH.pack(len(body)) + body)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
