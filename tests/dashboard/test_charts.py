"""Charts draw the data of their frames, and names from logs are never interpreted as markup."""

import json
from datetime import UTC, datetime
from unittest import mock

import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from observability.core import formatting
from observability.core.metric_definitions import LABEL_UNIT
from observability.core.window import Window
from observability.dashboard import theme
from observability.dashboard.charts import case as charts_case
from observability.dashboard.charts import collection as charts_collection
from observability.dashboard.charts import compare as charts_compare
from observability.dashboard.charts import drift as charts_drift
from observability.dashboard.charts import explanations as charts_explanations
from observability.dashboard.charts import incident as charts_incident
from observability.dashboard.charts import labels as charts_labels
from observability.dashboard.charts import outcomes as charts_outcomes
from observability.dashboard.charts import records as charts_records
from observability.dashboard.charts import standalone
from observability.dashboard.charts import time as charts_time
from observability.dashboard.charts.overlay import distribution_overlay
from observability.dashboard.serving import batch_gate
from observability.dashboard.table import sparkline, usual_ends

HOSTILE = "<a href='https://evil.example'>x</a>"


def metric_series(days: int = 10, labelled: int = 100) -> pd.DataFrame:
    period = pd.date_range("2026-03-01", periods=days, freq="D")
    frame = pd.DataFrame({"period": period, "value": range(days), "labelled": labelled, "served": 100}).astype({"value": float})
    return frame.assign(low=frame["value"] - 1, high=frame["value"] + 1)


def named(figure, name: str):
    return next(trace for trace in figure.data if trace.name == name)


def test_periods_whose_labels_are_missing_are_drawn_separately_and_shaded() -> None:
    series = metric_series()
    series.loc[8:, "labelled"] = 79
    figure = charts_time.metric_lines(series, name="MAE", unit="", limit=5.0, baseline=3.0)
    firm = named(figure, "MAE")
    assert list(firm.y[:8]) == list(range(8)) and all(each != each for each in firm.y[8:])
    assert named(figure, "MAE, labels still arriving").line.dash == "dot"
    shaded = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert len(shaded) == 1 and pd.Timestamp(shaded[0].x0) < series["period"][8] < pd.Timestamp(shaded[0].x1)
    assert sorted(shape.y0 for shape in figure.layout.shapes if shape.type == "line") == [3.0, 5.0]
    assert "(0.00 to 2.00)" not in firm.customdata[1] and "(0 to 2.00)" in firm.customdata[1]


def test_nothing_is_shaded_where_all_labels_are_in() -> None:
    assert not [shape for shape in charts_time.metric_lines(metric_series(), name="x", unit="").layout.shapes if shape.type == "rect"]


def test_at_most_five_events_are_marks_deploys_first_and_the_rest_is_counted() -> None:
    marks = pd.DataFrame({"at": pd.date_range("2026-03-02", periods=8, freq="D"), "what": ["note"] * 7 + ["deploy"], "text": [HOSTILE] * 8})
    figure = charts_time.metric_lines(metric_series(), name="x", unit="", marks=marks)
    events = named(figure, "events")
    assert len(events.x) == charts_time.MAX_MARKS
    assert any(each.startswith("deploy") for each in events.customdata) and events.customdata[-1].endswith(
        "and 3 more events in this window"
    )
    assert "<a " not in "".join(events.customdata)


def test_events_outside_of_the_chart_are_left_out() -> None:
    marks = pd.DataFrame({"at": [pd.Timestamp("2020-01-01")], "what": ["deploy"], "text": ["x"]})
    assert all(trace.name != "events" for trace in charts_time.traffic_bars(metric_series().assign(n=3), marks).data)


def test_traffic_bars_show_the_expected_volume_only_if_it_is_known() -> None:
    frame = pd.DataFrame({"period": pd.date_range("2026-03-01", periods=3, freq="h"), "n": [1, 2, 3]})
    assert [trace.name for trace in charts_time.traffic_bars(frame).data] == ["predictions"]
    known = frame.assign(expected=[1.0, 2.0, None], low=[0.0, 1.0, None], high=[2.0, 3.0, None])
    assert {trace.name for trace in charts_time.traffic_bars(known).data} == {"predictions", "expected", "usual range"}


