"""The job behind "what small change gives another answer?": counterfactuals that the model itself confirms, near, sparse, different from each other.

Proposals come from dice-ml, from real rows that the model answers otherwise, and from changing one feature at a time. None is taken on trust: each is made smaller
(changes that are not needed are undone, numbers are moved back towards their value as far as the answer stays) and scored again at the end. A locked
feature keeps its value, a number stays within the reference's range and grain, a category is a level that the reference has, and nothing becomes missing.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.worker.counterfactual_types import Free, Search
from observability.worker.explain_job import task_of
from observability.worker.job import Output, Report
from observability.worker.model_files import open_model
from observability.worker.target_scores import reaches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

POLISHED, CANDIDATES, STEPS, HALVINGS, MOST_ASKED = 30, 5, 20, 8, 500_000
"""Proposals of each kind that are made smaller, candidates whose numbers are (times those wanted), values of a number that are tried alone,
halvings, and rows scored beyond which nothing more is undone."""


def search(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """At most `number` counterfactuals of the frame `row`: the frame `found`, and their scores. `rows`: real rows to learn from.

    arguments: kind, task, classes, goal, free (as Free, without `own`), number, seed.
    """
    from observability.worker import counterfactual_dice

    row, rows, task = frames["row"].head(1).reset_index(drop=True), frames["rows"], task_of(arguments)
    model = open_model(arguments["kind"], files["model"], row, task)
    # A whole number may become a fraction on its way back, so every number is a float here.
    whole = [name for name in row if pd.api.types.is_integer_dtype(row[name].dtype)]
    row, rows = row.astype(dict.fromkeys(whole, np.float64)), rows.astype({name: np.float64 for name in whole if name in rows})
    used = set(model.columns)
    free = [
        Free(**{**each, "levels": tuple(each.get("levels", ())), "own": row[each["name"]].iloc[0]})
        for each in arguments["free"]
        if each["name"] in used
    ]
    state = Search(model, task, arguments["goal"], row, free)
    report(0.05, "The model is open")
    origins: list[str] = []
    parts: list[pd.DataFrame] = []
    makers = (("one feature", one_at_a_time), ("real row", from_real_rows), ("dice-ml", counterfactual_dice.proposals))
    for place, (origin, make) in enumerate(makers):
        made = make(state, rows, int(arguments["seed"])) if free else state.copies(0)
        report(0.1 + 0.25 * (place + 1), f"{len(made)} proposals from: {origin}")
        kept = made[state.reached(made)] if len(made) else made
        kept = kept.iloc[np.argsort(costs(state, kept), kind="stable")[:POLISHED]]
        parts.append(kept)
        origins += [origin] * len(kept)
    table = pd.concat(parts, ignore_index=True).astype(row.dtypes)
    proposed = {name: origins.count(name) for name, _ in makers}
    number = int(arguments["number"])
    table = smaller(state, table)
    some = different(state, table, number * CANDIDATES)
    table, origins = shrunk(state, table.iloc[some].reset_index(drop=True)), [origins[place] for place in some]
    report(0.9, f"{len(table)} of them made smaller")
    chosen = different(state, table, number)
    found = table.iloc[chosen].reset_index(drop=True)
    scores = state.scores(found)
    ok = reaches(state.goal, scores) if len(found) else np.zeros(0, np.bool_)
    values = {
        "origins": [origins[place] for place in chosen], "reached": ok.tolist(), "asked": state.asked, "note": " ".join(state.notes),
        "proposals": proposed,
    }  # fmt: skip
    named = {"score": scores} if scores.ndim == 1 else {str(place): scores[:, place] for place in range(scores.shape[1])}
    return Output(values, {"found": found, "scores": pd.DataFrame(named)})


def one_at_a_time(state: Search, _rows: pd.DataFrame, _seed: int) -> pd.DataFrame:
    """The row with one feature changed: each level, or steps over the number's range."""
    parts = []
    for each in state.free:
        values: list[Any] = list(each.levels)
        if each.kind == "number":
            values = np.unique(each.rounded(np.linspace(each.low, each.high, STEPS))).tolist()
        if values:
            changed = state.copies(len(values))
            changed[each.name] = pd.Series(values, dtype=state.row[each.name].dtype)
            parts.append(changed[~each.same(changed[each.name])])
    return pd.concat(parts, ignore_index=True) if parts else state.copies(0)


