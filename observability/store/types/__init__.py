"""Data types that the store and its callers exchange. No module here imports DuckDB."""
