"""What does the energy page show: energy and carbon for a thousand predictions by day, by version, and of each training run, and how sure that is?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.operations.energy import HOW, PAST_DAYS
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import with_prefix
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import clicks, empty_states, frame, load
from observability.dashboard.charts import energy as charts_energy
from observability.dashboard.frame import Here
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics.energy import RESOURCES, RUNS, Serving, runs_of, served_question, serving, use_question
from observability.metrics.prices import CARBON_G_PER_KWH, PRICES, PUE, Place, factors

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_RUNS = 20
BADGES = {"measured": "green", "estimated": "orange", "assumed": "gray"}
EXAMPLES = (
    (
        "With each prediction, where the service knows it, or at least its `latency_ms`:",
        '{"kind":"prediction", …, "latency_ms":12.5, "energy_j":0.9}',
    ),
    (
        "Readings of the devices that serve the model (`observability.client.power.PowerMeter` writes them):",
        '{"kind":"resource","at":"2026-03-01T10:01:00Z","device":"cpu","host":"a1","model":"loan","watts":35,"seconds":60,"source":"measured"}',
    ),
    (
        "What a kWh carries in your region, from when on:",
        '{"kind":"price","from":"2026-01-01T00:00:00Z","resource":"kwh","amount":0.2,"currency":"EUR","region":"north","carbon_g_per_kwh":120,"pue":1.2}',
    ),
)
"""What to log, and an example line each."""


def badge(source: str, what: str = "") -> str:
    """Where a number comes from, as Markdown. what: which part of it that is said of."""
    return f":{BADGES.get(source, 'gray')}-badge[{f'{what} {source}'.strip()}]"


def place_of(here: Here) -> Place:
    """Whose prices and fallbacks hold."""
    return Place(here.model.name, here.model.settings)


def whole(here: Here) -> Window:
    """The window without the slice: readings, runs and prices know none."""
    return replace(here.window, slice=None)


def of_all_rows(here: Here) -> None:
    """Says that a slice is not looked at."""
    if here.window.slice is not None:
        st.caption("Energy and money are of the whole model: readings, runs and prices know no slice, so the chosen one is left out here.")


def findings_of(here: Here, name: str) -> list[Finding]:
    """What the analyzer says about the window, slice left out."""
    with frame.loading(260):
        return [each for each in load.findings(whole(here)) if each.analyzer == name]


def measured(here: Here, version: str | None = None) -> Serving:
    """What serving drew in the window, of one version or of the one that is chosen, else of all."""
    return serving(*frames(whole(here)), place_of(here), version=version or here.window.version)


def frames(window: Window) -> "tuple[DataFrame, DataFrame, DataFrame, DataFrame]":
    """Predictions by hour and version, what they carry, readings, and prices."""
    every = replace(window, version=None)
    return (
        load.frame(served_question(), every), load.frame(use_question(), every), load.records(RESOURCES, every), load.records(PRICES, every),
    )  # fmt: skip


def sentences(found: Sequence[Finding]) -> None:
    """The analyzer's sentences about serving, the worst first, each with its badge; the same sentence of one version once."""
    said = set()
    for each in found:
        if each.metric in ("energy_per_thousand", "sci", "idle_share") and (each.version, each.because) not in said:
            said.add((each.version, each.because))
            source = each.evidence.get("carbon_source" if each.metric == "sci" else "source")
            mark = f" {badge(str(source))}" if source else ""
            version = f" :gray[version {formatting.plain(each.version)}]" if each.version else ""
            words = formatting.sentence(each.because)
            st.markdown(f"{formatting.status(each.severity)}: {f'**{words}**' if len(said) == 1 else words}{mark}{version}")


def how_to_log() -> None:
    """Which records tell what is missing, with an example line each."""
    with st.expander("What to log for better figures", icon=":material/edit_note:"):
        for words, line in EXAMPLES:
            st.markdown(words)
            st.code(line, language="json", wrap_lines=True)


