"""Views of the pages under pages/data."""
