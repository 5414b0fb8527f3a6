"""The weekly review: its room and its steps."""