def ranking() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject": [HOSTILE, "b"], "value": [0.4, 0.05], "low": [0.3, 0.0], "high": [0.5, 0.1], "limit": [0.25, 0.1], "severity": ["act", "ok"],
            "limit_of": ["the default", "the default"], "n": [1000, 900], "worst_look": ["on the last day", None], "value_there": [0.9, None],
        }
    )  # fmt: skip


def test_ranked_bars_carry_subject_colour_and_limits() -> None:
    figure = charts_drift.drift_bars(ranking(), selected="b")
    bar = figure.data[0]
    assert list(bar.x) == [0.05, 0.4] and [each[0] for each in bar.customdata] == ["b", HOSTILE]
    assert list(bar.marker.color) == [theme.OK, theme.ACT]
    assert list(figure.layout.yaxis.ticktext) == ["<b>b</b>", "&lt;a href='https://evil.examp…"]
    assert sorted(shape.x0 for shape in figure.layout.shapes) == [0.1, 0.25]
    ring = figure.data[1]
    assert (list(ring.y), list(ring.x), ring.customdata[0][0]) == (
        [1],
        [0.9],
        HOSTILE,
    ) and "on the last day: PSI 0.9" in ring.customdata[0][1]


def test_drift_bar_limits_and_colours_match_the_findings() -> None:
    """A limit of 0.3 is drawn as the critical limit if a critical finding exceeded it, and as a warning limit if the owner set it so."""
    rows = ranking().assign(limit=[0.3, 0.1], limit_of=["set by the owner", "the default"])
    figure = charts_drift.drift_bars(rows)
    assert {shape.x0: shape.line.color for shape in figure.layout.shapes} == {0.3: theme.NEUTRAL, 0.1: theme.NEUTRAL}
    relaxed = charts_drift.drift_bars(rows.assign(limit=[0.5, 0.3], severity=["watch", "ok"]))
    assert list(relaxed.data[0].marker.color) == [theme.OK, theme.WATCH], "the finding sets the colour of a bar, whatever the bar's length"
    assert {note.text for note in figure.layout.annotations} == {
        f"{formatting.STATUS_WORDS['act']} from 0.30, set by the owner",
        f"{formatting.STATUS_WORDS['watch']} from 0.10, the default",
    }
    assert {note.text.partition(" ")[0] for note in relaxed.layout.annotations} == {formatting.STATUS_WORDS["watch"]}


def test_a_legend_names_each_colour_of_the_bars() -> None:
    """Regression: grey bars were longer than orange ones, and nothing next to them said that grey means "cannot be judged"."""
    figure = charts_drift.drift_bars(ranking().assign(severity=["act", "unknown"]))
    legend = {trace.name: trace.marker.color for trace in figure.data if trace.type == "bar" and trace.showlegend is not False}
    assert figure.layout.showlegend and legend == {"Critical": theme.ACT, "Cannot be judged": theme.TONES["unknown"]}


def test_a_long_name_of_a_limit_is_broken_and_reaches_to_the_left() -> None:
    """On a phone the bars are about 200 pixels wide and the names left of them 130. The name of a limit that starts at its line would be
    cut off at the right.
    """
    rows = ranking().assign(limit=[0.11, 0.1], limit_of="the column's own daily range")
    figure = charts_drift.drift_bars(rows)
    notes = [each for each in figure.layout.annotations if "from 0.1" in each.text]
    assert len(notes) == 2 and all(len(line) <= 38 for each in notes for line in each.text.split("<br>"))
    assert {each.xanchor for each in notes} <= {"center", "right"}
    assert [each.yshift for each in notes] == [0, 32] and figure.layout.margin.t >= 4 * 16
    assert figure.layout.height - figure.layout.margin.t == charts_drift.drift_bars(ranking()).layout.height - 46


