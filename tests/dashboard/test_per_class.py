"""Metrics of each class equal scikit-learn's, now and in the reference, and the class with the lowest recall is named."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support

from observability.core import formatting
from observability.core.catalog import Model
from observability.dashboard.per_class import lowest_recall_sentence, per_class_frame
from observability.stats.interval import rate_interval

CLASSES = ("low", "mid", "<b>high")
MODEL = Model(1, "m", "multiclass", CLASSES)


def counts(labels: np.ndarray, decisions: np.ndarray, weight: float = 1.0) -> pd.DataFrame:
    """The rows in the form of a query result. Some have no label or no decision."""
    frame = pd.DataFrame({"label": labels, "decision": decisions})
    frame = (
        pd.concat([frame, pd.DataFrame({"label": [-1, 0], "decision": [1, -1]})])
        .groupby(["label", "decision"])
        .size()
        .rename("n")
        .reset_index()
    )
    return frame.assign(w=weight * frame["n"], w2=weight**2 * frame["n"])


def test_recall_and_precision_of_each_class_match_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    labels = rng.choice(3, 900, p=[0.5, 0.3, 0.2])
    decisions = np.where(rng.random(900) < 0.6, labels, rng.integers(0, 3, 900))
    found = per_class_frame(MODEL, counts(labels, decisions), counts(labels[:300], decisions[:300]))
    theirs = precision_recall_fscore_support(labels, decisions, labels=[0, 1, 2])
    before = precision_recall_fscore_support(labels[:300], decisions[:300], labels=[0, 1, 2])
    for place, name in enumerate(CLASSES):
        of = found[found["class"] == name].set_index("metric")
        for metric, values, then in zip(("precision", "recall", "f1"), theirs, before):
            assert of.loc[metric, "value"] == pytest.approx(values[place]) and of.loc[metric, "reference"] == pytest.approx(then[place])
            assert of.loc[metric, "low"] < of.loc[metric, "value"] < of.loc[metric, "high"]
        assert (
            of.loc["label_share", "value"] == pytest.approx(np.mean(labels == place)) and of.loc["recall", "n"] == (labels == place).sum()
        )
        assert of.loc["selection_rate", "value"] == pytest.approx(np.mean(decisions == place))
    recalls = found[found["metric"] == "recall"].set_index("class")["value"]
    assert f"`{recalls.idxmin()}`, {formatting.format_share(recalls.min())} (" in lowest_recall_sentence(found)


def test_weights_reduce_effective_rows_and_a_class_without_rows_is_unknown() -> None:
    labels, decisions = np.array([0] * 80 + [1] * 40), np.array([0] * 60 + [1] * 60)
    plain, heavy = (per_class_frame(MODEL, counts(labels, decisions, weight), None).set_index(["class", "metric"]) for weight in (1.0, 5.0))
    assert heavy.equals(plain), "equal weights do not change the result"
    wanted = rate_interval(60, 80)
    assert tuple(plain.loc[("low", "recall"), ["low", "high"]]) == pytest.approx((wanted.low, wanted.high))
    assert np.isnan(plain.loc[("<b>high", "recall"), "value"]) and plain["reference"].isna().all()
    assert "No label" in lowest_recall_sentence(per_class_frame(MODEL, counts(np.zeros(0, int), np.zeros(0, int)), None))
