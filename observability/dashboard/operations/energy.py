"""The energy page: energy and carbon per thousand predictions by day and version, and of each training run, with their basis."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.operations.energy import PAST_DAYS, energy_method_words
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import with_si_prefix
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import clicks, empty_states, frame, load, load_findings
from observability.dashboard.charts import energy as charts_energy
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import csv_button, finding_line, plain_caption, plain_paragraph
from observability.metrics.energy import RESOURCES, RUNS, ServingEnergy, consumption_question, served_question, serving_energy
from observability.metrics.prices import CARBON_G_PER_KWH, PRICES, PUE, PriceScope, energy_factors
from observability.metrics.run_energy import training_run_energy
from observability.metrics.serving_power import core_power

MAX_RUNS = 20
BADGE_COLOURS = {"measured": "green", "estimated": "orange", "assumed": "gray"}
READING = '{"kind":"resource","at":"2026-03-01T10:01:00Z","device":"cpu","host":"a1","model":"loan",'
PRICE = '{"kind":"price","from":"2026-01-01T00:00:00Z","resource":"kwh","amount":0.2,"currency":"EUR",'
EXAMPLES = {
    "Energy of each prediction, where the service knows it, or at least its `latency_ms`:": (
        '{"kind":"prediction", …, "latency_ms":12.5, "energy_j":0.9}'
    ),
    "Readings of the serving devices, as `observability.client.power.PowerMeter` writes them:": (
        READING + '"watts":35,"seconds":60,"source":"measured"}'
    ),
    "Carbon intensity and PUE of your region, and their start:": PRICE + '"region":"north","carbon_g_per_kwh":120,"pue":1.2}',
}
"""Records to log, each with an example line."""
VERSION_COLUMNS = (
    column("version", "Version", strong=True),
    column("served", "Predictions", align="right", phone=False),
    column("wh", "Energy", align="right", phone=False),
    column("per", "Per 1,000", align="right"),
    column("grams", "Carbon", align="right", phone=False, help="gCO₂e, without embodied carbon"),
    column("sci", "SCI per 1,000", align="right", help="With embodied carbon, where price records have it"),
    column("source", "Basis of energy", phone=False),
    column("carbon", "Basis of carbon", phone=False),
)


def basis_badge(source: str, what: str = "") -> str:
    """Return the basis of a number as Markdown. what: the part of the number that the basis describes."""
    return f":{BADGE_COLOURS.get(source, 'gray')}-badge[{f'{what} {source}'.strip()}]"


def price_place(here: ModelPage) -> PriceScope:
    """The model and settings whose prices and fallbacks apply."""
    return PriceScope(here.model.name, here.model.settings)


def window_without_slice(here: ModelPage) -> Window:
    """The window without its slice, because readings, runs and prices cannot be divided by slices."""
    return replace(here.window, slice=None)


def slice_ignored_note(here: ModelPage) -> None:
    """Draw a caption that the slice is ignored, if one is chosen."""
    if here.window.slice is not None:
        st.caption("Energy and cost are of the whole model; the chosen slice is ignored.")


def window_findings(here: ModelPage, name: str) -> list[Finding]:
    """Findings of an analyzer about the window without its slice."""
    with frame.loading_skeleton(260):
        return [each for each in load_findings.findings_in_window(window_without_slice(here)) if each.analyzer == name]


def energy_of_serving(here: ModelPage, version: str | None = None) -> ServingEnergy:
    """Return the energy of serving in the window: of the given version; if none is given, of the chosen version, else of all versions."""
    return serving_energy(*_energy_frames(window_without_slice(here)), price_place(here), version=version or here.window.version)


def _energy_frames(window: Window) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predictions by hour and version, their logged consumption, readings, and prices."""
    every = replace(window, version=None)
    served, consumed = load.ask_store(served_question(), every), load.ask_store(consumption_question(), every)
    return served, consumed, load.ask_store(RESOURCES, every), load.ask_store(PRICES, every)


