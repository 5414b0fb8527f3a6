"""What does the lab page show: the choice of a fault, the work under way, and the timeline of what was said?"""

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import UsageError
from observability.dashboard import empty_states, frame
from observability.dashboard.charts import lab as charts_lab
from observability.dashboard.frame import Here
from observability.dashboard.lab import job as lab_job
from observability.dashboard.lab import load_lab
from observability.dashboard.table import column, row, table
from observability.export.csv import inert_csv
from observability.simulation.fault import Strength

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from observability.simulation.fault_targets import Scene
    from observability.simulation.timeline import Choice, Said, Timeline

STRENGTHS: dict[Strength, str] = {"weak": "Weak: the smallest effect that matters", "middle": "Middle", "strong": "Strong"}
DELAYS = {0: "At once", 7: "A week late", 30: "A month late"}
SIMULATED = ":orange-badge[:material/science: simulated]"
DAY_COLUMNS = (
    column("day", "Day", width="4rem"),
    column("status", "Status", width="6.5rem"),
    column("because", "What was said", wide=True, help="What a person reads first of each incident, and who and what it is about"),
    column("with", "With it", align="right", help="Further findings of the same incident", width="5rem"),
)


OF = {"predictions": "Predictions", "training": "Training runs", "labelling": "Labelling"}
"""What a fault can be planted in."""


def kind() -> str:
    """What the fault is one of, which the address keeps."""
    named = st.query_params.get("of", "predictions")
    found = st.segmented_control(
        "A fault of", list(OF), default=named if named in OF else "predictions", format_func=OF.__getitem__, key="lab-of", on_change=turn
    )
    return found or "predictions"


def turn() -> None:
    """Another kind of fault was chosen: the address forgets the fault of the other."""
    st.query_params["of"] = str(st.session_state["lab-of"] or "predictions")
    for key in ("fault", "run"):
        st.query_params.pop(key, None)


def number(key: str, usual: int, options: "tuple[int, ...]") -> int:
    """A choice of the address that is a number; the usual one where it says none, or none that is offered."""
    try:
        found = int(st.query_params.get(key, usual))
    except ValueError:
        return usual
    return found if found in options else usual


def choose(here: Here) -> "tuple[Scene, Choice, str | None]":
    """The boxes. Gives the scene, the choice, and why the fault cannot be planted on this model."""
    from observability.simulation.faults import FAULTS
    from observability.simulation.timeline import Choice, possible

    with st.container(border=True, key="lab-choice"):
        left, right = st.columns([2, 1], gap="medium")
        seed = number("seed", 0, tuple(range(100)))
        try:
            with st.spinner("Reading the model's log"):
                scene = load_lab.scene(here.model.name, seed)
        except UsageError as error:
            empty_states.nothing(
                formatting.plain(str(error)), "The lab draws clean days from a model's past or reference.", "add_model", "Register"
            )
            st.stop()
        cannot = possible(scene)
        names = sorted(FAULTS, key=lambda name: (cannot[name] is not None, FAULTS[name].section, name))
        named = st.query_params.get("fault")
        with left:
            fault = st.selectbox(
                "Fault", names, index=names.index(named) if named in names else 0, key="lab-fault", on_change=write, args=("fault",),
                format_func=lambda name: FAULTS[name].title if cannot[name] is None else f"{FAULTS[name].title} (not on this model)",
            )  # fmt: skip
        strengths = list(STRENGTHS)
        at = st.query_params.get("strength", "middle")
        with right:
            strength = st.selectbox(
                "Strength", strengths, index=next((place for place, each in enumerate(strengths) if each == at), 1), key="lab-strength", on_change=write, args=("strength",),
                format_func=lambda each: STRENGTHS[each],
            )  # fmt: skip
        chosen = FAULTS[fault]
        whom = " and ".join(f"`{each}`" for each in scene.target(chosen.needs).values()) if cannot[fault] is None else ""
        st.markdown(
            f"{formatting.plain(chosen.told)} {f'It falls on {whom}.' if whom else ''} :gray[{formatting.plain(chosen.size(strength))}]"
        )
        boxes = st.columns(4, gap="medium")
        days = box(boxes[0], "Days with the fault", "days", 7, (3, 7, 14, 28), lambda each: formatting.plural(each, "day"))
        rows = box(boxes[1], "Predictions a day", "rows", 1000, (200, 500, 1000, 5000, 20_000), lambda each: f"{each:,}")
        delay = box(boxes[2], "Labels come", "delay", 0, tuple(DELAYS), lambda each: DELAYS[each])
        box(
            boxes[3],
            "Draw",
            "seed",
            0,
            tuple(range(10)),
            lambda each: f"No. {each + 1}",
            "Another draw takes other rows, and may choose another feature, slice or replica",
        )
        return scene, Choice(here.model.name, fault, strength, days, rows, delay, seed), cannot[fault]


