"""Analyzers of the section data."""
