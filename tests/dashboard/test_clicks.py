"""A click on a mark leads to exactly the predictions behind it, counted on the raw rows and compared with the number at the mark."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.compare.comparison_types import ComparisonSide, WindowComparison
from observability.compare.input_distances import HistogramPair
from observability.core.questions import Aggregate, Bucket
from observability.core.window import Slice, Window
from observability.dashboard import clicks, distributions, links, load, time_series
from observability.dashboard.data import labels, quality
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import Scope
from observability.dashboard.serving import calibration, compare_parts, latency, performance, slice_search
from observability.dashboard.trust import fairness, fairness_groups
from observability.store.types import search_terms
from tests.support.dashboard_world import DAYS, END, START, World


def here(world: World, model: str, page: str = "performance", part: str | None = None) -> ModelPage:
    """A page about a whole model, without a slice."""
    scope = Scope(model=model, span="dates", start=START, end=END, slice=Slice.parse(part))
    return ModelPage(page, scope, world.store.catalog().model(model), Window(model, START, END, slice=scope.slice))


def behind(world: World, found: clicks.CaseQuery | None) -> set[str]:
    """The ids that the page Cases lists after a click."""
    assert found is not None
    rows = world.store.search(load.window(found.scope, found.scope.model), search_terms.parse_search_terms(found.q), 10_000)
    return set(rows["id"])


def ids(frame: pd.DataFrame, mask: pd.Series, prefix: str) -> set[str]:
    return {f"{prefix}{place}" for place in np.flatnonzero(mask)}


def test_a_click_on_a_day_of_errors_lists_its_wrong_predictions(current: World) -> None:
    page, raw = here(current, "loan"), current.loan
    days = pd.Series(pd.date_range("2026-03-02", periods=DAYS))
    wrong = raw["labelled"] & ((raw["score"] >= 0.5) != (raw["label"] == 1))
    on_day = (raw["at"] >= START + timedelta(days=3)) & (raw["at"] < START + timedelta(days=4))
    found = clicks.cases_of_period(page, {"x": "2026-03-05"}, days, clicks.wrong_outcome_condition(page))
    assert behind(current, found) == ids(raw, wrong & on_day, "l") and found.order == clicks.LARGEST
    inner = here(current, "loan", part="carrier=AA")
    assert behind(current, clicks.cases_of_period(inner, {"x": "2026-03-05"}, days, clicks.EVERY)) == ids(
        raw, on_day & (raw["carrier"] == "AA"), "l"
    )
    assert clicks.cases_of_period(page, {"x": "2026-03-05 07:00"}, days, clicks.EVERY) is None, (
        "a click between two days does not select a period"
    )
    assert clicks.cases_of_period(page, {"x": "no time"}, days, clicks.EVERY) is None


def test_a_click_on_a_confusion_matrix_cell_lists_its_predictions(current: World) -> None:
    page, raw = here(current, "loan"), current.loan
    for label in (0, 1):
        for decision in (0, 1):
            mask = raw["labelled"] & (raw["label"] == label) & ((raw["score"] >= 0.5) == bool(decision))
            assert behind(current, performance.cases_of_confusion_cell(page, {"x": decision, "y": label}, ("0", "1"))) == ids(
                raw, mask, "l"
            )
    assert performance.cases_of_confusion_cell(page, {"x": 7, "y": 0}, ("0", "1")) is None


@pytest.mark.parametrize("column", ["feature.size", "feature.carrier"])
def test_a_click_on_a_comparison_mark_lists_the_rows_of_its_side(column: str, current: World) -> None:
    page = here(current, "price", "compare")
    middle = START + timedelta(days=DAYS // 2)
    sides = [replace(page.window, version="1", **ends) for ends in ({"start": middle}, {"end": middle})]
    a, b = (distributions.column_histograms(each, (column,))[0] for each in sides)
    edges = page.model.versions[0].edges[column]
    held = HistogramPair(column, column.partition(".")[2], edges, a, b, "counts")
    found = WindowComparison(*(ComparisonSide(each, page.model.versions, 0) for each in sides), ())
    names = {"reference": "b", "current": "a", "n_reference": "n_b", "n_current": "n_a"}
    if edges.levels:
        twin = distributions.level_shares_frame(edges, a, b).rename(columns=names)
        drawn = {0: twin["n_b"].tolist(), 1: twin["n_a"].tolist()}
        points = [{"x": place} for place in range(len(twin))]
    else:
        twin = distributions.histogram_frame(edges, a, b).rename(columns=names)
        drawn = {2: twin["n_a"].tolist()}
        points = [{"x": (low + high) / 2} for low, high in zip(twin["low"], twin["high"])]
    for curve, counted in drawn.items():
        behind_marks = [
            len(behind(current, compare_parts.cases_of_side(page, found, held, twin, {**point, "curve_number": curve}))) for point in points
        ]
        assert behind_marks == counted and sum(counted) > 500
    ours = WindowComparison(ComparisonSide(page.window.reference(), page.model.versions, 0), found.b, ())
    if not edges.levels:
        assert compare_parts.cases_of_side(page, ours, held, twin, {**points[0], "curve_number": 2}) is None, (
            "the reference has no predictions"
        )


@pytest.mark.parametrize("column", ["feature.size", "feature.age", "error"])
def test_a_click_on_a_distribution_bin_lists_the_rows_it_counts(column: str, current: World) -> None:
    page = here(current, "price", "drift")
    version = page.model.versions[0]
    if column == "error":
        rows = load.ask_store(Aggregate("outcomes", keys=(Bucket("day"),), histogram=("error",)), page.window)
        reference = load.ask_store(Aggregate("outcomes", histogram=("error",)), replace(page.window, version="1").reference())
        rows, reference = performance._ordinary_bins(rows), performance._ordinary_bins(reference)
    else:
        rows, reference = distributions.column_histograms(replace(page.window, version="1"), (column,))
    twin = distributions.histogram_frame(version.edges[column], rows, reference)
    counted = [
        len(behind(current, distributions.cases_of_step(page, {"x": (low + high) / 2}, twin, column)))
        for low, high in zip(twin["low"], twin["high"])
    ]
    assert counted == twin["n_current"].tolist() and sum(counted) > 1000
    assert distributions.cases_of_step(page, {"x": None}, twin, column) is None


def test_a_click_on_a_distribution_level_lists_the_rows_it_counts(current: World) -> None:
    page = here(current, "price", "drift")
    rows, reference = distributions.column_histograms(replace(page.window, version="1"), ("feature.carrier",))
    twin = distributions.level_shares_frame(page.model.versions[0].edges["feature.carrier"], rows, reference)
    counted = [
        len(behind(current, distributions.cases_of_level(page, {"x": place}, twin, "feature.carrier"))) for place in range(len(twin))
    ]
    assert counted == twin["n_current"].tolist() and sum(counted) == len(current.price)
    missing = distributions.level_shares_frame(page.model.versions[0].edges["feature.carrier"], rows.assign(bin=-3), reference)
    assert distributions.cases_of_level(page, {"x": len(missing) + 3}, missing, "feature.carrier") is None


def test_a_click_on_a_day_of_missing_values_lists_those_predictions(current: World) -> None:
    page, raw = here(current, "price", "quality"), current.price
    days = distributions.missing_share_by_day(page.window, ("feature.age",))
    gone = raw["age"].isna() & (raw["at"] >= START + timedelta(days=10)) & (raw["at"] < START + timedelta(days=11))
    assert gone.sum() > 10
    assert behind(
        current, quality.predictions_missing_value(page, {"x": "2026-03-12", "customdata": ["age", "2026-03-12", ""]}, days)
    ) == ids(raw, gone, "p")


def test_a_click_on_a_label_day_lists_its_labelled_or_waiting_predictions(current: World) -> None:
    page, raw = here(current, "loan", "labels"), current.loan
    days = pd.DataFrame({"period": pd.date_range(START.replace(tzinfo=None), periods=14, freq="D")})
    inside = (raw["at"] >= START + timedelta(days=10)) & (raw["at"] < START + timedelta(days=11))
    for curve, mask in ((0, inside & raw["labelled"]), (1, inside & ~raw["labelled"]), (2, inside)):
        found = labels.predictions_of_label_day(page, {"x": "2026-03-12", "curve_number": curve}, days)
        assert behind(current, found) == ids(raw, mask, "l")
    assert labels.predictions_of_label_day(page, {"x": "2027-01-01"}, days) is None


def test_a_click_on_the_reliability_curve_lists_the_rows_of_its_group_or_bin(current: World) -> None:
    page = here(current, "loan", "calibration")
    both = calibration.calibration_sides(page)
    groups = both.now.groups
    for place in range(len(groups.n)):
        found = calibration.cases_of_reliability_mark(page, {"x": float(groups.score[place]), "customdata": "now: score"}, both)
        assert len(behind(current, found)) == round(groups.n[place])
    counts = calibration._score_step_counts(both.now)
    for step in counts[counts["n"] > 0].to_dict("records")[::5]:
        found = calibration.cases_of_reliability_mark(page, {"x": (step["low"] + step["high"]) / 2, "customdata": "0.1 to 0.2"}, both)
        assert len(behind(current, found)) == round(step["n"])
    assert calibration.cases_of_reliability_mark(page, {"x": 0.5, "customdata": "reference: score"}, both) is None


def test_clicks_on_people_groups_slices_and_requests_list_their_predictions(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    page, raw = here(current, "loan", "fairness"), current.loan
    monkeypatch.setattr(fairness.st, "session_state", {})
    chosen = fairness.fairness_view(page)
    place = list(chosen.now.names)[::-1].index("F")
    selected = behind(current, fairness_groups.predictions_of_group(page, chosen, "selection_rate", {"y": place}))
    assert selected == ids(raw, (raw["sex"] == "F") & (raw["score"] >= 0.5), "l")
    missed = behind(current, fairness_groups.predictions_of_group(page, chosen, "true_positive_rate", {"y": place}))
    assert missed == ids(raw, raw["labelled"] & (raw["sex"] == "F") & (raw["label"] == 1) & (raw["score"] < 0.5), "l")
    assert fairness_groups.predictions_of_group(page, chosen, "selection_rate", {"y": 99}) is None

    rows = pd.DataFrame({"slice": ["carrier=AA", "carrier=BB&size=40 to below 60"]})
    wrong = raw["labelled"] & ((raw["score"] >= 0.5) != (raw["label"] == 1))
    part = (raw["carrier"] == "BB") & (raw["size"] >= 40) & (raw["size"] < 60)
    assert behind(current, slice_search.cases_of_slice_dot(page, {"y": 0}, rows, "accuracy")) == ids(raw, wrong & part, "l")

    shown = latency.status_counts_frame(latency.requests_by_period(page, histogram=False))
    found = latency.cases_of_status(page, {"x": "2026-03-05", "curve_number": 0}, shown)
    assert len(behind(current, found)) == shown.set_index("period").loc["2026-03-05", "ok"] > 100
    assert latency.cases_of_status(page, {"x": "2026-03-05", "curve_number": 9}, shown) is None
    assert latency.cases_slower_than(page, {"x": "2026-03-05", "y": 12.5}, shown).q == '"latency_ms" >= 12.5'
    traffic = time_series.traffic_frame(page.window)
    on_day = behind(current, clicks.cases_of_period(page, {"x": "2026-03-05"}, traffic["period"], clicks.EVERY))
    assert len(on_day) == traffic.set_index("period").loc["2026-03-05", "n"]


def test_a_click_opens_its_target_and_a_mark_without_rows_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[dict] = []
    monkeypatch.setattr(links, "follow_link", went.append)
    state = {"chart": {"selection": {"points": [{"x": 1}, {"x": 2}]}}}
    monkeypatch.setattr(clicks.st, "session_state", state)
    clicks.cases_on_click("chart", lambda point: clicks.CaseQuery(Scope("loan"), "score > 1") if point["x"] == 2 else None)()
    (target,) = went
    assert target["page"] == "cases" and target["parameters"]["q"] == "score > 1" and target["parameters"]["order"] == "newest first"
    clicks.cases_on_click("chart", lambda _point: None)()
    state["chart"] = None
    clicks.cases_on_click("chart", lambda _point: clicks.CaseQuery(Scope("loan"), "x"))()
    assert len(went) == 1
    assert clicks.equality_condition("label", 'a "quoted" class') is None and clicks.range_condition('feature.a"b', 1.0, None) is None
    assert clicks.range_condition("feature.score", 1.0, 2.0) == '"feature.score" >= 1.0 and "feature.score" < 2.0'
