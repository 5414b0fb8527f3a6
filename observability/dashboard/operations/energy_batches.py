"""The part of the page Energy about batch size and precision: joules of a thousand predictions, as measured by `energy measure`."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.numerals import format_figure
from observability.core.window import EPOCH, Window
from observability.dashboard import empty_states, frame, load
from observability.dashboard.charts import energy as charts_energy
from observability.dashboard.frame import ModelPage
from observability.dashboard.widgets import plain_caption, plain_paragraph
from observability.metrics.serving_power import ENERGY_AUDITS, BatchEnergy, EnergyAudit, energy_audits
from observability.metrics.trade_offs import SERVED_FORM


def newest_energy_audit(here: ModelPage) -> EnergyAudit | None:
    """Return the newest measurement of the chosen version; if there is none, of any version of the model."""
    rows = load.ask_store(ENERGY_AUDITS, Window(here.model.name, EPOCH, max(here.window.end, load.page_clock())))
    known = energy_audits(rows)
    own = [each for each in known if here.window.version in (None, each.version)]
    return (own or known)[-1] if known else None


def batch_frame(batches: Sequence[BatchEnergy]) -> pd.DataFrame:
    """Return the measurement as a table: form, precision, batch, joules with their ends, processor seconds, rows, source."""
    rows = [
        {
            "form": each.form, "precision": each.precision, "batch": each.batch, "value": each.joules[0], "low": each.joules[1],
            "high": each.joules[2], "cpu_seconds": each.cpu_seconds[0], "cpu_low": each.cpu_seconds[1], "cpu_high": each.cpu_seconds[2],
            "rows": each.rows, "repeats": each.repeats, "source": each.source,
        }
        for each in batches
    ]  # fmt: skip
    return pd.DataFrame(rows)


def batch_sentence(batches: Sequence[BatchEnergy]) -> str:
    """Return a sentence on the energy that larger batches save in the served form. It compares processor times, which need no assumed
    power.
    """
    served = [each for each in batches if each.form == SERVED_FORM] or [each for each in batches if each.form == batches[0].form]
    one, best = min(served, key=lambda each: each.batch), min(served, key=lambda each: each.cpu_seconds[0])
    if best.batch == one.batch or best.cpu_seconds[0] <= 0:
        return f"Batches save nothing: a thousand predictions take {format_figure(one.joules[0], 3)} J one at a time."
    times, apart = one.cpu_seconds[0] / best.cpu_seconds[0], best.cpu_seconds[2] < one.cpu_seconds[1]
    said = f"In batches of {best.batch:,} a thousand predictions take {format_figure(best.joules[0], 3)} J, one at a time"
    tail = f"{format_figure(times, 2)} times as much" if apart else "no significantly different amount"
    return f"{said} {tail}." if one.batch == 1 else f"{said.replace('one at a time', f'in batches of {one.batch:,}')} {tail}."


def batches_section(here: ModelPage) -> None:
    """Draw joules of a thousand predictions by batch size and form."""
    st.header("Batch size and precision", anchor=False)
    audit = newest_energy_audit(here)
    if audit is None or not audit.batches:
        empty_states.empty_state(
            "Energy by batch size is not measured.",
            f"Run `python -m observability energy measure {formatting.escape_markdown(here.model.name)}` where the model is served.",
        )
        return
    twin, said = batch_frame(audit.batches), batch_sentence(audit.batches)
    plain_paragraph(said)
    frame.chart_with_table(charts_energy.batch_energy_lines(twin), twin, key="energy-batches", alt=said, metrics=("batch_energy",))
    how = f"Version {audit.version}, {formatting.format_day(audit.at)}, on {audit.hardware}."
    plain_caption("Bars: uncertainty of time and power.", details=f"{how} Processor time is measured; joules follow from {audit.power}.")
