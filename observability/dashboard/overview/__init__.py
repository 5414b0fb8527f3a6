"""Views of the pages under pages/overview that are not a case or a review."""
