"""Estimated errors of rows without labels: correct where the truth is known, repeatable, and reported with their own uncertainty."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.worker.requests import estimate_unlabelled_errors


def world(n, seed, hard=0.5):
    """Scores with errors whose scale depends on the row: 4 in the town `far`, 1 elsewhere. The mean absolute error is scale ×
    sqrt(2/pi).
    """
    rng = np.random.default_rng(seed)
    town = np.where(rng.random(n) < hard, "far", "near")
    x = rng.normal(0, 1, n)
    scale = np.where(town == "far", 4.0, 1.0)
    at = pd.Timestamp("2026-01-10", tz="UTC") + pd.to_timedelta(np.arange(n) * (80 / n), unit="D")
    rows = pd.DataFrame(
        {"town": town, "x": x, "member": rng.random(n) < 0.5, "score": 3 * x, "label": 3 * x + rng.normal(0, 1, n) * scale, "at": at}
    )
    rows.loc[rng.random(n) < 0.02, "x"] = np.nan
    return rows, scale


FEATURES = ("town", "x", "member")


def test_estimates_are_the_expected_errors(worker):
    reference, _ = world(4000, 1)
    rows, scale = world(4000, 2, hard=0.9)
    found = estimate_unlabelled_errors(worker, reference, rows, features=FEATURES, at="at", squared=True)
    assert found.absolute_error.shape == (4000,) and found.absolute_error.min() >= 0
    expected = scale * np.sqrt(2 / np.pi)
    measured = (rows.score - rows.label).abs()
    assert found.absolute_error.mean() == pytest.approx(expected.mean(), rel=0.06)
    assert found.absolute_error.mean() == pytest.approx(measured.mean(), rel=0.08)
    assert np.sqrt(found.squared_error.mean()) == pytest.approx(np.sqrt((scale**2).mean()), rel=0.08)
    assert np.corrcoef(found.absolute_error, scale)[0, 1] > 0.8


def test_the_error_on_the_reference_is_cross_fitted(worker):
    reference, scale = world(3000, 3)
    reference.loc[:9, "label"] = np.nan
    found = estimate_unlabelled_errors(worker, reference, reference.head(5), features=FEATURES, at="at")
    assert found.squared_error is None and len(found.reference) == 3000
    assert found.reference["absolute_error"].isna().sum() == 10 and found.reference["absolute_error_estimated"].isna().sum() == 10
    known = found.reference.dropna(subset=["absolute_error"])
    assert np.allclose(known["absolute_error"], (reference.score - reference.label).abs().dropna())
    check = found.check.set_index("month")
    assert list(check.index) == ["all", "2026-01", "2026-02", "2026-03"] and check["n"].iloc[1:].sum() == check["n"].iloc[0] == 2990
    assert found.bias == pytest.approx(check.loc["all", "estimated"] - check.loc["all", "measured"])
    assert (check["estimated"] / check["measured"] - 1).abs().max() < 0.15
    # The largest share that a model can explain: the variance of the expected error divided by the variance of the error.
    most = np.var(scale * np.sqrt(2 / np.pi)) / known["absolute_error"].var()
    assert 0.5 * most < found.skill < 1.1 * most


def test_noise_has_no_skill(worker):
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"x": rng.normal(size=2000), "score": 0.0, "label": rng.normal(size=2000)})
    found = estimate_unlabelled_errors(worker, rows, rows, features=("x",))
    assert found.skill < 0.02 and abs(found.bias) < 0.05 and list(found.check["month"]) == ["all"]


def test_the_same_rows_give_the_same_estimates_in_any_order(worker):
    reference, _ = world(1500, 6)
    rows, _ = world(50, 7)
    first, second = (
        estimate_unlabelled_errors(worker, reference, each, features=FEATURES, at="at", seed=3) for each in (rows, rows.iloc[::-1])
    )
    assert np.array_equal(first.absolute_error, second.absolute_error[::-1])
    unseen = estimate_unlabelled_errors(worker, reference, rows.assign(town="<i>new</i>"), features=FEATURES, at="at", seed=3)
    assert np.isfinite(unseen.absolute_error).all()
    assert len(estimate_unlabelled_errors(worker, reference, rows.head(0), features=FEATURES).absolute_error) == 0


def test_too_few_rows_and_missing_columns_are_refused(worker):
    reference, _ = world(99, 8)
    with pytest.raises(UsageError, match=r"too few rows.*99.*at least 100"):
        estimate_unlabelled_errors(worker, reference, reference, features=FEATURES)
    with pytest.raises(UsageError, match="no nothing"):
        estimate_unlabelled_errors(worker, reference, reference, features=("nothing",))


THREADS = """
import os
import lightgbm
import numpy as np
from observability.worker.error_model import fit_error_regressor
assert lightgbm
x = np.random.default_rng(0).normal(size=(4000, 8))
before = len(os.listdir("/proc/self/task"))
fit_error_regressor(x, np.abs(x[:, 0]), x, [], 0)
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted where Linux shows them")
def test_fit_and_prediction_keep_the_number_of_threads_of_the_process():
    """LightGBM has one number of threads per process. If it changes during a fit, the fit writes beyond the end of its buffers."""
    environment = {**os.environ, "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.run([sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "0"
