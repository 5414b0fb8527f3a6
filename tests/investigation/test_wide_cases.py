"""A case of a model of many columns: nearest rows compare the most important features, and samples hold fewer rows."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from observability.core.analyzer import MOST_INPUTS
from observability.core.catalog import Column
from observability.core.window import EPOCH, Window
from observability.investigation import neighbours, sampled_rows

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
