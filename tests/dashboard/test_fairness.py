"""The fairness page draws each group at its value (grey if too small), and ratios relative to the largest group."""

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.dashboard import theme
from observability.dashboard.charts import fairness as charts_fairness
from observability.dashboard.trust.fairness_groups import long_rate_frame, rate_frame, ratio_frame
from observability.metrics.groups import Attribute, group_metrics
from observability.stats.difference_intervals import rate_ratio_interval
from tests.support.dashboard_pages import opened
from tests.support.dashboard_world import World

MODEL = Model(1, "loan", "binary", ("0", "1"))
SEX = Attribute("sex", "group.sex", ("F", "M", "<b>x</b>"))


def counted(rows: list[tuple[str | None, int, int, int]]):
    """Group counts from (level, decision, label, n)."""
    frame = pd.DataFrame(rows, columns=["group.sex", "decision", "label", "n"])
    return group_metrics(MODEL, frame.assign(w=frame["n"].astype(float), w2=frame["n"].astype(float)), [SEX])


NOW = counted(
    [("F", 1, 1, 160), ("F", 0, 1, 40), ("F", 1, 0, 50), ("F", 0, 0, 250), ("M", 1, 1, 90), ("M", 0, 1, 10), ("M", 1, 0, 30), ("M", 0, 0, 170),
     ("<b>x</b>", 1, 1, 5), ("<b>x</b>", 0, 0, 9), (None, 1, 1, 400)]
)  # fmt: skip


def test_fairness_groups_are_sorted_with_hand_computed_rates_and_missing_last() -> None:
    rows = rate_frame(NOW, None, "true_positive_rate").set_index("group")
    assert list(rows.index) == ["F", "M", "<b>x</b>", "null"]
    assert rows.loc["F", "value"] == pytest.approx(0.8) and rows.loc["M", "value"] == pytest.approx(0.9)
    assert list(rows["enough"]) == [True, True, False, False]
    assert rows.loc["<b>x</b>", "needs"] == 25 and rows.loc["F", "n"] == 200


def test_fairness_dots_are_blue_or_grey_and_names_are_escaped() -> None:
    before = counted([("F", 1, 1, 70), ("F", 0, 1, 30), ("M", 1, 1, 85), ("M", 0, 1, 15)]).aligned(NOW.levels)
    figure = charts_fairness.group_dots(rate_frame(NOW, before, "true_positive_rate"), name="TPR", unit="share", overall=0.85)
    of = {trace.name: trace for trace in figure.data}
    assert sorted(of["now"].x) == pytest.approx([0.8, 0.9]) and of["now"].marker.color == theme.PRIMARY
    assert of["below minimum n"].marker.color == theme.NEUTRAL and len(of["below minimum n"].x) == 2
    assert sorted(of["reference"].x) == pytest.approx([0.7, 0.85])
    assert "<b>" not in "".join(figure.layout.yaxis.ticktext) and any("200" in each for each in figure.layout.yaxis.ticktext)
    assert "unknown" in of["below minimum n"].customdata[0]


def test_an_axis_of_small_shares_is_scaled_to_them() -> None:
    """Regression: for shares from 1.6 to 3.5 % the axis went from -2 to 7.5 %."""
    columns = ["group", "value", "low", "high", "n", "what", "enough", "reference"]
    small = [
        ["LGA", 0.033, 0.031, 0.035, 9_000, "rows", True, float("nan")],
        ["JFK", 0.0174, 0.016, 0.019, 9_000, "rows", True, float("nan")],
    ]
    low, high = charts_fairness.group_dots(pd.DataFrame(small, columns=columns), name="dropped", unit="share").layout.xaxis.range
    assert 0 < low < 0.016 and 0.035 < high < 0.045
    low, _ = charts_fairness.group_dots(
        pd.DataFrame(small, columns=columns).assign(low=0.0), name="dropped", unit="share"
    ).layout.xaxis.range
    assert -0.005 < low < 0, "the axis begins slightly below zero, so that a mark at zero is not clipped"


def test_selection_ratios_use_the_largest_group_and_koopman_intervals() -> None:
    rows = ratio_frame(NOW, None)
    assert rows is not None
    by_name = rows.set_index("group")
    assert by_name.loc["F", "value"] == 1
    wanted = rate_ratio_interval(120, 300, 210, 500)
    assert tuple(by_name.loc["M", ["value", "low", "high"]]) == pytest.approx((wanted.value, wanted.low, wanted.high))
    figure = charts_fairness.selection_ratio_dots(rows, against="F", low=0.8, high=1.25)
    band = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (band[0].x0, band[0].x1) == (0.8, 1.25)
    assert ratio_frame(counted([("F", 0, 0, 90), ("M", 0, 0, 80)]), None) is None


def test_the_csv_has_every_group_and_rate() -> None:
    frame = long_rate_frame(NOW, None, ("selection_rate", "precision"))
    assert len(frame) == 8 and set(frame["metric"]) == {"selection_rate", "precision"}
    assert np.isfinite(frame.loc[frame["enough"], ["value", "low", "high"]].to_numpy(float)).all()


def test_a_phone_shows_the_rates_of_a_criterion_before_their_ratio(current: World) -> None:
    """Regression: the ratio stood between the two rates, because a phone shows the whole first column before the second."""
    app = opened("fairness", model="loan", metric="equalized_odds_difference")
    titles = [each.value for each in app.subheader]
    assert titles[:3] == ["True positive rate", "False positive rate", "Selection rate ratio to the largest group"], titles
