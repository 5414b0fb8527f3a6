"""Compare runs :material/compare_arrows:
Up to twenty training runs side by side: the curves of one metric, the best value of each run, the parameters that differ, the parameters
that all runs share, and the runs as lines over their parameters. Active runs are followed within 3 seconds. Without a choice, the page
shows the newest runs of the model or study that has the newest record.
"""

import streamlit as st

from observability.analyzers.training.runs import ANALYZER, RunVerdict
from observability.dashboard import frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.training import compare_runs, load_runs, runs, runs_curves

frame.store_page_heading("compare_runs")
scope = scopes.scope_from_state(st.session_state)
with frame.loading_skeleton(300):
    window = frame.answer_or_stop(lambda: load.window_of_records(scope, ANALYZER))
    everything = load_runs.analyzed_training_runs(scope.model)
if not everything:
    runs.no_training_runs()
    st.stop()
shown = runs.runs_in_window(everything, window, scope.version)
chosen = compare_runs.compared_runs(everything, shown)
if len(chosen) < 2:
    st.caption("Choose two runs or more.")
    st.stop()
chosen = runs.closely_read_runs(chosen, everything)


def side_by_side(now: list[RunVerdict]) -> None:
    """Curves, differences and parameters of the compared runs."""
    runs_curves.run_curves_section(now)
    compare_runs.run_differences_section(now, runs.energy_and_cost_of_runs(now), scope)
    compare_runs.parallel_runs_section(now)


runs.follow_runs(chosen, everything, side_by_side)
