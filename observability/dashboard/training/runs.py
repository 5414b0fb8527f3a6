"""The training page: the list of runs, and the chosen runs with their findings and facts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.training.runs import MAX_STEPS_A_RUN, RunVerdict, search_sizes, worst_claim
from observability.core import formatting, numerals
from observability.core.errors import ObservabilityError
from observability.core.finding import SEVERITIES, finding_details, needs_action
from observability.core.settings import ModelSettings
from observability.core.window import EPOCH, Window
from observability.dashboard import empty_states, links, load, time_zone
from observability.dashboard.cells import UNKNOWN_CELL
from observability.dashboard.choice_box import address_writer, link_warning
from observability.dashboard.data.batches import batch_links
from observability.dashboard.data.records_summary import dates_note
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.training import load_runs
from observability.dashboard.training.sample_runs import run_curve_figure
from observability.dashboard.widgets import claim_line, csv_button, link_button, note_shown_claims, plain_caption
from observability.detection.early_stops import EarlyStop, early_stop
from observability.detection.run_claims import RunClaim, duration_words
from observability.metrics import cost as money
from observability.metrics.energy import RESOURCES, RUNS
from observability.metrics.prices import PRICES, PriceScope
from observability.metrics.run_energy import training_run_energy
from observability.metrics.training_curves import MetricCurve, TrainingRun

SHOWN_AT_FIRST, MAX_LISTED = 8, 200
HOW = """import observability as obs
with obs.track_run(model="loan", params={"learning_rate": 0.05}) as run:
    for step in range(1, 101):
        run.step(step, train_loss=…, validation_loss=…)"""
FOLLOW_SECONDS = 1
"""Seconds between two drawings of an active run. A new record is shown within 3 seconds, the sum of three times:
client.runs.RUN_SEGMENT_SECONDS until it can be loaded, server.process_lock.LOAD_EVERY until it is loaded, and these seconds.
"""
COLUMNS = columns_on_phone(
    "run status",
    column("run", "Run", strong=True, width="15rem"),
    column("status", "Status", width="7rem"),
    column("model", "Model", width="8rem"),
    column("started", "Started (UTC)", width="7rem"),
    column("duration", "Duration", align="right", width="5.5rem"),
    column("steps", "Steps", align="right", width="4.5rem", help="Distinct logged steps"),
    column("best", "Best", align="right", help="Best value of the run's main metric, and its step"),
    column("energy", "Energy", align="right", width="7rem", help="Measured by its devices, else duration × cores × assumed power"),
    column("cost", "Cost", align="right", width="6rem", help="From price records"),
)


@dataclass(frozen=True)
class RunUse:
    """Energy (Wh), carbon (grams) and cost of a run, with the basis of the energy and the currency. None if unknown."""

    wh: float | None = None
    source: str | None = None
    grams: float | None = None
    amount: float | None = None
    currency: str | None = None


def runs_in_window(everything: Sequence[RunVerdict], window: Window, version: str | None) -> list[RunVerdict]:
    """The runs that have a record in the window; only those of the chosen version, if one is chosen."""
    inside = [each for each in everything if window.start <= each.run.last and each.run.first < window.end]
    return [each for each in inside if version is None or each.run.version == version]


def no_training_runs() -> None:
    """Draw the empty state: no run in the store, and how to log one."""
    example = ("Error of a training run by step", run_curve_figure)
    message, step = "No training run has been logged yet.", "These lines log one; the page updates while it runs."
    empty_states.how_to_log_state(message, step, HOW, example)


def runs_summary(shown: Sequence[RunVerdict], everything: Sequence[RunVerdict], window: Window) -> None:
    """Draw the numbers of runs in the window, of runs that need attention, and of active runs."""
    needy = sum((bad := worst_claim(run.claims or ())) is not None and needs_action(bad.severity) for run in shown)
    active = sum(is_run_active(run) for run in shown)
    parts = [formatting.plural(needy, "needs attention", "need attention"), *([f"{active} active"] if active else [])]
    st.markdown(f"**{formatting.plural(len(shown), 'run')}**{dates_note(window)}; {', '.join(parts)}.")
    if len(shown) < len(everything):
        others = formatting.plural(len(everything) - len(shown), "other run")
        st.caption(f"{others} outside of the window or version; choose Everything as the time range to list all.")


def refreshed_runs(chosen: Sequence[RunVerdict], everything: Sequence[RunVerdict]) -> list[RunVerdict]:
    """The same runs in their present state. Claims that compare their devices with earlier runs are kept from before.

    everything: all runs, needed to know which studies are searches.
    """
    searches = search_sizes([each.run for each in everything])
    now = {each.run.name: each for each in load_runs.followed_training_runs(tuple(each.run.name for each in chosen), searches)}
    return [_with_own_past(now.get(each.run.name, each), each) for each in chosen]


def _with_own_past(now: RunVerdict, before: RunVerdict) -> RunVerdict:
    """A run that was read alone, together with the claims about its own past that were computed when all runs were read."""
    if now is before or now.claims is None:
        return now
    return replace(now, claims=(*now.claims, *(each for each in before.claims or () if each.against == "past")))


def closely_read_runs(chosen: Sequence[RunVerdict], everything: Sequence[RunVerdict]) -> list[RunVerdict]:
    """The same runs. A run of which far fewer steps were read than the limit for one run is read again alone, with more of its steps.

    everything: all runs, needed to know which studies are searches.
    """
    coarse = tuple(each.run.name for each in chosen if each.run.stride != 1 and 2 * len(each.run.step_times) < MAX_STEPS_A_RUN)
    if not coarse:
        return list(chosen)
    closer = {each.run.name: each for each in load_runs.runs_read_alone(coarse, search_sizes([each.run for each in everything]))}
    return [closer.get(each.run.name, each) for each in chosen]


def follow_runs(chosen: Sequence[RunVerdict], everything: Sequence[RunVerdict], draw: Callable[[list[RunVerdict]], None]) -> None:
    """Draw runs. While some of them are active, these are read again, and all runs are drawn again, every FOLLOW_SECONDS.

    everything: all runs, needed to know which studies are searches.
    """
    active = [each for each in chosen if is_run_active(each)]

    @st.fragment(run_every=f"{FOLLOW_SECONDS}s" if active else None)
    def follow() -> None:
        fresh = {each.run.name: each for each in (refreshed_runs(active, everything) if active else ())}
        now = [fresh.get(each.run.name, each) for each in chosen]
        draw(now)
        running_runs_note(now)

    follow()


def running_runs_note(chosen: Sequence[RunVerdict]) -> None:
    """Draw the progress of the chosen runs that are active."""
    going = [each for each in chosen if is_run_active(each)]
    for each in going:
        newest = _instant_with_seconds(each.run.last)
        plain_caption(f"{each.run.name} is active: {each.run.steps:,} steps, newest {newest}. Refreshes by itself.")
    if st.session_state.get("was-running") and not going:
        st.session_state["was-running"] = False
        st.rerun()
    st.session_state["was-running"] = bool(going)


def _run_state(judged: RunVerdict) -> tuple[str | None, str]:
    """The state of a run, as a severity and a word."""
    said = {each.metric: each.severity for each in judged.claims or ()}
    if judged.run.failed:
        return "act", (judged.run.status or "failed").capitalize()[:16]
    if judged.run.ended is not None:
        return "ok", "Pruned" if judged.run.pruned else "Finished"
    if said.get("run_silence") == "act":
        return "act", "Lost"
    return ("unknown", "No end") if said.get("run_silence") == "unknown" else (None, "Running")


def _state_cell(severity: str | None, word: str, judged: RunVerdict) -> Cell:
    """The cell with the status of a run. An ended run has the severity of its worst claim that needs action, with its state below; it is
    OK only if a claim says so, and Unknown if it was not judged.
    """
    if severity is None:
        return {"t": word, "mark": "live"}
    if severity == "ok":
        bad = worst_needy_claim(judged)
        worst = bad.severity if bad else "ok" if any(claim.severity == "ok" for claim in judged.claims or ()) else "unknown"
        return {"s": worst, "t": formatting.STATUS_WORDS[worst], "sub": word}
    return {"s": severity, "t": word}


def is_run_active(judged: RunVerdict) -> bool:
    """Whether a run is still reporting."""
    return _run_state(judged)[1] == "Running"


def best_value_of_run(each: TrainingRun) -> tuple[MetricCurve, int] | None:
    """The main curve of a run and the index of its best value; None if the run has no main curve."""
    curve = each.main()
    return (curve, curve.best()) if curve is not None else None


NAMELESS = " "
"""A name that stands for "no model". It gets the prices that name no model, but not those of the sample fleet."""


def energy_and_cost_of_runs(everything: Sequence[RunVerdict]) -> dict[str, RunUse]:
    """Energy, carbon and cost of each run, by the run's name, computed in the same way as on the pages Energy and Cost."""
    of_model: dict[str, list[str]] = {}
    for each in everything:
        of_model.setdefault(each.run.model or "", []).append(each.run.name)
    always = Window("", EPOCH, load.page_clock())
    runs, resources = records_of_energy(everything)
    found: dict[str, RunUse] = {}
    for model, names in of_model.items():
        place = PriceScope(model, settings_of_model(model))
        prices = load.ask_store(PRICES, replace(always, model=model or NAMELESS))
        own = training_run_energy(runs[runs["run"].isin(names)], resources[resources["run"].isin(names)], prices, place)
        costs = money.training_cost(own, prices, place)[1].set_index("run")
        for name, wh, source, grams in zip(own["run"], own["wh"], own["source"], own["grams"]):
            amount = _known_number(costs["amount"].get(name))
            currency = None if amount is None else str(costs["currency"].get(name))
            found[name] = RunUse(_known_number(wh), str(source), _known_number(grams), amount, currency)
    return found


