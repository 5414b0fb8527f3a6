"""What is a job: which functions may run in the worker, what do they get and what do they give back?

A job is a function of a module whose name starts with one of ALLOWED:

    def name(frames: dict[str, DataFrame], arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output

`files` are private copies. The current folder is the job's own, the only place where it can write. `report(0.3, "30 of 100 rows")` is
progress. An ObservabilityError that it raises is raised again by `Worker.call`; any other exception becomes a WorkerError.
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
    """What a job gives back. values: JSON (NaN and infinities allowed). frames: tables. files: files that it wrote in its folder."""

    values: Mapping[str, Any] = field(default_factory=dict)
    frames: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


Job = Callable[["dict[str, pd.DataFrame]", dict[str, Any], dict[str, Path], Report], Output]
