"""Requests to the worker: scores, attributions, expected errors, contrasts and counterfactuals of a registered model."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict, Unpack

from observability.core.errors import UsageError
from observability.probing.sentence_encoder import SentenceEncoder
from observability.store.types.registration import ScoredReference
from observability.worker.explanation import Explanation
from observability.worker.limits import WorkerError
from observability.worker.model_files import OPENERS
from observability.worker.process import JobAnswer, Progress, Worker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LIBRARIES = {"lightgbm": ("lightgbm",), "xgboost": ("xgboost",), "skops": ("sklearn.ensemble", "skops.io"), "onnx": ("onnxruntime",)}
MAX_SCHEMA_BYTES = 64 * 1024**2


class ModelOptions(TypedDict, total=False):
    """Options of every request about a model file. classes: names of the classes in the order of the task (none for a regression).

    progress: called with the share that is done and a text. seconds: the time limit; the worker's own limit if it is not given.
    """

    task: Required[str]
    classes: tuple[str, ...]
    progress: Progress | None
    seconds: float | None


def _call_model_job(
    worker: Worker,
    job: str,
    artifact: Path,
    frames: "Mapping[str, pd.DataFrame]",
    options: ModelOptions,
    arguments: Mapping[str, Any] | None = None,
    imports: tuple[str, ...] = (),
) -> JobAnswer:
    """Run a job on a copy of a model file. The job also gets the file's `kind`, the task and the classes."""
    kind, (task, classes) = artifact_kind(artifact), _task_of(options)
    return worker.call(
        f"observability.worker.{job}",
        frames,
        {**(arguments or {}), "task": task, "classes": list(classes), "kind": kind},
        files={"model": artifact},
        imports=(*LIBRARIES[kind], OPENERS[kind][0], *imports),
        seconds=options.get("seconds"),
        progress=options.get("progress"),
    )


def _task_of(options: ModelOptions) -> tuple[str, tuple[str, ...]]:
    """The task and the classes."""
    return options["task"], options.get("classes", ())


def predict_scores_and_features(worker: Worker, artifact: Path, rows: "pd.DataFrame", **options: Unpack[ModelOptions]) -> ScoredReference:
    """The model's scores of `rows`, as `predict_scores` gives them, and the features that it takes from the columns of `rows`."""
    answer = _call_model_job(worker, "explain_job:score_rows", artifact, {"rows": rows}, options)
    with checked_answer():
        columns = tuple(str(name) for name in answer.values["columns"])
        kinds: dict[str, Literal["number", "category"]] = {
            str(name): "number" if kind == "number" else "category" for name, kind in answer.values["kinds"].items()
        }
        unknown = {str(name): [str(level) for level in levels] for name, levels in answer.values["unknown"].items()}
        return ScoredReference(scores_from_frame(answer.frames["scores"], len(rows), options), columns, kinds, unknown)


def predict_scores(worker: Worker, artifact: Path, rows: "pd.DataFrame", **options: Unpack[ModelOptions]) -> "np.ndarray":
    """The model's scores of `rows`.

    rows: the model's features as logged (numbers, strings, booleans, nulls). Other columns are ignored if the model names its features.
    Returns (n,): binary, the probability of the positive class; regression, the value; or (n, classes) in multiclass, in the order of
    `classes`. Raises UsageError if the rows lack a feature of the model or the library is not installed, WorkerError if the model
    breaks.
    """
    return predict_scores_and_features(worker, artifact, rows, **options).scores


def score_without_words(
    worker: Worker, artifact: Path, row: "pd.DataFrame", texts: Sequence[str], *, feature: str | None, **options: Unpack[ModelOptions]
) -> "tuple[tuple[str, ...], np.ndarray]":
    """The features through which a text enters the model, and the scores of the row with each of `texts`, the logged text first.

    feature: the feature that holds the text; None if the model file holds a vectoriser. Raises UsageError if the file holds no vectoriser
    that reproduces the logged features of the first text, WorkerError if the model breaks.
    """
    answer = _call_model_job(
        worker, "word_job:score_word_omissions", artifact, {"row": row}, options, {"texts": list(texts), "feature": feature}
    )
    with checked_answer():
        through = tuple(str(name) for name in answer.values["through"])
        return through, scores_from_frame(answer.frames["scores"], len(texts), options)


