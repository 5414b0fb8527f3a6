"""Store, count and query records. The only part that knows DuckDB."""