def records_of_energy(everything: Sequence[RunVerdict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The records from which the energy of these runs is computed: the records of the runs, and the readings of their devices."""
    named = (("run", tuple(sorted(each.run.name for each in everything))),)
    always = Window("", EPOCH, load.page_clock())
    runs, readings = (load.ask_store(replace(asked, ever=True, only=named), always) for asked in (RUNS, RESOURCES))
    return runs, readings


def _known_number(value: Any) -> float | None:
    """A number from a frame; None if it is missing."""
    return None if value is None or value != value else float(value)


def settings_of_model(model: str) -> ModelSettings:
    """The settings of a model; the defaults if the model is unknown or None."""
    try:
        return load.catalog().model(model).settings
    except ObservabilityError:
        return ModelSettings()


def training_runs_table(shown: Sequence[RunVerdict], costs: dict[str, RunUse], chosen: Sequence[str], scope: Scope) -> None:
    """Draw the table of runs, each with its worst finding, and a CSV of it. Chosen and urgent runs come first, then the newest."""
    first = sorted(shown, key=lambda each: (each.run.name not in chosen, run_urgency(each) > 1))
    many = len(shown) > SHOWN_AT_FIRST + 2
    whole = not many or bool(st.session_state.get("all-runs"))
    rows = [_run_row(each, costs.get(each.run.name, RunUse()), chosen, scope) for each in first[: MAX_LISTED if whole else SHOWN_AT_FIRST]]
    draw_table("runs", "Training runs", COLUMNS, rows)
    listed = (worst_needy_claim(each) for each in first[: len(rows)])
    note_shown_claims(claim.because for claim in listed if claim)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if many:
            st.toggle(f"List all {len(shown):,}", key="all-runs")
        csv_button("runs", lambda: _runs_frame(shown, costs), has_groups=False)
        if whole and len(shown) > MAX_LISTED:
            st.caption(f"The first {MAX_LISTED} of {len(shown):,}; the CSV holds all of them.")


def run_cost_words(amount: float, currency: str | None) -> str:
    """The cost of a run, such as `USD 0.0012`. For less than 0.0001 the text only says that it is less."""
    return " ".join(filter(None, (currency, formatting.format_number(amount, 2))))


def worst_needy_claim(judged: RunVerdict) -> RunClaim | None:
    """The worst claim about a run that needs action; None if none does."""
    return worst_claim([claim for claim in judged.claims or () if needs_action(claim.severity)])


def _run_row(judged: RunVerdict, cost: RunUse, chosen: Sequence[str], scope: Scope) -> dict[str, Any]:
    """One run as a row of the table."""
    each, found, (severity, word) = judged.run, best_value_of_run(judged.run), _run_state(judged)
    bad = worst_needy_claim(judged)
    target = links.link_cell(each.name, "runs", scope, run=each.name)
    best: Cell = dict(UNKNOWN_CELL)
    energy_cell: Cell = {"t": formatting.DASH, "title": "No readings, and no duration with cores"}
    cost_cell: Cell = {"t": formatting.DASH, "title": "No price record"}
    if found:
        curve, place = found
        best = {
            "t": formatting.format_number(float(curve.values[place]), 4),
            "sub": f"{curve.name} at step {int(curve.steps[place]):,}{_of_read_steps(each)}",
        }
    if cost.wh is not None:
        carbon = numerals.with_si_prefix(cost.grams, "gCO₂e") if cost.grams is not None else None
        mark = None if cost.source == "measured" else cost.source
        energy_cell = {"t": numerals.with_si_prefix(cost.wh, "Wh"), "mark": mark, "sub": carbon}
    if cost.amount is not None:
        cost_cell = {"t": run_cost_words(cost.amount, cost.currency), "title": f"{cost.amount:.6g} {cost.currency}"}
    cells: dict[str, Cell] = {
        "run": {**target, "sub": each.study},
        "status": _state_cell(severity, word, judged),
        "model": {"t": each.model or formatting.DASH, "sub": f"version {each.version}" if each.version else None},
        "started": {"t": time_zone.zoned_minute(each.first)},
        "duration": {"t": duration_words(each.seconds)},
        "steps": {"t": f"{each.steps:,}", "sub": f"{len(each.ranks)} ranks" if len(each.ranks) > 1 else None}
        if each.is_read
        else {"t": formatting.DASH, "title": "Not counted: too many newer runs"},
        "best": best,
        "energy": energy_cell,
        "cost": cost_cell,
    }
    note = {**target, "t": bad.because.replace("`", ""), "s": bad.severity} if bad else None
    return table_row(cells, note, selected=each.name in chosen)


def _of_read_steps(run: TrainingRun) -> str:
    """Words that state among which steps the best one was searched; empty if every step was read."""
    return f", of every {run.stride:,}th" if run.stride > 1 else ""


def _runs_frame(shown: Sequence[RunVerdict], costs: dict[str, RunUse]) -> pd.DataFrame:
    """The runs as the CSV has them."""
    rows = []
    for judged in shown:
        each, found, cost = judged.run, best_value_of_run(judged.run), costs.get(judged.run.name, RunUse())
        bad = worst_claim(judged.claims or ())
        curve, place = found or (None, 0)
        row: dict[str, Any] = {"run": each.name, "model": each.model, "version": each.version, "study": each.study}
        row |= {"status": _run_state(judged)[1], "started": each.first.isoformat()}
        row |= {"ended": each.ended.isoformat() if each.ended else None, "seconds": each.seconds}
        row |= {"steps": each.steps if each.is_read else None, "ranks": max(len(each.ranks), 1), "metric": curve.name if curve else None}
        row |= {"best": float(curve.values[place]) if curve else None, "best_step": int(curve.steps[place]) if curve else None}
        row |= {"energy_wh": cost.wh, "energy_source": cost.source, "carbon_g": cost.grams, "cost": cost.amount, "currency": cost.currency}
        rows.append(
            row | {"worst": bad.severity if bad else None, "because": " ".join([bad.because, *finding_details(bad)]) if bad else None}
        )
    return pd.DataFrame(rows)


def runs_in_address(by_name: Mapping[str, RunVerdict]) -> list[str]:
    """The names of the runs in the address. Draws a warning for each unknown name."""
    asked = st.query_params.get_all("run")
    for name in asked:
        if name not in by_name:
            link_warning(f"The link names the run {name}, which is not among the runs of this store or model.")
    return [name for name in dict.fromkeys(asked) if name in by_name]


def chosen_run(everything: Sequence[RunVerdict], shown: Sequence[RunVerdict], hint: str = "Most urgent") -> RunVerdict | None:
    """The run chosen in the box, which the address holds. If none is chosen, the most urgent run; None if no run is shown."""
    by_name = {each.run.name: each for each in everything}
    named = runs_in_address(by_name)
    options = list(dict.fromkeys([*(each.run.name for each in shown), *named]))
    st.session_state["run-box"] = named[0] if named else None
    write = address_writer("run", "run-box")
    st.selectbox("Run", options, key="run-box", index=None, on_change=write, width=420, placeholder=hint)
    if named:
        return by_name[named[0]]
    return min(shown, key=run_urgency) if shown else None


def run_urgency(judged: RunVerdict) -> int:
    """A sort key of a run's urgency. 0: critical, 1: warning, 2: unknown, 3: OK, 4: not judged."""
    bad = worst_claim(judged.claims or ())
    return SEVERITIES.index(bad.severity) if bad else len(SEVERITIES)


def run_findings(chosen: Sequence[RunVerdict]) -> None:
    """Draw the findings about the chosen runs, one sentence each."""
    for judged in chosen:
        if judged.claims is None:
            plain_caption(f"{judged.run.name} is not judged: too many newer runs. Choose its dates to judge it.")
        for each in sorted(judged.claims or (), key=lambda one: (SEVERITIES.index(one.severity), -one.rank)):
            run_claim_line(each)


def spike_batch_links(chosen: Sequence[RunVerdict], scope: Scope) -> None:
    """Draw links to the batches (of devices and data) that claims about these runs name, if these batches were logged."""
    named = [str(batch) for judged in chosen for claim in judged.claims or () for batch in claim.evidence.get("batches", ())]
    if not named or not (targets := batch_links(list(dict.fromkeys(named)), scope)):
        return
    with st.container(horizontal=True, gap="small"):
        for place, target in enumerate(targets):
            link_button(target["t"][:80], target, key=f"to-batch-{place}", icon="inventory_2")


def run_claim_line(claim: RunClaim) -> None:
    """Draw the status line of a claim about a run, with its further clauses behind a question mark."""
    note_shown_claims([claim.because])
    claim_line(claim.because, before=f"{formatting.status_label(claim.severity)}: ", details=finding_details(claim))


def run_facts(chosen: Sequence[RunVerdict], costs: dict[str, RunUse]) -> None:
    """Draw hardware, dataset, best checkpoint and energy of each chosen run."""
    for judged in chosen:
        each, found = judged.run, best_value_of_run(judged.run)
        parts = [f"{name.replace('_', ' ')} {value}" for name, value in each.hardware.items() if isinstance(value, str | int | float)]
        words = [f"Hardware: {', '.join(parts)}." if parts else "No hardware logged."]
        words += [f"Dataset: {each.dataset}."] if each.dataset else []
        if found:
            curve, place = found
            best = f"{curve.name} {formatting.format_number(float(curve.values[place]), 4)}, {_instant_with_seconds(curve.when(place))}"
            words.append(f"Best checkpoint: step {int(curve.steps[place]):,}{_of_read_steps(each)} ({best}).")
        cost = costs.get(each.name, RunUse())
        if cost.wh is not None:
            words.append(f"Energy: {numerals.with_si_prefix(cost.wh, 'Wh')}, {cost.source}.")
        words += [early_stop_words(stop, cost)] if (stop := early_stop(each)) is not None else []
        st.markdown(f"**{formatting.escape_markdown(each.name)}** :gray[{formatting.escape_markdown(' '.join(words))}]")


def early_stop_words(stop: EarlyStop, use: RunUse) -> str:
    """A sentence that states how early a run ended, and, if its energy is known, how much energy this avoided."""
    ended = f"Ended at {numerals.format_figure(stop.done, 6)} of {stop.planned:,} {stop.unit}"
    if use.wh is None:
        return f"{ended}."
    avoided = numerals.with_si_prefix(stop.avoided(use.wh), "Wh")
    return f"{ended}, which avoided about {avoided} (energy × {stop.unit} left ÷ {stop.unit} done)."


def _instant_with_seconds(instant: datetime) -> str:
    """The time in the reader's time zone, with seconds."""
    return f"{time_zone.zoned_minute(instant)}:{instant:%S} {time_zone.zone_sign(instant)}"
