"""Checks: windows, questions, analyzers and findings of a model."""
