"""Charts of energy and cost: unmeasured values are hatched, parts are stacked, and a forecast starts at the last measured day."""

from functools import partial

import pandas as pd
import pytest

from observability.analyzers.operations.cost import amount_words
from observability.core import formatting
from observability.core.numerals import with_si_prefix
from observability.dashboard import theme
from observability.dashboard.charts import energy as charts_energy
from observability.metrics.cost import PARTS

WH = partial(with_si_prefix, unit="Wh")
DAYS = pd.date_range("2026-03-01", periods=4, freq="D")


def test_bars_of_assumed_energy_are_hatched_and_measured_ones_are_not() -> None:
    rows = pd.DataFrame({"period": DAYS, "value": [1.0, 2.0, 3.0, 0.0021]})
    assumed = charts_energy.consumption_bars(rows, name="Wh a thousand", say=WH, source="assumed", baseline=2.0)
    measured = charts_energy.consumption_bars(rows, name="Wh a thousand", say=WH, source="measured")
    assert assumed.data[0].marker.pattern.shape == "x" and not measured.data[0].marker.pattern.shape
    assert list(assumed.data[0].y) == [1, 2, 3, 0.0021] and assumed.data[0].customdata[3] == "2.10 mWh"
    assert [line.name for line in assumed.layout.shapes if line.showlegend] == ["past"] and not measured.layout.shapes
    assert assumed.layout.showlegend and not assumed.layout.annotations, (
        "the line is named in the legend, because a bar would cover a name written next to the line"
    )


def test_run_energy_bars_are_grouped_by_source_with_escaped_names() -> None:
    rows = pd.DataFrame({"run": ["<b>new</b>", "old"], "value": [5.0, 2.0], "source": ["measured", "assumed"]})
    figure = charts_energy.run_energy_bars(rows, name="Wh", say=WH)
    of = {trace.name: trace for trace in figure.data}
    assert list(of["measured"].x) == [5] and list(of["assumed"].x) == [2] and list(of["measured"].y) == [1], "the newest row is at the top"
    assert "<b>" not in "".join(figure.layout.yaxis.ticktext) + of["measured"].customdata[0]


def test_only_cost_parts_above_zero_are_stacked() -> None:
    rows = pd.DataFrame({"period": DAYS[:2], "training": [1.0, 0.0], "labelling": [0.0, 0.0], "serving": [2.0, 3.0], "storage": [0.1, 0.1]})
    figure = charts_energy.cost_stack(rows, currency="EUR", say=partial(amount_words, currency="EUR"))
    assert [trace.name for trace in figure.data] == ["training", "serving", "storage"] and figure.layout.barmode == "stack"
    assert set(charts_energy.COLOURS) == set(PARTS)
    assert figure.data[1].customdata[1] == "serving: EUR 3.00" and figure.data[1].marker.color == theme.PRIMARY


def test_the_fan_begins_where_the_spending_ends_and_the_budget_is_a_line() -> None:
    rows = pd.DataFrame(
        {"period": DAYS, "value": [1.0, 2.0, 3.1, 4.2], "low": [None, None, 2.5, 3.0], "high": [None, None, 3.7, 5.4]}
    ).astype({"low": float, "high": float})
    figure = charts_energy.cost_forecast_fan(rows, currency="EUR", say=partial(amount_words, currency="EUR"), budget=6.0)
    of = {trace.name: trace for trace in figure.data}
    assert list(of["spent"].y) == [1, 2] and list(of["forecast"].y) == [2, 3.1, 4.2] and of["forecast"].line.dash == "dash"
    assert max(of["95 % interval"].y) == 5.4 and figure.layout.shapes[0].y0 == 6
    over = charts_energy.cost_forecast_fan(rows[:2], currency="EUR", say=partial(amount_words, currency="EUR"))
    assert [trace.name for trace in over.data] == ["spent"]


@pytest.mark.parametrize(("value", "unit", "told"), [(0.0000541, "Wh", "54.1 µWh"), (None, "Wh", "–"), (12.0, "gCO₂e", "12.0 gCO₂e")])
def test_findings_tables_write_small_energies_with_a_prefix(value, unit, told) -> None:
    assert formatting.format_value(value, unit) == told


def test_energy_ticks_show_value_and_unit_separately() -> None:
    """Regression: ticks were written as `200µWh`, and as `100µ` for a currency."""
    rows = pd.DataFrame({"period": DAYS, "value": [120e-6, 160e-6, 240e-6, 90e-6]})
    axis = charts_energy.consumption_bars(rows, name="Wh a thousand", say=WH, source="assumed").layout.yaxis
    assert list(axis.ticktext) == ["0 Wh", "50 µWh", "100 µWh", "150 µWh", "200 µWh"] and list(axis.tickvals)[1] == pytest.approx(50e-6)
    runs = pd.DataFrame({"run": ["a", "b"], "value": [0.00043, 0.0001], "source": ["measured", "measured"]})
    money_axis = charts_energy.run_energy_bars(runs, name="USD", say=partial(amount_words, currency="USD")).layout.xaxis
    assert list(money_axis.ticktext) == ["USD 0", "USD 0.0002", "USD 0.0004"]
    assert charts_energy.said_ticks(float("nan"), WH, 4) == {}


def test_ticks_too_small_to_distinguish_in_words_are_plain_numbers() -> None:
    """Regression: each tick on the axis of cheap runs was written as `less than USD 0.0001`, and they overlapped."""
    axis = charts_energy.said_ticks(0.000047, partial(amount_words, currency="USD"), 3)
    assert axis["ticktext"] == ["0.00000", "0.00002", "0.00004"]


@pytest.mark.parametrize(("amount", "title"), [(0.3, None), (1.6e-5, "USD")])
def test_an_axis_names_its_currency_once(amount: float, title: str | None) -> None:
    """Regression: the axis of training costs said USD at its ticks and again as its title. Ticks of tiny amounts are plain numbers."""
    runs = pd.DataFrame({"run": ["a", "b"], "value": [amount, amount / 2], "source": "measured"})
    axis = charts_energy.run_energy_bars(runs, name="USD", say=lambda value: amount_words(value, "USD")).layout.xaxis
    assert axis.title.text == title and any("USD" in text for text in axis.ticktext) == (title is None)