def energy_sentences(
    found: Sequence[Finding], metrics: Collection[str] = ("energy_per_thousand", "sci", "idle_share"), *, marked: bool = True
) -> None:
    """Draw the sentences of findings about serving, worst first and without repetition, each with the badge of its basis. An idle share
    without a value stands only in the list of findings. metrics: the metrics to show. marked: whether the badge is drawn.
    """
    said = set()
    for each in found:
        unknown_idle = each.metric == "idle_share" and each.value is None
        if each.metric in metrics and not unknown_idle and (each.version, each.because) not in said:
            said.add((each.version, each.because))
            source = each.evidence.get("carbon_source" if each.metric == "sci" else "source")
            mark = f" {basis_badge(str(source))}" if source and marked else ""
            version = f" :gray[version {formatting.escape_markdown(each.version)}]" if each.version else ""
            finding_line(each, strong=len(said) == 1, mark=f"{mark}{version}")


def no_serving_energy(now: ServingEnergy) -> None:
    """Draw the empty state for serving: the reason, and records to log."""
    if now.served <= 0:
        empty_states.no_rows_state()
    else:
        empty_states.empty_state(
            "Energy of serving is unknown.",
            "Log latency or energy with predictions, or readings of the devices, as in the examples below.",
        )


def energy_by_day_charts(here: ModelPage, now: ServingEnergy, found: Sequence[Finding]) -> None:
    """Draw energy and carbon per thousand predictions side by side, each with its finding. They are drawn by day, or by hour if the window
    is below three days.
    """
    rows = now.parts("wh", "emitted").reset_index()
    rows = rows[rows["served"] > 0]
    left, right = st.columns(2, gap="large")
    for where, name, unit, metric, title, source in (
        (left, "wh", "Wh", "energy_per_thousand", "Energy per 1,000 predictions", now.source),
        (right, "emitted", "gCO₂e", "sci", "Carbon per 1,000 predictions", now.carbon_source),
    ):
        claim = next((each for each in found if each.metric == metric), None)
        twin = rows.assign(value=1000.0 * rows[name] / rows["served"], source=source)[["period", "value", "served", "source"]]
        with where:
            st.subheader(title, anchor=False)
            st.markdown(basis_badge(source))
            baseline = claim.evidence.get("baseline") if claim else None
            say = partial(with_si_prefix, unit=unit)
            figure = charts_energy.consumption_bars(twin, name="per 1,000 predictions", say=say, source=source, baseline=baseline)
            said = claim.because if claim else f"{title} by day."
            key, alt = f"by-day-{name}", said.replace("`", "")
            on_bar = clicks.periods_on_click(key, here, twin["period"])
            frame.chart_with_table(figure, twin, key=key, alt=alt, metrics=(metric,), on_select=on_bar)
            energy_sentences(found, (metric,), marked=False)


def energy_assumptions(here: ModelPage, now: ServingEnergy) -> None:
    """Draw the assumed PUE and carbon intensity. The method and the sources stand behind the question mark."""
    _, _, _, prices = _energy_frames(window_without_slice(here))
    place = price_place(here)
    known = energy_factors(prices, now.hours["period"], place)
    lines, details = [], ["From price records or settings where available."]
    if now.method:
        power = core_power(here.model.settings)
        band = f" ({power.low:.3g} to {power.high:.3g} W)" if now.method == "latency" else ""
        covers = f"covers {formatting.format_share(now.covered)} of predictions"
        details.insert(0, f"Energy is computed {energy_method_words(now.method, place)}{band}; {covers}.")
    if now.hours["period"].size:
        pue = f"PUE {PUE:g}, assumed" if now.assumed_pue else f"PUE {_range_words(known.pue)}"
        carbon = (
            f"{CARBON_G_PER_KWH:g} gCO₂e per kWh, assumed (world average)"
            if now.assumed_carbon
            else f"{_range_words(known.intensity)} gCO₂e per kWh"
        )
        lines.append(f"{pue}; {carbon}.")
    plain_caption(" ".join(lines) or "Method and sources:", details=" ".join(details))


def _range_words(values: Any) -> str:
    """The values as text: one number if all are equal, else their range."""
    low, high = float(values.min()), float(values.max())
    return formatting.format_number(low) if low == high else f"{formatting.format_number(low)} to {formatting.format_number(high)}"


