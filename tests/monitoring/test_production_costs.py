"""The cost of production calls that findings about records use: computed from the counts in the store, up to the end of the window."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from unittest.mock import patch

import pytest

from observability.compare.service_figures import consumption_differences
from observability.core.questions import Sample
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.metrics.token_prices import DailyCallCosts, currency_question
from observability.monitoring.check import check, model_findings, production_costs
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store

START = datetime(2026, 3, 1, tzinfo=UTC)


def test_costs_are_summed_by_day_without_probes_and_later_days(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        about = {"kind": "prediction", "model": "chat", "version": "1", "prediction": "stop"}
        lines = [
            {**about, "id": f"c{day}", "at": (START + timedelta(days=day)).isoformat(), "features": {"input_tokens": 1_000_000}}
            for day in range(4)
        ]
        lines += [{**lines[0], "id": "paid", "cost": 0.5}, {**lines[0], "id": "asked", "environment": "probe", "item": "q1", "cost": 9.0}]
        path = tmp_path / "calls.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        store.load_files([path], LoadDefaults())
        window = Window("", START, START + timedelta(days=3))
        first = (START.replace(tzinfo=None) - datetime(1970, 1, 1)).days
        of_mean = {first + day: amount for day, amount in enumerate((1.0, 0.5, 0.5))}
        assert production_costs(store, window, "chat", 10).by_day == pytest.approx(of_mean), (
            "the mean of the known costs, as on the page Cost"
        )
        assert production_costs(store, window, "none", 10) == DailyCallCosts({})
        store.update_settings("chat", ModelSettings(input_price_per_million=2.0, token_currency="EUR"))
        found = production_costs(store, window, "chat", 10)
        assert found.by_day == pytest.approx({first: 0.5 + 2.0, first + 1: 2.0, first + 2: 2.0}) and found.currencies == ("EUR",)
        assert set(production_costs(store, window, "chat", 2).by_day) == {first + 1, first + 2}


@pytest.mark.parametrize("price", [None, 2.0])
def test_the_cost_of_calls_agrees_with_the_cost_page_and_with_a_comparison(tmp_path: Path, price: float | None) -> None:
    """Some calls have a cost in another currency than the settings. This cost counts, and is not added to the cost of tokens in the
    settings' currency.
    """
    about = {"kind": "prediction", "model": "chat", "version": "1", "prediction": "stop", "features": {"input_tokens": 500_000}}
    lines = [{**about, "id": f"c{hour}", "at": (START + timedelta(hours=hour)).isoformat()} for hour in range(96)]
    lines = [{**line, "cost": 0.25, "currency": "USD"} if place % 3 == 0 else line for place, line in enumerate(lines)]
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with new_store(tmp_path / "home") as store:
        store.load_files([path], LoadDefaults())
        store.update_settings("chat", ModelSettings(input_price_per_million=price, cost_currency="EUR", budget_per_month=9.0))
        end = START + timedelta(days=4)
        found = production_costs(store, Window("", START, end), "chat", 4)
        amount = 0.25 if price is None else 1.0
        assert sum(found.by_day.values()) == pytest.approx(32 * 0.25 + 64 * amount)
        assert found.currencies == (("USD",) if price is None else ("EUR", "USD"))
        model = store.catalog().model("chat")
        judged = model_findings(store, model, Window("chat", START, end), end, only=("operations/cost",))
        (each,) = [each for each in judged if each.metric == "cost_per_thousand"]
        amounts = {each.evidence["currency"]: each.evidence["parts"]["serving"], **each.evidence["currencies"]}
        expected = {"USD": 96 * 0.25} if price is None else {"USD": 32 * 0.25, "EUR": 64 * amount}
        assert amounts == pytest.approx(expected)
        halves = Window("chat", START + timedelta(days=2), end), Window("chat", START, START + timedelta(days=2))
        compared = consumption_differences(store.ask, model, *halves)
        (thousand,) = [each for each in compared if each.metric == "cost_per_thousand"]
        assert thousand.a.value in [pytest.approx(1000 * each / 96) for each in expected.values()], "both halves have the same cost"


def test_the_cost_of_calls_is_in_the_currency_that_they_state_and_several_are_never_added(tmp_path: Path) -> None:
    """Calls of each hour have either a cost or tokens, never both."""
    lines = []
    for number in range(24 * 3 * 4):
        at = (START + timedelta(minutes=15 * number)).isoformat()
        call = {
            "kind": "prediction",
            "id": f"c{number}",
            "at": at,
            "received_at": at,
            "version": "1",
            "prediction": "stop",
            "latency_ms": 9.0,
        }
        own = {"cost": 0.5, "currency": "GBP"} if number % 2 else {}
        features = {"operation": "chat"} | ({} if number % 2 else {"input_tokens": 1000, "output_tokens": 100})
        for model, currency in (("one", "GBP"), ("two", "GBP" if number % 4 == 1 else "USD")):
            lines.append(json.dumps(call | own | {"model": model, "features": features} | ({"currency": currency} if own else {})))
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with new_store(tmp_path / "home") as store:
        assert store.load_files([path], LoadDefaults()).rejected == 0
        priced = ModelSettings(input_price_per_million=10.0, token_currency="GBP", budget_per_month=1.0, budget_currency="GBP")
        for model in ("one", "two"):
            store.update_settings(model, priced)
        end = START + timedelta(days=3)
        report = check(store, start=START, end=end)
        found = {(each.model, each.metric): each for each in report.findings if each.analyzer == "operations/cost"}
        one, two = found["one", "cost_per_thousand"], found["two", "cost_per_thousand"]
        assert one.value == pytest.approx(1000 * (0.5 + 1000 * 10 / 1e6) / 2) and one.evidence["currency"] == "GBP"
        assert two.severity == "unknown" and two.value is None and "several currencies, which are not added" in two.because
        assert found["two", "month_cost"].severity == "unknown", "without the cost of serving, the month's total is unknown"


@pytest.mark.parametrize(("features", "samples"), [({"input_tokens": 5}, 1), ({"town": "x"}, 0)])
def test_single_calls_are_read_only_of_a_model_that_logs_tokens(tmp_path: Path, features: dict, samples: int) -> None:
    about = {"kind": "prediction", "model": "chat", "version": "1", "prediction": "stop", "features": features, "cost": 0.25}
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(json.dumps({**about, "id": f"c{day}", "at": (START + timedelta(days=day)).isoformat()}) for day in range(3)))
    with new_store(tmp_path / "home") as store:
        store.load_files([path], LoadDefaults())
        asked, ask = list[object](), store.ask
        with patch.object(store, "ask", lambda question, window: asked.append(question) or ask(question, window)):
            found = production_costs(store, Window("", START, START + timedelta(days=3)), "chat", 3)
        assert sum(found.by_day.values()) == pytest.approx(0.75) and sum(isinstance(each, Sample) for each in asked) == samples


@pytest.mark.parametrize("features", [{"input_tokens": 5}, {"town": "x"}])
def test_a_second_currency_is_found_however_few_calls_state_it(tmp_path: Path, features: dict) -> None:
    """Regression: none of the 20,000 sampled calls was among the last ones, which state another currency, so amounts in two currencies were
    added. The costs of a model without tokens that is not a vendor's were always added.
    """
    about = {"kind": "prediction", "model": "chat", "version": "1", "prediction": "stop", "features": features, "cost": 0.25}
    lines = [{**about, "id": f"c{place}", "at": (START + timedelta(minutes=place)).isoformat(), "currency": "USD"} for place in range(200)]
    hashes = sorted(range(200), key=lambda place: int.from_bytes(md5(f"c{place}".encode()).digest()[:8], "little"))
    lines[hashes[-1]]["currency"] = "EUR"
    lines[hashes[-2]] |= {"currency": 3, "cost": None}
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with new_store(tmp_path / "home") as store, patch("observability.metrics.token_prices.MAX_CALLS", 100):
        store.load_files([path], LoadDefaults())
        end = START + timedelta(days=1)
        assert production_costs(store, Window("", START, end), "chat", 1).currencies == ("EUR", "USD")
        counted = store.ask(currency_question(), Window("chat", START, end))
        assert dict(zip(counted["currency"], counted["n"], strict=True)) == {"EUR": 1, "USD": 198}
        judged = model_findings(store, store.catalog().model("chat"), Window("chat", START, end), end, only=("operations/cost",))
        assert any("several currencies" in each.because for each in judged)
        halves = Window("chat", START, START + timedelta(hours=2)), Window("chat", START + timedelta(hours=2), end)
        compared = consumption_differences(store.ask, store.catalog().model("chat"), *halves)
        assert [each.a.value for each in compared if each.metric == "cost_per_thousand"] in ([], [None])
