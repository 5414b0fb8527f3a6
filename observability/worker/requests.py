"""Which score does a model give to these rows, why, and how wrong is it expected to be? Asked of the worker."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.errors import UsageError
from observability.worker.explanation import Explanation
from observability.worker.limits import WorkerError
from observability.worker.model_files import OPENERS
from observability.worker.process import Progress, Worker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

IMPORTS = {
    "lightgbm": ("lightgbm", OPENERS["lightgbm"]),
    "xgboost": ("xgboost", OPENERS["xgboost"]),
    "skops": ("sklearn.ensemble", "skops.io", OPENERS["skops"]),
    "onnx": ("onnxruntime", OPENERS["onnx"]),
}
MOST_SCHEMA_BYTES = 64 * 1024**2


def predict(
    worker: Worker,
    artifact: Path,
    rows: "pd.DataFrame",
    *,
    classes: tuple[str, ...],
    task: str,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> "np.ndarray":
    """The model's scores of `rows` (its features as logged: numbers, strings, booleans, nulls; other columns are ignored where it names its own).

    Gives (n,): binary, the probability of the positive class; regression, the value; or (n, classes) in multiclass, in the order of `classes`.
    Raises UsageError where the rows lack a feature of the model or the library is not installed, WorkerError where the model breaks.
    """
    kind = kind_of(artifact)
    answer = worker.call(
        "observability.worker.explain_job:predict", {"rows": rows}, {"kind": kind, "task": task, "classes": list(classes)},
        files={"model": artifact}, imports=IMPORTS[kind], seconds=seconds, progress=progress,
    )  # fmt: skip
    with strangers_answer():
        return numbers_of(answer.frames["scores"], len(rows), len(classes) if task == "multiclass" else None)


def numbers_of(frame: "pd.DataFrame", rows: int, classes: int | None) -> "np.ndarray":
    """Scores from a job's frame: (rows,), or (rows, classes). Raises ValueError where it has another shape."""
    found: np.ndarray = frame["score"].to_numpy(dtype=float) if classes is None else frame.to_numpy(dtype=float)
    if found.shape != ((rows,) if classes is None else (rows, classes)):
        raise ValueError(f"scores of shape {found.shape} for {rows} rows")
    return found


@contextmanager
def strangers_answer() -> Iterator[None]:
    """While a job's answer is read: what does not have the shape that was asked for becomes a WorkerError, since a stranger's model can have written it."""
    try:
        yield
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise WorkerError("the job's answer cannot be read", reason="garbage", got=f"{type(error).__name__}: {error}"[:300]) from error


def explain(
    worker: Worker,
    artifact: Path,
    rows: "pd.DataFrame",
    *,
    task: str,
    classes: tuple[str, ...] = (),
    background: "pd.DataFrame | None" = None,
    seed: int = 0,
    permutations: int = 4,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> Explanation:
    """Attributions of the model's scores of `rows`: exact where the model allows it, else by sampling permutations.

    background: rows that "on average" means, for linear models, models of scikit-learn that are no trees, and ONNX; at most 100 of them
    are used. permutations: antithetic pairs for each row of the background, at least 2.
    """
    kind = kind_of(artifact)
    frames = {"rows": rows} if background is None else {"rows": rows, "background": background}
    arguments = {"kind": kind, "task": task, "classes": list(classes), "seed": seed, "permutations": permutations}
    imports = (*IMPORTS[kind], "shap") if kind == "skops" and has_trees(artifact) else IMPORTS[kind]
    answer = worker.call(
        "observability.worker.explain_job:explain", frames, arguments,
        files={"model": artifact}, imports=imports, seconds=seconds, progress=progress,
    )  # fmt: skip
    with strangers_answer():
        said = answer.values
        arrays = {name: answer.frames[name]["value"].to_numpy(dtype=float).reshape(shape) for name, shape in said["shapes"].items()}
        values, base, output = arrays["values"], arrays["base"], arrays["output"]
        return Explanation(
            values=values, base_value=base if base.ndim else float(base), output=output, link=said["link"], predictions=arrays["predictions"],
            residual=output - base - values.sum(axis=-1), features=tuple(said["features"]), method=said["method"],
            background=said["background"], background_rows=said["background_rows"], standard_error=arrays.get("error"),
            seconds=answer.seconds, note=said["note"], network_blocked=answer.network_blocked,
        )  # fmt: skip


def kind_of(artifact: Path) -> str:
    """lightgbm, xgboost, skops or onnx, by the file's content. Raises UsageError for any other file, a pickle above all."""
    from observability.store.registry.artifacts import sniff

    try:
        with artifact.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError("the artifact cannot be read", where=artifact.name, got=error.strerror, attempt="Register it anew") from None
    # XGBoost's UBJSON: an object whose first key is one of save_model's.
    if re.match(rb"\{L.{8}(learner|version|Config)", head, re.DOTALL):
        return "xgboost"
    return sniff(artifact)


def has_trees(artifact: Path) -> bool:
    """Whether a skops file speaks of trees, for which shap is imported (seconds, once)."""
    try:
        with zipfile.ZipFile(artifact) as archive, archive.open("schema.json") as file:
            text = file.read(MOST_SCHEMA_BYTES)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, EOFError, RuntimeError, zlib.error):
        return False
    return b"_tree" in text or b"_hist_gradient_boosting" in text


