"""The weekly review and its steps."""
