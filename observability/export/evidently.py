"""What does a window look like as an Evidently report, in a form that others can open: one HTML file, one JSON snapshot?

A bounded sample of both sides goes to the worker, which has no network and cannot write elsewhere; there `report` makes the files. The size of the sample
stands in both and in their names. Evidently puts the names of columns and categories into a script of the page as they are, so signs that could end that
script or become markup are replaced before it sees them.
"""

import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.questions import Sample
from observability.core.window import Window
from observability.worker.job import Output, Report

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from observability.store.db.database import Store
    from observability.worker.process import Answer

ROWS = 5000
"""Rows of each side. A report of 25 columns takes about 10 s and 6 MB with them, most of it importing Evidently."""
SECONDS = 180.0
LEAST_ROWS, LEAST_LABELLED = 20, 30
MOST_LEVELS, MOST_COLUMNS = 50, 150
OTHER = "(other)"
SCORE, DECISION, LABEL = "model score", "model decision", "label"
JOB = "observability.export.evidently:report"
LOOK_ALIKE = str.maketrans({"<": "‹", ">": "›", "&": "＆", '"': "”", "'": "’", "`": "‘", "\\": "＼", "{": "❴", "}": "❵"})
Progress = Callable[[float, str], None]


class Caller(Protocol):
    """What runs a job: `observability.worker.Worker`."""

    def call(
        self,
        job: str,
        frames: "Mapping[str, DataFrame] | None" = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        imports: tuple[str, ...] = (),
        seconds: float | None = None,
        progress: Progress | None = None,
    ) -> "Answer":
        """See `observability.worker.Worker.call`."""