def energy_by_version_table(here: ModelPage) -> None:
    """Draw energy and carbon by version: totals, amounts per thousand predictions, and their basis."""
    served, *_ = _energy_frames(window_without_slice(here))
    rows, twin = [], []
    for name in sorted(set(served["version"])):
        each = energy_of_serving(here, str(name))
        if not each.served or (here.window.version and here.window.version != name):
            continue
        per = 1000.0 / each.served
        sci = per * (each.grams + (float(each.hours["embodied"].sum()) / each.covered if each.covered else 0.0))
        known = each.method is not None
        figures = {"wh": (each.wh, "Wh"), "per": (each.wh * per, "Wh"), "grams": (each.grams, "g"), "sci": (sci, "g")}
        cells: dict[str, Any] = {key: with_si_prefix(value, unit) if known else None for key, (value, unit) in figures.items()}
        bases = {"source": each.source, "carbon": each.carbon_source} if known else {"source": "unknown", "carbon": "unknown"}
        rows.append(table_row(cells | bases, version=str(name), served=formatting.format_count(each.served)))
        twin.append([name, each.served, each.wh, each.wh * per, each.grams, sci, each.source, each.carbon_source, each.method])
    if not rows:
        return
    draw_table("versions", "Energy and carbon by version", VERSION_COLUMNS, rows, compact=True)
    names = ["version", "predictions", "wh", "wh_per_thousand", "grams", "sci_per_thousand", "energy_source", "carbon_source", "method"]
    csv_button("energy-by-version", lambda: pd.DataFrame(twin, columns=names), key="versions-csv")


@dataclass(frozen=True)
class EnergyRuns:
    """The energy of training runs, newest first. outside: whether no run ended in the window, so that these are the newest runs of all."""

    rows: pd.DataFrame
    outside: bool


def energy_of_training_runs(here: ModelPage) -> EnergyRuns:
    """Return the energy of the runs that ended in the window; if none did, of all runs of the model."""
    window = replace(window_without_slice(here), version=None)
    ever = replace(window, end=max(window.end, load.page_clock()))
    every = load.ask_store(RUNS, ever)
    start, end = (naive_utc(each) for each in (window.start, window.end))
    ended = every[every["event"] == "end"]
    inside = set(ended.loc[(ended["at"] >= start) & (ended["at"] < end), "run"])
    chosen = every[every["run"].isin(inside)] if inside else every
    first = (
        window.start - timedelta(days=PAST_DAYS)
        if inside
        else (chosen["at"].min().to_pydatetime().replace(tzinfo=window.start.tzinfo) if len(chosen) else window.start)
    )
    readings = load.ask_store(RESOURCES, replace(ever, start=min(first, ever.end)))
    found = training_run_energy(chosen, readings[readings["run"].notna()], load.ask_store(PRICES, ever), price_place(here))
    return EnergyRuns(found.sort_values(["ended", "run"], ascending=[False, True], ignore_index=True), not inside)


def training_run_energy_chart(found: EnergyRuns) -> None:
    """Draw energy and carbon of the newest training runs, as bars and as a table."""
    newest = found.rows.head(MAX_RUNS)
    rows = newest[newest["wh"].notna()]
    if rows.empty:
        empty_states.empty_state(
            "Energy of training runs is unknown.",
            'Track runs with `observability.track_run(model="…", power=True)`: readings are then records of the run.',
        )
        return
    total = float(rows["wh"].sum())
    when = "No run ended in this window; the newest are shown. " if found.outside else ""
    carbon, largest = with_si_prefix(float(rows["grams"].sum()), "gCO₂e"), rows["run"].iloc[int(rows["wh"].to_numpy().argmax())]
    said = f"{when}{formatting.plural(len(rows), 'run')}: {with_si_prefix(total, 'Wh')}, {carbon}; largest: {largest}."
    plain_paragraph(said)
    twin = rows[["run", "version", "ended", "seconds", "cores", "gpus", "wh", "grams", "embodied", "source"]].assign(value=rows["wh"])
    figure = charts_energy.run_energy_bars(twin, name="energy", say=lambda each: with_si_prefix(each, "Wh"))
    frame.chart_with_table(figure, twin.drop(columns="value"), key="runs", alt=said, metrics=("run_energy",))
