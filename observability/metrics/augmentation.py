"""Augmentations of training data: their effect on accuracy or error (overall, by class and by group), their affinity and their diversity.

An audit of kind `augmentation` compares trainings with and without the augmentation, for several seeds: it holds counts on the same
validation rows. For a regression it holds sums of errors instead of counts (docs/augmentation.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.stats.interval import Interval, rate_interval
from observability.stats.repeated_runs import RepeatedDifference, repeated_difference, seed_ratio

if TYPE_CHECKING:
    from pandas import DataFrame, Series

AUGMENTATION_AUDITS = Records(
    "audit", ("model", "version", "at", "audit", "results", "expires"), ever=True, only=(("audit", "augmentation"),)
)
MIN_SEEDS = 3
"""Minimum number of seeds to separate the effect of an augmentation from chance."""
MIN_ROWS = 30
"""Minimum number of validation rows of a class or group for a comparison."""
MAX_LEVELS = 30
ERROR = "mae"
"""The measure that replaces accuracy in the results of a regression."""
CLASS = "class"
"""Name of the column for slices that are classes of the label."""
CORE_COLUMNS = ("row", "seed", "label", "without", "with")
"""Columns that a table of predictions needs. `copy`, `loss_without` and `loss_with` are read if it has them."""


@dataclass(frozen=True)
class AugmentationSlice:
    """Validation rows of a class or group. For each seed: the number of rows that became right with the augmentation, and of rows that
    became wrong.

    For a regression: the sums of the decreases and of the increases of absolute errors, divided by the slice's mean absolute error without
    augmentation.
    """

    column: str
    level: str
    n: int
    gained: tuple[float, ...]
    lost: tuple[float, ...]
    row_variance: float | None = None

    @property
    def change(self) -> RepeatedDifference | None:
        """The accuracy gained with the augmentation, or the share by which the error fell; None if there are too few seeds."""
        return repeated_difference(self.gained, self.lost, self.n, self.row_variance)


@dataclass(frozen=True)
class CheckedCopies:
    """The number of augmented copies whose label was checked, and of copies whose label differs from the original's."""

    n: int
    changed: int

    @property
    def rate(self) -> Interval:
        """The share of copies with another label."""
        return rate_interval(self.changed, self.n)


@dataclass(frozen=True)
class AugmentationAudit:
    """One audit of kind `augmentation`. Its counts and losses hold one number per seed.

    in_use: whether the version was trained with it. whole: the counts over all validation rows. right, copies_right: number of validation
    rows, and of augmented copies, that the training without augmentation decides correctly. loss, loss_with: final training losses without
    and with it. consensus: copies of rows that every seed decides correctly; a copy counts as changed if all seeds give it the same other
    class. checked: copies that people checked. of: the measure, "accuracy" or ERROR. error, copies_error: mean absolute errors on
    validation rows and on their copies, trained without augmentation.
    """

    model: str
    version: str
    at: datetime
    name: str
    in_use: bool
    whole: AugmentationSlice
    slices: tuple[AugmentationSlice, ...]
    right: tuple[int, ...] = ()
    copies_right: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    loss_with: tuple[float, ...] = ()
    consensus: CheckedCopies | None = None
    checked: CheckedCopies | None = None
    results: Mapping[str, Any] | None = None
    of: str = "accuracy"
    error: tuple[float, ...] = ()
    copies_error: tuple[float, ...] = ()

    @property
    def seeds(self) -> int:
        """The number of pairs of trainings, one per seed."""
        return len(self.whole.gained)

    @property
    def affinity(self) -> Interval | None:
        """Accuracy on augmented copies divided by accuracy on the original rows, for the model trained without augmentation. For a
        regression: the error on the rows divided by the error on the copies.
        """
        if self.of == ERROR:
            return seed_ratio(self.error, self.copies_error) if self.copies_error else None
        return seed_ratio(self.copies_right, self.right) if self.copies_right else None

    @property
    def diversity(self) -> Interval | None:
        """Final training loss with the augmentation divided by that without."""
        return seed_ratio(self.loss_with, self.loss) if self.loss_with else None


