"""An overfitted model reveals its members, and a regularised one reveals them less. Shadow models use the parameters of the model file, and
the comparison value without the model is fair.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.stats import norm, spearmanr
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from observability.core.errors import UsageError
from observability.stats.exposure import attack_curve, attack_true_positive_rate, likelihood_ratios
from observability.worker.audit_membership_job import (
    learning_parameters,
    membership_without_model,
    shadow_confidences,
    shadow_hindrance,
    truth_confidences,
)
from tests.support.length import some

ROWS = 500
LOOSE = {"num_leaves": 63, "min_data_in_leaf": 1, "learning_rate": 0.3, "min_data_in_bin": 1}
STRICT = {"num_leaves": 4, "min_data_in_leaf": 60, "learning_rate": 0.05, "lambda_l2": 200.0}
OF_SACRO = [(LOOSE, 0.955), (STRICT, 0.517)]
"""Parameters of the attacked model, and the AUC of SACRO-ML 2.0 (LiRA, with one spread for all confidences) with the same 16 shadow models.
"""


def quiet(_share: float, _text: str) -> None:
    """Ignore progress reports."""


@pytest.fixture(scope="module")
def records() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    rows = pd.DataFrame(rng.normal(size=(2 * ROWS, 6)), columns=list("abcdef"))
    label = (rows.a + rows.b + rng.normal(0, 1.5, 2 * ROWS) > 0).to_numpy(float)
    return rows, label, np.repeat([1.0, 0.0], ROWS)


def fitted(records: Any, path: Path, params: dict[str, Any]) -> Path:
    rows, label, members = records
    given = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1, **params}
    data = lightgbm.Dataset(rows[members == 1], label[members == 1])
    lightgbm.train(given, data, num_boost_round=40).save_model(path)
    return path


def arguments(records: Any, **other: Any) -> dict[str, Any]:
    return {"task": "binary", "classes": ["0", "1"], "kind": "lightgbm", "labels": records[1].tolist(), **other}


def attacked(records: Any, path: Path, shadows: int = 8) -> tuple[np.ndarray, np.ndarray]:
    frames, files = {"rows": records[0]}, {"model": path}
    own = truth_confidences(frames, arguments(records), files, quiet).frames["found"]["confidence"].to_numpy()
    every = [shadow_confidences(frames, arguments(records, seed=seed), files, quiet).frames["found"] for seed in range(shadows)]
    confidence, inside = (np.array([each[name] for each in every]) for name in ("confidence", "inside"))
    return own, likelihood_ratios(own, np.where(inside == 1, confidence, np.nan), np.where(inside == 1, np.nan, confidence))


def test_an_overfitted_model_is_more_exposed_than_a_regularised_one(records: Any, tmp_path: Path) -> None:
    members = records[2] == 1
    found = {}
    for name, params in (("loose", LOOSE), ("strict", STRICT)):
        own, ratio = attacked(records, fitted(records, tmp_path / f"{name}.txt", params))
        curve = attack_curve(ratio[members], ratio[~members])
        assert curve.auc.value == pytest.approx(roc_auc_score(members, ratio), abs=1e-12)
        found[name] = (curve.auc, attack_true_positive_rate(ratio[members], ratio[~members], 0.01), roc_auc_score(members, own))
    loose, strict = found["loose"], found["strict"]
    assert loose[0].low > strict[0].high and loose[0].value > 0.95 and strict[0].value < 0.65
    assert loose[1].low > strict[1].high
    assert loose[2] > strict[2]


@pytest.mark.parametrize(("params", "theirs"), OF_SACRO, ids=["overfitted", "regularised"])
def test_the_attack_finds_as_much_as_the_recorded_result_of_sacro(
    records: Any, tmp_path: Path, params: dict[str, Any], theirs: float
) -> None:
    _, ours = attacked(records, fitted(records, tmp_path / "model.txt", params), shadows=16)
    assert roc_auc_score(records[2], ours) == pytest.approx(theirs, abs=0.01)


def test_shadow_models_take_the_parameters_of_the_file_and_half_of_the_records(records: Any, tmp_path: Path) -> None:
    path = fitted(records, tmp_path / "model.txt", {**STRICT, "bagging_fraction": 0.7, "bagging_freq": 1})
    found = shadow_confidences({"rows": records[0]}, arguments(records, seed=3), {"model": path}, quiet)
    assert found.values["rounds"] == 40 and found.frames["found"]["inside"].sum() == ROWS
    parameters = learning_parameters(path)
    assert {name: parameters[name] for name in ("num_leaves", "min_data_in_leaf", "lambda_l2", "bagging_fraction")} == {
        "num_leaves": 4, "min_data_in_leaf": 60, "lambda_l2": 200, "bagging_fraction": 0.7,
    }  # fmt: skip
    short = tmp_path / "short.txt"
    short.write_text(path.read_text().partition("\nparameters:")[0] + "\n")
    with pytest.raises(UsageError, match="does not hold its training parameters"):
        learning_parameters(short)
    with pytest.raises(UsageError, match="shadow models need"):
        shadow_confidences({"rows": records[0]}, arguments(records, seed=3) | {"kind": "onnx"}, {"model": path}, quiet)


def sklearn_file(records: Any, path: Path, loose: bool) -> Path:
    rows, label, members = records
    forest = RandomForestClassifier(60, max_depth=None if loose else 2, min_samples_leaf=1 if loose else 60, random_state=0)
    model = make_pipeline(StandardScaler(), forest) if loose else forest
    skops.io.dump(model.fit(rows[members == 1], np.array(["no", "yes"])[label[members == 1].astype(int)]), path)
    return path


def xgboost_file(records: Any, path: Path, loose: bool) -> Path:
    xgboost = pytest.importorskip("xgboost")
    rows, label, members = records
    strict = {"eta": 0.05, "max_depth": 2, "min_child_weight": 60, "lambda": 200.0}
    params = {"eta": 0.3, "max_depth": 8, "min_child_weight": 0, "lambda": 0.0} if loose else strict
    data = xgboost.DMatrix(rows[members == 1], label[members == 1])
    booster = xgboost.train({**params, "objective": "binary:logistic", "nthread": 1}, data, 40)
    booster.set_attr(**{name: str(value) for name, value in params.items()})
    booster.save_model(path)
    return path


@pytest.mark.parametrize(("kind", "made", "ending"), some([("skops", sklearn_file, "skops"), ("xgboost", xgboost_file, "json")], 1))
def test_shadow_models_of_other_libraries_tell_an_overfitted_model_from_a_regularised_one(
    records: Any, tmp_path: Path, kind: str, made: Any, ending: str
) -> None:
    """The values agree with those of scikit-learn, and with the likelihood ratio of two normal distributions, written out here."""
    members, found = records[2] == 1, {}
    own_arguments = {"kind": kind, "classes": ["no", "yes"] if kind == "skops" else ["0", "1"]}
    for loose in (True, False):
        files, frames = {"model": made(records, tmp_path / f"{loose}.{ending}", loose)}, {"rows": records[0]}
        own = truth_confidences(frames, arguments(records) | own_arguments, files, quiet).frames["found"]["confidence"].to_numpy()
        every = [
            shadow_confidences(frames, arguments(records, seed=seed) | own_arguments, files, quiet).frames["found"] for seed in range(6)
        ]
        confidence, inside = (np.array([each[name] for each in every]) for name in ("confidence", "inside"))
        assert (inside.sum(axis=0) == 3).all(), "every record is a member in some models and not in others"
        ratio = likelihood_ratios(own, np.where(inside == 1, confidence, np.nan), np.where(inside == 1, np.nan, confidence))
        curve = attack_curve(ratio[members], ratio[~members])
        assert curve.auc.value == pytest.approx(roc_auc_score(members, ratio), abs=1e-12)
        found[loose] = curve.auc
        sides = [np.where(inside == side, confidence, np.nan) for side in (1, 0)]
        spread = [np.sqrt(np.nanmean((side - np.nanmean(side, axis=0)) ** 2) * 1.5) for side in sides]
        by_hand = norm.logpdf(own, np.nanmean(sides[0], axis=0), spread[0]) - norm.logpdf(own, np.nanmean(sides[1], axis=0), spread[1])
        assert spearmanr(by_hand, ratio).statistic > 0.9
        assert shadow_hindrance({}, own_arguments, files, quiet).values == {"why": None}
    assert found[True].low > found[False].high and found[True].value > 0.8 and found[False].value < 0.65, found


def test_a_file_that_does_not_say_how_it_was_trained_has_no_shadow_models(records: Any, tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    plain = tmp_path / "plain.json"
    xgboost.train({"max_depth": 2}, xgboost.DMatrix(records[0], records[1]), 2).save_model(plain)
    why = shadow_hindrance({}, {"kind": "xgboost"}, {"model": plain}, quiet).values["why"]
    assert why == "the model file does not hold its training parameters"
    frozen = tmp_path / "frozen.skops"
    skops.io.dump(
        CalibratedClassifierCV(FrozenEstimator(LogisticRegression().fit(records[0], records[1]))).fit(records[0], records[1]), frozen
    )
    assert "stays fitted in every copy (FrozenEstimator)" in shadow_hindrance({}, {"kind": "skops"}, {"model": frozen}, quiet).values["why"]
    assert shadow_hindrance({}, {"kind": "onnx"}, {"model": plain}, quiet).values["why"] == "a file of onnx does not say how it was trained"


def test_records_that_differ_are_distinguished_without_the_model(records: Any, tmp_path: Path) -> None:
    path = fitted(records, tmp_path / "model.txt", STRICT)
    members = records[2].tolist()
    alike = membership_without_model({"rows": records[0]}, arguments(records, members=members, seed=0), {"model": path}, quiet)
    assert abs(roc_auc_score(records[2], alike.frames["found"]["member_score"]) - 0.5) < 0.06
    moved = records[0].assign(a=records[0].a + records[2])
    apart = membership_without_model({"rows": moved}, arguments(records, members=members, seed=0), {"model": path}, quiet)
    assert roc_auc_score(records[2], apart.frames["found"]["member_score"]) > 0.7


@pytest.fixture
def sacro(monkeypatch: pytest.MonkeyPatch) -> Any:
    """LiRA and the metrics of SACRO-ML. Its other parts (reports, torch) are not imported."""
    pytest.importorskip("sacroml", reason="an oracle of the tests")
    bare = ModuleType("sacroml.attacks.attack")
    bare.Attack = object  # type: ignore[attr-defined]  # a module made here declares nothing
    monkeypatch.setitem(sys.modules, bare.__name__, bare)
    for name in ("fpdf", "sacroml.attacks.report", "sacroml.attacks.model", "sacroml.attacks.target"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    return importlib.import_module("sacroml.attacks.likelihood_attack")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("params", [LOOSE, STRICT], ids=["overfitted", "regularised"])
def test_the_attack_agrees_with_sacro_on_the_same_models(records: Any, tmp_path: Path, sacro: Any, params: dict[str, Any]) -> None:
    """Both get the same confidences of the same 16 shadow models. SACRO-ML uses a spread for each record, or one for all confidences; our
    attack uses one spread around the means.
    """
    members = records[2] == 1
    frames, files = {"rows": records[0]}, {"model": fitted(records, tmp_path / "model.txt", params)}
    own = truth_confidences(frames, arguments(records), files, quiet).frames["found"]["confidence"].to_numpy()
    every = [shadow_confidences(frames, arguments(records, seed=seed), files, quiet).frames["found"] for seed in range(16)]
    confidence, inside = (np.array([each[name] for each in every]) for name in ("confidence", "inside"))
    with_it, without = np.where(inside == 1, confidence, np.nan), np.where(inside == 1, np.nan, confidence)
    ours = likelihood_ratios(own, with_it, without)
    known = np.isfinite(ours)
    chance = np.column_stack([1 - 1 / (1 + np.exp(-own)), 1 / (1 + np.exp(-own))])
    parts = [{place: list(column[np.isfinite(column)]) for place, column in enumerate(side.T[known])} for side in (without, with_it)]
    for fixed in (False, True):
        attack = object.__new__(sacro.LIRAAttack)
        attack.mode, attack.fix_variance, attack.report_individual = "online-carlini", fixed, False
        scores, _ = attack._compute_scores(np.ones(known.sum(), int), chance[known], *parts)
        theirs = np.array(scores)[:, 1]
        assert roc_auc_score(members[known], theirs) == pytest.approx(roc_auc_score(members[known], ours[known]), abs=0.01)
        assert spearmanr(ours[known], theirs).statistic > (0.99 if fixed else 0.85)
        at_one = attack_true_positive_rate(ours[known][members[known]], ours[known][~members[known]], 0.01)
        assert at_one.low <= float(sacro.metrics._tpr_at_fpr(members[known], theirs, 1.0)) <= at_one.high
        assert at_one.value == pytest.approx(float(sacro.metrics._tpr_at_fpr(members[known], ours[known], 1.0)), abs=0.005)
