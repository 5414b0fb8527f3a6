"""Writes Evidently reports that compare one window with another, each as one HTML file and one JSON snapshot.

A bounded sample of both sides goes to the worker, which has no network and cannot write elsewhere. The worker runs
`write_evidently_report`, which writes the two files. Both files and their names state the sample size. Evidently copies names of columns
and categories unescaped into a script of the page. Therefore characters that could end the script or become markup are replaced first.
"""

import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core import small_groups
from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.formatting import safe_file_part, truncate
from observability.core.questions import Sample
from observability.core.window import Window
from observability.worker.job import Output, Report

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store
    from observability.worker.process import Progress, Worker

ROWS = 5000
"""Maximum number of rows of each side. With this number, a report of 25 columns takes about 10 s (mostly importing Evidently) and 6 MB."""
SECONDS = 180.0
MIN_ROWS, MIN_LABELLED = 20, 30
MAX_LEVELS, MAX_COLUMNS = 50, 150
OTHER = "(other)"
SCORE, DECISION, LABEL = "model score", "model decision", "label"
JOB = "observability.export.evidently:write_evidently_report"
LOOK_ALIKE = str.maketrans({"<": "‹", ">": "›", "&": "＆", '"': "”", "'": "’", "`": "‘", "\\": "＼", "{": "❴", "}": "❵"})


@dataclass(frozen=True)
class Export:
    """The two files. name: the name of both files, without suffix. rows: sample sizes of the current and the reference side. of_rows: the
    numbers of rows from which the samples were drawn.

    left_out: columns that Evidently cannot process, each with the reason. network_blocked: whether the operating system denied sockets to
    the worker.
    """

    name: str
    html: bytes
    snapshot: bytes
    rows: tuple[int, int]
    of_rows: tuple[int, int]
    left_out: tuple[str, ...]
    seconds: float
    network_blocked: bool


@dataclass(frozen=True)
class Columns:
    """The columns of the report by kind, under their inert names. references: for each inert name, the column reference in the store."""

    references: dict[str, str]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]


def evidently_export(
    store: "Store", worker: "Worker", current: Window, reference: Window, *, rows: int = ROWS, progress: "Progress | None" = None
) -> Export:
    """The report of a window compared with another: the stored reference of its version, or any other window of the model.

    rows: maximum number of rows of each side. The rows with the smallest hash of their id are taken, so that the sample is reproducible.
    Raises UsageError if a side has fewer than `MIN_ROWS` rows or no column has values on both sides, and WorkerError if the worker fails.
    """
    from observability.core.questions import Aggregate

    say = progress or (lambda share, words: None)
    model = store.catalog().model(current.model)
    columns = report_columns(model, [version for version in model.versions if version.name in (current.version, reference.version)])
    say(0.02, "Reading a sample of both sides")
    sides: dict[str, DataFrame] = {}
    of_rows = []
    for name, window in (("current", current), ("reference", reference)):
        counted = store.ask(Aggregate("predictions"), window)
        of_rows.append(int(counted["n"].sum()))
        if of_rows[-1] < MIN_ROWS:
            where, got = "this window" if name == "current" else "the reference side", f"{of_rows[-1]} predictions"
            expected, attempt = f"at least {MIN_ROWS}", "Choose a longer window"
            raise UsageError("too few rows for a report", where=where, got=got, expected=expected, attempt=attempt)
        sample = store.ask(Sample("outcomes", tuple(columns.references.values()), rows), window)
        sides[name] = under_report_names(model, sample, columns)
    frames, left_out = usable_columns(sides, columns)
    sizes = len(frames["current"]), len(frames["reference"])
    arguments = {
        "numbers": [name for name in columns.numbers if name in frames["current"]],
        "categories": [name for name in columns.categories if name in frames["current"]],
        "task": task_of(model, frames),
        "positive": inert_name(model.classes[1]) if model.task == "binary" and len(model.classes) > 1 else None,
        "title": f"{inert_name(model.name)}: {span_words(current)} against {span_words(reference)}",
        "sample": sample_sentence(sizes, (of_rows[0], of_rows[1]), left_out),
        "metadata": {
            "model": inert_name(model.name),
            "rows_current": str(sizes[0]),
            "rows_reference": str(sizes[1]),
            "of_rows_current": str(of_rows[0]),
            "of_rows_reference": str(of_rows[1]),
            "sample": f"at most {rows} rows of each side, those with the smallest hash of the id",
            "current": span_words(current),
            "reference": span_words(reference),
        },
    }
    done = worker.call(JOB, frames=frames, arguments=arguments, imports=("evidently.presets",), seconds=SECONDS, progress=progress)
    return Export(
        evidently_file_name(model, current, sizes),
        done.files["html"],
        done.files["snapshot"],
        sizes,
        (of_rows[0], of_rows[1]),
        tuple(left_out),
        done.seconds,
        done.network_blocked,
    )


