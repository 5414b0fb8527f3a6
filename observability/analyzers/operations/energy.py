"""How much energy does the model draw for a thousand predictions and for a training run, and what is emitted for it?

Held against the model's own past, found in the same way, over the window and its last days. Each number says whether it was measured, estimated or assumed; where nothing can be
told it says what to log.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Basis, Finding
from observability.core.numerals import with_prefix
from observability.core.time import naive_utc
from observability.detection import ratio_causes
from observability.detection.ratio_changes import Judged, by_day, filled, judge
from observability.metrics.energy import RESOURCES, RUNS, SOURCES, Serving, ended_between, runs_of, served_question, serving, use_question
from observability.metrics.performance import Columns
from observability.metrics.prices import CARBON_G_PER_KWH, PRICES, PUE, Place, ambiguous_regions

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "operations/energy"
PAST_DAYS = 28
MOST_RUNS = 10
"""Runs of the window about which a finding is made, the newest."""
HOW = {
    "resources": "from readings of the service's devices",
    "predictions": "from the energy that predictions carry",
    "latency": "from latency and an assumed {watts:g} W a busy core",
}
ASK = (
    "Nothing tells what serving draws: log `latency_ms` or `energy_j` with predictions, or records as "
    '{"kind":"resource","at":"…","device":"cpu","model":"…","watts":35,"seconds":60,"source":"measured"}, which `track_run(power=True)` and '
    "observability.client.power write"
)


def needs(context: Context) -> dict[str, Ask]:
    """Predictions and what they carry by hour and version, readings, runs, and the price list."""
    if context.window.slice is not None:
        return {}
    served, use = served_question(), use_question()
    return {
        "served": Ask(served, scope="model"),
        "use": Ask(use, scope="model"),
        "resources": Ask(RESOURCES, scope="model"),
        "runs": Ask(RUNS, scope="model"),
        "prices": Ask(PRICES, scope="model"),
        "past served": Ask(served, span="past", days=PAST_DAYS, scope="model"),
        "past use": Ask(use, span="past", days=PAST_DAYS, scope="model"),
        "past resources": Ask(RESOURCES, span="past", days=PAST_DAYS, scope="model"),
    }


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Energy and carbon for a thousand predictions of the version, the idle share where readings exist, and the energy of the window's runs."""
    if "served" not in frames:
        return []
    place = Place(context.model.name, context.model.settings)
    version = context.version.name
    now = serving(frames["served"], frames["use"], frames["resources"], frames["prices"], place, version=version)
    found = list(of_serving(frames, context, place, now))
    if now.method == "resources":
        found.append(of_idle(context, now))
    return found + of_runs(frames, context, place)


def of_serving(frames: Frames, context: Context, place: Place, now: Serving) -> tuple[Finding, Finding]:
    """The findings about a thousand predictions: energy, and carbon (SCI)."""
    blank = context.undecided(NAME, "model", "energy_per_thousand", now.rows, "", against="past")
    carbon = context.undecided(NAME, "model", "sci", now.rows, "", against="past")
    if now.method is None or now.rows == 0:
        because = "No predictions in this window, so no energy can be told." if now.served == 0 else f"{ASK}."
        return replace(blank, because=because), replace(carbon, because=because)
    past = serving(
        frames["past served"], frames["past use"], frames["past resources"], frames["prices"], place, version=context.version.name, method=now.method,
    )  # fmt: skip
    days = now.parts("wh", "emitted")
    energy, sci = (judge(now.by_hour, past.by_hour, name, context, days) for name in ("wh", "emitted"))
    drawn = ratio_causes.of_energy(now, *hours_of(now, past, context, energy))[0]
    emitted = ratio_causes.of_energy(now, *hours_of(now, past, context, sci))[1]
    how = HOW[now.method].format(watts=place.watts_per_core)
    evidence = facts(now, place, frames["prices"])
    said = (
        f"Serving draws {with_prefix(energy.now.value, 'Wh')} a thousand predictions ({now.source}, {how}, {now.rows:,} predictions{part_of(now)}"
        f"{with_pue(now)}): {energy.said}{ratio_causes.said(drawn, energy)}."
    )
    grams = (
        f"Serving emits {with_prefix(sci.now.value, 'gCO₂e')} a thousand predictions ({now.carbon_source}{with_carbon(now, frames['prices'], context)}; "
        f"{made(now)}): {sci.said}{ratio_causes.said(emitted, sci)}."
    )
    basis = basis_of(now.source)
    return (
        filled(
            blank,
            energy,
            because=said,
            basis=basis,
            evidence=evidence | {"by_day": by_day(days, ["wh", "emitted"])} | ratio_causes.facts(drawn),
        ),
        filled(carbon, sci, because=grams, basis=basis_of(now.carbon_source), evidence=evidence | ratio_causes.facts(emitted)),
    )


def hours_of(now: Serving, past: Serving, context: Context, judged: Judged) -> tuple[Columns, Columns]:
    """The hours that a sentence is about, and those of the past."""
    about = now.hours["period"] >= np.datetime64(ratio_causes.stretch(judged, context.window.start, context.window.end))
    return {name: values[about] for name, values in now.hours.items()}, past.hours


