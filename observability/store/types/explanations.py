"""What explaining predictions ahead reads and writes: the parts of a version, the rows to explain, a batch of attributions and the state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from observability.core.catalog import Version

if TYPE_CHECKING:
    from pandas import DataFrame


LOGGED = "logged"
"""The method of attributions that came with the predictions."""
ATTRIBUTION_SCHEMA = pa.schema(
    [
        ("stream", pa.int16()), ("id", pa.string()), ("sampled", pa.bool_()), ("class", pa.int16()), ("values", pa.list_(pa.float32())),
        ("base", pa.float64()), ("output", pa.float64()), ("residual", pa.float64()), ("link", pa.string()), ("method", pa.string()),
        ("adds_up", pa.bool_()), ("reproduces", pa.bool_()),
    ]
)  # fmt: skip
"""What `put` takes, one row a prediction."""


@dataclass(frozen=True)
class ExplanationState:
    """What is known of how a version is explained. features: names in the order of the stored values. artifact, registered_at: the artifact and
    the registration that this holds for. method, link, background, background_rows, note: as the worker's Explanation says. rows, seconds: explained so
    far, and how long the worker took. failure: why the artifact could not be explained, a sentence; code: the versions of the libraries it failed with.
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
        """Whether it is about the version as it is registered now."""
        return (self.artifact, self.registered_at) == explained_registration(version)


@dataclass(frozen=True)
class AttributionBatch:
    """One batch to write: rows as BATCH says, ids of stored errors that turned out to be of the sample, parts that are done with how many rows they
    had and at most how many were wanted, and the state.
    """

    batch: pa.Table
    state: ExplanationState
    now_sampled: tuple[str, ...] = ()
    done: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def explained_registration(version: Version) -> tuple[str | None, str | None]:
    """What attributions of a version hold for: its artifact, and when it was registered (another reference, other features)."""
    return version.artifact, version.registered_at.isoformat() if version.registered_at else None


REFERENCE, ERRORS = "reference", "errors"


@dataclass(frozen=True)
class ExplanationPart:
    """One day, the reference or the errors of a version. name: "2013-12-31", "reference" or "errors". stream: where its rows stand. rows: how many
    it has now. limit: at most so many are explained. done: whether nothing came in since it was done.
    """

    name: str
    stream: int
    rows: int
    limit: int
    done: bool = False


@dataclass(frozen=True)
class RowsToExplain:
    """Rows that are to be explained. rows: `stream`, `id`, `sampled`, `known` (stored already, as one of the worst errors), `decision`, `score`,
    `probabilities`, `attributions`, `base_value`, `attributions_link` as stored. inputs: the features by their names, in the version's order.
    """

    rows: "DataFrame"
    inputs: "DataFrame"