def report_columns(model: Model, versions: Sequence[Version]) -> Columns:
    """The features of the registered versions (all features if none is registered), score, decision and label, under unique inert names."""
    registered = {name for version in versions for name in version.features}
    references: dict[str, str] = {}
    numbers: list[str] = []
    categories: list[str] = []
    for column in model.features():
        if registered and column.name not in registered:
            continue
        name = unique_name(inert_name(column.name), {*references, SCORE, DECISION, LABEL})
        references[name] = column.reference
        (numbers if column.kind == "number" else categories).append(name)
    references[SCORE] = "score"
    numbers.append(SCORE)
    if model.task == "regression":
        references[LABEL] = "label_value"
        numbers.append(LABEL)
    elif model.task is not None:
        references |= {DECISION: "decision", LABEL: "label"}
        categories += [DECISION, LABEL]
    return Columns(references, tuple(numbers), tuple(categories))


def inert_name(value: object, longest: int = 80) -> str:
    """A name made inert: it cannot end a script, open a tag or break a line."""
    words = "".join(sign if sign.isprintable() else " " for sign in str(value))
    return truncate(" ".join(words.split()).translate(LOOK_ALIKE), longest) or "(no name)"


def unique_name(name: str, taken: set[str]) -> str:
    """The name, with a number appended if the name is taken."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found


def under_report_names(model: Model, frame: "DataFrame", columns: Columns) -> "DataFrame":
    """A sample under the names of the report. Numbers are finite or NaN, categories are inert text, decisions and labels are class
    names.
    """
    import numpy as np
    import pandas as pd

    found: dict[str, Any] = {}
    for name, reference in columns.references.items():
        values = frame[reference]
        if name in columns.numbers:
            found[name] = values.astype(np.float64).replace([np.inf, -np.inf], np.nan)
        elif name in (DECISION, LABEL):
            found[name] = values.map(dict(enumerate(map(inert_name, model.classes)))).astype(object)
        else:
            found[name] = values.map(level_name, na_action="ignore").astype(object)
    return pd.DataFrame(found)


def level_name(value: object) -> str:
    """A category as inert text."""
    from observability.stats.edges import level_label

    return inert_name(level_label(value) or "")


def usable_columns(sides: "dict[str, DataFrame]", columns: Columns) -> "tuple[dict[str, DataFrame], list[str]]":
    """Both sides without the columns that Evidently cannot process, and with rare categories merged. Also returns the columns that were
    left out, with reasons.
    """
    import pandas as pd

    left_out: list[str] = []
    kept: list[str] = []
    for name in columns.references:
        empty = [side for side, frame in sides.items() if not frame[name].notna().any()]
        if empty:
            where = "on either side" if len(empty) == 2 else "in the window" if empty == ["current"] else "in the reference side"
            left_out.append(f"{name} (no value {where})")
        elif len(kept) >= MAX_COLUMNS and name not in (SCORE, DECISION, LABEL):
            left_out.append(f"{name} (beyond {MAX_COLUMNS} columns)")
        else:
            kept.append(name)
    if not [name for name in kept if name != LABEL]:
        raise UsageError("no column has values on both sides", attempt="Choose another window")
    frames = {side: frame[kept].copy() for side, frame in sides.items()}
    for name in kept:
        if name in columns.categories and name not in (DECISION, LABEL):
            counts = pd.DataFrame({side: frame[name].value_counts() for side, frame in frames.items()}).fillna(0)
            for frame in frames.values():
                frame[name] = frame[name].where(frame[name].isin(shown_levels(counts)) | frame[name].isna(), OTHER)
    return frames, left_out


def shown_levels(counts: "DataFrame") -> list[Any]:
    """The levels of a category that a report names: the most frequent levels with enough rows on each side.

    All other levels are counted as one level. If this one has too few rows on a side, the least frequent named levels join it. counts: rows
    by level (index) and side.
    """
    ordered = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    few = ((ordered > 0) & (ordered < small_groups.MIN_ROWS)).any(axis=1)
    shown = [level for level, hidden in few.iloc[:MAX_LEVELS].items() if not hidden]
    while shown and (((rest := ordered.drop(shown).sum()) > 0) & (rest < small_groups.MIN_ROWS)).any():
        shown.pop()
    return shown


def task_of(model: Model, frames: "Mapping[str, DataFrame]") -> str | None:
    """The task whose preset the report uses; None if a side has too few labels, or only one class."""
    for frame in frames.values():
        needed = [LABEL, SCORE if model.task == "regression" else DECISION]
        if any(name not in frame for name in needed):
            return None
        known = frame[frame[needed].notna().all(axis=1)]
        if len(known) < MIN_LABELLED or (model.task != "regression" and known[LABEL].nunique() < 2):
            return None
    return model.task


def sample_sentence(sizes: tuple[int, int], of_rows: tuple[int, int], left_out: Sequence[str]) -> str:
    """The sentence about the sample at the top of the report."""
    parts = [
        f"{size:,} of {whole:,} predictions of {side}" if size < whole else f"all {whole:,} predictions of {side}"
        for size, whole, side in zip(sizes, of_rows, ("the current window", "the reference side"), strict=True)
    ]
    words = f"Based on {parts[0]} and {parts[1]}. The sample is reproducible (smallest hashes of the id)."
    return words + (f" Left out: {'; '.join(left_out[:20])}{' and more' if len(left_out) > 20 else ''}." if left_out else "")


def span_words(window: Window) -> str:
    """One side of the comparison in words: its version, its time span or the reference, and its slice."""
    version = f"version {inert_name(window.version)}" if window.version else "all versions"
    part = f", {inert_name(window.slice)}" if window.slice else ""
    if window.environment == "reference":
        return f"the reference of {version}{part}"
    return f"{version}, {iso(window.start)} to {iso(window.end)}{part}"


def evidently_file_name(model: Model, window: Window, sizes: tuple[int, int]) -> str:
    """The name of the files, for example `evidently-loan-20260309-20260316-5000-current-5000-reference-rows`. A hash is added if the model
    name had to be changed.
    """
    plain = safe_file_part(model.name, "model")
    if plain != model.name:
        plain += f"-{hashlib.sha256(model.name.encode()).hexdigest()[:6]}"
    days = f"{window.start:%Y%m%d}-{window.end:%Y%m%d}"
    return f"evidently-{plain}-{days}-{sizes[0]}-current-{sizes[1]}-reference-rows"


def write_evidently_report(frames: "dict[str, DataFrame]", arguments: dict[str, Any], files: dict[str, Path], say: Report) -> Output:
    """The job of the worker: write a report on the frames "current" and "reference", with inert names, to `report.html` and
    `snapshot.json`.

    arguments: numbers, categories (names of columns), task (binary, multiclass, regression or None), positive (the positive
    class), title, sample (the sentence about the sample), metadata (texts for the snapshot).
    """
    import os
    import warnings

    os.environ["DO_NOT_TRACK"] = "1"
    say(0.1, "Importing Evidently")
    from evidently import DataDefinition, Dataset
    from evidently import Report as EvidentlyReport
    from evidently.core.datasets import BinaryClassification, MulticlassClassification, Regression
    from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset, RegressionPreset

    say(0.35, "Computing drift and summaries")
    tasks: dict[str, Any] = {}
    presets: list[Any] = [DataDriftPreset(), DataSummaryPreset()]
    if arguments["task"] == "binary":
        scored = all(frame.loc[frame[LABEL].notna(), SCORE].notna().all() for frame in frames.values())
        columns = {"target": LABEL, "prediction_labels": DECISION} | ({"prediction_probas": SCORE} if scored else {})
        tasks["classification"] = [BinaryClassification(**columns, pos_label=arguments["positive"])]
        presets.append(ClassificationPreset())
    elif arguments["task"] == "multiclass":
        tasks["classification"] = [MulticlassClassification(target=LABEL, prediction_labels=DECISION)]
        presets.append(ClassificationPreset())
    elif arguments["task"] == "regression":
        tasks["regression"] = [Regression(target=LABEL, prediction=SCORE)]
        presets.append(RegressionPreset())
    definition = DataDefinition(numerical_columns=arguments["numbers"], categorical_columns=arguments["categories"], **tasks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sides = [Dataset.from_pandas(frames[name], data_definition=definition) for name in ("current", "reference")]
        snapshot = EvidentlyReport(presets, metadata=arguments["metadata"]).run(*sides, name=arguments["title"])
        say(0.85, "Writing the files")
        page = with_heading(snapshot.get_html_str(as_iframe=False), arguments["title"], arguments["sample"])
        snapshot_json = snapshot.dumps()
    Path("report.html").write_text(page, encoding="utf-8")
    Path("snapshot.json").write_text(snapshot_json, encoding="utf-8")
    say(1.0, "Done")
    files = {"html": Path("report.html"), "snapshot": Path("snapshot.json")}
    return Output(values={"metrics": len(json.loads(snapshot_json)["metric_results"])}, files=files)


def with_heading(page: str, title: str, sentence: str) -> str:
    """The page with a title, and the sentence about the sample at the top."""
    style = "font-family: sans-serif; margin: 16px 24px; color: #333"
    words = f'<div style="{style}"><h1 style="font-size: 20px">{html.escape(title)}</h1><p>{html.escape(sentence)}</p></div>'
    page = re.sub(r"(<body[^>]*>)", lambda found: found[1] + words, page, count=1)
    return re.sub(r"<head>", lambda found: f"{found[0]}<title>{html.escape(title)}</title>", page, count=1)
