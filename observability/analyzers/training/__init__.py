"""Analyzers of the training section: runs, their steps and their ranks."""
