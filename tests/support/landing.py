"""Writes lines into the landing folder of a store."""

import itertools
import json

_numbers = itertools.count()


def land(store, *records, name=None):
    """Publish records (dictionaries or raw bytes) as one segment; returns its path."""
    ready = store.landing / "ready"
    ready.mkdir(parents=True, exist_ok=True)
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in records]
    path = ready / (name or f"20240101T000000-1-{next(_numbers):012x}.jsonl")
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
