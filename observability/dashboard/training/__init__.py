"""Views of the pages under pages/training."""
