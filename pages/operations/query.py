"""SQL :material/terminal:
One SELECT over the documented views: predictions with their labels, records of every kind, counts. It is read-only, and it runs in a
process of its own with limits of rows, seconds and memory. Findings lead here with the query behind their value.
"""

from observability.dashboard import frame
from observability.dashboard.operations import query

frame.store_page_heading("query")
query.query_form()
query.answer_section()
