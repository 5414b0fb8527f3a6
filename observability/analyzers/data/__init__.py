"""Analyzers of the data section."""
