"""Each upload reaches the limit that its own route names: the outermost layer cuts nothing off before."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from api.edge import BODY_BYTES_MAX, BULK_BYTES_MAX
from api.flows.bulk import EXAMPLE, ROWS_MAX
from ledger.core.ids import new_id
from signing.seal_pictures import BYTES_MAX


def send(world: Any, clock: Any, data: bytes) -> Any:
    order = {
        "id": new_id("blk", at=clock.at),
        "template": "donation",
        "own_party": "party_a",
        "title": "批量（虚构）",
        "matter": "donation",
        "expires_at": (clock.at + timedelta(days=5)).isoformat(),
        "no_amount": True,
    }
    return world.client("donor").post(
        "/api/v1/agreements/bulk",
        params={"check": "true", "count": 1},
        files={"file": ("rows.csv", data, "text/csv")},
        data={"order": json.dumps(order)},
    )


def test_a_file_of_as_many_rows_as_promised_is_taken_with_every_column(
    world: Any, clock: Any
) -> None:
    head = ",".join(name for name, _value in EXAMPLE)
    row = ",".join(value for _name, value in EXAMPLE)
    data = "\n".join([head] + [row] * ROWS_MAX).encode()
    assert len(data) > BODY_BYTES_MAX
    answer = send(world, clock, data)
    assert (answer.status_code, answer.json()["rows"]) == (200, ROWS_MAX), answer.text
    refused = send(world, clock, b"x" * (BULK_BYTES_MAX + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "upload.too_large")


def test_a_picture_of_a_seal_is_judged_by_its_own_limit(world: Any, clock: Any) -> None:
    for size, expected in (
        (BYTES_MAX, "seal.two_duties"),  # read in full, then refused for what it asks
        (BYTES_MAX + 1, "upload.too_large"),
    ):
        answer = world.client("donor").post(
            "/api/v1/seals/upload",
            files={"file": ("seal.png", b"x" * size, "image/png")},
            data={
                "seal": json.dumps(
                    {
                        "id": new_id("sea", at=clock.at),
                        "kind": "contract",
                        "name": "合同专用章（虚构）",
                        "auditor_id": world.donor.person_id,
                    }
                )
            },
        )
        assert answer.json()["code"] == expected, answer.text
