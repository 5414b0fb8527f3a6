"""The common form of an open model of any library: its inputs, its scores and its exact attributions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.errors import UsageError
from observability.worker.explanation import Link, Method

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Attribution:
    """One explanation.

    values: (n, features) or (n, classes, features). base: () or (classes,). output: (n,) or (n, classes). error: standard errors of values
    if they were sampled. scores: the model's scores, if they follow from the output by its link.
    """

    values: "Floats"
    base: "Floats"
    output: "Floats"
    error: "Floats | None" = None
    scores: "Floats | None" = None

    @property
    def residual(self) -> "Floats":
        """Output minus base and attributions, for each row."""
        return np.asarray(self.output - self.base - self.values.sum(axis=-1))


class CannotExplain(Exception):  # noqa: N818 - a result that is always caught, not a failure of the program
    """A model has no exact attributions although its type suggests them. The message is a sentence."""


@dataclass(frozen=True)
class Native:
    """Exact attributions of a model. explain: a function of encoded rows and encoded background (None if it needs no background)."""

    method: Method
    link: Link
    explain: "Callable[[Any, Any], Attribution]"
    needs_background: bool = False


@dataclass(frozen=True)
class Pairwise:
    """Exact attributions against each single row of a background.

    values: a function of one row, the background (tables of the model's columns) and the index of the class (multiclass). It returns
    (background rows, features), which add up to output(row) - output(background row). output: (n,) or (n, classes), in the space of the
    link.
    """

    link: Link
    values: "Callable[[pd.DataFrame, pd.DataFrame, int], Floats]"
    output: "Callable[[pd.DataFrame], Floats]"


@dataclass(frozen=True)
class OpenModel:
    """An open model.

    columns: the columns of the rows that the model takes, in its order. features: the model's own names of these columns. encode: a
    function from these columns to the input of its library. score: a function from that input to scores as logged, (n,) or (n, classes).
    native: None if only sampling explains the model. pairwise: None if attributions against single background rows are not exact.
    thresholds: the numbers at which the score may change, by the place of their column, as `feature_thresholds` gives them; None if a score
    is no function of thresholds, or they are not known. takes: by column, the categories that the model knows (none: any text), or None for
    a number; a column is left out if the file does not state what it is.
    """

    columns: tuple[str, ...]
    features: tuple[str, ...]
    encode: "Callable[[pd.DataFrame], Any]"
    score: "Callable[[Any], Floats]"
    native: Native | None = None
    note: str = ""
    pairwise: Pairwise | None = None
    thresholds: "Callable[[], dict[int, Floats]] | None" = None
    takes: "Mapping[str, Sequence[Any] | None]" = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """The task (binary, regression, multiclass) and the classes in the order of their probabilities."""

    name: str
    classes: tuple[str, ...] = ()

    @property
    def multiclass(self) -> bool:
        """Whether a row has one probability per class."""
        return self.name == "multiclass"


def score_from_output(link: Link, output: "Floats") -> "Floats":
    """The score of an output in a link's space (not of `raw`, where a score needs all classes)."""
    return 1 / (1 + np.exp(-output)) if link == "logit" else np.exp(output) if link == "log" else output


def missing_library(library: str, package: str) -> UsageError:
    """The error for an optional library that is not installed."""
    return UsageError(
        f"the library {library} is not installed, and the model needs it", where="artifact", attempt=f"Run: pip install {package}"
    )


def unreadable_artifact(kind: str, error: Exception) -> UsageError:
    """The error for a file that its library cannot read."""
    return UsageError(f"the artifact cannot be read as {kind}", where="artifact", got=f"{type(error).__name__}: {error}"[:300])


def as_scores(output: Any, task: Task, order: Sequence[int] | None = None) -> "Floats":
    """Scores in the task's shape from a library's output (n,), (n, 1) or (n, classes). Raises UsageError for another shape."""
    given = np.asarray(output, dtype=float)
    given = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    if task.multiclass:
        if given.ndim != 2 or given.shape[1] != len(task.classes):
            raise shape_mismatch(given, f"{len(task.classes)} probabilities a row")
        return given[:, order] if order is not None else given
    if given.ndim == 2 and given.shape[1] == 2 and task.name == "binary":
        return given[:, order[1] if order is not None else 1]
    if given.ndim != 1:
        raise shape_mismatch(given, "one number a row")
    return given


def shape_mismatch(given: "Floats", expected: str) -> UsageError:
    """The error for a model whose number of outputs does not fit the task."""
    got = "one number a row" if given.ndim == 1 else f"{given.shape[-1]} numbers a row"
    return UsageError("the model does not fit the task", where="artifact", got=got, expected=expected)


def output_index(groups: int, task: Task, order: Sequence[int] | None, place: int) -> int:
    """Index of the model output for the class at `place` (multiclass), else for the score; `order` as in `select_outputs`."""
    if task.multiclass:
        return order[place] if order is not None else place
    return 0 if groups == 1 else order[1] if order is not None else 1


def task_outputs(raw: "Floats", task: Task, order: Sequence[int] | None = None) -> "Floats":
    """Outputs (n, groups) in the task's shape, selected as by `select_outputs`."""
    nothing = np.zeros((*raw.shape, 0))
    return select_outputs(Attribution(nothing, np.zeros(raw.shape[1]), raw), task, order).output


def select_outputs(attribution: Attribution, task: Task, order: Sequence[int] | None = None) -> Attribution:
    """Outputs (n, groups, features) in the task's shape: the classes in their order, the only group, or the positive one of two groups."""
    groups = attribution.values.shape[1]
    if task.multiclass:
        if groups != len(task.classes):
            raise shape_mismatch(attribution.output, f"{len(task.classes)} outputs a row")
        places: Any = list(order) if order is not None else list(range(groups))
    elif groups > (2 if task.name == "binary" else 1):
        raise shape_mismatch(attribution.output, "one output a row")
    else:
        places = 0 if groups == 1 else order[1] if order is not None else 1
    return Attribution(attribution.values[:, places], attribution.base[places], attribution.output[:, places])