def augmentation_results(table: "DataFrame", name: str, groups: Sequence[str] = (), *, regression: bool = False) -> dict[str, Any]:
    """Return the results of an audit from the predictions of all trainings.

    Parameters
    ----------
    table : DataFrame
        A line for each validation row and seed, with CORE_COLUMNS: the row's name, the seed, the label, and the decisions of the training
        without and with the augmentation. Further `copy`, the decision of the training without augmentation on the row's augmented copy,
        `loss_without` and `loss_with`, the final training losses of the seed, and the columns of `groups`.
    name : str
        The augmentation.
    groups : sequence of str
        Columns whose levels are compared besides the classes.
    regression : bool
        Whether label, decisions and copies are numbers, whose absolute errors are compared.

    Returns
    -------
    dict of str to Any
        As an audit record holds them.

    Raises
    ------
    ValueError
        Where a row is missing or doubled for a seed; for regression where a value is not finite, or no error is above 0.
    """
    import pandas as pd

    seeds = sorted(table["seed"].unique().tolist())
    rows = table["row"].drop_duplicates().tolist()
    index = pd.MultiIndex.from_product([seeds, rows])
    if len(table) != len(index) or table.duplicated(["row", "seed"]).any():
        raise ValueError(f"{len(table):,} lines are not {len(rows):,} rows for each of {len(seeds)} seeds")
    ordered = table.set_index(["seed", "row"]).loc[index]
    shape = (len(seeds), len(rows))

    def grid(column: str) -> Any:
        return ordered[column].astype(str).to_numpy().reshape(shape)

    about = ordered.iloc[: len(rows)]
    found: dict[str, Any] = {"augmentation": name, "seeds": seeds, "rows": len(rows)}
    if regression:
        numbers = {key: _finite_grid(ordered[key], shape) for key in (*CORE_COLUMNS[2:], *(("copy",) if "copy" in ordered else ()))}
        found |= _error_results(numbers, {group: about[group].astype(str).to_numpy() for group in groups})
        return found | _losses(ordered, shape)
    label, without = grid("label"), grid("without")
    right, right_with = without == label, grid("with") == label
    change = right_with.astype(int) - right
    columns = {CLASS: label[0], **{group: about[group].astype(str).to_numpy() for group in groups}}
    found |= _counts(change)
    found["right"] = right.sum(axis=1).tolist()
    found["slices"] = list(_slice_counts(change, columns))
    if "copy" in ordered:
        copies = grid("copy")
        found["copies_right"] = (copies == label).sum(axis=1).tolist()
        sure = right.all(axis=0)
        agreed = (copies == copies[0]).all(axis=0) & (copies[0] != label[0])
        found["consensus"] = {"n": int(sure.sum()), "changed": int((sure & agreed).sum())}
    return found | _losses(ordered, shape)


def _losses(ordered: "DataFrame", shape: tuple[int, int]) -> dict[str, Any]:
    """The final training losses of each seed, if the table has them."""
    named = {key: column for column, key in (("loss_without", "loss"), ("loss_with", "loss_with")) if column in ordered}
    return {key: [float(value) for value in ordered[column].to_numpy(float).reshape(shape)[:, 0]] for key, column in named.items()}


def _finite_grid(values: "Series[Any]", shape: tuple[int, int]) -> Any:
    """Numbers by seed and row. Raises ValueError if one of them is not finite."""
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{int((~np.isfinite(numbers)).sum()):,} values of {values.name} are not finite numbers")
    return numbers.reshape(shape)


def _error_results(numbers: Mapping[str, Any], columns: Mapping[str, Any]) -> dict[str, Any]:
    """The results of a regression. Each slice's changes are divided by its own mean absolute error without augmentation."""
    errors = {key: np.abs(values - numbers["label"]) for key, values in numbers.items() if key != "label"}

    def gains(own: Any) -> dict[str, Any]:
        usual = float(errors["without"][:, own].mean())
        if usual <= 0:
            raise ValueError("no error is above 0 without the augmentation")
        change = (errors["without"] - errors["with"])[:, own] / usual
        counts: dict[str, Any] = {"gained": np.maximum(change, 0).sum(axis=1).tolist(), "lost": np.maximum(-change, 0).sum(axis=1).tolist()}
        return counts | {"row_variance": _row_variance(change)}

    slices = [
        {"column": column, "level": level, "n": int(own.sum()), **gains(own)}
        for column, level, own in _slice_rows(columns)
        if errors["without"][:, own].any()
    ]
    means = {"error": "without", "error_with": "with", "copies_error": "copy"}
    by_seed = {key: errors[name].mean(axis=1).tolist() for key, name in means.items() if name in errors}
    return {"of": ERROR, **gains(np.ones(numbers["label"].shape[1], bool)), "slices": slices, **by_seed}


def _row_variance(change: Any) -> float:
    """The variance over rows of their mean change (the mean is over seeds)."""
    mean = change.mean(axis=0)
    return float(mean.var(ddof=1)) if mean.size > 1 else 0.0


def _counts(change: Any) -> dict[str, Any]:
    """For each seed, the number of gained and of lost rows; and the variance over rows of their mean change. change: (seeds, rows), 1, 0 or
    -1.
    """
    gained, lost = ((sign * change > 0).sum(axis=1).tolist() for sign in (1, -1))
    return {"gained": gained, "lost": lost, "row_variance": _row_variance(change)}


