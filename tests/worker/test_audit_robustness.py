"""Attacks agree with exhaustive search on trees, and respect features that are locked, may change in one direction only, or cost more. Rows
with noise are measured too.
"""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.worker.audit_robustness_job import attack_rows, change_texts, disturb_rows
from observability.worker.text_changes import CHANGES
from tests.support.length import some
from tests.support.worker_models import mixed_table, save_skops

FREE: list[dict[str, Any]] = [
    {"name": "age", "kind": "number", "low": 5.0, "high": 75.0, "decimals": 1, "scale": 10.0},
    {"name": "income", "kind": "number", "low": 0.5, "high": 200.0, "decimals": 2, "scale": 20.0},
    {"name": "town", "kind": "category", "levels": ["a", "b", "c"]},
    {"name": "member", "kind": "boolean", "levels": [False, True]},
]
ARGUMENTS: dict[str, Any] = {"task": "binary", "classes": ["0", "1"], "kind": "lightgbm", "threshold": 0.5, "tolerance": 0.0}


def quiet(_share: float, _text: str) -> None:
    """Ignore progress reports."""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, lightgbm.Booster, pd.DataFrame, np.ndarray]:
    rows, value = mixed_table(500)
    label = (value > np.median(value)).astype(float)
    inputs = rows.assign(town=pd.Categorical(rows.town), member=rows.member.astype(float))
    params = {"objective": "binary", "num_leaves": 6, "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(inputs, label), num_boost_round=15)
    path = tmp_path_factory.mktemp("model") / "model.txt"
    booster.save_model(path)
    return path, booster, rows, label


def attacked(path: Path, rows: pd.DataFrame, real: pd.DataFrame, free: list[dict[str, Any]], **other: Any) -> Any:
    return attack_rows({"rows": rows, "real": real}, {**ARGUMENTS, "free": free, **other}, {"model": path}, quiet)


def test_changes_of_one_feature_of_trees_are_the_cheapest_of_all_values(trees: Any) -> None:
    path, booster, rows, _ = trees
    some = rows.head(12).reset_index(drop=True)
    found = attacked(path, some, rows, FREE)
    assert found.values["exact"]
    levels = pd.Categorical(rows.town).categories

    def scored(table: pd.DataFrame) -> np.ndarray:
        inputs = table.assign(town=pd.Categorical(table.town, categories=levels), member=table.member.astype(float))
        return np.asarray(booster.predict(inputs))

    before = scored(some) >= 0.5
    for place in range(len(some)):
        best = np.inf
        every = {"age": np.round(np.arange(5, 75.05, 0.1), 1), "income": np.round(np.arange(0.5, 200.005, 0.01), 2)}
        for name, scale in (("age", 10.0), ("income", 20.0)):
            own = some[name][place]
            if np.isnan(own):
                continue
            table = some.iloc[np.full(len(every[name]), place)].assign(**{name: every[name]})
            hit = (scored(table) >= 0.5) != before[place]
            best = min([best, *(np.abs(every[name][hit] - own) / scale)])
        for name, values in (("town", ["a", "b", "c"]), ("member", [False, True])):
            for value in values:
                if some[name][place] is not None and value != some[name][place]:
                    table = some.iloc[[place]].assign(**{name: pd.Series([value], dtype=some[name].dtype, index=[place])})
                    best = min(best, 1.0 if (scored(table)[0] >= 0.5) != before[place] else np.inf)
        assert found.frames["found"]["single"][place] == pytest.approx(best, abs=1e-9)
    assert (found.frames["found"]["any"] <= found.frames["found"]["single"] + 1e-9).all()


def test_locks_directions_and_costs_are_kept(trees: Any) -> None:
    path, _, rows, _ = trees
    some = rows.dropna().head(60).reset_index(drop=True)
    free = [{**FREE[0], "direction": "up"}, {**FREE[1], "cost": 5.0}]
    found = attacked(path, some, rows, free)
    changed = [each["any"] for each in found.values["changes"]]
    assert {name for each in changed for name in each} == {"age", "income"}
    assert all(after > before for each in changed for name, (before, after) in each.items() if name == "age")
    for each, cost in zip(changed, found.frames["found"]["any"]):
        if each:
            sizes = {name: abs(after - before) for name, (before, after) in each.items()}
            assert cost == pytest.approx(sizes.get("age", 0) / 10 + 5 * sizes.get("income", 0) / 20)
    assert np.isfinite(found.frames["found"]["any"]).any()
    nothing = attacked(path, some, rows, [])
    assert np.isinf(nothing.frames["found"][["single", "any"]].to_numpy()).all()


@pytest.mark.parametrize("levels", [[False, True], [True, False]])
def test_a_boolean_changes_only_in_its_allowed_direction(trees: Any, levels: list[bool]) -> None:
    """False to true counts as up, whichever level is more frequent."""
    path, _, rows, _ = trees
    ways = {}
    for direction in ("both", "up", "down"):
        found = attacked(path, rows, rows, [{**FREE[3], "levels": levels, "direction": direction}])
        ways[direction] = [
            {tuple(each["member"]) for changes in found.values["changes"] if (each := changes[name])} for name in ("single", "any")
        ]
    rises, falls = {(False, True)}, {(True, False)}
    assert ways == {"both": [rises | falls] * 2, "up": [rises] * 2, "down": [falls] * 2}


DRAWN: list[dict[str, Any]] = [
    {"name": "age", "kind": "number", "low": 20.0, "high": 60.0, "decimals": 1, "scale": 10.0},
    {"name": "account", "kind": "number", "low": 90_000_000.0, "high": 90_000_200.0, "decimals": 1, "scale": 50.0},
]
"""Single precision can represent only every eighth whole number of `account`, so the answer does not change exactly at a threshold.
"""


def drawn_rows(n: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"age": rng.uniform(20, 60, n).round(1), "account": 9e7 + rng.uniform(0, 200, n).round(1)})
    value = (rows.age - 40) / 10 + (rows.account - 9e7 - 100) / 50 + rng.normal(0, 0.5, n)
    return rows, value.to_numpy()


