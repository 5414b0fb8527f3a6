"""What small change would have given another answer? Counterfactuals that the model itself confirms, with locked features left alone."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Column
from observability.investigation.cached_answers import asked_of, kept, scores
from observability.investigation.decision_boundary import plain
from observability.investigation.desired_outcome import as_json, goal_of
from observability.investigation.evidence_types import Counterfactual, NotGivenError
from observability.investigation.model_answers import Goal
from observability.investigation.sampled_rows import RealRows, artifact_of, asker, columns_of, inputs_of, real_rows

if TYPE_CHECKING:
    from observability.investigation.logged_prediction import Row
    from observability.store.db.database import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
NUMBER, ROWS, LEVELS, DECIMALS = 3, 1000, 100, 6
"""Counterfactuals, real rows that the search learns from, levels of a category that are tried, decimals of a number."""
SECONDS = 60.0


@dataclass(frozen=True)
class Found:
    """Counterfactuals of one prediction. goal: what counts as another answer. locked: features that were kept. proposals: how many came
    from where. asked: rows that the model scored.
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
    store: "Store", row: "Row", *, worker: "Worker | None" = None, progress: Progress | None = None
) -> tuple[Counterfactual, ...]:  # fmt: skip
    """At most three changes that the model answers otherwise. Raises NotGivenError where none was found, or there is no model."""
    return search(store, row, worker=worker, progress=progress).counterfactuals


def search(
    store: "Store", row: "Row", *, worker: "Worker | None" = None, progress: Progress | None = None
) -> Found:  # fmt: skip
    """The same with what was searched and how: as it was found before, where the inputs, the label, the threshold and the locks are the same."""
    settings = row.model.settings
    asked = {
        "inputs": asked_of(inputs_of(row)), "threshold": row.threshold, "label": row.label_number, "locked": settings.immutable,
        "reference": [row.version.registered_at, row.version.reference_rows], "dice": find_spec("dice_ml") is not None,
    }  # fmt: skip
    body = kept(store, row, row.version, "flips", asked, lambda: as_plain(lambda: searched(store, row, worker, progress)))
    if "nothing" in body:
        what, got, expected = body["nothing"]
        raise NotGivenError(what, got=got, expected=expected)
    each = [
        Counterfactual({name: (pair[0], pair[1]) for name, pair in one["changes"].items()}, one["score"], one["reached"])
        for one in body.pop("found")
    ]
    return Found(tuple(each), tuple(body.pop("origins")), goal=Goal(**body.pop("goal")), locked=tuple(body.pop("locked")), **body)


def as_plain(search_: Callable[[], Found]) -> dict[str, Any]:
    """What was found as plain JSON; that nothing was found is an answer too."""
    try:
        found = search_()
    except NothingFoundError as error:
        return {"nothing": [error.what, error.got, error.expected]}
    held = asdict(found)
    return {"found": held.pop("counterfactuals"), **held}


class NothingFoundError(NotGivenError):
    """The search was made, and found nothing."""


def searched(store: "Store", row: "Row", worker: "Worker | None", progress: Progress | None) -> Found:
    """The search itself, in the worker."""
    from observability.worker.requests import flip

    asked, artifact = asker(worker), artifact_of(store, row.version)
    rows, own = real_rows(store, row), inputs_of(row)
    task = row.model.task or "regression"
    before = scores(store, row, row.version, own, worker, None, SECONDS)
    goal = goal_of(row, rows, before)
    columns = columns_of(row.model, row.version)
    locked = tuple(each.name for each in columns if each.name in row.model.settings.immutable)
    free = [part for each in columns if each.name not in locked and (part := free_of(each, rows)) is not None]
    if not free:
        raise NotGivenError("no feature may change", got=f"{len(locked)} of {len(columns)} are locked", attempt="See the setting immutable")
    found = flip(
        asked, artifact, own, rows.inputs.head(ROWS), free=free, goal=as_json(goal), task=task, classes=row.model.classes,
        number=NUMBER, progress=progress, seconds=SECONDS,
    )  # fmt: skip
    if not len(found.found):
        raise NothingFoundError(
            f"no change of its {len(free)} free features was found that gives {goal.text}",
            got=f"{found.asked:,} changed inputs were scored; locked: {', '.join(locked[:8]) or 'none'}",
            expected="values within the range and the levels of the reference",
        )  # fmt: skip
    integers = {each["name"] for each in free if each.get("decimals") == 0}
    made = tuple(
        Counterfactual(changes_of(own, found.found, place, integers), score_of(row, found.scores[place]), found.reached[place])
        for place in range(len(found.found))
    )
    return Found(made, found.origins, found.proposals, goal, locked, found.asked, found.seconds, found.note)


def score_of(row: "Row", given: Any) -> Any:
    """A score as the contract has it: a number, or {class: probability}."""
    return dict(zip(row.model.classes, given.tolist())) if np.ndim(given) else float(given)


def changes_of(own: Any, found: Any, place: int, integers: set[str]) -> dict[str, tuple[Any, Any]]:
    """What differs from the stored input: feature: (from, to)."""
    changes = {}
    for name in own:
        before, after = plain(own[name].iloc[0]), plain(found[name].iloc[place])
        if before != after:
            changes[name] = tuple(
                int(each) if name in integers and isinstance(each, float) and each == int(each) else each for each in (before, after)
            )
    return {name: (before, after) for name, (before, after) in changes.items()}


def free_of(column: Column, rows: RealRows) -> dict[str, Any] | None:
    """What a feature may become: within the smallest and largest number of the reference, on its grain; or its levels. None where it never varies."""
    given = rows.inputs[column.name][rows.of_reference] if rows.of_reference.any() else rows.inputs[column.name]
    if column.kind == "number":
        values = given.to_numpy(np.float64)
        values = values[np.isfinite(values)]
        if not values.size or values.min() == values.max():
            return None
        return {
            "name": column.name, "kind": "number", "low": float(values.min()), "high": float(values.max()), "decimals": decimals_of(values),
            "scale": float(values.std()),
        }  # fmt: skip
    levels = [plain(each) for each in given.dropna().value_counts().index[:LEVELS]]
    return {"name": column.name, "kind": column.kind, "levels": levels} if len(levels) > 1 else None


def decimals_of(values: "np.ndarray[Any, np.dtype[np.float64]]") -> int:
    """How many decimals numbers are written with: 0 where all are whole, at most DECIMALS."""
    for decimals in range(DECIMALS):
        rounded = np.round(values, decimals)
        if np.allclose(values, rounded, rtol=1e-12, atol=10.0 ** -(decimals + 4)):
            return decimals
    return DECIMALS
