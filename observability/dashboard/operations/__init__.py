"""Views of the pages under pages/operations, but the scenario lab."""
