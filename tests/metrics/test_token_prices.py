"""Cost of calls from stated token prices: a logged cost takes precedence, cached tokens have their own price. Every figure is computed by
hand.
"""

import math
from dataclasses import replace

import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.core.settings import TOKEN_PRICES, ModelSettings, parse_settings
from observability.metrics.token_prices import (
    CACHED,
    INPUT,
    OUTPUT,
    CallCost,
    call_cost,
    call_currency,
    is_one_currency,
    logged_currencies,
    token_cost,
    uncosted_by_hour,
    uncosted_tokens,
)
from observability.server.guarded_store import action_of_settings

PRICED = ModelSettings(input_price_per_million=2.5, output_price_per_million=10.0, token_currency="USD")
CACHE = ModelSettings(input_price_per_million=2.5, output_price_per_million=10.0, cached_input_price_per_million=0.5)


def sums(*rows: tuple[str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["measure", "n", "total"])


def test_tokens_cost_what_the_owner_states() -> None:
    tokens = {INPUT: 1_000_000.0, OUTPUT: 200_000.0, CACHED: 400_000.0}
    assert token_cost(PRICED, tokens) == pytest.approx(2.5 + 2.0), "without a price for cached tokens, the price of input tokens applies"
    assert token_cost(CACHE, tokens) == pytest.approx(0.6 * 2.5 + 0.4 * 0.5 + 2.0)
    assert token_cost(ModelSettings(), tokens) is None


def test_logged_costs_are_used_and_calls_without_a_cost_are_priced_by_tokens() -> None:
    tokens = (INPUT, 10, 1_000_000.0), (OUTPUT, 10, 0.0)
    assert call_cost(sums(("cost", 10, 3.0), *tokens), PRICED) == CallCost(3.0, None)
    assert call_cost(sums(*tokens), PRICED) == CallCost(None, 2.5) and call_cost(sums(*tokens), ModelSettings()) == CallCost()
    part = call_cost(sums(("cost", 4, 1.0), *tokens), PRICED)
    assert part == CallCost(1.0, pytest.approx(0.6 * 2.5)) and part.total == pytest.approx(2.5)
    sources = [call_cost(sums(*rows), PRICED).source for rows in ([("cost", 10, 3.0), *tokens], tokens, [("cost", 4, 1.0), *tokens], [])]
    assert sources == ["logged", "stated prices", "partly stated prices", None]


def test_logged_costs_and_priced_tokens_have_currencies_of_their_own() -> None:
    settings = replace(PRICED, cost_currency="EUR")
    rows = sums(("cost", 50, 5.0), (INPUT, 100, 4_000_000.0), (OUTPUT, 100, 0.0))
    assert not is_one_currency(settings) and is_one_currency(PRICED) and is_one_currency(replace(PRICED, cost_currency="USD"))
    assert call_cost(rows, settings) == CallCost(5.0, pytest.approx(5.0)) and call_currency(settings, logged=True) == "EUR"
    assert call_cost(rows.iloc[1:], settings) == CallCost(None, pytest.approx(10.0)) and call_currency(settings) == "USD"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input_price_per_million", -1),
        ("output_price_per_million", "2"),
        ("token_currency", 3),
        ("token_currency", " "),
        ("kind", "chat"),
        ("vendor", 1),
    ],
)
def test_invalid_price_settings_are_refused_and_valid_ones_are_read(name: str, value: object) -> None:
    with pytest.raises(UsageError):
        parse_settings({"settings": {name: value}})
    kept = parse_settings({"settings": {"input_price_per_million": 2.5, "kind": "api", "vendor": "Acme"}})
    assert (kept.input_price_per_million, kept.kind, kept.vendor) == (2.5, "api", "Acme")


def test_only_people_who_may_change_the_budget_may_change_token_prices() -> None:
    assert action_of_settings(set(TOKEN_PRICES)) == action_of_settings({"budget_per_month"}) == "settings"


def test_tokens_of_calls_without_a_cost_are_priced_call_by_call() -> None:
    """Half of the calls have only a cost, the others only tokens. From sums alone, they cannot be distinguished from calls that have both."""
    rows = sums(("cost", 50, 5.0), (INPUT, 50, 2e6), (OUTPUT, 50, 1e6))
    apart = pd.DataFrame({"cost": [0.1] * 50 + [None] * 50, INPUT: [None] * 50 + [4e4] * 50, OUTPUT: [None] * 50 + [2e4] * 50})
    both = pd.DataFrame({"cost": [0.1] * 50 + [None] * 50, INPUT: [4e4] * 50 + [None] * 50, OUTPUT: [2e4] * 50 + [None] * 50})
    whole = call_cost(rows.iloc[1:], PRICED).computed
    assert call_cost(rows, PRICED, uncosted_tokens(apart)) == CallCost(5.0, whole) and whole
    assert call_cost(rows, PRICED, uncosted_tokens(both)) == CallCost(5.0, None)
    assert uncosted_tokens(apart.iloc[:0]) is None and uncosted_tokens(None) is None


def test_the_currency_stated_by_one_call_does_not_apply_to_amounts_without_a_currency() -> None:
    """Regression: one call in USD among calls without a currency made the whole cost USD, although the owner states EUR."""
    costs = pd.DataFrame({"currency": [None, "USD"], "measure": "cost", "n": [2, 1]})
    assert logged_currencies(costs, ModelSettings(cost_currency="EUR")) == ("EUR", "USD")
    assert logged_currencies(costs, ModelSettings()) == ("USD",), "no other currency is known"
    assert logged_currencies(costs.tail(1), ModelSettings(cost_currency="EUR")) == ("USD",)
    assert logged_currencies(costs.head(1), ModelSettings(cost_currency="EUR")) == ()


def test_numbers_of_tokens_that_are_not_finite_are_left_out() -> None:
    calls = pd.DataFrame({"cost": [None, 1.0, None], INPUT: [100.0, 300.0, math.inf], OUTPUT: [math.nan, math.inf, math.nan]})
    assert uncosted_tokens(calls) == {INPUT: 0.25}


def test_an_hour_whose_known_calls_have_no_tokens_uses_the_share_of_all_hours() -> None:
    """Regression: if all sampled calls of an hour had a cost, the tokens of the other calls in that hour were priced at 0."""
    at = pd.to_datetime(["2026-03-02 01:10", "2026-03-02 01:20", "2026-03-02 02:10"])
    calls = pd.DataFrame({"at": at, "cost": [None, 1.0, 1.0], INPUT: [300.0, 100.0, None]})
    first, second, third = (pd.Timestamp(f"2026-03-02 0{hour}:00") for hour in (1, 2, 3))
    found = uncosted_by_hour(calls, [first, second, third])
    assert found == {first: {INPUT: 0.75}, second: {INPUT: 0.75}, third: {INPUT: 0.75}}
    assert uncosted_by_hour(calls.head(0), [first]) == {}
