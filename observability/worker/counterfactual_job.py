"""The job that searches counterfactuals. They are near, sparse and diverse, and each is confirmed by the model itself.

Proposals come from dice-ml, from real rows with another answer, and from changes of one feature at a time. Each proposal is reduced
(unneeded changes are undone, numbers are moved back towards their value as long as the goal is reached) and scored again at the end. A
locked feature keeps its value, a number stays within the reference's range and decimals, a category is a level of the reference, and no
value becomes missing.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Bools, Floats
from observability.worker.counterfactual_types import CounterfactualSearch, FreeFeature
from observability.worker.explain_job import scores_frame, task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.model_files import open_model
from observability.worker.target_scores import reaches_goal

POLISHED, CANDIDATES, STEPS, HALVINGS, MAX_ASKED = 30, 5, 20, 8, 500_000
"""Number of proposals of each kind that are reduced; number of candidates (per requested counterfactual) whose numbers are reduced; number
of values tried of a single number; halvings of a number's change; number of scored rows above which no more changes are undone.
"""


def search_counterfactuals(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Find at most `number` counterfactuals of the frame `row`; the output is the frame `found`, and their scores. `rows`: real rows for
    proposals.

    arguments: kind, task, classes, goal, free (as FreeFeature, without `own`), number, seed.
    """
    from observability.worker import counterfactual_dice

    row, rows, task = frames["row"].head(1).reset_index(drop=True), frames["rows"], task_from_arguments(arguments)
    model = open_model(arguments["kind"], files["model"], row, task)
    # Halving a change may give a fraction, so every number is a float here.
    whole = [name for name in row if pd.api.types.is_integer_dtype(row[name].dtype)]
    row, rows = row.astype(dict.fromkeys(whole, np.float64)), rows.astype({name: np.float64 for name in whole if name in rows})
    used = set(model.columns)
    free = [
        FreeFeature(**{**feature, "levels": tuple(feature.get("levels", ())), "own": row[feature["name"]].iloc[0]})
        for feature in arguments["free"]
        if feature["name"] in used
    ]
    state = CounterfactualSearch(model, task, arguments["goal"], row, free)
    report(0.05, "The model is open")
    origins: list[str] = []
    parts: list[pd.DataFrame] = []
    makers = (("one feature", single_feature_proposals), ("real row", real_row_proposals), ("dice-ml", counterfactual_dice.dice_proposals))
    for place, (origin, make) in enumerate(makers):
        made = make(state, rows, int(arguments["seed"])) if free else state.copies(0)
        report(0.1 + 0.25 * (place + 1), f"{len(made)} proposals from: {origin}")
        kept = made[state.reached(made)] if len(made) else made
        kept = kept.iloc[np.argsort(change_costs(state, kept), kind="stable")[:POLISHED]]
        parts.append(kept)
        origins += [origin] * len(kept)
    table = pd.concat(parts, ignore_index=True).astype(row.dtypes)
    proposed = {name: origins.count(name) for name, _ in makers}
    number = int(arguments["number"])
    table = undo_unneeded_changes(state, table)
    some = diverse_candidates(state, table, number * CANDIDATES)
    table, origins = shrink_changes(state, table.iloc[some].reset_index(drop=True)), [origins[place] for place in some]
    report(0.9, f"{len(table)} of them reduced")
    chosen = diverse_candidates(state, table, number)
    found = table.iloc[chosen].reset_index(drop=True)
    scores = state.scores(found)
    ok = reaches_goal(state.goal, scores) if len(found) else np.zeros(0, np.bool_)
    values = {
        "origins": [origins[place] for place in chosen],
        "reached": ok.tolist(),
        "asked": state.asked,
        "note": " ".join(state.notes),
        "proposals": proposed,
    }
    return Output(values, {"found": found, "scores": scores_frame(scores)})


def single_feature_proposals(state: CounterfactualSearch, _rows: pd.DataFrame, _seed: int) -> pd.DataFrame:
    """The row with one feature changed: each level, or steps over the number's range."""
    parts = []
    for feature in state.free:
        values: list[Any] = list(feature.levels)
        if feature.kind == "number":
            values = np.unique(feature.rounded(np.linspace(feature.low, feature.high, STEPS))).tolist()
        if values:
            changed = state.copies(len(values))
            changed[feature.name] = pd.Series(values, dtype=state.row[feature.name].dtype)
            parts.append(changed[~feature.same(changed[feature.name])])
    return pd.concat(parts, ignore_index=True) if parts else state.copies(0)


