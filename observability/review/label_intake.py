"""How do a model's labels come in: how long is the queue, do annotators agree, what does a label cost, and does the month stay within its budget?"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.metrics.cost import ANNOTATIONS, HUMAN_LABELS, labelling_part
from observability.metrics.prices import PRICES, Place, in_force
from observability.stats.agreement import RELIABLE, TENTATIVE, agreement

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
Ask = Callable[[Records, Window], "DataFrame"]
ASSIGNED = Records("assignment", ("project", "item", "annotator", "at"), ever=True)
ANNOTATED = Records("annotation", ("project", "item", "annotator", "at", "label"), ever=True)
PAIR = ["project", "item", "annotator"]


def labelling(ask: Ask, model: Model, window: Window, findings: Sequence[Finding]) -> Body:
    """queue, agreement, price and budget; each None where nothing is known of it. window: the week; everything is as of its end."""
    place = Place(model.name, model.settings)
    projects = model.settings.projects or (model.name,)
    assigned, annotated = (each[each["project"].isin(projects)] for each in (ask(ASSIGNED, window), ask(ANNOTATED, window)))
    end = naive_utc(window.end)
    return {
        "projects": list(projects),
        "queue": queue(assigned, annotated, end),
        "agreement": agreed(annotated),
        "price": price(ask, window, place, end),
        "budget": budget(findings),
    }


def queue(assigned: "DataFrame", annotated: "DataFrame", end: datetime) -> Body | None:
    """Items that were given to an annotator who has not labelled them: how many wait, and for how many days at the median and at most; None without assignments."""
    if assigned.empty:
        return None
    last = assigned.groupby(PAIR)["at"].max()
    done = annotated.groupby(PAIR)["at"].max().reindex(last.index)
    waiting = last[~(done >= last)]
    days = (end - waiting).dt.total_seconds() / 86_400
    return {"waiting": len(waiting), "of": len(last), "median_days": float(days.median()) if len(days) else None, "oldest_days": float(days.max()) if len(days) else None}  # fmt: skip


def agreed(annotated: "DataFrame") -> Body | None:
    """Krippendorff's alpha of each annotator's newest label of each item; None without annotations."""
    if annotated.empty:
        return None
    newest = annotated.sort_values("at", kind="stable").drop_duplicates(PAIR, keep="last")
    found = agreement([list(each) for _, each in newest.groupby(["project", "item"])["label"]])
    if found.value is None:
        said = "Agreement cannot be told: it needs items that two annotators labelled, with labels that differ somewhere."
    elif found.low is None or found.high is None:
        said = "Agreement cannot be told yet: too few items have two labels."
    elif found.low >= RELIABLE:
        said = f"Annotators agree: surely above {RELIABLE:g}, from which labels are relied upon."
    elif found.high < TENTATIVE:
        said = f"Annotators do not agree: surely below {TENTATIVE:g}, under which labels are not relied upon."
    else:
        said = f"Whether annotators agree well enough (from {RELIABLE:g}, tentatively {TENTATIVE:g}) is not sure."
    return {"value": found.value, "low": found.low, "high": found.high, "n": int(found.n), "said": said}


def price(ask: Ask, window: Window, place: Place, end: datetime) -> Body | None:
    """What a label costs at the week's end, and what the week's labels cost together; None where no price record says."""
    import pandas as pd

    prices = ask(PRICES, window)
    amount, currency = in_force(prices, "amount", pd.Series([pd.Timestamp(end)]), place, resource="label")
    if amount[0] != amount[0]:
        return None
    part = labelling_part(ask(ANNOTATIONS, window), ask(HUMAN_LABELS, window), prices, place)
    own = part.rows[part.rows["currency"] == (currency[0] or "")]
    return {"value": float(amount[0]), "currency": currency[0], "labels": len(own), "spent": float(own["amount"].sum())}


def budget(findings: Sequence[Finding]) -> Body | None:
    """Where the month's cost will stand, against its budget: what `operations/cost` forecast; None where it forecast nothing."""
    for each in findings:
        if each.analyzer == "operations/cost" and "month_end" in each.evidence:
            return {
                "value": each.value, "low": each.low, "high": each.high, "limit": each.limit, "severity": each.severity, "basis": each.basis,
                "spent": each.evidence["spent"], "currency": each.evidence["currency"], "because": each.because,
            }  # fmt: skip
    return None