def _slice_counts(change: Any, columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The counts of each slice."""
    for column, level, own in _slice_rows(columns):
        yield {"column": column, "level": level, "n": int(own.sum()), **_counts(change[:, own])}


def _slice_rows(columns: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """The rows of each level that has at least MIN_ROWS rows; columns with more than MAX_LEVELS levels are left out."""
    for column, texts in columns.items():
        levels = np.unique(texts)
        for level in levels if levels.size <= MAX_LEVELS else ():
            own = texts == level
            if own.sum() >= MIN_ROWS:
                yield column, str(level), own


def augmentation_audits(frame: "DataFrame") -> list[AugmentationAudit]:
    """Return the newest audit of each augmentation of each model version, by model, version and augmentation.

    Parameters
    ----------
    frame : DataFrame
        The answer to AUGMENTATION_AUDITS.

    Returns
    -------
    list of AugmentationAudit
        Audits whose results have no name, rows or counts are left out.
    """
    newest = {}
    for row in frame.sort_values("at", kind="stable").to_dict("records"):
        results = row["results"] if isinstance(row["results"], Mapping) else {}
        audit = _audit(row, results)
        if audit is not None:
            newest[audit.model, audit.version, audit.name] = audit
    return [newest[key] for key in sorted(newest)]


def _audit(row: Mapping[Any, Any], results: Mapping[str, Any]) -> AugmentationAudit | None:
    """The audit of a record; None if its results have another form."""
    of = ERROR if results.get("of") == ERROR else "accuracy"
    name, whole = results.get("augmentation"), _slice({"column": "", "level": "", "n": results.get("rows"), **_own(results)}, of)
    if not isinstance(name, str) or not name or whole is None:
        return None
    seeds = len(whole.gained)
    listed = results.get("slices")
    slices = [_slice(each, of) for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    right, copies, loss, loss_with, error, copies_error = (
        _numbers(results.get(key), seeds) for key in ("right", "copies_right", "loss", "loss_with", "error", "copies_error")
    )
    return AugmentationAudit(
        str(row["model"]),
        str(row["version"]),
        aware_utc(row["at"]),
        name,
        results.get("in_use") is not False,
        whole,
        tuple(each for each in slices if each is not None and len(each.gained) == seeds and each.n >= MIN_ROWS),
        right=tuple(int(each) for each in right) if copies else (),
        copies_right=tuple(int(each) for each in copies) if right else (),
        loss=loss if loss_with else (),
        loss_with=loss_with if loss else (),
        consensus=_checked(results.get("consensus")),
        checked=_checked(results.get("checked")),
        results=results,
        of=of,
        error=error if copies_error else (),
        copies_error=copies_error if error else (),
    )


def _own(results: Mapping[str, Any]) -> dict[str, Any]:
    """The counts over all rows in the results of an audit."""
    return {key: results.get(key) for key in ("gained", "lost", "row_variance")}


def _numbers(values: Any, seeds: int) -> tuple[float, ...]:
    """Finite numbers of at least 0, one for each seed; empty if `values` are no such numbers."""
    if not isinstance(values, list) or len(values) != seeds:
        return ()
    known = [float(each) for each in values if isinstance(each, int | float) and not isinstance(each, bool) and 0 <= each < np.inf]
    return tuple(known) if len(known) == seeds else ()


def _slice(row: Mapping[str, Any], of: str) -> AugmentationSlice | None:
    """A slice of an audit's results; None if a count is missing or impossible, or if errors lack the variance over rows."""
    n, gained, variance = row.get("n"), row.get("gained"), row.get("row_variance")
    if not isinstance(n, int) or isinstance(n, bool) or n < 1 or not isinstance(gained, list) or not gained:
        return None
    more, less = _numbers(gained, len(gained)), _numbers(row.get("lost"), len(gained))
    if not more or not less or (of != ERROR and any(up + down > n for up, down in zip(more, less, strict=True))):
        return None
    largest = np.inf if of == ERROR else 1
    known = float(variance) if isinstance(variance, int | float) and not isinstance(variance, bool) and 0 <= variance <= largest else None
    if of == ERROR:
        return (
            None if known is None else AugmentationSlice(str(row.get("column")), str(row.get("level")), n, more, less, row_variance=known)
        )
    up, down = (tuple(int(each) for each in counts) for counts in (more, less))
    return AugmentationSlice(str(row.get("column")), str(row.get("level")), n, up, down, row_variance=known)


def _checked(row: Any) -> CheckedCopies | None:
    """Counts of copies whose label was checked; None if they are missing or impossible."""
    n, changed = (row.get(key) for key in ("n", "changed")) if isinstance(row, Mapping) else (None, None)
    if not isinstance(n, int) or not isinstance(changed, int) or isinstance(n, bool) or isinstance(changed, bool):
        return None
    return CheckedCopies(n, changed) if n > 0 and 0 <= changed <= n else None
