"""Propose counterfactuals by dice-ml's random search.

Features are encoded for dice-ml, which cannot take nulls, unusual names or locked features. The target is the binary class "the goal is
reached", so that thresholds, classes and bands of a regression are handled alike. Only the random search is used, because the genetic and
kd-tree searches find nothing if features are locked (docs/decisions/0014).
"""

import random
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Floats, Integers
from observability.worker.counterfactual_types import CounterfactualSearch, FreeFeature

ASKED, SAMPLED = 60, 600
LARGEST = 2**30
"""Limit of whole numbers: larger ones do not fit the 32-bit integers of dice-ml."""
NOT_INSTALLED = (
    "dice-ml is not installed (pip install --no-deps dice-ml==0.12 raiutils==0.4.2): only real rows and single changes were tried."
)


def dice_proposals(state: CounterfactualSearch, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows that reach the goal, found by dice-ml. If dice-ml is not installed or finds no row, the table is empty, and a note gives the
    reason.
    """
    try:
        import dice_ml
    except ImportError:
        state.notes.append(NOT_INSTALLED)
        return state.copies(0)
    free = [
        feature
        for feature in state.free
        if feature.kind != "number" or (abs(feature.high) + abs(feature.low) < LARGEST and feature.low < feature.high)
    ]
    names = {feature.name: f"c{place}" for place, feature in enumerate(free)}
    numbers = [names[feature.name] for feature in free if feature.kind == "number"]
    if not free:
        return state.copies(0)
    data = pd.concat(
        [encode_levels(free, names, state.row), encode_levels(free, names, rows.head(SAMPLED)), rows_covering_levels(state, free, names)],
        ignore_index=True,
    )
    data["goal"] = np.arange(len(data)) % 2
    random.seed(seed)
    np.random.seed(seed)
    try:
        problem = dice_ml.Data(
            dataframe=data,
            continuous_features=numbers,
            outcome_name="goal",
            continuous_features_precision={names[feature.name]: feature.decimals for feature in free if feature.kind == "number"},
        )
        asked = dice_ml.Dice(
            problem, dice_ml.Model(model=GoalClassifier(state, free, names), backend="sklearn", model_type="classifier"), method="random"
        )
        found = asked.generate_counterfactuals(
            data.drop(columns="goal").head(1),
            total_CFs=ASKED,
            desired_class=1,
            sample_size=SAMPLED,
            posthoc_sparsity_param=0,
            permitted_range={names[feature.name]: permitted_range(feature) for feature in free},
        )
        table = found.cf_examples_list[0].final_cfs_df
    except Exception as error:
        if "No counterfactuals found" not in str(error):
            state.notes.append(f"dice-ml failed: {type(error).__name__}: {str(error)[:200]}")
        return state.copies(0)
    return state.copies(0) if table is None else decode_levels(state, free, names, table)


class GoalClassifier:
    """The model as a binary classifier for dice-ml. The second class means that the goal is reached."""

    def __init__(self, state: CounterfactualSearch, free: list[FreeFeature], names: dict[str, str]) -> None:
        self.state, self.free, self.names = state, free, names

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Probabilities of the two classes, 0 or 1."""
        hit = self.state.reached(decode_levels(self.state, self.free, self.names, frame)).astype(np.float64)
        return np.column_stack([1 - hit, hit])

    def predict(self, frame: pd.DataFrame) -> Integers:
        """The class of each row: 1 if the goal is reached, else 0."""
        return self.predict_proba(frame).argmax(axis=1)


def permitted_range(feature: FreeFeature) -> list[Any]:
    """The values that dice-ml may choose from."""
    if feature.kind == "number":
        return [int(feature.low), int(feature.high)] if feature.decimals == 0 else [feature.low, feature.high]
    return [str(place) for place in range(len(feature.levels))]


def encode_levels(free: list[FreeFeature], names: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    """Categories as the index of their level (one more for any other value), missing numbers as the middle of the range."""
    found: dict[str, Any] = {}
    for feature in free:
        if feature.kind == "number":
            values = table[feature.name].to_numpy(np.float64)
            values = np.where(np.isfinite(values), values, float(feature.rounded(np.array([(feature.low + feature.high) / 2]))[0]))
            found[names[feature.name]] = np.round(values).astype(np.int64) if feature.decimals == 0 else values
        else:
            places = {level: str(place) for place, level in enumerate(feature.levels)}
            other = str(len(feature.levels))
            found[names[feature.name]] = pd.Series([places.get(value, other) for value in table[feature.name]], dtype=object)
    return pd.DataFrame(found)


def rows_covering_levels(state: CounterfactualSearch, free: list[FreeFeature], names: dict[str, str]) -> pd.DataFrame:
    """Copies of the row in which every level occurs; dice-ml permits only levels that occur."""
    most = max((len(feature.levels) for feature in free), default=0)
    found = encode_levels(free, names, state.copies(most))
    for feature in free:
        if feature.kind != "number":
            found[names[feature.name]] = pd.Series([str(place % len(feature.levels)) for place in range(most)], dtype=object)
    return found


def decode_levels(state: CounterfactualSearch, free: list[FreeFeature], names: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    """Rows in the form that the model takes. Where a code is the row's own, the row's own value is put back, including null and unseen
    levels.
    """
    own = encode_levels(free, names, state.row)
    found = state.copies(len(table))
    for feature in free:
        given, mine = table[names[feature.name]], own[names[feature.name]].iloc[0]
        if feature.kind == "number":
            values = np.asarray(given, np.float64)
            same = np.isclose(values, float(mine), rtol=1e-6, atol=0.5 * 10.0**-feature.decimals if feature.decimals else 1e-9)
            found[feature.name] = np.where(same, found[feature.name].to_numpy(np.float64), feature.rounded(values))
        else:
            places = given.astype(str).tolist()
            values_of = {str(place): level for place, level in enumerate(feature.levels)}
            found[feature.name] = pd.Series(
                [feature.own if place == mine else values_of.get(place, feature.own) for place in places], dtype=object
            )
    return found
