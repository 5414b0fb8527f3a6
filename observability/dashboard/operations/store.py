"""The store page: sizes, backlog, rejected lines, loading, removal of models, and forgetting of subjects."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.bundle import bundle_folder
from observability.dashboard import frame, links, load, person_name, sign_in, time_zone
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, table_row
from observability.dashboard.widgets import answer_or_error, csv_button, plain_paragraph, progress_bar
from observability.store.types.erasing import forgotten_lines

MAX_VERSIONS = 3
"""Maximum number of product versions whose changes the page lists."""
MODEL_COLUMNS = (
    column("model", "Model", strong=True),
    column("task", "Task", phone=False),
    column("versions", "Versions", phone=False),
    column("predictions", "Predictions", align="right"),
    column("labels", "Labels", align="right", phone=False),
    column("newest", "Newest record (UTC)", align="right"),
    column("arrived", "Last arrival (UTC)", align="right", phone=False),
    column("bytes", "Size", align="right", phone=False),
)
SOURCE_COLUMNS = (
    column("source", "Source", strong=True),
    column("records", "Records", phone=False),
    column("state", "Last run"),
    column("files", "Files", align="right", phone=False),
    column("stored", "Stored", align="right"),
    column("duplicates", "Duplicates", align="right", phone=False),
    column("rejected", "Rejected", align="right"),
    column("newest", "Last rows taken (UTC)", align="right", phone=False),
)
MAX_REJECTED = 200
LONGEST_RAW = 400


def store_figures(status: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The key figures: label, value, help."""
    rows, labels = (sum(each[name] for each in [*status["models"], *status["controllers"]]) for name in ("predictions", "labels"))
    waiting, disk, refused = status["landing"], status["disk"], status["rejected"]
    free, floor = formatting.format_bytes(disk["free_bytes"]), formatting.format_bytes(disk["floor_bytes"])
    size, landed = formatting.format_bytes(status["database"]["bytes"]), formatting.format_bytes(waiting["bytes"] or 0)
    segments, rejected = _count_or_dash(waiting["segments"]), _count_or_dash(refused["total"])
    return [
        ("Predictions", formatting.compact_count(rows), f"{rows:,} served predictions stored, of all models and controllers"),
        ("Labels", formatting.compact_count(labels), f"{labels:,} labels and corrections stored"),
        ("Store on disk", size, f"Database and its log; {free} free, loading stops below {floor}"),
        ("Waiting", segments, f"Segments in landing, {landed}; {waiting['open'] or 0} more are being written"),
        ("Rejected lines", rejected, "Lines that violate the record format; listed below with the reason"),
    ]


def _count_or_dash(count: int | None) -> str:
    return formatting.DASH if count is None else formatting.compact_count(count)


def landing_section(status: dict[str, Any]) -> None:
    """Draw the numbers of waiting and loaded segments (files of records), the buttons that load the waiting ones, and the log of
    repairs.
    """
    waiting, last = status["landing"]["segments"], status["loaded"]["last"]
    said = "The landing folder cannot be read." if waiting is None else f"{formatting.plural(waiting, 'segment')} waiting."
    said += " Loaded every second while the dashboard runs." if waiting is not None else ""
    if last:
        when = formatting.time_ago(datetime.fromisoformat(last), datetime.now(UTC))
        said += f" {formatting.plural(status['loaded']['segments'], 'segment')} loaded, the last {when}."
    plain_paragraph(said)
    if status["collectors"]["place"]:
        plain_paragraph(
            f"Collectors: {formatting.plural(status['collectors']['waiting'], 'segment')} waiting in {status['collectors']['place']}."
        )
    with st.container(horizontal=True):
        loads = sign_in.role_allows("load")
        if loads and st.button("Load now", icon=":material/download_for_offline:", disabled=not waiting):
            _load_landing()
        if loads and status["set_aside"] and st.button("Retry what was set aside", icon=":material/replay:"):
            _load_landing(again=True)
        repairs = load.store().repairs()
        unseen = sign_in.role_allows("settings") and any(not entry.get("seen_at") for entry in repairs)
        if unseen and st.button("Hide repairs", icon=":material/visibility_off:"):
            load.store().mark_repairs_seen()
            st.rerun()
    if repairs:
        with st.expander(f"Repairs ({len(repairs)})"):
            for entry in reversed(repairs):
                plain_paragraph(
                    f"{time_zone.named_minute(datetime.fromisoformat(entry['at']))}. {entry['what']} May be missing: {entry['missing']}"
                )
                st.caption(formatting.escape_markdown(f"Set aside: {', '.join(entry['set_aside']) or 'no file'}"))


