"""The page that adds a model: upload of a reference file, inference of its columns and corrections, registration, and serving logs."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states, load
from observability.dashboard.operations import intake
from observability.dashboard.operations.add_model_settings import PART, ZONE_HELP, FileAndSettings, file_and_settings
from observability.dashboard.state_cache import store_stamp
from observability.dashboard.widgets import progress_bar

if TYPE_CHECKING:
    from observability.store.types.registration import Inference, RegistrationRequest

KINDS = ("number", "category", "boolean")
TASKS = {"binary": "Binary classification", "regression": "Regression", "multiclass": "Multiclass classification"}
SCORE_HELP = (
    "Binary: probability of the positive class. Regression: predicted value. Multiclass: class=column for each class, separated by commas."
)
ID_HELP = "Not a feature, and not stored with the reference. Serving logs use it as the prediction id."
OPTION = re.compile(r"with --([a-z-]+)")
"""An option in sentences that are also used by the command line; the page has a form instead."""
SCORE_OF_EACH_CLASS = "--score class=COLUMN for each class"
STATE = "adding"
"""Session key of the draft, a dict with the keys name, size, path, columns, changes, model, version, beside and done."""


def _draft() -> dict[str, Any]:
    """The draft of this session."""
    found: dict[str, Any] = st.session_state.setdefault(STATE, {})
    return found


def reference_step() -> None:
    """Draw step 1: the names and the reference file, which is copied to disk at once."""
    adding = _draft()
    left, right = st.columns([3, 1])
    words = "An existing model gets a new version."
    model = left.text_input("Model", placeholder="loan-default", max_chars=200, key="new-model", help=words)
    version = right.text_input("Version", value="1", max_chars=200, key="new-version")
    words = "Reference: held-out predictions with labels, one per row (.csv, .jsonl, both also as .gz, or .parquet)"
    upload = st.file_uploader(words, type=list(intake.SUFFIXES), key="new-reference")
    if upload is None:
        _discard_draft()
        st.caption("Columns for features, score and label in any order and under any names; optionally an id and a time.")
        st.stop()
    beside = file_and_settings()
    if (adding.get("name"), adding.get("size"), adding.get("decimal")) != (upload.name, upload.size, beside.decimal):
        _discard_draft()
        try:
            path = intake.keep_upload(upload)
            adding |= {"name": upload.name, "size": upload.size, "decimal": beside.decimal, "path": path, "changes": {}, "columns": []}
            adding["columns"] = intake.upload_column_names(path, beside.decimal)
        except ObservabilityError as error:
            intake.discard_upload(adding.pop("path", None))
            attempt = f"Choose the decimal sign under {PART}" if "--decimal" in (error.attempt or "") else error.attempt
            adding["problem"] = str(ObservabilityError(error.what, where=error.where, got=error.got, attempt=attempt))
    adding["beside"] = beside
    if adding.get("problem"):
        st.error(formatting.error_markdown(adding["problem"]), icon=":material/error:", title="This file cannot be read")
        st.stop()
    adding |= {"model": model, "version": version}
    changed = adding.get("looked") != _draft_fingerprint(adding) or adding.get("done") != _registered_state(adding)
    if not adding["path"].exists() and changed:
        adding["path"] = intake.keep_upload(upload)
    if not model.strip():
        st.info("Enter a model name to continue.", icon=":material/edit:")
        st.stop()


def _discard_draft() -> None:
    """Discard the draft and the copy of its file."""
    intake.discard_upload(_draft().get("path"))
    _draft().clear()


def inference_step() -> "Inference | None":
    """Draw step 2, the inference as sentences and the form to correct it, and return the inference; None if it is incomplete."""
    adding = _draft()
    found: Inference | None = None
    try:
        with st.spinner("Reading the file"):
            found = _inference(adding)
    except ObservabilityError as error:
        own = error.attempt if error.attempt and "--" not in error.attempt else "Enter it below"
        attempt = f"Correct it under {PART}" if "time zone" in error.what else own
        said = ObservabilityError(error.what, where=error.where, got=error.got, expected=_words_of_page(error.expected), attempt=attempt)
        st.warning(formatting.error_markdown(said), title="The file is incomplete", icon=":material/edit:")
    if found is not None:
        for sentence in intake.inference_sentences(found):
            warning = sentence.startswith("Warning: ")
            words = formatting.escape_markdown(OPTION.sub(_place_on_page, sentence.removeprefix("Warning: ")))
            st.markdown(f":orange[:material/warning:] {words}" if warning else f":green[:material/check:] {words}")
    with st.expander("Corrections", icon=":material/edit:", expanded=found is None):
        _correction_form(adding, found)
    return found


def _words_of_page(expected: object) -> object:
    """The expected value that an error names, without the notation of the command line."""
    return None if expected is None else str(expected).replace(SCORE_OF_EACH_CLASS, "class=column for each class, as Score")


def _place_on_page(option: re.Match[str]) -> str:
    """The place on the page at which a command-line option is set."""
    return f"under {PART}" if option[1] in ("timezone", "decimal") else "under Corrections"


def _request(adding: dict[str, Any], *, artifact: bool = False) -> "RegistrationRequest":
    """The registration request for the current draft. artifact: whether it includes a copy of the model file."""
    beside: FileAndSettings = adding["beside"]
    asked = intake.registration_request(adding["model"], adding["version"], adding["path"], adding["changes"], settings=beside.settings)
    model_file = intake.keep_artifact(beside.artifact, adding["path"]) if artifact and beside.artifact else None
    return replace(asked, decimal=beside.decimal, timezone=beside.timezone, artifact=model_file)


def _inference(adding: dict[str, Any]) -> "Inference":
    """Return the inference for the current draft, cached until the draft changes."""
    key = _draft_fingerprint(adding)
    if adding.get("looked") != key:
        adding.pop("inference", None)
        adding["inference"] = intake.inferred_upload(_request(adding))
        adding["looked"] = key
    found: Inference = adding["inference"]
    return found


def _draft_fingerprint(adding: dict[str, Any]) -> str:
    """Return a key that changes with everything that the inference depends on."""
    beside: FileAndSettings = adding["beside"]
    read = (adding["changes"], beside.decimal, beside.timezone, beside.settings)
    return repr((adding["model"], adding["version"], adding["name"], adding["size"], *read))


def _registered_state(adding: dict[str, Any]) -> tuple[Any, ...]:
    """Return a key that changes with everything that the registration depends on."""
    artifact = adding["beside"].artifact
    return (adding.get("looked"), None if artifact is None else (artifact.name, artifact.size))


def _correction_form(adding: dict[str, Any], found: "Inference | None") -> None:
    """Draw the form of corrections. The values of unchanged boxes remain inferred."""
    columns = adding["columns"]
    said = found.as_json() if found else adding["changes"]

    def box(side: Any, label: str, options: list[str], value: object, placeholder: str = "Infer", **more: Any) -> Any:
        """Draw a box that holds a value; it is empty if the value is not among the options."""
        return side.selectbox(label, options, index=_option_index(options, value), placeholder=placeholder, **more)

    with st.form("correct", border=False):
        first, second = st.columns(2)
        task = box(first, "Task", list(TASKS), said.get("task"), format_func=TASKS.__getitem__)
        label = box(second, "Label (ground truth)", columns, said.get("label"))
        score = ", ".join(said.get("score") or [])
        offered = list(dict.fromkeys([*columns, *([score] if score else [])]))
        score = box(first, "Score", offered, score or None, accept_new_options=True, help=SCORE_HELP)
        prediction = box(second, "Decision, where logged", columns, said.get("prediction"), "None")
        at = box(first, "Time", columns, said.get("at"), "None")
        names: dict[str, str] = adding["changes"].get("renames", {})
        named = next((theirs for theirs, ours in names.items() if ours == "id"), "id")
        row = box(second, "Id (names a row)", columns, named, "None", help=ID_HELP)
        classes = [str(each) for each in said.get("classes") or _label_levels(adding, said.get("label"))]
        positive = box(first, "Positive class (binary)", classes, said.get("positive"), accept_new_options=True)
        of_columns = _column_editor([each for each in columns if each != named], said, names, found is not None)
        in_sample = st.checkbox("The file contains training rows (estimates are marked accordingly)", value=bool(said.get("in_sample")))
        if st.form_submit_button("Apply", icon=":material/refresh:"):
            adding["changes"] = {
                "task": task,
                "label": label,
                "score": [each.strip() for each in (score or "").split(",") if each.strip()],
                "prediction": prediction,
                "at": at,
                "positive": None if task in ("regression", "multiclass") else positive,
                "in_sample": in_sample,
                **of_columns,
                "renames": of_columns["renames"] | ({row: "id"} if row and row != "id" else {}),
            }
            st.rerun()


def _label_levels(adding: dict[str, Any], label: str | None) -> list[str]:
    """Return the values of the chosen label, among which the positive class is chosen. They are read once."""
    if label is None or label not in adding["columns"]:
        return []
    if adding.get("levels_of") != label:
        adding |= {"levels_of": label, "levels": intake.upload_label_values(adding["path"], label)}
    found: list[str] = adding["levels"]
    return found


def _column_editor(columns: list[str], said: Mapping[str, Any], names: Mapping[str, str], known: bool) -> dict[str, Any]:
    """Draw the roles of the other columns in an editable table (name in the records, feature, kind, sensitive), and return them. Unchanged
    cells remain inferred.

    names: by column, the name in the records that a person gave. known: whether the file could be read; `said` then has the inferred
    values.
    """
    used = {said.get("label"), said.get("prediction"), said.get("at"), *(each.rpartition("=")[2] for each in said.get("score") or [])}
    rest = [each for each in columns if each not in used]
    if not rest:
        return {"features": [], "sensitive": [], "kinds": {}, "renames": {}}
    ours = [names.get(each, each) for each in rest]
    kinds, sensitive, chosen = said.get("kinds") or {}, said.get("sensitive") or [], said.get("features") or []
    before = pd.DataFrame(
        {
            "column": rest,
            "name": ours,
            "feature": [each in chosen or not chosen for each in ours],
            "kind": [kinds.get(each) for each in ours],
            "sensitive": [each in sensitive for each in ours],
        }
    )
    boxes = {
        "name": st.column_config.TextColumn("name in records", help="How your service logs it; empty: as in the file"),
        "feature": st.column_config.CheckboxColumn("feature", help="An input of the model"),
        "kind": st.column_config.SelectboxColumn("kind", options=list(KINDS)),
        "sensitive": st.column_config.CheckboxColumn("sensitive", help="Groups for fairness; need not be an input"),
    }
    alt, height = "Other columns: name in records, feature, kind, sensitive", min(36 * len(rest) + 38, 330)
    after = st.data_editor(before, hide_index=True, disabled=["column"], height=height, alt=alt, column_config=boxes)
    written = after["name"].fillna("").str.strip()
    after["name"] = written.where(written != "", after["column"])
    same = before["feature"].equals(after["feature"])
    told = known and (said.get("left_out") or after["sensitive"].any())
    changed = after["kind"].notna() & (after["kind"] != before["kind"])
    return {
        "features": [] if same and not told else list(after.loc[after["feature"], "name"]),
        "sensitive": list(after.loc[after["sensitive"], "name"]),
        "kinds": dict(zip(after.loc[changed, "name"], after.loc[changed, "kind"])),
        "renames": {theirs: name for theirs, name in zip(after["column"], after["name"]) if name != theirs},
    }


def _option_index(options: list[str], value: object) -> Any:
    """The index of a value among options; None (no choice) if the value is not among them."""
    return options.index(str(value)) if value is not None and str(value) in options else None


def registration_step(found: "Inference") -> bool:
    """Draw the button that registers the version, and return whether it is registered."""
    adding = _draft()
    if adding.get("done") == _registered_state(adding):
        words = f"{found.model} version {found.version} is registered with {formatting.plural(found.usable, 'reference row')}."
        st.success(formatting.escape_markdown(words), icon=":material/check_circle:")
        return True
    if not st.button(f"Register version {formatting.escape_markdown(found.version)}", icon=":material/add_task:"):
        return False
    from observability.worker.score_reference import register_and_compare

    place = st.empty()
    with place.status("Registering", expanded=True) as status:
        try:
            register_and_compare(load.store(), _request(adding, artifact=True), lambda words: status.update(label=f"Registering: {words}"))
        except ObservabilityError as error:
            failure: ObservabilityError | None = error
        else:
            failure = None
    if failure is not None:
        place.error(formatting.error_markdown(failure), title="Not registered", icon=":material/error:")
        return False
    adding["done"] = _registered_state(adding)
    intake.discard_upload(adding["path"])
    st.rerun()
    return True


def serving_logs_step(found: "Inference") -> None:
    """Draw step 3, the serving logs. Each file is copied to disk, loaded with progress, and deleted."""
    words, endings = "Serving logs (.jsonl, .csv, both also as .gz, or .parquet)", list(intake.SUFFIXES)
    uploads = st.file_uploader(words, type=endings, accept_multiple_files=True, key="new-logs")
    if not uploads:
        st.caption("Optional: served predictions, or labels. Your service can also log to this home at any time.")
        return
    paths: list[Path] = []
    try:
        paths = [intake.keep_upload(each) for each in uploads]
        columns = intake.upload_column_names(paths[0], _draft()["beside"].decimal)
        answers = _log_form(found, columns)
        if answers is not None:
            _load_log_files(paths, found, answers)
    except ObservabilityError as error:
        empty_states.error_state(error)
    finally:
        for path in paths:
            intake.discard_upload(path)


def _log_form(found: "Inference", columns: list[str]) -> dict[str, Any] | None:
    """Draw the form for the columns of id, time, score and label, and return its content; None until the form is submitted."""
    likely = {ours: theirs for theirs, ours in intake.likely_renames(found, columns).items()} | {
        name: name for name in ("id", "at", "score", "label", "value") if name in columns
    }
    with st.form("logs", border=False):
        kind = st.segmented_control("Records", ["prediction", "label"], default="prediction", format_func=str.capitalize)
        boxes = st.columns(4)
        wanted = {"id": "Id of the prediction", "at": "Time", "score": "Score", "label": "Label"}
        chosen = {
            ours: box.selectbox(words, columns, index=_option_index(columns, likely.get(ours)), placeholder="None", key=f"log-{ours}")
            for box, (ours, words) in zip(boxes, wanted.items())
            if ours != "score" or found.task != "multiclass"
        }
        scores: tuple[str, ...] = ()
        if found.task == "multiclass":
            there = not found.objects and {column for _, column in found.scores} <= set(columns)
            registered = ", ".join(found.as_json()["score"]) if there else ""
            written = boxes[2].text_input("Scores", registered, placeholder="class=column, …", help=SCORE_HELP, key="log-scores")
            scores = tuple(filter(None, map(str.strip, written.split(","))))
        zone = st.text_input("Time zone of times without offset", value="UTC", help=ZONE_HELP)
        if not st.form_submit_button("Load", icon=":material/upload:"):
            return None
    ours_of = {"label": "value"} if kind == "label" else {}
    renames = {theirs: ours_of.get(ours, ours) for ours, theirs in chosen.items() if theirs and theirs != ours_of.get(ours, ours)}
    return {"kind": kind or "prediction", "renames": renames, "scores": scores, "timezone": zone.strip() or None}


def _load_log_files(paths: list[Path], found: "Inference", answers: dict[str, Any]) -> None:
    """Load the files and show the counts."""
    with progress_bar("Loading") as note:
        report = intake.load_serving_logs(
            paths,
            found,
            **answers,
            decimal=_draft()["beside"].decimal,
            progress=lambda done, total, lines: note(done / max(total, 1), f"{lines:,} lines"),
        )
    said = f"{report.lines:,} lines: {report.stored:,} stored, {report.duplicates:,} duplicates, {report.rejected:,} rejected."
    (st.success if report.stored else st.warning)(formatting.escape_markdown(said))
    for reason, n in sorted(report.reasons.items(), key=lambda each: -each[1]):
        st.markdown(f"- {n:,} × {formatting.escape_markdown(reason)}")
    _draft()["loaded"] = store_stamp()
