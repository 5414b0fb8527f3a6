"""The label supply of a model: queue, agreement of annotators, price per label, and the budget of the month."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.metrics.cost import ANNOTATIONS, HUMAN_LABELS, labelling_cost
from observability.metrics.prices import PRICES, PriceScope, prices_at
from observability.stats.agreement import RELIABLE, TENTATIVE, krippendorff_alpha

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
Ask = Callable[[Records, Window], "DataFrame"]
ASSIGNED = Records("assignment", ("project", "item", "annotator", "at"), ever=True)
ANNOTATED = Records("annotation", ("project", "item", "annotator", "at", "label"), ever=True)
PAIR = ["project", "item", "annotator"]


def label_intake(ask: Ask, model: Model, window: Window, findings: Sequence[Finding]) -> Body:
    """queue, agreement, price and budget as of the end of the week, each None if unknown. window: the week."""
    place = PriceScope(model.name, model.settings)
    projects = model.settings.projects or (model.name,)
    assigned, annotated = (frame[frame["project"].isin(projects)] for frame in (ask(ASSIGNED, window), ask(ANNOTATED, window)))
    end = naive_utc(window.end)
    return {
        "projects": list(projects),
        "queue": label_queue_state(assigned, annotated, end),
        "agreement": label_agreement(annotated),
        "price": label_price(ask, window, place, end),
        "budget": budget_state(findings),
    }


def label_queue_state(assigned: "DataFrame", annotated: "DataFrame", end: datetime) -> Body | None:
    """Assigned items that have no label yet: their number, and their median and longest wait in days; None without assignments."""
    if assigned.empty:
        return None
    last = assigned.groupby(PAIR)["at"].max()
    done = annotated.groupby(PAIR)["at"].max().reindex(last.index)
    waiting = last[~(done >= last)]
    days = (end - waiting).dt.total_seconds() / 86_400
    median, oldest = (float(days.median()), float(days.max())) if len(days) else (None, None)
    return {"waiting": len(waiting), "of": len(last), "median_days": median, "oldest_days": oldest}


def label_agreement(annotated: "DataFrame") -> Body | None:
    """Krippendorff's alpha over the newest label of each annotator for each item; None without annotations."""
    if annotated.empty:
        return None
    newest = annotated.sort_values("at", kind="stable").drop_duplicates(PAIR, keep="last")
    found = krippendorff_alpha([list(labels) for _, labels in newest.groupby(["project", "item"])["label"]])
    if found.value is None:
        text = "Agreement unknown: it needs items with two labels, and labels that differ."
    elif found.low is None or found.high is None:
        text = "Agreement unknown: too few items have two labels."
    elif found.low >= RELIABLE:
        text = f"Agreement is reliable: interval above {RELIABLE:g}."
    elif found.high < TENTATIVE:
        text = f"Agreement is unreliable: interval below {TENTATIVE:g}."
    else:
        text = f"Agreement is uncertain (reliable from {RELIABLE:g}, tentative from {TENTATIVE:g})."
    return {"value": found.value, "low": found.low, "high": found.high, "n": int(found.n), "said": text}


def label_price(ask: Ask, window: Window, place: PriceScope, end: datetime) -> Body | None:
    """Price of a label at the week's end, and cost of the week's labels; None without a price record."""
    import pandas as pd

    prices = ask(PRICES, window)
    amount, currency = prices_at(prices, "amount", pd.Series([pd.Timestamp(end)]), place, resource="label")
    if amount[0] != amount[0]:
        return None
    part = labelling_cost(ask(ANNOTATIONS, window), ask(HUMAN_LABELS, window), prices, place)
    own = part.rows[part.rows["currency"] == (currency[0] or "")]
    return {"value": float(amount[0]), "currency": currency[0], "labels": len(own), "spent": float(own["amount"].sum())}


def budget_state(findings: Sequence[Finding]) -> Body | None:
    """The forecast cost of the month compared with its budget, from `operations/cost`; None without a forecast."""
    finding = next((finding for finding in findings if finding.analyzer == "operations/cost" and "month_end" in finding.evidence), None)
    if finding is None:
        return None
    names = ("value", "low", "high", "limit", "severity", "basis", "because")
    return {name: getattr(finding, name) for name in names} | {name: finding.evidence[name] for name in ("spent", "currency")}
