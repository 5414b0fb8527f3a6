"""Callbacks record training runs of real libraries: LightGBM, XGBoost, scikit-learn and Optuna here, the others with stand-ins that have
the same interface.

tests/client/callbacks_for_real.py runs the other callbacks with their libraries, if they are installed.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import observability as obs
from observability.client import callbacks

Records = Callable[[], list[dict]]


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 3))
    return inputs, (inputs[:, 0] + rng.normal(size=300) > 0).astype(int)


def of_kind(records: Records, kind: str) -> list[dict]:
    return [record for record in records() if record["kind"] == kind]


def test_lightgbm_records_each_tree(tmp_path: Path, records: Records, rows: tuple) -> None:
    import lightgbm

    inputs, labels = rows
    train = lightgbm.Dataset(inputs[:200], labels[:200])
    kept: dict = {}
    params = {"objective": "binary", "metric": ["auc", "binary_logloss"], "verbose": -1, "num_threads": 1, "num_leaves": 4}
    with obs.track_run(model="loan", home=tmp_path, params=params) as run:
        lightgbm.train(
            params,
            train,
            7,
            valid_sets=[train, lightgbm.Dataset(inputs[200:], labels[200:], reference=train)],
            valid_names=["train", "valid"],
            callbacks=[callbacks.lightgbm_callback(run, every=2), lightgbm.record_evaluation(kept)],
        )
    steps = of_kind(records, "step")
    assert [step["step"] for step in steps] == [2, 4, 6, 7]
    assert steps[1]["metrics"] == {f"{part}/{name}": values[3] for part, metrics in kept.items() for name, values in metrics.items()}
    assert of_kind(records, "run")[-1]["metrics"]["valid/auc"] == kept["valid"]["auc"][-1]


def test_lightgbm_stops_early_with_the_callback(tmp_path: Path, records: Records, rows: tuple) -> None:
    import lightgbm

    inputs, labels = rows
    train = lightgbm.Dataset(inputs[:200], labels[:200])
    noise = lightgbm.Dataset(inputs[200:], np.random.default_rng(1).integers(0, 2, 100), reference=train)
    with obs.track_run(model="loan", home=tmp_path) as run:
        model = lightgbm.train(
            {"objective": "binary", "verbose": -1, "num_threads": 1},
            train,
            50,
            valid_sets=[noise],
            callbacks=[lightgbm.early_stopping(2, verbose=False), callbacks.lightgbm_callback(run)],
        )
    assert len(of_kind(records, "step")) == model.best_iteration + 2 < 50
    assert of_kind(records, "run")[-1]["status"] == "finished"


def test_xgboost_records_each_round(tmp_path: Path, records: Records, rows: tuple) -> None:
    import xgboost

    inputs, labels = rows
    kept: dict = {}
    train, valid = xgboost.DMatrix(inputs[:200], labels[:200]), xgboost.DMatrix(inputs[200:], labels[200:])
    with obs.track_run(model="loan", home=tmp_path) as run:
        xgboost.train(
            {"objective": "binary:logistic", "eval_metric": ["auc", "logloss"], "nthread": 1, "max_depth": 2},
            train,
            5,
            evals=[(train, "train"), (valid, "valid")],
            evals_result=kept,
            verbose_eval=False,
            callbacks=[callbacks.xgboost_callback(run)],
        )
    steps = of_kind(records, "step")
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5]
    assert steps[2]["metrics"] == {f"{part}/{name}": values[2] for part, metrics in kept.items() for name, values in metrics.items()}
    assert of_kind(records, "run")[-1]["metrics"] == steps[-1]["metrics"]


def test_scikit_learn_records_the_loss_curve_kept_by_an_estimator(tmp_path: Path, records: Records, rows: tuple) -> None:
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs, labels = rows
    boosted = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=4, max_depth=2)).fit(inputs, labels)
    fast = HistGradientBoostingClassifier(max_iter=3, early_stopping=True, max_leaf_nodes=4).fit(inputs, labels)
    with obs.track_run(model="loan", home=tmp_path) as run:
        assert callbacks.record_fit(run, boosted, accuracy=boosted.score(inputs, labels)) == 4
        assert callbacks.record_fit(run, fast) == len(fast.train_score_)
        assert callbacks.record_fit(run, LogisticRegression().fit(inputs, labels)) == 0
    steps = of_kind(records, "step")
    assert [step["metrics"] for step in steps[:4]] == [{"train/loss": value} for value in boosted[-1].train_score_]
    assert steps[4]["metrics"] == {"train/score": fast.train_score_[0], "validation/score": fast.validation_score_[0]}
    assert of_kind(records, "run")[-1]["metrics"] == {"accuracy": boosted.score(inputs, labels)}


def test_each_candidate_of_a_search_is_a_run_of_the_study(tmp_path: Path, records: Records, rows: tuple) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3, return_train_score=True).fit(*rows)
    runs = callbacks.record_search(search, obs.Logger(tmp_path), study="grid", model="loan")
    starts, ends = ([record for record in of_kind(records, "run") if record["event"] == event] for event in ("start", "end"))
    assert [start["run"] for start in starts] == runs
    assert [start["params"] for start in starts] == [{"C": 0.1}, {"C": 1.0}]
    assert [end["metrics"]["test_score"] for end in ends] == search.cv_results_["mean_test_score"].tolist()
    assert {record["study"] for record in starts + ends} == {"grid"}


def test_an_ended_trial_of_optuna_is_a_run_of_its_study(tmp_path: Path, records: Records) -> None:
    began = datetime(2026, 1, 2, 3, tzinfo=UTC)
    trial = SimpleNamespace(
        number=4,
        params={"x": 0.5},
        values=[1.5],
        intermediate_values={1: 3.0, 0: 4.0},
        state=SimpleNamespace(name="PRUNED"),
        user_attrs={},
        datetime_start=began,
        datetime_complete=began + timedelta(seconds=9),
    )
    note = callbacks.optuna_callback(obs.Logger(tmp_path), model="loan")
    study = SimpleNamespace(study_name="search", metric_names=None, directions=[SimpleNamespace(name="MINIMIZE")])
    note(study, trial)
    trial.state, trial.values, trial.number, study.metric_names = SimpleNamespace(name="FAIL"), None, 5, ["loss"]
    note(study, trial)
    start, first, second, end, *others = records()
    assert (start["at"], start["params"], start["study"], start["trial"]) == ("2026-01-02T03:00:00.000000Z", {"x": 0.5}, "search", 4)
    assert [first["metrics"], second["metrics"]] == [{"objective": 4.0}, {"objective": 3.0}]
    assert (end["status"], end["metrics"], end["at"]) == ("pruned", {"objective": 1.5}, "2026-01-02T03:00:09.000000Z")
    assert others[-1]["status"] == "failed" and others[0]["run"] != start["run"]


def test_each_trial_of_a_real_study_is_a_run(tmp_path: Path, records: Records) -> None:
    import optuna

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1, 1)
        for step in range(3):
            trial.report(x**2 + step, step)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("this one breaks")
        return x**2

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = optuna.create_study(study_name="search", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(objective, n_trials=4, callbacks=[callbacks.optuna_callback(obs.Logger(tmp_path), model="loan")], catch=(ValueError,))
    runs = of_kind(records, "run")
    starts, ends = ([each for each in runs if each["event"] == event] for event in ("start", "end"))
    assert [each["params"] for each in starts] == [trial.params for trial in study.trials] and len({each["run"] for each in starts}) == 4
    assert [each["status"] for each in ends] == ["finished", "pruned", "failed", "finished"]
    assert ends[3]["metrics"] == {"objective": study.trials[3].value}
    assert [each["metrics"]["objective"] for each in of_kind(records, "step")[-3:]] == list(study.trials[3].intermediate_values.values())


def test_a_study_gives_the_same_runs_by_callback_and_by_import(tmp_path: Path, records: Records) -> None:
    from tests.support.imported_items import FIXTURES, read_items

    imported = [dict(item.record) for item in read_items("optuna", FIXTURES / "optuna.log") if hasattr(item, "record")]
    start = next(each for each in imported if each.get("trial") == 0 and each["study"] == "loan search")
    of_run = [each for each in imported if each["run"] == start["run"]]
    trial = SimpleNamespace(
        number=0,
        params=start["params"],
        values=list(of_run[-1]["metrics"].values()),
        intermediate_values={each["step"]: each["metrics"]["objective"] for each in of_run if each["kind"] == "step"},
        state=SimpleNamespace(name="COMPLETE"),
        user_attrs=start["attributes"],
        datetime_start=datetime.fromisoformat(start["at"]).astimezone().replace(tzinfo=None),  # a local time without a zone, as from Optuna
        datetime_complete=datetime.fromisoformat(of_run[-1]["at"]).astimezone().replace(tzinfo=None),
    )
    study = SimpleNamespace(study_name="loan search", metric_names=None, directions=[SimpleNamespace(name="MINIMIZE")])
    callbacks.optuna_callback(obs.Logger(tmp_path))(study, trial)
    assert records() == of_run


def test_a_custom_training_loop_records_each_epoch(tmp_path: Path, records: Records) -> None:
    with obs.track_run(home=tmp_path) as run:
        callbacks.record_epochs(run, range(3), lambda epoch: {"loss": np.float32(1 / (epoch + 1)), "note": "text", "rank": 2, "none": None})
    assert [step["metrics"] for step in of_kind(records, "step")] == [{"loss": float(np.float32(1 / k)), "rank": 2.0} for k in (1, 2, 3)]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A module with one empty base class, as a stand-in for a library."""

    def put(module: str, base: str) -> None:
        parts = module.split(".")
        for place in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:place]), ModuleType(".".join(parts[:place])))
        setattr(sys.modules[module], base, type(base, (), {}))

    return put


