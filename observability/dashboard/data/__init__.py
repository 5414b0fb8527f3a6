"""The pages under pages/data."""
