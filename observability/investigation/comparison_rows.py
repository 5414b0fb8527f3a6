"""Which other rows is a case held against: labelled rows of about its time, and rows of its version's reference?

Bounded samples, the same on every engine (smallest hash of the id first), so that the work does not grow with the store.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Sample
from observability.core.window import EPOCH, Environment, Window
from observability.investigation.case_parts import Look
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.logged_prediction import Row
from observability.store.query import aggregates, listing

if TYPE_CHECKING:
    from pandas import DataFrame

SPANS = (7, 28, 180, 36_500)
"""Days before and after the case that rows are taken from; the first that holds ENOUGH predictions."""
ENOUGH = 3_000
MOST_ROWS, REFERENCE_ROWS, MOST_CELLS = 12_000, 4_000, 1_000_000
"""At most so many rows about the case and of the reference, and so many values of features (rows × features)."""
LARGE_ERROR = 0.8
"""Of a regression, an error counts as one where it is larger than this share of the reference's errors."""


@dataclass(frozen=True)
class Bad:
    """What counts as an error. text: in words. limit: of a regression, the absolute error above which it is one."""

    text: str
    limit: float | None = None

    def of(self, frame: "DataFrame") -> NDArray[np.bool_]:
        """Which rows of a frame are errors (rows without label or decision are none)."""
        if self.limit is not None:
            return np.asarray((frame["score"] - frame["label_value"]).abs() > self.limit, bool)
        known = (frame["decision"] >= 0) & (frame["label"] >= 0)
        return np.asarray(known & (frame["decision"] != frame["label"]), bool)

    def of_row(self, row: Row) -> bool | None:
        """Whether the case is one; None where that is not known."""
        return row.wrong if self.limit is None else None if row.error is None else abs(row.error) > self.limit


def around(look: Look) -> Window:
    """The window about the case: a week each side, more where that holds little; up to now or `as_of`; of its version."""
    found: Window = look.shared("around", lambda: window_around(look))
    return found


def window_around(look: Look) -> Window:
    """See `around`."""
    row = look.row
    limit = min(look.now, look.as_of) if look.as_of else look.now
    environment: Environment = "production"
    if row.environment in ("shadow", "validation"):
        environment = "shadow" if row.environment == "shadow" else "validation"
    window = Window(row.model.name, EPOCH, EPOCH, version=row.version.name, as_of=look.as_of, environment=environment)
    if row.environment == "reference":
        return replace(window, end=max(limit, EPOCH))
    for days in SPANS:
        start = max(midnight(row.at - timedelta(days=days)), EPOCH)
        end = max(min(midnight(row.at + timedelta(days=days + 1)), limit), start)
        window = replace(window, start=start, end=end)
        if int(aggregates.ask(look.store, Aggregate("predictions"), window)["n"].sum()) >= ENOUGH:
            break
    return window


def midnight(instant: datetime) -> datetime:
    """The start of an instant's day."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def asked(model: Model) -> tuple[str, ...]:
    """The columns that samples bring along."""
    probabilities = tuple(f"score.{place}" for place in range(len(model.classes))) if model.task == "multiclass" else ()
    return (
        "id",
        "at",
        "decision",
        "label",
        "label_value",
        "score",
        "replica",
        "device",
        *probabilities,
        *(each.reference for each in model.columns),
    )


def most(model: Model) -> int:
    """How many rows about the case are looked at, at most."""
    return max(200, min(MOST_ROWS, MOST_CELLS // max(len(model.columns), 1)))


def labelled(look: Look) -> "DataFrame":
    """Labelled rows about the case, itself left out, at most MOST_ROWS. Raises NotGivenError where there are none."""
    found = labelled_rows_of(look)
    if found.empty:
        raise NotGivenError("no other prediction of this version about this time has a label yet")
    return found


def labelled_rows_of(look: Look) -> "DataFrame":
    """The same; an empty frame where there are none."""
    found: DataFrame = look.shared("labelled", lambda: labelled_rows(look))
    return found


def labelled_rows(look: Look) -> "DataFrame":
    """See `labelled`; may be empty."""
    model = look.row.model
    frame = listing.sample(look.store, Sample("outcomes", asked(model), most(model)), around(look))
    return frame[(frame["label"] >= 0) & (frame["id"] != look.row.id)].reset_index(drop=True)


def reference(look: Look) -> "DataFrame":
    """Rows of the version's reference, the case itself left out, at most REFERENCE_ROWS; empty where it has none."""
    found: DataFrame = look.shared("reference", lambda: reference_rows(look))
    return found


def reference_rows(look: Look) -> "DataFrame":
    """See `reference`."""
    model = look.row.model
    rows = max(200, min(REFERENCE_ROWS, MOST_CELLS // 2 // max(len(model.columns), 1)))
    frame = listing.sample(look.store, Sample("outcomes", asked(model), rows), replace(around(look), slice=None).reference())
    return frame[frame["id"] != look.row.id].reset_index(drop=True)


def bad(look: Look) -> Bad:
    """What counts as an error of this model: a decision that is not the label; of a regression an error larger than most of the reference's."""
    found: Bad = look.shared("bad", lambda: what_is_bad(look))
    return found


def what_is_bad(look: Look) -> Bad:
    """See `bad`. Raises NotGivenError where a regression has neither a labelled reference nor labelled rows."""
    model = look.row.model
    if model.task != "regression":
        return Bad("a decision that is not the label")
    frame = reference(look)
    where = "the reference's"
    if not (frame["label"] >= 0).any():
        frame, where = labelled(look), "the labelled rows'"
    errors = (frame["score"] - frame["label_value"]).abs().dropna()
    if errors.empty:
        raise NotGivenError("no error is known to hold this one against", attempt="Register a reference with labels")
    limit = float(errors.quantile(LARGE_ERROR))
    return Bad(f"an error larger than {limit:.4g}, as one in five of {where} is", limit)


def values(row: Row) -> dict[str, Any]:
    """The case's own values by column reference."""
    return {each.reference: (row.features if each.role == "feature" else row.groups).get(each.name) for each in row.model.columns}
