"""Fleet health :material/monitor_heart:
The fleet in thirty seconds: is each model up, are its inputs normal, is it right, what changed, and what needs a person? One row a model, those
that need a person first. It is read from counts that are kept as records arrive, never from raw rows, and refreshes itself every 30 seconds.
"""

from datetime import UTC, datetime

import streamlit as st

from observability.incidents import order
from observability.views import fleet, frame, incidents, load, tasks, text
from observability.views.table import table

scope = frame.begin("health")


@st.fragment(run_every="30s")
def overview() -> None:
    """Everything that refreshes itself."""
    with st.skeleton(height=320):
        standings = fleet.neediest_first([fleet.standing(scope, each) for each in load.catalog().models])
    needy = [each for each in standings if each.severity in ("act", "watch")]
    st.markdown(
        f"**{text.plural(len(standings), 'model')}**, {text.plural(len(needy), 'needs', 'need')} a person. "
        f":gray[:small[As of {text.plain(text.minute(datetime.now(UTC)))} UTC; refreshes every 30 seconds.]]"
    )
    table("fleet", "Models, those that need a person first", fleet.COLUMNS, [fleet.as_row(each, scope) for each in standings])
    left, right = st.columns(2, gap="large")
    with left:
        st.header("What needs a person", anchor=False)
        tasks.listed(standings, scope)
    with right:
        st.header("What changed", anchor=False)
        rows = fleet.changes(standings, scope)
        table("changes", "Events and new findings", fleet.CHANGE_COLUMNS, rows[:12], compact=True) if rows else st.caption(
            "Nothing changed in these windows."
        )
    st.header("Incidents", anchor=False)
    everything = [*(each for one in standings for each in one.incidents), *load.record_incidents(scope)]
    incidents.listed("worst", "Incidents of all models, worst first", sorted(everything, key=order), scope, most=8)


overview()
