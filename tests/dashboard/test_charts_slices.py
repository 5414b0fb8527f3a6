"""Charts of slices and of a change of performance draw the data of their frames, and names are never interpreted as markup."""

import pandas as pd

from observability.core.metric_definitions import LABEL_UNIT
from observability.dashboard import theme
from observability.dashboard.charts import slices as charts_slices
from observability.dashboard.charts import waterfall as charts_waterfall

HOSTILE = "<b onclick='x()'>age</b> = 1"


def test_slice_dots_show_now_before_and_significance() -> None:
    rows = pd.DataFrame(
        [[HOSTILE, 0.7, 0.65, 0.75, 400, 0.9, 0.88, 0.5, True], ["sex = F", 0.8, 0.7, 0.9, 120, None, 0.88, 0.1, False]],
        columns=["name", "value", "low", "high", "n", "before", "rest", "coverage", "sure"],
    ).astype({"before": float})
    figure = charts_slices.slice_dots(rows, name="Accuracy", unit="share")
    before, sure, maybe = figure.data
    assert list(before.x) == [0.9] and list(sure.x) == [0.7] and list(maybe.x) == [0.8] and list(before.y) == list(sure.y) == [1]
    assert sure.error_x.array[0] == 0.75 - 0.7 and sure.marker.color == theme.PRIMARY and maybe.marker.symbol == "circle-open"
    assert (
        len(figure.layout.shapes) == 1
        and "<b" not in figure.layout.yaxis.ticktext[1].replace("<br>", "")
        and "<b o" not in sure.customdata[0]
    )
    bias = charts_slices.slice_dots(rows, name="Bias", unit=LABEL_UNIT, of_label="minutes")
    assert "0.700 minutes (0.650 to 0.750)" in bias.data[1].customdata[0] and "0.900 minutes" in bias.data[0].customdata[0]


def test_the_waterfall_steps_from_before_to_now() -> None:
    rows = pd.DataFrame(
        [["Before", 10, 9, 11, 0, 10, True, True], ["Other inputs", 3, 1, 5, 10, 13, False, True], ["Another relation", -1, -2, 0.5, 13, 12, False, False],
         ["Now", 12, 11, 13, 0, 12, True, True]],
        columns=["step", "value", "low", "high", "start", "end", "whole", "sure"],
    )  # fmt: skip
    figure = charts_waterfall.change_waterfall(rows, name="Mean absolute error", unit="")
    (bars,), ticks = figure.data, figure.layout.xaxis.ticktext
    assert ticks[1].endswith("+3.00") and ticks[3].endswith("12.0")
    assert list(bars.base) == [0, 10, 13, 0] and list(bars.y) == [10, 3, -1, 12]
    assert list(bars.marker.color) == [theme.PRIMARY, theme.ACT, theme.NEUTRAL, theme.PRIMARY]
    assert list(bars.error_y.array) == [1, 2, 1.5, 1] and "3.00 (1.00 to 5.00)" in bars.customdata[1]


def test_the_parts_of_a_changed_share_are_in_points() -> None:
    """Regression: the bar was labelled `Concept drift 2 %` below a sentence with +2.01 points."""
    rows = pd.DataFrame(
        [["Before", 0.238, 0, 0.238, True, True], ["Concept drift", 0.0201, 0.238, 0.2581, False, True]],
        columns=["step", "value", "start", "end", "whole", "sure"],
    ).assign(low=0.0, high=0.3)
    ticks = charts_waterfall.change_waterfall(rows, name="Error rate", unit="share").layout.xaxis.ticktext
    assert ticks[0].endswith("23.8 %") and ticks[1].endswith("+2.01 points")
