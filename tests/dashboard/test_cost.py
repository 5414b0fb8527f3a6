"""The bars and the CSV file of the cost of runs name the source of each amount."""

from types import SimpleNamespace
from unittest import mock

import pytest

from observability.dashboard.operations import cost
from observability.metrics.run_energy import training_run_energy
from tests.support.operations_world import place, prices, resources, runs

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
