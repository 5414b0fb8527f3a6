"""Duplicates, conflicts, outliers, overlap and the effect of a rule agree with counts by hand, pandas and scikit-learn."""

import numpy as np
import pandas as pd
import pytest

from observability.metrics.audit_model import KNOWS, AuditModel
from observability.metrics.data_audit import (
    accuracy_without_suspects,
    chance_of_equal_rows,
    conflicting_rows,
    exact_duplicates,
    group_counts,
    held_out_overlap,
    near_copies,
    near_duplicate_of,
    outlying_values,
    suspect_accuracy_words,
)


def table(rows: int = 600, seed: int = 0) -> pd.DataFrame:
    """Features, two of which (`a` and `b`) determine the label."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    found = pd.DataFrame(x, columns=["a", "b", "c"]).assign(region=rng.choice(["N", "S"], rows))
    return found.assign(y=np.where(x[:, 0] + 0.7 * x[:, 1] + rng.normal(0, 0.4, rows) > 0, "yes", "no"))


def test_duplicates_and_conflicts_are_those_of_pandas() -> None:
    rows = pd.concat([table(), table().iloc[:30], table().iloc[:10].assign(y="other")], ignore_index=True)
    features = rows.drop(columns="y")
    assert exact_duplicates(rows).tolist() == rows.duplicated().tolist() and exact_duplicates(rows).sum() == 30
    assert conflicting_rows(features, rows["y"]).sum() == 30, "ten rows, their copies, and the ten rows that contradict them"
    assert not conflicting_rows(features.iloc[:600], rows["y"].iloc[:600]).any()


def test_near_duplicates_exclude_exact_duplicates_and_rows_of_other_categories() -> None:
    rows = table().drop(columns="y")
    near = rows.iloc[:12].copy()
    near[["a", "b", "c"]] += 1e-7
    other = rows.iloc[20:25].copy()
    other[["a", "b", "c"]] += 1e-7
    other["region"] = np.where(other["region"] == "N", "S", "N")
    found = near_duplicate_of(pd.concat([rows, near, other, rows.iloc[40:45]], ignore_index=True))
    assert found[600:612].tolist() == list(range(12)) and (found >= 0).sum() == 12


def test_texts_that_differ_by_one_character_are_near_duplicates_without_a_number_column() -> None:
    rng = np.random.default_rng(8)
    words = ["".join(rng.choice([*"abcdefghij"], 6)) for _ in range(400)]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(150)]
    changed = []
    for place, text in enumerate(texts[:50]):
        at = int(rng.integers(len(text)))
        changed.append([text[:at] + "#" + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + "#" + text[at:]][place % 3])
    rows = pd.DataFrame({"text": [*texts, *changed], "language": "en"})
    found = near_duplicate_of(rows)
    assert found[150:].tolist() == list(range(50)) and (found[:150] == -1).all()
    rows.loc[150:, "language"] = "fr"
    assert (near_duplicate_of(rows) == -1).all(), "a row with another category is no near-duplicate"
    assert (
        near_copies(rows[["text"]].iloc[:150], rows[["text"]].iloc[150:]).all() and not near_copies(rows.iloc[:150], rows.iloc[150:]).any()
    )


def test_outliers_are_beyond_three_interquartile_ranges() -> None:
    rows = table()
    rows.loc[3, "c"], rows.loc[4, "a"] = 99.0, -50.0
    assert {name: np.flatnonzero(mask).tolist() for name, mask in outlying_values(rows).items()} == {"a": [4], "c": [3]}


def test_the_overlap_of_held_out_rows_counts_equal_features() -> None:
    rows, fresh = table(), table(seed=1)
    held = pd.concat([rows.iloc[:7], rows.iloc[7:10].assign(y="other"), fresh.iloc[:30]], ignore_index=True)
    found = held_out_overlap(rows.drop(columns="y"), rows["y"], held.drop(columns="y"), held["y"])
    assert (found.rows, len(found.pairs), found.same_label) == (40, 10, 7) and found.share.value == 0.25
    assert found.pairs == [(place, place) for place in range(10)] and found.chance < 0.01
    assert found.share.low == pytest.approx(0.1419, abs=2e-3) and found.share.high == pytest.approx(0.4019, abs=2e-3), (
        "Wilson's interval by hand"
    )


def test_labels_and_columns_are_compared_by_what_they_mean() -> None:
    rows = pd.DataFrame({"a": [1, 2, 3], "sex": ["1", "2", "1"], "flag": ["true", "false", "true"]})
    held = pd.DataFrame({"flag": [True, False], "a": ["1", "2.0"], "sex": [1.0, 2.0], "further": [0, 0]})
    found = held_out_overlap(rows, pd.Series([1.0, 0.0, 1.0]), held, pd.Series(["1", "1"]))
    assert found.pairs == [(0, 0), (1, 1)] and found.same_label == 1


def test_equal_rows_of_columns_with_few_values_count_as_chance_and_copies_do_not() -> None:
    rng = np.random.default_rng(3)
    coarse = pd.DataFrame({name: rng.integers(0, 4, 800) for name in "abcde"})
    assert exact_duplicates(coarse).mean() > 0.2 and chance_of_equal_rows(coarse) > 0.8
    linked = coarse.assign(b=coarse["a"], c=coarse["a"] + coarse["d"])
    assert chance_of_equal_rows(linked) > 0.8, "the columns depend on each other"
    fine = coarse.assign(x=rng.normal(size=800))
    assert chance_of_equal_rows(fine) == 0.0, "no two rows are equal"
    copied = pd.concat([fine, fine.iloc[:40]], ignore_index=True)
    assert chance_of_equal_rows(copied) < 0.01
    assert chance_of_equal_rows(coarse.iloc[:400], coarse.iloc[400:]) > 0.8 and chance_of_equal_rows(fine, fine.iloc[:9]) < 0.01


def test_the_accuracy_without_suspect_labels_leaves_out_rows_without_a_decision() -> None:
    decision, label = pd.Series([*"11001", None, None] * 20), pd.Series([*"1101011"] * 20)
    suspect = np.tile([False, False, False, True, False, True, False], 20)
    found = accuracy_without_suspects("loan", "3", decision, label, suspect)
    assert (found["all"]["rows"], found["all"]["value"], found["suspects"]) == (100, 0.6, 20)
    assert (found["without"]["rows"], found["without"]["value"]) == (80, 0.75)
    assert found["all"]["low"] == pytest.approx(0.502, abs=2e-3) and found["all"]["high"] == pytest.approx(0.691, abs=2e-3), "Wilson"
    said = suspect_accuracy_words(found)
    assert (
        said.startswith("Accuracy of loan version 3: 60 % (") and said.endswith("without the 20 with suspect labels.") and "75 % (" in said
    )
    assert accuracy_without_suspects("loan", "3", decision, label, np.ones(140, bool)) is None
    assert accuracy_without_suspects("loan", "3", pd.Series([None] * 140), label, suspect) is None


def test_drop_rates_are_counted_by_group() -> None:
    rows = table()
    dropped = (rows["region"] == "N").to_numpy() & (rows["a"] > 0).to_numpy()
    counts = group_counts(rows, dropped, ["region"])["region"]
    assert counts["N"] == {"in": int((rows["region"] == "N").sum()), "dropped": int(dropped.sum())} and counts["S"]["dropped"] == 0


def test_the_model_finds_wrong_labels_and_a_feature_that_knows_the_label() -> None:
    from sklearn.metrics import roc_auc_score

    rows = table(500)
    wrong = np.random.default_rng(2).choice(500, 40, replace=False)
    rows.loc[wrong, "y"] = np.where(rows.loc[wrong, "y"] == "yes", "no", "yes")
    rows["told"] = (rows["y"] == "yes") * 2.0
    model = AuditModel(rows[["a", "b", "c"]], rows["y"])
    assert model.task == "binary" and model.obstacle is None
    answers = model.out_of_fold()
    everything = np.arange(500)
    assert model.score(everything, answers) == pytest.approx(roc_auc_score(rows["y"] == "yes", answers[:, 1]))
    suspects = model.suspects(answers)
    assert suspects[wrong].mean() > 0.5 > 5 * suspects[np.setdiff1d(everything, wrong)].mean()
    alone = AuditModel(rows[["c", "told"]], rows["y"]).known_alone()
    assert list(alone) == ["told", "c"] and alone["told"].value == 1 and alone["told"].low > 0.9 and alone["c"].value < 0.3 < KNOWS


def test_the_known_share_of_a_column_is_scaled_from_chance_to_perfection() -> None:
    from sklearn.metrics import roc_auc_score

    rows = table(500)
    data = AuditModel(rows[["a", "c"]], rows["y"])
    answers = data.out_of_fold(np.array([0]))
    found = data.known_alone(["a"])["a"]
    assert found.value == pytest.approx(2 * roc_auc_score(rows["y"] == "yes", answers[:, 1]) - 1) and found.n == 500
    assert 0.5 < found.low < found.value < found.high < 1
    useless = data.known_alone(["c"])["c"]
    assert useless.low < 0 < useless.high
    several = AuditModel(rows[["a"]], pd.Series(np.digitize(rows["a"], [-0.5, 0.8])))
    hits, most = (several.out_of_fold().argmax(1) == several.y).mean(), np.bincount(several.y).max() / 500
    assert several.known_share(several.out_of_fold()).value == pytest.approx((hits - most) / (1 - most))
    value = AuditModel(rows[["a"]], rows["a"] * 3)
    errors, chance = np.abs(value.out_of_fold() - value.y), np.abs(value.y - np.median(value.y)).mean()
    share = value.known_share(value.out_of_fold())
    assert share.value == pytest.approx(1 - errors.mean() / chance) and share.low < share.value < share.high <= 1


def test_only_inexact_copies_of_training_rows_count_as_near_copies() -> None:
    rows, fresh = table().drop(columns="y"), table(60, seed=1).drop(columns="y")
    near, twin = rows.iloc[:12].copy(), fresh.iloc[:3].copy()
    for copies in (near, twin):
        copies[["a", "b", "c"]] += 1e-7
    held = pd.concat([rows.iloc[20:25], near, fresh, twin, near.iloc[:2]], ignore_index=True)
    found = near_copies(rows, held)
    assert np.flatnonzero(found).tolist() == [*range(5, 17), 80, 81], "a held-out row that occurs twice counts twice"
    labels, held_labels = pd.Series(["yes"] * 600), pd.Series(["yes"] * 4 + ["no"] * 78)
    counts = held_out_overlap(pd.concat([rows, rows.iloc[:1]]), pd.concat([labels, labels.iloc[:1]]), held, held_labels).record
    told = {"rows": 82, "in_training": 5, "near": 14, "same_label": 4, "training_rows": 601, "training_repeated": 2}
    assert {name: counts[name] for name in told} == told


def test_the_effect_of_a_rule_is_measured_on_the_same_held_out_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table(400)
    model = AuditModel(rows[["a", "b"]], rows["y"])
    nothing = model.rule_effect(np.zeros(400, bool))
    assert nothing.difference == 0 and nothing.low is None
    harm = model.rule_effect(((rows["a"] > 0) ^ (rows["y"] == "no")).to_numpy())
    assert harm.difference < 0 and harm.low is not None and harm.low < harm.difference < harm.high
    assert harm.before == nothing.before


def test_a_rule_that_leaves_one_row_leaves_nothing_to_fit_on_in_its_own_fold() -> None:
    rows = table(300)
    model = AuditModel(rows[["b"]], rows["a"])
    dropped = np.arange(300) != 7
    assert model.task == "regression" and any(dropped[fit].all() for fit, _ in model.folds(0))
    effect = model.rule_effect(dropped)
    assert np.isfinite(effect.after) and effect.difference > 0, "the error grows if one row stands for all its copies"
    assert np.isnan(model.rule_effect(np.ones(300, bool)).after)


def test_equal_features_are_never_on_both_sides_of_a_fold() -> None:
    rows = pd.concat([table(250), table(250)], ignore_index=True)
    model = AuditModel(rows[["a", "b", "c"]], rows["y"])
    for fit, held in model.folds(0):
        assert not set(model.groups[fit]) & set(model.groups[held])


def test_the_reason_why_an_audit_model_cannot_be_fitted_is_given() -> None:
    assert AuditModel(table(60)[["a"]], table(60)["y"]).obstacle == "60 labelled rows are too few for a model; it needs about 140 more"
    assert "has 1 classes" in str(AuditModel(table(300)[["a"]], pd.Series(["x"] * 300)).obstacle)
