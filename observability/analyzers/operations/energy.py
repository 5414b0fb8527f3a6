"""Measure the energy and carbon of a thousand predictions and of training runs.

Serving is compared with the model's own past, measured by the same method, over the window and its last days. Each number states whether it
was measured, estimated or assumed. If energy is unknown, the finding says what to log. The energy of a training run is compared with
earlier runs of the same parameters; for a run that has not ended, its forecast is compared. There are also findings about idle
accelerators, hot devices, and what could be saved by another hour of the day, a power cap, another batch size or another form (such as the
same model in another precision or runtime, or a smaller one).
"""

from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Basis, Finding, needs_action
from observability.core.formatting import plural
from observability.core.numerals import with_si_prefix
from observability.core.owner_level import level_name
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.detection import ratio_causes
from observability.detection.batch_claims import BATCH_LIMITS, batch_claims
from observability.detection.device_readings import TEMPERATURE_ACT, UTILISATION, device_claims
from observability.detection.ratio_changes import ACT, RatioVerdict, ratio_by_day, ratio_finding, ratio_verdict
from observability.detection.run_claims import RunClaim
from observability.detection.run_energy import run_energy_change
from observability.detection.running_energy import (
    MAX_RUNS,
    completely_read,
    forecasts_of_running,
    runs_alike,
    settings_of_runs,
    started_at,
)
from observability.detection.serving_devices import serving_device_claims
from observability.detection.study_noise import setting_text
from observability.detection.training_savings import SAVING_LIMITS, power_cap_claim, start_hour_claim
from observability.metrics.energy import RESOURCES, RUNS, ServingEnergy, consumption_question, served_question, serving_energy
from observability.metrics.energy_readings import JOULES_A_WH, RESOURCE_COLUMNS, SOURCES
from observability.metrics.form_decisions import FORM_DECISIONS, served_form_decisions
from observability.metrics.performance import Columns
from observability.metrics.power_caps import CAP_NAMES, power_cap_sweeps, stated_cap
from observability.metrics.prices import CARBON_G_PER_KWH, PRICES, PUE, PriceScope, ambiguous_regions
from observability.metrics.run_energy import runs_ended_between, training_run_energy
from observability.metrics.serving_power import ENERGY_AUDITS, assumed_idle_share, core_power, energy_audits, modelled_idle_share
from observability.metrics.start_hours import TimedRun, carbon_by_start_hour
from observability.metrics.trade_offs import SERVED_FORM
from observability.proofs.spending import ENERGY_PROOFS

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "operations/energy"
PAST_DAYS = 28
READINGS = Records("resource", (*RESOURCE_COLUMNS, "temperature_c", "memory_gb"), ever=True)
"""Readings of devices, also from earlier runs."""
STEPS = Records("step", ("run", "at", "step"), ever=True, rows=50_000, spread=12_500)
"""Steps of runs; for a long run, an evenly spread sample of them."""
HOW = {
    "resources": "from readings of the service's devices",
    "predictions": "from the energy that predictions carry",
    "latency": "from latency and an assumed {watts:g} W per busy core",
}
CALIBRATED = "from latency and a calibrated {watts:g} W per busy core, within {error:.0f} %"
IDLE_WATCH = 0.8
"""An idle share of the energy above this is a warning, if the owner states no limit."""
ASK = (
    "The energy of serving is unknown: log `latency_ms` or `energy_j` with predictions, or records as "
    '{"kind":"resource","at":"…","device":"cpu","model":"…","watts":35,"seconds":60,"source":"measured"}, which '
    "`track_run(power=True)` and "
    "observability.client.power write"
)


