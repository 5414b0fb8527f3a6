"""Figures of plotly, one file for each family. Each function takes data frames and returns a figure. No other module imports plotly."""
