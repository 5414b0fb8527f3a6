"""Figures of plotly, one file for each family. Each function takes frames and returns a figure. Nothing else imports plotly."""
