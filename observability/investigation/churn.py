"""Computes churn: which decisions another version changes on similar rows, and whether they become right or wrong."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from observability.compare.paired_rows import MAX_TIME_APART, label_numbers, matching_places, pair_labels
from observability.core.catalog import Version
from observability.core.formatting import format_day, format_span, plural, slice_in_words
from observability.core.numerals import format_figure
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Slice, Window
from observability.investigation.desired_outcome import median_error
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.label_types import outcome_text, with_unit
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import Churn, Regressed, Share
from observability.investigation.sampled_rows import (
    SAMPLE_CELLS,
    RealRows,
    artifact_of,
    as_environment,
    real_rows,
    required_worker,
    sample_rows,
    stream_sample,
    task_and_classes,
    version_features,
)
from observability.stats.arrays import Bools, Floats, Integers
from observability.stats.interval import rate_interval
from observability.store.engine import Store
from observability.worker.process import Progress, Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Times = NDArray[np.datetime64]

ROWS, SHADOW_ROWS, MIN_PAIRS, WORST = 2000, 20_000, 50, 20
"""ROWS: number of rows that the other version's artifact scores. SHADOW_ROWS: number of rows of each version in which matching requests are
searched. MIN_PAIRS: with fewer matched pairs, the artifact is used instead. WORST: maximum number of listed rows that became wrong.
"""
FEW_DAYS = 7
"""If the rows are from fewer days, a sentence warns that the intervals may be too narrow, because they treat the rows of a day as
independent.
"""
BEFORE, AFTER = timedelta(days=90), timedelta(days=28)
SECONDS = 60.0


@dataclass(frozen=True)
class ChurnRows:
    """Rows scored by two versions, with ids, scores (for a classification, of the decided class), decisions, and labels (class index or
    number; NaN if unknown).

    times: times of the first and the last labelled row; None unless both versions answered the same requests. at: UTC times of all rows.
    sampled: whether the rows are a sample of more rows. first: the time at which the other version answered for the first time; None if its
    model file did not score the rows, or if it never answered.
    """

    ids: list[str]
    score_a: Floats
    score_b: Floats
    decision_a: Integers
    decision_b: Integers
    label: Floats
    times: tuple[datetime, datetime] | None = None
    at: "Times | None" = None
    sampled: bool = False
    first: datetime | None = None

    @property
    def days(self) -> int:
        """The number of UTC days with rows; 0 if unknown."""
        return 0 if self.at is None else len(np.unique(self.at.astype("datetime64[D]")))

    @property
    def span(self) -> str:
        """The days from the first to the last row in words, for example ` of 7 to 8 Mar 2026`. Empty if unknown."""
        if self.at is None or not len(self.at):
            return ""
        start, end = (each.astype("datetime64[D]").item() for each in (self.at.min(), self.at.max()))
        return f" of {format_span(*(datetime(day.year, day.month, day.day) for day in (start, end + timedelta(days=1))))}"


def churn(
    store: Store,
    row: Row,
    other: str,
    *,
    slice: str | None = None,  # noqa: A002 - the parameter of links
    worker: Worker | None = None,
    progress: Progress | None = None,
) -> Churn:
    """Compare the decisions of two versions on rows around the prediction, or on rows of a slice. The scores of `other` are those logged in
    shadow. If too few requests match, its artifact scores the rows.

    Raises NotGivenError if the other version cannot score the rows, or if there are no rows.
    """
    version = row.model.version(other)
    if version is None or version.name == row.version.name:
        known = ", ".join(known.name for known in row.model.versions if known.name != row.version.name)
        raise NotGivenError("no such other version", got=other[:80], expected=known or "a second version")
    window = Window(
        row.model.name, row.at - BEFORE, row.at + AFTER, row.version.name, Slice.parse(slice), row.as_of, as_environment(row.environment)
    )
    both, source = shadow_rows(store, row, version, window), "shadow"
    if both is None or (len(both.ids) < MIN_PAIRS and version.artifact is not None and worker is not None):
        both, source = rescored_sample(store, row, version, window, worker, progress), "computed"
    return churn_figures(row, version, both, right_within(store, row), "shadow" if source == "shadow" else "computed", slice)


def shared_features(row: Row, version: Version) -> tuple[Any, ...]:
    """The features that both versions use as input."""
    other = {each.name for each in version_features(row.model, version)}
    return tuple(each for each in version_features(row.model, row.version) if each.name in other)


def matched_features(row: Row, version: Version) -> tuple[Any, ...]:
    """The features of both versions with which requests are matched. If there are very many, only the most important ones are used.

    More features would make the samples smaller. If the shadow uses its own ids, two small samples would have hardly any request in common.
    """
    shared, most = shared_features(row, version), SAMPLE_CELLS // SHADOW_ROWS
    weight = row.model.settings.importance
    return tuple(shared) if len(shared) <= most else tuple(sorted(shared, key=lambda each: -weight.get(each.name, 0.0))[:most])


def shadow_rows(store: Store, row: Row, version: Version, window: Window) -> ChurnRows | None:
    """Rows of requests that both versions answered, with the shadow scores of the other version. None if no request matches."""
    if window.environment != "production":
        return None
    columns = matched_features(row, version)
    theirs = stream_sample(store, replace(window, version=version.name, slice=None, environment="shadow"), columns, SHADOW_ROWS)
    if theirs.empty or not columns:
        return None
    # Own rows are read only for the period in which the other version answered, so that the sample includes their common requests.
    first, last = (aware_utc(each.to_pydatetime()) for each in (theirs["at"].min() - MAX_TIME_APART, theirs["at"].max() + MAX_TIME_APART))
    own = stream_sample(store, replace(window, start=max(window.start, first), end=min(window.end, last)), columns, SHADOW_ROWS)
    if own.empty:
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
        a["at"].to_numpy("datetime64[us]"),
        max(len(own), len(theirs)) >= sample_rows(columns, SHADOW_ROWS),
    )


def rescored_sample(
    store: Store, row: Row, version: Version, window: Window, worker: Worker | None, progress: Progress | None
) -> ChurnRows:
    """A sample of this version's rows, scored by the other version's artifact."""
    from observability.worker.requests import predict_scores

    columns = version_features(row.model, version)
    known = {each.name for each in shared_features(row, version)}
    lacking = [each.name for each in columns if each.name not in known]
    if lacking:
        raise NotGivenError(f"version {version.name} needs {', '.join(lacking[:5])}, which the stored inputs lack")
    own = stream_sample(store, window, columns, ROWS)
    if own.empty:
        where = f" where {slice_in_words(str(window.slice))}" if window.slice else ""
        raise NotGivenError(f"version {row.version.name} has no predictions of {format_span(window.start, window.end)}{where}")
    inputs = own[[each.reference for each in columns]].set_axis([each.name for each in columns], axis=1)
    scores = predict_scores(
        required_worker(worker), artifact_of(store, version), inputs, **task_and_classes(row.model), progress=progress, seconds=SECONDS
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
        None,
        own["at"].to_numpy("datetime64[us]"),
        len(own) >= sample_rows(columns, ROWS),
        first_answer(store, row, version),
    )


def first_answer(store: Store, row: Row, version: Version) -> datetime | None:
    """The time at which a version answered a request for the first time (start of the hour, UTC). None if it never did. The version may
    have learned from earlier requests.
    """
    known = store.activity(row.as_of, row.model.name)
    first = known.loc[(known["version"] == version.name) & (known["environment"] != "reference"), "first"].min()
    return None if first != first else aware_utc(first.to_pydatetime())


def right_within(store: Store, row: Row) -> float:
    """For a regression, the largest absolute error with which a prediction still counts as right: the median error of the reference. For
    other tasks, 0.
    """
    if row.model.task != "regression":
        return 0.0
    rows: RealRows = real_rows(store, row, production=not row.version.reference_rows)
    return median_error(rows) or 0.0


def churn_figures(
    row: Row, version: Version, both: ChurnRows, usual: float, source: Literal["shadow", "computed"], part: str | None
) -> Churn:
    """The shares of changed decisions, and of labelled rows that became wrong or right, with a list of rows that became wrong."""
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
        churn_sentence(row, version, shares, part, usual, both, source) + learned_sentence(version, both, usable, worse, better),
        source,
        "measured" if source == "shadow" else "simulated",
    )


def churn_share(n: int, of: int) -> Share:
    """A share with its interval."""
    return Share(n, of, *rate_interval(n, of).triple)


def churn_sentence(
    row: Row, version: Version, shares: list[Share], part: str | None, usual: float, both: ChurnRows, source: Literal["shadow", "computed"]
) -> str:
    """The figures as a sentence, with the days and the number of rows. If there are few days, a second sentence warns that the intervals
    may be too narrow.
    """
    flips, worse, better = (f"{share.n:,}{share_with_interval(share)}" for share in shares)
    labelled, where = shares[1].of, f" where {slice_in_words(part)}" if part else ""
    number = row.model.task == "regression"
    far = with_unit(row.model, format_figure(usual))
    how = f"differ by more than {far}" if number else "get another decision"
    rows = plural(shares[0].of, "request" if source == "shadow" else "prediction")
    if both.sampled:
        rows = f"a sample of {rows}"
    text = f"Of {rows}{both.span}{where}{' that both scored' if source == 'shadow' else ''}, {flips} {how} from version {version.name}"
    if not labelled:
        text += "; none of these rows has a label yet."
    elif number:
        text += f"; of {labelled:,} labelled rows, {worse} newly miss the label by more than {far}, and {better} no longer miss it."
    else:
        text += f"; of {labelled:,} labelled rows, {worse} become wrong and {better} become right."
    if 0 < both.days < FEW_DAYS:
        text += f" With rows of only {plural(both.days, 'day')}, the intervals may be too narrow."
    return text


def learned_sentence(version: Version, both: ChurnRows, usable: Bools, worse: Bools, better: Bools) -> str:
    """A sentence about labelled rows that are older than the other version's first answer: their number, and the counts for the newer rows
    only. Empty if no labelled row is older.
    """
    if both.at is None or both.first is None:
        return ""
    before = both.at < np.datetime64(naive_utc(both.first), "us")
    seen, rest = int((usable & before).sum()), int((usable & ~before).sum())
    if not seen:
        return ""
    of_rows = f"all {seen:,} labelled rows" if not rest else f"{seen:,} of them"
    text = f" Version {version.name} first answered on {format_day(both.first)}, so it may have learned from {of_rows}"
    if not rest:
        return f"{text}."
    wrong, right = int((worse & ~before).sum()), int((better & ~before).sum())
    return f"{text}; of the other {rest:,} rows, {wrong:,} become wrong and {right:,} become right."


def percent_tenths(share: float | None) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * (share or 0.0):.1f} %"


def share_with_interval(found: Share) -> str:
    """A share and its interval as text in brackets; empty if the share is unknown."""
    return "" if found.value is None else f" ({percent_tenths(found.value)}, {percent_tenths(found.low)} to {percent_tenths(found.high)})"