def real_row_proposals(state: CounterfactualSearch, rows: pd.DataFrame, _seed: int) -> pd.DataFrame:
    """Real rows, with the locked features and missing values taken from the row."""
    mixed = state.copies(len(rows))
    for feature in state.free:
        given = rows[feature.name].reset_index(drop=True)
        if feature.kind == "number":
            number = given.to_numpy(np.float64)
            mixed[feature.name] = np.where(np.isfinite(number), feature.rounded(number), mixed[feature.name].to_numpy(np.float64))
        else:
            mixed[feature.name] = given.astype(object).where(given.isin(feature.levels), mixed[feature.name])
    return mixed.drop_duplicates(ignore_index=True)


def change_costs(state: CounterfactualSearch, table: pd.DataFrame) -> Floats:
    """Distance of each candidate from the row: the number of changes first, then their sizes."""
    found = np.zeros(len(table))
    for feature in state.free:
        found += ~feature.same(table[feature.name]) * 100.0 + np.minimum(feature.cost(table[feature.name]), 20.0)
    return found


def undo_unneeded_changes(state: CounterfactualSearch, table: pd.DataFrame) -> pd.DataFrame:
    """Undo the changes of each candidate that the goal does not need, the largest first."""
    for _ in range(len(state.free)):
        changed = (
            np.column_stack([~feature.same(table[feature.name]) for feature in state.free]) if len(table) else np.zeros((0, 0), np.bool_)
        )
        places, features = np.nonzero(changed & (changed.sum(axis=1, keepdims=True) > 1)) if len(table) else (np.zeros(0, int),) * 2
        if not len(places) or state.asked > MAX_ASKED:
            break
        trial = table.iloc[places].reset_index(drop=True)
        for number, feature in enumerate(state.free):
            restore_own_value(trial, features == number, feature)
        kept = state.reached(trial)
        if not kept.any():
            break
        saved = np.where(kept, change_costs(state, table.iloc[places]) - change_costs(state, trial), -1.0)
        order = np.argsort(-saved, kind="stable")
        _, first = np.unique(places[order], return_index=True)
        best = order[first]
        best = best[kept[best]]
        for number, feature in enumerate(state.free):
            rows = np.zeros(len(table), np.bool_)
            rows[places[best[features[best] == number]]] = True
            restore_own_value(table, rows, feature)
    return table


def shrink_changes(state: CounterfactualSearch, table: pd.DataFrame) -> pd.DataFrame:
    """Move the numbers of each candidate back as long as the goal is reached. A number that was missing is left unchanged."""
    table = table.copy()
    for feature in state.free:
        if feature.kind == "number" and len(table) and feature.own == feature.own:
            shrink_number(state, table, feature)
    return table


def restore_own_value(table: pd.DataFrame, rows: Bools, feature: FreeFeature) -> None:
    """Set a feature of some rows to the row's own value, in place."""
    if rows.any():
        own = pd.Series([feature.own] * len(table), dtype=table[feature.name].dtype, index=table.index)
        table[feature.name] = table[feature.name].where(~rows, own)


def shrink_number(state: CounterfactualSearch, table: pd.DataFrame, feature: FreeFeature) -> None:
    """Move a number of each candidate towards the row's own value by halving, in place, as long as the goal is reached."""
    end = table[feature.name].to_numpy(np.float64).copy()
    start = np.full(len(table), float(feature.own))
    moving = ~feature.same(table[feature.name])
    for _ in range(HALVINGS if moving.any() else 0):
        middle = np.where(moving, feature.rounded((start + end) / 2), end)
        trial = table.copy()
        trial[feature.name] = middle
        kept = state.reached(trial) & (middle != float(feature.own))
        end, start = np.where(kept, middle, end), np.where(kept, start, middle)
    table[feature.name] = end


def diverse_candidates(state: CounterfactualSearch, table: pd.DataFrame, number: int) -> list[int]:
    """Indices of the cheapest candidates that change different sets of features, followed by further candidates with different values."""
    if not len(table):
        return []
    changed = np.column_stack([~feature.same(table[feature.name]) for feature in state.free])
    order = [int(place) for place in np.argsort(change_costs(state, table), kind="stable") if changed[place].any()]
    chosen: list[int] = []
    for again in (False, True):
        for place in order:
            if len(chosen) >= number or place in chosen:
                continue
            covered = any((changed[place] & changed[earlier]).sum() == changed[earlier].sum() for earlier in chosen)
            alike = any(nearly_equal_candidates(state, table, place, earlier) for earlier in chosen)
            if not covered or (again and not alike):
                chosen.append(place)
    return chosen


def nearly_equal_candidates(state: CounterfactualSearch, table: pd.DataFrame, a: int, b: int) -> bool:
    """Whether two candidates are nearly equal: the same levels, numbers less than half a standard deviation apart."""
    for feature in state.free:
        one, other = table[feature.name].iloc[a], table[feature.name].iloc[b]
        if feature.kind == "number":
            if not abs(float(one) - float(other)) < 0.5 * (feature.scale or 1.0) and not (one != one and other != other):
                return False
        elif one != other and not (one is None and other is None):
            return False
    return True
