"""One real case for all tests of this folder: recorded, signed, anchored, bundled once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from arbitration.container import unpack
from arbitration.contents import BundleContents
from arbitration.policy import Trust
from arbitration.testing import CaseBuilder, formed_case, resealed
from ledger.note import NoteSigner


@dataclass(frozen=True)
class Made:
    """A finished case and how insiders and strangers may rewrite its bundle."""

    case: CaseBuilder
    contents: BundleContents
    data: bytes
    trust: Trust
    at: datetime
    stranger: NoteSigner

    @property
    def files(self) -> dict[str, bytes]:
        return unpack(self.data)

    def insider(
        self, files: dict[str, bytes], *, seal: Callable[[str], str] | None = None
    ) -> bytes:
        """Rewritten by the platform itself, with its own log key and time-stamp authority."""
        return resealed(
            files,
            seal=seal or self.case.log_key.sign_text,
            stamp=lambda digest: self.case.pki.tsa.stamp(digest, at=self.contents.made_at),
        )


def made_of(case: CaseBuilder, stranger: NoteSigner) -> Made:
    contents = case.finish()
    return Made(
        case=case,
        contents=contents,
        data=case.write(contents),
        trust=case.trust(),
        at=contents.made_at + timedelta(days=1),
        stranger=stranger,
    )


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> NoteSigner:
    return NoteSigner(tmp_path_factory.mktemp("stranger") / "log.key", name="fuqi.test/log")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, stranger: NoteSigner) -> Made:
    return made_of(formed_case(tmp_path_factory.mktemp("case")), stranger)


@pytest.fixture(scope="session")
def matched(tmp_path_factory: pytest.TempPathFactory, stranger: NoteSigner) -> Made:
    return made_of(formed_case(tmp_path_factory.mktemp("matched"), matched=True), stranger)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
