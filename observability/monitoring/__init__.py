"""Checks of a model: their windows, queries, analyzers and findings."""
