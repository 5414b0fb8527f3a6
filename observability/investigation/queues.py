"""Which predictions should a person look at first? Five bounded lists, each ranked by one stated figure.

Each gives an `Inbox`: a frame with one row a prediction, worst first (`id`, `model`, `version`, `at` (naive UTC), `score`, `decision`, `label`, `rank`,
`because`), and a sentence that says what it is ranked by and what was looked at. An inbox that cannot be given raises NotGivenError with its reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.compare import paired_rows
from observability.core.catalog import Model, Version
from observability.core.questions import Records, Sample
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Environment, Window
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.label_evidence import FAR_OUT, FEWEST_LABELLED, MEASURED, percent, suspected, thresholds
from observability.store.query import listing, records, search

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

MOST = 20
SAMPLE_ROWS = 20_000
"""Labelled rows among which suspect labels are looked for."""
COLUMNS = ("id", "model", "version", "at", "score", "decision", "label", "rank", "because")


@dataclass(frozen=True)
class Inbox:
    """One list. name: largest_loss, uncertain, suspect_labels, regressions, complaints. because: what it is ranked by, of what, in one sentence."""

    name: str
    title: str
    because: str
    frame: "DataFrame"


def largest_loss(store: "Store", window: Window, limit: int = MOST) -> Inbox:
    """Predictions whose labels arrived in the window, whenever they were made, by their loss: log loss, of a regression the absolute error."""
    model = known(store, window)
    measure = "absolute_error" if model.task == "regression" else "log_loss"
    every = replace(window, start=EPOCH, end=max(window.end, EPOCH))
    frame = search.matching(store, every, (), limit, f"-{measure}", newly_labelled=(window.start, window.end))
    frame = frame[frame[measure].notna()]
    words = "off by" if measure == "absolute_error" else "log loss"
    return Inbox(
        "largest_loss",
        "Largest loss among new labels",
        f"Predictions whose label arrived {span(window)}, by {measure.replace('_', ' ')}, the largest first.",
        shaped(frame, model, frame[measure], [f"{words} {value:.3g}" for value in frame[measure]]),
    )


def uncertain(store: "Store", window: Window, limit: int = MOST) -> Inbox:
    """Predictions without a label yet whose answer is least certain, weighted by what an error of that kind costs where the settings say so."""
    import pandas as pd

    model = known(store, window)
    if model.task == "regression":
        raise NotGivenError("a regression's score carries no confidence")
    unknown = (search.Term("label", "=", "null"),)
    if model.task == "multiclass":
        frame = search.matching(store, window, unknown, limit, "score")
        frame = frame[frame["score"].notna()]
        rank = 1 - frame["score"]
        said = [f"its class got {score:.2f}" for score in frame["score"]]
        by = "by how little its class got"
    else:
        prices = model.settings.cost_false_negative, model.settings.cost_false_positive
        known_prices = None not in prices
        costs = [float(each or 0.0) for each in prices] if known_prices else [1.0, 1.0]
        sides = [
            search.matching(store, window, (*unknown, search.Term("answer", "=", model.classes[code])), limit, order)
            for code, order in ((0, "-score"), (1, "score"))
        ]
        frame = pd.concat([each[each["score"].notna()] for each in sides], ignore_index=True)
        chance = np.where(frame["decision"] == 1, 1 - frame["score"], frame["score"])
        rank = pd.Series(chance * np.where(frame["decision"] == 1, costs[1], costs[0]), index=frame.index)
        currency = f" {model.settings.cost_currency}" if model.settings.cost_currency and known_prices else ""
        said = [
            f"an error costs {value:.3g}{currency} on average"
            if known_prices
            else f"wrong with a chance of {value:.2f}, as the score has it"
            for value in rank
        ]
        by = (
            f"by the expected cost of an error{currency and f' in{currency}'}"
            if known_prices
            else "by the chance of an error, since the settings name no costs"
        )
    found = shaped(frame, model, rank, said).sort_values(["rank", "id"], ascending=[False, True]).head(limit).reset_index(drop=True)
    return Inbox("uncertain", "Low confidence and high stakes", f"Predictions {span(window)} whose outcome is not known yet, {by}.", found)


def suspect_labels(store: "Store", window: Window, limit: int = MOST) -> Inbox:
    """Labels that the model contradicts with confidence (investigation/label_evidence.py), among a bounded sample of labelled rows; regressions: errors far out of the rest."""
    model = known(store, window)
    chances = tuple(f"score.{place}" for place in range(len(model.classes))) if model.task == "multiclass" else ()
    columns = ("id", "at", "version", "score", "decision", "label", "label_value", *chances)
    frame = listing.sample(store, Sample("outcomes", columns, SAMPLE_ROWS), window)
    frame = frame[(frame["label"] >= 0) & frame["score"].notna()].reset_index(drop=True)
    if len(frame) < FEWEST_LABELLED:
        raise NotGivenError(f"{len(frame)} predictions of the window have labels; about {FEWEST_LABELLED} are needed")
    if model.task == "regression":
        errors = (frame["score"] - frame["label_value"]).to_numpy(np.float64)
        spread = 1.4826 * float(np.median(np.abs(errors - np.median(errors)))) or float(errors.std()) or 1.0
        rank = np.abs(errors - np.median(errors)) / spread
        suspect, by = rank > FAR_OUT, "by how many robust standard deviations their error lies from the usual one"
        said = [f"the error lies {value:.1f} robust standard deviations out" for value in rank]
    else:
        positive = frame["score"].to_numpy(np.float64)
        shares = frame[list(chances)].to_numpy(np.float64) if chances else np.stack([1 - positive, positive], axis=1)
        labels, places = frame["label"].to_numpy(np.int64), np.arange(len(frame))
        other = suspected(shares, labels, thresholds(shares, labels))
        suspect, by = other >= 0, "by how much more another class got than the label's"
        rank = np.where(suspect, shares[places, np.maximum(other, 0)] - shares[places, labels], 0.0)
        said = [
            f"the model gives the label, {model.classes[label]}, a chance of {percent(shares[place, label])}, and {model.classes[wins]} one of {percent(shares[place, wins])}"
            if wins >= 0
            else ""
            for place, label, wins in zip(places, labels, other, strict=True)
        ]
    found = shaped(frame.assign(model=model.name), model, rank, said)[suspect]
    found = found.sort_values(["rank", "id"], ascending=[False, True]).head(limit).reset_index(drop=True)
    sure = measured(store, window, model, found["id"].tolist())
    found = found.assign(
        because=[f"{each}{'; it was measured' if own in sure else ''}" for own, each in zip(found["id"], found["because"], strict=True)]
    )
    looked = f"{int(suspect.sum()):,} of {len(frame):,} labels that were looked at {span(window)} are unlikely for the model; {by}"
    if sure:
        which = "Those listed" if len(sure) == len(found) else f"{len(sure)} of the {len(found)} listed"
        looked += f". {which} were measured, so a hard case is more likely than a wrong label"
    return Inbox("suspect_labels", "Suspected label errors", f"{looked}.", found)


def measured(store: "Store", window: Window, model: Model, ids: list[str]) -> set[str]:
    """Of some predictions those whose current label was measured, or put right already (its newest revision says so)."""
    if not ids:
        return set()
    asked = Records("label", columns=("id", "source"), ever=True, only=(("id", tuple(ids)),))
    ever = replace(window, model=model.name, end=datetime.max.replace(tzinfo=EPOCH.tzinfo), version=None, slice=None)
    newest = records.fetch(store, asked, ever).drop_duplicates("id", keep="last")
    return set(newest.loc[newest["source"].isin(MEASURED), "id"])


def regressions(store: "Store", window: Window, limit: int = MOST) -> Inbox:
    """Requests that two versions answered, of which the newer one (or the one in the shadow) is wrong and the older one right, by the loss that it adds."""
    model = known(store, window)
    new, old = newest_two(store, model, window)
    chances = tuple(f"score.{place}" for place in range(len(model.classes))) if model.task == "multiclass" else ()
    both = [model.version(each.version) or Version(each.version or "") for each in (new, old)]
    features = paired_rows.common_features(model, both[:1], both[1:])
    columns = ("id", "at", "subject", "version", "score", "decision", "label", "label_value", *features, *chances)
    sides = [listing.sample(store, Sample("outcomes", columns, SAMPLE_ROWS), each) for each in (new, old)]
    places = paired_rows.matched(sides[0], sides[1], features)
    ours, theirs = (side.iloc[place].reset_index(drop=True) for side, place in zip(sides, places, strict=True))
    label, agree = paired_rows.labels_of(model, ours, theirs)
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
    found = shaped(ours.assign(model=model.name), model, added, [f"version {old.version} has {value:.3g} less {words}" for value in added])
    known_label = np.where(np.isnan(label), -1, label).astype(np.int64) if model.classes else found["label"]
    found = found.assign(label=known_label)[worse].sort_values(["rank", "id"], ascending=[False, True]).head(limit).reset_index(drop=True)
    what = "is farther off" if model.task == "regression" else "is wrong and the other right"
    text = f"Of {len(ours):,} requests {span(window)} that versions {name} and {old.version} both answered, those where {name} {what}, by the {words} it adds."
    return Inbox("regressions", "Worse than the other version", text, found)


def complaints(store: "Store", window: Window, limit: int = MOST) -> Inbox:
    """Predictions that somebody complained about in the window (`event` records), newest first."""
    import pandas as pd

    model = known(store, window)
    held = records.fetch(
        store, Records("event", rows=10 * limit, only=(("what", "complaint"),)), replace(window, model="", version=None, slice=None)
    )
    held = held[held["prediction"].notna() & (held["model"].isna() | (held["model"] == model.name))].iloc[::-1]
    newest = held.drop_duplicates("prediction").head(limit)
    found = []
    for each in newest.to_dict("records"):
        term = search.Term("id", "=", str(each["prediction"]))
        part = search.matching(store, replace(window, start=EPOCH, slice=None, version=None), (term,), 1)
        if len(part):
            found.append(shaped(part, model, [each["at"].timestamp()], [str(each["text"])]))
    frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    text = f"Predictions of {model.name} that a complaint {span(window)} names, the newest complaint first."
    return Inbox("complaints", "Complaints", text, frame)


INBOXES: Mapping[str, Callable[["Store", Window, int], Inbox]] = {
    "largest_loss": largest_loss,
    "uncertain": uncertain,
    "suspect_labels": suspect_labels,
    "regressions": regressions,
    "complaints": complaints,
}
"""Every inbox by its name, in the order of a page."""


def known(store: "Store", window: Window) -> Model:
    """The model of a window. Raises NotGivenError where nobody registered it, since its labels mean nothing then."""
    model = store.catalog().model(window.model)
    if model.task is None:
        raise NotGivenError(
            f"{model.name} is not registered, so nothing says what its scores and labels mean", attempt="Register it with a reference"
        )
    return model


def newest_two(store: "Store", model: Model, window: Window) -> tuple[Window, Window]:
    """The windows of the newest version and of the one before it, as far as they answered in the window; or of a version in the shadow, and of
    production. Raises NotGivenError where only one answered.
    """
    live = listing.activity(store)
    live = live[(live["model"] == model.name) & live["environment"].isin(["production", "shadow"])]
    start, end = naive_utc(window.start), naive_utc(window.end)
    live = live[(live["first"] < end) & (live["last"] >= start - np.timedelta64(1, "h").astype("timedelta64[us]").item())]
    order = {
        each.name: place
        for place, each in enumerate(
            sorted(model.versions, key=lambda each: each.registered_at or datetime.min.replace(tzinfo=EPOCH.tzinfo))
        )
    }
    ranked = sorted(
        live.to_dict("records"),
        key=lambda each: (each["environment"] == "shadow", order.get(each["version"], -1), each["first"]),
        reverse=True,
    )
    if len(ranked) < 2:
        raise NotGivenError(
            f"one version of {model.name} answered {span(window)}, so there is none to hold it against",
            attempt="Choose a longer window, or log a challenger in the shadow",
        )

    def of(each: Mapping[Any, Any]) -> Window:
        environment: Environment = "shadow" if each["environment"] == "shadow" else "production"
        return replace(window, version=str(each["version"]), environment=environment)

    return of(ranked[0]), of(next(each for each in ranked[1:]))


def loss_of(frame: "DataFrame", label: Any, model: Model) -> Any:
    """The loss of each row: absolute error, or log loss."""
    scores = frame["score"].to_numpy(np.float64)
    if model.task == "regression":
        return np.abs(scores - label)
    code = np.where(np.isnan(label), 0, label).astype(np.int64)
    if model.task == "binary":
        chance = np.where(code == 1, scores, 1 - scores)
    else:
        shares = frame[[f"score.{place}" for place in range(len(model.classes))]].to_numpy(np.float64)
        chance = shares[np.arange(len(frame)), code]
    small = float(np.finfo(np.float64).eps)
    return -np.log(np.clip(chance, small, 1 - small))


def shaped(frame: "DataFrame", model: Model, rank: Any, because: list[str]) -> "DataFrame":
    """The columns of an inbox."""
    return frame.assign(model=model.name, rank=np.asarray(rank, np.float64), because=because)[list(COLUMNS)].reset_index(drop=True)


def span(window: Window) -> str:
    """A window in words."""
    return f"between {window.start:%Y-%m-%d %H:%M} and {window.end:%Y-%m-%d %H:%M} UTC"
