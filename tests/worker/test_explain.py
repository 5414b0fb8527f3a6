"""Attributions equal those of the libraries and add up; predictions equal the logged scores."""

import itertools
import json
import math

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.worker.requests import explain_scores, predict_scores
from tests.support.length import repeats, some
from tests.support.worker_models import CLASSES, SAMPLE, mixed_table, numeric_table, save_skops

# Libraries that fit and explain here for comparison may give warnings. The product's own code runs in another process.
pytestmark = pytest.mark.filterwarnings("ignore")


def close(ours, theirs, relative):
    assert ours.shape == np.shape(theirs)
    assert np.abs(ours - theirs).max() <= relative * max(1, np.abs(theirs).max())


@pytest.mark.parametrize(
    ("model", "task", "digits"), some([("employment", "binary", 4), ("flights-late", "binary", 4), ("flights-delay", "regression", 2)], 2)
)
def test_sample_models_give_the_logged_scores_and_explain_them(worker, model, task, digits):
    rows = pd.read_parquet(SAMPLE / f"{model}.predictions.parquet").iloc[::40]
    artifact = SAMPLE / f"{model}.lightgbm.txt"
    scores = predict_scores(worker, artifact, rows, classes=CLASSES, task=task)
    assert np.abs(scores - rows["score"]).max() <= 0.5000001 * 10**-digits
    found = explain_scores(worker, artifact, rows.head(300), classes=CLASSES, task=task)
    assert found.method == "native pred_contrib" and found.largest_residual < 1e-9 and found.standard_error is None
    assert np.allclose(found.predictions, scores[:300], rtol=1e-12)
    assert found.link == ("logit" if task == "binary" else "identity")
    back = 1 / (1 + np.exp(-found.output)) if task == "binary" else found.output
    assert np.allclose(back, found.predictions, rtol=1e-12)
    assert set(found.features) <= set(rows.columns) and found.values.shape == (300, len(found.features))


def test_lightgbm_equals_tree_explainer(worker, tmp_path):
    import shap

    rows, value = mixed_table()
    inputs = rows.assign(town=rows.town.astype("category"), member=rows.member.astype(float))
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 7}, lightgbm.Dataset(inputs, value > 6), 20
    )
    booster.save_model(tmp_path / "m.txt")
    found = explain_scores(worker, tmp_path / "m.txt", rows, task="binary", classes=CLASSES)
    coded = inputs.assign(town=inputs.town.cat.codes.replace(-1, np.nan)).to_numpy(dtype=float)
    explainer = shap.TreeExplainer(booster)
    close(found.values, explainer.shap_values(coded), 1e-6)
    assert found.base_value == pytest.approx(float(np.ravel(explainer.expected_value)[-1]), rel=1e-6)
    assert np.allclose(found.predictions, booster.predict(inputs), rtol=1e-12)


