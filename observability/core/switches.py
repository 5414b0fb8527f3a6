"""Switches in the environment that turn background work off."""

import os

OFF = ("off", "0", "no", "false")


def is_disabled(variable: str) -> bool:
    """Whether an environment variable turns its work off. Without the variable the work is on."""
    return os.environ.get(variable, "").strip().lower() in OFF
