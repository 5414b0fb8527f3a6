"""Studies :material/tune:
One study of training runs: whether the search itself went wrong, the best value against the trials that it took, which parameters mattered,
whether the winner is better than chance, what pruning saved, energy and cost of each gain, and what further trials can be expected to gain.
Below, augmentations of training data: their effect on accuracy, classes and groups over several seeds, with affinity and diversity.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard import scope as scopes
from observability.dashboard.data import lineage_view
from observability.dashboard.training import augmentation, load_runs, studies
from observability.metrics.lineage import Thing

frame.store_page_heading("studies")
scope = scopes.scope_from_state(st.session_state)
with frame.loading_skeleton(300):
    everything = load_runs.analyzed_training_runs(scope.model)
    audits = augmentation.known_augmentations(scope)
known = studies.studies_of(everything)
if not known and not audits:
    example = studies.HOW, studies.EXAMPLE
    empty_states.how_to_log_state("No study has been logged yet.", "Runs that name the same study belong together.", *example)
    st.stop()
if known:
    chosen, uses = studies.chosen_study(known), studies.use_of_studies(known)
    studies.study_sections(chosen, scope, uses[chosen.name])
    lineage_view.lineage_button(Thing("run", (chosen.best.run.name,)), scope, key="to-lineage", label="Lineage of the best run")
    studies.all_studies_table(known, scope, uses, chosen)
augmentation.augmentation_section(audits, scope)
