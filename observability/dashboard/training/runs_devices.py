"""The devices of a training run: their power, utilisation, memory and temperature, and the energy by phase."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.training.runs import RunVerdict
from observability.core import formatting
from observability.core.numerals import with_si_prefix
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import load
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns, share_cell
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.training.runs import RunUse
from observability.dashboard.widgets import plain_paragraph
from observability.detection.run_claims import duration_words
from observability.metrics.energy_readings import PLACES_IN_A_RUN, RESOURCE_COLUMNS, energy_by_phase, worst_source

FIELDS = (*RESOURCE_COLUMNS, *PLACES_IN_A_RUN, "memory_gb", "temperature_c")
COLUMNS = columns_on_phone(
    "device utilisation temperature_c",
    column("device", "Device", strong=True),
    column("n", "Readings", align="right"),
    column("watts", "Power", align="right", help="Mean and maximum"),
    column("utilisation", "Utilisation", align="right", help="Mean and maximum"),
    column("memory_gb", "Memory", align="right", help="Maximum"),
    column("temperature_c", "Temperature", align="right", help="Maximum"),
    column("source", "Basis", width="7rem"),
)

PHASES = columns_on_phone(
    "phase seconds share",
    column("phase", "Phase", strong=True),
    column("seconds", "Device time", align="right", help="Time covered by its readings, summed over devices"),
    column("energy", "Energy", align="right", help="The phase's share of the energy of the run, PUE included"),
    column("share", "Share", align="right"),
    column("steps", "Steps", align="right", help="First and last step of its readings"),
    column("a_step", "Per step", align="right", help="Its energy divided by the steps from first to last"),
)


def run_devices_section(judged: RunVerdict, costs: Mapping[str, RunUse]) -> None:
    """Draw the devices of a run, and its phases. Draws nothing without readings."""
    always = Window("", EPOCH, load.page_clock())
    found = load.ask_store(Records("resource", FIELDS, ever=True, only=(("run", judged.run.name),)), always)
    if found.empty:
        return
    st.header("Devices", anchor=False)
    names = found[["host", "device"]].fillna("")
    groups = found.groupby([names["host"], names["device"]], sort=True)
    lines = [table_row(_device_cells(str(device), str(host), part)) for (host, device), part in groups]
    draw_table("devices", f"Devices of {judged.run.name}", filled_columns(COLUMNS, lines), lines, compact=True)
    _phases_table(judged, found, costs)


def _phases_table(judged: RunVerdict, found: pd.DataFrame, costs: Mapping[str, RunUse]) -> None:
    """Draw the energy of each phase of a run, in total and per step. Draws nothing if no reading has a phase or a step."""
    if not (found["phase"].notna().any() or found["step"].notna().any()):
        return
    rows, wh = energy_by_phase(found), costs.get(judged.run.name, RunUse()).wh
    total = float(rows["joules"].sum())
    if total <= 0 or wh is None:
        return
    st.header("Energy by phase", anchor=False)
    top = rows.iloc[0]
    share = formatting.format_share(top["joules"] / total)
    phase = f"{top['phase'][:1].upper()}{top['phase'][1:]}" or "No phase"
    said = f"{phase}: {share} of the {with_si_prefix(wh, 'Wh')} of this run."
    plain_paragraph(said)
    lines = [table_row(_phase_cells(each, total, wh)) for each in rows.to_dict("records")]
    caption = f"Energy of {judged.run.name} by phase"
    draw_table("energy-phases", caption, filled_columns(PHASES, lines), lines, compact=True)


def _phase_cells(each: dict[Any, Any], total: float, wh: float) -> dict[str, Cell]:
    """The table cells of one phase: its time, its share of the run's energy, and its energy per step."""
    part, steps = each["joules"] / total, each["last"] - each["first"] + 1
    known = steps == steps
    return {
        "phase": {"t": each["phase"] or "none"},
        "seconds": {"t": duration_words(each["seconds"]), "sub": formatting.plural(int(each["readings"]), "reading")},
        "energy": {"t": with_si_prefix(part * wh, "Wh"), "mark": each["source"]},
        "share": {"t": formatting.format_share(part)},
        "steps": {"t": f"{int(each['first']):,} to {int(each['last']):,}" if known else formatting.DASH},
        "a_step": {"t": with_si_prefix(part * wh / steps, "Wh") if known else formatting.DASH},
    }


def _device_cells(device: str, host: str, part: pd.DataFrame) -> dict[str, Cell]:
    """The table cells of one device of a run: readings, power, utilisation, memory and temperature."""
    busy = part["utilisation"].dropna()
    return {
        "device": {"t": device, "sub": host or None},
        "n": {"t": f"{len(part):,}"},
        "watts": _mean_and_max(part["watts"], "W"),
        "utilisation": share_cell(float(busy.mean()), under=f"max {formatting.format_share(float(busy.max()))}")
        if len(busy)
        else dict(UNKNOWN_CELL),
        "memory_gb": _max_cell(part["memory_gb"], "GB"),
        "temperature_c": _max_cell(part["temperature_c"], "°C"),
        "source": {"t": worst_source(list(part["source"]))},
    }


def _mean_and_max(values: "pd.Series[Any]", unit: str) -> Cell:
    """A cell with the mean, and the maximum below it."""
    known = values.dropna()
    if known.empty:
        return dict(UNKNOWN_CELL)
    mean, highest = (formatting.format_number(float(value)) for value in (known.mean(), known.max()))
    return {"t": f"{mean} {unit}", "sub": f"max {highest} {unit}"}


def _max_cell(values: "pd.Series[Any]", unit: str) -> Cell:
    """The cell with the largest known value and its unit; an unknown cell without values."""
    known = values.dropna()
    return {"t": f"{formatting.format_number(float(known.max()))} {unit}"} if len(known) else dict(UNKNOWN_CELL)