@dataclass(frozen=True)
class Export:
    """The two files. name: of the files, without ending. rows: of the current and the other side's sample, out of_rows.

    left_out: columns that Evidently cannot take, with the reason. network_blocked: whether the operating system refused sockets to the worker.
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
    """Columns of the report, by kind, under their inert names; and by which references they are asked of the store."""

    references: dict[str, str]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]


def export(
    store: "Store", worker: Caller, current: Window, reference: Window, *, rows: int = ROWS, progress: Progress | None = None
) -> Export:
    """The report of a window against another (the stored reference of its version, or any other window of the model).

    rows: at most so many of each side, those with the smallest hash of their id, so that the same question gives the same rows.
    Raises UsageError where a side has fewer than LEAST_ROWS rows or no column, and WorkerError where the worker fails.
    """
    from observability.core.questions import Aggregate
    from observability.store.query import aggregates, listing

    say = progress or (lambda share, words: None)
    model = store.catalog().model(current.model)
    columns = columns_of(model, [each for each in model.versions if each.name in (current.version, reference.version)])
    say(0.02, "Reading a sample of both sides")
    sides: dict[str, DataFrame] = {}
    of_rows = []
    for name, window in (("current", current), ("reference", reference)):
        counted = aggregates.ask(store, Aggregate("predictions"), window)
        of_rows.append(int(counted["n"].sum()))
        if of_rows[-1] < LEAST_ROWS:
            raise UsageError(
                "there are too few rows for a report", where="this window" if name == "current" else "the side it is held against",
                got=f"{of_rows[-1]} predictions", expected=f"at least {LEAST_ROWS}", attempt="Choose a longer window",
            )  # fmt: skip
        asked = Sample("outcomes", tuple(columns.references.values()), rows)
        sides[name] = renamed(model, listing.sample(store, asked, window), columns)
    frames, left_out = usable(sides, columns)
    sizes = len(frames["current"]), len(frames["reference"])
    arguments = {
        "numbers": [each for each in columns.numbers if each in frames["current"]],
        "categories": [each for each in columns.categories if each in frames["current"]],
        "task": task_of(model, frames),
        "positive": inert(model.classes[1]) if model.task == "binary" and len(model.classes) > 1 else None,
        "title": f"{inert(model.name)}: {span_words(current)} against {span_words(reference)}",
        "said": said(sizes, (of_rows[0], of_rows[1]), left_out),
        "metadata": {
            "model": inert(model.name), "rows_current": str(sizes[0]), "rows_reference": str(sizes[1]), "of_rows_current": str(of_rows[0]),
            "of_rows_reference": str(of_rows[1]), "sample": f"at most {rows} rows of each side, those with the smallest hash of the id",
            "current": span_words(current), "reference": span_words(reference),
        },
    }  # fmt: skip
    done = worker.call(JOB, frames=frames, arguments=arguments, imports=("evidently.presets",), seconds=SECONDS, progress=progress)
    return Export(
        file_name(model, current, sizes), done.files["html"], done.files["snapshot"], sizes, (of_rows[0], of_rows[1]), tuple(left_out),
        done.seconds, done.network_blocked,
    )  # fmt: skip


def columns_of(model: Model, versions: Sequence[Version]) -> Columns:
    """Features that the versions were registered with (all, where none was), the score, the decision and the label, under inert names of their own."""
    registered = {name for version in versions for name in version.features}
    references: dict[str, str] = {}
    numbers: list[str] = []
    categories: list[str] = []
    for each in model.features():
        if registered and each.name not in registered:
            continue
        name = unique(inert(each.name), {*references, SCORE, DECISION, LABEL})
        references[name] = each.reference
        (numbers if each.kind == "number" else categories).append(name)
    references[SCORE] = "score"
    numbers.append(SCORE)
    if model.task == "regression":
        references[LABEL] = "label_value"
        numbers.append(LABEL)
    elif model.task is not None:
        references |= {DECISION: "decision", LABEL: "label"}
        categories += [DECISION, LABEL]
    return Columns(references, tuple(numbers), tuple(categories))


def inert(value: object, longest: int = 80) -> str:
    """A name that cannot end a script, open a tag or break a line."""
    words = "".join(each if each.isprintable() else " " for each in str(value))
    words = " ".join(words.split()).translate(LOOK_ALIKE)
    return (words if len(words) <= longest else words[: longest - 1] + "…") or "(no name)"


def unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found


def renamed(model: Model, frame: "DataFrame", columns: Columns) -> "DataFrame":
    """A sample under the report's names: numbers finite or missing, categories as inert text, decisions and labels as the names of their classes."""
    import numpy as np
    import pandas as pd

    found: dict[str, Any] = {}
    for name, reference in columns.references.items():
        values = frame[reference]
        if name in columns.numbers:
            found[name] = values.astype(np.float64).replace([np.inf, -np.inf], np.nan)
        elif name in (DECISION, LABEL):
            found[name] = values.map(dict(enumerate(inert(each) for each in model.classes))).astype(object)
        else:
            found[name] = values.map(level_name, na_action="ignore").astype(object)
    return pd.DataFrame(found)


def level_name(value: object) -> str:
    """A category as inert text."""
    from observability.stats.edges import level_name as text_of

    return inert(text_of(value) or "")


def usable(sides: "dict[str, DataFrame]", columns: Columns) -> "tuple[dict[str, DataFrame], list[str]]":
    """Both sides without columns that Evidently cannot take (no value on a side, or beyond MOST_COLUMNS), with rare categories in one; and what was left out."""
    left_out: list[str] = []
    kept: list[str] = []
    for name in columns.references:
        empty = [side for side, frame in sides.items() if not frame[name].notna().any()]
        if empty:
            where = "neither side" if len(empty) == 2 else f"the {'window' if empty[0] == 'current' else 'other side'}"
            left_out.append(f"{name} (no value in {where})" if len(empty) == 1 else f"{name} (no value on either side)")
        elif len(kept) >= MOST_COLUMNS and name not in (SCORE, DECISION, LABEL):
            left_out.append(f"{name} (beyond {MOST_COLUMNS} columns)")
        else:
            kept.append(name)
    if not [name for name in kept if name != LABEL]:
        raise UsageError("no column has values on both sides", attempt="Choose another window")
    frames = {side: frame[kept].copy() for side, frame in sides.items()}
    for name in kept:
        if name in columns.categories and name not in (DECISION, LABEL):
            common = commonest([frame[name] for frame in frames.values()])
            for frame in frames.values():
                frame[name] = frame[name].where(frame[name].isin(common) | frame[name].isna(), OTHER)
    return frames, left_out