def test_multiclass_log_scale_and_custom_scores_of_lightgbm_are_explained(worker, tmp_path):
    rows, value = mixed_table()
    inputs = rows.assign(town=rows.town.astype("category"))
    three = lightgbm.train(
        {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(inputs, np.digitize(value, [5, 7])),
        8,
    )
    three.save_model(tmp_path / "three.txt")
    found = explain_scores(worker, tmp_path / "three.txt", rows.head(50), task="multiclass", classes=("low", "mid", "high"))
    assert found.values.shape == (50, 3, 4) and found.link == "raw" and found.largest_residual < 1e-9
    raised = np.exp(found.output)
    assert np.allclose(raised / raised.sum(axis=1, keepdims=True), found.predictions)
    with pytest.raises(UsageError, match="does not fit the task"):
        predict_scores(worker, tmp_path / "three.txt", rows, task="binary", classes=CLASSES)
    counts = lightgbm.train({"objective": "poisson", "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(inputs, np.abs(value)), 8)
    counts.save_model(tmp_path / "counts.txt")
    found = explain_scores(worker, tmp_path / "counts.txt", rows.head(50), task="regression")
    assert found.link == "log" and np.allclose(np.exp(found.output), found.predictions)
    rooted = lightgbm.train(
        {"objective": "regression", "reg_sqrt": True, "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(inputs, np.abs(value)), 8
    )
    rooted.save_model(tmp_path / "rooted.txt")
    found = explain_scores(worker, tmp_path / "rooted.txt", rows.head(5), task="regression", background=rows.tail(20), permutations=2)
    assert (
        found.method == "shap permutation" and np.allclose(found.output, rooted.predict(inputs.head(5))) and found.largest_residual < 1e-9
    )


def test_a_category_that_the_model_never_saw_is_missing(worker):
    rows = pd.read_parquet(SAMPLE / "flights-late.predictions.parquet").head(3)
    unseen, null = rows.assign(carrier="<b>XX</b>"), rows.assign(carrier=None)
    artifact = SAMPLE / "flights-late.lightgbm.txt"
    both = [predict_scores(worker, artifact, each, classes=CLASSES, task="binary") for each in (unseen, null)]
    assert np.array_equal(*both)


def test_rows_without_the_models_features_are_refused(worker):
    rows = pd.read_parquet(SAMPLE / "flights-late.predictions.parquet").head(3)
    artifact = SAMPLE / "flights-late.lightgbm.txt"
    with pytest.raises(UsageError, match=r"lack features of the model.*no origin, rain_in"):
        predict_scores(worker, artifact, rows.drop(columns=["origin", "rain_in"]), classes=CLASSES, task="binary")
    with pytest.raises(UsageError, match=r"takes a number.*rain_in.*'wet'"):
        predict_scores(worker, artifact, rows.assign(rain_in="wet"), classes=CLASSES, task="binary")
    assert explain_scores(worker, artifact, rows.head(0), classes=CLASSES, task="binary").values.shape == (0, 20)


def test_xgboost_equals_its_own_contributions_and_tree_explainer(worker, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    import shap

    rows, value = mixed_table()
    inputs = rows.assign(town=rows.town.astype("category"), member=rows.member.astype(float))
    model = xgboost.XGBClassifier(n_estimators=20, n_jobs=1, max_depth=4, enable_categorical=True).fit(inputs, value > 6)
    for ending in ("json", "ubj"):
        model.save_model(tmp_path / f"m.{ending}")
        found = explain_scores(worker, tmp_path / f"m.{ending}", rows, task="binary", classes=CLASSES)
        theirs = model.get_booster().predict(xgboost.DMatrix(inputs, enable_categorical=True), pred_contribs=True)
        close(found.values, theirs[:, :-1], 1e-4)
        assert found.link == "logit" and found.largest_residual < 1e-4
        assert np.allclose(found.predictions, model.predict_proba(inputs)[:, 1], atol=1e-6)
    numeric = inputs.drop(columns="town")
    plain = xgboost.XGBRegressor(n_estimators=20, n_jobs=1, max_depth=4).fit(numeric, value)
    plain.save_model(tmp_path / "plain.json")
    found = explain_scores(worker, tmp_path / "plain.json", rows, task="regression")
    close(found.values, shap.TreeExplainer(plain).shap_values(numeric), 1e-4)
    three = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(numeric, np.digitize(value, [5, 7]))
    three.save_model(tmp_path / "three.json")
    found = explain_scores(worker, tmp_path / "three.json", rows, task="multiclass", classes=("0", "1", "2"))
    assert found.values.shape == (400, 3, 3) and np.allclose(found.predictions, three.predict_proba(numeric), atol=1e-6)


def test_linear_models_equal_linear_explainer(worker, tmp_path):
    import shap
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, value = numeric_table()
    background = rows.tail(80)
    for model, target, task in (
        (LinearRegression(), value, "regression"),
        (LogisticRegression(), np.where(value > 0, "yes", "no"), "binary"),
    ):
        model.fit(rows, target)
        theirs = shap.LinearExplainer(model, shap.maskers.Independent(background, max_samples=100))
        found = explain_scores(
            worker, save_skops(model, tmp_path / "m.skops"), rows, task=task, classes=("no", "yes"), background=background
        )
        close(found.values, theirs.shap_values(rows), 1e-6)
        assert found.base_value == pytest.approx(float(np.ravel(theirs.expected_value)[-1]), rel=1e-6)
        assert found.method == "shap linear" and found.background_rows == 80 and found.largest_residual < 1e-9
    assert np.allclose(found.predictions, model.predict_proba(rows)[:, 1])
    turned = explain_scores(worker, tmp_path / "m.skops", rows, task="binary", classes=("yes", "no"), background=background)
    assert np.allclose(turned.values, -found.values) and np.allclose(turned.predictions, 1 - found.predictions)
    assert np.allclose(1 / (1 + np.exp(-turned.output)), turned.predictions)
    scaled = make_pipeline(StandardScaler(), LinearRegression()).fit(rows, value)
    again = explain_scores(worker, save_skops(scaled, tmp_path / "s.skops"), rows, task="regression", background=background)
    plain = explain_scores(
        worker, save_skops(LinearRegression().fit(rows, value), tmp_path / "p.skops"), rows, task="regression", background=background
    )
    assert again.method == "shap linear" and np.allclose(again.values, plain.values, atol=1e-9)
    three = LogisticRegression().fit(rows, np.digitize(value, [-1, 1]))
    found = explain_scores(
        worker, save_skops(three, tmp_path / "t.skops"), rows, task="multiclass", classes=("2", "0", "1"), background=background
    )
    assert (
        found.values.shape == (400, 3, 4)
        and found.link == "raw"
        and np.allclose(found.predictions, three.predict_proba(rows)[:, [2, 0, 1]])
    )
    with pytest.raises(UsageError, match="explained against a background"):
        explain_scores(worker, tmp_path / "p.skops", rows, task="regression")


def test_trees_of_scikit_learn_equal_tree_explainer(worker, tmp_path):
    import shap
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier

    rows, value = numeric_table(200)
    for model, target, task, link in (
        (RandomForestClassifier(10, random_state=0), value > 0, "binary", "identity"),
        (GradientBoostingClassifier(n_estimators=10, random_state=0), value > 0, "binary", "logit"),
        (HistGradientBoostingRegressor(max_iter=10), value, "regression", "identity"),
    ):
        model.fit(rows, target)
        found = explain_scores(worker, save_skops(model, tmp_path / "m.skops"), rows, task=task, classes=CLASSES)
        theirs = shap.TreeExplainer(model).shap_values(rows)
        close(found.values, theirs[:, :, 1] if np.ndim(theirs) == 3 else theirs, 1e-6)
        assert (found.method, found.link) == ("shap tree", link) and found.largest_residual < 1e-6
        assert np.allclose(found.predictions, model.predict_proba(rows)[:, 1] if task == "binary" else model.predict(rows))


def test_models_without_exact_values_are_sampled_with_a_note(worker, tmp_path):
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier

    rows, value = numeric_table(200)
    three = np.digitize(value, [-1, 1])
    forest = RandomForestClassifier(5, n_jobs=-1, random_state=0).fit(rows, three)
    found = explain_scores(worker, save_skops(forest, tmp_path / "f.skops"), rows.head(9), task="multiclass", classes=("2", "1", "0"))
    assert found.method == "shap tree" and np.allclose(found.predictions, forest.predict_proba(rows.head(9))[:, ::-1])
    boosted = GradientBoostingClassifier(n_estimators=3).fit(rows, three)
    ask = lambda model, frame, **options: explain_scores(
        worker, save_skops(model, tmp_path / "m.skops"), frame, background=rows.head(4), permutations=2, **options
    )
    found = ask(boosted, rows.head(2), task="multiclass", classes=("0", "1", "2"))
    assert found.method == "shap permutation" and "no exact values" in found.note and found.values.shape == (2, 3, 4)
    exponential = GradientBoostingClassifier(loss="exponential", n_estimators=3).fit(rows, value > 0)
    found = ask(exponential, rows.head(2), task="binary", classes=CLASSES)
    assert found.method == "shap permutation" and np.allclose(found.predictions, exponential.predict_proba(rows.head(2))[:, 1])
    towns = rows.assign(town=pd.Categorical(["u", "v"] * 100))
    model = HistGradientBoostingRegressor(max_iter=3, categorical_features="from_dtype").fit(towns, value)
    assert np.allclose(
        predict_scores(worker, save_skops(model, tmp_path / "h.skops"), towns, task="regression", classes=()), model.predict(towns)
    )
    averaged = lightgbm.train(
        {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5, "verbosity": -1, "num_threads": 1},
        lightgbm.Dataset(rows, value),
        10,
    )
    averaged.save_model(tmp_path / "a.txt")
    found = explain_scores(worker, tmp_path / "a.txt", rows, task="regression")
    assert found.method == "native pred_contrib" and np.allclose(found.output, averaged.predict(rows)) and found.largest_residual < 1e-9


def exact_shapley(score, row, background):
    """Shapley values by their definition: over all subsets of the features, averaged over the background rows."""
    names = list(row)
    worth = {}
    for size in range(len(names) + 1):
        for kept in itertools.combinations(names, size):
            worth[kept] = score(background.assign(**{name: [row[name]] * len(background) for name in kept})).mean()
    values = []
    for name in names:
        rest = [each for each in names if each != name]
        total = 0.0
        for size in range(len(names)):
            weight = math.factorial(size) * math.factorial(len(names) - size - 1) / math.factorial(len(names))
            for kept in itertools.combinations(rest, size):
                joined = tuple(each for each in names if each in kept or each == name)
                total += weight * (worth[joined] - worth[kept])
        values.append(total)
    return np.array(values)


def test_sampled_values_are_within_two_standard_errors_of_exact_ones(worker, tmp_path):
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows, value = mixed_table(300, seed=4)
    rows = rows.assign(income=rows.income.fillna(1.0), town=rows.town.fillna("c"), member=rows.member.astype(float))
    coding = ColumnTransformer([("town", OneHotEncoder(), ["town"])], remainder="passthrough")
    model = make_pipeline(coding, MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, solver="lbfgs", random_state=0)).fit(rows, value)
    artifact, background = save_skops(model, tmp_path / "m.skops"), rows.tail(12)
    asked = rows.head(6)
    exact = np.array([exact_shapley(model.predict, row, background) for row in asked.to_dict("records")])
    found = explain_scores(worker, artifact, asked, task="regression", background=background, permutations=16, seed=3)
    assert found.method == "shap permutation" and found.largest_residual < 1e-9 and found.background_rows == 12
    away = np.abs(found.values - exact) / np.maximum(found.standard_error, 1e-9)
    assert (away <= 2).mean() >= 0.9 and away.max() < 4
    again = explain_scores(worker, artifact, asked.iloc[2:4], task="regression", background=background, permutations=16, seed=3)
    assert np.allclose(again.values, found.values[2:4], atol=1e-12)
    added = make_pipeline(coding, LinearRegression()).fit(rows, value)
    found = explain_scores(worker, save_skops(added, tmp_path / "l.skops"), asked, task="regression", background=background, permutations=2)
    exact = np.array([exact_shapley(added.predict, row, background) for row in asked.to_dict("records")])
    assert np.allclose(found.values, exact, atol=1e-9) and found.standard_error.max() < 1e-9


def test_onnx_models_are_explained_by_sampling(worker, tmp_path):
    pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows, value = numeric_table()
    plain = LinearRegression().fit(rows.to_numpy(), value)
    (tmp_path / "m.onnx").write_bytes(skl2onnx.to_onnx(plain, rows.to_numpy(dtype=np.float32)[:1]).SerializeToString())
    found = explain_scores(worker, tmp_path / "m.onnx", rows.head(5), task="regression", background=rows.tail(30), permutations=2)
    exact = (rows.head(5) - rows.tail(30).mean()).to_numpy() * plain.coef_
    assert np.allclose(found.values, exact, atol=1e-5) and "does not name its features" in found.note
    rows, value = mixed_table()
    rows = rows.assign(income=rows.income.fillna(0.0), town=rows.town.fillna("none")).drop(columns="member")
    model = make_pipeline(ColumnTransformer([("t", OneHotEncoder(), ["town"])], remainder="passthrough"), LogisticRegression(max_iter=2000))
    model.fit(rows, np.where(value > 6, "yes", "no"))
    kinds = [("age", FloatTensorType([None, 1])), ("income", FloatTensorType([None, 1])), ("town", StringTensorType([None, 1]))]
    (tmp_path / "t.onnx").write_bytes(skl2onnx.to_onnx(model, initial_types=kinds).SerializeToString())
    scores = predict_scores(worker, tmp_path / "t.onnx", rows, task="binary", classes=("no", "yes"))
    assert np.allclose(scores, model.predict_proba(rows)[:, 1], atol=1e-5)
    with pytest.raises(UsageError, match="other classes"):
        predict_scores(worker, tmp_path / "t.onnx", rows, task="binary", classes=("0", "1"))


def test_the_notes_are_json_and_progress_rises(worker):
    said = []
    rows = pd.read_parquet(SAMPLE / "flights-late.predictions.parquet").head(repeats(600, 3000))
    found = explain_scores(
        worker,
        SAMPLE / "flights-late.lightgbm.txt",
        rows,
        classes=CLASSES,
        task="binary",
        progress=lambda share, text: said.append((share, text)),
    )
    assert said and said == sorted(said) and all(0 <= share <= 1 for share, _ in said)
    assert json.dumps([found.method, found.link, found.note, found.background, found.network_blocked])