def needs(context: Context) -> dict[str, Ask]:
    """Ask for predictions and their usage by hour and version, readings, runs and prices."""
    if context.window.slice is not None:
        return {}
    served, use = served_question(), consumption_question()
    return {
        "served": Ask(served, scope="model"),
        "use": Ask(use, scope="model"),
        "resources": Ask(RESOURCES, scope="model"),
        "runs": Ask(RUNS, scope="model"),
        "readings": Ask(READINGS, scope="model"),
        "steps": Ask(STEPS, scope="model"),
        "prices": Ask(PRICES, scope="model"),
        "batches": Ask(ENERGY_AUDITS, scope="model"),
        "forms": Ask(FORM_DECISIONS, scope="model"),
        "past served": Ask(served, span="past", days=PAST_DAYS, scope="model"),
        "past use": Ask(use, span="past", days=PAST_DAYS, scope="model"),
        "past resources": Ask(RESOURCES, span="past", days=PAST_DAYS, scope="model"),
    }


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about energy and carbon of 1,000 predictions, the idle share (unknown without readings), and the energy of runs."""
    if "served" not in frames:
        return []
    place = PriceScope(context.model.name, context.model.settings)
    version = context.version.name
    now = serving_energy(frames["served"], frames["use"], frames["resources"], frames["prices"], place, version=version)
    found = list(of_serving(frames, context, place, now))
    if now.method != "predictions" and now.served:
        found.append(of_idle(context, now))
    return found + of_training(frames, context, place) + of_batches(frames, context)


def of_batches(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about batch sizes and forms, from the newest audit of kind `energy` of the version. Uses the frames `batches` and
    `forms`.
    """
    audits = [each for each in energy_audits(frames["batches"]) if each.model == context.model.name and each.at <= context.due_time]
    chosen = served_form_decisions(frames["forms"]).get((context.model.name, context.version.name)) if audits else None
    form, limits = chosen.form if chosen else SERVED_FORM, context.model.settings.limits
    claims = batch_claims(audits, context.version.name, form, limits, context.due_time)
    known = [(claim, energy_basis(str(claim.evidence.get("source", SOURCES[0])))) for claim in claims]
    return [replace(claimed_finding(context, claim, basis), version=context.version.name) for claim, basis in known]


def of_training(frames: Frames, context: Context, place: PriceScope) -> list[Finding]:
    """Return findings about the energy of runs, about what runs can save, and about their devices. Uses the frames with runs, steps,
    readings and prices.
    """
    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    runs, readings = frames["runs"], frames["readings"]
    ended, found = runs_ended_between(runs, start, end), list[Finding]()
    running = set(readings.loc[readings["at"] >= start, "run"].dropna()) & set(runs["run"]) - runs_ended_between(runs, None, end)
    if ended or running or any(stated_cap(params) for params in runs["params"]):
        known = training_run_energy(runs, readings[readings["run"].notna()], frames["prices"], place)
        found = [*run_energy_findings(frames, context, place, known, ended), *of_savings(frames, context, place, known, ended)]
        found += of_running(frames, context, known, running)
    return found + of_devices(frames, context)


def of_serving(frames: Frames, context: Context, place: PriceScope, now: ServingEnergy) -> tuple[Finding, Finding]:
    """Return the findings about the energy and the carbon (SCI) of a thousand predictions."""
    blank = context.undecided(NAME, "model", "energy_per_thousand", now.rows, "", against="past")
    carbon = context.undecided(NAME, "model", "sci", now.rows, "", against="past")
    if now.method is None or now.rows == 0:
        because = "No predictions in this window, so their energy is unknown." if now.served == 0 else f"{ASK}."
        return replace(blank, because=because), replace(carbon, because=because)
    past = serving_energy(
        frames["past served"],
        frames["past use"],
        frames["past resources"],
        frames["prices"],
        place,
        version=context.version.name,
        method=now.method,
    )
    days = now.parts("wh", "emitted")
    energy, sci = (
        ratio_verdict(now.by_hour, past.by_hour, column, context, days, level_name(finding))
        for column, finding in (("wh", blank), ("emitted", carbon))
    )
    drawn = ratio_causes.of_energy(now, *compared_hours(now, past, context, energy))[0]
    emitted = ratio_causes.of_energy(now, *compared_hours(now, past, context, sci))[1]
    how = energy_method_words(now.method, place)
    evidence = energy_evidence(now, place, frames["prices"])
    said = (
        f"Serving draws {with_si_prefix(energy.now.value, 'Wh')} per thousand predictions ({now.source}, {how}, {now.rows:,} "
        f"predictions{part_of(now)}"
        f"{with_pue(now)}): {energy.comparison}{ratio_causes.factor_sentence(drawn, energy)}."
    )
    grams = (
        f"Serving emits {with_si_prefix(sci.now.value, 'gCO₂e')} per thousand predictions "
        f"({now.carbon_source}{with_carbon(now, frames['prices'], context)}; "
        f"{embodied_carbon_words(now)}): {sci.comparison}{ratio_causes.factor_sentence(emitted, sci)}."
    )
    basis = energy_basis(now.source)
    found = (
        ratio_finding(
            blank,
            energy,
            because=said,
            basis=basis,
            evidence=evidence | {"by_day": ratio_by_day(days, ["wh", "emitted"])} | ratio_causes.factor_evidence(drawn),
        ),
        ratio_finding(
            carbon, sci, because=grams, basis=energy_basis(now.carbon_source), evidence=evidence | ratio_causes.factor_evidence(emitted)
        ),
    )
    return found if now.method != "latency" else (at_most_watch(found[0]), at_most_watch(found[1]))


