"""Plant known faults in a clean log and replay the monitoring on it.

A fault of a given strength (faults.py) is planted in a clean log (clean_log.py) from a certain day on. Each day is checked as of its end
(replay.py). Queries are answered by a temporary store (temporary_store.py, through the production ingest path), or from rows in memory
(memory_engine.py, which is faster and gives equal results). This package does not know which fault is the right answer; scoring is done
elsewhere. The user's own store is only read.
"""
