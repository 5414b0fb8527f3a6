"""The part of the page Energy about what training can save: the results of runs by their carbon, the hour of the start, and power caps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from observability.analyzers.operations.energy import settings_without_cap, timed_runs
from observability.core.formatting import plural
from observability.core.numerals import format_figure, with_si_prefix
from observability.core.time import aware_utc, naive_utc
from observability.dashboard import frame, load
from observability.dashboard.charts import energy_savings as charts_savings
from observability.dashboard.frame import ModelPage
from observability.dashboard.operations.energy import EnergyRuns, price_place, window_without_slice
from observability.dashboard.training import load_runs
from observability.dashboard.training.runs import RunUse, energy_and_cost_of_runs
from observability.dashboard.widgets import plain_caption, plain_paragraph, status_line
from observability.detection.early_stops import EarlyStop, avoided_energy, early_stops, stops_without_plan
from observability.detection.result_carbon import NEAR, CarbonResults, results_against_carbon
from observability.detection.run_claims import RunClaim, duration_words
from observability.detection.training_savings import power_cap_claim, start_hour_claim
from observability.metrics.energy import RESOURCES, RUNS
from observability.metrics.power_caps import CapSweep, power_cap_sweeps, stated_cap
from observability.metrics.prices import PRICES
from observability.metrics.run_energy import training_run_energy
from observability.metrics.start_hours import carbon_by_start_hour

SAVING_EXAMPLES = {
    "Carbon intensity of each hour, or `carbon_by_hour` of the settings, 24 numbers of a typical day from 00:00 UTC on:": (
        '{"kind":"price","from":"2026-03-01T02:00:00Z","resource":"kwh","amount":0.2,"currency":"EUR","carbon_g_per_kwh":120}'
    ),
    "A sweep of a power cap: at least three caps, each with three runs that differ in nothing else:": (
        'with obs.track_run(model="loan", study="caps", params={"power_cap_w": 300}, seed=1, power=True) as run: …'
    ),
}
"""Records to log, with an example each."""


def early_stops_section(here: ModelPage) -> None:
    """Draw a sentence on the energy that was avoided by runs that ended before their plan, and on runs that stopped early without a plan;
    nothing if there are no such runs.
    """
    everything = load_runs.analyzed_training_runs(here.model.name)
    stops = early_stops(each.run for each in everything)
    said = early_stops_words(stops, energy_and_cost_of_runs(everything)) if stops else ""
    if unplanned := stops_without_plan(each.run for each in everything):
        said += f" {plural(len(unplanned), 'run')} stopped early without a plan (`total_steps` or `epochs`): the avoided energy is unknown."
    if said:
        with st.expander("Energy avoided by early stops", icon=":material/content_cut:"):
            plain_paragraph(said.strip())


def early_stops_words(stops: Sequence[EarlyStop], uses: Mapping[str, RunUse]) -> str:
    """Return in words the total energy that early stops avoided, with its basis and its formula; empty if no energy of these runs
    is known.
    """
    avoided = avoided_energy(stops, {name: use.wh for name, use in uses.items()})
    if not avoided:
        return ""
    sources = {uses[name].source for name in avoided}
    basis = "measured" if sources == {"measured"} else "assumed" if "assumed" in sources else "estimated"
    without = f" Of {plural(len(stops) - len(avoided), 'further run')} the energy is unknown." if len(avoided) < len(stops) else ""
    total = with_si_prefix(sum(avoided.values()), "Wh")
    of_study = sum(stop.of_study for stop in stops if stop.run in avoided)
    plan = f" Of {plural(of_study, 'pruned trial')} the plan is the median of the study's finished trials." if of_study else ""
    return (
        f"{plural(len(avoided), 'run')} ended before their planned steps or epochs and avoided about {total}: "
        f"energy × steps left ÷ steps done, added up over runs; energy {basis}.{plan}{without}"
    )


def results_section(here: ModelPage) -> None:
    """Draw the results of the model's runs by their carbon."""
    everything = load_runs.analyzed_training_runs(here.model.name)
    uses = energy_and_cost_of_runs(everything)
    found = results_against_carbon([each.run for each in everything], {name: use.grams for name, use in uses.items()})
    if found is None:
        return
    st.subheader("Results against carbon", anchor=False)
    said = results_words(found)
    plain_paragraph(said)
    twin = pd.DataFrame([vars(each) for each in found.results])
    frame.chart_with_table(charts_savings.results_against_carbon_marks(twin, found.metric), twin, key="results-carbon", alt=said)
    of = f"of study {found.study}" if found.study else "without a study"
    plain_caption("Line: Pareto front.", details=f"Finished runs {of}; {found.better} {found.metric} is better.")