def test_names_of_limits_are_drawn_in_separate_rows() -> None:
    figure = charts_drift.drift_bars(ranking().assign(limit=[0.11, 0.1]))
    assert len({note.yshift for note in figure.layout.annotations}) == 2


def test_two_extreme_columns_do_not_flatten_the_other_bars() -> None:
    """Bars beyond the edge are cut, and their value is written; the table keeps the values."""
    rows = pd.concat([ranking()] * 10, ignore_index=True)
    rows = rows.assign(value_there=None, value=[8.05, 7.9, *[0.02 * place for place in range(18, 0, -1)]], low=None, high=None)
    rows = rows.astype(dict.fromkeys(("value_there", "low", "high"), float))
    bar, right = charts_drift.drift_bars(rows).data[0], charts_drift.drift_bars(rows).layout.xaxis.range[1]
    assert 0.36 < right < 0.8 and max(bar.x) < right
    assert list(bar.text[-2:]) == ["7.90 ▸", "8.05 ▸"] and set(bar.text[:-2]) == {""}
    assert "PSI 8.05" in bar.customdata[-1][1]
    far = rows.assign(value_there=[9.5, *[None] * 19], worst_look="on the last day").astype({"value_there": float})
    notes = charts_drift.drift_bars(far).layout.annotations
    assert "9.50" in {note.text for note in notes}, "on a phone, a note that states its days would cover a bar"
    assert charts_drift.RING in [trace.name for trace in charts_drift.drift_bars(far).data if trace.showlegend is not False]
    alike = charts_drift.drift_bars(rows.assign(value=[0.05 * place for place in range(20, 0, -1)]))
    assert set(alike.data[0].text) == {""} and max(alike.data[0].x) == 1.0


def test_a_column_with_its_own_limit_has_a_stroke_on_its_bar() -> None:
    rows = pd.concat([ranking()] * 3, ignore_index=True).assign(limit=[0.1, 0.1, 0.1, 0.1, 0.77, 0.2])
    figure = charts_drift.drift_bars(rows)
    assert [shape.x0 for shape in figure.layout.shapes] == [0.1]
    (strokes,) = (trace for trace in figure.data if trace.type == "scatter" and trace.marker.symbol == "line-ns-open")
    assert sorted(zip(strokes.y, strokes.x)) == [(0, 0.2), (1, 0.77)]


@pytest.mark.parametrize(
    ("severity", "colour"), [("act", theme.ACT), ("watch", theme.WATCH), ("unknown", theme.WATCH), ("ok", theme.WATCH)]
)
def test_the_limit_of_a_warning_has_the_colour_of_a_warning(severity: str, colour: str) -> None:
    """Regression: the limit was always drawn red, like a critical limit, whatever the severity of the finding."""
    about = {"name": "x", "unit": "", "limit": 5.0, "severity": severity}
    for draw in (charts_time.metric_lines, charts_time.compact_line, charts_incident.incident_line):
        (line,) = (shape for shape in draw(metric_series(), **about).layout.shapes if shape.type == "line")
        assert (line.y0, line.line.color) == (5.0, colour), draw


def test_the_legend_names_baseline_and_limit_of_a_metric() -> None:
    """Regression: the name of the baseline was written over the curve."""
    layout = charts_time.metric_lines(metric_series(), name="x", unit="", limit=5.0, severity="act", baseline=3.0).layout
    assert layout.showlegend and [line.name for line in layout.shapes if line.showlegend] == ["reference", "Critical limit"]
    assert not layout.annotations and not charts_time.metric_lines(metric_series(), name="x", unit="").layout.showlegend


@pytest.mark.parametrize("limit", [0.35, 12.5])
def test_time_line_charts_draw_the_limit_of_their_finding(limit: float) -> None:
    for figure in (
        charts_time.metric_lines(metric_series(), name="x", unit="", limit=limit),
        charts_time.compact_line(metric_series(), name="x", unit="", limit=limit),
    ):
        assert [shape.y0 for shape in figure.layout.shapes if shape.type == "line"] == [limit]


