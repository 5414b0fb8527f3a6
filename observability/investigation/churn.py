"""Churn: decisions that another version changes on similar rows, and whether they become right or wrong."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from observability.compare.paired_rows import label_numbers, matching_places, pair_labels
from observability.core.catalog import Version
from observability.core.formatting import slice_in_words
from observability.core.window import Slice, Window
from observability.investigation.desired_outcome import median_error
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.label_types import outcome_text
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import Churn, Regressed, Share
from observability.investigation.sampled_rows import (
    RealRows,
    artifact_of,
    as_environment,
    asker,
    real_rows,
    stream_sample,
    task_and_classes,
    version_features,
)
from observability.stats.arrays import Floats, Integers
from observability.stats.interval import rate_interval
from observability.store.engine import Store
from observability.worker.process import Progress, Worker

if TYPE_CHECKING:
    pass

ROWS, SHADOW_ROWS, FEWEST_PAIRS, WORST = 2000, 20_000, 50, 20
"""Rows that the other version's artifact scores, rows of each side for matching requests, pairs below which the artifact is used instead,
and rows that are listed of those that became wrong.
"""
BEFORE, AFTER = timedelta(days=90), timedelta(days=28)
SECONDS = 60.0


@dataclass(frozen=True)
class ChurnRows:
    """Rows scored by two versions: ids, scores (classification: of the decided class), decisions, label (class index or number; NaN
    unknown). times: of the first and of the last labelled row, where both answered the same requests.
    """

    ids: list[str]
    score_a: Floats
    score_b: Floats
    decision_a: Integers
    decision_b: Integers
    label: Floats
    times: tuple[datetime, datetime] | None = None


def churn(
    store: Store,
    row: Row,
    other: str,
    *,
    slice: str | None = None,  # noqa: A002 - the parameter of links
    worker: Worker | None = None,
    progress: Progress | None = None,
) -> Churn:
    """Rows of this version around the prediction (of a slice), scored also by `other`: as logged in the shadow, else by its artifact.

    Raises NotGivenError where the other version cannot score them, or there are no rows.
    """
    version = row.model.version(other)
    if version is None or version.name == row.version.name:
        known = ", ".join(known.name for known in row.model.versions if known.name != row.version.name)
        raise NotGivenError("no such other version", got=other[:80], expected=known or "a second version")
    window = Window(
        row.model.name, row.at - BEFORE, row.at + AFTER, row.version.name, Slice.parse(slice), row.as_of, as_environment(row.environment)
    )
    both, source = shadowed(store, row, version, window), "shadow"
    if both is None or (len(both.ids) < FEWEST_PAIRS and version.artifact is not None and worker is not None):
        both, source = rescored_sample(store, row, version, window, worker, progress), "computed"
    return churn_figures(row, version, both, band(store, row), "shadow" if source == "shadow" else "computed", slice)


def shared_features(row: Row, version: Version) -> tuple[Any, ...]:
    """The features that both versions take."""
    other = {each.name for each in version_features(row.model, version)}
    return tuple(each for each in version_features(row.model, row.version) if each.name in other)


def shadowed(store: Store, row: Row, version: Version, window: Window) -> ChurnRows | None:
    """Rows of the same requests, as the other version scored them in the shadow; None where none match."""
    if window.environment != "production":
        return None
    columns = shared_features(row, version)
    own = stream_sample(store, window, columns, SHADOW_ROWS)
    theirs = stream_sample(store, replace(window, version=version.name, slice=None, environment="shadow"), columns, SHADOW_ROWS)
    if own.empty or theirs.empty or not columns:
        return None
    places = matching_places(own, theirs, [each.reference for each in columns])
    index = [list(each) for each in places]
    if not index[0]:
        return None
    a, b = own.iloc[index[0]], theirs.iloc[index[1]]
    label, _ = pair_labels(row.model, a, b)
    known = a["at"][~np.isnan(label)]
    return ChurnRows(
        a["id"].tolist(),
        a["score"].to_numpy(np.float64),
        b["score"].to_numpy(np.float64),
        a["decision"].to_numpy(np.int64),
        b["decision"].to_numpy(np.int64),
        label,
        (known.min().to_pydatetime(), known.max().to_pydatetime()) if len(known) else None,
    )


def rescored_sample(
    store: Store, row: Row, version: Version, window: Window, worker: Worker | None, progress: Progress | None
) -> ChurnRows:
    """A sample of the rows as the other version's artifact scores them."""
    from observability.worker.requests import predict_scores

    columns = version_features(row.model, version)
    known = {each.name for each in shared_features(row, version)}
    lacking = [each.name for each in columns if each.name not in known]
    if lacking:
        raise NotGivenError(f"version {version.name} needs {', '.join(lacking[:5])}, which the stored inputs lack")
    own = stream_sample(store, window, columns, ROWS)
    if own.empty:
        raise NotGivenError("this version has no predictions in this period", where=str(window.slice or row.model.name))
    inputs = own[[each.reference for each in columns]].set_axis([each.name for each in columns], axis=1)
    scores = predict_scores(
        asker(worker), artifact_of(store, version), inputs, **task_and_classes(row.model), progress=progress, seconds=SECONDS
    )
    if scores.ndim == 2:
        decision, score = scores.argmax(axis=1), scores.max(axis=1)
    else:
        decision = (scores >= row.model.settings.threshold).astype(np.int64) if row.model.classes else np.full(len(scores), -1)
        score = scores
    return ChurnRows(
        own["id"].tolist(),
        own["score"].to_numpy(np.float64),
        score,
        own["decision"].to_numpy(np.int64),
        np.asarray(decision, np.int64),
        label_numbers(row.model, own),
    )


