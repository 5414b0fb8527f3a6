"""Personal data :material/shield_person:
E-mail addresses, phone, card and account numbers, and national identifiers in the texts that predictions carry, by column, counted in a
bounded sample, with the rule by which they were found. Format and check digits decide; names and home addresses are not searched.
No text is shown.
"""

from observability.dashboard import empty_states, frame
from observability.dashboard.data import personal_data_view
from observability.dashboard.overview import findings
from observability.dashboard.widgets import finding_lines

here = frame.begin_model_page("personal_data")
found = findings.analyzer_findings(here, "data/personal_data", wait=True)
if found:
    finding_lines(found)
    personal_data_view.personal_columns_table(here.model, found)
    personal_data_view.next_steps(here.model, found)
    frame.metric_help("personal_data_share")
    findings.findings_downloads(found, "personal-data")
else:
    empty_states.no_rows_state()
