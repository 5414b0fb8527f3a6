"""Labels :material/label:
Which predictions have their label by now? Each day by the date it was served: the share that is labelled, what days of that age usually have (from the
same days as they stood one, two and three weeks ago), and how many are still expected, hatched, as an estimate. Below 80 % of the usual a fall of the
metrics is not told yet: it may be the labels' youth. Where people label, whether they agree as before, whether one of them answers otherwise than the
rest, how long what waits for a label waits, and what a label costs.
"""

import streamlit as st

from observability.dashboard import frame, links, load
from observability.dashboard.data import labels
from observability.dashboard.overview import findings

here = frame.begin_model("labels")
with st.skeleton(height=60):
    said = load.findings(here.window)
    found = [each for each in said if each.analyzer == "serving/performance"]
    people = [each for each in said if each.analyzer == "data/labels"]
labels.shown(here, [each for each in found if each.metric == "label_maturity"])

if people:
    st.header("People who label", anchor=False)
    labels.people_shown(people)
    findings.listed("people", "What is said about the people who label, and what waits for them", people, here.scope)
    findings.downloads(people, "labelling-findings", what="People: ")
    more = links.link(
        "Gold items, time, suggestions, and who was given what",
        "labelling",
        here.scope,
        project=(here.model.settings.projects or (here.model.name,))[0],
    )
    st.button(more["t"], icon=":material/groups:", type="tertiary", key="labelling", on_click=links.go, args=(more["go"],))

st.header("Findings", anchor=False)
waiting = [each for each in found if each.severity != "ok" and (each.metric == "label_maturity" or each.severity == "unknown")]
findings.listed("findings", "Findings about labels, and what waits for them", waiting, here.scope)
findings.downloads(found, "label-findings")
