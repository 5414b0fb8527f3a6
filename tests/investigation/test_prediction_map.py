"""The map places predictions by their inputs, and the counts of a selection on it equal those of the raw rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from observability.core.questions import Aggregate
from observability.core.window import Slice, Window
from observability.investigation import prediction_map as maps
from observability.investigation.conditions import condition_mask
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.feature_space import feature_blocks
from observability.investigation.prediction_map import PredictionMap, prediction_map
from observability.investigation.selected_points import selection_errors, selection_rule
from observability.stats.difference_intervals import rate_difference_interval
from tests.support.case_world import END, START, World

WINDOW = Window("loan", START, END, version="1")


@pytest.fixture(scope="module")
def found(case_world: World) -> PredictionMap:
    """The map of the loans."""
    return prediction_map(case_world.store, case_world.store.catalog().model("loan"), WINDOW)


def test_encoded_ranks_levels_and_missing_values_equal_those_computed_by_hand(case_world: World) -> None:
    columns = {each.name: each for each in case_world.store.catalog().model("loan").features()}
    known = pd.DataFrame({"feature.age": [1.0, 2.0, 2.0, 4.0], "feature.city": ["Rome", "Rome", "Oslo", None]})
    rows = pd.DataFrame({"feature.age": [2.0, 9.0, np.nan, 0.0], "feature.city": ["Oslo", "Paris", None, "Rome"]})
    age, city = (replace(each, scale=1.0) for each in feature_blocks([columns["age"], columns["city"]], rows, known))
    assert age.columns_of(rows).tolist() == [[0.5, 0], [1, 0], [0.5, 1], [0, 0]], "(1 + 3) / 2 of the 4 known values are below 2"
    assert city.levels == ("Rome", "Oslo")
    assert city.columns_of(rows).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]], "Rome, Oslo, missing, another city"
    scaled = feature_blocks([columns["age"], columns["city"]], rows, known)
    assert [float(block.columns_of(rows).var(axis=0).sum()) for block in scaled] == pytest.approx([1.0, 1.0])
    rare = rows.assign(**{"feature.age": [1.0] * 4})
    assert float(feature_blocks([columns["age"]], rare, known)[0].columns_of(rare).var(axis=0).sum()) == 0, (
        "a constant column has no variance in the map"
    )


def test_the_plane_of_the_map_is_the_principal_plane_of_the_encoded_rows(found: PredictionMap) -> None:
    whole = maps.encoded_rows(found.blocks, found.frame)
    sizes = np.linalg.svd(whole - whole.mean(axis=0), compute_uv=False) ** 2
    assert found.shown == pytest.approx(sizes[:2].sum() / sizes.sum())
    np.testing.assert_allclose(found.project(found.frame), found.frame[["x", "y"]].to_numpy(), atol=1e-9)
    assert found.known == 1200 and found.total == len(found.frame)
    for axis in (0, 1):
        named = found.axis_features(axis)
        assert named == sorted(named, key=lambda each: -each[1]) and 0 < sum(part for _, part in named) <= 1


def test_a_large_window_is_sampled_by_hash_and_the_total_is_counted(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MAX_POINTS", 300)
    model = case_world.store.catalog().model("loan")
    small, again = (prediction_map(case_world.store, model, WINDOW) for _ in range(2))
    assert len(small.frame) == 300 and small.total == int(case_world.store.ask(Aggregate("predictions"), WINDOW)["n"].sum()) > 1500
    pd.testing.assert_frame_equal(small.frame, again.frame)


def test_a_map_that_cannot_be_drawn_gives_the_reason(case_world: World) -> None:
    model = case_world.store.catalog().model("loan")
    with pytest.raises(NotGivenError, match="0 predictions are too few"):
        prediction_map(case_world.store, model, replace(WINDOW, start=END, end=END))
    with pytest.raises(NotGivenError, match="no latent inputs"):
        prediction_map(case_world.store, model, WINDOW, embedding=True)


def test_errors_of_a_selection_are_counted(found: PredictionMap) -> None:
    rows = found.frame
    chosen = (rows["feature.area"] == "north").to_numpy(bool)
    labelled, wrong = rows["label"] >= 0, (rows["label"] >= 0) & (rows["label"] != rows["decision"])
    counts = [(int((wrong & part).sum()), int((labelled & part).sum())) for part in (chosen, ~chosen)]
    errors = selection_errors(found.model, rows, chosen)
    assert (errors.n, errors.of_others) == (counts[0][1], counts[1][1])
    assert errors.selected.value == pytest.approx(counts[0][0] / counts[0][1])
    assert errors.difference.triple == pytest.approx(rate_difference_interval(*counts[0], *counts[1]).triple)
    assert errors.difference.low is not None and errors.difference.low > 0.2, "in the north, decisions are no better than by chance"
    nothing = selection_errors(found.model, rows, ~labelled.to_numpy(bool))
    assert nothing.selected.value is None and nothing.difference.value is None and nothing.of_others == labelled.sum()


def test_errors_of_a_regression_are_mean_absolute_errors(case_world: World) -> None:
    price = prediction_map(case_world.store, case_world.store.catalog().model("price"), replace(WINDOW, model="price"))
    rows, chosen = price.frame, (price.frame["feature.grade"] == "A").to_numpy(bool)
    sizes = (rows["score"] - rows["label_value"]).abs()
    errors = selection_errors(price.model, rows, chosen)
    assert errors.selected.value == pytest.approx(sizes[chosen].mean()) and errors.others.value == pytest.approx(sizes[~chosen].mean())
    assert errors.n == sizes[chosen].notna().sum()


def test_the_rule_of_a_planted_selection_is_found_and_counted(found: PredictionMap, case_world: World) -> None:
    """Rows of the north between two ages; the selection by hand leaves out a tenth of them."""
    rows = found.frame
    planted = (rows["feature.area"] == "north") & rows["feature.age"].between(30, 49)
    chosen = (planted & (np.arange(len(rows)) % 10 != 0)).to_numpy(bool)
    rule = selection_rule(found.model, rows, chosen)
    assert rule is not None and {each.reference for each in rule.conditions} == {"feature.area", "feature.age"} and rule.clear
    meets = np.logical_and.reduce([condition_mask(each, rows) for each in rule.conditions])
    assert (rule.n, rule.both, rule.chosen) == (meets.sum(), (meets & chosen).sum(), chosen.sum())
    assert rule.precision == pytest.approx(rule.both / rule.n) and rule.recall > 0.9
    window = replace(WINDOW, slice=Slice.parse(rule.slice))
    assert int(case_world.store.ask(Aggregate("predictions"), window)["n"].sum()) == rule.n, (
        "the slice contains exactly the rows of the rule"
    )


def test_a_selection_without_a_simple_rule_is_not_called_clear(found: PredictionMap) -> None:
    chosen = np.random.default_rng(3).random(len(found.frame)) < 0.1
    rule = selection_rule(found.model, found.frame, chosen)
    assert rule is not None and not rule.clear
    assert selection_rule(found.model, found.frame, np.ones(len(chosen), bool)) is None
