"""One prediction: the search for it, and the sections of its page."""
