"""What did the devices of a training run draw, in which phase, and how busy, full and hot were they?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.training.runs import Judged
from observability.core import formatting
from observability.core.numerals import with_prefix
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import load
from observability.dashboard.table import Cell, column, row, table
from observability.dashboard.training.runs import Drawn
from observability.detection.run_claims import duration
from observability.metrics.energy import PLACES_IN_A_RUN, RESOURCE_COLUMNS, by_phase, worst

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FIELDS = (*RESOURCE_COLUMNS, *PLACES_IN_A_RUN, "memory_gb", "temperature_c")
COLUMNS = (
    column("device", "Device", strong=True),
    column("n", "Readings", align="right"),
    column("watts", "Power", align="right", help="Mean of the readings, and the highest"),
    column("utilisation", "Busy", align="right", help="Mean share of the time, and the highest"),
    column("memory_gb", "Memory", align="right", help="The most that was in use"),
    column("temperature_c", "Temperature", align="right", help="The highest"),
    column("source", "Readings are", width="7rem"),
)

PHASES = (
    column("phase", "Phase", strong=True),
    column("seconds", "Device time", align="right", help="How long its readings cover, of all devices together"),
    column("energy", "Energy", align="right", help="The phase's share of the energy of the run, the part of the building included"),
    column("share", "Share", align="right"),
    column("steps", "Steps", align="right", help="The first and the last step that its readings name"),
    column("a_step", "A step", align="right", help="Its energy over the steps from the first to the last that its readings name"),
)


def devices(judged: Judged, costs: Mapping[str, Drawn]) -> None:
    """A row for each device that reported during a run, and one for each phase that it names; nothing where none did."""
    always = Window("", EPOCH, load.now())
    found = load.records(Records("resource", FIELDS, ever=True, only=(("run", judged.run.name),)), always)
    if found.empty:
        return
    st.header("Devices", anchor=False)
    names = found[["host", "device"]].fillna("")
    lines = [
        row(cells(str(device), str(host), part)) for (host, device), part in found.groupby([names["host"], names["device"]], sort=True)
    ]
    filled = {key for line in lines for key, cell in line["cells"].items() if cell["t"] != formatting.DASH}
    table("devices", f"Devices of {judged.run.name}", [each for each in COLUMNS if each["key"] in filled], lines, compact=True)
    phases(judged, found, costs)


def phases(judged: Judged, found: "DataFrame", costs: Mapping[str, Drawn]) -> None:
    """What each phase of a run drew, and a step of it; nothing where no reading says its phase or step."""
    if not (found["phase"].notna().any() or found["step"].notna().any()):
        return
    rows, wh = by_phase(found), costs.get(judged.run.name, Drawn()).wh
    total = float(rows["joules"].sum())
    if total <= 0 or wh is None:
        return
    st.header("Energy by phase", anchor=False)
    top = rows.iloc[0]
    said = f"{phase_in_words(top['phase'])} took {formatting.share(top['joules'] / total)} of the {with_prefix(wh, 'Wh')} of this run."
    st.markdown(formatting.plain(said))
    lines = [row(phase_cells(each, total, wh)) for each in rows.to_dict("records")]
    filled = {key for line in lines for key, cell in line["cells"].items() if cell["t"] != formatting.DASH}
    caption = f"Energy of {judged.run.name} by phase"
    table("energy-phases", caption, [each for each in PHASES if each["key"] in filled], lines, compact=True)


def phase_in_words(phase: str) -> str:
    """A phase at the beginning of a sentence."""
    return phase[:1].upper() + phase[1:] if phase else "What names no phase"


def phase_cells(each: dict[Any, Any], total: float, wh: float) -> dict[str, Cell]:
    """One phase: its part of the run's energy, and that of one of its steps."""
    part, steps = each["joules"] / total, each["last"] - each["first"] + 1
    known = steps == steps
    return {
        "phase": {"t": each["phase"] or "not said"},
        "seconds": {"t": duration(each["seconds"]), "sub": formatting.plural(int(each["readings"]), "reading")},
        "energy": {"t": with_prefix(part * wh, "Wh"), "mark": each["source"]},
        "share": {"t": formatting.share(part)},
        "steps": {"t": f"{int(each['first']):,} to {int(each['last']):,}" if known else formatting.DASH},
        "a_step": {"t": with_prefix(part * wh / steps, "Wh") if known else formatting.DASH},
    }


def cells(device: str, host: str, part: "DataFrame") -> dict[str, Cell]:
    """One device."""
    busy = part["utilisation"].dropna()
    return {
        "device": {"t": device, "sub": host or None},
        "n": {"t": f"{len(part):,}"},
        "watts": mean_and_most(part["watts"], "W"),
        "utilisation": {"t": formatting.share(float(busy.mean())), "sub": f"at most {formatting.share(float(busy.max()))}"}
        if len(busy)
        else {"t": formatting.DASH},
        "memory_gb": most(part["memory_gb"], "GB"),
        "temperature_c": most(part["temperature_c"], "°C"),
        "source": {"t": worst(list(part["source"]))},
    }


def mean_and_most(values: "Series[Any]", unit: str) -> Cell:
    """The mean over the highest value."""
    known = values.dropna()
    return (
        {"t": f"{formatting.number(float(known.mean()))} {unit}", "sub": f"at most {formatting.number(float(known.max()))} {unit}"}
        if len(known)
        else {"t": formatting.DASH}
    )


def most(values: "Series[Any]", unit: str) -> Cell:
    """The highest value."""
    known = values.dropna()
    return {"t": f"{formatting.number(float(known.max()))} {unit}"} if len(known) else {"t": formatting.DASH}