def test_lightning_records_epochs_and_validations(tmp_path: Path, records: Records, stand_in: Callable) -> None:
    stand_in("lightning.pytorch", "Callback")
    trainer = SimpleNamespace(sanity_checking=True, callback_metrics={"val_loss": 2}, global_step=0, global_rank=1, world_size=2)
    with obs.track_run(home=tmp_path) as run:
        callback = callbacks.lightning_callback(run)
        callback.on_validation_end(trainer, None)
        trainer.sanity_checking, trainer.global_step = False, 10
        callback.on_validation_end(trainer, None)
        trainer.callback_metrics = {"loss": 1, "val_loss": 2}
        callback.on_train_epoch_end(trainer, None)
    steps = of_kind(records, "step")
    assert [(step["step"], step["rank"], step["metrics"]) for step in steps] == [
        (10, 1, {"val_loss": 2.0}),
        (10, 1, {"loss": 1.0, "val_loss": 2.0}),
    ]


def test_keras_records_epochs(tmp_path: Path, records: Records, stand_in: Callable) -> None:
    stand_in("keras.callbacks", "Callback")
    with obs.track_run(home=tmp_path) as run:
        callback = callbacks.keras_callback(run)
        callback.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.6})
        callback.on_epoch_end(1, None)
    (step,) = of_kind(records, "step")
    assert (step["step"], step["metrics"]) == (1, {"loss": 0.5, "val_loss": 0.6})


