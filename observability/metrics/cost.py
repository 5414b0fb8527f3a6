"""Cost of a model: training, labelling, serving and storage, and the cost of its errors.

Money is computed only here. The analyzer, the page, the tables and the sentences all use this module.

**One price per part.** Each part is priced by the first of the following that is known. Serving: the predictions' own `cost`, and for
predictions without a cost their tokens, if the owner sets token prices; else a price per request; else a price for hours of accelerators
(from readings) and of busy cores (from latency); else its energy at a price per kWh. Training: accelerator hours, else core hours, else
energy. Labelling: the annotations of the model's projects, else labels that people gave, at a price per label. Storage: the bytes that
`dataset` records state for the datasets of the model's runs, at a price per gigabyte and month. A price per hour is taken to include the
electricity. Currencies are never converted.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from observability.core.formatting import format_day
from observability.core.questions import Records
from observability.metrics.energy import logged_by_hour, serving_energy, sums_by_period
from observability.metrics.energy_readings import Source, is_accelerator, reading_energy, worst_source
from observability.metrics.prices import NO_CURRENCY, PriceScope, default_currency, price_start, prices_at
from observability.metrics.run_energy import runs_ended_between, training_run_energy
from observability.metrics.token_prices import (
    CACHED,
    INPUT,
    OUTPUT,
    CallFrames,
    call_currency,
    is_one_currency,
    logged_currencies,
    states_token_prices,
    summed_call_cost,
    uncosted_by_hour,
)

if TYPE_CHECKING:
    from pandas import DataFrame

PARTS = ("training", "labelling", "serving", "storage")
ANNOTATIONS = Records("annotation", ("project", "item", "annotator", "at"))
HUMAN_LABELS = Records("label", ("at", "source"), only=(("source", "human"),))
DATASETS = Records("dataset", ("dataset", "version", "at", "bytes"), ever=True)
GIGABYTE, DAYS_A_MONTH = 1e9, 365.25 / 12
"""A decimal gigabyte, as storage providers sell it, and the number of days in the month of `gb_month`."""
WORDS = {
    "cost": "logged cost",
    "tokens": "stated token prices",
    "calls": "logged cost, else stated token prices",
    "request": "price per request",
    "gpu_hour": "accelerator hours",
    "cpu_hour": "busy core hours",
    "kwh": "energy",
    "label": "price per label",
    "gb_month": "price per gigabyte-month",
    "currencies": "logged cost in several currencies, which are not added",
}
"""Words that say how a part is priced."""


def price_note(part: "CostPart", prices: "DataFrame", place: PriceScope, end: datetime) -> str:
    """A suffix that gives the date of a recorded price. A reader needs it, because a price record states what was entered, not what was
    paid.

    Parameters
    ----------
    part : CostPart
        Cost of one part.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select the prices.
    end : datetime
        Instant of the price (naive UTC).

    Returns
    -------
    str
        Empty for money that predictions carry.
    """
    since = None if part.method in (None, "cost") else price_start(prices, place, str(part.method), end)
    return "" if since is None else f", recorded price from {format_day(since)}"


@dataclass(frozen=True)
class CostPart:
    """Cost of one of PARTS.

    rows: at (naive UTC), amount, currency, units (predictions, runs, labels or gigabyte-months); priced rows only. method: how the rows
    were priced, None without a price. source: source of the quantities that were priced. unpriced: number of units without a price.
    """

    name: str
    rows: "DataFrame"
    method: str | None
    source: Source
    unpriced: int = 0


def _spending_rows(at: Any, amount: Any, currency: Any, units: Any) -> "DataFrame":
    """The rows of a part. Rows without a price are left out."""
    import pandas as pd

    amounts = np.asarray(amount, float)
    known = ~np.isnan(amounts)
    named = np.broadcast_to(np.asarray(currency, object), amounts.shape)[known]
    names = pd.Series([each if isinstance(each, str) else NO_CURRENCY for each in named], dtype=object)
    moments, counted = np.asarray(at, "datetime64[us]")[known], np.asarray(units, float)[known]
    return pd.DataFrame({"at": moments, "amount": amounts[known], "currency": names, "units": counted})


@cache
def _no_spending() -> "DataFrame":
    """The empty rows of a part without cost; read-only."""
    return _spending_rows([], [], [], [])


SEVERAL: Final = "currencies"
"""The method of serving if calls state their costs in several currencies. The amounts are not kept by currency, so the part then has no
rows.
"""


def serving_cost(
    served: "DataFrame",
    use: "DataFrame",
    resources: "DataFrame",
    prices: "DataFrame",
    place: PriceScope,
    calls: CallFrames | None = None,
) -> CostPart:
    """Cost of serving by hour, summed over all versions.

    Parameters
    ----------
    served : DataFrame
        Answer to `energy.served_question`.
    use : DataFrame
        Answer to `energy.consumption_question` with sums of `token_prices.cost_columns`.
    resources : DataFrame
        Resource records of the window.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select the prices.
    calls : CallFrames | None
        Which tokens have no cost beside them, and the currencies of logged costs. One is that of all of them, several are not added. None
        if neither is known.

    Returns
    -------
    CostPart
    """
    if (of_calls := call_spending(served, use, prices, place, calls)).method is not None:
        return of_calls
    for part in (_accelerator_cost(resources, prices, place), _core_cost(use, prices, place)):
        if part is not None:
            return part
    if (prices["resource"].to_numpy(object) == "kwh").any():
        energy = serving_energy(served, use, resources, prices, place)
        drew = energy.hours
        amount, currency = prices_at(prices, "amount", drew["period"], place, resource="kwh")
        if drew["period"].size and not np.isnan(amount).all() and energy.covered > 0:
            scale = 1.0 / energy.covered
            rows = _spending_rows(drew["period"], amount * drew["wh"] / 1000.0 * scale, currency, drew["served"] * scale)
            return CostPart("serving", rows, "kwh", energy.source)
    return of_calls


def call_spending(
    served: "DataFrame",
    use: "DataFrame",
    prices: "DataFrame",
    place: PriceScope,
    calls: CallFrames | None = None,
    *,
    added: bool = False,
) -> CostPart:
    """Cost of serving by hour from what each call costs. These are the first steps of `serving_cost`; hours of machines and energy are not
    used.

    Parameters
    ----------
    served : DataFrame
        As in `serving_cost`.
    use : DataFrame
        As in `serving_cost`.
    prices : DataFrame
        As in `serving_cost`.
    place : PriceScope
        As in `serving_cost`.
    calls : CallFrames | None
        As in `serving_cost`.
    added : bool
        Add costs in several currencies, for a caller that says that they are no amount in one.

    Returns
    -------
    CostPart
        Without a method and rows where neither logged costs nor prices of tokens or requests give it.
    """
    import pandas as pd

    own = logged_by_hour(use, "cost", None)
    stated = logged_currencies(calls.costs, place.settings) if calls is not None and own["served"].sum() > 0 else ()
    if len(stated) > 1 and not added:
        return CostPart("serving", _no_spending(), SEVERAL, "measured", int(served["n"].sum()))
    if len(stated) == 1 and not added:
        of_tokens = call_currency(place.settings)
        place = replace(place, settings=replace(place.settings, cost_currency=stated[0], token_currency=of_tokens))
    if (of_calls := _call_part(use, prices, place, calls.sample if calls is not None else None)) is not None:
        return of_calls
    predictions = sums_by_period(served["period"], {"w": served["w"]})
    hours = predictions["period"]
    if own["served"].sum() > 0:
        carried, everyone = float(own["served"].sum()), float(predictions["w"].sum())
        usual = float(own["total"].sum()) / carried
        per = pd.Series(own["total"] / own["served"], own["period"]).reindex(hours).fillna(usual).to_numpy()
        source: Source = "measured" if carried >= everyone * (1 - 1e-9) else "estimated"
        return CostPart(
            "serving",
            _spending_rows(hours, per * predictions["w"], default_currency(prices, place.settings), predictions["w"]),
            "cost",
            source,
        )
    amount, currency = prices_at(prices, "amount", hours, place, resource="request")
    if hours.size and not np.isnan(amount).all():
        return CostPart("serving", _spending_rows(hours, amount * predictions["w"], currency, predictions["w"]), "request", "measured")
    return CostPart("serving", _no_spending(), None, "assumed", int(served["n"].sum()))


def _call_part(use: "DataFrame", prices: "DataFrame", place: PriceScope, calls: "DataFrame | None") -> CostPart | None:
    """The cost of serving from logged costs. For calls without a cost, their tokens are added at the owner's prices; if these are in
    another currency, they are rows of their own. None if no tokens are priced.
    """
    import pandas as pd

    if not states_token_prices(place.settings):
        return None
    totals, counts = dict[Any, dict[str, float]](), dict[Any, dict[str, float]]()
    served, charged = dict[Any, float](), dict[Any, float]()
    for name in ("cost", INPUT, OUTPUT, CACHED):
        hours = logged_by_hour(use, name, None)
        for period, total, weight, n in zip(hours["period"], hours["total"], hours["served"], hours["n"], strict=True):
            totals.setdefault(period, {})[name], counts.setdefault(period, {})[name] = float(total), float(n)
            served[period] = max(served.get(period, 0.0), float(weight))
            if name == "cost":
                charged[period] = float(weight)
    at = sorted(totals)
    uncosted = uncosted_by_hour(calls, at)
    costs = [summed_call_cost(counts[period], totals[period], place.settings, uncosted.get(period)) for period in at]
    if all(each.computed is None for each in costs):
        return None
    logged = [each.logged for each in costs]
    mixed = [each.logged is not None and each.computed is not None for each in costs]
    units, usual = np.array([served[period] for period in at]), default_currency(prices, place.settings)
    currency = [call_currency(place.settings, each is not None) or usual for each in logged]
    if any(mixed) and not is_one_currency(place.settings):
        of_tokens = np.array([each.computed if both else np.nan for each, both in zip(costs, mixed, strict=True)], float)
        beside = np.where(mixed, units - [charged.get(period, 0.0) for period in at], 0.0)
        amounts = [each.logged if both else each.total for each, both in zip(costs, mixed, strict=True)]
        of_calls = _spending_rows(at, np.array(amounts, float), currency, units - beside)
        rows = pd.concat([_spending_rows(at, of_tokens, call_currency(place.settings) or usual, beside), of_calls], ignore_index=True)
    else:
        rows = _spending_rows(at, np.array([each.total for each in costs], float), currency, units)
    method = "calls" if any(each is not None for each in logged) else "tokens"
    return CostPart("serving", rows, method, "estimated" if any(mixed) else "measured")


def _accelerator_cost(resources: "DataFrame", prices: "DataFrame", place: PriceScope) -> CostPart | None:
    """The cost of serving from logged accelerator hours; None if there are no such hours, or no price."""
    if resources.empty:
        return None
    readings = reading_energy(resources)
    readings = readings[(readings["run"] == "") & readings["device"].map(is_accelerator)]
    found = []
    for device, part in readings.groupby("device", sort=True):
        hours = part.groupby(part["at"].dt.floor("h"))["seconds"].sum() / 3600.0
        at = hours.index.to_series()
        amount, currency = prices_at(prices, "amount", at, place, resource="gpu_hour", device=str(device))
        found.append(_spending_rows(at, amount * hours.to_numpy(), currency, np.zeros(len(at))))
    return _joined_part("serving", found, "gpu_hour", "measured")


def _core_cost(use: "DataFrame", prices: "DataFrame", place: PriceScope) -> CostPart | None:
    """The cost of serving from busy core hours, computed from latency; None if there are no such hours, or no price."""
    busy = logged_by_hour(use, "latency_ms", None)
    amount, currency = prices_at(prices, "amount", busy["period"], place, resource="cpu_hour")
    if np.isnan(amount).all():
        return None
    return _joined_part(
        "serving", [_spending_rows(busy["period"], amount * busy["total"] / 3.6e6, currency, busy["served"])], "cpu_hour", "estimated"
    )


def _joined_part(name: str, rows: "list[DataFrame]", method: str, source: Source) -> CostPart | None:
    """A part made of several frames; None if all of them are empty."""
    import pandas as pd

    rows = [frame for frame in rows if len(frame)]
    return CostPart(name, pd.concat(rows, ignore_index=True), method, source) if rows else None


def training_cost_between(
    runs: "DataFrame", readings: "DataFrame", prices: "DataFrame", place: PriceScope, start: datetime | None, end: datetime | None
) -> CostPart:
    """Cost of the runs that ended in a time span whose end is excluded.

    Parameters
    ----------
    runs : DataFrame
        Run records.
    readings : DataFrame
        Resource records of their devices, whenever they came.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select the prices.
    start : datetime | None
        Start (naive UTC); None: no limit.
    end : datetime | None
        End (naive UTC); None: no limit.

    Returns
    -------
    CostPart
    """
    names = runs_ended_between(runs, start, end)
    if not names:
        return CostPart("training", _no_spending(), None, "assumed")
    drew = training_run_energy(runs[runs["run"].isin(names)], readings[readings["run"].isin(names)], prices, place)
    return training_cost(drew, prices, place)[0]


def training_cost(runs: "DataFrame", prices: "DataFrame", place: PriceScope) -> "tuple[CostPart, DataFrame]":
    """The cost of runs, each dated to the day on which it ended, and the cost of each run.

    Parameters
    ----------
    runs : DataFrame
        Table of `run_energy.training_run_energy`.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select the prices.

    Returns
    -------
    tuple[CostPart, DataFrame]
        The part, and `runs` with amount, currency, method and amount_source (that of the energy where the energy is priced, else
        measured; None without an amount).
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
        price, of = prices_at(prices, "amount", ended["ended"], place, resource=resource)
        fill = np.isnan(amount) & ~np.isnan(price) & quantity.notna().to_numpy(bool)
        amount[fill], currency[fill], method[fill] = (price * quantity.to_numpy(float))[fill], of[fill], resource
    sources = [None if way is None else worst_source([each]) if way == "kwh" else "measured" for way, each in zip(method, ended["source"])]
    costed = ended.assign(amount=amount, currency=currency, method=method, amount_source=np.asarray(sources, object))
    held = costed[costed["amount"].notna()]
    methods = sorted(set(held["method"]), key=list(quantities).index)
    source = worst_source(list(held["amount_source"])) if len(held) else "assumed"
    rows = _spending_rows(held["ended"], held["amount"], held["currency"], np.ones(len(held)))
    return CostPart("training", rows, methods[0] if methods else None, source, len(ended) - len(held)), costed


