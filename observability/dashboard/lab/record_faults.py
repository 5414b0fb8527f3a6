"""Faults in training runs and labelling in the scenario lab: the choice, and the findings by step or day."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.background_job import Note
from observability.dashboard.cells import severity_cell
from observability.dashboard.charts import lab as charts_lab
from observability.dashboard.frame import ModelPage
from observability.dashboard.lab import lab
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.training import load_runs
from observability.dashboard.widgets import plain_caption
from observability.simulation.fault import Strength

if TYPE_CHECKING:
    from observability.simulation.detection_result import RecordDetection

NEWEST_RUN = ""
"""Stands for the newest clean run in which the fault can be planted."""


@dataclass(frozen=True)
class RecordFaultChoice:
    """The choice in the boxes. of: "training" or "labelling". run: the name of a run, or "" for the newest clean run."""

    of: str
    model: str
    fault: str
    strength: Strength
    seed: int
    run: str = NEWEST_RUN


def _record_faults(of: str) -> dict[str, Any]:
    """The faults of training runs, or of labelling."""
    from observability.simulation import faults_labelling, faults_training

    return dict(faults_training.FAULTS if of == "training" else faults_labelling.FAULTS)


def chosen_record_fault(here: ModelPage, of: str) -> RecordFaultChoice:
    """Draw the boxes with a sentence on the fault, and return the choice."""
    faults = _record_faults(of)
    names, strengths = sorted(faults), list(lab.STRENGTHS)
    runs = [NEWEST_RUN, *(each.run.name for each in load_runs.analyzed_training_runs(here.model.name))] if of == "training" else []
    if of == "training" and len(runs) == 1:
        message, step = "No training run of this model has been logged yet.", "The fault is planted in a copy of a run's records."
        empty_states.stop_with_empty_state(message, step, "runs", "How to log one")
    run, prefix = NEWEST_RUN, f"lab-{of}"
    with st.container(border=True, key="lab-choice"):
        left, right = st.columns([2, 1], gap="medium")
        fault = lab.parameter_box(left, "Fault", "fault", names, names[0], lambda name: str(faults[name].title), prefix=prefix)
        strength = lab.parameter_box(right, "Strength", "strength", strengths, "middle", lab.STRENGTHS.__getitem__, prefix=prefix)
        chosen = faults[fault]
        st.markdown(f"{formatting.escape_markdown(chosen.description)} :gray[{formatting.escape_markdown(chosen.size(strength))}]")
        left, right = st.columns([2, 1], gap="medium")
        if runs:
            titles = {NEWEST_RUN: "Newest suitable clean run"} | {name: name for name in runs if name}
            run = lab.parameter_box(left, "Run", "run", runs, NEWEST_RUN, titles.__getitem__, prefix=prefix)
        side, note = right if runs else left, "Another seed may choose another rank, annotator or item"
        seed = lab.parameter_box(side, "Seed", "seed", tuple(range(10)), 0, lambda number: str(number + 1), prefix=prefix, note=note)
    return RecordFaultChoice(of, here.model.name, fault, strength, seed, run)


def plant_record_fault(here: ModelPage, choice: RecordFaultChoice) -> None:
    """Draw the button that plants the fault, and the running job."""
    store, now = load.store(), load.page_clock()

    def tell(note: Note) -> "RecordDetection":
        """Plant the fault, and run the checks one after the other."""
        from observability.simulation import labelling_replay, training_replay

        fault = _record_faults(choice.of)[choice.fault]
        note(0.1, "reading the records")
        if choice.of == "training":
            return training_replay.replay_on_run(
                store.ask, fault, choice.strength, now, model=choice.model, name=choice.run or None, seed=choice.seed
            )
        project = labelling_replay.labelling_records(store, here.model, now, choice.seed)
        note(0.5, "judging each day with and without the fault")
        return labelling_replay.replay_labelling_fault(project, here.model, fault, choice.strength, choice.seed)

    title = f"{choice.fault.replace('_', ' ')} on {choice.run or choice.model}"
    lab.plant_fault(choice, title, tell, None, "Takes some seconds", model=choice.model)


def record_fault_result(choice: RecordFaultChoice, told: "RecordDetection") -> None:
    """Draw the result, the chart by step or day, the table and the downloads."""
    with st.container(border=True, key="lab-answer"):
        lab.detection_status(told.sentence, detected=told.first_said is not None, identified=told.first_named is not None)
        with st.container(horizontal=True, gap="large"):
            for label, steps in (("First detected", told.first_said), ("First identified", told.first_named)):
                st.metric(label, "never" if steps is None else f"after {formatting.plural(steps, told.unit)}", width="content")
        detail = f" ({told.detail})" if told.detail else ""
        where = f"{told.kind} {told.name}, from {told.unit} {told.onset:,} of {told.size:,}"
        falls = f"Target: {told.target}{detail} of the {where}."
        plain_caption(f"{falls} {told.about} Each check uses only what had been logged by then.")
    rows = pd.DataFrame(told.rows())
    after = f"{told.unit}s_after"
    shown = rows[rows["severity"].isin(["act", "watch"])].copy()
    if not shown.empty:
        shown["what"] = [lab.claim_words(subject, None, metric) for subject, metric in zip(shown["subject"], shown["metric"], strict=True)]
        columns = [told.unit, "what", "severity", "because", "also_without_fault"]
        drawn = shown.assign(also_without_fault=False, **{told.unit: shown[after]})[columns]
        figure = charts_lab.fault_timeline(drawn, max(each.after for each in told.looks), unit=told.unit)
        frame.chart_with_table(figure, drawn.drop(columns="also_without_fault"), key="lab-timeline", alt=told.sentence.replace("`", ""))
    st.header(f"{told.unit.capitalize()} by {told.unit}", anchor=False)
    table_columns = (
        column("at", told.unit.capitalize(), width="4.5rem"),
        column("status", "Status", width="6.5rem"),
        column("because", "Finding", wide=True, help="Findings that need attention and do not occur without the fault"),
    )
    lines = [_look_row(look, told.unit) for look in told.rows()]
    draw_table("lab-said", f"Findings at each checked {told.unit}", table_columns, lines)
    lab.result_downloads(f"lab-{told.name}-{choice.fault}-{choice.strength}", rows, told.to_json())


def _look_row(said: dict[str, Any], unit: str) -> dict[str, Any]:
    """One row of the table."""
    because: dict[str, Any] = {"t": str(said["because"]).replace("`", "")}
    if said["metric"]:
        under = [formatting.metric_title(said["metric"]), said["subject"], *(["identifies the target"] if said["named"] else [])]
        because |= {"sub": " · ".join(under), "mark": "simulated"}
    return table_row(at=f"{said[unit]:,}", status=severity_cell(said["severity"]), because=because)


def no_record_result_yet(of: str) -> None:
    """Draw the empty state that is shown before a fault is planted."""
    copies = {
        "training": "of a training run's records. The run is then checked at ten points from there to its end.",
        "labelling": "of the model's labelling records, or in a simulated project if it has too few. Each day of a week is then checked.",
    }
    message = f"Choose a fault and plant it in a copy {copies[of]}"
    empty_states.empty_state(message, "Every figure on this page is simulated.")
