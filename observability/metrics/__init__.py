"""Measured quantities from counts and records: performance, energy, cost, groups, histograms, traffic, estimates, training curves, annotations."""
