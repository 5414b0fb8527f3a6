"""Cost of calls of a language model: the logged cost, and for calls without one the cost of their tokens at the owner's prices.

A cost that a record states is never replaced. If only some calls of a group state a cost, sums do not show which tokens belong to the calls
without a cost. That share is measured on calls that are read one by one. If there are none, the calls without a cost are assumed to have a
proportional share of the tokens.
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
"""Maximum number of calls that are read one by one (`call_sample`)."""


@dataclass(frozen=True)
class CallCost:
    """Cost of some calls. logged: sum of the costs that calls state; computed: cost of the tokens of all other calls, None if there are no
    such calls. The two may be in different currencies (`is_one_currency`).
    """

    logged: float | None = None
    computed: float | None = None

    @property
    def total(self) -> float | None:
        """The sum of the logged and the computed cost, which are in one currency; None if neither is known."""
        known = [each for each in (self.logged, self.computed) if each is not None]
        return sum(known) if known else None

    @property
    def source(self) -> str | None:
        """The origin of the cost: `logged`, `stated prices` or `partly stated prices`; None if it is unknown."""
        if self.computed is None:
            return None if self.logged is None else "logged"
        return "stated prices" if self.logged is None else "partly stated prices"


def states_token_prices(settings: ModelSettings) -> bool:
    """Whether the owner has set a price for tokens."""
    return settings.input_price_per_million is not None or settings.output_price_per_million is not None


def call_currency(settings: ModelSettings, logged: bool = False) -> str | None:
    """The currency in which the settings give the cost of a model's calls, or of its logged costs (`logged`); None if the settings name no
    currency.
    """
    of_tokens = None if logged and settings.cost_currency else settings.token_currency
    return of_tokens or settings.cost_currency or settings.budget_currency


def is_one_currency(settings: ModelSettings) -> bool:
    """Whether the logged costs of a model and the prices of its tokens are in one currency, as far as the settings name both."""
    return None in (settings.token_currency, settings.cost_currency) or settings.token_currency == settings.cost_currency


def cost_columns(model: Model) -> tuple[str, ...]:
    """The references of the columns whose sums `call_cost` needs: the cost, and the tokens that the model logs."""
    return ("cost", *(name for name in (INPUT, OUTPUT, CACHED) if model.column(name) is not None))


def token_cost(settings: ModelSettings, tokens: Mapping[str, float]) -> float | None:
    """Cost of tokens (by column reference) at the owner's prices, in `token_currency`; None if there is no price.

    Cached tokens are part of the input tokens, as in OpenTelemetry. They have their own price if the owner has set one.
    """
    if not states_token_prices(settings):
        return None
    price, cached_price = settings.input_price_per_million or 0.0, settings.cached_input_price_per_million
    cached = min(tokens.get(CACHED, 0.0), tokens.get(INPUT, 0.0)) if cached_price is not None else 0.0
    fresh = tokens.get(INPUT, 0.0) - cached
    output = tokens.get(OUTPUT, 0.0) * (settings.output_price_per_million or 0.0)
    return (fresh * price + cached * (cached_price or 0.0) + output) / MILLION


def call_cost(sums: "DataFrame", settings: ModelSettings, uncosted: Mapping[str, float] | None = None) -> CallCost:
    """The cost of a group of calls. sums: result of an Aggregate with sums of `cost_columns`, for this group only. uncosted: as in
    `summed_call_cost`.
    """
    by_measure = sums.groupby("measure")[["n", "total"]].sum()
    return summed_call_cost(by_measure["n"].to_dict(), by_measure["total"].to_dict(), settings, uncosted)


def summed_call_cost(
    n: Mapping[Any, float], total: Mapping[Any, float], settings: ModelSettings, uncosted: Mapping[str, float] | None = None
) -> CallCost:
    """The cost of a group of calls. n, total: for each of `cost_columns`, the number of calls that state it, and its sum. uncosted: the
    share of the tokens that belongs to calls without a cost (`uncosted_tokens`); None if no single calls were read.
    """
    with_cost, with_tokens = int(n.get("cost", 0)), max((int(n.get(name, 0)) for name in (INPUT, OUTPUT)), default=0)
    logged = float(total["cost"]) if with_cost else None
    share = max(1 - with_cost / with_tokens, 0.0) if with_tokens else 0.0
    rest = dict.fromkeys((INPUT, OUTPUT, CACHED), share) | (dict(uncosted) if uncosted and logged is not None else {})
    if not with_tokens or not any(rest.values()):
        return CallCost(logged)
    return CallCost(logged, token_cost(settings, {name: rest.get(name, 0.0) * float(total.get(name, 0.0)) for name in rest}))


@dataclass(frozen=True)
class DailyCallCosts:
    """Cost of a model's production calls. by_day: cost by day (a number since 1970), for days on which it is known. currencies: the
    currencies that the calls state, else that of the settings or prices; empty if none is known. If there are several, the amounts are not
    a sum in one currency.
    """

    by_day: Mapping[int, float]
    currencies: tuple[str, ...] = ()


def call_sample(model: Model) -> Sample:
    """The query for single calls with the columns needed for their cost: `id`, `at` and `cost_columns`."""
    return Sample("predictions", ("id", "at", *cost_columns(model)), MAX_CALLS)


@dataclass(frozen=True)
class CallFrames:
    """What is known about a model's calls. costs: result of `currency_question`, for all calls. sample: result of `call_sample`, for some
    calls; None for a model that logs no tokens.
    """

    costs: "DataFrame"
    sample: "DataFrame | None" = None


def currency_question(*keys: By) -> Aggregate:
    """The query for the logged costs of all calls, by the currency that they state. keys: further keys by which to group first."""
    return Aggregate("predictions", keys=(*keys, By(CURRENCY)), sums=("cost",))


def logged_currencies(costs: "DataFrame", settings: ModelSettings) -> tuple[str, ...]:
    """The currencies of all calls with a cost, if any of these calls states one: the stated currencies, and for calls that state none the
    currency of the settings. costs: result of `currency_question`.
    """
    stated, usual = {str(name) for name in costs[CURRENCY] if isinstance(name, str)}, call_currency(settings, logged=True)
    if stated and usual and len(stated) < costs[CURRENCY].nunique(dropna=False):
        stated.add(usual)
    return tuple(sorted(stated))


def uncosted_tokens(calls: "DataFrame | None") -> dict[str, float] | None:
    """By column reference, the share of the tokens that belongs to calls without a cost. A reference is left out if no known call has such
    tokens; None if no call is known. Token counts that are not finite are ignored. calls: result of `call_sample`; None if there is none.
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
    """`uncosted_tokens` of each hour (naive UTC). If no known call of an hour has such tokens, the share over all known calls is used;
    empty if no call is known. calls: as in `uncosted_tokens`.
    """
    if calls is None or calls.empty:
        return {}
    known = {hour: uncosted_tokens(own) or {} for hour, own in calls.groupby(calls["at"].dt.floor("h"))}
    overall = uncosted_tokens(calls) or {}
    return {hour: overall | known.get(hour, {}) for hour in hours}


def logs_tokens(model: Model) -> bool:
    """Whether the calls of a model state numbers of tokens. Single calls then show which tokens have no cost."""
    return any(model.column(name) is not None for name in (INPUT, OUTPUT))