def facts(now: Serving, place: Place, prices: "DataFrame") -> dict[str, object]:
    """What stands behind the figures, for a page."""
    return {
        "method": now.method,
        "source": now.source,
        "carbon_source": now.carbon_source,
        "covered": now.covered,
        "wh": now.wh,
        "grams": now.grams,
        "assumed_pue": PUE if now.assumed_pue else None,
        "assumed_carbon_g_per_kwh": CARBON_G_PER_KWH if now.assumed_carbon else None,
        "assumed_watts_per_core": place.watts_per_core if now.method == "latency" else None,
        "regions_to_choose_from": ambiguous_regions(prices, place.settings),
        "per": "1,000 predictions",
    }


def part_of(now: Serving) -> str:
    """Which share of the predictions that covers, where it is not all."""
    return "" if now.covered > 0.9995 else f", {100 * now.covered:.1f} % of those served"


def with_pue(now: Serving) -> str:
    """That the building's share is assumed to be nothing."""
    return f", PUE {PUE:g} assumed" if now.assumed_pue else ""


def with_carbon(now: Serving, prices: "DataFrame", context: Context) -> str:
    """Which carbon intensity stands behind the grams where it is a fallback."""
    if not now.assumed_carbon:
        return ""
    regions = ambiguous_regions(prices, context.model.settings)
    why = f"; prices name {' and '.join(f'`{each}`' for each in regions)}, choose one in the settings" if regions else ""
    return f", {CARBON_G_PER_KWH:g} g a kWh assumed{why}"


def made(now: Serving) -> str:
    """Whether making the hardware is in it."""
    return (
        "with the making of the hardware"
        if float(now.hours["embodied"].sum()) > 0
        else "without the making of the hardware, which no price record states"
    )


def of_idle(context: Context, now: Serving) -> Finding:
    """The finding about the energy that went into no prediction."""
    blank = context.undecided(NAME, "model", "idle_share", now.rows, "", against="level")
    if now.idle_share is None:
        why = "Predictions of these hours carry no `energy_j`, so the idle share of the service's energy is not known; observability.client.power measures it."
        return replace(blank, because=why)
    limit = context.model.settings.limits.get(f"{NAME}/idle_share")
    over = limit is not None and now.idle_share > limit
    held = "no limit is set for it" if limit is None else f"{100 * limit:.0f} % accepted"
    return replace(
        blank,
        value=now.idle_share, low=now.idle_share, high=now.idle_share, limit=limit, basis=basis_of(now.source),
        severity="watch" if over else "ok", likely_source="system" if over else None,
        because=f"{100 * now.idle_share:.1f} % of the service's energy went into no prediction ({now.source}); {held}.",
        evidence={"source": now.source},
    )  # fmt: skip


def of_runs(frames: Frames, context: Context, place: Place) -> list[Finding]:
    """A finding about the energy of each run that ended in the window, the newest first, at most MOST_RUNS."""
    import pandas as pd

    runs = frames["runs"]
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    ended = ended_between(runs, start, end)
    if not ended:
        return []
    readings = pd.concat([frames["past resources"], frames["resources"]], ignore_index=True)
    drew = runs_of(runs[runs["run"].isin(ended)], readings[readings["run"].isin(ended)], frames["prices"], place)
    drew = drew.sort_values(["ended", "run"], ascending=[False, True]).head(MOST_RUNS)
    found = []
    for each in drew.to_dict("records"):
        blank = context.undecided(NAME, f"run:{each['run']}", "run_energy", int(each["devices"]), "", against="level", whole_model=True)
        if each["wh"] != each["wh"]:
            because = (
                f"What run `{each['run']}` drew is not known: it needs readings (`track_run(power=True)`), or its start and its cores."
            )
            found.append(replace(blank, because=because))
            continue
        wh, source = float(each["wh"]), str(each["source"])
        how = (
            f"{int(each['devices'])} devices read"
            if each["devices"]
            else f"{each['cores']:g} cores at an assumed {place.watts_per_core:g} W each"
        )
        carbon = "assumed" if each["assumed_carbon"] or each["assumed_pue"] else source
        because = f"Run `{each['run']}` drew {with_prefix(wh, 'Wh')} ({source}, {how}) and emitted {with_prefix(float(each['grams']), 'gCO₂e')} ({carbon})."
        found.append(
            replace(
                blank, value=wh, low=wh, high=wh, severity="ok", because=because, basis=basis_of(source),
                evidence={"source": source, "grams": float(each["grams"]), "embodied_grams": float(each["embodied"]), "carbon_source": carbon},
            )
        )  # fmt: skip
    return found


def basis_of(source: str) -> Basis:
    """The finding's basis: what is assumed goes as estimated, and its sentence says assumed."""
    return "measured" if source == SOURCES[0] else "estimated"


ANALYZER = Analyzer(
    NAME,
    "How much energy does the model draw for a thousand predictions, and what is emitted for it?",
    needs,
    analyze,
    limits={"idle_share": None},
)
