"""A case of a model with many columns: nearest rows compare only the most important features, and samples have fewer rows."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from observability.core.analyzer import MOST_INPUTS
from observability.core.catalog import Column, Model, Version
from observability.core.questions import Sample
from observability.core.settings import ModelSettings
from observability.core.window import EPOCH, Window
from observability.investigation import churn, neighbours, sampled_rows
from observability.investigation.known_attributions import largest_and_others
from observability.investigation.latent_inputs import TOGETHER, latent_bars_by_side
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import Bar

NAMES = [f"f{place}" for place in range(MOST_INPUTS + 50)]
COLUMNS = tuple(Column(place + 1, name, f"c{place}", "number", "feature") for place, name in enumerate(NAMES))


def row_of(importance: dict[str, float]) -> Row:
    row = {"environment": "production", "id": "r1", "at": EPOCH, "arrived": EPOCH, "features": {}, "groups": {}}
    answer = {"score": None, "probabilities": None, "prediction": None, "decision": -1, "status": "ok"}
    model = Model(1, "wide", "regression", columns=COLUMNS, settings=ModelSettings(importance=importance))
    return Row(model, Version("1", features=tuple(NAMES)), **row, **answer)


def test_nearest_rows_compare_the_most_important_features() -> None:
    row = row_of(dict.fromkeys(NAMES[-50:], 0.02))
    assert [column.name for column in row.compared_features] == [*NAMES[: MOST_INPUTS - 50], *NAMES[-50:]]
    assert [column.name for column in row.own_features] == NAMES


def test_levels_have_the_same_places_in_every_frame_of_a_space() -> None:
    kind = Column(1, "a", "c1", "category")
    space = neighbours.space_of(pd.DataFrame({"feature.a": pd.Series(["x", None, "y"], dtype=object)}), [kind])
    first = space.place(pd.DataFrame({"feature.a": pd.Series(["x", None, "y", "x"], dtype=object)}))
    second = space.place(pd.DataFrame({"feature.a": pd.Series(["z", "y"], dtype=object)}))
    assert first.codes[:, 0].tolist() == [0, -1, 1, 0] and second.codes[:, 0].tolist() == [2, 1]
    assert first.distances(second, 1) == pytest.approx(np.sqrt([1, 1, 0, 1]))


@pytest.mark.parametrize(("columns", "rows"), [(10, 2000), (4_000, 500), (300_000, sampled_rows.LEAST_ROWS)])
def test_a_sample_of_very_many_inputs_has_fewer_rows(columns: int, rows: int) -> None:
    asked = []
    store = SimpleNamespace(ask=lambda question, window: asked.append(question.rows) or pd.DataFrame())
    given = [SimpleNamespace(reference=f"feature.{place}") for place in range(columns)]
    sampled_rows.stream_sample(store, Window("loan", EPOCH, EPOCH), given, sampled_rows.REFERENCE_ROWS)
    assert asked == [rows]


WIDE = tuple(Column(place + 1, f"f{place}", f"c{place}", "number") for place in range(4_000))


class Answered:
    """A store with two streams of the same requests, each under its own ids; samples are independent of each other."""

    def __init__(self, requests: int) -> None:
        self.requests, self.rng = requests, np.random.default_rng(8)

    def ask(self, question: Sample, window: Window) -> pd.DataFrame:
        chosen = np.sort(self.rng.permutation(self.requests)[: question.rows])
        at = pd.Timestamp("2026-03-02") + pd.to_timedelta(chosen, unit="s")
        found = {"id": [f"{window.environment}-{place}" for place in chosen], "at": at, "subject": None, "score": 0.5}
        found |= {"decision": 1, "label": 1, "label_value": np.nan}
        inputs = {name: chosen * 1.0 for name in question.columns if name not in found}
        return pd.DataFrame(found | inputs)

    def activity(self, *_asked: object) -> pd.DataFrame:
        return pd.DataFrame({"version": [], "environment": [], "first": pd.to_datetime([])})


def wide_pair() -> tuple[SimpleNamespace, SimpleNamespace, Window]:
    """A case of a version of 4,000 features, another version of the same features, and the window of their rows."""
    settings = SimpleNamespace(importance={"f3999": 0.4}, threshold=0.5)
    model = SimpleNamespace(features=lambda: WIDE, settings=settings, task="binary", classes=("no", "yes"), name="loan")
    one, other = (SimpleNamespace(features=(), name=name, artifact=None) for name in "12")
    start = datetime(2026, 3, 2, tzinfo=UTC)
    window = Window("loan", start, start + timedelta(days=1), "1")
    return SimpleNamespace(model=model, version=one, as_of=None), other, window


def test_shadow_answers_of_a_wide_model_with_other_ids_are_matched_by_their_features() -> None:
    row, other, window = wide_pair()
    whole = churn.shadow_rows(Answered(3_000), row, other, window)
    assert whole is not None and len(whole.ids) == 3_000 and not whole.sampled
    assert [each.name for each in churn.matched_features(row, other)][:2] == ["f3999", "f0"]
    part = churn.shadow_rows(Answered(25_000), row, other, window)
    assert part is not None and len(part.ids) > 10_000 and part.sampled


@pytest.mark.parametrize(("requests", "sampled"), [(450, False), (900, True)])
def test_a_rescored_sample_of_a_wide_model_is_marked_as_sampled(monkeypatch: pytest.MonkeyPatch, requests: int, sampled: bool) -> None:
    row, other, window = wide_pair()
    monkeypatch.setattr(churn, "artifact_of", lambda *_asked: None)
    monkeypatch.setattr("observability.worker.requests.predict_scores", lambda _worker, _artifact, rows, **_more: np.full(len(rows), 0.7))
    both = churn.rescored_sample(Answered(requests), row, other, window, SimpleNamespace(), None)
    assert len(both.ids) == min(requests, 500) and both.sampled is sampled


def test_latent_inputs_of_a_wide_case_are_all_counted_and_never_among_the_others() -> None:
    moved = np.random.default_rng(3).normal(0, 1, 300)
    values = {f"emb_{place}": float(each) for place, each in enumerate(moved)} | {"age": 3.0}
    kept, errors = largest_and_others(values | {f"f{place}": 0.01 for place in range(150)}, None)
    assert errors is None and sum(kept.values()) == pytest.approx(moved.sum() + 3 + 1.5)
    bars = [Bar(name, None, value) for name, value in kept.items()]
    up, down = latent_bars_by_side(bars)
    (above,), (below,) = ([bar for bar in side if "latent" in bar.feature] for side in (up, down))
    assert above == Bar(f"{(moved > 0).sum()} latent inputs", TOGETHER, pytest.approx(moved[moved > 0].sum()))
    assert below == Bar(f"{(moved < 0).sum()} latent inputs", TOGETHER, pytest.approx(moved[moved < 0].sum()))
    assert kept["51 other inputs"] == pytest.approx(0.51) and "age" in kept
    assert largest_and_others(kept, None)[0] == kept and largest_and_others(values, None)[0] == values
