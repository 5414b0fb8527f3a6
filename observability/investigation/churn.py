"""If another version had answered the rows like this one, how many decisions would be others, and were they right then?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from observability.compare.paired_rows import matched
from observability.core.catalog import Version
from observability.core.window import Slice, Window
from observability.investigation.desired_outcome import usual_error
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.model_answers import Churn, Regressed, Share
from observability.investigation.sampled_rows import RealRows, artifact_of, as_environment, asked, asker, columns_of, real_rows
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.logged_prediction import Row
    from observability.store.db.database import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
Floats = NDArray[np.float64]
ROWS, SHADOW_ROWS, FEWEST_PAIRS, WORST = 2000, 20_000, 50, 20
"""Rows that the other version's model file answers, rows of each side among which the same requests are looked for, pairs below which the model file is asked
instead, and rows that are named of those that got worse."""
BEFORE, AFTER = timedelta(days=90), timedelta(days=28)
SECONDS = 60.0


@dataclass(frozen=True)
class Both:
    """Rows that two versions answered: ids, scores (of a class problem the decided one's), decisions, label (class index or number; NaN unknown)."""

    ids: list[str]
    score_a: Floats
    score_b: Floats
    decision_a: NDArray[np.int64]
    decision_b: NDArray[np.int64]
    label: Floats


def churn(
    store: "Store",
    row: "Row",
    other: str,
    *,
    slice: str | None = None,  # noqa: A002 - the address's own word
    worker: "Worker | None" = None,
    progress: Progress | None = None,
) -> Churn:
    """Rows of this version about the prediction (a slice of them), answered by `other` too: as it was logged in the shadow, else by its model file.

    Raises NotGivenError where the other version cannot answer them or there are no rows.
    """
    version = row.model.version(other)
    if version is None or version.name == row.version.name:
        known = ", ".join(each.name for each in row.model.versions if each.name != row.version.name)
        raise NotGivenError("there is no such other version", got=other[:80], expected=known or "a second version")
    window = Window(
        row.model.name, row.at - BEFORE, row.at + AFTER, row.version.name, Slice.parse(slice), row.as_of, as_environment(row.environment)
    )  # fmt: skip
    both, source = shadowed(store, row, version, window), "shadow"
    if both is None or (len(both.ids) < FEWEST_PAIRS and version.artifact is not None and worker is not None):
        both, source = scored(store, row, version, window, worker, progress), "computed"
    return counted(row, version, both, band(store, row), "shadow" if source == "shadow" else "computed", slice)


def shared(row: "Row", version: Version) -> tuple[Any, ...]:
    """The features that both versions take."""
    other = {each.name for each in columns_of(row.model, version)}
    return tuple(each for each in columns_of(row.model, row.version) if each.name in other)


def shadowed(store: "Store", row: "Row", version: Version, window: Window) -> Both | None:
    """Pairs of rows of the same request, where the other version answered in the shadow; None where none match."""
    if window.environment != "production":
        return None
    columns = shared(row, version)
    own = asked(store, window, columns, SHADOW_ROWS)
    theirs = asked(store, replace(window, version=version.name, slice=None, environment="shadow"), columns, SHADOW_ROWS)
    if own.empty or theirs.empty or not columns:
        return None
    places = matched(own, theirs, [each.reference for each in columns])
    index = [list(each) for each in places]
    if not index[0]:
        return None
    a, b = own.iloc[index[0]], theirs.iloc[index[1]]
    label = np.where(np.isnan(label_of(row, a)), label_of(row, b), label_of(row, a))
    return Both(
        a["id"].tolist(), a["score"].to_numpy(np.float64), b["score"].to_numpy(np.float64), a["decision"].to_numpy(np.int64),
        b["decision"].to_numpy(np.int64), label,
    )  # fmt: skip


def label_of(row: "Row", frame: "DataFrame") -> Floats:
    """Labels as numbers: the class index, of a regression the value; NaN where not known."""
    if row.model.task == "regression":
        return frame["label_value"].to_numpy(np.float64)
    code = frame["label"].to_numpy(np.float64)
    return np.where(code >= 0, code, np.nan)


def scored(
    store: "Store", row: "Row", version: Version, window: Window, worker: "Worker | None", progress: Progress | None
) -> Both:  # fmt: skip
    """A sample of the rows as the other version's model file answers them."""
    from observability.worker.requests import predict

    columns = columns_of(row.model, version)
    known = {each.name for each in shared(row, version)}
    lacking = [each.name for each in columns if each.name not in known]
    if lacking:
        raise NotGivenError(f"version {version.name} takes {', '.join(lacking[:5])}, which the stored inputs do not have")
    own = asked(store, window, columns, ROWS)
    if own.empty:
        raise NotGivenError("this version answered no rows about this time", where=str(window.slice or row.model.name))
    inputs = own[[each.reference for each in columns]].set_axis([each.name for each in columns], axis=1)
    scores = predict(
        asker(worker), artifact_of(store, version), inputs, task=row.model.task or "regression", classes=row.model.classes,
        progress=progress, seconds=SECONDS,
    )  # fmt: skip
    if scores.ndim == 2:
        decision, score = scores.argmax(axis=1), scores.max(axis=1)
    else:
        decision = (scores >= row.model.settings.threshold).astype(np.int64) if row.model.classes else np.full(len(scores), -1)
        score = scores
    return Both(
        own["id"].tolist(), own["score"].to_numpy(np.float64), score, own["decision"].to_numpy(np.int64),
        np.asarray(decision, np.int64), label_of(row, own),
    )  # fmt: skip


def band(store: "Store", row: "Row") -> float:
    """Of a regression, the error up to which an answer counts as right: that half of the rows of the reference stay below."""
    if row.model.task != "regression":
        return 0.0
    rows: RealRows = real_rows(store, row, production=not row.version.reference_rows)
    return usual_error(rows) or 0.0


def counted(
    row: "Row", version: Version, both: Both, usual: float, source: Literal["shadow", "computed"], part: str | None
) -> Churn:  # fmt: skip
    """How many decisions flip, how many labelled rows get worse or better, and the worst of them."""
    label, known = both.label, ~np.isnan(both.label)
    if row.model.task == "regression":
        decided = np.isfinite(both.score_a) & np.isfinite(both.score_b)
        flips = decided & (np.abs(both.score_a - both.score_b) > usual)
        right_a, right_b = np.abs(both.score_a - label) <= usual, np.abs(both.score_b - label) <= usual
    else:
        decided = (both.decision_a >= 0) & (both.decision_b >= 0)
        flips = decided & (both.decision_a != both.decision_b)
        right_a, right_b = both.decision_a == label, both.decision_b == label
    usable = known & decided
    worse, better = usable & right_a & ~right_b, usable & right_b & ~right_a
    order = np.argsort(-np.abs(both.score_a - both.score_b)[worse], kind="stable")[:WORST]
    places = np.flatnonzero(worse)[order]
    regressed = tuple(
        Regressed(both.ids[place], float(both.score_a[place]), float(both.score_b[place]), text_of(row, label[place])) for place in places
    )  # fmt: skip
    shares = [share(int(each.sum()), int(of.sum())) for each, of in ((flips, decided), (worse, usable), (better, usable))]
    return Churn(
        row.version.name, version.name, len(both.ids), int(usable.sum()), shares[0], shares[1], shares[2], regressed,
        sentence(row, version, shares, part, usual), source, "measured" if source == "shadow" else "simulated",
    )  # fmt: skip


def share(n: int, of: int) -> Share:
    """A share with its interval."""
    found = rate_interval(n, of)
    return Share(n, of, found.value, found.low, found.high)


def text_of(row: "Row", label: float) -> str:
    """A label in words."""
    return row.model.classes[int(label)] if row.model.classes else f"{label:.12g}"


def sentence(row: "Row", version: Version, shares: list[Share], part: str | None, usual: float) -> str:
    """What the figures say, with their numbers."""
    flips, worse, better = shares
    where = f" where {part}" if part else ""
    how = f"are more than {usual:.4g} apart" if row.model.task == "regression" else "are decided otherwise"
    text = f"Of {flips.of:,} rows{where}, {flips.n:,}{percent(flips)} {how} by version {version.name}"
    if not worse.of:
        return f"{text}; none of them has a label yet"
    return f"{text}; of {worse.of:,} with a label it has {worse.n:,}{percent(worse)} wrong that were right, and {better.n:,}{percent(better)} right that were wrong"


def tenths(share: float | None) -> str:
    """A share in tenths of a percent."""
    return f"{100 * (share or 0.0):.1f} %"


def percent(found: Share) -> str:
    """A share with its interval, in brackets."""
    return "" if found.value is None else f" ({tenths(found.value)}, between {tenths(found.low)} and {tenths(found.high)})"
