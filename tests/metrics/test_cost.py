"""Each part is priced once, with the first known price, in its own currency; the cost of errors agrees with a hand calculation."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.core.formatting import format_day
from observability.core.settings import ModelSettings
from observability.metrics.cost import DATASETS, labelling_cost, price_note, serving_cost, storage_cost, training_cost
from observability.metrics.cost_periods import cost_total, daily_cost, month_bounds, spent_currencies
from observability.metrics.error_cost import error_cost
from observability.metrics.prices import default_currency
from observability.metrics.run_energy import training_run_energy
from observability.metrics.token_prices import CallFrames
from tests.support.operations_world import START, place, prices, records, resources, runs, served, use

END = START + timedelta(days=1)
CPU, KWH = {"resource": "cpu_hour", "amount": 0.5}, {"resource": "kwh", "amount": 0.2, "pue": 1.5}
REQUEST, GPU = {"resource": "request", "amount": 0.01, "currency": "USD"}, {"resource": "gpu_hour", "amount": 2.0}
LATENCY = use("latency_ms", [100, 50], [36_000.0, 72_000.0])


def priced_serving(
    *price: dict, usage: pd.DataFrame = LATENCY, readings: pd.DataFrame | None = None, **settings
) -> tuple[str | None, float, str]:
    part = serving_cost(served([100, 50]), usage, resources() if readings is None else readings, prices(*price), place(**settings))
    currency = part.rows["currency"].iloc[0] if len(part.rows) else ""
    return part.method, cost_total(part, currency, START, END), part.source


def test_serving_cost_uses_the_first_known_price_in_order() -> None:
    own = pd.concat([LATENCY, use("cost", [100, 50], [0.1, 0.2])])
    readings = resources({"at": 3600, "device": "gpu0", "watts": 300.0, "seconds": 3600.0})
    assert priced_serving(REQUEST, GPU, CPU, KWH, usage=own) == ("cost", pytest.approx(100 * 0.1 + 50 * 0.2), "measured")
    assert priced_serving(REQUEST, GPU, CPU, KWH) == ("request", pytest.approx(1.5), "measured")
    assert priced_serving(GPU, CPU, KWH, readings=readings) == ("gpu_hour", pytest.approx(2.0), "measured")
    assert priced_serving(GPU, CPU, KWH) == ("cpu_hour", pytest.approx((100 * 36 + 50 * 72) / 3600 * 0.5), "estimated")
    assert priced_serving(KWH) == ("kwh", pytest.approx((100 * 36 + 50 * 72) * 4 / 3.6e6 * 1.5 * 0.2), "assumed")
    assert priced_serving() == (None, 0.0, "assumed")


def test_logged_costs_of_some_predictions_are_extrapolated_to_the_others_by_hour() -> None:
    some = use("cost", [10, 0], [0.1, 0.0]).query("n > 0")
    assert priced_serving(usage=some, cost_currency="CHF") == ("cost", pytest.approx(150 * 0.1), "estimated")
    assert default_currency(prices(CPU), ModelSettings()) == "EUR" and default_currency(prices(CPU, REQUEST), ModelSettings()) == ""


def test_runs_are_priced_by_accelerators_else_cores_else_energy() -> None:
    rows = runs(
        {"run": "gpu", "event": "start", "at": 0, "hardware": {"cores": 8, "gpus": 2}},
        {"run": "gpu", "event": "end", "at": 7200},
        {"run": "cpu", "event": "start", "at": 0, "hardware": {"cores": 4}},
        {"run": "cpu", "event": "end", "at": 1800},
        {"run": "open", "event": "start", "at": 0, "hardware": {"cores": 4}},
    )
    drew = training_run_energy(rows, resources(), prices(KWH), place())
    part, costed = training_cost(drew, prices(GPU, CPU, KWH), place())
    of = costed.set_index("run")
    assert of.loc["gpu", "amount"] == pytest.approx(2 * 2 * 2.0) and of.loc["cpu", "amount"] == pytest.approx(0.5 * 4 * 0.5)
    assert "open" not in of.index and cost_total(part, "EUR", START, END) == pytest.approx(9.0) and part.source == "measured"
    assert set(costed["amount_source"]) == {"measured"}
    by_energy, of_energy = training_cost(drew, prices(KWH), place())
    assert (
        cost_total(by_energy, "EUR", START, END) == pytest.approx((8 * 7200 + 4 * 1800) * 4 / 3.6e6 * 1.5 * 0.2)
        and by_energy.source == "assumed"
    )
    assert set(of_energy["amount_source"]) == {"assumed"}
    nothing, unpriced = training_cost(drew, prices(), place())
    assert nothing.unpriced == 2 and unpriced["amount_source"].isna().all()


def test_storage_is_paid_by_the_day_from_the_day_it_is_there() -> None:
    kept = records(
        DATASETS.columns or (),
        [
            {"dataset": "d", "version": "1", "at": START - timedelta(days=99), "bytes": 1e9},
            {"dataset": "d", "version": "2", "at": START + timedelta(hours=36), "bytes": 4e9},
            {"dataset": "d", "version": "3", "at": START, "bytes": None},
            {"dataset": "other", "version": "1", "at": START, "bytes": 9e9},
        ],
        ("at",),
        ("bytes",),
    )
    run, end = runs({"run": "a", "event": "start", "at": 0, "dataset": "d"}), START + timedelta(days=2, hours=12)
    months, rates = np.array([1, 1 + 4 * 0.5, 0.5 + 4 * 0.5]) / (365.25 / 12), {"resource": "gb_month", "amount": 0.1}
    part = storage_cost(kept, run, prices(rates, rates | {"from": 24, "amount": 0.3}), place(), START, end)
    assert part.rows["amount"].tolist() == pytest.approx((months * [0.1, 0.3, 0.3]).tolist()) and part.source == "estimated"
    assert part.rows["units"].sum() == pytest.approx(months.sum()) and part.method == "gb_month"
    unpriced, unused = (
        storage_cost(kept, run, prices(), place(), START, end),
        storage_cost(kept, runs(), prices(rates), place(), START, end),
    )
    assert unpriced.rows.empty and unpriced.unpriced == 2 and unused.rows.empty and unused.unpriced == 0


def test_annotations_of_the_models_projects_are_paid_at_the_price_of_their_day() -> None:
    rows = [
        {"project": name, "item": str(i), "annotator": "a", "at": START + timedelta(hours=i)}
        for i, name in enumerate(["loan", "loan", "other", "ours"])
    ]
    annotations = records(("project", "item", "annotator", "at"), rows, ("at",), ())
    price = prices({"resource": "label", "amount": 0.4}, {"resource": "label", "amount": 0.6, "from": 1})
    assert cost_total(labelling_cost(annotations, None, price, place()), "EUR", START, END) == pytest.approx(0.4 + 0.6)
    assert cost_total(labelling_cost(annotations, None, price, place(projects=("ours", "other"))), "EUR", START, END) == pytest.approx(1.2)
    labels = pd.DataFrame({"at": pd.Series([START] * 3).astype("datetime64[us]")})
    assert cost_total(labelling_cost(annotations.iloc[:0], labels, price, place()), "EUR", START, END) == pytest.approx(1.2)
    assert cost_total(labelling_cost(annotations, labels, price, place()), "EUR", START, END) == pytest.approx(1.0), "not both"


def test_amounts_in_several_currencies_stay_separate_with_the_budget_currency_first() -> None:
    serving = serving_cost(served([100]), use("cost", [], []), resources(), prices(REQUEST), place())
    drew = training_run_energy(
        runs({"run": "a", "event": "start", "at": 0, "hardware": {"cores": 4}}, {"run": "a", "event": "end", "at": 3600}),
        resources(),
        prices(),
        place(),
    )
    training, _ = training_cost(drew, prices(CPU), place())
    assert spent_currencies([training, serving], ModelSettings()) == ["USD", "EUR"]
    assert spent_currencies([training, serving], ModelSettings(budget_currency="EUR")) == ["EUR", "USD"]
    days = daily_cost([training, serving], "EUR", START, START + timedelta(days=3))
    assert days["training"].tolist() == [2.0, 0, 0] and days["serving"].sum() == 0


def test_a_month_ends_where_the_calendar_says() -> None:
    assert month_bounds(datetime(2026, 3, 9)) == (datetime(2026, 3, 1), datetime(2026, 3, 9), datetime(2026, 4, 1))
    assert month_bounds(datetime(2026, 3, 1)) == (datetime(2026, 2, 1), datetime(2026, 3, 1), datetime(2026, 3, 1))
    assert month_bounds(datetime(2026, 12, 31, 12)) == (datetime(2026, 12, 1), datetime(2026, 12, 31), datetime(2027, 1, 1))


def counts(matrix: list[list[int]]) -> pd.DataFrame:
    rows = [(j, i, n) for i, line in enumerate(matrix) for j, n in enumerate(line)]
    frame = pd.DataFrame(rows, columns=["decision", "label", "n"])
    return frame.assign(w=frame["n"].astype(float), w2=frame["n"].astype(float))


def test_the_cost_of_errors_against_the_majority_decision_equals_a_count_by_hand() -> None:
    model = Model(1, "loan", "binary", ("0", "1"), settings=ModelSettings(cost_false_positive=2.0, cost_false_negative=5.0))
    found = error_cost(model, counts([[600, 100], [60, 240]]))
    assert found.accuracy.value == pytest.approx(0.84) and found.majority == "0"
    assert found.avoided.value == pytest.approx((300 - 160) / 1000)
    assert found.avoided.low < 0.14 < found.avoided.high
    assert found.lost.value == pytest.approx((100 * 2 + 60 * 5) / 1000)
    loss = np.repeat([0.0, 2.0, 5.0], [840, 100, 60])
    assert found.lost.high - found.lost.value == pytest.approx(1.962 * loss.std(ddof=1) / np.sqrt(1000), rel=1e-3)
    assert found.lost_by_constant == pytest.approx(min(300 * 5, 700 * 2) / 1000) and found.constant == "1"
    three = error_cost(Model(1, "m", "multiclass", ("a", "b", "c")), counts([[50, 5, 5], [4, 20, 6], [3, 3, 4]]))
    assert three.avoided.value == pytest.approx((40 - 26) / 100) and three.lost is None and three.majority == "a"
    assert error_cost(Model(1, "m", "regression"), counts([[1, 0], [0, 1]])) is None
    assert error_cost(model, counts([[0, 0], [0, 0]])) is None


def test_a_recorded_price_is_shown_with_its_start_date_and_a_logged_cost_without():
    mine = place()
    listed = prices(
        {"resource": "request", "amount": 0.01, "from": -960},
        {"resource": "request", "amount": 0.02, "from": -96},
        {"resource": "request", "amount": 0.09, "from": -24, "model": "another"},
        {"resource": "request", "amount": 0.03, "from": 216},
    )
    by_request = serving_cost(served([100.0]), use("cost", [], []), resources(), listed, mine)
    assert price_note(by_request, listed, mine, END) == f", recorded price from {format_day(START - timedelta(days=4))}"
    logged = serving_cost(served([100.0]), use("cost", [100.0], [0.05]), resources(), listed, mine)
    assert logged.method == "cost" and price_note(logged, listed, mine, END) == ""


@pytest.mark.parametrize(("stated", "logged_in"), [(None, "EUR"), ("GBP", "GBP")])
def test_tokens_priced_in_another_currency_than_logged_costs_are_rows_of_their_own(stated: str | None, logged_in: str) -> None:
    """Regression: tokens of calls without a cost were left out if their prices were in another currency. In the first hour 60 of 100 calls
    state a cost, in the second none of 50 does.
    """
    usage = pd.concat([use("cost", [60, 0], [0.05, 0.0]).query("n > 0"), use("feature.input_tokens", [100, 50], [1e4, 1e4])])
    costs = pd.DataFrame({"currency": pd.Series([stated], dtype=object), "measure": "cost", "n": [60]})
    settings = {"input_price_per_million": 2.5, "token_currency": "USD", "cost_currency": "EUR"}
    part = serving_cost(served([100, 50]), usage, resources(), prices(), place(**settings), CallFrames(costs))
    found = part.rows.groupby("currency")[["amount", "units"]].sum()
    assert found.loc[logged_in].tolist() == pytest.approx([3.0, 60]) and found.loc["USD"].tolist() == pytest.approx([0.4 * 2.5 + 1.25, 90])
    assert (part.method, part.source, part.unpriced, len(found)) == ("calls", "estimated", 0, 2)
