"""Plant known faults in a clean log and replay the monitoring on it.

A fault of a given strength (faults.py) is planted in a clean log (clean_log.py) from a day on. Each day is checked as of its end
(replay.py). Questions are answered by a temporary store (temporary_store.py, through the production ingest path) or by rows in memory
(memory_engine.py, faster, with equal answers). The correct answer is not known here; scoring is done elsewhere. The user's own store is
only read.
"""
