"""What did the devices of a training run draw, how busy, full and hot were they?"""

from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.aggregate import Records
from observability.analyzers.training.runs import Judged
from observability.energy import worst
from observability.views import load, text
from observability.views.table import Cell, column, row, table
from observability.window import EPOCH, Window

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FIELDS = ("device", "host", "watts", "utilisation", "memory_gb", "temperature_c", "source")
COLUMNS = (
    column("device", "Device", strong=True),
    column("n", "Readings", align="right"),
    column("watts", "Power", align="right", help="Mean of the readings, and the highest"),
    column("utilisation", "Busy", align="right", help="Mean share of the time, and the highest"),
    column("memory_gb", "Memory", align="right", help="The most that was in use"),
    column("temperature_c", "Temperature", align="right", help="The highest"),
    column("source", "Readings are", width="7rem"),
)


def devices(judged: Judged) -> None:
    """A row for each device that reported during a run; nothing where none did."""
    always = Window("", EPOCH, load.now())
    found = load.records(Records("resource", FIELDS, ever=True, only=(("run", judged.run.name),)), always)
    if found.empty:
        return
    st.header("Devices", anchor=False)
    names = found[["host", "device"]].fillna("")
    lines = [
        row(cells(str(device), str(host), part)) for (host, device), part in found.groupby([names["host"], names["device"]], sort=True)
    ]
    filled = {key for line in lines for key, cell in line["cells"].items() if cell["t"] != text.DASH}
    table("devices", f"Devices of {judged.run.name}", [each for each in COLUMNS if each["key"] in filled], lines, compact=True)


def cells(device: str, host: str, part: "DataFrame") -> dict[str, Cell]:
    """One device."""
    busy = part["utilisation"].dropna()
    return {
        "device": {"t": device, "sub": host or None},
        "n": {"t": f"{len(part):,}"},
        "watts": mean_and_most(part["watts"], "W"),
        "utilisation": {"t": text.share(float(busy.mean())), "sub": f"at most {text.share(float(busy.max()))}"}
        if len(busy)
        else {"t": text.DASH},
        "memory_gb": most(part["memory_gb"], "GB"),
        "temperature_c": most(part["temperature_c"], "°C"),
        "source": {"t": worst(list(part["source"]))},
    }


def mean_and_most(values: "Series[Any]", unit: str) -> Cell:
    """The mean over the highest value."""
    known = values.dropna()
    return (
        {"t": f"{text.number(float(known.mean()))} {unit}", "sub": f"at most {text.number(float(known.max()))} {unit}"}
        if len(known)
        else {"t": text.DASH}
    )


def most(values: "Series[Any]", unit: str) -> Cell:
    """The highest value."""
    known = values.dropna()
    return {"t": f"{text.number(float(known.max()))} {unit}"} if len(known) else {"t": text.DASH}
