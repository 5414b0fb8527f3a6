"""Analyzers of the section serving."""