def test_the_interval_of_a_period_with_few_labels_does_not_flatten_the_others() -> None:
    series = metric_series()
    assert charts_time.metric_lines(series, name="x", unit="").layout.yaxis.range is None
    series.loc[9, ["labelled", "low", "high"]] = [2, -190.0, 210.0]
    low, high = charts_time.metric_lines(series, name="x", unit="", limit=12.0).layout.yaxis.range
    assert low < 0 and 12.0 < high < 25.0
    series["value"] += 20
    series.loc[:8, ["low", "high"]] += 20
    assert charts_time.metric_lines(series, name="x", unit="").layout.yaxis.range[0] > 10
    series["labelled"] = 2
    assert charts_time.metric_lines(series, name="x", unit="").layout.yaxis.range is None, (
        "without enough labels in any period, the axis has no fixed range"
    )


def test_the_interval_of_one_day_does_not_flatten_a_sparkline() -> None:
    low, high = [9.0, 10.0, None, 11.0, -190.0], [11.0, 12.0, None, 13.0, 220.0]
    cut_low, cut_high = usual_ends([10.0, 11.0, None, 12.0, 15.0], low, high)
    assert cut_low == [9.0, 10.0, None, 11.0, 6.0] and cut_high == [11.0, 12.0, None, 13.0, 19.0]
    assert usual_ends([None, None], [None, None], [None, None]) == ([None, None], [None, None])


def test_a_low_chart_names_its_axis_and_leaves_room_for_the_buttons_of_plotly() -> None:
    """Regression: the buttons are 25 pixels high and covered the line."""
    layout = charts_time.compact_line(metric_series(), name="PSI of age", unit="", y="PSI").layout
    assert layout.yaxis.title.text == "PSI" and layout.margin.t >= 25 and layout.height - layout.margin.t >= 100


def test_an_unfinished_period_is_drawn_differently() -> None:
    series = metric_series().drop(columns=["low", "high"]).assign(running=[False] * 9 + [True])
    line, rest = charts_time.compact_line(series, name="predictions", unit="predictions").data
    assert (line.name, line.line.dash, list(line.y)) == ("predictions so far", "dot", [8.0, 9.0])
    assert rest.line.dash == "solid" and list(rest.y)[:9] == list(range(9)) and pd.isna(rest.y[9])
    bars = charts_time.traffic_bars(series.assign(n=3)).data[0]
    assert list(bars.marker.opacity) == [0.85] * 9 + [0.4] and list(bars.customdata) == [""] * 9 + [" so far"]


def test_shares_that_are_all_zero_are_not_drawn_on_an_axis_to_100_percent() -> None:
    rows = pd.DataFrame({"at": pd.date_range("2026-03-01", periods=3), "value": [0.0, 0.0, 0.0], "severity": "ok", "words": ""})
    assert charts_records.record_marks(rows, name="share", usual=0.0, share=True).layout.yaxis.range == (0, 0.05)
    assert charts_records.record_marks(rows, name="share", usual=0.0003, share=True).layout.yaxis.range == (0, 0.05), (
        "in a narrower range, all ticks would read 0 %"
    )
    assert charts_records.record_marks(rows.assign(value=0.5), name="share", share=True).layout.yaxis.range is None


def test_an_unchecked_batch_is_drawn_as_unknown_and_not_as_ok() -> None:
    table = pd.DataFrame({"batch": ["a", "b"], "first": pd.date_range("2026-03-01", periods=2), "rows": [10, 12]})
    drawn: list[pd.DataFrame] = []
    with mock.patch.object(batch_gate.frame, "chart_with_table", lambda figure, twin, **_: drawn.append(figure)):
        batch_gate._rows_chart(table, {"a": ("unknown", "Not checked"), "b": ("ok", "Release")})
    assert {trace.name: list(trace.y) for trace in drawn[0].data if trace.name} == {"OK": [12.0], "Unknown": [10.0]}


