"""Cost of calls of a language model: the logged cost, and for calls without one their tokens at the prices that the owner states.

A cost that a record carries is never replaced. Where only some calls of a group carry one, the others are taken to have their
share of the tokens, since sums do not say whose tokens they are.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.settings import ModelSettings

if TYPE_CHECKING:
    from pandas import DataFrame

INPUT, OUTPUT, CACHED = "feature.input_tokens", "feature.output_tokens", "feature.cached_input_tokens"
MILLION = 1e6


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
        """Both together; None where neither is known."""
        known = [each for each in (self.logged, self.computed) if each is not None]
        return sum(known) if known else None

    @property
    def source(self) -> str | None:
        """Where the cost is from: `logged`, `stated prices` or `partly stated prices`; None where it is unknown."""
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


def call_cost(sums: "DataFrame", settings: ModelSettings) -> CallCost:
    """The cost of a group of calls. sums: answer to an Aggregate with sums of `cost_columns`, of this group only."""
    by_measure = sums.groupby("measure")[["n", "total"]].sum()
    return summed_call_cost(by_measure["n"].to_dict(), by_measure["total"].to_dict(), settings)


def summed_call_cost(n: Mapping[Any, float], total: Mapping[Any, float], settings: ModelSettings) -> CallCost:
    """The cost of a group of calls. n, total: for each of `cost_columns` the number of calls that carry it, and its sum."""
    with_cost, with_tokens = int(n.get("cost", 0)), max((int(n.get(name, 0)) for name in (INPUT, OUTPUT)), default=0)
    logged = float(total["cost"]) if with_cost else None
    if with_tokens <= with_cost:
        return CallCost(logged)
    if logged is not None and states_token_prices(settings) and not _is_one_currency(settings):
        return CallCost(logged, uncounted=with_tokens - with_cost)
    rest = 1 - with_cost / with_tokens
    return CallCost(logged, token_cost(settings, {str(name): rest * float(amount) for name, amount in total.items()}))


@dataclass(frozen=True)
class DailyCallCosts:
    """Cost of a model's production calls. by_day: by day (a number since 1970) on which it is known. currencies: those that the calls
    state, else that of the settings or prices; empty without one. With several, the amounts are no sum in one currency.
    """

    by_day: Mapping[int, float]
    currencies: tuple[str, ...] = ()


def stated_currencies(extras: Iterable[Any]) -> tuple[str, ...]:
    """The currencies that some calls state. extras: their further fields as JSON text, None without any."""
    named = (json.loads(extra).get("currency") for extra in extras if isinstance(extra, str) and '"currency"' in extra)
    return tuple(sorted({currency for currency in named if isinstance(currency, str)}))