def saved_forest(name: str, folder: Path) -> tuple[Path, str, Any]:
    """A file with a small forest of a library, its kind, and the library's prediction of the probability of 1."""
    rows, value = drawn_rows(500)
    label = (value > 0).astype(int)
    if name == "xgboost":
        import xgboost

        params = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1, "max_bin": 64}
        booster = xgboost.train(params, xgboost.DMatrix(rows, label), num_boost_round=8)
        booster.save_model(folder / "model.json")
        return folder / "model.json", "xgboost", lambda table: booster.predict(xgboost.DMatrix(table))
    from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    forest = RandomForestClassifier(7, max_depth=4, random_state=0)
    models = {
        "forest": forest,
        "extra trees": ExtraTreesClassifier(7, max_depth=4, random_state=0),
        "boosting": GradientBoostingClassifier(n_estimators=8, max_depth=2, random_state=0),
        "histogram boosting": HistGradientBoostingClassifier(max_iter=8, max_leaf_nodes=6, random_state=0),
        "scaled forest": make_pipeline(StandardScaler(), forest),
    }
    model = models[name].fit(rows, label)
    return save_skops(model, folder / "model.skops"), "skops", lambda table: model.predict_proba(table)[:, 1]


@pytest.mark.parametrize("name", some(["xgboost", "forest", "extra trees", "boosting", "histogram boosting", "scaled forest"], 3))
def test_changes_of_one_feature_of_other_forests_are_the_cheapest_of_all_values(name: str, tmp_path: Path) -> None:
    """The library itself scores all values with the decimals of the reference, and at the named change its answer differs."""
    path, kind, predicted = saved_forest(name, tmp_path)
    rows, _ = drawn_rows(500)
    some = rows.head(25)
    found = attacked(path, some, rows, DRAWN, kind=kind)
    assert found.values["exact"]
    before = predicted(some) >= 0.5
    best = np.full(len(some), np.inf)
    for feature in DRAWN:
        every = np.round(np.arange(feature["low"], feature["high"] + 0.05, 0.1), 1)
        for place in range(len(some)):
            table = some.iloc[np.full(len(every), place)].assign(**{feature["name"]: every})
            flips = every[(predicted(table) >= 0.5) != before[place]]
            best[place] = min([best[place], *np.abs(flips - some[feature["name"]][place]) / feature["scale"]])
    assert np.isfinite(best).sum() >= 10
    assert found.frames["found"]["single"].to_numpy() == pytest.approx(best, abs=1e-9)
    for place, each in enumerate(found.values["changes"]):
        if each["single"]:
            other = some.iloc[[place]].assign(**{changed: float(after) for changed, (_, after) in each["single"].items()})
            assert (predicted(other)[0] >= 0.5) != before[place]


def test_trees_whose_score_is_not_constant_between_thresholds_are_not_called_exact(tmp_path: Path) -> None:
    """Examples are leaves with a linear model, and a number that is split by category."""
    rows, value = drawn_rows(400)
    linear = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1, "linear_tree": True}
    lightgbm.train(linear, lightgbm.Dataset(rows, value > 0), num_boost_round=3).save_model(tmp_path / "linear.txt")
    assert not attacked(tmp_path / "linear.txt", rows.head(3), rows, DRAWN).values["exact"]
    coded = rows.assign(age=np.floor(rows.age / 10), account=rows.account - 9e7)
    listed = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1, "min_data_per_group": 5, "cat_smooth": 1}
    data = lightgbm.Dataset(coded, coded.age.isin([2, 4]), categorical_feature=["age"])
    lightgbm.train(listed, data, num_boost_round=3).save_model(tmp_path / "coded.txt")
    free = [{**DRAWN[0], "low": 2.0, "high": 6.0, "decimals": 0}]
    found = attacked(tmp_path / "coded.txt", coded.head(10), coded, free)
    assert not found.values["exact"] and np.isfinite(found.frames["found"]["single"]).any()


