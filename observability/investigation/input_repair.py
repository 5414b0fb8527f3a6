"""Test a suspected input: replace it by good values, run the model again, and compare the answer with the label.

The good values come from rows of the same source that are near in time. The source is the level of a category (a station, an airport, a
device). The category chosen is the one within whose levels consecutive rows differ least. Without such rows, the values of similar rows are
used. Several repairs show the spread of the answer. Scores of repaired inputs are simulated.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Column
from observability.core.formatting import join_words, plural
from observability.core.numerals import format_figure, percent
from observability.core.questions import Sample
from observability.core.time import naive_utc
from observability.investigation import comparison_rows, neighbours
from observability.investigation.cached_answers import cached_scores
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.conditions import slice_level
from observability.investigation.evidence_types import InputRepair, NotGivenError
from observability.investigation.input_faults import suspected_features
from observability.investigation.label_types import with_unit
from observability.investigation.sampled_rows import artifact_of, model_ready_values, version_features
from observability.stats.arrays import Bools, Floats

if TYPE_CHECKING:
    from pandas import DataFrame

NEAR, REPAIRS, MIN_REPAIRS = timedelta(hours=24), 10, 2
"""How long before and after the case good values of its source are taken from; number of repairs; minimum number of repairs from one
source.
"""
STEADY = 0.5
"""A level counts as one source if its consecutive rows differ by at most this on average, in standard deviations of all rows."""
FEW_MISSING = 0.5
"""If a feature's share of missing values is below this, rows that repair it must have a value."""
SECONDS = 30.0
NAMED, SOME_PART = 3, 0.1
"""Maximum number of features that a sentence names; smallest share of an error that is stated."""


@dataclass(frozen=True)
class Donors:
    """The rows whose values repair a case, nearest first, and a description of where they come from."""

    frame: "DataFrame"
    text: str
    key: str | None = None


def answer_with_repaired_inputs(case: CaseInProgress) -> InputRepair | None:
    """The answer with repaired inputs; None if no input is suspected. Raises NotGivenError if the repair cannot be tried."""
    features = suspected_features(case)
    if not features:
        return None
    row = case.row
    artifact_of(case.store, row.version)
    found = donor_rows(case, features)
    columns = version_features(row.model, row.version)
    wanted = [each for each in columns if each.name in features]
    repaired = [{**row.features, **{each.name: value_in(held, each) for each in wanted}} for held in found.frame.to_dict("records")]
    table = model_ready_values(list(columns), [row.features, *repaired])
    given = cached_scores(case.store, row, row.version, table, case.worker, case.progress, SECONDS)
    return judged_repair(case, features, found, given)


def donor_rows(case: CaseInProgress, features: tuple[str, ...]) -> Donors:
    """Rows with good values of the features. Raises NotGivenError if there are no such rows."""
    columns = [each for each in version_features(case.row.model, case.row.version) if each.name in features]
    near = rows_near_in_time(case)
    near = near[good_rows(case, near, columns)]
    key = source_key(case, near, columns)
    if key is not None:
        own = case_level(case, key)
        same = near[near[key].map(lambda level: None if level is None else slice_level(level)) == own]
        far = (same["at"] - naive_utc(case.row.at)).abs()
        same = same.loc[far.sort_values(kind="stable").index]
        distinct = same.drop_duplicates([each.reference for each in columns]).head(REPAIRS)
        if len(distinct) >= MIN_REPAIRS:
            hours = max(abs(at - naive_utc(case.row.at)).total_seconds() for at in distinct["at"]) / 3600
            name = key.partition(".")[2] or key
            return Donors(distinct, f"{len(distinct)} good values of {name} {own} within {format_figure(max(hours, 0.1), 2)} hours", name)
    rows = similar_rows(case, columns)
    if not len(rows):
        raise NotGivenError("no row has good values of the suspected inputs, so they cannot be repaired")
    return Donors(rows, f"{plural(len(rows), 'similar row')}")