def source_table_rows(status: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each source that was loaded or is scheduled."""
    now, rows = datetime.now(UTC), []
    for each in status["sources"]:
        ran = formatting.time_ago(datetime.fromisoformat(each["ran"]), now) if each["ran"] else "not yet"
        state = f"{ran}, every {each['every_hours']:g} h" if each["name"] else "by hand"
        records = " ".join(filter(None, (each["kind"] or "as the rows say", each["model"], each["version"])))
        rows.append(
            table_row(
                source={"t": each["name"] or each["address"], "title": each["address"], "mark": "failed" if each["failure"] else None},
                records=records,
                state={"t": state, "title": each["failure"] or ""},
                files=f"{each['files']:,}",
                stored=f"{each['stored']:,}",
                duplicates=f"{each['duplicates']:,}",
                rejected=f"{each['rejected']:,}",
                newest=_status_instant(each["last"]),
            )
        )
    return rows


def keeping_section(status: dict[str, Any]) -> None:
    """Draw when the last backup was made and tested, and how many rows the nightly retention removed."""
    done, now = status["keeping"], datetime.now(UTC)

    def last(name: str) -> str:
        return formatting.time_ago(datetime.fromisoformat(done[name]["at"]), now) if done[name] else "never"

    plain_paragraph(f"Last backup: {last('backup')}. Last restore test: {last('verified_restore')}.")
    if removed := (done["retention"] or {}).get("removed"):
        rows = "; ".join(
            f"{each['rows']:,} {' of '.join(filter(None, (each['what'], each['model'])))} before {each['before']}" for each in removed
        )
        plain_paragraph(f"Removed {last('retention')} as no longer kept: {rows}.")
    st.caption("Nightly backups and retention are set in keeping.toml in the home (docs/operations.md).")


def _load_landing(*, again: bool = False) -> None:
    """Load landing with a progress bar, and show the counts. again: whether the segments that were set aside are loaded too."""
    store = load.store()
    with progress_bar("Loading") as note:

        def progress(done: int, total: int, lines: int) -> None:
            note(done / max(total, 1), f"{lines:,} lines")

        report = answer_or_error(lambda: store.retry_set_aside(progress)[1] if again else store.load_landing(progress))
    if report is not None:
        st.success(f"{report.lines:,} lines: {report.stored:,} stored, {report.duplicates:,} duplicates, {report.rejected:,} rejected.")


def stored_model_rows(status: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each model and each controller."""
    known = {each.name: each for each in load.catalog().models}
    controllers = {each["model"] for each in status["controllers"]}
    rows = []
    for each in [*status["models"], *status["controllers"]]:
        versions = known[each["model"]].versions if each["model"] in known else ()
        names = ", ".join(one.name + ("" if one.registered else " (not registered)") for one in versions[:6])
        rows.append(
            table_row(
                model={
                    **links.link_cell(each["model"], "model", Scope(model=each["model"])),
                    "mark": "sample" if each["sample"] else None,
                },
                task="controller" if each["model"] in controllers else each["task"] or "not registered",
                versions=names or None,
                predictions={"t": f"{each['predictions']:,}", "title": f"and {each['reference_rows']:,} rows of references"},
                labels=f"{each['labels']:,}",
                newest=_status_instant(each["last"]),
                arrived=_status_instant(each["last_arrived"]),
                bytes=formatting.format_bytes(each["bytes"]),
            )
        )
    return rows


def _status_instant(written: str | None) -> str:
    """Return a time in the status as text."""
    return time_zone.zoned_minute(datetime.fromisoformat(written)) if written else formatting.DASH


def rejected_lines_section(status: dict[str, Any]) -> None:
    """Draw the reasons of rejected lines by frequency, and the newest of these lines as plain text."""
    lines = load.rejected_lines_frame(MAX_REJECTED)
    if lines.empty:
        st.markdown(f"{formatting.status_label('ok')}: no line was rejected.")
        return
    reasons = status["rejected"]["reasons"]
    st.markdown(" ".join(f":orange-badge[{formatting.escape_markdown(reason)}: {int(n):,}]" for reason, n in list(reasons.items())[:12]))
    shown = lines.assign(raw=lines["raw"].astype(str).str.slice(0, LONGEST_RAW))
    text, alt = st.column_config.TextColumn, "The newest rejected lines with their reasons"
    columns = {"raw": text("raw line", width="large"), "message": text(width="large")}
    st.dataframe(shown, hide_index=True, height=min(36 * len(shown) + 38, 420), alt=alt, column_config=columns)
    st.caption(f"The newest {len(shown):,}; raw lines are truncated to {LONGEST_RAW} characters here, not in the CSV.")
    csv_button("rejected", lines, has_groups=False)


def removal_forms() -> None:
    """Draw forms that remove a model or the sample, each of which must be confirmed by typing."""
    models = load.catalog().models
    if not models:
        st.caption("No model to remove.")
        return
    left, right = st.columns(2, gap="large")
    with left, st.form("remove", border=True):
        name = st.selectbox("Model", [each.name for each in models], index=None, placeholder="Choose a model")
        typed = st.text_input("Type its name to confirm", autocomplete="off")
        if st.form_submit_button("Remove the model", icon=":material/delete:"):
            if name is None or typed.strip() != name:
                st.error("The typed name differs from the chosen model; nothing was removed.")
            else:
                _remove(partial(load.store().remove_model, name), [name])
    samples = [each.name for each in models if each.sample]
    if samples:
        with right, st.form("remove-sample", border=True):
            plain_paragraph(f"The sample fleet: {', '.join(samples)}.")
            typed = st.text_input("Type sample to confirm", autocomplete="off")
            if st.form_submit_button("Remove the sample", icon=":material/delete_sweep:"):
                if typed.strip().lower() != "sample":
                    st.error("Type the word sample to confirm; nothing was removed.")
                else:
                    _remove(load.store().remove_sample, samples)


def _remove(remove: Callable[..., object], names: list[str]) -> None:
    """Remove models, show the progress of rewriting the store, and rerun the page."""
    with progress_bar("Removing") as note:
        frame.answer_or_stop(
            lambda: remove(progress=lambda done, total: note(done / max(total, 1), f"{done:,} of {total:,} rows rewritten"))
        )
    st.toast(f"Removed {', '.join(map(formatting.escape_markdown, names))}.", icon=":material/check:")
    st.rerun()


def forget_form() -> None:
    """Draw the form that erases a subject everywhere after it was confirmed by typing, and the result of the erasure."""
    author = person_name.person_name_box("forget")
    with st.form("forget", border=True):
        subject = st.text_input("Subject", help="The value of the field subject, as it was logged", autocomplete="off")
        typed = st.text_input("Type the subject again to confirm", autocomplete="off")
        asked = st.form_submit_button("Forget the subject", icon=":material/person_remove:")
    if not asked:
        return
    if author is None:
        st.error(f"{person_name.why_not_saved()} Nothing was erased.")
    elif not subject.strip() or typed.strip() != subject.strip():
        st.error("The two subjects differ or are empty; nothing was erased.")
    else:
        with st.status("Erasing", expanded=True) as box:
            body = frame.answer_or_stop(
                partial(load.store().forget, subject.strip(), by=author, progress=lambda text: box.update(label=text.capitalize()))
            )
            box.update(label="Erased", state="complete")
            for line in forgotten_lines(body):
                plain_paragraph(line)


def changelog_section() -> None:
    """Draw the changes of the newest versions of the product, folded."""
    for version, changes in changelog_versions((bundle_folder() / "CHANGELOG.md").read_text(encoding="utf-8"))[:MAX_VERSIONS]:
        with st.expander(version):
            st.markdown(changes.replace("$", "\\$"))


def changelog_versions(text: str) -> list[tuple[str, str]]:
    """Return each version of a changelog with its changes, newest first. A version is named by its heading in the changelog."""
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return [(title.strip(), changes.strip()) for title, changes in zip(parts[1::2], parts[2::2], strict=True)]
