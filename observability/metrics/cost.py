"""What did a model cost, in training, labelling and serving, and what did its errors cost?

The one computation behind every figure of money: the analyzer, the page, the tables and the sentences all call it.

**What is paid once.** Each part is priced by the first of these that is known. Serving: the predictions' own `cost`; else a price a request;
else a price for hours of accelerators (by readings) and of busy cores (by latency); else its energy at a price a kWh. Training: hours of
accelerators, else of cores, else energy. Labelling: the annotations of the model's projects, else labels that people gave, at a price a label.
Storage: the bytes that `dataset` records give for the datasets of the model's runs, at a price for a gigabyte and month. A price of hours is taken to hold the electricity. Currencies are never converted: each stands apart.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from observability.core.catalog import Model
from observability.core.questions import Records
from observability.core.settings import ModelSettings
from observability.metrics.energy import (
    Source,
    added_up,
    by_predictions,
    drawn,
    ended_between,
    is_gpu,
    runs_of,
    serving,
    worst,
)
from observability.metrics.performance import confusion_matrix
from observability.metrics.prices import Place, in_force, recorded_from
from observability.stats.interval import Interval, Moments, mean_interval, paired_rate_difference_interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

if TYPE_CHECKING:
    from pandas import DataFrame

PARTS = ("training", "labelling", "serving", "storage")
ANNOTATIONS = Records("annotation", ("project", "item", "annotator", "at"))
HUMAN_LABELS = Records("label", ("at", "source"), only=(("source", "human"),))
DATASETS = Records("dataset", ("dataset", "version", "at", "bytes"), ever=True)
GIGABYTE, DAYS_A_MONTH = 1e9, 365.25 / 12
"""A gigabyte as those who sell storage count it, and the days of a month that `gb_month` is about."""
NO_CURRENCY = ""
"""The currency of money that was logged without one."""
WORDS = {
    "cost": "the cost that predictions carry",
    "request": "a price a request",
    "gpu_hour": "hours of accelerators",
    "cpu_hour": "hours of busy cores",
    "kwh": "the energy",
    "label": "a price a label",
    "gb_month": "a price for a gigabyte and month",
}
"""How a part was priced, in words."""


def priced_from(part: "Part", prices: "DataFrame", place: Place, end: datetime) -> str:
    """Whose word the price is, to follow how sure the quantity is: a recorded price is what somebody wrote down, not what was paid. Nothing for
    money that predictions carry. end: naive UTC.
    """
    since = None if part.method in (None, "cost") else recorded_from(prices, place, str(part.method), end)
    return "" if since is None else f", price as recorded from {since:%Y-%m-%d}"


@dataclass(frozen=True)
class Part:
    """One of PARTS. rows: at (naive UTC), amount, currency, units (predictions, runs, labels or gigabyte-months); priced rows only. method: how they were priced, None
    where nothing was. source: of the quantities behind it. unpriced: units without a price.
    """

    name: str
    rows: "DataFrame"
    method: str | None
    source: Source
    unpriced: int = 0


def spending(at: Any, amount: Any, currency: Any, units: Any) -> "DataFrame":
    """Rows of a part, without those that have no price."""
    import pandas as pd

    amounts = np.asarray(amount, float)
    known = ~np.isnan(amounts)
    named = np.broadcast_to(np.asarray(currency, object), amounts.shape)[known]
    names = pd.Series([each if isinstance(each, str) else NO_CURRENCY for each in named], dtype=object)
    moments, counted = np.asarray(at, "datetime64[us]")[known], np.asarray(units, float)[known]
    return pd.DataFrame({"at": moments, "amount": amounts[known], "currency": names, "units": counted})


@cache
def unpaid() -> "DataFrame":
    """The rows of a part for which nothing was paid, to be read only."""
    return spending([], [], [], [])


def serving_part(served: "DataFrame", use: "DataFrame", resources: "DataFrame", prices: "DataFrame", place: Place) -> Part:
    """What serving cost by hour, over every version. The frames are those of `observability.metrics.energy.serving`, `use` with sums of `cost`."""
    import pandas as pd

    own = by_predictions(use, "cost", None)
    asked = added_up(served["period"], {"w": served["w"]})
    hours = asked["period"]
    if own["served"].sum() > 0:
        carried, everyone = float(own["served"].sum()), float(asked["w"].sum())
        usual = float(own["total"].sum()) / carried
        per = pd.Series(own["total"] / own["served"], own["period"]).reindex(hours).fillna(usual).to_numpy()
        source: Source = "measured" if carried >= everyone * (1 - 1e-9) else "estimated"
        return Part("serving", spending(hours, per * asked["w"], currency_of(prices, place.settings), asked["w"]), "cost", source)
    amount, currency = priced(prices, hours, place, "request")
    if hours.size and not np.isnan(amount).all():
        return Part("serving", spending(hours, amount * asked["w"], currency, asked["w"]), "request", "measured")
    for part in (accelerators(resources, prices, place), busy_cores(use, prices, place)):
        if part is not None:
            return part
    if (prices["resource"].to_numpy(object) == "kwh").any():
        energy = serving(served, use, resources, prices, place)
        drew = energy.hours
        amount, currency = priced(prices, drew["period"], place, "kwh")
        if drew["period"].size and not np.isnan(amount).all() and energy.covered > 0:
            scale = 1.0 / energy.covered
            rows = spending(drew["period"], amount * drew["wh"] / 1000.0 * scale, currency, drew["served"] * scale)
            return Part("serving", rows, "kwh", energy.source)
    return Part("serving", unpaid(), None, "assumed", int(served["n"].sum()))


def accelerators(resources: "DataFrame", prices: "DataFrame", place: Place) -> Part | None:
    """Serving by hours of accelerators that were read; None where there are none, or no price."""
    if resources.empty:
        return None
    readings = drawn(resources)
    readings = readings[(readings["run"] == "") & readings["device"].map(is_gpu)]
    found = []
    for device, part in readings.groupby("device", sort=True):
        hours = part.groupby(part["at"].dt.floor("h"))["seconds"].sum() / 3600.0
        at = hours.index.to_series()
        amount, currency = in_force(prices, "amount", at, place, resource="gpu_hour", device=str(device))
        found.append(spending(at, amount * hours.to_numpy(), currency, np.zeros(len(at))))
    return joined("serving", found, "gpu_hour", "measured")


def busy_cores(use: "DataFrame", prices: "DataFrame", place: Place) -> Part | None:
    """Serving by hours of busy cores, from latency; None where there is none, or no price."""
    busy = by_predictions(use, "latency_ms", None)
    amount, currency = priced(prices, busy["period"], place, "cpu_hour")
    if np.isnan(amount).all():
        return None
    return joined("serving", [spending(busy["period"], amount * busy["total"] / 3.6e6, currency, busy["served"])], "cpu_hour", "estimated")


def joined(name: str, rows: "list[DataFrame]", method: str, source: Source) -> Part | None:
    """A part of several frames; None where all of them are empty."""
    import pandas as pd

    rows = [each for each in rows if len(each)]
    return Part(name, pd.concat(rows, ignore_index=True), method, source) if rows else None


def priced(prices: "DataFrame", at: ArrayLike, place: Place, resource: str) -> "tuple[Any, Any]":
    """Price of a unit of a resource, and its currency, at some instants."""
    return in_force(prices, "amount", at, place, resource=resource)


def training_between(
    runs: "DataFrame", readings: "DataFrame", prices: "DataFrame", place: Place, start: datetime | None, end: datetime | None
) -> Part:
    """What the runs cost that ended in a half-open span (naive UTC; None: no limit). readings: of their devices, whenever they came."""
    names = ended_between(runs, start, end)
    if not names:
        return Part("training", unpaid(), None, "assumed")
    drew = runs_of(runs[runs["run"].isin(names)], readings[readings["run"].isin(names)], prices, place)
    return training_part(drew, prices, place)[0]


def training_part(runs: "DataFrame", prices: "DataFrame", place: Place) -> "tuple[Part, DataFrame]":
    """What runs cost, on the day each ended, and the same by run: `runs` (of `observability.metrics.energy.runs_of`) with amount, currency,
    method and amount_source (that of the energy where the energy is priced, else measured; None without an amount).
    """
    ended = runs[runs["ended"].notna()].reset_index(drop=True)
    amount, currency = np.full(len(ended), np.nan), np.full(len(ended), None, object)
    method = np.full(len(ended), None, object)
    hours = ended["seconds"] / 3600.0
    quantities = {
        "gpu_hour": (hours * ended["gpus"]).where(ended["gpus"] > 0),
        "cpu_hour": hours * ended["cores"],
        "kwh": ended["wh"] / 1000.0,
    }
    for resource, quantity in quantities.items():
        price, of = priced(prices, ended["ended"], place, resource)
        fill = np.isnan(amount) & ~np.isnan(price) & quantity.notna().to_numpy(bool)
        amount[fill], currency[fill], method[fill] = (price * quantity.to_numpy(float))[fill], of[fill], resource
    sources = [None if way is None else worst([each]) if way == "kwh" else "measured" for way, each in zip(method, ended["source"])]
    costed = ended.assign(amount=amount, currency=currency, method=method, amount_source=np.asarray(sources, object))
    held = costed[costed["amount"].notna()]
    methods = sorted(set(held["method"]), key=list(quantities).index)
    source = worst(list(held["amount_source"])) if len(held) else "assumed"
    rows = spending(held["ended"], held["amount"], held["currency"], np.ones(len(held)))
    return Part("training", rows, methods[0] if methods else None, source, len(ended) - len(held)), costed


def labelling_part(annotations: "DataFrame", labels: "DataFrame | None", prices: "DataFrame", place: Place) -> Part:
    """What people's labels cost. annotations: of any project; those of the model's projects count (settings `projects`, else one that has the model's
    name). labels: labels that people gave (at), used where there are no annotations; None where they were not asked.
    """
    if annotations.empty and (labels is None or labels.empty):
        return Part("labelling", unpaid(), None, "measured")
    projects = place.settings.projects or (place.model,)
    own = annotations[annotations["project"].isin(projects)]
    at = own["at"] if len(own) or labels is None else labels["at"]
    at = at.reset_index(drop=True)
    amount, currency = priced(prices, at, place, "label")
    rows = spending(at, amount, currency, np.ones(len(at)))
    return Part("labelling", rows, "label" if len(rows) else None, "measured", len(at) - len(rows))


def spelled(dataset: str, version: str) -> tuple[str, ...]:
    """How a training run may name a version of a dataset: by the dataset alone, or with the version behind a space, `@` or `:`."""
    return dataset, *(f"{dataset}{mark}{version}" for mark in " @:")


def storage_part(datasets: "DataFrame", runs: "DataFrame", prices: "DataFrame", place: Place, start: datetime, end: datetime) -> Part:
    """What keeping the data of the model's runs cost in a half-open span (naive UTC), by day.

    datasets: every logged version. It is kept from its `at` on, as nothing says when it is thrown away: so the quantity is estimated. It is the
    model's where one of its runs names the dataset, alone or with the version behind a space, `@` or `:`.
    """
    import pandas as pd

    used = {str(each) for each in runs["dataset"].dropna()}
    names = [spelled(name, version) for name, version in zip(datasets["dataset"], datasets["version"])]
    own = np.array([not used.isdisjoint(each) for each in names], bool) & datasets["bytes"].notna().to_numpy(bool)
    if not own.any():
        return Part("storage", unpaid(), None, "estimated")
    held = datasets[own]
    days = pd.date_range(pd.Timestamp(start).floor("D"), end, freq="D", inclusive="left")
    first = days.to_numpy("datetime64[us]")[:, None]
    begins = np.maximum(np.maximum(first, np.datetime64(start, "us")), held["at"].to_numpy("datetime64[us]"))
    ends = np.minimum(first + np.timedelta64(1, "D"), np.datetime64(end, "us"))
    kept = np.maximum((ends - begins) / np.timedelta64(1, "D"), 0.0)
    months = kept @ held["bytes"].to_numpy(float) / GIGABYTE / DAYS_A_MONTH
    amount, currency = priced(prices, days.to_series(), place, "gb_month")
    rows = spending(days, np.where(months > 0, amount * months, np.nan), currency, months)
    return Part("storage", rows, "gb_month" if len(rows) else None, "estimated", 0 if len(rows) else len(held))


def currency_of(prices: "DataFrame", settings: ModelSettings) -> str:
    """The currency of money that is logged without one: the settings', else the only one that prices have, else NO_CURRENCY."""
    named = settings.cost_currency or settings.budget_currency
    known = sorted({each for each in prices["currency"] if each is not None})
    return named or (known[0] if len(known) == 1 else NO_CURRENCY)