def rows_near_in_time(case: CaseInProgress) -> "DataFrame":
    """Predictions of the version that are near the case in time, in order of time, without the case."""
    row, model = case.row, case.row.model
    names = ("id", "at", "replica", "device", *(column.reference for column in model.columns))
    window = replace(comparison_rows.window_around(case), start=row.at - NEAR, end=min(row.at + NEAR, max(case.now, row.at)))
    frame = case.store.ask(Sample("outcomes", names, comparison_rows.row_limit(model)), window)
    return frame[frame["id"] != row.id].sort_values("at", kind="stable").reset_index(drop=True)


def good_rows(case: CaseInProgress, frame: "DataFrame", columns: list[Column]) -> Bools:
    """Mask of rows with good values: present (if the feature is mostly present in the reference), within the reference's range, and one of
    its levels.
    """
    good = np.ones(len(frame), bool)
    missing = {each.feature: each.share for each in case.part("inputs") or () if set(each.flags) & {"null", "absent"}}
    for column in columns:
        values, edges = frame[column.reference], case.row.version.edges.get(column.reference)
        known = np.asarray(values.notna(), bool)
        if (missing.get(column.name) or 0.0) < FEW_MISSING:
            good &= known
        if edges is not None and column.kind == "number" and edges.limits is not None:
            good &= ~known | np.asarray(values.between(*edges.limits), bool)
        elif edges is not None and column.kind != "number" and edges.levels:
            good &= ~known | np.asarray([level is None or slice_level(level) in edges.levels for level in values], bool)
    return good


def source_key(case: CaseInProgress, frame: "DataFrame", columns: list[Column]) -> str | None:
    """The category, replica or device that is the source: the one within whose levels consecutive rows differ least in these columns. None
    if no category qualifies, or if the case's level is unknown.
    """
    own = [each.reference for each in columns]
    keys = [each.reference for each in case.row.model.columns if each.kind != "number" and each.reference not in own]
    found = {
        key: mean_step(frame, key, columns)
        for key in (*keys, "replica", "device")
        if case_level(case, key) is not None and 1 < frame[key].nunique() <= len(frame) / MIN_REPAIRS
    }
    if not found:
        return None
    best = min(found, key=lambda key: found[key])
    return best if found[best] <= STEADY else None


def case_level(case: CaseInProgress, key: str) -> str | None:
    """The level of a category, replica or device that the case has, as text."""
    value = case.row.stored.get(key) if key in ("replica", "device") else comparison_rows.values_by_reference(case.row).get(key)
    return None if value is None else slice_level(value)


def mean_step(frame: "DataFrame", key: str, columns: list[Column]) -> float:
    """Mean difference between consecutive rows of one level. Numbers are measured in standard deviations; different categories count 1.
    Infinite if there are no consecutive rows of one level.
    """
    ordered = frame[frame[key].notna()]
    parts: list[float] = []
    for column in columns:
        values = ordered[column.reference]
        if column.kind == "number":
            numbers = values.astype("float64")
            spread = float(numbers.std())
            steps = numbers.groupby(ordered[key].astype(str)).diff().abs().dropna()
            if len(steps) and spread > 0:
                parts.append(float(steps.mean()) / spread)
        else:
            text = values.map(lambda level: None if level is None else slice_level(level))
            before = text.groupby(ordered[key].astype(str)).shift()
            pairs = before.notna() & text.notna()
            if pairs.any():
                parts.append(float((before[pairs] != text[pairs]).mean()))
    return float(np.mean(parts)) if parts else float("inf")


def similar_rows(case: CaseInProgress, columns: list[Column]) -> "DataFrame":
    """The rows that are nearest by the other features and have good values of these features."""
    import pandas as pd

    frame = pd.concat([comparison_rows.rows_of_reference(case), comparison_rows.labelled_rows_of(case)], ignore_index=True)
    if any(each.reference not in frame for each in columns):
        raise NotGivenError("too many inputs are suspected to be repaired together")
    frame = frame[good_rows(case, frame, columns)].reset_index(drop=True)
    own = {each.reference for each in columns}
    others = [each for each in case.row.compared_features if each.reference not in own]
    if not len(frame) or not others:
        return frame.head(REPAIRS)
    space = neighbours.space_of(frame, others)
    distance = space.place(frame).distances(space.place(neighbours.case_frame(case.row)))
    return frame.iloc[np.argsort(distance, kind="stable")[:REPAIRS]]


