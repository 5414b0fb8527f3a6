"""Ids of predictions that arrived as spans, `TRACE-SPAN` (server/otlp_traces.py), and the longest plausible duration of a span."""

import re

TRACE_LETTERS = 32
"""The number of characters of an id that name the trace."""
SPAN_ID = re.compile(rf"([0-9a-f]{{{TRACE_LETTERS}}})-[0-9a-f]{{16}}")
"""The id of a span; its group is the trace."""
LONGEST_SPAN_MS = 10**12
"""From this latency on (32 years), the end of a span counts as unknown."""