def labelling_cost(annotations: "DataFrame", labels: "DataFrame | None", prices: "DataFrame", place: PriceScope) -> CostPart:
    """Cost of labels given by people.

    Parameters
    ----------
    annotations : DataFrame
        Annotations of any project; those of the model's projects count (settings `projects`, else the one with the model's name).
    labels : DataFrame | None
        Human labels (at), used if there are no annotations; None if they were not queried.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select the prices.

    Returns
    -------
    CostPart
    """
    if annotations.empty and (labels is None or labels.empty):
        return CostPart("labelling", _no_spending(), None, "measured")
    projects = place.settings.projects or (place.model,)
    own = annotations[annotations["project"].isin(projects)]
    at = own["at"] if len(own) or labels is None else labels["at"]
    at = at.reset_index(drop=True)
    amount, currency = prices_at(prices, "amount", at, place, resource="label")
    rows = _spending_rows(at, amount, currency, np.ones(len(at)))
    return CostPart("labelling", rows, "label" if len(rows) else None, "measured", len(at) - len(rows))


def dataset_spellings(dataset: str, version: str) -> tuple[str, ...]:
    """Names by which a training run may refer to a version of a dataset: the dataset alone, or followed by a space, `@` or `:` and the
    version.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    version : str
        Version.

    Returns
    -------
    tuple[str, ...]
    """
    return dataset, *(f"{dataset}{mark}{version}" for mark in " @:")


