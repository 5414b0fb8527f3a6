"""What does the training page list, and which runs and metric does a person look at?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.training.runs import ANALYZER, Judged, worst
from observability.core import formatting, numerals
from observability.core.errors import ObservabilityError
from observability.core.finding import SEVERITIES, needs_action
from observability.core.settings import ModelSettings
from observability.core.window import EPOCH, Window
from observability.dashboard import empty_states, frame, links, load
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, row, table
from observability.detection.run_claims import duration
from observability.export.csv import inert_csv
from observability.metrics import cost as money
from observability.metrics import energy
from observability.metrics.prices import PRICES, Place
from observability.metrics.training_curves import Curve, Run

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN_AT_FIRST, MOST_LISTED = 8, 200
MOST_COMPARED = 6
HOW = """import observability as obs
with obs.track_run(model="loan", params={"learning_rate": 0.05}) as run:
    for step in range(1, 101):
        run.step(step, train_loss=…, validation_loss=…)"""
COLUMNS = (
    column("run", "Run", strong=True, width="15rem"),
    column("status", "Status", width="7rem"),
    column("model", "Model", width="8rem"),
    column("started", "Started (UTC)", width="7rem"),
    column("duration", "Duration", align="right", width="5.5rem"),
    column("steps", "Steps", align="right", width="4.5rem", help="Distinct steps that were logged"),
    column("best", "Best", align="right", help="Best value of the metric by which the run is known, and its step"),
    column(
        "energy",
        "Energy",
        align="right",
        width="7rem",
        help="Measured by its devices, else its duration times its cores times an assumed power",
    ),
    column("cost", "Cost", align="right", width="6rem", help="From price records"),
)


@dataclass(frozen=True)
class Drawn:
    """What a run drew and cost: Wh and where that comes from; money and its currency. None where it is not known."""

    wh: float | None = None
    source: str | None = None
    grams: float | None = None
    amount: float | None = None
    currency: str | None = None


def window_of(scope: Scope) -> Window:
    """The window of runs that a scope stands for."""
    return load.window_of_records(scope, ANALYZER)


def listed(everything: Sequence[Judged], window: Window, version: str | None) -> list[Judged]:
    """Runs with a record in the window, of the chosen version where one is."""
    inside = [each for each in everything if window.start <= each.run.last and each.run.first < window.end]
    return [each for each in inside if version is None or each.run.version == version]


def nothing_logged() -> None:
    """No run is in the store: how to log one."""
    if not load.catalog().models:
        empty_states.no_models()
    empty_states.nothing("No training run has been logged yet.", "These lines log one; the page follows it while it runs.")
    st.code(HOW, language=None, wrap_lines=True)


def summary(shown: Sequence[Judged], everything: Sequence[Judged], window: Window) -> None:
    """How many runs the window has and how many need a person, in one sentence."""
    needy = sum((bad := worst(each.claims or ())) is not None and needs_action(bad.severity) for each in shown)
    going = sum(is_running(each) for each in shown)
    when = f", {formatting.plain(formatting.span(window.start, window.end))}" if window.start > EPOCH else ""
    said = f"**{formatting.plural(len(shown), 'run')}**{when}"
    st.markdown(
        f"{said}; {formatting.plural(needy, 'needs', 'need')} a person"
        + (f"; {going} still {'runs' if going == 1 else 'run'}." if going else ".")
    )
    if len(shown) < len(everything):
        st.caption(
            f"{formatting.plural(len(everything) - len(shown), 'other run')} outside of the window or version; choose Everything in the sidebar to list all."
        )


def title(chosen: Sequence[Judged]) -> str:
    """The heading over the chosen runs."""
    return chosen[0].run.name if len(chosen) == 1 else f"{len(chosen)} runs compared"


def again(model: str | None, chosen: Sequence[Judged]) -> list[Judged]:
    """The same runs as the store has them now."""
    now = {each.run.name: each for each in load.training_runs(model)}
    return [now.get(each.run.name, each) for each in chosen]


def followed(chosen: Sequence[Judged]) -> None:
    """Which of the chosen runs go on, and how they stand."""
    going = [each for each in chosen if is_running(each)]
    for each in going:
        st.caption(
            formatting.plain(
                f"{each.run.name} goes on: {each.run.steps:,} steps, the newest at {stamp(each.run.last)}. This refreshes every 10 seconds."
            )
        )
    if st.session_state.get("was-running") and not going:
        st.session_state["was-running"] = False
        st.rerun()
    st.session_state["was-running"] = bool(going)


def state(judged: Judged) -> tuple[str | None, str]:
    """Severity and word for how a run stands."""
    said = {each.metric: each.severity for each in judged.claims or ()}
    if judged.run.failed:
        return "act", (judged.run.status or "failed").capitalize()[:16]
    if judged.run.ended is not None:
        return "ok", "Finished"
    if said.get("run_silence") == "act":
        return "act", "Silent"
    return ("unknown", "No end") if said.get("run_silence") == "unknown" else (None, "Running")


def is_running(judged: Judged) -> bool:
    """Whether a run still reports."""
    return state(judged)[1] == "Running"


def best_of(each: Run) -> tuple[Curve, int] | None:
    """The curve by which a run is known and the index of its best value."""
    curve = each.main()
    return (curve, curve.best()) if curve is not None else None


def drawn(everything: Sequence[Judged]) -> dict[str, Drawn]:
    """Energy, carbon and cost of each run, by its name: the same computation as of the pages about energy and cost."""
    of_model: dict[str, list[str]] = {}
    for each in everything:
        of_model.setdefault(each.run.model or "", []).append(each.run.name)
    always = Window("", EPOCH, load.now())
    named = (("run", tuple(sorted(each.run.name for each in everything))),)
    runs, resources = (load.records(replace(asked, ever=True, only=named), always) for asked in (energy.RUNS, energy.RESOURCES))
    found: dict[str, Drawn] = {}
    for model, names in of_model.items():
        place = Place(model, settings_of(model))
        prices = load.records(PRICES, replace(always, model=model))
        own = energy.runs_of(runs[runs["run"].isin(names)], resources[resources["run"].isin(names)], prices, place)
        costs = money.training_part(own, prices, place)[1].set_index("run")
        for name, wh, source, grams in zip(own["run"], own["wh"], own["source"], own["grams"]):
            amount = float(costs["amount"].get(name, float("nan")))
            known = amount == amount
            found[name] = Drawn(
                float(wh) if wh == wh else None, str(source), float(grams) if grams == grams else None, amount if known else None,
                str(costs["currency"].get(name)) if known else None,
            )  # fmt: skip
    return found


def settings_of(model: str) -> ModelSettings:
    """The owner's settings; the defaults of a model that is not known, or of none."""
    try:
        return load.catalog().model(model).settings
    except ObservabilityError:
        return ModelSettings()


