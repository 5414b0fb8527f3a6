"""The labels of the simulated crew follow from the texts and the real raters, as the README of the sample states."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from sample_data.crew import ANNOTATIONS, ASSIGNMENTS, CLASSES, CLOSER, CUT, OWN_SPREAD, crew_records

FOLDER = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    served = pd.read_parquet(FOLDER / "sentiment.predictions.parquet", columns=["id", "at", "text", "score", "environment"])
    rated = pd.read_parquet(FOLDER / "sentiment.labels.parquet", columns=["id", "value", "rating_mean", "rating_spread"])
    return served[served["environment"] == "production"].merge(rated, on="id")


@pytest.fixture(scope="module")
def labels() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / ANNOTATIONS)


def test_both_crew_files_are_reproduced_from_the_fleet_data(texts: pd.DataFrame, labels: pd.DataFrame) -> None:
    again, given = crew_records(texts)
    assert again["label"].tolist() == labels["label"].tolist() and again["item"].tolist() == labels["item"].tolist()
    assert given["reason"].tolist() == pd.read_parquet(FOLDER / ASSIGNMENTS)["reason"].tolist()
    assert set(labels["annotator"]) == set(OWN_SPREAD) and set(labels["label"]) == set(CLASSES) and set(labels["project"]) == {"sentiment"}


def test_labels_differ_as_the_real_raters_do(texts: pd.DataFrame, labels: pd.DataFrame) -> None:
    """The share of labels equal to the raters' class is, within four standard errors, the probability given by their normal
    distribution.
    """
    rows = labels.merge(texts, left_on="item", right_on="id")
    spread = np.hypot(rows["rating_spread"], rows["annotator"].map(OWN_SPREAD)) * np.where(rows["guideline"] == "v2", CLOSER, 1.0)
    above, below = norm.sf(CUT, rows["rating_mean"], spread), norm.cdf(-CUT, rows["rating_mean"], spread)
    chance = np.select([rows["value"] == "positive", rows["value"] == "negative"], [above, below], 1 - above - below)
    assert abs((rows["label"] == rows["value"]).mean() - chance.mean()) < 4 * np.sqrt((chance * (1 - chance)).sum()) / len(rows)
    known = rows[rows["gold"].notna()]
    assert (known["gold"] == known["value"]).all() and 0.09 < len(known) / len(rows) < 0.16


def test_labels_under_the_second_guideline_are_right_more_often(labels: pd.DataFrame) -> None:
    """Ratings under the second guideline are closer to the raters' mean. Every label after it began names this guideline."""
    second = labels["at"] >= pd.Timestamp("2014-05-22T09:00Z")
    assert labels["guideline"].eq("v2").equals(second.rename("guideline")) and 0.3 < second.mean() < 0.5
    known = labels[labels["gold"].notna()]
    right = (known["label"] == known["gold"]).groupby(known["guideline"]).agg(["mean", "size"])
    assert right.loc["v2", "mean"] - right.loc["v1", "mean"] > 2 * np.sqrt((0.25 / right["size"]).sum())


def test_annotators_do_not_follow_suggestions_and_each_label_was_assigned_before(texts: pd.DataFrame, labels: pd.DataFrame) -> None:
    best = texts.set_index("id")["score"].map(lambda score: max(CLASSES, key=lambda name: score[name]))
    same, seen = labels["label"] == labels["item"].map(best), labels["suggestion"].notna()
    gap = same[seen].mean() - same[~seen].mean()
    assert (
        abs(gap) < 4 * np.sqrt(0.25 / seen.sum() + 0.25 / (~seen).sum()) and (labels["suggestion"] == labels["item"].map(best))[seen].all()
    )
    given = pd.read_parquet(FOLDER / ASSIGNMENTS)
    both = labels.merge(given, on=["item", "annotator"], suffixes=("", "_given"))
    assert len(both) == len(labels) and (both["at"] > both["at_given"]).all() and len(given) > len(labels)
    assert not labels.duplicated(["item", "annotator"]).any()
