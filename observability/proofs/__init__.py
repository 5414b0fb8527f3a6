"""The SQL over the documented views (docs/views.md) that gives the measured value of a finding from raw rows."""
