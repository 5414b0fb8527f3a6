"""Counterfactuals: small changes of the input that lead to another decision. The model confirms each of them; locked features stay
unchanged.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from observability.core.catalog import Column
from observability.core.formatting import join_words, plural
from observability.investigation.cached_answers import asked_of, cached_answer, cached_scores
from observability.investigation.decision_boundary import table_value
from observability.investigation.desired_outcome import goal_json, goal_of
from observability.investigation.evidence_types import Counterfactual, NotGivenError
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import Goal
from observability.investigation.sampled_rows import (
    RealRows,
    artifact_of,
    real_rows,
    required_worker,
    stored_input,
    task_and_classes,
    version_features,
)
from observability.store.engine import Store
from observability.worker.process import Progress, Worker

NUMBER, ROWS, LEVELS, DECIMALS = 3, 1000, 100, 6
"""Maximum numbers: counterfactuals, real rows for the search, levels tried per category, and decimals of a number."""
SECONDS = 60.0


@dataclass(frozen=True)
class Found:
    """Counterfactuals of one prediction. goal: the other outcome. locked: features that were not changed. proposals: number of proposals by
    origin. asked: number of rows that the model scored.
    """

    counterfactuals: tuple[Counterfactual, ...]
    origins: tuple[str, ...]
    proposals: Mapping[str, int]
    goal: Goal
    locked: tuple[str, ...]
    asked: int
    seconds: float
    note: str


def counterfactuals(
    store: Store, row: Row, *, worker: Worker | None = None, progress: Progress | None = None
) -> tuple[Counterfactual, ...]:
    """At most three changes that lead to another outcome. Raises NotGivenError if none was found, or if there is no model."""
    return search(store, row, worker=worker, progress=progress).counterfactuals


def search(store: Store, row: Row, *, worker: Worker | None = None, progress: Progress | None = None) -> Found:
    """The counterfactuals, with details of the search. The result is cached until the inputs, the label, the threshold or the locks
    change.
    """
    settings = row.model.settings
    asked = {
        "inputs": asked_of(stored_input(row)),
        "threshold": row.threshold,
        "label": row.label_number,
        "locked": settings.immutable,
        "reference": [row.version.registered_at, row.version.reference_rows],
        "dice": find_spec("dice_ml") is not None,
    }
    body = cached_answer(store, row, row.version, "flips", asked, lambda: as_plain(lambda: search_in_worker(store, row, worker, progress)))
    if "nothing" in body:
        what, got, expected = body["nothing"]
        raise NotGivenError(what, got=got, expected=expected)
    each = [
        Counterfactual({name: (pair[0], pair[1]) for name, pair in one["changes"].items()}, one["score"], one["reached"])
        for one in body.pop("found")
    ]
    return Found(tuple(each), tuple(body.pop("origins")), goal=Goal(**body.pop("goal")), locked=tuple(body.pop("locked")), **body)


def as_plain(search_: Callable[[], Found]) -> dict[str, Any]:
    """The result as plain JSON. If no counterfactual was found, its only key is `nothing`."""
    try:
        found = search_()
    except NothingFoundError as error:
        return {"nothing": [error.what, error.got, error.expected]}
    held = asdict(found)
    return {"found": held.pop("counterfactuals"), **held}


class NothingFoundError(NotGivenError):
    """Raised if the search ran and found nothing."""


def search_in_worker(store: Store, row: Row, worker: Worker | None, progress: Progress | None) -> Found:
    """Run the search in the worker and return its result."""
    from observability.worker.requests import find_counterfactuals

    asked, artifact = required_worker(worker), artifact_of(store, row.version)
    rows, own = real_rows(store, row), stored_input(row)
    before = cached_scores(store, row, row.version, own, worker, None, SECONDS)
    goal = goal_of(row, rows, before)
    columns = version_features(row.model, row.version)
    locked = tuple(each.name for each in columns if each.name in row.model.settings.immutable)
    free = [part for each in columns if each.name not in locked and (part := free_of(each, rows)) is not None]
    if not free:
        why = f"no feature may change: {len(locked)} of {len(columns)} are locked, the others are constant in the reference"
        raise NotGivenError(
            why if len(locked) < len(columns) else "no feature may change: all are locked", attempt="See the setting immutable"
        )
    options = {"free": free, "goal": goal_json(goal), "number": NUMBER, **task_and_classes(row.model)}
    found = find_counterfactuals(asked, artifact, own, rows.inputs.head(ROWS), progress=progress, seconds=SECONDS, **options)
    if not len(found.found):
        raise NothingFoundError(
            f"None of {found.asked:,} changed inputs gives {goal.short or goal.text}. {plural(len(free), 'feature')} could change, "
            f"within the reference's range and levels{f'; locked: {join_words(locked, 8)}' if locked else ''}"
        )
    integers = {each["name"] for each in free if each.get("decimals") == 0}
    made = tuple(
        Counterfactual(changes_of(own, found.found, place, integers), score_of(row, found.scores[place]), found.reached[place])
        for place in range(len(found.found))
    )
    return Found(made, found.origins, found.proposals, goal, locked, found.asked, found.seconds, found.note)


def score_of(row: Row, given: Any) -> Any:
    """A score in the contract's form: a number, or {class: probability}."""
    return dict(zip(row.model.classes, given.tolist())) if np.ndim(given) else float(given)


def changes_of(own: Any, found: Any, place: int, integers: set[str]) -> dict[str, tuple[Any, Any]]:
    """The differences from the stored input: for each feature, (from, to)."""

    def plain(name: str, value: Any) -> Any:
        return int(value) if name in integers and isinstance(value, float) and value == int(value) else value

    pairs = {name: (table_value(own[name].iloc[0]), table_value(found[name].iloc[place])) for name in own}
    return {name: (plain(name, before), plain(name, after)) for name, (before, after) in pairs.items() if before != after}


def free_of(column: Column, rows: RealRows) -> dict[str, Any] | None:
    """The values that a feature may take: numbers in the reference's range at its precision, or the reference's levels. None for a constant
    feature.
    """
    given = rows.scale[column.name]
    if column.kind == "number":
        values = given.to_numpy(np.float64)
        values = values[np.isfinite(values)]
        if not values.size or values.min() == values.max():
            return None
        return {
            "name": column.name,
            "kind": "number",
            "low": float(values.min()),
            "high": float(values.max()),
            "decimals": decimals_of(values),
            "scale": float(values.std()),
        }
    levels = [table_value(each) for each in given.dropna().value_counts().index[:LEVELS]]
    return {"name": column.name, "kind": column.kind, "levels": levels} if len(levels) > 1 else None


def decimals_of(values: "np.ndarray[Any, np.dtype[np.float64]]") -> int:
    """Number of decimals with which the values are written: 0 if all are whole numbers, at most DECIMALS."""
    for decimals in range(DECIMALS):
        rounded = np.round(values, decimals)
        if np.allclose(values, rounded, rtol=1e-12, atol=10.0 ** -(decimals + 4)):
            return decimals
    return DECIMALS
