"""Groups findings of one fault into incidents."""
