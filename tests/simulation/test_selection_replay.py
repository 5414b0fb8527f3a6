"""At middle strength, a challenger that is better, or worse in a slice, is named in nine of ten draws. A challenger with the same loss
raises nothing.
"""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Column, Model, Version
from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.core.settings import ModelSettings
from observability.simulation.faults_selection import FAULTS
from observability.simulation.selection_replay import replay_on_selection, replay_selection_fault
from tests.support.length import repeats, some

NOW, VERSION, FAULT = datetime(2026, 6, 1, tzinfo=UTC), Version("1"), FAULTS["beaten_champion"]
FEATURES = (Column(1, "region", "f1", "category"), Column(2, "age", "f2", "number"))
COSTS = ModelSettings(cost_false_positive=7.0, cost_false_negative=13.0)
BINARY = Model(1, "loan", "binary", ("0", "1"), FEATURES, versions=(VERSION,), settings=COSTS)
MODELS = {
    "binary": BINARY,
    "multiclass": Model(2, "mood", "multiclass", ("a", "b", "c"), FEATURES, versions=(VERSION,)),
    "regression": Model(3, "minutes", "regression", columns=FEATURES, versions=(VERSION,)),
}


def answers(model: Model, seed: int, rows: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 5])
    label = rng.integers(0, max(len(model.classes), 2), rows)
    decision = np.where(rng.random(rows) < 0.25, (label + 1) % max(len(model.classes), 2), label)
    table = {"id": [f"r{k}" for k in range(rows)], "decision": decision, "label": label, "label_value": label * 10.0}
    table |= {"feature.region": rng.choice(["north", "south", "east"], rows), "feature.age": rng.uniform(20, 70, rows)}
    return pd.DataFrame(table).assign(score=label * 10.0 + rng.normal(0, 4, rows))


@pytest.mark.parametrize("task", list(MODELS))
@pytest.mark.parametrize("name", some(FAULTS, 1))
def test_a_fault_of_middle_strength_is_named_in_nine_of_ten_draws_and_equal_versions_are_silent(name: str, task: str) -> None:
    model, runs, named, loud = MODELS[task], repeats(5, 100), 0, 0
    for seed in range(runs):
        found = replay_selection_fault(model, VERSION, answers(model, seed), FAULTS[name], "middle", NOW, seed)
        named += (found.target, FAULTS[name].metric) in [(each.subject, each.metric) for each in found.looks[0].alarms[:3]]
        loud += any(needs_action(each.severity) for look in found.looks for each in look.twin)
    assert named >= 0.9 * runs and loud <= 0.03 * runs


def test_a_fault_is_planted_beside_a_version_with_labels_and_refused_without_one() -> None:
    rows = answers(BINARY, 1)
    found = replay_on_selection(lambda *_: rows, BINARY, FAULT, "strong", NOW)
    assert found.target == "challenger=challenger" and found.first_named == 0 and "avoids" in found.sentence
    with pytest.raises(UsageError, match="no version to plant beaten_champion beside"):
        replay_on_selection(lambda *_: rows.assign(label=-1), BINARY, FAULT, "strong", NOW)
