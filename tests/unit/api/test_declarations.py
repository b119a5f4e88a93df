"""An operator's licences stand in reports as its own word, and are never taken for verified."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.app import create_app
from api.declarations import KINDS, declared_licences
from api.settings import Settings

ICP = "虚构ICP备00000000号"


def test_each_number_says_that_it_is_the_operators_word(tmp_path: Path) -> None:
    assert declared_licences(Settings(home=tmp_path)) == ()
    told = declared_licences(
        Settings(
            home=tmp_path,
            declared_ca_licence=" ECP-INVENTED-1 虚构认证公司 ",
            declared_icp_filing=ICP,
            declared_protection_level="   ",
            declared_chain_filing="INVENTED-CHAIN-3",
        )
    )
    assert len(told) == 3 == len(KINDS) - 1
    assert all("未经核验" in one and "not verified" in one for one in told)
    assert "ECP-INVENTED-1 虚构认证公司 /" in told[0]
    assert ICP in told[1]
    with pytest.raises(ValidationError):
        Settings(home=tmp_path, declared_icp_filing="x" * 201)


def test_the_filing_stands_at_the_foot_of_the_pages_only_where_it_is_declared(
    tmp_path: Path,
) -> None:
    for filing in ("", ICP):
        settings = Settings(
            home=tmp_path / (filing or "none"),
            public_url="http://testserver",
            declared_icp_filing=filing,
        )
        with TestClient(create_app(settings)) as client:
            page = client.get("/login?lang=zh", headers={"Accept": "text/html"}).text
        assert ("ICP 备案（运营者自述）" in page) is bool(filing)
        assert filing in page
