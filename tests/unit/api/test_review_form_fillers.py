"""The number of the signer to whom a form field is left, as a page sends it."""

from __future__ import annotations

import pytest

from api.routes.form_fields import _chosen
from ledger.core.errors import InputError


@pytest.mark.parametrize("typed", ["9" * 5_000, "1000", "-1", "1.0", "２", ""])
def test_a_number_that_no_list_has_is_refused_and_is_no_fault_of_ours(typed):
    with pytest.raises(InputError) as fault:
        _chosen(["delivery"], [typed], ["交货地点"], [])
    assert fault.value.error_code == "form.filler"


def test_the_second_signer_is_the_second_and_zero_is_nobody():
    found = _chosen(["delivery", "other"], ["2", "0"], ["交货地点", ""], ["delivery"])
    assert found == [{"name": "delivery", "signer": 2, "label": "交货地点", "required": True}]
