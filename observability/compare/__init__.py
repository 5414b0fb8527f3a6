"""Comparisons of two sides of a model: two windows, versions or slices."""
