"""The bars and the CSV file of the cost of runs name the source of each amount."""

from datetime import UTC, timedelta
from types import SimpleNamespace
from unittest import mock

import pandas as pd
import pytest

from observability.core.window import Window
from observability.dashboard.operations import cost
from observability.metrics.cost import CostPart
from observability.metrics.run_energy import training_run_energy
from tests.support.operations_world import START, place, prices, resources, runs

CPU, KWH = {"resource": "cpu_hour", "amount": 0.5}, {"resource": "kwh", "amount": 0.2, "pue": 1.5}


@pytest.mark.parametrize(("price", "source"), [(KWH, "assumed"), (CPU, "measured")])
def test_a_run_priced_by_assumed_watts_is_not_called_measured(price: dict, source: str) -> None:
    rows = runs({"run": "r", "event": "start", "at": 0, "hardware": {"cores": 8}}, {"run": "r", "event": "end", "at": 7200})
    drew = training_run_energy(rows, resources(), prices(price), place())
    here = SimpleNamespace(window=SimpleNamespace(end=1))
    with (
        mock.patch.object(cost, "energy_of_training_runs", return_value=SimpleNamespace(rows=drew, outside=False)),
        mock.patch.object(cost, "window_without_slice"), mock.patch.object(cost, "replace"), mock.patch.object(cost, "price_place", return_value=place()),
        mock.patch.object(cost.load, "page_clock", return_value=0), mock.patch.object(cost.load, "ask_store", return_value=prices(price)),
        mock.patch.object(cost.frame, "chart_with_table") as chart,
    ):  # fmt: skip
        cost.training_run_costs(*cost.priced_training_runs(here))
    figure, twin = chart.call_args.args
    assert [trace.name for trace in figure.data] == [source] and f"({source})" in figure.data[0].customdata[0]
    assert list(twin["source"]) == [source] and list(twin["method"]) == [price["resource"]]


def test_the_csv_of_the_parts_has_the_units_of_each_currency() -> None:
    """Regression: each currency had the units of all currencies, so their sum counted predictions twice."""
    rows = pd.DataFrame({"at": START, "amount": [3.0, 1.0, 1.25], "currency": ["EUR", "USD", "USD"], "units": [60.0, 40.0, 50.0]})
    start = START.replace(tzinfo=UTC)
    part = CostPart("serving", rows, "calls", "estimated")
    spent = cost.CostBreakdown([part], [""], ["EUR", "USD"], Window("m", start, start + timedelta(days=1)))
    with mock.patch.object(cost, "draw_table") as table, mock.patch.object(cost, "csv_button") as button:
        cost.cost_parts_table(spent)
    twin = button.call_args.args[1]()
    assert twin[["amount", "currency", "units"]].to_numpy().tolist() == [[3.0, "EUR", 60.0], [2.25, "USD", 90.0]]
    assert table.call_args.args[3][0]["cells"]["units"]["t"] == "150 predictions"
