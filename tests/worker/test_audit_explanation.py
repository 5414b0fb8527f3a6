"""Attributions from several seeds, deletion of features in order of their attribution, and surrogate models, on models with known
answers.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.worker.audit_explanation_job import attribute_with_seed, judge_attributions
from tests.support.worker_models import save_skops


def quiet(_share: float, _text: str) -> None:
    """Ignore progress reports."""


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    from sklearn.linear_model import LinearRegression

    rows = pd.DataFrame(np.random.default_rng(6).normal(size=(300, 4)), columns=list("abcd"))
    model = LinearRegression().fit(rows, 3 * rows.a + rows.b)
    return save_skops(model, tmp_path_factory.mktemp("model") / "model.skops"), rows


def given(**other: Any) -> dict[str, Any]:
    return {"task": "regression", "classes": [], "kind": "skops", "seed": 1, "background": 40, **other}


def test_attributions_of_a_linear_model_are_its_weights_times_the_distance(linear: Any) -> None:
    path, rows = linear
    some = rows.head(10)
    found = attribute_with_seed({"rows": some, "real": rows}, given(), {"model": path}, quiet)
    background = rows.sample(40, random_state=1)
    assert found.frames["values"]["a"].to_numpy() == pytest.approx(3 * (some.a - background.a.mean()).to_numpy(), abs=1e-6)
    assert found.frames["values"]["d"].to_numpy() == pytest.approx(np.zeros(10), abs=1e-6)


def test_deletion_by_right_attributions_moves_the_score_sooner_than_at_random_or_by_wrong_ones(linear: Any) -> None:
    path, rows = linear
    some = rows.head(40).reset_index(drop=True)
    right = pd.DataFrame(some.to_numpy() * [3, 1, 0, 0], columns=list("abcd"))
    areas = {}
    for name, values in (("right", right), ("wrong", right[list("dcba")].set_axis(list("abcd"), axis=1))):
        found = judge_attributions({"rows": some, "real": rows, "values": values}, given(), {"model": path}, quiet)
        areas[name] = found.frames["areas"].mean()
    assert areas["right"]["by_attribution"] > areas["right"]["at_random"] > areas["wrong"]["by_attribution"]
    curve, trees = found.frames["deletion"], found.frames["surrogates"]
    assert curve["by_attribution"][0] == 0 and curve["by_attribution"].iloc[-1] == pytest.approx(curve["at_random"].iloc[-1])
    assert trees["r2"].iloc[-1] > trees["r2"].iloc[0] > 0.4
    assert (trees["low"] < trees["r2"]).all() and (trees["r2"] < trees["high"]).all() and set(trees["n"]) == {round(0.4 * len(rows))}
    # The interval of a share of explained variance is about the one from Fisher's transformation of the correlation (theory instead of a
    # bootstrap).
    r, n = np.sqrt(trees["r2"].to_numpy()), trees["n"].to_numpy()
    low, high = (np.tanh(np.arctanh(r) + side * 1.96 / np.sqrt(n - 3)) ** 2 for side in (-1, 1))
    assert (trees["high"] - trees["low"]).to_numpy() == pytest.approx(high - low, rel=0.6)


def test_one_feature_deleted_at_a_time_is_the_weight_times_the_distance_of_a_linear_model(linear: Any) -> None:
    path, rows = linear
    some = rows.head(40).reset_index(drop=True)
    values = pd.DataFrame(some.to_numpy() * [3, 1, 0, 0], columns=list("abcd"))
    many = {**given(), "background": 250}
    found = judge_attributions({"rows": some, "real": rows, "values": values}, many, {"model": path}, quiet).frames["occlusion"]
    assert list(found) == list("abcd") and found["d"].abs().max() < 1e-6
    assert found["a"].to_numpy() == pytest.approx(3 * (some.a - rows.a.mean()).to_numpy(), abs=0.9)
    assert np.corrcoef(found["a"], some.a)[0, 1] > 0.99
