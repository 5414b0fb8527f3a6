"""A comparison of a model with many columns computes the further figures only of those columns that are shown."""

from datetime import timedelta
from pathlib import Path

import pytest

from observability.compare import comparison, input_distances
from observability.core.window import Window
from tests.support.new_store import new_store
from tests.support.wide_model import END, wide_model

COLUMNS, SHOWN, WEEK = 60, 3, timedelta(days=7)


def test_bins_and_further_distances_are_made_for_the_shown_columns_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = [], input_distances.axes_of_counts
    blocks, group = [], input_distances.psi_groups

    def counted(edges, counts):
        made.append(len(edges))
        return make(edges, counts)

    def grouped(edges, counts):
        blocks.append(len(edges))
        return group(edges, counts)

    monkeypatch.setattr(input_distances, "axes_of_counts", counted)
    monkeypatch.setattr(input_distances, "psi_groups", grouped)
    with new_store(tmp_path / "home") as store:
        name = wide_model(store, tmp_path, COLUMNS)
        model = store.catalog().model(name)
        now, then = (Window(model.name, END - (weeks + 1) * WEEK, END - weeks * WEEK) for weeks in (0, 1))
        found = comparison.compare_windows(store.ask, model, now, then)
    assert (made, blocks) == ([], [COLUMNS + 1])  # all columns and the score, together
    inputs = found.of("inputs")
    assert len(inputs) == COLUMNS and all(each.change.value > 0.3 for each in inputs)
    for each in inputs[:SHOWN] * 2:
        assert each.evidence["jensen_shannon_distance"] > 0.3
    assert made == [1] * SHOWN
