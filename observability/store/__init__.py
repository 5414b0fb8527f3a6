"""How is what happened stored, counted and asked? The only part that knows DuckDB."""
