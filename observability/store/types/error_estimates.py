"""Input and output of error estimation: days of a version, a table of estimates, and the state."""

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
"""Columns of a table of estimates, one row per prediction."""


@dataclass(frozen=True)
class EstimationState:
    """The basis of the stored estimates of a version.

    registration: the registration for which the estimates are valid. rows: reference rows used for fitting. bias, skill: bias and skill of
    the estimates on held-out rows of the reference (worker.ErrorEstimate). note: a sentence. failure: why estimation is impossible.
    """

    registration: str = ""
    rows: int = 0
    bias: float | None = None
    skill: float | None = None
    note: str = ""
    failure: str | None = None


@dataclass(frozen=True)
class DayToEstimate:
    """A day of a version that may lack estimates: its stream and its number of rows."""

    day: date
    stream: int
    rows: int


def estimated_registration(version: Version) -> str:
    """Identifier of the registration that estimates are valid for: features and reference, by the edges of score and error."""
    parts = [version.features, version.reference_rows, *(repr(version.edges.get(name)) for name in ("score", "error"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def estimate_table(stream: int, ids: Sequence[str], absolute: "np.ndarray[Any, Any]", squared: "np.ndarray[Any, Any]") -> pa.Table:
    """Estimates as a table of ESTIMATE_SCHEMA. Estimates that are not finite are left out."""
    size = len(ids)
    second = np.asarray(squared, np.float64)
    held = np.isfinite(absolute) & np.isfinite(second)
    columns = [np.full(size, stream, np.int16), pa.array(list(ids), pa.string()), pa.array(absolute, pa.float64()), pa.array(second)]
    return pa.table(columns, schema=ESTIMATE_SCHEMA).filter(pa.array(held))
