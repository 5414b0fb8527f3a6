"""The decisions of the sample's cache are those of a real replay: the twin is LRU, costs are the flights of the routes, and outcomes come
later.
"""

from collections import OrderedDict

import numpy as np
import pandas as pd
import pytest

from observability.core.bundle import bundle_folder
from sample_data import cache

SAMPLE = bundle_folder() / "sample_data"


@pytest.fixture(scope="module")
def decisions() -> pd.DataFrame:
    labels = pd.read_parquet(SAMPLE / cache.OUTCOMES)[["id", "at", "value", "baseline_outcome"]]
    return pd.read_parquet(SAMPLE / cache.DECISIONS).merge(labels, on="id", how="left", suffixes=("", "_label"))


def test_decisions_of_the_old_rule_equal_those_of_a_cache_reimplemented_in_the_test(decisions: pd.DataFrame) -> None:
    flights = pd.read_parquet(SAMPLE / "flights-delay.predictions.parquet", columns=["id", "at", "carrier", "origin", "destination"])
    flights = flights.sort_values(["at", "id"], ignore_index=True)
    held: OrderedDict[tuple[str, str, str], bool] = OrderedDict()
    rule = []
    for route in zip(flights["carrier"], flights["origin"], flights["destination"]):
        rule.append("keep" if route in held else "admit")
        held[route] = True
        held.move_to_end(route)
        if len(held) > cache.PLACES:
            held.popitem(last=False)
    expected = pd.Series(rule, index="route-" + flights["id"].astype(str))
    assert (decisions["baseline"].to_numpy() == expected[decisions["id"]].to_numpy()).all()


def test_outcomes_come_later_cost_the_whole_route_or_nothing_and_the_old_rule_never_bypasses(decisions: pd.DataFrame) -> None:
    known = decisions[decisions["value"].notna()]
    assert (known["at_label"] >= known["at"]).all() and len(known) > 0.9 * len(decisions)
    for column in ("value", "baseline_outcome"):
        assert ((known[column] == 0) | (known[column] == known["rows"])).all()
    rule = decisions[(decisions["steered_by"] == "heuristic") & ~decisions["kill_switch"]]
    assert 0.1 < len(rule) / len(decisions) < 0.25 and "bypass" not in set(rule["prediction"])
    off = decisions[decisions["kill_switch"]]
    assert off["at"].between(*cache.DRILL, inclusive="left").all() and len(off) > 50
    assert (decisions["cached"] == 1).eq(decisions["prediction"] == "keep").all()


def test_score_intervals_end_at_zero_or_the_whole_route_and_cover_the_cost_as_often_as_stated(decisions: pd.DataFrame) -> None:
    low, high, rows = decisions["score_low"], decisions["score_high"], decisions["rows"]
    assert (low.eq(0) | low.eq(rows)).all() and (high.eq(0) | high.eq(rows)).all() and (low <= high).all()
    assert set(decisions["interval_level"]) == {cache.LEVEL}
    steered = decisions[(decisions["steered_by"] == "model") & decisions["value"].notna()]
    inside = steered["value"].between(steered["score_low"], steered["score_high"])
    narrow = steered["score_low"] == steered["score_high"]
    assert cache.LEVEL <= inside[narrow].mean() < 1 and 0.3 < narrow.mean() < 0.7


def test_the_old_rule_steers_enough_stretches_of_the_last_week_at_all_hours(decisions: pd.DataFrame) -> None:
    """This allows a comparison of inputs under the model and under the rule; the inputs from the clock must be alike."""
    last = decisions[(decisions["at"] >= "2013-12-26") & ~decisions["kill_switch"]]
    rule = last[last["steered_by"] == "heuristic"]
    assert rule["at"].dt.floor("6h").nunique() >= 15 and rule["value"].notna().sum() > 100
    model = last[last["steered_by"] == "model"]
    for clock in ("hour", "weekday"):
        above = (np.sign(model[clock].to_numpy()[:, None] - rule[clock].to_numpy()[None, :]).mean()) / 2
        assert abs(above) < 0.05, clock
