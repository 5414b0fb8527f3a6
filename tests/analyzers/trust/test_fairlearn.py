"""trust/fairness equals fairlearn: the rates of three crossed attributes, and the difference and ratio of each criterion.

fairlearn is not part of the product. Here it is run on few rows; tests/benchmarks/bench_fairness.py runs and times it on a million.
"""

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.detection.fairness_criteria import CRITERIA, ratio_of, spread_of
from observability.metrics.groups import Attribute, GroupMetrics, class_rate_name, group_metrics

fairlearn = pytest.importorskip("fairlearn.metrics")
SENSITIVE = ("sex", "race", "region")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Decisions and labels of 4,000 people in 2 × 3 × 2 groups, which are treated differently."""
    rng, n = np.random.default_rng(20), 4000
    frame = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "race": rng.choice(list("ABC"), n, p=[0.6, 0.3, 0.1])})
    frame["region"] = rng.choice(["north", "south"], n)
    label = rng.random(n) < np.where(frame["race"] == "B", 0.3, 0.5)
    decision = rng.random(n) < np.where(label, np.where(frame["sex"] == "F", 0.7, 0.8), np.where(frame["region"] == "south", 0.3, 0.2))
    return frame.assign(label=label.astype(int), decision=decision.astype(int))


@pytest.fixture(scope="module")
def groups(rows: pd.DataFrame) -> GroupMetrics:
    """The product's metrics of the groups, from counts."""
    keys = {name: f"group.{name}" for name in SENSITIVE}
    counts = rows.rename(columns=keys).groupby([*keys.values(), "decision", "label"]).size().rename("n").reset_index()
    counts = counts.assign(w=counts["n"].astype(float), w2=counts["n"].astype(float))
    model = Model(1, "loan", "binary", ("0", "1"))
    return group_metrics(model, counts, [Attribute(name, key) for name, key in keys.items()])


def test_rates_of_crossed_groups_match_fairlearn(rows: pd.DataFrame, groups: GroupMetrics) -> None:
    from sklearn.metrics import precision_score

    wanted = {
        "selection_rate": fairlearn.selection_rate, "true_positive_rate": fairlearn.true_positive_rate,
        "false_positive_rate": fairlearn.false_positive_rate, "precision": precision_score,
    }  # fmt: skip
    theirs = fairlearn.MetricFrame(
        metrics=wanted, y_true=rows["label"], y_pred=rows["decision"], sensitive_features=rows[list(SENSITIVE)]
    ).by_group
    assert len(groups.levels) == len(theirs) == 12
    for rate in wanted:
        ours = dict(zip(groups.levels, groups.metrics[rate].value, strict=True))
        assert ours == pytest.approx(theirs[rate].to_dict(), rel=1e-12), rate


@pytest.mark.parametrize("name", ["demographic_parity", "equalized_odds", "equal_opportunity"])
def test_group_differences_match_fairlearn(name: str, rows: pd.DataFrame, groups: GroupMetrics) -> None:
    theirs = getattr(fairlearn, f"{name}_difference")(rows["label"], rows["decision"], sensitive_features=rows[list(SENSITIVE)])
    ours = spread_of(CRITERIA[name], groups, np.ones(len(groups.levels), bool))
    assert ours.difference == pytest.approx(theirs, rel=1e-12) and theirs > 0.05


def test_the_ratio_of_selection_rates_matches_fairlearn(rows: pd.DataFrame, groups: GroupMetrics) -> None:
    theirs = fairlearn.demographic_parity_ratio(rows["label"], rows["decision"], sensitive_features=rows[list(SENSITIVE)])
    assert ratio_of(groups, np.ones(len(groups.levels), bool)).value == pytest.approx(theirs, rel=1e-12)


def test_rates_of_each_class_match_fairlearn() -> None:
    rng = np.random.default_rng(12)
    rows = pd.DataFrame({"group.sex": rng.choice(["F", "M"], 900), "label": rng.integers(0, 3, 900), "decision": rng.integers(0, 3, 900)})
    counts = rows.groupby(["group.sex", "label", "decision"]).size().rename("n").reset_index()
    model = Model(1, "m", "multiclass", ("a", "b", "c"))
    found = group_metrics(
        model, counts.assign(w=counts["n"].astype(float), w2=counts["n"].astype(float)), [Attribute("sex", "group.sex", ("F", "M"))]
    )
    for place, name in enumerate(model.classes):
        theirs = fairlearn.MetricFrame(
            metrics={each: getattr(fairlearn, each) for each in ("selection_rate", "true_positive_rate")},
            y_true=rows["label"] == place, y_pred=rows["decision"] == place, sensitive_features=rows["group.sex"],
        ).by_group  # fmt: skip
        for rate in theirs:
            assert list(found.metrics[class_rate_name(rate, name)].value) == pytest.approx(list(theirs[rate]))
