"""The compare page takes both sides from its address, reports what does not exist, and draws both sides."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from observability.compare import sentences
from observability.compare.difference import NO_INTERVAL, Difference
from observability.core.errors import UsageError
from observability.core.window import Slice, Window
from observability.dashboard import theme
from observability.dashboard.charts import compare as charts_compare
from observability.dashboard.serving.compare import ALL_ROWS, VersionChoices, side_b
from observability.dashboard.serving.compare_parts import better_side, differences_frame, distance_frame, signed_change
from observability.stats.interval import Interval
from tests.support.dashboard_pages import opened, tables
from tests.support.dashboard_pages import words as said
from tests.support.dashboard_world import START, World

A = Window("loan", START + timedelta(days=7), START + timedelta(days=14))
KNOWN = VersionChoices({"1": ("1", "production"), "2 in shadow": ("2", "shadow"), "reference of 1": ("1", "reference")})
SECOND = {"model": "loan", "from": "2026-03-09T00:00", "to": "2026-03-16T00:00", "window": "Chosen dates"}


def test_side_b_defaults_to_the_previous_window() -> None:
    b = side_b(A, KNOWN, None, None, None, None)
    assert (b.start, b.end) == (A.start - timedelta(days=7), A.start) and b.version is None


def test_another_version_or_slice_is_compared_over_the_same_dates() -> None:
    b = side_b(A, KNOWN, "2 in shadow", None, None, None)
    assert (b.version, b.environment, b.start, b.end) == ("2", "shadow", A.start, A.end)
    sliced = side_b(A, KNOWN, None, None, None, "sex=F")
    assert sliced.slice == Slice((("sex", "F"),)) and sliced.start == A.start
    whole = side_b(Window("loan", A.start, A.end, slice=Slice((("sex", "F"),))), KNOWN, None, None, None, ALL_ROWS)
    assert whole.slice is None and whole.end == A.end


def test_a_single_date_of_side_b_gives_it_the_length_of_side_a() -> None:
    early = START - timedelta(days=30)
    assert side_b(A, KNOWN, None, early, None, None).end == early + timedelta(days=7)
    assert side_b(A, KNOWN, None, None, early, None).start == early - timedelta(days=7)
    with pytest.raises(UsageError, match="side B ends before it starts"):
        side_b(A, KNOWN, None, A.end, A.start, None)


def difference(metric: str, value: float, least: float = 0.02, unit: str = "share", section="performance", **parts) -> Difference:
    """A difference with an interval of ± 0.01."""
    return Difference(
        section, "model", metric, unit, Interval(0.5 + value, 0.4, 0.6, 100), Interval(0.5, 0.4, 0.6, 90),
        Interval(value, value - 0.01, value + 0.01, 90), least, 0.001, **parts,
    )  # fmt: skip


def test_changes_have_signs_and_say_which_side_is_better() -> None:
    assert (
        signed_change(-0.0312, "share") == "−3.1 pts"
        and signed_change(0.2, "nats") == "+0.200"
        and signed_change(0.0, "share") == signed_change(-0.0001, "share") == "0.0 pts"
        and signed_change(None, "ms") == "–"
    )
    assert "48.0 % against 50.0 %, \u22122.0 points" in sentences.change_words(difference("accuracy", -0.02))
    assert sentences.change_words(difference("accuracy", -0.0003)).endswith("50.0 %, about the same")
    assert sentences.change_words(difference("log_loss", -0.002, unit="nats")).endswith("against 0.5, \u22120.4 %"), (
        "a small change must not read −0 %"
    )
    assert better_side(difference("accuracy", 0.05)) == "better on side A" and better_side(difference("mae", 0.05)) == "better on side B"
    assert (
        better_side(difference("latency_p95", -1.0, section="latency")) == "better on side A"
        and better_side(difference("selection_rate", 0.1)) is None
    )


def test_differences_of_paired_rows_come_before_those_of_all_rows() -> None:
    found = [difference("accuracy", 0.05, verdict="differs"), difference("accuracy", 0.04, section="pairs", verdict="differs"),
             difference("precision", 0.05, verdict="differs")]  # fmt: skip
    assert [(each.section, each.metric) for each in sentences.ordered_differences(found)] == [
        ("pairs", "accuracy"),
        ("performance", "precision"),
    ]
    assert sentences.difference_label(found[1]) == "accuracy on the same rows"


def test_the_forest_plot_marks_verdicts_and_clips_large_changes_at_its_edge() -> None:
    frame = pd.DataFrame(
        {"name": ["<b>x</b>", "b", "c"], "multiple": [9.0, 0.1, -2.0], "low": [8.0, -0.2, -5.0], "high": [10.0, 0.4, 1.0],
         "verdict": ["differs", "alike", "unknown"], "said": ["s"] * 3}
    )  # fmt: skip
    figure = charts_compare.forest_plot(frame)
    of = {trace.name: trace for trace in figure.data}
    assert of["differs"].x[0] == charts_compare.REACH and of["differs"].marker.color == theme.WATCH
    assert of[charts_compare.WORDS["unknown"]].marker.symbol == "circle-open" and list(of["alike"].y) == [1]
    assert "<b>" not in "".join(figure.layout.yaxis.ticktext)
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"] == [(-1, 1)]


def test_distance_bars_carry_their_column_and_the_chance_level() -> None:
    each = Difference("inputs", "<i>size</i>", "psi", "nats", NO_INTERVAL, NO_INTERVAL, Interval(0.4, 0.3, 0.5, 100), 0.1, 0.0, verdict="differs",
                      distance=True, evidence={"null_95": 0.05, "basis": "counts"})  # fmt: skip
    figure = charts_compare.distance_bars(distance_frame([each]), least=0.1, selected="<i>size</i>")
    assert figure.data[0].customdata[0][0] == "<i>size</i>" and list(figure.data[1].x) == [0.05]
    assert "<i>" not in figure.layout.yaxis.ticktext[0]
    assert [line.name for line in figure.layout.shapes if line.showlegend] == ["smallest relevant change"]
    assert differences_frame([each])["null_95"][0] == 0.05


def test_the_page_compares_this_window_with_the_one_before(current: World) -> None:
    app = opened("compare", **SECOND)
    rows = current.loan
    week = np.array([(at - START) >= timedelta(days=7) for at in rows["at"]])
    held = tables(app)["The two sides"]["rows"]
    assert [each["cells"]["n"]["t"] for each in held] == [f"{week.sum():,}", f"{(~week).sum():,}"]
    assert held[1]["cells"]["dates"]["t"] == "2 to 8 Mar 2026 UTC"
    errors = {each["cells"]["what"]["t"]: each["cells"] for each in tables(app)["Errors"]["rows"]}
    labelled = rows["labelled"].to_numpy(bool)
    right = ((rows["score"] >= 0.5) == (rows["label"] == 1)).to_numpy()
    assert errors["Accuracy"]["a"]["t"] == f"{100 * right[week & labelled].mean():.1f} %".replace(".0 %", " %")
    assert errors["Accuracy"]["b"]["t"] == f"{100 * right[~week & labelled].mean():.1f} %".replace(".0 %", " %")
    assert "Label coverage differs" in said(app) and "Not paired" in said(app)
    assert len(app.get("plotly_chart")) == 3


def test_the_page_finds_the_planted_drift_and_shows_the_chosen_column(current: World) -> None:
    app = opened("compare", **{**SECOND, "model": "price", "feature": "age"})
    verdict = next(each for each in app.markdown if "A and B differ significantly in" in each.value)
    assert "age" not in verdict.value and "`age`" in verdict.help, "the claim is short, and the help text names the metrics that differ"
    assert "age: PSI" in said(app)
    assert "Missing values, not drawn" in said(app)
    assert "which is not among the compared columns" in said(opened("compare", **{**SECOND, "feature": "nope"}))


@pytest.mark.parametrize(
    ("parameters", "words_"),
    [
        ({"b_version": "9"}, "The link names 9 as side B's version, which this model does not have."),
        ({"b_from": "soon"}, "The link names soon as b from, which is not a time."),
        ({"b_slice": "sx=F"}, "Column 'sx' is not in loan. Did you mean 'sex'?"),
        ({"b_slice": "sex"}, "A slice cannot be read"),
        ({"b_from": "2026-03-09T00:00", "b_to": "2026-03-02T00:00"}, "Side B ends before it starts"),
        ({"b_from": "2020-01-01T00:00"}, "Side B has no predictions"),
        ({"b_version": "reference of 1"}, "the reference holds other rows"),
    ],
)
def test_a_side_b_address_is_applied_or_its_error_is_shown(parameters: dict[str, str], words_: str, current: World) -> None:
    assert words_ in said(opened("compare", **SECOND, **parameters))


def test_swap_changes_the_sides_and_a_copied_link_opens_them(current: World) -> None:
    app = opened("compare", **SECOND, b_slice="sex=F")
    before = [each["cells"]["n"]["t"] for each in tables(app)["The two sides"]["rows"]]
    app.button(key="swap").click().run()
    assert not app.exception
    assert [each["cells"]["n"]["t"] for each in tables(app)["The two sides"]["rows"]] == before[::-1]
    assert app.session_state["slice"] == "sex=F"
    app.run()
    copied = {key: values[0] for key, values in parse_qs(urlsplit(app.code[0].value).query).items()}
    assert copied["b_slice"] == ALL_ROWS and copied["slice"] == "sex=F" and copied["b_from"] == "2026-03-09T00:00"
    again = opened("compare", **copied)
    assert json.dumps(tables(again), sort_keys=True) == json.dumps(tables(app), sort_keys=True)
    app.button(key="reset").click().run()
    assert [each["cells"]["rows"]["t"] for each in tables(app)["The two sides"]["rows"]] == ["sex = F", "sex = F"]