def commonest(sides: "Sequence[Series[Any]]") -> set[str]:
    """The MOST_LEVELS most frequent categories of both sides together."""
    import pandas as pd

    return set(pd.concat(list(sides)).value_counts().index[:MOST_LEVELS])


def task_of(model: Model, frames: "Mapping[str, DataFrame]") -> str | None:
    """The task whose preset the report gets; None where a side has too few labels, or only one class."""
    for frame in frames.values():
        needed = [LABEL, SCORE if model.task == "regression" else DECISION]
        if any(name not in frame for name in needed):
            return None
        known = frame[frame[needed].notna().all(axis=1)]
        if len(known) < LEAST_LABELLED or (model.task != "regression" and known[LABEL].nunique() < 2):
            return None
    return model.task


def said(sizes: tuple[int, int], of_rows: tuple[int, int], left_out: Sequence[str]) -> str:
    """The sentence about the sample that stands at the top of the report."""
    parts = [
        f"{size:,} of {whole:,} predictions of {side}" if size < whole else f"all {whole:,} predictions of {side}"
        for size, whole, side in zip(sizes, of_rows, ("the current window", "the reference side"), strict=True)
    ]
    words = f"This report rests on {parts[0]} and {parts[1]}, a sample that repeats (by the hash of the id)."
    return words + (f" Left out: {'; '.join(left_out[:20])}{' and more' if len(left_out) > 20 else ''}." if left_out else "")


def span_words(window: Window) -> str:
    """A side in words."""
    version = f"version {inert(window.version)}" if window.version else "all versions"
    part = f", {inert(window.slice)}" if window.slice else ""
    if window.environment == "reference":
        return f"the reference of {version}{part}"
    return f"{version}, {iso(window.start)} to {iso(window.end)}{part}"


def file_name(model: Model, window: Window, sizes: tuple[int, int]) -> str:
    """`evidently-loan-20260309-20260316-5000-of-current-5000-of-reference`; a hash stands for signs that no file name should have."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", model.name).strip("-.")[:40]
    if plain != model.name:
        plain = f"{plain}-{hashlib.sha256(model.name.encode()).hexdigest()[:6]}".lstrip("-")
    days = "-".join(f"{each:%Y%m%d}" for each in (window.start, window.end))
    return f"evidently-{plain}-{days}-{sizes[0]}-current-{sizes[1]}-reference-rows"


def report(frames: "dict[str, DataFrame]", arguments: dict[str, Any], files: dict[str, Path], say: Report) -> Output:
    """The job, in the worker: frames "current" and "reference" with inert names to `report.html` and `snapshot.json`.

    arguments: numbers, categories (names of columns), task (binary, multiclass, regression or None), positive (the positive class), title, said
    (the sentence about the sample), metadata (texts that the snapshot keeps).
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
        tasks["classification"] = [
            BinaryClassification(target=LABEL, prediction_labels=DECISION, prediction_probas=SCORE, pos_label=arguments["positive"])
        ]
        if any(frame.loc[frame[LABEL].notna(), SCORE].isna().any() for frame in frames.values()):
            tasks["classification"] = [BinaryClassification(target=LABEL, prediction_labels=DECISION, pos_label=arguments["positive"])]
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
        page = with_heading(snapshot.get_html_str(as_iframe=False), arguments["title"], arguments["said"])
        kept = snapshot.dumps()
    Path("report.html").write_text(page, encoding="utf-8")
    Path("snapshot.json").write_text(kept, encoding="utf-8")
    say(1.0, "Done")
    return Output(
        values={"metrics": len(json.loads(kept)["metric_results"])}, files={"html": Path("report.html"), "snapshot": Path("snapshot.json")}
    )


def with_heading(page: str, title: str, sentence: str) -> str:
    """The page with its title, and with the sentence about the sample at its top."""
    style = "font-family: sans-serif; margin: 16px 24px; color: #333"
    words = f'<div style="{style}"><h1 style="font-size: 20px">{html.escape(title)}</h1><p>{html.escape(sentence)}</p></div>'
    page = re.sub(r"(<body[^>]*>)", lambda found: found[1] + words, page, count=1)
    return re.sub(r"<head>", lambda found: f"{found[0]}<title>{html.escape(title)}</title>", page, count=1)
