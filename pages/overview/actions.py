"""Action items :material/task_alt:
Every action of every review and case with owner, due date and state: assigned, done, verified. An action is verified where its target
metric improved after it was done, or where somebody checked. Choose an action below the table to assign, close or extend it.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load, person_name
from observability.dashboard.review import action_items, action_update, load_review
from observability.dashboard.widgets import cut_note

MAXIMUM = 200
scope = frame.begin_fleet_page("actions", anyway=bool(load_review.all_actions()))
found = [action for action in load_review.all_actions() if scope.model in (None, action["model"])]
if not found:
    empty_states.stop_with_empty_state(
        "No action items yet.", "Agree one in a review (outcome Act), or at the end of a case.", "review", "Open the review"
    )
counts = action_items.stage_counts(found)
if late := sum(action["overdue"] for action in found):
    counts = {"overdue": late, **counts}
chosen = st.pills("State", list(counts), selection_mode="multi", format_func=lambda name: f"{counts[name]} {name}", key="stage")
shown = [action for action in found if not chosen or action["stage"] in chosen or (action["overdue"] and "overdue" in chosen)]
action_items.actions_table("actions", f"Action items, open ones first: {formatting.plural(len(shown), 'item')}", shown[:MAXIMUM], sort=True)
cut_note(len(shown), MAXIMUM, "The first {0} of {1}.")
item = action_update.choose_action(shown)
if item is not None:
    with st.container(border=True):
        action_update.action_history(item)
        author = person_name.person_name_box("actions", item.fields.get("model"))
        if author:
            action_update.update_form(item, author, None, load.page_clock())
        else:
            st.caption(person_name.why_not_saved())
