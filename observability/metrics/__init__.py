"""Quantities that are computed from counts and records: performance, energy, cost, prices, groups, histograms, traffic, estimates, training
curves, annotations.
"""
