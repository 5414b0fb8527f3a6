"""Distributed runs :material/lan:
One training run of several processes: which rank holds up the others, in which phase (data, compute, communication), on which host, since
when, and what the waiting costs. Communication is shown without the wait for the slowest rank, so that its victims are not taken for
stragglers. An active run is followed within 3 seconds.
"""

import streamlit as st

from observability.analyzers.training.runs import ANALYZER, RunVerdict
from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.data import lineage_view
from observability.dashboard.training import distributed, load_runs, runs, runs_ranks
from observability.detection.run_ranks import ranks_of
from observability.metrics.lineage import Thing

frame.store_page_heading("distributed")
scope = scopes.scope_from_state(st.session_state)
with frame.loading_skeleton(300):
    window = frame.answer_or_stop(lambda: load.window_of_records(scope, ANALYZER))
    everything = load_runs.analyzed_training_runs(scope.model)
    distributed_runs = [each for each in everything if len(each.run.ranks) > 1]
if not distributed_runs:
    example = distributed.HOW, distributed.EXAMPLE
    empty_states.how_to_log_state("No run of several processes has been logged yet.", "These lines log one.", *example)
    st.stop()
shown = runs.runs_in_window(distributed_runs, window, scope.version) or distributed_runs
chosen = runs.chosen_run(distributed_runs, shown)
if chosen is None:
    st.stop()
chosen = runs.closely_read_runs([chosen], distributed_runs)[0]
st.header(formatting.escape_markdown(chosen.run.name), anchor=False)


def claims_and_ranks(now: list[RunVerdict]) -> None:
    """The claims, the efficiency and the ranks of the chosen run."""
    (judged,) = now
    times = ranks_of(judged.run)
    distributed.rank_findings(judged)
    distributed.efficiency_section(judged, times, everything)
    if times is not None:
        runs_ranks.ranks_section(judged, times)


runs.follow_runs([chosen], everything, claims_and_ranks)
distributed.host_actions(chosen, everything)
lineage_view.lineage_button(Thing("run", (chosen.run.name,)), scope, key="to-lineage")
