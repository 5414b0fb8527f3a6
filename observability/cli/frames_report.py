"""Report on two data frames (`observability.report`). It uses the same registration, loading and analyzers as the other commands, in a
folder that is removed afterwards.
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from observability.cli.execute import execute
from observability.core.errors import UsageError
from observability.export.frames import FramesReport, frames_html
from observability.server import process_lock
from observability.server.assistant import incident_list

if TYPE_CHECKING:
    from pandas import DataFrame


def report(
    reference: "DataFrame",
    current: "DataFrame",
    *,
    label: str | None = None,
    score: str | Iterable[str] = (),
    prediction: str | None = None,
    task: str | None = None,
    positive: str | None = None,
    features: Iterable[str] = (),
    sensitive: Iterable[str] = (),
    at: str | None = None,
    timezone: str | None = None,
) -> FramesReport:
    """Compare current rows with a reference: inputs and scores, and also performance and fairness if both have labels.

    The reference contains labelled rows with the model's scores. Roles of columns that no argument names are inferred from usual column
    names, and the report states these columns. score: a column, or `class=COLUMN` for each class. at: time of current rows that have none
    (such as 2026-07-01); by default now. Raises UsageError if the frames do not fit together.
    """
    options: list[str] = []
    given = {"label": label, "prediction": prediction, "task": task, "positive": positive, "at": at, "timezone": timezone}
    options += [f"--{name}={value}" for name, value in given.items() if value is not None]
    options += [f"--score={column}" for column in ((score,) if isinstance(score, str) else score)]
    options += [f"--sensitive={column}" for column in sensitive]
    if named := tuple(features):
        options.append(f"--features={','.join(named)}")
    with tempfile.TemporaryDirectory(prefix="observability-") as place:
        files = []
        for name, frame in (("reference", reference), ("current", current)):
            file = Path(place) / f"{name}.parquet"
            try:
                frame.reset_index(drop=True).to_parquet(file)
            except (ValueError, TypeError, OSError, ImportError) as error:
                raise UsageError(f"the {name} frame cannot be written as a table", got=" ".join(str(error).split())[:200]) from None
            files.append(str(file))
        with process_lock.opened_store(Path(place) / "home") as store:
            done = execute(store, ["import", "tables", *files, "--model=model", *options, "--json"], lambda _text: None)
    if not done.out:
        raise UsageError(done.error.rstrip(".") or "the frames cannot be compared")
    body = json.loads(done.out)
    findings = tuple(body["findings"])
    notes = (*body["inferred"], *body["notes"])
    return FramesReport(findings, frames_html(findings, notes, reference, current, incident_list(list(findings))))
