"""Queues of predictions to investigate: five lists of limited length, each ranked by one figure.

Each queue is an `Inbox`: a frame with one row per prediction, worst first (`id`, `model`, `version`, `at` (naive UTC), `score`, `decision`,
`label`, `rank`, `because`), and a sentence on the ranking and its scope. A queue that is not available raises NotGivenError with the
reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.compare import paired_rows
from observability.core.catalog import Model, Version
from observability.core.formatting import format_span
from observability.core.questions import Records, Sample
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.label_evidence import (
    FAR_OUT,
    MEASURED,
    MIN_LABELLED,
    chance_text,
    confidence_thresholds,
    suspected_classes,
)
from observability.investigation.sampled_rows import class_probabilities, probability_columns
from observability.store.types import search_terms

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

MAX_QUEUE = 20
SAMPLE_ROWS = 20_000
"""Maximum number of labelled rows that are searched for suspect labels."""
COLUMNS = ("id", "model", "version", "at", "score", "decision", "label", "label_value", "rank", "because")


@dataclass(frozen=True)
class Inbox:
    """One queue. name: largest_loss, uncertain, suspect_labels, regressions, complaints. because: ranking and scope in one sentence."""

    name: str
    title: str
    because: str
    frame: "DataFrame"


def largest_loss(store: "Store", window: Window, limit: int = MAX_QUEUE) -> Inbox:
    """Predictions whose labels arrived in the window (whenever the predictions were made), ranked by log loss, or by absolute error for a
    regression.
    """
    model = model_with_labels(store, window)
    measure = "absolute_error" if model.task == "regression" else "log_loss"
    every = replace(window, start=EPOCH, end=max(window.end, EPOCH))
    frame = store.search(every, (), limit, f"-{measure}", newly_labelled=(window.start, window.end))
    frame = frame[frame[measure].notna()]
    words, unit = ("off by", model.settings.unit) if measure == "absolute_error" else ("log loss", None)
    return Inbox(
        "largest_loss",
        "Largest loss among new labels",
        f"Predictions whose label arrived {window_text(window)}, by {measure.replace('_', ' ')}, largest first.",
        queue_columns(frame, model, frame[measure], [" ".join(filter(None, (words, f"{value:.3g}", unit))) for value in frame[measure]]),
    )


def uncertain_predictions(store: "Store", window: Window, limit: int = MAX_QUEUE) -> Inbox:
    """Unlabelled predictions ranked by uncertainty. If the settings have costs, the uncertainty is weighted by the cost of the possible
    error.
    """
    import pandas as pd

    model = model_with_labels(store, window)
    if model.task == "regression":
        raise NotGivenError("a regression has no confidence")
    unknown = (search_terms.SearchTerm("label", "=", "null"),)
    if model.task == "multiclass":
        frame = store.search(window, unknown, limit, "score")
        frame = frame[frame["score"].notna()]
        rank = 1 - frame["score"]
        reasons = [f"probability of its class {score:.2f}" for score in frame["score"]]
        by = "lowest probability of the decided class first"
    else:
        costs = model.settings.cost_false_negative, model.settings.cost_false_positive
        known = None not in costs
        negative, positive = (float(cost or 0.0) if known else 1.0 for cost in costs)
        sides = [
            store.search(window, (*unknown, search_terms.SearchTerm("answer", "=", model.classes[code])), limit, order)
            for code, order in ((0, "-score"), (1, "score"))
        ]
        frame = pd.concat([side[side["score"].notna()] for side in sides], ignore_index=True)
        chance = np.where(frame["decision"] == 1, 1 - frame["score"], frame["score"])
        rank = pd.Series(chance * np.where(frame["decision"] == 1, positive, negative), index=frame.index)
        currency = f" {model.settings.cost_currency}" if model.settings.cost_currency and known else ""
        reasons = [
            f"expected cost {value:.3g}{currency}" if known else f"probability of an error {value:.2f} by the score" for value in rank
        ]
        by = (
            f"by the expected cost of an error{currency and f' in{currency}'}"
            if known
            else "by the probability of an error (no costs are set)"
        )
    found = highest_ranked(queue_columns(frame, model, rank, reasons), limit)
    return Inbox("uncertain", "Low confidence and high stakes", f"Predictions {window_text(window)} without a label, {by}.", found)


def suspect_labels(store: "Store", window: Window, limit: int = MAX_QUEUE) -> Inbox:
    """Labels that the model contradicts with confidence (label_evidence.py), in a sample of labelled rows of limited size; for regressions,
    outlying errors.
    """
    model = model_with_labels(store, window)
    chances = probability_columns(model)
    columns = ("id", "at", "version", "score", "decision", "label", "label_value", *chances)
    frame = store.ask(Sample("outcomes", columns, SAMPLE_ROWS), window)
    frame = frame[(frame["label"] >= 0) & frame["score"].notna()].reset_index(drop=True)
    if len(frame) < MIN_LABELLED:
        raise NotGivenError(f"{len(frame)} predictions of the window have labels; about {MIN_LABELLED} are needed")
    what = "are less likely for the model than another class"
    if model.task == "regression":
        what = "have outlying errors"
        errors = (frame["score"] - frame["label_value"]).to_numpy(np.float64)
        spread = 1.4826 * float(np.median(np.abs(errors - np.median(errors)))) or float(errors.std()) or 1.0
        rank = np.abs(errors - np.median(errors)) / spread
        suspect, by = rank > FAR_OUT, "by robust standard deviations of the error from the median"
        reasons = [f"the error is {value:.1f} robust standard deviations from the median" for value in rank]
    else:
        shares = class_probabilities(frame, model)
        labels, places = frame["label"].to_numpy(np.int64), np.arange(len(frame))
        other = suspected_classes(shares, labels, confidence_thresholds(shares, labels))
        suspect, by = other >= 0, "by the margin of another class over the label"
        rank = np.where(suspect, shares[places, np.maximum(other, 0)] - shares[places, labels], 0.0)
        reasons = []
        for chance, label, wins in zip(shares, labels, other, strict=True):
            pair = [f"{chance_text(chance[code])} for {model.classes[code]}" for code in (label, wins)] if wins >= 0 else []
            reasons.append(f"model probability {pair[0]} (the label), {pair[1]}" if pair else "")
    found = highest_ranked(queue_columns(frame, model, rank, reasons)[suspect], limit)
    sure = measured_labels(store, window, model, found["id"].tolist())
    pairs = zip(found["id"], found["because"], strict=True)
    found = found.assign(because=[f"{because}{'; it was measured' if own in sure else ''}" for own, because in pairs])
    looked = f"{int(suspect.sum()):,} of {len(frame):,} labels {window_text(window)} {what}; ranked {by}"
    if sure:
        which = "Those listed" if len(sure) == len(found) else f"{len(sure)} of the {len(found)} listed"
        looked += f". {which} were measured, so a hard case is more likely than a wrong label"
    return Inbox("suspect_labels", "Suspected label errors", f"{looked}.", found)


def measured_labels(store: "Store", window: Window, model: Model, ids: list[str]) -> set[str]:
    """Of the given ids, those whose current label was measured or corrected, according to the source of its newest revision."""
    if not ids:
        return set()
    question = Records("label", columns=("id", "source"), ever=True, only=(("id", tuple(ids)),))
    ever = replace(window, model=model.name, end=datetime.max.replace(tzinfo=EPOCH.tzinfo), version=None, slice=None)
    newest = store.ask(question, ever).drop_duplicates("id", keep="last")
    return set(newest.loc[newest["source"].isin(MEASURED), "id"])


def regressed_requests(store: "Store", window: Window, limit: int = MAX_QUEUE) -> Inbox:
    """Requests that two versions scored, where the newer (or shadow) version is wrong and the older one right, ranked by the additional
    loss.
    """
    model = model_with_labels(store, window)
    new, old = newest_two(store, model, window)
    chances = probability_columns(model)
    both = [model.version(each.version) or Version(each.version or "") for each in (new, old)]
    features = paired_rows.common_features(model, both[:1], both[1:])
    columns = ("id", "at", "subject", "version", "score", "decision", "label", "label_value", *features, *chances)
    sides = [store.ask(Sample("outcomes", columns, SAMPLE_ROWS), each) for each in (new, old)]
    places = paired_rows.matching_places(sides[0], sides[1], features)
    ours, theirs = (side.iloc[place].reset_index(drop=True) for side, place in zip(sides, places, strict=True))
    label, agree = paired_rows.pair_labels(model, ours, theirs)
    losses = [loss_of(each, label, model) for each in (ours, theirs)]
    added = losses[0] - losses[1]
    if model.task == "regression":
        worse = added > 0
    else:
        wrong, right = ours["decision"].to_numpy() != label, theirs["decision"].to_numpy() == label
        worse = wrong & right & (ours["decision"].to_numpy() >= 0)
    worse = np.asarray(worse & agree & ~np.isnan(label) & np.isfinite(added), bool)
    name = f"{new.version} ({new.environment})" if new.version == old.version else f"{new.version}"
    words = "absolute error" if model.task == "regression" else "log loss"
    found = queue_columns(ours, model, added, [f"version {old.version} has {value:.3g} less {words}" for value in added])
    known = {"label": np.where(np.isnan(label), -1, label).astype(np.int64)} if model.classes else {"label_value": label}
    found = highest_ranked(found.assign(**known)[worse], limit)
    what = "has a larger error" if model.task == "regression" else "is wrong and the other right"
    both_scored = f"{len(ours):,} requests {window_text(window)} that versions {name} and {old.version} both scored"
    text = f"Of {both_scored}, those where {name} {what}, by additional {words}."
    return Inbox("regressions", "Worse than the other version", text, found)


def predictions_with_complaints(store: "Store", window: Window, limit: int = MAX_QUEUE) -> Inbox:
    """Predictions with a complaint in the window (`event` records), newest first."""
    import pandas as pd

    model = model_with_labels(store, window)
    held = store.ask(Records("event", rows=10 * limit, only=(("what", "complaint"),)), replace(window, model="", version=None, slice=None))
    held = held[held["prediction"].notna() & (held["model"].isna() | (held["model"] == model.name))].iloc[::-1]
    newest = held.drop_duplicates("prediction").head(limit)
    found = []
    for event in newest.to_dict("records"):
        term = search_terms.SearchTerm("id", "=", str(event["prediction"]))
        part = store.search(replace(window, start=EPOCH, slice=None, version=None), (term,), 1)
        if len(part):
            found.append(queue_columns(part, model, [event["at"].timestamp()], [str(event["text"])]))
    frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    text = f"Predictions of {model.name} with a complaint {window_text(window)}, newest first."
    return Inbox("complaints", "Complaints", text, frame)


INBOXES: Mapping[str, Callable[["Store", Window, int], Inbox]] = {
    "largest_loss": largest_loss,
    "uncertain": uncertain_predictions,
    "suspect_labels": suspect_labels,
    "regressions": regressed_requests,
    "complaints": predictions_with_complaints,
}
"""All queues by name, in page order."""


def model_with_labels(store: "Store", window: Window) -> Model:
    """The model of a window. Raises NotGivenError if it is not registered, because its labels then have no definition."""
    model = store.catalog().model(window.model)
    if model.task is None:
        raise NotGivenError(
            f"the model {model.name} is not registered, so its scores and labels are not defined", attempt="Register it with a reference"
        )
    return model


def newest_two(store: "Store", model: Model, window: Window) -> tuple[Window, Window]:
    """Two windows: for the two newest versions that are active in the window, or for the version in shadow and the one in production.
    Raises NotGivenError if only one is active.
    """
    live = store.activity()
    live = live[(live["model"] == model.name) & live["environment"].isin(["production", "shadow"])]
    start, end = naive_utc(window.start), naive_utc(window.end)
    live = live[(live["first"] < end) & (live["last"] >= start - np.timedelta64(1, "h").astype("timedelta64[us]").item())]
    oldest = datetime.min.replace(tzinfo=EPOCH.tzinfo)
    registered = sorted(model.versions, key=lambda version: version.registered_at or oldest)
    order = {version.name: place for place, version in enumerate(registered)}
    ranked = sorted(
        live.to_dict("records"),
        key=lambda stream: (stream["environment"] == "shadow", order.get(stream["version"], -1), stream["first"]),
        reverse=True,
    )
    if len(ranked) < 2:
        raise NotGivenError(
            f"only one version of {model.name} was active {window_text(window)}, so there is no comparison",
            attempt="Choose a longer window, or log a challenger in the shadow",
        )

    new, old = (
        replace(window, version=str(stream["version"]), environment="shadow" if stream["environment"] == "shadow" else "production")
        for stream in ranked[:2]
    )
    return new, old


def loss_of(frame: "DataFrame", label: Any, model: Model) -> Any:
    """Loss of each row: absolute error, or log loss."""
    scores = frame["score"].to_numpy(np.float64)
    if model.task == "regression":
        return np.abs(scores - label)
    code = np.where(np.isnan(label), 0, label).astype(np.int64)
    chance = class_probabilities(frame, model)[np.arange(len(frame)), code]
    small = float(np.finfo(np.float64).eps)
    return -np.log(np.clip(chance, small, 1 - small))


def queue_columns(frame: "DataFrame", model: Model, rank: Any, because: list[str]) -> "DataFrame":
    """The frame with the columns of a queue."""
    return frame.assign(model=model.name, rank=np.asarray(rank, np.float64), because=because)[list(COLUMNS)].reset_index(drop=True)


def highest_ranked(frame: "DataFrame", limit: int) -> "DataFrame":
    """At most `limit` rows, highest rank first, ties by id."""
    return frame.sort_values(["rank", "id"], ascending=[False, True]).head(limit).reset_index(drop=True)


def window_text(window: Window) -> str:
    """The span of a window in words, in UTC."""
    return f"from {format_span(window.start, window.end)} UTC"