def runs_table(shown: Sequence[Judged], costs: dict[str, Drawn], chosen: Sequence[str], scope: Scope) -> None:
    """Runs, the chosen ones and those that need a person first, then the newest, each with its worst finding under it; their CSV."""
    first = sorted(shown, key=lambda each: (each.run.name not in chosen, urgency(each) > 1))
    many = len(shown) > SHOWN_AT_FIRST + 2
    whole = not many or bool(st.session_state.get("all-runs"))
    rows = [as_row(each, costs.get(each.run.name, Drawn()), chosen, scope) for each in first[: MOST_LISTED if whole else SHOWN_AT_FIRST]]
    table("runs", "Training runs", COLUMNS, rows)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if many:
            st.toggle(f"List all {len(shown):,}", key="all-runs")
        frame.download("runs.csv", lambda: inert_csv(as_frame(shown, costs)), "CSV", key="runs-csv")
        if whole and len(shown) > MOST_LISTED:
            st.caption(f"The first {MOST_LISTED} of {len(shown):,}; the CSV holds all of them.")


def as_row(judged: Judged, cost: Drawn, chosen: Sequence[str], scope: Scope) -> dict[str, Any]:
    """One run as a row of the table."""
    each, found, (severity, word) = judged.run, best_of(judged.run), state(judged)
    bad = worst([claim for claim in judged.claims or () if needs_action(claim.severity)])
    target = links.link(each.name, "runs", scope, run=each.name)
    best: dict[str, Any] = {"t": formatting.DASH}
    if found:
        curve, place = found
        best = {"t": formatting.number(float(curve.values[place]), 4), "sub": f"{curve.name} at step {int(curve.steps[place]):,}"}
    energy_cell: dict[str, Any] = {"t": formatting.DASH, "title": "Neither readings nor duration and cores are known"}
    if cost.wh is not None:
        energy_cell = {
            "t": numerals.with_prefix(cost.wh, "Wh"), "mark": None if cost.source == "measured" else cost.source,
            "sub": numerals.with_prefix(cost.grams, "gCO₂e") if cost.grams is not None else None,
        }  # fmt: skip
    money_cell = (
        {"t": f"{formatting.number(cost.amount)} {cost.currency}", "title": f"{cost.amount:.6g} {cost.currency}"}
        if cost.amount is not None
        else {"t": formatting.DASH, "title": "No price record says"}
    )
    cells: dict[str, dict[str, Any]] = {
        "run": {**target, "sub": each.study},
        "status": {"s": severity, "t": word} if severity else {"t": word, "mark": "live"},
        "model": {"t": each.model or formatting.DASH, "sub": f"version {each.version}" if each.version else None},
        "started": {"t": formatting.minute(each.first)},
        "duration": {"t": duration(each.seconds)},
        "steps": {"t": f"{each.steps:,}", "sub": f"{len(each.ranks)} ranks" if len(each.ranks) > 1 else None},
        "best": best, "energy": energy_cell, "cost": money_cell,
    }  # fmt: skip
    note = {**target, "t": bad.because, "s": bad.severity} if bad else None
    return row(cells, note, selected=each.name in chosen)


