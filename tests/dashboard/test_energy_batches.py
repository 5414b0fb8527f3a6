"""The part of the page Energy about batch size: its sentence, chart and table use the same measurement."""

from observability.dashboard.charts.energy import batch_energy_lines
from observability.dashboard.operations.energy_batches import batch_frame, batch_sentence
from observability.metrics.serving_power import BatchEnergy


def size(batch: int, cost: float, form: str = "as served", error: float = 0.1) -> BatchEnergy:
    cpu = (cost, cost * (1 - error), cost * (1 + error))
    return BatchEnergy(form, "fp64", batch, 1000, 6, cpu, (4 * cpu[0], 2 * cpu[1], 10 * cpu[2]), "assumed")


def test_the_sentence_compares_single_predictions_with_the_cheapest_batch_of_the_served_form() -> None:
    batches = [size(1, 0.08), size(100, 0.01), size(1000, 0.02), size(1000, 0.001, "network int8")]
    assert batch_sentence(batches) == "In batches of 100 a thousand predictions take 0.04 J, one at a time 8 times as much."
    assert "no significantly different amount" in batch_sentence([size(1, 0.011, error=0.3), size(100, 0.01, error=0.3)])
    assert batch_sentence([size(1, 0.01), size(100, 0.02)]) == "Batches save nothing: a thousand predictions take 0.04 J one at a time."


def test_the_figure_has_a_line_for_each_form_with_both_errors_and_the_table_the_same_rows() -> None:
    batches = [size(1, 0.08), size(100, 0.01), size(1, 0.02, "network int8")]
    twin = batch_frame(batches)
    figure = batch_energy_lines(twin)
    assert [trace.name for trace in figure.data] == ["as served", "network int8"]
    first = figure.data[0]
    assert list(first.y) == [0.32, 0.04] and first.line.dash == "dash", "assumed joules are drawn dashed"
    assert first.error_y.array[0] == twin["high"][0] - twin["value"][0] and len(twin) == 3