def currencies(parts: "list[Part]", settings: ModelSettings) -> list[str]:
    """Currencies in which something was spent; the budget's first, then that of serving, then by amount."""
    totals: dict[str, tuple[bool, bool, float]] = {}
    for part in parts:
        if part.rows.empty:
            continue
        for currency, amount in part.rows.groupby("currency")["amount"].sum().items():
            serves, more = totals.get(str(currency), (False, False, 0.0))[1:]
            totals[str(currency)] = (currency == settings.budget_currency, serves or part.name == "serving", more + float(amount))
    return sorted(totals, key=lambda each: (*(-float(one) for one in totals[each]), each))


def within(part: Part, start: datetime, end: datetime) -> "DataFrame":
    """Rows of a part in a half-open span (naive UTC)."""
    return part.rows[(part.rows["at"] >= start) & (part.rows["at"] < end)]


def total(part: Part, currency: str, start: datetime, end: datetime) -> float:
    """Spent on a part in a currency and a half-open span (naive UTC)."""
    rows = within(part, start, end)
    return float(rows["amount"].to_numpy()[rows["currency"].to_numpy(object) == currency].sum())


def daily(parts: "list[Part]", currency: str, start: datetime, end: datetime) -> "DataFrame":
    """Spending by day (rows, naive UTC midnights, none left out) and part (columns) in one currency, over whole days."""
    import pandas as pd

    days = pd.date_range(start, end, freq="D", inclusive="left", name="day")
    frame = pd.DataFrame(0.0, index=days, columns=list(PARTS))
    for part in parts:
        rows = within(part, start, end)
        rows = rows[rows["currency"] == currency]
        spent = rows.groupby(rows["at"].dt.floor("D"))["amount"].sum()
        frame[part.name] += spent.reindex(days, fill_value=0.0).to_numpy()
    return frame


