"""Store, count and query records. This package alone uses DuckDB."""
