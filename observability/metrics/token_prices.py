"""Cost of calls of a language model: the logged cost, and for calls without one their tokens at the prices that the owner states.

A cost that a record carries is never replaced. Where only some calls of a group carry one, sums do not say whose tokens they hold: calls
that are read one by one tell which part of the tokens is of calls without a cost. Without them the others are taken to have their share.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model
from observability.core.questions import CURRENCY, Aggregate, By, Sample
from observability.core.settings import ModelSettings

if TYPE_CHECKING:
    from pandas import DataFrame

INPUT, OUTPUT, CACHED = "feature.input_tokens", "feature.output_tokens", "feature.cached_input_tokens"
MILLION = 1e6
MAX_CALLS = 20_000
"""Calls that are read one by one (`call_sample`)."""


@dataclass(frozen=True)
class CallCost:
    """Cost of some calls. logged: sum of the costs that they carry; computed: cost of the tokens of the others; None without any, or if
    some carry a cost in another currency than that of the prices, since both are added. uncounted: number of calls without a cost that are
    left out for this reason.
    """

    logged: float | None = None
    computed: float | None = None
    uncounted: int = 0

    @property
    def total(self) -> float | None:
        """Both together; None if neither is known."""
        known = [each for each in (self.logged, self.computed) if each is not None]
        return sum(known) if known else None

    @property
    def source(self) -> str | None:
        """The origin of the cost: `logged`, `stated prices` or `partly stated prices`; None if it is unknown."""
        if self.computed is None:
            return None if self.logged is None else "logged"
        return "stated prices" if self.logged is None else "partly stated prices"


def states_token_prices(settings: ModelSettings) -> bool:
    """Whether the owner states a price of tokens."""
    return settings.input_price_per_million is not None or settings.output_price_per_million is not None


def call_currency(settings: ModelSettings, logged: bool = False) -> str | None:
    """The currency of the cost of a model's calls by its settings, or of its logged costs; None if the settings state no currency."""
    of_tokens = None if logged and settings.cost_currency else settings.token_currency
    return of_tokens or settings.cost_currency or settings.budget_currency


def _is_one_currency(settings: ModelSettings) -> bool:
    return None in (settings.token_currency, settings.cost_currency) or settings.token_currency == settings.cost_currency


def cost_columns(model: Model) -> tuple[str, ...]:
    """The references whose sums `call_cost` needs: the cost, and the tokens that the model logs."""
    return ("cost", *(name for name in (INPUT, OUTPUT, CACHED) if model.column(name) is not None))


def token_cost(settings: ModelSettings, tokens: Mapping[str, float]) -> float | None:
    """Cost of tokens (by column reference) at the stated prices, in `token_currency`; None without a price.

    Cached tokens are part of the input tokens, as OpenTelemetry counts them, and cost their own price where one is stated.
    """
    if not states_token_prices(settings):
        return None
    price, cached_price = settings.input_price_per_million or 0.0, settings.cached_input_price_per_million
    cached = min(tokens.get(CACHED, 0.0), tokens.get(INPUT, 0.0)) if cached_price is not None else 0.0
    fresh = tokens.get(INPUT, 0.0) - cached
    output = tokens.get(OUTPUT, 0.0) * (settings.output_price_per_million or 0.0)
    return (fresh * price + cached * (cached_price or 0.0) + output) / MILLION


def call_cost(sums: "DataFrame", settings: ModelSettings, uncosted: Mapping[str, float] | None = None) -> CallCost:
    """The cost of a group of calls. sums: answer to an Aggregate with sums of `cost_columns`, of this group only. uncosted: as in
    `summed_call_cost`.
    """
    by_measure = sums.groupby("measure")[["n", "total"]].sum()
    return summed_call_cost(by_measure["n"].to_dict(), by_measure["total"].to_dict(), settings, uncosted)


