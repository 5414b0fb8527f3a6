"""Attributions relative to background rows equal those of shap, and add up to the difference between the scores for each background row."""

import itertools
from math import factorial

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.worker.limits import WorkerError
from observability.worker.process import JobAnswer
from observability.worker.requests import explain_contrast, find_counterfactuals, predict_scores
from tests.support.worker_models import CLASSES, SAMPLE, mixed_table, numeric_table, save_skops

pytestmark = pytest.mark.filterwarnings("ignore")


def shap_of(model, row, background):
    import shap

    explainer = shap.TreeExplainer(model, data=background, feature_perturbation="interventional")
    return np.asarray(explainer.shap_values(row, check_additivity=False))[0]


def near(found, theirs, relative):
    assert np.abs(found.values.mean(axis=0) - theirs).max() <= relative * max(1.0, np.abs(theirs).max())
    assert np.abs(found.after - found.before - found.values.sum(axis=1)).max() < 1e-4 * max(1.0, abs(found.after))


def test_lightgbm_equals_shap_on_the_same_background(worker, tmp_path):
    rows, value = numeric_table()
    rows = rows.mask(np.random.default_rng(3).random(rows.shape) < 0.1)
    for objective, target, task in (("binary", value > 0, "binary"), ("regression", value, "regression")):
        booster = lightgbm.train({"objective": objective, "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(rows, target), 40)
        booster.save_model(tmp_path / "m.txt")
        background = rows.tail(60)
        for place in (0, 7, 200):
            row = rows.iloc[[place]]
            found = explain_contrast(worker, tmp_path / "m.txt", row, {"similar": background}, task=task, classes=CLASSES)["similar"]
            assert found.method == "shap tree" and found.link == ("logit" if task == "binary" else "identity") and found.error is None
            near(found, shap_of(booster, row, background), 1e-6)


def brute(score, row, background):
    """Shapley values by their definition, over all subsets of features."""
    names = list(row.columns)
    found = np.zeros((len(background), len(names)))
    scores = {}
    for size in range(len(names) + 1):
        for on in itertools.combinations(names, size):
            mixed = background.copy()
            for name in on:
                mixed[name] = pd.Series([row[name].iloc[0]] * len(mixed), index=mixed.index, dtype=mixed[name].dtype)
            scores[on] = score(mixed)
    for place, name in enumerate(names):
        for on in scores:
            if name not in on:
                weight = factorial(len(on)) * factorial(len(names) - len(on) - 1) / factorial(len(names))
                found[:, place] += weight * (scores[tuple(each for each in names if each in on or each == name)] - scores[on])
    return found


@pytest.mark.long  # test_categories_of_the_sample_fleet_are_exact
def test_categories_and_nulls_are_exact_by_the_definition_of_shapley_values(worker, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    rows, value = mixed_table()
    inputs = rows.assign(town=rows.town.astype("category"), member=rows.member.astype(float))
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 7, "min_data_per_group": 5, "cat_smooth": 1},
        lightgbm.Dataset(inputs, value > 6),
        20,
    )
    booster.save_model(tmp_path / "m.txt")
    other = xgboost.XGBClassifier(n_estimators=12, n_jobs=1, max_depth=4, enable_categorical=True).fit(inputs, value > 6)
    other.save_model(tmp_path / "x.json")
    scores = (lambda frame: booster.predict(frame, raw_score=True)), (lambda frame: other.predict(frame, output_margin=True))
    for artifact, score, relative in ((tmp_path / "m.txt", scores[0], 1e-9), (tmp_path / "x.json", scores[1], 1e-4)):
        for place in (0, 17, 23, 51):  # row 17 has no income, row 23 has no town
            found = explain_contrast(worker, artifact, rows.iloc[[place]], {"twins": rows.tail(25)}, task="binary", classes=CLASSES)[
                "twins"
            ]
            theirs = brute(score, inputs.iloc[[place]], inputs.tail(25))
            order = [found.features.index(name) for name in inputs.columns]
            assert found.method == "shap tree" and np.abs(found.values[:, order] - theirs).max() < relative * max(1, np.abs(theirs).max())


def test_categories_of_the_sample_fleet_are_exact(worker):
    rows = pd.read_parquet(SAMPLE / "flights-late.predictions.parquet")
    found = explain_contrast(
        worker,
        SAMPLE / "flights-late.lightgbm.txt",
        rows.iloc[[5]],
        {"a": rows.iloc[10:60], "b": rows.iloc[90:99]},
        task="binary",
        classes=CLASSES,
    )
    assert {name: each.values.shape for name, each in found.items()} == {"a": (50, 20), "b": (9, 20)}
    for each in found.values():
        assert each.method == "shap tree" and np.abs(each.after - each.before - each.values.sum(axis=1)).max() < 1e-9
        assert each.score == pytest.approx(rows["score"].iloc[5], abs=1e-4) and each.score == pytest.approx(1 / (1 + np.exp(-each.after)))


def test_xgboost_equals_shap_on_the_same_background(worker, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    rows, value = numeric_table()
    for model, target, task in ((xgboost.XGBClassifier, value > 0, "binary"), (xgboost.XGBRegressor, value, "regression")):
        fitted = model(n_estimators=30, n_jobs=1, max_depth=4).fit(rows, target)
        fitted.save_model(tmp_path / "m.ubj")
        found = explain_contrast(worker, tmp_path / "m.ubj", rows.iloc[[3]], {"similar": rows.tail(60)}, task=task, classes=CLASSES)[
            "similar"
        ]
        assert found.method == "shap tree"
        near(found, shap_of(fitted, rows.iloc[[3]], rows.tail(60)), 1e-4)
    stopped = xgboost.XGBClassifier(n_estimators=60, n_jobs=1, max_depth=3, early_stopping_rounds=3)
    stopped.fit(rows.head(300), value[:300] > 0, eval_set=[(rows.tail(100), np.random.default_rng(0).random(100) > 0.5)], verbose=False)
    stopped.save_model(tmp_path / "s.json")
    found = explain_contrast(worker, tmp_path / "s.json", rows.iloc[[3]], {"a": rows.tail(30)}, task="binary", classes=CLASSES)["a"]
    assert found.method == "shap tree" and 1 / (1 + np.exp(-found.after)) == pytest.approx(stopped.predict_proba(rows.iloc[[3]])[0, 1])


def test_trees_of_scikit_learn_equal_shap(worker, tmp_path):
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeRegressor

    rows, value = numeric_table()
    words = np.where(value > 0, "yes", "no")
    background = rows.tail(40)
    for model, target, task in (
        (RandomForestClassifier(n_estimators=8, max_depth=5, random_state=0), words, "binary"),
        (GradientBoostingClassifier(n_estimators=10), words, "binary"),
        (DecisionTreeRegressor(max_depth=4), value, "regression"),
    ):
        fitted = model.fit(rows, target)
        artifact = save_skops(fitted, tmp_path / "m.skops")
        found = explain_contrast(worker, artifact, rows.iloc[[3]], {"a": background}, task=task, classes=("no", "yes"))["a"]
        theirs = shap_of(fitted, rows.iloc[[3]], background)
        assert found.method == "shap tree", found.note
        near(found, theirs[:, 1] if theirs.ndim == 2 else theirs, 1e-5)  # shap stores scikit-learn's leaves in single precision
        if task == "binary":
            turned = explain_contrast(worker, artifact, rows.iloc[[3]], {"a": background}, task=task, classes=("yes", "no"))["a"]
            assert np.allclose(turned.values, -found.values, atol=1e-9) and turned.score == pytest.approx(1 - found.score)


def test_histogram_boosting_is_exact_by_the_definition(worker, tmp_path):
    """shap stores thresholds in single precision, so a value near a threshold can take the wrong branch. Therefore the comparison is with
    the definition.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows, value = numeric_table()
    rows = rows.mask(np.random.default_rng(3).random(rows.shape) < 0.1)
    fitted = HistGradientBoostingRegressor(max_iter=10).fit(rows, value)
    background = rows.tail(20)
    found = explain_contrast(worker, save_skops(fitted, tmp_path / "m.skops"), rows.iloc[[3]], {"a": background}, task="regression")["a"]
    assert found.method == "shap tree" and np.abs(found.values - brute(fitted.predict, rows.iloc[[3]], background)).max() < 1e-9


def test_linear_models_and_classes_are_exact_and_others_are_sampled_with_their_error(worker, tmp_path):
    import shap
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, value = numeric_table()
    background = rows.tail(50)
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, value > 0)
    found = explain_contrast(
        worker, save_skops(scaled, tmp_path / "l.skops"), rows.iloc[[9]], {"a": background}, task="binary", classes=CLASSES
    )["a"]
    whitened = pd.DataFrame(scaled[0].transform(rows), columns=rows.columns)
    theirs = shap.LinearExplainer(scaled[1], shap.maskers.Independent(whitened.tail(50), max_samples=100)).shap_values(whitened.iloc[[9]])
    assert found.method == "shap linear"
    near(found, theirs[0], 1e-6)
    three = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(rows, np.digitize(value, [-1, 1])),
        8,
    )
    three.save_model(tmp_path / "three.txt")
    for place in range(3):
        found = explain_contrast(
            worker, tmp_path / "three.txt", rows.iloc[[9]], {"a": background}, task="multiclass", classes=("a", "b", "c"), place=place
        )["a"]
        near(found, brute(lambda frame: three.predict(frame, raw_score=True)[:, place], rows.iloc[[9]], background).mean(axis=0), 1e-9)
        assert found.link == "raw" and found.score == pytest.approx(three.predict(rows.iloc[[9]])[0, place])
    network = MLPClassifier((6,), max_iter=200, random_state=0).fit(rows, value > 0)
    found = explain_contrast(
        worker, save_skops(network, tmp_path / "n.skops"), rows.iloc[[9]], {"a": background}, task="binary", classes=CLASSES
    )["a"]
    theirs = brute(lambda frame: network.predict_proba(frame)[:, 1], rows.iloc[[9]], background).mean(axis=0)
    assert found.method == "shap permutation" and found.link == "identity" and (found.error > 0).all()
    assert (np.abs(found.values.mean(axis=0) - theirs) < 5 * found.error + 1e-9).all()
    assert np.abs(found.after - found.before.mean() - found.values.mean(axis=0).sum()) < 1e-9


def test_an_answer_of_another_shape_is_a_worker_error(tmp_path):
    """A model that runs its own code can return anything. A wrong value makes only the call of that model fail."""
    row, artifact = pd.DataFrame({"a": [1.0]}), tmp_path / "m.txt"
    artifact.write_text("tree\nversion=v4\n")

    class Hostile:
        def __init__(self, values, frames):
            self.answer = JobAnswer(values, frames, {}, 0.1, True, True)

        def call(self, *given, **more):
            return self.answer

    scores = pd.DataFrame({"score": [0.5]})
    for values, frames in (({}, {}), ({"features": ["a"]}, {"scores": scores}), ({"features": 7, "background.x": {}}, {"scores": scores})):
        with pytest.raises(WorkerError, match="cannot be read"):
            explain_contrast(Hostile(values, frames), artifact, row, {"x": row}, task="binary", classes=CLASSES)
    many = {"reached": [True] * 9, "origins": [""] * 9, "proposals": {}, "asked": 1, "note": ""}
    for values, frames in (({}, {}), (many, {"found": pd.concat([row] * 9), "scores": scores}), (many, {"found": 3, "scores": scores})):
        with pytest.raises(WorkerError, match="cannot be read"):
            find_counterfactuals(Hostile(values, frames), artifact, row, row, free=[], goal={}, task="binary", classes=CLASSES)
    for frames in ({}, {"scores": pd.concat([scores] * 2)}, {"scores": pd.DataFrame({"0": [0.5], "1": [0.5]})}):
        with pytest.raises(WorkerError, match="cannot be read"):
            predict_scores(Hostile({}, frames), artifact, row, task="binary", classes=CLASSES)
    with pytest.raises(WorkerError, match="cannot be read"):
        predict_scores(
            Hostile({}, {"scores": pd.DataFrame({"0": [0.5], "1": [0.5]})}), artifact, row, task="multiclass", classes=("a", "b", "c")
        )
