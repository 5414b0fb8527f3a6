"""A case of a model of many columns: nearest rows compare the most important features, and samples hold fewer rows."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from observability.core.analyzer import MOST_INPUTS
from observability.core.catalog import Column
from observability.core.window import EPOCH, Window
from observability.investigation import neighbours, sampled_rows
from observability.investigation.known_attributions import largest_and_others
from observability.investigation.latent_inputs import TOGETHER, latent_bars_by_side
from observability.investigation.model_answers import Bar

NAMES = [f"f{place}" for place in range(MOST_INPUTS + 50)]
COLUMNS = tuple(Column(place + 1, name, f"c{place}", "number") for place, name in enumerate(NAMES))


def row_of(importance: dict[str, float]) -> SimpleNamespace:
    model = SimpleNamespace(features=lambda: COLUMNS, settings=SimpleNamespace(importance=importance))
    return SimpleNamespace(model=model, version=SimpleNamespace(features=tuple(NAMES)))


def test_nearest_rows_compare_the_most_important_features() -> None:
    last = dict.fromkeys(NAMES[-50:], 0.02)
    compared = [column.name for column in neighbours.compared_features(row_of(last))]
    assert compared == [*NAMES[: MOST_INPUTS - 50], *NAMES[-50:]]
    assert [column.name for column in neighbours.features_of_case(row_of(last))] == NAMES


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
