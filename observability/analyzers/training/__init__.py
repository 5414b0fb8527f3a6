"""Analyzers about training: runs, their steps, and the processes that share a run."""
