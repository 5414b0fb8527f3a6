"""Action items :material/task_alt:
Every action of every review and case with owner, due date and state: assigned, done, verified. An action is verified where its target
metric improved after it was done, or where somebody checked. Change an action in the review that it belongs to.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame
from observability.dashboard.review import action_items, load_review
from observability.dashboard.widgets import cut_note

MAXIMUM = 200
scope = frame.begin_fleet_page("actions", anyway=bool(load_review.all_actions()))
found = [action for action in load_review.all_actions() if scope.model in (None, action["model"])]
if not found:
    empty_states.stop_with_empty_state(
        "No action items yet.", "Agree one in a review (outcome Act), or at the end of a case.", "review", "Open the review"
    )
counts = action_items.stage_counts(found)
chosen = st.pills("State", list(counts), selection_mode="multi", format_func=lambda name: f"{counts[name]} {name}", key="stage")
shown = [action for action in found if not chosen or action["stage"] in chosen]
action_items.actions_table("actions", f"Action items, open ones first: {formatting.plural(len(shown), 'item')}", shown[:MAXIMUM], sort=True)
cut_note(len(shown), MAXIMUM, "The first {0} of {1}.")