def band(store: Store, row: Row) -> float:
    """Regression: the absolute error up to which a prediction counts as right, the median error of the reference; else 0."""
    if row.model.task != "regression":
        return 0.0
    rows: RealRows = real_rows(store, row, production=not row.version.reference_rows)
    return median_error(rows) or 0.0


def churn_figures(
    row: Row, version: Version, both: ChurnRows, usual: float, source: Literal["shadow", "computed"], part: str | None
) -> Churn:
    """Changed decisions, labelled rows that became wrong or right, and the worst of them."""
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
        Regressed(
            both.ids[place],
            float(both.score_a[place]),
            float(both.score_b[place]),
            str(outcome_text(row.model.classes, int(label[place]), label[place])),
        )
        for place in places
    )
    shares = [churn_share(int(each.sum()), int(of.sum())) for each, of in ((flips, decided), (worse, usable), (better, usable))]
    return Churn(
        row.version.name,
        version.name,
        len(both.ids),
        int(usable.sum()),
        shares[0],
        shares[1],
        shares[2],
        regressed,
        churn_sentence(row, version, shares, part, usual),
        source,
        "measured" if source == "shadow" else "simulated",
    )


def churn_share(n: int, of: int) -> Share:
    """A share with its interval."""
    return Share(n, of, *rate_interval(n, of).triple)


def churn_sentence(row: Row, version: Version, shares: list[Share], part: str | None, usual: float) -> str:
    """The figures as a sentence."""
    flips, worse, better = (f"{share.n:,}{share_with_interval(share)}" for share in shares)
    labelled, where = shares[1].of, f" where {slice_in_words(part)}" if part else ""
    how = f"differ by more than {usual:.4g}" if row.model.task == "regression" else "get another decision"
    when = f"from {BEFORE.days} days before to {AFTER.days} days after"
    text = f"Of {shares[0].of:,} compared rows{where}, {when}, {flips} {how} from version {version.name}"
    if not labelled:
        return f"{text}; none of them has a label yet"
    return f"{text}; of {labelled:,} labelled ones, {worse} become wrong and {better} become right"


def tenths(share: float | None) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * (share or 0.0):.1f} %"


def share_with_interval(found: Share) -> str:
    """A share and its interval in brackets."""
    return "" if found.value is None else f" ({tenths(found.value)}, {tenths(found.low)} to {tenths(found.high)})"