@dataclass(frozen=True)
class ErrorEstimate:
    """Errors that are expected of rows without labels (direct loss estimation), and how right such estimates were on the reference.

    absolute_error, squared_error: (n,) of the rows asked about; squared_error is None where it was not asked. reference: one row per
    reference row, with `absolute_error` (measured), `absolute_error_estimated` (by a model that had not seen the row), the same for squared,
    and `at` where times were given, in the order given. check: per month, and one row `month` = "all": `month`, `n`, `measured`, `estimated`.
    bias: mean estimated less mean measured absolute error on the reference. skill: share of the variance of the absolute error that the
    estimates explain out of fold (negative: worse than the mean). note: a sentence.
    """

    absolute_error: "np.ndarray"
    squared_error: "np.ndarray | None"
    reference: "pd.DataFrame"
    check: "pd.DataFrame"
    bias: float
    skill: float
    seconds: float
    note: str


def estimate_errors(
    worker: Worker,
    reference: "pd.DataFrame",
    rows: "pd.DataFrame",
    *,
    features: tuple[str, ...],
    score: str = "score",
    label: str = "label",
    at: str | None = None,
    squared: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> ErrorEstimate:
    """Expected absolute (and squared) error of each of `rows`, learned from `reference`, whose labels are known.

    Both hold `features` and `score`; the reference also `label`, and `at` where months and folds by time are wanted. Rows of the reference
    without label or score are left out. Raises UsageError where fewer than 100 remain.
    """
    arguments: dict[str, Any] = {"features": list(features), "score": score, "label": label, "at": at, "squared": squared, "seed": seed}
    needed = [each for each in dict.fromkeys((*features, score, label, at)) if each is not None]
    asked = list(dict.fromkeys((*features, score)))
    for name, frame, columns in (("reference", reference, needed), ("rows", rows, asked)):
        lacking = [each for each in columns if each not in frame]
        if lacking:
            raise UsageError("columns are lacking", where=name, got=f"no {', '.join(lacking[:5])}")
    answer = worker.call(
        "observability.worker.error_model:estimate", {"reference": reference[needed], "rows": rows[asked]}, arguments,
        imports=("lightgbm",), seconds=seconds, progress=progress,
    )  # fmt: skip
    found, said = answer.frames["rows"], answer.values
    return ErrorEstimate(
        absolute_error=found["absolute_error"].to_numpy(dtype=float),
        squared_error=found["squared_error"].to_numpy(dtype=float) if squared else None,
        reference=answer.frames["reference"], check=answer.frames["check"], bias=said["bias"], skill=said["skill"],
        seconds=answer.seconds, note=said["note"],
    )  # fmt: skip


@dataclass(frozen=True)
class Against:
    """One row's attributions against a background. values: (background rows, features), before: (background rows,) outputs, after: the row's output, all in
    the space of `link`; after - before = Σ values for each row of the background. score: the model's score of the row (multiclass: of the class asked
    about). error: (features,) standard errors of the mean values where they were sampled, None where they are exact.
    """

    values: "np.ndarray"
    before: "np.ndarray"
    after: float
    score: float
    link: str
    method: str
    features: tuple[str, ...]
    error: "np.ndarray | None"
    seconds: float
    note: str


def contrast(
    worker: Worker,
    artifact: Path,
    row: "pd.DataFrame",
    backgrounds: "Mapping[str, pd.DataFrame]",
    *,
    task: str,
    classes: tuple[str, ...] = (),
    place: int = 0,
    seed: int = 0,
    permutations: int = 4,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> dict[str, Against]:
    """Attributions of one row against each of several backgrounds (at most 100 rows of each are used), in one call.

    place: multiclass, the class that is explained. Raises UsageError where rows lack a feature of the model, WorkerError where it breaks.
    """
    from observability.worker.contrast_job import BACKGROUND

    kind = kind_of(artifact)
    frames = {"row": row} | {f"{BACKGROUND}{name}": each for name, each in backgrounds.items()}
    arguments = {"kind": kind, "task": task, "classes": list(classes), "place": place, "seed": seed, "permutations": permutations}
    answer = worker.call(
        "observability.worker.contrast_job:explain", frames, arguments,
        files={"model": artifact}, imports=IMPORTS[kind], seconds=seconds, progress=progress,
    )  # fmt: skip
    with strangers_answer():
        features = tuple(answer.values["features"])
        scores = answer.frames["scores"]["value"].to_numpy(dtype=float)
        found = {}
        for name in backgrounds:
            said, key = answer.values[f"{BACKGROUND}{name}"], f"{BACKGROUND}{name}"
            error = answer.frames.get(f"{key}/error")
            found[name] = Against(
                answer.frames[f"{key}/values"]["value"].to_numpy(dtype=float).reshape(said["rows"], len(features)),
                answer.frames[f"{key}/before"]["value"].to_numpy(dtype=float), float(said["after"]), float(scores[place if len(scores) > 1 else 0]),
                said["link"], said["method"], features, None if error is None else error["value"].to_numpy(dtype=float),
                answer.seconds, " ".join(each for each in (answer.values["note"], said["note"]) if each),
            )  # fmt: skip
        return found


@dataclass(frozen=True)
class Flips:
    """Changed inputs that the model answers otherwise. found: whole rows, cheapest first; scores: (n,) or (n, classes) of the model itself; reached: whether
    each really is another answer; origins: dice-ml, real row or one feature. asked: rows that the model was asked about.
    """

    found: "pd.DataFrame"
    scores: "np.ndarray"
    reached: tuple[bool, ...]
    origins: tuple[str, ...]
    proposals: Mapping[str, int]
    asked: int
    seconds: float
    note: str


def flip(
    worker: Worker,
    artifact: Path,
    row: "pd.DataFrame",
    rows: "pd.DataFrame",
    *,
    free: "Sequence[Mapping[str, Any]]",
    goal: Mapping[str, Any],
    task: str,
    classes: tuple[str, ...] = (),
    number: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> Flips:
    """At most `number` counterfactuals of one row (worker/counterfactual_job.py). free: what may change, as flipping.Free without `own`; goal: as flipping.reaches
    reads it; rows: real rows with the same columns. Raises UsageError where rows lack a feature of the model, WorkerError where it breaks.
    """
    kind = kind_of(artifact)
    arguments = {
        "kind": kind, "task": task, "classes": list(classes), "free": [dict(each) for each in free], "goal": dict(goal), "number": number, "seed": seed,
    }  # fmt: skip
    answer = worker.call(
        "observability.worker.counterfactual_job:search", {"row": row, "rows": rows}, arguments,
        files={"model": artifact}, imports=(*IMPORTS[kind], "dice_ml"), seconds=seconds, progress=progress,
    )  # fmt: skip
    with strangers_answer():
        said, found = answer.values, answer.frames["found"]
        if not len(said["reached"]) == len(said["origins"]) == len(found) <= number or list(found) != list(row):
            raise ValueError(f"{len(found)} changed inputs, {number} were asked for")
        return Flips(
            found, numbers_of(answer.frames["scores"], len(found), len(classes) if task == "multiclass" else None),
            tuple(bool(each) for each in said["reached"]), tuple(said["origins"]), said["proposals"], int(said["asked"]), answer.seconds, said["note"],
        )  # fmt: skip
