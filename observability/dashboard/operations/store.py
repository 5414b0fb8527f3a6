"""What does the store page show and do: sizes, backlog, rejected lines, loading now, removing a model?"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import frame, links, load
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, row
from observability.export.csv import inert_csv

MODEL_COLUMNS = (
    column("model", "Model", strong=True),
    column("task", "Task"),
    column("versions", "Versions"),
    column("predictions", "Predictions", align="right"),
    column("labels", "Labels", align="right"),
    column("newest", "Newest record (UTC)", align="right"),
    column("arrived", "Last arrival (UTC)", align="right"),
    column("bytes", "Size", align="right"),
)
MOST_REJECTED = 200
LONGEST_RAW = 400


def read() -> dict[str, Any]:
    """The store's status; a failure is said and the page stops."""
    return frame.guarded(load.status)


def figures(status: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Large figures of the page: label, value, help."""
    rows = sum(each["predictions"] for each in status["models"])
    labels = sum(each["labels"] for each in status["models"])
    waiting, disk, refused = status["landing"], status["disk"], status["rejected"]
    return [
        ("Predictions", formatting.short(rows), f"{rows:,} served predictions stored, of all models"),
        ("Labels", formatting.short(labels), f"{labels:,} labels and corrections stored"),
        (
            "Store on disk",
            formatting.size(status["database"]["bytes"]),
            f"The database and its log; {formatting.size(disk['free_bytes'])} are free, loading stops below {formatting.size(disk['floor_bytes'])}",
        ),
        (
            "Waiting",
            formatting.short(waiting["segments"]),
            f"Segments in landing, {formatting.size(waiting['bytes'])}; {waiting['open']} more are still being written",
        ),
        (
            "Rejected lines",
            formatting.short(refused["total"]),
            "Lines that broke a rule of the contract; they are kept below with the reason",
        ),
    ]


def landing(status: dict[str, Any]) -> None:
    """What the loader does, and the button that loads what waits now."""
    failure = load.loader_failure()
    if failure:
        st.error(formatting.plain(failure), title="Loading stopped", icon=":material/error:")
    waiting, last = status["landing"]["segments"], status["loaded"]["last"]
    said = f"{formatting.plural(waiting, 'segment')} waiting." if waiting else "Nothing waits."
    said += " What lands is loaded every second while the dashboard runs."
    if last:
        said += f" {formatting.plural(status['loaded']['segments'], 'segment was', 'segments were')} loaded, the last {formatting.ago(datetime.fromisoformat(last), datetime.now(UTC))}."
    st.markdown(formatting.plain(said))
    if status["landing"]["failed"]:
        st.warning(
            formatting.plain(
                f"{formatting.plural(status['landing']['failed'], 'segment')} could not be loaded and were set aside in landing/failed."
            )
        )
    if st.button("Load what waits now", icon=":material/download_for_offline:", disabled=not waiting):
        load_now()


def load_now() -> None:
    """Load landing with progress, and say what came of it."""
    from observability.store.ingest.loader import load_landing

    bar = st.progress(0.0, "Loading")
    try:
        report = load_landing(load.store(), lambda done, total, lines: bar.progress(min(done / max(total, 1), 1.0), f"{lines:,} lines"))
    except ObservabilityError as error:
        bar.empty()
        st.error(formatting.plain(str(error)))
        return
    bar.empty()
    st.success(f"{report.lines:,} lines: {report.stored:,} stored, {report.duplicates:,} duplicates, {report.rejected:,} rejected.")


def model_rows(status: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each model."""
    known = {each.name: each for each in load.catalog().models}
    rows = []
    for each in status["models"]:
        versions = known[each["model"]].versions if each["model"] in known else ()
        names = ", ".join(one.name + ("" if one.registered else " (not registered)") for one in versions[:6])
        rows.append(
            row(
                {
                    "model": {
                        **links.link(each["model"], "model", Scope(model=each["model"])),
                        "mark": "sample" if each["sample"] else None,
                    },
                    "task": {"t": each["task"] or "not registered"},
                    "versions": {"t": names or formatting.DASH},
                    "predictions": {"t": f"{each['predictions']:,}", "title": f"and {each['reference_rows']:,} rows of references"},
                    "labels": {"t": f"{each['labels']:,}"},
                    "newest": {"t": moment(each["last"])},
                    "arrived": {"t": moment(each["last_arrived"])},
                    "bytes": {"t": formatting.size(each["bytes"])},
                }
            )
        )
    return rows


def moment(written: str | None) -> str:
    """An instant of the status as a person reads it."""
    return formatting.minute(datetime.fromisoformat(written)) if written else formatting.DASH


def rejected_lines(status: dict[str, Any]) -> None:
    """Reasons by how often, and the newest lines as they came; a raw line is only ever text."""
    lines = load.rejected(MOST_REJECTED)
    if lines.empty:
        st.markdown(f"{formatting.status('ok')}: no line was rejected.")
        return
    reasons = status["rejected"]["reasons"]
    st.markdown(" ".join(f":orange-badge[{formatting.plain(reason)}: {int(n):,}]" for reason, n in list(reasons.items())[:12]))
    shown = lines.assign(raw=lines["raw"].astype(str).str.slice(0, LONGEST_RAW))
    st.dataframe(
        shown,
        hide_index=True,
        height=min(36 * len(shown) + 38, 420),
        alt="The newest rejected lines with their reasons",
        column_config={
            "raw": st.column_config.TextColumn("raw line", width="large"),
            "message": st.column_config.TextColumn(width="large"),
        },
    )
    st.caption(f"The newest {len(shown):,}; raw lines are cut at {LONGEST_RAW} signs here and whole in the CSV.")
    frame.download("rejected.csv", lambda: inert_csv(lines), "CSV", key="rejected-csv")


def removal() -> None:
    """Remove a model after its name was typed; remove the sample after the word was typed."""
    models = load.catalog().models
    if not models:
        st.caption("There is nothing to remove.")
        return
    left, right = st.columns(2, gap="large")
    with left, st.form("remove", border=True):
        name = st.selectbox("Model", [each.name for each in models], index=None, placeholder="Choose a model")
        typed = st.text_input("Type its name to confirm", autocomplete="off")
        if st.form_submit_button("Remove the model", icon=":material/delete:"):
            if name is None or typed.strip() != name:
                st.error("The name that was typed is not that of the chosen model; nothing was removed.")
            else:
                remove([name])
    samples = [each.name for each in models if each.sample]
    if samples:
        with right, st.form("remove-sample", border=True):
            st.markdown(formatting.plain(f"The sample fleet: {', '.join(samples)}."))
            typed = st.text_input("Type sample to confirm", autocomplete="off")
            if st.form_submit_button("Remove the sample", icon=":material/delete_sweep:"):
                if typed.strip().lower() != "sample":
                    st.error("Type the word sample to confirm; nothing was removed.")
                else:
                    remove(samples)


def remove(names: list[str]) -> None:
    """Remove models and go on without them."""
    from observability.store.registry import admin

    with st.spinner("Removing"):
        for name in names:
            frame.guarded(partial(admin.remove_model, load.store(), name))
    st.toast(f"Removed {', '.join(map(formatting.plain, names))}.", icon=":material/check:")
    st.rerun()