def storage_cost(
    datasets: "DataFrame", runs: "DataFrame", prices: "DataFrame", place: PriceScope, start: datetime, end: datetime
) -> CostPart:
    """Cost of storing the data of the model's runs, by day.

    A version counts as stored from its `at` on, because no record states when it is deleted; the quantity is therefore an estimate. It
    belongs to the model if one of the model's runs names the dataset (`dataset_spellings`).

    Parameters
    ----------
    datasets : DataFrame
        Every logged version.
    runs : DataFrame
        Run records.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select the prices.
    start : datetime
        Start of a half-open span (naive UTC).
    end : datetime
        End of the span (naive UTC).

    Returns
    -------
    CostPart
    """
    import pandas as pd

    used = {str(each) for each in runs["dataset"].dropna()}
    names = [dataset_spellings(name, version) for name, version in zip(datasets["dataset"], datasets["version"])]
    own = np.array([not used.isdisjoint(each) for each in names], bool) & datasets["bytes"].notna().to_numpy(bool)
    if not own.any():
        return CostPart("storage", _no_spending(), None, "estimated")
    held = datasets[own]
    days = pd.date_range(pd.Timestamp(start).floor("D"), end, freq="D", inclusive="left")
    first = days.to_numpy("datetime64[us]")[:, None]
    begins = np.maximum(np.maximum(first, np.datetime64(start, "us")), held["at"].to_numpy("datetime64[us]"))
    ends = np.minimum(first + np.timedelta64(1, "D"), np.datetime64(end, "us"))
    kept = np.maximum((ends - begins) / np.timedelta64(1, "D"), 0.0)
    months = kept @ held["bytes"].to_numpy(float) / GIGABYTE / DAYS_A_MONTH
    amount, currency = prices_at(prices, "amount", days.to_series(), place, resource="gb_month")
    rows = _spending_rows(days, np.where(months > 0, amount * months, np.nan), currency, months)
    return CostPart("storage", rows, "gb_month" if len(rows) else None, "estimated", 0 if len(rows) else len(held))
