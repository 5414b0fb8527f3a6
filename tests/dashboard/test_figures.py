"""Frames of pages contain the values of the raw rows, computed here with pandas, numpy and scikit-learn."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score

from observability.core.settings import ModelSettings
from observability.core.window import Slice, Window
from observability.dashboard import distributions, load, load_findings, time_series
from observability.dashboard.data import quality
from observability.dashboard.overview import fleet, model_status
from observability.dashboard.scope import Scope
from observability.dashboard.serving import drift, performance, slices
from observability.detection.histogram_distance import ACT, WATCH
from tests.support.dashboard_pages import WHOLE, opened, tables
from tests.support.dashboard_world import DAYS, END, START, World

ALL = {"start": START, "end": END}


def window(model: str, **more) -> Window:
    return Window(model, **{**ALL, **more})


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["labelled"]]


def test_traffic_counts_every_hour_and_day(current: World) -> None:
    hours = time_series.traffic_frame(window("loan"), "hour")
    assert len(hours) == DAYS * 24 and hours["n"].sum() == len(current.loan)
    at = pd.DatetimeIndex(current.loan["at"]).tz_localize(None)
    expected = pd.Series(1, index=at).resample("D").sum()
    days = time_series.traffic_frame(window("loan"))
    assert list(days["n"]) == list(expected) and list(days["period"]) == list(expected.index)
    assert days["errors"].sum() == 0 and (days["error_share"] == 0).all()
    assert not days["running"].iloc[:-1].any()


def test_an_empty_window_has_a_row_for_each_hour(current: World) -> None:
    early = time_series.traffic_frame(Window("loan", START - timedelta(days=2), START), "hour")
    assert len(early) == 48 and early["n"].sum() == 0 and early["error_share"].isna().all()


@pytest.mark.parametrize("period", ["day", "hour"])
def test_a_metric_by_period_equals_scikit_learn(current: World, period: str) -> None:
    frame = time_series._metric_by_period(load.catalog().model("price"), window("price"), period, "mae").set_index("period")
    raw = labelled(current.price).assign(
        period=lambda rows: pd.DatetimeIndex(rows["at"]).tz_localize(None).floor(period[0] if period == "hour" else "D")
    )
    for when, part in raw.groupby("period"):
        assert frame.loc[when, "value"] == pytest.approx(mean_absolute_error(part["label"], part["score"]), rel=1e-9)
        assert frame.loc[when, "labelled"] == len(part)


def test_the_series_of_a_finding_matches_a_new_measurement(current: World) -> None:
    asked = window("price")
    finding = next(each for each in load_findings.findings_in_window(asked) if each.metric == "mae" and each.basis == "measured")
    assert finding.value == pytest.approx(mean_absolute_error(labelled(current.price)["label"], labelled(current.price)["score"]), rel=1e-9)
    anew = time_series._metric_by_period(load.catalog().model("price"), asked, "day", "mae")
    told = time_series.metric_by_day_frame(finding)
    assert np.allclose(
        anew[["value", "low", "high", "labelled", "served"]], told[["value", "low", "high", "labelled", "served"]], equal_nan=True
    )
    assert time_series.metric_over_window(load.catalog().model("price"), asked, finding).equals(told)


def test_the_worst_levels_equal_pandas_and_small_ones_come_last(current: World) -> None:
    model = load.catalog().model("loan")
    found = slices.worst_levels(model, window("loan"), "feature.carrier", "accuracy").set_index("level")
    for carrier, part in labelled(current.loan).groupby("carrier"):
        assert found.loc[carrier, "value"] == pytest.approx(accuracy_score(part["label"], part["score"] >= 0.5))
        assert found.loc[carrier, "n"] == len(part)
        assert found.loc[carrier, "low"] < found.loc[carrier, "value"] < found.loc[carrier, "high"]
    assert found["value"].is_monotonic_increasing
    short = slices.worst_levels(model, Window("loan", START, START + timedelta(hours=12)), "feature.carrier", "accuracy")
    assert not short["enough"].any()
    assert slices.slice_columns(model)["sex"] == "feature.sex"
    assert next(iter(slices.slice_columns(model))) == "sex"


def test_without_a_worse_group_the_performance_page_lists_the_first_column(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the page was half empty, with only one sentence, until a reader chose a column."""
    empty = slices.worst_levels_of_all_columns
    monkeypatch.setattr(slices, "worst_levels_of_all_columns", lambda *asked: empty(*asked).head(0))
    assert any(caption.endswith(" by sex, worst first") for caption in tables(opened("performance", model="loan", **WHOLE)))