def scores_from_frame(frame: "pd.DataFrame", rows: int, options: ModelOptions) -> "np.ndarray":
    """Scores from a job's frame: (rows,), or (rows, classes) in multiclass. Raises ValueError if it has another shape."""
    task, classes = _task_of(options)
    found: np.ndarray = (frame if task == "multiclass" else frame["score"]).to_numpy(dtype=float)
    if found.shape != ((rows, len(classes)) if task == "multiclass" else (rows,)):
        raise ValueError(f"scores of shape {found.shape} for {rows} rows")
    return found


@contextmanager
def checked_answer() -> Iterator[None]:
    """Turn errors of reading a job's answer into WorkerError. An untrusted model may have written the answer, in any shape."""
    try:
        yield
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise WorkerError("the job's answer cannot be read", reason="garbage", got=f"{type(error).__name__}: {error}"[:300]) from error


def explain_scores(
    worker: Worker,
    artifact: Path,
    rows: "pd.DataFrame",
    *,
    background: "pd.DataFrame | None" = None,
    seed: int = 0,
    permutations: int = 4,
    **options: Unpack[ModelOptions],
) -> Explanation:
    """Attributions of the model's scores of `rows`. They are exact if the model allows it; otherwise permutations are sampled.

    background: the rows that define the base value, for linear models, models of scikit-learn other than trees, and ONNX; at most 100 of
    them are used. permutations: antithetic pairs for each row of the background, at least 2.
    """
    frames = {"rows": rows} if background is None else {"rows": rows, "background": background}
    arguments = {"seed": seed, "permutations": permutations}
    imports = ("shap",) if artifact_kind(artifact) == "skops" and skops_has_trees(artifact) else ()
    answer = _call_model_job(worker, "explain_job:attribute_scores", artifact, frames, options, arguments, imports)
    with checked_answer():
        given = answer.values
        arrays = {name: answer.frames[name]["value"].to_numpy(dtype=float).reshape(shape) for name, shape in given["shapes"].items()}
        values, base, output = arrays["values"], arrays["base"], arrays["output"]
        return Explanation(
            values=values,
            base_value=base if base.ndim else float(base),
            output=output,
            link=given["link"],
            predictions=arrays["predictions"],
            residual=output - base - values.sum(axis=-1),
            features=tuple(given["features"]),
            method=given["method"],
            background=given["background"],
            background_rows=given["background_rows"],
            standard_error=arrays.get("error"),
            seconds=answer.seconds,
            note=given["note"],
            network_blocked=answer.network_blocked,
        )


def artifact_kind(artifact: Path) -> str:
    """The kind of a model file from its content: lightgbm, xgboost, skops or onnx. Raises UsageError for any other file, such as a
    pickle.
    """
    from observability.store.registry.artifacts import detect_artifact_kind

    try:
        with artifact.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError("the artifact cannot be read", where=artifact.name, got=error.strerror, attempt="Register it anew") from None
    # XGBoost's UBJSON: an object whose first key is one of save_model's.
    if re.match(rb"\{L.{8}(learner|version|Config)", head, re.DOTALL):
        return "xgboost"
    return detect_artifact_kind(artifact)


def skops_has_trees(artifact: Path) -> bool:
    """Whether a skops file holds trees. shap is imported only for these, because its first import takes seconds."""
    try:
        with zipfile.ZipFile(artifact) as archive, archive.open("schema.json") as file:
            text = file.read(MAX_SCHEMA_BYTES)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, EOFError, RuntimeError, zlib.error):
        return False
    return b"_tree" in text or b"_hist_gradient_boosting" in text


