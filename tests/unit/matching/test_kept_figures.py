"""What a bench of the real stream measured stays until it is measured again."""

import json

from bench.getusppe import RESULTS, _keep


def test_a_quick_run_keeps_the_resamples_and_policies_of_a_long_one(tmp_path):
    at = tmp_path / "getusppe.json"
    _keep({"ours": [{"fill": 1}, {"fill": 2}, {"fill": 3}], "theirs": [{"fill": 9}]}, at=at)
    _keep({"ours": [{"fill": 7}]}, at=at)
    assert json.loads(at.read_text("utf-8")) == {
        "ours": [{"fill": 7}, {"fill": 2}, {"fill": 3}],
        "theirs": [{"fill": 9}],
    }


def test_the_published_table_has_every_policy_and_ten_resamples_of_the_judged_ones():
    found = json.loads(RESULTS.read_text("utf-8"))
    for name in ("few_shipments", "fill_first", "fcfm", "proximity"):
        assert len(found[name]) == 11, name