def test_label_maturity_draws_the_limit_of_its_finding() -> None:
    days = pd.DataFrame(
        {"period": pd.date_range("2026-03-02", periods=2), "served": 10.0, "labelled": 5.0, "share": 0.5, "usual": 0.6, "final": 0.9}
    )
    window = Window("loan", datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC))
    """Regression: the line had no name, and bars above the limit hid it."""
    for severity, name in (("ok", "Warning limit"), ("act", "Critical limit")):
        (shape,) = charts_labels.label_maturity_bars(days, window, 0.72, severity).layout.shapes
        assert (shape.y0, shape.name, shape.showlegend, shape.layer) == (0.72, name, True, None)
    assert not charts_labels.label_maturity_bars(days, window).layout.shapes


def test_squares_over_the_heatmap_carry_hover_and_click() -> None:
    days = pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-01"])
    frame = pd.DataFrame({"subject": ["b", "b", "a"], "day": days, "value": [0.1, 0.2, 0.3], "n": [5, 6, 7]})
    figure = charts_drift.column_day_heatmap(frame, value="PSI", unit="", top=0.5)
    grid, squares = figure.data
    assert grid.hoverinfo == "skip" and squares.opacity == 0
    assert [list(row) for row in grid.z] == [[0.1, 0.2], [0.3, None]]
    assert [tuple(each[:2]) for each in squares.customdata] == [("b", "2026-03-01"), ("b", "2026-03-02"), ("a", "2026-03-01")]


@pytest.mark.parametrize(("days", "gap"), [(7, 1), (365, 0)])
def test_gaps_between_heatmap_days_shrink_in_long_windows(days: int, gap: int) -> None:
    frame = pd.DataFrame(
        {"subject": "b", "day": pd.date_range("2026-01-01", periods=days), "value": 0.1, "n": 5, "label": "b", "column": None}
    )
    drawn = (
        charts_drift.column_day_heatmap(frame, value="PSI", unit="", top=0.5),
        charts_collection.device_day_heatmap(frame, name="Nulls", unit="share", selected=None),
    )
    assert [figure.data[0].xgap for figure in drawn] == [gap, gap]


def test_long_names_beside_the_heatmap_take_two_lines_so_that_a_phone_shows_the_days() -> None:
    names = ["carrier_departures_same_hour", "wind_direction_degrees", "origin", "x" * 40]
    frame = pd.DataFrame({"subject": names, "day": pd.to_datetime("2026-03-01"), "value": 0.1, "n": 5})
    figure = charts_drift.column_day_heatmap(frame, value="PSI", unit="", top=0.5, selected="origin")
    drawn = list(figure.layout.yaxis.ticktext)
    assert drawn[:3] == ["carrier_departures_<br>same_hour", "wind_direction_<br>degrees", "<b>origin</b>"]
    assert drawn[3].endswith("…") and figure.layout.height > 4 * 24 + 60


def test_axis_dates_use_the_format_of_sentences() -> None:
    for config in (theme.CONFIG, theme.AREA_CONFIG, standalone.CONFIG):
        form = config["locales"][config["locale"]]["format"]
        assert form["dayMonth"] == "%-d %b" and form["dayMonthYear"] == "%-d %b %Y"


def test_distribution_overlays_draw_both_sides_with_the_same_bins() -> None:
    numbers = pd.DataFrame(
        {"step": ["below 1", "1 to 2"], "low": [0.0, 1.0], "high": [1.0, 2.0], "reference": [0.4, 0.6], "current": [0.1, 0.9]}
    ).assign(n_reference=[4, 6], n_current=[1, 9])
    figure = distribution_overlay(numbers, name="x")
    assert list(named(figure, "reference").x) == list(named(figure, "current").x) == [0.0, 1.0, 2.0]
    assert list(named(figure, "current").y) == [0.1, 0.9, 0.9] and named(figure, "current").line.shape == "hv"
    levels = pd.DataFrame(
        {"level": [HOSTILE, "b"], "reference": [0.4, 0.6], "current": [0.1, 0.9], "n_reference": [4, 6], "n_current": [1, 9]}
    )
    figure = distribution_overlay(levels, name=HOSTILE)
    assert figure.layout.barmode == "group" and [list(trace.y) for trace in figure.data] == [[0.4, 0.6], [0.1, 0.9]]
    assert "<a " not in json.dumps(figure.to_plotly_json(), default=str)


