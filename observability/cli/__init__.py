"""The command line: `python -m observability`."""
