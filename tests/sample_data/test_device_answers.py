"""The answers of devices are real answers of the int8 form to requests that the server also answered, and the reports of ring 0
count them.
"""

from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from sample_data import device_answers, edge
from sample_data.flights import LATE

FOLDER = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def answers() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / device_answers.FILE)


@pytest.fixture(scope="module")
def both(answers: pd.DataFrame) -> pd.DataFrame:
    served = pd.read_parquet(FOLDER / f"{LATE.name}.predictions.parquet")
    return answers.merge(served, on="id", suffixes=("", "_server"), validate="one_to_one")


def test_each_device_answer_repeats_a_production_request_in_shadow_and_is_marked_as_simulated(
    answers: pd.DataFrame, both: pd.DataFrame
) -> None:
    assert len(both) == len(answers) == 1891 and answers["id"].str.slice(stop=8).min() == "20131220"
    stated = ("model", "version", "environment", "device_source")
    assert [set(answers[name]) for name in stated] == [{"flights-late"}, {"1 int8"}, {"shadow"}, {"simulated"}]
    for name in ("at", *LATE.features):
        assert both[name].equals(both[f"{name}_server"].rename(name)), name
    assert (answers["synced_at"] > answers["at"]).all() and (FOLDER / device_answers.FILE).stat().st_size < 60_000


def test_the_scores_are_sums_of_leaves_in_eight_bits(both: pd.DataFrame) -> None:
    """Independent check: the leaf of each tree, with its value rounded to 255 steps between the tree's smallest and largest value."""
    booster = lightgbm.Booster(model_file=str(FOLDER / LATE.artifact))
    rows = both.head(200)
    levels = dict(zip(LATE.categories, booster.pandas_categorical, strict=True))
    table = pd.DataFrame({name: pd.Categorical(rows[name], levels[name]) if name in levels else rows[name] for name in LATE.features})
    nodes = booster.trees_to_dataframe()
    leaves = nodes[nodes["left_child"].isna()].set_index("node_index")["value"]
    trees = nodes[nodes["left_child"].isna()].groupby("tree_index")["value"].agg(["min", "max"])
    total = np.zeros(len(rows))
    for tree, places in enumerate(booster.predict(table, pred_leaf=True, num_threads=1).T.astype(int)):
        least, step = trees["min"][tree], (trees["max"][tree] - trees["min"][tree]) / 254
        values = leaves[[f"{tree}-L{place}" for place in places]].to_numpy()
        total += least + step * np.round((values - least) / step)
    assert rows["score"].to_numpy() == pytest.approx((1 / (1 + np.exp(-total))).round(LATE.digits), abs=1.1e-4)
    assert (both["score"] != both["score_server"]).mean() > 0.5


def test_the_reports_of_ring_0_count_the_answers_and_those_of_other_rings_are_drawn(both: pd.DataFrame) -> None:
    reports = pd.read_parquet(FOLDER / edge.FILE)
    own = reports[(reports["ring"] == device_answers.RING) & (reports["version"] == edge.NEW)]
    same = (both["score"] >= 0.35) == (both["score_server"] >= 0.35)
    assert own.groupby("device")["compared"].sum().to_dict() == both.groupby("device").size().to_dict()
    assert own.groupby("device")["agreed"].sum().to_dict() == same.groupby(both["device"]).sum().to_dict() and same.sum() == 1890
    drawn, rest = edge.simulated_table(), reports.index.difference(own.index)
    assert reports.loc[rest].equals(drawn.loc[rest]) and reports.loc[rest, "compared"].sum() > 50_000
