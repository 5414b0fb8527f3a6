"""Input and output of explaining ahead: parts of a version, rows to explain, a batch of attributions, and the state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from observability.core.catalog import Version

if TYPE_CHECKING:
    from pandas import DataFrame


LOGGED = "logged"
"""Method of attributions that were logged with the predictions."""
ATTRIBUTION_SCHEMA = pa.schema(
    [
        ("stream", pa.int16()),
        ("id", pa.string()),
        ("sampled", pa.bool_()),
        ("class", pa.int16()),
        ("values", pa.list_(pa.float32())),
        ("base", pa.float64()),
        ("output", pa.float64()),
        ("residual", pa.float64()),
        ("link", pa.string()),
        ("method", pa.string()),
        ("adds_up", pa.bool_()),
        ("reproduces", pa.bool_()),
    ]
)
"""Columns of a batch of attributions, one row per prediction."""


@dataclass(frozen=True)
class ExplanationState:
    """The state of a version's explanations.

    features: names in the order of the stored values. artifact, registered_at: the artifact and the registration for which the state is
    valid. method, link, background, background_rows, note: from the worker's Explanation. rows, seconds: number of rows explained so far,
    and time of the worker. failure: why the artifact could not be explained; code: versions of the libraries with which it failed.
    """

    features: tuple[str, ...] = ()
    artifact: str | None = None
    registered_at: str | None = None
    method: str | None = None
    link: str | None = None
    background: str | None = None
    background_rows: int | None = None
    note: str = ""
    rows: int = 0
    seconds: float = 0.0
    failure: str | None = None
    code: str | None = None

    def holds(self, version: Version) -> bool:
        """Whether the state belongs to the present registration of the version."""
        return (self.artifact, self.registered_at) == explained_registration(version)


@dataclass(frozen=True)
class AttributionBatch:
    """One batch to write.

    batch: rows of ATTRIBUTION_SCHEMA. now_sampled: ids of stored errors that turned out to be in the sample. done: rows of each finished
    part, and the maximum number requested.
    """

    batch: pa.Table
    state: ExplanationState
    now_sampled: tuple[str, ...] = ()
    done: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def explained_registration(version: Version) -> tuple[str | None, str | None]:
    """The key for which attributions of a version are valid: its artifact, and the time of its registration."""
    return version.artifact, version.registered_at.isoformat() if version.registered_at else None


REFERENCE, ERRORS = "reference", "errors"


@dataclass(frozen=True)
class ExplanationPart:
    """One day, the reference or the errors of a version.

    name: "2013-12-31", "reference" or "errors". stream: stream of its rows. rows: number of rows now. limit: maximum number of rows to
    explain. done: whether nothing arrived since it was finished.
    """

    name: str
    stream: int
    rows: int
    limit: int
    done: bool = False


@dataclass(frozen=True)
class RowsToExplain:
    """Rows that are to be explained.

    rows: `stream`, `id`, `sampled`, `known` (already stored as one of the worst errors), `decision`, `score`, `probabilities`,
    `attributions`, `base_value`, `attributions_link` as stored. inputs: the features by name, in the order of the version.
    """

    rows: "DataFrame"
    inputs: "DataFrame"
