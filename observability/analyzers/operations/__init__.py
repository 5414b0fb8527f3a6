"""Analyzers about running models: what they draw, emit and cost."""