@dataclass(frozen=True)
class ErrorEstimate:
    """Expected errors of rows without labels (direct loss estimation), and the accuracy of such estimates on the reference.

    absolute_error, squared_error: (n,) of the rows; squared_error is None if it was not requested. reference: one row per reference row,
    with `absolute_error` (measured), `absolute_error_estimated` (by a model that had not seen the row), the same for squared, and `at` if
    times were given, in the given order. check: per month, and one row `month` = "all": `month`, `n`, `measured`, `estimated`. bias: mean
    estimated less mean measured absolute error on the reference. skill: share of the variance of the absolute error that the estimates
    explain out of fold (negative: worse than the mean). note: a sentence.
    """

    absolute_error: "np.ndarray"
    squared_error: "np.ndarray | None"
    reference: "pd.DataFrame"
    check: "pd.DataFrame"
    bias: float
    skill: float
    seconds: float
    note: str


def estimate_unlabelled_errors(
    worker: Worker,
    reference: "pd.DataFrame",
    rows: "pd.DataFrame",
    *,
    features: tuple[str, ...],
    label: str = "label",
    at: str | None = None,
    squared: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> ErrorEstimate:
    """Expected absolute (and squared) error of each of `rows`, learned from `reference`, whose labels are known.

    Both tables hold `features` and `score`; `reference` also holds `label`, and `at` for folds and months by time. Rows of the reference
    without label or score are left out. Raises UsageError if fewer than 100 remain.
    """
    arguments = {"features": list(features), "score": "score", "label": label, "at": at, "squared": squared, "seed": seed}
    row_columns = list(dict.fromkeys((*features, "score")))
    reference_columns = list(dict.fromkeys((*row_columns, label, *([at] if at else ()))))
    for table, frame, columns in (("reference", reference, reference_columns), ("rows", rows, row_columns)):
        lacking = [name for name in columns if name not in frame]
        if lacking:
            raise UsageError("columns are missing", where=table, got=f"no {', '.join(lacking[:5])}")
    answer = worker.call(
        "observability.worker.error_model:estimate_row_errors",
        {"reference": reference[reference_columns], "rows": rows[row_columns]},
        arguments,
        imports=("lightgbm",),
        progress=progress,
    )
    estimates, summary = answer.frames["rows"], answer.values
    return ErrorEstimate(
        absolute_error=estimates["absolute_error"].to_numpy(dtype=float),
        squared_error=estimates["squared_error"].to_numpy(dtype=float) if squared else None,
        reference=answer.frames["reference"],
        check=answer.frames["check"],
        bias=summary["bias"],
        skill=summary["skill"],
        seconds=answer.seconds,
        note=summary["note"],
    )


@dataclass(frozen=True)
class ContrastExplanation:
    """One row's attributions against a background.

    values: (background rows, features). before: (background rows,) outputs. after: the row's output. All are in the space of `link`, and
    after - before = Σ values for each row of the background. score: the model's score of the row (multiclass: of the explained class).
    error: (features,) standard errors of the mean values if they were sampled, None if they are exact.
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


def explain_contrast(
    worker: Worker,
    artifact: Path,
    row: "pd.DataFrame",
    backgrounds: "Mapping[str, pd.DataFrame]",
    *,
    place: int = 0,
    seed: int = 0,
    permutations: int = 4,
    **options: Unpack[ModelOptions],
) -> dict[str, ContrastExplanation]:
    """Attributions of one row against each of several backgrounds (at most 100 rows of each are used), in one call.

    place: multiclass, the class that is explained. Raises UsageError if rows lack a feature of the model, WorkerError if it breaks.
    """
    from observability.worker.contrast_job import BACKGROUND

    frames = {"row": row} | {f"{BACKGROUND}{name}": background for name, background in backgrounds.items()}
    arguments = {"place": place, "seed": seed, "permutations": permutations}
    answer = _call_model_job(worker, "contrast_job:attribute_against_backgrounds", artifact, frames, options, arguments)
    with checked_answer():
        features = tuple(answer.values["features"])
        scores = answer.frames["scores"]["value"].to_numpy(dtype=float)
        contrasts = {}
        for name in backgrounds:
            key = f"{BACKGROUND}{name}"
            given, error = answer.values[key], answer.frames.get(f"{key}/error")
            contrasts[name] = ContrastExplanation(
                values=answer.frames[f"{key}/values"]["value"].to_numpy(dtype=float).reshape(given["rows"], len(features)),
                before=answer.frames[f"{key}/before"]["value"].to_numpy(dtype=float),
                after=float(given["after"]),
                score=float(scores[place if len(scores) > 1 else 0]),
                link=given["link"],
                method=given["method"],
                features=features,
                error=None if error is None else error["value"].to_numpy(dtype=float),
                seconds=answer.seconds,
                note=" ".join(note for note in (answer.values["note"], given["note"]) if note),
            )
        return contrasts


@dataclass(frozen=True)
class Counterfactuals:
    """Changed inputs for which the model gives another answer.

    found: whole rows, cheapest first. scores: (n,) or (n, classes) of the model itself. reached: whether each reaches the goal. origins:
    dice-ml, real row or one feature. proposals: number of proposals by origin. asked: rows that the model scored.
    """

    found: "pd.DataFrame"
    scores: "np.ndarray"
    reached: tuple[bool, ...]
    origins: tuple[str, ...]
    proposals: Mapping[str, int]
    asked: int
    seconds: float
    note: str


def find_counterfactuals(
    worker: Worker,
    artifact: Path,
    row: "pd.DataFrame",
    rows: "pd.DataFrame",
    *,
    free: "Sequence[Mapping[str, Any]]",
    goal: Mapping[str, Any],
    number: int = 3,
    seed: int = 0,
    **options: Unpack[ModelOptions],
) -> Counterfactuals:
    """At most `number` counterfactuals of one row (worker/counterfactual_job.py).

    free: the features that may change, as FreeFeature without `own`. goal: as `reaches_goal` reads it. rows: real rows with the same
    columns. Raises UsageError if rows lack a feature of the model, WorkerError if it breaks.
    """
    arguments = {"free": [dict(feature) for feature in free], "goal": dict(goal), "number": number, "seed": seed}
    job, frames = "counterfactual_job:search_counterfactuals", {"row": row, "rows": rows}
    answer = _call_model_job(worker, job, artifact, frames, options, arguments, imports=("dice_ml",))
    with checked_answer():
        given, found = answer.values, answer.frames["found"]
        if not len(given["reached"]) == len(given["origins"]) == len(found) <= number or list(found) != list(row):
            raise ValueError(f"{len(found)} counterfactuals for {number} requested")
        return Counterfactuals(
            found=found,
            scores=scores_from_frame(answer.frames["scores"], len(found), options),
            reached=tuple(bool(reached) for reached in given["reached"]),
            origins=tuple(given["origins"]),
            proposals=given["proposals"],
            asked=int(given["asked"]),
            seconds=answer.seconds,
            note=given["note"],
        )


def encode_texts(worker: Worker, encoder: SentenceEncoder, texts: Sequence[str], progress: Progress | None = None) -> "np.ndarray":
    """The vectors of texts by a sentence encoder, (texts, numbers), each of length 1.

    Raises UsageError if a package is missing or the files are not an encoder, WorkerError if the encoder breaks.
    """
    answer = worker.call(
        "observability.worker.encode_job:encode_texts",
        arguments={"texts": list(texts)},
        files={"model": encoder.model, "tokenizer": encoder.tokenizer},
        imports=("onnxruntime", "tokenizers"),
        progress=progress,
    )
    with checked_answer():
        found: np.ndarray = answer.frames["vectors"].to_numpy(dtype=float)
        if found.shape != (len(texts), int(answer.values["size"])):
            raise ValueError(f"vectors of shape {found.shape} for {len(texts)} texts")
        return found
