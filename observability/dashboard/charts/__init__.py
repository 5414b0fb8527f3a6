"""Figures of plotly, a file for each family: frames in, a figure out. Nothing else imports plotly."""
