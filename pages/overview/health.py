"""Fleet health :material/monitor_heart:
One row per model, the most severe first: traffic, inputs, outcomes, changes and open tasks. Read from rollups, never from raw rows;
refreshes every 30 seconds.
"""

from datetime import UTC, datetime

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load_findings, open_tasks, time_zone
from observability.dashboard.overview import fleet, fleet_events, fleet_view, large_fleet, model_status, timeline
from observability.dashboard.review import action_items
from observability.dashboard.table import draw_table
from observability.incidents.action_counts import counted_incidents, shared_incident_ids, total_action_counts
from observability.incidents.grouping import Incident

scope = frame.begin_fleet_page("health")


@st.fragment(run_every="30s")
def overview() -> None:
    """Draw everything that refreshes itself."""
    view = fleet_view.current_fleet_view()
    frame.store_banner("health")
    with frame.loading_skeleton(320):
        statuses = frame.answer_or_stop(lambda: large_fleet.fleet_statuses(scope))
    statuses, others = model_status.with_records(statuses, load_findings.fleet_record_findings(scope))
    found = [*(incident for status in statuses for incident in status.incidents), *others]
    counted = counted_incidents(found)
    counts = total_action_counts(counted)
    pending = sum(status.pending for status in statuses)
    once = f"The {len(found):,} incidents in the rows are {len(counted):,} distinct ones: {counts.shared} shared by several models."
    shared = f" {once}" if counts.shared else ""
    drawn = view.group is None and not large_fleet.is_large(statuses)
    logs = [status for status in statuses if drawn and fleet.is_call_log(status)]
    aside = {status.model.name for status in logs}
    judged = [status for status in statuses if not status.pending and status.model.name not in aside]
    unknown = sum(status.severity == "unknown" for status in judged)
    now = datetime.now(UTC)
    read = f"{time_zone.zoned(now):%H:%M} {time_zone.zone_sign(now)}"
    elsewhere = " Call logs are on the page Vendors." if logs else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        checked = f", {len(statuses) - pending:,} checked" if pending else ""
        st.markdown(
            f"**{formatting.plural(len(statuses), 'model')}**{fleet.controllers_note()}{checked}: "
            f"{counts.words}{fleet.call_logs_note(logs)}"
            f"{f'; {unknown:,} cannot be judged' if unknown else ''}{f'; {pending:,} not checked yet' if pending else ''}"
            f"{large_fleet.oldest_check(statuses)}.",
            help=f"Read at {read}. Changes are against the previous period.{elsewhere}{shared}",
        )
        fleet_view.fleet_view_popover(view)
        frame.sampling_notice([status.window for status in statuses])  # drawn last, so that nothing moves when the notice disappears
    shown = [status for status in statuses if status.model.name not in aside]
    whose = ""
    if large_fleet.is_large(statuses):
        chosen = large_fleet.fleet_filter_of(st.query_params.to_dict())
        page = large_fleet.listed_page(statuses, chosen, view.group)
        large_fleet.filter_boxes(statuses, chosen, page)
        grouped = [(group, large_fleet.with_traffic(scope, status)) for group, status in page.rows]
        shown = list({status.model.name: status for _, status in grouped}.values())
        whose = f" of the {formatting.plural(len(shown), 'model')} listed above"
    else:
        grouped = fleet_view.grouped_statuses(shown, view.group)
    rows = fleet_view.grouped_fleet_rows(grouped, scope, shared_incident_ids(counted))
    rows += [fleet.records_row(others)] if others and view.group is None else []
    draw_table("fleet", "Models, most severe first", view.shown_columns(), rows, sort=True, paged=large_fleet.is_large(statuses))
    st.header("Incidents", anchor=False)
    open_tasks.open_tasks_table(statuses, counted, scope)
    action_items.overdue_link()
    listed[:] = found
    if open_tasks.ASKED in st.session_state and st.session_state.get("health-drawn"):
        st.rerun()  # the dialog belongs to the page, so that a refresh of this part does not close it
    st.header("Changes", anchor=False)
    if marked := timeline.timeline_rows(shown, scope):
        if whose:
            st.caption(f"Changes{whose}.")
        draw_table("timeline", "Changes by model, on a time line", timeline.COLUMNS, marked, compact=True)
    else:
        st.caption(f"No deploy, registration or new incident{whose} in these windows.")
    events = fleet_events.event_rows(shown)
    if events:
        with st.expander(f"{formatting.plural(len(events), 'event')}{whose} in these windows", icon=":material/event:"):
            draw_table("changes", "Events, newest first", fleet_events.CHANGE_COLUMNS, events, compact=True, sort=True)


listed: list[Incident] = []
st.session_state["health-drawn"] = False
with frame.scope_change_note("health", scope), st.container(key="self-refreshing"):
    overview()
st.session_state["health-drawn"] = True
open_tasks.asked_dialog(listed)
