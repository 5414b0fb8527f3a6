"""Storage :material/hard_drive:
Places that store data: free space, retention, failures and backups. Datasets: freshness, size by codec and column, and rows that identify
people. Forms: effects of lower numeric precision on a model's answers and of lossy compression on pictures and sound, whether the form in
use preserves decisions, and the form that people chose. Columns of a model: size in the database, use, and the slowest questions. The
command `audit-storage` measures a file, pictures, sound or a model's reference.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, links, load, load_findings
from observability.dashboard.data import media_forms, storage_places, storage_view, stored_form_decision
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.replica_line import is_done_at_owner
from observability.dashboard.widgets import plain_paragraph

scope = begin_records_page("storage")
with frame.loading_skeleton(300):
    rows = frame.answer_or_stop(storage_view.logged_data_sets)
    places, window = frame.answer_or_stop(lambda: storage_places.reported_places(scope))
    audited = rows["storage"].notna().any()
    found = load_findings.scope_record_findings(scope, storage_places.judged.NAME) if places or audited else []
model = storage_view.model_of_store(scope)
if places:
    storage_places.places_section(places, window, storage_places.place_findings(found), scope)
if rows.empty and model is None and not places:
    storage_view.no_data_sets()
    st.stop()
if not rows.empty:
    if audited:
        name, version, audit = storage_view.chosen_audit(rows, scope)
        storage_view.stored_form_findings_section(name, found)
        st.header(formatting.escape_markdown(f"{name}, version {version}"), anchor=False)
        (media_forms.media_forms_section if "media" in audit else storage_view.forms_section)(audit)
        stored_form_decision.stored_form_decision(name, rows, storage_view.audited_model(audit), found, scope)
        if "media" not in audit:
            st.subheader("Small groups", anchor=False)
            plain_paragraph(storage_view.groups_sentence(audit))
            storage_view.columns_table(audit)
        model = storage_view.model_of_store(scope, storage_view.audited_model(audit))
    else:
        storage_view.storage_audit_empty_state()
    st.header("Freshness", anchor=False)
    storage_view.freshness_table(rows, scope)
if model is not None:
    st.header(formatting.escape_markdown(f"{model.name} in the database"), anchor=False)
    storage_view.store_columns_section(model)
    if not is_done_at_owner("Backups are made", "storage"):
        plain_paragraph(storage_view.keeping_sentence(frame.answer_or_stop(load.store_summary)))
    links.page_button("store")