def month_of(end: datetime) -> tuple[datetime, datetime, datetime]:
    """(start of the month, midnight up to which days are whole, start of the next month) of the last instant before `end` (naive UTC)."""
    last = end - timedelta(microseconds=1)
    start = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    whole = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, whole, (start + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True)
class Errors:
    """What decisions were worth. n: labelled decisions (Σ weight). accuracy and avoided (share of errors fewer than the majority decision makes) with
    intervals. majority: the class that is decided always. lost, lost_by_majority: money per labelled decision, None where no costs are set.
    """

    n: float
    accuracy: Interval
    avoided: Interval
    majority: str
    lost: Interval | None
    lost_by_constant: float | None
    constant: str | None


def errors(model: Model, counts: "DataFrame") -> Errors | None:
    """Errors of a classifier against always deciding for the most frequent class of the same labels; None for a regression or without labels.

    counts: by decision and label. With the owner's costs of errors the constant decision that loses least money stands beside.
    """
    if model.task not in ("binary", "multiclass"):
        return None
    matrix = confusion_matrix(model, counts)
    n = float(matrix.sum())
    if n <= 0:
        return None
    known = (counts["label"].to_numpy() >= 0) & (counts["decision"].to_numpy() >= 0)
    squares = float(counts["w2"].to_numpy(float)[known].sum())
    right, frequent = float(np.trace(matrix)), int(matrix.sum(axis=1).argmax())
    gained = right - float(matrix[frequent, frequent])
    lost_to = float(matrix[frequent].sum() - matrix[frequent, frequent])
    shrink = n / squares if squares > 0 else 1.0
    avoided = paired_rate_difference_interval(gained * shrink, lost_to * shrink, n * shrink)
    classes = model.classes or ("0", "1")
    lost, constant_loss, constant = money_of_errors(model, matrix, squares)
    return Errors(
        n,
        rate_interval(right, n, squares),
        avoided,
        classes[frequent],
        lost,
        constant_loss,
        None if constant is None else classes[constant],
    )


