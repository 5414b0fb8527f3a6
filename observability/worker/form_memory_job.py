"""The job that measures the peak memory of one form of a model. Each call is a process of its own."""

import os
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
    """Open the file `form`, score the frame `probes`, and return `resident_bytes`, the resident memory of this process before that, and
    `peak_bytes`, its peak.

    If reading the probes needed more memory than the form, the peak of the form is unknown; the resident memory after scoring is then
    returned in its place, which is at most the peak. arguments: `kind` of the file and `threads`.
    """
    probes = frames["probes"]
    resident, before = resident_bytes(), peak_bytes()
    model = open_model(arguments["kind"], files["form"], probes, task_from_arguments(arguments), int(arguments["threads"]))
    model.score(model.encode(probes[list(model.columns)]))
    peak = peak_bytes()
    return Output({"resident_bytes": resident, "peak_bytes": peak if peak > before else resident_bytes()})


def peak_bytes() -> int:
    """The peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def resident_bytes() -> int:
    """The resident memory of this process; its peak where the system does not state the present value."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_bytes()
