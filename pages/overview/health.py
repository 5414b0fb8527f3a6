"""Fleet health :material/monitor_heart:
One row per model, the most severe first: traffic, inputs, outcomes, changes and open tasks. Read from rollups, never from raw rows;
refreshes every 30 seconds.
"""

from datetime import UTC, datetime

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load, open_tasks
from observability.dashboard.overview import fleet, incidents
from observability.dashboard.table import draw_table
from observability.incidents.action_counts import action_counts

scope = frame.begin_fleet_page("health")


@st.fragment(run_every="30s")
def overview() -> None:
    """Draw everything that refreshes."""
    frame.store_banner("health")
    with frame.loading_skeleton(320):
        statuses = fleet.worst_model_first([fleet.load_model_status(scope, model) for model in load.catalog().models])
    others = load.record_incidents(scope)
    counts = action_counts([*(incident for status in statuses for incident in status.incidents), *others])
    unknown = sum(status.severity == "unknown" for status in statuses)
    with st.container(horizontal=True, vertical_alignment="center"):
        when = formatting.escape_markdown(formatting.format_minute(datetime.now(UTC)))
        st.markdown(
            f"**{formatting.plural(len(statuses), 'model')}**, {counts.words}"
            f"{f'; {unknown} cannot be judged' if unknown else ''}. "
            f":gray[:small[As of {when} UTC; refreshes every 30 seconds.]]"
        )
        frame.sampling_notice([status.window for status in statuses])
    draw_table("fleet", "Models, most severe first", fleet.COLUMNS, [fleet.fleet_table_row(status, scope) for status in statuses])
    left, right = st.columns(2, gap="large")
    with left:
        st.header("Needs action", anchor=False)
        open_tasks.open_tasks_table(statuses, others, scope)
    with right:
        st.header("What changed", anchor=False)
        rows = fleet.change_rows(statuses, scope, acts=False)
        if rows:
            draw_table("changes", "Events and new warnings", fleet.CHANGE_COLUMNS, rows[:12], compact=True)
        else:
            st.caption("No other changes in these windows.")
    ongoing = fleet.ongoing_watch_incidents(statuses, others)
    if ongoing:
        st.header("Ongoing warnings", anchor=False)
        incidents.incidents_table("more", "Warnings that are not new, worst first", ongoing, scope, most=8, once=True)


overview()
