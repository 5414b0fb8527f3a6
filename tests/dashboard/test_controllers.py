"""The page of controllers shows the findings of its analyzer and how often the model beat the rule. It can turn the product's own
controller off.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import OWN_CONTROLLER
from observability.core.weeks import Week
from observability.dashboard import load
from observability.dashboard.charts.controllers import feedback_dots, outcome_calibration, quantile_lines, regret_line, steering_bars
from observability.dashboard.operations import controllers
from observability.dashboard.theme import PERCENT
from observability.metrics.controller_series import (
    decisions_against_rule,
    outcome_quantiles,
    predicted_against_actual,
    regret_by_day,
    steering_by_day,
)
from observability.metrics.controllers import MODEL, ControllerDecisions, controllers_of, feedback_by_feature
from observability.monitoring import check
from observability.review.snapshot import week_snapshot
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.controller_decisions import END, WINDOW, controller_decisions
from tests.support.dashboard_pages import opened, tables, words


@pytest.fixture(scope="module")
def decided() -> ControllerDecisions:
    (found,) = controllers_of(controller_decisions(np.random.default_rng(2)), WINDOW)
    return found


def records_of(decisions: pd.DataFrame, model: str) -> list[dict[str, Any]]:
    """Decisions and their outcomes as records."""
    lines = []
    for row in decisions.to_dict("records"):
        at = row["at"].tz_localize("UTC").isoformat()
        body = {name: row[name] for name in ("id", "version", "status", "prediction", "score", "features")}
        lines.append(
            {"kind": "prediction", "environment": "controller", "model": model, "at": at, "received_at": at, **body, **row["extra"]}
        )
        label = {**row["label"], "value": float(row["label"]["value"])}
        lines.append({"kind": "label", "id": row["id"], "model": model, "at": at, "received_at": at, **label})
    return json.loads(json.dumps(lines))


@pytest.fixture
def steering(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A store with a good controller, and with the product's own controller, whose decisions cost twice as much as those of the rule."""
    week = controller_decisions(np.random.default_rng(4), an_hour=6, before=7)
    bad = controller_decisions(np.random.default_rng(5), an_hour=6, before=7, gain=2.0)
    land(empty, records_of(week, "route-cache") + records_of(bad, OWN_CONTROLLER), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    return empty


def test_controllers_are_not_counted_as_models_of_the_fleet(steering: Database, tmp_path: Path) -> None:
    """Regression: the number of models on Home grew minutes after a start, when the product's own controller logged its first decisions."""
    at = (END - timedelta(hours=3)).replace(tzinfo=UTC).isoformat()
    served = {"kind": "prediction", "id": "p", "at": at, "model": "loan", "version": "1", "features": {"age": 3.0}, "score": 0.5}
    land(steering, [served], tmp_path)
    assert [model.name for model in steering.catalog().fleet] == ["loan"]
    assert [model.name for model in steering.catalog().controllers] == ["route-cache"]
    home = opened("health")
    assert "**1 model** and 1 controller" in words(home)
    assert [row["cells"]["model"]["t"] for row in tables(home)["Models, most severe first"]["rows"]] == ["loan", "Pipeline"]
    tasks = tables(home)["Incidents, most urgent first"]["rows"]
    assert [row["cells"]["model"]["sub"] for row in tasks if row["cells"]["model"]["t"] == OWN_CONTROLLER] == ["controller"], (
        "the controller that needs action is listed"
    )
    assert list(home.selectbox(key="model").options) == ["loan", "route-cache"]
    asked = opened("controllers", model=OWN_CONTROLLER)
    assert asked.selectbox(key="model").value == OWN_CONTROLLER
    assert "Models" not in tables(opened("performance")), "the page needs no choice if there is only one model"
    week = week_snapshot(steering, Week.before_now(END.replace(tzinfo=UTC)), frozen_at=END.replace(tzinfo=UTC))
    assert [part["model"] for part in week["models"]] == ["loan"]
    assert list(check.check(steering, now=END.replace(tzinfo=UTC)).windows) == ["loan"], "`check` must not list controllers as models"
    status = steering.status()
    assert [[part["model"] for part in status[name]] for name in ("models", "controllers")] == [
        ["loan"],
        [OWN_CONTROLLER, "route-cache"],
    ], "`status` lists controllers apart from models"


def test_the_page_says_how_to_log(empty: Database) -> None:
    app = opened("controllers")
    assert "No model that steers a system has logged a decision yet." in words(app)
    assert any("baseline_outcome" in each.value for each in app.code)


def test_the_worst_controller_is_shown_and_can_be_turned_off(steering: Database) -> None:
    app = opened("controllers")
    rows = {row["cells"]["controller"]["t"]: row["cells"] for row in tables(app)["Models that steer a system"]["rows"]}
    assert list(rows) == [OWN_CONTROLLER, "route-cache"]
    assert rows["route-cache"]["regret"]["t"].startswith("−") and not rows[OWN_CONTROLLER]["regret"]["t"].startswith("−")
    said = words(app)
    assert "Decisions cost" in said and "more than the heuristic's" in said and "Of " in said
    assert {"Decisions of the model and of the heuristic"} <= set(tables(app))
    app.button(key="controller-switch").click().run()
    assert load.store().catalog().model(OWN_CONTROLLER).settings.kill_switch
    assert app.button(key="controller-switch").label == "Turn the model on"
    app.button(key="controller-switch").click().run()
    assert not load.store().catalog().model(OWN_CONTROLLER).settings.kill_switch
    app = opened("controllers", controller="route-cache")
    assert "less than the heuristic's" in words(app)
    assert not any(each.key == "controller-switch" for each in app.button)


def test_among_healthy_controllers_the_one_with_most_decisions_is_shown(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the page opened on the product's own scheduler, with few decisions, and not on the cache."""
    week = controller_decisions(np.random.default_rng(4), an_hour=6, before=7)
    few = controller_decisions(np.random.default_rng(5), an_hour=6, before=7).tail(8)
    land(empty, records_of(week, "route-cache") + records_of(few, OWN_CONTROLLER), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    page = opened("controllers")
    rows = tables(page)["Models that steer a system"]["rows"]
    assert [row["cells"]["controller"]["t"] for row in rows] == ["route-cache", OWN_CONTROLLER]
    assert page.header[0].value.replace("\\", "") == "route-cache"


def test_controller_chart_tables_match_hand_counts(decided: ControllerDecisions) -> None:
    versus = decisions_against_rule(decided)
    pairs = decided.pairs
    assert versus["n"].sum() == len(pairs)
    assert versus["better"].sum() == (pairs["outcome"] < pairs["baseline_outcome"]).sum()
    assert (versus["better"] + versus["worse"] + versus["equal"] == versus["n"]).all()
    days = regret_by_day(decided)
    day = days.iloc[-2]
    own = pairs[pairs["at"].dt.floor("D") == day["day"]]
    assert day["value"] == pytest.approx(own["outcome"].sum() / own["baseline_outcome"].sum() - 1) and day["n"] == len(own)
    assert (days["low"] <= days["value"]).all() and (days["value"] <= days["high"]).all() and len(days) >= 30
    groups = predicted_against_actual(decided)
    known = decided.outcomes(MODEL)
    assert groups["n"].sum() == len(known) and groups["score"].is_monotonic_increasing
    assert (groups["rate"] * groups["n"]).sum() == pytest.approx(known["outcome"].sum())
    quantiles = outcome_quantiles(decided).set_index(["side", "quantile"])["value"]
    assert quantiles["model", 0.9] == np.quantile(pairs["outcome"], 0.9, method="inverted_cdf")
    assert quantiles["heuristic", 0.5] == np.quantile(pairs["baseline_outcome"], 0.5, method="inverted_cdf")
    steers = steering_by_day(decided)
    assert steers.groupby("day")["share"].sum().round(9).eq(1).all()
    assert steers["n"].sum() == len(decided.rows) + len(decided.past)


def test_a_single_outcome_group_is_stated_and_not_drawn(decided: ControllerDecisions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: a single mark was drawn in the middle of an axis from 2.4 to 2.6."""
    groups, drawn = predicted_against_actual(decided), []
    monkeypatch.setattr(controllers.frame, "chart_with_table", lambda figure, *args, **more: drawn.append(figure))
    for shown in (groups.head(1), groups):
        monkeypatch.setattr(controllers, "predicted_against_actual", lambda _, shown=shown: shown)
        controllers.calibration_section(decided, ())
    assert [len(figure.data[-1].x) for figure in drawn] == [len(groups)] and len(groups) > 1


def test_controller_charts_draw_the_values_of_their_tables(decided: ControllerDecisions) -> None:
    days = regret_by_day(decided)
    assert list(regret_line(days).data[-1].y) == list(days["value"])
    assert regret_line(days).layout.yaxis.tickformat == PERCENT, "whole per cents would repeat one tick label"
    rows = outcome_quantiles(decided)
    figure = quantile_lines(rows, "ms")
    assert [trace.name for trace in figure.data] == ["model", "heuristic"] and len(figure.data[0].y) == 5
    groups = predicted_against_actual(decided)
    assert list(outcome_calibration(groups, "ms").data[-1].y) == list(groups["rate"])
    assert {trace.name for trace in steering_bars(steering_by_day(decided)).data} == {"model", "heuristic's share", "guardrail"}
    alone = days.head(1)
    assert regret_line(alone).layout.xaxis.range is not None
    unbounded = rows.assign(low=np.nan, high=np.nan)
    assert "no interval yet" in quantile_lines(unbounded, "").data[0].customdata[0]


def test_an_old_window_without_decisions_says_so(steering: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "page_clock", lambda: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=1))
    assert "decisions of controllers" in words(opened("controllers")) or "logged a decision" in words(opened("controllers"))


def test_inputs_under_model_and_heuristic_are_drawn_from_all_pairs(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the page said whether decisions change their own inputs, but had no chart of it."""
    week = controller_decisions(np.random.default_rng(4), an_hour=6, before=7)
    land(empty, records_of(week, "route-cache"), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    page = opened("controllers")
    said = {each["caption"]: each for each in tables(page).values()}
    assert "Inputs under the model and the heuristic" in [each.value for each in page.header], said.keys()


def test_the_input_shift_probability_is_computed_over_all_pairs(decided: ControllerDecisions) -> None:
    own = dict(feedback_by_feature(decided))
    rows = decided.steered("model", "heuristic")
    for name, estimate in own.items():
        texts = [each[name] for each in rows["features"]]
        levels = [each for each in texts if isinstance(each, str)]
        values = np.array([each == max(set(levels), key=levels.count) for each in texts] if levels else texts, float)
        model, rule = values[rows["by"] == "model"], values[rows["by"] == "heuristic"]
        higher = (model[:, None] > rule).mean() + (model[:, None] == rule).mean() / 2
        assert 0.5 + estimate.value == pytest.approx(higher)
    shown = pd.DataFrame([{"name": name, "value": 0.5 + each.value, "low": 0.4, "high": 0.6, "n": each.n} for name, each in own.items()])
    figure = feedback_dots(shown, 0.05, "watch")
    assert list(figure.data[0].x) == list(shown["value"][::-1]) and len(own) > 0
    assert {shape.x0 for shape in figure.layout.shapes} == {0.45, 0.5, 0.55}
