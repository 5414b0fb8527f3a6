"""The charts of the explanations page agree with the rows: bars, swarm, lines, dependence. Missing values are drawn separately, and names
are never interpreted as markup.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from observability.core.catalog import Version
from observability.core.window import Window
from observability.dashboard import theme
from observability.dashboard.case.explanation import first_explained_feature
from observability.dashboard.charts import explanations as charts_explanations
from observability.dashboard.trust.explanations import (
    ExplanationView,
    attribution_share_by_period,
    attribution_value_words,
    dependence_sentence,
    explanation_provenance,
    importance_frame,
    newest_version,
    unexplained_feature_words,
    view_of_class,
)
from observability.enrichment.enrich import EnrichmentState
from observability.investigation.model_answers import AttributionContrast, Bar
from observability.metrics.attributions import explained_sample
from observability.server import process_lock
from observability.server.access import Person
from observability.store.types.explanations import ExplanationState
from tests.support.attribution_frames import NAMES, attributions, served
from tests.support.dashboard_world import World
from tests.support.signed_in import sign

START = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def view() -> ExplanationView:
    rng = np.random.default_rng(3)
    rows, before = attributions(rng, 700), attributions(rng, 500)
    now = explained_sample(rows, served(), NAMES)
    state = ExplanationState(NAMES, method="shap tree", link="logit", background="the rows given", background_rows=100)
    window = Window("loan", START, START + timedelta(days=7), "3")
    return ExplanationView(Version("3"), window, state, rows, now, explained_sample(before, None, NAMES), "reference")


def test_importance_bars_are_mean_absolute_attributions_sorted_descending(view: ExplanationView) -> None:
    frame = importance_frame(view)
    assert list(frame["feature"]) == list(NAMES)
    assert frame["mean"].to_numpy() == pytest.approx(view.rows[[f"attribution.{name}" for name in NAMES]].abs().mean().to_numpy())
    assert frame["share"].sum() == pytest.approx(1) and frame["share_before"].sum() == pytest.approx(1)
    figure = charts_explanations.importance_bars(frame, unit=view.unit, against="reference")
    assert list(figure.data[0].x) == list(frame["mean"][::-1]) and figure.data[1].name == "reference"
    assert "log odds" in figure.layout.xaxis.title.text.replace("<br>", " ") and "<b>" not in "".join(figure.layout.yaxis.ticktext)
    assert len(charts_explanations.importance_bars(frame, unit="", against=None).data) == 1


def points(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    parts = []
    for name in NAMES[:2]:
        raw = rng.normal(0, 1, n)
        raw[:5] = np.nan
        parts.append(
            pd.DataFrame(
                {"id": [f"<i>p{k}" for k in range(n)], "feature": name, "value": [attribution_value_words(x, known=True) for x in raw], "raw": pd.Series(raw, dtype=object),
                 "rank": pd.Series(raw).rank(pct=True), "attribution": rng.normal(0, 1, n)}
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_the_swarm_draws_each_point_once_by_value_and_missing_ones_grey() -> None:
    frame = points()
    figure = charts_explanations.attribution_beeswarm(frame, features=list(NAMES[:2]), unit="log odds")
    grey, coloured = figure.data
    assert grey.marker.color == theme.NEUTRAL and len(grey.x) == 10 and len(coloured.x) == 110
    assert sorted([*grey.x, *coloured.x]) == sorted(frame["attribution"])
    assert coloured.marker.colorscale[0][1] == theme.SEQUENTIAL[0][1] and max(coloured.marker.color) == 1
    words, opens = coloured.customdata[0]
    assert "&lt;i&gt;p" in words and "<i>" not in words and opens in set(frame["id"])
    of_first = frame.loc[frame["feature"] == NAMES[0], "attribution"]
    assert all(abs(y - 1) < 0.45 for x, y in zip(coloured.x, coloured.y) if x in set(of_first))


def test_nearby_beeswarm_points_do_not_overlap() -> None:
    offsets = charts_explanations.swarm_offsets(np.array([0.0, 0.0, 0.0, 1.0]))
    assert len(set(offsets[:3])) == 3 and offsets[3] == 0 and abs(offsets).max() <= 0.38
    assert charts_explanations.swarm_offsets(np.empty(0)).size == 0


def test_attribution_shares_over_time_are_by_day_or_week(view: ExplanationView) -> None:
    frame, step = attribution_share_by_period(view)
    assert step == "day" and frame["period"].nunique() == 7 and set(frame["feature"]) == set(NAMES)
    day = view.rows[view.rows["at"].dt.day == 3][[f"attribution.{name}" for name in NAMES]].abs().mean()
    mine = frame[(frame["period"].dt.day == 3) & (frame["feature"] == "hour")].iloc[0]
    assert mine["share"] == pytest.approx(day["attribution.hour"] / day.sum()) and mine["n"] == 100
    long = ExplanationView(
        view.version, Window("loan", START, START + timedelta(days=90), "3"), None, view.rows, view.now, None, "reference"
    )
    weeks, step = attribution_share_by_period(long)
    assert step == "week" and weeks["period"].nunique() == 1 and weeks["n"].iloc[0] == 700
    figure = charts_explanations.importance_over_time(frame, features=list(NAMES), step="day")
    assert [trace.name for trace in figure.data] == theme.inert_labels(list(NAMES)) and len(figure.data[0].x) == 7


def test_dependence_plots_draw_missing_values_separately() -> None:
    frame = points()[lambda each: each["feature"] == "hour"]
    figure = charts_explanations.dependence_plot(frame, feature="hour", kind="number", unit="log odds")
    value, missing = figure.data
    assert len(value.x) == 55 and len(missing.x) == 5 and max(missing.x) < min(value.x)
    levels = frame.assign(raw=["AA", "BB", None] * 20, value="x")
    figure = charts_explanations.dependence_plot(levels, feature="carrier", kind="category", unit="")
    assert figure.layout.xaxis.ticktext[0] == "missing" and {*figure.layout.xaxis.ticktext[1:]} == {"AA", "BB"}
    assert sum(len(trace.x) for trace in figure.data) == 60


def test_sentences_say_which_values_raise_the_score() -> None:
    frame = pd.DataFrame({"raw": pd.Series([1.0, 2.0, 3.0, np.nan] * 10, dtype=object), "attribution": [-1.0, 0.0, 2.0, 5.0] * 10})
    said = dependence_sentence(frame, "hour", "number", "log odds")
    assert (
        "−1.00 in the lowest third (up to 1.00)" in said and "+2.00 in the highest third (from 3.00)" in said and "40 predictions" in said
    )
    levels = frame.assign(raw=["AA", "BB", "CC", None] * 10)
    assert "highest for CC (+2.00), lowest for AA (−1.00)" in dependence_sentence(levels, "carrier", "category", "minutes")
    assert "missing in all 40" in dependence_sentence(frame.assign(raw=None), "hour", "number", "minutes")


def test_the_page_states_how_the_explanations_were_computed(view: ExplanationView) -> None:
    said = "; ".join(explanation_provenance(view))
    assert "700 explained predictions of 7,000" in said and "shap tree" in said and "base value −1.00 in log odds" in said
    assert "background: the rows given (100 rows)" in said and "largest residual 0" in said
    assert (
        attribution_value_words(None, known=True) == "null"
        and attribution_value_words(float("nan"), known=True) == "null or NaN"
        and attribution_value_words(1, known=False) == "not stored"
    )


def test_the_newest_version_is_the_one_registered_last_not_the_last_name() -> None:
    nine, ten, seen = Version("9", registered_at=START), Version("10", registered_at=START + timedelta(days=1)), Version("99")
    assert newest_version([nine, ten, seen]) is ten and newest_version([ten, nine]) is ten
    assert newest_version([seen]) is seen and newest_version([]) is None


def test_explanations_of_a_class_use_the_predictions_decided_as_that_class(view: ExplanationView) -> None:
    place = np.arange(len(view.rows)) % 7 % 2
    rows = view.rows.assign(**{"class": place})
    whole = ExplanationView(view.version, view.window, view.state, rows, explained_sample(rows, served(), NAMES), view.before, "reference")
    assert "for the decided class of each" in explanation_provenance(whole)[0]
    own = view_of_class(whole, 1, "positive")
    held = rows[rows["class"] == 1]
    assert own.now.n == len(held) < whole.now.n and own.before is None, "the reference explains another class, so there is no baseline"
    wanted = held[[f"attribution.{name}" for name in NAMES]].abs().mean()
    assert importance_frame(own).set_index("feature")["mean"][list(NAMES)].to_numpy() == pytest.approx(wanted.to_numpy())
    assert f"{len(held)} explained predictions decided positive" in explanation_provenance(own)[0]
    assert attribution_share_by_period(own)[0]["n"].sum() == len(held) * len(NAMES)


def test_a_feature_named_like_the_summed_rest_keeps_its_dependence_plot(view: ExplanationView) -> None:
    names = ("number of other inputs", "3 other inputs", *NAMES[2:-1], "12 other inputs")
    held = replace(view, now=replace(view.now, names=names), version=Version("3", features=names[:-1]))
    assert set(held.single_features()) == set(names[:-1])


def test_a_feature_within_the_summed_rest_is_neither_linked_nor_called_unexplained(view: ExplanationView) -> None:
    names = ("hour", "rain", "carrier", "12 other inputs")
    held = replace(view, now=replace(view.now, names=names), version=Version("3", features=(*names[:-1], "distance")))
    assert (
        unexplained_feature_words(held, "distance")
        == "The link names distance, one of the 12 other inputs, which are explained as one sum."
    )
    assert unexplained_feature_words(held, "moon") == "The link names moon, which is not an explained feature."
    bars = tuple(Bar(name, 1.0, value) for name, value in (("distance", 3.0), ("rain", -2.0), ("hour", 1.0)))
    found = AttributionContrast("average", "rows", None, 0.0, 2.0, 0.0, True, "logit", bars, "shap tree", "computed")
    assert first_explained_feature(found, names) == "rain" and first_explained_feature(found, ()) == "distance"
    assert first_explained_feature(found, ("carrier",)) is None


def unexplained() -> None:
    """A page script for a version with a model file and without any explained predictions."""
    from types import SimpleNamespace

    from observability.dashboard.trust import explain_now

    now = SimpleNamespace(served=5, explained=0, days=0, served_days=1)
    view = SimpleNamespace(now=now, state=None, before=None, version=SimpleNamespace(name="1", artifact="model"))
    explain_now.unexplained_note(SimpleNamespace(model=SimpleNamespace(name="loan")), view)


def test_explanations_are_computed_by_analysts(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for role, offered in (("viewer", False), ("analyst", True)):
        sign(monkeypatch, Person("ann", role))
        app = AppTest.from_function(unexplained).run(timeout=30)
        assert not app.exception and ("Explain now" in [each.label for each in app.button]) is offered


def test_background_work_on_a_hidden_model_is_not_shown(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = EnrichmentState(busy=True, model="price", share=0.5, sentence="3 of 6 days")
    monkeypatch.setattr(process_lock, "current_owner", lambda: SimpleNamespace(enriching=busy))
    for person, told in ((Person("ann", None, (("loan", "viewer"),)), False), (Person("vic", "viewer"), True)):
        sign(monkeypatch, person)
        app = AppTest.from_function(unexplained).run(timeout=30)
        assert not app.exception and any("50 % of price" in each.value.replace("\u00a0", " ") for each in app.caption) is told
