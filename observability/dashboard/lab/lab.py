"""The scenario lab: the choice of a fault in predictions, the running job, and the timeline of findings."""

import json
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import UsageError
from observability.dashboard import empty_states, frame
from observability.dashboard.background_job import Note, draw_job
from observability.dashboard.cells import UNKNOWN_CELL, severity_cell
from observability.dashboard.charts import lab as charts_lab
from observability.dashboard.choice_box import address_writer
from observability.dashboard.frame import ModelPage
from observability.dashboard.lab import load_lab
from observability.dashboard.lab.job import LAB
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import claim_line, csv_button, plain_caption, status_line
from observability.simulation.fault import Strength

if TYPE_CHECKING:
    from observability.simulation.fault_targets import FaultTargets
    from observability.simulation.timeline import FaultTimeline, TimelineIncident, TimelineRequest

STRENGTHS: dict[Strength, str] = {"weak": "Weak: the smallest effect that matters", "middle": "Middle", "strong": "Strong"}
DELAYS = {0: "At once", 7: "A week late", 30: "A month late"}
SIMULATED = ":orange-badge[:material/science: simulated]"
DAY_COLUMNS = (
    column("day", "Day", width="4rem"),
    column("status", "Status", width="6.5rem"),
    column("because", "Finding", wide=True, help="The lead finding of each incident, and its subject"),
    column("with", "Related", align="right", help="Further findings of the incident", width="5rem"),
)


FAULT_KINDS = {"predictions": "Predictions", "training": "Training runs", "labelling": "Labelling"}
"""The kinds of records in which a fault can be planted."""


def fault_kind() -> str:
    """Return the chosen kind of fault, which is a parameter of the address."""
    named = st.query_params.get("of", "predictions")
    kinds, default = list(FAULT_KINDS), named if named in FAULT_KINDS else "predictions"
    words = FAULT_KINDS.__getitem__
    found = st.segmented_control("Fault in", kinds, default=default, format_func=words, key="lab-of", on_change=_change_kind)
    return found or "predictions"


def _change_kind() -> None:
    """Remove the fault of the former kind from the address; called when another kind is chosen."""
    st.query_params["of"] = str(st.session_state["lab-of"] or "predictions")
    for key in ("fault", "run"):
        st.query_params.pop(key, None)


def query_number(key: str, usual: int, options: "tuple[int, ...]") -> int:
    """Return a number in the address; the default if there is no number or it is not offered."""
    try:
        found = int(st.query_params.get(key, usual))
    except ValueError:
        return usual
    return found if found in options else usual


def parameter_box(
    side: Any,
    label: str,
    parameter: str,
    options: Sequence[Any],
    default: Any,
    words: Callable[[Any], str],
    *,
    prefix: str = "lab",
    note: str | None = None,
) -> Any:
    """Draw a box and return its choice, which is a parameter of the address. side: the layout column of the box. prefix: the beginning of
    the box's key. note: its help.
    """
    key, texts = f"{prefix}-{parameter}", [str(option) for option in options]
    named = st.query_params.get(parameter, str(default))
    place = texts.index(named) if named in texts else list(options).index(default)
    return side.selectbox(label, options, place, format_func=words, key=key, on_change=address_writer(parameter, key, str), help=note)


