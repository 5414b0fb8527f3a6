"""Answers to questions: aggregates, samples, records, attributions, search."""