def as_frame(shown: Sequence[Judged], costs: dict[str, Drawn]) -> "DataFrame":
    """The runs as the CSV has them."""
    import pandas as pd

    rows = []
    for judged in shown:
        each, found, cost = judged.run, best_of(judged.run), costs.get(judged.run.name, Drawn())
        bad = worst(judged.claims or ())
        rows.append(
            {
                "run": each.name, "model": each.model, "version": each.version, "study": each.study, "status": state(judged)[1],
                "started": each.first.isoformat(), "ended": each.ended.isoformat() if each.ended else None, "seconds": each.seconds,
                "steps": each.steps, "ranks": max(len(each.ranks), 1), "metric": found[0].name if found else None,
                "best": float(found[0].values[found[1]]) if found else None, "best_step": int(found[0].steps[found[1]]) if found else None,
                "energy_wh": cost.wh, "energy_source": cost.source, "carbon_g": cost.grams, "cost": cost.amount, "currency": cost.currency,
                "worst": bad.severity if bad else None, "because": bad.because if bad else None,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def choose_runs(everything: Sequence[Judged], shown: Sequence[Judged]) -> list[Judged]:
    """The runs that the address names, else the one that a person should look at first. One that is not there is said, and stays unchosen."""
    by_name = {each.run.name: each for each in everything}
    asked = st.query_params.get_all("run")
    for name in asked:
        if name not in by_name:
            st.warning(
                f"The link names the run {formatting.plain(name)}, which is not among the runs of this store or model.",
                icon=":material/link_off:",
            )
    named = [name for name in dict.fromkeys(asked) if name in by_name]
    options = list(dict.fromkeys([*(each.run.name for each in shown), *named]))
    st.session_state["run-box"] = named[:MOST_COMPARED]

    def write() -> None:
        st.query_params["run"] = st.session_state["run-box"]

    st.multiselect(
        "Runs", options, key="run-box", on_change=write, max_selections=MOST_COMPARED, width=620,
        placeholder="The one that needs a person first; choose one, or several to compare",
    )  # fmt: skip
    if named:
        return [by_name[name] for name in named[:MOST_COMPARED]]
    return [min(shown, key=urgency)] if shown else []


def urgency(judged: Judged) -> int:
    """0: act, 1: watch, 2: unknown, 3: fine; 4 where it was not judged."""
    bad = worst(judged.claims or ())
    return SEVERITIES.index(bad.severity) if bad else len(SEVERITIES)


def claims(chosen: Sequence[Judged]) -> None:
    """What is claimed about the chosen runs, one sentence each."""
    for judged in chosen:
        if judged.claims is None:
            st.caption(
                formatting.plain(f"{judged.run.name} is older than many others and was not judged here; check its days to judge it.")
            )
        for each in sorted(judged.claims or (), key=lambda one: (SEVERITIES.index(one.severity), -one.rank)):
            st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")


def facts(chosen: Sequence[Judged], costs: dict[str, Drawn]) -> None:
    """What each chosen run ran on, and its best checkpoint."""
    for judged in chosen:
        each, found = judged.run, best_of(judged.run)
        parts = [f"{name.replace('_', ' ')} {value}" for name, value in each.hardware.items() if isinstance(value, str | int | float)]
        words = [f"Hardware: {', '.join(parts)}." if parts else "No hardware was logged."]
        words += [f"Dataset: {each.dataset}."] if each.dataset else []
        if found:
            curve, place = found
            words.append(
                f"Best checkpoint: step {int(curve.steps[place]):,} ({curve.name} {formatting.number(float(curve.values[place]), 4)}, {stamp(curve.when(place))})."
            )
        cost = costs.get(each.name, Drawn())
        if cost.wh is not None:
            words.append(f"Energy: {numerals.with_prefix(cost.wh, 'Wh')}, {cost.source}.")
        st.markdown(f"**{formatting.plain(each.name)}** :gray[{formatting.plain(' '.join(words))}]")


def stamp(instant: datetime) -> str:
    """A time with seconds."""
    return f"{formatting.minute(instant)}:{instant:%S} UTC"
