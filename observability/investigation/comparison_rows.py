"""Rows that a case is compared with: labelled rows of the same period, and rows of the reference of its version.

They are bounded samples, so the cost does not grow with the store. Rows with the smallest hash of the id come first, so every engine
selects the same rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core import analyzer
from observability.core.analyzer import most_important_names
from observability.core.catalog import Column, Model
from observability.core.formatting import format_span
from observability.core.numerals import format_figure
from observability.core.questions import Aggregate, By, Sample
from observability.core.window import EPOCH, Window
from observability.investigation.case_parts import CaseInProgress, computed_once
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.label_types import class_words, with_unit
from observability.investigation.logged_prediction import Row
from observability.investigation.sampled_rows import as_environment, probability_columns
from observability.stats.arrays import Bools

if TYPE_CHECKING:
    from pandas import DataFrame

SPANS = (7, 28, 180, 36_500)
"""Number of days before and after the case. The first span with at least ENOUGH predictions is used."""
ENOUGH = 3_000
MAX_ROWS, REFERENCE_ROWS, MAX_CELLS = 12_000, 4_000, 1_000_000
"""Maximum numbers of rows around the case, of rows of the reference, and of feature values (rows × features)."""
LARGE_ERROR = 0.8
"""For a regression, a prediction is an error if its absolute error is above this quantile of the reference's absolute errors."""


@dataclass(frozen=True)
class ErrorDefinition:
    """What counts as an error. text: the definition in words. limit: for a regression, the absolute error above which a row is an error.
    decision, sign: only errors with this decision or sign count; None for both directions. said: the word for such rows in a sentence, for
    example `errors` in `3 of 10 are errors`.
    """

    text: str
    limit: float | None = None
    decision: int | None = None
    sign: int | None = None
    said: str = "errors"

    def of(self, frame: "DataFrame") -> Bools:
        """A mask of the rows of a frame that are errors. Rows without label or decision are not errors."""
        if self.limit is not None:
            error = frame["score"] - frame["label_value"]
            return np.asarray((error.abs() if self.sign is None else error * self.sign) > self.limit, bool)
        known = (frame["decision"] >= 0) & (frame["label"] >= 0)
        known &= True if self.decision is None else frame["decision"] == self.decision
        return np.asarray(known & (frame["decision"] != frame["label"]), bool)

    def search(self, model: Model) -> str:
        """The definition as a condition of a search (store/query/search.py)."""
        if self.limit is None:
            return "outcome = wrong" if self.decision is None else f'answer = "{model.classes[self.decision]}" and outcome = wrong'
        if self.sign is None:
            return f"absolute_error > {self.limit!r}"
        return f"error > {self.limit!r}" if self.sign > 0 else f"error < {-self.limit!r}"

    def of_row(self, row: Row) -> bool | None:
        """Whether the case is an error; None if unknown."""
        return row.wrong if self.limit is None else None if row.error is None else abs(row.error) > self.limit


@computed_once
def window_around(case: CaseInProgress) -> Window:
    """The window around the case, for its version: a week on each side, or more if a week has few predictions. It ends at `now` or `as_of`
    at the latest.
    """
    row = case.row
    limit = min(case.now, case.as_of) if case.as_of else case.now
    environment = as_environment(row.environment)
    window = Window(row.model.name, EPOCH, EPOCH, version=row.version.name, as_of=case.as_of, environment=environment)
    if row.environment == "reference":
        return replace(window, end=max(limit, EPOCH))
    for days in SPANS:
        start = max(day_start(row.at - timedelta(days=days)), EPOCH)
        end = max(min(day_start(row.at + timedelta(days=days + 1)), limit), start)
        window = replace(window, start=start, end=end)
        if int(case.store.ask(Aggregate("predictions"), window)["n"].sum()) >= ENOUGH:
            break
    return window