def at_most_watch(finding: Finding) -> Finding:
    """The finding with a severity of at most `watch`. Used if energy is computed as latency times an assumed power, because then a rise of
    energy only repeats the rise of latency.
    """
    return replace(finding, severity="watch") if finding.severity == "act" else finding


def energy_method_words(method: str, place: PriceScope) -> str:
    """Return how the energy of serving was determined, in words."""
    if method == "latency" and place.power_is_calibrated:
        return CALIBRATED.format(watts=place.watts_per_core, error=100 * float(place.settings.watts_per_core_error or 0.0))
    return HOW[method].format(watts=place.watts_per_core)


def compared_hours(now: ServingEnergy, past: ServingEnergy, context: Context, verdict: RatioVerdict) -> tuple[Columns, Columns]:
    """Return the hours of the window that a sentence is about, and the past hours with which they are compared."""
    about = now.hours["period"] >= np.datetime64(ratio_causes.analyzed_start(verdict, context.window.start, context.window.end))
    return {name: values[about] for name, values in now.hours.items()}, past.hours


def energy_evidence(now: ServingEnergy, place: PriceScope, prices: "DataFrame") -> dict[str, object]:
    """Return the evidence behind the figures."""
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
        "power_band": [core_power(place.settings).low, core_power(place.settings).high] if now.method == "latency" else None,
        "regions_to_choose_from": ambiguous_regions(prices, place.settings),
        "per": "1,000 predictions",
    }


def part_of(now: ServingEnergy) -> str:
    """Return in words which share of the predictions is covered; empty if all are."""
    return "" if now.covered > 0.9995 else f", {100 * now.covered:.1f} % of those served"


def with_pue(now: ServingEnergy) -> str:
    """Return a note if the PUE is an assumed value; otherwise empty."""
    return f", PUE {PUE:g} assumed" if now.assumed_pue else ""


def with_carbon(now: ServingEnergy, prices: "DataFrame", context: Context) -> str:
    """Return a note if the carbon intensity is an assumed value; otherwise empty."""
    if not now.assumed_carbon:
        return ""
    regions = ambiguous_regions(prices, context.model.settings)
    why = f"; prices name {' and '.join(f'`{each}`' for each in regions)}, choose one in the settings" if regions else ""
    return f", {CARBON_G_PER_KWH:g} g a kWh assumed{why}"


def embodied_carbon_words(now: ServingEnergy) -> str:
    """Return whether embodied carbon is included, in words."""
    return "incl. embodied carbon" if float(now.hours["embodied"].sum()) > 0 else "excl. embodied carbon, which no price record states"


def of_idle(context: Context, now: ServingEnergy) -> Finding:
    """Return the finding about the idle share of the service's energy."""
    blank = context.undecided(NAME, "model", "idle_share", now.rows, "", against="level")
    known = idle_share_ends(context, now)
    if now.method is None or now.rows == 0:
        return replace(blank, because=f"{ASK}.")
    if known is None and now.method == "resources":
        why = (
            "Predictions of these hours carry no `energy_j`, so the idle share of the service's energy is unknown; "
            "observability.client.power measures it."
        )
        return replace(blank, because=why)
    if known is None:
        return _of_assumed_idle(context, now, blank)
    value, low, high = known
    limit = context.model.settings.limits.get(f"{NAME}/idle_share")
    over = value > (IDLE_WATCH if limit is None else limit)
    held = f"a warning from {100 * IDLE_WATCH:.0f} % on" if limit is None else f"{100 * limit:.0f} % accepted"
    ends = f" ({100 * low:.1f} to {100 * high:.1f} %)" if low < high else ""
    return replace(
        blank,
        value=value,
        low=low,
        high=high,
        limit=IDLE_WATCH if limit is None else limit,
        basis="estimated" if now.idle_share is None else energy_basis(now.source),
        severity="watch" if over else "ok",
        likely_source="system" if over else None,
        because=f"{100 * value:.1f} % of the service's energy was idle{ends} ({idle_source(now)}); {held}.",
        evidence={"source": idle_source(now)},
    )


