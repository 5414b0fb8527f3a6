"""Analyzers of the operations section: energy, carbon and cost of models."""