def box(where: Any, label: str, key: str, usual: int, options: tuple[int, ...], words: Any, told: str | None = None) -> int:
    """A box of a few numbers that is kept in the address."""
    held = number(key, usual, options)
    with where:
        found: int = st.selectbox(
            label, options, index=options.index(held), key=f"lab-{key}", format_func=words, on_change=write, args=(key,), help=told
        )
    return found


def write(key: str) -> None:
    """A changed box writes the address."""
    st.query_params[key] = str(st.session_state[f"lab-{key}"])


def run(scene: "Scene", choice: "Choice", why: str | None) -> None:
    """The button that plants a fault in predictions, and the work under way."""
    from observability.simulation.timeline import tell

    plant(
        choice,
        f"{choice.fault.replace('_', ' ')} on {choice.model}",
        lambda note: tell(scene, choice, note),
        why,
        "Takes half a minute to some minutes",
    )


def plant(choice: "Hashable", title: str, tell: "Callable[[lab_job.Note], Any]", why: str | None, takes: str) -> None:
    """The button that starts the work; the work under way. why: why it cannot be planted; takes: how long it takes, in words."""
    job = lab_job.current()
    busy = job is not None and not job.done
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button("Plant it", icon=":material/science:", key="lab-run", disabled=busy or why is not None)
        if why is not None:
            st.caption(formatting.plain(f"Not on this model: {why}."))
        else:
            st.caption(f"{takes}; the dashboard answers more slowly meanwhile. Nothing of your store is changed.")
    if pressed and lab_job.start(choice, title, tell):
        st.rerun()
    if busy:
        progress()
    elif job is not None and job.failure:
        st.warning(formatting.plain(job.failure), icon=":material/info:")


@st.fragment(run_every=1.0)
def progress() -> None:
    """How far the work is, and a way to stop it."""
    job = lab_job.current()
    if job is None or job.done:
        st.rerun()
        return
    st.progress(min(job.share, 1.0), formatting.plain(f"{job.title}: {job.words}"))
    st.button("Cancel", icon=":material/close:", key="lab-cancel", on_click=lab_job.cancel, disabled=job.stop.is_set())


