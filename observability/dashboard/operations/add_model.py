"""How does a person add a model without a command line: a file, what it says, corrections, registration, logs?"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states, load
from observability.dashboard.operations import intake

if TYPE_CHECKING:
    from observability.store.registry.register_types import Inference

KINDS = ("number", "category", "boolean")
TASKS = {"binary": "Yes or no (binary)", "regression": "A number (regression)", "multiclass": "One of several (multiclass)"}
OPTION = re.compile(r"with --[a-z-]+")
"""How sentences that the command line shares name an option; the page has a form instead."""
STATE = "adding"
"""Session key of what is being added: {"name", "size", "path", "columns", "changes", "model", "version", "done"}."""


def state() -> dict[str, Any]:
    """What is being added in this session."""
    found: dict[str, Any] = st.session_state.setdefault(STATE, {})
    return found


def reference() -> None:
    """Step 1: names and the file. The upload is copied to disk at once."""
    adding = state()
    left, right = st.columns([3, 1])
    model = left.text_input(
        "Model", placeholder="loan-default", max_chars=200, key="new-model", help="An existing model gets another version."
    )
    version = right.text_input("Version", value="1", max_chars=200, key="new-version")
    upload = st.file_uploader(
        "Reference: held-out predictions with their labels, one row each (.csv, .parquet or .jsonl)",
        type=list(intake.SUFFIXES),
        key="new-reference",
    )
    if upload is None:
        forget()
        st.caption(
            "Features, the model's score and the true label as columns, in any order and under any names; an id and a time are welcome."
        )
        st.stop()
    if (adding.get("name"), adding.get("size")) != (upload.name, upload.size):
        forget()
        try:
            path = intake.keep(upload)
            adding |= {"name": upload.name, "size": upload.size, "path": path, "changes": {}, "columns": []}
            adding["columns"] = intake.column_names(path)
        except ObservabilityError as error:
            intake.discard(adding.pop("path", None))
            adding["problem"] = str(error)
    if adding.get("problem"):
        st.error(formatting.plain(adding["problem"]), icon=":material/error:", title="This file cannot be read")
        st.stop()
    adding |= {"model": model, "version": version}
    if not adding["path"].exists() and adding.get("looked") != fingerprint(adding):
        adding["path"] = intake.keep(upload)
    if not model.strip():
        st.info("Give the model a name to go on.", icon=":material/edit:")
        st.stop()


def forget() -> None:
    """Drop what was being added, and the copy of its file."""
    intake.discard(state().get("path"))
    state().clear()


def inferred() -> "Inference | None":
    """Step 2: what the file says, in plain words, and the form to correct it. None where it cannot be told yet."""
    adding = state()
    found: Inference | None = None
    try:
        with st.spinner("Looking at the file"):
            found = look(adding)
    except ObservabilityError as error:
        said = ObservabilityError(error.what, where=error.where, got=error.got, expected=error.expected, attempt="Say it below")
        st.warning(formatting.plain(said), title="The file does not say everything", icon=":material/edit:")
    if found is not None:
        for sentence in intake.sentences(found):
            warning = sentence.startswith("Warning: ")
            words = formatting.plain(OPTION.sub("under Correct it", sentence.removeprefix("Warning: ")))
            st.markdown(f":orange[:material/warning:] {words}" if warning else f":green[:material/check:] {words}")
    with st.expander("Correct it", icon=":material/edit:", expanded=found is None):
        correct(adding, found)
    return found


def look(adding: dict[str, Any]) -> "Inference":
    """The inference for the current answers; kept until one of them changes."""
    key = fingerprint(adding)
    if adding.get("looked") != key:
        adding.pop("inference", None)
        adding["inference"] = intake.infer(intake.request(adding["model"], adding["version"], adding["path"], adding["changes"]))
        adding["looked"] = key
    found: Inference = adding["inference"]
    return found


def fingerprint(adding: dict[str, Any]) -> str:
    """Everything that the inference depends on, as a key."""
    return repr((adding["model"], adding["version"], adding["name"], adding["size"], adding["changes"]))


def correct(adding: dict[str, Any], found: "Inference | None") -> None:
    """The form of corrections. What is left as it is stays inferred."""
    columns = adding["columns"]
    said = found.as_json() if found else adding["changes"]
    with st.form("correct", border=False):
        first, second = st.columns(2)
        task = first.selectbox(
            "What it predicts",
            list(TASKS),
            index=place(list(TASKS), said.get("task")),
            placeholder="Infer",
            format_func=lambda each: TASKS[each],
        )
        label = second.selectbox("Label (the truth)", columns, index=place(columns, said.get("label")), placeholder="Infer")
        score = ", ".join(said.get("score") or [])
        offered = list(dict.fromkeys([*columns, *([score] if score else [])]))
        score = first.selectbox(
            "Score", offered, index=place(offered, score or None), placeholder="Infer", accept_new_options=True,
            help="Binary: the probability of the positive class. Regression: the predicted value. Multiclass: type class=column for each class, with commas between.",
        )  # fmt: skip
        prediction = second.selectbox(
            "Decision, where it was logged", columns, index=place(columns, said.get("prediction")), placeholder="None"
        )
        at = first.selectbox("Time", columns, index=place(columns, said.get("at")), placeholder="None")
        classes = [str(each) for each in said.get("classes") or levels(adding, said.get("label"))]
        positive = second.selectbox(
            "Positive class (binary)", classes, index=place(classes, said.get("positive")), placeholder="Infer", accept_new_options=True
        )
        of_columns = column_editor(columns, said, found is not None)
        in_sample = st.checkbox(
            "The file holds rows that the model was fitted on (estimates will say so)", value=bool(said.get("in_sample"))
        )
        if st.form_submit_button("Look again with this", icon=":material/refresh:"):
            adding["changes"] = {
                "task": task,
                "label": label,
                "score": [each.strip() for each in (score or "").split(",") if each.strip()],
                "prediction": prediction,
                "at": at,
                "positive": None if task in ("regression", "multiclass") else positive,
                "in_sample": in_sample,
                **of_columns,
            }
            st.rerun()


def levels(adding: dict[str, Any], label: str | None) -> list[str]:
    """Values of the label that was chosen, to choose the positive one from; read once."""
    if label is None or label not in adding["columns"]:
        return []
    if adding.get("levels_of") != label:
        adding |= {"levels_of": label, "levels": intake.few_values(adding["path"], label)}
    found: list[str] = adding["levels"]
    return found


def column_editor(columns: list[str], said: Mapping[str, Any], known: bool) -> dict[str, Any]:
    """A table of the columns that are left over: which are features, of which kind, which are sensitive. What is left as it is stays inferred.

    known: the file could be read that far, so that `said` holds what was inferred.
    """
    import pandas as pd

    used = {said.get("label"), said.get("prediction"), said.get("at"), *(each.rpartition("=")[2] for each in said.get("score") or [])}
    rest = [each for each in columns if each not in used]
    kinds, sensitive, chosen = said.get("kinds") or {}, said.get("sensitive") or [], said.get("features") or []
    before = pd.DataFrame(
        {
            "column": rest,
            "feature": [each in chosen or not chosen for each in rest],
            "kind": [kinds.get(each) for each in rest],
            "sensitive": [each in sensitive for each in rest],
        }
    )
    after = st.data_editor(
        before,
        hide_index=True,
        disabled=["column"],
        height=min(36 * len(rest) + 38, 330),
        alt="Columns that are left over: feature, kind, sensitive",
        column_config={
            "feature": st.column_config.CheckboxColumn("feature", help="The model was given it"),
            "kind": st.column_config.SelectboxColumn("kind", options=list(KINDS)),
            "sensitive": st.column_config.CheckboxColumn(
                "sensitive", help="Fairness is judged on its groups; the model need not be given it"
            ),
        },
    )
    same = before["feature"].equals(after["feature"])
    told = known and (said.get("left_out") or after["sensitive"].any())
    return {
        "features": [] if same and not told else list(after.loc[after["feature"], "column"]),
        "sensitive": list(after.loc[after["sensitive"], "column"]),
        "kinds": {name: kind for name, kind in zip(after["column"], after["kind"]) if kind and kind == kind and kind != kinds.get(name)},
    }


def place(options: list[str], value: object) -> Any:
    """Where a value stands among options; None where it does not (which Streamlit takes, beside an int, for "no choice")."""
    return options.index(str(value)) if value is not None and str(value) in options else None


def registration(found: "Inference") -> bool:
    """The button that stores it. Whether the version is stored."""
    adding = state()
    if adding.get("done") == adding.get("looked"):
        st.success(
            formatting.plain(f"{found.model} version {found.version} is registered with {found.usable:,} reference rows."),
            icon=":material/check_circle:",
        )
        return True
    if not st.button(f"Register version {formatting.plain(found.version)}", icon=":material/add_task:"):
        return False
    with st.status("Registering", expanded=True) as status:
        try:
            asked = intake.request(adding["model"], adding["version"], adding["path"], adding["changes"])
            intake.register(asked, lambda words: status.update(label=f"Registering: {words}"))
        except ObservabilityError as error:
            status.update(label="Nothing was stored", state="error")
            st.error(formatting.plain(str(error)))
            return False
        status.update(label="Registered", state="complete", expanded=False)
    adding["done"] = adding["looked"]
    intake.discard(adding["path"])
    st.rerun()
    return True


def logs(found: "Inference") -> None:
    """Step 3: serving logs. Each file is copied to disk, loaded with progress, and deleted."""
    uploads = st.file_uploader(
        "Serving logs (.jsonl, .csv or .parquet)", type=list(intake.SUFFIXES), accept_multiple_files=True, key="new-logs"
    )
    if not uploads:
        st.caption(
            "Optional: predictions as they were served, or labels that came later. You can also log to this home from your service at any time."
        )
        return
    paths: list[Path] = []
    try:
        paths = [intake.keep(each) for each in uploads]
        columns = intake.column_names(paths[0])
        answers = log_form(found, columns)
        if answers is not None:
            load_them(paths, found, answers)
    except ObservabilityError as error:
        empty_states.problem(error)
    finally:
        for path in paths:
            intake.discard(path)


def log_form(found: "Inference", columns: list[str]) -> dict[str, Any] | None:
    """Which column is the id, the time, the score, the label? None until it is sent."""
    likely = {ours: theirs for theirs, ours in intake.renames_for(found, columns).items()} | {
        name: name for name in ("id", "at", "score", "label", "value") if name in columns
    }
    with st.form("logs", border=False):
        kind = st.segmented_control("They hold", ["prediction", "label"], default="prediction", format_func=str.capitalize)
        boxes = st.columns(4)
        wanted = {"id": "Id of the prediction", "at": "Time", "score": "Score", "label": "Label"}
        chosen = {
            ours: box.selectbox(words, columns, index=place(columns, likely.get(ours)), placeholder="Not there", key=f"log-{ours}")
            for box, (ours, words) in zip(boxes, wanted.items())
        }
        zone = st.text_input("Time zone of times without an offset", value="UTC", help="An IANA name, as Europe/Berlin")
        if not st.form_submit_button("Load", icon=":material/upload:"):
            return None
    ours_of = {"label": "value"} if kind == "label" else {}
    renames = {theirs: ours_of.get(ours, ours) for ours, theirs in chosen.items() if theirs and theirs != ours_of.get(ours, ours)}
    return {"kind": kind or "prediction", "renames": renames, "timezone": zone.strip() or None}


def load_them(paths: list[Path], found: "Inference", answers: dict[str, Any]) -> None:
    """Load the files and say what came of them."""
    bar = st.progress(0.0, "Loading")
    report = intake.load_logs(
        paths,
        kind=answers["kind"],
        model=found.model,
        version=found.version,
        features=tuple(each.name for each in found.features) if answers["kind"] == "prediction" else None,
        renames=answers["renames"],
        timezone=answers["timezone"],
        progress=lambda done, total, lines: bar.progress(min(done / max(total, 1), 1.0), f"{lines:,} lines"),
    )
    bar.empty()
    said = f"{report.lines:,} lines: {report.stored:,} stored, {report.duplicates:,} duplicates, {report.rejected:,} rejected."
    (st.success if report.stored else st.warning)(formatting.plain(said))
    for reason, n in sorted(report.reasons.items(), key=lambda each: -each[1]):
        st.markdown(f"- {n:,} × {formatting.plain(reason)}")
    state()["loaded"] = load.stamp()