def money_of_errors(model: Model, matrix: Any, squares: float) -> tuple[Interval | None, float | None, int | None]:
    """Money lost per labelled decision with its interval, what the best constant decision loses, and which that is; None where no costs are set."""
    costs = (model.settings.cost_false_positive, model.settings.cost_false_negative)
    if model.task != "binary" or costs[0] is None or costs[1] is None:
        return None, None, None
    n, false_positive, false_negative = float(matrix.sum()), float(matrix[0, 1]), float(matrix[1, 0])
    spent = false_positive * costs[0] + false_negative * costs[1]
    lost = mean_interval(Moments(n, spent, false_positive * costs[0] ** 2 + false_negative * costs[1] ** 2, squares))
    constants = (float(matrix[1].sum()) * costs[1] / n, float(matrix[0].sum()) * costs[0] / n)
    best = int(np.argmin(constants))
    return lost, constants[best], best


def by_parts(served: "DataFrame", part: Part, currency: str, grain: str | None = None) -> "DataFrame":
    """Σ weight served and money by day (by hour where there are fewer than three days), or by the grain that is named."""
    rows = part.rows[part.rows["currency"] == currency]
    grain = grain or ("h" if served["period"].dt.floor("D").nunique() < 3 else "D")
    by_time = served.groupby(served["period"].dt.floor(grain))["w"].sum().rename("served").to_frame()
    return by_time.join(rows.groupby(rows["at"].dt.floor(grain))["amount"].sum()).fillna(0.0)