def chosen_fault(here: ModelPage) -> "tuple[FaultTargets, TimelineRequest, str | None]":
    """Return the targets of faults in the clean log, the choice in the boxes, and why the fault cannot be planted on this model (None if it
    can).
    """
    from observability.simulation.faults import FAULTS
    from observability.simulation.timeline import TimelineRequest, fault_obstacles

    with st.container(border=True, key="lab-choice"):
        left, right = st.columns([2, 1], gap="medium")
        seed = query_number("seed", 0, tuple(range(100)))
        try:
            with st.spinner("Reading the model's log"):
                scene = load_lab.lab_scene(here.model.name, seed)
        except UsageError as error:
            step = "The lab draws clean days from a model's past or reference."
            empty_states.stop_with_empty_state(formatting.error_markdown(error), step, "add_model", "Register")
        cannot = fault_obstacles(scene)
        names = sorted(FAULTS, key=lambda name: (cannot[name] is not None, FAULTS[name].section, name))
        titles = {name: FAULTS[name].title + ("" if cannot[name] is None else " (not on this model)") for name in names}
        fault = parameter_box(left, "Fault", "fault", names, names[0], titles.__getitem__)
        strength = parameter_box(right, "Strength", "strength", list(STRENGTHS), "middle", STRENGTHS.__getitem__)
        chosen = FAULTS[fault]
        targets = " and ".join(f"`{name}`" for name in scene.target(chosen.needs).values()) if cannot[fault] is None else ""
        claim_line(f"{chosen.description} At this strength: {chosen.size(strength)}.", details=[f"Target: {targets}."] if targets else [])
        first, second, third, fourth = st.columns(4, gap="medium")
        days = parameter_box(first, "Days with the fault", "days", (3, 7, 14, 28), 7, lambda days: formatting.plural(days, "day"))
        rows = parameter_box(second, "Predictions per day", "rows", (200, 500, 1000, 5000, 20_000), 1000, lambda rows: f"{rows:,}")
        delay = parameter_box(third, "Label delay", "delay", tuple(DELAYS), 0, DELAYS.__getitem__)
        note = "Another seed takes other rows, and may choose another feature, slice or replica"
        parameter_box(fourth, "Seed", "seed", tuple(range(10)), 0, lambda number: str(number + 1), note=note)
        return scene, TimelineRequest(here.model.name, fault, strength, days, rows, delay, seed), cannot[fault]


def plant_prediction_fault(scene: "FaultTargets", choice: "TimelineRequest", why: str | None) -> None:
    """Draw the button that plants a fault in predictions, and the running job."""
    from observability.simulation.timeline import build_fault_timeline

    title = f"{choice.fault.replace('_', ' ')} on {choice.model}"
    takes = "Takes half a minute to a few minutes"
    plant_fault(choice, title, lambda note: build_fault_timeline(scene, choice, note), why, takes, model=choice.model)


def plant_fault(choice: Hashable, title: str, tell: Callable[[Note], Any], why: str | None, takes: str, model: str | None = None) -> None:
    """Draw the button that starts the job, or the running job. why: why the fault cannot be planted, None if it can. takes: the duration in
    words. model: the model of the job.
    """
    job = LAB.current()
    ahead = 0 if job is None or job.done else 1 + len(LAB.waiting)
    place = LAB.place(choice)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        label = "Join the queue" if ahead else "Plant"
        pressed = st.button(
            label, icon=":material/science:", key="lab-run", disabled=place is not None or ahead > LAB.line or why is not None
        )
        if place:
            st.button("Leave the queue", icon=":material/close:", key="lab-leave", on_click=LAB.leave, args=(choice,))
            st.caption(f"Place {place} of {len(LAB.waiting)} in the queue. You may leave this page.")
        elif place == 0:
            st.caption("Running. You may leave this page.")
        elif why is not None:
            plain_caption(f"Not possible on this model: {why}.")
        elif ahead:
            line = "The queue is full." if ahead > LAB.line else f"{formatting.plural(ahead, 'run')} before it."
            st.caption(f"Another fault is being planted. {line} {takes}.")
        else:
            st.caption(f"{takes}; the dashboard is slower meanwhile. Your store does not change.")
    if pressed and LAB.start(choice, title, tell, model=model):
        st.rerun()
    if place is None and (failure := LAB.failure(choice)):
        st.warning(formatting.error_markdown(failure), icon=":material/info:")
    if ahead:
        draw_job(LAB, "lab")


def fault_timeline_section(told: "FaultTimeline") -> None:
    """Draw the result, the chart by day, the table and the downloads."""
    identified = told.first_named is not None or not told.target
    with st.container(border=True, key="lab-answer"):
        detection_status(told.sentence, detected=told.first_said is not None, identified=identified, has_target=bool(told.target))
        with st.container(horizontal=True, gap="large"):
            st.metric("First detected", "never" if told.first_said is None else f"day {told.first_said}", width="content")
            if told.target:
                st.metric("First identified", "never" if told.first_named is None else f"day {told.first_named}", width="content")
            note = "Maximum on one day, without the first incident and those that also occur without the fault"
            st.metric("Other critical incidents", f"{told.others}", help=note, width="content")
        plain_caption(f"{told.source_note} Each day is judged as of its end, with only what had arrived by then.")
    also = _show_twins_toggle(told)
    rows = pd.DataFrame(told.rows())
    shown = rows[rows["severity"].isin(["act", "watch"]) & (also | ~rows["also_without_fault"].fillna(False).astype(bool))].copy()
    if not shown.empty:
        shown["what"] = [claim_words(*claim) for claim in shown[["subject", "slice", "metric"]].itertuples(index=False)]
        columns = ["day", "what", "severity", "because", "also_without_fault"]
        figure = charts_lab.fault_timeline(shown, len(told.planted))
        frame.chart_with_table(figure, shown[columns], key="lab-timeline", alt=told.sentence.replace("`", ""))
    st.header("Day by day", anchor=False)
    draw_table("lab-said", "Findings of each day", DAY_COLUMNS, [_day_row(*line) for line in timeline_day_rows(told, also=also)])
    result_downloads(f"lab-{told.choice.model}-{told.fault.name}-{told.choice.strength}", rows, told.to_json())


