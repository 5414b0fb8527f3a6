"""One file, one question; found by walking this folder (observability/analyzer.py)."""