def test_a_slice_narrows_every_figure(current: World) -> None:
    part = labelled(current.loan)[labelled(current.loan)["sex"] == "F"]
    asked = window("loan", slice=Slice((("sex", "F"),)))
    finding = next(each for each in load_findings.findings_in_window(asked) if each.metric == "roc_auc" and each.basis == "measured")
    assert finding.value == pytest.approx(roc_auc_score(part["label"], part["score"]), abs=1e-3)


def overlay(world: World, model: str, column: str, **more) -> tuple[pd.DataFrame, object]:
    known = load.catalog().model(model)
    version, asked = distributions.analyzed_version(known, window(model, **more), None)
    edges = distributions.column_edges(version, column)
    now, then = distributions.column_histograms(asked, (column,))
    return (distributions.level_shares_frame if edges.levels else distributions.histogram_frame)(edges, now, then), edges


def test_the_analyzed_version_is_the_serving_one_and_not_a_later_challenger(current: World) -> None:
    model = load.catalog().model("loan")
    (first,) = model.versions
    assert first.registered_at is not None
    later = replace(first, name="9", registered_at=first.registered_at + timedelta(days=1))
    both = replace(model, versions=(first, later))
    version, own = distributions.analyzed_version(both, window("loan"), None)
    assert version is not None and version.name == own.version == first.name
    assert distributions.analyzed_version(both, window("loan"), "9")[0] == later
    assert distributions.analyzed_version(both, window("loan", environment="validation"), None)[0] == later, (
        "no version answered in this environment"
    )