def results_words(found: CarbonResults) -> str:
    """Return a sentence with the carbon of the run with the best result, and with the least carbon of a run whose result is close to it."""
    top, near = found.top, found.near
    best = f"Best {found.metric}: {format_figure(top.value)} for {with_si_prefix(top.grams, 'gCO₂e')} ({top.run})"
    if near.run == top.run:
        return f"{best}; no run within {100 * NEAR:g} % of it emitted less."
    return (
        f"{best}; {near.run} reached {format_figure(near.value)} for {with_si_prefix(near.grams, 'gCO₂e')}, "
        f"{100 * (1 - near.grams / top.grams):.0f} % less."
    )


def start_hour_section(here: ModelPage, runs: EnergyRuns) -> None:
    """Draw the carbon of the runs by the hour of their start."""
    st.subheader("Carbon by hour of the start", anchor=False)
    timed, end = timed_runs(runs.rows, set(runs.rows["run"])), here.window.end
    if runs.outside and timed:
        end = aware_utc(runs.rows["ended"].max().ceil("D").to_pydatetime())
    prices = load.ask_store(PRICES, replace(window_without_slice(here), version=None, end=end, start=min(here.window.start, end)))
    found = carbon_by_start_hour(timed, prices, naive_utc(end), price_place(here))
    if found is None:
        lacks = "no day has an hourly carbon intensity" if timed else "no run of at most a day has a known energy"
        plain_caption(f"Which hour emits least is unknown: {lacks}.")
        return
    claim = start_hour_claim(found, here.model.settings)
    saving_sentence(claim, judged=not runs.outside)
    twin = pd.DataFrame({"hour": range(24), "grams": found.grams})
    figure = charts_savings.start_hour_bars(twin, usual=found.usual, best=found.best)
    frame.chart_with_table(figure, twin, key="start-hours", alt=claim.because, metrics=("carbon_shift",))
    plain_caption("Hours in UTC, estimated.", details="The energy of the runs times the carbon intensity of past days.")


def saving_sentence(claim: RunClaim, *, judged: bool) -> None:
    """Draw the sentence about a saving, with its status if it is a finding of the window."""
    said = claim.because.replace("`", "")
    if judged:
        st.markdown(status_line(claim.severity, said, strong=True))
    else:
        plain_paragraph(f"From runs before this window: {said}")


def power_cap_section(here: ModelPage) -> None:
    """Draw the newest sweep of a power cap."""
    st.subheader("Power caps", anchor=False)
    sweep = newest_sweep(here)
    if sweep is None:
        plain_caption("No sweep of a power cap was logged.")
        return
    claim = power_cap_claim(sweep, here.model.settings)
    saving_sentence(claim, judged=sweep.ended < naive_utc(here.window.end))
    twin = pd.DataFrame(
        {
            "watts": [cap.watts for cap in sweep.caps],
            "runs": [cap.runs for cap in sweep.caps],
            "wh": [cap.wh for cap in sweep.caps],
            "seconds": [cap.seconds for cap in sweep.caps],
            **{
                name: [getattr(cap, part).triple[place] for cap in sweep.caps]
                for part in ("saved", "slower")
                for place, name in enumerate((part, f"{part}_low", f"{part}_high"))
            },
        }
    )
    knee = None if sweep.knee is None else sweep.knee.watts
    figure = charts_savings.power_cap_curve(twin, knee=knee, source=sweep.source)
    frame.chart_with_table(figure, twin, key="power-caps", alt=claim.because.replace("`", ""), metrics=("power_cap_saving",))
    slowest = max(sweep.caps, key=lambda cap: cap.seconds)
    plain_caption(
        f"Slowest: {slowest.watts:g} W, {duration_words(slowest.seconds)} a run.", details=f"Study {sweep.study}, {sweep.source}."
    )


def newest_sweep(here: ModelPage) -> CapSweep | None:
    """The newest sweep of a power cap among all runs of the model."""
    always = replace(window_without_slice(here), version=None, end=max(here.window.end, load.page_clock()))
    runs = load.ask_store(RUNS, always)
    names = sorted({str(name) for name, params in zip(runs["run"], runs["params"], strict=True) if stated_cap(params) is not None})
    if not names:
        return None
    readings = load.ask_store(replace(RESOURCES, ever=True, only=(("run", tuple(names)),)), always)
    energy = training_run_energy(runs[runs["run"].isin(names)], readings, load.ask_store(PRICES, always), price_place(here))
    return next(iter(power_cap_sweeps(runs, energy, settings_without_cap(runs))), None)