@pytest.mark.parametrize(("at", "form"), [("2013-12-31", "%-d %b %Y"), ("2013-12-31 14:00", "%-d %b %Y %H:%M")])
def test_a_single_period_has_one_tick(at: str, form: str) -> None:
    """Regression: the axis of a single day had ticks at 12:00 of the previous day and of that day."""
    axis = charts_time.traffic_bars(pd.DataFrame({"period": [pd.Timestamp(at)], "n": [3]})).layout.xaxis
    assert [pd.Timestamp(tick) for tick in axis.tickvals] == [pd.Timestamp(at)] and axis.tickformat == form


def test_confusion_shows_the_share_of_each_label() -> None:
    figure = charts_outcomes.confusion_heatmap([[90.0, 10.0], [30.0, 70.0]], ["no", "yes"])
    assert [list(row) for row in figure.data[0].z] == [[0.9, 0.1], [0.3, 0.7]]
    assert figure.layout.annotations[1].text == "<b>10 %</b><br>10"
    assert "label no, decided yes" in figure.data[1].customdata[1]


@pytest.mark.parametrize("figure", [charts_time.compact_line(metric_series(), name="x", unit="share"), charts_drift.drift_bars(ranking())])
def test_every_colour_is_one_of_the_theme(figure) -> None:
    used = {
        word
        for word in json.dumps(figure.update_layout(template=None).to_plotly_json(), default=str).replace('"', " ").split()
        if word.startswith("#")
    }
    assert used <= {f"#{n:06d}" for n in range(1, 31)}


def test_an_estimate_beside_a_measurement_is_dashed_in_another_hue_and_says_its_interval() -> None:
    series = metric_series().assign(estimated=2.0, estimated_low=1.5, estimated_high=2.5)
    guess = named(charts_time.metric_lines(series, name="MAE", unit=""), "MAE, estimated")
    assert (guess.line.dash, guess.line.color, guess.marker.symbol) == ("dash", theme.PURPLE, "circle-open")
    assert list(guess.y) == [2.0] * len(series) and "(1.50 to 2.50)" in guess.customdata[0]
    bare = charts_time.metric_lines(series.assign(estimated=None), name="MAE", unit="")
    assert all(trace.name != "MAE, estimated" for trace in bare.data)


def test_a_long_title_of_an_axis_is_broken_into_lines_that_a_phone_shows() -> None:
    assert theme.break_title("mean error") == "mean error" and theme.break_title("x" * 60) == "x" * 60
    title = "A − B, in multiples of the smallest relevant change"
    lines = theme.break_title(title).split("<br>")
    assert " ".join(lines) == title and max(map(len, lines)) <= theme.LINE
    figure = charts_compare.forest_plot(
        pd.DataFrame([["MAE", 2.0, 1.0, 3.0, "differs", "x"]], columns=["name", "multiple", "low", "high", "verdict", "said"])
    )
    assert "<br>" in figure.layout.xaxis.title.text


def test_a_sparkline_of_many_days_draws_means_and_says_so() -> None:
    drawn = sparkline([*range(98), None, None], "PSI by day", low=[0.0] * 100, high=[200.0] * 100)
    assert drawn["label"] == "PSI by day, means of 3" and len(drawn["y"]) == len(drawn["low"]) == 34
    assert drawn["y"][:2] == [1.0, 4.0] and drawn["y"][-2:] == [96.5, None]
    assert sparkline([1.0] * 40, "a")["label"] == "a"