def value_in(held: dict[Any, Any], column: Column) -> Any:
    """The value of a column in a row; None if missing."""
    value = held[column.reference]
    return None if value is None or value != value else value


def judged_repair(case: CaseInProgress, features: tuple[str, ...], rows: Donors, given: Floats) -> InputRepair:
    """The effect of the repairs. given: the model's scores of the stored input and of each repaired one."""
    values, truth = answer_scale(case, given)
    before, after, right = float(values[0]), values[1:], right_answers(case, given)
    low, middle, high = (float(each) for each in np.quantile(after, (0.1, 0.5, 0.9)))
    found = InputRepair(features, rows.text, before, middle, low, high, int(after.size), key=rows.key)
    if truth is not None and right is not None and not right[0]:
        error, rest = abs(before - truth), abs(middle - truth)
        found = replace(found, right=int(right[1:].sum()), nearer=error - rest, part=1 - rest / error)
    return replace(found, because=repair_sentence(case, found))


def repair_sentence(case: CaseInProgress, found: InputRepair) -> str:
    """A sentence that estimates the answer without the fault, gives its spread, and says whether the fault explains the error."""
    row = case.row
    names = join_words([*found.features[:NAMED], *([plural(len(found.features) - NAMED, "other")] if len(found.features) > NAMED else [])])
    name = "the score" if row.model.task != "multiclass" else "the probability of the label" if row.label_code >= 0 else "the probability"
    middle, before = (with_unit(row.model, format_figure(each, 3)) for each in (found.middle, found.before))
    sentence = f"With {names} from {found.source}, {name} would have been {middle} "
    sentence += f"({format_figure(found.low, 3)} to {format_figure(found.high, 3)}) instead of {before}"
    if found.right is None:
        return f"{sentence}."
    large = "no large error" if row.model.task == "regression" else "right"
    sentence += f", {large} in {found.right} of {found.n} repairs"
    if found.cause > 0:
        return f"{sentence}."
    if found.right:
        return f"{sentence}: that does not tell whether the fault caused this error."
    fault = fault_words(case, found.features)
    if row.model.task == "regression" and found.part >= SOME_PART:
        return f"{sentence}. {fault}; that explains {percent(found.part, 2)} of this error."
    return f"{sentence}. {fault}; that did not cause this error."


def fault_words(case: CaseInProgress, features: tuple[str, ...]) -> str:
    """The beginning of a sentence that says that inputs are odd or missing. It does not say that a feed failed, because a missing value may
    be usual, like a missing wind direction when the wind is light.
    """
    missing = {each.feature for each in case.part("inputs") or () if {"null", "absent"} & set(each.flags)} & set(features)
    if not missing:
        return "The input is odd" if len(features) == 1 else "The inputs are odd"
    if len(missing) < len(features):
        return "The inputs are missing or odd"
    return "The value is missing" if len(features) == 1 else "The values are missing"


def answer_scale(case: CaseInProgress, given: Floats) -> tuple[Floats, float | None]:
    """The scores on one scale, and the true value on it (None if unknown). The scale is the probability of the positive class (binary), the
    probability of the label (multiclass; of the decided class without a label), or the value of a regression.
    """
    row = case.row
    if given.ndim == 2:
        place = row.label_code if row.label_code >= 0 else max(row.decision, 0)
        return given[:, place], 1.0 if row.label_code >= 0 else None
    if row.model.task == "binary":
        return given, float(row.label_code) if row.label_code >= 0 else None
    return given, row.label_number


def right_answers(case: CaseInProgress, given: Floats) -> Bools | None:
    """A mask of the right answers: the decision equals the label; for a regression, the error is not large. None if the
    label is unknown.
    """
    row = case.row
    if row.model.task == "regression":
        limit = comparison_rows.error_definition(case).limit
        if row.label_number is None or limit is None:
            return None
        return np.asarray(np.abs(given - row.label_number) <= limit, bool)
    if row.label_code < 0:
        return None
    decided = given.argmax(axis=1) if given.ndim == 2 else (given >= row.threshold).astype(np.int64)
    return np.asarray(decided == row.label_code, bool)
