"""Training runs :material/model_training:
Did training go well? Every run with a record in the window, how it ended, its best metric, its energy and cost, and what stands out: a spike, a value
that is not finite, a divergence, a plateau, overfitting, a process slower than its peers. Choose one, or several to compare. Curves are drawn as logged,
faded, and smoothed over that. A run that goes on is followed. The window and the model are chosen in the sidebar; a link to a run always opens it.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.overview import findings
from observability.dashboard.training import runs, runs_curves, runs_devices, runs_ranks

frame.heading("runs")
scope = scopes.read(st.session_state)
with frame.loading(300):
    window = frame.guarded(lambda: runs.window_of(scope))
    everything = load.training_runs(scope.model)
if not everything:
    runs.nothing_logged()
    st.stop()
shown = runs.listed(everything, window, scope.version)
costs = runs.drawn(everything)
chosen = runs.choose_runs(everything, shown)
runs.summary(shown, everything, window)
runs.runs_table(shown, costs, [each.run.name for each in chosen], scope)
if not chosen:
    st.stop()

st.header(formatting.plain(runs.title(chosen)), anchor=False)
following = any(runs.is_running(each) for each in chosen)


@st.fragment(run_every="10s" if following else None)
def follow() -> None:
    """The claims and the curves of the chosen runs, read anew while one of them goes on."""
    now = runs.again(scope.model, chosen) if following else chosen
    runs.claims(now)
    runs_curves.curves(now)
    runs.followed(now)


follow()
runs.facts(chosen, costs)
for each in chosen[:1]:
    runs_devices.devices(each, costs)
    runs_ranks.ranks(each)

st.header("Parameters", anchor=False)
runs_curves.parameters(chosen)
runs_curves.study(chosen, everything)

st.header("Findings", anchor=False)
said = [each for each in load.record_findings(scope) if each.analyzer == "training/runs"]
findings.listed("findings", "Findings about training runs", [each for each in said if each.severity != "ok"], scope, models=True)
findings.downloads(said, "training")
