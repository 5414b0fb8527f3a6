"""Registration of several classes: each class keeps its probability, and a later version may add classes."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from observability.store.db.schema import OUTCOMES, SUM_MEASURES
from observability.store.registry.register import register_version
from observability.store.types.registration import RegistrationRequest
from tests.support.loan_reference import stored_rows, write_reference


def multiclass(tmp_path, n=600):
    random = np.random.default_rng(2)
    p = random.dirichlet([1, 2, 1], n)
    names = np.array(["cat", "dog", "ee/l"])
    label = names[[random.choice(3, p=row) for row in p]]
    frame = pd.DataFrame({"x": random.normal(size=n), "y": label, "p0": p[:, 0], "p1": p[:, 1], "p2": p[:, 2]})
    return (
        frame,
        p,
        names,
        RegistrationRequest(
            "pets",
            "1",
            task="multiclass",
            label="y",
            score=("cat=p0", "dog=p1", "ee/l=p2"),
            reference=write_reference(tmp_path, frame, "pets.parquet"),
        ),
    )


def test_multiclass_probabilities_are_kept_and_judged(store, tmp_path):
    frame, p, names, wanted = multiclass(tmp_path)
    register_version(store, wanted)
    model = store.catalog().model("pets")
    assert model.classes == ("cat", "dog", "ee/l")
    sums = dict(stored_rows(store, "SELECT measure, sum(total) / sum(w) FROM sums_1 WHERE slice = 0 GROUP BY measure"))
    assert sums[SUM_MEASURES["correct"]] == pytest.approx(accuracy_score(frame["y"], names[p.argmax(axis=1)]))
    assert sums[SUM_MEASURES["log_loss"]] == pytest.approx(log_loss(frame["y"], p, labels=list(names)), rel=1e-9)
    first = json.loads(stored_rows(store, "SELECT probabilities FROM predictions_1 WHERE id = 'reference/1/1'")[0][0])
    assert first == dict(zip(names.tolist(), p[0].tolist()))


def test_new_classes_of_a_later_version_come_after_the_known_ones(store, tmp_path):
    frame, _, _, wanted = multiclass(tmp_path)
    register_version(store, wanted)
    frame["y"] = frame["y"].replace("cat", "ape")
    path = write_reference(tmp_path, frame, "second.parquet")
    register_version(store, replace(wanted, version="2", score=("ape=p0", "dog=p1", "ee/l=p2"), reference=path))
    model = store.catalog().model("pets")
    assert model.classes == ("cat", "dog", "ee/l", "ape")
    codes = dict(
        stored_rows(
            store, f"SELECT label, sum(n)::BIGINT FROM counts_1 WHERE measure = {OUTCOMES} AND slice = 0 AND stream = 1 GROUP BY label"
        )
    )
    assert codes == {model.classes.index(name): n for name, n in frame["y"].value_counts().items()}
