"""One prediction: how it is found, and the sections of its page."""
