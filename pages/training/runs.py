"""Training runs :material/model_training:
Every run with a record in the window: state, best metric, energy, cost and findings: spikes, values that are not finite, divergence,
plateaus, overfitting, stragglers. Choose one, or several to compare. Curves are drawn as logged, faded, and smoothed. An active run
refreshes by itself. Window and model are chosen in the scope bar; a link to a run always opens it.
"""

import streamlit as st

from observability.analyzers.training.runs import ANALYZER
from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.overview import findings
from observability.dashboard.training import runs, runs_curves, runs_devices, runs_ranks

frame.store_page_heading("runs")
scope = scopes.scope_from_state(st.session_state)
with frame.loading_skeleton(300):
    window = frame.answer_or_stop(lambda: load.window_of_records(scope, ANALYZER))
    everything = load.analyzed_training_runs(scope.model)
if not everything:
    runs.no_training_runs()
    st.stop()
shown = runs.runs_in_window(everything, window, scope.version)
costs = runs.energy_and_cost_of_runs(everything)
chosen = runs.chosen_runs(everything, shown)
runs.runs_summary(shown, everything, window)
runs.training_runs_table(shown, costs, [each.run.name for each in chosen], scope)
if not chosen:
    st.stop()

title = chosen[0].run.name if len(chosen) == 1 else f"{len(chosen)} runs compared"
st.header(formatting.escape_markdown(title), anchor=False)
following = any(runs.is_run_active(each) for each in chosen)


@st.fragment(run_every="10s" if following else None)
def follow() -> None:
    """The claims and the curves of the chosen runs, read anew while one of them goes on."""
    now = runs.refreshed_runs(scope.model, chosen) if following else chosen
    runs.run_findings(now)
    runs_curves.run_curves_section(now)
    runs.running_runs_note(now)


follow()
runs.run_facts(chosen, costs)
for each in chosen[:1]:
    runs_devices.run_devices_section(each, costs)
    runs_ranks.ranks_section(each)

st.header("Parameters", anchor=False)
runs_curves.run_parameters_table(chosen)
runs_curves.study_section(chosen, everything)

found = [finding for finding in load.scope_record_findings(scope) if finding.analyzer == "training/runs"]
findings.findings_section("training", "Findings about training runs", found, scope, models=True)
