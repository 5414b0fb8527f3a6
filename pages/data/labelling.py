"""Labelling :material/groups:
How the people who label work: whether each of them is right on items whose answer is known (gold), how long a label takes them, what they take over from a
machine that suggests answers, whether they give wrong answers because they are suggested, from which confidence on suggestions could be accepted without a
person, and who was given what, why and by which policy. A person with few gold items is never called worse: it says how many more it takes. Projects belong
to no single model; who agrees with whom, and what waits, stands on the page Labels of a model.
"""

from dataclasses import replace

import streamlit as st

from observability.core.finding import needs_action
from observability.dashboard import frame, load
from observability.dashboard import scope as scopes
from observability.dashboard.data import annotator_actions, assignments, batches, labelled_items, labelling, suggestions
from observability.dashboard.overview import findings

frame.heading("labelling")
scope = replace(scopes.read(st.session_state), version=None, slice=None)
with frame.loading(300):
    now, past, given, window = frame.guarded(lambda: labelling.everything(scope))
    found = [each for each in load.record_findings(scope) if each.analyzer == "data/labelling"]
if now.empty and given.empty:
    labelling.nothing_to_show()
    st.stop()
name = labelling.choose(now, given, found)
shown, said = labelling.shown_of(name, now, past, given, window), labelling.about(found, name)
st.markdown(labelling.summary(shown, said))
labelling.lacking(shown)
batches.claims([each for each in said if needs_action(each.severity) or each.metric == "gold_accuracy"])

st.header("People", anchor=False)
people = labelling.people(shown, said)
who = labelling.choose_person(people)
labelling.people_table(people, scope, name, who)
if who:
    annotator_actions.decide(name, who, said)
labelling.gold_chart(people)
labelling.classes(shown, who)
labelling.guidelines(shown)
labelling.sessions(shown, said)

suggestions.shown(shown.now, said)
assignments.shown(shown.assigned, shown.now)
labelled_items.ask(name, scope)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about people who label", [each for each in said if each.severity != "ok"], scope)
findings.downloads(said, "people-findings")