def test_every_named_change_of_another_artifact_gives_another_answer(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(4)
    table = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    model = LogisticRegression().fit(table, table.a + table.b > 0)
    path = save_skops(model, tmp_path / "model.skops")
    free = [{"name": name, "kind": "number", "low": -4.0, "high": 4.0, "decimals": 3, "scale": 1.0} for name in ("a", "b")]
    some = table.head(25)
    found = attacked(path, some, table, free, kind="skops")
    assert not found.values["exact"]
    weights, offset = model.coef_[0], model.intercept_[0]
    margin = np.abs(some.to_numpy() @ weights + offset)
    # The cheapest change moves only the feature with the larger weight.
    assert found.frames["found"]["any"].to_numpy() == pytest.approx(margin / np.abs(weights).max(), rel=0.25, abs=0.01)
    for place, each in enumerate(found.values["changes"]):
        other = some.iloc[[place]].assign(**{name: after for name, (_, after) in each["any"].items()})
        assert model.predict(other)[0] != model.predict(some.iloc[[place]])[0]


def test_noise_and_absence_cost_accuracy_and_the_most_needed_feature_comes_first(trees: Any) -> None:
    path, _, rows, label = trees
    given = {**ARGUMENTS, "free": FREE, "levels": [0.1, 2.0], "labels": label.tolist(), "seed": 0}
    found = disturb_rows({"rows": rows}, given, {"model": path}, quiet)
    right = found.frames["right"].mean()
    assert right["clean"] > 0.85 > right["noise/2"] and right["noise/0.1"] > right["noise/2"]
    assert sorted(found.values["order"]) == sorted(rows.columns) and found.values["filled"] == []
    assert right["without/4"] < right["clean"] - 0.2 and list(found.frames["right"])[-1] == "without/4"


def test_texts_are_changed_and_scored_through_the_vectoriser_of_the_file() -> None:
    from sample_data.texts import TextService

    artifact = Path(__file__).parents[2] / "sample_data" / "sentiment.skops"
    service = TextService(artifact, 12)
    texts = ["What a nice day, I love it", "I hate this awful weather", "The meeting begins at noon"]
    rows = pd.DataFrame([service.answer(text)[0] for text in texts])
    given = {
        "task": "multiclass",
        "classes": ["negative", "neutral", "positive"],
        "kind": "skops",
        "threshold": 0.5,
        "tolerance": 0.0,
        "seed": 1,
    }
    given |= {"labels": [2, 0, 1], "texts": texts, "feature": None}
    found = change_texts({"rows": rows}, given, {"model": artifact}, quiet)
    assert list(found.frames["flipped"]) == list(CHANGES) and len(found.frames["right"]) == 3
    assert found.frames["flipped"]["lower case"].sum() == 0  # the model's vectoriser ignores case
    assert all(name.startswith("component_") for name in found.values["through"])
    typed = CHANGES["2 typos"](texts[0], np.random.default_rng(0))
    assert typed != texts[0] and sorted(typed) == sorted(texts[0])
    assert CHANGES["synonyms"]("Good film", np.random.default_rng(0)) == "Fine film"


@pytest.mark.filterwarnings("ignore")
def test_the_search_finds_cheaper_changes_than_hop_skip_jump_on_the_same_model(tmp_path: Path) -> None:
    """adversarial-robustness-toolbox minimises the Euclidean distance. Both are compared by the sum of the changes, and by how many answers
    stay right.
    """
    pytest.importorskip("art", reason="an oracle of the tests")
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifier

    rng = np.random.default_rng(6)
    table = pd.DataFrame(rng.normal(size=(600, 4)), columns=list("abcd"))
    label = (table.a + table.b * table.c + rng.normal(0, 0.3, 600) > 0).to_numpy(float)
    params = {"objective": "binary", "num_leaves": 8, "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(table, label), num_boost_round=20)
    booster.save_model(tmp_path / "model.txt")
    low, high = float(table.min().min()), float(table.max().max())
    free = [{"name": name, "kind": "number", "low": low, "high": high, "decimals": 4, "scale": 1.0} for name in table]
    some = table.head(20)
    ours = attacked(tmp_path / "model.txt", some, table, free).frames["found"]["any"].to_numpy()

    def predict(rows: np.ndarray) -> np.ndarray:
        positive = booster.predict(rows) >= 0.5
        return np.column_stack([~positive, positive]).astype(np.float32)

    np.random.seed(0)
    model = BlackBoxClassifier(predict, (4,), 2, clip_values=(low, high))
    attack = HopSkipJump(model, norm=2, max_iter=10, max_eval=300, init_eval=30, verbose=False)
    changed = attack.generate(some.to_numpy(np.float32))
    flipped = predict(changed).argmax(axis=1) != predict(some.to_numpy()).argmax(axis=1)
    theirs = np.where(flipped, np.abs(changed - some.to_numpy()).sum(axis=1), np.inf)
    assert np.isfinite(ours).all() and flipped.mean() >= 0.9
    assert (ours <= 1.02 * theirs).mean() >= 0.95, "the accuracy that remains at a cost is not above that of the library"
