"""Datasets :material/dataset:
Every logged version of every dataset, with its date, parents, number of rows and cleaning rules, the other versions with the same content,
and the training runs that name it. A version logged with different contents is critical: the training data of its runs are ambiguous.
Datasets belong to no single model; all dates are shown.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load_findings
from observability.dashboard.data import datasets
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings

scope = begin_records_page("datasets")
with frame.loading_skeleton(300):
    made = frame.answer_or_stop(datasets.dataset_versions)
    found = load_findings.scope_record_findings(scope, "data/datasets")
if not made:
    datasets.no_datasets()
    st.stop()
st.markdown(datasets.datasets_summary(made))
chosen = datasets.chosen_dataset(made)
datasets.datasets_table(made, chosen, scope)
own = [each for each in made if each.name == chosen]
asked = st.query_params.get("version_of_data")
st.header(formatting.escape_markdown(chosen), anchor=False)
datasets.dataset_versions_table(own, scope, asked)
datasets.dataset_version_details(next((each for each in own if each.content.version == asked), own[-1]), scope)

findings.findings_section("dataset-findings", "Findings about datasets", found, scope)
