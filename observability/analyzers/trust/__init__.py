"""Analyzers of the section trust."""