def detection_status(sentence: str, *, detected: bool, identified: bool, has_target: bool = True) -> None:
    """Draw the result of a planted fault: not detected, detected, or identified with its target."""
    status = "unknown" if not detected else "ok" if identified else "watch"
    word = "Not detected" if not detected else "Identified" if identified and has_target else "Detected"
    st.markdown(f"{SIMULATED} {status_line(status, sentence, word)}")


def result_downloads(stem: str, rows: pd.DataFrame, result: Any) -> None:
    """Draw the result as CSV and JSON."""
    with st.container(horizontal=True, gap="small"):
        csv_button(stem, lambda: rows.assign(basis="simulated"), key="lab-csv", has_groups=False)
        content = partial(json.dumps, result, indent=2, default=str)
        frame.download_button(f"{stem}.json", content, "JSON", key="lab-json", kind="application/json")


def claim_words(subject: str, part: str | None, metric: str) -> str:
    """Subject, slice and metric of a finding in a few words."""
    about = "the model" if subject == "model" else subject
    where = f" in {formatting.slice_in_words(part)}" if part and part == part else ""
    return f"{about}{where}: {formatting.metric_title(metric)}"


def _show_twins_toggle(told: "FaultTimeline") -> bool:
    """Draw a toggle that shows incidents that also occur without the fault, which are hidden by default; return whether it is on."""
    twins = sum(each.twin for each in told.reported())
    if not twins:
        return False
    own = sum(any(one.severity == "act" for one in day.incidents) for day in told.twin)
    if own:
        st.caption(f"{own} of {len(told.twin)} days have a critical incident even without the fault.")
    words = formatting.plural(twins, "incident")
    return st.toggle(f"Show incidents that also occur without the fault ({words})", key="lab-also", help="Over all days")


def timeline_day_rows(told: "FaultTimeline", *, also: bool) -> "list[tuple[int, TimelineIncident | None]]":
    """Return each incident with its day, and a row for each day without an incident. also: whether incidents that occur without the fault
    are included.
    """
    said = [each for each in told.reported() if also or not each.twin]
    found: list[tuple[int, TimelineIncident | None]] = []
    for day in told.planted:
        mine = [each for each in said if each.day is day]
        found += [(day.number, each) for each in mine] or [(day.number, None)]
    return found


def _day_row(day: int, said: "TimelineIncident | None") -> dict[str, Any]:
    """Return one row of the table. said: an incident; None for a day without one."""
    cells: dict[str, Cell] = {"day": {"t": str(day)}}
    if said is None:
        return table_row(
            cells | {"status": severity_cell("ok"), "because": {"t": "No finding due to the fault."}, "with": dict(UNKNOWN_CELL)}
        )
    incident, lead = said.incident, said.incident.lead
    under = [formatting.metric_title(lead.metric), *([] if lead.subject == "model" else [lead.subject])]
    under += [formatting.slice_in_words(lead.slice)] if lead.slice else []
    under += [charts_lab.ALSO] if said.twin else ["identifies the target"] if said.names else []
    because = {"t": lead.because.replace("`", ""), "sub": " · ".join(under), "mark": "simulated"}
    related = {"t": f"{len(incident.collateral):,}"}
    return table_row(cells | {"status": severity_cell(incident.severity), "because": because, "with": related})


def no_timeline_yet() -> None:
    """Draw the empty state that is shown before a fault is planted."""
    empty_states.empty_state(
        "Choose a fault and plant it in a copy of this model's log. Each day is then checked as of its end.",
        "Works on any model with a reference. Every figure on this page is simulated.",
    )
