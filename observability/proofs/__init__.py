"""Proofs: SQL over the documented views (docs/views.md) that computes the measured value of a finding from raw rows."""
