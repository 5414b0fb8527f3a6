"""The process that opens model files imports only what a model needs."""

import subprocess
import sys

SCRIPT = """
import sys
from observability.worker.child import import_library
import_library("lightgbm")
import lightgbm
import numpy as np
assert not {"sklearn", "scipy.stats"} & set(sys.modules), "its classes for scikit-learn are not used"
booster = lightgbm.train({"verbosity": -1, "min_data_in_leaf": 1}, lightgbm.Dataset(np.array([[0.0], [1.0]] * 20), np.array([0.0, 1.0] * 20)), 2)
assert np.diff(booster.predict(np.array([[0.0], [1.0]]))) > 0
import_library("sklearn.ensemble")
assert sys.modules["sklearn.ensemble"].RandomForestRegressor
"""


def test_lightgbm_is_imported_alone_and_scikit_learn_when_a_model_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