def summed_call_cost(
    n: Mapping[Any, float], total: Mapping[Any, float], settings: ModelSettings, uncosted: Mapping[str, float] | None = None
) -> CallCost:
    """The cost of a group of calls. n, total: for each of `cost_columns` the number of calls that carry it, and its sum. uncosted: part of
    the tokens of calls without a cost (`uncosted_tokens`); None if single calls are not known.
    """
    with_cost, with_tokens = int(n.get("cost", 0)), max((int(n.get(name, 0)) for name in (INPUT, OUTPUT)), default=0)
    logged = float(total["cost"]) if with_cost else None
    share = max(1 - with_cost / with_tokens, 0.0) if with_tokens else 0.0
    rest = dict.fromkeys((INPUT, OUTPUT, CACHED), share) | (dict(uncosted) if uncosted and logged is not None else {})
    if not with_tokens or not any(rest.values()):
        return CallCost(logged)
    if logged is not None and states_token_prices(settings) and not _is_one_currency(settings):
        return CallCost(logged, uncounted=max(round(max(rest.values()) * with_tokens), 1))
    return CallCost(logged, token_cost(settings, {name: rest.get(name, 0.0) * float(total.get(name, 0.0)) for name in rest}))


@dataclass(frozen=True)
class DailyCallCosts:
    """Cost of a model's production calls. by_day: by day (a number since 1970) on which it is known. currencies: those that the calls
    state, else that of the settings or prices; empty without one. With several, the amounts are no sum in one currency.
    """

    by_day: Mapping[int, float]
    currencies: tuple[str, ...] = ()


def call_sample(model: Model) -> Sample:
    """The question for single calls with what they carry: `id`, `at` and `cost_columns`."""
    return Sample("predictions", ("id", "at", *cost_columns(model)), MAX_CALLS)


@dataclass(frozen=True)
class CallFrames:
    """What is known of a model's calls. costs: answer to `currency_question`, of all calls. sample: answer to `call_sample`, some calls;
    None for a model that logs no tokens.
    """

    costs: "DataFrame"
    sample: "DataFrame | None" = None


def currency_question(*keys: By) -> Aggregate:
    """The question for the logged costs of all calls by the currency that they state. keys: what to group by before it."""
    return Aggregate("predictions", keys=(*keys, By(CURRENCY)), sums=("cost",))


def logged_currencies(costs: "DataFrame", settings: ModelSettings) -> tuple[str, ...]:
    """The currencies of all calls with a cost, if any of them states one: those that are stated, and that of the settings for calls that
    state none. costs: answer to `currency_question`.
    """
    stated, usual = {str(name) for name in costs[CURRENCY] if isinstance(name, str)}, call_currency(settings, logged=True)
    if stated and usual and len(stated) < costs[CURRENCY].nunique(dropna=False):
        stated.add(usual)
    return tuple(sorted(stated))


def uncosted_tokens(calls: "DataFrame | None") -> dict[str, float] | None:
    """The part of the tokens, by column reference, that calls without a cost hold; a reference is absent where no known call has such
    tokens, and None is returned where no call is known. Numbers of tokens that are not finite are left out. calls: answer to
    `call_sample`; None without one.
    """
    if calls is None or calls.empty:
        return None
    alone, found = calls["cost"].isna(), dict[str, float]()
    for name in (each for each in (INPUT, OUTPUT, CACHED) if each in calls):
        tokens = calls[name].astype(float)
        tokens = tokens.where(np.isfinite(tokens), 0.0)
        if (whole := float(tokens.sum())) > 0:
            found[name] = float(tokens[alone].sum() / whole)
    return found


def uncosted_by_hour(calls: "DataFrame | None", hours: Iterable[Any]) -> dict[Any, dict[str, float]]:
    """`uncosted_tokens` of each hour (naive UTC). Where no known call of an hour has such tokens, the part is that of all known calls;
    empty if no call is known. calls: as in `uncosted_tokens`.
    """
    if calls is None or calls.empty:
        return {}
    known = {hour: uncosted_tokens(own) or {} for hour, own in calls.groupby(calls["at"].dt.floor("h"))}
    overall = uncosted_tokens(calls) or {}
    return {hour: overall | known.get(hour, {}) for hour in hours}


def logs_tokens(model: Model) -> bool:
    """Whether the calls of a model carry numbers of tokens, so that single calls tell which tokens have no cost beside them."""
    return any(model.column(name) is not None for name in (INPUT, OUTPUT))
