"""The job that measures the peak memory of one form of a model. Each call is a process of its own."""

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.worker.explain_job import task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.model_files import open_model

if TYPE_CHECKING:
    import pandas as pd

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes per unit of `ru_maxrss`."""


def peak_memory(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Open the file `form`, score the frame `probes`, and return `peak_bytes`, the peak resident memory of this process.

    Without a file it is the peak of a process that only reads the probes. arguments: `kind` of the file and `threads`.
    """
    probes = frames["probes"]
    if "form" in files:
        model = open_model(arguments["kind"], files["form"], probes, task_from_arguments(arguments), int(arguments["threads"]))
        model.score(model.encode(probes[list(model.columns)]))
    return Output({"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT})
