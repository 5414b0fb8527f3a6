"""The version of the product."""

VERSION = "0.38.0"
"""The only place that states the version: the wheel, the command line and the store read it here."""