def show(told: "Timeline") -> None:
    """The answer, the chart by day, the table, and what to take along."""
    import pandas as pd

    status = "unknown" if told.first_said is None else "ok" if told.first_named is not None or not told.target else "watch"
    word = "Not said" if told.first_said is None else "Named" if status == "ok" and told.target else "Said"
    with st.container(border=True, key="lab-answer"):
        st.markdown(f"{SIMULATED} {formatting.status(status, word)}: {formatting.sentence(told.sentence)}")
        with st.container(horizontal=True, gap="large"):
            st.metric("First said", "never" if told.first_said is None else f"day {told.first_said}", width="content")
            if told.target:
                st.metric("First named", "never" if told.first_named is None else f"day {told.first_named}", width="content")
            st.metric(
                "Other incidents to act on",
                f"{told.others}",
                help="The most of one day, beside the first, that are not also said without the fault",
                width="content",
            )
        st.caption(formatting.plain(f"{told.told} Each day is judged as of its end, with only what had arrived by then."))
    also = with_twins(told)
    rows = pd.DataFrame(told.rows())
    shown = rows[rows["severity"].isin(["act", "watch"]) & (also | ~rows["also_without_fault"].fillna(False).astype(bool))].copy()
    if not shown.empty:
        shown["what"] = [name_of(*each) for each in shown[["subject", "slice", "metric"]].itertuples(index=False)]
        columns = ["day", "what", "severity", "because", "also_without_fault"]
        frame.chart(charts_lab.timeline(shown, len(told.planted)), shown[columns], key="lab-timeline", alt=told.sentence.replace("`", ""))
    st.header("Day by day", anchor=False)
    table("lab-said", "What was said on each day", DAY_COLUMNS, [as_row(each) for each in day_rows(told, also=also)])
    stem = f"lab-{told.choice.model}-{told.fault.name}-{told.choice.strength}"
    with st.container(horizontal=True, gap="small"):
        frame.download(f"{stem}.csv", lambda: inert_csv(rows.assign(basis="simulated")), "CSV", key="lab-csv")
        frame.download(
            f"{stem}.json", lambda: json.dumps(told.to_json(), indent=2, default=str), "JSON", key="lab-json", kind="application/json"
        )


def name_of(subject: str, part: str | None, metric: str) -> str:
    """Who and what something that was said is about, in a few words."""
    about = "the model" if subject == "model" else subject
    where = f" in {formatting.condition(part)}" if part and part == part else ""
    return f"{about}{where}: {formatting.metric_title(metric)}"


def with_twins(told: "Timeline") -> bool:
    """Whether to show what is said about the same days without the fault too: it is not the fault's doing, and would hide what is."""
    twins = sum(each.twin for each in told.said())
    if not twins:
        return False
    own = sum(any(one.severity == "act" for one in day.incidents) for day in told.twin)
    if own:
        st.caption(
            f"The days are not clean by themselves: without the fault {own} of {len(told.twin)} have something to act on. A fault has to stand out from that."
        )
    words = formatting.plural(twins, "incident is", "incidents are")
    return st.toggle(f"Show what is said without the fault as well: {words} folded", key="lab-also", help="Over all days")


def day_rows(told: "Timeline", *, also: bool) -> "list[tuple[int, Said | None]]":
    """Each incident with its day, and a row for each day on which nothing was said. also: with what is said without the fault as well."""
    said = [each for each in told.said() if also or not each.twin]
    found: list[tuple[int, Said | None]] = []
    for day in told.planted:
        mine = [each for each in said if each.day is day]
        found += [(day.number, each) for each in mine] or [(day.number, None)]
    return found


def as_row(of: "tuple[int, Said | None]") -> dict[str, Any]:
    """One row of the table."""
    day, said = of
    if said is None:
        return row(
            {
                "day": {"t": str(day)},
                "status": {"s": "ok", "t": formatting.STATUS_WORDS["ok"]},
                "because": {"t": "Nothing that comes of the fault."},
                "with": {"t": formatting.DASH},
            }
        )
    incident = said.incident
    lead = incident.lead
    under = [
        formatting.metric_title(lead.metric),
        *([] if lead.subject == "model" else [lead.subject]),
        *([formatting.condition(lead.slice)] if lead.slice else []),
    ]
    if said.twin:
        under.append(charts_lab.ALSO)
    elif said.names:
        under.append("names what the fault falls on")
    return row(
        {
            "day": {"t": str(day)},
            "status": {"s": incident.severity, "t": formatting.STATUS_WORDS[incident.severity]},
            "because": {"t": lead.because.replace("`", ""), "sub": " · ".join(under), "mark": "simulated"},
            "with": {"t": f"{len(incident.collateral):,}"},
        }
    )


def nothing_yet() -> None:
    """Nothing was planted with this choice."""
    empty_states.nothing(
        "Choose a fault and plant it: a copy of this model's log is made in a throw-away store, the fault is put in, and every day is judged as it would "
        "have been.",
        "Works on any model that has a reference; every figure on this page is simulated.",
    )