def nothing_known(now: Serving) -> None:
    """No figure of serving: why, and what to log."""
    if now.served <= 0:
        empty_states.no_rows()
    else:
        empty_states.nothing(
            "Nothing tells what serving draws.",
            "Log latency or energy with predictions, or readings of the devices; the lines to log stand below.",
        )


def by_day(here: Here, now: Serving, found: Sequence[Finding]) -> None:
    """Energy and carbon for a thousand predictions by day (by hour where there are fewer than three days), beside each other."""
    rows = now.parts("wh", "emitted").reset_index()
    rows = rows[rows["served"] > 0]
    left, right = st.columns(2, gap="large")
    for where, name, unit, metric, title, source in (
        (left, "wh", "Wh", "energy_per_thousand", "Energy for a thousand predictions", now.source),
        (right, "emitted", "gCO₂e", "sci", "Carbon for a thousand predictions", now.carbon_source),
    ):
        claim = next((each for each in found if each.metric == metric), None)
        twin = rows.assign(value=1000.0 * rows[name] / rows["served"], source=source)[["period", "value", "served", "source"]]
        with where:
            st.subheader(title, anchor=False)
            st.markdown(badge(source))
            figure = charts_energy.bars(
                twin, name=f"{unit} a thousand", say=partial(with_prefix, unit=unit), source=source,
                baseline=claim.evidence.get("baseline") if claim else None,
            )  # fmt: skip
            said = claim.because if claim else f"{title} by day."
            frame.chart(
                figure, twin, key=f"by-day-{name}", alt=said.replace("`", ""), metrics=(metric,), on_select=of_day(here, name, twin)
            )


def of_day(here: Here, name: str, days: "DataFrame") -> clicks.Leads:
    """A bar leads to the predictions of its day or hour."""
    return clicks.leads(f"by-day-{name}", lambda point: clicks.period(here, point, days["period"], clicks.EVERY, clicks.NEWEST))


def assumptions(here: Here, now: Serving) -> None:
    """PUE, carbon intensity and assumed power, and where each comes from."""
    _, _, _, prices = frames(whole(here))
    place = place_of(here)
    known = factors(prices, now.hours["period"], place)
    lines = []
    if now.method:
        lines.append(
            f"Found {HOW[now.method].format(watts=place.watts_per_core)}; {formatting.share(now.covered)} of the predictions are covered."
        )
    if now.hours["period"].size:
        pue = f"PUE {PUE:g}, assumed" if now.assumed_pue else f"PUE {spread(known.pue)}"
        carbon = (
            f"{CARBON_G_PER_KWH:g} g CO₂e a kWh, the world's average, assumed"
            if now.assumed_carbon
            else f"{spread(known.intensity)} g CO₂e a kWh"
        )
        lines.append(f"{pue}; {carbon}, from the price records or the settings where they say so.")
    st.caption(formatting.plain(" ".join(lines)))


def spread(values: Any) -> str:
    """One number, or the range of several."""
    low, high = float(values.min()), float(values.max())
    return formatting.number(low) if low == high else f"{formatting.number(low)} to {formatting.number(high)}"


