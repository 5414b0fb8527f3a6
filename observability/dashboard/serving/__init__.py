"""Views of the pages under pages/serving."""
