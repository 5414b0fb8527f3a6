"""Views of the pages under pages/trust."""
