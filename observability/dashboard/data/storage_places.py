"""The part of the storage page about places that store data: the capacity of each place, the date on which it will be full, retention,
waste, failures and backups, and its use by day.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from observability.analyzers.data import storage as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import format_figure, hours_in_words, percent
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import frame, links, load
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns, first_finding, severity_cell, severity_order
from observability.dashboard.charts import storage as charts_storage
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.data.records_summary import attention_count
from observability.dashboard.overview import findings
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph
from observability.metrics.storage_reports import PAST_DAYS, PLACE_REPORTS, StoragePlace, newest_value, storage_places
from observability.stats.exhaustion import HORIZON

PLACES = (
    column("place", "Place", strong=True),
    column("state", "Status", width="6.5rem"),
    column("used", "Used", align="right", help="Median of the three newest reports; below it bytes and room"),
    column("full", "Full on", align="right", phone=False, help="At its growth, with the 95 % interval"),
    column("kept", "Oldest data", align="right", phone=False, help="Age of the oldest data, and the stated retention"),
    column("waste", "Twice / unread", align="right", phone=False, help="Share of bytes stored twice, and not read for 90 days"),
    column("read", "Read p99", align="right", phone=False, help="Median over the days of the window"),
    column("failed", "Failed", align="right", phone=False, help="Share of reads and writes that failed"),
    column("blocks", "Bad blocks", align="right", phone=False, help="Checked blocks whose checksum does not match"),
    column("behind", "Behind", align="right", phone=False, help="For a copy: hours of its source that the newest report lacks"),
    column("backup", "Backup", align="right", phone=False, help="Age of the newest backup, and of the last restore test"),
)
NEXT_STEPS = (column("because", "Finding and next step", wide=True),)
MAX_TABLE_ROWS = 30


def reported_places(scope: Scope) -> tuple[list[StoragePlace], Window]:
    """Return the places with reports in the window of storage reports or in the eight weeks before it, and the window."""
    window = load.window_of_records(scope, judged.ANALYZER)
    past = Window("", window.start - timedelta(days=PAST_DAYS), window.start)
    return storage_places(load.ask_store(PLACE_REPORTS, window), load.ask_store(PLACE_REPORTS, past)), window


def place_findings(found: Sequence[Finding]) -> list[Finding]:
    """The findings about places, without those about forms of datasets."""
    return [each for each in found if "place" in each.evidence]


def places_section(places: Sequence[StoragePlace], window: Window, found: Sequence[Finding], scope: Scope) -> None:
    """Draw the table of places, what needs attention with the next step, and the use of one place by day."""
    by_place: dict[str, dict[str, Finding]] = {}
    for each in found:
        by_place.setdefault(str(each.evidence.get("place")), {})[each.metric] = each
    st.header("Places", anchor=False)
    simulated = all((place.whole["source"] == "simulated").all() for place in places)
    words = f"{formatting.plural(len(places), 'place')} reported; {attention_count(found, 'place')}."
    plain_paragraph(words + (" These reports are simulated." if simulated else ""))
    ordered = sorted(places, key=lambda place: (severity_order(first_finding(by_place.get(place.name, {}).values())), place.name))
    lines = [_place_row(place, by_place.get(place.name, {}), naive_utc(window.end), scope) for place in ordered[:MAX_TABLE_ROWS]]
    draw_table("places", "Places that store data, worst first", filled_columns(PLACES, lines, ("place", "state")), lines)
    if len(places) > MAX_TABLE_ROWS:
        plain_caption(f"The worst {MAX_TABLE_ROWS} of {len(places):,} places are shown.")
    next_steps_table(found, "storage-next", "storage-findings", "What needs attention, and what to do next")
    names = [place.name for place in ordered if _days_of_use(place) > 1]
    if names:
        missing = "The link is about {}, a place that reported no bytes on two days."
        chosen = address_selectbox("place", "Place", names, placeholder=names[0], missing=missing, width=320) or names[0]
        place = next(each for each in places if each.name == chosen)
        _use_by_day(place, by_place.get(chosen, {}).get(judged.DAYS_LEFT))


def next_steps_table(found: Sequence[Finding], key: str, stem: str, caption: str) -> None:
    """Draw the findings that are not `ok`, with the next step for those that need attention, and below them the downloads of all findings.
    stem: name of the files.
    """
    lines = []
    for each in sorted(found, key=lambda each: (severity_order(each), each.subject, each.metric)):
        if each.severity != "ok":
            step = str(each.evidence["next"]) if each.needs_action else None
            lines.append(table_row({"because": {"t": each.because.replace("`", ""), "s": each.shown_severity, "sub": step}}))
    if lines:
        draw_table(key, caption, NEXT_STEPS, lines[:MAX_TABLE_ROWS])
    findings.findings_downloads(found, stem)


def _place_row(place: StoragePlace, found: Mapping[str, Finding], now: datetime, scope: Scope) -> dict[str, object]:
    """Return the table row of one place. Its figures come from the findings about the place, and else from its newest report."""
    cells: dict[str, Cell] = {key["key"]: dict(UNKNOWN_CELL) for key in PLACES}
    worst = first_finding(found.values())
    cells |= {
        "place": links.link_cell(place.name, "storage", scope, place=place.name),
        "state": severity_cell(worst.shown_severity if worst else None),
    }
    used, room = newest_value(place, "used_bytes"), newest_value(place, "capacity_bytes")
    if used is not None:
        share = _value(found, "storage_used_share")
        size = formatting.format_bytes(share * room if share is not None and room else used)
        size += f" of {formatting.format_bytes(room)}" if room else ""
        cells["used"] = {"t": percent(share), "sub": size} if share is not None else {"t": size}
    cells["full"] = full_cell(found.get(judged.DAYS_LEFT), now)
    keep, overdue = newest_value(place, "keep_days"), _value(found, "storage_retention_overdue_days")
    if overdue is not None and keep is not None:
        cells["kept"] = {"t": f"{format_figure(keep + overdue, 4)} days", "sub": f"of {format_figure(keep)}"}
    shares = [_value(found, f"storage_{name}_share") for name in ("duplicate", "cold")]
    if any(each is not None for each in shares):
        cells["waste"] = {"t": " / ".join(formatting.DASH if each is None else percent(each) for each in shares)}
    if (read := _value(found, "storage_read_p99_ms")) is not None:
        cells["read"] = {"t": f"{format_figure(read)} ms"}
    if (failed := _value(found, "storage_error_rate")) is not None:
        cells["failed"] = {"t": percent(failed, 2)}
    if (blocks := found.get("storage_corrupt_rate")) is not None and blocks.value is not None:
        cells["blocks"] = {"t": f"{round(blocks.value * blocks.n):,} of {blocks.n:,}"}
    if (lag := _value(found, judged.BEHIND)) is not None:
        cells["behind"] = {"t": hours_in_words(lag)}
    if (hours := _value(found, "storage_backup_age_hours")) is not None:
        days = _value(found, "storage_restore_age_days")
        tested = f"restored {format_figure(days, 2)} days ago" if days is not None else "no restore reported"
        cells["backup"] = {"t": hours_in_words(hours), "sub": tested}
    return table_row(cells)


def _value(found: Mapping[str, Finding], metric: str) -> float | None:
    """Return the value of a finding; None if there is no finding or its value is unknown."""
    finding = found.get(metric)
    return None if finding is None else finding.value


def full_cell(finding: Finding | None, now: datetime) -> Cell:
    """Return the cell with the date on which a place will be full, and its interval; a dash if the date is not known."""
    if finding is None or finding.value is None:
        return dict(UNKNOWN_CELL)

    def date(days: float | None) -> str:
        return "later" if days is None or days >= HORIZON else f"{formatting.format_day(now + timedelta(days=days))}"

    if finding.value >= HORIZON:
        return {"t": "not in 10 years"}
    return {"t": date(finding.value), "sub": f"{date(finding.low)} to {date(finding.high)}"}


def _days_of_use(place: StoragePlace) -> int:
    """Return the number of days with a report of the bytes that a place holds."""
    return int(place.whole["at"][place.whole["used_bytes"].notna()].dt.floor("D").nunique())


def _use_by_day(place: StoragePlace, left: Finding | None) -> None:
    """Draw the bytes that a place holds by day, its capacity, and the date on which it will be full."""
    whole = place.whole[place.whole["used_bytes"].notna()]
    days = whole.groupby(whole["at"].dt.floor("D"), sort=True).last()
    shown = pd.DataFrame(
        {"day": days.index, "used": days["used_bytes"].to_numpy(float) / 1e9, "room": days["capacity_bytes"].to_numpy(float) / 1e9}
    )
    alt = f"{place.name} held {shown['used'].iloc[0]:,.0f} GB on {formatting.format_day(shown['day'].iloc[0])}"
    alt += f" and {shown['used'].iloc[-1]:,.0f} GB on {formatting.format_day(shown['day'].iloc[-1])}."
    columns = {"day": "Day", "used": "Used, GB", "room": "Capacity, GB"}
    frame.chart_with_table(charts_storage.used_by_day(shown), shown, key="place-use", alt=alt, columns=columns)
    if left is not None:
        plain_caption(left.because.replace("`", ""))