def _of_assumed_idle(context: Context, now: ServingEnergy, blank: Finding) -> Finding:
    """Return the finding about the idle share of a service whose power, or only idle power, is assumed. It has a value with its ends, but
    is not judged.
    """
    share = assumed_idle_share(*busy_and_passed_seconds(context, now))
    if share is None:
        return replace(blank, because="The idle share is unknown: calibrate the machine, or log its readings.")
    value, low, high = share
    calibrated = core_power(context.model.settings).source != "assumed"
    what, step = ("idle power", "set `idle_watts`") if calibrated else ("power", "calibrate the machine")
    because = (
        f"At least {floor(1000 * low) / 10:.1f} % of the service's energy was idle, if one core or more is reserved for it and {what} is "
        f"as assumed. Not judged: {step}, or log its readings."
    )
    return replace(blank, value=value, low=low, high=high, basis="estimated", because=because, evidence={"source": "assumed"})


def busy_and_passed_seconds(context: Context, now: ServingEnergy) -> tuple[float, float]:
    """Return the processor seconds of all served predictions, and the seconds from the first hour with predictions to the end of the last
    one; 0 and 0 without hours. Only if energy is computed from latency.
    """
    if not now.hours["period"].size:
        return 0.0, 0.0
    joules = float((now.hours["wh"] / now.hours["pue"]).sum()) * JOULES_A_WH / max(now.covered, 1e-9)
    hours = (now.hours["period"].max() - now.hours["period"].min()) / np.timedelta64(1, "h") + 1
    return joules / core_power(context.model.settings).watts, 3600.0 * float(hours)


def idle_source(now: ServingEnergy) -> str:
    """Return how the idle share was determined: from the same source as the energy, or `estimated` from the calibration of the machine."""
    return now.source if now.idle_share is not None else "estimated"


def idle_share_ends(context: Context, now: ServingEnergy) -> tuple[float, float, float] | None:
    """Return the idle share with its interval: from readings, else from the idle power of a calibrated machine that serves only this
    model.
    """
    if now.idle_share is not None:
        return now.idle_share, now.idle_share, now.idle_share
    power = core_power(context.model.settings)
    if now.method != "latency" or power.source == "assumed" or not now.hours["period"].size:
        return None
    return modelled_idle_share(*busy_and_passed_seconds(context, now), power)


def run_energy_findings(frames: Frames, context: Context, place: PriceScope, known: "DataFrame", ended: set[str]) -> list[Finding]:
    """Return a finding about the energy of each run that ended in the window, newest first; at most MAX_RUNS runs. known: energy of all
    runs.
    """
    runs, readings = frames["runs"], frames["readings"]
    drew = known[known["run"].isin(ended)].sort_values(["ended", "run"], ascending=[False, True]).head(MAX_RUNS)
    alike = settings_of_runs(runs)
    complete = completely_read(known, runs, readings, READINGS.rows)
    found = []
    for each in drew.to_dict("records"):
        blank = context.undecided(NAME, f"run:{each['run']}", "run_energy", int(each["devices"]), "", against="level", whole_model=True)
        if each["wh"] != each["wh"]:
            because = (
                f"The energy of run `{each['run']}` is unknown: it needs readings (`track_run(power=True)`), or its start and its cores."
            )
            found.append(replace(blank, because=because))
            continue
        wh, source = float(each["wh"]), str(each["source"])
        how = (
            f"{plural(int(each['devices']), 'device')} read"
            if each["devices"]
            else f"{each['cores']:g} cores at an assumed {place.watts_per_core:g} W each"
        )
        carbon = "assumed" if each["assumed_carbon"] or each["assumed_pue"] else source
        earlier = runs_alike(complete[complete["ended"] < each["ended"]], alike, each)
        change = run_energy_change(wh, earlier["wh"].tolist(), context.model.settings)
        because = (
            f"Run `{each['run']}` drew {with_si_prefix(wh, 'Wh')} ({source}, {how}) and emitted "
            f"{with_si_prefix(float(each['grams']), 'gCO₂e')} ({carbon}); {change.comparison}."
        )
        severity = change.severity or "unknown"
        found.append(
            replace(
                blank,
                value=wh,
                low=wh,
                high=wh,
                limit=change.limit,
                against="past",
                severity=severity,
                likely_source="system" if needs_action(severity) else None,
                onset=started_at(each["started"]) if needs_action(severity) else None,
                rank=4.0 if needs_action(severity) else 0.0,
                because=because,
                basis=energy_basis(source),
                evidence={
                    "source": source,
                    "grams": float(each["grams"]),
                    "embodied_grams": float(each["embodied"]),
                    "carbon_source": carbon,
                    "all_readings": bool(each["devices"]) and len(readings) < READINGS.rows,
                    "earlier_runs": change.n,
                    "baseline": change.usual,
                    "times_the_past": change.times,
                },
            )
        )
    return found


