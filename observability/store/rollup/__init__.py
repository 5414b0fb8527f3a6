"""Rollups: additive counts and sums that are kept as records arrive."""