def test_applying_the_theme_gives_the_same_figure_as_plotlys_update() -> None:
    def figure() -> go.Figure:
        made = make_subplots(rows=2, cols=1).add_hline(y=0.4, row=1, col=1)
        made.update_layout(legend={"font": {"color": theme.ACT}, "traceorder": "reversed"}, margin={"pad": 3})
        return made.update_xaxes(range=[0, 3], tickfont={"weight": 600}).update_yaxes(type="log", title={"standoff": 1})

    quiet, axis = {"color": theme.NEUTRAL, "size": 11}, {"zeroline": False, "automargin": True}
    expected = figure().update_layout(
        colorway=theme.SERIES, height=280, showlegend=True, hovermode="closest", dragmode="zoom", bargap=0.25,
        margin={"l": 8, "r": 12, "t": 28, "b": 8}, hoverlabel={"align": "left", "namelength": -1},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
    )  # fmt: skip
    expected.update_xaxes(title=theme.axis_title("day"), tickfont=quiet, showgrid=False, linecolor=theme.QUIET, **axis)
    expected.update_yaxes(title=theme.axis_title("rows"), tickfont=quiet, gridcolor=theme.QUIET, gridwidth=0.5, rangemode="tozero", **axis)
    themed = theme.themed(figure(), x="day", y="rows", legend=True, rangemode="tozero", tickformat=None)
    assert themed.to_plotly_json() == expected.to_plotly_json()
    assert themed.layout.yaxis2.type == "log" and themed.layout.legend.font.color == theme.ACT


def test_an_axis_title_names_the_label_unit_if_its_ticks_do_not() -> None:
    days = metric_series()
    error: dict[str, str] = {"name": "MAE", "unit": LABEL_UNIT}
    drawn = [
        charts_time.metric_lines(days, **error, of_label="minutes"),
        charts_incident.incident_line(days, **error, of_label="minutes"),
        charts_time.metric_lines(days, **error),
        charts_time.metric_lines(days, name="Accuracy", unit="share", of_label="minutes"),
    ]
    assert [figure.layout.yaxis.title.text for figure in drawn] == ["MAE, minutes", "MAE, minutes", "MAE", "Accuracy"]


def test_an_axis_title_that_is_too_long_is_wrapped_to_two_lines() -> None:
    frame = pd.DataFrame({"at": pd.date_range("2026-03-01", periods=2), "value": [0.0, 1.0], "severity": "ok", "words": "x"})
    drawn = charts_records.record_marks(frame, name="share of stuck values of surface_temperature_f", share=True)
    assert drawn.layout.yaxis.title.text == "share of stuck values of<br>surface_temperature_f"
    assert charts_records.record_marks(frame, name="share of rows changed").layout.yaxis.title.text == "share of rows changed"
    assert drawn.data[0].cliponaxis is False, "a mark at zero is not clipped"


def test_an_axis_that_may_cross_zero_has_no_format_of_significant_digits() -> None:
    """Regression: a format of significant digits wrote the tick at zero as −8.88e−17, because plotly adds up the distance of ticks."""
    days = metric_series()
    steps = {"label": ["base", "age = 3", "output"], "start": [0.0, 0.2, 0.0], "end": [0.2, -0.4, -0.4], "error": [0.0] * 3}
    parts = pd.DataFrame(steps | {"attribution": [0.2, -0.6, -0.4], "kind": ["base", "feature", "output"]})
    swarm = {"id": ["a", "b"], "feature": ["age"] * 2, "attribution": [-0.4, 0.4], "value": ["1", "2"], "rank": [0.0, 1.0]}
    axes = {
        "metric by day": charts_time.metric_lines(days.assign(value=days["value"] - 4), name="Bias", unit="minutes").layout.yaxis,
        "small time line": charts_time.compact_line(days, name="Bias", unit="minutes").layout.yaxis,
        "waterfall of a case": charts_case.attribution_waterfall(parts, unit="minutes").layout.xaxis,
        "beeswarm": charts_explanations.attribution_beeswarm(pd.DataFrame(swarm), features=["age"], unit="minutes").layout.xaxis,
    }
    assert {name: (axis.tickformat, axis.separatethousands) for name, axis in axes.items()} == dict.fromkeys(axes, (None, True))