def test_transformers_records_log_entries_of_the_first_process(tmp_path: Path, records: Records, stand_in: Callable) -> None:
    stand_in("transformers", "TrainerCallback")
    with obs.track_run(home=tmp_path) as run:
        callback = callbacks.transformers_callback(run)
        state = SimpleNamespace(is_world_process_zero=True, global_step=5)
        callback.on_log(None, state, None, logs={"loss": 0.4, "epoch": 0.5})
        callback.on_log(None, state, None, logs={"train_runtime": 9.0, "train_loss": 0.3})
        callback.on_log(None, SimpleNamespace(is_world_process_zero=False, global_step=5), None, logs={"loss": 0.4})
    (step,) = of_kind(records, "step")
    assert (step["step"], step["metrics"]) == (5, {"loss": 0.4, "epoch": 0.5})
    assert of_kind(records, "run")[-1]["metrics"] == {"train_runtime": 9.0, "train_loss": 0.3}


def test_values_that_are_no_numbers_are_left_out() -> None:
    class Broken:
        def __float__(self) -> float:
            raise RuntimeError("device lost")

    given = {"a": np.float64(1), "b": "2", "c": None, "d": True, "e": np.zeros(3), "f": Broken(), "g": float("nan")}
    assert callbacks.metric_numbers(given, "x/").keys() == {"x/a", "x/g"}
