"""What does the lab show of faults of training runs and of labelling: the choice, and what was said step by step or day by day?"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.charts import lab as charts_lab
from observability.dashboard.frame import Here
from observability.dashboard.lab import job, lab
from observability.dashboard.table import column, row, table
from observability.export.csv import inert_csv
from observability.simulation.fault import Strength

if TYPE_CHECKING:
    from observability.simulation.detection_result import Told

NEWEST = ""
"""Of the runs: the newest clean one that can have the fault."""


@dataclass(frozen=True)
class Choice:
    """What a person asks for. of: "training" or "labelling"; run: its name, "" for the newest clean one."""

    of: str
    model: str
    fault: str
    strength: Strength
    seed: int
    run: str = NEWEST


def faults_of(of: str) -> dict[str, Any]:
    """The faults of training runs, or of labelling."""
    from observability.simulation import faults_labelling, faults_training

    return dict(faults_training.FAULTS if of == "training" else faults_labelling.FAULTS)


def choose(here: Here, of: str) -> Choice:
    """The boxes, and a sentence on what is planted."""
    faults = faults_of(of)
    names, strengths = sorted(faults), list(lab.STRENGTHS)
    runs = [NEWEST, *(each.run.name for each in load.training_runs(here.model.name))] if of == "training" else []
    if of == "training" and len(runs) == 1:
        empty_states.nothing("No training run of this model has been logged yet.", "A fault of training is planted on a copy of a run's steps.", "runs", "How to log one")  # fmt: skip
        st.stop()
    named, at, whose = st.query_params.get("fault"), st.query_params.get("strength", "middle"), st.query_params.get("run", NEWEST)
    with st.container(border=True, key="lab-choice"):
        left, right = st.columns([2, 1], gap="medium")
        with left:
            fault = st.selectbox(
                "Fault", names, index=names.index(named) if named in names else 0, key=f"lab-{of}-fault", format_func=lambda name: faults[name].title,
                on_change=write, args=(of, "fault"),
            )  # fmt: skip
        with right:
            strength = st.selectbox(
                "Strength", strengths, index=strengths.index(at) if at in strengths else 1, key=f"lab-{of}-strength",
                format_func=lambda each: lab.STRENGTHS[each], on_change=write, args=(of, "strength"),
            )  # fmt: skip
        chosen = faults[fault]
        st.markdown(f"{formatting.plain(chosen.told)} :gray[{formatting.plain(chosen.size(strength))}]")
        left, right = st.columns([2, 1], gap="medium")
        if runs:
            with left:
                whose = st.selectbox(
                    "Run", runs, index=runs.index(whose) if whose in runs else 0, key=f"lab-{of}-run", on_change=write, args=(of, "run"),
                    format_func=lambda name: name or "The newest clean one that can have it",
                )  # fmt: skip
        with right if runs else left:
            held = lab.number("seed", 0, tuple(range(10)))
            seed = st.selectbox(
                "Draw", tuple(range(10)), index=held, key=f"lab-{of}-seed", format_func=lambda each: f"No. {each + 1}", on_change=write,
                args=(of, "seed"), help="Another draw may choose another process, annotator or item",
            )  # fmt: skip
    return Choice(of, here.model.name, fault, strength, seed, whose if runs else NEWEST)


def write(of: str, key: str) -> None:
    """A changed box writes the address."""
    st.query_params[key] = str(st.session_state[f"lab-{of}-{key}"])


def run(here: Here, choice: Choice) -> None:
    """The button that plants the fault, and the work under way."""
    store, now = load.store(), load.now()

    def tell(note: job.Note) -> "Told":
        """Plant it, and judge it look by look."""
        from observability.simulation import labelling_replay, training_replay
        from observability.store.query import records

        fault = faults_of(choice.of)[choice.fault]
        note(0.1, "reading the records")
        if choice.of == "training":
            return training_replay.on_a_run(
                lambda question, window: records.fetch(store, question, window), fault, choice.strength, now,
                model=choice.model, name=choice.run or None, seed=choice.seed,
            )  # fmt: skip
        project = labelling_replay.project_of(store, here.model, now, choice.seed)
        note(0.5, "judging each day with the fault and without it")
        return labelling_replay.tell(project, here.model, fault, choice.strength, choice.seed)

    lab.plant(choice, f"{choice.fault.replace('_', ' ')} on {choice.run or choice.model}", tell, None, "Takes some seconds")


def show(choice: Choice, told: "Told") -> None:
    """The answer, the chart by step or day, the table, and what to take along."""
    import pandas as pd

    status = "unknown" if told.first_said is None else "ok" if told.first_named is not None else "watch"
    word = "Not said" if told.first_said is None else "Named" if told.first_named is not None else "Said"
    with st.container(border=True, key="lab-answer"):
        st.markdown(f"{lab.SIMULATED} {formatting.status(status, word)}: {formatting.sentence(told.sentence)}")
        with st.container(horizontal=True, gap="large"):
            for label, steps in (("First said", told.first_said), ("First named", told.first_named)):
                st.metric(label, "never" if steps is None else f"after {formatting.plural(steps, told.unit)}", width="content")
        falls = f"It falls on {told.target}{f' ({told.detail})' if told.detail else ''} of the {told.kind} {told.name}, from {told.unit} {told.onset:,} of {told.size:,} on."
        st.caption(formatting.plain(f"{falls} {told.about} Each look sees only what had been logged by then."))
    rows = pd.DataFrame(told.rows())
    after = f"{told.unit}s_after"
    shown = rows[rows["severity"].isin(["act", "watch"])].copy()
    if not shown.empty:
        shown["what"] = [lab.name_of(subject, None, metric) for subject, metric in zip(shown["subject"], shown["metric"], strict=True)]
        drawn = shown.assign(also_without_fault=False, **{told.unit: shown[after]})[
            [told.unit, "what", "severity", "because", "also_without_fault"]
        ]
        figure = charts_lab.timeline(drawn, max(each.after for each in told.looks), unit=told.unit)
        frame.chart(figure, drawn.drop(columns="also_without_fault"), key="lab-timeline", alt=told.sentence.replace("`", ""))
    st.header(f"{told.unit.capitalize()} by {told.unit}", anchor=False)
    columns = (
        column("at", told.unit.capitalize(), width="4.5rem"),
        column("status", "Status", width="6.5rem"),
        column("because", "What was said", wide=True, help="What needs a person and is not also said without the fault"),
    )
    table("lab-said", f"What was said at each {told.unit} that was looked at", columns, [as_row(each, told.unit) for each in told.rows()])
    stem = f"lab-{told.name}-{choice.fault}-{choice.strength}"
    with st.container(horizontal=True, gap="small"):
        frame.download(f"{stem}.csv", lambda: inert_csv(rows.assign(basis="simulated")), "CSV", key="lab-csv")
        frame.download(
            f"{stem}.json", lambda: json.dumps(told.to_json(), indent=2, default=str), "JSON", key="lab-json", kind="application/json"
        )


def as_row(said: dict[str, Any], unit: str) -> dict[str, Any]:
    """One row of the table."""
    because: dict[str, Any] = {"t": str(said["because"]).replace("`", "")}
    if said["metric"]:
        under = [formatting.metric_title(said["metric"]), said["subject"], *(["names what the fault falls on"] if said["named"] else [])]
        because |= {"sub": " · ".join(under), "mark": "simulated"}
    status = {"s": said["severity"], "t": formatting.STATUS_WORDS[said["severity"]]}
    return row({"at": {"t": f"{said[unit]:,}"}, "status": status, "because": because})


def nothing_yet(of: str) -> None:
    """Nothing was planted with this choice."""
    what = (
        "a training run's steps"
        if of == "training"
        else "the model's labelling records (or a simulated clean project where it has too few)"
    )
    empty_states.nothing(
        f"Choose a fault and plant it: the fault is put into a copy of {what}, and {'ten looks from there to its end are' if of == 'training' else 'each day of a week is'}"
        " judged as they would have been.",
        "Every figure on this page is simulated.",
    )