def of_running(frames: Frames, context: Context, known: "DataFrame", running: set[str]) -> list[Finding]:
    """Return a finding about the forecast energy of each run that still reports. known: energy of all runs; running: names of runs without
    an end.
    """
    now = naive_utc(min(context.window.end, context.now))
    claims = forecasts_of_running(known, running, frames, now, context.model.settings, READINGS.rows)
    return [
        replace(
            claimed_finding(context, claim, "measured" if claim.value is None else "estimated"), against=claim.against, onset=claim.onset
        )
        for claim in claims
    ]


def of_savings(frames: Frames, context: Context, place: PriceScope, known: "DataFrame", ended: set[str]) -> list[Finding]:
    """Return findings about what training could save: by other start hours than those of the window's runs, and by a power cap (from the
    newest sweep of caps).
    """
    end = naive_utc(context.window.end)
    found = []
    hours = carbon_by_start_hour(timed_runs(known, ended), frames["prices"], end, place)
    if hours is not None:
        found.append(claimed_finding(context, start_hour_claim(hours, context.model.settings), "estimated"))
    over = known[known["run"].isin(runs_ended_between(frames["runs"], None, end))]
    newest = power_cap_sweeps(frames["runs"], over, settings_without_cap(frames["runs"]))[:1]
    return found + [
        claimed_finding(context, power_cap_claim(sweep, context.model.settings), energy_basis(sweep.source)) for sweep in newest
    ]


def timed_runs(energy: "DataFrame", names: set[str]) -> list[TimedRun]:
    """Return the runs of these names whose time and energy are known, by their end."""
    rows = energy[energy["run"].isin(names) & energy["started"].notna() & energy["seconds"].gt(0) & energy["wh"].gt(0)]
    return [
        TimedRun(started.to_pydatetime(), seconds / 3600, wh)
        for started, seconds, wh in zip(rows["started"], rows["seconds"], rows["wh"], strict=True)
    ]


def settings_without_cap(runs: "DataFrame") -> dict[str, str]:
    """Return the parameters of each run, without its power cap and its random seed, as one text."""
    return {
        str(name): setting_text({key: value for key, value in params.items() if key not in CAP_NAMES})
        for name, params in zip(runs["run"], runs["params"], strict=True)
        if isinstance(params, dict)
    }


def of_devices(frames: Frames, context: Context) -> list[Finding]:
    """Return findings about the devices with readings in the window, compared with limits, with other devices at the same time, and with
    their own past.
    """
    readings = frames["readings"]
    start = naive_utc(context.window.start)
    claims = [*device_claims(readings[readings["at"] >= start], context.model.settings), *serving_device_claims(readings, context.window)]
    return [claimed_finding(context, replace(claim, rank=6.0 if claim.severity == "act" else 2.0), "measured") for claim in claims]


def claimed_finding(context: Context, claim: RunClaim, basis: Basis) -> Finding:
    """Return a claim about devices or runs as a finding of the whole model."""
    blank = context.undecided(
        NAME, claim.subject or "device", claim.metric, claim.n, claim.because, against=claim.against, whole_model=True
    )
    acts = needs_action(claim.severity)
    return replace(
        blank,
        value=claim.value,
        low=claim.low,
        high=claim.high,
        limit=claim.limit,
        severity=claim.severity,
        basis=basis,
        likely_source="system" if acts else None,
        rank=claim.rank if acts else 0.0,
        onset=claim.onset if acts else None,
        evidence=dict(claim.evidence),
    )


def energy_basis(source: str) -> Basis:
    """Return the basis of a finding; assumed values count as estimated, and the sentence says so."""
    return "measured" if source == SOURCES[0] else "estimated"


ANALYZER = Analyzer(
    NAME,
    "How much energy does the model draw for a thousand predictions, and what is emitted for it?",
    needs,
    analyze,
    limits={
        "idle_share": None,
        "energy_per_thousand": ACT,
        "sci": ACT,
        "run_energy": ACT,
        "utilisation": UTILISATION,
        "temperature_c": TEMPERATURE_ACT,
        "memory_gb": None,
        **SAVING_LIMITS,
        **BATCH_LIMITS,
    },
    proofs=ENERGY_PROOFS,
)
