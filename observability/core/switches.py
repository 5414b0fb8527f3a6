"""Environment variables that switch off background work."""

import os

OFF = ("off", "0", "no", "false")


def is_disabled(variable: str) -> bool:
    """Whether an environment variable switches its work off. If the variable is not set, the work is on."""
    return os.environ.get(variable, "").strip().lower() in OFF
