"""The interface of a job: a function that runs in the worker. Its module's name starts with one of ALLOWED:

    def name(frames: dict[str, DataFrame], arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output

`files` are private copies. The current folder is the job's own, and the only place where it can write. `report(0.3, "30 of 100 rows")`
reports progress. `Worker.call` raises the job's ObservabilityError again; any other exception becomes a WorkerError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ALLOWED = ("observability.worker.", "observability.export.")
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Output:
    """A job's output. values: JSON (NaN and infinities allowed). frames: tables. files: files that it wrote in its folder."""

    values: Mapping[str, Any] = field(default_factory=dict)
    frames: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


Job = Callable[["dict[str, pd.DataFrame]", dict[str, Any], dict[str, Path], Report], Output]
