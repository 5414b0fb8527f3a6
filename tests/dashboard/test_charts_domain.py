"""Charts of multivariate drift draw the data of their frames, and names are never interpreted as markup."""

import pandas as pd

from observability.dashboard import theme
from observability.dashboard.charts import domain as charts_domain

HOSTILE = "<b onclick='x()'>age</b>"


def test_the_auc_scale_shows_interval_chance_level_and_limits() -> None:
    rows = pd.DataFrame(
        [["all", 0.7, 0.66, 0.74, 2000, "act"], ["single", 0.52, None, None, 2000, "unknown"]],
        columns=["name", "auc", "low", "high", "n", "severity"],
    ).astype({"low": float, "high": float})
    figure = charts_domain.domain_auc_scale(rows, null_low=0.47, null_high=0.53, limits={"watch": 0.55, "act": 0.65})
    sure, single = figure.data
    assert list(sure.x) == [0.7] and list(single.x) == [0.52] and single.error_x.array is None
    assert sure.error_x.array[0] == 0.74 - 0.7 and sure.error_x.arrayminus[0] == 0.7 - 0.66
    assert sure.marker.color == (theme.TONES["act"],)
    band, *lines = figure.layout.shapes
    assert (band.x0, band.x1) == (0.47, 0.53) and sorted(each.x0 for each in lines) == [0.55, 0.65]


def test_at_most_ten_bars_are_drawn_and_names_are_escaped() -> None:
    rows = pd.DataFrame({"subject": [HOSTILE, *map(str, range(14))], "loss": [0.2 - 0.01 * place for place in range(15)]})
    figure = charts_domain.permutation_importance_bars(rows)
    (bars,) = figure.data
    assert list(bars.x) == list(rows["loss"][:10][::-1])
    assert "<b" not in figure.layout.yaxis.ticktext[-1] and bars.customdata[-1][0] == HOSTILE