def test_steps_of_a_number_count_each_value_once(current: World) -> None:
    frame, _ = overlay(current, "price", "feature.size")
    assert frame["current"].sum() == pytest.approx(1) and frame["reference"].sum() == pytest.approx(1)
    assert frame["n_current"].sum() == len(current.price) and frame["n_reference"].sum() == len(current.price_reference)
    inner = frame.iloc[1:-1]
    assert np.allclose(np.diff(inner["low"]), np.diff(inner["low"]).mean(), rtol=0.2)
    values = current.price["size"]
    for step in (0, len(frame) // 2, len(frame) - 1):
        low = -np.inf if step == 0 else frame["low"][step]
        high = np.inf if step == len(frame) - 1 else frame["high"][step]
        assert frame["n_current"][step] == ((values >= low) & (values < high)).sum()
    assert frame["step"].iloc[0].startswith("below ") and frame["step"].iloc[-1].endswith(" and above")


def test_a_number_with_few_values_is_binned_between_them(current: World) -> None:
    frame, _ = overlay(current, "price", "feature.age")
    counts = current.price["age"].dropna().value_counts().sort_index()
    assert list(frame["n_current"]) == list(counts) and len(frame) == 12
    assert frame["low"][0] == -0.5 and frame["high"].iloc[-1] == 11.5


def test_levels_are_shares_of_all_rows(current: World) -> None:
    frame, _ = overlay(current, "loan", "feature.carrier")
    expected = current.loan["carrier"].value_counts(normalize=True)
    assert dict(zip(frame["level"], frame["current"])) == pytest.approx(expected.to_dict())


def test_missing_by_day_equals_pandas(current: World) -> None:
    frame = distributions.missing_share_by_day(window("price"), ("feature.age", "feature.size"))
    raw = (
        current.price.assign(day=pd.DatetimeIndex(current.price["at"]).tz_localize(None).floor("D"))
        .groupby("day")["age"]
        .apply(lambda each: each.isna().mean())
    )
    told = frame[frame["subject"] == "age"].set_index("day")["value"]
    assert told.to_dict() == pytest.approx(raw.to_dict())
    assert list(dict.fromkeys(frame["subject"])) == ["age", "size"]


def test_quality_check_rates_match_the_findings(current: World) -> None:
    asked = window("price")
    found = load_findings.findings_in_window(asked)
    rates = quality.check_rates(load.catalog().model("price"), asked, quality.feature_references(load.catalog().model("price"), asked))
    assert rates["age"]["null_rate"] == pytest.approx(current.price["age"].isna().mean())
    assert set(rates["carrier"]) == {"null_rate", "absent_rate", "wrong_type_rate", "unseen_rate"}
    compared = 0
    for each in found:
        if each.analyzer == "data/quality" and each.subject in rates and each.metric in rates[each.subject] and each.value is not None:
            assert rates[each.subject][each.metric] == pytest.approx(each.value), each
            compared += 1
        for metric, (now, _) in each.evidence.get("rates", {}).items():
            if each.subject in rates:
                assert rates[each.subject][metric] == pytest.approx(now)
                compared += 1
    assert compared > 5


def test_drift_bars_match_the_findings_and_their_ranking(current: World) -> None:
    found = [each for each in load_findings.findings_in_window(window("price")) if each.analyzer == "serving/drift"]
    settings = load.catalog().model("price").settings
    bars = drift.drift_ranking_frame(found, settings)
    assert {"size", "age"} <= set(bars.loc[bars["severity"] != "ok", "subject"])
    assert dict(zip(bars["subject"], bars["value"])) == {each.subject: each.value for each in found}
    assert drift.drift_summary(found).endswith(f"columns drifted; {found[0].subject} most.")
    assert len(time_series.drift_by_day_frame(found)) == len(found) * DAYS


def test_the_fleet_table_ranks_models_that_need_action_first(current: World) -> None:
    scope = Scope(span="28d")
    standings = model_status.worst_model_first([model_status.load_model_status(scope, each) for each in load.catalog().models])
    by_name = {each.model.name: each for each in standings}
    assert by_name["price"].severity == "act" and standings[0].model.name == "price"
    row = fleet.fleet_table_row(by_name["price"], scope)
    assert row["cells"]["model"]["go"] == {"page": "model", "parameters": {"model": "price", "window": "Last 28 days"}}
    assert row["cells"]["status"]["s"] == "act" and row["cells"]["outcome"]["mark"] is None
    assert row["note"] is None, "incidents have their own table, so the row has no note"


def test_a_scope_gives_the_default_full_or_chosen_window(current: World) -> None:
    assert load.window(Scope("loan"), "loan").start == END - timedelta(days=7)
    assert load.window(Scope("loan", span="all"), "loan").start == START
    chosen = Scope("loan", "1", "dates", START, START + timedelta(days=1), Slice((("sex", "F"),)))
    assert load.window(chosen, "loan") == Window("loan", START, START + timedelta(days=1), "1", Slice((("sex", "F"),)))
    assert load.window(chosen, "price").version is None and load.window(chosen, "price").slice is None


def test_the_error_histogram_of_a_regression_counts_every_labelled_row(current: World) -> None:
    version, _ = distributions.analyzed_version(load.catalog().model("price"), window("price"), None)
    from observability.core.questions import Aggregate

    rows = load.ask_store(Aggregate("outcomes", histogram=("error",)), window("price"))
    frame = distributions.histogram_frame(version.edges["error"], performance._ordinary_bins(rows), performance._ordinary_bins(rows))
    assert frame["n_current"].sum() == current.price["labelled"].sum()


def test_a_limit_states_its_source() -> None:
    default, owned = ModelSettings(), ModelSettings(limits={"serving/drift/psi": 0.15})
    words = [drift.limit_source(limit, default) for limit in (WATCH, ACT, 0.77, None)]
    assert words == ["the default", "the default", "the column's own daily range", None]
    assert [drift.limit_source(limit, owned) for limit in (WATCH, 0.15, 0.77)] == ["the default", "set by the owner", words[2]]