def versions(here: Here) -> None:
    """Energy and carbon by version: totals of the window, a thousand predictions, and where they come from."""
    served, *_ = frames(whole(here))
    columns = [
        column("version", "Version", strong=True), column("served", "Predictions", align="right"), column("wh", "Energy", align="right"),
        column("per", "For a thousand", align="right"), column("grams", "Carbon", align="right", help="gCO₂e, without making the hardware"),
        column("sci", "SCI for a thousand", align="right", help="With making the hardware, where price records state it"),
        column("source", "Energy is"), column("carbon", "Carbon is"),
    ]  # fmt: skip
    rows, twin = [], []
    for name in sorted(set(served["version"])):
        each = measured(here, str(name))
        if not each.served or (here.window.version and here.window.version != name):
            continue
        per = 1000.0 / each.served
        sci = per * (each.grams + (float(each.hours["embodied"].sum()) / each.covered if each.covered else 0.0))
        known = each.method is not None
        cells: dict[str, Cell] = {
            "version": {"t": str(name)}, "served": {"t": formatting.count(each.served)},
            "wh": {"t": with_prefix(each.wh, "Wh") if known else formatting.DASH}, "per": {"t": with_prefix(each.wh * per, "Wh") if known else formatting.DASH},
            "grams": {"t": with_prefix(each.grams, "g") if known else formatting.DASH}, "sci": {"t": with_prefix(sci, "g") if known else formatting.DASH},
            "source": {"t": each.source if known else "unknown"}, "carbon": {"t": each.carbon_source if known else "unknown"},
        }  # fmt: skip
        rows.append(row(cells))
        twin.append([name, each.served, each.wh, each.wh * per, each.grams, sci, each.source, each.carbon_source, each.method])
    if not rows:
        return
    table("versions", "Energy and carbon by version", columns, rows, compact=True)
    names = ["version", "predictions", "wh", "wh_per_thousand", "grams", "sci_per_thousand", "energy_source", "carbon_source", "method"]
    frame.download("energy-by-version.csv", lambda: as_csv(twin, names), "CSV", key="versions-csv")


def as_csv(rows: list[list[Any]], names: list[str]) -> str:
    """Rows as CSV."""
    import pandas as pd

    return inert_csv(pd.DataFrame(rows, columns=names))


@dataclass(frozen=True)
class Runs:
    """Training runs of a model. rows: as of `runs_of`, the newest first. outside: none ended in the window, so they are the newest of all."""

    rows: "DataFrame"
    outside: bool


def training_runs(here: Here) -> Runs:
    """The runs that ended in the window; where none did, the newest of the model, whenever they were."""
    window = replace(whole(here), version=None)
    ever = replace(window, end=max(window.end, load.now()))
    every = load.records(RUNS, ever)
    start, end = (naive_utc(each) for each in (window.start, window.end))
    ended = every[every["event"] == "end"]
    inside = set(ended.loc[(ended["at"] >= start) & (ended["at"] < end), "run"])
    chosen = every[every["run"].isin(inside)] if inside else every
    first = (
        window.start - timedelta(days=PAST_DAYS)
        if inside
        else (chosen["at"].min().to_pydatetime().replace(tzinfo=window.start.tzinfo) if len(chosen) else window.start)
    )
    readings = load.records(RESOURCES, replace(ever, start=min(first, ever.end)))
    found = runs_of(chosen, readings[readings["run"].notna()], load.records(PRICES, ever), place_of(here))
    return Runs(found.sort_values(["ended", "run"], ascending=[False, True], ignore_index=True).head(MOST_RUNS), not inside)


def runs(here: Here) -> None:
    """Energy and carbon of the training runs as bars, and as a table."""
    found = training_runs(here)
    rows = found.rows[found.rows["wh"].notna()]
    if rows.empty:
        empty_states.nothing(
            "No training run of this model tells what it drew.",
            'Track runs with `observability.track_run(model="…", power=True)`: readings are then records of the run.',
        )
        return
    total = float(rows["wh"].sum())
    when = "No run ended in this window; these are the newest of the model. " if found.outside else ""
    said = (
        f"{when}{formatting.plural(len(rows), 'run')} drew {with_prefix(total, 'Wh')} and emitted {with_prefix(float(rows['grams'].sum()), 'gCO₂e')}; "
        f"the largest is {rows['run'].iloc[int(rows['wh'].to_numpy().argmax())]}."
    )
    st.markdown(formatting.plain(said))
    twin = rows[["run", "version", "ended", "seconds", "cores", "gpus", "wh", "grams", "embodied", "source"]].assign(value=rows["wh"])
    figure = charts_energy.runs(twin, name="Wh", say=lambda each: with_prefix(each, "Wh"))
    frame.chart(figure, twin.drop(columns="value"), key="runs", alt=said, metrics=("run_energy",))
