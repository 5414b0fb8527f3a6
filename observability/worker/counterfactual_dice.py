"""What does dice-ml propose? Its random search over a problem in plain codes, which hides from it what it cannot take: nulls, odd names, locked features.

dice-ml is asked for a two-class answer, "is the goal reached", so that thresholds, classes and bands of a regression are one problem to it. Its genetic
and kd-tree searches find nothing where features are locked (docs/decisions/0014), its random search does.
"""

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from observability.worker.counterfactual_types import Free, Search

ASKED, SAMPLED = 60, 600
LARGEST = 2**30
"""Whole numbers beyond it do not fit the 32 bits that dice-ml keeps them in."""
NOT_INSTALLED = (
    "dice-ml is not installed (pip install --no-deps dice-ml==0.12 raiutils==0.4.2): only real rows and single changes were tried."
)


def proposals(state: "Search", rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows with the goal's answer as dice-ml finds them; none, with a note, where it is not installed or finds none."""
    try:
        import dice_ml
    except ImportError:
        state.notes.append(NOT_INSTALLED)
        return state.copies(0)
    free = [each for each in state.free if each.kind != "number" or (abs(each.high) + abs(each.low) < LARGEST and each.low < each.high)]
    names = {each.name: f"c{place}" for place, each in enumerate(free)}
    numbers = [names[each.name] for each in free if each.kind == "number"]
    if not free:
        return state.copies(0)
    data = pd.concat(
        [coded(free, names, state.row), coded(free, names, rows.head(SAMPLED)), every_level(state, free, names)], ignore_index=True
    )  # fmt: skip
    data["goal"] = np.arange(len(data)) % 2
    random.seed(seed)
    np.random.seed(seed)
    try:
        problem = dice_ml.Data(
            dataframe=data, continuous_features=numbers, outcome_name="goal",
            continuous_features_precision={names[each.name]: each.decimals for each in free if each.kind == "number"},
        )  # fmt: skip
        asked = dice_ml.Dice(
            problem, dice_ml.Model(model=Answering(state, free, names), backend="sklearn", model_type="classifier"), method="random"
        )  # fmt: skip
        found = asked.generate_counterfactuals(
            data.drop(columns="goal").head(1), total_CFs=ASKED, desired_class=1, sample_size=SAMPLED, posthoc_sparsity_param=0,
            permitted_range={names[each.name]: permitted(each) for each in free},
        )  # fmt: skip
        table = found.cf_examples_list[0].final_cfs_df
    except Exception as error:
        if "No counterfactuals found" not in str(error):
            state.notes.append(f"dice-ml failed: {type(error).__name__}: {str(error)[:200]}")
        return state.copies(0)
    return state.copies(0) if table is None else decoded(state, free, names, table)


class Answering:
    """The model as dice-ml wants it: probabilities of two classes, the second of which is that the goal is reached."""

    def __init__(self, state: "Search", free: "list[Free]", names: dict[str, str]) -> None:
        self.state, self.free, self.names = state, free, names

    def predict_proba(self, frame: pd.DataFrame) -> "NDArray[np.float64]":
        """0 or 1 each."""
        hit = self.state.reached(decoded(self.state, self.free, self.names, frame)).astype(np.float64)
        return np.column_stack([1 - hit, hit])

    def predict(self, frame: pd.DataFrame) -> "NDArray[np.int64]":
        """The class."""
        return self.predict_proba(frame).argmax(axis=1)


def permitted(each: "Free") -> list[Any]:
    """What dice-ml may choose from."""
    if each.kind == "number":
        return [int(each.low), int(each.high)] if each.decimals == 0 else [each.low, each.high]
    return [str(place) for place in range(len(each.levels))]


def coded(free: "list[Free]", names: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    """Categories as the place of their level (one more for any other value), missing numbers as the middle of the range."""
    found: dict[str, Any] = {}
    for each in free:
        if each.kind == "number":
            values = table[each.name].to_numpy(np.float64)
            values = np.where(np.isfinite(values), values, middle(each))
            found[names[each.name]] = np.round(values).astype(np.int64) if each.decimals == 0 else values
        else:
            places = {level: str(place) for place, level in enumerate(each.levels)}
            other = str(len(each.levels))
            found[names[each.name]] = pd.Series([places.get(value, other) for value in table[each.name]], dtype=object)
    return pd.DataFrame(found)


def every_level(state: "Search", free: "list[Free]", names: dict[str, str]) -> pd.DataFrame:
    """As many copies of the row as make every level appear, without which dice-ml does not permit it."""
    most = max((len(each.levels) for each in free), default=0)
    found = coded(free, names, state.copies(most))
    for each in free:
        if each.kind != "number":
            found[names[each.name]] = pd.Series([str(place % len(each.levels)) for place in range(most)], dtype=object)
    return found


def middle(each: "Free") -> float:
    """What stands for a missing number before dice-ml."""
    return float(each.rounded(np.array([(each.low + each.high) / 2]))[0])


def decoded(state: "Search", free: "list[Free]", names: dict[str, str], table: pd.DataFrame) -> pd.DataFrame:
    """Rows as the model takes them. What is the row's own code becomes the row's own value, null and unseen levels too."""
    own = coded(free, names, state.row)
    found = state.copies(len(table))
    for each in free:
        given, mine = table[names[each.name]], own[names[each.name]].iloc[0]
        if each.kind == "number":
            values = np.asarray(given, np.float64)
            same = np.isclose(values, float(mine), rtol=1e-6, atol=0.5 * 10.0**-each.decimals if each.decimals else 1e-9)
            found[each.name] = np.where(same, found[each.name].to_numpy(np.float64), each.rounded(values))
        else:
            places = given.astype(str).tolist()
            values_of = {str(place): level for place, level in enumerate(each.levels)}
            found[each.name] = pd.Series([each.own if place == mine else values_of.get(place, each.own) for place in places], dtype=object)
    return found
