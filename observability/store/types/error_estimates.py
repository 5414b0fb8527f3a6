"""What estimating errors reads and writes: the days of a version, a table of estimates and the state."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from observability.core.catalog import Version

ESTIMATES_A_DAY = 200
ESTIMATE_SCHEMA = pa.schema([("stream", pa.int16()), ("id", pa.string()), ("absolute", pa.float64()), ("squared", pa.float64())])
"""What `put` takes, one row a prediction."""


@dataclass(frozen=True)
class EstimationState:
    """What the stored estimates of a version rest on. registration: what they hold for. rows: of the reference that were learned from.
    bias, skill: of the estimates on rows of the reference left out (worker.ErrorEstimate). note: a sentence. failure: why it could not be learned.
    """

    registration: str = ""
    rows: int = 0
    bias: float | None = None
    skill: float | None = None
    note: str = ""
    failure: str | None = None


@dataclass(frozen=True)
class DayToEstimate:
    """A day of a version that may lack estimates: its stream and how many rows it has."""

    day: date
    stream: int
    rows: int


def estimated_registration(version: Version) -> str:
    """What estimates of a version hold for: its features and its reference, told by the edges of score and error, which hold the reference's own means."""
    parts = [version.features, version.reference_rows, *(repr(version.edges.get(name)) for name in ("score", "error"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def estimate_table(stream: int, ids: Sequence[str], absolute: "np.ndarray[Any, Any]", squared: "np.ndarray[Any, Any]") -> pa.Table:
    """Estimates as `put` takes them; those that are no numbers are left out."""
    size = len(ids)
    second = np.asarray(squared, np.float64)
    held = np.isfinite(absolute) & np.isfinite(second)
    table = pa.table(
        {"stream": np.full(size, stream, np.int16), "id": pa.array(list(ids), pa.string()), "absolute": pa.array(absolute, pa.float64()),
         "squared": pa.array(second, pa.float64())}, schema=ESTIMATE_SCHEMA,
    )  # fmt: skip
    return table.filter(pa.array(held))
