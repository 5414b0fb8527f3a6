"""Plant known faults in a clean log and replay the monitoring on it.

A clean log (clean_log.py), one fault of a given strength from a day on (faults.py), the check of each day as of its end (replay.py),
answered by a temporary store (temporary_store.py, through the production ingest path) or by rows in memory (memory_engine.py, faster, equal
answers). The correct answer is not known here; scoring is done elsewhere. The user's own store is only read.
"""