def from_real_rows(state: Search, rows: pd.DataFrame, _seed: int) -> pd.DataFrame:
    """Real rows, with the locked features and what they lack taken from the row."""
    mixed = state.copies(len(rows))
    for each in state.free:
        given = rows[each.name].reset_index(drop=True)
        if each.kind == "number":
            number = given.to_numpy(np.float64)
            mixed[each.name] = np.where(np.isfinite(number), each.rounded(number), mixed[each.name].to_numpy(np.float64))
        else:
            mixed[each.name] = given.astype(object).where(given.isin(each.levels), mixed[each.name])
    return mixed.drop_duplicates(ignore_index=True)


def costs(state: Search, table: pd.DataFrame) -> "Floats":
    """How far each candidate is from the row: the number of changes first, then their sizes."""
    found = np.zeros(len(table))
    for each in state.free:
        found += ~each.same(table[each.name]) * 100.0 + np.minimum(each.cost(table[each.name]), 20.0)
    return found


def smaller(state: Search, table: pd.DataFrame) -> pd.DataFrame:
    """Every candidate with the changes undone that are not needed, the largest first."""
    for _ in range(len(state.free)):
        changed = np.column_stack([~each.same(table[each.name]) for each in state.free]) if len(table) else np.zeros((0, 0), np.bool_)
        places, features = np.nonzero(changed & (changed.sum(axis=1, keepdims=True) > 1)) if len(table) else (np.zeros(0, int),) * 2
        if not len(places) or state.asked > MOST_ASKED:
            break
        trial = table.iloc[places].reset_index(drop=True)
        for number, each in enumerate(state.free):
            undo(trial, features == number, each)
        kept = state.reached(trial)
        if not kept.any():
            break
        saved = np.where(kept, costs(state, table.iloc[places]) - costs(state, trial), -1.0)
        order = np.argsort(-saved, kind="stable")
        _, first = np.unique(places[order], return_index=True)
        best = order[first]
        best = best[kept[best]]
        for number, each in enumerate(state.free):
            rows = np.zeros(len(table), np.bool_)
            rows[places[best[features[best] == number]]] = True
            undo(table, rows, each)
    return table


def shrunk(state: Search, table: pd.DataFrame) -> pd.DataFrame:
    """Every candidate with its numbers moved back as far as the answer stays; a missing number has no way back."""
    table = table.copy()
    for each in state.free:
        if each.kind == "number" and len(table) and each.own == each.own:
            shrink(state, table, each)
    return table


def undo(table: pd.DataFrame, rows: "Bools", each: Free) -> None:
    """Gives some rows the row's own value of a feature, in place."""
    if rows.any():
        own = pd.Series([each.own] * len(table), dtype=table[each.name].dtype, index=table.index)
        table[each.name] = table[each.name].where(~rows, own)


def shrink(state: Search, table: pd.DataFrame, each: Free) -> None:
    """Moves a number of every candidate towards the row's own value by halving the way, in place, as long as the answer stays."""
    end = table[each.name].to_numpy(np.float64).copy()
    start = np.full(len(table), float(each.own))
    moving = ~each.same(table[each.name])
    for _ in range(HALVINGS if moving.any() else 0):
        middle = np.where(moving, each.rounded((start + end) / 2), end)
        trial = table.copy()
        trial[each.name] = middle
        kept = state.reached(trial) & (middle != float(each.own))
        end, start = np.where(kept, middle, end), np.where(kept, start, middle)
    table[each.name] = end


def different(state: Search, table: pd.DataFrame, number: int) -> list[int]:
    """Places of the cheapest candidates that change other features than those before them; then others that change the same ones otherwise."""
    if not len(table):
        return []
    changed = np.column_stack([~each.same(table[each.name]) for each in state.free])
    order = [int(place) for place in np.argsort(costs(state, table), kind="stable") if changed[place].any()]
    chosen: list[int] = []
    for again in (False, True):
        for place in order:
            if len(chosen) >= number or place in chosen:
                continue
            sets = [changed[place], *(changed[each] for each in chosen)]
            covered = any((sets[0] & each).sum() == each.sum() for each in sets[1:])
            alike = any(same_values(state, table, place, each) for each in chosen)
            if not covered or (again and not alike):
                chosen.append(place)
    return chosen


def same_values(state: Search, table: pd.DataFrame, a: int, b: int) -> bool:
    """Whether two candidates are nearly one: equal levels, numbers less than half a standard deviation apart."""
    for each in state.free:
        one, other = table[each.name].iloc[a], table[each.name].iloc[b]
        if each.kind == "number":
            if not abs(float(one) - float(other)) < 0.5 * (each.scale or 1.0) and not (one != one and other != other):
                return False
        elif one != other and not (one is None and other is None):
            return False
    return True