def period_words(case: CaseInProgress) -> str:
    """The days of the window around the case, for example ` of 6 to 20 Jul 2013`. Empty for a row of the reference."""
    window, day = window_around(case), timedelta(days=1)
    if case.row.environment == "reference":
        return ""
    return f" of {format_span(day_start(window.start), max(day_start(window.end - timedelta(microseconds=1)), window.start) + day)}"


def day_start(instant: datetime) -> datetime:
    """Midnight at the start of an instant's day."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def sample_columns(model: Model, columns: Sequence[Column] | None = None) -> tuple[str, ...]:
    """The names of the columns that a sample holds. columns: its inputs and groups; by default all inputs and groups of the model."""
    facts = ("id", "at", "decision", "label", "label_value", "score", "replica", "device")
    return (*facts, *probability_columns(model), *(column.reference for column in (model.columns if columns is None else columns)))


def compared_columns(row: Row) -> tuple[Column, ...]:
    """The columns with which rows are compared: groups, sensitive columns and `Row.compared_features`. For a model with few features, these
    are all its columns.
    """
    model = row.model
    if len(model.features()) <= analyzer.MOST_INPUTS:
        return tuple(model.columns)
    wanted = {column.name for column in row.compared_features}
    return tuple(column for column in model.columns if column.role != "feature" or column.sensitive or column.name in wanted)


@computed_once
def read_columns(case: CaseInProgress) -> tuple[Column, ...]:
    """The columns in samples of the case: `compared_columns` and the flagged inputs. If many inputs are flagged, only the most important
    ones are included.
    """
    model, columns = case.row.model, compared_columns(case.row)
    if len(columns) == len(model.columns):
        return columns
    flagged = [each.feature for each in case.part("inputs") or () if each.flagged]
    held = {column.name for column in columns} | set(most_important_names(flagged, model.settings.importance))
    return tuple(column for column in model.columns if column.role != "feature" or column.name in held)


def row_limit(model: Model, rows: int = MAX_ROWS, cells: int = MAX_CELLS) -> int:
    """The number of rows to read: at most `rows`, and at most `cells` feature values in total, but at least 200 rows."""
    return max(200, min(rows, cells // max(len(model.columns), 1)))


def labelled_rows_about(case: CaseInProgress) -> "DataFrame":
    """At most MAX_ROWS labelled rows around the case, without the case itself. Raises NotGivenError if there are none."""
    found = labelled_rows_of(case)
    if found.empty:
        raise NotGivenError(f"no other prediction of this version{period_words(case)} is labelled yet")
    return found


@computed_once
def labelled_rows_of(case: CaseInProgress) -> "DataFrame":
    """Labelled rows around the case, without the case itself. May be empty."""
    model = case.row.model
    frame = case.store.ask(Sample("outcomes", sample_columns(model, read_columns(case)), row_limit(model)), window_around(case))
    return frame[(frame["label"] >= 0) & (frame["id"] != case.row.id)].reset_index(drop=True)


@computed_once
def labelled_total(case: CaseInProgress) -> int:
    """The number of all labelled predictions around the case, sampled or not. It includes the case."""
    return labelled_in(case, window_around(case))


def labelled_in(case: CaseInProgress, window: Window) -> int:
    """Number of labelled predictions of a window."""
    frame = case.store.ask(Aggregate("outcomes", keys=(By("label"),)), window)
    return int(frame.loc[frame["label"] >= 0, "n"].sum())


def labelled_sample(case: CaseInProgress) -> str:
    """The number of labelled rows around the case and their days, in words. For a sample, also the number of all such rows. The case itself
    is not counted.
    """
    frame, own = labelled_rows_of(case), int(case.row.label_code >= 0)
    rows, total, days = len(frame), labelled_total(case) - own, "" if case.row.environment == "reference" else days_of(frame)
    what = "other labelled predictions" if own else "labelled predictions"
    which = f"a sample of {rows:,} of {total:,} {what}" if rows < total else f"{rows:,} {what}"
    return f"{which} of {days}" if days else which


def days_of(frame: "DataFrame") -> str:
    """The UTC days from the first to the last row, for example `6 to 20 Jul 2013`. Empty if no row has a time."""
    at = frame["at"].dropna()
    return format_span(day_start(at.min().to_pydatetime()), day_start(at.max().to_pydatetime()) + timedelta(days=1)) if len(at) else ""


@computed_once
def rows_of_reference(case: CaseInProgress) -> "DataFrame":
    """At most REFERENCE_ROWS rows of the version's reference, without the case itself. Empty without a reference."""
    model = case.row.model
    rows = row_limit(model, REFERENCE_ROWS, MAX_CELLS // 2)
    asked = Sample("outcomes", sample_columns(model, read_columns(case)), rows)
    frame = case.store.ask(asked, replace(window_around(case), slice=None).reference())
    return frame[frame["id"] != case.row.id].reset_index(drop=True)


def reference_sample(row: Row, rows: int) -> str:
    """The number of compared reference rows in words. For a sample, also the number of all reference rows."""
    total = row.version.reference_rows or 0
    return f"a sample of {rows:,} of {total:,} reference rows" if rows < total else f"{rows:,} reference rows"


@computed_once
def error_definition(case: CaseInProgress) -> ErrorDefinition:
    """The definition of an error for this model: decision ≠ label. For a regression, an absolute error above the quantile LARGE_ERROR of
    the reference's errors.

    Raises NotGivenError if a regression has neither a labelled reference nor labelled rows.
    """
    if case.row.model.task != "regression":
        return ErrorDefinition("a decision that is not the label")
    frame, where = rows_of_reference(case), ""
    if not (frame["label"] >= 0).any():
        frame, where = labelled_rows_about(case), "the labelled rows"
    errors = (frame["score"] - frame["label_value"]).abs().dropna()
    if errors.empty:
        raise NotGivenError("no errors are known for comparison", attempt="Register a reference with labels")
    limit = float(errors.quantile(LARGE_ERROR))
    words, where = with_unit(case.row.model, format_figure(limit)), where or reference_sample(case.row, errors.size)
    text = f"an absolute error above {words}, the largest fifth of {where}"
    return ErrorDefinition(text, limit, said=f"more than {words} too high or too low")


def same_decision_rows(case: CaseInProgress) -> "DataFrame":
    """The labelled rows with the same decision as the case. For a regression, all labelled rows. Raises NotGivenError if there are none."""
    frame, decision = labelled_rows_about(case), case.row.decision
    return frame if decision < 0 else frame[frame["decision"] == decision].reset_index(drop=True)


def decided_words(case: CaseInProgress) -> str:
    """The decision of the case in words that stand before a noun, for example `“late” `. Empty for a regression."""
    row = case.row
    return f"“{class_words(row.model, row.model.classes[row.decision])}” " if row.decision >= 0 else ""


def similar_error(case: CaseInProgress) -> ErrorDefinition:
    """Definition of an error in the same direction as the case's error: with the same decision, or on the same side (too high, too low).
    `error_definition` if the direction is unknown.
    """
    row, error = case.row, error_definition(case)
    if error.limit is None:
        if row.decision < 0:
            return error
        decided = class_words(row.model, row.model.classes[row.decision])
        return replace(error, text=f"a decision “{decided}” that is not the label", decision=row.decision)
    if not row.error:
        return error
    side, said = "high" if row.error > 0 else "low", error.said.removesuffix(" too high or too low")
    return replace(error, text=f"{error.text}, too {side}", sign=1 if row.error > 0 else -1, said=f"{said} too {side}")


def values_by_reference(row: Row) -> dict[str, Any]:
    """The values of the case, by column reference."""
    return {column.reference: (row.features if column.role == "feature" else row.groups).get(column.name) for column in row.model.columns}
